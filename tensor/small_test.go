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
