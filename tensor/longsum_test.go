package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// Sums of very many products do not drift: no running number takes all of them.
// PyTorch's Dot of ten million numbers is off by 2.7e-3, and its product of a row
// and a column by 8.8e-2.
func TestLongSums(t *testing.T) {
	const k, tenth = 10_000_000, float64(float32(0.1))
	n := k
	if testing.Short() {
		n = 1_000_000
	}
	x, one := tensor.Full(0.1, n), tensor.Ones(n)
	total := tenth * float64(n)
	check := func(name string, y *T, want, tolerance float64) {
		t.Helper()
		for _, got := range y.Float64s() {
			if !(math.Abs(got/want-1) <= tolerance) {
				t.Errorf("%s: got %v, want %v within %v (off by %.1e)", name, got, want, tolerance, got/want-1)
				return
			}
		}
	}
	sums := func(name string, x, one *T, total, tolerance float64) {
		t.Helper()
		check(name+" Dot", x.Dot(one), total, tolerance)
		check(name+" row·column", x.View(1, -1).MatMul(one.View(-1, 1)), total, tolerance)
		check(name+" row·vector", x.View(1, -1).MatMul(one), total, tolerance)
		check(name+" vector·column", x.MatMul(one.View(-1, 1)), total, tolerance)
		check(name+" Linear", tensor.Linear(x.View(1, -1), one.View(1, -1), nil), total, tolerance)
		check(name+" Sum", x.Sum(), total, tolerance)
		check(name+" Cumsum", x.Cumsum(0).Narrow(0, x.Len()-1, 1), total, tolerance)
		part := x.Len() / 2
		for _, c := range []struct{ m, n int }{{1, 2}, {2, 1}, {2, 2}, {1, 9}, {9, 1}, {3, 5}, {17, 40}} {
			k := part / max(c.m, c.n)
			a, b := x.Narrow(0, 0, c.m*k), one.Narrow(0, 0, c.n*k)
			want := total / float64(x.Len()) * float64(k)
			check(name+" rows·columns", a.View(c.m, k).MatMul(b.View(k, c.n)), want, tolerance)
			check(name+" Linear of rows", tensor.Linear(a.View(c.m, k), b.View(c.n, k), nil), want, tolerance)
			// The weight's gradient sums over the rows, and so does the bias's.
			in, w, bias := b.View(k, c.n), tensor.ZerosLike(b.Narrow(0, 0, c.m*c.n)).View(c.m, c.n).SetRequiresGrad(true), tensor.ZerosLike(b.Narrow(0, 0, c.m)).SetRequiresGrad(true)
			y := tensor.Linear(in, w, bias)
			y.Mul(a.View(k, c.m)).Sum().Backward()
			check(name+" Linear's weight", w.Grad(), want, tolerance)
			check(name+" Linear's bias", bias.Grad(), want, tolerance)
		}
		batch := x.Narrow(0, 0, part/2*2).View(2, 1, part/2)
		check(name+" batched", batch.MatMul(one.Narrow(0, 0, part/2).View(part/2, 1)), total/float64(x.Len())*float64(part/2), tolerance)
	}
	sums("float32", x, one, total, 1e-5)
	n = min(n, 2_000_000) // of what takes longer
	x, one, total = x.Narrow(0, 0, n), one.Narrow(0, 0, n), tenth*float64(n)
	sums("float64", x.ToDType(tensor.Float64), one.ToDType(tensor.Float64), total, 1e-9)
	half := 0.10009765625
	sums("bfloat16", x.ToDType(tensor.BFloat16), one.ToDType(tensor.BFloat16), half*float64(n), 4e-3)
	few := 400_000 // so that the sum is a float16
	sums("float16", x.Narrow(0, 0, few).ToDType(tensor.Float16), one.Narrow(0, 0, few).ToDType(tensor.Float16), 0.0999755859375*float64(few), 5e-4)

	// Sums over repeated indices, one place of which gets nearly all and another few.
	index := tensor.Zeros(n).ToDType(tensor.Int64)
	index.Narrow(0, 0, 3).Fill(1)
	many := tenth * float64(n-3)
	base := tensor.Zeros(2)
	columns, at := x.View(-1, 2), index.Narrow(0, 0, n/2)
	for name, f := range map[string]func(p *T) (sum *T, grad bool){
		"IndexAdd":      func(*T) (*T, bool) { return base.IndexAdd(0, index, x), false },
		"ScatterAdd":    func(*T) (*T, bool) { return base.ScatterAdd(0, index, x), false },
		"IndexSelect's": func(p *T) (*T, bool) { return p.IndexSelect(0, index).Mul(x), true },
		"Gather's":      func(p *T) (*T, bool) { return p.Gather(0, index).Mul(x), true },
		"Embedding's":   func(p *T) (*T, bool) { return tensor.Embedding(p.View(2, 1), index).View(-1).Mul(x), true },
		"IndexAdd of BFloat16": func(*T) (*T, bool) {
			return base.ToDType(tensor.BFloat16).IndexAdd(0, index, tensor.Full(half, n).ToDType(tensor.BFloat16)).ToDType(tensor.Float32).MulScalar(tenth / half), false
		},
	} {
		p := base.Clone().SetRequiresGrad(true)
		got, grad := f(p)
		if grad {
			got.Sum().Backward()
			got = p.Grad()
		}
		tolerance := 1e-5
		if name == "IndexAdd of BFloat16" {
			tolerance = 4e-3
		}
		check(name, got.Narrow(0, 0, 1), many, tolerance)
		check(name+" few", got.Narrow(0, 1, 1), 3*tenth, tolerance)
	}
	check("IndexAdd of rows", tensor.Zeros(2, 2).IndexAdd(0, at, columns).Narrow(0, 0, 1), tenth*float64(n/2-3), 1e-5)
	check("IndexAdd of columns", tensor.Zeros(2, 2).IndexAdd(1, at, columns.T()).Narrow(1, 0, 1), tenth*float64(n/2-3), 1e-5)
	check("ScatterAdd of rows", tensor.Zeros(2, 2).ScatterAdd(0, at.View(-1, 1).Expand(n/2, 2), columns).Narrow(0, 0, 1), tenth*float64(n/2-3), 1e-5)
	check("ScatterAdd of columns", tensor.Zeros(2, 2).ScatterAdd(1, at.View(1, -1).Expand(2, n/2), columns.T()).Narrow(1, 0, 1), tenth*float64(n/2-3), 1e-5)

	// Convolutions: kernels as large as the image, and gradients over many pixels.
	for _, c := range []struct {
		name                string
		n, c, k, h, w, r, s int
		groups              int
	}{
		{"a large kernel", 1, 1, 1, 1000, n / 1000, 1000, n / 1000, 1},
		{"a large kernel of many channels", 1, 16, 3, 100, n / 2000, 100, n / 2000, 1},
		{"a large depthwise kernel", 1, 2, 2, 1000, n / 2000, 1000, n / 2000, 2},
		{"many pixels, planes", 1, 1, 1, 1000, n / 1000, 3, 3, 1},
		{"many pixels of many images, planes", 50, 2, 1, 100, n / 10000, 3, 3, 1},
		{"many pixels, 1x1", 2, 2, 2, 1000, n / 4000, 1, 1, 1},
		{"many pixels, 5x5", 1, 1, 2, 1000, n / 2000, 5, 5, 1},
		{"many pixels, depthwise", 2, 2, 2, 1000, n / 4000, 3, 3, 2},
		{"many pixels, Winograd's", 1, 16, 16, 250, n / 4000, 3, 3, 1},
	} {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.BFloat16} {
			if dtype != tensor.Float32 && testing.Short() {
				continue
			}
			one, tolerance := tenth, 1e-5
			if dtype == tensor.BFloat16 {
				one, tolerance = half, 4e-3
			}
			x := tensor.Full(0.1, c.n, c.c, c.h, c.w).ToDType(dtype).SetRequiresGrad(true)
			w := tensor.Ones(c.k, c.c/c.groups, c.r, c.s).ToDType(dtype).SetRequiresGrad(true)
			bias := tensor.Zeros(c.k).ToDType(dtype).SetRequiresGrad(true)
			y := tensor.Conv2d(x, w, bias, tensor.ConvOpts{Groups: c.groups})
			check(c.name+" "+dtype.String(), y.Detach(), one*float64(c.c/c.groups*c.r*c.s), tolerance)
			if c.r > 5 {
				continue
			}
			y.Sum().Backward()
			pixels := float64(c.n * y.Size(2) * y.Size(3))
			check(c.name+", the weight's gradient "+dtype.String(), w.Grad(), one*pixels, tolerance)
			check(c.name+", the bias's gradient "+dtype.String(), bias.Grad(), pixels, tolerance)
		}
	}
}
