package tensor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestNotFinite(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	full := func(v float64, dims ...int) *tensor.Tensor { return tensor.Full(v, dims...) }
	one := func(v float64, n, at int) *tensor.Tensor { // of n zeros one is v
		x := tensor.Zeros(n)
		x.Narrow(0, at, 1).Fill(v)
		return x
	}
	opposite := tensor.From([]float64{inf, -inf}) // whose sum is NaN
	watch := &told{}
	for _, tt := range []struct {
		name string
		xs   []*tensor.Tensor
		want []int
	}{
		{"none", nil, nil},
		{"finite", []*tensor.Tensor{full(1, 2, 3), full(-5), tensor.Zeros(0)}, nil},
		{"NaN, infinities", []*tensor.Tensor{full(nan), full(1), full(inf, 2), full(-inf, 3, 1)}, []int{0, 2, 3}},
		{"one of many", []*tensor.Tensor{one(nan, 100000, 99999), one(1, 100000, 5), one(-inf, 70000, 0)}, []int{0, 2}},
		{"sums that overflow", []*tensor.Tensor{full(3e38, 100), full(-3e38, 1000)}, nil},
		{"both infinities", []*tensor.Tensor{opposite, opposite.ToDType(tensor.Float32)}, []int{0, 1}},
		{"types", []*tensor.Tensor{full(1), full(1e300).ToDType(tensor.Int64), opposite.Detach().AddScalar(1), full(nan), full(1).ToDType(tensor.Bool)}, []int{2, 3}},
		{"a view", []*tensor.Tensor{one(nan, 10, 3).Narrow(0, 4, 6), one(nan, 10, 3).Narrow(0, 3, 2)}, []int{1}},
		{"a watched one", []*tensor.Tensor{full(nan).Watch(watch)}, []int{0}},
	} {
		if got := friends.NotFinite(tt.xs); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if watch.forward != nil {
		t.Errorf("the watch was told of %q", watch.forward)
	}
	if err := tensor.Try(func() { friends.NotFinite([]*tensor.Tensor{nil}) }); err == nil {
		t.Error("nil: got no error")
	}
}
