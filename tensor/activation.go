package tensor

import "github.com/wick-ml/wick/internal/expr"

var tanhshrink = newFormula("Tanhshrink", "tanhshrink", func(x expr.Value, _, _ float64) expr.Value { return x.Sub(x.Tanh()) })

// Tanhshrink returns x - tanh(x). (torch.nn.functional.tanhshrink)
func (x *Tensor) Tanhshrink() *Tensor { return tanhshrink.of(x, 0, 0) }

var softsign = newFormula("Softsign", "softsign", func(x expr.Value, _, _ float64) expr.Value { return x.Div(x.Abs().AddScalar(1)) })

// Softsign returns x/(1+|x|). (torch.nn.functional.softsign)
func (x *Tensor) Softsign() *Tensor { return softsign.of(x, 0, 0) }
