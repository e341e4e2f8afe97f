package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// bomb panics when it goes off.
type bomb struct {
	armed bool
	err   error
}

func (b *bomb) off() error {
	if b.armed {
		panic(b.err)
	}
	return nil
}

func (b *bomb) State() (json.RawMessage, iter.Seq2[string, *tensor.Tensor]) {
	b.off()
	return json.RawMessage("{}"), nil
}

func (b *bomb) LoadState(json.RawMessage, map[string]*tensor.Tensor) error { return b.off() }

type bombLoss struct{ *bomb }

func (b bombLoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	b.off()
	return tensor.CrossEntropy(output, target, tensor.CrossEntropyOpts{})
}

type bombScheduler struct{ *bomb }

func (b bombScheduler) Step()                       { b.off() }
func (b bombScheduler) State() sched.State          { return sched.State{} }
func (b bombScheduler) LoadState(sched.State) error { return nil }

// What panics inside a run is its error, with the stack; the folder stays one that can
// be resumed, and is free.
func TestPanics(t *testing.T) {
	errBomb := errors.New("bomb")
	for _, tt := range []struct {
		name   string
		put    func(c *Config, b *bomb)
		during string
	}{
		{"the model", func(c *Config, b *bomb) {
			c.Model = layers.NewSequential(c.Model, layers.Func(func(x *tensor.Tensor) *tensor.Tensor { b.off(); return x }))
		}, "epoch 2, batch 1"},
		{"the loss", func(c *Config, b *bomb) { c.Loss = bombLoss{b} }, "epoch 2, batch 1"},
		{"Forward", func(c *Config, b *bomb) {
			model := c.Model
			c.Loss, c.Forward = nil, func(batch *datasets.Batch) Pass { b.off(); return Pass{Loss: model.Forward(batch.Inputs[0]).Mean()} }
		}, "epoch 2, batch 1"},
		{"a metric's Sums", func(c *Config, b *bomb) {
			c.Metrics = []Metric{constant("x", 1)}
			c.Metrics[0].Sums = func(*datasets.Batch, *Pass) *tensor.Tensor { b.off(); return tensor.Ones(2) }
		}, `epoch 2, batch 1, the metric "x"`},
		{"a metric's Value", func(c *Config, b *bomb) {
			c.Metrics = []Metric{constant("x", 1)}
			c.Metrics[0].Value = func([]float64) float64 { b.off(); return 1 }
		}, `epoch 2, batch 10, the metric "x"`},
		{"the scheduler", func(c *Config, b *bomb) { c.Scheduler = bombScheduler{b} }, "the end of epoch 2"},
		{"Start", func(c *Config, b *bomb) { c.Callbacks = []Callback{{Start: func(*Run) error { return b.off() }}} }, "before the first step"},
		{"Batch", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{{Batch: func(*Run) func() error { b.off(); return nil }}}
		}, "epoch 2, batch 1"},
		{"Batch's done", func(c *Config, b *bomb) { c.Callbacks = []Callback{{Batch: func(*Run) func() error { return b.off }}} }, "epoch 2, batch 1"},
		{"Gradients", func(c *Config, b *bomb) { c.Callbacks = []Callback{{Gradients: func(*Run) error { return b.off() }}} }, "epoch 2, batch 1"},
		{"Step", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{{Step: func(r *Run) error {
				if r.Step == 13 {
					return b.off()
				}
				return nil
			}}}
		}, "epoch 2, batch 3"},
		{"Test", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{{Test: func(*Run) func() { b.off(); return nil }}}
		}, "epoch 2, batch 10"},
		{"TestBatch", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{NewEMA(c.Model, 0.9).Callback(), {TestBatch: func(*Run) error { return b.off() }}}
		}, "the test of epoch 2, batch 1"},
		{"Epoch", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{{Epoch: func(*Run, *Metrics) error { return b.off() }}}
		}, "the end of epoch 2"},
		{"Scalars", func(c *Config, b *bomb) {
			c.Callbacks = []Callback{LogSteps(12), {Scalars: func(*Run, map[string]float64) { b.off() }}}
		}, "epoch 2, batch 2"},
		{"State", func(c *Config, b *bomb) { c.Callbacks = []Callback{{Name: "bomb", State: b}} }, "the end of epoch 2"},
		{"LoadState", func(c *Config, b *bomb) { c.Callbacks = []Callback{{Name: "bomb", State: b}} }, "before the first step"},
		{"End", func(c *Config, b *bomb) { c.Callbacks = []Callback{{End: func(*Run) { b.off() }}} }, "the end of the run"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &bomb{err: errBomb}
			dir := t.TempDir()
			config := func(resume bool) Config {
				c := settings[0].config(t)
				c.Dir, c.Epochs, c.Resume, c.Scheduler = dir, 2, resume, nil
				tt.put(&c, b)
				return c
			}
			ended := error(nil)
			arm := Callback{Epoch: func(*Run, *Metrics) error { b.armed = true; return nil }, End: func(r *Run) { ended = r.Err }}
			c := config(false)
			switch tt.name {
			case "End":
				c.Epochs = 1
				arm.End = nil
			case "LoadState", "Start":
				c.Epochs = 1
				if _, err := Fit(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				c, b.armed = config(true), true
			}
			// The scheduler comes before the callbacks, the checkpoint behind them.
			if tt.name == "State" || tt.name == "scheduler" {
				arm.Epoch = func(_ *Run, m *Metrics) error { b.armed = m.Epoch == 2; return nil }
			}
			c.Callbacks = append(c.Callbacks, arm)
			r, err := Fit(t.Context(), c)
			var p *PanicError
			if !errors.As(err, &p) || !errors.Is(err, errBomb) {
				t.Fatalf("got error %v, want a *PanicError", err)
			}
			if p.During != tt.during || !strings.Contains(p.Where, "panic_test.go:") || !strings.Contains(string(p.Stack), "trainer.(*bomb).off") {
				t.Errorf("got %q at %q, want %q; the stack is\n%s", p.During, p.Where, tt.during, p.Stack)
			}
			if want := fmt.Sprintf("trainer: %s: panic at %s: bomb", p.During, p.Where); err.Error() != want {
				t.Errorf("got error %q, want %q", err, want)
			}
			if plus := fmt.Sprintf("%+v", err); fmt.Sprintf("%v", err) != err.Error() || fmt.Sprintf("%q", err) != strconv.Quote(err.Error()) || !strings.HasPrefix(plus, err.Error()+"\n") || !strings.Contains(plus, "trainer.(*bomb).off") {
				t.Errorf("got %%+v %q, want the stack in it, and %%v without", plus)
			}
			if arm.End != nil && tt.name != "LoadState" && ended != err {
				t.Errorf("End sees the error %v, want %v", ended, err)
			}
			if slices.ContainsFunc(r.Warnings, func(e error) bool { return strings.Contains(e.Error(), "panic") }) {
				t.Errorf("got the warnings %v too", r.Warnings)
			}
			for _, name := range ls(t, dir) {
				if strings.HasSuffix(name, ".tmp") || name == lockFile && lockGoes {
					t.Errorf("%s is left", name)
				}
			}
			b.armed = false
			if r, err := Fit(t.Context(), config(true)); err != nil || r.Epoch != 2 {
				t.Errorf("resumed: got epoch %d, error %v", r.Epoch, err)
			}
		})
	}
}

// Whatever is panicked with becomes an error, which errors.As finds.
func TestPanicValues(t *testing.T) {
	for _, tt := range []struct {
		name string
		off  func()
		want string // behind the place
		as   error
	}{
		{"a text", func() { panic("oh") }, "oh", nil},
		{"a number", func() { panic(3) }, "3", nil},
		{"nil", func() { panic(nil) }, "panic called with nil argument", new(runtime.PanicNilError)},
		{"an index", func() { s := []int{}; _ = s[len(s)] }, "runtime error: index out of range [0] with length 0", nil},
		{"nil's field", func() { var c *Config; c.Epochs++ }, "runtime error: invalid memory address or nil pointer dereference", nil},
		{"in the standard library", func() { _ = slices.Repeat([]int{1}, -1) }, "cannot be negative", nil},
		{"a shape", func() { tensor.Zeros(2).Add(tensor.Zeros(3)) }, "tensor: ", &tensor.Error{}},
	} {
		c := settings[0].config(t)
		c.Callbacks = []Callback{{Step: func(*Run) error { tt.off(); return nil }}}
		_, err := Fit(t.Context(), c)
		var p *PanicError
		start := "trainer: epoch 1, batch 1: panic at "
		if strings.HasPrefix(tt.want, "tensor") {
			start = "trainer: epoch 1, batch 1: at "
		}
		if !errors.As(err, &p) || !strings.Contains(err.Error(), start) || !strings.Contains(err.Error(), "panic_test.go:") || !strings.Contains(err.Error(), ": "+tt.want) {
			t.Errorf("%s: got error %v, want a *PanicError with %q", tt.name, err, tt.want)
			continue
		}
		if _, shape := tt.as.(*tensor.Error); shape != errors.As(err, new(*tensor.Error)) {
			t.Errorf("%s: got a *tensor.Error: %t", tt.name, !shape)
		}
	}
}

// nothing is a layer that returns nil.
type nothing struct{}

func (nothing) Forward(*tensor.Tensor) *tensor.Tensor { return nil }
func (nothing) Parts() []layers.Part                  { return nil }

type noLoss struct{}

func (noLoss) Forward(_, _ *tensor.Tensor) *tensor.Tensor { return nil }

// A part that gives nil, or a loss that is no scalar, is one sentence that says which.
func TestNilParts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"a model that returns nil", func(c *Config) { c.Model = nothing{} }, "the model (trainer.nothing) returned nil for a batch [4 3 8 8], want its output"},
		{"a loss that returns nil", func(c *Config) { c.Loss = noLoss{} }, "the loss (trainer.noLoss) returned nil for the output [4 4], want a scalar"},
		{"no reduction", func(c *Config) { c.Loss = layers.CrossEntropyLoss{Reduction: tensor.ReduceNone} },
			"the loss (layers.CrossEntropyLoss) is [4], want a scalar; a Reduction of tensor.ReduceMean or tensor.ReduceSum makes one"},
		{"a nil model of a type", func(c *Config) { c.Model = (*layers.Sequential)(nil) }, "(*layers.Sequential) is nil"},
		{"a nil optimizer of a type", func(c *Config) { c.Optimizer, c.Scheduler = (*optim.SGD)(nil), nil }, "the Config's Optimizer cannot be used"},
		{"a nil scheduler of a type", func(c *Config) { c.Scheduler = (*sched.StepLR)(nil) }, "the Config's Scheduler cannot be used"},
		{"a nil plateau", func(c *Config) { c.Scheduler = (*sched.ReduceLROnPlateau)(nil) }, "the Config's Scheduler cannot be used"},
		{"a nil data set of a type", func(c *Config) { c.Train.Dataset = (*datasets.Images)(nil) }, "the Config's Train cannot be used"},
		{"a nil generator", func(c *Config) { c.Generators = map[string]*tensor.Generator{"mine": nil} }, `Generators["mine"] is nil`},
	} {
		for _, dir := range []string{"", t.TempDir()} {
			c := settings[0].config(t)
			c.Dir = dir
			tt.change(&c)
			_, err := Fit(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s, Dir %q: got error %v, want %q", tt.name, dir, err, tt.want)
			}
		}
	}
}
