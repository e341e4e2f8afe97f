//go:build !noasm

package cpu

import "math"

var vectorNEON = func() vector[float32] {
	v := plainVector32
	v.sumsAbout = func(x []float32, r rows, near float64) (sum, squares float64) {
		if r.count == 0 || r.n == 0 {
			return 0, 0
		}
		return sumsAboutNEON(&x[0], r.count, r.stride, r.n, near)
	}
	v.sumAndDot = func(dy, x, y []float32, r rows, mean float64) (sum, dot float64) {
		switch {
		case r.count == 0 || r.n == 0:
			return 0, 0
		case y != nil:
			return sumAndDotReLUNEON(&dy[0], &x[0], &y[0], r.count, r.stride, r.n, mean)
		}
		return sumAndDotNEON(&dy[0], &x[0], r.count, r.stride, r.n, mean)
	}
	v.normalize = func(dst, x []float32, r rows, mean, scale, shift float32, relu bool) {
		switch {
		case r.count == 0 || r.n == 0:
		case relu:
			normalizeReLUNEON(&dst[0], &x[0], r.count, r.stride, r.n, mean, scale, shift)
		default:
			normalizeNEON(&dst[0], &x[0], r.count, r.stride, r.n, mean, scale, shift)
		}
	}
	v.normalizeGrad = func(dx, dy, x, y []float32, r rows, mean, dyMean, slope, scale float32) {
		switch {
		case r.count == 0 || r.n == 0:
		case y != nil:
			normalizeGradReLUNEON(&dx[0], &dy[0], &x[0], &y[0], r.count, r.stride, r.n, mean, dyMean, slope, scale)
		default:
			normalizeGradNEON(&dx[0], &dy[0], &x[0], r.count, r.stride, r.n, mean, dyMean, slope, scale)
		}
	}
	sum := func(sum func(x *float32, n int) float64) func(x []float32) float64 {
		return func(x []float32) (s float64) {
			for ; len(x) > 0; x = x[min(len(x), longest):] {
				s += sum(&x[0], min(len(x), longest))
			}
			return s
		}
	}
	v.sum, v.sumSquares = sum(sumNEON), sum(sumSquaresNEON)
	v.relu = func(dst, x []float32) {
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
	v.reluGrad = binary(reluGradNEON)
	v.add, v.sub, v.mul, v.div = binary(addNEON), binary(subNEON), binary(mulNEON), binary(divNEON)
	v.sqrt = func(dst, x []float32) {
		if n := len(dst); n > 0 {
			sqrtNEON(&dst[0], &x[:n][0], n)
		}
	}
	v.max = func(x []float32) float32 {
		largest := float32(math.Inf(-1))
		for ; len(x) > 0; x = x[min(len(x), longest):] {
			largest = max(largest, maxNEON(&x[0], min(len(x), longest)))
		}
		return largest
	}
	v.exp = func(dst, x []float32, shift float32) (s float64) {
		for lo := 0; lo < len(dst); lo += longest {
			n := min(len(dst)-lo, longest)
			s += expNEON(&dst[lo], &x[lo : lo+n][0], n, shift)
		}
		return s
	}
	v.sumExp = func(x []float32, shift float32) (s float64) {
		for ; len(x) > 0; x = x[min(len(x), longest):] {
			s += sumExpNEON(&x[0], min(len(x), longest), shift)
		}
		return s
	}
	softmaxGrad := func(f func(dx, dy, y *float32, n int, dotOrSum float32)) func(dx, dy, y []float32, dotOrSum float32) {
		return func(dx, dy, y []float32, dotOrSum float32) {
			for lo := 0; lo < len(dx); lo += longest {
				n := min(len(dx)-lo, longest)
				f(&dx[lo], &dy[lo : lo+n][0], &y[lo : lo+n][0], n, dotOrSum)
			}
		}
	}
	v.softmaxGrad, v.logSoftmaxGrad = softmaxGrad(softmaxGradNEON), softmaxGrad(logSoftmaxGradNEON)
	v.adam = func(w, g, m, v, largest []float32, p *adamNumbers[float32]) {
		switch n := len(w); {
		case n == 0:
		case largest != nil || !(p.new1 < 0.5): // see lerp
			plainAdam(w, g, m, v, largest, p)
		default:
			adamNEON(&w[0], &g[:n][0], &m[:n][0], &v[:n][0], n, &p.sign, p.decay != 0)
		}
	}
	v.sgd = func(w, g, m []float32, p *sgdNumbers[float32]) {
		if n := len(w); n > 0 {
			sgdNEON(&w[0], &g[:n][0], &m[:n][0], n, &p.sign, p.decay != 0, p.nesterov)
		}
	}
	v.maxPool2x2 = func(dst, x []float32, rows, w, q int) {
		if rows > 0 && q > 0 {
			maxPool2x2NEON(&dst[0], &x[0], rows, w, q)
		}
	}
	v.maxPoolGrad2x2 = func(dx, dy, x, y []float32, rows, w, q int) {
		if rows > 0 && q > 0 && maxPoolGrad2x2NEON(&dx[0], &dy[0], &x[0], &y[0], rows, w, q) {
			plainMaxPoolGrad2x2(dx, dy, x, y, rows, w, q)
		}
	}
	return v
}()

var vector64NEON = func() vector[float64] {
	v := plainVector64
	binary := func(f func(dst, a, b *float64, n int)) func(dst, a, b []float64) {
		return func(dst, a, b []float64) {
			if n := len(dst); n > 0 {
				f(&dst[0], &a[:n][0], &b[:n][0], n)
			}
		}
	}
	v.add, v.sub, v.mul, v.div = binary(add64NEON), binary(sub64NEON), binary(mul64NEON), binary(div64NEON)
	v.sqrt = func(dst, x []float64) {
		if n := len(dst); n > 0 {
			sqrt64NEON(&dst[0], &x[:n][0], n)
		}
	}
	return v
}()
