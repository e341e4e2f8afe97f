//go:build cuda && linux

package cuda

import (
	"runtime"

	"github.com/wick-ml/wick/internal/backend"
)

var unscale = typed("unscale_", floatTypes)

// Unscale multiplies by factor and looks for numbers that are not finite, with a
// launch of an optimizer's kind.
func (be *Backend) Unscale(xs []backend.Array, found backend.Array, factor float64) {
	defer keep(found)
	defer runtime.KeepAlive(xs)
	be.step(&unscale, numbers{
		func(to *params) { param(to, address(found)); param(to, float32(factor)) },
		func(to *params) { param(to, address(found)); param(to, factor) },
	}, xs)
}
