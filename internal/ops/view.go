package ops

// View is the operand's elements in another shape; Method is what the program has
// called: "View", "Reshape", "Flatten", "Unflatten", "Squeeze", "Unsqueeze", …
type View struct {
	Method string
	Shape  []int
}

// Name returns the operation's name.
func (o View) Name() string { return o.Method }

// Permute puts dimension Order[i] of the operand in place i. Method is "Permute",
// "Transpose", "MoveDim" or "T".
type Permute struct {
	Method string
	Order  []int
}

// Name returns the operation's name.
func (o Permute) Name() string { return o.Method }

// Expand repeats dimensions of size 1.
type Expand struct{ Shape []int }

// Name returns the operation's name.
func (Expand) Name() string { return "Expand" }

// Narrow takes N entries from Start on, Step apart, along Dim. Method is "Narrow",
// "Split", "Chunk" or "Slice".
type Narrow struct {
	Method              string
	Dim, Start, N, Step int
}

// Name returns the operation's name.
func (o Narrow) Name() string { return o.Method }

// Select takes entry Index along Dim.
type Select struct{ Dim, Index int }

// Name returns the operation's name.
func (Select) Name() string { return "Select" }

// Diagonal takes a diagonal of two dimensions, as the last one.
type Diagonal struct{ Offset, Dim1, Dim2 int }

// Name returns the operation's name.
func (Diagonal) Name() string { return "Diagonal" }

// Unfold takes the windows of Size entries along Dim that are Step apart, as a last
// dimension.
type Unfold struct{ Dim, Size, Step int }

// Name returns the operation's name.
func (Unfold) Name() string { return "Unfold" }

// AsStrided takes the elements of a row-major operand that lie at Offset +
// Σ ik·Strides[k], of which several may be one.
type AsStrided struct {
	Shape, Strides []int
	Offset         int
}

// Name returns the operation's name.
func (AsStrided) Name() string { return "AsStrided" }

// Window takes the elements of a row-major operand that lie at Offset + Σ ik·Strides[k].
type Window struct {
	Shape, Strides []int
	Offset         int
}

// Name returns the operation's name.
func (Window) Name() string { return "Window" }

// WindowGrad is the gradient of views: zeros of Shape, with the operand added where
// its elements come from, at Offset + Σ ik·Strides[k] of the row-major result.
type WindowGrad struct {
	Shape, Strides []int
	Offset         int
}

// Name returns the operation's name.
func (WindowGrad) Name() string { return "WindowGrad" }

// Repeat repeats the operand Times[i] times along dimension i.
type Repeat struct{ Times []int }

// Name returns the operation's name.
func (Repeat) Name() string { return "Repeat" }

// Flip reverses dimensions.
type Flip struct{ Dims []int }

// Name returns the operation's name.
func (Flip) Name() string { return "Flip" }

// Roll moves the entries along Dim by Shift; those that leave come back at the other end.
type Roll struct{ Shift, Dim int }

// Name returns the operation's name.
func (Roll) Name() string { return "Roll" }
