package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

func TestActivationReference(t *testing.T) {
	checkReference(t, "activation", map[string]refOp{
		"Tanhshrink": ref1((*T).Tanhshrink), "Softsign": ref1((*T).Softsign), "Mish": ref1((*T).Mish), "SELU": ref1((*T).SELU),
		"ReLU6":      ref1((*T).ReLU6),
		"CELU":       func(in []*T, a refArgs) []*T { return one(in[0].CELU(a.float("alpha"))) },
		"Hardtanh":   func(in []*T, a refArgs) []*T { return one(in[0].Hardtanh(a.float("lo"), a.float("hi"))) },
		"Softshrink": func(in []*T, a refArgs) []*T { return one(in[0].Softshrink(a.float("l"))) },
		"Hardshrink": func(in []*T, a refArgs) []*T { return one(in[0].Hardshrink(a.float("l"))) },
		"Threshold":  func(in []*T, a refArgs) []*T { return one(in[0].Threshold(a.float("threshold"), a.float("value"))) },
	})
}

func TestActivationErrors(t *testing.T) {
	x, nan := tensor.Ones(3), math.NaN()
	wantFailure(t, "CELU of nothing", "tensor: CELU: alpha is 0, want a number that is not 0", func() { x.CELU(0) })
	wantFailure(t, "CELU of NaN", "tensor: CELU: alpha is NaN", func() { x.CELU(nan) })
	wantFailure(t, "Hardtanh", "tensor: Hardtanh: the bounds are 2 and 1, want the smaller one first", func() { x.Hardtanh(2, 1) })
	wantFailure(t, "Softshrink", "tensor: Softshrink: lambda is -1, want 0 or more", func() { x.Softshrink(-1) })
	wantFailure(t, "whole numbers", "tensor: Mish: the operand is int64, want a floating-point type", func() { x.ToDType(tensor.Int64).Mish() })
}

// Half widths compute in float32, and gradients go on to any order.
func TestActivationOrders(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		x := tensor.From([]float32{-3, -0.5, 0.25, 2}).ToDType(dtype)
		wantTensor(t, dtype.String(), x.Mish(), x.ToDType(tensor.Float32).Mish().ToDType(dtype), 0)
	}
	// The derivatives of x/(1+x) at 1: 1/(1+x)², -2/(1+x)³, 6/(1+x)⁴, …
	x := tensor.From([]float64{1}).SetRequiresGrad(true)
	y := x.Softsign()
	want := 1.0
	for n := 1; n <= 6; n++ {
		y = autograd.Grad(y, []*T{x}, autograd.GradOpts{CreateGraph: true})[0]
		want *= float64(n)
		if n > 1 {
			want = -want
		}
		if got := y.Item() * math.Pow(2, float64(n+1)); math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("derivative %d times 2ⁿ⁺¹: got %v, want %v", n, got, want)
		}
	}
}
