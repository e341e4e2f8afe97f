package tensor

import (
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

// Flatten makes one dimension of the dimension from and all behind it, sharing
// x's memory. Flatten(1) keeps the batch dimension, as torch.nn.Flatten does.
func (x *Tensor) Flatten(from int) *Tensor {
	if len(x.shape) == 0 {
		return x.view("Flatten", Shape{1})
	}
	from = x.dim("Flatten", from)
	return x.view("Flatten", append(slices.Clone(x.shape[:from]), x.shape[from:].Len()))
}

// Squeeze removes the given dimensions where they have size 1, or without
// arguments all of size 1, sharing x's memory.
func (x *Tensor) Squeeze(dims ...int) *Tensor {
	drop := make([]bool, len(x.shape))
	for i := range drop {
		drop[i] = len(dims) == 0
	}
	for _, d := range dims {
		drop[x.dim("Squeeze", d)] = true
	}
	shape := Shape{}
	for i, n := range x.shape {
		if n != 1 || !drop[i] {
			shape = append(shape, n)
		}
	}
	return x.view("Squeeze", shape)
}

// Unsqueeze inserts a dimension of size 1 before dimension dim, sharing x's
// memory; negative dimensions count from behind the last.
func (x *Tensor) Unsqueeze(dim int) *Tensor {
	n := len(x.shape)
	if dim < -n-1 || dim > n {
		fail("Unsqueeze", "dimension %d cannot be inserted into %v, want %d to %d", dim, x.shape, -n-1, n)
	}
	if dim < 0 {
		dim += n + 1
	}
	return x.view("Unsqueeze", slices.Insert(slices.Clone(x.shape), dim, 1))
}

// strided copies a strided view of x into a new tensor and records nothing.
func (x *Tensor) strided(op string, shape Shape, strides []int, offset int) *Tensor {
	out := result(op, x.DType(), shape, x)
	x.be().Strided(out.array(), x.array(), backend.StridedGeom{Shape: out.shape, Strides: strides, Offset: offset})
	return out
}

// Transpose returns a copy of x with two dimensions exchanged.
func (x *Tensor) Transpose(i, j int) *Tensor {
	i, j = x.dim("Transpose", i), x.dim("Transpose", j)
	order := make([]int, len(x.shape))
	for k := range order {
		order[k] = k
	}
	order[i], order[j] = j, i
	return x.Permute(order...)
}

// T returns a copy of a matrix, transposed.
func (x *Tensor) T() *Tensor {
	if len(x.shape) != 2 {
		fail("T", "the tensor is %v, want a matrix; Transpose exchanges two dimensions of any tensor", x.shape)
	}
	return x.Transpose(0, 1)
}

// Permute returns a copy of x with its dimensions in another order: dimension i
// of the result is dimension order[i] of x.
func (x *Tensor) Permute(order ...int) *Tensor {
	const op = "Permute"
	if len(order) != len(x.shape) {
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
	lead := len(shape) - len(x.shape)
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
	lead := len(times) - len(x.shape)
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
		pairs = append(pairs, n, size)
		strides = append(strides, 0, stride)
		shape = append(shape, n*size)
	}
	out := x.strided(op, pairs, strides, 0)
	out.shape = shape
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
// given dimensions.
func (x *Tensor) Flip(dims ...int) *Tensor {
	const op = "Flip"
	strides, offset := x.shape.strides(), 0
	seen := make([]bool, len(x.shape))
	for _, d := range dims {
		d = x.dim(op, d)
		if len(x.shape) == 0 {
			continue
		}
		if seen[d] {
			fail(op, "dimension %d is named twice", d)
		}
		seen[d] = true
		offset += max(x.shape[d]-1, 0) * strides[d]
		strides[d] = -strides[d]
	}
	out := x.strided(op, x.shape, strides, offset)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.Flip(dims...)} })
}

// Narrow returns the n entries from start on along dimension dim. On the first
// dimension it shares x's memory, elsewhere it copies.
func (x *Tensor) Narrow(dim, start, n int) *Tensor {
	const op = "Narrow"
	dim = x.ownDim(op, dim)
	if start < 0 || n < 0 || start > x.shape[dim] || n > x.shape[dim]-start {
		fail(op, "%d entries from %d on are not in dimension %d of %v", n, start, dim, x.shape)
	}
	return x.narrow(op, dim, start, n)
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
		dx := result(op, g.DType(), from, g)
		g.be().Fill(dx.array(), 0)
		g.be().StridedWrite(dx.array(), g.array(), window)
		return []*Tensor{dx}
	})
}

// Select returns entry i along dimension dim, without that dimension; negative i
// counts from the end. On the first dimension it shares x's memory.
func (x *Tensor) Select(dim, i int) *Tensor {
	const op = "Select"
	dim = x.ownDim(op, dim)
	at := i
	if at < 0 {
		at += x.shape[dim]
	}
	if at < 0 || at >= x.shape[dim] {
		fail(op, "index %d is out of range for dimension %d of %v", i, dim, x.shape)
	}
	return x.narrow(op, dim, at, 1).view(op, slices.Delete(slices.Clone(x.shape), dim, dim+1))
}

// Split cuts x along dimension dim into pieces of the given size; the last may
// be smaller. On the first dimension they share x's memory.
func (x *Tensor) Split(size, dim int) []*Tensor {
	dim = x.ownDim("Split", dim)
	if size < 1 {
		fail("Split", "got pieces of size %d, want 1 or more", size)
	}
	var out []*Tensor
	for start := 0; start < max(x.shape[dim], 1); start += size {
		out = append(out, x.narrow("Split", dim, start, min(size, x.shape[dim]-start)))
	}
	return out
}

// Chunk cuts x along dimension dim into n pieces of equal size (rounded up), or
// fewer if it is too small. On the first dimension they share x's memory.
// (torch.chunk)
func (x *Tensor) Chunk(n, dim int) []*Tensor {
	dim = x.ownDim("Chunk", dim)
	if n < 1 {
		fail("Chunk", "got %d pieces, want 1 or more", n)
	}
	return x.Split(max((x.shape[dim]+n-1)/n, 1), dim)
}
