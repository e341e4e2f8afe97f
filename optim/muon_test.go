package optim_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

var _ sched.MomentumSetter = (*optim.Muon)(nil)

func muon(ps []*T, f func(o *optim.Muon)) *optim.Muon {
	o := optim.NewMuon(ps[:2], 0.1)
	o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
	f(o)
	return o
}

var muons = map[string]func(o *optim.Muon){
	"Muon": func(o *optim.Muon) {},
	"Muon options": func(o *optim.Muon) {
		o.WeightDecay, o.Momentum, o.Nesterov, o.AdjustLRFn = 0, 0.5, false, optim.MatchRMSAdamW
	},
	"Muon coefficients": func(o *optim.Muon) {
		o.NSCoefficients, o.NSSteps, o.Eps, o.AdjustLRFn = [3]float64{2, -1.5, 0.5}, 8, 1e-3, optim.SpectralUnclamped
	},
	"Muon groups": func(o *optim.Muon) { o.Groups[1].WeightDecay, o.Groups[1].Momentum = new(0.2), new(0.8) },
}

// A sum in another order may round to another BFloat16.
func TestMuonAgainstPyTorch(t *testing.T) {
	ref := loadFrom(t, "muon.json")
	if len(ref.Cases) != len(muons) {
		t.Errorf("testdata has %d cases, the test %d", len(ref.Cases), len(muons))
	}
	for _, c := range ref.Cases {
		for dtype, want := range map[tensor.DType]run{tensor.Float64: c.Float64, tensor.Float32: c.Float32} {
			params := ref.params(dtype)
			o := muon(params, muons[c.Name])
			for step := 1; step <= len(ref.Grads); step++ {
				ref.setGrads(o, params, step)
				o.Step()
				if want, ok := want.After[step]; ok {
					wantNumbers(t, fmt.Sprintf("%s, %s: parameters after step %d", c.Name, dtype, step), flat(params), want, 1e-3)
				}
			}
			_, tensors := o.State()
			for key, x := range tensors {
				wantNumbers(t, c.Name+": "+key, x.Float64s(), want.State[key], map[tensor.DType]float64{tensor.Float64: 1e-10, tensor.Float32: 1e-5}[dtype])
			}
		}
	}
}

func TestMuonResumes(t *testing.T) {
	ref := loadFrom(t, "muon.json")
	params, copies := ref.params(tensor.Float32), ref.params(tensor.Float32)
	o, o2 := muon(params, muons["Muon groups"]), muon(copies, muons["Muon groups"])
	for step := 1; step <= 6; step++ {
		if step == 4 {
			for i, p := range copies {
				p.CopyFrom(params[i])
			}
			if err := o2.LoadState(o.State()); err != nil {
				t.Fatal(err)
			}
		}
		ref.setGrads(o, params, step)
		o.Step()
		if step >= 4 {
			ref.setGrads(o2, copies, step)
			o2.Step()
		}
	}
	if got, want := flat(copies), flat(params); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	state, tensors := o.State()
	if got := slices.Sorted(maps.Keys(maps.Collect(tensors))); state.Optimizer != "Muon" || !slices.Equal(got, []string{"0.momentum_buffer", "1.momentum_buffer", "2.momentum_buffer"}) {
		t.Errorf("got a state of %s with %v", state.Optimizer, got)
	}
}

func TestMuonArguments(t *testing.T) {
	matrix, vector := tensor.Zeros(2, 3).SetRequiresGrad(true), tensor.Zeros(3).SetRequiresGrad(true)
	matrix.SetGrad(tensor.Ones(2, 3))
	step := func(f func(o *optim.Muon)) func() {
		return func() {
			o := optim.NewMuon([]*T{matrix}, 1)
			f(o)
			o.Step()
		}
	}
	for want, f := range map[string]func(){
		"tensor: NewMuon: parameter 1 of group 0 is float32 [3], want a matrix; give others to NewAdamW": func() { optim.NewMuon([]*T{matrix, vector}, 1) },
		"tensor: Muon.Step: parameter 0 of group 1 is float32 [3], want a matrix; give others to NewAdamW": step(func(o *optim.Muon) {
			o.Groups = append(o.Groups, optim.Group{Params: []*T{vector}, LR: 1})
		}),
		"tensor: Muon.Step: Momentum is -1":       step(func(o *optim.Muon) { o.Momentum = -1 }),
		"tensor: Muon.Step: NSSteps is 100, want": step(func(o *optim.Muon) { o.NSSteps = 100 }),
		"tensor: Muon.Step: Eps is NaN":           step(func(o *optim.Muon) { o.Eps = math.NaN() }),
		`tensor: Muon.Step: AdjustLRFn is "x", want "original", "match_rms_adamw" or "spectral_unclamped"`: step(func(o *optim.Muon) { o.AdjustLRFn = "x" }),
		"tensor: Muon.Step: a group has Betas, which Muon does not know":                                   step(func(o *optim.Muon) { o.Groups[0].Betas = &[2]float64{} }),
	} {
		if err := tensor.Try(f); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if got := matrix.Float64s(); slices.Max(got) != 0 {
		t.Errorf("got a parameter %v after an error, want 0", got)
	}
}

// Matrices take Muon, biases AdamW.
func ExampleNewMuon() {
	weight, bias := tensor.Zeros(2, 2).SetRequiresGrad(true), tensor.Zeros(2).SetRequiresGrad(true)
	matrices := optim.NewMuon([]*tensor.Tensor{weight}, 0.1)
	others := optim.NewAdamW([]*tensor.Tensor{bias}, 0.001)
	x := tensor.From([]float32{1, 0, 0, 2}, 2, 2)
	for range 2 {
		matrices.ZeroGrad()
		others.ZeroGrad()
		tensor.Linear(x, weight, bias).SubScalar(1).Square().Sum().Backward()
		matrices.Step()
		others.Step()
	}
	fmt.Println(weight.Shape(), bias.Detach())
	// Output: [2 2] tensor([0.0020, 0.0020])
}
