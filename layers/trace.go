package layers

import (
	"strconv"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// Trace follows what happens to a tensor in a model and tells for each operation
// in which layer it ran:
//
//	trace := layers.NewTrace(model)
//	trace.OnForward = func(at layers.Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) { … }
//	output := model.Forward(x.Watch(trace))
//
// It is a [tensor.Watch] for one goroutine's passes, one after the other. A layer
// is known by its parameters, and where a [Sequential] calls it; an operation of
// neither kind is told by what ran before it.
type Trace struct {
	// OnForward is called after each operation on the watched tensor and what was
	// made from it, OnBackward after the gradients of such an operation were
	// computed: g is that of its result, grads are those of its inputs (nil for
	// none). Entries of inputs may be nil. Either function may be nil. In a no-grad
	// pass a Sequential gives back what it needs no more, so keep no tensor of it.
	// See [tensor.Watch].
	OnForward  func(at Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor)
	OnBackward func(at Place, n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor)

	modules   []traced
	paths     map[string]int           // modules by path
	owners    map[*tensor.Tensor][]int // the modules that a parameter or buffer is a part of
	sequences map[*Layer][]int         // modules that are Sequentials, or embed one, by their first layer
	frames    []frame                  // the modules that are running, as far as is known; first the model
	last      int                      // the module that was told last, or -1
	left      func(module int, y *tensor.Tensor)
	places    map[*autograd.Node[*tensor.Tensor]]Place
}

// traced is a module of the model.
type traced struct {
	path   string
	module Module
	leaf   bool // has no modules in it
}

// frame is a module that is running.
type frame struct {
	at     int
	known  bool // else it is a Sequential within at that is not in the model's tree, or a layer of one
	behind int  // the last module within it that was told, or -1
}

// Place says where in a model an operation ran, as precisely as can be told.
type Place struct {
	Layer string // path of the layer, or if not Exact of the innermost one that is known to have run; "" is the model
	Exact bool   // the operation is that layer's own
	After string // if not Exact: path of the last part of Layer before the operation, "" if there was none
}

// String returns "features.3", "after features.3.conv", "the model",
// "the beginning of features.3".
func (p Place) String() string {
	layer := p.Layer
	if layer == "" {
		layer = "the model"
	}
	switch {
	case p.Exact:
		return layer
	case p.After != "":
		return "after " + p.After
	}
	return "the beginning of " + layer
}

// NewTrace returns a Trace of passes through m.
func NewTrace(m Module) *Trace {
	t := &Trace{
		paths: map[string]int{}, owners: map[*tensor.Tensor][]int{}, sequences: map[*Layer][]int{},
		frames: []frame{{known: true, behind: -1}}, last: -1, places: map[*autograd.Node[*tensor.Tensor]]Place{},
	}
	for path, m := range Modules(m) {
		i := len(t.modules)
		t.paths[path] = i
		leaf := true
		for _, p := range parts(path, m) {
			if p.tensor != nil {
				t.owners[p.tensor] = append(t.owners[p.tensor], i)
			}
			leaf = leaf && p.child == nil
		}
		if s, ok := m.(interface{ Layers() []Layer }); ok && len(s.Layers()) > 0 {
			first := &s.Layers()[0]
			t.sequences[first] = append(t.sequences[first], i)
		}
		t.modules = append(t.modules, traced{path, m, leaf})
	}
	return t
}

// within reports whether module i is module of or in it.
func (t *Trace) within(i, of int) bool {
	p, q := t.modules[i].path, t.modules[of].path
	return p == q || q == "" || strings.HasPrefix(p, q+".")
}

// choose picks the module that is meant out of those that share a parameter, or
// are one module under several names: in what is running, the next one after the
// last that was told. It returns -1 if there is none.
func (t *Trace) choose(candidates []int) int {
	top := t.frames[len(t.frames)-1].at
	inside := make([]int, 0, len(candidates))
	for _, c := range candidates {
		if c == top {
			return c
		}
		if t.within(c, top) {
			inside = append(inside, c)
		}
	}
	if len(inside) > 0 {
		candidates = inside
	}
	for _, c := range candidates {
		// A layer of this package is one operation; another's may be several.
		if c > t.last || c == t.last && !isLibrary(t.modules[c].module) {
			return c
		}
	}
	if len(candidates) == 0 {
		return -1
	}
	return candidates[0]
}

// Forward is for package tensor.
func (t *Trace) Forward(op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
	at := t.place(inputs)
	if n := out.Node(); n != nil {
		t.places[n] = at
	}
	if t.OnForward != nil {
		t.OnForward(at, op, inputs, out)
	}
}

// Backward is for package tensor.
func (t *Trace) Backward(n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor) {
	t.wantMade()
	if t.OnBackward != nil {
		t.OnBackward(t.places[n], n, g, grads)
	}
}

// wantMade panics unless NewTrace made t.
func (t *Trace) wantMade() {
	if t == nil || len(t.frames) == 0 {
		fail("Trace", "it is nil or has nothing in it; NewTrace makes one")
	}
}

// place tells where an operation with these inputs runs.
func (t *Trace) place(inputs []*tensor.Tensor) Place {
	t.wantMade()
	top := &t.frames[len(t.frames)-1]
	var owners []int
	for _, x := range inputs {
		if x != nil {
			owners = append(owners, t.owners[friends.BeforeCast(x)]...)
		}
	}
	if i := t.choose(owners); i >= 0 {
		t.last = i
		if i != top.at && t.within(i, top.at) {
			top.behind = i
		}
		return Place{Layer: t.modules[i].path, Exact: true}
	}
	p := Place{Layer: t.modules[top.at].path, Exact: t.modules[top.at].leaf}
	if top.behind >= 0 {
		p.After = t.modules[top.behind].path
	}
	return p
}

// begin notes that a Sequential runs and returns the depth of its frame.
func (t *Trace) begin(s *Sequential) int {
	t.wantMade()
	depth := len(t.frames)
	at := -1
	if len(s.layers) > 0 {
		at = t.choose(t.sequences[&s.layers[0]])
	}
	t.push(at)
	return depth
}

// push notes that a module runs, one that is not in the model if at is -1.
func (t *Trace) push(at int) {
	f := frame{at, true, -1}
	if at < 0 {
		f = t.frames[len(t.frames)-1]
		f.known = false
	}
	t.frames = append(t.frames, f)
}

// enter notes that layer i of the Sequential whose begin returned depth runs.
func (t *Trace) enter(depth, i int) {
	t.frames = t.frames[:depth+1]
	at := -1
	if f := t.frames[depth]; f.known {
		if child, ok := t.paths[join(t.modules[f.at].path, strconv.Itoa(i))]; ok {
			at = child
		}
	}
	t.push(at)
}

// leave notes that what runs in the frame at depth is over, with the result y.
func (t *Trace) leave(depth int, y *tensor.Tensor) {
	f := t.frames[depth]
	t.frames = t.frames[:depth]
	above := &t.frames[depth-1]
	if !f.known || f.at == above.at {
		above.behind = f.behind
		return
	}
	above.behind = f.at
	if t.modules[f.at].leaf {
		t.last = f.at
	}
	if t.left != nil {
		t.left(f.at, y)
	}
}
