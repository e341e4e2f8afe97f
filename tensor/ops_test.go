package tensor_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
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

// noSecond lists the operations of the reference files that have no second derivative,
// and why.
var noSecond = map[string]string{
	// loss.json
	"NLLLoss": toConvert,

	// index.json
	"Embedding":    toConvert,
	"Gather":       toConvert,
	"IndexSelect":  toConvert,
	"MaskedSelect": toConvert,
	"Roll":         toConvert,

	// sort.json
	"Sort": toConvert,
	"TopK": toConvert,

	// reduce.json
	"Amax":          toConvert,
	"AmaxKeep":      toConvert,
	"Amin":          toConvert,
	"AminKeep":      toConvert,
	"LogSumExp":     toConvert,
	"LogSumExpKeep": toConvert,
	"Max":           toConvert,
	"MaxAll":        toConvert,
	"Mean":          toConvert,
	"MeanKeep":      toConvert,
	"Min":           toConvert,
	"MinAll":        toConvert,
	"Norm":          toConvert,
	"Norm2Keep":     toConvert,
	"NormInf":       toConvert,
	"Prod":          toConvert,
	"ProdKeep":      toConvert,
	"Std":           toConvert,
	"Var":           toConvert,
}

const toConvert = "its closure does not compute with recorded values yet"

// unfilled lists the rows of the table of operations that say not yet how to compute
// the operation again.
var unfilled = []string{
	"Prod", "ProdKeep",
}

var friends = friend.Of[*tensor.Tensor]()

// row returns the row of the table for an operation, or false where it has none, which
// is a fault but for what a program makes of its own.
func row(t *testing.T, op autograd.Op) (ops.Info[*T], bool) {
	t.Helper()
	info, ok := friends.Info(op)
	switch op.(type) {
	case autograd.Named, ops.InPlace:
		return info, false
	}
	switch {
	case !ok:
		t.Errorf("%T has no row %q in the table of operations", op, op.Name())
	case info.Apply == nil && slices.Contains(unfilled, op.Name()):
		return info, false
	case info.Torch == "" || info.Apply == nil:
		t.Errorf("the row %q of the table lacks PyTorch's name or Apply", op.Name())
		return info, false
	}
	return info, ok
}

// Each operation that has a type has a row that is filled.
func TestEachOperationHasARow(t *testing.T) {
	packages, err := parser.ParseDir(token.NewFileSet(), "../internal/ops", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range packages["ops"].Files {
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
					if info, ok := friends.Info(named(s)); !ok || info.Torch == "" || info.Apply == nil && !slices.Contains(unfilled, s) {
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
	before := tensor.MemoryStats(device).Live
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
	if after := tensor.MemoryStats(device).Live; after-before > grads {
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

// second holds a case's second derivatives against numeric ones.
func (c refCase) second(t *testing.T, op refOp, device *tensor.Device) error {
	f := func(in []*T) *T { return op(in, c.Args)[0] }
	return gradcheck.CheckGradGrad(f, c.inputs(t, tensor.Float64, device), gradcheck.Opts{})
}
