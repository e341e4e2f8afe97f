package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// BatchNorm normalizes each channel (Ioffe and Szegedy, Batch Normalization,
// 2015). A channel's mean and variance take a pass each, and a third writes the
// result; all three find the channel in the cache where it fits.
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

// channelStats returns a channel's mean and biased variance.
func channelStats[T float](x []T, c int, g backend.BatchNormGeom) (mean, variance float64) {
	var sum, squares float64
	for n := range g.N {
		sum += sumOf(channel(x, n, c, g))
	}
	count := float64(g.N * g.Inner)
	mean = sum / count
	for n := range g.N {
		squares += squaresAbout(mean, channel(x, n, c, g))
	}
	return mean, squares / count
}

// sumOf keeps four sums, so that an addition need not wait for the one before.
func sumOf[T float](x []T) float64 {
	var a, b, c, d float64
	for len(x) >= 4 {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
		x = x[4:]
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// squaresAbout returns Σ (x-mean)².
func squaresAbout[T float](mean float64, x []T) float64 {
	var a, b, c, d float64
	for len(x) >= 4 {
		v0, v1, v2, v3 := float64(x[0])-mean, float64(x[1])-mean, float64(x[2])-mean, float64(x[3])-mean
		a += v0 * v0
		b += v1 * v1
		c += v2 * v2
		d += v3 * v3
		x = x[4:]
	}
	for _, v := range x {
		v := float64(v) - mean
		a += v * v
	}
	return (a + b) + (c + d)
}

// normalize computes dst = (x-mean)·scale + shift.
func normalize[T float](dst, x []T, mean, scale, shift T) {
	for len(x) >= 4 && len(dst) >= 4 {
		dst[0] = (x[0]-mean)*scale + shift
		dst[1] = (x[1]-mean)*scale + shift
		dst[2] = (x[2]-mean)*scale + shift
		dst[3] = (x[3]-mean)*scale + shift
		x, dst = x[4:], dst[4:]
	}
	for i, v := range x {
		dst[i] = (v-mean)*scale + shift
	}
}

// sumAndDot returns Σ dy and Σ dy·(x-mean).
func sumAndDot[T float](dy, x []T, mean float64) (sum, dot float64) {
	var s0, s1, d0, d1 float64
	for len(x) >= 2 && len(dy) >= 2 {
		v0, v1 := float64(dy[0]), float64(dy[1])
		s0 += v0
		s1 += v1
		d0 += v0 * (float64(x[0]) - mean)
		d1 += v1 * (float64(x[1]) - mean)
		x, dy = x[2:], dy[2:]
	}
	if len(x) > 0 && len(dy) > 0 {
		s0 += float64(dy[0])
		d0 += float64(dy[0]) * (float64(x[0]) - mean)
	}
	return s0 + s1, d0 + d1
}

// normalizeGrad computes dx = (dy - dyMean - (x-mean)·slope)·scale.
func normalizeGrad[T float](dx, dy, x []T, mean, dyMean, slope, scale T) {
	for len(x) >= 4 && len(dy) >= 4 && len(dx) >= 4 {
		dx[0] = (dy[0] - dyMean - (x[0]-mean)*slope) * scale
		dx[1] = (dy[1] - dyMean - (x[1]-mean)*slope) * scale
		dx[2] = (dy[2] - dyMean - (x[2]-mean)*slope) * scale
		dx[3] = (dy[3] - dyMean - (x[3]-mean)*slope) * scale
		x, dy, dx = x[4:], dy[4:], dx[4:]
	}
	for i, v := range x {
		dx[i] = (dy[i] - dyMean - (v-mean)*slope) * scale
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
			m := sumOf(row) / float64(n)
			scale := 1 / math.Sqrt(squaresAbout(m, row)/float64(n)+eps)
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
