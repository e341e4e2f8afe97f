//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

var unscale = typed("unscale_", floatTypes)

// Unscale multiplies by factor and looks for numbers that are not finite.
func (be *Backend) Unscale(xs []backend.Array, found backend.Array, factor float64) {
	for len(xs) > 0 {
		t := xs[0].DType()
		var all parameters
		for len(xs) > 0 && all.count < atOnce && xs[0].DType() == t {
			all.add(xs[0].Len, address(xs[0]))
			xs = xs[1:]
		}
		be.deal(&unscale, t, &all, func(p *params) {
			param(p, address(found))
			if t == backend.Float64 {
				param(p, factor)
			} else {
				param(p, float32(factor))
			}
		})
	}
}
