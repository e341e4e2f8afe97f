package cpu

import "github.com/wick-ml/wick/internal/backend"

// depthwise reports whether each output channel sees one input channel, and an
// input channel so few output channels that a matrix product does not pay.
func depthwise(g backend.ConvGeom) bool {
	return g.Groups > 0 && g.C == g.Groups && g.K%g.C == 0 && g.K/g.C >= 1 && g.K/g.C <= 4 && g.N > 0 &&
		g.P > 0 && g.Q > 0 && g.H > 0 && g.W > 0 && g.R > 0 && g.S > 0 &&
		g.R*g.S > 1 && // a scale is left to others
		g.StrideH*g.StrideW <= 16 // what is staged is about as large as a plane
}

// depthwiseGrain is how many planes are worth a goroutine.
func depthwiseGrain(g backend.ConvGeom) int { return max(1, grain/max(1, g.H*g.W, g.P*g.Q)) }

func conv2dDepthwise[T float](be *Backend, dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	y, in, weight, sc, b := data[T](dst), data[T](x), data[T](w), data[T](scale), data[T](bias)
	s := staging{h: g.H, w: g.W, p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	s.init()
	kn, vec := tapsOf[T](), vectorOf[T]()
	geom := s.geom()
	k, taps, pixels := g.K/g.C, g.R*g.S, g.P*g.Q
	parallel(g.N*g.C, depthwiseGrain(g), func(lo, hi int) {
		scratch(be, s.size+beyond, func(staged []T) {
			clear(staged)
			for i := lo; i < hi; i++ {
				stage(kn, &s, staged, plane(in, i, g.H*g.W))
				for j := range k {
					channel := i%g.C*k + j
					out, ws := plane(y, i*k+j, pixels), weight[channel*taps:][:taps]
					geom.bands(func(dst, src int, g *tapGeom) { kn.correlate(out[dst:], staged[src:], ws, g) })
					if sc == nil && b == nil && !g.ReLU {
						continue
					}
					times, plus := T(1), T(0)
					if sc != nil {
						times = sc[channel]
					}
					if b != nil {
						plus = b[channel]
					}
					for len(out) > 0 {
						n := min(len(out), longest)
						vec.normalize(out, out, one(n), 0, times, plus, g.ReLU)
						out = out[n:]
					}
				}
			}
		})
	})
}

// conv2dInputGradDepthwise computes the pixels of one residue modulo the strides
// at a time, as conv2dInputGrad does.
func conv2dInputGradDepthwise[T float](be *Backend, dx, dy, w backend.Array, g backend.ConvGeom) {
	in, out, weight := data[T](dx), data[T](dy), data[T](w)
	k, taps := g.K/g.C, g.R*g.S
	kn := tapsOf[T]()
	type residue struct {
		staging
		a, b   int
		places []int // of the taps in the weight
	}
	var residues []residue
	size := 0
	for a := range min(g.StrideH, g.H) {
		for b := range min(g.StrideW, g.W) {
			r := residue{a: a, b: b, staging: staging{h: g.P, w: g.Q, strideH: 1, strideW: 1,
				p: (g.H - a + g.StrideH - 1) / g.StrideH, q: (g.W - b + g.StrideW - 1) / g.StrideW}}
			for i := range taps {
				h, w := a+g.PadH-i/g.S*g.DilationH, b+g.PadW-i%g.S*g.DilationW
				if h%g.StrideH == 0 && w%g.StrideW == 0 {
					r.taps = append(r.taps, tap{h: h / g.StrideH, w: w / g.StrideW})
					r.places = append(r.places, i)
				}
			}
			r.init()
			// The taps of further output channels read further staged planes.
			one := len(r.offsets)
			for j := 1; j < k; j++ {
				for i := range one {
					r.offsets = append(r.offsets, j*r.size+r.offsets[i])
					r.places = append(r.places, j*taps+r.places[i])
				}
			}
			size = max(size, r.size)
			residues = append(residues, r)
		}
	}
	whole := g.StrideH == 1 && g.StrideW == 1
	parallel(g.N*g.C, depthwiseGrain(g), func(lo, hi int) {
		scratch(be, k*size+beyond+k*taps+g.H*g.W, func(staged []T) {
			weights := staged[k*size+beyond:][:k*taps]
			part := staged[len(staged)-g.H*g.W:]
			for ri := range residues {
				r := &residues[ri]
				clear(staged[:k*size+beyond])
				weights := weights[:len(r.places)]
				geom := r.geom()
				for i := lo; i < hi; i++ {
					for j := range k {
						stage(kn, &r.staging, staged[j*r.size:], plane(out, i*k+j, g.P*g.Q))
					}
					for t, place := range r.places {
						weights[t] = weight[i%g.C*k*taps+place]
					}
					dx := plane(in, i, g.H*g.W)
					grads := part
					if whole {
						grads = dx
					}
					geom.bands(func(dst, src int, g *tapGeom) { kn.correlate(grads[dst:], staged[src:], weights, g) })
					if whole {
						continue
					}
					for p := range r.p {
						row := dx[(r.a+p*g.StrideH)*g.W+r.b:]
						for q, v := range grads[p*r.q:][:r.q] {
							row[q*g.StrideW] = v
						}
					}
				}
			}
		})
	})
}

// conv2dWeightGradDepthwise sums over each image in T, and over the images in
// float64 in their order.
func conv2dWeightGradDepthwise[T float](be *Backend, dw, dy, x backend.Array, g backend.ConvGeom) {
	weight, out, in := data[T](dw), data[T](dy), data[T](x)
	s := staging{h: g.H, w: g.W, p: g.P, q: g.Q, strideH: g.StrideH, strideW: g.StrideW, taps: forwardTaps(g)}
	s.init()
	kn := tapsOf[T]()
	geom := s.geom()
	k, taps := g.K/g.C, g.R*g.S
	scratch(be, g.N*g.K*taps, func(sums []float64) {
		parallel(g.N*g.C, depthwiseGrain(g), func(lo, hi int) {
			scratch(be, s.size+beyond, func(staged []T) {
				clear(staged)
				for i := lo; i < hi; i++ {
					stage(kn, &s, staged, plane(in, i, g.H*g.W))
					for j := range k {
						sums, dy := plane(sums, i*k+j, taps), plane(out, i*k+j, g.P*g.Q)
						clear(sums)
						geom.bands(func(dst, src int, g *tapGeom) { kn.dots(sums, dy[dst:], staged[src:], g) })
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
