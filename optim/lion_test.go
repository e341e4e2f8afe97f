package optim_test

import (
	"fmt"
	"maps"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

var _ sched.MomentumSetter = (*optim.Lion)(nil)

func lion(f func(o *optim.Lion)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewLion(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"Lion":         lion(func(o *optim.Lion) {}),
		"Lion options": lion(func(o *optim.Lion) { o.Betas, o.WeightDecay = [2]float64{0.5, 0.8}, 0.1 }),
		"Lion groups": lion(func(o *optim.Lion) {
			o.Maximize = true
			o.Groups[1].WeightDecay, o.Groups[1].Betas = new(0.2), &[2]float64{0.8, 0.9}
		}),
	})
}

// Lion moves by the sign of a mean of gradients: by the learning rate, however steep it is.
func ExampleNewLion() {
	x := tensor.From([]float64{0, 1}).SetRequiresGrad(true)
	optimizer := optim.NewLion([]*tensor.Tensor{x}, 0.25)
	x.SetGrad(tensor.From([]float64{-1000, 0.001}))
	optimizer.Step()
	fmt.Println(x.Detach())
	// Output: tensor([0.2500, 0.7500], dtype=float64)
}
