package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/ops"
)

// Softmax returns exp(x) divided by its sum along one dimension.
// (torch.softmax)
func (x *Tensor) Softmax(dim int) *Tensor { return x.softmax("Softmax", dim, false) }

// LogSoftmax returns the logarithm of Softmax, which stays exact where that
// would round to 0. (torch.log_softmax)
func (x *Tensor) LogSoftmax(dim int) *Tensor { return x.softmax("LogSoftmax", dim, true) }

func (x *Tensor) softmax(name string, dim int, log bool) *Tensor {
	x.wantFloat(name)
	op := ops.Softmax{Dim: x.dim(name, dim), Log: log}
	out := like(name, x)
	x.be().Softmax(out.array(), x.array(), log, x.shape.split(op.Dim))
	if !tracked(name, out, x) {
		return out
	}
	y := out.bare()
	autograd.Record(op, out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		return []*Tensor{softmaxGrad(op, dy, y)}
	}, y)
	tape.Saved(y, out)
	return out
}

// softmaxGrad returns the gradient of softmax's operand from that of its result y.
func softmaxGrad(op ops.Softmax, dy, y *Tensor) *Tensor {
	value := ops.SoftmaxGrad{Softmax: op}
	name := value.Name()
	dx := like(name, y, dy)
	dy.be().SoftmaxGrad(dx.array(), dy.array(), y.array(), op.Log, y.shape.split(op.Dim))
	if !tracked(name, dx, dy, y) {
		return dx
	}
	ds, ys, t := dy.saved(), y.saved(), dy.DType()
	needDy, needY := dy.RequiresGrad(), y.RequiresGrad()
	return autograd.Record(value, dx, []*Tensor{dy, y}, func(g *Tensor) []*Tensor {
		g = g.ToDType(wideType(t))
		dy, y := with(g, ds), with(g, ys)
		sum := func(x *Tensor) *Tensor { return sumTo(x, along(x.shape, op.Dim)) }
		var toDy, toY *Tensor
		switch {
		case op.Log: // dy - exp(y)·Σdy
			p := y.Exp()
			if needDy {
				toDy = g.Sub(sum(g.Mul(p))).ToDType(t)
			}
			if needY {
				toY = g.Mul(p).Mul(sum(dy)).Neg().ToDType(t)
			}
		default: // y·(dy - Σdy·y)
			if needDy {
				toDy = softmaxGrad(op, g, y).ToDType(t)
			}
			if needY {
				toY = g.Mul(dy.Sub(sum(dy.Mul(y)))).Sub(dy.Mul(sum(g.Mul(y)))).ToDType(t)
			}
		}
		return []*Tensor{toDy, toY}
	}, dy, y)
}

// along returns the shape with size 1 in dimension dim; a scalar's stays.
func along(s Shape, dim int) Shape {
	if len(s) == 0 {
		return s
	}
	s = slices.Clone(s)
	s[dim] = 1
	return s
}
