//go:build cuda && linux

package trainer

import (
	"bytes"
	"context"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// onGPU moves a run to a GPU.
func onGPU(t *testing.T, c Config) Config {
	t.Helper()
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	d.SetDeterministic(true)
	layers.To(c.module(), d)
	c.Train.Device, c.Test.Device = d, d
	if l, ok := c.Loss.(layers.CrossEntropyLoss); ok && l.Weight != nil {
		l.Weight = l.Weight.To(d)
		c.Loss = l
	}
	return c
}

// What is gathered on a GPU are the numbers of a loop that reads each loss.
func TestCUDAGathers(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	c := onGPU(t, settings[0].config(t))
	c.Epochs = 2
	result, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d := onGPU(t, settings[0].config(t))
	for i := range 2 {
		var train, test Sums
		add := func(s *Sums, loss, output, labels *tensor.Tensor) {
			s.Loss += jsonfloat.Float(loss.Item() * float64(labels.Len()))
			s.Correct += tensor.CountEqual(output.Detach().ArgMax(1), labels)
			s.Total += labels.Len()
			s.Labeled += labels.Len()
			s.Weight += float64(labels.Len())
		}
		layers.Train(d.Model)
		for images, labels := range d.Train.All() {
			d.Optimizer.ZeroGrad()
			output := d.Model.Forward(images)
			loss := d.Loss.Forward(output, labels)
			loss.Backward()
			d.Optimizer.Step()
			add(&train, loss, output, labels)
		}
		layers.Eval(d.Model)
		for images, labels := range autograd.NoGrad(d.Test.All()) {
			output := d.Model.Forward(images)
			add(&test, d.Loss.Forward(output, labels), output, labels)
		}
		d.Scheduler.(sched.Scheduler).Step()
		want := Metrics{Epoch: i + 1, Step: 10 * (i + 1), LR: result.History[i].LR}
		want.TrainLoss, want.TrainAccuracy = train.means()
		want.TestLoss, want.TestAccuracy = test.means()
		if diff := cmp.Diff(want, result.History[i], timeless); diff != "" {
			t.Errorf("epoch %d (-loop +Fit):\n%s", i+1, diff)
		}
	}
	if diff := cmp.Diff(bits(d), bits(c)); diff != "" {
		t.Errorf("weights and states differ (-loop +Fit): %.300s", diff)
	}
}

// Metrics that are added up on a GPU are those of a program that reads each batch's
// sums, also where the run is stopped in the middle of an epoch; steps wait for none of
// them. Batches of several tensors are there.
func TestCUDAMetrics(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	forward := forwardSetting()
	run := func(host bool, dir string, stop int) (Result, map[int]int) {
		waits := map[int]int{}
		for resume := false; ; resume = true {
			c := onGPU(t, forward.config(t))
			c.Dir, c.Resume, c.Capture = dir, resume, true
			if host {
				for i := range c.Metrics {
					sums := c.Metrics[i].Sums
					c.Metrics[i].Sums = func(b *datasets.Batch, p *Pass) *tensor.Tensor {
						x := sums(b, p)
						if x.Device() != c.Train.Device || b.Inputs[1].Device() != c.Train.Device || b.Targets[2].Device() != c.Train.Device {
							t.Errorf("the sums are on %v, want %v", x.Device(), c.Train.Device)
						}
						return tensor.From(x.ToDType(tensor.Float64).Float64s())
					}
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			c.Callbacks = []Callback{NewEMA(c.Module, 0.9).Callback(), EarlyStopping("train_confident", sched.Max, 9, 0), {Step: func(r *Run) error {
				waits[r.Step] = sim.Waits(t)
				if r.Step == stop && !resume {
					cancel()
				}
				return nil
			}}}
			r, err := Fit(ctx, c)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if r.Stopped == "" {
				return r, waits
			}
		}
	}
	want, _ := run(true, "", 0)
	if len(want.History[2].Own) != 5 {
		t.Fatalf("got the metrics %v, want 5", want.History[2].Own)
	}
	got, waits := run(false, "", 0)
	if diff := cmp.Diff(want, got, timeless); diff != "" {
		t.Errorf("result (-read each batch +on the GPU):\n%s", diff)
	}
	read, _ := run(true, "", 0)
	if diff := cmp.Diff(want, read, timeless); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	stopped, _ := run(false, t.TempDir(), 13)
	if diff := cmp.Diff(want, stopped, timeless); diff != "" {
		t.Errorf("result (-whole +stopped and resumed):\n%s", diff)
	}
	for step := 15; step < 20; step++ {
		if got := waits[step] - waits[step-1]; got > 0 {
			t.Errorf("%d waits before step %d is made, want none", got, step)
		}
	}
}

// Labels that do not count weigh nothing on a GPU either.
func TestCUDAWeighs(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	for _, capture := range []bool{false, true} {
		config := func() Config {
			c := settings[0].config(t)
			c.Loss = layers.CrossEntropyLoss{IgnoreIndex: new(1), Weight: tensor.From([]float32{1, 2, 0.5, 3})}
			c.Capture = capture
			return c
		}
		want, err := Fit(t.Context(), config())
		if err != nil {
			t.Fatal(err)
		}
		got, err := Fit(t.Context(), onGPU(t, config()))
		if err != nil {
			t.Fatal(err)
		}
		near := cmp.Comparer(func(a, b jsonfloat.Float) bool { return math.Abs(float64(a-b)) < 1e-4 })
		if diff := cmp.Diff(want.History[0], got.History[0], timeless, near); diff != "" {
			t.Errorf("capture %t: epoch 1 (-CPU +GPU):\n%s", capture, diff)
		}
	}
}

// Steps wait for a GPU only where somebody looks.
func TestCUDAWaits(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	for _, capture := range []bool{false, true} {
		c := onGPU(t, settings[0].config(t))
		c.Capture, c.Epochs = capture, 2
		waits := map[int]int{} // after a step
		tested := 0
		c.Callbacks = []Callback{
			{Step: func(r *Run) error {
				waits[r.Step] = sim.Waits(t)
				if r.Step == 15 {
					if loss, sums := r.Loss(), r.Sums(); !finite(loss) || !(sums.Loss > 0) || sums.Total != 20 {
						t.Errorf("after step 15 the loss is %v and the sums are %+v, want those of 20 examples", loss, sums)
					}
				}
				return nil
			}, Test: func(*Run) func() {
				tested = sim.Waits(t)
				return nil
			}, TestBatch: func(*Run) error {
				if got := sim.Waits(t) - tested; got > 3 {
					t.Errorf("capture %t: %d waits in a test, want 3 at most, for its sums", capture, got)
				}
				return nil
			}},
		}
		if _, err := Fit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for step := 12; step < 20; step++ {
			got, want := waits[step]-waits[step-1], 0
			if step == 16 {
				want = 2 // the loss, and the sums
			}
			if got > want || step == 16 && got == 0 {
				t.Errorf("capture %t: %d waits before step %d is made, want %d", capture, got, step, want)
			}
		}
	}
}

// A run whose steps are captured comes to the bits of one whose steps are not, where
// it is stopped and gone on with too.
func TestCUDACapture(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	for _, s := range []setting{
		settings[0],
		{"Adam, OneCycleLR each step", func(t testing.TB) Config {
			c := base(t)
			o := optim.NewAdam(layers.Parameters(c.Model), 0.01)
			c.Optimizer, c.Scheduler, c.SchedulerEachStep = o, sched.NewOneCycleLR(o, 0.02, epochs*10, sched.OneCycleOpts{}), true
			return c
		}},
		{"labels that do not count, weights", func(t testing.TB) Config {
			c := settings[0].config(t)
			c.Loss = layers.CrossEntropyLoss{IgnoreIndex: new(1), Weight: tensor.From([]float32{1, 2, 0.5, 3})}
			return c
		}},
		{"RMSprop, bfloat16", func(t testing.TB) Config {
			c := base(t)
			c.Optimizer, c.Autocast = optim.NewRMSprop(layers.Parameters(c.Model), 0.003), tensor.BFloat16
			confident := ownMetrics()[2]
			confident.TrainOnly, confident.TestOnly = false, true // what is measured in the test is no part of a step
			c.Metrics, c.Monitor = []Metric{confident}, "test_confident"
			return c
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			run := func(capture bool, dir string, stops ...int) (Result, map[int]float64, map[string]string, string) {
				losses := map[int]float64{}
				var log bytes.Buffer
				for resume := false; ; resume = true {
					c := onGPU(t, s.config(t))
					c.Capture, c.Dir, c.Resume, c.SaveSteps, c.Progress = capture, dir, resume, 4, NewProgress(&log)
					at := map[int]bool{}
					if len(stops) > 0 {
						at[stops[0]], stops = true, stops[1:]
					}
					ctx, cancel := context.WithCancel(t.Context())
					c.Callbacks = []Callback{NewEMA(c.Model, 0.9).Callback(), LogSteps(3), TimeLimit(1e15), watch(losses, at, cancel)}
					r, err := Fit(ctx, c)
					cancel()
					if err != nil {
						t.Fatal(err)
					}
					if r.Stopped == "" {
						return r, losses, bits(c), log.String()
					}
				}
			}
			want, wantLosses, wantBits, _ := run(false, t.TempDir())
			for _, stops := range [][]int{nil, {13, 20}} {
				got, gotLosses, gotBits, log := run(true, t.TempDir(), stops...)
				if bytes.Contains([]byte(log), []byte("Capture:")) {
					t.Errorf("stops %v: the steps were not captured:\n%s", stops, log)
				}
				if diff := cmp.Diff(want, got, timeless); diff != "" {
					t.Errorf("stops %v: result (-eager +captured):\n%s", stops, diff)
				}
				if diff := cmp.Diff(wantLosses, gotLosses); diff != "" {
					t.Errorf("stops %v: losses (-eager +captured):\n%s", stops, diff)
				}
				if diff := cmp.Diff(wantBits, gotBits); diff != "" {
					t.Errorf("stops %v: weights and states differ: %.500s", stops, diff)
				}
			}
		})
	}
}

// Losses are scaled on a GPU too, and steps left out.
func TestCUDAFloat16(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	c := onGPU(t, float16(t))
	c.Callbacks = []Callback{NaNStop(), {Start: func(r *Run) error {
		r.Scaler.InitScale, r.Scaler.GrowthInterval = 1<<24, 3
		return nil
	}}}
	r, err := Fit(t.Context(), c)
	if err != nil || r.Skipped == 0 || r.Skipped > 20 {
		t.Fatalf("%d of %d steps were left out (%v), want some of 30", r.Skipped, r.Step, err)
	}
	if first, last := r.History[0].TrainLoss, r.History[2].TrainLoss; !(last < first) {
		t.Errorf("the training loss went from %v to %v, want it to fall", first, last)
	}
}
