package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/ops"
)

// Sort returns the elements in order along one dimension, and where each of
// them was (Int64). Equal elements keep their order; NaN counts as the largest.
// (torch.sort with stable=True)
func (x *Tensor) Sort(dim int, descending bool) (values, indices *Tensor) {
	const op = "Sort"
	dim = x.dim(op, dim)
	return x.sorted(op, dim, x.shape.split(dim).N, descending)
}

// ArgSort returns the indices (Int64) that put the elements in order along one
// dimension. Equal elements keep their order; NaN counts as the largest.
// (torch.argsort with stable=True)
func (x *Tensor) ArgSort(dim int, descending bool) *Tensor {
	const op = "ArgSort"
	dim = x.dim(op, dim)
	_, indices := x.bare().sorted(op, dim, x.shape.split(dim).N, descending)
	if !tracked(op, indices, x) {
		return indices
	}
	return autograd.RecordNothing(ops.ArgSort{Dim: dim, Descending: descending}, indices, x)
}

// TopK returns the k largest elements along one dimension, largest first, and
// where they were (Int64); the k smallest, smallest first, if largest is false.
// Of equal elements the first come first; NaN counts as the largest.
// (torch.topk)
func (x *Tensor) TopK(k, dim int, largest bool) (values, indices *Tensor) {
	const op = "TopK"
	dim = x.dim(op, dim)
	size := x.shape.split(dim).N
	if k < 0 || k > size {
		fail(op, "k is %d for dimension %d of %v, want 0 to %d", k, dim, x.shape, size)
	}
	if len(x.shape) == 0 {
		k = 1 // PyTorch, too, has a scalar for k = 0
	}
	return x.sorted(op, dim, k, largest)
}

// sorted returns the first k entries along dim in sorted order.
func (x *Tensor) sorted(op string, dim, k int, descending bool) (values, indices *Tensor) {
	x = x.Contiguous()
	split := x.shape.split(dim)
	values, indices = like(op, x), result(op, Int64, x.shape, x)
	x.be().Sort(values.array(), indices.array(), x.array(), descending, split)
	if k < split.N {
		shape := slices.Clone(x.shape)
		shape[dim] = k
		all, allAt := values, indices
		values = all.strided(op, shape, x.shape.strides(), 0)
		indices = allAt.strided(op, shape, x.shape.strides(), 0)
		all.release()
		allAt.release()
	}
	value := func(indices bool) autograd.Op {
		if op == "Sort" {
			return ops.Sort{Dim: dim, Descending: descending, Indices: indices}
		}
		return ops.TopK{K: k, Dim: dim, Largest: descending, Indices: indices}
	}
	if tracked(op, indices, x) {
		autograd.RecordNothing(value(true), indices, x)
	}
	if !tracked(op, values, x) {
		return values, indices
	}
	from, at := x.shape, indices.bare()
	autograd.Record(value(false), values, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.scattered(from, dim, with(g, at))}
	}, at)
	return values, indices
}
