package optim_test

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// The minimum of (x-3)².
func ExampleNewAdam() {
	x := tensor.From([]float64{0}).SetRequiresGrad(true)
	optimizer := optim.NewAdam([]*tensor.Tensor{x}, 0.1)
	for range 200 {
		optimizer.ZeroGrad()
		d := x.AddScalar(-3)
		loss := d.Mul(d)
		loss.Backward()
		optimizer.Step()
	}
	fmt.Printf("%.2f\n", x.Item())
	// Output: 3.00
}

func ExampleNewSGD() {
	x := tensor.From([]float64{0}).SetRequiresGrad(true)
	optimizer := optim.NewSGD([]*tensor.Tensor{x}, 0.1)
	optimizer.Momentum, optimizer.Nesterov = 0.5, true
	scheduler := sched.NewStepLR(optimizer, 10, 0.5)
	for range 30 {
		optimizer.ZeroGrad()
		d := x.AddScalar(-3)
		loss := d.Mul(d)
		loss.Backward()
		optimizer.Step()
		scheduler.Step()
	}
	fmt.Printf("%.2f %v\n", x.Item(), optimizer.LRs())
	// Output: 3.00 [0.0125]
}

// Weights decay, biases do not and learn faster.
func ExampleGroup() {
	weights := []*tensor.Tensor{tensor.Ones(2, 3).SetRequiresGrad(true)}
	biases := []*tensor.Tensor{tensor.Zeros(2).SetRequiresGrad(true)}
	optimizer := optim.NewAdamW(weights, 0.001)
	optimizer.Groups = append(optimizer.Groups, optim.Group{Params: biases, LR: 0.002, WeightDecay: new(0.0)})
	fmt.Println(optimizer.LRs())
	// Output: [0.001 0.002]
}

func ExampleClipGradNorm() {
	x := tensor.From([]float64{0, 0}).SetRequiresGrad(true)
	params := []*tensor.Tensor{x}
	optimizer := optim.NewSGD(params, 1)
	x.SetGrad(tensor.From([]float64{30, 40})) // what Backward left
	norm := optim.ClipGradNorm(params, 5)
	optimizer.Step()
	v := x.Float64s()
	fmt.Printf("%.1f: %.3f %.3f\n", norm, v[0], v[1])
	// Output: 50.0: -3.000 -4.000
}

// A state's numbers go through JSON; its tensors are written like a model's.
func ExampleState() {
	x := tensor.From([]float64{1, 2}).SetRequiresGrad(true)
	optimizer := optim.NewAdam([]*tensor.Tensor{x}, 0.1)
	x.SetGrad(tensor.From([]float64{1, -1}))
	optimizer.Step()

	state, tensors := optimizer.State()
	fmt.Println(state.Steps, state.LRs)
	for name, t := range tensors {
		fmt.Println(name, t.Shape())
	}

	resumed := optim.NewAdam([]*tensor.Tensor{x}, 0.1)
	if err := resumed.LoadState(state, tensors); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [1] [0.1]
	// 0.exp_avg [2]
	// 0.exp_avg_sq [2]
}

// In Float16 the gradient of a small loss would be 0. The first step of this run is
// one with an infinity, which is left out.
func ExampleGradScaler() {
	x := tensor.From([]float32{1}).SetRequiresGrad(true)
	optimizer := optim.NewSGD([]*tensor.Tensor{x}, 1e6)
	scaler := optim.NewGradScaler()
	for _, factor := range []float64{math.Inf(1), 1e-8} {
		optimizer.ZeroGrad()
		half := x.ToDType(tensor.Float16)
		loss := half.ToDType(tensor.Float32).MulScalar(factor).Sum()
		scaler.Scale(loss).Backward()
		made := scaler.Step(optimizer)
		scaler.Update()
		fmt.Printf("made: %t, x %.2f, scale %v\n", made, x.Item(), scaler.CurrentScale())
	}
	// Output:
	// made: false, x 1.00, scale 32768
	// made: true, x 0.99, scale 32768
}
