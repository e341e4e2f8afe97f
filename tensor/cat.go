package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Cat joins tensors along an existing dimension; their other sizes must be
// equal. A vector without elements is left out, whatever the others' shapes.
// Scalars are joined by Stack. (torch.cat)
func Cat(dim int, tensors ...*Tensor) *Tensor { return cat("Cat", dim, tensors) }

func cat(op string, dim int, tensors []*Tensor) *Tensor {
	if len(tensors) == 0 {
		fail(op, "got no tensors, want one or more")
	}
	tensors = slices.Clone(tensors)
	operands := make([]**Tensor, len(tensors))
	for i := range tensors {
		operands[i] = &tensors[i]
	}
	promote(operands...)
	leftOut := func(x *Tensor) bool { return len(x.shape) == 1 && x.shape[0] == 0 }
	at := max(0, slices.IndexFunc(tensors, func(x *Tensor) bool { return !leftOut(x) }))
	first := tensors[at]
	if !leftOut(first) {
		dim = first.ownDim(op, dim)
	} else {
		dim = 0
	}
	shape := slices.Clone(first.shape)
	shape[dim] = 0
	for i, x := range tensors {
		tensors[0].wantDType(op, x)
		if leftOut(x) {
			continue
		}
		if len(x.shape) == 0 {
			fail(op, "tensor %d is a scalar, want one or more dimensions; Stack joins scalars", i)
		}
		ok := len(x.shape) == len(shape)
		for d := range shape {
			ok = ok && (d == dim || x.shape[d] == shape[d])
		}
		if !ok {
			fail(op, "tensor %d is %v, tensor %d %v: only the sizes of dimension %d may differ", i, x.shape, at, first.shape, dim)
		}
		if x.shape[dim] > math.MaxInt-shape[dim] {
			fail(op, "%w: %d tensors like %v have too many elements", ErrOutOfMemory, len(tensors), first.shape)
		}
		shape[dim] += x.shape[dim]
	}
	out := result(op, first.DType(), shape, tensors...)
	strides := out.shape.strides()
	shapes := make([]Shape, len(tensors))
	start := 0
	for i, x := range tensors {
		shapes[i] = x.shape
		if leftOut(x) {
			continue
		}
		if at := start * strides[dim]; x.strides != nil && out.shape[:dim].Len() == 1 { // it has a run of out
			x.copyTo(out.part(x.shape, nil, at))
		} else {
			rows := x.dense()
			x.be().StridedWrite(out.array(), rows.array(), backend.StridedGeom{Shape: x.shape, Strides: strides, Offset: at})
			x.releaseCopy(rows)
		}
		start += x.shape[dim]
	}
	if !tracked(op, out, tensors...) {
		return out
	}
	return autograd.Record(ops.Cat{Method: op, Dim: dim}, out, tensors, func(g *Tensor) []*Tensor {
		grads := make([]*Tensor, len(shapes))
		start := 0
		for i, s := range shapes {
			if len(s) != len(shape) { // left out
				grads[i] = zeroGrad(g, s)
				continue
			}
			grads[i] = g.narrow("Narrow", dim, start, s[dim])
			start += s[dim]
		}
		return grads
	})
}

// Stack joins tensors of one shape along a new dimension. (torch.stack)
func Stack(dim int, tensors ...*Tensor) *Tensor {
	const op = "Stack"
	if len(tensors) == 0 {
		fail(op, "got no tensors, want one or more")
	}
	rows := make([]*Tensor, len(tensors))
	for i, x := range tensors {
		if !x.Shape().Equal(tensors[0].Shape()) {
			fail(op, "tensor %d is %v, the first %v, want one shape", i, x.shape, tensors[0].shape)
		}
		rows[i] = x.unsqueeze(op, dim)
	}
	if dim < 0 {
		dim += len(tensors[0].shape) + 1
	}
	return cat(op, dim, rows)
}
