//go:build cuda && linux

package cuda

import (
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

const (
	wantThreads = 1 << 15 // a reduction to fewer results has several pieces for each
	leastPiece  = 16      // elements that are worth a piece
)

var (
	reduce      = typed("reduce_", allTypes)
	reduceSum   = typed("reduce_sum_", allTypes)
	reduceIndex = typed("reduce_index_", allTypes)
	cumsum      = typed("cumsum_", allTypes)
)

// piecesOf returns in how many pieces each of so many results is gathered from count
// elements. It depends on the geometry alone.
func piecesOf(results, count int) int {
	return max(1, min(count/leastPiece, wantThreads/max(1, results)))
}

// reduction is how a kernel reduces (struct Geometry in kernels/reduce.cu).
type reduction struct {
	kept, reduced                                            view
	count, results, pieces, share, lanes, rows, whole, dtype int64
}

// divide says how many threads share a result of count elements, and in how many
// pieces. It depends on the geometry alone. Where the reduced elements are not
// neighbours, the results are, and each thread has its own.
func (g *reduction) divide(neighbours bool, pack int64) {
	const block, blocks = 256, 1024
	g.lanes, g.pieces = 1, 1
	switch {
	case !neighbours:
		g.pieces = int64(piecesOf(int(g.results), int(g.count)))
	case g.count >= block*pack*4 || g.count >= block*2 && g.results < blocks:
		g.lanes = block
		g.pieces = max(1, min(g.count/(block*pack*2), blocks/g.results))
	default:
		for g.lanes < 32 && g.lanes*pack < g.count {
			g.lanes *= 2
		}
	}
	g.share = (g.count + g.pieces - 1) / g.pieces
	g.share = (g.share + pack - 1) / pack * pack
}

// Reduce reduces x over the dimensions that g names.
func (be *Backend) Reduce(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	defer keep(dst, x)
	if dst.Len == 0 {
		return
	}
	var t temporaries
	defer be.release(&t)
	if g.Strides != nil {
		stored, results, same := g.Stored()
		if stored.Strides == nil || x.Len == 0 {
			stored.Strides, x.Len = nil, count(g.Shape)
		}
		if !same { // the elements are read as they lie, and the results, which are fewer, are put in order
			lie := be.temporary(&t, dst.DType(), dst.Len)
			be.Reduce(lie, x, op, stored)
			be.Strided(dst, lie, results)
			return
		}
		g = stored
	}
	from := pointer(0)
	if l := written(x); g.Strides == nil && x.Len <= mostElements && channelsReduce(l, g) {
		from = be.readAs(&t, x, l)
		g = backend.ReduceGeom{Shape: lastly(g.Shape), Reduce: lastly(g.Reduce)}
	} else {
		from = reading(x)
	}
	stored := g.Strides
	if stored == nil {
		stored = contiguous(g.Shape)
	}
	// Neighbouring dimensions that are both kept or both reduced are one.
	var shape, strides [2][]int
	neighbours, rows := false, g.Strides == nil
	for d, stride := range stored {
		k := 0
		if g.Reduce[d] {
			k = 1
		}
		shape[k], strides[k] = append(shape[k], g.Shape[d]), append(strides[k], stride)
		if g.Shape[d] != 1 {
			rows = rows && (g.Reduce[d] || !neighbours) // no dimension is kept behind one that is reduced
			neighbours = g.Reduce[d]
		}
	}
	r := reduction{count: int64(count(shape[1])), results: int64(dst.Len)}
	if rows {
		be.reduceRows(dst, from, x.DType(), op, r.results, r.count)
		return
	}
	var ok, ok2 bool
	r.kept, ok = newView(shape[0], strides[0])
	r.reduced, ok2 = newView(shape[1], strides[1])
	if n := count(g.Shape); !ok || !ok2 || n > mostElements { // too many dimensions: put what is reduced behind what is kept
		matrix := be.temporary(&t, x.DType(), n)
		be.Strided(matrix, x, backend.StridedGeom{Shape: slices.Concat(shape[0], shape[1]), Strides: slices.Concat(strides[0], strides[1])})
		be.reduceRows(dst, address(matrix), x.DType(), op, r.results, r.count)
		return
	}
	pack := packs(x.DType().Size())
	r.divide(neighbours, pack)
	if neighbours {
		r.whole = flag(r.reduced.strides[0][0] == 1 && r.reduced.whole(0, pack, from, x.DType().Size()) && r.kept.multiple(0, pack))
	}
	be.reduce(dst, from, x.DType(), op, &r)
}

// reduceRows reduces each row of rows×n elements.
func (be *Backend) reduceRows(dst backend.Array, from pointer, x backend.DType, op backend.ReduceOp, rows, n int64) {
	r := reduction{count: n, results: rows, rows: 1}
	r.divide(true, packs(x.Size()))
	be.reduce(dst, from, x, op, &r)
}

// channelsReduce says that images that lie channels last are reduced where they lie:
// what is kept has to be in the same order there.
func channelsReduce(l layout, g backend.ReduceGeom) bool {
	if l == (layout{}) || len(g.Shape) < 3 || len(g.Shape) > mostDims || g.Shape[0] != l.n || g.Shape[1] != l.c || count(g.Shape[2:]) != l.inner {
		return false
	}
	return g.Reduce[1] || !slices.Contains(g.Reduce[2:], false)
}

// lastly puts what belongs to the channels behind all others.
func lastly[T any](s []T) []T { return slices.Concat(s[:1], s[2:], s[1:2]) }

// reduce launches a reduction, and another one where there are several pieces.
func (be *Backend) reduce(dst backend.Array, from pointer, x backend.DType, op backend.ReduceOp, r *reduction) {
	var t temporaries
	defer be.release(&t)
	out := dst
	if r.pieces > 1 {
		gathered := backend.Int64
		if x.IsFloat() {
			gathered = backend.Float64
		}
		out = be.temporary(&t, gathered, int(r.results*r.pieces))
	}
	r.dtype = int64(out.DType())
	var p params
	param(&p, address(out))
	param(&p, from)
	param(&p, int64(op))
	param(&p, *r)
	blocks := (int(r.results*r.pieces*r.lanes) + threads - 1) / threads
	kernel := reduce[x]
	if op == backend.ReduceSum || op == backend.ReduceSumSquares {
		kernel = reduceSum[x]
	}
	be.launch(be.function(kernel), [3]int{min(blocks, blocksPerUnit*be.units), 1, 1}, threads, 0, &p)
	if r.pieces > 1 {
		if op == backend.ReduceSumSquares {
			op = backend.ReduceSum
		}
		be.reduceRows(dst, address(out), out.DType(), op, r.results, r.pieces)
	}
}

// ReduceIndex finds the maximum (or minimum) along N and its first position.
func (be *Backend) ReduceIndex(values, indices, x backend.Array, min bool, g backend.DimGeom) {
	defer keep(values, indices, x)
	if x.Len == 0 || be.alike(func() { be.ReduceIndex(values, indices, x, min, g) }, writes(&values), reads(&x)) {
		return
	}
	columns := g.Outer * g.Inner
	pass := func(to, among, values pointer, count, pieces int) {
		var p params
		param(&p, to)
		param(&p, among)
		param(&p, values)
		param(&p, address(x))
		param(&p, flag(min))
		param(&p, int64(g.N))
		param(&p, int64(g.Inner))
		param(&p, int64(columns))
		param(&p, int64(count))
		param(&p, int64(pieces))
		be.each(reduceIndex[x.DType()], columns*pieces, &p)
	}
	var down func(among pointer, count int)
	down = func(among pointer, count int) {
		pieces := piecesOf(columns, count)
		if pieces == 1 {
			pass(address(indices), among, address(values), count, 1)
			return
		}
		be.scratch(8*columns*pieces, func(to pointer) {
			pass(to, among, 0, count, pieces)
			down(to, pieces)
		})
	}
	down(0, g.N)
}

// Cumsum adds up along N, from the end if reverse.
func (be *Backend) Cumsum(dst, x backend.Array, reverse bool, g backend.DimGeom) {
	defer keep(dst, x)
	if be.alike(func() { be.Cumsum(dst, x, reverse, g) }, writes(&dst), reads(&x)) {
		return
	}
	var p params
	param(&p, address(dst))
	param(&p, address(x))
	param(&p, flag(reverse))
	param(&p, int64(g.N))
	param(&p, int64(g.Inner))
	be.each(cumsum[x.DType()], g.Outer*g.Inner, &p)
}
