package ops

// Reduction is what a loss function makes of the losses of all elements: their mean (0),
// their sum (1), or nothing (2).
type Reduction uint8

// String returns PyTorch's name of the reduction.
func (r Reduction) String() string { return [...]string{"mean", "sum", "none"}[r] }

// MSELoss is the square of the difference of two operands.
type MSELoss struct{ Reduction Reduction }

// Name returns the operation's name.
func (MSELoss) Name() string { return "MSELoss" }

// L1Loss is the magnitude of the difference of two operands.
type L1Loss struct{ Reduction Reduction }

// Name returns the operation's name.
func (L1Loss) Name() string { return "L1Loss" }

// SmoothL1Loss is L1Loss that is quadratic where the difference is less than Beta.
type SmoothL1Loss struct {
	Beta      float64
	Reduction Reduction
}

// Name returns the operation's name.
func (SmoothL1Loss) Name() string { return "SmoothL1Loss" }

// HuberLoss is half of MSELoss that is linear where the difference is more than Delta.
type HuberLoss struct {
	Delta     float64
	Reduction Reduction
}

// Name returns the operation's name.
func (HuberLoss) Name() string { return "HuberLoss" }

// BCEWithLogits is the binary cross-entropy of scores and targets; the third and fourth
// operands are weights and weights of the positive parts, each of which may be absent.
type BCEWithLogits struct{ Reduction Reduction }

// Name returns the operation's name.
func (BCEWithLogits) Name() string { return "BCEWithLogits" }

// CrossEntropy is that of scores and targets, class indices or probabilities; the third
// operand is the weights of the classes, which may be absent.
type CrossEntropy struct {
	LabelSmoothing float64
	IgnoreIndex    int // a class index; without effect where targets are probabilities
	Reduction      Reduction
}

// Name returns the operation's name.
func (CrossEntropy) Name() string { return "CrossEntropy" }

// CrossEntropyGrad is share·(softmax(x) - 1 at the label) along Dim. Its operands are the
// share, x, the labels, and the largest x and Σ exp(x-largest) along Dim.
type CrossEntropyGrad struct{ Dim int }

// Name returns the operation's name.
func (CrossEntropyGrad) Name() string { return "CrossEntropyGrad" }

// NLLLoss is CrossEntropy of class indices with the logarithms of probabilities.
type NLLLoss struct {
	IgnoreIndex int
	Reduction   Reduction
}

// Name returns the operation's name.
func (NLLLoss) Name() string { return "NLLLoss" }
