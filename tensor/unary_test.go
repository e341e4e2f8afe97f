package tensor_test

import (
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestUnaryReference(t *testing.T) {
	checkReference(t, "unary", map[string]refOp{
		"Neg": ref1((*T).Neg), "Abs": ref1((*T).Abs), "Sign": ref1((*T).Sign), "Square": ref1((*T).Square),
		"Sqrt": ref1((*T).Sqrt), "Rsqrt": ref1((*T).Rsqrt), "Reciprocal": ref1((*T).Reciprocal),
		"Exp": ref1((*T).Exp), "Expm1": ref1((*T).Expm1),
		"Log": ref1((*T).Log), "Log1p": ref1((*T).Log1p), "Log2": ref1((*T).Log2), "Log10": ref1((*T).Log10),
		"Sin": ref1((*T).Sin), "Cos": ref1((*T).Cos), "Tan": ref1((*T).Tan),
		"Asin": ref1((*T).Asin), "Acos": ref1((*T).Acos), "Atan": ref1((*T).Atan),
		"Sinh": ref1((*T).Sinh), "Cosh": ref1((*T).Cosh), "Tanh": ref1((*T).Tanh),
		"Erf": ref1((*T).Erf), "Sigmoid": ref1((*T).Sigmoid), "LogSigmoid": ref1((*T).LogSigmoid),
		"Floor": ref1((*T).Floor), "Ceil": ref1((*T).Ceil), "Round": ref1((*T).Round), "Trunc": ref1((*T).Trunc),
		"Clamp":    func(in []*T, a refArgs) []*T { return one(in[0].Clamp(a.float("lo"), a.float("hi"))) },
		"ClampMin": func(in []*T, a refArgs) []*T { return one(in[0].ClampMin(a.float("lo"))) },
		"ClampMax": func(in []*T, a refArgs) []*T { return one(in[0].ClampMax(a.float("hi"))) },
		"ReLU":     ref1((*T).ReLU),
		"LeakyReLU": func(in []*T, a refArgs) []*T {
			return one(in[0].LeakyReLU(a.float("slope")))
		},
		"GELU": ref1((*T).GELU), "GELUTanh": ref1((*T).GELUTanh), "SiLU": ref1((*T).SiLU),
		"ELU":       func(in []*T, a refArgs) []*T { return one(in[0].ELU(a.float("alpha"))) },
		"Hardswish": ref1((*T).Hardswish), "Hardsigmoid": ref1((*T).Hardsigmoid),
		"Softplus": func(in []*T, a refArgs) []*T { return one(in[0].Softplus(a.float("beta"), a.float("threshold"))) },
		"IsNaN":    ref1((*T).IsNaN), "IsInf": ref1((*T).IsInf), "IsFinite": ref1((*T).IsFinite), "Not": ref1((*T).Not),
	})
}

// ReLUInPlace has ReLU's values and gradient, without new memory.
func TestReLUInPlace(t *testing.T) {
	x := tensor.From([]float64{-1, 0, 2, 3}).SetRequiresGrad(true)
	y := x.MulScalar(2)
	z := y.ReLUInPlace()
	if z != y {
		t.Errorf("got another tensor than the receiver")
	}
	wantTensor(t, "result", z, tensor.From([]float64{0, 0, 4, 6}), 0)
	z.Mul(z).Backward(tensor.BackwardOpts{Gradient: tensor.From([]float64{1, 1, 1, 10})})
	wantTensor(t, "gradient", x.Grad(), tensor.From([]float64{0, 0, 16, 240}), 0)
	wantFailure(t, "a leaf", "leaf that requires a gradient", func() { x.ReLUInPlace() })
	// Exp needs its result, which is gone.
	e := x.Exp()
	e.ReLUInPlace()
	wantFailure(t, "a result that is needed", "changed in place", func() { e.Mul(e).Backward(tensor.BackwardOpts{Gradient: tensor.OnesLike(x)}) })
}

// wantFailure fails unless f panics with an error that contains want.
func wantFailure(t *testing.T, what, want string, f func()) {
	t.Helper()
	if err := tensor.Try(f); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got error %v, want one with %q", what, err, want)
	}
}

func TestElementwiseErrors(t *testing.T) {
	f := tensor.From([]float32{1, 2, 3})
	i := tensor.From([]int64{1, 2, 3})
	u := tensor.From([]uint8{1, 2, 3})
	b := tensor.From([]bool{true, false, true})
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"float functions of integers", "GELU: the operand is int64, want a floating-point type; ToDType converts", func() { i.GELU() }},
		{"numbers of bools", "Neg: the operand is bool, want a number", func() { b.Neg() }},
		{"a difference of bools", "Sub: the operand is bool, want a number", func() { b.Sub(b) }},
		{"a number less a bool", "RSubScalar: the operand is bool, want a number", func() { b.RSubScalar(1) }},
		{"a power of bools", "Pow: the operand is bool, want a number", func() { b.Pow(b) }},
		{"a remainder of bools", "Fmod: the operand is bool, want a number", func() { b.Fmod(b) }},
		{"a rounded quotient of bools", "DivRounded: the operand is bool, want a number", func() { b.DivRounded(b, tensor.RoundFloor) }},
		{"shapes", "Add: shapes [3] and [2] do not broadcast: 3 and 2 differ in the last dimension, want equal sizes or 1", func() { f.Add(tensor.Ones(2)) }},
		{"shapes of two dimensions", "Mul: shapes [2 3] and [4 1] do not broadcast: 2 and 4 differ in dimension -2, want equal sizes or 1", func() { tensor.Ones(2, 3).Mul(tensor.Ones(4, 1)) }},
		{"a fraction for integers in place", "MulScalarInPlace: the result is float32, which the destination, int64, does not hold", func() { i.Clone().MulScalarInPlace(0.5) }},
		{"a number for bools in place", "AddScalarInPlace: the result is int64, which the destination, bool, does not hold", func() { b.Clone().AddScalarInPlace(1) }},
		{"fractions for integers in place", "AddInPlace: the result is float32, which the destination, int64, does not hold", func() { i.Clone().AddInPlace(f) }},
		{"a fractional bound in place", "ClampInPlace: the result is float32, which the destination, int64, does not hold", func() { i.Clone().ClampInPlace(0.5, 2) }},
		{"a negative number for uint8", "GtScalar: the number -1 does not fit a tensor of uint8, want a whole number from 0 to 255", func() { u.GtScalar(-1) }},
		{"integer remainder by 0", "RemainderScalar: the divisor of a tensor of int64 is 0", func() { i.RemainderScalar(0) }},
		{"uint8 remainder by what is 0 in it", "FmodScalar: the divisor of a tensor of uint8 is 256, want one that is not 0 in it", func() { u.FmodScalar(256) }},
		{"integer quotient by 0", "DivScalarRounded: the divisor of a tensor of int64 is 0", func() { i.DivScalarRounded(0, tensor.RoundTrunc) }},
		{"bounds of nothing", "ClampTensor: both bounds are nil, want one at least", func() { f.ClampTensor(nil, nil) }},
		{"the way between integers", "Lerp: the operand is int64, want a floating-point type", func() { i.Lerp(i, 0.5) }},
		{"negative power of integers", "PowScalar: the power -1 of a tensor of int64 is negative", func() { i.PowScalar(-1) }},
		{"in place, too large", "AddInPlace: the operand [2 3] does not broadcast to the destination [3]", func() { f.Clone().AddInPlace(tensor.Ones(2, 3)) }},
		{"in place, integers", "DivInPlace: the result is float32, which the destination, int64, does not hold", func() { i.Clone().DivInPlace(i) }},
		{"a condition of numbers", "Where: the condition is int64, want bool", func() { tensor.Where(i, f, f) }},
		{"a value that does not fit", "MaskedFill: the number 0.5 does not fit a tensor of int64", func() { i.MaskedFill(b, 0.5) }},
		{"softplus without beta", "Softplus: beta is 0", func() { f.Softplus(0, 20) }},
		{"a probability", "Dropout: the probability is 1.5, want 0 to 1", func() { f.Dropout(1.5, true) }},
		{"dropout of integers", "Dropout: the operand is int64", func() { i.Dropout(0.5, true) }},
		{"an empty range", "RandInt: the range from 3 up to 3 is empty", func() { tensor.RandInt(3, 3, 2) }},
		{"a range backwards", "UniformInPlace: the range is [1, 0)", func() { f.Clone().UniformInPlace(1, 0) }},
		{"a deviation", "NormalInPlace: the standard deviation is -1", func() { f.Clone().NormalInPlace(0, -1) }},
		{"two generators", "NormalInPlace: got 2 generators", func() { f.Clone().NormalInPlace(0, 1, nil, nil) }},
	} {
		wantFailure(t, c.name, c.want, c.f)
	}
}
