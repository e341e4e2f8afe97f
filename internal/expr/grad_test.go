package expr

import (
	"math"
	"testing"
)

// run computes what a formula stores at destination 0.
func run(f *Formula, sources ...float64) (stored float64) {
	v := make([]float64, len(f.Expr))
	one := map[bool]float64{true: 1}
	for i, in := range f.Expr {
		var a, b float64
		if in.Op.Values() > 0 {
			a = v[in.A]
		}
		if in.Op.Values() > 1 {
			b = v[in.B]
		}
		switch in.Op {
		case Load:
			v[i] = sources[in.A]
		case Number:
			v[i] = f.Numbers[in.A]
		case Store:
			stored = a
		case Add:
			v[i] = a + b
		case Sub:
			v[i] = a - b
		case Mul:
			v[i] = a * b
		case Div:
			v[i] = a / b
		case Max:
			v[i] = max(a, b)
		case Min:
			v[i] = min(a, b)
		case Gt:
			v[i] = one[a > b]
		case Ge:
			v[i] = one[a >= b]
		case Eq:
			v[i] = one[a == b]
		case Select:
			if v[i] = v[in.C]; a != 0 {
				v[i] = b
			}
		case Neg:
			v[i] = -a
		case Abs:
			v[i] = math.Abs(a)
		case Sign:
			v[i] = one[a > 0] - one[a < 0]
		case Sqrt:
			v[i] = math.Sqrt(a)
		case Exp:
			v[i] = math.Exp(a)
		case Expm1:
			v[i] = math.Expm1(a)
		case Log:
			v[i] = math.Log(a)
		case Log1p:
			v[i] = math.Log1p(a)
		case Tanh:
			v[i] = math.Tanh(a)
		case Sigmoid:
			v[i] = 1 / (1 + math.Exp(-a))
		}
	}
	return stored
}

// TestGrad holds the gradients of each instruction, and of those gradients, against
// differences.
func TestGrad(t *testing.T) {
	for op := Add; op < NumOps; op++ {
		var f Formula
		x, y := f.Load(0), f.Load(1)
		a, b := x.Mul(y).Add(x), y.Mul(y).AddScalar(0.3)
		if op == Select {
			a.Gt(b).Where(b, x)
		} else {
			f.emit(op, a.i, b.i, 0)
		}
		f.Store(0, Value{&f, uint16(len(f.Expr) - 1)}.Mul(x))
		for _, at := range [][]float64{{0.7, 1.1}, {1.5, 0.4}, {0.3, 0.2}} {
			const g, gg, h = 1.7, -0.6, 1e-5
			check := func(what string, f, grad *Formula, i int, sources ...float64) {
				got := 0.0
				if len(grad.Expr) > 0 {
					got = run(grad, sources...)
				}
				moved := func(by float64) float64 {
					s := append([]float64{}, sources...)
					s[i] += by
					return run(f, s...)
				}
				want := (moved(h) - moved(-h)) / (2 * h) * sources[len(sources)-1]
				if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
					t.Errorf("%s: %s by source %d at %v: got %v, want %v", op, what, i, at, got, want)
				}
			}
			for i := range 2 {
				first := f.Grad(2, i)
				check("gradient", &f, first, i, at[0], at[1], g)
				if len(first.Expr) == 0 {
					continue
				}
				for j := range 3 {
					second := first.Grad(3, j)
					check("second gradient", first, second, j, at[0], at[1], g, gg)
					if len(second.Expr) > 0 && j < 2 {
						check("third gradient", second, second.Grad(4, j), j, at[0], at[1], g, gg, 0.9)
					}
				}
			}
		}
	}
}

func TestGradOfConstants(t *testing.T) {
	var f Formula
	x := f.Load(0)
	f.Store(0, x.Gt(f.Number(0)).Where(f.Number(1), x.Sign()))
	if got := f.Grad(1, 0); len(got.Expr) > 0 {
		t.Errorf("got %v, want none", got.Expr)
	}
	f = Formula{}
	f.Store(0, f.Load(0).MulScalar(3))
	if got := f.Grad(1, 0).Grad(2, 0); len(got.Expr) > 0 {
		t.Errorf("got %v, want none", got.Expr)
	}
}
