//go:build cuda && linux

package graph

import (
	"bytes"
	"testing"

	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

func TestMain(m *testing.M) { sim.Main(m) }

// A model on a GPU has a graph as well, with its constants there.
func TestCUDAReplay(t *testing.T) {
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	m := layers.NewSequential(layers.NewLinear(4, 6), layers.ReLU{Inplace: true}, layers.Func(func(x *T) *T {
		y := x.View(x.Size(0), 2, 3).Transpose(1, 2).Add(tensor.Arange(0, 2, 1).To(d))
		y.Select(1, 0).Fill(2)
		return y.MatMul(y.Transpose(-1, -2))
	}))
	layers.To(m, d)
	in := func(n int) []*T { return []*T{tensor.Randn(n, 4).To(d).NoGrad()} }
	g, err := Trace(m, func(in []*T) []*T { return []*T{m.Forward(in[0])} }, in(2), in(3))
	if err != nil {
		t.Fatal(err)
	}
	x := in(5)[0]
	if got, want := g.Run(x)[0], m.Forward(x); got.Device() != d || !bytes.Equal(got.Raw(), want.Raw()) {
		t.Errorf("got %v on %s, want %v", got, got.Device(), want)
	}
}
