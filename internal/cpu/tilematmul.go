package cpu

// Products of matrices of float32 numbers on matrix tiles; parts.go has the splitting of numbers. Both matrices are split as a whole, by
// blocks of 32 rows of the one and 32 columns of the other, whose groups of 32 depths are what tiles hold. Then blocks of sums are
// computed where they belong. The order of a sum depends on its length only.

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

const (
	tileRowBlocks = 16      // blocks of rows that a unit of work goes through for each block of columns
	tileColBlocks = 8       // blocks of columns of a unit of work
	tileChunk     = 8       // groups of depths whose blocks stay in the second cache
	tileDeepest   = 1 << 16 // depths, whose chunks are added up in one number
	tileLeast     = 3 << 25 // multiplications for each product of parts that are worth the splitting, also where a neighbour keeps the tiles busy
)

// tilesMultiply reports whether matrices are multiplied on tiles: a rule of the shape.
func (be *Backend) tilesMultiply(g backend.MatMulGeom) bool {
	return kernels.Current.AMX != nil && min(g.M, g.N, g.K) >= kernels.AMXSide && g.K <= tileDeepest && g.M*g.N*g.K >= tileLeast*kernels.Current.AMX.Parts[be.parts()-1].Work
}

// parts returns the number of parts of numbers that the precision takes.
func (be *Backend) parts() int { return 3 - int(be.precision) }

// tileMatMul multiplies matrices on tiles.
func (be *Backend) tileMatMul(c, x, y []float32, g *backend.MatMulGeom) {
	ops := kernels.Current.AMX
	count := be.parts()
	parts := &ops.Parts[count-1]
	blocksM, blocksN, groups := kernels.Ceil(g.M, kernels.AMXSide), kernels.Ceil(g.N, kernels.AMXSide), kernels.Ceil(g.K, kernels.AMXSide)
	tilesM, tilesN := kernels.Ceil(blocksM, tileRowBlocks), kernels.Ceil(blocksN, tileColBlocks)
	block := groups * count * kernels.AMXTileBytes // of split numbers
	steps := make([]kernels.AMXStep, groups)
	for i := range steps {
		steps[i] = kernels.AMXStep{A: i * count * kernels.AMXTileBytes, B: i * count * kernels.AMXTileBytes}
	}
	// product multiplies matrix i of the batch; each calls f for parts of n units of work.
	product := func(i int, each func(n int, f func(lo, hi int))) {
		fromX, fromY := offsets(g, i)
		x, y, c := x[fromX:], y[fromY:], c[i*g.M*g.N:][:g.M*g.N]
		scratch(be, (blocksM+blocksN)*block/2, func(packed []uint16) {
			a, b := packed[:blocksM*block/2], packed[blocksM*block/2:]
			each(blocksM+blocksN, func(lo, hi int) {
				for j := lo; j < hi; j++ {
					if k := j - blocksM; k < 0 {
						splitTiles(ops, be, parts, a[j*block/2:][:block/2], x, g.LDA, j*kernels.AMXSide, g.M, g.K, !g.TransA, true)
					} else {
						splitTiles(ops, be, parts, b[k*block/2:][:block/2], y, g.LDB, k*kernels.AMXSide, g.N, g.K, g.TransB, false)
					}
				}
			})
			each(tilesM*tilesN, func(lo, hi int) {
				scratch(be, kernels.AMXSide*kernels.AMXSide, func(edge []float32) {
					for j := lo; j < hi; j++ {
						m, n := j/tilesN*tileRowBlocks, j%tilesN*tileColBlocks
						toM, toN := min(m+tileRowBlocks, blocksM), min(n+tileColBlocks, blocksN)
						// Whole blocks are summed where they belong, chunk by chunk.
						wholeM, wholeN := min(toM, g.M/kernels.AMXSide), min(toN, g.N/kernels.AMXSide)
						var list [tileRowBlocks]kernels.AMXBlock
						for first := 0; first < groups; first += tileChunk {
							geom := kernels.AMXGeom{StrideA: 2 * kernels.AMXSide, StrideB: 4 * kernels.AMXSide, StrideC: 4 * g.N}
							if first > 0 || g.Accumulate {
								geom.Add = 1
							}
							for q := n; q < wholeN; q++ {
								blocks := list[:0]
								for p := m; p < wholeM; p++ {
									blocks = append(blocks, kernels.AMXBlock{A: p * block, B: q * block, C: 4 * kernels.AMXSide * (p*g.N + q), First: first, Steps: min(tileChunk, groups-first)})
								}
								runTiles(ops, count, blocks, steps, a, b, c, &geom)
							}
						}
						geom := kernels.AMXGeom{StrideA: 2 * kernels.AMXSide, StrideB: 4 * kernels.AMXSide, StrideC: 4 * kernels.AMXSide}
						for p := m; p < toM; p++ {
							for q := n; q < toN; q++ {
								if p < wholeM && q < wholeN {
									continue
								}
								runTiles(ops, count, []kernels.AMXBlock{{A: p * block, B: q * block, Steps: groups}}, steps, a, b, edge, &geom)
								for r := range min(kernels.AMXSide, g.M-p*kernels.AMXSide) {
									to, from := c[(p*kernels.AMXSide+r)*g.N+q*kernels.AMXSide:][:min(kernels.AMXSide, g.N-q*kernels.AMXSide)], edge[r*kernels.AMXSide:]
									if g.Accumulate {
										addTo(to, from)
									} else {
										copy(to, from)
									}
								}
							}
						}
					}
				})
			})
		})
	}
	matrices := g.Batch[0] * g.Batch[1]
	if matrices == 1 {
		product(0, func(n int, f func(lo, hi int)) { parallel(n, 1, f) })
		return
	}
	parallel(matrices, 1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			product(i, func(n int, f func(lo, hi int)) { f(0, n) })
		}
	})
}

// splitTiles splits a block of 32 rows, or columns, of a matrix from lane on, into tiles of rows or of pairs. Rows in src are ld elements
// apart. Elements at neighbouring depths are neighbours in src if deep, else those of neighbouring lanes.
func splitTiles(ops *kernels.AMX, be *Backend, parts *kernels.AMXParts, dst []uint16, src []float32, ld, lane, lanes, k int, deep, rows bool) {
	n := min(kernels.AMXSide, lanes-lane)
	if deep {
		src = src[lane*ld:]
	} else {
		src = src[lane:]
	}
	splitted := func(dst []uint16) {
		if deep {
			parts.SplitRows(dst, src, 4*ld, n, k)
		} else {
			parts.SplitPairs(dst, src, 4*ld, n, k)
		}
	}
	if deep == rows {
		splitted(dst)
		return
	}
	scratch(be, len(dst), func(s []uint16) {
		splitted(s)
		// Of each tile, squares of 16 lanes by 16 pairs: rows are 64 bytes of one square, pairs 128 of both.
		var from, to [16]int
		for i := range from {
			from[i], to[i] = i*2*kernels.AMXSide, i*4*kernels.AMXSide
		}
		fromHalf, toHalf := kernels.AMXSide*kernels.AMXSide/4, 16
		if !deep {
			from, to, fromHalf, toHalf = to, from, toHalf, fromHalf
		}
		for half := range 2 {
			ops.Turn(kernels.PairsOf(dst)[half*toHalf:], &to, kernels.PairsOf(s)[half*fromHalf:], &from, len(dst)*2/kernels.AMXTileBytes, kernels.AMXTileBytes, kernels.AMXTileBytes)
		}
	})
}
