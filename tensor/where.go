package tensor

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// Where chooses from a where cond (a Bool tensor) is true and from b elsewhere;
// all three broadcast. a and b have one type. (torch.where)
func Where(cond, a, b *Tensor) *Tensor {
	const name = "Where"
	promote(&a, &b)
	out := where(name, cond, a, b)
	if !tracked(name, out, cond, a, b) {
		return out
	}
	c := cond.bare()
	return record(ops.Where{}, out, partial{of: cond},
		partial{a, func(g *Tensor) *Tensor { return g.MaskedFill(with(g, c).Not(), 0) }, []*Tensor{cond}, false},
		partial{b, func(g *Tensor) *Tensor { return g.MaskedFill(c, 0) }, []*Tensor{cond}, false})
}

// where chooses and records nothing.
func where(name string, cond, a, b *Tensor) *Tensor {
	if cond.DType() != Bool {
		fail(name, "the condition is %s, want bool; a comparison or ToDType(Bool) makes one", cond.DType())
	}
	a.wantDType(name, b)
	out := result(name, a.DType(), broadcast(name, broadcast(name, a.shape, b.shape), cond.shape), cond, a, b)
	var geom backend.WhereGeom
	for _, x := range []*Tensor{cond, a, b} {
		if s := out.shape; !s.Equal(x.shape) || x.strides != nil {
			st := stridesOf(s, cond, a, b)
			geom = backend.WhereGeom{Shape: s, Cond: st[0], A: st[1], B: st[2]}
			break
		}
	}
	out.be().Where(out.array(), cond.window(), a.window(), b.window(), geom)
	return out
}

// MaskedFill returns x with value where mask (a Bool tensor) is true; the two
// broadcast. Bool takes any number, of which 0 is false. (torch.Tensor.masked_fill)
func (x *Tensor) MaskedFill(mask *Tensor, value float64) *Tensor {
	const name = "MaskedFill"
	if x.DType() == Bool && value != 0 {
		value = 1
	}
	x.wantRepresentable(name, value)
	v := result(name, x.DType(), Shape{}, x)
	x.be().Fill(v.array(), value)
	out := where(name, mask, v, x)
	v.release()
	if !tracked(name, out, mask, x) {
		return out
	}
	m := mask.bare()
	return record(ops.MaskedFill{Value: value}, out, partial{of: mask}, partial{x, func(g *Tensor) *Tensor { return g.MaskedFill(m, 0) }, []*Tensor{mask}, false})
}
