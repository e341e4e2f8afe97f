package backendtest

import (
	"fmt"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"MatMul", "multiplies batches of matrices, stored as they are or transposed, and adds to the destination if told to", func(t *testing.T, be backend.Backend) {
			t.Run("float32", func(t *testing.T) { testMatMul[float32](t, be) })
			t.Run("float64", func(t *testing.T) { testMatMul[float64](t, be) })
		}},
	)
}

func testMatMul[T float32 | float64](t *testing.T, be backend.Backend) {
	shapes := [][4]int{ // batch, m, n, k
		{1, 1, 1, 1}, {1, 3, 5, 7}, {2, 13, 31, 9}, {1, 14, 32, 17}, {3, 15, 33, 8}, {1, 1, 100, 300}, {1, 100, 1, 300},
		{5, 20, 24, 40}, {1, 64, 10, 512}, {1, 67, 129, 263}, {1, 270, 530, 30}, {1, 22, 40, 2100}, {2, 10, 9, 3000},
		{1, 300, 50, 0}, {1, 4, 3, 0}, {0, 3, 4, 5}, {1, 0, 4, 5}, {2, 4, 0, 5},
	}
	for _, shape := range shapes {
		for bits := range 16 {
			g := backend.MatMulGeom{Batch: shape[0], M: shape[1], N: shape[2], K: shape[3],
				TransA: bits&1 != 0, TransB: bits&2 != 0, Accumulate: bits&4 != 0}
			g.StrideA, g.StrideB = g.M*g.K, g.K*g.N
			batchA, batchB := g.Batch, g.Batch
			if bits&8 != 0 { // one matrix for the whole batch
				if g.Batch < 2 {
					continue
				}
				if bits&1 != 0 {
					g.StrideA, batchA = 0, 1
				} else {
					g.StrideB, batchB = 0, 1
				}
			}
			a, b := random(1, batchA*g.M*g.K), random(2, batchB*g.K*g.N)
			want := make([]float64, g.Batch*g.M*g.N)
			if g.Accumulate {
				copy(want, random(3, len(want)))
			}
			dst := floats[T](be, want)
			if !g.Accumulate {
				dst = empty[T](be, len(want))
			}
			for i := range g.Batch {
				plainMatMul(want[i*g.M*g.N:], a[i*g.StrideA:], b[i*g.StrideB:], g)
			}
			be.MatMul(dst, floats[T](be, a), floats[T](be, b), g)
			wantFloats(t, be, fmt.Sprintf("%+v", g), dst, want, tolerance[T]())
		}
	}
}

func plainMatMul(dst, a, b []float64, g backend.MatMulGeom) {
	for i := range g.M {
		for j := range g.N {
			var sum float64
			for k := range g.K {
				ia, ib := i*g.K+k, k*g.N+j
				if g.TransA {
					ia = k*g.M + i
				}
				if g.TransB {
					ib = j*g.K + k
				}
				sum += a[ia] * b[ib]
			}
			dst[i*g.N+j] += sum
		}
	}
}
