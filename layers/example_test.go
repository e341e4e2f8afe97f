package layers_test

import (
	"fmt"
	"github.com/wick-ml/wick/autograd"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

func ExampleNewSequential() {
	model := layers.NewSequential(
		layers.NewConv2d(3, 16, 3, layers.ConvOpts{Padding: 1}),
		layers.NewBatchNorm2d(16),
		layers.ReLU{Inplace: true},
		layers.NewMaxPool2d(2, 2),
		layers.Flatten{},
		layers.NewLinear(16*4*4, 10),
	)
	output := model.Forward(tensor.Zeros(2, 3, 8, 8))
	fmt.Println(output.Shape())
	// Output: [2 10]
}

func ExampleNewConv2d() {
	x := tensor.Zeros(1, 3, 32, 32)
	fmt.Println(layers.NewConv2d(3, 64, 3).Forward(x).Shape())
	fmt.Println(layers.NewConv2d(3, 64, 3, layers.ConvOpts{Stride: 2, Padding: 1}).Forward(x).Shape())
	fmt.Println(layers.NewConv2d(3, 64, 0, layers.ConvOpts{KernelHW: [2]int{1, 5}}).Forward(x).Shape())
	fmt.Println(layers.NewConv2d(3, 64, 4, layers.ConvOpts{Same: true}).Forward(x).Shape())
	// Output:
	// [1 64 30 30]
	// [1 64 16 16]
	// [1 64 32 28]
	// [1 64 32 32]
}

// Labels are class numbers; Backward leaves gradients in the parameters.
func ExampleCrossEntropyLoss() {
	model := layers.NewLinear(4, 3)
	for _, p := range layers.NamedParameters(model) {
		p.Zero()
	}
	criterion := layers.CrossEntropyLoss{}
	loss := criterion.Forward(model.Forward(tensor.Ones(2, 4)), tensor.From([]int64{0, 2}))
	loss.Backward()
	fmt.Printf("%.4f\n", loss.Item())
	fmt.Println(model.Weight.Grad().Shape())
	// Output:
	// 1.0986
	// [3 4]
}

func ExampleBatchNorm2d() {
	norm := layers.NewBatchNorm2d(1)
	norm.Momentum = 0.5 // PyTorch's default is 0.1
	norm.Forward(tensor.From([]float32{1, 3}, 2, 1, 1, 1))
	fmt.Println(norm.RunningMean.Item(), norm.RunningVar.Item(), norm.NumBatchesTracked.Item())
	norm.Momentum = 0 // the running statistics stay as they are
	norm.Forward(tensor.From([]float32{5, 9}, 2, 1, 1, 1))
	fmt.Println(norm.RunningMean.Item())
	norm.Cumulative = true // each batch counts as much as any before it
	norm.Forward(tensor.From([]float32{6, 8}, 2, 1, 1, 1))
	fmt.Println(norm.RunningMean.Item())
	// Output:
	// 1 1.5 1
	// 1
	// 3
}

func ExampleStateDict() {
	model := layers.NewSequential(layers.NewConv2d(1, 2, 3), layers.NewBatchNorm2d(2))
	for key, t := range layers.StateDict(model) {
		fmt.Println(key, t.Shape())
	}
	// Output:
	// 0.weight [2 1 3 3]
	// 0.bias [2]
	// 1.weight [2]
	// 1.bias [2]
	// 1.running_mean [2]
	// 1.running_var [2]
	// 1.num_batches_tracked []
}

// Frozen layers keep their weights, whatever the optimizer does.
func ExampleSetRequiresGrad() {
	features, classifier := layers.NewLinear(8, 4), layers.NewLinear(4, 2)
	model := layers.NewSequential(features, layers.ReLU{}, classifier)
	layers.SetRequiresGrad(features, false)
	model.Forward(tensor.Ones(1, 8)).Sum().Backward()
	fmt.Println(features.Weight.Grad() == nil, classifier.Weight.Grad() == nil)
	// Output: true false
}

func ExampleSummary() {
	model := layers.NewSequential(
		layers.NewConv2d(3, 64, 3, layers.ConvOpts{Padding: 1}),
		layers.ReLU{Inplace: true},
		layers.Flatten{},
		layers.NewLinear(64*32*32, 10),
	)
	fmt.Print(layers.Summary(model))
	// Output:
	// path  layer                               parameters                    elements
	// ────  ──────────────────────────────────  ────────────────────────────  ────────
	//       Sequential
	// 0     Conv2d(3, 64, kernel 3, padding 1)  weight [64 3 3 3], bias [64]     1,792
	// 1     ReLU(inplace)
	// 2     Flatten
	// 3     Linear(65536, 10)                   weight [10 65536], bias [10]   655,370
	//
	// 657,162 parameters (2.6 MB): 657,162 trainable, 0 frozen
}

// With an input the table has the results' shapes, and what a pass costs.
func ExampleSummary_input() {
	model := layers.NewSequential(
		layers.NewConv2d(3, 64, 3, layers.ConvOpts{Padding: 1}),
		layers.ReLU{Inplace: true},
		layers.Flatten{},
		layers.NewLinear(64*32*32, 10),
	)
	fmt.Print(layers.Summary(model, tensor.Zeros(16, 3, 32, 32)))
	// Output:
	// path  layer                               parameters                    elements  result         multiply-adds
	// ────  ──────────────────────────────────  ────────────────────────────  ────────  ─────────────  ─────────────
	//       Sequential                                                                  [16 10]
	// 0     Conv2d(3, 64, kernel 3, padding 1)  weight [64 3 3 3], bias [64]     1,792  [16 64 32 32]     29,360,128
	// 1     ReLU(inplace)                                                               [16 64 32 32]
	// 2     Flatten                                                                     [16 65536]
	// 3     Linear(65536, 10)                   weight [10 65536], bias [10]   655,370  [16 10]           10,485,920
	//
	// 657,162 parameters (2.6 MB): 657,162 trainable, 0 frozen
	// 39,846,048 multiply-adds for the input [16 3 32 32]
	// 9.6 MB for a training step, about: input 0.2 MB, parameters 2.6 MB, gradients 2.6 MB, activations 4.2 MB
}

// A Trace tells what runs where, here in the forward pass.
func ExampleTrace() {
	model := layers.NewSequential(
		layers.NewLinear(4, 3),
		layers.NewSequential(layers.ReLU{}, layers.NewLinear(3, 2)),
	)
	trace := layers.NewTrace(model)
	trace.OnForward = func(at layers.Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
		fmt.Println(at, op.Name(), out.Shape())
	}
	output := model.Forward(tensor.Ones(5, 4).Watch(trace))
	output.Sum() // not in a layer
	// Output:
	// 0 Linear [5 3]
	// 1.0 ReLU [5 3]
	// 1.1 Linear [5 2]
	// after 1 Sum []
}

func ExampleTrain() {
	dropout := layers.NewDropout(1)
	model := layers.NewSequential(dropout)
	x := tensor.Ones(3)
	fmt.Println(dropout.Training(), model.Forward(x).Floats())
	layers.Eval(model)
	fmt.Println(dropout.Training(), model.Forward(x).Floats())
	layers.Train(model)
	fmt.Println(dropout.Training(), model.Forward(x).Floats())
	// Output:
	// true [0 0 0]
	// false [1 1 1]
	// true [0 0 0]
}

// The indices of a maximum find it again.
func ExampleMaxPool2d_ForwardWithIndices() {
	x := tensor.From([]float32{1, 5, 2, 0, 3, 4, 8, 6}, 1, 1, 2, 4)
	values, indices := layers.NewMaxPool2d(2, 2).ForwardWithIndices(x)
	fmt.Println(values.View(-1), indices.View(-1), x.Flatten(2).Gather(2, indices.Flatten(2)).View(-1))
	// Output: tensor([5., 8.]) tensor([1, 6]) tensor([5., 8.])
}
