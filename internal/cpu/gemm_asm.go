//go:build !noasm && (amd64 || arm64)

package cpu

func transposeAsm(dst []float32, width int, src []float32, lanes *[8]int, blocks []int) {
	if len(blocks) > 0 {
		transpose8x8(&dst[0], width, &src[0], lanes, &blocks[0], len(blocks))
	}
}

func copyAsm(dst []float32, width int, src []float32, offsets []int, pieces []piece) {
	if len(pieces) > 0 && len(offsets) > 0 {
		copy8(&dst[0], width, &src[0], &offsets[0], len(offsets), &pieces[0].dst, len(pieces)/2)
	}
}

func stageAsm(dst, src []float32, g *stageGeom) {
	if g.images > 0 && g.rows > 0 && g.blocks > 0 {
		stage8(&dst[0], &src[0], &g.images)
	}
}
