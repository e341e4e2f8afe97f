package models_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// noise returns n numbers in [-1, 1), the same as testdata/vgg.py: the upper 24
// bits of splitmix64 at stream·2³² + i.
func noise(stream, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		z := (uint64(stream)<<32 + uint64(i) + 1) * 0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = float64(z>>40)/(1<<23) - 1
	}
	return out
}

// fill sets a model's parameters as testdata/vgg.py does.
func fill(m layers.Module) {
	stream := 0
	for name, p := range layers.NamedParameters(m) {
		stream++
		v := noise(stream, p.Len())
		for i := range v {
			switch {
			case p.Dim() > 1:
				v[i] *= float64(float32(math.Sqrt(6 / float64(p.Len()/p.Size(0)))))
			case strings.HasSuffix(name, "weight"):
				v[i] = 1 + v[i]/8
			default:
				v[i] /= 8
			}
		}
		p.CopyFrom(tensor.From(v, p.Shape()...).ToDType(tensor.Float32))
	}
}

func batch(n int) (images, labels *tensor.Tensor) {
	x := noise(1000, n*3*32*32)
	for i := range x {
		x[i] = (x[i] + 1) / 2
	}
	y := make([]int64, n)
	for i, v := range noise(1001, n) {
		y[i] = int64((v + 1) * 5)
	}
	return tensor.From(x, n, 3, 32, 32).ToDType(tensor.Float32), tensor.From(y)
}

type reference struct {
	Loss  float64
	Grads map[string]struct {
		Norm   float64
		At     []int
		Values []float64
	}
}

// training is a run of steps of SGD.
type training struct {
	Losses []float64
	Eval   float64
	Keys   []string
}

func readReference(t *testing.T) (ref struct {
	Float64, Float32 reference
	SGD              training
}) {
	t.Helper()
	b, err := os.ReadFile("testdata/vgg.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// The tutorial's VGG16, from the same weights and images: in float64 loss and
// gradients equal PyTorch's to 1e-6, in float32 the gradients' norms to 2e-3.
func TestVGG16GradientsArePyTorchs(t *testing.T) {
	ref := readReference(t).Float64
	for _, dtype := range []tensor.DType{tensor.Float64, tensor.Float32} {
		for _, device := range testDevices(t) {
			name := dtype.String()
			if device != tensor.CPU {
				name += "/" + device.String()
			}
			t.Run(name, func(t *testing.T) {
				if dtype == tensor.Float64 && testing.Short() {
					t.Skip("float64 takes half a minute; -short leaves it out")
				}
				largeModel(t, device)
				wantVGG16Gradients(t, ref, dtype, device)
			})
		}
	}
}

func wantVGG16Gradients(t *testing.T, ref reference, dtype tensor.DType, device *tensor.Device) {
	model := models.NewVGG(models.VGGCfg("VGG16"), 10)
	fill(model)
	layers.ToDType(model, dtype)
	layers.To(model, device)
	images, labels := batch(8)
	loss := layers.CrossEntropyLoss{}.Forward(model.Forward(images.ToDType(dtype).To(device)), labels.To(device))
	loss.Backward()
	tol := map[tensor.DType]float64{tensor.Float64: 1e-6, tensor.Float32: 1e-5}[dtype]
	if got, want := loss.Item(), ref.Loss; math.Abs(got-want) > tol*want {
		t.Errorf("loss: got %v, want %v", got, want)
	}
	seen := 0
	for name, p := range layers.NamedParameters(model) {
		want, ok := ref.Grads[name]
		if !ok {
			t.Errorf("PyTorch has no parameter %s", name)
			continue
		}
		seen++
		g := p.Grad().Float64s()
		norm := 0.0
		for _, v := range g {
			norm += v * v
		}
		norm = math.Sqrt(norm)
		// The bias before a BatchNorm has no influence; its gradient is
		// rounding.
		if want.Norm < 1e-6 {
			if limit := map[tensor.DType]float64{tensor.Float64: 1e-12, tensor.Float32: 1e-3}[dtype]; norm > limit {
				t.Errorf("%s: gradient of norm %g, want nearly 0", name, norm)
			}
			continue
		}
		if dtype == tensor.Float32 {
			if math.Abs(norm/want.Norm-1) > 2e-3 {
				t.Errorf("%s: gradient of norm %g, want %g", name, norm, want.Norm)
			}
			continue
		}
		scale := want.Norm / math.Sqrt(float64(len(g))) // of an element
		for i, at := range want.At {
			if math.Abs(g[at]-want.Values[i]) > 1e-6*max(math.Abs(want.Values[i]), scale) {
				t.Errorf("%s: gradient of element %d: got %v, want %v", name, at, g[at], want.Values[i])
			}
		}
		if math.Abs(norm/want.Norm-1) > 1e-6 {
			t.Errorf("%s: gradient of norm %v, want %v", name, norm, want.Norm)
		}
	}
	if seen != len(ref.Grads) {
		t.Errorf("compared %d parameters, PyTorch has %d", seen, len(ref.Grads))
	}
}

// Six steps of SGD give PyTorch's losses within 1 %, and then the same loss in
// evaluation.
func TestVGG16TrainsAsPyTorchs(t *testing.T) {
	ref := readReference(t).SGD
	for _, device := range testDevices(t) {
		t.Run(device.String(), func(t *testing.T) {
			largeModel(t, device)
			wantTraining(t, ref, device)
		})
	}
}

func wantTraining(t *testing.T, ref training, device *tensor.Device) {
	model := models.NewVGG(models.VGGCfg("model"), 10)
	fill(model)
	layers.To(model, device)
	images, labels := batch(32)
	images, labels = images.To(device), labels.To(device)
	criterion := layers.CrossEntropyLoss{}
	optimizer := optim.NewSGD(layers.Parameters(model), 0.001)
	optimizer.Momentum = 0.9
	losses := ref.Losses
	if testing.Short() {
		losses = losses[:2] // the race detector makes them slow
	}
	for i, want := range losses {
		s := tensor.NewScope()
		optimizer.ZeroGrad()
		loss := criterion.Forward(model.Forward(images.Clone().In(s)), labels)
		loss.Backward()
		optimizer.Step()
		if got := loss.Item(); math.Abs(got-want) > 0.01*want {
			t.Errorf("loss of step %d: got %v, want %v within 1 %%", i+1, got, want)
		}
		s.Close()
	}
	if len(losses) == len(ref.Losses) {
		layers.Eval(model)
		if got, want := criterion.Forward(model.Forward(images.NoGrad()), labels).Item(), ref.Eval; math.Abs(got-want) > 0.01*want {
			t.Errorf("loss in evaluation: got %v, want %v within 1 %%", got, want)
		}
	}
	var keys []string
	for key := range layers.StateDict(model) {
		keys = append(keys, key)
	}
	if !slices.Equal(keys, ref.Keys) {
		t.Errorf("state-dict keys: got %v\nwant %v", keys, ref.Keys)
	}
}

func TestNewByName(t *testing.T) {
	for _, name := range models.Names() {
		if name == "VGG19" || name == "model" {
			continue // large, and alike
		}
		m, err := models.New(name, 7)
		if err != nil {
			t.Fatal(err)
		}
		layers.Eval(m)
		if got := m.Forward(tensor.Zeros(2, 3, 32, 32).NoGrad()).Shape(); !got.Equal(tensor.Shape{2, 7}) {
			t.Errorf("%s: got %v, want [2 7]", name, got)
		}
	}
	_, err := models.New("VGG17", 10)
	if err == nil || !strings.Contains(err.Error(), `no model is called "VGG17"; known are ["VGG11" "VGG13" "VGG16" "VGG19" "model"]`) {
		t.Errorf("unknown name: got %v", err)
	}
	if _, err := models.New("VGG11", 0); err == nil || !strings.Contains(err.Error(), "got 0 classes") {
		t.Errorf("no classes: got %v", err)
	}
}

func TestWrongCfgs(t *testing.T) {
	for _, c := range []struct {
		cfg  models.Cfg
		want string
	}{
		{models.Cfg{}, "0 entries"},
		{models.Cfg{64, "m"}, `entry 1 of the configuration is "m"`},
		{models.Cfg{0}, "entry 0"},
		{models.Cfg{-3}, "entry 0"},
		{models.Cfg{2.5}, "entry 0"},
		{models.Cfg{1 << 30}, "entry 0"},
	} {
		err := tensor.Try(func() { models.NewVGG(c.cfg, 10) })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.cfg, err, c.want)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	path := t.TempDir() + "/model.safetensors"
	var cfg models.Cfg
	if err := json.Unmarshal([]byte(`[4, "M", 8]`), &cfg); err != nil {
		t.Fatal(err)
	}
	m := models.NewVGG(cfg, 3)
	m.Dropout.P = 0.25
	if err := layers.Save(path, m); err != nil {
		t.Fatal(err)
	}
	n, err := layers.Load[*models.VGG](path)
	if err != nil {
		t.Fatal(err)
	}
	layers.Eval(m)
	layers.Eval(n)
	x := tensor.Rand(1, 3, 2, 2).NoGrad()
	if got, want := n.Forward(x).Floats(), m.Forward(x).Floats(); !slices.Equal(got, want) {
		t.Errorf("the loaded model gives %v, the saved one %v", got, want)
	}
	if n.Dropout.P != 0.25 {
		t.Errorf("dropout: got %v, want 0.25", n.Dropout.P)
	}
}

// In evaluation the peak above the weights is at most the two largest
// activations and a fixed scratch.
func TestEvaluationMemory(t *testing.T) {
	const n = 16
	model := models.NewVGG(models.VGGCfg("VGG16"), 10)
	layers.Eval(model)
	s := tensor.NewScope()
	defer s.Close()
	images := tensor.Zeros(n, 3, 32, 32).In(s).NoGrad()
	model.Forward(images) // makes what is kept for good
	tensor.CPU.ResetPeakMemory()
	before := tensor.CPU.MemoryStats().Live
	model.Forward(images)
	const scratch = 24 << 20
	if got, want := tensor.CPU.MemoryStats().Peak-before, int64(2*4*n*64*32*32+scratch); got > want {
		t.Errorf("the peak is %d bytes above the weights and the batch, want %d or less", got, want)
	}
}

// A network in which a part is nil is named as such.
func TestForwardWithoutAPart(t *testing.T) {
	for name, take := range map[string]func(m *models.VGG){
		"Features":   func(m *models.VGG) { m.Features = nil },
		"Dropout":    func(m *models.VGG) { m.Dropout = nil },
		"Classifier": func(m *models.VGG) { m.Classifier = nil },
		"all":        func(m *models.VGG) { *m = models.VGG{} },
	} {
		m := models.NewVGG(models.Cfg{2, "M"}, 2)
		take(m)
		if err := tensor.Try(func() { m.Forward(tensor.Ones(1, 3, 2, 2)) }); err == nil || !strings.Contains(err.Error(), "is nil; NewVGG makes") {
			t.Errorf("without %s: got %v", name, err)
		}
	}
}

func TestErrorsNameTheLayer(t *testing.T) {
	m := models.NewVGG(models.Cfg{16, "M", 32, "M"}, 10)
	for _, c := range []struct {
		input []int
		want  string
	}{
		{[]int{1, 4, 4, 4}, "tensor: features.0 Conv2d: input [1 4 4 4] has 4 channels, weight [16 3 3 3] takes 3"},
		{[]int{1, 3, 32, 32}, "tensor: classifier Linear: input [1 2048]"},
	} {
		err := tensor.Try(func() { m.Forward(tensor.Zeros(c.input...)) })
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("input %v: got %v, want %s", c.input, err, c.want)
		}
	}
}

// A training step of the tutorial: VGG16, 64 images, Adam. bench compares it
// with PyTorch's.
func BenchmarkTrainingStep(b *testing.B) {
	m := models.NewVGG(models.VGGCfg("VGG16"), 10)
	optimizer := optim.NewAdam(layers.Parameters(m), 0.001)
	images, labels := batch(64)
	for b.Loop() {
		s := tensor.NewScope()
		optimizer.ZeroGrad()
		layers.CrossEntropyLoss{}.Forward(m.Forward(images.Clone().In(s)), labels).Backward()
		optimizer.Step()
		s.Close()
	}
	b.ReportMetric(64*float64(b.N)/b.Elapsed().Seconds(), "images/s")
}

func ExampleNewVGG() {
	m := models.NewVGG(models.Cfg{16, "M", 32, "M"}, 10)
	m.Dropout.P = 0.5
	layers.Eval(m)
	logits := m.Forward(tensor.Zeros(4, 3, 4, 4).NoGrad())
	fmt.Println(logits.Shape(), layers.NumParameters(m))
	// Output: [4 10] 5514
}

// The recipe of transfer learning: a saved VGG with another classifier is that
// VGG; one with other features, which its Config does not know, is refused.
func TestSaveAChangedVGG(t *testing.T) {
	x := tensor.Rand(2, 3, 4, 4)
	for _, c := range []struct {
		name   string
		change func(m *models.VGG)
		want   string // the error's words; "" is none
	}{
		{"another classifier", func(m *models.VGG) { m.Classifier = layers.NewLinear(16, 3) }, ""},
		{"another classifier's weight", func(m *models.VGG) {
			m.Classifier.Weight, m.Classifier.Bias = tensor.Ones(5, 16).SetRequiresGrad(true), tensor.Ones(5).SetRequiresGrad(true)
		}, ""},
		{"dropout", func(m *models.VGG) { m.Dropout.P = 0.5 }, ""},
		{"another dropout", func(m *models.VGG) { m.Dropout = layers.NewDropout(0.25) }, ""},
		{"a classifier without bias", func(m *models.VGG) { m.Classifier = layers.NewLinear(16, 3, layers.LinearOpts{NoBias: true}) }, "classifier"},
		{"a wider classifier", func(m *models.VGG) { m.Classifier = layers.NewLinear(20, 3) }, "classifier"},
		{"dropout of NaN", func(m *models.VGG) { m.Dropout.P = math.NaN() }, "NaN"},
		{"another activation", func(m *models.VGG) { m.Features.Layers()[2] = layers.SiLU{} }, "features.2 is SiLU"},
		{"one channel", func(m *models.VGG) { m.Features.Layers()[0] = layers.NewConv2d(1, 8, 3, layers.ConvOpts{Padding: 1}) }, "features.0 is Conv2d"},
		{"more features", func(m *models.VGG) { m.Features.Append(layers.Identity{}) }, "features.9"},
		{"no classifier", func(m *models.VGG) { m.Classifier = nil }, "classifier"},
		{"no features", func(m *models.VGG) { m.Features = nil }, "features"},
		{"nothing", func(m *models.VGG) { *m = models.VGG{} }, "nil"},
	} {
		m := models.NewVGG(models.Cfg{8, "M", 16, "M"}, 10)
		c.change(m)
		path := filepath.Join(t.TempDir(), "vgg.safetensors")
		if err := layers.Save(path, m); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		} else if err != nil {
			continue
		}
		again, err := layers.Load[*models.VGG](path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		layers.Eval(m)
		layers.Eval(again)
		if got, want := again.Forward(x).Floats(), m.Forward(x).Floats(); !slices.Equal(got, want) || again.Dropout.P != m.Dropout.P {
			t.Errorf("%s: the loaded model gives %v, want %v", c.name, got, want)
		}
	}
}
