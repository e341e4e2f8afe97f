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

// Forward returns max(x, 0).
func (l ReLU) Forward(x *tensor.Tensor) *tensor.Tensor {
	if l.Inplace {
		return x.ReLUInPlace()
	}
	return x.ReLU()
}

// LeakyReLU is x where x > 0 and Slope·x elsewhere, for any shape.
// (torch.nn.LeakyReLU)
type LeakyReLU struct {
	Slope float64 `json:"negative_slope,omitempty"` // 0 means 0.01; tensor.Zero is 0
}

// Forward returns x or Slope·x, element by element.
func (l LeakyReLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LeakyReLU(or(l.Slope, 0.01)) }

// GELU is x·Φ(x), where Φ is the normal distribution function, for any shape; with
// Tanh its approximation by a hyperbolic tangent. (Hendrycks & Gimpel, 2016;
// torch.nn.GELU)
type GELU struct {
	Tanh bool `json:"tanh,omitempty"`
}

// Forward returns x·Φ(x).
func (l GELU) Forward(x *tensor.Tensor) *tensor.Tensor {
	if l.Tanh {
		return x.GELUTanh()
	}
	return x.GELU()
}

// SiLU is x·sigmoid(x), for any shape. (torch.nn.SiLU)
type SiLU struct{}

// Forward returns x·sigmoid(x).
func (SiLU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.SiLU() }

// Sigmoid is 1/(1+exp(-x)), for any shape. (torch.nn.Sigmoid)
type Sigmoid struct{}

// Forward returns 1/(1+exp(-x)).
func (Sigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Sigmoid() }

// Tanh is the hyperbolic tangent, for any shape. (torch.nn.Tanh)
type Tanh struct{}

// Forward returns tanh(x).
func (Tanh) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Tanh() }

// ELU is x where x > 0 and Alpha·(exp(x)-1) elsewhere, for any shape.
// (torch.nn.ELU)
type ELU struct {
	Alpha float64 `json:"alpha,omitempty"` // 0 means 1; tensor.Zero is 0
}

// Forward returns x or Alpha·(exp(x)-1), element by element.
func (l ELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.ELU(or(l.Alpha, 1)) }

// Hardswish is x·min(max(x+3, 0), 6)/6, for any shape. (torch.nn.Hardswish)
type Hardswish struct{}

// Forward returns x·min(max(x+3, 0), 6)/6.
func (Hardswish) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardswish() }

// Hardsigmoid is min(max(x+3, 0), 6)/6, for any shape. (torch.nn.Hardsigmoid)
type Hardsigmoid struct{}

// Forward returns min(max(x+3, 0), 6)/6.
func (Hardsigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardsigmoid() }

// Softplus is log(1+exp(Beta·x))/Beta, for any shape; where Beta·x is above
// Threshold it is x. (torch.nn.Softplus)
type Softplus struct {
	Beta      float64 `json:"beta,omitempty"`      // 0 means 1
	Threshold float64 `json:"threshold,omitempty"` // 0 means 20; tensor.Zero is 0
}

// Forward returns log(1+exp(Beta·x))/Beta.
func (l Softplus) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.Softplus(or(l.Beta, 1), or(l.Threshold, 20))
}

// Softmax is exp(x) divided by its sum along dimension Dim, for any shape. A
// negative Dim counts from the end. (torch.nn.Softmax)
type Softmax struct {
	Dim int `json:"dim"`
}

// Forward returns the softmax of x along Dim.
func (l Softmax) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softmax(l.Dim) }

// LogSoftmax is the logarithm of [Softmax], computed without its rounding errors.
// (torch.nn.LogSoftmax)
type LogSoftmax struct {
	Dim int `json:"dim"`
}

// Forward returns the logarithm of the softmax of x along Dim.
func (l LogSoftmax) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LogSoftmax(l.Dim) }

// brief returns "ReLU()" or "ReLU(inplace)".
func (l ReLU) brief() string { return "ReLU(" + when(l.Inplace, "inplace") + ")" }

// brief returns "LeakyReLU(0.01)".
func (l LeakyReLU) brief() string { return fmt.Sprintf("LeakyReLU(%v)", or(l.Slope, 0.01)) }

// brief returns "GELU()" or "GELU(tanh)".
func (l GELU) brief() string { return "GELU(" + when(l.Tanh, "tanh") + ")" }

// brief returns "ELU(1)".
func (l ELU) brief() string { return fmt.Sprintf("ELU(%v)", or(l.Alpha, 1)) }

// brief returns "Softplus(1, 20)".
func (l Softplus) brief() string {
	return fmt.Sprintf("Softplus(%v, %v)", or(l.Beta, 1), or(l.Threshold, 20))
}

// brief returns "Softmax(dim 1)".
func (l Softmax) brief() string { return fmt.Sprintf("Softmax(dim %d)", l.Dim) }

// brief returns "LogSoftmax(dim 1)".
func (l LogSoftmax) brief() string { return fmt.Sprintf("LogSoftmax(dim %d)", l.Dim) }

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

func init() {
	registerPlain[ReLU]("ReLU")
	registerPlain[LeakyReLU]("LeakyReLU")
	registerPlain[GELU]("GELU")
	registerPlain[SiLU]("SiLU")
	registerPlain[Sigmoid]("Sigmoid")
	registerPlain[Tanh]("Tanh")
	registerPlain[ELU]("ELU")
	registerPlain[Hardswish]("Hardswish")
	registerPlain[Hardsigmoid]("Hardsigmoid")
	registerPlain[Softplus]("Softplus")
	registerPlain[Softmax]("Softmax")
	registerPlain[LogSoftmax]("LogSoftmax")
}

// Parts returns nothing.
func (ReLU) Parts() []Part { return nil }

// Parts returns nothing.
func (LeakyReLU) Parts() []Part { return nil }

// Parts returns nothing.
func (GELU) Parts() []Part { return nil }

// Parts returns nothing.
func (SiLU) Parts() []Part { return nil }

// Parts returns nothing.
func (Sigmoid) Parts() []Part { return nil }

// Parts returns nothing.
func (Tanh) Parts() []Part { return nil }

// Parts returns nothing.
func (ELU) Parts() []Part { return nil }

// Parts returns nothing.
func (Hardswish) Parts() []Part { return nil }

// Parts returns nothing.
func (Hardsigmoid) Parts() []Part { return nil }

// Parts returns nothing.
func (Softplus) Parts() []Part { return nil }

// Parts returns nothing.
func (Softmax) Parts() []Part { return nil }

// Parts returns nothing.
func (LogSoftmax) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l ReLU) Config() (string, []byte) { return config("ReLU", l) }

// Config describes the layer for Save.
func (l LeakyReLU) Config() (string, []byte) { return config("LeakyReLU", l) }

// Config describes the layer for Save.
func (l GELU) Config() (string, []byte) { return config("GELU", l) }

// Config describes the layer for Save.
func (l SiLU) Config() (string, []byte) { return config("SiLU", l) }

// Config describes the layer for Save.
func (l Sigmoid) Config() (string, []byte) { return config("Sigmoid", l) }

// Config describes the layer for Save.
func (l Tanh) Config() (string, []byte) { return config("Tanh", l) }

// Config describes the layer for Save.
func (l ELU) Config() (string, []byte) { return config("ELU", l) }

// Config describes the layer for Save.
func (l Hardswish) Config() (string, []byte) { return config("Hardswish", l) }

// Config describes the layer for Save.
func (l Hardsigmoid) Config() (string, []byte) { return config("Hardsigmoid", l) }

// Config describes the layer for Save.
func (l Softplus) Config() (string, []byte) { return config("Softplus", l) }

// Config describes the layer for Save.
func (l Softmax) Config() (string, []byte) { return config("Softmax", l) }

// Config describes the layer for Save.
func (l LogSoftmax) Config() (string, []byte) { return config("LogSoftmax", l) }
