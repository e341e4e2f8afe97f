package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// Reduction says what a loss function makes of the losses of all elements.
type Reduction uint8

const (
	Mean Reduction = iota // their mean, the default
	Sum                   // their sum
	None                  // nothing: each element's loss is in the result
)

// reduced applies a reduction to the losses of all elements, a fresh tensor that
// it uses up; it records nothing.
func reduced(op string, losses *Tensor, r Reduction) *Tensor {
	if r == None {
		return losses
	}
	s := losses.span(op, nil)
	out := losses.reduce(op, backend.ReduceSum, s, s.dropped)
	losses.Release()
	if r == Mean {
		overwriteScalar(out, backend.Div, float64(s.n))
	}
	return out
}

// shareOf returns the gradient of each of n losses, or of all alike if it has one
// element, from the gradient g of what reduced made of them.
func shareOf(op string, g *Tensor, r Reduction, n int) *Tensor {
	if r != Mean {
		return g
	}
	return scalar(op, backend.Div, g, float64(n), false)
}

// wantTarget panics unless x and target have one shape and one floating-point
// type, and r is a reduction. (PyTorch broadcasts here, with a warning that it
// is likely a mistake.)
func wantTarget(op string, x, target *Tensor, r Reduction) {
	x.wantFloat(op)
	wantReduction(op, r)
	if !x.Shape().Equal(target.Shape()) {
		fail(op, "the input is %v, the target %v, want one shape", x.shape, target.shape)
	}
	x.wantDType(op, target)
}

func wantReduction(op string, r Reduction) {
	if r > None {
		fail(op, "the reduction is %d, want Mean, Sum or None", r)
	}
}

// MSELoss returns the squares of x - target. Both have one shape.
// (torch.nn.functional.mse_loss)
func MSELoss(x, target *Tensor, r Reduction) *Tensor {
	const op = "MSELoss"
	return differenceLoss(op, x, target, r,
		func(d *Tensor) *Tensor { return apply(op, backend.Square, d) },
		func(d, share *Tensor) *Tensor {
			return binary(op, backend.Mul, d, scalar(op, backend.Mul, share, 2, false))
		})
}

// L1Loss returns the magnitudes of x - target. Both have one shape.
// (torch.nn.functional.l1_loss)
func L1Loss(x, target *Tensor, r Reduction) *Tensor {
	const op = "L1Loss"
	return differenceLoss(op, x, target, r,
		func(d *Tensor) *Tensor { return apply(op, backend.Abs, d) },
		func(d, share *Tensor) *Tensor {
			dx := apply(op, backend.Sign, d, share)
			overwriteWith(dx, backend.Mul, share)
			return dx
		})
}

// SmoothL1Loss returns for the differences d = x - target d²/(2·beta) where they
// are smaller than beta, and |d| - beta/2 elsewhere. PyTorch's default for beta is
// 1; with 0 it is L1Loss. Both have one shape. (torch.nn.functional.smooth_l1_loss)
func SmoothL1Loss(x, target *Tensor, beta float64, r Reduction) *Tensor {
	const op = "SmoothL1Loss"
	if least := 0x1p-126; beta == 0 || beta > 0 && beta < least { // less than Float32 divides by
		return L1Loss(x, target, r)
	}
	if !(beta > 0) {
		fail(op, "beta is %v, want 0 or more", beta)
	}
	return huber(op, x, target, beta, 1/beta, r)
}

// HuberLoss returns for the differences d = x - target d²/2 where they are smaller
// than delta, and delta·(|d| - delta/2) elsewhere. PyTorch's default for delta is
// 1. Both have one shape. (torch.nn.functional.huber_loss)
func HuberLoss(x, target *Tensor, delta float64, r Reduction) *Tensor {
	const op = "HuberLoss"
	if !(delta > 0) {
		fail(op, "delta is %v, want more than 0", delta)
	}
	return huber(op, x, target, delta, 1, r)
}

// huber is scale·c·(d - c/2), where c is d held between -bend and bend.
func huber(op string, x, target *Tensor, bend, scale float64, r Reduction) *Tensor {
	held := func(d, g *Tensor) *Tensor {
		c := like(op, d, g)
		d.be().Unary(c.array(), d.array(), backend.Clamp, backend.UnaryParams{P0: -bend, P1: bend})
		return c
	}
	return differenceLoss(op, x, target, r, func(d *Tensor) *Tensor {
		c := held(d, nil)
		loss := scalar(op, backend.Mul, c, -0.5, false)
		overwriteWith(loss, backend.Add, d)
		overwriteScalar(c, backend.Mul, scale) // at most 1 where bend is small
		overwriteWith(loss, backend.Mul, c)
		c.Release()
		return loss
	}, func(d, share *Tensor) *Tensor {
		c := held(d, share)
		overwriteScalar(c, backend.Mul, scale)
		overwriteWith(c, backend.Mul, share)
		return c
	})
}

// differenceLoss is a loss that depends on d = x - target only; slope is its
// derivative for each difference, times the loss's share of the gradient.
func differenceLoss(op string, x, target *Tensor, r Reduction, loss func(d *Tensor) *Tensor, slope func(d, share *Tensor) *Tensor) *Tensor {
	autocast(op, &x, &target)
	wantTarget(op, x, target, r)
	a, b := x.wide(), target.wide()
	d := binary(op, backend.Sub, a, b)
	x.releaseCopy(a)
	target.releaseCopy(b)
	out := reduced(op, loss(d), r)
	needX, needTarget := x.RequiresGrad(), target.RequiresGrad()
	return recordWide(autograd.Named(op), x.DType(), out, []*Tensor{x, target}, func(g *Tensor) []*Tensor {
		var dx, dt *Tensor
		dx = slope(d, shareOf(op, g, r, d.Len()))
		if needTarget {
			dt = apply(op, backend.Neg, dx)
		}
		if !needX {
			dx = nil
		}
		return []*Tensor{dx, dt}
	})
}

// BCEWithLogitsOpts are the options of [BCEWithLogits].
type BCEWithLogitsOpts struct {
	Weight    *Tensor // factors of the losses, broadcast to the input
	PosWeight *Tensor // factors of the positive parts, broadcast to the input: more than 1 raises recall
	Reduction Reduction
}

// BCEWithLogits returns the binary cross-entropy between the sigmoid of x and
// target, numbers from 0 to 1 of x's shape:
//
//	-weight · (posWeight · target · log σ(x) + (1 - target) · log(1 - σ(x)))
//
// (torch.nn.functional.binary_cross_entropy_with_logits)
func BCEWithLogits(x, target *Tensor, opts BCEWithLogitsOpts) *Tensor {
	const op = "BCEWithLogits"
	autocast(op, &x, &target)
	wantTarget(op, x, target, opts.Reduction)
	for i, w := range []*Tensor{opts.Weight, opts.PosWeight} {
		name := []string{"weight", "positive weight"}[i]
		if w == nil {
			continue
		}
		if w.RequiresGrad() && !x.IsNoGrad() {
			fail(op, "the %s requires a gradient, and there is none for it; use its Detach", name)
		}
		if w.DType() != x.DType() {
			fail(op, "the input is %s, the %s %s, want one type; ToDType converts", x.DType(), name, w.DType())
		}
		if !broadcast(op, x.shape, w.shape).Equal(x.shape) {
			fail(op, "the %s %v does not broadcast to the input %v", name, w.shape, x.shape)
		}
	}
	// positive multiplies y by (posWeight-1)·t + 1.
	positive := func(y, t, pw *Tensor) {
		if pw != nil {
			less := scalar(op, backend.Sub, pw, 1, false, y)
			f := binary(op, backend.Mul, t, less)
			overwriteScalar(f, backend.Add, 1)
			overwriteWith(y, backend.Mul, f)
			less.Release()
			f.Release()
		}
	}
	in, t, w, pw := x.wide(), target.wide(), opts.Weight.wide(), opts.PosWeight.wide()
	// The loss is -((t-1)·x + positive·log σ(x)), and log σ never overflows.
	loss := scalar(op, backend.Sub, t, 1, false, x, w, pw)
	overwriteWith(loss, backend.Mul, in)
	logs := apply(op, backend.LogSigmoid, in, loss)
	positive(logs, t, pw)
	overwriteWith(loss, backend.Add, logs)
	overwrite(loss, backend.Neg)
	if w != nil {
		overwriteWith(loss, backend.Mul, w)
	}
	logs.Release()
	x.releaseCopy(in)
	target.releaseCopy(t)
	out := reduced(op, loss, opts.Reduction)
	from, to := x.bare(), target.bare()
	needX, needTarget := x.RequiresGrad(), target.RequiresGrad()
	return recordWide(autograd.Named(op), x.DType(), out, []*Tensor{x, target}, func(g *Tensor) []*Tensor {
		var dx, dt *Tensor
		in, t := from.wide(g), to.wide(g)
		share := shareOf(op, g, opts.Reduction, in.Len())
		if w != nil {
			share = binary(op, backend.Mul, share, w)
		}
		if needX { // -((t-1) + positive·σ(-x))
			dx = apply(op, backend.Neg, in, g)
			overwrite(dx, backend.Sigmoid)
			positive(dx, t, pw)
			overwriteWith(dx, backend.Add, scalar(op, backend.Sub, t, 1, false, g))
			overwrite(dx, backend.Neg)
			overwriteWith(dx, backend.Mul, share)
		}
		if needTarget { // -(x + (posWeight-1)·log σ(x))
			dt = like(op, in, g)
			dt.be().Copy(dt.array(), in.array())
			if pw != nil {
				logs := apply(op, backend.LogSigmoid, in, g)
				overwriteWith(logs, backend.Mul, scalar(op, backend.Sub, pw, 1, false, g))
				overwriteWith(dt, backend.Add, logs)
			}
			overwrite(dt, backend.Neg)
			overwriteWith(dt, backend.Mul, share)
		}
		return []*Tensor{dx, dt}
	}, from, to, w, pw)
}

// CrossEntropyOpts are the options of [CrossEntropy].
type CrossEntropyOpts struct {
	Weight         *Tensor // factors of the classes, [C]
	LabelSmoothing float64 // share of the target that is spread over all classes, 0 to 1
	Ignore         *int    // label of elements that do not count, nil: -100; for class indices only
	Reduction      Reduction
}

// CrossEntropy returns the cross-entropy between softmax(x) and target. x holds
// scores of C classes: [N C], [N C d1 …] or [C]. target is either the right
// class's index for each, Int64 in x's shape without C, or the classes'
// probabilities, of x's type and shape. With class indices the mean is weighted:
// the sum is divided by the sum of the weights of the labels that count.
// (torch.nn.functional.cross_entropy)
func CrossEntropy(x, target *Tensor, opts CrossEntropyOpts) *Tensor {
	const op = "CrossEntropy"
	autocast(op, &x, &target)
	dim := x.classDim(op)
	if s := opts.LabelSmoothing; !(s >= 0 && s <= 1) {
		fail(op, "the label smoothing is %v, want 0 to 1", s)
	}
	wantReduction(op, opts.Reduction)
	wantClassWeight(op, x, dim, opts.Weight)
	if target.DType().IsFloat() {
		if !target.shape.Equal(x.shape) || target.DType() != x.DType() {
			fail(op, "the target is %s %v, want labels int64 %v or probabilities %s %v for the input %[5]v",
				target.DType(), target.shape, x.span(op, []int{dim}).dropped, x.DType(), x.shape)
		}
		if opts.Ignore != nil {
			fail(op, "the target is probabilities, of which none is ignored; want Ignore to be nil")
		}
		return crossEntropy(op, x, target, dim, opts)
	}
	wantLabels(op, x, target, dim)
	return nll(op, x, target, dim, true, opts)
}

// NLLLossOpts are the options of [NLLLoss].
type NLLLossOpts struct {
	Weight    *Tensor // factors of the classes, [C]
	Ignore    *int    // label of elements that do not count, nil: -100
	Reduction Reduction
}

// NLLLoss is [CrossEntropy] for class indices with logarithms of probabilities,
// as LogSoftmax(1) gives them, in place of scores. (torch.nn.functional.nll_loss)
func NLLLoss(x, target *Tensor, opts NLLLossOpts) *Tensor {
	const op = "NLLLoss"
	autocast(op, &x)
	dim := x.classDim(op)
	wantReduction(op, opts.Reduction)
	wantClassWeight(op, x, dim, opts.Weight)
	wantLabels(op, x, target, dim)
	return nll(op, x, target, dim, false, CrossEntropyOpts{Weight: opts.Weight, Ignore: opts.Ignore, Reduction: opts.Reduction})
}

// classDim returns the dimension of the classes.
func (x *Tensor) classDim(op string) int {
	x.wantFloat(op)
	switch len(x.shape) {
	case 0:
		fail(op, "the input is a scalar, want [N C], [N C …] or [C]")
	case 1:
		return 0
	}
	return 1
}

func wantClassWeight(op string, x *Tensor, dim int, w *Tensor) {
	if w == nil {
		return
	}
	if c := x.shape[dim]; len(w.shape) != 1 || w.shape[0] != c {
		fail(op, "the input %v has %d classes, the weight is %v, want [%d]", x.shape, c, w.shape, c)
	}
	if w.DType() != x.DType() {
		fail(op, "the input is %s, the weight %s, want one type; ToDType converts", x.DType(), w.DType())
	}
}

func wantLabels(op string, x, target *Tensor, dim int) {
	want := x.span(op, []int{dim}).dropped
	if target.DType() != Int64 || !target.shape.Equal(want) {
		fail(op, "the target is %s %v, want labels int64 %v for the input %v", target.DType(), target.shape, want, x.shape)
	}
}

// nll is the cross-entropy of class indices with scores, or with the logarithms of
// probabilities, which are not smoothed.
func nll(op string, x, target *Tensor, dim int, scores bool, o CrossEntropyOpts) *Tensor {
	split, s, t := x.shape.split(dim), x.span(op, []int{dim}), x.DType()
	at := backend.IndexGeom{Outer: split.Outer, N: split.N, M: 1, Inner: split.Inner}
	smoothing := o.LabelSmoothing / float64(split.N)
	ignore := -100
	if o.Ignore != nil {
		ignore = *o.Ignore
	}
	if w := o.Weight; w != nil && w.RequiresGrad() && !x.IsNoGrad() {
		fail(op, "the weight requires a gradient, which there is with probabilities as target only; use its Detach")
	}
	classWeight := o.Weight.wide(x)

	ignored := scalar(op, backend.Eq, target, float64(ignore), false, x, o.Weight)
	labels := like(op, target, x)
	labels.be().Copy(labels.array(), target.array())
	fillWhere(labels, ignored, 0)
	loss := result(op, wideType(t), target.shape, x, target)
	sign := o.LabelSmoothing - 1
	use := &indexUse{op: op, index: target.shape, of: x.shape, dim: dim, labels: true, ignore: ignore}
	var logs *Tensor            // of the probabilities, for smoothing
	var largest, sumExp *Tensor // of x-largest along dim
	switch {
	case !scores:
		picked := result(op, t, loss.shape, loss)
		use.check(x.be().Gather(picked.array(), x.array(), labels.array(), at, use))
		loss.be().Copy(loss.array(), picked.array())
		picked.Release()
	case smoothing == 0:
		sign = 1
		largest, sumExp = like(op, loss), like(op, loss)
		use.check(x.be().CrossEntropy(loss.array(), largest.array(), sumExp.array(), x.array(), labels.array(), split, use))
	default:
		logs = logProbabilities(op, x, split)
		use.check(x.be().Gather(loss.array(), logs.array(), labels.array(), at, use))
	}

	weights := like(op, loss) // of the labels
	weights.be().Fill(weights.array(), 1)
	var classWeights *Tensor
	if o.Weight != nil {
		classWeights = classWeight.alias(s.columns(dim))
		use.check(x.be().IndexSelect(weights.array(), classWeight.array(), labels.array(), backend.IndexGeom{Outer: 1, N: split.N, M: labels.Len(), Inner: 1}, use))
	}
	fillWhere(weights, ignored, 0)

	overwriteWith(loss, backend.Mul, weights)
	overwriteScalar(loss, backend.Mul, sign)
	if logs != nil {
		all := logs
		if classWeights != nil {
			all = binary(op, backend.Mul, logs, classWeights)
		}
		sum := all.reduce(op, backend.ReduceSum, s, s.dropped)
		overwriteScalar(sum, backend.Mul, -smoothing)
		overwriteWith(loss, backend.Add, sum)
		if all != logs {
			all.Release()
		}
		sum.Release()
	}
	fillWhere(loss, ignored, 0) // where -Inf would have made NaN of a weight of 0
	var total *Tensor           // of the weights, for the mean
	reduction := o.Reduction
	if reduction == Mean {
		reduction = Sum
		every := weights.span(op, nil)
		total = weights.reduce(op, backend.ReduceSum, every, every.dropped)
	}
	out := reduced(op, loss, reduction)
	if total != nil {
		overwriteWith(out, backend.Div, total)
	}
	shape := x.shape
	var in *Tensor
	if largest != nil {
		in = x.bare()
	}
	return recordWide(autograd.Named(op), t, out, []*Tensor{x, target}, func(g *Tensor) []*Tensor {
		if total != nil {
			g = binary(op, backend.Div, g, total)
		}
		right := binary(op, backend.Mul, weights, g)
		overwriteScalar(right, backend.Mul, sign)
		fillWhere(right, ignored, 0)
		switch {
		case largest != nil:
			dx := like(op, in, g)
			dx.be().CrossEntropyGrad(dx.array(), right.array(), in.array(), labels.array(), largest.array(), sumExp.array(), split)
			return []*Tensor{dx, nil}
		case logs == nil:
			return []*Tensor{scatterInto(op, shape, labels, right.cast(t), at), nil}
		}
		each := like(op, weights, g)
		each.be().Fill(each.array(), -smoothing)
		overwriteWith(each, backend.Mul, g)
		fillWhere(each, ignored, 0)
		dx := spread(op, each, s, shape).Contiguous()
		if classWeights != nil {
			overwriteWith(dx, backend.Mul, classWeights)
		}
		use.check(dx.be().ScatterAdd(dx.array(), labels.array(), right.array(), at, use))
		return []*Tensor{scoresGrad(op, dx, logs, split), nil}
	}, classWeights, in)
}

// logProbabilities returns log softmax(x) in the type to compute in, and records
// nothing. scoresGrad is its gradient.
func logProbabilities(op string, x *Tensor, g backend.DimGeom) *Tensor {
	out := result(op, wideType(x.DType()), x.shape, x)
	from := x.wide()
	x.be().Softmax(out.array(), from.array(), true, g)
	x.releaseCopy(from)
	return out
}

func scoresGrad(op string, dy, logs *Tensor, g backend.DimGeom) *Tensor {
	dx := like(op, dy)
	dx.be().SoftmaxGrad(dx.array(), dy.array(), logs.array(), true, g)
	return dx
}

// columns returns the shape in which one number for each entry of dimension dim
// broadcasts to what was reduced over it.
func (s span) columns(dim int) Shape {
	shape := make(Shape, len(s.kept))
	for i := range shape {
		shape[i] = 1
	}
	shape[dim] = s.n
	return shape
}

// crossEntropy is the cross-entropy of probabilities with scores.
func crossEntropy(op string, x, target *Tensor, dim int, o CrossEntropyOpts) *Tensor {
	s, split, w := x.span(op, []int{dim}), x.shape.split(dim), o.Weight.wide(x)
	t := target.bare()
	if w != nil {
		w = w.alias(s.columns(dim))
	}
	// smooth is the target, negative, with its share spread over all classes.
	smooth := func(owners ...*Tensor) *Tensor {
		from := t.wide(owners...)
		y := scalar(op, backend.Mul, from, o.LabelSmoothing-1, false, owners...)
		overwriteScalar(y, backend.Sub, o.LabelSmoothing/float64(s.n))
		t.releaseCopy(from)
		return y
	}
	logs := logProbabilities(op, x, split)
	terms := smooth(logs, w)
	overwriteWith(terms, backend.Mul, logs)
	if w != nil {
		overwriteWith(terms, backend.Mul, w)
	}
	loss := terms.reduce(op, backend.ReduceSum, s, s.dropped)
	terms.Release()
	n := loss.Len()
	out := reduced(op, loss, o.Reduction)
	needX, needTarget, needW := x.RequiresGrad(), target.RequiresGrad(), w != nil && o.Weight.RequiresGrad()
	return recordWide(autograd.Named(op), x.DType(), out, []*Tensor{x, target, o.Weight}, func(g *Tensor) []*Tensor {
		share := shareOf(op, g, o.Reduction, n)
		if o.Reduction == None {
			share = share.alias(s.kept)
		}
		var dx, dt, dw *Tensor
		if needX {
			dx = smooth(g)
			overwriteWith(dx, backend.Mul, share)
			if w != nil {
				overwriteWith(dx, backend.Mul, w)
			}
			dx = scoresGrad(op, dx, logs, split)
		}
		if needTarget {
			dt = binary(op, backend.Mul, logs, share)
			if w != nil {
				overwriteWith(dt, backend.Mul, w)
			}
			overwriteScalar(dt, backend.Mul, o.LabelSmoothing-1)
		}
		if needW {
			each := smooth(g)
			overwriteWith(each, backend.Mul, logs)
			overwriteWith(each, backend.Mul, share)
			dw = sumTo(each, w.shape).alias(Shape{s.n})
		}
		return []*Tensor{dx, dt, dw}
	}, t, w)
}
