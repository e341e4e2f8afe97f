package layers

import (
	"bytes"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// described is a module of a program that describes itself, and less than all of
// it.
type described struct {
	Body  *Sequential
	Head  Layer
	Width int
}

func (d *described) Parts() []Part { return []Part{Child("body", d.Body), Child("head", d.Head)} }
func (d *described) Forward(x *tensor.Tensor) *tensor.Tensor {
	return d.Head.Forward(d.Body.Forward(x))
}
func (d *described) Config() (string, []byte) {
	return "test.Described", fmt.Appendf(nil, "%d", d.Width)
}

func newDescribed(width int) *described {
	return &described{NewSequential(NewLinear(3, width), ReLU{}, NewDropout(0.25)), NewLinear(width, 2), width}
}

func init() {
	Register("test.Described", func(config []byte, _ int) (Module, error) {
		var width int
		if _, err := fmt.Sscan(string(config), &width); err != nil {
			return nil, err
		}
		return newDescribed(width), nil
	})
}

// A model whose parts were changed is loaded again as it is, or refused where it
// differs.
func TestSaveChangedModels(t *testing.T) {
	weight := func(dims ...int) *tensor.Tensor { return tensor.Randn(dims...).SetRequiresGrad(true) }
	images := tensor.Randn(2, 4, 6, 6)
	for _, c := range []struct {
		name  string
		m     func() Layer
		x     *tensor.Tensor
		fails []string // nil: it is loaded
	}{
		{"Conv2d, other weight", func() Layer {
			l := NewConv2d(3, 8, 3, ConvOpts{Padding: 1, Stride: 2})
			l.Weight, l.Bias = weight(5, 4, 5, 3), weight(5)
			return l
		}, images, nil},
		{"Conv2d, other weight in groups", func() Layer {
			l := NewConv2d(4, 8, 3, ConvOpts{Groups: 2})
			l.Weight = weight(6, 2, 1, 1)
			l.Bias = nil
			return l
		}, images, nil},
		{"Conv2d, bias taken away", func() Layer { l := NewConv2d(4, 8, 3); l.Bias = nil; return l }, images, nil},
		{"Conv2d, bias put in", func() Layer { l := NewConv2d(4, 8, 3, ConvOpts{NoBias: true}); l.Bias = weight(8); return l }, images, nil},
		{"Conv2d, bias of another size", func() Layer { l := NewConv2d(4, 8, 3); l.Bias = weight(7); return NewSequential(l) }, nil, []string{"0.bias is a parameter [7]", "a parameter [8]"}},
		{"Conv2d made by hand", func() Layer { return &Conv2d{Weight: weight(2, 4, 3, 3)} }, images, nil},
		{"Conv2d of a vector", func() Layer { return NewSequential(ReLU{}, &Conv2d{Weight: weight(9)}) }, nil, []string{"1", "Conv2d"}},
		{"an empty Conv2d", func() Layer { return &Conv2d{} }, nil, []string{"Conv2d", "a parameter [0 0 0 0]"}},
		{"ConvTranspose2d, other weight", func() Layer {
			l := NewConvTranspose2d(3, 8, 3, ConvOpts{Stride: 2, OutputPadding: 1})
			l.Weight, l.Bias = weight(4, 5, 2, 3), nil
			return l
		}, images, nil},
		{"Linear, other weight", func() Layer { l := NewLinear(3, 8); l.Weight, l.Bias = weight(5, 6), nil; return l }, images, nil},
		{"Linear, weight of whole numbers", func() Layer {
			l := NewLinear(3, 8)
			l.Weight = tensor.Zeros(8, 3).ToDType(tensor.Int64)
			return NewSequential(l)
		}, nil, []string{"0.weight is a parameter [8 3] of int64, and its Config describes a parameter [8 3]"}},
		{"BatchNorm2d, statistics of bools", func() Layer {
			l := NewBatchNorm2d(4)
			l.RunningVar = tensor.Zeros(4).ToDType(tensor.Bool)
			return l
		}, nil, []string{"running_var is a buffer [4] of bool, and"}},
		{"Linear, bias of another size", func() Layer { l := NewLinear(3, 8); l.Bias = weight(1); return l }, nil, []string{"bias is a parameter [1]"}},
		{"an empty Linear", func() Layer { return NewSequential(&Linear{}) }, nil, []string{"0", "Linear", "a parameter [0 0]"}},
		{"Embedding, other weight", func() Layer { l := NewEmbedding(3, 8); l.Weight = weight(5, 6); return l }, tensor.From([]int64{4, 0}), nil},
		{"BatchNorm2d, other channels", func() Layer {
			l := NewBatchNorm2d(3)
			l.Weight, l.Bias, l.RunningMean, l.RunningVar = weight(4), weight(4), tensor.Zeros(4), tensor.Ones(4)
			return NewSequential(NewConv2d(4, 4, 1), l, ReLU{})
		}, images, nil},
		{"BatchNorm2d, other channels in part", func() Layer {
			l := NewBatchNorm2d(3)
			l.Weight, l.Bias = weight(4), weight(4)
			return NewSequential(l)
		}, nil, []string{"0.running_mean is a buffer [3]", "a buffer [4]"}},
		{"GroupNorm, other channels", func() Layer { l := NewGroupNorm(2, 6); l.Weight, l.Bias = weight(4), weight(4); return l }, images, nil},
		{"BatchNorm2d, weight taken away", func() Layer { l := NewBatchNorm2d(4); l.Weight = nil; return l }, nil, []string{"bias (a parameter [4]) is not in"}},
		{"BatchNorm2d, bias taken away", func() Layer { l := NewBatchNorm2d(4); l.Bias = nil; return l }, nil, []string{"bias (a parameter [4]), which its Config describes, is not in it"}},
		{"BatchNorm2d, statistics taken away", func() Layer {
			l := NewBatchNorm2d(4)
			l.RunningMean, l.RunningVar, l.NumBatchesTracked = nil, nil, nil
			return l
		}, images, nil},
		{"BatchNorm2d, other settings", func() Layer { l := NewBatchNorm2d(4); l.Eps, l.Momentum = 0.01, 0.5; return l }, images, nil},
		{"LayerNorm without bias", func() Layer { l := NewLayerNorm(6); l.Bias = nil; return l }, images, nil},
		{"LayerNorm of other sizes", func() Layer { l := NewLayerNorm(6); l.Weight = weight(5); return l }, nil, []string{"weight is a parameter [5]"}},
		{"GroupNorm without weight", func() Layer { l := NewGroupNorm(2, 4); l.Weight, l.Bias = nil, nil; return l }, images, nil},
		{"GroupNorm without bias", func() Layer { l := NewGroupNorm(2, 4); l.Bias = nil; return l }, nil, []string{"bias"}},
		{"Dropout of another probability", func() Layer { l := NewDropout(0.5); l.P = 0.75; return l }, images, nil},
		{"Dropout of no probability", func() Layer { l := NewDropout(0.5); l.P = 7; return NewSequential(l) }, nil, []string{"Dropout", "probability 7"}},
		{"Dropout of NaN", func() Layer { l := NewDropout(0.5); l.P = math.NaN(); return NewSequential(l) }, nil, []string{"0 (*layers.Dropout)", "NaN"}},
		{"ELU of Inf", func() Layer { return NewSequential(ReLU{}, ELU{Alpha: math.Inf(1)}) }, nil, []string{"1 (layers.ELU)", "Inf"}},
		{"LeakyReLU of NaN", func() Layer { return NewSequential(LeakyReLU{Slope: math.NaN()}) }, nil, []string{"0 (layers.LeakyReLU)", "NaN"}},
		{"Softplus of NaN", func() Layer { return NewSequential(NewSequential(&Softplus{Threshold: math.NaN()})) }, nil, []string{"0.0 (*layers.Softplus)", "NaN"}},
		{"GroupNorm of an infinite eps", func() Layer { l := NewGroupNorm(2, 4); l.Eps = math.Inf(1); return l }, nil, []string{"GroupNorm", "Inf"}},
		{"Sequential, an element replaced", func() Layer {
			s := NewSequential(NewLinear(6, 4), ReLU{})
			s.Layers()[1] = NewSequential(NewLinear(4, 3), Tanh{})
			return s
		}, images, nil},
		{"Sequential, an element of another kind", func() Layer { s := NewSequential(ReLU{}); s.Layers()[0] = Func(nil); return s }, nil, []string{"0 (layers.Func)"}},
		{"Sequential, an element taken away", func() Layer { s := NewSequential(ReLU{}); s.Layers()[0] = nil; return s }, nil, nil},
		{"a program's module", func() Layer { return newDescribed(4) }, tensor.Ones(2, 3), nil},
		{"a program's module, another head", func() Layer { m := newDescribed(4); m.Head = NewLinear(4, 10); return NewSequential(Identity{}, m) }, nil,
			[]string{"1.head is Linear", `"out_features":10`, `"out_features":2`}},
		{"a program's module, another activation", func() Layer { m := newDescribed(4); m.Body.Layers()[1] = Tanh{}; return m }, nil, []string{"body.1 is Tanh", "ReLU"}},
		{"a program's module, another setting", func() Layer { m := newDescribed(4); m.Body.Layers()[2].(*Dropout).P = 0; return m }, nil, []string{"body.2 is Dropout"}},
		{"a program's module, longer", func() Layer { m := newDescribed(4); m.Body.Append(NewLinear(4, 4)); return m }, nil, []string{"body.3 (Linear", "is not in"}},
		{"a program's module, a function", func() Layer { m := newDescribed(4); m.Head = Func(nil); return m }, nil, []string{"head is a module layers.Func"}},
		{"a program's module, settings with NaN", func() Layer { m := newDescribed(4); m.Head = ELU{Alpha: math.NaN()}; return m }, nil, []string{"NaN"}},
		{"a program's module, nothing", func() Layer { m := newDescribed(4); m.Head = nil; return m }, nil, []string{"head"}},
		{"a program's module, the width changed", func() Layer { m := newDescribed(4); m.Width = 5; return m }, nil, []string{"body.0"}},
	} {
		tensor.ManualSeed(4)
		m := c.m()
		Eval(dropNil(m))
		path := filepath.Join(t.TempDir(), "m.safetensors")
		err := Save(path, m)
		seed, offset := tensor.DefaultGenerator().State()
		if c.fails != nil || c.x == nil {
			if err == nil {
				t.Errorf("%s: saved, want an error with %q", c.name, c.fails)
				continue
			}
			for _, w := range c.fails {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s: got %q, want it to contain %q", c.name, err, w)
				}
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		again, err := Load[Layer](path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		Eval(again)
		if got, want := again.Forward(c.x), m.Forward(c.x); !slices.Equal(got.Floats(), want.Floats()) || !got.Shape().Equal(want.Shape()) {
			t.Errorf("%s: the loaded model gives %v, want %v", c.name, got.Shape(), want.Shape())
		}
		tensor.ManualSeed(4)
		c.m()
		if s, o := tensor.DefaultGenerator().State(); s != seed || o != offset {
			t.Errorf("%s: Save drew random numbers", c.name)
		}
	}
}

// dropNil gives Eval something to walk through.
func dropNil(m Module) Module {
	if walkable(m) != nil {
		return Identity{}
	}
	return m
}

// What is found right is not made a second time.
func TestDescribeMakesAModelOnce(t *testing.T) {
	made := 0
	Register("test.Counted", func([]byte, int) (Module, error) { made++; return counted{}, nil })
	for range 3 {
		if _, _, err := Describe(NewSequential(counted{})); err != nil {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Errorf("the constructor was called %d times, want once", made)
	}
}

type counted struct{ Identity }

func (counted) Config() (string, []byte) { return "test.Counted", nil }

// A model goes through a writer and a reader as it does through a file.
func TestReadersAndWriters(t *testing.T) {
	m := NewSequential(NewLinear(3, 4), ReLU{}, NewLinear(4, 2))
	var b bytes.Buffer
	if err := SaveTo(&b, m); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	again, err := LoadFrom[*Sequential](bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.Ones(1, 3)
	if got, want := again.Forward(x).Floats(), m.Forward(x).Floats(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := LoadFrom[*Linear](bytes.NewReader(file)); err == nil || !strings.Contains(err.Error(), "not a *layers.Linear") {
		t.Errorf("another type: got %v", err)
	}
	for _, n := range []int{0, 7, 8, 100, len(file) - 1} {
		if _, err := LoadFrom[*Sequential](bytes.NewReader(file[:n])); err == nil {
			t.Errorf("the first %d bytes were loaded", n)
		}
		if _, err := ReadStateDictFrom(bytes.NewReader(file[:n])); err == nil {
			t.Errorf("the first %d bytes were read", n)
		}
	}
	flipped := slices.Clone(file)
	flipped[len(flipped)-1] ^= 4
	if _, err := LoadFrom[*Sequential](bytes.NewReader(flipped)); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a flipped bit: got %v", err)
	}

	b.Reset()
	if err := SaveStateDictTo(&b, m); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadFrom[*Sequential](bytes.NewReader(b.Bytes())); err == nil || !strings.Contains(err.Error(), "holds tensors without a model") {
		t.Errorf("a state dict as a model: got %v", err)
	}
	state, err := ReadStateDictFrom(&b)
	if err != nil {
		t.Fatal(err)
	}
	other := NewSequential(NewLinear(3, 4), ReLU{}, NewLinear(4, 2))
	if _, err := LoadStateDict(other, state); err != nil {
		t.Fatal(err)
	}
	if got, want := other.Forward(x).Floats(), m.Forward(x).Floats(); !slices.Equal(got, want) {
		t.Errorf("the state dict: got %v, want %v", got, want)
	}
	if err := SaveTo(failing{}, m); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a writer that fails: got %v", err)
	}
	if _, err := LoadFrom[*Sequential](failing{}); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a reader that fails: got %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fmt.Errorf("no room") }
func (failing) Read([]byte) (int, error)  { return 0, fmt.Errorf("no room") }

// A header that speaks of gigabytes takes none.
func TestReadersTakeNoMemoryOnAHeadersWord(t *testing.T) {
	taken := tensor.CPU.MemoryStats().Taken
	for _, header := range []string{
		`{"a":{"dtype":"F32","shape":[1000000000,100],"data_offsets":[0,400000000000]}}`,
		strings.Repeat(" ", 90),
	} {
		b := append([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}, header...)
		if _, err := ReadStateDictFrom(bytes.NewReader(b)); err == nil {
			t.Errorf("%.20q was read", header)
		}
	}
	if _, err := ReadStateDictFrom(bytes.NewReader([]byte{0, 0, 0, 5, 0, 0, 0, 0, '{'})); err == nil {
		t.Error("a header of 80 MB in a file of 9 bytes was read")
	}
	if got := tensor.CPU.MemoryStats().Taken - taken; got > 1<<20 {
		t.Errorf("took %d bytes", got)
	}
}

// Files of other formats are known by how they begin.
func TestLoadOfOtherFormats(t *testing.T) {
	for name, c := range map[string]struct{ begins, want string }{
		"model.pt":   {"PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00", "a zip archive, as torch.save writes"},
		"old.pth":    {"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a pickle, as torch.save wrote before PyTorch 1.6"},
		"p4.pkl":     {"\x80\x04\x95\x10\x00\x00\x00\x00", "a pickle"},
		"keras.h5":   {"\x89HDF\r\n\x1a\n", "an HDF5 file"},
		"model.gguf": {"GGUF\x03\x00\x00\x00", "a GGUF file"},
	} {
		_, err := LoadFrom[Module](strings.NewReader(c.begins))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "save_file") {
			t.Errorf("%s: got %v, want %q and what to do", name, err, c.want)
		}
	}
	for begins, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n": "a pointer of Git LFS, not the file itself; git lfs pull",
		"<!DOCTYPE html><html></html>":                                       "a web page",
		"\n<html lang=\"en\">":                                               "a web page",
	} {
		if _, err := LoadFrom[Module](strings.NewReader(begins)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", begins, err, want)
		}
	}
	// A header of 66,176 bytes begins as a pickle does.
	header := "{" + strings.Repeat(" ", 66174) + "}"
	if _, err := ReadStateDictFrom(strings.NewReader("\x80\x02\x01\x00\x00\x00\x00\x00" + header)); err != nil {
		t.Error(err)
	}
}
