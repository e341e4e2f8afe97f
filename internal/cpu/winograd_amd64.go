//go:build !noasm

package cpu

// transformKernel is a transform in assembly.
type transformKernel func(dst *float32, strideH, strideW int, src *float32, tiles *int, n int)

var transforms512 = map[*scheme]*[5]transformKernel{
	&scheme2x4:  {input2x4x16, weight2x4x16, output2x4x16, outputGrad2x4x16, weightGrad2x4x16},
	&schemePair: {inputPairx16, weightPairx16, outputPairx16, outputGradPairx16, weightGradPairx16},
}

var transforms256 = map[*scheme]*[5]transformKernel{
	&scheme2x4:  {input2x4x8, weight2x4x8, output2x4x8, outputGrad2x4x8, weightGrad2x4x8},
	&schemePair: {inputPairx8, weightPairx8, outputPairx8, outputGradPairx8, weightGradPairx8},
}

// tilesAVX returns the kernels for vectors of lanes elements.
func tilesAVX(lanes int, transforms map[*scheme]*[5]transformKernel) *tileKernels {
	return &tileKernels{
		lanes: lanes,
		transform: func(s *scheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
			record := 1 + len(s.maps[m].rows[0])*len(s.maps[m].columns[0])
			if len(tiles) > 0 {
				transforms[s][m](&dst[0], strideH, strideW, &src[0], &tiles[0], len(tiles)/record)
			}
		},
		scatter: func(dst []float32, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
			if len(blocks) > 0 {
				scatter8x8(&dst[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
			}
		},
	}
}
