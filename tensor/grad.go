package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
)

// BackwardOpts are the options of [Tensor.Backward]: Gradient is the gradient of
// the tensor itself (default 1, for a tensor of one element), RetainGraph keeps
// what was recorded for another Backward.
type BackwardOpts = autograd.BackwardOpts[*Tensor]

// Backward computes the gradient of x, a tensor of one element, with respect to
// all leaves that require one, and adds it to their Grad. What was recorded is
// freed. See [autograd.Backward].
func (x *Tensor) Backward(opts ...BackwardOpts) {
	var o BackwardOpts
	if len(opts) > 0 {
		o = opts[0]
	}
	x.check("Backward")
	if g := o.Gradient; g != nil {
		g.check("Backward")
		if !g.shape.Equal(x.shape) || g.DType() != x.DType() {
			fail("Backward", "the gradient is %s %v, want %s %v as the tensor is", g.DType(), g.shape, x.DType(), x.shape)
		}
	}
	autograd.Backward(x, o)
}

// RequiresGrad reports whether gradients are computed for x: it is a leaf that
// asks for one, or made from such leaves.
func (x *Tensor) RequiresGrad() bool {
	x.exists()
	return x.variable.RequiresGrad()
}

// SetRequiresGrad makes a leaf ask for a gradient, or no longer. It returns x.
func (x *Tensor) SetRequiresGrad(on bool) *Tensor {
	x.exists()
	if on {
		x.wantFloat("SetRequiresGrad")
		if x.IsNoGrad() {
			fail("SetRequiresGrad", "the tensor is marked no-grad; Detach takes the mark off")
		}
	}
	x.MarkRequiresGrad(on)
	return x
}

// IsLeaf reports whether no recorded operation made x.
func (x *Tensor) IsLeaf() bool {
	x.exists()
	return x.variable.IsLeaf()
}

// RegisterHook has hook called by each Backward once the gradient of x, a leaf,
// is complete, with that gradient. It returns a function that removes the hook.
// (torch.Tensor.register_post_accumulate_grad_hook)
func (x *Tensor) RegisterHook(hook func(grad *Tensor)) (remove func()) {
	x.exists()
	if hook == nil {
		fail("RegisterHook", "the hook is nil")
	}
	return x.variable.RegisterHook(hook)
}

// Grad returns the gradient that Backward has left on a leaf, or nil. It is the
// leaf's own: the next Backward adds to it.
func (x *Tensor) Grad() *Tensor {
	x.exists()
	if !x.hasGrad {
		return nil
	}
	return x.grad
}

// SetGrad makes g the leaf's gradient (by copying it); nil means none.
func (x *Tensor) SetGrad(g *Tensor) {
	if g == nil {
		x.ZeroGrad()
		return
	}
	x.ZeroGrad()
	g.exists()
	tape{}.Accumulate(x, g)
}

// ZeroGrad forgets the leaf's gradient: Grad is nil until the next Backward,
// which reuses its memory.
func (x *Tensor) ZeroGrad() {
	x.exists()
	x.hasGrad = false
	if r := x.storage.device.recorder.Load(); r != nil {
		r.zeroes(x)
	}
}

// Arithmetic is for package autograd.
func (x *Tensor) Arithmetic() autograd.Arithmetic[*Tensor] { return tape{} }

// tape tells package autograd how to handle gradients.
type tape struct{}

func (tape) Ones(x *Tensor) *Tensor {
	if x.Len() != 1 {
		fail("Backward", "the tensor %v has %d elements, want one; Sum or Mean it, or give BackwardOpts.Gradient", x.shape, x.Len())
	}
	g := like("Backward", x)
	x.be().Fill(g.array(), 1)
	g.storage.walkOwns = true
	return g
}

func (tape) Add(a, b *Tensor) *Tensor {
	if !a.shape.Equal(b.shape) || a.DType() != b.DType() {
		fail("Backward", "two gradients of one tensor are %s %v and %s %v", a.DType(), a.shape, b.DType(), b.shape)
	}
	sum := a.bare().Add(b.bare())
	sum.storage.walkOwns = true
	return sum
}

func (tape) Accumulate(leaf, g *Tensor) *Tensor {
	if !g.shape.Equal(leaf.shape) || g.DType() != leaf.DType() || g.storage.device != leaf.storage.device {
		fail("Backward", "the gradient is %s %v on %s, the leaf %s %v on %s",
			g.DType(), g.shape, g.storage.device, leaf.DType(), leaf.shape, leaf.storage.device)
	}
	if r := leaf.storage.device.recorder.Load(); r != nil {
		r.accumulates(leaf)
	}
	if st := g.storage; !leaf.hasGrad && st.walkOwns && st.walkRefs == 1 && g.Len() == st.buffer.Len() {
		// Nobody else has g: its memory becomes that of the leaf's gradient, and lives as the leaf does.
		st.walkOwns = false
		st.leave(nil)
		for _, sc := range leaf.storage.inScopes() {
			st.enter(sc)
		}
		if leaf.grad == nil {
			leaf.grad = &Tensor{}
		} else {
			leaf.grad.storage.release()
		}
		leaf.grad.storage, leaf.grad.offset, leaf.grad.shape = st, 0, slices.Clone(leaf.shape)
		leaf.hasGrad = true
		return leaf.grad
	}
	// The buffer lives as the leaf does, whatever scope is open now.
	if leaf.grad == nil || leaf.grad.storage.released.Load() || leaf.grad.DType() != leaf.DType() ||
		leaf.grad.storage.device != leaf.storage.device || !leaf.grad.shape.Equal(leaf.shape) {
		leaf.grad = alloc("Backward", leaf.storage.device, leaf.DType(), leaf.shape, leaf.storage.inScopes()...)
		leaf.hasGrad = false
	}
	if leaf.hasGrad {
		leaf.grad.AddInPlace(g)
	} else {
		leaf.grad.CopyFrom(g)
		leaf.hasGrad = true
	}
	return leaf.grad
}

// Run keeps the gradients that backward returns and releases at once whatever
// else it makes out of g: all of that is in a scope of its own, since results
// belong to the scopes of their operands.
func (tape) Run(g *Tensor, backward func(g *Tensor) []*Tensor) []*Tensor {
	s := NewScope()
	g = g.bare()
	g.storage.enter(s)
	results := backward(g)
	g.storage.leave(s)
	for _, r := range results {
		if r != nil && r.storage != g.storage && r.storage.belongs(s) {
			r.storage.leave(s)
			r.storage.walkOwns = true
		}
	}
	s.close()
	return results
}

func (tape) Retain(g *Tensor) { g.storage.walkRefs++ }

func (tape) Release(g *Tensor) {
	if g.storage.walkRefs--; g.storage.walkRefs == 0 && g.storage.walkOwns {
		g.storage.release()
	}
}

func (tape) Version(x *Tensor) uint64 { return x.storage.version.Load() }

func (tape) Describe(x *Tensor) string { return x.describe() }
