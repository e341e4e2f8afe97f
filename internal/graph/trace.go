package graph

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

var friends = friend.Of[*tensor.Tensor]()

// Trace records f, a forward pass of m from some tensors to some, as a graph. It
// calls f with first and with second, inputs of batches of two sizes of 2 or more
// (so that no dimension of size 1 is taken for the batch) and with different
// numbers in them, and compares the passes; then it replays both, whose results have
// to be the same to the bit. The model must be in evaluation mode: a pass that
// changes a parameter or a buffer is an error. Nothing else may use the model
// meanwhile. What f panics with goes through.
//
// What a branch of Go decides by numbers is found out where the two batches take
// different branches, and not where they take the same. The model that m is
// names the layers and the parameters; a tensor that is no part of it and that f
// does not make from the inputs is a constant. An error is an *Error.
func Trace(m layers.Module, f func(in []*tensor.Tensor) []*tensor.Tensor, first, second []*tensor.Tensor) (*Graph, error) {
	n1, n2, err := batches(first, second)
	if err != nil {
		return nil, err
	}
	var passes [2]*pass
	for i, in := range [][]*tensor.Tensor{first, second} {
		if passes[i], err = record(m, f, in); err != nil {
			return nil, err
		}
	}
	c := comparison{passes[0], passes[1], n1, n2}
	g, err := c.graph()
	if err != nil {
		return nil, err
	}
	for i, in := range [][]*tensor.Tensor{first, second} {
		if err := passes[i].verify(g, in); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// batches returns how many examples two inputs have: the smallest of the sizes that
// differ.
func batches(first, second []*tensor.Tensor) (n1, n2 int, err error) {
	if len(first) != len(second) {
		return 0, 0, &Error{Msg: fmt.Sprintf("got %d inputs in the first batch and %d in the second, want as many", len(first), len(second))}
	}
	for i, x := range first {
		y := second[i]
		if x.Dim() != y.Dim() || x.DType() != y.DType() {
			return 0, 0, &Error{Msg: fmt.Sprintf("input %d is %s %v in the first batch and %s %v in the second, want another batch size only", i, x.DType(), x.Shape(), y.DType(), y.Shape())}
		}
		for d := range x.Shape() {
			if a, b := x.Size(d), y.Size(d); a != b && (n1 == 0 || a < n1) {
				n1, n2 = a, b
			}
		}
	}
	if n1 < 2 || n2 < 2 {
		return 0, 0, &Error{Msg: fmt.Sprintf("the batches have %d and %d examples, want two sizes of 2 or more", n1, n2)}
	}
	return n1, n2, nil
}

// pass is one forward pass as it was.
type pass struct {
	params  []*tensor.Tensor // and buffers
	paths   []string
	kinds   []Kind
	seen    []seen
	ids     map[*tensor.Tensor]int
	nodes   []Node
	sums    []uint64 // of the nodes' results
	inputs  []int
	outputs []int
	results []uint64 // sums of the outputs
	over    bool
}

// seen is a value of a pass.
type seen struct {
	kind   Kind
	x      *tensor.Tensor // as the pass had it; its memory may be gone
	shape  tensor.Shape
	dtype  tensor.DType
	copied *tensor.Tensor // of a constant
	path   string
	op     string // that made it, or read it first
	at     layers.Place
	node   int // that made it, or -1
}

// record makes a pass.
func record(m layers.Module, f func(in []*tensor.Tensor) []*tensor.Tensor, in []*tensor.Tensor) (*pass, error) {
	p := &pass{ids: map[*tensor.Tensor]int{}}
	trace := layers.NewTrace(m)
	trace.OnForward = p.forward
	var versions []uint64
	parameters := layers.Parameters(m)
	for path, t := range layers.StateDict(m) {
		p.params, p.paths, versions = append(p.params, t), append(p.paths, path), append(versions, friends.Version(t))
		kind := Buffer
		if slices.Contains(parameters, t) {
			kind = Parameter
		}
		p.kinds = append(p.kinds, kind)
	}
	// What is computed from parameters alone is to be told as well.
	for _, t := range p.params {
		friends.MarkWatch(t, trace)
	}
	defer func() {
		p.over = true // tensors that the model keeps still carry the watch
		for _, t := range p.params {
			friends.MarkWatch(t, nil)
		}
	}()
	watched := make([]*tensor.Tensor, len(in))
	for i, x := range in {
		watched[i] = x.Clone().Watch(trace) // what the pass does to it in place, the caller's is spared
		p.inputs = append(p.inputs, p.add(watched[i], seen{kind: Input, node: -1}))
	}
	for i, y := range f(watched) {
		if y == nil {
			return nil, &Error{Msg: fmt.Sprintf("the pass returns nil as output %d, want a tensor", i)}
		}
		p.outputs = append(p.outputs, p.id(y, "return", layers.Place{}))
		p.results = append(p.results, sum(y))
	}
	p.over = true
	for i, t := range p.params {
		if friends.Version(t) != versions[i] {
			return nil, &Error{Msg: fmt.Sprintf("the pass changes %s of the model, want one that changes none of its parameters and buffers; layers.Eval has BatchNorm use its statistics as they are", p.paths[i])}
		}
	}
	return p, nil
}

// add notes a value.
func (p *pass) add(x *tensor.Tensor, s seen) int {
	s.x, s.shape, s.dtype = x, slices.Clone(x.Shape()), x.DType()
	p.ids[x] = len(p.seen)
	p.seen = append(p.seen, s)
	return len(p.seen) - 1
}

// id returns the value that a tensor is: the same tensor, or one that shares its
// window of memory, as Detach's and NoGrad's results do; otherwise a parameter or
// else a constant.
func (p *pass) id(x *tensor.Tensor, op string, at layers.Place) int {
	if x == nil {
		return -1
	}
	if id, ok := p.ids[x]; ok {
		return id
	}
	for id := len(p.seen) - 1; id >= 0; id-- {
		if y := p.seen[id].x; friends.SameWindow(x, y) && x.AutocastType() == y.AutocastType() {
			p.ids[x] = id
			return id
		}
	}
	for i, t := range p.params {
		if x == t || friends.SameWindow(x, t) {
			id := p.add(t, seen{kind: p.kinds[i], path: p.paths[i], op: op, at: at, node: -1})
			p.ids[x] = id
			return id
		}
	}
	return p.add(x, seen{kind: Constant, copied: x.Detach().Watch(nil).Clone().Keep(), op: op, at: at, node: -1})
}

// forward is told of an operation.
func (p *pass) forward(at layers.Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
	if p.over {
		return
	}
	n := Node{Op: op, At: at, Out: -1}
	for _, x := range inputs {
		n.In = append(n.In, p.id(x, op.Name(), at))
		if x == out {
			n.Out = n.In[len(n.In)-1]
		}
	}
	if n.Out < 0 {
		n.Out = p.add(out, seen{op: op.Name(), at: at, node: len(p.nodes)})
	}
	p.nodes, p.sums = append(p.nodes, n), append(p.sums, sum(out))
}

// verify replays a pass, whose operations must give what they gave.
func (p *pass) verify(g *Graph, in []*tensor.Tensor) error {
	return tensor.Try(func() {
		out := g.run(copies(in), func(i int, y *tensor.Tensor) {
			if n := p.nodes[i]; sum(y) != p.sums[i] {
				panic(&Error{n.Op.Name(), n.At, "done again it gives other numbers: it is random, or reads what was changed by something else than the operations on what was made from the inputs"})
			}
		})
		for i, y := range out {
			if sum(y) != p.results[i] {
				panic(&Error{Msg: fmt.Sprintf("a replay gives another output %d, %v, which was changed by something else than the operations on what was made from the inputs", i, y.Shape())})
			}
		}
	})
}

var seed = maphash.MakeSeed()

// sum returns a sum over the bits of x.
func sum(x *tensor.Tensor) uint64 { return maphash.Bytes(seed, x.Detach().Watch(nil).Raw()) }

func copies(in []*tensor.Tensor) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(in))
	for i, x := range in {
		out[i] = x.Clone()
	}
	return out
}

// comparison makes a graph of two passes over batches of two sizes.
type comparison struct {
	a, b   *pass
	n1, n2 int
}

func (c comparison) graph() (*Graph, error) {
	g := &Graph{Inputs: c.a.inputs, Outputs: c.a.outputs}
	for i, n := range c.a.nodes {
		if i == len(c.b.nodes) {
			return nil, c.fail(n.Op.Name(), n.At, "it is operation %d of a pass of %d examples; one of %d ends before, and a graph has no branches", i+1, c.n1, c.n2)
		}
		m := c.b.nodes[i]
		if n.Op.Name() != m.Op.Name() || n.At != m.At {
			return nil, c.fail(n.Op.Name(), n.At, "it is operation %d of a pass of %d examples; of one of %d that is %s (%s), and a graph has no branches", i+1, c.n1, c.n2, m.Op.Name(), m.At)
		}
		if !slices.Equal(n.In, m.In) || n.Out != m.Out {
			return nil, c.fail(n.Op.Name(), n.At, "its operands are other values in a pass of %d examples than in one of %d", c.n1, c.n2)
		}
		if row, ok := friends.Info(n.Op); !ok || row.Apply == nil {
			return nil, c.fail(n.Op.Name(), n.At, "nothing says how it is computed again, as a graph has to")
		}
		if err := c.attributes(&n, m); err != nil {
			return nil, err
		}
		g.Nodes = append(g.Nodes, n)
	}
	if len(c.b.nodes) > len(c.a.nodes) {
		n := c.b.nodes[len(c.a.nodes)]
		return nil, c.fail(n.Op.Name(), n.At, "it is operation %d of a pass of %d examples; one of %d ends before, and a graph has no branches", len(c.a.nodes)+1, c.n2, c.n1)
	}
	for i, s := range c.a.seen {
		v, err := c.value(s, c.b.seen[i])
		if err != nil {
			return nil, err
		}
		g.Values = append(g.Values, v)
	}
	if !slices.Equal(c.a.outputs, c.b.outputs) {
		return nil, &Error{Msg: fmt.Sprintf("a pass of %d examples returns other values than one of %d", c.n1, c.n2)}
	}
	return g, nil
}

func (c comparison) fail(op string, at layers.Place, format string, args ...any) error {
	return &Error{op, at, fmt.Sprintf(format, args...)}
}

// dim returns the size that is a in the first batch and b in the second.
func (c comparison) dim(a, b int) (Dim, bool) {
	switch {
	case a == b:
		return Dim{N: a}, true
	case a%c.n1 == 0 && a/c.n1*c.n2 == b:
		return Dim{a / c.n1, true}, true
	}
	return Dim{}, false
}

// dims returns the sizes that are a in the first batch and b in the second.
func (c comparison) dims(a, b []int) ([]Dim, bool) {
	if len(a) != len(b) {
		return nil, false
	}
	dims := make([]Dim, len(a))
	for i := range a {
		var ok bool
		if dims[i], ok = c.dim(a[i], b[i]); !ok {
			return nil, false
		}
	}
	return dims, true
}

// attributes compares an operation's attributes in both passes.
func (c comparison) attributes(n *Node, m Node) error {
	a, b := fmt.Sprintf("%#v", n.Op), fmt.Sprintf("%#v", m.Op)
	if a == b {
		return nil
	}
	s, rest := sized(n.Op, []int{})
	t, more := sized(m.Op, []int{})
	if rest != nil && fmt.Sprintf("%#v", rest) == fmt.Sprintf("%#v", more) {
		if dims, ok := c.dims(s, t); ok {
			n.sizes = dims
			return nil
		}
	}
	return c.fail(n.Op.Name(), n.At, "its attributes are %+v in a pass of %d examples and %+v in one of %d, want them the same but for sizes that grow with the batch", n.Op, c.n1, m.Op, c.n2)
}

// at returns the operation for a batch.
func (n Node) at(batch int) autograd.Op {
	if n.sizes == nil {
		return n.Op
	}
	_, op := sized(n.Op, shape(n.sizes, batch))
	return op
}

// sized returns the sizes among an operation's attributes, which may grow with the
// batch, and the operation with others in their place; nil if it has none.
func sized(op autograd.Op, sizes []int) ([]int, autograd.Op) {
	at := func(i, n int) []int { // n sizes from i on
		if len(sizes) < i+n {
			return make([]int, n)
		}
		return sizes[i : i+n]
	}
	// window is for what has a shape, strides and an offset.
	window := func(shape, strides *[]int, offset *int) []int {
		n := len(*shape)
		all := append(slices.Concat(*shape, *strides), *offset)
		*shape, *strides, *offset = at(0, n), at(n, n), at(2*n, 1)[0]
		return all
	}
	switch o := op.(type) {
	case ops.View:
		s := o.Shape
		o.Shape = sizes
		return s, o
	case ops.Expand:
		s := o.Shape
		o.Shape = sizes
		return s, o
	case ops.Repeat:
		s := o.Times
		o.Times = sizes
		return s, o
	case ops.SumTo:
		s := o.Shape
		o.Shape = sizes
		return s, o
	case ops.Narrow:
		s := []int{o.Start, o.N}
		o.Start, o.N = at(0, 1)[0], at(1, 1)[0]
		return s, o
	case ops.Window:
		s := window(&o.Shape, &o.Strides, &o.Offset)
		return s, o
	case ops.WindowGrad:
		s := window(&o.Shape, &o.Strides, &o.Offset)
		return s, o
	case ops.AsStrided:
		s := window(&o.Shape, &o.Strides, &o.Offset)
		return s, o
	}
	return nil, nil
}

// value compares a value in both passes.
func (c comparison) value(s, t seen) (Value, error) {
	v := Value{Kind: s.kind, DType: s.dtype, Path: s.path}
	what := "its result"
	switch s.kind {
	case Input:
		what = fmt.Sprintf("input %d", slices.Index(c.a.inputs, c.a.ids[s.x]))
	case Parameter, Buffer:
		what = s.path
	case Constant:
		what = "a constant that it reads (neither a part of the model nor made from the inputs)"
	}
	var ok bool
	if v.Shape, ok = c.dims(s.shape, t.shape); !ok || s.kind != t.kind || s.dtype != t.dtype || s.path != t.path {
		return v, c.fail(s.op, s.at, "%s is %s %v in a pass of %d examples and %s %v in one of %d, want sizes that are the same or grow with the batch",
			what, s.dtype, s.shape, c.n1, t.dtype, t.shape, c.n2)
	}
	switch s.kind {
	case Parameter, Buffer:
		v.Tensor = s.x
	case Constant:
		a, b := s.copied, t.copied
		for d, dim := range v.Shape {
			if dim.Batch {
				if a, ok = same(a, d); ok {
					b, ok = same(b, d)
				}
				if !ok {
					return v, c.fail(s.op, s.at, "%s, %v, is not the same for each example of a batch of %d", what, s.shape, c.n1)
				}
			}
		}
		if !bytes.Equal(a.Raw(), b.Raw()) {
			return v, c.fail(s.op, s.at, "%s, %v, has other numbers in a pass of %d examples than in one of %d", what, s.shape, c.n1, c.n2)
		}
		v.Tensor = a
	}
	return v, nil
}

// same returns the first entry along a dimension, which is kept, if all are the same.
func same(x *tensor.Tensor, dim int) (*tensor.Tensor, bool) {
	first := x.Narrow(dim, 0, 1).Clone()
	return first, bytes.Equal(first.Expand(x.Shape()...).Clone().Raw(), x.Raw())
}
