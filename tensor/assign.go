package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// The operations of this file assign to some elements of a tensor, as x[mask] = v and
// x[index] = y do in Python; x[:, 0] = y is x.Select(1, 0).CopyFrom(y).

// MaskedFillInPlace sets the elements of x at which mask (Bool, broadcast to x) is true
// to v: x[mask] = v. It is not recorded. It returns x. (torch.Tensor.masked_fill_)
func (x *Tensor) MaskedFillInPlace(mask *Tensor, v float64) *Tensor {
	const name = "MaskedFillInPlace"
	x.wantWritable(name)
	x.wantMask(name, mask)
	if x.DType() == Bool && v != 0 {
		v = 1
	}
	x.wantRepresentable(name, v)
	from := mask.bare().apart(x)
	number := result(name, x.DType(), Shape{}, x, mask)
	x.be().Fill(number.array(), v)
	x.rewrite(func(x *Tensor) { x.choose(from, number) })
	number.release()
	mask.releaseCopy(from)
	x.assigned(ops.Assign{Method: name, Value: v}, mask)
	return x
}

// MaskedScatterInPlace sets the elements of x at which mask (Bool, broadcast to x) is
// true to those of src, of x's type, one after another, row by row: x[mask] = src. src
// has as many as that, or more. It waits until a device has counted them. It is not
// recorded. It returns x. (torch.Tensor.masked_scatter_)
func (x *Tensor) MaskedScatterInPlace(mask, src *Tensor) *Tensor {
	const name = "MaskedScatterInPlace"
	x.wantWritable(name)
	x.wantMask(name, mask)
	x.wantDType(name, src)
	if x.Len() > 0 {
		from := mask.bare().Expand(x.shape...).dense()
		rank := from.alias(Shape{x.Len()}).Cumsum(0) // 1 for the first
		n := int(rank.bare().Narrow(0, x.Len()-1, 1).Item())
		if n > src.Len() {
			fail(name, "the mask %v is true at %d elements of %v, the source %v has %d", mask.shape, n, x.shape, src.shape, src.Len())
		}
		if n > 0 {
			taken := src.alias(Shape{src.Len()}).IndexSelect(0, rank.AddScalarInPlace(-1).ClampInPlace(0, float64(n-1))).alias(x.shape)
			x.rewrite(func(x *Tensor) { x.choose(from, taken) })
			taken.release()
		}
		rank.release()
		mask.releaseCopy(from)
	}
	x.assigned(ops.Assign{Method: name}, mask, src)
	return x
}

// wantMask panics unless mask is one for x.
func (x *Tensor) wantMask(name string, mask *Tensor) {
	if mask.DType() != Bool {
		fail(name, "the mask is %s, want bool; a comparison makes one", mask.DType())
	}
	if !mask.shape.broadcastsTo(x.shape) {
		fail(name, "the mask %v does not broadcast to the destination %v", mask.shape, x.shape)
	}
}

// choose replaces the elements of x, which lie row by row, by those of y where mask is true.
func (x *Tensor) choose(mask, y *Tensor) {
	s := x.shape
	x.be().Where(x.array(), mask.window(), y.window(), x.array(), backend.WhereGeom{Shape: s, Cond: mask.stridesIn(s), A: y.stridesIn(s), B: s.strides()})
}

// IndexCopyInPlace copies the entries of src along dimension dim to those entries of x
// that index, of one dimension or a scalar, names: x[index] = src for dimension 0. Of
// two for one place the last one stays. It waits until the index is on the host. It is
// not recorded. It returns x. (torch.Tensor.index_copy_)
func (x *Tensor) IndexCopyInPlace(dim int, index, src *Tensor) *Tensor {
	const name = "IndexCopyInPlace"
	x.wantWritable(name)
	src.check(name)
	dim = x.dim(name, dim)
	if want := x.entries(name, dim, index); !src.shape.Equal(want) {
		fail(name, "the source is %v, want %v: %d entries along dimension %d of %v", src.shape, want, index.Len(), dim, x.shape)
	}
	from := src.bare()
	if from.overlaps(x) {
		from = from.Clone()
	}
	x.eachEntry(name, dim, index, func(entry *Tensor, i int) { entry.CopyFrom(from.bare().line(name).Select(dim, i)) })
	src.releaseCopy(from)
	x.assigned(ops.Assign{Method: name, Dim: dim}, index, src)
	return x
}

// IndexFillInPlace sets the entries of x along dimension dim that index, of one
// dimension or a scalar, names to v: x[index] = v for dimension 0. It waits until the
// index is on the host. It is not recorded. It returns x. (torch.Tensor.index_fill_)
func (x *Tensor) IndexFillInPlace(dim int, index *Tensor, v float64) *Tensor {
	const name = "IndexFillInPlace"
	x.wantWritable(name)
	dim = x.dim(name, dim)
	x.entries(name, dim, index)
	wantFill(name, x.DType(), v)
	x.eachEntry(name, dim, index, func(entry *Tensor, _ int) { entry.Fill(v) })
	x.assigned(ops.Assign{Method: name, Dim: dim, Value: v}, index)
	return x
}

// eachEntry calls f for each entry of x along dim that index names, all of which exist.
func (x *Tensor) eachEntry(name string, dim int, index *Tensor, f func(entry *Tensor, i int)) {
	places := index.Ints()
	size := x.shape.split(dim).N
	for i, place := range places {
		if place < 0 || place >= int64(size) {
			use := &indexUse{op: name, index: index.shape, of: x.shape, dim: dim}
			panic(use.BadIndex(&backend.IndexError{Index: place, Position: i, Size: size}))
		}
	}
	whole := x.bare().line(name)
	for i, place := range places {
		f(whole.Select(dim, int(place)), i)
	}
}

// IndexAddInPlace adds the entries of src along dimension dim to those entries of x that
// index, of one dimension or a scalar, names. It is not recorded. It returns x.
// (torch.Tensor.index_add_)
func (x *Tensor) IndexAddInPlace(dim int, index, src *Tensor) *Tensor {
	const name = "IndexAddInPlace"
	x.wantWritable(name)
	dim = x.dim(name, dim)
	want := x.entries(name, dim, index)
	x.wantDType(name, src)
	x.wantNumber(name)
	if !src.shape.Equal(want) {
		fail(name, "the source is %v, want %v: %d entries along dimension %d of %v", src.shape, want, index.Len(), dim, x.shape)
	}
	from := src.bare()
	if from.overlaps(x) {
		from = from.Clone()
	}
	split := x.shape.split(dim)
	geom := backend.IndexGeom{Outer: split.Outer, N: split.N, M: index.Len(), Inner: split.Inner}
	use := &indexUse{op: name, path: x.Path(), index: index.shape, of: x.shape, dim: dim}
	x.rewrite(func(x *Tensor) { use.check(x.be().IndexAdd(x.array(), index.array(), from.array(), geom, use)) })
	src.releaseCopy(from)
	x.assigned(ops.Assign{Method: name, Dim: dim}, index, src)
	return x
}

// assigned notes that op has changed x, and tells x's watch what it read.
func (x *Tensor) assigned(op ops.Assign, read ...*Tensor) {
	x.wrote()
	if x.Watched() != nil {
		autograd.Changed(op, x, read...)
	}
}
