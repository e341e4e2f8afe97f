package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
)

var _ sched.MomentumSetter = (*optim.NAdam)(nil)

func nadam(f func(o *optim.NAdam)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewNAdam(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"NAdam": nadam(func(o *optim.NAdam) {}),
		"NAdam options": nadam(func(o *optim.NAdam) {
			o.Betas, o.Eps, o.WeightDecay, o.MomentumDecay = [2]float64{0.5, 0.9}, 1e-3, 0.1, 0.1
		}),
		"NAdam decoupled": nadam(func(o *optim.NAdam) { o.WeightDecay, o.DecoupledWeightDecay, o.Maximize = 0.1, true, true }),
		"NAdam groups": nadam(func(o *optim.NAdam) {
			o.WeightDecay = 0.1
			o.Groups[1].WeightDecay, o.Groups[1].Betas = new(0.2), &[2]float64{0.8, 0.9}
		}),
	})
}
