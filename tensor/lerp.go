package tensor

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Lerp returns x + weight·(end-x), the way from x to end, with broadcasting, of
// floating-point tensors. Weight 1 gives end exactly. (torch.lerp)
func (x *Tensor) Lerp(end *Tensor, weight float64) *Tensor {
	const name = "Lerp"
	promote(&x, &end)
	x.wantFloat(name)
	if t := x.DType(); t.IsHalf() { // rounded once
		return x.ToDType(Float32).Lerp(end.ToDType(Float32), weight).ToDType(t)
	}
	out := lerp(name, x, end, weight)
	if !tracked(name, out, x, end) {
		return out
	}
	return record(ops.Lerp{Weight: weight}, out,
		partial{of: x, grad: func(g *Tensor) *Tensor { return g.MulScalar(1 - weight) }},
		partial{of: end, grad: func(g *Tensor) *Tensor { return g.MulScalar(weight) }})
}

// lerp starts from the nearer side, so that weight 1 gives end exactly.
func lerp(name string, x, end *Tensor, weight float64) *Tensor {
	way := binary(name, backend.Sub, end, x)
	defer way.release()
	if math.Abs(weight) < 0.5 {
		return binary(name, backend.Add, x, way.MulScalarInPlace(weight))
	}
	return binary(name, backend.Sub, end, way.MulScalarInPlace(1-weight))
}

// LerpTensor returns x + weight·(end-x), the way from x to end, with broadcasting, of
// floating-point tensors. (torch.lerp with a tensor for the weight)
func (x *Tensor) LerpTensor(end, weight *Tensor) *Tensor {
	const name = "LerpTensor"
	promote(&x, &end, &weight)
	x.wantFloat(name)
	if t := x.DType(); t.IsHalf() {
		return x.ToDType(Float32).LerpTensor(end.ToDType(Float32), weight.ToDType(Float32)).ToDType(t)
	}
	xs, ends, w := x.bare(), end.bare(), weight.bare()
	way := ends.Sub(xs)
	defer way.release()
	out := Where(w.Abs().LtScalar(0.5), xs.Add(way.Mul(w)), ends.Sub(way.Mul(w.RSubScalar(1))))
	if !tracked(name, out, x, end, weight) {
		return out
	}
	xs, ends, w = x.saved(), end.saved(), weight.saved()
	return record(ops.LerpTensor{}, out,
		partial{x, func(g *Tensor) *Tensor { return g.Mul(with(g, w).RSubScalar(1)) }, []*Tensor{weight}, false},
		partial{end, func(g *Tensor) *Tensor { return g.Mul(w) }, []*Tensor{weight}, false},
		partial{weight, func(g *Tensor) *Tensor { return g.Mul(with(g, ends).Sub(with(g, xs))) }, []*Tensor{x, end}, false})
}

// LerpInPlace moves x towards end (broadcast to x): x + weight·(end-x). It is not
// recorded. It returns x. (torch.Tensor.lerp_)
func (x *Tensor) LerpInPlace(end *Tensor, weight float64) *Tensor {
	const name = "LerpInPlace"
	x.wantWritable(name)
	x.wantFloat(name)
	end.wantFloat(name)
	if !broadcast(name, x.Shape(), end.Shape()).Equal(x.shape) {
		fail(name, "the operand %v does not broadcast to the destination %v", end.shape, x.shape)
	}
	to, from := x.bare(), x.bare()
	if x.DType().IsHalf() {
		from = from.ToDType(Float32)
	}
	target := end.bare().ToDType(from.DType())
	if math.Abs(weight) < 0.5 && !x.DType().IsHalf() {
		way := binary(name, backend.Sub, target, to)
		defer way.release()
		to.inPlace(name, backend.Add, way.MulScalarInPlace(weight))
	} else {
		target = lerp(name, from, target, weight)
		defer target.release()
		to.CopyFrom(target)
	}
	x.changedBy(name, weight, 0, end)
	return x
}
