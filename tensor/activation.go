package tensor

import (
	"math"

	"github.com/wick-ml/wick/internal/expr"
)

var tanhshrink = newFormula("Tanhshrink", "tanhshrink", func(x expr.Value, _, _ float64) expr.Value { return x.Sub(x.Tanh()) })

// Tanhshrink returns x - tanh(x). (torch.nn.functional.tanhshrink)
func (x *Tensor) Tanhshrink() *Tensor { return tanhshrink.of(x, 0, 0) }

var softsign = newFormula("Softsign", "softsign", func(x expr.Value, _, _ float64) expr.Value { return x.Div(x.Abs().AddScalar(1)) })

// Softsign returns x/(1+|x|). (torch.nn.functional.softsign)
func (x *Tensor) Softsign() *Tensor { return softsign.of(x, 0, 0) }

var mish = newFormula("Mish", "mish", func(x expr.Value, _, _ float64) expr.Value {
	// tanh(log(1+eˣ)) is n/(n+2) with n = eˣ·(eˣ+2). Where x > 0 both are multiplied by e⁻²ˣ, so that nothing overflows.
	positive := x.Gt(x.Number(0))
	e := positive.Where(x.Neg(), x).Exp()
	one, two := x.Number(1), x.Number(2)
	n := positive.Where(e.Mul(two).Add(one), e.Add(two).Mul(e))
	return x.Mul(n.Div(n.Add(positive.Where(e.Mul(e).Mul(two), two))))
})

// Mish returns x·tanh(log(1+exp(x))). (Misra, 2019; torch.nn.functional.mish)
func (x *Tensor) Mish() *Tensor { return mish.of(x, 0, 0) }

// exponential is positive·x where x > 0, and negative·(exp(x/width)-1) elsewhere.
func exponential(x expr.Value, positive, negative, width float64) expr.Value {
	zero := x.Number(0)
	below := zero.Ge(x)
	low := below.Where(x, zero).DivScalar(width).Expm1().MulScalar(negative)
	return below.Where(low, x.MulScalar(positive))
}

var selu = newFormula("SELU", "selu", func(x expr.Value, _, _ float64) expr.Value {
	const alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
	return exponential(x, scale, scale*alpha, 1)
})

// SELU returns 1.0507·x where x > 0 and 1.7581·(exp(x)-1) elsewhere: what keeps mean 0
// and variance 1 from layer to layer. (Klambauer et al., 2017; torch.nn.functional.selu)
func (x *Tensor) SELU() *Tensor { return selu.of(x, 0, 0) }

var celu = newFormula("CELU", "celu", func(x expr.Value, alpha, _ float64) expr.Value { return exponential(x, 1, alpha, alpha) })

// CELU returns x where x > 0 and alpha·(exp(x/alpha)-1) elsewhere; alpha, 1 in PyTorch,
// is not 0. (Barron, 2017; torch.nn.functional.celu)
func (x *Tensor) CELU(alpha float64) *Tensor {
	if alpha == 0 || math.IsNaN(alpha) {
		fail("CELU", "alpha is %v, want a number that is not 0", alpha)
	}
	return celu.of(x, alpha, 0)
}

// between limits x to [lo, hi]. The gradient passes between the bounds.
func between(x expr.Value, lo, hi float64) expr.Value {
	least, most := x.Number(lo), x.Number(hi)
	return x.Ge(most).Where(most, least.Ge(x).Where(least, x))
}

var hardtanh = newFormula("Hardtanh", "hardtanh", between)

// Hardtanh limits x to [lo, hi], -1 and 1 in PyTorch. The gradient passes between the
// bounds and not at them. (torch.nn.functional.hardtanh)
func (x *Tensor) Hardtanh(lo, hi float64) *Tensor {
	if !(lo <= hi) {
		fail("Hardtanh", "the bounds are %v and %v, want the smaller one first", lo, hi)
	}
	return hardtanh.of(x, lo, hi)
}

var relu6 = newFormula("ReLU6", "relu6", func(x expr.Value, _, _ float64) expr.Value { return between(x, 0, 6) })

// ReLU6 returns min(max(x, 0), 6). (torch.nn.functional.relu6)
func (x *Tensor) ReLU6() *Tensor { return relu6.of(x, 0, 0) }

// within is 1 where |x| is at most lambda, else 0.
func within(x expr.Value, lambda float64) expr.Value {
	return x.Ge(x.Number(-lambda)).Mul(x.Number(lambda).Ge(x))
}

var softshrink = newFormula("Softshrink", "softshrink", func(x expr.Value, lambda, _ float64) expr.Value {
	by := x.Number(lambda)
	return within(x, lambda).Where(x.Number(0), x.Gt(by).Where(x.Sub(by), x.Add(by)))
})

// Softshrink moves x by lambda, 0.5 in PyTorch, towards 0, and is 0 between -lambda and
// lambda. (torch.nn.functional.softshrink)
func (x *Tensor) Softshrink(lambda float64) *Tensor {
	if !(lambda >= 0) {
		fail("Softshrink", "lambda is %v, want 0 or more", lambda)
	}
	return softshrink.of(x, lambda, 0)
}

var hardshrink = newFormula("Hardshrink", "hardshrink", func(x expr.Value, lambda, _ float64) expr.Value {
	return within(x, lambda).Where(x.Number(0), x)
})

// Hardshrink returns x, and 0 between -lambda and lambda, 0.5 in PyTorch.
// (torch.nn.functional.hardshrink)
func (x *Tensor) Hardshrink(lambda float64) *Tensor { return hardshrink.of(x, lambda, 0) }

var threshold = newFormula("Threshold", "threshold", func(x expr.Value, threshold, value float64) expr.Value {
	return x.Number(threshold).Ge(x).Where(x.Number(value), x)
})

// Threshold returns x where it is above threshold, and value elsewhere.
// (torch.nn.functional.threshold)
func (x *Tensor) Threshold(t, value float64) *Tensor { return threshold.of(x, t, value) }
