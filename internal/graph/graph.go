// Package graph records a forward pass as a graph of operations, which can be
// printed, replayed on a batch of any size, and read by whoever exports a model or
// changes it: a value of package internal/ops says what an operation is, the table
// of package tensor how it is applied again.
//
// A graph is what was computed, not what the program says: an if or a loop of Go is
// the branch that was taken and as many operations as there were. Two passes over
// batches of two sizes tell what grows with the batch; that is the batch axis.
// Whatever else differs between them (another branch, a number that was read from a
// tensor, random numbers, a constant made for so many examples) is an error.
package graph

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// Graph is a forward pass. Values are counted from 0; that of Values[i] is i.
type Graph struct {
	Values  []Value
	Nodes   []Node // in the order in which they were done
	Inputs  []int
	Outputs []int
}

// Node is an operation.
type Node struct {
	// Op is the operation with its attributes. Where it has sizes that grow with the
	// batch, such as View's, they are those of the first batch, and At gives it for
	// another.
	Op  autograd.Op
	In  []int // values; -1 is an operand that is absent
	Out int   // the value that it makes, or one of In if it changes that in place
	At  layers.Place

	sizes []Dim // of an operation that has some; see sized
}

// Dim is a size: N, or where it grows with the batch N for each example.
type Dim struct {
	N     int
	Batch bool
}

// Of returns the size in a batch of so many examples.
func (d Dim) Of(batch int) int {
	if d.Batch {
		return d.N * batch
	}
	return d.N
}

// String returns "64", or "N", "4N" where it grows with the batch.
func (d Dim) String() string {
	switch {
	case !d.Batch:
		return fmt.Sprint(d.N)
	case d.N == 1:
		return "N"
	}
	return fmt.Sprintf("%dN", d.N)
}

// Kind says where a value comes from.
type Kind uint8

// The kinds of values.
const (
	Made      Kind = iota // by a node
	Input                 // of the graph
	Parameter             // of the model
	Buffer                // of the model
	Constant              // a tensor that is neither, such as a mask
)

// Value is a tensor of the graph.
type Value struct {
	Kind  Kind
	DType tensor.DType
	Shape []Dim
	// Tensor is a parameter or a buffer itself, so that a graph computes with what the model has
	// learned since; or a constant, a copy. A constant that is made for each example
	// again, the same for all, is that of one.
	Tensor *tensor.Tensor
	Path   string // of a parameter or a buffer in the model's tree: "features.0.weight"
}

// BatchAxis returns the first dimension that grows with the batch, or -1.
func (v Value) BatchAxis() int {
	return slices.IndexFunc(v.Shape, func(d Dim) bool { return d.Batch })
}

// Error says why a pass is no graph, or why a batch does not fit one.
type Error struct {
	Op    string       // the operation where that shows, or ""
	Place layers.Place // where it ran, if there is an Op
	Msg   string
}

func (e *Error) Error() string {
	if e.Op == "" {
		return "graph: " + e.Msg
	}
	place := e.Place.String()
	if e.Place.Exact && e.Place.Layer != "" {
		place = "layer " + place
	}
	return fmt.Sprintf("graph: %s (%s): %s", e.Op, place, e.Msg)
}

// Misuse tells tensor.Try that the panic is about what a program was given.
func (e *Error) Misuse() {}

// Run computes the outputs for inputs of a batch of any size, with the operations
// of the pass, to the same bits. It panics with an *Error for inputs that are not
// those of the graph. What a pass does to its inputs in place happens to these too.
func (g *Graph) Run(in ...*tensor.Tensor) []*tensor.Tensor {
	return g.run(in, func(int, *tensor.Tensor) {})
}

// run is Run, and calls done with each node's result.
func (g *Graph) run(in []*tensor.Tensor, done func(node int, y *tensor.Tensor)) []*tensor.Tensor {
	batch := g.batch(in)
	values := make([]*tensor.Tensor, len(g.Values))
	for i, at := range g.Inputs {
		values[at] = in[i]
	}
	for i, v := range g.Values {
		switch {
		case v.Kind == Parameter, v.Kind == Buffer, v.Kind == Constant && v.BatchAxis() < 0:
			values[i] = v.Tensor
		case v.Kind == Constant:
			values[i] = v.Tensor.Expand(shape(v.Shape, batch)...).Clone()
		}
	}
	last := make([]int, len(g.Values)) // the node that reads a value last
	for i, n := range g.Nodes {
		for _, v := range n.In {
			if v >= 0 {
				last[v] = i
			}
		}
	}
	for _, v := range g.Outputs {
		last[v] = len(g.Nodes)
	}
	for i, n := range g.Nodes {
		operands := make([]*tensor.Tensor, len(n.In))
		for j, v := range n.In {
			if v >= 0 {
				operands[j] = values[v]
			}
		}
		op := n.at(batch)
		row, _ := friends.Info(op)
		values[n.Out] = row.Apply(op, operands)
		done(i, values[n.Out])
		for _, v := range n.In {
			if v >= 0 && last[v] == i {
				values[v] = nil // so that its memory can go
			}
		}
	}
	out := make([]*tensor.Tensor, len(g.Outputs))
	for i, v := range g.Outputs {
		out[i] = values[v]
	}
	return out
}

// batch returns how many examples the inputs have; 1 where none has a batch axis.
func (g *Graph) batch(in []*tensor.Tensor) int {
	if len(in) != len(g.Inputs) {
		panic(&Error{Msg: fmt.Sprintf("got %d inputs, want %d", len(in), len(g.Inputs))})
	}
	batch := -1
	for i, x := range in {
		v := g.Values[g.Inputs[i]]
		ok := x.DType() == v.DType && x.Dim() == len(v.Shape)
		for d := range v.Shape {
			if ok && v.Shape[d].Batch && batch < 0 {
				batch = x.Size(d) / v.Shape[d].N
			}
			ok = ok && x.Size(d) == v.Shape[d].Of(batch)
		}
		if !ok {
			among := ""
			if batch >= 0 {
				among = fmt.Sprintf(" with N = %d", batch)
			}
			panic(&Error{Msg: fmt.Sprintf("input %d is %s %v, want %s%s", i, x.DType(), x.Shape(), v.describe(), among)})
		}
	}
	return max(batch, 0)
}

// describe returns "float32 [N 3 32 32]".
func (v Value) describe() string { return fmt.Sprintf("%s %v", v.DType, v.Shape) }

func shape(dims []Dim, batch int) []int {
	s := make([]int, len(dims))
	for i, d := range dims {
		s[i] = d.Of(batch)
	}
	return s
}

// String prints the graph, a line for each value:
//
//	%0 = input float32 [N 3 32 32]
//	%1 = parameter float32 [64 3 3 3]  # features.0.weight
//	%3 = Conv2d{…} %0 %1 %2 float32 [N 64 32 32]  # features.0
//	%4 = View{Shape:[N 512]} %3 float32 [N 512]  # behind features
//	return %4
func (g *Graph) String() string {
	var b strings.Builder
	for _, kind := range []Kind{Input, Parameter, Buffer, Constant} {
		for i, v := range g.Values {
			if v.Kind != kind {
				continue
			}
			fmt.Fprintf(&b, "%%%d = %s %s", i, [...]string{Input: "input", Parameter: "parameter", Buffer: "buffer", Constant: "constant"}[kind], v.describe())
			switch {
			case v.Path != "":
				fmt.Fprintf(&b, "  # %s", v.Path)
			case v.Kind == Constant && v.Tensor.Len() == 1:
				fmt.Fprintf(&b, "  # %v", v.Tensor.Item())
			}
			b.WriteByte('\n')
		}
	}
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "%%%d = %s%s", n.Out, n.Op.Name(), n.attributes())
		for j, v := range n.In {
			if v >= 0 {
				fmt.Fprintf(&b, " %%%d", v)
			} else if slices.Max(n.In[j:]) >= 0 {
				b.WriteString(" nil")
			}
		}
		fmt.Fprintf(&b, " %s  # %s\n", g.Values[n.Out].describe(), n.At)
	}
	b.WriteString("return")
	for _, v := range g.Outputs {
		fmt.Fprintf(&b, " %%%d", v)
	}
	b.WriteByte('\n')
	return b.String()
}

// attributes returns what an operation has besides its operands and what its name
// says: "{Order:[0 2 1 3]}", "{Shape:[N 512]}".
func (n Node) attributes() string {
	op, sizes := n.Op, ""
	if n.sizes != nil {
		_, op = sized(op, []int{})
		sizes = fmt.Sprint(n.sizes)
	}
	s := strings.ReplaceAll(named.ReplaceAllString(fmt.Sprintf("%+v", op), ""), " }", "}")
	if strings.Contains(s, ":[]") {
		s, sizes = strings.Replace(s, "[]", sizes, 1), ""
	}
	if !strings.HasPrefix(s, "{") || s == "{}" {
		return sizes
	}
	return s + sizes
}

// named matches what an operation's name says too, and parameters that a function does
// not have.
var named = regexp.MustCompile(`(Method:\w+|Kind:\d+|UnaryParams:\{P0:0 P1:0\}|Swapped:\w+) ?`)
