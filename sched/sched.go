// Package sched changes learning rates while a model is trained, as
// torch.optim.lr_scheduler does, whose rates these schedulers give.
//
// A scheduler reads an optimizer's rates when it is made, sets those of epoch 0,
// and moves on with Step at the end of each epoch:
//
//	scheduler := sched.NewMultiStepLR(optimizer, []int{75, 150}, 0.5)
//	for epoch := range 200 {
//		train(epoch)
//		scheduler.Step()
//	}
//
// StepTo goes straight to an epoch, which is PyTorch's scheduler.step(epoch).
// Step computes each rate from the one before it, so several schedulers on one
// optimizer multiply; StepTo computes from the rates that the scheduler found.
// What is called an epoch here may as well be a batch: OneCycleLR is made for
// that. Groups of parameters that are appended to the optimizer later take part from
// the next step on.
//
// The package knows nothing of tensors. It works through [Optimizer], which is
// any two methods that read and write one rate for each group of parameters.
// Arguments that do not fit panic with an [*Error].
package sched

import (
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/wick-ml/wick/internal/jsonfloat"
)

// Optimizer is what has rates, one for each group of parameters.
type Optimizer interface {
	LRs() []float64
	SetLRs(lrs []float64)
}

// MomentumSetter is an Optimizer whose momentum can be set, for all groups at
// once: of SGD the momentum, of Adam the first of the betas. OneCycleLR cycles
// it.
type MomentumSetter interface {
	Optimizer
	SetMomentum(m float64)
}

// Scheduler is what all schedulers of this package are but ReduceLROnPlateau,
// whose Step takes a metric.
type Scheduler interface {
	// Step goes to the next epoch.
	Step()
	// StepTo goes to an epoch, counted from 0.
	StepTo(epoch int)
	// LastLR returns the rates that were set last, one for each group.
	LastLR() []float64
	// State returns where the schedule stands.
	State() State
	// LoadState goes to where a state stands. On error nothing has changed.
	LoadState(state State) error
}

var _ = []Scheduler{&StepLR{}, &MultiStepLR{}, &ExponentialLR{}, &ConstantLR{}, &LinearLR{}, &CosineAnnealingLR{}, &LambdaLR{}, &OneCycleLR{}, &SequentialLR{}}

// Error says which argument of which scheduler does not fit, and what would.
type Error struct {
	Scheduler string // "StepLR"
	Problem   string
}

func (e *Error) Error() string { return "sched: " + e.Scheduler + ": " + e.Problem }

// Misuse tells tensor.Try that the panic is about what a program was given.
func (e *Error) Misuse() {}

// check panics with an *Error unless ok.
func check(ok bool, scheduler, format string, args ...any) {
	if !ok {
		panic(&Error{scheduler, fmt.Sprintf(format, args...)})
	}
}

// finite reports whether x is a number, 0 or more.
func finite(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// State is where a schedule stands. It goes through JSON without loss. It does
// not hold what a scheduler was made with (gamma, milestones): a program that
// resumes makes the same scheduler and loads its state.
type State struct {
	Scheduler  string        `json:"scheduler"`            // the name of its type
	Epoch      int           `json:"epoch"`                // steps made, or the last StepTo
	BaseLRs    []float64     `json:"base_lrs,omitempty"`   // the rates that the scheduler found when it was made
	LRs        []float64     `json:"lrs"`                  // the optimizer's rates now, which LoadState sets
	Plateau    *PlateauState `json:"plateau,omitempty"`    // of ReduceLROnPlateau
	Schedulers []State       `json:"schedulers,omitempty"` // of SequentialLR
}

// PlateauState is what ReduceLROnPlateau has seen.
type PlateauState struct {
	Best      jsonfloat.Float `json:"best"` // an infinity before the first epoch
	BadEpochs int             `json:"bad_epochs"`
	Cooldown  int             `json:"cooldown"` // epochs of it left
}

// schedule is what the schedulers have in common; each adds its rule.
type schedule struct {
	name      string
	optimizer Optimizer
	epoch     int
	base      []float64 // the rates that the scheduler found
	last      []float64 // the rates that it set
	most      int       // the last epoch, or 0 where there is none
	below     bool      // rates are below 0 after the last epoch

	// at gives group i's rate at an epoch from base, next from the rate lr of
	// the epoch before. Without next, Step uses at.
	at   func(epoch, i int) float64
	next func(epoch, i int, lr float64) float64
	// momentum, where there is one, is told of each epoch after its rates are set.
	momentum func(epoch int)
	// grown, where there is one, panics unless the schedule has rates for so many groups.
	grown func(groups int)
}

func newSchedule(name string, o Optimizer) schedule {
	check(o != nil, name, "the optimizer is nil, want one with parameter groups")
	base := slices.Clone(ratesOf(name, o))
	check(len(base) > 0, name, "the optimizer has no parameter groups, want at least one")
	checkRates(name, base)
	return schedule{name: name, optimizer: o, base: base, last: base}
}

// ratesOf returns the rates of an optimizer that may be a nil pointer.
func ratesOf(name string, o Optimizer) []float64 {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case runtime.Error:
			check(false, name, "the optimizer (%T) has no learning rates to read (%v), want one that a constructor made", o, e)
		default:
			panic(e)
		}
	}()
	return o.LRs()
}

// made panics unless a scheduler came from its constructor.
func made(ok bool) {
	check(ok, "a scheduler", "it has nothing in it, want one that NewStepLR or its like made")
}

// Step goes to the next epoch: call it at the end of each.
func (s *schedule) Step() {
	lrs := s.rates()
	for i, lr := range lrs {
		if s.next != nil {
			lrs[i] = s.next(s.epoch+1, i, lr)
		} else {
			lrs[i] = s.at(s.epoch+1, i)
		}
	}
	s.set(s.epoch+1, lrs)
}

// StepTo goes to an epoch, counted from 0, forwards or backwards: PyTorch's
// step(epoch). It panics if epoch is negative.
func (s *schedule) StepTo(epoch int) {
	made(s.optimizer != nil)
	check(epoch >= 0 && epoch <= mostEpochs, s.name, "StepTo got epoch %d, want 0 to %d", epoch, mostEpochs)
	lrs := s.rates()
	for i := range lrs {
		lrs[i] = s.at(epoch, i)
	}
	s.set(epoch, lrs)
}

// rates returns a copy of the optimizer's rates. Of groups that are new it notes
// what it finds.
func (s *schedule) rates() []float64 {
	made(s.optimizer != nil)
	lrs := slices.Clone(s.optimizer.LRs())
	check(len(lrs) >= len(s.base), s.name, "the optimizer has %d parameter groups, had %d when the scheduler was made", len(lrs), len(s.base))
	if len(lrs) > len(s.base) {
		checkRates(s.name, lrs)
		if s.grown != nil {
			s.grown(len(lrs))
		}
		s.base = append(slices.Clip(s.base), lrs[len(s.base):]...)
	}
	return lrs
}

func checkRates(name string, lrs []float64) {
	for i, lr := range lrs {
		check(finite(lr), name, "the learning rate of group %d is %v, want a finite number from 0 on", i, lr)
	}
}

func (s *schedule) set(epoch int, lrs []float64) {
	s.epoch, s.last = epoch, lrs
	s.optimizer.SetLRs(slices.Clone(lrs))
	if s.momentum != nil {
		s.momentum(epoch)
	}
}

// LastLR returns the rates that were set last, one for each group.
func (s *schedule) LastLR() []float64 { return slices.Clone(s.last) }

// State returns where the schedule stands.
func (s *schedule) State() State {
	lrs := s.rates()
	return State{Scheduler: s.name, Epoch: s.epoch, BaseLRs: slices.Clone(s.base), LRs: lrs}
}

// LoadState goes to where a state stands and sets the optimizer's rates. On
// error, because the state is another scheduler's or of another number of groups,
// or has a rate or an epoch that cannot be, nothing has changed.
func (s *schedule) LoadState(state State) error {
	groups := len(s.rates())
	if err := state.fits(s.name, groups); err != nil {
		return err
	}
	switch {
	case len(state.BaseLRs) != groups:
		return fmt.Errorf("sched: %s: the state has %d base rates, want %d, one a parameter group", s.name, len(state.BaseLRs), groups)
	case s.most > 0 && state.Epoch > s.most:
		return fmt.Errorf("sched: %s: the state is at step %d of %d: make the scheduler with as many steps as training has", s.name, state.Epoch, s.most)
	}
	if err := ratesFit(s.name, "base rate", state.BaseLRs, 0); err != nil {
		return err
	}
	least := 0.0
	if s.below {
		least = -math.MaxFloat64
	}
	if err := ratesFit(s.name, "rate", state.LRs, least); err != nil {
		return err
	}
	s.base = slices.Clone(state.BaseLRs)
	s.set(state.Epoch, slices.Clone(state.LRs))
	return nil
}

// fits says why a state is not one of a scheduler for so many groups.
func (s State) fits(name string, groups int) error {
	switch {
	case s.Scheduler != name:
		return fmt.Errorf("sched: %s: the state is one of %q", name, s.Scheduler)
	case s.Epoch < 0 || s.Epoch > mostEpochs:
		return fmt.Errorf("sched: %s: the state is at epoch %d, want 0 to %d", name, s.Epoch, mostEpochs)
	case len(s.LRs) != groups:
		return fmt.Errorf("sched: %s: the state has %d rates, want %d, one a parameter group", name, len(s.LRs), groups)
	}
	return nil
}

// mostEpochs is far from where epochs, counted on, would overflow.
const mostEpochs = math.MaxInt / 2

// ratesFit says which of a state's rates is none.
func ratesFit(name, what string, lrs []float64, least float64) error {
	for i, lr := range lrs {
		if !(lr >= least) || math.IsInf(lr, 1) {
			return fmt.Errorf("sched: %s: the state's %s of group %d is %v, want a finite number from 0 on", name, what, i, lr)
		}
	}
	return nil
}
