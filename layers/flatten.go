package layers

import (
	"fmt"

	"github.com/wick-ml/wick/tensor"
)

// Flatten makes one dimension of all but the first, [N C H W] becomes [N C·H·W], or
// of those from StartDim to EndDim: Flatten{StartDim: new(0), EndDim: new(1)}
// joins the first two. (torch.nn.Flatten)
type Flatten struct {
	StartDim *int `json:"start_dim,omitempty"` // nil: 1
	EndDim   *int `json:"end_dim,omitempty"`   // nil: -1, the last
}

// dims returns the first and the last of the dimensions that become one.
func (l Flatten) dims() (start, end int) {
	start, end = 1, -1
	if l.StartDim != nil {
		start = *l.StartDim
	}
	if l.EndDim != nil {
		end = *l.EndDim
	}
	return start, end
}

// Forward returns x as [N …].
func (l Flatten) Forward(x *tensor.Tensor) *tensor.Tensor {
	start, end := l.dims()
	return x.Flatten(start, end)
}

// brief returns "Flatten", or "Flatten(0, 1)" where the dimensions are not the
// defaults.
func (l Flatten) brief() string {
	start, end := l.dims()
	if start == 1 && end == -1 {
		return "Flatten"
	}
	return fmt.Sprintf("Flatten(%d, %d)", start, end)
}

// String returns what PyTorch prints: "Flatten(start_dim=1, end_dim=-1)".
func (l Flatten) String() string {
	start, end := l.dims()
	return fmt.Sprintf("Flatten(start_dim=%d, end_dim=%d)", start, end)
}

func (Flatten) Parts() []Part { return nil }

func (l Flatten) Config() (string, []byte) { return config("Flatten", l) }

func init() { registerPlain[Flatten]("Flatten") }

// Identity returns what it is given. (torch.nn.Identity)
type Identity struct{}

// Forward returns x.
func (Identity) Forward(x *tensor.Tensor) *tensor.Tensor { return x }

func (Identity) String() string { return "Identity()" }

func (Identity) Parts() []Part { return nil }

func (l Identity) Config() (string, []byte) { return config("Identity", l) }

func init() { registerPlain[Identity]("Identity") }
