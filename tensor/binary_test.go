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
		"DivTrunc":       ref2(func(x, y *T) *T { return x.DivRounded(y, tensor.RoundTrunc) }),
		"DivFloor":       ref2(func(x, y *T) *T { return x.DivRounded(y, tensor.RoundFloor) }),
		"DivTruncScalar": scalar(func(x *T, s float64) *T { return x.DivScalarRounded(s, tensor.RoundTrunc) }),
		"DivFloorScalar": scalar(func(x *T, s float64) *T { return x.DivScalarRounded(s, tensor.RoundFloor) }),
		"Lerp":           func(in []*T, a refArgs) []*T { return one(in[0].Lerp(in[1], a.float("weight"))) },
		"LerpTensor":     func(in []*T, _ refArgs) []*T { return one(in[0].LerpTensor(in[1], in[2])) },
		"ClampTensor":    func(in []*T, _ refArgs) []*T { return one(in[0].ClampTensor(in[1], in[2])) },
		"ClampMinTensor": ref2(func(x, lo *T) *T { return x.ClampTensor(lo, nil) }),
		"ClampMaxTensor": ref2(func(x, hi *T) *T { return x.ClampTensor(nil, hi) }),
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

// A number is rounded to the half type that it stands beside, but for products and
// quotients; TestEdges has PyTorch's values of all operations.
func TestScalarBesideHalf(t *testing.T) {
	for _, device := range testDevices(t) {
		for _, typ := range []tensor.DType{tensor.BFloat16, tensor.Float16, tensor.Float32} {
			x := tensor.FullLike(tensor.Zeros(2).ToDType(typ).To(device), 0.1)
			for name, got := range map[string]*T{
				"Eq": x.EqScalar(0.1), "Ge": x.GeScalar(0.1), "Le": x.LeScalar(0.1), "not Ne": x.NeScalar(0.1).Not(), "not Lt": x.LtScalar(0.1).Not(), "not Gt": x.GtScalar(0.1).Not(),
				"Sub": x.SubScalar(0.1).EqScalar(0), "RSub": x.RSubScalar(0.1).EqScalar(0), "Remainder": x.RemainderScalar(0.1).EqScalar(0), "Fmod": x.FmodScalar(0.1).EqScalar(0),
				"Clamp": x.Clamp(0, 0.1).Eq(x), "0-d": x.Eq(tensor.Full(0.1).To(device)),
			} {
				wantTensor(t, typ.String()+" "+name, got, tensor.From([]bool{true, true}), 0)
			}
			p := x.Clone().SetRequiresGrad(true)
			p.Clamp(0, 0.1).Sum().Backward()
			wantTensor(t, typ.String()+" gradient at Clamp's bound", p.Grad(), tensor.ZerosLike(x), 0)
		}
	}
}

// What is made of several steps is rounded to a half type once.
func TestLerpHalf(t *testing.T) {
	for _, device := range testDevices(t) {
		x, end := tensor.From([]float32{1, 60000, -3}).ToDType(tensor.Float16).To(device), tensor.From([]float32{2, -60000, 5}).ToDType(tensor.Float16).To(device)
		want := tensor.From([]float32{1.0999755859375, 48000, -2.19921875}).ToDType(tensor.Float16)
		wantTensor(t, "Lerp", x.Lerp(end, 0.1), want, 0)
		wantTensor(t, "LerpTensor", x.LerpTensor(end, tensor.Full(0.1, 3).To(device)).ToDType(tensor.Float16), want, 0)
		wantTensor(t, "LerpInPlace", x.Clone().LerpInPlace(end, 0.1), want, 0)
	}
}

// A quotient in whole numbers, towards 0 and down.
func ExampleTensor_DivRounded() {
	x, y := tensor.From([]int64{7, -7}), tensor.From([]int64{2, 2})
	fmt.Println(x.DivRounded(y, tensor.RoundTrunc), x.DivRounded(y, tensor.RoundFloor), x.Div(y))
	fmt.Println(tensor.From([]float32{7, -7}).DivScalarRounded(2, tensor.RoundFloor))
	// Output:
	// tensor([ 3, -3]) tensor([ 3, -4]) tensor([ 3.5000, -3.5000])
	// tensor([ 3., -4.])
}

// Each element has its own bounds, or a bound on one side only.
func ExampleTensor_ClampTensor() {
	x := tensor.From([]float32{-1, 0, 5})
	lo, hi := tensor.From([]float32{0, 1, 2}), tensor.From([]float32{3, 3, 3})
	fmt.Println(x.ClampTensor(lo, hi), x.ClampTensor(lo, nil), x.ClampMin(0))
	// Output: tensor([0., 1., 3.]) tensor([0., 1., 5.]) tensor([0., 0., 5.])
}

// A tenth of the way, and for each element its own part of it.
func ExampleTensor_Lerp() {
	x, end := tensor.From([]float32{0, 10}), tensor.From([]float32{10, 20})
	fmt.Println(x.Lerp(end, 0.1), x.LerpTensor(end, tensor.From([]float32{0.5, 1})))
	// Output: tensor([ 1., 11.]) tensor([ 5., 20.])
}

// Operands of two types meet in one; a fraction beside whole numbers makes fractions.
func ExampleTensor_Add_types() {
	whole := tensor.From([]int64{1, 2})
	fmt.Println(whole.Add(tensor.From([]float32{0.5, 0.5})), whole.AddScalar(1), whole.MulScalar(1.5), whole.Exp().DType())
	// Output: tensor([1.5000, 2.5000]) tensor([2, 3]) tensor([1.5000, 3.0000]) float32
}

// Operands broadcast: here a column against a row.
func ExampleTensor_Add() {
	column := tensor.From([]float32{10, 20}, 2, 1)
	row := tensor.From([]float32{1, 2, 3})
	sum := column.Add(row)
	fmt.Println(sum.Shape(), sum.Floats())
	// Output: [2 3] [11 12 13 21 22 23]
}

// Scaling in place takes a number as it is, too.
func TestScaleHalfInPlace(t *testing.T) {
	for _, device := range testDevices(t) {
		x := tensor.From([]float32{3, -100.5}).ToDType(tensor.BFloat16).To(device)
		for _, s := range []*T{tensor.Full(3.3333).To(device), tensor.Full(3.3333).ToDType(tensor.Float64).To(device)} {
			wantTensor(t, "MulInPlace", x.Clone().MulInPlace(s), x.Mul(s), 0)
			wantTensor(t, "DivInPlace", x.Clone().DivInPlace(s), x.Div(s), 0)
			wantTensor(t, "Mul", x.Mul(s), x.MulScalar(3.3333), 0)
			wantTensor(t, "Div", x.Div(s), x.DivScalar(3.3333), 0)
			wantTensor(t, "AddInPlace", x.Clone().AddInPlace(s), x.AddScalar(3.3333), 0)
		}
	}
}
