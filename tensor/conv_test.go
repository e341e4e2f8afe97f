package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/tensor"
)

func convOpts(a refArgs) tensor.ConvOpts {
	pair := func(name string) (hw [2]int) {
		copy(hw[:], a.ints(name))
		return hw
	}
	return tensor.ConvOpts{StrideHW: pair("stride"), PaddingHW: pair("padding"), DilationHW: pair("dilation"),
		OutputPaddingHW: pair("outputpadding"), Groups: a.int("groups")}
}

// last returns the numbers of a case for the last dimensions, behind those of the ones that are not there.
func (a refArgs) last(name string, first int) [3]int {
	n := a.ints(name) // none where the case leaves them away
	all := [3]int{first, first, first}
	copy(all[3-len(n):], n)
	return all
}

// convOf is a convolution over so many dimensions.
func convOf(dims int, transposed, same bool) refOp {
	return func(in []*T, a refArgs) []*T {
		o := ops.Conv{Dims: dims, Stride: a.last("stride", 1), Padding: a.last("padding", 0), Dilation: a.last("dilation", 1),
			OutputPadding: a.last("outputpadding", 0), Groups: a.int("groups"), Transposed: transposed}
		return one(tensor.Convolve(in[0], in[1], in[2], o, same))
	}
}

func TestConvReference(t *testing.T) {
	checkReference(t, "conv", map[string]refOp{
		"Conv1d":          convOf(1, false, false),
		"Conv1dSame":      convOf(1, false, true),
		"Conv3d":          convOf(3, false, false),
		"Conv3dSame":      convOf(3, false, true),
		"ConvTranspose1d": convOf(1, true, false),
		"ConvTranspose3d": convOf(3, true, false),
		"Conv2d":          func(in []*T, a refArgs) []*T { return one(tensor.Conv2d(in[0], in[1], in[2], convOpts(a))) },
		"Conv2dNoBias":    func(in []*T, a refArgs) []*T { return one(tensor.Conv2d(in[0], in[1], nil, convOpts(a))) },
		"Conv2dSame": func(in []*T, a refArgs) []*T {
			o := convOpts(a)
			o.Same = true
			return one(tensor.Conv2d(in[0], in[1], in[2], o))
		},
		"ConvTranspose2d": func(in []*T, a refArgs) []*T {
			return one(tensor.ConvTranspose2d(in[0], in[1], in[2], convOpts(a)))
		},
		"ConvTranspose2dNoBias": func(in []*T, a refArgs) []*T {
			return one(tensor.ConvTranspose2d(in[0], in[1], nil, convOpts(a)))
		},
	})
}

// TestConvOptsForBothAxes checks that one number says the same as two.
func TestConvOptsForBothAxes(t *testing.T) {
	x, w := tensor.Randn(1, 2, 7, 7), tensor.Randn(2, 2, 3, 3)
	want := tensor.Conv2d(x, w, nil, tensor.ConvOpts{StrideHW: [2]int{2, 2}, PaddingHW: [2]int{1, 1}, DilationHW: [2]int{2, 2}})
	wantTensor(t, "Conv2d", tensor.Conv2d(x, w, nil, tensor.ConvOpts{Stride: 2, Padding: 1, Dilation: 2}), want, 0)
	want = tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{StrideHW: [2]int{2, 2}, OutputPaddingHW: [2]int{1, 1}})
	wantTensor(t, "ConvTranspose2d", tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{Stride: 2, OutputPadding: 1}), want, 0)
}

// TestConvComputesOnlyNeededGradients covers a first layer, whose input requires
// no gradient, and a frozen one, whose weight requires none.
func TestConvComputesOnlyNeededGradients(t *testing.T) {
	for _, needX := range []bool{false, true} {
		x, w := tensor.Ones(1, 2, 3, 3).SetRequiresGrad(needX), tensor.Ones(2, 2, 2, 2).SetRequiresGrad(!needX)
		tensor.Conv2d(x, w, nil, tensor.ConvOpts{}).Sum().Backward()
		if got := x.Grad() != nil; got != needX {
			t.Errorf("the input requires a gradient: %t, has one: %t", needX, got)
		}
		if got := w.Grad() != nil; got == needX {
			t.Errorf("the weight requires a gradient: %t, has one: %t", !needX, got)
		}
	}
}

func TestConvErrors(t *testing.T) {
	weight := tensor.Zeros(64, 64, 3, 3)
	friends.SetPath(weight, "features.3.weight")
	x := tensor.Zeros(64, 3, 32, 32)
	conv := func(x, w, b *T, o tensor.ConvOpts) func() { return func() { tensor.Conv2d(x, w, b, o) } }
	transpose := func(x, w, b *T, o tensor.ConvOpts) func() { return func() { tensor.ConvTranspose2d(x, w, b, o) } }
	for _, c := range []struct {
		f    func()
		want string
	}{
		{conv(x, weight, nil, tensor.ConvOpts{}), "tensor: features.3 Conv2d: input [64 3 32 32] has 3 channels, weight [64 64 3 3] takes 64"},
		{conv(x, weight, nil, tensor.ConvOpts{Groups: 2}), "tensor: features.3 Conv2d: input [64 3 32 32] has 3 channels, weight [64 64 3 3] in 2 groups takes 128"},
		{conv(tensor.Zeros(2, 3), weight, nil, tensor.ConvOpts{}), "tensor: features.3 Conv2d: input [2 3] has 2 dimensions, want 4: images, channels, height, width (or 3 for one image)"},
		{conv(x, tensor.Zeros(3, 3), nil, tensor.ConvOpts{}), "tensor: Conv2d: the weight is [3 3], want 4 dimensions: output channels, input channels of a group, height, width"},
		{conv(x, tensor.Zeros(5, 3, 3, 3), tensor.Zeros(4), tensor.ConvOpts{}), "tensor: Conv2d: the bias is [4], want [5], one number for each output channel of the weight [5 3 3 3]"},
		{conv(x, tensor.Zeros(5, 1, 3, 3), nil, tensor.ConvOpts{Groups: 3}), "tensor: Conv2d: the weight [5 1 3 3] has 5 entries in its first dimension, want a multiple of 3 groups"},
		{conv(x, tensor.Zeros(5, 3, 40, 3), nil, tensor.ConvOpts{Padding: 1}), "tensor: Conv2d: input [64 3 32 32] is 34×34 with its padding, smaller than the kernel's 40×3 of the weight [5 3 40 3], want it as large at least"},
		{conv(x, tensor.Zeros(5, 3, 3, 3), nil, tensor.ConvOpts{Stride: -1}), "tensor: Conv2d: stride -1×-1, padding 0×0, dilation 1×1 and groups 1 may not be negative"},
		{conv(x, tensor.Zeros(5, 3, 3, 3), nil, tensor.ConvOpts{OutputPadding: 1}), "tensor: Conv2d: output padding is an option of ConvTranspose2d only"},
		{conv(x, tensor.Zeros(5, 3, 3, 3), nil, tensor.ConvOpts{Same: true, Stride: 2}), "tensor: Conv2d: stride 2×2 and padding 0×0 do not go with Same, which keeps the size: want stride 1 and no padding"},
		{conv(x, tensor.Zeros(5, 3, 3, 3), nil, tensor.ConvOpts{Same: true, PaddingHW: [2]int{0, 1}}), "tensor: Conv2d: stride 1×1 and padding 0×1 do not go with Same, which keeps the size: want stride 1 and no padding"},
		{conv(x, tensor.Zeros(5, 3, 0, 3), nil, tensor.ConvOpts{Same: true}), "tensor: Conv2d: input [64 3 32 32] is 32×34 with its padding, smaller than the kernel's 0×3 of the weight [5 3 0 3], want it as large at least"},
		{transpose(x, tensor.Zeros(3, 5, 3, 3), nil, tensor.ConvOpts{Same: true}), "tensor: ConvTranspose2d: Same is an option of Conv2d only; padding and output padding set the size of a transposed convolution"},
		{conv(x, tensor.Zeros(5, 3, 3, 3).ToDType(tensor.Float64), nil, tensor.ConvOpts{}), "tensor: Conv2d: operands are float32 and float64, want one type; ToDType converts"},
		{transpose(x, tensor.Zeros(5, 3, 3, 3), nil, tensor.ConvOpts{}), "tensor: ConvTranspose2d: input [64 3 32 32] has 3 channels, weight [5 3 3 3] takes 5"},
		{transpose(x, tensor.Zeros(3, 5, 3, 3), nil, tensor.ConvOpts{OutputPadding: 1}), "tensor: ConvTranspose2d: output padding 1×1 must be smaller than the stride 1×1 or the dilation 1×1, and not negative"},
		{transpose(tensor.Zeros(1, 3, 1, 1), tensor.Zeros(3, 5, 2, 2), nil, tensor.ConvOpts{Padding: 1}), "tensor: ConvTranspose2d: input [1 3 1 1] and weight [3 5 2 2] give a result of 0×0, want 1×1 at least"},
	} {
		if err := tensor.Try(c.f); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

// Conv2dBatchNorm is the two operations, in one pass or, where a gradient is
// recorded or the batch's statistics count, one after the other.
func TestConv2dBatchNorm(t *testing.T) {
	g := tensor.NewGenerator(5)
	for _, c := range []struct {
		name                    string
		dtype                   tensor.DType
		bias, affine            bool
		record, training, stats bool
		relu, exact             bool
		opts                    tensor.ConvOpts
	}{
		{name: "all there", bias: true, affine: true, stats: true, relu: true, opts: tensor.ConvOpts{Padding: 1}},
		{name: "without ReLU", bias: true, affine: true, stats: true, opts: tensor.ConvOpts{Padding: 1}},
		{name: "float64", dtype: tensor.Float64, bias: true, affine: true, stats: true, relu: true, opts: tensor.ConvOpts{Padding: 1}},
		{name: "no bias", affine: true, stats: true, relu: true},
		{name: "not affine", bias: true, stats: true, relu: true},
		{name: "nothing but statistics", stats: true},
		{name: "groups and stride", bias: true, affine: true, stats: true, relu: true, opts: tensor.ConvOpts{Stride: 2, Groups: 3}},
		{name: "recorded", bias: true, affine: true, stats: true, relu: true, record: true, exact: true},
		{name: "training", bias: true, affine: true, stats: true, relu: true, training: true, exact: true},
		{name: "no statistics", bias: true, affine: true, relu: true, exact: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			draw := func(dims ...int) *T { return g.Randn(dims...).ToDType(c.dtype) }
			groups := max(1, c.opts.Groups)
			x, w := draw(4, 6, 9, 8), draw(12, 6/groups, 3, 3)
			var b, mean, variance, normW, normB *T
			if c.bias {
				b = draw(12)
			}
			if c.affine {
				normW, normB = draw(12), draw(12)
			}
			if c.stats {
				mean, variance = draw(12), draw(12).Square()
			}
			if c.record {
				w.SetRequiresGrad(true)
			} else {
				x = x.NoGrad()
			}
			norm := tensor.BatchNormOpts{Training: c.training, ReLU: c.relu}
			run := func(fused bool) (y, m, v *T) {
				if c.stats {
					m, v = mean.Clone(), variance.Clone()
				}
				if fused {
					return tensor.Conv2dBatchNorm(x, w, b, m, v, normW, normB, c.opts, norm), m, v
				}
				return tensor.BatchNorm2d(tensor.Conv2d(x, w, b, c.opts), m, v, normW, normB, norm), m, v
			}
			got, gotM, gotV := run(true)
			want, wantM, wantV := run(false)
			if !got.Shape().Equal(want.Shape()) || got.IsNoGrad() != want.IsNoGrad() || got.RequiresGrad() != want.RequiresGrad() {
				t.Fatalf("got %v, no-grad %t, requires grad %t; want %v, %t, %t", got.Shape(), got.IsNoGrad(), got.RequiresGrad(),
					want.Shape(), want.IsNoGrad(), want.RequiresGrad())
			}
			tolerance := 1e-5
			if c.exact {
				tolerance = 0
			}
			a, e := got.Float64s(), want.Float64s()
			for i := range e {
				if math.Abs(a[i]-e[i]) > tolerance*(1+math.Abs(e[i])) {
					t.Fatalf("element %d: got %v, want %v", i, a[i], e[i])
				}
			}
			if c.stats && (!slices.Equal(gotM.Floats(), wantM.Floats()) || !slices.Equal(gotV.Floats(), wantV.Floats())) {
				t.Errorf("running statistics: got %v and %v, want %v and %v", gotM, gotV, wantM, wantV)
			}
			if !c.record && !c.training {
				again := &replayer{t: t}
				tensor.Conv2dBatchNorm(x.Watch(again), w, b, mean, variance, normW, normB, c.opts, norm)
				if again.count == 0 {
					t.Error("the watch was told of nothing that the table of operations has")
				}
			}
			if c.record {
				got.Square().Sum().Backward()
				grad := w.Grad().Clone()
				w.ZeroGrad()
				want.Square().Sum().Backward()
				if !slices.Equal(grad.Floats(), w.Grad().Floats()) {
					t.Errorf("gradient of the weight: got %v, want %v", grad, w.Grad())
				}
			}
		})
	}
	x, w, three := tensor.Ones(1, 2, 4, 4).NoGrad(), tensor.Ones(5, 2, 3, 3), tensor.Ones(3)
	err := tensor.Try(func() {
		tensor.Conv2dBatchNorm(x, w, nil, three, three, nil, nil, tensor.ConvOpts{}, tensor.BatchNormOpts{})
	})
	if want := "tensor: BatchNorm2d: the input [1 5 2 2] has 5 channels, the running mean is [3], want [5]"; err == nil || err.Error() != want {
		t.Errorf("statistics of other channels: got %v, want %s", err, want)
	}
}

func ExampleConv2dBatchNorm() {
	x := tensor.Ones(1, 1, 3, 3).NoGrad()
	w := tensor.Ones(1, 1, 3, 3)
	mean, variance := tensor.Full(5, 1), tensor.Ones(1)
	y := tensor.Conv2dBatchNorm(x, w, nil, mean, variance, nil, nil,
		tensor.ConvOpts{Padding: 1}, tensor.BatchNormOpts{Eps: 1e-12, ReLU: true})
	fmt.Println(y.Floats())
	// Output: [0 1 0 1 4 1 0 1 0]
}

func ExampleConv2d() {
	x := tensor.Ones(1, 1, 3, 3)
	w := tensor.Ones(1, 1, 3, 3)
	y := tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1})
	fmt.Println(y.Floats())
	// Output: [4 6 4 6 9 6 4 6 4]
}

// TestConvBiasBehindBatchNorm: the gradient that BatchNorm2d sends back sums to 0
// over each channel, so that the bias gets zeros without a sum, which would leave
// what rounding does. Whatever changes that gradient brings the sum back.
func TestConvBiasBehindBatchNorm(t *testing.T) {
	g := tensor.NewGenerator(5)
	x, w, other := g.Randn(3, 2, 9, 7), g.Randn(4, 2, 3, 3), g.Randn(3, 4, 7, 5)
	norm := func(y *T, training, relu bool) *T {
		if training {
			return tensor.BatchNorm2d(y, nil, nil, nil, nil, tensor.BatchNormOpts{Training: true, ReLU: relu})
		}
		return tensor.BatchNorm2d(y, tensor.Zeros(4), tensor.Ones(4), nil, nil, tensor.BatchNormOpts{ReLU: relu})
	}
	// between is y with a function of its gradient.
	between := func(y *T, f func(g *T) *T) *T {
		return autograd.Record(autograd.Named("Between"), y.Detach(), []*T{y}, func(g *T) []*T { return []*T{f(g)} })
	}
	square := func(y *T) *T { return y.Square().Mul(other) }
	for _, c := range []struct {
		name string
		f    func(y *T) *T
		zero bool
		sums float64 // of the bias gradient, where it is known; 0: only that it is not zero
	}{
		{"training", func(y *T) *T { return square(norm(y, true, false)) }, true, 0},
		{"training with ReLU", func(y *T) *T { return square(norm(y, true, true)) }, true, 0},
		{"evaluation", func(y *T) *T { return square(norm(y, false, false)) }, false, 0},
		{"no BatchNorm2d", square, false, 0},
		{"a second gradient", func(y *T) *T { return square(norm(y, true, false)).Add(y) }, false, 3 * 7 * 5},
		{"changed in place", func(y *T) *T {
			return square(norm(between(y, func(g *T) *T { return g.AddInPlace(tensor.Ones(1)) }), true, false))
		}, false, 3 * 7 * 5},
		{"over other channels", func(y *T) *T { return square(norm(y.Permute(0, 2, 1, 3), true, false).Permute(0, 2, 1, 3)) }, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := tensor.Zeros(4).SetRequiresGrad(true)
			c.f(tensor.Conv2d(x, w, b, tensor.ConvOpts{})).Sum().Backward()
			for i, v := range b.Grad().Floats() {
				switch {
				case c.zero && v != 0:
					t.Errorf("channel %d: the bias gradient is %v, want exactly 0", i, v)
				case !c.zero && v == 0:
					t.Errorf("channel %d: the bias gradient is exactly 0, want a sum", i)
				case c.sums != 0 && math.Abs(float64(v)-c.sums) > 1e-3:
					t.Errorf("channel %d: the bias gradient is %v, want %v", i, v, c.sums)
				}
			}
		})
	}
}

// Convolutions and pooling of views give what they give of copies, and so do their gradients.
func TestWindowsOfViews(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(x, w *T) *T
	}{
		{"Conv2d", func(x, w *T) *T { return tensor.Conv2d(x, w, nil, tensor.ConvOpts{Stride: 2, Padding: 1}) }},
		{"Conv2d in groups, the same size", func(x, w *T) *T {
			return tensor.Conv2d(x, w.Narrow(1, 0, 2), nil, tensor.ConvOpts{Same: true, Groups: 2, Dilation: 3})
		}},
		{"ConvTranspose2d", func(x, w *T) *T { return tensor.ConvTranspose2d(x, w.Transpose(0, 1), nil, tensor.ConvOpts{Stride: 2}) }},
		{"MaxPool2d", func(x, _ *T) *T { return tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: 2}) }},
		{"MaxPool2dWithIndices", func(x, _ *T) *T {
			values, indices := tensor.MaxPool2dWithIndices(x, tensor.PoolOpts{Kernel: 3, Stride: 2, Padding: 1})
			return values.Mul(indices.ToDType(tensor.Float32))
		}},
		{"AvgPool2d", func(x, _ *T) *T { return tensor.AvgPool2d(x, tensor.PoolOpts{Kernel: 3, Stride: 2, Padding: 1}) }},
		{"AdaptiveAvgPool2d", func(x, _ *T) *T { return tensor.AdaptiveAvgPool2d(x, 3, 2) }},
	} {
		pictures, kernels := tensor.Randn(2, 7, 8, 4), tensor.Randn(3, 2, 4, 6) // channels last, and the other way round
		run := func(view func(*T) *T) []*T {
			x, w := pictures.Clone().SetRequiresGrad(true), kernels.Clone().SetRequiresGrad(true)
			y := c.f(view(x.Permute(0, 3, 1, 2)), view(w.Permute(3, 2, 1, 0)))
			grads := autograd.Grad(y.Square().Sum(), []*T{x, w}, autograd.GradOpts{CreateGraph: true})
			out := []*T{y, grads[0]}
			second := grads[0].Square().Sum()
			if grads[1] != nil {
				out = append(out, grads[1])
				second = second.Add(grads[1].Square().Sum())
			}
			for _, g := range autograd.Grad(second, []*T{x, w}) {
				if g != nil {
					out = append(out, g)
				}
			}
			return out
		}
		got, want := run(func(x *T) *T { return x }), run((*T).Clone)
		if len(got) != len(want) {
			t.Errorf("%s: got %d results and gradients, want %d", c.name, len(got), len(want))
			continue
		}
		for i := range want {
			wantTensor(t, fmt.Sprintf("%s, result or gradient %d", c.name, i), got[i], want[i], 0)
		}
	}
}

// Whichever of a convolution's operands have a gradient, it has one of its own.
func TestConvSecondDerivativesOfSome(t *testing.T) {
	for _, c := range []struct {
		name            string
		transposed      bool
		picture, weight int
		opts            tensor.ConvOpts
	}{
		{name: "stride, padding and dilation", opts: tensor.ConvOpts{Stride: 2, Padding: 2, Dilation: 2}},
		{name: "groups", opts: tensor.ConvOpts{Groups: 2, Padding: 1}},
		{name: "the same size", opts: tensor.ConvOpts{Same: true, Dilation: 3}},
		{name: "transposed", transposed: true, opts: tensor.ConvOpts{Stride: 2, Padding: 1, OutputPadding: 1}},
		{name: "transposed, beyond the last window", transposed: true, opts: tensor.ConvOpts{Dilation: 3, OutputPadding: 2}},
		{name: "transposed, where padding cuts what lies beyond it", transposed: true, opts: tensor.ConvOpts{StrideHW: [2]int{3, 2}, PaddingHW: [2]int{1, 2}, Dilation: 4, OutputPaddingHW: [2]int{2, 3}}},
	} {
		for which := 1; which < 8; which++ {
			leaf := func(bit int, shape ...int) *T {
				return tensor.Randn(shape...).ToDType(tensor.Float64).SetRequiresGrad(which&bit != 0)
			}
			x, w, b := leaf(1, 1, 2, 4, 5), leaf(2, 2, 2/max(1, c.opts.Groups), 2, 3), leaf(4, 2)
			f := func(in []*T) *T { return tensor.Conv2d(in[0], in[1], in[2], c.opts) }
			if c.transposed {
				f = func(in []*T) *T { return tensor.ConvTranspose2d(in[0], in[1], in[2], c.opts) }
			}
			for _, check := range []func(func([]*T) *T, []*T, gradcheck.Opts) error{gradcheck.Check, gradcheck.CheckGradGrad} {
				if err := check(f, []*T{x, w, b}, gradcheck.Opts{}); err != nil {
					t.Errorf("%s, gradients of %03b: %v", c.name, which, err)
				}
			}
		}
	}
}
