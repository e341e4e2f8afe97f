package cpu

// Convolutions of bfloat16 numbers on matrix tiles, with stride 1: sums of products of 32×32 numbers, without unfolding. What is
// staged is laid so that a tap is a distance.
//
// Forward, and for the gradient of the input, which is a convolution of the output's gradient with the kernels turned by 180 degrees:
// a product's rows are output channels and its columns places; pairs of input channels, 32 of which make the depth of a
// tile, lie in planes. There are two ways to lay planes:
//
//   - Maps lie row by row, with a gap of zeros behind each row that serves both the row before it and the one behind, and rows of zeros between
//     images. Then the tile for a tap is that of the first tap, a fixed distance farther, and what is computed for places in gaps
//     is not used.
//   - Small maps of many images: each pixel with 32 images in a row. Taps outside of the map are left out.
//
// For the gradient of the weight, which is summed over places, rows are input channels and columns output channels, for each tap. The
// gradient of the output lies by pairs of neighbouring places, with zeros in the gaps, the input as it is.
//
// The sums are float32. An infinity in the input or the weights may arrive as NaN, also where it meets padding.

import (
	"math"
	"runtime"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

const (
	tileUnit   = 1 << 11 // steps of a call, which stay below 200 µs
	tileLanes  = 32      // images of a row of small maps
	tilePieces = 8       // of the images, whose weight gradients are summed apart
	tileStage  = 1 << 20 // bytes of small maps that are staged together at most: half of the second cache

)

// oddLines returns a number of bytes, at least n, that is an odd number of cache lines: rows that far apart do not meet in a set of
// the cache.
func oddLines(n int) int { return (kernels.Ceil(n, 64) | 1) * 64 }

// tileConv is a convolution on tiles: of n images of c channels by weights for k, for one group.
type tileConv struct {
	be         *Backend
	ops        *kernels.AMX
	n, c, k    int
	groups     int
	h, w, p, q int // of the input and of the output
	padH, padW int
	dilH, dilW int
	r, s       int // of the weight
	turned     bool
	relu       bool

	images int // that are staged together
	lanes  bool
	pitch  int // from one row of a map to the next, in places
	plane  int // from one plane to the next, in bytes
}

// tileConvOf readies a pass of a convolution of bfloat16 numbers, or of float32 numbers that may be rounded to them, or returns nil
// where it is not for tiles: a rule of the shape.
func (be *Backend) tileConvOf(g convGeom, p pass) *tileConv {
	if kernels.Current.AMX == nil || be.precision != backend.Medium || g.StrideH != 1 || g.StrideW != 1 ||
		min(g.N, g.P, g.Q, g.H, g.W, g.R, g.S, g.C, g.K) == 0 || g.C/g.Groups%16 != 0 || g.K/g.Groups%16 != 0 ||
		g.PadH > (g.R-1)*g.DilationH || g.PadW > (g.S-1)*g.DilationW ||
		!stageable(g.H, g.W, g.P, g.Q, 1, 1, (g.R-1)*g.DilationH, (g.S-1)*g.DilationW) {
		return nil
	}
	tc := &tileConv{be: be, ops: kernels.Current.AMX, groups: g.Groups, n: g.N, c: g.C / g.Groups, k: g.K / g.Groups, h: g.H, w: g.W, p: g.P, q: g.Q,
		padH: g.PadH, padW: g.PadW, dilH: g.DilationH, dilW: g.DilationW, r: g.R, s: g.S, relu: g.ReLU && p == forward, turned: p == inputGrad}
	if p == inputGrad {
		tc.c, tc.k = tc.k, tc.c
		tc.h, tc.w, tc.p, tc.q = tc.p, tc.q, tc.h, tc.w
		tc.padH, tc.padW = (g.R-1)*g.DilationH-g.PadH, (g.S-1)*g.DilationW-g.PadW
	}
	// Small maps of many images lie image by image, unless the images that are missing cost more than the gaps.
	square := func(pixels, channels int) bool { return pixels%16 == 0 || pixels == 4 && channels%8 == 0 }
	if square(tc.h*tc.w, tc.c) && square(tc.p*tc.q, tc.k) && tc.n%2 == 0 && 2*tc.c*tc.h*tc.w*tileLanes <= tileStage &&
		kernels.Ceil(tc.n, tileLanes)*tileLanes*tc.p*tc.q < tc.n*(tc.h+tc.padH)*(tc.w+tc.padW) {
		tc.lanes = true
		return tc
	}
	if p == weightGrad && (tc.q%2 != 0 || tc.p*tc.q < 32) {
		return nil
	}
	return tc
}

func (tc *tileConv) name() string { return "amx" }

func (tc *tileConv) forward(dst, x, w, scale, bias backend.Array) {
	tc.convolve(floatsOf(dst), floatsOf(x), floatsOf(w), floatsOf(scale), floatsOf(bias))
}

func (tc *tileConv) inputGrad(dx, dy, w backend.Array) {
	tc.convolve(floatsOf(dx), floatsOf(dy), floatsOf(w), kernels.Floats{}, kernels.Floats{})
}

func (tc *tileConv) weightGrad(dw, dy, x backend.Array) {
	tc.gradOfWeight(floatsOf(dw), floatsOf(dy), floatsOf(x))
}

// taps returns the number of taps.
func (tc *tileConv) taps() int { return tc.r * tc.s }

// tap returns how far tap t reaches down and to the right of the first.
func (tc *tileConv) tap(t int) (h, w int) { return t / tc.s * tc.dilH, t % tc.s * tc.dilW }

// halfOf returns the elements of an array as bfloat16, rounded in scratch memory if they are float32.
func (tc *tileConv) halfOf(f kernels.Floats, use func(s []uint16)) {
	if f.Half != nil {
		use(f.Half)
		return
	}
	scratch(tc.be, len(f.Wide), func(s []uint16) {
		parallel(len(s), grain, func(lo, hi int) { kernels.Current.Half.NarrowBF16(s[lo:hi], f.Wide[lo:hi]) })
		use(s)
	})
}

// packed returns the number of words of the packed weights of a block of 32 output channels.
func (tc *tileConv) packed() int {
	return kernels.Ceil(tc.c, kernels.AMXSide) * tc.taps() * kernels.AMXTileBytes / 2
}

// packWeight packs the weights of 32 output channels from k0 on for each group of 32 input channels and each tap: a row for
// each output channel.
func (tc *tileConv) packWeight(dst, weight []uint16, k0 int) {
	taps := tc.taps()
	lane, row := taps, tc.c*taps // from one input channel, or output channel, to the next
	if tc.turned {
		lane, row = tc.k*taps, taps
	}
	clear(dst)
	for c := 0; c < tc.c; c += kernels.AMXSide {
		group := dst[c*taps*kernels.AMXSide:]
		first, step := 0, kernels.AMXTileBytes
		if tc.turned {
			first, step = (taps-1)*kernels.AMXSide*kernels.AMXSide, -kernels.AMXTileBytes
		}
		rows, channels := min(kernels.AMXSide, tc.k-k0), min(kernels.AMXSide, tc.c-c)
		if taps > 1 && channels == kernels.AMXSide {
			tc.ops.Gather(group[first:], weight[k0*row+c*lane:], 2*lane, taps, rows, 2*row, step)
			continue
		}
		for i := range rows {
			for t := range taps {
				to := group[first+t*step/2+i*kernels.AMXSide:][:channels]
				for j := range to {
					to[j] = weight[(k0+i)*row+(c+j)*lane+t]
				}
			}
		}
	}
}

// convolve computes the convolution of x, with scale, bias and ReLU where there are such. How many units there are depends on the
// number of cores; no sum does.
func (tc *tileConv) convolve(y, x, weight, scale, bias kernels.Floats) {
	tc.lay()
	blocks := kernels.Ceil(tc.k, kernels.AMXSide)
	groups := kernels.Ceil(tc.n, tc.images)
	parts := min(blocks, kernels.Ceil(2*runtime.GOMAXPROCS(0), groups))
	each := kernels.Ceil(blocks, parts)
	steps, list := tc.steps()
	geom := kernels.AMXGeom{StrideA: 2 * kernels.AMXSide, StrideB: tc.plane, StrideC: tc.row()}
	tc.halfOf(x, func(x []uint16) {
		tc.halfOf(weight, func(weight []uint16) {
			scratch(tc.be, blocks*tc.packed(), func(packed []uint16) {
				for g := range tc.groups {
					parallel(blocks, 1, func(lo, hi int) {
						for i := lo; i < hi; i++ {
							tc.packWeight(packed[i*tc.packed():][:tc.packed()], weight[g*tc.k*tc.c*tc.taps():], i*kernels.AMXSide)
						}
					})
					parallel(groups*parts, max(1, groups*parts/(4*runtime.GOMAXPROCS(0))), func(lo, hi int) {
						tc.space(func(u *tileUnitSpace) {
							for i := lo; i < hi; i++ {
								n := i / parts * tc.images
								tc.stage(u, x, g, n)
								for j := i % parts * each; j < min((i%parts+1)*each, blocks); j++ {
									runTiles(tc.ops, 1, list, steps, packed[j*tc.packed():], kernels.WordsOf(u.staged), u.sums, &geom)
									tc.store(u, y, scale, bias, g, n, j*kernels.AMXSide)
								}
							}
						})
					})
				}
			})
		})
	})
}

// tileUnitSpace is what a unit of work needs: images as they are staged, and the sums of all places for 32 output channels.
type tileUnitSpace struct {
	staged []uint32
	sums   []float32
}

// lay decides how many images are staged together and how they lie.
func (tc *tileConv) lay() {
	if tc.lanes {
		tc.images = tileLanes
		tc.plane = oddLines(4 * tc.h * tc.w * tileLanes)
		return
	}
	tc.pitch = tc.w + tc.padW
	rows := tc.h + tc.padH
	// A whole number of blocks of places, as nearly as can be, in a stage that is not too large for the second cache.
	const most = tileStage / 4
	waste := math.Inf(1)
	for n := 1; n <= min(tc.n, 8); n++ {
		places := kernels.Ceil(n*rows*tc.pitch, kernels.AMXSide) * kernels.AMXSide
		if n > 1 && places*tc.c*2 > most {
			break
		}
		if w := float64(places) / float64(n*tc.p*tc.q); w < waste-.01 {
			waste, tc.images = w, n
		}
	}
	reachH, reachW := tc.tap(tc.taps() - 1)
	tc.plane = oddLines(4 * (kernels.Ceil(tc.places(tc.images), kernels.AMXSide)*kernels.AMXSide + reachH*tc.pitch + reachW))
}

// places returns the number of places of n images, those in gaps among them.
func (tc *tileConv) places(n int) int {
	if tc.lanes {
		return tc.p * tc.q * tileLanes
	}
	return ((n-1)*(tc.h+tc.padH) + tc.p) * tc.pitch
}

// row returns the bytes from one row of sums, all places of a channel, to the next.
func (tc *tileConv) row() int {
	return oddLines(4 * kernels.Ceil(tc.places(tc.images), kernels.AMXSide) * kernels.AMXSide)
}

// steps lists the steps of sums, and the blocks of places.
func (tc *tileConv) steps() (steps []kernels.AMXStep, blocks []kernels.AMXBlock) {
	taps := tc.taps()
	groups := kernels.Ceil(tc.c, kernels.AMXSide)
	step := func(group, t, at int) {
		steps = append(steps, kernels.AMXStep{A: (group*taps + t) * kernels.AMXTileBytes, B: group*kernels.AMXSide/2*tc.plane + at})
	}
	if !tc.lanes {
		for group := range groups {
			for t := range taps {
				h, w := tc.tap(t)
				step(group, t, 4*(h*tc.pitch+w))
			}
		}
		for i := 0; i < tc.places(tc.images); i += kernels.AMXSide {
			blocks = append(blocks, kernels.AMXBlock{B: 4 * i, C: 4 * i, Steps: len(steps)})
		}
		return steps, blocks
	}
	for i := range tc.p * tc.q {
		first := len(steps)
		for group := range groups {
			for t := range taps {
				h, w := tc.tap(t)
				h, w = h+i/tc.q-tc.padH, w+i%tc.q-tc.padW
				if h >= 0 && h < tc.h && w >= 0 && w < tc.w {
					step(group, t, 4*(h*tc.w+w)*tileLanes)
				}
			}
		}
		blocks = append(blocks, kernels.AMXBlock{C: 4 * i * tileLanes, First: first, Steps: len(steps) - first})
	}
	return append(steps, kernels.AMXStep{}), blocks // it is never empty
}

// space lends memory for a unit of work, zeros where images are staged.
func (tc *tileConv) space(f func(u *tileUnitSpace)) {
	scratch(tc.be, kernels.Ceil(tc.c, kernels.AMXSide)*kernels.AMXSide/2*tc.plane/4, func(staged []uint32) {
		if !tc.lanes || tc.c%kernels.AMXSide != 0 {
			clear(staged)
		}
		scratch(tc.be, kernels.AMXSide*tc.row()/4, func(sums []float32) { f(&tileUnitSpace{staged, sums}) })
	})
}

// runTiles computes blocks of sums of products of numbers of count parts, a few in each call.
func runTiles(ops *kernels.AMX, count int, blocks []kernels.AMXBlock, steps []kernels.AMXStep, a, b []uint16, c []float32, g *kernels.AMXGeom) {
	parts := &ops.Parts[count-1]
	unit := tileUnit / parts.Work
	for len(blocks) > 0 {
		if whole := blocks[0]; whole.Steps > unit {
			part, more := whole, *g
			for ; whole.Steps > 0; whole.First, whole.Steps, more.Add = whole.First+unit, whole.Steps-unit, 1 {
				part.First, part.Steps = whole.First, min(whole.Steps, unit)
				parts.Sums([]kernels.AMXBlock{part}, steps, a, b, c, &more)
			}
			blocks = blocks[1:]
			continue
		}
		n, work := 0, 0
		for n < len(blocks) && (n == 0 || work+blocks[n].Steps <= unit) {
			work += blocks[n].Steps
			n++
		}
		parts.Sums(blocks[:n], steps, a, b, c, g)
		blocks = blocks[n:]
	}
}

// stage lays the images from n on, of group g.
func (tc *tileConv) stage(u *tileUnitSpace, x []uint16, g, n int) {
	pixels := tc.h * tc.w
	image := tc.groups * tc.c * pixels // from one image to the next
	x = x[g*tc.c*pixels:]
	if !tc.lanes {
		lead := tc.padH*tc.pitch + tc.padW
		for i := range min(tc.images, tc.n-n) {
			for c := 0; c < tc.c; c += 2 {
				from := x[(n+i)*image+c*pixels:]
				tc.ops.PairRows(u.staged[c/2*tc.plane/4+lead+i*(tc.h+tc.padH)*tc.pitch:], from, from[pixels:], tc.h, tc.w, tc.pitch)
			}
		}
		return
	}
	var from, to [16]int
	for half := 0; half < tileLanes; half += 16 {
		for i := range from {
			from[i] = 2 * image * min(n+half+i, tc.n-1)
		}
		dst := u.staged[half:]
		if pixels == 4 {
			for j := range to {
				to[j] = j/4*tc.plane + j%4*4*tileLanes
			}
			tc.ops.PairTurn(dst, &to, x, &from, 32, &kernels.AMXPairOrder4, tc.c/8, 4*tc.plane, 64)
			continue
		}
		for j := range to {
			to[j] = j * 4 * tileLanes
		}
		for i := 0; i < pixels; i += 16 {
			tc.ops.PairTurn(dst[i*tileLanes:], &to, x[i:], &from, 2*pixels, &kernels.AMXPairOrder, tc.c/2, tc.plane, 4*pixels)
		}
	}
}

// store writes the sums of 32 output channels from k0 on, of the images from n on.
func (tc *tileConv) store(u *tileUnitSpace, y, scale, bias kernels.Floats, g, n, k0 int) {
	pixels := tc.p * tc.q
	channels := min(kernels.AMXSide, tc.k-k0)
	k0 += g * tc.k
	affine := func(k int) (factor, summand float32) {
		factor = 1
		if !scale.None() {
			factor = scale.At(k0 + k)
		}
		if !bias.None() {
			summand = bias.At(k0 + k)
		}
		return factor, summand
	}
	ld := tc.row() / 4
	image := tc.groups * tc.k * pixels
	if !tc.lanes {
		for k := range channels {
			factor, summand := affine(k)
			for i := range min(tc.images, tc.n-n) {
				tc.ops.RowsTo(y.From((n+i)*image+(k0+k)*pixels), u.sums[k*ld+i*(tc.h+tc.padH)*tc.pitch:], tc.p, tc.q, tc.pitch, factor, summand, tc.relu)
			}
		}
		return
	}
	size := y.Size()
	each := max(1, 16/pixels) // channels of a square
	var factors [2 * 16 * kernels.AMXSide]float32
	for k := 0; k < channels; k += each {
		for j := range 16 {
			factors[k/each*32+j], factors[k/each*32+16+j] = affine(k + j*each/16)
		}
	}
	var from, to [16]int
	for half := 0; half < tileLanes; half += 16 {
		for i := range to {
			to[i] = size * image * min(half+i, tc.n-n-1)
		}
		for i := 0; i < pixels; i += 16 {
			for j := range from {
				from[j] = 4 * (j*each/16*ld + (i+j%min(16, pixels))*tileLanes)
			}
			tc.ops.TurnTo(y.From(n*image+k0*pixels+i), &to, u.sums[half:], &from, factors[:], tc.relu, channels/each, size*each*pixels, 4*each*ld)
		}
	}
}

// gradOfWeight computes the gradient of the weight.
func (tc *tileConv) gradOfWeight(dw, dy, x kernels.Floats) {
	tc.halfOf(x, func(x []uint16) {
		tc.halfOf(dy, func(dy []uint16) {
			for g := range tc.groups {
				pixels := tc.h * tc.w
				x, dy, dw := x[g*tc.c*pixels:], dy[g*tc.k*tc.p*tc.q:], dw.From(g*tc.k*tc.c*tc.taps())
				if tc.lanes {
					tc.weightGradOfLanes(dw, dy, x)
				} else {
					tc.weightGradOfRows(dw, dy, x)
				}
			}
		})
	})
}

// weightBlock returns the number of sums of 32 input by 32 output channels: rows are input channels and, for each, taps.
func (tc *tileConv) weightBlock() int { return kernels.AMXSide * tc.taps() * kernels.AMXSide }

// storeWeight writes the sums of 32 input channels from c0 on by 32 output channels from k0 on.
func (tc *tileConv) storeWeight(dw kernels.Floats, sums []float32, c0, k0 int) {
	var affine [32]float32
	for i := range 16 {
		affine[i] = 1
	}
	size, row := dw.Size(), tc.c*tc.taps()
	var from, to [16]int
	for k := k0; k < min(k0+kernels.AMXSide, tc.k); k += 16 {
		for i := range to {
			from[i], to[i] = i*4*kernels.AMXSide, i*size*row
		}
		for j := range min(kernels.AMXSide, tc.c-c0) * tc.taps() / 16 {
			tc.ops.TurnTo(dw.From(k*row+c0*tc.taps()+16*j), &to, sums[16*j*kernels.AMXSide+k-k0:], &from, affine[:], false, 1, 0, 0)
		}
	}
}

// weightGradOfRows sums over maps that lie row by row, in pieces of the images.
func (tc *tileConv) weightGradOfRows(dw kernels.Floats, dy, x []uint16) {
	tc.images = 1
	tc.pitch = kernels.Ceil(tc.w+tc.padW, 2) * 2
	count := kernels.Ceil(tc.places(1), kernels.AMXSide) // of steps
	reachH, reachW := tc.tap(tc.taps() - 1)
	tc.plane = oddLines(2 * (count*kernels.AMXSide + reachH*tc.pitch + reachW))
	blocksC, blocksK := kernels.Ceil(tc.c, kernels.AMXSide), kernels.Ceil(tc.k, kernels.AMXSide)
	steps := make([]kernels.AMXStep, count)
	for i := range steps {
		steps[i] = kernels.AMXStep{A: i * 2 * kernels.AMXSide, B: i * kernels.AMXTileBytes}
	}
	blocks := make([][]kernels.AMXBlock, blocksC)
	for c := range blocks {
		for k := range blocksK {
			for t := range tc.taps() {
				h, w := tc.tap(t)
				blocks[c] = append(blocks[c], kernels.AMXBlock{A: 2 * (h*tc.pitch + w), B: k * count * kernels.AMXTileBytes,
					C: 4 * ((c*blocksK+k)*tc.weightBlock() + t*kernels.AMXSide), Steps: count})
			}
		}
	}
	all := blocksC * blocksK * tc.weightBlock()
	pieces := min(tilePieces, tc.n, max(1, 2*maxSums/all))
	parts := min(blocksC, kernels.Ceil(tilePieces, pieces))
	each := kernels.Ceil(blocksC, parts)
	scratch(tc.be, pieces*all, func(sums []float32) {
		parallel(pieces*parts, 1, func(lo, hi int) {
			scratch(tc.be, each*kernels.AMXSide*tc.plane/2, func(inputs []uint16) {
				clear(inputs)
				scratch(tc.be, blocksK*count*kernels.AMXTileBytes/4, func(outputs []uint32) {
					clear(outputs)
					for i := lo; i < hi; i++ {
						piece, c0 := i/parts, i%parts*each
						geom := kernels.AMXGeom{StrideA: tc.plane, StrideB: 4 * kernels.AMXSide, StrideC: 4 * tc.taps() * kernels.AMXSide}
						for n := piece * tc.n / pieces; n < (piece+1)*tc.n/pieces; n++ {
							tc.stageRows(inputs, x[n*tc.groups*tc.c*tc.h*tc.w:], c0*kernels.AMXSide, min((c0+each)*kernels.AMXSide, tc.c))
							tc.stageGrads(outputs, dy[n*tc.groups*tc.k*tc.p*tc.q:], count)
							for c := c0; c < min(c0+each, blocksC); c++ {
								runTiles(tc.ops, 1, blocks[c], steps, inputs[(c-c0)*kernels.AMXSide*tc.plane/2:], kernels.WordsOf(outputs), sums[piece*all:(piece+1)*all], &geom)
							}
							geom.Add = 1
						}
					}
				})
			})
		})
		parallel(blocksC*blocksK, 1, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				total := sums[i*tc.weightBlock():][:tc.weightBlock()]
				for piece := 1; piece < pieces; piece++ {
					addTo(total, sums[piece*all+i*tc.weightBlock():])
				}
				tc.storeWeight(dw, total, i/blocksK*kernels.AMXSide, i%blocksK*kernels.AMXSide)
			}
		})
	})
}

// stageRows lays the channels [c0, toC) of an image row by row.
func (tc *tileConv) stageRows(dst, x []uint16, c0, toC int) {
	dst = dst[tc.padH*tc.pitch+tc.padW:]
	for c := c0; c < toC; c++ {
		to, from := dst[(c-c0)*tc.plane/2:], x[c*tc.h*tc.w:]
		for h := range tc.h {
			copy(to[h*tc.pitch:], from[h*tc.w:(h+1)*tc.w])
		}
	}
}

// stageGrads lays the gradients of an image's output by pairs of places: each with 32 channels, block by block.
func (tc *tileConv) stageGrads(dst []uint32, dy []uint16, count int) {
	pixels := tc.p * tc.q
	var from, to [16]int
	for i := range from {
		from[i] = i * 2 * pixels
	}
	for at := 0; at < pixels; at += 32 {
		at := min(at, pixels-32)
		for j := range to {
			pixel := at + 2*j
			to[j] = (pixel/tc.q*tc.pitch + pixel%tc.q) / 2 * 4 * kernels.AMXSide
		}
		for k := 0; k < tc.k; k += 16 {
			// The maps may begin between pairs, which the kernel does not mind.
			src := unsafe.Slice((*uint32)(unsafe.Pointer(&dy[k*pixels+at])), 16)
			tc.ops.Turn(dst[k/kernels.AMXSide*count*kernels.AMXTileBytes/4+k%kernels.AMXSide:], &to, src, &from, 1, 0, 0)
		}
	}
}

// weightGradOfLanes sums over small maps that lie pixel by pixel, each with all images.
func (tc *tileConv) weightGradOfLanes(dw kernels.Floats, dy, x []uint16) {
	blocksC, blocksK := kernels.Ceil(tc.c, kernels.AMXSide), kernels.Ceil(tc.k, kernels.AMXSide)
	groups := kernels.Ceil(tc.n, tileLanes)
	lanes := groups * tileLanes // of a pixel
	planeX, planeY := oddLines(2*tc.h*tc.w*lanes), oddLines(2*tc.p*tc.q*lanes)
	blockY := tc.p * tc.q * groups * kernels.AMXTileBytes // of 32 channels
	// The steps of each tap.
	var steps []kernels.AMXStep
	blocks := make([]kernels.AMXBlock, tc.taps())
	for t := range blocks {
		first := len(steps)
		for i := range tc.p * tc.q {
			h, w := tc.tap(t)
			h, w = h+i/tc.q-tc.padH, w+i%tc.q-tc.padW
			if h < 0 || h >= tc.h || w < 0 || w >= tc.w {
				continue
			}
			for n := range groups {
				steps = append(steps, kernels.AMXStep{A: 2 * ((h*tc.w+w)*lanes + n*tileLanes), B: (i*groups + n) * kernels.AMXTileBytes})
			}
		}
		blocks[t] = kernels.AMXBlock{C: 4 * t * kernels.AMXSide, First: first, Steps: len(steps) - first}
	}
	steps = append(steps, kernels.AMXStep{}) // it is never empty
	geom := kernels.AMXGeom{StrideA: planeX, StrideB: 4 * kernels.AMXSide, StrideC: 4 * tc.taps() * kernels.AMXSide}
	scratch(tc.be, blocksC*kernels.AMXSide*planeX/2, func(inputs []uint16) {
		scratch(tc.be, blocksK*blockY/4, func(outputs []uint32) {
			parallel(blocksC, 1, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					tc.stageLanes(inputs, x, i*kernels.AMXSide, min(kernels.AMXSide, tc.c-i*kernels.AMXSide), tc.c, tc.h*tc.w, planeX, lanes)
				}
			})
			parallel(blocksK, 1, func(lo, hi int) {
				scratch(tc.be, kernels.AMXSide*planeY/2, func(plain []uint16) {
					for i := lo; i < hi; i++ {
						channels := min(kernels.AMXSide, tc.k-i*kernels.AMXSide)
						tc.stageLanes(plain, dy[i*kernels.AMXSide*tc.p*tc.q:], 0, channels, tc.k, tc.p*tc.q, planeY, lanes)
						tc.turnLanes(outputs[i*blockY/4:], plain, channels, planeY, lanes)
					}
				})
			})
			parallel(blocksC*blocksK, kernels.Ceil(tileUnit, max(1, len(steps))), func(lo, hi int) {
				scratch(tc.be, tc.weightBlock(), func(sums []float32) {
					for i := lo; i < hi; i++ {
						c, k := i/blocksK, i%blocksK
						runTiles(tc.ops, 1, blocks, steps, inputs[c*kernels.AMXSide*planeX/2:], kernels.WordsOf(outputs[k*blockY/4:]), sums, &geom)
						tc.storeWeight(dw, sums, c*kernels.AMXSide, k*kernels.AMXSide)
					}
				})
			})
		})
	})
}

// stageLanes lays channels of maps from c0 on pixel by pixel, each with all images. src has so many channels in each group.
func (tc *tileConv) stageLanes(dst, src []uint16, c0, channels, of, pixels, plane, lanes int) {
	image := tc.groups * of * pixels
	src = src[c0*pixels:]
	each := max(1, 16/pixels) // channels of a square
	var from, to [16]int
	for n := 0; n < lanes; n += tileLanes {
		for i := range from {
			from[i] = 2 * image * min(n+2*i, tc.n-2)
		}
		for j := range to {
			to[j] = j*each/16*plane + j%min(16, pixels)*2*lanes
		}
		for i := 0; i < pixels; i += 16 {
			tc.ops.PairTurn(kernels.PairsOf(dst[c0*plane/2+i*lanes+n:]), &to, src[i:], &from, 2*image, &kernels.AMXPairOrder, channels/each, each*plane, 2*each*pixels)
		}
	}
}

// turnLanes lays channels of maps of gradients by pairs of images: each with 32 channels. Images that are missing are zeros.
func (tc *tileConv) turnLanes(dst []uint32, plain []uint16, channels, plane, lanes int) {
	var from, to [16]int
	for i := range from {
		from[i], to[i] = i*plane, i*4*kernels.AMXSide
	}
	for k := 0; k < kernels.AMXSide; k += 16 {
		for n := 0; n < lanes; n += tileLanes {
			if k < channels {
				tc.ops.Turn(dst[n/2*kernels.AMXSide+k:], &to, kernels.PairsOf(plain[k*plane/2+n:]), &from, tc.p*tc.q, lanes/2*4*kernels.AMXSide, 2*lanes)
			}
		}
	}
	for i := range tc.p * tc.q {
		for n := range lanes / 2 {
			row := dst[(i*lanes/2+n)*kernels.AMXSide:][:kernels.AMXSide]
			if 2*n >= tc.n {
				clear(row)
			} else {
				clear(row[min(channels, kernels.AMXSide):])
			}
		}
	}
}
