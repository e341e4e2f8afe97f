package tensor

import (
	"math"

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

// broadcastsTo reports whether an array of shape s can be read as one of shape out.
func (s Shape) broadcastsTo(out Shape) bool {
	lead := len(out) - len(s)
	if lead < 0 {
		return false
	}
	for i, n := range s {
		if n != 1 && n != out[lead+i] {
			return false
		}
	}
	return true
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

// binary computes op(x, y) with broadcasting and records nothing. The result
// lives as its operands and owners do.
func binary(name string, op backend.BinaryOp, x, y *Tensor, owners ...*Tensor) *Tensor {
	x.wantDType(name, y)
	x.wantOperand(name, op)
	t := x.DType()
	if op.IsComparison() {
		t = Bool
	}
	out := result(name, t, broadcast(name, x.shape, y.shape), append(owners, x, y)...)
	x.be().Binary(out.array(), x.array(), y.array(), op, binaryGeom(out.shape, x.shape, y.shape))
	return out
}

// wantOperand panics unless the operation takes tensors of x's type.
func (x *Tensor) wantOperand(name string, op backend.BinaryOp) {
	switch op {
	case backend.And, backend.Or, backend.Xor:
		if x.DType() != Bool {
			fail(name, "the operands are %s, want bool; a comparison or ToDType(Bool) converts", x.DType())
		}
	case backend.Div, backend.Atan2:
		x.wantFloat(name)
	default:
		if !op.IsComparison() {
			x.wantNumber(name)
		}
	}
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

// partial is how the gradient of one operand is computed: grad gets the
// gradient of the result, and reads the values saved. What it returns has the
// result's shape; adding it up to the operand's is not its business.
type partial struct {
	of    *Tensor
	grad  func(g *Tensor) *Tensor
	saved []*Tensor
}

// record records an operation with broadcasting. It keeps what the operands
// that require a gradient need, and nothing else. A partial without grad stands
// for an operand that has none.
func record(name string, out *Tensor, partials ...partial) *Tensor {
	inputs := make([]*Tensor, len(partials))
	shapes := make([]Shape, len(partials))
	grads := make([]func(g *Tensor) *Tensor, len(partials))
	var saved []*Tensor
	for i, p := range partials {
		inputs[i], shapes[i] = p.of, p.of.shape
		if p.of.RequiresGrad() {
			grads[i] = p.grad
			saved = append(saved, p.saved...)
		}
	}
	return autograd.Record(name, out, inputs, func(g *Tensor) []*Tensor {
		results := make([]*Tensor, len(grads))
		for i, grad := range grads {
			if grad != nil {
				results[i] = sumTo(grad(g), shapes[i])
			}
		}
		return results
	}, saved...)
}

func identity(g *Tensor) *Tensor { return g }

// Add returns x + y, with broadcasting. The types must be equal, but that one of
// half width beside a wider one becomes that, as in all arithmetic and comparisons.
// (torch.add)
func (x *Tensor) Add(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Add", backend.Add, x, y)
	return record("Add", out, partial{of: x, grad: identity}, partial{of: y, grad: identity})
}

// Sub returns x - y, with broadcasting. The types must be equal. (torch.sub)
func (x *Tensor) Sub(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Sub", backend.Sub, x, y)
	return record("Sub", out, partial{of: x, grad: identity}, partial{of: y, grad: (*Tensor).Neg})
}

// Mul returns x · y, element by element, with broadcasting. The types must be
// equal. (torch.mul)
func (x *Tensor) Mul(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Mul", backend.Mul, x, y)
	xs, ys := x.bare(), y.bare()
	return record("Mul", out,
		partial{x, func(g *Tensor) *Tensor { return g.Mul(ys) }, []*Tensor{y}},
		partial{y, func(g *Tensor) *Tensor { return g.Mul(xs) }, []*Tensor{x}})
}

// Div returns x / y, element by element, with broadcasting, of floating-point
// tensors of one type. (torch.div)
func (x *Tensor) Div(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Div", backend.Div, x, y)
	xs, ys := x.bare(), y.bare()
	return record("Div", out,
		partial{x, func(g *Tensor) *Tensor { return g.Div(ys) }, []*Tensor{y}},
		partial{y, func(g *Tensor) *Tensor { return g.Mul(xs.Div(ys).Div(ys)).Neg() }, []*Tensor{x, y}})
}

// Pow returns x to the power y, element by element, with broadcasting. The types
// must be equal. A negative power of an integer is 0, except of 1 and -1.
// (torch.pow)
func (x *Tensor) Pow(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Pow", backend.Pow, x, y)
	xs, ys := x.bare(), y.bare()
	return record("Pow", out,
		partial{x, func(g *Tensor) *Tensor {
			// The power y-1 may be infinite where y is 0, and the slope is still 0.
			return g.Mul(ys.Mul(xs.Pow(ys.SubScalar(1))).MaskedFill(ys.EqScalar(0), 0))
		}, []*Tensor{x, y}},
		partial{y, func(g *Tensor) *Tensor {
			flat := xs.EqScalar(0).And(ys.GeScalar(0))
			return g.Mul(xs.Pow(ys).Mul(xs.Log()).MaskedFill(flat, 0))
		}, []*Tensor{x, y}})
}

// Maximum returns the greater of x and y, element by element, with broadcasting;
// NaN wins. Where both are equal each gets half of the gradient. (torch.maximum)
func (x *Tensor) Maximum(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Maximum", backend.Maximum, x, y)
	return record("Maximum", out, share(x, y, (*Tensor).Lt), share(y, x, (*Tensor).Lt))
}

// Minimum returns the smaller of x and y, element by element, with broadcasting;
// NaN wins. Where both are equal each gets half of the gradient. (torch.minimum)
func (x *Tensor) Minimum(y *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Minimum", backend.Minimum, x, y)
	return record("Minimum", out, share(x, y, (*Tensor).Gt), share(y, x, (*Tensor).Gt))
}

// share is the partial of x in a choice between x and y that x loses where
// loses(x, y).
func share(x, y *Tensor, loses func(x, y *Tensor) *Tensor) partial {
	xs, ys := x.bare(), y.bare()
	return partial{x, func(g *Tensor) *Tensor {
		return Where(xs.Eq(ys), g.MulScalar(0.5), g).MaskedFill(loses(xs, ys), 0)
	}, []*Tensor{x, y}}
}

// Remainder returns what is left of x divided by y, with the sign of y, element
// by element, with broadcasting. An integer y may not be 0. (torch.remainder)
func (x *Tensor) Remainder(y *Tensor) *Tensor {
	return x.remainder("Remainder", backend.Remainder, y)
}

// Fmod returns what is left of x divided by y, with the sign of x, element by
// element, with broadcasting. An integer y may not be 0. (torch.fmod)
func (x *Tensor) Fmod(y *Tensor) *Tensor { return x.remainder("Fmod", backend.Fmod, y) }

func (x *Tensor) remainder(name string, op backend.BinaryOp, y *Tensor) *Tensor {
	promote(&x, &y)
	if t := y.DType(); t == Int64 || t == Uint8 {
		y.wantNoZero(name)
	}
	out := binary(name, op, x, y)
	xs, ys := x.bare(), y.bare()
	return record(name, out,
		partial{of: x, grad: identity},
		partial{y, func(g *Tensor) *Tensor {
			// x = q·y + remainder with a whole q, which Round frees from the error of the division.
			quotient := xs.Sub(binary(name, op, xs, ys)).Div(ys).Round()
			return g.Mul(quotient).Neg()
		}, []*Tensor{x, y}})
}

// wantNoZero panics if y, an integer divisor, has an element that is 0.
func (y *Tensor) wantNoZero(name string) {
	zero := scalar(name, backend.Eq, y, 0, false)
	defer zero.Release()
	at := zero.nonzero(name)
	defer at.Release()
	if at.Len() > 0 {
		fail(name, "the divisor %s %v is 0 at position %v, want no 0", y.DType(), y.shape, y.shape.place(int(at.Ints()[0])))
	}
}

// Atan2 returns the angle of the points (y, x) in radians, -π to π, where x is
// the receiver's operand: y.Atan2(x) is the arctangent of y/x in the right
// quadrant. It broadcasts. (torch.atan2)
func (y *Tensor) Atan2(x *Tensor) *Tensor {
	promote(&x, &y)
	out := binary("Atan2", backend.Atan2, y, x)
	ys, xs := y.bare(), x.bare()
	square := func() *Tensor { return xs.Square().Add(ys.Square()) }
	return record("Atan2", out,
		partial{y, func(g *Tensor) *Tensor { return g.Mul(xs.Div(square())) }, []*Tensor{x, y}},
		partial{x, func(g *Tensor) *Tensor { return g.Mul(ys.Div(square())).Neg() }, []*Tensor{x, y}})
}

// compare computes a comparison or a logical operation, which have no gradient.
func compare(name string, op backend.BinaryOp, x, y *Tensor) *Tensor {
	promote(&x, &y)
	return autograd.RecordNothing(name, binary(name, op, x, y), x, y)
}

// Eq reports for each pair of elements whether they are equal, with
// broadcasting. The types must be equal. (torch.eq)
func (x *Tensor) Eq(y *Tensor) *Tensor { return compare("Eq", backend.Eq, x, y) }

// Ne reports for each pair of elements whether they differ, with broadcasting.
// (torch.ne)
func (x *Tensor) Ne(y *Tensor) *Tensor { return compare("Ne", backend.Ne, x, y) }

// Lt reports for each pair of elements whether x < y, with broadcasting.
// (torch.lt)
func (x *Tensor) Lt(y *Tensor) *Tensor { return compare("Lt", backend.Lt, x, y) }

// Le reports for each pair of elements whether x ≤ y, with broadcasting.
// (torch.le)
func (x *Tensor) Le(y *Tensor) *Tensor { return compare("Le", backend.Le, x, y) }

// Gt reports for each pair of elements whether x > y, with broadcasting.
// (torch.gt)
func (x *Tensor) Gt(y *Tensor) *Tensor { return compare("Gt", backend.Gt, x, y) }

// Ge reports for each pair of elements whether x ≥ y, with broadcasting.
// (torch.ge)
func (x *Tensor) Ge(y *Tensor) *Tensor { return compare("Ge", backend.Ge, x, y) }

// And combines Bool tensors, with broadcasting. (torch.logical_and)
func (x *Tensor) And(y *Tensor) *Tensor { return compare("And", backend.And, x, y) }

// Or combines Bool tensors, with broadcasting. (torch.logical_or)
func (x *Tensor) Or(y *Tensor) *Tensor { return compare("Or", backend.Or, x, y) }

// Xor combines Bool tensors, with broadcasting. (torch.logical_xor)
func (x *Tensor) Xor(y *Tensor) *Tensor { return compare("Xor", backend.Xor, x, y) }

// inPlace overwrites x with op(x, y), y broadcast to x. It records nothing.
func (x *Tensor) inPlace(name string, op backend.BinaryOp, y *Tensor) *Tensor {
	x.wantWritable(name)
	y.check(name)
	if y.DType() != x.DType() && x.DType().IsFloat() && y.DType().IsFloat() && (x.DType().IsHalf() || y.DType().IsHalf()) {
		y = y.bare().ToDType(x.DType())
	}
	x.wantDType(name, y)
	x.wantOperand(name, op)
	if !broadcast(name, x.shape, y.shape).Equal(x.shape) {
		fail(name, "the operand %v does not broadcast to the destination %v", y.shape, x.shape)
	}
	if y.storage == x.storage && (y.offset != x.offset || !y.shape.Equal(x.shape)) {
		y = y.bare().Clone()
	}
	if y.storage.device != x.storage.device {
		fail(name, "the operand is on %s, the destination on %s; To moves a tensor", y.storage.device, x.storage.device)
	}
	x.be().Binary(x.array(), x.array(), y.array(), op, binaryGeom(x.shape, x.shape, y.shape))
	x.changed(name, y)
	return x
}

// AddInPlace adds y (broadcast to x) to x. It is not recorded. It returns x.
func (x *Tensor) AddInPlace(y *Tensor) *Tensor { return x.inPlace("AddInPlace", backend.Add, y) }

// SubInPlace subtracts y (broadcast to x) from x. It is not recorded. It returns x.
func (x *Tensor) SubInPlace(y *Tensor) *Tensor { return x.inPlace("SubInPlace", backend.Sub, y) }

// MulInPlace multiplies x by y (broadcast to x). It is not recorded. It returns x.
func (x *Tensor) MulInPlace(y *Tensor) *Tensor { return x.inPlace("MulInPlace", backend.Mul, y) }

// DivInPlace divides x by y (broadcast to x). It is not recorded. It returns x.
func (x *Tensor) DivInPlace(y *Tensor) *Tensor { return x.inPlace("DivInPlace", backend.Div, y) }

// LerpInPlace moves x towards end (broadcast to x): x + weight·(end-x). It is not
// recorded. It returns x. (torch.Tensor.lerp_)
func (x *Tensor) LerpInPlace(end *Tensor, weight float64) *Tensor {
	const name = "LerpInPlace"
	x.wantWritable(name)
	x.wantFloat(name)
	if !broadcast(name, x.Shape(), end.Shape()).Equal(x.shape) {
		fail(name, "the operand %v does not broadcast to the destination %v", end.shape, x.shape)
	}
	way := binary(name, backend.Sub, end, x)
	defer way.Release()
	// From the nearer side, so that weight 1 gives end exactly.
	if math.Abs(weight) < 0.5 {
		return x.inPlace(name, backend.Add, way.MulScalarInPlace(weight))
	}
	target := binary(name, backend.Sub, end, way.MulScalarInPlace(1-weight))
	defer target.Release()
	return x.CopyFrom(target)
}

// scalar computes op(x, s), or op(s, x) if swapped, and records nothing.
func scalar(name string, op backend.BinaryOp, x *Tensor, s float64, swapped bool, owners ...*Tensor) *Tensor {
	x.wantScalar(name, op, s, swapped)
	t := x.DType()
	if op.IsComparison() {
		t = Bool
	}
	out := result(name, t, x.shape, append(owners, x)...)
	x.be().BinaryScalar(out.array(), x.array(), s, swapped, op)
	return out
}

// wantScalar panics unless the operation takes x and s.
func (x *Tensor) wantScalar(name string, op backend.BinaryOp, s float64, swapped bool) {
	x.wantOperand(name, op)
	x.wantRepresentable(name, s)
	if x.DType().IsFloat() || swapped {
		return
	}
	switch {
	case (op == backend.Remainder || op == backend.Fmod) && s == 0:
		fail(name, "the divisor of a tensor of %s is 0", x.DType())
	case op == backend.Pow && s < 0:
		fail(name, "the power %v of a tensor of %s is negative, want 0 or more; ToDType converts the tensor", s, x.DType())
	}
}

// AddScalar returns x + s.
func (x *Tensor) AddScalar(s float64) *Tensor {
	out := scalar("AddScalar", backend.Add, x, s, false)
	return record("AddScalar", out, partial{of: x, grad: identity})
}

// SubScalar returns x - s.
func (x *Tensor) SubScalar(s float64) *Tensor {
	out := scalar("SubScalar", backend.Sub, x, s, false)
	return record("SubScalar", out, partial{of: x, grad: identity})
}

// RSubScalar returns s - x. (torch.rsub)
func (x *Tensor) RSubScalar(s float64) *Tensor {
	out := scalar("RSubScalar", backend.Sub, x, s, true)
	return record("RSubScalar", out, partial{of: x, grad: (*Tensor).Neg})
}

// MulScalar returns x · s.
func (x *Tensor) MulScalar(s float64) *Tensor {
	out := scalar("MulScalar", backend.Mul, x, s, false)
	return record("MulScalar", out, partial{of: x, grad: func(g *Tensor) *Tensor { return g.MulScalar(s) }})
}

// DivScalar returns x / s of a floating-point tensor.
func (x *Tensor) DivScalar(s float64) *Tensor {
	out := scalar("DivScalar", backend.Div, x, s, false)
	return record("DivScalar", out, partial{of: x, grad: func(g *Tensor) *Tensor { return g.DivScalar(s) }})
}

// RDivScalar returns s / x of a floating-point tensor.
func (x *Tensor) RDivScalar(s float64) *Tensor {
	out := scalar("RDivScalar", backend.Div, x, s, true)
	xs := x.bare()
	return record("RDivScalar", out, partial{x, func(g *Tensor) *Tensor {
		return g.Mul(xs.RDivScalar(-s).Div(xs))
	}, []*Tensor{x}})
}

// PowScalar returns x to the power s. An integer tensor takes no negative power.
func (x *Tensor) PowScalar(s float64) *Tensor {
	out := scalar("PowScalar", backend.Pow, x, s, false)
	xs := x.bare()
	return record("PowScalar", out, partial{x, func(g *Tensor) *Tensor {
		if s == 0 {
			return ZerosLike(g)
		}
		return g.Mul(xs.PowScalar(s - 1).MulScalar(s))
	}, []*Tensor{x}})
}

// RemainderScalar returns what is left of x divided by s, with the sign of s.
func (x *Tensor) RemainderScalar(s float64) *Tensor {
	out := scalar("RemainderScalar", backend.Remainder, x, s, false)
	return record("RemainderScalar", out, partial{of: x, grad: identity})
}

// FmodScalar returns what is left of x divided by s, with the sign of x.
func (x *Tensor) FmodScalar(s float64) *Tensor {
	out := scalar("FmodScalar", backend.Fmod, x, s, false)
	return record("FmodScalar", out, partial{of: x, grad: identity})
}

// compareScalar computes a comparison with a number.
func compareScalar(name string, op backend.BinaryOp, x *Tensor, s float64) *Tensor {
	return autograd.RecordNothing(name, scalar(name, op, x, s, false), x)
}

// EqScalar reports for each element whether it equals s.
func (x *Tensor) EqScalar(s float64) *Tensor { return compareScalar("EqScalar", backend.Eq, x, s) }

// NeScalar reports for each element whether it differs from s.
func (x *Tensor) NeScalar(s float64) *Tensor { return compareScalar("NeScalar", backend.Ne, x, s) }

// LtScalar reports for each element whether it is less than s.
func (x *Tensor) LtScalar(s float64) *Tensor { return compareScalar("LtScalar", backend.Lt, x, s) }

// LeScalar reports for each element whether it is at most s.
func (x *Tensor) LeScalar(s float64) *Tensor { return compareScalar("LeScalar", backend.Le, x, s) }

// GtScalar reports for each element whether it is greater than s.
func (x *Tensor) GtScalar(s float64) *Tensor { return compareScalar("GtScalar", backend.Gt, x, s) }

// GeScalar reports for each element whether it is at least s.
func (x *Tensor) GeScalar(s float64) *Tensor { return compareScalar("GeScalar", backend.Ge, x, s) }

// scalarInPlace overwrites x with op(x, s). It records nothing.
func (x *Tensor) scalarInPlace(name string, op backend.BinaryOp, s float64) *Tensor {
	x.wantWritable(name)
	x.wantScalar(name, op, s, false)
	x.be().BinaryScalar(x.array(), x.array(), s, false, op)
	x.changed(name, nil)
	return x
}

// AddScalarInPlace adds s to x. It is not recorded. It returns x.
func (x *Tensor) AddScalarInPlace(s float64) *Tensor {
	return x.scalarInPlace("AddScalarInPlace", backend.Add, s)
}

// MulScalarInPlace multiplies x by s. It is not recorded. It returns x.
func (x *Tensor) MulScalarInPlace(s float64) *Tensor {
	return x.scalarInPlace("MulScalarInPlace", backend.Mul, s)
}
