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
	Groups                  `json:"-"`
	LRDecay                 float64 // 0; at step n the rate is LR / (1 + (n-1)·LRDecay)
	WeightDecay             float64 // 0
	InitialAccumulatorValue float64 // 0; the initial sum of squares
	Eps                     float64 // 1e-10
	Maximize                bool    // maximize instead of minimize

	memory memory
}

// NewAdagrad returns an Adagrad of one group.
func NewAdagrad(params []*tensor.Tensor, lr float64) *Adagrad {
	return &Adagrad{Groups: newGroups("NewAdagrad", params, lr), Eps: 1e-10, memory: newMemory("Adagrad", 1, "sum")}
}

// Step updates the parameters with their gradients.
func (o *Adagrad) Step() { o.memory.step(o, &o.Groups) }

func (o *Adagrad) rule(s *step) {
	decay := s.weightDecay(o.WeightDecay)
	s.wantNumber("LRDecay", o.LRDecay)
	s.wantNumber("Eps", o.Eps)
	s.wantNumber("InitialAccumulatorValue", o.InitialAccumulatorValue)
	w, d := s.param(), s.direction(o.Maximize, decay)
	sum := s.state("sum", o.InitialAccumulatorValue).Add(d.Square())
	s.setState("sum", sum)
	lr := s.lr() / (1 + float64(s.n-1)*o.LRDecay)
	s.setParam(w.Sub(d.MulScalar(lr).Div(sum.Sqrt().AddScalar(o.Eps))))
}

func (o *Adagrad) Config() (name string, settings []byte) { return config("Adagrad", *o) }

// State returns the optimizer's state and its live tensors ("0.sum"), for
// LoadState.
func (o *Adagrad) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Adagrad) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
