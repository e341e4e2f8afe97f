// Package gradcheck compares recorded gradients with numeric ones.
package gradcheck

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// Opts are the settings of Check; zero fields mean torch.autograd.gradcheck's
// defaults.
type Opts struct {
	Eps  float64 // step of the central difference, default 1e-6
	Atol float64 // absolute tolerance, default 1e-5
	Rtol float64 // relative tolerance, default 1e-3
}

// Check computes, for each input that requires a gradient, the gradient of a
// weighted sum of f's result (with fixed weights), once by Backward and once by
// central differences, and returns an error that names the first element in
// which the two differ. Inputs must be Float64, and may be on any device. f must
// be a pure function of them.
func Check(f func(inputs []*tensor.Tensor) *tensor.Tensor, inputs []*tensor.Tensor, opts Opts) error {
	eps, atol, rtol := opts.Eps, opts.Atol, opts.Rtol
	if eps == 0 {
		eps = 1e-6
	}
	if atol == 0 {
		atol = 1e-5
	}
	if rtol == 0 {
		rtol = 1e-3
	}
	for i, x := range inputs {
		if x.RequiresGrad() && x.DType() != tensor.Float64 {
			return fmt.Errorf("gradcheck: input %d is %s, want float64", i, x.DType())
		}
		x.ZeroGrad()
	}
	out := f(inputs)
	if !out.RequiresGrad() {
		return fmt.Errorf("gradcheck: no input's gradient was recorded")
	}
	// Weights that no symmetry hides: sin of the position.
	weights := make([]float64, out.Len())
	for i := range weights {
		weights[i] = math.Sin(1 + 2*float64(i))
	}
	out.Backward(tensor.BackwardOpts{Gradient: tensor.From(weights).View(out.Shape()...).To(out.Device())})
	value := func(x []*tensor.Tensor) float64 {
		sum := 0.0
		for i, v := range f(x).Float64s() {
			sum += v * weights[i]
		}
		return sum
	}
	for i, x := range inputs {
		if !x.RequiresGrad() {
			continue
		}
		var recorded []float64
		if g := x.Grad(); g != nil {
			recorded = g.Float64s()
		} else {
			recorded = make([]float64, x.Len())
		}
		trial := make([]*tensor.Tensor, len(inputs))
		for j, y := range inputs {
			trial[j] = y.Detach()
		}
		data := x.Float64s()
		for k, v := range data {
			at := func(v float64) float64 {
				data[k] = v
				trial[i] = tensor.From(data).View(x.Shape()...).To(x.Device())
				return value(trial)
			}
			numeric := (at(v+eps) - at(v-eps)) / (2 * eps)
			data[k] = v
			if diff := math.Abs(numeric - recorded[k]); !(diff <= atol+rtol*math.Abs(numeric)) {
				return fmt.Errorf("gradcheck: input %d %v, element %d: recorded gradient %g, numeric %g", i, x.Shape(), k, recorded[k], numeric)
			}
		}
	}
	return nil
}
