package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// BatchNorm normalizes each channel (Ioffe and Szegedy, Batch Normalization,
// 2015): one pass takes the channel's mean and variance, another writes the
// result.
func (be *Backend) BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b backend.Array, g backend.BatchNormGeom) {
	if x.DType() == backend.Float32 {
		batchNorm(data[float32](dst), data[float32](mean), data[float32](invstd), data[float32](runningMean), data[float32](runningVar),
			data[float32](x), data[float32](w), data[float32](b), g)
	} else {
		batchNorm(data[float64](dst), data[float64](mean), data[float64](invstd), data[float64](runningMean), data[float64](runningVar),
			data[float64](x), data[float64](w), data[float64](b), g)
	}
}

func batchNorm[T float](dst, mean, invstd, runningMean, runningVar, x, w, b []T, g backend.BatchNormGeom) {
	count := float64(g.N * g.Inner)
	eachChannel(g, func(c int) {
		var m, v float64
		switch {
		case !g.Training:
			m, v = float64(runningMean[c]), float64(runningVar[c])
		case count > 0: // an empty batch leaves the running statistics as they are
			m, v = channelStats(x, c, g)
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
		for n := range g.N {
			normalize(channel(dst, n, c, g), channel(x, n, c, g), T(m), T(scale), T(shift))
		}
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

// channel returns the elements of channel c in sample n.
func channel[T any](s []T, n, c int, g backend.BatchNormGeom) []T {
	return s[(n*g.C+c)*g.Inner:][:g.Inner]
}

// channelStats returns a channel's mean and biased variance. One pass takes the
// sums about the mean of the first sample, which is close enough to the
// channel's that float64 loses nothing; a second pass would not find the channel
// in the cache, where samples that lie a power of two apart drive each other out.
func channelStats[T float](x []T, c int, g backend.BatchNormGeom) (mean, variance float64) {
	near := sumOf(channel(x, 0, c, g)) / float64(g.Inner)
	var sum, squares float64
	for n := range g.N {
		s, q := sumsAbout(near, channel(x, n, c, g))
		sum += s
		squares += q
	}
	return fromSums(near, sum, squares, g.N*g.Inner)
}

// fromSums returns the mean and biased variance of n elements from their sums
// about a number near the mean.
func fromSums(near, sum, squares float64, n int) (mean, variance float64) {
	d := sum / float64(n)
	return near + d, max(0, squares/float64(n)-d*d)
}

// sumOf keeps four sums, so that an addition need not wait for the one before.
func sumOf[T float](x []T) float64 {
	var a, b, c, d float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := (*[4]T)(x[i:])
		a += float64(v[0])
		b += float64(v[1])
		c += float64(v[2])
		d += float64(v[3])
	}
	for _, v := range x[i:] {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// sumsAbout returns Σ (x-near) and Σ (x-near)².
func sumsAbout[T float](near float64, x []T) (sum, squares float64) {
	var s0, s1, s2, s3, q0, q1, q2, q3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := (*[4]T)(x[i:])
		v0, v1, v2, v3 := float64(v[0])-near, float64(v[1])-near, float64(v[2])-near, float64(v[3])-near
		s0 += v0
		s1 += v1
		s2 += v2
		s3 += v3
		q0 += v0 * v0
		q1 += v1 * v1
		q2 += v2 * v2
		q3 += v3 * v3
	}
	for _, v := range x[i:] {
		d := float64(v) - near
		s0 += d
		q0 += d * d
	}
	return (s0 + s1) + (s2 + s3), (q0 + q1) + (q2 + q3)
}

// normalize computes dst = (x-mean)·scale + shift.
func normalize[T float](dst, x []T, mean, scale, shift T) {
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v, to := (*[4]T)(x[i:]), (*[4]T)(dst[i:])
		to[0] = (v[0]-mean)*scale + shift
		to[1] = (v[1]-mean)*scale + shift
		to[2] = (v[2]-mean)*scale + shift
		to[3] = (v[3]-mean)*scale + shift
	}
	for ; i < len(x); i++ {
		dst[i] = (x[i]-mean)*scale + shift
	}
}

// sumAndDot returns Σ dy and Σ dy·(x-mean).
func sumAndDot[T float](dy, x []T, mean float64) (sum, dot float64) {
	var s0, s1, s2, s3, d0, d1, d2, d3 float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v, w := (*[4]T)(dy[i:]), (*[4]T)(x[i:])
		v0, v1, v2, v3 := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
		s0 += v0
		s1 += v1
		s2 += v2
		s3 += v3
		d0 += v0 * (float64(w[0]) - mean)
		d1 += v1 * (float64(w[1]) - mean)
		d2 += v2 * (float64(w[2]) - mean)
		d3 += v3 * (float64(w[3]) - mean)
	}
	for ; i < len(x); i++ {
		s0 += float64(dy[i])
		d0 += float64(dy[i]) * (float64(x[i]) - mean)
	}
	return (s0 + s1) + (s2 + s3), (d0 + d1) + (d2 + d3)
}

// normalizeGrad computes dx = (dy - dyMean - (x-mean)·slope)·scale.
func normalizeGrad[T float](dx, dy, x []T, mean, dyMean, slope, scale T) {
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v, w, to := (*[4]T)(dy[i:]), (*[4]T)(x[i:]), (*[4]T)(dx[i:])
		to[0] = (v[0] - dyMean - (w[0]-mean)*slope) * scale
		to[1] = (v[1] - dyMean - (w[1]-mean)*slope) * scale
		to[2] = (v[2] - dyMean - (w[2]-mean)*slope) * scale
		to[3] = (v[3] - dyMean - (w[3]-mean)*slope) * scale
	}
	for ; i < len(x); i++ {
		dx[i] = (dy[i] - dyMean - (x[i]-mean)*slope) * scale
	}
}

// BatchNormGrad computes those of the gradients of x, w and b that are present.
func (be *Backend) BatchNormGrad(dx, dw, db, dy, x, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	if dy.DType() == backend.Float32 {
		batchNormGrad(data[float32](dx), data[float32](dw), data[float32](db), data[float32](dy), data[float32](x),
			data[float32](w), data[float32](mean), data[float32](invstd), g)
	} else {
		batchNormGrad(data[float64](dx), data[float64](dw), data[float64](db), data[float64](dy), data[float64](x),
			data[float64](w), data[float64](mean), data[float64](invstd), g)
	}
}

func batchNormGrad[T float](dx, dw, db, dy, x, w, mean, invstd []T, g backend.BatchNormGeom) {
	eachChannel(g, func(c int) {
		m, scale := float64(mean[c]), float64(invstd[c])
		var sum, dot float64
		if dw != nil || db != nil || g.Training {
			for n := range g.N {
				s, d := sumAndDot(channel(dy, n, c, g), channel(x, n, c, g), m)
				sum += s
				dot += d
			}
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
		for n := range g.N {
			normalizeGrad(channel(dx, n, c, g), channel(dy, n, c, g), channel(x, n, c, g), T(m), T(dyMean), T(slope), T(scale))
		}
	})
}

// RowNorm normalizes each row.
func (be *Backend) RowNorm(dst, mean, invstd, x backend.Array, rows, n int, eps float64) {
	if x.DType() == backend.Float32 {
		rowNorm(data[float32](dst), data[float32](mean), data[float32](invstd), data[float32](x), rows, n, eps)
	} else {
		rowNorm(data[float64](dst), data[float64](mean), data[float64](invstd), data[float64](x), rows, n, eps)
	}
}

func rowNorm[T float](dst, mean, invstd, x []T, rows, n int, eps float64) {
	parallel(rows, grain/max(1, n), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := x[r*n:][:n]
			near := sumOf(row) / float64(n)
			sum, squares := sumsAbout(near, row)
			m, v := fromSums(near, sum, squares, n)
			scale := 1 / math.Sqrt(v+eps)
			mean[r], invstd[r] = T(m), T(scale)
			shift := (float64(T(m)) - m) * scale // what rounding the mean to T would shift
			normalize(dst[r*n:][:n], row, T(m), T(scale), T(shift))
		}
	})
}

// RowNormGrad computes the gradient of x from RowNorm's result y.
func (be *Backend) RowNormGrad(dx, dy, y, invstd backend.Array, rows, n int) {
	if dy.DType() == backend.Float32 {
		rowNormGrad(data[float32](dx), data[float32](dy), data[float32](y), data[float32](invstd), rows, n)
	} else {
		rowNormGrad(data[float64](dx), data[float64](dy), data[float64](y), data[float64](invstd), rows, n)
	}
}

func rowNormGrad[T float](dx, dy, y, invstd []T, rows, n int) {
	parallel(rows, grain/max(1, n), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			dy, y := dy[r*n:][:n], y[r*n:][:n]
			sum, dot := sumAndDot(dy, y, 0)
			normalizeGrad(dx[r*n:][:n], dy, y, 0, T(sum/float64(n)), T(dot/float64(n)), invstd[r])
		}
	})
}
