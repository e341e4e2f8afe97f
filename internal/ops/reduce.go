package ops

// Reduce reduces over Dims, nil for all, and leaves them with size 1 if Keep. Method is
// "Sum", "Mean", "Prod", "Amax", "Amin", "LogSumExp", "Any" or "All".
type Reduce struct {
	Method string
	Dims   []int
	Keep   bool
}

// Name returns the operation's name.
func (o Reduce) Name() string {
	if !o.Keep {
		return o.Method
	}
	switch o.Method { // constants, so that nothing is made where nothing is recorded
	case "Sum":
		return "SumKeepDim"
	case "Mean":
		return "MeanKeepDim"
	}
	return o.Method + "KeepDim"
}

// Var is the variance over Dims, nil for all, or its root if Root: sums of squares are
// divided by their number less Correction.
type Var struct {
	Dims       []int
	Keep       bool
	Correction int
	Root       bool
}

// Name returns the operation's name.
func (o Var) Name() string {
	if o.Root {
		return "Std"
	}
	return "Var"
}

// Center subtracts the mean over Dims, nil for all.
type Center struct{ Dims []int }

// Name returns the operation's name.
func (Center) Name() string { return "Center" }

// Norm is the P-norm over Dims, nil for all.
type Norm struct {
	P    float64
	Dims []int
	Keep bool
}

// Name returns the operation's name.
func (o Norm) Name() string {
	if o.Keep {
		return "NormKeepDim"
	}
	return "Norm"
}

// Extreme is the largest elements along Dim, or the smallest; their indices, if
// Indices.
type Extreme struct {
	Dim               int
	Smallest, Indices bool
}

// Name returns the operation's name.
func (o Extreme) Name() string {
	if o.Smallest {
		return "Min"
	}
	return "Max"
}

// ArgExtreme is the indices of the largest elements along Dim, or of the smallest.
type ArgExtreme struct {
	Dim      int
	Smallest bool
}

// Name returns the operation's name.
func (o ArgExtreme) Name() string {
	if o.Smallest {
		return "ArgMin"
	}
	return "ArgMax"
}
