package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// told is a watch that notes the operations' names.
type told struct{ forward, backward []string }

func (w *told) Forward(op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
	w.forward = append(w.forward, op.Name())
}

func (w *told) Backward(n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor) {
	w.backward = append(w.backward, n.Op().Name())
}

// What a program does with a watched tensor is told, once; what an operation does
// inside is not, neither is reading a value.
func TestWatch(t *testing.T) {
	leaf := func() *tensor.Tensor { return tensor.From([]float32{1, 2, 3, 4}, 2, 2).SetRequiresGrad(true) }
	for _, tt := range []struct {
		name              string
		f                 func(x *tensor.Tensor) *tensor.Tensor
		forward, backward []string
	}{
		{"arithmetic", func(x *tensor.Tensor) *tensor.Tensor { return x.Mul(leaf()).Div(leaf()).Sum() },
			[]string{"Mul", "Div", "Sum"}, []string{"Sum", "Div", "Mul"}},
		{"functions", func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Linear(x, leaf(), nil).Pow(x).Softmax(1).Sum().ReLUInPlace()
		},
			[]string{"Linear", "Pow", "Softmax", "Sum", "ReLUInPlace"}, []string{"ReLUInPlace", "Sum", "Softmax", "Pow", "Linear"}},
		{"a loss", func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.CrossEntropy(x.Add(leaf()), tensor.From([]int64{0, 1}), tensor.CrossEntropyOpts{})
		}, []string{"Add", "CrossEntropy"}, []string{"CrossEntropy", "Add"}},
		{"views", func(x *tensor.Tensor) *tensor.Tensor { return x.View(4).Narrow(0, 1, 2).Squeeze() },
			[]string{"View", "Narrow", "Squeeze"}, nil},
		{"without gradient", func(x *tensor.Tensor) *tensor.Tensor { return x.GtScalar(1).ToDType(tensor.Int64).Not() },
			[]string{"GtScalar", "ToDType", "Not"}, nil},
		{"two results", func(x *tensor.Tensor) *tensor.Tensor { _, at := x.Max(1); return at.AddScalar(1) },
			[]string{"Max", "Max", "AddScalar"}, nil},
		{"in place", func(x *tensor.Tensor) *tensor.Tensor {
			return x.Clone().AddInPlace(tensor.Ones(2)).MulScalarInPlace(2).Fill(1).CopyFrom(leaf().Detach()).ClampInPlace(0, 1)
		}, []string{"Clone", "AddInPlace", "MulScalarInPlace", "Fill", "CopyFrom", "ClampInPlace"}, nil},
		{"into what is not watched", func(x *tensor.Tensor) *tensor.Tensor { tensor.Zeros(2, 2).AddInPlace(x); return x }, nil, nil},
		{"marks", func(x *tensor.Tensor) *tensor.Tensor {
			y := x.NoGrad()
			if !y.Exp().IsNoGrad() || !y.Watch(nil).IsNoGrad() {
				t.Error("the no-grad mark is gone")
			}
			return y.Detach().Mul(leaf()).Detach().Exp()
		}, []string{"Exp", "Mul", "Exp"}, nil},
		{"read", func(x *tensor.Tensor) *tensor.Tensor {
			x.Float64s()
			x.Sum().Item()
			_ = x.String()
			x.ToDType(tensor.Int64).Ints()
			return x
		}, []string{"Sum", "ToDType"}, nil},
		{"taken off", func(x *tensor.Tensor) *tensor.Tensor { return x.Watch(nil).Exp() }, nil, nil},
	} {
		w := &told{}
		x := leaf().Watch(w)
		if x.RequiresGrad() || x.Watched() != w {
			t.Fatal("the watched tensor has history, or no watch")
		}
		if y := tt.f(x); y.RequiresGrad() {
			y.Backward()
		}
		if !slices.Equal(w.forward, tt.forward) || !slices.Equal(w.backward, tt.backward) {
			t.Errorf("%s: got %q, then %q, want %q, then %q", tt.name, w.forward, w.backward, tt.forward, tt.backward)
		}
	}
}

// printer is a watch that prints the operations.
type printer struct{}

func (printer) Forward(op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
	fmt.Println("forward", op.Name(), out.Shape())
}

func (printer) Backward(n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor) {
	fmt.Println("backward", n.Op().Name(), g.Shape())
}

func ExampleTensor_Watch() {
	w := tensor.Ones(3, 2).SetRequiresGrad(true)
	x := tensor.Ones(4, 2).Watch(printer{})
	tensor.Linear(x, w, nil).ReLU().Mean().Backward()
	// Output:
	// forward Linear [4 3]
	// forward ReLU [4 3]
	// forward Mean []
	// backward Mean []
	// backward ReLU [4 3]
	// backward Linear [4 3]
}
