package layers

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/tensor"
)

// New layers have PyTorch's initial distributions.
func TestInitialValues(t *testing.T) {
	tensor.ManualSeed(1)
	conv := NewConv2d(16, 64, 3, ConvOpts{Groups: 2}) // fan in 72
	transposed := NewConvTranspose2d(16, 64, 3)       // fan in 576
	linear := NewLinear(100, 300)
	norm := NewBatchNorm2d(5)
	for _, c := range []struct {
		name      string
		x         *tensor.Tensor
		bound     float64 // 0: a normal distribution
		mean, std float64
	}{
		{"Conv2d.weight", conv.Weight, 1 / math.Sqrt(72), 0, 1 / math.Sqrt(3*72)},
		{"Conv2d.bias", conv.Bias, 1 / math.Sqrt(72), 0, 1 / math.Sqrt(3*72)},
		{"ConvTranspose2d.weight", transposed.Weight, 1 / math.Sqrt(576), 0, 1 / math.Sqrt(3*576)},
		{"ConvTranspose2d.bias", transposed.Bias, 1 / math.Sqrt(576), 0, 1 / math.Sqrt(3*576)},
		{"Linear.weight", linear.Weight, 0.1, 0, 0.1 / math.Sqrt(3)},
		{"Linear.bias", linear.Bias, 0.1, 0, 0.1 / math.Sqrt(3)},
		{"Embedding.weight", NewEmbedding(100, 50).Weight, 0, 0, 1},
		{"BatchNorm2d.weight", norm.Weight, 1, 1, 0},
		{"BatchNorm2d.bias", norm.Bias, 1, 0, 0},
		{"BatchNorm2d.running_mean", norm.RunningMean, 1, 0, 0},
		{"BatchNorm2d.running_var", norm.RunningVar, 1, 1, 0},
		{"LayerNorm.weight", NewLayerNorm(2, 3).Weight, 1, 1, 0},
		{"LayerNorm.bias", NewLayerNorm(2, 3).Bias, 1, 0, 0},
		{"GroupNorm.weight", NewGroupNorm(2, 4).Weight, 1, 1, 0},
		{"GroupNorm.bias", NewGroupNorm(2, 4).Bias, 1, 0, 0},
	} {
		var mean, std float64
		v := c.x.Float64s()
		for _, e := range v {
			mean += e / float64(len(v))
			if c.bound > 0 && math.Abs(e-c.mean) > c.bound {
				t.Errorf("%s: the element %v is further than %v from %v", c.name, e, c.bound, c.mean)
				break
			}
		}
		for _, e := range v {
			std += (e - mean) * (e - mean) / float64(len(v))
		}
		std = math.Sqrt(std)
		if slack := 4*c.std/math.Sqrt(float64(len(v))) + 1e-12; math.Abs(mean-c.mean) > slack || math.Abs(std-c.std) > slack {
			t.Errorf("%s: mean %v and standard deviation %v, want %v and %v", c.name, mean, std, c.mean, c.std)
		}
	}
	if n := norm.NumBatchesTracked; n.DType() != tensor.Int64 || n.Dim() != 0 || n.Item() != 0 {
		t.Errorf("num_batches_tracked is %v, want the Int64 scalar 0", n)
	}
}

// New layers are in training mode, and Train and Eval reach every child.
func TestModes(t *testing.T) {
	norm, drop := NewBatchNorm2d(1), NewDropout(1)
	m := NewSequential(norm, NewSequential(drop))
	x := func() *tensor.Tensor { return tensor.From([]float32{2, 2}, 2, 1, 1, 1) }
	for i, mode := range []struct {
		set           func(Module)
		batches, want float64
	}{
		{nil, 1, 0}, {Eval, 1, 1}, {Train, 2, 0}, {Eval, 2, 1},
	} {
		if mode.set != nil {
			mode.set(m)
		}
		if i == 1 {
			norm.RunningMean.Fill(1)
			norm.RunningVar.Fill(1)
		}
		if i == 3 {
			norm.RunningMean.Fill(1)
			norm.RunningVar.Fill(1)
		}
		y := m.Forward(x())
		if got := y.Select(0, 0).Item(); math.Abs(got-mode.want) > 1e-4 {
			t.Errorf("step %d: got %v, want %v", i, got, mode.want)
		}
		if got := norm.NumBatchesTracked.Item(); got != mode.batches {
			t.Errorf("step %d: %v batches tracked, want %v", i, got, mode.batches)
		}
	}
}

// Dropout drops the share P of the elements, scales the others, and draws from its
// own generator if it has one.
func TestDropout(t *testing.T) {
	seed, offset := tensor.DefaultGenerator().State()
	l := NewDropout(0.25)
	l.Generator = tensor.NewGenerator(3)
	y := l.Forward(tensor.Ones(100, 100)).Floats()
	zeros := 0
	for _, v := range y {
		switch {
		case v == 0:
			zeros++
		case math.Abs(float64(v)-4.0/3) > 1e-6:
			t.Fatalf("got the element %v, want 0 or 4/3", v)
		}
	}
	if math.Abs(float64(zeros)/1e4-0.25) > 0.02 {
		t.Errorf("%d of 10000 elements are dropped, want about 2500", zeros)
	}
	l.Generator = tensor.NewGenerator(3)
	if again := l.Forward(tensor.Ones(100, 100)).Floats(); !slices.Equal(again, y) {
		t.Error("the same seed dropped other elements")
	}
	if s, o := tensor.DefaultGenerator().State(); s != seed || o != offset {
		t.Error("the default generator moved")
	}
}

// block returns Conv2d, BatchNorm2d and ReLU with fixed parameters.
func block(inplace bool) *Sequential {
	tensor.ManualSeed(4)
	return NewSequential(NewConv2d(3, 8, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(8), ReLU{Inplace: inplace})
}

// ReLU{Inplace: true} takes no memory and leaves the gradients as they are.
func TestReLUInplace(t *testing.T) {
	grads := map[bool][][]float64{}
	for _, inplace := range []bool{false, true} {
		m := block(inplace)
		s := tensor.NewScope()
		x := tensor.Arange(0, 2*3*5*7, 1).ToDType(tensor.Float32).MulScalar(0.01).Reshape(2, 3, 5, 7).In(s)
		before := m.Layers()[1].Forward(m.Layers()[0].Forward(x))
		live := tensor.CPU.MemoryStats().Live
		y := m.Layers()[2].Forward(before)
		// What other tests left behind may be collected just now, which makes it less.
		if taken := tensor.CPU.MemoryStats().Live - live; inplace && taken > 0 {
			t.Errorf("in place, ReLU took %d bytes, want 0", taken)
		}
		if y.SharesMemory(before) != inplace {
			t.Errorf("inplace %v: sharing memory is %v", inplace, y.SharesMemory(before))
		}
		y.Mul(y).Sum().Backward()
		for _, p := range Parameters(m) {
			grads[inplace] = append(grads[inplace], p.Grad().Float64s())
		}
		s.Close()
	}
	if !slices.EqualFunc(grads[false], grads[true], slices.Equal) {
		t.Errorf("the gradients are %v in place, want %v", grads[true], grads[false])
	}
}

// fusable returns layers that Sequential computes several of at once, with
// weights and statistics that are not the first ones.
func fusable() []Layer {
	tensor.ManualSeed(4)
	m := []Layer{
		NewConv2d(3, 8, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(8), ReLU{Inplace: true},
		NewConv2d(8, 6, 3, ConvOpts{Padding: 1, NoBias: true}), NewBatchNorm2d(6), &ReLU{}, NewMaxPool2d(2, 2),
		NewBatchNorm2d(6, BatchNormOpts{NoAffine: true}), ReLU{},
		NewConv2d(6, 4, 1), NewBatchNorm2d(4, BatchNormOpts{NoStats: true}), ReLU{},
		NewConv2d(4, 5, 3, ConvOpts{Stride: 2}), NewBatchNorm2d(5),
	}
	for _, p := range StateDict(NewSequential(m...)) {
		if p.DType() == tensor.Float32 && p.Dim() == 1 {
			p.CopyFrom(tensor.Rand(p.Shape()...).AddScalar(0.5))
		}
	}
	return m
}

// Sequential gives what its layers give one by one: the same bits in training
// and wherever gradients are recorded.
func TestSequentialFuses(t *testing.T) {
	for _, mode := range []struct {
		name               string
		train, grad, exact bool
	}{
		{"training", true, true, true},
		{"training without a tape", true, false, true},
		{"evaluation with a tape", false, true, true},
		{"evaluation", false, false, false},
	} {
		t.Run(mode.name, func(t *testing.T) {
			run := func(fused bool) (values [][]float64) {
				ls := fusable()
				m := NewSequential(ls...)
				setTraining(m, mode.train)
				x := tensor.Randn(3, 3, 12, 10)
				if !mode.grad {
					x = x.NoGrad()
				}
				for range 2 {
					y := x
					if fused {
						y = m.Forward(x)
					} else {
						for _, l := range ls {
							y = l.Forward(y)
						}
					}
					values = append(values, y.Float64s())
					if mode.grad {
						y.Square().Sum().Backward()
						for _, p := range Parameters(m) {
							values = append(values, p.Grad().Float64s())
						}
					}
					// The next pass must see this.
					for _, p := range StateDict(m) {
						if p.DType() == tensor.Float32 {
							p.Detach().MulScalarInPlace(1.25)
						}
					}
				}
				for _, p := range StateDict(m) {
					values = append(values, p.Float64s())
				}
				return values
			}
			got, want := run(true), run(false)
			for i := range want {
				for j, w := range want[i] {
					if g := got[i][j]; g != w && (mode.exact || math.Abs(g-w) > 1e-5*(1+math.Abs(w))) {
						t.Fatalf("number %d of array %d: got %v, want %v", j, i, g, w)
					}
				}
			}
		})
	}
}

// What stands between the layers sees what they give, and keeps it.
func TestSequentialDoesNotFuseAroundOthers(t *testing.T) {
	ls := fusable()
	var kept []*tensor.Tensor
	keep := Func(func(x *tensor.Tensor) *tensor.Tensor {
		kept = append(kept, x)
		return x
	})
	m := NewSequential(ls[0], keep, ls[1], keep, ls[2], &struct{ *Conv2d }{ls[3].(*Conv2d)}, &struct{ *BatchNorm2d }{ls[4].(*BatchNorm2d)}, keep)
	Eval(m)
	x := tensor.Randn(2, 3, 6, 6).NoGrad()
	got := m.Forward(x).Floats()
	y := x
	for i, want := range ls[:5] {
		if y = want.Forward(y); i == 1 {
			y = y.Clone().NoGrad() // the next layer works in place
		}
	}
	if !slices.Equal(got, y.Floats()) {
		t.Errorf("got %v, want %v", got, y)
	}
	if len(kept) != 3 || !slices.Equal(kept[0].Floats(), ls[0].Forward(x).Floats()) || slices.Min(kept[0].Floats()) >= 0 {
		t.Errorf("the functions between the layers have seen %v", kept)
	}
}

// A watch sees each layer's operation.
func TestSequentialDoesNotFuseWatched(t *testing.T) {
	m := NewSequential(fusable()[:5]...)
	want := []string{"Conv2d: 0", "BatchNorm2d: 1", "ReLUInPlace: 2", "Conv2d: 3", "BatchNorm2d: 4"}
	for _, set := range []func(m Module){Train, Eval} {
		set(m)
		for _, x := range []*tensor.Tensor{tensor.Ones(2, 3, 5, 5), tensor.Ones(2, 3, 5, 5).NoGrad()} {
			if got := trail(m, x, 1); !slices.Equal(got, want) {
				t.Errorf("no-grad %t: got %q, want %q", x.IsNoGrad(), got, want)
			}
		}
	}
}

// In evaluation, Conv2d's own result takes no memory.
func TestSequentialFusedMemory(t *testing.T) {
	const size = 4 * 8 * 64 * 64 * 4
	m := NewSequential(NewConv2d(3, 8, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(8), ReLU{})
	x := tensor.Randn(4, 3, 64, 64).NoGrad()
	for _, c := range []struct {
		name  string
		set   func(m Module)
		bytes int64
	}{{"evaluation", Eval, size}, {"training", Train, 2 * size}} {
		c.set(m)
		var y *tensor.Tensor
		m.Forward(x) // workspaces
		if got := peak(func() { y = m.Forward(x) }); got < c.bytes || got > c.bytes+size/2+8<<20 {
			t.Errorf("%s took %d bytes at once, want about %d", c.name, got, c.bytes)
		}
		friends.Release(y)
	}
}

// peak returns the most bytes above what was live before that f used at once.
func peak(f func()) int64 {
	// What earlier tests have left goes first: collected meanwhile, it would be
	// taken off.
	live := int64(-1)
	for now := tensor.CPU.MemoryStats().Live; now != live; now = tensor.CPU.MemoryStats().Live {
		live = now
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	tensor.CPU.ResetPeakMemory()
	f()
	return tensor.CPU.MemoryStats().Peak - live
}

// In a pass that is not recorded, Sequential holds two layers' results at a time,
// its input stays, and what a Func has seen stays.
func TestSequentialReleases(t *testing.T) {
	const size = 64 * 1024 * 4
	var deep []Layer
	for range 10 {
		deep = append(deep, Sigmoid{}, NewSequential(Tanh{}, Identity{}), Identity{})
	}
	m := NewSequential(deep...)
	run := func(m Layer, mark bool) (bytes int64) {
		s := tensor.NewScope()
		defer s.Close()
		x := tensor.Zeros(64, 1024).In(s)
		if mark {
			x = x.NoGrad()
		} else {
			x.SetRequiresGrad(true)
		}
		var y *tensor.Tensor
		bytes = peak(func() { y = m.Forward(x) })
		if v := y.Floats(); len(v) != 64*1024 { // panics if it was released
			t.Errorf("the result has %d elements", len(v))
		}
		if v := x.Floats(); v[0] != 0 {
			t.Errorf("the input has changed to %v", v[0])
		}
		return bytes
	}
	if got := run(m, true); got > 2*size+1024 {
		t.Errorf("without a tape, 20 layers used %d bytes at once, want two results, %d", got, 2*size)
	}
	if got := run(m, false); got < 19*size {
		t.Errorf("with a tape, 20 layers used %d bytes at once, want all of their results, %d", got, 20*size)
	}

	var kept []*tensor.Tensor
	keep := Func(func(x *tensor.Tensor) *tensor.Tensor {
		kept = append(kept, x)
		return x.AddScalar(1)
	})
	s := tensor.NewScope()
	defer s.Close()
	x := tensor.Zeros(3).In(s).NoGrad()
	y := NewSequential(Sigmoid{}, keep, Tanh{}, NewSequential(Sigmoid{}, keep), probe{&kept, ReLU{}}, Tanh{}).Forward(x)
	if len(kept) != 3 {
		t.Fatalf("%d tensors were kept, want 3", len(kept))
	}
	for i, want := range []float64{0.5, 1 / (1 + math.Exp(-math.Tanh(1.5))), 1 + 1/(1+math.Exp(-math.Tanh(1.5)))} {
		if got := kept[i].Float64s()[0]; math.Abs(got-want) > 1e-6 {
			t.Errorf("kept value %d is %v, want %v", i, got, want)
		}
	}
	if y.Len() != 3 {
		t.Errorf("the result is %v", y)
	}
}

// probe is a foreign layer around one of this package: it has its methods, but
// keeps what it sees.
type probe struct {
	kept *[]*tensor.Tensor
	ReLU
}

func (p probe) Forward(x *tensor.Tensor) *tensor.Tensor {
	*p.kept = append(*p.kept, x)
	return p.ReLU.Forward(x)
}

// A parameter that stands in two places is one parameter, with two keys, and its
// gradients add up.
func TestTiedWeights(t *testing.T) {
	a, b := NewLinear(3, 3), NewLinear(3, 3)
	b.Weight = a.Weight
	m := NewSequential(a, b)
	if got := len(Parameters(m)); got != 3 {
		t.Errorf("%d parameters, want 3", got)
	}
	var keys []string
	for k := range StateDict(m) {
		keys = append(keys, k)
	}
	if want := []string{"0.weight", "0.bias", "1.weight", "1.bias"}; !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if got := NumParameters(m); got != 15 {
		t.Errorf("%d elements, want 15", got)
	}
	x := tensor.From([]float32{1, 2, 3}, 1, 3)
	m.Forward(x).Sum().Backward()
	tied := a.Weight.Grad().Float64s()
	// The same with weights of one value that are not tied.
	c, d := NewLinear(3, 3), NewLinear(3, 3)
	for i, to := range []*tensor.Tensor{c.Weight, c.Bias, d.Weight, d.Bias} {
		to.CopyFrom([]*tensor.Tensor{a.Weight, a.Bias, b.Weight, b.Bias}[i])
	}
	NewSequential(c, d).Forward(x).Sum().Backward()
	for i, g := range c.Weight.Grad().Float64s() {
		if want := g + d.Weight.Grad().Float64s()[i]; math.Abs(tied[i]-want) > 1e-5 {
			t.Errorf("element %d of the gradient is %v, want %v", i, tied[i], want)
		}
	}
}

// Frozen parameters get no gradient; those behind them do.
func TestFreezing(t *testing.T) {
	a, b := NewLinear(3, 3), NewLinear(3, 2)
	m := NewSequential(a, ReLU{}, b)
	SetRequiresGrad(a, false)
	m.Forward(tensor.Ones(2, 3)).Sum().Backward()
	if a.Weight.Grad() != nil || a.Bias.Grad() != nil {
		t.Error("the frozen layer has a gradient")
	}
	if b.Weight.Grad() == nil || b.Bias.Grad() == nil {
		t.Error("the layer behind the frozen one has no gradient")
	}
	SetRequiresGrad(m, true)
	m.Forward(tensor.Ones(2, 3)).Sum().Backward()
	if a.Weight.Grad() == nil {
		t.Error("the layer has no gradient after it was unfrozen")
	}
}

// To and ToDType keep the tensors that an optimizer holds; integers stay.
func TestConversionKeepsIdentity(t *testing.T) {
	m := block(true)
	x := tensor.Ones(1, 3, 4, 4)
	m.Forward(x).Sum().Backward()
	before := Parameters(m)
	weight := before[0].Float64s()
	ToDType(m, tensor.Float64)
	To(m, tensor.CPU)
	for i, p := range Parameters(m) {
		if p != before[i] {
			t.Errorf("parameter %d is another tensor", i)
		}
		if p.DType() != tensor.Float64 || p.Grad().DType() != tensor.Float64 || !p.RequiresGrad() {
			t.Errorf("%s is %v, its gradient %v, requiring one %v", p.Path(), p.DType(), p.Grad().DType(), p.RequiresGrad())
		}
	}
	if got := before[0].Float64s(); !slices.Equal(got, weight) {
		t.Errorf("the values are %v, want %v", got, weight)
	}
	norm := m.Layers()[1].(*BatchNorm2d)
	if norm.NumBatchesTracked.DType() != tensor.Int64 || norm.RunningMean.DType() != tensor.Float64 {
		t.Errorf("num_batches_tracked is %v, running_mean %v", norm.NumBatchesTracked.DType(), norm.RunningMean.DType())
	}
	ZeroGrad(m)
	m.Forward(x.ToDType(tensor.Float64)).Sum().Backward()
	if before[0].Grad() == nil {
		t.Error("the converted parameter has no gradient after a step")
	}
}

// net is a model of a user's.
type net struct {
	Features   *Sequential
	Classifier *Linear
}

func (n *net) Parts() []Part {
	return []Part{Child("features", n.Features), Child("classifier", n.Classifier)}
}

func (n *net) Forward(x *tensor.Tensor) *tensor.Tensor {
	return n.Classifier.Forward(n.Features.Forward(x).Flatten(1))
}

func newNet() *net {
	return &net{
		NewSequential(NewConv2d(3, 8, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(8), ReLU{Inplace: true}, NewMaxPool2d(2, 2)),
		NewLinear(8*2*2, 10),
	}
}

// What does not fit names the layer by its path, with parameters or without.
func TestErrorsNameLayers(t *testing.T) {
	m := newNet()
	Parameters(m) // notes the paths
	for _, c := range []struct {
		name string
		f    func()
		want []string
	}{
		{"Conv2d", func() { m.Forward(tensor.Ones(2, 4, 4, 4)) }, []string{"tensor: features.0 Conv2d:", "[2 4 4 4]", "[8 3 3 3]"}},
		{"Linear", func() { m.Forward(tensor.Ones(2, 3, 6, 6)) }, []string{"tensor: classifier Linear:", "[2 72]", "[10 32]"}},
		{"MaxPool2d", func() { NewSequential(ReLU{}, NewSequential(NewMaxPool2d(2, 2))).Forward(tensor.Ones(3)) }, []string{"tensor: 1.0 MaxPool2d:", "[3]"}},
	} {
		err := tensor.Try(c.f)
		if err == nil {
			t.Errorf("%s: got no error", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %q, want it to contain %q", c.name, err, want)
			}
		}
	}
}

// The sentence is whole: both shapes and what would fit, at the layer's path.
func TestErrorSentence(t *testing.T) {
	m := newNet()
	m.Features = NewSequential(NewConv2d(3, 64, 3, ConvOpts{Padding: 1}), NewBatchNorm2d(64), ReLU{}, NewConv2d(64, 64, 3, ConvOpts{Padding: 1}))
	m.Features.Append(NewConv2d(3, 64, 3))
	Parameters(m)
	err := tensor.Try(func() { m.Features.Forward(tensor.Zeros(2, 3, 8, 8)) })
	if got, want := fmt.Sprint(err), "tensor: features.4 Conv2d: input [2 64 8 8] has 64 channels, weight [64 3 3 3] takes 3"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	m.Features = NewSequential(ReLU{}, ReLU{}, ReLU{}, NewConv2d(64, 64, 3, ConvOpts{Padding: 1}))
	Parameters(m)
	err = tensor.Try(func() { m.Forward(tensor.Zeros(64, 3, 32, 32)) })
	if got, want := fmt.Sprint(err), "tensor: features.3 Conv2d: input [64 3 32 32] has 3 channels, weight [64 64 3 3] takes 64"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Constructors say what does not fit.
func TestConstructorErrors(t *testing.T) {
	for _, c := range []struct {
		f    func()
		want string
	}{
		{func() { NewConv2d(0, 3, 3) }, "tensor: NewConv2d: got channels 0, want 1 to 2147483647"},
		{func() { NewConv2d(3, 4, 0) }, "tensor: NewConv2d: got kernel size 0, want 1 to 2147483647"},
		{func() { NewConv2d(3, 4, 3, ConvOpts{Padding: -1}) }, "tensor: NewConv2d: got padding -1, want 0 to 2147483647"},
		{func() { NewConv2d(3, 4, 3, ConvOpts{Groups: 2}) }, "tensor: NewConv2d: 3 channels in and 4 out cannot be split into 2 groups"},
		{func() { NewConv2d(3, 4, 3, ConvOpts{OutputPadding: 1}) }, "tensor: NewConv2d: got output padding [1 1], which only ConvTranspose2d has"},
		{func() { NewConvTranspose2d(3, 4, 3, ConvOpts{Stride: -2}) }, "tensor: NewConvTranspose2d: got stride -2, want 1 to 2147483647"},
		{func() { NewLinear(3, -1) }, "tensor: NewLinear: got features -1, want 1 to 2147483647"},
		{func() { NewEmbedding(0, 1) }, "tensor: NewEmbedding: got size 0, want 1 to 2147483647"},
		{func() { NewBatchNorm2d(0) }, "tensor: NewBatchNorm2d: got channels 0, want 1 to 2147483647"},
		{func() { NewLayerNorm() }, "tensor: NewLayerNorm: got no sizes, want those of the last dimensions"},
		{func() { NewGroupNorm(3, 4) }, "tensor: NewGroupNorm: 4 channels cannot be split into 3 groups"},
		{func() { NewMaxPool2d(2, 2, PoolOpts{Padding: 2}) }, "tensor: NewMaxPool2d: got padding [2 2] for the kernel [2 2], want at most half of it"},
		{func() { NewMaxPool2d(2, 2, PoolOpts{Divisor: 2}) }, "tensor: NewMaxPool2d: got ExcludePad or Divisor, which only AvgPool2d has"},
		{func() { NewAvgPool2d(2, 2, PoolOpts{Dilation: 2}) }, "tensor: NewAvgPool2d: got dilation [2 2], which only MaxPool2d has"},
		{func() { NewAdaptiveAvgPool2d(-2, 1) }, "tensor: NewAdaptiveAvgPool2d: got output size -2, want -1 to 2147483647"},
		{func() { NewDropout(1.5) }, "tensor: NewDropout: got the probability 1.5, want 0 to 1"},
	} {
		if err := tensor.Try(c.f); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

// Summary says what a model consists of.
func TestSummary(t *testing.T) {
	m := newNet()
	SetRequiresGrad(m.Features.Layers()[0], false)
	got := Summary(m)
	for _, want := range [][]string{
		{"features.0", "Conv2d(3, 8, kernel 3, padding 1)", "weight [8 3 3 3], bias [8]", "224", "frozen"},
		{"features.1", "BatchNorm2d(8)", "weight [8], bias [8]", "16"},
		{"features.2", "ReLU(inplace)"},
		{"features.3", "MaxPool2d(2, 2)"},
		{"classifier", "Linear(32, 10)", "weight [10 32], bias [10]", "330"},
		{"570 parameters (0.0 MB): 346 trainable, 224 frozen"},
		{"17 elements in buffers (0.0 MB)"},
	} {
		found := false
		for line := range strings.Lines(got) {
			at := 0
			for _, cell := range want {
				if i := strings.Index(line[at:], cell); i >= 0 {
					at += i + len(cell)
				} else {
					at = -1
					break
				}
			}
			if at >= 0 && (strings.HasPrefix(line, want[0])) {
				found = true
				if rest := strings.TrimSpace(line[at:]); rest != "" {
					t.Errorf("the line of %q goes on with %q", want[0], rest)
				}
				break
			}
		}
		if !found {
			t.Errorf("no line with %q in\n%s", want, got)
		}
	}

	tied := NewSequential(NewLinear(30, 50, LinearOpts{NoBias: true}), NewLinear(30, 50, LinearOpts{NoBias: true}))
	tied.Layers()[1].(*Linear).Weight = tied.Layers()[0].(*Linear).Weight
	if got := Summary(tied); !strings.Contains(got, "1,500 parameters (0.0 MB): 1,500 trainable, 0 frozen") || !strings.Contains(got, "tied") {
		t.Errorf("tied weights are not counted once:\n%s", got)
	}
}

// What the table of a model calls its layers.
func TestLabels(t *testing.T) {
	norm := NewBatchNorm2d(4, BatchNormOpts{NoAffine: true, NoStats: true})
	norm.Eps, norm.Momentum = 1e-3, 0.2
	still, mean := NewBatchNorm2d(4), NewBatchNorm2d(4)
	still.Eps, still.Momentum, mean.Cumulative = 0, 0, true
	group := NewGroupNorm(2, 4)
	group.Weight, group.Bias = nil, nil
	layer := NewLayerNorm(4, 5)
	layer.Bias = nil
	for _, c := range []struct {
		layer Module
		want  string
	}{
		{NewConv2d(3, 4, 5, ConvOpts{KernelHW: [2]int{5, 3}, Stride: 2, Dilation: 2, NoBias: true}), "Conv2d(3, 4, kernel 5×3, stride 2, dilation 2, no bias)"},
		{NewConvTranspose2d(4, 4, 2, ConvOpts{Groups: 4, OutputPadding: 1}), "ConvTranspose2d(4, 4, kernel 2, output padding 1, groups 4)"},
		{NewLinear(3, 4), "Linear(3, 4)"},
		{NewLinear(3, 4, LinearOpts{NoBias: true}), "Linear(3, 4, no bias)"},
		{NewEmbedding(3, 4), "Embedding(3, 4)"},
		{norm, "BatchNorm2d(4, eps 0.001, momentum 0.2, no affine, no stats)"},
		{still, "BatchNorm2d(4, eps 0, momentum 0)"},
		{mean, "BatchNorm2d(4, cumulative)"},
		{layer, "LayerNorm(4, 5, no bias)"},
		{group, "GroupNorm(2, 4, no affine)"},
		{NewMaxPool2d(3, 2, PoolOpts{Padding: 1, Dilation: 2, CeilMode: true}), "MaxPool2d(3, 2, padding 1, dilation 2, ceil mode)"},
		{NewAvgPool2d(2, 0, PoolOpts{ExcludePad: true, Divisor: 3}), "AvgPool2d(2, 2, exclude padding, divisor 3)"},
		{NewAdaptiveAvgPool2d(1, 2), "AdaptiveAvgPool2d(1, 2)"},
		{NewAdaptiveAvgPool2d(-1, 2), "AdaptiveAvgPool2d(-1, 2)"},
		{Flatten{}, "Flatten"}, {Flatten{StartDim: new(0)}, "Flatten(0, -1)"}, {Flatten{EndDim: new(2)}, "Flatten(1, 2)"},
		{NewEmbedding(3, 4, EmbeddingOpts{PaddingIdx: new(-1)}), "Embedding(3, 4, padding index 2)"},
		{NewDropout(0.5), "Dropout(0.5)"},
		{ReLU{}, "ReLU()"}, {LeakyReLU{}, "LeakyReLU(0.01)"}, {GELU{Tanh: true}, "GELU(tanh)"}, {ELU{Alpha: 2}, "ELU(2)"}, {LeakyReLU{Slope: tensor.Zero}, "LeakyReLU(0)"}, {ELU{Alpha: tensor.Zero}, "ELU(0)"}, {Softplus{Threshold: tensor.Zero}, "Softplus(1, 0)"},
		{Softplus{}, "Softplus(1, 20)"}, {Softmax{Dim: 1}, "Softmax(dim 1)"}, {LogSoftmax{Dim: -1}, "LogSoftmax(dim -1)"},
	} {
		if got := label(c.layer); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// A loss's weights are converted with it.
func TestLossParts(t *testing.T) {
	w := tensor.Ones(3)
	pos := tensor.Ones(3)
	for _, m := range []Module{CrossEntropyLoss{Weight: w}, NLLLoss{Weight: w}, BCEWithLogitsLoss{Weight: w, PosWeight: pos}} {
		w.CopyFrom(tensor.Ones(3))
		ToDType(m, tensor.Float64)
		if w.DType() != tensor.Float64 {
			t.Errorf("%T: the weight is %v, want float64", m, w.DType())
		}
		ToDType(m, tensor.Float32)
	}
	if n := len(slices.Collect(func(yield func(string) bool) {
		for k := range StateDict(CrossEntropyLoss{}) {
			if !yield(k) {
				return
			}
		}
	})); n != 0 {
		t.Errorf("a loss without weights has %d buffers", n)
	}
}

// A setting of 0 goes through Describe and back.
func TestActivationSettings(t *testing.T) {
	for _, c := range []struct{ name, config, want, again string }{
		{"LeakyReLU", `{"negative_slope":0.2}`, "LeakyReLU(0.2)", `{"negative_slope":0.2}`},
		{"LeakyReLU", `{"negative_slope":5e-324}`, "LeakyReLU(0)", `{"negative_slope":5e-324}`},
		{"LeakyReLU", `{}`, "LeakyReLU(0.01)", `{}`},
		{"ELU", `{"alpha":2}`, "ELU(2)", `{"alpha":2}`},
		{"ELU", `{"alpha":5e-324}`, "ELU(0)", `{"alpha":5e-324}`},
		{"ELU", `{}`, "ELU(1)", `{}`},
		{"Softplus", `{"beta":3,"threshold":2}`, "Softplus(3, 2)", `{"beta":3,"threshold":2}`},
		{"Softplus", `{"threshold":5e-324}`, "Softplus(1, 0)", `{"threshold":5e-324}`},
		{"Softplus", `{}`, "Softplus(1, 20)", `{}`},
	} {
		m, err := construct(c.name, []byte(c.config), new(room))
		if err != nil {
			t.Errorf("%s %s: %v", c.name, c.config, err)
			continue
		}
		name, config, err := Describe(m)
		if got := label(m); err != nil || got != c.want || name != c.name || string(config) != c.again {
			t.Errorf("%s %s: got %s and %s %s (%v), want %s and %s", c.name, c.config, got, name, config, err, c.want, c.again)
		}
	}
}
