package optim_test

import (
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// Gradients with a history (CreateGraph) are clipped, divided by a scale and stepped with
// as others are, and differentiated before. The numbers are PyTorch's.
func TestCreatedGradientsInAStep(t *testing.T) {
	x := tensor.From([]float32{1, 2, 3})
	for _, tt := range []struct {
		name string
		f    func(w *tensor.Tensor)
		want []float32
	}{
		{"ClipGradNorm", func(w *tensor.Tensor) { optim.ClipGradNorm([]*tensor.Tensor{w}, 1) }, []float32{0.035488673, 0.28390938, 0.95819414}},
		{"ClipGradValue", func(w *tensor.Tensor) { optim.ClipGradValue([]*tensor.Tensor{w}, 10) }, []float32{2, 10, 10}},
	} {
		w := tensor.From([]float32{1, 2, 3}).SetRequiresGrad(true)
		w.Mul(x).Square().Sum().Backward(tensor.BackwardOpts{CreateGraph: true}) // 2wx²
		second := autograd.Grad(w.Grad().Sum(), []*tensor.Tensor{w}, autograd.GradOpts{RetainGraph: true})[0].Floats()
		if want := []float32{2, 8, 18}; !slices.Equal(second, want) {
			t.Errorf("%s: the second derivative is %v, want %v", tt.name, second, want)
		}
		tt.f(w)
		for i, v := range w.Grad().Floats() {
			if math.Abs(float64(v-tt.want[i])) > 1e-6 {
				t.Errorf("%s: got %v, want %v", tt.name, w.Grad().Floats(), tt.want)
			}
		}
		before := w.Floats()
		o := optim.NewSGD([]*tensor.Tensor{w}, 0.5)
		o.Step()
		for i, v := range w.Floats() {
			if v != before[i]-0.5*w.Grad().Floats()[i] {
				t.Errorf("%s: a step makes %v of %v", tt.name, w.Floats(), before)
			}
		}
	}
	w := tensor.From([]float32{1, 2, 3}).SetRequiresGrad(true)
	o, s := optim.NewSGD([]*tensor.Tensor{w}, 1), optim.NewGradScaler()
	s.Scale(w.Mul(x).Square().Sum()).Backward(tensor.BackwardOpts{CreateGraph: true})
	s.Unscale(o)
	if got, want := w.Grad().Floats(), []float32{2, 16, 54}; !slices.Equal(got, want) {
		t.Errorf("GradScaler.Unscale: got %v, want %v", got, want)
	}
	if !s.Step(o) {
		t.Error("GradScaler made no step")
	}
}
