package main

import (
	"fmt"
	"math"

	_ "go4.org/unsafe/assume-no-moving-gc" // of a version that does not end the program under this Go
	g "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// gorgonia is the net in Gorgonia on its tape machine.
func gorgonia(n *net) (step, error) {
	m := &machine{net: n, graph: g.NewGraph()}
	x := m.node("images", n.images)
	out, err := m.forward(x)
	if err != nil {
		return nil, err
	}
	result := out
	if n.train {
		if result, err = m.loss(out); err != nil {
			return nil, err
		}
		if _, err := g.Grad(result, m.trained...); err != nil {
			return nil, err
		}
	}
	var value g.Value
	g.Read(result, &value)
	var options []g.VMOpt
	if n.train {
		options = append(options, g.BindDualValues(m.trained...))
	}
	vm := g.NewTapeMachine(m.graph, options...)
	solver := g.NewAdamSolver(g.WithLearnRate(rate))
	return func() (array, error) {
		defer vm.Reset()
		if err := vm.RunAll(); err != nil {
			return array{}, err
		}
		if n.train {
			if err := solver.Step(g.NodesToValueGrads(m.trained)); err != nil {
				return array{}, err
			}
		}
		switch v := value.Data().(type) {
		case float32:
			return array{[]int{}, []float32{v}}, nil
		case []float32:
			return array{append([]int{}, value.Shape()...), append([]float32{}, v...)}, nil
		default:
			return array{}, fmt.Errorf("got %T, want float32", v)
		}
	}, nil
}

// machine builds the graph.
type machine struct {
	*net
	graph   *g.ExprGraph
	trained g.Nodes
}

func (m *machine) node(name string, a array, shape ...int) *g.Node {
	if len(shape) == 0 {
		shape = a.shape
	}
	t := tensor.New(tensor.WithShape(shape...), tensor.WithBacking(append([]float32{}, a.values...)))
	return g.NodeFromAny(m.graph, t, g.WithName(name))
}

func (m *machine) param(name string, a array, shape ...int) *g.Node {
	p := m.node(name, a, shape...)
	m.trained = append(m.trained, p)
	return p
}

func (m *machine) forward(x *g.Node) (*g.Node, error) {
	for i, b := range m.blocks {
		name := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
		weight, bias := m.param(name("weight"), b.weight), m.param(name("bias"), b.bias, 1, b.out, 1, 1)
		y, err := g.Conv2d(x, weight, tensor.Shape{3, 3}, []int{1, 1}, []int{1, 1}, []int{1, 1})
		if err != nil {
			return nil, err
		}
		if y, err = g.BroadcastAdd(y, bias, nil, []byte{0, 2, 3}); err != nil {
			return nil, err
		}
		if y, err = m.normalize(y, i, b); err != nil {
			return nil, err
		}
		if y, err = g.Rectify(y); err != nil {
			return nil, err
		}
		if b.pool {
			if y, err = g.MaxPool2D(y, tensor.Shape{2, 2}, []int{0, 0}, []int{2, 2}); err != nil {
				return nil, err
			}
		}
		x = y
	}
	linear, bias := m.param("linear", permuted(m.linear, 1, 0)), m.param("linear bias", m.bias, 1, m.bias.shape[0])
	x, err := g.Reshape(x, tensor.Shape{len(m.labels), m.channels})
	if err != nil {
		return nil, err
	}
	if x, err = g.Mul(x, linear); err != nil {
		return nil, err
	}
	return g.BroadcastAdd(x, bias, nil, []byte{0})
}

// normalize is BatchNorm. In evaluation its operation computes on what its register
// held before, not on its input, so that the factor and the summand of each channel
// are computed here.
func (m *machine) normalize(x *g.Node, i int, b block) (*g.Node, error) {
	scale, shift := b.scale, b.shift
	if !m.train {
		scale, shift = array{values: make([]float32, b.out)}, array{values: make([]float32, b.out)}
		for c := range b.out {
			scale.values[c] = b.scale.values[c] / float32(math.Sqrt(float64(b.variance.values[c])+epsilon))
			shift.values[c] = b.shift.values[c] - b.mean.values[c]*scale.values[c]
		}
	}
	factor, summand := m.param(fmt.Sprintf("scale%d", i), scale, 1, b.out, 1, 1), m.param(fmt.Sprintf("shift%d", i), shift, 1, b.out, 1, 1)
	if m.train {
		x, _, _, _, err := g.BatchNorm(x, factor, summand, momentum, epsilon)
		return x, err
	}
	x, err := g.BroadcastHadamardProd(x, factor, nil, []byte{0, 2, 3})
	if err != nil {
		return nil, err
	}
	return g.BroadcastAdd(x, summand, nil, []byte{0, 2, 3})
}

// loss is the cross entropy of the outputs, the mean over the images.
func (m *machine) loss(out *g.Node) (*g.Node, error) {
	classes := m.bias.shape[0]
	right := array{[]int{len(m.labels), classes}, make([]float32, len(m.labels)*classes)}
	for i, label := range m.labels {
		right.values[i*classes+int(label)] = 1
	}
	p, err := g.SoftMax(out, 1)
	if err != nil {
		return nil, err
	}
	if p, err = g.Log(p); err != nil {
		return nil, err
	}
	if p, err = g.HadamardProd(p, m.node("labels", right)); err != nil {
		return nil, err
	}
	if p, err = g.Sum(p, 0, 1); err != nil {
		return nil, err
	}
	return g.Mul(p, g.NewConstant(-1/float32(len(m.labels))))
}
