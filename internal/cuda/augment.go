//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

var cropMirrorNormalize = single("crop_mirror_normalize")

// CropMirrorNormalize cuts a window out of each image, mirrors it and looks its
// bytes up.
func (be *Backend) CropMirrorNormalize(dst, pictures, moves, values backend.Array, g backend.CropGeom) {
	defer keep(dst, pictures, moves, values)
	to := address(dst)
	var p params
	param(&p, to)
	param(&p, address(pictures))
	param(&p, address(moves))
	param(&p, address(values))
	param(&p, int64(g.C))
	param(&p, int64(g.H))
	param(&p, int64(g.W))
	param(&p, int64(g.P))
	param(&p, int64(g.Q))
	param(&p, flag(to%16 == 0))
	param(&p, int64(dst.Len))
	be.each(cropMirrorNormalize, (dst.Len+3)/4, &p)
}
