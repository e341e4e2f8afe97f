package trainer_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// sums are what a loop by hand adds up: plain numbers, read from each batch.
type sums struct{ loss, weight, right, labels, a, b, c float64 }

// What Fit makes of a model of several inputs, of losses and metrics of one's own, is
// what a plain loop makes of them, to the last bit: weights, losses, accuracies and
// metrics, in training and testing.
func TestForwardByHand(t *testing.T) {
	count := func(x *tensor.Tensor) float64 { return float64(x.Sum().Ints()[0]) }
	right := func(s *sums, scores, labels *tensor.Tensor) {
		for i, predicted := range scores.Detach().ArgMax(1).Ints() {
			if label := labels.Ints()[i]; label >= 0 {
				s.labels++
				if label == predicted {
					s.right++
				}
			}
		}
	}
	for _, tt := range []struct {
		name   string
		config func() trainer.Config
		add    func(s *sums, b *datasets.Batch, p trainer.Pass)
		own    func(s *sums) map[string]float64 // without train_ and test_
	}{
		{"siamese", siamese, func(s *sums, b *datasets.Batch, p trainer.Pass) {
			s.loss, s.weight = s.loss+p.Loss.Item()*float64(b.Len()), s.weight+float64(b.Len())
			for i, d := range p.Outputs[0].Detach().Floats() {
				same := b.Targets[0].Bools()[i]
				if d < 0.5 && same {
					s.a++
				}
				if d < 0.5 {
					s.b++
				}
				if same {
					s.c++
				}
			}
		}, func(s *sums) map[string]float64 { return map[string]float64{"f1": 2 * s.a / (s.b + s.c)} }},
		{"two heads", multiTask, func(s *sums, b *datasets.Batch, p trainer.Pass) {
			n := float64(b.Len())
			s.loss, s.weight = s.loss+p.Loss.Item()*n, s.weight+n
			s.a, s.b = s.a+p.Outputs[2].Item()*n, s.b+p.Outputs[3].Item()*n
			right(s, p.Scores, p.Labels)
			for i, label := range p.Labels.Ints() {
				row := p.Scores.Detach().Select(0, i).Floats()
				better := 0
				for _, v := range row {
					if v > row[label] {
						better++
					}
				}
				if better < 2 {
					s.c++
				}
			}
		}, func(s *sums) map[string]float64 {
			return map[string]float64{"class loss": s.a / s.weight, "distance loss": s.b / s.weight, "top2": s.c / s.weight}
		}},
		{"VAE", autoencoder, func(s *sums, b *datasets.Batch, p trainer.Pass) {
			n := float64(b.Len())
			s.loss, s.weight = s.loss+p.Loss.Item()*n, s.weight+n
			s.a, s.b = s.a+p.Outputs[0].Item()*n, s.b+p.Outputs[1].Item()*n
		}, func(s *sums) map[string]float64 {
			return map[string]float64{"reconstruction": s.a / s.weight, "kl": s.b / s.weight}
		}},
		{"padded sequences", tagging, func(s *sums, b *datasets.Batch, p trainer.Pass) {
			n := count(b.Inputs[1])
			s.loss, s.weight = s.loss+p.Loss.Item()*n, s.weight+n
			right(s, p.Scores.Transpose(1, 2).Reshape(-1, 2), p.Labels.Reshape(-1))
		}, func(s *sums) map[string]float64 { return map[string]float64{"perplexity": math.Exp(s.loss / s.weight)} }},
		{"distillation", distillation, func(s *sums, b *datasets.Batch, p trainer.Pass) {
			n := float64(b.Len())
			s.loss, s.weight = s.loss+p.Loss.Item()*n, s.weight+n
			right(s, p.Scores, p.Labels)
		}, func(*sums) map[string]float64 { return nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.config()
			result, err := trainer.Fit(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			got := weights(c)

			c = tt.config()
			module := c.Module
			if module == nil {
				module = c.Model
			}
			testOnly := map[string]bool{}
			for _, m := range c.Metrics {
				testOnly[m.Name] = m.TestOnly
			}
			for epoch := range c.Epochs {
				m := result.History[epoch]
				want := map[string]float64{}
				note := func(phase string, s *sums) {
					want[phase+"_loss"], want[phase+"_accuracy"] = s.loss/s.weight, s.right/s.labels
					for name, v := range tt.own(s) {
						if phase == "test" || !testOnly[name] {
							want[phase+"_"+name] = v
						}
					}
				}
				layers.Train(module)
				var train, test sums
				for b := range c.Train.Batches() {
					c.Optimizer.ZeroGrad()
					p := c.Forward(b)
					p.Loss.Backward()
					c.Optimizer.Step()
					tt.add(&train, b, p)
				}
				note("train", &train)
				if c.Test != nil {
					layers.Eval(module)
					for b := range c.Test.Batches() {
						b = b.NoGrad()
						tt.add(&test, b, c.Forward(b))
					}
					note("test", &test)
				}
				has := map[string]float64{}
				for name := range want {
					has[name], _ = m.Value(name)
				}
				if diff := cmp.Diff(bitsOf(want), bitsOf(has)); diff != "" {
					t.Errorf("epoch %d (-by hand +Fit):\n%s", epoch+1, diff)
				}
				n := len(want)
				for _, name := range []string{"train_loss", "train_accuracy", "test_loss", "test_accuracy"} {
					if _, ok := want[name]; ok {
						n--
					}
				}
				for name, v := range m.Own {
					if _, ok := want[name]; !ok && v == v {
						t.Errorf("epoch %d: %s is %v, and by hand there is none", epoch+1, name, v)
					}
				}
				if n > len(m.Own) {
					t.Errorf("epoch %d: got the metrics %v, want %d", epoch+1, m.Own, n)
				}
			}
			if diff := cmp.Diff(weights(c), got); diff != "" {
				t.Errorf("the weights differ (-by hand +Fit): %.500s", diff)
			}
		})
	}
}

// weights are a model's as bytes.
func weights(c trainer.Config) map[string]string {
	module := c.Module
	if module == nil {
		module = c.Model
	}
	all := map[string]string{}
	for name, x := range layers.StateDict(module) {
		all[name] = fmt.Sprintf("%x", x.Detach().Raw())
	}
	return all
}

func bitsOf(v map[string]float64) map[string]string {
	out := map[string]string{}
	for name, x := range v {
		out[name] = fmt.Sprintf("%x (%v)", math.Float64bits(x), x)
		if x != x {
			out[name] = "NaN"
		}
	}
	return out
}

// A metric that is made of sums is what it is of one batch that holds everything,
// whatever batches there are; one that is a mean of batches' values is not.
func TestMetricAnyBatches(t *testing.T) {
	labels := tensor.From([]int64{0, 1, 2, 2, 1, 0, 2, 2, -100, 1})
	scores := tensor.From([]float32{3, 1, 0, 0, 2, 1, 1, 0, 5, 4, 0, 1, 0, 1, 0, 1, 2, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0}, 10, 3)
	confusion := func(_ *datasets.Batch, p *trainer.Pass) *tensor.Tensor {
		counts := make([]float64, 9) // on the host, as one may
		predicted := p.Scores.ArgMax(1).Ints()
		for i, label := range p.Labels.Ints() {
			if label >= 0 {
				counts[3*label+predicted[i]]++
			}
		}
		return tensor.From(counts, 3, 3)
	}
	iou := func(s []float64) float64 {
		sum := 0.0
		for c := range 3 {
			union := -s[4*c]
			for k := range 3 {
				union += s[3*c+k] + s[3*k+c]
			}
			sum += s[4*c] / union
		}
		return sum / 3
	}
	want := 0.0
	for size := 10; size >= 1; size-- {
		set, err := datasets.NewTensors(scores, labels)
		if err != nil {
			t.Fatal(err)
		}
		model := layers.NewLinear(3, 3)
		result, err := trainer.Fit(t.Context(), trainer.Config{
			Model: model, Optimizer: noStep{}, Epochs: 1, Train: &datasets.DataLoader{Dataset: set, BatchSize: size, Shuffle: true},
			Forward: func(b *datasets.Batch) trainer.Pass {
				return trainer.Pass{Loss: model.Forward(b.Inputs[0]).Sum(), Scores: b.Inputs[0], Labels: b.Targets[0]}
			},
			Metrics: []trainer.Metric{{Name: "IoU", Mode: sched.Max, Sums: confusion, Value: iou}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := float64(result.History[0].Own["train_IoU"])
		if size == 10 {
			// Predicted 0 1 2 0 1 1 2 1 – 1: unions of 3, 5 and 4.
			if want = got; math.Abs(want-(1./3+3./5+2./4)/3) > 1e-15 {
				t.Errorf("got an IoU of %v, want %v", want, (1./3+3./5+2./4)/3)
			}
		}
		if got != want {
			t.Errorf("batches of %d: got %v, want %v", size, got, want)
		}
	}
}

// noStep is an optimizer that leaves everything as it is.
type noStep struct{}

func (noStep) Step()            {}
func (noStep) ZeroGrad()        {}
func (noStep) LRs() []float64   { return []float64{0.1} }
func (noStep) SetLRs([]float64) {}
