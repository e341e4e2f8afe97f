package ops

// Pool is the windows of pooling over the last Dims dimensions. Of each three numbers
// the last Dims count; the others are 1, and 0 of the paddings.
type Pool struct {
	Dims                              int
	Kernel, Stride, Padding, Dilation [3]int // Dilation is for maxima only
	Ceil                              bool   // the last window may reach past the padded input
	ExcludePad                        bool   // of means: padding does not count
	Divisor                           int    // of means: divide by this if it is not 0
}

// MaxPool takes the maximum of each window.
type MaxPool struct{ Pool }

// Name returns the operation's name.
func (o MaxPool) Name() string {
	return [...]string{1: "MaxPool1d", 2: "MaxPool2d", 3: "MaxPool3d"}[o.Dims]
}

// MaxPoolIndices finds where the maximum of each window is, of the input and the
// maxima.
type MaxPoolIndices struct{ Pool }

// Name returns the operation's name.
func (o MaxPoolIndices) Name() string { return MaxPool(o).Name() + "Indices" }

// MaxPoolGrad is the gradient of MaxPool: of the result's gradient, the input and the
// result.
type MaxPoolGrad struct{ Pool }

// Name returns the operation's name.
func (o MaxPoolGrad) Name() string { return MaxPool(o).Name() + "Grad" }

// AvgPool takes the mean of each window.
type AvgPool struct{ Pool }

// Name returns the operation's name.
func (o AvgPool) Name() string {
	return [...]string{1: "AvgPool1d", 2: "AvgPool2d", 3: "AvgPool3d"}[o.Dims]
}

// AvgPoolGrad is the gradient of AvgPool for an input of a size.
type AvgPoolGrad struct {
	Pool
	In [3]int
}

// Name returns the operation's name.
func (o AvgPoolGrad) Name() string { return AvgPool{o.Pool}.Name() + "Grad" }

// AdaptiveAvgPool takes means of as many windows as Out says along the last Dims
// dimensions.
type AdaptiveAvgPool struct {
	Dims int
	Out  [3]int
}

// Name returns the operation's name.
func (o AdaptiveAvgPool) Name() string {
	return [...]string{1: "AdaptiveAvgPool1d", 2: "AdaptiveAvgPool2d", 3: "AdaptiveAvgPool3d"}[o.Dims]
}

// AdaptiveAvgPoolGrad is the gradient of AdaptiveAvgPool for an input of a size.
type AdaptiveAvgPoolGrad struct {
	Dims int
	In   [3]int
}

// Name returns the operation's name.
func (o AdaptiveAvgPoolGrad) Name() string { return AdaptiveAvgPool{Dims: o.Dims}.Name() + "Grad" }
