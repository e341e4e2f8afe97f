// Package optim provides the optimizers of torch.optim, clipping of gradients, and the
// GradScaler of mixed precision.
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
// optimizers' Step part of it; later steps use the learning rates and the other
// hyperparameters that the fields hold at that time, and are counted like any other.
//
// Step skips parameters that have no gradient or do not require one. The state that
// an optimizer keeps for a parameter (such as its momentum) is created at the
// parameter's first step, lives as long as the parameter, and follows it to another
// device or type.
//
// Invalid arguments (a learning rate that is NaN, a parameter that is listed twice)
// panic with a [*tensor.Error].
package optim

import (
	"encoding/json"
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
	// Step updates the parameters with their gradients.
	Step()
	// ZeroGrad clears the gradients; see [Groups.ZeroGrad].
	ZeroGrad()
	// LRs returns the learning rates, one for each group of parameters.
	LRs() []float64
	// SetLRs sets them.
	SetLRs(lrs []float64)
}

// Configurer is an optimizer that describes itself: Config returns its name and its
// settings, which are a JSON object. All optimizers of this package do, and the records
// of package trainer hold what they say.
type Configurer interface {
	Config() (name string, settings []byte)
}

// config is what Config of most optimizers returns: the exported fields, but for the
// groups. Settings with which Step would panic may be no JSON; they are a string then,
// which says so.
func config[C any](name string, c C) (string, []byte) {
	b, err := json.Marshal(c)
	if err != nil {
		b, _ = json.Marshal(err.Error())
	}
	return name, b
}

// Group is a list of parameters with one learning rate. Its other fields override the
// optimizer's options; nil overrides nothing. Step panics if a group overrides an
// option that the optimizer does not have.
type Group struct {
	Params      []*tensor.Tensor
	LR          float64
	WeightDecay *float64
	Momentum    *float64    // for optimizers with a field of this name
	Betas       *[2]float64 // for optimizers with a field of this name
}

// Groups are an optimizer's parameters. Optimizers embed it, so that its methods
// are theirs.
type Groups []Group

// ZeroGrad clears the gradients of all parameters: Grad is nil until the next
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

// SetLRs sets the learning rates, one for each group. It panics unless
// there is one for each group.
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

// wantNumber panics unless v is finite and 0 or more.
func wantNumber(op, name string, v float64) {
	if !(v >= 0) || math.IsInf(v, 1) {
		want(false, op, "%s is %v, want a finite number from 0 on", name, v)
	}
}

// wantLR panics unless the learning rate of group i is finite and 0 or more.
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

// check panics unless all parameters can be optimized and none is listed twice, and
// the groups' options are in their ranges.
func (gs Groups) check(op string) {
	seen := make(map[*tensor.Tensor]bool)
	for i, g := range gs {
		wantLR(op, i, g.LR)
		for j, p := range g.Params {
			switch {
			case p == nil:
				want(false, op, "parameter %d of group %d is nil", j, i)
			case seen[p]:
				want(false, op, "parameter %d of group %d, %s, is listed twice; list each once (layers.Parameters does)", j, i, describe(p))
			case !p.IsLeaf():
				want(false, op, "parameter %d of group %d, %s, is the result of %s, want a leaf", j, i, describe(p), nodeOp(p))
			case !p.DType().IsFloat():
				want(false, op, "parameter %d of group %d is %s, want a floating-point type", j, i, describe(p))
			}
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

// setMomentum sets the momentum of groups that override it.
func (gs Groups) setMomentum(m float64) {
	for i := range gs {
		if gs[i].Momentum != nil {
			gs[i].Momentum = new(m)
		}
	}
}

// setBeta1 sets the first of the betas of groups that override them, and returns
// betas with it set.
func (gs Groups) setBeta1(betas [2]float64, m float64) [2]float64 {
	for i, g := range gs {
		if g.Betas != nil {
			gs[i].Betas = &[2]float64{m, g.Betas[1]}
		}
	}
	return [2]float64{m, betas[1]}
}

// State is an optimizer's state but for its tensors, which are returned beside it.
// It can be written as JSON. It does not hold the optimizer's options: a program that
// resumes makes the same optimizer and loads its state.
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
					for i, v := range s.scalars {
						if !yield(strconv.Itoa(number)+"."+m.scalars[i], tensor.From([]float64{v}).Reshape()) {
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
	fail := m.fail
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
		slots[p] = &slot{steps: state.Steps[i], kept: make([]*tensor.Tensor, len(m.names))}
	}
	if err := m.fill(slots, params, tensors); err != nil {
		return err
	}
	for i, p := range params {
		for k, name := range m.names[:m.needed] {
			if s := slots[p]; s.steps > 0 && s.kept[k] == nil {
				return fail("the state has no tensor %q, though parameter %d has made %d steps", strconv.Itoa(i)+"."+name, i, s.steps)
			}
		}
		for k, name := range m.scalars {
			if s := slots[p]; s.steps > 0 && (s.scalars == nil || s.scalars[k] != s.scalars[k]) {
				return fail("the state has no number %q, though parameter %d has made %d steps", strconv.Itoa(i)+"."+name, i, s.steps)
			}
		}
	}
	m.slots = slots
	m.changes++
	gs.SetLRs(state.LRs)
	return nil
}

// fail returns an error that names the optimizer.
func (m *memory) fail(format string, args ...any) error {
	return fmt.Errorf("optim: "+m.optimizer+": "+format, args...)
}

// fill copies the tensors of a state into slots, which has one for each parameter.
func (m *memory) fill(slots map[*tensor.Tensor]*slot, params []*tensor.Tensor, tensors iter.Seq2[string, *tensor.Tensor]) error {
	if tensors == nil {
		tensors = maps.All(map[string]*tensor.Tensor{})
	}
	for key, t := range tensors {
		number, name, _ := strings.Cut(key, ".")
		i, err := strconv.Atoi(number)
		k := slices.Index(m.names, name)
		scalar := slices.Index(m.scalars, name)
		if err != nil || i < 0 || i >= len(params) || k < 0 && scalar < 0 {
			return m.fail("the state has a tensor %q, want a number below %d and one of %q", key, len(params), slices.Concat(m.names, m.scalars))
		}
		p := params[i]
		if t == nil {
			return m.fail("the state's %q is nil, want %s", key, describe(p))
		}
		if scalar >= 0 {
			if t.Len() != 1 || !t.DType().IsFloat() {
				return m.fail("the state's %q is %s %v, want a single number", key, t.DType(), t.Shape())
			}
			s := slots[p]
			if s.scalars == nil {
				s.scalars = slices.Repeat([]float64{math.NaN()}, len(m.scalars))
			}
			s.scalars[scalar] = t.Float64s()[0]
			continue
		}
		if !t.Shape().Equal(p.Shape()) || !t.DType().IsFloat() {
			return m.fail("the state's %q is %s %v, want %s", key, t.DType(), t.Shape(), describe(p))
		}
		slots[p].kept[k] = tensor.FullLike(p, 0).CopyFrom(t)
	}
	return nil
}
