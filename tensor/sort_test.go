package tensor_test

import (
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestSortReference(t *testing.T) {
	checkReference(t, "sort", map[string]refOp{
		"Sort": func(in []*T, a refArgs) []*T {
			values, indices := in[0].Sort(a.int("dim"), a.bool("descending"))
			return []*T{values, indices}
		},
		"ArgSort": func(in []*T, a refArgs) []*T { return one(in[0].ArgSort(a.int("dim"), a.bool("descending"))) },
		"TopK": func(in []*T, a refArgs) []*T {
			values, indices := in[0].TopK(a.int("k"), a.int("dim"), a.bool("largest"))
			return []*T{values, indices}
		},
	})
}

func TestSortRefuses(t *testing.T) {
	x := tensor.Ones(2, 3)
	checkRefusals(t, []refusal{
		{"a dimension that is not there", func() { x.Sort(2, false) }, []string{"tensor: Sort: dimension 2", "want -2 to 1"}},
		{"more than there are", func() { x.TopK(4, 1, true) }, []string{"TopK: k is 4 for dimension 1 of [2 3], want 0 to 3"}},
		{"fewer than none", func() { x.TopK(-1, 0, true) }, []string{"TopK: k is -1", "want 0 to 2"}},
	})
}
