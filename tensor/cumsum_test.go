package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestCumsumReference(t *testing.T) {
	checkReference(t, "cumsum", map[string]refOp{
		"Cumsum": func(in []*T, a refArgs) []*T { return one(in[0].Cumsum(a.int("dim"))) },
	})
}

// Rows without elements have no sums, however many there are.
func TestCumsumOfNothing(t *testing.T) {
	x := tensor.Zeros(math.MaxInt, 0)
	for dim := range 2 {
		if y := x.Cumsum(dim); !y.Shape().Equal(x.Shape()) {
			t.Errorf("dimension %d: got %v, want %v", dim, y.Shape(), x.Shape())
		}
	}
}
