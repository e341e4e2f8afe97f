package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// MatMul returns the matrix product of x and y. With two dimensions each, that
// is x·y. With more, all but the last two are batch dimensions, which broadcast.
// A vector on the left is taken as a row, one on the right as a column, and that
// dimension is not in the result; two vectors give their dot product, a scalar. The
// types must be equal; sums of Int64 and Uint8 wrap. (torch.matmul)
func (x *Tensor) MatMul(y *Tensor) *Tensor {
	const op = "MatMul"
	autocast(op, &x, &y)
	x.wantDType(op, y)
	x.wantNumber(op)
	if len(x.shape) == 0 || len(y.shape) == 0 {
		fail(op, "operands are %v and %v, want one dimension each at least; MulScalar and Mul take scalars", x.shape, y.shape)
	}
	k, rows := x.shape[len(x.shape)-1], y.shape[max(len(y.shape)-2, 0)]
	if k != rows {
		fail(op, "%v by %v: the left operand has rows of %d elements, the right one columns of %d, want one number", x.shape, y.shape, k, rows)
	}
	row, column := len(x.shape) == 1, len(y.shape) == 1
	if row {
		x = x.view(op, Shape{1, k})
	}
	if column {
		y = y.view(op, Shape{rows, 1})
	}
	out := matmul(x, y)
	if !row && !column {
		return out
	}
	shape := slices.Clone(out.shape)
	if column {
		shape = shape[:len(shape)-1]
	}
	if row { // the row that it stands in is the last dimension but one, or what is left of that
		i := len(shape) - 1
		if !column {
			i--
		}
		shape = slices.Delete(shape, i, i+1)
	}
	return out.view(op, shape)
}

// matmul multiplies the matrices in the last two dimensions of a and b, with broadcast
// batch dimensions.
func matmul(a, b *Tensor) *Tensor {
	const op = "MatMul"
	out := products(op, a, b)
	if !tracked(op, out, a, b) {
		return out
	}
	as, bs := a.saved(), b.saved()
	needA, needB := a.RequiresGrad(), b.RequiresGrad()
	var saved []*Tensor
	if needA {
		saved = append(saved, b)
	}
	if needB {
		saved = append(saved, a)
	}
	return autograd.Record(ops.MatMul{}, out, []*Tensor{a, b}, func(g *Tensor) []*Tensor {
		var da, db *Tensor
		if needA {
			da = summedMatmul(g, with(g, bs).matrixT(), as.shape)
		}
		if needB {
			left, right := with(g, as), g
			if len(bs.shape) == 2 && len(left.shape) > 2 {
				// The batch is one long matrix: its products need not be kept apart to be added.
				rows := left.batch().Len() * left.shape[len(left.shape)-2]
				left = left.view(op, Shape{rows, left.shape[len(left.shape)-1]})
				right = right.view(op, Shape{rows, bs.shape[1]})
			}
			db = summedMatmul(left.matrixT(), right, bs.shape)
		}
		return []*Tensor{da, db}
	}, saved...)
}

// matrixT returns a view of x with its last two dimensions exchanged.
func (x *Tensor) matrixT() *Tensor {
	n := len(x.shape)
	return x.transpose("Transpose", n-2, n-1)
}

// summedMatmul is matmul, added up over the dimensions of the batch in which shape was
// broadcast: in Float32 where numbers have half precision, so that only the sum is rounded.
func summedMatmul(x, y *Tensor, shape Shape) *Tensor {
	if t := x.DType(); t.IsHalf() && !broadcast("MatMul", x.batch(), y.batch()).Equal(shape[:len(shape)-2]) {
		return sumTo(matmul(x.ToDType(Float32), y.ToDType(Float32)), shape).ToDType(t)
	}
	return sumTo(matmul(x, y), shape)
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

// products is matmul that records nothing. It reads operands as they lie, if their
// matrices have rows or columns without gaps.
func products(op string, a, b *Tensor) *Tensor {
	batch := broadcast(op, a.batch(), b.batch())
	n := len(batch)
	m, k := a.shape[len(a.shape)-2], a.shape[len(a.shape)-1]
	g := backend.MatMulGeom{M: m, N: b.shape[len(b.shape)-1], K: k}
	shape := make(Shape, n+2)
	copy(shape, batch)
	shape[n], shape[n+1] = g.M, g.N
	out := result(op, a.DType(), shape, a, b)
	left, right := a, b
	// matrices returns x, or a copy, and how its matrices lie.
	matrices := func(x *Tensor) (y *Tensor, trans bool, ld int) {
		trans, ld, ok := x.matrix()
		if !ok {
			x = x.dense()
			trans, ld = false, 0
		}
		return x, trans, ld
	}
	left, g.TransA, g.LDA = matrices(left)
	right, g.TransB, g.LDB = matrices(right)
	strides := func(x *Tensor) []int {
		return x.stridesIn(append(slices.Clone(batch), x.shape[len(x.shape)-2:]...))[:n]
	}
	ok := n == 0
	if ok {
		g.Batch = [2]int{1, 1}
	} else {
		g.Batch, g.StrideA, g.StrideB, ok = levels(batch, strides(left), strides(right))
	}
	if !ok {
		// Of more than two levels: each operand gets a matrix for each of the batch.
		whole := func(x *Tensor) *Tensor {
			if x.batch().Len() == 1 {
				return x
			}
			return x.bare().Expand(append(slices.Clone(batch), x.shape[len(x.shape)-2:]...)...).dense()
		}
		left, right = whole(left), whole(right)
		if left.strides == nil {
			g.TransA, g.LDA = false, 0
		}
		if right.strides == nil {
			g.TransB, g.LDB = false, 0
		}
		g.Batch, g.StrideA, g.StrideB, _ = levels(batch, strides(left), strides(right))
	}
	a.be().MatMul(out.array(), left.window(), right.window(), g)
	for _, x := range []*Tensor{left, right} {
		if x.storage != a.storage && x.storage != b.storage {
			x.release()
		}
	}
	return out
}

// matrix tells whether the matrices in the last two dimensions of x are stored
// transposed, how many elements lie between one stored row and the next (0: as many as
// it has), and whether they are stored so that this says it.
func (x *Tensor) matrix() (trans bool, ld int, ok bool) {
	if x.strides == nil {
		return false, 0, true
	}
	n := len(x.shape)
	rows, columns, down, along := x.shape[n-2], x.shape[n-1], x.strides[n-2], x.strides[n-1]
	switch {
	case (along == 1 || columns <= 1) && (down >= columns || rows <= 1):
		if rows <= 1 {
			down = 0
		}
		return false, down, true
	case (down == 1 || rows <= 1) && (along >= rows || columns <= 1):
		if columns <= 1 {
			along = 0
		}
		return true, along, true
	}
	return false, 0, false
}

// levels joins the dimensions of a batch that lie as one in both operands, and reports
// whether two are enough.
func levels(batch Shape, a, b []int) (sizes, strideA, strideB [2]int, ok bool) {
	sizes = [2]int{1, 1}
	at := 2 // the outermost level so far
	for i := len(batch) - 1; i >= 0; i-- {
		switch {
		case batch[i] == 1:
			continue
		case at < 2 && a[i] == strideA[at]*sizes[at] && b[i] == strideB[at]*sizes[at]:
			sizes[at] *= batch[i]
			continue
		case at == 0:
			return sizes, strideA, strideB, false
		}
		at--
		sizes[at], strideA[at], strideB[at] = batch[i], a[i], b[i]
	}
	return sizes, strideA, strideB, true
}

// Linear returns x·wᵀ + b for the last dimension of x: of [… in] and w [out in]
// it makes [… out]. The bias b [out] may be nil. A weight [in] without a bias makes
// [… in] to […]. (torch.nn.functional.linear)
func Linear(x, w, b *Tensor) *Tensor {
	const op = "Linear"
	if b == nil && w.Dim() == 1 {
		return x.MatMul(w)
	}
	autocast(op, &x, &w, &b)
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
	shape := make(Shape, len(xs))
	shape[copy(shape, xs[:len(xs)-1])] = outputs
	out := result(op, x.DType(), shape, x, w, b)
	if b != nil {
		flat := Shape{rows, outputs}
		x.be().Strided(out.array(), b.window(), backend.StridedGeom{Shape: flat, Strides: b.stridesIn(flat)})
	}
	flat := x
	if len(xs) != 2 {
		flat = x.alias(Shape{rows, inputs})
	}
	g := backend.MatMulGeom{Batch: [2]int{1, 1}, M: rows, N: outputs, K: inputs, Accumulate: b != nil}
	var ok bool
	if g.TransA, g.LDA, ok = flat.matrix(); !ok {
		flat, g.TransA, g.LDA = flat.dense(), false, 0
	}
	weight := w
	if g.TransB, g.LDB, ok = weight.matrix(); !ok {
		weight, g.TransB, g.LDB = weight.dense(), false, 0
	}
	g.TransB = !g.TransB
	x.be().MatMul(out.array(), flat.window(), weight.window(), g)
	if !tracked(op, out, x, w, b) {
		return out
	}
	in, ws := x.saved(), w.saved()
	needX, needW, needB := x.RequiresGrad(), w.RequiresGrad(), b != nil && b.RequiresGrad()
	var saved []*Tensor
	if needX {
		saved = append(saved, w)
	}
	if needW {
		saved = append(saved, x)
	}
	return autograd.Record(ops.Linear{}, out, []*Tensor{x, w, b}, func(g *Tensor) []*Tensor {
		g = g.view(op, Shape{rows, outputs})
		var dx, dw, db *Tensor
		if needX {
			dx = matmul(g, with(g, ws)).view(op, xs)
		}
		if needW {
			dw = matmul(g.matrixT(), with(g, in).view(op, Shape{rows, inputs}))
		}
		if needB {
			db = sumTo(g, Shape{outputs})
		}
		return []*Tensor{dx, dw, db}
	}, saved...)
}
