//go:build !noasm

package cpu

// assembly lists the levels: every processor of this kind has NEON.
func assembly() []level {
	return []level{{"neon", &kernelNEON, &vectorNEON, tapsNEON}}
}

var kernelNEON = kernel[float32]{
	heights:   []int{6},
	width:     16,
	run:       func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) },
	transpose: transposeAsm,
	copy:      copyAsm,
	stage:     stageAsm,
	tiles:     tilesAsm(8, &transformsNEON),
}

var transformsNEON = [2][5]transformKernel{
	{input2x4x8, weight2x4x8, output2x4x8, outputGrad2x4x8, weightGrad2x4x8},
	{inputPairx8, weightPairx8, outputPairx8, outputGradPairx8, weightGradPairx8},
}

var vectorNEON = (&vectorAsm{
	sumsAboutNEON, sumAndDotNEON, sumAndDotReLUNEON, normalizeNEON, normalizeReLUNEON, normalizeGradNEON, normalizeGradReLUNEON,
	sumNEON, sumSquaresNEON, reluNEON, reluGradNEON, addNEON, subNEON, mulNEON, divNEON,
	maxNEON, expNEON, sumExpNEON, softmaxGradNEON, logSoftmaxGradNEON,
	adamNEON, sgdNEON, maxPool2x2NEON, maxPoolGrad2x2NEON,
}).vector()

var tapsNEON = tapsAsm(correlateNEON, largestNEON, placesNEON, dotsNEON, splitNEON)
