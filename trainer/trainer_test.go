package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// TestMain also serves as the child that the kill tests start.
func TestMain(m *testing.M) {
	if what := os.Getenv("WICK_TRAINER_CHILD"); what != "" {
		if err := children[what](os.Getenv("WICK_TRAINER_DIR")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// children are what the test binary does as a child, by name.
var children = map[string]func(dir string) error{}

// images is a data set of n random images of 8×8 in four classes, with
// augmentation.
func pictures(t testing.TB, n int, seed uint64, classes ...string) *datasets.Images {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	pixels, labels := make([]byte, n*3*8*8), make([]uint8, n)
	for i := range labels {
		labels[i] = uint8(r.IntN(4))
		for k := range 3 * 8 * 8 {
			pixels[i*3*8*8+k] = byte(r.IntN(100)) + 35*labels[i]
		}
	}
	if classes == nil {
		classes = []string{"a", "b", "c", "d"}
	}
	augment := transforms.Compose(transforms.RandomCrop(8, 1), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	p, err := datasets.NewImages(pixels, 3, 8, 8, labels, classes, augment)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// network is a small model with all that has a state of its own.
func network() *layers.Sequential {
	own := layers.NewDropout(0.3)
	own.Generator = tensor.NewGenerator(77)
	return layers.NewSequential(
		layers.NewConv2d(3, 4, 3, layers.ConvOpts{Padding: 1}), layers.NewBatchNorm2d(4), layers.ReLU{},
		layers.NewDropout(0.2), layers.NewMaxPool2d(2, 2), layers.Flatten{}, own, layers.NewLinear(64, 4))
}

// setting is a way to train; config makes all of it again, as a program does when
// it starts.
type setting struct {
	name   string
	config func(t testing.TB) Config
}

const epochs, batchSize, examples = 3, 4, 38 // 10 steps an epoch

func base(t testing.TB) Config {
	tensor.ManualSeed(3)
	model := network()
	return Config{
		Model: model, Loss: layers.CrossEntropyLoss{}, Epochs: epochs,
		Train: &datasets.DataLoader{Dataset: pictures(t, examples, 1), BatchSize: batchSize, Shuffle: true, Workers: 2},
		Test:  &datasets.DataLoader{Dataset: pictures(t, 10, 2), BatchSize: batchSize, Seed: 9},
	}
}

var settings = []setting{
	{"SGD momentum, MultiStepLR", func(t testing.TB) Config {
		c := base(t)
		o := optim.NewSGD(layers.Parameters(c.Model), 0.05)
		o.Momentum, o.WeightDecay, o.Nesterov = 0.9, 1e-3, true
		c.Optimizer, c.Scheduler = o, sched.NewMultiStepLR(o, []int{1, 2}, 0.5)
		c.Monitor, c.Mode = "test_accuracy", sched.Max
		return c
	}},
	{"Adam, OneCycleLR each step, EMA, clipping", func(t testing.TB) Config {
		c := base(t)
		o := optim.NewAdam(layers.Parameters(c.Model), 0.01)
		c.Optimizer, c.Scheduler, c.SchedulerEachStep = o, sched.NewOneCycleLR(o, 0.02, epochs*10, sched.OneCycleOpts{}), true
		c.Callbacks = []Callback{NaNStop(), ClipGradNorm(1), NewEMA(c.Model, 0.9).Callback(), EarlyStopping("test_loss", sched.Min, 2, 0)}
		return c
	}},
	{"RMSprop, plateau, accumulation", func(t testing.TB) Config {
		c := base(t)
		o := optim.NewRMSprop(layers.Parameters(c.Model), 0.003)
		o.Momentum, o.Centered = 0.5, true
		s := sched.NewReduceLROnPlateau(o, sched.Min)
		s.Patience = 0
		c.Optimizer, c.Scheduler, c.Accumulate = o, s, 3
		return c
	}},
	{"Forward, several tensors, metrics of one's own", func(t testing.TB) Config {
		tensor.ManualSeed(3)
		net := &twoInputs{network(), layers.NewLinear(5, 4), layers.NewDropout(0.1)}
		o := optim.NewAdam(layers.Parameters(net), 0.01)
		s := sched.NewReduceLROnPlateau(o, sched.Max)
		s.Patience = 0
		ema := NewEMA(net, 0.9)
		return Config{
			Module: net, Optimizer: o, Scheduler: s, Epochs: epochs, Monitor: "test_recall 2", Forward: net.pass, Metrics: ownMetrics(),
			Train:     &datasets.DataLoader{Dataset: datasets.Multi(withMeans{pictures(t, examples, 1)}), BatchSize: batchSize, Shuffle: true, Workers: 2},
			Test:      &datasets.DataLoader{Dataset: datasets.Multi(withMeans{pictures(t, 10, 2)}), BatchSize: batchSize, Seed: 9},
			Callbacks: []Callback{NaNStop(), ClipGradNorm(1), ema.Callback(), EarlyStopping("train_confident", sched.Max, 9, 0)},
		}
	}},
	{"Float16, Adam, OneCycleLR each step, accumulation, EMA, clipping", func(t testing.TB) Config {
		c := base(t)
		o := optim.NewAdam(layers.Parameters(c.Model), 0.01)
		c.Optimizer, c.Scheduler, c.SchedulerEachStep = o, sched.NewOneCycleLR(o, 0.02, epochs*10, sched.OneCycleOpts{}), true
		c.Autocast, c.Accumulate = tensor.Float16, 2
		s := &scaling{optim.NewGradScaler()}
		c.Callbacks = []Callback{{Name: "scaling", Start: s.start, State: s}, NaNStop(), ClipGradNorm(1), NewEMA(c.Model, 0.9).Callback()}
		return c
	}},
}

// withMeans is images with their mean beside them, and the mean to be told too.
type withMeans struct{ *datasets.Images }

func (d withMeans) Example(i int, r *rand.Rand) (datasets.Example, error) {
	x, y, err := d.Get(i, r)
	if err != nil {
		return datasets.Example{}, err
	}
	mean := x.Mean().Reshape(1)
	return datasets.Example{Inputs: []*tensor.Tensor{x, mean}, Targets: []*tensor.Tensor{y, mean, tensor.From([]bool{i%3 > 0}).Reshape()}}, nil
}

// twoInputs is a model of an image and a number.
type twoInputs struct {
	picture *layers.Sequential
	out     *layers.Linear
	drop    *layers.Dropout
}

func (n *twoInputs) Parts() []layers.Part {
	return []layers.Part{layers.Child("image", n.picture), layers.Child("out", n.out), layers.Child("drop", n.drop)}
}

// pass learns the class of those that the third target says, and the mean.
func (n *twoInputs) pass(b *datasets.Batch) Pass {
	h := n.drop.Forward(n.picture.Forward(b.Inputs[0]))
	scores := n.out.Forward(tensor.Cat(1, h, b.Inputs[1]))
	labels := b.Targets[0].MaskedFill(b.Targets[2].Not(), -100)
	criterion := layers.CrossEntropyLoss{}
	class, mean := criterion.Forward(scores, labels), layers.MSELoss{}.Forward(scores.Narrow(1, 0, 1), b.Targets[1])
	return Pass{Loss: class.Add(mean), Outputs: []*tensor.Tensor{scores, class}, Terms: criterion.Terms(scores, labels), Scores: scores, Labels: labels}
}

// ownMetrics are a mean with a weight of its own, counts of all classes and one of the
// training alone.
func ownMetrics() []Metric {
	return []Metric{
		Mean("class", sched.Min, func(b *datasets.Batch, p *Pass) (value, weight *tensor.Tensor) {
			return p.Outputs[1], b.Targets[2].Sum()
		}),
		{Name: "recall 2", Mode: sched.Max, Sums: func(_ *datasets.Batch, p *Pass) *tensor.Tensor {
			of2 := p.Labels.EqScalar(2)
			return tensor.Stack(0, of2.And(p.Scores.ArgMax(1).EqScalar(2)).Sum(), of2.Sum())
		}},
		{Name: "confident", Mode: sched.Max, TrainOnly: true, Sums: func(b *datasets.Batch, p *Pass) *tensor.Tensor {
			top, _ := p.Scores.Softmax(1).Max(1)
			return tensor.Stack(0, top.Sum(), tensor.OnesLike(top).Sum(), top.Mul(top).Sum())
		}, Value: func(s []float64) float64 { return s[0]/s[1] + math.Sqrt(s[2]) }},
	}
}

// scaling makes a run's scale so large that steps are left out, again and again, and
// has its state among the run's bits.
type scaling struct{ scaler *optim.GradScaler }

func (s *scaling) start(r *Run) error {
	s.scaler = r.Scaler
	r.Scaler.InitScale, r.Scaler.GrowthInterval = 1<<18, 2
	return nil
}

func (s *scaling) State() (json.RawMessage, iter.Seq2[string, *tensor.Tensor]) {
	b, err := json.Marshal(s.scaler.State())
	if err != nil {
		panic(err)
	}
	return b, nil
}

func (s *scaling) LoadState(json.RawMessage, map[string]*tensor.Tensor) error { return nil }

// bits returns all tensors of a run as bytes, and its learning rates.
func bits(c Config) map[string]string {
	out := map[string]string{"rates": fmt.Sprint(c.Optimizer.LRs())}
	add := func(prefix string, seq iter.Seq2[string, *tensor.Tensor]) {
		for name, x := range seq {
			out[prefix+name] = fmt.Sprintf("%x", x.Detach().Raw())
		}
	}
	add("", layers.StateDict(c.module()))
	_, kept := c.Optimizer.(saves).State()
	add("optimizer ", kept)
	for _, cb := range c.Callbacks {
		if cb.State != nil {
			state, tensors := cb.State.State()
			out[cb.Name] = string(state)
			if tensors != nil {
				add(cb.Name+" ", tensors)
			}
		}
	}
	return out
}

// timeless leaves out of metrics what the clock measured.
var timeless = cmp.Options{
	cmpopts.IgnoreFields(Metrics{}, "TrainSeconds", "TestSeconds", "ImagesPerSec"),
	cmpopts.IgnoreFields(Sums{}, "Seconds"),
	cmpopts.IgnoreFields(Result{}, "Warnings"),
}

// watch notes the loss of each step, and stops the run after some.
func watch(losses map[int]float64, stops map[int]bool, stop func()) Callback {
	return Callback{Name: "watch", Step: func(r *Run) error {
		losses[r.Step] = r.Loss()
		if stops[r.Step] {
			stop()
		}
		return nil
	}}
}

// A run that is stopped at random steps and gone on with, each time with
// everything made again, comes to the same bits as one that is not.
func TestResumeBitForBit(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			want := map[int]float64{}
			c := s.config(t)
			c.Callbacks = append(c.Callbacks, watch(want, nil, nil))
			wholeResult, err := Fit(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			wantBits := bits(c)
			steps := wholeResult.Step
			if c.Autocast == tensor.Float16 && (wholeResult.Skipped < 2 || wholeResult.Skipped > steps/2) {
				t.Fatalf("%d of %d steps were left out, want some", wholeResult.Skipped, steps)
			}
			if wholeResult.Epoch != epochs || len(want) != steps || wholeResult.Stopped != "" {
				t.Fatalf("the uninterrupted run: %d epochs, %d steps of %d noted, stopped %q", wholeResult.Epoch, len(want), steps, wholeResult.Stopped)
			}

			r := rand.New(rand.NewPCG(1, uint64(len(s.name))))
			for run := range 7 {
				dir := t.TempDir()
				stops := map[int]bool{}
				for range 1 + r.IntN(4) {
					stops[1+r.IntN(steps)] = true
				}
				if run == 0 {
					stops = map[int]bool{steps / epochs: true, steps: true} // at the ends of epochs
				}
				got := map[int]float64{}
				var result Result
				var resumed Config
				starts := 0
				for done := false; !done; starts++ {
					ctx, cancel := context.WithCancel(t.Context())
					resumed = s.config(t)
					resumed.Dir, resumed.Resume = dir, starts > 0
					if starts > 0 {
						tensor.ManualSeed(1234) // what the checkpoint is to undo
					}
					resumed.Callbacks = append(resumed.Callbacks, watch(got, stops, cancel))
					if result, err = Fit(ctx, resumed); err != nil {
						t.Fatalf("stops %v: %v", stops, err)
					}
					cancel()
					done = result.Stopped == ""
					if !done && result.Stopped != interrupted {
						t.Fatalf("stopped %q, want %q", result.Stopped, interrupted)
					}
					delete(stops, result.Step)
				}
				if starts < 2 {
					t.Errorf("the run was never stopped")
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("losses (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(wantBits, bits(resumed)); diff != "" {
					t.Errorf("weights and states differ: %.500s", diff)
				}
				if diff := cmp.Diff(wholeResult, result, timeless); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
				c, err := ReadRunConfig(dir)
				if err != nil || len(c.Resumed) != starts-1 {
					t.Errorf("config.json: %d resumptions (%v), want %d", len(c.Resumed), err, starts-1)
				}
				b, err := os.ReadFile(filepath.Join(dir, csvFile))
				if lines := strings.Count(string(b), "\n"); err != nil || lines != 1+epochs {
					t.Errorf("metrics.csv has %d lines (%v), want %d", lines, err, 1+epochs)
				}
			}
		})
	}
}

// Fit comes to the same bits as the loop that users write by hand.
func TestFitIsTheLoop(t *testing.T) {
	c := settings[0].config(t)
	result, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}

	d := settings[0].config(t)
	scheduler := d.Scheduler.(sched.Scheduler)
	var losses []float64
	for range epochs {
		layers.Train(d.Model)
		for images, labels := range d.Train.All() {
			d.Optimizer.ZeroGrad()
			loss := d.Loss.Forward(d.Model.Forward(images), labels)
			loss.Backward()
			d.Optimizer.Step()
		}
		if err := d.Train.Err(); err != nil {
			t.Fatal(err)
		}
		layers.Eval(d.Model)
		sum := 0.0
		for images, labels := range autograd.NoGrad(d.Test.All()) {
			sum += d.Loss.Forward(d.Model.Forward(images), labels).Item() * float64(labels.Len())
		}
		losses = append(losses, sum/10)
		scheduler.Step()
	}
	if diff := cmp.Diff(bits(d), bits(c)); diff != "" {
		t.Errorf("weights and states differ (-loop +Fit): %.500s", diff)
	}
	for i, m := range result.History {
		if float64(m.TestLoss) != losses[i] {
			t.Errorf("epoch %d: test loss %v, want %v", i+1, m.TestLoss, losses[i])
		}
	}
}

// A loop written by hand saves and loads a snapshot itself.
func TestSnapshotByHand(t *testing.T) {
	c := settings[0].config(t)
	c.Callbacks = nil
	path := filepath.Join(t.TempDir(), "run.safetensors")
	run := func(c Config, epoch int) {
		for images, labels := range c.Train.All() {
			c.Optimizer.ZeroGrad()
			c.Loss.Forward(c.Model.Forward(images), labels).Backward()
			c.Optimizer.Step()
		}
	}
	snapshot := func(c Config) *Snapshot {
		return &Snapshot{Model: c.Model, Optimizer: c.Optimizer, Scheduler: c.Scheduler, Train: c.Train, Generators: map[string]*tensor.Generator{"own": tensor.NewGenerator(1)}}
	}
	s := snapshot(c)
	s.Generators["own"].Rand(100)
	wantSeed, wantOffset := s.Generators["own"].State()
	run(c, 0)
	if err := s.Save(path, Position{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	run(c, 1)

	d := settings[0].config(t)
	s = snapshot(d)
	at, err := s.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if at.Epoch != 1 || d.Train.Epoch() != 1 {
		t.Errorf("got epoch %d, and %d in the loader, want 1", at.Epoch, d.Train.Epoch())
	}
	if seed, offset := s.Generators["own"].State(); seed != wantSeed || offset != wantOffset {
		t.Errorf("the generator is at %d, %d, want %d, %d", seed, offset, wantSeed, wantOffset)
	}
	run(d, 1)
	if diff := cmp.Diff(bits(c), bits(d)); diff != "" {
		t.Errorf("weights and states differ: %.500s", diff)
	}
}

// A checkpoint is a model's file too.
func TestCheckpointIsAModel(t *testing.T) {
	c := settings[1].config(t)
	c.Dir = t.TempDir()
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	m, err := layers.Load[layers.Layer](filepath.Join(c.Dir, lastFile))
	if err != nil {
		t.Fatal(err)
	}
	want := bits(c)
	for name, x := range layers.StateDict(m) {
		if got := fmt.Sprintf("%x", x.Detach().Raw()); got != want[name] {
			t.Errorf("%s differs", name)
		}
	}
	state, err := layers.ReadStateDict(filepath.Join(c.Dir, bestFile))
	if err != nil {
		t.Fatal(err)
	}
	if diff, err := layers.LoadStateDict(m, state); err != nil {
		t.Errorf("%v (%v)", err, diff)
	}
}

func TestResumeRefuses(t *testing.T) {
	dir := t.TempDir()
	c := settings[0].config(t)
	c.Dir, c.Epochs = dir, 1
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, lastFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   []string
	}{
		{"another model", func(c *Config) {
			m := layers.NewSequential(layers.Flatten{}, layers.NewLinear(192, 4))
			c.Model, c.Optimizer, c.Scheduler = m, optim.NewSGD(layers.Parameters(m), 0.1), nil
		}, []string{lastFile, "checkpoint of the model Sequential", `"Conv2d"`, "this run's model is Sequential", "resume with the same one"}},
		{"another type", func(c *Config) { layers.ToDType(c.Model, tensor.Float64) }, []string{lastFile, "0.weight is float32, and the model's is float64"}},
		{"fewer examples", func(c *Config) { c.Train.Dataset = datasets.Slice(c.Train.Dataset, 0, 20) }, []string{lastFile, "other training data: 38 examples, and here are 20"}},
		{"other labels", func(c *Config) { c.Train.Dataset = pictures(t, examples, 8) }, []string{"other training data: the same number of examples, but other labels"}},
		{"other classes", func(c *Config) { c.Test.Dataset = pictures(t, 10, 2, "w", "x", "y", "z") }, []string{`other test data: the classes ["a"`, `["w"`}},
		{"another batch size", func(c *Config) { c.Train.BatchSize = 5 }, []string{"batches of 4, and here of 5"}},
		{"another seed", func(c *Config) { c.Test.Seed = 10 }, []string{"test data: the seed 9, and here is 10"}},
		{"no test", func(c *Config) { c.Test, c.Monitor = nil, "train_accuracy" }, []string{"there were 10 examples, and here is no loader"}},
		{"another optimizer", func(c *Config) { c.Optimizer, c.Scheduler = optim.NewAdam(layers.Parameters(c.Model), 0.1), nil }, []string{"holds a scheduler's state, and this run has none"}},
		{"another optimizer with a scheduler", func(c *Config) {
			o := optim.NewAdam(layers.Parameters(c.Model), 0.1)
			c.Optimizer, c.Scheduler = o, sched.NewMultiStepLR(o, []int{1}, 0.1)
		}, []string{lastFile, `optim: Adam: the state is one of "SGD"`}},
		{"another scheduler", func(c *Config) { c.Scheduler = sched.NewStepLR(c.Optimizer, 1, 0.1) }, []string{lastFile, `sched: StepLR: the state is one of "MultiStepLR"`}},
		{"a callback more", func(c *Config) { c.Callbacks = []Callback{NewEMA(c.Model, 0.9).Callback()} }, []string{`states of []`, `has ["ema"]`}},
		{"without resume", func(c *Config) { c.Resume = false }, []string{dir, "holds a run already; resume it, or give another folder"}},
		{"a file for a folder", func(c *Config) { c.Dir = filepath.Join(dir, lastFile) }, []string{"no run to resume", "is not a folder"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := settings[0].config(t)
			c.Dir, c.Resume = dir, true
			tt.change(&c)
			_, err := Fit(t.Context(), c)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got %q, want it to say %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("got several lines: %q", err)
			}
			if after, err := os.ReadFile(filepath.Join(dir, lastFile)); err != nil || string(after) != string(before) {
				t.Errorf("the checkpoint has changed (%v)", err)
			}
		})
	}

	t.Run("damaged", func(t *testing.T) {
		for _, at := range []int{5, 200, len(before) / 2, len(before) - 1} {
			b := slices.Clone(before)
			b[at] ^= 4
			path := filepath.Join(t.TempDir(), lastFile)
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			c := settings[0].config(t)
			c.Dir, c.Resume = filepath.Dir(path), true
			if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("a flipped bit in byte %d: got error %v, want one that names the file", at, err)
			}
		}
	})
	t.Run("no last", func(t *testing.T) {
		c := settings[0].config(t)
		c.Dir, c.Resume = t.TempDir(), true
		best := filepath.Join(c.Dir, bestFile)
		if err := os.WriteFile(best, before, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), "copy the checkpoint that you want, such as "+best) {
			t.Errorf("got error %v, want one that says what to copy", err)
		}
	})
	t.Run("a model's file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "model.safetensors")
		if err := layers.Save(path, c.Model); err != nil {
			t.Fatal(err)
		}
		if _, err := (&Snapshot{Model: c.Model}).Load(path); err == nil || !strings.Contains(err.Error(), path+": it is no checkpoint") {
			t.Errorf("got error %v, want one that says that it is no checkpoint", err)
		}
	})
	t.Run("unwritable folder", func(t *testing.T) {
		c := settings[0].config(t)
		c.Dir = filepath.Join(dir, lastFile, "below")
		if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), "the run's folder") {
			t.Errorf("got error %v, want one that names the folder", err)
		}
	})
}

// What changes for the rest of a run is used, and said.
func TestResumeChanged(t *testing.T) {
	for _, tt := range []struct {
		name    string
		setting int
		change  func(c *Config)
		want    string // behind "goes on "
	}{
		{"nothing", 0, func(*Config) {}, ""},
		{"the rate", 0, func(c *Config) { c.Optimizer.SetLRs([]float64{0.5}) }, ""},
		{"options of SGD", 0, func(c *Config) {
			o := c.Optimizer.(*optim.SGD)
			o.Momentum, o.WeightDecay = 0.8, 0
		}, "with the optimizer's Momentum 0.8 in place of 0.9, with the optimizer's WeightDecay 0 in place of 0.001"},
		{"options of Adam, whose momentum is cycled", 1, func(c *Config) { c.Optimizer.(*optim.Adam).Betas[1] = 0.9 }, "with the optimizer's Betas [0.95,0.9] in place of [0.95,0.999]"},
		{"accumulation", 2, func(c *Config) { c.Accumulate = 2 }, "with Accumulate 2 in place of 3"},
		{"callbacks", 0, func(c *Config) { c.Callbacks = []Callback{ClipGradNorm(1)} }, "with the callbacks [clip_grad_norm] in place of []"},
	} {
		c := settings[tt.setting].config(t)
		c.Dir, c.Epochs = t.TempDir(), 1
		if _, err := Fit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		d := settings[tt.setting].config(t)
		var log bytes.Buffer
		d.Dir, d.Resume, d.Epochs, d.Progress = c.Dir, true, 2, NewProgress(&log)
		tt.change(&d)
		before := string(describeOptimizer(d.Optimizer))
		rates := ""
		d.Callbacks = append(d.Callbacks, Callback{Start: func(r *Run) error {
			rates = fmt.Sprint(r.Optimizer.LRs())
			return nil
		}})
		r, err := Fit(t.Context(), d)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if want := fmt.Sprint(c.Optimizer.LRs()); rates != want {
			t.Errorf("%s: goes on with the rates %s, want the checkpoint's, %s", tt.name, rates, want)
		}
		if said := strings.Contains(log.String(), "NewRates takes them"); said != (tt.name == "the rate") {
			t.Errorf("%s: the log says that the rates differ: %t:\n%s", tt.name, said, log.String())
		}
		got := ""
		if len(r.Warnings) > 0 {
			got = strings.TrimPrefix(r.Warnings[0].Error(), "trainer: "+c.Dir+" goes on ")
		}
		config, err := ReadRunConfig(c.Dir)
		if err != nil || got != tt.want || len(r.Warnings) > 1 || config.Resumed[0].Changed != tt.want {
			t.Errorf("%s: got the warnings %q and in config.json %q (%v), want %q", tt.name, r.Warnings, config.Resumed[0].Changed, err, tt.want)
		}
		if _, fixed := d.Optimizer.(*optim.SGD); fixed && tt.want != "" {
			var was, is map[string]any
			if err := errors.Join(json.Unmarshal([]byte(before), &was), json.Unmarshal(describeOptimizer(d.Optimizer), &is)); err != nil {
				t.Fatal(err)
			}
			if was["Momentum"] != is["Momentum"] {
				t.Errorf("%s: the momentum became %v, want the program's %v", tt.name, is["Momentum"], was["Momentum"])
			}
		}
	}
}

// A folder that nobody may read or write is one sentence.
func TestNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("runs as root, whom permissions do not stop; TestResumeRefuses has files in the place of folders")
	}
	for _, mode := range []os.FileMode{0, 0o500} {
		c := settings[0].config(t)
		c.Dir, c.Epochs = t.TempDir(), 1
		if _, err := Fit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.Dir, mode); err != nil {
			t.Fatal(err)
		}
		d := settings[0].config(t)
		d.Dir, d.Resume, d.Epochs = c.Dir, true, 2
		_, err := Fit(t.Context(), d)
		if bad := os.Chmod(c.Dir, 0o700); bad != nil {
			t.Fatal(bad)
		}
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), c.Dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("a folder of mode %v: got error %v, want one sentence that names it", mode, err)
		}
		if r, err := Fit(t.Context(), d); err != nil || r.Epoch != 2 {
			t.Errorf("afterwards: got epoch %d, error %v, want 2", r.Epoch, err)
		}
	}
}

func TestCheckpointFiles(t *testing.T) {
	c := settings[0].config(t)
	c.Dir, c.SaveEvery, c.Keep, c.SaveSteps, c.Epochs = t.TempDir(), 1, 2, 4, 4
	for _, name := range []string{".last.safetensors.0123456789abcdef.tmp", ".metrics.csv.0123456789abcdef.tmp", "mine.tmp"} {
		if err := os.WriteFile(filepath.Join(c.Dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var seen []int
	c.Callbacks = []Callback{{Name: "look", Step: func(r *Run) error {
		if r.Step == 6 || r.Step == 13 {
			at, err := (&Snapshot{Model: network(), Train: c.Train, Test: c.Test}).Load(filepath.Join(c.Dir, lastFile))
			if err == nil || !strings.Contains(err.Error(), "an optimizer's state") {
				t.Errorf("got %v, %v, want an error about the optimizer", at, err)
			}
			d := settings[0].config(t)
			if at, err = (&Snapshot{Model: d.Model, Optimizer: d.Optimizer, Scheduler: d.Scheduler, Train: d.Train, Test: d.Test}).Load(filepath.Join(c.Dir, lastFile)); err != nil {
				t.Error(err)
			}
			seen = append(seen, at.Step)
		}
		return nil
	}}}
	result, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []int{4, 12}) {
		t.Errorf("in steps 6 and 13 the last checkpoints were of steps %v, want 4 and 12", seen)
	}
	if diff := cmp.Diff([]string{"best.safetensors", "config.json", "epoch-0003.safetensors", "epoch-0004.safetensors", "last.safetensors", "metrics.csv", "metrics.jsonl", "mine.tmp"}, slices.DeleteFunc(ls(t, c.Dir), func(name string) bool { return name == lockFile && !lockGoes })); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	d := settings[0].config(t)
	at, err := (&Snapshot{Model: d.Model, Optimizer: d.Optimizer, Scheduler: d.Scheduler, Train: d.Train, Test: d.Test}).Load(filepath.Join(c.Dir, bestFile))
	if err != nil {
		t.Fatal(err)
	}
	best := 0
	for i, m := range result.History {
		if m.TestAccuracy > result.History[best].TestAccuracy {
			best = i
		}
	}
	if at.Epoch != best+1 || result.BestEpoch != best+1 || *result.Best != float64(result.History[best].TestAccuracy) {
		t.Errorf("the best checkpoint is of epoch %d, the result's best %d (%v), want %d", at.Epoch, result.BestEpoch, *result.Best, best+1)
	}
}

func ls(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// Cancelling the context while the test is under way leaves the epoch's training
// done; resuming makes the test, and nothing twice.
func TestCancelInTest(t *testing.T) {
	whole := settings[1].config(t)
	want, err := Fit(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := settings[1].config(t)
	c.Dir = t.TempDir()
	tests := 0
	c.Callbacks = append(c.Callbacks, Callback{Name: "cancel", Test: func(r *Run) func() {
		if tests++; tests == 2 {
			cancel()
		}
		return nil
	}})
	r, err := Fit(ctx, c)
	if err != nil || r.Stopped != interrupted || r.Epoch != 1 || r.Batch != 10 {
		t.Fatalf("got epoch %d, batch %d, stopped %q, error %v; want 1, 10, interrupted", r.Epoch, r.Batch, r.Stopped, err)
	}
	d := settings[1].config(t)
	d.Dir, d.Resume = c.Dir, true
	got, err := Fit(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, timeless); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bits(whole), bits(d)); diff != "" {
		t.Errorf("weights and states differ: %.500s", diff)
	}
	// A run that is over stays so.
	e := settings[1].config(t)
	e.Dir, e.Resume = c.Dir, true
	if got, err := Fit(t.Context(), e); err != nil || got.Step != want.Step || len(got.History) != epochs {
		t.Errorf("resuming a run that is over: %d steps, %d epochs, %v", got.Step, len(got.History), err)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, tt := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(c *Config) { c.Model = nil }, "the Config has no Model"},
		{func(c *Config) { c.Optimizer = nil }, "the Config has no Optimizer"},
		{func(c *Config) { c.Loss = nil }, "the Config has no Loss"},
		{func(c *Config) { c.Train = nil }, "the Config has no Train"},
		{func(c *Config) { c.Epochs = 0 }, "Epochs is 0, want 1 or more"},
		{func(c *Config) { c.Accumulate = -1 }, "Accumulate is -1, want 0 or more"},
		{func(c *Config) { c.Resume = true }, "Resume without Dir"},
		{func(c *Config) { c.Monitor = "lr" }, `Monitor is "lr", want one of train_loss`},
		{func(c *Config) { c.Test = nil }, `Monitor is "test_accuracy", and the run has no Test data`},
		{func(c *Config) { c.Scheduler = oddScheduler{} }, "has no Step"},
		{func(c *Config) {
			c.Scheduler, c.SchedulerEachStep = sched.NewReduceLROnPlateau(c.Optimizer, sched.Min), true
		}, "SchedulerEachStep with ReduceLROnPlateau"},
		{func(c *Config) {
			s := sched.NewReduceLROnPlateau(c.Optimizer, sched.Min)
			c.Scheduler, s.Factor = s, 1
		}, "before the first step: sched: ReduceLROnPlateau: Factor is 1, want 0 or more and less than 1"},
		{func(c *Config) { c.Callbacks = []Callback{{State: NewEMA(c.Model, 0)}} }, "want one that no other has"},
		{func(c *Config) { c.Callbacks = []Callback{EarlyStopping("loss", sched.Min, 1, 0)} }, `EarlyStopping's metric is "loss"`},
		{func(c *Config) { c.Callbacks = []Callback{EarlyStopping("test_loss", sched.Min, 0, 0)} }, "a patience of 0, want 1"},
		{func(c *Config) { c.Callbacks = []Callback{EarlyStopping("test_loss", sched.Min, 1, math.NaN())} }, "a delta of NaN, want a finite number"},
		{func(c *Config) { c.Callbacks = []Callback{EarlyStopping("test_loss", 9, 1, 0)} }, "the mode 9, want sched.Min or sched.Max"},
		{func(c *Config) { c.Optimizer.SetLRs([]float64{math.NaN()}) }, "NaN"},
		{func(c *Config) { c.Scheduler = nil; c.Optimizer.SetLRs([]float64{math.NaN()}) }, "trainer: epoch 1, batch 1: tensor: SGD.Step: LR of group 0 is NaN, want a finite number"},
		{func(c *Config) { c.Train.BatchSize = 0 }, "batch size of 0"},
		{func(c *Config) { c.Epochs = -1 }, "Epochs is -1, want 1 or more"},
		{func(c *Config) { c.SaveEvery = -2 }, "SaveEvery is -2, want 0 or more"},
		{func(c *Config) { c.SaveSteps = -2 }, "SaveSteps is -2, want 0 or more"},
		{func(c *Config) { c.Keep = -2 }, "Keep is -2, want 0 or more"},
		{func(c *Config) { c.Mode = 7 }, "Mode is 7, want sched.Min or sched.Max"},
		{func(c *Config) { c.Train.Dataset = nil }, "Train has no Dataset"},
		{func(c *Config) { c.Train.Dataset = datasets.Slice(c.Train.Dataset, 0, 0) }, "Train has no batch: its data set has 0 examples"},
		{func(c *Config) { c.Test.Dataset = datasets.Slice(c.Test.Dataset, 0, 0) }, "Test has no batch: its data set has 0 examples"},
		{func(c *Config) { c.Train.BatchSize, c.Train.DropLast = 50, true }, "Train has no batch: DropLast leaves out its only one, of 38 examples where BatchSize is 50"},
		{func(c *Config) { c.Train.Sampler = noSampler{} }, "Train has no batch: its Sampler names 0 examples"},
		{func(c *Config) {
			c.Scheduler, c.SchedulerEachStep = sched.NewOneCycleLR(c.Optimizer, 0.1, 20, sched.OneCycleOpts{}), true
		},
			"trainer: the Scheduler does not go through the 30 steps that the run has left: sched: OneCycleLR: step 21 of 20"},
		{func(c *Config) {
			c.Scheduler = sched.NewLambdaLR(c.Optimizer, func(epoch int) float64 { return 1 / float64(2-epoch) })
		}, "the Scheduler does not go through the 3 epochs that the run has left: sched: LambdaLR: the factor of epoch 2 is +Inf"},
		{func(c *Config) {
			c.Scheduler = sched.NewLambdaLR(c.Optimizer, func(epoch int) float64 { return float64(1 - epoch) })
		}, "the rate of group 0 is -0.05 after 2 epochs, want a finite number from 0 on"},
		{func(c *Config) { c.Train.Dataset = broken{c.Train.Dataset} }, "example 5: the disk is gone"},
		{func(c *Config) { c.Test.Dataset = broken{c.Test.Dataset} }, "example 5: the disk is gone"},
	} {
		c := settings[0].config(t)
		tt.change(&c)
		if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got error %v, want %q", err, tt.want)
		}
	}
}

type noSampler struct{}

func (noSampler) Len() int                 { return 0 }
func (noSampler) Indices(*rand.Rand) []int { return nil }

type oddScheduler struct{}

func (oddScheduler) State() sched.State          { return sched.State{} }
func (oddScheduler) LoadState(sched.State) error { return nil }

type broken struct{ datasets.Dataset }

func (b broken) Classes() []string { return b.Dataset.(*datasets.Images).Classes() }

func (b broken) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if i == 5 {
		return nil, nil, errors.New("the disk is gone")
	}
	return b.Dataset.Get(i, r)
}

// Data that cannot be read any more ends the run where it stands, and resuming
// goes on there.
func TestDataFails(t *testing.T) {
	whole := settings[0].config(t)
	if _, err := Fit(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	c := settings[0].config(t)
	c.Dir = t.TempDir()
	good := c.Train.Dataset
	c.Callbacks = []Callback{{Start: func(*Run) error { c.Train.Dataset = broken{good}; return nil }}}
	r, err := Fit(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "example 5: the disk is gone; the run up to there is in "+filepath.Join(c.Dir, lastFile)) {
		t.Fatalf("got error %v, want one that says where the run is", err)
	}
	if r.Step == 0 || r.Step >= 10 {
		t.Fatalf("got %d steps, want 1 to 9", r.Step)
	}
	d := settings[0].config(t)
	d.Dir, d.Resume = c.Dir, true
	if again, err := Fit(t.Context(), d); err != nil || again.Epoch != epochs {
		t.Fatalf("resumed: got %d epochs, error %v", again.Epoch, err)
	}
	if diff := cmp.Diff(bits(whole), bits(d)); diff != "" {
		t.Errorf("weights and states differ: %.500s", diff)
	}
}

func TestDryRun(t *testing.T) {
	c := settings[0].config(t)
	c.DryRun, c.Dir = true, filepath.Join(t.TempDir(), "run")
	r, err := Fit(t.Context(), c)
	if err != nil || r.Step != 1 || len(r.History) != 1 || r.History[0].TestLoss != r.History[0].TestLoss {
		t.Errorf("got %d steps, %d epochs, error %v, want 1, 1", r.Step, len(r.History), err)
	}
	if _, err := os.Stat(c.Dir); err == nil {
		t.Errorf("the dry run has made %s", c.Dir)
	}
}

// Accumulated batches make the step of one batch that is as large.
func TestAccumulate(t *testing.T) {
	run := func(batch, accumulate int) (Config, Result) {
		tensor.ManualSeed(5)
		m := layers.NewSequential(layers.Flatten{}, layers.NewLinear(192, 4))
		layers.ToDType(m, tensor.Float64)
		c := Config{Model: layers.NewSequential(layers.Func(func(x *tensor.Tensor) *tensor.Tensor { return x.ToDType(tensor.Float64) }), m),
			Optimizer: optim.NewSGD(layers.Parameters(m), 0.1), Loss: layers.CrossEntropyLoss{}, Epochs: 2, Accumulate: accumulate,
			Train: &datasets.DataLoader{Dataset: pictures(t, 24, 1), BatchSize: batch, Shuffle: true}}
		r, err := Fit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return c, r
	}
	c, one := run(12, 1)
	d, many := run(3, 4)
	if one.Step != 4 || many.Step != 4 {
		t.Errorf("got %d and %d steps, want 4", one.Step, many.Step)
	}
	want := maps.Collect(layers.StateDict(c.Model))
	for name, x := range layers.StateDict(d.Model) {
		if diff := cmp.Diff(want[name].Float64s(), x.Float64s(), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("%s (-large batch +accumulated): %.300s", name, diff)
		}
	}
	if _, r := run(5, 2); r.Step != 6 { // 5 batches: 2, 2 and 1
		t.Errorf("got %d steps, want 6", r.Step)
	}
}

func TestFitShowsProgress(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := settings[0].config(t)
	c.Progress = NewProgress(f)
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) != 2*epochs || !strings.HasPrefix(lines[0], "train  epoch 1/3  10/10  step 10  loss ") || !strings.HasPrefix(lines[5], "test   epoch 3/3  3/3  step 30  loss ") {
		t.Errorf("got %q, want a line of training and one of testing for each epoch", lines)
	}
}
