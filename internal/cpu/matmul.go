package cpu

import "github.com/wick-ml/wick/internal/backend"

// MatMul multiplies matrices.
func (be *Backend) MatMul(dst, a, b backend.Array, g backend.MatMulGeom) {
	if be := be.productsOf(a, b); be != nil {
		d := writes(&dst)
		d.read = g.Accumulate
		be.half(func() { be.MatMul(dst, a, b, g) }, d, reads(&a), reads(&b))
		return
	}
	switch dst.DType() {
	case backend.Int64:
		wholeProducts(data[int64](dst), data[int64](a), data[int64](b), g)
		return
	case backend.Uint8:
		wholeProducts(data[uint8](dst), data[uint8](a), data[uint8](b), g)
		return
	}
	if dst.DType() == backend.Float32 {
		if be.tilesMultiply(g) {
			be.tileMatMul(data[float32](dst), data[float32](a), data[float32](b), g)
			return
		}
		matmul[float32](be, dst, a, b, g)
	} else {
		matmul[float64](be, dst, a, b, g)
	}
}

// smallMatMul is the number of multiplications up to which packing does not pay.
const smallMatMul = 1 << 10

func matmul[T float](be *Backend, dst, a, b backend.Array, g backend.MatMulGeom) {
	c, x, y := data[T](dst), data[T](a), data[T](b)
	if len(c) == 0 {
		return
	}
	if g.M*g.N <= 2 && g.K > dotPiece { // a dot product fills no panel
		longDots(be, c, x, y, g)
		return
	}
	if work := g.M * g.N * g.K; work <= smallMatMul || g.M*g.N <= 2 {
		parallel(g.Batch, grain/max(work, 1), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				smallProduct(c[i*g.M*g.N:][:g.M*g.N], x[i*g.StrideA:], y[i*g.StrideB:], g)
			}
		})
		return
	}
	lda, ldb := g.K, g.N
	if g.TransA {
		lda = g.M
	}
	if g.TransB {
		ldb = g.K
	}
	product(be, g.Batch, g.M, g.N, g.K, func(i int) (operand[T], operand[T], sink[T]) {
		return &matrix[T]{data: x[i*g.StrideA:], ld: lda, deep: !g.TransA},
			&matrix[T]{data: y[i*g.StrideB:], ld: ldb, deep: g.TransB},
			&matrixSink[T]{data: c[i*g.M*g.N:], ld: g.N, add: g.Accumulate}
	})
}

// smallProduct multiplies two matrices by plain loops.
func smallProduct[T float](c, a, b []T, g backend.MatMulGeom) {
	if !g.Accumulate {
		clear(c)
	}
	aRow, aCol := g.K, 1
	if g.TransA {
		aRow, aCol = 1, g.M
	}
	for i := range g.M {
		row := c[i*g.N : (i+1)*g.N]
		if g.TransB {
			for j := range row {
				var sum T
				at := i * aRow
				for _, v := range b[j*g.K : (j+1)*g.K] {
					sum += a[at] * v
					at += aCol
				}
				row[j] += sum
			}
			continue
		}
		for k := range g.K {
			v := a[i*aRow+k*aCol]
			for j, w := range b[k*g.N:][:len(row)] {
				row[j] += v * w
			}
		}
	}
}

// Long dot products are cut into pieces, and those into short sums in T, which float64 numbers take.
const (
	dotPiece = 1 << 10
	dotShort = 1 << 8
)

// longDots multiplies matrices that are few dot products.
func longDots[T float](be *Backend, c, x, y []T, g backend.MatMulGeom) {
	aRow, aCol, bRow, bCol := g.K, 1, g.N, 1
	if g.TransA {
		aRow, aCol = 1, g.M
	}
	if g.TransB {
		bRow, bCol = 1, g.K
	}
	size := max(dotPiece, min(grain, ceil(g.K, minUnits))/dotShort*dotShort)
	pieces := ceil(g.K, size)
	scratch(be, len(c)*pieces, func(sums []float64) {
		parallel(len(sums), max(1, grain/size), func(lo, hi int) {
			for u := lo; u < hi; u++ {
				at, k := u/pieces, u%pieces*size
				i, m, n := at/(g.M*g.N), at/g.N%g.M, at%g.N
				sums[u] = dot(x[i*g.StrideA+m*aRow+k*aCol:], y[i*g.StrideB+k*bRow+n*bCol:], min(size, g.K-k), aCol, bRow)
			}
		})
		for i := range c {
			sum := 0.0
			if g.Accumulate {
				sum = float64(c[i])
			}
			for _, v := range sums[i*pieces:][:pieces] {
				sum += v
			}
			c[i] = T(sum)
		}
	})
}

// dot returns the dot product of n elements that lie stepA and stepB apart.
func dot[T float](a, b []T, n, stepA, stepB int) float64 {
	sum := 0.0
	if stepA != 1 || stepB != 1 {
		for k := 0; k < n; k += dotShort {
			var s T
			for i := k; i < min(k+dotShort, n); i++ {
				s += a[i*stepA] * b[i*stepB]
			}
			sum += float64(s)
		}
		return sum
	}
	for a, b = a[:n], b[:n]; len(a) > 0; {
		short := min(len(a), dotShort)
		p, q := a[:short], b[:short]
		a, b = a[short:], b[short:]
		var s0, s1, s2, s3 T
		for ; len(p) >= 4; p, q = p[4:], q[4:] {
			u, v := (*[4]T)(p), (*[4]T)(q)
			s0 += u[0] * v[0]
			s1 += u[1] * v[1]
			s2 += u[2] * v[2]
			s3 += u[3] * v[3]
		}
		for i, v := range p {
			s0 += v * q[i]
		}
		sum += float64((s0 + s1) + (s2 + s3))
	}
	return sum
}

// wholeProducts multiplies matrices of whole numbers, row by row. What overflows wraps.
func wholeProducts[T int64 | uint8](c, x, y []T, g backend.MatMulGeom) {
	if len(c) == 0 {
		return
	}
	row, col := g.K, 1
	if g.TransA {
		row, col = 1, g.M
	}
	parallel(g.Batch*g.M, grain/max(1, g.N*g.K), func(lo, hi int) {
		for u := lo; u < hi; u++ {
			i := u / g.M
			out, b := c[u*g.N:][:g.N], y[i*g.StrideB:]
			if !g.Accumulate {
				clear(out)
			}
			at := i*g.StrideA + u%g.M*row
			if g.TransB {
				for j := range out {
					at := at
					for _, w := range b[j*g.K:][:g.K] {
						out[j] += x[at] * w
						at += col
					}
				}
				continue
			}
			for k := range g.K {
				v := x[at]
				for j, w := range b[k*g.N:][:len(out)] {
					out[j] += v * w
				}
				at += col
			}
		}
	})
}
