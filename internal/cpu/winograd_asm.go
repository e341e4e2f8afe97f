//go:build !noasm && (amd64 || arm64)

package cpu

// transformKernel is a transform in assembly.
type transformKernel func(dst *float32, strideH, strideW int, src *float32, tiles *int, n int)

// tilesAsm returns the kernels for vectors of lanes elements.
func tilesAsm(lanes int, transforms *[2][5]transformKernel) *tileKernels {
	return &tileKernels{
		lanes: lanes,
		transform: func(s *scheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
			record := 1 + len(s.maps[m].rows[0])*len(s.maps[m].columns[0])
			if len(tiles) > 0 {
				transforms[s.id][m](&dst[0], strideH, strideW, &src[0], &tiles[0], len(tiles)/record)
			}
		},
		scatter: func(dst []float32, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
			if len(blocks) > 0 {
				scatter8x8(&dst[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
			}
		},
	}
}
