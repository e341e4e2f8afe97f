package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// RMSprop divides gradients by a running mean of their magnitude.
// (torch.optim.RMSprop)
//
// Sources: Tieleman and Hinton, lecture 6.5 of Neural Networks for Machine
// Learning, 2012; Graves, Generating Sequences With Recurrent Neural Networks,
// 2013 (centered).
type RMSprop struct {
	Groups
	Alpha       float64 // 0.99; the part of the running mean that stays
	Eps         float64 // 1e-8
	WeightDecay float64 // 0
	Momentum    float64 // 0
	Centered    bool    // divide by the standard deviation
	Maximize    bool    // climb instead of descend

	memory memory
}

// NewRMSprop returns an RMSprop of one group.
func NewRMSprop(params []*tensor.Tensor, lr float64) *RMSprop {
	return &RMSprop{Groups: newGroups("NewRMSprop", params, lr), Alpha: 0.99, Eps: 1e-8,
		memory: newMemory("RMSprop", 1, "square_avg", "grad_avg", "momentum_buffer")}
}

// Step changes the parameters by their gradients.
func (o *RMSprop) Step() {
	const op = "RMSprop.Step"
	o.check(op)
	ps := make([]tensor.RMSpropParams, len(o.Groups))
	for i := range o.Groups {
		ps[i] = o.numbers(op, i)
	}
	fits := o.memory.fits(&o.Groups, func(g *Group) [2]bool { return [2]bool{o.Centered, or(g.Momentum, o.Momentum) != 0} })
	for i, g := range o.Groups {
		p := ps[i]
		for _, b := range o.memory.batches(g, func(*slot) int { return 0 }) {
			var mean, momentum []*tensor.Tensor
			if p.Centered {
				mean = b.kept(1, 0)
			}
			if p.Momentum != 0 {
				momentum = b.kept(2, 0)
			}
			p.Fits = fits
			p.Renew = func() tensor.RMSpropParams {
				p := o.numbers(op, i)
				b.step()
				return p
			}
			tensor.RMSpropStep(b.params, b.grads, b.kept(0, 0), mean, momentum, p)
		}
	}
}

// numbers returns the numbers of group i's next step.
func (o *RMSprop) numbers(op string, i int) tensor.RMSpropParams {
	g := &o.Groups[i]
	wantLR(op, i, g.LR)
	p := tensor.RMSpropParams{LR: g.LR, Alpha: o.Alpha, Eps: o.Eps, WeightDecay: weightDecayOf(op, g, o.WeightDecay),
		Momentum: momentumOf(op, g, o.Momentum), Centered: o.Centered, Maximize: o.Maximize}
	wantNumber(op, "Alpha", p.Alpha)
	wantNumber(op, "Eps", p.Eps)
	return p
}

// SetMomentum sets the momentum of all groups. It is for sched.OneCycleLR.
func (o *RMSprop) SetMomentum(m float64) {
	o.Momentum = m
	o.setMomentum(m)
}

// State returns the optimizer's state, numbers and live tensors ("0.square_avg",
// "0.grad_avg" if Centered, "0.momentum_buffer" with Momentum), for LoadState.
func (o *RMSprop) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state into the optimizer, its learning rates too. On error,
// because the state is another optimizer's or of other parameters, nothing has
// changed.
func (o *RMSprop) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
