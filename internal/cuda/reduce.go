//go:build cuda && linux

package cuda

import (
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

const (
	wantThreads = 1 << 15 // a reduction to fewer results has several pieces for each
	leastPiece  = 16      // elements that are worth a piece
	mergeGroup  = 64      // pieces that are put together at once
)

var (
	reduce      = typed("reduce_", allTypes)
	merge       = typed("merge_", []backend.DType{backend.Float64, backend.Int64})
	reduceIndex = typed("reduce_index_", allTypes)
	cumsum      = typed("cumsum_", allTypes)
)

// piecesOf returns in how many pieces each of so many results is gathered from count
// elements. It depends on the geometry alone.
func piecesOf(results, count int) int {
	return max(1, min(count/leastPiece, wantThreads/max(1, results)))
}

// Reduce reduces x over the dimensions that g names.
func (be *Backend) Reduce(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	if dst.Len == 0 {
		return
	}
	// Neighbouring dimensions that are both kept or both reduced are one.
	var shape, strides [2][]int
	run := false
	for d, stride := range contiguous(g.Shape) {
		k := 0
		if g.Reduce[d] {
			k = 1
		}
		shape[k], strides[k] = append(shape[k], g.Shape[d]), append(strides[k], stride)
		if g.Shape[d] != 1 {
			run = g.Reduce[d]
		}
	}
	kept, ok := newView(shape[0], strides[0])
	reduced, ok2 := newView(shape[1], strides[1])
	results, elements := dst.Len, count(shape[1])
	if !ok || !ok2 { // too many dimensions: put what is reduced behind what is kept
		var t temporaries
		defer be.release(&t)
		matrix := be.temporary(&t, x.DType(), x.Len)
		be.Strided(matrix, x, backend.StridedGeom{Shape: slices.Concat(shape[0], shape[1]), Strides: slices.Concat(strides[0], strides[1])})
		be.Reduce(dst, matrix, op, backend.ReduceGeom{Shape: []int{results, elements}, Reduce: []bool{false, true}})
		return
	}
	pieces := piecesOf(results, elements)
	gathered := backend.Int64
	if x.DType().IsFloat() {
		gathered = backend.Float64
	}
	be.scratch(8*results*pieces, func(acc pointer) {
		var p params
		param(&p, acc)
		param(&p, address(x))
		param(&p, int64(op))
		param(&p, kept)
		param(&p, reduced)
		param(&p, int64(elements))
		param(&p, int64(pieces))
		param(&p, int64(results))
		param(&p, flag(run))
		be.each(reduce[x.DType()], results*pieces, &p)
		be.merge(acc, gathered, op, pieces, results, func(acc pointer) { be.finish(dst, acc, gathered) })
	})
}

// merge puts pieces together until there is one for each result, and lends them to f.
func (be *Backend) merge(acc pointer, t backend.DType, op backend.ReduceOp, pieces, results int, f func(acc pointer)) {
	if pieces == 1 {
		f(acc)
		return
	}
	left := (pieces + mergeGroup - 1) / mergeGroup
	be.scratch(8*results*left, func(to pointer) {
		var p params
		param(&p, to)
		param(&p, acc)
		param(&p, int64(op))
		param(&p, int64(pieces))
		param(&p, int64(mergeGroup))
		param(&p, int64(results))
		be.each(merge[t], results*left, &p)
		be.merge(to, t, op, left, results, f)
	})
}

// finish converts what was gathered to the results' type.
func (be *Backend) finish(dst backend.Array, acc pointer, t backend.DType) {
	if dst.DType() == t {
		be.copy(address(dst), acc, 8*dst.Len)
		return
	}
	be.convert(address(dst), acc, dst.DType(), t, dst.Len)
}

// ReduceIndex finds the maximum (or minimum) along N and its first position.
func (be *Backend) ReduceIndex(values, indices, x backend.Array, min bool, g backend.DimGeom) {
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
