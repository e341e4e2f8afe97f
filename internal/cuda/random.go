//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

var random = typed("random_", allTypes)

// Random draws all elements: the CPU's numbers, but for what logarithm, sine and
// cosine round differently.
func (be *Backend) Random(dst backend.Array, r backend.Random) {
	defer keep(dst)
	single := dst.DType() == backend.Float32 || dst.DType().IsHalf()
	below := math.Nextafter(r.B, r.A)
	if single {
		below = float64(math.Nextafter32(float32(r.B), float32(r.A)))
	}
	var p params
	param(&p, address(dst))
	param(&p, int64(r.Kind))
	param(&p, r.A)
	param(&p, r.B)
	param(&p, r.Seed)
	param(&p, r.Offset)
	param(&p, flag(single))
	param(&p, below)
	at := pointer(0)
	if g := be.capturing(); g != nil && r.Renew != nil {
		var numbers *[2]uint64
		numbers, at = reserve[[2]uint64](g)
		*numbers = [2]uint64{r.Seed, r.Offset}
		g.renew = append(g.renew, func() { numbers[0], numbers[1] = r.Renew() })
	}
	param(&p, at)
	param(&p, int64(dst.Len))
	be.each(random[dst.DType()], (dst.Len+3)/4, &p)
}
