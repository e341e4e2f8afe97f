package layers

import "github.com/wick-ml/wick/tensor"

// Softsign is x/(1+|x|), for any shape. (torch.nn.Softsign)
type Softsign struct{}

// Forward returns x/(1+|x|).
func (Softsign) Forward(x *tensor.Tensor) *tensor.Tensor { return x.Softsign() }

// Parts returns nothing.
func (Softsign) Parts() []Part { return nil }

// Config describes the layer for Save.
func (l Softsign) Config() (string, []byte) { return config("Softsign", l) }

// String returns "Softsign()".
func (Softsign) String() string { return "Softsign()" }

func init() { registerPlain[Softsign]("Softsign") }
