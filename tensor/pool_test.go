package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/tensor"
)

// hw returns two numbers of a reference case, height and width.
func (a refArgs) hw(name string) [2]int { return [2]int(a.ints(name)) }

// poolOf is a case's windows over so many dimensions.
func poolOf(dims int, a refArgs) ops.Pool {
	o := ops.Pool{Dims: dims, Kernel: a.last("kernel", 1), Stride: a.last("stride", 1), Padding: a.last("padding", 0), Dilation: a.last("dilation", 1), Ceil: a.bool("ceil")}
	if a["exclude"] != nil {
		o.ExcludePad, o.Divisor = a.bool("exclude"), a.int("divisor")
	}
	return o
}

func maxPoolOf(dims int) refOp {
	return func(in []*T, a refArgs) []*T {
		values, indices := tensor.MaxPool(in[0], poolOf(dims, a))
		return []*T{values, indices}
	}
}

func avgPoolOf(dims int) refOp {
	return func(in []*T, a refArgs) []*T { return one(tensor.AvgPool(in[0], poolOf(dims, a))) }
}

func adaptiveAvgPoolOf(dims int) refOp {
	return func(in []*T, a refArgs) []*T {
		return one(tensor.AdaptiveAvgPool(in[0], ops.AdaptiveAvgPool{Dims: dims, Out: a.last("size", 1)}))
	}
}

func TestPoolReference(t *testing.T) {
	checkReference(t, "pool", map[string]refOp{
		"MaxPool1d":         maxPoolOf(1),
		"MaxPool3d":         maxPoolOf(3),
		"AvgPool1d":         avgPoolOf(1),
		"AvgPool3d":         avgPoolOf(3),
		"AdaptiveAvgPool1d": adaptiveAvgPoolOf(1),
		"AdaptiveAvgPool3d": adaptiveAvgPoolOf(3),
		"MaxPool2d": func(in []*T, a refArgs) []*T {
			return one(tensor.MaxPool2d(in[0], tensor.PoolOpts{
				KernelHW: a.hw("kernel"), StrideHW: a.hw("stride"), PaddingHW: a.hw("padding"), DilationHW: a.hw("dilation"), CeilMode: a.bool("ceil"),
			}))
		},
		"MaxPool2dWithIndices": func(in []*T, a refArgs) []*T {
			values, indices := tensor.MaxPool2dWithIndices(in[0], tensor.PoolOpts{
				KernelHW: a.hw("kernel"), StrideHW: a.hw("stride"), PaddingHW: a.hw("padding"), DilationHW: a.hw("dilation"), CeilMode: a.bool("ceil"),
			})
			return []*T{values, indices}
		},
		"AvgPool2d": func(in []*T, a refArgs) []*T {
			return one(tensor.AvgPool2d(in[0], tensor.PoolOpts{
				KernelHW: a.hw("kernel"), StrideHW: a.hw("stride"), PaddingHW: a.hw("padding"),
				CeilMode: a.bool("ceil"), ExcludePad: a.bool("exclude"), Divisor: a.int("divisor"),
			}))
		},
		"AdaptiveAvgPool2d": func(in []*T, a refArgs) []*T {
			return one(tensor.AdaptiveAvgPool2d(in[0], a.ints("size")[0], a.ints("size")[1]))
		},
	})
}

func TestPoolDefaults(t *testing.T) {
	x := tensor.Arange(0, 24, 1).ToDType(tensor.Float32).View(1, 1, 4, 6)
	wantTensor(t, "MaxPool2d with stride as the kernel", tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: 2}),
		tensor.From([]float32{7, 9, 11, 19, 21, 23}, 1, 1, 2, 3), 0)
	wantTensor(t, "AvgPool2d with stride as the kernel", tensor.AvgPool2d(x, tensor.PoolOpts{KernelHW: [2]int{2, 3}}),
		tensor.From([]float32{4, 7, 16, 19}, 1, 1, 2, 2), 0)
	wantTensor(t, "MaxPool2d of an empty batch", tensor.MaxPool2d(tensor.Zeros(0, 1, 4, 4), tensor.PoolOpts{Kernel: 2}), tensor.Zeros(0, 1, 2, 2), 0)
}

// A kernel may be much larger than the input where its padding is: no memory and no
// time goes into what lies outside.
func TestPoolWithoutBound(t *testing.T) {
	const huge = 1 << 24
	x := tensor.Arange(1, 17, 1).ToDType(tensor.Float32).View(1, 1, 4, 4)
	wantTensor(t, "maxima", tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: huge, Stride: 3, Padding: huge / 2}), tensor.From([]float32{16, 16, 16, 16}, 1, 1, 2, 2), 0)
	values, indices := tensor.MaxPool2dWithIndices(x.ToDType(tensor.Int64), tensor.PoolOpts{Kernel: huge, Stride: huge, Padding: huge / 2, CeilMode: true})
	wantTensor(t, "maxima of whole numbers", values, tensor.From([]int64{16}, 1, 1, 1, 1), 0)
	wantTensor(t, "indices", indices, tensor.From([]int64{15}, 1, 1, 1, 1), 0)
	p := x.Clone().SetRequiresGrad(true)
	tensor.MaxPool2d(p, tensor.PoolOpts{Kernel: huge, Stride: 3, Padding: huge / 2}).Sum().Backward()
	if got := p.Grad().Floats()[15]; got != 4 {
		t.Errorf("gradient of the maximum: got %v, want 4", got)
	}
	wantTensor(t, "means", tensor.AvgPool2d(x, tensor.PoolOpts{Kernel: huge, Stride: huge, Padding: huge / 2, ExcludePad: true}), tensor.From([]float32{8.5}, 1, 1, 1, 1), 0)
}

func TestPoolErrors(t *testing.T) {
	x := tensor.Zeros(2, 3, 4, 4)
	checkRefusals(t, []refusal{
		{"two dimensions", func() { tensor.MaxPool2d(tensor.Zeros(4, 4), tensor.PoolOpts{Kernel: 2}) },
			[]string{"tensor: MaxPool2d: the input is [4 4], want [N C H W] or [C H W]"}},
		{"no channels", func() { tensor.MaxPool2d(tensor.Zeros(2, 0, 4, 4), tensor.PoolOpts{Kernel: 2}) },
			[]string{"tensor: MaxPool2d: the input is [2 0 4 4], want C, H and W of 1 or more"}},
		{"no kernel", func() { tensor.AvgPool2d(x, tensor.PoolOpts{}) },
			[]string{"tensor: AvgPool2d: along the height the kernel is 0, the stride 0, the dilation 1, want 1 or more"}},
		{"too much padding", func() { tensor.AvgPool2d(x, tensor.PoolOpts{Kernel: 3, Padding: 2}) },
			[]string{"tensor: AvgPool2d: the padding along the height is 2 for a kernel of 3, want 0 to 1"}},
		{"kernel too large", func() { tensor.MaxPool2d(x, tensor.PoolOpts{KernelHW: [2]int{2, 5}}) },
			[]string{"tensor: MaxPool2d: a window that reaches over 5 elements along the width does not fit the input [2 3 4 4] with padding 0"}},
		{"dilated mean", func() { tensor.AvgPool2d(x, tensor.PoolOpts{Kernel: 2, Dilation: 2}) },
			[]string{"tensor: AvgPool2d: Dilation is an option of MaxPool2d, want none"}},
		{"divisor of a maximum", func() { tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: 2, Divisor: 3}) },
			[]string{"tensor: MaxPool2d: ExcludePad and Divisor are options of AvgPool2d, want neither"}},
		{"whole numbers", func() { tensor.AdaptiveAvgPool2d(x.ToDType(tensor.Int64), 1, 1) },
			[]string{"tensor: AdaptiveAvgPool2d: the operand is int64, want a floating-point type; ToDType converts"}},
		{"negative size", func() { tensor.AdaptiveAvgPool2d(x, 1, -2) },
			[]string{"tensor: AdaptiveAvgPool2d: the size 1×-2 of the result is negative, want 0 or more, or -1 for an axis as it is"}},
		{"no height", func() { tensor.AdaptiveAvgPool2d(tensor.Zeros(1, 1, 0, 4), -1, 2) }, []string{"tensor: AdaptiveAvgPool2d: the input is [1 1 0 4], want H and W of 1 or more"}},
		{"truth values", func() { tensor.MaxPool2d(x.ToDType(tensor.Bool), tensor.PoolOpts{Kernel: 2}) }, []string{"tensor: MaxPool2d: the operand is bool, want a number type"}},
		{"mean of bytes", func() { tensor.AvgPool2d(x.ToDType(tensor.Uint8), tensor.PoolOpts{Kernel: 2}) }, []string{"tensor: AvgPool2d: the operand is uint8"}},
		{"indices with a divisor", func() { tensor.MaxPool2dWithIndices(x, tensor.PoolOpts{Kernel: 2, Divisor: 3}) }, []string{"tensor: MaxPool2dWithIndices: ExcludePad and Divisor"}},
		{"indices of too much padding", func() { tensor.MaxPool2dWithIndices(x, tensor.PoolOpts{Kernel: 3, Padding: 2, Dilation: 2}) },
			[]string{"tensor: MaxPool2dWithIndices: the padding along the height is 2 for a kernel of 3, want 0 to 1"}},
	})
}

func ExampleMaxPool2dWithIndices() {
	x := tensor.From([]float32{1, 5, 2, 0, 3, 4, 8, 6}, 1, 2, 4)
	values, indices := tensor.MaxPool2dWithIndices(x, tensor.PoolOpts{Kernel: 2})
	fmt.Println(values, indices)
	// Output: tensor([[[5., 8.]]]) tensor([[[1, 6]]])
}

func ExampleAdaptiveAvgPool2d() {
	x := tensor.Arange(0, 8, 1).ToDType(tensor.Float32).View(1, 2, 4)
	fmt.Println(tensor.AdaptiveAvgPool2d(x, 1, 2), tensor.AdaptiveAvgPool2d(x, -1, 1).Shape())
	// Output: tensor([[[2.5000, 4.5000]]]) [1 2 1]
}

// A window that has no element of the input, which dilation leaves, has no gradient, and none of the second order.
func TestMaxPoolOfNoElements(t *testing.T) {
	x, dy := tensor.Randn(1, 2, 4, 4).SetRequiresGrad(true), tensor.Ones(1, 2, 1, 1).SetRequiresGrad(true)
	y := tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: 2, Padding: 1, Dilation: 5})
	if v := y.Float64s()[0]; !math.IsInf(v, -1) {
		t.Fatalf("got %v, want -Inf", v)
	}
	y.Backward(tensor.BackwardOpts{Gradient: dy, CreateGraph: true})
	wantTensor(t, "the gradient", x.Grad().Detach(), tensor.Zeros(1, 2, 4, 4), 0)
	grads := autograd.Grad(x.Grad().Sum(), []*T{dy})
	wantTensor(t, "the gradient of the gradient", grads[0], tensor.Zeros(1, 2, 1, 1), 0)
}
