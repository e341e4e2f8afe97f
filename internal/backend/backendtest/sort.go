package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Sort", "sorts along N and keeps the order of equal elements", testSort},
		Row{"Sort", "NaN is the largest", testSortNaN},
		Row{"Sort", "long columns keep the order of all numbers", testSortLong},
		Row{"Nonzero", "writes the positions of what is not 0", testNonzero},
	)
}

func testSort(t *testing.T, be backend.Backend) {
	testSortOf[float32](t, be)
	testSortOf[float64](t, be)
	testSortOf[int64](t, be)
	testSortOf[uint8](t, be)
	testSortOf[bool](t, be)
}

func testSortOf[T elem](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		x := small[T](8, g.Outer*g.N*g.Inner)
		for _, descending := range []bool{false, true} {
			want, wantAt := make([]T, len(x)), make([]int64, len(x))
			alongColumns(g, func(_ int, at []int) {
				order := make([]int, len(at))
				for n := range order {
					order[n] = n
				}
				slices.SortStableFunc(order, func(a, b int) int {
					d := uncast(x[at[a]]) - uncast(x[at[b]])
					if descending {
						d = -d
					}
					return int(d)
				})
				for n, from := range order {
					want[at[n]], wantAt[at[n]] = x[at[from]], int64(from)
				}
			})
			what := fmt.Sprintf("%v %+v descending %v", dtypeOf[T](), g, descending)
			values, indices := empty[T](be, len(x)), empty[int64](be, len(x))
			be.Sort(values, indices, put(be, x), descending, g)
			wantExact(t, be, what+": values", values, want)
			wantExact(t, be, what+": indices", indices, wantAt)
		}
	}
}

func testSortNaN(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	x := []float64{nan, 2, -inf, nan, inf, 0, math.Copysign(0, -1), 2}
	g := backend.DimGeom{Outer: 1, N: len(x), Inner: 1}
	for _, c := range []struct {
		descending bool
		values     []float64
		indices    []int64
	}{
		{false, []float64{-inf, 0, 0, 2, 2, inf, nan, nan}, []int64{2, 5, 6, 1, 7, 4, 0, 3}},
		{true, []float64{nan, nan, inf, 2, 2, 0, 0, -inf}, []int64{0, 3, 4, 1, 7, 5, 6, 2}},
	} {
		what := fmt.Sprintf("descending %v", c.descending)
		values, indices := empty[float32](be, len(x)), empty[int64](be, len(x))
		be.Sort(values, indices, floats[float32](be, x), c.descending, g)
		wantFloats(t, be, what, values, c.values, 0)
		wantExact(t, be, what, indices, c.indices)
		values, indices = empty[float64](be, len(x)), empty[int64](be, len(x))
		be.Sort(values, indices, floats[float64](be, x), c.descending, g)
		wantFloats(t, be, what, values, c.values, 0)
		wantExact(t, be, what, indices, c.indices)
	}
}

// testSortLong sorts columns of numbers at the ends of their types' ranges, many
// of them more than once.
func testSortLong(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	zero := math.Copysign(0, -1)
	testSortLongOf(t, be, []float64{nan, inf, -inf, 0, zero, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 1, math.Nextafter(1, 2), -nan, math.Copysign(nan, -1)})
	tiny, most := float32(math.SmallestNonzeroFloat32), float32(math.MaxFloat32)
	testSortLongOf(t, be, []float32{float32(nan), float32(inf), float32(-inf), 0, float32(zero), most, -most, tiny, -tiny, 1, math.Nextafter32(1, 2), float32(math.Copysign(nan, -1))})
	testSortLongOf(t, be, []int64{math.MaxInt64, math.MinInt64, 0, -1, 1, math.MaxInt64 - 1, math.MinInt64 + 1, 1 << 32, -1 << 32})
	testSortLongOf(t, be, []uint8{0, 1, 127, 128, 254, 255})
}

func testSortLongOf[T float32 | float64 | int64 | uint8](t *testing.T, be backend.Backend, of []T) {
	t.Helper()
	order := func(a, b T) int {
		switch {
		case a < b || a == a && b != b:
			return -1
		case a > b || a != a && b == b:
			return 1
		}
		return 0
	}
	for _, g := range []backend.DimGeom{{Outer: 1, N: 127, Inner: 1}, {Outer: 2, N: 128, Inner: 1}, {Outer: 1, N: 129, Inner: 3}, {Outer: 2, N: 1025, Inner: 2}, {Outer: 1, N: 9000, Inner: 1}} {
		x := make([]T, g.Outer*g.N*g.Inner)
		for i, r := range random(uint64(g.N), len(x)) {
			x[i] = of[int((r+1)/2*float64(len(of)))]
		}
		for _, descending := range []bool{false, true} {
			want := make([]int64, len(x))
			alongColumns(g, func(_ int, at []int) {
				places := make([]int, len(at))
				for n := range places {
					places[n] = n
				}
				slices.SortStableFunc(places, func(a, b int) int {
					if descending {
						a, b = b, a
					}
					return order(x[at[a]], x[at[b]])
				})
				for n, from := range places {
					want[at[n]] = int64(from)
				}
			})
			wantValues := make([]T, len(x))
			alongColumns(g, func(_ int, at []int) {
				for _, i := range at {
					wantValues[i] = x[at[want[i]]]
				}
			})
			what := fmt.Sprintf("%v %+v descending %v", dtypeOf[T](), g, descending)
			values, indices := empty[T](be, len(x)), empty[int64](be, len(x))
			be.Sort(values, indices, put(be, x), descending, g)
			wantExact(t, be, what+": indices", indices, want)
			wantExact(t, be, what+": values", values, wantValues)
		}
	}
}

func testNonzero(t *testing.T, be backend.Backend) {
	for _, n := range []int{0, 1, 2, 17, 4096, 50001} {
		testNonzeroOf(t, be, small[float32](3, n))
		testNonzeroOf(t, be, small[float64](3, n))
		testNonzeroOf(t, be, small[int64](3, n))
		testNonzeroOf(t, be, small[uint8](3, n))
		testNonzeroOf(t, be, small[bool](3, n))
		testNonzeroOf(t, be, make([]float32, n))
	}
	testNonzeroOf(t, be, []float64{0, math.NaN(), math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.Inf(-1)})
}

func testNonzeroOf[T elem](t *testing.T, be backend.Backend, x []T) {
	t.Helper()
	var want []int64
	for i, v := range x {
		if uncast(v) != 0 {
			want = append(want, int64(i))
		}
	}
	dst := empty[int64](be, len(x))
	what := fmt.Sprintf("%d elements of %v", len(x), dtypeOf[T]())
	if got := be.Nonzero(dst, put(be, x)); got != len(want) {
		t.Fatalf("%s: got %d positions, want %d", what, got, len(want))
	}
	dst.Len = len(want)
	wantExact(t, be, what, dst, want)
}
