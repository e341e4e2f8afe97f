package optim

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/expr"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for this one.
var friends = friend.Of[*tensor.Tensor]()

// What all optimizers have in common: which parameters make a step together, what is
// kept for them, and what a step that is part of a CUDA graph takes again. An optimizer
// is a formula beside it.

// ruler is an optimizer. Its rule writes what one step does to a parameter into s, and
// changes nothing. It is called for parameters that make the same step together, with
// the group that they are of, and checks the settings that it reads.
type ruler interface {
	rule(s *step)
}

// step is what a rule is written into. Its methods give the rule's values and numbers.
type step struct {
	memory  *memory
	group   *Group
	index   int       // of the group
	n       int       // the number of the step, counted from 1
	empty   uint      // bits of what is not kept yet
	scalars []float64 // numbers that are kept, as they are after the step

	parts               []*part
	momentums, hasBetas bool // the rule asks for the group's

	first struct { // the first part and its lists, in one block of memory
		part
		parts   [2]*part
		instrs  [40]expr.Instr
		numbers [12]float64
		lists   [6]list
		loaded  [6]expr.Value
		stores  [5]store
	}
}

// part is a rule of the backend. A step is one, unless tensors come between.
type part struct {
	expr.Formula
	kernel backend.Kernel
	lists  []list
	loaded []expr.Value // of lists, where they are loaded
	stores []store
	then   func(x *tensor.Tensor) *tensor.Tensor // gives what the next part starts from
	form   string                                // of then
}

// list is tensors of the parameters: themselves, gradients, what is kept, or what is
// neither.
type list struct {
	kind int     // an index of memory.names, or one of the kinds
	init float64 // what the elements are where there is none yet
}

const (
	ofParams = -1 - iota
	ofGrads
	between // what a part hands to the next
)

type store struct {
	list  int
	value expr.Value
}

func (s *step) now() *part { return s.parts[len(s.parts)-1] }

// begin adds a part.
func (s *step) begin() {
	p := new(part)
	if s.parts == nil {
		f := &s.first
		p, s.parts = &f.part, f.parts[:0]
		p.Expr, p.Numbers, p.lists, p.loaded, p.stores = f.instrs[:0], f.numbers[:0], f.lists[:0], f.loaded[:0], f.stores[:0]
	}
	p.lists, p.loaded = append(p.lists, list{kind: ofParams}, list{kind: ofGrads}), append(p.loaded, expr.Value{}, expr.Value{})
	s.parts = append(s.parts, p)
}

// of returns the place of a list among the part's.
func (p *part) of(l list) int {
	i := slices.IndexFunc(p.lists, func(m list) bool { return m.kind == l.kind })
	if i < 0 {
		i = len(p.lists)
		p.lists, p.loaded = append(p.lists, l), append(p.loaded, expr.Value{})
	}
	return i
}

func (p *part) load(i int) expr.Value {
	if p.loaded[i] == (expr.Value{}) {
		p.loaded[i] = p.Load(i)
	}
	return p.loaded[i]
}

// param is the parameter, and grad its gradient.
func (s *step) param() expr.Value { return s.now().load(0) }
func (s *step) grad() expr.Value  { return s.now().load(1) }

// direction is the gradient, to climb against its sign, with the weight decay that goes by
// way of it.
func (s *step) direction(maximize bool, decay float64) expr.Value {
	d := s.grad()
	if maximize {
		d = d.Neg()
	}
	if decay != 0 {
		d = d.Add(s.param().MulScalar(decay))
	}
	return d
}

// setParam makes v the parameter.
func (s *step) setParam(v expr.Value) {
	p := s.now()
	p.stores = append(p.stores, store{0, v})
}

// state is what is kept under a name, which is init at first.
func (s *step) state(name string, init float64) expr.Value {
	p := s.now()
	return p.load(p.of(list{s.memory.index(name), init}))
}

// setState keeps v.
func (s *step) setState(name string, v expr.Value) {
	p := s.now()
	p.stores = append(p.stores, store{p.of(list{kind: s.memory.index(name)}), v})
}

// isKept reports whether anything is kept under a name.
func (s *step) isKept(name string) bool { return s.empty>>s.memory.index(name)&1 == 0 }

// scalar is a number that is kept under a name, 0 at first, for the rule to read and to
// change.
func (s *step) scalar(name string) *float64 {
	return &s.scalars[slices.Index(s.memory.scalars, name)]
}

// numbersOf adds numbers to the rule, for a kernel; see expr.Formula.
func (s *step) numbersOf(xs ...float64) func(i int) expr.Value { return s.now().NumbersOf(xs...) }

// number is a number of the rule's.
func (s *step) number(x float64) expr.Value { return s.now().Number(x) }

// through hands v to f as a tensor, and returns as a value what f makes of it, which has the
// parameter's shape. No value from before may be used behind. form names the settings that f
// reads: it is another where they are others.
func (s *step) through(v expr.Value, form string, f func(x *tensor.Tensor) *tensor.Tensor) expr.Value {
	p := s.now()
	p.stores = append(p.stores, store{p.of(list{kind: between}), v})
	p.then, p.form = f, form
	s.begin()
	p = s.now()
	return p.load(p.of(list{kind: between}))
}

// lr is the learning rate.
func (s *step) lr() float64 { return s.group.LR }

// op is what errors begin with.
func (s *step) op() string { return s.memory.op }

// want panics unless ok.
func (s *step) want(ok bool, format string, args ...any) { want(ok, s.op(), format, args...) }

// wantNumber panics unless a setting is a number, 0 or more.
func (s *step) wantNumber(name string, v float64) {
	if !(v >= 0) || math.IsInf(v, 1) {
		wantNumber(s.op(), name, v)
	}
}

// momentum is the group's momentum, or the optimizer's.
func (s *step) momentum(own float64) float64 {
	s.momentums = true
	m := or(s.group.Momentum, own)
	s.wantNumber("Momentum", m)
	return m
}

// betas are the group's, or the optimizer's.
func (s *step) betas(own [2]float64) (beta1, beta2 float64) {
	s.hasBetas = true
	b := or(s.group.Betas, own)
	if !(b[0] >= 0 && b[0] < 1 && b[1] >= 0 && b[1] < 1) {
		s.want(false, "Betas are %v, want from 0 to less than 1", b)
	}
	return b[0], b[1]
}

// weightDecay is the group's, or the optimizer's.
func (s *step) weightDecay(own float64) float64 {
	d := or(s.group.WeightDecay, own)
	s.wantNumber("WeightDecay", d)
	return d
}

// write makes the optimizer write its rule.
func (s *step) write(o ruler) *step {
	wantLR(s.op(), s.index, s.group.LR)
	s.begin()
	o.rule(s)
	name := s.memory.optimizer
	if s.group.Momentum != nil && !s.momentums {
		s.want(false, "a group has Momentum, which %s does not know", name)
	}
	if s.group.Betas != nil && !s.hasBetas {
		s.want(false, "a group has Betas, which %s does not know", name)
	}
	for _, p := range s.parts {
		slices.SortFunc(p.stores, func(a, b store) int { return a.list - b.list })
		for i, st := range p.stores {
			p.Store(i, st.value)
		}
	}
	return s
}

// like reports whether two rules are the same but for their numbers.
func (s *step) like(t *step) bool {
	return slices.EqualFunc(s.parts, t.parts, func(p, q *part) bool {
		return slices.Equal(p.Expr, q.Expr) && p.kernel == q.kernel && p.form == q.form &&
			slices.EqualFunc(p.lists, q.lists, func(a, b list) bool { return a.kind == b.kind }) &&
			slices.EqualFunc(p.stores, q.stores, func(a, b store) bool { return a.list == b.list })
	})
}

// memory is what an optimizer keeps for its parameters.
type memory struct {
	optimizer string   // the optimizer's name
	op        string   // what errors of its steps begin with
	names     []string // what it keeps, under PyTorch's names
	needed    int      // so many of names are always there after a step
	scalars   []string // the numbers that it keeps
	slots     map[*tensor.Tensor]*slot
	changes   int  // that slots got, or a slot's tensors
	plain     bool // take no kernels, for a test
}

// slot is what is kept for one parameter.
type slot struct {
	steps   int              // that the parameter has made
	kept    []*tensor.Tensor // one for each of memory.names, or nil
	scalars []float64        // one for each of memory.scalars, or none
}

func newMemory(optimizer string, needed int, names ...string) memory {
	return memory{optimizer: optimizer, op: optimizer + ".Step", names: names, needed: needed, slots: make(map[*tensor.Tensor]*slot)}
}

// with adds numbers to what is kept.
func (m memory) with(scalars ...string) memory {
	m.scalars = scalars
	return m
}

func (m *memory) index(name string) int {
	i := slices.Index(m.names, name)
	if i < 0 {
		panic("optim: nothing is kept under the name " + name)
	}
	return i
}

const byHand = "the optimizer was made without its constructor, want one that NewSGD or its like made"

// step changes the parameters of all groups that have gradients. No parameter has changed if
// it panics because of a setting.
func (m *memory) step(o ruler, gs *Groups) {
	want(m.slots != nil, "Step", byHand)
	gs.check(m.op)
	var all []*batch
	for i := range *gs {
		bs := m.batches(o, gs, i)
		for _, b := range bs {
			b.made = b.next()
		}
		if len(bs) == 0 { // for its checks
			(&step{memory: m, group: &(*gs)[i], index: i, n: 1, scalars: make([]float64, len(m.scalars))}).write(o)
		}
		all = append(all, bs...)
	}
	same := m.fits(gs)
	for _, b := range all {
		b.run(func() bool { return same() && b.fits() })
	}
}

// batch is parameters of a group that make the same step.
type batch struct {
	memory        *memory
	o             ruler
	groups        *Groups
	group         int
	params, grads []*tensor.Tensor
	slots         []*slot
	made          *step // the step that is made
}

// batches returns the parameters of a group that take part in a step, those that make the
// same one together.
func (m *memory) batches(o ruler, gs *Groups, group int) []*batch {
	var bs []*batch
	for _, p := range (*gs)[group].Params {
		grad := p.Grad()
		if grad == nil || !p.RequiresGrad() {
			continue
		}
		s := m.slots[p]
		if s == nil {
			s = &slot{kept: make([]*tensor.Tensor, len(m.names))}
			m.slots[p] = s
			m.changes++
		}
		i := slices.IndexFunc(bs, func(b *batch) bool { return b.takes(p, s) })
		if i < 0 {
			i = len(bs)
			bs = append(bs, &batch{memory: m, o: o, groups: gs, group: group})
		}
		b := bs[i]
		b.params, b.grads, b.slots = append(b.params, p), append(b.grads, grad), append(b.slots, s)
	}
	return bs
}

// takes reports whether a parameter makes the step that those of the batch make.
func (b *batch) takes(p *tensor.Tensor, s *slot) bool {
	first := b.slots[0]
	return s.steps == first.steps && s.empty() == first.empty() && slices.Equal(s.scalars, first.scalars) &&
		p.Device() == b.params[0].Device() && p.DType() == b.params[0].DType()
}

// empty has a bit for each name that nothing is kept under.
func (s *slot) empty() (bits uint) {
	for i, t := range s.kept {
		if t == nil {
			bits |= 1 << i
		}
	}
	return bits
}

// next returns the step that comes next. It changes nothing.
func (b *batch) next() *step {
	s := b.slots[0]
	var scalars []float64
	if n := len(b.memory.scalars); n > 0 {
		scalars = make([]float64, n)
		copy(scalars, s.scalars)
	}
	next := &step{memory: b.memory, group: &(*b.groups)[b.group], index: b.group, n: s.steps + 1, empty: s.empty(), scalars: scalars}
	return next.write(b.o)
}

// count notes that the parameters make a step.
func (b *batch) count(s *step) {
	b.made = s
	for _, slot := range b.slots {
		slot.steps = s.n
		if len(s.scalars) > 0 {
			slot.scalars = append(slot.scalars[:0], s.scalars...)
		}
	}
}

// run makes the step. What is part of a graph takes its numbers from here when it is launched
// again: the first rule's make the next step, the others go with it.
func (b *batch) run(fits func() bool) {
	b.count(b.made)
	var scope *tensor.Scope // of what is between the parts
	if len(b.made.parts) > 1 {
		scope = tensor.NewScope()
		defer scope.Close()
	}
	var handed []*tensor.Tensor
	for i, p := range b.made.parts {
		lists := make([][]*tensor.Tensor, len(p.lists))
		for k, l := range p.lists {
			switch {
			case l.kind == ofParams:
				lists[k] = b.params
			case l.kind == ofGrads:
				lists[k] = b.grads
			case l.kind >= 0:
				lists[k] = b.kept(l)
			case p.then != nil: // what this part hands on
				handed = make([]*tensor.Tensor, len(b.params))
				for j, x := range b.params {
					handed[j] = tensor.FullLike(x.Detach(), 0).In(scope)
				}
				lists[k] = handed
			default:
				lists[k] = handed
			}
		}
		written := make([]int, len(p.stores))
		for k, st := range p.stores {
			written[k] = st.list
		}
		r := backend.Rule{Expr: p.Expr, Numbers: p.Numbers, Kernel: p.kernel, Fits: fits}
		if b.memory.plain {
			r.Kernel = backend.NoKernel
		}
		r.Renew = func() []float64 {
			if i == 0 {
				b.count(b.next())
			}
			return b.made.parts[i].Numbers
		}
		friends.MapStep(b.memory.op, lists, written, r)
		if p.then != nil {
			for j, x := range handed {
				handed[j] = p.then(x)
			}
		}
	}
}

// kept returns what is kept for the parameters of the batch, and makes what is missing.
func (b *batch) kept(l list) []*tensor.Tensor {
	kept := make([]*tensor.Tensor, len(b.params))
	for j, p := range b.params {
		t := b.slots[j].kept[l.kind]
		was := t
		switch {
		case t == nil:
			t = tensor.FullLike(p, l.init)
		case t.Device() != p.Device() || t.DType() != p.DType():
			t = tensor.FullLike(p, 0).CopyFrom(t) // the model was moved or converted
		}
		if t != was {
			b.slots[j].kept[l.kind] = t
			b.memory.changes++
		}
		kept[j] = t
	}
	return kept
}

// fits reports whether the batch would make the same step but for its numbers.
func (b *batch) fits() bool {
	for i, s := range b.slots {
		if !b.takes(b.params[i], s) {
			return false
		}
	}
	return b.next().like(b.made)
}

// fits returns what tells, later, whether the step of all groups would be made for the same
// parameters with the same tensors: the groups hold the same parameters, those of them that
// require a gradient still do, and nothing was made again of what is kept, in the step that
// calls this first neither.
func (m *memory) fits(gs *Groups) func() bool {
	type group struct {
		params   []*tensor.Tensor
		requires []bool
	}
	groups := make([]group, len(*gs))
	for i, g := range *gs {
		requires := make([]bool, len(g.Params))
		for j, p := range g.Params {
			requires[j] = p.RequiresGrad()
		}
		groups[i] = group{slices.Clone(g.Params), requires}
	}
	changes := m.changes
	return func() bool {
		if m.changes != changes || len(*gs) != len(groups) {
			return false
		}
		for i, g := range *gs {
			was := groups[i]
			if !slices.Equal(g.Params, was.params) {
				return false
			}
			for j, p := range g.Params {
				if p.RequiresGrad() != was.requires[j] {
					return false
				}
			}
		}
		return true
	}
}
