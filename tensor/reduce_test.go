package tensor_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// overDims is the refOp of a method that takes dimensions.
func overDims(f func(x *T, dims ...int) *T) refOp {
	return func(in []*T, a refArgs) []*T { return one(f(in[0], a.ints("dims")...)) }
}

// alongDim is the refOp of a method that takes a dimension and gives two results.
func alongDim(f func(x *T, dim int) (*T, *T)) refOp {
	return func(in []*T, a refArgs) []*T {
		values, indices := f(in[0], a.int("dim"))
		return []*T{values, indices}
	}
}

func varOpts(a refArgs) tensor.VarOpts {
	return tensor.VarOpts{Dims: a.ints("dims"), Keep: a.bool("keep"), Correction: new(a.int("correction"))}
}

func TestReduceReference(t *testing.T) {
	checkReference(t, "reduce", map[string]refOp{
		"Sum": overDims((*T).Sum), "SumKeepDim": overDims((*T).SumKeepDim),
		"Mean": overDims((*T).Mean), "MeanKeepDim": overDims((*T).MeanKeepDim),
		"Prod": overDims((*T).Prod), "ProdKeepDim": overDims((*T).ProdKeepDim),
		"Amax": overDims((*T).Amax), "AmaxKeepDim": overDims((*T).AmaxKeepDim),
		"Amin": overDims((*T).Amin), "AminKeepDim": overDims((*T).AminKeepDim),
		"LogSumExp": overDims((*T).LogSumExp), "LogSumExpKeepDim": overDims((*T).LogSumExpKeepDim),
		"Any": overDims((*T).Any), "AnyKeepDim": overDims((*T).AnyKeepDim),
		"All": overDims((*T).All), "AllKeepDim": overDims((*T).AllKeepDim),
		"Var":          func(in []*T, a refArgs) []*T { return one(tensor.Var(in[0], varOpts(a))) },
		"Std":          func(in []*T, a refArgs) []*T { return one(tensor.Std(in[0], varOpts(a))) },
		"Norm":         func(in []*T, a refArgs) []*T { return one(in[0].Norm(a.float("p"), a.ints("dims")...)) },
		"Norm2KeepDim": func(in []*T, a refArgs) []*T { return one(in[0].NormKeepDim(2, a.ints("dims")...)) },
		"NormInf": func(in []*T, a refArgs) []*T {
			return one(in[0].Norm(math.Inf(a.int("sign")), a.ints("dims")...))
		},
		"Max": alongDim((*T).Max), "Min": alongDim((*T).Min),
		"ArgMax": func(in []*T, a refArgs) []*T { return one(in[0].ArgMax(a.int("dim"))) },
		"ArgMin": func(in []*T, a refArgs) []*T { return one(in[0].ArgMin(a.int("dim"))) },
	})
}

func TestVarAndStdDefaults(t *testing.T) {
	x := tensor.From([]float64{1, 2, 4, 9, 9, 9}, 2, 3)
	wantTensor(t, "Var", x.Var(1), tensor.From([]float64{7. / 3, 0}), 1e-12)
	wantTensor(t, "Std", x.Std(-1), tensor.From([]float64{math.Sqrt(7. / 3), 0}), 1e-12)
	// Far from 0 little precision may be lost.
	y := tensor.From([]float32{4096, 4097, 4098})
	wantTensor(t, "Var far from 0", y.Var(), tensor.Full(1), 0)
	// Here float32 has no room for the mean.
	z := tensor.From([]float32{1e6, 1e6 + 0.0625, 1e6, 1e6 + 0.0625})
	wantTensor(t, "Var of what differs in the last bit", tensor.Var(z, tensor.VarOpts{Correction: new(0)}), tensor.Full(0x1p-10), 0)
	wantTensor(t, "Std of what differs in the last bit", tensor.Std(z, tensor.VarOpts{Correction: new(0)}), tensor.Full(0x1p-5), 0)
}

// refusal is something that does not fit, and words that the sentence about it
// must have.
type refusal struct {
	name string
	f    func()
	want []string
}

func checkRefusals(t *testing.T, rows []refusal) {
	t.Helper()
	for _, r := range rows {
		err := tensor.Try(r.f)
		if err == nil {
			t.Errorf("%s: got no error", r.name)
			continue
		}
		for _, w := range r.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got error %q, want %q in it", r.name, err, w)
			}
		}
	}
}

func TestReduceRefuses(t *testing.T) {
	x, i := tensor.Ones(2, 3), tensor.From([]int64{1, 2, 3, 4}, 2, 2)
	none := tensor.Zeros(3, 0)
	checkRefusals(t, []refusal{
		{"a dimension that is not there", func() { x.Sum(2) }, []string{"tensor: Sum: dimension 2", "[2 3]", "want -2 to 1"}},
		{"a negative one", func() { x.Amax(-3) }, []string{"Amax: dimension -3", "want -2 to 1"}},
		{"a dimension twice", func() { x.Mean(1, -1) }, []string{"Mean: dimension 1 of [2 3] is named twice"}},
		{"mean of integers", func() { i.Mean() }, []string{"Mean: the operand is int64, want a floating-point type"}},
		{"variance of integers", func() { i.Var() }, []string{"Var: the operand is int64"}},
		{"norm of integers", func() { i.NormKeepDim(2) }, []string{"NormKeepDim: the operand is int64"}},
		{"largest of none", func() { none.Max(1) }, []string{"Max: dimension 1 of [3 0] has no elements"}},
		{"position of the smallest of none", func() { none.ArgMin(-1) }, []string{"ArgMin: dimension 1 of [3 0] has no elements"}},
		{"largest of all of none", func() { none.Amax() }, []string{"Amax: dimension 1 of [3 0] has no elements"}},
		{"infinite norm of none", func() { none.Norm(math.Inf(1)) }, []string{"Norm: dimension 1 of [3 0] has no elements"}},
		{"dimension 1 of a scalar", func() { x.Sum().Softmax(1) }, []string{"Softmax: dimension 1 does not exist in [], want -1 to 0"}},
		{"dimension -2 of a scalar", func() { x.Sum().Sum(-2) }, []string{"Sum: dimension -2 does not exist in [], want -1 to 0"}},
		{"dimension 0 of a scalar twice", func() { x.Sum().Sum(0, -1) }, []string{"Sum: dimension 0 of [] is named twice"}},
		{"the size of a scalar's dimension", func() { x.Sum().Size(0) }, []string{"Size: dimension 0 does not exist in [], a scalar"}},
		{"scalars joined", func() { tensor.Cat(0, x.Sum(), x.Sum()) }, []string{"Cat: dimension 0 does not exist in [], a scalar"}},
		{"a part of a scalar", func() { x.Sum().Select(0, 0) }, []string{"Select: dimension 0 does not exist in [], a scalar"}},
		{"negative norm of none", func() { none.Norm(-1) }, []string{"Norm: dimension 1 of [3 0] has no elements"}},
		{"NaN norm", func() { x.Norm(math.NaN()) }, []string{"the order is NaN"}},
	})
}

func TestReduceNoGradIsPassedOn(t *testing.T) {
	x := tensor.Ones(2, 3).NoGrad()
	values, indices := x.Max(1)
	sorted, order := x.Sort(0, false)
	for name, y := range map[string]*T{
		"Sum": x.Sum(), "Amax": x.Amax(), "Max's values": values, "Max's indices": indices, "ArgMax": x.ArgMax(0), "Any": x.Any(),
		"Sort's values": sorted, "Sort's indices": order, "Nonzero": x.Nonzero(), "ArgSort": x.ArgSort(1, true),
	} {
		if !y.IsNoGrad() {
			t.Errorf("%s of a no-grad tensor: got one without the mark", name)
		}
	}
}

// What is computed from a tensor belongs to its scope, so closing it leaves
// nothing behind; what a gradient is computed with is gone even before.
func TestReduceLeavesNothing(t *testing.T) {
	runtime.GC() // what other tests have left must not go meanwhile
	before := live()
	s := tensor.NewScope()
	x := tensor.From([]float64{3, 1, 0, 2, 5, 4}, 2, 3).In(s).SetRequiresGrad(true)
	index := tensor.From([]int64{1, 0}).In(s)
	x.Sum().Backward() // makes room for the gradient
	for name, f := range map[string]func() *T{
		"Sum":        func() *T { return x.Sum(1) },
		"Mean":       func() *T { return x.Mean() },
		"Prod":       func() *T { return x.Prod(0) },
		"Var":        func() *T { return x.Var() },
		"Std":        func() *T { return x.Std(1) },
		"Norm(0)":    func() *T { return x.Norm(0) },
		"Norm(0.5)":  func() *T { return x.Norm(0.5) },
		"Norm(1)":    func() *T { return x.Norm(1) },
		"Norm(2)":    func() *T { return x.Norm(2) },
		"Norm(3)":    func() *T { return x.Norm(3, 0) },
		"Norm(+Inf)": func() *T { return x.Norm(math.Inf(1)) },
		"Amax":       func() *T { return x.Amax(1) },
		"LogSumExp":  func() *T { return x.LogSumExp(0) },
		"Max":        func() *T { values, _ := x.Max(0); return values },
		"TopK":       func() *T { values, _ := x.TopK(2, 1, true); return values },
		"Cumsum":     func() *T { return x.Cumsum(1) },
		"Gather":     func() *T { return x.Gather(1, index.Reshape(2, 1)) },
		"ScatterAdd": func() *T { return x.ScatterAdd(1, index.Reshape(2, 1), x) },
		"IndexAdd":   func() *T { return x.IndexAdd(0, index, x) },
		"Embedding":  func() *T { return tensor.Embedding(x, index) },
		"MaskedSelect": func() *T {
			return x.MaskedSelect(tensor.From([]bool{true, false, true}).In(s))
		},
	} {
		loss := f().Sum()
		forward := live()
		loss.Backward()
		if after := live(); after > forward {
			t.Errorf("%s: got %d bytes more live after Backward, want none", name, after-forward)
		}
	}
	tensor.OneHot(index, 3)
	x.Nonzero()
	s.Close()
	if after := live(); after > before {
		t.Errorf("got %d bytes live after the scope closed, want %d as before", after, before)
	}
}

// PyTorch's gradient is NaN at infinities.
func TestLogSumExpInfinite(t *testing.T) {
	inf := math.Inf(1)
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16} {
		x := tensor.From([]float64{
			inf, 1, 2,
			inf, -inf, inf,
			-inf, 1, 1,
			-inf, -inf, -inf,
			0, math.NaN(), inf,
		}, 5, 3).ToDType(dtype).SetRequiresGrad(true)
		y := x.LogSumExp(1)
		y.Backward(tensor.BackwardOpts{Gradient: tensor.Full(2, 5).ToDType(dtype)})
		wantTensor(t, "gradient", x.Grad(), tensor.From([]float64{
			2, 0, 0,
			1, 0, 1,
			0, 1, 1,
			0, 0, 0,
			math.NaN(), math.NaN(), math.NaN(),
		}, 5, 3).ToDType(dtype), 1e-6)
	}
}

// A scalar has dimension 0 (and -1), of one element, along which it is reduced.
func TestReduceOfScalar(t *testing.T) {
	for _, dim := range []int{0, -1} {
		for name, f := range map[string]func(x *T) *T{
			"Sum": func(x *T) *T { return x.Sum(dim) }, "SumKeepDim": func(x *T) *T { return x.SumKeepDim(dim) },
			"Mean": func(x *T) *T { return x.Mean(dim) }, "Prod": func(x *T) *T { return x.Prod(dim) },
			"Amax": func(x *T) *T { return x.Amax(dim) }, "Amin": func(x *T) *T { return x.AminKeepDim(dim) },
			"Max": func(x *T) *T { v, _ := x.Max(dim); return v }, "Min": func(x *T) *T { v, _ := x.Min(dim); return v },
			"Norm": func(x *T) *T { return x.Norm(2, dim) }, "LogSumExp": func(x *T) *T { return x.LogSumExp(dim) },
			"Cumsum": func(x *T) *T { return x.Cumsum(dim) },
		} {
			x := tensor.From([]float64{3}).Reshape().SetRequiresGrad(true)
			y := f(x)
			wantTensor(t, name, y, tensor.From([]float64{3}).Reshape(), 1e-12)
			y.Backward()
			wantTensor(t, "gradient of "+name, x.Grad(), tensor.From([]float64{1}).Reshape(), 1e-12)
		}
		x := tensor.From([]float64{3}).Reshape()
		_, most := x.Max(dim)
		_, least := x.Min(dim)
		for name, c := range map[string]struct {
			got  *T
			want float64
		}{
			"Var": {x.Var(dim), math.NaN()}, "Std": {x.Std(dim), math.NaN()},
			"biased Var": {tensor.Var(x, tensor.VarOpts{Dims: []int{dim}, Correction: new(0)}), 0},
			"Any":        {x.Any(dim), 1}, "All": {x.All(dim), 1}, "ArgMax": {x.ArgMax(dim), 0}, "ArgMin": {x.ArgMin(dim), 0},
			"Max's index": {most, 0}, "Min's index": {least, 0},
			"Softmax": {x.Softmax(dim), 1}, "LogSoftmax": {x.LogSoftmax(dim), 0},
		} {
			if got := c.got.Item(); c.got.Dim() != 0 || got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
				t.Errorf("%s(%d) of a scalar: got %v %v, want %v []", name, dim, got, c.got.Shape(), c.want)
			}
		}
	}
}

// The gradient of a product of one number is 1, whatever that is, as torch.prod has it.
func TestProdOfOne(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.Float32, tensor.Float64, tensor.Float16} {
		for _, v := range []float64{3, 0, math.Inf(1), math.Inf(-1), math.NaN()} {
			x := tensor.Full(v, 2, 1, 3).ToDType(dtype).Detach().SetRequiresGrad(true)
			x.Prod(1).Backward(tensor.BackwardOpts{Gradient: tensor.Full(0.5, 2, 3).ToDType(dtype)})
			wantTensor(t, "gradient of a product of one", x.Grad(), tensor.Full(0.5, 2, 1, 3).ToDType(dtype), 0)
		}
	}
}

// Nothing has no variance, whatever is taken from the number of elements.
func TestVarOfNothing(t *testing.T) {
	for _, correction := range []int{-2, -1, 0, 1} {
		for _, x := range []*T{tensor.Zeros(0), tensor.Zeros(2, 0)} {
			for _, f := range []func(*T, tensor.VarOpts) *T{tensor.Var, tensor.Std} {
				for _, got := range f(x, tensor.VarOpts{Dims: []int{-1}, Correction: &correction}).Float64s() {
					if !math.IsNaN(got) {
						t.Errorf("correction %d of %v: got %v, want NaN", correction, x.Shape(), got)
					}
				}
			}
		}
	}
}

// Whole numbers and Bool become Float32. The values are torch.logsumexp's.
func TestLogSumExpOfWholeNumbers(t *testing.T) {
	for _, tt := range []struct {
		x    *T
		want []float64
	}{
		{tensor.From([]int64{1, 2, 300, -4, 5, 6}, 2, 3), []float64{300, 6.3132954}},
		{tensor.From([]uint8{1, 2, 30, 4, 5, 6}, 2, 3), []float64{30, 6.4076061}},
		{tensor.From([]bool{true, false, true}, 1, 3), []float64{1.8619947}},
	} {
		y := tt.x.LogSumExp(1)
		if y.DType() != tensor.Float32 {
			t.Errorf("of %s: got %s, want float32", tt.x.DType(), y.DType())
		}
		for i, got := range y.Float64s() {
			if math.Abs(got-tt.want[i]) > 1e-6*tt.want[i] {
				t.Errorf("of %s: got %v, want %v", tt.x.DType(), y.Float64s(), tt.want)
			}
		}
	}
}
