package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// A convolution over three dimensions is one over two with more channels: the
// planes of the input that a plane of the result is made from become channels, T
// of each for T taps along the depth, in the order in which the weight has them
// anyway. So all algorithms for two dimensions serve, and a sum is one product's.
// The gradient of the input is made likewise from the planes of the result, for
// each residue of the depth modulo the stride, with a weight in their order.

// gathered is how many elements are gathered at a time, unless one plane of the result is made from more.
const gathered = 1 << 22

// sheets is planes of volumes of channels × depth planes of size elements. A unit is one entry of from, of one image; its
// planes are, for each channel, those at from + at, which are zeros where there are none.
type sheets struct {
	channels, depth, size int
	from, at              []int
}

// len returns the elements of a unit.
func (s *sheets) len() int { return s.channels * len(s.at) * s.size }

// each calls f in parallel for the planes of the units [u, u+n): where the i-th of them lies in the volumes, or -1.
func (s *sheets) each(u, n int, f func(i, place int)) {
	taps := len(s.at)
	parallel(n*s.channels*taps, max(1, grain/max(1, s.size)), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			unit, c := u+i/(s.channels*taps), i/taps%s.channels
			place := -1
			if d := s.from[unit%len(s.from)] + s.at[i%taps]; d >= 0 && d < s.depth {
				place = ((unit/len(s.from)*s.channels+c)*s.depth + d) * s.size
			}
			f(i, place)
		}
	})
}

// gather copies the planes of the units [u, u+n) of src side by side.
func (s *sheets) gather(dst, src backend.Array, u, n int) {
	switch dst.DType().Size() {
	case 2:
		gatherPlanes(s, data[uint16](dst), data[uint16](src), u, n)
	case 4:
		gatherPlanes(s, data[float32](dst), data[float32](src), u, n)
	default:
		gatherPlanes(s, data[float64](dst), data[float64](src), u, n)
	}
}

func gatherPlanes[T any](s *sheets, dst, src []T, u, n int) {
	s.each(u, n, func(i, place int) {
		if to := plane(dst, i, s.size); place < 0 {
			clear(to)
		} else {
			copy(to, src[place:])
		}
	})
}

// scatter copies them back.
func (s *sheets) scatter(dst, src backend.Array, u, n int) {
	switch dst.DType().Size() {
	case 2:
		scatterPlanes(s, data[uint16](dst), data[uint16](src), u, n)
	case 4:
		scatterPlanes(s, data[float32](dst), data[float32](src), u, n)
	default:
		scatterPlanes(s, data[float64](dst), data[float64](src), u, n)
	}
}

func scatterPlanes[T any](s *sheets, dst, src []T, u, n int) {
	s.each(u, n, func(i, place int) { copy(dst[place:], plane(src, i, s.size)) })
}

// every returns n numbers from start on.
func every(start, step, n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = start + i*step
	}
	return s
}

// depths returns the sheets of a convolution's input and of its result, and the taps of the depth that read something.
func depths(g backend.ConvGeom) (in, out sheets, taps []int) {
	in = sheets{channels: g.C, depth: g.In[0], size: g.In[1] * g.In[2], from: every(0, g.Stride[0], g.Out[0])}
	out = sheets{channels: g.K, depth: g.Out[0], size: g.Out[1] * g.Out[2], from: every(0, 1, g.Out[0]), at: []int{0}}
	for t := range g.Kernel[0] {
		at := t*g.Dilation[0] - g.Pad[0]
		if lo, hi := inside(at, g.Stride[0], g.Out[0], g.In[0]); lo < hi {
			taps, in.at = append(taps, t), append(in.at, at)
		}
	}
	return in, out, taps
}

// eachUnits calls f for all units, n from u on at a time, with room for their planes.
func (be *Backend) eachUnits(all int, a, b *sheets, t backend.DType, f func(u, n int, a, b backend.Array)) {
	some := max(1, min(all, gathered/max(a.len(), b.len())))
	be.room(t, some*a.len(), func(ra backend.Array) {
		be.room(t, some*b.len(), func(rb backend.Array) {
			for u := 0; u < all; u += some {
				n := min(some, all-u)
				ra.Len, rb.Len = n*a.len(), n*b.len()
				f(u, n, ra, rb)
			}
		})
	})
}

// room calls f with an array of n elements.
func (be *Backend) room(t backend.DType, n int, f func(a backend.Array)) {
	a := backend.Array{Buffer: be.NewBuffer(t, n), Len: n}
	defer be.Free(a.Buffer)
	f(a)
}

// flat is the geometry over two dimensions of n units of so many taps.
func flat(g backend.ConvGeom, n, taps int) convGeom {
	plane := planeOf(g)
	plane.N, plane.C = n, g.C*taps
	return plane
}

// tapSheets is those of a weight's volumes that taps take: one for each of its pairs of channels.
func tapSheets(g backend.ConvGeom, taps []int) sheets {
	return sheets{channels: 1, depth: g.Kernel[0], size: g.Kernel[1] * g.Kernel[2], from: []int{0}, at: taps}
}

func (be *Backend) convDeep(dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	in, out, taps := depths(g)
	if dst.Len == 0 || x.Len == 0 || w.Len == 0 || len(taps) == 0 {
		be.sumsOfNothing(dst, bias, g.N, g.K, g.ReLU)
		return
	}
	convolve := func(w backend.Array) {
		be.eachUnits(g.N*g.Out[0], &in, &out, x.DType(), func(u, n int, xs, ys backend.Array) {
			in.gather(xs, x, u, n)
			be.conv(ys, xs, w, scale, bias, flat(g, n, len(taps)))
			out.scatter(dst, ys, u, n)
		})
	}
	if len(taps) == g.Kernel[0] {
		convolve(w)
		return
	}
	some, pairs := tapSheets(g, taps), g.K*(g.C/g.Groups)
	be.room(w.DType(), pairs*some.len(), func(part backend.Array) {
		some.gather(part, w, 0, pairs)
		convolve(part)
	})
}

func (be *Backend) convInputGradDeep(dx, dy, w backend.Array, g backend.ConvGeom) {
	if dx.Len == 0 || dy.Len == 0 || w.Len == 0 {
		be.Fill(dx, 0)
		return
	}
	type part struct {
		in, out, weight sheets
	}
	var parts []part
	all := residuesOf(g.Kernel[0], g.Dilation[0], g.Pad[0], g.Stride[0], g.In[0])
	for _, r := range all {
		count := kernels.Ceil(g.In[0]-r.at, g.Stride[0])
		p := part{
			in:     sheets{channels: g.C, depth: g.In[0], size: g.In[1] * g.In[2], from: every(r.at, g.Stride[0], count), at: []int{0}},
			out:    sheets{channels: g.K, depth: g.Out[0], size: g.Out[1] * g.Out[2], from: every(0, 1, count)},
			weight: sheets{channels: g.C / g.Groups, depth: g.Kernel[0], size: g.Kernel[1] * g.Kernel[2], at: []int{0}},
		}
		for _, t := range r.taps {
			if at := (r.at + g.Pad[0] - t*g.Dilation[0]) / g.Stride[0]; at < g.Out[0] && at+count > 0 {
				p.out.at, p.weight.from = append(p.out.at, at), append(p.weight.from, t)
			}
		}
		if len(p.out.at) > 0 {
			parts = append(parts, p)
		}
	}
	if len(parts) < min(g.Stride[0], g.In[0]) {
		be.Fill(dx, 0)
	}
	for i := range parts {
		p := &parts[i]
		taps := len(p.out.at)
		be.room(w.DType(), g.K*taps*p.weight.len(), func(turned backend.Array) {
			p.weight.gather(turned, w, 0, g.K*taps)
			be.eachUnits(g.N*len(p.in.from), &p.in, &p.out, dy.DType(), func(u, n int, xs, ys backend.Array) {
				p.out.gather(ys, dy, u, n)
				part := flat(g, n, 1)
				part.K *= taps
				be.convInputGrad(xs, ys, turned, part)
				p.in.scatter(dx, xs, u, n)
			})
		})
	}
}

// convWeightGradDeep sums over what is gathered at a time as convolutions over two dimensions do, and those sums in float64.
func (be *Backend) convWeightGradDeep(dw, dy, x backend.Array, g backend.ConvGeom) {
	in, out, taps := depths(g)
	if dw.Len == 0 || dy.Len == 0 || x.Len == 0 || len(taps) == 0 {
		be.Fill(dw, 0)
		return
	}
	wide := dw.DType()
	if wide.IsHalf() {
		wide = backend.Float32
	}
	some, pairs := tapSheets(g, taps), g.K*(g.C/g.Groups)
	n := pairs * some.len()
	be.room(backend.Float64, n, func(sum backend.Array) {
		be.Fill(sum, 0)
		be.room(wide, n, func(part backend.Array) {
			be.room(backend.Float64, n, func(more backend.Array) {
				be.eachUnits(g.N*g.Out[0], &in, &out, x.DType(), func(u, n int, xs, ys backend.Array) {
					in.gather(xs, x, u, n)
					out.gather(ys, dy, u, n)
					be.convWeightGrad(part, ys, xs, flat(g, n, len(taps)))
					be.Copy(more, part)
					be.Binary(sum, sum, more, backend.Add, backend.BinaryGeom{})
				})
			})
		})
		if len(taps) == g.Kernel[0] {
			be.Copy(dw, sum)
			return
		}
		be.Fill(dw, 0)
		be.room(dw.DType(), n, func(part backend.Array) {
			be.Copy(part, sum)
			some.scatter(dw, part, 0, pairs)
		})
	})
}
