package tensor_test

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

func (a refArgs) reduction() tensor.Reduction { return tensor.Reduction(a.int("r")) }

// constant takes the request for a gradient off an input that PyTorch computes
// none for, so that it is not compared with a numeric one.
func constant(x *T) *T { return x.SetRequiresGrad(false) }

func TestLossReference(t *testing.T) {
	// weight returns the input behind the target, if there is one.
	weight := func(in []*T) *T {
		if len(in) > 2 {
			return constant(in[2])
		}
		return nil
	}
	checkReference(t, "loss", map[string]refOp{
		"MSELoss": func(in []*T, a refArgs) []*T { return one(tensor.MSELoss(in[0], in[1], a.reduction())) },
		"L1Loss":  func(in []*T, a refArgs) []*T { return one(tensor.L1Loss(in[0], in[1], a.reduction())) },
		"SmoothL1Loss": func(in []*T, a refArgs) []*T {
			return one(tensor.SmoothL1Loss(in[0], in[1], a.float("beta"), a.reduction()))
		},
		"HuberLoss": func(in []*T, a refArgs) []*T {
			return one(tensor.HuberLoss(in[0], in[1], a.float("beta"), a.reduction()))
		},
		"BCEWithLogits": func(in []*T, a refArgs) []*T {
			return one(tensor.BCEWithLogits(in[0], in[1], tensor.BCEWithLogitsOpts{Reduction: a.reduction()}))
		},
		"BCEWithLogitsWeighted": func(in []*T, a refArgs) []*T {
			return one(tensor.BCEWithLogits(in[0], in[1], tensor.BCEWithLogitsOpts{
				Weight: constant(in[2]), PosWeight: constant(in[3]), Reduction: a.reduction(),
			}))
		},
		"CrossEntropy": func(in []*T, a refArgs) []*T {
			o := tensor.CrossEntropyOpts{Weight: weight(in), LabelSmoothing: a.float("smoothing"), Reduction: a.reduction()}
			if ignore := a.int("ignore"); ignore != -100 {
				o.IgnoreIndex = &ignore
			}
			return one(tensor.CrossEntropy(in[0], in[1], o))
		},
		"CrossEntropyProbabilities": func(in []*T, a refArgs) []*T {
			return one(tensor.CrossEntropy(in[0], in[1], tensor.CrossEntropyOpts{
				Weight: weight(in), LabelSmoothing: a.float("smoothing"), Reduction: a.reduction(),
			}))
		},
		"CrossEntropyOfWeight": func(in []*T, a refArgs) []*T {
			return one(tensor.CrossEntropy(in[0], in[1], tensor.CrossEntropyOpts{
				Weight: in[2], LabelSmoothing: a.float("smoothing"), Reduction: a.reduction(),
			}))
		},
		"NLLLoss": func(in []*T, a refArgs) []*T {
			ignore := a.int("ignore")
			return one(tensor.NLLLoss(in[0], in[1], tensor.NLLLossOpts{Weight: weight(in), IgnoreIndex: &ignore, Reduction: a.reduction()}))
		},
	})
}

// What SmoothL1Loss divides by may be as small as any number.
func TestSmoothL1LossSmallBeta(t *testing.T) {
	for _, beta := range []float64{1e-20, 1e-30, 1e-37, 1e-38, 1e-42, tensor.Zero, 0} {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16} {
			x := tensor.From([]float64{1, -2, 0, 0x1p-40}).ToDType(dtype).SetRequiresGrad(true)
			y := tensor.SmoothL1Loss(x, tensor.ZerosLike(x), beta, tensor.ReduceNone)
			wantTensor(t, "SmoothL1Loss", y, tensor.From([]float64{1, 2, 0, 0x1p-40}).ToDType(dtype), 1e-7)
			if got := y.Float64s()[3]; math.Abs(got-0x1p-40) > 1e-6*0x1p-40 {
				t.Errorf("%s, beta %v: got %v, want 0x1p-40", dtype, beta, got)
			}
			y.Backward(tensor.BackwardOpts{Gradient: tensor.OnesLike(y.Detach())})
			wantTensor(t, "gradient", x.Grad(), tensor.From([]float64{1, -1, 0, 1}).ToDType(dtype), 1e-6)
		}
	}
}

func TestLossErrors(t *testing.T) {
	x := tensor.Zeros(2, 10)
	ten := 10
	labels := func(v ...int64) *T { return tensor.From(v, len(v)) }
	checkRefusals(t, []refusal{
		{"label too large", func() { tensor.CrossEntropy(x, labels(3, 12), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: label 12 at position [1] is out of range: the input [2 10] has 10 classes, want 0 to 9, or -100 to ignore it"}},
		{"label negative", func() {
			tensor.NLLLoss(tensor.Zeros(1, 3, 2, 2), tensor.From([]int64{0, 1, -2, 1}, 1, 2, 2), tensor.NLLLossOpts{IgnoreIndex: &ten})
		},
			[]string{"tensor: NLLLoss: label -2 at position [0 1 0] is out of range: the input [1 3 2 2] has 3 classes, want 0 to 2, or 10 to ignore it"}},
		{"other batch", func() { tensor.CrossEntropy(x, labels(1, 2, 3), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: the target is int64 [3], want labels int64 [2] for the input [2 10]"}},
		{"bytes", func() { tensor.CrossEntropy(x, labels(1, 2).ToDType(tensor.Uint8), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: the target is uint8 [2], want labels int64 [2] for the input [2 10]"}},
		{"float labels", func() { tensor.CrossEntropy(x, tensor.Zeros(2), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: the target is float32 [2], want labels int64 [2] or probabilities float32 [2 10] for the input [2 10]"}},
		{"weight", func() {
			tensor.CrossEntropy(x, labels(1, 2), tensor.CrossEntropyOpts{Weight: tensor.Ones(3)})
		},
			[]string{"tensor: CrossEntropy: the input [2 10] has 10 classes, the weight is [3], want [10]"}},
		{"smoothing", func() { tensor.CrossEntropy(x, labels(1, 2), tensor.CrossEntropyOpts{LabelSmoothing: 2}) },
			[]string{"tensor: CrossEntropy: the label smoothing is 2, want 0 to 1"}},
		{"probabilities ignored", func() { tensor.CrossEntropy(x, x, tensor.CrossEntropyOpts{IgnoreIndex: &ten}) },
			[]string{"tensor: CrossEntropy: the target is probabilities, of which none is ignored; want IgnoreIndex to be nil"}},
		{"scalar", func() { tensor.CrossEntropy(x.Sum(), labels(1), tensor.CrossEntropyOpts{}) },
			[]string{"tensor: CrossEntropy: the input is a scalar, want [N C], [N C …] or [C]"}},
		{"shapes", func() { tensor.MSELoss(x, tensor.Zeros(2), tensor.ReduceMean) },
			[]string{"tensor: MSELoss: the input is [2 10], the target [2], want one shape"}},
		{"types", func() { tensor.L1Loss(x, x.ToDType(tensor.Float64), tensor.ReduceMean) },
			[]string{"tensor: L1Loss: operands are float32 and float64, want one type; ToDType converts"}},
		{"reduction", func() { tensor.MSELoss(x, x, 7) },
			[]string{"tensor: MSELoss: the reduction is 7, want Mean, Sum or None"}},
		{"beta", func() { tensor.SmoothL1Loss(x, x, -1, tensor.ReduceMean) },
			[]string{"tensor: SmoothL1Loss: beta is -1, want 0 or more"}},
		{"delta", func() { tensor.HuberLoss(x, x, 0, tensor.ReduceMean) },
			[]string{"tensor: HuberLoss: delta is 0, want more than 0"}},
		{"positive weight", func() {
			tensor.BCEWithLogits(x, x, tensor.BCEWithLogitsOpts{PosWeight: tensor.Ones(2, 2, 10)})
		},
			[]string{"tensor: BCEWithLogits: the positive weight [2 2 10] does not broadcast to the input [2 10]"}},
	})
}

// As TestReduceLeavesNothing, for pooling, normalization, softmax and losses.
func TestLayersAndLossesLeaveNothing(t *testing.T) {
	runtime.GC() // what other tests have left must not go meanwhile
	before := live()
	s := tensor.NewScope()
	random := func(dims ...int) *T { return tensor.Rand(dims...).In(s).ToDType(tensor.Float64) }
	image, x, y := random(2, 4, 4, 4), random(2, 3), random(2, 3)
	w, b, mean, variance := random(4), random(4), random(4), random(4)
	classWeight := random(3)
	labels := tensor.From([]int64{2, -100}).In(s)
	for _, p := range []*T{image, x, y, w, b} {
		p.SetRequiresGrad(true)
		p.Sum().Backward() // makes room for the gradient
	}
	for name, f := range map[string]func() *T{
		"MaxPool2d":         func() *T { return tensor.MaxPool2d(image, tensor.PoolOpts{Kernel: 2}) },
		"AvgPool2d":         func() *T { return tensor.AvgPool2d(image, tensor.PoolOpts{Kernel: 2}) },
		"AdaptiveAvgPool2d": func() *T { return tensor.AdaptiveAvgPool2d(image, 1, 3) },
		"BatchNorm2d": func() *T {
			return tensor.BatchNorm2d(image, mean, variance, w, b, tensor.BatchNormOpts{Training: true})
		},
		"LayerNorm":    func() *T { return tensor.LayerNorm(image, tensor.Shape{4}, w, b, 0) },
		"GroupNorm":    func() *T { return tensor.GroupNorm(image, 2, w, b, 0) },
		"Softmax":      func() *T { return x.Softmax(1) },
		"LogSoftmax":   func() *T { return x.LogSoftmax(0) },
		"MSELoss":      func() *T { return tensor.MSELoss(x, y, tensor.ReduceMean) },
		"L1Loss":       func() *T { return tensor.L1Loss(x, y, tensor.ReduceSum) },
		"SmoothL1Loss": func() *T { return tensor.SmoothL1Loss(x, y, 0.1, tensor.ReduceNone) },
		"HuberLoss":    func() *T { return tensor.HuberLoss(x, y, 0.1, tensor.ReduceMean) },
		"NLLLoss":      func() *T { return tensor.NLLLoss(x, labels, tensor.NLLLossOpts{}) },
		"BCEWithLogits": func() *T {
			return tensor.BCEWithLogits(x, y, tensor.BCEWithLogitsOpts{Weight: classWeight, PosWeight: classWeight})
		},
		"CrossEntropy": func() *T {
			return tensor.CrossEntropy(x, labels, tensor.CrossEntropyOpts{Weight: classWeight, LabelSmoothing: 0.1})
		},
		"CrossEntropy of probabilities": func() *T {
			return tensor.CrossEntropy(x, y, tensor.CrossEntropyOpts{Weight: classWeight, LabelSmoothing: 0.1})
		},
	} {
		loss := f().Sum()
		forward := live()
		loss.Backward()
		if after := live(); after > forward {
			t.Errorf("%s: got %d bytes more live after Backward, want none", name, after-forward)
		}
	}
	s.Close()
	if after := live(); after > before {
		t.Errorf("got %d bytes live after the scope closed, want %d as before", after, before)
	}
}

// Inputs, targets and weights may be views that lie apart: transposed, columns of a
// table, repeated.
func TestLossOfViews(t *testing.T) {
	rand := func(seed uint64, dims ...int) *T {
		return tensor.NewGenerator(seed).Rand(dims...).ToDType(tensor.Float64)
	}
	labels := tensor.From([]int64{0, 9, 2, 9, 1, 9, -100, 9}, 4, 2).Select(1, 0)
	weights := rand(3, 3, 2).Select(1, 1)
	row := rand(4, 3).Expand(4, 3)
	for name, f := range map[string]func(x, y *T, own func(*T) *T) *T{
		"MSELoss":      func(x, y *T, own func(*T) *T) *T { return tensor.MSELoss(x, y, tensor.ReduceMean) },
		"L1Loss":       func(x, y *T, own func(*T) *T) *T { return tensor.L1Loss(x, y, tensor.ReduceMean) },
		"SmoothL1Loss": func(x, y *T, own func(*T) *T) *T { return tensor.SmoothL1Loss(x, y, 0.3, tensor.ReduceMean) },
		"HuberLoss":    func(x, y *T, own func(*T) *T) *T { return tensor.HuberLoss(x, y, 0.3, tensor.ReduceSum) },
		"BCEWithLogits": func(x, y *T, own func(*T) *T) *T {
			return tensor.BCEWithLogits(x, y, tensor.BCEWithLogitsOpts{Weight: own(row), PosWeight: own(weights)})
		},
		"BCEWithLogits of a repeated target": func(x, _ *T, own func(*T) *T) *T {
			return tensor.BCEWithLogits(x, own(row), tensor.BCEWithLogitsOpts{})
		},
		"CrossEntropy": func(x, _ *T, own func(*T) *T) *T {
			return tensor.CrossEntropy(x, own(labels), tensor.CrossEntropyOpts{Weight: own(weights)})
		},
		"CrossEntropy with smoothing": func(x, _ *T, own func(*T) *T) *T {
			return tensor.CrossEntropy(x, own(labels), tensor.CrossEntropyOpts{Weight: own(weights), LabelSmoothing: 0.1})
		},
		"CrossEntropy of probabilities": func(x, y *T, own func(*T) *T) *T {
			return tensor.CrossEntropy(x, y, tensor.CrossEntropyOpts{Weight: own(weights), LabelSmoothing: 0.1})
		},
		"NLLLoss": func(x, _ *T, own func(*T) *T) *T {
			return tensor.NLLLoss(x.Square(), own(labels), tensor.NLLLossOpts{Weight: own(weights)})
		},
		"LogSoftmax": func(x, y *T, own func(*T) *T) *T { return x.LogSoftmax(0).Mul(y).Sum() },
		"Softmax":    func(x, y *T, own func(*T) *T) *T { return x.Softmax(1).Mul(y).Sum() },
	} {
		run := func(own func(*T) *T) []*T {
			x, y := own(rand(1, 3, 4).T()).SetRequiresGrad(true), own(rand(2, 4, 6).Unfold(1, 1, 2).Select(2, 0)).SetRequiresGrad(true)
			loss := f(x, y, own)
			in := []*T{x, y}
			first := autograd.Grad(loss, in, autograd.GradOpts{CreateGraph: true})
			sum := first[0].Square().Sum()
			if first[1] != nil {
				sum = sum.Add(first[1].Square().Sum())
			}
			return append(append(first, loss), autograd.Grad(sum, in)...)
		}
		got, want := run(func(x *T) *T { return x }), run((*T).Contiguous)
		for i := range want {
			if (got[i] == nil) != (want[i] == nil) {
				t.Errorf("%s: result %d of views is %v, of tensors %v", name, i, got[i], want[i])
			} else if want[i] != nil {
				wantTensor(t, fmt.Sprintf("%s: result %d", name, i), got[i], want[i], 1e-12)
			}
		}
	}
}
