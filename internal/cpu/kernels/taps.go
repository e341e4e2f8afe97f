package kernels

import "math"

// TapGeom is rows of n elements that read a staged plane through taps. Assembly
// knows the order of the fields.
type TapGeom struct {
	Rows, N        int
	DstRow, SrcRow int   // from one row to the next
	Offsets        []int // of the taps
}

// TapsBeyond is how many elements the kernels may read past the last tap's.
const TapsBeyond = 16

// Taps is the loops over taps, in assembly for float32 where the machine
// has it. src has beyond elements more than the taps read.
type Taps[T Float] struct {
	// Correlate computes dst = Σ weights·src over the taps.
	Correlate func(dst, src, weights []T, g *TapGeom)
	// Largest takes the maximum of src over the taps.
	Largest func(dst, src []T, g *TapGeom)
	// Places finds the mark of the first tap whose src is y, or -1. It reports whether one of y is NaN.
	Places func(dst []int32, src, y []T, marks []int32, g *TapGeom) (nan bool)
	// Dots adds Σ dy·src to sums for each tap; dy has dst's rows.
	Dots func(sums []float64, dy, src []T, g *TapGeom)
	// Split parts q pairs of elements.
	Split func(even, odd, x []T, q int)
	// Three and ThreeDots serve direct convolutions; they are nil where there is no assembly for them.
	Three     func(dst, src, weights []T, s *Strip)
	ThreeDots func(sums *[9]T, dy, src []T, s *Strip)
}

var plainTaps32 = PlainTaps[float32]()

// PlainTaps is the loops in Go.
func PlainTaps[T Float]() Taps[T] {
	return Taps[T]{Correlate: plainCorrelate[T], Largest: plainLargest[T], Places: plainPlaces[T], Dots: plainDots[T], Split: plainSplit[T]}
}

func plainCorrelate[T Float](dst, src, weights []T, g *TapGeom) {
	for p := range g.Rows {
		out, in := dst[p*g.DstRow:][:g.N], src[p*g.SrcRow:]
		clear(out)
		t := 0
		for ; t+3 <= len(g.Offsets); t += 3 {
			a, b, c := in[g.Offsets[t]:][:len(out)], in[g.Offsets[t+1]:][:len(out)], in[g.Offsets[t+2]:][:len(out)]
			u, v, w := weights[t], weights[t+1], weights[t+2]
			for i := range out {
				out[i] = out[i] + u*a[i] + v*b[i] + w*c[i]
			}
		}
		for ; t < len(g.Offsets); t++ {
			w := weights[t]
			for i, v := range in[g.Offsets[t]:][:len(out)] {
				out[i] += w * v
			}
		}
	}
}

func plainLargest[T Float](dst, src []T, g *TapGeom) {
	lowest := T(math.Inf(-1))
	for p := range g.Rows {
		out, in := dst[p*g.DstRow:][:g.N], src[p*g.SrcRow:]
		for i := range out {
			out[i] = lowest
		}
		for _, at := range g.Offsets {
			for i, v := range in[at:][:len(out)] {
				out[i] = max(out[i], v)
			}
		}
	}
}

func plainPlaces[T Float](dst []int32, src, y []T, marks []int32, g *TapGeom) (nan bool) {
	for p := range g.Rows {
		out, best, in := dst[p*g.DstRow:][:g.N], y[p*g.DstRow:][:g.N], src[p*g.SrcRow:]
		for i := range out {
			out[i] = -1
		}
		for t := len(g.Offsets) - 1; t >= 0; t-- {
			mark := marks[t]
			for i, v := range in[g.Offsets[t]:][:len(out)] {
				at := out[i]
				if v == best[i] {
					at = mark
				}
				out[i] = at
			}
		}
		for _, v := range best {
			nan = nan || v != v
		}
	}
	return nan
}

func plainDots[T Float](sums []float64, dy, src []T, g *TapGeom) {
	for t, at := range g.Offsets {
		var s0, s1, s2, s3 T
		n := 0
		for p := range g.Rows {
			d := dy[p*g.DstRow:][:g.N]
			in := src[p*g.SrcRow+at:][:len(d)]
			i := 0
			for ; i+4 <= len(d); i += 4 {
				d, v := (*[4]T)(d[i:]), (*[4]T)(in[i:])
				s0 += d[0] * v[0]
				s1 += d[1] * v[1]
				s2 += d[2] * v[2]
				s3 += d[3] * v[3]
			}
			for ; i < len(d); i++ {
				s0 += d[i] * in[i]
			}
			if n += g.N; n >= 1<<10 || p == g.Rows-1 {
				sums[t] += float64((s0 + s1) + (s2 + s3))
				s0, s1, s2, s3, n = 0, 0, 0, 0, 0
			}
		}
	}
}

func plainSplit[T Float](even, odd, x []T, q int) {
	even, odd = even[:q], odd[:q]
	for i, p := range Pairs(x, q) {
		even[i], odd[i] = p[0], p[1]
	}
}

// Bands calls f for the elements of g in pieces of so many products, with the
// offsets of the first elements: few enough to take a kernel little time.
func (g *TapGeom) Bands(products int, f func(dst, src int, g *TapGeom)) {
	elements := products / max(1, len(g.Offsets))
	count := max(4, elements/max(1, g.N)/4*4) // the kernels take four rows at once
	cols := max(64, min(g.N, elements/4/64*64))
	band := *g
	for p := 0; p < g.Rows; p += count {
		band.Rows = min(count, g.Rows-p)
		for q := 0; q < g.N; q += cols {
			band.N = min(cols, g.N-q)
			f(p*g.DstRow+q, p*g.SrcRow+q, &band)
		}
	}
}
