package cpu

import (
	"runtime"

	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// gradPlan is how the gradient of a weight is computed: cut into units of rows and columns of
// the weight, and into pieces of the sum over the tiles of the images. Tiles go through in
// blocks, which are staged together; blocks make batches, whose panels are multiplied at once;
// batches make pieces.
type gradPlan struct {
	*winograd
	dy, x kernels.Floats

	rows, cols, images   int // of tiles in a block
	down, across, blocks int // blocks in an image; of all images
	each, batches        int // blocks in a batch; batches
	pieces, length       int // pieces; batches in a piece

	rowsK, colsC, unitsK, unitsC int // rows and columns of a unit; units

	atA, atB, atC    panels
	splitA, splitB   panels // where the parts lie if numbers are split, behind the numbers
	sizeA, sizeB     int
	operands, sizeOf int // elements of a unit's operands, and of a gradient
}

// newGradPlan makes the plan for the gradients dy of the output and the input x.
func newGradPlan(wi *winograd, dy, x kernels.Floats) *gradPlan {
	pl := &gradPlan{winograd: wi, dy: dy, x: x, sizeOf: wi.groups * wi.k * wi.c * 9}
	pl.cutTiles()
	pl.cutWeight()
	products, tallest := wi.scheme.H*wi.scheme.W, pl.rowsK+wi.kn.Heights[0]
	depth, gaps := pl.each*pl.images*pl.rows*pl.cols, pl.rowsK/4+4
	pl.atA, pl.atB, pl.atC = newPanels(tallest, depth, gaps), newPanels(pl.colsC, depth, 1), newPanels(pl.colsC, tallest, 1)
	pl.splitA, pl.splitB = pl.atA, pl.atB
	pl.sizeA, pl.sizeB = pl.atA.size(products), pl.atB.size(products)
	pl.operands = pl.sizeA + pl.sizeB
	if wi.kn.SplitGemm != nil {
		pl.splitA, pl.splitB = wi.factors(tallest, depth, gaps), wi.factors(pl.colsC, depth, 1)
		pl.operands += pl.splitA.size(products) + pl.splitB.size(products)
	}
	return pl
}

// cutTiles cuts the tiles of the images into blocks, of several images if the maps are small,
// and these into batches.
func (pl *gradPlan) cutTiles() {
	s := pl.scheme
	pixels := stageSize/max(pl.kn.Width, maxWidth) - 8 // that fit
	rows, cols := 1, pl.tilesW
	if cols > unitTiles {
		cols = kernels.Ceil(cols, kernels.Ceil(cols, unitTiles))
	}
	for row := kernels.Ceil((cols-1)*s.OutW+s.InW, 8) * 8; rows < pl.tilesH && (rows+1)*cols <= stageTiles && (rows*s.OutH+s.InH)*row <= pixels; {
		rows++
	}
	images := 1
	if rows == pl.tilesH && cols == pl.tilesW {
		most := min(gradRows/(rows*cols), pixels/(kernels.Ceil(max(pl.h*pl.w, pl.p*pl.q), 8)*8))
		for 2*images <= most {
			images *= 2
		}
	}
	pl.rows, pl.cols, pl.images = rows, cols, images
	pl.down, pl.across = kernels.Ceil(pl.tilesH, rows), kernels.Ceil(pl.tilesW, cols)
	pl.blocks = kernels.Ceil(pl.n, images) * pl.down * pl.across
	pl.each = max(1, gradRows/(images*rows*cols))
	pl.batches = kernels.Ceil(pl.blocks, pl.each)
	pl.pieces = min(kernels.Ceil(minUnits, pl.groups*kernels.Ceil(pl.k, weightRows)*kernels.Ceil(pl.c, weightRows)), kernels.Ceil(pl.batches, 4))
	pl.length = kernels.Ceil(pl.batches, pl.pieces)
	pl.pieces = kernels.Ceil(pl.batches, pl.length)
}

// cutWeight cuts the weight's rows and columns into units, smaller ones if there are too few for
// the cores.
func (pl *gradPlan) cutWeight() {
	for rows := weightRows; rows >= 32; rows /= 2 {
		pl.rowsK = kernels.Ceil(pl.k, kernels.Ceil(pl.k, rows))
		pl.colsC = kernels.Ceil(kernels.Ceil(pl.c, kernels.Ceil(pl.c, rows)), pl.kn.Width) * pl.kn.Width
		pl.unitsK, pl.unitsC = kernels.Ceil(pl.k, pl.rowsK), kernels.Ceil(pl.c, pl.colsC)
		if pl.units() >= 2*runtime.GOMAXPROCS(0) {
			break
		}
	}
}

// units returns the number of units of work.
func (pl *gradPlan) units() int { return pl.groups * pl.unitsK * pl.unitsC * pl.pieces }

// compute writes the gradient: the sum, or the sum of the pieces in their order.
func (pl *gradPlan) compute(dw kernels.Floats) {
	if pl.pieces == 1 {
		pl.sum(dw)
		return
	}
	size := pl.sizeOf
	pl.space(pl.pieces*size, 0, func(all *tileSpace) {
		parts := all.operand
		pl.sum(kernels.Floats{Wide: parts})
		parallel(size, grain, func(lo, hi int) {
			total := parts[lo:hi]
			for piece := 1; piece < pl.pieces; piece++ {
				for i, v := range parts[piece*size+lo : piece*size+hi] {
					total[i] += v
				}
			}
			dw.Store(lo, total)
		})
	})
}

// sum computes all units of all pieces.
func (pl *gradPlan) sum(dst kernels.Floats) {
	products := pl.scheme.H * pl.scheme.W
	parallel(pl.units(), 1, func(lo, hi int) {
		pl.space(pl.operands, pl.atC.size(products), func(ws *tileSpace) {
			for u := lo; u < hi; u++ {
				pl.unit(ws, u).sum(dst)
			}
		})
	})
}

// gradUnit is some rows k and columns c of a group's weight, and a piece of their sums.
type gradUnit struct {
	*gradPlan
	ws *tileSpace

	piece, group int
	k0, k        int
	c0, c        int
	heights      []int // of the panels of rows
	height       int   // their sum

	a, b           []float32 // panels
	splitA, splitB []float32 // and their parts
}

func (pl *gradPlan) unit(ws *tileSpace, u int) *gradUnit {
	at := u / pl.pieces % (pl.unitsK * pl.unitsC)
	un := &gradUnit{gradPlan: pl, ws: ws, piece: u % pl.pieces, group: u / pl.pieces / (pl.unitsK * pl.unitsC),
		k0: at / pl.unitsC * pl.rowsK, c0: at % pl.unitsC * pl.colsC}
	un.k, un.c = min(pl.rowsK, pl.k-un.k0), min(pl.colsC, pl.c-un.c0)
	un.heights = pl.kn.Split(ws.heights[:0], un.k)
	for _, h := range un.heights {
		un.height += h
	}
	un.a, un.b = ws.operand[:pl.sizeA], ws.operand[pl.sizeA:][:pl.sizeB]
	un.splitA, un.splitB = un.a, un.b
	if pl.kn.SplitGemm != nil {
		parts := ws.operand[pl.sizeA+pl.sizeB:]
		un.splitA, un.splitB = parts, parts[pl.splitA.size(pl.scheme.H*pl.scheme.W):]
	}
	return un
}

// sum adds up the unit's batches and writes its part of the gradient.
func (un *gradUnit) sum(dst kernels.Floats) {
	pl, cols := un.gradPlan, kernels.Ceil(un.c, un.kn.Width)*un.kn.Width
	for batch := un.piece * pl.length; batch < min((un.piece+1)*pl.length, pl.batches); batch++ {
		depth := un.fill(batch)
		if pl.kn.SplitGemm != nil {
			un.split(cols, depth)
		}
		pl.multiply(un.ws.c, pl.atC.stride, gemmFactor{data: un.splitA, at: pl.splitA, heights: un.heights, lanes: un.height},
			gemmFactor{data: un.splitB, at: pl.splitB, lanes: cols}, depth, batch > un.piece*pl.length)
	}
	pl.weightGradOutputs(un.ws, dst.From(un.piece*pl.sizeOf+((un.group*pl.k+un.k0)*pl.c+un.c0)*9), pl.atC.stride, un.height, un.k, un.c)
}

// fill transforms the blocks of a batch into the panels, and returns how many tiles they have.
func (un *gradUnit) fill(batch int) (depth int) {
	pl := un.gradPlan
	for i := batch * pl.each; i < min((batch+1)*pl.each, pl.blocks); i++ {
		n, ty, tx := i/(pl.down*pl.across)*pl.images, i/pl.across%pl.down*pl.rows, i%pl.across*pl.cols
		t := columns{n: n, toN: min(n+pl.images, pl.n), ty: ty, toY: min(ty+pl.rows, pl.tilesH), tx: tx, toX: min(tx+pl.cols, pl.tilesW)}
		un.outputPanels(&t, depth)
		un.inputPanels(&t, depth)
		depth += (t.toN - t.n) * t.tiles()
	}
	return depth
}

// lay says where the pixels of the tiles t lie, and that they go to panels of width lanes, depths
// from d on.
func (un *gradUnit) lay(t *columns, d, width, stride int, m grid) {
	ga, tiles := &un.ws.gather, t.tiles()
	ga.reset(width)
	for n := range t.toN - t.n {
		ga.add(n*stride, m, t, func(i int) int { return (d + n*tiles + i) * width })
	}
}

// outputPanels transforms the tiles t of each image of the output's gradient: the unit's rows, for
// depths from d on.
func (un *gradUnit) outputPanels(t *columns, d int) {
	kn, ws, k0, k, a := un.kn, un.ws, un.k0, un.k, un.a
	plane, stride := un.p*un.q, un.groups*un.gradPlan.k*un.p*un.q
	for i, h := range un.heights {
		if i == 0 || h != un.heights[i-1] {
			un.lay(t, d, h, stride, un.outputGrid())
		}
		ahead := 0
		if k > h {
			ahead = h * plane
		}
		ws.gather.stage(kn, ws.stage, un.dy.From(t.n*stride+(un.group*un.gradPlan.k+k0)*plane), min(h, k), plane, ahead)
		for l := 0; l < h; l += kn.Winograd.Lanes {
			kn.Winograd.Transform(un.scheme, kernels.OutputGradMap, a[l:], un.scheme.W*un.atA.stride, un.atA.stride, ws.stage[l:], ws.gather.tiles)
		}
		a = a[h*un.atA.depth+gap:]
		k0 += h
		k -= h
	}
}

// inputPanels transforms the tiles t of each image of the input: the unit's columns, for depths
// from d on.
func (un *gradUnit) inputPanels(t *columns, d int) {
	kn, ws, c0, b := un.kn, un.ws, un.c0, un.b
	plane, stride := un.h*un.w, un.groups*un.gradPlan.c*un.h*un.w
	un.lay(t, d, kn.Width, stride, un.inputGrid())
	for c := un.c; c > 0; c -= kn.Width {
		ahead := 0
		if c > kn.Width {
			ahead = kn.Width * plane
		}
		ws.gather.stage(kn, ws.stage, un.x.From(t.n*stride+(un.group*un.gradPlan.c+c0)*plane), min(kn.Width, c), plane, ahead)
		for l := 0; l < kn.Width; l += kn.Winograd.Lanes {
			kn.Winograd.Transform(un.scheme, kernels.InputMap, b[l:], un.scheme.W*un.atB.stride, un.atB.stride, ws.stage[l:], ws.gather.tiles)
		}
		b = b[kn.Width*un.atB.depth:]
		c0 += kn.Width
	}
}

// split splits the numbers of the panels, of so many columns and depths.
func (un *gradUnit) split(cols, depth int) {
	pl, kn := un.gradPlan, un.kn
	from, to := 0, 0
	for _, h := range un.heights {
		pl.winograd.split(kn.SplitGemm.SplitA, un.splitA[to:], pl.splitA.stride, un.a[from:], pl.atA.stride, h, depth)
		from, to = from+h*pl.atA.depth+gap, to+h*pl.splitA.depth+gap
	}
	for col := 0; col < cols; col += kn.Width {
		pl.winograd.split(kn.SplitGemm.SplitB, un.splitB[col*pl.splitB.depth:], pl.splitB.stride, un.b[col*pl.atB.depth:], pl.atB.stride, kn.Width, depth)
	}
}

// weightGradOutputs transforms the products of k rows and c columns and writes them to a
// weight that begins at dw.
func (wi *winograd) weightGradOutputs(ws *tileSpace, dw kernels.Floats, stride, height, k, c int) {
	s, width, lanes := wi.scheme, wi.kn.Width, wi.kn.Winograd.Lanes
	// The vectors of a row, nine taps of each.
	tiles := ws.gather.tiles[:0]
	for l := 0; l < c; l += lanes {
		tiles = append(tiles, 9*l)
		for p := range s.H * s.W {
			tiles = append(tiles, p*stride+l/width*height*width+l%width)
		}
	}
	ws.gather.tiles = tiles
	var at [8]int
	first := [1]int{}
	for row := range k {
		wi.kn.Winograd.Transform(s, kernels.WeightGradMap, ws.stage, 3*lanes, lanes, ws.c[row*width:], tiles)
		to := dw.From(row * wi.c * 9)
		for l := 0; l < c; l += 8 {
			from := ws.stage[l/lanes*lanes*9+l%lanes:]
			for i := range at {
				at[i] = min(l+i, c-1) * 9
			}
			wi.kn.Winograd.Scatter(to, &at, first[:], from, lanes, 0)
			for i, v := range (*[8]float32)(from[8*lanes:]) {
				if l+i < c {
					to.Set(at[i]+8, v)
				}
			}
		}
	}
}
