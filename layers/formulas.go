package layers

import (
	"fmt"

	"github.com/wick-ml/wick/tensor"
)

// Softsign is x/(1+|x|), for any shape. (torch.nn.Softsign)
type Softsign struct{}

// Forward returns x/(1+|x|).
func (Softsign) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softsign() }

// Parts returns nothing.
func (Softsign) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Softsign) Config() (string, []byte) { return config("Softsign", l) }

// String returns "Softsign()".
func (Softsign) String() string { return "Softsign()" }

// Tanhshrink is x - tanh(x), for any shape. (torch.nn.Tanhshrink)
type Tanhshrink struct{}

// Forward returns x - tanh(x).
func (Tanhshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Tanhshrink() }

// Parts returns nothing.
func (Tanhshrink) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Tanhshrink) Config() (string, []byte) { return config("Tanhshrink", l) }

// String returns "Tanhshrink()".
func (Tanhshrink) String() string { return "Tanhshrink()" }

// Mish is x·tanh(log(1+exp(x))), for any shape. (Misra, 2019; torch.nn.Mish)
type Mish struct{}

// Forward returns x·tanh(log(1+exp(x))).
func (Mish) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Mish() }

// Parts returns nothing.
func (Mish) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Mish) Config() (string, []byte) { return config("Mish", l) }

// String returns "Mish()".
func (Mish) String() string { return "Mish()" }

// SELU is 1.0507·x where x > 0 and 1.7581·(exp(x)-1) elsewhere, for any shape. (Klambauer et al., 2017; torch.nn.SELU)
type SELU struct{}

// Forward returns 1.0507·x where x > 0 and 1.7581·(exp(x)-1) elsewhere.
func (SELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.SELU() }

// Parts returns nothing.
func (SELU) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l SELU) Config() (string, []byte) { return config("SELU", l) }

// String returns "SELU()".
func (SELU) String() string { return "SELU()" }

// ReLU6 is min(max(x, 0), 6), for any shape. (torch.nn.ReLU6)
type ReLU6 struct{}

// Forward returns min(max(x, 0), 6).
func (ReLU6) Forward(x *tensor.Tensor) *tensor.Tensor { return x.ReLU6() }

// Parts returns nothing.
func (ReLU6) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l ReLU6) Config() (string, []byte) { return config("ReLU6", l) }

// String returns "ReLU6()".
func (ReLU6) String() string { return "ReLU6()" }

// LogSigmoid is log(1/(1+exp(-x))), for any shape. (torch.nn.LogSigmoid)
type LogSigmoid struct{}

// Forward returns log(1/(1+exp(-x))).
func (LogSigmoid) Forward(x *tensor.Tensor) *tensor.Tensor { return x.LogSigmoid() }

// Parts returns nothing.
func (LogSigmoid) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l LogSigmoid) Config() (string, []byte) { return config("LogSigmoid", l) }

// String returns "LogSigmoid()".
func (LogSigmoid) String() string { return "LogSigmoid()" }

// CELU is x where x > 0 and Alpha·(exp(x/Alpha)-1) elsewhere, for any shape. (Barron, 2017; torch.nn.CELU)
type CELU struct {
	Alpha float64 `json:"alpha,omitempty"` // 0 means 1
}

// Forward returns x where x > 0 and Alpha·(exp(x/Alpha)-1) elsewhere.
func (l CELU) Forward(x *tensor.Tensor) *tensor.Tensor { return x.CELU(or(l.Alpha, 1)) }

// Parts returns nothing.
func (CELU) Parts() []Part { return nil }

// Config describes the layer for Save.
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

// Forward returns x limited to [MinVal, MaxVal].
func (l Hardtanh) Forward(x *tensor.Tensor) *tensor.Tensor {
	return x.Hardtanh(or(l.MinVal, -1), or(l.MaxVal, 1))
}

// Parts returns nothing.
func (Hardtanh) Parts() []Part { return nil }

// Config describes the layer for Save.
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

// Forward returns x moved by Lambda towards 0, and 0 between -Lambda and Lambda.
func (l Softshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softshrink(or(l.Lambda, 0.5)) }

// Parts returns nothing.
func (Softshrink) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Softshrink) Config() (string, []byte) { return config("Softshrink", l) }

// String returns what PyTorch prints: "Softshrink(0.5)".
func (l Softshrink) String() string { return "Softshrink(" + float(or(l.Lambda, 0.5)) + ")" }

// Hardshrink is x, and 0 between -Lambda and Lambda, for any shape. (torch.nn.Hardshrink)
type Hardshrink struct {
	Lambda float64 `json:"lambd,omitempty"` // 0 means 0.5; tensor.Zero is 0
}

// Forward returns x, and 0 between -Lambda and Lambda.
func (l Hardshrink) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Hardshrink(or(l.Lambda, 0.5)) }

// Parts returns nothing.
func (Hardshrink) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Hardshrink) Config() (string, []byte) { return config("Hardshrink", l) }

// String returns what PyTorch prints: "Hardshrink(0.5)".
func (l Hardshrink) String() string { return "Hardshrink(" + float(or(l.Lambda, 0.5)) + ")" }

// Threshold is x where it is above Threshold, and Value elsewhere, for any shape. (torch.nn.Threshold)
type Threshold struct {
	Threshold float64 `json:"threshold"`
	Value     float64 `json:"value"`
}

// Forward returns x where it is above Threshold, and Value elsewhere.
func (l Threshold) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Threshold(l.Threshold, l.Value) }

// Parts returns nothing.
func (Threshold) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Threshold) Config() (string, []byte) { return config("Threshold", l) }

// String returns what PyTorch prints: "Threshold(threshold=0.1, value=20.0)".
func (l Threshold) String() string {
	return "Threshold(threshold=" + float(l.Threshold) + ", value=" + float(l.Value) + ")"
}

// brief returns "Threshold(0.1, 20)".
func (l Threshold) brief() string { return fmt.Sprintf("Threshold(%v, %v)", l.Threshold, l.Value) }

func init() {
	registerPlain[Softsign]("Softsign")
	registerPlain[Tanhshrink]("Tanhshrink")
	registerPlain[Mish]("Mish")
	registerPlain[SELU]("SELU")
	registerPlain[ReLU6]("ReLU6")
	registerPlain[LogSigmoid]("LogSigmoid")
	registerPlain[CELU]("CELU")
	registerPlain[Hardtanh]("Hardtanh")
	registerPlain[Softshrink]("Softshrink")
	registerPlain[Hardshrink]("Hardshrink")
	registerPlain[Threshold]("Threshold")
}
