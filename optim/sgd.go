package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// SGD is stochastic gradient descent, optionally with momentum. (torch.optim.SGD)
type SGD struct {
	Groups
	Momentum    float64 // 0
	Dampening   float64 // 0; the part of a new gradient that momentum does not take
	WeightDecay float64 // 0
	Nesterov    bool    // needs Momentum and no Dampening
	Maximize    bool    // climb instead of descend

	memory memory
}

// NewSGD returns an SGD of one group.
func NewSGD(params []*tensor.Tensor, lr float64) *SGD {
	return &SGD{Groups: newGroups("NewSGD", params, lr), memory: newMemory("SGD", 0, "momentum_buffer")}
}

// Step changes the parameters by their gradients.
func (o *SGD) Step() {
	const op = "SGD.Step"
	o.check(op)
	ps := make([]tensor.SGDParams, len(o.Groups))
	for i := range o.Groups {
		ps[i] = o.numbers(op, i)
	}
	fits := o.memory.fits(&o.Groups, func(g *Group) [2]bool { return [2]bool{or(g.Momentum, o.Momentum) != 0} })
	started := func(s *slot) int { // the first step with momentum is another
		if s.kept[0] == nil {
			return 0
		}
		return 1
	}
	for i, g := range o.Groups {
		p := ps[i]
		for _, b := range o.memory.batches(g, started) {
			var momentum []*tensor.Tensor
			if p.Momentum != 0 {
				momentum = b.kept(0, 0)
			}
			p.First = b.key == 0
			p.Fits = fits
			p.Renew = func() tensor.SGDParams {
				p := o.numbers(op, i)
				b.step()
				return p
			}
			tensor.SGDStep(b.params, b.grads, momentum, p)
		}
	}
}

// numbers returns the numbers of group i's next step.
func (o *SGD) numbers(op string, i int) tensor.SGDParams {
	g := &o.Groups[i]
	wantLR(op, i, g.LR)
	p := tensor.SGDParams{LR: g.LR, Momentum: momentumOf(op, g, o.Momentum), Dampening: o.Dampening,
		WeightDecay: weightDecayOf(op, g, o.WeightDecay), Nesterov: o.Nesterov, Maximize: o.Maximize}
	wantNumber(op, "Dampening", p.Dampening)
	if p.Nesterov && !(p.Momentum > 0 && p.Dampening == 0) {
		want(false, op, "Nesterov is set with Momentum %v and Dampening %v, want momentum and no dampening", p.Momentum, p.Dampening)
	}
	return p
}

// SetMomentum sets the momentum of all groups. It is for sched.OneCycleLR.
func (o *SGD) SetMomentum(m float64) {
	o.Momentum = m
	o.setMomentum(m)
}

// State returns the optimizer's state, numbers and live tensors
// ("0.momentum_buffer"), for LoadState.
func (o *SGD) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state into the optimizer, its learning rates too. On error,
// because the state is another optimizer's or of other parameters, nothing has
// changed.
func (o *SGD) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
