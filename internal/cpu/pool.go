package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// eachPlane calls f in parallel for all planes.
func eachPlane(g backend.PoolGeom, f func(plane int)) {
	parallel(g.Planes, grain/max(1, g.H*g.W, g.P*g.Q), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f(i)
		}
	})
}

// plane returns the i-th piece of n elements.
func plane[T any](s []T, i, n int) []T { return s[i*n:][:n] }

// inside returns the i of [0, count) for which start + i·step lies in [0, size),
// as [lo, hi).
func inside(start, step, count, size int) (lo, hi int) {
	if start < 0 {
		lo = min(count, (-start+step-1)/step)
	}
	if start < size {
		hi = min(count, (size-start+step-1)/step)
	}
	return lo, max(lo, hi)
}

// pools2x2 reports whether the windows are 2×2 tiles, all inside the input.
func pools2x2(g backend.PoolGeom) bool {
	return g.KernelH == 2 && g.KernelW == 2 && g.StrideH == 2 && g.StrideW == 2 && g.PadH == 0 && g.PadW == 0 &&
		g.DilationH <= 1 && g.DilationW <= 1 && 2*g.P <= g.H && 2*g.Q <= g.W
}

// pools3x3 reports whether the windows are 3×3, two apart, with a border of one
// around the input.
func pools3x3(g backend.PoolGeom) bool {
	return g.KernelH == 3 && g.KernelW == 3 && g.StrideH == 2 && g.StrideW == 2 && g.PadH == 1 && g.PadW == 1 &&
		g.DilationH <= 1 && g.DilationW <= 1 && g.P == (g.H+1)/2 && g.Q == (g.W+1)/2 && 2*g.W <= longest
}

// eachThird calls f for the rows of windows of pools3x3, in order: n rows from p
// on, few enough for one call of a kernel. The rows of the input before the first
// and behind the last do not exist.
func eachThird(g backend.PoolGeom, f func(p, n int)) {
	f(0, 1)
	inner := max(0, g.H/2-1) // rows of windows that lie inside of the input
	count := longest / (2 * g.W)
	for p := 0; p < inner; p += count {
		f(1+p, min(count, inner-p))
	}
	if 1+inner < g.P {
		f(1+inner, 1)
	}
}

func maxPool3x3Plane[T float](kn *vector[T], dst, x []T, g backend.PoolGeom) {
	nan := false
	eachThird(g, func(p, n int) {
		b := x[2*p*g.W:]
		a, c := b, b // a row twice changes no maximum
		if p > 0 {
			a = x[(2*p-1)*g.W:]
		}
		if 2*p+1 < g.H {
			c = b[g.W:]
		}
		nan = kn.maxPool3x3(dst[p*g.Q:], a, b, c, n, g.W, g.Q) || nan
	})
	if nan {
		maxPoolPlane(dst, x, g, T(math.Inf(-1)))
	}
}

// maxPoolGrad3x3Plane reads none for rows that do not exist, and writes theirs to
// waste.
func maxPoolGrad3x3Plane[T float](kn *vector[T], dx, dy, x, y, none, waste []T, g backend.PoolGeom) {
	nan := false
	eachThird(g, func(p, n int) {
		b, db := x[2*p*g.W:], dx[2*p*g.W:]
		a, c, da, dc := none, none, waste, waste
		if p > 0 {
			a, da = x[(2*p-1)*g.W:], dx[(2*p-1)*g.W:]
		}
		if 2*p+1 < g.H {
			c, dc = b[g.W:], db[g.W:]
		}
		nan = kn.maxPoolGrad3x3(da, db, dc, a, b, c, dy[p*g.Q:], y[p*g.Q:], n, g.W, g.Q) || nan
	})
	if nan {
		maxPoolGradPlane(dx, dy, x, y, g)
	}
}

// pools1x1 reports whether each window is one element and no element is left out.
func pools1x1(g backend.PoolGeom) bool {
	return g.KernelH == 1 && g.KernelW == 1 && g.StrideH == 1 && g.StrideW == 1 && g.PadH == 0 && g.PadW == 0 &&
		g.P == g.H && g.Q == g.W
}

func copyAll[T any](dst, src []T) {
	parallel(len(dst), grain, func(lo, hi int) { copy(dst[lo:hi], src[lo:hi]) })
}

// MaxPool2d takes the maximum of each window.
func (be *Backend) MaxPool2d(dst, x backend.Array, g backend.PoolGeom) {
	if kn := loopsBF16(dst, x); kn != nil && pools2x2(g) {
		maxPool2x2(kn, data[uint16](dst), data[uint16](x), g)
		return
	}
	if be.pieces(g.Planes, func(a []backend.Array, n int) { be.MaxPool2d(a[0], a[1], planes(g, n)) }, writes(&dst), reads(&x)) {
		return
	}
	switch x.DType() {
	case backend.Float32:
		maxPool(be, data[float32](dst), data[float32](x), g)
	case backend.Float64:
		maxPool(be, data[float64](dst), data[float64](x), g)
	case backend.Int64:
		maxPoolPlanes(data[int64](dst), data[int64](x), g, math.MinInt64)
	default:
		maxPoolPlanes(data[uint8](dst), data[uint8](x), g, 0)
	}
}

func maxPoolPlanes[T number](dst, x []T, g backend.PoolGeom, lowest T) {
	eachPlane(g, func(i int) { maxPoolPlane(plane(dst, i, g.P*g.Q), plane(x, i, g.H*g.W), g, lowest) })
}

func maxPool[T float](be *Backend, dst, x []T, g backend.PoolGeom) {
	if len(dst) == 0 {
		return
	}
	if pools1x1(g) {
		copyAll(dst, x)
		return
	}
	if pools2x2(g) {
		maxPool2x2(&vectorOf[T]().loops, dst, x, g)
		return
	}
	if kn := vectorOf[T](); kn.maxPool3x3 != nil && pools3x3(g) {
		eachPlane(g, func(i int) { maxPool3x3Plane(kn, plane(dst, i, g.P*g.Q), plane(x, i, g.H*g.W), g) })
		return
	}
	if !pays(g) {
		maxPoolPlanes(dst, x, g, T(math.Inf(-1)))
		return
	}
	kn, s := tapsOf[T](), poolStaging(g)
	geom := s.geom()
	parallel(g.Planes, grain/max(1, g.H*g.W, g.P*g.Q), func(lo, hi int) {
		scratch(be, s.size+beyond, func(staged []T) {
			setAll(staged, T(math.Inf(-1)))
			for i := lo; i < hi; i++ {
				stage(kn, &s, staged, plane(x, i, g.H*g.W))
				out := plane(dst, i, g.P*g.Q)
				geom.bands(8*longest, func(dst, src int, g *tapGeom) { kn.largest(out[dst:], staged[src:], g) })
			}
		})
	})
}

func maxPool2x2[S any, T float](kn *loops[S, T], dst, x []S, g backend.PoolGeom) {
	eachRows(g, func(row, pooled, n int) { kn.maxPool2x2(dst[pooled:], x[row:], n, g.W, g.Q) })
}

// pays reports whether max pooling pays on staged planes: they are about as large
// as the planes, whatever the padding, and places in them fit an int32.
func pays(g backend.PoolGeom) bool {
	return g.StrideH*g.StrideW <= 16 && g.StrideH <= g.KernelH && g.StrideW <= g.KernelW && g.H*g.W < math.MaxInt32/2 &&
		stageable(g.H, g.W, g.P, g.Q, g.StrideH, g.StrideW, max(1, g.DilationH)*(g.KernelH-1), max(1, g.DilationW)*(g.KernelW-1))
}

func setAll[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// poolStaging is how planes are staged for pooling.
func poolStaging(g backend.PoolGeom) staging {
	s := staging{h: g.H, w: g.W, p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW}
	for r := range g.KernelH {
		for c := range g.KernelW {
			s.taps = append(s.taps, tap{h: r*g.DilationH - g.PadH, w: c*g.DilationW - g.PadW})
		}
	}
	s.init()
	return s
}

// eachRows calls f in parallel for the pairs of rows that 2×2 windows lie in: n
// pairs, which begin at offset row of the input and pooled of the result.
func eachRows(g backend.PoolGeom, f func(row, pooled, n int)) {
	if g.H == 2*g.P { // planes join
		parallel(g.Planes*g.P, max(1, grain/max(1, 2*g.W)), func(lo, hi int) { f(2*lo*g.W, lo*g.Q, hi-lo) })
		return
	}
	count := max(1, longest/max(1, 2*g.W))
	eachPlane(g, func(i int) {
		for p := 0; p < g.P; p += count {
			f(i*g.H*g.W+2*p*g.W, (i*g.P+p)*g.Q, min(count, g.P-p))
		}
	})
}

// maxPoolPlane takes the kernel's positions one by one, each for a whole row of
// the result, so that padding costs nothing inside the loop.
func maxPoolPlane[T number](dst, x []T, g backend.PoolGeom, lowest T) {
	// The positions s of the kernel that lie in the input for some column.
	s0 := max(0, (g.PadW-(g.Q-1)*g.StrideW+g.DilationW-1)/max(g.DilationW, 1))
	s1 := min(g.KernelW, (g.W-1+g.PadW)/max(g.DilationW, 1)+1)
	for p := range g.P {
		out := dst[p*g.Q:][:g.Q]
		for q := range out {
			out[q] = lowest
		}
		h := p*g.StrideH - g.PadH
		first, end := inside(h, g.DilationH, g.KernelH, g.H)
		for r := first; r < end; r++ {
			row := x[(h+r*g.DilationH)*g.W:][:g.W]
			for s := s0; s < s1; s++ {
				w := s*g.DilationW - g.PadW
				lo, hi := inside(w, g.StrideW, g.Q, g.W)
				part := out[min(lo, hi):hi]
				if len(part) == 0 {
					continue
				}
				for i, k := 0, lo*g.StrideW+w; i < len(part); i, k = i+1, k+g.StrideW {
					part[i] = max(part[i], row[k])
				}
			}
		}
	}
}

// MaxPool2dGrad gives dy to the first maximum of each window; of several NaN the
// last gets it, as in PyTorch.
func (be *Backend) MaxPool2dGrad(dx, dy, x, y backend.Array, g backend.PoolGeom) {
	if kn := loopsBF16(dx, dy, x, y); kn != nil && pools2x2(g) {
		maxPoolGrad2x2(kn, data[uint16](dx), data[uint16](dy), data[uint16](x), data[uint16](y), g)
		return
	}
	if be.pieces(g.Planes, func(a []backend.Array, n int) { be.MaxPool2dGrad(a[0], a[1], a[2], a[3], planes(g, n)) }, writes(&dx), reads(&dy), reads(&x), reads(&y)) {
		return
	}
	if x.DType() == backend.Float32 {
		maxPoolGrad(be, data[float32](dx), data[float32](dy), data[float32](x), data[float32](y), g)
	} else {
		maxPoolGrad(be, data[float64](dx), data[float64](dy), data[float64](x), data[float64](y), g)
	}
}

func maxPoolGrad[T float](be *Backend, dx, dy, x, y []T, g backend.PoolGeom) {
	if len(dy) == 0 {
		clear(dx)
		return
	}
	if pools1x1(g) {
		copyAll(dx, dy)
		return
	}
	if pools2x2(g) {
		maxPoolGrad2x2(&vectorOf[T]().loops, dx, dy, x, y, g)
		return
	}
	if kn := vectorOf[T](); kn.maxPoolGrad3x3 != nil && pools3x3(g) {
		parallel(g.Planes, grain/max(1, g.H*g.W), func(lo, hi int) {
			scratch(be, 2*g.W, func(rows []T) {
				none, waste := rows[:g.W], rows[g.W:]
				setAll(none, T(math.NaN())) // is no maximum
				for i := lo; i < hi; i++ {
					maxPoolGrad3x3Plane(kn, plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q), plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q), none, waste, g)
				}
			})
		})
		return
	}
	if !pays(g) {
		eachPlane(g, func(i int) {
			maxPoolGradPlane(plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q), plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q), g)
		})
		return
	}
	kn, s := tapsOf[T](), poolStaging(g)
	geom := s.geom()
	marks := make([]int32, len(s.taps)) // from a window's first element on
	for t, tap := range s.taps {
		marks[t] = int32((tap.h+g.PadH)*g.W + tap.w + g.PadW)
	}
	parallel(g.Planes, grain/max(1, g.H*g.W, g.P*g.Q), func(lo, hi int) {
		scratch(be, g.P*g.Q, func(places []int32) {
			scratch(be, s.size+beyond, func(staged []T) {
				setAll(staged, T(math.NaN())) // is no maximum
				for i := lo; i < hi; i++ {
					dx, dy := plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q)
					x, y := plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q)
					stage(kn, &s, staged, x)
					nan := false
					geom.bands(8*longest, func(dst, src int, g *tapGeom) {
						nan = kn.places(places[dst:], staged[src:], y[dst:], marks, g) || nan
					})
					if nan {
						maxPoolGradPlane(dx, dy, x, y, g)
						continue
					}
					clear(dx)
					for p := range g.P {
						at := (p*g.StrideH-g.PadH)*g.W - g.PadW
						dy := dy[p*g.Q:][:g.Q]
						for q, mark := range places[p*g.Q:][:len(dy)] {
							if mark >= 0 {
								dx[at+int(mark)] += dy[q]
							}
							at += g.StrideW
						}
					}
				}
			})
		})
	})
}

func maxPoolGrad2x2[S any, T float](kn *loops[S, T], dx, dy, x, y []S, g backend.PoolGeom) {
	if 2*g.P < g.H || 2*g.Q < g.W {
		parallel(len(dx), grain, func(lo, hi int) { clear(dx[lo:hi]) })
	}
	eachRows(g, func(row, pooled, n int) { kn.maxPoolGrad2x2(dx[row:], dy[pooled:], x[row:], y[pooled:], n, g.W, g.Q) })
}

func maxPoolGradPlane[T float](dx, dy, x, y []T, g backend.PoolGeom) {
	clear(dx)
	eachWinner(x, y, g, func(i, at int) {
		if at >= 0 {
			dx[at] += dy[i]
		}
	})
}

// eachWinner calls f for the windows of a plane, in order: the place of the i-th's
// first maximum, of its last NaN if one has won, or -1.
func eachWinner[T number](x, y []T, g backend.PoolGeom, f func(i, at int)) {
	for p := range g.P {
		h := p*g.StrideH - g.PadH
		r0, r1 := inside(h, g.DilationH, g.KernelH, g.H)
		for q := range g.Q {
			w := q*g.StrideW - g.PadW
			s0, s1 := inside(w, g.DilationW, g.KernelW, g.W)
			best := y[p*g.Q+q]
			at := -1
		search:
			for r := r0; r < r1; r++ {
				row := (h+r*g.DilationH)*g.W + w
				for s := s0; s < s1; s++ {
					i := row + s*g.DilationW
					if v := x[i]; v == best {
						at = i
						break search
					} else if v != v {
						at = i
					}
				}
			}
			f(p*g.Q+q, at)
		}
	}
}

// MaxPool2dIndices writes where in its plane the first maximum of each window is;
// of several NaN the last counts, as in PyTorch.
func (be *Backend) MaxPool2dIndices(indices, x, y backend.Array, g backend.PoolGeom) {
	if be.half(func() { be.MaxPool2dIndices(indices, x, y, g) }, reads(&x), reads(&y)) {
		return
	}
	at := data[int64](indices)
	switch x.DType() {
	case backend.Float32:
		maxPoolIndices(at, data[float32](x), data[float32](y), g)
	case backend.Float64:
		maxPoolIndices(at, data[float64](x), data[float64](y), g)
	case backend.Int64:
		maxPoolIndices(at, data[int64](x), data[int64](y), g)
	default:
		maxPoolIndices(at, data[uint8](x), data[uint8](y), g)
	}
}

func maxPoolIndices[T number](indices []int64, x, y []T, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		to := plane(indices, i, g.P*g.Q)
		eachWinner(plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q), g, func(i, at int) { to[i] = int64(at) })
	})
}

// span is what the windows of average pooling cover along one dimension:
// elements lo to hi, to be divided by n.
type span struct{ lo, hi, n int }

// avgSpans returns the spans of average pooling along both dimensions.
func avgSpans(g backend.PoolGeom) (h, w []span) {
	along := func(size, count, kernel, stride, pad int) []span {
		spans := make([]span, count)
		for i := range spans {
			lo := i*stride - pad
			hi := min(lo+kernel, size+pad)
			n := hi - lo
			lo = min(max(lo, 0), size)
			hi = max(lo, min(hi, size))
			if g.ExcludePad {
				n = hi - lo
			}
			if g.Divisor != 0 {
				n = 1
			}
			spans[i] = span{lo, hi, max(n, 1)} // an empty window gives 0
		}
		return spans
	}
	h = along(g.H, g.P, g.KernelH, g.StrideH, g.PadH)
	w = along(g.W, g.Q, g.KernelW, g.StrideW, g.PadW)
	if g.Divisor != 0 {
		for i := range h {
			h[i].n = g.Divisor
		}
	}
	return h, w
}

// adaptiveSpans returns the spans of adaptive average pooling.
func adaptiveSpans(g backend.PoolGeom) (h, w []span) {
	along := func(size, count int) []span {
		spans := make([]span, count)
		for i := range spans {
			// In 64 bits: the product of two sizes may be larger than an int.
			lo, hi := int64(i)*int64(size)/int64(count), (int64(i+1)*int64(size)+int64(count)-1)/int64(count)
			spans[i] = span{int(lo), int(hi), int(max(hi-lo, 1))}
		}
		return spans
	}
	return along(g.H, g.P), along(g.W, g.Q)
}

// AvgPool2d takes the mean of each window.
func (be *Backend) AvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	if be.pieces(g.Planes, func(a []backend.Array, n int) { be.AvgPool2d(a[0], a[1], planes(g, n)) }, writes(&dst), reads(&x)) {
		return
	}
	if x.DType() == backend.Float32 {
		avgPool(data[float32](dst), data[float32](x), g)
	} else {
		avgPool(data[float64](dst), data[float64](x), g)
	}
}

func avgPool[T float](dst, x []T, g backend.PoolGeom) {
	switch {
	case len(dst) == 0:
	case pools1x1(g) && g.Divisor == 0:
		copyAll(dst, x)
	case pools2x2(g):
		eachPlane(g, func(i int) { avgPool2x2Plane(plane(dst, i, g.P*g.Q), plane(x, i, g.H*g.W), g) })
	default:
		h, w := avgSpans(g)
		means(dst, x, h, w, g)
	}
}

func avgPool2x2Plane[T float](dst, x []T, g backend.PoolGeom) {
	n := 4.0
	if g.Divisor != 0 {
		n = float64(g.Divisor)
	}
	for p := range g.P {
		out := dst[p*g.Q:][:g.Q]
		a, b := pairs(x[2*p*g.W:], g.Q), pairs(x[(2*p+1)*g.W:], g.Q)
		a, b = a[:len(out)], b[:len(out)]
		for q := range out {
			top := float64(a[q][0]) + float64(a[q][1])
			bottom := float64(b[q][0]) + float64(b[q][1])
			out[q] = T((top + bottom) / n)
		}
	}
}

// means computes the mean of each window h[p] × w[q] of each plane.
func means[T float](dst, x []T, h, w []span, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		dst, x := plane(dst, i, g.P*g.Q), plane(x, i, g.H*g.W)
		for p, h := range h {
			out := dst[p*g.Q:][:len(w)]
			for q, w := range w {
				sum := 0.0
				for r := h.lo; r < h.hi; r++ {
					for _, v := range x[r*g.W+w.lo : r*g.W+w.hi] {
						sum += float64(v)
					}
				}
				out[q] = T(sum / float64(h.n*w.n))
			}
		}
	})
}

// AvgPool2dGrad is AvgPool2d's gradient.
func (be *Backend) AvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	if be.pieces(g.Planes, func(a []backend.Array, n int) { be.AvgPool2dGrad(a[0], a[1], planes(g, n)) }, writes(&dx), reads(&dy)) {
		return
	}
	if dx.DType() == backend.Float32 {
		avgPoolGrad(data[float32](dx), data[float32](dy), g)
	} else {
		avgPoolGrad(data[float64](dx), data[float64](dy), g)
	}
}

func avgPoolGrad[T float](dx, dy []T, g backend.PoolGeom) {
	switch {
	case len(dy) == 0:
		clear(dx)
	case pools1x1(g) && g.Divisor == 0:
		copyAll(dx, dy)
	case pools2x2(g):
		eachPlane(g, func(i int) { avgPoolGrad2x2Plane(plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q), g) })
	default:
		h, w := avgSpans(g)
		spread(dx, dy, h, w, g)
	}
}

func avgPoolGrad2x2Plane[T float](dx, dy []T, g backend.PoolGeom) {
	if 2*g.P < g.H || 2*g.Q < g.W {
		clear(dx)
	}
	n := T(4)
	if g.Divisor != 0 {
		n = T(g.Divisor)
	}
	for p := range g.P {
		d := dy[p*g.Q:][:g.Q]
		a, b := pairs(dx[2*p*g.W:], g.Q), pairs(dx[(2*p+1)*g.W:], g.Q)
		a, b = a[:len(d)], b[:len(d)]
		for q := range d {
			v := d[q] / n
			a[q] = [2]T{v, v}
			b[q] = [2]T{v, v}
		}
	}
}

// spread is the gradient of means: it gives each window's dy to its elements in
// equal parts.
func spread[T float](dx, dy []T, h, w []span, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		dx, dy := plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q)
		clear(dx)
		for p, h := range h {
			d := dy[p*g.Q:][:len(w)]
			for q, w := range w {
				v := d[q] / T(h.n*w.n)
				for r := h.lo; r < h.hi; r++ {
					row := dx[r*g.W+w.lo : r*g.W+w.hi]
					for i := range row {
						row[i] += v
					}
				}
			}
		}
	})
}

// AdaptiveAvgPool2d takes means of windows that share the input evenly.
func (be *Backend) AdaptiveAvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	if be.half(func() { be.AdaptiveAvgPool2d(dst, x, g) }, writes(&dst), reads(&x)) {
		return
	}
	if x.DType() == backend.Float32 {
		adaptiveAvgPool(data[float32](dst), data[float32](x), g)
	} else {
		adaptiveAvgPool(data[float64](dst), data[float64](x), g)
	}
}

func adaptiveAvgPool[T float](dst, x []T, g backend.PoolGeom) {
	switch {
	case len(dst) == 0:
	case g.P == g.H && g.Q == g.W:
		copyAll(dst, x)
	default:
		h, w := adaptiveSpans(g)
		means(dst, x, h, w, g)
	}
}

// AdaptiveAvgPool2dGrad is AdaptiveAvgPool2d's gradient.
func (be *Backend) AdaptiveAvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	if be.half(func() { be.AdaptiveAvgPool2dGrad(dx, dy, g) }, writes(&dx), reads(&dy)) {
		return
	}
	if dx.DType() == backend.Float32 {
		adaptiveAvgPoolGrad(data[float32](dx), data[float32](dy), g)
	} else {
		adaptiveAvgPoolGrad(data[float64](dx), data[float64](dy), g)
	}
}

func adaptiveAvgPoolGrad[T float](dx, dy []T, g backend.PoolGeom) {
	switch {
	case len(dy) == 0:
		clear(dx)
	case g.P == g.H && g.Q == g.W:
		copyAll(dx, dy)
	default:
		h, w := adaptiveSpans(g)
		spread(dx, dy, h, w, g)
	}
}
