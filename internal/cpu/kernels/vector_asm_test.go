//go:build linux && !noasm && (amd64 || arm64)

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// eachVector runs test with the assembly of each level that this machine has.
func eachVector(t *testing.T, test func(t *testing.T, kn *Vector[float32])) {
	for _, l := range assemblyOf(t) {
		t.Run(l.Name, func(t *testing.T) { test(t, l.Vector) })
	}
}

func near64(got, want, size float64) bool {
	return got == want || got != got && want != want || math.Abs(got-want) <= 1e-13*size
}

// lengths calls f for lengths and places of arrays: right behind or before a
// page that may not be touched, offset elements away.
func lengths(f func(n, offset int, place func(f asmtest.Fence, n, offset int) []float32)) {
	for n := range 68 {
		for offset := range 4 {
			f(n, offset, asmtest.Fence.First)
			f(n, offset, asmtest.Fence.Last)
		}
	}
	f(1000, 1, asmtest.Fence.Last)
}

// TestArithmetic64 is TestElementwise for float64.
func TestArithmetic64(t *testing.T) {
	plain := &PlainVector64
	rows := []struct {
		name string
		run  func(kn *Vector[float64], dst, a, b []float64)
	}{
		{"add", func(kn *Vector[float64], dst, a, b []float64) { kn.Add(dst, a, b) }},
		{"sub", func(kn *Vector[float64], dst, a, b []float64) { kn.Sub(dst, a, b) }},
		{"mul", func(kn *Vector[float64], dst, a, b []float64) { kn.Mul(dst, a, b) }},
		{"div", func(kn *Vector[float64], dst, a, b []float64) { kn.Div(dst, a, b) }},
		{"sqrt", func(kn *Vector[float64], dst, a, _ []float64) { kn.Sqrt(dst, a) }},
		{"in place", func(kn *Vector[float64], dst, a, b []float64) { kn.Div(dst, dst, b) }},
		{"a root in place", func(kn *Vector[float64], dst, a, b []float64) { kn.Sqrt(dst, dst) }},
	}
	r := rand.New(rand.NewPCG(1, 2))
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 5e-324}
	for _, l := range assemblyOf(t) {
		if l.vector64 == nil {
			t.Errorf("%s has no arithmetic for float64", l.Name)
			continue
		}
		for _, row := range rows {
			for n := range 140 {
				var arrays, wants [3][]float64
				for i := range arrays {
					for range n + 2 { // one before and one behind
						x := r.NormFloat64()
						if k := r.IntN(40); k < len(special) {
							x = special[k]
						}
						arrays[i] = append(arrays[i], x)
					}
					wants[i] = append(wants[i], arrays[i]...)
				}
				row.run(l.vector64, arrays[0][1:n+1], arrays[1][1:n+1], arrays[2][1:n+1])
				row.run(plain, wants[0][1:n+1], wants[1][1:n+1], wants[2][1:n+1])
				for i := range arrays {
					for j, got := range arrays[i] {
						if want := wants[i][j]; math.Float64bits(got) != math.Float64bits(want) && (got == got || want == want) {
							t.Fatalf("%s, %s of %d: array %d, element %d: got %v, want %v", l.Name, row.name, n, i, j-1, got, want)
						}
					}
				}
			}
		}
	}
}

// TestElementwise compares the assembly with the Go loops, bit for bit but for
// the signs of zeros and kinds of NaN, and what lies around the results too.
func TestElementwise(t *testing.T) {
	plain := &plainVector32
	adam := &AdamNumbers[float32]{1, 0, 1, 0.01, 1.1, 1e-8, 0.999, 0.1, 0.001}
	adamW := &AdamNumbers[float32]{-1, 0.02, 0.9, 0.01, 1.1, 1e-8, 0.999, 0.1, 0.001}
	adamFar := &AdamNumbers[float32]{1, 0, 1, 0.01, 1.1, 1e-8, 0.999, 0.7, 0.001}
	sgd := &SGDNumbers[float32]{1, 0, 0.1, 0.9, 1, false}
	nesterov := &SGDNumbers[float32]{-1, 0.02, 0.1, 0.9, 0.8, true}
	binary := func(f func(kn *Vector[float32]) func(dst, a, b []float32)) func(kn *Vector[float32], s [][]float32) {
		return func(kn *Vector[float32], s [][]float32) { f(kn)(s[0], s[1], s[2]) }
	}
	rows := []struct {
		name   string
		arrays int
		run    func(kn *Vector[float32], s [][]float32)
	}{
		{"add", 3, binary(func(kn *Vector[float32]) func(dst, a, b []float32) { return kn.Add })},
		{"sub", 3, binary(func(kn *Vector[float32]) func(dst, a, b []float32) { return kn.Sub })},
		{"mul", 3, binary(func(kn *Vector[float32]) func(dst, a, b []float32) { return kn.Mul })},
		{"div", 3, binary(func(kn *Vector[float32]) func(dst, a, b []float32) { return kn.Div })},
		{"sqrt", 2, func(kn *Vector[float32], s [][]float32) { kn.Sqrt(s[0], s[1]) }},
		{"sqrt in place", 1, func(kn *Vector[float32], s [][]float32) { kn.Sqrt(s[0], s[0]) }},
		{"mul in place", 2, func(kn *Vector[float32], s [][]float32) { kn.Mul(s[0], s[0], s[1]) }},
		{"reluGrad", 3, binary(func(kn *Vector[float32]) func(dx, dy, y []float32) { return kn.ReLUGrad })},
		{"reluGrad in place", 2, func(kn *Vector[float32], s [][]float32) { kn.ReLUGrad(s[0], s[0], s[1]) }},
		{"relu", 2, func(kn *Vector[float32], s [][]float32) { kn.ReLU(s[0], s[1]) }},
		{"relu in place", 1, func(kn *Vector[float32], s [][]float32) { kn.ReLU(s[0], s[0]) }},
		{"exp", 2, func(kn *Vector[float32], s [][]float32) { kn.Exp(s[0], s[1], 0.5) }},
		{"exp in place", 1, func(kn *Vector[float32], s [][]float32) { kn.Exp(s[0], s[0], 0) }},
		{"expScaled", 2, func(kn *Vector[float32], s [][]float32) { kn.ExpScaled(s[0], s[1], 0.5, 0.25) }},
		{"softmaxGrad", 3, func(kn *Vector[float32], s [][]float32) { kn.SoftmaxGrad(s[0], s[1], s[2], 0.25) }},
		{"logSoftmaxGrad", 3, func(kn *Vector[float32], s [][]float32) { kn.LogSoftmaxGrad(s[0], s[1], s[2], 0.25) }},
		{"adam", 4, func(kn *Vector[float32], s [][]float32) { kn.Adam(s[0], s[1], s[2], s[3], nil, adam) }},
		{"adam with decay", 4, func(kn *Vector[float32], s [][]float32) { kn.Adam(s[0], s[1], s[2], s[3], nil, adamW) }},
		{"adam with small beta", 4, func(kn *Vector[float32], s [][]float32) { kn.Adam(s[0], s[1], s[2], s[3], nil, adamFar) }},
		{"AMSGrad", 5, func(kn *Vector[float32], s [][]float32) { kn.Adam(s[0], s[1], s[2], s[3], s[4], adamW) }},
		{"sgd", 3, func(kn *Vector[float32], s [][]float32) { kn.SGD(s[0], s[1], s[2], sgd) }},
		{"sgd with decay and Nesterov", 3, func(kn *Vector[float32], s [][]float32) { kn.SGD(s[0], s[1], s[2], nesterov) }},
	}
	r := rand.New(rand.NewPCG(1, 2))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		var fences, before [5]asmtest.Fence
		for i := range fences {
			fences[i] = asmtest.NewFence(t, 1024)
			before[i] = make(asmtest.Fence, len(fences[i]))
		}
		for _, row := range rows {
			lengths(func(n, offset int, place func(f asmtest.Fence, n, offset int) []float32) {
				var got, want [][]float32
				for i := range row.arrays {
					asmtest.Odd(r, place(fences[i], n, offset))
					copy(before[i], fences[i])
					got, want = append(got, place(fences[i], n, (offset+i)%4)), append(want, place(before[i], n, (offset+i)%4))
				}
				row.run(kn, got)
				row.run(plain, want)
				for i := range row.arrays {
					if err := asmtest.SameFloats(fences[i], before[i]); err != nil {
						t.Fatalf("%s, %d elements, offset %d, array %d with what surrounds it: %v", row.name, n, offset, i, err)
					}
				}
			})
		}
	})
}

func TestSums(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		f := asmtest.NewFence(t, 1024)
		check := func(what string, n int, got, want, size float64) {
			t.Helper()
			if !near64(got, want, size) {
				t.Fatalf("%s of %d elements: got %v, want %v", what, n, got, want)
			}
		}
		lengths(func(n, offset int, place func(f asmtest.Fence, n, offset int) []float32) {
			x := asmtest.Randomize(r, place(f, n, offset))
			check("sum", n, kn.Sum(x), plainVector32.Sum(x), float64(n))
			check("sumSquares", n, kn.SumSquares(x), plainVector32.SumSquares(x), float64(n))
			check("max", n, float64(kn.Max(x)), float64(plainVector32.Max(x)), 0)
			check("sumExp", n, kn.SumExp(x, 0.5), plainVector32.SumExp(x, 0.5), 2*float64(n))
			e := make([]float32, n)
			check("the sum of exp", n, kn.Exp(e, x, 0.5), plainVector32.Exp(e, x, 0.5), 2*float64(n))
			if n > 0 {
				at := r.IntN(n)
				for _, v := range []float64{2, math.Inf(1), math.Inf(-1), math.NaN()} {
					was := x[at]
					x[at] = float32(v)
					check("max with an odd one", n, float64(kn.Max(x)), float64(plainVector32.Max(x)), 0)
					check("sumExp with an odd one", n, kn.SumExp(x, 0), plainVector32.SumExp(x, 0), 20*float64(n))
					x[at] = was
				}
				for i := range x {
					x[i] -= 3
				}
				check("max of negative numbers", n, float64(kn.Max(x)), float64(plainVector32.Max(x)), 0)
				x[n-1] = float32(math.NaN())
				check("sum with a NaN", n, kn.Sum(x), math.NaN(), 1)
				x[n-1] = float32(math.Inf(1))
				check("sumSquares with an infinity", n, kn.SumSquares(x), math.Inf(1), 1)
			}
		})
		long := asmtest.Randomize(r, make([]float32, 2*Longest+77))
		check("max", len(long), float64(kn.Max(long)), float64(plainVector32.Max(long)), 0)
		check("sumExp", len(long), kn.SumExp(long, 1), plainVector32.SumExp(long, 1), float64(len(long)))
		check("sum", len(long), kn.Sum(long), plainVector32.Sum(long), float64(len(long)))
	})
}

// TestRowSums asks for the bits of sum.
func TestRowSums(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		f := asmtest.NewFence(t, 1024)
		check := func(x []float32, rows, n int) {
			t.Helper()
			got := make([]float64, rows+1)
			got[rows] = 123
			kn.RowSums(got[:rows], x, n)
			for i := range rows {
				if want := kn.Sum(x[i*n:][:n]); got[i] != want {
					t.Fatalf("row %d of %d with %d elements: got %v, want %v", i, rows, n, got[i], want)
				}
			}
			if got[rows] != 123 {
				t.Fatalf("%d rows of %d elements: what is behind the sums was written to", rows, n)
			}
		}
		for n := range 68 {
			for _, rows := range []int{0, 1, 2, 5} {
				check(asmtest.Randomize(r, f.First(rows*n, n%4)), rows, n)
				check(asmtest.Randomize(r, f.Last(rows*n, n%4)), rows, n)
			}
		}
		check(asmtest.Randomize(r, make([]float32, 3*Longest)), 30, Longest/10)
		check(asmtest.Randomize(r, make([]float32, 3*Longest)), 2, Longest+3)
	})
}

// TestAddWide asks for the bits of sums one by one.
func TestAddWide(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		f := asmtest.NewFence(t, 1024)
		check := func(x []float32) {
			t.Helper()
			got := make([]float64, len(x)+1)
			for i := range got {
				got[i] = r.NormFloat64()
			}
			want := slices.Clone(got)
			for i, v := range x {
				want[i] += float64(v)
			}
			if kn.AddWide(got[:len(x)], x); !slices.Equal(got, want) {
				t.Fatalf("%d elements: got other sums, or one too many", len(x))
			}
		}
		for n := range 100 {
			check(asmtest.Randomize(r, f.First(n, n%4)))
			check(asmtest.Randomize(r, f.Last(n, n%4)))
		}
		check(asmtest.Randomize(r, make([]float32, 2*Longest+77)))
	})
}

// eachRows calls f with so many rows of so many elements.
func eachShape(f func(r Rows, size int)) {
	for n := range 68 {
		for _, count := range []int{0, 1, 2, 5} {
			r := Rows{Count: count, Stride: n + count%3, N: n}
			f(r, max(0, (count-1)*r.Stride+n))
		}
	}
	f(Rows{3, 301, 300}, 2*301+300)
}

func TestNormKernels(t *testing.T) {
	const mean, dyMean, slope, scale, shift = 0.125, -0.25, 0.75, 1.5, -0.5
	r := rand.New(rand.NewPCG(5, 6))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		fx, fy, fdy, fdst := asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024)
		before := make(asmtest.Fence, len(fdst))
		eachShape(func(g Rows, size int) {
			for _, place := range []func(f asmtest.Fence, n, offset int) []float32{asmtest.Fence.First, asmtest.Fence.Last} {
				offset := size % 4
				x, dy := asmtest.Randomize(r, place(fx, size, offset)), asmtest.Randomize(r, place(fdy, size, offset))
				y := asmtest.Zeros(r, asmtest.Randomize(r, place(fy, size, offset)))
				s0, q0 := kn.SumsAbout(x, g, mean)
				s1, q1 := plainVector32.SumsAbout(x, g, mean)
				if n := float64(2 * size); !near64(s0, s1, n) || !near64(q0, q1, 2*n) {
					t.Fatalf("sumsAbout of %+v: got %v and %v, want %v and %v", g, s0, q0, s1, q1)
				}
				for _, y := range [][]float32{nil, y} {
					s0, d0 := kn.SumAndDot(dy, x, y, g, mean)
					s1, d1 := plainVector32.SumAndDot(dy, x, y, g, mean)
					if n := float64(2 * size); !near64(s0, s1, n) || !near64(d0, d1, n) {
						t.Fatalf("sumAndDot of %+v, with y: %t: got %v and %v, want %v and %v", g, y != nil, s0, d0, s1, d1)
					}
				}
				asmtest.Odd(r, x)
				asmtest.Odd(r, dy)
				for _, relu := range []bool{false, true} {
					copy(before, fdst)
					kn.Normalize(place(fdst, size, offset), x, g, mean, scale, shift, relu)
					plainVector32.Normalize(place(before, size, offset), x, g, mean, scale, shift, relu)
					if err := asmtest.SameFloats(fdst, before); err != nil {
						t.Fatalf("normalize of %+v, ReLU %t: %v", g, relu, err)
					}
					var from []float32
					if relu {
						from = y
					}
					kn.NormalizeGrad(place(fdst, size, offset), dy, x, from, g, mean, dyMean, slope, scale)
					plainVector32.NormalizeGrad(place(before, size, offset), dy, x, from, g, mean, dyMean, slope, scale)
					if err := asmtest.SameFloats(fdst, before); err != nil {
						t.Fatalf("normalizeGrad of %+v, ReLU %t: %v", g, relu, err)
					}
				}
			}
		})
	})
}

func TestPoolKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	eachVector(t, func(t *testing.T, kn *Vector[float32]) {
		fx, fdx, fy, fdy := asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024), asmtest.NewFence(t, 256), asmtest.NewFence(t, 256)
		before := make(asmtest.Fence, len(fdx))
		for q := range 35 {
			for w := 2 * q; w < 2*q+2; w++ {
				for _, rows := range []int{0, 1, 2, 3} {
					for _, place := range []func(f asmtest.Fence, n, offset int) []float32{asmtest.Fence.First, asmtest.Fence.Last} {
						for _, fill := range []func(r *rand.Rand, s []float32) []float32{asmtest.Randomize, asmtest.Odd, asmtest.Zeros} {
							offset := q % 4
							x := fill(r, place(fx, 2*rows*w, offset))
							got, want := place(fy, rows*q, offset), make([]float32, rows*q)
							kn.MaxPool2x2(got, x, rows, w, q)
							plainVector32.MaxPool2x2(want, x, rows, w, q)
							if err := asmtest.SameFloats(got, want); err != nil {
								t.Fatalf("maxima of %d windows in %d rows of %d: %v", q, rows, w, err)
							}
							dy := asmtest.Randomize(r, place(fdy, rows*q, offset))
							copy(before, fdx)
							kn.MaxPoolGrad2x2(place(fdx, 2*rows*w, offset), dy, x, got, rows, w, q)
							plainVector32.MaxPoolGrad2x2(place(before, 2*rows*w, offset), dy, x, got, rows, w, q)
							if err := asmtest.SameFloats(fdx, before); err != nil {
								t.Fatalf("gradients of %d windows in %d rows of %d: %v", q, rows, w, err)
							}
						}
					}
				}
			}
		}
	})
}
