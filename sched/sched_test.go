package sched_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/wick-ml/wick/sched"
)

// rates is an optimizer that has rates and nothing else.
type rates struct{ lrs []float64 }

func (r *rates) LRs() []float64       { return r.lrs }
func (r *rates) SetLRs(lrs []float64) { r.lrs = lrs }

// sgd has momentum too.
type sgd struct {
	rates
	momentum float64
}

func (o *sgd) SetMomentum(m float64) { o.momentum = m }

// row is what an optimizer had at an epoch under PyTorch.
type row struct {
	LRs      []float64
	Momentum float64
	Best     string
	Bad      int
	Cooldown int
}

// reference is testdata/rates.json, made by testdata/make.py.
type reference struct {
	Base  []float64
	Cases []struct {
		Name     string
		Step, To []row
		Head     []int
	}
	Appended []struct {
		Name string
		Step []row
	}
	Metrics  []string
	Plateaus []struct {
		Name string
		Step []row
	}
}

func load(t *testing.T) reference {
	t.Helper()
	b, err := os.ReadFile("testdata/rates.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func cosine(epochs int, etaMin float64) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler {
		s := sched.NewCosineAnnealingLR(o, epochs)
		s.EtaMin = etaMin
		return s
	}
}

func multiStep(milestones []int, gamma float64) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewMultiStepLR(o, milestones, gamma) }
}

func step(size int, gamma float64) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewStepLR(o, size, gamma) }
}

func linear(start, end float64, epochs int) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewLinearLR(o, start, end, epochs) }
}

func constant(factor float64, epochs int) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewConstantLR(o, factor, epochs) }
}

func exponential(gamma float64) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewExponentialLR(o, gamma) }
}

func lambda(f ...func(int) float64) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewLambdaLR(o, f...) }
}

func oneCycle(steps int, opts sched.OneCycleOpts) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewOneCycleLR(o, 0.2, steps, opts) }
}

func sequential(milestones []int, makers ...func(sched.Optimizer) sched.Scheduler) func(sched.Optimizer) sched.Scheduler {
	return func(o sched.Optimizer) sched.Scheduler { return sched.NewSequentialLR(o, milestones, makers...) }
}

// makers has the schedulers of testdata/make.py by name.
var makers = map[string]func(sched.Optimizer) sched.Scheduler{
	"step":               step(3, 0.3),
	"step growing":       step(1, 1.25),
	"multistep":          multiStep([]int{2, 5, 6, 11}, 0.3),
	"multistep at 0":     multiStep([]int{0, 3}, 0.5),
	"multistep tutorial": multiStep([]int{75, 150}, 0.5),
	"exponential":        exponential(0.9),
	"constant":           constant(1.0/3, 5),
	"linear":             linear(1.0/3, 1, 5),
	"linear down":        linear(1, 0, 7),
	"cosine":             cosine(10, 0),
	"cosine eta":         cosine(50, 1e-4),
	"cosine 1":           cosine(1, 1e-4),
	"lambda":             lambda(func(e int) float64 { return math.Pow(0.95, float64(e)) }),
	"lambda each": lambda(func(e int) float64 { return float64(e / 3) },
		func(e int) float64 { return 1 / float64(1+e) }),
	"onecycle":        oneCycle(20, sched.OneCycleOpts{}),
	"onecycle adam":   oneCycle(33, sched.OneCycleOpts{}),
	"onecycle linear": oneCycle(21, sched.OneCycleOpts{MaxLRs: []float64{0.2, 0.5}, Linear: true, PctStart: 0.4}),
	"onecycle three": oneCycle(31, sched.OneCycleOpts{ThreePhase: true, PctStart: 0.25, DivFactor: 10, FinalDivFactor: 100,
		BaseMomentum: 0.8, MaxMomentum: 0.9}),
	"onecycle three linear": oneCycle(30, sched.OneCycleOpts{ThreePhase: true, Linear: true, NoMomentum: true}),
	"multistep twice":       multiStep([]int{0, 0, 3, 3, 3, 7}, 0.5),
	"sequential at 0":       sequential([]int{0, 5}, exponential(0.9), linear(0.1, 1, 4), step(2, 0.5)),
	"sequential twice":      sequential([]int{3, 3}, linear(0.5, 1, 3), exponential(0.5), step(2, 0.5)),
	"step long":             step(7, 0.97),
	"multistep long":        multiStep([]int{1, 2, 3, 100, 101, 299}, 0.7),
	"exponential long":      exponential(0.995),
	"constant 1":            constant(1, 1),
	"linear 1":              linear(1e-3, 0.5, 1),
	"linear long":           linear(1e-4, 1, 250),
	"cosine long":           cosine(300, 1e-5),
	"cosine 2":              cosine(2, 0),
	"onecycle long":         oneCycle(300, sched.OneCycleOpts{PctStart: 0.1}),
	"onecycle 1":            oneCycle(1, sched.OneCycleOpts{}),
	"onecycle 2":            oneCycle(2, sched.OneCycleOpts{PctStart: 0.4}),
	"onecycle 5 three":      oneCycle(5, sched.OneCycleOpts{ThreePhase: true, PctStart: 0.3}),
	"onecycle late":         oneCycle(12, sched.OneCycleOpts{PctStart: 1}),
	"sequential":            sequential([]int{4, 10}, linear(0.1, 1, 4), cosine(6, 0), exponential(0.5)),
}

// want fails unless the rates and the momentum are PyTorch's, to 1e-12, or to a bit of 1 where cosines cancel.
func want(t *testing.T, what string, o *sgd, want row) {
	t.Helper()
	same := func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b)+1e-16 }
	if !slices.EqualFunc(o.lrs, want.LRs, same) {
		t.Errorf("%s: got rates %v, want %v", what, o.lrs, want.LRs)
	}
	if !same(o.momentum, want.Momentum) {
		t.Errorf("%s: got momentum %v, want %v", what, o.momentum, want.Momentum)
	}
}

// newSGD makes an optimizer as testdata/make.py does.
func newSGD(base []float64, name string) *sgd {
	o := &sgd{rates{slices.Clone(base)}, 0.5}
	if name == "onecycle adam" {
		o.momentum = 0.9
	}
	return o
}

func TestAgainstPyTorch(t *testing.T) {
	ref := load(t)
	tested := map[string]bool{"chained": true}
	for _, c := range ref.Cases {
		maker := makers[c.Name]
		if maker == nil {
			continue
		}
		tested[c.Name] = true
		t.Run(c.Name+"/Step", func(t *testing.T) {
			o := newSGD(ref.Base, c.Name)
			s := maker(o)
			for i, w := range c.Step {
				if i > 0 {
					s.Step()
				}
				want(t, "epoch "+strconv.Itoa(i), o, w)
				if !slices.Equal(s.LastLR(), o.lrs) {
					t.Errorf("epoch %d: got LastLR %v, want %v", i, s.LastLR(), o.lrs)
				}
			}
		})
		t.Run(c.Name+"/StepTo", func(t *testing.T) {
			o := newSGD(ref.Base, c.Name)
			s := maker(o)
			if len(c.To) == 0 { // PyTorch's takes no epoch: StepTo is to give what Step gives
				for _, i := range c.Head {
					if i >= len(c.Step) {
						continue // a short cycle ends before
					}
					s.StepTo(i)
					want(t, "StepTo "+strconv.Itoa(i), o, c.Step[i])
				}
				return
			}
			for i, epoch := range c.Head {
				s.StepTo(epoch)
				want(t, "StepTo "+strconv.Itoa(epoch), o, c.To[i])
			}
			s.Step()
			want(t, "Step after StepTo", o, c.To[len(c.Head)])
		})
		t.Run(c.Name+"/resume", func(t *testing.T) {
			for cut := range c.Step {
				o := newSGD(ref.Base, c.Name)
				s := maker(o)
				for range cut {
					s.Step()
				}
				b, err := json.Marshal(s.State())
				if err != nil {
					t.Fatal(err)
				}
				var state sched.State
				if err := json.Unmarshal(b, &state); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(state, s.State()) {
					t.Fatalf("cut at %d: got state %v after JSON, want %v", cut, state, s.State())
				}
				o2 := newSGD(ref.Base, c.Name)
				s2 := maker(o2)
				if err := s2.LoadState(state); err != nil {
					t.Fatal(err)
				}
				for i := cut; ; i++ {
					if !slices.Equal(o2.lrs, o.lrs) || o2.momentum != o.momentum || !slices.Equal(s2.LastLR(), s.LastLR()) {
						t.Fatalf("cut at %d, epoch %d: got rates %v, last %v and momentum %v, want %v, %v and %v",
							cut, i, o2.lrs, s2.LastLR(), o2.momentum, o.lrs, s.LastLR(), o.momentum)
					}
					if i == len(c.Step)-1 {
						break
					}
					s.Step()
					s2.Step()
				}
			}
		})
	}
	for name := range makers {
		if !tested[name] {
			t.Errorf("testdata has no case %q", name)
		}
	}
	if len(tested) != len(ref.Cases) {
		t.Errorf("tested %d cases, testdata has %d", len(tested), len(ref.Cases))
	}
}

// Two schedulers on one optimizer multiply.
func TestChained(t *testing.T) {
	ref := load(t)
	c := ref.Cases[slices.IndexFunc(ref.Cases, func(c struct {
		Name     string
		Step, To []row
		Head     []int
	}) bool {
		return c.Name == "chained"
	})]
	o := newSGD(ref.Base, c.Name)
	a, b := linear(0.25, 1, 5)(o), multiStep([]int{3, 7}, 0.1)(o)
	for i, w := range c.Step {
		if i > 0 {
			a.Step()
			b.Step()
		}
		want(t, "epoch "+strconv.Itoa(i), o, w)
	}
}

// A group that is appended to the optimizer later is scheduled from the next step on,
// from the rate that it came with, as in PyTorch where that takes it.
func TestAppendedGroup(t *testing.T) {
	ref := load(t)
	for _, c := range ref.Appended {
		o := newSGD(ref.Base, c.Name)
		s := appended[c.Name](o)
		for i, w := range c.Step {
			if i == 3 {
				o.lrs = append(slices.Clone(o.lrs), 0.05)
			}
			if i > 0 {
				s.Step()
			}
			want(t, c.Name+", epoch "+strconv.Itoa(i), o, w)
		}
		state := s.State()
		if err := s.LoadState(state); err != nil || len(state.BaseLRs) != 3 || state.BaseLRs[2] != 0.05 {
			t.Errorf("%s: got base rates %v and error %v, want 0.05 for the last", c.Name, state.BaseLRs, err)
		}
	}
	if len(ref.Appended) != len(appended) {
		t.Errorf("testdata has %d cases, the test %d", len(ref.Appended), len(appended))
	}
	// Where PyTorch has no base rate, it is the one that the group came with.
	o := &rates{[]float64{1}}
	s := lambda(func(e int) float64 { return 1 / float64(e+1) })(o)
	sequence := sequential([]int{1}, constant(0.5, 2), exponential(0.5))(&rates{[]float64{1}})
	o.lrs = append(o.lrs, 6)
	s.Step()
	s.Step()
	if !slices.Equal(o.lrs, []float64{1. / 3, 2}) {
		t.Errorf("LambdaLR: got %v, want a third of 1 and 6", o.lrs)
	}
	if state := sequence.State(); sequence.LoadState(state) != nil {
		t.Errorf("SequentialLR: its state %v does not load", state)
	}
	plateauOf := sched.NewReduceLROnPlateau(o, sched.Min)
	plateauOf.Patience = 0
	o.lrs = append(o.lrs, 8)
	plateauOf.Step(1)
	plateauOf.Step(1)
	if got := o.lrs[2]; got != 8*0.1 {
		t.Errorf("ReduceLROnPlateau: got %v, want 0.8", got)
	}
}

var appended = map[string]func(sched.Optimizer) sched.Scheduler{
	"step": step(2, 0.5), "multistep": multiStep([]int{2, 4, 4}, 0.5), "exponential": exponential(0.5), "constant": constant(0.5, 5), "linear": linear(0.25, 1, 6), "cosine": cosine(20, 0.001),
}

// A SequentialLR in a SequentialLR starts at its own epoch 0. (PyTorch 2.15 takes
// one in the first place only, and runs it an epoch early.)
func TestNestedSequentialLR(t *testing.T) {
	o := &rates{[]float64{64}}
	s := sequential([]int{2}, constant(0.25, 2), sequential([]int{3}, constant(0.5, 2), step(2, 0.5)))(o)
	for epoch, want := range []float64{16, 16, 32, 32, 64, 64, 64, 32, 32, 16} {
		if got := o.lrs[0]; got != want {
			t.Errorf("epoch %d: got %v, want %v", epoch, got, want)
		}
		s.Step()
	}
	s.StepTo(7)
	if got := s.LastLR(); !slices.Equal(got, []float64{32}) {
		t.Errorf("StepTo(7): got %v, want [32]", got)
	}
}

func newPlateau(name string, o sched.Optimizer) *sched.ReduceLROnPlateau {
	s := sched.NewReduceLROnPlateau(o, sched.Min)
	switch name {
	case "min rel":
		s.Factor, s.Patience = 0.5, 2
	case "min abs":
		s.Factor, s.Patience, s.Threshold, s.ThresholdMode, s.Cooldown = 0.5, 1, 0.05, sched.Abs, 2
	case "max rel":
		s = sched.NewReduceLROnPlateau(o, sched.Max)
		s.Factor, s.Patience, s.Threshold, s.MinLR = 0.3, 2, 0.01, 1e-3
	case "max abs":
		s = sched.NewReduceLROnPlateau(o, sched.Max)
		s.Factor, s.Patience, s.Threshold, s.ThresholdMode = 0.3, 0, 0.2, sched.Abs
		s.Cooldown, s.MinLRs, s.Eps = 1, []float64{0.01, 0.001}, 1e-3
	}
	return s
}

func TestReduceLROnPlateau(t *testing.T) {
	ref := load(t)
	for _, c := range ref.Plateaus {
		t.Run(c.Name, func(t *testing.T) {
			o := newSGD(ref.Base, c.Name)
			s := newPlateau(c.Name, o)
			for i, w := range c.Step {
				// Each step is made by a scheduler that has come through JSON.
				b, err := json.Marshal(s.State())
				if err != nil {
					t.Fatal(err)
				}
				var state sched.State
				if err := json.Unmarshal(b, &state); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(state, s.State()) {
					t.Fatalf("epoch %d: got state %v after JSON, want %v", i, state, s.State())
				}
				o = newSGD(ref.Base, c.Name)
				s = newPlateau(c.Name, o)
				if err := s.LoadState(state); err != nil {
					t.Fatal(err)
				}
				metric, err := strconv.ParseFloat(ref.Metrics[i], 64)
				if err != nil {
					t.Fatal(err)
				}
				s.Step(metric)
				want(t, "epoch "+strconv.Itoa(i), o, w)
				best, err := strconv.ParseFloat(w.Best, 64)
				if err != nil {
					t.Fatal(err)
				}
				wantState := sched.PlateauState{Best: jsonfloat.Float(best), BadEpochs: w.Bad, Cooldown: w.Cooldown}
				if got := *s.State().Plateau; got != wantState {
					t.Errorf("epoch %d: got state %v, want %v", i, got, wantState)
				}
				if !slices.Equal(s.LastLR(), o.lrs) {
					t.Errorf("epoch %d: got LastLR %v, want %v", i, s.LastLR(), o.lrs)
				}
			}
		})
	}
}

func TestArguments(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	new1 := func() *rates { return &rates{[]float64{1}} }
	one := func(int) float64 { return 1 }
	for _, c := range []struct {
		want string
		f    func()
	}{
		{"sched: StepLR: the optimizer is nil", func() { sched.NewStepLR(nil, 1, 0.1) }},
		{"sched: StepLR: the optimizer (*sched_test.rates) has no learning rates to read", func() { sched.NewStepLR((*rates)(nil), 1, 0.1) }},
		{"sched: ReduceLROnPlateau: the optimizer (*sched_test.rates) has no", func() { sched.NewReduceLROnPlateau((*rates)(nil), sched.Min) }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.StepLR).Step() }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.OneCycleLR).StepTo(1) }},
		{"sched: a scheduler: it has nothing in it", func() { (&sched.CosineAnnealingLR{EtaMin: -1}).State() }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.LambdaLR).State() }},
		{"sched: a scheduler: it has nothing in it", func() { _ = new(sched.CosineAnnealingLR).LoadState(sched.State{}) }},
		{"sched: a scheduler: it has nothing in it", func() { (&sched.ReduceLROnPlateau{}).Step(1) }},
		{"sched: a scheduler: it has nothing in it", func() { (&sched.ReduceLROnPlateau{}).State() }},
		{"sched: a scheduler: it has nothing in it", func() { _ = (&sched.ReduceLROnPlateau{}).LoadState(sched.State{}) }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.SequentialLR).Step() }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.SequentialLR).StepTo(0) }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.SequentialLR).LastLR() }},
		{"sched: a scheduler: it has nothing in it", func() { new(sched.SequentialLR).State() }},
		{"sched: a scheduler: it has nothing in it", func() { _ = new(sched.SequentialLR).LoadState(sched.State{}) }},
		{"sched: StepLR: the optimizer has no parameter groups", func() { sched.NewStepLR(&rates{}, 1, 0.1) }},
		{"sched: StepLR: the learning rate of group 1 is NaN", func() { sched.NewStepLR(&rates{[]float64{1, nan}}, 1, 0.1) }},
		{"sched: StepLR: the step size is 0", func() { sched.NewStepLR(new1(), 0, 0.1) }},
		{"sched: StepLR: gamma is NaN", func() { sched.NewStepLR(new1(), 1, nan) }},
		{"sched: StepLR: gamma is -0.1", func() { sched.NewStepLR(new1(), 1, -0.1) }},
		{"sched: StepLR: StepTo got epoch -1", func() { sched.NewStepLR(new1(), 1, 0.1).StepTo(-1) }},
		{"sched: MultiStepLR: the milestones are [3 2]", func() { sched.NewMultiStepLR(new1(), []int{3, 2}, 0.1) }},
		{"sched: MultiStepLR: the milestones are [-1 2]", func() { sched.NewMultiStepLR(new1(), []int{-1, 2}, 0.1) }},
		{"sched: MultiStepLR: gamma is +Inf", func() { sched.NewMultiStepLR(new1(), nil, inf) }},
		{"sched: ExponentialLR: gamma is NaN", func() { sched.NewExponentialLR(new1(), nan) }},
		{"sched: ConstantLR: the factor is 0", func() { sched.NewConstantLR(new1(), 0, 5) }},
		{"sched: ConstantLR: the number of epochs is 0", func() { sched.NewConstantLR(new1(), 1, 0) }},
		{"sched: LinearLR: the start factor is 0", func() { sched.NewLinearLR(new1(), 0, 1, 5) }},
		{"sched: LinearLR: the end factor is NaN", func() { sched.NewLinearLR(new1(), 1, nan, 5) }},
		{"sched: LinearLR: the number of epochs is 0", func() { sched.NewLinearLR(new1(), 1, 1, 0) }},
		{"sched: CosineAnnealingLR: the number of epochs is 0", func() { sched.NewCosineAnnealingLR(new1(), 0) }},
		{"sched: CosineAnnealingLR: EtaMin is -1", func() { cosine(3, -1)(new1()).Step() }},
		{"sched: LambdaLR: got 2 functions, want 1 or 1", func() { sched.NewLambdaLR(new1(), one, one) }},
		{"sched: LambdaLR: the factor of epoch 0 is NaN", func() { sched.NewLambdaLR(new1(), func(int) float64 { return nan }) }},
		{"sched: OneCycleLR: the optimizer has no SetMomentum", func() { oneCycle(5, sched.OneCycleOpts{})(new1()) }},
		{"sched: OneCycleLR: the number of steps is 0", func() { oneCycle(0, sched.OneCycleOpts{NoMomentum: true})(new1()) }},
		{"sched: OneCycleLR: PctStart is 1.5", func() { oneCycle(5, sched.OneCycleOpts{PctStart: 1.5})(new1()) }},
		{"sched: OneCycleLR: DivFactor is -1", func() { oneCycle(5, sched.OneCycleOpts{DivFactor: -1})(new1()) }},
		{"sched: OneCycleLR: MaxMomentum is NaN", func() { oneCycle(5, sched.OneCycleOpts{MaxMomentum: nan})(new1()) }},
		{"sched: OneCycleLR: got 2 MaxLRs, want 1", func() { oneCycle(5, sched.OneCycleOpts{MaxLRs: []float64{1, 2}})(new1()) }},
		{"sched: OneCycleLR: step 6 of 5", func() { oneCycle(5, sched.OneCycleOpts{NoMomentum: true})(new1()).StepTo(6) }},
		{"sched: ReduceLROnPlateau: the mode is 2", func() { sched.NewReduceLROnPlateau(new1(), 2) }},
		{"sched: ReduceLROnPlateau: Factor is 1", func() {
			s := sched.NewReduceLROnPlateau(new1(), sched.Min)
			s.Factor = 1
			s.Step(1)
		}},
		{"sched: ReduceLROnPlateau: got 2 MinLRs, want 1", func() {
			s := sched.NewReduceLROnPlateau(new1(), sched.Min)
			s.MinLRs = []float64{1, 2}
			s.Step(1)
		}},
		{"sched: SequentialLR: the milestones are [-1]", func() { sequential([]int{-1}, step(1, 1), step(1, 1))(new1()) }},
		{"sched: SequentialLR: the milestones are [3 1]", func() { sequential([]int{3, 1}, step(1, 1), step(1, 1), step(1, 1))(new1()) }},
		{"sched: SequentialLR: the function that makes scheduler 1 is nil", func() { sequential([]int{3}, step(1, 1), nil)(new1()) }},
		{"sched: SequentialLR: scheduler 0 is nil", func() { sequential(nil, func(sched.Optimizer) sched.Scheduler { return nil })(new1()) }},
		{"sched: LambdaLR: function 0 is nil", func() { sched.NewLambdaLR(new1(), nil) }},
		{"sched: OneCycleLR: the largest rate is NaN", func() { sched.NewOneCycleLR(new1(), nan, 5, sched.OneCycleOpts{NoMomentum: true}) }},
		{"sched: OneCycleLR: the number of steps is " + strconv.Itoa(math.MaxInt), func() { sched.NewOneCycleLR(new1(), 1, math.MaxInt, sched.OneCycleOpts{NoMomentum: true}) }},
		{"sched: OneCycleLR: got 1 MaxLRs, want 2", func() {
			o := new1()
			s := oneCycle(5, sched.OneCycleOpts{MaxLRs: []float64{1}, NoMomentum: true})(o)
			o.lrs = append(o.lrs, 1)
			s.Step()
		}},
		{"sched: LambdaLR: got 2 functions, want 1 or 3", func() {
			o := &rates{[]float64{1, 2}}
			s := sched.NewLambdaLR(o, one, one)
			o.lrs = append(o.lrs, 3)
			s.Step()
		}},
		{"sched: StepLR: the learning rate of group 1 is NaN", func() {
			o := new1()
			s := sched.NewStepLR(o, 1, 0.1)
			o.lrs = append(o.lrs, nan)
			s.Step()
		}},
		{"sched: StepLR: StepTo got epoch " + strconv.Itoa(math.MaxInt), func() { sched.NewStepLR(new1(), 1, 0.1).StepTo(math.MaxInt) }},
		{"sched: ReduceLROnPlateau: Patience is -1", func() { // before the first step
			s := sched.NewReduceLROnPlateau(new1(), sched.Min)
			s.Patience = -1
			s.State()
		}},
		{"sched: CosineAnnealingLR: EtaMin is NaN", func() { cosine(3, nan)(new1()).State() }},
		{"sched: ReduceLROnPlateau: the least rate is -1", func() {
			s := sched.NewReduceLROnPlateau(new1(), sched.Min)
			s.MinLR = -1
			s.Step(1)
		}},
		{"sched: ReduceLROnPlateau: ThresholdMode is 2", func() {
			s := sched.NewReduceLROnPlateau(new1(), sched.Min)
			s.ThresholdMode = 2
			s.Step(1)
		}},
		{"sched: SequentialLR: got 1 schedulers and 1 milestones", func() { sequential([]int{1}, step(1, 1))(new1()) }},
		{"sched: SequentialLR: StepTo got epoch -2", func() { sequential(nil, step(1, 1))(new1()).StepTo(-2) }},
		{"sched: StepLR: the optimizer has 1 parameter groups, had 2", func() {
			o := &rates{[]float64{1, 2}}
			s := sched.NewStepLR(o, 1, 0.1)
			o.lrs = o.lrs[:1]
			s.Step()
		}},
	} {
		t.Run(c.want, func(t *testing.T) {
			defer func() {
				err, ok := recover().(error)
				var typed *sched.Error
				if !ok || !errors.As(err, &typed) || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("got panic %v, want a *sched.Error %q", err, c.want)
				}
			}()
			c.f()
		})
	}
}

func TestLoadStateErrors(t *testing.T) {
	o := &sgd{rates{[]float64{1, 2}}, 0.5}
	warm := sequential([]int{3}, linear(0.1, 1, 3), step(1, 0.5))
	good := warm(o).State()
	bad := good
	bad.Schedulers = []sched.State{good.Schedulers[0], good.Schedulers[0]}
	plateau := sched.NewReduceLROnPlateau(o, sched.Min)
	stepState := step(1, 0.5)(o).State()
	fewer, before, bare := stepState, stepState, plateau.State()
	fewer.LRs = fewer.LRs[:1]
	before.Epoch = -1
	bare.Plateau = nil
	odd, negative := plateau.State(), warm(o).State()
	odd.Plateau.BadEpochs, negative.LRs[0] = -1, -1
	with := func(change func(s *sched.State)) sched.State {
		s := step(1, 0.5)(o).State()
		change(&s)
		return s
	}
	for _, c := range []struct {
		name  string
		load  func(sched.State) error
		state sched.State
		want  string
	}{
		{"another's", exponential(0.5)(o).LoadState, stepState, `sched: ExponentialLR: the state is one of "StepLR"`},
		{"groups", step(1, 0.5)(o).LoadState, fewer, "sched: StepLR: the state has 1 rates, want 2"},
		{"epoch", step(1, 0.5)(o).LoadState, before, "sched: StepLR: the state is at epoch -1"},
		{"a negative rate", step(1, 0.5)(o).LoadState, with(func(s *sched.State) { s.LRs[1] = -1 }), "sched: StepLR: the state's rate of group 1 is -1, want a finite number from 0 on"},
		{"a rate that is no number", step(1, 0.5)(o).LoadState, with(func(s *sched.State) { s.LRs[0] = math.NaN() }), "sched: StepLR: the state's rate of group 0 is NaN"},
		{"an infinite base rate", step(1, 0.5)(o).LoadState, with(func(s *sched.State) { s.BaseLRs[0] = math.Inf(1) }), "sched: StepLR: the state's base rate of group 0 is +Inf"},
		{"an epoch without end", step(1, 0.5)(o).LoadState, with(func(s *sched.State) { s.Epoch = math.MaxInt }), "sched: StepLR: the state is at epoch " + strconv.Itoa(math.MaxInt) + ", want 0 to "},
		{"a step after the last", oneCycle(5, sched.OneCycleOpts{})(o).LoadState, with(func(s *sched.State) { s.Scheduler, s.Epoch = "OneCycleLR", 6 }), "sched: OneCycleLR: the state is at step 6 of 5"},
		{"a negative rate of a cosine", oneCycle(5, sched.OneCycleOpts{})(o).LoadState, with(func(s *sched.State) { s.Scheduler, s.LRs[0] = "OneCycleLR", -1 }), "sched: OneCycleLR: the state's rate of group 0 is -1"},
		{"counts of a plateau", plateau.LoadState, odd, "sched: ReduceLROnPlateau: the state has -1 bad epochs and 0 of cooldown, want 0 to "},
		{"a negative rate of a sequence", warm(o).LoadState, negative, "sched: SequentialLR: the state's rate of group 0 is -1"},
		{"no plateau", plateau.LoadState, bare, "sched: ReduceLROnPlateau: the state does not say"},
		{"fewer schedulers", sequential(nil, step(1, 0.5))(o).LoadState, good, "sched: SequentialLR: the state has 2 schedulers, want 1"},
		{"inner", warm(o).LoadState, bad, `scheduler 1 of SequentialLR: sched: StepLR: the state is one of "LinearLR"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.SetLRs([]float64{7, 8})
			if err := c.load(c.state); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			if !slices.Equal(o.lrs, []float64{7, 8}) {
				t.Errorf("got rates %v after an error, want %v", o.lrs, []float64{7, 8})
			}
		})
	}
}

// What a program does with a slice that it got or gave changes no schedule.
func TestSlicesAreCopies(t *testing.T) {
	milestones := []int{1, 2}
	o := &rates{[]float64{1}}
	s := sched.NewMultiStepLR(o, milestones, 0.5)
	milestones[0] = 100
	s.LastLR()[0] = 9
	s.State().BaseLRs[0] = 9
	s.Step()
	o.lrs[0] = 9
	if got := s.LastLR()[0]; got != 0.5 {
		t.Errorf("got %v, want 0.5", got)
	}
	s.StepTo(2)
	if got := o.lrs[0]; got != 0.25 {
		t.Errorf("got %v, want 0.25", got)
	}
}
