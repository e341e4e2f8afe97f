package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// view returns x's elements in another shape: as a view, or where they do not lie so
// that it can be one, as a copy.
func (x *Tensor) view(op string, shape Shape) *Tensor {
	x.check(op)
	strides, ok := x.stridesAs(shape)
	if !ok {
		x = x.Contiguous()
	}
	return x.viewed(op, shape, strides)
}

// viewed is view with the strides that the elements have in the other shape.
func (x *Tensor) viewed(op string, shape Shape, strides []int) *Tensor {
	out := x.part(shape, strides, x.offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from, method := x.shape, op
	switch op {
	case "View", "Reshape", "Flatten", "Unflatten", "Squeeze", "Unsqueeze":
	default: // another operation has called
		method = "View"
	}
	return autograd.Record(ops.View{Method: method, Shape: shape}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.view(op, from)}
	})
}

// View returns x's elements in another shape, sharing its memory. One size may
// be -1: it is what is left. It panics where a view with strides has no such view;
// Reshape copies there. (torch.Tensor.view)
func (x *Tensor) View(dims ...int) *Tensor {
	const op = "View"
	shape := fitShape(op, dims, x.Len())
	if _, ok := x.stridesAs(shape); !ok {
		fail(op, "the elements of %v with the strides %v do not lie so that they have a view of shape %v; Reshape copies them where they must be", x.shape, x.strides, shape)
	}
	return x.view(op, shape)
}

// Reshape returns x's elements in another shape. One size may be -1: it is what is
// left. The result shares x's memory where it can, and is a copy where x is a view with
// strides that have no such shape. (torch.reshape)
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
	switch {
	case len(x.shape) == 0:
		return x.view(op, Shape{1})
	case first == last:
		x.check(op)
		return x.viewed(op, x.shape, x.Strides())
	}
	if !x.shape[first : last+1].fits() {
		fail(op, "dimensions %d to %d of %v make one that is too large", first, last, x.shape)
	}
	return x.view(op, slices.Concat(x.shape[:first], Shape{x.shape[first : last+1].Len()}, x.shape[last+1:]))
}

// Unflatten cuts dimension dim into several of the given sizes, of which one may be -1:
// it is what is left. It shares x's memory. (torch.unflatten)
func (x *Tensor) Unflatten(dim int, sizes ...int) *Tensor {
	const op = "Unflatten"
	dim = x.ownDim(op, dim)
	if len(sizes) == 0 {
		fail(op, "got no sizes for dimension %d of %v, want one at least", dim, x.shape)
	}
	return x.view(op, slices.Concat(x.shape[:dim], fitShape(op, sizes, x.shape[dim]), x.shape[dim+1:]))
}

// Squeeze removes the given dimensions where they have size 1, or without
// arguments all of size 1, sharing x's memory. A list of dimensions that may be
// empty is for SqueezeDims. (torch.squeeze)
func (x *Tensor) Squeeze(dims ...int) *Tensor {
	if len(dims) > 0 {
		return x.SqueezeDims(dims)
	}
	return x.squeeze(func(int) bool { return true })
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
	return x.squeeze(func(i int) bool { return named[i] })
}

// squeeze removes those of the dimensions of size 1 that are named.
func (x *Tensor) squeeze(named func(dim int) bool) *Tensor {
	const op = "Squeeze"
	x.check(op)
	shape, strides := Shape{}, []int{}
	own := x.Strides()
	for i, n := range x.shape {
		if n != 1 || !named(i) {
			shape, strides = append(shape, n), append(strides, own[i])
		}
	}
	return x.viewed(op, shape, strides)
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
	x.check(op)
	own, stride := x.Strides(), 1
	if dim < n {
		stride = x.shape[dim] * own[dim]
	}
	return x.viewed(op, slices.Insert(slices.Clone(x.shape), dim, 1), slices.Insert(own, dim, stride))
}

// line returns a scalar as a vector of one element, and any other tensor as it is.
func (x *Tensor) line(op string) *Tensor {
	if len(x.Shape()) == 0 {
		return x.view(op, Shape{1})
	}
	return x
}

// strided copies a strided view of the row-major x into a new tensor and records nothing.
func (x *Tensor) strided(op string, shape Shape, strides []int, offset int) *Tensor {
	out := result(op, x.DType(), shape, x)
	x.be().Strided(out.array(), x.array(), backend.StridedGeom{Shape: out.shape, Strides: strides, Offset: offset})
	return out
}

// Transpose returns a view of x with two dimensions exchanged. (torch.transpose)
func (x *Tensor) Transpose(i, j int) *Tensor { return x.transpose("Transpose", i, j) }

func (x *Tensor) transpose(op string, i, j int) *Tensor {
	i, j = x.dim(op, i), x.dim(op, j)
	order := make([]int, len(x.shape))
	for k := range order {
		order[k] = k
	}
	if i != j {
		order[i], order[j] = j, i
	}
	return x.permute(op, order)
}

// T returns a view of a matrix, transposed; of a vector or a scalar as it is.
// (torch.t)
func (x *Tensor) T() *Tensor {
	switch len(x.Shape()) {
	case 0, 1:
		x.check("T")
		return x.viewed("T", x.shape, x.Strides())
	case 2:
		return x.transpose("T", 0, 1)
	}
	fail("T", "the tensor is %v, want a matrix; Transpose exchanges two dimensions of any tensor", x.shape)
	return nil
}

// Permute returns a view of x with its dimensions in another order: dimension i
// of the result is dimension order[i] of x. (torch.permute)
func (x *Tensor) Permute(order ...int) *Tensor { return x.permute("Permute", order) }

func (x *Tensor) permute(op string, order []int) *Tensor {
	if len(order) != len(x.Shape()) {
		fail(op, "the order %v has %d dimensions, the tensor %v has %d", order, len(order), x.shape, len(x.shape))
	}
	x.check(op)
	n := len(order)
	own, numbers := x.Strides(), make([]int, 4*n)
	shape, strides, from, back := Shape(numbers[:n:n]), numbers[n:2*n:2*n], numbers[2*n:3*n:3*n], numbers[3*n:]
	for i := range back {
		back[i] = -1
	}
	for i, d := range order {
		d = x.dim(op, d)
		if back[d] >= 0 {
			fail(op, "the order %v names dimension %d twice", order, d)
		}
		shape[i], strides[i], from[i], back[d] = x.shape[d], own[d], d, i
	}
	out := x.part(shape, strides, x.offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	return autograd.Record(ops.Permute{Method: op, Order: from}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.permute(op, back)}
	})
}

// MoveDim returns a view of x with dimension from at position to, the others in their
// order. (torch.movedim)
func (x *Tensor) MoveDim(from, to int) *Tensor {
	const op = "MoveDim"
	from, to = x.dim(op, from), x.dim(op, to)
	order := make([]int, 0, len(x.shape))
	for i := range x.shape {
		if i != from {
			order = append(order, i)
		}
	}
	if len(x.shape) > 0 {
		order = slices.Insert(order, to, from)
	}
	return x.permute(op, order)
}

// Expand returns a view of x repeated along dimensions of size 1 to the given
// sizes; -1 keeps a size, and more sizes than x has dimensions add some in front. It
// cannot be written, as its elements are one in memory. (torch.Tensor.expand)
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
	x.check(op)
	if !shape.fits() {
		fail(op, "%w: the shape %v has too many elements", ErrOutOfMemory, shape)
	}
	own, strides := x.Strides(), make([]int, len(shape))
	for i := len(shape) - 1; i >= 0 && len(own) > 0; i-- {
		switch j := i - lead; {
		case j >= 0 && x.shape[j] == shape[i]:
			strides[i] = own[j]
		case j < 0 && shape[i] == 1:
			strides[i] = shape[i+1] * strides[i+1]
		}
	}
	out := x.part(shape, strides, x.offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Expand{Shape: shape}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{sumTo(g, from)} })
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
	own := x.Strides()
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
	x.be().Strided(out.array(), x.window(), backend.StridedGeom{Shape: pairs, Strides: strides})
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Repeat{Times: slices.Clone(times)}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		ones := slices.Clone(pairs)
		for i := 0; i < len(ones); i += 2 {
			ones[i] = 1
		}
		return []*Tensor{sumTo(g.view(op, pairs), ones).view(op, from)}
	})
}

// Flip returns a copy of x with the order of the elements reversed along the
// given dimensions. (torch.flip)
func (x *Tensor) Flip(dims ...int) *Tensor {
	const op = "Flip"
	x = x.Contiguous()
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
	if !tracked(op, out, x) {
		return out
	}
	dims = slices.Clone(dims)
	return autograd.Record(ops.Flip{Dims: dims}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.Flip(dims...)} })
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
	shift = (shift%n + n) % n
	bare := x.bare()
	out := cat(op, d, []*Tensor{bare.narrow(op, d, n-shift, shift), bare.narrow(op, d, 0, n-shift)})
	if !tracked(op, out, x) {
		return out
	}
	return autograd.Record(ops.Roll{Shift: shift, Dim: d}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.Roll(-shift, d)} })
}

// Narrow returns the n entries from start on along dimension dim; a negative
// start counts from the end. It shares x's memory. (torch.narrow)
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

// Slice returns the entries start, start+step, start+2·step … before end along
// dimension dim: x[start:end:step] in Python. Negative start and end count from the
// end, and what lies beyond it stands for the end, so that math.MaxInt does. step is 1
// or more. It shares x's memory. (torch.Tensor.__getitem__ with a slice)
func (x *Tensor) Slice(dim, start, end, step int) *Tensor {
	const op = "Slice"
	dim = x.ownDim(op, dim)
	if step < 1 {
		fail(op, "the step is %d, want 1 or more; Flip reverses a dimension", step)
	}
	size := x.shape[dim]
	within := func(i int) int {
		if i < 0 {
			i += size
		}
		return min(max(i, 0), size)
	}
	start, end = within(start), within(end)
	n := 0
	if start < end {
		n = (end-start-1)/step + 1
	}
	return x.slice(op, dim, start, n, step)
}

func (x *Tensor) narrow(op string, dim, start, n int) *Tensor {
	return x.slice(op, dim, start, n, 1)
}

// slice takes n entries along dim from start on, step apart.
func (x *Tensor) slice(op string, dim, start, n, step int) *Tensor {
	x.check(op)
	shape := slices.Clone(x.shape)
	shape[dim] = n
	strides := x.Strides()
	offset := x.offset + start*strides[dim]
	strides[dim] = mul(strides[dim], step)
	out := x.part(shape, strides, offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Narrow{Method: op, Dim: dim, Start: start, N: n, Step: step}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		st := from.strides()
		offset := start * st[dim]
		st[dim] = mul(st[dim], step)
		return []*Tensor{g.placed(from, st, offset)}
	})
}

// placed returns zeros of the given shape with x added at Offset + Σ ik·strides[k]: the
// gradient of a view. Its own gradient is the window.
func (x *Tensor) placed(shape Shape, strides []int, offset int) *Tensor {
	const op = "WindowGrad"
	out := zeros(op, shape, x)
	x.be().StridedWrite(out.array(), x.array(), backend.StridedGeom{Shape: x.shape, Strides: strides, Offset: offset})
	if !tracked(op, out, x) {
		return out
	}
	window := x.shape
	return autograd.Record(ops.WindowGrad{Shape: shape, Strides: strides, Offset: offset}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.taken(window, strides, offset)}
	})
}

// taken returns the elements of x, counted row by row, at offset + Σ ik·strides[k], no
// two of which are one.
func (x *Tensor) taken(shape Shape, strides []int, offset int) *Tensor {
	const op = "Window"
	x = x.Contiguous()
	out := x.part(shape, strides, x.offset+offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Window{Shape: shape, Strides: strides, Offset: offset}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.placed(from, strides, offset)}
	})
}

// Select returns entry i along dimension dim, without that dimension; negative i
// counts from the end. It shares x's memory. (torch.select)
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
	return x.selected(dim, at)
}

func (x *Tensor) selected(dim, at int) *Tensor {
	const op = "Select"
	x.check(op)
	own := x.Strides()
	shape, strides := slices.Delete(slices.Clone(x.shape), dim, dim+1), slices.Delete(slices.Clone(own), dim, dim+1)
	out := x.part(shape, strides, x.offset+at*own[dim])
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Select{Dim: dim, Index: at}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		st := from.strides()
		offset := at * st[dim]
		return []*Tensor{g.placed(from, slices.Delete(st, dim, dim+1), offset)}
	})
}

// Unbind returns the entries along dimension dim, without that dimension. They share
// x's memory. (torch.unbind)
func (x *Tensor) Unbind(dim int) []*Tensor {
	const op = "Unbind"
	dim = x.ownDim(op, dim)
	x.wantPieces(op, x.shape[dim])
	out := make([]*Tensor, x.shape[dim])
	for i := range out {
		out[i] = x.selected(dim, i)
	}
	return out
}

// Diagonal returns a diagonal of the dimensions dim1 and dim2, as the last one; the
// others stay in front of it. offset 0 is the main diagonal, more lie above it, less
// below. It shares x's memory. (torch.diagonal)
func (x *Tensor) Diagonal(offset, dim1, dim2 int) *Tensor {
	const op = "Diagonal"
	d1, d2 := x.ownDim(op, dim1), x.ownDim(op, dim2)
	if d1 == d2 {
		fail(op, "the dimensions %d and %d of %v are one, want two", dim1, dim2, x.shape)
	}
	x.check(op)
	// at returns the shape, the strides and the first element of the diagonal in memory with some strides.
	at := func(own []int) (shape Shape, strides []int, first int) {
		rows, columns := x.shape[d1], x.shape[d2]
		n := max(0, min(rows, columns-offset))
		first = offset * own[d2]
		if offset < 0 {
			n = max(0, min(rows+offset, columns))
			first = -offset * own[d1]
		}
		if n == 0 {
			first = 0
		}
		for i, size := range x.shape {
			if i != d1 && i != d2 {
				shape, strides = append(shape, size), append(strides, own[i])
			}
		}
		return append(shape, n), append(strides, own[d1]+own[d2]), first
	}
	if offset > maxStep || offset < -maxStep {
		offset = max(-maxStep, min(maxStep, offset)) // where there is none, either
	}
	shape, strides, first := at(x.Strides())
	out := x.part(shape, strides, x.offset+first)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Diagonal{Offset: offset, Dim1: d1, Dim2: d2}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		_, strides, first := at(from.strides())
		return []*Tensor{g.placed(from, strides, first)}
	})
}

// Unfold returns the windows of size entries along dimension dim, step apart: that
// dimension counts the windows, and a last one has the entries of each. It shares x's
// memory, so that windows that overlap share elements. (torch.Tensor.unfold)
func (x *Tensor) Unfold(dim, size, step int) *Tensor {
	const op = "Unfold"
	if len(x.Shape()) == 0 {
		x = x.line(op)
	}
	d := x.dim(op, dim)
	n := x.shape[d]
	if size < 0 || size > n {
		fail(op, "windows of %d entries do not fit dimension %d of %v, want 0 to %d", size, dim, x.shape, n)
	}
	if step < 1 {
		fail(op, "the step is %d, want 1 or more", step)
	}
	x.check(op)
	own := x.Strides()
	shape, strides := append(slices.Clone(x.shape), size), append(slices.Clone(own), own[d])
	shape[d] = (n-size)/step + 1
	strides[d] = mul(own[d], step)
	out := x.part(shape, strides, x.offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.Unfold{Dim: d, Size: size, Step: step}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		// The windows overlap, but not their entries of one place: these are added up, place by place.
		last := len(g.shape) - 1
		st := from.strides()
		first := slices.Clone(st)
		first[d] *= step
		if size == 0 {
			return []*Tensor{zeroGrad(g, from)}
		}
		dx := g.selected(last, 0).placed(from, first, 0)
		for k := 1; k < size; k++ {
			dx = dx.plus(g.selected(last, k).placed(from, first, k*st[d]))
		}
		return []*Tensor{dx}
	})
}

// AsStrided returns a view of the given shape whose element (i, j, …) is number
// offset + i·strides[0] + j·strides[1] + … of x's elements, counted row by row; two of
// its elements may be one of x's. x has to be contiguous. (torch.as_strided, with an
// offset that counts from x's first element)
func (x *Tensor) AsStrided(shape, strides []int, offset int) *Tensor {
	const op = "AsStrided"
	x.check(op)
	wantShape(op, shape)
	switch {
	case len(strides) != len(shape):
		fail(op, "got %d strides for the shape %v, want one a dimension", len(strides), Shape(shape))
	case x.strides != nil:
		fail(op, "the tensor %v has the strides %v, want one that is contiguous; Contiguous makes one", x.shape, x.strides)
	case slices.ContainsFunc(strides, func(n int) bool { return n < 0 }) || offset < 0:
		fail(op, "the strides are %v and the offset %d, want none below 0", strides, offset)
	}
	last := offset
	for i, n := range shape {
		if last = min(last, math.MaxInt/4) + mul(max(n-1, 0), strides[i]); n == 0 {
			last = -1
			break
		}
	}
	if last >= x.Len() {
		fail(op, "the shape %v with the strides %v from element %d on ends at element %d, but %v has %d", Shape(shape), strides, offset, last, x.shape, x.Len())
	}
	shape, strides = slices.Clone(shape), slices.Clone(strides)
	out := x.part(shape, strides, x.offset+offset)
	tape.MarkView(out, x)
	if !tracked(op, out, x) {
		return out
	}
	from, apart := x.shape, out.isApart()
	return autograd.Record(ops.AsStrided{Shape: shape, Strides: strides, Offset: offset}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		if apart {
			return []*Tensor{g.placed(from, strides, offset)}
		}
		// Elements that are one get the sum: which one it is, is seen in the same view of numbers.
		at := result(op, Int64, Shape{from.Len()}, g)
		at.be().Arange(at.array(), 0, 1)
		index := at.AsStrided(shape, strides, offset).Reshape(-1)
		return []*Tensor{zeros(op, Shape{from.Len()}, g).IndexAdd(0, index, g.Reshape(-1)).View(from...)}
	})
}

// Split cuts x along dimension dim into pieces of the given size; the last may
// be smaller. They share x's memory. (torch.split)
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
// have to add up to x's. They share x's memory. (torch.split with a list)
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
// fewer if it is too small; a dimension of size 0 gives n empty ones. They share x's
// memory. (torch.chunk)
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
