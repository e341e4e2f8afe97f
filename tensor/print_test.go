package tensor_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestPrintingIsPyTorchs(t *testing.T) {
	b, err := os.ReadFile("testdata/print.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		In    *refTensor
		DType string
		Text  string
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		dtype := tensor.Float32
		if c.DType == "float64" {
			dtype = tensor.Float64
		}
		// Shapes are written the Go way.
		want := strings.ReplaceAll(c.Text, "size=(0, 3)", "size=[0 3]")
		if got := c.In.tensor(t, dtype).String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestPrintingSaysWhatPyTorchSays(t *testing.T) {
	w := tensor.Ones(2).SetRequiresGrad(true)
	for _, c := range []struct {
		x    *T
		want string
	}{
		{w, "tensor([1., 1.], requires_grad=true)"},
		{w.MulScalar(2), "tensor([2., 2.], grad_fn=<MulScalar>)"},
		{w.NoGrad().MulScalar(2), "tensor([2., 2.], no_grad)"},
	} {
		if got := c.x.String(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := tensor.CPU.String() + " " + tensor.Float64.String() + " " + w.Shape().String(); got != "cpu float64 [2]" {
		t.Errorf("got %q", got)
	}
}

// Of a large tensor only what is printed is copied: one that Expand has made has more
// elements than there is memory for.
func TestPrintingOfLargeViews(t *testing.T) {
	for _, c := range []struct {
		x    *T
		want string
	}{
		{tensor.Full(2).Expand(1 << 40), "tensor([2., 2., 2.,  ..., 2., 2., 2.])"},
		{tensor.From([]bool{true, false}).View(2, 1).Expand(2, 1<<38), "tensor([[ True,  True,  True,  ...,  True,  True,  True],\n        [False, False, False,  ..., False, False, False]])"},
		{tensor.Arange(0, 4000, 1).View(2, 2000).T(), "tensor([[   0, 2000],\n        [   1, 2001],\n        [   2, 2002],\n        ...,\n        [1997, 3997],\n        [1998, 3998],\n        [1999, 3999]])"},
	} {
		if got := c.x.String(); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}
