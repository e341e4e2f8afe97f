package tensor

import (
	"iter"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Autocast marks what a sequence yields for mixed precision: what is made from it
// is computed in t, BFloat16 or Float16, where that is fast and safe.
//
//	for images, labels := range tensor.Autocast(loader.All(), tensor.BFloat16) { … }
//
// Float32 leaves the sequence as it is. See [Tensor.Autocast].
func Autocast(seq iter.Seq2[*Tensor, *Tensor], t DType) iter.Seq2[*Tensor, *Tensor] {
	if seq == nil {
		fail("Autocast", "the sequence of batches is nil")
	}
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
// Conv2d, ConvTranspose2d, Linear and MatMul cast their Float32 and half-precision
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
	tape.MarkView(y, x)
	if tracked("Autocast", y, x) {
		autograd.Record(ops.Autocast{DType: backend.DType(t)}, y, []*Tensor{x}, pass)
	}
	tape.SetMark(y, uint8(t))
	return y
}

// AutocastType returns the type that x is marked for, Float32 if it is not.
func (x *Tensor) AutocastType() DType {
	x.exists()
	return DType(tape.Mark(x))
}

// autocast casts the operands of an operation, of which optional ones may be nil, as
// its row of the table says, if one of them is marked.
func autocast(name string, operands ...**Tensor) {
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
		switch class := table[name].Autocast; {
		case *x == nil:
		case class == ops.Lower && (*x).DType().IsFloat() && (*x).DType() != Float64:
			castBeside(x, marked.AutocastType(), operands)
		case class == ops.Raise && (*x).DType().IsHalf():
			castBeside(x, Float32, operands)
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
	y.origin = *x
	y.path.Store((*x).path.Load())
	*x = y
}

// promote casts operands of several types to the one that they have together.
func promote(operands ...**Tensor) {
	t, same := (*operands[0]).DType(), true
	for _, x := range operands[1:] {
		same = (*x).DType() == t && same // DType first: it tells of nil
	}
	if same {
		return
	}
	all := make([]*Tensor, len(operands))
	for i, x := range operands {
		all[i] = *x
	}
	t = resultType(all...)
	for _, x := range operands {
		castBeside(x, t, operands)
	}
}

// promoteFactors is promote for a product or a quotient: as in PyTorch, a number
// without dimensions is not rounded to the half type that it scales. Only a product
// has one on the left.
func promoteFactors(x, y **Tensor, product bool) {
	switch {
	case (*x).scaledBy(*y):
		castBeside(y, Float32, []**Tensor{x, y})
	case product && (*y).scaledBy(*x):
		castBeside(x, Float32, []**Tensor{x, y})
	default:
		promote(x, y)
	}
}

// resultType returns the type in which operands meet (torch.result_type): the
// widest type of those that have dimensions, or of those that have none if these
// are of a higher kind.
func resultType(operands ...*Tensor) DType {
	var widest [2]DType // with dimensions, and without
	var some [2]bool
	for _, x := range operands {
		i := 0
		if len(x.shape) == 0 {
			i = 1
		}
		if some[i] {
			widest[i] = wider(widest[i], x.DType())
		} else {
			widest[i], some[i] = x.DType(), true
		}
	}
	if !some[0] || some[1] && rank(widest[1]) > rank(widest[0]) {
		return widest[1]
	}
	return widest[0]
}

// rank orders types by what they hold: truth values, whole numbers, fractions.
func rank(t DType) int {
	switch {
	case t == Bool:
		return 0
	case !t.IsFloat():
		return 1
	}
	return 2
}

// wider returns the type in which two types meet (torch.promote_types).
func wider(a, b DType) DType {
	switch {
	case a == b || rank(a) > rank(b):
		return a
	case rank(a) < rank(b):
		return b
	case a == Float64 || b == Float64:
		return Float64
	case rank(a) == 1:
		return Int64
	}
	return Float32
}
