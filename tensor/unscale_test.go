package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestUnscale(t *testing.T) {
	xs := []*T{tensor.Full(4, 3), tensor.Full(8, 2).ToDType(tensor.Float64), tensor.Zeros(0), tensor.Full(2, 2).ToDType(tensor.BFloat16)}
	if !friends.Unscale(xs, 0.25) {
		t.Errorf("finite numbers: got false, want true")
	}
	for i, want := range []float64{1, 2, 0, 0.5} {
		for _, got := range xs[i].Float64s() {
			if got != want {
				t.Errorf("tensor %d is %v, want %v everywhere", i, xs[i].Float64s(), want)
			}
		}
	}
	for _, i := range []int{0, 1, 3} {
		was := xs[i].Clone()
		xs[i].Narrow(0, 1, 1).Fill(math.Inf(-1))
		if friends.Unscale(xs, 1) {
			t.Errorf("an infinity in tensor %d: got true, want false", i)
		}
		xs[i].CopyFrom(was)
	}
	if !friends.Unscale(nil, 2) {
		t.Errorf("nothing: got false, want true")
	}
	checkRefusals(t, []refusal{
		{"nil", func() { friends.Unscale([]*T{nil}, 1) }, []string{"tensor: Unscale: tensor 0 is nil"}},
		{"integers", func() { friends.Unscale([]*T{tensor.From([]int64{1})}, 1) }, []string{"tensor: Unscale: the operand is int64"}},
	})
}
