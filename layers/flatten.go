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

// Parts returns nothing.
func (Flatten) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Flatten) Config() (string, []byte) { return config("Flatten", l) }

// Identity returns what it is given. (torch.nn.Identity)
type Identity struct{}

// Forward returns x.
func (Identity) Forward(x *tensor.Tensor) *tensor.Tensor { return x }

// Parts returns nothing.
func (Identity) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Identity) Config() (string, []byte) { return config("Identity", l) }

func init() {
	registerPlain[Flatten]("Flatten")
	registerPlain[Identity]("Identity")
}
