package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// MatMul multiplies matrices.
func (be *Backend) MatMul(dst, a, b backend.Array, g backend.MatMulGeom) {
	g = g.Normal()
	switch {
	case dst.Len == 0:
		return
	case g.K == 0:
		if !g.Accumulate {
			be.Fill(dst, 0)
		}
		return
	}
	if be := be.productsOf(a.DType(), b.DType()); be != nil {
		be.matmulHalf(dst, a, b, g)
		return
	}
	switch dst.DType() {
	case backend.Int64:
		wholeProducts(data[int64](dst), data[int64](a), data[int64](b), &g)
	case backend.Uint8:
		wholeProducts(data[uint8](dst), data[uint8](a), data[uint8](b), &g)
	case backend.Float32:
		if be.tilesMultiply(g) {
			be.tileMatMul(data[float32](dst), data[float32](a), data[float32](b), &g)
			return
		}
		matmul(be, data[float32](dst), data[float32](a), data[float32](b), &g)
	default:
		matmul(be, data[float64](dst), data[float64](a), data[float64](b), &g)
	}
}

// matmulHalf is MatMul of arrays of half precision.
func (be *Backend) matmulHalf(dst, a, b backend.Array, g backend.MatMulGeom) {
	d := writes(&dst)
	d.read = g.Accumulate
	x, y := factors(g)
	a, freeA := x.compact(be, a)
	defer freeA()
	b, freeB := y.compact(be, b)
	defer freeB()
	g.LDA, g.StrideA, g.LDB, g.StrideB = x.ld, x.stride, y.ld, y.stride
	be.half(func() { be.MatMul(dst, a, b, g) }, d, reads(&a), reads(&b))
}

// factor is how one of a product's operands lies: matrices of rows×cols elements as they are stored.
type factor struct {
	rows, cols, ld int
	batch, stride  [2]int
}

// factors returns the operands of products whose leading dimensions are filled in.
func factors(g backend.MatMulGeom) (a, b factor) {
	a, b = factor{g.M, g.K, g.LDA, g.Batch, g.StrideA}, factor{g.K, g.N, g.LDB, g.Batch, g.StrideB}
	if g.TransA {
		a.rows, a.cols = a.cols, a.rows
	}
	if g.TransB {
		b.rows, b.cols = b.cols, b.rows
	}
	return a, b
}

// compact is Backend.compact for the matrices of f, which says how they lie then.
func (f *factor) compact(be *Backend, a backend.Array) (_ backend.Array, free func()) {
	a, strides, free := be.compact(a, []int{f.batch[0], f.batch[1], f.rows, f.cols}, []int{f.stride[0], f.stride[1], f.ld, 1})
	f.stride, f.ld = [2]int{strides[0], strides[1]}, strides[2]
	return a, free
}

// offsets returns where matrix i of the batch begins in each operand.
func offsets(g *backend.MatMulGeom, i int) (a, b int) {
	p, q := i/g.Batch[1], i%g.Batch[1]
	return p*g.StrideA[0] + q*g.StrideA[1], p*g.StrideB[0] + q*g.StrideB[1]
}

// steps returns the elements from one row of an operand's matrix to the next, and from one column to the next.
func steps(ld int, transposed bool) (row, col int) {
	if transposed {
		return 1, ld
	}
	return ld, 1
}

// smallMatMul is the number of multiplications up to which packing does not pay.
const smallMatMul = 1 << 10

func matmul[T kernels.Float](be *Backend, c, x, y []T, g *backend.MatMulGeom) {
	count := g.Batch[0] * g.Batch[1]
	if g.M*g.N <= 2 && g.K > dotPiece { // a dot product fills no panel
		longDots(be, c, x, y, g)
		return
	}
	if work := g.M * g.N * g.K; work <= smallMatMul || g.M*g.N <= 2 {
		parallel(count, grain/max(work, 1), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				a, b := offsets(g, i)
				smallProduct(c[i*g.M*g.N:][:g.M*g.N], x[a:], y[b:], g)
			}
		})
		return
	}
	product(be, count, g.M, g.N, g.K, func(i int) (operand[T], operand[T], sink[T]) {
		a, b := offsets(g, i)
		return &matrix[T]{data: x[a:], ld: g.LDA, deep: !g.TransA},
			&matrix[T]{data: y[b:], ld: g.LDB, deep: g.TransB},
			&matrixSink[T]{data: c[i*g.M*g.N:], ld: g.N, add: g.Accumulate}
	})
}

// smallProduct multiplies two matrices by plain loops.
func smallProduct[T kernels.Float](c, a, b []T, g *backend.MatMulGeom) {
	if !g.Accumulate {
		clear(c)
	}
	aRow, aCol := steps(g.LDA, g.TransA)
	for i := range g.M {
		row := c[i*g.N : (i+1)*g.N]
		if g.TransB {
			for j := range row {
				var sum T
				at := i * aRow
				for _, v := range b[j*g.LDB:][:g.K] {
					sum += a[at] * v
					at += aCol
				}
				row[j] += sum
			}
			continue
		}
		for k := range g.K {
			v := a[i*aRow+k*aCol]
			for j, w := range b[k*g.LDB:][:len(row)] {
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
func longDots[T kernels.Float](be *Backend, c, x, y []T, g *backend.MatMulGeom) {
	aRow, aCol := steps(g.LDA, g.TransA)
	bRow, bCol := steps(g.LDB, g.TransB)
	size := max(dotPiece, min(grain, kernels.Ceil(g.K, minUnits))/dotShort*dotShort)
	pieces := kernels.Ceil(g.K, size)
	scratch(be, len(c)*pieces, func(sums []float64) {
		parallel(len(sums), max(1, grain/size), func(lo, hi int) {
			for u := lo; u < hi; u++ {
				at, k := u/pieces, u%pieces*size
				i, m, n := at/(g.M*g.N), at/g.N%g.M, at%g.N
				a, b := offsets(g, i)
				sums[u] = dot(x[a+m*aRow+k*aCol:], y[b+k*bRow+n*bCol:], min(size, g.K-k), aCol, bRow)
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

// dot returns the dot product of n elements that lie stepA and stepB apart, in one order of sums.
func dot[T kernels.Float](a, b []T, n, stepA, stepB int) float64 {
	sum := 0.0
	for done := 0; done < n; done += dotShort {
		short := min(n-done, dotShort)
		p, q := a[done*stepA:], b[done*stepB:]
		var s0, s1, s2, s3 T
		if stepA == 1 && stepB == 1 {
			p, q = p[:short], q[:short]
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
		} else {
			i, j := 0, 0
			for range short / 4 {
				s0 += p[i] * q[j]
				s1 += p[i+stepA] * q[j+stepB]
				s2 += p[i+2*stepA] * q[j+2*stepB]
				s3 += p[i+3*stepA] * q[j+3*stepB]
				i, j = i+4*stepA, j+4*stepB
			}
			for range short % 4 {
				s0 += p[i] * q[j]
				i, j = i+stepA, j+stepB
			}
		}
		sum += float64((s0 + s1) + (s2 + s3))
	}
	return sum
}

// wholeProducts multiplies matrices of whole numbers, row by row. What overflows wraps.
func wholeProducts[T int64 | uint8](c, x, y []T, g *backend.MatMulGeom) {
	row, col := steps(g.LDA, g.TransA)
	parallel(g.Batch[0]*g.Batch[1]*g.M, grain/max(1, g.N*g.K), func(lo, hi int) {
		for u := lo; u < hi; u++ {
			at, from := offsets(g, u/g.M)
			out, b := c[u*g.N:][:g.N], y[from:]
			if !g.Accumulate {
				clear(out)
			}
			at += u % g.M * row
			if g.TransB {
				for j := range out {
					at := at
					for _, w := range b[j*g.LDB:][:g.K] {
						out[j] += x[at] * w
						at += col
					}
				}
				continue
			}
			for k := range g.K {
				v := x[at]
				for j, w := range b[k*g.LDB:][:len(out)] {
					out[j] += v * w
				}
				at += col
			}
		}
	})
}
