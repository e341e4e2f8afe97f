package tensor

import (
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
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

// said returns a number as an option, the reverse of number.
func said(v float64) float64 {
	if v == 0 {
		return Zero
	}
	return v
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
		if runningMean.meets(runningVar) {
			failAt(op, w, "the running mean and the running variance share memory, want each its own")
		}
		for _, p := range []**Tensor{&x, &w, &b} { // they are read as they were before
			if *p != nil && ((*p).overlaps(runningMean) || (*p).overlaps(runningVar)) {
				*p = (*p).Clone()
			}
		}
	}
	x = x.Contiguous()
	out := result(op, x.DType(), x.shape, x, runningMean, runningVar, w, b)
	t := wideType(x.DType())
	mean, invstd := result(op, t, Shape{c}, x), result(op, t, Shape{c}, x)
	compute := func(runningMean, runningVar *Tensor) {
		x.be().BatchNorm(out.array(), mean.array(), invstd.array(), runningMean.array(), runningVar.array(), x.array(), w.array(), b.array(), g)
	}
	if moves {
		runningMean.rewrite(func(m *Tensor) { runningVar.rewrite(func(v *Tensor) { compute(m, v) }) })
		runningMean.wrote()
		runningVar.wrote()
	} else {
		compute(runningMean, runningVar)
	}
	if !tracked(op, out, x, w, b) {
		return out
	}
	n := batchNorm{x: x.saved(), w: w.savedIf(), mean: mean, invstd: invstd, geom: g}
	if g.ReLU {
		n.y = out.bare()
	}
	value := ops.BatchNorm2d{Training: opts.Training, Momentum: g.Momentum, Eps: g.Eps, ReLU: g.ReLU}
	inputs := []*Tensor{x, runningMean.unmarked(), runningVar.unmarked(), w, b}
	needX, needW, needB := x.RequiresGrad(), w != nil && w.RequiresGrad(), b != nil && b.RequiresGrad()
	return autograd.Record(value, out, inputs, func(dy *Tensor) []*Tensor {
		var dx, dw, db *Tensor
		if needX {
			dx = like(op, n.x, dy)
		}
		if needW {
			dw = like(op, n.w, dy)
		}
		if needB {
			db = result(op, b.DType(), b.shape, dy)
		}
		n.gradients(dy, dx, dw, db)
		if needX && g.Training { // what the batch's mean takes away
			dx.balance()
		}
		return []*Tensor{dx, nil, nil, dw, db}
	}, n.x, n.w, n.y)
}

// meets reports whether two vectors of one length, whose elements lie apart, share one.
func (x *Tensor) meets(y *Tensor) bool {
	if !x.overlaps(y) {
		return false
	}
	n, step := y.Len(), y.Strides()[0]
	for i := range n {
		if from := x.offset + i*x.Strides()[0] - y.offset; from%step == 0 && from >= 0 && from/step < n {
			return true
		}
	}
	return false
}

// batchNorm is what the gradients of BatchNorm2d need besides that of the result.
type batchNorm struct {
	x, y, w, mean, invstd *Tensor // y is there with ReLU only, w is optional
	geom                  backend.BatchNormGeom
}

// gradients computes the gradients of x, weight and bias, those that are not nil and
// fresh, from the gradient of the result.
func (n batchNorm) gradients(dy, dx, dw, db *Tensor) {
	dy.be().BatchNormGrad(dx.array(), dw.array(), db.array(), dy.array(), n.x.array(), n.y.array(), n.w.array(), n.mean.array(), n.invstd.array(), n.geom)
	for of, grad := range []*Tensor{ops.Input: dx, ops.Weight: dw, ops.Bias: db} {
		if grad != nil {
			n.record(ops.Operand(of), dy, grad)
		}
	}
}

// record records one of the gradients.
func (n batchNorm) record(of ops.Operand, dy, grad *Tensor) {
	const name = "BatchNormGrad"
	if of != ops.Input {
		n.w = nil
	}
	if !tracked(name, grad, dy, n.x, n.w) {
		return
	}
	ds, t := dy.saved(), dy.DType()
	needDy, needX, needW := dy.RequiresGrad(), n.x.RequiresGrad(), n.w != nil && n.w.RequiresGrad()
	columns := make(Shape, len(n.x.shape))
	for i := range columns {
		columns[i] = 1
	}
	columns[1] = n.geom.C
	count := float64(n.geom.N * n.geom.Inner)
	sum := func(x *Tensor) *Tensor { return sumTo(x, columns) }
	value := ops.BatchNormGrad{Of: of, DType: backend.DType(grad.DType()), Batch: n.geom.Training, Eps: n.geom.Eps, ReLU: n.geom.ReLU}
	autograd.Record(value, grad, []*Tensor{dy, n.x, n.y, n.w, n.mean, n.invstd}, func(g *Tensor) []*Tensor {
		g = g.ToDType(wideType(t))
		through := func(dy *Tensor) *Tensor { return dy } // the ReLU
		if n.y != nil {
			through = func(dy *Tensor) *Tensor { return unaryGrad(ops.Unary{Kind: backend.ReLU}, dy, with(g, n.y)) }
		}
		x, v := with(g, n.x), through(with(g, ds))
		// The gradient of x is w·back(dy), and back is symmetric.
		plain := batchNorm{x: x, mean: n.mean, invstd: n.invstd, geom: n.geom}
		plain.geom.ReLU = false
		back := func(dy *Tensor) *Tensor {
			dx := like(name, x, dy)
			plain.gradients(dy, dx, nil, nil)
			return dx
		}
		normal, invstd := plain.normal(x, columns)
		var toDy, toX, toW *Tensor
		switch of {
		case ops.Input:
			b := back(g)
			if needW {
				toW = sum(v.Mul(b)).view(name, Shape{n.geom.C}).ToDType(n.w.DType())
			}
			toDy = b
			if n.w != nil {
				w := with(g, n.w).ToDType(g.DType()).view(name, columns)
				v, toDy = v.Mul(w), b.Mul(w)
			}
			if needX && n.geom.Training { // back(dy) = invstd·(dy - Σdy/n - normal·Σ(dy·normal)/n), of which all but dy depends on x
				toX = back(g.Mul(sum(v.Mul(normal))).Add(v.Mul(sum(g.Mul(normal))))).Add(normal.Mul(sum(v.Mul(b)))).
					Mul(invstd.DivScalar(-count)).ToDType(n.x.DType())
			}
		case ops.Weight: // Σ dy·normal
			g = g.view(name, columns)
			toDy = g.Mul(normal)
			if needX {
				toX = back(g.Mul(v)).ToDType(n.x.DType())
			}
		case ops.Bias: // Σ dy
			toDy = g.view(name, columns).Expand(x.shape...)
		}
		if needDy {
			toDy = through(toDy).ToDType(t)
		} else {
			toDy = nil
		}
		return []*Tensor{toDy, toX, nil, toW, nil, nil}
	}, dy, n.x, n.w)
}

// normal returns x normalized, and what it has been multiplied by for that, which depend on
// x where the statistics are the batch's.
func (n batchNorm) normal(x *Tensor, columns Shape) (y, invstd *Tensor) {
	if !n.geom.Training {
		invstd = with(x, n.invstd).view("BatchNormGrad", columns)
		return x.Sub(with(x, n.mean).view("BatchNormGrad", columns)).Mul(invstd), invstd
	}
	count := float64(n.geom.N * n.geom.Inner)
	d := x.Sub(sumTo(x, columns).DivScalar(count))
	invstd = sumTo(d.Square(), columns).DivScalar(count).AddScalar(n.geom.Eps).Rsqrt()
	return d.Mul(invstd), invstd
}

// batchNormGrad applies BatchNormGrad again.
func batchNormGrad(op ops.BatchNormGrad, dy, x, y, w, mean, invstd *Tensor) *Tensor {
	n := batchNorm{x: x, y: y, w: w, mean: mean, invstd: invstd, geom: backend.BatchNormGeom{
		N: x.shape[0], C: x.shape[1], Inner: x.shape[2:].Len(), Eps: op.Eps, Training: op.Batch, ReLU: op.ReLU,
	}}
	var grads [3]*Tensor
	grads[op.Of] = result(op.Name(), DType(op.DType), mean.shape, dy)
	if op.Of == ops.Input {
		grads[op.Of] = result(op.Name(), DType(op.DType), x.shape, dy)
	}
	n.gradients(dy, grads[ops.Input], grads[ops.Weight], grads[ops.Bias])
	return grads[op.Of]
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
	eps = number(eps, 1e-5)
	return x.rowNorm(ops.LayerNorm{Shape: normalizedShape, Eps: eps}, x.shape[:lead].Len(), w, b, normalizedShape, normalizedShape, eps)
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
	eps = number(eps, 1e-5)
	return x.rowNorm(ops.GroupNorm{Groups: groups, Eps: eps}, x.shape[0]*groups, w, b, Shape{c}, columns, eps)
}

// rowNorm normalizes x as rows of equal length and applies w and b, which have
// the shape want, broadcast as the shape columns.
func (x *Tensor) rowNorm(value autograd.Op, rows int, w, b *Tensor, want, columns Shape, eps float64) *Tensor {
	op := value.Name()
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
	// The gradient needs the rows before w and b.
	var y, invstd, z *Tensor
	if fused, ok := x.be().(backend.AffineRowNorm); ok && (w != nil || b != nil) && columns.Equal(want) && rows*want.Len() == x.Len() {
		y, invstd, z = x.affineRows(fused, op, rows, eps, w, b)
	} else {
		y, invstd = x.normalizeRows(op, rows, eps, w, b)
		out := y
		if w != nil {
			weight := w.wide(x).alias(columns)
			out = like(op, y, w, b)
			out.be().Binary(out.array(), y.array(), weight.window(), backend.Mul, binaryGeom(out.shape, y, weight))
		}
		if b != nil {
			if w == nil {
				out = y.Clone()
			}
			overwriteWith(out, backend.Add, b.wide(x).alias(columns))
		}
		z = out.cast(t)
		if z != out && out != y {
			out.release()
		}
	}
	if !tracked(op, z, x, w, b) {
		if y != nil && z != y { // nobody needs the rows
			y.release()
		}
		return z
	}
	if y != nil {
		y = y.bare()
	}
	var node *autograd.Node[*Tensor]
	weight := w.savedIf()
	needX, needW, needB := x.RequiresGrad(), w != nil && w.RequiresGrad(), b != nil && b.RequiresGrad()
	recordWide(value, t, z, []*Tensor{x, w, b}, func(dy *Tensor) []*Tensor {
		y, invstd := y, invstd
		if !tape.InPass(dy) {
			y, invstd = normalizedRows(node, y, invstd, t, eps)
		}
		var dx, dw, db *Tensor
		if needX {
			scaled := dy
			if weight != nil {
				scaled = dy.Mul(with(dy, weight).view(op, columns))
			}
			dx = rowNormGrad(scaled, y, invstd)
		}
		if needW {
			dw = sumTo(dy.Mul(y), columns).view(op, want)
		}
		if needB {
			db = sumTo(dy, columns).view(op, want)
		}
		return []*Tensor{dx, dw, db}
	}, y, weight)
	if node = z.Node(); node == nil && y != nil && z.storage != y.storage {
		y.release()
	}
	return z
}

// normalizedRows returns y and invstd, what normalizeRows has made of the first of node's
// three inputs, of type t, with that history.
func normalizedRows(node *autograd.Node[*Tensor], y, invstd *Tensor, t DType, eps float64) (*Tensor, *Tensor) {
	y, invstd = y.bare(), invstd.bare()
	op := ops.RowNorm{Rows: invstd.Len(), Eps: eps}
	tape.Beside(op, y, node, func(g *Tensor) []*Tensor {
		return []*Tensor{rowNormGrad(g, y, invstd).ToDType(t), nil, nil}
	})
	op.InvStd = true
	tape.Beside(op, invstd, node, func(g *Tensor) []*Tensor { // -g·invstd²/n·y
		n := y.Len() / max(op.Rows, 1)
		factors := g.Mul(with(g, invstd).Square()).DivScalar(-float64(n)).view(op.Name(), Shape{op.Rows, 1})
		dx := with(g, y).view(op.Name(), Shape{op.Rows, n}).Mul(factors)
		return []*Tensor{dx.view(op.Name(), y.shape).ToDType(t), nil, nil}
	})
	return y, invstd
}

// normalizeRows normalizes x as so many rows, in the type to compute in, and returns
// 1/√(variance+eps) of each row as well. It records nothing.
func (x *Tensor) normalizeRows(op string, rows int, eps float64, owners ...*Tensor) (y, invstd *Tensor) {
	wide := wideType(x.DType())
	y = result(op, wide, x.shape, append(owners, x)...)
	mean, invstd := result(op, wide, Shape{rows}, x), result(op, wide, Shape{rows}, x)
	x.be().RowNorm(y.array(), mean.array(), invstd.array(), x.array(), rows, x.Len()/max(rows, 1), eps)
	return y, invstd
}

// affineRows is normalizeRows followed by w and b, an element of each for each of a row, in
// x's type. It has no y where nothing is recorded.
func (x *Tensor) affineRows(be backend.AffineRowNorm, op string, rows int, eps float64, w, b *Tensor) (y, invstd, z *Tensor) {
	wide := wideType(x.DType())
	z = like(op, x, w, b)
	if autograd.Records(op, x, w, b) {
		y = result(op, wide, x.shape, x, w, b)
	}
	mean, invstd := result(op, wide, Shape{rows}, x), result(op, wide, Shape{rows}, x)
	be.AffineRowNorm(z.array(), y.array(), mean.array(), invstd.array(), x.array(), w.wide(x).array(), b.wide(x).array(), rows, x.Len()/max(rows, 1), eps)
	return y, invstd, z
}

// rowNormGrad returns the gradient of what normalizeRows has made y and invstd of, from
// that of y.
func rowNormGrad(dy, y, invstd *Tensor) *Tensor {
	const name = "RowNormGrad"
	rows := invstd.Len()
	n := y.Len() / max(rows, 1)
	dx := like(name, y, dy)
	y.be().RowNormGrad(dx.array(), dy.array(), y.array(), invstd.array(), rows, n)
	if !tracked(name, dx, dy, y, invstd) {
		return dx
	}
	ds, ys, is := dy.saved(), y.saved(), invstd.saved()
	needY, needInvstd := y.RequiresGrad(), invstd.RequiresGrad()
	return autograd.Record(ops.RowNormGrad{}, dx, []*Tensor{dy, y, invstd}, func(g *Tensor) []*Tensor {
		// dx = invstd·(dy - Σdy/n - y·Σ(dy·y)/n), which is symmetric in dy and g
		in := func(x *Tensor) *Tensor { return x.view(name, Shape{rows, n}) }
		sum := func(x *Tensor) *Tensor { return sumTo(x, Shape{rows, 1}) }
		toDy := rowNormGrad(g, with(g, ys), with(g, is))
		var toY, toInvstd *Tensor
		dy, y, invstd := in(with(g, ds)), in(with(g, ys)), with(g, is).view(name, Shape{rows, 1})
		if needY {
			both := in(g).Mul(sum(dy.Mul(y))).Add(dy.Mul(sum(in(g).Mul(y))))
			toY = both.Mul(invstd.DivScalar(-float64(n))).view(name, ys.shape)
		}
		if needInvstd {
			toInvstd = sum(in(toDy).Mul(dy)).Div(invstd).view(name, Shape{rows})
		}
		return []*Tensor{toDy, toY, toInvstd}
	}, dy, y, invstd)
}
