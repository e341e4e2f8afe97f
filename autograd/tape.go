package autograd

// Tape is for the package that defines a type of values: with it the package says
// what of a value is its own business, such as marks. Others have no use for it.
type Tape[T Value[T]] struct{ Arithmetic[T] }

// Variable returns what a new value embeds: a constant.
func (t Tape[T]) Variable() Variable[T] { return Variable[T]{arithmetic: t.Arithmetic} }

// DropHistory makes a leaf of a value, one that requires no gradient unless it
// was a leaf that did.
func (Tape[T]) DropHistory(x T) { x.tape().node = nil }

// Saved gives y, a fresh value that shares the memory of x, the history of x: an
// operation's closure reads y in place of x, whose history and marks may be changed
// later. y has no marks.
func (Tape[T]) Saved(y, x T) {
	var zero T
	v, from := y.tape(), x.tape()
	v.node, v.version, v.requiresGrad, v.standsFor = from.node, from.version, from.requiresGrad, from.standsFor
	if from.node == nil && from.requiresGrad && from.standsFor == zero {
		v.standsFor = x
	}
}

// Beside gives y, a value that the closure of an operation has kept besides its result,
// a history: that op has made it of the inputs of n, which is the operation's node.
// backward is as in [Record]. For closures where a graph is created.
func (t Tape[T]) Beside(op Op, y T, n *Node[T], backward func(g T) []T) {
	v := y.tape()
	v.node, v.version = &Node[T]{op: op, sequence: sequence.Add(1), backward: backward, inputs: n.inputs}, t.Arithmetic.Version(y)
}

// MarkNoGrad marks a fresh value no-grad.
func (Tape[T]) MarkNoGrad(x T) {
	if v := x.tape(); v.noGrad == nil || v.noGrad.pass != nil {
		v.noGrad = &nowhere
	}
}

// MarkPass marks a fresh value no-grad until the pass is over. Unlike the mark of
// MarkNoGrad it does not note where it meets history.
func (Tape[T]) MarkPass(x T, pass *Pass) { x.tape().noGrad = &pass.mark }

// InPass reports whether x has the mark of a pass that is not over.
func (Tape[T]) InPass(x T) bool {
	v := x.tape()
	return v.noGrad != nil && v.noGrad.pass != nil && !v.noGrad.pass.over
}

// TakeNoGrad gives a fresh value the no-grad mark of another, if that has one.
func (Tape[T]) TakeNoGrad(x, from T) { x.tape().noGrad = from.tape().noGrad }

// MarkView notes that a fresh value shares the memory of from, which a recorded
// operation may not change in place if it is, or is a view of, a leaf that
// requires a gradient.
func (Tape[T]) MarkView(x, from T) {
	v := from.tape()
	x.tape().leafView = v.leafView || v.node == nil && v.requiresGrad
}

// MarkWatch has w told of the operations on a fresh value; nil takes the watch off.
func (Tape[T]) MarkWatch(x T, w Watch[T]) {
	v := x.tape()
	v.watch = nil
	if w != nil {
		v.watch = &w
	}
}

// Take gives a fresh value the watch and the mark of another.
func (Tape[T]) Take(x, from T) {
	v, f := x.tape(), from.tape()
	v.watch, v.mark = f.watch, f.mark
}

// Mark returns the mark that a value carries, 0 if it has none. It is the business of
// the values' package; the tape hands it on as it does the no-grad mark.
func (Tape[T]) Mark(x T) uint8 { return x.tape().mark }

// SetMark marks a fresh value; 0 takes the mark off.
func (Tape[T]) SetMark(x T, mark uint8) { x.tape().mark = mark }

// MarkRequiresGrad makes a leaf ask for a gradient, or no longer.
func (Tape[T]) MarkRequiresGrad(x T, on bool) {
	v := x.tape()
	if v.node != nil {
		fail(v.node.op.Name(), "only leaves can be told whether they require a gradient; Detach gives a leaf")
	}
	v.requiresGrad = on
}
