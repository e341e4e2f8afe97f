package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"CropMirrorNormalize", "cuts, mirrors and looks up, with byte 0 beside the image", testCropMirrorNormalize},
	)
}

func testCropMirrorNormalize(t *testing.T, be backend.Backend) {
	far := []int64{math.MinInt64, math.MinInt32, -1 << 20, 1 << 20, math.MaxInt32, math.MaxInt64}
	for _, g := range []backend.CropGeom{
		{N: 5, C: 3, H: 8, W: 12, P: 8, Q: 12},
		{N: 4, C: 1, H: 5, W: 7, P: 9, Q: 3},
		{N: 7, C: 3, H: 6, W: 5, P: 4, Q: 5},
		{N: 3, C: 2, H: 1, W: 1, P: 3, Q: 1},
		{N: 1, C: 1, H: 3, W: 2, P: 1, Q: 1},
		{N: 9, C: 3, H: 40, W: 40, P: 32, Q: 32},
		{N: 2, C: 3, H: 0, W: 4, P: 2, Q: 2},
		{N: 2, C: 3, H: 4, W: 0, P: 2, Q: 6},
		{N: 0, C: 3, H: 4, W: 4, P: 2, Q: 2},
		{N: 2, C: 3, H: 4, W: 4, P: 2, Q: 0},
	} {
		r := rand.New(rand.NewPCG(uint64(g.H), uint64(g.Q)))
		pictures := make([]uint8, g.N*g.C*g.H*g.W)
		for i := range pictures {
			pictures[i] = uint8(r.UintN(256))
		}
		values := make([]float32, g.C*256)
		for i := range values {
			values[i] = r.Float32()
		}
		moves := make([]int64, 4*g.N)
		for n := range g.N {
			moves[4*n] = int64(r.IntN(g.H+g.P+4) - g.P - 2)
			moves[4*n+1] = int64(r.IntN(g.W+g.Q+4) - g.Q - 2)
			moves[4*n+2] = int64(n & 1 * 3)
			moves[4*n+3] = int64(-(n >> 1 & 1))
		}
		check := func() {
			t.Helper()
			var want []float32
			for n := range g.N {
				m := moves[4*n:][:4]
				for c := range g.C {
					var window [][]float32
					for p := range g.P {
						line := make([]float32, g.Q)
						for q := range line {
							y, x, v := m[0]+int64(p), m[1]+int64(q), uint8(0)
							if y >= 0 && y < int64(g.H) && x >= 0 && x < int64(g.W) {
								v = pictures[((n*g.C+c)*g.H+int(y))*g.W+int(x)]
							}
							line[q] = values[256*c+int(v)]
						}
						if m[3] != 0 {
							slices.Reverse(line)
						}
						window = append(window, line)
					}
					if m[2] != 0 {
						slices.Reverse(window)
					}
					want = append(want, slices.Concat(window...)...)
				}
			}
			// At the beginning of a buffer the result lies as vectors want it, in a window it does not.
			window := empty[float32](be, len(want))
			whole := backend.Array{Buffer: be.NewBuffer(backend.Float32, len(want)), Len: len(want)}
			for _, dst := range []backend.Array{window, whole} {
				be.CropMirrorNormalize(dst, put(be, pictures), put(be, moves), put(be, values), g)
				wantExact(t, be, fmt.Sprintf("%+v, moves %v, at %d", g, moves, dst.Offset), dst, want)
			}
		}
		check()
		for k := range moves {
			if k%4 < 2 {
				moves[k] = far[r.IntN(len(far))]
			}
		}
		check()
	}
}
