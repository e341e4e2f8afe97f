package trainer

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// float16 is a run in Float16 without random layers.
func float16(t *testing.T) Config {
	c := base(t)
	c.Model = layers.NewSequential(
		layers.NewConv2d(3, 4, 3, layers.ConvOpts{Padding: 1}), layers.ReLU{}, layers.NewMaxPool2d(2, 2), layers.Flatten{}, layers.NewLinear(64, 4))
	c.Optimizer = optim.NewSGD(layers.Parameters(c.Model), 0.01)
	c.Autocast = tensor.Float16
	return c
}

// Callbacks see gradients as they are without Autocast, but for rounding.
func TestFloat16Gradients(t *testing.T) {
	gradient := func(d tensor.DType) (g []float64) {
		c := float16(t)
		c.Autocast, c.DryRun = d, true
		c.Callbacks = []Callback{
			{Start: func(r *Run) error {
				if r.Scaler != nil {
					r.Scaler.InitScale = 1024
				}
				return nil
			}},
			{Gradients: func(r *Run) error {
				for _, p := range layers.Parameters(r.Model) {
					g = append(g, p.Grad().Float64s()...)
				}
				return nil
			}}}
		if r, err := Fit(t.Context(), c); err != nil || r.Skipped != 0 {
			t.Fatalf("got error %v, and %d steps were left out, want none", err, r.Skipped)
		}
		return g
	}
	want, got := gradient(tensor.Float32), gradient(tensor.Float16)
	largest := 0.0
	for _, v := range want {
		largest = max(largest, math.Abs(v))
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 0.02*largest {
			t.Errorf("gradient %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// A step that is left out changes no weights and is told of in the records; NaNStop
// lets it pass.
func TestFloat16Skips(t *testing.T) {
	c := float16(t)
	c.Dir, c.Epochs = t.TempDir(), 1
	scalars := map[int]map[string]float64{}
	var before map[string]string
	c.Callbacks = []Callback{
		NaNStop(), LogSteps(1),
		{Gradients: func(*Run) error {
			before = bits(c)
			return nil
		}, Batch: func(r *Run) func() error {
			return func() error {
				if r.Step == 1 || r.Step == 4 {
					layers.Parameters(r.Model)[1].Grad().Fill(math.Inf(1))
				}
				return nil
			}
		}, Step: func(r *Run) error {
			left := r.Step == 2 || r.Step == 5
			if same := cmp.Equal(before, bits(c)); same != left {
				t.Errorf("step %d: the weights are the same: %t, want %t", r.Step, same, left)
			}
			return nil
		}, Scalars: func(r *Run, values map[string]float64) { scalars[r.Step] = values }},
	}
	c.Callbacks[2].Start = func(r *Run) error { r.Scaler.InitScale = 512; return nil }
	r, err := Fit(t.Context(), c)
	if err != nil || r.Skipped != 2 || r.Step != 10 {
		t.Fatalf("got %d of %d steps left out (%v), want 2 of 10", r.Skipped, r.Step, err)
	}
	if s := scalars[5]; s["step/scale"] != 128 || s["step/skipped"] != 2 || s["step/lr"] != 0.01 {
		t.Errorf("after step 5 the loggers got %v, want the scale 128, 2 steps left out and the rate 0.01", s)
	}
	m, err := ReadMetrics(c.Dir)
	if err != nil || len(m) != 1 || m[0].Scale != 128 || m[0].Skipped != 2 {
		t.Errorf("metrics.jsonl: got %+v (%v), want the scale 128 and 2 steps left out", m, err)
	}
	if s := m[0].scalars(); s["scale"] != 128 || s["skipped_steps"] != 2 {
		t.Errorf("the epoch's scalars are %v, want scale 128 and skipped_steps 2", s)
	}

	// A run without mixed precision has another checkpoint.
	d := float16(t)
	d.Autocast, d.Dir, d.Resume, d.Callbacks = tensor.BFloat16, c.Dir, true, nil
	_, err = Fit(t.Context(), d)
	if want := "it holds the state of a GradScaler, and this run has none; resume with the same Autocast"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(c.Dir, lastFile)) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

// What no smaller scale can help ends the run.
func TestFloat16NaN(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		spoil      func(r *Run)
		scale      float64
	}{
		{"the loss", "the loss is NaN", func(r *Run) { r.loss, r.unread = math.NaN(), nil }, 65536},
		{"a gradient", "but the gradients of 0.bias are not finite", func(r *Run) { layers.Parameters(r.Model)[1].Grad().Fill(math.NaN()) }, 1},
	} {
		c := float16(t)
		c.Callbacks = []Callback{{
			Start: func(r *Run) error { r.Scaler.InitScale = tt.scale; return nil },
			Batch: func(r *Run) func() error {
				return func() error {
					if r.Step == 3 {
						tt.spoil(r)
					}
					return nil
				}
			}}, NaNStop()}
		if r, err := Fit(t.Context(), c); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), tt.want) || r.Step != 3 {
			t.Errorf("%s: got error %v after step %d, want %q after 3", tt.name, err, r.Step, tt.want)
		}
	}
}

// Autocast in Float16 takes an optimizer whose gradients can be unscaled; a search
// for a rate scales too.
func TestFloat16Optimizers(t *testing.T) {
	c := float16(t)
	points, _, err := FindLR(t.Context(), c, FindLROpts{From: 1e-4, To: 1e-2, Steps: 12})
	if err != nil || len(points) != 12 || !finite(points[11].Raw) {
		t.Errorf("FindLR: got %d points (%v), want 12 finite ones", len(points), err)
	}
	c.Optimizer = struct{ optim.Optimizer }{c.Optimizer}
	if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), "has no Parameters, whose gradients are scaled") {
		t.Errorf("got error %v, want one that says what the optimizer lacks", err)
	}
}
