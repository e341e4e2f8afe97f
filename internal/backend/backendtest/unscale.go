package backendtest

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Unscale", "multiplies arrays in place and leaves found where all is finite", testUnscale},
		Row{"Unscale", "finds one infinity or NaN wherever it is", testUnscaleFinds},
	)
}

func testUnscale(t *testing.T, be backend.Backend) {
	unscaleAll[float32](t, be)
	unscaleAll[float64](t, be)
	found := put(be, []bool{true})
	be.Unscale(nil, found, 2)
	wantExact(t, be, "found before", found, []bool{true})
}

func unscaleAll[T float32 | float64](t *testing.T, be backend.Backend) {
	// More arrays than a launch on a GPU takes.
	var all []*states
	var arrays []backend.Array
	for i := range 12 {
		s := newStates[T](be, uint64(1+100*i))
		all, arrays = append(all, s), append(arrays, s.arrays...)
	}
	found := put(be, []bool{false})
	const factor = 0.375
	be.Unscale(arrays, found, factor)
	wantExact(t, be, "found", found, []bool{false})
	for _, s := range all {
		for _, want := range s.want {
			for k := range want {
				want[k] = float64(T(want[k]) * factor)
			}
		}
		s.check(t, be, "array", 0)
	}
	// The largest numbers add up to more than there is.
	var largest T = math.MaxFloat32
	if d, ok := any(&largest).(*float64); ok {
		*d = math.MaxFloat64
	}
	x := put(be, []T{largest, largest, -largest})
	be.Unscale([]backend.Array{x}, found, 0.5)
	wantExact(t, be, "found beside the largest numbers", found, []bool{false})
	wantExact(t, be, "the largest numbers", x, []T{largest / 2, largest / 2, -largest / 2})
}

func testUnscaleFinds(t *testing.T, be backend.Backend) {
	for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		for i, n := range optimSizes {
			for _, at := range []int{0, n / 2, n - 1} {
				if n == 0 {
					continue
				}
				s := newStates[float32](be, 1)
				s.want[i][at] = bad
				s.arrays[i] = floats[float32](be, s.want[i])
				found := put(be, []bool{false, false, false})
				be.Unscale(s.arrays, backend.Array{Buffer: found.Buffer, Offset: found.Offset + 1, Len: 1}, 0.5)
				wantExact(t, be, "found", found, []bool{false, true, false})
				for _, want := range s.want {
					for k := range want {
						want[k] *= 0.5
					}
				}
				s.check(t, be, "array", 0)
			}
		}
	}
}
