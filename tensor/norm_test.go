package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

func TestNormReference(t *testing.T) {
	// sizes returns x's last sizes, as many as the case says.
	sizes := func(x *T, a refArgs) tensor.Shape { return x.Shape()[x.Dim()-a.int("last"):] }
	checkReference(t, "norm", map[string]refOp{
		"BatchNorm2d": func(in []*T, a refArgs) []*T {
			mean, variance := constant(in[1]).Clone(), constant(in[2]).Clone()
			y := tensor.BatchNorm2d(in[0], mean, variance, in[3], in[4], tensor.BatchNormOpts{
				Training: a.bool("training"), Momentum: a.float("momentum"), Eps: a.float("eps"),
			})
			return []*T{y, mean, variance}
		},
		"BatchNorm2dDefaults": ref1(func(x *T) *T {
			return tensor.BatchNorm2d(x, nil, nil, nil, nil, tensor.BatchNormOpts{Training: true})
		}),
		"BatchNorm2dPlain": func(in []*T, _ refArgs) []*T {
			return one(tensor.BatchNorm2d(in[0], constant(in[1]), constant(in[2]), nil, nil, tensor.BatchNormOpts{}))
		},
		"LayerNorm": func(in []*T, a refArgs) []*T {
			return one(tensor.LayerNorm(in[0], sizes(in[0], a), in[1], in[2], a.float("eps")))
		},
		"LayerNormPlain": func(in []*T, a refArgs) []*T {
			return one(tensor.LayerNorm(in[0], sizes(in[0], a), nil, nil, 0))
		},
		"LayerNormBias": func(in []*T, a refArgs) []*T {
			return one(tensor.LayerNorm(in[0], sizes(in[0], a), nil, in[1], 0))
		},
		"GroupNorm": func(in []*T, a refArgs) []*T {
			return one(tensor.GroupNorm(in[0], a.int("groups"), in[1], in[2], a.float("eps")))
		},
		"GroupNormPlain": func(in []*T, a refArgs) []*T {
			return one(tensor.GroupNorm(in[0], a.int("groups"), nil, nil, 0))
		},
	})
}

func TestBatchNorm2dDefaultMomentum(t *testing.T) {
	mean, variance := tensor.Zeros(1), tensor.Ones(1)
	x := tensor.From([]float32{1, 3}, 2, 1)
	tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{Training: true})
	wantTensor(t, "running mean", mean, tensor.From([]float32{0.2}, 1), 1e-6)
	wantTensor(t, "running variance", variance, tensor.From([]float32{0.9 + 0.1*2}, 1), 1e-6)
}

func ExampleBatchNorm2d() {
	x := tensor.From([]float32{1, 3, 5, 7}, 2, 2)
	mean, variance := tensor.From([]float32{1, 2}), tensor.From([]float32{4, 25})
	// In evaluation the running statistics count, here with nothing added to the variance.
	fmt.Println(tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{Eps: tensor.Zero}))
	// In training the batch's do, and the running ones move.
	tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{Training: true, Momentum: 0.5})
	fmt.Println(mean, variance)
	// Output:
	// tensor([[0.0000, 0.2000],
	//         [2.0000, 1.0000]])
	// tensor([2.0000, 3.5000]) tensor([ 6.0000, 16.5000])
}

// Zero is 0, where 0 is the default.
func TestNormZero(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16} {
		of := func(v ...float64) *T { return tensor.From(v, len(v)).ToDType(dtype) }
		x := of(3, 5, 1, 1).Reshape(2, 2)
		mean, variance := of(1, 1), of(4, 16)
		y := tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{Eps: tensor.Zero})
		wantTensor(t, "BatchNorm2d without eps", y.Flatten(0), of(1, 1, 0, 0), 0)
		tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{Training: true, Momentum: tensor.Zero})
		wantTensor(t, "running mean without momentum", mean, of(1, 1), 0)
		wantTensor(t, "running variance without momentum", variance, of(4, 16), 0)
		rows := of(-3, 3, -3, 3, -1e-3, 1e-3, -1e-3, 1e-3).Reshape(2, 4)
		wantTensor(t, "LayerNorm without eps", tensor.LayerNorm(rows, tensor.Shape{4}, nil, nil, tensor.Zero).Flatten(0), of(-1, 1, -1, 1, -1, 1, -1, 1), 1e-6)
		wantTensor(t, "GroupNorm without eps", tensor.GroupNorm(rows, 1, nil, nil, tensor.Zero).Flatten(0), of(-1, 1, -1, 1, -1, 1, -1, 1), 1e-6)
		w := tensor.Ones(2, 2, 1, 1).ToDType(dtype)
		z := tensor.Conv2dBatchNorm(x.Reshape(2, 2, 1, 1).NoGrad(), w, nil, mean, variance, nil, nil, tensor.ConvOpts{}, tensor.BatchNormOpts{Eps: tensor.Zero})
		wantTensor(t, "Conv2dBatchNorm without eps", z.Flatten(0), of(3.5, 1.75, 0.5, 0.25), 0)
	}
}

func TestBatchNorm2dChangesNoGradient(t *testing.T) {
	// In evaluation the statistics of the forward pass count, even if the running ones move before Backward.
	mean, variance := tensor.Zeros(1), tensor.From([]float32{4}, 1)
	x := tensor.From([]float32{1, 3}, 2, 1).SetRequiresGrad(true)
	y := tensor.BatchNorm2d(x, mean, variance, nil, nil, tensor.BatchNormOpts{})
	variance.Fill(100)
	y.Sum().Backward()
	wantTensor(t, "gradient", x.Grad(), tensor.From([]float32{0.5, 0.5}, 2, 1), 1e-5)
}

// BatchNorm2d with ReLU is the two operations, to the last bit, forward and
// back.
func TestBatchNorm2dReLU(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
		for _, training := range []bool{true, false} {
			run := func(fused bool) []*T {
				g := tensor.NewGenerator(3)
				draw := func(dims ...int) *T { return g.Randn(dims...).ToDType(dtype) }
				x, w, b := draw(5, 7, 3, 6).SetRequiresGrad(true), draw(7).SetRequiresGrad(true), draw(7).SetRequiresGrad(true)
				mean, variance := draw(7), draw(7).Square()
				y := tensor.BatchNorm2d(x, mean, variance, w, b, tensor.BatchNormOpts{Training: training, ReLU: fused})
				if !fused {
					y = y.ReLU()
				}
				y.Mul(draw(5, 7, 3, 6)).Sum().Backward()
				return []*T{y, mean, variance, x.Grad(), w.Grad(), b.Grad()}
			}
			got, want := run(true), run(false)
			for i, name := range []string{"result", "running mean", "running variance", "gradient of x", "of w", "of b"} {
				if !slices.Equal(got[i].Float64s(), want[i].Float64s()) {
					t.Errorf("%v, training %t: %s: got %v, want %v", dtype, training, name, got[i], want[i])
				}
			}
		}
	}
}

func TestBatchNorm2dReLUNeedsItsResult(t *testing.T) {
	x := tensor.From([]float32{1, 3}, 2, 1).SetRequiresGrad(true)
	y := tensor.BatchNorm2d(x, nil, nil, nil, nil, tensor.BatchNormOpts{ReLU: true})
	y.Detach().Fill(1)
	err := try(func() { y.Sum().Backward() })
	if err == nil || !strings.Contains(err.Error(), "changed in place") {
		t.Errorf("Backward after the result was changed: got %v, want an error that says so", err)
	}
}

func TestNormErrors(t *testing.T) {
	x := tensor.Zeros(2, 3, 4, 4)
	w := tensor.Zeros(3)
	friends.SetPath(w, "features.1.weight")
	training := tensor.BatchNormOpts{Training: true}
	checkRefusals(t, []refusal{
		{"one value a channel", func() { tensor.BatchNorm2d(tensor.Zeros(1, 3, 1, 1), nil, nil, w, nil, training) },
			[]string{"tensor: features.1 BatchNorm2d: the input [1 3 1 1] has one value a channel, want more in training: one value has no variance"}},
		{"other channels", func() { tensor.BatchNorm2d(tensor.Zeros(2, 4, 4, 4), nil, nil, w, nil, training) },
			[]string{"tensor: features.1 BatchNorm2d: the input [2 4 4 4] has 4 channels, the weight is [3], want [4]"}},
		{"other type", func() { tensor.BatchNorm2d(x.ToDType(tensor.Float64), nil, nil, w, nil, training) },
			[]string{"tensor: features.1 BatchNorm2d: the input is float64, the weight float32, want one type; ToDType converts"}},
		{"one dimension", func() { tensor.BatchNorm2d(tensor.Zeros(3), nil, nil, nil, nil, training) },
			[]string{"tensor: BatchNorm2d: the input is [3], want [N C …]"}},
		{"negative eps", func() { tensor.BatchNorm2d(x, nil, nil, w, nil, tensor.BatchNormOpts{Training: true, Eps: -1e-5}) },
			[]string{"tensor: features.1 BatchNorm2d: eps is -1e-05, want a positive number"}},
		{"negative eps in evaluation", func() { tensor.BatchNorm2d(x, w, w, nil, nil, tensor.BatchNormOpts{Eps: -1}) },
			[]string{"tensor: BatchNorm2d: eps is -1, want a positive number"}},
		{"no eps in training", func() {
			tensor.BatchNorm2d(x, nil, nil, nil, nil, tensor.BatchNormOpts{Training: true, Eps: tensor.Zero})
		}, []string{"tensor: BatchNorm2d: eps is 0 for a batch's statistics, want a positive number"}},
		{"negative eps behind a convolution", func() {
			tensor.Conv2dBatchNorm(x, tensor.Zeros(3, 3, 1, 1), nil, w, w, nil, nil, tensor.ConvOpts{}, tensor.BatchNormOpts{Eps: -1})
		}, []string{"tensor: Conv2dBatchNorm: eps is -1, want a positive number"}},
		{"half of the statistics", func() { tensor.BatchNorm2d(x, w, nil, nil, nil, training) },
			[]string{"tensor: BatchNorm2d: one of the running mean and variance is nil, want both or none"}},
		{"other last sizes", func() { tensor.LayerNorm(x, tensor.Shape{4, 3}, nil, nil, 0) },
			[]string{"tensor: LayerNorm: the input is [2 3 4 4], want [4 3] as its last sizes"}},
		{"other weight", func() { tensor.LayerNorm(x, tensor.Shape{4}, w, nil, 0) },
			[]string{"tensor: features.1 LayerNorm: the weight is [3], want [4] for the input [2 3 4 4]"}},
		{"groups", func() { tensor.GroupNorm(x, 2, nil, nil, 0) },
			[]string{"tensor: GroupNorm: the input [2 3 4 4] has 3 channels, which cannot be divided into 2 groups"}},
		{"one value a group", func() { tensor.GroupNorm(tensor.Zeros(1, 3), 3, nil, nil, 0) },
			[]string{"tensor: GroupNorm: the input [1 3] has one value a group, want more: one value has no variance"}},
	})
}

// Where nothing is recorded the normalized rows go as soon as weight and bias are
// applied.
func TestLayerNormMemory(t *testing.T) {
	s := tensor.NewScope()
	defer s.Close()
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.BFloat16} {
		x, w := tensor.Ones(64, 1024).ToDType(dtype).In(s).NoGrad(), tensor.Ones(1024).ToDType(dtype).In(s)
		friends.Release(tensor.LayerNorm(x, tensor.Shape{1024}, w, w, 0))
		before := live()
		y := tensor.LayerNorm(x, tensor.Shape{1024}, w, w, 0)
		if got, want := live()-before, int64(y.Len()*dtype.Size()+16*1024); got > want {
			t.Errorf("%s: %d bytes live after LayerNorm, want those of its result, at most %d", dtype, got, want)
		}
	}
}

// On the CPU variances of numbers whose squares float32 does not hold are right.
// The values are PyTorch's.
func TestBatchNormOfHugeNumbers(t *testing.T) {
	y := tensor.BatchNorm2d(tensor.From([]float32{1e30, -1e30, 3e30, 0}, 4, 1), nil, nil, nil, nil, tensor.BatchNormOpts{Training: true})
	want := []float64{0.16903088, -1.1832160, 1.5212776, -0.50709255}
	for i, got := range y.Float64s() {
		if math.Abs(got-want[i]) > 1e-6 {
			t.Fatalf("got %v, want %v", y.Float64s(), want)
		}
	}
}

// Running statistics, weights and biases may be views that lie apart: the columns of
// one table, here.
func TestNormOfViews(t *testing.T) {
	g := tensor.NewGenerator(1)
	x := g.Randn(2, 4, 3, 2).ToDType(tensor.Float64).Transpose(1, 2) // [2 3 4 2]
	table := func() *T { return tensor.NewGenerator(2).Rand(3, 4).ToDType(tensor.Float64) }
	for _, training := range []bool{true, false} {
		for _, relu := range []bool{true, false} {
			opts := tensor.BatchNormOpts{Training: training, Momentum: 0.3, ReLU: relu}
			run := func(column func(*T, int) *T) (results []*T) {
				x, stats, wb := x.Detach().SetRequiresGrad(true), table(), table().SetRequiresGrad(true)
				mean, variance := column(stats, 1), column(stats, 3)
				y := tensor.BatchNorm2d(x, mean, variance, column(wb, 0), column(wb, 2), opts)
				first := autograd.Grad(y.Mul(y).Sum(), []*T{x, wb}, autograd.GradOpts{CreateGraph: true})
				second := autograd.Grad(first[0].Square().Sum().Add(first[1].Square().Sum()), []*T{x, wb})
				others := []*T{stats.Select(1, 0), stats.Select(1, 2)}
				return append(append(append(results, y, mean, variance), first...), append(second, others...)...)
			}
			got := run(func(x *T, i int) *T { return x.Select(1, i) })
			want := run(func(x *T, i int) *T { return x.Select(1, i).Clone() })
			for i := range want {
				wantTensor(t, fmt.Sprintf("training %t, ReLU %t: result %d", training, relu, i), got[i], want[i].Contiguous(), 1e-12)
			}
			if stats := table(); training {
				mean := stats.Select(1, 1)
				tensor.BatchNorm2d(x, mean, stats.Select(1, 3), nil, nil, opts)
				wantTensor(t, "the table's column", stats.Select(1, 1), got[1], 0)
				if err := try(func() {
					tensor.BatchNorm2d(x, mean, stats.Flatten(0).Narrow(0, 1, 9).Unfold(0, 1, 4).Select(1, 0), nil, nil, opts)
				}); err == nil {
					t.Error("statistics that share elements: no error")
				}
			}
		}
	}
	for name, f := range map[string]func(x, w, b *T) *T{
		"LayerNorm": func(x, w, b *T) *T { return tensor.LayerNorm(x, tensor.Shape{3}, w, b, 0) },
		"GroupNorm": func(x, w, b *T) *T { return tensor.GroupNorm(x, 3, w, b, 0) },
	} {
		run := func(column func(*T, int) *T) []*T {
			x, wb := x.Detach(), table().SetRequiresGrad(true)
			if name == "LayerNorm" {
				x = x.Transpose(1, 3)
			}
			x.SetRequiresGrad(true)
			y := f(x, column(wb, 0), column(wb, 2))
			first := autograd.Grad(y.Mul(y).Sum(), []*T{x, wb}, autograd.GradOpts{CreateGraph: true})
			second := autograd.Grad(first[0].Square().Sum().Add(first[1].Square().Sum()), []*T{x, wb})
			return append(append(first, second...), y)
		}
		got := run(func(x *T, i int) *T { return x.Select(1, i) })
		want := run(func(x *T, i int) *T { return x.Select(1, i).Clone() })
		for i := range want {
			wantTensor(t, fmt.Sprintf("%s: result %d", name, i), got[i], want[i], 1e-12)
		}
	}
}
