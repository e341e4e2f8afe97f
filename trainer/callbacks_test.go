package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// drive calls a callback with the metrics of epochs and returns after how many it
// stopped the run, 0 meaning that it did not.
func drive(t *testing.T, c Callback, r *Run, losses []float64) int {
	t.Helper()
	for i, v := range losses {
		if err := c.Epoch(r, &Metrics{Epoch: i + 1, TestLoss: jsonfloat.Float(v)}); err != nil {
			t.Fatal(err)
		}
		if r.stop != "" {
			return i + 1
		}
	}
	return 0
}

func TestEarlyStopping(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name     string
		mode     sched.Mode
		patience int
		delta    float64
		losses   []float64
		want     int
	}{
		{"falls", sched.Min, 2, 0, []float64{5, 4, 3, 2, 1}, 0},
		{"stays", sched.Min, 2, 0, []float64{5, 4, 4, 4, 4}, 4},
		{"recovers", sched.Min, 2, 0, []float64{5, 6, 4, 5, 3, 5, 5}, 7},
		{"rises, maximized", sched.Max, 1, 0, []float64{1, 2, 3, 3}, 4},
		{"falls too little", sched.Min, 1, 0.5, []float64{5, 4, 3.6, 1}, 3},
		{"NaN", sched.Min, 3, 0, []float64{nan, 5, nan, math.Inf(-1), nan, nan}, 5},
	} {
		r := &Run{Config: &Config{}}
		if got := drive(t, EarlyStopping("test_loss", tt.mode, tt.patience, tt.delta), r, tt.losses); got != tt.want {
			t.Errorf("%s: stopped after epoch %d (%q), want %d", tt.name, got, r.stop, tt.want)
		}
	}
}

// A run that stopped early stops at once when it is resumed.
func TestEarlyStoppingResumed(t *testing.T) {
	config := func() Config {
		c := settings[0].config(t)
		c.Callbacks = []Callback{EarlyStopping("test_loss", sched.Min, 1, 100)}
		return c
	}
	c := config()
	c.Dir = t.TempDir()
	r, err := Fit(t.Context(), c)
	if err != nil || r.Epoch != 2 || r.Stopped != "test_loss has not become better for 1 epochs" {
		t.Fatalf("stopped after %d epochs, %q, error %v, want 2", r.Epoch, r.Stopped, err)
	}
	d := config()
	d.Dir, d.Resume = c.Dir, true
	if again, err := Fit(t.Context(), d); err != nil || again.Epoch != 2 || again.Stopped != r.Stopped {
		t.Errorf("resumed: stopped after %d epochs, %q, error %v, want 2, at once", again.Epoch, again.Stopped, err)
	}
}

func TestClipping(t *testing.T) {
	for _, tt := range []struct {
		name string
		clip Callback
		size func(params []*tensor.Tensor) float64
	}{
		{"norm", ClipGradNorm(0.01), func(ps []*tensor.Tensor) float64 {
			sum := 0.0
			for _, p := range ps {
				sum += math.Pow(p.Grad().Detach().Norm(2).Item(), 2)
			}
			return math.Sqrt(sum)
		}},
		{"value", ClipGradValue(0.01), func(ps []*tensor.Tensor) float64 {
			most := 0.0
			for _, p := range ps {
				most = max(most, p.Grad().Detach().Abs().Amax().Item())
			}
			return most
		}},
	} {
		c := settings[0].config(t)
		c.Epochs = 1
		var before, after []float64
		look := func(sizes *[]float64) Callback {
			return Callback{Gradients: func(r *Run) error {
				*sizes = append(*sizes, tt.size(layers.Parameters(r.Model)))
				return nil
			}}
		}
		c.Callbacks = []Callback{look(&before), tt.clip, look(&after)}
		if _, err := Fit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if slices.Max(before) < 0.1 || slices.Max(after) > 0.01001 || slices.Min(after) < 0.009 {
			t.Errorf("%s: sizes %.4f became %.4f, want 0.01", tt.name, before, after)
		}
	}
}

func TestTimeLimit(t *testing.T) {
	c := settings[0].config(t)
	c.Callbacks = []Callback{{Step: func(*Run) error { time.Sleep(2 * time.Millisecond); return nil }}, TimeLimit(5 * time.Millisecond)}
	r, err := Fit(t.Context(), c)
	if err != nil || r.Step < 1 || r.Step > 3 || r.Stopped != "the time limit of 5ms is reached" {
		t.Errorf("got %d steps, stopped %q, error %v, want at most 3", r.Step, r.Stopped, err)
	}
}

// Errors of callbacks end the run and come back as they are; End is called.
func TestCallbackErrors(t *testing.T) {
	wrong := errors.New("wrong")
	fail := func(*Run) error { return wrong }
	for name, cb := range map[string]Callback{
		"Start": {Start: fail}, "Batch": {Batch: func(*Run) func() error { return func() error { return wrong } }}, "Gradients": {Gradients: fail}, "Step": {Step: fail},
		"Epoch": {Epoch: func(*Run, *Metrics) error { return wrong }},
	} {
		c := settings[0].config(t)
		ended := 0
		cb.End = func(*Run) { ended++ }
		c.Callbacks = []Callback{cb}
		if _, err := Fit(t.Context(), c); err != wrong || ended != 1 {
			t.Errorf("%s: got error %v and End %d times, want %v and 1", name, err, ended, wrong)
		}
	}
}

func TestEMA(t *testing.T) {
	m := layers.NewLinear(2, 1)
	m.Weight.CopyFrom(tensor.From([]float32{1, 2}, 1, 2))
	m.Bias.Fill(3)
	e := NewEMA(m, 0.75)
	want := []float64{1, 2, 3}
	weights := func() []float64 { return append(m.Weight.Detach().Float64s(), m.Bias.Detach().Float64s()...) }
	for step := range 4 {
		for _, p := range layers.Parameters(m) {
			p.Fill(float64(10 * step))
		}
		e.Update()
		for i := range want {
			want[i] = 0.75*want[i] + 0.25*float64(10*step)
		}
	}
	e.Swap()
	if diff := cmp.Diff(want, weights(), cmpopts.EquateApprox(0, 1e-5)); diff != "" {
		t.Errorf("the average (-want +got):\n%s", diff)
	}
	if !m.Weight.RequiresGrad() {
		t.Error("the weight does not require a gradient any more")
	}
	e.Swap()
	if diff := cmp.Diff([]float64{30, 30, 30}, weights()); diff != "" {
		t.Errorf("the weights, swapped back (-want +got):\n%s", diff)
	}
	for _, tensors := range []map[string]*tensor.Tensor{
		{}, {"weight": tensor.Zeros(1, 2), "other": tensor.Zeros(1)}, {"weight": tensor.Zeros(2), "bias": tensor.Zeros(1)},
	} {
		if err := e.LoadState(json.RawMessage("{}"), tensors); err == nil {
			t.Errorf("a state of %v: got no error", tensors)
		}
	}
	if err := tensor.Try(func() { NewEMA(m, 1.5) }); err == nil || !strings.Contains(err.Error(), "want 0 to 1") {
		t.Errorf("a decay of 1.5: got %v, want an error", err)
	}
}

// The test is made with the average, the training with the weights.
func TestEMAInFit(t *testing.T) {
	c := settings[0].config(t)
	ema := NewEMA(c.Model, 1) // stays what it was
	first := fmt.Sprintf("%x", layers.Parameters(c.Model)[0].Detach().Raw())
	var tested, trained []bool
	same := func(r *Run) bool { return fmt.Sprintf("%x", layers.Parameters(r.Model)[0].Detach().Raw()) == first }
	c.Callbacks = []Callback{ema.Callback(), {
		Test:  func(r *Run) func() { tested = append(tested, same(r)); return nil },
		Epoch: func(r *Run, _ *Metrics) error { trained = append(trained, same(r)); return nil },
	}}
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tested, []bool{true, true, true}) || !slices.Equal(trained, []bool{false, false, false}) {
		t.Errorf("the model had the average's weights in tests %v and after them %v, want always and never", tested, trained)
	}
}
