package ops

// Gather picks the elements along Dim that the second operand, an index, names.
type Gather struct{ Dim int }

// Name returns the operation's name.
func (Gather) Name() string { return "Gather" }

// GatherGrad is the gradient of Gather, from an operand of Shape: of the result's
// gradient and the index.
type GatherGrad struct {
	Shape []int
	Dim   int
}

// Name returns the operation's name.
func (GatherGrad) Name() string { return "GatherGrad" }

// ScatterAdd adds the third operand to the first at the places along Dim that the
// second, an index, names.
type ScatterAdd struct{ Dim int }

// Name returns the operation's name.
func (ScatterAdd) Name() string { return "ScatterAdd" }

// IndexSelect takes the entries along Dim that the second operand, an index, names.
type IndexSelect struct{ Dim int }

// Name returns the operation's name.
func (IndexSelect) Name() string { return "IndexSelect" }

// IndexSelectGrad is the gradient of IndexSelect, from an operand of Shape, and of
// Embedding, whose entry Padding, unless that is -1, gets none: of the result's
// gradient and the index.
type IndexSelectGrad struct {
	Shape        []int
	Dim, Padding int
}

// Name returns the operation's name.
func (IndexSelectGrad) Name() string { return "IndexSelectGrad" }

// IndexAdd adds the entries of the third operand to those of the first along Dim that
// the second, an index, names.
type IndexAdd struct{ Dim int }

// Name returns the operation's name.
func (IndexAdd) Name() string { return "IndexAdd" }

// Embedding takes the rows of the first operand that the second, an index, names. Row
// Padding, unless that is -1, gets no gradient.
type Embedding struct{ Padding int }

// Name returns the operation's name.
func (Embedding) Name() string { return "Embedding" }

// Nonzero is the indices of the elements that are not 0.
type Nonzero struct{}

// Name returns the operation's name.
func (Nonzero) Name() string { return "Nonzero" }

// MaskedSelect takes the elements of the first operand where the second is true.
type MaskedSelect struct{}

// Name returns the operation's name.
func (MaskedSelect) Name() string { return "MaskedSelect" }

// OneHot makes a row of Classes numbers of each index.
type OneHot struct{ Classes int }

// Name returns the operation's name.
func (OneHot) Name() string { return "OneHot" }
