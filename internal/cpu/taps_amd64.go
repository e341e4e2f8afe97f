//go:build !noasm

package cpu

// tapsAVX puts the assembly of one level behind slices.
func tapsAVX(
	correlate func(dst, src, weights *float32, geom *int),
	largest func(dst, src *float32, geom *int),
	places func(dst *int32, src, y *float32, marks *int32, geom *int) (nan bool),
	dots func(sums, dy, src *float32, offsets *int, geom *int),
	split func(even, odd, x *float32, q int),
) *tapKernels[float32] {
	empty := func(g *tapGeom) bool { return g.rows <= 0 || g.n <= 0 }
	return &tapKernels[float32]{
		correlate: func(dst, src, weights []float32, g *tapGeom) {
			switch {
			case empty(g):
			case len(g.offsets) == 0:
				plainCorrelate(dst, src, weights, g)
			default:
				correlate(&dst[0], &src[0], &weights[0], &g.rows)
			}
		},
		largest: func(dst, src []float32, g *tapGeom) {
			if !empty(g) {
				largest(&dst[0], &src[0], &g.rows)
			}
		},
		places: func(dst []int32, src, y []float32, marks []int32, g *tapGeom) (nan bool) {
			return !empty(g) && places(&dst[0], &src[0], &y[0], &marks[0], &g.rows)
		},
		dots: func(sums []float64, dy, src []float32, g *tapGeom) {
			if empty(g) {
				return
			}
			const count = 5 // as many as the assembly sums for at once
			for t := 0; t < len(sums); t += count {
				var some [count]float32
				var offsets [count]int
				n := copy(offsets[:], g.offsets[t:])
				dots(&some[0], &dy[0], &src[0], &offsets[0], &g.rows)
				for i, v := range some[:n] {
					sums[t+i] += float64(v)
				}
			}
		},
		split: func(even, odd, x []float32, q int) {
			if q > 0 {
				split(&even[0], &odd[0], &x[0], q)
			}
		},
	}
}

var (
	taps512 = withThree(tapsAVX(correlate512, largest512, places512, dots512, split512))
	taps256 = tapsAVX(correlate256, largest256, places256, dots256, split256)
)

// withThree adds what AVX-512 alone has the registers for.
func withThree(kn *tapKernels[float32]) *tapKernels[float32] {
	kn.three = func(dst, src, weights []float32, s *strip) {
		if s.wide {
			three2x512(&dst[0], &src[0], &weights[0], &s.rows)
		} else {
			three1x512(&dst[0], &src[0], &weights[0], &s.rows)
		}
	}
	kn.threeDots = func(sums *[9]float32, dy, src []float32, s *strip) {
		if s.wide {
			threeDots2x512(&sums[0], &dy[0], &src[0], &s.rows)
		} else {
			threeDots1x512(&sums[0], &dy[0], &src[0], &s.rows)
		}
	}
	return kn
}
