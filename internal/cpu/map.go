package cpu

import (
	"math"
	"sort"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
	"github.com/wick-ml/wick/internal/expr"
)

// mapBlock is how many elements an instruction of a rule is run for at once: what a
// rule works on then stays in the near caches, and memory is read in long runs.
const mapBlock = 1024

// Map runs a rule. Each instruction is a loop over a block, in assembly for float32
// where the machine has it.
func (be *Backend) Map(dst, src [][]backend.Array, r backend.Rule) {
	if len(dst[0]) == 0 {
		return
	}
	for _, list := range dst {
		for _, a := range list { // gives it its memory, which must not happen in several goroutines at once
			raw(a)
		}
	}
	wide := true
	for _, lists := range [][][]backend.Array{dst, src} {
		for _, list := range lists {
			wide = wide && list[0].DType() == backend.Float64
		}
	}
	if wide {
		mapOf[float64](be, dst, src, r)
	} else {
		mapOf[float32](be, dst, src, r)
	}
}

// mapList is the arrays of a list, as numbers of T or of half precision.
type mapList[T kernels.Float] struct {
	wide [][]T
	half [][]uint16
	typ  backend.DType
}

func mapListOf[T kernels.Float](list []backend.Array) mapList[T] {
	l := mapList[T]{typ: list[0].DType()}
	if l.typ.IsHalf() {
		l.half = elements[uint16](list)
	} else {
		l.wide = elements[T](list)
	}
	return l
}

// take returns elements of array i: where they lie, or in room if there is any, which
// those of half precision need.
func (l *mapList[T]) take(i, lo, hi int, room []T) []T {
	switch {
	case l.half != nil:
		widenAs(l.typ, float32s(room), l.half[i][lo:hi])
	case room != nil:
		copy(room, l.wide[i][lo:hi])
	default:
		return l.wide[i][lo:hi]
	}
	return room
}

// give puts numbers where elements of array i are, unless take has returned those.
func (l *mapList[T]) give(i, lo, hi int, v []T) {
	if l.half != nil {
		narrowAs(l.typ, l.half[i][lo:hi], float32s(v))
	} else if to := l.wide[i][lo:hi]; &to[0] != &v[0] {
		copy(to, v)
	}
}

// float32s is for slices of float32 whose type is a parameter.
func float32s[T kernels.Float](s []T) []float32 {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&s[0])), len(s))
}

// mapPlan is where the values of a rule lie while a block is computed.
type mapPlan struct {
	slot   []int // of the block's room, or -1
	direct []int // the destination that a value is computed into, or -1
	slots  int
}

// newMapPlan finds room for each value: none for numbers and for sources that are read
// where they lie, the destination for what can be computed there, else a slot that is
// used again behind the value's last use. shared tells whether a destination is a
// source as well.
func newMapPlan(e expr.Expr, halfSource, halfDestination func(list int) bool, shared func(dst, src int) bool) *mapPlan {
	room := make([]int, 3*len(e))
	p := &mapPlan{slot: room[:len(e)], direct: room[len(e) : 2*len(e)]}
	last := room[2*len(e):] // the instruction that reads a value last; len(e) for what is stored behind all
	for i, in := range e {
		p.slot[i], p.direct[i] = -1, -1
		for n, v := range [...]uint16{in.A, in.B, in.C} {
			if n < in.Op.Values() {
				last[v] = i
			}
		}
	}
	copied := make([]bool, len(e)) // sources that are stored, and may be overwritten before
	for _, in := range e {
		if in.Op == expr.Store && e[in.A].Op <= expr.Store {
			last[in.A] = len(e)
			copied[in.A] = e[in.A].Op == expr.Load
		}
	}
	for _, in := range e {
		v, to := in.A, int(in.B)
		if in.Op != expr.Store || e[v].Op <= expr.Store {
			continue
		}
		ok := p.direct[v] < 0 && !halfDestination(to)
		for k, load := range e { // nobody may read behind v what the destination held
			if load.Op == expr.Load && !copied[k] && last[k] > int(v) && shared(to, int(load.A)) {
				ok = false
			}
		}
		if ok {
			p.direct[v] = to
		} else {
			last[v] = len(e)
		}
	}
	var free []int
	for i, in := range e {
		// A loop may write what it reads.
		for n, v := range [...]uint16{in.A, in.B, in.C} {
			if again := n > 0 && v == in.A || n > 1 && v == in.B; n < in.Op.Values() && last[v] == i && p.slot[v] >= 0 && !again {
				free = append(free, p.slot[v])
			}
		}
		if in.Op == expr.Load && !copied[i] && !halfSource(int(in.A)) || in.Op == expr.Number || in.Op == expr.Store || p.direct[i] >= 0 {
			continue
		}
		if n := len(free); n > 0 {
			p.slot[i], free = free[n-1], free[:n-1]
		} else {
			p.slot[i] = p.slots
			p.slots++
		}
		if last[i] == 0 { // nobody reads it
			free = append(free, p.slot[i])
		}
	}
	return p
}

func mapOf[T kernels.Float](be *Backend, dst, src [][]backend.Array, r backend.Rule) {
	to, from := make([]mapList[T], len(dst)), make([]mapList[T], len(src))
	for i, list := range dst {
		to[i] = mapListOf[T](list)
	}
	for i, list := range src {
		from[i] = mapListOf[T](list)
	}
	sizes, block := make([]int, len(dst[0])), 0
	for i, a := range dst[0] {
		sizes[i] = a.Len
		block = min(max(block, a.Len), mapBlock)
	}
	if f := mapKernel[T](r); f != nil {
		mapWith(be, to, from, sizes, f)
		return
	}
	e := r.Expr
	p := newMapPlan(e, func(s int) bool { return from[s].half != nil }, func(d int) bool { return to[d].half != nil }, func(d, s int) bool {
		for i, a := range dst[d] {
			if b := src[s][i]; a.Buffer == b.Buffer && a.Offset < b.Offset+b.Len && b.Offset < a.Offset+a.Len {
				return true
			}
		}
		return false
	})
	kn := kernels.VectorOf[T]()
	scratch(be, block*len(r.Numbers), func(numbers []T) { // blocks of the same, so that all loops are over arrays
		for i, x := range r.Numbers {
			for k := range block {
				numbers[i*block+k] = T(x)
			}
		}
		overShares(sizes, func(each func(f func(i, lo, hi int))) {
			scratch(be, (p.slots+1)*block, func(room []T) { // and one for a function to calculate in
				v := make([][]T, len(e))
				each(func(i, lo, hi int) {
					for ; lo < hi; lo += block {
						end := min(lo+block, hi)
						n := end - lo
						for k, in := range e {
							var d []T
							if p.slot[k] >= 0 {
								d = room[p.slot[k]*block:][:n]
							} else if p.direct[k] >= 0 {
								d = to[p.direct[k]].wide[i][lo:end]
							}
							switch in.Op {
							case expr.Load:
								d = from[in.A].take(i, lo, end, d)
							case expr.Number:
								d = numbers[int(in.A)*block:][:n]
							case expr.Store:
							case expr.Select:
								mapSelect(d, v[in.A], v[in.B], v[in.C])
							default:
								if in.Op.Values() == 2 {
									mapBinary(kn, in.Op, d, v[in.A], v[in.B])
								} else {
									mapUnary(kn, in.Op, d, v[in.A], room[p.slots*block:][:n])
								}
							}
							v[k] = d
						}
						for _, in := range e {
							if in.Op == expr.Store && p.direct[in.A] != int(in.B) {
								to[in.B].give(i, lo, end, v[in.A])
							}
						}
					}
				})
			})
		})
	})
}

// mapBinary runs an instruction with two values.
func mapBinary[T kernels.Float](kn *kernels.Vector[T], op expr.Op, d, a, b []T) {
	a, b = a[:len(d)], b[:len(d)]
	switch op {
	case expr.Add:
		kn.Add(d, a, b)
	case expr.Sub:
		kn.Sub(d, a, b)
	case expr.Mul:
		kn.Mul(d, a, b)
	case expr.Div:
		kn.Div(d, a, b)
	case expr.Max:
		for i := range d {
			d[i] = max(a[i], b[i])
		}
	case expr.Min:
		for i := range d {
			d[i] = min(a[i], b[i])
		}
	case expr.Gt:
		mapGreater(d, a, b)
	case expr.Ge:
		mapGreaterEqual(d, a, b)
	case expr.Eq:
		for i := range d {
			d[i] = asNumber[T](a[i] == b[i])
		}
	default:
		panic("cpu: an instruction of a rule without a loop")
	}
}

func asNumber[T kernels.Float](b bool) T {
	if b {
		return 1
	}
	return 0
}

// On the bits of numbers the compiler selects without a jump, which nobody could predict.

// mapGreater finds the sign of a difference, which is right whatever is rounded.
func mapGreater[T kernels.Float](d, a, b []T) {
	if single[T]() {
		greaterBits(float32s(d), float32s(a), float32s(b))
		return
	}
	for i := range d {
		d[i] = asNumber[T](a[i] > b[i])
	}
}

func greaterBits(d, a, b []float32) {
	a, b = a[:len(d)], b[:len(d)]
	to := kernels.BitsOf[uint32](d)[:len(d)]
	for i := range d {
		var v uint32
		if math.Float32bits(b[i]-a[i])-0x80000001 <= 0x7f7fffff { // below 0, and not NaN
			v = oneBits
		}
		to[i] = v
	}
}

const (
	oneBits      = 0x3f800000
	infinityBits = 0x7f800000
)

func mapGreaterEqual[T kernels.Float](d, a, b []T) {
	if single[T]() {
		greaterEqualBits(float32s(d), float32s(a), float32s(b))
		return
	}
	for i := range d {
		d[i] = asNumber[T](a[i] >= b[i])
	}
}

func greaterEqualBits(d, a, b []float32) {
	a, b = a[:len(d)], b[:len(d)]
	to := kernels.BitsOf[uint32](d)[:len(d)]
	for i := range d {
		x, y := math.Float32bits(a[i]), math.Float32bits(b[i])
		v := uint32(oneBits)
		if math.Float32bits(a[i]-b[i])-0x80000001 <= 0x7f7fffff {
			v = 0
		}
		if x<<1 > infinityBits<<1 { // NaN
			v = 0
		}
		if y<<1 > infinityBits<<1 {
			v = 0
		}
		to[i] = v
	}
}

func mapSign[T kernels.Float](d, a []T) {
	if !single[T]() {
		for i, v := range a {
			d[i] = sign(v)
		}
		return
	}
	from, to := kernels.BitsOf[uint32](a), kernels.BitsOf[uint32](d)
	to = to[:len(from)]
	for i, x := range from {
		v := x&(1<<31) | oneBits
		if x<<1-1 >= infinityBits<<1 { // 0 or NaN
			v = 0
		}
		to[i] = v
	}
}

func mapSelect[T kernels.Float](d, c, a, b []T) {
	if single[T]() {
		selectBits(kernels.BitsOf[uint32](d), kernels.BitsOf[uint32](c), kernels.BitsOf[uint32](a), kernels.BitsOf[uint32](b))
	} else {
		selectBits(kernels.BitsOf[uint64](d), kernels.BitsOf[uint64](c), kernels.BitsOf[uint64](a), kernels.BitsOf[uint64](b))
	}
}

func selectBits[U uint32 | uint64](d, c, a, b []U) {
	c, a, b = c[:len(d)], a[:len(d)], b[:len(d)]
	for i := range d {
		v := b[i]
		if c[i]<<1 != 0 { // neither +0 nor -0
			v = a[i]
		}
		d[i] = v
	}
}

// setSign gives numbers the sign (and all else) of clear: those of d are a without its sign,
// exclusive-or flip.
func setSign[U uint32 | uint64](d, a []U, clear, flip U) {
	a = a[:len(d)]
	for i, v := range a {
		d[i] = v&^clear ^ flip
	}
}

// signs changes the signs of numbers: it takes them off if clear, and turns them if flip.
func signs[T kernels.Float](d, a []T, clear, flip bool) {
	if single[T]() {
		setSign(kernels.BitsOf[uint32](d), kernels.BitsOf[uint32](a), bit[uint32](clear)<<31, bit[uint32](flip)<<31)
	} else {
		setSign(kernels.BitsOf[uint64](d), kernels.BitsOf[uint64](a), bit[uint64](clear)<<63, bit[uint64](flip)<<63)
	}
}

func bit[U uint32 | uint64](b bool) U {
	if b {
		return 1
	}
	return 0
}

// single reports whether T is float32.
func single[T kernels.Float]() bool {
	var t T
	return unsafe.Sizeof(t) == 4
}

// mapUnary runs an instruction with one value. t is room for as many numbers.
func mapUnary[T kernels.Float](kn *kernels.Vector[T], op expr.Op, d, a, t []T) {
	a = a[:len(d)]
	switch op {
	case expr.Neg:
		signs(d, a, false, true)
	case expr.Abs:
		signs(d, a, true, false)
	case expr.Sign:
		mapSign(d, a)
	case expr.Sqrt:
		kn.Sqrt(d, a)
	case expr.Exp:
		kn.Exp(d, a, 0)
	case expr.Expm1, expr.Tanh, expr.Sigmoid:
		if single[T]() {
			byExp(op, float32s(d), float32s(a), float32s(t))
			return
		}
		fallthrough
	default:
		f := function(mapFunctions[op], backend.UnaryParams{})
		for i, v := range a {
			d[i] = T(f(float64(v)))
		}
	}
}

// byExp computes functions of float32 by way of exp, within some units of the last place.
// Near 0, where that cancels, they are polynomials of Cephes'.
func byExp(op expr.Op, d, a, t []float32) {
	kn := kernels.Current.Vector
	t, d = t[:len(a)], d[:len(a)]
	to := kernels.BitsOf[uint32](d)[:len(a)]
	switch op {
	case expr.Expm1:
		kn.Exp(t, a, 0)
		for i, x := range a {
			p := float32(1.9875691500e-4*x) + 1.3981999507e-3
			p = float32(p*x) + 8.3334519073e-3
			p = float32(p*x) + 4.1665795894e-2
			p = float32(p*x) + 1.6666665459e-1
			p = float32(p*x) + 5.0000001201e-1
			v := math.Float32bits(t[i] - 1)
			if near := math.Float32bits(float32(float32(p*x)*x) + x); math.Float32bits(x)<<1 < 0x3eb33333<<1 { // 0.35
				v = near
			}
			to[i] = v
		}
	case expr.Tanh:
		signs(t, a, true, false)
		kn.Add(t, t, t)
		kn.Exp(t, t, 0)
		for i, x := range a {
			z := float32(x * x)
			p := float32(-5.70498872745e-3*z) + 2.06390887954e-2
			p = float32(p*z) - 5.37397155531e-2
			p = float32(p*z) + 1.33314422036e-1
			p = float32(p*z) - 3.33332819422e-1
			bits := math.Float32bits(x)
			v := math.Float32bits(1-2/(t[i]+1)) | bits&(1<<31)
			if near := math.Float32bits(float32(float32(p*z)*x) + x); bits<<1 < 0x3f200000<<1 { // 0.625
				v = near
			}
			to[i] = v
		}
	case expr.Sigmoid:
		signs(t, a, true, true)
		kn.Exp(t, t, 0)
		for i, x := range a {
			e := t[i] // of -|x|
			v := uint32(oneBits)
			if bits := math.Float32bits(e); math.Float32bits(x) >= 1<<31 {
				v = bits
			}
			d[i] = math.Float32frombits(v) / (1 + e)
		}
	}
}

var mapFunctions = map[expr.Op]backend.UnaryOp{
	expr.Expm1: backend.Expm1, expr.Log: backend.Log, expr.Log1p: backend.Log1p, expr.Tanh: backend.Tanh, expr.Sigmoid: backend.Sigmoid,
}

// mapKernel returns the kernel that does what a rule does, or nil. It is called with
// elements of the sources, nil for those that there are not, and writes all but the second.
func mapKernel[T kernels.Float](r backend.Rule) func(a, b, c, d, e []T) {
	if r.Kernel == backend.NoKernel {
		return nil
	}
	kn := kernels.VectorOf[T]()
	n := make([]T, len(r.Numbers))
	for i, v := range r.Numbers {
		n[i] = T(v)
	}
	switch r.Kernel {
	case backend.SGDKernel:
		p := &kernels.SGDNumbers[T]{Sign: n[0], Decay: n[1], LR: n[2], Mu: n[3], Keep: n[4], Nesterov: n[5] != 0}
		return func(w, g, m, _, _ []T) { kn.SGD(w, g, m, p) }
	case backend.AdamKernel:
		p := &kernels.AdamNumbers[T]{Sign: n[0], Decay: n[1], Shrink: n[2], Size: n[3], Scale: n[4], Eps: n[5], Beta2: n[6], New1: n[7], New2: n[8]}
		return func(w, g, m, v, largest []T) { kn.Adam(w, g, m, v, largest, p) }
	}
	return nil
}

// mapWith runs a kernel, whose destinations are the sources but the second.
func mapWith[T kernels.Float](be *Backend, to, from []mapList[T], sizes []int, f func(a, b, c, d, e []T)) {
	half := false
	for _, l := range from {
		half = half || l.half != nil
	}
	overAll(sizes, func(i, lo, hi int) {
		if !half {
			of := func(k int) []T {
				if k < len(from) {
					return from[k].wide[i][lo:hi]
				}
				return nil
			}
			f(of(0), of(1), of(2), of(3), of(4))
			return
		}
		scratch(be, len(from)*mapBlock, func(room []T) {
			for ; lo < hi; lo += mapBlock {
				end := min(lo+mapBlock, hi)
				var a [5][]T
				for k := range from {
					a[k] = from[k].take(i, lo, end, room[k*mapBlock:][:end-lo])
				}
				f(a[0], a[1], a[2], a[3], a[4])
				for k := range to {
					to[k].give(i, lo, end, a[k+min(k, 1)])
				}
			}
		})
	})
}

// elements returns the elements of each array.
func elements[T any](arrays []backend.Array) [][]T {
	s := make([][]T, len(arrays))
	for i, a := range arrays {
		s[i] = data[T](a)
	}
	return s
}

// overAll calls f for pieces [lo, hi) of array i of sizes[i] elements, over all arrays in one
// parallel loop, as if they lay behind one another: many small ones cost no more
// than a large one.
func overAll(sizes []int, f func(i, lo, hi int)) {
	overShares(sizes, func(each func(f func(i, lo, hi int))) { each(f) })
}

// overShares is overAll whose share of work calls each once, in a goroutine.
func overShares(sizes []int, share func(each func(f func(i, lo, hi int)))) {
	ends := make([]int, len(sizes))
	n := 0
	for i, size := range sizes {
		n += size
		ends[i] = n
	}
	parallel(n, grain, func(lo, hi int) {
		share(func(f func(i, lo, hi int)) {
			for i := sort.SearchInts(ends, lo+1); lo < hi; i++ {
				start := ends[i] - sizes[i]
				if end := min(hi, ends[i]); lo < end {
					f(i, lo-start, end-start)
					lo = end
				}
			}
		})
	})
}
