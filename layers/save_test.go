package layers_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wick-ml/wick/internal/tensorfile"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// affine is a layer as a program outside this package writes one: x·weight+bias,
// with a counter for a buffer.
type affine struct {
	n            int
	weight, bias *tensor.Tensor
	count        *tensor.Tensor
}

func newAffine(n int) *affine {
	return &affine{n,
		tensor.Ones(n).SetRequiresGrad(true), tensor.Zeros(n).SetRequiresGrad(true), tensor.From([]int64{0}).View()}
}

func (a *affine) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Mul(a.weight).Add(a.bias) }

func (a *affine) Parts() []layers.Part {
	return []layers.Part{layers.Param("weight", a.weight), layers.Param("bias", a.bias), layers.Buffer("count", a.count)}
}

func (a *affine) Config() (string, []byte) { return "test.affine", fmt.Appendf(nil, `{"n":%d}`, a.n) }

// net is a model of a program: a name and a config for the whole, children of all
// kinds.
type net struct {
	size     int
	features *layers.Sequential
	tied     *affine
	scale    *tensor.Tensor
}

func newNet(size int) *net {
	n := &net{size: size, features: layers.NewSequential(newAffine(size), newAffine(size)), scale: tensor.Full(1, 2, 0).ToDType(tensor.Float64)}
	n.tied = n.features.Layers()[0].(*affine)
	return n
}

func (n *net) Parts() []layers.Part {
	return []layers.Part{layers.Child("features", n.features), layers.Child("tied", n.tied), layers.Buffer("scale", n.scale),
		layers.Param("none", nil), layers.Buffer("mask", tensor.From([]bool{true, false}, 1, 2))}
}

func (n *net) Config() (string, []byte) { return "test.net", fmt.Appendf(nil, `{"size":%d}`, n.size) }

// unregistered has a name that is not registered.
type unregistered struct{ *affine }

func (unregistered) Config() (string, []byte) { return "test.unregistered", nil }

func init() {
	layers.Register("test.affine", func(config []byte, _ int) (layers.Module, error) {
		var c struct{ N int }
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, err
		}
		return newAffine(c.N), nil
	})
	layers.Register("test.net", func(config []byte, _ int) (layers.Module, error) {
		var c struct{ Size int }
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, err
		}
		return newNet(c.Size), nil
	})
	layers.Register("test.nil", func([]byte, int) (layers.Module, error) { return nil, nil })
	layers.Register("test.failing", func([]byte, int) (layers.Module, error) { return nil, errors.New("no such net") })
	layers.Register("test.panicking", func([]byte, int) (layers.Module, error) { return newAffine(-1), nil })
}

// fill gives all parameters and buffers of a model values of their own.
func fill(m layers.Module, seed int) {
	for _, t := range layers.StateDict(m) {
		b := t.Raw()
		if t.DType() == tensor.Bool {
			continue
		}
		for i := range b {
			seed = seed*1103515245 + 12345
			b[i] = byte(seed>>16) & 0x3f // no NaN among them
		}
		t.SetRaw(b)
	}
}

// contents returns a model's state as text for comparisons.
func contents(m layers.Module) map[string]string {
	out := map[string]string{}
	for key, t := range layers.StateDict(m) {
		out[key] = fmt.Sprintf("%s %v %x", t.DType(), t.Shape(), t.Raw())
	}
	return out
}

func wantSame(t *testing.T, got, want layers.Module) {
	t.Helper()
	g, w := contents(got), contents(want)
	if !maps.Equal(g, w) {
		t.Errorf("got %v, want %v", g, w)
	}
}

func saved(t *testing.T, m layers.Module) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "model.safetensors")
	if err := layers.Save(path, m); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantError wants one sentence with all of words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want one line", err)
	}
}

func TestSaveLoad(t *testing.T) {
	t.Run("own model", func(t *testing.T) {
		m := newNet(3)
		fill(m, 1)
		got, err := layers.Load[*net](saved(t, m))
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, got, m)
		if got.tied.weight != got.features.Layers()[0].(*affine).weight {
			t.Error("the tied weight is two tensors, want one")
		}
		if !got.tied.weight.RequiresGrad() || got.tied.count.RequiresGrad() {
			t.Error("parameters want gradients and buffers do not; got something else")
		}
	})
	t.Run("sequential", func(t *testing.T) {
		m := layers.NewSequential(newAffine(2), layers.NewSequential(newAffine(1)))
		fill(m, 2)
		path := saved(t, m)
		got, err := layers.Load[*layers.Sequential](path)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, got, m)
		asLayer, err := layers.Load[layers.Layer](path)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, asLayer, m)
	})
	t.Run("again over itself", func(t *testing.T) {
		m := newNet(3)
		path := saved(t, m)
		fill(m, 4)
		if err := layers.Save(path, m); err != nil {
			t.Fatal(err)
		}
		got, err := layers.Load[*net](path)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, got, m)
	})
}

// The padding of a convolution that keeps the size is saved as that.
func TestSaveConvolutionThatKeepsTheSize(t *testing.T) {
	m := layers.NewConv2d(2, 3, 0, layers.ConvOpts{KernelHW: [2]int{2, 4}, Dilation: 3, Same: true})
	got, err := layers.Load[*layers.Conv2d](saved(t, m))
	if err != nil {
		t.Fatal(err)
	}
	x := tensor.Randn(1, 2, 5, 6)
	if got, want := got.Forward(x), m.Forward(x); !slices.Equal(got.Shape(), tensor.Shape{1, 3, 5, 6}) || !slices.Equal(got.Floats(), want.Floats()) {
		t.Errorf("got %v %v, want %v %v", got.Shape(), got.Floats(), want.Shape(), want.Floats())
	}
	if got, want := got.String(), "Conv2d(2, 3, kernel_size=(2, 4), stride=(1, 1), padding=same, dilation=(3, 3))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A model of this package's layers comes back and computes the same.
func TestSaveLibraryLayers(t *testing.T) {
	tensor.ManualSeed(1)
	m := layers.NewSequential(
		layers.NewConv2d(3, 4, 3, layers.ConvOpts{Padding: 1, NoBias: true}), layers.NewBatchNorm2d(4), layers.ReLU{Inplace: true},
		layers.NewMaxPool2d(2, 2), layers.NewDropout(0.25), layers.Flatten{}, layers.NewLinear(16, 5))
	x := tensor.Randn(2, 3, 4, 4)
	m.Forward(x) // moves the running statistics
	path := saved(t, m)
	got, err := layers.Load[*layers.Sequential](path)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, m)
	layers.Eval(m)
	layers.Eval(got)
	if got, want := got.Forward(x).Floats(), m.Forward(x).Floats(); !slices.Equal(got, want) {
		t.Errorf("the result is %v, want %v", got, want)
	}

	var keys []string
	state, err := layers.ReadStateDict(path)
	if err != nil {
		t.Fatal(err)
	}
	for key := range state {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	want := []string{"0.weight", "1.bias", "1.num_batches_tracked", "1.running_mean", "1.running_var", "1.weight", "6.bias", "6.weight"}
	if !slices.Equal(keys, want) {
		t.Errorf("got the keys %q, want %q", keys, want)
	}
}

func TestDescribe(t *testing.T) {
	name, config, err := layers.Describe(layers.NewSequential(layers.Flatten{}, layers.NewDropout(0.25)))
	if want := `[{"name":"Flatten","config":{}},{"name":"Dropout","config":{"p":0.25}}]`; name != "Sequential" || string(config) != want || err != nil {
		t.Errorf("got %q, %s, error %v, want Sequential, %s", name, config, err, want)
	}
	if _, _, err := layers.Describe(layers.NewSequential(layers.Func(nil))); err == nil || !strings.Contains(err.Error(), "0 (layers.Func) cannot be described") {
		t.Errorf("a Func: got error %v, want one with its path", err)
	}
}

// What lies beside a model in its file is passed over.
func TestLoadBeside(t *testing.T) {
	m := newNet(3)
	path := filepath.Join(t.TempDir(), "checkpoint.safetensors")
	name, config, err := layers.Describe(m)
	if err != nil {
		t.Fatal(err)
	}
	err = tensorfile.Write(path, map[string]string{tensorfile.ModelKey: name, tensorfile.ConfigKey: string(config)}, func(yield func(string, *tensor.Tensor) bool) {
		if !yield(tensorfile.Beside+"optimizer/0", tensor.Zeros(5)) {
			return
		}
		for key, p := range layers.StateDict(m) {
			if !yield(key, p) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := layers.Load[*net](path)
	if err != nil || got.size != 3 {
		t.Fatalf("got %v, error %v, want the model", got, err)
	}
	state, err := layers.ReadStateDict(path)
	if err != nil {
		t.Fatal(err)
	}
	for key := range state {
		if strings.HasPrefix(key, tensorfile.Prefix) {
			t.Errorf("the state dict has %q", key)
		}
	}
}

func TestSaveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	f := layers.Func(func(x *tensor.Tensor) *tensor.Tensor { return x })
	deep := layers.NewSequential(newAffine(1), layers.NewSequential(newAffine(1), f))
	wantError(t, layers.Save(path, deep), "1.1", "layers.Func", "SaveStateDict")
	wantError(t, layers.Save(path, unregistered{newAffine(1)}), `"test.unregistered"`, "not registered", "SaveStateDict")
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Errorf("got the files %v, %v, want none", entries, err)
	}

	// The weights alone can be saved.
	fill(deep, 5)
	if err := layers.SaveStateDict(path, deep); err != nil {
		t.Fatal(err)
	}
	_, err := layers.Load[layers.Module](path)
	wantError(t, err, path, "without a model", "ReadStateDict")
	other := layers.NewSequential(newAffine(1), layers.NewSequential(newAffine(1), f))
	state, err := layers.ReadStateDict(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := layers.LoadStateDict(other, state); err != nil {
		t.Fatal(err)
	}
	wantSame(t, other, deep)

	twice := layers.ModuleList{part{layers.Param("w", tensor.Ones(1)), layers.Param("w", tensor.Ones(1))}}
	wantError(t, layers.SaveStateDict(filepath.Join(t.TempDir(), "m"), twice), `"0.w"`, "twice")
}

// part is a module of given parts.
type part []layers.Part

func (p part) Parts() []layers.Part { return p }

func TestSaveIsAtomic(t *testing.T) {
	m := newNet(2)
	path := saved(t, m)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unchanged := func(t *testing.T) {
		t.Helper()
		after, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("the old file was changed, %v", err)
		}
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
			t.Errorf("got the files %v, %v, want the old one", entries, err)
		}
	}
	t.Run("a tensor is gone", func(t *testing.T) {
		s := tensor.NewScope()
		gone := part{layers.Param("w", tensor.Ones(2).In(s))}
		s.Close()
		wantError(t, tensor.Try(func() {
			if err := layers.SaveStateDict(path, gone); err != nil {
				t.Error(err)
			}
		}), "scope closed")
		unchanged(t)
	})
	t.Run("a key twice", func(t *testing.T) {
		wantError(t, layers.SaveStateDict(path, part{layers.Param("w", tensor.Ones(1)), layers.Param("w", tensor.Ones(1))}), path, "twice")
		unchanged(t)
	})
	t.Run("no folder", func(t *testing.T) {
		err := layers.Save(filepath.Join(path, "m"), m)
		wantError(t, err, path)
		unchanged(t)
	})
	t.Run("onto a folder", func(t *testing.T) {
		wantError(t, layers.Save(filepath.Dir(path), m), "not a regular file")
		unchanged(t)
	})
}

// resave writes what is in a file under another model's name and config.
func resave(t *testing.T, path, name, config string) string {
	t.Helper()
	state, err := layers.ReadStateDict(path)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "renamed.safetensors")
	if err := tensorfile.Write(path, map[string]string{"wick.model": name, "wick.config": config}, state); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edited.safetensors")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// namedModule is what both models of this file are.
type namedModule interface {
	layers.Module
	layers.Configurer
}

func TestLoadRefuses(t *testing.T) {
	path := saved(t, newNet(3))

	_, err := layers.Load[*layers.Sequential](path)
	wantError(t, err, path, `"test.net"`, "*layers_test.net", "*layers.Sequential")
	_, err = layers.Load[layers.Layer](path)
	wantError(t, err, path, "*layers_test.net", "layers.Layer")

	_, err = layers.Load[*net](path + "x")
	wantError(t, err, path+"x")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	_, err = layers.Load[*net](filepath.Dir(path))
	wantError(t, err, filepath.Dir(path), "not a regular file")

	// Programs that do not agree on what a name stands for.
	for _, tt := range []struct {
		name, config string
		words        []string
	}{
		{"test.unknown", "", []string{`"test.unknown"`, "layers.Register"}},
		{"test.nil", "", []string{"a <nil>, not a layers_test.namedModule"}},
		{"test.failing", "", []string{"no such net"}},
		{"test.panicking", "", []string{"negative"}},
		{"test.net", "{", []string{"unexpected end of JSON"}},
		{"test.net", `{"size":4}`, []string{`"features.0.weight" has the shape [3], want [4]`}},
		{"test.affine", `{"n":3}`, []string{"missing keys", `"weight"`, "unexpected keys", `"features.0.weight"`}},
	} {
		renamed := resave(t, path, tt.name, tt.config)
		_, err := layers.Load[namedModule](renamed)
		wantError(t, err, append(tt.words, renamed)...)
	}
}

// A file that was cut off anywhere is an error, and so is one with more at its end.
func TestLoadTruncated(t *testing.T) {
	b, err := os.ReadFile(saved(t, newNet(2)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut")
	for n := range len(b) {
		if err := os.WriteFile(path, b[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := layers.Load[*net](path)
		wantError(t, err, path)
		_, err = layers.ReadStateDict(path)
		wantError(t, err, path)
	}
	_, err = layers.Load[*net](write(t, append(b, 0)))
	wantError(t, err, "data")
}

// Every single bit of a file counts: flipped, it is an error.
func TestLoadFlippedBits(t *testing.T) {
	m := newNet(2)
	fill(m, 7)
	b, err := os.ReadFile(saved(t, m))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flipped")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put := func(offset int, b ...byte) {
		if _, err := f.WriteAt(b, int64(offset)); err != nil {
			t.Fatal(err)
		}
	}
	put(0, b...)
	for i := range b {
		for bit := range 8 {
			put(i, b[i]^1<<bit)
			if _, err := layers.Load[*net](path); err == nil {
				t.Errorf("bit %d of byte %d (%q) was flipped: got no error, want one", bit, i, b[max(i-10, 0):min(i+10, len(b))])
			} else if !strings.Contains(err.Error(), path) {
				t.Errorf("got %q, want the path", err)
			}
		}
		if _, err := layers.ReadStateDict(path); err == nil {
			t.Errorf("bit 7 of byte %d was flipped: ReadStateDict gives no error, want one", i)
		}
		put(i, b[i])
	}
	b[len(b)-1] ^= 1
	_, err = layers.Load[*net](write(t, b))
	wantError(t, err, `tensor "mask"`, "damaged", "CRC-32C", "at byte")
}

func TestLoadHugeHeader(t *testing.T) {
	for _, n := range []uint64{3, 1 << 20, 100_000_000, 100_000_001, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		_, err := layers.Load[*net](write(t, append(binary.LittleEndian.AppendUint64(nil, n), "{}"...)))
		wantError(t, err, "header", "edited.safetensors")
	}
}

// Evaluating and saving at once is right: run with -race.
func TestSaveWhileEvaluating(t *testing.T) {
	m := layers.NewSequential(newAffine(3), newAffine(3))
	layers.Eval(m)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for range 20 {
				s := tensor.NewScope()
				y := m.Forward(tensor.Ones(2, 3).In(s).NoGrad())
				if got, want := y.Floats(), []float32{1, 1, 1, 1, 1, 1}; !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				s.Close()
			}
		})
		wg.Go(func() {
			path := filepath.Join(dir, fmt.Sprint(i))
			for range 5 {
				if err := layers.Save(path, m); err != nil {
					t.Error(err)
				}
				if _, err := layers.Load[*layers.Sequential](path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// testdata/python.safetensors of package safetensors was written by PyTorch.
func TestReadStateDictOfPyTorch(t *testing.T) {
	state, err := layers.ReadStateDict("../internal/safetensors/testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, x := range state {
		got[key] = fmt.Sprint(x.DType(), x.Shape(), x.Float64s())
	}
	want := map[string]string{
		"weight": "float32 [2 3] [0 0.25 0.5 0.75 1 1.25]", "scalar": "float64 [] [2.5]",
		"half": "float16 [5] [1 -0.5 65504 5.960464477539063e-08 +Inf]", "brain": "bfloat16 [2 1] [1 -3.140625]",
		"count": "int64 [] [-7]", "short": "int64 [2] [-300 300]", "int": "int64 [1] [-70000]", "signed": "int64 [2] [-128 127]",
		"bytes": "uint8 [2] [0 255]", "mask": "bool [3] [1 0 1]", "empty": "float32 [0 3] []", "naïve \"key\"/<&>": "float32 [1] [1]",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, err = layers.Load[layers.Module]("../internal/safetensors/testdata/python.safetensors")
	wantError(t, err, "python.safetensors", "without a model")
}

// What is damaged in a foreign file shows as far as the format can tell.
func TestReadStateDictForeign(t *testing.T) {
	file := func(header, data string) string {
		return write(t, slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), []byte(header), []byte(data)))
	}
	_, err := layers.ReadStateDict(file(`{"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}`, "\x00\x02"))
	wantError(t, err, `tensor "a"`, "element 1", "want 0 or 1")
	_, err = layers.ReadStateDict(file(`{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}`, "12345678"))
	wantError(t, err, `tensor "a"`, "C64 is not supported")
	_, err = layers.ReadStateDict(file(`{"__metadata__":{"wick.format":"2"}}`, ""))
	wantError(t, err, "wick.format", `"2"`, `"1"`)
	_, err = layers.ReadStateDict(file(`{"__metadata__":{"wick.model":"x"}}`, ""))
	wantError(t, err, "no wick.format")
	_, err = layers.ReadStateDict(file(`{"__metadata__":{"wick.format":"1"}}`, ""))
	wantError(t, err, "wick.crc32c")
}

// Layers whose settings are pointers or -1 come back as they were.
func TestSaveSettings(t *testing.T) {
	x := tensor.Randn(2, 3, 4, 5)
	for _, c := range []struct {
		layer layers.Layer
		shape tensor.Shape
	}{
		{layers.Flatten{}, tensor.Shape{2, 60}},
		{layers.Flatten{StartDim: new(0)}, tensor.Shape{120}},
		{layers.Flatten{StartDim: new(0), EndDim: new(1)}, tensor.Shape{6, 4, 5}},
		{layers.Flatten{EndDim: new(-2)}, tensor.Shape{2, 12, 5}},
		{layers.NewAdaptiveAvgPool2d(-1, 2), tensor.Shape{2, 3, 4, 2}},
		{layers.NewAdaptiveAvgPool2d(7, -1), tensor.Shape{2, 3, 7, 5}},
		{layers.NewAdaptiveAvgPool2d(0, 1), tensor.Shape{2, 3, 0, 1}},
	} {
		got, err := layers.Load[layers.Layer](saved(t, c.layer))
		if err != nil {
			t.Fatalf("%v: %v", c.layer, err)
		}
		y := got.Forward(x)
		if want := c.layer.Forward(x); !y.Shape().Equal(c.shape) || !slices.Equal(y.Floats(), want.Floats()) {
			t.Errorf("%v: got %v, want %v %v", c.layer, y, c.shape, want)
		}
	}

	e := layers.NewEmbedding(4, 2, layers.EmbeddingOpts{PaddingIdx: new(-3)})
	got, err := layers.Load[*layers.Embedding](saved(t, e))
	if err != nil {
		t.Fatal(err)
	}
	got.Weight.SetRequiresGrad(true)
	got.Forward(tensor.From([]int64{1, 0, 1, 3})).Sum().Backward()
	if rows := e.Weight.Floats(); rows[2] != 0 || rows[3] != 0 || rows[0] == 0 || *got.PaddingIdx != 1 {
		t.Errorf("got the rows %v and the padding index %d, want zeros in row 1", rows, *got.PaddingIdx)
	}
	if g, want := got.Weight.Grad().Floats(), []float32{1, 1, 0, 0, 0, 0, 1, 1}; !slices.Equal(g, want) {
		t.Errorf("got the gradient %v, want %v", g, want)
	}
}

// Parameters and buffers that are views, or lie in one memory, are saved and loaded as
// what they hold.
func TestSaveViews(t *testing.T) {
	views := func() (m *layers.Sequential, memory *tensor.Tensor) {
		memory = tensor.Zeros(5, 8)
		linear, norm := layers.NewLinear(3, 4), layers.NewBatchNorm2d(4)
		cut := func(x *tensor.Tensor) *tensor.Tensor { return x.SetRequiresGrad(true) }
		linear.Weight = cut(memory.Narrow(0, 0, 3).Narrow(1, 0, 4).T())
		linear.Bias = cut(memory.Select(1, 7).Narrow(0, 1, 4))
		norm.Weight = cut(memory.Select(0, 4).Slice(0, 0, 7, 2))
		friends.SetData(norm.RunningMean, memory.Select(0, 3).Narrow(0, 0, 4))
		friends.SetData(norm.RunningVar, memory.Select(1, 5).Narrow(0, 0, 4))
		return layers.NewSequential(linear, norm), memory
	}
	m, memory := views()
	memory.CopyFrom(tensor.Arange(0, 40, 1).View(5, 8))
	path := saved(t, m)
	got, err := layers.Load[*layers.Sequential](path)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, got, m)
	other, otherMemory := views()
	otherMemory.Fill(-1)
	if _, err := layers.LoadStateDict(other, layers.StateDict(m)); err != nil {
		t.Fatal(err)
	}
	wantSame(t, other, m)
	last := otherMemory.Select(0, 4).Floats()
	if want := []float32{32, -1, 34, -1, 36, -1, 38, 39}; !slices.Equal(last, want) {
		t.Errorf("the last row of the loaded memory is %v, want %v", last, want)
	}
	layers.To(other, tensor.CPU)
	layers.ToDType(other, tensor.Float64)
	if w := other.Layers()[0].(*layers.Linear).Weight; w.DType() != tensor.Float64 || !slices.Equal(w.Floats(), m.Layers()[0].(*layers.Linear).Weight.Floats()) {
		t.Errorf("converted, the weight is %v", w)
	}
}
