package tensor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/tensor"
)

// aliasOps are the view operations of testdata/alias.py.
var aliasOps = map[string]func(x *T, a []int) *T{
	"Permute":     func(x *T, a []int) *T { return x.Permute(a...) },
	"Transpose":   func(x *T, a []int) *T { return x.Transpose(a[0], a[1]) },
	"MoveDim":     func(x *T, a []int) *T { return x.MoveDim(a[0], a[1]) },
	"T":           func(x *T, _ []int) *T { return x.T() },
	"Narrow":      func(x *T, a []int) *T { return x.Narrow(a[0], a[1], a[2]) },
	"Slice":       func(x *T, a []int) *T { return x.Slice(a[0], a[1], a[2], a[3]) },
	"Select":      func(x *T, a []int) *T { return x.Select(a[0], a[1]) },
	"Unbind":      func(x *T, a []int) *T { return x.Unbind(a[0])[a[1]] },
	"Split":       func(x *T, a []int) *T { return x.Split(a[0], a[1])[a[2]] },
	"Chunk":       func(x *T, a []int) *T { return x.Chunk(a[0], a[1])[a[2]] },
	"Expand":      func(x *T, a []int) *T { return x.Expand(a...) },
	"Squeeze":     func(x *T, _ []int) *T { return x.Squeeze() },
	"SqueezeDims": func(x *T, a []int) *T { return x.SqueezeDims(a) },
	"Unsqueeze":   func(x *T, a []int) *T { return x.Unsqueeze(a[0]) },
	"Diagonal":    func(x *T, a []int) *T { return x.Diagonal(a[0], a[1], a[2]) },
	"Unfold":      func(x *T, a []int) *T { return x.Unfold(a[0], a[1], a[2]) },
	"Flatten":     func(x *T, a []int) *T { return x.Flatten(a[0], a[1]) },
	"Unflatten":   func(x *T, a []int) *T { return x.Unflatten(a[0], a[1:]...) },
	"Reshape":     func(x *T, a []int) *T { return x.Reshape(a...) },
	"Detach":      func(x *T, _ []int) *T { return x.Detach() },
	"Contiguous":  func(x *T, _ []int) *T { return x.Contiguous() },
}

// counting returns n, n+1, … in a shape, with x's type.
func counting(x *T, n int, shape ...int) *T {
	m := tensor.Shape(shape).Len()
	return tensor.Arange(float64(n), float64(n+m), 1).ToDType(x.DType()).To(x.Device()).Reshape(shape...)
}

// aliasWrites are the writes of testdata/alias.py.
var aliasWrites = map[string]func(x *T, n int){
	"Fill":           func(x *T, n int) { x.Fill(float64(n)) },
	"CopyFrom":       func(x *T, n int) { x.CopyFrom(counting(x, n, x.Shape()...)) },
	"CopyRow":        func(x *T, n int) { x.CopyFrom(counting(x, n, x.Size(-1))) },
	"CopyTransposed": func(x *T, _ int) { x.CopyFrom(x.Transpose(0, -1)) },
	"Add":            func(x *T, n int) { x.AddInPlace(counting(x, n, x.Shape()...)) },
	"SubRow":         func(x *T, n int) { x.SubInPlace(counting(x, n, x.Size(-1))) },
	"MulSelf":        func(x *T, _ int) { x.MulInPlace(x) },
	"Div":            func(x *T, _ int) { x.DivInPlace(tensor.Full(2).To(x.Device())) },
	"AddScalar":      func(x *T, n int) { x.AddScalarInPlace(float64(n)) },
	"MulScalar":      func(x *T, n int) { x.MulScalarInPlace(float64(n)) },
	"Clamp":          func(x *T, n int) { x.ClampInPlace(3, float64(n)) },
	"ReLU":           func(x *T, n int) { x.AddScalarInPlace(float64(-n)).ReLUInPlace() },
	"Lerp":           func(x *T, n int) { x.LerpInPlace(tensor.Full(float64(n)).To(x.Device()), 0.25) },
	"MaskedFill":     func(x *T, n int) { x.MaskedFillInPlace(x.GtScalar(float64(n)), -1) },
	"IndexFill":      func(x *T, n int) { x.IndexFillInPlace(0, tensor.From([]int{0}).To(x.Device()), float64(n)) },
	"IndexCopy": func(x *T, n int) {
		shape := append([]int{2}, x.Shape()[1:]...)
		x.IndexCopyInPlace(0, tensor.From([]int{x.Size(0) - 1, 0}).To(x.Device()), counting(x, n, shape...))
	},
	"IndexAdd": func(x *T, n int) {
		shape := append([]int{3}, x.Shape()[1:]...)
		x.IndexAddInPlace(0, tensor.From([]int{0, x.Size(0) - 1, 0}).To(x.Device()), counting(x, n, shape...))
	},
	"MaskedScatter": func(x *T, n int) {
		x.MaskedScatterInPlace(x.GtScalar(float64(n)), counting(x, 1000, x.Len()))
	},
}

// Views share memory, have strides, refuse shapes and pass writes on as in PyTorch.
func TestAliasReference(t *testing.T) {
	raw, err := os.ReadFile("testdata/alias.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Base, Shape, Stride []int
		Ops                 [][]any
		Contiguous, Shares  bool
		Values, After       []float64
		Tries               [][]any
		Write               []any
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	ints := func(list []any) []int {
		out := make([]int, len(list))
		for i, v := range list {
			out[i] = int(v.(float64))
		}
		return out
	}
	if len(cases) < 500 {
		t.Fatalf("got %d cases", len(cases))
	}
	for _, d := range testDevices(t) {
		for _, c := range cases {
			what := fmt.Sprintf("%v %v on %s", c.Base, c.Ops, d)
			x := tensor.Arange(0, float64(tensor.Shape(c.Base).Len()), 1).ToDType(tensor.Float64).Reshape(c.Base...).To(d)
			v := x
			for _, op := range c.Ops {
				v = aliasOps[op[0].(string)](v, ints(op[1:]))
			}
			if !v.Shape().Equal(c.Shape) || !slices.Equal(v.Strides(), c.Stride) || v.IsContiguous() != c.Contiguous || v.SharesMemory(x) != c.Shares || !slices.Equal(v.Float64s(), c.Values) {
				t.Errorf("%s: got shape %v, strides %v, contiguous %v, shares %v, %v\nwant %v, %v, %v, %v, %v",
					what, v.Shape(), v.Strides(), v.IsContiguous(), v.SharesMemory(x), v.Float64s(), c.Shape, c.Stride, c.Contiguous, c.Shares, c.Values)
				continue
			}
			for _, try1 := range c.Tries {
				shape, takes, shares := ints(try1[0].([]any)), try1[1].(bool), try1[2].(bool)
				err := try(func() { v.View(shape...) })
				if (err == nil) != takes {
					t.Errorf("%s: View(%v) of strides %v: got error %v, want one: %v", what, shape, v.Strides(), err, !takes)
				}
				y := v.Reshape(shape...)
				if v.Len() > 0 && y.SharesMemory(v) != shares || !slices.Equal(y.Float64s(), c.Values) {
					t.Errorf("%s: Reshape(%v) of strides %v: shares %v, want %v", what, shape, v.Strides(), y.SharesMemory(v), shares)
				}
			}
			name, n := c.Write[0].(string), int(c.Write[1].(float64))
			err := try(func() { aliasWrites[name](v, n) })
			if (err != nil) != (c.After == nil) {
				t.Errorf("%s: %v: got error %v, want one: %v", what, c.Write, err, c.After == nil)
			} else if got := x.Float64s(); err == nil && !slices.Equal(got, c.After) {
				t.Errorf("%s: %v: the base is %v, want %v", what, c.Write, got, c.After)
			}
		}
	}
}

// What Backward needs and was written through a view is an error, not a wrong gradient,
// whenever the view was made.
func TestWriteThroughViews(t *testing.T) {
	fresh := func() (x, y *T) {
		x = tensor.From([]float64{1, -2, 3, -4}, 2, 2).SetRequiresGrad(true)
		return x, x.MulScalar(2)
	}
	for name, view := range map[string]func(x *T) *T{
		"Select": func(x *T) *T { return x.Select(1, 0) }, "T": (*T).T, "Slice": func(x *T) *T { return x.Slice(0, 1, 2, 1) }, "Diagonal": func(x *T) *T { return x.Diagonal(0, 0, 1) },
		"Unfold": func(x *T) *T { return x.Unfold(0, 2, 1) }, "AsStrided": func(x *T) *T { return x.AsStrided([]int{2}, []int{2}, 0) }, "Unflatten": func(x *T) *T { return x.Unflatten(0, 2, 1) },
		"Expand": func(x *T) *T { return x.Expand(2, 2, 2) }, "MoveDim": func(x *T) *T { return x.MoveDim(0, 1) }, "View": func(x *T) *T { return x.View(4) }, "Chunk": func(x *T) *T { return x.Chunk(2, 1)[1] },
	} {
		x, y := fresh()
		before := view(y.Detach())
		z := y.Square()
		before.Fill(9)
		wantError(t, func() { z.Sum().Backward() }, "Backward", "Square needs", "changed in place")
		wantError(t, func() { y.Sum() }, "changed in place since")
		wantError(t, func() { y.Backward(tensor.BackwardOpts{Gradient: y.Detach()}) }, "Backward", "made by MulScalar", "changed in place since")

		x, y = fresh()
		z = y.Square()
		view(y.NoGrad()).Zero()
		wantError(t, func() { z.Sum().Backward() }, "Backward", "Square needs", "changed in place")

		// A recorded view may not be written; a leaf may, through what Detach or NoGrad returns.
		x, y = fresh()
		made := map[string]string{"Chunk": "Split"}[name]
		if made == "" {
			made = name
		}
		wantError(t, func() { view(y).Fill(1) }, "Fill", "has history (made by "+made)
		wantError(t, func() { view(x).Fill(1) }, "Fill", "is a recorded view (made by "+made, "p.Detach()")
		wantError(t, func() { view(x).CopyFrom(tensor.Zeros()) }, "CopyFrom", "is a recorded view")
		if name != "Expand" {
			wantError(t, func() { view(x).ReLUInPlace() }, "ReLUInPlace", "view of a leaf")
		}
		view(x.Detach()).Fill(7)
		view(x.NoGrad()).Fill(7)
		if got := view(x).Detach().Float64s(); got[0] != 7 || x.Grad() != nil || !x.RequiresGrad() {
			t.Errorf("%s: the leaf has %v, want 7", name, got)
		}
	}

	// ReLUInPlace on a view: the view goes on, what it was made of has to be cloned before. (PyTorch rewrites the base's history.)
	x, y := fresh()
	row := y.Select(1, 0)
	row.ReLUInPlace()
	wantError(t, func() { y.Sum() }, "made by MulScalar, was changed in place since; use Clone before the change")
	wantError(t, func() { y.Backward(tensor.BackwardOpts{Gradient: y.Detach()}) }, "was changed in place since")
	row.Sum().Backward()
	wantTensor(t, "through the view", x.Grad(), tensor.From([]float64{2, 0, 2, 0}, 2, 2), 0)
	_, y = fresh()
	row = y.Select(1, 0)
	y.ReLUInPlace()
	wantError(t, func() { row.Sum() }, "made by Select, was changed in place since")
	x, y = fresh()
	y.T().ReLUInPlace().Sum().Backward()
	wantTensor(t, "in place on the transposed", x.Grad(), tensor.From([]float64{2, 0, 2, 0}, 2, 2), 0)
}

// A view lives as what it was made of does, and takes it along.
func TestViewLifetimes(t *testing.T) {
	s := tensor.NewScope()
	x := tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3).In(s)
	v, c := x.T(), x.T().Contiguous()
	if v.Scope() != s || c.Scope() != s {
		t.Error("a view or its copy is not in the scope of what it was made of")
	}
	y := x.Clone()
	y.Select(1, 0).Keep()
	z := tensor.Ones(2, 2)
	w := z.T().In(s)
	live := tensor.CPU.MemoryStats().Live
	v.Floats()
	v.AddScalarInPlace(1)
	_ = v.String()
	if got := tensor.CPU.MemoryStats().Live; got != live {
		t.Errorf("reading and writing a view left %d bytes", got-live)
	}
	s.Close()
	for name, f := range map[string]func(){
		"view": func() { v.Floats() }, "view of it": func() { v.Select(0, 0) }, "write": func() { v.Fill(1) }, "copy": func() { c.Floats() },
		"base of a view in a scope": func() { z.Floats() }, "view in a scope": func() { w.Add(w) }, "CopyFrom": func() { tensor.Ones(3, 2).CopyFrom(v) },
	} {
		if err := try(f); err == nil || !strings.Contains(err.Error(), "is used after its scope closed") {
			t.Errorf("%s: got error %v, want that the scope is closed", name, err)
		}
	}
	wantTensor(t, "kept", y, tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3), 0)
	if got := fmt.Sprint(v); got != "tensor(released, shape=[3 2], dtype=float32)" {
		t.Errorf("got %s", got)
	}
	wantTensor(t, "printed", tensor.From([]byte(fmt.Sprint(y.T()))), tensor.From([]byte("tensor([[1., 4.],\n        [2., 5.],\n        [3., 6.]])")), 0)
}

// Parameters, gradients, statistics and optimizers' tensors may be views; several may
// lie between each other in one memory.
func TestStateInViews(t *testing.T) {
	memory := tensor.Zeros(4, 6)
	columns := memory.Chunk(3, 1)
	for i, c := range columns {
		c.CopyFrom(counting(c, i, 4, 2))
	}
	p, g := columns[0].T().SetRequiresGrad(true), columns[2].T()
	p.SetGrad(g)
	if p.Grad().SharesMemory(g) || !p.Grad().IsContiguous() {
		t.Error("SetGrad keeps a view")
	}
	p.MulScalar(2).T().Sum().Backward()
	wantTensor(t, "gradient", p.Grad(), g.AddScalar(2), 0)
	if norm := friends.ClipNorm([]*T{columns[2], columns[1].T()}, 1); norm < 20 {
		t.Errorf("the norm is %v", norm)
	}
	if got := columns[2].Norm(2).Item(); got > 1 || got < 0.5 {
		t.Errorf("after ClipNorm the norm is %v", got)
	}
	columns[1].Fill(8)
	friends.ClipValue([]*T{columns[1].T()}, 3)
	if !friends.Unscale([]*T{columns[1].T(), columns[1].Clone()}, 0.5) {
		t.Error("finite elements are not")
	}
	wantTensor(t, "clipped and unscaled", columns[1], tensor.Full(1.5, 4, 2), 0)
	columns[1].Select(0, 0).CopyFrom(tensor.Full(math.NaN()))
	if friends.Unscale([]*T{columns[1].T()}, 1) {
		t.Error("NaN is finite")
	}
	wantTensor(t, "the first columns", columns[0], counting(p, 0, 4, 2), 0)

	stats := tensor.Zeros(3, 2)
	mean, variance := stats.Select(1, 0), stats.Select(1, 1).Fill(1)
	x := tensor.From([]float32{1, 2, 3, 5, 6, 7}, 2, 3)
	wantMean, wantVar := tensor.Zeros(3), tensor.Ones(3)
	got := tensor.BatchNorm2d(x.T().Clone().T(), mean, variance, nil, nil, tensor.BatchNormOpts{Training: true})
	want := tensor.BatchNorm2d(x, wantMean, wantVar, nil, nil, tensor.BatchNormOpts{Training: true})
	wantTensor(t, "BatchNorm2d", got, want, 1e-6)
	wantTensor(t, "running mean in a column", mean, wantMean, 1e-6)
	wantTensor(t, "running variance in a column", variance, wantVar, 1e-6)

	a, b := tensor.Zeros(2, 3), tensor.Zeros(2, 2)
	a.T().NormalInPlace(0, 1, tensor.NewGenerator(1))
	b.Select(1, 1).UniformInPlace(1, 2)
	wantTensor(t, "NormalInPlace draws row by row", a.T().Clone(), tensor.NewGenerator(1).Randn(3, 2), 1e-6)
	if v := b.Floats(); v[0] != 0 || v[2] != 0 || v[1] < 1 || v[3] < 1 {
		t.Errorf("UniformInPlace of a column: %v", b)
	}
	raw := tensor.From([]float32{1, 2, 3, 4}, 2, 2)
	raw.T().SetRaw(raw.Raw())
	wantTensor(t, "SetRaw", raw, tensor.From([]float32{1, 3, 2, 4}, 2, 2), 0)
	q := tensor.Ones(3)
	friends.SetData(q, a.Select(0, 1))
	q.Fill(5)
	wantTensor(t, "SetData of a row", a.Select(0, 1), tensor.Full(5, 3), 0)
	friends.SetData(q, a.Select(1, 1))
	q.Fill(6)
	wantTensor(t, "SetData of a column", a.Select(1, 1), tensor.Full(6, 2), 0)
	for _, err := range []error{
		gradcheck.Check(func(in []*T) *T { return in[0].MatMul(in[1]).Square() }, []*T{strewn(numbered(tensor.Shape{2, 3}), 0).SetRequiresGrad(true), strewn(numbered(tensor.Shape{3, 2}), 1).SetRequiresGrad(true)}, gradcheck.Opts{}),
		gradcheck.CheckGradGrad(func(in []*T) *T { return in[0].Square().T().MulScalar(0.1) }, []*T{strewn(numbered(tensor.Shape{2, 3}), 2).SetRequiresGrad(true)}, gradcheck.Opts{}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

// The bias of a convolution whose channels a permutation has exchanged with the examples
// before a normalization has a gradient, though that sums to 0 over its own channels.
func TestBalancedGradientPermuted(t *testing.T) {
	x := tensor.NewGenerator(2).Randn(3, 2, 2, 2)
	w, b := tensor.NewGenerator(3).Randn(3, 2, 1, 1), tensor.Zeros(3).SetRequiresGrad(true)
	grad := func(between func(y *T) *T) *T {
		b.ZeroGrad()
		y := tensor.BatchNorm2d(between(tensor.Conv2d(x, w, b, tensor.ConvOpts{})), nil, nil, nil, nil, tensor.BatchNormOpts{Training: true})
		y.Mul(numbered(y.Shape()).ToDType(tensor.Float32)).Sum().Backward()
		return b.Grad().Clone()
	}
	wantTensor(t, "gradient of the bias", grad(func(y *T) *T { return y.Transpose(0, 1) }), grad(func(y *T) *T { return y.Transpose(0, 1).Contiguous() }), 1e-5)
	wantTensor(t, "gradient of the bias, with a copy", grad(func(y *T) *T { return y.Transpose(0, 1).Clone().MulScalar(1) }), grad(func(y *T) *T { return y.Transpose(0, 1) }), 1e-5)
}

// A gradient that is created with a graph is the leaf's own.
func TestCreatedGradientsAreApart(t *testing.T) {
	x, y := tensor.Ones(2, 2).SetRequiresGrad(true), tensor.Ones(2, 2).SetRequiresGrad(true)
	x.Add(y).Sum().Backward(tensor.BackwardOpts{CreateGraph: true})
	if x.Grad().SharesMemory(y.Grad()) || !x.Grad().IsContiguous() {
		t.Error("two leaves share a gradient")
	}
	x.Add(y).Sum().Backward()
	wantTensor(t, "added", x.Grad(), tensor.Full(2, 2, 2), 0)
	x.Grad().MulScalarInPlace(3)
	wantTensor(t, "the other", y.Grad(), tensor.Full(2, 2, 2), 0)
}

func TestViewAndAssignErrors(t *testing.T) {
	x := tensor.Arange(0, 6, 1).View(2, 3)
	f := x.ToDType(tensor.Float32)
	recorded := tensor.Ones(2, 3).SetRequiresGrad(true).MulScalar(2)
	index, far := tensor.From([]int{0, 1}), tensor.From([]int{0, 3})
	for _, c := range []struct {
		f    func()
		want []string
	}{
		{func() { x.Slice(0, 0, 2, 0) }, []string{"Slice", "the step is 0, want 1 or more; Flip"}},
		{func() { x.Slice(2, 0, 2, 1) }, []string{"Slice", "dimension 2 does not exist in [2 3]"}},
		{func() { tensor.Full(1).Slice(0, 0, 1, 1) }, []string{"Slice", "a scalar"}},
		{func() { x.MoveDim(0, 2) }, []string{"MoveDim", "dimension 2 does not exist"}},
		{func() { x.Unflatten(1, 2, 2) }, []string{"Unflatten", "3 elements do not fit the shape [2 2]"}},
		{func() { x.Unflatten(1) }, []string{"Unflatten", "no sizes"}},
		{func() { x.AsStrided([]int{2}, []int{1, 1}, 0) }, []string{"AsStrided", "got 2 strides for the shape [2]"}},
		{func() { x.AsStrided([]int{2, 2}, []int{3, 3}, 0) }, []string{"AsStrided", "from element 0 on ends at element 6, but [2 3] has 6"}},
		{func() { x.AsStrided([]int{2}, []int{math.MaxInt}, math.MaxInt) }, []string{"AsStrided", "[2 3] has 6"}},
		{func() { x.AsStrided([]int{2}, []int{-1}, 3) }, []string{"AsStrided", "none below 0"}},
		{func() { x.AsStrided([]int{-2}, []int{1}, 3) }, []string{"AsStrided", "negative size"}},
		{func() { x.T().AsStrided([]int{2}, []int{1}, 0) }, []string{"AsStrided", "[1 3]", "Contiguous"}},
		{func() { x.T().View(6) }, []string{"View", "[3 2] with the strides [1 3]", "Reshape"}},
		{func() { f.MaskedFillInPlace(f, 1) }, []string{"MaskedFillInPlace", "the mask is float32, want bool"}},
		{func() { f.Select(0, 0).MaskedFillInPlace(f.GtScalar(0), 1) }, []string{"MaskedFillInPlace", "the mask [2 3] does not broadcast to the destination [3]"}},
		{func() { x.MaskedFillInPlace(x.GtScalar(0), 0.5) }, []string{"MaskedFillInPlace", "0.5 does not fit"}},
		{func() { recorded.MaskedFillInPlace(recorded.GtScalar(0), 0) }, []string{"MaskedFillInPlace", "has history"}},
		{func() { f.Expand(2, 2, 3).MaskedFillInPlace(f.GtScalar(0), 0) }, []string{"MaskedFillInPlace", "repeated by Expand"}},
		{func() { f.MaskedScatterInPlace(f.GtScalar(1), tensor.Ones(3)) }, []string{"MaskedScatterInPlace", "true at 4 elements of [2 3], the source [3] has 3"}},
		{func() { f.MaskedScatterInPlace(f.GtScalar(1), x) }, []string{"MaskedScatterInPlace", "float32 and int64"}},
		{func() { f.IndexCopyInPlace(0, far, f) }, []string{"IndexCopyInPlace", "index 3 at position [1] is out of range for dimension 0 of [2 3], want 0 to 1"}},
		{func() { f.IndexCopyInPlace(1, index, f) }, []string{"IndexCopyInPlace", "the source is [2 3], want [2 2]"}},
		{func() { f.IndexCopyInPlace(0, f, f) }, []string{"IndexCopyInPlace", "index"}},
		{func() { f.IndexFillInPlace(0, far, 1) }, []string{"IndexFillInPlace", "index 3 at position [1]"}},
		{func() { f.IndexFillInPlace(3, index, 1) }, []string{"IndexFillInPlace", "dimension 3 does not exist"}},
		{func() { f.IndexAddInPlace(0, far, f) }, []string{"IndexAddInPlace", "index 3 at position [1]"}},
		{func() { f.IndexAddInPlace(0, index, x) }, []string{"IndexAddInPlace", "float32 and int64"}},
		{func() { x.GtScalar(0).IndexAddInPlace(0, index, x.GtScalar(0)) }, []string{"IndexAddInPlace", "bool"}},
	} {
		wantError(t, c.f, c.want...)
	}
	if want := tensor.Arange(0, 6, 1).View(2, 3).ToDType(tensor.Float32); tensor.CountEqual(f, want) != 6 {
		t.Errorf("what was refused has changed %v", f)
	}
	// What overlaps is read before.
	y := tensor.From([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	y.IndexCopyInPlace(0, tensor.From([]int{1, 2}), y.Narrow(0, 0, 2))
	wantTensor(t, "rows moved", y, tensor.From([]float32{1, 2, 1, 2, 3, 4}, 3, 2), 0)
	y.IndexAddInPlace(0, tensor.From([]int{1, 1}), y.Slice(0, 0, 3, 2))
	wantTensor(t, "rows added", y, tensor.From([]float32{1, 2, 5, 8, 3, 4}, 3, 2), 0)
	b := tensor.From([]bool{true, false, true, true})
	b.Narrow(0, 1, 3).MaskedFillInPlace(b.Narrow(0, 0, 3), 0)
	wantTensor(t, "a mask in the memory that it changes", b, tensor.From([]bool{true, false, true, false}), 0)
	y.IndexCopyInPlace(0, tensor.From([]int{0, 0}), tensor.From([]float32{7, 7, 9, 9}, 2, 2))
	wantTensor(t, "the last one stays", y.Select(0, 0), tensor.Full(9, 2), 0)
}

// underRace says that the race detector runs, which allocates and keeps memory of its own.
var underRace bool

// What reads views where they lie takes no more memory than with row-major operands,
// but for a kernel's scratch, where a copy of one would be 1 MiB; a view itself takes none, and little of
// Go's.
func TestViewsAreNotCopied(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates and keeps memory of its own")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // each worker takes room of its own while it is busy
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what others have left is not to go meanwhile
	g := tensor.NewGenerator(1)
	q, x := g.Randn(8, 256, 4, 32), g.Randn(1024, 700)
	heads, keys := q.Permute(0, 2, 1, 3), g.Randn(8, 256, 4, 32).Permute(0, 2, 3, 1)
	column, other := x.Narrow(1, 3, 256), g.Randn(256, 1024).T()
	row := x.Select(1, 0).Unsqueeze(1).Expand(1024, 256)
	mask := x.GtScalar(0).Narrow(1, 3, 256)
	into, intoColumn := tensor.Zeros(256, 1024), tensor.Zeros(1024, 300).Narrow(1, 7, 256)
	for _, c := range []struct {
		name string
		in   []*T
		f    func(in []*T) *T
	}{
		{"MatMul of heads", []*T{heads, keys}, func(in []*T) *T { return in[0].MatMul(in[1]) }},
		{"MatMul of columns", []*T{column.T(), column}, func(in []*T) *T { return in[0].MatMul(in[1]) }},
		{"MatMul of an expanded matrix", []*T{other.T().Expand(2, 256, 1024), column.Expand(2, 1024, 256)}, func(in []*T) *T { return in[0].MatMul(in[1]) }},
		{"Linear", []*T{column, x.Narrow(1, 9, 256)}, func(in []*T) *T { return tensor.Linear(in[0], in[1], nil) }},
		{"Add", []*T{column, other}, func(in []*T) *T { return in[0].Add(in[1]) }},
		{"Add of an expanded row", []*T{column, row}, func(in []*T) *T { return in[0].Add(in[1]) }},
		{"Gt", []*T{column, other}, func(in []*T) *T { return in[0].Gt(in[1]) }},
		{"Where", []*T{mask, column, other}, func(in []*T) *T { return tensor.Where(in[0], in[1], in[2]) }},
		{"MaskedFill", []*T{mask, other}, func(in []*T) *T { return in[1].MaskedFill(in[0], 0) }},
		{"AddScalar", []*T{other}, func(in []*T) *T { return in[0].AddScalar(1) }},
		{"Neg", []*T{column}, func(in []*T) *T { return in[0].Neg() }},
		{"Sum", []*T{heads}, func(in []*T) *T { return in[0].Sum(1, 3) }},
		{"Mean", []*T{column}, func(in []*T) *T { return in[0].Mean(0) }},
		{"Contiguous", []*T{heads}, func(in []*T) *T { return in[0].Clone() }},
		{"Repeat", []*T{column}, func(in []*T) *T { return in[0].Repeat(2, 2) }},
		{"Cat", []*T{column, other}, func(in []*T) *T { return tensor.Cat(0, in...) }},
		{"CopyFrom a view", []*T{column.T()}, func(in []*T) *T { return into.CopyFrom(in[0]).Detach() }},
		{"CopyFrom into a view", []*T{other.Contiguous()}, func(in []*T) *T { return intoColumn.CopyFrom(in[0]).Detach() }},
		{"views", []*T{q}, func(in []*T) *T {
			return in[0].Transpose(1, 2).Flatten(2).Unflatten(2, 256, 32).Slice(1, 0, 16, 2).Unsqueeze(0).Diagonal(0, 1, 2).MoveDim(0, 1).Select(0, 1).Expand(9, 1, 256, 32, 2)
		}},
	} {
		peak := func(in []*T) int64 {
			c.f(in)
			before := tensor.CPU.MemoryStats().Live
			tensor.CPU.ResetPeakMemory()
			c.f(in)
			return tensor.CPU.MemoryStats().Peak - before
		}
		copies := make([]*T, len(c.in))
		for i, v := range c.in {
			copies[i] = v.Clone()
		}
		if got, want := peak(c.in), peak(copies); got > want+256<<10 {
			t.Errorf("%s of views took %d bytes, of copies %d", c.name, got, want)
		}
	}
	for name, f := range map[string]func(){
		"Transpose": func() { q.Transpose(1, 2) }, "Permute": func() { q.Permute(0, 2, 1, 3) }, "Select": func() { q.Select(1, 3) }, "Narrow": func() { q.Narrow(1, 3, 4) },
		"View": func() { q.View(8, 256, 128) }, "Unsqueeze": func() { q.Unsqueeze(0) }, "Expand": func() { q.Expand(8, 256, 4, 32) },
	} {
		if got := testing.AllocsPerRun(100, f); got > 5 {
			t.Errorf("%s allocates %v times, want 5 at most", name, got)
		}
	}
}
