package cpu

import "math"

//go:generate go run -C gen . -part taps -out ../taps_amd64.s -stubs ../taps_stubs_amd64.go -pkg cpu
//go:generate go run -C gen . -neon -part taps

// Depthwise convolutions and max pooling look at single planes through the taps
// of a kernel. A plane is first copied ("staged") with a border around it and with
// its columns sorted by their residue modulo the stride, so that what a tap reads
// for a row of the result is contiguous.

// tapGeom is rows of n elements that read a staged plane through taps. Assembly
// knows the order of the fields.
type tapGeom struct {
	rows, n        int
	dstRow, srcRow int   // from one row to the next
	offsets        []int // of the taps
}

// beyond is how many elements the kernels may read past the last tap's.
const beyond = 16

// tapKernels is the loops over taps, in assembly for float32 where the machine
// has it. src has beyond elements more than the taps read.
type tapKernels[T float] struct {
	// correlate computes dst = Σ weights·src over the taps.
	correlate func(dst, src, weights []T, g *tapGeom)
	// largest takes the maximum of src over the taps.
	largest func(dst, src []T, g *tapGeom)
	// places finds the mark of the first tap whose src is y, or -1. It reports whether one of y is NaN.
	places func(dst []int32, src, y []T, marks []int32, g *tapGeom) (nan bool)
	// dots adds Σ dy·src to sums for each tap; dy has dst's rows.
	dots func(sums []float64, dy, src []T, g *tapGeom)
	// split parts q pairs of elements.
	split func(even, odd, x []T, q int)
	// three and threeDots serve direct convolutions; they are nil where there is no assembly for them.
	three     func(dst, src, weights []T, s *strip)
	threeDots func(sums *[9]T, dy, src []T, s *strip)
}

// tapsOf returns the loops for T.
func tapsOf[T float]() *tapKernels[T] {
	var v any = current.taps
	if v, ok := v.(*tapKernels[T]); ok {
		return v
	}
	v = &plainTaps64
	return v.(*tapKernels[T])
}

var (
	plainTaps32 = plainTaps[float32]()
	plainTaps64 = plainTaps[float64]()
)

// plainTaps is the loops in Go.
func plainTaps[T float]() tapKernels[T] {
	return tapKernels[T]{correlate: plainCorrelate[T], largest: plainLargest[T], places: plainPlaces[T], dots: plainDots[T], split: plainSplit[T]}
}

func plainCorrelate[T float](dst, src, weights []T, g *tapGeom) {
	for p := range g.rows {
		out, in := dst[p*g.dstRow:][:g.n], src[p*g.srcRow:]
		clear(out)
		t := 0
		for ; t+3 <= len(g.offsets); t += 3 {
			a, b, c := in[g.offsets[t]:][:len(out)], in[g.offsets[t+1]:][:len(out)], in[g.offsets[t+2]:][:len(out)]
			u, v, w := weights[t], weights[t+1], weights[t+2]
			for i := range out {
				out[i] = out[i] + u*a[i] + v*b[i] + w*c[i]
			}
		}
		for ; t < len(g.offsets); t++ {
			w := weights[t]
			for i, v := range in[g.offsets[t]:][:len(out)] {
				out[i] += w * v
			}
		}
	}
}

func plainLargest[T float](dst, src []T, g *tapGeom) {
	lowest := T(math.Inf(-1))
	for p := range g.rows {
		out, in := dst[p*g.dstRow:][:g.n], src[p*g.srcRow:]
		for i := range out {
			out[i] = lowest
		}
		for _, at := range g.offsets {
			for i, v := range in[at:][:len(out)] {
				out[i] = max(out[i], v)
			}
		}
	}
}

func plainPlaces[T float](dst []int32, src, y []T, marks []int32, g *tapGeom) (nan bool) {
	for p := range g.rows {
		out, best, in := dst[p*g.dstRow:][:g.n], y[p*g.dstRow:][:g.n], src[p*g.srcRow:]
		for i := range out {
			out[i] = -1
		}
		for t := len(g.offsets) - 1; t >= 0; t-- {
			mark := marks[t]
			for i, v := range in[g.offsets[t]:][:len(out)] {
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

func plainDots[T float](sums []float64, dy, src []T, g *tapGeom) {
	for t, at := range g.offsets {
		var s0, s1, s2, s3 T
		n := 0
		for p := range g.rows {
			d := dy[p*g.dstRow:][:g.n]
			in := src[p*g.srcRow+at:][:len(d)]
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
			if n += g.n; n >= 1<<10 || p == g.rows-1 {
				sums[t] += float64((s0 + s1) + (s2 + s3))
				s0, s1, s2, s3, n = 0, 0, 0, 0, 0
			}
		}
	}
}

func plainSplit[T float](even, odd, x []T, q int) {
	even, odd = even[:q], odd[:q]
	for i, p := range pairs(x, q) {
		even[i], odd[i] = p[0], p[1]
	}
}

// staging says how planes are staged for taps.
type staging struct {
	h, w             int // of a plane
	p, q             int // of the result
	strideH, strideW int
	taps             []tap

	minH, minQ int // of what is staged; columns are divided by strideW
	rows, row  int // of what is staged: rows, and the length of a row of one residue
	size       int // of a staged plane
	offsets    []int
}

// stageable reports whether planes are staged in about the room that they and the result have, taps reaching over so many
// rows and columns: what is staged may not grow with padding and dilation.
func stageable(h, w, p, q, strideH, strideW, reachH, reachW int) bool {
	rows := float64(p-1)*float64(strideH) + float64(reachH) + 1
	cols := (float64(q)+2)*float64(strideW) + float64(reachW)
	return rows*cols <= 4*(float64(h)*float64(w)+float64(p)*float64(q))+1<<12
}

// init readies what does not depend on the plane.
func (s *staging) init() {
	if len(s.taps) == 0 {
		return
	}
	floor := func(a int) int {
		if a < 0 {
			return -((s.strideW - 1 - a) / s.strideW)
		}
		return a / s.strideW
	}
	minH, maxH, minQ, maxQ := s.taps[0].h, s.taps[0].h, floor(s.taps[0].w), floor(s.taps[0].w)
	for _, t := range s.taps {
		minH, maxH = min(minH, t.h), max(maxH, t.h)
		minQ, maxQ = min(minQ, floor(t.w)), max(maxQ, floor(t.w))
	}
	s.minH, s.minQ = minH, minQ
	s.rows, s.row = (s.p-1)*s.strideH+maxH-minH+1, s.q+maxQ-minQ
	s.size = s.rows * s.strideW * s.row
	for _, t := range s.taps {
		q := floor(t.w)
		s.offsets = append(s.offsets, ((t.h-minH)*s.strideW+t.w-q*s.strideW)*s.row+q-minQ)
	}
}

// geom is the loops over n rows of the result.
func (s *staging) geom() tapGeom {
	return tapGeom{rows: s.p, n: s.q, dstRow: s.q, srcRow: s.strideH * s.strideW * s.row, offsets: s.offsets}
}

// bands calls f for the elements of g in pieces of so many products, with the
// offsets of the first elements: few enough to take a kernel little time.
func (g *tapGeom) bands(products int, f func(dst, src int, g *tapGeom)) {
	elements := products / max(1, len(g.offsets))
	count := max(4, elements/max(1, g.n)/4*4) // the kernels take four rows at once
	cols := max(64, min(g.n, elements/4/64*64))
	band := *g
	for p := 0; p < g.rows; p += count {
		band.rows = min(count, g.rows-p)
		for q := 0; q < g.n; q += cols {
			band.n = min(cols, g.n-q)
			f(p*g.dstRow+q, p*g.srcRow+q, &band)
		}
	}
}

// stage copies the plane's elements to where they belong in dst. The border is
// there already.
func stage[T float](kn *tapKernels[T], s *staging, dst, x []T) {
	first, last := max(s.minH, 0), min(s.minH+s.rows, s.h)
	for h := first; h < last; h++ {
		to, row := dst[(h-s.minH)*s.strideW*s.row:][:s.strideW*s.row], x[h*s.w:][:s.w]
		if s.strideW == 1 {
			from := max(s.minQ, 0)
			if from < len(row) {
				copy(to[max(-s.minQ, 0):], row[from:])
			}
			continue
		}
		if s.strideW == 2 && s.minQ <= 0 {
			n := min(s.row+s.minQ, (s.w+1)/2) // a row may end with an element of residue 0
			if n <= 0 {
				continue
			}
			pairs := min(n, s.w/2)
			even, odd := to[-s.minQ:s.row], to[s.row-s.minQ:]
			kn.split(even, odd, row, pairs)
			if pairs < n {
				even[pairs] = row[2*pairs]
			}
			continue
		}
		for residue := range s.strideW {
			to := to[residue*s.row:][:s.row]
			w := s.minQ*s.strideW + residue
			for i := range to {
				if w >= 0 && w < len(row) {
					to[i] = row[w]
				}
				w += s.strideW
			}
		}
	}
}
