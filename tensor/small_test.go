//go:build !race

// The race detector makes allocations of its own.

package tensor_test

import (
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// What an operation costs whatever it computes: an Add of 1×1.
var smallAdd = []struct {
	name    string
	records bool
	step    func(x, y *tensor.Tensor)
	allocs  float64 // at most
}{
	{"NoRecord", false, func(x, y *tensor.Tensor) { x.Add(y) }, 5},
	{"Recorded", true, func(x, y *tensor.Tensor) { x.Add(y) }, 9},
	{"Backward", true, func(x, y *tensor.Tensor) { x.Add(y).Backward() }, 20},
}

func BenchmarkAddSmallNoRecord(b *testing.B) { benchmarkSmall(b, 0) }
func BenchmarkAddSmallRecorded(b *testing.B) { benchmarkSmall(b, 1) }
func BenchmarkAddSmallBackward(b *testing.B) { benchmarkSmall(b, 2) }

func benchmarkSmall(b *testing.B, i int) {
	x, y := tensor.Ones(1, 1), tensor.Ones(1, 1)
	x.SetRequiresGrad(smallAdd[i].records)
	b.ReportAllocs()
	for b.Loop() {
		smallAdd[i].step(x, y)
	}
}

func TestAddSmallAllocations(t *testing.T) {
	for _, tt := range smallAdd {
		x, y := tensor.Ones(1, 1), tensor.Ones(1, 1)
		x.SetRequiresGrad(tt.records)
		if got := testing.AllocsPerRun(200, func() { tt.step(x, y) }); got > tt.allocs {
			t.Errorf("%s: got %v allocations, want at most %v", tt.name, got, tt.allocs)
		}
	}
}

// What operations on 8×8 elements may allocate. Their result takes six: itself, its storage, its
// buffer, that one's memory, and two with which the garbage collector tells the pool.
func TestSmallAllocations(t *testing.T) {
	x, y, row, column := tensor.Randn(8, 8), tensor.Randn(8, 8), tensor.Randn(8), tensor.Randn(8, 1)
	mask, labels := x.GtScalar(0), tensor.Arange(0, 8, 1).ToDType(tensor.Int64)
	w := tensor.Randn(8, 8).SetRequiresGrad(true)
	image, scale := tensor.Randn(1, 3, 8, 8), tensor.Ones(3)
	crossEntropy := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.CrossEntropy(x, labels, tensor.CrossEntropyOpts{})
	}
	for _, tt := range []struct {
		name   string
		step   func()
		allocs float64 // at most
	}{
		{"Add", func() { x.Add(y) }, 7},
		{"Add of a row", func() { x.Add(row) }, 10},
		{"Mul by a column", func() { x.Mul(column) }, 10},
		{"AddInPlace", func() { x.AddInPlace(y) }, 0},
		{"GtScalar", func() { x.GtScalar(0) }, 7},
		{"Where", func() { tensor.Where(mask, x, y) }, 7},
		{"MaskedFill", func() { x.MaskedFill(mask, 0) }, 13},
		{"Tanh", func() { x.Tanh() }, 8},
		{"ReLU", func() { x.ReLU() }, 7},
		{"Sum", func() { x.Sum() }, 7},
		{"Mean along 1", func() { x.Mean(1) }, 8},
		{"Softmax", func() { x.Softmax(1) }, 9},
		{"MatMul", func() { x.MatMul(y) }, 12},
		{"Linear", func() { tensor.Linear(x, y, row) }, 13},
		{"Cat", func() { tensor.Cat(0, x, y) }, 14},
		{"LayerNorm", func() { tensor.LayerNorm(x, tensor.Shape{8}, row, row, 1e-5) }, 21},
		{"BatchNorm2d", func() {
			tensor.BatchNorm2d(image, nil, nil, scale, scale, tensor.BatchNormOpts{Training: true})
		}, 19},
		{"CrossEntropy", func() { crossEntropy(x) }, 55},
		{"Item", func() { x.Sum().Item() }, 16},
		{"ReLU and Sum with Backward", func() { w.ReLU().Sum().Backward() }, 56},
		{"Linear and CrossEntropy with Backward", func() { crossEntropy(tensor.Linear(x, w, row)).Backward() }, 150},
	} {
		if got := testing.AllocsPerRun(100, tt.step); got > tt.allocs {
			t.Errorf("%s: got %v allocations, want at most %v", tt.name, got, tt.allocs)
		}
	}
}
