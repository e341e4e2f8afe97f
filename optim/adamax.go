package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// Adamax is Adam with the largest magnitude of past gradients in the place of their
// second moment. PyTorch's learning rate is 0.002. (torch.optim.Adamax)
//
// Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015.
type Adamax struct {
	Groups      `json:"-"`
	Betas       [2]float64 // 0.9 and 0.999
	Eps         float64    // 1e-8
	WeightDecay float64    // 0
	Maximize    bool       // maximize instead of minimize

	memory memory
}

// NewAdamax returns an Adamax of one group.
func NewAdamax(params []*tensor.Tensor, lr float64) *Adamax {
	return &Adamax{Groups: newGroups("NewAdamax", params, lr), Betas: [2]float64{0.9, 0.999}, Eps: 1e-8,
		memory: newMemory("Adamax", 2, "exp_avg", "exp_inf")}
}

// Step updates the parameters with their gradients.
func (o *Adamax) Step() { o.memory.step(o, &o.Groups) }

func (o *Adamax) rule(s *step) {
	beta1, beta2 := s.betas(o.Betas)
	s.wantNumber("Eps", o.Eps)
	w, d := s.param(), s.direction(o.Maximize, s.weightDecay(o.WeightDecay))
	m := s.state("exp_avg", 0).Lerp(d, 1-beta1)
	largest := s.state("exp_inf", 0).MulScalar(beta2).Maximum(d.Abs().AddScalar(o.Eps))
	s.setState("exp_avg", m)
	s.setState("exp_inf", largest)
	s.setParam(w.Sub(m.MulScalar(s.lr() / (1 - math.Pow(beta1, float64(s.n)))).Div(largest)))
}

func (o *Adamax) Config() (name string, settings []byte) { return config("Adamax", *o) }

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *Adamax) SetMomentum(m float64) { o.Betas = o.setBeta1(o.Betas, m) }

// State returns the optimizer's state and its live tensors ("0.exp_avg",
// "0.exp_inf"), for LoadState.
func (o *Adamax) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Adamax) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
