package layers

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/tensor"
)

// foreign is a module with a Forward and parts of its own.
type foreign struct {
	parts   []Part
	forward func(x *tensor.Tensor) *tensor.Tensor
}

func (f *foreign) Parts() []Part                           { return f.parts }
func (f *foreign) Forward(x *tensor.Tensor) *tensor.Tensor { return f.forward(x) }

// embedding is a Sequential with a name.
type embedding struct{ *Sequential }

// trail runs a model under a watch and returns where its operations ran.
func trail(m Layer, x *tensor.Tensor, passes int) []string {
	var got []string
	t := NewTrace(m)
	t.OnForward = func(at Place, op autograd.Op, _ []*tensor.Tensor, _ *tensor.Tensor) {
		got = append(got, op.Name()+": "+at.String())
	}
	for range passes {
		m.Forward(x.Watch(t))
	}
	return got
}

func TestTrace(t *testing.T) {
	x := tensor.Ones(2, 4)
	linear := func() *Linear { return NewLinear(4, 4) }
	sigmoid := Func(func(x *tensor.Tensor) *tensor.Tensor { return x.Exp().Log() })
	block := func() *foreign { // with a parameter, a part, and operations of its own
		a, scale := linear(), tensor.Ones(4).SetRequiresGrad(true)
		return &foreign{[]Part{Param("scale", scale), Child("a", a)}, func(x *tensor.Tensor) *tensor.Tensor {
			return x.Neg().Add(a.Forward(x).Abs()).Mul(scale).Tanh()
		}}
	}
	shared := linear()
	norm := NewBatchNorm2d(4, BatchNormOpts{NoAffine: true, NoStats: true})
	two := tensor.Ones(4).SetRequiresGrad(true)
	twice := &foreign{[]Part{Param("two", two)}, func(x *tensor.Tensor) *tensor.Tensor { return x.Mul(two).Add(two) }}

	for _, tt := range []struct {
		name   string
		model  Layer
		passes int
		want   string
	}{
		{"a layer", linear(), 1, "Linear: the model"},
		{"a function", sigmoid, 1, "Exp: the model, Log: the model"},
		{"Sequential", NewSequential(linear(), ReLU{Inplace: true}, norm, sigmoid, Identity{}), 1,
			"Linear: 0, ReLUInPlace: 1, BatchNorm2d: 2, Exp: 3, Log: 3"},
		{"nested", NewSequential(linear(), NewSequential(ReLU{}, NewSequential(sigmoid), &ReLU{}), ReLU{}), 1,
			"Linear: 0, ReLU: 1.0, Exp: 1.1.0, Log: 1.1.0, ReLU: 1.2, ReLU: 2"},
		{"foreign", block(), 1, "Neg: the beginning of the model, Linear: a, Abs: after a, Add: after a, Mul: the model, Tanh: after a"},
		{"foreign in Sequential", NewSequential(ReLU{}, block(), ReLU{}), 2,
			strings.Repeat("ReLU: 0, Neg: the beginning of 1, Linear: 1.a, Abs: after 1.a, Add: after 1.a, Mul: 1, Tanh: after 1.a, ReLU: 2, ", 2)},
		{"Sequential in foreign", func() Layer {
			features, head := NewSequential(linear(), ReLU{}), linear()
			return &foreign{[]Part{Child("features", features), Child("head", head)}, func(x *tensor.Tensor) *tensor.Tensor {
				return head.Forward(features.Forward(x).Flatten(1)).Softmax(1)
			}}
		}(), 1, "Linear: features.0, ReLU: features.1, Flatten: after features, Linear: head, Softmax: after head"},
		{"embedded", NewSequential(embedding{NewSequential(ReLU{}, linear())}, ReLU{}), 1, "ReLU: 0.0, Linear: 0.1, ReLU: 1"},
		{"made on the way", func() Layer {
			a := linear()
			return &foreign{[]Part{Child("a", a)}, func(x *tensor.Tensor) *tensor.Tensor {
				return NewSequential(ReLU{}, a, ReLU{}).Forward(x).Exp()
			}}
		}(), 1, "ReLU: the beginning of the model, Linear: a, ReLU: after a, Exp: after a"},
		{"one module in two places", NewSequential(shared, ReLU{}, shared), 1, "Linear: 0, ReLU: 1, Linear: 2"},
		{"one module under two names", &foreign{[]Part{Child("a", shared), Child("b", shared)}, func(x *tensor.Tensor) *tensor.Tensor {
			return shared.Forward(shared.Forward(x).ReLU())
		}}, 2, strings.Repeat("Linear: a, ReLU: after a, Linear: b, ", 2)},
		{"one Sequential under two names", func() Layer {
			s := NewSequential(shared, ReLU{})
			return &foreign{[]Part{Child("a", s), Child("b", s)}, func(x *tensor.Tensor) *tensor.Tensor { return s.Forward(s.Forward(x)) }}
		}(), 2, strings.Repeat("Linear: a.0, ReLU: a.1, Linear: b.0, ReLU: b.1, ", 2)},
		{"one name, two uses", &foreign{[]Part{Child("a", shared)}, func(x *tensor.Tensor) *tensor.Tensor {
			return shared.Forward(shared.Forward(x))
		}}, 1, "Linear: a, Linear: a"},
		{"tied weights", func() Layer {
			e := NewEmbedding(4, 4)
			out := &Linear{Weight: e.Weight}
			mid := linear()
			return &foreign{[]Part{Child("e", e), Child("mid", mid), Child("out", out)}, func(x *tensor.Tensor) *tensor.Tensor {
				return out.Forward(mid.Forward(e.Forward(x.ToDType(tensor.Int64))))
			}}
		}(), 2, strings.Repeat("ToDType: the beginning of the model, Embedding: e, Linear: mid, Linear: out, ", 2)},
		{"two operations with one parameter", &foreign{[]Part{Child("a", twice), Child("b", twice)}, twice.forward}, 1, "Mul: a, Add: a"},
		{"the watch is lost", NewSequential(Func(func(x *tensor.Tensor) *tensor.Tensor { return tensor.From(x.Exp().Floats(), 2, 4) }), ReLU{}), 1, "Exp: 0"},
	} {
		got := trail(tt.model, x, tt.passes)
		if strings.HasPrefix(tt.want, "ToDType: the beginning of the model, ") {
			got = got[:len(got)/2] // then it begins after what ran before
			tt.want = tt.want[:len(tt.want)/2]
		}
		if diff := cmp.Diff(strings.Split(strings.TrimSuffix(tt.want, ", "), ", "), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// Backward tells the places of the forward pass; a panic on the way, which a
// program took, does not spoil them.
func TestTraceBackward(t *testing.T) {
	m := NewSequential(NewLinear(4, 3), NewSequential(ReLU{}, NewLinear(3, 2)))
	trace := NewTrace(m)
	if err := tensor.Try(func() { m.Forward(tensor.Ones(1, 3).Watch(trace)) }); err == nil {
		t.Fatal("got no error")
	}
	bad := NewSequential(ReLU{}, Func(func(x *tensor.Tensor) *tensor.Tensor {
		_ = tensor.Try(func() { m.Layers()[1].Forward(x) })
		return x.Exp()
	}), ReLU{})
	if diff := cmp.Diff([]string{"ReLU: 0", "ReLU: 1", "Exp: 1", "ReLU: 2"}, trail(bad, tensor.Ones(1, 4), 1)); diff != "" {
		t.Errorf("after a panic (-want +got):\n%s", diff)
	}
	var got []string
	trace.OnBackward = func(at Place, n *autograd.Node[*tensor.Tensor], g *tensor.Tensor, grads []*tensor.Tensor) {
		got = append(got, fmt.Sprintf("%s %v of %v: %d", n.Op().Name(), at, g.Shape(), len(grads)))
	}
	m.Forward(tensor.Ones(1, 4).Watch(trace)).Sum().Backward()
	if diff := cmp.Diff([]string{"Sum after 1 of []: 1", "Linear 1.1 of [1 2]: 3", "ReLU 1.0 of [1 3]: 1", "Linear 0 of [1 3]: 3"}, got); diff != "" {
		t.Errorf("backward (-want +got):\n%s", diff)
	}
}
