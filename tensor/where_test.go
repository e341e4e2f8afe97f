package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestWhereReference(t *testing.T) {
	checkReference(t, "where", map[string]refOp{
		"Where":      func(in []*T, _ refArgs) []*T { return one(tensor.Where(in[0], in[1], in[2])) },
		"MaskedFill": func(in []*T, a refArgs) []*T { return one(in[0].MaskedFill(in[1], a.float("value"))) },
	})
}

// What is not chosen leaves no NaN behind, in the result or in the gradients.
func TestWhereInfinite(t *testing.T) {
	inf := math.Inf(1)
	x := tensor.From([]float64{1, -inf, math.NaN()}).SetRequiresGrad(true)
	masked := x.MaskedFill(tensor.From([]bool{false, true, true}), -inf)
	wantTensor(t, "MaskedFill", masked, tensor.From([]float64{1, -inf, -inf}), 0)
	masked.Backward(tensor.BackwardOpts{Gradient: tensor.From([]float64{2, math.NaN(), inf})})
	wantTensor(t, "its gradient", x.Grad(), tensor.From([]float64{2, 0, 0}), 0)
	y := tensor.Where(tensor.From([]bool{true, false, false}), x.Detach(), tensor.From([]float64{0, 5, 6}))
	wantTensor(t, "Where", y, tensor.From([]float64{1, 5, 6}), 0)
}

func ExampleWhere() {
	x := tensor.From([]float32{-2, -1, 1, 2})
	fmt.Println(tensor.Where(x.GtScalar(0), x, x.Square()).Floats())
	// Output: [4 1 1 2]
}
