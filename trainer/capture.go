package trainer

import (
	"fmt"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

// captured is a run's training step as one CUDA graph.
type captured struct {
	*tensor.CapturedStep
	batches []batchShape
}

// batchShape is how many examples a batch of a shape has, which a graph that is
// launched again does not tell.
type batchShape struct {
	images, labels tensor.Shape
	examples       int
}

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
	c := &captured{}
	c.CapturedStep = tensor.Capture(d, func(images, labels *tensor.Tensor) *tensor.Tensor {
		f.Optimizer.ZeroGrad()
		loss, _, examples := f.pass(images, labels)
		if c.of(images, labels) == nil {
			c.batches = append(c.batches, batchShape{slices.Clone(images.Shape()), slices.Clone(labels.Shape()), examples})
		}
		f.Optimizer.Step()
		return loss
	})
	f.captured = c
	f.checkCaptured()
}

// notCaptured says what in a run needs the host in the middle of a step, or "".
func (f *fit) notCaptured() string {
	switch {
	case f.Accumulate > 1:
		return fmt.Sprintf("Accumulate is %d, and a step of several batches is not captured", f.Accumulate)
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
func (f *fit) runCaptured(images, labels *tensor.Tensor) {
	f.noteRates()
	f.captured.Run(images, labels)
	f.gathered(&f.training, f.captured.of(images, labels).examples)
	f.Batch++
	f.checkCaptured()
}

// of finds what is known of batches of a shape.
func (c *captured) of(images, labels *tensor.Tensor) *batchShape {
	for i := range c.batches {
		if n := &c.batches[i]; n.images.Equal(images.Shape()) && n.labels.Equal(labels.Shape()) {
			return n
		}
	}
	return nil
}
