package layers

import (
	"fmt"

	"github.com/wick-ml/wick/tensor"
)

// Dropout sets each element to 0 with probability P in training mode and divides
// the others by 1-P; in evaluation mode it does nothing. Any shape. (Srivastava
// et al., 2014; torch.nn.Dropout)
type Dropout struct {
	P float64
	// Generator draws which elements are dropped; nil means the default generator.
	Generator *tensor.Generator

	eval bool
}

// NewDropout returns a Dropout. PyTorch's default is p = 0.5.
func NewDropout(p float64) *Dropout {
	if !(p >= 0 && p <= 1) {
		fail("NewDropout", "got the probability %v, want 0 to 1", p)
	}
	return &Dropout{P: p}
}

// Forward returns x with some elements dropped, or x itself in evaluation mode.
func (l *Dropout) Forward(x *tensor.Tensor) *tensor.Tensor {
	if l == nil {
		fail("Dropout", "the layer is nil")
	}
	return x.Dropout(l.P, !l.eval, l.Generator)
}

// SetTraining turns dropping on or off; [Train] and [Eval] call it.
func (l *Dropout) SetTraining(on bool) { l.eval = !on }

// generator is for [Summary], which leaves its state as it is.
func (l *Dropout) generator() *tensor.Generator {
	if l == nil {
		return nil
	}
	return l.Generator
}

// Training reports whether the layer is in training mode.
func (l *Dropout) Training() bool { return !l.eval }

// brief returns "Dropout(0.5)".
func (l *Dropout) brief() string { return fmt.Sprintf("Dropout(%v)", l.P) }

// String returns what PyTorch prints: "Dropout(p=0.5, inplace=False)".
func (l *Dropout) String() string { return "Dropout(p=" + float(l.P) + ", inplace=False)" }

func (l *Dropout) Parts() []Part { return nil }

type dropoutConfig struct {
	P float64 `json:"p"`
}

func (l *Dropout) Config() (string, []byte) { return config("Dropout", dropoutConfig{l.P}) }

func init() {
	register("Dropout", func(c dropoutConfig, _ *room) (*Dropout, error) { return NewDropout(c.P), nil })
}
