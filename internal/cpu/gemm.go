package cpu

// The matrix product that serves MatMul and the convolutions. It is the
// algorithm of Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication" (ACM TOMS 34(3), 2008), in the form of BLIS (Van Zee and van
// de Geijn, ACM TOMS 41(3), 2015): blocks of both operands are packed into
// panels that fit the caches, and a micro-kernel multiplies panels with all its
// sums in registers.
//
// Operands are packed through an interface, so that a convolution needs no
// unfolded image in memory: its operand packs panels straight from the image.
// The result's tiles, and pieces of k where the result is small and k is long,
// are independent units of work whose limits depend on the shape alone; sums of
// pieces are added in order. So the bits do not depend on the number of cores.

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

//go:generate go run -C gen . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg cpu
//go:generate go run -C gen . -neon -part gemm

// A tile of the result is tileRows×tileCols elements at most, computed in
// blocks of tileDepth along k: a block of a stays in the second cache, a panel of
// b in the first. tileCols is a multiple of the widths of all kernels' panels.
const (
	tileRows  = 256
	tileCols  = 512
	tileDepth = 256
	maxWidth  = 32             // lanes of the widest panel
	maxPanels = tileRows/4 + 2 // panels of the narrowest kernel in tileRows
	imageSize = 64 << 10       // elements of an image's part that is staged at a time
	longDepth = 16 * tileDepth // depths whose blocks are summed in one number
	spill     = 16             // elements that packing may write behind a panel's end
	maxSums   = 1 << 20        // elements of partial sums over pieces of k
	minPiece  = 2 * tileDepth  // the least length of a piece of k
	unitWork  = 1 << 18        // multiplications that are worth a unit of their own
	minUnits  = 16             // units to cut a product into that is large enough
	rowsDepth = tileDepth + 8  // length of a row of workspace.rows
	aSize     = (tileRows+16)*tileDepth + maxPanels*spill
	bSize     = tileCols*tileDepth + tileCols/8*spill
	cSize     = (tileRows + 16) * tileCols
)

// kernel is a micro-kernel and what goes with it. Panels of a are heights[i]
// lanes wide, panels of b width lanes.
type kernel[T float] struct {
	heights []int // falling
	width   int
	// run computes c = aᵀ·b, or adds it, for a panel of a of the given height. There is none if parts multiplies.
	run func(height, k int, a, b, c []T, add bool)
	// runTo, if there is such, is run, but writes the result to rows of dst that are ld elements apart.
	runTo func(height, k int, a, b, c []T, add bool, dst []T, ld int)
	// transpose packs blocks of eight elements of eight lanes: dst[(8·b+i)·width + l] = src[lanes[l]+blocks[b]+i].
	transpose func(dst []T, width int, src []T, lanes *[8]int, blocks []int)
	// copy packs rows, in pieces of eight elements from one to the next: dst[i·width + pieces[j].dst + 0…7] =
	// src[offsets[i] + pieces[j].src + 0…7]. The number of pieces is even.
	copy func(dst []T, width int, src []T, offsets []int, pieces []piece)
	// stage copies rows of images, with zeros where they reach over an image's edges.
	stage func(dst, src []T, g *stageGeom)
	// spread copies runs of rows to every other column: dst[i·dstRow + runs[j].dst + 2·l] = src[i·srcRow + runs[j].src + l].
	spread func(dst, src []T, rows, dstRow, srcRow int, runs []run)
	// tiles is what Winograd's algorithms need.
	tiles *tileKernels
	// parts, if there is such, multiplies panels that are split.
	parts *parts[T]
}

// stageGeom says how rows of images are staged: element i of a row is
// src[i+shift] where from <= i < to, else 0, for i < 8·blocks. If odd is not 0,
// element i is that for 2·i, and element i+odd that for 2·i+1. Assembly knows the
// order of the fields.
type stageGeom struct {
	images, rows       int
	dstImage, srcImage int // from one image to the next
	dstRow, srcRow     int // from one row to the next
	blocks             int
	shift, from, to    int
	odd                int // from a row's even columns to its odd ones
}

// kernelOf returns the kernel for T with a precision.
func kernelOf[T float](p backend.Precision) *kernel[T] {
	var k any = current.gemm
	if p == backend.Medium && current.gemmBF16 != nil {
		k = current.gemmBF16
	}
	if k, ok := k.(*kernel[T]); ok {
		return k
	}
	k = &plain64
	return k.(*kernel[T])
}

var (
	plain32 = kernel[float32]{heights: []int{4}, width: 8, run: plainRun[float32],
		transpose: plainTranspose[float32], copy: plainCopy[float32], stage: plainStage[float32],
		spread: plainSpread[float32], tiles: &plainTiles}
	plain64 = kernel[float64]{heights: []int{4}, width: 8, run: plainRun[float64],
		transpose: plainTranspose[float64], copy: plainCopy[float64], stage: plainStage[float64],
		spread: plainSpread[float64]}
)

// plainRun is the micro-kernel in Go, of 4×8 elements, in pieces of 2×4 whose
// sums the compiler keeps in registers.
func plainRun[T float](_, k int, a, b, c []T, add bool) {
	const h, w = 4, 8
	for i := 0; i < h; i += 2 {
		for j := 0; j < w; j += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 T
			for l := range k {
				a := (*[2]T)(a[l*h+i:])
				b := (*[4]T)(b[l*w+j:])
				s00 += a[0] * b[0]
				s01 += a[0] * b[1]
				s02 += a[0] * b[2]
				s03 += a[0] * b[3]
				s10 += a[1] * b[0]
				s11 += a[1] * b[1]
				s12 += a[1] * b[2]
				s13 += a[1] * b[3]
			}
			c0, c1 := (*[4]T)(c[i*w+j:]), (*[4]T)(c[(i+1)*w+j:])
			if add {
				c0[0] += s00
				c0[1] += s01
				c0[2] += s02
				c0[3] += s03
				c1[0] += s10
				c1[1] += s11
				c1[2] += s12
				c1[3] += s13
			} else {
				*c0 = [4]T{s00, s01, s02, s03}
				*c1 = [4]T{s10, s11, s12, s13}
			}
		}
	}
}

func plainTranspose[T float](dst []T, width int, src []T, lanes *[8]int, blocks []int) {
	for i, block := range blocks {
		for l := 7; l >= 0; l-- { // lanes behind the panel's width fall into the next row, which is written over
			at := 8*i*width + l
			for _, v := range (*[8]T)(src[lanes[l]+block:]) {
				dst[at] = v
				at += width
			}
		}
	}
}

func plainCopy[T float](dst []T, width int, src []T, offsets []int, pieces []piece) {
	for i, offset := range offsets {
		to, from := dst[i*width:], src[offset:]
		for _, p := range pieces {
			*(*[8]T)(to[p.dst:]) = *(*[8]T)(from[p.src:])
		}
	}
}

func plainStage[T float](dst, src []T, g *stageGeom) {
	for n := range g.images {
		for r := range g.rows {
			row, at := dst[n*g.dstImage+r*g.dstRow:], n*g.srcImage+r*g.srcRow+g.shift
			if g.odd != 0 {
				for i := range 8 * g.blocks {
					row[i], row[i+g.odd] = 0, 0
				}
				for i := g.from; i < min(g.to, 16*g.blocks); i++ {
					row[i/2+i%2*g.odd] = src[at+i]
				}
				continue
			}
			row = row[:8*g.blocks]
			from, to := min(g.from, len(row)), min(g.to, len(row))
			clear(row[:from])
			if from < to {
				copy(row[from:to], src[at+from:])
			}
			clear(row[max(from, to):])
		}
	}
}

func plainSpread[T float](dst, src []T, rows, dstRow, srcRow int, runs []run) {
	for i := range rows {
		for _, r := range runs {
			to := dst[i*dstRow+r.dst:]
			for l, v := range src[i*srcRow+r.src:][:r.n] {
				to[2*l] = v
			}
		}
	}
}

// split cuts m rows into panels of the kernel's heights: the fewest rows in
// all, then the fewest panels.
func (kn *kernel[T]) split(dst []int, m int) []int {
	tall, low := kn.heights[0], kn.heights[len(kn.heights)-1]
	var nTall, nLow int
	for n, best := 0, math.MaxInt; n < tall && (n == 0 || low != tall); n++ {
		t := (max(m-n*low, 0) + tall - 1) / tall
		if rows := t*tall + n*low; rows < best {
			nTall, nLow, best = t, n, rows
		}
	}
	dst = dst[:0]
	for range nTall {
		dst = append(dst, tall)
	}
	for range nLow {
		dst = append(dst, low)
	}
	return dst
}

// workspace is what a unit of work needs besides its operands. It is taken from
// the pool as it is, one for each core that is at work.
type workspace[T float] struct {
	a       [aSize]T
	b       [bSize]T
	c       [cSize]T
	splitA  [(tileRows + 16) * tileDepth]uint16
	splitB  [maxWidth * tileDepth]uint16 // of one panel
	image   [imageSize]T
	rows    [maxWidth*rowsDepth + spill]T
	steps   [tileDepth / 8]int // 0, 8, 16, …
	offsets [max(tileDepth, tileRows)]int
	blocks  [tileDepth / 8]int
	lanes   [8]int
	pieces  [tileDepth + spill]piece // of one panel or of tileDepth pixels
	runs    [tileCols]run            // of a tile's columns
	whole   [tileCols]run            // those of them that follow each other put together
	stage   stageGeom
	heights [maxPanels]int
	widths  [maxPanels]int
}

// piece is eight elements, or less, that are copied from one place to another.
type piece struct{ dst, src int }

// run is n elements that are copied from one place to another.
type run struct{ dst, src, n int }

// operand packs one factor of a product. The lanes of a are its rows, those of b
// its columns. pack writes the lanes [lane, lane+lanes) at depths [k0, k0+k)
// (k > 0): a panel for each width, whose row i holds the elements at depth k0+i. What
// stands in lanes that are missing does not matter. Panels lie panelSize(width,
// k) apart.
type operand[T float] interface {
	pack(kn *kernel[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int)
}

// panelSize is the room of a panel: transposition writes whole blocks of eight
// rows, and whole blocks of eight elements are written at a row's end.
func panelSize(width, k int) int { return width*((k+7)/8*8) + spill }

// tile is a finished part of a product, rows×cols elements from (row, col) on.
// The columns stand in panels of width columns and height rows.
type tile[T float] struct {
	c                    []T
	height, width        int
	row, rows, col, cols int
	stored               uint64 // the panels, by bits, that were written where they belong
}

// isStored reports whether the panel that a column is in was written where it belongs.
func (t *tile[T]) isStored(col int) bool { return t.stored>>(col/t.width)&1 != 0 }

// place is where a column (counted from the tile's first) of the first row stands in c.
func (t *tile[T]) place(col int) int {
	return col/t.width*t.height*t.width + col%t.width
}

// copy copies pieces of eight elements of all rows to dst, whose rows are ld elements apart. The places of the
// pieces are those in the first row.
func (t *tile[T]) copy(ws *workspace[T], dst []T, ld int, pieces []piece) {
	if len(pieces) == 0 {
		return
	}
	offsets := ws.offsets[:t.rows]
	for i := range offsets {
		offsets[i] = i * t.width
	}
	kernelOf[T](backend.Highest).copy(dst, ld, t.c, offsets, even(pieces))
}

// sink takes the finished tiles of a product.
type sink[T float] interface {
	// store writes the panels of a tile that are not stored.
	store(ws *workspace[T], t tile[T])
	// panel returns where the panel from a column of a tile on belongs, with the elements from one row to the next,
	// or nil if its rows are not contiguous there or need more than to be copied.
	panel(t *tile[T], col int) (dst []T, ld int)
}

// plan is how a product is cut. It depends on the shape only.
type plan struct {
	rows, cols, depth             int // of a tile, and of a piece of k
	tilesM, tilesN, pieces, count int
}

func newPlan(count, m, n, k, width int) plan {
	ceil := func(a, b int) int { return (a + b - 1) / b }
	tilesM, tilesN, pieces := ceil(m, tileRows), ceil(n, tileCols), 1
	// More units, as long as each has enough to do: first by cutting k, which costs no packing, then smaller tiles.
	want := min(minUnits, max(1, int(float64(count)*float64(m)*float64(n)*float64(k)/unitWork)))
	if units := count * tilesM * tilesN; units < want {
		pieces = max(1, min(ceil(want, units), k/minPiece, maxSums/(count*m*n)))
	}
	for count*tilesM*tilesN*pieces < want {
		rows, cols := ceil(m, tilesM), ceil(n, tilesN)
		if rows <= 64 && cols <= 2*width {
			break
		}
		if cols <= 2*width || rows > 64 && tilesM*n < tilesN*m { // what costs less packing: of b for each part of m, of a for each of n
			tilesM *= 2
		} else {
			tilesN *= 2
		}
	}
	p := plan{rows: ceil(m, tilesM), cols: ceil(ceil(n, tilesN), width) * width, depth: k, pieces: pieces, count: count}
	if pieces > 1 {
		p.depth = ceil(ceil(k, pieces), tileDepth) * tileDepth
		p.pieces = ceil(k, p.depth)
	}
	p.tilesM, p.tilesN = ceil(m, p.rows), ceil(n, p.cols)
	return p
}

// product computes count products of m×k by k×n elements; at gives the operands
// of each and the place of its result.
func product[T float](be *Backend, count, m, n, k int, at func(i int) (a, b operand[T], c sink[T])) {
	if count == 0 || m == 0 || n == 0 {
		return
	}
	kn := kernelOf[T](be.precision)
	p := newPlan(count, m, n, k, kn.width)
	tiles := p.tilesM * p.tilesN
	// place is the tile that unit u computes.
	place := func(u int) (i int, t tile[T], piece int) {
		piece = u % p.pieces
		u /= p.pieces
		t.row, t.col = u%tiles/p.tilesN*p.rows, u%tiles%p.tilesN*p.cols
		t.rows, t.cols = min(p.rows, m-t.row), min(p.cols, n-t.col)
		t.width = kn.width
		return u / tiles, t, piece
	}
	units := count * tiles * p.pieces
	grain := max(1, units/64, int(unitWork/(float64(p.rows)*float64(p.cols)*float64(p.depth+1))))
	if p.pieces == 1 {
		parallel(units, grain, func(lo, hi int) {
			scratch(be, 1, func(w []workspace[T]) {
				ws := &w[0]
				ws.init()
				for u := lo; u < hi; u++ {
					i, t, _ := place(u)
					a, b, c := at(i)
					t.c = ws.c[:]
					t.compute(be, kn, ws, a, b, c, 0, k)
					c.store(ws, t)
				}
			})
		})
		return
	}
	size := (p.rows + 16) * p.cols
	scratch(be, units*size, func(sums []T) {
		parallel(units, grain, func(lo, hi int) {
			scratch(be, 1, func(w []workspace[T]) {
				ws := &w[0]
				ws.init()
				for u := lo; u < hi; u++ {
					i, t, piece := place(u)
					a, b, _ := at(i)
					t.c = sums[u*size : (u+1)*size]
					k0 := piece * p.depth
					t.compute(be, kn, ws, a, b, nil, k0, min(p.depth, k-k0))
				}
			})
		})
		parallel(units/p.pieces, 1, func(lo, hi int) {
			scratch(be, 1, func(w []workspace[T]) {
				for u := lo * p.pieces; u < hi*p.pieces; u += p.pieces {
					i, t, _ := place(u)
					for _, h := range kn.split(w[0].heights[:0], t.rows) {
						t.height += h
					}
					t.c = sums[u*size:][:t.height*((t.cols+t.width-1)/t.width*t.width)]
					for piece := 1; piece < p.pieces; piece++ {
						addTo(t.c, sums[(u+piece)*size:])
					}
					_, _, c := at(i)
					c.store(&w[0], t)
				}
			})
		})
	})
}

// addTo adds as many elements to dst as it has.
func addTo[T float](dst, src []T) {
	add := vectorOf[T]().add
	for i := 0; i < len(dst); i += longest {
		to := dst[i:min(i+longest, len(dst))]
		add(to, to, src[i:])
	}
}

func (ws *workspace[T]) init() {
	for i := range ws.steps {
		ws.steps[i] = 8 * i
	}
}

// compute sums the tile over the depths [k0, k0+k). Panels that to, if it is not nil, has a place for go there. Where k is long, no
// number of T takes all of a sum.
func (t *tile[T]) compute(be *Backend, kn *kernel[T], ws *workspace[T], a, b operand[T], to sink[T], k0, k int) {
	if k <= 4*longDepth { // no longer than pays
		t.computeBlocks(kn, ws, a, b, to, k0, k)
		return
	}
	height := 0
	for _, h := range kn.split(ws.heights[:0], t.rows) {
		height += h
	}
	// Numbers of T take 16 of those sums, and of float64 what these make.
	c := t.c[:height*ceil(t.cols, kn.width)*kn.width]
	scratch(be, len(c), func(some []T) {
		scratch(be, len(c), func(sums []float64) {
			clear(some)
			clear(sums)
			for i, done := 1, 0; done < k; i, done = i+1, done+longDepth {
				t.computeBlocks(kn, ws, a, b, nil, k0+done, min(longDepth, k-done))
				addTo(some, c)
				if i%16 == 0 || done+longDepth >= k {
					for i, v := range some {
						sums[i] += float64(v)
					}
					clear(some)
				}
			}
			for i, v := range sums {
				c[i] = T(v)
			}
		})
	})
}

// computeBlocks is compute for depths that are not long.
func (t *tile[T]) computeBlocks(kn *kernel[T], ws *workspace[T], a, b operand[T], to sink[T], k0, k int) {
	heights := kn.split(ws.heights[:0], t.rows)
	t.height = 0
	for _, h := range heights {
		t.height += h
	}
	widths := ws.widths[:(t.cols+kn.width-1)/kn.width]
	for i := range widths {
		widths[i] = kn.width
	}
	if k == 0 { // sums of nothing
		clear(t.c[:t.height*len(widths)*kn.width])
		return
	}
	// Blocks of one depth: what a short one at the end would do for each time that c is loaded and stored is little.
	blocks := (k + tileDepth - 1) / tileDepth
	size := ((k+blocks-1)/blocks + 7) / 8 * 8
	for done := 0; done < k; done += size {
		depth := min(size, k-done)
		a.pack(kn, ws, ws.a[:], heights, t.row, t.rows, k0+done, depth)
		b.pack(kn, ws, ws.b[:], widths, t.col, t.cols, k0+done, depth)
		if kn.parts != nil {
			t.computeParts(kn, ws, heights, depth, done > 0)
			continue
		}
		for j := range widths {
			panelB := ws.b[j*panelSize(kn.width, depth):]
			c := t.c[j*t.height*kn.width:]
			var dst []T
			var ld int
			if to != nil && kn.runTo != nil && t.height == t.rows && done+depth >= k {
				if dst, ld = to.panel(t, j*kn.width); dst != nil {
					t.stored |= 1 << j
				}
			}
			from, row := 0, 0
			for _, h := range heights {
				if dst != nil {
					kn.runTo(h, depth, ws.a[from:], panelB, c[row*kn.width:], done > 0, dst[row*ld:], ld)
				} else {
					kn.run(h, depth, ws.a[from:], panelB, c[row*kn.width:], done > 0)
				}
				from += panelSize(h, depth)
				row += h
			}
		}
	}
}

// computeParts splits the panels of a block and multiplies them.
func (t *tile[T]) computeParts(kn *kernel[T], ws *workspace[T], heights []int, depth int, add bool) {
	p := kn.parts
	from, to := 0, 0
	for _, h := range heights {
		p.splitA(ws.splitA[to:], ws.a[from:], h, depth)
		from += panelSize(h, depth)
		to += p.size(h, depth)
	}
	for col := 0; col < t.cols; col += kn.width {
		p.splitB(ws.splitB[:], ws.b[col/kn.width*panelSize(kn.width, depth):], kn.width, depth)
		from, c := 0, t.c[col*t.height:]
		for _, h := range heights {
			p.run(h, depth, ws.splitA[from:], ws.splitB[:], c, add)
			from += p.size(h, depth)
			c = c[h*kn.width:]
		}
	}
}

// matrix is an operand that lies in memory as a matrix: the element of lane l at
// depth k is data[l·ld + k] if deep, else data[k·ld + l].
type matrix[T float] struct {
	data []T
	ld   int
	deep bool
}

func (m *matrix[T]) pack(kn *kernel[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int) {
	if !m.deep {
		m.packRows(kn, ws, dst, widths, lane, lanes, k0, k)
		return
	}
	end := lane + lanes
	for _, w := range widths {
		n := min(w, end-lane)
		m.packDeep(kn, ws, dst, w, lane, n, k0, k)
		dst = dst[panelSize(w, k):]
		lane += n
	}
}

// packRows copies row by row for all panels at once, so that the matrix is read
// as it lies in memory. Pieces that would reach behind its end are copied one by
// one.
func (m *matrix[T]) packRows(kn *kernel[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int) {
	src := m.data[k0*m.ld+lane:]
	offsets := ws.offsets[:k]
	for i := range offsets {
		offsets[i] = i * m.ld
	}
	done := 0
	for len(widths) > 0 {
		w, count := widths[0], 0
		pieces := ws.pieces[:0]
		for ; count < len(widths) && widths[count] == w && (k-1)*m.ld+done+(w+7)/8*8 <= len(src); count++ {
			for i := 0; i < w; i += 8 {
				pieces = append(pieces, piece{dst: count*panelSize(w, k) + i, src: done + i})
			}
			done += w
		}
		if count > 0 {
			kn.copy(dst, w, src, offsets, even(pieces))
		} else {
			for i := range k {
				row := dst[i*w : (i+1)*w]
				clear(row[copy(row, src[i*m.ld+done:][:min(w, lanes-done)]):])
			}
			count = 1
			done += w
		}
		dst, widths = dst[count*panelSize(w, k):], widths[count:]
	}
}

func (m *matrix[T]) packDeep(kn *kernel[T], ws *workspace[T], dst []T, w, lane, n, k0, k int) {
	whole := k / 8 * 8
	ws.transpose(kn, dst, w, n, m.data, func(l int) int { return (lane+l)*m.ld + k0 }, ws.steps[:k/8])
	for i := whole; i < k; i++ {
		row := dst[i*w : (i+1)*w]
		for l := range n {
			row[l] = m.data[(lane+l)*m.ld+k0+i]
		}
		clear(row[n:])
	}
}

// transpose packs a panel of w lanes, n of which are there, each contiguous in
// src in blocks of eight. A group of eight lanes that the panel's width cuts off
// writes over the start of the next row, so the last group comes first.
func (ws *workspace[T]) transpose(kn *kernel[T], dst []T, w, n int, src []T, lane func(l int) int, blocks []int) {
	for g := (w - 1) / 8 * 8; g >= 0; g -= 8 {
		for l := range ws.lanes {
			ws.lanes[l] = lane(min(g+l, n-1))
		}
		kn.transpose(dst[g:], w, src, &ws.lanes, blocks)
	}
}

// matrixSink writes to, or adds to, a row-major matrix.
type matrixSink[T float] struct {
	data []T
	ld   int
	add  bool
}

func (s *matrixSink[T]) panel(t *tile[T], col int) ([]T, int) {
	if s.add || col+t.width > t.cols {
		return nil, 0
	}
	return s.data[t.row*s.ld+t.col+col:], s.ld
}

func (s *matrixSink[T]) store(ws *workspace[T], t tile[T]) {
	whole := 0 // columns that are copied in pieces of eight
	if !s.add {
		whole = t.cols / 8 * 8
		pieces := ws.pieces[:0]
		for col := 0; col < whole; col += 8 {
			if t.isStored(col) {
				continue
			}
			pieces = append(pieces, piece{dst: col, src: t.place(col)})
		}
		t.copy(ws, s.data[t.row*s.ld+t.col:], s.ld, pieces)
	}
	for r := range t.rows {
		dst := s.data[(t.row+r)*s.ld+t.col:][:t.cols]
		for col := whole; col < t.cols; {
			src := t.c[t.place(col)+r*t.width:][:min(t.width-col%t.width, t.cols-col)]
			if s.add {
				addTo(dst[col:col+len(src)], src)
			} else {
				copy(dst[col:], src)
			}
			col += len(src)
		}
	}
}
