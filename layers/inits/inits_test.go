package inits

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// moments returns the least and largest element, the mean and the standard
// deviation.
func moments(x *tensor.Tensor) (lo, hi, mean, std float64) {
	lo, hi = math.Inf(1), math.Inf(-1)
	v := x.Float64s()
	for _, e := range v {
		lo, hi = min(lo, e), max(hi, e)
		mean += e / float64(len(v))
	}
	for _, e := range v {
		std += (e - mean) * (e - mean) / float64(len(v))
	}
	return lo, hi, mean, math.Sqrt(std)
}

// Each distribution has the bounds, the mean and the standard deviation of the
// function of the same name in torch.nn.init.
func TestDistributions(t *testing.T) {
	const inf = math.MaxFloat64
	conv := []int{64, 32, 3, 3} // fan in 288, fan out 576
	linear := []int{100, 200}   // fan in 200, fan out 100
	for _, c := range []struct {
		name      string
		dims      []int
		fill      func(x *tensor.Tensor) *tensor.Tensor
		bound     float64 // around the mean
		mean, std float64
	}{
		{"KaimingUniform", conv, func(x *tensor.Tensor) *tensor.Tensor { return KaimingUniform(x) }, math.Sqrt(6.0 / 288), 0, math.Sqrt(2.0 / 288)},
		{"KaimingUniform, a = √5", linear, func(x *tensor.Tensor) *tensor.Tensor {
			return KaimingUniform(x, Opts{Gain: GainLeakyReLU(math.Sqrt(5))})
		}, 1 / math.Sqrt(200), 0, 1 / math.Sqrt(600)},
		{"KaimingUniform, fan out, tanh", conv, func(x *tensor.Tensor) *tensor.Tensor {
			return KaimingUniform(x, Opts{Mode: FanOut, Gain: GainTanh})
		}, 5.0 / 3 * math.Sqrt(3.0/576), 0, 5.0 / 3 / math.Sqrt(576)},
		{"KaimingNormal", conv, func(x *tensor.Tensor) *tensor.Tensor { return KaimingNormal(x) }, inf, 0, math.Sqrt(2.0 / 288)},
		{"KaimingNormal, fan out", linear, func(x *tensor.Tensor) *tensor.Tensor { return KaimingNormal(x, Opts{Mode: FanOut}) }, inf, 0, math.Sqrt(2.0 / 100)},
		{"XavierUniform", linear, func(x *tensor.Tensor) *tensor.Tensor { return XavierUniform(x) }, math.Sqrt(6.0 / 300), 0, math.Sqrt(2.0 / 300)},
		{"XavierUniform, gain", conv, func(x *tensor.Tensor) *tensor.Tensor { return XavierUniform(x, Opts{Gain: 2}) }, 2 * math.Sqrt(6.0/864), 0, 2 * math.Sqrt(2.0/864)},
		{"XavierNormal", linear, func(x *tensor.Tensor) *tensor.Tensor { return XavierNormal(x) }, inf, 0, math.Sqrt(2.0 / 300)},
		{"Uniform", linear, func(x *tensor.Tensor) *tensor.Tensor { return Uniform(x, 1, 3) }, 1, 2, 2 / math.Sqrt(12)},
		{"Normal", linear, func(x *tensor.Tensor) *tensor.Tensor { return Normal(x, -1, 0.5) }, inf, -1, 0.5},
		// scipy.stats.truncnorm(-2, 2).std()
		{"TruncNormal", linear, func(x *tensor.Tensor) *tensor.Tensor { return TruncNormal(x, 0, 1, -2, 2) }, 2, 0, 0.8796256610342398},
		{"TruncNormal, moved", linear, func(x *tensor.Tensor) *tensor.Tensor { return TruncNormal(x, 5, 0.1, 4.8, 5.2) }, 0.2, 5, 0.08796256610342398},
		{"Constant", linear, func(x *tensor.Tensor) *tensor.Tensor { return Constant(x, 0.25) }, 0, 0.25, 0},
		{"Zeros", linear, Zeros, 0, 0, 0},
		{"Ones", linear, Ones, 0, 1, 0},
	} {
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64} {
			t.Run(fmt.Sprint(c.name, " ", dtype), func(t *testing.T) {
				tensor.ManualSeed(7)
				x := tensor.Full(9, c.dims...).ToDType(dtype).SetRequiresGrad(true)
				if got := c.fill(x); got != x {
					t.Error("the result is not the tensor that was given")
				}
				lo, hi, mean, std := moments(x)
				const eps = 1e-6 // rounding to float32
				if lo < c.mean-c.bound-eps || hi > c.mean+c.bound+eps {
					t.Errorf("elements from %v to %v, want within %v of %v", lo, hi, c.bound, c.mean)
				}
				if c.std > 0 && c.bound < inf && hi-lo < 1.98*c.bound {
					t.Errorf("elements from %v to %v, want them to fill ±%v", lo, hi, c.bound)
				}
				// Four standard errors of the mean and of the standard deviation.
				n := math.Sqrt(float64(x.Len()))
				if math.Abs(mean-c.mean) > 4*c.std/n+eps {
					t.Errorf("mean %v, want %v", mean, c.mean)
				}
				if math.Abs(std-c.std) > 4*c.std/n+eps {
					t.Errorf("standard deviation %v, want %v", std, c.std)
				}
				if !x.RequiresGrad() {
					t.Error("the parameter requires no gradient any more")
				}
			})
		}
	}
}

// A normal distribution has its share within one, two and three standard
// deviations.
func TestNormalShape(t *testing.T) {
	tensor.ManualSeed(3)
	v := Normal(tensor.Zeros(40000), 0, 1).Float64s()
	for k, want := range []float64{1: 0.6827, 2: 0.9545, 3: 0.9973} {
		n := 0
		for _, e := range v {
			if math.Abs(e) < float64(k) {
				n++
			}
		}
		if got := float64(n) / 40000; k > 0 && math.Abs(got-want) > 0.01 {
			t.Errorf("%v of the elements within %d standard deviations, want %v", got, k, want)
		}
	}
}

func TestOrthogonal(t *testing.T) {
	for _, dims := range [][]int{{3, 5}, {5, 3}, {4, 4}, {1, 6}, {4, 3, 2, 2}, {30, 2, 3}, {0, 3}} {
		x := Orthogonal(tensor.Full(9, dims...).ToDType(tensor.Float64), Opts{Gain: 2})
		if x.Len() == 0 {
			continue
		}
		rows := x.Size(0)
		cols := x.Len() / rows
		v := x.Float64s()
		n, m := rows, cols
		at := func(i, j int) float64 { return v[i*cols+j] }
		if rows > cols {
			n, m = cols, rows
			at = func(i, j int) float64 { return v[j*cols+i] }
		}
		for i := range n {
			for j := range n {
				s, want := 0.0, 0.0
				for k := range m {
					s += at(i, k) * at(j, k)
				}
				if i == j {
					want = 4
				}
				if math.Abs(s-want) > 1e-12 {
					t.Errorf("%v: the product of rows %d and %d is %v, want %v", dims, i, j, s, want)
				}
			}
		}
	}
}

func TestFans(t *testing.T) {
	for _, c := range []struct {
		dims    []int
		in, out int
	}{
		{[]int{5, 3}, 3, 5}, {[]int{8, 4, 3, 2}, 24, 48}, {[]int{0, 3}, 3, 0},
	} {
		if in, out := Fans(tensor.Zeros(c.dims...)); in != c.in || out != c.out {
			t.Errorf("Fans(%v) = %d, %d, want %d, %d", c.dims, in, out, c.in, c.out)
		}
	}
}

// The same generator state gives the same numbers, and an explicit generator
// leaves the default one alone.
func TestGenerator(t *testing.T) {
	for name, fill := range map[string]func(x *tensor.Tensor, g *tensor.Generator){
		"Uniform":       func(x *tensor.Tensor, g *tensor.Generator) { Uniform(x, 0, 1, g) },
		"Normal":        func(x *tensor.Tensor, g *tensor.Generator) { Normal(x, 0, 1, g) },
		"TruncNormal":   func(x *tensor.Tensor, g *tensor.Generator) { TruncNormal(x, 0, 1, -2, 2, g) },
		"KaimingNormal": func(x *tensor.Tensor, g *tensor.Generator) { KaimingNormal(x, Opts{Generator: g}) },
		"XavierUniform": func(x *tensor.Tensor, g *tensor.Generator) { XavierUniform(x, Opts{Generator: g}) },
		"Orthogonal":    func(x *tensor.Tensor, g *tensor.Generator) { Orthogonal(x, Opts{Generator: g}) },
	} {
		seed, offset := tensor.DefaultGenerator().State()
		a, b := tensor.Zeros(3, 4), tensor.Zeros(3, 4)
		fill(a, tensor.NewGenerator(5))
		fill(b, tensor.NewGenerator(5))
		if fmt.Sprint(a.Floats()) != fmt.Sprint(b.Floats()) {
			t.Errorf("%s: two generators of one seed gave %v and %v", name, a.Floats(), b.Floats())
		}
		if fmt.Sprint(a.Floats()) == fmt.Sprint(tensor.Zeros(3, 4).Floats()) {
			t.Errorf("%s: nothing was drawn", name)
		}
		if s, o := tensor.DefaultGenerator().State(); s != seed || o != offset {
			t.Errorf("%s: the default generator moved", name)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		f    func()
		want string
	}{
		{func() { KaimingUniform(tensor.Zeros(3)) }, "tensor: KaimingUniform: the tensor [3] has no fan in and fan out, want two dimensions or more"},
		{func() { XavierNormal(tensor.Zeros()) }, "tensor: XavierNormal: the tensor [] has no fan in and fan out, want two dimensions or more"},
		{func() { KaimingNormal(nil) }, "tensor: KaimingNormal: the tensor is nil"},
		{func() { XavierUniform(nil) }, "tensor: XavierUniform: the tensor is nil"},
		{func() { TruncNormal(nil, 0, 1, -2, 2) }, "tensor: TruncNormal: the tensor is nil"},
		{func() { Orthogonal(nil) }, "tensor: Orthogonal: the tensor is nil"},
		{func() { Fans(nil) }, "tensor: Fans: the tensor is nil"},
		{func() { Constant(nil, 1) }, "tensor: Constant: the tensor is nil"},
		{func() { Zeros(nil) }, "tensor: Zeros: the tensor is nil"},
		{func() { Ones(nil) }, "tensor: Ones: the tensor is nil"},
		{func() { Orthogonal(tensor.Zeros(3)) }, "tensor: Orthogonal: the tensor is [3], want two dimensions or more"},
		{func() { TruncNormal(tensor.Zeros(3), 0, 0, -1, 1) }, "tensor: TruncNormal: got a standard deviation of 0 and the interval [-1, 1], want one above 0 and a < b"},
		{func() { TruncNormal(tensor.Zeros(3), math.NaN(), 1, -1, 1) }, "tensor: TruncNormal: got the mean NaN and a standard deviation of 1, want finite numbers"},
		{func() { TruncNormal(tensor.Zeros(3), 0, math.Inf(1), -1, 1) }, "tensor: TruncNormal: got the mean 0 and a standard deviation of +Inf, want finite numbers"},
		{func() { TruncNormal(tensor.Zeros(3), 0, 1, 60, 61) }, "tensor: TruncNormal: the interval [60, 61] is too far from the mean 0 (standard deviation 1) to hold any probability"},
	} {
		if err := tensor.Try(c.f); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func ExampleKaimingNormal() {
	w := tensor.Zeros(64, 3, 3, 3)
	KaimingNormal(w, Opts{Mode: FanOut})
	fmt.Println(w.Shape())
	// Output: [64 3 3 3]
}
