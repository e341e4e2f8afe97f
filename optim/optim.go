// Package optim provides optimizers in the manner of torch.optim: SGD, Adam,
// AdamW, RMSprop and Adagrad, clipping of gradients, and the GradScaler of mixed
// precision.
//
//	optimizer := optim.NewAdam(layers.Parameters(model), 0.001)
//	for images, labels := range loader.All() {
//		optimizer.ZeroGrad()
//		loss := criterion.Forward(model.Forward(images), labels)
//		loss.Backward()
//		optimizer.Step()
//	}
//
// A constructor takes the parameters and the learning rate and sets PyTorch's
// defaults in the exported fields, which may be changed at any time: what a field
// holds is what the next Step uses, and 0 is 0.
//
//	optimizer := optim.NewSGD(layers.Parameters(model), 0.1)
//	optimizer.Momentum, optimizer.WeightDecay, optimizer.Nesterov = 0.9, 5e-4, true
//
// Learning rates lie in [Groups], one for each group of parameters; package
// sched changes them. More groups are appended to the one that the constructor
// makes:
//
//	optimizer := optim.NewAdamW(weights, 1e-3)
//	optimizer.Groups = append(optimizer.Groups, optim.Group{Params: biases, LR: 1e-3, WeightDecay: new(0.0)})
//
// A step that package tensor captures as a graph ([tensor.Capture]) makes the
// optimizers' Step part of it; later steps take the learning rates and the other
// numbers that the fields hold then, and count as they would have counted.
//
// Step passes over parameters that have no gradient or do not require one. What
// an optimizer keeps for a parameter (momentum and the like) is made at the
// parameter's first step, lives where and as long as the parameter does, and
// follows it to another device or type.
//
// What does not fit (a learning rate that is NaN, a parameter that stands twice)
// panics with a [*tensor.Error].
package optim

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/tensor"
)

// Optimizer is what all optimizers of this package are, and what package sched
// and training loops work with.
type Optimizer interface {
	// Step changes the parameters by their gradients.
	Step()
	// ZeroGrad forgets the gradients; see [Groups.ZeroGrad].
	ZeroGrad()
	// LRs returns the learning rates, one for each group of parameters.
	LRs() []float64
	// SetLRs sets them.
	SetLRs(lrs []float64)
}

var _ = []Optimizer{&SGD{}, &Adam{}, &RMSprop{}, &Adagrad{}}

// Group is parameters with one learning rate. Its other fields are options that
// the group has of its own: nil means the optimizer's. One that the optimizer
// does not know makes Step panic.
type Group struct {
	Params      []*tensor.Tensor
	LR          float64
	WeightDecay *float64
	Momentum    *float64    // of SGD and RMSprop
	Betas       *[2]float64 // of Adam
}

// Groups are an optimizer's parameters. Optimizers embed it, so that its methods
// are theirs.
type Groups []Group

// ZeroGrad forgets the gradients of all parameters: Grad is nil until the next
// Backward, which reuses their memory. Call it before each Backward, as gradients
// add up.
func (gs Groups) ZeroGrad() {
	for _, g := range gs {
		for _, p := range g.Params {
			p.ZeroGrad()
		}
	}
}

// Parameters returns the parameters of all groups.
func (gs Groups) Parameters() []*tensor.Tensor {
	var all []*tensor.Tensor
	for _, g := range gs {
		all = append(all, g.Params...)
	}
	return all
}

// LRs returns the learning rates, one for each group.
func (gs Groups) LRs() []float64 {
	lrs := make([]float64, len(gs))
	for i, g := range gs {
		lrs[i] = g.LR
	}
	return lrs
}

// SetLRs sets the learning rates, one for each group. It panics if their number
// is another.
func (gs Groups) SetLRs(lrs []float64) {
	want(len(lrs) == len(gs), "SetLRs", "got %d learning rates, want %d, one a parameter group", len(lrs), len(gs))
	for i := range gs {
		gs[i].LR = lrs[i]
	}
}

// want panics with a *tensor.Error unless ok.
func want(ok bool, op, format string, args ...any) {
	if !ok {
		panic(&tensor.Error{Op: op, Err: fmt.Errorf(format, args...)})
	}
}

// wantNumber panics unless v is a number, 0 or more.
func wantNumber(op, name string, v float64) {
	if !(v >= 0) || math.IsInf(v, 1) {
		want(false, op, "%s is %v, want a finite number from 0 on", name, v)
	}
}

// wantLR panics unless the learning rate of group i is a number.
func wantLR(op string, i int, lr float64) {
	if !(lr >= 0) || math.IsInf(lr, 1) {
		wantNumber(op, fmt.Sprintf("LR of group %d", i), lr)
	}
}

// newGroups makes the first group of the optimizer that the constructor op makes.
func newGroups(op string, params []*tensor.Tensor, lr float64) Groups {
	want(len(params) > 0, op, "got no parameters, want at least one")
	wantNumber(op, "the learning rate", lr)
	gs := Groups{{Params: slices.Clone(params), LR: lr}}
	gs.check(op)
	return gs
}

// check panics unless all parameters can be optimized and none stands twice, and
// the groups' options are in their ranges.
func (gs Groups) check(op string) {
	seen := make(map[*tensor.Tensor]bool)
	for i, g := range gs {
		wantLR(op, i, g.LR)
		for j, p := range g.Params {
			want(p != nil, op, "parameter %d of group %d is nil", j, i)
			want(!seen[p], op, "parameter %d of group %d, %s, stands twice; list each once (layers.Parameters does)", j, i, describe(p))
			want(p.IsLeaf(), op, "parameter %d of group %d, %s, is the result of %s, want a leaf", j, i, describe(p), nodeOp(p))
			want(p.DType().IsFloat(), op, "parameter %d of group %d is %s, want a floating-point type", j, i, describe(p))
			seen[p] = true
		}
	}
}

func nodeOp(p *tensor.Tensor) string {
	if n := p.Node(); n != nil {
		return n.Op().Name()
	}
	return ""
}

// describe names a parameter in an error.
func describe(p *tensor.Tensor) string {
	s := fmt.Sprintf("%s %v", p.DType(), p.Shape())
	if p.Path() != "" {
		s = p.Path() + " (" + s + ")"
	}
	return s
}

// or returns what p points to, or v if p is nil.
func or[T any](p *T, v T) T {
	if p != nil {
		return *p
	}
	return v
}

// momentumOf returns the momentum of a group that has no betas.
func momentumOf(op string, g *Group, own float64) float64 {
	want(g.Betas == nil, op, "a group has Betas, which only Adam knows")
	m := or(g.Momentum, own)
	wantNumber(op, "Momentum", m)
	return m
}

// weightDecayOf returns the weight decay of a group.
func weightDecayOf(op string, g *Group, own float64) float64 {
	d := or(g.WeightDecay, own)
	wantNumber(op, "WeightDecay", d)
	return d
}

// setMomentum sets the momentum of groups that have one of their own.
func (gs Groups) setMomentum(m float64) {
	for i := range gs {
		if gs[i].Momentum != nil {
			gs[i].Momentum = new(m)
		}
	}
}

// memory is what an optimizer keeps for its parameters.
type memory struct {
	optimizer string   // the optimizer's name
	names     []string // what it keeps, under PyTorch's names
	needed    int      // so many of names are always there after a step
	slots     map[*tensor.Tensor]*slot
	changes   int // that slots got, or a slot's tensors
}

// slot is what is kept for one parameter.
type slot struct {
	steps int              // that the parameter has made
	kept  []*tensor.Tensor // one for each of memory.names, or nil
}

func newMemory(optimizer string, needed int, names ...string) memory {
	return memory{optimizer, names, needed, make(map[*tensor.Tensor]*slot), 0}
}

const byHand = "the optimizer was made without its constructor, want one that NewSGD or its like made"

// batch is parameters that make the same step.
type batch struct {
	memory        *memory
	params, grads []*tensor.Tensor
	slots         []*slot
	key           int
}

// batches returns the parameters of a group that take part in a step, those with
// equal keys together, and counts the step.
func (m *memory) batches(g Group, key func(s *slot) int) []*batch {
	want(m.slots != nil, "Step", byHand)
	var bs []*batch
	for _, p := range g.Params {
		grad := p.Grad()
		if grad == nil || !p.RequiresGrad() {
			continue
		}
		s := m.slots[p]
		if s == nil {
			s = &slot{kept: make([]*tensor.Tensor, len(m.names))}
			m.slots[p] = s
			m.changes++
		}
		s.steps++
		k := key(s)
		i := slices.IndexFunc(bs, func(b *batch) bool { return b.key == k })
		if i < 0 {
			i = len(bs)
			bs = append(bs, &batch{memory: m, key: k})
		}
		b := bs[i]
		b.params, b.grads, b.slots = append(b.params, p), append(b.grads, grad), append(b.slots, s)
	}
	return bs
}

// kept returns what is kept under names[i] for the parameters of the batch, and
// makes what is missing, with all elements v.
func (b *batch) kept(i int, v float64) []*tensor.Tensor {
	list := make([]*tensor.Tensor, len(b.params))
	for j, p := range b.params {
		t := b.slots[j].kept[i]
		was := t
		switch {
		case t == nil:
			t = tensor.FullLike(p, v)
		case t.Device() != p.Device() || t.DType() != p.DType():
			t = tensor.FullLike(p, 0).CopyFrom(t) // the model was moved or converted
		}
		if t != was {
			b.slots[j].kept[i] = t
			b.memory.changes++
		}
		list[j] = t
	}
	return list
}

// step counts a step of all parameters of the batch and returns the number of it.
// It is for steps that are captured, in which batches is not called.
func (b *batch) step() int {
	for _, s := range b.slots {
		s.steps++
	}
	return b.slots[0].steps
}

// fits returns what tells, later, whether Step would do the same with the same
// tensors but for its numbers: the groups hold the same parameters, those of them that
// require a gradient still do, the form is equal, and nothing was made anew of what is
// kept, in the Step that calls this first neither. The form of a group is which
// tensors its parameters need besides. It is for steps that are captured.
func (m *memory) fits(gs *Groups, form func(g *Group) [2]bool) func() bool {
	type group struct {
		params   []*tensor.Tensor
		requires []bool
		form     [2]bool
	}
	groups := make([]group, len(*gs))
	for i := range *gs {
		g := &(*gs)[i]
		requires := make([]bool, len(g.Params))
		for j, p := range g.Params {
			requires[j] = p.RequiresGrad()
		}
		groups[i] = group{slices.Clone(g.Params), requires, form(g)}
	}
	changes := m.changes
	return func() bool {
		if m.changes != changes || len(*gs) != len(groups) {
			return false
		}
		for i := range *gs {
			g, was := &(*gs)[i], &groups[i]
			if form(g) != was.form || !slices.Equal(g.Params, was.params) {
				return false
			}
			for j, p := range g.Params {
				if p.RequiresGrad() != was.requires[j] {
					return false
				}
			}
		}
		return true
	}
}

// State is the numbers of an optimizer's state, which go through JSON; its
// tensors come beside it. It does not hold the optimizer's options: a program
// that resumes makes the same optimizer and loads its state.
type State struct {
	Optimizer string    `json:"optimizer"` // the name of its type
	LRs       []float64 `json:"lrs"`       // one a group
	Params    []int     `json:"params"`    // the number of parameters in each group
	Steps     []int     `json:"steps"`     // how many each parameter has made, group by group
}

// save returns the state. The tensors are the live ones, under names like
// "0.exp_avg": the parameter's number, counted through all groups, and PyTorch's
// name.
func (m *memory) save(gs Groups) (State, iter.Seq2[string, *tensor.Tensor]) {
	want(m.slots != nil, "State", byHand)
	state := State{Optimizer: m.optimizer, LRs: gs.LRs()}
	for i, lr := range state.LRs { // OneCycleLR with straight lines goes below 0 after its last step
		state.LRs[i] = max(lr, 0)
	}
	for _, g := range gs {
		state.Params = append(state.Params, len(g.Params))
		for _, p := range g.Params {
			steps := 0
			if s := m.slots[p]; s != nil {
				steps = s.steps
			}
			state.Steps = append(state.Steps, steps)
		}
	}
	return state, func(yield func(string, *tensor.Tensor) bool) {
		number := 0
		for _, g := range gs {
			for _, p := range g.Params {
				if s := m.slots[p]; s != nil {
					for i, t := range s.kept {
						if t != nil && !yield(strconv.Itoa(number)+"."+m.names[i], t) {
							return
						}
					}
				}
				number++
			}
		}
	}
}

// load copies a state into the optimizer. On error nothing has changed.
func (m *memory) load(gs Groups, state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("optim: "+m.optimizer+": "+format, args...)
	}
	if m.slots == nil {
		return errors.New("optim: " + byHand)
	}
	var params []*tensor.Tensor
	var counts []int
	for _, g := range gs {
		params = append(params, g.Params...)
		counts = append(counts, len(g.Params))
	}
	switch {
	case state.Optimizer != m.optimizer:
		return fail("the state is one of %q", state.Optimizer)
	case !slices.Equal(state.Params, counts):
		return fail("the state is of groups of %v parameters, the optimizer has %v", state.Params, counts)
	case len(state.LRs) != len(gs):
		return fail("the state has %d learning rates for %d groups", len(state.LRs), len(gs))
	case len(state.Steps) != len(params):
		return fail("the state has %d counts of steps for %d parameters", len(state.Steps), len(params))
	}
	for i, lr := range state.LRs {
		if !(lr >= 0) || math.IsInf(lr, 1) {
			return fail("the state's learning rate of group %d is %v, want a finite number from 0 on", i, lr)
		}
	}
	const most = math.MaxInt / 2 // far from where steps, counted on, would overflow
	slots := make(map[*tensor.Tensor]*slot)
	for i, p := range params {
		if n := state.Steps[i]; n < 0 || n > most {
			return fail("the state says that parameter %d has made %d steps, want 0 to %d", i, n, most)
		}
		slots[p] = &slot{state.Steps[i], make([]*tensor.Tensor, len(m.names))}
	}
	if tensors == nil {
		tensors = maps.All(map[string]*tensor.Tensor{})
	}
	for key, t := range tensors {
		number, name, _ := strings.Cut(key, ".")
		i, err := strconv.Atoi(number)
		k := slices.Index(m.names, name)
		if err != nil || i < 0 || i >= len(params) || k < 0 {
			return fail("the state has a tensor %q, want a number below %d and one of %q", key, len(params), m.names)
		}
		p := params[i]
		if t == nil {
			return fail("the state's %q is nil, want %s", key, describe(p))
		}
		if !t.Shape().Equal(p.Shape()) || !t.DType().IsFloat() {
			return fail("the state's %q is %s %v, want %s", key, t.DType(), t.Shape(), describe(p))
		}
		slots[p].kept[k] = tensor.FullLike(p, 0).CopyFrom(t)
	}
	for i, p := range params {
		for k, name := range m.names[:m.needed] {
			if s := slots[p]; s.steps > 0 && s.kept[k] == nil {
				return fail("the state has no tensor %q, though parameter %d has made %d steps", strconv.Itoa(i)+"."+name, i, s.steps)
			}
		}
	}
	m.slots = slots
	m.changes++
	gs.SetLRs(state.LRs)
	return nil
}
