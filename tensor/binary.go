package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// broadcast returns the shape that a and b have together by PyTorch's (and
// NumPy's) rules: aligned at the last dimension, sizes are equal or one of them
// is 1.
func broadcast(op string, a, b Shape) Shape {
	if a.Equal(b) {
		return a
	}
	out := make(Shape, max(len(a), len(b)))
	for i := range out {
		da, db := 1, 1
		if j := i - len(out) + len(a); j >= 0 {
			da = a[j]
		}
		if j := i - len(out) + len(b); j >= 0 {
			db = b[j]
		}
		switch {
		case da == db || db == 1:
			out[i] = da
		case da == 1:
			out[i] = db
		default:
			fail(op, "shapes %v and %v do not broadcast: sizes %d and %d at dimension %d of %d", a, b, da, db, i, len(out))
		}
	}
	return out
}

// stridesIn returns the strides with which an array of shape s is read as one of
// shape out, 0 where it is broadcast.
func (s Shape) stridesIn(out Shape) []int {
	st := make([]int, len(out))
	own := s.strides()
	for i := range s {
		if j := i + len(out) - len(s); s[i] != 1 || out[j] == 1 {
			st[j] = own[i]
		}
	}
	return st
}

func binaryGeom(out, a, b Shape) backend.BinaryGeom {
	if a.Equal(b) {
		return backend.BinaryGeom{}
	}
	return backend.BinaryGeom{Shape: out, A: a.stridesIn(out), B: b.stridesIn(out)}
}

// binary computes op(x, y) with broadcasting and records nothing.
func binary(name string, op backend.BinaryOp, x, y *Tensor) *Tensor {
	x.wantDType(name, y)
	t := x.DType()
	if op.IsComparison() {
		t = Bool
	}
	out := result(name, t, broadcast(name, x.shape, y.shape), x, y)
	x.be().Binary(out.array(), x.array(), y.array(), op, binaryGeom(out.shape, x.shape, y.shape))
	return out
}

// sumTo adds g up over the dimensions in which shape was broadcast to g's shape;
// it is the gradient of broadcasting.
func sumTo(g *Tensor, shape Shape) *Tensor {
	if g.shape.Equal(shape) {
		return g
	}
	reduce := make([]bool, len(g.shape))
	for i := range reduce {
		j := i - len(g.shape) + len(shape)
		reduce[i] = j < 0 || shape[j] == 1 && g.shape[i] != 1
	}
	out := result("Sum", g.DType(), shape, g)
	g.be().Reduce(out.array(), g.array(), backend.ReduceSum, backend.ReduceGeom{Shape: g.shape, Reduce: reduce})
	return out
}

// Add returns x + y, with broadcasting. The types must be equal.
// (torch.add)
func (x *Tensor) Add(y *Tensor) *Tensor {
	out := binary("Add", backend.Add, x, y)
	xs, ys := x.shape, y.shape
	return autograd.Record("Add", out, []*Tensor{x, y}, func(g *Tensor) []*Tensor {
		return []*Tensor{sumTo(g, xs), sumTo(g, ys)}
	})
}

// Mul returns x · y, element by element, with broadcasting. The types must be
// equal. (torch.mul)
func (x *Tensor) Mul(y *Tensor) *Tensor {
	out := binary("Mul", backend.Mul, x, y)
	xs, ys := x.Detach(), y.Detach()
	needX, needY := x.RequiresGrad(), y.RequiresGrad()
	var saved []*Tensor
	if needX {
		saved = append(saved, y)
	}
	if needY {
		saved = append(saved, x)
	}
	return autograd.Record("Mul", out, []*Tensor{x, y}, func(g *Tensor) []*Tensor {
		var gx, gy *Tensor
		if needX {
			gx = sumTo(g.Mul(ys), xs.shape)
		}
		if needY {
			gy = sumTo(g.Mul(xs), ys.shape)
		}
		return []*Tensor{gx, gy}
	}, saved...)
}

// inPlace overwrites x with op(x, y), y broadcast to x. It records nothing.
func (x *Tensor) inPlace(name string, op backend.BinaryOp, y *Tensor) *Tensor {
	x.wantWritable(name)
	y.check(name)
	x.wantDType(name, y)
	if !broadcast(name, x.shape, y.shape).Equal(x.shape) {
		fail(name, "the operand %v does not broadcast to the destination %v", y.shape, x.shape)
	}
	if y.storage == x.storage && (y.offset != x.offset || !y.shape.Equal(x.shape)) {
		y = y.Detach().Clone()
	}
	if y.storage.device != x.storage.device {
		fail(name, "the operand is on %s, the destination on %s; To moves a tensor", y.storage.device, x.storage.device)
	}
	x.be().Binary(x.array(), x.array(), y.array(), op, binaryGeom(x.shape, x.shape, y.shape))
	x.wrote()
	return x
}

// AddInPlace adds y (broadcast to x) to x. It is not recorded. It returns x.
func (x *Tensor) AddInPlace(y *Tensor) *Tensor { return x.inPlace("AddInPlace", backend.Add, y) }

// MulInPlace multiplies x by y (broadcast to x). It is not recorded. It returns x.
func (x *Tensor) MulInPlace(y *Tensor) *Tensor { return x.inPlace("MulInPlace", backend.Mul, y) }

// scalar computes op(x, s), or op(s, x) if swapped, and records nothing.
func scalar(name string, op backend.BinaryOp, x *Tensor, s float64, swapped bool) *Tensor {
	t := x.DType()
	if op.IsComparison() {
		t = Bool
	}
	out := result(name, t, x.shape, x)
	x.be().BinaryScalar(out.array(), x.array(), s, swapped, op)
	return out
}

// MulScalar returns x · s.
func (x *Tensor) MulScalar(s float64) *Tensor {
	out := scalar("MulScalar", backend.Mul, x, s, false)
	return autograd.Record("MulScalar", out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.MulScalar(s)}
	})
}

// AddScalar returns x + s.
func (x *Tensor) AddScalar(s float64) *Tensor {
	out := scalar("AddScalar", backend.Add, x, s, false)
	return autograd.Record("AddScalar", out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g} })
}
