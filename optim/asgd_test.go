package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
)

func asgd(f func(o *optim.ASGD)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewASGD(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"ASGD": asgd(func(o *optim.ASGD) {}),
		"ASGD options": asgd(func(o *optim.ASGD) {
			o.Lambda, o.Alpha, o.T0, o.WeightDecay, o.Maximize = 0.1, 0.5, 3, 0.1, true
		}),
		"ASGD groups": asgd(func(o *optim.ASGD) { o.T0, o.Groups[1].WeightDecay = 5, new(0.2) }),
	})
}
