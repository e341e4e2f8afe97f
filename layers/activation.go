package layers

import (
	"fmt"

	"github.com/wick-ml/wick/tensor"
)

// ReLU is max(x, 0), for any shape. With Inplace it overwrites its input instead
// of taking new memory; the layer before must not need its result for its
// gradient (Conv2d, Linear and BatchNorm2d do not). (torch.nn.ReLU)
type ReLU struct {
	Inplace bool `json:"inplace,omitempty"`
}

func init() { registerPlain[ReLU]("ReLU") }

// Forward returns max(x, 0).
func (l ReLU) Forward(x *tensor.Tensor) *tensor.Tensor {
	if l.Inplace {
		return x.ReLUInPlace()
	}
	return x.ReLU()
}

func (ReLU) Parts() []Part { return nil }

func (l ReLU) Config() (string, []byte) { return config("ReLU", l) }

// String returns what PyTorch prints: "ReLU()" or "ReLU(inplace=True)".
func (l ReLU) String() string { return "ReLU(" + when(l.Inplace, "inplace=True") + ")" }

// brief returns "ReLU()" or "ReLU(inplace)".
func (l ReLU) brief() string { return "ReLU(" + when(l.Inplace, "inplace") + ")" }

// LeakyReLU is x where x > 0 and Slope·x elsewhere, for any shape.
// (torch.nn.LeakyReLU)
type LeakyReLU struct {
	Slope float64 `json:"negative_slope,omitempty"` // 0 means 0.01; tensor.Zero is 0
}

func init() { registerPlain[LeakyReLU]("LeakyReLU") }

// Forward returns x or Slope·x, element by element.
func (l LeakyReLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LeakyReLU(or(l.Slope, 0.01)) }

func (LeakyReLU) Parts() []Part { return nil }

func (l LeakyReLU) Config() (string, []byte) { return config("LeakyReLU", l) }

// String returns what PyTorch prints: "LeakyReLU(negative_slope=0.01)".
func (l LeakyReLU) String() string {
	return "LeakyReLU(negative_slope=" + float(or(l.Slope, 0.01)) + ")"
}

// brief returns "LeakyReLU(0.01)".
func (l LeakyReLU) brief() string { return fmt.Sprintf("LeakyReLU(%v)", or(l.Slope, 0.01)) }

// GELU is x·Φ(x), where Φ is the normal distribution function, for any shape; with
// Tanh its approximation by a hyperbolic tangent. (Hendrycks & Gimpel, 2016;
// torch.nn.GELU)
type GELU struct {
	Tanh bool `json:"tanh,omitempty"`
}

func init() { registerPlain[GELU]("GELU") }

// Forward returns x·Φ(x).
func (l GELU) Forward(x *tensor.Tensor) *tensor.Tensor {
	if l.Tanh {
		return x.GELUTanh()
	}
	return x.GELU()
}

func (GELU) Parts() []Part { return nil }

func (l GELU) Config() (string, []byte) { return config("GELU", l) }

// String returns what PyTorch prints: "GELU(approximate='none')".
func (l GELU) String() string {
	if l.Tanh {
		return "GELU(approximate='tanh')"
	}
	return "GELU(approximate='none')"
}

// brief returns "GELU()" or "GELU(tanh)".
func (l GELU) brief() string { return "GELU(" + when(l.Tanh, "tanh") + ")" }

// SiLU is x·sigmoid(x), for any shape. (torch.nn.SiLU)
type SiLU struct{}

func init() { registerPlain[SiLU]("SiLU") }

// Forward returns x·sigmoid(x).
func (SiLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.SiLU() }

func (SiLU) Parts() []Part { return nil }

func (l SiLU) Config() (string, []byte) { return config("SiLU", l) }

func (SiLU) String() string { return "SiLU()" }

// Sigmoid is 1/(1+exp(-x)), for any shape. (torch.nn.Sigmoid)
type Sigmoid struct{}

func init() { registerPlain[Sigmoid]("Sigmoid") }

// Forward returns 1/(1+exp(-x)).
func (Sigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Sigmoid() }

func (Sigmoid) Parts() []Part { return nil }

func (l Sigmoid) Config() (string, []byte) { return config("Sigmoid", l) }

func (Sigmoid) String() string { return "Sigmoid()" }

// Tanh is the hyperbolic tangent, for any shape. (torch.nn.Tanh)
type Tanh struct{}

func init() { registerPlain[Tanh]("Tanh") }

// Forward returns tanh(x).
func (Tanh) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Tanh() }

func (Tanh) Parts() []Part { return nil }

func (l Tanh) Config() (string, []byte) { return config("Tanh", l) }

func (Tanh) String() string { return "Tanh()" }

// ELU is x where x > 0 and Alpha·(exp(x)-1) elsewhere, for any shape.
// (torch.nn.ELU)
type ELU struct {
	Alpha float64 `json:"alpha,omitempty"` // 0 means 1; tensor.Zero is 0
}

func init() { registerPlain[ELU]("ELU") }

// Forward returns x or Alpha·(exp(x)-1), element by element.
func (l ELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.ELU(or(l.Alpha, 1)) }

func (ELU) Parts() []Part { return nil }

func (l ELU) Config() (string, []byte) { return config("ELU", l) }

// String returns what PyTorch prints: "ELU(alpha=1.0)".
func (l ELU) String() string { return "ELU(alpha=" + float(or(l.Alpha, 1)) + ")" }

// brief returns "ELU(1)".
func (l ELU) brief() string { return fmt.Sprintf("ELU(%v)", or(l.Alpha, 1)) }

// Hardswish is x·min(max(x+3, 0), 6)/6, for any shape. (torch.nn.Hardswish)
type Hardswish struct{}

func init() { registerPlain[Hardswish]("Hardswish") }

// Forward returns x·min(max(x+3, 0), 6)/6.
func (Hardswish) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardswish() }

func (Hardswish) Parts() []Part { return nil }

func (l Hardswish) Config() (string, []byte) { return config("Hardswish", l) }

func (Hardswish) String() string { return "Hardswish()" }

// Hardsigmoid is min(max(x+3, 0), 6)/6, for any shape. (torch.nn.Hardsigmoid)
type Hardsigmoid struct{}

func init() { registerPlain[Hardsigmoid]("Hardsigmoid") }

// Forward returns min(max(x+3, 0), 6)/6.
func (Hardsigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardsigmoid() }

func (Hardsigmoid) Parts() []Part { return nil }

func (l Hardsigmoid) Config() (string, []byte) { return config("Hardsigmoid", l) }

func (Hardsigmoid) String() string { return "Hardsigmoid()" }

// Softplus is log(1+exp(Beta·x))/Beta, for any shape; where Beta·x is above
// Threshold it is x. (torch.nn.Softplus)
type Softplus struct {
	Beta      float64 `json:"beta,omitempty"`      // 0 means 1
	Threshold float64 `json:"threshold,omitempty"` // 0 means 20; tensor.Zero is 0
}

func init() { registerPlain[Softplus]("Softplus") }

// Forward returns log(1+exp(Beta·x))/Beta.
func (l Softplus) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.Softplus(or(l.Beta, 1), or(l.Threshold, 20))
}

func (Softplus) Parts() []Part { return nil }

func (l Softplus) Config() (string, []byte) { return config("Softplus", l) }

// String returns what PyTorch prints: "Softplus(beta=1.0, threshold=20.0)".
func (l Softplus) String() string {
	return "Softplus(beta=" + float(or(l.Beta, 1)) + ", threshold=" + float(or(l.Threshold, 20)) + ")"
}

// brief returns "Softplus(1, 20)".
func (l Softplus) brief() string {
	return fmt.Sprintf("Softplus(%v, %v)", or(l.Beta, 1), or(l.Threshold, 20))
}

// Softmax is exp(x) divided by its sum along dimension Dim, for any shape. A
// negative Dim counts from the end. (torch.nn.Softmax)
type Softmax struct {
	Dim int `json:"dim"`
}

func init() { registerPlain[Softmax]("Softmax") }

// Forward returns the softmax of x along Dim.
func (l Softmax) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softmax(l.Dim) }

func (Softmax) Parts() []Part { return nil }

func (l Softmax) Config() (string, []byte) { return config("Softmax", l) }

// String returns what PyTorch prints: "Softmax(dim=1)".
func (l Softmax) String() string { return fmt.Sprintf("Softmax(dim=%d)", l.Dim) }

// brief returns "Softmax(dim 1)".
func (l Softmax) brief() string { return fmt.Sprintf("Softmax(dim %d)", l.Dim) }

// LogSoftmax is the logarithm of [Softmax], computed without its rounding errors.
// (torch.nn.LogSoftmax)
type LogSoftmax struct {
	Dim int `json:"dim"`
}

func init() { registerPlain[LogSoftmax]("LogSoftmax") }

// Forward returns the logarithm of the softmax of x along Dim.
func (l LogSoftmax) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LogSoftmax(l.Dim) }

func (LogSoftmax) Parts() []Part { return nil }

func (l LogSoftmax) Config() (string, []byte) { return config("LogSoftmax", l) }

// String returns what PyTorch prints: "LogSoftmax(dim=1)".
func (l LogSoftmax) String() string { return fmt.Sprintf("LogSoftmax(dim=%d)", l.Dim) }

// brief returns "LogSoftmax(dim 1)".
func (l LogSoftmax) brief() string { return fmt.Sprintf("LogSoftmax(dim %d)", l.Dim) }

// Softsign is x/(1+|x|), for any shape. (torch.nn.Softsign)
type Softsign struct{}

func init() { registerPlain[Softsign]("Softsign") }

// Forward returns x/(1+|x|).
func (Softsign) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softsign() }

func (Softsign) Parts() []Part { return nil }

func (l Softsign) Config() (string, []byte) { return config("Softsign", l) }

func (Softsign) String() string { return "Softsign()" }

// Tanhshrink is x - tanh(x), for any shape. (torch.nn.Tanhshrink)
type Tanhshrink struct{}

func init() { registerPlain[Tanhshrink]("Tanhshrink") }

// Forward returns x - tanh(x).
func (Tanhshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Tanhshrink() }

func (Tanhshrink) Parts() []Part { return nil }

func (l Tanhshrink) Config() (string, []byte) { return config("Tanhshrink", l) }

func (Tanhshrink) String() string { return "Tanhshrink()" }

// Mish is x·tanh(log(1+exp(x))), for any shape. (Misra, 2019; torch.nn.Mish)
type Mish struct{}

func init() { registerPlain[Mish]("Mish") }

// Forward returns x·tanh(log(1+exp(x))).
func (Mish) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Mish() }

func (Mish) Parts() []Part { return nil }

func (l Mish) Config() (string, []byte) { return config("Mish", l) }

func (Mish) String() string { return "Mish()" }

// SELU is 1.0507·x where x > 0 and 1.7581·(exp(x)-1) elsewhere, for any shape. (Klambauer et al., 2017; torch.nn.SELU)
type SELU struct{}

func init() { registerPlain[SELU]("SELU") }

// Forward returns 1.0507·x where x > 0 and 1.7581·(exp(x)-1) elsewhere.
func (SELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.SELU() }

func (SELU) Parts() []Part { return nil }

func (l SELU) Config() (string, []byte) { return config("SELU", l) }

func (SELU) String() string { return "SELU()" }

// ReLU6 is min(max(x, 0), 6), for any shape. (torch.nn.ReLU6)
type ReLU6 struct{}

func init() { registerPlain[ReLU6]("ReLU6") }

// Forward returns min(max(x, 0), 6).
func (ReLU6) Forward(x *tensor.Tensor) *tensor.Tensor { return x.ReLU6() }

func (ReLU6) Parts() []Part { return nil }

func (l ReLU6) Config() (string, []byte) { return config("ReLU6", l) }

func (ReLU6) String() string { return "ReLU6()" }

// LogSigmoid is log(1/(1+exp(-x))), for any shape. (torch.nn.LogSigmoid)
type LogSigmoid struct{}

func init() { registerPlain[LogSigmoid]("LogSigmoid") }

// Forward returns log(1/(1+exp(-x))).
func (LogSigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LogSigmoid() }

func (LogSigmoid) Parts() []Part { return nil }

func (l LogSigmoid) Config() (string, []byte) { return config("LogSigmoid", l) }

func (LogSigmoid) String() string { return "LogSigmoid()" }

// CELU is x where x > 0 and Alpha·(exp(x/Alpha)-1) elsewhere, for any shape. (Barron, 2017; torch.nn.CELU)
type CELU struct {
	Alpha float64 `json:"alpha,omitempty"` // 0 means 1
}

func init() { registerPlain[CELU]("CELU") }

// Forward returns x where x > 0 and Alpha·(exp(x/Alpha)-1) elsewhere.
func (l CELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.CELU(or(l.Alpha, 1)) }

func (CELU) Parts() []Part { return nil }

func (l CELU) Config() (string, []byte) { return config("CELU", l) }

// String returns what PyTorch prints: "CELU(alpha=1.0)".
func (l CELU) String() string { return "CELU(alpha=" + float(or(l.Alpha, 1)) + ")" }

// brief returns "CELU(1)".
func (l CELU) brief() string { return fmt.Sprintf("CELU(%v)", or(l.Alpha, 1)) }

// Hardtanh is x limited to [MinVal, MaxVal], for any shape. (torch.nn.Hardtanh)
type Hardtanh struct {
	MinVal float64 `json:"min_val,omitempty"` // 0 means -1; tensor.Zero is 0
	MaxVal float64 `json:"max_val,omitempty"` // 0 means 1; tensor.Zero is 0
}

func init() { registerPlain[Hardtanh]("Hardtanh") }

// Forward returns x limited to [MinVal, MaxVal].
func (l Hardtanh) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.Hardtanh(or(l.MinVal, -1), or(l.MaxVal, 1))
}

func (Hardtanh) Parts() []Part { return nil }

func (l Hardtanh) Config() (string, []byte) { return config("Hardtanh", l) }

// String returns what PyTorch prints: "Hardtanh(min_val=-1.0, max_val=1.0)".
func (l Hardtanh) String() string {
	return "Hardtanh(min_val=" + float(or(l.MinVal, -1)) + ", max_val=" + float(or(l.MaxVal, 1)) + ")"
}

// brief returns "Hardtanh(-1, 1)".
func (l Hardtanh) brief() string {
	return fmt.Sprintf("Hardtanh(%v, %v)", or(l.MinVal, -1), or(l.MaxVal, 1))
}

// Softshrink is x moved by Lambda towards 0, and 0 between -Lambda and Lambda, for any shape. (torch.nn.Softshrink)
type Softshrink struct {
	Lambda float64 `json:"lambd,omitempty"` // 0 means 0.5; tensor.Zero is 0
}

func init() { registerPlain[Softshrink]("Softshrink") }

// Forward returns x moved by Lambda towards 0, and 0 between -Lambda and Lambda.
func (l Softshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softshrink(or(l.Lambda, 0.5)) }

func (Softshrink) Parts() []Part { return nil }

func (l Softshrink) Config() (string, []byte) { return config("Softshrink", l) }

// String returns what PyTorch prints: "Softshrink(0.5)".
func (l Softshrink) String() string { return "Softshrink(" + float(or(l.Lambda, 0.5)) + ")" }

// Hardshrink is x, and 0 between -Lambda and Lambda, for any shape. (torch.nn.Hardshrink)
type Hardshrink struct {
	Lambda float64 `json:"lambd,omitempty"` // 0 means 0.5; tensor.Zero is 0
}

func init() { registerPlain[Hardshrink]("Hardshrink") }

// Forward returns x, and 0 between -Lambda and Lambda.
func (l Hardshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardshrink(or(l.Lambda, 0.5)) }

func (Hardshrink) Parts() []Part { return nil }

func (l Hardshrink) Config() (string, []byte) { return config("Hardshrink", l) }

// String returns what PyTorch prints: "Hardshrink(0.5)".
func (l Hardshrink) String() string { return "Hardshrink(" + float(or(l.Lambda, 0.5)) + ")" }

// Threshold is x where it is above Threshold, and Value elsewhere, for any shape. (torch.nn.Threshold)
type Threshold struct {
	Threshold float64 `json:"threshold"`
	Value     float64 `json:"value"`
}

func init() { registerPlain[Threshold]("Threshold") }

// Forward returns x where it is above Threshold, and Value elsewhere.
func (l Threshold) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Threshold(l.Threshold, l.Value) }

func (Threshold) Parts() []Part { return nil }

func (l Threshold) Config() (string, []byte) { return config("Threshold", l) }

// String returns what PyTorch prints: "Threshold(threshold=0.1, value=20.0)".
func (l Threshold) String() string {
	return "Threshold(threshold=" + float(l.Threshold) + ", value=" + float(l.Value) + ")"
}

// brief returns "Threshold(0.1, 20)".
func (l Threshold) brief() string { return fmt.Sprintf("Threshold(%v, %v)", l.Threshold, l.Value) }

// or returns a setting: its default if it is 0, and 0 if it is tensor.Zero.
func or(setting, byDefault float64) float64 {
	switch setting {
	case 0:
		return byDefault
	case tensor.Zero:
		return 0
	}
	return setting
}
