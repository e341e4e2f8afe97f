//go:build !noasm

package cpu

var tapsNEON = func() tapKernels[float32] {
	kn := plainTaps32
	empty := func(g *tapGeom) bool { return g.rows <= 0 || g.n <= 0 }
	kn.correlate = func(dst, src, weights []float32, g *tapGeom) {
		switch {
		case empty(g):
		case len(g.offsets) == 0:
			plainCorrelate(dst, src, weights, g)
		default:
			correlateNEON(&dst[0], &src[0], &weights[0], &g.rows)
		}
	}
	kn.largest = func(dst, src []float32, g *tapGeom) {
		if !empty(g) {
			largestNEON(&dst[0], &src[0], &g.rows)
		}
	}
	kn.places = func(dst []int32, src, y []float32, marks []int32, g *tapGeom) (nan bool) {
		return !empty(g) && placesNEON(&dst[0], &src[0], &y[0], &marks[0], &g.rows)
	}
	kn.dots = func(sums []float64, dy, src []float32, g *tapGeom) {
		if empty(g) {
			return
		}
		const count = 5 // as many as the assembly sums for at once
		for t := 0; t < len(sums); t += count {
			var some [count]float32
			var offsets [count]int
			n := copy(offsets[:], g.offsets[t:])
			dotsNEON(&some[0], &dy[0], &src[0], &offsets[0], &g.rows)
			for i, v := range some[:n] {
				sums[t+i] += float64(v)
			}
		}
	}
	kn.split = func(even, odd, x []float32, q int) {
		if q > 0 {
			splitNEON(&even[0], &odd[0], &x[0], q)
		}
	}
	return kn
}()
