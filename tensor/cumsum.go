package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/ops"
)

// Cumsum returns the sums of all elements up to each along one dimension. Those
// of Int64, Uint8 and Bool are Int64. (torch.cumsum)
func (x *Tensor) Cumsum(dim int) *Tensor { return x.cumsum(x.dim("Cumsum", dim), false) }

// cumsum adds up from the end if reverse.
func (x *Tensor) cumsum(dim int, reverse bool) *Tensor {
	const op = "Cumsum"
	t := x.DType()
	if !t.IsFloat() {
		t = Int64
	}
	out := result(op, t, x.shape, x)
	if out.Len() > 0 { // empty rows may be any number
		x.be().Cumsum(out.array(), x.array(), reverse, x.shape.split(dim))
	}
	if !tracked(op, out, x) {
		return out
	}
	return autograd.Record(ops.Cumsum{Dim: dim, Reverse: reverse}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.cumsum(dim, !reverse)}
	})
}
