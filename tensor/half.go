package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
)

// BFloat16 and Float16 are types of storage. The backend's methods compute in
// Float32 and round what they write; an operation that is made of several would
// round, and overflow, in its middle. So it computes all of them in Float32, on
// operands that wide gives it and with sums from reduceTo, and recordWide rounds
// what it stores, its result and its gradients, once.

// wideType returns the type that an operation on elements of type t computes in.
func wideType(t DType) DType {
	if t.IsHalf() {
		return Float32
	}
	return t
}

// wide returns x, without history and marks, in the type that operations compute
// in: x's own memory unless it has half precision. nil stays nil. In a gradient,
// owners is the gradient that came in, as in apply.
func (x *Tensor) wide(owners ...*Tensor) *Tensor {
	if x == nil {
		return nil
	}
	return x.bare().cast(wideType(x.DType()), owners...)
}

// releaseCopy gives back what wide made of x, if that is a copy.
func (x *Tensor) releaseCopy(wide *Tensor) {
	if x.storage != wide.storage {
		wide.release()
	}
}

// rounded returns x, the result of an operation on elements of type t, in that type. It
// releases what it was before, but for what is saved.
func (x *Tensor) rounded(t DType, saved ...*Tensor) *Tensor {
	y := x.cast(t)
	if y != x && !slices.ContainsFunc(saved, func(s *Tensor) bool { return s != nil && s.storage == x.storage }) {
		x.release()
	}
	return y
}

// recordWide is autograd.Record for an operation on elements of type t. If that
// has half precision, out, which may be Float32, is rounded to t, backward gets its
// gradient in Float32, and may return gradients in Float32. backward reads no more
// of out than saved has.
func recordWide(op autograd.Op, t DType, out *Tensor, inputs []*Tensor, backward func(g *Tensor) []*Tensor, saved ...*Tensor) *Tensor {
	if !t.IsHalf() {
		return autograd.Record(op, out, inputs, backward, saved...)
	}
	types := make([]DType, len(inputs))
	for i, x := range inputs {
		if x != nil {
			types[i] = x.DType()
		}
	}
	return autograd.Record(op, out.rounded(t, saved...), inputs, func(g *Tensor) []*Tensor {
		grads := backward(g.ToDType(Float32))
		for i, dx := range grads {
			if dx != nil {
				grads[i] = dx.ToDType(types[i])
			}
		}
		return grads
	}, saved...)
}
