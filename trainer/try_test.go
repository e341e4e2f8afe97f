package trainer

import (
	"errors"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// What any package panics with where something does not fit, tensor.Try returns.
func TestTryCatchesWhatEveryPackagePanicsWith(t *testing.T) {
	o := optim.NewSGD(layers.Parameters(network()), 0.1)
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"tensor", "tensor: Add: a tensor that it needs is nil", func() { tensor.Ones(1).Add(nil) }},
		{"autograd, through tensor", "tensor: Backward: nothing was recorded for a tensor float32 [1]: no leaf that it was made from requires a gradient", func() { tensor.Ones(1).Backward() }},
		{"autograd", "tensor: Grad: the output is nil", func() { autograd.Grad[*tensor.Tensor](nil, nil) }},
		{"sched", "sched: StepLR: ", func() { sched.NewStepLR(o, -1, 0.1) }},
		{"trainer", "tensor: NewProgress: the writer is nil", func() { NewProgress(nil) }},
		{"layers", "tensor: NewLinear: ", func() { layers.NewLinear(0, 1) }},
	} {
		err := tensor.Try(c.f)
		if err == nil || len(err.Error()) < len(c.want) || err.Error()[:len(c.want)] != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		var tape *autograd.Error
		var schedule *sched.Error
		if c.name == "autograd" && !errors.As(err, &tape) || c.name == "sched" && !errors.As(err, &schedule) {
			t.Errorf("%s: the error is a %T, without the package's own type", c.name, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Try swallowed a panic that is not of wrong use")
		}
	}()
	_ = tensor.Try(func() { panic("else") })
}
