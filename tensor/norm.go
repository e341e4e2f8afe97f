package tensor

import (
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// Zero stands for 0 in options where 0 itself means the default: in those of
// normalizations, of layers.SmoothL1Loss, and of layers.LeakyReLU, ELU and Softplus.
// It is the smallest number that there is.
const Zero = math.SmallestNonzeroFloat64

// number returns an option's value: byDefault for 0, and 0 for Zero.
func number(option, byDefault float64) float64 {
	switch option {
	case 0:
		return byDefault
	case Zero:
		return 0
	}
	return option
}

// BatchNormOpts are the options of [BatchNorm2d].
type BatchNormOpts struct {
	Training bool    // normalize with the batch's statistics and move the running ones (else: with the running ones)
	Momentum float64 // share of the batch in the running statistics, 0: 0.1, Zero: none
	Eps      float64 // added to the variance, 0: 1e-5, Zero: nothing, which does for running statistics only
	ReLU     bool    // follow it with ReLU, in the same pass over memory
}

// eps returns what is added to variances, and panics if that is not enough: those
// of a batch may be 0.
func (o BatchNormOpts) eps(op string, w *Tensor, batch bool) float64 {
	eps := number(o.Eps, 1e-5)
	switch {
	case eps < 0:
		failAt(op, w, "eps is %v, want a positive number", eps)
	case eps == 0 && batch:
		failAt(op, w, "eps is 0 for a batch's statistics, want a positive number: a channel's variance may be 0")
	}
	return eps
}

// BatchNorm2d normalizes each channel of x, [N C …] with any number of
// dimensions behind C (or none), to mean 0 and variance 1, then multiplies by w
// and adds b, both [C] and both optional (nil):
//
//	(x - mean) / √(variance + eps) · w + b
//
// With opts.ReLU the result is max(that, 0).
//
// In training, mean and variance are the batch's, and the running statistics,
// [C], which may be nil, move towards them: running = (1 - momentum)·running +
// momentum·batch, with the unbiased variance. Otherwise they are the running
// ones, or the batch's if those are nil. (torch.nn.functional.batch_norm; Ioffe
// and Szegedy, Batch Normalization, 2015)
func BatchNorm2d(x, runningMean, runningVar, w, b *Tensor, opts BatchNormOpts) *Tensor {
	const op = "BatchNorm2d"
	x.wantFloat(op)
	if len(x.shape) < 2 {
		failAt(op, w, "the input is %v, want [N C …]", x.shape)
	}
	if (runningMean == nil) != (runningVar == nil) {
		failAt(op, w, "one of the running mean and variance is nil, want both or none")
	}
	c := x.shape[1]
	for i, p := range []*Tensor{runningMean, runningVar, w, b} {
		name := []string{"running mean", "running variance", "weight", "bias"}[i]
		if p != nil && (len(p.shape) != 1 || p.shape[0] != c) {
			failAt(op, w, "the input %v has %d channels, the %s is %v, want [%d]", x.shape, c, name, p.shape, c)
		}
		if p != nil && p.DType() != x.DType() && !(x.DType().IsHalf() && p.DType() == Float32) {
			failAt(op, w, "the input is %s, the %s %s, want one type; ToDType converts", x.DType(), name, p.DType())
		}
	}
	g := backend.BatchNormGeom{
		N: x.shape[0], C: c, Inner: x.shape[2:].Len(),
		Momentum: number(opts.Momentum, 0.1), Training: opts.Training || runningMean == nil, ReLU: opts.ReLU,
	}
	g.Eps = opts.eps(op, w, g.Training)
	if opts.Training && g.N*g.Inner == 1 {
		failAt(op, w, "the input %v has one value a channel, want more in training: one value has no variance", x.shape)
	}
	moves := g.Training && runningMean != nil
	if moves {
		runningMean.wantWritable(op)
		runningVar.wantWritable(op)
		if runningMean.overlaps(runningVar) {
			failAt(op, w, "the running mean and the running variance share memory, want each its own")
		}
		for _, p := range []**Tensor{&x, &w, &b} { // they are read as they were before
			if *p != nil && ((*p).overlaps(runningMean) || (*p).overlaps(runningVar)) {
				*p = (*p).Clone()
			}
		}
	}
	out := result(op, x.DType(), x.shape, x, runningMean, runningVar, w, b)
	t := wideType(x.DType())
	mean, invstd := result(op, t, Shape{c}, x), result(op, t, Shape{c}, x)
	x.be().BatchNorm(out.array(), mean.array(), invstd.array(), runningMean.array(), runningVar.array(), x.array(), w.array(), b.array(), g)
	if moves {
		runningMean.wrote()
		runningVar.wrote()
	}
	in, weight := x.bare(), w
	if w != nil {
		weight = w.bare()
	}
	var y *Tensor
	if g.ReLU {
		y = out.bare()
	}
	needX, needW, needB := x.RequiresGrad(), w != nil && w.RequiresGrad(), b != nil && b.RequiresGrad()
	return autograd.Record(autograd.Named(op), out, []*Tensor{x, w, b}, func(dy *Tensor) []*Tensor {
		var dx, dw, db *Tensor
		if needX {
			dx = like(op, in, dy)
		}
		if needW {
			dw = like(op, w, dy)
		}
		if needB {
			db = like(op, b, dy)
		}
		in.be().BatchNormGrad(dx.array(), dw.array(), db.array(), dy.array(), in.array(), y.array(), weight.array(), mean.array(), invstd.array(), g)
		if needX && g.Training { // what the batch's mean takes away
			dx.balance()
		}
		return []*Tensor{dx, dw, db}
	}, in, weight, y)
}

// LayerNorm normalizes the last dimensions of x, whose sizes are
// normalizedShape, to mean 0 and variance 1, then multiplies by w and adds b,
// both of normalizedShape and both optional (nil). eps is added to the variance, 0
// means 1e-5, [Zero] nothing. (torch.nn.functional.layer_norm; Ba, Kiros and Hinton, Layer
// Normalization, 2016)
func LayerNorm(x *Tensor, normalizedShape Shape, w, b *Tensor, eps float64) *Tensor {
	const op = "LayerNorm"
	lead := len(x.Shape()) - len(normalizedShape)
	if len(normalizedShape) == 0 || lead < 0 || !x.shape[lead:].Equal(normalizedShape) {
		failAt(op, w, "the input is %v, want %v as its last sizes", x.shape, normalizedShape)
	}
	return x.rowNorm(op, x.shape[:lead].Len(), w, b, normalizedShape, normalizedShape, eps)
}

// GroupNorm divides the channels of x, [N C …], into groups, normalizes each
// group of each sample to mean 0 and variance 1, then multiplies each channel by
// w and adds b, both [C] and both optional (nil). eps is added to the variance, 0
// means 1e-5, [Zero] nothing. (torch.nn.functional.group_norm; Wu and He, Group Normalization,
// 2018)
func GroupNorm(x *Tensor, groups int, w, b *Tensor, eps float64) *Tensor {
	const op = "GroupNorm"
	if len(x.Shape()) < 2 {
		failAt(op, w, "the input is %v, want [N C …]", x.shape)
	}
	c := x.shape[1]
	if groups < 1 || c%groups != 0 {
		failAt(op, w, "the input %v has %d channels, which cannot be divided into %d groups", x.shape, c, groups)
	}
	if x.Len() == groups {
		failAt(op, w, "the input %v has one value a group, want more: one value has no variance", x.shape)
	}
	columns := Shape{c}
	for range x.shape[2:] {
		columns = append(columns, 1)
	}
	return x.rowNorm(op, x.shape[0]*groups, w, b, Shape{c}, columns, eps)
}

// rowNorm normalizes x as rows of equal length and applies w and b, which have
// the shape want, broadcast as the shape columns.
func (x *Tensor) rowNorm(op string, rows int, w, b *Tensor, want, columns Shape, eps float64) *Tensor {
	x.wantFloat(op)
	t := x.DType()
	for i, p := range []*Tensor{w, b} {
		name := []string{"weight", "bias"}[i]
		if p != nil && !p.shape.Equal(want) {
			failAt(op, w, "the %s is %v, want %v for the input %v", name, p.shape, want, x.shape)
		}
		if p != nil && p.DType() != t && !(t.IsHalf() && p.DType() == Float32) {
			failAt(op, w, "the input is %s, the %s %s, want one type; ToDType converts", t, name, p.DType())
		}
	}
	eps = number(eps, 1e-5)
	n := x.Len() / max(rows, 1)
	wide := wideType(t)
	// The gradient needs the rows before w and b.
	y := result(op, wide, x.shape, x, w, b)
	mean, invstd := result(op, wide, Shape{rows}, x), result(op, wide, Shape{rows}, x)
	x.be().RowNorm(y.array(), mean.array(), invstd.array(), x.array(), rows, n, eps)
	out, weight := y, w.wide(x)
	if w != nil {
		weight = weight.alias(columns)
		out = like(op, y, w, b)
		out.be().Binary(out.array(), y.array(), weight.array(), backend.Mul, binaryGeom(out.shape, y, weight))
	}
	if b != nil {
		if w == nil {
			out = y.Clone()
		}
		overwriteWith(out, backend.Add, b.wide(x).alias(columns))
	}
	y = y.bare()
	needX, needW, needB := x.RequiresGrad(), w != nil && w.RequiresGrad(), b != nil && b.RequiresGrad()
	z := recordWide(autograd.Named(op), t, out, []*Tensor{x, w, b}, func(dy *Tensor) []*Tensor {
		var dx, dw, db *Tensor
		if needX {
			scaled := dy
			if weight != nil {
				scaled = binary(op, backend.Mul, dy, weight)
			}
			dx = like(op, y, dy)
			y.be().RowNormGrad(dx.array(), scaled.array(), y.array(), invstd.array(), rows, n)
		}
		if needW {
			dw = sumTo(binary(op, backend.Mul, dy, y), columns).alias(want)
		}
		if needB {
			db = sumTo(dy, columns).alias(want)
		}
		return []*Tensor{dx, dw, db}
	}, y, weight)
	if !z.RequiresGrad() && z.storage != y.storage { // nobody needs the rows
		y.Release()
	}
	return z
}
