package optim

import (
	"fmt"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// GradScaler scales losses, so that gradients do not vanish in Float16, whose
// smallest number is 6e-8, and unscales the gradients before the optimizer's step. A
// step with gradients that are not finite, because they overflowed, is skipped, and
// the scale is halved; after two thousand successful steps it is doubled.
//
//	scaler := optim.NewGradScaler()
//	for images, labels := range tensor.Autocast(loader.All(), tensor.Float16) {
//		optimizer.ZeroGrad()
//		loss := criterion.Forward(model.Forward(images), labels)
//		scaler.Scale(loss).Backward()
//		scaler.Unscale(optimizer) // only needed before clipping
//		optim.ClipGradNorm(params, 1)
//		scaler.Step(optimizer)
//		scaler.Update()
//	}
//
// BFloat16, whose range is Float32's, needs none. Step waits until the gradients
// are computed, since whether to step depends on them.
// (torch.amp.GradScaler; Micikevicius et al., Mixed Precision Training, 2018)
type GradScaler struct {
	InitScale      float64 // the scale before the first Update; 65536
	GrowthFactor   float64 // what the scale is multiplied by after GrowthInterval steps without overflow; 2
	BackoffFactor  float64 // what it is multiplied by after a skipped step; 0.5
	GrowthInterval int     // 2000

	scale   float64 // 0 means InitScale
	growth  int     // steps since the scale changed
	scaled  bool    // Scale was called
	between map[Optimizer]*unscaled
}

// unscaled is an optimizer between two updates.
type unscaled struct{ finite, stepped bool }

// NewGradScaler returns a GradScaler with PyTorch's defaults.
func NewGradScaler() *GradScaler {
	return &GradScaler{InitScale: 65536, GrowthFactor: 2, BackoffFactor: 0.5, GrowthInterval: 2000, between: map[Optimizer]*unscaled{}}
}

// CurrentScale returns the current scale.
func (s *GradScaler) CurrentScale() float64 {
	if s.scale == 0 {
		return s.InitScale
	}
	return s.scale
}

// Scale returns the loss times the scale, for Backward; a half-precision loss is
// converted to Float32.
func (s *GradScaler) Scale(loss *tensor.Tensor) *tensor.Tensor {
	scale := s.CurrentScale()
	want(scale > 0 && !math.IsInf(scale, 1), "GradScaler.Scale", "the scale is %v, want a positive number", scale)
	s.scaled = true
	if loss.DType().IsHalf() {
		loss = loss.ToDType(tensor.Float32)
	}
	return loss.MulScalar(scale)
}

// Unscale divides the gradients of the optimizer's parameters by the scale, in
// place, and notes whether all were finite. Step does so too; call Unscale if
// something before the step needs the gradients, such as clipping. It panics if it
// was called for the optimizer since the last Update, and if a gradient is Float16:
// parameters stay Float32 in mixed precision.
func (s *GradScaler) Unscale(o Optimizer) {
	const op = "GradScaler.Unscale"
	s.wantScaled(op)
	if u := s.between[o]; u != nil {
		want(!u.stepped, op, "it is called after Step, want it before")
		want(false, op, "it was called for this optimizer already since the last Update, want one call a step")
	}
	s.unscale(op, o)
}

// unscale divides an optimizer's gradients by the scale.
func (s *GradScaler) unscale(op string, o Optimizer) *unscaled {
	groups, ok := o.(interface{ Parameters() []*tensor.Tensor })
	want(o != nil && fmt.Sprintf("%p", o) != "0x0", op, "the optimizer is nil (%T)", o)
	want(ok, op, "the optimizer (%T) has no Parameters, want the method that those of package optim have", o)
	gs := grads("Unscale", groups.Parameters())
	want(len(gs) > 0, op, "no parameter of the optimizer has a gradient, want those of Scale(loss).Backward()")
	for _, g := range gs {
		want(g.DType() != tensor.Float16, op, "a gradient is %s %v, want float32: keep parameters in float32 and use Autocast", g.DType(), g.Shape())
	}
	// The inverse is rounded to float32, as PyTorch's.
	if s.between == nil { // no constructor made s
		s.between = map[Optimizer]*unscaled{}
	}
	u := &unscaled{finite: friends.Unscale(gs, float64(float32(1/s.CurrentScale())))}
	s.between[o] = u
	return u
}

// Step makes the optimizer's step with the gradients divided by the scale, and
// reports whether it did: a step with gradients that are not finite is skipped. It
// panics if it was called for the optimizer since the last Update.
func (s *GradScaler) Step(o Optimizer) (made bool) {
	const op = "GradScaler.Step"
	s.wantScaled(op)
	u := s.between[o]
	if u == nil {
		u = s.unscale(op, o)
	}
	want(!u.stepped, op, "it was called for this optimizer already since the last Update, want Update between two steps")
	u.stepped = true
	if u.finite {
		o.Step()
	}
	return u.finite
}

// Update makes the scale smaller if the gradients of an optimizer were not finite
// since the last Update, or larger if they have been for GrowthInterval updates. Call
// it once after the steps of all optimizers.
func (s *GradScaler) Update() {
	const op = "GradScaler.Update"
	s.wantScaled(op)
	want(len(s.between) > 0, op, "no optimizer made a step since the last Update, want Step before it")
	want(s.GrowthFactor > 1, op, "GrowthFactor is %v, want more than 1", s.GrowthFactor)
	want(s.BackoffFactor > 0 && s.BackoffFactor < 1, op, "BackoffFactor is %v, want it between 0 and 1", s.BackoffFactor)
	want(s.GrowthInterval >= 1, op, "GrowthInterval is %d, want 1 or more", s.GrowthInterval)
	finite := true
	for _, u := range s.between {
		finite = finite && u.finite
	}
	clear(s.between)
	// The scale is a float32, as PyTorch's.
	scale := s.CurrentScale()
	if !finite {
		s.scale, s.growth = float64(float32(scale*s.BackoffFactor)), 0
		return
	}
	s.scale = scale
	if s.growth++; s.growth >= s.GrowthInterval {
		if larger := float64(float32(scale * s.GrowthFactor)); !math.IsInf(larger, 1) {
			s.scale = larger
		}
		s.growth = 0
	}
}

// wantScaled panics unless Scale was called.
func (s *GradScaler) wantScaled(op string) {
	want(s.scaled, op, "no loss was scaled, want Scale(loss).Backward() before it")
}

// GradScalerState is a GradScaler's state, with PyTorch's names in JSON.
type GradScalerState struct {
	Scale          float64 `json:"scale"`
	GrowthFactor   float64 `json:"growth_factor"`
	BackoffFactor  float64 `json:"backoff_factor"`
	GrowthInterval int     `json:"growth_interval"`
	GrowthTracker  int     `json:"_growth_tracker"` // steps since the scale changed
}

// State returns the state, for a checkpoint. Call it after Update.
func (s *GradScaler) State() GradScalerState {
	return GradScalerState{s.CurrentScale(), s.GrowthFactor, s.BackoffFactor, s.GrowthInterval, s.growth}
}

// LoadState restores a state. On error, because no scaler can have that state, nothing
// has changed.
func (s *GradScaler) LoadState(state GradScalerState) error {
	positive := func(v float64) bool { return float32(v) > 0 && !math.IsInf(float64(float32(v)), 1) }
	if !positive(state.Scale) || !(state.GrowthFactor > 1) || !positive(state.BackoffFactor) || state.BackoffFactor >= 1 ||
		state.GrowthInterval < 1 || state.GrowthTracker < 0 {
		return fmt.Errorf("optim: GradScaler: the state is %+v, want a positive scale, growth above 1, backoff between 0 and 1", state)
	}
	s.scale, s.growth = state.Scale, min(state.GrowthTracker, state.GrowthInterval-1)
	s.GrowthFactor, s.BackoffFactor, s.GrowthInterval = state.GrowthFactor, state.BackoffFactor, state.GrowthInterval
	clear(s.between)
	return nil
}
