package cpu

import "github.com/wick-ml/wick/internal/backend"

// CropMirrorNormalize cuts a window out of each image, mirrors it and looks its
// bytes up.
func (be *Backend) CropMirrorNormalize(dst, pictures, moves, values backend.Array, g backend.CropGeom) {
	to, from, move, table := data[float32](dst), data[uint8](pictures), data[int64](moves), data[float32](values)
	parallel(g.N*g.C*g.P, grain/max(1, g.Q), func(lo, hi int) {
		for row := lo; row < hi; row++ {
			plane := row / g.P
			m, value := move[plane/g.C*4:][:4], (*[256]float32)(table[plane%g.C*256:])
			y, x, step := int64(row%g.P), m[1], int64(1)
			if m[2] != 0 {
				y = int64(g.P) - 1 - y
			}
			if m[3] != 0 {
				x, step = x+int64(g.Q)-1, -1
			}
			y += m[0]
			var line []uint8 // none of it, if the row lies beside the image
			if y >= 0 && y < int64(g.H) {
				line = from[(plane*g.H+int(y))*g.W:][:g.W]
			}
			out := to[row*g.Q:][:g.Q]
			for i := range out {
				v := uint8(0)
				if uint64(x) < uint64(len(line)) {
					v = line[x]
				}
				out[i] = value[v]
				x += step
			}
		}
	})
}
