package cpu

import (
	"math"
	"sync/atomic"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Unscale multiplies by factor and looks for numbers that are not finite.
func (be *Backend) Unscale(xs []backend.Array, found backend.Array, factor float64) {
	if be.halfList(func(l []backend.Array) { be.Unscale(l, found, factor) }, xs) {
		return
	}
	var bad bool
	if len(xs) > 0 && xs[0].DType() == backend.Float32 {
		bad = unscale(elements[float32](xs), float32(factor))
	} else {
		bad = unscale(elements[float64](xs), factor)
	}
	if bad {
		data[bool](found)[0] = true
	}
}

func unscale[T kernels.Float](xs [][]T, factor T) (found bool) {
	kn := kernels.VectorOf[T]()
	var factors [1 << 10]T // as many as a call of the product takes
	for i := range factors {
		factors[i] = factor
	}
	var bad atomic.Bool
	sizes := make([]int, len(xs))
	for i, x := range xs {
		sizes[i] = len(x)
	}
	overAll(sizes, func(i, lo, hi int) {
		x := xs[i][lo:hi]
		// A sum with an infinity or NaN in it is never finite; one without may have overflowed.
		if !finite(kn.Sum(x)) {
			for _, v := range x {
				if !finite(float64(v)) {
					bad.Store(true)
					break
				}
			}
		}
		for len(x) > 0 {
			n := min(len(x), len(factors))
			kn.Mul(x[:n], x[:n], factors[:n])
			x = x[n:]
		}
	})
	return bad.Load()
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
