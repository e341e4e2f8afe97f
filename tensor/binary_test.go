package tensor_test

import (
	"fmt"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestBinaryReference(t *testing.T) {
	scalar := func(f func(x *T, s float64) *T) refOp {
		return func(in []*T, a refArgs) []*T { return one(f(in[0], a.float("s"))) }
	}
	// The reference does not know in place: it gets a copy.
	inPlace := func(f func(x, y *T) *T) refOp {
		return func(in []*T, _ refArgs) []*T { return one(f(in[0].Clone(), in[1])) }
	}
	checkReference(t, "binary", map[string]refOp{
		"Add": ref2((*T).Add), "Sub": ref2((*T).Sub), "Mul": ref2((*T).Mul), "Div": ref2((*T).Div), "Pow": ref2((*T).Pow),
		"Maximum": ref2((*T).Maximum), "Minimum": ref2((*T).Minimum),
		"Remainder": ref2((*T).Remainder), "Fmod": ref2((*T).Fmod), "Atan2": ref2((*T).Atan2),
		"Eq": ref2((*T).Eq), "Ne": ref2((*T).Ne), "Lt": ref2((*T).Lt), "Le": ref2((*T).Le), "Gt": ref2((*T).Gt), "Ge": ref2((*T).Ge),
		"And": ref2((*T).And), "Or": ref2((*T).Or), "Xor": ref2((*T).Xor),
		"AddScalar": scalar((*T).AddScalar), "SubScalar": scalar((*T).SubScalar), "RSubScalar": scalar((*T).RSubScalar),
		"MulScalar": scalar((*T).MulScalar), "DivScalar": scalar((*T).DivScalar), "RDivScalar": scalar((*T).RDivScalar),
		"PowScalar": scalar((*T).PowScalar), "RemainderScalar": scalar((*T).RemainderScalar), "FmodScalar": scalar((*T).FmodScalar),
		"EqScalar": scalar((*T).EqScalar), "NeScalar": scalar((*T).NeScalar), "LtScalar": scalar((*T).LtScalar),
		"LeScalar": scalar((*T).LeScalar), "GtScalar": scalar((*T).GtScalar), "GeScalar": scalar((*T).GeScalar),
		"AddInPlace": inPlace((*T).AddInPlace), "SubInPlace": inPlace((*T).SubInPlace),
		"MulInPlace": inPlace((*T).MulInPlace), "DivInPlace": inPlace((*T).DivInPlace),
		"LerpInPlace": func(in []*T, a refArgs) []*T {
			return one(in[0].Clone().LerpInPlace(in[1], a.float("weight")))
		},
		"AddScalarInPlace": func(in []*T, a refArgs) []*T { return one(in[0].Clone().AddScalarInPlace(a.float("s"))) },
		"MulScalarInPlace": func(in []*T, a refArgs) []*T { return one(in[0].Clone().MulScalarInPlace(a.float("s"))) },
		"ClampInPlace": func(in []*T, a refArgs) []*T {
			return one(in[0].Clone().ClampInPlace(a.float("lo"), a.float("hi")))
		},
	})
}

// An operand may be a view of the destination.
func TestInPlaceOverlap(t *testing.T) {
	x := tensor.From([]float32{1, 2, 3, 4}, 2, 2)
	x.AddInPlace(x.Select(0, 0))
	wantTensor(t, "x += x[0]", x, tensor.From([]float32{2, 4, 4, 6}, 2, 2), 0)
	x.MulInPlace(x)
	wantTensor(t, "x *= x", x, tensor.From([]float32{4, 16, 16, 36}, 2, 2), 0)
	x.LerpInPlace(x.Select(0, 1), 0.75)
	wantTensor(t, "lerp of x to x[1]", x, tensor.From([]float32{13, 31, 16, 36}, 2, 2), 0)
}

// In-place operations change what a tape still needs only with a panic.
func TestInPlaceRecorded(t *testing.T) {
	x := tensor.From([]float32{1, 2}).SetRequiresGrad(true)
	c := tensor.From([]float32{3, 4})
	y := x.Mul(c)
	wantFailure(t, "a value with history", "has history", func() { y.AddScalarInPlace(1) })
	// The gradient of x needs c, that of c (there is none) would need x.
	x.AddScalarInPlace(1)
	y.Backward(tensor.BackwardOpts{Gradient: tensor.Ones(2)})
	wantTensor(t, "gradient", x.Grad(), c, 0)
	y = x.Mul(c)
	c.MulScalarInPlace(2)
	wantFailure(t, "a value that the gradient needs", "changed in place", func() { y.Backward(tensor.BackwardOpts{Gradient: tensor.Ones(2)}) })
}

// Operands broadcast: here a column against a row.
func ExampleTensor_Add() {
	column := tensor.From([]float32{10, 20}, 2, 1)
	row := tensor.From([]float32{1, 2, 3})
	sum := column.Add(row)
	fmt.Println(sum.Shape(), sum.Floats())
	// Output: [2 3] [11 12 13 21 22 23]
}
