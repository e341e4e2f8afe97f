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
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// A tile of the result is tileRows×tileCols elements at most, computed in
// blocks of GemmDepth along k: a block of a stays in the second cache, a panel of
// b in the first. tileCols is a multiple of the widths of all kernels' panels.
const (
	tileRows = 256
	tileCols = 512

	maxWidth  = 32                     // lanes of the widest panel
	maxPanels = tileRows/4 + 2         // panels of the narrowest kernel in tileRows
	imageSize = 64 << 10               // elements of an image's part that is staged at a time
	longDepth = 16 * kernels.GemmDepth // depths whose blocks are summed in one number
	spill     = 16                     // elements that packing may write behind a panel's end
	maxSums   = 1 << 20                // elements of partial sums over pieces of k
	minPiece  = 2 * kernels.GemmDepth  // the least length of a piece of k
	unitWork  = 1 << 18                // multiplications that are worth a unit of their own
	minUnits  = 16                     // units to cut a product into that is large enough

	aSize = (tileRows+16)*kernels.GemmDepth + maxPanels*spill
	bSize = tileCols*kernels.GemmDepth + tileCols/8*spill
	cSize = (tileRows + 16) * tileCols
)

// kernelOf returns the kernel for T with a precision.
func kernelOf[T kernels.Float](p backend.Precision) *kernels.Gemm[T] {
	var k any = kernels.Current.Gemm
	if p == backend.Medium && kernels.Current.GemmBF16 != nil {
		k = kernels.Current.GemmBF16
	}
	if k, ok := k.(*kernels.Gemm[T]); ok {
		return k
	}
	k = &plain64
	return k.(*kernels.Gemm[T])
}

var (
	plain64 = kernels.Gemm[float64]{Heights: []int{4}, Width: 8, Run: kernels.PlainRun[float64],
		Transpose: kernels.PlainTranspose[float64], Copy: kernels.PlainCopy[float64], Stage: kernels.PlainStage[float64],
		Spread: kernels.PlainSpread[float64]}
)

// workspace is what a unit of work needs besides its operands. It is taken from
// the pool as it is, one for each core that is at work.
type workspace[T kernels.Float] struct {
	a       [aSize]T
	b       [bSize]T
	c       [cSize]T
	splitA  [(tileRows + 16) * kernels.GemmDepth]uint16
	splitB  [maxWidth * kernels.GemmDepth]uint16 // of one panel
	image   [imageSize]T
	rows    [maxWidth*kernels.GemmRowDepth + spill]T
	steps   [kernels.GemmDepth / 8]int // 0, 8, 16, …
	offsets [max(kernels.GemmDepth, tileRows)]int
	blocks  [kernels.GemmDepth / 8]int
	lanes   [8]int
	pieces  [kernels.GemmDepth + spill]kernels.Piece // of one panel or of GemmDepth pixels
	runs    [tileCols]kernels.Run                    // of a tile's columns
	whole   [tileCols]kernels.Run                    // those of them that follow each other put together
	stage   kernels.StageGeom
	heights [maxPanels]int
	widths  [maxPanels]int
}

// operand packs one factor of a product. The lanes of a are its rows, those of b
// its columns. pack writes the lanes [lane, lane+lanes) at depths [k0, k0+k)
// (k > 0): a panel for each width, whose row i holds the elements at depth k0+i. What
// stands in lanes that are missing does not matter. Panels lie panelSize(width,
// k) apart.
type operand[T kernels.Float] interface {
	pack(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int)
}

// panelSize is the room of a panel: transposition writes whole blocks of eight
// rows, and whole blocks of eight elements are written at a row's end.
func panelSize(width, k int) int { return width*((k+7)/8*8) + spill }

// tile is a finished part of a product, rows×cols elements from (row, col) on.
// The columns stand in panels of width columns and height rows.
type tile[T kernels.Float] struct {
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
func (t *tile[T]) copy(ws *workspace[T], dst []T, ld int, pieces []kernels.Piece) {
	if len(pieces) == 0 {
		return
	}
	offsets := ws.offsets[:t.rows]
	for i := range offsets {
		offsets[i] = i * t.width
	}
	kernelOf[T](backend.Highest).Copy(dst, ld, t.c, offsets, even(pieces))
}

// sink takes the finished tiles of a product.
type sink[T kernels.Float] interface {
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
		p.depth = ceil(ceil(k, pieces), kernels.GemmDepth) * kernels.GemmDepth
		p.pieces = ceil(k, p.depth)
	}
	p.tilesM, p.tilesN = ceil(m, p.rows), ceil(n, p.cols)
	return p
}

// product computes count products of m×k by k×n elements; at gives the operands
// of each and the place of its result.
func product[T kernels.Float](be *Backend, count, m, n, k int, at func(i int) (a, b operand[T], c sink[T])) {
	if count == 0 || m == 0 || n == 0 {
		return
	}
	kn := kernelOf[T](be.precision)
	p := newPlan(count, m, n, k, kn.Width)
	tiles := p.tilesM * p.tilesN
	// place is the tile that unit u computes.
	place := func(u int) (i int, t tile[T], piece int) {
		piece = u % p.pieces
		u /= p.pieces
		t.row, t.col = u%tiles/p.tilesN*p.rows, u%tiles%p.tilesN*p.cols
		t.rows, t.cols = min(p.rows, m-t.row), min(p.cols, n-t.col)
		t.width = kn.Width
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
					for _, h := range kn.Split(w[0].heights[:0], t.rows) {
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
func addTo[T kernels.Float](dst, src []T) {
	add := kernels.VectorOf[T]().Add
	for i := 0; i < len(dst); i += kernels.Longest {
		to := dst[i:min(i+kernels.Longest, len(dst))]
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
func (t *tile[T]) compute(be *Backend, kn *kernels.Gemm[T], ws *workspace[T], a, b operand[T], to sink[T], k0, k int) {
	if k <= 4*longDepth { // no longer than pays
		t.computeBlocks(kn, ws, a, b, to, k0, k)
		return
	}
	height := 0
	for _, h := range kn.Split(ws.heights[:0], t.rows) {
		height += h
	}
	// Numbers of T take 16 of those sums, and of float64 what these make.
	c := t.c[:height*kernels.Ceil(t.cols, kn.Width)*kn.Width]
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
func (t *tile[T]) computeBlocks(kn *kernels.Gemm[T], ws *workspace[T], a, b operand[T], to sink[T], k0, k int) {
	heights := kn.Split(ws.heights[:0], t.rows)
	t.height = 0
	for _, h := range heights {
		t.height += h
	}
	widths := ws.widths[:(t.cols+kn.Width-1)/kn.Width]
	for i := range widths {
		widths[i] = kn.Width
	}
	if k == 0 { // sums of nothing
		clear(t.c[:t.height*len(widths)*kn.Width])
		return
	}
	// Blocks of one depth: what a short one at the end would do for each time that c is loaded and stored is little.
	blocks := (k + kernels.GemmDepth - 1) / kernels.GemmDepth
	size := ((k+blocks-1)/blocks + 7) / 8 * 8
	for done := 0; done < k; done += size {
		depth := min(size, k-done)
		a.pack(kn, ws, ws.a[:], heights, t.row, t.rows, k0+done, depth)
		b.pack(kn, ws, ws.b[:], widths, t.col, t.cols, k0+done, depth)
		if kn.SplitGemm != nil {
			t.computeParts(kn, ws, heights, depth, done > 0)
			continue
		}
		for j := range widths {
			panelB := ws.b[j*panelSize(kn.Width, depth):]
			c := t.c[j*t.height*kn.Width:]
			var dst []T
			var ld int
			if to != nil && kn.RunTo != nil && t.height == t.rows && done+depth >= k {
				if dst, ld = to.panel(t, j*kn.Width); dst != nil {
					t.stored |= 1 << j
				}
			}
			from, row := 0, 0
			for _, h := range heights {
				if dst != nil {
					kn.RunTo(h, depth, ws.a[from:], panelB, c[row*kn.Width:], done > 0, dst[row*ld:], ld)
				} else {
					kn.Run(h, depth, ws.a[from:], panelB, c[row*kn.Width:], done > 0)
				}
				from += panelSize(h, depth)
				row += h
			}
		}
	}
}

// computeParts splits the panels of a block and multiplies them.
func (t *tile[T]) computeParts(kn *kernels.Gemm[T], ws *workspace[T], heights []int, depth int, add bool) {
	p := kn.SplitGemm
	from, to := 0, 0
	for _, h := range heights {
		p.SplitA(ws.splitA[to:], ws.a[from:], h, depth)
		from += panelSize(h, depth)
		to += p.Size(h, depth)
	}
	for col := 0; col < t.cols; col += kn.Width {
		p.SplitB(ws.splitB[:], ws.b[col/kn.Width*panelSize(kn.Width, depth):], kn.Width, depth)
		from, c := 0, t.c[col*t.height:]
		for _, h := range heights {
			p.Run(h, depth, ws.splitA[from:], ws.splitB[:], c, add)
			from += p.Size(h, depth)
			c = c[h*kn.Width:]
		}
	}
}

// matrix is an operand that lies in memory as a matrix: the element of lane l at
// depth k is data[l·ld + k] if deep, else data[k·ld + l].
type matrix[T kernels.Float] struct {
	data []T
	ld   int
	deep bool
}

func (m *matrix[T]) pack(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int) {
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
func (m *matrix[T]) packRows(kn *kernels.Gemm[T], ws *workspace[T], dst []T, widths []int, lane, lanes, k0, k int) {
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
				pieces = append(pieces, kernels.Piece{Dst: count*panelSize(w, k) + i, Src: done + i})
			}
			done += w
		}
		if count > 0 {
			kn.Copy(dst, w, src, offsets, even(pieces))
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

func (m *matrix[T]) packDeep(kn *kernels.Gemm[T], ws *workspace[T], dst []T, w, lane, n, k0, k int) {
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
func (ws *workspace[T]) transpose(kn *kernels.Gemm[T], dst []T, w, n int, src []T, lane func(l int) int, blocks []int) {
	for g := (w - 1) / 8 * 8; g >= 0; g -= 8 {
		for l := range ws.lanes {
			ws.lanes[l] = lane(min(g+l, n-1))
		}
		kn.Transpose(dst[g:], w, src, &ws.lanes, blocks)
	}
}

// matrixSink writes to, or adds to, a row-major matrix.
type matrixSink[T kernels.Float] struct {
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
			pieces = append(pieces, kernels.Piece{Dst: col, Src: t.place(col)})
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
