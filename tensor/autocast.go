package tensor

import (
	"iter"

	"github.com/wick-ml/wick/autograd"
)

// Autocast marks what a sequence yields for mixed precision: what is made from it
// is computed in t, BFloat16 or Float16, where that is fast and safe.
//
//	for images, labels := range tensor.Autocast(loader.All(), tensor.BFloat16) { … }
//
// Float32 leaves the sequence as it is. See [Tensor.Autocast].
func Autocast(seq iter.Seq2[*Tensor, *Tensor], t DType) iter.Seq2[*Tensor, *Tensor] {
	if t == Float32 {
		return seq
	}
	return func(yield func(a, b *Tensor) bool) {
		for a, b := range seq {
			if !yield(a.Autocast(t), b.Autocast(t)) {
				return
			}
		}
	}
}

// Autocast returns a tensor that shares x's memory and is marked for mixed
// precision in t, BFloat16 or Float16. The mark is handed on as the no-grad mark
// is, and operations that meet it choose their type as under torch.autocast:
// Conv2d, ConvTranspose2d, Linear and MatMul cast their Float32 and half-width
// operands to t and give results in it; losses and Prod cast theirs to Float32; all
// others compute in the type that arrives, the wider one if two meet. Parameters
// stay Float32 and so do their gradients: the cast of a weight is an operation
// with a gradient. Float32 takes the mark off. (torch.autocast, the list of
// operations for the CPU)
func (x *Tensor) Autocast(t DType) *Tensor {
	if t != Float32 && !t.IsHalf() {
		fail("Autocast", "got %s, want bfloat16 or float16, or float32 for none", t)
	}
	x.check("Autocast")
	y := x.bare()
	y.MarkView(&x.variable)
	autograd.Record("Autocast", y, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g} })
	y.SetMark(uint8(t))
	return y
}

// AutocastType returns the type that x is marked for, Float32 if it is not.
func (x *Tensor) AutocastType() DType {
	x.exists()
	return DType(x.Mark())
}

// lower casts the operands of a product, of which optional ones may be nil, to
// the type that one of them is marked for.
func lower(operands ...**Tensor) {
	var marked *Tensor
	for _, x := range operands {
		if *x != nil && marked == nil && (*x).AutocastType() != Float32 {
			marked = *x
		}
	}
	if marked == nil {
		return
	}
	for _, x := range operands {
		if *x != nil && (*x).DType().IsFloat() && (*x).DType() != Float64 {
			castBeside(x, marked.AutocastType(), operands)
		}
	}
}

// castBeside casts one of an operation's operands. The result lives no longer
// than the others, and is not recorded where one of them is marked no-grad.
func castBeside(x **Tensor, t DType, operands []**Tensor) {
	if (*x).DType() == t {
		return
	}
	var owners []*Tensor
	noGrad := false
	for _, o := range operands {
		if *o != nil {
			owners = append(owners, *o)
			noGrad = noGrad || (*o).IsNoGrad()
		}
	}
	from := *x
	if noGrad && from.IsLeaf() {
		from = from.NoGrad()
	}
	y := from.cast(t, owners...)
	y.path, y.origin = (*x).path, *x
	*x = y
}

// raise casts operands of half width to Float32 if one is marked.
func raise(operands ...**Tensor) {
	marked := false
	for _, x := range operands {
		marked = marked || *x != nil && (*x).AutocastType() != Float32
	}
	for _, x := range operands {
		if marked && *x != nil && (*x).DType().IsHalf() {
			castBeside(x, Float32, operands)
		}
	}
}

// promote casts operands if floating-point types differ and some are of half
// width, as PyTorch does: to the widest type, to Float32 where BFloat16 and Float16
// meet; a tensor without dimensions follows those that have some.
func promote(operands ...**Tensor) {
	half, scalars := false, 0
	for _, x := range operands {
		if !(*x).DType().IsFloat() {
			return
		}
		half = half || (*x).DType().IsHalf()
		if len((*x).shape) == 0 {
			scalars++
		}
	}
	if !half {
		return
	}
	follows := func(x *Tensor) bool { return len(x.shape) == 0 && scalars < len(operands) }
	widest, first := Float32, true
	for _, x := range operands {
		t := (*x).DType()
		switch {
		case follows(*x):
		case first:
			widest, first = t, false
		case t == Float64 || widest == Float64:
			widest = Float64
		case t != widest:
			widest = Float32
		}
	}
	for _, x := range operands {
		if (*x).DType().IsHalf() || follows(*x) {
			castBeside(x, widest, operands)
		}
	}
}
