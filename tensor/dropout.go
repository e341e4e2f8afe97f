package tensor

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Dropout sets elements to 0 with probability p and scales the others by 1/(1-p)
// in training; otherwise it returns x itself. The default generator decides, or
// the one that is given. (Srivastava et al., "Dropout: A Simple Way to Prevent
// Neural Networks from Overfitting", 2014; torch.nn.functional.dropout)
func (x *Tensor) Dropout(p float64, training bool, generator ...*Generator) *Tensor {
	const name = "Dropout"
	wantProbability(name, p)
	x.wantFloat(name)
	x.check(name)
	if !training || p == 0 {
		return x
	}
	scale := 0.0 // nothing is left to be scaled where p is 1
	if p < 1 {
		scale = 1 / (1 - p)
	}
	mask := like(name, x)
	x.be().Random(mask.array(), chosen(name, generator).draw(backend.Bernoulli, 1-p, scale, x.Len()))
	out := binary(name, backend.Mul, x, mask)
	if !tracked(name, out, x) {
		return out
	}
	return record(ops.Dropout{P: p}, out, partial{of: x, grad: func(g *Tensor) *Tensor { return g.Mul(mask) }})
}
