package tensor_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/wick-ml/wick/tensor"
)

// What is larger than all memory there is, is refused by the operation's name and
// the result's shape before anything is allocated.
func TestMoreThanThereIs(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("numbers of 32 bits reach no farther than memory")
	}
	const vast = 1 << (strconv.IntSize - 21)
	x, long := tensor.Ones(3, 1), tensor.Ones(1<<22, 1)
	half := long.ToDType(tensor.BFloat16)
	picture, kernel := tensor.Ones(1, 1, 2, 2), tensor.Ones(1, 1, 2, 2)
	far := tensor.ConvOpts{Padding: 1 << 21}
	for _, c := range []struct {
		op, shape string
		f         func()
	}{
		{"Zeros", fmt.Sprint([]int{vast}), func() { tensor.Zeros(vast) }},
		{"Ones", fmt.Sprint([]int{1 << 22, 1 << 21}), func() { tensor.Ones(1<<22, 1<<21) }},
		{"Zeros", fmt.Sprint([]int{math.MaxInt}), func() { tensor.Zeros(math.MaxInt) }},
		{"Eye", "[4194304 4194304]", func() { tensor.Eye(1 << 22) }},
		{"Arange", fmt.Sprint([]int{vast}), func() { tensor.Arange(0, vast, 1) }},
		{"Arange", "too many elements", func() { tensor.Arange(0, 1e300, 1) }},
		{"Linspace", fmt.Sprint([]int{vast}), func() { tensor.Linspace(0, 1, vast) }},
		{"Rand", fmt.Sprint([]int{2, vast}), func() { tensor.Rand(2, vast) }},
		{"Randn", fmt.Sprint([]int{vast}), func() { tensor.Randn(vast) }},
		{"RandInt", fmt.Sprint([]int{vast}), func() { tensor.RandInt(0, 9, vast) }},
		{"Bernoulli", fmt.Sprint([]int{vast}), func() { tensor.Bernoulli(0.5, vast) }},
		{"RandPerm", fmt.Sprint([]int{vast}), func() { tensor.RandPerm(vast) }},
		{"Repeat", fmt.Sprint([]int{3 * vast, 1}), func() { x.Repeat(vast, 1) }},
		{"Expand", fmt.Sprint([]int{3, vast}), func() { x.Expand(3, vast) }},
		{"OneHot", fmt.Sprint([]int{1, vast}), func() { tensor.OneHot(tensor.From([]int64{int64(vast) - 1}), -1) }},
		{"OneHot", fmt.Sprint([]int{1, vast}), func() { tensor.OneHot(tensor.From([]int64{1}), vast) }},
		{"OneHot", fmt.Sprint(int64(math.MaxInt64)), func() { tensor.OneHot(tensor.From([]int64{math.MaxInt64}), -1) }},
		{"MatMul", "[4194304 4194304]", func() { long.MatMul(long.View(1, -1)) }},
		{"MatMul", "[4194304 4194304]", func() { half.MatMul(half.View(1, -1)) }},
		{"Linear", "[4194304 4194304]", func() { tensor.Linear(long, long, nil) }},
		{"Add", "[4194304 4194304]", func() { long.Add(long.View(1, -1)) }},
		{"Eq", "[8388608 4194304]", func() { tensor.Ones(1<<23, 1).Eq(long.View(1, -1)) }},
		{"Cat", "[8388608 4194304]", func() { tensor.Cat(0, long, long).Add(long.View(1, -1)) }},
		{"Conv2d", "[1 1 4194305 4194305]", func() { tensor.Conv2d(picture, kernel, nil, far) }},
		{"ConvTranspose2d", "[1 1 4194306 4194306]", func() { tensor.ConvTranspose2d(picture, kernel, nil, tensor.ConvOpts{Stride: 1 << 22}) }},
		{"AdaptiveAvgPool2d", "[1 1 4194304 4194304]", func() { tensor.AdaptiveAvgPool2d(picture, 1<<22, 1<<22) }},
		{"CropMirrorNormalize", "[1 1 4194304 4194304]", func() {
			friends.CropMirrorNormalize(tensor.From([]uint8{1}, 1, 1, 1, 1), tensor.From([]int64{0, 0, 0, 0}, 1, 4), tensor.Ones(1, 256), 1<<22, 1<<22)
		}},
	} {
		err := tensor.Try(c.f)
		var e *tensor.Error
		if !errors.Is(err, tensor.ErrOutOfMemory) || !errors.As(err, &e) || !strings.Contains(err.Error(), c.shape) || e.Op != c.op && c.op != "Cat" {
			t.Errorf("got %v, want an *Error of %s that wraps ErrOutOfMemory, with %s in it", err, c.op, c.shape)
		}
	}
}

// Numbers whose sums or products overflow: a sentence, or the result that they
// have, and no room that grows with them.
func TestNumbersThatOverflow(t *testing.T) {
	x, w := tensor.Arange(0, 16, 1).ToDType(tensor.Float32).Reshape(1, 1, 4, 4), tensor.Ones(1, 1, 3, 3)
	tensor.CPU.ResetPeakMemory()
	before := tensor.CPU.MemoryStats().Live
	for _, far := range []int{1 << 14, 1 << 24} {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16} {
			x, w := x.ToDType(dtype).Clone().SetRequiresGrad(true), w.ToDType(dtype).Clone().SetRequiresGrad(true)
			y := tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: far, Dilation: far})
			wantTensor(t, "only the middle tap meets the image", y.Detach(), x.Detach(), 0)
			y.Sum().Backward()
			wantTensor(t, "the image's gradient", x.Grad(), tensor.OnesLike(x.Detach()), 0)
			if got := w.Grad().Float64s(); got[4] != 120 || w.Grad().Sum().Item() != 120 {
				t.Errorf("the weight's gradient: got %v, want 120 in the middle and 0 elsewhere", got)
			}
			z := tensor.ConvTranspose2d(x.Detach(), w.Detach(), nil, tensor.ConvOpts{Padding: far, Dilation: far})
			wantTensor(t, "transposed", z, x.Detach(), 0)
		}
	}
	if got := tensor.CPU.MemoryStats().Peak - before; got > 64<<20 {
		t.Errorf("a 4×4 image took %d bytes at once, want a few MiB", got)
	}
	for name, conv := range map[string]func() *T{
		"a wide border":              func() *T { return tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1500}) },
		"a wide border, stride 2":    func() *T { return tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 3000, Stride: 2}) },
		"a large stride, transposed": func() *T { return tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{Stride: 1000}) },
		"a border, groups and channels": func() *T {
			return tensor.Conv2d(tensor.Ones(1, 3, 4, 4), tensor.Ones(3, 1, 3, 3), nil, tensor.ConvOpts{Padding: 900, Groups: 3})
		},
	} {
		s := tensor.NewScope()
		tensor.CPU.ResetPeakMemory()
		before := tensor.CPU.MemoryStats().Live
		y := conv().In(s)
		if took, result := tensor.CPU.MemoryStats().Peak-before, int64(4*y.Len()); took > result+16<<20 {
			t.Errorf("%s: took %d bytes at once for a result of %d, want little more", name, took, result)
		}
		s.Close()
	}
	wantTensor(t, "Triu beyond", tensor.Ones(2, 2).Triu(math.MaxInt), tensor.Zeros(2, 2), 0)
	wantTensor(t, "Triu before", tensor.Ones(2, 2).Triu(math.MinInt), tensor.Ones(2, 2), 0)
	wantTensor(t, "Tril beyond", tensor.Ones(2, 2).Tril(math.MaxInt), tensor.Ones(2, 2), 0)
	wantTensor(t, "Tril before", tensor.Ones(2, 2).Tril(math.MinInt), tensor.Zeros(2, 2), 0)
	if got := len(tensor.Ones(5).Chunk(math.MaxInt, 0)); got != 5 {
		t.Errorf("Chunk(MaxInt) of 5: got %d pieces, want 5", got)
	}
	if got := len(tensor.Ones(5).Split(math.MaxInt, 0)); got != 1 {
		t.Errorf("Split(MaxInt) of 5: got %d pieces, want 1", got)
	}
	if got := tensor.Arange(1e19, 1e19+8192, 2048); got.DType() != tensor.Float32 || got.Len() != 4 {
		t.Errorf("Arange beyond int64: got %v %v, want float32 [4]", got.DType(), got.Shape())
	}
	numbers := []int{math.MaxInt, math.MaxInt - 1, math.MaxInt/2 + 1, 1 << (strconv.IntSize - 2), 1 << (strconv.IntSize / 2), 1<<24 + 1, 1 << 24, math.MinInt, -1}
	for _, n := range numbers {
		hw := [2]int{n, 1}
		empty := tensor.Zeros(0, 1, 4, 4)
		for name, f := range map[string]func(){
			"stride":         func() { tensor.Conv2d(x, w, nil, tensor.ConvOpts{StrideHW: hw}) },
			"dilation":       func() { tensor.Conv2d(x, w, nil, tensor.ConvOpts{DilationHW: hw}) },
			"padding":        func() { tensor.Conv2d(empty, w, nil, tensor.ConvOpts{PaddingHW: hw}) },
			"all":            func() { tensor.Conv2d(x, w, nil, tensor.ConvOpts{StrideHW: hw, PaddingHW: hw, DilationHW: hw}) },
			"groups":         func() { tensor.Conv2d(x, w, nil, tensor.ConvOpts{Groups: n}) },
			"groups of none": func() { tensor.Conv2d(x, tensor.Zeros(0, 4, 3, 3), nil, tensor.ConvOpts{Groups: n}) },
			"transposed":     func() { tensor.ConvTranspose2d(empty, w, nil, tensor.ConvOpts{StrideHW: hw, DilationHW: hw}) },
			"transposed all": func() {
				tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{StrideHW: hw, PaddingHW: hw, DilationHW: hw})
			},
			"output padding":   func() { tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{OutputPaddingHW: hw}) },
			"transposed group": func() { tensor.ConvTranspose2d(x, w, nil, tensor.ConvOpts{Groups: n}) },
			"pooling":          func() { tensor.MaxPool2d(x, tensor.PoolOpts{KernelHW: hw}) },
			"pooling far":      func() { tensor.MaxPool2d(x, tensor.PoolOpts{Kernel: 2, DilationHW: hw, StrideHW: hw}) },
			"pooling a border": func() {
				tensor.MaxPool2d(tensor.Ones(1, 1, 1), tensor.PoolOpts{Kernel: n, Padding: n / 2, CeilMode: true})
			},
			"means": func() {
				tensor.AvgPool2d(tensor.Ones(1, 1, 1), tensor.PoolOpts{Kernel: n, Padding: n / 2, CeilMode: true, Divisor: n})
			},
			"adaptive":       func() { tensor.AdaptiveAvgPool2d(empty, n, 1) },
			"adaptive, none": func() { tensor.AdaptiveAvgPool2d(x, n, 0) },
			"narrow":         func() { x.Narrow(0, n, n) },
			"select":         func() { x.Select(0, n) },
			"split":          func() { x.Split(n, 2) },
			"view":           func() { empty.View(n, n, 0) },
			"view, open":     func() { empty.View(-1, n, n) },
			"repeat":         func() { empty.Repeat(n, n, 1, 1) },
			"repeat none":    func() { x.Repeat(n, n, 0, 1) },
			"expand":         func() { empty.Expand(n, n, 0, 1, 4, 4) },
			"eye":            func() { tensor.Eye(n, 0) },
			"zeros":          func() { tensor.Zeros(n, n, 0) },
			"one hot":        func() { tensor.OneHot(tensor.Zeros(0).ToDType(tensor.Int64), n) },
			"top":            func() { x.TopK(n, 0, true) },
			"dimension":      func() { x.Sum(n) },
			"group norm":     func() { tensor.GroupNorm(x, n, nil, nil, 0) },
			"layer norm":     func() { tensor.LayerNorm(x, tensor.Shape{n, n}, nil, nil, 0) },
		} {
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("%s with %d: panic %v", name, n, r)
					}
				}()
				err := tensor.Try(f)
				var e *tensor.Error
				if err != nil && (!errors.As(err, &e) || strings.Contains(err.Error(), "\n")) {
					t.Errorf("%s with %d: got %v, want one sentence of an *Error", name, n, err)
				}
			}()
		}
	}
}

// Arrays of which an axis may be empty: a convolution's result and gradients are those of the sums that it stands for.
func TestConvolutionOfAnySize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		step := func(name string) [2]int {
			one := rapid.OneOf(rapid.IntRange(1, 3), rapid.SampledFrom([]int{9, 1000, 1 << 20}))
			return [2]int{one.Draw(t, name), one.Draw(t, name)}
		}
		groups := rapid.IntRange(1, 3).Draw(t, "groups")
		n, c, k := size("images", 3), groups*size("input channels", 3), groups*size("output channels", 5)
		h, w, r, s := size("height", 7), size("width", 7), 1+size("rows", 2), 1+size("columns", 2)
		o := tensor.ConvOpts{Groups: groups, StrideHW: step("stride"), PaddingHW: [2]int{size("padding", 4), size("padding", 4)}, DilationHW: step("dilation")}
		transposed := rapid.Bool().Draw(t, "transposed")
		if transposed && o.StrideHW[0]*h > 100 || transposed && o.StrideHW[1]*w > 100 {
			o.StrideHW = [2]int{2, 1}
		}
		if transposed && max(o.DilationHW[0], o.DilationHW[1]) > 100 {
			o.DilationHW = [2]int{1, 2}
		}
		dtype := rapid.SampledFrom([]tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16}).Draw(t, "type")
		fresh := func(shape ...int) *T {
			return numbered(shape).RemainderScalar(5).SubScalar(2).ToDType(dtype).SetRequiresGrad(true)
		}
		x := fresh(n, c, h, w)
		b := fresh(k)
		var y, weight *T
		err := tensor.Try(func() {
			if transposed {
				weight = fresh(c, k/groups, r, s)
				y = tensor.ConvTranspose2d(x, weight, b, o)
			} else {
				weight = fresh(k, c/groups, r, s)
				y = tensor.Conv2d(x, weight, b, o)
			}
		})
		var e *tensor.Error
		if err != nil {
			if !errors.As(err, &e) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("got %v, want one sentence of an *Error", err)
			}
			return
		}
		dy := fresh(y.Shape()...).Detach()
		y.Mul(dy).Sum().Backward()
		p, q := y.Size(2), y.Size(3)
		xs, ws, bs, dys := x.Float64s(), weight.Float64s(), b.Float64s(), dy.Float64s()
		ys, dx, dw, db := zeros(y.Len()), zeros(len(xs)), zeros(len(ws)), zeros(k)
		for i := range ys {
			ys[i] = bs[i/(p*q)%k]
			db[i/(p*q)%k] += dys[i]
		}
		// One loop over the pairs that a tap joins; of a transposed convolution the input is on the other side.
		ci, ki := c/groups, k/groups
		H, W, P, Q := h, w, p, q
		if transposed {
			H, W, P, Q = p, q, h, w
		}
		for image := range n {
			for a := range k {
				for d := range ci {
					for i := range r * s {
						for j := range P * Q {
							ih, iw := j/max(Q, 1)*o.StrideHW[0]+i/s*o.DilationHW[0]-o.PaddingHW[0], j%max(Q, 1)*o.StrideHW[1]+i%s*o.DilationHW[1]-o.PaddingHW[1]
							if ih < 0 || ih >= H || iw < 0 || iw >= W {
								continue
							}
							in, out := image*c+a/ki*ci+d, image*k+a
							at, to, tap := (in*H+ih)*W+iw, out*P*Q+j, (a*ci+d)*r*s+i
							if transposed {
								at, to, tap = in*P*Q+j, (out*H+ih)*W+iw, ((a/ki*ci+d)*ki+a%ki)*r*s+i
							}
							ys[to] += xs[at] * ws[tap]
							dx[at] += dys[to] * ws[tap]
							dw[tap] += dys[to] * xs[at]
						}
					}
				}
			}
		}
		for _, v := range []struct {
			name string
			got  *T
			want []float64
		}{{"result", y, ys}, {"gradient of the input", x.Grad(), dx}, {"gradient of the weight", weight.Grad(), dw}, {"gradient of the bias", b.Grad(), db}} {
			want := tensor.From(v.want).ToDType(dtype).Float64s()
			for i, got := range v.got.Float64s() {
				if math.Abs(got-want[i]) > 1e-4*max(1, math.Abs(want[i])) && (dtype.Size() > 2 || math.Abs(got-want[i]) > 0.01*math.Abs(want[i])) {
					t.Fatalf("%s, %s %v: element %d: got %v, want %v", v.name, dtype, v.got.Shape(), i, got, want[i])
				}
			}
		}
	})
}

func zeros(n int) []float64 { return make([]float64, n) }

// Rows without elements have no sums, however many there are.
func TestCumsumOfNothing(t *testing.T) {
	x := tensor.Zeros(math.MaxInt, 0)
	for dim := range 2 {
		if y := x.Cumsum(dim); !y.Shape().Equal(x.Shape()) {
			t.Errorf("dimension %d: got %v, want %v", dim, y.Shape(), x.Shape())
		}
	}
}
