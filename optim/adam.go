package optim

import (
	"iter"

	"github.com/wick-ml/wick/tensor"
)

// Adam is Adam, or AdamW if DecoupledWeightDecay is set. (torch.optim.Adam,
// torch.optim.AdamW)
//
// Sources: Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015;
// Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019; Reddi, Kale
// and Kumar, On the Convergence of Adam and Beyond, 2018 (AMSGrad).
type Adam struct {
	Groups
	Betas                [2]float64 // 0.9 and 0.999
	Eps                  float64    // 1e-8
	WeightDecay          float64    // 0; NewAdamW: 0.01
	DecoupledWeightDecay bool       // decay the weights themselves, not by way of the gradient
	AMSGrad              bool
	Maximize             bool // climb instead of descend

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

// Step changes the parameters by their gradients.
func (o *Adam) Step() {
	const op = "Adam.Step"
	o.check(op)
	ps := make([]tensor.AdamParams, len(o.Groups))
	for i := range o.Groups {
		ps[i] = o.numbers(op, i)
	}
	fits := o.memory.fits(&o.Groups, func(*Group) [2]bool { return [2]bool{o.AMSGrad} })
	for i, g := range o.Groups {
		p := ps[i]
		for _, b := range o.memory.batches(g, func(s *slot) int { return s.steps }) {
			var largest []*tensor.Tensor
			if o.AMSGrad {
				largest = b.kept(2, 0)
			}
			p.Step = b.key
			p.Fits = fits
			p.Renew = func() tensor.AdamParams {
				p := o.numbers(op, i)
				p.Step = b.step()
				return p
			}
			tensor.AdamStep(b.params, b.grads, b.kept(0, 0), b.kept(1, 0), largest, p)
		}
	}
}

// numbers returns the numbers of group i's next step, but for its count.
func (o *Adam) numbers(op string, i int) tensor.AdamParams {
	g := &o.Groups[i]
	wantLR(op, i, g.LR)
	want(g.Momentum == nil, op, "a group has Momentum, which Adam does not know; set its Betas")
	betas := or(g.Betas, o.Betas)
	if !(betas[0] >= 0 && betas[0] < 1 && betas[1] >= 0 && betas[1] < 1) {
		want(false, op, "Betas are %v, want from 0 to less than 1", betas)
	}
	p := tensor.AdamParams{LR: g.LR, Beta1: betas[0], Beta2: betas[1], Eps: o.Eps,
		WeightDecay: weightDecayOf(op, g, o.WeightDecay), Decoupled: o.DecoupledWeightDecay, Maximize: o.Maximize}
	wantNumber(op, "Eps", p.Eps)
	return p
}

// SetMomentum sets the first of the Betas of all groups. It is for
// sched.OneCycleLR.
func (o *Adam) SetMomentum(m float64) {
	o.Betas[0] = m
	for i, g := range o.Groups {
		if g.Betas != nil {
			o.Groups[i].Betas = &[2]float64{m, g.Betas[1]}
		}
	}
}

// State returns the optimizer's state, numbers and live tensors ("0.exp_avg",
// "0.exp_avg_sq", with AMSGrad "0.max_exp_avg_sq"), for LoadState.
func (o *Adam) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state into the optimizer, its learning rates too. On error,
// because the state is another optimizer's or of other parameters, nothing has
// changed.
func (o *Adam) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
