//go:build !noasm

package kernels

// assembly lists the levels: every processor of this kind has NEON.
func assembly() []Level {
	return []Level{{Name: "neon", Gemm: &kernelNEON, Vector: &vectorNEON, vector64: &vector64NEON, Taps: &tapsNEON, Half: &PlainHalf}}
}

// The kernels begin as the Go loops, and stay such where there is no assembly.
var kernelNEON = func() Gemm[float32] {
	kn := Plain32
	kn.Heights, kn.Width = []int{6}, 16
	kn.Run = func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) }
	kn.Transpose = func(dst []float32, width int, src []float32, lanes *[8]int, blocks []int) {
		if len(blocks) > 0 {
			transpose8x8(&dst[0], width, &src[0], lanes, &blocks[0], len(blocks))
		}
	}
	kn.Copy = func(dst []float32, width int, src []float32, offsets []int, pieces []Piece) {
		if len(pieces) > 0 && len(offsets) > 0 {
			copy8(&dst[0], width, &src[0], &offsets[0], len(offsets), &pieces[0].Dst, len(pieces)/2)
		}
	}
	kn.Stage = func(dst, src []float32, g *StageGeom) {
		switch {
		case g.Images <= 0 || g.Rows <= 0 || g.Blocks <= 0:
		case g.Odd != 0:
			PlainStage(dst, src, g)
		default:
			stage8(&dst[0], &src[0], &g.Images)
		}
	}
	kn.Winograd = &tilesNEON
	return kn
}()
