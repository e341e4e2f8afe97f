package optim

import (
	"fmt"
	"iter"
	"math"

	"github.com/wick-ml/wick/tensor"
)

// Muon updates matrices with the orthogonal matrix that is nearest to their momentum,
// computed by a few matrix products. It is for the weights of hidden layers, and refuses
// parameters that are not matrices: use AdamW for these and for other parameters. PyTorch's learning rate is
// 0.001. (torch.optim.Muon)
//
// Sources: Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024;
// Liu et al., Muon is Scalable for LLM Training, 2025; Bernstein, Deriving Muon, 2025.
type Muon struct {
	Groups         `json:"-"`
	WeightDecay    float64    // 0.1; of the weights themselves
	Momentum       float64    // 0.95
	Nesterov       bool       // true
	NSCoefficients [3]float64 // 3.4445, -4.775 and 2.0315; of the Newton–Schulz iteration
	Eps            float64    // 1e-7; the least that the momentum is divided by
	NSSteps        int        // 5
	AdjustLRFn     AdjustLRFn

	memory memory
}

// AdjustLRFn says what the learning rate of an m×n matrix is multiplied by, so that steps
// have the same size for all shapes.
type AdjustLRFn string

const (
	Original          AdjustLRFn = "original"           // √max(1, m/n); so is ""
	MatchRMSAdamW     AdjustLRFn = "match_rms_adamw"    // 0.2·√max(m, n), for the rates and decays of AdamW
	SpectralUnclamped AdjustLRFn = "spectral_unclamped" // √(m/n)
)

// of returns the factor for a shape.
func (f AdjustLRFn) of(shape tensor.Shape) float64 {
	m, n := float64(shape[0]), float64(shape[1])
	switch f {
	case MatchRMSAdamW:
		return 0.2 * math.Sqrt(max(m, n))
	case SpectralUnclamped:
		return math.Sqrt(m / n)
	}
	return math.Sqrt(max(1, m/n))
}

// NewMuon returns a Muon of one group. It panics if a parameter is not a matrix.
func NewMuon(params []*tensor.Tensor, lr float64) *Muon {
	const op = "NewMuon"
	o := &Muon{Groups: newGroups(op, params, lr), WeightDecay: 0.1, Momentum: 0.95, Nesterov: true,
		NSCoefficients: [3]float64{3.4445, -4.7750, 2.0315}, Eps: 1e-7, NSSteps: 5, AdjustLRFn: Original,
		memory: newMemory("Muon", 1, "momentum_buffer")}
	o.wantMatrices(op)
	return o
}

// wantMatrices panics if a parameter is not a matrix.
func (o *Muon) wantMatrices(op string) {
	for i, g := range o.Groups {
		for j, p := range g.Params {
			if p != nil && len(p.Shape()) != 2 {
				want(false, op, "parameter %d of group %d is %s, want a matrix; give others to NewAdamW", j, i, describe(p))
			}
		}
	}
}

// Step updates the parameters with their gradients.
func (o *Muon) Step() {
	o.wantMatrices("Muon.Step")
	o.memory.step(o, &o.Groups)
}

func (o *Muon) rule(s *step) {
	mu, decay := s.momentum(o.Momentum), s.weightDecay(o.WeightDecay)
	s.wantNumber("Eps", o.Eps)
	s.want(o.NSSteps >= 0 && o.NSSteps < 100, "NSSteps is %d, want 0 to 99", o.NSSteps)
	switch o.AdjustLRFn {
	case "", Original, MatchRMSAdamW, SpectralUnclamped:
	default:
		s.want(false, "AdjustLRFn is %q, want %q, %q or %q", o.AdjustLRFn, Original, MatchRMSAdamW, SpectralUnclamped)
	}
	d := s.grad()
	m := s.state("momentum_buffer", 0).Lerp(d, 1-mu)
	s.setState("momentum_buffer", m)
	if o.Nesterov {
		m = d.Lerp(m, mu)
	}
	update := s.through(m, fmt.Sprint(o.NSCoefficients, o.Eps, o.NSSteps, o.AdjustLRFn), func(x *tensor.Tensor) *tensor.Tensor {
		return o.orthogonal(x).MulScalar(o.AdjustLRFn.of(x.Shape()))
	})
	w := s.param()
	if decay != 0 {
		w = w.MulScalar(1 - s.lr()*decay)
	}
	s.setParam(w.Sub(update.MulScalar(s.lr())))
}

// orthogonal returns a matrix with x's singular vectors, whose singular values have all come
// near 1, by the Newton–Schulz iteration. It rounds to BFloat16 where PyTorch does, and adds up
// in Float32 as that does: TF32, which Float32's precision High takes on a GPU, is exact for such
// factors.
func (o *Muon) orthogonal(x *tensor.Tensor) *tensor.Tensor {
	a, b, c := o.NSCoefficients[0], o.NSCoefficients[1], o.NSCoefficients[2]
	round := func(x *tensor.Tensor) *tensor.Tensor { return x.ToDType(tensor.BFloat16).ToDType(tensor.Float32) }
	y := x.ToDType(tensor.BFloat16)
	tall := x.Size(0) > x.Size(1)
	if tall {
		y = y.T()
	}
	y = y.Div(y.Norm(2).ClampMin(o.Eps)).ToDType(tensor.Float32) // no singular value above 1
	for range o.NSSteps {
		gram := round(y.MatMul(y.T()))
		update := round(gram.MulScalar(b).Add(gram.MatMul(gram).MulScalar(c)))
		y = round(y.MulScalar(a).Add(update.MatMul(y)))
	}
	if tall {
		y = y.T()
	}
	return y.ToDType(x.DType())
}

func (o *Muon) Config() (name string, settings []byte) { return config("Muon", *o) }

// SetMomentum sets the momentum of all groups. It is for sched.OneCycleLR.
func (o *Muon) SetMomentum(m float64) {
	o.Momentum = m
	o.setMomentum(m)
}

// State returns the optimizer's state and its live tensors
// ("0.momentum_buffer"), for LoadState.
func (o *Muon) State() (State, iter.Seq2[string, *tensor.Tensor]) { return o.memory.save(o.Groups) }

// LoadState copies a state, with its learning rates, into the optimizer. On error,
// because the state is of another optimizer or of other parameters, nothing has
// changed.
func (o *Muon) LoadState(state State, tensors iter.Seq2[string, *tensor.Tensor]) error {
	return o.memory.load(o.Groups, state, tensors)
}
