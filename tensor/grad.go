package tensor

import (
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// BackwardOpts are the options of [Tensor.Backward].
type BackwardOpts struct {
	Gradient    *Tensor // the gradient of the tensor itself; by default 1, for a tensor of one element
	RetainGraph bool    // keep what is recorded, for another Backward or Grad
	CreateGraph bool    // record how gradients are computed, so that the leaves' Grad have gradients of their own; it keeps what is recorded, too
}

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
	autograd.Backward(x, autograd.BackwardOpts[*Tensor](o))
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
	tape.MarkRequiresGrad(x, on)
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
	arithmetic{}.Accumulate(x, g, false)
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

// arithmetic tells package autograd how to handle gradients.
type arithmetic struct{}

func (arithmetic) Ones(op string, x *Tensor) *Tensor {
	if x.Len() != 1 {
		or := "give BackwardOpts.Gradient"
		if op == "Grad" {
			or = "add up its product with a gradient of its own"
		}
		fail(op, "the tensor %v has %d elements, want one; Sum or Mean it, or %s", x.shape, x.Len(), or)
	}
	g := like(op, x)
	x.be().Fill(g.array(), 1)
	g.storage.walkOwns = true
	return g
}

func (arithmetic) Add(a, b *Tensor, create bool) *Tensor {
	if !a.shape.Equal(b.shape) || a.DType() != b.DType() {
		fail("Backward", "two gradients of one tensor are %s %v and %s %v", a.DType(), a.shape, b.DType(), b.shape)
	}
	if create {
		return a.Add(b)
	}
	sum := a.bare().Add(b.bare())
	sum.storage.walkOwns = true
	return sum
}

func (arithmetic) Accumulate(leaf, g *Tensor, create bool) *Tensor {
	if !g.shape.Equal(leaf.shape) || g.DType() != leaf.DType() || g.storage.device != leaf.storage.device {
		fail("Backward", "the gradient is %s %v on %s, the leaf %s %v on %s",
			g.DType(), g.shape, g.storage.device, leaf.DType(), leaf.shape, leaf.storage.device)
	}
	if r := leaf.storage.device.recorder.Load(); r != nil {
		r.accumulates(leaf)
	}
	if create || leaf.hasGrad && !leaf.grad.IsLeaf() { // a gradient with a history is not changed, but replaced
		switch {
		case !leaf.hasGrad:
			leaf.grad = g.Clone() // others may have g, or it may be a view
		case create:
			leaf.grad = leaf.grad.Add(g)
		default:
			leaf.grad = leaf.grad.bare().Add(g.bare())
		}
		leaf.hasGrad = true
		leaf.grad.storage.liveAs(leaf) // not only as long as the step does
		return leaf.grad
	}
	if st := g.storage; !leaf.hasGrad && st.walkOwns && st.walkRefs == 1 && g.strides == nil && g.Len() == st.buffer.Len() {
		// Nobody else has g: its memory becomes that of the leaf's gradient, and lives as the leaf does.
		st.walkOwns = false
		st.liveAs(leaf)
		if leaf.grad != nil && leaf.grad.IsLeaf() {
			leaf.grad.storage.release()
		} else {
			leaf.grad = &Tensor{variable: tape.Variable()}
		}
		leaf.grad.storage, leaf.grad.offset, leaf.grad.shape, leaf.grad.strides, leaf.grad.said = st, 0, slices.Clone(leaf.shape), nil, nil
		leaf.hasGrad = true
		return leaf.grad
	}
	// The buffer lives as the leaf does, whatever scope is open now.
	if leaf.grad == nil || leaf.grad.storage.released.Load() || leaf.grad.DType() != leaf.DType() || !leaf.grad.IsLeaf() ||
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

// liveAs puts memory into the scopes of x, and into no others.
func (s *storage) liveAs(x *Tensor) {
	s.leave(nil)
	for _, sc := range x.storage.inScopes() {
		s.enter(sc)
	}
}

// Run has backward compute with g. Where no graph is created it keeps the gradients
// that backward returns and releases at once whatever else it makes out of g: all of
// that is in a scope of its own, since g is within it.
func (arithmetic) Run(g *Tensor, pass *autograd.Pass, backward func(g *Tensor) []*Tensor) []*Tensor {
	if pass == nil {
		return backward(g)
	}
	s := NewScope()
	g = g.bare()
	g.within = s
	tape.MarkPass(g, pass)
	results := backward(g)
	for _, r := range results {
		if r == nil {
			continue
		}
		r.within = nil
		if r.storage != g.storage && r.storage.belongs(s) {
			r.storage.leave(s)
			r.storage.walkOwns = true
		}
	}
	clear(s.close())
	return results
}

func (arithmetic) Retain(g *Tensor) { g.storage.walkRefs++ }

func (arithmetic) Release(g *Tensor) {
	if g.storage.walkRefs--; g.storage.walkRefs == 0 && g.storage.walkOwns {
		g.storage.release()
	}
}

func (arithmetic) Alias(x *Tensor) *Tensor { return x.bare() }

func (arithmetic) Version(x *Tensor) uint64 { return x.storage.version.Load() }

func (arithmetic) Describe(x *Tensor) string { return x.describe() }

// beside returns x, a value that a closure has saved or nil, as an operand in the
// computation of a gradient from g. Where no graph is created, the result is no-grad,
// and what is made from it goes with the walk. A closure that computes something from
// saved values alone has to take them from here, or from with.
func beside(g, x *Tensor) *Tensor {
	if x != nil && tape.InPass(g) {
		x = x.bare()
		x.within = g.within
		tape.TakeNoGrad(x, g)
	}
	return x
}

// with is beside in the type that a gradient computes in: Float32 if g is, instead of a
// half type.
func with(g, x *Tensor) *Tensor {
	x = beside(g, x)
	if x != nil && g.DType() == Float32 && x.DType().IsHalf() {
		return x.ToDType(Float32)
	}
	return x
}

// reuses reports whether an operation on x and y may overwrite x, a temporary value of
// the closure that calls it: whether nothing is recorded and the result is like x.
func (x *Tensor) reuses(y *Tensor) bool {
	return tape.InPass(x) && x.strides == nil && y.shape.broadcastsTo(x.shape) && x.DType() == y.DType()
}

// zeroGrad returns zeros of a shape as what an operation makes of g, the gradient of its
// result, where its slope is 0.
func zeroGrad(g *Tensor, shape Shape) *Tensor {
	const op = "ZeroGrad"
	out := zeros(op, shape, g)
	if !tracked(op, out, g) {
		return out
	}
	from := g.shape
	return autograd.Record(ops.ZeroGrad{Shape: shape}, out, []*Tensor{g}, func(g *Tensor) []*Tensor { return []*Tensor{zeroGrad(g, from)} })
}

// The following are operations for a closure, which needs x no more: they overwrite it
// where they may.

// plus returns x + y.
func (x *Tensor) plus(y *Tensor) *Tensor { return x.combined(backend.Add, y) }

// times returns x·y.
func (x *Tensor) times(y *Tensor) *Tensor { return x.combined(backend.Mul, y) }

// combined returns op(x, y).
func (x *Tensor) combined(op backend.BinaryOp, y *Tensor) *Tensor {
	if !x.reuses(y) {
		return x.binaryOf(op, y)
	}
	overwriteWith(x, op, y)
	return x
}

// combinedWith returns op(x, v).
func (x *Tensor) combinedWith(op backend.BinaryOp, v float64) *Tensor {
	if !x.reuses(x) {
		return x.scalarOf(ops.Scalar{Kind: op, S: v})
	}
	overwriteScalar(x, op, v)
	return x
}

// mapped returns op(x).
func (x *Tensor) mapped(op backend.UnaryOp) *Tensor {
	if !x.reuses(x) {
		return x.unaryOf(ops.Unary{Kind: op})
	}
	overwrite(x, op)
	return x
}

// filled returns x with v where mask is true.
func (x *Tensor) filled(mask *Tensor, v float64) *Tensor {
	if !tape.InPass(x) || x.strides != nil || !mask.shape.broadcastsTo(x.shape) {
		return x.MaskedFill(mask, v)
	}
	fillWhere(x, mask, v)
	return x
}

// savedIf is saved of an operand that may be absent.
func (x *Tensor) savedIf() *Tensor {
	if x == nil {
		return nil
	}
	return x.saved()
}

// unmarked returns x, an operand that gets no gradient and may be absent, for a record
// that does not take its marks.
func (x *Tensor) unmarked() *Tensor {
	if x == nil {
		return nil
	}
	return x.bare()
}

// scaled returns x·v for a closure, which needs x no more.
func (x *Tensor) scaled(v float64) *Tensor { return x.combinedWith(backend.Mul, v) }

// shifted returns x + v for a closure, which needs x no more.
func (x *Tensor) shifted(v float64) *Tensor { return x.combinedWith(backend.Add, v) }
