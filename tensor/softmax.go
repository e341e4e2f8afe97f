package tensor

import (
	"github.com/wick-ml/wick/autograd"
)

// Softmax returns exp(x) divided by its sum along one dimension.
// (torch.softmax)
func (x *Tensor) Softmax(dim int) *Tensor { return x.softmax("Softmax", dim, false) }

// LogSoftmax returns the logarithm of Softmax, which stays exact where that
// would round to 0. (torch.log_softmax)
func (x *Tensor) LogSoftmax(dim int) *Tensor { return x.softmax("LogSoftmax", dim, true) }

func (x *Tensor) softmax(op string, dim int, log bool) *Tensor {
	x.wantFloat(op)
	g := x.shape.split(x.dim(op, dim))
	out := like(op, x)
	x.be().Softmax(out.array(), x.array(), log, g)
	y := out.bare()
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := like(op, y, dy)
		y.be().SoftmaxGrad(dx.array(), dy.array(), y.array(), log, g)
		return []*Tensor{dx}
	}, y)
}
