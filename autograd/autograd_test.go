package autograd_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/autograd"
)

// num is a number that the tape can carry: the package knows nothing of arrays.
type num struct {
	autograd.Variable[*num]
	v       float64
	grad    float64
	version uint64
	held    int
}

func leaf(v float64) *num {
	x := number(v)
	tape.MarkRequiresGrad(x, true)
	return x
}

func (x *num) NoGrad() *num {
	y := number(x.v)
	tape.TakeNoGrad(y, x)
	tape.MarkNoGrad(y)
	return y
}

var tape = autograd.Tape[*num]{Arithmetic: arithmetic{}}

func number(v float64) *num { return &num{Variable: tape.Variable(), v: v} }

type arithmetic struct{}

func (arithmetic) Ones(string, *num) *num     { return number(1) }
func (arithmetic) Add(a, b *num, _ bool) *num { return number(a.v + b.v) }
func (arithmetic) Accumulate(leaf, g *num, _ bool) *num {
	leaf.grad += g.v
	return number(leaf.grad)
}
func (arithmetic) Run(g *num, _ *autograd.Pass, backward func(*num) []*num) []*num {
	return backward(g)
}
func (arithmetic) Retain(g *num) { g.held++ }
func (arithmetic) Release(g *num) {
	if g.held--; g.held < 0 {
		panic("released more often than retained")
	}
}
func (arithmetic) Alias(x *num) *num      { return number(x.v) }
func (arithmetic) Version(x *num) uint64  { return x.version }
func (arithmetic) Describe(x *num) string { return fmt.Sprintf("the number %v", x.v) }

func mul(a, b *num) *num {
	return autograd.Record(autograd.Named("mul"), number(a.v*b.v), []*num{a, b}, func(g *num) []*num {
		return []*num{number(g.v * b.v), number(g.v * a.v)}
	}, a, b)
}

func add(a, b *num) *num {
	return autograd.Record(autograd.Named("add"), number(a.v+b.v), []*num{a, b}, func(g *num) []*num { return []*num{g, g} })
}

func square(a *num) *num { return mul(a, a) }

// setInPlace is an operation that is not recorded.
func (x *num) set(v float64) {
	autograd.CheckWrite("set", x)
	x.v = v
	x.version++
}

// negate changes x in place and records that.
func (x *num) negate() *num {
	autograd.CheckInPlace("negate", x)
	x.v = -x.v
	x.version++
	return autograd.RecordInPlace(autograd.Named("negate"), x, func(g *num) []*num { return []*num{number(-g.v)} })
}

func backward(x *num, retain ...bool) {
	autograd.Backward(x, autograd.BackwardOpts[*num]{RetainGraph: len(retain) > 0 && retain[0]})
}

// panics returns the sentence of the *autograd.Error that f panics with.
func panics(t *testing.T, f func()) (sentence string) {
	t.Helper()
	defer func() {
		e, ok := recover().(*autograd.Error)
		if !ok {
			t.Fatal("no *autograd.Error")
		}
		sentence = e.Error()
	}()
	f()
	return ""
}

func wantPanic(t *testing.T, words string, f func()) {
	t.Helper()
	if got := panics(t, f); !strings.Contains(got, words) {
		t.Errorf("got %q, want it to contain %q", got, words)
	}
}

func TestBackwardAddsOverAllPaths(t *testing.T) {
	x, y := leaf(3), leaf(4)
	// z = (x² + xy)·x; dz/dx = 3x² + 2xy = 51, dz/dy = x² = 9
	z := mul(add(square(x), mul(x, y)), x)
	backward(z)
	if x.grad != 51 || y.grad != 9 {
		t.Errorf("got gradients %v and %v, want 51 and 9", x.grad, y.grad)
	}
	backward(mul(x, y))
	if x.grad != 55 {
		t.Errorf("a second Backward adds: got %v, want 55", x.grad)
	}
}

func TestBackwardOnALeaf(t *testing.T) {
	x := leaf(3)
	backward(x)
	if x.grad != 1 {
		t.Errorf("got %v, want 1", x.grad)
	}
}

func TestSecondBackward(t *testing.T) {
	x := leaf(3)
	y := square(x)
	backward(y, true)
	backward(y)
	if x.grad != 12 {
		t.Errorf("with RetainGraph: got %v, want 12", x.grad)
	}
	wantPanic(t, "RetainGraph", func() { backward(y) })
	wantPanic(t, "RetainGraph", func() { backward(mul(y, x)) })
}

func TestBackwardWithoutRecord(t *testing.T) {
	wantPanic(t, "nothing was recorded for the number 2", func() { backward(number(2)) })
	wantPanic(t, "it was made from values marked no-grad, which met a leaf that requires a gradient in mul",
		func() { backward(square(mul(leaf(2), (number(3)).NoGrad()))) })
}

// No-grad wins, and remembers what it won over.
func TestNoGradMeetsHistory(t *testing.T) {
	x := leaf(2)
	n := (number(3)).NoGrad()
	if y := mul(n, x); y.RequiresGrad() || !y.IsNoGrad() {
		t.Error("no-grad times a parameter was recorded, or lost its mark")
	}
	z := mul(add(n, x), square(x))
	if z.v != 20 || z.RequiresGrad() || !z.IsNoGrad() || z.Node() != nil {
		t.Errorf("no-grad times what has history: got %v, requires a gradient %t, no-grad %t, want 20, false, true", z.v, z.RequiresGrad(), z.IsNoGrad())
	}
	const met = "nothing was recorded for the number 23: it was made from values marked no-grad, which met history in mul"
	wantPanic(t, met, func() { backward(add(z, n)) })
	wantPanic(t, met, func() { backward(add(n, z)) })
	wantPanic(t, met, func() { autograd.Grad(add(z, n), []*num{x}) })
	wantPanic(t, "which met history in add", func() { backward(add(z, square(x)).NoGrad()) })
}

// What was changed since it was recorded is a fault only where that is recorded again.
func TestNoGradMeetsWhatWasChanged(t *testing.T) {
	x := leaf(2)
	y := square(x)
	y.version++
	wantPanic(t, "changed in place since", func() { mul(y, x) })
	if z := mul(y, (number(3)).NoGrad()); z.v != 12 {
		t.Errorf("got %v, want 12", z.v)
	}
}

func TestNoGradMarksWhatASequenceYields(t *testing.T) {
	w := leaf(2)
	pairs := func(yield func(*num, *num) bool) { _ = yield(number(1), number(2)) && yield(number(3), number(4)) }
	var got []float64
	for a, b := range autograd.NoGrad(pairs) {
		y := mul(mul(a, b), w)
		if y.RequiresGrad() {
			t.Error("recorded under NoGrad")
		}
		got = append(got, y.v)
	}
	if want := []float64{4, 24}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestInPlaceChanges(t *testing.T) {
	t.Run("of a saved leaf is caught by Backward", func(t *testing.T) {
		x := leaf(2)
		y := square(x)
		x.set(5)
		wantPanic(t, "mul needs the number 5, which was changed in place", func() { backward(y) })
	})
	t.Run("of a value with history is caught at once", func(t *testing.T) {
		y := square(leaf(2))
		wantPanic(t, "has history (made by mul) that Backward has not yet used", func() { y.set(1) })
	})
	t.Run("after Backward is allowed", func(t *testing.T) {
		y := square(leaf(2))
		backward(y)
		y.set(1)
	})
	t.Run("that is recorded gives the gradient of the new value", func(t *testing.T) {
		x := leaf(2)
		y := add(x, x).negate()
		z := mul(y, number(3))
		backward(z)
		if z.v != -12 || x.grad != -6 {
			t.Errorf("got value %v and gradient %v, want -12 and -6", z.v, x.grad)
		}
	})
	t.Run("that is recorded may not change a leaf with gradient", func(t *testing.T) {
		wantPanic(t, "is a leaf that requires a gradient", func() { leaf(1).negate() })
	})
	t.Run("that is recorded is caught where the old value is needed", func(t *testing.T) {
		y := square(leaf(2))
		z := square(y)
		y.negate()
		wantPanic(t, "changed in place", func() { backward(z) })
	})
	t.Run("of memory behind a recorded value is caught at its next use", func(t *testing.T) {
		y := square(leaf(2))
		y.version++ // a view of it was changed
		wantPanic(t, "made by mul, was changed in place since", func() { square(y) })
	})
}

func TestHooksRunOncePerLeafWhenItsGradientIsComplete(t *testing.T) {
	var order []string
	early, late := leaf(2), leaf(3)
	early.RegisterHook(func(g *num) { order = append(order, fmt.Sprint("early ", g.v)) })
	late.RegisterHook(func(g *num) { order = append(order, fmt.Sprint("late ", g.v)) })
	remove := late.RegisterHook(func(g *num) { order = append(order, "removed") })
	remove()
	backward(mul(square(mul(early, early)), late)) // e⁴·l: 4e³l = 96, e⁴ = 16
	if want := []string{"late 16", "early 96"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

func TestGradLeavesLeavesAlone(t *testing.T) {
	x, y, unused := leaf(3), leaf(4), leaf(5)
	u := mul(x, y)
	z := square(u)
	g := autograd.Grad(z, []*num{u, x, unused})
	if g[0].v != 24 || g[1].v != 96 || g[2] != nil {
		t.Errorf("got %v, %v and %v, want 24, 96 and nil", g[0].v, g[1].v, g[2])
	}
	if x.grad != 0 || y.grad != 0 {
		t.Errorf("leaves hold %v and %v, want nothing", x.grad, y.grad)
	}
}

func TestRecordAbsentInputs(t *testing.T) {
	x := leaf(2)
	y := autograd.Record(autograd.Named("op"), number(6), []*num{x, nil}, func(g *num) []*num { return []*num{{v: 3 * g.v}, nil} })
	backward(y)
	if x.grad != 3 {
		t.Errorf("got %v, want 3", x.grad)
	}
	bad := autograd.Record(autograd.Named("op"), number(6), []*num{x, nil}, func(g *num) []*num { return []*num{g} })
	wantPanic(t, "op returned 1 gradients for 2 inputs", func() { backward(bad) })
}

func TestNodesCanBeWalked(t *testing.T) {
	y := add(square(leaf(2)), leaf(1))
	var ops []string
	for n := range y.Node().Inputs() {
		if n == nil {
			ops = append(ops, "leaf")
		} else {
			ops = append(ops, n.Op().Name())
		}
	}
	if want := []string{"mul", "leaf"}; !slices.Equal(ops, want) {
		t.Errorf("inputs of %s: got %v, want %v", y.Node().Op(), ops, want)
	}
}

func TestDeepRecord(t *testing.T) {
	x := leaf(1)
	y := x
	for range 200_000 {
		y = add(y, x)
	}
	backward(y)
	if x.grad != 200_001 {
		t.Errorf("got %v, want 200001", x.grad)
	}
}

// told is a watch that notes what it is told.
type told struct{ forward, backward []string }

func (w *told) Forward(op autograd.Op, inputs []*num, out *num) {
	line := op.Name()
	for _, x := range inputs {
		if x == nil {
			line += " nil"
		} else {
			line += fmt.Sprintf(" %v", x.v)
		}
	}
	w.forward = append(w.forward, fmt.Sprintf("%s = %v", line, out.v))
}

func (w *told) Backward(n *autograd.Node[*num], g *num, grads []*num) {
	line := fmt.Sprintf("%s %v:", n.Op().Name(), g.v)
	for _, g := range grads {
		line += fmt.Sprintf(" %v", g.v)
	}
	w.backward = append(w.backward, line)
}

// A watch rides on the data, through what is recorded and what is not.
func TestWatch(t *testing.T) {
	watched := func(v float64, w autograd.Watch[*num]) *num {
		x := number(v)
		tape.MarkWatch(x, w)
		return x
	}
	for _, tt := range []struct {
		name              string
		f                 func(w autograd.Watch[*num]) *num
		forward, backward []string
		kept              bool // the result is watched
	}{
		{"recorded", func(w autograd.Watch[*num]) *num { return add(mul(watched(2, w), leaf(3)), leaf(1)) },
			[]string{"mul 2 3 = 6", "add 6 1 = 7"}, []string{"add 1: 1 1", "mul 1: 3 2"}, true},
		{"not recorded", func(w autograd.Watch[*num]) *num { return mul(watched(2, w), number(3)) },
			[]string{"mul 2 3 = 6"}, nil, true},
		{"no-grad", func(w autograd.Watch[*num]) *num {
			x := watched(2, w)
			tape.MarkNoGrad(x)
			return mul(leaf(3), x)
		}, []string{"mul 3 2 = 6"}, nil, true},
		{"before the data comes in", func(w autograd.Watch[*num]) *num { return mul(square(leaf(3)), watched(2, w)) },
			[]string{"mul 9 2 = 18"}, []string{"mul 1: 2 9"}, true},
		{"in place, recorded", func(w autograd.Watch[*num]) *num { return mul(watched(2, w), leaf(3)).negate() },
			[]string{"mul 2 3 = 6", "negate -6 nil = -6"}, []string{"negate 1: -1", "mul -1: -3 -2"}, true},
		{"in place, not recorded", func(w autograd.Watch[*num]) *num { return watched(2, w).negate() },
			[]string{"negate -2 nil = -2"}, nil, true},
		{"without gradient", func(w autograd.Watch[*num]) *num {
			return autograd.RecordNothing(autograd.Named("sign"), number(1), leaf(3), nil, watched(2, w))
		}, []string{"sign 3 nil 2 = 1"}, nil, true},
		{"overwritten", func(w autograd.Watch[*num]) *num {
			x := watched(2, w)
			autograd.Changed(autograd.Named("set"), x, leaf(5))
			autograd.Changed(autograd.Named("set"), leaf(5), x) // what is not watched does not come to be
			return x
		}, []string{"set 2 5 = 2"}, nil, true},
		{"handed on", func(w autograd.Watch[*num]) *num {
			y := number(4)
			tape.Take(y, watched(2, w))
			return square(y)
		}, []string{"mul 4 4 = 16"}, nil, true},
		{"taken off", func(w autograd.Watch[*num]) *num {
			x := watched(2, w)
			tape.MarkWatch(x, nil)
			return square(x)
		}, nil, nil, false},
	} {
		w := &told{}
		y := tt.f(w)
		if y.RequiresGrad() {
			backward(y)
		}
		if !slices.Equal(w.forward, tt.forward) || !slices.Equal(w.backward, tt.backward) || (y.Watched() == w) != tt.kept {
			t.Errorf("%s: got %q, then %q, watched %t, want %q, then %q, %t", tt.name, w.forward, w.backward, y.Watched() == w, tt.forward, tt.backward, tt.kept)
		}
	}

	// The first input's watch counts, and nobody is told twice.
	a, b := &told{}, &told{}
	mul(watched(2, a), watched(3, b))
	if len(a.forward) != 1 || len(b.forward) != 0 {
		t.Errorf("two watches: got %q and %q, want one line and none", a.forward, b.forward)
	}
}

func ExampleOnce() {
	x := leaf(2)
	triple := autograd.Record(autograd.Once{Op: autograd.Named("triple")}, number(3*x.v), []*num{x}, func(g *num) []*num {
		return []*num{number(3 * g.v)} // a number, which has no history
	})
	g := autograd.Grad(triple, []*num{x}, autograd.GradOpts{CreateGraph: true})[0]
	fmt.Println(g.v)
	defer func() { fmt.Println(recover()) }()
	backward(g)
	// Output:
	// 3
	// autograd: Grad: triple has no second derivative: it is recorded as one that has a gradient once
}
