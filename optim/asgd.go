package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// ASGD is averaged stochastic gradient descent: its learning rate decays, and it keeps
// an average of the parameters. PyTorch's learning rate is 0.01. (torch.optim.ASGD)
//
// Source: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging,
// 1992.
type ASGD struct {
	Groups      `json:"-"`
	Lambda      float64 // 1e-4; the decay term, lambd in PyTorch
	Alpha       float64 // 0.75; the power of the learning rate's decay
	T0          float64 // 1e6; the step at which averaging starts
	WeightDecay float64 // 0
	Maximize    bool    // maximize instead of minimize

	memory memory
}

// NewASGD returns an ASGD of one group.
func NewASGD(params []*tensor.Tensor, lr float64) *ASGD {
	return &ASGD{Groups: newGroups("NewASGD", params, lr), Lambda: 1e-4, Alpha: 0.75, T0: 1e6,
		memory: newMemory("ASGD", 1, "ax").with("eta", "mu")}
}

// Step updates the parameters with their gradients.
func (o *ASGD) Step() { o.memory.step(o, &o.Groups) }

func (o *ASGD) rule(s *step) {
	s.wantNumber("Lambda", o.Lambda)
	s.wantNumber("Alpha", o.Alpha)
	s.want(o.T0 == o.T0, "T0 is NaN, want a number of steps")
	// The rate of a step was found by the step before it, and so was the mean's.
	eta, mu := s.scalar("eta"), s.scalar("mu")
	if s.n == 1 {
		*eta, *mu = s.lr(), 1
	}
	w, d := s.param(), s.direction(o.Maximize, s.weightDecay(o.WeightDecay))
	w = w.MulScalar(1 - o.Lambda**eta).Sub(d.MulScalar(*eta))
	s.setParam(w)
	if *mu == 1 {
		s.setState("ax", w)
	} else {
		mean := s.state("ax", 0)
		s.setState("ax", mean.Add(w.Sub(mean).MulScalar(*mu)))
	}
	n := float64(s.n)
	*eta, *mu = s.lr()/math.Pow(1+o.Lambda*s.lr()*n, o.Alpha), 1/max(1, n-o.T0)
}

func (o *ASGD) Config() (name string, settings []byte) { return config("ASGD", *o) }

// State returns the optimizer's state and its live tensors ("0.ax", the
// averaged parameter, and the scalars "0.eta" and "0.mu"), for LoadState.
func (o *ASGD) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *ASGD) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
