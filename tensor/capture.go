package tensor

import "errors"

// CapturedStep is a step that is computed as one CUDA graph where that can be
// had. [Capture] makes it.
type CapturedStep struct {
	device *Device
	step   func(x, y *Tensor) *Tensor
	err    error // of the last Run
}

// Capture returns a step that is computed as one CUDA graph where that can be
// had: on a GPU the operations of step are noted once and then launched together,
// which costs the program next to nothing, however many they are. The step is a
// whole one: it sets gradients to zero, computes the loss of a batch x with the
// labels y, calls Backward and the optimizer's Step, and returns, say, the loss.
//
//	train := tensor.Capture(device, func(x, y *tensor.Tensor) *tensor.Tensor {
//		optimizer.ZeroGrad()
//		loss := criterion.Forward(model.Forward(x), y)
//		loss.Backward()
//		optimizer.Step()
//		return loss
//	})
//	defer train.Close()
//	for images, labels := range loader.All() {
//		total.AddInPlace(train.Run(images, labels))
//	}
//
// On a device without graphs, such as the CPU, each Run calls step, so the same
// program serves both. (torch.cuda.graphs, torch.cuda.make_graphed_callables)
func Capture(d *Device, step func(x, y *Tensor) *Tensor) *CapturedStep {
	if d == nil || step == nil {
		fail("Capture", "got a nil device or step")
	}
	return &CapturedStep{device: d, step: step, err: errors.New("tensor: Capture: " + d.name + " has no graphs")}
}

// Run makes the step with x and y, which are on the device; y may be nil. It
// returns what step returns, without its history: memory of the caller's own, in
// the scopes of x and y.
func (c *CapturedStep) Run(x, y *Tensor) *Tensor {
	const op = "CapturedStep.Run"
	for _, t := range []*Tensor{x, y} {
		if t == nil {
			continue
		}
		t.check(op)
		if t.storage.device != c.device {
			fail(op, "%s is on %s, the step is captured on %s; To moves a tensor", t.describe(), t.storage.device, c.device)
		}
	}
	return c.eager(x, y)
}

// eager makes the step operation by operation.
func (c *CapturedStep) eager(x, y *Tensor) *Tensor {
	if out := c.step(x, y); out != nil {
		return out.Detach()
	}
	return nil
}

// Err returns why the step is computed operation by operation; nil while it is
// captured, or will be.
func (c *CapturedStep) Err() error { return c.err }

// Close gives back the memory of the graphs. The step may be run again afterwards;
// it is then captured anew.
func (c *CapturedStep) Close() {}
