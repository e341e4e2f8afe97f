package main

import (
	"fmt"

	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/layers/activations"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
)

// gomlx is the net in GoMLX with its backend in pure Go, with channels last, which
// is its own order. Two things are written here since that backend has not all
// operations. BatchNorm is made of sums, as its own operation is missing; the
// layer's way around that sends no gradient through the statistics. Max pooling is
// the largest of a reshaped tensor, as the gradient of ReduceWindow is missing.
func gomlx(n *net, convolve func(x, kernel *graph.Node) *graph.Node) (step, error) {
	backend, err := simplego.New("")
	if err != nil {
		return nil, err
	}
	ctx := context.New()
	variable := func(name string, a array, trained bool) *context.Variable {
		return ctx.VariableWithValue(name, tensors.FromFlatDataAndDimensions(a.values, a.shape...)).SetTrainable(trained)
	}
	type layer struct{ weight, bias, scale, shift, mean, variance *context.Variable }
	var parts []layer
	for i, b := range n.blocks {
		name := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
		parts = append(parts, layer{
			variable(name("weight"), permuted(b.weight, 2, 3, 1, 0), true), variable(name("bias"), b.bias, true),
			variable(name("scale"), b.scale, true), variable(name("shift"), b.shift, true),
			variable(name("mean"), b.mean, false), variable(name("variance"), b.variance, false),
		})
	}
	linear, bias := variable("linear", permuted(n.linear, 1, 0), true), variable("linear bias", n.bias, true)

	forward := func(x *graph.Node) *graph.Node {
		g := x.Graph()
		for i, b := range n.blocks {
			p := parts[i]
			along := func(v *graph.Node) *graph.Node { return graph.Reshape(v, 1, 1, 1, b.out) }
			x = graph.Add(convolve(x, p.weight.ValueGraph(g)), along(p.bias.ValueGraph(g)))
			mean, variance := along(p.mean.ValueGraph(g)), along(p.variance.ValueGraph(g))
			if n.train {
				mean = graph.ReduceAndKeep(x, graph.ReduceMean, 0, 1, 2)
				variance = graph.ReduceAndKeep(graph.Square(graph.Sub(x, mean)), graph.ReduceMean, 0, 1, 2)
				count := float64(x.Shape().Size() / b.out)
				follow := func(v *context.Variable, now *graph.Node) {
					v.SetValueGraph(graph.Add(graph.MulScalar(v.ValueGraph(g), 1-momentum), graph.MulScalar(graph.Reshape(now, b.out), momentum)))
				}
				follow(p.mean, mean)
				follow(p.variance, graph.MulScalar(variance, count/max(count-1, 1)))
			}
			factor := graph.Div(along(p.scale.ValueGraph(g)), graph.Sqrt(graph.AddScalar(variance, epsilon)))
			x = graph.Add(graph.Mul(graph.Sub(x, mean), factor), along(p.shift.ValueGraph(g)))
			x = activations.Relu(x)
			if b.pool {
				d := x.Shape().Dimensions
				x = graph.ReduceMax(graph.Reshape(x, d[0], d[1]/2, 2, d[2]/2, 2, d[3]), 2, 4)
			}
		}
		x = graph.Reshape(x, x.Shape().Dimensions[0], n.channels)
		return graph.Add(product(x, 1, linear.ValueGraph(g), 0), graph.Reshape(bias.ValueGraph(g), 1, n.bias.shape[0]))
	}
	optimizer := optimizers.Adam().LearningRate(rate).Epsilon(1e-8).Done()
	exec, err := context.NewExec(backend, ctx, func(ctx *context.Context, x, labels *graph.Node) *graph.Node {
		out := forward(x)
		if !n.train {
			return out
		}
		loss := graph.ReduceAllMean(losses.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{out}))
		ctx.SetTraining(x.Graph(), true)
		optimizer.UpdateGraph(ctx, x.Graph(), loss)
		return loss
	})
	if err != nil {
		return nil, err
	}
	images := permuted(n.images, 0, 2, 3, 1)
	x, labels := tensors.FromFlatDataAndDimensions(images.values, images.shape...), tensors.FromFlatDataAndDimensions(n.labels, len(n.labels), 1)
	return func() (array, error) {
		out, err := exec.Exec1(x, labels)
		if err != nil {
			return array{}, err
		}
		values, err := tensors.CopyFlatData[float32](out)
		shape := append([]int{}, out.Shape().Dimensions...)
		return array{shape, values}, err
	}, nil
}

// gomlxConvolve is GoMLX's own operation, with a gradient that turns the kernel by
// slices, since the backend has no Reverse.
func gomlxConvolve(n *net) (step, error) {
	convolve := func(x, kernel *graph.Node) *graph.Node { return graph.Convolve(x, kernel).Strides(1).PadSame().Done() }
	graph.VJPRegistration[graph.NodeTypeConvGeneral] = func(node *graph.Node, v []*graph.Node, _ shapes.Shape) []*graph.Node {
		x, kernel := node.Inputs()[0], node.Inputs()[1]
		return []*graph.Node{convolve(v[0], graph.Transpose(turned(kernel), 2, 3)), kernelGradient(x, v[0])}
	}
	return gomlx(n, convolve)
}

// gomlxUnfold has a convolution as one matrix product of unfolded pixels, which
// the backend computes with all threads. A slice's gradient is written here, since
// the backend has no Pad, and so are those of a product, as two products: GoMLX's
// own is a sum over the outer product.
func gomlxUnfold(n *net) (step, error) {
	type cut struct{ axis, from int }
	cuts := map[*graph.Node]cut{}
	zeros := func(x *graph.Node, axis, size int) *graph.Node {
		s := x.Shape().Clone()
		s.Dimensions[axis] = size
		return graph.Zeros(x.Graph(), s)
	}
	padded := func(x *graph.Node, axis, before, after int) *graph.Node {
		parts := []*graph.Node{x}
		if before > 0 {
			parts = append([]*graph.Node{zeros(x, axis, before)}, parts...)
		}
		if after > 0 {
			parts = append(parts, zeros(x, axis, after))
		}
		return graph.Concatenate(parts, axis)
	}
	graph.VJPRegistration[graph.NodeTypeSlice] = func(node *graph.Node, v []*graph.Node, _ shapes.Shape) []*graph.Node {
		c, ok := cuts[node]
		if !ok {
			panic("a slice that gomlxUnfold did not make")
		}
		whole := node.Inputs()[0].Shape().Dimensions[c.axis]
		return []*graph.Node{padded(v[0], c.axis, c.from, whole-c.from-v[0].Shape().Dimensions[c.axis])}
	}
	graph.VJPRegistration[graph.NodeTypeDotGeneral] = func(node *graph.Node, v []*graph.Node, _ shapes.Shape) []*graph.Node {
		x, y := node.Inputs()[0], node.Inputs()[1]
		return []*graph.Node{product(v[0], 1, y, 1), product(x, 0, v[0], 0)}
	}
	return gomlx(n, func(x, kernel *graph.Node) *graph.Node {
		d := x.Shape().Dimensions
		for _, axis := range []int{1, 2} {
			x = padded(x, axis, 1, 1)
			var taps []*graph.Node
			for from := range 3 {
				tap := graph.SliceAxis(x, axis, graph.AxisRange(from, from+d[axis]))
				cuts[tap] = cut{axis, from}
				taps = append(taps, tap)
			}
			x = graph.Concatenate(taps, 3)
		}
		// Columns are behind rows: [pixels, (column tap, row tap, channel)].
		k := kernel.Shape().Dimensions
		kernel = graph.Reshape(graph.Transpose(kernel, 0, 1), 9*k[2], k[3])
		y := product(graph.Reshape(x, d[0]*d[1]*d[2], 9*d[3]), 1, kernel, 0)
		return graph.Reshape(y, d[0], d[1], d[2], k[3])
	})
}

// product is the matrix product of x and y with sums along these axes of theirs.
func product(x *graph.Node, i int, y *graph.Node, j int) *graph.Node {
	return graph.DotGeneral(x, []int{i}, nil, y, []int{j}, nil)
}

// turned turns a kernel of [3, 3, in, out] by half a turn.
func turned(kernel *graph.Node) *graph.Node {
	for axis := range 2 {
		var taps []*graph.Node
		for _, tap := range []int{2, 1, 0} {
			taps = append(taps, graph.SliceAxis(kernel, axis, graph.AxisElem(tap)))
		}
		kernel = graph.Concatenate(taps, axis)
	}
	return kernel
}

// kernelGradient convolves x with v, the gradient of what the convolution made:
// sums go over the images, as if they were channels, and over places.
func kernelGradient(x, v *graph.Node) *graph.Node {
	return graph.Convolve(x, v).AxesConfig(graph.ConvolveAxesConfig{
		InputBatch: 3, InputChannels: 0, InputSpatial: []int{1, 2},
		KernelInputChannels: 0, KernelOutputChannels: 3, KernelSpatial: []int{1, 2},
		OutputBatch: 2, OutputChannels: 3, OutputSpatial: []int{0, 1},
	}).Strides(1).PaddingPerDim([][2]int{{1, 1}, {1, 1}}).Done()
}

// permuted returns a with its axes in another order.
func permuted(a array, axes ...int) array {
	strides := make([]int, len(a.shape)+1)
	strides[len(a.shape)] = 1
	for i := len(a.shape) - 1; i >= 0; i-- {
		strides[i] = strides[i+1] * a.shape[i]
	}
	p := array{values: make([]float32, 0, len(a.values))}
	for _, axis := range axes {
		p.shape = append(p.shape, a.shape[axis])
	}
	var walk func(i, at int)
	walk = func(i, at int) {
		if i == len(axes) {
			p.values = append(p.values, a.values[at])
			return
		}
		for j := range p.shape[i] {
			walk(i+1, at+j*strides[axes[i]+1])
		}
	}
	walk(0, 0)
	return p
}
