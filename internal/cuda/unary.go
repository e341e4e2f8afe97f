//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// unaries and unaryGrads are the kernels of functions that have some of their own;
// unary and unaryGrad are of the others.
var (
	unaries = [backend.NumUnaryOps]kernels{backend.ReLU: typed("relu_", floatTypes), backend.LeakyReLU: typed("leaky_relu_", floatTypes), backend.Exp: typed("exp_", floatTypes),
		backend.Tanh: typed("tanh_", floatTypes), backend.Sigmoid: typed("sigmoid_", floatTypes), backend.GELU: typed("gelu_", floatTypes), backend.GELUTanh: typed("gelu_tanh_", floatTypes),
		backend.SiLU: typed("silu_", floatTypes)}
	unaryGrads = [backend.NumUnaryOps]kernels{backend.ReLU: typed("relu_grad_", floatTypes), backend.LeakyReLU: typed("leaky_relu_grad_", floatTypes),
		backend.Tanh: typed("tanh_grad_", floatTypes), backend.Sigmoid: typed("sigmoid_grad_", floatTypes), backend.GELU: typed("gelu_grad_", floatTypes),
		backend.GELUTanh: typed("gelu_tanh_grad_", floatTypes), backend.SiLU: typed("silu_grad_", floatTypes)}
	unary     = typed("unary_", numberTypes)
	unaryGrad = typed("unary_grad_", floatTypes)
	is        = typed("is_", allTypes)
)

// Unary computes dst = op(x).
func (be *Backend) Unary(dst, x backend.Array, op backend.UnaryOp, u backend.UnaryParams) {
	defer keep(dst, x)
	var p params
	done := be.elementwise(&p, dst, x)
	defer done()
	t := x.DType()
	kernel := unary[t]
	param(&p, int64(op))
	switch {
	case op == backend.IsNaN, op == backend.IsInf, op == backend.IsFinite, op == backend.Not:
		kernel = is[t]
	case t.IsFloat():
		if own := unaries[op][t]; own != "" {
			kernel = own
		}
		param(&p, u.P0)
		param(&p, u.P1)
	default:
		most := int64(math.MaxUint8)
		least := int64(0)
		if t == backend.Int64 {
			most, least = math.MaxInt64, math.MinInt64
		}
		param(&p, bound(u.P0, least, most))
		param(&p, bound(u.P1, least, most))
	}
	be.packed(kernel, x.Len, packs(t.Size()), &p)
}

// bound converts a bound of Clamp; what is out of range bounds nothing.
func bound(v float64, least, most int64) int64 {
	switch {
	case v >= float64(most):
		return most
	case v <= float64(least):
		return least
	}
	return int64(v)
}

// UnaryGrad computes dx = dy · op'(x).
func (be *Backend) UnaryGrad(dx, dy, x, y backend.Array, op backend.UnaryOp, u backend.UnaryParams) {
	defer keep(dx, dy, x, y)
	usesX, usesY := op.GradUses()
	var from backend.Array // each operation's gradient needs x or y or neither, never both
	switch {
	case usesX:
		from = x
	case usesY:
		from = y
	}
	if differ(dx, dy, from) {
		be.alike(func() { be.UnaryGrad(dx, dy, from, from, op, u) }, writes(&dx), reads(&dy), reads(&from))
		return
	}
	var p params
	done := be.elementwise(&p, dx, dy, from)
	defer done()
	if op == backend.Clamp { // an infinite bound is none; nothing equals NaN
		if math.IsInf(u.P0, -1) {
			u.P0 = math.NaN()
		}
		if math.IsInf(u.P1, 1) {
			u.P1 = math.NaN()
		}
	}
	param(&p, int64(op))
	param(&p, u.P0)
	param(&p, u.P1)
	t := dx.DType()
	kernel := unaryGrads[op][t]
	if kernel == "" {
		kernel = unaryGrad[t]
	}
	be.packed(kernel, dx.Len, packs(t.Size()), &p)
}
