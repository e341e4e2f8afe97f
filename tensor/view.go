package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// view returns x's memory in another shape and records that.
func (x *Tensor) view(op string, shape Shape) *Tensor {
	x.check(op)
	from := x.shape
	out := x.alias(shape, 0)
	out.MarkView(&x.variable)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.alias(from, 0)}
	})
}

// View returns x's elements in another shape, sharing its memory. One size may
// be -1: it is what is left. (torch.Tensor.view; since tensors are always
// contiguous, it is the same as Reshape.)
func (x *Tensor) View(dims ...int) *Tensor { return x.view("View", fitShape("View", dims, x.Len())) }

// Reshape returns x's elements in another shape, sharing its memory. One size
// may be -1: it is what is left.
func (x *Tensor) Reshape(dims ...int) *Tensor {
	return x.view("Reshape", fitShape("Reshape", dims, x.Len()))
}

// Flatten makes one dimension of the dimensions from, from+1 … to, or of from and
// all behind it without to, sharing x's memory: Flatten(1) keeps the batch
// dimension, as torch.nn.Flatten does, and Flatten(0, 1) joins it with the next.
// A scalar becomes a vector of one element. (torch.flatten)
func (x *Tensor) Flatten(from int, to ...int) *Tensor {
	const op = "Flatten"
	if len(to) > 1 {
		fail(op, "got the last dimensions %v, want one at most", to)
	}
	first, last := x.dim(op, from), max(len(x.shape)-1, 0)
	if len(to) == 1 {
		last = x.dim(op, to[0])
	}
	if last < first {
		fail(op, "dimensions %d to %d of %v are none, want the first before the last", first, last, x.shape)
	}
	if len(x.shape) == 0 {
		return x.view(op, Shape{1})
	}
	if !x.shape[first : last+1].fits() {
		fail(op, "dimensions %d to %d of %v make one that is too large", first, last, x.shape)
	}
	return x.view(op, slices.Concat(x.shape[:first], Shape{x.shape[first : last+1].Len()}, x.shape[last+1:]))
}

// Squeeze removes the given dimensions where they have size 1, or without
// arguments all of size 1, sharing x's memory. A list of dimensions that may be
// empty is for SqueezeDims. (torch.squeeze)
func (x *Tensor) Squeeze(dims ...int) *Tensor {
	if len(dims) > 0 {
		return x.SqueezeDims(dims)
	}
	shape := slices.DeleteFunc(slices.Clone(x.Shape()), func(n int) bool { return n == 1 })
	return x.view("Squeeze", shape)
}

// SqueezeDims removes those of the given dimensions that have size 1, sharing x's
// memory; without dimensions in the list, none. (torch.squeeze with a tuple)
func (x *Tensor) SqueezeDims(dims []int) *Tensor {
	const op = "Squeeze"
	named := make([]bool, max(len(x.Shape()), 1))
	for _, d := range dims {
		d = x.dim(op, d)
		if named[d] {
			fail(op, "dimension %d of %v is named twice", d, x.shape)
		}
		named[d] = true
	}
	shape := Shape{}
	for i, n := range x.shape {
		if n != 1 || !named[i] {
			shape = append(shape, n)
		}
	}
	return x.view(op, shape)
}

// Unsqueeze inserts a dimension of size 1 before dimension dim, sharing x's
// memory; negative dimensions count from behind the last. (torch.unsqueeze)
func (x *Tensor) Unsqueeze(dim int) *Tensor { return x.unsqueeze("Unsqueeze", dim) }

func (x *Tensor) unsqueeze(op string, dim int) *Tensor {
	n := len(x.Shape())
	if dim < -n-1 || dim > n {
		fail(op, "dimension %d cannot be inserted into %v, want %d to %d", dim, x.shape, -n-1, n)
	}
	if dim < 0 {
		dim += n + 1
	}
	return x.view(op, slices.Insert(slices.Clone(x.shape), dim, 1))
}

// line returns a scalar as a vector of one element, and any other tensor as it is.
func (x *Tensor) line(op string) *Tensor {
	if len(x.Shape()) == 0 {
		return x.view(op, Shape{1})
	}
	return x
}

// strided copies a strided view of x into a new tensor and records nothing.
func (x *Tensor) strided(op string, shape Shape, strides []int, offset int) *Tensor {
	out := result(op, x.DType(), shape, x)
	x.be().Strided(out.array(), x.array(), backend.StridedGeom{Shape: out.shape, Strides: strides, Offset: offset})
	return out
}

// Transpose returns a copy of x with two dimensions exchanged. (torch.transpose)
func (x *Tensor) Transpose(i, j int) *Tensor {
	i, j = x.dim("Transpose", i), x.dim("Transpose", j)
	order := make([]int, len(x.shape))
	for k := range order {
		order[k] = k
	}
	if i != j {
		order[i], order[j] = j, i
	}
	return x.Permute(order...)
}

// T returns a copy of a matrix, transposed. A vector and a scalar stay as they
// are, and the result shares their memory. (torch.t)
func (x *Tensor) T() *Tensor {
	switch len(x.Shape()) {
	case 0, 1:
		return x.view("T", x.shape)
	case 2:
		return x.Transpose(0, 1)
	}
	fail("T", "the tensor is %v, want a matrix; Transpose exchanges two dimensions of any tensor", x.shape)
	return nil
}

// Permute returns a copy of x with its dimensions in another order: dimension i
// of the result is dimension order[i] of x. (torch.permute)
func (x *Tensor) Permute(order ...int) *Tensor {
	const op = "Permute"
	if len(order) != len(x.Shape()) {
		fail(op, "the order %v has %d dimensions, the tensor %v has %d", order, len(order), x.shape, len(x.shape))
	}
	strides := x.shape.strides()
	shape, st, back := make(Shape, len(order)), make([]int, len(order)), make([]int, len(order))
	seen := make([]bool, len(order))
	for i, d := range order {
		d = x.dim(op, d)
		if seen[d] {
			fail(op, "the order %v names dimension %d twice", order, d)
		}
		seen[d] = true
		shape[i], st[i], back[d] = x.shape[d], strides[d], i
	}
	out := x.strided(op, shape, st, 0)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.Permute(back...)}
	})
}

// Expand returns a copy of x repeated along dimensions of size 1 to the given
// sizes; -1 keeps a size, and more sizes than x has dimensions add some in front.
func (x *Tensor) Expand(dims ...int) *Tensor {
	const op = "Expand"
	shape := Shape(slices.Clone(dims))
	lead := len(shape) - len(x.Shape())
	ok := lead >= 0
	for i := range shape {
		if !ok {
			break
		}
		if i >= lead && shape[i] == -1 {
			shape[i] = x.shape[i-lead]
		}
		ok = shape[i] >= 0 && (i < lead || x.shape[i-lead] == shape[i] || x.shape[i-lead] == 1)
	}
	if !ok {
		fail(op, "%v does not expand to %v: sizes must be equal, aligned at the last, or be 1 in the tensor", x.shape, Shape(dims))
	}
	from := x.shape
	out := x.strided(op, shape, from.stridesIn(shape), 0)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{sumTo(g, from)} })
}

// Repeat returns x repeated times[i] times along dimension i; more numbers than
// x has dimensions add some in front. (torch.Tensor.repeat)
func (x *Tensor) Repeat(times ...int) *Tensor {
	const op = "Repeat"
	lead := len(times) - len(x.Shape())
	if lead < 0 {
		fail(op, "got %d repetitions for the %d dimensions of %v", len(times), len(x.shape), x.shape)
	}
	// Dimension i becomes a pair: the repetition, with stride 0, and x's own.
	var shape, strides, pairs []int
	own := x.shape.strides()
	for i, n := range times {
		if n < 0 {
			fail(op, "cannot repeat dimension %d %d times", i, n)
		}
		size, stride := 1, 0
		if i >= lead {
			size, stride = x.shape[i-lead], own[i-lead]
		}
		if size > 0 && n > math.MaxInt/size {
			fail(op, "%w: %v repeated %v times has too many elements", ErrOutOfMemory, x.shape, times)
		}
		pairs = append(pairs, n, size)
		strides = append(strides, 0, stride)
		shape = append(shape, mul(n, size))
	}
	out := result(op, x.DType(), shape, x)
	x.be().Strided(out.array(), x.array(), backend.StridedGeom{Shape: pairs, Strides: strides})
	from := x.shape
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		ones := slices.Clone(pairs)
		for i := 0; i < len(ones); i += 2 {
			ones[i] = 1
		}
		return []*Tensor{sumTo(g.alias(pairs, 0), ones).alias(from, 0)}
	})
}

// Flip returns a copy of x with the order of the elements reversed along the
// given dimensions. (torch.flip)
func (x *Tensor) Flip(dims ...int) *Tensor {
	const op = "Flip"
	strides, offset := x.Shape().strides(), 0
	seen := make([]bool, max(len(x.shape), 1))
	for _, d := range dims {
		d = x.dim(op, d)
		if seen[d] {
			fail(op, "dimension %d is named twice", d)
		}
		seen[d] = true
		if len(x.shape) == 0 {
			continue
		}
		offset += max(x.shape[d]-1, 0) * strides[d]
		strides[d] = -strides[d]
	}
	out := x.strided(op, x.shape, strides, offset)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.Flip(dims...)} })
}

// Roll returns a copy of x with the entries moved by shift along a dimension, or row
// by row through all of x without one; what leaves at the end comes back at the
// front. A call for each dimension moves along several. (torch.roll)
func (x *Tensor) Roll(shift int, dim ...int) *Tensor {
	const op = "Roll"
	switch len(dim) {
	case 0:
		return x.view(op, Shape{x.Len()}).Roll(shift, 0).view(op, x.shape)
	case 1:
	default:
		fail(op, "one shift and the dimensions %v, want one dimension at most", dim)
	}
	d := x.ownDim(op, dim[0])
	if x.Len() == 0 {
		return x.Clone()
	}
	n := x.shape[d]
	index := result(op, Int64, Shape{n}, x)
	index.be().Arange(index.array(), float64((n-shift%n)%n), 1)
	overwriteScalar(index, backend.Remainder, float64(n))
	return indexSelect(op, x, d, index, x.shape, -1)
}

// Narrow returns the n entries from start on along dimension dim; a negative
// start counts from the end. On the first dimension it shares x's memory,
// elsewhere it copies. (torch.narrow)
func (x *Tensor) Narrow(dim, start, n int) *Tensor {
	const op = "Narrow"
	dim = x.ownDim(op, dim)
	size := x.shape[dim]
	first := start
	if first < 0 {
		first += size
	}
	if first < 0 || n < 0 || first > size || n > size-first {
		fail(op, "%d entries from %d on are not in dimension %d of %v", n, start, dim, x.shape)
	}
	return x.narrow(op, dim, first, n)
}

func (x *Tensor) narrow(op string, dim, start, n int) *Tensor {
	x.check(op)
	from := x.shape
	strides := from.strides()
	shape := slices.Clone(from)
	shape[dim] = n
	window := backend.StridedGeom{Shape: shape, Strides: strides, Offset: start * strides[dim]}
	var out *Tensor
	if dim == 0 {
		out = x.alias(shape, window.Offset)
		out.MarkView(&x.variable)
	} else {
		out = x.strided(op, shape, strides, window.Offset)
	}
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		dx := zeros(op, from, g)
		g.be().StridedWrite(dx.array(), g.array(), window)
		return []*Tensor{dx}
	})
}

// Select returns entry i along dimension dim, without that dimension; negative i
// counts from the end. On the first dimension it shares x's memory. (torch.select)
func (x *Tensor) Select(dim, i int) *Tensor {
	const op = "Select"
	dim = x.ownDim(op, dim)
	size := x.shape[dim]
	at := i
	if at < 0 {
		at += size
	}
	if at < 0 || at >= size {
		fail(op, "index %d is out of range for dimension %d of %v, want %d to %d", i, dim, x.shape, -size, size-1)
	}
	return x.narrow(op, dim, at, 1).view(op, slices.Delete(slices.Clone(x.shape), dim, dim+1))
}

// Split cuts x along dimension dim into pieces of the given size; the last may
// be smaller. On the first dimension they share x's memory. (torch.split)
func (x *Tensor) Split(size, dim int) []*Tensor {
	const op = "Split"
	dim = x.ownDim(op, dim)
	whole := x.shape[dim]
	if size < 0 || size == 0 && whole > 0 {
		fail(op, "got pieces of size %d for dimension %d of %v, want 1 or more", size, dim, x.shape)
	}
	if size >= whole {
		return []*Tensor{x.narrow(op, dim, 0, whole)}
	}
	x.wantPieces(op, (whole-1)/size+1)
	var sizes []int
	for rest := whole; rest > 0; rest -= size {
		sizes = append(sizes, min(size, rest))
	}
	return x.SplitSizes(sizes, dim)
}

// SplitSizes cuts x along dimension dim into pieces of the given sizes, which
// have to add up to x's. On the first dimension they share x's memory.
// (torch.split with a list)
func (x *Tensor) SplitSizes(sizes []int, dim int) []*Tensor {
	const op = "Split"
	dim = x.ownDim(op, dim)
	rest := x.shape[dim]
	for _, n := range sizes {
		if n < 0 || n > rest {
			rest = -1
			break
		}
		rest -= n
	}
	if rest != 0 {
		fail(op, "pieces of sizes %v do not make up dimension %d of %v, want a sum of %d", sizes, dim, x.shape, x.shape[dim])
	}
	out := make([]*Tensor, len(sizes))
	start := 0
	for i, n := range sizes {
		out[i] = x.narrow(op, dim, start, n)
		start += n
	}
	return out
}

// Chunk cuts x along dimension dim into n pieces of equal size (rounded up), or
// fewer if it is too small; a dimension of size 0 gives n empty ones. On the
// first dimension they share x's memory. (torch.chunk)
func (x *Tensor) Chunk(n, dim int) []*Tensor {
	const op = "Chunk"
	dim = x.ownDim(op, dim)
	if n < 1 {
		fail(op, "got %d pieces, want 1 or more", n)
	}
	whole := x.shape[dim]
	if whole == 0 {
		x.wantPieces(op, n)
		return x.SplitSizes(make([]int, n), dim)
	}
	return x.Split((whole-1)/n+1, dim)
}

// wantPieces panics if a tensor without elements, whose sizes say nothing about
// memory, is to be cut into more pieces than a program can want.
func (x *Tensor) wantPieces(op string, n int) {
	const most = 1 << 20
	if x.Len() == 0 && n > most {
		fail(op, "%v would be cut into %d pieces without elements, want %d or fewer", x.shape, n, most)
	}
}
