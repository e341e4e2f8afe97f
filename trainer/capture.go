package trainer

import (
	"fmt"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/tensor"
)

// captured is a run's training step as one CUDA graph.
type captured struct{ *tensor.CapturedStep }

// capture makes the run's step a captured one, or says why it is not.
func (f *fit) capture() {
	if !f.Config.Capture {
		return
	}
	if why := f.notCaptured(); why != "" {
		f.eagerly(why)
		return
	}
	d := f.Train.Device
	if d == nil {
		d = tensor.CPU
	}
	f.captured = &captured{tensor.Capture(d, func(images, labels *tensor.Tensor) *tensor.Tensor {
		f.Optimizer.ZeroGrad()
		p := f.backward(&datasets.Batch{Inputs: []*tensor.Tensor{images}, Targets: []*tensor.Tensor{labels}})
		f.Optimizer.Step()
		return p.Loss
	})}
	f.checkCaptured()
}

// notCaptured says what in a run needs the host in the middle of a step, or "".
func (f *fit) notCaptured() string {
	switch {
	case f.Accumulate > 1:
		return fmt.Sprintf("Accumulate is %d, and a step of several batches is not captured", f.Accumulate)
	case f.Config.Forward != nil:
		return "a step with Forward is not captured"
	case len(f.training.own) > 0:
		return fmt.Sprintf("the metric %q is measured in the middle of steps; TestOnly leaves it to the test", f.training.own[0].Name)
	case f.Scaler != nil:
		return "with Autocast in float16 it is decided after each Backward whether there is a step"
	}
	for i, c := range f.Callbacks {
		if c.Batch != nil || c.Gradients != nil {
			name := c.Name
			if name == "" {
				name = fmt.Sprint(i)
			}
			return fmt.Sprintf("the callback %s works in the middle of steps (it has Batch or Gradients)", name)
		}
	}
	return ""
}

// checkCaptured goes on operation by operation where the step cannot be captured.
func (f *fit) checkCaptured() {
	if err := f.captured.Err(); err != nil {
		f.captured.Close()
		f.captured = nil
		f.eagerly(err.Error())
	}
}

func (f *fit) eagerly(why string) {
	f.Log("Capture: the steps are computed operation by operation: " + why)
}

// runCaptured makes the step of a batch.
func (f *fit) runCaptured(b *datasets.Batch) {
	if len(b.Inputs) != 1 || len(b.Targets) != 1 {
		f.forward(b) // says what is wrong
	}
	f.noteRates()
	f.captured.Run(b.Inputs[0], b.Targets[0])
	f.gathered(&f.training, b.Len())
	f.Batch++
	f.checkCaptured()
}
