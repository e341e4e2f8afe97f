package optim

import (
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// Rprop moves each element by a step of its own, which grows while its gradient keeps its
// sign and shrinks where that changes. It is for gradients of the whole data, not of
// batches. PyTorch's learning rate, the size of the first steps, is 0.01.
// (torch.optim.Rprop)
//
// Source: Riedmiller and Braun, A Direct Adaptive Method for Faster Backpropagation
// Learning: The RPROP Algorithm, 1993.
type Rprop struct {
	Groups    `json:"-"`
	Etas      [2]float64 // 0.5 and 1.2; what steps are multiplied by
	StepSizes [2]float64 // 1e-6 and 50; the smallest and the largest step
	Maximize  bool       // maximize instead of minimize

	memory memory
}

// NewRprop returns an Rprop of one group.
func NewRprop(params []*tensor.Tensor, lr float64) *Rprop {
	return &Rprop{Groups: newGroups("NewRprop", params, lr), Etas: [2]float64{0.5, 1.2}, StepSizes: [2]float64{1e-6, 50},
		memory: newMemory("Rprop", 2, "prev", "step_size")}
}

// Step updates the parameters with their gradients.
func (o *Rprop) Step() { o.memory.step(o, &o.Groups) }

func (o *Rprop) rule(s *step) {
	s.want(o.Etas[0] > 0 && o.Etas[0] < 1 && o.Etas[1] > 1 && o.Etas[1] <= math.MaxFloat64, "Etas are %v, want one between 0 and 1 and one above 1", o.Etas)
	s.want(o.StepSizes[0] <= o.StepSizes[1], "StepSizes are %v, want the smallest and the largest", o.StepSizes)
	s.want(s.group.WeightDecay == nil, "a group has WeightDecay, which Rprop does not know")
	d := s.direction(o.Maximize, 0)
	zero := s.number(0)
	same := d.Mul(s.state("prev", 0))
	kept, changed := same.Gt(zero), zero.Gt(same)
	size := s.state("step_size", s.lr())
	size = size.Mul(kept.Where(s.number(o.Etas[1]), changed.Where(s.number(o.Etas[0]), s.number(1))))
	size = size.Maximum(s.number(o.StepSizes[0])).Minimum(s.number(o.StepSizes[1]))
	d = changed.Where(zero, d)
	s.setState("prev", d)
	s.setState("step_size", size)
	s.setParam(s.param().Sub(d.Sign().Mul(size)))
}

func (o *Rprop) Config() (name string, settings []byte) { return config("Rprop", *o) }

// State returns the optimizer's state and its live tensors ("0.prev",
// "0.step_size"), for LoadState.
func (o *Rprop) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Rprop) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
