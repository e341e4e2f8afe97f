package tensor_test

import (
	"math"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// Package optim's tests hold the steps against PyTorch; here are the checks.

func TestStepArguments(t *testing.T) {
	w, g, m, v := tensor.Zeros(2, 3), tensor.Zeros(2, 3), tensor.Zeros(2, 3), tensor.Zeros(2, 3)
	list := func(xs ...*T) []*T { return xs }
	gone := tensor.NewScope()
	released := tensor.Zeros(2, 3).In(gone)
	gone.Close()
	recorded := tensor.Zeros(2, 3).SetRequiresGrad(true).MulScalar(2)
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"tensor: SGDStep: got 1 parameters and a list of 0 tensors, want as many", func() {
			tensor.SGDStep(list(w), nil, nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: SGDStep: got no momentum", func() { tensor.SGDStep(list(w), list(g), nil, tensor.SGDParams{LR: 1, Momentum: 0.9}) }},
		{"tensor: SGDStep: tensor 0 is nil", func() { tensor.SGDStep(list(nil), list(g), nil, tensor.SGDParams{LR: 1}) }},
		{"tensor: SGDStep: got a tensor float32 [3 2] on cpu for a tensor float32 [2 3] on cpu, want one shape, type and device", func() {
			tensor.SGDStep(list(w), list(tensor.Zeros(3, 2)), nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: SGDStep: got a tensor float64 [2 3] on cpu for a tensor float32 [2 3] on cpu", func() {
			tensor.SGDStep(list(w), list(g.ToDType(tensor.Float64)), nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: SGDStep: the operand is int64", func() {
			x := w.ToDType(tensor.Int64)
			tensor.SGDStep(list(x), list(x), nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: SGDStep: a tensor float32 [2 3], made by Zeros, is used after its scope closed", func() {
			tensor.SGDStep(list(w), list(released), nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: SGDStep: a tensor float32 [2 3] has history", func() {
			tensor.SGDStep(list(recorded), list(g), nil, tensor.SGDParams{LR: 1})
		}},
		{"tensor: AdamStep: the step is 0", func() { tensor.AdamStep(list(w), list(g), list(m), list(v), nil, tensor.AdamParams{}) }},
		{"tensor: AdamStep: got no second moments", func() { tensor.AdamStep(list(w), list(g), list(m), nil, nil, tensor.AdamParams{Step: 1}) }},
		{"tensor: RMSpropStep: got no means", func() {
			tensor.RMSpropStep(list(w), list(g), list(m), nil, nil, tensor.RMSpropParams{Centered: true})
		}},
		{"tensor: AdagradStep: the step is -1", func() { tensor.AdagradStep(list(w), list(g), list(m), tensor.AdagradParams{Step: -1}) }},
		{"tensor: ClipNorm: tensor 1 is nil", func() { tensor.ClipNorm(list(g, nil), 1) }},
		{"tensor: ClipValue: the operand is uint8", func() { tensor.ClipValue(list(g.ToDType(tensor.Uint8)), 1) }},
	} {
		t.Run(c.want, func(t *testing.T) {
			if err := tensor.Try(c.f); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}

func TestStepsOfNothing(t *testing.T) {
	tensor.SGDStep(nil, nil, nil, tensor.SGDParams{LR: 1})
	tensor.AdamStep(nil, nil, nil, nil, nil, tensor.AdamParams{Step: 1})
	tensor.RMSpropStep(nil, nil, nil, nil, nil, tensor.RMSpropParams{})
	tensor.AdagradStep(nil, nil, nil, tensor.AdagradParams{Step: 1})
	tensor.ClipValue(nil, 1)
	if got := tensor.ClipNorm([]*T{tensor.Zeros(0, 3)}, 1); got != 0 {
		t.Errorf("got norm %v of no elements, want 0", got)
	}
}

// Parameters of several types are changed in several calls, each once.
func TestStepMixedTypes(t *testing.T) {
	var ws, gs, ms []*T
	for i, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float32, tensor.Float64} {
		ws = append(ws, tensor.Full(float64(i), 2).ToDType(dtype))
		gs = append(gs, tensor.Full(1, 2).ToDType(dtype))
		ms = append(ms, tensor.Full(2, 2).ToDType(dtype))
	}
	tensor.SGDStep(ws, gs, ms, tensor.SGDParams{LR: 0.5, Momentum: 0.25})
	for i, w := range ws {
		if got, want := w.Float64s()[1], float64(i)-0.75; got != want {
			t.Errorf("parameter %d: got %v, want %v", i, got, want)
		}
		if got := ms[i].Float64s()[0]; got != 1.5 {
			t.Errorf("momentum %d: got %v, want 1.5", i, got)
		}
	}
	if got, want := tensor.ClipNorm(gs, 1), math.Sqrt(8); math.Abs(got-want) > 1e-12 {
		t.Errorf("got norm %v, want %v", got, want)
	}
}
