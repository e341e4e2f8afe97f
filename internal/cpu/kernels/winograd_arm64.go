//go:build !noasm

package kernels

// transformsNEON are the transforms of the schemes.
var transformsNEON = [...][5]func(dst *float32, strideH, strideW int, src *float32, tiles *int, n int){
	{input2x4x8, weight2x4x8, output2x4x8, outputGrad2x4x8, weightGrad2x4x8},
	{inputPairx8, weightPairx8, outputPairx8, outputGradPairx8, weightGradPairx8},
	{input4x4x8, weight4x4x8, output4x4x8, outputGrad4x4x8, weightGrad4x4x8},
}

var tilesNEON = tileKernels{
	Lanes: 8, // as many as the Go loops'
	Transform: func(s *WinogradScheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
		record := 1 + len(s.maps[m].rows[0])*len(s.maps[m].columns[0])
		if len(tiles) > 0 {
			transformsNEON[s.id][m](&dst[0], strideH, strideW, &src[0], &tiles[0], len(tiles)/record)
		}
	},
	Transpose: func(dst []float32, width int, src Floats, lanes *[8]int, blocks []int) {
		switch {
		case len(blocks) == 0:
		case src.Half != nil:
			plainGather(dst, width, src, lanes, blocks)
		default:
			transpose8x8(&dst[0], width, &src.Wide[0], lanes, &blocks[0], len(blocks))
		}
	},
	Scatter: func(dst Floats, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
		switch {
		case len(blocks) == 0:
		case dst.Half != nil:
			plainScatter(dst, lanes, blocks, src, width, plus)
		default:
			scatter8x8(&dst.Wide[0], lanes, &blocks[0], &src[0], width, len(blocks), plus)
		}
	},
}
