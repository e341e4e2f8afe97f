package cpu

// Winograd's minimal filtering (Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", CVPR 2016) for convolutions of 3×3 taps with
// stride and dilation 1. A tile of outputs is Aᵀ[(G w Gᵀ) ⊙ (Bᵀ x B)]A with a
// different pair of matrices along each dimension, and summing over channels
// makes each element of the product in the middle a matrix product of its own.
// The weight gradient is the same identity read the other way:
// Gᵀ[(A dy Aᵀ) ⊙ (Bᵀ x B)]G, summed over tiles.
//
// Tiles have 2×4 outputs and 24 products, 3 times fewer than 72. More outputs save
// more and lose more: with 256 channels the relative error (L2) is 3e-7 for the
// plain sum, 6e-7 for 2×4 outputs, 9e-7 for 3×3 (which save 3.2 times), and 1.2e-6 for
// 4×4 (4 times), all of them twice as much if chains of additions are longer
// than 64. So 4×4 serve where less than the highest precision is asked for. With factors that
// are rounded to bfloat16 the error is 2.3e-3 for the plain sum, and for 2×4 outputs 6.2e-3 of inputs
// that come from a ReLU and 8.6e-3 of others. Maps of two pixels, of which a tile would mostly read padding, have a
// scheme of their own: Karatsuba's, of 3 products a dimension, 4 times fewer in all
// and without fractions.
//
// Vectors are transformed whose lanes are the same tile of several images or,
// where the weight gradient sums over tiles, of several channels. So any tile, at
// an edge or not, is a list of places, and transforms write the panels that the micro-kernel
// multiplies.
//
// An infinity or NaN in the input reaches all outputs that depend on it and,
// since tiles are combined as a whole, others of the same tile too; an infinity may
// arrive as NaN.

import (
	"math/bits"
	"runtime"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

const (
	unitTiles   = 8       // tiles of a unit of work, or vectors of them
	stageTiles  = 16      // tiles that are staged together for the weight gradient
	gradRows    = 128     // tiles at most whose panels are multiplied together for it
	blockPanels = 4       // panels of a that are multiplied before their products are transformed
	stageSize   = 8 << 10 // elements that are staged at a time
	stageSpill  = 1 << 10 // elements that staging and transforms may write behind the end
	splitRows   = 32      // rows that are transformed before they are split, if they are
	gap         = 16      // elements behind a panel
	maxBlocks   = 256     // blocks of eight pixels that are staged at a time
	maxRecords  = 4096    // numbers that say where tiles lie
	weightRows  = 128     // rows, and columns at most, of a unit of work of the weight gradient
)

// winograd is a convolution by Winograd's algorithm: of n images of c
// channels by weights for k channels, in each of groups.
type winograd struct {
	be           *Backend
	kn           *kernels.Gemm[float32]
	scheme       *kernels.WinogradScheme
	groups       int
	n, c, k      int
	h, w         int // of the input
	p, q         int // of the output
	padH, padW   int
	tilesH       int // of a map
	tilesW       int
	weight       kernels.Floats
	laneK, laneC int // from one weight of an output channel, or of an input channel, to the next
	turned       bool
	scale        kernels.Floats // of each output channel, if there is one
	relu         bool           // follows
}

// winogradFor readies the algorithm that serves a pass of a convolution of float32 numbers, or returns nil
// where the plain sum does.
func (be *Backend) winogradFor(g convGeom, p pass) *winograd {
	var best *winograd
	for _, s := range be.schemesFor(g) {
		if wi := be.newWinograd(s, g, p); wi.pays(p) && (best == nil || wi.products() <= best.products()) {
			best = wi
		}
	}
	return best
}

func (wi *winograd) name() string {
	if wi.kn.SplitGemm != nil {
		return "winograd " + wi.scheme.Name + " bf16"
	}
	return "winograd " + wi.scheme.Name
}

func (wi *winograd) forward(dst, x, w, scale, bias backend.Array) {
	wi.weight, wi.scale = floatsOf(w), floatsOf(scale)
	wi.convolve(floatsOf(dst), floatsOf(x), floatsOf(bias))
}

func (wi *winograd) inputGrad(dx, dy, w backend.Array) {
	wi.weight = floatsOf(w)
	wi.convolve(floatsOf(dx), floatsOf(dy), kernels.Floats{})
}

func (wi *winograd) weightGrad(dw, dy, x backend.Array) {
	newGradPlan(wi, floatsOf(dy), floatsOf(x)).compute(floatsOf(dw))
}

// products returns the number of products for a pair of channels of each image.
func (wi *winograd) products() int { return wi.tilesH * wi.tilesW * wi.scheme.H * wi.scheme.W }

// schemesFor lists the schemes that can compute a convolution with the precision, of large tiles first.
func (be *Backend) schemesFor(g convGeom) []*kernels.WinogradScheme {
	if g.R != 3 || g.S != 3 || g.StrideH != 1 || g.StrideW != 1 || g.DilationH != 1 || g.DilationW != 1 ||
		g.PadH > 2 || g.PadW > 2 || min(g.N, g.C, g.K, g.P, g.Q) == 0 {
		return nil
	}
	kn := kernelOf[float32](be.precision)
	switch {
	case g.H <= 2 && g.W <= 2 && g.PadH == 1 && g.PadW == 1:
		return []*kernels.WinogradScheme{&kernels.WinogradPair}
	case be.precision != backend.Highest && kn.SplitGemm == nil:
		return []*kernels.WinogradScheme{&kernels.Winograd4x4, &kernels.Winograd2x4}
	default:
		return []*kernels.WinogradScheme{&kernels.Winograd2x4}
	}
}

// newWinograd readies a scheme for a pass of a convolution.
func (be *Backend) newWinograd(s *kernels.WinogradScheme, g convGeom, p pass) *winograd {
	wi := &winograd{be: be, kn: kernelOf[float32](be.precision), scheme: s, groups: g.Groups, n: g.N, c: g.C / g.Groups, k: g.K / g.Groups,
		h: g.H, w: g.W, p: g.P, q: g.Q, padH: g.PadH, padW: g.PadW}
	wi.laneK, wi.laneC = wi.c*9, 9
	if p == inputGrad { // the convolution of the output's gradient, with the kernels turned by 180 degrees
		wi.turned = true
		wi.laneK, wi.laneC = wi.laneC, wi.laneK
		wi.c, wi.k = wi.k, wi.c
		wi.h, wi.w, wi.p, wi.q = wi.p, wi.q, wi.h, wi.w
		wi.padH, wi.padW = 2-wi.padH, 2-wi.padW
	}
	wi.tilesH, wi.tilesW = kernels.Ceil(wi.p, s.OutH), kernels.Ceil(wi.q, s.OutW)
	return wi
}

// pays reports whether the algorithm is faster than the plain sum. It saves multiplications, but its transforms cost as
// much as some more channels, and those of the weights as some more tiles. The numbers
// were measured.
func (wi *winograd) pays(p pass) bool {
	saved := 9 * float64(wi.p*wi.q) / float64(wi.products())
	if p != weightGrad { // lanes are images
		lanes := wi.kn.Winograd.Lanes
		saved *= float64(wi.n) / float64(kernels.Ceil(wi.n, lanes)*lanes)
	}
	return saved > 1+14/float64(wi.c)+14/float64(wi.k)+8/float64(wi.n*wi.tilesH*wi.tilesW)
}

// chain returns the number of additions in a row, in one element of a product.
func (wi *winograd) chain() int {
	if wi.kn.SplitGemm != nil {
		return 256 // the sum's rounding is nothing to that of the factors
	}
	return 64
}

// panels is where the panels of all products lie: those of product i begin at
// i·stride, each of depth elements for a lane. Panels of a have a gap behind them, to which
// transforms may write.
type panels struct{ stride, depth int }

func newPanels(lanes, depth, gaps int) panels { return panels{lanes*depth + gaps*gap, depth} }

// factors returns where panels of a factor lie, with the given number of rows. Parts of numbers take the place of the numbers.
func (wi *winograd) factors(lanes, rows, gaps int) panels {
	return newPanels(lanes, wi.rowSize(rows), gaps)
}

// rowSize returns the number of elements that rows of a factor's panel take for each lane.
func (wi *winograd) rowSize(rows int) int {
	if wi.kn.SplitGemm == nil {
		return rows
	}
	return wi.kn.SplitGemm.Size(1, rows) / 2
}

// fresh returns the size of panels of so many lanes that are to be split, 0 if none are.
func (wi *winograd) fresh(lanes int) int {
	if wi.kn.SplitGemm == nil {
		return 0
	}
	return newPanels(lanes, splitRows, 1).size(wi.scheme.H * wi.scheme.W)
}

// split splits a panel of each product, of which the first are those at dst and src, of the given lanes and rows.
func (wi *winograd) split(split func(dst []uint16, src []float32, lanes, k int), dst []float32, strideDst int, src []float32, strideSrc int, lanes, rows int) {
	for p := range wi.scheme.H * wi.scheme.W {
		split(kernels.Halves(dst[p*strideDst:]), src[p*strideSrc:], lanes, rows)
	}
}

// size returns the number of elements of the panels of products products.
func (p panels) size(products int) int { return p.stride*products + stageSpill }

// weightPanels transforms the weights of group g for the panels of the given
// heights, from row k0 on.
func (wi *winograd) weightPanels(ws *tileSpace, dst []float32, at panels, g, k0 int, heights []int) {
	const batch = 8
	ga := &ws.gather
	fresh := newPanels(wi.kn.Heights[0], splitRows, 1).stride
	for _, h := range heights {
		there := min(h, wi.k-k0)
		// Taps 0…7 and 1…8 of each channel: the last is in row 15.
		lay := func(n int) {
			ga.reset(h)
			for i := range n {
				ga.blocks = append(ga.blocks, i*wi.laneC, i*wi.laneC+1)
				ga.tiles = append(ga.tiles, i*h)
				for t := range 9 {
					if wi.turned {
						t = 8 - t
					}
					if t == 8 {
						t = 15
					}
					ga.tiles = append(ga.tiles, (8+16*i+t)*h)
				}
			}
			ga.end = (n-1)*wi.laneC + 9
		}
		lay(batch)
		for c := 0; c < wi.c; c += batch {
			if wi.c-c < batch {
				lay(wi.c - c)
			}
			ga.stage(wi.kn, ws.stage, wi.weight.From(g*wi.k*wi.c*9+k0*wi.laneK+c*wi.laneC), there, wi.laneK, 0)
			to, stride := dst[c*h:], at.stride
			if wi.kn.SplitGemm != nil {
				to, stride = ws.c[c%splitRows*h:], fresh
			}
			for l := 0; l < h; l += wi.kn.Winograd.Lanes {
				wi.kn.Winograd.Transform(wi.scheme, kernels.WeightMap, to[l:], wi.scheme.W*stride, stride, ws.stage[l:], ga.tiles)
			}
			if wi.kn.SplitGemm == nil {
				continue
			}
			if done := min(c+batch, wi.c); done%splitRows == 0 || done == wi.c {
				first := c / splitRows * splitRows
				wi.split(wi.kn.SplitGemm.SplitA, dst[wi.rowSize(first)*h:], at.stride, ws.c, fresh, h, done-first)
			}
		}
		dst = dst[h*at.depth+gap:]
		k0 += h
	}
}

// columns is a unit of tiles: those in rows [ty, toY) and columns [tx, toX) of
// the maps of the images [n, toN), as vectors of as many images as there are lanes.
type columns struct {
	n, toN         int
	ty, toY        int
	tx, toX        int
	vectors, lanes int
}

// units cuts all tiles into units: smaller ones if there is much to keep for each,
// or too few for the cores.
func (wi *winograd) units() []columns {
	most := unitTiles
	units := wi.unitsOf(most)
	if !wi.fewWeights() {
		return units
	}
	for most > wi.kn.Width/wi.kn.Winograd.Lanes && (len(units) < 2*runtime.GOMAXPROCS(0) || units[0].width(wi.kn)*wi.c*wi.scheme.H*wi.scheme.W > maxSums) {
		most /= 2
		units = wi.unitsOf(most)
	}
	return units
}

// unitsOf cuts all tiles into units of most tiles, or most vectors of them.
func (wi *winograd) unitsOf(most int) []columns {
	lanes := wi.kn.Winograd.Lanes
	images, rows, cols := lanes, wi.tilesH, wi.tilesW
	switch {
	case cols > most:
		rows, cols = 1, kernels.Ceil(cols, kernels.Ceil(cols, most))
	case rows*cols > most:
		rows = kernels.Ceil(rows, kernels.Ceil(rows, most/cols))
	default:
		images = most / (rows * cols) * lanes
	}
	var units []columns
	for n := 0; n < wi.n; n += images {
		for ty := 0; ty < wi.tilesH; ty += rows {
			for tx := 0; tx < wi.tilesW; tx += cols {
				u := columns{n: n, toN: min(n+images, wi.n), ty: ty, toY: min(ty+rows, wi.tilesH), tx: tx, toX: min(tx+cols, wi.tilesW), lanes: lanes}
				u.vectors = kernels.Ceil(u.toN-u.n, lanes) * u.tiles()
				units = append(units, u)
			}
		}
	}
	return units
}

// tiles returns the number of tiles of an image in the unit.
func (u *columns) tiles() int { return (u.toY - u.ty) * (u.toX - u.tx) }

// width returns the number of lanes of all panels of the unit.
func (u *columns) width(kn *kernels.Gemm[float32]) int {
	return kernels.Ceil(u.vectors*u.lanes, kn.Width) * kn.Width
}

// vector returns where vector v of a panel of depth d lies.
func (u *columns) vector(kn *kernels.Gemm[float32], v, d int) int {
	each := kn.Width / u.lanes
	return v/each*kn.Width*d + v%each*u.lanes
}

// inputPanels makes the panels of the channels [from, to) of a unit's tiles; from is a multiple of SplitRows.
func (wi *winograd) inputPanels(ws *tileSpace, dst []float32, at panels, x kernels.Floats, u *columns, g, from, to int) {
	width := wi.kn.Width
	if wi.kn.SplitGemm == nil {
		wi.inputTiles(ws, dst[from*width:], at, x, u, g, from, to)
		return
	}
	fresh := newPanels(u.width(wi.kn), splitRows, 1)
	for ; from < to; from += splitRows {
		rows := min(splitRows, to-from)
		wi.inputTiles(ws, ws.c, fresh, x, u, g, from, from+rows)
		for col := 0; col < u.width(wi.kn); col += width {
			wi.split(wi.kn.SplitGemm.SplitB, dst[col*at.depth+wi.rowSize(from)*width:], at.stride, ws.c[col*splitRows:], fresh.stride, width, rows)
		}
	}
}

// inputTiles transforms the channels [from, to) of a unit's tiles.
func (wi *winograd) inputTiles(ws *tileSpace, dst []float32, at panels, x kernels.Floats, u *columns, g, from, to int) {
	plane, width, tiles := wi.h*wi.w, wi.kn.Width, u.tiles()
	ga, m := &ws.gather, wi.inputGrid()
	lay := func(vector, channels int) {
		ga.reset(u.lanes)
		for c := range channels {
			ga.add(c*plane, m, u, func(i int) int { return u.vector(wi.kn, vector+i, at.depth) + c*width })
		}
	}
	lay(0, 1)
	batch := max(1, min((stageSize/u.lanes-8)/max(8*len(ga.blocks), 8), maxRecords/len(ga.tiles)))
	vector := 0
	for n := u.n; n < u.toN; n += u.lanes {
		lay(vector, min(batch, to-from))
		for c := from; c < to; c += batch {
			if to-c < batch {
				lay(vector, to-c)
			}
			ahead := 0
			if c+batch < to {
				ahead = batch * plane
			}
			ga.stage(wi.kn, ws.stage, x.From(((n*wi.groups+g)*wi.c+c)*plane), min(u.lanes, u.toN-n), wi.groups*wi.c*plane, ahead)
			wi.kn.Winograd.Transform(wi.scheme, kernels.InputMap, dst[(c-from)*width:], wi.scheme.W*at.stride, at.stride, ws.stage, ga.tiles)
		}
		vector += tiles
	}
}

// factor is panels of one factor of the products: rows in panels of the given heights, or cols
// columns in panels of the kernel's width.
type gemmFactor struct {
	data    []float32
	at      panels
	heights []int
	lanes   int // rows or columns
}

// multiply computes the products of all pixels of the transformed tiles, or adds them: c, with
// stride elements from one pixel to the next, of depth rows of the panels of a and b.
func (wi *winograd) multiply(c []float32, stride int, a, b gemmFactor, depth int, add bool) {
	width, chain := wi.kn.Width, wi.chain()
	for p := range wi.scheme.H * wi.scheme.W {
		for col := 0; col < b.lanes; col += width {
			for d := 0; d < depth; d += chain {
				panelA, panelC := a.data[p*a.at.stride:], c[p*stride+col*a.lanes:]
				panelB := b.data[p*b.at.stride+col*b.at.depth+wi.rowSize(d)*width:]
				for _, h := range a.heights {
					if wi.kn.SplitGemm != nil {
						wi.kn.SplitGemm.Run(h, min(chain, depth-d), kernels.Halves(panelA[wi.rowSize(d)*h:]), kernels.Halves(panelB), panelC, add || d > 0)
					} else {
						wi.kn.Run(h, min(chain, depth-d), panelA[d*h:], panelB, panelC, add || d > 0)
					}
					panelA, panelC = panelA[h*a.at.depth+gap:], panelC[h*width:]
				}
			}
		}
	}
}

// outputs transforms the products of a block of weights of group g, and writes them to the images.
func (wi *winograd) outputs(ws *tileSpace, y, bias kernels.Floats, stride int, u *columns, g int, b *block) {
	s, width, plane := wi.scheme, wi.kn.Width, wi.p*wi.q
	k0, there := g*wi.k+b.first, min(b.rows, wi.k-b.first)
	ga, stage := &ws.gather, ws.stage
	fromP, toP := u.ty*s.OutH, min(u.toY*s.OutH, wi.p)
	fromQ, toQ := u.tx*s.OutW, min(u.toX*s.OutW, wi.q)
	row, runs, run := toQ-fromQ, toP-fromP, toQ-fromQ
	if row == wi.q {
		runs, run = 1, runs*run
	}
	pixels := runs * run
	// Channels whose whole maps are there are contiguous, but a bias is added channel by channel where these are not tiny.
	batch, affine := 1, !wi.scale.None() || wi.relu
	if pixels == plane && (bias.None() || affine || pixels < 8) {
		batch = max(1, stageSize/(u.lanes*pixels))
	}
	vector := 0
	var lanes [8]int
	for n := u.n; n < u.toN; n += u.lanes {
		// Tiles of a row from right to left: what they have too much is written over by the next row's and its neighbour's.
		ga.tiles = ga.tiles[:0]
		for ty := u.ty; ty < u.toY; ty++ {
			for tx := u.toX - 1; tx >= u.tx; tx-- {
				ga.tiles = append(ga.tiles, ((ty*s.OutH-fromP)*row+tx*s.OutW-fromQ)*u.lanes)
				v := u.vector(wi.kn, vector+(ty-u.ty)*(u.toX-u.tx)+tx-u.tx, b.rows)
				for p := range s.H * s.W {
					ga.tiles = append(ga.tiles, p*stride+v)
				}
			}
		}
		for k := 0; k < there; k += batch {
			more := min(batch, there-k)
			for i := range more {
				wi.kn.Winograd.Transform(s, kernels.OutputMap, stage[i*pixels*u.lanes:], row*u.lanes, u.lanes, ws.c[(k+i)*width:], ga.tiles)
			}
			var plus float32
			switch {
			case bias.None() && !affine:
			case more == 1 && !affine:
				plus = bias.At(k0 + k)
			default:
				for i := range more {
					factor, summand := float32(1), float32(0)
					if !wi.scale.None() {
						factor = wi.scale.At(k0 + k + i)
					}
					if !bias.None() {
						summand = bias.At(k0 + k + i)
					}
					plane := stage[i*pixels*u.lanes:][:pixels*u.lanes]
					kernels.Current.Vector.Normalize(plane, plane, one(len(plane)), 0, factor, summand, wi.relu)
				}
			}
			for r := range runs {
				from, count := stage[r*run*u.lanes:], run*more
				to := y.From((n*wi.groups*wi.k+k0+k)*plane + (fromP+r)*wi.q + fromQ)
				ga.blocks = ga.blocks[:0]
				for i := 0; i+8 <= count; i += 8 {
					ga.blocks = append(ga.blocks, i)
				}
				images := min(u.lanes, u.toN-n)
				for first := 0; first < images; first += 8 {
					for l := range lanes { // an image that is there twice is written twice
						lanes[l] = min(first+l, images-1) * wi.groups * wi.k * plane
					}
					if wi.kn.Winograd.Touch != nil && k+more < there { // where the next channels go
						wi.kn.Winograd.Touch(to.From(more*plane), &lanes, ga.blocks)
					}
					wi.kn.Winograd.Scatter(to, &lanes, ga.blocks, from[first:], u.lanes, plus)
					for i := count / 8 * 8; i < count; i++ {
						for l, lane := range lanes {
							to.Set(lane+i, from[i*u.lanes+first+l]+plus)
						}
					}
				}
			}
		}
		vector += u.tiles()
	}
}

// block is panels of neighbouring rows of weights, and where they lie.
type block struct {
	heights     []int
	first, rows int
	at          panels
	place       int // among the panels of all blocks
}

// blocks cuts the rows into blocks, and tells their size together.
func (wi *winograd) blocks() (blocks []block, size int) {
	heights := wi.kn.Split(nil, wi.k)
	procs := runtime.GOMAXPROCS(0)
	count := min(kernels.Ceil(kernels.Ceil(len(heights), blockPanels), procs)*procs, len(heights))
	first := 0
	for i := range count {
		b := block{heights: heights[i*len(heights)/count : (i+1)*len(heights)/count], first: first, place: size}
		for _, h := range b.heights {
			b.rows += h
		}
		b.at = wi.factors(b.rows, wi.c, len(b.heights))
		size += b.at.size(wi.scheme.H * wi.scheme.W)
		first += b.rows
		blocks = append(blocks, b)
	}
	return blocks, size
}

// convolve computes the convolution of x, with scale, bias and ReLU where there are such. The
// smaller of weights and input is transformed at once for all units of work, the
// other by each. How many units there are depends on the number of cores; no sum does.
func (wi *winograd) convolve(y, x, bias kernels.Floats) {
	kn := wi.kn
	products := wi.scheme.H * wi.scheme.W
	blocks, sizeA := wi.blocks()
	units := wi.units()
	var tallest, widest, mostA, mostB, mostC int
	for _, b := range blocks {
		mostA, tallest = max(mostA, b.at.size(products)), max(tallest, b.rows)
	}
	for i := range units {
		widest = max(widest, units[i].width(kn))
	}
	mostB, mostC = wi.factors(widest, wi.c, 1).size(products), newPanels(widest, tallest, 1).size(products)
	// Where numbers are split, transforms write to what products will take.
	freshA, freshB := wi.fresh(kn.Heights[0]), wi.fresh(widest)
	mostC = max(mostC, freshA, freshB)
	product := func(ws *tileSpace, b *block, a []float32, u *columns, in []float32, g int) {
		width := u.width(kn)
		atB, atC := wi.factors(width, wi.c, 1), newPanels(width, b.rows, 1)
		wi.multiply(ws.c, atC.stride, gemmFactor{data: a, at: b.at, heights: b.heights, lanes: b.rows}, gemmFactor{data: in, at: atB, lanes: width}, wi.c, false)
		wi.outputs(ws, y, bias, atC.stride, u, g, b)
	}
	for g := range wi.groups {
		if wi.fewWeights() {
			wi.space(sizeA, 0, func(all *tileSpace) {
				parallel(len(blocks), 1, func(lo, hi int) {
					wi.space(0, freshA, func(ws *tileSpace) {
						for _, b := range blocks[lo:hi] {
							wi.weightPanels(ws, all.operand[b.place:], b.at, g, b.first, b.heights)
						}
					})
				})
				parallel(len(units), 1, func(lo, hi int) {
					wi.space(mostB, mostC, func(ws *tileSpace) {
						for i := lo; i < hi; i++ {
							u := &units[i]
							wi.inputPanels(ws, ws.operand, wi.factors(u.width(kn), wi.c, 1), x, u, g, 0, wi.c)
							for j := range blocks {
								product(ws, &blocks[j], all.operand[blocks[j].place:], u, ws.operand, g)
							}
						}
					})
				})
			})
			continue
		}
		wi.space(mostB*len(units), 0, func(all *tileSpace) {
			parts := kernels.Ceil(wi.c, splitRows)
			parallel(len(units)*parts, 1, func(lo, hi int) {
				wi.space(0, freshB, func(ws *tileSpace) {
					for i := lo; i < hi; i++ {
						u, from := &units[i/parts], i%parts*splitRows
						wi.inputPanels(ws, all.operand[i/parts*mostB:], wi.factors(u.width(kn), wi.c, 1), x, u, g, from, min(from+splitRows, wi.c))
					}
				})
			})
			parallel(len(blocks), 1, func(lo, hi int) {
				wi.space(mostA, mostC, func(ws *tileSpace) {
					for _, b := range blocks[lo:hi] {
						wi.weightPanels(ws, ws.operand, b.at, g, b.first, b.heights)
						for i := range units {
							product(ws, &b, ws.operand, &units[i], all.operand[i*mostB:], g)
						}
					}
				})
			})
		})
	}
}

// fewWeights reports whether the transformed weights are smaller than the transformed input.
func (wi *winograd) fewWeights() bool { return wi.k < wi.n*wi.tilesH*wi.tilesW }

// tileSpace is what a unit of work needs besides its operands.
type tileSpace struct {
	gather            tileGather
	heights           [weightRows/4 + 4]int
	stage, operand, c []float32
}

// space lends memory for a unit of work: operand elements of panels and c of products.
// Sizes are powers of two, so that convolutions share memory that is still in a cache.
func (wi *winograd) space(operand, c int, f func(ws *tileSpace)) {
	n := stageSize + stageSpill + operand + c
	scratch(wi.be, maxBlocks+maxRecords, func(ints []int) {
		scratch(wi.be, 1<<bits.Len(uint(n-1)), func(s []float32) {
			f(&tileSpace{
				gather:  tileGather{blocks: ints[:0:maxBlocks], tiles: ints[maxBlocks:maxBlocks]},
				stage:   s[:stageSize+stageSpill],
				operand: s[stageSize+stageSpill:][:operand],
				c:       s[stageSize+stageSpill+operand:],
			})
		})
	})
}
