package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// Cat joins tensors along an existing dimension; their other sizes must be
// equal. (torch.cat)
func Cat(dim int, tensors ...*Tensor) *Tensor {
	const op = "Cat"
	if len(tensors) == 0 {
		fail(op, "got no tensors, want one or more")
	}
	tensors = slices.Clone(tensors)
	operands := make([]**Tensor, len(tensors))
	for i := range tensors {
		operands[i] = &tensors[i]
	}
	promote(operands...)
	first := tensors[0]
	dim = first.ownDim(op, dim)
	shape := slices.Clone(first.shape)
	for i, x := range tensors[1:] {
		first.wantDType(op, x)
		ok := len(x.shape) == len(shape)
		for d := range shape {
			ok = ok && (d == dim || x.shape[d] == shape[d])
		}
		if !ok {
			fail(op, "tensor %d is %v, the first %v: only the sizes of dimension %d may differ", i+1, x.shape, first.shape, dim)
		}
		shape[dim] += x.shape[dim]
	}
	out := result(op, first.DType(), shape, tensors...)
	strides := out.shape.strides()
	sizes := make([]int, len(tensors))
	at := 0
	for i, x := range tensors {
		sizes[i] = x.shape[dim]
		x.be().StridedWrite(out.array(), x.array(), backend.StridedGeom{Shape: x.shape, Strides: strides, Offset: at * strides[dim]})
		at += sizes[i]
	}
	return autograd.Record(op, out, tensors, func(g *Tensor) []*Tensor {
		grads := make([]*Tensor, len(sizes))
		at := 0
		for i, n := range sizes {
			grads[i] = g.narrow(op, dim, at, n)
			at += n
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
		if !x.shape.Equal(tensors[0].shape) {
			fail(op, "tensor %d is %v, the first %v, want one shape", i, x.shape, tensors[0].shape)
		}
		rows[i] = x.Unsqueeze(dim)
	}
	if dim < 0 {
		dim += len(tensors[0].shape) + 1
	}
	return Cat(dim, rows...)
}
