package cpu

import (
	"slices"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Sort sorts along N, stably, NaN as the largest.
func (be *Backend) Sort(values, indices, x backend.Array, descending bool, g backend.DimGeom) {
	if someHalf(values, x) {
		values, x := values, x
		be.half(func() { be.Sort(values, indices, x, descending, g) }, writes(&values), reads(&x))
		return
	}
	switch x.DType() {
	case backend.Float32:
		sortAlong(be, data[float32](values), data[int64](indices), data[float32](x), descending, g)
	case backend.Float64:
		sortAlong(be, data[float64](values), data[int64](indices), data[float64](x), descending, g)
	case backend.Int64:
		sortAlong(be, data[int64](values), data[int64](indices), data[int64](x), descending, g)
	default:
		sortAlong(be, data[uint8](values), data[int64](indices), data[uint8](x), descending, g)
	}
}

// ranked is an element and where it was.
type ranked[T kernels.Number] struct {
	v  T
	at int64
}

func sortAlong[T kernels.Number](be *Backend, values []T, indices []int64, x []T, descending bool, g backend.DimGeom) {
	if len(x) == 0 {
		return
	}
	// Equal elements go by where they were, so that the order is total and a
	// sort that is not stable by itself gives the stable result.
	order := func(a, b ranked[T]) int {
		if c := rank(a.v, b.v); c != 0 {
			return c
		}
		return int(a.at - b.at)
	}
	if descending {
		order = func(a, b ranked[T]) int {
			if c := rank(b.v, a.v); c != 0 {
				return c
			}
			return int(a.at - b.at)
		}
	}
	parallel(g.Outer*g.Inner, grain/(8*g.N), func(lo, hi int) {
		scratch(be, g.N, func(s []ranked[T]) {
			for t := lo; t < hi; t++ {
				off := t/g.Inner*g.N*g.Inner + t%g.Inner
				for n := range s {
					s[n] = ranked[T]{x[off+n*g.Inner], int64(n)}
				}
				slices.SortFunc(s, order)
				for n, e := range s {
					values[off+n*g.Inner], indices[off+n*g.Inner] = e.v, e.at
				}
			}
		})
	})
}

// rank orders numbers with NaN, equal to itself, after all others.
func rank[T kernels.Number](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	case a == a: // and b is NaN
		return -1
	case b == b:
		return 1
	}
	return 0
}

// Nonzero writes the flat positions of the elements that are not 0 and returns
// their number.
func (be *Backend) Nonzero(dst, x backend.Array) int {
	if someHalf(x) {
		n, x := 0, x
		be.half(func() { n = be.Nonzero(dst, x) }, reads(&x))
		return n
	}
	switch x.DType() {
	case backend.Float32:
		return nonzero(be, data[int64](dst), data[float32](x))
	case backend.Float64:
		return nonzero(be, data[int64](dst), data[float64](x))
	case backend.Int64:
		return nonzero(be, data[int64](dst), data[int64](x))
	}
	return nonzero(be, data[int64](dst), data[uint8](x))
}

// nonzero counts in pieces, so that each piece knows where its positions go.
func nonzero[T kernels.Number](be *Backend, dst []int64, x []T) int {
	total := 0
	scratch(be, (len(x)+grain-1)/grain, func(counts []int) {
		parallel(len(x), grain, func(lo, hi int) {
			n := 0
			for _, v := range x[lo:hi] {
				if v != 0 {
					n++
				}
			}
			counts[lo/grain] = n
		})
		for i, n := range counts {
			counts[i] = total
			total += n
		}
		parallel(len(x), grain, func(lo, hi int) {
			to := counts[lo/grain]
			for i, v := range x[lo:hi] {
				if v != 0 {
					dst[to] = int64(lo + i)
					to++
				}
			}
		})
	})
	return total
}
