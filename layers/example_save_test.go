package layers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// Scale is a layer of one's own with a trainable factor for each feature.
type Scale struct {
	Factor *tensor.Tensor
}

// NewScale returns a Scale for n features.
func NewScale(n int) *Scale { return &Scale{tensor.Ones(n).SetRequiresGrad(true)} }

// Forward multiplies x's last dimension by the factors.
func (s *Scale) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Mul(s.Factor) }

// Parts lists the factor.
func (s *Scale) Parts() []layers.Part { return []layers.Part{layers.Param("factor", s.Factor)} }

// scaleConfig is what NewScale needs.
type scaleConfig struct {
	Features int `json:"features"`
}

// Config describes the architecture for Save.
func (s *Scale) Config() (name string, config []byte) {
	config, _ = json.Marshal(scaleConfig{s.Factor.Len()}) // an int can be written
	return "example.Scale", config
}

func init() {
	layers.Register("example.Scale", func(config []byte, elements int) (layers.Module, error) {
		var c scaleConfig
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, err
		}
		if c.Features < 1 || c.Features > elements { // the file may come from a stranger
			return nil, fmt.Errorf("example.Scale: got %d features, want 1 to %d", c.Features, elements)
		}
		return NewScale(c.Features), nil
	})
}

// A model type of one's own is saved whole once it has a Config and its
// constructor is registered.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "scale.safetensors")

	model := NewScale(2)
	model.Factor.CopyFrom(tensor.From([]float32{3, 5}))
	if err := layers.Save(path, model); err != nil {
		panic(err)
	}

	again, err := layers.Load[*Scale](path)
	if err != nil {
		panic(err)
	}
	fmt.Println(again.Forward(tensor.From([]float32{1, 10})).Floats())

	_, err = layers.Load[*layers.Sequential](path)
	fmt.Println(err != nil)
	// Output:
	// [3 50]
	// true
}

// Weights alone, also those of a PyTorch program's safetensors file, are read as
// a state dict.
func ExampleReadStateDict() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "weights.safetensors")
	if err := layers.SaveStateDict(path, NewScale(2)); err != nil {
		panic(err)
	}

	state, err := layers.ReadStateDict(path)
	if err != nil {
		panic(err)
	}
	for key, t := range state {
		fmt.Println(key, t.Shape())
	}
	model := layers.NewSequential(NewScale(2)) // its key is "0.factor"
	_, err = layers.LoadStateDict(model, state)
	fmt.Println(err)
	// Output:
	// factor [2]
	// layers: the state dict does not fit the model (*layers.Sequential): missing keys "0.factor"; unexpected keys "factor"
}

// A model that is part of the program, as //go:embed makes it, is read from memory.
func ExampleLoadFrom() {
	model := layers.NewSequential(layers.NewLinear(4, 8), layers.ReLU{}, layers.NewLinear(8, 2, layers.LinearOpts{NoBias: true}))
	var file bytes.Buffer
	if err := layers.SaveTo(&file, model); err != nil {
		panic(err)
	}
	again, err := layers.LoadFrom[*layers.Sequential](&file)
	fmt.Println(err)
	fmt.Println(again)
	// Output:
	// <nil>
	// Sequential(
	//   (0): Linear(in_features=4, out_features=8, bias=True)
	//   (1): ReLU()
	//   (2): Linear(in_features=8, out_features=2, bias=False)
	// )
}

func ExampleReadStateDictFrom() {
	model := layers.NewLinear(4, 2)
	var file bytes.Buffer
	if err := layers.SaveStateDictTo(&file, model); err != nil {
		panic(err)
	}
	state, err := layers.ReadStateDictFrom(&file)
	if err != nil {
		panic(err)
	}
	for key, t := range state {
		fmt.Println(key, t.Shape())
	}
	// Output:
	// weight [2 4]
	// bias [2]
}
