package layers

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/layers/inits"
	"github.com/wick-ml/wick/tensor"
)

// Linear computes x·Wᵀ + b along the last dimension: [… in] becomes [… out].
// Weight is [out in], Bias [out] or nil. (torch.nn.Linear)
type Linear struct {
	Weight, Bias *tensor.Tensor
}

// LinearOpts are the options of [NewLinear].
type LinearOpts struct {
	NoBias bool
}

// NewLinear returns a Linear whose weight and bias are drawn from U(-b, b),
// b = 1/√in, as in PyTorch.
func NewLinear(in, out int, opts ...LinearOpts) *Linear {
	wantSize("NewLinear", "features", 1, in, out)
	l := &Linear{Weight: parameter(out, in)}
	if !option(opts).NoBias {
		l.Bias = parameter(out)
	}
	initFanIn(l.Weight, l.Bias)
	return l
}

// initFanIn draws a weight and its bias (nil is none) as PyTorch's Linear and
// convolutions do: from U(-b, b), b = 1/√(fan in of the weight).
func initFanIn(w, bias *tensor.Tensor) {
	in, _ := inits.Fans(w)
	b := 1 / math.Sqrt(float64(in))
	inits.Uniform(w, -b, b)
	if bias != nil {
		inits.Uniform(bias, -b, b)
	}
}

// Forward returns x·Weightᵀ + Bias.
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	wantMade("Linear", l != nil && l.Weight != nil)
	return tensor.Linear(x, l.Weight, l.Bias)
}

// brief returns "Linear(512, 10)".
func (l *Linear) brief() string {
	out, in := matrix(l.Weight)
	return "Linear(" + list(fmt.Sprintf("%d, %d", in, out), when(l.Bias == nil, "no bias")) + ")"
}

// String returns what PyTorch prints: "Linear(in_features=512, out_features=10, bias=True)".
func (l *Linear) String() string {
	out, in := matrix(l.Weight)
	return fmt.Sprintf("Linear(in_features=%d, out_features=%d, bias=%s)", in, out, python(l.Bias != nil))
}

// Parts lists weight and bias.
func (l *Linear) Parts() []Part { return []Part{Param("weight", l.Weight), Param("bias", l.Bias)} }

type linearConfig struct {
	In   int  `json:"in_features"`
	Out  int  `json:"out_features"`
	Bias bool `json:"bias"`
}

func (l *Linear) Config() (string, []byte) {
	out, in := matrix(l.Weight)
	return config("Linear", linearConfig{in, out, l.Bias != nil})
}

func init() {
	register("Linear", func(c linearConfig, r *room) (*Linear, error) {
		if err := limit(r, c.Out, c.In); err != nil {
			return nil, err
		}
		return NewLinear(c.In, c.Out, LinearOpts{NoBias: !c.Bias}), nil
	})
}
