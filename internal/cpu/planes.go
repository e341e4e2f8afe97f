package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Convolutions of 3×3 taps, stride 1 and so few channels that products of
// matrices would mostly pack them read the planes where they lie: a plane of the
// result is the sum over input channels of planes convolved with 3×3 weights.

// planesServe reports whether planes of float32 numbers are convolved where they lie.
func planesServe(g convGeom) bool {
	if kernels.Current.Taps.Three == nil || g.Groups <= 0 || g.R != 3 || g.S != 3 || g.StrideH != 1 || g.StrideW != 1 ||
		g.DilationH != 1 || g.DilationW != 1 || g.N == 0 || min(g.H, g.W, g.Q) < 1 || min(g.H, g.P) < 3 ||
		max(g.H, g.P) > 1<<13 { // a call takes little time
		return false
	}
	c, k := g.C/g.Groups, g.K/g.Groups
	return min(c, k) >= 1 && (min(c, k) <= 4 || max(c, k) <= 8)
}

// planesConv convolves planes where they lie.
type planesConv struct {
	be *Backend
	g  convGeom
}

func (pc *planesConv) name() string { return "planes" }

// correlatePlanes computes dst = Σ weights·src over count planes of src, whose weights are step apart. first and more
// are the strips of the first plane and of those that are added.
func correlatePlanes(kn *kernels.Taps[float32], dst, src, weights []float32, first, more []kernels.Strip, count, step int) {
	size := len(src) / count
	for i := range first {
		dst := dst[first[i].Col:]
		kn.Three(dst, src, weights, &first[i])
		for c := 1; c < count; c++ {
			kn.Three(dst, src[c*size:], weights[c*step:], &more[i])
		}
	}
}

func (pc *planesConv) forward(dst, x, w, scale, bias backend.Array) {
	g := pc.g
	y, in, weight, sc, b := data[float32](dst), data[float32](x), data[float32](w), data[float32](scale), data[float32](bias)
	first, more := kernels.Strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 0), kernels.Strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 1)
	kn, vec := kernels.Current.Taps, kernels.VectorOf[float32]()
	c, k := g.C/g.Groups, g.K/g.Groups
	parallel(g.N*g.K, planesGrain(c, g), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			channel := i % g.K
			out := plane(y, i, g.P*g.Q)
			correlatePlanes(kn, out, plane(in, i/g.K*g.Groups+channel/k, c*g.H*g.W), weight[channel*c*9:], first, more, c, 9)
			affine(vec, out, channel, sc, b, g.ReLU)
		}
	})
}

// planesGrain is how many planes, each a sum over count, are worth a goroutine.
func planesGrain(count int, g convGeom) int {
	return max(1, grain/(max(g.H*g.W, g.P*g.Q)*count))
}

// affine scales a channel's plane and adds a bias, where there are such, with ReLU if wanted.
func affine[T kernels.Float](vec *kernels.Vector[T], out []T, channel int, scale, bias []T, relu bool) {
	if scale == nil && bias == nil && !relu {
		return
	}
	times, plus := T(1), T(0)
	if scale != nil {
		times = scale[channel]
	}
	if bias != nil {
		plus = bias[channel]
	}
	for len(out) > 0 {
		n := min(len(out), kernels.Longest)
		vec.Normalize(out, out, one(n), 0, times, plus, relu)
		out = out[n:]
	}
}

// inputGrad is a convolution with the taps turned by 180°.
func (pc *planesConv) inputGrad(dx, dy, w backend.Array) {
	be, g := pc.be, pc.g
	in, out, weight := data[float32](dx), data[float32](dy), data[float32](w)
	first, more := kernels.Strips(g.P, g.Q, g.H, g.W, 2-g.PadH, 2-g.PadW, 0), kernels.Strips(g.P, g.Q, g.H, g.W, 2-g.PadH, 2-g.PadW, 1)
	kn := kernels.Current.Taps
	c, k := g.C/g.Groups, g.K/g.Groups
	scratch(be, len(weight), func(turned []float32) {
		for i, v := range weight {
			turned[i/9*9+8-i%9] = v
		}
		parallel(g.N*g.C, planesGrain(k, g), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				group := i % g.C / c
				correlatePlanes(kn, plane(in, i, g.H*g.W), plane(out, i/g.C*g.Groups+group, k*g.P*g.Q),
					turned[(group*k*c+i%c)*9:], first, more, k, c*9)
			}
		})
	})
}

// weightGrad sums over some rows of an image in float32, and over those
// and the images in float64 in their order, in some parts of the batch that the
// number of images tells.
func (pc *planesConv) weightGrad(dw, dy, x backend.Array) {
	be, g := pc.be, pc.g
	const parts, mostRows = 16, 128
	weight, out, in := data[float32](dw), data[float32](dy), data[float32](x)
	var all []kernels.Strip
	bands := kernels.Ceil(g.P, mostRows)
	for _, s := range kernels.Strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 0) {
		top := s.Top
		for b := range bands {
			s.Row = b * g.P / bands
			s.Rows, s.Top = (b+1)*g.P/bands-s.Row, top+s.Row
			all = append(all, s)
		}
	}
	kn := kernels.Current.Taps
	c, k := g.C/g.Groups, g.K/g.Groups
	each := (g.N + parts - 1) / parts
	count := (g.N + each - 1) / each
	block := min(g.K, max(1, planesGrain(c, g)/each)) // channels that a unit of work passes through, image by image
	blocks := (g.K + block - 1) / block
	scratch(be, count*len(weight), func(sums []float64) {
		parallel(count*blocks, 1, func(lo, hi int) {
			var some [9]float32
			for i := lo; i < hi; i++ {
				part, from := i/blocks, i%blocks*block
				to := min(from+block, g.K)
				sums := plane(sums, part, len(weight))
				clear(sums[from*c*9 : to*c*9])
				for n := part * each; n < min(g.N, (part+1)*each); n++ {
					for j := from * c; j < to*c; j++ {
						dy := plane(out, n*g.K+j/c, g.P*g.Q)
						x := plane(in, n*g.C+j/c/k*c+j%c, g.H*g.W)
						for at := range all {
							kn.ThreeDots(&some, dy[all[at].Row*g.Q+all[at].Col:], x, &all[at])
							for t, v := range some {
								sums[j*9+t] += float64(v)
							}
						}
					}
				}
			}
		})
		for i := range weight {
			sum := 0.0
			for part := range count {
				sum += sums[part*len(weight)+i]
			}
			weight[i] = float32(sum)
		}
	})
}
