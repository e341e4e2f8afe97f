package tensor_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

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
