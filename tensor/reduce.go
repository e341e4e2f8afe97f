package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// span is the dimensions that a reduction goes over.
type span struct {
	reduce  []bool
	kept    Shape // of the result with the reduced dimensions as 1
	dropped Shape // of the result without them
	n       int   // how many elements go into one of the result
}

// span resolves the dimensions of a reduction: none means all.
func (x *Tensor) span(op string, dims []int) span {
	dim := len(x.Shape())
	flags, sizes := make([]bool, dim+max(dim, 1)), make(Shape, 2*dim)
	s := span{reduce: flags[:dim:dim], kept: sizes[:0:dim], dropped: sizes[dim:dim], n: 1}
	named := flags[dim:]
	for _, d := range dims {
		d = x.dim(op, d)
		if named[d] {
			fail(op, "dimension %d of %v is named twice", d, x.shape)
		}
		named[d] = true
	}
	for i := range s.reduce {
		s.reduce[i] = len(dims) == 0 || named[i]
	}
	for i, n := range x.shape {
		if s.reduce[i] {
			s.n *= n
			s.kept = append(s.kept, 1)
		} else {
			s.kept = append(s.kept, n)
			s.dropped = append(s.dropped, n)
		}
	}
	return s
}

// dims returns the dimensions that are reduced.
func (s span) dims() []int {
	var dims []int
	for d, reduced := range s.reduce {
		if reduced {
			dims = append(dims, d)
		}
	}
	return dims
}

// named returns the dimensions of a reduction, as none counts from the end, for the
// value of its operation; nil means all.
func (x *Tensor) named(op string, dims []int) []int {
	dims = slices.Clone(dims)
	for i, d := range dims {
		dims[i] = x.dim(op, d)
	}
	return dims
}

// shape returns the shape of the result.
func (s span) shape(keep bool) Shape {
	if keep {
		return s.kept
	}
	return s.dropped
}

// reduce reduces x to a tensor of the given shape and records nothing.
func (x *Tensor) reduce(name string, op backend.ReduceOp, s span, shape Shape) *Tensor {
	t := x.DType()
	switch {
	case op == backend.ReduceAny || op == backend.ReduceAll:
		t = Bool
	case op == backend.ReduceMax || op == backend.ReduceMin || t.IsFloat():
	default:
		t = Int64
	}
	return x.reduceTo(name, t, op, s, shape)
}

// reduceTo is reduce with a result of type t, which may be wider than x's.
func (x *Tensor) reduceTo(name string, t DType, op backend.ReduceOp, s span, shape Shape) *Tensor {
	out := result(name, t, shape, x)
	x.be().Reduce(out.array(), x.window(), op, backend.ReduceGeom{Shape: x.shape, Reduce: s.reduce, Strides: x.strides})
	return out
}

// spread returns a view of g, a reduction's result over s, repeated to the shape that
// was reduced.
func spread(op string, g *Tensor, s span, shape Shape) *Tensor {
	return g.view(op, s.kept).Expand(shape...)
}

// The following compute elementwise and record nothing.

func apply(name string, op backend.UnaryOp, x *Tensor, owners ...*Tensor) *Tensor {
	out := like(name, x, owners...)
	x.be().Unary(out.array(), x.array(), op, backend.UnaryParams{})
	return out
}

// overwrite replaces the elements of a fresh tensor by op of them.
func overwrite(x *Tensor, op backend.UnaryOp) {
	x.be().Unary(x.array(), x.array(), op, backend.UnaryParams{})
}

// overwriteScalar replaces the elements of a fresh tensor by op(x, v).
func overwriteScalar(x *Tensor, op backend.BinaryOp, v float64) {
	x.be().BinaryScalar(x.array(), x.array(), v, false, op)
}

// overwriteWith replaces the elements of a fresh tensor by op(x, y), y broadcast.
func overwriteWith(x *Tensor, op backend.BinaryOp, y *Tensor) {
	x.be().Binary(x.array(), x.array(), y.window(), op, binaryGeom(x.shape, x, y))
}

// fillWhere replaces the elements of a fresh tensor by v where mask, broadcast, is true.
func fillWhere(x, mask *Tensor, v float64) {
	fill := result("Where", x.DType(), Shape{}, x)
	x.be().Fill(fill.array(), v)
	st := stridesOf(x.shape, mask, fill, x)
	x.be().Where(x.array(), mask.window(), fill.array(), x.array(), backend.WhereGeom{Shape: x.shape, Cond: st[0], A: st[1], B: st[2]})
}

// Sum returns the sum over the given dimensions, or over all without arguments.
// Sums of Int64, Uint8 and Bool are Int64. (torch.sum)
func (x *Tensor) Sum(dims ...int) *Tensor { return x.sum(dims, false) }

// SumKeepDim is Sum that leaves the dimensions with size 1.
func (x *Tensor) SumKeepDim(dims ...int) *Tensor { return x.sum(dims, true) }

func (x *Tensor) sum(dims []int, keep bool) *Tensor {
	op := ops.Reduce{Method: "Sum", Keep: keep}
	s := x.span(op.Name(), dims)
	out := x.reduce(op.Name(), backend.ReduceSum, s, s.shape(keep))
	if !tracked(op.Name(), out, x) {
		return out
	}
	shape := x.shape
	op.Dims = x.named(op.Name(), dims)
	return autograd.Record(op, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{spread(op.Name(), g, s, shape)} })
}

// Mean returns the mean over the given dimensions, or over all without
// arguments. The mean of no elements is NaN. (torch.mean)
func (x *Tensor) Mean(dims ...int) *Tensor { return x.mean(dims, false) }

// MeanKeepDim is Mean that leaves the dimensions with size 1.
func (x *Tensor) MeanKeepDim(dims ...int) *Tensor { return x.mean(dims, true) }

func (x *Tensor) mean(dims []int, keep bool) *Tensor {
	op := ops.Reduce{Method: "Mean", Keep: keep}
	name := op.Name()
	x.wantFloat(name)
	s := x.span(name, dims)
	t, shape := x.DType(), x.shape
	out := x.reduceTo(name, wideType(t), backend.ReduceSum, s, s.shape(keep))
	overwriteScalar(out, backend.Div, float64(s.n))
	out = out.rounded(t)
	if !tracked(name, out, x) {
		return out
	}
	op.Dims = x.named(name, dims)
	return recordWide(op, t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		if s.n > 0 { // otherwise there is nothing to spread to, and the sum that comes back is 0
			g = g.DivScalar(float64(s.n))
		}
		return []*Tensor{spread(name, g.ToDType(t), s, shape)}
	})
}

// Prod returns the product over the given dimensions, or over all without
// arguments. Products of Int64, Uint8 and Bool are Int64. (torch.prod)
func (x *Tensor) Prod(dims ...int) *Tensor { return x.prod(dims, false) }

// ProdKeepDim is Prod that leaves the dimensions with size 1.
func (x *Tensor) ProdKeepDim(dims ...int) *Tensor { return x.prod(dims, true) }

func (x *Tensor) prod(dims []int, keep bool) *Tensor {
	op := ops.Reduce{Method: "Prod", Keep: keep}
	name := op.Name()
	autocast(name, &x)
	s := x.span(name, dims)
	out := x.reduce(name, backend.ReduceProd, s, s.shape(keep))
	if !tracked(name, out, x) {
		return out
	}
	op.Dims = x.named(name, dims)
	in := x.saved()
	return recordWide(op, x.DType(), out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		if s.n == 1 { // there are no others, so it does not matter if the element is not finite
			return []*Tensor{g.view("View", in.shape)}
		}
		g, in := g.view("View", s.kept), with(g, in)
		if !tape.InPass(g) {
			return []*Tensor{g.Mul(in.productOfOthers(s))}
		}
		// The gradient of an element is the product of the others: that of all that are not 0, divided by
		// the element if it is not 0 itself. If one of the others is 0 it is 0, and NaN if another is not finite.
		zero := in.EqScalar(0)
		factors := in.MaskedFill(zero, 1)
		product := factors.reduce(name, backend.ReduceProd, s, s.kept)
		overwriteWith(product, backend.Mul, g)
		dx := binary(name, backend.Div, product, factors)
		beside := othersOf(name, zero, s)
		fillWhere(dx, beside, 0)
		odd := in.IsFinite()
		overwrite(odd, backend.Not)
		fillWhere(dx, binary(name, backend.And, beside, othersOf(name, odd, s)), math.NaN())
		return []*Tensor{dx}
	}, in)
}

// productOfOthers returns for each element the product of the others that are reduced
// with it over s, computed so that it has a gradient of its own, also where elements
// are 0: as PyTorch does it, by a quotient where none is.
func (x *Tensor) productOfOthers(s span) *Tensor {
	zeros := x.bare().EqScalar(0).Any()
	defer zeros.release()
	if !zeros.Bools()[0] {
		return x.prod(s.dims(), true).Div(x)
	}
	var order []int // those that are reduced last
	for d, reduced := range s.reduce {
		if !reduced {
			order = append(order, d)
		}
	}
	order = append(order, s.dims()...)
	moved := x.Permute(order...)
	rows := moved.Reshape(s.dropped.Len(), s.n)
	// The products of all before it and of all behind it, of twice as many at each turn.
	shifted := func(x *Tensor, by int) *Tensor {
		ones := OnesLike(x.bare().narrow("Narrow", 1, 0, min(max(by, -by), s.n)))
		if by < 0 {
			return Cat(1, x.Narrow(1, min(-by, s.n), max(s.n+by, 0)), ones)
		}
		return Cat(1, ones, x.Narrow(1, 0, max(s.n-by, 0)))
	}
	before, behind := shifted(rows, 1), shifted(rows, -1)
	for by := 1; by < s.n; by *= 2 {
		before, behind = before.Mul(shifted(before, by)), behind.Mul(shifted(behind, -by))
	}
	back := make([]int, len(order))
	for i, d := range order {
		back[d] = i
	}
	return before.Mul(behind).Reshape(moved.shape...).Permute(back...)
}

// othersOf tells for each element whether mask is true of another one that is
// reduced with it over s.
func othersOf(op string, mask *Tensor, s span) *Tensor {
	n := binary(op, backend.Sub, mask.reduce(op, backend.ReduceSum, s, s.kept), mask.ToDType(Int64))
	return scalar(op, backend.Ne, n, 0, false)
}

// VarOpts are the options of [Var] and [Std]. Zero fields mean PyTorch's
// defaults.
type VarOpts struct {
	Dims       []int // none: all
	Keep       bool  // leave the dimensions with size 1
	Correction *int  // sums of squares are divided by n - Correction; nil: 1 (the unbiased variance)
}

// Var returns the unbiased variance (divided by n-1) over the given dimensions,
// or over all without arguments. The function [Var] has more options.
// (torch.var)
func (x *Tensor) Var(dims ...int) *Tensor { return Var(x, VarOpts{Dims: dims}) }

// Std returns the standard deviation, the root of [Tensor.Var]. (torch.std)
func (x *Tensor) Std(dims ...int) *Tensor { return Std(x, VarOpts{Dims: dims}) }

// Var returns the variance. With n - Correction of 0 or less it is Inf, or NaN where
// all elements are equal, and so is its gradient where Dims is empty. (torch.var)
func Var(x *Tensor, opts VarOpts) *Tensor { return x.variance("Var", opts, false) }

// Std returns the standard deviation, the root of the variance. Its gradient
// where it is 0 is 0. (torch.std)
func Std(x *Tensor, opts VarOpts) *Tensor { return x.variance("Std", opts, true) }

func (x *Tensor) variance(op string, opts VarOpts, root bool) *Tensor {
	x.wantFloat(op)
	s := x.span(op, opts.Dims)
	correction := 1
	if opts.Correction != nil {
		correction = *opts.Correction
	}
	n, t := float64(s.n-correction), x.DType()

	// The squares are added in Float64, where those of all Float32 have room, less what rounding the mean has added.
	exact := x.average(op, s)
	mean := exact.cast(wideType(t))
	in := x.wide()
	d := binary(op, backend.Sub, in, mean)
	x.releaseCopy(in)
	squares := d.reduceTo(op, Float64, backend.ReduceSumSquares, s, s.shape(opts.Keep))
	d.release()
	if mean != exact {
		rounded := mean.cast(Float64)
		overwriteWith(exact, backend.Sub, rounded)
		overwrite(exact, backend.Square)
		overwriteScalar(exact, backend.Mul, float64(s.n))
		overwriteWith(squares, backend.Sub, exact.alias(squares.shape))
		rounded.release()
		mean.release()
	}
	exact.release()
	squares.be().Unary(squares.array(), squares.array(), backend.Clamp, backend.UnaryParams{P0: 0, P1: math.Inf(1)})
	if s.n == 0 { // nothing has no variance, whatever the correction
		n = 0
	}
	overwriteScalar(squares, backend.Div, max(n, 0))
	if root {
		overwrite(squares, backend.Sqrt)
	}
	wide := squares.rounded(wideType(t))
	var std *Tensor
	if root && x.RequiresGrad() {
		std = wide.alias(s.kept)
	}
	out := wide.rounded(t, std)
	if !tracked(op, out, x) {
		return out
	}
	in = x.saved()
	return recordWide(ops.Var{Dims: x.named(op, opts.Dims), Keep: opts.Keep, Correction: correction, Root: root}, t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		x, share := with(g, in), g.view("View", s.kept)
		if root { // of the variance: half of the root's, divided by it
			std := with(g, std)
			if !tape.InPass(g) {
				std = Std(x, VarOpts{Dims: opts.Dims, Keep: true, Correction: &correction})
			}
			share = share.Div(std).combinedWith(backend.Mul, 0.5).filled(std.EqScalar(0), 0)
		}
		slope := 2 / n
		if n <= 0 && (len(opts.Dims) == 0 || len(in.shape) == 0) { // PyTorch's for all dimensions
			return []*Tensor{x.centered(s).mapped(backend.Sign).mapped(backend.Abs).combinedWith(backend.Mul, math.Inf(1)).times(share)}
		}
		return []*Tensor{x.centered(s).times(share.MulScalar(slope))}
	}, in, std)
}

// average returns the mean over s in Float64 and records nothing.
func (x *Tensor) average(op string, s span) *Tensor {
	mean := x.reduceTo(op, Float64, backend.ReduceSum, s, s.kept)
	overwriteScalar(mean, backend.Div, float64(s.n))
	return mean
}

// centered returns x, which is not of half precision, less its mean over s. It is its own
// gradient.
func (x *Tensor) centered(s span) *Tensor {
	const op = "Center"
	exact := x.average(op, s)
	mean := exact.rounded(x.DType())
	out := binary(op, backend.Sub, x, mean)
	mean.release()
	if !tracked(op, out, x) {
		return out
	}
	return autograd.Record(ops.Center{Dims: s.dims()}, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.centered(s)} })
}

// Norm returns the p-norm (Σ|x|^p)^(1/p) over the given dimensions, or over all
// without arguments: Norm(2) is the Euclidean norm; p of +Inf or -Inf gives the
// largest or smallest magnitude, 0 the number of elements that are not 0. Where
// the norm is 0 the gradient is 0. (torch.linalg.vector_norm)
func (x *Tensor) Norm(p float64, dims ...int) *Tensor { return x.norm(p, dims, false) }

// NormKeepDim is Norm that leaves the dimensions with size 1.
func (x *Tensor) NormKeepDim(p float64, dims ...int) *Tensor { return x.norm(p, dims, true) }

func (x *Tensor) norm(p float64, dims []int, keep bool) *Tensor {
	value := ops.Norm{P: p, Keep: keep}
	op := value.Name()
	x.wantFloat(op)
	s := x.span(op, dims)
	shape := s.shape(keep)
	if isNaN(p) {
		fail(op, "the order is NaN, want a number")
	}
	t, wide := x.DType(), wideType(x.DType())
	if p < 0 || math.IsInf(p, 1) {
		x.wantElements(op, s)
	}
	var out *Tensor
	switch {
	case s.n == 1 && p != 0: // whose power may not be a number
		out = apply(op, backend.Abs, x).alias(shape).cast(wide)
	case p == 2:
		out = x.reduceTo(op, wide, backend.ReduceSumSquares, s, shape)
		overwrite(out, backend.Sqrt)
	case p == 0:
		nonzero := scalar(op, backend.Ne, x, 0, false)
		out = nonzero.reduce(op, backend.ReduceSum, s, shape).cast(wide)
		nonzero.release()
	case math.IsInf(p, 0):
		extreme := backend.ReduceMax
		if p < 0 {
			extreme = backend.ReduceMin
		}
		magnitudes := apply(op, backend.Abs, x)
		out = magnitudes.reduceTo(op, wide, extreme, s, shape)
		magnitudes.release()
	default:
		from := x.wide()
		powers := apply(op, backend.Abs, from)
		x.releaseCopy(from)
		if p != 1 {
			overwriteScalar(powers, backend.Pow, p)
		}
		out = powers.reduce(op, backend.ReduceSum, s, shape)
		powers.release()
		if p != 1 {
			overwriteScalar(out, backend.Pow, 1/p)
		}
	}
	var norm *Tensor
	if x.RequiresGrad() {
		norm = out.alias(s.kept)
	}
	out = out.rounded(t, norm)
	if !tracked(op, out, x) {
		return out
	}
	value.Dims = x.named(op, dims)
	in := x.saved()
	return recordWide(value, t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		x, norm, g := with(g, in), with(g, norm), g.view("View", s.kept)
		if !tape.InPass(g) { // with a history
			norm = x.norm(p, value.Dims, true)
		}
		flat := func() *Tensor { return norm.EqScalar(0) }
		switch {
		case p == 0:
			return []*Tensor{zeroGrad(g, x.shape)}
		case p == 1:
			return []*Tensor{x.Sign().times(g)}
		case p == 2 && tape.InPass(g): // x/norm·g
			flat := flat()
			return []*Tensor{x.Div(norm.MaskedFill(flat, 1)).times(g.MaskedFill(flat, 0))}
		case p == 2: // the same, but that the slope where the norm is 0 is no number, as PyTorch's
			return []*Tensor{x.Div(norm).MaskedFill(flat(), 0).Mul(g)}
		case math.IsInf(p, 0): // equal shares to the elements that have the magnitude
			return []*Tensor{shareAmong(equal(x.Abs(), norm), g, s).times(x.Sign())}
		case p < 1: // the power of 0 is infinite
			powers := x.Abs().combinedWith(backend.Pow, p-1).filled(x.EqScalar(0), 0)
			return []*Tensor{powers.times(x.Sign()).times(g).times(norm.PowScalar(1 - p))}
		}
		// g·sign(x)·|x|^(p-1) / norm^(p-1), as PyTorch writes it for either side of 2
		share := g.Div(norm.PowScalar(p-1)).filled(flat(), 0)
		if p < 2 {
			return []*Tensor{x.Abs().combinedWith(backend.Pow, p-1).times(x.Sign()).times(share)}
		}
		return []*Tensor{x.Abs().combinedWith(backend.Pow, p-2).times(x).times(share)}
	}, in, norm)
}

// equal tells where x equals y, broadcast, or both are NaN.
func equal(x, y *Tensor) *Tensor {
	mask := x.IsNaN()
	overwriteWith(mask, backend.And, y.IsNaN())
	overwriteWith(mask, backend.Or, x.Eq(y))
	return mask
}

// shareAmong divides g, the gradient of a reduction over s, evenly among the
// elements for which mask is true.
func shareAmong(mask, g *Tensor, s span) *Tensor {
	dx := mask.ToDType(g.DType())
	n := dx.reduce("Sum", backend.ReduceSum, s, s.kept)
	return dx.times(g.view("View", s.kept).Div(n))
}

// wantElements panics if a reduction that has no result for no elements has
// none.
func (x *Tensor) wantElements(op string, s span) {
	if s.n > 0 {
		return
	}
	for i, n := range x.shape {
		if s.reduce[i] && n == 0 {
			fail(op, "dimension %d of %v has no elements, want one or more", i, x.shape)
		}
	}
}

// Amax returns the largest element over the given dimensions, or over all
// without arguments. NaN counts as the largest. Equal largest elements share
// the gradient evenly. (torch.amax)
func (x *Tensor) Amax(dims ...int) *Tensor {
	return x.extreme("Amax", backend.ReduceMax, dims, false)
}

// AmaxKeepDim is Amax that leaves the dimensions with size 1.
func (x *Tensor) AmaxKeepDim(dims ...int) *Tensor {
	return x.extreme("Amax", backend.ReduceMax, dims, true)
}

// Amin returns the smallest element over the given dimensions, or over all
// without arguments. NaN counts as the smallest. Equal smallest elements share
// the gradient evenly. (torch.amin)
func (x *Tensor) Amin(dims ...int) *Tensor {
	return x.extreme("Amin", backend.ReduceMin, dims, false)
}

// AminKeepDim is Amin that leaves the dimensions with size 1.
func (x *Tensor) AminKeepDim(dims ...int) *Tensor {
	return x.extreme("Amin", backend.ReduceMin, dims, true)
}

// extreme reduces to the largest or smallest element. The elements that equal it
// share the gradient.
func (x *Tensor) extreme(method string, reduction backend.ReduceOp, dims []int, keep bool) *Tensor {
	op := ops.Reduce{Method: method, Keep: keep}
	name := op.Name()
	s := x.span(name, dims)
	x.wantElements(name, s)
	out := x.reduce(name, reduction, s, s.shape(keep))
	if !tracked(name, out, x) {
		return out
	}
	op.Dims = x.named(name, dims)
	in, best := x.saved(), out.alias(s.kept)
	return recordWide(op, x.DType(), out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{shareAmong(with(g, in).Eq(with(g, best)), g, s)}
	}, in, best)
}

// Max returns the largest elements along one dimension and their indices
// (Int64), without that dimension. NaN counts as the largest; of equal ones the
// first is taken, and gets the gradient. (torch.max with dim)
func (x *Tensor) Max(dim int) (values, indices *Tensor) { return x.extremeAt("Max", dim, false) }

// Min returns the smallest elements along one dimension and their indices
// (Int64), without that dimension. NaN counts as the smallest; of equal ones the
// first is taken, and gets the gradient. (torch.min with dim)
func (x *Tensor) Min(dim int) (values, indices *Tensor) { return x.extremeAt("Min", dim, true) }

func (x *Tensor) extremeAt(name string, dim int, smallest bool) (values, indices *Tensor) {
	s := x.span(name, []int{dim})
	x.wantElements(name, s)
	shape := x.shape
	dim = x.dim(name, dim)
	values = result(name, x.DType(), s.dropped, x)
	indices = result(name, Int64, s.dropped, x)
	x.be().ReduceIndex(values.array(), indices.array(), x.array(), smallest, shape.split(dim))
	if tracked(name, indices, x) {
		autograd.RecordNothing(ops.Extreme{Dim: dim, Smallest: smallest, Indices: true}, indices, x)
	}
	if !tracked(name, values, x) {
		return values, indices
	}
	at := indices.bare()
	autograd.Record(ops.Extreme{Dim: dim, Smallest: smallest}, values, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.view("View", s.kept).scattered(shape, dim, with(g, at).view("View", s.kept))}
	}, at)
	return values, indices
}

// ArgMax returns the indices (Int64) of the largest elements along one
// dimension, without that dimension: of NaN if there is one, of the first of
// equal ones. (torch.argmax)
func (x *Tensor) ArgMax(dim int) *Tensor { return x.argExtreme("ArgMax", dim, false) }

// ArgMin returns the indices (Int64) of the smallest elements along one
// dimension, without that dimension: of NaN if there is one, of the first of
// equal ones. (torch.argmin)
func (x *Tensor) ArgMin(dim int) *Tensor { return x.argExtreme("ArgMin", dim, true) }

func (x *Tensor) argExtreme(name string, dim int, smallest bool) *Tensor {
	s := x.span(name, []int{dim})
	x.wantElements(name, s)
	indices := result(name, Int64, s.dropped, x)
	dim = x.dim(name, dim)
	x.be().ReduceIndex(backend.Array{}, indices.array(), x.array(), smallest, x.shape.split(dim))
	if !tracked(name, indices, x) {
		return indices
	}
	return autograd.RecordNothing(ops.ArgExtreme{Dim: dim, Smallest: smallest}, indices, x)
}

// LogSumExp returns log Σ exp(x) over the given dimensions, or over all without
// arguments, computed so that it does not overflow. Elements that are Inf share the
// gradient evenly; where all are -Inf it is 0. Of whole numbers and Bool it is
// Float32. (torch.logsumexp)
func (x *Tensor) LogSumExp(dims ...int) *Tensor { return x.logSumExp(dims, false) }

// LogSumExpKeepDim is LogSumExp that leaves the dimensions with size 1.
func (x *Tensor) LogSumExpKeepDim(dims ...int) *Tensor { return x.logSumExp(dims, true) }

func (x *Tensor) logSumExp(dims []int, keep bool) *Tensor {
	value := ops.Reduce{Method: "LogSumExp", Keep: keep}
	op := value.Name()
	x = x.fractional()
	s := x.span(op, dims)
	t := x.DType()
	if s.n == 0 {
		out := result(op, t, s.shape(keep), x)
		x.be().Fill(out.array(), math.Inf(-1))
		if !tracked(op, out, x) {
			return out
		}
		shape := x.shape
		value.Dims = x.named(op, dims)
		return autograd.Record(value, out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{spread(op, g, s, shape)} })
	}
	from := x.wide()
	most := from.reduce(op, backend.ReduceMax, s, s.kept)
	infinite := result(op, Bool, most.shape, most)
	most.be().Unary(infinite.array(), most.array(), backend.IsInf, backend.UnaryParams{})
	fillWhere(most, infinite, 0) // Inf - Inf must not become NaN
	infinite.release()
	powers := binary(op, backend.Sub, from, most)
	x.releaseCopy(from)
	overwrite(powers, backend.Exp)
	out := powers.reduce(op, backend.ReduceSum, s, s.shape(keep))
	powers.release()
	overwrite(out, backend.Log)
	overwriteWith(out, backend.Add, most.alias(out.shape))
	most.release()
	var total *Tensor
	if x.RequiresGrad() {
		total = out.alias(s.kept)
	}
	out = out.rounded(t, total)
	if !tracked(op, out, x) {
		return out
	}
	value.Dims = x.named(op, dims)
	in := x.saved()
	largest := math.MaxFloat64
	if wideType(t) == Float32 {
		largest = math.MaxFloat32
	}
	return recordWide(value, t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		x, total, g := with(g, in), with(g, total), g.view("View", s.kept)
		if !tape.InPass(g) { // with a history
			total = x.logSumExp(value.Dims, true)
		}
		// exp(x - total), where the largest number stands for Inf. There it is 1 for each element that is Inf, and they share
		// the gradient. Where all are -Inf it is 0.
		dx := x.Clamp(math.Inf(-1), largest).combined(backend.Sub, total.Clamp(-largest, largest)).mapped(backend.Exp)
		many := dx.sum(value.Dims, true).filled(total.LtScalar(largest), 1)
		return []*Tensor{dx.times(g.Div(many))}
	}, in, total)
}

// Any reports (as Bool) whether some element is not 0, over the given
// dimensions or over all without arguments. (torch.any)
func (x *Tensor) Any(dims ...int) *Tensor { return x.truth("Any", backend.ReduceAny, dims, false) }

// AnyKeepDim is Any that leaves the dimensions with size 1.
func (x *Tensor) AnyKeepDim(dims ...int) *Tensor {
	return x.truth("Any", backend.ReduceAny, dims, true)
}

// All reports (as Bool) whether no element is 0, over the given dimensions or
// over all without arguments. (torch.all)
func (x *Tensor) All(dims ...int) *Tensor { return x.truth("All", backend.ReduceAll, dims, false) }

// AllKeepDim is All that leaves the dimensions with size 1.
func (x *Tensor) AllKeepDim(dims ...int) *Tensor {
	return x.truth("All", backend.ReduceAll, dims, true)
}

func (x *Tensor) truth(method string, reduction backend.ReduceOp, dims []int, keep bool) *Tensor {
	op := ops.Reduce{Method: method, Keep: keep}
	s := x.span(op.Name(), dims)
	out := x.reduce(op.Name(), reduction, s, s.shape(keep))
	if !tracked(op.Name(), out, x) {
		return out
	}
	op.Dims = x.named(op.Name(), dims)
	return autograd.RecordNothing(op, out, x)
}
