package ops

// Softmax is exp divided by its sum along Dim, or the logarithm of that.
type Softmax struct {
	Dim int
	Log bool
}

// Name returns the operation's name.
func (o Softmax) Name() string {
	if o.Log {
		return "LogSoftmax"
	}
	return "Softmax"
}

// SoftmaxGrad is the gradient of Softmax: of the result's gradient and the result.
type SoftmaxGrad struct{ Softmax }

// Name returns the operation's name.
func (o SoftmaxGrad) Name() string { return o.Softmax.Name() + "Grad" }
