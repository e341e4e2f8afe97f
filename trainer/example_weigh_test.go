package trainer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// masked is the mean of the squares of those differences whose target is not NaN.
type masked struct{}

func (masked) Forward(output, target *tensor.Tensor) *tensor.Tensor {
	known := target.Eq(target)
	d := output.Sub(tensor.Where(known, target, output.Detach()))
	return d.Mul(d).Sum().Div(known.Sum().ToDType(tensor.Float32))
}

func (masked) Terms(_, target *tensor.Tensor) layers.Terms {
	return layers.Terms{N: target.Len(), Counted: target.Eq(target)}
}

// A loss of one's own that does not count everything says so, and an epoch's loss is
// the mean of what it counts.
func ExampleWeigher() {
	target := tensor.From([]float32{float32(math.NaN()), 1, 1, 5}).View(4, 1)
	set, err := datasets.NewTensors(tensor.Zeros(4, 2), target)
	if err != nil {
		fmt.Println(err)
		return
	}
	model := layers.NewLinear(2, 1)
	model.Bias.Fill(0)
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 2}
	result, err := trainer.Fit(context.Background(), trainer.Config{
		Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0), Loss: masked{}, Train: loader, Epochs: 1,
	})
	fmt.Println(result.History[0].TrainLoss, err) // (1 + 1 + 25) / 3
	// Output: 9 <nil>
}

func ExamplePanicError() {
	set, err := datasets.NewTensors(tensor.Zeros(4, 2), tensor.Zeros(4, 3))
	if err != nil {
		fmt.Println(err)
		return
	}
	model := layers.NewLinear(2, 1)
	_, err = trainer.Fit(context.Background(), trainer.Config{
		Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0.1), Loss: layers.MSELoss{}, Epochs: 1,
		Train: &datasets.DataLoader{Dataset: set, BatchSize: 2},
	})
	var p *trainer.PanicError
	if errors.As(err, &p) {
		fmt.Println(p.During)
		fmt.Println(p.Err)
		fmt.Println(strings.Contains(string(p.Stack), "MSELoss"))
	}
	// Output:
	// epoch 1, batch 1
	// tensor: MSELoss: the input is [2 1], the target [2 3], want one shape
	// true
}

func ExampleExtractModel() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	checkpoint, path := filepath.Join(dir, "best.safetensors"), filepath.Join(dir, "model.safetensors")
	model := layers.NewLinear(3, 2)
	snapshot := trainer.Snapshot{Model: model, Optimizer: optim.NewAdam(layers.Parameters(model), 0.1)}
	if err := snapshot.Save(checkpoint, trainer.Position{}); err != nil {
		fmt.Println(err)
		return
	}
	if err := trainer.ExtractModel(checkpoint, path); err != nil {
		fmt.Println(err)
		return
	}
	loaded, err := layers.Load[*layers.Linear](path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(loaded.Weight.Shape())
	// Output: [2 3]
}
