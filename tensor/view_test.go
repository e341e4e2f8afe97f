package tensor_test

import (
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestViewReference(t *testing.T) {
	checkReference(t, "view", map[string]refOp{
		"Flatten":   func(in []*T, a refArgs) []*T { return one(in[0].Flatten(a.int("d"))) },
		"Unsqueeze": func(in []*T, a refArgs) []*T { return one(in[0].Unsqueeze(a.int("d"))) },
		"Squeeze":   ref1(func(x *T) *T { return x.Squeeze() }),
		"View":      ref1(func(x *T) *T { return x.View(-1) }),
		"Reshape":   ref1(func(x *T) *T { return x.Reshape(1, -1) }),
		"Transpose": ref1(func(x *T) *T { return x.Transpose(0, -1) }),
		"Repeat": ref1(func(x *T) *T {
			times := []int{2}
			for range x.Dim() {
				times = append(times, 3)
			}
			return x.Repeat(times...)
		}),
		"Expand": ref1(func(x *T) *T { return x.Expand(append([]int{3}, x.Shape()...)...) }),
		"Flip": ref1(func(x *T) *T {
			if x.Dim() > 1 {
				return x.Flip(0, -1)
			}
			return x.Flip(0)
		}),
		"Select":  ref1(func(x *T) *T { return x.Select(-1, 0) }),
		"Narrow":  ref1(func(x *T) *T { return x.Narrow(0, 0, 1) }),
		"Clone":   ref1((*T).Clone),
		"Permute": func(in []*T, a refArgs) []*T { return one(in[0].Permute(a.ints("order")...)) },
		"NarrowAt": func(in []*T, a refArgs) []*T {
			return one(in[0].Narrow(a.int("dim"), a.int("start"), a.int("n")))
		},
		"Cat":   func(in []*T, a refArgs) []*T { return one(tensor.Cat(a.int("dim"), in...)) },
		"Stack": func(in []*T, a refArgs) []*T { return one(tensor.Stack(a.int("dim"), in...)) },
		"Split": func(in []*T, a refArgs) []*T {
			pieces := in[0].Split(a.int("size"), a.int("dim"))
			return one(pieces[len(pieces)-1])
		},
		"Chunk": func(in []*T, a refArgs) []*T { return one(in[0].Chunk(a.int("size"), a.int("dim"))[0]) },
		"Triu":  func(in []*T, a refArgs) []*T { return one(in[0].Triu(a.int("d"))) },
		"Tril":  func(in []*T, a refArgs) []*T { return one(in[0].Tril(a.int("d"))) },
	})
}
