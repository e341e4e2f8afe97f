// Package inits initializes parameters, in the manner of
// torch.nn.init. All functions work in place, on any floating-point type and
// device, are not recorded, and return the tensor that they were given.
//
// Random values are drawn from the default generator, or from the one given.
package inits

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// Recommended gains of common nonlinearities, for [Opts].Gain.
// (torch.nn.init.calculate_gain)
const (
	GainLinear = 1.0 // and convolutions, Sigmoid
	GainTanh   = 5.0 / 3
	GainReLU   = math.Sqrt2
)

// GainLeakyReLU returns the gain of a leaky ReLU with a slope below zero.
func GainLeakyReLU(slope float64) float64 { return math.Sqrt(2 / (1 + slope*slope)) }

// Mode says which of a weight's two fans keeps its variance.
type Mode uint8

const (
	FanIn  Mode = iota // the variance of what goes forward (the default)
	FanOut             // the variance of the gradients that go backward
)

// Opts are the options of the initializers that scale by the size of the weight.
type Opts struct {
	// Gain multiplies the standard deviation. 0 means √2 for Kaiming (ReLU's gain)
	// and 1 for Xavier and Orthogonal.
	Gain float64
	// Mode is Kaiming's fan.
	Mode Mode
	// Generator draws the values; nil means the default generator.
	Generator *tensor.Generator
}

func (o Opts) gain(zero float64) float64 {
	if o.Gain == 0 {
		return zero
	}
	return o.Gain
}

func first[T any](opts []T) (o T) {
	if len(opts) > 0 {
		o = opts[0]
	}
	return o
}

// fail panics the way tensor operations do.
func fail(op, format string, args ...any) {
	panic(&tensor.Error{Op: op, Err: fmt.Errorf(format, args...)})
}

// present panics if x is nil.
func present(op string, x *tensor.Tensor) {
	if x == nil {
		fail(op, "the tensor is nil")
	}
}

// Fans returns the number of values that one output of a weight sums up and the
// number of outputs that one input goes to: for a Linear weight [out in] they are
// in and out, for a Conv2d weight [out in R S] in·R·S and out·R·S.
// (torch.nn.init._calculate_fan_in_and_fan_out)
func Fans(w *tensor.Tensor) (in, out int) { return fans("Fans", w) }

func fans(op string, w *tensor.Tensor) (in, out int) {
	present(op, w)
	s := w.Shape()
	if len(s) < 2 {
		fail(op, "the tensor %v has no fan in and fan out, want two dimensions or more", s)
	}
	field := s[2:].Len()
	return s[1] * field, s[0] * field
}

// KaimingUniform fills w from U(-b, b), b = gain·√(3/fan), so that ReLUs keep the
// variance. (He et al., "Delving deep into rectifiers", 2015;
// torch.nn.init.kaiming_uniform_. PyTorch's a is Gain: GainLeakyReLU(a).)
func KaimingUniform(w *tensor.Tensor, opts ...Opts) *tensor.Tensor {
	o := first(opts)
	b := math.Sqrt(3) * kaimingStd("KaimingUniform", w, o)
	return Uniform(w, -b, b, o.Generator)
}

// KaimingNormal fills w from a normal distribution of mean 0 and standard
// deviation gain/√fan. (torch.nn.init.kaiming_normal_)
func KaimingNormal(w *tensor.Tensor, opts ...Opts) *tensor.Tensor {
	o := first(opts)
	return Normal(w, 0, kaimingStd("KaimingNormal", w, o), o.Generator)
}

func kaimingStd(op string, w *tensor.Tensor, o Opts) float64 {
	fan, out := fans(op, w)
	if o.Mode == FanOut {
		fan = out
	}
	if fan == 0 {
		return 0 // no elements
	}
	return o.gain(GainReLU) / math.Sqrt(float64(fan))
}

// XavierUniform fills w from U(-b, b), b = gain·√(6/(fan in + fan out)). (Glorot &
// Bengio, "Understanding the difficulty of training deep feedforward neural
// networks", 2010; torch.nn.init.xavier_uniform_)
func XavierUniform(w *tensor.Tensor, opts ...Opts) *tensor.Tensor {
	o := first(opts)
	b := math.Sqrt(3) * xavierStd("XavierUniform", w, o)
	return Uniform(w, -b, b, o.Generator)
}

// XavierNormal fills w from a normal distribution of mean 0 and standard deviation
// gain·√(2/(fan in + fan out)). (torch.nn.init.xavier_normal_)
func XavierNormal(w *tensor.Tensor, opts ...Opts) *tensor.Tensor {
	o := first(opts)
	return Normal(w, 0, xavierStd("XavierNormal", w, o), o.Generator)
}

func xavierStd(op string, w *tensor.Tensor, o Opts) float64 {
	in, out := fans(op, w)
	if in+out == 0 {
		return 0
	}
	return o.gain(1) * math.Sqrt(2/float64(in+out))
}

// Uniform fills x with values from the uniform distribution on [a, b). (torch.nn.init.uniform_)
func Uniform(x *tensor.Tensor, a, b float64, g ...*tensor.Generator) *tensor.Tensor {
	return x.UniformInPlace(a, b, first(g))
}

// Normal fills x with values from a normal distribution. (torch.nn.init.normal_)
func Normal(x *tensor.Tensor, mean, std float64, g ...*tensor.Generator) *tensor.Tensor {
	return x.NormalInPlace(mean, std, first(g))
}

// TruncNormal fills x with values from a normal distribution; values outside
// [a, b] are drawn again. PyTorch's defaults are mean 0, std 1, a -2 and b 2,
// absolute values, not multiples of std. (torch.nn.init.trunc_normal_)
func TruncNormal(x *tensor.Tensor, mean, std, a, b float64, g ...*tensor.Generator) *tensor.Tensor {
	if !(std > 0) || !(a < b) {
		fail("TruncNormal", "got a standard deviation of %v and the interval [%v, %v], want one above 0 and a < b", std, a, b)
	}
	if math.IsNaN(mean) || math.IsInf(mean, 0) || math.IsInf(std, 0) {
		fail("TruncNormal", "got the mean %v and a standard deviation of %v, want finite numbers", mean, std)
	}
	present("TruncNormal", x)
	cdf := func(v float64) float64 { return math.Erfc(-(v-mean)/std/math.Sqrt2) / 2 }
	// A number drawn evenly from the probabilities between a and b, taken back
	// through the distribution function, is distributed as wanted.
	lo, hi := cdf(a), cdf(b)
	if !(lo < hi) {
		fail("TruncNormal", "the interval [%v, %v] is too far from the mean %v (standard deviation %v) to hold any probability", a, b, mean, std)
	}
	u := tensor.Zeros(x.Shape()...).ToDType(tensor.Float64).UniformInPlace(lo, hi, first(g))
	v := u.Float64s()
	for i, p := range v {
		v[i] = min(max(mean-std*math.Sqrt2*math.Erfcinv(2*p), a), b)
	}
	return x.CopyFrom(tensor.From(v, x.Shape()...))
}

// Orthogonal fills w, seen as a matrix of its first size × all others, with
// orthonormal rows (or columns, if there are fewer of them), times gain. (Saxe et
// al., "Exact solutions to the nonlinear dynamics of learning in deep linear
// neural networks", 2013; torch.nn.init.orthogonal_)
func Orthogonal(w *tensor.Tensor, opts ...Opts) *tensor.Tensor {
	const op = "Orthogonal"
	o := first(opts)
	present(op, w)
	if w.Dim() < 2 {
		fail(op, "the tensor is %v, want two dimensions or more", w.Shape())
	}
	if w.Len() == 0 {
		return w
	}
	rows := w.Size(0)
	cols := w.Len() / rows
	transpose := rows > cols
	if transpose {
		rows, cols = cols, rows
	}
	q := tensor.Zeros(rows, cols).ToDType(tensor.Float64).NormalInPlace(0, 1, o.Generator).Float64s()
	// Gram and Schmidt's way, each row taken twice: once is not enough in floating
	// point, twice is (Giraud et al., 2005).
	gain := o.gain(1)
	for i := range rows {
		row := q[i*cols : (i+1)*cols]
		for range 2 {
			for j := range i {
				other := q[j*cols : (j+1)*cols]
				s := dot(row, other)
				for k, v := range other {
					row[k] -= s * v
				}
			}
			n := math.Sqrt(dot(row, row))
			for k := range row {
				row[k] /= n
			}
		}
	}
	for k := range q {
		q[k] *= gain
	}
	m := tensor.From(q, rows, cols)
	if transpose {
		m = m.T()
	}
	return w.CopyFrom(m.Reshape(w.Shape()...))
}

func dot(a, b []float64) (s float64) {
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

// Constant fills x with v. (torch.nn.init.constant_)
func Constant(x *tensor.Tensor, v float64) *tensor.Tensor {
	present("Constant", x)
	return x.Fill(v)
}

// Zeros fills x with 0. (torch.nn.init.zeros_)
func Zeros(x *tensor.Tensor) *tensor.Tensor {
	present("Zeros", x)
	return x.Fill(0)
}

// Ones fills x with 1. (torch.nn.init.ones_)
func Ones(x *tensor.Tensor) *tensor.Tensor {
	present("Ones", x)
	return x.Fill(1)
}
