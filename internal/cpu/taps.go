package cpu

import "github.com/wick-ml/wick/internal/cpu/kernels"

// Depthwise convolutions and max pooling look at single planes through the taps
// of a kernel. A plane is first copied ("staged") with a border around it and with
// its columns sorted by their residue modulo the stride, so that what a tap reads
// for a row of the result is contiguous.

// tapsOf returns the loops for T.
func tapsOf[T kernels.Float]() *kernels.Taps[T] {
	var v any = kernels.Current.Taps
	if v, ok := v.(*kernels.Taps[T]); ok {
		return v
	}
	v = &plainTaps64
	return v.(*kernels.Taps[T])
}

var (
	plainTaps64 = kernels.PlainTaps[float64]()
)

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
func (s *staging) geom() kernels.TapGeom {
	return kernels.TapGeom{Rows: s.p, N: s.q, DstRow: s.q, SrcRow: s.strideH * s.strideW * s.row, Offsets: s.offsets}
}

// stage copies the plane's elements to where they belong in dst. The border is
// there already.
func stage[T kernels.Float](kn *kernels.Taps[T], s *staging, dst, x []T) {
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
			kn.Split(even, odd, row, pairs)
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
