//go:build cuda && linux

package cuda

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
)

// TestReductions compares reductions that take several blocks, pieces and packs with
// the CPU's.
func TestReductions(t *testing.T) {
	be, ref := open(t), cpu.New()
	for _, row := range []struct {
		shape  []int
		reduce []bool
	}{
		{[]int{30_003}, []bool{true}},
		{[]int{3, 8192}, []bool{false, true}},
		{[]int{2, 5001}, []bool{false, true}},
		{[]int{40, 52}, []bool{false, true}},
		{[]int{500, 3}, []bool{false, true}},
		{[]int{1000, 5}, []bool{true, false}},
		{[]int{700, 64}, []bool{true, false}},
		{[]int{9, 5, 256}, []bool{true, false, true}},
		{[]int{9, 5, 49}, []bool{true, false, true}},
		{[]int{3, 33, 4, 7}, []bool{false, true, false, true}},
		{[]int{3, 5, 7, 3}, []bool{true, false, true, false}},
	} {
		for _, dtype := range []backend.DType{backend.Float32, backend.BFloat16, backend.Int64, backend.Uint8} {
			for _, op := range []backend.ReduceOp{backend.ReduceSum, backend.ReduceSumSquares, backend.ReduceMax, backend.ReduceAny} {
				n, results := count(row.shape), 1
				for d, size := range row.shape {
					if !row.reduce[d] {
						results *= size
					}
				}
				out := dtype
				switch {
				case op == backend.ReduceAny:
					out = backend.Bool
				case op != backend.ReduceMax && !dtype.IsFloat():
					out = backend.Int64
				}
				g := backend.ReduceGeom{Shape: row.shape, Reduce: row.reduce}
				run := func(be backend.Backend) []float64 {
					one := backend.Array{Buffer: be.NewBuffer(backend.Float64, n), Len: n}
					x := backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
					y := backend.Array{Buffer: be.NewBuffer(out, results), Len: results}
					wide := backend.Array{Buffer: be.NewBuffer(backend.Float64, results), Len: results}
					be.Random(one, backend.Random{Kind: backend.Integers, A: 0, B: 20, Seed: 1})
					be.Copy(x, one)
					be.Reduce(y, x, op, g)
					be.Copy(wide, y)
					got := make([]float64, results)
					be.Read(bytesOf(got), wide)
					for _, a := range []backend.Array{one, x, y, wide} {
						be.Free(a.Buffer)
					}
					return got
				}
				want, got := run(ref), run(be)
				for i := range want {
					// Whole numbers have exact sums, which are rounded once.
					if math.Abs(got[i]-want[i]) > 1e-7*math.Abs(want[i]) {
						t.Errorf("%s: result %d is %v, want %v", fmt.Sprint(row.shape, row.reduce, dtype, " operation ", op), i, got[i], want[i])
						break
					}
				}
			}
		}
	}
}
