package sched

import (
	"fmt"
	"slices"
	"sort"
)

// SequentialLR follows one scheduler after the other, each from its own epoch 0.
type SequentialLR struct {
	optimizer  Optimizer
	milestones []int
	schedulers []Scheduler
	epoch      int
}

// NewSequentialLR returns a SequentialLR
// (torch.optim.lr_scheduler.SequentialLR). Scheduler i+1 takes over at epoch
// milestones[i]: of two that are equal the second wins, and after one at 0 the first
// scheduler has no turn. The schedulers are given as functions that make them, since
// all are to find the rates that the optimizer has now, and a scheduler changes them
// when it is made. It panics unless there is one function more than milestones
// and these are not negative and do not decrease.
func NewSequentialLR(o Optimizer, milestones []int, makers ...func(Optimizer) Scheduler) *SequentialLR {
	start := newSchedule("SequentialLR", o)
	checkMilestones(start.name, milestones)
	check(len(makers) == len(milestones)+1, start.name, "got %d schedulers and %d milestones, want one scheduler more than milestones", len(makers), len(milestones))
	s := &SequentialLR{optimizer: o, milestones: slices.Clone(milestones), schedulers: make([]Scheduler, len(makers))}
	begin := func(i int) {
		check(makers[i] != nil, start.name, "the function that makes scheduler %d is nil", i)
		o.SetLRs(slices.Clone(start.base))
		s.schedulers[i] = makers[i](o)
		check(s.schedulers[i] != nil, start.name, "scheduler %d is nil", i)
	}
	turn := sort.SearchInts(s.milestones, 1)
	for i := range makers {
		if i != turn {
			begin(i)
		}
	}
	begin(turn) // last, so that its rates stay
	return s
}

// at returns the scheduler of an epoch and the epoch that it takes over.
func (s *SequentialLR) at(epoch int) (Scheduler, int) {
	made(s.optimizer != nil)
	i := sort.SearchInts(s.milestones, epoch+1)
	if i == 0 {
		return s.schedulers[0], 0
	}
	return s.schedulers[i], s.milestones[i-1]
}

// Step goes to the next epoch: call it at the end of each.
func (s *SequentialLR) Step() {
	s.epoch++
	scheduler, from := s.at(s.epoch)
	if from == s.epoch {
		scheduler.StepTo(0)
	} else {
		scheduler.Step()
	}
}

// StepTo goes to an epoch, counted from 0, forwards or backwards. It panics if
// epoch is negative.
func (s *SequentialLR) StepTo(epoch int) {
	check(epoch >= 0 && epoch <= mostEpochs, "SequentialLR", "StepTo got epoch %d, want 0 to %d", epoch, mostEpochs)
	s.epoch = epoch
	scheduler, from := s.at(epoch)
	scheduler.StepTo(epoch - from)
}

// LastLR returns the rates that were set last, one for each group.
func (s *SequentialLR) LastLR() []float64 {
	scheduler, _ := s.at(s.epoch)
	return scheduler.LastLR()
}

// State returns where the schedule stands, and its schedulers.
func (s *SequentialLR) State() State {
	made(s.optimizer != nil)
	state := State{Scheduler: "SequentialLR", Epoch: s.epoch, LRs: slices.Clone(s.optimizer.LRs())}
	for _, scheduler := range s.schedulers {
		state.Schedulers = append(state.Schedulers, scheduler.State())
	}
	return state
}

// LoadState goes to where a state stands and sets the optimizer's rates. On
// error, because the state is another scheduler's or of another number of groups
// or schedulers, nothing has changed.
func (s *SequentialLR) LoadState(state State) error {
	made(s.optimizer != nil)
	if err := state.fits("SequentialLR", len(s.optimizer.LRs())); err != nil {
		return err
	}
	if err := ratesFit("SequentialLR", "rate", state.LRs, 0); err != nil {
		return err
	}
	if len(state.Schedulers) != len(s.schedulers) {
		return fmt.Errorf("sched: SequentialLR: the state has %d schedulers, want %d", len(state.Schedulers), len(s.schedulers))
	}
	before := s.State()
	for i, scheduler := range s.schedulers {
		if err := scheduler.LoadState(state.Schedulers[i]); err != nil {
			s.load(before, i)
			return fmt.Errorf("scheduler %d of SequentialLR: %w", i, err)
		}
	}
	s.load(state, len(s.schedulers))
	return nil
}

// load loads the first n schedulers' states, which are known to fit, and last
// the state of the one whose turn it is, so that its rates and momentum are set.
func (s *SequentialLR) load(state State, n int) {
	s.epoch = state.Epoch
	turn := sort.SearchInts(s.milestones, s.epoch+1)
	for i := range n {
		_ = s.schedulers[i].LoadState(state.Schedulers[i])
	}
	_ = s.schedulers[turn].LoadState(state.Schedulers[turn])
	s.optimizer.SetLRs(slices.Clone(state.LRs))
}
