package optim_test

import (
	"encoding/json"
	"maps"
	"math"
	"strings"
	"testing"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// Settings that do not fit are errors of the step, before anything has changed.
func TestSettings(t *testing.T) {
	p := tensor.Zeros(2).SetRequiresGrad(true)
	p.SetGrad(tensor.Ones(2))
	ps := []*T{p}
	for want, f := range map[string]func(){
		"Lion.Step: Betas are [0.9 1], want from 0 to less than 1": func() {
			o := optim.NewLion(ps, 1)
			o.Betas[1] = 1
			o.Step()
		},
		"Lion.Step: a group has Momentum, which Lion does not know": func() {
			o := optim.NewLion(ps, 1)
			o.Groups[0].Momentum = new(0.5)
			o.Step()
		},
		"NAdam.Step: MomentumDecay is NaN": func() {
			o := optim.NewNAdam(ps, 1)
			o.MomentumDecay = math.NaN()
			o.Step()
		},
		"RAdam.Step: Eps is -1": func() {
			o := optim.NewRAdam(ps, 1)
			o.Eps = -1
			o.Step()
		},
		"Adadelta.Step: Rho is 2, want from 0 to 1": func() {
			o := optim.NewAdadelta(ps, 1)
			o.Rho = 2
			o.Step()
		},
		"Adamax.Step: WeightDecay is +Inf": func() {
			o := optim.NewAdamax(ps, 1)
			o.WeightDecay = math.Inf(1)
			o.Step()
		},
		"ASGD.Step: T0 is NaN": func() {
			o := optim.NewASGD(ps, 1)
			o.T0 = math.NaN()
			o.Step()
		},
		"Rprop.Step: Etas are [1.5 2], want one between 0 and 1 and one above 1": func() {
			o := optim.NewRprop(ps, 1)
			o.Etas = [2]float64{1.5, 2}
			o.Step()
		},
		"Rprop.Step: StepSizes are [1 0.5]": func() {
			o := optim.NewRprop(ps, 1)
			o.StepSizes = [2]float64{1, 0.5}
			o.Step()
		},
		"Rprop.Step: a group has WeightDecay, which Rprop does not know": func() {
			o := optim.NewRprop(ps, 1)
			o.Groups[0].WeightDecay = new(0.1)
			o.Step()
		},
		"NewAdamax: the learning rate is -1":                    func() { optim.NewAdamax(ps, -1) },
		"Step: the optimizer was made without its constructor":  func() { (&optim.Lion{Groups: optim.Groups{{Params: ps, LR: 1}}}).Step() },
		"State: the optimizer was made without its constructor": func() { new(optim.NAdam).State() },
		// Also of a group whose parameters have no gradient.
		"NAdam.Step: LR of group 1 is -1": func() {
			o := optim.NewNAdam(ps, 1)
			o.Groups = append(o.Groups, optim.Group{LR: -1})
			o.Step()
		},
		"Adagrad.Step: Eps is -1": func() {
			o := optim.NewAdagrad([]*T{tensor.Zeros(2).SetRequiresGrad(true)}, 1)
			o.Eps = -1
			o.Step()
		},
	} {
		if err := tensor.Try(f); err == nil || !strings.HasPrefix(err.Error(), "tensor: "+want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if got := p.Float64s(); got[0] != 0 {
		t.Errorf("got a parameter %v after errors, want 0", got)
	}
}

// A number that is kept has to be in a state.
func TestStateNumbers(t *testing.T) {
	p := tensor.Zeros(2).SetRequiresGrad(true)
	p.SetGrad(tensor.Ones(2))
	o := optim.NewNAdam([]*T{p}, 0.1)
	o.Step()
	state, seq := o.State()
	tensors := maps.Collect(seq)
	if x := tensors["0.mu_product"]; x == nil || x.Dim() != 0 || math.Abs(x.Item()-0.9*(1-0.5*math.Pow(0.96, 0.004))) > 1e-15 {
		t.Errorf("got %v, want the first momentum", x)
	}
	for want, change := range map[string]func(m map[string]*T){
		`optim: NAdam: the state has no number "0.mu_product", though parameter 0 has made 1 steps`: func(m map[string]*T) { delete(m, "0.mu_product") },
		`optim: NAdam: the state's "0.mu_product" is float32 [2], want a single number`:             func(m map[string]*T) { m["0.mu_product"] = p.Detach() },
	} {
		m := maps.Clone(tensors)
		change(m)
		if err := o.LoadState(state, maps.All(m)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := o.LoadState(state, maps.All(tensors)); err != nil {
		t.Error(err)
	}
}

// Config has all exported settings, and no more.
func TestConfig(t *testing.T) {
	ps := []*T{tensor.Zeros(2, 2).SetRequiresGrad(true)}
	for want, o := range map[string]optim.Configurer{
		`SGD {"Momentum":0,"Dampening":0,"WeightDecay":0,"Nesterov":false,"Maximize":false}`:                                                              optim.NewSGD(ps, 1),
		`Adam {"Betas":[0.9,0.999],"Eps":1e-8,"WeightDecay":0.01,"DecoupledWeightDecay":true,"AMSGrad":false,"Maximize":false}`:                           optim.NewAdamW(ps, 1),
		`RMSprop {"Alpha":0.99,"Eps":1e-8,"WeightDecay":0,"Momentum":0,"Centered":false,"Maximize":false}`:                                                optim.NewRMSprop(ps, 1),
		`Lion {"Betas":[0.9,0.99],"WeightDecay":0,"Maximize":false}`:                                                                                      optim.NewLion(ps, 1),
		`Muon {"WeightDecay":0.1,"Momentum":0.95,"Nesterov":true,"NSCoefficients":[3.4445,-4.775,2.0315],"Eps":1e-7,"NSSteps":5,"AdjustLRFn":"original"}`: optim.NewMuon(ps, 1),
	} {
		name, settings := o.Config()
		if got := name + " " + string(settings); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	o := optim.NewSGD(ps, 1)
	o.Momentum = math.Inf(1)
	if _, settings := o.Config(); !json.Valid(settings) {
		t.Errorf("an infinite setting gives %s, want JSON", settings)
	}
}

func TestArguments(t *testing.T) {
	param := func() *T { return tensor.Zeros(2, 3).SetRequiresGrad(true) }
	p := param()
	friends.SetPath(p, "features.0.weight")
	ready := param()
	ready.SetGrad(tensor.Ones(2, 3))
	list := []*T{ready}
	nan := math.NaN()
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"tensor: NewSGD: got no parameters", func() { optim.NewSGD(nil, 1) }},
		{"tensor: NewAdamW: got no parameters", func() { optim.NewAdamW(nil, 1) }},
		{"tensor: NewRMSprop: the learning rate is +Inf", func() { optim.NewRMSprop(list, math.Inf(1)) }},
		{"tensor: NewAdagrad: the learning rate is NaN", func() { optim.NewAdagrad(list, nan) }},
		{"tensor: NewAdam: the learning rate is NaN", func() { optim.NewAdam(list, nan) }},
		{"tensor: NewAdamW: the learning rate is -1", func() { optim.NewAdamW(list, -1) }},
		{"tensor: NewSGD: parameter 1 of group 0 is nil", func() { optim.NewSGD([]*T{p, nil}, 1) }},
		{"tensor: NewRMSprop: parameter 1 of group 0, features.0.weight (float32 [2 3]), is listed twice", func() { optim.NewRMSprop([]*T{p, p}, 1) }},
		{"tensor: NewAdagrad: parameter 0 of group 0, float32 [2 3], is the result of MulScalar, want a leaf", func() {
			optim.NewAdagrad([]*T{param().MulScalar(2)}, 1)
		}},
		{"tensor: NewSGD: parameter 0 of group 0 is int64 [2], want a floating-point type", func() { optim.NewSGD([]*T{tensor.From([]int64{1, 2})}, 1) }},
		{"tensor: SGD.Step: parameter 0 of group 1, features.0.weight (float32 [2 3]), is listed twice", func() {
			o := optim.NewSGD([]*T{p}, 1)
			o.Groups = append(o.Groups, optim.Group{Params: []*T{p}})
			o.Step()
		}},
		{"tensor: SGD.Step: LR of group 0 is +Inf", func() {
			o := optim.NewSGD(list, 1)
			o.Groups[0].LR = math.Inf(1)
			o.Step()
		}},
		{"tensor: SGD.Step: Momentum is -1", func() {
			o := optim.NewSGD(list, 1)
			o.Momentum = -1
			o.Step()
		}},
		{"tensor: Step: the optimizer was made without its constructor", func() {
			(&optim.SGD{Groups: optim.Groups{{Params: list, LR: 1}}}).Step()
		}},
		{"tensor: Step: the optimizer was made without its constructor", func() {
			(&optim.Adam{Groups: optim.Groups{{Params: list, LR: 1}}}).Step()
		}},
		{"tensor: Step: the optimizer was made without its constructor", func() {
			(&optim.RMSprop{Groups: optim.Groups{{Params: list, LR: 1}}}).Step()
		}},
		{"tensor: Step: the optimizer was made without its constructor", func() {
			(&optim.Adagrad{Groups: optim.Groups{{Params: list, LR: 1}}}).Step()
		}},
		{"tensor: State: the optimizer was made without its constructor", func() { new(optim.Adam).State() }},
		{"tensor: LoadState: optim: the optimizer was made without its constructor", func() {
			if err := new(optim.SGD).LoadState(optim.State{}, nil); err != nil {
				panic(&tensor.Error{Op: "LoadState", Err: err})
			}
		}},
		{"tensor: SGD.Step: Nesterov is set with Momentum 0 and Dampening 0", func() {
			o := optim.NewSGD(list, 1)
			o.Nesterov = true
			o.Step()
		}},
		{"tensor: SGD.Step: a group has Betas", func() {
			o := optim.NewSGD(list, 1)
			o.Groups[0].Betas = &[2]float64{}
			o.Step()
		}},
		{"tensor: Adam.Step: Betas are [1 0.999]", func() {
			o := optim.NewAdam(list, 1)
			o.Betas[0] = 1
			o.Step()
		}},
		{"tensor: Adam.Step: Eps is NaN", func() {
			o := optim.NewAdam(list, 1)
			o.Eps = nan
			o.Step()
		}},
		{"tensor: Adam.Step: a group has Momentum", func() {
			o := optim.NewAdam(list, 1)
			o.Groups[0].Momentum = new(0.5)
			o.Step()
		}},
		{"tensor: Adam.Step: WeightDecay is -1", func() {
			o := optim.NewAdam(list, 1)
			o.Groups[0].WeightDecay = new(-1.0)
			o.Step()
		}},
		{"tensor: RMSprop.Step: Alpha is -1", func() {
			o := optim.NewRMSprop(list, 1)
			o.Alpha = -1
			o.Step()
		}},
		{"tensor: Adagrad.Step: LRDecay is NaN", func() {
			o := optim.NewAdagrad(list, 1)
			o.LRDecay = nan
			o.Step()
		}},
		{"tensor: SetLRs: got 2 learning rates, want 1", func() { optim.NewSGD(list, 1).SetLRs([]float64{1, 2}) }},
		{"tensor: ClipNorm: the limit is NaN", func() { optim.ClipGradNorm(list, nan) }},
		{"tensor: ClipValue: the limit is -1", func() { optim.ClipGradValue(list, -1) }},
	} {
		t.Run(c.want, func(t *testing.T) {
			err := tensor.Try(c.f)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			for _, v := range flat(list) {
				if v != 0 {
					t.Fatalf("got a parameter %v after an error, want 0", v)
				}
			}
		})
	}
}
