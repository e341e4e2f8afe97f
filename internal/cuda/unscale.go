//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// scaledAtOnce is how many arrays one launch serves (SCALED_AT_ONCE in
// kernels/unscale.cu).
const scaledAtOnce = 48

// scaled are what a launch goes through (struct Scaled in kernels/unscale.cu).
type scaled struct {
	arrays  [scaledAtOnce]pointer
	lengths [scaledAtOnce]int64
}

// Unscale multiplies by factor and looks for numbers that are not finite.
func (be *Backend) Unscale(xs []backend.Array, found backend.Array, factor float64) {
	for len(xs) > 0 {
		t := xs[0].DType()
		var all scaled
		var longest, n int
		for len(xs) > 0 && n < scaledAtOnce && xs[0].DType() == t {
			all.arrays[n], all.lengths[n] = address(xs[0]), int64(xs[0].Len)
			longest = max(longest, xs[0].Len)
			xs, n = xs[1:], n+1
		}
		if longest == 0 {
			continue
		}
		var p params
		param(&p, all)
		param(&p, address(found))
		if t == backend.Float64 {
			param(&p, factor)
		} else {
			param(&p, float32(factor))
		}
		blocks := min((longest+threads-1)/threads, blocksPerUnit*be.units)
		be.launch(be.function("unscale_"+suffix(t)), [3]int{blocks, n, 1}, threads, 0, &p)
	}
}
