package tensorboard

import (
	"fmt"
	"strings"

	pw "github.com/wick-ml/wick/internal/protowire"
	"github.com/wick-ml/wick/layers"
)

// AddGraph adds the tree of a model's modules, which TensorBoard shows as a graph:
// modules with children are boxes to open, named as PyTorch names them
// ("VGG/Sequential[features]/Conv2d[0]"); the others are nodes with their settings
// and the shapes of their parameters and buffers.
//
// Unlike PyTorch's it needs no input, because it runs nothing, so it knows the way
// of the data only where a [layers.Sequential] says it: there the edges are solid.
// Elsewhere dotted ones lead through the children in the order of Parts. As
// [layers.StateDict] does, it notes the paths in the parameters, so no other
// goroutine may use the model meanwhile.
func (w *Writer) AddGraph(model layers.Module) error {
	g := &graph{byPath: map[string]*node{}}
	for path, m := range layers.Modules(model) {
		g.insert(path, m)
	}
	for key, t := range layers.StateDict(model) {
		at, name := "", key
		if i := strings.LastIndexByte(key, '.'); i >= 0 {
			at, name = key[:i], key[i+1:]
		}
		// A name with a dot of its own belongs to the module nearest above.
		n := g.owner(at)
		n.tensors = append(n.tensors, [2]string{name, t.Shape().String()})
	}
	g.emit("input", "IO Node", "", false)
	last, solid := g.walk(g.root, "input", true)
	g.emit("output", "IO Node", last, !solid)
	const producer = 22 // the version of the format, as PyTorch says it
	def := pw.Bytes(g.def, 4, pw.Uint(nil, 1, producer))
	return w.add(0, pw.Bytes(nil, eventGraphDef, def))
}

// node is a module in the tree.
type node struct {
	module   layers.Module
	name     string // in TensorBoard
	children []*node
	tensors  [][2]string // names and shapes of its own parameters and buffers
}

type graph struct {
	root   *node
	byPath map[string]*node
	def    []byte // GraphDef
}

// insert adds a module, whose parent was inserted before.
func (g *graph) insert(path string, m layers.Module) {
	n := &node{module: m, name: kind(m)}
	if g.root == nil {
		g.root = n
	} else {
		above, name := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			above, name = path[:i], path[i+1:]
		}
		parent := g.owner(above)
		n.name = parent.name + "/" + kind(m) + "[" + name + "]"
		parent.children = append(parent.children, n)
	}
	g.byPath[path] = n
}

// owner returns the module at a path, or the nearest above.
func (g *graph) owner(path string) *node {
	for ; path != ""; path = path[:max(strings.LastIndexByte(path, '.'), 0)] {
		if n := g.byPath[path]; n != nil {
			return n
		}
	}
	return g.root
}

// walk adds the nodes of n and what is in it, the first with an edge from the
// node prev, which is solid if the data is known to go that way. It returns the
// last node, and whether an edge from it is solid.
func (g *graph) walk(n *node, prev string, solid bool) (string, bool) {
	_, sequential := n.module.(*layers.Sequential)
	if len(n.children) == 0 && !sequential {
		g.emit(n.name, kind(n.module), prev, !solid, n.attributes()...)
		return n.name, true
	}
	if len(n.tensors) > 0 {
		g.emit(n.name+"/parameters", "Parameters", "", false, n.attributes()...)
	}
	for _, c := range n.children {
		prev, solid = g.walk(c, prev, solid && sequential)
	}
	return prev, solid && sequential
}

// attributes returns what TensorBoard lists of a node when it is clicked.
func (n *node) attributes() [][2]string {
	list := n.tensors
	if s, ok := n.module.(fmt.Stringer); ok && len(n.children) == 0 {
		list = append([][2]string{{"settings", s.String()}}, list...)
	}
	return list
}

// emit adds a NodeDef with an edge from the node input, if any.
func (g *graph) emit(name, op, input string, dotted bool, attributes ...[2]string) {
	def := pw.String(pw.String(nil, 1, name), 2, op)
	if input != "" {
		if dotted {
			input = "^" + input // a control edge
		}
		def = pw.String(def, 3, input)
	}
	for _, a := range attributes {
		value := pw.Bytes(nil, 2, pw.String(nil, 2, a[1])) // the string in AttrValue
		def = pw.Bytes(def, 5, append(pw.String(nil, 1, a[0]), value...))
	}
	g.def = pw.Bytes(g.def, 1, def)
}

// kind returns the name of a module's type without its package: "Conv2d".
func kind(m layers.Module) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", m), "*")
	return name[strings.LastIndexByte(name, '.')+1:]
}
