//go:build !noasm

package cpu

// The transforms of the schemes.
var (
	transforms512 = [2][5]transformKernel{
		{input2x4x16, weight2x4x16, output2x4x16, outputGrad2x4x16, weightGrad2x4x16},
		{inputPairx16, weightPairx16, outputPairx16, outputGradPairx16, weightGradPairx16},
	}
	transforms256 = [2][5]transformKernel{
		{input2x4x8, weight2x4x8, output2x4x8, outputGrad2x4x8, weightGrad2x4x8},
		{inputPairx8, weightPairx8, outputPairx8, outputGradPairx8, weightGradPairx8},
	}
)

var vector512 = (&vectorAsm{
	sumsAbout512, sumAndDot512, sumAndDotReLU512, normalize512, normalizeReLU512, normalizeGrad512, normalizeGradReLU512,
	sum512, sumSquares512, relu512, reluGrad512, add512, sub512, mul512, div512,
	max512, exp512, sumExp512, softmaxGrad512, logSoftmaxGrad512,
	adam512, sgd512, maxPool2x2512, maxPoolGrad2x2512,
}).vector()

var vector256 = (&vectorAsm{
	sumsAbout256, sumAndDot256, sumAndDotReLU256, normalize256, normalizeReLU256, normalizeGrad256, normalizeGradReLU256,
	sum256, sumSquares256, relu256, reluGrad256, add256, sub256, mul256, div256,
	max256, exp256, sumExp256, softmaxGrad256, logSoftmaxGrad256,
	adam256, sgd256, maxPool2x2256, maxPoolGrad2x2256,
}).vector()

var (
	taps512 = tapsAsm(correlate512, largest512, places512, dots512, split512)
	taps256 = tapsAsm(correlate256, largest256, places256, dots256, split256)
)
