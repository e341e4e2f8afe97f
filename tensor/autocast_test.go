package tensor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
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

// Types of half precision are promoted as in PyTorch without autocast too; gradients
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
	if got := d.Add(f).DType(); got != tensor.Float64 {
		t.Errorf("float64 + float32 is %s, want float64", got)
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
	worst := got.Sub(want).ToDType(tensor.Float32).Abs().Amax().Item()
	if largest := want.ToDType(tensor.Float32).Amax().Item(); worst > 0.02*largest {
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
	before := tensor.CPU.MemoryStats().Live
	for range 10 {
		step(false)
		step(true)
	}
	if now := tensor.CPU.MemoryStats().Live; now > before {
		t.Errorf("ten steps left %d bytes behind", now-before)
	}
	for x := range autograd.NoGrad(tensor.Autocast(func(yield func(a, b *tensor.Tensor) bool) { yield(w.Detach(), w.Detach()) }, tensor.BFloat16)) {
		if !x.IsNoGrad() || x.AutocastType() != tensor.BFloat16 {
			t.Errorf("no-grad %v, autocast %s, want both marks", x.IsNoGrad(), x.AutocastType())
		}
	}
}

// A tensor of half precision prints, is read and written as others are.
func TestHalfPrints(t *testing.T) {
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

// autocastReference is testdata/autocast.json, made by PyTorch (autocast.py).
type autocastReference struct {
	X, Losses, Mean []float64
	Labels          []int64
	Params, Grads   map[string][]float64
	Dtypes          []string
	Types           map[string][]string
}

func readAutocast(t *testing.T) (r autocastReference) {
	t.Helper()
	b, err := os.ReadFile("testdata/autocast.json")
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var autocastShapes = map[string][]int{"w1": {8, 3, 3, 3}, "b1": {8}, "g": {8}, "h": {8}, "w2": {8, 8, 3, 3}, "w3": {4, 32}, "b3": {4}}

// TestAutocastTraining makes PyTorch's four steps of SGD.
func TestAutocastTraining(t *testing.T) {
	ref := readAutocast(t)
	p := map[string]*tensor.Tensor{}
	for k, v := range ref.Params {
		p[k] = tensor.From(v).ToDType(tensor.Float32).Reshape(autocastShapes[k]...).SetRequiresGrad(true)
	}
	images := tensor.From(ref.X).ToDType(tensor.Float32).Reshape(6, 3, 8, 8)
	labels := tensor.From(ref.Labels)
	mean, variance := tensor.Zeros(8), tensor.Ones(8)
	batches := func(yield func(x, y *tensor.Tensor) bool) {
		for range 4 {
			if !yield(images, labels) {
				return
			}
		}
	}
	step := 0
	for x, labels := range tensor.Autocast(batches, tensor.BFloat16) {
		var types []string
		seen := func(y *tensor.Tensor) *tensor.Tensor {
			types = append(types, y.DType().String())
			return y
		}
		y := seen(tensor.Conv2d(x, p["w1"], p["b1"], tensor.ConvOpts{Padding: 1}))
		y = seen(tensor.BatchNorm2d(y, mean, variance, p["g"], p["h"], tensor.BatchNormOpts{Training: true}))
		y = seen(y.ReLU())
		y = seen(tensor.MaxPool2d(y, tensor.PoolOpts{Kernel: 2}))
		y = seen(tensor.Conv2d(y, p["w2"], nil, tensor.ConvOpts{Padding: 1}))
		y = seen(tensor.MaxPool2d(y.ReLU(), tensor.PoolOpts{Kernel: 2}))
		y = seen(tensor.Linear(y.Flatten(1), p["w3"], p["b3"]))
		loss := seen(tensor.CrossEntropy(y, labels, tensor.CrossEntropyOpts{}))
		for i, want := range ref.Dtypes {
			if types[i] != want {
				t.Errorf("result %d is %s, want %s", i, types[i], want)
			}
		}
		if got, want := loss.Item(), ref.Losses[step]; !(math.Abs(got-want) <= 0.01*want) {
			t.Errorf("step %d: got a loss of %v, want %v", step, got, want)
		}
		loss.Backward()
		for k, w := range p {
			g := w.Grad()
			if g.DType() != tensor.Float32 || w.DType() != tensor.Float32 {
				t.Fatalf("%s is %s with a gradient %s, want float32", k, w.DType(), g.DType())
			}
			if step == 0 && k != "b1" { // BatchNorm takes the bias before it away: its gradient is rounding noise, in PyTorch too
				off, all := 0.0, 0.0
				for i, v := range g.Float64s() {
					off += (v - ref.Grads[k][i]) * (v - ref.Grads[k][i])
					all += ref.Grads[k][i] * ref.Grads[k][i]
				}
				if e := math.Sqrt(off / all); !(e <= 0.02) {
					t.Errorf("the gradient of %s has a relative error of %.2g, want 0.02 at most", k, e)
				}
			}
			w.SubInPlace(g.MulScalar(0.02))
			w.ZeroGrad()
		}
		step++
	}
	if step != 4 {
		t.Fatalf("got %d steps, want 4", step)
	}
	for i, v := range mean.Float64s() {
		if math.Abs(v-ref.Mean[i]) > 0.01 {
			t.Errorf("running mean %d is %v, want %v", i, v, ref.Mean[i])
		}
	}
}

// TestAutocastTypes holds the type of each operation's result to PyTorch's, for
// float32 operands, for bfloat16 ones, and for one of each.
func TestAutocastTypes(t *testing.T) {
	label := tensor.From([]int64{0, 1, 2, 3})
	type ten = *tensor.Tensor
	image := func(x ten) ten { return x.Reshape(1, 1, 4, 4) }
	ops := map[string]func(a, b ten) ten{
		"MatMul": ten.MatMul, "Linear": func(a, b ten) ten { return tensor.Linear(a, b, nil) },
		"Conv2d": func(a, b ten) ten { return tensor.Conv2d(image(a), image(b), nil, tensor.ConvOpts{}) },
		"ConvTranspose2d": func(a, b ten) ten {
			return tensor.ConvTranspose2d(image(a), image(b), nil, tensor.ConvOpts{})
		},
		"Add": ten.Add, "Mul": ten.Mul, "Div": ten.Div, "Maximum": ten.Maximum, "Pow": ten.Pow,
		"Cat":   func(a, b ten) ten { return tensor.Cat(0, a, b) },
		"Where": func(a, b ten) ten { return tensor.Where(a.GtScalar(1), a, b) },
		"ReLU":  func(a, _ ten) ten { return a.ReLU() }, "Exp": func(a, _ ten) ten { return a.Exp() },
		"Log": func(a, _ ten) ten { return a.Log() }, "Sqrt": func(a, _ ten) ten { return a.Sqrt() },
		"Sum": func(a, _ ten) ten { return a.Sum() }, "Mean": func(a, _ ten) ten { return a.Mean() },
		"Var": func(a, _ ten) ten { return a.Var() }, "Prod": func(a, _ ten) ten { return a.Prod(1) },
		"Softmax": func(a, _ ten) ten { return a.Softmax(1) }, "LogSoftmax": func(a, _ ten) ten { return a.LogSoftmax(1) },
		"MulScalar":    func(a, _ ten) ten { return a.MulScalar(2.5) },
		"LayerNorm":    func(a, _ ten) ten { return tensor.LayerNorm(a, tensor.Shape{4}, nil, nil, 0) },
		"MSELoss":      func(a, b ten) ten { return tensor.MSELoss(a, b, tensor.ReduceMean) },
		"L1Loss":       func(a, b ten) ten { return tensor.L1Loss(a, b, tensor.ReduceMean) },
		"SmoothL1Loss": func(a, b ten) ten { return tensor.SmoothL1Loss(a, b, 1, tensor.ReduceMean) },
		"HuberLoss":    func(a, b ten) ten { return tensor.HuberLoss(a, b, 1, tensor.ReduceMean) },
		"BCEWithLogits": func(a, b ten) ten {
			return tensor.BCEWithLogits(a, b.Clamp(0, 1), tensor.BCEWithLogitsOpts{})
		},
		"NLLLoss":      func(a, _ ten) ten { return tensor.NLLLoss(a, label, tensor.NLLLossOpts{}) },
		"CrossEntropy": func(a, _ ten) ten { return tensor.CrossEntropy(a, label, tensor.CrossEntropyOpts{}) },
		"MaxPool2d":    func(a, _ ten) ten { return tensor.MaxPool2d(image(a), tensor.PoolOpts{Kernel: 2}) },
		"AvgPool2d":    func(a, _ ten) ten { return tensor.AvgPool2d(image(a), tensor.PoolOpts{Kernel: 2}) },
	}
	for name, want := range readAutocast(t).Types {
		f := ops[name]
		if f == nil {
			t.Errorf("%s has no row here", name)
			continue
		}
		a, b := tensor.Rand(4, 4).AddScalar(0.5), tensor.Rand(4, 4).AddScalar(0.5)
		for i, operands := range [][2]ten{{a, b}, {a.ToDType(tensor.BFloat16), b.ToDType(tensor.BFloat16)}, {a.ToDType(tensor.BFloat16), b}} {
			if want[i] == "" {
				continue
			}
			for _, noGrad := range []bool{false, true} {
				x, w := operands[0].Autocast(tensor.BFloat16), operands[1].Detach().SetRequiresGrad(true)
				if noGrad {
					x = x.NoGrad()
					if name == "Conv2d" || name == "ConvTranspose2d" || name == "BCEWithLogits" {
						w = w.Detach() // these rows make something of w first, which would be recorded
					}
				}
				y := f(x, w)
				if got := y.DType().String(); got != want[i] {
					t.Errorf("%s, operands %s and %s: the result is %s, want %s", name, x.DType(), w.DType(), got, want[i])
				}
				if y.AutocastType() != tensor.BFloat16 || y.IsNoGrad() != noGrad {
					t.Errorf("%s: the result has autocast %s and no-grad %v, want bfloat16 and %v", name, y.AutocastType(), y.IsNoGrad(), noGrad)
				}
				if y.RequiresGrad() {
					y.Float64s()
					y.Sum().Backward()
					if g := w.Grad(); g != nil && g.DType() != w.DType() {
						t.Errorf("%s: the gradient of %s is %s", name, w.DType(), g.DType())
					}
				}
			}
		}
	}
}

func TestAutocastMark(t *testing.T) {
	x := tensor.Ones(2, 2)
	if got := x.Autocast(tensor.Float16).NoGrad().Detach().Watch(nil).View(4).AutocastType(); got != tensor.Float16 {
		t.Errorf("after NoGrad, Detach, Watch and View the mark is %s, want float16", got)
	}
	y := x.NoGrad().Autocast(tensor.BFloat16)
	if !y.IsNoGrad() {
		t.Error("Autocast took the no-grad mark off")
	}
	if z := y.Autocast(tensor.Float32).MatMul(x); z.DType() != tensor.Float32 || z.AutocastType() != tensor.Float32 {
		t.Errorf("Autocast(Float32) left a product %s with the mark %s", z.DType(), z.AutocastType())
	}
	for a := range tensor.Autocast(autograd.NoGrad(func(yield func(a, b *tensor.Tensor) bool) { yield(x, x) }), tensor.BFloat16) {
		if a.AutocastType() != tensor.BFloat16 || !a.IsNoGrad() {
			t.Errorf("got the mark %s and no-grad %v, want both", a.AutocastType(), a.IsNoGrad())
		}
	}
	if err := tensor.Try(func() { x.Autocast(tensor.Int64) }); err == nil {
		t.Error("Autocast took int64")
	}
}

func TestHalfTensors(t *testing.T) {
	for _, typ := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		x := tensor.From([]float32{1, 2.5, -3, 0.1}).SetRequiresGrad(true)
		h := x.ToDType(typ)
		if h.DType() != typ || len(h.Raw()) != 8 {
			t.Fatalf("got %s of %d bytes, want %s of 8", h.DType(), len(h.Raw()), typ)
		}
		if d := math.Abs(float64(h.Floats()[3]) - 0.1); d == 0 || d > 4e-4 {
			t.Errorf("%s: 0.1 became %v", typ, h.Floats()[3])
		}
		h.Mul(h).Sum().Backward()
		if g := x.Grad(); g.DType() != tensor.Float32 || g.Floats()[1] != 5 {
			t.Errorf("%s: the gradient is %s %v, want float32 with 5", typ, g.DType(), g.Floats())
		}
		if got := h.Detach().Sum().Item(); math.Abs(got-0.6) > 0.01 {
			t.Errorf("%s: the sum is %v, want 0.6", typ, got)
		}
		y := tensor.ZerosLike(h.Detach())
		y.SetRaw(h.Raw())
		y.AddInPlace(tensor.Ones(4))
		if y.DType() != typ || y.Floats()[0] != 2 {
			t.Errorf("%s: AddInPlace gave %s %v", typ, y.DType(), y.Floats())
		}
		if z := tensor.Zeros(4).CopyFrom(y); z.Floats()[1] != 3.5 {
			t.Errorf("%s: CopyFrom gave %v", typ, z.Floats())
		}
		if z := y.Add(tensor.Ones(4)); z.DType() != tensor.Float32 {
			t.Errorf("%s + float32 is %s, want float32", typ, z.DType())
		}
		if z := y.Mul(tensor.Full(2)); z.DType() != typ {
			t.Errorf("%s · a float32 scalar is %s, want %s", typ, z.DType(), typ)
		}
	}
	a, b := tensor.Ones(2).ToDType(tensor.BFloat16), tensor.Ones(2).ToDType(tensor.Float16)
	if z := a.Add(b); z.DType() != tensor.Float32 {
		t.Errorf("bfloat16 + float16 is %s, want float32", z.DType())
	}
	if z := tensor.Ones(2).Add(tensor.Ones(2).ToDType(tensor.Float64)); z.DType() != tensor.Float64 {
		t.Errorf("float32 + float64 is %s, want float64", z.DType())
	}
}
