package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// NAdam is Adam with Nesterov's momentum. PyTorch's learning rate is 0.002.
// (torch.optim.NAdam)
//
// Source: Dozat, Incorporating Nesterov Momentum into Adam, 2016.
type NAdam struct {
	Groups               `json:"-"`
	Betas                [2]float64 // 0.9 and 0.999
	Eps                  float64    // 1e-8
	WeightDecay          float64    // 0
	MomentumDecay        float64    // 0.004; how fast the momentum grows to its full size
	DecoupledWeightDecay bool       // decay the weights, not the gradient (AdamW)
	Maximize             bool       // maximize instead of minimize

	memory memory
}

// NewNAdam returns an NAdam of one group.
func NewNAdam(params []*tensor.Tensor, lr float64) *NAdam {
	return &NAdam{Groups: newGroups("NewNAdam", params, lr), Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, MomentumDecay: 4e-3,
		memory: newMemory("NAdam", 2, "exp_avg", "exp_avg_sq").with("mu_product")}
}

// Step updates the parameters with their gradients.
func (o *NAdam) Step() { o.memory.step(o, &o.Groups) }

func (o *NAdam) rule(s *step) {
	beta1, beta2 := s.betas(o.Betas)
	decay := s.weightDecay(o.WeightDecay)
	s.wantNumber("Eps", o.Eps)
	s.wantNumber("MomentumDecay", o.MomentumDecay)
	w := s.param()
	if o.DecoupledWeightDecay && decay != 0 {
		w, decay = w.MulScalar(1-s.lr()*decay), 0
	}
	d := s.direction(o.Maximize, decay)
	m := s.state("exp_avg", 0).Lerp(d, 1-beta1)
	v := s.state("exp_avg_sq", 0).MulScalar(beta2).Add(d.MulScalar(1 - beta2).Mul(d))
	s.setState("exp_avg", m)
	s.setState("exp_avg_sq", v)

	mu := func(n int) float64 { return beta1 * (1 - 0.5*math.Pow(0.96, float64(n)*o.MomentumDecay)) }
	product := s.scalar("mu_product") // of the momentums so far
	if s.n == 1 {
		*product = 1
	}
	*product *= mu(s.n)
	size := v.DivScalar(1 - math.Pow(beta2, float64(s.n))).Sqrt().AddScalar(o.Eps)
	ahead := mu(s.n + 1)
	s.setParam(w.Sub(d.MulScalar(s.lr() * (1 - mu(s.n)) / (1 - *product)).Div(size)).
		Sub(m.MulScalar(s.lr() * ahead / (1 - *product*ahead)).Div(size)))
}

func (o *NAdam) Config() (name string, settings []byte) { return config("NAdam", *o) }

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *NAdam) SetMomentum(m float64) { o.Betas = o.setBeta1(o.Betas, m) }

// State returns the optimizer's state and its live tensors ("0.exp_avg",
// "0.exp_avg_sq" and the number "0.mu_product"), for LoadState.
func (o *NAdam) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *NAdam) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
