package tensor_test

import (
	"fmt"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestMatMulReference(t *testing.T) {
	checkReference(t, "matmul", map[string]refOp{
		"MatMul":       ref2((*T).MatMul),
		"Dot":          ref2((*T).Dot),
		"Linear":       func(in []*T, _ refArgs) []*T { return one(tensor.Linear(in[0], in[1], in[2])) },
		"LinearNoBias": func(in []*T, _ refArgs) []*T { return one(tensor.Linear(in[0], in[1], nil)) },
	})
}

func TestMatMulErrors(t *testing.T) {
	zeros := func(dims ...int) *T { return tensor.Zeros(dims...) }
	weight := zeros(2, 3)
	friends.SetPath(weight, "classifier.weight")
	for _, c := range []struct {
		f    func()
		want string
	}{
		{func() { zeros(2, 3).MatMul(zeros(4, 5)) }, "tensor: MatMul: [2 3] by [4 5]: the left operand has rows of 3 elements, the right one columns of 4, want one number"},
		{func() { zeros(2).MatMul(zeros(3)) }, "tensor: MatMul: [2] by [3]: the left operand has rows of 2 elements, the right one columns of 3, want one number"},
		{func() { zeros(2, 2, 3).MatMul(zeros(3, 3, 4)) }, "tensor: MatMul: shapes [2] and [3] do not broadcast: 2 and 3 differ in the last dimension, want equal sizes or 1"},
		{func() { zeros(2, 3).MatMul(tensor.Zeros(3, 4).ToDType(tensor.Float64)) }, "tensor: MatMul: operands are float32 and float64, want one type; ToDType converts"},
		{func() { zeros(2, 3).MatMul(zeros().Reshape()) }, "tensor: MatMul: operands are [2 3] and [], want one dimension each at least; MulScalar and Mul take scalars"},
		{func() { zeros(2).Dot(zeros(3)) }, "tensor: Dot: operands are [2] and [3], want two vectors of one length"},
		{func() { tensor.Linear(zeros(4, 5), weight, nil) }, "tensor: classifier Linear: input [4 5] does not end in 3, the inputs of the weight [2 3]"},
		{func() { tensor.Linear(zeros(4, 3), weight, zeros(3)) }, "tensor: classifier Linear: the bias is [3], want [2], one number for each output of the weight [2 3]"},
		{func() { tensor.Linear(zeros(4, 3), zeros(3), zeros(1)) }, "tensor: Linear: the weight is [3], want two dimensions: outputs and inputs"},
	} {
		if err := tensor.Try(c.f); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func ExampleTensor_MatMul() {
	a := tensor.From([]float32{1, 2, 3, 4}, 2, 2)
	b := tensor.From([]float32{1, 0, 1, 1}, 2, 2)
	fmt.Println(a.MatMul(b).Floats())
	// Output: [3 2 7 4]
}
