package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
)

func rprop(f func(o *optim.Rprop)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewRprop(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"Rprop": rprop(func(o *optim.Rprop) {}),
		"Rprop options": rprop(func(o *optim.Rprop) {
			o.Etas, o.StepSizes, o.Maximize = [2]float64{0.3, 2}, [2]float64{0.04, 0.3}, true
		}),
	})
}
