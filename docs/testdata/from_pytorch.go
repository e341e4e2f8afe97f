// The part of the program of TestFromPyTorch that does not change: what the rows
// begin with, and the code of the rows that have nothing to compare.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/autograd/gradcheck"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/layers/inits"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

var (
	x, y, z, u, v, w, a, b, c, g *tensor.Tensor
	lo, hi, mask, index, places  *tensor.Tensor
	ts                           []*tensor.Tensor
	data                         = []float32{1, 2.5, -3}
	dims                         []int
)

// reset gives the variables the values of from_pytorch.py.
func reset() {
	x = positive(2, 3)
	y, z, u, v, a, b = x.RSubScalar(2.5), ar(3, 2), ar(3), positive(3), above(ar(2, 3), 0), above(x, 1)
}

// never keeps code that is only to compile from running.
var never bool

func ar(sizes ...int) *tensor.Tensor {
	x := tensor.Zeros(sizes...)
	n := tensor.Arange(0, float64(x.Len()), 1).MulScalar(7).RemainderScalar(11).AddScalar(-4)
	return x.CopyFrom(n.View(sizes...)).MulScalar(0.25)
}

func positive(sizes ...int) *tensor.Tensor { return ar(sizes...).Abs().AddScalar(0.25) }

func ints(numbers ...int64) *tensor.Tensor { return tensor.From(numbers) }

func grid(rows int, numbers ...int64) *tensor.Tensor { return tensor.From(numbers, rows, -1) }

func above(x *tensor.Tensor, number float64) *tensor.Tensor { return x.GtScalar(number) }

func both(a, b *tensor.Tensor) []*tensor.Tensor { return []*tensor.Tensor{a, b} }

func leaf(sizes ...int) *tensor.Tensor { return ar(sizes...).SetRequiresGrad(true) }

func twice(x *tensor.Tensor) *tensor.Tensor { return x.MulScalar(2) }

func product(a, b *tensor.Tensor) *tensor.Tensor { return a.Mul(b).Sum() }

// show prints what a piece of code gives, as from_pytorch.py writes it.
func show(values ...any) {
	var v any
	if len(values) == 1 {
		v = value(values[0])
	} else {
		v = list(values)
	}
	b, err := json.Marshal(v)
	check(err)
	fmt.Println(string(b))
}

func value(v any) any {
	switch v := v.(type) {
	case *tensor.Tensor:
		if v == nil {
			return "nothing"
		}
		return map[string]any{"dtype": v.DType().String(), "shape": append([]int{}, v.Shape()...), "data": append([]float64{}, v.Float64s()...)}
	case []*tensor.Tensor:
		return list(v)
	case tensor.Shape:
		return list(v)
	case []float32:
		return list(v)
	case int:
		return float64(v)
	case float32:
		return float64(v)
	case bool:
		if v {
			return 1.0
		}
		return 0.0
	case fmt.Stringer:
		return v.String()
	}
	return v
}

func list[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = value(v)
	}
	return out
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func want(what string, ok bool) {
	if !ok {
		panic(what)
	}
}

type net struct{ l *layers.Linear }

func (n *net) Parts() []layers.Part {
	t := tensor.Ones(2)
	return []layers.Part{layers.Child("l", n.l), layers.Buffer("n", t)}
}

// rest is the rows that PyTorch has no value for.
func rest() {
	want("generators", slices.Equal(tensor.NewGenerator(1).Rand(3).Floats(), tensor.NewGenerator(1).Rand(3).Floats()))

	inputs := []*tensor.Tensor{tensor.From([]float64{1, 2}).SetRequiresGrad(true)}
	exp := func(in []*tensor.Tensor) *tensor.Tensor { return in[0].Exp() }
	{
		f := exp
		check(gradcheck.Check(f, inputs, gradcheck.Opts{}))
		check(gradcheck.CheckGradGrad(f, inputs, gradcheck.Opts{}))
	}
	p, calls := leaf(3), 0
	{
		f := func(*tensor.Tensor) { calls++ }
		p.RegisterHook(f)
		p.Mul(p).Sum().Backward()
		want("hooks", calls == 1)
		want("gradients", len(autograd.Grad(p.Sum(), []*tensor.Tensor{p})) == 1)
	}

	l := layers.NewLinear(3, 2)
	m := &net{l}
	f := func(x *tensor.Tensor) *tensor.Tensor { return x.ReLU() }
	want("lists", len(layers.ModuleList{m}) == 1 && len(layers.NewSequential(l).Layers()) == 1 && layers.Func(f).Forward(x).SharesMemory(x) == false)
	names, modules := 0, 0
	for range layers.NamedParameters(m) {
		names++
	}
	for range layers.Modules(m) {
		modules++
	}
	want("parameters and modules", names == 2 && modules == 2)
	d := layers.StateDict(l)
	_, err := layers.LoadStateDict(m, d, layers.StateDictOpts{NotStrict: true})
	check(err)
	layers.SetRequiresGrad(m, false)
	want("frozen", !l.Weight.RequiresGrad())
	w := l.Weight
	inits.KaimingNormal(w)
	{
		m := layers.NewConv2d(3, 2, 3)
		want("summaries", layers.Summary(m) != layers.Summary(m, tensor.Zeros(1, 3, 32, 32)))
		calls := 0
		x, l, trace := tensor.Zeros(1, 3, 8, 8), m, layers.NewTrace(m)
		trace.OnForward = func(layers.Place, autograd.Op, []*tensor.Tensor, *tensor.Tensor) { calls++ }
		l.Forward(x.Watch(trace))
		want("traces", calls > 0 && layers.NewTrace(m) != nil)
	}

	o, ps, i, epoch := optim.NewAdam([]*tensor.Tensor{leaf(2)}, 1e-3), []*tensor.Tensor{leaf(3)}, 1, 2
	o.Groups = append(o.Groups, optim.Group{Params: ps, LR: 1e-4})
	want("groups", o.Groups[i].LR == 1e-4)
	scheduler := sched.NewStepLR(o, 2, 0.5)
	scheduler.StepTo(epoch)
	scheduler.Step()
	want("rates", math.Abs(o.Groups[i].LR-5e-5) < 1e-12)
	state, tensors := o.State()
	check(o.LoadState(state, tensors))

	loader := datasets.DataLoader{Workers: 1, DropLast: true, Collate: nil}
	want("loaders", loader.DropLast)
	set, err := datasets.NewTensors(ar(4, 2), ints(0, 1, 0, 1))
	check(err)
	parts, err := datasets.RandomSplit(set, []int{3, 1}, 1)
	check(err)
	want("sets", parts[0].Len() == 3)
	inputs, targets := []*tensor.Tensor{ar(4, 2), ar(4, 3)}, []*tensor.Tensor{ints(0, 1, 0, 1)}
	several, err := datasets.NewMultiTensors(inputs, targets)
	check(err)
	xs := []*tensor.Tensor{ints(1, 2), ints(3)}
	var r *rand.Rand
	_, err = several.Example(i, r)
	check(err)
	loader.Dataset, loader.BatchSize = datasets.Multi(set), 4
	loader.CollateBatch = func(examples []datasets.Example) (*datasets.Batch, error) {
		return &datasets.Batch{Inputs: []*tensor.Tensor{datasets.PadSequence(xs, -1)}}, nil
	}
	for b := range loader.Batches() {
		want("padding", slices.Equal(b.Inputs[0].Ints(), []int64{1, 2, 3, -1}))
	}
	check(loader.Err())
	_ = trainer.Config{Forward: nil, Metrics: nil}
	_ = datasets.Subset{}
	_ = datasets.Concat{}

	device := tensor.CPU
	step := func(x, y *tensor.Tensor) *tensor.Tensor { return x.Sub(y).Square().Mean() }
	tensor.Capture(device, step).Run(ar(2), ar(2))
	device.SetFloat32Precision(tensor.High)
	device.SetFloat32Precision(tensor.Highest)
	device.SetBenchmark(true)
	device.SetDeterministic(true)
	want("memory", device.MemoryStats().Live > 0)
	_ = []trainer.Callback{trainer.NaNStop()}
}
