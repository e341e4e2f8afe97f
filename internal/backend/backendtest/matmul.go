package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"MatMul", "multiplies batches of matrices, stored as they are or transposed, and adds to the destination if told to", func(t *testing.T, be backend.Backend) {
			eachType(t, be, eachProduct)
		}},
		Row{"MatMul", "reads matrices whose rows lie apart, in batches of two levels, where they lie", func(t *testing.T, be backend.Backend) {
			eachType(t, be, eachStridedProduct)
		}},
	)
}

func eachType(t *testing.T, be backend.Backend, each func(f func(g backend.MatMulGeom))) {
	t.Run("float32", func(t *testing.T) { each(func(g backend.MatMulGeom) { testMatMul[float32](t, be, g) }) })
	t.Run("float64", func(t *testing.T) { each(func(g backend.MatMulGeom) { testMatMul[float64](t, be, g) }) })
	t.Run("int64", func(t *testing.T) { each(func(g backend.MatMulGeom) { testWholeMatMul[int64](t, be, g) }) })
	t.Run("uint8", func(t *testing.T) { each(func(g backend.MatMulGeom) { testWholeMatMul[uint8](t, be, g) }) })
	for _, dtype := range []backend.DType{backend.BFloat16, backend.Float16} {
		t.Run(dtype.String(), func(t *testing.T) { each(func(g backend.MatMulGeom) { testHalfMatMul(t, be, dtype, g) }) })
	}
}

// eachProduct calls f for products of many shapes that are packed.
func eachProduct(f func(g backend.MatMulGeom)) {
	shapes := [][4]int{ // batch, m, n, k
		{1, 1, 1, 1}, {1, 3, 5, 7}, {2, 13, 31, 9}, {1, 14, 32, 17}, {3, 15, 33, 8}, {1, 1, 100, 300}, {1, 100, 1, 300},
		{5, 20, 24, 40}, {1, 64, 10, 512}, {1, 67, 129, 263}, {1, 270, 530, 30}, {1, 22, 40, 2100}, {2, 10, 9, 3000},
		{1, 300, 50, 0}, {1, 4, 3, 0}, {0, 3, 4, 5}, {1, 0, 4, 5}, {2, 4, 0, 5},
	}
	for _, shape := range shapes {
		for bits := range 16 {
			g := backend.MatMulGeom{Batch: [2]int{1, shape[0]}, M: shape[1], N: shape[2], K: shape[3],
				TransA: bits&1 != 0, TransB: bits&2 != 0, Accumulate: bits&4 != 0}
			g.StrideA[1], g.StrideB[1] = g.M*g.K, g.K*g.N
			if bits&8 != 0 { // one matrix for the whole batch
				if shape[0] < 2 {
					continue
				}
				if bits&1 != 0 {
					g.StrideA[1] = 0
				} else {
					g.StrideB[1] = 0
				}
			}
			f(g)
		}
	}
}

// eachStridedProduct calls f for products whose operands are views.
func eachStridedProduct(f func(g backend.MatMulGeom)) {
	// lie says how an operand of rows×cols elements, as it is stored, lies.
	type lie func(batch [2]int, rows, cols int) (ld int, stride [2]int)
	var (
		packed lie = func(b [2]int, r, c int) (int, [2]int) { return 0, [2]int{b[1] * r * c, r * c} }
		apart  lie = func(b [2]int, r, c int) (int, [2]int) { return c + 3, [2]int{b[1]*r*(c+3) + 11, r*(c+3) + 2} }
		even   lie = func(b [2]int, r, c int) (int, [2]int) { return c + 5, [2]int{b[1] * r * (c + 5), r * (c + 5)} }
		heads  lie = func(b [2]int, r, c int) (int, [2]int) { return b[1] * c, [2]int{r * b[1] * c, c} } // [B,T,H,D] as [B,H,T,D]
		third  lie = func(b [2]int, r, c int) (int, [2]int) { return 3 * b[1] * c, [2]int{3 * r * b[1] * c, c} }
		turned lie = func(b [2]int, r, c int) (int, [2]int) { return 0, [2]int{r * c, b[0] * r * c} } // the batch's levels are transposed
		side   lie = func(b [2]int, r, c int) (int, [2]int) { return b[0] * b[1] * c, [2]int{b[1] * c, c} }
		one    lie = func(_ [2]int, _, c int) (int, [2]int) { return c + 1, [2]int{} }
		outer  lie = func(_ [2]int, r, c int) (int, [2]int) { return 0, [2]int{r * c, 0} }
		inner  lie = func(_ [2]int, r, c int) (int, [2]int) { return 0, [2]int{0, r * c} }
	)
	lies := [][2]lie{
		{heads, heads}, {packed, heads}, {heads, third}, {third, third}, {apart, packed}, {packed, apart}, {apart, apart}, {turned, heads},
		{even, one}, {packed, one}, {side, one}, {one, heads}, {outer, inner}, {inner, apart}, {heads, outer}, {even, inner}, {one, one},
	}
	shapes := []backend.MatMulGeom{
		{Batch: [2]int{2, 3}, M: 19, N: 21, K: 8}, {Batch: [2]int{3, 2}, M: 5, N: 4, K: 7}, {Batch: [2]int{2, 2}, M: 33, N: 65, K: 40},
		{Batch: [2]int{1, 4}, M: 1, N: 17, K: 33}, {Batch: [2]int{4, 1}, M: 16, N: 1, K: 70}, {Batch: [2]int{2, 2}, M: 1, N: 2, K: 1500},
		{Batch: [2]int{1, 1}, M: 40, N: 70, K: 1100}, {Batch: [2]int{2, 3}, M: 4, N: 3, K: 0}, {Batch: [2]int{2, 3}, M: 0, N: 3, K: 4},
		{Batch: [2]int{2, 3}, M: 3, N: 0, K: 4}, {Batch: [2]int{0, 3}, M: 3, N: 4, K: 5}, {Batch: [2]int{3, 0}, M: 3, N: 4, K: 5},
	}
	for _, shape := range shapes {
		for i, lies := range lies {
			if shape.M*shape.N*shape.K > 1<<16 && i%4 != 2 {
				continue
			}
			for bits := range 4 {
				g := shape
				g.TransA, g.TransB, g.Accumulate = bits&1 != 0, bits&2 != 0, i%2 == 1
				rowsA, colsA, rowsB, colsB := stored(g)
				g.LDA, g.StrideA = lies[0](g.Batch, rowsA, colsA)
				g.LDB, g.StrideB = lies[1](g.Batch, rowsB, colsB)
				f(g)
			}
		}
	}
}

// stored returns the sizes of the matrices as they are stored.
func stored(g backend.MatMulGeom) (rowsA, colsA, rowsB, colsB int) {
	rowsA, colsA, rowsB, colsB = g.M, g.K, g.K, g.N
	if g.TransA {
		rowsA, colsA = colsA, rowsA
	}
	if g.TransB {
		rowsB, colsB = colsB, rowsB
	}
	return rowsA, colsA, rowsB, colsB
}

// places calls f for each element of the matrices of an operand, which are rows×cols as they are stored, with its place, and returns
// one more than the last place.
func places(g backend.MatMulGeom, ld int, stride [2]int, rows, cols int, f func(p, q, row, col, at int)) (n int) {
	if ld == 0 {
		ld = cols
	}
	for p := range g.Batch[0] {
		for q := range g.Batch[1] {
			for row := range rows {
				for col := range cols {
					at := p*stride[0] + q*stride[1] + row*ld + col
					n = max(n, at+1)
					if f != nil {
						f(p, q, row, col, at)
					}
				}
			}
		}
	}
	return n
}

// factorsOf returns the elements of both operands: gap, but where the matrices have one of element's.
func factorsOf[T any](g backend.MatMulGeom, gap T, element func(seed uint64, n int) []T) (a, b []T) {
	lay := func(seed uint64, ld int, stride [2]int, rows, cols int) []T {
		s := element(seed, places(g, ld, stride, rows, cols, nil))
		inside := make([]bool, len(s))
		places(g, ld, stride, rows, cols, func(_, _, _, _, at int) { inside[at] = true })
		for i := range s {
			if !inside[i] {
				s[i] = gap
			}
		}
		return s
	}
	rowsA, colsA, rowsB, colsB := stored(g)
	return lay(1, g.LDA, g.StrideA, rowsA, colsA), lay(2, g.LDB, g.StrideB, rowsB, colsB)
}

func testMatMul[T float32 | float64](t *testing.T, be backend.Backend, g backend.MatMulGeom) {
	a, b := factorsOf(g, math.NaN(), random)
	want := make([]float64, g.Batch[0]*g.Batch[1]*g.M*g.N)
	if g.Accumulate {
		copy(want, random(3, len(want)))
	}
	dst := floats[T](be, want)
	if !g.Accumulate {
		dst = empty[T](be, len(want))
	}
	plainMatMul(want, a, b, g)
	be.MatMul(dst, floats[T](be, a), floats[T](be, b), g)
	wantFloats(t, be, fmt.Sprintf("%+v", g), dst, want, tolerance[T]())
}

func testWholeMatMul[T int64 | uint8](t *testing.T, be backend.Backend, g backend.MatMulGeom) {
	numbers := func(seed uint64, n int) []T {
		s := make([]T, n)
		for i, v := range random(seed, n) {
			s[i] = T(int64(v * (1 << 40))) // so that float64 numbers would not do, and sums wrap
		}
		return s
	}
	a, b := factorsOf(g, 99, numbers)
	want := make([]T, g.Batch[0]*g.Batch[1]*g.M*g.N)
	dst := empty[T](be, len(want))
	if g.Accumulate {
		copy(want, numbers(3, len(want)))
		dst = put(be, want)
	}
	plainMatMul(want, a, b, g)
	be.MatMul(dst, put(be, a), put(be, b), g)
	wantExact(t, be, fmt.Sprintf("%+v", g), dst, want)
}

// testHalfMatMul multiplies small whole numbers, whose products are exact in every type as long as sums are not rounded on the way.
func testHalfMatMul(t *testing.T, be backend.Backend, dtype backend.DType, g backend.MatMulGeom) {
	numbers := func(seed uint64, n int) []float64 {
		s := random(seed, n)
		for i := range s {
			s[i] = math.Round(s[i] * 1.4)
		}
		return s
	}
	half := func(s []float64) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(dtype, len(s)+1), Offset: 1, Len: len(s)}
		be.Copy(a, floats[float32](be, s))
		return a
	}
	a, b := factorsOf(g, math.NaN(), numbers)
	want := make([]float64, g.Batch[0]*g.Batch[1]*g.M*g.N)
	if g.Accumulate {
		copy(want, numbers(3, len(want)))
	}
	dst := half(want)
	plainMatMul(want, a, b, g)
	be.MatMul(dst, half(a), half(b), g)
	got := empty[float32](be, len(want))
	be.Copy(got, dst)
	wantFloats(t, be, fmt.Sprintf("%+v", g), got, want, 0)
}

func plainMatMul[T float64 | int64 | uint8](dst, a, b []T, g backend.MatMulGeom) {
	rowsA, colsA, _, colsB := stored(g)
	places(g, g.LDA, g.StrideA, rowsA, colsA, func(p, q, i, k, atA int) {
		if g.TransA {
			i, k = k, i
		}
		row := dst[((p*g.Batch[1]+q)*g.M+i)*g.N:][:g.N]
		ld, step := g.LDB, 1
		if ld == 0 {
			ld = colsB
		}
		if g.TransB {
			ld, step = 1, ld
		}
		at := p*g.StrideB[0] + q*g.StrideB[1] + k*ld
		for j := range row {
			row[j] += a[atA] * b[at+j*step]
		}
	})
}
