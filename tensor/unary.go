package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// unary computes an elementwise function of a floating-point tensor, with its
// gradient.
func (x *Tensor) unary(name string, op backend.UnaryOp, p backend.UnaryParams) *Tensor {
	x.wantFloat(name)
	out := like(name, x)
	x.be().Unary(out.array(), x.array(), op, p)
	var savedX, savedY *Tensor
	usesX, usesY := op.GradUses()
	if usesX {
		savedX = x.Detach()
	}
	if usesY {
		savedY = out.Detach()
	}
	return autograd.Record(name, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		dx := like(name, g, savedX, savedY)
		g.be().UnaryGrad(dx.array(), g.array(), savedX.array(), savedY.array(), op, p)
		return []*Tensor{dx}
	}, savedX, savedY)
}

// ReLU returns max(x, 0). (torch.relu)
func (x *Tensor) ReLU() *Tensor { return x.unary("ReLU", backend.ReLU, backend.UnaryParams{}) }

// ReLUInPlace replaces x by max(x, 0) without new memory and returns x. Unlike
// other in-place operations it is recorded, as PyTorch's relu_ is: x stands for
// the new value from now on. Backward panics if the operation that made x needs
// the old value.
func (x *Tensor) ReLUInPlace() *Tensor {
	const name = "ReLUInPlace"
	x.wantFloat(name)
	x.check(name)
	autograd.CheckInPlace(name, x)
	x.be().Unary(x.array(), x.array(), backend.ReLU, backend.UnaryParams{})
	x.wrote()
	y := x.Detach()
	return autograd.RecordInPlace(name, x, func(g *Tensor) []*Tensor {
		dx := like(name, g, y)
		g.be().UnaryGrad(dx.array(), g.array(), backend.Array{}, y.array(), backend.ReLU, backend.UnaryParams{})
		return []*Tensor{dx}
	}, y)
}
