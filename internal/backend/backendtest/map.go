package backendtest

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
)

func init() {
	rows = append(rows,
		Row{"Map", "runs each instruction on each type", testMapInstructions},
		Row{"Map", "changes arrays in place, many at once and of any length", testMapInPlace},
		Row{"Map", "stores what was loaded before any store", testMapSwap},
		Row{"Map", "rounds what it stores, and goes on with the value as it was", testMapRounds},
		Row{"Map", "takes arrays of several types", testMapMixed},
		Row{"Map", "runs long rules", testMapLong},
		Row{"Map", "the number of threads does not matter", testMapThreads},
		Row{"Map", "a kernel for SGD gives the bits of its rule", testMapSGD},
		Row{"Map", "a kernel for Adam gives the bits of its rule", testMapAdam},
	)
}

// optimSizes are the lengths of the parameters of a step: one element, none, odd
// ones, and several pieces of work.
var optimSizes = []int{5, 1, 0, 67, 40001, 16384, 3}

const optimSteps = 4

var mapTypes = []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16}

// states is arrays of a backend, one a parameter, and what they are to hold.
type states struct {
	arrays []backend.Array
	want   [][]float64
}

// newStates makes arrays of random numbers, or of zeros.
func newStates[T float32 | float64](be backend.Backend, seed uint64) *states {
	var s states
	for i, n := range optimSizes {
		v := make([]float64, n)
		if seed > 0 {
			v = random(seed+uint64(i), n)
		}
		s.want = append(s.want, v)
		s.arrays = append(s.arrays, floats[T](be, v))
	}
	return &s
}

func (s *states) check(t *testing.T, be backend.Backend, what string, tol float64) {
	t.Helper()
	for i, a := range s.arrays {
		wantFloats(t, be, fmt.Sprintf("%s %d", what, i), a, s.want[i], tol)
	}
}

// as makes an array of any floating-point type that holds s.
func as(be backend.Backend, t backend.DType, s []float64) backend.Array {
	a := backend.Array{Buffer: be.NewBuffer(t, len(s)+3), Offset: 3, Len: len(s)}
	be.Copy(a, put(be, s))
	return a
}

// held returns what an array of any floating-point type holds.
func held(be backend.Backend, a backend.Array) []float64 {
	wide := empty[float64](be, a.Len)
	be.Copy(wide, a)
	return get[float64](be, wide)
}

// mapOne runs a rule once for one array of each list, and returns what the
// destinations hold.
func mapOne(be backend.Backend, f *expr.Formula, dst []backend.Array, src ...backend.Array) [][]float64 {
	be.Map(singles(dst), singles(src), backend.Rule{Expr: f.Expr, Numbers: f.Numbers})
	got := make([][]float64, len(dst))
	for i, a := range dst {
		got[i] = held(be, a)
	}
	return got
}

// singles makes a list of each array.
func singles(arrays []backend.Array) [][]backend.Array {
	lists := make([][]backend.Array, len(arrays))
	for i, a := range arrays {
		lists[i] = []backend.Array{a}
	}
	return lists
}

// same reports whether two numbers are equal, NaN with itself; with a tolerance, whether
// they are near.
func same(a, b, tol float64) bool {
	return a == b || a != a && b != b || math.Abs(a-b) <= tol*math.Abs(b)
}

func testMapInstructions(t *testing.T, be backend.Backend) {
	inf, nan := math.Inf(1), math.NaN()
	var a, b []float64
	for _, x := range []float64{0, math.Copysign(0, -1), 1, -1, 0.5, -0.375, 3, -7, 12, -12, 30, 88, -88, 100, -100, 0.0625, 1e-3, 1e4, inf, -inf, nan} {
		for _, y := range []float64{0, 1, -1, 0.25, 3, -2.5, inf, -inf, nan} {
			a, b = append(a, x), append(b, y)
		}
	}
	truth := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	exact := map[expr.Op]func(x, y float64) float64{ // but for rounding once
		expr.Load: func(x, _ float64) float64 { return x }, expr.Number: func(_, _ float64) float64 { return 0.1 },
		expr.Add: func(x, y float64) float64 { return x + y }, expr.Sub: func(x, y float64) float64 { return x - y },
		expr.Mul: func(x, y float64) float64 { return x * y }, expr.Div: func(x, y float64) float64 { return x / y },
		expr.Max: func(x, y float64) float64 { return max(x, y) }, expr.Min: func(x, y float64) float64 { return min(x, y) },
		expr.Gt: func(x, y float64) float64 { return truth(x > y) }, expr.Ge: func(x, y float64) float64 { return truth(x >= y) },
		expr.Eq: func(x, y float64) float64 { return truth(x == y) },
		expr.Select: func(x, y float64) float64 {
			if x != 0 {
				return y
			}
			return x
		},
		expr.Neg: func(x, _ float64) float64 { return -x }, expr.Abs: func(x, _ float64) float64 { return math.Abs(x) },
		expr.Sign: func(x, _ float64) float64 { return truth(x > 0) - truth(x < 0) },
		expr.Sqrt: func(x, _ float64) float64 { return math.Sqrt(x) },
	}
	near := map[expr.Op]func(x, y float64) float64{
		expr.Exp: func(x, _ float64) float64 { return math.Exp(x) }, expr.Expm1: func(x, _ float64) float64 { return math.Expm1(x) },
		expr.Log: func(x, _ float64) float64 { return math.Log(x) }, expr.Log1p: func(x, _ float64) float64 { return math.Log1p(x) },
		expr.Tanh: func(x, _ float64) float64 { return math.Tanh(x) }, expr.Sigmoid: func(x, _ float64) float64 { return 1 / (1 + math.Exp(-x)) },
	}
	for op := range expr.NumOps {
		if op == expr.Store {
			continue
		}
		want := exact[op]
		if want == nil {
			want = near[op]
		}
		for _, typ := range mapTypes {
			var f expr.Formula
			x, y := f.Load(0), f.Load(1)
			instr := expr.Instr{Op: op, A: 0, B: 1, C: 0}
			if op == expr.Load || op == expr.Number {
				f.Numbers = []float64{0.1}
			}
			f.Expr = append(f.Expr, instr, expr.Instr{Op: expr.Store, A: 2, B: 0})
			_, _ = x, y
			xs, ys := as(be, typ, a), as(be, typ, b)
			got := mapOne(be, &f, []backend.Array{as(be, typ, make([]float64, len(a)))}, xs, ys)[0]
			// What the types hold of the numbers, and what they make of the result.
			x1, y1 := held(be, xs), held(be, ys)
			wide := make([]float64, len(a))
			tol := 0.0
			if exact[op] == nil {
				tol = map[backend.DType]float64{backend.Float64: 4e-16, backend.Float32: 3e-7, backend.BFloat16: 0x1p-7, backend.Float16: 0x1p-10}[typ]
			}
			for i := range wide {
				wide[i] = want(x1[i], y1[i])
				if typ != backend.Float64 {
					wide[i] = float64(float32(wide[i]))
				}
			}
			wanted := held(be, as(be, typ, wide))
			for i := range got {
				if small := math.Abs(wanted[i]) < 1e-30 && math.Abs(got[i]) < 1e-30 && tol > 0; !same(got[i], wanted[i], tol) && !small || tol == 0 && math.Signbit(got[i]) != math.Signbit(wanted[i]) && got[i] == got[i] && op != expr.Max && op != expr.Min {
					t.Errorf("%s of %s: of %v and %v: got %v, want %v", op, typ, x1[i], y1[i], got[i], wanted[i])
					break
				}
			}
		}
	}
}

func testMapInPlace(t *testing.T, be backend.Backend) {
	for _, typ := range mapTypes {
		var lists [3][]backend.Array
		var was [3][][]float64
		for k := range lists {
			for i := range 3 { // more than a launch on a GPU takes
				for j, n := range append([]int{512, 513, 1023, 2, 4, 8}, slices.Repeat(optimSizes, 1+4*(i%2))...) {
					a := as(be, typ, random(uint64(100*k+10*i+j+1), n))
					lists[k], was[k] = append(lists[k], a), append(was[k], held(be, a))
				}
			}
		}
		var f expr.Formula
		w, g, m := f.Load(0), f.Load(1), f.Load(2)
		m = m.MulScalar(0.5).Add(g)
		f.Store(1, m)
		f.Store(0, w.Sub(m.MulScalar(0.25)))
		be.Map([][]backend.Array{lists[0], lists[2]}, lists[:], backend.Rule{Expr: f.Expr, Numbers: f.Numbers})
		eps := map[backend.DType]float64{backend.Float64: 1e-15, backend.Float32: 1e-6, backend.BFloat16: 0x1p-7, backend.Float16: 0x1p-10}[typ]
		for i := range lists[0] {
			got := [3][]float64{held(be, lists[0][i]), held(be, lists[1][i]), held(be, lists[2][i])}
			for k := range got[0] {
				m := was[2][i][k]*0.5 + was[1][i][k]
				want := [3]float64{was[0][i][k] - m*0.25, was[1][i][k], m}
				for l := range want {
					if math.Abs(got[l][k]-want[l]) > 2*eps {
						t.Fatalf("%s: list %d, array %d of %d elements, element %d: got %v, want %v", typ, l, i, len(got[0]), k, got[l][k], want[l])
					}
				}
			}
		}
	}
	var f expr.Formula
	f.Store(0, f.Load(0))
	be.Map([][]backend.Array{nil}, [][]backend.Array{nil}, backend.Rule{Expr: f.Expr})
}

func testMapSwap(t *testing.T, be backend.Backend) {
	for _, typ := range mapTypes {
		x, y, sum := as(be, typ, []float64{1, 2, 3}), as(be, typ, []float64{40, 50, 60}), as(be, typ, []float64{7, 7, 7})
		var f expr.Formula
		a, b := f.Load(0), f.Load(1)
		c := a.Add(b)
		f.Store(0, b)
		f.Store(1, a)
		f.Store(2, c)
		f.Store(3, c)
		f.Store(4, f.Number(0.5))
		f.Store(5, c)
		z, twice := as(be, typ, []float64{1, 1, 1}), as(be, typ, []float64{8, 8, 8})
		also := as(be, typ, []float64{8, 8, 8})
		got := mapOne(be, &f, []backend.Array{x, y, sum, twice, z, also}, x, y)
		want := [][]float64{{40, 50, 60}, {1, 2, 3}, {41, 52, 63}, {41, 52, 63}, {0.5, 0.5, 0.5}, {41, 52, 63}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", typ, got, want)
		}
		// A source that is read again behind what overwrites it, and one that is loaded late.
		f = expr.Formula{}
		a = f.Load(0)
		b = a.MulScalar(2)
		f.Store(0, b)
		f.Store(1, b.Add(a).Add(f.Load(0)))
		got = mapOne(be, &f, []backend.Array{x, y}, x)
		if want := [][]float64{{80, 100, 120}, {160, 200, 240}}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", typ, got, want)
		}
	}
}

func testMapRounds(t *testing.T, be backend.Backend) {
	for typ, bit := range map[backend.DType]float64{backend.BFloat16: 0x1p-9, backend.Float16: 0x1p-12} {
		var f expr.Formula
		v := f.Load(0).AddScalar(bit) // lost where it is stored
		f.Store(0, v)
		f.Store(1, v.SubScalar(1).MulScalar(1024))
		one := as(be, typ, []float64{1})
		got := mapOne(be, &f, []backend.Array{one, as(be, typ, []float64{0})}, one)
		if want := [][]float64{{1}, {bit * 1024}}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", typ, got, want)
		}
	}
}

func testMapMixed(t *testing.T, be backend.Backend) {
	narrow := []backend.DType{backend.Float32, backend.BFloat16, backend.Float16}
	for _, a := range narrow {
		for _, b := range narrow {
			for _, n := range []int{1, 7, 64, 1000} {
				x, y := as(be, a, slices.Repeat([]float64{0.5}, n)), as(be, b, slices.Repeat([]float64{0.25}, n))
				var f expr.Formula
				p, q := f.Load(0), f.Load(1)
				f.Store(0, p.Add(q))
				f.Store(1, p.Mul(q))
				got := mapOne(be, &f, []backend.Array{x, y}, x, y)
				for i := range n {
					if got[0][i] != 0.75 || got[1][i] != 0.125 {
						t.Fatalf("%s and %s: element %d of %d: got %v and %v, want 0.75 and 0.125", a, b, i, n, got[0][i], got[1][i])
					}
				}
			}
		}
	}
}

// testMapLong runs a rule of many instructions, sources, destinations and numbers.
func testMapLong(t *testing.T, be backend.Backend) {
	const lists = 10
	for _, typ := range mapTypes[:2] {
		var f expr.Formula
		var values []expr.Value
		var arrays []backend.Array
		for i := range lists {
			values = append(values, f.Load(i))
			arrays = append(arrays, as(be, typ, slices.Repeat([]float64{float64(i)}, 600)))
		}
		sum := f.Number(0)
		for round := range 3 {
			for _, v := range values {
				sum = sum.Add(v.MulScalar(float64(round + 1)))
			}
		}
		for i, v := range values {
			f.Store(i, sum.Add(v))
		}
		for i, got := range mapOne(be, &f, arrays, arrays...) {
			for k, v := range got {
				if want := float64(45*6 + i); v != want {
					t.Fatalf("%s: array %d, element %d: got %v, want %v", typ, i, k, v, want)
				}
			}
		}
	}
}

func testMapThreads(t *testing.T, be backend.Backend) {
	var want [][]float32
	for _, threads := range []int{1, 2, 3, 8} {
		old := runtime.GOMAXPROCS(threads)
		w, m, v := newStates[float32](be, 1), newStates[float32](be, 0), newStates[float32](be, 0)
		for step := range optimSteps {
			g := newStates[float32](be, 100*uint64(step+1))
			rule := adamRule(adamOptions{lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1}, step+1)
			rule.Kernel = backend.NoKernel
			be.Map([][]backend.Array{w.arrays, m.arrays, v.arrays}, [][]backend.Array{w.arrays, g.arrays, m.arrays, v.arrays}, rule)
		}
		runtime.GOMAXPROCS(old)
		var got [][]float32
		for _, a := range w.arrays {
			got = append(got, get[float32](be, a))
		}
		if want == nil {
			want = got
		}
		if !slices.EqualFunc(got, want, slices.Equal[[]float32]) {
			t.Errorf("parameters of %d threads are not those of 1", threads)
		}
	}
}

// withAndWithout runs steps of a rule with its kernel and without, on numbers of each
// type, and compares. lists of the rule's sources are destinations too, but for the
// second.
func withAndWithout(t *testing.T, be backend.Backend, name string, lists int, rule func(step int) backend.Rule) {
	t.Helper()
	for _, typ := range mapTypes {
		var results [2][][]backend.Array
		for k := range results {
			for l := range lists {
				var list []backend.Array
				for i, n := range optimSizes {
					s := random(uint64(50*l+i+1), n)
					for j := range s {
						switch {
						case l >= 3:
							s[j] = math.Abs(s[j])
						case l < 2 && n == 67 && j < 4: // of a parameter and its gradient
							s[j] = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0}[(j+l)%4]
						}
					}
					list = append(list, as(be, typ, s))
				}
				results[k] = append(results[k], list)
			}
			for step := range optimSteps {
				r := rule(step + 1)
				if k == 0 {
					r.Kernel = backend.NoKernel
				}
				be.Map(slices.Delete(slices.Clone(results[k]), 1, 2), results[k], r)
			}
		}
		for l := range lists {
			for i := range optimSizes {
				got, want := held(be, results[1][l][i]), held(be, results[0][l][i])
				for j := range got {
					if math.Float64bits(got[j]) != math.Float64bits(want[j]) && (got[j] == got[j] || want[j] == want[j]) {
						t.Fatalf("%s, %s: list %d, array %d, element %d: the kernel gives %v, the rule %v", name, typ, l, i, j, got[j], want[j])
					}
				}
			}
		}
	}
}

func testMapSGD(t *testing.T, be backend.Backend) {
	for _, sign := range []float64{1, -1} {
		for _, decay := range []float64{0, 0.01} {
			for _, keep := range []float64{1, 0.7} {
				for _, nesterov := range []bool{false, true} {
					name := fmt.Sprintf("sign %v, decay %v, keep %v, nesterov %v", sign, decay, keep, nesterov)
					withAndWithout(t, be, name, 3, func(int) backend.Rule {
						var f expr.Formula
						numbers := f.NumbersOf(sign, decay, 0.1, 0.9, keep, 0)
						w, d, m := f.Load(0), f.Load(1).Mul(numbers(0)), f.Load(2)
						if decay != 0 {
							d = d.Add(numbers(1).Mul(w))
						}
						m = numbers(3).Mul(m).Add(numbers(4).Mul(d))
						f.Store(1, m)
						if nesterov {
							f.Numbers[5] = 1
							m = d.Add(numbers(3).Mul(m))
						}
						f.Store(0, w.Sub(numbers(2).Mul(m)))
						return backend.Rule{Expr: f.Expr, Numbers: f.Numbers, Kernel: backend.SGDKernel}
					})
				}
			}
		}
	}
}

type adamOptions struct {
	lr, beta1, beta2, eps, decay float64
	decoupled, maximize, amsgrad bool
}

// adamRule is a step of Adam, counted from 1.
func adamRule(o adamOptions, step int) backend.Rule {
	correction1 := 1 - math.Pow(o.beta1, float64(step))
	correction2 := math.Sqrt(1 - math.Pow(o.beta2, float64(step)))
	sign, shrink, decay := 1.0, 1.0, o.decay
	if o.maximize {
		sign = -1
	}
	if o.decoupled {
		shrink, decay = 1-o.lr*o.decay, 0
	}
	var f expr.Formula
	n := f.NumbersOf(sign, decay, shrink, o.lr/correction1, 1/correction2, o.eps, o.beta2, 1-o.beta1, 1-o.beta2)
	w, d, m, v := f.Load(0), f.Load(1).Mul(n(0)), f.Load(2), f.Load(3)
	if decay != 0 {
		d = d.Add(n(1).Mul(w))
	}
	if 1-o.beta1 < 0.5 {
		m = m.Add(n(7).Mul(d.Sub(m)))
	} else {
		m = d.Sub(d.Sub(m).Mul(f.Number(1).Sub(n(7))))
	}
	v = v.Mul(n(6)).Add(n(8).Mul(d).Mul(d))
	f.Store(1, m)
	f.Store(2, v)
	if o.amsgrad {
		v = v.Maximum(f.Load(4))
		f.Store(3, v)
	}
	f.Store(0, n(2).Mul(w).Sub(n(3).Mul(m).Div(v.Sqrt().Mul(n(4)).Add(n(5)))))
	return backend.Rule{Expr: f.Expr, Numbers: f.Numbers, Kernel: backend.AdamKernel}
}

func testMapAdam(t *testing.T, be backend.Backend) {
	for _, o := range []adamOptions{
		{lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8},
		{lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1, maximize: true},
		{lr: 0.01, beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1, decoupled: true},
		{lr: 0.01, beta1: 0.3, beta2: 0.5, eps: 1e-2},
		{lr: 0.01, beta1: 0, beta2: 0, eps: 1e-2, maximize: true},
	} {
		for _, o.amsgrad = range []bool{false, true} {
			lists := 4
			if o.amsgrad {
				lists++
			}
			withAndWithout(t, be, fmt.Sprintf("%+v", o), lists, func(step int) backend.Rule { return adamRule(o, step) })
		}
	}
}
