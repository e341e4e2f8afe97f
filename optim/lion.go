package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// Lion moves each element by the sign of a mean of its gradients only, so that all
// move by the learning rate. It wants a learning rate of a third to a tenth of Adam's,
// and a weight decay as many times larger; the authors' rate is 1e-4.
//
// Source: Chen et al., Symbolic Discovery of Optimization Algorithms, 2023, and its
// reference implementation (github.com/google/automl/lion).
type Lion struct {
	Groups      `json:"-"`
	Betas       [2]float64 // 0.9 and 0.99; of the mean whose sign is taken, and of the one that is kept
	WeightDecay float64    // 0; of the weights themselves
	Maximize    bool       // maximize instead of minimize

	memory memory
}

// NewLion returns a Lion of one group.
func NewLion(params []*tensor.Tensor, lr float64) *Lion {
	return &Lion{Groups: newGroups("NewLion", params, lr), Betas: [2]float64{0.9, 0.99}, memory: newMemory("Lion", 1, "exp_avg")}
}

// Step updates the parameters with their gradients.
func (o *Lion) Step() { o.memory.step(o, &o.Groups) }

func (o *Lion) rule(s *step) {
	beta1, beta2 := s.betas(o.Betas)
	w, d, m := s.param(), s.direction(o.Maximize, 0), s.state("exp_avg", 0)
	if decay := s.weightDecay(o.WeightDecay); decay != 0 {
		w = w.MulScalar(1 - s.lr()*decay)
	}
	update := m.MulScalar(beta1).Add(d.MulScalar(1 - beta1)).Sign()
	s.setParam(w.Sub(update.MulScalar(s.lr())))
	s.setState("exp_avg", m.MulScalar(beta2).Add(d.MulScalar(1-beta2)))
}

func (o *Lion) Config() (name string, settings []byte) { return config("Lion", *o) }

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *Lion) SetMomentum(m float64) { o.Betas = o.setBeta1(o.Betas, m) }

// State returns the optimizer's state and its live tensors ("0.exp_avg"), for LoadState.
func (o *Lion) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Lion) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
