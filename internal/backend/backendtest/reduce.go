package backendtest

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"Reduce", "reduces over the dimensions that are named", testReduce},
		Row{"Reduce", "reads views where they lie", testReduceViews},
		Row{"Reduce", "NaN wins in maximum and minimum and is true", testReduceNaN},
		Row{"Reduce", "the number of threads does not matter", testReduceThreads},
		Row{"Reduce", "the number of dimensions does not matter", testReduceDims},
		Row{"Reduce", "a wider destination has room for what would overflow", testReduceWider},
		Row{"ReduceIndex", "finds the first of equal extremes", testReduceIndex},
		Row{"ReduceIndex", "finds the first NaN", testReduceIndexNaN},
		Row{"Cumsum", "adds up along N from either end", testCumsum},
	)
}

// cast converts v to an element as Copy does.
func cast[T elem](v float64) T {
	var z T
	switch p := any(&z).(type) {
	case *float32:
		*p = float32(v)
	case *float64:
		*p = v
	case *int64:
		*p = int64(v)
	case *uint8:
		*p = uint8(v)
	case *bool:
		*p = v != 0
	}
	return z
}

// uncast gives an element's value.
func uncast[T elem](v T) float64 {
	switch v := any(v).(type) {
	case float32:
		return float64(v)
	case float64:
		return v
	case int64:
		return float64(v)
	case uint8:
		return float64(v)
	}
	if any(v) == any(true) {
		return 1
	}
	return 0
}

// small returns n elements of type T with many equal ones among them.
func small[T elem](seed uint64, n int) []T {
	s := make([]T, n)
	for i, v := range random(seed, n) {
		v = math.Round(3 * v)
		if dtypeOf[T]() == backend.Uint8 {
			v = math.Abs(v)
		}
		s[i] = cast[T](v)
	}
	return s
}

// wantValues is wantFloats for an array of type T; what is not a float must be
// exact.
func wantValues[T elem](t *testing.T, be backend.Backend, what string, a backend.Array, want []float64) {
	t.Helper()
	switch dtypeOf[T]() {
	case backend.Float32:
		wantFloats(t, be, what, a, want, tolerance[float32]())
		return
	case backend.Float64:
		wantFloats(t, be, what, a, want, tolerance[float64]())
		return
	}
	got := get[T](be, a)
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if uncast(got[i]) != w {
			t.Fatalf("%s: element %d: got %v, want %v", what, i, got[i], w)
		}
	}
}

var reduceNames = [backend.NumReduceOps]string{
	backend.ReduceSum: "sum", backend.ReduceSumSquares: "sum of squares", backend.ReduceProd: "product",
	backend.ReduceMax: "maximum", backend.ReduceMin: "minimum", backend.ReduceAny: "any", backend.ReduceAll: "all",
}

// reduceSlowly is the reference: the result's length follows from g.
func reduceSlowly(x []float64, op backend.ReduceOp, g backend.ReduceGeom) []float64 {
	n := 1
	for d, s := range g.Shape {
		if !g.Reduce[d] {
			n *= s
		}
	}
	start := [backend.NumReduceOps]float64{
		backend.ReduceProd: 1, backend.ReduceMax: math.Inf(-1), backend.ReduceMin: math.Inf(1), backend.ReduceAll: 1,
	}[op]
	out := slices.Repeat([]float64{start}, n)
	for i, v := range x {
		at, stride, rest := 0, 1, i
		for d := len(g.Shape) - 1; d >= 0; d-- {
			if !g.Reduce[d] {
				at += rest % g.Shape[d] * stride
				stride *= g.Shape[d]
			}
			rest /= g.Shape[d]
		}
		switch op {
		case backend.ReduceSum:
			out[at] += v
		case backend.ReduceSumSquares:
			out[at] += v * v
		case backend.ReduceProd:
			out[at] *= v
		case backend.ReduceMax:
			out[at] = max(out[at], v)
		case backend.ReduceMin:
			out[at] = min(out[at], v)
		case backend.ReduceAny:
			if v != 0 {
				out[at] = 1
			}
		case backend.ReduceAll:
			if v == 0 {
				out[at] = 0
			}
		}
	}
	return out
}

// reduceInput makes n elements for which op can be computed exactly enough:
// factors near 1, few zeros for Any, few others for All.
func reduceInput[T elem](op backend.ReduceOp, n int) []T {
	s := make([]T, n)
	kind := dtypeOf[T]()
	for i, v := range random(uint64(n), n) {
		switch {
		case op == backend.ReduceAny:
			v = cond(v > 0.95, 1, 0)
		case op == backend.ReduceAll:
			v = cond(v > 0.95, 0, 1)
		case op == backend.ReduceProd && kind.IsFloat():
			v = 1 + v/100
		case op == backend.ReduceProd:
			v = cond(i%5000 == 3, 2, 1) * cond(v < 0 && kind == backend.Int64, -1, 1)
		case kind == backend.Int64:
			v = math.Round(100 * v)
		case kind == backend.Uint8:
			v = math.Round(math.Abs(200 * v))
		case kind == backend.Bool:
			v = cond(v > 0, 1, 0)
		}
		s[i] = cast[T](v)
	}
	return s
}

func cond(is bool, yes, no float64) float64 {
	if is {
		return yes
	}
	return no
}

func testReduce(t *testing.T, be backend.Backend) {
	const y, n = true, false
	geoms := []backend.ReduceGeom{
		{},
		{Shape: []int{1}, Reduce: []bool{y}},
		{Shape: []int{7}, Reduce: []bool{y}},
		{Shape: []int{7}, Reduce: []bool{n}},
		{Shape: []int{5, 3}, Reduce: []bool{n, y}},
		{Shape: []int{5, 3}, Reduce: []bool{y, n}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{y, y, y}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{y, n, y}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{n, y, n}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{y, y, n}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{n, y, y}},
		{Shape: []int{4, 3, 5}, Reduce: []bool{n, n, n}},
		{Shape: []int{2, 3, 1, 4, 5}, Reduce: []bool{y, n, y, y, n}},
		{Shape: []int{2, 3, 1, 4, 5}, Reduce: []bool{n, y, y, n, y}},
		{Shape: []int{2, 3, 4, 2, 3}, Reduce: []bool{y, n, y, n, y}},
		{Shape: []int{2, 3, 4, 2, 3}, Reduce: []bool{n, y, n, y, n}},
		{Shape: []int{0}, Reduce: []bool{y}},
		{Shape: []int{0}, Reduce: []bool{n}},
		{Shape: []int{0, 3}, Reduce: []bool{y, n}},
		{Shape: []int{3, 0}, Reduce: []bool{y, n}},
		{Shape: []int{3, 0, 2}, Reduce: []bool{n, y, n}},
		// Large enough to be cut into pieces.
		{Shape: []int{140001}, Reduce: []bool{y}},
		{Shape: []int{3, 70001}, Reduce: []bool{n, y}},
		{Shape: []int{101, 700}, Reduce: []bool{n, y}},
		{Shape: []int{301, 700}, Reduce: []bool{y, n}},
		{Shape: []int{30001, 3}, Reduce: []bool{y, n}},
		{Shape: []int{9, 3, 90, 91}, Reduce: []bool{y, n, y, y}},
		{Shape: []int{2, 30001, 3}, Reduce: []bool{n, y, n}},
	}
	for _, g := range geoms {
		for op := range backend.NumReduceOps {
			testReduceOne[float32](t, be, op, g)
			testReduceOne[float64](t, be, op, g)
			testReduceOne[int64](t, be, op, g)
			testReduceOne[uint8](t, be, op, g)
			testReduceOne[bool](t, be, op, g)
		}
	}
}

// viewGeoms are reductions of views.
func viewGeoms() (geoms []backend.ReduceGeom) {
	views := []struct{ shape, strides []int }{
		{[]int{5, 7}, []int{1, 5}},                          // transposed
		{[]int{1, 7, 1, 5}, []int{3, 1, 0, 7}},              // with dimensions of size 1
		{[]int{2, 3, 4, 5}, []int{60, 5, 15, 1}},            // [B,T,H,D] as [B,H,T,D]
		{[]int{4, 5, 6, 3}, []int{90, 3, 15, 1}},            // the same, other sizes
		{[]int{2, 5, 3, 4}, []int{60, 1, 20, 5}},            // NHWC as NCHW
		{[]int{4, 3, 2}, []int{1, 4, 12}},                   // all reversed
		{[]int{6, 5}, []int{9, 1}},                          // narrow
		{[]int{5, 6}, []int{1, 9}},                          // narrow and transposed
		{[]int{6, 5}, []int{22, 2}},                         // every second column
		{[]int{13}, []int{3}},                               // every third element
		{[]int{4, 3, 5}, []int{0, 5, 1}},                    // expanded first
		{[]int{4, 3, 5}, []int{5, 0, 1}},                    // expanded in the middle
		{[]int{4, 3, 5}, []int{3, 1, 0}},                    // expanded last
		{[]int{3, 4}, []int{0, 0}},                          // one element
		{[]int{7, 3}, []int{2, 1}},                          // windows that overlap
		{[]int{5}, []int{6}},                                // a diagonal
		{[]int{3, 0, 2}, []int{1, 3, 7}},                    // empty
		{nil, []int{}},                                      // a scalar
		{[]int{300, 701}, []int{1, 300}},                    // large enough to be cut into pieces
		{[]int{301, 700}, []int{901, 1}},                    //
		{[]int{70001, 3}, []int{7, 2}},                      //
		{[]int{3, 70001}, []int{1, 4}},                      //
		{[]int{2, 700, 3, 90}, []int{189000, 90, 63000, 1}}, //
		{[]int{70001, 2}, []int{0, 1}},                      //
		{[]int{2, 70001}, []int{1, 0}},                      //
	}
	for _, v := range views {
		all := 1 << len(v.shape)
		for bits := range all {
			if len(v.shape) == 4 && bits%3 == 2 {
				continue
			}
			g := backend.ReduceGeom{Shape: v.shape, Strides: v.strides, Reduce: make([]bool, len(v.shape))}
			for d := range g.Reduce {
				g.Reduce[d] = bits>>d&1 != 0
			}
			geoms = append(geoms, g)
		}
	}
	return geoms
}

func testReduceViews(t *testing.T, be backend.Backend) {
	for _, g := range viewGeoms() {
		n := 1
		for _, s := range g.Shape {
			n *= s
		}
		for op := range backend.NumReduceOps {
			if n > 1000 && op != backend.ReduceSum && op != backend.ReduceMax {
				continue
			}
			testReduceOne[float32](t, be, op, g)
			testReduceOne[float64](t, be, op, g)
			testReduceOne[int64](t, be, op, g)
			testReduceOne[uint8](t, be, op, g)
			testReduceOne[bool](t, be, op, g)
		}
	}
	// Whole numbers have exact sums, also in half precision.
	for _, dtype := range []backend.DType{backend.BFloat16, backend.Float16} {
		for _, g := range viewGeoms() {
			at := positions(g.Shape, g.Strides, 0)
			if len(at) > 1000 {
				continue
			}
			last := 0
			for _, k := range at {
				last = max(last, k)
			}
			in, x := random(7, last+2), make([]float64, len(at))
			for i := range in {
				in[i] = math.Round(2 * in[i])
			}
			for i, k := range at {
				x[i] = in[k]
			}
			want := reduceSlowly(x, backend.ReduceSum, g)
			src := backend.Array{Buffer: be.NewBuffer(dtype, len(in)), Len: len(in)}
			be.Copy(src, floats[float32](be, in))
			for _, to := range []backend.DType{dtype, backend.Float32} {
				dst := backend.Array{Buffer: be.NewBuffer(to, len(want)), Len: len(want)}
				be.Reduce(dst, src, backend.ReduceSum, g)
				got := empty[float32](be, len(want))
				be.Copy(got, dst)
				wantFloats(t, be, fmt.Sprintf("sum of %v in %v: %+v", dtype, to, g), got, want, 0)
			}
		}
	}
}

// testReduceDims has dimensions that are kept and reduced in turn.
func testReduceDims(t *testing.T, be backend.Backend) {
	for _, dims := range []int{15, 16, 17, 18} {
		g := backend.ReduceGeom{Shape: make([]int, dims), Reduce: make([]bool, dims)}
		for d := range dims {
			g.Shape[d], g.Reduce[d] = 2, d%2 == 1
		}
		testReduceOne[float32](t, be, backend.ReduceSum, g)
		testReduceOne[int64](t, be, backend.ReduceMax, g)
	}
}

func testReduceOne[T elem](t *testing.T, be backend.Backend, op backend.ReduceOp, g backend.ReduceGeom) {
	t.Helper()
	n := 1
	for _, s := range g.Shape {
		n *= s
	}
	in := reduceInput[T](op, n)
	x := make([]float64, n)
	if g.Strides != nil {
		at := positions(g.Shape, g.Strides, 0)
		last := -1
		for _, k := range at {
			last = max(last, k)
		}
		in = reduceInput[T](op, last+2)
		for i, k := range at {
			x[i] = uncast(in[k])
		}
	} else {
		for i, v := range in {
			x[i] = uncast(v)
		}
	}
	want := reduceSlowly(x, op, g)
	what := fmt.Sprintf("%s of %v over %v of %v, %v", reduceNames[op], dtypeOf[T](), g.Reduce, g.Shape, g.Strides)
	src := put(be, in)
	switch {
	case op == backend.ReduceMax || op == backend.ReduceMin:
		if n == 0 {
			return // there is none
		}
		dst := empty[T](be, len(want))
		be.Reduce(dst, src, op, g)
		wantValues[T](t, be, what, dst, want)
	case op == backend.ReduceAny || op == backend.ReduceAll:
		dst := empty[bool](be, len(want))
		be.Reduce(dst, src, op, g)
		wantValues[bool](t, be, what, dst, want)
	case !dtypeOf[T]().IsFloat():
		dst := empty[int64](be, len(want))
		be.Reduce(dst, src, op, g)
		wantValues[int64](t, be, what, dst, want)
	default:
		dst := empty[T](be, len(want))
		be.Reduce(dst, src, op, g)
		wantValues[T](t, be, what, dst, want)
	}
}

func testReduceNaN(t *testing.T, be backend.Backend) {
	nan := math.NaN()
	x := []float64{
		1, nan, 3,
		nan, 5, 6,
		0, 0, 0,
		7, 8, nan,
	}
	rowsOf := backend.ReduceGeom{Shape: []int{4, 3}, Reduce: []bool{false, true}}
	columnsOf := backend.ReduceGeom{Shape: []int{4, 3}, Reduce: []bool{true, false}}
	for _, op := range []backend.ReduceOp{backend.ReduceMax, backend.ReduceMin, backend.ReduceSum, backend.ReduceProd} {
		dst := empty[float32](be, 4)
		be.Reduce(dst, floats[float32](be, x), op, rowsOf)
		wantFloats(t, be, reduceNames[op]+" of rows", dst, []float64{nan, nan, 0, nan}, 0)
		dst = empty[float64](be, 3)
		be.Reduce(dst, floats[float64](be, x), op, columnsOf)
		wantFloats(t, be, reduceNames[op]+" of columns", dst, []float64{nan, nan, nan}, 0)
	}
	dst := empty[bool](be, 4)
	be.Reduce(dst, floats[float32](be, x), backend.ReduceAny, rowsOf)
	wantExact(t, be, "any of rows", dst, []bool{true, true, false, true})
	be.Reduce(dst, floats[float64](be, x), backend.ReduceAll, rowsOf)
	wantExact(t, be, "all of rows", dst, []bool{true, true, false, true})

	// Views: every second column, and the transposed.
	dst = empty[float32](be, 4)
	be.Reduce(dst, floats[float32](be, x), backend.ReduceMax, backend.ReduceGeom{Shape: []int{4, 2}, Strides: []int{3, 2}, Reduce: []bool{false, true}})
	wantFloats(t, be, "maximum of rows of every second column", dst, []float64{3, nan, 0, nan}, 0)
	dst = empty[float32](be, 3)
	be.Reduce(dst, floats[float32](be, x), backend.ReduceMin, backend.ReduceGeom{Shape: []int{3, 4}, Strides: []int{1, 3}, Reduce: []bool{false, true}})
	wantFloats(t, be, "minimum of rows of the transposed", dst, []float64{nan, nan, nan}, 0)

	// A NaN in one of many pieces.
	long := make([]float64, 200000)
	long[150000] = nan
	one := empty[float32](be, 1)
	be.Reduce(one, floats[float32](be, long), backend.ReduceMax, backend.ReduceGeom{Shape: []int{len(long)}, Reduce: []bool{true}})
	wantFloats(t, be, "maximum of many", one, []float64{nan}, 0)
}

func testReduceWider(t *testing.T, be backend.Backend) {
	for _, c := range []struct {
		from, to backend.DType
		op       backend.ReduceOp
		v, want  float64 // of three elements each
	}{
		{backend.Float32, backend.Float64, backend.ReduceSum, 0x1p127, 3 * 0x1p127},
		{backend.Float32, backend.Float64, backend.ReduceSumSquares, 0x1p100, 3 * 0x1p200},
		{backend.Float32, backend.Float64, backend.ReduceProd, 0x1p-100, 0x1p-300},
		{backend.Float16, backend.Float32, backend.ReduceSum, 0x1p15, 3 * 0x1p15},
		{backend.Float16, backend.Float32, backend.ReduceSumSquares, 0x1p-20, 3 * 0x1p-40},
		{backend.Float16, backend.Float32, backend.ReduceMax, 0x1p15, 0x1p15},
		{backend.Float16, backend.Float64, backend.ReduceSum, 0x1p15, 3 * 0x1p15},
		{backend.BFloat16, backend.Float32, backend.ReduceSum, 1 + 0x1p-7, 3 + 3*0x1p-7},
		{backend.BFloat16, backend.Float64, backend.ReduceSumSquares, 0x1p100, 3 * 0x1p200},
	} {
		for _, columns := range []int{1, 5} {
			for _, repeat := range []int{1, 1 << 16} { // of the three, followed by what changes nothing
				if repeat > 1 && c.op != backend.ReduceSum && c.op != backend.ReduceSumSquares {
					continue
				}
				n := 3 * repeat
				s := make([]float64, n*columns)
				for i := range 3 * columns {
					s[i] = c.v
				}
				x := backend.Array{Buffer: be.NewBuffer(c.from, len(s)), Len: len(s)}
				be.Copy(x, floats[float64](be, s))
				dst := backend.Array{Buffer: be.NewBuffer(c.to, columns), Len: columns}
				be.Reduce(dst, x, c.op, backend.ReduceGeom{Shape: []int{n, columns}, Reduce: []bool{true, false}})
				got := empty[float64](be, columns)
				be.Copy(got, dst)
				wantFloats(t, be, fmt.Sprintf("%s of %s in %s, %d of %d", reduceNames[c.op], c.from, c.to, n, columns), got, slices.Repeat([]float64{c.want}, columns), 0)
			}
		}
	}
}

func testReduceThreads(t *testing.T, be backend.Backend) {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	for _, g := range []backend.ReduceGeom{
		{Shape: []int{300007}, Reduce: []bool{true}},
		{Shape: []int{30001, 7}, Reduce: []bool{true, false}},
		{Shape: []int{300, 1100}, Reduce: []bool{true, false}},
		{Shape: []int{90, 5, 400}, Reduce: []bool{true, false, true}},
		{Shape: []int{300, 1100}, Reduce: []bool{true, false}, Strides: []int{1, 300}},
		{Shape: []int{300, 700}, Reduce: []bool{true, false}, Strides: []int{1500, 2}},
		{Shape: []int{300, 700}, Reduce: []bool{false, true}, Strides: []int{1500, 2}},
		{Shape: []int{400, 5, 90}, Reduce: []bool{true, false, true}, Strides: []int{1, 0, 500}},
	} {
		n, m := 1, 1
		for d, s := range g.Shape {
			n *= s
			if !g.Reduce[d] {
				m *= s
			}
		}
		if g.Strides != nil {
			n = 1
			for d, s := range g.Shape {
				n += (s - 1) * g.Strides[d]
			}
		}
		x := put(be, random(9, n))
		var want []float64
		for _, p := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(p)
			dst := empty[float64](be, m)
			be.Reduce(dst, x, backend.ReduceSum, g)
			if want == nil {
				want = get[float64](be, dst)
			}
			wantExact(t, be, fmt.Sprintf("sum over %v of %v on %d threads", g.Reduce, g.Shape, p), dst, want)
		}
	}
}

// alongGeoms are shapes for operations along one dimension.
var alongGeoms = []backend.DimGeom{
	{Outer: 1, N: 1, Inner: 1}, {Outer: 1, N: 17, Inner: 1}, {Outer: 5, N: 10, Inner: 1}, {Outer: 1, N: 6, Inner: 7},
	{Outer: 3, N: 1, Inner: 4}, {Outer: 3, N: 5, Inner: 2}, {Outer: 2, N: 9, Inner: 301}, {Outer: 0, N: 3, Inner: 2},
	{Outer: 2, N: 3, Inner: 0}, {Outer: 700, N: 11, Inner: 3}, {Outer: 1, N: 30000, Inner: 1}, {Outer: 2, N: 0, Inner: 3},
}

// alongColumns calls f with the offsets of the N elements of each column.
func alongColumns(g backend.DimGeom, f func(column int, at []int)) {
	at := make([]int, g.N)
	for c := range g.Outer * g.Inner {
		for n := range at {
			at[n] = (c/g.Inner*g.N+n)*g.Inner + c%g.Inner
		}
		f(c, at)
	}
}

func testReduceIndex(t *testing.T, be backend.Backend) {
	testReduceIndexOf[float32](t, be)
	testReduceIndexOf[float64](t, be)
	testReduceIndexOf[int64](t, be)
	testReduceIndexOf[uint8](t, be)
	testReduceIndexOf[bool](t, be)
}

func testReduceIndexOf[T elem](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		if g.N == 0 {
			continue // there is no extreme
		}
		x := small[T](4, g.Outer*g.N*g.Inner)
		for _, smallest := range []bool{false, true} {
			want := make([]int64, g.Outer*g.Inner)
			wantV := make([]T, g.Outer*g.Inner)
			alongColumns(g, func(c int, at []int) {
				for n := range at {
					v, best := uncast(x[at[n]]), uncast(x[at[want[c]]])
					if v > best && !smallest || v < best && smallest {
						want[c] = int64(n)
					}
				}
				wantV[c] = x[at[want[c]]]
			})
			what := fmt.Sprintf("%v %+v smallest %v", dtypeOf[T](), g, smallest)
			values, indices := empty[T](be, len(want)), empty[int64](be, len(want))
			be.ReduceIndex(values, indices, put(be, x), smallest, g)
			wantExact(t, be, what+": indices", indices, want)
			wantExact(t, be, what+": values", values, wantV)
			indices = empty[int64](be, len(want))
			be.ReduceIndex(backend.Array{}, indices, put(be, x), smallest, g)
			wantExact(t, be, what+" without values", indices, want)
		}
	}
}

func testReduceIndexNaN(t *testing.T, be backend.Backend) {
	nan := math.NaN()
	x := []float64{
		1, 9, nan, 2, nan,
		nan, 1, 2, 3, 4,
		4, 3, 2, 1, nan,
	}
	for _, smallest := range []bool{false, true} {
		indices, values := empty[int64](be, 3), empty[float32](be, 3)
		be.ReduceIndex(values, indices, floats[float32](be, x), smallest, backend.DimGeom{Outer: 3, N: 5, Inner: 1})
		wantExact(t, be, "rows", indices, []int64{2, 0, 4})
		wantFloats(t, be, "rows", values, []float64{nan, nan, nan}, 0)
	}
	indices := empty[int64](be, 5)
	be.ReduceIndex(backend.Array{}, indices, floats[float64](be, x), false, backend.DimGeom{Outer: 1, N: 3, Inner: 5})
	wantExact(t, be, "columns", indices, []int64{1, 0, 0, 1, 0})
}

func testCumsum(t *testing.T, be backend.Backend) {
	testCumsumOf[float32, float32](t, be)
	testCumsumOf[float64, float64](t, be)
	testCumsumOf[int64, int64](t, be)
	testCumsumOf[uint8, int64](t, be)
	testCumsumOf[bool, int64](t, be)
}

func testCumsumOf[T, D elem](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, g := range alongGeoms {
		x := reduceInput[T](backend.ReduceSum, g.Outer*g.N*g.Inner)
		for _, reverse := range []bool{false, true} {
			want := make([]float64, len(x))
			alongColumns(g, func(_ int, at []int) {
				if reverse {
					at = slices.Clone(at)
					slices.Reverse(at)
				}
				sum := 0.0
				for _, i := range at {
					sum += uncast(x[i])
					want[i] = sum
				}
			})
			dst := empty[D](be, len(x))
			be.Cumsum(dst, put(be, x), reverse, g)
			wantValues[D](t, be, fmt.Sprintf("%v %+v reverse %v", dtypeOf[T](), g, reverse), dst, want)
		}
	}
}
