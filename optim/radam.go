package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// RAdam is Adam that leaves out its second moment until enough gradients have been
// seen, and corrects for its variance then: it needs no warmup. PyTorch's learning rate
// is 0.001. (torch.optim.RAdam)
//
// Source: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020.
type RAdam struct {
	Groups               `json:"-"`
	Betas                [2]float64 // 0.9 and 0.999
	Eps                  float64    // 1e-8
	WeightDecay          float64    // 0
	DecoupledWeightDecay bool       // decay the weights, not the gradient (AdamW)
	Maximize             bool       // maximize instead of minimize

	memory memory
}

// NewRAdam returns an RAdam of one group.
func NewRAdam(params []*tensor.Tensor, lr float64) *RAdam {
	return &RAdam{Groups: newGroups("NewRAdam", params, lr), Betas: [2]float64{0.9, 0.999}, Eps: 1e-8,
		memory: newMemory("RAdam", 2, "exp_avg", "exp_avg_sq")}
}

// Step updates the parameters with their gradients.
func (o *RAdam) Step() { o.memory.step(o, &o.Groups) }

func (o *RAdam) rule(s *step) {
	beta1, beta2 := s.betas(o.Betas)
	decay := s.weightDecay(o.WeightDecay)
	s.wantNumber("Eps", o.Eps)
	w := s.param()
	if o.DecoupledWeightDecay && decay != 0 {
		w, decay = w.MulScalar(1-s.lr()*decay), 0
	}
	d := s.direction(o.Maximize, decay)
	m := s.state("exp_avg", 0).Lerp(d, 1-beta1)
	v := s.state("exp_avg_sq", 0).MulScalar(beta2).Add(d.MulScalar(1 - beta2).Mul(d))
	s.setState("exp_avg", m)
	s.setState("exp_avg_sq", v)

	n := float64(s.n)
	lr := s.lr() / (1 - math.Pow(beta1, n))
	correction := 1 - math.Pow(beta2, n)
	// How many gradients the second moment is worth, in the end and now.
	most := 2/(1-beta2) - 1
	now := most - 2*n*math.Pow(beta2, n)/correction
	adaptive, size := 0.0, s.number(1) // of numbers, so that the rule stays the same
	if now > 5 {
		adaptive = 1
		lr *= math.Sqrt(correction) * math.Sqrt((now-4)*(now-2)*most/((most-4)*(most-2)*now))
	}
	size = s.number(adaptive).Where(v.Sqrt().AddScalar(o.Eps), size)
	s.setParam(w.Sub(m.MulScalar(lr).Div(size)))
}

func (o *RAdam) Config() (name string, settings []byte) { return config("RAdam", *o) }

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *RAdam) SetMomentum(m float64) { o.Betas = o.setBeta1(o.Betas, m) }

// State returns the optimizer's state and its live tensors ("0.exp_avg",
// "0.exp_avg_sq"), for LoadState.
func (o *RAdam) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *RAdam) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
