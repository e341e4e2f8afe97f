package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// number is a number in JSON, or a string that says which it is.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(v)
	return err
}

func float64s(ns []number) []float64 {
	v := make([]float64, len(ns))
	for i, n := range ns {
		v[i] = float64(n)
	}
	return v
}

// TestGradScalerIsPyTorchs makes the steps of testdata/scaler.py, goes on at a step
// in the middle with a scaler that the state was loaded into, and comes to the same
// scales and parameters.
func TestGradScalerIsPyTorchs(t *testing.T) {
	b, err := os.ReadFile("testdata/scaler.json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Shapes [][]int
		Params [][]float64
		Grads  [][][]number
		Cases  map[string]struct {
			Options json.RawMessage
			Clip    bool
			Scales  []float64
			After   [][]float64
			State   optim.GradScalerState
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cases) == 0 || len(r.Grads) != 20 {
		t.Fatalf("got %d cases of %d steps, want some of 20", len(r.Cases), len(r.Grads))
	}
	for name, c := range r.Cases {
		t.Run(name, func(t *testing.T) {
			var params []*T
			for i, v := range r.Params {
				params = append(params, from(v, r.Shapes[i], tensor.Float32).SetRequiresGrad(true))
			}
			sgd := optim.NewSGD(params, 0.1)
			sgd.Momentum = 0.9
			var o optim.Optimizer = sgd
			if strings.Contains(name, "Adam") {
				o = optim.NewAdam(params, 0.1)
			}
			options := struct {
				Interval int     `json:"growth_interval"`
				Growth   float64 `json:"growth_factor"`
				Backoff  float64 `json:"backoff_factor"`
				Init     float64 `json:"init_scale"`
			}{2000, 2, 0.5, 65536}
			if err := json.Unmarshal(c.Options, &options); err != nil {
				t.Fatal(err)
			}
			s := optim.NewGradScaler()
			s.GrowthInterval, s.GrowthFactor, s.BackoffFactor, s.InitScale = options.Interval, options.Growth, options.Backoff, options.Init
			for step, grads := range r.Grads {
				if step == 9 {
					state := s.State()
					s = optim.NewGradScaler()
					if err := s.LoadState(state); err != nil {
						t.Fatal(err)
					}
				}
				o.ZeroGrad()
				before := flat(params)
				var loss *T
				for i, p := range params {
					part := p.Mul(from(float64s(grads[i]), r.Shapes[i], tensor.Float32)).Sum()
					if loss == nil {
						loss = part
					} else {
						loss = loss.Add(part)
					}
				}
				s.Scale(loss).Backward()
				if c.Clip {
					s.Unscale(o)
					optim.ClipGradNorm(params, 1.5)
				}
				made := s.Step(o)
				s.Update()
				if got := s.CurrentScale(); got != c.Scales[step] {
					t.Fatalf("step %d: the scale is %v, want %v", step, got, c.Scales[step])
				}
				for i, got := range flat(params) {
					if want := c.After[step][i]; math.Abs(got-want) > 1e-5*max(math.Abs(want), 1) {
						t.Fatalf("step %d: element %d is %v, want %v", step, i, got, want)
					} else if !made && got != before[i] {
						t.Fatalf("step %d was left out, but element %d went from %v to %v", step, i, before[i], got)
					}
				}
			}
			if got := s.State(); got != c.State {
				t.Errorf("the state is %+v, want %+v", got, c.State)
			}
		})
	}
}

func TestGradScalerRefuses(t *testing.T) {
	type parts struct {
		s *optim.GradScaler
		x *T
		o optim.Optimizer
	}
	scaled := func(p parts) { p.s.Scale(p.x.Mul(p.x).Sum()).Backward() }
	for _, c := range []struct {
		want string
		f    func(p parts)
	}{
		{"tensor: GradScaler.Unscale: no loss was scaled, want Scale(loss).Backward() before it", func(p parts) { p.s.Unscale(p.o) }},
		{"tensor: GradScaler.Step: no loss was scaled, want Scale(loss).Backward() before it", func(p parts) { p.s.Step(p.o) }},
		{"tensor: GradScaler.Update: no loss was scaled, want Scale(loss).Backward() before it", func(p parts) { p.s.Update() }},
		{"tensor: GradScaler.Unscale: it was called for this optimizer already since the last Update, want one call a step", func(p parts) {
			scaled(p)
			p.s.Unscale(p.o)
			p.s.Unscale(p.o)
		}},
		{"tensor: GradScaler.Unscale: it is called after Step, want it before", func(p parts) {
			scaled(p)
			p.s.Step(p.o)
			p.s.Unscale(p.o)
		}},
		{"tensor: GradScaler.Step: it was called for this optimizer already since the last Update, want Update between two steps", func(p parts) {
			scaled(p)
			p.s.Step(p.o)
			p.s.Step(p.o)
		}},
		{"tensor: GradScaler.Step: no parameter of the optimizer has a gradient, want those of Scale(loss).Backward()", func(p parts) {
			scaled(p)
			p.o.ZeroGrad()
			p.s.Step(p.o)
		}},
		{"tensor: GradScaler.Update: no optimizer made a step since the last Update, want Step before it", func(p parts) {
			scaled(p)
			p.s.Update()
		}},
		{"tensor: GradScaler.Update: GrowthFactor is 1, want more than 1", func(p parts) {
			p.s.GrowthFactor = 1
			scaled(p)
			p.s.Step(p.o)
			p.s.Update()
		}},
		{"tensor: GradScaler.Update: BackoffFactor is 2, want it between 0 and 1", func(p parts) {
			p.s.BackoffFactor = 2
			scaled(p)
			p.s.Step(p.o)
			p.s.Update()
		}},
		{"tensor: GradScaler.Update: GrowthInterval is 0, want 1 or more", func(p parts) {
			p.s.GrowthInterval = 0
			scaled(p)
			p.s.Step(p.o)
			p.s.Update()
		}},
		{"tensor: GradScaler.Scale: the scale is -1, want a positive number", func(p parts) {
			p.s.InitScale = -1
			scaled(p)
		}},
		{"tensor: GradScaler.Step: a gradient is float16 [2], want float32: keep parameters in float32 and use Autocast", func(p parts) {
			x := tensor.Ones(2).ToDType(tensor.Float16).SetRequiresGrad(true)
			p.s.Scale(x.Sum()).Backward()
			p.s.Step(optim.NewSGD([]*T{x}, 1))
		}},
		{"tensor: GradScaler.Step: the optimizer is nil (*optim.SGD)", func(p parts) {
			scaled(p)
			p.s.Step((*optim.SGD)(nil))
		}},
		{"tensor: GradScaler.Unscale: the optimizer is nil (<nil>)", func(p parts) {
			scaled(p)
			p.s.Unscale(nil)
		}},
		{"tensor: GradScaler.Update: GrowthFactor is 0, want more than 1", func(p parts) {
			p.s = &optim.GradScaler{InitScale: 2}
			scaled(p)
			p.s.Step(p.o)
			p.s.Update()
		}},
		{"tensor: GradScaler.Step: the optimizer (optim_test.foreign) has no Parameters, want the method that those of package optim have", func(p parts) {
			scaled(p)
			p.s.Step(foreign{})
		}},
	} {
		t.Run(c.want, func(t *testing.T) {
			x := tensor.Ones(2).SetRequiresGrad(true)
			err := tensor.Try(func() { c.f(parts{optim.NewGradScaler(), x, optim.NewSGD([]*T{x}, 0.1)}) })
			if err == nil || err.Error() != c.want {
				t.Errorf("got error %v, want %q", err, c.want)
			}
		})
	}
	for _, state := range []optim.GradScalerState{
		{},
		{Scale: math.Inf(1), GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 1},
		{Scale: 1e39, GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 1},  // more than float32 holds
		{Scale: 1e-50, GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 1}, // less
		{Scale: math.NaN(), GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 1},
		{Scale: 1, GrowthFactor: 1, BackoffFactor: 0.5, GrowthInterval: 1},
		{Scale: 1, GrowthFactor: 2, BackoffFactor: 1, GrowthInterval: 1},
		{Scale: 1, GrowthFactor: 2, BackoffFactor: 0.5},
		{Scale: 1, GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 1, GrowthTracker: -1},
	} {
		s := optim.NewGradScaler()
		if err := s.LoadState(state); err == nil || !strings.HasPrefix(err.Error(), "optim: GradScaler: the state is {Scale:") {
			t.Errorf("%+v: got error %v", state, err)
		}
		if got := s.State(); got != optim.NewGradScaler().State() {
			t.Errorf("after an error the state is %+v, want what it was", got)
		}
	}
}

// A count beyond the interval, which was made shorter, grows the scale at the next
// good step.
func TestGradScalerLongCount(t *testing.T) {
	for _, count := range []int{4, 5, 100, math.MaxInt} {
		x := tensor.Ones(2).SetRequiresGrad(true)
		o, s := optim.NewSGD([]*T{x}, 0.1), optim.NewGradScaler()
		if err := s.LoadState(optim.GradScalerState{Scale: 8, GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 5, GrowthTracker: count}); err != nil {
			t.Fatal(err)
		}
		s.Scale(x.Sum()).Backward()
		s.Step(o)
		s.Update()
		if got := s.State(); got.Scale != 16 || got.GrowthTracker != 0 {
			t.Errorf("after %d steps and one more the state is %+v, want scale 16 and 0 steps", count, got)
		}
	}
}

// foreign is an optimizer of somebody else.
type foreign struct{}

func (foreign) Step()            {}
func (foreign) ZeroGrad()        {}
func (foreign) LRs() []float64   { return nil }
func (foreign) SetLRs([]float64) {}

// Several optimizers share a scale: one of them with infinities makes it smaller.
func TestGradScalerOfTwoOptimizers(t *testing.T) {
	x, y := tensor.Ones(2).SetRequiresGrad(true), tensor.Ones(2).ToDType(tensor.Float64).SetRequiresGrad(true)
	a, b := optim.NewSGD([]*T{x}, 1), optim.NewSGD([]*T{y}, 1)
	s := optim.NewGradScaler()
	s.Scale(x.Sum()).Backward()
	s.Scale(y.MulScalar(math.Inf(1)).Sum()).Backward()
	if !s.Step(a) || s.Step(b) {
		t.Errorf("want the first step made and the second left out")
	}
	s.Update()
	if got := s.CurrentScale(); got != 32768 {
		t.Errorf("the scale is %v, want 32768", got)
	}
	if x.Float64s()[0] != 0 || y.Float64s()[1] != 1 {
		t.Errorf("the parameters are %v and %v, want 0 and 1", x.Float64s(), y.Float64s())
	}
	// A loss of half precision does not overflow where it is scaled.
	if got := s.Scale(tensor.Full(3, 1).ToDType(tensor.Float16).Sum()); got.DType() != tensor.Float32 || got.Item() != 3*32768 {
		t.Errorf("a scaled loss is %s %v, want float32 98304", got.DType(), got.Item())
	}
}
