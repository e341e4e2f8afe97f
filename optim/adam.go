package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/tensor"
)

// Adam is Adam, or AdamW if DecoupledWeightDecay is set. (torch.optim.Adam,
// torch.optim.AdamW)
//
// Sources: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015;
// Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019; Reddi, Kale
// and Kumar, On the Convergence of Adam and Beyond, 2018 (AMSGrad).
type Adam struct {
	Groups               `json:"-"`
	Betas                [2]float64 // 0.9 and 0.999
	Eps                  float64    // 1e-8
	WeightDecay          float64    // 0; NewAdamW: 0.01
	DecoupledWeightDecay bool       // decay the weights, not the gradient (AdamW)
	AMSGrad              bool
	Maximize             bool // maximize instead of minimize

	memory memory
}

// NewAdam returns an Adam of one group.
func NewAdam(params []*tensor.Tensor, lr float64) *Adam {
	return newAdam("NewAdam", params, lr)
}

// NewAdamW returns an Adam of one group with DecoupledWeightDecay and a
// WeightDecay of 0.01.
func NewAdamW(params []*tensor.Tensor, lr float64) *Adam {
	o := newAdam("NewAdamW", params, lr)
	o.WeightDecay, o.DecoupledWeightDecay = 0.01, true
	return o
}

func newAdam(op string, params []*tensor.Tensor, lr float64) *Adam {
	return &Adam{Groups: newGroups(op, params, lr), Betas: [2]float64{0.9, 0.999}, Eps: 1e-8,
		memory: newMemory("Adam", 2, "exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
}

// Step updates the parameters with their gradients.
func (o *Adam) Step() { o.memory.step(o, &o.Groups) }

func (o *Adam) rule(s *step) {
	beta1, beta2 := s.betas(o.Betas)
	decay := s.weightDecay(o.WeightDecay)
	s.wantNumber("Eps", o.Eps)
	sign, shrink := 1.0, 1.0
	if o.Maximize {
		sign = -1
	}
	if o.DecoupledWeightDecay {
		shrink, decay = 1-s.lr()*decay, 0
	}
	correction1, correction2 := 1-math.Pow(beta1, float64(s.n)), math.Sqrt(1-math.Pow(beta2, float64(s.n)))
	n := s.numbersOf(sign, decay, shrink, s.lr()/correction1, 1/correction2, o.Eps, beta2, 1-beta1, 1-beta2)
	s.now().kernel = backend.AdamKernel
	w, d, m, v := s.param(), s.grad(), s.state("exp_avg", 0), s.state("exp_avg_sq", 0)
	if o.Maximize {
		d = d.Neg()
	}
	if decay != 0 {
		d = d.Add(w.Mul(n(1)))
	}
	if 1-beta1 < 0.5 { // as Lerp
		m = m.Add(d.Sub(m).Mul(n(7)))
	} else {
		m = d.Sub(d.Sub(m).Mul(s.number(1).Sub(n(7))))
	}
	v = v.Mul(n(6)).Add(d.Mul(n(8)).Mul(d))
	s.setState("exp_avg", m)
	s.setState("exp_avg_sq", v)
	if o.AMSGrad {
		v = v.Maximum(s.state("max_exp_avg_sq", 0))
		s.setState("max_exp_avg_sq", v)
	}
	if o.DecoupledWeightDecay {
		w = w.Mul(n(2))
	}
	s.setParam(w.Sub(m.Mul(n(3)).Div(v.Sqrt().Mul(n(4)).Add(n(5)))))
}

func (o *Adam) Config() (name string, settings []byte) { return config("Adam", *o) }

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *Adam) SetMomentum(m float64) { o.Betas = o.setBeta1(o.Betas, m) }

// State returns the optimizer's state and its live tensors ("0.exp_avg",
// "0.exp_avg_sq", with AMSGrad "0.max_exp_avg_sq"), for LoadState.
func (o *Adam) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Adam) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
