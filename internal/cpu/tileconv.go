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
)

// tileOps is what convolutions on tiles are made of. Places and steps are in bytes.
type tileOps struct {
	parts [3]tileParts // for numbers of one part, two and three
	// pairRows writes rows of pairs of an element of a and one of b, pitch pairs apart in dst.
	pairRows func(dst []uint32, a, b []uint16, rows, width, pitch int)
	// pairTurn transposes squares of 16×16 pairs: row i is 16 words at src+srcAt[i] and 16 words second farther, of which order makes
	// pairs; column j goes to dst+dstAt[j].
	pairTurn func(dst []uint32, dstAt *[16]int, src []uint16, srcAt *[16]int, second int, order *[32]uint16, count, dstStep, srcStep int)
	// turn is pairTurn for rows that are pairs.
	turn func(dst []uint32, dstAt *[16]int, src []uint32, srcAt *[16]int, count, dstStep, srcStep int)
	// turnTo is turn for sums, with 16 factors and 16 summands for the columns of each square.
	turnTo func(dst floats, dstAt *[16]int, src []float32, srcAt *[16]int, affine []float32, relu bool, count, dstStep, srcStep int)
	// rowsTo writes rows of sums, pitch apart, one behind the other.
	rowsTo func(dst floats, src []float32, rows, width, pitch int, factor, summand float32, relu bool)
	// gather writes, for rows srcRow apart and 64 in dst, and for neighbouring taps, dstTap apart in dst, 32 words that are lane apart.
	gather func(dst, src []uint16, lane, taps, rows, srcRow, dstTap int)
}

// tileParts is what multiplies numbers of so many parts.
type tileParts struct {
	work int // products of tiles in a step of 32×32 sums, by four
	// sums computes blocks of 32×32 sums in c.
	sums func(blocks []tileBlock, steps []tileStep, a, b []uint16, c []float32, g *tileGeom)
	// splitRows splits rows of k numbers, ld apart, into tiles of rows; splitPairs k rows of lanes numbers, by pairs of rows.
	splitRows  func(dst []uint16, src []float32, ld, rows, k int)
	splitPairs func(dst []uint16, src []float32, ld, lanes, k int)
}

// tileBlock is a block of sums: where it and its factors begin, and the steps of its sum. Assembly knows the order of the fields.
type tileBlock struct{ a, b, c, first, steps int }

// tileStep is where the 32 rows of one factor and the 32 columns of the other lie.
type tileStep struct{ a, b int }

// tileGeom is the distances from a row of a tile to the next, and whether sums are added to.
type tileGeom struct{ strideA, strideB, strideC, add int }

const (
	tileSide   = 32      // rows and columns of a block of sums, and the depth of a tile
	tileUnit   = 1 << 11 // steps of a call, which stay below 200 µs
	tileLanes  = 32      // images of a row of small maps
	tilePieces = 8       // of the images, whose weight gradients are summed apart
	tileStage  = 1 << 20 // bytes of small maps that are staged together at most: half of the second cache
	tileBytes  = 2 * tileSide * tileSide
)

// oddLines returns a number of bytes, at least n, that is an odd number of cache lines: rows that far apart do not meet in a set of
// the cache.
func oddLines(n int) int { return (ceil(n, 64) | 1) * 64 }

// tileConv is a convolution on tiles: of n images of c channels by weights for k, for one group.
type tileConv struct {
	be         *Backend
	ops        *tileOps
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
func (be *Backend) tileConvOf(g convGeom, p pass, arrays ...backend.Array) *tileConv {
	if current.tiles == nil || be.precision != backend.Medium || g.StrideH != 1 || g.StrideW != 1 ||
		min(g.N, g.P, g.Q, g.H, g.W, g.R, g.S, g.C, g.K) == 0 || g.C/g.Groups%16 != 0 || g.K/g.Groups%16 != 0 ||
		g.PadH > (g.R-1)*g.DilationH || g.PadW > (g.S-1)*g.DilationW ||
		!stageable(g.H, g.W, g.P, g.Q, 1, 1, (g.R-1)*g.DilationH, (g.S-1)*g.DilationW) {
		return nil
	}
	for _, a := range arrays {
		if !a.None() && a.DType() != backend.Float32 && a.DType() != backend.BFloat16 {
			return nil
		}
	}
	tc := &tileConv{be: be, ops: current.tiles, groups: g.Groups, n: g.N, c: g.C / g.Groups, k: g.K / g.Groups, h: g.H, w: g.W, p: g.P, q: g.Q,
		padH: g.PadH, padW: g.PadW, dilH: g.DilationH, dilW: g.DilationW, r: g.R, s: g.S, relu: g.ReLU && p == forward, turned: p == inputGrad}
	if p == inputGrad {
		tc.c, tc.k = tc.k, tc.c
		tc.h, tc.w, tc.p, tc.q = tc.p, tc.q, tc.h, tc.w
		tc.padH, tc.padW = (g.R-1)*g.DilationH-g.PadH, (g.S-1)*g.DilationW-g.PadW
	}
	// Small maps of many images lie image by image, unless the images that are missing cost more than the gaps.
	square := func(pixels, channels int) bool { return pixels%16 == 0 || pixels == 4 && channels%8 == 0 }
	if square(tc.h*tc.w, tc.c) && square(tc.p*tc.q, tc.k) && tc.n%2 == 0 && 2*tc.c*tc.h*tc.w*tileLanes <= tileStage &&
		ceil(tc.n, tileLanes)*tileLanes*tc.p*tc.q < tc.n*(tc.h+tc.padH)*(tc.w+tc.padW) {
		tc.lanes = true
		return tc
	}
	if p == weightGrad && (tc.q%2 != 0 || tc.p*tc.q < 32) {
		return nil
	}
	return tc
}

// taps returns the number of taps.
func (tc *tileConv) taps() int { return tc.r * tc.s }

// tap returns how far tap t reaches down and to the right of the first.
func (tc *tileConv) tap(t int) (h, w int) { return t / tc.s * tc.dilH, t % tc.s * tc.dilW }

// halfOf returns the elements of an array as bfloat16, rounded in scratch memory if they are float32.
func (tc *tileConv) halfOf(f floats, use func(s []uint16)) {
	if f.half != nil {
		use(f.half)
		return
	}
	scratch(tc.be, len(f.wide), func(s []uint16) {
		parallel(len(s), grain, func(lo, hi int) { current.half.narrowBF16(s[lo:hi], f.wide[lo:hi]) })
		use(s)
	})
}

// packed returns the number of words of the packed weights of a block of 32 output channels.
func (tc *tileConv) packed() int { return ceil(tc.c, tileSide) * tc.taps() * tileBytes / 2 }

// packWeight packs the weights of 32 output channels from k0 on for each group of 32 input channels and each tap: a row for
// each output channel.
func (tc *tileConv) packWeight(dst, weight []uint16, k0 int) {
	taps := tc.taps()
	lane, row := taps, tc.c*taps // from one input channel, or output channel, to the next
	if tc.turned {
		lane, row = tc.k*taps, taps
	}
	clear(dst)
	for c := 0; c < tc.c; c += tileSide {
		group := dst[c*taps*tileSide:]
		first, step := 0, tileBytes
		if tc.turned {
			first, step = (taps-1)*tileSide*tileSide, -tileBytes
		}
		rows, channels := min(tileSide, tc.k-k0), min(tileSide, tc.c-c)
		if taps > 1 && channels == tileSide {
			tc.ops.gather(group[first:], weight[k0*row+c*lane:], 2*lane, taps, rows, 2*row, step)
			continue
		}
		for i := range rows {
			for t := range taps {
				to := group[first+t*step/2+i*tileSide:][:channels]
				for j := range to {
					to[j] = weight[(k0+i)*row+(c+j)*lane+t]
				}
			}
		}
	}
}

// convolve computes the convolution of x, with scale, bias and ReLU where there are such. How many units there are depends on the
// number of cores; no sum does.
func (tc *tileConv) convolve(y, x, weight, scale, bias floats) {
	tc.lay()
	blocks := ceil(tc.k, tileSide)
	groups := ceil(tc.n, tc.images)
	parts := min(blocks, ceil(2*runtime.GOMAXPROCS(0), groups))
	each := ceil(blocks, parts)
	steps, list := tc.steps()
	geom := tileGeom{2 * tileSide, tc.plane, tc.row(), 0}
	tc.halfOf(x, func(x []uint16) {
		tc.halfOf(weight, func(weight []uint16) {
			scratch(tc.be, blocks*tc.packed(), func(packed []uint16) {
				for g := range tc.groups {
					parallel(blocks, 1, func(lo, hi int) {
						for i := lo; i < hi; i++ {
							tc.packWeight(packed[i*tc.packed():][:tc.packed()], weight[g*tc.k*tc.c*tc.taps():], i*tileSide)
						}
					})
					parallel(groups*parts, max(1, groups*parts/(4*runtime.GOMAXPROCS(0))), func(lo, hi int) {
						tc.space(func(u *tileUnitSpace) {
							for i := lo; i < hi; i++ {
								n := i / parts * tc.images
								tc.stage(u, x, g, n)
								for j := i % parts * each; j < min((i%parts+1)*each, blocks); j++ {
									runTiles(tc.ops, 1, list, steps, packed[j*tc.packed():], wordsOf(u.staged), u.sums, &geom)
									tc.store(u, y, scale, bias, g, n, j*tileSide)
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
		places := ceil(n*rows*tc.pitch, tileSide) * tileSide
		if n > 1 && places*tc.c*2 > most {
			break
		}
		if w := float64(places) / float64(n*tc.p*tc.q); w < waste-.01 {
			waste, tc.images = w, n
		}
	}
	reachH, reachW := tc.tap(tc.taps() - 1)
	tc.plane = oddLines(4 * (ceil(tc.places(tc.images), tileSide)*tileSide + reachH*tc.pitch + reachW))
}

// places returns the number of places of n images, those in gaps among them.
func (tc *tileConv) places(n int) int {
	if tc.lanes {
		return tc.p * tc.q * tileLanes
	}
	return ((n-1)*(tc.h+tc.padH) + tc.p) * tc.pitch
}

// row returns the bytes from one row of sums, all places of a channel, to the next.
func (tc *tileConv) row() int { return oddLines(4 * ceil(tc.places(tc.images), tileSide) * tileSide) }

// steps lists the steps of sums, and the blocks of places.
func (tc *tileConv) steps() (steps []tileStep, blocks []tileBlock) {
	taps := tc.taps()
	groups := ceil(tc.c, tileSide)
	step := func(group, t, at int) {
		steps = append(steps, tileStep{(group*taps + t) * tileBytes, group*tileSide/2*tc.plane + at})
	}
	if !tc.lanes {
		for group := range groups {
			for t := range taps {
				h, w := tc.tap(t)
				step(group, t, 4*(h*tc.pitch+w))
			}
		}
		for i := 0; i < tc.places(tc.images); i += tileSide {
			blocks = append(blocks, tileBlock{b: 4 * i, c: 4 * i, steps: len(steps)})
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
		blocks = append(blocks, tileBlock{c: 4 * i * tileLanes, first: first, steps: len(steps) - first})
	}
	return append(steps, tileStep{}), blocks // it is never empty
}

// space lends memory for a unit of work, zeros where images are staged.
func (tc *tileConv) space(f func(u *tileUnitSpace)) {
	scratch(tc.be, ceil(tc.c, tileSide)*tileSide/2*tc.plane/4, func(staged []uint32) {
		if !tc.lanes || tc.c%tileSide != 0 {
			clear(staged)
		}
		scratch(tc.be, tileSide*tc.row()/4, func(sums []float32) { f(&tileUnitSpace{staged, sums}) })
	})
}

// runTiles computes blocks of sums of products of numbers of count parts, a few in each call.
func runTiles(ops *tileOps, count int, blocks []tileBlock, steps []tileStep, a, b []uint16, c []float32, g *tileGeom) {
	parts := &ops.parts[count-1]
	unit := tileUnit / parts.work
	for len(blocks) > 0 {
		if whole := blocks[0]; whole.steps > unit {
			part, more := whole, *g
			for ; whole.steps > 0; whole.first, whole.steps, more.add = whole.first+unit, whole.steps-unit, 1 {
				part.first, part.steps = whole.first, min(whole.steps, unit)
				parts.sums([]tileBlock{part}, steps, a, b, c, &more)
			}
			blocks = blocks[1:]
			continue
		}
		n, work := 0, 0
		for n < len(blocks) && (n == 0 || work+blocks[n].steps <= unit) {
			work += blocks[n].steps
			n++
		}
		parts.sums(blocks[:n], steps, a, b, c, g)
		blocks = blocks[n:]
	}
}

// wordsOf returns the memory of pairs as words.
func wordsOf(s []uint32) []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s)) }

// pairsOf returns the memory of words as pairs.
func pairsOf(s []uint16) []uint32 { return unsafe.Slice((*uint32)(unsafe.Pointer(&s[0])), len(s)/2) }

var (
	// pairOrder makes pairs of two runs of 16 words.
	pairOrder = func() (order [32]uint16) {
		for i := range 16 {
			order[2*i], order[2*i+1] = uint16(i), uint16(16+i)
		}
		return order
	}()
	// pairOrder4 makes pairs of neighbouring runs of four words.
	pairOrder4 = func() (order [32]uint16) {
		for i := range 16 {
			at := i/4*8 + i%4
			order[2*i], order[2*i+1] = uint16(at), uint16(at+4)
		}
		return order
	}()
)

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
				tc.ops.pairRows(u.staged[c/2*tc.plane/4+lead+i*(tc.h+tc.padH)*tc.pitch:], from, from[pixels:], tc.h, tc.w, tc.pitch)
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
			tc.ops.pairTurn(dst, &to, x, &from, 32, &pairOrder4, tc.c/8, 4*tc.plane, 64)
			continue
		}
		for j := range to {
			to[j] = j * 4 * tileLanes
		}
		for i := 0; i < pixels; i += 16 {
			tc.ops.pairTurn(dst[i*tileLanes:], &to, x[i:], &from, 2*pixels, &pairOrder, tc.c/2, tc.plane, 4*pixels)
		}
	}
}

// store writes the sums of 32 output channels from k0 on, of the images from n on.
func (tc *tileConv) store(u *tileUnitSpace, y, scale, bias floats, g, n, k0 int) {
	pixels := tc.p * tc.q
	channels := min(tileSide, tc.k-k0)
	k0 += g * tc.k
	affine := func(k int) (factor, summand float32) {
		factor = 1
		if !scale.none() {
			factor = scale.at(k0 + k)
		}
		if !bias.none() {
			summand = bias.at(k0 + k)
		}
		return factor, summand
	}
	ld := tc.row() / 4
	image := tc.groups * tc.k * pixels
	if !tc.lanes {
		for k := range channels {
			factor, summand := affine(k)
			for i := range min(tc.images, tc.n-n) {
				tc.ops.rowsTo(y.from((n+i)*image+(k0+k)*pixels), u.sums[k*ld+i*(tc.h+tc.padH)*tc.pitch:], tc.p, tc.q, tc.pitch, factor, summand, tc.relu)
			}
		}
		return
	}
	size := y.size()
	each := max(1, 16/pixels) // channels of a square
	var factors [2 * 16 * tileSide]float32
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
			tc.ops.turnTo(y.from(n*image+k0*pixels+i), &to, u.sums[half:], &from, factors[:], tc.relu, channels/each, size*each*pixels, 4*each*ld)
		}
	}
}

// weightGrad computes the gradient of the weight.
func (tc *tileConv) weightGrad(dw, dy, x floats) {
	tc.halfOf(x, func(x []uint16) {
		tc.halfOf(dy, func(dy []uint16) {
			for g := range tc.groups {
				pixels := tc.h * tc.w
				x, dy, dw := x[g*tc.c*pixels:], dy[g*tc.k*tc.p*tc.q:], dw.from(g*tc.k*tc.c*tc.taps())
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
func (tc *tileConv) weightBlock() int { return tileSide * tc.taps() * tileSide }

// storeWeight writes the sums of 32 input channels from c0 on by 32 output channels from k0 on.
func (tc *tileConv) storeWeight(dw floats, sums []float32, c0, k0 int) {
	var affine [32]float32
	for i := range 16 {
		affine[i] = 1
	}
	size, row := dw.size(), tc.c*tc.taps()
	var from, to [16]int
	for k := k0; k < min(k0+tileSide, tc.k); k += 16 {
		for i := range to {
			from[i], to[i] = i*4*tileSide, i*size*row
		}
		for j := range min(tileSide, tc.c-c0) * tc.taps() / 16 {
			tc.ops.turnTo(dw.from(k*row+c0*tc.taps()+16*j), &to, sums[16*j*tileSide+k-k0:], &from, affine[:], false, 1, 0, 0)
		}
	}
}

// weightGradOfRows sums over maps that lie row by row, in pieces of the images.
func (tc *tileConv) weightGradOfRows(dw floats, dy, x []uint16) {
	tc.images = 1
	tc.pitch = ceil(tc.w+tc.padW, 2) * 2
	count := ceil(tc.places(1), tileSide) // of steps
	reachH, reachW := tc.tap(tc.taps() - 1)
	tc.plane = oddLines(2 * (count*tileSide + reachH*tc.pitch + reachW))
	blocksC, blocksK := ceil(tc.c, tileSide), ceil(tc.k, tileSide)
	steps := make([]tileStep, count)
	for i := range steps {
		steps[i] = tileStep{i * 2 * tileSide, i * tileBytes}
	}
	blocks := make([][]tileBlock, blocksC)
	for c := range blocks {
		for k := range blocksK {
			for t := range tc.taps() {
				h, w := tc.tap(t)
				blocks[c] = append(blocks[c], tileBlock{a: 2 * (h*tc.pitch + w), b: k * count * tileBytes,
					c: 4 * ((c*blocksK+k)*tc.weightBlock() + t*tileSide), steps: count})
			}
		}
	}
	all := blocksC * blocksK * tc.weightBlock()
	pieces := min(tilePieces, tc.n, max(1, 2*maxSums/all))
	parts := min(blocksC, ceil(tilePieces, pieces))
	each := ceil(blocksC, parts)
	scratch(tc.be, pieces*all, func(sums []float32) {
		parallel(pieces*parts, 1, func(lo, hi int) {
			scratch(tc.be, each*tileSide*tc.plane/2, func(inputs []uint16) {
				clear(inputs)
				scratch(tc.be, blocksK*count*tileBytes/4, func(outputs []uint32) {
					clear(outputs)
					for i := lo; i < hi; i++ {
						piece, c0 := i/parts, i%parts*each
						geom := tileGeom{tc.plane, 4 * tileSide, 4 * tc.taps() * tileSide, 0}
						for n := piece * tc.n / pieces; n < (piece+1)*tc.n/pieces; n++ {
							tc.stageRows(inputs, x[n*tc.groups*tc.c*tc.h*tc.w:], c0*tileSide, min((c0+each)*tileSide, tc.c))
							tc.stageGrads(outputs, dy[n*tc.groups*tc.k*tc.p*tc.q:], count)
							for c := c0; c < min(c0+each, blocksC); c++ {
								runTiles(tc.ops, 1, blocks[c], steps, inputs[(c-c0)*tileSide*tc.plane/2:], wordsOf(outputs), sums[piece*all:(piece+1)*all], &geom)
							}
							geom.add = 1
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
				tc.storeWeight(dw, total, i/blocksK*tileSide, i%blocksK*tileSide)
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
			to[j] = (pixel/tc.q*tc.pitch + pixel%tc.q) / 2 * 4 * tileSide
		}
		for k := 0; k < tc.k; k += 16 {
			// The maps may begin between pairs, which the kernel does not mind.
			src := unsafe.Slice((*uint32)(unsafe.Pointer(&dy[k*pixels+at])), 16)
			tc.ops.turn(dst[k/tileSide*count*tileBytes/4+k%tileSide:], &to, src, &from, 1, 0, 0)
		}
	}
}

// weightGradOfLanes sums over small maps that lie pixel by pixel, each with all images.
func (tc *tileConv) weightGradOfLanes(dw floats, dy, x []uint16) {
	blocksC, blocksK := ceil(tc.c, tileSide), ceil(tc.k, tileSide)
	groups := ceil(tc.n, tileLanes)
	lanes := groups * tileLanes // of a pixel
	planeX, planeY := oddLines(2*tc.h*tc.w*lanes), oddLines(2*tc.p*tc.q*lanes)
	blockY := tc.p * tc.q * groups * tileBytes // of 32 channels
	// The steps of each tap.
	var steps []tileStep
	blocks := make([]tileBlock, tc.taps())
	for t := range blocks {
		first := len(steps)
		for i := range tc.p * tc.q {
			h, w := tc.tap(t)
			h, w = h+i/tc.q-tc.padH, w+i%tc.q-tc.padW
			if h < 0 || h >= tc.h || w < 0 || w >= tc.w {
				continue
			}
			for n := range groups {
				steps = append(steps, tileStep{2 * ((h*tc.w+w)*lanes + n*tileLanes), (i*groups + n) * tileBytes})
			}
		}
		blocks[t] = tileBlock{c: 4 * t * tileSide, first: first, steps: len(steps) - first}
	}
	steps = append(steps, tileStep{}) // it is never empty
	geom := tileGeom{planeX, 4 * tileSide, 4 * tc.taps() * tileSide, 0}
	scratch(tc.be, blocksC*tileSide*planeX/2, func(inputs []uint16) {
		scratch(tc.be, blocksK*blockY/4, func(outputs []uint32) {
			parallel(blocksC, 1, func(lo, hi int) {
				for i := lo; i < hi; i++ {
					tc.stageLanes(inputs, x, i*tileSide, min(tileSide, tc.c-i*tileSide), tc.c, tc.h*tc.w, planeX, lanes)
				}
			})
			parallel(blocksK, 1, func(lo, hi int) {
				scratch(tc.be, tileSide*planeY/2, func(plain []uint16) {
					for i := lo; i < hi; i++ {
						channels := min(tileSide, tc.k-i*tileSide)
						tc.stageLanes(plain, dy[i*tileSide*tc.p*tc.q:], 0, channels, tc.k, tc.p*tc.q, planeY, lanes)
						tc.turnLanes(outputs[i*blockY/4:], plain, channels, planeY, lanes)
					}
				})
			})
			parallel(blocksC*blocksK, ceil(tileUnit, max(1, len(steps))), func(lo, hi int) {
				scratch(tc.be, tc.weightBlock(), func(sums []float32) {
					for i := lo; i < hi; i++ {
						c, k := i/blocksK, i%blocksK
						runTiles(tc.ops, 1, blocks, steps, inputs[c*tileSide*planeX/2:], wordsOf(outputs[k*blockY/4:]), sums, &geom)
						tc.storeWeight(dw, sums, c*tileSide, k*tileSide)
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
			tc.ops.pairTurn(pairsOf(dst[c0*plane/2+i*lanes+n:]), &to, src[i:], &from, 2*image, &pairOrder, channels/each, each*plane, 2*each*pixels)
		}
	}
}

// turnLanes lays channels of maps of gradients by pairs of images: each with 32 channels. Images that are missing are zeros.
func (tc *tileConv) turnLanes(dst []uint32, plain []uint16, channels, plane, lanes int) {
	var from, to [16]int
	for i := range from {
		from[i], to[i] = i*plane, i*4*tileSide
	}
	for k := 0; k < tileSide; k += 16 {
		for n := 0; n < lanes; n += tileLanes {
			if k < channels {
				tc.ops.turn(dst[n/2*tileSide+k:], &to, pairsOf(plain[k*plane/2+n:]), &from, tc.p*tc.q, lanes/2*4*tileSide, 2*lanes)
			}
		}
	}
	for i := range tc.p * tc.q {
		for n := range lanes / 2 {
			row := dst[(i*lanes/2+n)*tileSide:][:tileSide]
			if 2*n >= tc.n {
				clear(row)
			} else {
				clear(row[min(channels, tileSide):])
			}
		}
	}
}
