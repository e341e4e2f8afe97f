package main

import (
	"runtime"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// small is an Add of 1×1, over and over in a loop without anything else, on either
// side, so that nearly all of the time is what an operation costs the host whatever
// it computes: without recording, recorded since an operand requires a gradient, or
// with Backward, which adds to the gradient that the operand holds. PyTorch's loop is
// one of Python, for _ in range(n): z = x + y. As in any program that opens no scope,
// the garbage collector takes the results.
func small(s size, how string) *work {
	x, y := tensor.Randn(1, 1), tensor.Randn(1, 1)
	w := &work{spec: spec{Op: "small", Args: args{How: how, Calls: s.of(1000, 10)}}, tensors: []*tensor.Tensor{x.Clone(), y}, threads: min(2, runtime.NumCPU())}
	w.calls = w.spec.Args.Calls
	x.SetRequiresGrad(how != "norecord")
	w.step = func(results bool) []*tensor.Tensor {
		var z *tensor.Tensor
		x.ZeroGrad()
		if how == "backward" {
			for range w.calls {
				x.Add(y).Backward()
			}
			z = x.Grad()
		} else {
			for range w.calls {
				z = x.Add(y)
			}
		}
		if !results {
			return nil
		}
		return []*tensor.Tensor{z.Detach().Clone()}
	}
	return w
}

// smallStep is steps of training of a model so small that they cost the host alone: 8
// inputs, 16 hidden units and 4 classes, with a batch of 8 and Adam.
func smallStep(s size) *work {
	params := []*tensor.Tensor{tensor.Randn(16, 8), tensor.Randn(16), tensor.Randn(4, 16), tensor.Randn(4)}
	x, labels := tensor.Randn(8, 8), tensor.RandInt(0, 4, 8)
	w := &work{spec: spec{Op: "small", Args: args{How: "step", Calls: s.of(100, 2)}}, threads: min(2, runtime.NumCPU()), tolerance: 1e-3}
	w.calls = w.spec.Args.Calls
	for _, p := range params {
		w.tensors = append(w.tensors, p.Clone())
		p.SetRequiresGrad(true)
	}
	w.tensors = append(w.tensors, x, labels)
	optimizer := optim.NewAdam(params, 0.001)
	w.step = func(results bool) []*tensor.Tensor {
		for range w.calls {
			optimizer.ZeroGrad()
			y := tensor.Linear(tensor.Linear(x, params[0], params[1]).ReLU(), params[2], params[3])
			tensor.CrossEntropy(y, labels, tensor.CrossEntropyOpts{}).Backward()
			optimizer.Step()
		}
		if !results {
			return nil
		}
		var copies []*tensor.Tensor
		for _, p := range params {
			copies = append(copies, p.Detach().Clone())
		}
		return copies
	}
	return w
}

// allocations counts those of one operation of a step.
func (w *work) allocations() float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.step(false)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(w.calls)
}
