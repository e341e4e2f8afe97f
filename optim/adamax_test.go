package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
)

var _ sched.MomentumSetter = (*optim.Adamax)(nil)

func adamax(f func(o *optim.Adamax)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewAdamax(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"Adamax": adamax(func(o *optim.Adamax) {}),
		"Adamax options": adamax(func(o *optim.Adamax) {
			o.Betas, o.Eps, o.WeightDecay, o.Maximize = [2]float64{0.5, 0.9}, 1e-3, 0.1, true
		}),
		"Adamax groups": adamax(func(o *optim.Adamax) {
			o.WeightDecay = 0.1
			o.Groups[1].WeightDecay, o.Groups[1].Betas = new(0.2), &[2]float64{0.8, 0.9}
		}),
	})
}
