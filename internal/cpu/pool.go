package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// poolGeom is the geometry of pooling over two dimensions, of Planes planes of H×W
// into P×Q.
type poolGeom struct {
	Planes               int
	H, W, P, Q           int
	KernelH, KernelW     int
	StrideH, StrideW     int
	PadH, PadW           int
	DilationH, DilationW int
	ExcludePad           bool
	Divisor              int
}

// joined takes windows that are one element deep for those of more planes.
func joined(g backend.PoolGeom) backend.PoolGeom {
	if g.Kernel[0] <= 1 && g.Pad[0] == 0 && g.In[0] == g.Out[0] {
		g.Planes *= g.In[0]
		g.In[0], g.Out[0], g.Stride[0], g.Dilation[0] = 1, 1, 1, 1
	}
	return g
}

// flatPool returns a geometry over two dimensions, and whether it is one.
func flatPool(g backend.PoolGeom) (poolGeom, bool) {
	return poolGeom{
		Planes: g.Planes, H: g.In[1], W: g.In[2], P: g.Out[1], Q: g.Out[2], KernelH: g.Kernel[1], KernelW: g.Kernel[2],
		StrideH: g.Stride[1], StrideW: g.Stride[2], PadH: g.Pad[1], PadW: g.Pad[2], DilationH: g.Dilation[1], DilationW: g.Dilation[2],
		ExcludePad: g.ExcludePad, Divisor: g.Divisor,
	}, g.In[0] == 1 && g.Out[0] == 1 && g.Kernel[0] <= 1
}

// deep is the geometry as one over three dimensions.
func (g poolGeom) deep() backend.PoolGeom {
	return backend.PoolGeom{
		Planes: g.Planes, In: [3]int{1, g.H, g.W}, Out: [3]int{1, g.P, g.Q}, Kernel: [3]int{1, g.KernelH, g.KernelW},
		Stride: [3]int{1, g.StrideH, g.StrideW}, Pad: [3]int{0, g.PadH, g.PadW}, Dilation: [3]int{1, g.DilationH, g.DilationW},
		ExcludePad: g.ExcludePad, Divisor: g.Divisor,
	}
}

// volume returns the elements of a plane or volume.
func volume(size [3]int) int { return size[0] * size[1] * size[2] }

// eachPlane calls f in parallel for all planes.
func eachPlane(g backend.PoolGeom, f func(plane int)) {
	parallel(g.Planes, grain/max(1, volume(g.In), volume(g.Out)), func(lo, hi int) {
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
func pools2x2(g poolGeom) bool {
	return g.KernelH == 2 && g.KernelW == 2 && g.StrideH == 2 && g.StrideW == 2 && g.PadH == 0 && g.PadW == 0 &&
		g.DilationH <= 1 && g.DilationW <= 1 && 2*g.P <= g.H && 2*g.Q <= g.W
}

// pools3x3 reports whether the windows are 3×3, two apart, with a border of one
// around the input.
func pools3x3(g poolGeom) bool {
	return g.KernelH == 3 && g.KernelW == 3 && g.StrideH == 2 && g.StrideW == 2 && g.PadH == 1 && g.PadW == 1 &&
		g.DilationH <= 1 && g.DilationW <= 1 && g.P == (g.H+1)/2 && g.Q == (g.W+1)/2 && 2*g.W <= kernels.Longest
}

// eachThird calls f for the rows of windows of pools3x3, in order: n rows from p
// on, few enough for one call of a kernel. The rows of the input before the first
// and behind the last do not exist.
func eachThird(g poolGeom, f func(p, n int)) {
	f(0, 1)
	inner := max(0, g.H/2-1) // rows of windows that lie inside of the input
	count := kernels.Longest / (2 * g.W)
	for p := 0; p < inner; p += count {
		f(1+p, min(count, inner-p))
	}
	if 1+inner < g.P {
		f(1+inner, 1)
	}
}

func maxPool3x3Plane[T kernels.Float](kn *kernels.Vector[T], dst, x []T, g poolGeom) {
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
		nan = kn.MaxPool3x3(dst[p*g.Q:], a, b, c, n, g.W, g.Q) || nan
	})
	if nan {
		maxPoolPlane(dst, x, g.deep(), T(math.Inf(-1)))
	}
}

// maxPoolGrad3x3Plane reads none for rows that do not exist, and writes theirs to
// waste.
func maxPoolGrad3x3Plane[T kernels.Float](kn *kernels.Vector[T], dx, dy, x, y, none, waste []T, g poolGeom) {
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
		nan = kn.MaxPoolGrad3x3(da, db, dc, a, b, c, dy[p*g.Q:], y[p*g.Q:], n, g.W, g.Q) || nan
	})
	if nan {
		maxPoolGradPlane(dx, dy, x, y, g.deep())
	}
}

// copies reports whether each window is one element and no element is left out.
func copies(g backend.PoolGeom) bool {
	return g.Kernel == [3]int{1, 1, 1} && g.Pad == [3]int{} && g.In == g.Out // so that it stays where it is
}

func copyAll[T any](dst, src []T) {
	parallel(len(dst), grain, func(lo, hi int) { copy(dst[lo:hi], src[lo:hi]) })
}

// MaxPool takes the maximum of each window.
func (be *Backend) MaxPool(dst, x backend.Array, g backend.PoolGeom) {
	g = joined(g)
	if kn := loopsBF16(dst, x); kn != nil {
		if flat, ok := flatPool(g); ok && pools2x2(flat) {
			maxPool2x2(kn, data[uint16](dst), data[uint16](x), flat)
			return
		}
	}
	if someHalf(dst, x) {
		dst, x, g := dst, x, g
		be.pieces(g.Planes, func(a []backend.Array, n int) { be.MaxPool(a[0], a[1], planes(g, n)) }, writes(&dst), reads(&x))
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

func maxPoolPlanes[T kernels.Number](dst, x []T, g backend.PoolGeom, lowest T) {
	eachPlane(g, func(i int) { maxPoolPlane(plane(dst, i, volume(g.Out)), plane(x, i, volume(g.In)), g, lowest) })
}

func maxPool[T kernels.Float](be *Backend, dst, x []T, all backend.PoolGeom) {
	if len(dst) == 0 {
		return
	}
	if copies(all) {
		copyAll(dst, x)
		return
	}
	g, ok := flatPool(all)
	if ok && pools2x2(g) {
		maxPool2x2(&kernels.VectorOf[T]().Loops, dst, x, g)
		return
	}
	if kn := kernels.VectorOf[T](); ok && kn.MaxPool3x3 != nil && pools3x3(g) {
		eachPlane(all, func(i int) { maxPool3x3Plane(kn, plane(dst, i, g.P*g.Q), plane(x, i, g.H*g.W), g) })
		return
	}
	if !ok || !pays(g) {
		maxPoolPlanes(dst, x, all, T(math.Inf(-1)))
		return
	}
	kn, s := tapsOf[T](), poolStaging(g)
	geom := s.geom()
	parallel(g.Planes, grain/max(1, g.H*g.W, g.P*g.Q), func(lo, hi int) {
		scratch(be, s.size+kernels.TapsBeyond, func(staged []T) {
			setAll(staged, T(math.Inf(-1)))
			for i := lo; i < hi; i++ {
				stage(kn, &s, staged, plane(x, i, g.H*g.W))
				out := plane(dst, i, g.P*g.Q)
				geom.Bands(8*kernels.Longest, func(dst, src int, g *kernels.TapGeom) { kn.Largest(out[dst:], staged[src:], g) })
			}
		})
	})
}

func maxPool2x2[S any, T kernels.Float](kn *kernels.Loops[S, T], dst, x []S, g poolGeom) {
	eachRows(g, func(row, pooled, n int) { kn.MaxPool2x2(dst[pooled:], x[row:], n, g.W, g.Q) })
}

// pays reports whether max pooling pays on staged planes: they are about as large
// as the planes, whatever the padding, and places in them fit an int32.
func pays(g poolGeom) bool {
	return g.StrideH*g.StrideW <= 16 && g.StrideH <= g.KernelH && g.StrideW <= g.KernelW && g.H*g.W < math.MaxInt32/2 &&
		stageable(g.H, g.W, g.P, g.Q, g.StrideH, g.StrideW, max(1, g.DilationH)*(g.KernelH-1), max(1, g.DilationW)*(g.KernelW-1))
}

func setAll[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// poolStaging is how planes are staged for pooling.
func poolStaging(g poolGeom) staging {
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
func eachRows(g poolGeom, f func(row, pooled, n int)) {
	if g.H == 2*g.P { // planes join
		parallel(g.Planes*g.P, max(1, grain/max(1, 2*g.W)), func(lo, hi int) { f(2*lo*g.W, lo*g.Q, hi-lo) })
		return
	}
	count := max(1, kernels.Longest/max(1, 2*g.W))
	eachPlane(g.deep(), func(i int) {
		for p := 0; p < g.P; p += count {
			f(i*g.H*g.W+2*p*g.W, (i*g.P+p)*g.Q, min(count, g.P-p))
		}
	})
}

// maxPoolPlane takes the kernel's positions one by one, each for a whole row of
// the result, so that padding costs nothing inside the loop.
func maxPoolPlane[T kernels.Number](dst, x []T, g backend.PoolGeom, lowest T) {
	w, q, stride, pad, dilation := g.In[2], g.Out[2], g.Stride[2], g.Pad[2], g.Dilation[2]
	// The positions s of the kernel that lie in the input for some column.
	s0 := max(0, (pad-(q-1)*stride+dilation-1)/max(dilation, 1))
	s1 := min(g.Kernel[2], (w-1+pad)/max(dilation, 1)+1)
	eachRowOfWindows(g, func(out int, rows []int) {
		to := dst[out:][:q]
		for i := range to {
			to[i] = lowest
		}
		for _, row := range rows {
			row := x[row:][:w]
			for s := s0; s < s1; s++ {
				at := s*dilation - pad
				lo, hi := inside(at, stride, q, w)
				part := to[min(lo, hi):hi]
				if len(part) == 0 {
					continue
				}
				for i, k := 0, lo*stride+at; i < len(part); i, k = i+1, k+stride {
					part[i] = max(part[i], row[k])
				}
			}
		}
	})
}

// eachRowOfWindows calls f for the rows of a plane of the result, in order: the
// place of the first element, and those of the input's rows that its windows read.
func eachRowOfWindows(g backend.PoolGeom, f func(out int, rows []int)) {
	var rows []int
	for o := range g.Out[0] {
		depth := o*g.Stride[0] - g.Pad[0]
		t0, t1 := inside(depth, g.Dilation[0], g.Kernel[0], g.In[0])
		for p := range g.Out[1] {
			height := p*g.Stride[1] - g.Pad[1]
			r0, r1 := inside(height, g.Dilation[1], g.Kernel[1], g.In[1])
			rows = rows[:0]
			for t := t0; t < t1; t++ {
				for r := r0; r < r1; r++ {
					rows = append(rows, ((depth+t*g.Dilation[0])*g.In[1]+height+r*g.Dilation[1])*g.In[2])
				}
			}
			f((o*g.Out[1]+p)*g.Out[2], rows)
		}
	}
}

// MaxPoolGrad gives dy to the first maximum of each window; of several NaN the
// last gets it, as in PyTorch.
func (be *Backend) MaxPoolGrad(dx, dy, x, y backend.Array, g backend.PoolGeom) {
	g = joined(g)
	if kn := loopsBF16(dx, dy, x, y); kn != nil {
		if flat, ok := flatPool(g); ok && pools2x2(flat) {
			maxPoolGrad2x2(kn, data[uint16](dx), data[uint16](dy), data[uint16](x), data[uint16](y), flat)
			return
		}
	}
	if someHalf(dx, dy, x, y) {
		dx, dy, x, y, g := dx, dy, x, y, g
		be.pieces(g.Planes, func(a []backend.Array, n int) { be.MaxPoolGrad(a[0], a[1], a[2], a[3], planes(g, n)) }, writes(&dx), reads(&dy), reads(&x), reads(&y))
		return
	}
	if x.DType() == backend.Float32 {
		maxPoolGrad(be, data[float32](dx), data[float32](dy), data[float32](x), data[float32](y), g)
	} else {
		maxPoolGrad(be, data[float64](dx), data[float64](dy), data[float64](x), data[float64](y), g)
	}
}

func maxPoolGrad[T kernels.Float](be *Backend, dx, dy, x, y []T, all backend.PoolGeom) {
	if len(dy) == 0 {
		clear(dx)
		return
	}
	if copies(all) {
		copyAll(dx, dy)
		return
	}
	g, ok := flatPool(all)
	if ok && pools2x2(g) {
		maxPoolGrad2x2(&kernels.VectorOf[T]().Loops, dx, dy, x, y, g)
		return
	}
	if kn := kernels.VectorOf[T](); ok && kn.MaxPoolGrad3x3 != nil && pools3x3(g) {
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
	if !ok || !pays(g) {
		in, out := volume(all.In), volume(all.Out)
		eachPlane(all, func(i int) {
			maxPoolGradPlane(plane(dx, i, in), plane(dy, i, out), plane(x, i, in), plane(y, i, out), all)
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
			scratch(be, s.size+kernels.TapsBeyond, func(staged []T) {
				setAll(staged, T(math.NaN())) // is no maximum
				for i := lo; i < hi; i++ {
					dx, dy := plane(dx, i, g.H*g.W), plane(dy, i, g.P*g.Q)
					x, y := plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q)
					stage(kn, &s, staged, x)
					nan := false
					geom.Bands(8*kernels.Longest, func(dst, src int, g *kernels.TapGeom) {
						nan = kn.Places(places[dst:], staged[src:], y[dst:], marks, g) || nan
					})
					if nan {
						maxPoolGradPlane(dx, dy, x, y, all)
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

func maxPoolGrad2x2[S any, T kernels.Float](kn *kernels.Loops[S, T], dx, dy, x, y []S, g poolGeom) {
	if 2*g.P < g.H || 2*g.Q < g.W {
		parallel(len(dx), grain, func(lo, hi int) { clear(dx[lo:hi]) })
	}
	eachRows(g, func(row, pooled, n int) { kn.MaxPoolGrad2x2(dx[row:], dy[pooled:], x[row:], y[pooled:], n, g.W, g.Q) })
}

func maxPoolGradPlane[T kernels.Float](dx, dy, x, y []T, g backend.PoolGeom) {
	clear(dx)
	eachWinner(x, y, g, func(i, at int) {
		if at >= 0 {
			dx[at] += dy[i]
		}
	})
}

// eachWinner calls f for the windows of a plane, in order: the place of the i-th's
// first maximum, of its last NaN if one has won, or -1.
func eachWinner[T kernels.Number](x, y []T, g backend.PoolGeom, f func(i, at int)) {
	count, stride, pad, dilation, kernel, width := g.Out[2], g.Stride[2], g.Pad[2], g.Dilation[2], g.Kernel[2], g.In[2]
	eachRowOfWindows(g, func(out int, rows []int) {
		for q := range count {
			w := q*stride - pad
			s0, s1 := inside(w, dilation, kernel, width)
			best := y[out+q]
			at := -1
		search:
			for _, row := range rows {
				row += w
				for s := s0; s < s1; s++ {
					i := row + s*dilation
					if v := x[i]; v == best {
						at = i
						break search
					} else if v != v {
						at = i
					}
				}
			}
			f(out+q, at)
		}
	})
}

// MaxPoolIndices writes where in its plane or volume the first maximum of each
// window is; of several NaN the last counts, as in PyTorch.
func (be *Backend) MaxPoolIndices(indices, x, y backend.Array, g backend.PoolGeom) {
	if someHalf(x, y) {
		x, y, g := x, y, g
		be.half(func() { be.MaxPoolIndices(indices, x, y, g) }, reads(&x), reads(&y))
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

func maxPoolIndices[T kernels.Number](indices []int64, x, y []T, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		to := plane(indices, i, volume(g.Out))
		eachWinner(plane(x, i, volume(g.In)), plane(y, i, volume(g.Out)), g, func(i, at int) { to[i] = int64(at) })
	})
}

// span is what the windows of average pooling cover along one dimension:
// elements lo to hi, to be divided by n.
type span struct{ lo, hi, n int }

// avgSpans returns the spans of average pooling along each dimension.
func avgSpans(g backend.PoolGeom) (spans [3][]span) {
	for d := range spans {
		spans[d] = make([]span, g.Out[d])
		for i := range spans[d] {
			lo := i*g.Stride[d] - g.Pad[d]
			hi := min(lo+g.Kernel[d], g.In[d]+g.Pad[d])
			n := hi - lo
			lo = min(max(lo, 0), g.In[d])
			hi = max(lo, min(hi, g.In[d]))
			if g.ExcludePad {
				n = hi - lo
			}
			if g.Divisor != 0 {
				n = 1
			}
			spans[d][i] = span{lo, hi, max(n, 1)} // an empty window gives 0
		}
	}
	if g.Divisor != 0 {
		for i := range spans[0] {
			spans[0][i].n = g.Divisor
		}
	}
	return spans
}

// adaptiveSpans returns the spans of adaptive average pooling.
func adaptiveSpans(g backend.PoolGeom) (spans [3][]span) {
	for d := range spans {
		spans[d] = make([]span, g.Out[d])
		for i := range spans[d] {
			// In 64 bits: the product of two sizes may be larger than an int.
			size, count := int64(g.In[d]), int64(g.Out[d])
			lo, hi := int64(i)*size/count, (int64(i+1)*size+count-1)/count
			spans[d][i] = span{int(lo), int(hi), int(max(hi-lo, 1))}
		}
	}
	return spans
}

// AvgPool takes the mean of each window.
func (be *Backend) AvgPool(dst, x backend.Array, g backend.PoolGeom) {
	g = joined(g)
	if someHalf(dst, x) {
		dst, x, g := dst, x, g
		be.pieces(g.Planes, func(a []backend.Array, n int) { be.AvgPool(a[0], a[1], planes(g, n)) }, writes(&dst), reads(&x))
		return
	}
	if x.DType() == backend.Float32 {
		avgPool(data[float32](dst), data[float32](x), g)
	} else {
		avgPool(data[float64](dst), data[float64](x), g)
	}
}

func avgPool[T kernels.Float](dst, x []T, g backend.PoolGeom) {
	flat, ok := flatPool(g)
	switch {
	case len(dst) == 0:
	case copies(g) && g.Divisor == 0:
		copyAll(dst, x)
	case ok && pools2x2(flat):
		eachPlane(g, func(i int) { avgPool2x2Plane(plane(dst, i, volume(g.Out)), plane(x, i, volume(g.In)), flat) })
	default:
		means(dst, x, avgSpans(g), g)
	}
}

func avgPool2x2Plane[T kernels.Float](dst, x []T, g poolGeom) {
	n := 4.0
	if g.Divisor != 0 {
		n = float64(g.Divisor)
	}
	for p := range g.P {
		out := dst[p*g.Q:][:g.Q]
		a, b := kernels.Pairs(x[2*p*g.W:], g.Q), kernels.Pairs(x[(2*p+1)*g.W:], g.Q)
		a, b = a[:len(out)], b[:len(out)]
		for q := range out {
			top := float64(a[q][0]) + float64(a[q][1])
			bottom := float64(b[q][0]) + float64(b[q][1])
			out[q] = T((top + bottom) / n)
		}
	}
}

// means computes the mean of each window of each plane.
func means[T kernels.Float](dst, x []T, spans [3][]span, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		dst, x := plane(dst, i, volume(g.Out)), plane(x, i, volume(g.In))
		columns := spans[2]
		eachRowOfSpans(spans, g.In, func(o, n int, rows []int) {
			out := dst[o:][:len(columns)]
			for q, w := range columns {
				sum := 0.0
				for _, row := range rows {
					for _, v := range x[row+w.lo : row+w.hi] {
						sum += float64(v)
					}
				}
				out[q] = T(sum / float64(n*w.n))
			}
		})
	})
}

// eachRowOfSpans calls f for the rows of a plane of the result: the place of the
// first element, what its depth and height count, and the places of the input's rows
// that its windows read.
func eachRowOfSpans(spans [3][]span, in [3]int, f func(out, n int, rows []int)) {
	var rows []int
	for o, d := range spans[0] {
		for p, h := range spans[1] {
			rows = rows[:0]
			for t := d.lo; t < d.hi; t++ {
				for r := h.lo; r < h.hi; r++ {
					rows = append(rows, (t*in[1]+r)*in[2])
				}
			}
			f((o*len(spans[1])+p)*len(spans[2]), d.n*h.n, rows)
		}
	}
}

// AvgPoolGrad is AvgPool's gradient.
func (be *Backend) AvgPoolGrad(dx, dy backend.Array, g backend.PoolGeom) {
	g = joined(g)
	if someHalf(dx, dy) {
		dx, dy, g := dx, dy, g
		be.pieces(g.Planes, func(a []backend.Array, n int) { be.AvgPoolGrad(a[0], a[1], planes(g, n)) }, writes(&dx), reads(&dy))
		return
	}
	if dx.DType() == backend.Float32 {
		avgPoolGrad(data[float32](dx), data[float32](dy), g)
	} else {
		avgPoolGrad(data[float64](dx), data[float64](dy), g)
	}
}

func avgPoolGrad[T kernels.Float](dx, dy []T, g backend.PoolGeom) {
	flat, ok := flatPool(g)
	switch {
	case len(dy) == 0:
		clear(dx)
	case copies(g) && g.Divisor == 0:
		copyAll(dx, dy)
	case ok && pools2x2(flat):
		eachPlane(g, func(i int) { avgPoolGrad2x2Plane(plane(dx, i, volume(g.In)), plane(dy, i, volume(g.Out)), flat) })
	default:
		spread(dx, dy, avgSpans(g), g)
	}
}

func avgPoolGrad2x2Plane[T kernels.Float](dx, dy []T, g poolGeom) {
	if 2*g.P < g.H || 2*g.Q < g.W {
		clear(dx)
	}
	n := T(4)
	if g.Divisor != 0 {
		n = T(g.Divisor)
	}
	for p := range g.P {
		d := dy[p*g.Q:][:g.Q]
		a, b := kernels.Pairs(dx[2*p*g.W:], g.Q), kernels.Pairs(dx[(2*p+1)*g.W:], g.Q)
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
func spread[T kernels.Float](dx, dy []T, spans [3][]span, g backend.PoolGeom) {
	eachPlane(g, func(i int) {
		dx, dy := plane(dx, i, volume(g.In)), plane(dy, i, volume(g.Out))
		clear(dx)
		columns := spans[2]
		eachRowOfSpans(spans, g.In, func(o, n int, rows []int) {
			d := dy[o:][:len(columns)]
			for q, w := range columns {
				v := d[q] / T(n*w.n)
				for _, row := range rows {
					row := dx[row+w.lo : row+w.hi]
					for i := range row {
						row[i] += v
					}
				}
			}
		})
	})
}

// AdaptiveAvgPool takes means of windows that share the input evenly.
func (be *Backend) AdaptiveAvgPool(dst, x backend.Array, g backend.PoolGeom) {
	if someHalf(dst, x) {
		dst, x, g := dst, x, g
		be.half(func() { be.AdaptiveAvgPool(dst, x, g) }, writes(&dst), reads(&x))
		return
	}
	if x.DType() == backend.Float32 {
		adaptiveAvgPool(data[float32](dst), data[float32](x), joined(g))
	} else {
		adaptiveAvgPool(data[float64](dst), data[float64](x), joined(g))
	}
}

func adaptiveAvgPool[T kernels.Float](dst, x []T, g backend.PoolGeom) {
	switch {
	case len(dst) == 0:
	case g.In == g.Out:
		copyAll(dst, x)
	default:
		means(dst, x, adaptiveSpans(g), g)
	}
}

// AdaptiveAvgPoolGrad is AdaptiveAvgPool's gradient.
func (be *Backend) AdaptiveAvgPoolGrad(dx, dy backend.Array, g backend.PoolGeom) {
	if someHalf(dx, dy) {
		dx, dy, g := dx, dy, g
		be.half(func() { be.AdaptiveAvgPoolGrad(dx, dy, g) }, writes(&dx), reads(&dy))
		return
	}
	if dx.DType() == backend.Float32 {
		adaptiveAvgPoolGrad(data[float32](dx), data[float32](dy), joined(g))
	} else {
		adaptiveAvgPoolGrad(data[float64](dx), data[float64](dy), joined(g))
	}
}

func adaptiveAvgPoolGrad[T kernels.Float](dx, dy []T, g backend.PoolGeom) {
	switch {
	case len(dy) == 0:
		clear(dx)
	case g.In == g.Out:
		copyAll(dx, dy)
	default:
		spread(dx, dy, adaptiveSpans(g), g)
	}
}
