package main

import (
	"math"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// attention is the scaled dot product of several heads with a causal mask, written
// out as in PyTorch: q, k and v are [B T heads·D], mask [T T] is true where a
// position may not look. (Vaswani et al., Attention Is All You Need, 2017)
func attention(q, k, v, mask *tensor.Tensor, heads int) *tensor.Tensor {
	b, t, c := q.Size(0), q.Size(1), q.Size(2)
	d := c / heads
	split := func(x *tensor.Tensor) *tensor.Tensor { return x.View(b, t, heads, d).Transpose(1, 2) }
	scores := split(q).MatMul(split(k).Transpose(2, 3)).DivScalar(math.Sqrt(float64(d)))
	return scores.MaskedFill(mask, math.Inf(-1)).Softmax(3).MatMul(split(v)).Transpose(1, 2).Reshape(b, t, c)
}

// causal returns the mask of attention.
func causal(t int) *tensor.Tensor { return tensor.Ones(t, t).Triu(1).ToDType(tensor.Bool) }

// attend is the work of attention: the forward pass, or both passes.
func attend(s size, batch, t, heads int, both bool) *work {
	batch, t, heads = s.of(batch, 2), s.of(t, 5), s.of(heads, 2)
	c := heads * s.of(64, 4)
	mask := s.to(causal(t))
	f := func(in []*tensor.Tensor) *tensor.Tensor { return attention(in[0], in[1], in[2], mask, heads) }
	a, inputs := args{Heads: heads}, []*tensor.Tensor{tensor.Randn(batch, t, c), tensor.Randn(batch, t, c), tensor.Randn(batch, t, c)}
	flops := 4 * float64(batch*t*t*c) // the masked half too
	if !both {
		// In a scope, as PyTorch's side gives back at once what the function needs no more.
		w := function(s, "attention", a, nil, func(in []*tensor.Tensor) (y *tensor.Tensor) {
			scopedAll(in, func() { y = f(in).Keep() })
			return y
		}, inputs...)
		w.flops = flops
		if s.gpu() {
			w.tolerance = 5e-3
		}
		return w
	}
	w := passes(s, "attention", a, f, inputs...)
	w.flops = 3 * flops
	return w
}

// passes is the work of the forward and the backward pass of an operation, for the
// gradients of all inputs.
func passes(s size, op string, a args, f func(in []*tensor.Tensor) *tensor.Tensor, inputs ...*tensor.Tensor) *work {
	a.Both = true
	w := &work{spec: spec{Op: op, Args: a}, tolerance: 1e-4}
	if s.gpu() {
		w.tolerance = 5e-3
	}
	on := make([]*tensor.Tensor, len(inputs))
	for i, x := range inputs {
		on[i] = s.to(x)
		w.spec.Wrt = append(w.spec.Wrt, i)
	}
	g := tensor.Randn(f(on).Shape()...)
	w.tensors = append(inputs[:len(inputs):len(inputs)], g)
	g = s.to(g)
	w.step = func(results bool) (found []*tensor.Tensor) {
		in, grads := make([]*tensor.Tensor, len(on)), make([]func() *tensor.Tensor, len(on))
		scopedAll(on, func() {
			for i, x := range on {
				in[i], grads[i] = sink(x, &results)
			}
			f(in).Backward(tensor.BackwardOpts{Gradient: g})
		})
		if results {
			for _, grad := range grads {
				found = append(found, grad())
			}
		}
		return found
	}
	return w
}

// scopedAll is scoped for several tensors.
func scopedAll(xs []*tensor.Tensor, f func()) {
	for _, x := range xs {
		inner := f
		f = func() { scoped(x, inner) }
	}
	f()
}

// transformer is a block of GPT-2, which takes the norm before each of its halves.
// (Radford et al., Language Models are Unsupervised Multitask Learners, 2019)
type transformer struct {
	norm1, norm2           *layers.LayerNorm
	qkv, out, wide, narrow *layers.Linear
	heads                  int
	mask                   *tensor.Tensor
}

func newTransformer(c, t, heads int) *transformer {
	return &transformer{
		layers.NewLayerNorm(c), layers.NewLayerNorm(c),
		layers.NewLinear(c, 3*c), layers.NewLinear(c, c), layers.NewLinear(c, 4*c), layers.NewLinear(4*c, c), heads, causal(t),
	}
}

func (m *transformer) Parts() []layers.Part {
	return []layers.Part{
		layers.Child("norm1", m.norm1), layers.Child("qkv", m.qkv), layers.Child("out", m.out),
		layers.Child("norm2", m.norm2), layers.Child("wide", m.wide), layers.Child("narrow", m.narrow),
	}
}

func (m *transformer) Forward(x *tensor.Tensor) *tensor.Tensor {
	qkv := m.qkv.Forward(m.norm1.Forward(x)).Chunk(3, 2)
	x = x.Add(m.out.Forward(attention(qkv[0], qkv[1], qkv[2], m.mask, m.heads)))
	return x.Add(m.narrow.Forward(layers.GELU{}.Forward(m.wide.Forward(m.norm2.Forward(x)))))
}

// transform is a transformer block's forward and backward pass.
func transform(s size) *work {
	batch, t, heads := s.of(8, 2), s.of(128, 5), s.of(8, 2)
	c := heads * s.of(64, 4)
	m := newTransformer(c, t, heads)
	x := tensor.Randn(batch, t, c)
	w := trained(s, "transformer", args{Heads: heads, Channels: c}, m, x)
	w.tolerance = 1e-4
	if s.gpu() {
		w.tolerance = 0.01
		m.mask = s.to(m.mask)
	}
	w.flops = 3 * (24*float64(batch*t*c*c) + 4*float64(batch*t*t*c))
	return w
}
