package tensor_test

import "testing"

func TestCumsumReference(t *testing.T) {
	checkReference(t, "cumsum", map[string]refOp{
		"Cumsum": func(in []*T, a refArgs) []*T { return one(in[0].Cumsum(a.int("dim"))) },
	})
}
