package ops

// MatMul is the product of matrices in the last two dimensions, the second last and
// the last exchanged where TransA or TransB says so.
type MatMul struct{ TransA, TransB bool }

// Name returns the operation's name.
func (MatMul) Name() string { return "MatMul" }

// Linear is x·wᵀ + b.
type Linear struct{}

// Name returns the operation's name.
func (Linear) Name() string { return "Linear" }
