// Package autograd is the tape: it records which operation made a value out of
// which others, and walks that record backwards to compute gradients
// (reverse-mode differentiation). It knows nothing of arrays: a value is
// anything that embeds a [Variable], which comes from a [Tape] that knows how
// gradients are added ([Arithmetic]). Package tensor's Tensor is one; nearly all
// programs use the tape through it (x.SetRequiresGrad, loss.Backward, x.Grad).
//
// An operation is recorded when one of its inputs requires a gradient and none
// is marked no-grad: no-grad wins, whatever it meets. There is no global mode:
// whether to record rides on the data, so that one goroutine may evaluate a model
// while another trains it.
//
// A gradient is computed with the same operations as anything else, so that it has
// a history of its own, and gradients of gradients, where CreateGraph asks for it.
// Otherwise the walk marks it no-grad, and nothing is recorded.
package autograd

import (
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// Op is an operation: a small value whose exported fields are its attributes, such
// as the stride of a convolution. Its Name ("Conv2d") is what errors and watches say.
type Op interface{ Name() string }

// Named is an operation without attributes, for operations of one's own:
//
//	autograd.Record(autograd.Named("Hypot"), out, …)
//
// If its closure saves values that have a history, and no gradient that it computes
// depends on them in a way that was recorded, it is taken to be [Once].
type Named string

// Name returns the operation's name.
func (o Named) Name() string { return string(o) }

// Once is an operation whose gradient has no gradient of its own, because its closure
// computes with values that have no history, such as numbers that it has taken out of
// its operands. With CreateGraph the gradient is given, and to go back through it
// panics, where a number would be wrong:
//
//	autograd.Record(autograd.Once{Op: autograd.Named("Hypot")}, out, …)
//
// (torch.autograd.function.once_differentiable)
type Once struct{ Op }

// Variable is what the tape knows of a value. Types that take part in
// differentiation embed it; [Tape.Variable] makes it.
type Variable[T any] struct {
	arithmetic   Arithmetic[T]
	node         *Node[T]
	standsFor    T      // the leaf whose history this value has, of one that an operation has saved
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
// embeds Variable[T].
type Value[T any] interface {
	comparable
	tape() *Variable[T]
}

// Arithmetic is what the tape asks of the values that it carries.
type Arithmetic[T any] interface {
	// Ones returns the gradient of a value with respect to itself, for a value
	// of a single element; for others it panics, with an error of op.
	Ones(op string, x T) T
	// Add returns the sum of two gradients of one value, recorded if create.
	Add(a, b T, create bool) T
	// Accumulate adds g to the gradient that leaf holds and returns that.
	Accumulate(leaf, g T, create bool) T
	// Run calls backward(g). In a pass it marks g with Tape.MarkPass, and what backward
	// makes out of g, but for the gradients that it returns, may be taken back at once;
	// those stay valid until Release. pass is nil where a graph is created.
	Run(g T, pass *Pass, backward func(g T) []T) []T
	// Retain says that the walk holds g once more, Release that it holds it once
	// less. Neither is called where a graph is created.
	Retain(g T)
	Release(g T)
	// Alias returns a fresh value that shares the memory of x and has no history.
	Alias(x T) T
	// Version counts the in-place changes of a value.
	Version(x T) uint64
	// Describe names a value in an error, by its shape for example.
	Describe(x T) string
}

// Node is a recorded operation.
type Node[T any] struct {
	op       Op
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
	Forward(op Op, inputs []T, out T)
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

// Op returns the operation.
func (n *Node[T]) Op() Op { return n.op }

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
func (v *Variable[T]) IsNoGrad() bool {
	return v.noGrad != nil && (v.noGrad.pass == nil || !v.noGrad.pass.over)
}

// Node returns the operation that made the value, or nil for a leaf.
func (v *Variable[T]) Node() *Node[T] { return v.node }

// meeting is where a value marked no-grad last met one that has history, or first
// met a leaf that requires a gradient: what Backward says where it finds nothing.
type meeting struct {
	op   string // "" if nowhere
	leaf bool
	pass *Pass // the mark is that of a walk
}

// Pass is one walk of Backward, or of Grad, that creates no graph. What it computes
// is marked no-grad until it is over.
type Pass struct {
	mark meeting
	over bool
}

// nowhere is what a mark points to that has met nothing.
var nowhere meeting

// Watched returns the watch that the value carries, or nil.
func (v *Variable[T]) Watched() Watch[T] {
	if v.watch == nil {
		return nil
	}
	return *v.watch
}

// RegisterHook has hook called by each Backward once the gradient of this leaf
// is complete, with the gradient that the leaf holds then. It returns a function
// that removes the hook.
func (v *Variable[T]) RegisterHook(hook func(grad T)) (remove func()) {
	if v.node != nil {
		fail(v.node.op.Name(), "hooks are for leaves")
	}
	p := &hook
	v.hooks = append(v.hooks, p)
	return func() { v.hooks = slices.DeleteFunc(v.hooks, func(q *func(T)) bool { return q == p }) }
}

// Records reports whether an operation on these inputs is recorded: one requires
// a gradient and none is marked no-grad. It panics if it is and one of the inputs
// was changed in place after it was recorded.
func Records[T Value[T]](name string, inputs ...T) bool {
	var zero T
	requires, stale := false, zero
	for _, x := range inputs {
		if x == zero {
			continue
		}
		v := x.tape()
		if v.IsNoGrad() {
			return false
		}
		if v.node != nil && v.arithmetic.Version(x) != v.version {
			stale = x
		}
		requires = requires || v.RequiresGrad()
	}
	if stale != zero {
		v := stale.tape()
		fail(name, "its input %s, made by %s, was changed in place since; use Clone before the change", v.arithmetic.Describe(stale), v.node.op.Name())
	}
	return requires
}

// current panics if x was changed in place after it was recorded, perhaps by a recorded
// operation on a view of it, of which its own record does not know.
func current[T Value[T]](name string, x T) {
	if v := x.tape(); v.node != nil && v.arithmetic.Version(x) != v.version {
		fail(name, "%s, made by %s, was changed in place since; use Clone before the change", v.arithmetic.Describe(x), v.node.op.Name())
	}
}

// Tracks gives out, the result of the operation of that name, the marks of inputs
// (nil entries are absent ones), and reports whether [Record] has anything to do for
// it: whether the operation is recorded or watched. Where it has not, the operation's
// value and closure need not be made.
func Tracks[T Value[T]](name string, out T, inputs ...T) bool {
	records := Records(name, inputs...)
	handOn(name, out, inputs)
	return records || out.tape().watch != nil
}

// Record notes that the operation op made out from inputs (nil entries stand for
// optional inputs that are absent) and returns out. Backward will call backward
// with the gradient of out; it returns the gradients of the inputs, one each in
// their order, nil for those that have none. The gradient that it is given is
// valid during the call only, and it must leave it unchanged.
//
// backward computes with operations that are recorded themselves, on the inputs or, in
// the package that defines the values, on what [Tape.Saved] has made of inputs and out:
// then there are gradients of gradients. One that computes with other values belongs to
// an operation that is [Once]; otherwise what these contribute to a second derivative is
// missing, as it is in PyTorch. The tape finds out where a gradient has lost the history
// of the one that it was computed from, and panics when that is asked for: a gradient
// that is 0 is nil.
//
// saved lists the values, of inputs and out, that backward reads: if one of them
// is changed in place before, Backward panics instead of computing something
// wrong. Nothing is recorded if no input requires a gradient or one is marked
// no-grad; out is then marked no-grad too. A [Watch] of an input becomes out's, and
// is told, in any case.
func Record[T Value[T]](op Op, out T, inputs []T, backward func(g T) []T, savedValues ...T) T {
	if Tracks(op.Name(), out, inputs...) {
		if Records(op.Name(), inputs...) {
			record(op, out, inputs, backward, savedValues)
		}
		tell(op, out, inputs)
	}
	return out
}

// handOn gives out, the result of the operation of that name, the marks of inputs.
func handOn[T Value[T]](name string, out T, inputs []T) {
	var zero T
	v, history, leaf := out.tape(), false, false
	for _, x := range inputs {
		if x == zero {
			continue
		}
		xv := x.tape()
		if xv.IsNoGrad() && (v.noGrad == nil || v.noGrad.op == "" && v.noGrad.pass == nil) {
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
	if v.noGrad != nil && v.noGrad.pass == nil && (history || leaf && v.noGrad.op == "") {
		v.noGrad = &meeting{op: name, leaf: !history}
	}
}

// tell calls the watch of out, if there is one.
func tell[T Value[T]](op Op, out T, inputs []T) {
	if w := out.tape().watch; w != nil {
		(*w).Forward(op, slices.Clone(inputs), out) // a copy, so that inputs need not be on the heap
	}
}

// record makes the node of an operation that is recorded.
func record[T Value[T]](op Op, out T, inputs []T, backward func(g T) []T, savedValues []T) {
	var zero T
	v := out.tape()
	n := &Node[T]{op: op, sequence: sequence.Add(1), backward: backward, inputs: make([]edge[T], len(inputs)), watch: v.watch}
	for i, x := range inputs {
		if x != zero {
			n.inputs[i] = edgeTo(x)
		}
	}
	v.node, v.version = n, v.arithmetic.Version(out)
	if len(savedValues) > 0 {
		n.saved = make([]saved[T], 0, len(savedValues))
	}
	for _, x := range savedValues {
		if x != zero {
			n.saved = append(n.saved, saved[T]{x, v.arithmetic.Version(x)})
		}
	}
}

// edgeTo returns the edge that leads to x.
func edgeTo[T Value[T]](x T) (e edge[T]) {
	var zero T
	if v := x.tape(); v.node != nil {
		e.node = v.node
	} else if v.requiresGrad {
		e.leaf = x
		if v.standsFor != zero {
			e.leaf = v.standsFor
		}
	}
	return e
}

// RecordNothing notes that op, which has no gradient, made out from inputs: out
// takes their no-grad mark and their watch, which is told. It returns out.
func RecordNothing[T Value[T]](op Op, out T, inputs ...T) T {
	handOn(op.Name(), out, inputs)
	tell(op, out, inputs)
	return out
}

// Changed tells the watch of x, if there is one, that op, which is not recorded,
// has changed x in place; read is what it read besides, of which some may be nil.
func Changed[T Value[T]](op Op, x T, read ...T) {
	if w := x.tape().watch; w != nil {
		(*w).Forward(op, append([]T{x}, read...), x)
	}
}

// RecordInPlace notes that the operation op has changed x itself: it stands for
// the new value from now on, and its old history becomes that of the
// operation's only input. Call CheckInPlace before the change. saved may name x:
// its new value.
func RecordInPlace[T Value[T]](op Op, x T, backward func(g T) []T, savedValues ...T) T {
	if v := x.tape(); v.node != nil {
		n := &Node[T]{op: op, sequence: sequence.Add(1), backward: backward, inputs: []edge[T]{{node: v.node}}, watch: v.watch}
		v.node, v.version = n, v.arithmetic.Version(x)
		for _, s := range savedValues {
			n.saved = append(n.saved, saved[T]{s, v.arithmetic.Version(s)})
		}
	}
	var none T
	Changed(op, x, none)
	return x
}

// CheckInPlace panics if an operation that records itself may not change x in
// place: x is a leaf that requires a gradient, or stale.
func CheckInPlace[T Value[T]](name string, x T) {
	v := x.tape()
	switch {
	case v.node == nil && v.requiresGrad:
		fail(name, "%s is a leaf that requires a gradient, which a recorded operation may not change in place", v.arithmetic.Describe(x))
	case v.leafView:
		fail(name, "%s is a view of a leaf that requires a gradient, which a recorded operation may not change in place; Clone gives a copy that it may",
			v.arithmetic.Describe(x))
	}
	Records(name, x)
}

// CheckWrite panics if x may not be overwritten by an operation that is not
// recorded: the tape still needs it, since Backward has not yet passed the
// operation that made it.
func CheckWrite[T Value[T]](name string, x T) {
	v := x.tape()
	n := v.node
	if n == nil || n.freed {
		return
	}
	if v.leafView {
		fail(name, "%s is a recorded view (made by %s) of a leaf that requires a gradient; to change the leaf make the view of what Detach returns, as in p.Detach().%s(…)",
			v.arithmetic.Describe(x), n.op.Name(), n.op.Name())
	}
	fail(name, "%s has history (made by %s) that Backward has not yet used, and in-place operations are not recorded; use Detach().Clone(), or change it after Backward",
		v.arithmetic.Describe(x), n.op.Name())
}

// BackwardOpts are the options of Backward.
type BackwardOpts[T any] struct {
	Gradient    T    // the gradient of the value itself; by default 1, for a value of one element
	RetainGraph bool // keep what is recorded, for another Backward or Grad
	CreateGraph bool // record how gradients are computed, for gradients of gradients; it keeps what is recorded, too
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
	v := x.tape()
	if v.node == nil && !v.requiresGrad {
		nothing("Backward", x)
	}
	current("Backward", x)
	a := v.arithmetic
	w := walk[T]{name: "Backward", arithmetic: a, retain: opts.RetainGraph || opts.CreateGraph, create: opts.CreateGraph}
	g := opts.Gradient
	if g == zero {
		g = a.Ones("Backward", x)
	}
	w.leaf = func(leaf, g T) {
		total := a.Accumulate(leaf, g, opts.CreateGraph)
		for _, hook := range leaf.tape().hooks {
			(*hook)(total)
		}
	}
	w.run(x, g)
}

// nothing panics because op finds no record of x, and says why that may be.
func nothing[T Value[T]](op string, x T) {
	why := "no leaf that it was made from requires a gradient"
	if met := x.tape().noGrad; met != nil && met.pass == nil {
		why = "it was made from values marked no-grad"
		switch {
		case met.op == "":
		case met.leaf:
			why += ", which met a leaf that requires a gradient in " + met.op
		default:
			why += ", which met history in " + met.op + "; Detach takes the mark off"
		}
	}
	fail(op, "nothing was recorded for %s: %s", x.tape().arithmetic.Describe(x), why)
}

// GradOpts are the options of Grad.
type GradOpts struct {
	RetainGraph bool // keep what is recorded, for another Backward or Grad
	CreateGraph bool // record how gradients are computed, for gradients of gradients; it keeps what is recorded, too
}

// Grad returns the gradients of output, a value of one element, with respect to
// inputs, which may be leaves or values made on the way; nil for an input that
// output does not depend on. The gradients that leaves hold are left alone, hooks
// are not called, and the record is freed unless opts says otherwise. With
// CreateGraph the gradients have a history of their own, so that Grad or Backward of
// what is made from them gives second derivatives, and so on. (torch.autograd.grad)
func Grad[T Value[T]](output T, inputs []T, opts ...GradOpts) []T {
	var zero T
	if output == zero {
		fail("Grad", "the output is nil")
	}
	if i := slices.Index(inputs, zero); i >= 0 {
		fail("Grad", "input %d is nil", i)
	}
	var o GradOpts
	if len(opts) > 0 {
		o = opts[0]
	}
	if !output.tape().RequiresGrad() {
		nothing("Grad", output)
	}
	current("Grad", output)
	a := output.tape().arithmetic
	grads := make([]T, len(inputs))
	keep := func(i int, g T) {
		if !o.CreateGraph {
			a.Retain(g)
		}
		grads[i] = g
	}
	w := walk[T]{name: "Grad", arithmetic: a, retain: o.RetainGraph || o.CreateGraph, create: o.CreateGraph}
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
	w.run(output, a.Ones("Grad", output))
	return grads
}

// walk is one pass over the record, latest operation first.
type walk[T Value[T]] struct {
	name       string // of what walks, for errors
	arithmetic Arithmetic[T]
	retain     bool
	create     bool                  // record what the walk computes
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
			fail(w.name, "%s was already freed by an earlier Backward or Grad; give that one RetainGraph to go through the record again", n.op.Name())
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
	var pass *Pass
	if !w.create {
		pass = &Pass{}
		pass.mark.pass = pass
		defer func() { pass.over = true }()
	}
	w.hold(g)
	grads := map[*Node[T]]T{root: g}
	leaves := map[T]T{}
	for _, n := range nodes {
		for _, s := range n.saved {
			if a.Version(s.value) != s.version {
				fail(w.name, "%s needs %s, which was changed in place after it was used; use Clone before the change", n.op.Name(), a.Describe(s.value))
			}
		}
		if g, ok := grads[n]; ok {
			delete(grads, n)
			if w.inner != nil {
				w.inner(n, g)
			}
			before := sequence.Load()
			results := a.Run(g, pass, n.backward)
			if len(results) != len(n.inputs) {
				fail(w.name, "%s returned %d gradients for %d inputs", n.op.Name(), len(results), len(n.inputs))
			}
			if w.create {
				w.guard(n, g, results, before)
			}
			for _, r := range results {
				if r != zero {
					w.hold(r)
				}
			}
			if n.watch != nil {
				(*n.watch).Backward(n, g, results)
			}
			for i, e := range n.inputs {
				switch {
				case results[i] == zero:
				case e.leaf != zero:
					add(w, leaves, e.leaf, results[i])
				case e.node != nil:
					add(w, grads, e.node, results[i])
				}
			}
			for _, r := range results {
				if r != zero {
					w.drop(r)
				}
			}
			w.drop(g)
		}
		for _, e := range n.inputs {
			if e.leaf != zero {
				if waits[e.leaf]--; waits[e.leaf] == 0 {
					if g, ok := leaves[e.leaf]; ok {
						delete(leaves, e.leaf)
						w.leaf(e.leaf, g)
						w.drop(g)
					}
				}
			}
		}
		if !w.retain {
			n.freed, n.backward, n.saved, n.inputs, n.watch = true, nil, nil, nil, nil
		}
	}
}

// guard gives those of results, the gradients that n has made of g since the record had
// the length before, that have no gradient of their own, and should have, a history that
// says so when it is walked.
func (w *walk[T]) guard(n *Node[T], g T, results []T, before uint64) {
	var zero T
	why := ""
	switch n.op.(type) {
	case Once:
		why = "it is recorded as one that has a gradient once"
	case Named:
		if !w.reachesSaved(n, results, before) {
			why = "its closure computes with values that have no history, and not with those that it saves; see autograd.Once"
		}
	}
	for i, r := range results {
		if r == zero || why == "" && (!g.tape().RequiresGrad() || r.tape().RequiresGrad()) {
			continue
		}
		why := why
		if why == "" {
			why = "its closure has not computed the gradient from the one that it was given, with operations that are recorded"
		}
		results[i] = w.arithmetic.Alias(r)
		v := results[i].tape()
		v.node = &Node[T]{op: n.op, sequence: sequence.Add(1), inputs: append([]edge[T]{edgeTo(g)}, n.inputs...), backward: func(T) []T {
			fail(w.name, "%s has no second derivative: %s", n.op.Name(), why)
			return nil
		}}
		v.version = v.arithmetic.Version(results[i])
	}
}

// reachesSaved reports whether one of results, made since the record had the length
// before, depends on a value that n has saved, if one of these has a history.
func (w *walk[T]) reachesSaved(n *Node[T], results []T, before uint64) bool {
	var zero T
	saved := map[edge[T]]bool{}
	for _, s := range n.saved {
		if s.value.tape().RequiresGrad() {
			saved[edgeTo(s.value)] = true
		}
	}
	seen := map[*Node[T]]bool{}
	var reach func(e edge[T]) bool
	reach = func(e edge[T]) bool {
		if saved[e] {
			return true
		}
		if e.node == nil || e.node.sequence <= before || seen[e.node] {
			return false
		}
		seen[e.node] = true
		return slices.ContainsFunc(e.node.inputs, reach)
	}
	return len(saved) == 0 || slices.ContainsFunc(results, func(r T) bool { return r != zero && reach(edgeTo(r)) })
}

// hold says that the walk holds g once more, drop that it holds it once less. What a
// graph is created of is not taken back.
func (w *walk[T]) hold(g T) {
	if !w.create {
		w.arithmetic.Retain(g)
	}
}

func (w *walk[T]) drop(g T) {
	if !w.create {
		w.arithmetic.Release(g)
	}
}

// add adds a gradient to what m holds for k.
func add[K comparable, T Value[T]](w *walk[T], m map[K]T, k K, g T) {
	old, ok := m[k]
	if ok {
		g = w.arithmetic.Add(old, g, w.create)
	}
	w.hold(g)
	m[k] = g
	if ok {
		w.drop(old)
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
