package tensor_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/tensor"
)

// Operations that the reference tables have no place for: in place, random, and
// between types.
func TestGradientsOfTheRest(t *testing.T) {
	for _, shape := range []tensor.Shape{{1}, {5}, {2, 3}, {3, 1, 4}, {2, 2, 2, 2}, {0, 3}} {
		data := make([]float64, shape.Len())
		for i := range data {
			data[i] = float64(i%5) - 1.75
		}
		for _, c := range []struct {
			name string
			f    func(x *T) *T
		}{
			{"ReLUInPlace", func(x *T) *T { return x.MulScalar(1.5).ReLUInPlace() }},
			{"Dropout", func(x *T) *T { return x.Dropout(0.4, true, tensor.NewGenerator(3)) }},
			{"Dropout in evaluation", func(x *T) *T { return x.MulScalar(2).Dropout(0.4, false) }},
			{"Keep dimensions of a norm", func(x *T) *T { return x.Mul(x).AddScalar(1).NormKeepDim(2) }},
			{"To", func(x *T) *T { return x.To(tensor.CPU).MulScalar(3) }},
		} {
			x := tensor.From(data, shape...).SetRequiresGrad(true)
			if err := gradcheck.Check(func(in []*T) *T { return c.f(in[0]) }, []*T{x}, gradcheck.Opts{}); err != nil {
				t.Errorf("%s of %v: %v", c.name, shape, err)
			}
		}
	}
}

func TestGradientGoesThroughTypes(t *testing.T) {
	x := tensor.From([]float32{1, 2, 3}).SetRequiresGrad(true)
	y := x.ToDType(tensor.Float64).MulScalar(0.5)
	y.Sum().Backward()
	if g := x.Grad(); g.DType() != tensor.Float32 || !slices.Equal(g.Floats(), []float32{.5, .5, .5}) {
		t.Errorf("got %v, want three halves, float32", g)
	}
	if x.ToDType(tensor.Int64).RequiresGrad() {
		t.Error("a conversion to integers was recorded")
	}
}

func TestGradWithoutTouchingLeaves(t *testing.T) {
	w := parameter(3)
	h := w.MulScalar(2)
	g := autograd.Grad(h.Mul(h).Sum(), []*tensor.Tensor{h, w})
	if got := g[0].Floats()[0]; got != 4 {
		t.Errorf("gradient of the value on the way: got %v, want 4", got)
	}
	if got := g[1].Floats()[0]; got != 8 || w.Grad() != nil {
		t.Errorf("gradient of the leaf: got %v, want 8, and none on the leaf itself: %v", got, w.Grad())
	}
}

// An operation of one's own: the square root of 1 + x², with its gradient. The closure
// computes with x itself and with the result, which have histories, so that there are
// gradients of the gradient, too.
func ExampleTensor_Backward_ownOperation() {
	hypot := func(x *tensor.Tensor) *tensor.Tensor {
		out := x.Detach().Square().AddScalar(1).Sqrt()
		return autograd.Record(autograd.Named("Hypot1"), out, []*tensor.Tensor{x}, func(g *tensor.Tensor) []*tensor.Tensor {
			return []*tensor.Tensor{g.Mul(x).Div(out)}
		}, x, out)
	}
	x := tensor.From([]float32{0, 0.75}).SetRequiresGrad(true)
	slope := autograd.Grad(hypot(x).Sum(), []*tensor.Tensor{x}, autograd.GradOpts{CreateGraph: true})[0]
	slope.Sum().Backward()
	fmt.Println(slope, x.Grad())
	// Output: tensor([0.0000, 0.6000], grad_fn=<Div>) tensor([1.0000, 0.5120])
}
