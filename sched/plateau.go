package sched

import (
	"fmt"
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/jsonfloat"
)

// Mode says which way a metric is to go.
type Mode uint8

// Min is for metrics that are to fall, such as a loss, Max for those that are to
// rise, such as accuracy.
const (
	Min Mode = iota
	Max
)

// ThresholdMode says how ReduceLROnPlateau's Threshold is meant.
type ThresholdMode uint8

// Rel: better than the best by the part Threshold of it. Abs: better by
// Threshold.
const (
	Rel ThresholdMode = iota
	Abs
)

// ReduceLROnPlateau multiplies the rates by Factor when a metric has not become
// better for more than Patience epochs. Its fields may be set before the first
// step.
type ReduceLROnPlateau struct {
	Factor        float64       // below 1; NewReduceLROnPlateau sets 0.1
	Patience      int           // how many epochs without improvement are let pass; NewReduceLROnPlateau sets 10
	Threshold     float64       // what counts as better; NewReduceLROnPlateau sets 1e-4
	ThresholdMode ThresholdMode // how Threshold is meant; Rel
	Cooldown      int           // epochs after a reduction in which nothing is counted; 0
	MinLR         float64       // rates do not go below this; 0
	MinLRs        []float64     // nor these, one a parameter group, in place of MinLR where not nil
	Eps           float64       // a reduction by no more than this is not made; NewReduceLROnPlateau sets 1e-8

	mode      Mode
	optimizer Optimizer
	epoch     int
	last      []float64
	seen      PlateauState
}

// NewReduceLROnPlateau returns a ReduceLROnPlateau
// (torch.optim.lr_scheduler.ReduceLROnPlateau) with PyTorch's defaults.
func NewReduceLROnPlateau(o Optimizer, mode Mode) *ReduceLROnPlateau {
	s := newSchedule("ReduceLROnPlateau", o)
	check(mode <= Max, s.name, "the mode is %d, want Min or Max", mode)
	best := jsonfloat.Float(math.Inf(1))
	if mode == Max {
		best = -best
	}
	return &ReduceLROnPlateau{
		Factor: 0.1, Patience: 10, Threshold: 1e-4, Eps: 1e-8,
		mode: mode, optimizer: o, last: s.base, seen: PlateauState{Best: best},
	}
}

// Step takes the metric of the epoch that is over: the loss on the test set, for
// example. NaN counts as not better. It panics if a field is out of its range.
func (s *ReduceLROnPlateau) Step(metric float64) {
	lrs := s.rates()
	s.epoch++
	if s.better(metric) {
		s.seen.Best = jsonfloat.Float(metric)
		s.seen.BadEpochs = 0
	} else {
		s.seen.BadEpochs++
	}
	if s.seen.Cooldown > 0 {
		s.seen.Cooldown--
		s.seen.BadEpochs = 0
	}
	if s.seen.BadEpochs > s.Patience {
		for i, lr := range lrs {
			least := s.MinLR
			if s.MinLRs != nil {
				least = s.MinLRs[i]
			}
			if to := max(lr*s.Factor, least); lr-to > s.Eps {
				lrs[i] = to
			}
		}
		s.optimizer.SetLRs(slices.Clone(lrs))
		s.seen.Cooldown = s.Cooldown
		s.seen.BadEpochs = 0
	}
	s.last = lrs
}

// rates returns a copy of the optimizer's rates, and panics if a field is out of its
// range.
func (s *ReduceLROnPlateau) rates() []float64 {
	const name = "ReduceLROnPlateau"
	made(s.optimizer != nil)
	check(finite(s.Factor) && s.Factor < 1, name, "Factor is %v, want 0 or more and less than 1", s.Factor)
	check(finite(s.Threshold), name, "Threshold is %v, want a finite number from 0 on", s.Threshold)
	check(finite(s.Eps), name, "Eps is %v, want a finite number from 0 on", s.Eps)
	check(s.Patience >= 0 && s.Cooldown >= 0, name, "Patience is %d and Cooldown %d, want 0 or more", s.Patience, s.Cooldown)
	check(s.ThresholdMode <= Abs, name, "ThresholdMode is %d, want Rel or Abs", s.ThresholdMode)
	lrs := slices.Clone(s.optimizer.LRs())
	check(s.MinLRs == nil || len(s.MinLRs) == len(lrs), name, "got %d MinLRs, want %d, one a parameter group", len(s.MinLRs), len(lrs))
	for _, least := range append(slices.Clone(s.MinLRs), s.MinLR) {
		check(finite(least), name, "the least rate is %v, want a finite number from 0 on", least)
	}
	return lrs
}

func (s *ReduceLROnPlateau) better(metric float64) bool {
	best := float64(s.seen.Best)
	switch {
	case s.mode == Min && s.ThresholdMode == Rel:
		return metric < best*(1-s.Threshold)
	case s.mode == Min:
		return metric < best-s.Threshold
	case s.ThresholdMode == Rel:
		return metric > best*(s.Threshold+1)
	default:
		return metric > best+s.Threshold
	}
}

// LastLR returns the rates after the last step, one for each group.
func (s *ReduceLROnPlateau) LastLR() []float64 { return slices.Clone(s.last) }

// State returns what the scheduler has seen. It panics, as Step does, if a field is
// out of its range.
func (s *ReduceLROnPlateau) State() State {
	seen := s.seen
	return State{Scheduler: "ReduceLROnPlateau", Epoch: s.epoch, LRs: s.rates(), Plateau: &seen}
}

// LoadState goes to where a state stands and sets the optimizer's rates. On
// error, because the state is another scheduler's or of another number of
// groups, nothing has changed.
func (s *ReduceLROnPlateau) LoadState(state State) error {
	made(s.optimizer != nil)
	if err := state.fits("ReduceLROnPlateau", len(s.optimizer.LRs())); err != nil {
		return err
	}
	if err := ratesFit("ReduceLROnPlateau", "rate", state.LRs, 0); err != nil {
		return err
	}
	switch p := state.Plateau; {
	case p == nil:
		return fmt.Errorf("sched: ReduceLROnPlateau: the state does not say what has been seen, want its field Plateau")
	case min(p.BadEpochs, p.Cooldown) < 0 || max(p.BadEpochs, p.Cooldown) > mostEpochs:
		return fmt.Errorf("sched: ReduceLROnPlateau: the state has %d bad epochs and %d of cooldown, want 0 to %d", p.BadEpochs, p.Cooldown, mostEpochs)
	}
	s.epoch, s.seen, s.last = state.Epoch, *state.Plateau, slices.Clone(state.LRs)
	s.optimizer.SetLRs(slices.Clone(state.LRs))
	return nil
}
