package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// Adagrad divides gradients by the root of the sum of their squares.
// (torch.optim.Adagrad)
//
// Source: Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online
// Learning and Stochastic Optimization, 2011.
type Adagrad struct {
	Groups
	LRDecay                 float64 // 0; at step n the rate is LR / (1 + (n-1)·LRDecay)
	WeightDecay             float64 // 0
	InitialAccumulatorValue float64 // 0; what the sum of squares starts from
	Eps                     float64 // 1e-10
	Maximize                bool    // climb instead of descend

	memory memory
}

// NewAdagrad returns an Adagrad of one group.
func NewAdagrad(params []*tensor.Tensor, lr float64) *Adagrad {
	return &Adagrad{Groups: newGroups("NewAdagrad", params, lr), Eps: 1e-10, memory: newMemory("Adagrad", 1, "sum")}
}

// Step changes the parameters by their gradients.
func (o *Adagrad) Step() {
	const op = "Adagrad.Step"
	o.check(op)
	ps := make([]tensor.AdagradParams, len(o.Groups))
	for i := range o.Groups {
		ps[i] = o.numbers(op, i)
	}
	fits := o.memory.fits(&o.Groups, func(*Group) [2]bool { return [2]bool{} })
	for i, g := range o.Groups {
		p := ps[i]
		for _, b := range o.memory.batches(g, func(s *slot) int { return s.steps }) {
			p.Step = b.key
			p.Fits = fits
			p.Renew = func() tensor.AdagradParams {
				p := o.numbers(op, i)
				p.Step = b.step()
				return p
			}
			tensor.AdagradStep(b.params, b.grads, b.kept(0, o.InitialAccumulatorValue), p)
		}
	}
}

// numbers returns the numbers of group i's next step, but for its count.
func (o *Adagrad) numbers(op string, i int) tensor.AdagradParams {
	g := &o.Groups[i]
	wantLR(op, i, g.LR)
	want(g.Momentum == nil && g.Betas == nil, op, "a group has Momentum or Betas, which Adagrad does not know")
	p := tensor.AdagradParams{LR: g.LR, LRDecay: o.LRDecay, WeightDecay: weightDecayOf(op, g, o.WeightDecay), Eps: o.Eps, Maximize: o.Maximize}
	wantNumber(op, "LRDecay", p.LRDecay)
	wantNumber(op, "Eps", p.Eps)
	wantNumber(op, "InitialAccumulatorValue", o.InitialAccumulatorValue)
	return p
}

// State returns the optimizer's state, numbers and live tensors ("0.sum"), for
// LoadState.
func (o *Adagrad) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state into the optimizer, its learning rates too. On error,
// because the state is another optimizer's or of other parameters, nothing has
// changed.
func (o *Adagrad) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
