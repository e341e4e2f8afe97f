package trainer

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/tensor"
)

// Where a step cannot be captured the run is what it is without, and one line says
// why.
func TestCaptureGoesOnWithout(t *testing.T) {
	for i, tt := range []struct {
		name, want string
		change     func(c *Config)
	}{
		{"on the CPU", "cpu has no graphs", func(*Config) {}},
		{"callback", "the callback nan_stop works in the middle of steps (it has Batch or Gradients)", func(c *Config) { c.Callbacks = []Callback{NaNStop()} }},
		{"callback without a name", "the callback 1 works in the middle of steps", func(c *Config) {
			c.Callbacks = []Callback{TimeLimit(1e15), {Gradients: func(*Run) error { return nil }}}
		}},
		{"accumulation", "Accumulate is 3, and a step of several batches is not captured", func(c *Config) { c.Accumulate = 3 }},
		{"Forward", "a step with Forward is not captured", func(c *Config) {
			model, loss := c.Model, c.Loss
			c.Loss, c.Forward = nil, func(b *datasets.Batch) Pass {
				scores := model.Forward(b.Inputs[0])
				return Pass{Loss: loss.Forward(scores, b.Targets[0]), Scores: scores, Labels: b.Targets[0]}
			}
		}},
		{"a metric in training", `the metric "half" is measured in the middle of steps; TestOnly leaves it to the test`, func(c *Config) {
			c.Metrics = []Metric{constant("half", 0.5)}
		}},
		{"a metric in the test", "cpu has no graphs", func(c *Config) {
			c.Metrics = []Metric{constant("half", 0.5)}
			c.Metrics[0].TestOnly = true
		}},
		{"float16", "with Autocast in float16 it is decided after each Backward", func(c *Config) { c.Autocast = tensor.Float16 }},
	} {
		run := func(capture bool) (Result, map[string]string, string) {
			c := settings[0].config(t)
			tt.change(&c)
			var log bytes.Buffer
			c.Epochs, c.Capture, c.Progress = 2, capture, NewProgress(&log)
			r, err := Fit(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return r, bits(c), log.String()
		}
		want, wantBits, _ := run(false)
		got, gotBits, log := run(true)
		if diff := cmp.Diff(want, got, timeless); diff != "" {
			t.Errorf("%s: result (-without +with):\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(wantBits, gotBits); diff != "" {
			t.Errorf("%s: weights and states differ: %.300s", tt.name, diff)
		}
		if n := strings.Count(log, "Capture: the steps are computed operation by operation: "); n != 1 || !strings.Contains(log, tt.want) {
			t.Errorf("%d %s: the log says it %d times, want once, with %q:\n%s", i, tt.name, n, tt.want, log)
		}
	}
}
