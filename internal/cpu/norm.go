package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// BatchNorm normalizes each channel (Ioffe and Szegedy, Batch Normalization,
// 2015): one pass takes the channel's mean and variance, another writes the
// result.
func (be *Backend) BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b backend.Array, g backend.BatchNormGeom) {
	if someHalf(dst, mean, invstd, runningMean, runningVar, x, w, b) {
		be.batchNormHalf(dst, mean, invstd, runningMean, runningVar, x, w, b, g)
		return
	}
	if x.DType() == backend.Float32 {
		batchNorm(&kernels.Current.Vector.Loops, data[float32](dst), data[float32](mean), data[float32](invstd), data[float32](runningMean), data[float32](runningVar),
			data[float32](x), data[float32](w), data[float32](b), g)
	} else {
		batchNorm(&kernels.PlainVector64.Loops, data[float64](dst), data[float64](mean), data[float64](invstd), data[float64](runningMean), data[float64](runningVar),
			data[float64](x), data[float64](w), data[float64](b), g)
	}
}

// batchNormHalf is BatchNorm of arrays some of which have half precision.
func (be *Backend) batchNormHalf(dst, mean, invstd, runningMean, runningVar, x, w, b backend.Array, g backend.BatchNormGeom) {
	arrays := []argument{writes(&dst), reads(&x)}
	params := []argument{writes(&mean), writes(&invstd), updates(&runningMean), updates(&runningVar), reads(&w), reads(&b)}
	brief := loopsBF16(dst, x)
	if brief != nil {
		be.widened(func() {
			batchNorm(brief, data[uint16](dst), data[float32](mean), data[float32](invstd), data[float32](runningMean), data[float32](runningVar),
				data[uint16](x), data[float32](w), data[float32](b), g)
		}, params...)
		return
	}
	be.channels(g, func(a, p []backend.Array, g backend.BatchNormGeom) {
		be.BatchNorm(a[0], p[0], p[1], p[2], p[3], a[1], p[4], p[5], g)
	}, arrays, params...)
}

func batchNorm[S any, T kernels.Float](kn *kernels.Loops[S, T], dst []S, mean, invstd, runningMean, runningVar []T, x []S, w, b []T, g backend.BatchNormGeom) {
	count := float64(g.N * g.Inner)
	eachChannel(g, func(c int) {
		var m, v float64
		switch {
		case !g.Training:
			m, v = float64(runningMean[c]), float64(runningVar[c])
		case count > 0: // an empty batch leaves the running statistics as they are
			m, v = channelStats(kn, x, c, g)
			if runningMean != nil {
				runningMean[c] = T((1-g.Momentum)*float64(runningMean[c]) + g.Momentum*m)
				runningVar[c] = T((1-g.Momentum)*float64(runningVar[c]) + g.Momentum*v*count/(count-1))
			}
		}
		scale := 1 / math.Sqrt(v+g.Eps)
		mean[c], invstd[c] = T(m), T(scale)
		var shift float64
		if w != nil {
			scale *= float64(w[c])
		}
		if b != nil {
			shift = float64(b[c])
		}
		shift += (float64(T(m)) - m) * scale // what rounding the mean to T would shift
		eachPart(c, g, func(at int, r kernels.Rows) {
			kn.Normalize(dst[at:], x[at:], r, T(m), T(scale), T(shift), g.ReLU)
		})
	})
}

// eachChannel calls f in parallel for all channels.
func eachChannel(g backend.BatchNormGeom, f func(c int)) {
	// Neighbouring channels may share a cache line, hence pieces of 16 elements and more.
	least := (16 + g.Inner) / (1 + g.Inner)
	parallel(g.C, max(least, grain/max(1, g.N*g.Inner)), func(lo, hi int) {
		for c := lo; c < hi; c++ {
			f(c)
		}
	})
}

// eachPart calls f for the parts of channel c, in order: rows that begin at an
// offset, few enough for one call of a kernel.
func eachPart(c int, g backend.BatchNormGeom, f func(at int, r kernels.Rows)) {
	count := max(1, kernels.Longest/max(1, g.Inner))
	for n := 0; n < g.N; n += count {
		for i := 0; i < g.Inner; i += kernels.Longest {
			f((n*g.C+c)*g.Inner+i, kernels.Rows{Count: min(count, g.N-n), Stride: g.C * g.Inner, N: min(kernels.Longest, g.Inner-i)})
		}
	}
}

// channelStats returns a channel's mean and biased variance. One pass takes the
// sums about the channel's first element, which is close enough to the mean that
// float64 loses nothing: its square distance from the mean is at most the number
// of elements times the variance.
func channelStats[S any, T kernels.Float](kn *kernels.Loops[S, T], x []S, c int, g backend.BatchNormGeom) (mean, variance float64) {
	near, _ := kn.SumsAbout(x[c*g.Inner:], one(1), 0) // the element
	var sum, squares float64
	eachPart(c, g, func(at int, r kernels.Rows) {
		s, q := kn.SumsAbout(x[at:], r, near)
		sum += s
		squares += q
	})
	return fromSums(near, sum, squares, g.N*g.Inner)
}

// fromSums returns the mean and biased variance of n elements from their sums
// about a number near the mean.
func fromSums(near, sum, squares float64, n int) (mean, variance float64) {
	d := sum / float64(n)
	return near + d, max(0, squares/float64(n)-d*d)
}

// BatchNormGrad computes those of the gradients of x, w and b that are present.
func (be *Backend) BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	if someHalf(dx, dw, db, dy, x, y, w, mean, invstd) {
		be.batchNormGradHalf(dx, dw, db, dy, x, y, w, mean, invstd, g)
		return
	}
	if dy.DType() == backend.Float32 {
		batchNormGrad(&kernels.Current.Vector.Loops, data[float32](dx), data[float32](dw), data[float32](db), data[float32](dy), data[float32](x), data[float32](y),
			data[float32](w), data[float32](mean), data[float32](invstd), g)
	} else {
		batchNormGrad(&kernels.PlainVector64.Loops, data[float64](dx), data[float64](dw), data[float64](db), data[float64](dy), data[float64](x), data[float64](y),
			data[float64](w), data[float64](mean), data[float64](invstd), g)
	}
}

// batchNormGradHalf is BatchNormGrad of arrays some of which have half precision.
func (be *Backend) batchNormGradHalf(dx, dw, db, dy, x, y, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	arrays := []argument{writes(&dx), reads(&dy), reads(&x), reads(&y)}
	params := []argument{writes(&dw), writes(&db), reads(&w), reads(&mean), reads(&invstd)}
	brief := loopsBF16(dx, dy, x, y)
	if brief != nil {
		be.widened(func() {
			batchNormGrad(brief, data[uint16](dx), data[float32](dw), data[float32](db), data[uint16](dy), data[uint16](x), data[uint16](y),
				data[float32](w), data[float32](mean), data[float32](invstd), g)
		}, params...)
		return
	}
	be.channels(g, func(a, p []backend.Array, g backend.BatchNormGeom) {
		be.BatchNormGrad(a[0], p[0], p[1], a[1], a[2], a[3], p[2], p[3], p[4], g)
	}, arrays, params...)
}

func batchNormGrad[S any, T kernels.Float](kn *kernels.Loops[S, T], dx []S, dw, db []T, dy, x, y []S, w, mean, invstd []T, g backend.BatchNormGeom) {
	from := func(s []S, at int) []S { // y is there with ReLU only
		if !g.ReLU {
			return nil
		}
		return s[at:]
	}
	eachChannel(g, func(c int) {
		m, scale := float64(mean[c]), float64(invstd[c])
		var sum, dot float64
		if dw != nil || db != nil || g.Training {
			eachPart(c, g, func(at int, r kernels.Rows) {
				s, d := kn.SumAndDot(dy[at:], x[at:], from(y, at), r, m)
				sum += s
				dot += d
			})
		}
		if dw != nil {
			dw[c] = T(dot * scale)
		}
		if db != nil {
			db[c] = T(sum)
		}
		if dx == nil {
			return
		}
		var dyMean, slope float64
		if g.Training {
			n := float64(g.N * g.Inner)
			dyMean, slope = sum/n, dot*scale*scale/n
		}
		if w != nil {
			scale *= float64(w[c])
		}
		eachPart(c, g, func(at int, r kernels.Rows) {
			kn.NormalizeGrad(dx[at:], dy[at:], x[at:], from(y, at), r, T(m), T(dyMean), T(slope), T(scale))
		})
	})
}

// RowNorm normalizes each row.
func (be *Backend) RowNorm(dst, mean, invstd, x backend.Array, rows, n int, eps float64) {
	if someHalf(dst, mean, invstd, x) {
		dst, mean, invstd, x := dst, mean, invstd, x
		be.half(func() { be.RowNorm(dst, mean, invstd, x, rows, n, eps) }, writes(&dst), writes(&mean), writes(&invstd), reads(&x))
		return
	}
	if x.DType() == backend.Float32 {
		rowNorm(data[float32](dst), data[float32](mean), data[float32](invstd), data[float32](x), rows, n, eps)
	} else {
		rowNorm(data[float64](dst), data[float64](mean), data[float64](invstd), data[float64](x), rows, n, eps)
	}
}

func rowNorm[T kernels.Float](dst, mean, invstd, x []T, rows, n int, eps float64) {
	kn := kernels.VectorOf[T]()
	parallel(rows, grain/max(1, n), func(lo, hi int) {
		for r := lo; r < hi && n > 0; r++ {
			mean[r], invstd[r] = normalizeRow(kn, dst[r*n:][:n], x[r*n:][:n], eps)
		}
	})
}

// normalizeRow normalizes x to mean 0 and variance 1.
func normalizeRow[T kernels.Float](kn *kernels.Vector[T], dst, x []T, eps float64) (mean, invstd T) {
	near := float64(x[0])
	var sum, squares float64
	eachPiece(0, len(x), func(at, n int) {
		s, q := kn.SumsAbout(x[at:], one(n), near)
		sum += s
		squares += q
	})
	m, v := fromSums(near, sum, squares, len(x))
	scale := 1 / math.Sqrt(v+eps)
	shift := (float64(T(m)) - m) * scale // what rounding the mean to T would shift
	eachPiece(0, len(x), func(at, n int) { kn.Normalize(dst[at:], x[at:], one(n), T(m), T(scale), T(shift), false) })
	return T(m), T(scale)
}

var _ backend.AffineRowNorm = (*Backend)(nil)

// AffineRowNorm is RowNorm followed by a weight and a bias.
func (be *Backend) AffineRowNorm(dst, y, mean, invstd, x, w, b backend.Array, rows, n int, eps float64) {
	if x.DType() == backend.Float64 {
		affineRowNorm[float64](be, dst, y, mean, invstd, x, w, b, rows, n, eps)
	} else {
		affineRowNorm[float32](be, dst, y, mean, invstd, x, w, b, rows, n, eps)
	}
}

func affineRowNorm[T kernels.Float](be *Backend, dst, y, mean, invstd, x, w, b backend.Array, rows, n int, eps float64) {
	if n == 0 || rows == 0 {
		return
	}
	kn, half := kernels.VectorOf[T](), x.DType().IsHalf()
	var from, to []T
	var fromHalf, toHalf []uint16
	if half {
		fromHalf, toHalf = data[uint16](x), data[uint16](dst)
	} else {
		from, to = data[T](x), data[T](dst)
	}
	normal, means, scales, weight, bias := data[T](y), data[T](mean), data[T](invstd), data[T](w), data[T](b)
	parallel(rows, grain/n, func(lo, hi int) {
		scratch(be, 2*n, func(room []T) {
			for r := lo; r < hi; r++ {
				in, out := room[:n], room[:n]
				if half {
					widenAs(x.DType(), alike[float32](in), fromHalf[r*n:][:n])
				} else {
					in, out = from[r*n:][:n], to[r*n:][:n]
				}
				row := room[n:]
				if normal != nil {
					row = normal[r*n:][:n]
				}
				means[r], scales[r] = normalizeRow(kn, row, in, eps)
				eachPiece(0, n, func(at, n int) {
					v, out := row[at:][:n], out[at:][:n]
					if weight != nil {
						kn.Mul(out, v, weight[at:][:n])
						v = out
					}
					if bias != nil {
						kn.Add(out, v, bias[at:][:n])
					} else if weight == nil {
						copy(out, v)
					}
				})
				if half {
					narrowAs(dst.DType(), toHalf[r*n:][:n], alike[float32](out))
				}
			}
		})
	})
}

// one is a single row.
func one(n int) kernels.Rows { return kernels.Rows{Count: 1, N: n} }

// eachPiece cuts row r, of n elements, into pieces for one call of a kernel each.
func eachPiece(r, n int, f func(at, n int)) {
	for i := 0; i < n; i += kernels.Longest {
		f(r*n+i, min(kernels.Longest, n-i))
	}
}

// RowNormGrad computes the gradient of x from RowNorm's result y.
func (be *Backend) RowNormGrad(dx, dy, y, invstd backend.Array, rows, n int) {
	if someHalf(dx, dy, y, invstd) {
		dx, dy, y, invstd := dx, dy, y, invstd
		be.half(func() { be.RowNormGrad(dx, dy, y, invstd, rows, n) }, writes(&dx), reads(&dy), reads(&y), reads(&invstd))
		return
	}
	if dy.DType() == backend.Float32 {
		rowNormGrad(data[float32](dx), data[float32](dy), data[float32](y), data[float32](invstd), rows, n)
	} else {
		rowNormGrad(data[float64](dx), data[float64](dy), data[float64](y), data[float64](invstd), rows, n)
	}
}

func rowNormGrad[T kernels.Float](dx, dy, y, invstd []T, rows, n int) {
	kn := kernels.VectorOf[T]()
	parallel(rows, grain/max(1, n), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			var sum, dot float64
			eachPiece(r, n, func(at, n int) {
				s, d := kn.SumAndDot(dy[at:], y[at:], nil, one(n), 0)
				sum += s
				dot += d
			})
			eachPiece(r, n, func(at, k int) {
				kn.NormalizeGrad(dx[at:], dy[at:], y[at:], nil, one(k), 0, T(sum/float64(n)), T(dot/float64(n)), invstd[r])
			})
		}
	})
}
