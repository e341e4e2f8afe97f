package optim

import (
	"iter"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/tensor"
)

// SGD is stochastic gradient descent, optionally with momentum. (torch.optim.SGD)
type SGD struct {
	Groups      `json:"-"`
	Momentum    float64 // 0
	Dampening   float64 // 0; the part of a new gradient that momentum does not take
	WeightDecay float64 // 0
	Nesterov    bool    // needs Momentum and no Dampening
	Maximize    bool    // maximize instead of minimize

	memory memory
}

// NewSGD returns an SGD of one group.
func NewSGD(params []*tensor.Tensor, lr float64) *SGD {
	return &SGD{Groups: newGroups("NewSGD", params, lr), memory: newMemory("SGD", 0, "momentum_buffer")}
}

// Step updates the parameters with their gradients.
func (o *SGD) Step() { o.memory.step(o, &o.Groups) }

func (o *SGD) rule(s *step) {
	mu, decay := s.momentum(o.Momentum), s.weightDecay(o.WeightDecay)
	s.wantNumber("Dampening", o.Dampening)
	if o.Nesterov && !(mu > 0 && o.Dampening == 0) {
		s.want(false, "Nesterov is set with Momentum %v and Dampening %v, want momentum and no dampening", mu, o.Dampening)
	}
	sign, nesterov := 1.0, 0.0
	if o.Maximize {
		sign = -1
	}
	if o.Nesterov {
		nesterov = 1
	}
	n := s.numbersOf(sign, decay, s.lr(), mu, 1-o.Dampening, nesterov)
	w, d := s.param(), s.grad()
	if o.Maximize {
		d = d.Neg()
	}
	if decay != 0 {
		d = d.Add(w.Mul(n(1)))
	}
	if mu != 0 {
		b := d
		if s.isKept("momentum_buffer") {
			s.now().kernel = backend.SGDKernel
			b = s.state("momentum_buffer", 0).Mul(n(3)).Add(d.Mul(n(4)))
		}
		s.setState("momentum_buffer", b)
		if o.Nesterov {
			b = d.Add(b.Mul(n(3)))
		}
		d = b
	}
	s.setParam(w.Sub(d.Mul(n(2))))
}

func (o *SGD) Config() (name string, settings []byte) { return config("SGD", *o) }

// SetMomentum sets the momentum of all groups. It is for sched.OneCycleLR.
func (o *SGD) SetMomentum(m float64) {
	o.Momentum = m
	o.setMomentum(m)
}

// State returns the optimizer's state and its live tensors
// ("0.momentum_buffer"), for LoadState.
func (o *SGD) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *SGD) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
