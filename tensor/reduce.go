package tensor

import (
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
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
	s := span{reduce: make([]bool, len(x.Shape())), kept: Shape{}, dropped: Shape{}, n: 1}
	named := make([]bool, max(len(x.shape), 1))
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
	x.be().Reduce(out.array(), x.array(), op, backend.ReduceGeom{Shape: x.shape, Reduce: s.reduce})
	return out
}

// spread returns g, a reduction's result over s, repeated to the shape that was
// reduced.
func spread(op string, g *Tensor, s span, shape Shape) *Tensor {
	return g.view(op, s.kept).Expand(shape...)
}

// The following compute elementwise and record nothing. In a gradient, owners
// is the gradient that came in: what is made from saved values alone would
// otherwise outlive the walk.

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

// fillWhere replaces the elements of a fresh tensor by v where mask, of its
// shape, is true.
func fillWhere(x, mask *Tensor, v float64) {
	fill := result("Where", x.DType(), Shape{}, x)
	x.be().Fill(fill.array(), v)
	st := x.shape.strides()
	x.be().Where(x.array(), mask.array(), fill.array(), x.array(), backend.WhereGeom{
		Shape: x.shape, Cond: st, A: fill.stridesIn(x.shape), B: st,
	})
}

// Sum returns the sum over the given dimensions, or over all without arguments.
// Sums of Int64, Uint8 and Bool are Int64. (torch.sum)
func (x *Tensor) Sum(dims ...int) *Tensor { return x.sum("Sum", dims, false) }

// SumKeep is Sum that leaves the dimensions with size 1.
func (x *Tensor) SumKeep(dims ...int) *Tensor { return x.sum("SumKeep", dims, true) }

func (x *Tensor) sum(op string, dims []int, keep bool) *Tensor {
	s := x.span(op, dims)
	out := x.reduce(op, backend.ReduceSum, s, s.shape(keep))
	shape := x.shape
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{spread(op, g, s, shape)}
	})
}

// Mean returns the mean over the given dimensions, or over all without
// arguments. The mean of no elements is NaN. (torch.mean)
func (x *Tensor) Mean(dims ...int) *Tensor { return x.mean("Mean", dims, false) }

// MeanKeep is Mean that leaves the dimensions with size 1.
func (x *Tensor) MeanKeep(dims ...int) *Tensor { return x.mean("MeanKeep", dims, true) }

func (x *Tensor) mean(op string, dims []int, keep bool) *Tensor {
	x.wantFloat(op)
	s := x.span(op, dims)
	t, shape := x.DType(), x.shape
	out := x.reduceTo(op, wideType(t), backend.ReduceSum, s, s.shape(keep))
	overwriteScalar(out, backend.Div, float64(s.n))
	return recordWide(autograd.Named(op), t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{spread(op, scalar(op, backend.Div, g, float64(s.n), false).cast(t), s, shape)}
	})
}

// Prod returns the product over the given dimensions, or over all without
// arguments. Products of Int64, Uint8 and Bool are Int64. (torch.prod)
func (x *Tensor) Prod(dims ...int) *Tensor { return x.prod("Prod", dims, false) }

// ProdKeep is Prod that leaves the dimensions with size 1.
func (x *Tensor) ProdKeep(dims ...int) *Tensor { return x.prod("ProdKeep", dims, true) }

func (x *Tensor) prod(op string, dims []int, keep bool) *Tensor {
	autocast(op, &x)
	s := x.span(op, dims)
	out := x.reduce(op, backend.ReduceProd, s, s.shape(keep))
	in := x.bare()
	return recordWide(autograd.Named(op), x.DType(), out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		if s.n == 1 { // there are no others, so it does not matter if the element is not finite
			return []*Tensor{g.alias(in.shape)}
		}
		// The gradient of an element is the product of the others: that of all that are not 0, divided by
		// the element if it is not 0 itself. If one of the others is 0 it is 0, and NaN if another is not finite.
		in := in.wide(g)
		zero := scalar(op, backend.Eq, in, 0, false, g)
		factors := like(op, in, g)
		factors.be().Copy(factors.array(), in.array())
		fillWhere(factors, zero, 1)
		product := factors.reduce(op, backend.ReduceProd, s, s.kept)
		overwriteWith(product, backend.Mul, g.alias(s.kept))
		dx := binary(op, backend.Div, product, factors)
		beside := othersOf(op, zero, s)
		fillWhere(dx, beside, 0)
		odd := result(op, Bool, in.shape, in, g)
		in.be().Unary(odd.array(), in.array(), backend.IsFinite, backend.UnaryParams{})
		overwrite(odd, backend.Not)
		fillWhere(dx, binary(op, backend.And, beside, othersOf(op, odd, s)), math.NaN())
		return []*Tensor{dx}
	}, in)
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

	// average is the mean in Float64, and deviation x minus it, before the sum and again for the gradient.
	in := x.bare()
	average := func() *Tensor {
		mean := in.reduceTo(op, Float64, backend.ReduceSum, s, s.kept)
		overwriteScalar(mean, backend.Div, float64(s.n))
		return mean
	}
	deviation := func(mean *Tensor, owners ...*Tensor) *Tensor {
		from := in.wide(owners...)
		defer in.releaseCopy(from)
		return binary(op, backend.Sub, from, mean, owners...)
	}
	// The squares are added in Float64, where those of all Float32 have room, less what rounding the mean has added.
	exact := average()
	mean := exact.cast(wideType(t))
	d := deviation(mean)
	squares := d.reduceTo(op, Float64, backend.ReduceSumSquares, s, s.shape(opts.Keep))
	d.Release()
	if mean != exact {
		rounded := mean.cast(Float64)
		overwriteWith(exact, backend.Sub, rounded)
		overwrite(exact, backend.Square)
		overwriteScalar(exact, backend.Mul, float64(s.n))
		overwriteWith(squares, backend.Sub, exact.alias(squares.shape))
		rounded.Release()
		mean.Release()
	}
	exact.Release()
	squares.be().Unary(squares.array(), squares.array(), backend.Clamp, backend.UnaryParams{P0: 0, P1: math.Inf(1)})
	if s.n == 0 { // nothing has no variance, whatever the correction
		n = 0
	}
	overwriteScalar(squares, backend.Div, max(n, 0))
	var std *Tensor
	if root {
		overwrite(squares, backend.Sqrt)
	}
	out := squares.cast(wideType(t))
	if out != squares {
		squares.Release()
	}
	if root {
		std = out.alias(s.kept)
	}
	return recordWide(autograd.Named(op), t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		exact := average()
		defer exact.Release()
		dx, share := deviation(exact.cast(wideType(t), g), g), g.alias(s.kept)
		if root { // of the variance: half of the root's, divided by it
			flat := scalar(op, backend.Eq, std, 0, false, g)
			share = binary(op, backend.Div, share, std)
			fillWhere(share, flat, 0)
			overwriteScalar(share, backend.Mul, 0.5)
		}
		slope := 2 / n
		if n <= 0 && (len(opts.Dims) == 0 || len(in.shape) == 0) { // PyTorch's for all dimensions
			overwrite(dx, backend.Sign)
			overwrite(dx, backend.Abs)
			slope = math.Inf(1)
		}
		overwriteWith(dx, backend.Mul, scalar(op, backend.Mul, share, slope, false, g))
		return []*Tensor{dx}
	}, in, std)
}

// Norm returns the p-norm (Σ|x|^p)^(1/p) over the given dimensions, or over all
// without arguments: Norm(2) is the Euclidean norm; p of +Inf or -Inf gives the
// largest or smallest magnitude, 0 the number of elements that are not 0. Where
// the norm is 0 the gradient is 0. (torch.linalg.vector_norm)
func (x *Tensor) Norm(p float64, dims ...int) *Tensor { return x.norm("Norm", p, dims, false) }

// NormKeep is Norm that leaves the dimensions with size 1.
func (x *Tensor) NormKeep(p float64, dims ...int) *Tensor { return x.norm("NormKeep", p, dims, true) }

func (x *Tensor) norm(op string, p float64, dims []int, keep bool) *Tensor {
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
		nonzero.Release()
	case math.IsInf(p, 0):
		extreme := backend.ReduceMax
		if p < 0 {
			extreme = backend.ReduceMin
		}
		magnitudes := apply(op, backend.Abs, x)
		out = magnitudes.reduceTo(op, wide, extreme, s, shape)
		magnitudes.Release()
	default:
		from := x.wide()
		powers := apply(op, backend.Abs, from)
		x.releaseCopy(from)
		if p != 1 {
			overwriteScalar(powers, backend.Pow, p)
		}
		out = powers.reduce(op, backend.ReduceSum, s, shape)
		powers.Release()
		if p != 1 {
			overwriteScalar(out, backend.Pow, 1/p)
		}
	}
	in, norm := x.bare(), out.alias(s.kept)
	return recordWide(autograd.Named(op), t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		in, g := in.wide(g), g.alias(s.kept)
		switch {
		case p == 0:
			dx := like(op, in, g)
			dx.be().Fill(dx.array(), 0)
			return []*Tensor{dx}
		case p == 2: // x/norm·g
			flat := scalar(op, backend.Eq, norm, 0, false, g)
			by, share := like(op, norm, g), like(op, g)
			by.be().Copy(by.array(), norm.array())
			fillWhere(by, flat, 1)
			share.be().Copy(share.array(), g.array())
			fillWhere(share, flat, 0)
			dx := binary(op, backend.Div, in, by)
			overwriteWith(dx, backend.Mul, share)
			return []*Tensor{dx}
		case math.IsInf(p, 0): // equal shares to the elements that have the magnitude
			dx := shareAmong(op, equal(op, apply(op, backend.Abs, in, g), norm, g), g, s)
			overwriteWith(dx, backend.Mul, apply(op, backend.Sign, in, g))
			return []*Tensor{dx}
		}
		// g·sign(x)·|x|^(p-1)·norm^(1-p)
		dx := apply(op, backend.Abs, in, g)
		overwriteScalar(dx, backend.Pow, p-1)
		overwriteWith(dx, backend.Mul, apply(op, backend.Sign, in, g))
		if p < 1 {
			fillWhere(dx, scalar(op, backend.Eq, in, 0, false, g), 0) // the power is infinite there
		}
		share := scalar(op, backend.Pow, norm, 1-p, false, g)
		overwriteWith(share, backend.Mul, g)
		if p != 1 {
			fillWhere(share, scalar(op, backend.Eq, norm, 0, false, g), 0)
		}
		overwriteWith(dx, backend.Mul, share)
		return []*Tensor{dx}
	}, in, norm)
}

// same tells where x equals y, broadcast.
func same(op string, x, y *Tensor, owners ...*Tensor) *Tensor {
	return binary(op, backend.Eq, x, y, owners...)
}

// equal is same that takes NaN for equal to NaN.
func equal(op string, x, y *Tensor, owners ...*Tensor) *Tensor {
	nan := func(x *Tensor) *Tensor {
		out := result(op, Bool, x.shape, append(owners, x)...)
		x.be().Unary(out.array(), x.array(), backend.IsNaN, backend.UnaryParams{})
		return out
	}
	mask := binary(op, backend.And, nan(x), nan(y))
	overwriteWith(mask, backend.Or, same(op, x, y, owners...))
	return mask
}

// shareAmong divides g, the gradient of a reduction over s, evenly among the
// elements for which mask is true.
func shareAmong(op string, mask, g *Tensor, s span) *Tensor {
	dx := mask.cast(g.DType())
	share := binary(op, backend.Div, g.alias(s.kept), dx.reduce(op, backend.ReduceSum, s, s.kept))
	overwriteWith(dx, backend.Mul, share)
	return dx
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
	return x.extreme("Amax", backend.ReduceMax, dims, false, same)
}

// AmaxKeep is Amax that leaves the dimensions with size 1.
func (x *Tensor) AmaxKeep(dims ...int) *Tensor {
	return x.extreme("AmaxKeep", backend.ReduceMax, dims, true, same)
}

// Amin returns the smallest element over the given dimensions, or over all
// without arguments. NaN counts as the smallest. Equal smallest elements share
// the gradient evenly. (torch.amin)
func (x *Tensor) Amin(dims ...int) *Tensor {
	return x.extreme("Amin", backend.ReduceMin, dims, false, same)
}

// AminKeep is Amin that leaves the dimensions with size 1.
func (x *Tensor) AminKeep(dims ...int) *Tensor {
	return x.extreme("AminKeep", backend.ReduceMin, dims, true, same)
}

// MaxAll returns the largest of all elements, as [Tensor.Amax] does; elements that
// are NaN share the gradient if there are some, which Amax makes NaN. (torch.max)
func (x *Tensor) MaxAll() *Tensor { return x.extreme("MaxAll", backend.ReduceMax, nil, false, equal) }

// MinAll returns the smallest of all elements, as [Tensor.Amin] does; elements that
// are NaN share the gradient if there are some, which Amin makes NaN. (torch.min)
func (x *Tensor) MinAll() *Tensor { return x.extreme("MinAll", backend.ReduceMin, nil, false, equal) }

// extreme reduces to the largest or smallest element; winner tells which elements
// share the gradient, those that equal it.
func (x *Tensor) extreme(op string, reduction backend.ReduceOp, dims []int, keep bool, winner func(op string, x, best *Tensor, owners ...*Tensor) *Tensor) *Tensor {
	s := x.span(op, dims)
	x.wantElements(op, s)
	out := x.reduce(op, reduction, s, s.shape(keep))
	in, best := x.bare(), out.alias(s.kept)
	return recordWide(autograd.Named(op), x.DType(), out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{shareAmong(op, winner(op, in, best, g), g, s)}
	}, in, out)
}

// Max returns the largest elements along one dimension and their indices
// (Int64), without that dimension. NaN counts as the largest; of equal ones the
// first is taken, and gets the gradient. (torch.max with dim)
func (x *Tensor) Max(dim int) (values, indices *Tensor) { return x.extremeAt("Max", dim, false) }

// Min returns the smallest elements along one dimension and their indices
// (Int64), without that dimension. NaN counts as the smallest; of equal ones the
// first is taken, and gets the gradient. (torch.min with dim)
func (x *Tensor) Min(dim int) (values, indices *Tensor) { return x.extremeAt("Min", dim, true) }

func (x *Tensor) extremeAt(op string, dim int, smallest bool) (values, indices *Tensor) {
	s := x.span(op, []int{dim})
	x.wantElements(op, s)
	shape := x.shape
	split := shape.split(x.dim(op, dim))
	values = result(op, x.DType(), s.dropped, x)
	indices = result(op, Int64, s.dropped, x)
	x.be().ReduceIndex(values.array(), indices.array(), x.array(), smallest, split)
	autograd.RecordNothing(autograd.Named(op), indices, x)
	at := indices.bare()
	autograd.Record(autograd.Named(op), values, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{scatterInto(op, shape, at, g, backend.IndexGeom{Outer: split.Outer, N: split.N, M: 1, Inner: split.Inner})}
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

func (x *Tensor) argExtreme(op string, dim int, smallest bool) *Tensor {
	s := x.span(op, []int{dim})
	x.wantElements(op, s)
	indices := result(op, Int64, s.dropped, x)
	x.be().ReduceIndex(backend.Array{}, indices.array(), x.array(), smallest, x.shape.split(x.dim(op, dim)))
	return autograd.RecordNothing(autograd.Named(op), indices, x)
}

// LogSumExp returns log Σ exp(x) over the given dimensions, or over all without
// arguments, computed so that it does not overflow. Elements that are Inf share the
// gradient evenly; where all are -Inf it is 0. Of whole numbers and Bool it is
// Float32. (torch.logsumexp)
func (x *Tensor) LogSumExp(dims ...int) *Tensor { return x.logSumExp("LogSumExp", dims, false) }

// LogSumExpKeep is LogSumExp that leaves the dimensions with size 1.
func (x *Tensor) LogSumExpKeep(dims ...int) *Tensor { return x.logSumExp("LogSumExpKeep", dims, true) }

func (x *Tensor) logSumExp(op string, dims []int, keep bool) *Tensor {
	x = x.fractional()
	s := x.span(op, dims)
	t := x.DType()
	if s.n == 0 {
		out := result(op, t, s.shape(keep), x)
		x.be().Fill(out.array(), math.Inf(-1))
		shape := x.shape
		return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{spread(op, g, s, shape)} })
	}
	from := x.wide()
	most := from.reduce(op, backend.ReduceMax, s, s.kept)
	infinite := result(op, Bool, most.shape, most)
	most.be().Unary(infinite.array(), most.array(), backend.IsInf, backend.UnaryParams{})
	fillWhere(most, infinite, 0) // Inf - Inf must not become NaN
	infinite.Release()
	powers := binary(op, backend.Sub, from, most)
	x.releaseCopy(from)
	overwrite(powers, backend.Exp)
	out := powers.reduce(op, backend.ReduceSum, s, s.shape(keep))
	powers.Release()
	overwrite(out, backend.Log)
	overwriteWith(out, backend.Add, most.alias(out.shape))
	most.Release()
	in, total := x.bare(), out.alias(s.kept)
	largest := math.MaxFloat64
	if wideType(t) == Float32 {
		largest = math.MaxFloat32
	}
	return recordWide(autograd.Named(op), t, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		g = g.alias(s.kept)
		limited := func(x *Tensor, least float64) *Tensor {
			y := like(op, x, g)
			y.be().Unary(y.array(), x.array(), backend.Clamp, backend.UnaryParams{P0: least, P1: largest})
			return y
		}
		// exp(x - total), where the largest number stands for Inf. There it is 1 for each element that is Inf, and they share
		// the gradient. Where all are -Inf it is 0.
		dx := limited(in.wide(g), math.Inf(-1))
		overwriteWith(dx, backend.Sub, limited(total, -largest))
		overwrite(dx, backend.Exp)
		many := dx.reduce(op, backend.ReduceSum, s, s.kept)
		fillWhere(many, scalar(op, backend.Lt, total, largest, false, g), 1)
		overwriteWith(dx, backend.Mul, binary(op, backend.Div, g, many))
		return []*Tensor{dx}
	}, in, total)
}

// Any reports (as Bool) whether some element is not 0, over the given
// dimensions or over all without arguments. (torch.any)
func (x *Tensor) Any(dims ...int) *Tensor { return x.truth("Any", backend.ReduceAny, dims, false) }

// AnyKeep is Any that leaves the dimensions with size 1.
func (x *Tensor) AnyKeep(dims ...int) *Tensor {
	return x.truth("AnyKeep", backend.ReduceAny, dims, true)
}

// All reports (as Bool) whether no element is 0, over the given dimensions or
// over all without arguments. (torch.all)
func (x *Tensor) All(dims ...int) *Tensor { return x.truth("All", backend.ReduceAll, dims, false) }

// AllKeep is All that leaves the dimensions with size 1.
func (x *Tensor) AllKeep(dims ...int) *Tensor {
	return x.truth("AllKeep", backend.ReduceAll, dims, true)
}

func (x *Tensor) truth(op string, reduction backend.ReduceOp, dims []int, keep bool) *Tensor {
	s := x.span(op, dims)
	return autograd.RecordNothing(autograd.Named(op), x.reduce(op, reduction, s, s.shape(keep)), x)
}
