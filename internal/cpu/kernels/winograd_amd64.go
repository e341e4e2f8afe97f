//go:build !noasm

package kernels

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
		Lanes: lanes,
		Transform: func(s *WinogradScheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
			record := 1 + len(s.maps[m].rows[0])*len(s.maps[m].columns[0])
			if len(tiles) > 0 {
				transforms[s.id][m](&dst[0], strideH, strideW, &src[0], &tiles[0], len(tiles)/record)
			}
		},
		Transpose: func(dst []float32, width int, src Floats, lanes *[8]int, blocks []int) {
			switch {
			case len(blocks) == 0:
			case src.Half != nil:
				transpose8x8BF16(&dst[0], width, &src.Half[0], lanes, &blocks[0], len(blocks))
			default:
				transpose8x8(&dst[0], width, &src.Wide[0], lanes, &blocks[0], len(blocks))
			}
		},
		Touch: func(src Floats, lanes *[8]int, blocks []int) {
			switch {
			case len(blocks) == 0:
			case src.Half != nil:
				touch8BF16(&src.Half[0], lanes, &blocks[0], len(blocks))
			default:
				touch8(&src.Wide[0], lanes, &blocks[0], len(blocks))
			}
		},
		Scatter: func(dst Floats, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
			switch {
			case len(blocks) == 0:
			case dst.Half != nil:
				scatter8x8BF16(&dst.Half[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
			default:
				scatter8x8(&dst.Wide[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
			}
		},
	}
}
