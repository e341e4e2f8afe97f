package tensor_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

func ExampleAutocast() {
	w := tensor.From([]float32{1, 2, 3, 4}, 2, 2).SetRequiresGrad(true)
	batches := func(yield func(x, y *tensor.Tensor) bool) {
		yield(tensor.From([]float32{1.001, 1}, 1, 2), tensor.From([]int64{0}))
	}
	for x, y := range tensor.Autocast(batches, tensor.BFloat16) {
		scores := x.MatMul(w)
		loss := tensor.CrossEntropy(scores, y, tensor.CrossEntropyOpts{})
		loss.Backward()
		fmt.Println(scores)
		fmt.Println(scores.DType(), loss.DType(), w.Grad().DType())
	}
	// Output:
	// tensor([[4., 6.]], dtype=bfloat16, grad_fn=<MatMul>)
	// bfloat16 float32 float32
}

func ExampleTensor_Autocast() {
	x := tensor.Ones(2, 2).Autocast(tensor.BFloat16)
	fmt.Println(x.DType(), x.AutocastType(), x.MatMul(x).DType())
	x = x.Autocast(tensor.Float32)
	fmt.Println(x.AutocastType(), x.MatMul(x).DType())
	// Output:
	// float32 bfloat16 bfloat16
	// float32 float32
}

// Each operation's result under autocast has the type that it has under
// torch.autocast("cpu", torch.bfloat16).
func TestAutocastTypes(t *testing.T) {
	const f32, bf16 = tensor.Float32, tensor.BFloat16
	x := tensor.Randn(2, 4, 6, 6).Autocast(bf16)
	flat := tensor.Randn(3, 4).Autocast(bf16)
	half := flat.MatMul(tensor.Randn(4, 4)) // of half width
	conv, linear := tensor.Randn(5, 4, 3, 3), tensor.Randn(5, 4)
	ones, labels := tensor.Ones(4), tensor.From([]int64{0, 1, 2})
	double := tensor.Randn(3, 4).ToDType(tensor.Float64)
	for _, c := range []struct {
		name string
		got  *tensor.Tensor
		want tensor.DType
	}{
		{"Conv2d", tensor.Conv2d(x, conv, tensor.Zeros(5), tensor.ConvOpts{}), bf16},
		{"ConvTranspose2d", tensor.ConvTranspose2d(x, tensor.Randn(4, 5, 3, 3), nil, tensor.ConvOpts{}), bf16},
		{"Linear", tensor.Linear(flat, linear, tensor.Zeros(5)), bf16},
		{"Linear of half width", tensor.Linear(half, linear, nil), bf16},
		{"MatMul", half, bf16},
		{"MatMul of float64", double.Autocast(bf16).MatMul(double.Transpose(0, 1)), tensor.Float64},
		{"Add of float32", flat.Add(flat), f32},
		{"Add of half width", half.Add(half), bf16},
		{"Add of both", half.Add(tensor.Randn(3, 4)), f32},
		{"ReLU", half.ReLU(), bf16},
		{"Softmax of half width", half.Softmax(1), bf16},
		{"Sum", half.Sum(), bf16},
		{"Prod", half.Prod(), f32},
		{"Max", half.MaxAll(), bf16},
		{"View", half.View(-1), bf16},
		{"Cat of both", tensor.Cat(0, half, flat), f32},
		{"Where of both", tensor.Where(half.GtScalar(0), half, flat), f32},
		{"MaxPool2d", tensor.MaxPool2d(tensor.Conv2d(x, conv, nil, tensor.ConvOpts{}), tensor.PoolOpts{Kernel: 2}), bf16},
		{"BatchNorm2d of half width", tensor.BatchNorm2d(half, nil, nil, ones, ones, tensor.BatchNormOpts{Training: true}), bf16},
		{"LayerNorm of half width", tensor.LayerNorm(half, tensor.Shape{4}, ones, ones, 0), bf16},
		{"CrossEntropy", tensor.CrossEntropy(half, labels, tensor.CrossEntropyOpts{}), f32},
		{"NLLLoss", tensor.NLLLoss(half.LogSoftmax(1), labels, tensor.NLLLossOpts{}), f32},
		{"MSELoss", tensor.MSELoss(half, tensor.Zeros(3, 4), tensor.Mean), f32},
		{"L1Loss", tensor.L1Loss(half, half, tensor.Mean), f32},
		{"SmoothL1Loss", tensor.SmoothL1Loss(half, half, 1, tensor.Mean), f32},
		{"HuberLoss", tensor.HuberLoss(half, half, 1, tensor.Mean), f32},
		{"BCEWithLogits", tensor.BCEWithLogits(half, tensor.Zeros(3, 4), tensor.BCEWithLogitsOpts{}), f32},
		{"Eq of both", half.Eq(flat), tensor.Bool},
		{"Detach", half.Detach().MatMul(tensor.Randn(4, 4)), bf16},
		{"NoGrad", flat.NoGrad().MatMul(tensor.Randn(4, 4)), bf16},
		{"no autocast", flat.Autocast(f32).MatMul(tensor.Randn(4, 4)), f32},
	} {
		if c.got.DType() != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got.DType(), c.want)
		}
	}
}

// Types of half width are promoted as in PyTorch without autocast too; gradients
// come back in each operand's own.
func TestPromotion(t *testing.T) {
	b := tensor.From([]float32{1, 2, 3}).ToDType(tensor.BFloat16).SetRequiresGrad(true)
	h := tensor.From([]float32{1, 2, 3}).ToDType(tensor.Float16).SetRequiresGrad(true)
	f := tensor.From([]float32{1, 2, 3}).SetRequiresGrad(true)
	d := tensor.From([]float64{1, 2, 3})
	for _, c := range []struct {
		name string
		got  *tensor.Tensor
		want tensor.DType
	}{{"bfloat16 and float16", b.Mul(h), tensor.Float32}, {"bfloat16 and float32", f.Mul(b), tensor.Float32}, {"float16 and float64", h.Mul(d), tensor.Float64}, {"one type", b.Mul(b), tensor.BFloat16},
		{"a scalar follows", tensor.From([]float32{2}).Reshape().Mul(b).Mul(b).DivScalar(2), tensor.BFloat16}} {
		if c.got.DType() != c.want || !slices.Equal(c.got.Floats(), []float32{1, 4, 9}) {
			t.Errorf("%s: got %v, want 1, 4, 9 in %s", c.name, c.got, c.want)
		}
	}
	b.Mul(f).Add(h).Sum().Backward()
	for _, x := range []*tensor.Tensor{b, h, f} {
		if x.Grad().DType() != x.DType() {
			t.Errorf("the gradient of a %s is %s", x.DType(), x.Grad().DType())
		}
	}
	x := tensor.Zeros(3).ToDType(tensor.BFloat16)
	x.AddInPlace(tensor.From([]float32{1, 1.001, 3}))
	if got := x.Floats(); x.DType() != tensor.BFloat16 || !slices.Equal(got, []float32{1, 1, 3}) {
		t.Errorf("AddInPlace: got %v in %s, want 1, 1, 3 in bfloat16", got, x.DType())
	}
	if err := tensor.Try(func() { d.Add(f) }); err == nil {
		t.Error("float64 and float32 were added, want an error")
	}
}

// The whole way through a fused convolution in evaluation equals the two
// operations in sequence up to bfloat16.
func TestAutocastFusedConvolution(t *testing.T) {
	x := tensor.Randn(3, 8, 7, 7).NoGrad().Autocast(tensor.BFloat16)
	w, b := tensor.Randn(6, 8, 3, 3).MulScalar(0.1).SetRequiresGrad(true), tensor.Randn(6).SetRequiresGrad(true)
	mean, variance, scale, shift := tensor.Randn(6), tensor.Rand(6).AddScalar(0.5), tensor.Randn(6).SetRequiresGrad(true), tensor.Randn(6)
	conv, norm := tensor.ConvOpts{Padding: 1}, tensor.BatchNormOpts{ReLU: true}
	got := tensor.Conv2dBatchNorm(x, w, b, mean, variance, scale, shift, conv, norm)
	want := tensor.BatchNorm2d(tensor.Conv2d(x, w, b, conv), mean, variance, scale, shift, norm)
	if got.DType() != tensor.BFloat16 || !got.IsNoGrad() {
		t.Fatalf("got %s, no-grad %v, want bfloat16, no-grad", got.DType(), got.IsNoGrad())
	}
	worst := got.Sub(want).ToDType(tensor.Float32).Abs().MaxAll().Item()
	if largest := want.ToDType(tensor.Float32).MaxAll().Item(); worst > 0.02*largest {
		t.Errorf("the two differ by %v of %v at most, want 2 %%", worst, largest)
	}
}

// Casts of weights go with the step's scope, and evaluation records none.
func TestAutocastMemory(t *testing.T) {
	w := tensor.Randn(64, 64).SetRequiresGrad(true)
	step := func(noGrad bool) {
		s := tensor.NewScope()
		defer s.Close()
		x := tensor.Randn(8, 64).In(s).Autocast(tensor.BFloat16)
		if noGrad {
			if y := tensor.Linear(x.NoGrad(), w, nil); y.Node() != nil {
				t.Error("a pass without gradients was recorded")
			}
			return
		}
		tensor.Linear(x, w, nil).Sum().Backward()
	}
	step(false)
	step(true)
	before := tensor.MemoryStats(tensor.CPU).Live
	for range 10 {
		step(false)
		step(true)
	}
	if now := tensor.MemoryStats(tensor.CPU).Live; now > before {
		t.Errorf("ten steps left %d bytes behind", now-before)
	}
	for x := range autograd.NoGrad(tensor.Autocast(func(yield func(a, b *tensor.Tensor) bool) { yield(w.Detach(), w.Detach()) }, tensor.BFloat16)) {
		if !x.IsNoGrad() || x.AutocastType() != tensor.BFloat16 {
			t.Errorf("no-grad %v, autocast %s, want both marks", x.IsNoGrad(), x.AutocastType())
		}
	}
}

// A half-width tensor prints, is read and written as others are.
func TestHalfTensors(t *testing.T) {
	x := tensor.From([]float32{1, -2.5, float32(math.Inf(1)), 1.001}).ToDType(tensor.Float16)
	if got, want := fmt.Sprint(x), "tensor([ 1.0000, -2.5000,     inf,  1.0010], dtype=float16)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	y := tensor.Zeros(4).ToDType(tensor.Float16)
	y.SetRaw(x.Raw())
	if len(x.Raw()) != 8 || !slices.Equal(x.Floats(), y.Floats()) {
		t.Errorf("got %v back from %d bytes, want %v from 8", y, len(x.Raw()), x)
	}
	if got := x.Select(0, 1).Item(); got != -2.5 {
		t.Errorf("Item: got %v, want -2.5", got)
	}
}
