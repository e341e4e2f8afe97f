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
			t.Run("int64", func(t *testing.T) { testWholeMatMul[int64](t, be) })
			t.Run("uint8", func(t *testing.T) { testWholeMatMul[uint8](t, be) })
		}},
	)
}

// eachProduct calls f for products of many shapes, with the numbers of elements of a and b.
func eachProduct(f func(g backend.MatMulGeom, a, b int)) {
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
			f(g, batchA*g.M*g.K, batchB*g.K*g.N)
		}
	}
}

func testMatMul[T float32 | float64](t *testing.T, be backend.Backend) {
	eachProduct(func(g backend.MatMulGeom, na, nb int) {
		a, b := random(1, na), random(2, nb)
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
	})
}

func testWholeMatMul[T int64 | uint8](t *testing.T, be backend.Backend) {
	numbers := func(seed uint64, n int) []T {
		s := make([]T, n)
		for i, v := range random(seed, n) {
			s[i] = T(int64(v * (1 << 40))) // so that float64 numbers would not do, and sums wrap
		}
		return s
	}
	eachProduct(func(g backend.MatMulGeom, na, nb int) {
		a, b := numbers(1, na), numbers(2, nb)
		want := make([]T, g.Batch*g.M*g.N)
		dst := empty[T](be, len(want))
		if g.Accumulate {
			copy(want, numbers(3, len(want)))
			dst = put(be, want)
		}
		for i := range g.Batch {
			plainMatMul(want[i*g.M*g.N:], a[i*g.StrideA:], b[i*g.StrideB:], g)
		}
		be.MatMul(dst, put(be, a), put(be, b), g)
		wantExact(t, be, fmt.Sprintf("%+v", g), dst, want)
	})
}

func plainMatMul[T float64 | int64 | uint8](dst, a, b []T, g backend.MatMulGeom) {
	for i := range g.M {
		for j := range g.N {
			var sum T
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
