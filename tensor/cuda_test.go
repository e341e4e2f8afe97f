//go:build cuda && linux

package tensor_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func TestMain(m *testing.M) { sim.Main(m) }

func gpu(t testing.TB) *tensor.Device {
	t.Helper()
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	d.SetDeterministic(true) // since tests compare bits
	return d
}

// testDevices are the devices that are held to the reference tables.
func testDevices(t *testing.T) []*tensor.Device {
	t.Helper()
	return []*tensor.Device{tensor.CPU, gpu(t)}
}

func TestCUDADevice(t *testing.T) {
	d := gpu(t)
	if again := gpu(t); again != d || tensor.BestDevice() != d {
		t.Errorf("CUDA(0) is %p, then %p, and BestDevice %p; want one device", d, again, tensor.BestDevice())
	}
	if d.String() != "cuda:0" {
		t.Errorf("String() = %q, want cuda:0", d)
	}
	x := tensor.Arange(0, 6, 1).Reshape(2, 3)
	y := x.To(d)
	if y.Device() != d || y.Sum().Item() != 15 {
		t.Errorf("on %s the sum is %v, want 15 on cuda:0", y.Device(), y.Sum().Item())
	}
}

func TestCUDAOfDifferentDevices(t *testing.T) {
	x := tensor.Ones(2)
	err := tensor.Try(func() { x.Add(x.To(gpu(t))) })
	if want := "tensor: Add: one operand is on cpu, another on cuda:0; To moves a tensor"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCUDAAbsent(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_DEVICES=0") {
		return
	}
	if d := tensor.BestDevice(); d != tensor.CPU {
		t.Errorf("BestDevice() = %s, want the CPU", d)
	}
	if _, err := tensor.CUDA(0); err == nil || !strings.HasPrefix(err.Error(), "tensor: cuda:0: the driver finds no GPU") {
		t.Errorf("CUDA(0): got %v, want an error that says that there is no GPU", err)
	}
}

func TestCUDAOutOfMemory(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_MEMORY=10000000") {
		return
	}
	x := tensor.Ones(1000, 1000).To(gpu(t))
	y := x.Mul(x)
	err := tensor.Try(func() { x.Add(y) })
	var e *tensor.Error
	if !errors.Is(err, tensor.ErrOutOfMemory) || !errors.As(err, &e) || e.Op != "Add" {
		t.Fatalf("got %v, want an *Error of Add that wraps ErrOutOfMemory", err)
	}
	if want := "out of memory for [1000 1000] of float32 on cuda:0: the device has no room for 3.8 MiB"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s in it", err, want)
	}
	if got := y.Sum().Item(); got != 1e6 {
		t.Errorf("afterwards the sum of y is %v, want 1e6", got)
	}
}

func TestCUDALost(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_FAIL_AFTER=0") {
		return
	}
	d := gpu(t)
	err := tensor.Try(func() { tensor.Ones(3).To(d).ToDType(tensor.Float64).Sum().Item() })
	var e *tensor.Error
	if !errors.As(err, &e) || !strings.Contains(err.Error(), "the device is lost") {
		t.Errorf("got %v, want an *Error that says that the device is lost", err)
	}
}

// TestCUDABadIndex gives operations indices out of range: the sentence is the CPU's,
// and comes when something is read.
func TestCUDABadIndex(t *testing.T) {
	d := gpu(t)
	x, w := tensor.Randn(4, 3), tensor.Randn(5, 2)
	for _, c := range []struct {
		name string
		f    func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor
	}{
		{"CrossEntropy", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return tensor.CrossEntropy(at(x), at(tensor.From([]int64{0, 2, 3, -1})), tensor.CrossEntropyOpts{})
		}},
		{"CrossEntropy with weights", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return tensor.CrossEntropy(at(x), at(tensor.From([]int64{0, -100, 7, 1})), tensor.CrossEntropyOpts{Weight: at(tensor.Ones(3)), LabelSmoothing: 0.1})
		}},
		{"Embedding", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return tensor.Embedding(at(w), at(tensor.From([]int64{0, 4, 5, 6}, 2, 2)))
		}},
		{"Gather", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return at(x).Gather(1, at(tensor.From([]int64{0, 2, 1, -2}, 2, 2)))
		}},
		{"ScatterAdd", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return at(x).ScatterAdd(0, at(tensor.From([]int64{0, 2, 4, 1}, 2, 2)), at(tensor.Ones(2, 2)))
		}},
		{"IndexAdd", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return at(x).IndexAdd(1, at(tensor.From([]int64{0, 3})), at(tensor.Ones(4, 2)))
		}},
		{"OneHot", func(at func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
			return tensor.OneHot(at(tensor.From([]int64{0, 3, 4, -1}, 2, 2)), 4)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := tensor.Try(func() { c.f(func(x *tensor.Tensor) *tensor.Tensor { return x }) })
			if want == nil {
				t.Fatal("the CPU takes the index")
			}
			var y *tensor.Tensor
			if err := tensor.Try(func() { y = c.f(func(x *tensor.Tensor) *tensor.Tensor { return x.To(d) }) }); err != nil {
				t.Fatalf("got %v at once, want it told by Float64s", err)
			}
			got := tensor.Try(func() { y.Float64s() })
			var e *tensor.Error
			if !errors.As(got, &e) || got.Error() != want.Error() {
				t.Errorf("got %v, want %v", got, want)
			}
			if err := tensor.Try(func() { y.Float64s() }); err != nil {
				t.Errorf("then got %v, want it told once", err)
			}
		})
	}
}

// TestCUDATraining trains a net on the CPU and on the GPU.
func TestCUDATraining(t *testing.T) {
	want := losses(tensor.CPU)
	got := losses(gpu(t))
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-4 {
			t.Errorf("step %d: the loss is %v, want the CPU's %v", i, got[i], want[i])
		}
	}
	if last := want[len(want)-1]; last > want[0]/2 {
		t.Errorf("the loss is %v after %d steps, want less than half of %v", last, len(want), want[0])
	}
}

// losses trains on a device for ten steps.
func losses(d *tensor.Device) (l []float64) {
	tensor.ManualSeed(3)
	model := layers.NewSequential(
		layers.NewConv2d(3, 8, 3, layers.ConvOpts{Padding: 1}),
		layers.NewBatchNorm2d(8),
		layers.ReLU{Inplace: true},
		layers.NewMaxPool2d(2, 2),
		layers.NewConv2d(8, 8, 3, layers.ConvOpts{Stride: 2}),
		layers.ReLU{},
		layers.Flatten{},
		layers.NewLinear(8*3*3, 10),
	)
	x, y := tensor.Randn(20, 3, 16, 16), tensor.RandInt(0, 10, 20)
	layers.To(model, d)
	x, y = x.To(d), y.To(d)
	o := optim.NewSGD(layers.Parameters(model), 0.1)
	o.Momentum = 0.9
	for range 10 {
		o.ZeroGrad()
		loss := tensor.CrossEntropy(model.Forward(x), y, tensor.CrossEntropyOpts{})
		loss.Backward()
		o.Step()
		l = append(l, loss.Item())
	}
	return l
}

// TestCUDALoader ranges over batches that are made and uploaded ahead of the loop.
func TestCUDALoader(t *testing.T) {
	d := gpu(t)
	set := datasets.NewShapes(datasets.ShapesOpts{})
	on := func(device *tensor.Device) *datasets.DataLoader {
		return &datasets.DataLoader{Dataset: datasets.Slice(set, 0, 300), BatchSize: 32, Shuffle: true, Seed: 5, Workers: 3, Device: device}
	}
	type batch struct {
		images []float32
		labels []int64
	}
	var want []batch
	for x, y := range on(tensor.CPU).All() {
		want = append(want, batch{x.Floats(), y.Ints()})
	}
	loader := on(d)
	n := 0
	for x, y := range loader.All() {
		if x.Device() != d || y.Device() != d {
			t.Fatalf("batch %d is on %s and %s, want %s", n, x.Device(), y.Device(), d)
		}
		z := x.MulScalar(2) // while the next batches are on their way
		if !slices.Equal(x.Floats(), want[n].images) || !slices.Equal(y.Ints(), want[n].labels) {
			t.Errorf("batch %d is not the CPU's", n)
		}
		if got, w := z.Floats()[7], 2*want[n].images[7]; got != w {
			t.Errorf("batch %d: twice element 7 is %v, want %v", n, got, w)
		}
		n++
	}
	if err := loader.Err(); err != nil || n != len(want) {
		t.Errorf("got %d batches and %v, want %d", n, err, len(want))
	}
}

// TestCUDANoWaits trains with several optimizers and losses and counts how often the
// host waits for the device between reads.
func TestCUDANoWaits(t *testing.T) {
	d := gpu(t)
	sim.Waits(t)
	set := datasets.Slice(datasets.NewShapes(datasets.ShapesOpts{}), 0, 96)
	smooth := layers.CrossEntropyLoss{LabelSmoothing: 0.1}
	for _, c := range []struct {
		name  string
		optim func([]*tensor.Tensor) optim.Optimizer
		loss  func(x, y *tensor.Tensor) *tensor.Tensor
	}{
		{"SGD", func(p []*tensor.Tensor) optim.Optimizer { return optim.NewSGD(p, 0.1) }, layers.CrossEntropyLoss{}.Forward},
		{"Adam", func(p []*tensor.Tensor) optim.Optimizer { return optim.NewAdam(p, 0.001) }, smooth.Forward},
		{"RMSprop", func(p []*tensor.Tensor) optim.Optimizer { return optim.NewRMSprop(p, 0.001) }, func(x, y *tensor.Tensor) *tensor.Tensor {
			return tensor.NLLLoss(x.LogSoftmax(1), y, tensor.NLLLossOpts{Weight: tensor.Ones(10).To(d)})
		}},
		{"bfloat16", func(p []*tensor.Tensor) optim.Optimizer { return optim.NewSGD(p, 0.1) }, func(x, y *tensor.Tensor) *tensor.Tensor {
			return tensor.CrossEntropy(x.Autocast(tensor.BFloat16).MulScalar(0.5), y, tensor.CrossEntropyOpts{})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			model := layers.NewSequential(
				layers.NewConv2d(3, 4, 3, layers.ConvOpts{Stride: 4}),
				layers.NewBatchNorm2d(4), layers.ReLU{}, layers.NewMaxPool2d(2, 2), layers.NewDropout(0.1),
				layers.Flatten{}, layers.NewLinear(4*4*4, 10),
			)
			layers.To(model, d)
			o := c.optim(layers.Parameters(model))
			total := tensor.Zeros().To(d)
			loader := &datasets.DataLoader{Dataset: set, BatchSize: 24, Workers: 2, Device: d}
			for range 2 {
				steps := 0
				before := sim.Waits(t)
				for x, y := range loader.All() {
					o.ZeroGrad()
					loss := c.loss(model.Forward(x), y)
					loss.Backward()
					o.Step()
					total.AddInPlace(loss)
					steps++
				}
				if got := sim.Waits(t) - before; got != 0 || steps != 4 || loader.Err() != nil {
					t.Errorf("the host waited %d times in %d steps (%v), want none in 4", got, steps, loader.Err())
				}
			}
			before := sim.Waits(t)
			if v := total.Item(); math.IsNaN(v) || v <= 0 {
				t.Errorf("the losses add up to %v", v)
			}
			if got := sim.Waits(t) - before; got != 1 {
				t.Errorf("Item waited %d times, want once", got)
			}
		})
	}
}

// TestCUDACaptureWithLoader captures a step while the loader's workers upload, and has
// the losses of the same steps without a graph, with no wait.
func TestCUDACaptureWithLoader(t *testing.T) {
	d := gpu(t)
	waits := func() int {
		if !sim.Simulated() {
			return 0 // a real driver does not tell
		}
		return sim.Waits(t)
	}
	set := datasets.Slice(datasets.NewShapes(datasets.ShapesOpts{}), 0, 240)
	train := func(capture bool) []float32 {
		tensor.ManualSeed(4)
		model := layers.NewSequential(layers.NewConv2d(3, 4, 3, layers.ConvOpts{Stride: 4}), layers.ReLU{}, layers.Flatten{}, layers.NewLinear(4*8*8, 10))
		layers.To(model, d)
		o := optim.NewSGD(layers.Parameters(model), 0.1)
		step := func(x, y *tensor.Tensor) *tensor.Tensor {
			o.ZeroGrad()
			loss := tensor.CrossEntropy(model.Forward(x), y, tensor.CrossEntropyOpts{})
			loss.Backward()
			o.Step()
			return loss
		}
		if capture {
			c := tensor.Capture(d, step)
			defer func() {
				if err := c.Err(); err != nil {
					t.Errorf("the step is not captured: %v", err)
				}
				c.Close()
			}()
			step = c.Run
		}
		// Collated images are sent as numbers, of more than 64 KiB a batch.
		collate := func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) {
			return tensor.Stack(0, xs...), tensor.Stack(0, ys...), nil
		}
		loader := &datasets.DataLoader{Dataset: set, BatchSize: 24, Workers: 2, Device: d, Collate: collate}
		losses := tensor.Zeros(10).To(d)
		before, i := waits(), 0
		for x, y := range loader.All() {
			losses.Narrow(0, i, 1).CopyFrom(step(x, y).Reshape(1))
			i++
		}
		if got := waits() - before; got != 0 || i != 10 || loader.Err() != nil {
			t.Errorf("captured %v: the host waited %d times in %d steps (%v), want none in 10", capture, got, i, loader.Err())
		}
		return losses.Floats()
	}
	want := train(false)
	got := train(true)
	if !slices.Equal(got, want) || want[9] >= want[0] {
		t.Errorf("the losses are %v, want %v, going down", got, want)
	}
}
