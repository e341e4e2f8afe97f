package tensor

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// wantIndex panics unless index has type Int64.
func wantIndex(op string, index *Tensor) {
	if index.DType() != Int64 {
		fail(op, "the index is %s, want int64; ToDType converts", index.DType())
	}
}

// indexUse is an operation that uses an index: what its error says of a bad one,
// whether the backend finds it at once or tells of it when something is read.
type indexUse struct {
	op, path string // path is of the parameter that is indexed, if it is one
	index    Shape
	of       Shape // what the index goes into
	dim      int   // the dimension of it; that of the classes for labels
	labels   bool
	ignore   int // the label of what does not count
}

// Key returns a text that names all fields.
func (u *indexUse) Key() string {
	b := append([]byte(u.op), ' ')
	b = append(append(b, u.path...), ' ')
	for _, n := range u.index {
		b = append(strconv.AppendInt(b, int64(n), 10), ' ')
	}
	b = append(b, "in"...)
	for _, n := range u.of {
		b = strconv.AppendInt(append(b, ' '), int64(n), 10)
	}
	b = strconv.AppendInt(append(b, ' '), int64(u.dim), 10)
	if u.labels {
		b = strconv.AppendInt(append(b, ' '), int64(u.ignore), 10)
	}
	return string(b)
}

// BadIndex returns the *Error that says which index is out of range, and where.
func (u *indexUse) BadIndex(e *backend.IndexError) error {
	at := u.index.place(e.Position)
	var sentence string
	switch {
	case u.labels:
		sentence = fmt.Sprintf("label %d at position %v is out of range: the input %v has %d classes, want 0 to %d, or %d to ignore it",
			e.Index, at, u.of, e.Size, e.Size-1, u.ignore)
	case e.Size == 0:
		sentence = fmt.Sprintf("index %d at position %v is out of range for dimension %d of %v, which has no entries", e.Index, at, u.dim, u.of)
	default:
		sentence = fmt.Sprintf("index %d at position %v is out of range for dimension %d of %v, want 0 to %d", e.Index, at, u.dim, u.of, e.Size-1)
	}
	err := &Error{Op: u.op, Err: &badIndex{sentence, e}}
	if u.path != "" {
		err.Layer, err.rooted = parent(u.path), true
	}
	return err
}

// check panics with the sentence about an error that the backend has returned.
func (u *indexUse) check(err error) {
	if err == nil {
		return
	}
	var e *backend.IndexError
	if !errors.As(err, &e) {
		panic(err)
	}
	panic(u.BadIndex(e))
}

// badIndex is a sentence about an IndexError.
type badIndex struct {
	sentence string
	err      *backend.IndexError
}

func (e *badIndex) Error() string { return e.sentence }
func (e *badIndex) Unwrap() error { return e.err }

// place turns the position of an element, counted row by row, into an index for
// each dimension.
func (s Shape) place(position int) []int {
	at := make([]int, len(s))
	for d := len(s) - 1; d >= 0; d-- {
		at[d] = position % s[d]
		position /= s[d]
	}
	return at
}

// zeros returns zeros of the given shape for an operation on x.
func zeros(op string, shape Shape, x *Tensor) *Tensor {
	out := result(op, x.DType(), shape, x)
	x.be().Fill(out.array(), 0)
	return out
}

// corner returns the leading entries of x in each dimension, as many as shape
// has; x itself if that is all. It records nothing.
func (x *Tensor) corner(op string, shape Shape) *Tensor {
	if x.shape.Equal(shape) {
		return x
	}
	return x.strided(op, shape, x.shape.strides(), 0)
}

// inCorner returns zeros of the given shape with x as their leading entries; x
// itself if that is all. It records nothing.
func (x *Tensor) inCorner(op string, shape Shape) *Tensor {
	if x.shape.Equal(shape) {
		return x
	}
	out := zeros(op, shape, x)
	x.be().StridedWrite(out.array(), x.array(), backend.StridedGeom{Shape: x.shape, Strides: shape.strides()})
	return out
}

// wantFits panics unless index has x's number of dimensions and is nowhere
// larger, but for dimension except.
func wantFits(op, what string, x, index *Tensor, except int) {
	ok := len(x.shape) == len(index.shape)
	for d := 0; ok && d < len(x.shape); d++ {
		ok = d == except || index.shape[d] <= x.shape[d]
	}
	if ok {
		return
	}
	but := ""
	if except >= 0 {
		but = fmt.Sprintf(", but for dimension %d", except)
	}
	fail(op, "the index %v does not fit %s %v, want as many dimensions and no larger size%s", index.shape, what, x.shape, but)
}

// Gather picks elements along one dimension: element (i, j, k) of the result is
// element (i, index[i][j][k], k) of x, for dimension 1 of three. The result has
// the index's shape, which may be smaller than x in the other dimensions.
// (torch.gather)
func (x *Tensor) Gather(dim int, index *Tensor) *Tensor {
	const op = "Gather"
	if index.Len() > 0 { // none are of any type, as in PyTorch
		wantIndex(op, index)
	}
	if len(x.Shape()) == 0 || len(index.Shape()) == 0 {
		return x.line(op).Gather(dim, index.line(op)).view(op, index.shape)
	}
	dim = x.dim(op, dim)
	if index.Len() > 0 {
		wantFits(op, "the tensor", x, index, dim)
	}
	out := result(op, x.DType(), index.shape, x, index)
	if index.Len() > 0 {
		block, geom := gathering(x.shape, dim, index.shape)
		x = x.Contiguous()
		from := x.corner(op, block)
		use := &indexUse{op: op, index: index.shape, of: x.shape, dim: dim}
		err := x.be().Gather(out.array(), from.array(), index.array(), geom, use)
		if from != x {
			from.release()
		}
		use.check(err)
	}
	if !tracked(op, out, x, index) {
		return out
	}
	shape, at := x.shape, index.bare()
	return autograd.Record(ops.Gather{Dim: dim}, out, []*Tensor{x, index}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.scattered(shape, dim, with(g, at)), nil}
	}, at)
}

// gathering returns the part of a shape that an index of another shape reads along
// dimension dim, and the geometry of that.
func gathering(shape Shape, dim int, index Shape) (block Shape, geom backend.IndexGeom) {
	block = slices.Clone(index)
	block[dim] = shape[dim]
	split := index.split(dim)
	return block, backend.IndexGeom{Outer: split.Outer, N: block[dim], M: split.N, Inner: split.Inner}
}

// scattered returns zeros of the given shape with x, of the index's shape, added at the
// places along dimension dim that the index names: the gradient of Gather. The index
// is known to be in range.
func (x *Tensor) scattered(shape Shape, dim int, index *Tensor) *Tensor {
	const op = "GatherGrad"
	if len(shape) == 0 {
		return x.line(op).scattered(Shape{1}, 0, index.line(op)).view(op, shape)
	}
	out := zeros(op, shape, x)
	if index.Len() > 0 {
		block, geom := gathering(shape, dim, index.shape)
		sums := out
		if !block.Equal(shape) {
			sums = zeros(op, block, x)
		}
		use := &indexUse{op: op, index: index.shape, of: shape, dim: dim}
		use.check(out.be().ScatterAdd(sums.array(), index.array(), x.array(), geom, use))
		if sums != out {
			out.be().StridedWrite(out.array(), sums.array(), backend.StridedGeom{Shape: block, Strides: shape.strides()})
			sums.release()
		}
	}
	if !tracked(op, out, x, index) {
		return out
	}
	at := index.bare()
	return autograd.Record(ops.GatherGrad{Shape: shape, Dim: dim}, out, []*Tensor{x, index}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.Gather(dim, with(g, at)), nil}
	}, at)
}

// ScatterAdd returns x with src added at places along one dimension: element
// (i, j, k) of src goes to (i, index[i][j][k], k), for dimension 1 of three. The
// index may be smaller than src, and than x in the other dimensions.
// (torch.scatter_add)
func (x *Tensor) ScatterAdd(dim int, index, src *Tensor) *Tensor {
	const op = "ScatterAdd"
	if index.Len() > 0 { // none are of any type, as in PyTorch
		wantIndex(op, index)
	}
	if len(x.Shape()) == 0 || len(index.Shape()) == 0 || len(src.Shape()) == 0 {
		return x.line(op).ScatterAdd(dim, index.line(op), src.line(op)).view(op, x.shape)
	}
	dim = x.dim(op, dim)
	x.wantDType(op, src)
	if x.DType() == Bool { // a sum of truth values is true where one of them is
		return x.ToDType(Int64).ScatterAdd(dim, index, src.ToDType(Int64)).ToDType(Bool)
	}
	if index.Len() > 0 {
		wantFits(op, "the tensor", x, index, dim)
		wantFits(op, "the source", src, index, -1)
	}
	out := like(op, x, index, src)
	x.copyTo(out)
	if index.Len() > 0 {
		block, geom := gathering(x.shape, dim, index.shape)
		src = src.Contiguous()
		sums, terms := out.corner(op, block), src.corner(op, index.shape)
		use := &indexUse{op: op, index: index.shape, of: x.shape, dim: dim}
		use.check(x.be().ScatterAdd(sums.array(), index.array(), terms.array(), geom, use))
		if terms != src {
			terms.release()
		}
		if sums != out {
			x.be().StridedWrite(out.array(), sums.array(), backend.StridedGeom{Shape: block, Strides: x.shape.strides()})
			sums.release()
		}
	}
	if !tracked(op, out, x, index, src) {
		return out
	}
	from, at := src.shape, index.bare()
	return autograd.Record(ops.ScatterAdd{Dim: dim}, out, []*Tensor{x, index, src}, func(g *Tensor) []*Tensor {
		terms := g.Gather(dim, with(g, at))
		if !at.shape.Equal(from) {
			terms = terms.placed(from, from.strides(), 0)
		}
		return []*Tensor{g, nil, terms}
	}, at)
}

// IndexSelect returns the entries of x along one dimension that index, of one
// dimension or a scalar, names. The entries of a scalar are itself alone.
// (torch.index_select)
func (x *Tensor) IndexSelect(dim int, index *Tensor) *Tensor {
	const op = "IndexSelect"
	dim = x.dim(op, dim)
	shape := x.entries(op, dim, index)
	out := indexSelect(op, x, dim, index, shape)
	if !tracked(op, out, x, index) {
		return out
	}
	from, at := x.shape, index.bare()
	return autograd.Record(ops.IndexSelect{Dim: dim}, out, []*Tensor{x, index}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.indexAdded(from, dim, with(g, at), -1), nil}
	}, at)
}

// entries returns the shape of as many entries of x along dim as index names, and
// panics unless index is an index of one dimension or a scalar.
func (x *Tensor) entries(op string, dim int, index *Tensor) Shape {
	wantIndex(op, index)
	if len(index.shape) > 1 {
		fail(op, "the index is %v, want one dimension", index.shape)
	}
	shape := slices.Clone(x.shape)
	if len(shape) > 0 {
		shape[dim] = index.Len()
	} else if index.Len() != 1 {
		fail(op, "the index %v has %d elements for a scalar, want one", index.shape, index.Len())
	}
	return shape
}

// indexSelect selects entries of x, gives the result the given shape and records nothing.
func indexSelect(op string, x *Tensor, dim int, index *Tensor, shape Shape) *Tensor {
	out := result(op, x.DType(), shape, x, index)
	split := x.shape.split(dim)
	geom := backend.IndexGeom{Outer: split.Outer, N: split.N, M: index.Len(), Inner: split.Inner}
	use := &indexUse{op: op, path: x.Path(), index: index.shape, of: x.shape, dim: dim}
	use.check(x.be().IndexSelect(out.array(), x.array(), index.array(), geom, use))
	return out
}

// indexAdded returns zeros of the given shape with the entries of x added to those along
// dimension dim that the index, known to be in range, names: the gradient of
// IndexSelect, and of Embedding, of whose weight entry padding gets none unless that is
// -1.
func (x *Tensor) indexAdded(shape Shape, dim int, index *Tensor, padding int) *Tensor {
	const op = "IndexSelectGrad"
	out := zeros(op, shape, x)
	split := shape.split(dim)
	geom := backend.IndexGeom{Outer: split.Outer, N: split.N, M: index.Len(), Inner: split.Inner}
	use := &indexUse{op: op, index: index.shape, of: shape, dim: dim}
	use.check(out.be().IndexAdd(out.array(), index.array(), x.array(), geom, use))
	if padding >= 0 {
		row := backend.Array{Buffer: out.storage.buffer, Offset: padding * geom.Inner, Len: geom.Inner}
		out.be().Fill(row, 0)
	}
	if !tracked(op, out, x, index) {
		return out
	}
	from, at := x.shape, index.bare()
	return autograd.Record(ops.IndexSelectGrad{Shape: shape, Dim: dim, Padding: padding}, out, []*Tensor{x, index}, func(g *Tensor) []*Tensor {
		at := with(g, at).view("View", Shape{at.Len()}) // that of an Embedding may have any shape
		entries := g.IndexSelect(dim, at)
		if padding >= 0 {
			entries = entries.filled(at.EqScalar(float64(padding)).view("View", Shape{at.Len(), 1}), 0)
		}
		return []*Tensor{entries.view("View", from), nil}
	}, at)
}

// IndexAdd returns x with the entries of src along one dimension added to those
// that index, of one dimension or a scalar, names. (torch.index_add)
func (x *Tensor) IndexAdd(dim int, index, src *Tensor) *Tensor {
	const op = "IndexAdd"
	dim = x.dim(op, dim)
	want := x.entries(op, dim, index)
	x.wantDType(op, src)
	if x.DType() == Bool {
		return x.ToDType(Int64).IndexAdd(dim, index, src.ToDType(Int64)).ToDType(Bool)
	}
	if !src.shape.Equal(want) {
		fail(op, "the source is %v, want %v: %d entries along dimension %d of %v", src.shape, want, index.Len(), dim, x.shape)
	}
	out := like(op, x, index, src)
	split := x.shape.split(dim)
	geom := backend.IndexGeom{Outer: split.Outer, N: split.N, M: index.Len(), Inner: split.Inner}
	x.copyTo(out)
	use := &indexUse{op: op, index: index.shape, of: x.shape, dim: dim}
	use.check(x.be().IndexAdd(out.array(), index.array(), src.array(), geom, use))
	if !tracked(op, out, x, index, src) {
		return out
	}
	at := index.bare()
	return autograd.Record(ops.IndexAdd{Dim: dim}, out, []*Tensor{x, index, src}, func(g *Tensor) []*Tensor {
		return []*Tensor{g, nil, g.IndexSelect(dim, with(g, at))}
	}, at)
}

// EmbeddingOpts are the options of [Embedding] and of its layer.
type EmbeddingOpts struct {
	PaddingIdx *int // the row that gets no gradient, and that a new layer fills with zeros; negative counts from the end; nil: none
}

// Embedding returns the rows of weight, a matrix of one row an entry, that index
// names; the result has the index's shape and one dimension more.
// (torch.nn.functional.embedding)
func Embedding(weight, index *Tensor, opts ...EmbeddingOpts) *Tensor {
	const op = "Embedding"
	wantIndex(op, index)
	if len(weight.Shape()) != 2 {
		failAt(op, weight, "the weight is %v, want two dimensions: entries and their size", weight.shape)
	}
	if len(opts) > 1 {
		failAt(op, weight, "got %d EmbeddingOpts, want one at most", len(opts))
	}
	padding := -1
	if len(opts) == 1 && opts[0].PaddingIdx != nil {
		rows := weight.shape[0]
		if padding = *opts[0].PaddingIdx; padding < 0 {
			padding += rows
		}
		if padding < 0 || padding >= rows {
			failAt(op, weight, "the padding index is %d for the weight %v, want %d to %d", *opts[0].PaddingIdx, weight.shape, -rows, rows-1)
		}
	}
	out := indexSelect(op, weight, 0, index, append(slices.Clone(index.shape), weight.shape[1]))
	if !tracked(op, out, weight, index) {
		return out
	}
	from, at := weight.shape, index.bare()
	return autograd.Record(ops.Embedding{Padding: padding}, out, []*Tensor{weight, index}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.indexAdded(from, 0, with(g, at), padding), nil}
	}, at)
}

// Nonzero returns the indices of the elements that are not 0, as an Int64 matrix
// of one row an element and one column a dimension. (torch.nonzero)
func (x *Tensor) Nonzero() *Tensor {
	const op = "Nonzero"
	flat := x.nonzero(op)
	n := flat.Len()
	out := result(op, Int64, Shape{n, len(x.shape)}, x)
	strides := x.shape.strides()
	for d, size := range x.shape {
		// Where along dimension d: flat / stride mod size, exact in integers.
		column := like(op, flat)
		x.be().BinaryScalar(column.array(), flat.array(), float64(strides[d]), false, backend.Div)
		overwriteScalar(column, backend.Remainder, float64(size))
		x.be().StridedWrite(out.array(), column.array(), backend.StridedGeom{Shape: []int{n}, Strides: []int{len(x.shape)}, Offset: d})
		column.release()
	}
	flat.release()
	if !tracked(op, out, x) {
		return out
	}
	return autograd.RecordNothing(ops.Nonzero{}, out, x)
}

// nonzero returns the flat positions of the elements that are not 0.
func (x *Tensor) nonzero(op string) *Tensor {
	all := result(op, Int64, Shape{x.Len()}, x)
	n := x.be().Nonzero(all.array(), x.array())
	found := all.strided(op, Shape{n}, []int{1}, 0)
	all.release()
	return found
}

// MaskedSelect returns the elements of x at which mask (Bool, broadcast against
// x) is true, in one dimension. (torch.masked_select)
func (x *Tensor) MaskedSelect(mask *Tensor) *Tensor {
	const op = "MaskedSelect"
	if mask.DType() != Bool {
		fail(op, "the mask is %s, want bool; a comparison makes one", mask.DType())
	}
	shape := broadcast(op, x.Shape(), mask.Shape())
	from := x.shape
	wide, wideMask := x, mask
	if !shape.Equal(from) {
		wide = x.bare().Expand(shape...).dense()
	}
	if !shape.Equal(mask.shape) {
		wideMask = mask.bare().Expand(shape...).dense()
	}
	at := wideMask.nonzero(op)
	geom := backend.IndexGeom{Outer: 1, N: shape.Len(), M: at.Len(), Inner: 1}
	out := result(op, x.DType(), Shape{at.Len()}, x, mask)
	use := &indexUse{op: op, index: at.shape, of: shape}
	use.check(x.be().IndexSelect(out.array(), wide.array(), at.array(), geom, use))
	x.releaseCopy(wide)
	mask.releaseCopy(wideMask)
	if !tracked(op, out, x, mask) {
		return out
	}
	return autograd.Record(ops.MaskedSelect{}, out, []*Tensor{x, mask}, func(g *Tensor) []*Tensor {
		return []*Tensor{sumTo(g.scattered(Shape{shape.Len()}, 0, with(g, at)).view("View", shape), from), nil}
	})
}

// OneHot returns Int64 rows of the given number of classes that are 1 at the
// index and 0 elsewhere, in a new last dimension. With classes -1 there are as
// many as the largest index needs. (torch.nn.functional.one_hot)
func OneHot(index *Tensor, classes int) *Tensor {
	const op = "OneHot"
	wantIndex(op, index)
	if classes == -1 {
		if index.Len() == 0 {
			fail(op, "the number of classes does not follow from an index without elements, want it given")
		}
		largest := index.bare().Amax().Ints()[0]
		if largest >= math.MaxInt {
			fail(op, "%w: the index has %d, and so many classes have too many elements", ErrOutOfMemory, largest)
		}
		classes = int(largest) + 1
	}
	if classes < 1 {
		fail(op, "got %d classes, want 1 or more, or -1 for as many as the index needs", classes)
	}
	out := result(op, Int64, append(slices.Clone(index.shape), classes), index)
	ones := result(op, Int64, Shape{index.Len()}, index)
	index.be().Fill(ones.array(), 1)
	index.be().Fill(out.array(), 0)
	use := &indexUse{op: op, index: index.shape, of: out.shape, dim: len(index.shape)}
	use.check(index.be().ScatterAdd(out.array(), index.array(), ones.array(), backend.IndexGeom{Outer: index.Len(), N: classes, M: 1, Inner: 1}, use))
	if !tracked(op, out, index) {
		return out
	}
	return autograd.RecordNothing(ops.OneHot{Classes: classes}, out, index)
}

// CountEqual returns the number of places at which two tensors of one type and
// shape are equal. It waits until a device has computed them.
func CountEqual(a, b *Tensor) int {
	const op = "CountEqual"
	a.wantDType(op, b)
	if !a.shape.Equal(b.shape) {
		fail(op, "the tensors are %v and %v, want one shape", a.shape, b.shape)
	}
	same := binary(op, backend.Eq, a, b)
	n := same.Sum().Ints()[0]
	same.release()
	return int(n)
}
