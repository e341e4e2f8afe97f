//go:build !noasm

package kernels

var tapsNEON = func() Taps[float32] {
	kn := plainTaps32
	empty := func(g *TapGeom) bool { return g.Rows <= 0 || g.N <= 0 }
	kn.Correlate = func(dst, src, weights []float32, g *TapGeom) {
		switch {
		case empty(g):
		case len(g.Offsets) == 0:
			plainCorrelate(dst, src, weights, g)
		default:
			correlateNEON(&dst[0], &src[0], &weights[0], &g.Rows)
		}
	}
	kn.Largest = func(dst, src []float32, g *TapGeom) {
		if !empty(g) {
			largestNEON(&dst[0], &src[0], &g.Rows)
		}
	}
	kn.Places = func(dst []int32, src, y []float32, marks []int32, g *TapGeom) (nan bool) {
		return !empty(g) && placesNEON(&dst[0], &src[0], &y[0], &marks[0], &g.Rows)
	}
	kn.Dots = func(sums []float64, dy, src []float32, g *TapGeom) {
		if empty(g) {
			return
		}
		const count = 5 // as many as the assembly sums for at once
		for t := 0; t < len(sums); t += count {
			var some [count]float32
			var offsets [count]int
			n := copy(offsets[:], g.Offsets[t:])
			dotsNEON(&some[0], &dy[0], &src[0], &offsets[0], &g.Rows)
			for i, v := range some[:n] {
				sums[t+i] += float64(v)
			}
		}
	}
	kn.Split = func(even, odd, x []float32, q int) {
		if q > 0 {
			splitNEON(&even[0], &odd[0], &x[0], q)
		}
	}
	return kn
}()
