package tensor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/tensor"
)

type T = tensor.Tensor

// refArgs are the numbers of a reference case besides its tensors.
type refArgs map[string][]float64

func (a refArgs) float(name string) float64 { return a[name][0] }
func (a refArgs) int(name string) int       { return int(a[name][0]) }
func (a refArgs) bool(name string) bool     { return a[name][0] != 0 }
func (a refArgs) ints(name string) []int {
	var out []int
	for _, v := range a[name] {
		out = append(out, int(v))
	}
	return out
}

// refOp computes an operation's results from a case's inputs. Integer results
// are compared exactly; the gradient goes into the first.
type refOp func(in []*T, a refArgs) []*T

func one(t *T) []*T { return []*T{t} }

// ref1 is the refOp of a method without arguments.
func ref1(f func(*T) *T) refOp { return func(in []*T, _ refArgs) []*T { return one(f(in[0])) } }

// ref2 is the refOp of an operation on two tensors.
func ref2(f func(x, y *T) *T) refOp {
	return func(in []*T, _ refArgs) []*T { return one(f(in[0], in[1])) }
}

type refTensor struct {
	DType string
	Shape []int
	Data  []json.RawMessage
}

func (r *refTensor) float64s(t *testing.T) []float64 {
	out := make([]float64, len(r.Data))
	for i, d := range r.Data {
		s := string(d)
		switch s {
		case "true":
			s = "1"
		case "false":
			s = "0"
		}
		if u, err := strconv.Unquote(s); err == nil {
			s = u
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = v
	}
	return out
}

// tensor makes the tensor; floating-point ones in the type float.
func (r *refTensor) tensor(t *testing.T, float tensor.DType) *T {
	x := tensor.From(r.float64s(t), r.Shape...)
	if len(r.Shape) == 0 {
		x = x.Reshape()
	}
	switch r.DType {
	case "int64":
		return x.ToDType(tensor.Int64)
	case "uint8":
		return x.ToDType(tensor.Uint8)
	case "bool":
		return x.ToDType(tensor.Bool)
	}
	return x.ToDType(float)
}

type refCase struct {
	Op      string
	Args    refArgs
	In, Out []*refTensor
	DY      *refTensor
	DX      []*refTensor
	DDX     []*refTensor // where Check is false: second derivatives by In and DY
	Check   bool
}

// checkReference holds operations against testdata/NAME.json, which PyTorch made
// (testdata/NAME.py): results and gradients in float64 within 1e-10 and in float32
// within 1e-5, relative to the largest element; and recorded gradients and second
// derivatives against numeric ones, or PyTorch's where a case is not smooth. What a case records is computed again through the
// table of operations, and a plain Backward of it records nothing. A program with the
// tag cuda holds the GPU to the same. Each differentiable operation needs five cases at
// least, and each operation in the file a row in ops and the other way round.
func checkReference(t *testing.T, name string, ops map[string]refOp) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []refCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	differentiable := map[string]bool{}
	for _, c := range cases {
		op := ops[c.Op]
		if op == nil {
			t.Errorf("%s.json has %s, which the test has no row for", name, c.Op)
			continue
		}
		differentiable[c.Op] = differentiable[c.Op] || c.DY != nil
		label := fmt.Sprintf("%s/%d", c.Op, count[c.Op])
		count[c.Op]++
		if count[c.Op] == 1 {
			c.missing(t, op)
		}
		for _, device := range testDevices(t) {
			name := label
			if device != tensor.CPU {
				name += "/" + device.String()
			}
			t.Run(name, func(t *testing.T) {
				c.run(t, op, device, func(x *T, _ int) *T { return x })
				if c.Op != "View" && c.Op != "ViewAs" { // which refuse some; see TestAliasReference
					c.run(t, op, device, func(x *T, i int) *T { return strewn(x, count[c.Op]+i) })
				}
				c.replays(t, op, device)
				c.recordsNothing(t, op, device)
				if c.DY == nil {
					return
				}
				if err := c.second(t, op, device); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for op := range ops {
		if want := map[bool]int{true: 5, false: 1}[differentiable[op]]; count[op] < want {
			t.Errorf("%s.json has %d cases of %s, want %d or more", name, count[op], op, want)
		}
	}
}

// wantTensor fails unless got has want's type, shape and elements, within tol
// relative to the largest element.
func wantTensor(t *testing.T, what string, got, want *T, tol float64) {
	t.Helper()
	if got.DType() != want.DType() || !got.Shape().Equal(want.Shape()) {
		t.Errorf("%s: got %s %v, want %s %v", what, got.DType(), got.Shape(), want.DType(), want.Shape())
		return
	}
	g, w := got.Float64s(), want.Float64s()
	scale := 0.0
	for _, v := range w {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			scale = max(scale, math.Abs(v))
		}
	}
	if !got.DType().IsFloat() {
		tol = 0
	}
	for i := range w {
		same := g[i] == w[i] || math.IsNaN(g[i]) && math.IsNaN(w[i])
		if !same && !(math.Abs(g[i]-w[i]) <= tol*scale) {
			t.Errorf("%s: element %d of %v: got %v, want %v", what, i, want.Shape(), g[i], w[i])
			return
		}
	}
}

// missing holds an operation to the rule that a tensor that is nil, or the zero
// value, where one is wanted is an error of one sentence.
func (c refCase) missing(t *testing.T, op refOp) {
	for i := range c.In {
		for what, none := range map[string]*T{"nil": nil, "an empty Tensor": {}} {
			in := make([]*T, len(c.In))
			for j, r := range c.In {
				in[j] = r.tensor(t, tensor.Float32)
			}
			in[i] = none
			var typed *tensor.Error
			if err := try(func() { op(in, c.Args) }); err != nil && !errors.As(err, &typed) {
				t.Errorf("%s with %s as input %d: got %v, want a *tensor.Error or no error", c.Op, what, i, err)
			} else if err != nil && none == nil && !strings.Contains(err.Error(), what) {
				t.Errorf("%s with %s as input %d: got %q, want it to say so", c.Op, what, i, err)
			} else if err == nil && (i == 0 || none != nil) {
				t.Errorf("%s takes %s as input %d", c.Op, what, i)
			}
		}
	}
}

// strewn returns a view with x's elements that lie apart in memory, in one of several
// orders.
func strewn(x *T, order int) *T {
	shape := slices.Clone(x.Shape())
	n := len(shape)
	empty := func(shape []int) *T {
		return tensor.Full(3, shape...).ToDType(x.DType()).To(x.Device())
	}
	switch {
	case n == 0:
		return empty([]int{3}).Select(0, 1).CopyFrom(x)
	case order%4 == 0 && n > 1: // columns
		back := make([]int, n)
		for i := range back {
			back[i] = n - 1 - i
		}
		return x.Permute(back...).Clone().Permute(back...)
	case order%4 == 1 && n > 1: // a window, its first two dimensions exchanged
		for i := range shape {
			shape[i]++
		}
		v := empty(append([]int{shape[1], shape[0]}, shape[2:]...)).Transpose(0, 1)
		for i := range shape {
			v = v.Narrow(i, 1, shape[i]-1)
		}
		return v.CopyFrom(x)
	case order%4 == 2: // between others
		return empty(append(shape, 2)).Select(-1, 1).CopyFrom(x)
	}
	shape[n-1] = 3*shape[n-1] + 1
	return empty(shape).Slice(-1, 1, math.MaxInt, 3).CopyFrom(x)
}

// run computes a case on a device, with its inputs and the gradient as lay says. A
// case with inputs of its own layout is not held to numeric gradients again.
func (c refCase) run(t *testing.T, op refOp, device *tensor.Device, lay func(x *T, i int) *T) {
	for _, dtype := range []tensor.DType{tensor.Float64, tensor.Float32} {
		tol := 1e-10
		if dtype == tensor.Float32 {
			tol = 1e-5
		}
		in, layout, numeric := make([]*T, len(c.In)), "", c.Check
		for i, r := range c.In {
			plain := r.tensor(t, dtype).To(device)
			if in[i] = lay(plain, i); in[i] != plain {
				layout, numeric = " of views", false
			}
			if c.DY != nil && in[i].DType().IsFloat() {
				in[i].SetRequiresGrad(true)
			}
		}
		out := op(in, c.Args)
		if len(out) != len(c.Out) {
			t.Fatalf("got %d results, want %d", len(out), len(c.Out))
		}
		for i, r := range c.Out {
			if out[i].Device() != device {
				t.Errorf("%s result %d is on %s, want %s", dtype, i, out[i].Device(), device)
			}
			wantTensor(t, fmt.Sprintf("%s result %d%s", dtype, i, layout), out[i], r.tensor(t, dtype), tol)
		}
		if c.DY == nil {
			continue
		}
		out[0].Backward(tensor.BackwardOpts{Gradient: lay(c.DY.tensor(t, dtype).To(device), len(in))})
		for i, r := range c.DX {
			if r != nil && in[i].Grad() == nil {
				t.Errorf("%s input %d has no gradient", dtype, i)
			} else if r != nil {
				wantTensor(t, fmt.Sprintf("%s gradient of input %d%s", dtype, i, layout), in[i].Grad(), r.tensor(t, dtype), tol)
			}
		}
		if dtype == tensor.Float64 && numeric {
			if err := gradcheck.Check(func(in []*T) *T { return op(in, c.Args)[0] }, in, gradcheck.Opts{}); err != nil {
				t.Error(err)
			}
		}
	}
}
