package tensor_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/internal/ops"
	"github.com/wick-ml/wick/tensor"
)

var friends = friend.Of[*tensor.Tensor]()

// row returns the row of the table for an operation, or false where it has none that is
// whole, which is a fault.
func row(t *testing.T, op autograd.Op) (ops.Info[*T], bool) {
	t.Helper()
	info, ok := friends.Info(op)
	switch op.(type) {
	case ops.InPlace: // is not recorded
		return info, false
	}
	switch {
	case !ok:
		t.Errorf("%T has no row %q in the table of operations", op, op.Name())
	case info.Torch == "" || info.Apply == nil:
		t.Errorf("the row %q of the table lacks PyTorch's name or Apply", op.Name())
		return info, false
	}
	return info, ok
}

// Each operation that has a type has a row that is filled.
func TestEachOperationHasARow(t *testing.T) {
	files, err := filepath.Glob("../internal/ops/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Name.Name != "Name" {
				continue
			}
			found++
			// Types with a name for each kind or method are met by the reference cases.
			if r, ok := f.Body.List[0].(*ast.ReturnStmt); ok {
				if name, ok := r.Results[0].(*ast.BasicLit); ok {
					s, err := strconv.Unquote(name.Value)
					if err != nil {
						t.Fatal(err)
					}
					if info, ok := friends.Info(named(s)); !ok || info.Torch == "" || info.Apply == nil {
						t.Errorf("%s has no row in the table of operations that is filled", s)
					}
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("found %d operations, want 20 or more", found)
	}
}

// named is an operation that has the row of that name.
type named string

func (n named) Name() string { return string(n) }

// replayer is a watch that computes each operation again, through the table.
type replayer struct {
	t     *testing.T
	count int
}

func (r *replayer) Forward(op autograd.Op, inputs []*T, out *T) {
	info, ok := row(r.t, op)
	if !ok {
		return
	}
	r.count++
	in := make([]*T, len(inputs))
	for i, x := range inputs {
		if x != nil {
			in[i] = x.Watch(nil).Detach().NoGrad()
			if _, ok := op.(ops.ReLUInPlace); ok {
				in[i] = in[i].Clone()
			}
		}
	}
	again := info.Apply(op, in)
	if again.DType() != out.DType() || !again.Shape().Equal(out.Shape()) {
		r.t.Errorf("%#v: got %s %v, applied again %s %v", op, out.DType(), out.Shape(), again.DType(), again.Shape())
	} else if _, random := op.(ops.Dropout); !random && !bytes.Equal(again.Raw(), out.Raw()) {
		r.t.Errorf("%#v: got %v, applied again %v", op, out.Float64s(), again.Float64s())
	}
	if f := info.MultiplyAdds; f != nil && f(op, in, again) < 0 {
		r.t.Errorf("%#v has %d multiply-adds", op, f(op, in, again))
	}
}

func (r *replayer) Backward(*autograd.Node[*T], *T, []*T) {}

// inputs makes a case's tensors, leaves where they have a gradient.
func (c refCase) inputs(t *testing.T, dtype tensor.DType, device *tensor.Device) []*T {
	in := make([]*T, len(c.In))
	for i, r := range c.In {
		in[i] = r.tensor(t, dtype).To(device)
		if c.DY != nil && in[i].DType().IsFloat() {
			in[i].SetRequiresGrad(true)
		}
	}
	return in
}

// watched returns the tensors with a watch, and histories that lead to those given.
func watched(in []*T, w tensor.Watch) []*T {
	out := make([]*T, len(in))
	for i, x := range in {
		out[i] = x.Watch(w)
		if x.RequiresGrad() {
			out[i].SetRequiresGrad(true)
		}
	}
	return out
}

// replays computes a case in each type under a watch that computes all operations
// again, those of the first and the second derivatives as well: with equal bits.
func (c refCase) replays(t *testing.T, op refOp, device *tensor.Device) {
	for _, dtype := range []tensor.DType{tensor.Float64, tensor.Float32, tensor.BFloat16} {
		w := &replayer{t: t}
		in := watched(c.inputs(t, dtype, device), w)
		var results []*T
		if err := tensor.Try(func() { results = op(in, c.Args) }); err != nil || c.DY == nil { // some take no half type
			continue
		}
		out := results[0]
		dy := c.DY.tensor(t, dtype).To(device).Watch(w).SetRequiresGrad(true)
		out.Backward(tensor.BackwardOpts{Gradient: dy, CreateGraph: true})
		var total *T
		for _, x := range in {
			if g := x.Grad(); g != nil && g.RequiresGrad() {
				if g = g.Sum(); total != nil {
					g = g.Add(total)
				}
				total = g
			}
		}
		if total != nil && total.RequiresGrad() {
			total.Backward(tensor.BackwardOpts{CreateGraph: true})
		}
	}
}

// recordsNothing holds a plain Backward of a case to what it is allowed: the gradients
// that it returns have no history, and besides those of leaves no memory is left of it.
func (c refCase) recordsNothing(t *testing.T, op refOp, device *tensor.Device) {
	if c.DY == nil {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	w := &bareGradients{t}
	in := watched(c.inputs(t, tensor.Float64, device), w)
	out := op(in, c.Args)[0]
	dy := c.DY.tensor(t, tensor.Float64).To(device)
	before := device.MemoryStats().Live
	out.Backward(tensor.BackwardOpts{Gradient: dy})
	grads := int64(0)
	for _, x := range in {
		if g := x.Grad(); g != nil {
			grads += int64(8 * g.Len())
			if g.RequiresGrad() {
				t.Error("a leaf's gradient has a history")
			}
		}
	}
	if after := device.MemoryStats().Live; after-before > grads {
		t.Errorf("Backward leaves %d bytes, want the leaves' gradients, %d", after-before, grads)
	}
}

// bareGradients is a watch that wants gradients without history.
type bareGradients struct{ t *testing.T }

func (bareGradients) Forward(autograd.Op, []*T, *T) {}

func (w bareGradients) Backward(n *autograd.Node[*T], g *T, grads []*T) {
	for _, x := range append(grads, g) {
		if x != nil && x.Node() != nil {
			w.t.Errorf("%s: a gradient of a plain Backward has a history", n.Op().Name())
		}
	}
}

// second holds a case's second derivatives against numeric ones, or where it is not
// smooth against PyTorch's.
func (c refCase) second(t *testing.T, op refOp, device *tensor.Device) error {
	f := func(in []*T) *T { return op(in, c.Args)[0] }
	in := c.inputs(t, tensor.Float64, device)
	if c.Check {
		return gradcheck.CheckGradGrad(f, in, gradcheck.Opts{})
	}
	if c.DDX == nil {
		return nil
	}
	all := append(slices.Clone(in), c.DY.tensor(t, tensor.Float64).To(device).SetRequiresGrad(true))
	var leaves []*T
	for _, x := range all {
		if x.RequiresGrad() {
			leaves = append(leaves, x)
		}
	}
	var total *T
	for i, g := range autograd.Grad(f(in).Mul(all[len(in)]).Sum(), leaves[:len(leaves)-1], autograd.GradOpts{CreateGraph: true}) {
		if g == nil {
			continue
		}
		which := slices.Index(all, leaves[i])
		if r := c.DX[which]; r != nil {
			if err := differs(g.Float64s(), r.float64s(t)); err != "" {
				return fmt.Errorf("with CreateGraph: gradient of input %d: %s", which, err)
			}
		}
		if !g.RequiresGrad() {
			continue
		}
		weights := make([]float64, g.Len())
		for k := range weights {
			weights[k] = math.Sin(float64(which+2) + 2*float64(k))
		}
		sum := g.Mul(tensor.From(weights).View(g.Shape()...).To(device)).Sum()
		if total != nil {
			sum = sum.Add(total)
		}
		total = sum
	}
	second := make([]*T, len(leaves))
	if total != nil {
		second = autograd.Grad(total, leaves)
	}
	for i, x := range leaves {
		which := slices.Index(all, x)
		got, want := make([]float64, x.Len()), make([]float64, x.Len())
		if second[i] != nil {
			got = second[i].Float64s()
		}
		if r := c.DDX[which]; r != nil {
			want = r.float64s(t)
		}
		if err := differs(got, want); err != "" {
			return fmt.Errorf("second derivative by input %d (the last is the result's gradient): %s", which, err)
		}
	}
	return nil
}

// differs says where two lists of numbers differ by more than 1e-10 of the largest.
func differs(got, want []float64) string {
	scale := 1e-4 // differences of rounding where all cancels
	for _, v := range want {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			scale = max(scale, math.Abs(v))
		}
	}
	for i, w := range want {
		if g := got[i]; g != w && !(math.IsNaN(g) && math.IsNaN(w)) && !(math.Abs(g-w) <= 1e-10*scale) {
			return fmt.Sprintf("element %d: got %v, want %v", i, g, w)
		}
	}
	return ""
}
