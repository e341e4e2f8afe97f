package tensor

import "github.com/wick-ml/wick/autograd"

// Cumsum returns the sums of all elements up to each along one dimension. Those
// of Int64, Uint8 and Bool are Int64. (torch.cumsum)
func (x *Tensor) Cumsum(dim int) *Tensor {
	const op = "Cumsum"
	dim = x.dim(op, dim)
	out := x.cumsum(op, dim, false)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.cumsum(op, dim, true)}
	})
}

func (x *Tensor) cumsum(op string, dim int, reverse bool) *Tensor {
	t := x.DType()
	if !t.IsFloat() {
		t = Int64
	}
	out := result(op, t, x.shape, x)
	if out.Len() > 0 { // empty rows may be any number
		x.be().Cumsum(out.array(), x.array(), reverse, x.shape.split(dim))
	}
	return out
}
