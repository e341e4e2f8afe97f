package tensor_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// data returns a leaf with sin(first + 0.7·i) for element i.
func data(first float64, shape ...int) *T {
	x := make([]float64, tensor.Shape(shape).Len())
	for i := range x {
		x[i] = math.Sin(first + 0.7*float64(i))
	}
	return tensor.From(x, shape...).SetRequiresGrad(true)
}

// graph returns gradients that have histories of their own.
func graph(y *T, by ...*T) []*T {
	return autograd.Grad(y, by, autograd.GradOpts{CreateGraph: true})
}

func tanhNet(x *T, p []*T) *T {
	return tensor.Linear(tensor.Linear(x, p[0], p[1]).Tanh(), p[2], p[3])
}

func mlp() []*T { return []*T{data(1, 5, 3), data(2, 5), data(3, 1, 5), data(4, 1)} }

func mse(x, y *T) *T { return tensor.MSELoss(x, y, tensor.ReduceMean) }

// What programs do with gradients of gradients gives PyTorch's numbers
// (testdata/gradients.py).
func TestSecondDerivativesInUse(t *testing.T) {
	b, err := os.ReadFile("testdata/gradients.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][][]float64
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	with := func(first *T, rest ...*T) []*T { return append([]*T{first}, rest...) }
	done := 0
	check := func(name string, got ...*T) {
		t.Helper()
		done++
		if len(got) != len(want[name]) {
			t.Fatalf("%s: got %d results, want %d", name, len(got), len(want[name]))
		}
		for i, w := range want[name] {
			switch {
			case w == nil && got[i] != nil:
				t.Errorf("%s: result %d is %v, want none", name, i, got[i])
			case w != nil && got[i] == nil:
				t.Errorf("%s: there is no result %d", name, i)
			case w != nil:
				if err := differs(got[i].Float64s(), w); err != "" {
					t.Errorf("%s, result %d: %s", name, i, err)
				}
			}
		}
	}

	p, x := mlp(), data(5, 4, 3)
	penalty := graph(tanhNet(x, p).Sum(), x)[0].Norm(2, 1).SubScalar(1).Square().Mean()
	check("penalty", with(penalty, autograd.Grad(penalty, p)...)...)

	p, x = mlp(), data(5, 4, 3).Detach()
	var product *T
	for _, g := range graph(mse(tanhNet(x, p), data(6, 4, 1).Detach()), p...) {
		term := g.Mul(g.Detach().Cos()).Sum()
		if product != nil {
			term = term.Add(product)
		}
		product = term
	}
	check("hvp", autograd.Grad(product, p)...)

	p = mlp()
	q, y := p, data(6, 4, 1).Detach()
	for range 2 {
		next := make([]*T, len(q))
		for i, g := range graph(mse(tanhNet(x, q), y), q...) {
			next[i] = q[i].Sub(g.MulScalar(0.1))
		}
		q = next
	}
	outer := tensor.L1Loss(tanhNet(data(7, 2, 3).Detach(), q), data(8, 2, 1).Detach(), tensor.ReduceMean)
	check("maml", with(outer, autograd.Grad(outer, p)...)...)

	p, x = []*T{data(1, 5, 1), data(2, 5), data(3, 1, 5), data(4, 1)}, data(5, 6, 1)
	u := tanhNet(x, p)
	ux := graph(u.Sum(), x)[0]
	uxx := graph(ux.Sum(), x)[0]
	check("equation", with(uxx, autograd.Grad(uxx.Add(u.Mul(u)).Square().Mean(), p)...)...)

	x = data(1, 5)
	y = x.Mul(x)
	g := graph(y.Exp().Mul(x.Sin()).Sum(), y, x, y)
	hy := graph(g[0].Mul(g[2]).Sum(), y)[0]
	check("inner", g[0], g[1], g[2], hy, graph(hy.Sum(), x)[0])

	w, x := data(1, 3, 2), data(2, 4, 2).Detach()
	for range 2 {
		tensor.Linear(x, w, nil).Tanh().Sum().Backward(tensor.BackwardOpts{CreateGraph: true})
	}
	check("accumulated", w.Grad())
	created := w.Grad()
	w.ZeroGrad()
	created.Square().Sum().Backward()
	check("accumulated then penalized", w.Grad())
	w.ZeroGrad()
	tensor.Linear(x, w, nil).Tanh().Sum().Backward()
	check("accumulated then plain", w.Grad())
	if err := differs(created.Float64s(), want["accumulated"][0]); err != "" {
		t.Errorf("the created gradient was overwritten by a later step: %s", err)
	}

	w, b0, x := data(1, 4, 2, 3, 3), data(2, 4), data(3, 3, 2, 6, 6)
	gamma, beta, v := data(4, 4), data(5, 4), data(6, 2, 16)
	h := tensor.Conv2d(x, w, b0, tensor.ConvOpts{Padding: 1})
	h = tensor.BatchNorm2d(h, nil, nil, gamma, beta, tensor.BatchNormOpts{Training: true}).ReLU()
	h = tensor.MaxPool2d(h, tensor.PoolOpts{Kernel: 3}).Flatten(1)
	loss := tensor.CrossEntropy(tensor.Linear(h, v, nil), tensor.From([]int64{0, 1, 1}), tensor.CrossEntropyOpts{})
	penalty = graph(loss, x)[0].Square().Sum()
	check("convolution", with(penalty, autograd.Grad(penalty, []*T{x, w, gamma, beta, v})...)...)

	const d, n = 4, 3
	x, wq, wk, wv, gamma, beta := data(1, 2, n, d), data(2, d, d), data(3, d, d), data(4, d, d), data(5, d), data(6, d)
	h = tensor.LayerNorm(x, []int{d}, gamma, beta, 0)
	heads := func(w *T) *T { return tensor.Linear(h, w, nil).View(2, n, 2, d/2).Transpose(1, 2) }
	a := heads(wq).MatMul(heads(wk).Transpose(-1, -2)).DivScalar(math.Sqrt2).Softmax(-1).MatMul(heads(wv))
	out := x.Add(a.Transpose(1, 2).Reshape(2, n, d)).GELU()
	penalty = graph(out.Square().Sum(), x)[0].Square().Sum()
	check("attention", with(penalty, autograd.Grad(penalty, []*T{x, wq, wk, wv, gamma, beta})...)...)

	if done != len(want) {
		t.Errorf("%d results were compared, want %d", done, len(want))
	}
}

// wantMisuse fails unless f panics with an error that contains all words.
func wantMisuse(t *testing.T, name string, f func(), words ...string) {
	t.Helper()
	err := tensor.Try(f)
	if err == nil {
		t.Errorf("%s: no error, want one with %q", name, words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: got %q, want %q in it", name, err, w)
		}
	}
}

// What a second derivative needs is not changed unnoticed.
func TestSecondDerivativesOfWhatIsChanged(t *testing.T) {
	x := data(1, 2, 3)
	g := graph(x.Square().Mul(x).Sum(), x)[0]
	x.Detach().Select(0, 1).Fill(9)
	wantMisuse(t, "a view of an operand that was written", func() { g.Sum().Backward() }, "was changed in place after it was used")

	x = data(1, 4)
	y := x.Square()
	g = graph(y.Mul(y).Sum(), x)[0]
	wantMisuse(t, "a value on the way that is written", func() { y.MulScalarInPlace(2) }, "has history")
	if _, err := g.Sum(), g.Sum().Item(); math.IsNaN(err) {
		t.Error("the gradient is NaN")
	}

	// The created gradient itself.
	wantMisuse(t, "a created gradient that is written", func() { g.MulScalarInPlace(2) }, "has history")
	x.ZeroGrad()
	x.Square().Sum().Backward(tensor.BackwardOpts{CreateGraph: true})
	wantMisuse(t, "a leaf's created gradient that is written", func() { x.Grad().Fill(0) }, "has history")

	// A record is freed once, and kept where it is asked for.
	x = data(1, 3)
	z := x.Mul(x).Mul(x).Sum()
	g = graph(z, x)[0]
	autograd.Grad(g.Sum(), []*T{x}, autograd.GradOpts{RetainGraph: true})
	autograd.Grad(g.Sum(), []*T{x})
	wantMisuse(t, "a record that was freed by the second derivative", func() { z.Backward() }, "RetainGraph")
	wantMisuse(t, "a second derivative of what was freed", func() { g.Sum().Backward() }, "RetainGraph")

	x = data(1, 3)
	z = x.Mul(x).Mul(x).Sum()
	z.Backward()
	wantMisuse(t, "a created graph of what was freed", func() { graph(z, x) }, "RetainGraph")
}

// No-grad wins in a gradient as elsewhere, and what is detached is a number.
func TestSecondDerivativesOfPartsWithoutHistory(t *testing.T) {
	x := data(1, 4)
	g := graph(x.Mul(x.Detach()).Mul(x).Sum(), x)[0] // 2xc
	for name, tt := range map[string]struct {
		f    func() *T
		want func(v float64) float64
	}{
		"a detached factor":   {func() *T { return g.Sum() }, func(v float64) float64 { return 2 * v }},
		"a detached gradient": {func() *T { return g.Detach().Mul(g).Sum() }, func(v float64) float64 { return 4 * v * v * v }},
	} {
		got := autograd.Grad(tt.f(), []*T{x}, autograd.GradOpts{RetainGraph: true})[0].Float64s()
		for i, v := range x.Float64s() {
			if w := tt.want(v); math.Abs(got[i]-w) > 1e-12 {
				t.Errorf("%s: element %d: got %v, want %v", name, i, got[i], w)
			}
		}
	}
	if y := g.NoGrad().Mul(x); y.RequiresGrad() || !y.IsNoGrad() {
		t.Error("a created gradient that is marked no-grad was recorded")
	}
	// Keep, which drops the history of a value, between the passes: of what is recorded with it there is one.
	s := tensor.NewScope()
	x = data(1, 4).In(s)
	y := x.Square()
	z := y.Mul(y).Sum()
	y.Keep()
	g = graph(z, x)[0]
	if h := autograd.Grad(g.Sum(), []*T{x})[0].Float64s(); math.Abs(h[0]-12*math.Pow(x.Float64s()[0], 2)) > 1e-12 {
		t.Errorf("of values that were kept: got %v", h)
	}
	s.Close()
	if v := y.Float64s(); len(v) != 4 {
		t.Errorf("the value that was kept is %v", v)
	}

	// A plain Backward between two that create graphs, over what these retain.
	x = data(1, 4)
	z = x.Mul(x).Mul(x).Sum()
	first := graph(z, x)[0]
	z.Backward(tensor.BackwardOpts{RetainGraph: true})
	if x.Grad().RequiresGrad() || !slices.Equal(x.Grad().Float64s(), first.Float64s()) {
		t.Errorf("the plain gradient is %v, with CreateGraph %v", x.Grad(), first)
	}
	third := graph(graph(graph(z, x)[0].Sum(), x)[0].Sum(), x)[0]
	if got, want := third.Float64s(), []float64{6, 6, 6, 6}; !slices.Equal(got, want) {
		t.Errorf("the third derivative of x³ is %v, want %v", got, want)
	}
}

// Operations of a program's own: what their closures cannot differentiate is told and is
// not a wrong number.
func TestSecondDerivativesOfOnesOwn(t *testing.T) {
	cube := func(op autograd.Op, x *T, backward func(g *T) *T) *T {
		d := x.Detach()
		return autograd.Record(op, d.Mul(d).Mul(d), []*T{x}, func(g *T) []*T { return []*T{backward(g)} }, x)
	}
	x := data(1, 3)
	bare := x.Detach()
	own := autograd.Named("Cube")
	for name, tt := range map[string]struct {
		op       autograd.Op
		backward func(g *T) *T
		words    string // of the error; none: there is a second derivative
	}{
		"with the operand":           {own, func(g *T) *T { return g.Mul(x.Square().MulScalar(3)) }, ""},
		"with a bare operand":        {own, func(g *T) *T { return g.Mul(bare.Square().MulScalar(3)) }, "its closure computes with values that have no history"},
		"with numbers":               {own, func(g *T) *T { return tensor.From(g.Mul(bare.Square().MulScalar(3)).Float64s()) }, "no history"},
		"that is Once":               {autograd.Once{Op: own}, func(g *T) *T { return g.Mul(bare.Square().MulScalar(3)) }, "a gradient once"},
		"that is Once, all the same": {autograd.Once{Op: own}, func(g *T) *T { return g.Mul(x.Square().MulScalar(3)) }, "a gradient once"},
	} {
		g := graph(cube(tt.op, x, tt.backward).Sum(), x)[0]
		plain := autograd.Grad(cube(tt.op, x, tt.backward).Sum(), []*T{x})[0]
		if !slices.Equal(g.Float64s(), plain.Float64s()) {
			t.Errorf("%s: with CreateGraph the gradient is %v, without %v", name, g, plain)
		}
		if tt.words != "" {
			wantMisuse(t, name, func() { g.Sum().Backward() }, "Cube has no second derivative", tt.words)
			continue
		}
		for i, v := range autograd.Grad(g.Sum(), []*T{x})[0].Float64s() {
			if w := 6 * bare.Float64s()[i]; math.Abs(v-w) > 1e-12 {
				t.Errorf("%s: element %d: got %v, want %v", name, i, v, w)
			}
		}
	}
	// A linear one has nothing to lose, nor one that saves nothing with a history.
	twice := autograd.Record(own, x.Detach().MulScalar(2), []*T{x}, func(g *T) []*T { return []*T{g.MulScalar(2)} })
	if g := graph(twice.Mul(x).Sum(), x)[0]; !slices.Equal(autograd.Grad(g.Sum(), []*T{x})[0].Float64s(), []float64{4, 4, 4}) {
		t.Error("a linear operation of one's own has no second derivative")
	}
	// Gradients that lose the history of the one that they are given.
	lost := autograd.Record(own, x.Detach().MulScalar(2), []*T{x}, func(g *T) []*T { return []*T{tensor.From(g.MulScalar(2).Float64s())} })
	g := graph(lost.Mul(x).Sum(), x)[0]
	wantMisuse(t, "a lost history", func() { g.Sum().Backward() }, "Cube has no second derivative", "has not computed the gradient from the one that it was given")
}

// Through an operation in place, autocast, hooks, and with memory that is used again.
func TestSecondDerivativesAmongTheRest(t *testing.T) {
	x := data(1, 6)
	in := func(f func(y *T) *T) []float64 {
		return autograd.Grad(graph(f(x.MulScalar(2)).Pow(tensor.Full(3).ToDType(tensor.Float64)).Sum(), x)[0].Sum(), []*T{x})[0].Float64s()
	}
	if got, want := in((*T).ReLUInPlace), in((*T).ReLU); !slices.Equal(got, want) {
		t.Errorf("through ReLUInPlace: got %v, want %v", got, want)
	}

	// bfloat16 under Autocast: the gradients of Float32 leaves are Float32, and near those without it.
	w, h := data(1, 4, 4).Detach().ToDType(tensor.Float32).SetRequiresGrad(true), data(2, 3, 4).Detach().ToDType(tensor.Float32)
	hessian := func(h *T) []float32 {
		g := graph(tensor.Linear(h, w, nil).Tanh().Square().Sum(), w)[0]
		if g.DType() != tensor.Float32 {
			t.Errorf("the gradient of a Float32 leaf is %s", g.DType())
		}
		return autograd.Grad(g.Square().Sum(), []*T{w})[0].Floats()
	}
	exact, half := hessian(h), hessian(h.Autocast(tensor.BFloat16))
	for i := range exact {
		if d := math.Abs(float64(half[i] - exact[i])); d > 0.05*(1+math.Abs(float64(exact[i]))) || slices.Equal(exact, half) {
			t.Errorf("under Autocast element %d is %v, without %v", i, half[i], exact[i])
		}
	}

	// Hooks see the gradient with its history.
	x = data(1, 3)
	var seen *T
	x.RegisterHook(func(g *T) { seen = g })
	x.Square().Sum().Backward(tensor.BackwardOpts{CreateGraph: true})
	if seen != x.Grad() || !seen.RequiresGrad() {
		t.Error("a hook was not given the leaf's gradient with its history")
	}
	x.ZeroGrad()
	x.Square().Sum().Backward() // and a plain one after it has none
	if seen != x.Grad() || seen.RequiresGrad() {
		t.Error("the gradient of a plain step has a history")
	}

	// Steps in turn: a plain one, one with a penalty, over and over, and nothing is left of them.
	w = data(1, 8, 8)
	step := func() {
		s := tensor.NewScope()
		defer s.Close()
		x := data(2, 4, 8).In(s)
		w.ZeroGrad()
		tensor.Linear(x, w, nil).Tanh().Sum().Backward()
		plain := w.Grad().Float64s()
		w.ZeroGrad()
		y := tensor.Linear(x, w, nil).Tanh().Sum()
		y.Add(graph(y, x)[0].Square().Sum()).Backward()
		if slices.Equal(plain, w.Grad().Float64s()) {
			t.Error("the penalty has no gradient")
		}
	}
	step()
	before := live()
	for range 5 {
		step()
	}
	if after := live(); after > before {
		t.Errorf("five more steps with a penalty leave %d bytes", after-before)
	}
}

// Others may evaluate a model while gradients of gradients are computed.
func TestSecondDerivativesBesideEvaluation(t *testing.T) {
	w := data(1, 4, 4)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 50 {
				x := data(float64(i), 3, 4)
				if i%2 == 0 {
					if y := tensor.Linear(x.Detach().NoGrad(), w, nil).Tanh(); y.RequiresGrad() {
						t.Error("evaluation was recorded")
					}
					continue
				}
				g := graph(tensor.Linear(x, w, nil).Tanh().Sum(), x)[0]
				if h := autograd.Grad(g.Square().Sum(), []*T{w})[0]; h == nil {
					t.Error("there is no second derivative")
				}
			}
		})
	}
	all.Wait()
}
