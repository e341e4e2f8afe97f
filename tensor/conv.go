package tensor

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// ConvOpts are the options of [Conv2d], [ConvTranspose2d] and their layers. A zero field
// means PyTorch's default. The fields that end in HW have a size for the height and one
// for the width; where they are not zero they override the single number.
type ConvOpts struct {
	Stride   int  // 0 means 1
	Padding  int  // rows and columns of zeros on each side
	Same     bool // with stride 1: the padding that keeps height and width, one more behind than in front if it is odd (padding='same')
	Dilation int  // distance between the kernel's elements; 0 means 1
	Groups   int  // input and output channels are split into this many groups, each convolved on its own; 0 means 1

	OutputPadding int // ConvTranspose2d only: rows and columns that are added at the bottom and at the right

	StrideHW, PaddingHW, DilationHW, OutputPaddingHW [2]int

	NoBias   bool   // layers only: no bias (bias=False)
	KernelHW [2]int // layers only: the kernel's height and width
}

// each returns the options for the height and the width. What a function reads from
// its operands must not be set.
func (o ConvOpts) each(op string, w *Tensor) ops.Conv {
	if o.NoBias || o.KernelHW != [2]int{} {
		failAt(op, w, "got NoBias %t and KernelHW %v, which are options of layers; want neither, as the bias is an argument and the weight's shape has the kernel", o.NoBias, o.KernelHW)
	}
	return ops.Conv{
		Dims: 2, Stride: deep(1, o.Stride, o.StrideHW), Padding: deep(0, o.Padding, o.PaddingHW), Dilation: deep(1, o.Dilation, o.DilationHW),
		OutputPadding: deep(0, o.OutputPadding, o.OutputPaddingHW), Groups: o.Groups,
	}
}

// deep returns a size for the depth, which images do not have, the height and the width.
func deep(depth, size int, hw [2]int) [3]int {
	hw = ops.Pair(hw, size)
	return [3]int{depth, hw[0], hw[1]}
}

// last returns the last dimensions of a shape, so many, and ones for those that are missing to three.
func last(dims int, shape Shape) [3]int {
	size := [3]int{1, 1, 1}
	copy(size[3-dims:], shape[len(shape)-dims:])
	return size
}

// sizes prints the last numbers, so many.
func sizes(dims int, size [3]int) string {
	text := ""
	for _, n := range size[3-dims:] {
		text += "×" + strconv.Itoa(n)
	}
	return text[len("×"):]
}

// axes names the last dimensions of an image, a signal or a volume.
var axes = [...]string{1: "length", 2: "height, width", 3: "depth, height, width"}

// convSteps returns what the attributes say of a geometry.
func convSteps(name string, w *Tensor, o ops.Conv) backend.ConvGeom {
	g := backend.ConvGeom{Stride: o.Stride, Pad: o.Padding, Dilation: o.Dilation, Groups: o.Groups}
	if g.Groups == 0 {
		g.Groups = 1
	}
	least, most := g.Groups, g.Groups
	for d := range 3 {
		for _, p := range []*int{&g.Stride[d], &g.Dilation[d]} {
			if *p == 0 {
				*p = 1
			}
		}
		least, most = min(least, g.Stride[d], g.Pad[d], g.Dilation[d]), max(most, g.Stride[d], g.Pad[d], g.Dilation[d])
	}
	if least < 0 {
		failAt(name, w, "stride %s, padding %s, dilation %s and groups %d may not be negative",
			sizes(o.Dims, g.Stride), sizes(o.Dims, g.Pad), sizes(o.Dims, g.Dilation), g.Groups)
	}
	// Sums and products of these must stay far from what an int holds.
	if most > maxStep {
		failAt(name, w, "stride %s, padding %s, dilation %s and groups %d may not be larger than %d",
			sizes(o.Dims, g.Stride), sizes(o.Dims, g.Pad), sizes(o.Dims, g.Dilation), g.Groups, maxStep)
	}
	return g
}

// maxStep bounds strides, paddings and the like.
const maxStep = 1 << 24

// wantConv checks what is the same for both kinds of convolution and returns the number of images.
func wantConv(op string, x, w, b *Tensor, dims, outputs, groups int) int {
	x.wantDType(op, w)
	x.wantFloat(op)
	if len(x.shape) != dims+1 && len(x.shape) != dims+2 {
		failAt(op, w, "input %v has %d dimensions, want %d: images, channels, %s (or %d for one image)", x.shape, len(x.shape), dims+2, axes[dims], dims+1)
	}
	if b != nil {
		x.wantDType(op, b)
		if !b.shape.Equal(Shape{outputs}) {
			failAt(op, w, "the bias is %v, want %v, one number for each output channel of the weight %v", b.shape, Shape{outputs}, w.shape)
		}
	}
	if w.shape[0]%groups != 0 {
		failAt(op, w, "the weight %v has %d entries in its first dimension, want a multiple of %d groups", w.shape, w.shape[0], groups)
	}
	if len(x.shape) == dims+1 {
		return 1
	}
	return x.shape[0]
}

// convShape is the shape of n images of channels, or of one if x is one image.
func convShape(x *Tensor, dims, n, channels int, size [3]int) Shape {
	shape := make(Shape, 0, dims+2)
	if len(x.shape) == dims+2 {
		shape = append(shape, n)
	}
	return append(append(shape, channels), size[3-dims:]...)
}

// Conv2d convolves images x [N C H W] (or one image [C H W]) with the kernels w
// [K C/groups R S] and adds the bias b [K], which may be nil. As everywhere in
// deep learning it is a cross-correlation: kernels are not flipped. The result is
// [N K P Q] with P = (H + 2·padding - dilation·(R-1) - 1)/stride + 1, rounded
// down, and Q likewise. (torch.nn.functional.conv2d)
func Conv2d(x, w, b *Tensor, opts ConvOpts) *Tensor {
	return convolve("Conv2d", x, w, b, opts.each("Conv2d", w), opts.Same)
}

// convolve is Conv2d over one to three dimensions.
func convolve(name string, x, w, b *Tensor, o ops.Conv, same bool) *Tensor {
	autocast(name, &x, &w, &b)
	x, o = samePadding(name, x, w, o, same)
	c := newConv(name, x, w, b, o)
	return c.result(x, w, b)
}

// samePadding returns the input and the attributes of a convolution that keeps the size if same says so: with padding on both
// sides, which half of what it needs or, of an odd number, less than half is, and with the rest behind the input already.
func samePadding(name string, x, w *Tensor, o ops.Conv, same bool) (*Tensor, ops.Conv) {
	if !same {
		return x, o
	}
	g := convSteps(name, w, o)
	if g.Stride != [3]int{1, 1, 1} || g.Pad != [3]int{} {
		failAt(name, w, "stride %s and padding %s do not go with Same, which keeps the size: want stride 1 and no padding", sizes(o.Dims, g.Stride), sizes(o.Dims, g.Pad))
	}
	if n := len(x.Shape()); len(w.Shape()) != o.Dims+2 || n != o.Dims+1 && n != o.Dims+2 {
		return x, o // which are refused
	}
	x.wantFloat(name)
	var more [3]int
	for d, taps := range last(o.Dims, w.shape) {
		reach := max(0, mul(g.Dilation[d], taps-1))
		o.Padding[d], more[d] = reach/2, reach%2
	}
	return x.padEnd(o.Dims, more), o
}

// padEnd returns x with zeros at the end of the last dimensions, so many; x itself if there are none.
func (x *Tensor) padEnd(dims int, by [3]int) *Tensor {
	if by == [3]int{} {
		return x
	}
	const name = "PadEnd"
	shape := slices.Clone(x.shape)
	for d := range dims {
		shape[len(shape)-1-d] += by[2-d]
	}
	x.wantFloat(name)
	out := x.inCorner(name, shape)
	if !tracked(name, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.PadEnd{Dims: dims, By: by}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		for d, n := range from {
			if g.shape[d] != n {
				g = g.narrow("Narrow", d, 0, n)
			}
		}
		return []*Tensor{g.Contiguous()} // not a view, which would keep all of g
	})
}

// conv is a convolution: a geometry, and three arrays of which each two make the
// third. With the result's gradient in the place of the result that is the gradients
// too, and the gradients of these.
type conv struct {
	name    string // of what the program has called
	dims    int
	g       backend.ConvGeom
	x, w, y Shape
}

// newConv checks a convolution's arguments.
func newConv(name string, x, w, b *Tensor, o ops.Conv) conv {
	dims := o.Dims
	if len(w.Shape()) != dims+2 {
		failAt(name, w, "the weight is %v, want %d dimensions: output channels, input channels of a group, %s", w.shape, dims+2, axes[dims])
	}
	g := convSteps(name, w, o)
	g.N = wantConv(name, x, w, b, dims, w.shape[0], g.Groups)
	if o.OutputPadding != [3]int{} {
		failAt(name, w, "output padding is an option of ConvTranspose%dd only", dims)
	}
	g.C, g.K = x.shape[len(x.shape)-dims-1], w.shape[0]
	g.In, g.Kernel = last(dims, x.shape), last(dims, w.shape)
	if takes := mul(w.shape[1], g.Groups); g.C != takes {
		failAt(name, w, "input %v has %d channels, weight %v%s takes %d", x.shape, g.C, w.shape, inGroups(g.Groups), takes)
	}
	var padded, reach [3]int
	fits := true
	for d := range 3 {
		padded[d], reach[d] = g.In[d]+2*g.Pad[d], mul(g.Dilation[d], g.Kernel[d]-1)+1
		fits = fits && padded[d] >= reach[d] && g.Kernel[d] >= 1
		g.Out[d] = (padded[d]-reach[d])/g.Stride[d] + 1
	}
	if !fits {
		failAt(name, w, "input %v is %s with its padding, smaller than the kernel's %s of the weight %v, want it as large at least",
			x.shape, sizes(dims, padded), sizes(dims, reach), w.shape)
	}
	return conv{name: name, dims: dims, g: g, x: x.shape, w: w.shape, y: convShape(x, dims, g.N, g.K, g.Out)}
}

// op is the convolution's value.
func (c *conv) op() ops.Conv {
	return ops.Conv{Dims: c.dims, Stride: c.g.Stride, Padding: c.g.Pad, Dilation: c.g.Dilation, Groups: c.g.Groups}
}

// transposed is the value of the transposed convolution, whose result is as large as the input.
func (c *conv) transposed() ops.Conv {
	o := c.op()
	o.Transposed = true
	for d := range 3 {
		o.OutputPadding[d] = c.g.In[d] - reached(c.g, d)
	}
	return o
}

// result convolves x with w, and adds b, which may be nil.
func (c conv) result(x, w, b *Tensor) *Tensor {
	for d := range 3 {
		// Behind what a transposed convolution with dilation reaches, more windows may fit than it had. They are left out.
		if n := (c.g.In[d]+2*c.g.Pad[d]-mul(c.g.Dilation[d], c.g.Kernel[d]-1)-1)/c.g.Stride[d] + 1; n > c.g.Out[d] {
			all, at := c, len(c.y)-3+d
			all.g.Out[d], all.y = n, slices.Clone(c.y)
			all.y[at] = n
			return all.result(x, w, b).narrow("Narrow", at, 0, c.g.Out[d])
		}
	}
	x, w = x.Contiguous(), w.Contiguous()
	out := result(c.name, x.DType(), c.y, x, w, b)
	x.be().Conv(out.array(), x.array(), w.array(), backend.Array{}, b.array(), c.g)
	if !tracked(c.name, out, x, w, b) {
		return out
	}
	return c.recordResult(out, x, w, b)
}

// recordResult is a function of its own so that c is on the heap only where it is called.
func (c conv) recordResult(out, x, w, b *Tensor) *Tensor {
	xs, ws := x.saved(), w.saved()
	needX, needW, needB := x.RequiresGrad(), w.RequiresGrad(), b != nil && b.RequiresGrad()
	return autograd.Record(c.op(), out, []*Tensor{x, w, b}, func(g *Tensor) []*Tensor {
		var dx, dw, db *Tensor
		if needX {
			dx = c.inputGrad(g, with(g, ws))
		}
		if needW {
			dw = c.weightGrad(g, with(g, xs))
		}
		if needB {
			db = c.biasGrad(g)
		}
		return []*Tensor{dx, dw, db}
	}, needed(needX, w, needW, x)...)
}

// needed returns those of two values that a closure reads for the gradients of the other, each if that is needed.
func needed(needX bool, w *Tensor, needW bool, x *Tensor) (saved []*Tensor) {
	if needX {
		saved = append(saved, w)
	}
	if needW {
		saved = append(saved, x)
	}
	return saved
}

// biasGrad adds the result's gradient up for each channel of the bias.
func (c *conv) biasGrad(g *Tensor) *Tensor {
	channels := g.shape[len(g.shape)-c.dims-1]
	if len(g.shape) == c.dims+2 && g.isBalanced() { // behind a BatchNorm2d in training the bias has no effect
		return zeroGrad(g, Shape{channels})
	}
	return sumTo(g, perChannel(channels, c.dims)).view("View", Shape{channels})
}

// inputGrad returns the input's gradient, which is a transposed convolution of the result's.
func (c conv) inputGrad(y, w *Tensor) *Tensor {
	y, w = y.Contiguous(), w.Contiguous()
	out := result(c.name, y.DType(), c.x, y, w)
	y.be().ConvInputGrad(out.array(), y.array(), w.array(), c.g)
	if !tracked(c.name, out, y, w) {
		return out
	}
	return c.recordInputGrad(out, y, w, nil)
}

// recordInputGrad records a transposed convolution.
func (c conv) recordInputGrad(out, y, w, b *Tensor) *Tensor {
	ys, ws := y.saved(), w.saved()
	needY, needW, needB := y.RequiresGrad(), w.RequiresGrad(), b != nil && b.RequiresGrad()
	return autograd.Record(c.transposed(), out, []*Tensor{y, w, b}, func(g *Tensor) []*Tensor {
		var dy, dw, db *Tensor
		if needY {
			dy = c.result(g, with(g, ws), nil)
		}
		if needW {
			dw = c.weightGrad(with(g, ys), g)
		}
		if needB {
			db = c.biasGrad(g)
		}
		return []*Tensor{dy, dw, db}
	}, needed(needY, w, needW, y)...)
}

// weightGrad returns the weight's gradient from the result's and the input.
func (c conv) weightGrad(y, x *Tensor) *Tensor {
	y, x = y.Contiguous(), x.Contiguous()
	out := result(c.name, y.DType(), c.w, y, x)
	y.be().ConvWeightGrad(out.array(), y.array(), x.array(), c.g)
	if !tracked(c.name, out, y, x) {
		return out
	}
	return c.recordWeightGrad(out, y, x)
}

func (c conv) recordWeightGrad(out, y, x *Tensor) *Tensor {
	ys, xs := y.saved(), x.saved()
	needY, needX := y.RequiresGrad(), x.RequiresGrad()
	return autograd.Record(ops.ConvWeightGrad{Conv: c.op(), Kernel: c.g.Kernel}, out, []*Tensor{y, x}, func(g *Tensor) []*Tensor {
		var dy, dx *Tensor
		if needY {
			dy = c.result(with(g, xs), g, nil)
		}
		if needX {
			dx = c.inputGrad(with(g, ys), g)
		}
		return []*Tensor{dy, dx}
	}, needed(needY, x, needX, y)...)
}

// convWeightGrad computes a weight's gradient that was recorded again.
func convWeightGrad(o ops.ConvWeightGrad, y, x *Tensor) *Tensor {
	name := o.Name()
	g := convSteps(name, nil, o.Conv)
	g.N, g.C, g.K = 1, x.shape[len(x.shape)-o.Dims-1], y.shape[len(y.shape)-o.Dims-1]
	if len(x.shape) == o.Dims+2 {
		g.N = x.shape[0]
	}
	g.In, g.Out, g.Kernel = last(o.Dims, x.shape), last(o.Dims, y.shape), o.Kernel
	w := append(Shape{g.K, g.C / g.Groups}, g.Kernel[3-o.Dims:]...)
	return conv{name: name, dims: o.Dims, g: g, x: x.shape, w: w, y: y.shape}.weightGrad(y, x)
}

// Conv2dBatchNorm returns BatchNorm2d(Conv2d(x, w, b, opts), runningMean,
// runningVar, normW, normB, norm), up to rounding. With running statistics, and
// where no gradient is recorded, it does so in one pass: the normalization is a
// factor and a summand of each channel, which the convolution applies to its
// sums. Otherwise it calls the two operations. (torch.nn.utils.fusion.fuse_conv_bn_eval)
func Conv2dBatchNorm(x, w, b, runningMean, runningVar, normW, normB *Tensor, opts ConvOpts, norm BatchNormOpts) *Tensor {
	return conv2dBatchNorm(x, w, b, runningMean, runningVar, normW, normB, opts.each("Conv2dBatchNorm", w), opts.Same, norm)
}

func conv2dBatchNorm(x, w, b, runningMean, runningVar, normW, normB *Tensor, o ops.Conv, same bool, norm BatchNormOpts) *Tensor {
	const op = "Conv2dBatchNorm"
	eps := norm.eps(op, normW, norm.Training || runningMean == nil)
	fits := !norm.Training && runningMean != nil && runningVar != nil && len(x.Shape()) == 4 && w != nil
	for _, p := range []*Tensor{runningMean, runningVar, normW, normB} {
		fits = fits && (p == nil || len(w.shape) > 0 && p.shape.Equal(w.shape[:1]) && (p.DType() == x.DType() || p.DType() == Float32 && x.AutocastType() != Float32))
	}
	if !fits || autograd.Records(op, x, w, b, normW, normB) {
		y := convolve("Conv2d", x, w, b, o, same)
		z := BatchNorm2d(y, runningMean, runningVar, normW, normB, norm)
		if z.IsNoGrad() {
			y.release()
		}
		return z
	}
	bias := b
	autocast(op, &x, &w, &b)
	x, o = samePadding(op, x, w, o, same)
	c := newConv("Conv2d", x, w, b, o)
	c.g.ReLU = norm.ReLU
	out := result(op, x.DType(), c.y, x, w, b, runningMean, runningVar, normW, normB)
	be, channels := x.be(), Shape{c.g.K}
	// Factor and summand are computed in Float32 beside x of half precision.
	t := wideType(runningVar.DType())
	mean, variance, normWide, normBias := runningMean.wide(), runningVar.wide(), normW.wide(), normB.wide()
	scale, shift := alloc(op, x.storage.device, t, channels), alloc(op, x.storage.device, t, channels)
	defer scale.release()
	defer shift.release()
	be.BinaryScalar(scale.array(), variance.array(), eps, false, backend.Add)
	be.Unary(scale.array(), scale.array(), backend.Rsqrt, backend.UnaryParams{})
	if normW != nil {
		be.Binary(scale.array(), scale.array(), normWide.array(), backend.Mul, backend.BinaryGeom{})
	}
	if bias != nil {
		be.Binary(shift.array(), bias.wide().array(), mean.array(), backend.Sub, backend.BinaryGeom{})
	} else {
		be.Unary(shift.array(), mean.array(), backend.Neg, backend.UnaryParams{})
	}
	be.Binary(shift.array(), shift.array(), scale.array(), backend.Mul, backend.BinaryGeom{})
	if normB != nil {
		be.Binary(shift.array(), shift.array(), normBias.array(), backend.Add, backend.BinaryGeom{})
	}
	be.Conv(out.array(), x.array(), w.array(), scale.array(), shift.array(), c.g)
	if !tracked(op, out, x, w, b, normW, normB) {
		return out
	}
	return autograd.RecordNothing(ops.ConvBatchNorm{Conv: c.op(), Eps: eps, ReLU: norm.ReLU}, out, x, w, b, runningMean, runningVar, normW, normB)
}

// ConvTranspose2d is the transposed convolution of x [N C H W] (or one image
// [C H W]) with the kernels w [C K/groups R S], plus the bias b [K], which may be
// nil: the gradient of Conv2d as an operation, which spreads each input over the
// places that a kernel covers. The result is [N K P Q] with P = (H-1)·stride -
// 2·padding + dilation·(R-1) + 1 + output padding, and Q likewise.
// (torch.nn.functional.conv_transpose2d)
func ConvTranspose2d(x, w, b *Tensor, opts ConvOpts) *Tensor {
	return convolveTransposed("ConvTranspose2d", x, w, b, opts.each("ConvTranspose2d", w), opts.Same)
}

// convolveTransposed is ConvTranspose2d over one to three dimensions.
func convolveTransposed(name string, x, w, b *Tensor, o ops.Conv, same bool) *Tensor {
	autocast(name, &x, &w, &b)
	dims := o.Dims
	if len(w.Shape()) != dims+2 {
		failAt(name, w, "the weight is %v, want %d dimensions: input channels, output channels of a group, %s", w.shape, dims+2, axes[dims])
	}
	if same {
		failAt(name, w, "Same is an option of Conv%dd only; padding and output padding set the size of a transposed convolution", dims)
	}
	// The geometry is that of the convolution whose gradient this is: its input is the result here.
	g := convSteps(name, w, o)
	channels := mul(w.shape[1], g.Groups)
	g.N = wantConv(name, x, w, b, dims, channels, g.Groups)
	g.K, g.C = x.shape[len(x.shape)-dims-1], channels
	g.Out, g.Kernel = last(dims, x.shape), last(dims, w.shape)
	if g.K != w.shape[0] {
		failAt(name, w, "input %v has %d channels, weight %v takes %d", x.shape, g.K, w.shape, w.shape[0])
	}
	fits := true
	for d, more := range o.OutputPadding {
		if more < 0 || more >= max(g.Stride[d], g.Dilation[d]) {
			failAt(name, w, "output padding %s must be smaller than the stride %s or the dilation %s, and not negative",
				sizes(dims, o.OutputPadding), sizes(dims, g.Stride), sizes(dims, g.Dilation))
		}
		g.In[d] = reached(g, d) + more
		fits = fits && g.In[d] >= 1 && g.Kernel[d] >= 1
	}
	if !fits {
		failAt(name, w, "input %v and weight %v give a result of %s, want %s at least", x.shape, w.shape, sizes(dims, g.In), sizes(dims, [3]int{1, 1, 1}))
	}

	x, w = x.Contiguous(), w.Contiguous()
	c := conv{name: name, dims: dims, g: g, x: convShape(x, dims, g.N, channels, g.In), w: w.shape, y: x.shape}
	if b == nil {
		return c.inputGrad(x, w)
	}
	// In two operations, which numbers of half precision do not round between.
	in, weight, bias := x.wide(), w.wide(x), b.wide(x)
	sums := result(name, in.DType(), c.x, x, w, b)
	x.be().ConvInputGrad(sums.array(), in.array(), weight.array(), g)
	overwriteWith(sums, backend.Add, bias.alias(perChannel(channels, dims)))
	out := sums.cast(x.DType())
	if out != sums {
		sums.release()
	}
	x.releaseCopy(in)
	w.releaseCopy(weight)
	b.releaseCopy(bias)
	if !tracked(name, out, x, w, b) {
		return out
	}
	return c.recordInputGrad(out, x, w, b)
}

// reached is the size of an input that windows reach along dimension d, less the padding.
func reached(g backend.ConvGeom, d int) int {
	return mul(g.Out[d]-1, g.Stride[d]) - 2*g.Pad[d] + mul(g.Dilation[d], g.Kernel[d]-1) + 1
}

// perChannel is the shape of one number for each channel, beside so many dimensions.
func perChannel(channels, dims int) Shape {
	return Shape{channels, 1, 1, 1}[:dims+1]
}

func inGroups(groups int) string {
	if groups == 1 {
		return ""
	}
	return fmt.Sprintf(" in %d groups", groups)
}
