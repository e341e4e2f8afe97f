package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Softmax computes softmax along N, or its logarithm.
func (be *Backend) Softmax(dst, x backend.Array, log bool, g backend.DimGeom) {
	if someHalf(dst, x) {
		dst, x := dst, x
		be.half(func() { be.Softmax(dst, x, log, g) }, writes(&dst), reads(&x))
		return
	}
	if x.DType() == backend.Float32 {
		softmax(be, data[float32](dst), data[float32](x), log, g)
	} else {
		softmax(be, data[float64](dst), data[float64](x), log, g)
	}
}

// softmax takes the maximum of each column off first, so that the exponentials
// neither overflow nor all vanish.
func softmax[T kernels.Float](be *Backend, dst, x []T, log bool, g backend.DimGeom) {
	if len(x) == 0 {
		return
	}
	if g.Inner == 1 {
		eachRun(g, func(lo, hi int) { softmaxRow(dst[lo:hi], x[lo:hi], log) })
		return
	}
	columns := g.Outer * g.Inner
	scratch(be, 2*columns, func(s []float64) {
		eachColumns(g, func(o, lo, hi int) {
			largest, sum := s[o*g.Inner+lo:o*g.Inner+hi], s[columns+o*g.Inner+lo:columns+o*g.Inner+hi]
			row := func(s []T, k int) []T { return s[(o*g.N+k)*g.Inner+lo:][:len(largest)] }
			for i := range largest {
				largest[i], sum[i] = math.Inf(-1), 0
			}
			for k := range g.N {
				for i, v := range row(x, k) {
					largest[i] = max(largest[i], float64(v))
				}
			}
			for k := range g.N {
				out := row(dst, k)
				for i, v := range row(x, k) {
					e := math.Exp(float64(v) - largest[i])
					sum[i] += e
					if !log {
						out[i] = T(e)
					}
				}
			}
			if log {
				for i := range largest {
					largest[i] += math.Log(sum[i])
				}
			}
			for k := range g.N {
				out := row(dst, k)
				if log {
					for i, v := range row(x, k) {
						out[i] = T(float64(v) - largest[i])
					}
				} else {
					for i, v := range out {
						out[i] = T(float64(v) / sum[i])
					}
				}
			}
		})
	})
}

// eachRun calls f in parallel for the runs of N contiguous elements of a geometry
// whose Inner is 1.
func eachRun(g backend.DimGeom, f func(lo, hi int)) {
	parallel(g.Outer, grain/g.N, func(lo, hi int) {
		for o := lo; o < hi; o++ {
			f(o*g.N, (o+1)*g.N)
		}
	})
}

// softmaxRow is softmax of contiguous elements.
func softmaxRow[T kernels.Float](dst, x []T, log bool) {
	kn := kernels.VectorOf[T]()
	largest := kn.Max(x)
	var mean, scale, shift T
	if log {
		mean, scale, shift = largest, 1, T(-math.Log(kn.SumExp(x, largest)))
	} else {
		scale = T(1 / kn.Exp(dst, x, largest))
		x = dst
	}
	for len(x) > 0 {
		n := min(len(x), kernels.Longest)
		kn.Normalize(dst, x, kernels.Rows{Count: 1, N: n}, mean, scale, shift, false)
		dst, x = dst[n:], x[n:]
	}
}

// softmaxGradRow is SoftmaxGrad of contiguous elements.
func softmaxGradRow[T kernels.Float](dx, dy, y []T, log bool) {
	kn := kernels.VectorOf[T]()
	if log {
		kn.LogSoftmaxGrad(dx, dy, y, T(kn.Sum(dy)))
		return
	}
	dot := 0.0
	for lo := 0; lo < len(dy); lo += kernels.Longest {
		n := min(len(dy)-lo, kernels.Longest)
		_, d := kn.SumAndDot(dy[lo:], y[lo:], nil, kernels.Rows{Count: 1, N: n}, 0)
		dot += d
	}
	kn.SoftmaxGrad(dx, dy, y, T(dot))
}

// SoftmaxGrad computes the gradient of x from Softmax's result y.
func (be *Backend) SoftmaxGrad(dx, dy, y backend.Array, log bool, g backend.DimGeom) {
	if someHalf(dx, dy, y) {
		dx, dy, y := dx, dy, y
		be.half(func() { be.SoftmaxGrad(dx, dy, y, log, g) }, writes(&dx), reads(&dy), reads(&y))
		return
	}
	if dy.DType() == backend.Float32 {
		softmaxGrad(be, data[float32](dx), data[float32](dy), data[float32](y), log, g)
	} else {
		softmaxGrad(be, data[float64](dx), data[float64](dy), data[float64](y), log, g)
	}
}

// SoftmaxGrad computes y·(dy - Σ dy·y), and for the logarithm dy - exp(y)·Σ dy.
func softmaxGrad[T kernels.Float](be *Backend, dx, dy, y []T, log bool, g backend.DimGeom) {
	if len(dy) == 0 {
		return
	}
	if g.Inner == 1 {
		eachRun(g, func(lo, hi int) { softmaxGradRow(dx[lo:hi], dy[lo:hi], y[lo:hi], log) })
		return
	}
	scratch(be, g.Outer*g.Inner, func(s []float64) {
		eachColumns(g, func(o, lo, hi int) {
			sum := s[o*g.Inner+lo : o*g.Inner+hi]
			row := func(s []T, k int) []T { return s[(o*g.N+k)*g.Inner+lo:][:len(sum)] }
			clear(sum)
			for k := range g.N {
				if log {
					for i, v := range row(dy, k) {
						sum[i] += float64(v)
					}
					continue
				}
				y := row(y, k)
				for i, v := range row(dy, k) {
					sum[i] += float64(v) * float64(y[i])
				}
			}
			for k := range g.N {
				out, y := row(dx, k), row(y, k)
				for i, v := range row(dy, k) {
					if log {
						out[i] = T(float64(v) - math.Exp(float64(y[i]))*sum[i])
					} else {
						out[i] = T(float64(y[i]) * (float64(v) - sum[i]))
					}
				}
			}
		})
	})
}
