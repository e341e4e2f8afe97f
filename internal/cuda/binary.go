//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// binaries are the kernels of operations that have some of their own; binary is of
// the others.
var (
	binaries       = [backend.NumBinaryOps]kernels{backend.Add: typed("add_", floatTypes), backend.Sub: typed("sub_", floatTypes), backend.Mul: typed("mul_", floatTypes), backend.Div: typed("div_", floatTypes)}
	binaryViews    = [backend.NumBinaryOps]kernels{backend.Add: typed("add_view_", floatTypes), backend.Sub: typed("sub_view_", floatTypes), backend.Mul: typed("mul_view_", floatTypes), backend.Div: typed("div_view_", floatTypes)}
	numberTypes    = append([]backend.DType{backend.Int64, backend.Uint8}, floatTypes...)
	binary         = typed("binary_", numberTypes)
	binaryView     = typed("binary_view_", numberTypes)
	compare        = typed("compare_", allTypes)
	compareView    = typed("compare_view_", allTypes)
	where          = forSizes("where_")
	whereView      = forSizes("where_view_")
	comparison     = [backend.NumBinaryOps]int64{backend.Eq: 2, backend.Ne: 1 | 4 | 8, backend.Lt: 1, backend.Le: 1 | 2, backend.Gt: 4, backend.Ge: 4 | 2}
	comparisonBool = [backend.NumBinaryOps]int64{backend.Eq: 0b1001, backend.Ne: 0b0110, backend.Lt: 0b0010, backend.Le: 0b1011, backend.Gt: 0b0100, backend.Ge: 0b1101,
		backend.And: 0b1000, backend.Or: 0b1110, backend.Xor: 0b0110}
)

// binaryKernel returns the kernel of an operation and the code that tells it which
// one (kernels/binary.cu).
func binaryKernel(op backend.BinaryOp, t backend.DType, viewed bool) (kernel string, code int64) {
	own, other, comparing := &binaries[op], &binary, &compare
	if viewed {
		own, other, comparing = &binaryViews[op], &binaryView, &compareView
	}
	switch {
	case op.IsComparison() && t == backend.Bool:
		return comparing[t], comparisonBool[op]
	case op.IsComparison():
		return comparing[t], comparison[op]
	case t.IsFloat() && own[t] != "":
		return own[t], 0
	}
	return other[t], int64(op)
}

// Binary computes dst = op(a, b). Integers divided by 0 give -1 (255 of Uint8), since
// a kernel cannot panic as the CPU's backend does.
func (be *Backend) Binary(dst, a, b backend.Array, op backend.BinaryOp, g backend.BinaryGeom) {
	defer keep(dst, a, b)
	if differ(dst, a, b) {
		be.alike(func() { be.Binary(dst, a, b, op, g) }, writes(&dst), reads(&a), reads(&b))
		return
	}
	if g.Shape == nil {
		be.flat(dst, a, b, 0, 0, op)
		return
	}
	n := count(g.Shape)
	if n == 0 {
		return
	}
	v, ok := newView(g.Shape, g.A, g.B)
	if !ok {
		first, second, dim := halves(g.Shape)
		be.Binary(dst, a, b, op, backend.BinaryGeom{Shape: first, A: g.A, B: g.B})
		dst.Offset += count(first)
		a.Offset += first[dim] * g.A[dim]
		b.Offset += first[dim] * g.B[dim]
		be.Binary(dst, a, b, op, backend.BinaryGeom{Shape: second, A: g.A, B: g.B})
		return
	}
	t := a.DType()
	size, at := t.Size(), [...]pointer{address(dst), reading(a), reading(b)}
	pack := packs(size)
	whole := at[0]%pointer(min(16, int(pack)*size)) == 0 && v.whole(0, pack, at[1], size) && v.whole(1, pack, at[2], size)
	kernel, code := binaryKernel(op, t, true)
	var p params
	param(&p, at[0])
	param(&p, at[1])
	param(&p, at[2])
	param(&p, code)
	param(&p, v)
	param(&p, flag(whole))
	be.packed(kernel, n, packOf(whole, pack), &p)
}

// packOf is how many elements of a view a thread takes at once.
func packOf(whole bool, pack int64) int64 {
	if whole {
		return pack
	}
	return 1
}

// flat launches a kernel whose arrays have one length; without b it takes a number.
func (be *Backend) flat(dst, a, b backend.Array, number float64, swapped int64, op backend.BinaryOp) {
	kernel, code := binaryKernel(op, a.DType(), false)
	var p params
	to, from, done := be.places(dst, a, b)
	defer done()
	param(&p, to)
	param(&p, from[0])
	param(&p, from[1])
	param(&p, number)
	param(&p, swapped)
	param(&p, code)
	be.packed(kernel, a.Len, packs(a.DType().Size()), &p)
}

// BinaryScalar computes dst = op(a, s), or op(s, a) if swapped.
func (be *Backend) BinaryScalar(dst, a backend.Array, s float64, swapped bool, op backend.BinaryOp) {
	defer keep(dst, a)
	if op == backend.Pow && !swapped {
		switch s {
		case 2:
			be.flat(dst, a, a, 0, 0, backend.Mul)
			return
		case 0.5:
			be.Unary(dst, a, backend.Sqrt, backend.UnaryParams{})
			return
		case -0.5:
			be.Unary(dst, a, backend.Rsqrt, backend.UnaryParams{})
			return
		}
	}
	be.flat(dst, a, backend.Array{}, s, flag(swapped), op)
}

// flag is a Boolean parameter of a kernel.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Where computes dst = cond ? a : b.
func (be *Backend) Where(dst, cond, a, b backend.Array, g backend.WhereGeom) {
	defer keep(dst, cond, a, b)
	if differ(dst, a, b) {
		be.alike(func() { be.Where(dst, cond, a, b, g) }, writes(&dst), reads(&a), reads(&b))
		return
	}
	size, at := dst.DType().Size(), [...]pointer{address(dst), address(cond), address(a), address(b)}
	pack := packs(size)
	var p params
	for _, at := range at {
		param(&p, at)
	}
	if g.Shape == nil {
		be.packed(where[size], dst.Len, pack, &p)
		return
	}
	n := count(g.Shape)
	if n == 0 {
		return
	}
	v, ok := newView(g.Shape, g.Cond, g.A, g.B)
	if !ok {
		first, second, dim := halves(g.Shape)
		be.Where(dst, cond, a, b, backend.WhereGeom{Shape: first, Cond: g.Cond, A: g.A, B: g.B})
		dst.Offset += count(first)
		cond.Offset += first[dim] * g.Cond[dim]
		a.Offset += first[dim] * g.A[dim]
		b.Offset += first[dim] * g.B[dim]
		be.Where(dst, cond, a, b, backend.WhereGeom{Shape: second, Cond: g.Cond, A: g.A, B: g.B})
		return
	}
	whole := at[0]%pointer(min(16, int(pack)*size)) == 0 && v.whole(0, pack, at[1], 1) && v.whole(1, pack, at[2], size) && v.whole(2, pack, at[3], size)
	param(&p, v)
	param(&p, flag(whole))
	be.packed(whereView[size], n, packOf(whole, pack), &p)
}
