package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Binary computes dst = op(a, b).
func (be *Backend) Binary(dst, a, b backend.Array, op backend.BinaryOp, g backend.BinaryGeom) {
	if someHalf(dst, a, b) {
		be.binaryHalf(dst, a, b, op, g)
		return
	}
	switch a.DType() {
	case backend.Float32:
		binary(be, dst, data[float32](a), data[float32](b), op, g, floatFunc[float32])
	case backend.Float64:
		binary(be, dst, data[float64](a), data[float64](b), op, g, floatFunc[float64])
	case backend.Int64:
		binary(be, dst, data[int64](a), data[int64](b), op, g, intFunc[int64])
	case backend.Uint8, backend.Bool:
		binary(be, dst, data[uint8](a), data[uint8](b), op, g, intFunc[uint8])
	}
}

// binaryHalf is Binary of arrays some of which have half precision.
func (be *Backend) binaryHalf(dst, a, b backend.Array, op backend.BinaryOp, g backend.BinaryGeom) {
	if kn := loopsBF16(dst, a, b); kn != nil && op == backend.Add && g.Shape == nil {
		d, a, b := data[uint16](dst), data[uint16](a), data[uint16](b)
		parallel(len(d), grain, func(lo, hi int) { kn.Add(d[lo:hi], a[lo:hi], b[lo:hi]) })
		return
	}
	if g.Shape == nil && be.pieces(dst.Len, func(p []backend.Array, _ int) { be.Binary(p[0], p[1], p[2], op, g) }, writes(&dst), reads(&a), reads(&b)) {
		return
	}
	narrow := func(a backend.Array) bool { return a.DType().IsHalf() || a.DType() == backend.Float32 }
	if g.Shape != nil && narrow(a) && narrow(b) && (dst.DType().IsHalf() || op.IsComparison()) {
		be.binaryHalfViews(dst, a, b, op, g)
		return
	}
	be.half(func() { be.Binary(dst, a, b, op, g) }, writes(&dst), reads(&a), reads(&b))
}

// fewElements is how many elements are done sooner than it is found out how to share them.
const fewElements = 128

// binaryFew computes a few results where the loop is no more than an operator, and
// reports whether it is. Operands that do not lie as the result does are laid side by side.
func binaryFew[T kernels.Number](dst backend.Array, a, b []T, op backend.BinaryOp, g backend.BinaryGeom) bool {
	switch op {
	case backend.Add, backend.Sub, backend.Mul, backend.Div, backend.Maximum, backend.Minimum:
	default:
		if !op.IsComparison() {
			return false
		}
	}
	if dst.Len > 0 && g.Shape != nil {
		var blockA, blockB [fewElements]T
		lay(blockA[:dst.Len], a, 0, g.Shape, g.A)
		lay(blockB[:dst.Len], b, 0, g.Shape, g.B)
		a, b = blockA[:dst.Len], blockB[:dst.Len]
	}
	if op.IsComparison() {
		comparison(data[bool](dst), a, b, op)
	} else {
		arithmetic(data[T](dst), a, b, op, nil)
	}
	return true
}

// lay copies the elements of a view that begins at x[at], of which there are some, one
// behind the other, and returns what is left of dst.
func lay[T any](dst, x []T, at int, shape, strides []int) []T {
	if len(shape) == 0 {
		dst[0] = x[at]
		return dst[1:]
	}
	if len(shape) > 1 {
		for range shape[0] {
			dst = lay(dst, x, at, shape[1:], strides[1:])
			at += strides[0]
		}
		return dst
	}
	for i := range dst[:shape[0]] {
		dst[i] = x[at]
		at += strides[0]
	}
	return dst[shape[0]:]
}

// layBack is lay from src to a view that begins at x[at], and returns what is left of src.
func layBack[T any](x, src []T, at int, shape, strides []int) []T {
	if len(shape) == 0 {
		x[at] = src[0]
		return src[1:]
	}
	if len(shape) > 1 {
		for range shape[0] {
			src = layBack(x, src, at, shape[1:], strides[1:])
			at += strides[0]
		}
		return src
	}
	for _, v := range src[:shape[0]] {
		x[at] = v
		at += strides[0]
	}
	return src[shape[0]:]
}

// BinaryScalar computes dst = op(a, s), or op(s, a) if swapped.
func (be *Backend) BinaryScalar(dst, a backend.Array, s float64, swapped bool, op backend.BinaryOp) {
	if someHalf(dst, a) {
		dst, a := dst, a
		be.pieces(a.Len, func(p []backend.Array, _ int) { be.BinaryScalar(p[0], p[1], s, swapped, op) }, writes(&dst), reads(&a))
		return
	}
	if op == backend.Pow && !swapped {
		switch s {
		case 2:
			be.Binary(dst, a, a, backend.Mul, backend.BinaryGeom{})
			return
		case 0.5:
			be.Unary(dst, a, backend.Sqrt, backend.UnaryParams{})
			return
		case -0.5:
			be.Unary(dst, a, backend.Rsqrt, backend.UnaryParams{})
			return
		}
	}
	switch a.DType() {
	case backend.Float32:
		binaryScalar(dst, data[float32](a), float32(s), swapped, op, floatFunc[float32])
	case backend.Float64:
		binaryScalar(dst, data[float64](a), s, swapped, op, floatFunc[float64])
	case backend.Int64:
		binaryScalar(dst, data[int64](a), int64(s), swapped, op, intFunc[int64])
	case backend.Uint8, backend.Bool:
		binaryScalar(dst, data[uint8](a), uint8(int64(s)), swapped, op, intFunc[uint8])
	}
}

// binaryKernel computes runs of a result.
type binaryKernel[T kernels.Number] struct {
	op    backend.BinaryOp
	dst   []T    // of arithmetic
	bools []bool // of comparisons
	fast  func(dst, a, b []T)
	one   func(dst, a []T, b T) // where b is the same for all elements, or nil
	f     func(a, b T) T        // of operations without a loop of their own
}

func newBinaryKernel[T kernels.Number](dst backend.Array, op backend.BinaryOp, slow func(backend.BinaryOp) func(a, b T) T) *binaryKernel[T] {
	k := &binaryKernel[T]{op: op}
	if op.IsComparison() {
		k.bools = data[bool](dst)
		return k
	}
	if !dst.DType().IsHalf() {
		k.dst = data[T](dst)
	}
	if k32, ok := any(k).(*binaryKernel[float32]); ok {
		k32.fast = fastBinary(op)
	}
	switch op {
	case backend.Add, backend.Sub, backend.Mul, backend.Div, backend.Maximum, backend.Minimum:
	default:
		k.f = slow(op)
	}
	return k
}

// run computes the elements of dst from at on, as many as a has.
func (k *binaryKernel[T]) run(at int, a, b []T) {
	switch {
	case k.bools != nil:
		comparison(k.bools[at:at+len(a)], a, b, k.op)
	case k.fast != nil:
		k.fast(k.dst[at:at+len(a)], a, b)
	default:
		arithmetic(k.dst[at:at+len(a)], a, b, k.op, k.f)
	}
}

// fastBinary returns the vector loop for op, or nil.
func fastBinary(op backend.BinaryOp) func(dst, a, b []float32) {
	switch op {
	case backend.Add:
		return kernels.Current.Vector.Add
	case backend.Sub:
		return kernels.Current.Vector.Sub
	case backend.Mul:
		return kernels.Current.Vector.Mul
	case backend.Div:
		return kernels.Current.Vector.Div
	}
	return nil
}

// fastScalar returns the vector loop for op with one number on the right, or nil.
// It is the loop of normalize, where what has nothing to do changes no bits.
func fastScalar(op backend.BinaryOp) func(dst, a []float32, b float32) {
	normalize, negZero := kernels.Current.Vector.Normalize, float32(math.Copysign(0, -1))
	row := func(a []float32) kernels.Rows { return kernels.Rows{Count: 1, N: len(a)} }
	switch op {
	case backend.Add:
		return func(dst, a []float32, b float32) { normalize(dst, a, row(a), 0, 1, b, false) }
	case backend.Sub:
		return func(dst, a []float32, b float32) { normalize(dst, a, row(a), b, 1, negZero, false) }
	case backend.Mul:
		return func(dst, a []float32, b float32) { normalize(dst, a, row(a), 0, b, negZero, false) }
	}
	return nil
}

func binary[T kernels.Number](be *Backend, dst backend.Array, a, b []T, op backend.BinaryOp, g backend.BinaryGeom, slow func(backend.BinaryOp) func(a, b T) T) {
	if dst.Len <= fewElements && binaryFew(dst, a, b, op, g) {
		return
	}
	k := newBinaryKernel(dst, op, slow)
	if g.Shape == nil {
		parallel(dst.Len, grain, func(lo, hi int) { k.run(lo, a[lo:hi], b[lo:hi]) })
		return
	}
	shape, strides, ok := collapse(g.Shape, g.A, g.B)
	if !ok {
		return
	}
	last := len(shape) - 1
	as, bs := strides[0][last], strides[1][last]
	if k32, ok := any(k).(*binaryKernel[float32]); ok && bs == 0 {
		k32.one = fastScalar(op)
	}
	if t := newTiling(shape, strides); t.pays() {
		t.each(be, func(room []uint64) func(at, rows, cols int, off [4]int) {
			x, y := newSource(&t, room, a, 0), newSource(&t, room, b, 1)
			one := k.one != nil && as == 1 && bs == 0 && !t.flat
			return func(at, rows, cols int, off [4]int) {
				if one {
					for i := range rows {
						at := at + i*t.strides[2][t.r]
						k.one(k.dst[at:at+cols], a[off[0]+i*x.rs:][:cols], b[off[1]+i*y.rs])
					}
					return
				}
				x.load(off[0], rows, cols)
				y.load(off[1], rows, cols)
				if t.flat {
					k.run(at, x.all(), y.all())
					return
				}
				for i := range rows {
					k.run(at+i*t.strides[2][t.r], x.row(i, cols), y.row(i, cols))
				}
			}
		})
		return
	}
	parallel(dst.Len, grain, func(lo, hi int) {
		var blockA, blockB [packed]T
		walk(shape, strides, lo, hi, func(at, n int, off [4]int) {
			if as == 1 && bs == 1 {
				k.run(at, a[off[0]:off[0]+n], b[off[1]:off[1]+n])
				return
			}
			if as == 1 && bs == 0 && k.one != nil {
				k.one(k.dst[at:at+n], a[off[0]:off[0]+n], b[off[1]])
				return
			}
			for i := 0; i < n; i += packed {
				m := min(packed, n-i)
				k.run(at+i, pack(blockA[:m], a, off[0], as, i), pack(blockB[:m], b, off[1], bs, i))
			}
		})
	})
}

// binaryHalfViews is Binary for numbers of half precision that are broadcast, or lie apart: a tile at a time is widened, computed and rounded.
func (be *Backend) binaryHalfViews(dst, a, b backend.Array, op backend.BinaryOp, g backend.BinaryGeom) {
	shape, strides, ok := collapse(g.Shape, g.A, g.B)
	if !ok {
		return
	}
	for _, x := range []backend.Array{dst, a, b} { // they get their memory here, not in several goroutines
		raw(x)
	}
	t := newTiling(shape, strides)
	last := len(shape) - 1
	var one func(dst, a []float32, b float32) // where b has one number for each row
	if strides[0][last] != 0 && strides[1][last] == 0 && !t.flat {
		one = fastScalar(op)
	}
	if kn := loopsBF16(dst, a, b); kn != nil && op == backend.Add && one == nil {
		d, a, b := data[uint16](dst), data[uint16](a), data[uint16](b)
		t.each(be, func(room []uint64) func(at, rows, cols int, off [4]int) {
			x, y := newSource(&t, room, a, 0), newSource(&t, room, b, 1)
			return func(at, rows, cols int, off [4]int) {
				x.load(off[0], rows, cols)
				y.load(off[1], rows, cols)
				if t.flat {
					kn.Add(d[at:][:rows*cols], x.all(), y.all())
					return
				}
				for i := range rows {
					kn.Add(d[at+i*t.strides[2][t.r]:][:cols], x.row(i, cols), y.row(i, cols))
				}
			}
		})
		return
	}
	t.each(be, func(room []uint64) func(at, rows, cols int, off [4]int) {
		x, y := newWideSource(&t, room, a, 0), newWideSource(&t, room, b, 1)
		k := newBinaryKernel(dst, op, floatFunc[float32])
		if !op.IsComparison() {
			k.dst = tileOf[float32](&t, room, 2)
		}
		run := func(at int, a, b []float32) {
			if op.IsComparison() {
				k.run(at, a, b)
				return
			}
			k.run(0, a, b)
			narrowAs(dst.DType(), data[uint16](dst)[at:][:len(a)], k.dst[:len(a)])
		}
		return func(at, rows, cols int, off [4]int) {
			x.load(off[0], rows, cols)
			if one != nil {
				for i := range rows {
					at := at + i*t.strides[2][t.r]
					one(k.dst[:cols], x.row(i, cols), y.number(off[1]+i*t.strides[1][t.r]))
					narrowAs(dst.DType(), data[uint16](dst)[at:][:cols], k.dst[:cols])
				}
				return
			}
			y.load(off[1], rows, cols)
			if t.flat {
				run(at, x.all(), y.all())
				return
			}
			for i := range rows {
				run(at+i*t.strides[2][t.r], x.row(i, cols), y.row(i, cols))
			}
		}
	})
}

func binaryScalar[T kernels.Number](dst backend.Array, a []T, s T, swapped bool, op backend.BinaryOp, slow func(backend.BinaryOp) func(a, b T) T) {
	if dst.Len <= fewElements {
		var block [fewElements]T
		for i := range block[:dst.Len] {
			block[i] = s
		}
		b := block[:dst.Len]
		if swapped {
			a, b := b, a
			if binaryFew(dst, a, b, op, backend.BinaryGeom{}) {
				return
			}
		} else if binaryFew(dst, a, b, op, backend.BinaryGeom{}) {
			return
		}
	}
	k := newBinaryKernel(dst, op, slow)
	parallel(dst.Len, grain, func(lo, hi int) {
		var block [packed]T
		for i := range block[:min(packed, hi-lo)] {
			block[i] = s
		}
		for ; lo < hi; lo += packed {
			x := a[lo:min(lo+packed, hi)]
			if swapped {
				k.run(lo, block[:len(x)], x)
			} else {
				k.run(lo, x, block[:len(x)])
			}
		}
	})
}

// packed is how many elements of a broadcast operand are laid side by side, so
// that one loop over plain slices serves every kind of broadcasting. They stay
// in the first-level cache.
const packed = 256

// pack returns elements off+i·stride, off+(i+1)·stride, … of x: as they lie if
// the stride is 1, otherwise in block. A block of a single repeated value is
// filled for i = 0 only, when it is at its longest.
func pack[T any](block, x []T, off, stride, i int) []T {
	switch {
	case stride == 1:
		return x[off+i : off+i+len(block)]
	case stride == 0:
		if i == 0 {
			v := x[off]
			for j := range block {
				block[j] = v
			}
		}
	default:
		at := off + i*stride
		for j := range block {
			block[j] = x[at]
			at += stride
		}
	}
	return block
}

// arithmetic computes dst = op(a, b), by f where the operation has no loop of
// its own here.
func arithmetic[T kernels.Number](dst, a, b []T, op backend.BinaryOp, f func(a, b T) T) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case backend.Add:
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	case backend.Sub:
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	case backend.Mul:
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	case backend.Div:
		for i := range dst {
			dst[i] = a[i] / b[i]
		}
	case backend.Maximum:
		for i := range dst {
			dst[i] = max(a[i], b[i])
		}
	case backend.Minimum:
		for i := range dst {
			dst[i] = min(a[i], b[i])
		}
	default:
		for i := range dst {
			dst[i] = f(a[i], b[i])
		}
	}
}

func floatFunc[T kernels.Float](op backend.BinaryOp) func(a, b T) T {
	switch op {
	case backend.DivTrunc:
		return func(a, b T) T { return T(math.Trunc(float64(a / b))) }
	case backend.DivFloor:
		return func(a, b T) T { return T(divFloor(float64(a), float64(b), float64(a/b))) }
	case backend.Pow:
		return func(a, b T) T { return T(math.Pow(float64(a), float64(b))) }
	case backend.Remainder:
		return func(a, b T) T {
			m := math.Mod(float64(a), float64(b))
			if m != 0 && (m < 0) != (b < 0) {
				m += float64(b)
			}
			return T(m)
		}
	case backend.Fmod:
		return func(a, b T) T { return T(math.Mod(float64(a), float64(b))) }
	case backend.Atan2:
		return func(a, b T) T { return T(math.Atan2(float64(a), float64(b))) }
	}
	panic("cpu: binary operation without a kernel for floats")
}

// divFloor is ⌊a/b⌋ without the error of the quotient a/b, as Python's // is.
func divFloor(a, b, quotient float64) float64 {
	if b == 0 {
		return quotient
	}
	rest := math.Mod(a, b)
	q := (a - rest) / b
	if rest != 0 && (rest < 0) != (b < 0) {
		q--
	}
	if q == 0 {
		return math.Copysign(0, quotient)
	}
	down := math.Floor(q)
	if q-down > 0.5 {
		down++
	}
	return down
}

// intFunc's remainders and quotients panic where the divisor is 0, as Go's do.
func intFunc[T int64 | uint8](op backend.BinaryOp) func(a, b T) T {
	switch op {
	case backend.Pow:
		return func(a, b T) T {
			if b < 0 { // as PyTorch: 0 but for ±1
				switch {
				case a == 1 || a+1 == 0 && b%2 == 0:
					return 1
				case a+1 == 0:
					return a
				}
				return 0
			}
			p := T(1)
			for ; b > 0; b >>= 1 {
				if b&1 == 1 {
					p *= a
				}
				a *= a
			}
			return p
		}
	case backend.DivTrunc:
		return func(a, b T) T { return a / b }
	case backend.DivFloor:
		return func(a, b T) T {
			q := a / b
			if m := a % b; m != 0 && (m < 0) != (b < 0) {
				q--
			}
			return q
		}
	case backend.Remainder:
		return func(a, b T) T {
			m := a % b
			if m != 0 && (m < 0) != (b < 0) {
				m += b
			}
			return m
		}
	case backend.Fmod:
		return func(a, b T) T { return a % b }
	}
	panic("cpu: binary operation without a kernel for integers")
}

// comparison computes dst = op(a, b) for the operations whose result is Bool.
func comparison[T kernels.Number](dst []bool, a, b []T, op backend.BinaryOp) {
	a, b = a[:len(dst)], b[:len(dst)]
	switch op {
	case backend.Eq:
		for i := range dst {
			dst[i] = a[i] == b[i]
		}
	case backend.Ne, backend.Xor: // of Bool arrays they are one
		for i := range dst {
			dst[i] = a[i] != b[i]
		}
	case backend.Lt:
		for i := range dst {
			dst[i] = a[i] < b[i]
		}
	case backend.Le:
		for i := range dst {
			dst[i] = a[i] <= b[i]
		}
	case backend.Gt:
		for i := range dst {
			dst[i] = a[i] > b[i]
		}
	case backend.Ge:
		for i := range dst {
			dst[i] = a[i] >= b[i]
		}
	case backend.And:
		for i := range dst {
			dst[i] = a[i] != 0 && b[i] != 0
		}
	case backend.Or:
		for i := range dst {
			dst[i] = a[i] != 0 || b[i] != 0
		}
	}
}

// Where computes dst = cond ? a : b.
func (be *Backend) Where(dst, cond, a, b backend.Array, g backend.WhereGeom) {
	if dst.DType() != a.DType() || dst.DType() != b.DType() {
		dst, a, b := dst, a, b
		be.half(func() { be.Where(dst, cond, a, b, g) }, writes(&dst), reads(&a), reads(&b))
		return
	}
	switch dst.DType().Size() {
	case 2:
		where(be, data[uint16](dst), data[uint8](cond), data[uint16](a), data[uint16](b), g)
	case 1:
		where(be, data[uint8](dst), data[uint8](cond), data[uint8](a), data[uint8](b), g)
	case 4:
		where(be, data[uint32](dst), data[uint8](cond), data[uint32](a), data[uint32](b), g)
	case 8:
		where(be, data[uint64](dst), data[uint8](cond), data[uint64](a), data[uint64](b), g)
	}
}

// whereFew chooses a few elements.
func whereFew[T uint8 | uint16 | uint32 | uint64](dst []T, cond []uint8, a, b []T, g backend.WhereGeom) {
	var blockC [fewElements]uint8
	var blockA, blockB [fewElements]T
	if n := len(dst); n > 0 && g.Shape != nil {
		lay(blockC[:n], cond, 0, g.Shape, g.Cond)
		lay(blockA[:n], a, 0, g.Shape, g.A)
		lay(blockB[:n], b, 0, g.Shape, g.B)
		cond, a, b = blockC[:n], blockA[:n], blockB[:n]
	}
	choose(dst, cond, a, b)
}

func where[T uint8 | uint16 | uint32 | uint64](be *Backend, dst []T, cond []uint8, a, b []T, g backend.WhereGeom) {
	if len(dst) <= fewElements {
		whereFew(dst, cond, a, b, g)
		return
	}
	if g.Shape == nil {
		parallel(len(dst), grain, func(lo, hi int) { choose(dst[lo:hi], cond[lo:hi], a[lo:hi], b[lo:hi]) })
		return
	}
	shape, strides, ok := collapse(g.Shape, g.Cond, g.A, g.B)
	if !ok {
		return
	}
	if t := newTiling(shape, strides); t.pays() {
		t.each(be, func(room []uint64) func(at, rows, cols int, off [4]int) {
			c, x, y := newSource(&t, room, cond, 0), newSource(&t, room, a, 1), newSource(&t, room, b, 2)
			return func(at, rows, cols int, off [4]int) {
				c.load(off[0], rows, cols)
				x.load(off[1], rows, cols)
				y.load(off[2], rows, cols)
				if t.flat {
					choose(dst[at:at+rows*cols], c.all(), x.all(), y.all())
					return
				}
				for i := range rows {
					at := at + i*t.strides[3][t.r]
					choose(dst[at:at+cols], c.row(i, cols), x.row(i, cols), y.row(i, cols))
				}
			}
		})
		return
	}
	last := len(shape) - 1
	cs, as, bs := strides[0][last], strides[1][last], strides[2][last]
	parallel(len(dst), grain, func(lo, hi int) {
		var blockC [packed]uint8
		var blockA, blockB [packed]T
		walk(shape, strides, lo, hi, func(at, n int, off [4]int) {
			for i := 0; i < n; i += packed {
				m := min(packed, n-i)
				choose(dst[at+i:at+i+m], pack(blockC[:m], cond, off[0], cs, i),
					pack(blockA[:m], a, off[1], as, i), pack(blockB[:m], b, off[2], bs, i))
			}
		})
	})
}

// choose is on integers of the elements' size, because the compiler then selects
// without a jump.
func choose[T uint8 | uint16 | uint32 | uint64](dst []T, cond []uint8, a, b []T) {
	cond, a, b = cond[:len(dst)], a[:len(dst)], b[:len(dst)]
	for i := range dst {
		v, w := a[i], b[i]
		if cond[i] == 0 {
			v = w
		}
		dst[i] = v
	}
}
