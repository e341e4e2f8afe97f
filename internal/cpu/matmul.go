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
	if work := g.M * g.N * g.K; work <= smallMatMul || g.M*g.N <= 2 { // a dot product fills no panel
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
