package trainer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for this one.
var friends = friend.Of[*tensor.Tensor]()

// ErrNotFinite is what the error of NaNStop wraps.
var ErrNotFinite = errors.New("not a finite number")

// NaNStop ends a run with an error before a step whose loss or whose gradients are
// not finite. The error says where that began: the batch is gone through once
// more, from the same weights, buffers and random numbers, and the first operation
// of the forward pass that led to it is named, with its layer and what it was
// given; if there is none, the first of the backward pass.
//
//	trainer: epoch 3, batch 17: the loss is NaN; it began in the forward pass, in
//	Log of layer features.3: its result [64 10] holds 2 NaN among 640 values, the
//	others from -3.1 to 2; its input [64 10] is finite, from -0.2 to 7.4; this step
//	was not made: not a finite number
//
// Weights, buffers (running means) and random states are then what they were
// before the batch. Of a run with Autocast in Float16, gradients that are not finite
// at a scale above 1 are left to its GradScaler, which leaves the step out and makes
// the scale smaller. An ordinary batch costs one pass over the gradients, which on a
// GPU waits for them once, and a copy of the buffers. What callbacks make of the
// gradients later is not looked at. (torch.autograd.set_detect_anomaly)
func NaNStop() Callback {
	n := &nanStop{}
	return Callback{Name: "nan_stop", Start: n.start, Batch: n.batch}
}

// nanStop is what NaNStop knows of a run.
type nanStop struct {
	names      []string // of the parameters
	parameters []*tensor.Tensor
	buffers    []*tensor.Tensor
	generators []*tensor.Generator

	// Before the batch.
	kept   []*tensor.Tensor // the buffers
	states []generatorState
}

func (n *nanStop) start(r *Run) error {
	*n = nanStop{}
	parameter := map[*tensor.Tensor]bool{}
	for name, p := range layers.NamedParameters(r.Module) {
		n.names, n.parameters = append(n.names, name), append(n.parameters, p)
		parameter[p] = true
	}
	for _, t := range layers.StateDict(r.Module) {
		if !parameter[t] {
			n.buffers, n.kept = append(n.buffers, t), append(n.kept, t.Detach().Clone())
		}
	}
	for _, g := range (&Snapshot{Model: r.Module, Generators: r.Generators}).generators() {
		n.generators, n.states = append(n.generators, g), append(n.states, generatorState{})
	}
	return nil
}

func (n *nanStop) batch(r *Run) (done func() error) {
	for i, b := range n.buffers {
		n.kept[i].CopyFrom(b)
	}
	for i, g := range n.generators {
		n.states[i].Seed, n.states[i].Offset = g.State()
	}
	return func() error { return n.check(r) }
}

// restore makes buffers and random states what they were before the batch.
func (n *nanStop) restore() {
	for i, b := range n.buffers {
		b.CopyFrom(n.kept[i])
	}
	for i, g := range n.generators {
		g.SetState(n.states[i].Seed, n.states[i].Offset)
	}
}

func (n *nanStop) check(r *Run) error {
	var names []string
	var grads []*tensor.Tensor
	for i, p := range n.parameters {
		if g := p.Grad(); g != nil {
			names, grads = append(names, n.names[i]), append(grads, g)
		}
	}
	loss := r.Loss()
	var bad []int
	if r.Scaler == nil || r.Scaler.CurrentScale() <= 1 {
		bad = friends.NotFinite(grads)
	}
	if len(bad) == 0 && (finite(loss) || r.nothingCounts()) {
		return nil
	}
	what := fmt.Sprintf("the loss is %v", loss)
	if finite(loss) {
		const most = 5
		var which []string
		for _, i := range bad[:min(len(bad), most)] {
			which = append(which, names[i])
		}
		what += ", but the gradients of " + strings.Join(which, ", ")
		if more := len(bad) - most; more > 0 {
			what += fmt.Sprintf(" and %d more parameters", more)
		}
		what += " are not finite"
	}
	return fmt.Errorf("trainer: epoch %d, batch %d: %s; %s; this step was not made: %w", r.Position.Epoch+1, r.Batch, what, n.again(r), ErrNotFinite)
}

// again goes through the batch once more and says where it began.
func (n *nanStop) again(r *Run) string {
	n.restore()
	defer n.restore()
	s := &search{run: r, trace: layers.NewTrace(r.Module), made: map[*autograd.Node[*tensor.Tensor]]*event{}}
	s.trace.OnForward, s.trace.OnBackward = s.forward, s.backward
	if err := tensor.Try(s.pass); err != nil {
		return fmt.Sprintf("going through the batch once more to see where it began failed (%v)", err)
	}
	forward := "it began in the forward pass, in "
	switch first := s.first(); {
	case first != nil:
		return forward + first.text
	case s.gradient != "" && len(s.events) > 0:
		return "it began in the backward pass, in " + s.gradient + "; before that, in the forward pass, there was " + s.events[0].text
	case s.gradient != "":
		return "it began in the backward pass, in " + s.gradient
	case len(s.events) > 0:
		return "in the forward pass there was " + s.events[0].text
	}
	if len(s.beside) > 0 {
		return "going through the batch once more gave finite numbers only in the operations on it; those on parameters alone (" + strings.Join(s.beside, ", ") +
			"), hooks and adding up the gradients of several batches were not looked at"
	}
	return "going through the batch once more gave finite numbers only, without what is done to gradients after they were computed (hooks, adding up those of several batches)"
}

// search is a pass in which the first number that is not finite is looked for.
type search struct {
	run      *Run
	trace    *layers.Trace
	inLoss   bool
	over     bool // the forward pass is over
	loss     *tensor.Tensor
	count    int                                       // operations so far
	events   []*event                                  // operations with results that are not finite
	made     map[*autograd.Node[*tensor.Tensor]]*event // all operations that are recorded
	gradient string                                    // the first operation with such gradients
	beside   []string                                  // the names of recorded operations on parameters alone, which a watch of the batch is not told of
}

// event is an operation of the forward pass.
type event struct {
	number int // counted from the first
	name   string
	inputs []*tensor.Tensor
	out    *tensor.Tensor

	// Where the result is not finite:
	text        string
	from        []*event // what made its inputs so
	overwritten bool     // its result is finite by now
}

func (s *search) pass() {
	r := s.run
	watched := *r.batch
	for _, xs := range []*[]*tensor.Tensor{&watched.Inputs, &watched.Targets} {
		*xs = slices.Clone(*xs)
		for i, x := range *xs {
			(*xs)[i] = x.Watch(s.trace)
		}
	}
	if r.Config.Forward != nil {
		s.loss = r.forward(&watched).Loss
	} else {
		output := r.Model.Forward(watched.Inputs[0])
		s.inLoss = true
		s.loss = r.Config.Loss.Forward(output, watched.Targets[0])
	}
	s.beside = s.unseen()
	if finite(s.loss.Item()) {
		shared := r.shared(s.loss)
		s.over = true
		autograd.Grad(shared, nil) // unlike Backward it leaves the parameters' gradients alone
	}
}

// unseen returns the names of the operations that led to the loss and were not told.
func (s *search) unseen() (names []string) {
	if s.loss.Node() == nil {
		return nil
	}
	nodes := []*autograd.Node[*tensor.Tensor]{s.loss.Node()}
	met := map[*autograd.Node[*tensor.Tensor]]bool{nodes[0]: true}
	for len(nodes) > 0 {
		n := nodes[len(nodes)-1]
		nodes = nodes[:len(nodes)-1]
		if s.made[n] == nil && !slices.Contains(names, n.Op().Name()) {
			names = append(names, n.Op().Name())
		}
		for in := range n.Inputs() {
			if in != nil && !met[in] {
				met[in] = true
				nodes = append(nodes, in)
			}
		}
	}
	return names
}

func (s *search) forward(at layers.Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
	if s.over { // what a gradient is computed with
		return
	}
	s.count++
	e := &event{number: s.count, name: op.Name() + " " + s.where(at), inputs: inputs, out: out}
	if n := out.Node(); n != nil {
		s.made[n] = e
	}
	ok := allFinite(out)
	for _, x := range inputs {
		switch {
		case x == out && ok: // in place
			for from := s.maker(x); from != nil; from = s.maker(x) {
				from.overwritten = true
			}
		case x != nil && !ok && (x == out || !allFinite(x)):
			if from := s.maker(x); from != nil {
				e.from = append(e.from, from)
			}
		}
	}
	if !ok {
		e.text = fmt.Sprintf("%s: its result %v %s%s", e.name, out.Shape(), contents(out), s.given(inputs, out))
		s.events = append(s.events, e)
	}
}

// maker returns the last operation that left x as it is, not finite.
func (s *search) maker(x *tensor.Tensor) *event {
	for i := len(s.events) - 1; i >= 0; i-- {
		if e := s.events[i]; !e.overwritten && e.out.SharesMemory(x) {
			return e
		}
	}
	return nil
}

// first returns the first of the operations that made the loss not finite, or nil
// if it is. What did not lead there, such as the infinities of a mask that a
// softmax takes, does not count.
func (s *search) first() *event {
	if finite(s.loss.Item()) {
		return nil
	}
	e := s.maker(s.loss)
	if e == nil && len(s.events) > 0 {
		return s.events[0]
	}
	seen := map[*event]bool{}
	var visit func(f *event)
	visit = func(f *event) {
		if seen[f] {
			return
		}
		seen[f] = true
		if f.number < e.number {
			e = f
		}
		for _, g := range f.from {
			visit(g)
		}
	}
	if e != nil {
		visit(e)
	}
	return e
}

func (s *search) backward(at layers.Place, n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor) {
	e := s.made[n]
	if s.gradient != "" || e == nil {
		return
	}
	if !allFinite(g) { // and all that were returned before are
		s.gradient = fmt.Sprintf("the sum of the gradients of the result of %s, %v, which %s", e.name, g.Shape(), contents(g))
		return
	}
	for i, d := range grads {
		if d == nil || allFinite(d) {
			continue
		}
		s.gradient = fmt.Sprintf("%s: the gradient of %s %s; that of its result %v %s%s",
			e.name, s.name(e.inputs, i), contents(d), g.Shape(), contents(g), s.given(e.inputs, e.out))
		return
	}
}

// where says where an operation is, behind its name.
func (s *search) where(at layers.Place) string {
	layer := "the model"
	if at.Layer != "" {
		layer = "layer " + at.Layer
	}
	switch {
	case s.inLoss:
		return "of the loss"
	case at.Exact:
		return "of " + layer
	case at.After != "":
		return "after layer " + at.After
	}
	return "at the beginning of " + layer
}

// given says what an operation was given.
func (s *search) given(inputs []*tensor.Tensor, out *tensor.Tensor) string {
	var b strings.Builder
	for i, x := range inputs {
		if x != nil && x != out && x.DType().IsFloat() {
			fmt.Fprintf(&b, "; %s %s", s.name(inputs, i), contents(x))
			for _, batch := range slices.Concat(s.run.Inputs, s.run.Targets) {
				if x.Dim() > 0 && batch.Dim() > 0 && x.SharesMemory(batch) && x.Size(0) == batch.Size(0) && !allFinite(x) {
					fmt.Fprintf(&b, " (the first in example %d of the batch, counted from 0)", badExample(x))
				}
			}
		}
	}
	return b.String()
}

// name names an input of an operation.
func (s *search) name(inputs []*tensor.Tensor, i int) string {
	x, n := inputs[i], 0
	for _, y := range inputs {
		if y != nil && y.DType().IsFloat() {
			n++
		}
	}
	name := "its input"
	if n > 1 {
		name = fmt.Sprintf("its input %d", i+1)
	}
	name += fmt.Sprintf(" %v", x.Shape())
	switch {
	case x.Path() != "":
		name += ", " + x.Path() + ","
	case s.ofBatch(x) != "":
		name += ", the batch's " + s.ofBatch(x) + ","
	case x.Watched() == nil && x.Node() != nil:
		name += fmt.Sprintf(", made by %s without the batch,", x.Node().Op().Name())
	}
	return name
}

// ofBatch says which part of the batch x is, or "".
func (s *search) ofBatch(x *tensor.Tensor) string {
	for _, part := range []struct {
		all        []*tensor.Tensor
		only, many string
	}{{s.run.Inputs, "images", "input"}, {s.run.Targets, "labels", "target"}} {
		for i, y := range part.all {
			switch {
			case !x.SharesMemory(y):
			case s.run.Config.Forward == nil:
				return part.only
			default:
				return fmt.Sprintf("%s %d", part.many, i)
			}
		}
	}
	return ""
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func allFinite(x *tensor.Tensor) bool { return len(friends.NotFinite([]*tensor.Tensor{x})) == 0 }

// contents says what values x has: "is finite, from -0.2 to 3", "holds 2 NaN and 1
// Inf among 640 values, the others from 0 to 1".
func contents(x *tensor.Tensor) string {
	var nan, plus, minus int
	lo, hi := math.Inf(1), math.Inf(-1)
	values := x.Float64s()
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			nan++
		case math.IsInf(v, 1):
			plus++
		case math.IsInf(v, -1):
			minus++
		default:
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	span := fmt.Sprintf("from %.4g to %.4g", lo, hi)
	bad := nan + plus + minus
	switch {
	case len(values) == 0:
		return "is empty"
	case bad == 0 && len(values) == 1:
		return fmt.Sprintf("is %.4g", lo)
	case bad == 0 && lo == hi:
		return fmt.Sprintf("is %.4g everywhere", lo)
	case bad == 0:
		return "is finite, " + span
	case len(values) == 1:
		return fmt.Sprintf("is %v", values[0])
	}
	var counts []string
	for _, c := range []struct {
		n    int
		what string
	}{{nan, "NaN"}, {plus, "Inf"}, {minus, "-Inf"}} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	s := fmt.Sprintf("holds %s among %d values", strings.Join(counts, " and "), len(values))
	if bad < len(values) {
		s += ", the others " + span
	}
	return s
}

// badExample returns the first example of a batch that is not finite.
func badExample(x *tensor.Tensor) int {
	values := x.Float64s()
	return slices.IndexFunc(values, func(v float64) bool { return !finite(v) }) * x.Size(0) / len(values)
}
