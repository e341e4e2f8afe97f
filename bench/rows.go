package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for this one.
var friends = friend.Of[*tensor.Tensor]()

// row is one comparison.
type row struct {
	name string
	slow bool   // runs only if -run names it
	mean string // rows of the same one have a geometric mean
	make func(s size) (*work, error)
}

// size is how large a row's work is, and where it is done.
type size struct {
	tiny   bool           // so small that a test runs it
	dir    string         // for files; the row has it for itself
	data   string         // folder of the real CIFAR-10, or empty
	device *tensor.Device // of Wick's side; nil means the CPU
}

// to moves a tensor to the row's device.
func (s size) to(x *tensor.Tensor) *tensor.Tensor {
	if s.device == nil {
		return x
	}
	return x.To(s.device)
}

// gpu tells whether the row's device is a GPU.
func (s size) gpu() bool { return s.device != nil && s.device != tensor.CPU }

// more returns a size that is larger where a GPU would otherwise find the tensors in
// its cache.
func (s size) more(full, small int) int {
	if s.gpu() {
		full *= 4
	}
	return s.of(full, small)
}

// of returns full, or small where the work is to be tiny.
func (s size) of(full, small int) int {
	if s.tiny {
		return small
	}
	return full
}

// work is a row made ready.
type work struct {
	spec    spec
	tensors []*tensor.Tensor // what the other side starts from
	// step is what is timed. If asked, it returns what it computed.
	step func(results bool) []*tensor.Tensor
	// warm is a short form of a step that is too long to be made without being timed;
	// nil means that there is no need of one.
	warm func()
	// check returns what is compared; nil means the results of the first steps.
	check     func() ([]*tensor.Tensor, error)
	checks    int          // so many steps are compared; 0 means 1
	tolerance float64      // of the relative error (L2) of each result; 0 means 1e-5
	threads   int          // 0 means all
	close     func()       // gives back what the step holds; may be nil
	captured  func() error // tells why the step is not captured; may be nil
	// host is how many steps are put in a GPU's queue at once where what is timed is
	// the program's own time for a step, without waiting for the GPU; 0 means that the
	// steps are timed.
	host int

	flops, bytes, images float64 // of a step
	// calls is how many operations a step makes where times are those of one; 0 means
	// that they are the step's.
	calls int
}

// results returns what is compared with the other side's.
func (w *work) results() ([]*tensor.Tensor, error) {
	if w.check != nil {
		return w.check()
	}
	var found []*tensor.Tensor
	for range max(w.checks, 1) {
		found = append(found, w.step(true)...)
	}
	return found, nil
}

// rows returns all rows for the CPU, or for a GPU; epoch is the number of images
// for the row epoch/vgg16, which is there if it is not 0.
func rows(epoch int, gpu bool) []row {
	var all []row
	add := func(name, mean string, slow bool, make func(s size) *work) {
		all = append(all, row{name, slow, mean, func(s size) (*work, error) { return make(s), nil }})
	}
	for _, batch := range []int{64, 1, 8, 256} {
		for _, train := range []bool{true, false} {
			name := map[bool]string{true: "train", false: "evaluate"}[train]
			name = fmt.Sprintf("vgg16/%s/%d", name, batch)
			half := strings.Replace(name, "/64", "-bf16/64", 1)
			add(name, "", batch == 256 && !gpu, func(s size) *work { return vgg(s, batch, train, tensor.Float32, eager) })
			if gpu {
				add(name+"/captured", "", false, func(s size) *work { return vgg(s, batch, train, tensor.Float32, captured) })
			}
			if batch == 64 && gpu && train {
				add(name+"/heuristic", "", false, func(s size) *work {
					s.device.SetBenchmark(false)
					w := vgg(s, batch, train, tensor.Float32, eager)
					w.spec.Args.Heuristic = true
					return w
				})
			}
			if batch == 64 && !gpu {
				add(name+oneThread, "", false, func(s size) *work {
					w := vgg(s, batch, train, tensor.Float32, eager)
					w.threads = 1
					return w
				})
			}
			if batch == 64 {
				add(half, "", false, func(s size) *work { return vgg(s, batch, train, tensor.BFloat16, eager) })
			}
			if batch == 64 && gpu {
				add(half+"/captured", "", false, func(s size) *work { return vgg(s, batch, train, tensor.BFloat16, captured) })
			}
		}
	}
	if gpu {
		add("host/add", "", false, func(s size) *work {
			w := function(s, "add", args{}, nil, plus, tensor.Randn(16), tensor.Randn(16))
			w.host = 200
			return w
		})
		add("host/step", "", false, func(s size) *work { return vgg(s, 64, true, tensor.Float32, eager).queued() })
		add("host/replay", "", false, func(s size) *work { return vgg(s, 64, true, tensor.Float32, captured).queued() })
	}
	add("block/basic", "", false, func(s size) *work { return residual(s, 64, 0) })
	add("block/bottleneck", "", false, func(s size) *work { return residual(s, 256, 64) })

	for _, c := range []struct{ in, out, side int }{
		{3, 64, 32}, {64, 64, 32}, {64, 128, 16}, {128, 128, 16}, {128, 256, 8}, {256, 256, 8}, {256, 512, 4}, {512, 512, 4}, {512, 512, 2},
	} {
		for _, part := range []struct {
			name string
			wrt  []int
		}{{"forward", nil}, {"input", []int{0}}, {"weight", []int{1}}} {
			if c.in == 3 && part.name == "input" {
				continue // nobody asks for the gradient of the images
			}
			add(fmt.Sprintf("conv3x3/%dto%d@%d/%s", c.in, c.out, c.side, part.name), "conv3x3/"+part.name, false, func(s size) *work {
				return conv(s, convolution{64, c.in, c.out, c.side, 3, args{Stride: 1, Padding: 1, Groups: 1}}, part.wrt)
			})
		}
	}
	for _, c := range []struct {
		name string
		convolution
	}{
		{"1x1", convolution{32, 256, 256, 14, 1, args{Stride: 1, Groups: 1}}},
		{"3x3stride2", convolution{32, 64, 128, 28, 3, args{Stride: 2, Padding: 1, Groups: 1}}},
		{"7x7stride2", convolution{8, 3, 64, 112, 7, args{Stride: 2, Padding: 3, Groups: 1}}},
		{"grouped", convolution{32, 128, 128, 14, 3, args{Stride: 1, Padding: 1, Groups: 32}}},
		{"depthwise", convolution{32, 128, 128, 28, 3, args{Stride: 1, Padding: 1, Groups: 128}}},
	} {
		add("conv/"+c.name+"/forward", "conv/forward", false, func(s size) *work { return conv(s, c.convolution, nil) })
		add("conv/"+c.name+"/backward", "conv/backward", false, func(s size) *work { return conv(s, c.convolution, []int{0, 1}) })
	}

	for _, g := range []struct {
		name           string
		batch, m, n, k int
		dtype          string
	}{
		{"4096", 1, 4096, 4096, 4096, ""}, {"bf16-4096", 1, 4096, 4096, 4096, "bfloat16"},
		{"1024", 1, 1024, 1024, 1024, ""}, {"256", 1, 256, 256, 256, ""}, {"4096x512x512", 1, 4096, 512, 512, ""}, {"batched64x128", 64, 128, 128, 128, ""},
	} {
		if !gpu && (g.m == g.n && g.m == 4096) {
			continue // a GPU's size
		}
		add("gemm/"+g.name, "gemm", false, func(s size) *work {
			b, m, n, k := s.of(g.batch, min(g.batch, 2)), s.of(g.m, 8), s.of(g.n, 8), s.of(g.k, 8)
			x, y := tensor.Randn(b, m, k), tensor.Randn(b, k, n)
			if g.batch == 1 {
				x, y = x.Reshape(m, k), y.Reshape(k, n)
			}
			w := function(s, "matmul", args{DType: g.dtype}, nil, func(in []*tensor.Tensor) *tensor.Tensor { return in[0].MatMul(in[1]) }, x, y)
			w.flops = 2 * float64(b*m*n*k)
			return w
		})
	}
	// Elementwise operations and the like: images as behind the second convolution of VGG16.
	pictures := func(s size) *tensor.Tensor { return tensor.Randn(s.more(64, 2), s.of(64, 4), s.of(32, 4), s.of(32, 4)) }
	// Forward and backward pass; passes says how often each reads or writes as much as the input holds.
	both := func(name string, passes [2]float64, make func(s size, wrt func(inputs ...int) []int) *work) {
		for i, direction := range []string{"/forward", "/backward"} {
			add(name+direction, "", false, func(s size) *work {
				w := make(s, func(inputs ...int) []int { return inputs[:len(inputs)*i] })
				if w.flops == 0 {
					w.bytes = 4 * passes[i] * float64(w.tensors[0].Len())
				}
				return w
			})
		}
	}
	both("linear", [2]float64{}, func(s size, wrt func(...int) []int) *work {
		n, in, out := s.of(256, 4), s.of(1024, 8), s.of(1024, 8)
		w := function(s, "linear", args{}, wrt(0, 1, 2), func(in []*tensor.Tensor) *tensor.Tensor { return tensor.Linear(in[0], in[1], in[2]) },
			tensor.Randn(n, in), tensor.Randn(out, in), tensor.Randn(out))
		w.flops = 2 * float64(n*in*out) * float64(1+len(wrt(0)))
		return w
	})
	both("batchnorm", [2]float64{2, 3}, func(s size, wrt func(...int) []int) *work {
		x := pictures(s)
		c := x.Size(1)
		return function(s, "batch_norm", args{}, wrt(0, 1, 2), func(in []*tensor.Tensor) *tensor.Tensor {
			return tensor.BatchNorm2d(in[0], in[3], in[4], in[1], in[2], tensor.BatchNormOpts{Training: true})
		}, x, tensor.Randn(c), tensor.Randn(c), tensor.Zeros(c), tensor.Ones(c)).pictures()
	})
	both("relu", [2]float64{2, 3}, func(s size, wrt func(...int) []int) *work {
		return function(s, "relu", args{}, wrt(0), func(in []*tensor.Tensor) *tensor.Tensor { return in[0].ReLU() }, pictures(s)).pictures()
	})
	for _, p := range []struct {
		name string
		args args
	}{{"maxpool2x2", args{Kernel: 2, Stride: 2}}, {"maxpool3x3", args{Kernel: 3, Stride: 2, Padding: 1}}} {
		both(p.name, [2]float64{1.25, 2.25}, func(s size, wrt func(...int) []int) *work {
			opts := tensor.PoolOpts{Kernel: p.args.Kernel, Stride: p.args.Stride, Padding: p.args.Padding}
			return function(s, "max_pool2d", p.args, wrt(0), func(in []*tensor.Tensor) *tensor.Tensor { return tensor.MaxPool2d(in[0], opts) }, pictures(s)).pictures()
		})
	}
	both("softmax", [2]float64{2, 3}, func(s size, wrt func(...int) []int) *work {
		return function(s, "softmax", args{}, wrt(0), func(in []*tensor.Tensor) *tensor.Tensor { return in[0].Softmax(1) }, tensor.Randn(s.more(4096, 4), s.of(1000, 10)))
	})
	both("crossentropy", [2]float64{1, 2}, func(s size, wrt func(...int) []int) *work {
		n, c := s.more(4096, 4), s.of(1000, 10)
		return function(s, "cross_entropy", args{}, wrt(0), func(in []*tensor.Tensor) *tensor.Tensor {
			return tensor.CrossEntropy(in[0], in[1], tensor.CrossEntropyOpts{})
		}, tensor.Randn(n, c), tensor.RandInt(0, int64(c), n))
	})
	add("add/same", "", false, func(s size) *work {
		x := pictures(s)
		w := function(s, "add", args{}, nil, plus, x, tensor.RandnLike(x)).pictures()
		w.bytes = 12 * float64(x.Len())
		return w
	})
	add("add/channels", "", false, func(s size) *work {
		x := pictures(s)
		w := function(s, "add", args{}, nil, plus, x, tensor.Randn(x.Size(1), 1, 1)).pictures()
		w.bytes = 8 * float64(x.Len())
		return w
	})
	for _, r := range []struct {
		name string
		dims []int
	}{{"all", nil}, {"channels", []int{0, 2, 3}}, {"rows", []int{3}}} {
		add("sum/"+r.name, "", false, func(s size) *work {
			x := pictures(s).AddScalar(1) // so that the sum is not small beside what is added
			w := function(s, "sum", args{Dims: r.dims}, nil, func(in []*tensor.Tensor) *tensor.Tensor { return in[0].Sum(r.dims...) }, x).pictures()
			w.bytes = 4 * float64(x.Len())
			return w
		})
	}
	for _, shape := range [][]int{{8, 128, 512}, {64, 197, 768}} {
		both(fmt.Sprintf("layernorm/%dx%dx%d", shape[0], shape[1], shape[2]), [2]float64{2, 3}, func(s size, wrt func(...int) []int) *work {
			n, t, c := s.of(shape[0], 2), s.of(shape[1], 3), s.of(shape[2], 8)
			w := function(s, "layer_norm", args{}, wrt(0, 1, 2), func(in []*tensor.Tensor) *tensor.Tensor {
				return tensor.LayerNorm(in[0], tensor.Shape{c}, in[1], in[2], 1e-5)
			}, tensor.Randn(n, t, c), tensor.Randn(c), tensor.Randn(c))
			w.tolerance = max(w.tolerance, 2e-5) // sums over all rows
			return w
		})
	}
	for _, a := range []struct{ batch, t, heads int }{{8, 128, 8}, {4, 256, 12}} {
		name := fmt.Sprintf("attention/%dx%dx%d", a.batch, a.t, a.heads)
		add(name+"/forward", "", false, func(s size) *work { return attend(s, a.batch, a.t, a.heads, false) })
		add(name+"/both", "", false, func(s size) *work { return attend(s, a.batch, a.t, a.heads, true) })
	}
	add("block/transformer", "", false, transform)
	// Parameters and state are read and written, gradients read.
	add("adam/vgg16", "", false, func(s size) *work {
		return stepped(s, "Adam", 7, func(params []*tensor.Tensor, lr float64) optim.Optimizer { return optim.NewAdam(params, lr) })
	})
	add("sgd/vgg16", "", false, func(s size) *work {
		return stepped(s, "SGD", 5, func(params []*tensor.Tensor, lr float64) optim.Optimizer {
			o := optim.NewSGD(params, lr)
			o.Momentum = 0.9
			return o
		})
	})
	add("rmsprop/vgg16", "", false, func(s size) *work {
		return stepped(s, "RMSprop", 5, func(params []*tensor.Tensor, lr float64) optim.Optimizer { return optim.NewRMSprop(params, lr) })
	})
	add("adagrad/vgg16", "", false, func(s size) *work {
		return stepped(s, "Adagrad", 5, func(params []*tensor.Tensor, lr float64) optim.Optimizer { return optim.NewAdagrad(params, lr) })
	})
	if !gpu { // host/add is a GPU's
		for _, how := range []string{"norecord", "recorded", "backward"} {
			add("small/add/"+how, "", false, func(s size) *work { return small(s, how) })
		}
		add("small/step", "", false, smallStep)
	}

	if !gpu {
		all = append(all, row{"loader/cifar10", false, "", cifar10}, row{"loader/folder", false, "", folder})
	}
	if epoch > 0 {
		all = append(all, row{"epoch/vgg16", false, "", func(s size) (*work, error) { return tutorial(s, epoch) }})
	}
	return all
}

func plus(in []*tensor.Tensor) *tensor.Tensor { return in[0].Add(in[1]) }

// function is the work of one operation on some inputs: the forward pass, or the
// backward pass for the gradients of the inputs that wrt names.
func function(s size, op string, a args, wrt []int, f func(in []*tensor.Tensor) *tensor.Tensor, inputs ...*tensor.Tensor) *work {
	w := &work{spec: spec{Op: op, Args: a, Wrt: wrt}, tensors: slices.Clone(inputs)}
	if s.gpu() {
		// TF32 factors where there are products, and sums in another order.
		w.tolerance = 1e-4
		switch {
		case a.DType != "":
			w.tolerance = 1e-2
		case op == "conv2d" || op == "matmul" || op == "linear":
			w.tolerance = 2e-3
		}
	}
	inputs = slices.Clone(inputs)
	for i, x := range inputs {
		if a.DType == tensor.BFloat16.String() {
			x = x.ToDType(tensor.BFloat16)
		}
		inputs[i] = s.to(x)
	}
	if len(wrt) == 0 {
		in := make([]*tensor.Tensor, len(inputs))
		for i, x := range inputs {
			in[i] = x.NoGrad()
		}
		w.step = func(results bool) (found []*tensor.Tensor) {
			y := f(in)
			if results {
				found = []*tensor.Tensor{y.ToDType(tensor.Float32).Clone()}
			}
			friends.Release(y)
			return found
		}
		return w
	}
	in := slices.Clone(inputs)
	grads := make([]func() *tensor.Tensor, len(wrt))
	keep := false
	for i, at := range wrt {
		in[at], grads[i] = sink(inputs[at], &keep)
	}
	y := f(in)
	g := tensor.RandnLike(y.Detach())
	w.tensors = append(w.tensors, g)
	w.step = func(results bool) (found []*tensor.Tensor) {
		keep = results
		scoped(g, func() { y.Backward(tensor.BackwardOpts{Gradient: g, RetainGraph: true}) })
		if results {
			for _, grad := range grads {
				found = append(found, grad())
			}
		}
		return found
	}
	return w
}

// sink returns x as an input inside of a network: its gradient is computed, but
// not added to a leaf's, which PyTorch's side does not do either. The function
// returns the gradient of the last Backward while keep was set.
func sink(x *tensor.Tensor, keep *bool) (in *tensor.Tensor, grad func() *tensor.Tensor) {
	var kept *tensor.Tensor
	leaf := tensor.Zeros(1).SetRequiresGrad(true)
	in = autograd.Record(autograd.Named("Input"), x.Detach(), []*tensor.Tensor{leaf}, func(g *tensor.Tensor) []*tensor.Tensor {
		if *keep {
			kept = g.Clone().Keep()
		}
		return []*tensor.Tensor{nil}
	})
	return in, func() *tensor.Tensor { return kept }
}

// images says that the tensors are images, for which PyTorch has two layouts.
func (w *work) pictures() *work {
	w.spec.Layouts = true
	return w
}

// convolution is the shape of one.
type convolution struct {
	batch, in, out, side, kernel int
	args                         args
}

func conv(s size, c convolution, wrt []int) *work {
	if s.tiny {
		c.batch, c.side = 2, min(c.side, 9)
		if c.args.Groups == 1 {
			c.in, c.out = min(c.in, 8), min(c.out, 8)
		} else {
			c.args.Groups /= 16
			c.in, c.out = c.in/16, c.out/16
		}
	}
	a := c.args
	opts := tensor.ConvOpts{Stride: a.Stride, Padding: a.Padding, Groups: a.Groups}
	w := function(s, "conv2d", a, wrt, func(in []*tensor.Tensor) *tensor.Tensor { return tensor.Conv2d(in[0], in[1], nil, opts) },
		tensor.Randn(c.batch, c.in, c.side, c.side), tensor.Randn(c.out, c.in/a.Groups, c.kernel, c.kernel)).pictures()
	side := (c.side+2*a.Padding-c.kernel)/a.Stride + 1
	w.flops = 2 * float64(c.batch*c.out*side*side) * float64(c.in/a.Groups*c.kernel*c.kernel) * float64(max(len(wrt), 1))
	return w
}

// tinyCfg is a VGG for tests.
var tinyCfg = models.Cfg{4, "M", 8, "M", 8, "M", 8, "M", 8, "M"}

// vgg16 is the tutorial's model, or one for tests.
func vgg16(s size) (models.Cfg, *models.VGG) {
	cfg := models.VGGCfg("VGG16")
	if s.tiny {
		cfg = tinyCfg
	}
	return cfg, models.NewVGG(cfg, 10)
}

// state returns the tensors of a model's state dict.
func state(m layers.Module) []*tensor.Tensor {
	var found []*tensor.Tensor
	for _, t := range layers.StateDict(m) {
		found = append(found, t.Clone().Detach())
	}
	return found
}

// How a step is made.
const (
	eager    = false // operation by operation
	captured = true  // as a CUDA graph
)

// queued has the program's own time taken, for a few steps that it puts in the GPU's
// queue.
func (w *work) queued() *work {
	w.host, w.images, w.flops = 4, 0, 0
	return w
}

// vgg is a training step of the tutorial, or the evaluation of a batch, in float32
// or with autocast to another type, eager or captured. On a GPU it does not wait for
// the loss.
func vgg(s size, batch int, train bool, dtype tensor.DType, capture bool) *work {
	batch = s.of(batch, min(batch, 2))
	cfg, m := vgg16(s)
	images, labels := tensor.Rand(batch, 3, 32, 32), tensor.RandInt(0, 10, batch)
	criterion := layers.CrossEntropyLoss{}
	w := &work{spec: spec{Op: "classifier", Args: args{Cfg: cfg, Train: train, Captured: capture}, Layouts: true}, images: float64(batch)}
	w.tensors = append(state(m), images, labels)
	if s.device != nil {
		layers.To(m, s.device)
	}
	images, labels = s.to(images), s.to(labels)
	// made makes a step by f, which returns the loss or the outputs.
	made := func(f func(x, y *tensor.Tensor) *tensor.Tensor, wait bool) {
		once := f
		if capture {
			c := tensor.Capture(s.device, f)
			w.close, w.captured = c.Close, c.Err
			once = c.Run
		}
		w.step = func(results bool) (found []*tensor.Tensor) {
			scoped(images, func() {
				out := once(images, labels)
				switch {
				case wait && train:
					out.Item()
				case wait:
					criterion.Forward(out, labels).Item()
				}
				if results {
					found = []*tensor.Tensor{out.ToDType(tensor.Float32).Detach().To(tensor.CPU).Clone().Keep()}
				}
			})
			return found
		}
	}
	forward := m.Forward
	if dtype != tensor.Float32 {
		w.spec.Args.DType = dtype.String()
		forward = func(x *tensor.Tensor) *tensor.Tensor { return m.Forward(x.Autocast(dtype)) }
	}
	if !train {
		layers.Eval(m)
		w.tolerance = 1e-4
		if dtype == tensor.BFloat16 {
			w.tolerance = 0.01 // PyTorch's own outputs are off by 0.002 to 0.003 of those in float32
		}
		if s.gpu() {
			w.tolerance = 0.02 // TF32, or bfloat16 in another order
		}
		w.flops = vggFlops(cfg, batch, false)
		made(func(x, y *tensor.Tensor) *tensor.Tensor {
			out := forward(x.NoGrad())
			if s.gpu() {
				criterion.Forward(out, y)
			}
			return out
		}, !s.gpu())
		return w
	}
	// The first losses must agree; further on Adam makes much of the last bits.
	w.checks, w.tolerance = 2, 0.01
	if batch == 1 && !s.tiny || dtype != tensor.Float32 || s.gpu() {
		// With one image BatchNorm has four values a channel to normalize at the end of the net, and gradients that
		// are small; in bfloat16, and with TF32, the gradients' last bits are far apart.
		w.checks = 1
	}
	w.flops = vggFlops(cfg, batch, true)
	optimizer := optim.NewAdam(layers.Parameters(m), 0.001)
	made(func(x, y *tensor.Tensor) *tensor.Tensor {
		layers.Train(m)
		optimizer.ZeroGrad()
		loss := criterion.Forward(forward(x), y)
		loss.Backward()
		optimizer.Step()
		return loss
	}, !s.gpu())
	return w
}

// scoped calls f with x in a scope, which takes what f computes from x.
func scoped(x *tensor.Tensor, f func()) {
	s := tensor.NewScope()
	x.In(s)
	defer func() {
		x.Keep()
		s.Close()
	}()
	f()
}

// vggFlops counts the operations of the convolutions and the linear layer, with a
// training step as three forward passes less the gradient of the images.
func vggFlops(cfg models.Cfg, batch int, train bool) float64 {
	in, side, first, sum := 3, 32, 0.0, 0.0
	for _, c := range cfg {
		out, ok := c.(int)
		if !ok {
			side /= 2
			continue
		}
		f := 2 * float64(batch*out*in*9*side*side)
		if in == 3 {
			first = f
		}
		sum += f
		in = out
	}
	sum += 2 * float64(batch*in*10)
	if train {
		return 3*sum - first
	}
	return sum
}

// block is a block of a ResNet: convolutions, and the input added to what they
// make. (He et al., Deep Residual Learning for Image Recognition, 2016)
type block struct{ main *layers.Sequential }

func (b *block) Parts() []layers.Part { return []layers.Part{layers.Child("main", b.main)} }

func (b *block) Forward(x *tensor.Tensor) *tensor.Tensor {
	return layers.ReLU{Inplace: true}.Forward(b.main.Forward(x).Add(x))
}

// residual is a block's forward and backward pass: the basic block of two 3×3
// convolutions, or a bottleneck with so many channels in the middle.
func residual(s size, channels, middle int) *work {
	batch, side := s.of(16, 2), s.of(56, 6)
	if s.tiny {
		channels, middle = channels/16, middle/16
	}
	conv := func(in, out, kernel int) []layers.Layer {
		return []layers.Layer{layers.NewConv2d(in, out, kernel, layers.ConvOpts{Padding: kernel / 2, NoBias: true}), layers.NewBatchNorm2d(out)}
	}
	relu := []layers.Layer{layers.ReLU{Inplace: true}}
	var parts [][]layers.Layer
	weights := 2 * channels * channels * 9
	if middle == 0 {
		parts = [][]layers.Layer{conv(channels, channels, 3), relu, conv(channels, channels, 3)}
	} else {
		weights = 2*channels*middle + middle*middle*9
		parts = [][]layers.Layer{conv(channels, middle, 1), relu, conv(middle, middle, 3), relu, conv(middle, channels, 1)}
	}
	m := &block{layers.NewSequential(slices.Concat(parts...)...)}
	w := trained(s, "block", args{Channels: channels, Middle: middle}, m, tensor.Randn(batch, channels, side, side)).pictures()
	w.images = float64(batch)
	// A result that rounding moves across 0 changes what ReLU lets through, and a few in a million do; with TF32 a
	// few in ten thousand.
	w.tolerance = 2e-3
	w.flops = 6 * float64(batch*side*side*weights)
	if s.gpu() {
		w.tolerance = 0.05
	}
	return w
}

// trained is the forward and the backward pass of a part of a model whose result has
// its input's shape.
func trained(s size, op string, a args, m layers.Layer, x *tensor.Tensor) *work {
	g := tensor.RandnLike(x)
	w := &work{spec: spec{Op: op, Args: a}, tensors: append(state(m), x, g)}
	if s.device != nil {
		layers.To(m, s.device)
	}
	x, g = s.to(x), s.to(g)
	w.step = func(results bool) (found []*tensor.Tensor) {
		scoped(x, func() {
			layers.ZeroGrad(m)
			in, grad := sink(x, &results)
			y := m.Forward(in)
			y.Backward(tensor.BackwardOpts{Gradient: g})
			if results {
				found = []*tensor.Tensor{y.Detach().Clone().Keep(), grad()}
				for _, p := range layers.Parameters(m) {
					found = append(found, p.Grad().Clone())
				}
			}
		})
		return found
	}
	return w
}

// stepped is a step of an optimizer for all parameters of VGG16. passes says how often
// it reads or writes as much as they hold.
func stepped(s size, name string, passes float64, optimizer func(params []*tensor.Tensor, lr float64) optim.Optimizer) *work {
	_, m := vgg16(s)
	params := layers.Parameters(m)
	w := &work{spec: spec{Op: "optimizer", Args: args{Optimizer: name}}, checks: 2}
	for _, p := range params {
		w.tensors = append(w.tensors, p.Clone().Detach())
		w.bytes += 4 * passes * float64(p.Len())
	}
	for _, p := range params {
		p.SetGrad(tensor.RandnLike(p.Detach()))
		w.tensors = append(w.tensors, p.Grad().Clone())
	}
	if s.device != nil {
		layers.To(m, s.device)
	}
	o := optimizer(params, 0.001)
	w.step = func(results bool) (found []*tensor.Tensor) {
		o.Step()
		if results {
			for _, p := range params {
				found = append(found, p.Detach().Clone())
			}
		}
		return found
	}
	return w
}
