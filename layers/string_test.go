package layers

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// VGG, Block, Scale and Net are the models of testdata/repr.py.
type (
	VGG struct {
		features   *Sequential
		dropout    *Dropout
		classifier *Linear
	}
	Block struct {
		conv     *Conv2d
		act      SiLU
		shortcut Layer
	}
	Scale struct{ by *tensor.Tensor }
	Net   struct {
		stem   *Sequential
		blocks ModuleList
		scale  *Scale
		empty  ModuleList
	}
)

func (m *VGG) String() string { return String(m) }
func (m *VGG) Parts() []Part {
	return []Part{Child("features", m.features), Child("dropout", m.dropout), Child("classifier", m.classifier)}
}

func (b *Block) Parts() []Part {
	return []Part{Child("conv", b.conv), Child("act", b.act), Child("shortcut", b.shortcut)}
}

func (s *Scale) String() string { return String(s) }
func (s *Scale) Parts() []Part  { return []Part{Param("by", s.by)} }

func (n *Net) Parts() []Part {
	return []Part{Child("stem", n.stem), Child("blocks", n.blocks), Child("scale", n.scale), Child("empty", n.empty)}
}

// Modules print as PyTorch's do (testdata/repr.py).
// tensor.Zero is printed as what it stands for.
func TestZeroPrints(t *testing.T) {
	norm := NewBatchNorm2d(8)
	norm.Momentum = tensor.Zero
	if got, want := fmt.Sprint(norm), "BatchNorm2d(8, eps=1e-05, momentum=0.0, affine=True, bias=True, track_running_stats=True)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestModulesPrintAsInPyTorch(t *testing.T) {
	norm := NewBatchNorm2d(8, BatchNormOpts{NoAffine: true, NoStats: true})
	norm.Eps, norm.Momentum = 1e-3, 0.25
	cumulative := NewBatchNorm2d(8)
	cumulative.Cumulative = true
	layer := NewLayerNorm(4, 8)
	layer.Weight, layer.Bias, layer.Eps = nil, nil, 1e-6
	noBias := NewLayerNorm(8)
	noBias.Bias = nil
	group := NewGroupNorm(2, 8)
	group.Weight, group.Bias, group.Eps = nil, nil, 1e-3
	features := []Layer{NewConv2d(3, 8, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(8), ReLU{Inplace: true}, NewMaxPool2d(2, 2)}
	for _, in := range []int{8, 16} {
		features = append(features, NewConv2d(in, 16, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(16), ReLU{Inplace: true})
	}
	features = append(features, NewMaxPool2d(2, 2), NewAvgPool2d(1, 1))
	block := func(shortcut Layer) *Block { return &Block{NewConv2d(4, 4, 1), SiLU{}, shortcut} }
	modules := map[string]Module{
		"BatchNorm2d cumulative": cumulative,
		"Conv2d":                 NewConv2d(3, 64, 3, ConvOpts{Padding: 1}),
		"Conv2d all": NewConv2d(4, 8, 0, ConvOpts{KernelHW: [2]int{3, 5}, StrideHW: [2]int{2, 1}, PaddingHW: [2]int{1, 2}, DilationHW: [2]int{1, 2},
			Groups: 2, NoBias: true}),
		"Conv2d padding on one side": NewConv2d(1, 1, 2, ConvOpts{PaddingHW: [2]int{0, 1}}),
		"ConvTranspose2d":            NewConvTranspose2d(64, 3, 2, ConvOpts{Stride: 2}),
		"ConvTranspose2d all":        NewConvTranspose2d(4, 6, 3, ConvOpts{Stride: 2, OutputPadding: 1, Padding: 1, Dilation: 2, Groups: 2, NoBias: true}),
		"Linear":                     NewLinear(5, 6),
		"Linear no bias":             NewLinear(5, 6, LinearOpts{NoBias: true}),
		"Embedding":                  NewEmbedding(10, 3),
		"BatchNorm2d":                NewBatchNorm2d(8),
		"BatchNorm2d all":            norm,
		"LayerNorm":                  NewLayerNorm(8),
		"LayerNorm all":              layer,
		"LayerNorm no bias":          noBias,
		"GroupNorm":                  NewGroupNorm(2, 8),
		"GroupNorm all":              group,
		"MaxPool2d":                  NewMaxPool2d(2, 0),
		"MaxPool2d all":              NewMaxPool2d(0, 0, PoolOpts{KernelHW: [2]int{3, 2}, StrideHW: [2]int{1, 2}, Padding: 1, Dilation: 2, CeilMode: true}),
		"AvgPool2d":                  NewAvgPool2d(1, 1),
		"AvgPool2d all":              NewAvgPool2d(3, 0, PoolOpts{StrideHW: [2]int{1, 2}, Padding: 1, CeilMode: true, ExcludePad: true, Divisor: 2}),
		"AdaptiveAvgPool2d":          NewAdaptiveAvgPool2d(7, 5),
		"Dropout":                    NewDropout(0.5),
		"Dropout 0.125":              NewDropout(0.125),
		"Flatten":                    Flatten{}, "Flatten all": Flatten{StartDim: new(0), EndDim: new(1)}, "Embedding with padding": NewEmbedding(10, 3, EmbeddingOpts{PaddingIdx: new(-1)}),
		"AdaptiveAvgPool2d of one axis": NewAdaptiveAvgPool2d(-1, 5),
		"Identity":                      Identity{}, "ReLU": ReLU{}, "ReLU in place": &ReLU{Inplace: true},
		"LeakyReLU": LeakyReLU{}, "LeakyReLU 1e-07": LeakyReLU{Slope: 1e-7}, "GELU": GELU{}, "GELU tanh": GELU{Tanh: true},
		"SiLU": SiLU{}, "Sigmoid": Sigmoid{}, "Tanh": Tanh{}, "ELU": ELU{}, "ELU 1e17": ELU{Alpha: 1e17},
		"Hardswish": Hardswish{}, "Hardsigmoid": Hardsigmoid{}, "Softsign": Softsign{}, "Tanhshrink": Tanhshrink{}, "Mish": Mish{}, "SELU": SELU{}, "ReLU6": ReLU6{}, "LogSigmoid": LogSigmoid{}, "CELU": CELU{}, "CELU alpha": CELU{Alpha: 0.25}, "Hardtanh": Hardtanh{}, "Hardtanh bounds": Hardtanh{MinVal: tensor.Zero, MaxVal: 2}, "Softshrink": Softshrink{}, "Softshrink 0": Softshrink{Lambda: tensor.Zero}, "Hardshrink": Hardshrink{}, "Hardshrink 1": Hardshrink{Lambda: 1}, "Threshold": Threshold{Threshold: 0.5, Value: -3},
		"Softplus": Softplus{}, "Softplus all": Softplus{Beta: 2, Threshold: 1e-4},
		"Softmax": Softmax{Dim: 1}, "LogSoftmax": LogSoftmax{Dim: -1},
		"CrossEntropyLoss": CrossEntropyLoss{LabelSmoothing: 0.1}, "NLLLoss": NLLLoss{}, "BCEWithLogitsLoss": BCEWithLogitsLoss{},
		"Sequential empty": NewSequential(),
		"Sequential":       NewSequential(NewLinear(2, 3), NewSequential(ReLU{}, ReLU{}), ReLU{}, ReLU{}),
		"ModuleList empty": ModuleList{},
		"ModuleList":       ModuleList{NewLinear(2, 2), NewLinear(2, 2), ReLU{}, NewLinear(2, 2), Tanh{}, Tanh{}, Tanh{}},
		"Net":              &Net{NewSequential(NewConv2d(3, 4, 3), ReLU{}), ModuleList{block(nil), block(nil), block(NewSequential(Identity{})), NewSequential()}, &Scale{}, nil},
		"VGG":              &VGG{NewSequential(features...), NewDropout(0), NewLinear(16, 10)},
	}
	b, err := os.ReadFile("testdata/repr.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for name, want := range want {
		m, ok := modules[name]
		if !ok {
			t.Errorf("no module for %s", name)
			continue
		}
		delete(modules, name)
		if got := String(m); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if s, ok := m.(fmt.Stringer); ok && fmt.Sprint(s) != want {
			t.Errorf("%s: printed: got\n%v\nwant\n%s", name, s, want)
		}
	}
	if got := fmt.Sprint(MSELoss{}, L1Loss{}, SmoothL1Loss{}, HuberLoss{}); got != "MSELoss() L1Loss() SmoothL1Loss() HuberLoss()" {
		t.Errorf("losses: got %s", got)
	}
	for name := range modules {
		t.Errorf("PyTorch did not print %s", name)
	}
}
