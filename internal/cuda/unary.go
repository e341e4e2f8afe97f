//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

// Unary computes dst = op(x).
func (be *Backend) Unary(dst, x backend.Array, op backend.UnaryOp, u backend.UnaryParams) {
	var p params
	done := be.elementwise(&p, dst, x)
	defer done()
	t := x.DType()
	switch {
	case op == backend.IsNaN, op == backend.IsInf, op == backend.IsFinite, op == backend.Not:
		param(&p, int64(op))
		be.each("is_"+suffix(t), x.Len, &p)
	case op == backend.ReLU && t.IsFloat():
		be.each("relu_"+suffix(t), x.Len, &p)
	case t.IsFloat():
		param(&p, int64(op))
		param(&p, u.P0)
		param(&p, u.P1)
		be.each("unary_"+suffix(t), x.Len, &p)
	default:
		most := int64(math.MaxUint8)
		least := int64(0)
		if t == backend.Int64 {
			most, least = math.MaxInt64, math.MinInt64
		}
		param(&p, int64(op))
		param(&p, bound(u.P0, least, most))
		param(&p, bound(u.P1, least, most))
		be.each("unary_"+suffix(t), x.Len, &p)
	}
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
	usesX, usesY := op.GradUses()
	var from backend.Array // each operation's gradient needs x or y or neither, never both
	switch {
	case usesX:
		from = x
	case usesY:
		from = y
	}
	if be.alike(func() { be.UnaryGrad(dx, dy, from, from, op, u) }, writes(&dx), reads(&dy), reads(&from)) {
		return
	}
	var p params
	done := be.elementwise(&p, dx, dy, from)
	defer done()
	if op == backend.ReLU {
		be.each("relu_grad_"+suffix(dx.DType()), dx.Len, &p)
		return
	}
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
	be.each("unary_grad_"+suffix(dx.DType()), dx.Len, &p)
}
