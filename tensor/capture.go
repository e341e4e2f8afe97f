package tensor

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/wick-ml/wick/internal/backend"
)

// CapturedStep is a step that is computed as one CUDA graph where that can be
// had. [Capture] makes it.
type CapturedStep struct {
	device *Device
	step   func(x, y *Tensor) *Tensor
	forms  []*form
	err    error // of the last Run
}

// Capture returns a step that is computed as one CUDA graph where that can be
// had: on a GPU the operations of step are noted once and then launched together,
// which costs the program next to nothing, however many they are. The step is a
// whole one: it sets gradients to zero, computes the loss of a batch x with the
// labels y, calls Backward and the optimizer's Step, and returns, say, the loss.
//
//	train := tensor.Capture(device, func(x, y *tensor.Tensor) *tensor.Tensor {
//		optimizer.ZeroGrad()
//		loss := criterion.Forward(model.Forward(x), y)
//		loss.Backward()
//		optimizer.Step()
//		return loss
//	})
//	defer train.Close()
//	for images, labels := range loader.All() {
//		total.AddInPlace(train.Run(images, labels))
//	}
//
// The first [CapturedStep.Run] makes the step as it is written, and looks whether it
// can be captured. The second one calls step once more, to note its operations, and
// launches them. All later ones launch them again, with the numbers that the batch,
// the optimizer (learning rates, counts of steps) and the generators have by then:
// parameters, gradients, losses and states are what they would be without a graph,
// bit for bit. A batch of another shape or type, such as the last one of an epoch,
// goes through the same and gets a graph of its own; after four graphs further shapes
// are computed operation by operation.
//
// What a step must keep to, as with PyTorch's graphs:
//   - It waits for nothing that the device computes (Item, Floats, ClipNorm, …), and takes
//     nothing from the host's memory. Otherwise no graph is made, and
//     [CapturedStep.Err] names the operation.
//   - It calls ZeroGrad before Backward.
//   - It does its operations on the device, on the goroutine that calls Run, and other
//     goroutines do none on this device during the first two Runs; the data loader's
//     workers may send batches there.
//   - Since later Runs do not call it, all else that it does in Go happens in the first
//     two only: counting, choosing a branch, layers' training mode, hooks and
//     watches, a scheduler's Step, operations on another device. A number that it gives
//     to an operation stays, unless that is the step of an optimizer. Change learning
//     rates between the Runs.
//   - A tensor that it keeps for others holds what the last Run left there.
//
// Parameters may be changed in place between the Runs, and by a model's To or the
// optimizer's LoadState, after which the step is captured again. A field of a layer
// that is given another tensor is not noticed: Close the step then.
//
// On a device without graphs, such as the CPU, each Run calls step, so the same
// program serves both. (torch.cuda.graphs, torch.cuda.make_graphed_callables)
func Capture(d *Device, step func(x, y *Tensor) *Tensor) *CapturedStep {
	if d == nil || step == nil {
		fail("Capture", "got a nil device or step")
	}
	c := &CapturedStep{device: d, step: step}
	if _, ok := d.backend.(backend.Capturer); !ok {
		c.err = errors.New("tensor: Capture: " + d.name + " has no graphs")
	}
	return c
}

// mostForms is how many graphs a step may have.
const mostForms = 4

// mostTries is how often in a row a graph may turn out to be of no use before the step
// is left as it is.
const mostTries = 3

// form is what a step does with batches of one kind.
type form struct {
	kinds     [2]kind // of x and y
	rehearsed bool
	tries     int   // captures since a graph was last launched a second time
	reason    error // why there is no graph and will be none
	graph     backend.Graph
	in        [2]*Tensor // what the graph computes from
	out       *Tensor    // what the step returned, or nil
	owned     bool       // out is the step's own
	written   []*storage // from before the step, that it changes
	grads     []gradient
}

// kind is all that a step may see of a tensor but for its elements.
type kind struct {
	there     bool
	shape     Shape
	dtype     DType
	precision Precision
	mark      uint8
	noGrad    bool
}

func kindOf(t *Tensor) kind {
	if t == nil {
		return kind{}
	}
	return kind{true, t.shape, t.DType(), t.storage.device.precision, tape.Mark(t), t.IsNoGrad()}
}

func (k kind) equal(l kind) bool {
	return k.there == l.there && k.shape.Equal(l.shape) && k.dtype == l.dtype && k.precision == l.precision && k.mark == l.mark && k.noGrad == l.noGrad
}

// gradient is a leaf's gradient as the step leaves it.
type gradient struct {
	leaf    *Tensor
	storage *storage
	has     bool
}

// Run makes the step with x and y, which are on the device; y may be nil. It
// returns what step returns, without its history: memory of the caller's own, in
// the scopes of x and y. It is called by one goroutine at a time.
func (c *CapturedStep) Run(x, y *Tensor) *Tensor {
	const op = "CapturedStep.Run"
	switch {
	case c == nil || c.device == nil:
		fail(op, "the step is nil or has nothing in it; Capture makes one")
	case x == nil:
		fail(op, "x is nil")
	}
	capturer, ok := c.device.backend.(backend.Capturer)
	why := error(nil)
	for _, t := range []*Tensor{x, y} {
		if t == nil {
			continue
		}
		t.check(op)
		if t.storage.device != c.device {
			fail(op, "%s is on %s, the step is captured on %s; To moves a tensor", t.describe(), t.storage.device, c.device)
		}
		if t.RequiresGrad() || t.Watched() != nil {
			why = reason("%s requires a gradient or carries a watch, which a graph cannot serve", t.describe())
		}
	}
	if !ok || c.device.recorder.Load() != nil { // a step in a step is a part of it
		return c.eager(x, y)
	}
	if c.err = why; why != nil {
		return c.eager(x, y)
	}
	f := c.form(kindOf(x), kindOf(y))
	if f == nil {
		c.err = reason("there are graphs for %d kinds of batches already, and no more are made", mostForms)
		return c.eager(x, y)
	}
	if f.graph != nil && !f.graph.Fits() {
		f.drop()
	}
	if f.reason != nil {
		c.err = f.reason
		return c.eager(x, y)
	}
	if f.graph != nil {
		f.tries = 0
		f.fill(x, y)
		f.graph.Launch()
		f.after()
		return f.result(x, y)
	}
	if !f.rehearsed {
		out := c.rehearse(f, capturer, x, y)
		c.err = f.reason
		return out
	}
	c.capture(f, capturer, x, y)
	f.after()
	out := f.result(x, y)
	if !f.graph.Fits() { // the step itself made new what it uses
		f.drop()
	}
	return out
}

// eager makes the step operation by operation.
func (c *CapturedStep) eager(x, y *Tensor) *Tensor {
	if out := c.step(x, y); out != nil {
		return out.Detach()
	}
	return nil
}

// reason is why a step is not captured.
func reason(format string, args ...any) error {
	return &Error{Op: "Capture", Err: fmt.Errorf(format, args...)}
}

// form returns what there is for a kind of batches, nil if there is no room for more.
func (c *CapturedStep) form(x, y kind) *form {
	for _, f := range c.forms {
		if f.kinds[0].equal(x) && f.kinds[1].equal(y) {
			return f
		}
	}
	if len(c.forms) == mostForms {
		return nil
	}
	x.shape, y.shape = slices.Clone(x.shape), slices.Clone(y.shape)
	f := &form{kinds: [2]kind{x, y}}
	c.forms = append(c.forms, f)
	return f
}

// recorder is told what a step changes on the host.
type recorder struct {
	unfit   func(why string)
	mu      sync.Mutex
	zeroed  map[*Tensor]bool // leaves whose gradient the step has set to zero
	grads   map[*Tensor]bool // leaves that got a gradient
	written map[*storage]bool
}

// record calls f with a recorder.
func (c *CapturedStep) record(unfit func(why string), f func()) *recorder {
	r := &recorder{unfit: unfit, zeroed: map[*Tensor]bool{}, grads: map[*Tensor]bool{}, written: map[*storage]bool{}}
	if !c.device.recorder.CompareAndSwap(nil, r) {
		fail("CapturedStep.Run", "another step is captured on %s at this moment; let it wait until the second Run of that is over", c.device)
	}
	defer c.device.recorder.Store(nil)
	f()
	return r
}

// zeroes is called when a leaf's gradient is set to zero.
func (r *recorder) zeroes(leaf *Tensor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.zeroed[leaf] = true
}

// accumulates is called before a leaf gets a gradient.
func (r *recorder) accumulates(leaf *Tensor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.zeroed[leaf] {
		r.unfit("adds to a gradient that it has not set to zero")
	}
	r.grads[leaf] = true
}

// writes is called when a tensor was changed in place.
func (r *recorder) writes(s *storage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written[s] = true
}

// rehearse makes the step as it is written, and notes what of it no graph can do.
func (c *CapturedStep) rehearse(f *form, capturer backend.Capturer, x, y *Tensor) (out *Tensor) {
	var why error
	unfit := func(what string) {
		if why == nil {
			why = reason("the step %s", told(what))
		}
	}
	c.record(unfit, func() {
		capturer.Rehearse(func() { out = c.eager(x, y) }, unfit)
	})
	f.rehearsed, f.reason = true, why
	return out
}

// capture makes a graph of the step, which is launched once.
func (c *CapturedStep) capture(f *form, capturer backend.Capturer, x, y *Tensor) {
	s := NewScope() // of what the step makes
	defer s.close()
	for i, t := range []*Tensor{x, y} {
		if t == nil {
			continue
		}
		in := alloc("Capture", c.device, t.DType(), f.kinds[i].shape, s)
		in.storage.held = true
		tape.Take(in, t)
		if t.IsNoGrad() {
			tape.MarkNoGrad(in)
		}
		f.in[i] = in
	}
	f.fill(x, y)
	var beside backend.Graph
	for _, o := range c.forms {
		if o.graph != nil {
			beside = o.graph
		}
	}
	done := false
	defer func() {
		if !done { // the step panics
			if f.reason == nil {
				f.reason = reason("the step failed while it was captured")
			}
			c.err = f.reason
			f.release()
		}
	}()
	var out *Tensor
	unfit := func(what string) {
		f.reason = reason("the step %s, which it did not when it was rehearsed", told(what))
		panic(f.reason)
	}
	r := c.record(unfit, func() {
		f.graph = capturer.Capture(func() { out = c.step(f.in[0], f.in[1]) }, unfit, beside)
	})
	done = true
	f.tries++
	if out != nil {
		f.out = out.Detach()
		if f.owned = f.out.storage.belongs(s); f.owned {
			f.out.storage.held = true
		}
	}
	maps.Copy(r.zeroed, r.grads)
	for leaf := range r.zeroed {
		g := gradient{leaf: leaf, has: leaf.hasGrad}
		if r.grads[leaf] {
			g.storage = leaf.grad.storage
			g.storage.held = true
		}
		f.grads = append(f.grads, g)
	}
	s.close()
	for st := range r.written {
		if !st.released.Load() {
			f.written = append(f.written, st)
		}
	}
}

// fill copies a batch to where the graph takes it from.
func (f *form) fill(x, y *Tensor) {
	for i, t := range [2]*Tensor{x, y} {
		if t != nil {
			t.be().Copy(f.in[i].array(), t.array())
		}
	}
}

// after does on the host what a step does there.
func (f *form) after() {
	for _, st := range f.written {
		st.version.Add(1)
	}
	for _, g := range f.grads {
		g.leaf.hasGrad = g.has
		if g.storage == nil || g.leaf.grad.storage == g.storage {
			continue
		}
		// A step that was not captured left a gradient of its own.
		g.leaf.grad.storage.release()
		g.leaf.grad.storage, g.leaf.grad.offset, g.leaf.grad.shape = g.storage, 0, slices.Clone(g.leaf.shape)
	}
}

// result copies what the step returned.
func (f *form) result(x, y *Tensor) *Tensor {
	if f.out == nil {
		return nil
	}
	out := result("CapturedStep.Run", f.out.DType(), f.out.shape, x, y)
	f.out.copyTo(out)
	tape.Take(out, f.out)
	return out
}

// drop gives back a graph that is of no use any more. The step is rehearsed again,
// unless that happens time after time.
func (f *form) drop() {
	f.release()
	if f.rehearsed = false; f.tries >= mostTries {
		f.reason = reason("the step gives back or makes again memory that it uses each time, so that no graph of it lasts")
	}
}

// release gives back a graph and what it holds. Gradients stay with their leaves.
func (f *form) release() {
	for _, g := range f.grads {
		if g.storage != nil {
			g.storage.held = false
			if g.leaf.grad.storage != g.storage {
				g.storage.release()
			}
		}
	}
	if f.owned {
		f.out.storage.held = false
		f.out.storage.release()
	}
	for _, t := range f.in {
		if t != nil {
			t.storage.held = false
			t.storage.release()
		}
	}
	f.in, f.out, f.owned, f.grads, f.written = [2]*Tensor{}, nil, false, nil, nil
	if f.graph != nil {
		f.graph.Close()
		f.graph = nil
	}
}

// here is what the names of this package's functions start with.
const here = "github.com/wick-ml/wick/tensor."

// told adds the operation that is being called, and where, to what it does.
func told(why string) string {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	// The innermost frames are those of the recorder and the backend, then come the operation's.
	frame, more := frames.Next()
	for more && strings.HasPrefix(frame.Function, here) {
		frame, more = frames.Next()
	}
	for more && !strings.HasPrefix(frame.Function, here) {
		frame, more = frames.Next()
	}
	op := ""
	for more && strings.HasPrefix(frame.Function, here) && !strings.HasPrefix(frame.Function, here+"tape.") {
		op = frame.Function
		frame, more = frames.Next()
	}
	if op == "" {
		return why
	}
	for more && (strings.HasPrefix(frame.Function, here) || strings.HasPrefix(frame.Function, "github.com/wick-ml/wick/autograd.")) {
		frame, more = frames.Next()
	}
	return fmt.Sprintf("%s in %s (%s:%d)", why, operation(op), filepath.Base(frame.File), frame.Line)
}

// operation returns the name in a function's: "Item" of "…/tensor.(*Tensor).Item".
func operation(function string) string {
	name, _, _ := strings.Cut(function[strings.LastIndex(function, "/")+1:], "[")
	parts := strings.Split(name, ".")
	for len(parts) > 2 && (strings.HasPrefix(parts[len(parts)-1], "func") || strings.Trim(parts[len(parts)-1], "0123456789") == "") {
		parts = parts[:len(parts)-1]
	}
	return parts[len(parts)-1]
}

// Err returns why the step is computed operation by operation; nil while it is
// captured, or will be. A Run of another kind of batch may change the answer.
func (c *CapturedStep) Err() error { return c.err }

// Close gives back the memory of the graphs. The step may be run again afterwards;
// it is then captured again.
func (c *CapturedStep) Close() {
	for _, f := range c.forms {
		f.release()
	}
	if c.forms = nil; c.err != nil {
		if _, ok := c.device.backend.(backend.Capturer); ok {
			c.err = nil
		}
	}
}
