package optim_test

import (
	"maps"

	"github.com/wick-ml/wick/optim"
)

func adadelta(f func(o *optim.Adadelta)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewAdadelta(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func init() {
	maps.Copy(makers, map[string]func(ps []*T) stateful{
		"Adadelta":         adadelta(func(o *optim.Adadelta) { o.Groups[0].LR = 1 }),
		"Adadelta options": adadelta(func(o *optim.Adadelta) { o.Rho, o.Eps, o.WeightDecay = 0.5, 1e-3, 0.1 }),
		"Adadelta groups":  adadelta(func(o *optim.Adadelta) { o.Maximize, o.Groups[1].WeightDecay = true, new(0.2) }),
	})
}
