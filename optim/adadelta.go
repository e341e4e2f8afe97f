package optim

import (
	"iter"

	"github.com/wick-ml/wick/internal/expr"
	"github.com/wick-ml/wick/tensor"
)

// Adadelta divides gradients by a running average of their magnitude and multiplies them by
// one of the magnitude of past steps. PyTorch's learning rate is 1.
// (torch.optim.Adadelta)
//
// Source: Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012.
type Adadelta struct {
	Groups      `json:"-"`
	Rho         float64 // 0.9; how much of the running averages each step keeps
	Eps         float64 // 1e-6
	WeightDecay float64 // 0
	Maximize    bool    // maximize instead of minimize

	memory memory
}

// NewAdadelta returns an Adadelta of one group.
func NewAdadelta(params []*tensor.Tensor, lr float64) *Adadelta {
	return &Adadelta{Groups: newGroups("NewAdadelta", params, lr), Rho: 0.9, Eps: 1e-6,
		memory: newMemory("Adadelta", 2, "square_avg", "acc_delta")}
}

// Step updates the parameters with their gradients.
func (o *Adadelta) Step() { o.memory.step(o, &o.Groups) }

func (o *Adadelta) rule(s *step) {
	s.want(o.Rho >= 0 && o.Rho <= 1, "Rho is %v, want from 0 to 1", o.Rho)
	s.wantNumber("Eps", o.Eps)
	w, d := s.param(), s.direction(o.Maximize, s.weightDecay(o.WeightDecay))
	mean := func(kept, x expr.Value) expr.Value {
		return kept.MulScalar(o.Rho).Add(x.MulScalar(1 - o.Rho).Mul(x))
	}
	square, steps := mean(s.state("square_avg", 0), d), s.state("acc_delta", 0)
	delta := steps.AddScalar(o.Eps).Sqrt().Div(square.AddScalar(o.Eps).Sqrt()).Mul(d)
	s.setState("square_avg", square)
	s.setState("acc_delta", mean(steps, delta))
	s.setParam(w.Sub(delta.MulScalar(s.lr())))
}

func (o *Adadelta) Config() (name string, settings []byte) { return config("Adadelta", *o) }

// State returns the optimizer's state and its live tensors ("0.square_avg",
// "0.acc_delta"), for LoadState.
func (o *Adadelta) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Adadelta) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
