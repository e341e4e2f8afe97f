package tensor

import "github.com/wick-ml/wick/internal/backend"

// Where chooses from a where cond (a Bool tensor) is true and from b elsewhere;
// all three broadcast. a and b have one type. (torch.where)
func Where(cond, a, b *Tensor) *Tensor {
	const name = "Where"
	promote(&a, &b)
	out := where(name, cond, a, b)
	c := cond.bare()
	return record(name, out, partial{of: cond},
		partial{a, func(g *Tensor) *Tensor { return g.MaskedFill(c.Not(), 0) }, []*Tensor{cond}, false},
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
	if s := out.shape; !s.Equal(cond.shape) || !s.Equal(a.shape) || !s.Equal(b.shape) {
		geom = backend.WhereGeom{Shape: s, Cond: cond.shape.stridesIn(s), A: a.shape.stridesIn(s), B: b.shape.stridesIn(s)}
	}
	out.be().Where(out.array(), cond.array(), a.array(), b.array(), geom)
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
	v.Release()
	m := mask.bare()
	return record(name, out, partial{of: mask}, partial{x, func(g *Tensor) *Tensor { return g.MaskedFill(m, 0) }, []*Tensor{mask}, false})
}
