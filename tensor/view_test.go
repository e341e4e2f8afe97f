package tensor_test

import (
	"fmt"
	"math"
	"slices"
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
		"SqueezeDims": func(in []*T, a refArgs) []*T { return one(in[0].SqueezeDims(a.ints("dims"))) },
		"TransposeAt": func(in []*T, a refArgs) []*T { return one(in[0].Transpose(a.int("i"), a.int("j"))) },
		"FlipAt":      func(in []*T, a refArgs) []*T { return one(in[0].Flip(a.ints("dims")...)) },
		"Roll":        func(in []*T, a refArgs) []*T { return one(in[0].Roll(a.int("shift"), a.ints("dims")...)) },
		"FlattenTo":   func(in []*T, a refArgs) []*T { return one(in[0].Flatten(a.int("d"), a.int("to"))) },
		"T":           ref1((*T).T),
		"SplitSizes":  func(in []*T, a refArgs) []*T { return in[0].SplitSizes(a.ints("sizes"), a.int("dim")) },
		"SplitAll":    func(in []*T, a refArgs) []*T { return in[0].Split(a.int("size"), a.int("dim")) },
		"ChunkAll":    func(in []*T, a refArgs) []*T { return in[0].Chunk(a.int("n"), a.int("dim")) },
		"ExpandTo":    func(in []*T, a refArgs) []*T { return one(in[0].Expand(a.ints("dims")...)) },
		"RepeatBy":    func(in []*T, a refArgs) []*T { return one(in[0].Repeat(a.ints("times")...)) },
		"CopyFrom":    ref2(func(x, y *T) *T { return x.Clone().CopyFrom(y) }),
		"ViewAs":      func(in []*T, a refArgs) []*T { return one(in[0].View(a.ints("dims")...)) },
		"Cat":         func(in []*T, a refArgs) []*T { return one(tensor.Cat(a.int("dim"), in...)) },
		"Stack":       func(in []*T, a refArgs) []*T { return one(tensor.Stack(a.int("dim"), in...)) },
		"Split": func(in []*T, a refArgs) []*T {
			pieces := in[0].Split(a.int("size"), a.int("dim"))
			return one(pieces[len(pieces)-1])
		},
		"Chunk": func(in []*T, a refArgs) []*T { return one(in[0].Chunk(a.int("size"), a.int("dim"))[0]) },
		"Slice": func(in []*T, a refArgs) []*T {
			return one(in[0].Slice(a.int("dim"), a.int("start"), a.int("end"), a.int("step")))
		},
		"MoveDim":   func(in []*T, a refArgs) []*T { return one(in[0].MoveDim(a.int("i"), a.int("j"))) },
		"Unflatten": func(in []*T, a refArgs) []*T { return one(in[0].Unflatten(a.int("dim"), a.ints("sizes")...)) },
		"AsStrided": func(in []*T, a refArgs) []*T {
			return one(in[0].Contiguous().AsStrided(a.ints("shape"), a.ints("strides"), a.int("offset")))
		},
		"MaskedFillInPlace":    func(in []*T, a refArgs) []*T { return one(in[0].Clone().MaskedFillInPlace(in[1], a.float("v"))) },
		"MaskedScatterInPlace": func(in []*T, _ refArgs) []*T { return one(in[0].Clone().MaskedScatterInPlace(in[1], in[2])) },
		"IndexFillInPlace": func(in []*T, a refArgs) []*T {
			return one(in[0].Clone().IndexFillInPlace(a.int("dim"), in[1], a.float("v")))
		},
		"IndexCopyInPlace": func(in []*T, a refArgs) []*T { return one(in[0].Clone().IndexCopyInPlace(a.int("dim"), in[1], in[2])) },
		"IndexAddInPlace":  func(in []*T, a refArgs) []*T { return one(in[0].Clone().IndexAddInPlace(a.int("dim"), in[1], in[2])) },
		"Triu":             func(in []*T, a refArgs) []*T { return one(in[0].Triu(a.int("d"))) },
		"Tril":             func(in []*T, a refArgs) []*T { return one(in[0].Tril(a.int("d"))) },
	})
}

// What overlaps is read before it is overwritten, at any size, type and distance.
func TestCopyFromOverlap(t *testing.T) {
	for _, shape := range []tensor.Shape{{8, 3, 128, 128}, {9, 70001}, {3, 1}, {1000, 1000}, {600000}} {
		n, row := shape[0], shape[1:].Len()
		for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Int64, tensor.Uint8, tensor.BFloat16} {
			whole := tensor.Arange(0, float64(n*row), 1).RemainderScalar(251).ToDType(dtype).View(shape...)
			before := whole.ToDType(tensor.Uint8).Bytes()
			for _, by := range []int{1, 2, n / 2} {
				if by < 1 || by >= n {
					continue
				}
				what := fmt.Sprintf("%v %s by %d", shape, dtype, by)
				down, up := whole.Clone(), whole.Clone()
				down.Narrow(0, by, n-by).CopyFrom(down.Narrow(0, 0, n-by))
				up.Narrow(0, 0, n-by).CopyFrom(up.Narrow(0, by, n-by))
				if want := slices.Concat(before[:by*row], before[:(n-by)*row]); !slices.Equal(down.ToDType(tensor.Uint8).Bytes(), want) {
					t.Errorf("%s: down: got other elements", what)
				}
				if want := slices.Concat(before[by*row:], before[(n-by)*row:]); !slices.Equal(up.ToDType(tensor.Uint8).Bytes(), want) {
					t.Errorf("%s: up: got other elements", what)
				}
			}
			rows := whole.Clone()
			rows.CopyFrom(rows.Select(0, n-1))
			if want := slices.Repeat(before[(n-1)*row:], n); !slices.Equal(rows.ToDType(tensor.Uint8).Bytes(), want) {
				t.Errorf("%v %s: the last row to all: got other elements", shape, dtype)
			}
		}
	}
	x := tensor.Arange(0, 6, 1)
	wantTensor(t, "itself", x.CopyFrom(x), tensor.From([]int64{0, 1, 2, 3, 4, 5}), 0)
	wantTensor(t, "itself in another shape", x.View(1, 6).CopyFrom(x), tensor.From([]int64{0, 1, 2, 3, 4, 5}, 1, 6), 0)
}

// What shares memory and what copies, as the documentation lists it.
func TestSharing(t *testing.T) {
	x, v := tensor.Ones(2, 3), tensor.Ones(4)
	for _, c := range []struct {
		name string
		x, y *T
		want bool
	}{
		{"View", x, x.View(6), true}, {"Reshape", x, x.Reshape(3, 2), true}, {"Flatten", x, x.Flatten(0), true}, {"Flatten to", x, x.Flatten(0, 1), true},
		{"Squeeze", x, x.Squeeze(), true}, {"SqueezeDims", x, x.SqueezeDims(nil), true}, {"Unsqueeze", x, x.Unsqueeze(1), true},
		{"Detach", x, x.Detach(), true}, {"NoGrad", x, x.NoGrad(), true}, {"T of a vector", v, v.T(), true}, {"To", x, x.To(tensor.CPU), true}, {"ToDType", x, x.ToDType(tensor.Float32), true}, {"ToDType of another", x, x.ToDType(tensor.Float64), false}, {"Autocast", x, x.Autocast(tensor.BFloat16), true}, {"T", x, x.T(), true}, {"Unbind", x, x.Unbind(1)[2], true}, {"Diagonal", x, x.Diagonal(1, 0, 1), true}, {"Unfold", x, x.Unfold(1, 2, 1), true}, {"Contiguous", x, x.Contiguous(), true}, {"Contiguous of T", x, x.T().Contiguous(), false}, {"Reshape of T", x, x.T().Reshape(6), false},
		{"Narrow", x, x.Narrow(0, -1, 1), true}, {"Select", x, x.Select(0, 1), true}, {"Split", x, x.Split(1, 0)[1], true},
		{"SplitSizes", x, x.SplitSizes([]int{1, 1}, 0)[1], true}, {"Chunk", x, x.Chunk(2, 0)[1], true},
		{"Narrow of columns", x, x.Narrow(1, 0, 3), true}, {"Select of a column", x, x.Select(1, 0), true}, {"Split of columns", x, x.Split(3, 1)[0], true},
		{"SplitSizes of columns", x, x.SplitSizes([]int{3}, 1)[0], true}, {"Chunk of columns", x, x.Chunk(1, 1)[0], true},
		{"Transpose", x, x.Transpose(0, 0), true}, {"Permute", x, x.Permute(0, 1), true}, {"Expand", x, x.Expand(2, 3), true}, {"Repeat", x, x.Repeat(1, 1), false},
		{"Flip", x, x.Flip(), false}, {"Roll", x, x.Roll(0, 0), false}, {"Cat", x, tensor.Cat(0, x), false}, {"Clone", x, x.Clone(), false},
	} {
		if got := c.y.SharesMemory(c.x); got != c.want {
			t.Errorf("%s shares memory: %v, want %v", c.name, got, c.want)
		}
	}
}

func ExampleTensor_Slice() {
	x := tensor.Arange(0, 12, 1).View(3, 4)
	fmt.Println(x.Slice(1, 0, 4, 2))                 // x[:, ::2]
	x.Slice(1, 1, math.MaxInt, 2).Fill(0)            // x[:, 1::2] = 0
	x.Select(0, 2).CopyFrom(tensor.Arange(7, 11, 1)) // x[2] = …
	fmt.Println(x, x.T().Strides(), x.T().IsContiguous())
	fmt.Println(x.MoveDim(0, 1).Shape(), x.Unflatten(1, 2, -1).Shape(), x.AsStrided([]int{2, 2}, []int{5, 1}, 1))
	// Output:
	// tensor([[ 0,  2],
	//         [ 4,  6],
	//         [ 8, 10]])
	// tensor([[ 0,  0,  2,  0],
	//         [ 4,  0,  6,  0],
	//         [ 7,  8,  9, 10]]) [1 4] false
	// [4 3] [3 2 2] tensor([[0, 2],
	//         [6, 0]])
}

func ExampleTensor_MaskedFillInPlace() {
	x := tensor.From([]float32{1, -2, 3, -4, 5, -6}, 3, 2)
	x.MaskedFillInPlace(x.LtScalar(-3), 0) // x[x < -3] = 0
	index := tensor.From([]int{2, 0})
	x.IndexFillInPlace(1, tensor.From([]int{1}), 8)                        // x[:, [1]] = 8
	x.IndexCopyInPlace(0, index, tensor.From([]float32{1, 1, 2, 2}, 2, 2)) // x[[2, 0]] = …
	x.IndexAddInPlace(0, index, tensor.Ones(2, 2))                         // adds to both rows
	x.MaskedScatterInPlace(x.EqScalar(8), tensor.From([]float32{7}))       // x[x == 8] = [7]
	fmt.Println(x)
	// Output:
	// tensor([[3., 3.],
	//         [3., 7.],
	//         [2., 2.]])
}

func ExampleTensor_SplitSizes() {
	x := tensor.Arange(0, 6, 1)
	for _, piece := range x.SplitSizes([]int{1, 3, 2}, 0) {
		fmt.Println(piece)
	}
	fmt.Println(x.Narrow(0, -2, 2)) // the last two
	// Output:
	// tensor([0])
	// tensor([1, 2, 3])
	// tensor([4, 5])
	// tensor([4, 5])
}

func ExampleTensor_SqueezeDims() {
	x := tensor.Zeros(1, 2, 1, 3)
	fmt.Println(x.Squeeze().Shape(), x.SqueezeDims([]int{0}).Shape(), x.SqueezeDims(nil).Shape())
	fmt.Println(x.Flatten(1).Shape(), x.Flatten(0, 1).Shape())
	// Output:
	// [2 3] [2 1 3] [1 2 1 3]
	// [1 6] [2 1 3]
}

func ExampleTensor_CopyFrom() {
	x := tensor.Zeros(2, 3)
	x.CopyFrom(tensor.Arange(0, 3, 1)) // broadcast, and converted to float32
	x.Select(0, 0).CopyFrom(tensor.Full(7))
	fmt.Println(x)
	// Output:
	// tensor([[7., 7., 7.],
	//         [0., 1., 2.]])
}
