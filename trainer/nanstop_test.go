package trainer

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// The run ends before the step that would spoil the weights; all but what is told
// of the batch is as before it. What was spoiled from outside is not found in the
// batch.
func TestNaNStop(t *testing.T) {
	const outside = "going through the batch once more gave finite numbers only, without what is done to gradients after they were computed (hooks, adding up those of several batches)"
	for _, tt := range []struct {
		name  string
		spoil func(r *Run)
		want  string
	}{
		{"a gradient", func(r *Run) { layers.Parameters(r.Model)[2].Grad().Fill(math.NaN()) }, ", but the gradients of 1.weight are not finite; " + outside},
		{"an infinite one", func(r *Run) { layers.Parameters(r.Model)[5].Grad().Fill(math.Inf(1)) }, ", but the gradients of 7.bias are not finite; " + outside},
		{"all", func(r *Run) {
			for _, p := range layers.Parameters(r.Model) {
				p.Grad().Fill(math.NaN())
			}
		}, ", but the gradients of 0.weight, 0.bias, 1.weight, 1.bias, 7.weight and 1 more parameters are not finite; " + outside},
		{"the loss", func(r *Run) { r.loss, r.unread = math.NaN(), nil }, "the loss is NaN; " + outside},
		{"large, finite", func(r *Run) { layers.Parameters(r.Model)[5].Grad().Fill(1e30) }, ""},
	} {
		c := settings[0].config(t)
		c.Dir, c.SaveSteps, c.Epochs = t.TempDir(), 1, 2
		var last map[string]string
		var gradient []float32
		c.Callbacks = []Callback{
			{Batch: func(r *Run) func() error {
				if r.Step != 12 {
					return nil
				}
				last = bits(c)
				if r.Images == nil || r.Labels == nil || r.Output != nil {
					t.Errorf("before the forward pass: images %v, labels %v, output %v", r.Images, r.Labels, r.Output)
				}
				return func() error {
					if r.Output == nil {
						t.Error("after the backward pass there is no output")
					}
					tt.spoil(r)
					gradient = layers.Parameters(r.Model)[0].Grad().Floats()
					return nil
				}
			}},
			NaNStop(),
		}
		r, err := Fit(t.Context(), c)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: got error %v, want none", tt.name, err)
			}
			continue
		}
		if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "epoch 2, batch 3: the loss is ") || r.Step != 12 {
			t.Errorf("%s: got error %v after step %d, want %q after 12", tt.name, err, r.Step, tt.want)
		}
		if diff := cmp.Diff(last, bits(c)); diff != "" {
			t.Errorf("%s: the step was made: %.300s", tt.name, diff)
		}
		if diff := cmp.Diff(gradient, layers.Parameters(c.Model)[0].Grad().Floats(), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s: a gradient was changed: %.300s", tt.name, diff)
		}
		d := settings[0].config(t)
		if at, err := (&Snapshot{Model: d.Model, Optimizer: d.Optimizer, Scheduler: d.Scheduler, Train: d.Train, Test: d.Test}).Load(filepath.Join(c.Dir, lastFile)); err != nil || at.Step != 12 {
			t.Errorf("%s: the checkpoint is of step %d (%v), want 12", tt.name, at.Step, err)
		}
	}
}

// lossFunc is a loss made of a function.
type lossFunc func(output, target *tensor.Tensor) *tensor.Tensor

func (f lossFunc) Forward(output, target *tensor.Tensor) *tensor.Tensor { return f(output, target) }

// own is a module with a Forward and parts of its own.
type own struct {
	parts   []layers.Part
	forward func(x *tensor.Tensor) *tensor.Tensor
}

func (o *own) Parts() []layers.Part                    { return o.parts }
func (o *own) Forward(x *tensor.Tensor) *tensor.Tensor { return o.forward(x) }

// one is a layer [N 4] → [N 4] that passes x on.
func one() *layers.Linear {
	l := layers.NewLinear(4, 4)
	l.Weight.CopyFrom(tensor.From([]float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, 4, 4))
	l.Bias.Zero()
	return l
}

// The operation is named in which it began.
func TestNaNStopNames(t *testing.T) {
	f := func(f func(x *tensor.Tensor) *tensor.Tensor) layers.Layer { return layers.Func(f) }
	seq := func(l ...layers.Layer) layers.Layer { return layers.NewSequential(l...) }
	row := func(v ...float64) []float64 { return v }
	type floats = [][]float64
	plain := floats{row(1, 2, 3, 4), row(4, 3, 2, 1)}

	infinite := one()
	infinite.Weight.Detach().Narrow(0, 1, 1).Fill(math.Inf(1))
	logits := func(l layers.Layer) layers.Layer { return seq(one(), l) }
	a, temperature := one(), tensor.Full(1000, 1).SetRequiresGrad(true)
	foreign := &own{[]layers.Part{layers.Child("a", a)}, func(x *tensor.Tensor) *tensor.Tensor { return a.Forward(x).Neg().Log() }}
	hot := &own{[]layers.Part{layers.Param("temperature", temperature), layers.Child("a", a)}, func(x *tensor.Tensor) *tensor.Tensor {
		return a.Forward(x).Mul(temperature.Exp())
	}}
	edge := tensor.Ones(1).SetRequiresGrad(true)
	steep := &own{[]layers.Part{layers.Param("edge", edge), layers.Child("a", one())}, func(x *tensor.Tensor) *tensor.Tensor {
		return x.Add(edge.SubScalar(1).Sqrt())
	}}
	inPlace := f(func(x *tensor.Tensor) *tensor.Tensor {
		h := x.Detach().Clone() // without history, which may be changed
		return x.Add(h.SubScalar(100).Log().AddInPlace(tensor.Ones(4)).Detach().View(-1, 4))
	})

	for _, tt := range []struct {
		name  string
		model layers.Layer
		loss  Loss   // nil is MSELoss
		x     floats // a batch of two each
		want  string // between the batch and the end
	}{
		{"the logarithm of a negative number", seq(one(), seq(layers.ReLU{}, f(func(x *tensor.Tensor) *tensor.Tensor { return x.SubScalar(2).Log() })), one()), nil,
			floats{row(5, 5, 5, 5), row(4, 4, 4, 4), row(5, 1, 5, 5), row(4, 2, 3, 0)},
			"batch 2: the loss is NaN; it began in the forward pass, in Log of layer 1.1: its result [2 4] holds 2 NaN and 1 -Inf among 8 values, the others from 0 to 1.099; its input [2 4] is finite, from -2 to 3"},
		{"a division by zero", logits(f(func(x *tensor.Tensor) *tensor.Tensor { return x.Div(x.Sub(x)) })), nil, plain,
			"batch 1: the loss is +Inf; it began in the forward pass, in Div of layer 1: its result [2 4] holds 8 Inf among 8 values; its input 1 [2 4] is finite, from 1 to 4; its input 2 [2 4] is 0 everywhere"},
		{"softmax by hand", logits(f(func(x *tensor.Tensor) *tensor.Tensor { e := x.MulScalar(30).Exp(); return e.Div(e.SumKeepDim(1)) })), nil, plain,
			"batch 1: the loss is NaN; it began in the forward pass, in Exp of layer 1: its result [2 4] holds 4 Inf among 8 values, the others from 1.069e+13 to 1.142e+26; its input [2 4] is finite, from 30 to 120"},
		{"an infinite weight", seq(one(), layers.ReLU{}, infinite), nil, plain,
			"in Linear of layer 2: its result [2 4] holds 2 Inf among 8 values, the others from 1 to 4; its input 1 [2 4] is finite, from 1 to 4; its input 2 [4 4], 2.weight, holds 4 Inf among 16 values, the others from 0 to 1; its input 3 [4], 2.bias, is 0 everywhere"},
		{"an image", seq(layers.Flatten{}, one()), nil, floats{row(1, 1, 1, 1), row(2, 2, math.NaN(), 2)},
			"in Flatten of layer 0: its result [2 4] holds 1 NaN among 8 values, the others from 1 to 2; its input [2 4], the batch's images, holds 1 NaN among 8 values, the others from 1 to 2 (the first in example 1 of the batch, counted from 0)"},
		{"the gradient of a root", seq(one(), f(func(x *tensor.Tensor) *tensor.Tensor { return x.SubScalar(1).Sqrt() }), one()), nil, plain,
			"but the gradients of 0.weight, 0.bias are not finite; it began in the backward pass, in Sqrt of layer 1: the gradient of its input [2 4] holds 2 "},
		{"the gradient of a norm", logits(f(func(x *tensor.Tensor) *tensor.Tensor { return x.Sub(x).Square().SumKeepDim(1).Sqrt().Add(x) })), nil, plain,
			"it began in the backward pass, in Sqrt of layer 1: the gradient of its input [2 1] holds 2 NaN among 2 values; that of its result [2 1] is 0 everywhere; its input [2 1] is 0 everywhere"},
		{"an infinity that the loss does not show", logits(f(func(x *tensor.Tensor) *tensor.Tensor {
			return x.Add(x.MulScalar(30).Exp().Reciprocal())
		})), nil, plain,
			"it began in the backward pass, in Exp of layer 1: the gradient of its input [2 4] holds 4 NaN among 8 values"},
		{"gradients that add up", logits(f(func(x *tensor.Tensor) *tensor.Tensor {
			y := x.MulScalar(0)
			return y.MulScalar(3e38).Add(y.MulScalar(3e38)).AddScalar(4)
		})), nil, plain, "it began in the backward pass, in the sum of the gradients of the result of MulScalar of layer 1, [2 4], which holds 2 Inf"},
		{"a mask's infinities are none", logits(f(func(x *tensor.Tensor) *tensor.Tensor {
			return x.MaskedFill(x.GtScalar(2), math.Inf(-1)).Softmax(1).Log()
		})), nil, plain, "it began in the forward pass, in Log of layer 1: its result [2 4] holds 4 -Inf"},
		{"the loss", one(), lossFunc(func(output, target *tensor.Tensor) *tensor.Tensor { return output.SubScalar(3).Log().Mean() }), plain,
			"in Log of the loss: its result [2 4] holds 4 NaN and 2 -Inf"},
		{"labels", one(), lossFunc(func(output, target *tensor.Tensor) *tensor.Tensor {
			return output.Mul(target.SubScalar(1).Reciprocal()).Mean()
		}), plain,
			"in Reciprocal of the loss: its result [2 4] holds 2 Inf among 8 values, the others from 0.3333 to 1; its input [2 4] is finite, from 0 to 3"},
		{"a Forward of its own", foreign, nil, plain, "in Log after layer a: its result [2 4] holds 8 NaN"},
		{"the gradient of what is made of parameters alone", seq(steep), nil, plain,
			"but the gradients of 0.edge are not finite; going through the batch once more gave finite numbers only in the operations on it; those on parameters alone (Sqrt, SubScalar), hooks and"},
		{"what is made of parameters alone", seq(hot), nil, plain,
			"in Mul after layer 0.a: its result [2 4] holds 8 Inf among 8 values; its input 1 [2 4] is finite, from 1 to 4; its input 2 [1], made by Exp without the batch, is +Inf"},
		{"in place, detached and viewed", logits(inPlace), nil, plain, "in Log of layer 1: its result [2 4] holds 8 NaN"},
	} {
		var flat []float32
		for _, r := range tt.x {
			for _, v := range r {
				flat = append(flat, float32(v))
			}
		}
		x := tensor.From(flat, len(tt.x), 4)
		set, err := datasets.NewTensors(x, x.Clone())
		if err != nil {
			t.Fatal(err)
		}
		loss := tt.loss
		if loss == nil {
			loss = layers.MSELoss{}
		}
		_, err = Fit(t.Context(), Config{Model: tt.model, Optimizer: optim.NewSGD(layers.Parameters(tt.model), 0), Loss: loss,
			Train: &datasets.DataLoader{Dataset: set, BatchSize: 2}, Epochs: 1, Callbacks: []Callback{NaNStop()}})
		if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), "; this step was not made: not a finite number") {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// The batch is gone through with the same dropout, also where the step has several
// batches and an earlier one is it, and leaves no trace in the model.
func TestNaNStopGoesThroughTheSame(t *testing.T) {
	for _, accumulate := range []int{1, 3} {
		tensor.ManualSeed(3)
		drop, own := layers.NewDropout(0.5), layers.NewDropout(0.5)
		own.Generator = tensor.NewGenerator(9)
		norm := layers.NewBatchNorm2d(4)
		var seen []float32 // the rows' sums in the last forward pass
		passes := 0
		m := layers.NewSequential(norm, drop, own, layers.Func(func(x *tensor.Tensor) *tensor.Tensor {
			sum := x.Square().Sum(1)
			seen = sum.Floats()
			passes++
			return sum.Log() // -Inf where all four are dropped
		}))
		x := tensor.Rand(400, 4)
		set, err := datasets.NewTensors(x, tensor.Rand(400))
		if err != nil {
			t.Fatal(err)
		}
		var before map[string]string
		var first []float32
		batches := 0
		random := func() (s [4]uint64) {
			s[0], s[1] = tensor.DefaultGenerator().State()
			s[2], s[3] = own.Generator.State()
			return s
		}
		var randomBefore [4]uint64
		c := Config{Model: m, Optimizer: optim.NewSGD(layers.Parameters(m), 0.01), Loss: layers.MSELoss{},
			Train: &datasets.DataLoader{Dataset: set, BatchSize: 2, Shuffle: true}, Epochs: 1, Accumulate: accumulate}
		c.Callbacks = []Callback{{Batch: func(r *Run) func() error {
			before, randomBefore = bits(c), random()
			batches++
			return func() error { first = seen; return nil }
		}}, NaNStop()}
		r, err := Fit(t.Context(), c)
		if want := "in Log of layer 3: its result [2] holds 1 -Inf among 2 values"; !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), want) {
			t.Fatalf("accumulate %d: got error %v, want %q", accumulate, err, want)
		}
		if r.Batch != batches || passes != batches+1 || r.Step != (batches-1)/accumulate {
			t.Errorf("accumulate %d: %d batches, %d passes and %d steps, at batch %d, want one pass more and no other step", accumulate, batches, passes, r.Step, r.Batch)
		}
		if accumulate > 1 && batches%accumulate == 0 {
			t.Errorf("batch %d is the last of its step, which this test does not want", batches)
		}
		if diff := cmp.Diff(first, seen); diff != "" {
			t.Errorf("accumulate %d: the second pass saw other numbers: %s", accumulate, diff)
		}
		if diff := cmp.Diff(before, bits(c)); diff != "" {
			t.Errorf("accumulate %d: the model is not as before: %.300s", accumulate, diff)
		}
		if random() != randomBefore {
			t.Errorf("accumulate %d: the random states are %v, want %v as before", accumulate, random(), randomBefore)
		}
	}
}
