package tensor

import (
	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Reduction says what a loss function makes of the losses of all elements.
type Reduction uint8

const (
	ReduceMean Reduction = iota // their mean, the default
	ReduceSum                   // their sum
	ReduceNone                  // nothing: each element's loss is in the result
)

// reduced applies a reduction to the losses of all elements, a fresh tensor that
// it uses up; it records nothing.
func reduced(op string, losses *Tensor, r Reduction) *Tensor {
	if r == ReduceNone {
		return losses
	}
	s := losses.span(op, nil)
	out := losses.reduce(op, backend.ReduceSum, s, s.dropped)
	losses.release()
	if r == ReduceMean {
		overwriteScalar(out, backend.Div, float64(s.n))
	}
	return out
}

// shareOf returns the gradient of each of n losses, or of all alike if it has one
// element, from the gradient g of what reduced made of them.
func shareOf(g *Tensor, r Reduction, n int) *Tensor {
	if r != ReduceMean {
		return g
	}
	return g.DivScalar(float64(max(n, 1)))
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
	if r > ReduceNone {
		fail(op, "the reduction is %d, want Mean, Sum or None", r)
	}
}

// MSELoss returns the squares of x - target. Both have one shape.
// (torch.nn.functional.mse_loss)
func MSELoss(x, target *Tensor, r Reduction) *Tensor {
	const op = "MSELoss"
	return differenceLoss(ops.MSELoss{Reduction: ops.Reduction(r)}, x, target, r,
		func(d *Tensor) *Tensor { return apply(op, backend.Square, d) },
		func(d, share *Tensor) *Tensor { return d.Mul(share.MulScalar(2)) })
}

// L1Loss returns the magnitudes of x - target. Both have one shape.
// (torch.nn.functional.l1_loss)
func L1Loss(x, target *Tensor, r Reduction) *Tensor {
	const op = "L1Loss"
	return differenceLoss(ops.L1Loss{Reduction: ops.Reduction(r)}, x, target, r,
		func(d *Tensor) *Tensor { return apply(op, backend.Abs, d) },
		func(d, share *Tensor) *Tensor { return d.Sign().times(share) })
}

// SmoothL1Loss returns for the differences d = x - target d²/(2·beta) where they
// are smaller than beta, and |d| - beta/2 elsewhere. PyTorch's default for beta is
// 1; with 0 it is L1Loss. Both have one shape. (torch.nn.functional.smooth_l1_loss)
func SmoothL1Loss(x, target *Tensor, beta float64, r Reduction) *Tensor {
	if least := 0x1p-126; beta == 0 || beta > 0 && beta < least { // less than Float32 divides by
		return L1Loss(x, target, r)
	}
	if !(beta > 0) {
		fail("SmoothL1Loss", "beta is %v, want 0 or more", beta)
	}
	return huber(ops.SmoothL1Loss{Beta: beta, Reduction: ops.Reduction(r)}, x, target, beta, 1/beta, r)
}

// HuberLoss returns for the differences d = x - target d²/2 where they are smaller
// than delta, and delta·(|d| - delta/2) elsewhere. PyTorch's default for delta is
// 1. Both have one shape. (torch.nn.functional.huber_loss)
func HuberLoss(x, target *Tensor, delta float64, r Reduction) *Tensor {
	if !(delta > 0) {
		fail("HuberLoss", "delta is %v, want more than 0", delta)
	}
	return huber(ops.HuberLoss{Delta: delta, Reduction: ops.Reduction(r)}, x, target, delta, 1, r)
}

// huber is scale·c·(d - c/2), where c is d held between -bend and bend.
func huber(op autograd.Op, x, target *Tensor, bend, scale float64, r Reduction) *Tensor {
	return differenceLoss(op, x, target, r, func(d *Tensor) *Tensor {
		c := like(op.Name(), d)
		d.be().Unary(c.array(), d.array(), backend.Clamp, backend.UnaryParams{P0: -bend, P1: bend})
		loss := scalar(op.Name(), backend.Mul, c, -0.5, false)
		overwriteWith(loss, backend.Add, d)
		overwriteScalar(c, backend.Mul, scale) // at most 1 where bend is small
		overwriteWith(loss, backend.Mul, c)
		c.release()
		return loss
	}, func(d, share *Tensor) *Tensor { return d.Clamp(-bend, bend).scaled(scale).times(share) })
}

// differenceLoss is a loss that depends on d = x - target only; slope is its
// derivative for each difference, times the loss's share of the gradient.
func differenceLoss(value autograd.Op, x, target *Tensor, r Reduction, loss func(d *Tensor) *Tensor, slope func(d, share *Tensor) *Tensor) *Tensor {
	op := value.Name()
	autocast(op, &x, &target)
	wantTarget(op, x, target, r)
	a, b := x.wide(), target.wide()
	d := binary(op, backend.Sub, a, b)
	x.releaseCopy(a)
	target.releaseCopy(b)
	out := reduced(op, loss(d), r).rounded(x.DType())
	if !tracked(op, out, x, target) {
		return out
	}
	t := x.DType()
	needX, needTarget := x.RequiresGrad(), target.RequiresGrad()
	var node *autograd.Node[*Tensor]
	out = recordWide(value, t, out, []*Tensor{x, target}, func(g *Tensor) []*Tensor {
		d := with(g, d)
		if !tape.InPass(g) {
			d = d.bare()
			tape.Beside(ops.Binary{Kind: backend.Sub}, d, node, func(g *Tensor) []*Tensor {
				g = g.ToDType(t)
				return []*Tensor{g, g.Neg()}
			})
		}
		dx := slope(d, shareOf(g, r, d.Len()))
		var dt *Tensor
		if needTarget {
			dt = dx.Neg()
		}
		if !needX {
			dx = nil
		}
		return []*Tensor{dx, dt}
	})
	node = out.Node()
	return out
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
	in, t, w, pw := x.wide(), target.wide(), opts.Weight.wide(), opts.PosWeight.wide()
	// The loss is -((t-1)·x + positive·log σ(x)), and log σ never overflows.
	loss := scalar(op, backend.Sub, t, 1, false, x, w, pw)
	overwriteWith(loss, backend.Mul, in)
	logs := apply(op, backend.LogSigmoid, in, loss)
	if pw != nil {
		less := scalar(op, backend.Sub, pw, 1, false, x)
		f := binary(op, backend.Mul, t, less)
		overwriteScalar(f, backend.Add, 1)
		overwriteWith(logs, backend.Mul, f)
		less.release()
		f.release()
	}
	overwriteWith(loss, backend.Add, logs)
	overwrite(loss, backend.Neg)
	if w != nil {
		overwriteWith(loss, backend.Mul, w)
	}
	logs.release()
	x.releaseCopy(in)
	target.releaseCopy(t)
	out := reduced(op, loss, opts.Reduction).rounded(x.DType())
	if !tracked(op, out, x, target) {
		return out
	}
	xs, ts, n := x.saved(), target.saved(), x.Len()
	needX, needTarget := x.RequiresGrad(), target.RequiresGrad()
	value := ops.BCEWithLogits{Reduction: ops.Reduction(opts.Reduction)}
	inputs := []*Tensor{x, target, opts.Weight.unmarked(), opts.PosWeight.unmarked()}
	return recordWide(value, x.DType(), out, inputs, func(g *Tensor) []*Tensor {
		var dx, dt *Tensor
		x, t, w, pw := with(g, xs), with(g, ts), with(g, w), with(g, pw)
		share := shareOf(g, opts.Reduction, n)
		if w != nil {
			share = share.Mul(w)
		}
		if needX { // -((t-1) + positive·σ(-x))
			dx = x.Neg().mapped(backend.Sigmoid)
			if pw != nil {
				dx = dx.times(t.Mul(pw.SubScalar(1)).shifted(1))
			}
			dx = dx.plus(t.SubScalar(1)).mapped(backend.Neg).times(share)
		}
		switch { // -(x + (posWeight-1)·log σ(x))
		case !needTarget:
		case pw == nil:
			dt = x.Neg().times(share)
		default:
			dt = x.LogSigmoid().times(pw.SubScalar(1)).plus(x).mapped(backend.Neg).times(share)
		}
		return []*Tensor{dx, dt, nil, nil}
	}, xs, ts, w, pw)
}

// CrossEntropyOpts are the options of [CrossEntropy].
type CrossEntropyOpts struct {
	Weight         *Tensor // factors of the classes, [C]
	LabelSmoothing float64 // share of the target that is spread over all classes, 0 to 1
	IgnoreIndex    *int    // label of elements that do not count, nil: -100; for class indices only
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
		if opts.IgnoreIndex != nil {
			fail(op, "the target is probabilities, of which none is ignored; want IgnoreIndex to be nil")
		}
		return crossEntropy(op, x, target, dim, opts)
	}
	wantLabels(op, x, target, dim)
	return nll(op, x, target, dim, true, opts)
}

// NLLLossOpts are the options of [NLLLoss].
type NLLLossOpts struct {
	Weight      *Tensor // factors of the classes, [C]
	IgnoreIndex *int    // label of elements that do not count, nil: -100
	Reduction   Reduction
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
	return nll(op, x, target, dim, false, CrossEntropyOpts{Weight: opts.Weight, IgnoreIndex: opts.IgnoreIndex, Reduction: opts.Reduction})
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
	x = x.Contiguous()
	split, s, t := x.shape.split(dim), x.span(op, []int{dim}), x.DType()
	at := backend.IndexGeom{Outer: split.Outer, N: split.N, M: 1, Inner: split.Inner}
	smoothing := o.LabelSmoothing / float64(split.N)
	ignore := -100
	if o.IgnoreIndex != nil {
		ignore = *o.IgnoreIndex
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
		picked.release()
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
			all.release()
		}
		sum.release()
	}
	fillWhere(loss, ignored, 0) // where -Inf would have made NaN of a weight of 0
	var total *Tensor           // of the weights, for the mean
	reduction := o.Reduction
	if reduction == ReduceMean {
		reduction = ReduceSum
		every := weights.span(op, nil)
		total = weights.reduce(op, backend.ReduceSum, every, every.dropped)
	}
	out := reduced(op, loss, reduction)
	if total != nil {
		overwriteWith(out, backend.Div, total)
	}
	out = out.rounded(t)
	if !tracked(op, out, x, target) {
		return out
	}
	shape := x.shape
	var xs *Tensor
	if largest != nil {
		xs = x.saved()
	}
	var value autograd.Op = ops.NLLLoss{IgnoreIndex: ignore, Reduction: ops.Reduction(o.Reduction)}
	if scores {
		value = ops.CrossEntropy{LabelSmoothing: o.LabelSmoothing, IgnoreIndex: ignore, Reduction: ops.Reduction(o.Reduction)}
	}
	var node *autograd.Node[*Tensor]
	out = recordWide(value, t, out, []*Tensor{x, target, o.Weight.unmarked()}, func(g *Tensor) []*Tensor {
		if total != nil {
			g = g.Div(total)
		}
		right := weights.Mul(g).scaled(sign).filled(ignored, 0)
		switch {
		case largest != nil:
			return []*Tensor{crossEntropyGrad(dim, right, xs, labels, largest, sumExp), nil, nil}
		case logs == nil:
			return []*Tensor{right.ToDType(t).view(op, s.kept).scattered(shape, dim, labels.alias(s.kept)), nil, nil}
		}
		dx := spread(op, g.MulScalar(-smoothing).MaskedFill(ignored, 0), s, shape).Contiguous()
		if classWeights != nil {
			dx = dx.times(classWeights)
		}
		if dx.reuses(dx) {
			use.check(dx.be().ScatterAdd(dx.array(), labels.array(), right.array(), at, use))
		} else {
			dx = dx.ScatterAdd(dim, labels.alias(s.kept), right.view(op, s.kept))
		}
		return []*Tensor{softmaxGrad(ops.Softmax{Dim: dim, Log: true}, dx, ofScores(g, logs, node, dim, t)), nil, nil}
	}, classWeights, xs)
	node = out.Node()
	return out
}

// crossEntropyGrad returns share·(softmax(x) - 1 at the label), given what CrossEntropy has
// written.
func crossEntropyGrad(dim int, share, x, labels, largest, sumExp *Tensor) *Tensor {
	const name = "CrossEntropyGrad"
	dx := like(name, x, share)
	dx.be().CrossEntropyGrad(dx.array(), share.array(), x.array(), labels.array(), largest.array(), sumExp.array(), x.shape.split(dim))
	if !tracked(name, dx, share, x) {
		return dx
	}
	ss, xs := share.saved(), x.saved()
	needShare, needX := share.RequiresGrad(), x.RequiresGrad()
	return autograd.Record(ops.CrossEntropyGrad{Dim: dim}, dx, []*Tensor{share, x, labels, largest, sumExp}, func(g *Tensor) []*Tensor {
		t := g.DType()
		g = g.ToDType(wideType(t))
		x, share := with(g, xs), with(g, ss)
		kept := along(x.shape, dim)
		var toShare, toX *Tensor
		if needShare {
			each := crossEntropyGrad(dim, OnesLike(share), x, labels, largest, sumExp)
			toShare = sumTo(g.Mul(each), kept).view(name, share.shape)
		}
		if needX {
			toX = softmaxGrad(ops.Softmax{Dim: dim}, g.Mul(share.view(name, kept)), x.Softmax(dim)).ToDType(t)
		}
		return []*Tensor{toShare, toX, nil, nil, nil}
	}, share, x)
}

// logProbabilities returns log softmax(x) in the type to compute in, and records
// nothing.
func logProbabilities(op string, x *Tensor, g backend.DimGeom) *Tensor {
	out := result(op, wideType(x.DType()), x.shape, x)
	from := x.wide()
	x.be().Softmax(out.array(), from.array(), true, g)
	x.releaseCopy(from)
	return out
}

// ofScores returns logs, which logProbabilities has made of the first of node's three
// inputs, of type t, for a closure: with that history where a graph is created.
func ofScores(g, logs *Tensor, node *autograd.Node[*Tensor], dim int, t DType) *Tensor {
	if tape.InPass(g) {
		return with(g, logs)
	}
	logs = logs.bare()
	op := ops.Softmax{Dim: dim, Log: true}
	tape.Beside(op, logs, node, func(g *Tensor) []*Tensor {
		return []*Tensor{softmaxGrad(op, g, logs).ToDType(t), nil, nil}
	})
	return logs
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
	columns := s.columns(dim)
	if w != nil {
		w = w.alias(columns)
	}
	logs := logProbabilities(op, x, split)
	// The target is negative, with its share spread over all classes.
	t := target.wide(logs, w)
	terms := scalar(op, backend.Mul, t, o.LabelSmoothing-1, false, logs, w)
	target.releaseCopy(t)
	overwriteScalar(terms, backend.Sub, o.LabelSmoothing/float64(s.n))
	overwriteWith(terms, backend.Mul, logs)
	if w != nil {
		overwriteWith(terms, backend.Mul, w)
	}
	loss := terms.reduce(op, backend.ReduceSum, s, s.dropped)
	terms.release()
	n := loss.Len()
	out := reduced(op, loss, o.Reduction).rounded(x.DType())
	if !tracked(op, out, x, target, o.Weight) {
		return out
	}
	ts, ws := target.saved(), o.Weight.savedIf()
	smooth := func(g *Tensor) *Tensor {
		return with(g, ts).MulScalar(o.LabelSmoothing - 1).shifted(-o.LabelSmoothing / float64(s.n))
	}
	needX, needTarget, needW := x.RequiresGrad(), target.RequiresGrad(), w != nil && o.Weight.RequiresGrad()
	value := ops.CrossEntropy{LabelSmoothing: o.LabelSmoothing, IgnoreIndex: -100, Reduction: ops.Reduction(o.Reduction)}
	dtype := x.DType()
	var node *autograd.Node[*Tensor]
	out = recordWide(value, dtype, out, []*Tensor{x, target, o.Weight}, func(g *Tensor) []*Tensor {
		logs := ofScores(g, logs, node, dim, dtype)
		share := shareOf(g, o.Reduction, n)
		if o.Reduction == ReduceNone {
			share = share.view(op, s.kept)
		}
		weighted := func(x *Tensor) *Tensor {
			if ws == nil {
				return x
			}
			return x.times(with(g, ws).view(op, columns))
		}
		var dx, dt, dw *Tensor
		if needX {
			dx = softmaxGrad(ops.Softmax{Dim: dim, Log: true}, weighted(smooth(g).times(share)), logs)
		}
		if needTarget {
			dt = weighted(logs.Mul(share)).scaled(o.LabelSmoothing - 1)
		}
		if needW {
			dw = sumTo(smooth(g).times(logs).times(share), columns).view(op, Shape{s.n})
		}
		return []*Tensor{dx, dt, dw}
	}, ts, ws)
	node = out.Node()
	return out
}
