package sched

import (
	"math"
	"slices"
)

// OneCycleLR lets the rates rise from a small one to the largest and fall to a
// far smaller one, once in a whole training; momentum does the opposite. Its
// step is meant to be called after every batch.
//
// Source: Smith and Topin, Super-Convergence: Very Fast Training of Neural
// Networks Using Large Learning Rates, 2018.
type OneCycleLR struct{ schedule }

// OneCycleOpts are OneCycleLR's options. The zero value stands for PyTorch's
// defaults.
type OneCycleOpts struct {
	MaxLRs         []float64 // the largest rate of each parameter group; nil: NewOneCycleLR's for all
	PctStart       float64   // the part of the steps in which rates rise; 0: 0.3
	Linear         bool      // straight lines, rather than half cosine waves
	NoMomentum     bool      // leave momentum alone
	BaseMomentum   float64   // the lowest momentum; 0: 0.85
	MaxMomentum    float64   // the highest; 0: 0.95
	DivFactor      float64   // the first rate is the largest divided by this; 0: 25
	FinalDivFactor float64   // the last rate is the first divided by this; 0: 10000
	ThreePhase     bool      // fall to the first rate as fast as they rose, then to the last
}

// phase is a part of the cycle, up to the step end.
type phase struct {
	end                      float64
	lr, lrEnd                func(i int) float64
	momentum, momentumTarget float64
}

// NewOneCycleLR returns a OneCycleLR (torch.optim.lr_scheduler.OneCycleLR) over
// totalSteps steps, the number of epochs times that of batches. The rates that
// the optimizer has do not matter. It panics if an option is out of its range,
// or if the optimizer is no [MomentumSetter] and NoMomentum is not set. Stepping
// beyond totalSteps panics.
func NewOneCycleLR(o Optimizer, maxLR float64, totalSteps int, opts OneCycleOpts) *OneCycleLR {
	s := &OneCycleLR{newSchedule("OneCycleLR", o)}
	maxLRs := slices.Clone(opts.MaxLRs)
	s.grown = func(groups int) {
		check(maxLRs == nil || len(maxLRs) == groups, s.name, "got %d MaxLRs, want %d, one a parameter group", len(maxLRs), groups)
	}
	s.grown(len(s.base))
	largest := func(i int) float64 {
		if maxLRs == nil {
			return maxLR
		}
		return maxLRs[i]
	}
	for i := range s.base {
		check(finite(largest(i)), s.name, "the largest rate is %v, want a finite number from 0 on", largest(i))
	}
	check(totalSteps >= 1 && totalSteps <= mostEpochs, s.name, "the number of steps is %d, want 1 to %d", totalSteps, mostEpochs)
	s.most, s.below = totalSteps, opts.Linear // the line goes on for a step, as in PyTorch
	option := func(name string, v, byDefault, most float64) float64 {
		if v == 0 {
			v = byDefault
		}
		check(v > 0 && v <= most, s.name, "%s is %v, want more than 0 and at most %v", name, v, most)
		return v
	}
	pct := option("PctStart", opts.PctStart, 0.3, 1)
	div := option("DivFactor", opts.DivFactor, 25, math.MaxFloat64)
	finalDiv := option("FinalDivFactor", opts.FinalDivFactor, 1e4, math.MaxFloat64)
	low := option("BaseMomentum", opts.BaseMomentum, 0.85, 1)
	high := option("MaxMomentum", opts.MaxMomentum, 0.95, 1)

	first := func(i int) float64 { return largest(i) / div }
	last := func(i int) float64 { return largest(i) / div / finalDiv }
	n := float64(totalSteps)
	phases := []phase{{pct*n - 1, first, largest, high, low}}
	if opts.ThreePhase {
		phases = append(phases, phase{2*pct*n - 2, largest, first, low, high}, phase{n - 1, first, last, high, high})
	} else {
		phases = append(phases, phase{n - 1, largest, last, low, high})
	}
	anneal := func(from, to, part float64) float64 { return to + (from-to)/2*(math.Cos(math.Pi*part)+1) }
	if opts.Linear {
		anneal = func(from, to, part float64) float64 { return (to-from)*part + from }
	}

	// where finds the phase of a step, and the part of it that has passed.
	where := func(step int) (phase, float64) {
		check(step <= totalSteps, s.name, "step %d of %d: make it with as many steps as training has", step, totalSteps)
		start := 0.0
		for i, p := range phases {
			if x := float64(step); x <= p.end || i == len(phases)-1 {
				if p.end == start { // a phase of one step
					return p, 1
				}
				return p, (x - start) / (p.end - start)
			}
			start = p.end
		}
		panic("unreachable")
	}
	s.at = func(step, i int) float64 {
		p, part := where(step)
		return anneal(p.lr(i), p.lrEnd(i), part)
	}
	if !opts.NoMomentum {
		m, ok := o.(MomentumSetter)
		check(ok, s.name, "the optimizer has no SetMomentum; set NoMomentum to leave momentum alone")
		s.momentum = func(step int) {
			p, part := where(step)
			m.SetMomentum(anneal(p.momentum, p.momentumTarget, part))
		}
	}
	s.StepTo(0)
	return s
}
