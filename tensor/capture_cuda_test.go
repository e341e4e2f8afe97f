//go:build cuda && linux

package tensor_test

import (
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// keeper is an optimizer with a state.
type keeper interface {
	optim.Optimizer
	State() (optim.State, iter.Seq2[string, *tensor.Tensor])
}

// optimizers are those of package optim, with options that make them keep all that
// they know to keep.
var optimizers = []struct {
	name string
	make func(params []*tensor.Tensor) keeper
}{
	{"SGD", func(ps []*tensor.Tensor) keeper { return optim.NewSGD(ps, 0.05) }},
	{"SGD with momentum", func(ps []*tensor.Tensor) keeper {
		o := optim.NewSGD(ps, 0.05)
		o.Momentum, o.Nesterov, o.WeightDecay = 0.9, true, 1e-3
		return o
	}},
	{"Adam", func(ps []*tensor.Tensor) keeper { return optim.NewAdam(ps, 0.01) }},
	{"Adam with AMSGrad", func(ps []*tensor.Tensor) keeper {
		o := optim.NewAdam(ps, 0.01)
		o.AMSGrad = true
		return o
	}},
	{"AdamW of two groups", func(ps []*tensor.Tensor) keeper {
		o := optim.NewAdamW(ps[:2], 0.01)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.02, WeightDecay: new(0.1), Betas: &[2]float64{0.8, 0.99}})
		return o
	}},
	{"RMSprop", func(ps []*tensor.Tensor) keeper {
		o := optim.NewRMSprop(ps, 0.01)
		o.Momentum, o.Centered = 0.9, true
		return o
	}},
	{"Adagrad", func(ps []*tensor.Tensor) keeper {
		o := optim.NewAdagrad(ps, 0.05)
		o.LRDecay = 0.1
		return o
	}},
	{"Lion", func(ps []*tensor.Tensor) keeper { return optim.NewLion(ps, 0.01) }},
	{"NAdam", func(ps []*tensor.Tensor) keeper { return optim.NewNAdam(ps, 0.01) }},
	{"RAdam", func(ps []*tensor.Tensor) keeper { return optim.NewRAdam(ps, 0.01) }},
	{"Adadelta", func(ps []*tensor.Tensor) keeper { return optim.NewAdadelta(ps, 0.01) }},
	{"Adamax", func(ps []*tensor.Tensor) keeper { return optim.NewAdamax(ps, 0.01) }},
	{"ASGD", func(ps []*tensor.Tensor) keeper { return optim.NewASGD(ps, 0.01) }},
	{"Rprop", func(ps []*tensor.Tensor) keeper { return optim.NewRprop(ps, 0.01) }},
	{"Muon and AdamW", func(ps []*tensor.Tensor) keeper {
		var matrices, others []*tensor.Tensor
		for _, p := range ps {
			if len(p.Shape()) == 2 {
				matrices = append(matrices, p)
			} else {
				others = append(others, p)
			}
		}
		return &both{optim.NewMuon(matrices, 0.01), optim.NewAdamW(others, 0.01)}
	}},
}

// both is two optimizers as one, whose state is that of the first.
type both struct {
	*optim.Muon
	others *optim.Adam
}

func (b *both) Step() {
	b.Muon.Step()
	b.others.Step()
}

func (b *both) ZeroGrad() {
	b.Muon.ZeroGrad()
	b.others.ZeroGrad()
}

// net is a model with all kinds of state, an optimizer, and a step that waits for
// nothing.
type net struct {
	model     *layers.Sequential
	optimizer keeper
}

func newNet(d *tensor.Device, optimizer func(params []*tensor.Tensor) keeper) *net {
	tensor.ManualSeed(1)
	model := layers.NewSequential(
		layers.NewConv2d(1, 3, 3, layers.ConvOpts{Padding: 1}),
		layers.NewBatchNorm2d(3),
		layers.ReLU{Inplace: true},
		layers.NewMaxPool2d(2, 2),
		layers.Flatten{},
		layers.NewDropout(0.3),
		layers.NewLinear(12, 2),
	)
	layers.To(model, d)
	return &net{model, optimizer(layers.Parameters(model))}
}

func (n *net) step(x, y *tensor.Tensor) *tensor.Tensor {
	n.optimizer.ZeroGrad()
	loss := n.model.Forward(x).Sub(y).Square().Mean()
	loss.Backward()
	n.optimizer.Step()
	return loss
}

// batches are those of an epoch, the last one smaller, each in a scope of its own.
func batches(d *tensor.Device, epoch int) iter.Seq2[*tensor.Tensor, *tensor.Tensor] {
	g := tensor.NewGenerator(uint64(epoch))
	return func(yield func(x, y *tensor.Tensor) bool) {
		for i := range 3 {
			n := 4
			if i == 2 {
				n = 3
			}
			s := tensor.NewScope()
			ok := yield(g.Randn(n, 1, 4, 4).In(s).To(d), g.Randn(n, 2).In(s).To(d))
			s.Close()
			if !ok {
				return
			}
		}
	}
}

// epochs trains and returns all that training leaves: losses after each epoch,
// parameters and running statistics, their gradients, the optimizer's state, and
// that of the default generator.
func (n *net) epochs(d *tensor.Device, epochs int, step func(x, y *tensor.Tensor) *tensor.Tensor) map[string]string {
	left := map[string]string{}
	schedule := sched.NewStepLR(n.optimizer, 1, 0.5)
	for epoch := range epochs {
		var losses []*tensor.Tensor
		for x, y := range batches(d, epoch) {
			losses = append(losses, step(x, y).Keep())
		}
		schedule.Step()
		for i, l := range losses {
			left[fmt.Sprintf("loss %d.%d", epoch, i)] = fmt.Sprint(l.Raw())
		}
	}
	n.look(left)
	return left
}

func (n *net) look(left map[string]string) {
	for name, t := range layers.StateDict(n.model) {
		left[name] = fmt.Sprint(t.Raw())
		if g := t.Grad(); g != nil {
			left["gradient of "+name] = fmt.Sprint(g.Raw())
		}
	}
	state, tensors := n.optimizer.State()
	left["state"] = fmt.Sprint(state)
	for name, t := range tensors {
		left["state "+name] = fmt.Sprint(t.Raw())
	}
	seed, offset := tensor.DefaultGenerator().State()
	left["generator"] = fmt.Sprint(seed, offset)
}

// compare tells what of two trainings differs.
func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("training left %v, want %v", g, w)
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			t.Errorf("%s differs", k)
		}
	}
}

// steady is gpu with convolutions that give the same bits each time.
func steady(t testing.TB) *tensor.Device {
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	d.SetDeterministic(true)
	t.Cleanup(func() { d.SetDeterministic(false) })
	return d
}

// captured is Capture, but closed when the test ends.
func captured(t testing.TB, d *tensor.Device, step func(x, y *tensor.Tensor) *tensor.Tensor) *tensor.CapturedStep {
	c := tensor.Capture(d, step)
	t.Cleanup(c.Close)
	return c
}

// counted counts the calls of a step.
func counted(n *int, step func(x, y *tensor.Tensor) *tensor.Tensor) func(x, y *tensor.Tensor) *tensor.Tensor {
	return func(x, y *tensor.Tensor) *tensor.Tensor {
		*n++
		return step(x, y)
	}
}

func TestCaptureTrains(t *testing.T) {
	d := steady(t)
	for _, row := range optimizers {
		t.Run(row.name, func(t *testing.T) {
			eager := newNet(d, row.make)
			want := eager.epochs(d, 3, eager.step)
			graphed, calls := newNet(d, row.make), 0
			c := captured(t, d, counted(&calls, graphed.step))
			compare(t, graphed.epochs(d, 3, c.Run), want)
			if err := c.Err(); err != nil || calls != 4 {
				t.Errorf("the step was called %d times, and Err is %v; want two calls for each of two sizes of batches, and nil", calls, err)
			}
		})
	}
}

// TestCaptureBesideOthers evaluates and trains others between the runs of a step.
func TestCaptureBesideOthers(t *testing.T) {
	d := steady(t)
	adam := optimizers[2].make
	eager := newNet(d, adam)
	want := eager.epochs(d, 3, eager.step)
	a, b := newNet(d, adam), newNet(d, adam)
	first, second := captured(t, d, a.step), captured(t, d, b.step)
	calls := 0
	tensor.ManualSeed(1)
	newNet(d, adam) // draws what a's weights drew
	got := a.epochs(d, 3, func(x, y *tensor.Tensor) *tensor.Tensor {
		seed, offset := tensor.DefaultGenerator().State()
		if calls++; calls%3 == 0 { // evaluation, whose memory comes and goes
			layers.Eval(a.model)
			z := a.model.Forward(x.NoGrad()).Sub(y).Square().Mean()
			layers.Train(a.model)
			z.Item()
		}
		b.optimizer.SetLRs(a.optimizer.LRs())
		second.Run(x, y)
		tensor.DefaultGenerator().SetState(seed, offset)
		return first.Run(x, y)
	})
	compare(t, got, want)
	b.optimizer.SetLRs(a.optimizer.LRs())
	left := map[string]string{}
	b.look(left)
	for k, v := range left {
		if got[k] != v {
			t.Errorf("%s of the second model differs", k)
		}
	}
	if first.Err() != nil || second.Err() != nil {
		t.Errorf("Err is %v and %v, want nil", first.Err(), second.Err())
	}
}

// TestCaptureMixesWithEager makes every third step operation by operation.
func TestCaptureMixesWithEager(t *testing.T) {
	d := steady(t)
	sgd := optimizers[1].make
	eager := newNet(d, sgd)
	want := eager.epochs(d, 4, eager.step)
	n, i := newNet(d, sgd), 0
	c := captured(t, d, n.step)
	got := n.epochs(d, 4, func(x, y *tensor.Tensor) *tensor.Tensor {
		if i++; i%3 == 2 {
			return n.step(x, y)
		}
		return c.Run(x, y)
	})
	compare(t, got, want)
}

// TestCaptureAutocast captures a step of mixed precision.
func TestCaptureAutocast(t *testing.T) {
	d := steady(t)
	train := func(run func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor) map[string]string {
		n := newNet(d, optimizers[2].make)
		step := run(n)
		return n.epochs(d, 3, func(x, y *tensor.Tensor) *tensor.Tensor { return step(x.Autocast(tensor.BFloat16), y) })
	}
	want := train(func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor { return n.step })
	var c *tensor.CapturedStep
	compare(t, train(func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor {
		c = captured(t, d, n.step)
		return c.Run
	}), want)
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v, want nil", err)
	}
	plain := newNet(d, optimizers[2].make)
	plainWant := plain.epochs(d, 3, plain.step)
	if plainWant["6.weight"] == want["6.weight"] {
		t.Error("Autocast made no difference")
	}
}

// TestCaptureNumbers changes all that an optimizer reads between the runs.
func TestCaptureNumbers(t *testing.T) {
	d := steady(t)
	change := func(o *optim.Adam, i int) {
		o.Groups[0].LR = 0.01 / float64(i+1)
		o.WeightDecay, o.Eps = 0.01*float64(i), 1e-8*float64(i+1)
		o.SetMomentum(0.9 - 0.05*float64(i))
		tensor.ManualSeed(uint64(100 + i))
	}
	train := func(capture bool) map[string]string {
		n := newNet(d, optimizers[2].make)
		step := n.step
		if capture {
			step = captured(t, d, n.step).Run
		}
		i := 0
		return n.epochs(d, 3, func(x, y *tensor.Tensor) *tensor.Tensor {
			change(n.optimizer.(*optim.Adam), i)
			i++
			return step(x, y)
		})
	}
	compare(t, train(true), train(false))
}

// TestCaptureOfChanges captures again what is no longer the same step.
func TestCaptureOfChanges(t *testing.T) {
	d := steady(t)
	for _, row := range []struct {
		name   string
		change func(n *net)
		calls  int // of the step, of both sizes of batches
	}{
		{"nothing", func(n *net) {}, 4},
		{"momentum is switched on", func(n *net) { n.optimizer.(*optim.SGD).Momentum = 0.9 }, 8},
		{"a parameter is frozen", func(n *net) { n.model.Layers()[6].(*layers.Linear).Weight.SetRequiresGrad(false) }, 8},
		{"the model is moved", func(n *net) {
			layers.To(n.model, tensor.CPU)
			layers.To(n.model, d)
		}, 8},
		{"a parameter is left out", func(n *net) {
			o := n.optimizer.(*optim.SGD)
			o.Groups[0].Params[0].SetRequiresGrad(false)
			o.Groups[0].Params = o.Groups[0].Params[1:]
		}, 8},
		{"the state is loaded", func(n *net) {
			state, tensors := n.optimizer.State()
			if err := n.optimizer.(*optim.SGD).LoadState(state, tensors); err != nil {
				panic(err)
			}
		}, 8},
		{"weights are written", func(n *net) { n.model.Layers()[6].(*layers.Linear).Weight.MulScalarInPlace(0.5) }, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			train := func(capture bool) (left map[string]string, calls int, err error) {
				n := newNet(d, optimizers[0].make)
				step := n.step
				if capture {
					c := captured(t, d, counted(&calls, n.step))
					defer func() { err = c.Err() }()
					step = c.Run
				}
				i := 0
				return n.epochs(d, 6, func(x, y *tensor.Tensor) *tensor.Tensor {
					if i++; i == 10 {
						row.change(n)
					}
					return step(x, y)
				}), calls, nil
			}
			want, _, _ := train(false)
			got, calls, err := train(true)
			compare(t, got, want)
			if err != nil || calls != row.calls {
				t.Errorf("the step was called %d times, and Err is %v; want %d times, and nil", calls, err, row.calls)
			}
		})
	}
}

func TestCaptureRefuses(t *testing.T) {
	d := steady(t)
	for _, row := range []struct {
		name string
		step func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor
		want string
	}{
		{"Item", func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor {
			return func(x, y *tensor.Tensor) *tensor.Tensor {
				loss := n.step(x, y)
				loss.Item()
				return loss
			}
		}, "tensor: Capture: the step waits for the device in Item (capture_cuda_test.go:"},
		{"upload", func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor {
			return func(x, y *tensor.Tensor) *tensor.Tensor { return n.step(x, y.Add(tensor.Ones(y.Shape()...).To(d))) }
		}, "tensor: Capture: the step takes numbers from the host's memory in To (capture_cuda_test.go:"},
		{"ZeroGrad outside", func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor {
			return func(x, y *tensor.Tensor) *tensor.Tensor {
				loss := n.model.Forward(x).Sub(y).Square().Mean()
				loss.Backward()
				return loss
			}
		}, "tensor: Capture: the step adds to a gradient that it has not set to zero in Backward (capture_cuda_test.go:"},
		{"a size that the numbers decide", func(n *net) func(x, y *tensor.Tensor) *tensor.Tensor {
			return func(x, y *tensor.Tensor) *tensor.Tensor { return y.Nonzero() }
		}, "tensor: Capture: the step waits for the device in Nonzero (capture_cuda_test.go:"},
	} {
		t.Run(row.name, func(t *testing.T) {
			eager := newNet(d, optimizers[1].make)
			want := eager.epochs(d, 2, row.step(eager))
			n, calls := newNet(d, optimizers[1].make), 0
			c := captured(t, d, counted(&calls, row.step(n)))
			compare(t, n.epochs(d, 2, c.Run), want)
			if err := c.Err(); err == nil || !strings.HasPrefix(err.Error(), row.want) || calls != 6 {
				t.Errorf("the step was called %d times, and Err is %v; want 6 times, and %s…", calls, err, row.want)
			}
		})
	}
}

func TestCaptureRefusesBatches(t *testing.T) {
	d := steady(t)
	calls := 0
	c := captured(t, d, counted(&calls, func(x, y *tensor.Tensor) *tensor.Tensor { return x.Sum() }))
	run := func(x *tensor.Tensor, want float64) {
		t.Helper()
		if got := c.Run(x, nil).Item(); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	x := tensor.Arange(0, 12, 1).ToDType(tensor.Float32).To(d)
	for range 3 {
		run(x.Narrow(0, 1, 11).SetRequiresGrad(true), 66)
	}
	if err, want := c.Err(), "tensor: Capture: a tensor float32 [11] requires a gradient or carries a watch, which a graph cannot serve"; err == nil || err.Error() != want || calls != 3 {
		t.Errorf("after %d calls Err is %v, want %s", calls, err, want)
	}
	for range 4 { // four kinds of batches get graphs
		run(x, 66)
		run(x.View(3, 4), 66)
		run(x.ToDType(tensor.Float64), 66)
		run(x.NoGrad(), 66)
		if c.Err() != nil {
			t.Errorf("Err is %v, want nil", c.Err())
		}
	}
	if calls != 3+8 {
		t.Errorf("the step was called %d times for four kinds of batches, want 8", calls-3)
	}
	for range 3 {
		run(x.View(4, 3), 66)
	}
	if err, want := c.Err(), "tensor: Capture: there are graphs for 4 kinds of batches already, and no more are made"; err == nil || err.Error() != want || calls != 3+8+3 {
		t.Errorf("after %d calls Err is %v, want %s", calls, err, want)
	}
	run(x, 66)
	if err := c.Err(); err != nil || calls != 3+8+3 {
		t.Errorf("with the first kind of batch: %d calls and Err is %v, want no call and nil", calls, err)
	}
	err := tensor.Try(func() { c.Run(tensor.Ones(2), nil) })
	if want := "tensor: CapturedStep.Run: a tensor float32 [2] is on cpu, the step is captured on cuda:0; To moves a tensor"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestCaptureFails has a step wait for the device when it is captured, and not
// before.
func TestCaptureFails(t *testing.T) {
	d := steady(t)
	x := tensor.Arange(0, 12, 1).ToDType(tensor.Float32).To(d)
	collect()
	live := d.MemoryStats().Live
	calls := 0
	c := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor {
		z := x.Mul(x)
		if calls++; calls == 2 {
			z.Item()
		}
		return z.Sum()
	})
	run := func() {
		t.Helper()
		s := tensor.NewScope()
		defer s.Close()
		if got := c.Run(x.MulScalar(1).In(s), nil).Item(); got != 506 {
			t.Errorf("got %v, want 506", got)
		}
	}
	run()
	err := tensor.Try(func() {
		s := tensor.NewScope()
		defer s.Close()
		c.Run(x.MulScalar(1).In(s), nil)
	})
	if err == nil || !strings.HasPrefix(err.Error(), "tensor: Item: the tensor [12] has 12 elements") {
		t.Errorf("got %v, want an error of Item", err)
	}
	if err, want := c.Err(), "tensor: Capture: the step failed while it was captured"; err == nil || err.Error() != want {
		t.Errorf("Err is %v, want %s", err, want)
	}
	run()
	c.Close()
	calls = 0
	c = captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor {
		z := x.Mul(x).Sum()
		if calls++; calls == 2 {
			z.Item()
		}
		return z
	})
	run()
	err = tensor.Try(func() { c.Run(x, nil) })
	want := "tensor: Capture: the step waits for the device in Item (capture_cuda_test.go:"
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), ", which it did not when it was rehearsed") || c.Err() == nil || c.Err().Error() != err.Error() {
		t.Errorf("got %v, and Err is %v; want %s…", err, c.Err(), want)
	}
	run()
	if calls != 3 {
		t.Errorf("the step was called %d times, want 3", calls)
	}
	c.Close()
	collect()
	runtime.KeepAlive(x)
	if got := d.MemoryStats().Live; got != live {
		t.Errorf("%d bytes are live, want the %d of before", got, live)
	}
}

// TestCaptureThatNeverLasts makes again what it uses each time.
func TestCaptureThatNeverLasts(t *testing.T) {
	d := steady(t)
	calls := 0
	var w *tensor.Tensor
	c := captured(t, d, counted(&calls, func(x, y *tensor.Tensor) *tensor.Tensor { return x.Mul(w).Sum() }))
	x := tensor.Arange(0, 4, 1).ToDType(tensor.Float32).To(d)
	for i := range 10 {
		s := tensor.NewScope()
		w = tensor.Full(float64(i), 4).In(s).To(d)
		if got, want := c.Run(x, nil).Item(), 6*float64(i); got != want {
			t.Errorf("run %d: got %v, want %v", i, got, want)
		}
		s.Close()
	}
	if err, want := c.Err(), "tensor: Capture: the step gives back or makes again memory that it uses each time, so that no graph of it lasts"; err == nil || err.Error() != want || calls != 10 {
		t.Errorf("after %d calls Err is %v, want 10 and %s", calls, err, want)
	}
}

// collect has the garbage collector find what earlier tests left, so that books are
// of this one alone.
func collect() {
	for range 3 {
		runtime.GC()
		time.Sleep(20 * time.Millisecond) // cleanups run in goroutines of their own
	}
}

// TestCaptureMemory looks at the books.
func TestCaptureMemory(t *testing.T) {
	d := steady(t)
	n := newNet(d, optimizers[1].make)
	for x, y := range batches(d, 0) {
		n.step(x, y)
	}
	collect()
	before := d.MemoryStats()
	c := tensor.Capture(d, n.step)
	run := func(epoch int) (s tensor.MemoryStats) {
		for x, y := range batches(d, epoch) {
			c.Run(x, y)
		}
		return d.MemoryStats()
	}
	run(0)
	run(1)
	collect()
	held := run(2)
	if held.Live <= before.Live {
		t.Errorf("%d bytes are live with graphs, want more than the %d of before", held.Live, before.Live)
	}
	for epoch := range 5 {
		if s := run(epoch); s.Live != held.Live || s.Taken != held.Taken {
			t.Errorf("epoch %d: got %+v, want %+v as before", epoch, s, held)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v, want nil", err)
	}
	c.Close()
	c.Close() // does nothing
	if s := d.MemoryStats(); s.Live != before.Live || s.Live+s.Cached != held.Live+held.Cached {
		t.Errorf("after Close: got %+v, want the %d live bytes of before, and the rest of %+v cached", s, before.Live, held)
	}
	for _, p := range layers.Parameters(n.model) {
		p.Grad().Raw() // gradients stay
	}
	eager := newNet(d, optimizers[1].make)
	want := eager.epochs(d, 2, eager.step)
	again := newNet(d, optimizers[1].make)
	c = captured(t, d, again.step)
	c.Close()
	compare(t, again.epochs(d, 2, c.Run), want)
}

// TestCaptureResult looks at whose the result is.
func TestCaptureResult(t *testing.T) {
	d := steady(t)
	w := tensor.Ones(2).To(d)
	for name, step := range map[string]func(x, y *tensor.Tensor) *tensor.Tensor{
		"nothing":   func(x, y *tensor.Tensor) *tensor.Tensor { w.AddInPlace(x); return nil },
		"x":         func(x, y *tensor.Tensor) *tensor.Tensor { w.AddInPlace(x); return x },
		"w":         func(x, y *tensor.Tensor) *tensor.Tensor { w.AddInPlace(x); return w },
		"w, square": func(x, y *tensor.Tensor) *tensor.Tensor { w.AddInPlace(x); return w.Square() },
		"a view":    func(x, y *tensor.Tensor) *tensor.Tensor { w.AddInPlace(x); return x.Add(w).Narrow(0, 1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w.Zero()
			c := captured(t, d, step)
			for i := range 5 {
				s := tensor.NewScope()
				x := tensor.From([]float32{1, float32(i)}, 2).In(s).To(d)
				out := c.Run(x, nil)
				sum := float32(i * (i + 1) / 2)
				var want []float32
				switch name {
				case "x":
					want = []float32{1, float32(i)}
				case "w":
					want = []float32{float32(i + 1), sum}
				case "w, square":
					want = []float32{float32((i + 1) * (i + 1)), sum * sum}
				case "a view":
					want = []float32{float32(i) + sum}
				}
				if (out == nil) != (want == nil) || out != nil && !slices.Equal(out.Floats(), want) {
					t.Errorf("run %d: got %v, want %v", i, out, want)
				}
				if i >= 2 && out != nil && (out.Scope() != s || out.SharesMemory(x) || out.SharesMemory(w)) {
					t.Errorf("run %d: the result is not a copy in x's scope", i)
				}
				s.Close()
			}
			c.Close()
			if got := w.Floats(); !slices.Equal(got, []float32{5, 10}) {
				t.Errorf("w is %v after Close, want [5 10]", got)
			}
		})
	}
}

// TestCaptureOfParametersAlone has an evaluation compute something from its
// parameters alone, which is recorded and meets what is not.
func TestCaptureOfParametersAlone(t *testing.T) {
	d := steady(t)
	w := tensor.Zeros(2).To(d).SetRequiresGrad(true)
	c := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor {
		return x.Mul(w.AddScalar(1).Square()).Add(w.View(1, 2).Select(0, 0))
	})
	for i := range 5 {
		w.Fill(float64(i))
		s := tensor.NewScope()
		out := c.Run(tensor.From([]float32{1, 2}).In(s).To(d).NoGrad(), nil)
		square := float32((i + 1) * (i + 1))
		if got, want := out.Floats(), []float32{square + float32(i), 2*square + float32(i)}; !slices.Equal(got, want) || out.RequiresGrad() {
			t.Errorf("run %d: got %v, recorded %t, want %v", i, got, out.RequiresGrad(), want)
		}
		s.Close()
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v, want nil", err)
	}
}

// TestCaptureLabels gives a captured step a bad label, which whoever reads next hears
// of.
func TestCaptureLabels(t *testing.T) {
	d := steady(t)
	c := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor { return tensor.CrossEntropy(x, y, tensor.CrossEntropyOpts{}) })
	x := tensor.Randn(2, 3).To(d)
	good, bad := tensor.From([]int64{0, 2}, 2).To(d), tensor.From([]int64{0, 3}, 2).To(d)
	want := tensor.CrossEntropy(x, good, tensor.CrossEntropyOpts{}).Item()
	for i := range 6 {
		if i == 4 {
			loss := c.Run(x, bad)
			err := tensor.Try(func() { loss.Item() })
			if err == nil || !strings.Contains(err.Error(), "CrossEntropy") || !strings.Contains(err.Error(), "3") {
				t.Errorf("with a bad label: got %v, want an error of CrossEntropy", err)
			}
			continue
		}
		if got := c.Run(x, good).Item(); got != want {
			t.Errorf("run %d: got %v, want %v", i, got, want)
		}
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err is %v, want nil", err)
	}
}

// TestCaptureVersions finds what a run changes that a tape still needs.
func TestCaptureVersions(t *testing.T) {
	d := steady(t)
	n := newNet(d, optimizers[0].make)
	c := captured(t, d, n.step)
	x, y := tensor.Ones(4, 1, 4, 4).To(d), tensor.Zeros(4, 2).To(d)
	for range 3 {
		c.Run(x, y)
	}
	loss := n.model.Forward(x).Square().Mean()
	c.Run(x, y)
	err := tensor.Try(func() { loss.Backward() })
	if err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("Backward through weights that a run has changed: got %v, want an error", err)
	}
}

// TestCaptureSteps captures steps in steps, and two at once.
func TestCaptureSteps(t *testing.T) {
	d := steady(t)
	x := tensor.Arange(0, 4, 1).ToDType(tensor.Float32).To(d)
	inner := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor { return x.Square() })
	outer := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor { return inner.Run(x, y).Sum() })
	for i := range 4 {
		if got := outer.Run(x, nil).Item(); got != 14 {
			t.Errorf("run %d: got %v, want 14", i, got)
		}
	}
	if err := outer.Err(); err != nil {
		t.Errorf("Err is %v, want nil", err)
	}
	// While one is captured, others may allocate and must not compute.
	var errs []error
	busy := captured(t, d, func(x, y *tensor.Tensor) *tensor.Tensor {
		done := make(chan bool)
		go func() {
			defer close(done)
			if err := tensor.Try(func() { x.Square() }); err != nil {
				errs = append(errs, err)
			}
		}()
		<-done
		return x.Sum()
	})
	for i := range 3 {
		if got := busy.Run(x, nil).Item(); got != 6 {
			t.Errorf("run %d: got %v, want 6", i, got)
		}
	}
	want := "tensor: device: an operation is called while another goroutine captures a step on device 0; let it wait until the second Run of the step is over"
	if len(errs) != 1 || errs[0].Error() != want {
		t.Errorf("computing beside a capture: got %v, want %s", errs, want)
	}
}

// BenchmarkCaptureHost measures what a launched step costs the host, with the 54
// parameters and the operations of the tutorial's VGG16 on tiny images: what Run
// takes, not what the device computes. The driver's part is one copy from the host,
// three on the device and a launch, for which the simulated one looks at all memory
// that the graph uses.
func BenchmarkCaptureHost(b *testing.B) {
	d := steady(b)
	for _, row := range optimizers {
		b.Run(row.name, func(b *testing.B) {
			model := layers.NewSequential()
			channels := 1
			for range 13 {
				model.Append(layers.NewConv2d(channels, 2, 3, layers.ConvOpts{Padding: 1}), layers.NewBatchNorm2d(2), layers.ReLU{Inplace: true})
				channels = 2
			}
			model.Append(layers.Flatten{}, layers.NewDropout(0.5), layers.NewLinear(8, 10))
			layers.To(model, d)
			params := layers.Parameters(model)
			if len(params) != 54 {
				b.Fatalf("got %d parameters, want 54", len(params))
			}
			optimizer := row.make(params)
			c := captured(b, d, func(x, y *tensor.Tensor) *tensor.Tensor {
				optimizer.ZeroGrad()
				loss := tensor.CrossEntropy(model.Forward(x), y, tensor.CrossEntropyOpts{})
				loss.Backward()
				optimizer.Step()
				return loss
			})
			x, y := tensor.Randn(2, 1, 2, 2).To(d), tensor.From([]int64{1, 2}, 2).To(d)
			for range 3 {
				c.Run(x, y).Item()
			}
			if err := c.Err(); err != nil {
				b.Fatal(err)
			}
			const atOnce = 20
			var host time.Duration
			for b.Loop() {
				start := time.Now()
				var loss *tensor.Tensor
				for range atOnce {
					loss = c.Run(x, y)
				}
				host += time.Since(start)
				loss.Item() // waits
			}
			b.ReportMetric(float64(host.Nanoseconds())/float64(atOnce*b.N), "host-ns/step")
		})
	}
}

// Batches, parameters and what the step returns may be views with strides.
func TestCaptureOfViews(t *testing.T) {
	d := gpu(t)
	run := func(capture bool) (*tensor.Tensor, []*tensor.Tensor) {
		memory := counting(tensor.Zeros(1), 0, 4, 6).MulScalar(0.05).To(d)
		w, b := memory.Narrow(1, 0, 3).T().SetRequiresGrad(true), memory.Select(1, 5).Narrow(0, 0, 3).SetRequiresGrad(true)
		optimizer := optim.NewAdam([]*tensor.Tensor{w, b}, 0.05)
		step := func(x, y *tensor.Tensor) *tensor.Tensor {
			optimizer.ZeroGrad()
			out := tensor.Linear(x, w, b)
			tensor.MSELoss(out, y, tensor.ReduceMean).Backward()
			optimizer.Step()
			return out.Detach().T()
		}
		if capture {
			c := tensor.Capture(d, step)
			defer c.Close()
			step = func(x, y *tensor.Tensor) *tensor.Tensor {
				out := c.Run(x, y)
				if err := c.Err(); err != nil {
					t.Error(err)
				}
				return out
			}
		}
		var outs []*tensor.Tensor
		for i := range 5 {
			x := counting(tensor.Zeros(1), i, 4, 5).MulScalar(0.1).To(d)
			outs = append(outs, step(x.T(), x.Slice(1, 0, 5, 2).Select(0, 0).Expand(5, 3)))
		}
		return memory, outs
	}
	memory, outs := run(true)
	want, wantOuts := run(false)
	wantTensor(t, "the parameters' memory", memory, want, 0)
	for i := range outs {
		wantTensor(t, fmt.Sprintf("what step %d returns", i), outs[i], wantOuts[i], 0)
	}
}
