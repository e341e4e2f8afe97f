package tensor_test

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// wantError fails unless f panics with a *tensor.Error that contains all words.
func wantError(t *testing.T, f func(), words ...string) {
	t.Helper()
	err := tensor.Try(f)
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to contain %q", err, w)
		}
	}
}

func live() int64 { return tensor.CPU.MemoryStats().Live }

// steps yields a batch in a scope of its own, n times, as a loader does.
func steps(n int) func(yield func(x, y *T) bool) {
	return func(yield func(x, y *T) bool) {
		for range n {
			s := tensor.NewScope()
			ok := yield(tensor.Ones(4, 3).In(s), tensor.From([]int64{0, 0, 0, 0}).In(s))
			s.Close()
			if !ok {
				return
			}
		}
	}
}

func parameter(dims ...int) *T { return tensor.Ones(dims...).SetRequiresGrad(true) }

func TestResultsGoWithTheFirstScopeToClose(t *testing.T) {
	a, b := tensor.NewScope(), tensor.NewScope()
	x, y := tensor.Ones(2).In(a), tensor.Ones(2).In(b)
	z := x.Add(y)
	a.Close()
	wantError(t, func() { z.Floats() }, "made by Add", "after its scope closed", "Keep()")
	wantError(t, func() { z.Add(y) }, "Add", "after its scope closed")
	if got := y.Floats()[0]; got != 1 {
		t.Errorf("the other scope's tensor: got %v, want 1", got)
	}
	b.Close()
	b.Close()
}

func TestScopeGivesItsMemoryBack(t *testing.T) {
	before := live()
	s := tensor.NewScope()
	x := tensor.Ones(1000).In(s)
	for range 10 {
		x = x.AddScalar(1)
	}
	if got := live() - before; got < 10*4000 {
		t.Errorf("while the scope is open: got %d bytes, want 40000 or more", got)
	}
	s.Close()
	if got := live() - before; got != 0 {
		t.Errorf("after Close %d bytes are live, want 0", got)
	}
}

func TestInAClosedScope(t *testing.T) {
	s := tensor.NewScope()
	s.Close()
	wantError(t, func() { tensor.Ones(2).In(s) }, "scope is closed")
}

func TestNewTensorsGoWhereAnotherLives(t *testing.T) {
	s := tensor.NewScope()
	x := tensor.Ones(2).In(s)
	y := tensor.ZerosLike(x)
	z := tensor.Ones(3).In(x.Scope())
	s.Close()
	wantError(t, func() { y.Item() })
	wantError(t, func() { z.Floats() }, "after its scope closed")
	tensor.Ones(2).In(tensor.Ones(1).Scope()) // no scope: nothing changes
}

// In PyTorch: total_loss += loss.item(), or total += loss.detach().
func TestAccumulatedMetrics(t *testing.T) {
	w := parameter(3)
	sum, total := 0.0, tensor.Zeros()
	for x := range steps(5) {
		loss := x.Mul(w).Sum()
		loss.Backward()
		sum += loss.Item()
		total.AddInPlace(loss)
	}
	if sum != 60 || total.Item() != 60 {
		t.Errorf("got %v and %v, want 60", sum, total.Item())
	}
}

// In PyTorch: several backward() before one optimizer.step().
func TestGradientAccumulation(t *testing.T) {
	w := parameter(3)
	for x := range steps(4) {
		x.Mul(w).Sum().Backward()
	}
	if got := w.Grad().Floats()[0]; got != 16 {
		t.Errorf("gradient of 4 steps: got %v, want 16", got)
	}
	before := w.Grad()
	w.ZeroGrad()
	if w.Grad() != nil {
		t.Error("ZeroGrad left a gradient")
	}
	for x := range steps(1) {
		x.Mul(w).Sum().Backward()
	}
	if got := w.Grad().Floats()[0]; got != 4 || w.Grad() != before {
		t.Errorf("after ZeroGrad: got %v, want 4, in the same memory", got)
	}
}

// A gradient with a history lives as long as its leaf, too; the history goes with the step.
func TestGradientAccumulationWithHistories(t *testing.T) {
	create := tensor.BackwardOpts{CreateGraph: true}
	w := tensor.Full(3).SetRequiresGrad(true)
	for _, opts := range [][]tensor.BackwardOpts{{create}, {create}, nil, {create}} {
		s := tensor.NewScope()
		x := tensor.Full(2).In(s)
		w.Mul(w).Mul(x).Sum().Backward(opts...)
		s.Close()
	}
	if got := w.Grad().Item(); got != 4*4*w.Item() {
		t.Errorf("got %v, want %v", got, 4*4*w.Item())
	}
	first := w.Grad()
	w.ZeroGrad()
	w.Mul(w).Sum().Backward()
	if got := w.Grad().Item(); got != 2*w.Item() || first.Item() != 4*4*w.Item() {
		t.Errorf("the next one: got %v, want %v, and %v left alone", got, 2*w.Item(), first)
	}
}

func TestHooksSeeACompleteGradient(t *testing.T) {
	w := parameter(3)
	var seen []float32
	remove := w.RegisterHook(func(g *T) { seen = append(seen, g.Floats()[0]) })
	w.Add(w).Sum().Backward()
	remove()
	w.Sum().Backward()
	if len(seen) != 1 || seen[0] != 2 || !w.IsLeaf() {
		t.Errorf("hooks saw %v, want the complete gradient 2 once", seen)
	}
}

// In PyTorch: h = h.detach() between the pieces of a sequence.
func TestCarriedState(t *testing.T) {
	w := parameter(3)
	h := tensor.Zeros(4, 3)
	state := tensor.Zeros(4, 3)
	for x := range steps(3) {
		next := h.Add(x).Mul(w)
		next.Sum().Backward()
		h = next.Detach().Keep()
		state.CopyFrom(h)
	}
	if h.Floats()[0] != 3 || state.Floats()[0] != 3 {
		t.Errorf("got %v and %v, want 3", h.Floats()[0], state.Floats()[0])
	}
	var forgotten *T
	for x := range steps(1) {
		forgotten = x.Add(x)
	}
	wantError(t, func() { forgotten.Add(h) }, "made by Add", "Detach().Keep()", "CopyFrom")
}

// In PyTorch: ema.mul_(0.9).add_(p, alpha=0.1) under no_grad.
func TestMovingAverageOfWeights(t *testing.T) {
	w := parameter(3)
	ema := w.Detach().Clone()
	for x := range steps(2) {
		x.Mul(w).Sum().Backward()
		w.Fill(2) // an optimizer's step
		ema.LerpInPlace(w, 0.5)
	}
	if got := ema.Floats()[0]; got != 1.75 {
		t.Errorf("got %v, want 1.75", got)
	}
}

// In PyTorch: with torch.no_grad(): t = teacher(x); loss = mse(student(x), t).
func TestTeacherAndStudent(t *testing.T) {
	teacher, student := parameter(3), parameter(3)
	for x := range steps(1) {
		target := x.NoGrad().Mul(teacher)
		if target.RequiresGrad() {
			t.Error("the teacher was recorded")
		}
		out := x.Mul(student)
		wantError(t, func() { out.Sub(target).Sum().Backward() }, "nothing was recorded", "marked no-grad, which met history in Sub", "Detach")
		out.Sub(target.Detach()).Sum().Backward()
	}
	if teacher.Grad() != nil || student.Grad().Floats()[0] != 4 {
		t.Errorf("gradients: teacher %v, student %v, want none and 4", teacher.Grad(), student.Grad())
	}
}

// In PyTorch: zip(loader_a, loader_b).
func TestTwoLoadersAtOnce(t *testing.T) {
	w := parameter(3)
	before := live()
	for x := range steps(2) {
		for y := range steps(2) {
			x.Mul(y).Mul(w).Sum().Backward()
		}
		x.Mul(w).Sum().Backward() // the outer step is still open
	}
	if got := w.Grad().Floats()[0]; got != 24 {
		t.Errorf("got %v, want 24", got)
	}
	if got := live() - before; got > 2*4*3 {
		t.Errorf("%d bytes are live after both loops, want the gradient's", got)
	}
}

// In PyTorch: evaluating in one thread while another trains needs care, since
// grad mode is a global of the thread.
func TestEvaluationBesideTraining(t *testing.T) {
	w := parameter(3)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for x := range autograd.NoGrad(steps(50)) {
				if y := x.Mul(w); y.RequiresGrad() || y.Floats()[0] != 1 {
					t.Error("evaluation was recorded, or is wrong")
				}
			}
		})
	}
	for x := range steps(50) {
		x.Mul(w).Sum().Backward()
	}
	wg.Wait()
	if got := w.Grad().Floats()[0]; got != 200 {
		t.Errorf("got %v, want 200", got)
	}
}

func TestAParameterMadeInAStepLivesOn(t *testing.T) {
	var w *T
	for x := range steps(3) {
		if w == nil {
			w = parameter(3)
		}
		x.Mul(w).Sum().Backward()
	}
	if got := w.Grad().Floats()[0]; got != 12 {
		t.Errorf("got %v, want 12", got)
	}
}

func TestKeepDropsHistory(t *testing.T) {
	w := parameter(3)
	y := w.MulScalar(2).Keep()
	wantError(t, func() { y.Sum().Backward() }, "nothing was recorded")
}

func TestInPlaceRules(t *testing.T) {
	w := parameter(3)
	y := w.MulScalar(2)
	wantError(t, func() { y.AddInPlace(w) }, "AddInPlace", "has history (made by MulScalar)", "not recorded")
	wantError(t, func() { y.View(3, 1).Fill(0) }, "Fill", "has history")
	y.Sum().Backward()
	y.AddInPlace(w) // no tape needs it any more
	if got := y.Floats()[0]; got != 3 {
		t.Errorf("got %v, want 3", got)
	}

	// The version counter belongs to the memory: a change through one view is
	// seen through another.
	x := tensor.Ones(4)
	z := x.View(2, 2).Mul(w.Narrow(0, 0, 2))
	x.Narrow(0, 1, 2).Fill(5)
	wantError(t, func() { z.Sum().Backward() }, "Mul needs", "changed in place")

	wantError(t, func() { w.ReLUInPlace() }, "leaf that requires a gradient")
	wantError(t, func() { s := w.Sigmoid(); s.ReLUInPlace(); s.Sum().Backward() }, "Sigmoid needs", "changed in place")
}

// A view of a leaf is the leaf's memory: no recorded operation may change it. What
// is no view of it, or asks for no gradient, may be changed.
func TestLeafIsGuardedBehindItsViews(t *testing.T) {
	watch := &told{}
	for _, c := range []struct {
		name string
		view func(w *T) *T
	}{
		{"View", func(w *T) *T { return w.View(-1) }},
		{"Reshape", func(w *T) *T { return w.Reshape(3, 2) }},
		{"Flatten", func(w *T) *T { return w.Flatten(0) }},
		{"Squeeze", func(w *T) *T { return w.Squeeze() }},
		{"Unsqueeze", func(w *T) *T { return w.Unsqueeze(0) }},
		{"Narrow", func(w *T) *T { return w.Narrow(0, 1, 1) }},
		{"Select", func(w *T) *T { return w.Select(0, -1) }},
		{"Split", func(w *T) *T { return w.Split(1, 0)[1] }},
		{"Chunk", func(w *T) *T { return w.Chunk(2, 0)[0] }},
		{"Autocast", func(w *T) *T { return w.Autocast(tensor.BFloat16) }},
		{"Autocast taken off", func(w *T) *T { return w.Autocast(tensor.BFloat16).Autocast(tensor.Float32) }},
		{"Watch", func(w *T) *T { return w.Watch(watch) }},
		{"View of Watch", func(w *T) *T { return w.Watch(watch).View(-1) }},
		{"ToDType to its own type", func(w *T) *T { return w.ToDType(tensor.Float32) }},
		{"To its own device", func(w *T) *T { return w.To(tensor.CPU) }},
		{"Narrow of columns", func(w *T) *T { return w.Narrow(1, 0, 2) }},
		{"T", func(w *T) *T { return w.T() }},
		{"Permute and Reshape", func(w *T) *T { return w.Unsqueeze(0).Permute(2, 0, 1).Reshape(3, 2) }},
		{"Diagonal", func(w *T) *T { return w.Diagonal(0, 0, 1) }},
		{"Unfold", func(w *T) *T { return w.Unfold(1, 2, 1) }},
		{"Expand", func(w *T) *T { return w.Expand(1, 2, 3) }},
		{"View of a view", func(w *T) *T { return w.View(-1).Narrow(0, 1, 2).Unsqueeze(1).Autocast(tensor.Float16) }},
		{"View after Backward", func(w *T) *T { v := w.View(-1); v.Sum().Backward(); return v }},
		{"Dropout in evaluation", func(w *T) *T { return w.View(-1).Dropout(0.5, false) }},
	} {
		w := parameter(2, 3).CopyFrom(tensor.From([]float32{-1, -2, -3, -4, -5, -6}, 2, 3))
		before := w.Floats()
		wantError(t, func() { c.view(w).ReLUInPlace() }, "ReLUInPlace", "leaf that requires a gradient", "in place")
		if got := w.Floats(); !slices.Equal(got, before) {
			t.Errorf("%s: the leaf was changed to %v", c.name, got)
		}
		// What Detach returns, what is marked no-grad, and a leaf that asks for no gradient may be changed.
		for free, w := range map[string]*T{"detached": w.Detach(), "no-grad": w.NoGrad(), "plain": w.Clone().Detach()} {
			if err := try(func() { c.view(w.AddScalarInPlace(0)).ReLUInPlace() }); err != nil && c.name != "View after Backward" {
				t.Errorf("%s of a %s leaf: %v", c.name, free, err)
			}
		}
	}
	for name, copied := range map[string]func(w *T) *T{
		"Clone":              func(w *T) *T { return w.View(-1).Clone() },
		"a result":           func(w *T) *T { return w.Neg() },
		"a view of a result": func(w *T) *T { return w.Neg().View(-1) },
	} {
		w := parameter(2, 3)
		copied(w).ReLUInPlace().Sum().Backward()
		if w.Floats()[0] != 1 || w.Grad() == nil {
			t.Errorf("%s: the leaf is %v, its gradient %v", name, w, w.Grad())
		}
	}
	// Unrecorded changes name the form that is right.
	w := parameter(2, 3)
	wantError(t, func() { w.Narrow(0, 0, 1).Fill(0) }, "Fill", "view (made by Narrow) of a leaf that requires a gradient", "p.Detach().Narrow(…)")
	wantError(t, func() { w.View(-1).AddInPlace(tensor.Ones(6)) }, "AddInPlace", "p.Detach().View(…)")
	w.Detach().Narrow(0, 0, 1).Fill(0)
	if got := w.Floats(); got[0] != 0 || got[3] != 1 {
		t.Errorf("got %v, want the first row 0", got)
	}
}

func TestReLUInPlaceTakesNoMemory(t *testing.T) {
	w := parameter(1000)
	y := w.MulScalar(-1)
	before := live()
	z := y.ReLUInPlace()
	if z != y || live() != before {
		t.Errorf("took %d bytes, and returned another tensor: %v", live()-before, z != y)
	}
	z.Sum().Backward()
	if got := w.Grad().Floats()[0]; got != 0 {
		t.Errorf("gradient: got %v, want 0", got)
	}
}

func TestAStepTakesNoNewMemoryFromTheThirdOn(t *testing.T) {
	w := parameter(3)
	var taken int64
	i := 0
	for x := range steps(200) {
		w.ZeroGrad()
		x.Mul(w).ReLU().Sum().Backward()
		if i++; i == 2 {
			taken = tensor.CPU.MemoryStats().Taken
		}
	}
	if got := tensor.CPU.MemoryStats().Taken - taken; got != 0 {
		t.Errorf("steps 3 to 200 took %d bytes of new memory, want 0", got)
	}
}

func TestBackwardFreesGradientsAsItGoes(t *testing.T) {
	const n = 100_000
	w := parameter(n)
	for x := range steps(1) {
		y := tensor.Ones(n).In(x.Scope()).Mul(w)
		for range 20 {
			y = y.MulScalar(1)
		}
		loss := y.Sum()
		tensor.CPU.ResetPeakMemory()
		before := live()
		loss.Backward()
		if got := tensor.CPU.MemoryStats().Peak - before; got > 4*4*n {
			t.Errorf("Backward took %d bytes at its peak, want no more than four gradients (%d)", got, 4*4*n)
		}
	}
}

func TestUnscopedTensorsAreCollected(t *testing.T) {
	before := live()
	func() {
		x := tensor.Ones(1 << 20)
		for range 10 {
			x = x.AddScalar(1)
		}
	}()
	for range 50 {
		runtime.GC()
		if live() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d bytes are still live after garbage collection", live()-before)
}

func TestReleasedTensorPrints(t *testing.T) {
	s := tensor.NewScope()
	x := tensor.Ones(2).In(s)
	s.Close()
	if got, want := x.String(), "tensor(released, shape=[2], dtype=float32)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
