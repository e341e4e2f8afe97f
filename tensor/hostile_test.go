package tensor_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/wick-ml/wick/tensor"
)

// Whatever numbers the operations on shapes and places are given, they compute or
// panic with an *Error, at once: no product wraps, and nothing loops over elements
// that are not there.
func TestHostileNumbers(t *testing.T) {
	const far = math.MaxInt >> 23 // 2⁴⁰ where an int has 64 bits
	numbers := []int{math.MinInt, math.MinInt + 1, -far, -4, -3, -2, -1, 0, 1, 2, 3, far, math.MaxInt - 1, math.MaxInt}
	shapes := []tensor.Shape{{2, 3}, {}, {0, 3}, {1}, {far, 0}, {0, far}, {far, 0, 3}}
	three := func(f func(x *T, a, b, c int)) func(*T) func(int, int, int) {
		return func(x *T) func(int, int, int) { return func(a, b, c int) { f(x, a, b, c) } }
	}
	for name, op := range map[string]func(*T) func(a, b, c int){
		"Narrow":      three(func(x *T, a, b, c int) { x.Narrow(a, b, c) }),
		"Select":      three(func(x *T, a, b, _ int) { x.Select(a, b) }),
		"Split":       three(func(x *T, a, b, _ int) { x.Split(a, b) }),
		"SplitSizes":  three(func(x *T, a, b, c int) { x.SplitSizes([]int{a, b, 1}, c) }),
		"Chunk":       three(func(x *T, a, b, _ int) { x.Chunk(a, b) }),
		"View":        three(func(x *T, a, b, c int) { x.View(a, b, c) }),
		"Expand":      three(func(x *T, a, b, c int) { x.Expand(a, b, c) }),
		"Repeat":      three(func(x *T, a, b, c int) { x.Repeat(a, b, c) }),
		"Flatten":     three(func(x *T, a, b, _ int) { x.Flatten(a, b) }),
		"Squeeze":     three(func(x *T, a, b, _ int) { x.Squeeze(a, b) }),
		"Unsqueeze":   three(func(x *T, a, _, _ int) { x.Unsqueeze(a) }),
		"Transpose":   three(func(x *T, a, b, _ int) { x.Transpose(a, b) }),
		"Permute":     three(func(x *T, a, b, c int) { x.Permute(a, b, c) }),
		"Roll":        three(func(x *T, a, b, _ int) { x.Roll(a, b) }),
		"Flip":        three(func(x *T, a, b, _ int) { x.Flip(a, b) }),
		"Triu":        three(func(x *T, a, _, _ int) { x.Triu(a) }),
		"Tril":        three(func(x *T, a, _, _ int) { x.Tril(a) }),
		"Sort":        three(func(x *T, a, _, _ int) { x.Sort(a, true) }),
		"ArgSort":     three(func(x *T, a, _, _ int) { x.ArgSort(a, false) }),
		"TopK":        three(func(x *T, a, b, _ int) { x.TopK(a, b, true) }),
		"Cat":         three(func(x *T, a, _, _ int) { tensor.Cat(a, x, x) }),
		"Stack":       three(func(x *T, a, _, _ int) { tensor.Stack(a, x, x) }),
		"Gather":      three(func(x *T, a, b, c int) { x.Gather(a, tensor.From([]int{b, c}, 1, 2)) }),
		"ScatterAdd":  three(func(x *T, a, b, c int) { x.ScatterAdd(a, tensor.From([]int{b, c}, 1, 2), x) }),
		"IndexSelect": three(func(x *T, a, b, c int) { x.IndexSelect(a, tensor.From([]int{b, c})) }),
		"IndexAdd":    three(func(x *T, a, b, c int) { x.IndexAdd(a, tensor.From([]int{b, c}), x) }),
		"Embedding": three(func(x *T, a, b, c int) {
			tensor.Embedding(x, tensor.From([]int{a, b}), tensor.EmbeddingOpts{PaddingIdx: &c})
		}),
		"OneHot":   three(func(x *T, a, b, c int) { tensor.OneHot(tensor.From([]int{a, b}), c) }),
		"Nonzero":  three(func(x *T, _, _, _ int) { x.Nonzero() }),
		"Zeros":    three(func(_ *T, a, b, c int) { tensor.Zeros(a, b, c) }),
		"From":     three(func(x *T, a, b, c int) { tensor.From([]float32{1, 2, 3, 4}, a, b, c) }),
		"Eye":      three(func(_ *T, a, b, _ int) { tensor.Eye(a, b) }),
		"Arange":   three(func(_ *T, a, b, c int) { tensor.Arange(float64(a), float64(b), float64(c)) }),
		"Linspace": three(func(_ *T, a, b, c int) { tensor.Linspace(float64(a), float64(b), c) }),
		"RandInt":  three(func(_ *T, a, b, c int) { tensor.RandInt(int64(a), int64(b), c) }),
		"RandPerm": three(func(_ *T, a, _, _ int) { tensor.RandPerm(a) }),
		"CopyFrom": three(func(x *T, _, _, _ int) { x.CopyFrom(tensor.Full(1)) }),
		"MaxPool2d": three(func(x *T, a, b, c int) {
			tensor.MaxPool2dWithIndices(tensor.Ones(1, 3, 2), tensor.PoolOpts{Kernel: a, Stride: 1, Padding: b, Dilation: c, CeilMode: true})
		}),
		"AvgPool2d": three(func(x *T, a, b, c int) {
			tensor.AvgPool2d(tensor.Ones(1, 3, 2), tensor.PoolOpts{Kernel: a, Stride: b, Padding: c, ExcludePad: true})
		}),
		"AvgPool2d by": three(func(x *T, a, b, _ int) {
			tensor.AvgPool2d(tensor.Ones(1, 3, 2), tensor.PoolOpts{Kernel: 2, Stride: a, Divisor: b})
		}),
		"AdaptiveAvgPool2d": three(func(x *T, a, b, _ int) { tensor.AdaptiveAvgPool2d(tensor.Ones(1, 3, 2), a, b) }),
	} {
		for _, shape := range shapes {
			x := tensor.Zeros(shape...)
			f := op(x)
			for i, a := range numbers {
				for j, b := range numbers {
					c := numbers[(3*i+5*j)%len(numbers)]
					for _, n := range [][3]int{{a, b, c}, {b, c, a}} {
						start := time.Now()
						err := try(func() { f(n[0], n[1], n[2]) })
						var typed *tensor.Error
						if err != nil && !errors.As(err, &typed) {
							t.Errorf("%s of %v with %v: %v", name, shape, n, err)
						}
						if d := time.Since(start); d > 20*time.Second {
							t.Errorf("%s of %v with %v takes %v", name, shape, n, d)
						}
					}
				}
			}
		}
	}
}
