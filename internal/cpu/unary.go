package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Unary computes dst = op(x).
func (be *Backend) Unary(dst, x backend.Array, op backend.UnaryOp, p backend.UnaryParams) {
	if someHalf(dst, x) {
		if kn := loopsBF16(dst, x); kn != nil && op == backend.ReLU {
			relu(kn, data[uint16](dst), data[uint16](x))
			return
		}
		dst, x := dst, x
		be.pieces(x.Len, func(a []backend.Array, _ int) { be.Unary(a[0], a[1], op, p) }, writes(&dst), reads(&x))
		return
	}
	switch op {
	case backend.IsNaN, backend.IsInf, backend.IsFinite, backend.Not:
		d := data[bool](dst)
		switch x.DType() {
		case backend.Float32:
			is(d, data[float32](x), op)
		case backend.Float64:
			is(d, data[float64](x), op)
		case backend.Int64:
			is(d, data[int64](x), op)
		case backend.Uint8, backend.Bool:
			is(d, data[uint8](x), op)
		}
		return
	}
	if op == backend.ReLU && x.DType().IsFloat() {
		if x.DType() == backend.Float32 {
			relu(&kernels.Current.Vector.Loops, data[float32](dst), data[float32](x))
		} else {
			relu(&kernels.PlainVector64.Loops, data[float64](dst), data[float64](x))
		}
		return
	}
	if op == backend.Exp && x.DType() == backend.Float32 {
		d, x := data[float32](dst), data[float32](x)
		if n := len(d); n > 0 && n <= fewElements {
			kernels.Current.Vector.Exp(d, x, 0)
			return
		}
		parallel(len(d), grain, func(lo, hi int) { kernels.Current.Vector.Exp(d[lo:hi], x[lo:hi], 0) })
		return
	}
	switch x.DType() {
	case backend.Float32:
		unary(data[float32](dst), data[float32](x), op, p, func() func(float32) float32 {
			f := function(op, p)
			return func(v float32) float32 { return float32(f(float64(v))) }
		})
	case backend.Float64:
		unary(data[float64](dst), data[float64](x), op, p, func() func(float64) float64 { return function(op, p) })
	case backend.Int64:
		unary(data[int64](dst), data[int64](x), op, p, func() func(int64) int64 { return intFunction[int64](op) })
	case backend.Uint8, backend.Bool:
		unary(data[uint8](dst), data[uint8](x), op, p, func() func(uint8) uint8 { return intFunction[uint8](op) })
	}
}

func relu[S any, T kernels.Float](kn *kernels.Loops[S, T], dst, x []S) {
	if n := len(dst); n > 0 && n <= fewElements {
		kn.ReLU(dst, x)
		return
	}
	parallel(len(dst), grain, func(lo, hi int) { kn.ReLU(dst[lo:hi], x[lo:hi]) })
}

// is computes the operations whose result is Bool.
func is[T kernels.Number](dst []bool, x []T, op backend.UnaryOp) {
	parallel(len(dst), grain, func(lo, hi int) {
		d, x := dst[lo:hi], x[lo:hi]
		x = x[:len(d)]
		switch op {
		case backend.IsNaN:
			for i, v := range x {
				d[i] = v != v
			}
		case backend.IsInf: // v-v is NaN for NaN and ±Inf, 0 for all others
			for i, v := range x {
				d[i] = v == v && v-v != 0
			}
		case backend.IsFinite:
			for i, v := range x {
				d[i] = v-v == 0
			}
		case backend.Not:
			for i, v := range x {
				d[i] = v == 0
			}
		}
	})
}

// unary has a loop for what is plain arithmetic; the rest goes through a
// function.
func unary[T kernels.Number](dst, x []T, op backend.UnaryOp, p backend.UnaryParams, function func() func(T) T) {
	var f func(T) T
	var lo, hi, slope T
	switch op {
	case backend.Neg, backend.Sign, backend.Square, backend.ReLU:
	case backend.LeakyReLU:
		slope = T(p.P0)
	case backend.Clamp:
		lo, hi = bound[T](p.P0), bound[T](p.P1)
	default:
		f = function()
	}
	loop := unaryLoop[T]{op, lo, hi, slope, f}
	if len(dst) <= fewElements {
		loop.run(dst, x)
		return
	}
	parallel(len(dst), grain, func(from, to int) { loop.run(dst[from:to], x[from:to]) })
}

// unaryLoop computes an operation: in a loop of its own, or by f.
type unaryLoop[T kernels.Number] struct {
	op            backend.UnaryOp
	lo, hi, slope T
	f             func(T) T
}

func (u unaryLoop[T]) run(d, x []T) {
	x = x[:len(d)]
	switch u.op {
	case backend.Neg:
		for i, v := range x {
			d[i] = -v
		}
	case backend.Sign:
		for i, v := range x {
			d[i] = sign(v)
		}
	case backend.Square:
		for i, v := range x {
			d[i] = v * v
		}
	case backend.Clamp:
		for i, v := range x {
			d[i] = min(max(v, u.lo), u.hi)
		}
	case backend.ReLU:
		for i, v := range x {
			d[i] = max(v, 0)
		}
	case backend.LeakyReLU:
		for i, v := range x {
			d[i] = max(v, 0) + u.slope*min(v, 0)
		}
	default:
		for i, v := range x {
			d[i] = u.f(v)
		}
	}
}

// sign is -1, 0 or 1, and 0 for NaN.
func sign[T kernels.Number](v T) T {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return T(0) - 1
	}
	return 0
}

// bound converts a bound of Clamp; for integers what is out of range bounds
// nothing.
func bound[T kernels.Number](v float64) T {
	var t T
	switch t := any(&t).(type) {
	case *int64:
		switch {
		case v >= math.MaxInt64:
			*t = math.MaxInt64
		case v <= math.MinInt64:
			*t = math.MinInt64
		default:
			*t = int64(v)
		}
	case *uint8:
		*t = uint8(min(max(v, 0), math.MaxUint8))
	case *float32:
		*t = float32(v)
	case *float64:
		*t = v
	}
	return t
}

// intFunction returns op on a single integer; the roundings leave it as it is.
func intFunction[T int64 | uint8](op backend.UnaryOp) func(T) T {
	switch op {
	case backend.Abs:
		return func(v T) T {
			if v < 0 {
				return -v
			}
			return v
		}
	case backend.Floor, backend.Ceil, backend.Round, backend.Trunc:
		return func(v T) T { return v }
	}
	panic("cpu: unary operation without a kernel for integers")
}

// function returns op on a single number.
func function(op backend.UnaryOp, p backend.UnaryParams) func(float64) float64 {
	switch op {
	case backend.Abs:
		return math.Abs
	case backend.Sqrt:
		return math.Sqrt
	case backend.Rsqrt:
		return func(x float64) float64 { return 1 / math.Sqrt(x) }
	case backend.Reciprocal:
		return func(x float64) float64 { return 1 / x }
	case backend.Exp:
		return math.Exp
	case backend.Expm1:
		return math.Expm1
	case backend.Log:
		return log
	case backend.Log1p:
		return math.Log1p
	case backend.Log2:
		return func(x float64) float64 {
			if x > 0.75 && x < 1.5 { // math.Log2 splits off an exponent, and cancels here
				return math.Log(x) / math.Ln2
			}
			return math.Log2(x)
		}
	case backend.Log10:
		return func(x float64) float64 { return log(x) / math.Ln10 }
	case backend.Sin:
		return math.Sin
	case backend.Cos:
		return math.Cos
	case backend.Tan:
		return math.Tan
	case backend.Asin:
		return math.Asin
	case backend.Acos:
		return acos
	case backend.Atan:
		return math.Atan
	case backend.Sinh:
		return math.Sinh
	case backend.Cosh:
		return math.Cosh
	case backend.Tanh:
		return math.Tanh
	case backend.Erf:
		return math.Erf
	case backend.Sigmoid:
		return sigmoid
	case backend.LogSigmoid:
		return func(x float64) float64 { return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x))) }
	case backend.Floor:
		return math.Floor
	case backend.Ceil:
		return math.Ceil
	case backend.Round:
		return math.RoundToEven
	case backend.Trunc:
		return math.Trunc
	case backend.GELU:
		return func(x float64) float64 { return x * normalCDF(x) }
	case backend.GELUTanh:
		return func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(geluScale*(x+geluCubic*x*x*x)))
		}
	case backend.SiLU:
		return func(x float64) float64 { return x * sigmoid(x) }
	case backend.ELU:
		return func(x float64) float64 {
			if x > 0 {
				return x
			}
			return p.P0 * math.Expm1(x)
		}
	case backend.Hardswish:
		return func(x float64) float64 { return x * min(max(x+3, 0), 6) / 6 }
	case backend.Hardsigmoid:
		return func(x float64) float64 { return min(max(x+3, 0), 6) / 6 }
	case backend.Softplus:
		return func(x float64) float64 {
			if x*p.P0 > p.P1 {
				return x
			}
			return math.Log1p(math.Exp(x*p.P0)) / p.P0
		}
	}
	panic("cpu: unary operation without a kernel")
}

// The constants of GELU's tanh approximation: √(2/π) and the factor of x³.
const (
	geluScale = math.Sqrt2 * math.SqrtPi / math.Pi
	geluCubic = 0.044715
)

// log is the logarithm of subnormal numbers too, which math.Log takes for 2⁻¹⁰²³ on
// amd64.
func log(x float64) float64 {
	if x > 0 && x < 0x1p-1022 {
		return math.Log(x*0x1p54) - 54*math.Ln2
	}
	return math.Log(x)
}

// acos is exact near ±1 too, where math.Acos is a difference.
func acos(x float64) float64 {
	switch {
	case x > 0.5:
		return 2 * math.Asin(math.Sqrt((1-x)/2))
	case x < -0.5:
		return math.Pi - 2*math.Asin(math.Sqrt((1+x)/2))
	}
	return math.Acos(x)
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// normalCDF is Φ, the standard normal distribution function. Erfc keeps the
// small values of the left tail.
func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// UnaryGrad computes dx = dy · op'(x).
func (be *Backend) UnaryGrad(dx, dy, x, y backend.Array, op backend.UnaryOp, p backend.UnaryParams) {
	if someHalf(dx, dy, x, y) {
		if kn := loopsBF16(dx, dy, y); kn != nil && op == backend.ReLU {
			reluGrad(kn, data[uint16](dx), data[uint16](dy), data[uint16](y))
			return
		}
		dx, dy, x, y := dx, dy, x, y
		be.pieces(dx.Len, func(a []backend.Array, _ int) { be.UnaryGrad(a[0], a[1], a[2], a[3], op, p) }, writes(&dx), reads(&dy), reads(&x), reads(&y))
		return
	}
	_, usesY := op.GradUses()
	from := x // each operation's gradient needs x or y or neither, never both
	if usesY {
		from = y
	}
	switch op {
	case backend.Neg:
		be.Unary(dx, dy, backend.Neg, backend.UnaryParams{})
		return
	case backend.Sign, backend.Floor, backend.Ceil, backend.Round, backend.Trunc:
		be.Fill(dx, 0)
		return
	case backend.ReLU:
		if dx.DType() == backend.Float32 {
			reluGrad(&kernels.Current.Vector.Loops, data[float32](dx), data[float32](dy), data[float32](y))
		} else {
			reluGrad(&kernels.PlainVector64.Loops, data[float64](dx), data[float64](dy), data[float64](y))
		}
		return
	}
	if dx.DType() == backend.Float32 {
		unaryGrad(data[float32](dx), data[float32](dy), data[float32](from), op, p)
	} else {
		unaryGrad(data[float64](dx), data[float64](dy), data[float64](from), op, p)
	}
}

// ReLUGrad passes dy where y, which is never negative, is not 0 (where it is NaN
// too, as PyTorch does).
func reluGrad[S any, T kernels.Float](kn *kernels.Loops[S, T], dx, dy, y []S) {
	if n := len(dx); n > 0 && n <= fewElements {
		kn.ReLUGrad(dx, dy, y)
		return
	}
	parallel(len(dx), grain, func(lo, hi int) { kn.ReLUGrad(dx[lo:hi], dy[lo:hi], y[lo:hi]) })
}

// unaryGrad computes dx from v, which is x or y.
func unaryGrad[T kernels.Float](dx, dy, v []T, op backend.UnaryOp, p backend.UnaryParams) {
	var f func(float64) float64
	lo, hi, slope := T(p.P0), T(p.P1), T(p.P0)
	switch op {
	case backend.Clamp: // an infinite bound is none; nothing equals NaN
		if math.IsInf(p.P0, -1) {
			lo = T(math.NaN())
		}
		if math.IsInf(p.P1, 1) {
			hi = T(math.NaN())
		}
	case backend.Square, backend.Tanh, backend.Sigmoid, backend.LeakyReLU, backend.Hardsigmoid:
	default:
		f = derivative(op, p)
	}
	loop := unaryGradLoop[T]{op, lo, hi, slope, f}
	if len(dx) <= fewElements {
		loop.run(dx, dy, v)
		return
	}
	parallel(len(dx), grain, func(from, to int) { loop.run(dx[from:to], dy[from:to], v[from:to]) })
}

// unaryGradLoop computes the gradient of an operation: in a loop of its own, or by f.
type unaryGradLoop[T kernels.Float] struct {
	op            backend.UnaryOp
	lo, hi, slope T
	f             func(float64) float64
}

func (u unaryGradLoop[T]) run(dx, dy, v []T) {
	dy, v = dy[:len(dx)], v[:len(dx)]
	switch u.op {
	case backend.Square:
		for i, x := range v {
			dx[i] = dy[i] * 2 * x
		}
	case backend.Tanh:
		for i, y := range v {
			dx[i] = dy[i] * (1 - y*y)
		}
	case backend.Sigmoid:
		for i, y := range v {
			dx[i] = dy[i] * (1 - y) * y
		}
	case backend.LeakyReLU:
		for i, x := range v {
			d := dy[i]
			if !(x > 0) {
				d *= u.slope
			}
			dx[i] = d
		}
	case backend.Clamp: // a selection, not a product with 0: dy may be infinite (so below)
		for i, y := range v {
			var d T
			if y == y && y != u.lo && y != u.hi {
				d = dy[i]
			}
			dx[i] = d
		}
	case backend.Hardsigmoid:
		for i, x := range v {
			var d T
			if x > -3 && x < 3 {
				d = dy[i] / 6
			}
			dx[i] = d
		}
	default:
		for i, x := range v {
			dx[i] = T(float64(dy[i]) * u.f(float64(x)))
		}
	}
}

// derivative returns op' as a function of the input, or of the result for the
// operations where GradUses says so.
func derivative(op backend.UnaryOp, p backend.UnaryParams) func(float64) float64 {
	switch op {
	case backend.Abs:
		return sign[float64]
	case backend.Sqrt:
		return func(y float64) float64 { return 0.5 / y }
	case backend.Rsqrt:
		return func(y float64) float64 { return -0.5 * y * y * y }
	case backend.Reciprocal:
		return func(y float64) float64 { return -y * y }
	case backend.Exp:
		return func(y float64) float64 { return y }
	case backend.Expm1:
		return func(y float64) float64 { return y + 1 }
	case backend.Log:
		return func(x float64) float64 { return 1 / x }
	case backend.Log1p:
		return func(x float64) float64 { return 1 / (x + 1) }
	case backend.Log2:
		return func(x float64) float64 { return 1 / (x * math.Ln2) }
	case backend.Log10:
		return func(x float64) float64 { return 1 / (x * math.Ln10) }
	case backend.Sin:
		return math.Cos
	case backend.Cos:
		return func(x float64) float64 { return -math.Sin(x) }
	case backend.Tan:
		return func(y float64) float64 { return 1 + y*y }
	case backend.Asin:
		return func(x float64) float64 { return 1 / math.Sqrt(1-x*x) }
	case backend.Acos:
		return func(x float64) float64 { return -1 / math.Sqrt(1-x*x) }
	case backend.Atan:
		return func(x float64) float64 { return 1 / (x*x + 1) }
	case backend.Sinh:
		return math.Cosh
	case backend.Cosh:
		return math.Sinh
	case backend.Erf:
		return func(x float64) float64 { return 2 / math.SqrtPi * math.Exp(-x*x) }
	case backend.LogSigmoid:
		return func(y float64) float64 { return -math.Expm1(y) }
	case backend.GELU:
		return func(x float64) float64 {
			return normalCDF(x) + x*math.Exp(-0.5*x*x)/(math.Sqrt2*math.SqrtPi)
		}
	case backend.GELUTanh:
		return func(x float64) float64 {
			t := math.Tanh(geluScale * (x + geluCubic*x*x*x))
			return 0.5*(1+t) + 0.5*x*(1-t*t)*geluScale*(1+3*geluCubic*x*x)
		}
	case backend.SiLU:
		return func(x float64) float64 {
			s := sigmoid(x)
			return s * (1 + x*(1-s))
		}
	case backend.ELU:
		return func(x float64) float64 {
			if x > 0 {
				return 1
			}
			return p.P0 * math.Exp(x) // NaN of NaN
		}
	case backend.Hardswish:
		return func(x float64) float64 {
			switch {
			case x <= -3:
				return 0
			case x >= 3:
				return 1
			}
			return x/3 + 0.5 // NaN of NaN
		}
	case backend.Softplus:
		return func(x float64) float64 {
			if x*p.P0 > p.P1 {
				return 1
			}
			return sigmoid(x * p.P0)
		}
	}
	panic("cpu: unary operation without a gradient")
}
