package optim_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

type T = tensor.Tensor

// Schedulers work with the optimizers, those that have momentum with OneCycleLR
// too.
var (
	_ = []sched.Optimizer{&optim.SGD{}, &optim.Adam{}, &optim.RMSprop{}, &optim.Adagrad{}}
	_ = []sched.MomentumSetter{&optim.SGD{}, &optim.Adam{}, &optim.RMSprop{}}
)

// stateful is what all optimizers are.
type stateful interface {
	optim.Optimizer
	State() (optim.State, iter.Seq2[string, *T])
	LoadState(optim.State, iter.Seq2[string, *T]) error
}

// run is what PyTorch gave in one type.
type run struct {
	After map[int][]float64    // the parameters after a step
	Norms []float64            // what clip_grad_norm_ returned
	State map[string][]float64 // after the last step
}

// reference is testdata/steps.json, made by testdata/make.py.
type reference struct {
	Shapes [][]int
	Params [][]float64
	Grads  [][][]float64
	Cases  []struct {
		Name             string
		Float64, Float32 run
	}
}

func load(t *testing.T) reference {
	t.Helper()
	return loadFrom(t, "steps.json")
}

func loadFrom(t *testing.T, name string) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// from makes a tensor, a scalar where there are no sizes.
func from(data []float64, shape []int, dtype tensor.DType) *T {
	x := tensor.From(data)
	if len(shape) == 0 {
		shape = []int{}
	}
	return x.Reshape(shape...).ToDType(dtype)
}

func (r reference) params(dtype tensor.DType) []*T {
	var ps []*T
	for i, v := range r.Params {
		ps = append(ps, from(v, r.Shapes[i], dtype).SetRequiresGrad(true))
	}
	return ps
}

// setGrads gives the parameters step's gradients, counted from 1.
func (r reference) setGrads(o optim.Optimizer, params []*T, step int) {
	o.ZeroGrad()
	for i, p := range params {
		if i != 1 || step != 3 && step != 4 {
			p.SetGrad(from(r.Grads[step-1][i], r.Shapes[i], p.DType()))
		}
	}
}

func flat(xs []*T) []float64 {
	var out []float64
	for _, x := range xs {
		out = append(out, x.Float64s()...)
	}
	return out
}

func sgd(f func(o *optim.SGD)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewSGD(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func adam(f func(o *optim.Adam)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewAdam(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func adamW(f func(o *optim.Adam)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewAdamW(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func rmsprop(f func(o *optim.RMSprop)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewRMSprop(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

func adagrad(f func(o *optim.Adagrad)) func(ps []*T) stateful {
	return func(ps []*T) stateful {
		o := optim.NewAdagrad(ps[:2], 0.1)
		o.Groups = append(o.Groups, optim.Group{Params: ps[2:], LR: 0.05})
		f(o)
		return o
	}
}

// makers has the optimizers of testdata/make.py by name.
var makers = map[string]func(ps []*T) stateful{
	"SGD":          sgd(func(o *optim.SGD) {}),
	"SGD decay":    sgd(func(o *optim.SGD) { o.WeightDecay = 0.1 }),
	"SGD maximize": sgd(func(o *optim.SGD) { o.Maximize, o.WeightDecay = true, 0.1 }),
	"SGD momentum": sgd(func(o *optim.SGD) { o.Momentum = 0.9 }),
	"SGD dampening": sgd(func(o *optim.SGD) {
		o.Momentum, o.Dampening, o.WeightDecay = 0.9, 0.3, 0.1
	}),
	"SGD nesterov": sgd(func(o *optim.SGD) { o.Momentum, o.Nesterov = 0.9, true }),
	"SGD groups": sgd(func(o *optim.SGD) {
		o.Momentum, o.WeightDecay = 0.9, 0.1
		o.Groups[1].WeightDecay, o.Groups[1].Momentum = new(0.2), new(0.5)
	}),
	"SGD clip norm":  sgd(func(o *optim.SGD) {}),
	"SGD clip value": sgd(func(o *optim.SGD) {}),
	"Adam":           adam(func(o *optim.Adam) {}),
	"Adam options": adam(func(o *optim.Adam) {
		o.Betas, o.Eps, o.WeightDecay = [2]float64{0.5, 0.9}, 1e-3, 0.1
	}),
	"Adam beta 0":   adam(func(o *optim.Adam) { o.Betas = [2]float64{0, 0.9} }),
	"Adam amsgrad":  adam(func(o *optim.Adam) { o.Betas, o.AMSGrad = [2]float64{0.9, 0.5}, true }),
	"Adam maximize": adam(func(o *optim.Adam) { o.Maximize, o.AMSGrad, o.WeightDecay = true, true, 0.1 }),
	"Adam groups": adam(func(o *optim.Adam) {
		o.WeightDecay = 0.1
		o.Groups[1].WeightDecay, o.Groups[1].Betas = new(0.0), &[2]float64{0.8, 0.9}
	}),
	"AdamW": adamW(func(o *optim.Adam) {}),
	"AdamW options": adamW(func(o *optim.Adam) {
		o.WeightDecay, o.AMSGrad, o.Betas = 0.2, true, [2]float64{0.5, 0.9}
	}),
	"RMSprop": rmsprop(func(o *optim.RMSprop) {}),
	"RMSprop options": rmsprop(func(o *optim.RMSprop) {
		o.Alpha, o.Eps, o.WeightDecay = 0.9, 1e-3, 0.1
	}),
	"RMSprop momentum": rmsprop(func(o *optim.RMSprop) { o.Momentum = 0.9 }),
	"RMSprop centered": rmsprop(func(o *optim.RMSprop) { o.Centered, o.Alpha, o.Eps = true, 0.9, 1e-2 }),
	"RMSprop all": rmsprop(func(o *optim.RMSprop) {
		o.Centered, o.Momentum, o.Alpha, o.Eps, o.WeightDecay, o.Maximize = true, 0.5, 0.8, 1e-2, 0.1, true
	}),
	"Adagrad": adagrad(func(o *optim.Adagrad) {}),
	"Adagrad options": adagrad(func(o *optim.Adagrad) {
		o.LRDecay, o.WeightDecay, o.Eps = 0.1, 0.1, 1e-3
	}),
	"Adagrad initial": adagrad(func(o *optim.Adagrad) { o.InitialAccumulatorValue, o.Maximize = 0.5, true }),
}

// wantNumbers fails unless got is want, within tol relative to the largest.
func wantNumbers(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d numbers, want %d", what, len(got), len(want))
		return
	}
	scale := 0.0
	for _, v := range want {
		scale = max(scale, math.Abs(v))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol*scale) {
			t.Errorf("%s: number %d: got %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

func TestAgainstPyTorch(t *testing.T) {
	ref := load(t)
	if len(ref.Cases) != len(makers) {
		t.Errorf("testdata has %d cases, the test %d", len(ref.Cases), len(makers))
	}
	for _, c := range ref.Cases {
		maker := makers[c.Name]
		if maker == nil {
			t.Errorf("the test has no optimizer %q", c.Name)
			continue
		}
		for _, kind := range []struct {
			dtype tensor.DType
			want  run
			tol   float64
		}{{tensor.Float64, c.Float64, 1e-10}, {tensor.Float32, c.Float32, 1e-5}} {
			t.Run(c.Name+"/"+kind.dtype.String(), func(t *testing.T) {
				params := ref.params(kind.dtype)
				o := maker(params)
				for step := 1; step <= len(ref.Grads); step++ {
					ref.setGrads(o, params, step)
					switch c.Name {
					case "SGD clip norm":
						norm := optim.ClipGradNorm(params, 1.5)
						wantNumbers(t, fmt.Sprintf("norm of step %d", step), []float64{norm}, kind.want.Norms[step-1:step], kind.tol)
					case "SGD clip value":
						optim.ClipGradValue(params, 0.5)
					}
					o.Step()
					if want, ok := kind.want.After[step]; ok {
						wantNumbers(t, fmt.Sprintf("parameters after step %d", step), flat(params), want, kind.tol)
					}
				}
				state, tensors := o.State()
				got := maps.Collect(tensors)
				for key, want := range kind.want.State {
					number, name, _ := strings.Cut(key, ".")
					if name == "step" {
						if steps := state.Steps[number[0]-'0']; float64(steps) != want[0] {
							t.Errorf("got %d steps of parameter %s, want %v", steps, number, want[0])
						}
						continue
					}
					if got[key] == nil {
						t.Errorf("the state has no %s", key)
						continue
					}
					wantNumbers(t, key, got[key].Float64s(), want, kind.tol)
					if single := len(want) == 1 && got[key].DType() == tensor.Float64; got[key].DType() != kind.dtype && !single {
						t.Errorf("%s: got type %s, want %s", key, got[key].DType(), kind.dtype)
					}
					delete(got, key)
				}
				if len(got) > 0 {
					t.Errorf("the state has %v too", slices.Collect(maps.Keys(got)))
				}
			})
		}
	}
}

// Training goes on from a saved state as if it had not stopped.
func TestResume(t *testing.T) {
	ref := load(t)
	for name, maker := range makers {
		t.Run(name, func(t *testing.T) {
			for _, cut := range []int{0, 1, 3, 7} {
				params := ref.params(tensor.Float32)
				o := maker(params)
				for step := 1; step <= cut; step++ {
					ref.setGrads(o, params, step)
					o.Step()
				}
				o.SetLRs([]float64{0.02, 0.03})
				state, tensors := o.State()
				b, err := json.Marshal(state)
				if err != nil {
					t.Fatal(err)
				}
				var back optim.State
				if err := json.Unmarshal(b, &back); err != nil {
					t.Fatal(err)
				}
				copies := ref.params(tensor.Float32)
				for i, p := range copies {
					p.CopyFrom(params[i])
				}
				o2 := maker(copies)
				if err := o2.LoadState(back, tensors); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(o2.LRs(), o.LRs()) {
					t.Errorf("got rates %v, want %v", o2.LRs(), o.LRs())
				}
				for step := cut + 1; step <= len(ref.Grads); step++ {
					ref.setGrads(o, params, step)
					o.Step()
					ref.setGrads(o2, copies, step)
					o2.Step()
				}
				if got, want := flat(copies), flat(params); !slices.Equal(got, want) {
					t.Errorf("cut at %d: got %v, want %v", cut, got, want)
				}
			}
		})
	}
}

func TestLoadStateErrors(t *testing.T) {
	ref := load(t)
	params := ref.params(tensor.Float64)
	o := makers["Adam"](params)
	ref.setGrads(o, params, 1)
	o.Step()
	good, seq := o.State()
	tensors := maps.Collect(seq)
	without := maps.Clone(tensors)
	delete(without, "1.exp_avg_sq")
	with := func(key string, x *T) map[string]*T {
		m := maps.Clone(tensors)
		m[key] = x
		return m
	}
	changed := func(f func(s *optim.State)) optim.State {
		s := good
		s.Steps = slices.Clone(s.Steps)
		f(&s)
		return s
	}
	for _, c := range []struct {
		name    string
		state   optim.State
		tensors map[string]*T
		want    string
	}{
		{"another's", changed(func(s *optim.State) { s.Optimizer = "SGD" }), tensors, `the state is one of "SGD"`},
		{"groups", changed(func(s *optim.State) { s.Params = []int{3} }), tensors, "the state is of groups of [3] parameters, the optimizer has [2 1]"},
		{"rates", changed(func(s *optim.State) { s.LRs = nil }), tensors, "the state has 0 learning rates for 2 groups"},
		{"steps", changed(func(s *optim.State) { s.Steps = s.Steps[:1] }), tensors, "the state has 1 counts of steps for 3 parameters"},
		{"negative", changed(func(s *optim.State) { s.Steps[0] = -1 }), tensors, "the state says that parameter 0 has made -1 steps"},
		{"no end of steps", changed(func(s *optim.State) { s.Steps[1] = math.MaxInt }), tensors, "the state says that parameter 1 has made " + strconv.Itoa(math.MaxInt) + " steps, want 0 to "},
		{"a negative rate", changed(func(s *optim.State) { s.LRs = []float64{1, -1} }), tensors, "the state's learning rate of group 1 is -1, want a finite number from 0 on"},
		{"a rate that is no number", changed(func(s *optim.State) { s.LRs = []float64{math.NaN(), 1} }), tensors, "the state's learning rate of group 0 is NaN"},
		{"an infinite rate", changed(func(s *optim.State) { s.LRs = []float64{1, math.Inf(1)} }), tensors, "the state's learning rate of group 1 is +Inf"},
		{"nil", good, with("0.exp_avg", nil), `the state's "0.exp_avg" is nil`},
		{"missing", good, without, `the state has no tensor "1.exp_avg_sq"`},
		{"none", good, nil, `the state has no tensor "0.exp_avg"`},
		{"unknown", good, with("0.sum", params[0]), `the state has a tensor "0.sum"`},
		{"number", good, with("3.exp_avg", params[0]), `the state has a tensor "3.exp_avg"`},
		{"no number", good, with("exp_avg", params[0]), `the state has a tensor "exp_avg"`},
		{"shape", good, with("0.exp_avg", params[1]), `the state's "0.exp_avg" is float64 [5], want float64 [2 3]`},
		{"type", good, with("1.exp_avg", params[1].Detach().ToDType(tensor.Int64)), `the state's "1.exp_avg" is int64 [5], want float64 [5]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := o.LoadState(c.state, maps.All(c.tensors))
			if want := "optim: Adam: " + c.want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got error %v, want %q", err, want)
			}
			state, seq := o.State()
			now := maps.Collect(seq)
			if !slices.Equal(state.Steps, good.Steps) || !maps.Equal(now, tensors) {
				t.Errorf("got state %v after an error, want %v", state, good)
			}
		})
	}
	if err := makers["SGD"](params).LoadState(optim.State{Optimizer: "SGD", LRs: []float64{1, 2}, Params: []int{2, 1}, Steps: []int{3, 3, 3}}, nil); err != nil {
		t.Errorf("SGD without momentum, no tensors: got error %v", err)
	}
}

// Parameters of several types make the steps that they make alone.
func TestTypesBeside(t *testing.T) {
	for name, maker := range makers {
		for _, dtype := range []tensor.DType{tensor.Float64, tensor.BFloat16, tensor.Float16} {
			var results [2][]float64
			for k := range results {
				ref := load(t)
				params := ref.params(dtype)
				if k == 1 {
					friends.SetData(params[0], params[0].Detach().ToDType(tensor.Float32))
				}
				o := maker(params)
				for step := 1; step <= 2; step++ {
					ref.setGrads(o, params, step)
					o.Step()
				}
				results[k] = flat(params[1:])
			}
			if !slices.Equal(results[0], results[1]) {
				t.Errorf("%s: beside a float32 parameter those of %s become %v, want %v", name, dtype, results[1], results[0])
			}
		}
	}
}

func TestSkips(t *testing.T) {
	p, frozen, bare := tensor.Full(1, 2), tensor.Full(1, 2), tensor.Full(1, 2)
	for _, x := range []*T{p, frozen, bare} {
		x.SetRequiresGrad(true)
	}
	o := optim.NewAdam([]*T{p, frozen, bare}, 0.5)
	p.SetGrad(tensor.Full(1, 2))
	frozen.SetGrad(tensor.Full(1, 2))
	frozen.SetRequiresGrad(false)
	o.Step()
	if got, want := flat([]*T{frozen, bare}), []float64{1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: a frozen parameter and one without gradient stay", got, want)
	}
	if got := p.Float64s(); math.Abs(got[0]-0.5) > 1e-6 {
		t.Errorf("got %v, want 0.5", got[0])
	}
	state, tensors := o.State()
	if want := []int{1, 0, 0}; !slices.Equal(state.Steps, want) {
		t.Errorf("got steps %v, want %v", state.Steps, want)
	}
	if got := len(maps.Collect(tensors)); got != 2 {
		t.Errorf("got %d tensors in the state, want 2", got)
	}
	o.ZeroGrad()
	if p.Grad() != nil {
		t.Error("got a gradient after ZeroGrad, want none")
	}
	before := p.Float64s()
	o.Step()
	if got := p.Float64s(); !slices.Equal(got, before) {
		t.Errorf("got %v after a step without gradients, want %v", got, before)
	}
}

// A step makes the tape notice that a parameter has changed.
func TestStepCountsAsWrite(t *testing.T) {
	p := tensor.Full(2, 1).SetRequiresGrad(true)
	o := optim.NewSGD([]*T{p}, 0.5)
	loss := p.Mul(p)
	p.SetGrad(tensor.Full(1, 1))
	o.Step()
	if err := tensor.Try(func() { loss.Backward() }); err == nil || !strings.Contains(err.Error(), "changed in place") {
		t.Errorf("got %v, want an error that says that the parameter was changed in place", err)
	}
}

// State is kept as long as the parameter, whatever scope its gradient is from, and follows it to another type.
func TestStateLivesWithParameter(t *testing.T) {
	p := tensor.Full(1, 3).SetRequiresGrad(true)
	o := optim.NewSGD([]*T{p}, 0.5)
	o.Momentum = 0.5
	for range 2 {
		s := tensor.NewScope()
		p.SetGrad(tensor.Full(1, 3).In(s))
		o.Step()
		s.Close()
	}
	if got, want := p.Float64s()[0], 1-0.5-0.5*1.5; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	friends.SetData(p, p.Detach().ToDType(tensor.Float64))
	p.SetGrad(tensor.Full(1, 3).ToDType(tensor.Float64))
	o.Step()
	if got, want := p.Float64s()[0], 1-0.5-0.5*1.5-0.5*1.75; got != want {
		t.Errorf("after conversion: got %v, want %v", got, want)
	}

	s := tensor.NewScope()
	short := tensor.Full(1, 3).In(s).SetRequiresGrad(true)
	o = optim.NewSGD([]*T{short}, 0.5)
	o.Momentum = 0.5
	short.SetGrad(tensor.Full(1, 3))
	o.Step()
	_, tensors := o.State()
	for name, x := range tensors {
		if x.Scope() != s {
			t.Errorf("%s is not in its parameter's scope", name)
		}
	}
	s.Close()
}

// Parameters of two types are handed to the backend in two calls.
func TestMixedTypes(t *testing.T) {
	a, b, c := tensor.Full(1, 2), tensor.Full(1, 3).ToDType(tensor.Float64), tensor.Full(1, 4)
	params := []*T{a, b, c}
	o := optim.NewSGD(append([]*T(nil), params...), 0.25)
	for _, p := range params {
		p.SetRequiresGrad(true).SetGrad(tensor.FullLike(p, 3))
	}
	if got, want := optim.ClipGradNorm(params, 4.5), 9.0; got != want {
		t.Errorf("got norm %v, want %v", got, want)
	}
	o.Step()
	for i, v := range flat(params) {
		if want := 1 - 0.25*1.5; math.Abs(v-want) > 1e-6 {
			t.Errorf("number %d: got %v, want %v", i, v, want)
		}
	}
}

func TestClip(t *testing.T) {
	grad := func(v ...float64) *T {
		p := tensor.From(make([]float64, len(v))).SetRequiresGrad(true)
		p.SetGrad(tensor.From(v))
		return p
	}
	none := tensor.Zeros(3).SetRequiresGrad(true)
	small := grad(3, 4)
	if got := optim.ClipGradNorm([]*T{small, none}, 10); got != 5 {
		t.Errorf("got norm %v, want 5", got)
	}
	if got, want := small.Grad().Float64s(), []float64{3, 4}; !slices.Equal(got, want) {
		t.Errorf("within the norm: got %v, want %v", got, want)
	}
	if got := optim.ClipGradNorm([]*T{none}, 1); got != 0 {
		t.Errorf("no gradients: got norm %v, want 0", got)
	}
	bad := grad(math.Inf(1), 4)
	if got := optim.ClipGradNorm([]*T{bad}, 1); !math.IsInf(got, 1) {
		t.Errorf("got norm %v, want +Inf", got)
	}
	if got := bad.Grad().Float64s(); !math.IsNaN(got[0]) || got[1] != 0 {
		t.Errorf("infinite norm: got %v, want [NaN 0]", got)
	}
	for _, half := range []tensor.DType{tensor.Float16, tensor.BFloat16} { // the squares need more room than it has
		var ps []*T
		for _, n := range []int{1, 3} {
			p := tensor.Zeros(n).ToDType(half).SetRequiresGrad(true)
			p.SetGrad(tensor.Full(300, n).ToDType(half))
			ps = append(ps, p)
		}
		if got := optim.ClipGradNorm(ps, 1); got != 600 {
			t.Errorf("%s: got norm %v, want 600", half, got)
		}
		for _, p := range ps {
			if got, want := p.Grad().Float64s(), slices.Repeat([]float64{0.5}, p.Len()); !slices.Equal(got, want) {
				t.Errorf("%s: got %v, want %v", half, got, want)
			}
		}
	}
	for _, tt := range []struct {
		name string
		clip func(p *T)
		want []float64
	}{
		{"ClipGradNorm", func(p *T) { optim.ClipGradNorm([]*T{p}, 2.5) }, []float64{1.5, 2}},
		{"ClipGradValue", func(p *T) { optim.ClipGradValue([]*T{p}, 3.5) }, []float64{3, 3.5}},
		{"GradScaler", func(p *T) {
			s := optim.NewGradScaler()
			s.InitScale = 2
			o := optim.NewSGD([]*T{p}, 0)
			s.Scale(tensor.Full(1))
			s.Unscale(o)
		}, []float64{1.5, 2}},
	} { // a gradient that a graph was created with goes on as it is; the parameter's is another one
		p := tensor.From([]float64{1.5, 2}).SetRequiresGrad(true)
		p.Square().Sum().Backward(tensor.BackwardOpts{CreateGraph: true})
		g := p.Grad()
		tt.clip(p)
		near := func(a, b float64) bool { return math.Abs(a-b) < 1e-6 } // PyTorch's norm is 1e-6 larger
		if got := p.Grad().Float64s(); !slices.EqualFunc(got, tt.want, near) || p.Grad().RequiresGrad() {
			t.Errorf("%s with a history: got %v, want %v without one", tt.name, p.Grad(), tt.want)
		}
		p.ZeroGrad()
		g.Square().Sum().Backward() // of (2p)²
		if got, want := p.Grad().Float64s(), []float64{12, 16}; !slices.Equal(got, want) {
			t.Errorf("%s: the old gradient's gradient: got %v, want %v", tt.name, got, want)
		}
	}
	wide := grad(-3, 0.5, 3)
	optim.ClipGradValue([]*T{wide, none}, 1)
	if got, want := wide.Grad().Float64s(), []float64{-1, 0.5, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A schedule may leave a rate below 0 after its last step (OneCycleLR with straight
// lines); the state of then loads.
func TestStateAfterSchedule(t *testing.T) {
	o := optim.NewSGD([]*T{tensor.Zeros(2).SetRequiresGrad(true)}, 1)
	o.SetLRs([]float64{-0.01})
	state, tensors := o.State()
	if err := o.LoadState(state, tensors); err != nil || o.Groups[0].LR != 0 {
		t.Errorf("got rate %v and error %v, want 0", o.Groups[0].LR, err)
	}
}

func TestSetMomentum(t *testing.T) {
	ps := load(t).params(tensor.Float32)
	s := makers["SGD groups"](ps).(*optim.SGD)
	s.SetMomentum(0.7)
	if s.Momentum != 0.7 || *s.Groups[1].Momentum != 0.7 {
		t.Errorf("SGD: got %v and %v, want 0.7", s.Momentum, *s.Groups[1].Momentum)
	}
	a := makers["Adam groups"](ps).(*optim.Adam)
	a.SetMomentum(0.7)
	if want := [2]float64{0.7, 0.999}; a.Betas != want {
		t.Errorf("Adam: got %v, want %v", a.Betas, want)
	}
	if want := [2]float64{0.7, 0.9}; *a.Groups[1].Betas != want {
		t.Errorf("Adam: got %v, want %v", *a.Groups[1].Betas, want)
	}
	r := makers["RMSprop"](ps).(*optim.RMSprop)
	r.SetMomentum(0.7)
	if r.Momentum != 0.7 {
		t.Errorf("RMSprop: got %v, want 0.7", r.Momentum)
	}
}

// A parameter that is nil is named by what is given it.
func TestClipNilParameters(t *testing.T) {
	ps := []*tensor.Tensor{tensor.Ones(1), nil}
	for want, f := range map[string]func(){
		"tensor: ClipGradNorm: parameter 1 is nil":  func() { optim.ClipGradNorm(ps, 1) },
		"tensor: ClipGradValue: parameter 1 is nil": func() { optim.ClipGradValue(ps, 1) },
	} {
		if err := tensor.Try(f); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
