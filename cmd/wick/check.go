package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/wick-ml/wick/tensor"
)

// check computes on a GPU and writes what came of it as JSON. narrow leaves out bfloat16.
func check(w io.Writer, device int, narrow bool) error {
	var lines []line
	start := time.Now()
	d, err := tensor.CUDA(device)
	if err != nil {
		lines = append(lines, line{"  opening", wrong, err.Error(), "Nothing can run on this GPU before this is solved; nvidia-smi shows what the driver sees."})
	} else {
		lines = append(lines, line{"  opening", fine, fmt.Sprintf("context, kernels, cuDNN and cuBLAS in %s", seconds(time.Since(start))), ""})
		for _, t := range []tensor.DType{tensor.Float32, tensor.BFloat16, tensor.Float16} {
			if t == tensor.BFloat16 && narrow {
				continue
			}
			l := compare(d, t)
			lines = append(lines, l)
			if t == tensor.Float32 && l.bad() {
				break // the others would say the same
			}
		}
	}
	return json.NewEncoder(w).Encode(lines)
}

// bounds are the errors that are right, relative to the largest element: what the
// types round results by, and in float32 also what fast algorithms for convolutions
// lose. TF32, which nobody asked for, is beyond it.
var bounds = map[tensor.DType]float64{tensor.Float32: 1e-4, tensor.Float64: 1e-12, tensor.BFloat16: 1e-2, tensor.Float16: 2e-3}

// compare computes on a device and holds it against the CPU in float64.
func compare(d *tensor.Device, t tensor.DType) line {
	l := line{Name: "  " + t.String(), Status: fine}
	err := tensor.Try(func() {
		want, _ := compute(tensor.CPU, t, tensor.Float64)
		var first, best time.Duration
		for i := range 3 {
			got, took := compute(d, t, t)
			if i == 0 {
				first, best = took, took
				l.Text = "errors:"
				for j, name := range []string{" convolution ", ", its gradients ", " and ", ", matrix product "} {
					e := worst(got[j], want[j])
					l.Text += fmt.Sprintf("%s%.1e", name, e)
					if !(e <= bounds[t]) {
						l.Status = wrong
					}
				}
			}
			best = min(best, took)
		}
		l.Text += fmt.Sprintf("; first %s, then %s", seconds(first), seconds(best))
		if l.Status == wrong {
			l.Advice = fmt.Sprintf("Results differ from the CPU's by more than %.0e: report this with the whole output.", bounds[t])
		}
	})
	if err != nil {
		l.Status, l.Text = wrong, err.Error()
		l.Advice = "Run doctor again; if it says so again, see what nvidia-smi says of other programs on this GPU and what dmesg says of NVRM."
	}
	return l
}

// compute convolves a batch of images, with both gradients, and multiplies two
// matrices. All numbers are rounded to one type, and computed with in another.
func compute(d *tensor.Device, rounded, t tensor.DType) (results [4][]float64, took time.Duration) {
	g := tensor.NewGenerator(1)
	random := func(dims ...int) *tensor.Tensor { return g.Randn(dims...).ToDType(rounded).ToDType(t).To(d) }
	x, w, dy := random(4, 32, 16, 16).SetRequiresGrad(true), random(32, 32, 3, 3).SetRequiresGrad(true), random(4, 32, 16, 16)
	a, b := random(192, 256), random(256, 128)
	start := time.Now()
	y := tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1})
	y.Backward(tensor.BackwardOpts{Gradient: dy})
	for i, r := range []*tensor.Tensor{y, x.Grad(), w.Grad(), a.MatMul(b)} {
		results[i] = r.Float64s()
	}
	return results, time.Since(start)
}

// worst is the largest difference, as a part of the largest number that is wanted.
func worst(got, want []float64) float64 {
	var d, m float64
	for i, w := range want {
		e := math.Abs(got[i] - w)
		if math.IsNaN(e) {
			return e
		}
		d, m = max(d, e), max(m, math.Abs(w))
	}
	return d / m
}

// seconds writes a time with two digits.
func seconds(d time.Duration) string {
	switch {
	case d >= time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
}
