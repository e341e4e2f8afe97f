package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Reduce reduces x over the dimensions that g names.
func (be *Backend) Reduce(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	if g.Strides != nil {
		be.reduceView(dst, x, op, g)
		return
	}
	if someHalf(dst, x) {
		dst, x := dst, x
		be.half(func() { be.Reduce(dst, x, op, g) }, writes(&dst), reads(&x))
		return
	}
	be.reduce(dst, x, op, g)
}

// reduceView reduces elements that are not row-major.
func (be *Backend) reduceView(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	n := size(g.Shape)
	stored, results, same := g.Stored()
	if stored.Strides == nil || n == 0 {
		x.Len, stored.Strides = n, nil
	}
	switch {
	case !same: // the elements are read as they lie, and the results, which are fewer, are put in order
		t := backend.Array{Buffer: be.NewBuffer(dst.DType(), dst.Len), Len: dst.Len}
		defer be.Free(t.Buffer)
		be.Reduce(t, x, op, stored)
		be.Strided(dst, t, results)
	case stored.Strides == nil:
		be.Reduce(dst, x, op, stored)
	case x.DType().IsHalf() || planReduce(stored).run < leastRun && n > leastRun: // a copy costs less than to find each short run
		t := backend.Array{Buffer: be.NewBuffer(x.DType(), n), Len: n}
		defer be.Free(t.Buffer)
		be.Strided(t, x, backend.StridedGeom{Shape: stored.Shape, Strides: stored.Strides})
		stored.Strides = nil
		be.Reduce(dst, t, op, stored)
	default:
		be.reduce(dst, x, op, stored)
	}
}

func (be *Backend) reduce(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	switch op {
	case backend.ReduceMax, backend.ReduceMin:
		smallest := op == backend.ReduceMin
		switch x.DType() {
		case backend.Float32:
			inf := float32(math.Inf(1))
			reduce(be, data[float32](dst), data[float32](x), extreme(smallest, -inf, inf), g)
		case backend.Float64:
			reduce(be, data[float64](dst), data[float64](x), extreme(smallest, math.Inf(-1), math.Inf(1)), g)
		case backend.Int64:
			reduce(be, data[int64](dst), data[int64](x), extreme[int64](smallest, math.MinInt64, math.MaxInt64), g)
		default:
			reduce(be, data[uint8](dst), data[uint8](x), extreme[uint8](smallest, 0, 255), g)
		}
	case backend.ReduceAny, backend.ReduceAll:
		switch x.DType() {
		case backend.Float32:
			reduce(be, data[uint8](dst), data[float32](x), truth[float32](op), g)
		case backend.Float64:
			reduce(be, data[uint8](dst), data[float64](x), truth[float64](op), g)
		case backend.Int64:
			reduce(be, data[uint8](dst), data[int64](x), truth[int64](op), g)
		default:
			reduce(be, data[uint8](dst), data[uint8](x), truth[uint8](op), g)
		}
	default:
		switch x.DType() {
		case backend.Float32:
			if op == backend.ReduceSum && dst.DType() == backend.Float32 && sumFew(data[float32](dst), data[float32](x), g) {
				return
			}
			r := total[float32, float64](op)
			switch op {
			case backend.ReduceSum:
				r.row = func(acc float64, x []float32) float64 { return acc + kernels.Current.Vector.Sum(x) }
				r.rows, r.columns = kernels.Current.Vector.RowSums, kernels.Current.Vector.AddWide
			case backend.ReduceSumSquares:
				r.row = func(acc float64, x []float32) float64 { return acc + kernels.Current.Vector.SumSquares(x) }
			}
			if dst.DType() == backend.Float64 {
				reduce(be, data[float64](dst), data[float32](x), r, g)
			} else {
				reduce(be, data[float32](dst), data[float32](x), r, g)
			}
		case backend.Float64:
			reduce(be, data[float64](dst), data[float64](x), total[float64, float64](op), g)
		case backend.Int64:
			reduce(be, data[int64](dst), data[int64](x), total[int64, int64](op), g)
		default:
			reduce(be, data[int64](dst), data[uint8](x), total[uint8, int64](op), g)
		}
	}
}

// sumFew adds few elements up, if those that are reduced are the innermost dimensions or the
// outermost ones, and reports whether they are. It adds them in reduce's order.
func sumFew(dst, x []float32, g backend.ReduceGeom) bool {
	if len(x) == 0 || len(x) > fewElements || g.Strides != nil {
		return false
	}
	changes, inner := 0, false // how often the dimensions change from kept to reduced or back, and what the last ones are
	first := true
	for d, n := range g.Shape {
		if n == 1 {
			continue
		}
		if !first && g.Reduce[d] != inner {
			changes++
		}
		first, inner = false, g.Reduce[d]
	}
	if first || changes > 1 {
		return false
	}
	if inner {
		sums := make([]float64, len(dst))
		kernels.Current.Vector.RowSums(sums, x, len(x)/len(dst))
		for i, v := range sums {
			dst[i] = float32(v)
		}
		return true
	}
	for i := range dst {
		sum := 0.0
		for at := i; at < len(x); at += len(dst) {
			sum += float64(x[at])
		}
		dst[i] = float32(sum)
	}
	return true
}

// reduction is how elements of type T are gathered in accumulators of type A.
// Its functions take whole runs of elements, so that their loops are compiled
// for the operation.
type reduction[T, A kernels.Number] struct {
	start   A
	row     func(acc A, x []T) A        // takes all of x into one accumulator
	columns func(acc []A, x []T)        // takes x[i] into acc[i]
	merge   func(first, next A) A       // takes two accumulators together
	rows    func(acc []A, x []T, n int) // sets acc to what row makes of len(acc) rows of n elements; nil: row does it
}

// total is the reductions that add and prodRow.
func total[T, A kernels.Number](op backend.ReduceOp) reduction[T, A] {
	switch op {
	case backend.ReduceSumSquares:
		return reduction[T, A]{0, kernels.SquareRow[T, A], squareColumns[T, A], plus[A], nil}
	case backend.ReduceProd:
		return reduction[T, A]{1, prodRow[T, A], prodColumns[T, A], times[A], nil}
	}
	return reduction[T, A]{0, kernels.SumRow[T, A], kernels.SumColumns[T, A], plus[A], nil}
}

func plus[A kernels.Number](a, b A) A  { return a + b }
func times[A kernels.Number](a, b A) A { return a * b }

func squareColumns[T, A kernels.Number](acc []A, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		acc[i] += A(x[i]) * A(x[i])
	}
}

func prodRow[T, A kernels.Number](acc A, x []T) A {
	for _, v := range x {
		acc *= A(v)
	}
	return acc
}

func prodColumns[T, A kernels.Number](acc []A, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		acc[i] *= A(x[i])
	}
}

// extreme is the reductions to the largest (or smallest) element, which lies
// between lowest and highest. NaN wins: once in an accumulator it stays, since
// no comparison with it holds.
func extreme[T kernels.Number](smallest bool, lowest, highest T) reduction[T, T] {
	if smallest {
		return reduction[T, T]{highest, minRow[T], minColumns[T], lesser[T], nil}
	}
	return reduction[T, T]{lowest, kernels.MaxRow[T], maxColumns[T], kernels.Greater[T], nil}
}

func lesser[T kernels.Number](a, b T) T {
	if b < a || b != b {
		return b
	}
	return a
}

func minRow[T kernels.Number](acc T, x []T) T {
	for _, v := range x {
		if v < acc || v != v {
			acc = v
		}
	}
	return acc
}

func maxColumns[T kernels.Number](acc, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		if v := x[i]; v > acc[i] || v != v {
			acc[i] = v
		}
	}
}

func minColumns[T kernels.Number](acc, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		if v := x[i]; v < acc[i] || v != v {
			acc[i] = v
		}
	}
}

// truth is the reductions to a Bool, whose accumulators are 0 or 1. NaN is not
// 0 and so true.
func truth[T kernels.Number](op backend.ReduceOp) reduction[T, uint8] {
	if op == backend.ReduceAny {
		return reduction[T, uint8]{0, anyRow[T], anyColumns[T], func(a, b uint8) uint8 { return a | b }, nil}
	}
	return reduction[T, uint8]{1, allRow[T], allColumns[T], func(a, b uint8) uint8 { return a & b }, nil}
}

func anyRow[T kernels.Number](acc uint8, x []T) uint8 {
	for _, v := range x {
		if v != 0 {
			return 1
		}
	}
	return acc
}

func allRow[T kernels.Number](acc uint8, x []T) uint8 {
	for _, v := range x {
		if v == 0 {
			return 0
		}
	}
	return acc
}

func anyColumns[T kernels.Number](acc []uint8, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		if x[i] != 0 {
			acc[i] = 1
		}
	}
}

func allColumns[T kernels.Number](acc []uint8, x []T) {
	x = x[:len(acc)]
	for i := range acc {
		if x[i] == 0 {
			acc[i] = 0
		}
	}
}

// places is some of the dimensions of an array, gone through in row-major order.
type places struct{ sizes, strides []int }

// len returns the number of places.
func (p places) len() int {
	n := 1
	for _, s := range p.sizes {
		n *= s
	}
	return n
}

// at returns the offset of the i-th place.
func (p places) at(i int) int {
	if len(p.sizes) == 0 {
		return 0
	}
	off := 0
	for d := len(p.sizes) - 1; d > 0; d-- {
		off += i % p.sizes[d] * p.strides[d]
		i /= p.sizes[d]
	}
	return off + i*p.strides[0]
}

// reducePlan is a reduction's geometry without dimensions of size 1, and with
// neighbours taken together that are both kept or both reduced: the innermost
// run of elements by itself, the others apart by what is done to them. So a sum
// over rows is kept{n}, run; one over columns is reduced{n}, run; a
// convolution's bias gradient is reduced{N}, kept{C}, run.
type reducePlan struct {
	kept, reduced places
	run, step     int  // elements of the innermost run, and from one to the next
	runReduced    bool // the run is reduced, not kept
}

func planReduce(g backend.ReduceGeom) reducePlan {
	type dimension struct {
		size, stride int
		reduced      bool
	}
	var dims []dimension // the innermost first
	next := 1
	for d := len(g.Shape) - 1; d >= 0; d-- {
		n, stride := g.Shape[d], next
		if g.Strides != nil {
			stride = g.Strides[d]
		}
		next *= n
		switch last := len(dims) - 1; {
		case n == 1:
		case last >= 0 && dims[last].reduced == g.Reduce[d] && dims[last].size*dims[last].stride == stride:
			dims[last].size *= n
		default:
			dims = append(dims, dimension{n, stride, g.Reduce[d]})
		}
	}
	p := reducePlan{run: 1, step: 1}
	for i, d := range dims {
		switch {
		case i == 0:
			p.run, p.step, p.runReduced = d.size, d.stride, d.reduced
		case d.reduced:
			p.reduced = p.reduced.outside(d.size, d.stride)
		default:
			p.kept = p.kept.outside(d.size, d.stride)
		}
	}
	return p
}

// outside returns p with one more dimension, the outermost.
func (p places) outside(size, stride int) places {
	return places{append([]int{size}, p.sizes...), append([]int{stride}, p.strides...)}
}

const (
	reducePiece = 4 * grain // elements that go into one partial result
	reduceTasks = 64        // from this number of results on, none is split into partial results
	columnBlock = 512       // accumulators that stay in the first-level cache
	leastRun    = 16        // elements that are worth a partial result of their own
)

// reduce reduces src. A result that many elements go into is made from partial
// results, over pieces that depend on the geometry alone, taken together in
// order.
func reduce[T, A, D kernels.Number](be *Backend, dst []D, src []T, r reduction[T, A], g backend.ReduceGeom) {
	if len(src) == 0 {
		for i := range dst {
			dst[i] = D(r.start)
		}
		return
	}
	p := planReduce(g)
	n := len(dst)
	kept, reduced := p.kept.len(), p.reduced.len()

	// A unit is one row of a reduced run's results, one block of columns of a
	// kept run's; its elements are cut into pieces.
	perUnit, blocks := reduced*p.run, 1
	if !p.runReduced {
		perUnit, blocks = reduced, (p.run+columnBlock-1)/columnBlock
	}
	perPiece := perUnit
	if kept*blocks < reduceTasks {
		perPiece = min(perUnit, reducePiece)
		if !p.runReduced {
			perPiece = min(perUnit, max(1, reducePiece/min(p.run, columnBlock)))
		}
	}
	// A piece of one run each, in the order in which they lie, is what memory likes best.
	matrix := g.Strides == nil && p.runReduced && len(p.kept.sizes) <= 1 && (reduced == 1 && perPiece == p.run ||
		len(p.reduced.sizes) == 1 && p.run >= leastRun && p.run <= reducePiece)
	if matrix {
		perPiece = p.run
	}
	pieces := (perUnit + perPiece - 1) / perPiece

	scratch(be, pieces*n, func(acc []A) {
		if p.runReduced {
			parallel(pieces*kept, max(1, grain/perPiece), func(lo, hi int) {
				if matrix {
					rowsOf(r, acc[lo:hi], src[lo*p.run:], p.run)
					if pieces == 1 {
						for t := lo; t < hi; t++ {
							dst[t] = D(acc[t])
						}
					}
					return
				}
				block := blockFor[T](p)
				for t := lo; t < hi; t++ {
					piece, k := t/kept, t%kept
					acc[t] = reduceRow(src[p.kept.at(k):], p, r, piece*perPiece, min((piece+1)*perPiece, perUnit), block)
				}
			})
		} else {
			work := perPiece * min(p.run, columnBlock)
			parallel(pieces*kept*blocks, max(1, grain/work), func(lo, hi int) {
				block := blockFor[T](p)
				for t := lo; t < hi; t++ {
					b, row := t%blocks, t/blocks // row counts pieces of kept places
					piece, k := row/kept, row%kept
					first, end := b*columnBlock, min((b+1)*columnBlock, p.run)
					a := acc[row*p.run+first : row*p.run+end]
					for i := range a {
						a[i] = r.start
					}
					from := src[p.kept.at(k)+first*p.step:]
					if p.step != 1 {
						for i := piece * perPiece; i < min((piece+1)*perPiece, perUnit); i++ {
							r.columns(a, pack(block[:len(a)], from, p.reduced.at(i), p.step, 0))
						}
						continue
					}
					for i := piece * perPiece; i < min((piece+1)*perPiece, perUnit); i++ {
						r.columns(a, from[p.reduced.at(i):])
					}
				}
			})
		}
		if matrix && pieces == 1 {
			return
		}
		parallel(n, grain, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				a := acc[i]
				for j := i + n; j < len(acc); j += n {
					a = r.merge(a, acc[j])
				}
				dst[i] = D(a)
			}
		})
	})
}

// blockFor returns room for elements of a run that lie apart, if they do.
func blockFor[T kernels.Number](p reducePlan) []T {
	if p.step == 1 {
		return nil
	}
	return make([]T, columnBlock)
}

// rowsOf sets acc to what r makes of len(acc) rows of n elements.
func rowsOf[T, A kernels.Number](r reduction[T, A], acc []A, x []T, n int) {
	if r.rows != nil {
		r.rows(acc, x, n)
		return
	}
	for i := range acc {
		acc[i] = r.row(r.start, x[i*n:][:n])
	}
}

// reduceRow reduces elements lo to hi of those that go into one result, counted
// run by run. Runs that lie apart go through block.
func reduceRow[T, A kernels.Number](src []T, p reducePlan, r reduction[T, A], lo, hi int, block []T) A {
	acc := r.start
	for lo < hi {
		i := lo / p.run
		first := lo - i*p.run
		end := min(p.run, first+hi-lo)
		off := p.reduced.at(i)
		if p.step == 1 {
			acc = r.row(acc, src[off+first:off+end])
			lo += end - first
			continue
		}
		for ; first < end; first += columnBlock {
			n := min(columnBlock, end-first)
			acc = r.row(acc, pack(block[:n], src, off+first*p.step, p.step, 0))
			lo += n
		}
	}
	return acc
}

// ReduceIndex finds the maximum (or minimum) along N and its first position.
func (be *Backend) ReduceIndex(values, indices, x backend.Array, min bool, g backend.DimGeom) {
	if someHalf(values, x) {
		values, x := values, x
		be.half(func() { be.ReduceIndex(values, indices, x, min, g) }, writes(&values), reads(&x))
		return
	}
	switch x.DType() {
	case backend.Float32:
		reduceIndex(data[float32](values), data[int64](indices), data[float32](x), min, g)
	case backend.Float64:
		reduceIndex(data[float64](values), data[int64](indices), data[float64](x), min, g)
	case backend.Int64:
		reduceIndex(data[int64](values), data[int64](indices), data[int64](x), min, g)
	default:
		reduceIndex(data[uint8](values), data[int64](indices), data[uint8](x), min, g)
	}
}

func reduceIndex[T kernels.Number](values []T, indices []int64, x []T, smallest bool, g backend.DimGeom) {
	if len(x) == 0 {
		return
	}
	eachColumns(g, func(o, lo, hi int) {
		src := x[o*g.N*g.Inner:]
		at := indices[o*g.Inner+lo : o*g.Inner+hi]
		if len(at) == 1 {
			at[0] = firstExtreme(src, lo, g, smallest)
		} else {
			firstExtremes(at, src, lo, g, smallest)
		}
		if values != nil {
			for i, n := range at {
				values[o*g.Inner+lo+i] = src[int(n)*g.Inner+lo+i]
			}
		}
	})
}

// firstExtreme returns where along N the extreme of one column is. The first
// NaN is it, if there is one.
func firstExtreme[T kernels.Number](src []T, column int, g backend.DimGeom, smallest bool) int64 {
	best, at := src[column], 0
	for n := 0; n < g.N && best == best; n++ {
		v := src[n*g.Inner+column]
		if better(v, best, smallest) {
			best, at = v, n
		}
	}
	return int64(at)
}

// firstExtremes is firstExtreme for len(at) columns from lo on. The best values
// so far are read again where they lie.
func firstExtremes[T kernels.Number](at []int64, src []T, lo int, g backend.DimGeom, smallest bool) {
	for i := range at {
		at[i] = 0
	}
	for n := 1; n < g.N; n++ {
		row := src[n*g.Inner+lo:][:len(at)]
		for i, v := range row {
			best := src[int(at[i])*g.Inner+lo+i]
			if best == best && better(v, best, smallest) {
				at[i] = int64(n)
			}
		}
	}
}

// better reports whether v, which comes after best, takes its place.
func better[T kernels.Number](v, best T, smallest bool) bool {
	if smallest {
		return v < best || v != v
	}
	return v > best || v != v
}

// eachColumns calls f in parallel for blocks of columns of Outer × N × Inner
// elements: columns lo to hi of outer place o.
func eachColumns(g backend.DimGeom, f func(o, lo, hi int)) {
	const block = 256
	blocks := (g.Inner + block - 1) / block
	work := max(1, g.N*min(g.Inner, block))
	parallel(g.Outer*blocks, grain/work, func(lo, hi int) {
		for t := lo; t < hi; t++ {
			o, b := t/blocks, t%blocks
			f(o, b*block, min((b+1)*block, g.Inner))
		}
	})
}

// Cumsum adds up along N, from the end if reverse.
func (be *Backend) Cumsum(dst, x backend.Array, reverse bool, g backend.DimGeom) {
	if someHalf(dst, x) {
		dst, x := dst, x
		be.half(func() { be.Cumsum(dst, x, reverse, g) }, writes(&dst), reads(&x))
		return
	}
	switch x.DType() {
	case backend.Float32:
		cumsum[float32, float64](be, data[float32](dst), data[float32](x), reverse, g)
	case backend.Float64:
		cumsum[float64, float64](be, data[float64](dst), data[float64](x), reverse, g)
	case backend.Int64:
		cumsum[int64, int64](be, data[int64](dst), data[int64](x), reverse, g)
	default:
		cumsum[uint8, int64](be, data[int64](dst), data[uint8](x), reverse, g)
	}
}

func cumsum[T, A, D kernels.Number](be *Backend, dst []D, x []T, reverse bool, g backend.DimGeom) {
	first, step := 0, 1
	if reverse {
		first, step = g.N-1, -1
	}
	scratch(be, g.Outer*g.Inner, func(sums []A) {
		eachColumns(g, func(o, lo, hi int) {
			acc := sums[o*g.Inner+lo : o*g.Inner+hi]
			for i := range acc {
				acc[i] = 0
			}
			for k := range g.N {
				off := (o*g.N+first+k*step)*g.Inner + lo
				from, to := x[off:][:len(acc)], dst[off:][:len(acc)]
				for i := range acc {
					acc[i] += A(from[i])
					to[i] = D(acc[i])
				}
			}
		})
	})
}
