package tensor

import (
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// unary computes an elementwise function of a floating-point tensor, with its
// gradient.
func (x *Tensor) unary(name string, op backend.UnaryOp, p backend.UnaryParams) *Tensor {
	x.wantFloat(name)
	return x.unaryNumber(name, op, p)
}

// unaryFractional is unary for the functions whose result for whole numbers and
// Bool is Float32.
func (x *Tensor) unaryFractional(name string, op backend.UnaryOp) *Tensor {
	return x.fractional().unary(name, op, backend.UnaryParams{})
}

// unaryNumber is unary for the functions that integer tensors have too.
func (x *Tensor) unaryNumber(name string, op backend.UnaryOp, p backend.UnaryParams) *Tensor {
	x.wantNumber(name)
	out := like(name, x)
	x.unaryTo(out, op, p)
	if !tracked(name, out, x) {
		return out
	}
	var v *Tensor // the operand or the result, if the gradient needs one
	usesX, usesY := op.GradUses()
	switch {
	case usesX:
		v = x.saved()
	case usesY:
		v = out.bare()
	}
	value := ops.Unary{Kind: op, UnaryParams: p}
	autograd.Record(value, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{unaryGrad(value, g, v)}
	}, v)
	if usesY {
		tape.Saved(v, out)
	}
	return out
}

// unaryTo computes an elementwise function into y, which is fresh.
func (x *Tensor) unaryTo(y *Tensor, op backend.UnaryOp, p backend.UnaryParams) {
	if x.strides != nil && x.DType() == y.DType() {
		x.copyTo(y)
		x = y
	}
	y.be().Unary(y.array(), x.array(), op, p)
}

// unaryGrad returns the gradient of an elementwise function from g, that of the result,
// and v, the operand or the result, whichever UnaryOp.GradUses says, or nil.
func unaryGrad(op ops.Unary, g, v *Tensor) *Tensor {
	value := ops.UnaryGrad{Unary: op}
	name := value.Name()
	dx := like(name, g, v)
	x, y := v, v
	if usesX, _ := op.Kind.GradUses(); usesX {
		y = nil
	} else {
		x = nil
	}
	g.be().UnaryGrad(dx.array(), g.array(), x.array(), y.array(), op.Kind, op.UnaryParams)
	if !tracked(name, dx, g, v) {
		return dx
	}
	gs, t := g.saved(), g.DType()
	var saved []*Tensor
	if v != nil {
		v, saved = v.saved(), []*Tensor{v, g}
	}
	return autograd.Record(value, dx, []*Tensor{g, v}, func(gg *Tensor) []*Tensor {
		results := []*Tensor{unaryGrad(op, gg, with(gg, v)), nil}
		if v != nil && v.RequiresGrad() {
			gg := gg.ToDType(wideType(t))
			if slope := slopeOfGrad(op, with(gg, v)); slope != nil {
				results[1] = gg.Mul(with(gg, gs)).Mul(slope).ToDType(t)
			} else {
				results[1] = zeroGrad(gg, gg.shape).ToDType(t)
			}
		}
		return results
	}, saved...)
}

// slopeOfGrad returns the derivative of what UnaryGrad multiplies a gradient by, with
// respect to v, the operand or the result, whichever it is a function of; nil where it
// is 0.
func slopeOfGrad(op ops.Unary, v *Tensor) *Tensor {
	within := func(lo, hi float64, x *Tensor) *Tensor {
		return x.MaskedFill(v.GtScalar(lo).And(v.LtScalar(hi)).Not(), 0)
	}
	p := op.UnaryParams
	switch op.Kind {
	// Of the result:
	case backend.Sqrt:
		return v.Square().RDivScalar(-0.5)
	case backend.Rsqrt:
		return v.Square().MulScalar(-1.5)
	case backend.Reciprocal:
		return v.MulScalar(-2)
	case backend.Exp, backend.Expm1:
		return OnesLike(v)
	case backend.Tan:
		return v.MulScalar(2)
	case backend.Tanh:
		return v.MulScalar(-2)
	case backend.Sigmoid:
		return v.MulScalar(-2).AddScalar(1)
	case backend.LogSigmoid:
		return v.Exp().Neg()
	// Of the operand:
	case backend.Square:
		return FullLike(v, 2)
	case backend.Log:
		return v.Square().RDivScalar(-1)
	case backend.Log1p:
		return v.AddScalar(1).Square().RDivScalar(-1)
	case backend.Log2:
		return v.Square().RDivScalar(-1 / math.Ln2)
	case backend.Log10:
		return v.Square().RDivScalar(-1 / math.Ln10)
	case backend.Sin:
		return v.Sin().Neg()
	case backend.Cos:
		return v.Cos().Neg()
	case backend.Asin:
		return v.Mul(v.Square().RSubScalar(1).PowScalar(-1.5))
	case backend.Acos:
		return v.Mul(v.Square().RSubScalar(1).PowScalar(-1.5)).Neg()
	case backend.Atan:
		return v.MulScalar(-2).Div(v.Square().AddScalar(1).Square())
	case backend.Sinh:
		return v.Sinh()
	case backend.Cosh:
		return v.Cosh()
	case backend.Erf:
		return v.Square().Neg().Exp().Mul(v).MulScalar(-4 / math.SqrtPi)
	case backend.GELU: // φ(x)·(2 - x²)
		square := v.Square()
		return square.MulScalar(-0.5).Exp().Mul(square.RSubScalar(2)).MulScalar(1 / math.Sqrt(2*math.Pi))
	case backend.GELUTanh: // x·(1 + t)/2 with t = tanh u, twice
		const k, c = 0.7978845608028654, 0.044715 // √(2/π), and the factor of x³
		square := v.Square()
		t := square.MulScalar(c).AddScalar(1).Mul(v).MulScalar(k).Tanh()
		du := square.MulScalar(3 * c).AddScalar(1).MulScalar(k)
		dt := t.Square().RSubScalar(1).Mul(du)
		ddt := t.Square().RSubScalar(1).Mul(v.MulScalar(6 * k * c)).Sub(t.Mul(dt).Mul(du).MulScalar(2))
		return dt.Add(v.Mul(ddt).MulScalar(0.5))
	case backend.SiLU: // σ·(1-σ)·(2 + x·(1-2σ))
		s := v.Sigmoid()
		return s.Mul(s.RSubScalar(1)).Mul(s.MulScalar(-2).AddScalar(1).Mul(v).AddScalar(2))
	case backend.ELU:
		return v.Exp().MulScalar(p.P0).MaskedFill(v.GeScalar(0), 0)
	case backend.Hardswish:
		return within(-3, 3, FullLike(v, 1.0/3))
	case backend.Softplus:
		s := v.MulScalar(p.P0).Sigmoid()
		return s.Mul(s.RSubScalar(1)).MulScalar(p.P0).MaskedFill(v.MulScalar(p.P0).GtScalar(p.P1), 0)
	}
	return nil
}

// question computes an elementwise function whose result is Bool.
func (x *Tensor) question(name string, op backend.UnaryOp) *Tensor {
	out, rows := result(name, Bool, x.Shape(), x), x.dense()
	x.be().Unary(out.array(), rows.array(), op, backend.UnaryParams{})
	x.releaseCopy(rows)
	if !tracked(name, out, x) {
		return out
	}
	return autograd.RecordNothing(ops.Unary{Kind: op}, out, x)
}

// wantNumber panics if x is Bool.
func (x *Tensor) wantNumber(op string) {
	if x.DType() == Bool {
		fail(op, "the operand is bool, want a number; ToDType converts, and Not, And, Or, Xor, Eq and Ne take bool")
	}
}

// wantRepresentable panics unless a tensor of x's type can hold s exactly enough:
// integers take whole numbers within their range.
func (x *Tensor) wantRepresentable(op string, s float64) {
	lo, hi := 0.0, 1.0
	switch x.DType() {
	case Int64:
		lo, hi = math.MinInt64, math.Nextafter(math.MaxInt64, 0)
	case Uint8:
		hi = math.MaxUint8
	case Bool:
	default:
		return
	}
	if s != math.Trunc(s) || s < lo || s > hi || isNaN(s) {
		fail(op, "the number %v does not fit a tensor of %s, want a whole number from %v to %v; ToDType converts the tensor", s, x.DType(), lo, hi)
	}
}

// Neg returns -x. (torch.neg)
func (x *Tensor) Neg() *Tensor { return x.unaryNumber("Neg", backend.Neg, backend.UnaryParams{}) }

// Abs returns |x|; its gradient at 0 is 0. (torch.abs)
func (x *Tensor) Abs() *Tensor { return x.unaryNumber("Abs", backend.Abs, backend.UnaryParams{}) }

// Sign returns -1, 0 or 1 (0 for NaN), and Bool as it is; its gradient is 0.
// (torch.sign)
func (x *Tensor) Sign() *Tensor {
	if x.DType() == Bool {
		return x.Clone()
	}
	return x.unaryNumber("Sign", backend.Sign, backend.UnaryParams{})
}

// Square returns x², of Bool as Int64. (torch.square)
func (x *Tensor) Square() *Tensor {
	if x.DType() == Bool {
		x = x.ToDType(Int64)
	}
	return x.unaryNumber("Square", backend.Square, backend.UnaryParams{})
}

// Sqrt returns √x. Of whole numbers and Bool it is Float32, as Rsqrt, Reciprocal, the
// exponential, logarithmic and trigonometric functions, Erf and Sigmoid are.
// (torch.sqrt)
func (x *Tensor) Sqrt() *Tensor { return x.unaryFractional("Sqrt", backend.Sqrt) }

// Rsqrt returns 1/√x. (torch.rsqrt)
func (x *Tensor) Rsqrt() *Tensor { return x.unaryFractional("Rsqrt", backend.Rsqrt) }

// Reciprocal returns 1/x. (torch.reciprocal)
func (x *Tensor) Reciprocal() *Tensor {
	return x.unaryFractional("Reciprocal", backend.Reciprocal)
}

// Exp returns e to the power x. (torch.exp)
func (x *Tensor) Exp() *Tensor { return x.unaryFractional("Exp", backend.Exp) }

// Expm1 returns e to the power x, less 1, exactly near 0 too. (torch.expm1)
func (x *Tensor) Expm1() *Tensor { return x.unaryFractional("Expm1", backend.Expm1) }

// Log returns the natural logarithm. (torch.log)
func (x *Tensor) Log() *Tensor { return x.unaryFractional("Log", backend.Log) }

// Log1p returns the natural logarithm of 1+x, exactly near 0 too. (torch.log1p)
func (x *Tensor) Log1p() *Tensor { return x.unaryFractional("Log1p", backend.Log1p) }

// Log2 returns the logarithm to base 2. (torch.log2)
func (x *Tensor) Log2() *Tensor { return x.unaryFractional("Log2", backend.Log2) }

// Log10 returns the logarithm to base 10. (torch.log10)
func (x *Tensor) Log10() *Tensor { return x.unaryFractional("Log10", backend.Log10) }

// Sin returns the sine of x in radians. (torch.sin)
func (x *Tensor) Sin() *Tensor { return x.unaryFractional("Sin", backend.Sin) }

// Cos returns the cosine of x in radians. (torch.cos)
func (x *Tensor) Cos() *Tensor { return x.unaryFractional("Cos", backend.Cos) }

// Tan returns the tangent of x in radians. (torch.tan)
func (x *Tensor) Tan() *Tensor { return x.unaryFractional("Tan", backend.Tan) }

// Asin returns the arcsine in radians. (torch.asin)
func (x *Tensor) Asin() *Tensor { return x.unaryFractional("Asin", backend.Asin) }

// Acos returns the arccosine in radians. (torch.acos)
func (x *Tensor) Acos() *Tensor { return x.unaryFractional("Acos", backend.Acos) }

// Atan returns the arctangent in radians. (torch.atan)
func (x *Tensor) Atan() *Tensor { return x.unaryFractional("Atan", backend.Atan) }

// Sinh returns the hyperbolic sine. (torch.sinh)
func (x *Tensor) Sinh() *Tensor { return x.unaryFractional("Sinh", backend.Sinh) }

// Cosh returns the hyperbolic cosine. (torch.cosh)
func (x *Tensor) Cosh() *Tensor { return x.unaryFractional("Cosh", backend.Cosh) }

// Tanh returns the hyperbolic tangent. (torch.tanh)
func (x *Tensor) Tanh() *Tensor { return x.unaryFractional("Tanh", backend.Tanh) }

// Erf returns the error function. (torch.erf)
func (x *Tensor) Erf() *Tensor { return x.unaryFractional("Erf", backend.Erf) }

// Sigmoid returns 1/(1+exp(-x)). (torch.sigmoid)
func (x *Tensor) Sigmoid() *Tensor { return x.unaryFractional("Sigmoid", backend.Sigmoid) }

// LogSigmoid returns the logarithm of Sigmoid, also where that is 0 or 1 in
// floating point. (torch.nn.functional.logsigmoid)
func (x *Tensor) LogSigmoid() *Tensor {
	return x.unary("LogSigmoid", backend.LogSigmoid, backend.UnaryParams{})
}

// Floor rounds down; its gradient is 0. (torch.floor)
func (x *Tensor) Floor() *Tensor {
	return x.unaryNumber("Floor", backend.Floor, backend.UnaryParams{})
}

// Ceil rounds up; its gradient is 0. (torch.ceil)
func (x *Tensor) Ceil() *Tensor { return x.unaryNumber("Ceil", backend.Ceil, backend.UnaryParams{}) }

// Round rounds to the nearest whole number, halves to the even one; its gradient
// is 0. (torch.round)
func (x *Tensor) Round() *Tensor {
	return x.unaryNumber("Round", backend.Round, backend.UnaryParams{})
}

// Trunc rounds towards 0; its gradient is 0. (torch.trunc)
func (x *Tensor) Trunc() *Tensor {
	return x.unaryNumber("Trunc", backend.Trunc, backend.UnaryParams{})
}

// Clamp limits x to [lo, hi]; where lo is greater than hi the result is hi. The
// gradient passes between the bounds and, as in PyTorch 2.15, not at them. Whole
// numbers beside a fraction become Float32. (torch.clamp)
func (x *Tensor) Clamp(lo, hi float64) *Tensor { return x.clamp("Clamp", lo, hi) }

// ClampMin limits x to lo and more. (torch.clamp_min)
func (x *Tensor) ClampMin(lo float64) *Tensor { return x.clamp("ClampMin", lo, math.Inf(1)) }

// ClampMax limits x to hi and less. (torch.clamp_max)
func (x *Tensor) ClampMax(hi float64) *Tensor { return x.clamp("ClampMax", math.Inf(-1), hi) }

func (x *Tensor) clamp(name string, lo, hi float64) *Tensor {
	x, p := x.bounds(lo, hi)
	return x.unaryNumber(name, backend.Clamp, p)
}

// bounds returns x and two bounds, of which infinite ones are none, in a type that
// holds both.
func (x *Tensor) bounds(lo, hi float64) (*Tensor, backend.UnaryParams) {
	t := x.DType()
	if t.IsFloat() {
		return x, backend.UnaryParams{P0: t.Round(lo), P1: t.Round(hi)}
	}
	for _, b := range []float64{lo, hi} {
		if !math.IsInf(b, 0) && !isInt(b) {
			return x.ToDType(Float32), backend.UnaryParams{P0: lo, P1: hi}
		}
	}
	if t == Bool {
		x = x.ToDType(Int64)
	}
	return x, backend.UnaryParams{P0: lo, P1: hi}
}

// ClampInPlace limits x to [lo, hi] in place; an infinite bound is none. It is
// not recorded. It returns x.
func (x *Tensor) ClampInPlace(lo, hi float64) *Tensor {
	const name = "ClampInPlace"
	x.wantWritable(name)
	operand, p := x.bare().bounds(lo, hi)
	x.wantHolds(name, operand.DType())
	x.rewrite(func(x *Tensor) { x.be().Unary(x.array(), x.array(), backend.Clamp, p) })
	x.changedBy(name, lo, hi, nil)
	return x
}

// ClampTensor limits each element of x to its own bounds, with broadcasting: lo and
// hi or one of them, the other nil. Where lo is greater than hi the result is hi; NaN
// wins. Where x equals a bound the two share the gradient. (torch.clamp with tensors
// for min and max)
func (x *Tensor) ClampTensor(lo, hi *Tensor) *Tensor {
	const name = "ClampTensor"
	switch {
	case lo == nil && hi == nil:
		fail(name, "both bounds are nil, want one at least")
	case hi == nil:
		return x.choice(name, backend.Maximum, lo, (*Tensor).Lt)
	case lo == nil:
		return x.choice(name, backend.Minimum, hi, (*Tensor).Gt)
	}
	promote(&x, &lo, &hi)
	x.wantNumber(name)
	limited := binary(name, backend.Maximum, x, lo)
	out := binary(name, backend.Minimum, limited, hi)
	limited.release()
	if !tracked(name, out, x, lo, hi) {
		return out
	}
	xs, los, his := x.saved(), lo.saved(), hi.saved()
	// share is half of g where x is at a bound that it did not meet from outside.
	share := func(g, los, his, at *Tensor) *Tensor { return Where(at.And(los.Lt(his)), g.MulScalar(0.5), g) }
	saved := []*Tensor{x, lo, hi}
	return record(ops.ClampTensor{}, out,
		partial{x, func(g *Tensor) *Tensor {
			xs, los, his := with(g, xs), with(g, los), with(g, his)
			return share(g, los, his, xs.Eq(los).Or(xs.Eq(his))).MaskedFill(xs.Lt(los).Or(xs.Gt(his)), 0)
		}, saved, false},
		partial{lo, func(g *Tensor) *Tensor {
			xs, los, his := with(g, xs), with(g, los), with(g, his)
			takes := xs.Lt(los).And(los.Le(his)).Or(xs.Eq(los).And(los.Lt(his)))
			return share(g, los, his, xs.Eq(los)).MaskedFill(takes.Not(), 0)
		}, saved, false},
		partial{hi, func(g *Tensor) *Tensor {
			xs, los, his := with(g, xs), with(g, los), with(g, his)
			takes := xs.Gt(his).And(los.Le(his)).Or(xs.Eq(his).And(los.Lt(his))).Or(his.Lt(los))
			return share(g, los, his, xs.Eq(his)).MaskedFill(takes.Not(), 0)
		}, saved, false})
}

// ReLU returns max(x, 0). (torch.relu)
func (x *Tensor) ReLU() *Tensor { return x.unaryNumber("ReLU", backend.ReLU, backend.UnaryParams{}) }

// ReLUInPlace replaces x by max(x, 0) without new memory and returns x. Unlike
// other in-place operations it is recorded, as PyTorch's relu_ is: x stands for
// the new value from now on. Backward panics if the operation that made x needs
// the old value.
func (x *Tensor) ReLUInPlace() *Tensor {
	const name = "ReLUInPlace"
	x.wantFloat(name)
	x.check(name)
	autograd.CheckInPlace(name, x)
	x.wantApartElements(name)
	x.rewrite(func(x *Tensor) { x.be().Unary(x.array(), x.array(), backend.ReLU, backend.UnaryParams{}) })
	x.wrote()
	y := x.bare()
	autograd.RecordInPlace(ops.ReLUInPlace{}, x, func(g *Tensor) []*Tensor {
		return []*Tensor{unaryGrad(ops.Unary{Kind: backend.ReLU}, g, y)}
	}, y)
	tape.Saved(y, x)
	return x
}

// LeakyReLU returns x where it is positive and slope·x elsewhere; PyTorch's
// default slope is 0.01. (torch.nn.functional.leaky_relu)
func (x *Tensor) LeakyReLU(slope float64) *Tensor {
	return x.unary("LeakyReLU", backend.LeakyReLU, backend.UnaryParams{P0: slope})
}

// GELU returns x·Φ(x), with the normal distribution function Φ. (Hendrycks and
// Gimpel, "Gaussian Error Linear Units", 2016; torch.nn.functional.gelu)
func (x *Tensor) GELU() *Tensor { return x.unary("GELU", backend.GELU, backend.UnaryParams{}) }

// GELUTanh returns GELU's approximation by tanh.
// (torch.nn.functional.gelu with approximate="tanh")
func (x *Tensor) GELUTanh() *Tensor {
	return x.unary("GELUTanh", backend.GELUTanh, backend.UnaryParams{})
}

// SiLU returns x·Sigmoid(x). (torch.nn.functional.silu)
func (x *Tensor) SiLU() *Tensor { return x.unary("SiLU", backend.SiLU, backend.UnaryParams{}) }

// ELU returns x where it is positive and alpha·(exp(x)-1) elsewhere; PyTorch's
// default alpha is 1. (torch.nn.functional.elu)
func (x *Tensor) ELU(alpha float64) *Tensor {
	return x.unary("ELU", backend.ELU, backend.UnaryParams{P0: alpha})
}

// Hardswish returns x·Hardsigmoid(x). (torch.nn.functional.hardswish)
func (x *Tensor) Hardswish() *Tensor {
	return x.unary("Hardswish", backend.Hardswish, backend.UnaryParams{})
}

// Hardsigmoid returns (x+3)/6, limited to [0, 1].
// (torch.nn.functional.hardsigmoid)
func (x *Tensor) Hardsigmoid() *Tensor {
	return x.unary("Hardsigmoid", backend.Hardsigmoid, backend.UnaryParams{})
}

// Softplus returns log(1+exp(beta·x))/beta, and x itself where beta·x is greater
// than threshold; PyTorch's defaults are 1 and 20.
// (torch.nn.functional.softplus)
func (x *Tensor) Softplus(beta, threshold float64) *Tensor {
	if beta == 0 {
		fail("Softplus", "beta is 0, want another number, 1 by default in PyTorch")
	}
	return x.unary("Softplus", backend.Softplus, backend.UnaryParams{P0: beta, P1: threshold})
}

// IsNaN reports for each element whether it is not a number. (torch.isnan)
func (x *Tensor) IsNaN() *Tensor { return x.question("IsNaN", backend.IsNaN) }

// IsInf reports for each element whether it is infinite. (torch.isinf)
func (x *Tensor) IsInf() *Tensor { return x.question("IsInf", backend.IsInf) }

// IsFinite reports for each element whether it is neither infinite nor NaN.
// (torch.isfinite)
func (x *Tensor) IsFinite() *Tensor { return x.question("IsFinite", backend.IsFinite) }

// Not reports for each element whether it is 0 (false). (torch.logical_not)
func (x *Tensor) Not() *Tensor { return x.question("Not", backend.Not) }
