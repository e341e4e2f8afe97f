//go:build !noasm

package cpu

// assembly lists the levels: every processor of this kind has NEON.
func assembly() []level {
	return []level{{name: "neon", gemm: &kernelNEON, vector: &vectorNEON, vector64: &vector64NEON, taps: &tapsNEON, half: &plainHalf}}
}

// The kernels begin as the Go loops, and stay such where there is no assembly.
var kernelNEON = func() kernel[float32] {
	kn := plain32
	kn.heights, kn.width = []int{6}, 16
	kn.run = func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) }
	kn.transpose = func(dst []float32, width int, src []float32, lanes *[8]int, blocks []int) {
		if len(blocks) > 0 {
			transpose8x8(&dst[0], width, &src[0], lanes, &blocks[0], len(blocks))
		}
	}
	kn.copy = func(dst []float32, width int, src []float32, offsets []int, pieces []piece) {
		if len(pieces) > 0 && len(offsets) > 0 {
			copy8(&dst[0], width, &src[0], &offsets[0], len(offsets), &pieces[0].dst, len(pieces)/2)
		}
	}
	kn.stage = func(dst, src []float32, g *stageGeom) {
		switch {
		case g.images <= 0 || g.rows <= 0 || g.blocks <= 0:
		case g.odd != 0:
			plainStage(dst, src, g)
		default:
			stage8(&dst[0], &src[0], &g.images)
		}
	}
	kn.tiles = &tilesNEON
	return kn
}()
