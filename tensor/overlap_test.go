package tensor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
	"github.com/wick-ml/wick/tensor"
)

// What overwrites a window of a buffer reads another window of it as it was
// before, in either direction, at sizes that several cores share.
func TestOverlappingWindows(t *testing.T) {
	add := func(x, y float64) float64 { return x + y }
	ops := []struct {
		name   string
		floats bool // takes no whole numbers
		run    func(x, y *T)
		want   func(x, y float64) float64
	}{
		{"CopyFrom", false, func(x, y *T) { x.CopyFrom(y) }, func(_, y float64) float64 { return y }},
		{"AddInPlace", false, func(x, y *T) { x.AddInPlace(y) }, add},
		{"SubInPlace", false, func(x, y *T) { x.SubInPlace(y) }, func(x, y float64) float64 { return x - y }},
		{"MulInPlace", false, func(x, y *T) { x.MulInPlace(y) }, func(x, y float64) float64 { return x * y }},
		{"DivInPlace", true, func(x, y *T) { x.DivInPlace(y) }, func(x, y float64) float64 { return x / y }},
		{"LerpInPlace 0.25", true, func(x, y *T) { x.LerpInPlace(y, 0.25) }, func(x, y float64) float64 { return x + 0.25*(y-x) }},
		{"LerpInPlace 1", true, func(x, y *T) { x.LerpInPlace(y, 1) }, func(_, y float64) float64 { return y }},
	}
	for _, d := range testDevices(t) {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int64, tensor.Uint8, tensor.BFloat16, tensor.Float16} {
			for _, shape := range [][]int{{9, 5}, {8, 3, 128, 128}, {3, 700_001}} {
				for _, op := range ops {
					if op.name == "SubInPlace" && dtype == tensor.Uint8 || op.floats && dtype.Size() < 4 || op.floats && dtype == tensor.Int64 || testing.Short() && shape[0] == 3 {
						continue
					}
					for _, from := range []int{0, 1} {
						n := shape[0] - 1
						b := tensor.Arange(0, float64(tensor.Shape(shape).Len()), 1).RemainderScalar(7).AddScalar(1).Reshape(shape...).ToDType(dtype).To(d)
						want := b.Float64s()
						x, y := b.Narrow(0, 1-from, n), b.Narrow(0, from, n)
						xs, ys := x.Float64s(), y.Float64s()
						for i := range xs {
							want[(1-from)*len(want)/shape[0]+i] = op.want(xs[i], ys[i])
						}
						op.run(x, y)
						if got := b.Float64s(); !slices.EqualFunc(got, want, func(a, b float64) bool { return math.Abs(a-b) <= 1e-6 }) {
							t.Errorf("%s of %s %v on %s from entry %d to %d: got %.8v, want %.8v", op.name, dtype, shape, d, from, 1-from, got[:8], want[:8])
						}
					}
				}
			}
		}
		// One row of the destination, broadcast over it, is read before it is written; so is bool.
		b := tensor.Arange(1, 7, 1).Reshape(3, 2).ToDType(tensor.Float32).To(d)
		b.AddInPlace(b.Narrow(0, 1, 1))
		wantTensor(t, "broadcast", b, tensor.From([]float32{4, 6, 6, 8, 8, 10}, 3, 2).To(d), 0)
		flags := tensor.From([]bool{true, false, false, true}).To(d)
		flags.Narrow(0, 1, 3).CopyFrom(flags.Narrow(0, 0, 3))
		if got, want := flags.Bools(), []bool{true, true, false, false}; !slices.Equal(got, want) {
			t.Errorf("CopyFrom of bool on %s: got %v, want %v", d, got, want)
		}
	}
}

// Statistics and an optimizer's tensors that lie in one buffer.
func TestOverlappingState(t *testing.T) {
	b := tensor.Ones(4)
	wantError(t, func() {
		tensor.BatchNorm2d(tensor.Randn(2, 3), b.Narrow(0, 0, 3), b.Narrow(0, 1, 3), nil, nil, tensor.BatchNormOpts{Training: true})
	}, "BatchNorm2d", "share memory")
	stats := tensor.From([]float32{0, 0, 1, 1, 3, 5, 7, 9})
	mean, variance := stats.Narrow(0, 0, 2), stats.Narrow(0, 2, 2)
	y := tensor.BatchNorm2d(stats.View(4, 2), mean, variance, variance, mean, tensor.BatchNormOpts{Training: true})
	wantTensor(t, "BatchNorm2d of its own statistics", y, tensor.BatchNorm2d(tensor.From([]float32{0, 0, 1, 1, 3, 5, 7, 9}, 4, 2), nil, nil, tensor.Ones(2), tensor.Zeros(2), tensor.BatchNormOpts{Training: true}), 0)

	p := tensor.Ones(4)
	params := []*T{p.Narrow(0, 0, 3), p.Narrow(0, 1, 3)}
	wantError(t, func() { descend(params, []*T{tensor.Ones(3), tensor.Ones(3)}, 1) }, "descend", "share memory")
	wantError(t, func() { descend([]*T{p, p}, []*T{tensor.Ones(4), tensor.Ones(4)}, 1) }, "descend", "share memory")
	wantError(t, func() {
		var f expr.Formula
		f.Store(0, f.Load(2))
		friends.MapStep("copy", [][]*T{{p}, {tensor.Ones(4)}, {p.Detach()}}, []int{0}, backend.Rule{Expr: f.Expr})
	}, "copy", "share memory")
	whole := []*T{p, p.Narrow(0, 1, 3)}
	wantError(t, func() { descend(whole, []*T{tensor.Ones(4), tensor.Ones(3)}, 1) }, "descend", "share memory")
	q := tensor.From([]float32{1, 2, 3, 4})
	descend([]*T{q.Narrow(0, 1, 3)}, []*T{q.Narrow(0, 0, 3)}, 1)
	wantTensor(t, "descend with a gradient that the parameter overlaps", q, tensor.From([]float32{1, 1, 1, 1}), 0)
	descend([]*T{q.Narrow(0, 0, 3)}, []*T{q.Narrow(0, 0, 3)}, 0.5)
	wantTensor(t, "descend with the parameter as its gradient", q, tensor.From([]float32{0.5, 0.5, 0.5, 1}), 0)
}
