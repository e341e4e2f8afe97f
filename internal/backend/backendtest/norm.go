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
		Row{"BatchNorm", "normalizes with the batch's statistics and moves the running ones", testBatchNormTraining},
		Row{"BatchNorm", "normalizes with the running statistics and leaves them", testBatchNormEval},
		Row{"BatchNorm", "a large mean does not drown the variance", testBatchNormLargeMean},
		Row{"BatchNorm", "the number of threads does not matter", testBatchNormThreads},
		Row{"BatchNormGrad", "computes the gradients that are present", testBatchNormGrad},
		Row{"BatchNorm", "with ReLU gives the bits of the two of them", testBatchNormReLU},
		Row{"BatchNormGrad", "with ReLU gives the bits of the two of them", testBatchNormReLU},
		Row{"RowNorm", "normalizes each row", testRowNorm},
		Row{"RowNormGrad", "computes the gradient from the result", testRowNormGrad},
	)
}

// sameOnAnyThreads fails unless f gives the same bits on one thread and on more.
func sameOnAnyThreads(t *testing.T, f func() []float32) {
	t.Helper()
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	var want []float32
	for _, p := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(p)
		got := f()
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%d threads give other bits than one", p)
		}
	}
}

var batchNormGeoms = []backend.BatchNormGeom{
	{N: 2, C: 1, Inner: 1},
	{N: 1, C: 3, Inner: 2},
	{N: 4, C: 5, Inner: 1},
	{N: 33, C: 70, Inner: 1},
	{N: 3, C: 4, Inner: 7},
	{N: 5, C: 6, Inner: 36},
	{N: 4, C: 3, Inner: 1031},
	{N: 3, C: 0, Inner: 4},
}

// channelsOf calls f with the positions of the elements of each channel.
func channelsOf(g backend.BatchNormGeom, f func(c int, at []int)) {
	for c := range g.C {
		var at []int
		for n := range g.N {
			for i := range g.Inner {
				at = append(at, (n*g.C+c)*g.Inner+i)
			}
		}
		f(c, at)
	}
}

// momentsOf returns the mean and the biased variance of the elements of x that
// at names.
func momentsOf(x []float64, at []int) (mean, variance float64) {
	for _, i := range at {
		mean += x[i]
	}
	mean /= float64(len(at))
	for _, i := range at {
		variance += (x[i] - mean) * (x[i] - mean)
	}
	return mean, variance / float64(len(at))
}

// positive returns n numbers in [0.5, 1.5).
func positive(seed uint64, n int) []float64 {
	x := random(seed, n)
	for i := range x {
		x[i] = 1 + x[i]/2
	}
	return x
}

func testBatchNormTraining(t *testing.T, be backend.Backend) {
	for _, g := range batchNormGeoms {
		g.Training, g.Eps, g.Momentum = true, 1e-5, 0.1
		for _, affine := range []bool{true, false} {
			testBatchNormOf[float32](t, be, g, affine, true)
			testBatchNormOf[float64](t, be, g, affine, true)
			testBatchNormOf[float64](t, be, g, affine, false)
		}
	}
	g := backend.BatchNormGeom{C: 2, Inner: 3, Training: true, Eps: 1e-5, Momentum: 0.1}
	mean, variance, none := put(be, []float64{1, 2}), put(be, []float64{3, 4}), put[float64](be, nil)
	be.BatchNorm(none, empty[float64](be, 2), empty[float64](be, 2), mean, variance, none, backend.Array{}, backend.Array{}, g)
	wantExact(t, be, "running mean after an empty batch", mean, []float64{1, 2})
	wantExact(t, be, "running variance after an empty batch", variance, []float64{3, 4})
}

func testBatchNormEval(t *testing.T, be backend.Backend) {
	for _, g := range batchNormGeoms {
		g.Eps, g.Momentum = 1e-3, 0.1
		for _, affine := range []bool{true, false} {
			testBatchNormOf[float32](t, be, g, affine, true)
			testBatchNormOf[float64](t, be, g, affine, true)
		}
	}
}

func testBatchNormOf[T float32 | float64](t *testing.T, be backend.Backend, g backend.BatchNormGeom, affine, running bool) {
	t.Helper()
	x, w, b := random(1, g.N*g.C*g.Inner), positive(2, g.C), random(3, g.C)
	oldMean, oldVar := random(4, g.C), positive(5, g.C)
	want := make([]float64, len(x))
	wantMean, wantInvstd := make([]float64, g.C), make([]float64, g.C)
	newMean, newVar := slices.Clone(oldMean), slices.Clone(oldVar)
	channelsOf(g, func(c int, at []int) {
		m, v := oldMean[c], oldVar[c]
		if g.Training {
			m, v = momentsOf(x, at)
			n := float64(len(at))
			newMean[c] = (1-g.Momentum)*oldMean[c] + g.Momentum*m
			newVar[c] = (1-g.Momentum)*oldVar[c] + g.Momentum*v*n/(n-1)
		}
		wantMean[c], wantInvstd[c] = m, 1/math.Sqrt(v+g.Eps)
		for _, i := range at {
			want[i] = (x[i] - m) * wantInvstd[c]
			if affine {
				want[i] = want[i]*w[c] + b[c]
			}
		}
	})
	var wa, ba, runMean, runVar backend.Array
	if affine {
		wa, ba = floats[T](be, w), floats[T](be, b)
	}
	if running {
		runMean, runVar = floats[T](be, oldMean), floats[T](be, oldVar)
	}
	dst, mean, invstd := empty[T](be, len(x)), empty[T](be, g.C), empty[T](be, g.C)
	be.BatchNorm(dst, mean, invstd, runMean, runVar, floats[T](be, x), wa, ba, g)
	name := fmt.Sprintf("%v %+v affine %v", dtypeOf[T](), g, affine)
	wantFloats(t, be, name, dst, want, tolerance[T]())
	wantFloats(t, be, name+": mean", mean, wantMean, tolerance[T]())
	wantFloats(t, be, name+": invstd", invstd, wantInvstd, tolerance[T]())
	if running {
		wantFloats(t, be, name+": running mean", runMean, newMean, tolerance[T]())
		wantFloats(t, be, name+": running variance", runVar, newVar, tolerance[T]())
	}
}

func testBatchNormLargeMean(t *testing.T, be backend.Backend) {
	g := backend.BatchNormGeom{N: 8, C: 2, Inner: 50, Training: true}
	x := random(7, g.N*g.C*g.Inner)
	for i := range x {
		x[i] = float64(float32(4096 + x[i])) // as float32 holds it
	}
	want := make([]float64, len(x))
	channelsOf(g, func(_ int, at []int) {
		m, v := momentsOf(x, at)
		for _, i := range at {
			want[i] = (x[i] - m) / math.Sqrt(v)
		}
	})
	dst := empty[float32](be, len(x))
	be.BatchNorm(dst, empty[float32](be, g.C), empty[float32](be, g.C), backend.Array{}, backend.Array{}, floats[float32](be, x), backend.Array{}, backend.Array{}, g)
	wantFloats(t, be, "mean 4096, deviation 0.6", dst, want, 1e-4)
}

func testBatchNormThreads(t *testing.T, be backend.Backend) {
	for _, g := range []backend.BatchNormGeom{{N: 16, C: 37, Inner: 100}, {N: 4, C: 3, Inner: 10007}, {N: 500, C: 300, Inner: 1}} {
		g.Training, g.Eps = true, 1e-5
		x := floats[float32](be, random(6, g.N*g.C*g.Inner))
		dy := floats[float32](be, random(7, g.N*g.C*g.Inner))
		sameOnAnyThreads(t, func() []float32 {
			y, dx, mean, invstd := empty[float32](be, x.Len), empty[float32](be, x.Len), empty[float32](be, g.C), empty[float32](be, g.C)
			be.BatchNorm(y, mean, invstd, backend.Array{}, backend.Array{}, x, backend.Array{}, backend.Array{}, g)
			be.BatchNormGrad(dx, backend.Array{}, backend.Array{}, dy, x, backend.Array{}, backend.Array{}, mean, invstd, g)
			return append(get[float32](be, y), get[float32](be, dx)...)
		})
	}
}

// testBatchNormReLU compares ReLU's part in BatchNorm, forward and back, with
// ReLU as a method of its own.
func testBatchNormReLU(t *testing.T, be backend.Backend) {
	for _, g := range batchNormGeoms {
		for _, training := range []bool{true, false} {
			g.Training, g.Eps, g.Momentum = training, 1e-5, 0.1
			testBatchNormReLUOf[float32](t, be, g)
			testBatchNormReLUOf[float64](t, be, g)
		}
	}
}

func testBatchNormReLUOf[T float32 | float64](t *testing.T, be backend.Backend, g backend.BatchNormGeom) {
	t.Helper()
	n := g.N * g.C * g.Inner
	x, dy := floats[T](be, random(1, n)), floats[T](be, random(2, n))
	w, b := floats[T](be, positive(3, g.C)), floats[T](be, random(4, g.C))
	mean, invstd := empty[T](be, g.C), empty[T](be, g.C)
	stats := func() (mean, variance backend.Array) {
		return floats[T](be, random(5, g.C)), floats[T](be, positive(6, g.C))
	}
	var none backend.Array

	y, dx, dw, db := empty[T](be, n), empty[T](be, n), empty[T](be, g.C), empty[T](be, g.C)
	runMean, runVar := stats()
	be.BatchNorm(y, mean, invstd, runMean, runVar, x, w, b, g)
	be.Unary(y, y, backend.ReLU, backend.UnaryParams{})
	masked := empty[T](be, n)
	be.UnaryGrad(masked, dy, none, y, backend.ReLU, backend.UnaryParams{})
	be.BatchNormGrad(dx, dw, db, masked, x, none, w, mean, invstd, g)

	g.ReLU = true
	y2, dx2, dw2, db2 := empty[T](be, n), empty[T](be, n), empty[T](be, g.C), empty[T](be, g.C)
	runMean2, runVar2 := stats()
	be.BatchNorm(y2, mean, invstd, runMean2, runVar2, x, w, b, g)
	be.BatchNormGrad(dx2, dw2, db2, dy, x, y2, w, mean, invstd, g)
	for _, same := range []struct {
		name      string
		got, want backend.Array
	}{
		{"y", y2, y}, {"dx", dx2, dx}, {"dw", dw2, dw}, {"db", db2, db}, {"running mean", runMean2, runMean}, {"running variance", runVar2, runVar},
	} {
		if got, want := get[T](be, same.got), get[T](be, same.want); !slices.Equal(got, want) {
			t.Errorf("%v %+v: %s: got %v, want %v", dtypeOf[T](), g, same.name, got, want)
		}
	}
}

func testBatchNormGrad(t *testing.T, be backend.Backend) {
	for _, g := range batchNormGeoms {
		g.Eps = 1e-2
		for _, training := range []bool{true, false} {
			g.Training = training
			testBatchNormGradOf[float32](t, be, g)
			testBatchNormGradOf[float64](t, be, g)
		}
	}
}

// testBatchNormGradOf compares with the chain rule written out: with y = (x-m)·s,
// dx = s·(dy - mean(dy) - y·mean(dy·y)) where m and s come from the batch.
func testBatchNormGradOf[T float32 | float64](t *testing.T, be backend.Backend, g backend.BatchNormGeom) {
	t.Helper()
	x, dy, w := random(1, g.N*g.C*g.Inner), random(2, g.N*g.C*g.Inner), positive(3, g.C)
	m, s := random(4, g.C), positive(5, g.C)
	for i := range m { // as the backend holds them
		m[i], s[i] = float64(T(m[i])), float64(T(s[i]))
	}
	plain, scaled := make([]float64, len(x)), make([]float64, len(x))
	dw, db := make([]float64, g.C), make([]float64, g.C)
	channelsOf(g, func(c int, at []int) {
		for _, i := range at {
			db[c] += dy[i]
			dw[c] += dy[i] * (x[i] - m[c]) * s[c]
		}
		n := float64(len(at))
		for _, i := range at {
			plain[i] = dy[i] * s[c]
			if g.Training {
				plain[i] = s[c] * (dy[i] - db[c]/n - (x[i]-m[c])*s[c]*dw[c]/n)
			}
			scaled[i] = plain[i] * w[c]
		}
	})
	xa, dya, wa, ma, sa := floats[T](be, x), floats[T](be, dy), floats[T](be, w), floats[T](be, m), floats[T](be, s)
	name := fmt.Sprintf("%v %+v", dtypeOf[T](), g)
	var none backend.Array

	gx, gw, gb := empty[T](be, len(x)), empty[T](be, g.C), empty[T](be, g.C)
	be.BatchNormGrad(gx, gw, gb, dya, xa, backend.Array{}, wa, ma, sa, g)
	wantFloats(t, be, name+": dx", gx, scaled, tolerance[T]())
	wantFloats(t, be, name+": dw", gw, dw, tolerance[T]())
	wantFloats(t, be, name+": db", gb, db, tolerance[T]())

	gx = empty[T](be, len(x))
	be.BatchNormGrad(gx, none, none, dya, xa, backend.Array{}, none, ma, sa, g)
	wantFloats(t, be, name+": dx alone, without w", gx, plain, tolerance[T]())

	gw, gb = empty[T](be, g.C), empty[T](be, g.C)
	be.BatchNormGrad(none, gw, none, dya, xa, backend.Array{}, wa, ma, sa, g)
	be.BatchNormGrad(none, none, gb, dya, xa, backend.Array{}, wa, ma, sa, g)
	wantFloats(t, be, name+": dw alone", gw, dw, tolerance[T]())
	wantFloats(t, be, name+": db alone", gb, db, tolerance[T]())
}

var rowNormSizes = []struct{ rows, n int }{{1, 1}, {1, 5}, {4, 1}, {3, 8}, {0, 8}, {7, 129}, {300, 257}}

// rowNormSlowly returns each row's normalized elements, mean and 1/√(variance+eps).
func rowNormSlowly(x []float64, rows, n int, eps float64) (y, mean, invstd []float64) {
	y, mean, invstd = make([]float64, rows*n), make([]float64, rows), make([]float64, rows)
	for r := range rows {
		at := make([]int, n)
		for i := range at {
			at[i] = r*n + i
		}
		m, v := momentsOf(x, at)
		mean[r], invstd[r] = m, 1/math.Sqrt(v+eps)
		for _, i := range at {
			y[i] = (x[i] - m) * invstd[r]
		}
	}
	return y, mean, invstd
}

func testRowNorm(t *testing.T, be backend.Backend) {
	testRowNormOf[float32](t, be)
	testRowNormOf[float64](t, be)
}

func testRowNormOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, s := range rowNormSizes {
		x := random(1, s.rows*s.n)
		want, wantMean, wantInvstd := rowNormSlowly(x, s.rows, s.n, 1e-3)
		dst, mean, invstd := empty[T](be, len(x)), empty[T](be, s.rows), empty[T](be, s.rows)
		be.RowNorm(dst, mean, invstd, floats[T](be, x), s.rows, s.n, 1e-3)
		name := fmt.Sprintf("%v %d rows of %d", dtypeOf[T](), s.rows, s.n)
		if s.n > 1 { // a single element is its own mean: nothing is left but rounding
			wantFloats(t, be, name, dst, want, tolerance[T]())
		}
		wantFloats(t, be, name+": mean", mean, wantMean, tolerance[T]())
		wantFloats(t, be, name+": invstd", invstd, wantInvstd, tolerance[T]())
	}
}

func testRowNormGrad(t *testing.T, be backend.Backend) {
	testRowNormGradOf[float32](t, be)
	testRowNormGradOf[float64](t, be)
}

func testRowNormGradOf[T float32 | float64](t *testing.T, be backend.Backend) {
	t.Helper()
	for _, s := range rowNormSizes {
		dy := random(2, s.rows*s.n)
		y, _, invstd := rowNormSlowly(random(1, s.rows*s.n), s.rows, s.n, 1e-3)
		want := make([]float64, len(y))
		for r := range s.rows {
			var sum, dot float64
			for i := r * s.n; i < (r+1)*s.n; i++ {
				sum += dy[i]
				dot += dy[i] * y[i]
			}
			for i := r * s.n; i < (r+1)*s.n; i++ {
				want[i] = invstd[r] * (dy[i] - sum/float64(s.n) - y[i]*dot/float64(s.n))
			}
		}
		dx := empty[T](be, len(y))
		be.RowNormGrad(dx, floats[T](be, dy), floats[T](be, y), floats[T](be, invstd), s.rows, s.n)
		wantFloats(t, be, fmt.Sprintf("%v %d rows of %d", dtypeOf[T](), s.rows, s.n), dx, want, tolerance[T]())
	}
}
