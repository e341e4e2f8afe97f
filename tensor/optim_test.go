package tensor_test

import (
	"math"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
	"github.com/wick-ml/wick/tensor"
)

// Package optim's tests hold the steps against PyTorch; here are the checks.

func TestStepArguments(t *testing.T) {
	w, g := tensor.Zeros(2, 3), tensor.Zeros(2, 3)
	list := func(xs ...*T) []*T { return xs }
	gone := tensor.NewScope()
	released := tensor.Zeros(2, 3).In(gone)
	gone.Close()
	recorded := tensor.Zeros(2, 3).SetRequiresGrad(true).MulScalar(2)
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"tensor: descend: got 1 parameters and a list of 0 tensors, want as many", func() { descend(list(w), nil, 1) }},
		{"tensor: descend: tensor 0 is nil", func() { descend(list(nil), list(g), 1) }},
		{"tensor: descend: got a tensor float32 [3 2] on cpu for a tensor float32 [2 3] on cpu, want one shape, type and device", func() {
			descend(list(w), list(tensor.Zeros(3, 2)), 1)
		}},
		{"tensor: descend: got a tensor float64 [2 3] on cpu for a tensor float32 [2 3] on cpu", func() {
			descend(list(w), list(g.ToDType(tensor.Float64)), 1)
		}},
		{"tensor: descend: got a tensor float64 [2 3] on cpu beside a tensor float32 [2 3] on cpu, want one type and device", func() {
			descend(list(w, w.ToDType(tensor.Float64)), list(g, g.ToDType(tensor.Float64)), 1)
		}},
		{"tensor: descend: the operand is int64", func() {
			x := w.ToDType(tensor.Int64)
			descend(list(x), list(x), 1)
		}},
		{"tensor: descend: a tensor float32 [2 3], made by Zeros, is used after its scope closed", func() {
			descend(list(w), list(released), 1)
		}},
		{"tensor: descend: a tensor float32 [2 3] has history", func() { descend(list(recorded), list(g), 1) }},
		{"tensor: ClipNorm: tensor 1 is nil", func() { friends.ClipNorm(list(g, nil), 1) }},
		{"tensor: ClipValue: the operand is uint8", func() { friends.ClipValue(list(g.ToDType(tensor.Uint8)), 1) }},
	} {
		t.Run(c.want, func(t *testing.T) {
			if err := tensor.Try(c.f); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
}

func TestStepsOfNothing(t *testing.T) {
	descend(nil, nil, 1)
	friends.ClipValue(nil, 1)
	if got := friends.ClipNorm([]*T{tensor.Zeros(0, 3)}, 1); got != 0 {
		t.Errorf("got norm %v of no elements, want 0", got)
	}
}

// descend makes a step of gradient descent.
func descend(params, grads []*T, lr float64) {
	var f expr.Formula
	f.Store(0, f.Load(0).Sub(f.Load(1).MulScalar(lr)))
	friends.MapStep("descend", [][]*T{params, grads}, []int{0}, backend.Rule{Expr: f.Expr, Numbers: f.Numbers})
}

func TestMapStep(t *testing.T) {
	w, g := tensor.From([]float64{1, 2}), tensor.From([]float64{3, 5})
	before := w.Detach()
	loss := before.Clone().SetRequiresGrad(true).Mul(w)
	descend([]*T{w}, []*T{g}, 0.5)
	wantTensor(t, "a step", w, tensor.From([]float64{-0.5, -0.5}), 0)
	wantTensor(t, "its gradient", g, tensor.From([]float64{3, 5}), 0)
	if err := tensor.Try(func() { loss.Sum().Backward() }); err == nil || !strings.Contains(err.Error(), "changed in place") {
		t.Errorf("got %v, want an error that says that the parameter was changed in place", err)
	}
	base := tensor.From([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	descend([]*T{base.T()}, []*T{tensor.From([]float64{1, 0, 0, 0, 0, 1}, 3, 2)}, 0.5)
	wantTensor(t, "a step of a view", base, tensor.From([]float64{0.5, 2, 3, 4, 5, 5.5}, 2, 3), 0)
	half := tensor.From([]float32{3, 4})
	if got := friends.ClipNorm([]*T{g, half}, 1); math.Abs(got-math.Sqrt(59)) > 1e-12 {
		t.Errorf("got norm %v, want %v", got, math.Sqrt(59))
	}
}
