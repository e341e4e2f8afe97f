// Package gradcheck compares recorded gradients with numeric ones.
package gradcheck

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// Opts are the settings of Check and CheckGradGrad; zero fields mean
// torch.autograd.gradcheck's defaults.
type Opts struct {
	Eps  float64 // step of the central difference, default 1e-6
	Atol float64 // absolute tolerance, default 1e-5
	Rtol float64 // relative tolerance, default 1e-3
}

// Check computes, for each input that requires a gradient, the gradient of a
// weighted sum of f's result (with fixed weights), once by Backward and once by
// central differences, and returns an error that names the first element in
// which the two differ. Inputs must be Float64, and may be on any device. f must
// be a pure function of them. (torch.autograd.gradcheck)
func Check(f func(inputs []*tensor.Tensor) *tensor.Tensor, inputs []*tensor.Tensor, opts Opts) error {
	if err := wantFloat64(inputs); err != nil {
		return err
	}
	for _, x := range inputs {
		x.ZeroGrad()
	}
	out := f(inputs)
	if !out.RequiresGrad() {
		return fmt.Errorf("gradcheck: no input's gradient was recorded")
	}
	out.Backward(tensor.BackwardOpts{Gradient: weights(out, 0)})
	recorded := make([]*tensor.Tensor, len(inputs))
	for i, x := range inputs {
		recorded[i] = x.Grad()
	}
	return compare("gradient", inputs, recorded, opts, func(x []*tensor.Tensor) float64 {
		for i := range x {
			x[i] = x[i].Detach()
		}
		return weighted(f(x), 0)
	})
}

// CheckGradGrad is Check for second derivatives: it takes the gradients of f's result
// that autograd.Grad gives with CreateGraph, which are functions of the inputs and of
// the result's own gradient, and holds their gradients by all of these against central
// differences of the gradients themselves. A second derivative for which nothing was
// recorded counts as 0: that is right where a gradient does not depend on an input, and
// an error where it does. (torch.autograd.gradgradcheck)
func CheckGradGrad(f func(inputs []*tensor.Tensor) *tensor.Tensor, inputs []*tensor.Tensor, opts Opts) error {
	if err := wantFloat64(inputs); err != nil {
		return err
	}
	out := f(inputs)
	if !out.RequiresGrad() {
		return fmt.Errorf("gradcheck: no input's gradient was recorded")
	}
	n := len(inputs)
	all := make([]*tensor.Tensor, n, n+1)
	for i, x := range inputs {
		all[i] = x.Detach().SetRequiresGrad(x.RequiresGrad())
	}
	all = append(all, weights(out, 0).SetRequiresGrad(true))
	gradients := func(x []*tensor.Tensor, create bool) []*tensor.Tensor {
		return autograd.Grad(f(x[:n]).Mul(x[n]).Sum(), differentiable(x[:n]), autograd.GradOpts{CreateGraph: create})
	}
	var total *tensor.Tensor
	for i, g := range gradients(all, true) {
		if g == nil || !g.RequiresGrad() {
			continue
		}
		if sum := g.Mul(weights(g, i+1)).Sum(); total == nil {
			total = sum
		} else {
			total = total.Add(sum)
		}
	}
	recorded := make([]*tensor.Tensor, len(all))
	if total != nil {
		second := autograd.Grad(total, differentiable(all))
		for i, x := range all {
			if x.RequiresGrad() {
				recorded[i], second = second[0], second[1:]
			}
		}
	}
	return compare("second derivative", all, recorded, opts, func(x []*tensor.Tensor) float64 {
		sum := 0.0
		for i, g := range gradients(x, false) {
			if g != nil {
				sum += weighted(g, i+1)
			}
		}
		return sum
	})
}

// wantFloat64 returns an error unless all inputs that require a gradient are Float64.
func wantFloat64(inputs []*tensor.Tensor) error {
	for i, x := range inputs {
		if x.RequiresGrad() && x.DType() != tensor.Float64 {
			return fmt.Errorf("gradcheck: input %d is %s, want float64", i, x.DType())
		}
	}
	return nil
}

// differentiable returns those of x that require a gradient.
func differentiable(x []*tensor.Tensor) []*tensor.Tensor {
	var out []*tensor.Tensor
	for _, x := range x {
		if x.RequiresGrad() {
			out = append(out, x)
		}
	}
	return out
}

// weight is that of element i: sin of the position, which no symmetry hides.
func weight(i, which int) float64 { return math.Sin(float64(1+which) + 2*float64(i)) }

// weights returns weights for the elements of x, others for each number which.
func weights(x *tensor.Tensor, which int) *tensor.Tensor {
	w := make([]float64, x.Len())
	for i := range w {
		w[i] = weight(i, which)
	}
	return tensor.From(w).View(x.Shape()...).To(x.Device())
}

// weighted returns the sum of x's elements with weights.
func weighted(x *tensor.Tensor, which int) float64 {
	sum := 0.0
	for i, v := range x.Float64s() {
		sum += v * weight(i, which)
	}
	return sum
}

// compare holds what was recorded, nil for nothing, against central differences of
// value, for each input that requires a gradient. It gives value leaves in place of the
// inputs.
func compare(what string, inputs, recorded []*tensor.Tensor, opts Opts, value func(x []*tensor.Tensor) float64) error {
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
		if !x.RequiresGrad() {
			continue
		}
		got := make([]float64, x.Len())
		if g := recorded[i]; g != nil {
			got = g.Float64s()
		}
		data := x.Float64s()
		for k, v := range data {
			at := func(v float64) float64 {
				data[k] = v
				trial := make([]*tensor.Tensor, len(inputs))
				for j, y := range inputs {
					if j == i {
						y = tensor.From(data).View(x.Shape()...).To(x.Device()).SetRequiresGrad(true)
					} else {
						y = y.Detach().SetRequiresGrad(y.RequiresGrad())
					}
					trial[j] = y
				}
				return value(trial)
			}
			numeric := (at(v+eps) - at(v-eps)) / (2 * eps)
			data[k] = v
			if diff := math.Abs(numeric - got[k]); !(diff <= atol+rtol*math.Abs(numeric)) {
				was := fmt.Sprint(got[k])
				if recorded[i] == nil {
					was = "none"
				}
				return fmt.Errorf("gradcheck: input %d %v, element %d: recorded %s %s, numeric %g", i, x.Shape(), k, what, was, numeric)
			}
		}
	}
	return nil
}
