package tensor_test

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// halfStep returns the distance of a number of half precision to the next larger one.
func halfStep(t tensor.DType, v float64) float64 {
	bits, least := 8, -133 // BFloat16: those of the significand, and the exponent of the smallest number
	if t == tensor.Float16 {
		bits, least = 11, -24
	}
	_, e := math.Frexp(v)
	return math.Ldexp(1, max(e-bits, least))
}

// wantRoundedOnce fails unless got, of half precision, is want rounded to its type, but
// for the errors of Float32: what is half a step off, or more by them.
func wantRoundedOnce(t *testing.T, what string, got, want *T) {
	t.Helper()
	if !got.Shape().Equal(want.Shape()) {
		t.Errorf("%s: got %v, want %v", what, got.Shape(), want.Shape())
		return
	}
	ws := want.Float64s()
	scale := 0.0
	for _, w := range ws {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			scale = max(scale, math.Abs(w))
		}
	}
	for i, g := range got.Float64s() {
		w := ws[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) || math.IsInf(g, 0) && got.DType() == tensor.Float16 && math.Abs(w) > 65519 && g*w > 0 {
			continue
		}
		if off := math.Abs(g - w); !(off <= 0.5*halfStep(got.DType(), w)+0x1p-20*scale) {
			t.Errorf("%s: element %d: got %v in %s, want %v rounded once, which is %g steps off", what, i, g, got.DType(), w, off/halfStep(got.DType(), w))
			return
		}
	}
}

// What is made of several operations computes in Float32 and rounds what it stores:
// results and gradients of numbers of half precision are those of the same numbers in
// Float64, rounded once.
func TestHalfRoundsOnce(t *testing.T) {
	for _, device := range testDevices(t) {
		t.Run(device.String(), func(t *testing.T) { halfRoundsOnce(t, device) })
	}
}

func halfRoundsOnce(t *testing.T, device *tensor.Device) {
	g := tensor.NewGenerator(11)
	labels := tensor.From([]int64{1, 0, -100, 2, 4, 1}).To(device)
	none := tensor.VarOpts{}
	bn := tensor.BatchNormOpts{Training: true}
	type in = []*T
	for _, c := range []struct {
		name   string
		scales []float64 // of the numbers
		shapes [][]int
		f      func(x in) *T
	}{
		{"Mean", []float64{1, 1e3, 3e4}, [][]int{{6, 50}}, func(x in) *T { return x[0].Mean() }},
		{"MeanKeepDim", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].MeanKeepDim(1) }},
		{"Prod", []float64{1.3}, [][]int{{6, 5}}, func(x in) *T { return x[0].Prod(1) }},
		{"Var", []float64{1e-3, 1, 100}, [][]int{{6, 50}}, func(x in) *T { return tensor.Var(x[0], none) }},
		{"Var of rows", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Var(1) }},
		{"Std", []float64{1e-3, 1, 1e4}, [][]int{{6, 50}}, func(x in) *T { return tensor.Std(x[0], none) }},
		{"Norm(2)", []float64{1e-3, 1, 1e3}, [][]int{{6, 50}}, func(x in) *T { return x[0].Norm(2) }},
		{"Norm(2) of columns", []float64{1e-3, 1, 1e4}, [][]int{{6, 50}}, func(x in) *T { return x[0].NormKeepDim(2, 0) }},
		{"Norm(1)", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Norm(1) }},
		{"Norm(3)", []float64{1e-1, 1, 1e3}, [][]int{{6, 50}}, func(x in) *T { return x[0].Norm(3, 1) }},
		{"Norm(0.5)", []float64{1}, [][]int{{6, 5}}, func(x in) *T { return x[0].Norm(0.5, 1) }},
		{"Norm(0)", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Norm(0) }},
		{"Norm(Inf)", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Norm(math.Inf(1), 1) }},
		{"Norm(2) over one element", []float64{1}, [][]int{{6, 1}}, func(x in) *T { return x[0].Norm(2, 1) }},
		{"Norm(Inf) of a scalar", []float64{1}, [][]int{{}}, func(x in) *T { return x[0].NormKeepDim(math.Inf(1), 0) }},
		{"LogSumExp", []float64{1, 100}, [][]int{{6, 50}}, func(x in) *T { return x[0].LogSumExp(1) }},
		{"Amax", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Round().Amax() }},
		{"Cumsum", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return x[0].Cumsum(1) }},
		{"Div", []float64{1, 100}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return x[0].Div(x[1]) }},
		{"Atan2", []float64{1, 1e3, 1e4}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return x[0].Atan2(x[1]) }},
		{"Fmod", []float64{1, 100}, [][]int{{6, 50}, {6, 1}}, func(x in) *T { return x[0].Fmod(x[1].Abs().AddScalar(8)) }},
		{"Mul, broadcast", []float64{1, 100}, [][]int{{6, 50}, {50}}, func(x in) *T { return x[0].Mul(x[1]) }},
		{"Div, broadcast", []float64{1, 100}, [][]int{{6, 50}, {6, 1}}, func(x in) *T { return x[0].Div(x[1]) }},
		{"MatMul, broadcast", []float64{1}, [][]int{{3, 4, 5}, {2, 1, 5, 6}}, func(x in) *T { return x[0].MatMul(x[1]) }},
		{"MatMul by a vector, broadcast", []float64{1}, [][]int{{5}, {4, 5, 6}}, func(x in) *T { return x[0].MatMul(x[1]) }},
		{"ConvTranspose2d", []float64{1, 30}, [][]int{{2, 3, 4, 5}, {3, 2, 3, 3}, {2}}, func(x in) *T {
			return tensor.ConvTranspose2d(x[0], x[1], x[2], tensor.ConvOpts{Stride: 2})
		}},
		{"MSELoss", []float64{1, 300}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return tensor.MSELoss(x[0], x[1], tensor.ReduceMean) }},
		{"MSELoss, none", []float64{1}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return tensor.MSELoss(x[0], x[1], tensor.ReduceNone) }},
		{"L1Loss", []float64{1, 1e4}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return tensor.L1Loss(x[0], x[1], tensor.ReduceMean) }},
		{"HuberLoss", []float64{1, 1e3}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return tensor.HuberLoss(x[0], x[1], 0.7, tensor.ReduceMean) }},
		{"SmoothL1Loss", []float64{1, 1e3}, [][]int{{6, 50}, {6, 50}}, func(x in) *T { return tensor.SmoothL1Loss(x[0], x[1], 0.7, tensor.ReduceMean) }},
		{"BCEWithLogits", []float64{1, 30}, [][]int{{6, 50}, {6, 50}, {50}, {50}}, func(x in) *T {
			return tensor.BCEWithLogits(x[0], x[1], tensor.BCEWithLogitsOpts{Weight: x[2].Detach(), PosWeight: x[3].Detach()})
		}},
		{"BCEWithLogits, none", []float64{1}, [][]int{{6, 50}, {6, 50}}, func(x in) *T {
			return tensor.BCEWithLogits(x[0], x[1], tensor.BCEWithLogitsOpts{Reduction: tensor.ReduceNone})
		}},
		{"CrossEntropy", []float64{1, 100}, [][]int{{6, 5}}, func(x in) *T { return tensor.CrossEntropy(x[0], labels, tensor.CrossEntropyOpts{}) }},
		{"CrossEntropy, weighted and smoothed", []float64{1, 10}, [][]int{{6, 5}, {5}}, func(x in) *T {
			return tensor.CrossEntropy(x[0], labels, tensor.CrossEntropyOpts{Weight: x[1].Detach(), LabelSmoothing: 0.1})
		}},
		{"CrossEntropy, each smoothed", []float64{1}, [][]int{{6, 5}}, func(x in) *T {
			return tensor.CrossEntropy(x[0], labels, tensor.CrossEntropyOpts{LabelSmoothing: 0.1, Reduction: tensor.ReduceNone})
		}},
		{"CrossEntropy of probabilities", []float64{1, 10}, [][]int{{6, 5}, {6, 5}, {5}}, func(x in) *T {
			return tensor.CrossEntropy(x[0], x[1], tensor.CrossEntropyOpts{Weight: x[2], LabelSmoothing: 0.1})
		}},
		{"NLLLoss", []float64{1}, [][]int{{6, 5}, {5}}, func(x in) *T {
			return tensor.NLLLoss(x[0], labels, tensor.NLLLossOpts{Weight: x[1].Detach()})
		}},
		{"LayerNorm", []float64{1e-2, 1, 100}, [][]int{{6, 50}, {50}, {50}}, func(x in) *T { return tensor.LayerNorm(x[0], tensor.Shape{50}, x[1], x[2], 0) }},
		{"LayerNorm without bias", []float64{1}, [][]int{{6, 50}, {50}}, func(x in) *T { return tensor.LayerNorm(x[0], tensor.Shape{50}, x[1], nil, 0) }},
		{"LayerNorm without weight", []float64{1}, [][]int{{6, 50}, {50}}, func(x in) *T { return tensor.LayerNorm(x[0], tensor.Shape{50}, nil, x[1], 0) }},
		{"LayerNorm alone", []float64{1}, [][]int{{6, 50}}, func(x in) *T { return tensor.LayerNorm(x[0], tensor.Shape{50}, nil, nil, 0) }},
		{"GroupNorm", []float64{1e-2, 1, 100}, [][]int{{3, 6, 9}, {6}, {6}}, func(x in) *T { return tensor.GroupNorm(x[0], 2, x[1], x[2], 0) }},
		{"BatchNorm2d", []float64{1, 100}, [][]int{{3, 6, 9}, {6}, {6}}, func(x in) *T { return tensor.BatchNorm2d(x[0], nil, nil, x[1], x[2], bn) }},
	} {
		for _, scale := range c.scales {
			for _, half := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
				var narrow, wide in
				for _, s := range c.shapes {
					x := g.Randn(s...).MulScalar(scale).ToDType(half).To(device)
					narrow = append(narrow, x.Clone().SetRequiresGrad(true))
					wide = append(wide, x.ToDType(tensor.Float64).SetRequiresGrad(true))
				}
				got, want := c.f(narrow), c.f(wide)
				if got.DType() != half {
					t.Errorf("%s: got %s, want %s", c.name, got.DType(), half)
				}
				wantRoundedOnce(t, c.name, got, want)
				dy := g.Randn(got.Shape()...).ToDType(half).To(device)
				got.Backward(tensor.BackwardOpts{Gradient: dy})
				want.Backward(tensor.BackwardOpts{Gradient: dy.ToDType(tensor.Float64)})
				for i, x := range narrow {
					if (x.Grad() == nil) != (wide[i].Grad() == nil) {
						t.Errorf("%s: input %d has a gradient: %t", c.name, i, x.Grad() != nil)
					} else if x.Grad() != nil {
						wantRoundedOnce(t, c.name+": gradient", x.Grad(), wide[i].Grad())
					}
				}
			}
		}
	}
}

// What would overflow or vanish in between, if that were stored.
func TestHalfHasRoomBetween(t *testing.T) {
	for _, device := range testDevices(t) {
		t.Run(device.String(), func(t *testing.T) { halfHasRoomBetween(t, device) })
	}
}

func halfHasRoomBetween(t *testing.T, device *tensor.Device) {
	const f16, bf16 = tensor.Float16, tensor.BFloat16
	of := func(dtype tensor.DType, v ...float64) *T { return tensor.From(v).ToDType(dtype) }
	many := func(v float64, n ...int) *T { return tensor.Full(v, n...).ToDType(f16) }
	signs := tensor.From([]float64{1, -1}).Repeat(70000).ToDType(f16)
	labels := tensor.Zeros(70000).ToDType(tensor.Int64).To(device)
	smoothed := tensor.CrossEntropyOpts{LabelSmoothing: 0.1}
	for _, c := range []struct {
		name string
		x    *T
		f    func(x *T) *T
		want []float64
		grad []float64 // of the first elements
	}{
		{"Mean of many", many(1, 70000), func(x *T) *T { return x.Mean() }, []float64{1}, []float64{1.430511474609375e-05}},
		{"Mean of large ones", of(f16, 60000, 60000), func(x *T) *T { return x.Mean() }, []float64{60000}, []float64{0.5, 0.5}},
		{"Mean in bfloat16", of(bf16, 1, 1, 0.3906250), func(x *T) *T { return x.Mean() }, []float64{0.796875}, []float64{0.333984375}},
		{"Norm", of(f16, 300, 400), func(x *T) *T { return x.Norm(2) }, []float64{500}, []float64{0.60009765625, 0.7998046875}},
		{"Norm of small ones", of(f16, 1e-4, 1e-4), func(x *T) *T { return x.Norm(2) }, []float64{0.00014150142669677734}, []float64{0.70703125, 0.70703125}},
		{"Norm(3)", of(f16, 300, 0, 400), func(x *T) *T { return x.Norm(3) }, []float64{449.75}, []float64{0.44482421875, 0, 0.791015625}},
		{"Norm(0)", many(1, 2000), func(x *T) *T { return x.Norm(0) }, []float64{2000}, []float64{0}},
		{"Std", of(f16, 300, -300), func(x *T) *T { return x.Std() }, []float64{424.25}, []float64{0.70703125, -0.70703125}},
		{"Var of many", signs, func(x *T) *T { return x.Var() }, []float64{1}, []float64{1.430511474609375e-05, -1.430511474609375e-05}},
		{"LogSumExp of many", many(0, 70000), func(x *T) *T { return x.LogSumExp() }, []float64{11.15625}, []float64{1.430511474609375e-05}},
		{"Amax of many", many(2, 70000), func(x *T) *T { return x.Amax() }, []float64{2}, []float64{1.430511474609375e-05}},
		{"Atan2 of large ones", of(f16, 300, 30000), func(x *T) *T { return x.Atan2(tensor.FullLike(x, 400)).Sum() }, []float64{2.201171875}, []float64{0.00160026550292968750, 4.1723251342773438e-07}},
		{"ConvTranspose2d with a bias that brings it back", of(f16, 300, 200).Reshape(1, 2, 1, 1), func(x *T) *T {
			w := tensor.FullLike(x, 200).Reshape(2, 1, 1, 1)
			return tensor.ConvTranspose2d(x, w, of(f16, -60000).To(x.Device()), tensor.ConvOpts{})
		}, []float64{40000}, []float64{200, 200}},
		{"MSELoss of many", many(1, 70000), func(x *T) *T { return tensor.MSELoss(x, tensor.ZerosLike(x), tensor.ReduceMean) }, []float64{1}, []float64{2.8550624847412109e-05}},
		{"MSELoss of a large one", of(f16, 300, 0, 0, 0), func(x *T) *T { return tensor.MSELoss(x, tensor.ZerosLike(x), tensor.ReduceMean) }, []float64{22496}, []float64{150, 0, 0, 0}},
		{"L1Loss of many", many(1, 70000), func(x *T) *T { return tensor.L1Loss(x, tensor.ZerosLike(x), tensor.ReduceMean) }, []float64{1}, []float64{1.430511474609375e-05}},
		{"HuberLoss of many", many(300, 1000), func(x *T) *T { return tensor.HuberLoss(x, tensor.ZerosLike(x), 1, tensor.ReduceMean) }, []float64{299.5}, []float64{0.0010004043579101562}},
		{"SmoothL1Loss of many", many(300, 1000), func(x *T) *T { return tensor.SmoothL1Loss(x, tensor.ZerosLike(x), 1, tensor.ReduceMean) }, []float64{299.5}, []float64{0.0010004043579101562}},
		{"BCEWithLogits of many", many(0, 140000), func(x *T) *T { return tensor.BCEWithLogits(x, tensor.ZerosLike(x), tensor.BCEWithLogitsOpts{}) },
			[]float64{0.693359375}, []float64{3.5762786865234375e-06}},
		{"CrossEntropy of many", many(0, 70000, 4), func(x *T) *T { return tensor.CrossEntropy(x, labels, tensor.CrossEntropyOpts{}) },
			[]float64{1.38671875}, []float64{-1.0728836059570312e-05, 3.5762786865234375e-06}},
		{"CrossEntropy, smoothed, of many classes", many(0, 2, 1000), func(x *T) *T { return tensor.CrossEntropy(x, labels.Narrow(0, 0, 2), smoothed) },
			[]float64{6.90625}, []float64{-0.449462890625, 0.00044989585876464844}},
		{"LayerNorm", of(bf16, 0, 1, 2, 3), func(x *T) *T {
			one := tensor.OnesLike(x)
			return tensor.LayerNorm(x, tensor.Shape{4}, one, one, 0)
		}, []float64{-0.341796875, 0.5546875, 1.4453125, 2.34375}, nil},
		{"GroupNorm", of(bf16, 0, 1, 2, 3).Reshape(1, 4), func(x *T) *T {
			one := tensor.OnesLike(x).Flatten(0)
			return tensor.GroupNorm(x, 1, one, one, 0)
		}, []float64{-0.341796875, 0.5546875, 1.4453125, 2.34375}, nil},
	} {
		x := c.x.Clone().To(device).SetRequiresGrad(true)
		y := c.f(x)
		if y.DType() != x.DType() {
			t.Errorf("%s: got %s, want %s", c.name, y.DType(), x.DType())
		}
		wantTensor(t, c.name, y.Flatten(0).ToDType(tensor.Float64), tensor.From(c.want), 0)
		if c.grad != nil {
			y.Backward()
			wantTensor(t, c.name+": gradient", x.Grad().Flatten(0).Narrow(0, 0, len(c.grad)).ToDType(tensor.Float64), tensor.From(c.grad), 0)
		}
	}
}

// The factor and the summand that stand for a normalization behind a convolution
// are not rounded either.
func TestHalfConv2dBatchNorm(t *testing.T) {
	g := tensor.NewGenerator(4)
	for _, half := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		of := func(dims ...int) *T { return g.Randn(dims...).ToDType(half) }
		x, w, b := of(2, 3, 6, 6), of(5, 3, 3, 3), of(5)
		mean, variance, nw, nb := of(5), of(5).Abs(), of(5), of(5)
		run := func(dtype tensor.DType) *T {
			to := func(x *T) *T { return x.ToDType(dtype).NoGrad() }
			return tensor.Conv2dBatchNorm(to(x), to(w), to(b), to(mean), to(variance), to(nw), to(nb), tensor.ConvOpts{}, tensor.BatchNormOpts{ReLU: true})
		}
		wantRoundedOnce(t, "Conv2dBatchNorm", run(half), run(tensor.Float64))
	}
}
