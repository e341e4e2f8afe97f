//go:build !noasm

package cpu

// transformKernel is a transform in assembly.
type transformKernel func(dst *float32, strideH, strideW int, src *float32, tiles *int, n int)

// The transforms of the schemes.
var (
	transforms512 = [3][5]transformKernel{
		{input2x4x16, weight2x4x16, output2x4x16, outputGrad2x4x16, weightGrad2x4x16},
		{inputPairx16, weightPairx16, outputPairx16, outputGradPairx16, weightGradPairx16},
		{input4x4x16, weight4x4x16, output4x4x16, outputGrad4x4x16, weightGrad4x4x16},
	}
	transforms256 = [3][5]transformKernel{
		{input2x4x8, weight2x4x8, output2x4x8, outputGrad2x4x8, weightGrad2x4x8},
		{inputPairx8, weightPairx8, outputPairx8, outputGradPairx8, weightGradPairx8},
		{input4x4x8, weight4x4x8, output4x4x8, outputGrad4x4x8, weightGrad4x4x8},
	}
)

// tilesAVX returns the kernels for vectors of lanes elements.
func tilesAVX(lanes int, transforms *[3][5]transformKernel) *tileKernels {
	return &tileKernels{
		lanes: lanes,
		transform: func(s *scheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
			record := 1 + len(s.maps[m].rows[0])*len(s.maps[m].columns[0])
			if len(tiles) > 0 {
				transforms[s.id][m](&dst[0], strideH, strideW, &src[0], &tiles[0], len(tiles)/record)
			}
		},
		touch: func(src []float32, lanes *[8]int, blocks []int) {
			if len(blocks) > 0 {
				touch8(&src[0], lanes, &blocks[0], len(blocks))
			}
		},
		scatter: func(dst []float32, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
			if len(blocks) > 0 {
				scatter8x8(&dst[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
			}
		},
	}
}
