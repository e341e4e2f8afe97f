package layers

import (
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// isLibrary knows every type that this package registers.
func TestLibraryIsComplete(t *testing.T) {
	made := map[string]bool{"ModuleList": true}
	for name, make := range refLayers {
		l := make()
		if !isLibrary(l) {
			t.Errorf("%s: isLibrary(%T) is false", name, l)
		}
		n, _, err := describe(l, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		made[n] = true
	}
	for name := range library {
		if !made[name] {
			t.Errorf("%s has no reference case", name)
		}
	}
	if isLibrary(Func(nil)) || isLibrary(probe{}) || isLibrary(&probe{}) || keepsNothing(NewSequential(ReLU{}, probe{})) {
		t.Error("isLibrary takes a foreign layer for one of this package")
	}
}

// conv is a layer of another package around one of this.
type conv struct{ *Conv2d }

func (c conv) Forward(x *tensor.Tensor) *tensor.Tensor { return c.Conv2d.Forward(x).ReLU() }

// nameless has a config, but nobody registered its name.
type nameless struct{ ReLU }

func (nameless) Config() (string, []byte) { return "test.Nameless", nil }

func TestDescribeErrors(t *testing.T) {
	for _, c := range []struct {
		m    Module
		want string
	}{
		{NewSequential(ReLU{}, NewSequential(ReLU{}, Func(nil))),
			"layers: features.1.1 (layers.Func) cannot be described: it needs a method Config and a name registered with layers.Register"},
		{ModuleList{newNet()}, "layers: features.0 (*layers.net) cannot be described: it needs a method Config and a name registered with layers.Register"},
		{NewSequential(conv{NewConv2d(1, 1, 1)}), "layers: features.0 (layers.conv) describes itself as this package's Conv2d: give it a Config of its own"},
		{nameless{}, `layers: features (layers.nameless) has the name "test.Nameless", which is not registered: call layers.Register("test.Nameless", …)`},
	} {
		if _, _, err := describe(c.m, "features"); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	if _, _, err := describe(Func(nil), ""); err == nil || !strings.HasPrefix(err.Error(), "layers: the model (layers.Func) cannot be described") {
		t.Errorf("got %v", err)
	}
}

// hostile are configs that a registered constructor must refuse with an error,
// without a panic and without taking memory.
var hostile = []struct{ name, config, want string }{
	{"Nothing", `{}`, "no module is registered"},
	{"Linear", ``, "a parameter [0 0]"},
	{"Linear", `{`, "unexpected EOF"},
	{"Linear", `null`, "a parameter [0 0]"},
	{"Linear", `{"in_features":3,"out_features":2,"bias":true} {}`, "goes on after its value"},
	{"Linear", `{"in_features":3,"out_features":2,"bais":true}`, "unknown field"},
	{"Linear", `{"in_features":-3,"out_features":-2}`, "a parameter [-2 -3]"},
	{"Linear", `{"in_features":4294967296,"out_features":4294967296}`, "a parameter"},
	{"Linear", `{"in_features":1e99,"out_features":1}`, "cannot unmarshal"},
	{"Linear", `{"in_features":1048577,"out_features":1}`, "at most the 1048576 elements"},
	{"Embedding", `{"num_embeddings":1000000,"embedding_dim":1000000}`, "at most the 1048576 elements"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[1,1],"padding":[0,0],"dilation":[1,1],"groups":0}`, "groups 0"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[1,1],"padding":[0,0],"dilation":[1,1],"groups":-1}`, "groups -1"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[1,1],"padding":[0,0],"dilation":[1,1],"groups":9}`, "a parameter [3 0 3 3]"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[0,1],"padding":[0,0],"dilation":[1,1],"groups":1}`, "stride 0"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[1,1],"padding":[9223372036854775807,0],"dilation":[1,1],"groups":1}`, "padding 9223372036854775807"},
	{"Conv2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[2,1],"padding":[0,0],"same":true,"dilation":[1,1],"groups":1}`, "stride [2 1] and padding [0 0] do not go with Same"},
	{"ConvTranspose2d", `{"in_channels":3,"out_channels":3,"kernel_size":[3,3],"stride":[1,1],"padding":[0,0],"same":true,"dilation":[1,1],"groups":1}`, "got Same, which only Conv2d has"},
	{"ConvTranspose2d", `{"in_channels":65536,"out_channels":65536,"kernel_size":[1,1],"stride":[1,1],"padding":[0,0],"dilation":[1,1],"groups":1}`, "at most the 1048576 elements"},
	{"BatchNorm2d", `{"num_features":-1}`, "channels -1"},
	{"BatchNorm2d", `{"num_features":3,"eps":-1}`, "eps -1"},
	{"LayerNorm", `{"normalized_shape":[]}`, "got no sizes"},
	{"LayerNorm", `{"normalized_shape":[65536,65536],"elementwise_affine":true}`, "at most the 1048576 elements"},
	{"GroupNorm", `{"num_groups":0,"num_channels":4}`, "groups or channels 0"},
	{"MaxPool2d", `{"kernel_size":[0,0]}`, "kernel size 0"},
	{"MaxPool2d", `{"kernel_size":[2,2],"stride":[1,1]}`, "dilation 0"},
	{"AvgPool2d", `{"kernel_size":[2,2],"stride":[1,1],"divisor_override":-1}`, "divisor -1"},
	{"AdaptiveAvgPool2d", `{"output_size":[-2,4]}`, "output size -2"},
	{"Embedding", `{"num_embeddings":4,"embedding_dim":2,"padding_idx":9}`, "padding index 9"},
	{"Dropout", `{"p":2}`, "probability 2"},
	{"Sequential", `[{"name":"ReLU"},{"name":"Linear","config":{"in_features":0}}]`, "1: layers: Linear: a parameter"},
	{"Sequential", `[{"name":"ModuleList","config":[]}]`, "0: a ModuleList"},
	{"Sequential", `[{"name":"LayerNorm","config":{"normalized_shape":[1000000],"eps":0,"elementwise_affine":true,"bias":true}},` +
		`{"name":"BatchNorm2d","config":{"num_features":50000,"affine":true}}]`, "at most the 48576 elements"},
	{"Sequential", strings.Repeat(`[{"name":"Sequential","config":`, 101) + "[]" + strings.Repeat("}]", 101), "nested more than 100 deep"},
	{"Sequential", `{}`, "cannot unmarshal"},
	{"ModuleList", `[{"name":"Nothing"}]`, "no module is registered"},
}

func TestHostileConfigs(t *testing.T) {
	taken := tensor.CPU.MemoryStats().Taken
	for _, c := range hostile {
		m, err := construct(c.name, []byte(c.config), &room{elements: 1 << 20})
		if err == nil {
			t.Errorf("%s %s: got %v, want an error", c.name, c.config, m)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: got %q, want it to contain %q", c.name, c.config, err, c.want)
		}
	}
	if got := tensor.CPU.MemoryStats().Taken - taken; got > 16<<20 {
		t.Errorf("refusing took %d bytes of memory", got)
	}
}

// Any config gives a module or an error.
func FuzzConstruct(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.name, []byte(c.config))
	}
	for _, make := range refLayers {
		name, config, err := describe(make(), "")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, config)
	}
	f.Fuzz(func(t *testing.T, name string, config []byte) {
		m, err := construct(name, config, &room{elements: 1 << 20})
		if (m == nil) == (err == nil) {
			t.Errorf("got %v and %v, want one of them", m, err)
		}
		if err == nil && NumParameters(m) > 2<<20 { // weights and biases
			t.Errorf("%d parameters", NumParameters(m))
		}
	})
}

// Containers of containers come back with their children.
func TestDescribeContainers(t *testing.T) {
	m := ModuleList{NewSequential(NewLinear(2, 3), ReLU{Inplace: true}), ModuleList{NewSequential()}, &ReLU{}}
	name, config, err := describe(m, "")
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"name":"Sequential","config":[{"name":"Linear","config":{"in_features":2,"out_features":3,"bias":true}},{"name":"ReLU","config":{"inplace":true}}]},` +
		`{"name":"ModuleList","config":[{"name":"Sequential","config":[]}]},{"name":"ReLU","config":{}}]`
	if string(config) != want {
		t.Errorf("got  %s\nwant %s", config, want)
	}
	again, err := construct(name, config, &room{elements: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if Summary(again) != Summary(m) {
		t.Errorf("made again it is\n%s, want\n%s", Summary(again), Summary(m))
	}
}

// A config that leaves eps and momentum out means PyTorch's defaults; 0 means 0.
func TestNormConfigDefaults(t *testing.T) {
	for config, want := range map[string]string{
		`{"num_features":3,"affine":true,"track_running_stats":true}`:                                   "BatchNorm2d(3)",
		`{"num_features":3,"eps":0.00001,"momentum":0.1,"affine":true,"track_running_stats":true}`:      "BatchNorm2d(3)",
		`{"num_features":3,"eps":0,"momentum":0,"affine":true,"track_running_stats":true}`:              "BatchNorm2d(3, eps 0, momentum 0)",
		`{"num_features":3,"momentum":-0.5,"cumulative":true,"affine":true,"track_running_stats":true}`: "BatchNorm2d(3, cumulative)",
		`{"num_features":3,"eps":0.001,"momentum":-0.5,"affine":false,"track_running_stats":true}`:      "BatchNorm2d(3, eps 0.001, momentum -0.5, no affine)",
		`{"num_features":3,"eps":0.00001,"momentum":0.1,"affine":true,"track_running_stats":false}`:     "BatchNorm2d(3, no stats)",
	} {
		m, err := construct("BatchNorm2d", []byte(config), &room{elements: 100})
		if err != nil {
			t.Errorf("%s: %v", config, err)
		} else if got := label(m); got != want {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
}
