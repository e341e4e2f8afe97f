package trainer

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// mostSteps are the steps of a schedule that are looked at before a run.
const mostSteps = 1 << 20

// checkSchedule goes through what is left of the schedule and back, so that one that
// ends too early, or comes to a rate that is none, is an error before the first step
// and not in the middle of the run.
func (f *fit) checkSchedule() error {
	var s sched.Scheduler
	switch f.Scheduler.(type) { // not a user's, whose Step may do anything
	case *sched.StepLR, *sched.MultiStepLR, *sched.ExponentialLR, *sched.ConstantLR, *sched.LinearLR, *sched.CosineAnnealingLR, *sched.LambdaLR, *sched.OneCycleLR, *sched.SequentialLR:
		s = f.Scheduler.(sched.Scheduler)
	}
	if s == nil || f.DryRun {
		return nil
	}
	what, left := "epochs", f.Epochs-f.Epoch
	if f.SchedulerEachStep {
		what = "steps"
		each := (f.Train.Len() + f.Accumulate - 1) / f.Accumulate
		left = left*each - f.Batch/f.Accumulate
	}
	before := s.State()
	wrong := tensor.Try(func() {
		for n := 0; n < min(left, mostSteps); n++ {
			s.Step()
			for i, lr := range f.Optimizer.LRs() {
				// No step is made with the last, where OneCycleLR is beyond its end, as PyTorch's.
				if n < left-1 && (!(lr >= 0) || math.IsInf(lr, 1)) {
					panic(&sched.Error{Scheduler: before.Scheduler, Problem: fmt.Sprintf("the rate of group %d is %v after %d %s, want a finite number from 0 on", i, lr, before.Epoch+n+1, what)})
				}
			}
		}
	})
	if err := s.LoadState(before); err != nil {
		return fmt.Errorf("trainer: the Scheduler does not take its own state: %w", err)
	}
	if wrong != nil {
		return fmt.Errorf("trainer: the Scheduler does not go through the %d %s that the run has left: %w", left, what, wrong)
	}
	return nil
}
