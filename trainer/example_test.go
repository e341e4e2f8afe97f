package trainer_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
	"github.com/wick-ml/wick/trainer/wandb"
)

func ExampleFit() {
	tensor.ManualSeed(1)
	set := datasets.NewShapes(datasets.ShapesOpts{Train: true})
	loader := &datasets.DataLoader{Dataset: datasets.Slice(set, 0, 200), BatchSize: 50, Shuffle: true}
	model := layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10))
	optimizer := optim.NewSGD(layers.Parameters(model), 0.01)
	result, err := trainer.Fit(context.Background(), trainer.Config{
		Model:     model,
		Optimizer: optimizer,
		Loss:      layers.CrossEntropyLoss{},
		Train:     loader,
		Epochs:    5,
		Callbacks: []trainer.Callback{trainer.ClipGradNorm(1), trainer.TimeLimit(time.Hour)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	first, last := result.History[0], result.History[4]
	fmt.Println(result.Epoch, result.Step, last.TrainLoss < first.TrainLoss)
	// Output: 5 20 true
}

// A run with all that a person looks at, and a callback of one's own, whose numbers
// TensorBoard and W&B get too.
func ExampleCallback() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	tensor.ManualSeed(1)
	set := datasets.NewShapes(datasets.ShapesOpts{})
	model := layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10))
	result, err := trainer.Fit(context.Background(), trainer.Config{
		Model:     model,
		Optimizer: optim.NewSGD(layers.Parameters(model), 0.01),
		Loss:      layers.CrossEntropyLoss{},
		Train:     &datasets.DataLoader{Dataset: datasets.Slice(set, 0, 200), BatchSize: 50, Shuffle: true},
		Test:      &datasets.DataLoader{Dataset: datasets.Slice(set, 200, 300), BatchSize: 50},
		Epochs:    2,
		Dir:       filepath.Join(dir, "first"),
		Callbacks: []trainer.Callback{
			trainer.Curves(),
			trainer.Predictions(set.Classes(), trainer.PredictionsOpts{}),
			trainer.LogSteps(2),
			trainer.TensorBoard(),
			trainer.WandB(wandb.Opts{Project: "shapes"}),
			{Name: "bias", Epoch: func(r *trainer.Run, m *trainer.Metrics) error {
				bias := layers.Parameters(r.Model)[1].Detach()
				r.AddScalars(map[string]float64{"bias/norm": bias.Norm(2).Item()})
				if m.TrainLoss > 100 {
					r.Warn(fmt.Errorf("epoch %d: the loss is %v", m.Epoch, m.TrainLoss))
				}
				return nil
			}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, missing := os.Stat(filepath.Join(dir, "first", "report.html"))
	fmt.Println(result.Epoch, result.Warnings, missing)
	// Output: 2 [] <nil>
}

func ExampleFindLR() {
	tensor.ManualSeed(1)
	set := datasets.NewShapes(datasets.ShapesOpts{})
	model := layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10))
	points, suggested, err := trainer.FindLR(context.Background(), trainer.Config{
		Model:     model,
		Optimizer: optim.NewSGD(layers.Parameters(model), 0.01),
		Loss:      layers.CrossEntropyLoss{},
		Train:     &datasets.DataLoader{Dataset: set, BatchSize: 20, Shuffle: true},
	}, trainer.FindLROpts{Steps: 50}) // with Dir it draws lr-finder.png there
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(points[0].LR, points[0].Raw > 1, points[0].Loss > 1, suggested > 0)
	// Output: 1e-07 true true true
}

func ExampleEMA() {
	model := layers.NewLinear(1, 1, layers.LinearOpts{NoBias: true})
	model.Weight.Fill(0)
	ema := trainer.NewEMA(model, 0.9)
	for range 3 {
		model.Weight.Fill(1) // a step of an optimizer
		ema.Update()
	}
	ema.Swap()
	fmt.Printf("%.3f\n", model.Weight.Item())
	ema.Swap()
	fmt.Printf("%.3f\n", model.Weight.Item())
	// Output:
	// 0.271
	// 1.000
}

func ExampleProgress() {
	progress := trainer.NewProgress(os.Stdout)
	defer progress.Close()
	for batch := 1; batch <= 100; batch++ {
		progress.Show(trainer.Status{Phase: "train", Epoch: 1, Epochs: 2, Batch: batch, Batches: 100, Loss: 2 / float64(batch), Accuracy: math.NaN(), LR: 0.1})
	}
	// Output: train  epoch 1/2  100/100  loss 0.0200  lr 0.1
}

// A loop written by hand saves its run after each epoch and goes on with it.
func ExampleSnapshot() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	train := func(epochs int) error {
		tensor.ManualSeed(1)
		images, labels := tensor.Randn(20, 4), tensor.RandInt(0, 3, 20)
		set, err := datasets.NewTensors(images, labels)
		if err != nil {
			return err
		}
		loader := &datasets.DataLoader{Dataset: set, BatchSize: 5, Shuffle: true}
		model := layers.NewLinear(4, 3)
		optimizer := optim.NewAdam(layers.Parameters(model), 0.1)
		scheduler := sched.NewStepLR(optimizer, 1, 0.5)

		run := &trainer.Snapshot{Model: model, Optimizer: optimizer, Scheduler: scheduler, Train: loader}
		path := dir + "/last.safetensors"
		var at trainer.Position
		if _, err := os.Stat(path); err == nil {
			if at, err = run.Load(path); err != nil {
				return err
			}
		}
		for epoch := at.Epoch; epoch < epochs; epoch++ {
			for x, y := range loader.All() {
				optimizer.ZeroGrad()
				layers.CrossEntropyLoss{}.Forward(model.Forward(x), y).Backward()
				optimizer.Step()
			}
			if err := loader.Err(); err != nil {
				return err
			}
			fmt.Printf("epoch %d with a rate of %v\n", epoch, optimizer.LRs()[0])
			scheduler.Step()
			if err := run.Save(path, trainer.Position{Epoch: epoch + 1}); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Println(train(2))
	fmt.Println(train(4)) // another day
	// Output:
	// epoch 0 with a rate of 0.1
	// epoch 1 with a rate of 0.05
	// <nil>
	// epoch 2 with a rate of 0.025
	// epoch 3 with a rate of 0.0125
	// <nil>
}

// A mean that is computed by hand divides by 0 where nothing is counted.
func ExampleNaNStop() {
	images := tensor.From([]float32{1, 2, 0, 4, 0, 0, 0, 0}, 4, 2)
	set, err := datasets.NewTensors(images, tensor.Ones(4, 1))
	if err != nil {
		fmt.Println(err)
		return
	}
	meanOfPositive := layers.Func(func(x *tensor.Tensor) *tensor.Tensor {
		counted := x.GtScalar(0).ToDType(tensor.Float32)
		return x.Mul(counted).SumKeepDim(1).Div(counted.SumKeepDim(1))
	})
	model := layers.NewSequential(meanOfPositive, layers.NewLinear(1, 1))
	_, err = trainer.Fit(context.Background(), trainer.Config{
		Model:     model,
		Optimizer: optim.NewSGD(layers.Parameters(model), 0.01),
		Loss:      layers.MSELoss{},
		Train:     &datasets.DataLoader{Dataset: set, BatchSize: 2},
		Epochs:    1,
		Callbacks: []trainer.Callback{trainer.NaNStop()},
	})
	fmt.Println(err)
	// Output: trainer: epoch 1, batch 2: the loss is NaN; it began in the forward pass, in Div of layer 0: its result [2 1] holds 2 NaN among 2 values; its input 1 [2 1] is 0 everywhere; its input 2 [2 1] is 0 everywhere; this step was not made: not a finite number
}
