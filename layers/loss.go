package layers

import "github.com/wick-ml/wick/tensor"

// CrossEntropyLoss is the cross-entropy between the softmax of scores ("logits") of
// C classes, [N C], [N C d1 …] or [C], and the right classes: their indices, Int64
// in the same shape without C, or probabilities in the same shape.
// (torch.nn.CrossEntropyLoss)
type CrossEntropyLoss struct {
	Weight         *tensor.Tensor   // weights of the classes, [C]; nil means 1
	LabelSmoothing float64          // share of the target that is spread over all classes, 0 to 1
	IgnoreIndex    *int             // label of elements that do not count; nil means -100
	Reduction      tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l CrossEntropyLoss) Forward(output, labels *tensor.Tensor) *tensor.Tensor {
	return tensor.CrossEntropy(output, labels, tensor.CrossEntropyOpts(l))
}

func (CrossEntropyLoss) String() string { return "CrossEntropyLoss()" }

// Parts lists the weight, so that [To] and [ToDType] take it along.
func (l CrossEntropyLoss) Parts() []Part { return []Part{Buffer("weight", l.Weight)} }

// NLLLoss is [CrossEntropyLoss] for class indices and logarithms of probabilities
// in place of scores, as [LogSoftmax] gives them. (torch.nn.NLLLoss)
type NLLLoss struct {
	Weight      *tensor.Tensor   // weights of the classes, [C]; nil means 1
	IgnoreIndex *int             // label of elements that do not count; nil means -100
	Reduction   tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l NLLLoss) Forward(output, labels *tensor.Tensor) *tensor.Tensor {
	return tensor.NLLLoss(output, labels, tensor.NLLLossOpts(l))
}

func (NLLLoss) String() string { return "NLLLoss()" }

// Parts lists the weight, so that [To] and [ToDType] take it along.
func (l NLLLoss) Parts() []Part { return []Part{Buffer("weight", l.Weight)} }

// MSELoss is the square of the difference of two tensors of one shape.
// (torch.nn.MSELoss)
type MSELoss struct {
	Reduction tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l MSELoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.MSELoss(output, target, l.Reduction)
}

func (MSELoss) String() string { return "MSELoss()" }

// L1Loss is the magnitude of the difference of two tensors of one shape.
// (torch.nn.L1Loss)
type L1Loss struct {
	Reduction tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l L1Loss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.L1Loss(output, target, l.Reduction)
}

func (L1Loss) String() string { return "L1Loss()" }

// SmoothL1Loss is d²/(2·Beta) for differences d smaller than Beta and |d| - Beta/2
// for others, of two tensors of one shape. (Girshick, "Fast R-CNN", 2015;
// torch.nn.SmoothL1Loss)
type SmoothL1Loss struct {
	Beta      float64          // 0 means 1; tensor.Zero is 0, for which it is L1Loss
	Reduction tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l SmoothL1Loss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.SmoothL1Loss(output, target, or(l.Beta, 1), l.Reduction)
}

func (SmoothL1Loss) String() string { return "SmoothL1Loss()" }

// HuberLoss is d²/2 for differences d smaller than Delta and Delta·(|d| - Delta/2)
// for others, of two tensors of one shape. (Huber, 1964; torch.nn.HuberLoss)
type HuberLoss struct {
	Delta     float64          // 0 means 1
	Reduction tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l HuberLoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.HuberLoss(output, target, or(l.Delta, 1), l.Reduction)
}

func (HuberLoss) String() string { return "HuberLoss()" }

// BCEWithLogitsLoss is the binary cross-entropy between the sigmoid of scores and
// targets from 0 to 1, of one shape. (torch.nn.BCEWithLogitsLoss)
type BCEWithLogitsLoss struct {
	Weight    *tensor.Tensor   // weights of the elements' losses, broadcast to the scores; nil means 1
	PosWeight *tensor.Tensor   // weights of the positive targets, broadcast to the scores; nil means 1
	Reduction tensor.Reduction // tensor.ReduceMean (the default), Sum or None
}

// Forward returns the loss, a scalar unless Reduction is None.
func (l BCEWithLogitsLoss) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	return tensor.BCEWithLogits(output, target, tensor.BCEWithLogitsOpts(l))
}

func (BCEWithLogitsLoss) String() string { return "BCEWithLogitsLoss()" }

// Parts lists the weights, so that [To] and [ToDType] take them along.
func (l BCEWithLogitsLoss) Parts() []Part {
	return []Part{Buffer("weight", l.Weight), Buffer("pos_weight", l.PosWeight)}
}

// Terms says what a batch's loss is made of, which the mean over several batches has
// to know: a batch weighs there as much as its terms do.
type Terms struct {
	N         int              // terms, one for each label or each element of the target
	Counted   *tensor.Tensor   // which labels count, Bool in the target's shape; nil: all
	Weight    *tensor.Tensor   // what those that count weigh together, a scalar; nil: each 1
	Reduction tensor.Reduction // what Forward makes of the terms
}

// Terms returns what the loss of these labels is made of: ignored ones do not count,
// and with a Weight each weighs what its class does. Probabilities all count, and
// weigh 1, as they do in Forward.
func (l CrossEntropyLoss) Terms(output, labels *tensor.Tensor) Terms {
	if labels.DType().IsFloat() {
		return Terms{N: labels.Len() / max(output.Size(min(1, output.Dim()-1)), 1), Reduction: l.Reduction}
	}
	return labelTerms(labels, l.Weight, l.IgnoreIndex, l.Reduction)
}

// Terms returns what the loss of these labels is made of, as [CrossEntropyLoss.Terms].
func (l NLLLoss) Terms(_, labels *tensor.Tensor) Terms {
	return labelTerms(labels, l.Weight, l.IgnoreIndex, l.Reduction)
}

func labelTerms(labels, weight *tensor.Tensor, ignore *int, r tensor.Reduction) Terms {
	ignored := -100.0
	if ignore != nil {
		ignored = float64(*ignore)
	}
	t := Terms{N: labels.Len(), Counted: labels.NeScalar(ignored), Reduction: r}
	if weight != nil {
		not := t.Counted.Not()
		at := labels.MaskedFill(not, 0).View(-1) // class 0 in place of one that there is not
		each := weight.Detach().ToDType(tensor.Float64).IndexSelect(0, at)
		t.Weight = each.MaskedFill(not.View(-1), 0).Sum()
	}
	return t
}

// Terms returns what the loss is made of: the elements of the target.
func (l MSELoss) Terms(_, target *tensor.Tensor) Terms {
	return Terms{N: target.Len(), Reduction: l.Reduction}
}

// Terms returns what the loss is made of: the elements of the target.
func (l L1Loss) Terms(_, target *tensor.Tensor) Terms {
	return Terms{N: target.Len(), Reduction: l.Reduction}
}

// Terms returns what the loss is made of: the elements of the target.
func (l SmoothL1Loss) Terms(_, target *tensor.Tensor) Terms {
	return Terms{N: target.Len(), Reduction: l.Reduction}
}

// Terms returns what the loss is made of: the elements of the target.
func (l HuberLoss) Terms(_, target *tensor.Tensor) Terms {
	return Terms{N: target.Len(), Reduction: l.Reduction}
}

// Terms returns what the loss is made of: the elements of the target, which weigh 1
// whatever Weight says, as in Forward.
func (l BCEWithLogitsLoss) Terms(_, target *tensor.Tensor) Terms {
	return Terms{N: target.Len(), Reduction: l.Reduction}
}
