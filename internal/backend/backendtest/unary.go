package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Unary", "every function agrees with its definition, in place too", testUnary},
		Row{"Unary", "NaN, infinities and signed zeros go through as in PyTorch", testUnarySpecial},
		Row{"Unary", "integers keep their type", testUnaryInt},
		Row{"Unary", "questions are answered in Bool", testUnaryBool},
		Row{"UnaryGrad", "the gradient is the slope of the function, in place too", testUnaryGrad},
		Row{"UnaryGrad", "kinks and NaN get PyTorch's gradients", testUnaryGradKinks},
	)
}

// unaryCase is an operation with its definition, and the range in which it is
// tried: lo + (hi-lo)·[0, 1).
type unaryCase struct {
	name   string
	op     backend.UnaryOp
	p      backend.UnaryParams
	lo, hi float64
	f      func(x float64) float64
}

var unaryCases = []unaryCase{
	{"Neg", backend.Neg, backend.UnaryParams{}, -2, 2, func(x float64) float64 { return -x }},
	{"Abs", backend.Abs, backend.UnaryParams{}, -2, 2, math.Abs},
	{"Sign", backend.Sign, backend.UnaryParams{}, -2, 2, func(x float64) float64 { return math.Copysign(1, x) }},
	{"Square", backend.Square, backend.UnaryParams{}, -2, 2, func(x float64) float64 { return x * x }},
	{"Sqrt", backend.Sqrt, backend.UnaryParams{}, 0.1, 5, math.Sqrt},
	{"Rsqrt", backend.Rsqrt, backend.UnaryParams{}, 0.1, 5, func(x float64) float64 { return math.Pow(x, -0.5) }},
	{"Reciprocal", backend.Reciprocal, backend.UnaryParams{}, 0.2, 5, func(x float64) float64 { return 1 / x }},
	{"Exp", backend.Exp, backend.UnaryParams{}, -3, 3, math.Exp},
	{"Expm1", backend.Expm1, backend.UnaryParams{}, -1e-3, 1e-3, math.Expm1},
	{"Log", backend.Log, backend.UnaryParams{}, 0.1, 9, math.Log},
	{"Log1p", backend.Log1p, backend.UnaryParams{}, -1e-3, 1e-3, math.Log1p},
	{"Log2", backend.Log2, backend.UnaryParams{}, 0.1, 9, func(x float64) float64 { return math.Log(x) / math.Ln2 }},
	{"Log10", backend.Log10, backend.UnaryParams{}, 0.1, 9, func(x float64) float64 { return math.Log(x) / math.Ln10 }},
	{"Sin", backend.Sin, backend.UnaryParams{}, -5, 5, math.Sin},
	{"Cos", backend.Cos, backend.UnaryParams{}, -5, 5, math.Cos},
	{"Tan", backend.Tan, backend.UnaryParams{}, -1.3, 1.3, math.Tan},
	{"Asin", backend.Asin, backend.UnaryParams{}, -0.9, 0.9, math.Asin},
	{"Acos", backend.Acos, backend.UnaryParams{}, -0.9, 0.9, math.Acos},
	{"Atan", backend.Atan, backend.UnaryParams{}, -5, 5, math.Atan},
	{"Sinh", backend.Sinh, backend.UnaryParams{}, -3, 3, math.Sinh},
	{"Cosh", backend.Cosh, backend.UnaryParams{}, -3, 3, math.Cosh},
	{"Tanh", backend.Tanh, backend.UnaryParams{}, -3, 3, math.Tanh},
	{"Erf", backend.Erf, backend.UnaryParams{}, -2, 2, math.Erf},
	{"Sigmoid", backend.Sigmoid, backend.UnaryParams{}, -6, 6, logistic},
	{"LogSigmoid", backend.LogSigmoid, backend.UnaryParams{}, -6, 6, func(x float64) float64 { return math.Log(logistic(x)) }},
	{"Floor", backend.Floor, backend.UnaryParams{}, -4, 4, math.Floor},
	{"Ceil", backend.Ceil, backend.UnaryParams{}, -4, 4, math.Ceil},
	{"Round", backend.Round, backend.UnaryParams{}, -4, 4, math.RoundToEven},
	{"Trunc", backend.Trunc, backend.UnaryParams{}, -4, 4, math.Trunc},
	{"Clamp", backend.Clamp, backend.UnaryParams{P0: -0.5, P1: 1}, -2, 2, func(x float64) float64 { return min(max(x, -0.5), 1) }},
	{"Clamp from below", backend.Clamp, backend.UnaryParams{P0: -0.5, P1: math.Inf(1)}, -2, 2, func(x float64) float64 { return max(x, -0.5) }},
	{"Clamp, bounds crossed", backend.Clamp, backend.UnaryParams{P0: 1, P1: -0.5}, -2, 2, func(x float64) float64 { return -0.5 }},
	{"ReLU", backend.ReLU, backend.UnaryParams{}, -2, 2, func(x float64) float64 { return max(x, 0) }},
	{"LeakyReLU", backend.LeakyReLU, backend.UnaryParams{P0: 0.25}, -2, 2, func(x float64) float64 { return max(x, 0) + 0.25*min(x, 0) }},
	{"LeakyReLU, negative slope", backend.LeakyReLU, backend.UnaryParams{P0: -0.5}, -2, 2, func(x float64) float64 { return max(x, 0) - 0.5*min(x, 0) }},
	{"GELU", backend.GELU, backend.UnaryParams{}, -4, 4, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }},
	{"GELUTanh", backend.GELUTanh, backend.UnaryParams{}, -4, 4, func(x float64) float64 {
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*math.Pow(x, 3))))
	}},
	{"SiLU", backend.SiLU, backend.UnaryParams{}, -6, 6, func(x float64) float64 { return x * logistic(x) }},
	{"ELU", backend.ELU, backend.UnaryParams{P0: 1.5}, -3, 3, func(x float64) float64 { return max(x, 0) + 1.5*math.Expm1(min(x, 0)) }},
	{"Hardswish", backend.Hardswish, backend.UnaryParams{}, -5, 5, func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 }},
	{"Hardsigmoid", backend.Hardsigmoid, backend.UnaryParams{}, -5, 5, func(x float64) float64 { return min(max(x+3, 0), 6) / 6 }},
	{"Softplus", backend.Softplus, backend.UnaryParams{P0: 2, P1: 20}, -8, 8, func(x float64) float64 { return math.Log1p(math.Exp(2*x)) / 2 }},
	{"Softplus, linear part", backend.Softplus, backend.UnaryParams{P0: 1, P1: 20}, 20.5, 30, func(x float64) float64 { return x }},
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// inputs returns n numbers in the range of the case that T holds exactly.
func (c unaryCase) inputs(n int) []float64 {
	x := random(uint64(n)+1, n)
	for i := range x {
		x[i] = float64(float32(c.lo + (c.hi-c.lo)*(x[i]+1)/2))
	}
	return x
}

func testUnary(t *testing.T, be backend.Backend) {
	seen := map[backend.UnaryOp]bool{backend.IsNaN: true, backend.IsInf: true, backend.IsFinite: true, backend.Not: true}
	for _, c := range unaryCases {
		seen[c.op] = true
		for _, n := range []int{0, 1, 3, 64, 1001, 40007} {
			unaryOne[float32](t, be, c, n)
			unaryOne[float64](t, be, c, n)
		}
	}
	for op := range backend.NumUnaryOps {
		if !seen[op] {
			t.Errorf("no case for operation %d", op)
		}
	}
}

func unaryOne[T float32 | float64](t *testing.T, be backend.Backend, c unaryCase, n int) {
	t.Helper()
	x := c.inputs(n)
	want := make([]float64, n)
	for i, v := range x {
		want[i] = c.f(v)
	}
	what := fmt.Sprintf("%s of %d %v", c.name, n, dtypeOf[T]())
	src, dst := floats[T](be, x), empty[T](be, n)
	be.Unary(dst, src, c.op, c.p)
	wantFloats(t, be, what, dst, want, tolerance[T]())
	be.Unary(src, src, c.op, c.p)
	wantFloats(t, be, what+", in place", src, want, tolerance[T]())
}

func testUnarySpecial(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name    string
		op      backend.UnaryOp
		p       backend.UnaryParams
		x, want []float64
	}{
		{"Abs", backend.Abs, backend.UnaryParams{}, []float64{nan, -inf, -2}, []float64{nan, inf, 2}},
		{"Sign", backend.Sign, backend.UnaryParams{}, []float64{nan, -inf, 0, 3}, []float64{0, -1, 0, 1}},
		{"Sqrt", backend.Sqrt, backend.UnaryParams{}, []float64{-1, 0, inf}, []float64{nan, 0, inf}},
		{"Rsqrt", backend.Rsqrt, backend.UnaryParams{}, []float64{0, inf}, []float64{inf, 0}},
		{"Log", backend.Log, backend.UnaryParams{}, []float64{0, -1, inf}, []float64{-inf, nan, inf}},
		{"Exp", backend.Exp, backend.UnaryParams{}, []float64{-inf, inf, nan}, []float64{0, inf, nan}},
		{"Round", backend.Round, backend.UnaryParams{}, []float64{0.5, 1.5, 2.5, -0.5, -1.5, inf}, []float64{0, 2, 2, 0, -2, inf}},
		{"ReLU", backend.ReLU, backend.UnaryParams{}, []float64{nan, -inf, inf, math.Copysign(nan, -1)}, []float64{nan, 0, inf, nan}},
		{"Clamp", backend.Clamp, backend.UnaryParams{P0: -1, P1: 1}, []float64{nan, -inf, inf}, []float64{nan, -1, 1}},
		{"LeakyReLU", backend.LeakyReLU, backend.UnaryParams{P0: 0.5}, []float64{nan, -inf}, []float64{nan, -inf}},
		{"Sigmoid", backend.Sigmoid, backend.UnaryParams{}, []float64{-1000, 1000, nan}, []float64{0, 1, nan}},
		{"LogSigmoid", backend.LogSigmoid, backend.UnaryParams{}, []float64{-1000, 1000, nan}, []float64{-1000, 0, nan}},
		{"Softplus", backend.Softplus, backend.UnaryParams{P0: 1, P1: 20}, []float64{-1000, 1000, nan}, []float64{0, 1000, nan}},
		{"SiLU", backend.SiLU, backend.UnaryParams{}, []float64{-1000, 1000}, []float64{0, 1000}},
		{"GELU", backend.GELU, backend.UnaryParams{}, []float64{-30, 30, nan}, []float64{0, 30, nan}},
		{"ELU", backend.ELU, backend.UnaryParams{P0: 2}, []float64{-inf, inf, nan}, []float64{-2, inf, nan}},
		{"Hardswish", backend.Hardswish, backend.UnaryParams{}, []float64{-4, -3, 3, 4, nan}, []float64{0, 0, 3, 4, nan}},
		{"Hardsigmoid", backend.Hardsigmoid, backend.UnaryParams{}, []float64{-4, 0, 4, nan}, []float64{0, 0.5, 1, nan}},
	} {
		for _, x := range []backend.Array{floats[float32](be, c.x), floats[float64](be, c.x)} {
			be.Unary(x, x, c.op, c.p)
			wantFloats(t, be, c.name, x, c.want, 1e-7)
		}
	}
}

func testUnaryInt(t *testing.T, be backend.Backend) {
	for _, c := range []struct {
		name   string
		op     backend.UnaryOp
		p      backend.UnaryParams
		x, i64 []int64
		u8     []uint8
	}{
		{"Neg", backend.Neg, backend.UnaryParams{}, []int64{0, 1, 200}, []int64{0, -1, -200}, []uint8{0, 255, 56}},
		{"Abs", backend.Abs, backend.UnaryParams{}, []int64{0, 1, 200}, []int64{0, 1, 200}, []uint8{0, 1, 200}},
		{"Sign", backend.Sign, backend.UnaryParams{}, []int64{0, 1, 200}, []int64{0, 1, 1}, []uint8{0, 1, 1}},
		{"Square", backend.Square, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 9, 40000}, []uint8{0, 9, 64}},
		{"Floor", backend.Floor, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 3, 200}, []uint8{0, 3, 200}},
		{"Ceil", backend.Ceil, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 3, 200}, []uint8{0, 3, 200}},
		{"Round", backend.Round, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 3, 200}, []uint8{0, 3, 200}},
		{"Trunc", backend.Trunc, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 3, 200}, []uint8{0, 3, 200}},
		{"ReLU", backend.ReLU, backend.UnaryParams{}, []int64{0, 3, 200}, []int64{0, 3, 200}, []uint8{0, 3, 200}},
		{"Clamp", backend.Clamp, backend.UnaryParams{P0: 2, P1: 100}, []int64{0, 3, 200}, []int64{2, 3, 100}, []uint8{2, 3, 100}},
		{"Clamp from below", backend.Clamp, backend.UnaryParams{P0: 2, P1: math.Inf(1)}, []int64{0, 3, 200}, []int64{2, 3, 200}, []uint8{2, 3, 200}},
		{"Clamp from above", backend.Clamp, backend.UnaryParams{P0: math.Inf(-1), P1: 2}, []int64{0, 3, 200}, []int64{0, 2, 2}, []uint8{0, 2, 2}},
	} {
		a, b := put(be, c.x), empty[uint8](be, len(c.x))
		be.Copy(b, a)
		be.Unary(a, a, c.op, c.p)
		be.Unary(b, b, c.op, c.p)
		wantExact(t, be, c.name, a, c.i64)
		wantExact(t, be, c.name, b, c.u8)
	}
	x := put(be, []int64{-5, -1, 0, 7})
	for _, c := range []struct {
		op   backend.UnaryOp
		want []int64
	}{{backend.Abs, []int64{5, 1, 0, 7}}, {backend.Sign, []int64{-1, -1, 0, 1}}, {backend.ReLU, []int64{0, 0, 0, 7}}, {backend.Neg, []int64{5, 1, 0, -7}}} {
		dst := empty[int64](be, 4)
		be.Unary(dst, x, c.op, backend.UnaryParams{})
		wantExact(t, be, fmt.Sprintf("operation %d of negative numbers", c.op), dst, c.want)
	}
}

func testUnaryBool(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	x := []float64{0, 1, nan, inf, -inf, -0.5}
	wants := map[backend.UnaryOp][]bool{
		backend.IsNaN:    {false, false, true, false, false, false},
		backend.IsInf:    {false, false, false, true, true, false},
		backend.IsFinite: {true, true, false, false, false, true},
		backend.Not:      {true, false, false, false, false, false},
	}
	for op, want := range wants {
		for _, src := range []backend.Array{floats[float32](be, x), floats[float64](be, x)} {
			dst := empty[bool](be, len(x))
			be.Unary(dst, src, op, backend.UnaryParams{})
			wantExact(t, be, fmt.Sprintf("operation %d of %v", op, src.DType()), dst, want)
		}
	}
	for op, want := range map[backend.UnaryOp][]bool{
		backend.IsNaN: {false, false}, backend.IsInf: {false, false}, backend.IsFinite: {true, true}, backend.Not: {true, false},
	} {
		for _, src := range []backend.Array{put(be, []int64{0, -3}), put(be, []uint8{0, 3}), put(be, []bool{false, true})} {
			dst := empty[bool](be, 2)
			be.Unary(dst, src, op, backend.UnaryParams{})
			wantExact(t, be, fmt.Sprintf("operation %d of %v", op, src.DType()), dst, want)
		}
	}
}

func testUnaryGrad(t *testing.T, be backend.Backend) {
	for _, c := range unaryCases {
		for _, n := range []int{0, 1, 3, 1001, 40007} {
			unaryGradOne[float32](t, be, c, n)
			unaryGradOne[float64](t, be, c, n)
		}
	}
}

func unaryGradOne[T float32 | float64](t *testing.T, be backend.Backend, c unaryCase, n int) {
	t.Helper()
	// The range keeps clear of most kinks; an element whose step crosses one is left out by a gradient of 0.
	const h = 1e-5
	x, dy := c.inputs(n), random(7, n)
	y, want := make([]float64, n), make([]float64, n)
	for i, v := range x {
		y[i] = c.f(v)
		left, right := (y[i]-c.f(v-h))/h, (c.f(v+h)-y[i])/h
		if math.Abs(left-right) > 0.01 {
			dy[i] = 0
		}
		want[i] = dy[i] * (c.f(v+h) - c.f(v-h)) / (2 * h)
	}
	// Only what GradUses names is there.
	var ax, ay backend.Array
	usesX, usesY := c.op.GradUses()
	if usesX {
		ax = floats[T](be, x)
	}
	if usesY {
		ay = floats[T](be, y)
	}
	what := fmt.Sprintf("%s of %d %v", c.name, n, dtypeOf[T]())
	ady, adx := floats[T](be, dy), empty[T](be, n)
	tol := max(tolerance[T](), 2e-8)
	be.UnaryGrad(adx, ady, ax, ay, c.op, c.p)
	wantFloats(t, be, what, adx, want, tol)
	be.UnaryGrad(ady, ady, ax, ay, c.op, c.p)
	wantFloats(t, be, what+", in place", ady, want, tol)
}

func testUnaryGradKinks(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	// Values from PyTorch 2.15.
	for _, c := range []struct {
		name    string
		op      backend.UnaryOp
		p       backend.UnaryParams
		x, want []float64
	}{
		{"Abs", backend.Abs, backend.UnaryParams{}, []float64{-1, 0, 1, nan}, []float64{-1, 0, 1, 0}},
		{"Sign", backend.Sign, backend.UnaryParams{}, []float64{-1, 0, 1, nan}, []float64{0, 0, 0, 0}},
		{"ReLU", backend.ReLU, backend.UnaryParams{}, []float64{-1, 0, 1, nan}, []float64{0, 0, 1, 1}},
		{"LeakyReLU", backend.LeakyReLU, backend.UnaryParams{P0: 0.5}, []float64{-1, 0, 1, nan}, []float64{0.5, 0.5, 1, 0.5}},
		{"Clamp", backend.Clamp, backend.UnaryParams{P0: -3, P1: 3}, []float64{-4, -3, 0, 3, 4, nan}, []float64{0, 0, 1, 0, 0, 0}},
		{"Clamp from below", backend.Clamp, backend.UnaryParams{P0: -3, P1: inf}, []float64{-4, -3, 0, 3, inf, -inf, nan}, []float64{0, 0, 1, 1, 1, 0, 0}},
		{"ELU", backend.ELU, backend.UnaryParams{P0: 2}, []float64{0, 1, nan}, []float64{2, 1, nan}},
		{"Hardswish", backend.Hardswish, backend.UnaryParams{}, []float64{-4, -3, 0, 3, 4, nan}, []float64{0, 0, 0.5, 1, 1, nan}},
		{"Hardsigmoid", backend.Hardsigmoid, backend.UnaryParams{}, []float64{-3, 0, 3, nan}, []float64{0, 1. / 6, 0, 0}},
		{"LogSigmoid", backend.LogSigmoid, backend.UnaryParams{}, []float64{-1000, 0, 1000}, []float64{1, 0.5, 0}},
		{"Softplus", backend.Softplus, backend.UnaryParams{P0: 2, P1: 6}, []float64{-1000, 0, 4}, []float64{0, 0.5, 1}},
		{"Sqrt", backend.Sqrt, backend.UnaryParams{}, []float64{0}, []float64{inf}},
	} {
		ones := make([]float64, len(c.x))
		for i := range ones {
			ones[i] = 1
		}
		usesX, usesY := c.op.GradUses()
		grad := func(x, dy backend.Array) {
			y := backend.Array{Buffer: be.NewBuffer(x.DType(), x.Len), Len: x.Len}
			be.Unary(y, x, c.op, c.p)
			if !usesX {
				x = backend.Array{}
			}
			if !usesY {
				y = backend.Array{}
			}
			be.UnaryGrad(dy, dy, x, y, c.op, c.p)
			wantFloats(t, be, c.name, dy, c.want, 1e-7)
		}
		grad(floats[float32](be, c.x), floats[float32](be, ones))
		grad(floats[float64](be, c.x), floats[float64](be, ones))
	}
}
