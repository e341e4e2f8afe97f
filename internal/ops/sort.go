package ops

// Sort puts the elements along Dim in order; or it is where they were, if Indices.
type Sort struct {
	Dim                 int
	Descending, Indices bool
}

// Name returns the operation's name.
func (Sort) Name() string { return "Sort" }

// ArgSort is the indices that put the elements along Dim in order.
type ArgSort struct {
	Dim        int
	Descending bool
}

// Name returns the operation's name.
func (ArgSort) Name() string { return "ArgSort" }

// TopK is the K largest elements along Dim, or the smallest; or where they were, if
// Indices.
type TopK struct {
	K, Dim           int
	Largest, Indices bool
}

// Name returns the operation's name.
func (TopK) Name() string { return "TopK" }
