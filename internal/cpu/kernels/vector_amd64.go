//go:build !noasm

package kernels

import "math"

// vectorAsm is the assembly of one level. What holds of the functions stands with
// their declarations.
type vectorAsm struct {
	loopsAsm[float32]

	sum, sumSquares func(x *float32, n int) float64
	rowSums         func(dst *float64, x *float32, rows, n int)
	addWide         func(dst *float64, x *float32, n int)
	sub, mul, div   func(dst, a, b *float32, n int)
	sqrt            func(dst, x *float32, n int)

	max                         func(x *float32, n int) float32
	exp                         func(dst, x *float32, n int, shift float32) float64
	sumExp                      func(x *float32, n int, shift float32) float64
	expScaled                   func(dst, x *float32, n int, shift, scale float32)
	softmaxGrad, logSoftmaxGrad func(dx, dy, y *float32, n int, dotOrSum float32)

	adam           func(w, g, m, v *float32, n int, p *float32, decays bool)
	sgd            func(w, g, m *float32, n int, p *float32, decays, nesterov bool)
	maxPool3x3     func(dst, a, b, c *float32, rows, w, q int) (nan bool)
	maxPoolGrad3x3 func(da, db, dc, a, b, c, dy, y *float32, rows, w, q int) (nan bool)
}

// loopsAsm is the assembly of loops.
type loopsAsm[S any] struct {
	sumsAbout         func(x *S, rows, stride, n int, near float64) (sum, squares float64)
	sumAndDot         func(dy, x *S, rows, stride, n int, mean float64) (sum, dot float64)
	sumAndDotReLU     func(dy, x, y *S, rows, stride, n int, mean float64) (sum, dot float64)
	normalize         func(dst, x *S, rows, stride, n int, mean, scale, shift float32)
	normalizeReLU     func(dst, x *S, rows, stride, n int, mean, scale, shift float32)
	normalizeGrad     func(dx, dy, x *S, rows, stride, n int, mean, dyMean, slope, scale float32)
	normalizeGradReLU func(dx, dy, x, y *S, rows, stride, n int, mean, dyMean, slope, scale float32)
	relu              func(dst, x *S, n int)
	reluGrad          func(dx, dy, y *S, n int)
	add               func(dst, a, b *S, n int)
	maxPool2x2        func(dst, x *S, rows, w, q int)
	maxPoolGrad2x2    func(dx, dy, x, y *S, rows, w, q int) (nan bool)
}

var Vector512 = (&vectorAsm{
	loopsAsm[float32]{
		sumsAbout512, sumAndDot512, sumAndDotReLU512, normalize512, normalizeReLU512, normalizeGrad512, normalizeGradReLU512,
		relu512, reluGrad512, add512, maxPool2x2512, maxPoolGrad2x2512,
	},
	sum512, sumSquares512, rowSums512, addWide512, sub512, mul512, div512, sqrt512,
	max512, exp512, sumExp512, expScaled512, softmaxGrad512, logSoftmaxGrad512,
	adam512, sgd512, maxPool3x3512, maxPoolGrad3x3512,
}).vector()

var loopsBF16512 = (&loopsAsm[uint16]{
	sumsAboutBF16512, sumAndDotBF16512, sumAndDotReLUBF16512, normalizeBF16512, normalizeReLUBF16512, normalizeGradBF16512, normalizeGradReLUBF16512,
	reluBF16512, reluGradBF16512, addBF16512, maxPool2x2BF16512, maxPoolGrad2x2BF16512,
}).loops(plainMaxPoolGrad2x2BF16)

var vector256 = (&vectorAsm{
	loopsAsm[float32]{
		sumsAbout256, sumAndDot256, sumAndDotReLU256, normalize256, normalizeReLU256, normalizeGrad256, normalizeGradReLU256,
		relu256, reluGrad256, add256, maxPool2x2256, maxPoolGrad2x2256,
	},
	sum256, sumSquares256, rowSums256, addWide256, sub256, mul256, div256, sqrt256,
	max256, exp256, sumExp256, expScaled256, softmaxGrad256, logSoftmaxGrad256,
	adam256, sgd256, maxPool3x3256, maxPoolGrad3x3256,
}).vector()

// loops puts the assembly behind slices; withNaN does what its MaxPoolGrad2x2 leaves undone.
func (a *loopsAsm[S]) loops(withNaN func(dx, dy, x, y []S, rows, w, q int)) Loops[S, float32] {
	return Loops[S, float32]{
		SumsAbout: func(x []S, r Rows, near float64) (sum, squares float64) {
			if r.Count == 0 || r.N == 0 {
				return 0, 0
			}
			return a.sumsAbout(&x[0], r.Count, r.Stride, r.N, near)
		},
		SumAndDot: func(dy, x, y []S, r Rows, mean float64) (sum, dot float64) {
			switch {
			case r.Count == 0 || r.N == 0:
				return 0, 0
			case y != nil:
				return a.sumAndDotReLU(&dy[0], &x[0], &y[0], r.Count, r.Stride, r.N, mean)
			}
			return a.sumAndDot(&dy[0], &x[0], r.Count, r.Stride, r.N, mean)
		},
		Normalize: func(dst, x []S, r Rows, mean, scale, shift float32, relu bool) {
			switch {
			case r.Count == 0 || r.N == 0:
			case relu:
				a.normalizeReLU(&dst[0], &x[0], r.Count, r.Stride, r.N, mean, scale, shift)
			default:
				a.normalize(&dst[0], &x[0], r.Count, r.Stride, r.N, mean, scale, shift)
			}
		},
		NormalizeGrad: func(dx, dy, x, y []S, r Rows, mean, dyMean, slope, scale float32) {
			switch {
			case r.Count == 0 || r.N == 0:
			case y != nil:
				a.normalizeGradReLU(&dx[0], &dy[0], &x[0], &y[0], r.Count, r.Stride, r.N, mean, dyMean, slope, scale)
			default:
				a.normalizeGrad(&dx[0], &dy[0], &x[0], r.Count, r.Stride, r.N, mean, dyMean, slope, scale)
			}
		},
		ReLU: func(dst, x []S) {
			if n := len(dst); n > 0 {
				a.relu(&dst[0], &x[:n][0], n)
			}
		},
		ReLUGrad: binaryAsm(a.reluGrad),
		Add:      binaryAsm(a.add),
		MaxPool2x2: func(dst, x []S, rows, w, q int) {
			if rows > 0 && q > 0 {
				a.maxPool2x2(&dst[0], &x[0], rows, w, q)
			}
		},
		MaxPoolGrad2x2: func(dx, dy, x, y []S, rows, w, q int) {
			if rows > 0 && q > 0 && a.maxPoolGrad2x2(&dx[0], &dy[0], &x[0], &y[0], rows, w, q) {
				withNaN(dx, dy, x, y, rows, w, q)
			}
		},
	}
}

// binaryAsm puts assembly with two sources behind slices, unaryAsm that with one.
func binaryAsm[S any](f func(dst, a, b *S, n int)) func(dst, a, b []S) {
	return func(dst, a, b []S) {
		if n := len(dst); n > 0 {
			f(&dst[0], &a[:n][0], &b[:n][0], n)
		}
	}
}

func unaryAsm[S any](f func(dst, x *S, n int)) func(dst, x []S) {
	return func(dst, x []S) {
		if n := len(dst); n > 0 {
			f(&dst[0], &x[:n][0], n)
		}
	}
}

// arithmetic64 is the loops for float64, of which arithmetic is assembly.
func arithmetic64(add, sub, mul, div func(dst, a, b *float64, n int), sqrt func(dst, x *float64, n int)) Vector[float64] {
	v := PlainVector64
	v.Add, v.Sub, v.Mul, v.Div, v.Sqrt = binaryAsm(add), binaryAsm(sub), binaryAsm(mul), binaryAsm(div), unaryAsm(sqrt)
	return v
}

var (
	vector64x512 = arithmetic64(add64x512, sub64x512, mul64x512, div64x512, sqrt64x512)
	vector64x256 = arithmetic64(add64x256, sub64x256, mul64x256, div64x256, sqrt64x256)
)

// vector puts the assembly behind slices, and leaves to the Go loops what it
// does not know.
func (a *vectorAsm) vector() Vector[float32] {
	sum := func(sum func(x *float32, n int) float64) func(x []float32) float64 {
		return func(x []float32) (s float64) {
			for ; len(x) > 0; x = x[min(len(x), Longest):] {
				s += sum(&x[0], min(len(x), Longest))
			}
			return s
		}
	}
	softmaxGrad := func(f func(dx, dy, y *float32, n int, dotOrSum float32)) func(dx, dy, y []float32, dotOrSum float32) {
		return func(dx, dy, y []float32, dotOrSum float32) {
			for lo := 0; lo < len(dx); lo += Longest {
				n := min(len(dx)-lo, Longest)
				f(&dx[lo], &dy[lo : lo+n][0], &y[lo : lo+n][0], n, dotOrSum)
			}
		}
	}
	return Vector[float32]{
		Loops:      a.loops(plainMaxPoolGrad2x2[float32]),
		Sum:        sum(a.sum),
		SumSquares: sum(a.sumSquares),
		RowSums: func(dst []float64, x []float32, n int) {
			if n == 0 {
				clear(dst)
				return
			}
			for count := max(1, Longest/n); len(dst) > 0; {
				rows := min(count, len(dst))
				if n <= Longest {
					a.rowSums(&dst[0], &x[0], rows, n)
				} else {
					dst[0] = sum(a.sum)(x[:n])
				}
				dst, x = dst[rows:], x[rows*n:]
			}
		},
		AddWide: func(dst []float64, x []float32) {
			x = x[:len(dst)]
			whole := len(dst) / 32 * 32
			for lo := 0; lo < whole; lo += Longest {
				n := min(Longest, whole-lo)
				a.addWide(&dst[lo : lo+n][0], &x[lo : lo+n][0], n)
			}
			SumColumns(dst[whole:], x[whole:])
		},
		Sub:  binaryAsm(a.sub),
		Mul:  binaryAsm(a.mul),
		Div:  binaryAsm(a.div),
		Sqrt: unaryAsm(a.sqrt),
		Max: func(x []float32) float32 {
			largest := float32(math.Inf(-1))
			for ; len(x) > 0; x = x[min(len(x), Longest):] {
				largest = Greater(largest, a.max(&x[0], min(len(x), Longest)))
			}
			return largest
		},
		Exp: func(dst, x []float32, shift float32) (s float64) {
			for lo := 0; lo < len(dst); lo += Longest {
				n := min(len(dst)-lo, Longest)
				s += a.exp(&dst[lo], &x[lo : lo+n][0], n, shift)
			}
			return s
		},
		SumExp: func(x []float32, shift float32) (s float64) {
			for ; len(x) > 0; x = x[min(len(x), Longest):] {
				s += a.sumExp(&x[0], min(len(x), Longest), shift)
			}
			return s
		},
		ExpScaled: func(dst, x []float32, shift, scale float32) {
			for lo := 0; lo < len(dst); lo += Longest {
				n := min(len(dst)-lo, Longest)
				a.expScaled(&dst[lo], &x[lo : lo+n][0], n, shift, scale)
			}
		},
		SoftmaxGrad:    softmaxGrad(a.softmaxGrad),
		LogSoftmaxGrad: softmaxGrad(a.logSoftmaxGrad),
		Adam: func(w, g, m, v, largest []float32, p *AdamNumbers[float32]) {
			switch n := len(w); {
			case n == 0:
			case largest != nil || !(p.New1 < 0.5): // see lerp
				plainAdam(w, g, m, v, largest, p)
			default:
				a.adam(&w[0], &g[:n][0], &m[:n][0], &v[:n][0], n, &p.Sign, p.Decay != 0)
			}
		},
		SGD: func(w, g, m []float32, p *SGDNumbers[float32]) {
			if n := len(w); n > 0 {
				a.sgd(&w[0], &g[:n][0], &m[:n][0], n, &p.Sign, p.Decay != 0, p.Nesterov)
			}
		},
		MaxPool3x3: func(dst, x0, x1, x2 []float32, rows, w, q int) bool {
			return a.maxPool3x3(&dst[0], &x0[0], &x1[0], &x2[0], rows, w, q)
		},
		MaxPoolGrad3x3: func(d0, d1, d2, x0, x1, x2, dy, y []float32, rows, w, q int) bool {
			return a.maxPoolGrad3x3(&d0[0], &d1[0], &d2[0], &x0[0], &x1[0], &x2[0], &dy[0], &y[0], rows, w, q)
		},
	}
}
