package cpu

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// TestExp compares the exponential of every level with that of float64, in units
// of the last place, at the edges and over numbers of all exponents.
func TestExp(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, inf, -inf, float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 88.72283, 88.72284, 89, 90, -87.33654, -87.33655, -88, -103.27, -103.9, -103.98, -104, -105}
	const step = 4999 // bits: about 860 thousand numbers
	for bits := uint64(0); bits < 1<<32; bits += step {
		x = append(x, math.Float32frombits(uint32(bits)))
	}
	for v := float32(-104.5); v < 89.5; v += 0.0007 {
		x = append(x, v)
	}
	for _, l := range kernels.Levels {
		t.Run(l.Name, func(t *testing.T) {
			got := make([]float32, len(x))
			l.Vector.Exp(got, x, 0)
			worst, at := 0.0, float32(0)
			for i, v := range x {
				exact := math.Exp(float64(v))
				want := float32(exact)
				switch {
				case want != want:
					if got[i] == got[i] {
						t.Fatalf("exp(%v): got %v, want NaN", v, got[i])
					}
				case want == 0 || want > math.MaxFloat32 || want == 1 && v > -1e-8 && v < 1e-8:
					if got[i] != want {
						t.Fatalf("exp(%v): got %v, want %v", v, got[i], want)
					}
				default:
					_, e := math.Frexp(exact)
					if d := math.Abs(float64(got[i])-exact) / math.Ldexp(1, max(e-24, -149)); d > worst || d != d {
						worst, at = d, v
					}
				}
			}
			t.Logf("at most %.3f units of the last place off, at %v", worst, at)
			if !(worst <= 1) {
				t.Errorf("exp(%v) is %.3f units of the last place off, want at most 1", at, worst)
			}
		})
	}
}

// BenchmarkVector runs the loops that pass over memory on one core, each level of
// them, over arrays that the caches do not hold. MB/s counts what is read and
// written; copy is what the memory gives.
func BenchmarkVector(b *testing.B) {
	const n, count = 1 << 22, 64
	var s [4][]float32
	for i := range s {
		s[i] = make([]float32, n)
		for j := range s[i] {
			s[i][j] = float32((i+j)%7) * 0.25
		}
	}
	w, x, y, z := s[0], s[1], s[2], s[3]
	adam := &kernels.AdamNumbers[float32]{Sign: 1, Shrink: 1, Size: 0.001, Scale: 1, Eps: 1e-8, Beta2: 0.999, New1: 0.1, New2: 0.001}
	sgd := &kernels.SGDNumbers[float32]{Sign: 1, LR: 0.001, Mu: 0.9, Keep: 1}
	g := kernels.Rows{Count: count, Stride: n / count, N: n / count}
	loops := []struct {
		name   string
		arrays int // read or written
		run    func(kn *kernels.Vector[float32])
	}{
		{"copy", 2, func(*kernels.Vector[float32]) { copy(w, x) }},
		{"sumsAbout", 1, func(kn *kernels.Vector[float32]) { kn.SumsAbout(x, g, 1) }},
		{"normalize", 2, func(kn *kernels.Vector[float32]) { kn.Normalize(w, x, g, 1, 2, 3, true) }},
		{"sumAndDot", 3, func(kn *kernels.Vector[float32]) { kn.SumAndDot(x, z, y, g, 1) }},
		{"normalizeGrad", 4, func(kn *kernels.Vector[float32]) { kn.NormalizeGrad(w, x, z, y, g, 1, 2, 3, 4) }},
		{"sum", 1, func(kn *kernels.Vector[float32]) { kn.Sum(x) }},
		{"sumSquares", 1, func(kn *kernels.Vector[float32]) { kn.SumSquares(x) }},
		{"relu", 2, func(kn *kernels.Vector[float32]) { kn.ReLU(w, x) }},
		{"reluGrad", 3, func(kn *kernels.Vector[float32]) { kn.ReLUGrad(w, x, y) }},
		{"add", 3, func(kn *kernels.Vector[float32]) { kn.Add(w, x, y) }},
		{"max", 1, func(kn *kernels.Vector[float32]) { kn.Max(x) }},
		{"exp", 2, func(kn *kernels.Vector[float32]) { kn.Exp(w, x, 1) }},
		{"sumExp", 1, func(kn *kernels.Vector[float32]) { kn.SumExp(x, 1) }},
		{"logSoftmaxGrad", 3, func(kn *kernels.Vector[float32]) { kn.LogSoftmaxGrad(w, x, y, 1) }},
		{"adam", 7, func(kn *kernels.Vector[float32]) { kn.Adam(w, x, y, z, nil, adam) }},
		{"sgd", 5, func(kn *kernels.Vector[float32]) { kn.SGD(w, x, y, sgd) }},
		{"maxPool2x2", 1, func(kn *kernels.Vector[float32]) { kn.MaxPool2x2(w, x, n/64, 32, 16) }},
		{"maxPoolGrad2x2", 2, func(kn *kernels.Vector[float32]) { kn.MaxPoolGrad2x2(w, z, x, y, n/64, 32, 16) }},
	}
	for _, loop := range loops {
		for _, l := range kernels.Levels {
			if loop.name == "copy" && l.Name != "generic" {
				continue
			}
			b.Run(loop.name+"/"+l.Name, func(b *testing.B) {
				b.SetBytes(int64(4 * n * loop.arrays))
				for b.Loop() {
					loop.run(l.Vector)
				}
			})
		}
	}
}

// TestFastScalar compares the loops for one number on the right with those for
// two arrays, bit for bit.
func TestFastScalar(t *testing.T) {
	inf, negZero := float32(math.Inf(1)), float32(math.Copysign(0, -1))
	x := []float32{0, negZero, 1, -1, 0.3, 1e-45, -1e-45, math.MaxFloat32, -math.MaxFloat32, inf, -inf, float32(math.NaN())}
	for op, name := range map[backend.BinaryOp]string{backend.Add: "add", backend.Sub: "sub", backend.Mul: "mul"} {
		for _, b := range x {
			all, got, want := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
			for i := range all {
				all[i] = b
			}
			fastScalar(op)(got, x, b)
			fastBinary(op)(want, x, all)
			for i := range x {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) && (got[i] == got[i] || want[i] == want[i]) {
					t.Errorf("%s of %v and %v: got %v, want %v", name, x[i], b, got[i], want[i])
				}
			}
		}
	}
}

// TestLongRows compares softmax of rows that are cut for the loops, and its
// gradient, with those of float64.
func TestLongRows(t *testing.T) {
	const count, n = 2, 2*kernels.Longest + 77
	x32, x64, dy32, dy64 := make([]float32, count*n), make([]float64, count*n), make([]float32, count*n), make([]float64, count*n)
	for i := range x32 {
		x32[i], dy32[i] = float32(i*7919%1013)/100, float32(i*104729%997)/500-1
		x64[i], dy64[i] = float64(x32[i]), float64(dy32[i])
	}
	be, g := New(), backend.DimGeom{Outer: count, N: n, Inner: 1}
	for _, log := range []bool{false, true} {
		y32, y64, dx32, dx64 := make([]float32, count*n), make([]float64, count*n), make([]float32, count*n), make([]float64, count*n)
		softmax(be, y32, x32, log, g)
		softmax(be, y64, x64, log, g)
		softmaxGrad(be, dx32, dy32, y32, log, g)
		softmaxGrad(be, dx64, dy64, y64, log, g)
		for i := range y32 {
			if d := math.Abs(float64(y32[i]) - y64[i]); d > 2e-6*math.Abs(y64[i]) {
				t.Fatalf("log %t, element %d: got %v, want %v", log, i, y32[i], y64[i])
			}
			if d := math.Abs(float64(dx32[i]) - dx64[i]); d > 2e-6*(math.Abs(dx64[i])+math.Abs(y64[i])) {
				t.Fatalf("gradient, log %t, element %d: got %v, want %v", log, i, dx32[i], dx64[i])
			}
		}
	}
}
