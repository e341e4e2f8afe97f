package tensor_test

import (
	"fmt"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// The wanted values are what PyTorch prints for the same call.
func TestCreation(t *testing.T) {
	like := tensor.From([]float64{1, 2, 3}, 3, 1)
	for _, c := range []struct {
		name string
		got  *T
		want string
	}{
		{"zeros", tensor.Zeros(2, 2), "tensor([[0., 0.],\n        [0., 0.]])"},
		{"a scalar", tensor.Ones(), "tensor(1.)"},
		{"full", tensor.Full(2.5, 3), "tensor([2.5000, 2.5000, 2.5000])"},
		{"zeros like", tensor.ZerosLike(like), "tensor([[0.],\n        [0.],\n        [0.]], dtype=float64)"},
		{"ones like ints", tensor.OnesLike(tensor.From([]int{5, 6})), "tensor([1, 1])"},
		{"full like", tensor.FullLike(like.Flatten(0), 7), "tensor([7., 7., 7.], dtype=float64)"},
		{"eye", tensor.Eye(2), "tensor([[1., 0.],\n        [0., 1.]])"},
		{"eye, wide", tensor.Eye(2, 3), "tensor([[1., 0., 0.],\n        [0., 1., 0.]])"},
		{"eye, tall", tensor.Eye(3, 1), "tensor([[1.],\n        [0.],\n        [0.]])"},
		{"eye of nothing", tensor.Eye(0), "tensor([], size=[0 0])"},
		{"arange", tensor.Arange(0, 5, 1), "tensor([0, 1, 2, 3, 4])"},
		{"arange down", tensor.Arange(5, 0, -2), "tensor([5, 3, 1])"},
		{"arange of fractions", tensor.Arange(0, 1, 0.25), "tensor([0.0000, 0.2500, 0.5000, 0.7500])"},
		{"arange of nothing", tensor.Arange(3, 3, 1), "tensor([], dtype=int64)"},
		{"linspace", tensor.Linspace(-1, 1, 5), "tensor([-1.0000, -0.5000,  0.0000,  0.5000,  1.0000])"},
		{"linspace of one", tensor.Linspace(3, 9, 1), "tensor([3.])"},
		{"from bools", tensor.From([]bool{true, false}), "tensor([ True, False])"},
		{"from bytes", tensor.From([]uint8{1, 255}, -1, 1), "tensor([[  1],\n        [255]], dtype=uint8)"},
		{"from one, reshaped to a scalar", tensor.From([]int{3}).Reshape(tensor.Shape{}...), "tensor(3)"},
		{"from nothing", tensor.From([]float32{}, 0, 2), "tensor([], size=[0 2])"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestCreationReference(t *testing.T) {
	// Elements are compared in the type of the case's input, which is Float64 and Float32 in turn.
	as := func(x, like *T) []*T {
		like = like.Clone()
		if x.DType().IsFloat() {
			x = x.ToDType(like.DType())
		}
		return one(x.To(like.Device()))
	}
	checkReference(t, "create", map[string]refOp{
		"Arange": func(in []*T, a refArgs) []*T {
			return as(tensor.Arange(a.float("start"), a.float("end"), a.float("step")), in[0])
		},
		"Linspace": func(in []*T, a refArgs) []*T {
			return as(tensor.Linspace(a.float("start"), a.float("end"), a.int("n")), in[0])
		},
		"Eye":      func(in []*T, a refArgs) []*T { return as(tensor.Eye(a.int("n"), a.int("m")), in[0]) },
		"FullLike": func(in []*T, a refArgs) []*T { return one(tensor.FullLike(in[0], a.float("v"))) },
		"Fill":     func(in []*T, a refArgs) []*T { return one(in[0].Clone().Fill(a.float("v"))) },
	})
}

func ExampleFrom() {
	x := tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, -1)
	fmt.Println(x.Shape(), x.DType())
	fmt.Println(x.MulScalar(2).Sum(0))
	// Output:
	// [2 3] float32
	// tensor([10., 14., 18.])
}
