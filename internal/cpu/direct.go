package cpu

import "github.com/wick-ml/wick/internal/backend"

// Convolutions of 3×3 taps, stride 1 and so few channels that products of
// matrices would mostly pack them read the planes where they lie: a plane of the
// result is the sum over input channels of planes convolved with 3×3 weights.

// strip is some columns of a plane, one or two registers of them, and the plane
// that 3×3 taps read for them. Assembly knows the order of the fields.
type strip struct {
	rows           int // of dst
	dstRow, srcRow int // from one row to the next
	height         int // src's rows
	top, left      int // the row and the column, perhaps outside of src, that the first tap reads for dst's first element
	add            int // 1 to add to dst
	// masks of lanes: what each register (of two) loads for each column of taps, less what no column of dst needs;
	// and, last, the columns in dst's last register.
	masks [7]int

	wide bool // two registers
	col  int  // the first column of dst
	row  int  // the first row of dst, which is 0 but for gradients of weights
}

// stripRegister is the elements of a register that strips know.
const stripRegister = 16

// direct reports whether planes are convolved where they lie.
func direct(d backend.DType, g convGeom) bool {
	if d != backend.Float32 || current.taps.three == nil || g.Groups <= 0 || g.R != 3 || g.S != 3 || g.StrideH != 1 || g.StrideW != 1 ||
		g.DilationH != 1 || g.DilationW != 1 || g.N == 0 || min(g.H, g.W, g.Q) < 1 || min(g.H, g.P) < 3 ||
		max(g.H, g.P) > 1<<13 { // a call takes little time
		return false
	}
	c, k := g.C/g.Groups, g.K/g.Groups
	return min(c, k) >= 1 && (min(c, k) <= 4 || max(c, k) <= 8)
}

// strips cuts the p×q pixels that are convolved from h×w with a border of pad. add is that of all strips.
func strips(h, w, p, q, padH, padW, add int) []strip {
	var all []strip
	for col := 0; col < q; {
		s := strip{rows: p, dstRow: q, srcRow: w, height: h, top: -padH, left: col - padW, add: add, wide: q-col > stripRegister, col: col}
		registers := 1
		if s.wide {
			registers = 2
		}
		for i := range registers {
			for lane := range stripRegister {
				at := i*stripRegister + lane
				if col+at >= q {
					break
				}
				for tap := range 3 {
					if from := s.left + at + tap; from >= 0 && from < w {
						s.masks[3*i+tap] |= 1 << lane
					}
				}
				if i == registers-1 {
					s.masks[6] |= 1 << lane
				}
			}
		}
		all = append(all, s)
		col += registers * stripRegister
	}
	return all
}

// correlateDirect computes dst = Σ weights·src over count planes of src, whose weights are step apart. first and more
// are the strips of the first plane and of those that are added.
func correlateDirect(kn *tapKernels[float32], dst, src, weights []float32, first, more []strip, count, step int) {
	size := len(src) / count
	for i := range first {
		dst := dst[first[i].col:]
		kn.three(dst, src, weights, &first[i])
		for c := 1; c < count; c++ {
			kn.three(dst, src[c*size:], weights[c*step:], &more[i])
		}
	}
}

func (be *Backend) conv2dDirect(dst, x, w, scale, bias backend.Array, g convGeom) {
	y, in, weight, sc, b := data[float32](dst), data[float32](x), data[float32](w), data[float32](scale), data[float32](bias)
	first, more := strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 0), strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 1)
	kn, vec := current.taps, vectorOf[float32]()
	c, k := g.C/g.Groups, g.K/g.Groups
	parallel(g.N*g.K, directGrain(c, g), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			channel := i % g.K
			out := plane(y, i, g.P*g.Q)
			correlateDirect(kn, out, plane(in, i/g.K*g.Groups+channel/k, c*g.H*g.W), weight[channel*c*9:], first, more, c, 9)
			affine(vec, out, channel, sc, b, g.ReLU)
		}
	})
}

// directGrain is how many planes, each a sum over count, are worth a goroutine.
func directGrain(count int, g convGeom) int {
	return max(1, grain/(max(g.H*g.W, g.P*g.Q)*count))
}

// affine scales a channel's plane and adds a bias, where there are such, with ReLU if wanted.
func affine[T float](vec *vector[T], out []T, channel int, scale, bias []T, relu bool) {
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
		n := min(len(out), longest)
		vec.normalize(out, out, one(n), 0, times, plus, relu)
		out = out[n:]
	}
}

// conv2dInputGradDirect is a convolution with the taps turned by 180°.
func (be *Backend) conv2dInputGradDirect(dx, dy, w backend.Array, g convGeom) {
	in, out, weight := data[float32](dx), data[float32](dy), data[float32](w)
	first, more := strips(g.P, g.Q, g.H, g.W, 2-g.PadH, 2-g.PadW, 0), strips(g.P, g.Q, g.H, g.W, 2-g.PadH, 2-g.PadW, 1)
	kn := current.taps
	c, k := g.C/g.Groups, g.K/g.Groups
	scratch(be, len(weight), func(turned []float32) {
		for i, v := range weight {
			turned[i/9*9+8-i%9] = v
		}
		parallel(g.N*g.C, directGrain(k, g), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				group := i % g.C / c
				correlateDirect(kn, plane(in, i, g.H*g.W), plane(out, i/g.C*g.Groups+group, k*g.P*g.Q),
					turned[(group*k*c+i%c)*9:], first, more, k, c*9)
			}
		})
	})
}

// conv2dWeightGradDirect sums over some rows of an image in float32, and over those
// and the images in float64 in their order, in some parts of the batch that the
// number of images tells.
func (be *Backend) conv2dWeightGradDirect(dw, dy, x backend.Array, g convGeom) {
	const parts, mostRows = 16, 128
	weight, out, in := data[float32](dw), data[float32](dy), data[float32](x)
	var all []strip
	bands := ceil(g.P, mostRows)
	for _, s := range strips(g.H, g.W, g.P, g.Q, g.PadH, g.PadW, 0) {
		top := s.top
		for b := range bands {
			s.row = b * g.P / bands
			s.rows, s.top = (b+1)*g.P/bands-s.row, top+s.row
			all = append(all, s)
		}
	}
	kn := current.taps
	c, k := g.C/g.Groups, g.K/g.Groups
	each := (g.N + parts - 1) / parts
	count := (g.N + each - 1) / each
	block := min(g.K, max(1, directGrain(c, g)/each)) // channels that a unit of work passes through, image by image
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
							kn.threeDots(&some, dy[all[at].row*g.Q+all[at].col:], x, &all[at])
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
