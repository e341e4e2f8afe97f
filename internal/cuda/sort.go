//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

const (
	sortRun    = 128 // elements that are sorted by comparing each with each
	sortWays   = 8   // runs that are merged at once
	sumThreads = 1024
	nonzeros   = threads * 16 // elements of a block of count_nonzero and write_nonzero (nonzero_each)
)

// sorts are the kernels for elements that are sorted with their positions in 8 or 16
// bytes.
type sorts struct {
	size   int
	runs   kernels
	merge  string
	finish sized
}

func newSorts(kind string, size int, types []backend.DType) sorts {
	return sorts{size, typed("sort_runs_"+kind+"_", types), single("sort_merge_" + kind), forSizes("sort_finish_" + kind + "_")}
}

var (
	shortSorts   = newSorts("short", 8, []backend.DType{backend.Float32, backend.BFloat16, backend.Float16, backend.Uint8, backend.Bool})
	wideSorts    = newSorts("wide", 16, allTypes)
	countNonzero = typed("count_nonzero_", allTypes)
	sumCounts    = single("sum_counts")
	writeNonzero = typed("write_nonzero_", allTypes)
)

// Sort sorts along N, stably, NaN as the largest. It takes one launch for up to
// sortRun elements, and three for up to sortWays times as many.
func (be *Backend) Sort(values, indices, x backend.Array, descending bool, g backend.DimGeom) {
	defer keep(values, indices, x)
	if x.Len == 0 || be.alike(func() { be.Sort(values, indices, x, descending, g) }, writes(&values), reads(&x)) {
		return
	}
	k := &shortSorts
	if x.DType().Size() == 8 || int64(g.N) > math.MaxUint32 {
		k = &wideSorts
	}
	runs := func(to, values, indices pointer) {
		var p params
		param(&p, to)
		param(&p, values)
		param(&p, indices)
		param(&p, address(x))
		param(&p, flag(descending))
		param(&p, int64(sortRun))
		param(&p, int64(g.N))
		param(&p, int64(g.Inner))
		be.each(k.runs[x.DType()], x.Len, &p)
	}
	if g.N <= sortRun {
		runs(0, address(values), address(indices))
		return
	}
	be.scratch(k.size*x.Len, func(sorted pointer) {
		be.scratch(k.size*x.Len, func(other pointer) {
			runs(sorted, 0, 0)
			for run := sortRun; run < g.N; run *= sortWays {
				var p params
				param(&p, other)
				param(&p, sorted)
				param(&p, int64(run))
				param(&p, int64(sortWays))
				param(&p, int64(g.N))
				be.each(k.merge, x.Len, &p)
				sorted, other = other, sorted
			}
			var p params
			param(&p, address(values))
			param(&p, address(indices))
			param(&p, address(x))
			param(&p, sorted)
			param(&p, int64(g.N))
			param(&p, int64(g.Inner))
			be.each(k.finish[x.DType().Size()], x.Len, &p)
		})
	})
}

// Nonzero writes the flat positions of the elements that are not 0 and returns
// their number, for which it has to wait.
func (be *Backend) Nonzero(dst, x backend.Array) int {
	defer keep(dst, x)
	if x.Len == 0 {
		return 0
	}
	blocks := (x.Len + nonzeros - 1) / nonzeros
	var t temporaries
	defer be.release(&t)
	counts := be.temporary(&t, backend.Int64, blocks+1)
	var p params
	param(&p, address(counts))
	param(&p, address(x))
	param(&p, int64(x.Len))
	be.launch(be.function(countNonzero[x.DType()]), [3]int{blocks, 1, 1}, threads, 0, &p)
	p = params{}
	param(&p, address(counts))
	param(&p, int64(blocks))
	be.launch(be.function(sumCounts), [3]int{1, 1, 1}, sumThreads, 0, &p)
	p = params{}
	param(&p, address(dst))
	param(&p, address(x))
	param(&p, address(counts))
	param(&p, int64(x.Len))
	be.launch(be.function(writeNonzero[x.DType()]), [3]int{blocks, 1, 1}, threads, 0, &p)
	total := []int64{0}
	be.Read(bytesOf(total), backend.Array{Buffer: counts.Buffer, Offset: blocks, Len: 1})
	return int(total[0])
}
