package optim

import (
	"slices"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// TestFits changes what a captured step depends on, and what it does not.
func TestFits(t *testing.T) {
	param := func() *tensor.Tensor {
		p := tensor.Ones(2).SetRequiresGrad(true)
		p.Square().Sum().Backward()
		return p
	}
	for _, row := range []struct {
		name   string
		change func(o *SGD)
		want   bool
	}{
		{"nothing", func(o *SGD) {}, true},
		{"numbers", func(o *SGD) {
			o.SetLRs([]float64{1, 2})
			o.WeightDecay, o.Dampening, o.Maximize = 1, 0.5, true
			o.Groups[0].WeightDecay = new(0.5)
		}, true},
		{"a step", func(o *SGD) { o.Step() }, true},
		{"gradients", func(o *SGD) { o.ZeroGrad() }, true},
		{"more momentum", func(o *SGD) { o.SetMomentum(0.9) }, true},
		{"no momentum", func(o *SGD) { o.SetMomentum(0) }, false},
		{"no momentum of one group", func(o *SGD) { o.Groups[1].Momentum = new(0.0) }, false},
		{"a frozen parameter", func(o *SGD) { o.Groups[1].Params[0].SetRequiresGrad(false) }, false},
		{"another parameter", func(o *SGD) { o.Groups[0].Params[1] = param() }, false},
		{"one parameter more", func(o *SGD) { o.Groups[0].Params = append(o.Groups[0].Params, param()) }, false},
		{"a group more", func(o *SGD) { o.Groups = append(o.Groups, Group{Params: []*tensor.Tensor{param()}}) }, false},
		{"a state that is loaded", func(o *SGD) {
			state, tensors := o.State()
			if err := o.LoadState(state, tensors); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"a state of another type", func(o *SGD) {
			for _, p := range o.Groups[0].Params {
				p.SetData(p.Detach().ToDType(tensor.Float64))
				p.ZeroGrad()
				p.Square().Sum().Backward()
			}
			o.Step()
		}, false},
	} {
		o := NewSGD([]*tensor.Tensor{param(), param()}, 0.1)
		o.Momentum = 0.5
		o.Groups = append(o.Groups, Group{Params: []*tensor.Tensor{param()}, LR: 0.2})
		form := func(g *Group) [2]bool { return [2]bool{or(g.Momentum, o.Momentum) != 0} }
		first := o.memory.fits(&o.Groups, form)
		o.Step()
		if first() {
			t.Errorf("%s: the first step fits, which made what is kept", row.name)
		}
		fits := o.memory.fits(&o.Groups, form)
		o.Step()
		row.change(o)
		if got := fits(); got != row.want {
			t.Errorf("%s: the step fits: got %v, want %v", row.name, got, row.want)
		}
	}
}

// TestBatchStep counts steps that are made without Step.
func TestBatchStep(t *testing.T) {
	o := NewAdam([]*tensor.Tensor{tensor.Ones(2).SetRequiresGrad(true), tensor.Ones(3).SetRequiresGrad(true)}, 0.1)
	for _, p := range o.Groups[0].Params {
		p.Square().Sum().Backward()
	}
	o.Step()
	b := o.memory.batches(o.Groups[0], func(s *slot) int { return s.steps })[0]
	if got := []int{b.step(), b.step()}; !slices.Equal(got, []int{3, 4}) {
		t.Errorf("after two steps come %v, want 3 and 4", got)
	}
	if state, _ := o.State(); !slices.Equal(state.Steps, []int{4, 4}) {
		t.Errorf("the state has steps %v, want 4 for both parameters", state.Steps)
	}
	o.Groups[0].LR = -1
	err := tensor.Try(func() { o.numbers("Adam.Step", 0) })
	if want := "tensor: Adam.Step: LR of group 0 is -1, want a finite number from 0 on"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
