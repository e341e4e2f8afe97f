package sched

import (
	"math"
	"slices"
	"sort"
)

// StepLR multiplies the rates by gamma every stepSize epochs.
type StepLR struct{ schedule }

// NewStepLR returns a StepLR (torch.optim.lr_scheduler.StepLR). It panics unless
// stepSize is at least 1 and gamma is finite and not negative.
func NewStepLR(o Optimizer, stepSize int, gamma float64) *StepLR {
	s := &StepLR{newSchedule("StepLR", o)}
	check(stepSize >= 1, s.name, "the step size is %d, want at least 1", stepSize)
	check(finite(gamma), s.name, "gamma is %v, want a finite number from 0 on", gamma)
	s.at = func(epoch, i int) float64 { return s.base[i] * math.Pow(gamma, float64(epoch/stepSize)) }
	s.next = func(epoch, _ int, lr float64) float64 {
		if epoch%stepSize != 0 {
			return lr
		}
		return lr * gamma
	}
	s.StepTo(0)
	return s
}

// MultiStepLR multiplies the rates by gamma when the epoch reaches a milestone, twice
// for one that is listed twice.
type MultiStepLR struct{ schedule }

// NewMultiStepLR returns a MultiStepLR
// (torch.optim.lr_scheduler.MultiStepLR). It panics unless the milestones do not
// decrease and are not negative and gamma is finite and not negative.
func NewMultiStepLR(o Optimizer, milestones []int, gamma float64) *MultiStepLR {
	s := &MultiStepLR{newSchedule("MultiStepLR", o)}
	checkMilestones(s.name, milestones)
	check(finite(gamma), s.name, "gamma is %v, want a finite number from 0 on", gamma)
	milestones = slices.Clone(milestones)
	s.at = func(epoch, i int) float64 {
		return s.base[i] * math.Pow(gamma, float64(sort.SearchInts(milestones, epoch+1)))
	}
	s.next = func(epoch, _ int, lr float64) float64 {
		reached := sort.SearchInts(milestones, epoch+1) - sort.SearchInts(milestones, epoch)
		return lr * math.Pow(gamma, float64(reached))
	}
	s.StepTo(0)
	return s
}

func checkMilestones(name string, milestones []int) {
	for i, m := range milestones {
		check(m >= 0 && (i == 0 || m >= milestones[i-1]), name, "the milestones are %v, want epochs from 0 on that do not decrease", milestones)
	}
}

// ExponentialLR multiplies the rates by gamma every epoch.
type ExponentialLR struct{ schedule }

// NewExponentialLR returns an ExponentialLR
// (torch.optim.lr_scheduler.ExponentialLR). It panics unless gamma is finite and
// not negative.
func NewExponentialLR(o Optimizer, gamma float64) *ExponentialLR {
	s := &ExponentialLR{newSchedule("ExponentialLR", o)}
	check(finite(gamma), s.name, "gamma is %v, want a finite number from 0 on", gamma)
	s.at = func(epoch, i int) float64 { return s.base[i] * math.Pow(gamma, float64(epoch)) }
	s.next = func(_, _ int, lr float64) float64 { return lr * gamma }
	s.StepTo(0)
	return s
}

// ConstantLR multiplies the rates by a factor for the first epochs.
type ConstantLR struct{ schedule }

// NewConstantLR returns a ConstantLR (torch.optim.lr_scheduler.ConstantLR) that
// multiplies by factor before epoch epochs. It panics unless factor is in (0, 1]
// and epochs at least 1. PyTorch's defaults are 1.0/3 and 5.
func NewConstantLR(o Optimizer, factor float64, epochs int) *ConstantLR {
	s := &ConstantLR{newSchedule("ConstantLR", o)}
	check(factor > 0 && factor <= 1, s.name, "the factor is %v, want more than 0 and at most 1", factor)
	check(epochs >= 1, s.name, "the number of epochs is %d, want at least 1", epochs)
	s.at = func(epoch, i int) float64 {
		if epoch < epochs {
			return s.base[i] * factor
		}
		return s.base[i]
	}
	s.next = func(epoch, _ int, lr float64) float64 {
		if epoch != epochs {
			return lr
		}
		return lr * (1 / factor)
	}
	s.StepTo(0)
	return s
}

// LinearLR multiplies the rates by a factor that goes from one number to another
// in the first epochs and stays there: a warm-up.
type LinearLR struct{ schedule }

// NewLinearLR returns a LinearLR (torch.optim.lr_scheduler.LinearLR) whose
// factor goes from start to end in so many epochs. It panics unless start is in
// (0, 1], end in [0, 1] and epochs at least 1. PyTorch's defaults are 1.0/3, 1
// and 5.
func NewLinearLR(o Optimizer, start, end float64, epochs int) *LinearLR {
	s := &LinearLR{newSchedule("LinearLR", o)}
	check(start > 0 && start <= 1, s.name, "the start factor is %v, want more than 0 and at most 1", start)
	check(end >= 0 && end <= 1, s.name, "the end factor is %v, want 0 to 1", end)
	check(epochs >= 1, s.name, "the number of epochs is %d, want at least 1", epochs)
	n := float64(epochs)
	s.at = func(epoch, i int) float64 {
		return s.base[i] * (start + (end-start)*float64(min(epoch, epochs))/n)
	}
	s.next = func(epoch, _ int, lr float64) float64 {
		if epoch > epochs {
			return lr
		}
		return lr * (1 + (end-start)/(n*start+float64(epoch-1)*(end-start)))
	}
	s.StepTo(0)
	return s
}

// CosineAnnealingLR lets the rates fall to EtaMin along half a cosine wave, and
// rise again in the same number of epochs if it goes on.
//
// Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm
// Restarts, 2017 (without the restarts).
type CosineAnnealingLR struct {
	schedule
	// EtaMin is the lowest rate. It may be set before the first step.
	EtaMin float64
}

// NewCosineAnnealingLR returns a CosineAnnealingLR
// (torch.optim.lr_scheduler.CosineAnnealingLR) that reaches the lowest rate at
// epoch epochs, PyTorch's T_max. It panics unless that is at least 1.
func NewCosineAnnealingLR(o Optimizer, epochs int) *CosineAnnealingLR {
	s := &CosineAnnealingLR{schedule: newSchedule("CosineAnnealingLR", o)}
	check(epochs >= 1, s.name, "the number of epochs is %d, want at least 1", epochs)
	n := float64(epochs)
	s.at = func(epoch, i int) float64 {
		eta := s.etaMin()
		return eta + (s.base[i]-eta)*(1+math.Cos(math.Pi*float64(epoch)/n))/2
	}
	s.next = func(epoch, i int, lr float64) float64 {
		eta := s.etaMin()
		if (epoch-1-epochs)%(2*epochs) == 0 { // out of the trough, where the quotient below is 0/0
			return lr + (s.base[i]-eta)*(1-math.Cos(math.Pi/n))/2
		}
		return (1+math.Cos(math.Pi*float64(epoch)/n))/(1+math.Cos(math.Pi*float64(epoch-1)/n))*(lr-eta) + eta
	}
	return s
}

// State returns where the schedule stands. It panics, as Step does, if EtaMin is no
// rate.
func (s *CosineAnnealingLR) State() State {
	s.etaMin()
	return s.schedule.State()
}

func (s *CosineAnnealingLR) etaMin() float64 {
	made(s.optimizer != nil)
	check(finite(s.EtaMin), s.name, "EtaMin is %v, want a finite number from 0 on", s.EtaMin)
	return s.EtaMin
}

// LambdaLR multiplies the rates that it found by a function of the epoch.
type LambdaLR struct{ schedule }

// NewLambdaLR returns a LambdaLR (torch.optim.lr_scheduler.LambdaLR) with one
// function for all groups of parameters, or one for each. It panics if their
// number fits neither, and later if a function gives an infinity or NaN.
func NewLambdaLR(o Optimizer, factor ...func(epoch int) float64) *LambdaLR {
	s := &LambdaLR{newSchedule("LambdaLR", o)}
	factor = slices.Clone(factor)
	s.grown = func(groups int) {
		check(len(factor) == 1 || len(factor) == groups, s.name, "got %d functions, want 1 or %d, one a parameter group", len(factor), groups)
	}
	s.grown(len(s.base))
	for i, f := range factor {
		check(f != nil, s.name, "function %d is nil", i)
	}
	s.at = func(epoch, i int) float64 {
		f := factor[min(i, len(factor)-1)](epoch)
		check(!math.IsNaN(f) && !math.IsInf(f, 0), s.name, "the factor of epoch %d is %v, want a finite number", epoch, f)
		return s.base[i] * f
	}
	s.StepTo(0)
	return s
}
