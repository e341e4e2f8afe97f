package ops

// Lerp goes the way from the first operand to the second by Weight.
type Lerp struct{ Weight float64 }

// Name returns the operation's name.
func (Lerp) Name() string { return "Lerp" }

// LerpTensor goes the way from the first operand to the second by the third.
type LerpTensor struct{}

// Name returns the operation's name.
func (LerpTensor) Name() string { return "LerpTensor" }
