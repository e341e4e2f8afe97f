//go:build cuda && linux

package tensor_test

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// Operands on two devices are refused with both devices' names.
func TestCUDAOperandsOnTwoDevices(t *testing.T) {
	d := gpu(t)
	x, y := tensor.Ones(2, 3), tensor.Ones(2, 3).To(d)
	picture, kernel := tensor.Ones(1, 2, 5, 5), tensor.Ones(3, 2, 3, 3).To(d)
	labels := tensor.From([]int64{0, 1})
	for _, c := range []struct {
		op string
		f  func()
	}{
		{"Add", func() { x.Add(y) }},
		{"MatMul", func() { x.MatMul(y.Transpose(0, 1)) }},
		{"Linear", func() { layers.NewLinear(3, 4).Forward(y) }},
		{"Conv2d", func() { tensor.Conv2d(picture, kernel, nil, tensor.ConvOpts{}) }},
		{"Conv2d", func() { tensor.Conv2d(picture.To(d), kernel, tensor.Zeros(3), tensor.ConvOpts{}) }},
		{"BatchNorm2d", func() { layers.NewBatchNorm2d(2).Forward(picture.To(d)) }},
		{"CrossEntropy", func() { tensor.CrossEntropy(y, labels, tensor.CrossEntropyOpts{}) }},
		{"NLLLoss", func() { tensor.NLLLoss(y, labels, tensor.NLLLossOpts{}) }},
		{"MSELoss", func() { layers.MSELoss{}.Forward(x, y) }},
		{"BCEWithLogits", func() { layers.BCEWithLogitsLoss{}.Forward(x, y) }},
		{"Cat", func() { tensor.Cat(0, x, y) }},
		{"Where", func() { tensor.Where(x.Gt(x), x, y) }},
		{"IndexSelect", func() { y.IndexSelect(0, labels) }},
		{"MaskedFill", func() { y.MaskedFill(x.Gt(x), 0) }},
		{"CountEqual", func() { tensor.CountEqual(x, y) }},
		{"AddInPlace", func() { y.AddInPlace(x) }},
		{"Backward", func() { x.Clone().SetRequiresGrad(true).SetGrad(y) }},
		{"CapturedStep.Run", func() { tensor.Capture(d, func(x, _ *T) *T { return x }).Run(x, nil) }},
	} {
		err := tensor.Try(c.f)
		var e *tensor.Error
		if !errors.As(err, &e) || e.Op != c.op || !strings.Contains(err.Error(), "cpu") || !strings.Contains(err.Error(), "cuda:0") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one sentence of an *Error of %s with cpu and cuda:0 in it", c.op, err, c.op)
		}
	}
	// CopyFrom copies between devices, and an optimizer steps each parameter where it is.
	wantTensor(t, "CopyFrom", tensor.Zeros(2, 3).CopyFrom(y), x, 0)
	wantTensor(t, "CopyFrom that broadcasts", tensor.Zeros(2, 3).ToDType(tensor.Int64).CopyFrom(y.Select(0, 0)), x.Narrow(0, 0, 1).Expand(2, 3).ToDType(tensor.Int64), 0)
	wantTensor(t, "CopyFrom that broadcasts, there", tensor.Zeros(2, 3).To(y.Device()).CopyFrom(tensor.From([]int64{1, 2}, 2, 1)).To(tensor.CPU), tensor.From([]float32{1, 1, 1, 2, 2, 2}, 2, 3), 0)
	params := []*T{x.Clone().SetRequiresGrad(true), y.Clone().SetRequiresGrad(true)}
	for _, p := range params {
		p.MulScalar(2).Sum().Backward()
	}
	optim.NewAdam(params, 0.125).Step()
	for _, p := range params {
		wantTensor(t, "Adam's step on "+p.Device().String(), p.Detach(), tensor.Full(0.875, 2, 3), 1e-6)
	}
}

// deadline fails the test, with what all goroutines do, where f hangs.
func deadline(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		stacks := make([]byte, 1<<20)
		t.Fatalf("%s: no end after a minute\n%s", what, stacks[:runtime.Stack(stacks, true)])
	}
}

// A GPU that is lost in the middle of a training run: Try gets the sentence then
// and ever after, and the CPU goes on.
func TestCUDALostInTraining(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_FAIL_AFTER=1000") {
		return
	}
	const want = "; the device is lost to this process, which has to be started again"
	d := gpu(t)
	steps := 0
	train := trainer(d)
	deadline(t, "training on a device that gets lost", func() {
		for steps < 1000 {
			err := tensor.Try(func() { train() })
			if err != nil {
				if !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), "tensor: ") {
					t.Errorf("step %d: got %v, want a sentence that ends with %s", steps, err, want)
				}
				return
			}
			steps++
		}
	})
	if steps == 0 || steps == 1000 {
		t.Errorf("the device was lost after %d steps, want it in the middle", steps)
	}
	x := tensor.Ones(3)
	for what, f := range map[string]func(){
		"another step":  func() { train() },
		"a new tensor":  func() { x.To(d).Sum().Item() },
		"a new trainer": func() { trainer(d)() },
	} {
		deadline(t, what, func() {
			if err := tensor.Try(f); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s: got %v, want a sentence that ends with %s", what, err, want)
			}
		})
	}
	runtime.GC() // what the collector finds needs no device
	cpu := trainer(tensor.CPU)
	if first, second := cpu(), cpu(); !(second < first) {
		t.Errorf("the CPU's losses afterwards are %v, %v, want them to go down", first, second)
	}
}

// An operation that finds no room names itself, the shape and the use of memory, in
// one sentence; afterwards the device computes as before.
func TestCUDAOutOfMemoryInTraining(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_MEMORY=54000000") {
		return
	}
	d := gpu(t)
	train := trainer(d)
	before := train()
	large := []*T{tensor.Ones(1000, 1000).To(d)}
	var err error
	for err == nil && len(large) < 100 {
		err = tensor.Try(func() { large = append(large, large[0].MulScalar(2)) })
	}
	if !errors.Is(err, tensor.ErrOutOfMemory) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v, want one sentence that wraps ErrOutOfMemory", err)
	}
	for _, part := range []string{"tensor: MulScalar: ", "[1000 1000] of float32 on cuda:0", ": tensors hold ", "at most ", "a smaller batch takes less"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want %q in it", err, part)
		}
	}
	for _, x := range large {
		friends.Release(x)
	}
	if after := train(); !(after < before) {
		t.Errorf("the loss is %v after %v before the device was full, want a step as any other", after, before)
	}
}

// trainer returns a function that makes a training step of a small net on a device
// and returns its loss.
func trainer(d *tensor.Device) func() float64 {
	tensor.ManualSeed(5)
	model := layers.NewSequential(
		layers.NewConv2d(3, 8, 3, layers.ConvOpts{Padding: 1}),
		layers.NewBatchNorm2d(8),
		layers.ReLU{Inplace: true},
		layers.NewMaxPool2d(2, 2),
		layers.Flatten{},
		layers.NewLinear(8*4*4, 10),
	)
	x, y := tensor.Randn(16, 3, 8, 8), tensor.RandInt(0, 10, 16)
	layers.To(model, d)
	x, y = x.To(d), y.To(d)
	o := optim.NewAdam(layers.Parameters(model), 0.001)
	return func() float64 {
		o.ZeroGrad()
		loss := layers.CrossEntropyLoss{}.Forward(model.Forward(x), y)
		loss.Backward()
		o.Step()
		return loss.Item()
	}
}

// Two devices train at the same time in one program, and neither sees the other.
func TestCUDATwoDevicesTrain(t *testing.T) {
	if sim.Simulated() && !sim.Again(t, "WICK_SIM_DEVICES=2") {
		return
	}
	first := gpu(t)
	second, err := tensor.CUDA(1)
	if err != nil {
		t.Skip("this test needs two devices: ", err)
	}
	if first == second || second.String() != "cuda:1" {
		t.Fatalf("got the devices %s and %s, want cuda:0 and cuda:1", first, second)
	}
	for _, d := range []*tensor.Device{first, second} {
		d.SetDeterministic(true)
		defer d.SetDeterministic(false)
	}
	var losses [2][]float64
	var wg sync.WaitGroup
	for i, d := range []*tensor.Device{first, second} {
		d.SetDeterministic(true)
		train := trainer(d)
		wg.Go(func() {
			for range 20 {
				losses[i] = append(losses[i], train())
			}
		})
	}
	wg.Wait()
	if !slices.Equal(losses[0], losses[1]) {
		t.Errorf("got the losses\n%v and\n%v, want the same", losses[0], losses[1])
	}
	if l := losses[0]; !(l[len(l)-1] < l[0]) {
		t.Errorf("the losses are %v, want them to go down", l)
	}
	x := tensor.Arange(0, 6, 1).To(first).To(second)
	if x.Device() != second || x.Sum().Item() != 15 {
		t.Errorf("moved from one to the other: got %v on %s, want a sum of 15 on cuda:1", x, x.Device())
	}
	err = tensor.Try(func() { x.Add(x.To(first)) })
	if want := "tensor: Add: one operand is on cuda:1, another on cuda:0; To moves a tensor"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
