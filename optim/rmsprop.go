package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// RMSprop divides gradients by a running average of their magnitude.
// (torch.optim.RMSprop)
//
// Sources: Tieleman and Hinton, lecture 6.5 of Neural Networks for Machine
// Learning, 2012; Graves, Generating Sequences With Recurrent Neural Networks,
// 2013 (centered).
type RMSprop struct {
	Groups      `json:"-"`
	Alpha       float64 // 0.99; the part of the running mean that stays
	Eps         float64 // 1e-8
	WeightDecay float64 // 0
	Momentum    float64 // 0
	Centered    bool    // divide by the standard deviation
	Maximize    bool    // maximize instead of minimize

	memory memory
}

// NewRMSprop returns an RMSprop of one group.
func NewRMSprop(params []*tensor.Tensor, lr float64) *RMSprop {
	return &RMSprop{Groups: newGroups("NewRMSprop", params, lr), Alpha: 0.99, Eps: 1e-8,
		memory: newMemory("RMSprop", 1, "square_avg", "grad_avg", "momentum_buffer")}
}

// Step updates the parameters with their gradients.
func (o *RMSprop) Step() { o.memory.step(o, &o.Groups) }

func (o *RMSprop) rule(s *step) {
	mu, decay := s.momentum(o.Momentum), s.weightDecay(o.WeightDecay)
	s.wantNumber("Alpha", o.Alpha)
	s.wantNumber("Eps", o.Eps)
	w, d := s.param(), s.direction(o.Maximize, decay)
	size := s.state("square_avg", 0).MulScalar(o.Alpha).Add(d.MulScalar(1 - o.Alpha).Mul(d))
	s.setState("square_avg", size)
	if o.Centered {
		center := s.state("grad_avg", 0).Lerp(d, 1-o.Alpha)
		s.setState("grad_avg", center)
		size = size.Sub(center.Square())
	}
	d = d.Div(size.Sqrt().AddScalar(o.Eps))
	if mu != 0 {
		d = d.Add(s.state("momentum_buffer", 0).MulScalar(mu))
		s.setState("momentum_buffer", d)
	}
	s.setParam(w.Sub(d.MulScalar(s.lr())))
}

func (o *RMSprop) Config() (name string, settings []byte) { return config("RMSprop", *o) }

// SetMomentum sets the momentum of all groups. It is for sched.OneCycleLR.
func (o *RMSprop) SetMomentum(m float64) {
	o.Momentum = m
	o.setMomentum(m)
}

// State returns the optimizer's state and its live tensors ("0.square_avg",
// "0.grad_avg" if Centered, "0.momentum_buffer" with Momentum), for LoadState.
func (o *RMSprop) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *RMSprop) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
