package tensor

import (
	"math"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// unary computes an elementwise function of a floating-point tensor, with its
// gradient.
func (x *Tensor) unary(name string, op backend.UnaryOp, p backend.UnaryParams) *Tensor {
	x.wantFloat(name)
	return x.unaryNumber(name, op, p)
}

// unaryNumber is unary for the functions that integer tensors have too.
func (x *Tensor) unaryNumber(name string, op backend.UnaryOp, p backend.UnaryParams) *Tensor {
	x.wantNumber(name)
	out := like(name, x)
	x.be().Unary(out.array(), x.array(), op, p)
	var savedX, savedY *Tensor
	usesX, usesY := op.GradUses()
	if usesX {
		savedX = x.bare()
	}
	if usesY {
		savedY = out.bare()
	}
	return autograd.Record(name, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		dx := like(name, g, savedX, savedY)
		g.be().UnaryGrad(dx.array(), g.array(), savedX.array(), savedY.array(), op, p)
		return []*Tensor{dx}
	}, savedX, savedY)
}

// question computes an elementwise function whose result is Bool.
func (x *Tensor) question(name string, op backend.UnaryOp) *Tensor {
	out := result(name, Bool, x.Shape(), x)
	x.be().Unary(out.array(), x.array(), op, backend.UnaryParams{})
	return autograd.RecordNothing(name, out, x)
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

// Sign returns -1, 0 or 1 (0 for NaN); its gradient is 0. (torch.sign)
func (x *Tensor) Sign() *Tensor { return x.unaryNumber("Sign", backend.Sign, backend.UnaryParams{}) }

// Square returns x². (torch.square)
func (x *Tensor) Square() *Tensor {
	return x.unaryNumber("Square", backend.Square, backend.UnaryParams{})
}

// Sqrt returns √x. (torch.sqrt)
func (x *Tensor) Sqrt() *Tensor { return x.unary("Sqrt", backend.Sqrt, backend.UnaryParams{}) }

// Rsqrt returns 1/√x. (torch.rsqrt)
func (x *Tensor) Rsqrt() *Tensor { return x.unary("Rsqrt", backend.Rsqrt, backend.UnaryParams{}) }

// Reciprocal returns 1/x. (torch.reciprocal)
func (x *Tensor) Reciprocal() *Tensor {
	return x.unary("Reciprocal", backend.Reciprocal, backend.UnaryParams{})
}

// Exp returns e to the power x. (torch.exp)
func (x *Tensor) Exp() *Tensor { return x.unary("Exp", backend.Exp, backend.UnaryParams{}) }

// Expm1 returns e to the power x, less 1, exactly near 0 too. (torch.expm1)
func (x *Tensor) Expm1() *Tensor { return x.unary("Expm1", backend.Expm1, backend.UnaryParams{}) }

// Log returns the natural logarithm. (torch.log)
func (x *Tensor) Log() *Tensor { return x.unary("Log", backend.Log, backend.UnaryParams{}) }

// Log1p returns the natural logarithm of 1+x, exactly near 0 too. (torch.log1p)
func (x *Tensor) Log1p() *Tensor { return x.unary("Log1p", backend.Log1p, backend.UnaryParams{}) }

// Log2 returns the logarithm to base 2. (torch.log2)
func (x *Tensor) Log2() *Tensor { return x.unary("Log2", backend.Log2, backend.UnaryParams{}) }

// Log10 returns the logarithm to base 10. (torch.log10)
func (x *Tensor) Log10() *Tensor { return x.unary("Log10", backend.Log10, backend.UnaryParams{}) }

// Sin returns the sine of x in radians. (torch.sin)
func (x *Tensor) Sin() *Tensor { return x.unary("Sin", backend.Sin, backend.UnaryParams{}) }

// Cos returns the cosine of x in radians. (torch.cos)
func (x *Tensor) Cos() *Tensor { return x.unary("Cos", backend.Cos, backend.UnaryParams{}) }

// Tan returns the tangent of x in radians. (torch.tan)
func (x *Tensor) Tan() *Tensor { return x.unary("Tan", backend.Tan, backend.UnaryParams{}) }

// Asin returns the arcsine in radians. (torch.asin)
func (x *Tensor) Asin() *Tensor { return x.unary("Asin", backend.Asin, backend.UnaryParams{}) }

// Acos returns the arccosine in radians. (torch.acos)
func (x *Tensor) Acos() *Tensor { return x.unary("Acos", backend.Acos, backend.UnaryParams{}) }

// Atan returns the arctangent in radians. (torch.atan)
func (x *Tensor) Atan() *Tensor { return x.unary("Atan", backend.Atan, backend.UnaryParams{}) }

// Sinh returns the hyperbolic sine. (torch.sinh)
func (x *Tensor) Sinh() *Tensor { return x.unary("Sinh", backend.Sinh, backend.UnaryParams{}) }

// Cosh returns the hyperbolic cosine. (torch.cosh)
func (x *Tensor) Cosh() *Tensor { return x.unary("Cosh", backend.Cosh, backend.UnaryParams{}) }

// Tanh returns the hyperbolic tangent. (torch.tanh)
func (x *Tensor) Tanh() *Tensor { return x.unary("Tanh", backend.Tanh, backend.UnaryParams{}) }

// Erf returns the error function. (torch.erf)
func (x *Tensor) Erf() *Tensor { return x.unary("Erf", backend.Erf, backend.UnaryParams{}) }

// Sigmoid returns 1/(1+exp(-x)). (torch.sigmoid)
func (x *Tensor) Sigmoid() *Tensor { return x.unary("Sigmoid", backend.Sigmoid, backend.UnaryParams{}) }

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
// gradient passes between the bounds and, as in PyTorch 2.15, not at them.
// (torch.clamp)
func (x *Tensor) Clamp(lo, hi float64) *Tensor { return x.clamp("Clamp", lo, hi) }

// ClampMin limits x to lo and more. (torch.clamp_min)
func (x *Tensor) ClampMin(lo float64) *Tensor { return x.clamp("ClampMin", lo, math.Inf(1)) }

// ClampMax limits x to hi and less. (torch.clamp_max)
func (x *Tensor) ClampMax(hi float64) *Tensor { return x.clamp("ClampMax", math.Inf(-1), hi) }

func (x *Tensor) clamp(name string, lo, hi float64) *Tensor {
	x.wantBounds(name, lo, hi)
	return x.unaryNumber(name, backend.Clamp, backend.UnaryParams{P0: lo, P1: hi})
}

func (x *Tensor) wantBounds(name string, lo, hi float64) {
	for _, b := range []float64{lo, hi} {
		if !math.IsInf(b, 0) {
			x.wantRepresentable(name, b)
		}
	}
}

// ClampInPlace limits x to [lo, hi] in place; an infinite bound is none. It is
// not recorded. It returns x.
func (x *Tensor) ClampInPlace(lo, hi float64) *Tensor {
	const name = "ClampInPlace"
	x.wantWritable(name)
	x.wantNumber(name)
	x.wantBounds(name, lo, hi)
	x.be().Unary(x.array(), x.array(), backend.Clamp, backend.UnaryParams{P0: lo, P1: hi})
	x.changed(name, nil)
	return x
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
	x.be().Unary(x.array(), x.array(), backend.ReLU, backend.UnaryParams{})
	x.wrote()
	y := x.bare()
	return autograd.RecordInPlace(name, x, func(g *Tensor) []*Tensor {
		dx := like(name, g, y)
		g.be().UnaryGrad(dx.array(), g.array(), backend.Array{}, y.array(), backend.ReLU, backend.UnaryParams{})
		return []*Tensor{dx}
	}, y)
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
