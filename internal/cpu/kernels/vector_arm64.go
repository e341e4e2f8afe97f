//go:build !noasm

package kernels

import "math"

var vectorNEON = func() Vector[float32] {
	v := plainVector32
	v.SumsAbout = func(x []float32, r Rows, near float64) (sum, squares float64) {
		if r.Count == 0 || r.N == 0 {
			return 0, 0
		}
		return sumsAboutNEON(&x[0], r.Count, r.Stride, r.N, near)
	}
	v.SumAndDot = func(dy, x, y []float32, r Rows, mean float64) (sum, dot float64) {
		switch {
		case r.Count == 0 || r.N == 0:
			return 0, 0
		case y != nil:
			return sumAndDotReLUNEON(&dy[0], &x[0], &y[0], r.Count, r.Stride, r.N, mean)
		}
		return sumAndDotNEON(&dy[0], &x[0], r.Count, r.Stride, r.N, mean)
	}
	v.Normalize = func(dst, x []float32, r Rows, mean, scale, shift float32, relu bool) {
		switch {
		case r.Count == 0 || r.N == 0:
		case relu:
			normalizeReLUNEON(&dst[0], &x[0], r.Count, r.Stride, r.N, mean, scale, shift)
		default:
			normalizeNEON(&dst[0], &x[0], r.Count, r.Stride, r.N, mean, scale, shift)
		}
	}
	v.NormalizeGrad = func(dx, dy, x, y []float32, r Rows, mean, dyMean, slope, scale float32) {
		switch {
		case r.Count == 0 || r.N == 0:
		case y != nil:
			normalizeGradReLUNEON(&dx[0], &dy[0], &x[0], &y[0], r.Count, r.Stride, r.N, mean, dyMean, slope, scale)
		default:
			normalizeGradNEON(&dx[0], &dy[0], &x[0], r.Count, r.Stride, r.N, mean, dyMean, slope, scale)
		}
	}
	sum := func(sum func(x *float32, n int) float64) func(x []float32) float64 {
		return func(x []float32) (s float64) {
			for ; len(x) > 0; x = x[min(len(x), Longest):] {
				s += sum(&x[0], min(len(x), Longest))
			}
			return s
		}
	}
	v.Sum, v.SumSquares = sum(sumNEON), sum(sumSquaresNEON)
	v.ReLU = func(dst, x []float32) {
		if n := len(dst); n > 0 {
			reluNEON(&dst[0], &x[:n][0], n)
		}
	}
	binary := func(f func(dst, a, b *float32, n int)) func(dst, a, b []float32) {
		return func(dst, a, b []float32) {
			if n := len(dst); n > 0 {
				f(&dst[0], &a[:n][0], &b[:n][0], n)
			}
		}
	}
	v.ReLUGrad = binary(reluGradNEON)
	v.Add, v.Sub, v.Mul, v.Div = binary(addNEON), binary(subNEON), binary(mulNEON), binary(divNEON)
	v.Sqrt = func(dst, x []float32) {
		if n := len(dst); n > 0 {
			sqrtNEON(&dst[0], &x[:n][0], n)
		}
	}
	v.Max = func(x []float32) float32 {
		largest := float32(math.Inf(-1))
		for ; len(x) > 0; x = x[min(len(x), Longest):] {
			largest = max(largest, maxNEON(&x[0], min(len(x), Longest)))
		}
		return largest
	}
	v.Exp = func(dst, x []float32, shift float32) (s float64) {
		for lo := 0; lo < len(dst); lo += Longest {
			n := min(len(dst)-lo, Longest)
			s += expNEON(&dst[lo], &x[lo : lo+n][0], n, shift)
		}
		return s
	}
	v.SumExp = func(x []float32, shift float32) (s float64) {
		for ; len(x) > 0; x = x[min(len(x), Longest):] {
			s += sumExpNEON(&x[0], min(len(x), Longest), shift)
		}
		return s
	}
	softmaxGrad := func(f func(dx, dy, y *float32, n int, dotOrSum float32)) func(dx, dy, y []float32, dotOrSum float32) {
		return func(dx, dy, y []float32, dotOrSum float32) {
			for lo := 0; lo < len(dx); lo += Longest {
				n := min(len(dx)-lo, Longest)
				f(&dx[lo], &dy[lo : lo+n][0], &y[lo : lo+n][0], n, dotOrSum)
			}
		}
	}
	v.SoftmaxGrad, v.LogSoftmaxGrad = softmaxGrad(softmaxGradNEON), softmaxGrad(logSoftmaxGradNEON)
	v.Adam = func(w, g, m, v, largest []float32, p *AdamNumbers[float32]) {
		switch n := len(w); {
		case n == 0:
		case largest != nil || !(p.New1 < 0.5): // see lerp
			plainAdam(w, g, m, v, largest, p)
		default:
			adamNEON(&w[0], &g[:n][0], &m[:n][0], &v[:n][0], n, &p.Sign, p.Decay != 0)
		}
	}
	v.SGD = func(w, g, m []float32, p *SGDNumbers[float32]) {
		if n := len(w); n > 0 {
			sgdNEON(&w[0], &g[:n][0], &m[:n][0], n, &p.Sign, p.Decay != 0, p.Nesterov)
		}
	}
	v.MaxPool2x2 = func(dst, x []float32, rows, w, q int) {
		if rows > 0 && q > 0 {
			maxPool2x2NEON(&dst[0], &x[0], rows, w, q)
		}
	}
	v.MaxPoolGrad2x2 = func(dx, dy, x, y []float32, rows, w, q int) {
		if rows > 0 && q > 0 && maxPoolGrad2x2NEON(&dx[0], &dy[0], &x[0], &y[0], rows, w, q) {
			plainMaxPoolGrad2x2(dx, dy, x, y, rows, w, q)
		}
	}
	return v
}()

var vector64NEON = func() Vector[float64] {
	v := PlainVector64
	binary := func(f func(dst, a, b *float64, n int)) func(dst, a, b []float64) {
		return func(dst, a, b []float64) {
			if n := len(dst); n > 0 {
				f(&dst[0], &a[:n][0], &b[:n][0], n)
			}
		}
	}
	v.Add, v.Sub, v.Mul, v.Div = binary(add64NEON), binary(sub64NEON), binary(mul64NEON), binary(div64NEON)
	v.Sqrt = func(dst, x []float64) {
		if n := len(dst); n > 0 {
			sqrt64NEON(&dst[0], &x[:n][0], n)
		}
	}
	return v
}()
