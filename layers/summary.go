package layers

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for this one.
var friends = friend.Of[*tensor.Tensor]()

// Summary returns a table of a model: each module with its path, its settings and the
// shapes of its parameters, and the totals. A module whose String method returns one
// line is shown by it. Shared parameters are counted once.
//
// With an input, such as tensor.Zeros(1, 3, 32, 32), the model, a [Layer], is run
// on it once, and the table has the shapes of results, the multiply-adds of a
// forward pass, and the memory that a training step needs: input, parameters,
// gradients and activations, which are the results of all operations but views and
// those in place. What a loss and an optimizer need, what Dropout makes, and
// temporary memory come on top of that.
//
// Multiply-adds are those of Conv2d, ConvTranspose2d, Linear and MatMul, with one
// for each result that a bias is added to, as torchinfo counts. (It adds the
// parameters of normalizations, and takes ConvTranspose2d for a Conv2d.) An
// operation without parameters counts for the Sequential's layer that it runs in, or
// for the innermost module that contains the layers before and after it, and what
// runs after a part of a [ModuleList]'s element for that element. A layer of which
// nothing can be told has no result in the table.
//
// The model runs in evaluation mode, without gradients. Modes (of modules that
// have Training as well as SetTraining; others keep theirs), buffers and the
// random states of Dropout and the default generator are afterwards as they were.
// Nothing else may use the model meanwhile. (torchinfo.summary)
func Summary(m Module, input ...*tensor.Tensor) string {
	var run *dryRun
	switch {
	case len(input) > 1:
		fail("Summary", "got %d inputs, want one at most", len(input))
	case len(input) == 1:
		l, ok := m.(Layer)
		if !ok {
			fail("Summary", "%s has no Forward from one tensor to one, which an input needs", typeName(m))
		}
		run = runDry(l, input[0])
	}
	rows := [][]string{{"path", "layer", "parameters", "elements"}}
	if run != nil {
		rows[0] = append(rows[0], "result", "multiply-adds")
	}
	rows[0] = append(rows[0], "")
	sum := totals{seen: map[*tensor.Tensor]bool{}}
	at := -1 // the module's place in Modules
	for path, m := range Modules(m) {
		at++
		row, notes := sum.add(path, m)
		if run != nil {
			r := run.modules[at]
			row = append(row, r.result, when(r.multiplyAdds > 0, thousands(r.multiplyAdds)))
			if r.uses > 1 {
				notes = append(notes, fmt.Sprintf("used %d times", r.uses))
			}
		}
		rows = append(rows, append(row, strings.Join(notes, ", ")))
	}
	var b strings.Builder
	writeTable(&b, rows)
	fmt.Fprintf(&b, "\n%s parameters (%s): %s trainable, %s frozen\n",
		thousands(sum.parameters), megabytes(sum.parameterBytes), thousands(sum.parameters-sum.frozen), thousands(sum.frozen))
	if sum.buffers > 0 {
		fmt.Fprintf(&b, "%s elements in buffers (%s)\n", thousands(sum.buffers), megabytes(sum.bufferBytes))
	}
	if run != nil {
		inputBytes := input[0].Len() * input[0].DType().Size()
		fmt.Fprintf(&b, "%s multiply-adds for the input %v\n", thousands(run.multiplyAdds), input[0].Shape())
		fmt.Fprintf(&b, "%s for a training step, about: input %s, parameters %s, gradients %s, activations %s\n",
			megabytes(inputBytes+sum.parameterBytes+sum.gradientBytes+run.activationBytes),
			megabytes(inputBytes), megabytes(sum.parameterBytes), megabytes(sum.gradientBytes), megabytes(run.activationBytes))
	}
	return b.String()
}

// totals are a model's sums, in elements and bytes.
type totals struct {
	seen                                       map[*tensor.Tensor]bool
	parameters, frozen, buffers                int
	parameterBytes, gradientBytes, bufferBytes int
}

// add counts a module's own tensors, shared ones once, and returns its row of the
// table, but for the last columns, and notes for the last one.
func (sum *totals) add(path string, m Module) (row, notes []string) {
	var shapes []string
	elements, own, frozen, tied := 0, 0, 0, 0
	for _, p := range parts(path, m) {
		t := p.tensor
		if t == nil {
			continue
		}
		bytes, seen := t.Len()*t.DType().Size(), sum.seen[t]
		sum.seen[t] = true
		if p.buffer {
			if !seen {
				sum.buffers += t.Len()
				sum.bufferBytes += bytes
			}
			continue
		}
		shapes = append(shapes, p.name+" "+t.Shape().String())
		own++
		if !t.RequiresGrad() {
			frozen++
		}
		if seen {
			tied++
			continue
		}
		elements += t.Len()
		sum.parameterBytes += bytes
		if t.RequiresGrad() {
			sum.gradientBytes += bytes
		} else {
			sum.frozen += t.Len()
		}
	}
	sum.parameters += elements
	switch frozen {
	case 0:
	case own:
		notes = append(notes, "frozen")
	default:
		notes = append(notes, "partly frozen")
	}
	if tied > 0 {
		notes = append(notes, "tied")
	}
	return []string{path, label(m), strings.Join(shapes, ", "), when(own > 0, thousands(elements))}, notes
}

// dryRun is what a pass through a model came to.
type dryRun struct {
	modules         []moduleRun // in the order of Modules
	multiplyAdds    int
	activationBytes int
}

type moduleRun struct {
	result       string // its shape; where a module was used with several, the last
	multiplyAdds int
	uses         int
}

// runDry runs a model on x and leaves it as it was.
func runDry(m Layer, x *tensor.Tensor) *dryRun {
	defer preserve(m)()
	trace := NewTrace(m)
	run := &dryRun{modules: make([]moduleRun, len(trace.modules))}
	result := func(i int, y *tensor.Tensor) {
		run.modules[i].result = y.Shape().String()
		run.modules[i].uses++
	}
	trace.left = result
	// Operations that no layer is known to have done wait for the next that one is.
	type waiting struct{ within, behind, multiplyAdds int }
	var wait []waiting
	var last *tensor.Tensor // the result of the operation before, and the layer that it was or came after
	behind := -1
	next := func(i int, inputs ...*tensor.Tensor) {
		for _, w := range wait {
			run.modules[trace.between(w.within, w.behind, i)].multiplyAdds += w.multiplyAdds
		}
		wait = wait[:0]
		if e := trace.element(behind); e >= 0 && (i < 0 || !trace.within(i, e)) && last != nil && slices.Contains(inputs, last) {
			if _, told := trace.modules[e].module.(interface{ Layers() []Layer }); !told {
				result(e, last)
			}
		}
	}
	trace.OnForward = func(at Place, op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) {
		i := trace.paths[at.Layer]
		// A layer of this package is one operation; of others nobody else tells.
		if running := trace.frames[len(trace.frames)-1].at; at.Exact && i != running && trace.modules[i].leaf {
			if result(i, out); !isLibrary(trace.modules[i].module) {
				run.modules[i].uses = 1
			}
		}
		n := multiplyAdds(op, inputs, out)
		run.multiplyAdds += n
		if at.Exact {
			next(i, inputs...)
			run.modules[i].multiplyAdds += n
			behind = i
		} else {
			behind = -1
			if at.After != "" {
				behind = trace.paths[at.After]
			}
			wait = append(wait, waiting{i, behind, n})
		}
		last = out
		view := false
		for _, x := range inputs {
			view = view || x != nil && x.SharesMemory(out)
		}
		if !view {
			run.activationBytes += out.Len() * out.DType().Size()
		}
	}
	s := tensor.NewScope()
	defer s.Close()
	y := m.Forward(x.Detach().Clone().In(s).NoGrad().Watch(trace))
	next(-1, y)
	run.modules[0] = moduleRun{y.Shape().String(), run.modules[0].multiplyAdds, 1}
	return run
}

// between returns the module that an operation counts for which ran within one
// module, after a module in it (-1 is none) and before another (-1 is none): the
// innermost that contains both, or the element of a ModuleList that contains the first
// one, as these run one after the other.
func (t *Trace) between(within, behind, before int) int {
	if behind < 0 {
		return within
	}
	if e := t.element(behind); e >= 0 && t.within(e, within) && (before < 0 || !t.within(before, e)) {
		return e
	}
	for path := t.modules[behind].path; before >= 0 && path != ""; {
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
		if a, ok := t.paths[path]; ok && t.within(a, within) && t.within(before, a) {
			return a
		}
	}
	return within
}

// element returns the innermost element of a ModuleList that contains a
// module (-1 is none), or -1 if it is one itself or is in none.
func (t *Trace) element(module int) int {
	if module < 0 {
		return -1
	}
	for path, inner := t.modules[module].path, true; path != ""; inner = false {
		above := path[:max(strings.LastIndexByte(path, '.'), 0)]
		if a, ok := t.paths[above]; ok {
			if _, list := t.modules[a].module.(ModuleList); list {
				if inner {
					return -1
				}
				return t.paths[path]
			}
		}
		path = above
	}
	return -1
}

// multiplyAdds counts those of an operation.
func multiplyAdds(op autograd.Op, inputs []*tensor.Tensor, out *tensor.Tensor) int {
	if info, ok := friends.Info(op); ok && info.MultiplyAdds != nil {
		return info.MultiplyAdds(op, inputs, out)
	}
	return 0
}

// preserve puts a model in evaluation mode. What it returns makes the model's
// modes, buffers and random states what they were.
func preserve(m Module) (restore func()) {
	var undo []func()
	random := func(g *tensor.Generator) {
		seed, offset := g.State()
		undo = append(undo, func() { g.SetState(seed, offset) })
	}
	random(tensor.DefaultGenerator())
	for _, m := range Modules(m) {
		if t, ok := m.(interface {
			trainable
			Training() bool
		}); ok {
			was := t.Training()
			undo = append(undo, func() { t.SetTraining(was) })
			t.SetTraining(false)
		}
		if d, ok := m.(interface{ generator() *tensor.Generator }); ok && d.generator() != nil {
			random(d.generator())
		}
	}
	for _, p := range tensors(m) {
		if t := p.tensor; p.buffer {
			was := t.Raw()
			undo = append(undo, func() {
				if !bytes.Equal(t.Raw(), was) {
					t.SetRaw(was)
				}
			})
		}
	}
	return func() {
		for _, f := range slices.Backward(undo) { // a module may occur several times: its first state is set last
			f()
		}
	}
}

// writeTable writes rows in columns, a line under the first; columns of numbers
// are flush right.
func writeTable(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	line := make([]string, len(width))
	for i, w := range width {
		line[i] = strings.Repeat("─", w)
	}
	for _, row := range slices.Insert(rows, 1, line) {
		var l strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if name := rows[0][i]; name == "elements" || name == "multiply-adds" {
				l.WriteString(pad + cell)
			} else {
				l.WriteString(cell + pad)
			}
			l.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
}

// label returns what a module says of itself, or its type's name.
func label(m Module) string {
	switch v := m.(type) {
	case interface{ brief() string }:
		return v.brief()
	case fmt.Stringer:
		if !isLibrary(m) {
			if s := v.String(); !strings.Contains(s, "\n") {
				return s
			}
		}
	}
	return typeName(m)
}

// thousands returns n with commas: "14,728,266".
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(bytes int) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

// list joins the settings of a layer, without the empty ones.
func list(settings ...string) string {
	return strings.Join(slices.DeleteFunc(settings, func(s string) bool { return s == "" }), ", ")
}

// when returns s if cond holds.
func when(cond bool, s string) string {
	if cond {
		return s
	}
	return ""
}

// sizes returns "kernel 3" or, where height and width differ, "kernel 3×5";
// nothing for the default.
func sizes(name string, hw [2]int, zero int) string {
	switch {
	case hw == [2]int{zero, zero}:
		return ""
	case hw[0] == hw[1]:
		return fmt.Sprintf("%s %d", name, hw[0])
	}
	return fmt.Sprintf("%s %d×%d", name, hw[0], hw[1])
}
