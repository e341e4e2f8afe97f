package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Binary", "every operation agrees with its definition under every broadcasting", testBinary},
		Row{"Binary", "views are read where they lie, of every type", testBinaryViews},
		Row{"Binary", "NaN, zeros and infinities go as in PyTorch", testBinarySpecial},
		Row{"Binary", "integers and bools", testBinaryInt},
		Row{"BinaryScalar", "a number takes either side, in place too", testBinaryScalar},
		Row{"Where", "the condition chooses under every broadcasting", testWhere},
	)
}

// binaryDefinitions are the operations on floats; comparisons give 0 or 1.
var binaryDefinitions = map[backend.BinaryOp]func(a, b float64) float64{
	backend.Add:      func(a, b float64) float64 { return a + b },
	backend.Sub:      func(a, b float64) float64 { return a - b },
	backend.Mul:      func(a, b float64) float64 { return a * b },
	backend.Div:      func(a, b float64) float64 { return a / b },
	backend.DivTrunc: func(a, b float64) float64 { return math.Trunc(a / b) },
	backend.DivFloor: func(a, b float64) float64 { return math.Floor(a / b) },
	backend.Pow:      math.Pow,
	backend.Maximum:  math.Max,
	backend.Minimum:  math.Min,
	backend.Remainder: func(a, b float64) float64 {
		m := math.Mod(a, b)
		if m*b < 0 {
			m += b
		}
		return m
	},
	backend.Fmod:  math.Mod,
	backend.Atan2: math.Atan2,
	backend.Eq:    func(a, b float64) float64 { return truth(a == b) },
	backend.Ne:    func(a, b float64) float64 { return truth(a != b) },
	backend.Lt:    func(a, b float64) float64 { return truth(a < b) },
	backend.Le:    func(a, b float64) float64 { return truth(a <= b) },
	backend.Gt:    func(a, b float64) float64 { return truth(a > b) },
	backend.Ge:    func(a, b float64) float64 { return truth(a >= b) },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var binaryGeoms = []struct {
	name   string
	na, nb int
	g      backend.BinaryGeom
}{
	{"no elements", 0, 0, backend.BinaryGeom{}},
	{"one element", 1, 1, backend.BinaryGeom{}},
	{"same length", 1003, 1003, backend.BinaryGeom{}},
	{"same long length", 40007, 40007, backend.BinaryGeom{}},
	{"scalars", 1, 1, backend.BinaryGeom{Shape: []int{}, A: []int{}, B: []int{}}},
	{"empty dimension", 0, 3, backend.BinaryGeom{Shape: []int{0, 3}, A: []int{3, 1}, B: []int{0, 1}}},
	{"same shape, told", 24, 24, backend.BinaryGeom{Shape: []int{2, 3, 4}, A: []int{12, 4, 1}, B: []int{12, 4, 1}}},
	{"one b for all", 7, 1, backend.BinaryGeom{Shape: []int{7}, A: []int{1}, B: []int{0}}},
	{"one a for all", 1, 700, backend.BinaryGeom{Shape: []int{700}, A: []int{0}, B: []int{1}}},
	{"both repeated", 1, 1, backend.BinaryGeom{Shape: []int{5}, A: []int{0}, B: []int{0}}},
	{"last dimension", 15, 5, backend.BinaryGeom{Shape: []int{3, 5}, A: []int{5, 1}, B: []int{0, 1}}},
	{"rows", 15, 3, backend.BinaryGeom{Shape: []int{3, 5}, A: []int{5, 1}, B: []int{1, 0}}},
	{"long rows", 3 * 20001, 3, backend.BinaryGeom{Shape: []int{3, 20001}, A: []int{20001, 1}, B: []int{1, 0}}},
	{"channels of NCHW", 2 * 3 * 5 * 7, 3, backend.BinaryGeom{Shape: []int{2, 3, 5, 7}, A: []int{105, 35, 7, 1}, B: []int{0, 1, 0, 0}}},
	{"channels of 1×1", 6, 3, backend.BinaryGeom{Shape: []int{2, 3, 1, 1}, A: []int{3, 1, 1, 1}, B: []int{0, 1, 0, 0}}},
	{"channels of large NCHW", 4 * 16 * 33 * 31, 16, backend.BinaryGeom{Shape: []int{4, 16, 33, 31}, A: []int{16 * 1023, 1023, 31, 1}, B: []int{0, 1, 0, 0}}},
	{"outer product", 5, 4, backend.BinaryGeom{Shape: []int{5, 4}, A: []int{1, 0}, B: []int{0, 1}}},
	{"alternating", 2 * 3, 4 * 3, backend.BinaryGeom{Shape: []int{2, 4, 3}, A: []int{3, 0, 1}, B: []int{0, 3, 1}}},
	{"a transposed", 12, 12, backend.BinaryGeom{Shape: []int{3, 4}, A: []int{1, 3}, B: []int{4, 1}}},
	{"both transposed", 600, 600, backend.BinaryGeom{Shape: []int{2, 300}, A: []int{1, 2}, B: []int{1, 2}}},
}

// viewPairs are operands that lie otherwise than row by row; each is read with each strides.
var viewPairs = []struct {
	name    string
	shape   []int
	strides [][]int
}{
	{"matrix", []int{19, 300}, [][]int{{300, 1}, {1, 19}, {320, 1}, {1, 25}, {600, 2}, {2, 40}, {1, 0}, {0, 1}, {0, 0}, {0, 3}, {3, 0}, {1, 1}}},
	{"large matrix", []int{130, 300}, [][]int{{300, 1}, {1, 130}}},
	{"long rows", []int{2, 9001}, [][]int{{10000, 1}, {1, 2}, {1, 0}}},
	{"few columns", []int{3001, 3}, [][]int{{3, 1}, {1, 3001}, {4, 1}, {1, 0}, {0, 1}, {7, 2}}},
	{"heads", []int{3, 5, 37, 40}, [][]int{{7400, 1480, 40, 1}, {7400, 40, 200, 1}, {7400, 40, 1, 185}, {0, 0, 40, 1}, {37, 0, 1, 0}}},
	{"images", []int{2, 19, 11, 13}, [][]int{{2717, 143, 13, 1}, {2717, 1, 247, 19}, {0, 1, 0, 0}, {2860, 1, 260, 20}}},
	{"three dimensions that do not join", []int{40, 3, 3}, [][]int{{9, 3, 1}, {9, 1, 3}, {20, 6, 1}, {1, 40, 120}}},
	{"row", []int{5000}, [][]int{{1}, {2}, {0}}},
}

func testBinaryViews(t *testing.T, be backend.Backend) {
	reach := func(shape, strides []int) int {
		n := 1
		for d, s := range shape {
			n += (s - 1) * strides[d]
		}
		return n
	}
	for _, v := range viewPairs {
		for _, as := range v.strides {
			for _, bs := range v.strides {
				g := backend.BinaryGeom{Shape: v.shape, A: as, B: bs}
				na, nb := reach(v.shape, as), reach(v.shape, bs)
				what := fmt.Sprintf("%s, strides %v and %v", v.name, as, bs)
				for _, op := range []backend.BinaryOp{backend.Sub, backend.Maximum, backend.Le} {
					binaryOne[float32](t, be, what, op, na, nb, g)
				}
				binaryOne[float64](t, be, what, backend.Sub, na, nb, g)
				binaryViewsInt[int64](t, be, what, na, nb, g)
				binaryViewsInt[uint8](t, be, what, na, nb, g)
				binaryViewsHalf(t, be, what, na, nb, g)
			}
		}
	}
}

func binaryViewsInt[T int64 | uint8](t *testing.T, be backend.Backend, what string, na, nb int, g backend.BinaryGeom) {
	t.Helper()
	a, b := make([]T, na), make([]T, nb)
	for i := range a {
		a[i] = T(i*7 + 3)
	}
	for i := range b {
		b[i] = T(i*13 + i/256)
	}
	ia, ib := positions(g.Shape, g.A, 0), positions(g.Shape, g.B, 0)
	want := make([]T, len(ia))
	for i := range want {
		want[i] = a[ia[i]] - b[ib[i]]
	}
	dst := empty[T](be, len(want))
	be.Binary(dst, put(be, a), put(be, b), backend.Sub, g)
	if got := get[T](be, dst); !slices.Equal(got, want) {
		t.Fatalf("%s of %v: got another difference", what, dtypeOf[T]())
	}
}

// binaryViewsHalf wants the float32 result, rounded. A factor may be float32.
func binaryViewsHalf(t *testing.T, be backend.Backend, what string, na, nb int, g backend.BinaryGeom) {
	t.Helper()
	a, b := floats[float32](be, random(1, na)), floats[float32](be, random(2, nb))
	n := len(positions(g.Shape, g.A, 0))
	as := func(dtype backend.DType, x backend.Array) backend.Array {
		y := backend.Array{Buffer: be.NewBuffer(dtype, x.Len+1), Offset: 1, Len: x.Len}
		be.Copy(y, x)
		return y
	}
	for _, dtype := range []backend.DType{backend.BFloat16, backend.Float16} {
		x, y := as(dtype, a), as(dtype, b)
		for i, op := range []backend.BinaryOp{backend.Add, backend.Mul, backend.Mul, backend.Lt} {
			y := y
			if i == 2 {
				y = b
			}
			out, wide := dtype, backend.Float32
			if op.IsComparison() {
				out, wide = backend.Bool, backend.Bool
			}
			want, got := backend.Array{Buffer: be.NewBuffer(wide, n), Len: n}, backend.Array{Buffer: be.NewBuffer(out, n), Len: n}
			be.Binary(want, as(backend.Float32, x), as(backend.Float32, y), op, g)
			be.Binary(got, x, y, op, g)
			want = as(out, want)
			p, q := make([]byte, n*out.Size()), make([]byte, n*out.Size())
			be.Read(p, got)
			be.Read(q, want)
			if !slices.Equal(p, q) {
				t.Fatalf("%s of %v, operation %d: got another result than float32's, rounded", what, dtype, op)
			}
		}
	}
}

// operands returns the positions of the elements that each element of the
// result is made from.
func operands(shape, strides []int, n int) []int {
	if shape == nil {
		shape, strides = []int{n}, []int{1}
	}
	return positions(shape, strides, 0)
}

func testBinary(t *testing.T, be backend.Backend) {
	for op := range backend.And {
		if binaryDefinitions[op] == nil {
			t.Fatalf("no definition for operation %d", op)
		}
		for _, c := range binaryGeoms {
			what := fmt.Sprintf("operation %d, %s", op, c.name)
			binaryOne[float32](t, be, what, op, c.na, c.nb, c.g)
			binaryOne[float64](t, be, what, op, c.na, c.nb, c.g)
		}
	}
}

// binaryInputs returns operands that meet now and then; a is positive where op
// wants it.
func binaryInputs(op backend.BinaryOp, na, nb int) (a, b []float64) {
	a, b = random(1, na), random(2, nb)
	for i := range a {
		a[i] *= 3
		if op == backend.Pow {
			a[i] = math.Abs(a[i]) + 0.125
		}
	}
	for i := range b {
		if op == backend.Remainder || op == backend.Fmod || op >= backend.Div && op <= backend.DivFloor {
			b[i] += math.Copysign(0.25, b[i])
		} else if i%3 == 0 && i < na {
			b[i] = a[i]
		}
	}
	return a, b
}

func binaryOne[T float32 | float64](t *testing.T, be backend.Backend, what string, op backend.BinaryOp, na, nb int, g backend.BinaryGeom) {
	t.Helper()
	a, b := binaryInputs(op, na, nb)
	ia, ib := operands(g.Shape, g.A, na), operands(g.Shape, g.B, nb)
	want := make([]float64, len(ia))
	for i := range want {
		want[i] = binaryDefinitions[op](roundTo[T](a[ia[i]]), roundTo[T](b[ib[i]]))
	}
	what = fmt.Sprintf("%s, %v", what, dtypeOf[T]())
	aa, ab := floats[T](be, a), floats[T](be, b)
	if op.IsComparison() {
		dst, wantBools := empty[bool](be, len(want)), make([]bool, len(want))
		for i := range want {
			wantBools[i] = want[i] != 0
		}
		be.Binary(dst, aa, ab, op, g)
		wantExact(t, be, what, dst, wantBools)
		return
	}
	dst := empty[T](be, len(want))
	be.Binary(dst, aa, ab, op, g)
	wantFloats(t, be, what, dst, want, tolerance[T]())
	if g.Shape != nil && slices.Equal(g.A, contiguous(g.Shape)) {
		be.Binary(aa, aa, ab, op, g)
		wantFloats(t, be, what+", in place of a", aa, want, tolerance[T]())
	}
	if g.Shape == nil {
		be.Binary(aa, aa, ab, op, g)
		wantFloats(t, be, what+", in place of a", aa, want, tolerance[T]())
		aa = floats[T](be, a)
		be.Binary(ab, aa, ab, op, g)
		wantFloats(t, be, what+", in place of b", ab, want, tolerance[T]())
	}
}

// contiguous returns the strides of a row-major array.
func contiguous(shape []int) []int {
	strides := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= shape[i]
	}
	return strides
}

func roundTo[T float32 | float64](v float64) float64 { return float64(T(v)) }

func testBinarySpecial(t *testing.T, be backend.Backend) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name       string
		op         backend.BinaryOp
		a, b, want []float64
	}{
		{"Maximum", backend.Maximum, []float64{nan, 1, nan, -inf}, []float64{1, nan, nan, inf}, []float64{nan, nan, nan, inf}},
		{"Minimum", backend.Minimum, []float64{nan, 1, nan, -inf}, []float64{1, nan, nan, inf}, []float64{nan, nan, nan, -inf}},
		{"Div", backend.Div, []float64{1, -1, 0}, []float64{0, 0, 0}, []float64{inf, -inf, nan}},
		{"DivTrunc", backend.DivTrunc, []float64{7, -7, 7, -7, 1, -1, -1}, []float64{2, 2, -2, -2, 0, inf, 0}, []float64{3, -3, -3, 3, inf, 0, -inf}},
		{"DivFloor", backend.DivFloor, []float64{7, -7, 7, -7, 1, -1, -1, 1}, []float64{2, 2, -2, -2, 0, inf, 0, 0.1}, []float64{3, -4, -4, 3, inf, -1, -inf, 9}},
		{"Pow", backend.Pow, []float64{0, nan, -8, 1, 0}, []float64{0, 0, 1.0 / 3, nan, -1}, []float64{1, 1, nan, 1, inf}},
		{"Remainder", backend.Remainder, []float64{7, -7, 7, -7, 1, -1, 6}, []float64{3, 3, -3, -3, 0, inf, 3}, []float64{1, 2, -2, -1, nan, inf, 0}},
		{"Fmod", backend.Fmod, []float64{7, -7, 7, -7, 1, -1, 6}, []float64{3, 3, -3, -3, 0, inf, 3}, []float64{1, -1, 1, -1, nan, -1, 0}},
		{"Atan2", backend.Atan2, []float64{0, 1, 0}, []float64{-1, 0, 0}, []float64{math.Pi, math.Pi / 2, 0}},
	} {
		for _, dst := range []backend.Array{empty[float32](be, len(c.a)), empty[float64](be, len(c.a))} {
			a, b := floats[float64](be, c.a), floats[float64](be, c.b)
			if dst.DType() == backend.Float32 {
				a, b = floats[float32](be, c.a), floats[float32](be, c.b)
			}
			be.Binary(dst, a, b, c.op, backend.BinaryGeom{})
			wantFloats(t, be, c.name, dst, c.want, 1e-6)
		}
	}
	for op, want := range map[backend.BinaryOp][]bool{
		backend.Eq: {false, false, true}, backend.Ne: {true, true, false}, backend.Lt: {false, false, false},
		backend.Le: {false, false, true}, backend.Gt: {false, false, false}, backend.Ge: {false, false, true},
	} {
		dst := empty[bool](be, 3)
		be.Binary(dst, put(be, []float64{nan, nan, 0}), put(be, []float64{nan, 1, math.Copysign(0, -1)}), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("comparison %d with NaN and -0", op), dst, want)
	}
}

func testBinaryInt(t *testing.T, be backend.Backend) {
	a, b := []int64{7, -7, 7, -7, 0, 1 << 60, -1, 3}, []int64{3, 3, -3, -3, 5, 2, -3, 4}
	for op, want := range map[backend.BinaryOp][]int64{
		backend.Add:       {10, -4, 4, -10, 5, 1<<60 + 2, -4, 7},
		backend.Sub:       {4, -10, 10, -4, -5, 1<<60 - 2, 2, -1},
		backend.Mul:       {21, -21, -21, 21, 0, 1 << 61, 3, 12},
		backend.Maximum:   {7, 3, 7, -3, 5, 1 << 60, -1, 4},
		backend.Minimum:   {3, -7, -3, -7, 0, 2, -3, 3},
		backend.DivTrunc:  {2, -2, -2, 2, 0, 1 << 59, 0, 0},
		backend.DivFloor:  {2, -3, -3, 2, 0, 1 << 59, 0, 0},
		backend.Remainder: {1, 2, -2, -1, 0, 0, -1, 3},
		backend.Fmod:      {1, -1, 1, -1, 0, 0, -1, 3},
		backend.Pow:       {343, -343, 0, 0, 0, 0, -1, 81},
	} {
		dst := empty[int64](be, len(a))
		be.Binary(dst, put(be, a), put(be, b), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("operation %d of int64", op), dst, want)
	}
	for op, want := range map[backend.BinaryOp][]uint8{
		backend.Add: {44, 3, 7}, backend.Sub: {100, 255, 253}, backend.Mul: {32, 2, 10}, backend.Maximum: {200, 2, 5},
		backend.Minimum: {100, 1, 2}, backend.Remainder: {0, 1, 2}, backend.Fmod: {0, 1, 2}, backend.Pow: {0, 1, 32}, backend.DivTrunc: {2, 0, 0}, backend.DivFloor: {2, 0, 0},
	} {
		dst := empty[uint8](be, 3)
		be.Binary(dst, put(be, []uint8{200, 1, 2}), put(be, []uint8{100, 2, 5}), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("operation %d of uint8", op), dst, want)
	}
	for op, want := range map[backend.BinaryOp][]bool{
		backend.Lt: {false, true, false}, backend.Le: {false, true, true}, backend.Gt: {true, false, false},
		backend.Ge: {true, false, true}, backend.Eq: {false, false, true}, backend.Ne: {true, true, false},
	} {
		dst := empty[bool](be, 3)
		be.Binary(dst, put(be, []int64{1<<60 + 1, -4, 2}), put(be, []int64{1 << 60, 3, 2}), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("comparison %d of int64", op), dst, want)
		be.Binary(dst, put(be, []uint8{201, 1, 9}), put(be, []uint8{200, 128, 9}), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("comparison %d of uint8", op), dst, want)
	}
	f, tr := false, true
	for op, want := range map[backend.BinaryOp][]bool{
		backend.And: {f, f, f, tr}, backend.Or: {f, tr, tr, tr}, backend.Xor: {f, tr, tr, f}, backend.Eq: {tr, f, f, tr}, backend.Ne: {f, tr, tr, f},
	} {
		dst := empty[bool](be, 4)
		be.Binary(dst, put(be, []bool{f, f, tr, tr}), put(be, []bool{f, tr, f, tr}), op, backend.BinaryGeom{})
		wantExact(t, be, fmt.Sprintf("operation %d of bools", op), dst, want)
		be.Binary(dst, put(be, []bool{f, tr}), put(be, []bool{f, tr}), op, backend.BinaryGeom{Shape: []int{2, 2}, A: []int{1, 0}, B: []int{0, 1}})
		wantExact(t, be, fmt.Sprintf("operation %d of bools, broadcast", op), dst, want)
	}
}

func testBinaryScalar(t *testing.T, be backend.Backend) {
	for op := range backend.And {
		for _, n := range []int{0, 1, 255, 257, 40007} {
			for _, s := range []float64{2, 0.75, -1.5} {
				if op == backend.Pow && s < 0 {
					s = 1.5 // as a base it must be positive
				}
				for _, swapped := range []bool{false, true} {
					binaryScalarOne[float32](t, be, op, n, s, swapped)
					binaryScalarOne[float64](t, be, op, n, s, swapped)
				}
			}
		}
	}
	for _, c := range []struct {
		name    string
		op      backend.BinaryOp
		s       float64
		swapped bool
		want    []int64
	}{
		{"Add", backend.Add, 10, false, []int64{17, 3, 12}},
		{"Sub", backend.Sub, 10, true, []int64{3, 17, 8}},
		{"Mul", backend.Mul, -2, false, []int64{-14, 14, -4}},
		{"Remainder", backend.Remainder, 4, false, []int64{3, 1, 2}},
		{"Fmod", backend.Fmod, 4, false, []int64{3, -3, 2}},
		{"Pow", backend.Pow, 2, false, []int64{49, 49, 4}},
		{"Pow", backend.Pow, 3, false, []int64{343, -343, 8}},
		{"Maximum", backend.Maximum, 3, false, []int64{7, 3, 3}},
	} {
		dst := empty[int64](be, 3)
		be.BinaryScalar(dst, put(be, []int64{7, -7, 2}), c.s, c.swapped, c.op)
		wantExact(t, be, c.name+" of int64", dst, c.want)
	}
	for s, want := range map[float64][]float64{0.5: {2, 0, math.NaN(), math.NaN()}, -0.5: {0.5, math.Inf(1), math.NaN(), math.NaN()}} {
		roots := empty[float32](be, 4)
		be.BinaryScalar(roots, put(be, []float32{4, 0, -4, float32(math.Inf(-1))}), s, false, backend.Pow)
		wantFloats(t, be, fmt.Sprintf("Pow %v", s), roots, want, 1e-6)
	}
	bytes := empty[uint8](be, 3)
	be.BinaryScalar(bytes, put(be, []uint8{0, 1, 255}), 2, false, backend.Add)
	wantExact(t, be, "Add of uint8", bytes, []uint8{2, 3, 1})
	bools := empty[bool](be, 3)
	be.BinaryScalar(bools, put(be, []uint8{0, 200, 255}), 200, false, backend.Ge)
	wantExact(t, be, "Ge of uint8", bools, []bool{false, true, true})
}

func binaryScalarOne[T float32 | float64](t *testing.T, be backend.Backend, op backend.BinaryOp, n int, s float64, swapped bool) {
	t.Helper()
	a, _ := binaryInputs(op, n, 0)
	want := make([]float64, n)
	for i := range a {
		if swapped {
			a[i] += math.Copysign(0.25, a[i]) // a divisor
			want[i] = binaryDefinitions[op](s, roundTo[T](a[i]))
		} else {
			want[i] = binaryDefinitions[op](roundTo[T](a[i]), s)
		}
	}
	what := fmt.Sprintf("operation %d of %d %v and %g, swapped %v", op, n, dtypeOf[T](), s, swapped)
	aa := floats[T](be, a)
	if op.IsComparison() {
		dst, wantBools := empty[bool](be, n), make([]bool, n)
		for i := range want {
			wantBools[i] = want[i] != 0
		}
		be.BinaryScalar(dst, aa, s, swapped, op)
		wantExact(t, be, what, dst, wantBools)
		return
	}
	dst := empty[T](be, n)
	be.BinaryScalar(dst, aa, s, swapped, op)
	wantFloats(t, be, what, dst, want, tolerance[T]())
	be.BinaryScalar(aa, aa, s, swapped, op)
	wantFloats(t, be, what+", in place", aa, want, tolerance[T]())
}

// whereHalf wants what float32 numbers give that half precision holds.
func whereHalf(t *testing.T, be backend.Backend, what string, nc, na, nb int, g backend.WhereGeom) {
	t.Helper()
	cond := make([]bool, nc)
	for i, v := range random(5, nc) {
		cond[i] = v < 0
	}
	numbers := func(n, from int) backend.Array {
		s := make([]float64, n)
		for i := range s {
			s[i] = float64(from + i%100)
		}
		return floats[float32](be, s)
	}
	n := na
	if g.Shape != nil {
		n = len(positions(g.Shape, g.A, 0))
	}
	as := func(dtype backend.DType, x backend.Array) backend.Array {
		y := backend.Array{Buffer: be.NewBuffer(dtype, x.Len+1), Offset: 1, Len: x.Len}
		be.Copy(y, x)
		return y
	}
	c, a, b, want := put(be, cond), numbers(na, 0), numbers(nb, -150), empty[float32](be, n)
	be.Where(want, c, a, b, g)
	for _, dtype := range []backend.DType{backend.BFloat16, backend.Float16} {
		dst := backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
		be.Where(dst, c, as(dtype, a), as(dtype, b), g)
		wantExact(t, be, fmt.Sprintf("%s, %v", what, dtype), as(backend.Float32, dst), get[float32](be, want))
	}
}

func testWhere(t *testing.T, be backend.Backend) {
	for _, c := range []struct {
		name       string
		nc, na, nb int
		g          backend.WhereGeom
	}{
		{"no elements", 0, 0, 0, backend.WhereGeom{}},
		{"one element", 1, 1, 1, backend.WhereGeom{}},
		{"same length", 1003, 1003, 1003, backend.WhereGeom{}},
		{"same long length", 40007, 40007, 40007, backend.WhereGeom{}},
		{"scalars", 1, 1, 1, backend.WhereGeom{Shape: []int{}, Cond: []int{}, A: []int{}, B: []int{}}},
		{"masked fill", 1000, 1, 1000, backend.WhereGeom{Shape: []int{10, 100}, Cond: []int{100, 1}, A: []int{0, 0}, B: []int{100, 1}}},
		{"row mask", 10, 1000, 1, backend.WhereGeom{Shape: []int{10, 100}, Cond: []int{1, 0}, A: []int{100, 1}, B: []int{0, 0}}},
		{"causal mask", 35, 3 * 35, 1, backend.WhereGeom{Shape: []int{3, 5, 7}, Cond: []int{0, 7, 1}, A: []int{35, 7, 1}, B: []int{0, 0, 0}}},
		{"all different", 3, 4, 5, backend.WhereGeom{Shape: []int{3, 4, 5}, Cond: []int{1, 0, 0}, A: []int{0, 1, 0}, B: []int{0, 0, 1}}},
		{"b transposed", 12, 12, 12, backend.WhereGeom{Shape: []int{3, 4}, Cond: []int{4, 1}, A: []int{4, 1}, B: []int{1, 3}}},
		{"all transposed", 2000, 2000, 2000, backend.WhereGeom{Shape: []int{40, 50}, Cond: []int{1, 40}, A: []int{1, 40}, B: []int{1, 40}}},
		{"condition transposed", 30000, 30000, 1, backend.WhereGeom{Shape: []int{100, 300}, Cond: []int{1, 100}, A: []int{300, 1}, B: []int{0, 0}}},
		{"heads", 37 * 37, 4 * 6 * 37 * 37, 1, backend.WhereGeom{Shape: []int{4, 6, 37, 37}, Cond: []int{0, 0, 37, 1}, A: []int{6 * 37 * 37, 37, 6 * 37, 1}, B: []int{0, 0, 0, 0}}},
		{"parts", 50 * 60, 50 * 70, 50 * 2 * 45, backend.WhereGeom{Shape: []int{50, 45}, Cond: []int{60, 1}, A: []int{70, 1}, B: []int{90, 2}}},
		{"few columns", 3000, 4000, 3000, backend.WhereGeom{Shape: []int{1000, 3}, Cond: []int{3, 1}, A: []int{4, 1}, B: []int{1, 1000}}},
		{"empty dimension", 0, 2, 1, backend.WhereGeom{Shape: []int{0, 2}, Cond: []int{2, 1}, A: []int{0, 1}, B: []int{0, 0}}},
	} {
		whereOne[float32](t, be, c.name, c.nc, c.na, c.nb, c.g)
		whereOne[float64](t, be, c.name, c.nc, c.na, c.nb, c.g)
		whereOne[int64](t, be, c.name, c.nc, c.na, c.nb, c.g)
		whereOne[uint8](t, be, c.name, c.nc, c.na, c.nb, c.g)
		whereHalf(t, be, c.name, c.nc, c.na, c.nb, c.g)
	}
	nan := float32(math.NaN())
	dst := empty[float32](be, 2)
	be.Where(dst, put(be, []bool{true, false}), put(be, []float32{1, nan}), put(be, []float32{nan, 2}), backend.WhereGeom{})
	wantExact(t, be, "NaN where it is not chosen", dst, []float32{1, 2})
	bools := empty[bool](be, 2)
	be.Where(bools, put(be, []bool{true, false}), put(be, []bool{true, true}), put(be, []bool{false, false}), backend.WhereGeom{})
	wantExact(t, be, "bools", bools, []bool{true, false})
}

func whereOne[T float32 | float64 | int64 | uint8](t *testing.T, be backend.Backend, name string, nc, na, nb int, g backend.WhereGeom) {
	t.Helper()
	cond, a, b := make([]bool, nc), make([]T, na), make([]T, nb)
	for i, v := range random(3, nc) {
		cond[i] = v > 0
	}
	for i := range a {
		a[i] = T(i % 100)
	}
	for i := range b {
		b[i] = T(100 + i%100)
	}
	ic, ia, ib := operands(g.Shape, g.Cond, nc), operands(g.Shape, g.A, na), operands(g.Shape, g.B, nb)
	want := make([]T, len(ic))
	for i := range want {
		if cond[ic[i]] {
			want[i] = a[ia[i]]
		} else {
			want[i] = b[ib[i]]
		}
	}
	name = fmt.Sprintf("%s, %v", name, dtypeOf[T]())
	ac, aa, ab, dst := put(be, cond), put(be, a), put(be, b), empty[T](be, len(want))
	be.Where(dst, ac, aa, ab, g)
	wantExact(t, be, name, dst, want)
	if g.Shape == nil {
		be.Where(aa, ac, aa, ab, g)
		wantExact(t, be, name+", in place of a", aa, want)
	}
}
