//go:build !noasm

package kernels

// tapsAVX puts the assembly of one level behind slices.
func tapsAVX(
	correlate func(dst, src, weights *float32, geom *int),
	largest func(dst, src *float32, geom *int),
	places func(dst *int32, src, y *float32, marks *int32, geom *int) (nan bool),
	dots func(sums, dy, src *float32, offsets *int, geom *int),
	split func(even, odd, x *float32, q int),
) *Taps[float32] {
	empty := func(g *TapGeom) bool { return g.Rows <= 0 || g.N <= 0 }
	return &Taps[float32]{
		Correlate: func(dst, src, weights []float32, g *TapGeom) {
			switch {
			case empty(g):
			case len(g.Offsets) == 0:
				plainCorrelate(dst, src, weights, g)
			default:
				correlate(&dst[0], &src[0], &weights[0], &g.Rows)
			}
		},
		Largest: func(dst, src []float32, g *TapGeom) {
			if !empty(g) {
				largest(&dst[0], &src[0], &g.Rows)
			}
		},
		Places: func(dst []int32, src, y []float32, marks []int32, g *TapGeom) (nan bool) {
			return !empty(g) && places(&dst[0], &src[0], &y[0], &marks[0], &g.Rows)
		},
		Dots: func(sums []float64, dy, src []float32, g *TapGeom) {
			if empty(g) {
				return
			}
			const count = 5 // as many as the assembly sums for at once
			for t := 0; t < len(sums); t += count {
				var some [count]float32
				var offsets [count]int
				n := copy(offsets[:], g.Offsets[t:])
				dots(&some[0], &dy[0], &src[0], &offsets[0], &g.Rows)
				for i, v := range some[:n] {
					sums[t+i] += float64(v)
				}
			}
		},
		Split: func(even, odd, x []float32, q int) {
			if q > 0 {
				split(&even[0], &odd[0], &x[0], q)
			}
		},
	}
}

var (
	Taps512 = withThree(tapsAVX(correlate512, largest512, places512, dots512, split512))
	taps256 = tapsAVX(correlate256, largest256, places256, dots256, split256)
)

// withThree adds what AVX-512 alone has the registers for.
func withThree(kn *Taps[float32]) *Taps[float32] {
	kn.Three = func(dst, src, weights []float32, s *Strip) {
		if s.wide {
			three2x512(&dst[0], &src[0], &weights[0], &s.Rows)
		} else {
			three1x512(&dst[0], &src[0], &weights[0], &s.Rows)
		}
	}
	kn.ThreeDots = func(sums *[9]float32, dy, src []float32, s *Strip) {
		if s.wide {
			threeDots2x512(&sums[0], &dy[0], &src[0], &s.Rows)
		} else {
			threeDots1x512(&sums[0], &dy[0], &src[0], &s.Rows)
		}
	}
	return kn
}
