package layers

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// refTensor is a tensor of testdata/layers.json.
type refTensor struct {
	DType string
	Shape []int
	Data  []json.Number
}

func (r refTensor) tensor(t *testing.T) *tensor.Tensor {
	t.Helper()
	if r.DType == "int64" {
		v := make([]int64, len(r.Data))
		for i, n := range r.Data {
			var err error
			if v[i], err = n.Int64(); err != nil {
				t.Fatal(err)
			}
		}
		return tensor.From(v).Reshape(r.Shape...)
	}
	v := make([]float64, len(r.Data))
	for i, n := range r.Data {
		var err error
		if v[i], err = n.Float64(); err != nil {
			t.Fatal(err)
		}
	}
	return tensor.From(v).Reshape(r.Shape...)
}

type refStep struct {
	Training   bool
	X, Y, G    refTensor
	Target, DX *refTensor
	Grads      map[string]refTensor
	Buffers    map[string]refTensor
}

type refCase struct {
	Name   string
	Before map[string]refTensor
	Steps  []refStep
}

// refLayers makes, for each case, the layer that testdata/layers.py made.
var refLayers = map[string]func() Layer{
	"Conv2d":                           func() Layer { return NewConv2d(2, 3, 3, ConvOpts{Padding: 1}) },
	"Conv2d stride 2 groups 2 no bias": func() Layer { return NewConv2d(4, 2, 3, ConvOpts{Stride: 2, Groups: 2, NoBias: true}) },
	"Conv2d sizes by axis": func() Layer {
		return NewConv2d(1, 2, 0, ConvOpts{KernelHW: [2]int{3, 1}, StrideHW: [2]int{1, 2}, PaddingHW: [2]int{2, 0}, DilationHW: [2]int{2, 1}})
	},
	"ConvTranspose2d": func() Layer { return NewConvTranspose2d(2, 3, 2, ConvOpts{Stride: 2}) },
	"ConvTranspose2d output padding": func() Layer {
		return NewConvTranspose2d(2, 2, 3, ConvOpts{Stride: 2, Padding: 1, OutputPadding: 1, Groups: 2})
	},
	"Linear":         func() Layer { return NewLinear(4, 3) },
	"Linear no bias": func() Layer { return NewLinear(4, 3, LinearOpts{NoBias: true}) },
	"Embedding":      func() Layer { return NewEmbedding(5, 3) },
	"BatchNorm2d":    func() Layer { return NewBatchNorm2d(2) },
	"BatchNorm2d eps momentum no affine": func() Layer {
		l := NewBatchNorm2d(2, BatchNormOpts{NoAffine: true})
		l.Eps, l.Momentum = 1e-2, 0.3
		return l
	},
	"BatchNorm2d no stats": func() Layer { return NewBatchNorm2d(2, BatchNormOpts{NoStats: true}) },
	"BatchNorm2d momentum 0": func() Layer {
		l := NewBatchNorm2d(2)
		l.Momentum = 0
		return l
	},
	"BatchNorm2d cumulative": func() Layer {
		l := NewBatchNorm2d(2)
		l.Cumulative = true
		return l
	},
	"LayerNorm eps 0": func() Layer {
		l := NewLayerNorm(4)
		l.Eps = 0
		return l
	},
	"GroupNorm eps 0": func() Layer {
		l := NewGroupNorm(2, 4)
		l.Eps = tensor.Zero // is 0 here too
		return l
	},
	"LayerNorm": func() Layer { return NewLayerNorm(5) },
	"LayerNorm two sizes no bias eps": func() Layer {
		l := NewLayerNorm(2, 3)
		l.Bias, l.Eps = nil, 1e-3
		return l
	},
	"GroupNorm": func() Layer { return NewGroupNorm(2, 4) },
	"GroupNorm no affine": func() Layer {
		l := NewGroupNorm(1, 2)
		l.Weight, l.Bias = nil, nil
		return l
	},
	"MaxPool2d": func() Layer { return NewMaxPool2d(2, 2) },
	"MaxPool2d all options": func() Layer {
		return NewMaxPool2d(0, 0, PoolOpts{KernelHW: [2]int{3, 2}, StrideHW: [2]int{2, 1}, Padding: 1, DilationHW: [2]int{1, 2}, CeilMode: true})
	},
	"AvgPool2d": func() Layer { return NewAvgPool2d(2, 0) },
	"AvgPool2d all options": func() Layer {
		return NewAvgPool2d(3, 2, PoolOpts{Padding: 1, CeilMode: true, ExcludePad: true})
	},
	"AvgPool2d divisor":    func() Layer { return NewAvgPool2d(2, 1, PoolOpts{Divisor: 3}) },
	"AdaptiveAvgPool2d":    func() Layer { return NewAdaptiveAvgPool2d(2, 3) },
	"ReLU":                 func() Layer { return ReLU{} },
	"LeakyReLU":            func() Layer { return LeakyReLU{} },
	"LeakyReLU slope 0":    func() Layer { return LeakyReLU{Slope: tensor.Zero} },
	"ELU alpha 0":          func() Layer { return ELU{Alpha: tensor.Zero} },
	"Softplus threshold 0": func() Layer { return Softplus{Threshold: tensor.Zero} },
	"LeakyReLU slope":      func() Layer { return LeakyReLU{Slope: 0.2} },
	"GELU":                 func() Layer { return GELU{} },
	"GELU tanh":            func() Layer { return GELU{Tanh: true} },
	"SiLU":                 func() Layer { return SiLU{} },
	"Sigmoid":              func() Layer { return Sigmoid{} },
	"Tanh":                 func() Layer { return Tanh{} },
	"ELU":                  func() Layer { return ELU{} },
	"ELU alpha":            func() Layer { return ELU{Alpha: 0.5} },
	"Hardswish":            func() Layer { return Hardswish{} },
	"Hardsigmoid":          func() Layer { return Hardsigmoid{} },
	"Softsign":             func() Layer { return Softsign{} },
	"Tanhshrink":           func() Layer { return Tanhshrink{} },
	"Mish":                 func() Layer { return Mish{} },
	"SELU":                 func() Layer { return SELU{} },
	"ReLU6":                func() Layer { return ReLU6{} },
	"LogSigmoid":           func() Layer { return LogSigmoid{} },
	"CELU":                 func() Layer { return CELU{} },
	"CELU alpha":           func() Layer { return CELU{Alpha: 0.25} },
	"Hardtanh":             func() Layer { return Hardtanh{} },
	"Hardtanh bounds":      func() Layer { return Hardtanh{MinVal: tensor.Zero, MaxVal: 2} },
	"Softshrink":           func() Layer { return Softshrink{} },
	"Softshrink 0":         func() Layer { return Softshrink{Lambda: tensor.Zero} },
	"Hardshrink":           func() Layer { return Hardshrink{} },
	"Hardshrink 1":         func() Layer { return Hardshrink{Lambda: 1} },
	"Threshold":            func() Layer { return Threshold{Threshold: 0.5, Value: -3} },
	"Softplus":             func() Layer { return Softplus{} },
	"Softplus beta":        func() Layer { return Softplus{Beta: 3, Threshold: 2} },
	"Softmax":              func() Layer { return Softmax{Dim: 1} },
	"LogSoftmax":           func() Layer { return LogSoftmax{Dim: -1} },
	"Flatten":              func() Layer { return Flatten{} },
	"Identity":             func() Layer { return Identity{} },
	"Dropout 0":            func() Layer { return NewDropout(0) },
	"Dropout 1":            func() Layer { return NewDropout(1) },
	"Sequential": func() Layer {
		return NewSequential(NewConv2d(1, 2, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(2), ReLU{Inplace: true}, NewMaxPool2d(2, 2),
			NewSequential(Flatten{}, NewLinear(8, 3)))
	},
}

type loss interface {
	Forward(output, target *tensor.Tensor) *tensor.Tensor
}

// refLosses makes the losses of testdata/layers.py.
func refLosses() map[string]loss {
	zero := 0
	weight := tensor.From([]float64{1, 0.5, 2, 1, 3})
	return map[string]loss{
		"CrossEntropyLoss": CrossEntropyLoss{},
		"CrossEntropyLoss all options": CrossEntropyLoss{
			Weight: weight, IgnoreIndex: &zero, Reduction: tensor.ReduceSum, LabelSmoothing: 0.1},
		"CrossEntropyLoss probabilities none": CrossEntropyLoss{Reduction: tensor.ReduceNone},
		"NLLLoss":                             NLLLoss{},
		"NLLLoss weight":                      NLLLoss{Weight: weight},
		"MSELoss":                             MSELoss{},
		"MSELoss sum":                         MSELoss{Reduction: tensor.ReduceSum},
		"L1Loss":                              L1Loss{},
		"SmoothL1Loss":                        SmoothL1Loss{},
		"SmoothL1Loss beta none":              SmoothL1Loss{Beta: 0.5, Reduction: tensor.ReduceNone},
		"SmoothL1Loss beta 0":                 SmoothL1Loss{Beta: tensor.Zero},
		"HuberLoss":                           HuberLoss{},
		"HuberLoss delta":                     HuberLoss{Delta: 0.5},
		"BCEWithLogitsLoss":                   BCEWithLogitsLoss{},
		"BCEWithLogitsLoss weights": BCEWithLogitsLoss{
			Weight: tensor.From([]float64{1, 2, 0.5}), PosWeight: tensor.From([]float64{2, 1, 3})},
	}
}

func readCases(t *testing.T) []refCase {
	t.Helper()
	b, err := os.ReadFile("testdata/layers.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []refCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// Each layer and loss computes what torch.nn's computes, with the same state dict:
// results, gradients and running statistics. So does the layer that is made again
// from its config.
func TestReference(t *testing.T) {
	losses := refLosses()
	used := map[string]bool{}
	for _, c := range readCases(t) {
		used[c.Name] = true
		if l, ok := losses[c.Name]; ok {
			t.Run(c.Name, func(t *testing.T) {
				s := c.Steps[0]
				target := s.Target.tensor(t)
				checkStep(t, s, func(x *tensor.Tensor) *tensor.Tensor { return l.Forward(x, target) })
			})
			continue
		}
		make, ok := refLayers[c.Name]
		if !ok {
			t.Errorf("no layer for the case %q", c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) { checkLayer(t, c, make()) })
		t.Run(c.Name+" from config", func(t *testing.T) {
			name, config, err := describe(make(), "")
			if err != nil {
				t.Fatal(err)
			}
			elements := 0 // no more than a file has
			for _, p := range StateDict(make()) {
				elements += p.Len()
			}
			m, err := construct(name, config, &room{elements: elements})
			if err != nil {
				t.Fatalf("construct(%q, %s): %v", name, config, err)
			}
			checkLayer(t, c, m.(Layer))
			if _, again, err := describe(m, ""); err != nil || !bytes.Equal(again, config) {
				t.Errorf("the config of the layer made from %s is %s (%v)", config, again, err)
			}
		})
	}
	for name := range refLayers {
		if !used[name] {
			t.Errorf("no case for the layer %q", name)
		}
	}
	for name := range losses {
		if !used[name] {
			t.Errorf("no case for the loss %q", name)
		}
	}
}

func checkLayer(t *testing.T, c refCase, l Layer) {
	ToDType(l, tensor.Float64)
	state := 0
	for key, p := range StateDict(l) {
		state++
		want, ok := c.Before[key]
		if !ok {
			t.Fatalf("the key %q is not in PyTorch's state dict", key)
		}
		p.CopyFrom(want.tensor(t))
	}
	if state != len(c.Before) {
		t.Fatalf("the state dict has %d entries, want %d", state, len(c.Before))
	}
	for _, s := range c.Steps {
		ZeroGrad(l)
		if s.Training {
			Train(l)
		} else {
			Eval(l)
		}
		checkStep(t, s, l.Forward)
		grads := 0
		for path, p := range NamedParameters(l) {
			grads++
			wantClose(t, path+".grad", p.Grad(), s.Grads[path].tensor(t))
		}
		if grads != len(s.Grads) {
			t.Errorf("%d parameters, want %d", grads, len(s.Grads))
		}
		for path, p := range StateDict(l) {
			if want, ok := s.Buffers[path]; ok {
				wantClose(t, path, p, want.tensor(t))
			}
		}
	}
}

func checkStep(t *testing.T, s refStep, forward func(*tensor.Tensor) *tensor.Tensor) {
	t.Helper()
	x := s.X.tensor(t)
	in := x
	if s.DX != nil {
		x.SetRequiresGrad(true)
		in = x.MulScalar(1) // in-place layers may not change a leaf
	}
	y := forward(in)
	wantClose(t, "y", y, s.Y.tensor(t))
	if y.RequiresGrad() {
		y.Backward(tensor.BackwardOpts{Gradient: s.G.tensor(t)})
	}
	if s.DX != nil {
		wantClose(t, "dx", x.Grad(), s.DX.tensor(t))
	}
}

func wantClose(t *testing.T, what string, got, want *tensor.Tensor) {
	t.Helper()
	if got == nil {
		t.Errorf("%s: got nothing, want %v", what, want)
		return
	}
	if !got.Shape().Equal(want.Shape()) || got.DType() != want.DType() {
		t.Errorf("%s: got %v %v, want %v %v", what, got.DType(), got.Shape(), want.DType(), want.Shape())
		return
	}
	g, w := got.Float64s(), want.Float64s()
	for i := range w {
		if !(math.Abs(g[i]-w[i]) <= 1e-10*(1+math.Abs(w[i]))) {
			t.Errorf("%s: element %d: got %v, want %v", what, i, g[i], w[i])
			return
		}
	}
}
