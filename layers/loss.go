package layers

import "github.com/wick-ml/wick/tensor"

// CrossEntropyLoss is the cross-entropy between the softmax of scores ("logits") of
// C classes, [N C], [N C d1 …] or [C], and the right classes: their indices, Int64
// in the same shape without C, or probabilities in the same shape.
// (torch.nn.CrossEntropyLoss)
type CrossEntropyLoss struct {
	Weight         *tensor.Tensor   // factors of the classes, [C]; nil means 1
	LabelSmoothing float64          // share of the target that is spread over all classes, 0 to 1
	Ignore         *int             // label of elements that do not count; nil means -100
	Reduction      tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l CrossEntropyLoss) Forward(output, labels *tensor.Tensor) *tensor.Tensor {
	return tensor.CrossEntropy(output, labels, tensor.CrossEntropyOpts(l))
}

// Parts lists the weight, so that [To] and [ToDType] take it along.
func (l CrossEntropyLoss) Parts() []Part { return []Part{Buffer("weight", l.Weight)} }

// NLLLoss is [CrossEntropyLoss] for class indices and logarithms of probabilities
// in place of scores, as [LogSoftmax] gives them. (torch.nn.NLLLoss)
type NLLLoss struct {
	Weight    *tensor.Tensor   // factors of the classes, [C]; nil means 1
	Ignore    *int             // label of elements that do not count; nil means -100
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l NLLLoss) Forward(output, labels *tensor.Tensor) *tensor.Tensor {
	return tensor.NLLLoss(output, labels, tensor.NLLLossOpts(l))
}

// Parts lists the weight, so that [To] and [ToDType] take it along.
func (l NLLLoss) Parts() []Part { return []Part{Buffer("weight", l.Weight)} }

// MSELoss is the square of the difference of two tensors of one shape.
// (torch.nn.MSELoss)
type MSELoss struct {
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l MSELoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.MSELoss(output, target, l.Reduction)
}

// L1Loss is the magnitude of the difference of two tensors of one shape.
// (torch.nn.L1Loss)
type L1Loss struct {
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l L1Loss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.L1Loss(output, target, l.Reduction)
}

// SmoothL1Loss is d²/(2·Beta) for differences d smaller than Beta and |d| - Beta/2
// for others, of two tensors of one shape. (Girshick, "Fast R-CNN", 2015;
// torch.nn.SmoothL1Loss)
type SmoothL1Loss struct {
	Beta      float64          // 0 means 1
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l SmoothL1Loss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.SmoothL1Loss(output, target, or(l.Beta, 1), l.Reduction)
}

// HuberLoss is d²/2 for differences d smaller than Delta and Delta·(|d| - Delta/2)
// for others, of two tensors of one shape. (Huber, 1964; torch.nn.HuberLoss)
type HuberLoss struct {
	Delta     float64          // 0 means 1
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l HuberLoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.HuberLoss(output, target, or(l.Delta, 1), l.Reduction)
}

// BCEWithLogitsLoss is the binary cross-entropy between the sigmoid of scores and
// targets from 0 to 1, of one shape. (torch.nn.BCEWithLogitsLoss)
type BCEWithLogitsLoss struct {
	Weight    *tensor.Tensor   // factors of the losses, broadcast to the scores; nil means 1
	PosWeight *tensor.Tensor   // factors of the positive parts, broadcast to the scores; nil means 1
	Reduction tensor.Reduction // tensor.Mean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l BCEWithLogitsLoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.BCEWithLogits(output, target, tensor.BCEWithLogitsOpts(l))
}

// Parts lists the weights, so that [To] and [ToDType] take them along.
func (l BCEWithLogitsLoss) Parts() []Part {
	return []Part{Buffer("weight", l.Weight), Buffer("pos_weight", l.PosWeight)}
}
