// Package models provides whole networks. VGG is the one of the CIFAR-10
// tutorial, made from a list of widths and poolings.
package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// Cfg describes a VGG's feature extractor: a whole number is a 3×3 convolution
// with so many output channels, followed by BatchNorm2d and ReLU; "M" is 2×2 max
// pooling. It can also be read from JSON: [64, "M", 128, "M"].
type Cfg []any

// UnmarshalJSON reads whole numbers as int, the type that a list in a program has.
func (c *Cfg) UnmarshalJSON(b []byte) error {
	var list []any
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for i, e := range list {
		if v, ok := e.(float64); ok && v == math.Trunc(v) && math.Abs(v) <= maxWidth {
			list[i] = int(v)
		}
	}
	*c = list
	return nil
}

// vggCfgs holds the configurations that New knows by name.
var vggCfgs = map[string]Cfg{
	"VGG11": {64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"},
	"VGG13": {64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"},
	"VGG16": {64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"},
	"VGG19": {64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"},
	"model": {64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"},
}

// VGGCfg returns the configuration of a VGG by name, and nil for a name that is not
// one of VGG11, VGG13, VGG16, VGG19 and "model", the tutorial's name for the 16-layer
// one. They are for 32×32 images. (Simonyan and Zisserman, "Very deep convolutional
// networks for large-scale image recognition", 2014, configurations A, B, D and E)
func VGGCfg(name string) Cfg { return slices.Clone(vggCfgs[name]) }

// Names returns the names that New knows, sorted.
func Names() []string {
	names := make([]string, 0, len(vggCfgs))
	for name := range vggCfgs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New returns a new model by name (see [VGGCfg]), with randomly drawn weights. Asked
// for another name, it returns an error that lists what it knows.
func New(name string, classes int) (layers.Layer, error) {
	cfg, ok := vggCfgs[name]
	if !ok {
		return nil, fmt.Errorf("models: no model is called %q; known are %q", name, Names())
	}
	if classes < 1 {
		return nil, fmt.Errorf("models: %s: got %d classes, want 1 or more", name, classes)
	}
	return NewVGG(cfg, classes), nil
}

// VGG is the tutorial's network: features as Cfg says, with an AvgPool2d(1, 1)
// at their end, and one linear layer as the classifier. It takes [N 3 H W] with H
// and W such that the poolings leave a single pixel (32×32 for the known
// configurations) and returns [N classes] logits. Its state-dict keys are those
// of the tutorial's PyTorch class ("features.0.weight", "classifier.bias").
type VGG struct {
	Features *layers.Sequential
	// Dropout is applied to the features before the classifier; its P is 0 unless
	// set.
	Dropout    *layers.Dropout
	Classifier *layers.Linear

	cfg Cfg
}

// NewVGG returns a VGG with randomly drawn weights. It panics with a
// *tensor.Error if cfg or classes make no sense.
func NewVGG(cfg Cfg, classes int) *VGG {
	widths, err := cfg.widths()
	if err == nil && classes < 1 {
		err = fmt.Errorf("got %d classes, want 1 or more", classes)
	}
	if err != nil {
		panic(&tensor.Error{Op: "NewVGG", Err: err})
	}
	features := layers.NewSequential()
	in := 3
	for _, width := range widths {
		if width == 0 {
			features.Append(layers.NewMaxPool2d(2, 2))
			continue
		}
		features.Append(
			layers.NewConv2d(in, width, 3, layers.ConvOpts{Padding: 1}),
			layers.NewBatchNorm2d(width),
			layers.ReLU{Inplace: true})
		in = width
	}
	features.Append(layers.NewAvgPool2d(1, 1))
	m := &VGG{
		Features:   features,
		Dropout:    layers.NewDropout(0),
		Classifier: layers.NewLinear(in, classes),
		cfg:        cfg,
	}
	layers.Parameters(m) // a walk through the tree, after which errors can name the layer
	return m
}

// maxWidth bounds what a configuration from a file can ask for.
const maxWidth = 1 << 14

// widths checks a configuration and returns its widths, 0 for a pooling.
func (c Cfg) widths() ([]int, error) {
	if len(c) == 0 || len(c) > 1000 {
		return nil, fmt.Errorf("the configuration has %d entries, want 1 to 1000", len(c))
	}
	out := make([]int, len(c))
	for i, e := range c {
		switch v := e.(type) {
		case int:
			out[i] = v
		case float64: // from JSON
			if v == math.Trunc(v) && math.Abs(v) <= maxWidth {
				out[i] = int(v)
			}
		case string:
			if v == "M" {
				continue
			}
		}
		if out[i] < 1 || out[i] > maxWidth {
			return nil, fmt.Errorf("entry %d of the configuration is %#v, want a number of channels (1 to %d) or \"M\"", i, e, maxWidth)
		}
	}
	return out, nil
}

// Check says whether a VGG of this configuration takes images of a size: each "M"
// halves their sides, rounding down, and a single pixel has to be left for the
// classifier. The error names the number of "M"s that would leave one. It computes
// nothing, so that a program with many models to train can look at all of them first.
func (c Cfg) Check(height, width int) error {
	widths, err := c.widths()
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if height < 1 || width < 1 {
		return fmt.Errorf("models: got images of %d×%d pixels, want 1×1 or more", height, width)
	}
	if have := poolings(widths); height>>have != 1 || width>>have != 1 {
		return fmt.Errorf("models: %s", depth(have, height, width))
	}
	return nil
}

func poolings(widths []int) (n int) {
	for _, w := range widths {
		if w == 0 {
			n++
		}
	}
	return n
}

// depth says how many poolings would leave 1×1 of images, and what so many leave.
func depth(have, height, width int) string {
	left := fmt.Sprintf("%d×%d", height>>have, width>>have)
	if height>>have < 1 || width>>have < 1 {
		left = "nothing"
	}
	want := bits.Len(uint(height)) - 1
	if want != bits.Len(uint(width))-1 {
		return fmt.Sprintf("the configuration has %d \"M\"s, which leave %s of images of %d×%d pixels; no number of them makes 1×1, as one side is twice the other or longer", have, left, height, width)
	}
	return fmt.Sprintf("the configuration has %d \"M\"s, want %d, which make 1×1 of images of %d×%d pixels; %d leave %s", have, want, height, width, have, left)
}

// Parts lists the features, the dropout and the classifier.
func (m *VGG) Parts() []layers.Part {
	return []layers.Part{
		layers.Child("features", m.Features),
		layers.Child("dropout", m.Dropout),
		layers.Child("classifier", m.Classifier),
	}
}

// Forward returns the logits [N classes] of images [N 3 H W].
func (m *VGG) Forward(x *tensor.Tensor) *tensor.Tensor {
	switch {
	case m == nil:
		panic(&tensor.Error{Op: "VGG", Err: errors.New("the model is nil")})
	case m.Features == nil || m.Dropout == nil || m.Classifier == nil:
		panic(&tensor.Error{Op: "VGG", Err: errors.New("one of Features, Dropout and Classifier is nil; NewVGG makes a network with all three")})
	}
	out := m.Features.Forward(x)
	wrong := ""
	if in := m.Classifier.Weight; in != nil && in.Dim() == 2 && x.Dim() == 4 && out.Dim() == 4 && out.Size(1) == in.Size(1) && out.Size(2)*out.Size(3) != 1 {
		if widths, err := m.cfg.widths(); err == nil {
			wrong = depth(poolings(widths), x.Size(2), x.Size(3))
		}
	}
	out = out.View(out.Size(0), -1)
	out = m.Dropout.Forward(out)
	if wrong != "" {
		err := tensor.Try(func() { m.Classifier.Forward(out) })
		if e, ok := err.(*tensor.Error); ok {
			f := *e
			f.Err = fmt.Errorf("%w; %s", e.Err, wrong)
			panic(&f)
		}
	}
	return m.Classifier.Forward(out)
}

type vggConfig struct {
	Cfg     Cfg     `json:"cfg"`
	Classes int     `json:"classes"`
	Dropout float64 `json:"dropout,omitempty"`
}

// Config is for layers.Save. It follows Dropout, and Classifier as far as that is a
// Linear of other classes; Save refuses features that are no longer those of the
// Cfg.
func (m *VGG) Config() (name string, config []byte) {
	c := vggConfig{Cfg: m.cfg}
	if m.Dropout != nil {
		c.Dropout = m.Dropout.P
	}
	if l := m.Classifier; l != nil && l.Weight != nil && l.Weight.Dim() == 2 {
		c.Classes = l.Weight.Size(0)
	}
	config, err := json.Marshal(c)
	if err != nil {
		panic(&tensor.Error{Op: "VGG", Err: fmt.Errorf("the configuration %v with dropout %v cannot be written: %w", c.Cfg, c.Dropout, err)})
	}
	return "VGG", config
}

// String returns the network as PyTorch prints it. See layers.String.
func (m *VGG) String() string { return layers.String(m) }

func init() {
	layers.Register("VGG", func(config []byte, elements int) (layers.Module, error) {
		var c vggConfig
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, fmt.Errorf("models: VGG: %w", err)
		}
		widths, err := c.Cfg.widths()
		if err == nil && (c.Classes < 1 || c.Classes > 1<<20) {
			err = fmt.Errorf("got %d classes, want 1 to %d", c.Classes, 1<<20)
		}
		if err == nil && !(c.Dropout >= 0 && c.Dropout <= 1) {
			err = fmt.Errorf("got dropout %v, want 0 to 1", c.Dropout)
		}
		if err == nil {
			// A file of a few bytes must not ask for gigabytes.
			parameters, in := int64(0), int64(3)
			for _, w := range widths {
				if w > 0 {
					parameters += (9*in + 3) * int64(w) // kernels, biases, BatchNorm's two
					in = int64(w)
				}
			}
			if parameters += (in + 1) * int64(c.Classes); parameters > int64(elements) {
				err = fmt.Errorf("the configuration has %d parameters, more than the %d numbers of its file", parameters, elements)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("models: VGG: %w", err)
		}
		m := NewVGG(c.Cfg, c.Classes)
		m.Dropout.P = c.Dropout
		return m, nil
	})
}
