package tensor_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

func TestIndexReference(t *testing.T) {
	checkReference(t, "index", map[string]refOp{
		"Gather":       func(in []*T, a refArgs) []*T { return one(in[0].Gather(a.int("dim"), in[1])) },
		"ScatterAdd":   func(in []*T, a refArgs) []*T { return one(in[0].ScatterAdd(a.int("dim"), in[1], in[2])) },
		"IndexSelect":  func(in []*T, a refArgs) []*T { return one(in[0].IndexSelect(a.int("dim"), in[1])) },
		"IndexAdd":     func(in []*T, a refArgs) []*T { return one(in[0].IndexAdd(a.int("dim"), in[1], in[2])) },
		"MaskedSelect": ref2((*T).MaskedSelect),
		"Embedding":    ref2(func(w, i *T) *T { return tensor.Embedding(w, i) }),
		"EmbeddingPadding": func(in []*T, a refArgs) []*T {
			return one(tensor.Embedding(in[0], in[1], tensor.EmbeddingOpts{PaddingIdx: new(a.int("padding"))}))
		},
		"OneHot":  func(in []*T, a refArgs) []*T { return one(tensor.OneHot(in[0], a.int("classes"))) },
		"Nonzero": ref1((*T).Nonzero),
	})
}

// PyTorch has no gradient for a source larger than the index: what is not used
// gets 0.
func TestScatterAddLargerSource(t *testing.T) {
	x, src := tensor.Zeros(3), tensor.Ones(4).SetRequiresGrad(true)
	out := x.ScatterAdd(0, tensor.From([]int64{2, 0, 2}), src)
	wantTensor(t, "result", out, tensor.From([]float32{1, 0, 2}), 0)
	out.Mul(tensor.From([]float32{5, 6, 7})).Sum().Backward()
	wantTensor(t, "gradient", src.Grad(), tensor.From([]float32{7, 5, 7, 0}), 0)
}

// An index without elements may have any type, as in PyTorch.
func TestGatherNothing(t *testing.T) {
	x := tensor.Ones(2, 3)
	for _, none := range []*T{tensor.Zeros(0), tensor.From([]uint8{}), tensor.From([]int64{})} {
		wantTensor(t, "Gather", x.Gather(0, none), tensor.Zeros(0), 0)
		wantTensor(t, "ScatterAdd", x.ScatterAdd(1, none, x), x, 0)
	}
}

func TestCountEqual(t *testing.T) {
	for _, c := range []struct {
		a, b *T
		want int
	}{
		{tensor.From([]int64{1, 2, 3}), tensor.From([]int64{1, 5, 3}), 2},
		{tensor.From([]float32{1, 2}, 2, 1), tensor.From([]float32{0, 0}, 2, 1), 0},
		{tensor.From([]bool{true, false}), tensor.From([]bool{true, false}), 2},
		{tensor.Zeros(0), tensor.Zeros(0), 0},
		{tensor.Zeros(300, 301), tensor.Zeros(300, 301), 90300},
	} {
		if got := tensor.CountEqual(c.a, c.b); got != c.want {
			t.Errorf("CountEqual of %v: got %d, want %d", c.a.Shape(), got, c.want)
		}
	}
}

func TestIndexRefuses(t *testing.T) {
	x := tensor.Ones(4, 3)
	at := func(v ...int64) *T { return tensor.From(v) }
	outside := "at position [1] is out of range for dimension 0 of [4 3], want 0 to 3"
	checkRefusals(t, []refusal{
		{"too large", func() { x.IndexSelect(0, at(0, 4)) }, []string{"tensor: IndexSelect: index 4 " + outside}},
		{"negative", func() { x.IndexSelect(0, at(0, -1)) }, []string{"IndexSelect: index -1 " + outside}},
		{"row that is not there", func() { tensor.Embedding(x, at(3, 9)) }, []string{"Embedding: index 9 " + outside}},
		{"place that is not there", func() { x.IndexAdd(0, at(3, 9), tensor.Ones(2, 3)) }, []string{"IndexAdd: index 9 " + outside}},
		{"in the second dimension", func() { x.Gather(1, tensor.From([]int64{0, 1, 2, 3}, 2, 2)) },
			[]string{"Gather: index 3 at position [1 1] is out of range for dimension 1 of [4 3], want 0 to 2"}},
		{"added where nothing is", func() { x.ScatterAdd(0, tensor.From([]int64{0, 7}, 2, 1), tensor.Ones(2, 1)) },
			[]string{"ScatterAdd: index 7 at position [1 0] is out of range for dimension 0 of [4 3], want 0 to 3"}},
		{"into nothing", func() { tensor.Zeros(0, 3).IndexSelect(0, at(0)) }, []string{"dimension 0 of [0 3], which has no entries"}},
		{"class that is not there", func() { tensor.OneHot(at(0, 5), 3) },
			[]string{"OneHot: index 5 at position [1] is out of range for dimension 1 of [2 3], want 0 to 2"}},
		{"negative class", func() { tensor.OneHot(at(2, -5), -1) }, []string{"OneHot: index -5 at position [1]", "want 0 to 2"}},
		{"no classes", func() { tensor.OneHot(at(0), 0) }, []string{"got 0 classes, want 1 or more"}},
		{"classes of nothing", func() { tensor.OneHot(at(), -1) }, []string{"an index without elements"}},
		{"index of another type", func() { x.Gather(0, x) }, []string{"Gather: the index is float32, want int64"}},
		{"index of another shape", func() { x.IndexSelect(0, tensor.From([]int64{0, 1}, 2, 1)) }, []string{"the index is [2 1], want one dimension"}},
		{"index of fewer dimensions", func() { x.Gather(0, at(1)) }, []string{"the index [1] does not fit the tensor [4 3]", "but for dimension 0"}},
		{"index larger than the tensor", func() { x.Gather(0, tensor.From(make([]int64, 4), 1, 4)) }, []string{"the index [1 4] does not fit the tensor [4 3]"}},
		{"index larger than the source", func() { x.ScatterAdd(0, tensor.From(make([]int64, 4), 4, 1), tensor.Ones(3, 1)) },
			[]string{"the index [4 1] does not fit the source [3 1]"}},
		{"source of another type", func() { x.ScatterAdd(0, tensor.From([]int64{0}, 1, 1), tensor.From([]int64{0}, 1, 1)) },
			[]string{"operands are float32 and int64"}},
		{"source of another shape", func() { x.IndexAdd(0, at(0, 1), tensor.Ones(3, 3)) }, []string{"the source is [3 3], want [2 3]"}},
		{"mask of another type", func() { x.MaskedSelect(x) }, []string{"the mask is float32, want bool"}},
		{"mask of another shape", func() { x.MaskedSelect(tensor.From([]bool{true, false})) }, []string{"shapes [4 3] and [2] do not broadcast"}},
		{"weight that is no matrix", func() { tensor.Embedding(tensor.Ones(3), at(0)) }, []string{"Embedding: the weight is [3], want two dimensions"}},
		{"padding that is not there", func() { tensor.Embedding(x, at(0), tensor.EmbeddingOpts{PaddingIdx: new(4)}) },
			[]string{"Embedding: the padding index is 4 for the weight [4 3], want -4 to 3"}},
		{"padding before the first", func() { tensor.Embedding(x, at(0), tensor.EmbeddingOpts{PaddingIdx: new(-5)}) },
			[]string{"Embedding: the padding index is -5 for the weight [4 3], want -4 to 3"}},
		{"entries of a scalar", func() { tensor.Full(1).IndexSelect(0, at(0, 0)) }, []string{"IndexSelect: the index [2] has 2 elements for a scalar, want one"}},
		{"entry of a scalar that is not there", func() { tensor.Full(1).IndexSelect(0, at(1)) }, []string{"IndexSelect: index 1 at position [0] is out of range"}},
		{"no entries of a scalar", func() { tensor.Full(1).IndexAdd(0, at(), tensor.Full(1)) }, []string{"IndexAdd: the index [0] has 0 elements for a scalar, want one"}},
		{"entries added to a scalar", func() { tensor.Full(1).IndexAdd(0, at(0), tensor.Ones(1)) }, []string{"IndexAdd: the source is [1], want []"}},
		{"a scalar's place that is not there", func() { tensor.Full(1).Gather(0, tensor.Full(1).ToDType(tensor.Int64)) }, []string{"Gather: index 1 at position [0] is out of range"}},
		{"a scalar's second dimension", func() { tensor.Full(1).Gather(1, at(0)) }, []string{"Gather: dimension 1 does not exist"}},
		{"counting other shapes", func() { tensor.CountEqual(x, tensor.Ones(3)) }, []string{"the tensors are [4 3] and [3], want one shape"}},
		{"counting other types", func() { tensor.CountEqual(x, x.ToDType(tensor.Int64)) }, []string{"operands are float32 and int64"}},
	})

	err := tensor.Try(func() { x.IndexSelect(0, at(4)) })
	var e *tensor.Error
	if !errors.As(err, &e) || e.Op != "IndexSelect" {
		t.Errorf("got %#v, want a *tensor.Error of IndexSelect", err)
	}
}

func ExampleEmbedding() {
	table := tensor.Arange(0, 6, 1).ToDType(tensor.Float32).View(3, 2).SetRequiresGrad(true)
	rows := tensor.Embedding(table, tensor.From([]int64{2, 0, 2}), tensor.EmbeddingOpts{PaddingIdx: new(0)})
	fmt.Println(rows.Detach())
	rows.Sum().Backward()
	fmt.Println(table.Grad())
	// Output:
	// tensor([[4., 5.],
	//         [0., 1.],
	//         [4., 5.]])
	// tensor([[0., 0.],
	//         [0., 0.],
	//         [2., 2.]])
}
