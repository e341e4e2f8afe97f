package ops

// Conv is a convolution over the last Dims dimensions, or the transposed one of it,
// of an input, a weight and a bias, which may be nil. Of each three numbers the last
// Dims count; the others are 1, and 0 of the paddings.
type Conv struct {
	Dims                                     int
	Stride, Padding, Dilation, OutputPadding [3]int // OutputPadding is of transposed convolutions
	Groups                                   int
	Transposed                               bool
}

// Name returns the operation's name.
func (o Conv) Name() string {
	if o.Transposed {
		return [...]string{1: "ConvTranspose1d", 2: "ConvTranspose2d", 3: "ConvTranspose3d"}[o.Dims]
	}
	return [...]string{1: "Conv1d", 2: "Conv2d", 3: "Conv3d"}[o.Dims]
}

// ConvWeightGrad is the gradient of the weight of Conv, which has taps of size Kernel:
// of the result's gradient and the input. (The input's gradient is the transposed
// convolution.)
type ConvWeightGrad struct {
	Conv
	Kernel [3]int
}

// Name returns the operation's name.
func (o ConvWeightGrad) Name() string { return o.Conv.Name() + "WeightGrad" }

// ConvBatchNorm is Conv and what a batch normalization with running statistics makes
// of it, followed by ReLU if it says so: of the input, the weight, the bias, the mean
// and the variance, and the normalization's weight and bias. All biases and the
// normalization's weight may be nil.
type ConvBatchNorm struct {
	Conv
	Eps  float64
	ReLU bool
}

// Name returns the operation's name.
func (o ConvBatchNorm) Name() string { return o.Conv.Name() + "BatchNorm" }

// PadEnd adds zeros at the end of the last Dims dimensions.
type PadEnd struct {
	Dims int
	By   [3]int // the last Dims count
}

// Name returns the operation's name.
func (PadEnd) Name() string { return "PadEnd" }

// Pair returns a size for the height and one for the width: hw, or size twice if hw is zero.
func Pair(hw [2]int, size int) [2]int {
	if hw == [2]int{} {
		return [2]int{size, size}
	}
	return hw
}
