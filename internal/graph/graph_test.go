package graph

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
)

type T = tensor.Tensor

// model is a module with a pass from any number of tensors to some.
type model struct {
	module  layers.Module
	forward func(in []*T) []*T
}

// parts is a module made of them.
type parts []layers.Part

func (p parts) Parts() []layers.Part { return p }

// of makes a model of one tensor to one.
func of(forward func(x *T) *T, of ...layers.Part) *model {
	return &model{parts(of), func(in []*T) []*T { return []*T{forward(in[0])} }}
}

// layer makes a model of a layer.
func layer(l layers.Layer) *model {
	layers.Eval(l)
	return &model{l, func(in []*T) []*T { return []*T{l.Forward(in[0])} }}
}

// training makes a model of a layer that is in training mode.
func training(l layers.Layer) *model {
	layers.Train(l)
	return &model{l, func(in []*T) []*T { return []*T{l.Forward(in[0])} }}
}

// attention is written by hand, with views: causal, of several heads.
type attention struct {
	qkv, out *layers.Linear
	heads    int
	mask     *T // not a part of the module
}

func newAttention(c, t, heads int) *attention {
	return &attention{layers.NewLinear(c, 3*c), layers.NewLinear(c, c), heads, tensor.Ones(t, t).Triu(1).ToDType(tensor.Bool)}
}

func (a *attention) Parts() []layers.Part {
	return []layers.Part{layers.Child("qkv", a.qkv), layers.Child("out", a.out)}
}

func (a *attention) Forward(x *T) *T {
	b, t, c := x.Size(0), x.Size(1), x.Size(2)
	d := c / a.heads
	qkv := a.qkv.Forward(x).View(b, t, 3, a.heads, d).Permute(2, 0, 3, 1, 4) // [3 B H T D]
	q, k, v := qkv.Select(0, 0), qkv.Select(0, 1), qkv.Select(0, 2)
	mask := a.mask.Narrow(0, 0, t).Narrow(1, 0, t)
	scores := q.MatMul(k.Transpose(-2, -1)).DivScalar(math.Sqrt(float64(d))).MaskedFill(mask, math.Inf(-1))
	return a.out.Forward(scores.Softmax(-1).MatMul(v).Transpose(1, 2).Reshape(b, t, c))
}

// transformer is a small GPT: tokens in, scores out. The embedding's weight is that
// of the head too.
type transformer struct {
	tokens       *layers.Embedding
	position     *T
	class        *T
	norm1, norm2 *layers.LayerNorm
	attention    *attention
	mlp          *layers.Sequential
}

func newTransformer(vocabulary, c, t, heads int) *transformer {
	return &transformer{
		layers.NewEmbedding(vocabulary, c), tensor.Randn(t+1, c).SetRequiresGrad(true), tensor.Randn(1, 1, c).SetRequiresGrad(true),
		layers.NewLayerNorm(c), layers.NewLayerNorm(c), newAttention(c, t+1, heads),
		layers.NewSequential(layers.NewLinear(c, 4*c), layers.GELU{}, layers.NewDropout(0.1), layers.NewLinear(4*c, c)),
	}
}

func (m *transformer) Parts() []layers.Part {
	return []layers.Part{
		layers.Child("tokens", m.tokens), layers.Param("position", m.position), layers.Param("class", m.class), layers.Child("norm1", m.norm1),
		layers.Child("attention", m.attention), layers.Child("norm2", m.norm2), layers.Child("mlp", m.mlp),
	}
}

func (m *transformer) Forward(x *T) *T {
	b, t := x.Size(0), x.Size(1)
	h := tensor.Cat(1, m.class.Expand(b, -1, -1), m.tokens.Forward(x))
	h = h.Add(m.position.Narrow(0, 0, t+1))
	h = h.Add(m.attention.Forward(m.norm1.Forward(h)))
	h = h.Add(m.mlp.Forward(m.norm2.Forward(h)))
	return h.MatMul(m.tokens.Weight.T())
}

// bottleneck is a block of a ResNet.
type bottleneck struct {
	main, down *layers.Sequential
}

func newBottleneck(in, out int) *bottleneck {
	conv := func(in, out, kernel, stride int) []layers.Layer {
		return []layers.Layer{
			layers.NewConv2d(in, out, kernel, layers.ConvOpts{Padding: kernel / 2, Stride: stride, NoBias: true}), layers.NewBatchNorm2d(out),
		}
	}
	main := append(conv(in, out/4, 1, 1), layers.ReLU{Inplace: true})
	main = append(append(main, conv(out/4, out/4, 3, 2)...), layers.ReLU{Inplace: true})
	return &bottleneck{layers.NewSequential(append(main, conv(out/4, out, 1, 1)...)...), layers.NewSequential(conv(in, out, 1, 2)...)}
}

func (m *bottleneck) Parts() []layers.Part {
	return []layers.Part{layers.Child("main", m.main), layers.Child("down", m.down)}
}

func (m *bottleneck) Forward(x *T) *T {
	return layers.ReLU{Inplace: true}.Forward(m.main.Forward(x).Add(m.down.Forward(x)))
}

// randn makes an input with a batch of any size; N stands for it.
const N = -1

func randn(dims ...int) func(n int) *T {
	return func(n int) *T { return tensor.Randn(with(dims, n)...) }
}

func with(dims []int, n int) []int {
	s := make([]int, len(dims))
	for i, d := range dims {
		if s[i] = d; d == N {
			s[i] = n
		}
	}
	return s
}

// A graph of passes over 2 and 3 examples gives the model's own results for 5, to the
// bit, and for 1.
func TestReplay(t *testing.T) {
	tensor.ManualSeed(1)
	linear := layers.NewLinear(6, 4)
	frozen := layers.NewLinear(6, 4)
	layers.SetRequiresGrad(frozen, false)
	scale := tensor.Randn(4).SetRequiresGrad(true)
	table := tensor.Randn(7, 4)
	for _, tt := range []struct {
		name   string
		model  *model
		inputs []func(n int) *T
		want   []string // in what String gives
	}{
		{"VGG16", layer(models.NewVGG(models.VGGCfg("VGG16"), 10)), []func(int) *T{randn(N, 3, 32, 32)},
			[]string{"input float32 [N 3 32 32]", "parameter float32 [64 3 3 3]  # features.0.weight", "[N 512]", "# features.0\n", "# classifier\n"}},
		{"a block of a ResNet", layer(newBottleneck(8, 16)), []func(int) *T{randn(N, 8, 6, 6)}, []string{"%3 = buffer float32 [4]  # main.1.running_mean\n", "= ReLUInPlace %7 float32 [N 4 6 6]  # main.2\n", "# main.0\n", "# after down\n"}},
		{"a transformer", layer(newTransformer(11, 8, 5, 2)), []func(int) *T{func(n int) *T { return tensor.RandInt(0, 11, n, 5) }},
			[]string{"input int64 [N 5]", "constant bool [6 6]", "[3 N 2 6 4]", "# position\n", "# class\n", "# attention.qkv\n", "= Expand{Shape:[N 1 8]} %1 float32 [N 1 8]", "= View{Shape:[N 6 3 2 4]} %14 ", "= Select{Dim:0 Index:1} %16 float32 [N 2 6 4]  # after attention.qkv"}},
		{"layers in evaluation", layer(layers.NewSequential(layers.NewConv2d(3, 4, 3), layers.NewBatchNorm2d(4), layers.ReLU{Inplace: true}, layers.NewDropout(0.5),
			layers.Flatten{}, layers.NewLinear(4*4*4, 3))), []func(int) *T{randn(N, 3, 6, 6)}, nil},
		{"two inputs, two outputs", &model{linear, func(in []*T) []*T {
			y := linear.Forward(in[0])
			return []*T{y.Mul(in[1]), y.Sum(1)}
		}}, []func(int) *T{randn(N, 6), randn(N, 4)}, []string{"return %"}},
		{"an input is an output", &model{parts{}, func(in []*T) []*T { return []*T{in[1], in[0].Exp(), in[0]} }}, []func(int) *T{randn(N, 2), randn(3, N)}, []string{"[3 N]"}},
		{"a parameter is an output", &model{linear, func(in []*T) []*T { return []*T{linear.Bias, in[0].Neg()} }}, []func(int) *T{randn(N, 2)}, nil},
		{"an input without a batch axis", &model{parts{}, func(in []*T) []*T { return []*T{in[0].Add(in[1])} }}, []func(int) *T{randn(N, 2), randn(2)}, nil},
		{"used twice", of(func(x *T) *T { y := x.Exp(); return y.Mul(y).Add(y) }), []func(int) *T{randn(N, 2)}, nil},
		{"twice the same layer", of(func(x *T) *T { return frozen.Forward(x).Add(frozen.Forward(x.Neg())) }, frozen.Parts()...), []func(int) *T{randn(N, 6)}, nil},
		{"no-grad parameters", of(frozen.Forward, frozen.Parts()...), []func(int) *T{randn(N, 6)}, []string{"# weight"}},
		{"of the parameters alone", of(func(x *T) *T { return x.Mul(scale.Exp().Detach().Square()) }, layers.Param("scale", scale)), []func(int) *T{randn(N, 4)}, []string{"Exp", "# scale"}},
		{"Detach and NoGrad", of(func(x *T) *T { return x.Exp().Detach().Mul(x.NoGrad()).Add(scale.Detach()) }, layers.Param("scale", scale)), []func(int) *T{randn(N, 4)}, nil},
		{"a batch of no-grad", of(func(x *T) *T { return linear.Forward(x.NoGrad()).ReLUInPlace() }, linear.Parts()...), []func(int) *T{randn(N, 6)}, nil},
		{"View(x.Size(0), -1)", of(func(x *T) *T { return x.View(x.Size(0), -1) }), []func(int) *T{randn(N, 2, 3)}, []string{"[N 6]"}},
		{"the batch joined with another", of(func(x *T) *T { return linear.Forward(x.View(-1, 6)).View(x.Size(0), x.Size(1), 4).Mean(1) }, linear.Parts()...), []func(int) *T{randn(N, 3, 6)}, []string{"[3N 6]"}},
		{"the batch is the second", of(func(x *T) *T { return x.Transpose(0, 1).Softmax(-1) }), []func(int) *T{randn(3, N, 2)}, []string{"input float32 [3 N 2]"}},
		{"each with each", of(func(x *T) *T { return x.MatMul(x.T()) }), []func(int) *T{randn(N, 3)}, []string{"[N N]"}},
		{"the mean of the batch", of(func(x *T) *T { return x.Sub(x.Mean(0)).Div(x.Std(0)) }), []func(int) *T{randn(N, 3)}, nil},
		{"a constant", of(func(x *T) *T { return x.Add(tensor.Arange(0, 4, 1)) }), []func(int) *T{randn(N, 4)}, []string{"constant float32 [4]"}},
		{"a constant for each example", of(func(x *T) *T {
			h := tensor.Zeros(x.Size(0), 4)
			for i := range 2 {
				h = linear.Forward(tensor.Cat(1, x.Select(1, i), h)).Tanh()
			}
			return h
		}, linear.Parts()...), []func(int) *T{randn(N, 2, 2)}, []string{"constant float32 [N 4]"}},
		{"a constant for each example and entry", &model{parts{}, func(in []*T) []*T { return []*T{in[0].Add(tensor.Ones(3*in[1].Size(0), 1))} }}, []func(int) *T{func(n int) *T { return tensor.Randn(3*n, 1) }, randn(N)}, []string{"constant float32 [3N 1]"}},
		{"a number", of(func(x *T) *T { return x.MulScalar(3).AddScalar(0.5).RSubScalar(1) }), []func(int) *T{randn(N, 4)}, []string{"MulScalar{S:3} %0 float32"}},
		{"Repeat", of(func(x *T) *T { return scale.View(1, 4).Repeat(x.Size(0), 2) }, layers.Param("scale", scale)), []func(int) *T{randn(N, 4)}, []string{"Repeat"}},
		{"a table", of(func(x *T) *T { return tensor.Embedding(table, x.ArgMax(1)) }), []func(int) *T{randn(N, 7)}, []string{"constant float32 [7 4]"}},
		{"conditions", of(func(x *T) *T { return tensor.Where(x.GtScalar(0), x, x.MulScalar(0.1)) }), []func(int) *T{randn(N, 7)}, nil},
		{"types", of(func(x *T) *T { return x.ToDType(tensor.Float64).Exp().ToDType(tensor.Float32) }), []func(int) *T{randn(N, 7)}, []string{"float64 [N 7]"}},
		{"Autocast", of(func(x *T) *T { return linear.Forward(x.Autocast(tensor.BFloat16)).ReLU().Softmax(1) }, linear.Parts()...), []func(int) *T{randn(N, 6)}, []string{"bfloat16 [N 4]", "Autocast"}},
		{"in place through a view", of(func(x *T) *T {
			y := x.MulScalar(2)
			y.Select(1, 0).Fill(9)
			y.Narrow(1, 1, 1).AddInPlace(x.Narrow(1, 2, 1)).MulScalarInPlace(3)
			return y.Exp()
		}), []func(int) *T{func(n int) *T { return tensor.Randn(n, 3).NoGrad() }}, []string{"Fill"}},
		{"the input in place", of(func(x *T) *T { return x.AddScalarInPlace(1).Exp() }), []func(int) *T{func(n int) *T { return tensor.Randn(n, 3).NoGrad() }}, nil},
		{"the largest", of(func(x *T) *T { v, at := x.Max(1); return v.Add(at.ToDType(tensor.Float32)) }), []func(int) *T{randn(N, 3)}, nil},
		{"strides", of(func(x *T) *T { return x.AsStrided([]int{x.Size(0), 2}, []int{4, 2}, 1).Exp() }), []func(int) *T{randn(N, 4)}, []string{"[N 2 4 2 1]"}},
		{"the batch as the stride", of(func(x *T) *T {
			n := x.Size(1)
			return x.AsStrided([]int{n, 3}, []int{1, n}, 0).Exp()
		}), []func(int) *T{randn(3, N)}, []string{"[N 3 1 N 0]"}},
		{"part of the batch", &model{parts{}, func(in []*T) []*T { n := in[1].Size(0); return []*T{in[0].Narrow(0, n, n).Exp()} }}, []func(int) *T{func(n int) *T { return tensor.Randn(4*n, 4) }, randn(N)}, []string{"[N N]"}},
		{"a loss", &model{linear, func(in []*T) []*T {
			y := linear.Forward(in[0])
			return []*T{tensor.CrossEntropy(y, in[1], tensor.CrossEntropyOpts{}), y.LogSoftmax(1).Gather(1, in[1].Unsqueeze(1)).Squeeze(1), tensor.MSELoss(y, tensor.OneHot(in[1], 4).ToDType(tensor.Float32), tensor.ReduceSum)}
		}}, []func(int) *T{randn(N, 6), func(n int) *T { return tensor.RandInt(0, 4, n) }}, []string{"CrossEntropy", "Gather", "OneHot"}},
		{"sorted", of(func(x *T) *T {
			v, at := x.Sort(1, true)
			top, _ := x.TopK(2, 1, true)
			return v.Add(at.ToDType(tensor.Float32)).Cumsum(1).Add(top.Sum(1).Unsqueeze(1)).Triu(0).Flip(1)
		}), []func(int) *T{randn(N, 5)}, nil},
		{"padding that is more behind, and pools", layer(layers.NewSequential(layers.NewConv2d(4, 6, 2, layers.ConvOpts{Same: true}), layers.NewGroupNorm(2, 6), layers.SiLU{},
			layers.NewMaxPool2d(3, 2, layers.PoolOpts{Padding: 1}), layers.NewConvTranspose2d(6, 3, 2, layers.ConvOpts{Stride: 2}), layers.NewAdaptiveAvgPool2d(2, 3))), []func(int) *T{randn(N, 4, 7, 7)}, nil},
		{"pieces", of(func(x *T) *T { p := x.Chunk(2, 1); return tensor.Stack(1, p[1].Contiguous(), p[0].Tanh()).Flatten(1) }), []func(int) *T{randn(N, 4)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			batch := func(n int) []*T {
				in := make([]*T, len(tt.inputs))
				for i, f := range tt.inputs {
					in[i] = f(n)
				}
				return in
			}
			g, err := Trace(tt.model.module, tt.model.forward, batch(2), batch(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{5, 1} {
				in := batch(n)
				got, want := g.Run(copies(in)...), tt.model.forward(in)
				for i, y := range want {
					if !got[i].Shape().Equal(y.Shape()) || got[i].DType() != y.DType() || !bytes.Equal(got[i].Contiguous().Raw(), y.Contiguous().Raw()) {
						t.Errorf("got output %d of %d examples\n%v, want\n%v", i, n, got[i], y)
					}
				}
			}
			for _, want := range tt.want {
				if s := g.String(); !strings.Contains(s, want) {
					t.Errorf("got the graph\n%s\nwant %q in it", s, want)
				}
			}
		})
	}
}

// A replay has the gradients of the model.
func TestReplayGradients(t *testing.T) {
	tensor.ManualSeed(1)
	a, b := layers.NewLinear(4, 5), layers.NewLinear(5, 3)
	m := layers.NewSequential(a, layers.ReLU{Inplace: true}, b)
	g, err := Trace(m, func(in []*T) []*T { return []*T{m.Forward(in[0])} }, []*T{tensor.Randn(2, 4)}, []*T{tensor.Randn(3, 4)})
	if err != nil {
		t.Fatal(err)
	}
	x, dy := tensor.Randn(5, 4), tensor.Randn(5, 3)
	var grads [2][]*T
	for i, y := range []*T{m.Forward(x), g.Run(x)[0]} {
		layers.ZeroGrad(m)
		y.Backward(tensor.BackwardOpts{Gradient: dy})
		for _, p := range layers.Parameters(m) {
			grads[i] = append(grads[i], p.Grad().Clone())
		}
	}
	for i, want := range grads[0] {
		if got := grads[1][i]; !bytes.Equal(got.Raw(), want.Raw()) {
			t.Errorf("got the gradient %v of parameter %d, want %v", got, i, want)
		}
	}
	// A graph computes with what the model has learned since.
	a.Weight.Detach().Fill(0.25)
	if got, want := g.Run(x)[0], m.Forward(x); !bytes.Equal(got.Raw(), want.Raw()) {
		t.Errorf("after a change of a weight got %v, want %v", got, want)
	}
}

// Neither a pass that panics nor one that is over leaves a watch on the parameters, and
// neither changes the inputs.
func TestTraceLeavesNothing(t *testing.T) {
	m := layers.NewLinear(4, 4)
	x, y := tensor.Randn(2, 4), tensor.Randn(3, 4)
	before := x.Clone()
	if err := tensor.Try(func() {
		Trace(m, func(in []*T) []*T { return []*T{m.Forward(in[0]).MatMul(tensor.Ones(3, 3))} }, []*T{x}, []*T{y})
	}); err == nil {
		t.Error("got no panic of a product that does not fit")
	}
	if _, err := Trace(m, func(in []*T) []*T { return []*T{in[0].AddScalarInPlace(1).Exp()} }, []*T{x}, []*T{y}); err != nil {
		t.Error(err)
	}
	for _, p := range layers.Parameters(m) {
		if p.Watched() != nil {
			t.Errorf("%s carries a watch", p.Path())
		}
	}
	if !bytes.Equal(x.Raw(), before.Raw()) {
		t.Errorf("got the input %v, want %v as before", x, before)
	}
}

// Inputs that are not the graph's.
func TestRunErrors(t *testing.T) {
	m := layers.NewLinear(4, 4)
	f := func(in []*T) []*T { return []*T{m.Forward(in[0]).Add(in[1])} }
	two := func(n int) []*T { return []*T{tensor.Randn(n, 4), tensor.Randn(2*n, 4).View(2, n, 4)} }
	g, err := Trace(m, f, two(2), two(3))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		in   []*T
		want string
	}{
		{[]*T{tensor.Randn(5, 4)}, "graph: got 1 inputs, want 2"},
		{[]*T{tensor.Randn(5, 3), tensor.Randn(2, 5, 4)}, "graph: input 0 is float32 [5 3], want float32 [N 4] with N = 5"},
		{[]*T{tensor.Randn(5, 4), tensor.Randn(2, 6, 4)}, "graph: input 1 is float32 [2 6 4], want float32 [2 N 4] with N = 5"},
		{[]*T{tensor.Randn(5, 4), tensor.Randn(5, 4)}, "graph: input 1 is float32 [5 4], want float32 [2 N 4] with N = 5"},
		{[]*T{tensor.Randn(5, 4).ToDType(tensor.Float64), tensor.Randn(2, 5, 4)}, "graph: input 0 is float64 [5 4], want float32 [N 4]"},
	} {
		if err := tensor.Try(func() { g.Run(tt.in...) }); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	for _, n := range []int{0, 1, 7} {
		if got, want := g.Run(two(n)...)[0].Shape(), (tensor.Shape{2, n, 4}); !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for _, tt := range []struct {
		first, second []*T
		want          string
	}{
		{two(2), two(2), "graph: the batches have 0 and 0 examples, want two sizes of 2 or more"},
		{two(1), two(2), "graph: the batches have 1 and 2 examples, want two sizes of 2 or more"},
		{two(2), two(3)[:1], "graph: got 2 inputs in the first batch and 1 in the second, want as many"},
		{two(2), []*T{tensor.Randn(3, 4), tensor.Randn(3, 4)}, "graph: input 1 is float32 [2 2 4] in the first batch and float32 [3 4] in the second, want another batch size only"},
		{two(2), []*T{tensor.Randn(3, 4), tensor.Randn(5, 3, 4)}, "graph: input 1 is float32 [2 2 4] in a pass of 2 examples and float32 [5 3 4] in one of 3, want sizes that are the same or grow with the batch"},
	} {
		if _, err := Trace(m, f, tt.first, tt.second); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}

// Programs of views, writes through them and arithmetic, as they come.
func TestReplayProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.IntRange(0, 11), 1, 12).Draw(rt, "operations")
		picks := rapid.SliceOfN(rapid.IntRange(0, 1<<20), len(kinds), len(kinds)).Draw(rt, "choices")
		scale := tensor.From([]float32{0.5, -1.5, 2})
		f := func(in []*T) []*T {
			made := []*T{in[0], in[0].Neg()}
			for i, kind := range kinds {
				pick := picks[i]
				x := made[pick%len(made)]
				d := pick / 7 % max(x.Dim(), 1)
				batch := in[0].Size(0)
				fixed := x.Dim() > 0 && x.Size(d)%batch != 0 // not the batch
				y := x
				switch {
				case kind == 0:
					y = x.MulScalar(0.5)
				case kind == 1 && x.Dim() > 1:
					y = x.Transpose(d, 0)
				case kind == 2 && fixed:
					y = x.Narrow(d, x.Size(d)-1, 1)
				case kind == 3 && fixed && x.Dim() > 1:
					y = x.Select(d, 0)
				case kind == 4 && x.Dim() > 0:
					y = x.Flatten(0)
				case kind == 5 && x.Dim() < 4:
					y = x.Unsqueeze(d)
				case kind == 6:
					y = x.Add(x.Neg())
				case kind == 7 && x.Dim() > 0 && x.Size(-1) == 3:
					y = x.Mul(scale)
				case kind == 8:
					x.AddScalarInPlace(1)
				case kind == 9:
					x.CopyFrom(x.Neg())
				case kind == 10 && x.Dim() > 0:
					y = x.Reshape(append([]int{-1}, x.Shape()[1:]...)...).Detach()
				case kind == 11:
					y = x.Contiguous().Square()
				}
				made = append(made, y)
			}
			return made
		}
		in := func(n int) []*T { return []*T{tensor.Randn(n, 3, 2).NoGrad()} }
		g, err := Trace(parts{}, f, in(7), in(11))
		if err != nil {
			rt.Fatal(err)
		}
		x := in(5)
		got, want := g.Run(copies(x)...), f(copies(x))
		for i, y := range want {
			if !got[i].Shape().Equal(y.Shape()) || !bytes.Equal(got[i].Raw(), y.Raw()) {
				rt.Fatalf("got output %d\n%v, want\n%v of\n%s", i, got[i], y, g)
			}
		}
	})
}

// What is no graph is an error that says where.
func TestTraceErrors(t *testing.T) {
	tensor.ManualSeed(1)
	linear := layers.NewLinear(4, 4)
	sequence := layers.NewSequential(linear, layers.NewSequential(layers.Func(func(x *T) *T { return x.Add(tensor.Arange(0, float64(x.Size(0)), 1).View(-1, 1)) })))
	state := tensor.Zeros(4)
	buffer := tensor.Zeros(4)
	for _, tt := range []struct {
		name  string
		model *model
		want  string
	}{
		{"a constant of the batch's size", layer(sequence), "Add (layer 1.0): a constant that it reads (neither a part of the model nor made from the inputs), [2 1], is not the same for each example of a batch of 2"},
		{"random numbers", of(func(x *T) *T { return x.Add(tensor.Randn(4)) }), "Add (the model): a constant that it reads"},
		{"Dropout in training", training(layers.NewSequential(linear, layers.NewDropout(0.5))), "(layer 1)"},
		{"BatchNorm in training", training(layers.NewSequential(layers.Func(func(x *T) *T { return x.View(-1, 4, 1, 1) }), layers.NewBatchNorm2d(4))), "the pass changes 1.running_mean of the model"},
		{"a branch of the batch's size", of(func(x *T) *T {
			if x.Size(0) > 2 {
				return x.Exp()
			}
			return x.Neg()
		}), "of one of 3 that is Exp (the model)"},
		{"fewer operations", of(func(x *T) *T {
			for range 4 - x.Size(0) {
				x = x.Exp()
			}
			return x
		}), "one of 3 ends before"},
		{"more operations", of(func(x *T) *T {
			for range x.Size(0) {
				x = x.Exp()
			}
			return x
		}), "one of 2 ends before"},
		{"a number from a tensor", of(func(x *T) *T { return x.MulScalar(x.Sum().Item()) }), "MulScalar (the model)"},
		{"the batch's size as a number", of(func(x *T) *T { return x.Sum(0).DivScalar(float64(x.Size(0))) }), "DivScalar"},
		{"half of the batch", of(func(x *T) *T { return x.Chunk(2, 0)[0] }), "Split"},
		{"the square of the batch", of(func(x *T) *T { return x.MatMul(x.T()).Flatten(0) }), "Flatten"},
		{"one more than the batch", of(func(x *T) *T { return tensor.Cat(0, x, tensor.Ones(1, 4)) }), "Cat"},
		{"other operands", of(func(x *T) *T { a, b := x.Exp(), x.Neg(); return []*T{a, b, b, a}[x.Size(0)].Tanh() }), "its operands are other values"},
		{"other outputs", of(func(x *T) *T { a, b := x.Exp(), x.Neg(); return []*T{a, b, b, a}[x.Size(0)] }), "returns other values"},
		{"data in a constant", of(func(x *T) *T { return tensor.Zeros(x.Shape()...).CopyFrom(x.Detach()).Mul(x) }), "is not the same for each example"},
		{"into a constant", of(func(x *T) *T {
			y := tensor.Zeros(x.Shape()...)
			y.Select(1, 0).CopyFrom(x.Detach().Select(1, 1))
			return y.Mul(x)
		}), "a constant that it reads"},
		{"what the model keeps", of(func(x *T) *T { y := x.Add(state); state.AddScalarInPlace(1); return y }), "a constant that it reads"},
		{"a gradient in the pass", of(func(x *T) *T {
			y := x.Detach().Watch(x.Watched()).SetRequiresGrad(true)
			return autograd.Grad(linear.Forward(y).Square().Sum(), []*T{y})[0].Mul(x)
		}), "a constant that it reads (neither"},
		{"as many as are positive", of(func(x *T) *T { return x.MaskedSelect(x.GtScalar(0)).Exp() }), "MaskedSelect (the model): its result is float32 "},
		{"the last example", of(func(x *T) *T { return x.Select(0, x.Size(0)-1) }), "Select (the model): its attributes are {Dim:0 Index:1} in a pass of 2 examples and {Dim:0 Index:2} in one of 3"},
		{"a buffer", of(func(x *T) *T { y := x.Add(buffer); buffer.AddScalarInPlace(1); return y }, layers.Buffer("count", buffer)), "the pass changes count of the model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Trace(tt.model.module, tt.model.forward, []*T{tensor.Randn(2, 4)}, []*T{tensor.Randn(3, 4)})
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an *Error with %q", err, tt.want)
			}
			t.Log(err)
		})
	}
}
