package layers

import "github.com/wick-ml/wick/tensor"

// Flatten makes one dimension of all but the first: [N C H W] becomes [N C·H·W].
// (torch.nn.Flatten)
type Flatten struct{}

// Forward returns x as [N …].
func (Flatten) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Flatten(1) }

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
