package tensor_test

import "testing"

func TestSoftmaxReference(t *testing.T) {
	checkReference(t, "softmax", map[string]refOp{
		"Softmax":    func(in []*T, a refArgs) []*T { return one(in[0].Softmax(a.int("dim"))) },
		"LogSoftmax": func(in []*T, a refArgs) []*T { return one(in[0].LogSoftmax(a.int("dim"))) },
	})
}
