package trainer

import (
	"fmt"
	"slices"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// Pass is what a Config's Forward makes of a batch.
type Pass struct {
	Loss    *tensor.Tensor   // what is to become small: a scalar, the mean over the batch; the sum of its terms, where there are several
	Outputs []*tensor.Tensor // what the model made, for Metrics and callbacks; may be none

	// Terms says what Loss is the mean of, so that batches weigh in the epoch's loss as
	// the loss weighs them: what the loss's own Terms returns. The zero value: each
	// example weighs the same.
	Terms layers.Terms

	// Scores and Labels are what train_accuracy and test_accuracy are measured of:
	// numbers [N classes …], of which the largest is what is predicted, and classes [N …]
	// in Int64, of which Terms.Counted count. Nil where there are none.
	Scores, Labels *tensor.Tensor
}

// forward computes a batch's loss: by Forward, or by Model and Loss.
func (r *Run) forward(b *datasets.Batch) *Pass {
	wrong := func(format string, args ...any) {
		panic(&tensor.Error{Op: "Fit", Err: fmt.Errorf(format, args...)})
	}
	if r.Config.Forward == nil {
		if len(b.Inputs) != 1 || len(b.Targets) != 1 {
			wrong("a batch has %d inputs and %d targets, and Model with Loss take one of each; want the Config's Forward, which takes any number", len(b.Inputs), len(b.Targets))
		}
		images, labels := b.Inputs[0], b.Targets[0]
		output := r.Model.Forward(images)
		if output == nil {
			wrong("the model (%T) returned nil for a batch %v, want its output", r.Model, images.Shape())
		}
		loss := r.Config.Loss.Forward(output, labels)
		if loss == nil {
			wrong("the loss (%T) returned nil for the output %v, want a scalar", r.Config.Loss, output.Shape())
		}
		if loss.Len() != 1 {
			wrong("the loss (%T) is %v, want a scalar; a Reduction of tensor.ReduceMean or tensor.ReduceSum makes one", r.Config.Loss, loss.Shape())
		}
		return &Pass{Loss: loss, Outputs: []*tensor.Tensor{output}, Scores: output, Labels: labels}
	}
	p := r.Config.Forward(b)
	switch {
	case p.Loss == nil:
		wrong("the Config's Forward returned a Pass without a Loss, want a scalar")
	case p.Loss.Len() != 1:
		wrong("the Config's Forward returned the Loss %v, want a scalar; Mean or Sum makes one", p.Loss.Shape())
	case slices.Contains(p.Outputs, nil):
		wrong("the Config's Forward returned nil as output %d of %d, want a tensor", slices.Index(p.Outputs, nil), len(p.Outputs))
	case (p.Scores == nil) != (p.Labels == nil):
		wrong("the Config's Forward returned one of Scores and Labels, want both, or neither where there are no classes")
	case p.Scores != nil && !areClasses(p.Scores, p.Labels):
		wrong("the Config's Forward returned the Scores %v and the Labels %s %v, want scores [N classes …] of two classes or more and labels int64 [N …]", p.Scores.Shape(), p.Labels.DType(), p.Labels.Shape())
	}
	return &p
}

// complete says what a pass's loss is made of, where Forward did not.
func (r *Run) complete(b *datasets.Batch, p *Pass) {
	switch {
	case r.Config.Forward == nil:
		p.Terms = termsOf(r.Config.Loss, p.Scores, p.Labels)
	case p.Terms.N == 0 && p.Terms.Counted == nil && p.Terms.Weight == nil:
		p.Terms.N = b.Len()
	}
}

// look shows callbacks a batch, and what was made of it, nil before the pass.
func (r *Run) look(b *datasets.Batch, p *Pass) {
	r.Inputs, r.Targets, r.Outputs, r.batch, r.pass = b.Inputs, b.Targets, nil, b, p
	r.Images, r.Labels, r.Output = b.Inputs[0], nil, nil
	if len(b.Targets) > 0 {
		r.Labels = b.Targets[0]
	}
	if p == nil {
		return
	}
	if r.Outputs = p.Outputs; len(p.Outputs) > 0 {
		r.Output = p.Outputs[0]
	}
	if p.Scores != nil {
		r.Output, r.Labels = p.Scores, p.Labels
	}
}

// lossName is what config.json says of the loss.
func (c *Config) lossName() string {
	if c.Forward != nil {
		return "Forward"
	}
	return fmt.Sprintf("%T", c.Loss)
}

// module is the model, whichever field has it.
func (c *Config) module() layers.Module {
	if c.Module == nil && c.Model != nil {
		return c.Model
	}
	return c.Module
}
