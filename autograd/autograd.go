// Package autograd is the tape: it records which operation made a value out of
// which others, and walks that record backwards to compute gradients
// (reverse-mode differentiation). It knows nothing of arrays: a value is
// anything that embeds a [Variable] and says how gradients are added
// ([Arithmetic]). Package tensor's Tensor is one; nearly all programs use the
// tape through it (x.SetRequiresGrad, loss.Backward, x.Grad).
//
// An operation is recorded when one of its inputs requires a gradient and none
// is marked no-grad: no-grad wins, whatever it meets. There is no global mode:
// whether to record rides on the data, so that one goroutine may evaluate a model
// while another trains it.
//
// Gradients of gradients are not part of this package: what Backward computes
// carries no history.
package autograd

import (
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// Variable is what the tape knows of a value. Types that take part in
// differentiation embed it; its zero value is a constant.
type Variable[T any] struct {
	node         *Node[T]
	version      uint64 // the value's version when node made it
	requiresGrad bool
	leafView     bool // shares memory with a leaf that requires a gradient
	mark         uint8
	noGrad       *meeting // nil without the mark
	hooks        []*func(grad T)
	watch        *Watch[T] // a pointer, as it takes less room in a value and a node
}

//lint:ignore U1000 Value asks for it
func (v *Variable[T]) tape() *Variable[T] { return v }

// Value is a type whose values the tape can record: a pointer to a struct that
// embeds Variable[T] and has the method Arithmetic.
type Value[T any] interface {
	comparable
	tape() *Variable[T]
	// Arithmetic returns what Backward needs to do with gradients.
	Arithmetic() Arithmetic[T]
}

// Arithmetic is what the tape asks of the values that it carries.
type Arithmetic[T any] interface {
	// Ones returns the gradient of a value with respect to itself, for a value
	// of a single element; it panics for others.
	Ones(x T) T
	// Add returns the sum of two gradients of one value.
	Add(a, b T) T
	// Accumulate adds g to the gradient that leaf holds and returns that.
	Accumulate(leaf, g T) T
	// Run calls backward(g). The gradients that it returns stay valid until
	// Release; whatever else it made out of g may be taken back at once.
	Run(g T, backward func(g T) []T) []T
	// Retain says that the walk holds g once more, Release that it holds it once less.
	Retain(g T)
	Release(g T)
	// Version counts the in-place changes of a value.
	Version(x T) uint64
	// Describe names a value in an error, by its shape for example.
	Describe(x T) string
}

// Node is a recorded operation.
type Node[T any] struct {
	op       string
	sequence uint64 // grows with each record, so that inputs have smaller ones
	inputs   []edge[T]
	saved    []saved[T]
	backward func(g T) []T
	watch    *Watch[T]
	freed    bool
}

// Watch is told of operations. It rides on the data as the no-grad mark does: the
// result of an operation on a watched value is watched too (by the first input's
// watch, if there are several). Where nothing is watched that costs a comparison
// with nil. A watch that several goroutines' values carry is called from all of
// them; what it does about that is its own business.
type Watch[T any] interface {
	// Forward is called when the operation op has made out from inputs (nil
	// entries are absent ones), whether it is recorded or not. An operation in
	// place has out among its inputs, with its new value. What Forward computes
	// with these values is watched as well, unless it takes the watch off them.
	Forward(op string, inputs []T, out T)
	// Backward is called when Backward has passed n, an operation that Forward was
	// told of (out.Node() there): g is the gradient of its result, grads are those
	// of its inputs, nil where there is none. They are valid during the call only.
	Backward(n *Node[T], g T, grads []T)
}

// edge leads to the node that made an input, or to a leaf. An input that
// requires no gradient has neither.
type edge[T any] struct {
	node *Node[T]
	leaf T
}

type saved[T any] struct {
	value   T
	version uint64
}

var sequence atomic.Uint64

// Op returns the operation's name.
func (n *Node[T]) Op() string { return n.op }

// Inputs yields the nodes that made the operation's inputs, in order; nil stands
// for a leaf and for an input that requires no gradient. After Backward has
// freed the node there are none.
func (n *Node[T]) Inputs() iter.Seq[*Node[T]] {
	return func(yield func(*Node[T]) bool) {
		for _, e := range n.inputs {
			if !yield(e.node) {
				return
			}
		}
	}
}

// Error is what the tape panics with.
type Error struct {
	Op  string // the operation
	Msg string
}

func (e *Error) Error() string { return "autograd: " + e.Op + ": " + e.Msg }

// Misuse tells tensor.Try that the panic is about what a program was given.
func (e *Error) Misuse() {}

func fail(op, format string, args ...any) {
	panic(&Error{op, fmt.Sprintf(format, args...)})
}

// RequiresGrad reports whether gradients are computed for the value: it is a
// leaf that asks for one, or made from such leaves.
func (v *Variable[T]) RequiresGrad() bool { return v.node != nil || v.requiresGrad }

// IsLeaf reports whether no recorded operation made the value.
func (v *Variable[T]) IsLeaf() bool { return v.node == nil }

// IsNoGrad reports whether the value is marked no-grad: what is made from it is
// not recorded.
func (v *Variable[T]) IsNoGrad() bool { return v.noGrad != nil }

// Node returns the operation that made the value, or nil for a leaf.
func (v *Variable[T]) Node() *Node[T] { return v.node }

// DropHistory makes a leaf of a value, one that requires no gradient unless it
// was a leaf that did.
func (v *Variable[T]) DropHistory() { v.node = nil }

// meeting is where a value marked no-grad last met one that has history, or first
// met a leaf that requires a gradient: what Backward says where it finds nothing.
type meeting struct {
	op   string // "" if nowhere
	leaf bool
}

// nowhere is what a mark points to that has met nothing.
var nowhere meeting

// MarkNoGrad marks a fresh value no-grad.
func (v *Variable[T]) MarkNoGrad() {
	if v.noGrad == nil {
		v.noGrad = &nowhere
	}
}

// TakeNoGrad gives a fresh value the no-grad mark of another, if that has one.
func (v *Variable[T]) TakeNoGrad(from *Variable[T]) { v.noGrad = from.noGrad }

// MarkView notes that a fresh value shares the memory of from, which a recorded
// operation may not change in place if it is, or is a view of, a leaf that
// requires a gradient.
func (v *Variable[T]) MarkView(from *Variable[T]) {
	v.leafView = from.leafView || from.node == nil && from.requiresGrad
}

// Watched returns the watch that the value carries, or nil.
func (v *Variable[T]) Watched() Watch[T] {
	if v.watch == nil {
		return nil
	}
	return *v.watch
}

// MarkWatch has w told of the operations on a fresh value; nil takes the watch off.
func (v *Variable[T]) MarkWatch(w Watch[T]) {
	v.watch = nil
	if w != nil {
		v.watch = &w
	}
}

// Take gives a fresh value the watch and the mark of another.
func (v *Variable[T]) Take(from *Variable[T]) { v.watch, v.mark = from.watch, from.mark }

// Mark returns the mark that the value carries, 0 if it has none. It is the
// business of the values' package; the tape hands it on as it does the no-grad mark.
func (v *Variable[T]) Mark() uint8 { return v.mark }

// SetMark marks a fresh value; 0 takes the mark off.
func (v *Variable[T]) SetMark(mark uint8) { v.mark = mark }

// MarkRequiresGrad makes a leaf ask for a gradient, or no longer.
func (v *Variable[T]) MarkRequiresGrad(on bool) {
	if v.node != nil {
		fail(v.node.op, "only leaves can be told whether they require a gradient; Detach gives a leaf")
	}
	v.requiresGrad = on
}

// RegisterHook has hook called by each Backward once the gradient of this leaf
// is complete, with the gradient that the leaf holds then. It returns a function
// that removes the hook.
func (v *Variable[T]) RegisterHook(hook func(grad T)) (remove func()) {
	if v.node != nil {
		fail(v.node.op, "hooks are for leaves")
	}
	p := &hook
	v.hooks = append(v.hooks, p)
	return func() { v.hooks = slices.DeleteFunc(v.hooks, func(q *func(T)) bool { return q == p }) }
}

// Records reports whether an operation on these inputs is recorded: one requires
// a gradient and none is marked no-grad. It panics if it is and one of the inputs
// was changed in place after it was recorded.
func Records[T Value[T]](op string, inputs ...T) bool {
	var zero T
	requires, stale := false, zero
	for _, x := range inputs {
		if x == zero {
			continue
		}
		v := x.tape()
		if v.noGrad != nil {
			return false
		}
		if v.node != nil && x.Arithmetic().Version(x) != v.version {
			stale = x
		}
		requires = requires || v.RequiresGrad()
	}
	if stale != zero {
		fail(op, "its input %s, made by %s, was changed in place since; use Clone before the change", stale.Arithmetic().Describe(stale), stale.tape().node.op)
	}
	return requires
}

// Record notes that the operation op made out from inputs (nil entries stand for
// optional inputs that are absent) and returns out. Backward will call backward
// with the gradient of out; it returns the gradients of the inputs, one each in
// their order, nil for those that have none. The gradient that it is given is
// valid during the call only, and it must leave it unchanged.
//
// saved lists the values, of inputs and out, that backward reads: if one of them
// is changed in place before, Backward panics instead of computing something
// wrong. Nothing is recorded if no input requires a gradient or one is marked
// no-grad; out is then marked no-grad too. A [Watch] of an input becomes out's, and
// is told, in any case.
func Record[T Value[T]](op string, out T, inputs []T, backward func(g T) []T, savedValues ...T) T {
	records := Records(op, inputs...)
	handOn(op, out, inputs)
	if records {
		record(op, out, inputs, backward, savedValues)
	}
	tell(op, out, inputs)
	return out
}

// handOn gives out, the result of the operation op, the marks of inputs.
func handOn[T Value[T]](op string, out T, inputs []T) {
	var zero T
	v, history, leaf := out.tape(), false, false
	for _, x := range inputs {
		if x == zero {
			continue
		}
		xv := x.tape()
		if xv.noGrad != nil && (v.noGrad == nil || v.noGrad.op == "") {
			v.noGrad = xv.noGrad
		}
		history, leaf = history || xv.node != nil, leaf || xv.requiresGrad
		if xv.watch != nil && v.watch == nil {
			v.watch = xv.watch
		}
		if v.mark == 0 {
			v.mark = xv.mark
		}
	}
	if v.noGrad != nil && (history || leaf && v.noGrad.op == "") {
		v.noGrad = &meeting{op, !history}
	}
}

// tell calls the watch of out.
func tell[T Value[T]](op string, out T, inputs []T) {
	if w := out.tape().watch; w != nil {
		(*w).Forward(op, slices.Clone(inputs), out) // a copy, so that inputs need not be on the heap
	}
}

// record makes the node of an operation that is recorded.
func record[T Value[T]](op string, out T, inputs []T, backward func(g T) []T, savedValues []T) {
	var zero T
	v, a := out.tape(), out.Arithmetic()
	n := &Node[T]{op: op, sequence: sequence.Add(1), backward: backward, inputs: make([]edge[T], len(inputs)), watch: v.watch}
	for i, x := range inputs {
		if x != zero {
			if xv := x.tape(); xv.node != nil {
				n.inputs[i].node = xv.node
			} else if xv.requiresGrad {
				n.inputs[i].leaf = x
			}
		}
	}
	v.node, v.version = n, a.Version(out)
	for _, x := range savedValues {
		if x != zero {
			n.saved = append(n.saved, saved[T]{x, a.Version(x)})
		}
	}
}

// RecordNothing notes that op, which has no gradient, made out from inputs: out
// takes their no-grad mark and their watch, which is told. It returns out.
func RecordNothing[T Value[T]](op string, out T, inputs ...T) T {
	handOn(op, out, inputs)
	tell(op, out, inputs)
	return out
}

// Changed tells the watch of x, if there is one, that op, which is not recorded,
// has changed x in place; y is what it read besides, or nil.
func Changed[T Value[T]](op string, x, y T) {
	if w := x.tape().watch; w != nil {
		(*w).Forward(op, []T{x, y}, x)
	}
}

// RecordInPlace notes that the operation op has changed x itself: it stands for
// the new value from now on, and its old history becomes that of the
// operation's only input. Call CheckInPlace before the change. saved may name x:
// its new value.
func RecordInPlace[T Value[T]](op string, x T, backward func(g T) []T, savedValues ...T) T {
	if v := x.tape(); v.node != nil {
		a := x.Arithmetic()
		n := &Node[T]{op: op, sequence: sequence.Add(1), backward: backward, inputs: []edge[T]{{node: v.node}}, watch: v.watch}
		v.node, v.version = n, a.Version(x)
		for _, s := range savedValues {
			n.saved = append(n.saved, saved[T]{s, a.Version(s)})
		}
	}
	var none T
	Changed(op, x, none)
	return x
}

// CheckInPlace panics if an operation that records itself may not change x in
// place: x is a leaf that requires a gradient, or stale.
func CheckInPlace[T Value[T]](op string, x T) {
	v := x.tape()
	switch {
	case v.node == nil && v.requiresGrad:
		fail(op, "%s is a leaf that requires a gradient, which a recorded operation may not change in place", x.Arithmetic().Describe(x))
	case v.leafView:
		fail(op, "%s is a view of a leaf that requires a gradient, which a recorded operation may not change in place; Clone gives a copy that it may",
			x.Arithmetic().Describe(x))
	}
	Records(op, x)
}

// CheckWrite panics if x may not be overwritten by an operation that is not
// recorded: the tape still needs it, since Backward has not yet passed the
// operation that made it.
func CheckWrite[T Value[T]](op string, x T) {
	v := x.tape()
	n := v.node
	if n == nil || n.freed {
		return
	}
	if v.leafView {
		fail(op, "%s is a recorded view (made by %s) of a leaf that requires a gradient; to change the leaf make the view of what Detach returns, as in p.Detach().%s(…)",
			x.Arithmetic().Describe(x), n.op, n.op)
	}
	fail(op, "%s has history (made by %s) that Backward has not yet used, and in-place operations are not recorded; use Detach().Clone(), or change it after Backward",
		x.Arithmetic().Describe(x), n.op)
}

// BackwardOpts are the options of Backward.
type BackwardOpts[T any] struct {
	Gradient    T    // the gradient of the value itself; by default 1, for a value of one element
	RetainGraph bool // keep what is recorded, for another Backward
}

// Backward computes the gradients of all leaves that x was made from and adds
// them to what the leaves hold. Each recorded operation is visited once, latest
// first, and freed. It panics if nothing was recorded for x, if a part of the
// record was freed by an earlier Backward, or if a value that is still needed
// was changed in place.
func Backward[T Value[T]](x T, opts BackwardOpts[T]) {
	var zero T
	if x == zero {
		fail("Backward", "the value is nil")
	}
	a := x.Arithmetic()
	v := x.tape()
	if v.node == nil && !v.requiresGrad {
		nothing("Backward", x)
	}
	w := walk[T]{arithmetic: a, retain: opts.RetainGraph}
	g := opts.Gradient
	if g == zero {
		g = a.Ones(x)
	}
	w.leaf = func(leaf, g T) {
		total := a.Accumulate(leaf, g)
		for _, hook := range leaf.tape().hooks {
			(*hook)(total)
		}
	}
	w.run(x, g)
}

// nothing panics because op finds no record of x, and says why that may be.
func nothing[T Value[T]](op string, x T) {
	why := "no leaf that it was made from requires a gradient"
	if met := x.tape().noGrad; met != nil {
		why = "it was made from values marked no-grad"
		switch {
		case met.op == "":
		case met.leaf:
			why += ", which met a leaf that requires a gradient in " + met.op
		default:
			why += ", which met history in " + met.op + "; Detach takes the mark off"
		}
	}
	fail(op, "nothing was recorded for %s: %s", x.Arithmetic().Describe(x), why)
}

// Grad returns the gradients of output, a value of one element, with respect to
// inputs, which may be leaves or values made on the way; nil for an input that
// output does not depend on. The gradients that leaves hold are left alone, hooks
// are not called, and the record is freed.
func Grad[T Value[T]](output T, inputs ...T) []T {
	var zero T
	if output == zero {
		fail("Grad", "the output is nil")
	}
	if i := slices.Index(inputs, zero); i >= 0 {
		fail("Grad", "input %d is nil", i)
	}
	a := output.Arithmetic()
	if !output.tape().RequiresGrad() {
		nothing("Grad", output)
	}
	grads := make([]T, len(inputs))
	keep := func(i int, g T) {
		a.Retain(g)
		grads[i] = g
	}
	w := walk[T]{arithmetic: a}
	w.leaf = func(leaf, g T) {
		for i, x := range inputs {
			if x == leaf {
				keep(i, g)
			}
		}
	}
	w.inner = func(n *Node[T], g T) {
		for i, x := range inputs {
			if x.tape().node == n {
				keep(i, g)
			}
		}
	}
	w.run(output, a.Ones(output))
	return grads
}

// walk is one pass over the record, latest operation first.
type walk[T Value[T]] struct {
	arithmetic Arithmetic[T]
	retain     bool
	leaf       func(leaf, g T)       // called when a leaf's gradient is complete
	inner      func(n *Node[T], g T) // called when a node's gradient is complete; may be nil
}

func (w *walk[T]) run(x, g T) {
	var zero T
	root := x.tape().node
	if root == nil {
		w.leaf(x, g)
		return
	}

	// All nodes, and how many gradients each leaf waits for.
	var nodes []*Node[T]
	waits := map[T]int{}
	seen := map[*Node[T]]bool{root: true}
	for stack := []*Node[T]{root}; len(stack) > 0; {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n.freed {
			fail("Backward", "%s was already freed by an earlier Backward; give that one RetainGraph to go through the record again", n.op)
		}
		nodes = append(nodes, n)
		for _, e := range n.inputs {
			if e.leaf != zero {
				waits[e.leaf]++
			} else if e.node != nil && !seen[e.node] {
				seen[e.node] = true
				stack = append(stack, e.node)
			}
		}
	}
	slices.SortFunc(nodes, func(a, b *Node[T]) int {
		if a.sequence > b.sequence {
			return -1
		}
		return 1
	})

	// A gradient in one of these maps is held once for it.
	a := w.arithmetic
	a.Retain(g)
	grads := map[*Node[T]]T{root: g}
	leaves := map[T]T{}
	for _, n := range nodes {
		for _, s := range n.saved {
			if a.Version(s.value) != s.version {
				fail("Backward", "%s needs %s, which was changed in place after it was used; use Clone before the change", n.op, a.Describe(s.value))
			}
		}
		if g, ok := grads[n]; ok {
			delete(grads, n)
			if w.inner != nil {
				w.inner(n, g)
			}
			results := a.Run(g, n.backward)
			if len(results) != len(n.inputs) {
				fail("Backward", "%s returned %d gradients for %d inputs", n.op, len(results), len(n.inputs))
			}
			for _, r := range results {
				if r != zero {
					a.Retain(r)
				}
			}
			if n.watch != nil {
				(*n.watch).Backward(n, g, results)
			}
			for i, e := range n.inputs {
				switch {
				case results[i] == zero:
				case e.leaf != zero:
					add(a, leaves, e.leaf, results[i])
				case e.node != nil:
					add(a, grads, e.node, results[i])
				}
			}
			for _, r := range results {
				if r != zero {
					a.Release(r)
				}
			}
			a.Release(g)
		}
		for _, e := range n.inputs {
			if e.leaf != zero {
				if waits[e.leaf]--; waits[e.leaf] == 0 {
					if g, ok := leaves[e.leaf]; ok {
						delete(leaves, e.leaf)
						w.leaf(e.leaf, g)
						a.Release(g)
					}
				}
			}
		}
		if !w.retain {
			n.freed, n.backward, n.saved, n.inputs, n.watch = true, nil, nil, nil, nil
		}
	}
}

// add adds a gradient to what m holds for k.
func add[K comparable, T any](a Arithmetic[T], m map[K]T, k K, g T) {
	old, ok := m[k]
	if ok {
		g = a.Add(old, g)
	}
	a.Retain(g)
	m[k] = g
	if ok {
		a.Release(old)
	}
}

// NoGrad marks what a sequence yields no-grad, so that nothing made from it is
// recorded:
//
//	for images, labels := range autograd.NoGrad(loader.All()) { … }
func NoGrad[A interface{ NoGrad() A }, B interface{ NoGrad() B }](seq iter.Seq2[A, B]) iter.Seq2[A, B] {
	if seq == nil {
		fail("NoGrad", "the sequence of batches is nil")
	}
	return func(yield func(A, B) bool) {
		for a, b := range seq {
			if !yield(a.NoGrad(), b.NoGrad()) {
				return
			}
		}
	}
}
