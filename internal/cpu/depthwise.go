package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// depthwise reports whether each output channel sees one input channel, and an
// input channel so few output channels that a matrix product does not pay.
func depthwise(g convGeom) bool {
	return g.Groups > 0 && g.C == g.Groups && g.K%g.C == 0 && g.K/g.C >= 1 && g.K/g.C <= 4 && g.N > 0 &&
		g.P > 0 && g.Q > 0 && g.H > 0 && g.W > 0 && g.R > 0 && g.S > 0 &&
		g.R*g.S > 1 && // a scale is left to others
		g.R*g.S <= mostTaps &&
		g.PadH <= 2*g.DilationH*g.R && g.PadW <= 2*g.DilationW*g.S && // what lies farther out is not staged
		g.StrideH*g.StrideW <= 16 && stageable(g.H, g.W, g.P, g.Q, g.StrideH, g.StrideW, g.DilationH*(g.R-1), g.DilationW*(g.S-1))
}

// mostTaps is how many products the loops over taps add up in one number of float32.
const mostTaps = 1 << 10

// depthwiseGrain is how many planes are worth a goroutine.
func depthwiseGrain(g convGeom) int { return max(1, grain/max(1, g.H*g.W, g.P*g.Q)) }

// depthwiseConv convolves each plane on its own.
type depthwiseConv[T kernels.Float] struct{ productConv[T] }

func (c *depthwiseConv[T]) name() string { return "depthwise" }

func (c *depthwiseConv[T]) forward(dst, x, w, scale, bias backend.Array) {
	conv2dDepthwise[T](c.be, dst, x, w, scale, bias, c.g)
}

func (c *depthwiseConv[T]) weightGrad(dw, dy, x backend.Array) {
	conv2dWeightGradDepthwise[T](c.be, dw, dy, x, c.g)
}

func conv2dDepthwise[T kernels.Float](be *Backend, dst, x, w, scale, bias backend.Array, g convGeom) {
	y, in, weight, sc, b := data[T](dst), data[T](x), data[T](w), data[T](scale), data[T](bias)
	s := staging{h: g.H, w: g.W, p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	s.init()
	kn, vec := tapsOf[T](), kernels.VectorOf[T]()
	geom := s.geom()
	k, taps, pixels := g.K/g.C, g.R*g.S, g.P*g.Q
	parallel(g.N*g.C, depthwiseGrain(g), func(lo, hi int) {
		scratch(be, s.size+kernels.TapsBeyond, func(staged []T) {
			clear(staged)
			for i := lo; i < hi; i++ {
				stage(kn, &s, staged, plane(in, i, g.H*g.W))
				for j := range k {
					channel := i%g.C*k + j
					out, ws := plane(y, i*k+j, pixels), weight[channel*taps:][:taps]
					geom.Bands(8*kernels.Longest, func(dst, src int, g *kernels.TapGeom) { kn.Correlate(out[dst:], staged[src:], ws, g) })
					affine(vec, out, channel, sc, b, g.ReLU)
				}
			}
		})
	})
}

// fewInputs reports whether groups have so few input channels that a matrix product for the input's gradient would
// mostly fill up its panels, and so few output channels that what is staged of them stays in the second cache.
func fewInputs(g convGeom) bool {
	if depthwise(g) {
		return true
	}
	if g.Groups <= 0 || g.K < g.Groups || g.N == 0 || min(g.H, g.W, g.P, g.Q) < 1 || g.R*g.S <= 1 || g.R*g.S > mostTaps {
		return false
	}
	c, k := g.C/g.Groups, g.K/g.Groups
	staged := float64(k) * (float64(g.P) + float64(g.R*g.DilationH)) * (float64(g.Q) + float64(g.S*g.DilationW))
	return c >= 1 && c <= 3 && staged <= 1<<18 && float64(k)*float64(g.R*g.S)*float64(g.W) <= 1<<20
}

// fewInputsConv computes the input's gradient plane by plane.
type fewInputsConv[T kernels.Float] struct{ productConv[T] }

func (c *fewInputsConv[T]) name() string { return "few inputs" }

func (c *fewInputsConv[T]) inputGrad(dx, dy, w backend.Array) {
	conv2dInputGradFew[T](c.be, dx, dy, w, c.g)
}

// conv2dInputGradFew computes the pixels of one residue modulo the strides
// at a time, as conv2dInputGrad does.
func conv2dInputGradFew[T kernels.Float](be *Backend, dx, dy, w backend.Array, g convGeom) {
	in, out, weight := data[T](dx), data[T](dy), data[T](w)
	c, k, taps := g.C/g.Groups, g.K/g.Groups, g.R*g.S
	kn := tapsOf[T]()
	type grid struct { // of one residue along both dimensions
		a, b   int
		places []int // of the taps in the weight, of k output channels
		geom   kernels.TapGeom
	}
	var parts []grid
	s := staging{h: g.P, w: g.Q, strideH: 1, strideW: 1, p: kernels.Ceil(g.H, g.StrideH), q: kernels.Ceil(g.W, g.StrideW)}
	alongH, alongW, all := residues(g)
	for _, ra := range alongH {
		for _, rb := range alongW {
			r := grid{a: ra.at, b: rb.at}
			for _, i := range ra.taps {
				for _, j := range rb.taps {
					s.taps = append(s.taps, tap{h: (ra.at + g.PadH - i*g.DilationH) / g.StrideH, w: (rb.at + g.PadW - j*g.DilationW) / g.StrideW})
					r.places = append(r.places, i*g.S+j)
				}
			}
			parts = append(parts, r)
		}
	}
	s.init()
	offsets := s.offsets
	for i := range parts {
		r := &parts[i]
		r.geom = s.geom()
		r.geom.Rows, r.geom.N = kernels.Ceil(g.H-r.a, g.StrideH), kernels.Ceil(g.W-r.b, g.StrideW)
		r.geom.DstRow = r.geom.N
		// The taps of further output channels read further staged planes.
		one := len(r.places)
		r.geom.Offsets = nil
		for j := range k {
			for t := range one {
				r.geom.Offsets = append(r.geom.Offsets, j*s.size+offsets[t])
				if j > 0 {
					r.places = append(r.places, j*c*taps+r.places[t])
				}
			}
		}
		offsets = offsets[one:]
	}
	whole, pixels := g.StrideH == 1 && g.StrideW == 1, 0
	if !whole {
		pixels = s.p * s.q // of a residue
	}
	parallel(g.N*g.Groups, max(1, depthwiseGrain(g)/(c*k)), func(lo, hi int) {
		scratch(be, k*s.size+kernels.TapsBeyond+k*taps+pixels, func(staged []T) {
			weights := staged[k*s.size+kernels.TapsBeyond:][:k*taps]
			part := staged[len(staged)-pixels:]
			clear(staged[:k*s.size+kernels.TapsBeyond])
			for i := lo; i < hi; i++ {
				for j := range k {
					stage(kn, &s, staged[j*s.size:], plane(out, i*k+j, g.P*g.Q))
				}
				for ci := range c {
					dx := plane(in, i*c+ci, g.H*g.W)
					if !all {
						clear(dx)
					}
					for ri := range parts {
						r := &parts[ri]
						for t, place := range r.places {
							weights[t] = weight[(i%g.Groups*k*c+ci)*taps+place]
						}
						grads := part
						if whole {
							grads = dx
						}
						r.geom.Bands(8*kernels.Longest, func(dst, src int, g *kernels.TapGeom) { kn.Correlate(grads[dst:], staged[src:], weights, g) })
						if whole {
							continue
						}
						for p := range r.geom.Rows {
							row := dx[(r.a+p*g.StrideH)*g.W+r.b:]
							for q, v := range grads[p*r.geom.N:][:r.geom.N] {
								row[q*g.StrideW] = v
							}
						}
					}
				}
			}
		})
	})
}

// conv2dWeightGradDepthwise sums over each image in T, and over the images in
// float64 in their order.
func conv2dWeightGradDepthwise[T kernels.Float](be *Backend, dw, dy, x backend.Array, g convGeom) {
	weight, out, in := data[T](dw), data[T](dy), data[T](x)
	s := staging{h: g.H, w: g.W, p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	s.init()
	kn := tapsOf[T]()
	geom := s.geom()
	k, taps := g.K/g.C, g.R*g.S
	scratch(be, g.N*g.K*taps, func(sums []float64) {
		parallel(g.N*g.C, depthwiseGrain(g), func(lo, hi int) {
			scratch(be, s.size+kernels.TapsBeyond, func(staged []T) {
				clear(staged)
				for i := lo; i < hi; i++ {
					stage(kn, &s, staged, plane(in, i, g.H*g.W))
					for j := range k {
						sums, dy := plane(sums, i*k+j, taps), plane(out, i*k+j, g.P*g.Q)
						clear(sums)
						geom.Bands(taps<<12, func(dst, src int, g *kernels.TapGeom) { kn.Dots(sums, dy[dst:], staged[src:], g) })
					}
				}
			})
		})
		for i := range weight {
			sum := 0.0
			for n := range g.N {
				sum += sums[n*len(weight)+i]
			}
			weight[i] = T(sum)
		}
	})
}
