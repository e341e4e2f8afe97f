package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// MatMul returns the matrix product of x and y. With two dimensions each, that
// is x·y. With more, all but the last two are batch dimensions, which broadcast.
// A vector on the left is taken as a row, one on the right as a column, and that
// dimension is not in the result; two vectors give their dot product, a scalar. The
// types must be equal; sums of Int64 and Uint8 wrap. (torch.matmul)
func (x *Tensor) MatMul(y *Tensor) *Tensor {
	const op = "MatMul"
	lower(&x, &y)
	x.wantDType(op, y)
	x.wantNumber(op)
	if len(x.shape) == 0 || len(y.shape) == 0 {
		fail(op, "operands are %v and %v, want one dimension each at least; MulScalar and Mul take scalars", x.shape, y.shape)
	}
	a, b := x.alias(x.shape, 0), y.alias(y.shape, 0)
	if len(a.shape) == 1 {
		a.shape = Shape{1, a.shape[0]}
	}
	if len(b.shape) == 1 {
		b.shape = Shape{b.shape[0], 1}
	}
	if k, rows := a.shape[len(a.shape)-1], b.shape[len(b.shape)-2]; k != rows {
		fail(op, "%v by %v: the left operand has rows of %d elements, the right one columns of %d, want one number", x.shape, y.shape, k, rows)
	}
	out := matmul(op, a, b, false, false)
	if len(y.shape) == 1 {
		out.shape = out.shape[:len(out.shape)-1]
	}
	if len(x.shape) == 1 { // the row that it stands in is the last dimension but one, or what is left of that
		i := len(out.shape) - 1 - min(len(y.shape)-1, 1)
		out.shape = slices.Delete(out.shape, i, i+1)
	}
	full := slices.Concat(broadcast(op, a.batch(), b.batch()), Shape{a.shape[len(a.shape)-2], b.shape[len(b.shape)-1]})
	xs, ys := x.shape, y.shape
	needX, needY := x.RequiresGrad(), y.RequiresGrad()
	var saved []*Tensor
	if needX {
		saved = append(saved, y)
	}
	if needY {
		saved = append(saved, x)
	}
	return autograd.Record(op, out, []*Tensor{x, y}, func(g *Tensor) []*Tensor {
		g = g.alias(full, 0)
		var dx, dy *Tensor
		if needX {
			dx = summedMatmul(op, g, b, false, true, a.shape).alias(xs, 0)
		}
		if needY {
			left := a
			if len(b.shape) == 2 && len(a.shape) > 2 {
				// The batch is one long matrix: its products need not be kept apart to be added.
				left = a.alias(Shape{a.batch().Len() * a.shape[len(a.shape)-2], a.shape[len(a.shape)-1]}, 0)
				g = g.alias(Shape{left.shape[0], b.shape[1]}, 0)
			}
			dy = summedMatmul(op, left, g, true, false, b.shape).alias(ys, 0)
		}
		return []*Tensor{dx, dy}
	}, saved...)
}

// summedMatmul is matmul, added up over the dimensions of the batch in which shape was
// broadcast: in Float32 where numbers have half width, so that only the sum is rounded.
func summedMatmul(op string, x, y *Tensor, transX, transY bool, shape Shape) *Tensor {
	if t := x.DType(); t.IsHalf() && !broadcast(op, x.batch(), y.batch()).Equal(shape[:len(shape)-2]) {
		return sumTo(matmul(op, x.wide(), y.wide(), transX, transY), shape).cast(t)
	}
	return sumTo(matmul(op, x, y, transX, transY), shape)
}

// Dot returns the dot product of two vectors. (torch.dot)
func (x *Tensor) Dot(y *Tensor) *Tensor {
	y.exists()
	if len(x.Shape()) != 1 || !x.shape.Equal(y.Shape()) {
		fail("Dot", "operands are %v and %v, want two vectors of one length", x.shape, y.shape)
	}
	return x.MatMul(y)
}

// batch returns all dimensions but the last two.
func (x *Tensor) batch() Shape { return x.shape[:len(x.shape)-2] }

// matmul multiplies the matrices in the last two dimensions of a and b, which
// may have to be transposed, with broadcast batch dimensions. It records nothing.
func matmul(op string, a, b *Tensor, transA, transB bool) *Tensor {
	batch := broadcast(op, a.batch(), b.batch())
	g := backend.MatMulGeom{Batch: [2]int{1, batch.Len()}, TransA: transA, TransB: transB}
	g.M, g.K = a.shape[len(a.shape)-2], a.shape[len(a.shape)-1]
	g.N = b.shape[len(b.shape)-1]
	if transA {
		g.M, g.K = g.K, g.M
	}
	if transB {
		g.N = b.shape[len(b.shape)-2]
	}
	out := result(op, a.DType(), append(slices.Clone(batch), g.M, g.N), a, b)
	// An operand has a matrix for each of the batch, or one for all; one with something between is expanded.
	operand := func(x *Tensor) (*Tensor, int) {
		size := x.shape[len(x.shape)-2] * x.shape[len(x.shape)-1]
		switch x.batch().Len() {
		case batch.Len():
			return x, size
		case 1:
			return x, 0
		}
		shape := append(slices.Clone(batch), x.shape[len(x.shape)-2:]...)
		all := result(op, x.DType(), shape, a, b)
		x.be().Strided(all.array(), x.array(), backend.StridedGeom{Shape: shape, Strides: x.shape.stridesIn(shape)})
		return all, size
	}
	left, strideA := operand(a)
	right, strideB := operand(b)
	g.StrideA[1], g.StrideB[1] = strideA, strideB
	a.be().MatMul(out.array(), left.array(), right.array(), g)
	for _, t := range []*Tensor{left, right} {
		if t != a && t != b {
			t.Release()
		}
	}
	return out
}

// Linear returns x·wᵀ + b for the last dimension of x: of [… in] and w [out in]
// it makes [… out]. The bias b [out] may be nil. A weight [in] without a bias makes
// [… in] to […]. (torch.nn.functional.linear)
func Linear(x, w, b *Tensor) *Tensor {
	const op = "Linear"
	if b == nil && w.Dim() == 1 {
		return x.MatMul(w)
	}
	lower(&x, &w, &b)
	x.wantDType(op, w)
	x.wantNumber(op)
	if len(w.shape) != 2 {
		failAt(op, w, "the weight is %v, want two dimensions: outputs and inputs", w.shape)
	}
	outputs, inputs := w.shape[0], w.shape[1]
	if len(x.shape) == 0 || x.shape[len(x.shape)-1] != inputs {
		failAt(op, w, "input %v does not end in %d, the inputs of the weight %v", x.shape, inputs, w.shape)
	}
	if b != nil {
		x.wantDType(op, b)
		if !b.shape.Equal(Shape{outputs}) {
			failAt(op, w, "the bias is %v, want %v, one number for each output of the weight %v", b.shape, Shape{outputs}, w.shape)
		}
	}
	xs := x.shape
	rows := xs[:len(xs)-1].Len()
	out := result(op, x.DType(), append(slices.Clone(xs[:len(xs)-1]), outputs), x, w, b)
	if b != nil {
		x.be().Strided(out.array(), b.array(), backend.StridedGeom{Shape: Shape{rows, outputs}, Strides: []int{0, 1}})
	}
	x.be().MatMul(out.array(), x.array(), w.array(), backend.MatMulGeom{Batch: [2]int{1, 1}, M: rows, N: outputs, K: inputs, TransB: true, Accumulate: b != nil})

	flat, weight := x.alias(Shape{rows, inputs}, 0), w.alias(w.shape, 0)
	needX, needW, needB := x.RequiresGrad(), w.RequiresGrad(), b != nil && b.RequiresGrad()
	var saved []*Tensor
	if needX {
		saved = append(saved, w)
	}
	if needW {
		saved = append(saved, x)
	}
	return autograd.Record(op, out, []*Tensor{x, w, b}, func(g *Tensor) []*Tensor {
		g = g.alias(Shape{rows, outputs}, 0)
		var dx, dw, db *Tensor
		if needX {
			dx = matmul(op, g, weight, false, false).alias(xs, 0)
		}
		if needW {
			dw = matmul(op, g, flat, true, false)
		}
		if needB {
			db = sumTo(g, Shape{outputs})
		}
		return []*Tensor{dx, dw, db}
	}, saved...)
}
