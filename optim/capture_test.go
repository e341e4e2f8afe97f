package optim

import (
	"fmt"
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
			o.WeightDecay, o.Dampening = 1, 0.5
			o.Groups[0].WeightDecay = new(0.5)
		}, true},
		{"another rule", func(o *SGD) { o.Maximize = true }, false},
		{"no decay", func(o *SGD) { o.WeightDecay = 0 }, false},
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
				friends.SetData(p, p.Detach().ToDType(tensor.Float64))
				p.ZeroGrad()
				p.Square().Sum().Backward()
			}
			o.Step()
		}, false},
	} {
		o := NewSGD([]*tensor.Tensor{param(), param()}, 0.1)
		o.Momentum, o.WeightDecay = 0.5, 0.1
		o.Groups = append(o.Groups, Group{Params: []*tensor.Tensor{param()}, LR: 0.2})
		first := fitsOf(o)
		o.Step()
		if first() {
			t.Errorf("%s: the first step fits, which made what is kept", row.name)
		}
		fits := fitsOf(o)
		o.Step()
		row.change(o)
		if got := fits(); got != row.want {
			t.Errorf("%s: the step fits: got %v, want %v", row.name, got, row.want)
		}
	}
}

// fitsOf is what the rules of the next step are told to ask later.
func fitsOf(o *SGD) func() bool {
	var all []*batch
	for i := range o.Groups {
		all = append(all, o.memory.batches(o, &o.Groups, i)...)
	}
	for _, b := range all {
		b.made = b.next()
	}
	same := o.memory.fits(&o.Groups)
	return func() bool {
		for _, b := range all {
			if !same() || !b.fits() {
				return false
			}
		}
		return true
	}
}

// TestBatchStep counts steps that are made without Step.
func TestBatchStep(t *testing.T) {
	o := NewAdam([]*tensor.Tensor{tensor.Ones(2).SetRequiresGrad(true), tensor.Ones(3).SetRequiresGrad(true)}, 0.1)
	for _, p := range o.Groups[0].Params {
		p.Square().Sum().Backward()
	}
	o.Step()
	b := o.memory.batches(o, &o.Groups, 0)[0]
	for _, want := range []int{2, 3, 4} {
		next := b.next()
		if next.n != want || b.next().n != want {
			t.Errorf("next comes step %d, want %d until it is counted", next.n, want)
		}
		b.count(next)
	}
	if state, _ := o.State(); !slices.Equal(state.Steps, []int{4, 4}) {
		t.Errorf("the state has steps %v, want 4 for both parameters", state.Steps)
	}
	o.Groups[0].LR = -1
	err := tensor.Try(func() { b.next() })
	if want := "tensor: Adam.Step: LR of group 0 is -1, want a finite number from 0 on"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestKernels holds the kernels of SGD and Adam against their rules, bit for bit: with all
// settings, in all types.
func TestKernels(t *testing.T) {
	bools := []bool{false, true}
	var rows []func(ps []*tensor.Tensor) (Optimizer, *memory)
	for _, nesterov := range bools {
		for _, maximize := range bools {
			for _, decay := range []float64{0, 0.1} {
				for _, damp := range []float64{0, 0.3} {
					for _, momentum := range []float64{0, 0.9} {
						if nesterov && (damp != 0 || momentum == 0) {
							continue
						}
						rows = append(rows, func(ps []*tensor.Tensor) (Optimizer, *memory) {
							o := NewSGD(ps, 0.1)
							o.Momentum, o.Nesterov, o.Maximize, o.WeightDecay, o.Dampening = momentum, nesterov, maximize, decay, damp
							return o, &o.memory
						})
					}
				}
				for _, amsgrad := range bools {
					for _, betas := range [][2]float64{{0.9, 0.999}, {0.3, 0.5}, {0, 0}} {
						rows = append(rows, func(ps []*tensor.Tensor) (Optimizer, *memory) {
							o := NewAdam(ps, 0.1)
							o.DecoupledWeightDecay, o.Maximize, o.WeightDecay, o.AMSGrad, o.Betas = nesterov, maximize, decay, amsgrad, betas
							return o, &o.memory
						})
					}
				}
			}
		}
	}
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.BFloat16, tensor.Float16} {
		for _, row := range rows {
			var results [2]string
			var used [2]int
			for k := range results {
				g := tensor.NewGenerator(1)
				var ps []*tensor.Tensor
				for _, n := range []int{1, 7, 700} {
					ps = append(ps, g.Randn(n).ToDType(dtype).SetRequiresGrad(true))
				}
				o, m := row(ps)
				m.plain = k == 0
				for range 4 {
					for _, p := range ps {
						p.SetGrad(g.Randn(p.Len()).ToDType(dtype))
					}
					o.Step()
				}
				for _, p := range ps {
					results[k] += fmt.Sprint(p.Raw())
					for _, kept := range m.slots[p].kept {
						if kept != nil {
							used[k]++
							results[k] += fmt.Sprint(kept.Raw())
						}
					}
				}
			}
			o, _ := row([]*tensor.Tensor{tensor.Ones(1).SetRequiresGrad(true)})
			if results[0] != results[1] || used[0] != used[1] {
				name, settings := o.(Configurer).Config()
				t.Errorf("%s, %s %s: the kernel gives other bits than the rule", dtype, name, settings)
			}
		}
	}
}
