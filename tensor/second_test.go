package tensor_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/tensor"
)

// derivedCase is a case of testdata/second.json, which PyTorch made (second.py).
type derivedCase struct {
	Op            string
	Args          refArgs
	In, W, V      []*refTensor
	DY            *refTensor
	Second, Third []*refTensor
}

// Second and third derivatives of normalizations, softmax and losses are PyTorch's, also
// where the reference cases have no numeric ones: at corners, for numbers that are equal
// or large, for classes and labels that do not count. Those of BFloat16 are finite and
// near those of Float32.
func TestDerivativesReference(t *testing.T) {
	b, err := os.ReadFile("testdata/second.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []derivedCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	classWeight := func(t tensor.DType) *T { return tensor.From([]float64{0, 0.5, 2}).ToDType(t) }
	norm := func(a refArgs) tensor.BatchNormOpts {
		return tensor.BatchNormOpts{Training: true, Eps: a.float("eps"), ReLU: a["relu"] != nil && a.bool("relu")}
	}
	funcs := map[string]func(in []*T, a refArgs) *T{
		"BatchNorm2d":      func(in []*T, a refArgs) *T { return tensor.BatchNorm2d(in[0], nil, nil, in[1], in[2], norm(a)) },
		"BatchNorm2dPlain": func(in []*T, a refArgs) *T { return tensor.BatchNorm2d(in[0], nil, nil, nil, nil, norm(a)) },
		"BatchNorm2dEval": func(in []*T, a refArgs) *T {
			o := norm(a)
			o.Training = false
			mean, variance := tensor.From([]float64{0.5, 0, -1}), tensor.From([]float64{0.25, 1, 4})
			return tensor.BatchNorm2d(in[0], mean.ToDType(in[0].DType()), variance.ToDType(in[0].DType()), in[1], in[2], o)
		},
		"LayerNorm": func(in []*T, a refArgs) *T {
			return tensor.LayerNorm(in[0], in[0].Shape()[1:], in[1], in[2], a.float("eps"))
		},
		"LayerNormPlain": func(in []*T, a refArgs) *T {
			return tensor.LayerNorm(in[0], in[0].Shape()[1:], nil, nil, a.float("eps"))
		},
		"GroupNorm": func(in []*T, a refArgs) *T {
			return tensor.GroupNorm(in[0], a.int("groups"), in[1], in[2], a.float("eps"))
		},
		"Softmax":      func(in []*T, a refArgs) *T { return in[0].Softmax(a.int("dim")) },
		"LogSoftmax":   func(in []*T, a refArgs) *T { return in[0].LogSoftmax(a.int("dim")) },
		"MSELoss":      func(in []*T, a refArgs) *T { return tensor.MSELoss(in[0], in[1], a.reduction()) },
		"L1Loss":       func(in []*T, a refArgs) *T { return tensor.L1Loss(in[0], in[1], a.reduction()) },
		"SmoothL1Loss": func(in []*T, a refArgs) *T { return tensor.SmoothL1Loss(in[0], in[1], 0.5, a.reduction()) },
		"HuberLoss":    func(in []*T, a refArgs) *T { return tensor.HuberLoss(in[0], in[1], 1, a.reduction()) },
		"BCEWithLogits": func(in []*T, a refArgs) *T {
			return tensor.BCEWithLogits(in[0], in[1], tensor.BCEWithLogitsOpts{Reduction: a.reduction()})
		},
		"BCEWithLogitsWeighted": func(in []*T, a refArgs) *T {
			t := in[0].DType()
			return tensor.BCEWithLogits(in[0], in[1], tensor.BCEWithLogitsOpts{
				Weight: tensor.From([]float64{0, 1, 2}).ToDType(t), PosWeight: tensor.From([]float64{3, 0, 0.5}).ToDType(t), Reduction: a.reduction(),
			})
		},
		"CrossEntropy": func(in []*T, a refArgs) *T {
			o := tensor.CrossEntropyOpts{LabelSmoothing: a.float("smoothing"), Reduction: a.reduction()}
			if a.bool("ws") {
				o.Weight = classWeight(in[0].DType())
			}
			return tensor.CrossEntropy(in[0], in[1], o)
		},
		"CrossEntropyProbabilities": func(in []*T, a refArgs) *T {
			return tensor.CrossEntropy(in[0], in[1], tensor.CrossEntropyOpts{Weight: in[2], LabelSmoothing: a.float("smoothing"), Reduction: a.reduction()})
		},
		"NLLLoss": func(in []*T, a refArgs) *T {
			return tensor.NLLLoss(in[0], in[1], tensor.NLLLossOpts{Weight: classWeight(in[0].DType()), Reduction: a.reduction()})
		},
	}
	for i, c := range cases {
		f := funcs[c.Op]
		if f == nil {
			t.Errorf("second.json has %s, which the test has no row for", c.Op)
			continue
		}
		t.Run(fmt.Sprintf("%s/%d", c.Op, i), func(t *testing.T) {
			for _, dtype := range []tensor.DType{tensor.Float64, tensor.Float32} {
				tol := map[tensor.DType]float64{tensor.Float64: 1e-9, tensor.Float32: 5e-4}[dtype]
				want := append(c.Second, c.Third...)
				for j, got := range c.derivatives(t, f, dtype, dtype) {
					wantTensor(t, fmt.Sprintf("%s: derivative %d", dtype, j), got, want[j].tensor(t, dtype), tol)
				}
			}
			want := c.derivatives(t, f, tensor.Float32, tensor.BFloat16)
			for j, got := range c.derivatives(t, f, tensor.BFloat16, tensor.BFloat16) {
				far := got.ToDType(tensor.Float32).Sub(want[j]).Norm(math.Inf(1)).Item()
				if scale := want[j].Norm(math.Inf(1)).Item(); !(far <= 0.15*scale+0.01) {
					t.Errorf("bfloat16: derivative %d is %v, float32's %v", j, got, want[j])
				}
			}
		})
	}
}

// derivatives returns second and third derivatives, as derivatives of second.py does, in a
// type, of numbers rounded to another.
func (c derivedCase) derivatives(t *testing.T, f func(in []*T, a refArgs) *T, dtype, from tensor.DType) []*T {
	of := func(r *refTensor) *T {
		x := r.tensor(t, from)
		if x.DType().IsFloat() {
			x = x.ToDType(dtype)
		}
		return x
	}
	var in, leaves []*T
	for _, r := range c.In {
		x := of(r)
		if in = append(in, x); x.DType().IsFloat() {
			leaves = append(leaves, x.SetRequiresGrad(true))
		}
	}
	dy := of(c.DY).SetRequiresGrad(true)
	grad := func(out *T, of []*T) []*T {
		grads := make([]*T, len(of))
		if out.RequiresGrad() {
			grads = autograd.Grad(out, of, autograd.GradOpts{CreateGraph: true})
		}
		for i, g := range grads {
			if g == nil {
				grads[i] = tensor.ZerosLike(of[i])
			}
		}
		return grads
	}
	total := func(xs []*T, weights []*refTensor) *T {
		sum := tensor.Zeros().ToDType(dtype)
		for i, x := range xs {
			sum = sum.Add(x.Mul(of(weights[i])).Sum())
		}
		return sum
	}
	first := grad(f(in, c.Args).Mul(dy).Sum(), leaves)
	second := grad(total(first, c.W), append(leaves[:len(leaves):len(leaves)], dy))
	return append(second, grad(total(second, c.V), leaves)...)
}

// Second derivatives where operands are made of one another, and fourth ones: as numeric
// ones are. Each is made of x, [4 3].
func TestDerivativesOfRelatedOperands(t *testing.T) {
	draw := func(seed uint64) *T { return tensor.NewGenerator(seed).Randn(4, 3).ToDType(tensor.Float64) }
	// gradient is the gradient of a loss by x, for derivatives of higher orders.
	gradient := func(loss func(x *T) *T) func(x *T) *T {
		return func(x *T) *T {
			return autograd.Grad(loss(x), []*T{x}, autograd.GradOpts{CreateGraph: true})[0]
		}
	}
	rows, training := tensor.Shape{3}, tensor.BatchNormOpts{Training: true, Eps: 0.1}
	labels := tensor.From([]int64{0, 1, -100, 2})
	w := func(x *T) *T { return x.Square().Sum(0) }
	for name, f := range map[string]func(x *T) *T{
		"MSELoss":       func(x *T) *T { return tensor.MSELoss(x.Tanh(), x.Square(), tensor.ReduceMean) },
		"HuberLoss":     func(x *T) *T { return tensor.HuberLoss(x.Tanh(), x.Square(), 1, tensor.ReduceSum) },
		"BCEWithLogits": func(x *T) *T { return tensor.BCEWithLogits(x, x.Sigmoid(), tensor.BCEWithLogitsOpts{}) },
		"CrossEntropy of probabilities": func(x *T) *T {
			return tensor.CrossEntropy(x, x.Softmax(1), tensor.CrossEntropyOpts{LabelSmoothing: 0.1, Weight: w(x)})
		},
		"LayerNorm": func(x *T) *T { return tensor.LayerNorm(x.Tanh(), rows, w(x), x.Sum(0), 0) },
		"LayerNorm of all, twice": func(x *T) *T {
			return tensor.LayerNorm(tensor.LayerNorm(x, rows, nil, nil, 0).Exp(), x.Shape(), nil, nil, 0)
		},
		"LayerNorm and ReLUInPlace": func(x *T) *T { return tensor.LayerNorm(x, rows, w(x), nil, 0).ReLUInPlace() },
		"GroupNorm":                 func(x *T) *T { return tensor.GroupNorm(x.Tanh(), 1, w(x), x.Sum(0), 0) },
		"BatchNorm2d":               func(x *T) *T { return tensor.BatchNorm2d(x.Tanh(), nil, nil, w(x), x.Sum(0), training) },
		"BatchNorm2d without weight": func(x *T) *T {
			return tensor.BatchNorm2d(x.Tanh(), nil, nil, nil, x.Sum(0), training)
		},
		"fourth of LayerNorm": gradient(func(x *T) *T { return tensor.LayerNorm(x, rows, w(x), nil, 0.1).Square().Mul(draw(9)).Sum() }),
		"fourth of BatchNorm2d": gradient(func(x *T) *T {
			return tensor.BatchNorm2d(x, nil, nil, w(x), nil, training).Square().Mul(draw(9)).Sum()
		}),
		"fourth of Softmax":       gradient(func(x *T) *T { return x.Softmax(0).Square().Mul(draw(9)).Sum() }),
		"fourth of LogSoftmax":    gradient(func(x *T) *T { return x.LogSoftmax(0).Square().Mul(draw(9)).Sum() }),
		"fourth of CrossEntropy":  gradient(func(x *T) *T { return tensor.CrossEntropy(x.Square(), labels, tensor.CrossEntropyOpts{}).Square() }),
		"fourth of BCEWithLogits": gradient(func(x *T) *T { return tensor.BCEWithLogits(x, x.Sigmoid(), tensor.BCEWithLogitsOpts{}).Square() }),
	} {
		x := draw(7).SetRequiresGrad(true)
		if err := gradcheck.CheckGradGrad(func(in []*T) *T { return f(in[0]) }, []*T{x}, gradcheck.Opts{Eps: 1e-5, Atol: 1e-4}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Weights may stay Float32 beside inputs of half precision, in second derivatives too.
func TestDerivativesOfMixedTypes(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.BFloat16, tensor.Float16} {
		draw := func(seed uint64, t tensor.DType, dims ...int) *T {
			return tensor.NewGenerator(seed).Randn(dims...).ToDType(tensor.BFloat16).ToDType(t)
		}
		for name, f := range map[string]func(x, w, b *T) *T{
			"BatchNorm2d": func(x, w, b *T) *T {
				return tensor.BatchNorm2d(x, nil, nil, w, b, tensor.BatchNormOpts{Training: true, Eps: 0.1, ReLU: true})
			},
			"LayerNorm": func(x, w, b *T) *T { return tensor.LayerNorm(x, tensor.Shape{3}, w, b, 0.1) },
			"GroupNorm": func(x, w, b *T) *T { return tensor.GroupNorm(x, 1, w, b, 0.1) },
		} {
			run := func(dtype tensor.DType) []*T {
				in := []*T{draw(1, dtype, 5, 3).SetRequiresGrad(true), draw(2, tensor.Float32, 3).SetRequiresGrad(true), draw(3, tensor.Float32, 3).SetRequiresGrad(true)}
				first := autograd.Grad(f(in[0], in[1], in[2]).Square().Sum(), in, autograd.GradOpts{CreateGraph: true})
				sum := first[0].ToDType(tensor.Float32).Square().Sum().Add(first[1].Square().Sum()).Add(first[2].Square().Sum())
				return append(first, autograd.Grad(sum, in)...)
			}
			got, want := run(dtype), run(tensor.Float32)
			for i := range want {
				if wide := i%3 != 0; wide && got[i].DType() != tensor.Float32 || !wide && got[i].DType() != dtype {
					t.Errorf("%s of %s: derivative %d is %s", name, dtype, i, got[i].DType())
				}
				far := got[i].ToDType(tensor.Float32).Sub(want[i]).Norm(math.Inf(1)).Item()
				if scale := want[i].Norm(math.Inf(1)).Item(); !(far <= 0.05*scale) {
					t.Errorf("%s of %s: derivative %d is %v, float32's %v", name, dtype, i, got[i], want[i])
				}
			}
		}
	}
}
