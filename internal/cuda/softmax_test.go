//go:build cuda && linux

package cuda

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
)

// TestSoftmaxRows compares rows that are taken in packs, and odd ones, with the CPU's.
func TestSoftmaxRows(t *testing.T) {
	be, ref := open(t), cpu.New()
	for _, n := range []int{5, 64, 129, 256, 1000} {
		for _, dtype := range floatTypes {
			for _, log := range []bool{false, true} {
				g := backend.DimGeom{Outer: 3, N: n, Inner: 1}
				run := func(be backend.Backend) []float64 {
					array := func(dtype backend.DType) backend.Array {
						return backend.Array{Buffer: be.NewBuffer(dtype, 3*n), Len: 3 * n}
					}
					wide, x, y, dx := array(backend.Float64), array(dtype), array(dtype), array(dtype)
					be.Random(wide, backend.Random{Kind: backend.Integers, A: -3, B: 4, Seed: 2})
					be.Copy(x, wide)
					be.Softmax(y, x, log, g)
					be.SoftmaxGrad(dx, x, y, log, g)
					be.Binary(y, y, dx, backend.Add, backend.BinaryGeom{})
					be.Copy(wide, y)
					got := make([]float64, 3*n)
					be.Read(bytesOf(got), wide)
					return got
				}
				tolerance := 1e-5
				if dtype.IsHalf() {
					tolerance = 2e-2 // of numbers up to 8, rounded to 8 or 11 bits three times
				}
				want, got := run(ref), run(be)
				for i := range want {
					if math.Abs(got[i]-want[i]) > tolerance*max(1, math.Abs(want[i])) {
						t.Errorf("%s, %d elements, log %v: element %d is %v, want %v", dtype, n, log, i, got[i], want[i])
						break
					}
				}
			}
		}
	}
}
