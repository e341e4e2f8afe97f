package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func ExampleCapture() {
	model := layers.NewLinear(1, 1)
	model.Weight.Fill(0)
	model.Bias.Fill(0)
	optimizer := optim.NewSGD(layers.Parameters(model), 0.1)
	train := tensor.Capture(tensor.CPU, func(x, y *tensor.Tensor) *tensor.Tensor {
		optimizer.ZeroGrad()
		loss := model.Forward(x).Sub(y).Square().Mean()
		loss.Backward()
		optimizer.Step()
		return loss
	})
	defer train.Close()
	x, y := tensor.From([]float32{-1, 0, 1}, 3, 1), tensor.From([]float32{-1, 1, 3}, 3, 1) // y = 2x + 1
	total := tensor.Zeros()
	for range 100 {
		total.AddInPlace(train.Run(x, y)) // waits for no GPU
	}
	fmt.Printf("weight %.3f, bias %.3f, mean loss %.4f\n", model.Weight.Item(), model.Bias.Item(), total.Item()/100)
	fmt.Println(train.Err())
	// Output:
	// weight 2.000, bias 1.000, mean loss 0.1349
	// tensor: Capture: cpu has no graphs
}

func TestCaptureOnCPU(t *testing.T) {
	var calls [][2]*tensor.Tensor
	c := tensor.Capture(tensor.CPU, func(x, y *tensor.Tensor) *tensor.Tensor {
		calls = append(calls, [2]*tensor.Tensor{x, y})
		if y == nil {
			return nil
		}
		return x.Mul(y)
	})
	s := tensor.NewScope()
	x, y := tensor.From([]float32{1, 2}, 2).SetRequiresGrad(true), tensor.From([]float32{3, 4}, 2).In(s)
	out := c.Run(x, y)
	if want := []float32{3, 8}; !slices.Equal(out.Floats(), want) || !out.IsLeaf() || out.RequiresGrad() || out.Scope() != s {
		t.Errorf("Run returned %v (leaf: %v, requires grad: %v, in y's scope: %v), want %v without history in y's scope",
			out.Floats(), out.IsLeaf(), out.RequiresGrad(), out.Scope() == s, want)
	}
	if out := c.Run(x, nil); out != nil {
		t.Errorf("the step returns nil, Run %v", out)
	}
	c.Close()
	c.Run(x, y)
	want := [][2]*tensor.Tensor{{x, y}, {x, nil}, {x, y}}
	if !slices.Equal(calls, want) {
		t.Errorf("the step was called with %v, want %v", calls, want)
	}
	if err := c.Err(); err == nil || err.Error() != "tensor: Capture: cpu has no graphs" {
		t.Errorf("Err() = %v, want that the CPU has no graphs", err)
	}
}

func TestCaptureOfNothing(t *testing.T) {
	err := tensor.Try(func() { tensor.Capture(tensor.CPU, nil) })
	if want := "tensor: Capture: got a nil device or step"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
