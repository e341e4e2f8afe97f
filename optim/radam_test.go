package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
)

var _ sched.MomentumSetter = (*optim.RAdam)(nil)

func radam(f func(o *optim.RAdam)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewRAdam(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"RAdam":           radam(func(o *optim.RAdam) {}),
		"RAdam options":   radam(func(o *optim.RAdam) { o.Betas, o.Eps, o.WeightDecay = [2]float64{0.5, 0.9}, 1e-3, 0.1 }),
		"RAdam decoupled": radam(func(o *optim.RAdam) { o.WeightDecay, o.DecoupledWeightDecay, o.Maximize = 0.1, true, true }),
		"RAdam groups": radam(func(o *optim.RAdam) {
			o.WeightDecay = 0.1
			o.Groups[1].WeightDecay, o.Groups[1].Betas = new(0.2), &[2]float64{0.8, 0.9}
		}),
	})
}
