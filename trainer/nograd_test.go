package trainer

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// made is a model of [N 3 8 8] that computes something from its parameters alone.
type made struct {
	parts   []layers.Part
	forward func(x *tensor.Tensor) *tensor.Tensor
}

func (m *made) Parts() []layers.Part                       { return m.parts }
func (m *made) Forward(x *tensor.Tensor) *tensor.Tensor    { return m.forward(x) }
func (m *made) with(parts ...layers.Part) *made            { m.parts = append(m.parts, parts...); return m }
func (m *made) child(name string, c layers.Layer) *made    { return m.with(layers.Child(name, c)) }
func (m *made) param(name string, p *tensor.Tensor) *made  { return m.with(layers.Param(name, p)) }
func random(dims ...int) *tensor.Tensor                    { return tensor.Randn(dims...).SetRequiresGrad(true) }
func madeOf(f func(x *tensor.Tensor) *tensor.Tensor) *made { return &made{forward: f} }
func tokens(x *tensor.Tensor) *tensor.Tensor               { return x.Flatten(2).Transpose(1, 2) } // [N 64 3]
func classified(in int, f func(*tensor.Tensor) *tensor.Tensor, parts ...layers.Part) *made {
	head := layers.NewLinear(in, 4)
	return madeOf(func(x *tensor.Tensor) *tensor.Tensor { return head.Forward(f(x)) }).with(parts...).child("head", head)
}

// fromParameters are such models.
var fromParameters = map[string]func() layers.Layer{
	"position embedding": func() layers.Layer {
		table := layers.NewEmbedding(64, 3)
		return classified(192, func(x *tensor.Tensor) *tensor.Tensor {
			return tokens(x).Add(table.Forward(tensor.Arange(0, 64, 1).ToDType(tensor.Int64))).Flatten(1)
		}, layers.Child("table", table))
	},
	"class token": func() layers.Layer {
		token := random(1, 1, 3)
		return classified(195, func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Cat(1, token.Expand(x.Size(0), 1, 3), tokens(x)).Flatten(1)
		}, layers.Param("token", token))
	},
	"class token behind what is not recorded": func() layers.Layer {
		token := random(1, 1, 3)
		return classified(195, func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Cat(1, tokens(x), token.MulScalar(2).Expand(x.Size(0), 1, 3)).Flatten(1)
		}, layers.Param("token", token))
	},
	"scale": func() layers.Layer {
		scale := random(1)
		return classified(192, func(x *tensor.Tensor) *tensor.Tensor { return x.Mul(scale.Exp()).Flatten(1) }, layers.Param("scale", scale))
	},
	"weight norm": func() layers.Layer {
		v, g := random(4, 192), random(4, 1)
		return madeOf(func(x *tensor.Tensor) *tensor.Tensor {
			return tensor.Linear(x.Flatten(1), v.Mul(g).Div(v.NormKeepDim(2, 1)), nil)
		}).param("v", v).param("g", g)
	},
	"weight norm of a convolution": func() layers.Layer {
		v, g := random(4, 3, 3, 3), random(4, 1, 1, 1)
		return classified(4, func(x *tensor.Tensor) *tensor.Tensor {
			w := v.Mul(g).Div(v.Square().SumKeepDim(1, 2, 3).Sqrt())
			return tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1}).ReLU().Mean(2, 3)
		}, layers.Param("v", v), layers.Param("g", g))
	},
	"a layer given a computed weight": func() layers.Layer {
		v, conv, norm := random(4, 3, 3, 3), layers.NewConv2d(3, 4, 3, layers.ConvOpts{NoBias: true}), layers.NewBatchNorm2d(4)
		block := layers.NewSequential(conv, norm, layers.ReLU{Inplace: true}, layers.Flatten{})
		return classified(144, func(x *tensor.Tensor) *tensor.Tensor {
			conv.Weight = v.Tanh()
			defer func() { conv.Weight = v }()
			return block.Forward(x)
		}, layers.Child("norm", norm), layers.Param("v", v))
	},
	"tied weights": func() layers.Layer {
		w := random(8, 192)
		return classified(192, func(x *tensor.Tensor) *tensor.Tensor {
			return x.Flatten(1).MatMul(w.T()).ReLU().MatMul(w)
		}, layers.Param("w", w))
	},
	"parts of a weight": func() layers.Layer {
		w := random(24, 192)
		return classified(8, func(x *tensor.Tensor) *tensor.Tensor {
			q, k, v := w.Narrow(0, 0, 8), w.Chunk(3, 0)[1], w.Select(0, 16).Unsqueeze(0).Expand(8, 192)
			x = x.Flatten(1)
			return x.MatMul(q.T()).Mul(x.MatMul(k.T()).Sigmoid()).Add(x.MatMul(v.T()).MulScalar(0.01))
		}, layers.Param("w", w))
	},
	"a buffer made of a parameter": func() layers.Layer {
		w := random(192)
		buffer := tensor.Zeros(192)
		return classified(192, func(x *tensor.Tensor) *tensor.Tensor {
			mask := w.Sigmoid()
			buffer.LerpInPlace(mask.Detach(), 0.1)
			return x.Flatten(1).Mul(mask).Sub(buffer)
		}, layers.Param("w", w), layers.Buffer("mean", buffer))
	},
	"within a Sequential": func() layers.Layer {
		p := random(1, 3, 1, 1)
		return layers.NewSequential(
			layers.NewConv2d(3, 3, 1), layers.ReLU{Inplace: true},
			madeOf(func(x *tensor.Tensor) *tensor.Tensor { return x.Mul(p.Exp()) }).param("p", p),
			layers.ReLU{Inplace: true}, layers.Identity{},
			madeOf(func(x *tensor.Tensor) *tensor.Tensor { return x.Add(p) }).param("p", p),
			layers.NewMaxPool2d(2, 2), layers.Flatten{}, layers.NewDropout(0.1), layers.NewLinear(48, 4))
	},
	"a Sequential of what is computed from a parameter": func() layers.Layer {
		p, net := random(1, 6), layers.NewSequential(layers.NewLinear(6, 8), layers.ReLU{Inplace: true}, layers.NewLinear(8, 192))
		return classified(192, func(x *tensor.Tensor) *tensor.Tensor { return x.Flatten(1).Mul(net.Forward(p)) },
			layers.Param("p", p), layers.Child("net", net))
	},
}

func fitOf(t *testing.T, m layers.Layer, more func(*Config)) Config {
	t.Helper()
	c := base(t)
	c.Model, c.Optimizer, c.Epochs = m, optim.NewAdam(layers.Parameters(m), 0.01), 2
	if more != nil {
		more(&c)
	}
	return c
}

// Models that compute something from their parameters alone train, are evaluated
// in one run with the training, and give without recording what they give with it.
func TestFitModelsThatComputeFromParameters(t *testing.T) {
	for name, build := range fromParameters {
		t.Run(name, func(t *testing.T) {
			tensor.ManualSeed(1)
			m := build()
			before := snapshotOf(m)
			result, err := Fit(t.Context(), fitOf(t, m, func(c *Config) { c.Callbacks = []Callback{NaNStop()} }))
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range result.History {
				if !(float64(h.TestLoss) > 0) || math.IsInf(float64(h.TestLoss), 0) {
					t.Errorf("epoch %d: test loss %v", h.Epoch, h.TestLoss)
				}
			}
			for path, was := range before {
				if now := snapshotOf(m)[path]; slices.Equal(now, was) {
					t.Errorf("%s was not trained", path)
				}
			}

			layers.Eval(m)
			x := tensor.Rand(2, 3, 8, 8)
			want := m.Forward(x)
			if !want.RequiresGrad() {
				t.Error("a pass with gradients was not recorded")
			}
			trained := snapshotOf(m)
			// Twice, since the second pass would find what the first one gave back.
			for _, in := range []*tensor.Tensor{x.NoGrad(), x.NoGrad(), x.NoGrad().Watch(layers.NewTrace(m)), x.Watch(layers.NewTrace(m)).NoGrad()} {
				scope := tensor.NewScope()
				got := m.Forward(in.Clone().In(scope))
				if got.RequiresGrad() || got.Node() != nil || !got.IsNoGrad() {
					t.Errorf("without gradients: recorded %t, no-grad %t", got.RequiresGrad(), got.IsNoGrad())
				}
				if name != "a buffer made of a parameter" && !close(got.Floats(), want.Floats(), 1e-5) {
					t.Errorf("without gradients: got %v, want %v", got.Floats(), want.Floats())
				}
				scope.Close()
			}
			step := tensor.Capture(tensor.CPU, func(x, _ *tensor.Tensor) *tensor.Tensor { return m.Forward(x) })
			if got := step.Run(x.NoGrad(), nil); got.RequiresGrad() {
				t.Error("a captured step without gradients was recorded")
			}
			step.Close()
			if y := m.Forward(x.NoGrad().Autocast(tensor.BFloat16)); y.RequiresGrad() || !close(y.ToDType(tensor.Float32).Floats(), want.Floats(), 0.3) {
				t.Errorf("under autocast: got %v, recorded %t, want %v", y.ToDType(tensor.Float32).Floats(), y.RequiresGrad(), want.Floats())
			}
			for path, now := range snapshotOf(m) {
				if !slices.Equal(now, trained[path]) {
					t.Errorf("%s was changed by evaluation", path)
				}
			}
			if _, err := Fit(t.Context(), fitOf(t, m, func(c *Config) { c.Autocast = tensor.BFloat16 })); err != nil {
				t.Errorf("under autocast: %v", err)
			}
		})
	}
}

// snapshotOf copies a model's parameters.
func snapshotOf(m layers.Module) map[string][]float32 {
	s := map[string][]float32{}
	for path, p := range layers.NamedParameters(m) {
		s[path] = p.Floats()
	}
	return s
}

func close(got, want []float32, within float64) bool {
	return slices.EqualFunc(got, want, func(a, b float32) bool {
		return math.Abs(float64(a-b)) <= within*max(1, math.Abs(float64(b)))
	})
}

// One goroutine evaluates such models while another trains them.
func TestEvaluateModelsThatComputeFromParametersWhileTraining(t *testing.T) {
	for name, build := range fromParameters {
		if name == "a buffer made of a parameter" || name == "a layer given a computed weight" {
			continue // they write into themselves
		}
		m := build()
		layers.Eval(m) // a model has one mode
		o := optim.NewSGD(layers.Parameters(m), 0)
		var wait sync.WaitGroup
		wait.Go(func() {
			loader := &datasets.DataLoader{Dataset: pictures(t, 12, 1), BatchSize: 4}
			for images, labels := range autograd.NoGrad(loader.All()) {
				if y := (layers.CrossEntropyLoss{}).Forward(m.Forward(images), labels); y.RequiresGrad() {
					t.Errorf("%s: evaluation was recorded", name)
				}
			}
		})
		loader := &datasets.DataLoader{Dataset: pictures(t, 12, 2), BatchSize: 4}
		for images, labels := range loader.All() {
			o.ZeroGrad()
			loss := layers.CrossEntropyLoss{}.Forward(m.Forward(images), labels)
			loss.Backward()
		}
		wait.Wait()
		for path, p := range layers.NamedParameters(m) {
			if p.Grad() == nil {
				t.Errorf("%s: %s has no gradient", name, path)
			}
		}
	}
}

// What is recorded of parameters alone in an evaluation is nobody's, and goes.
func TestEvaluationOfParametersLeavesNothing(t *testing.T) {
	for name, build := range fromParameters {
		m := build()
		layers.Eval(m)
		evaluate := func(n int) uint64 {
			for range n {
				scope := tensor.NewScope()
				m.Forward(tensor.Rand(4, 3, 8, 8).In(scope).NoGrad())
				scope.Close()
			}
			runtime.GC()
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return s.HeapAlloc
		}
		before := evaluate(20)
		if after := evaluate(200); after > before+200<<10 {
			t.Errorf("%s: 200 passes left %d KiB", name, (after-before)>>10)
		}
	}
}
