package tensor

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// ConvOpts are the options of [Conv2d] and [ConvTranspose2d]. A zero field means
// PyTorch's default: stride 1, no padding, dilation 1, one group. The fields
// that end in HW say the same for height and width each and go before the others.
type ConvOpts struct {
	Stride, Padding, Dilation       int
	StrideHW, PaddingHW, DilationHW [2]int
	Groups                          int
	Same                            bool // of Conv2d with stride 1: the padding that keeps height and width, one more behind than in front if it is odd (padding='same')
	OutputPadding                   int  // of ConvTranspose2d: rows and columns that are added at the bottom and at the right
	OutputPaddingHW                 [2]int
}

// convOpts is ConvOpts for a convolution over one to three dimensions: the last so
// many of each three numbers count.
type convOpts struct {
	dims                               int
	stride, padding, dilation, outputs [3]int // outputs is the output padding
	groups                             int
	same                               bool
}

// each returns the options for the height and the width.
func (o ConvOpts) each() convOpts {
	return convOpts{
		dims: 2, stride: pair(1, o.Stride, o.StrideHW), padding: pair(0, o.Padding, o.PaddingHW), dilation: pair(1, o.Dilation, o.DilationHW),
		outputs: pair(0, o.OutputPadding, o.OutputPaddingHW), groups: o.Groups, same: o.Same,
	}
}

// pair returns a size for height and width, and one for the depth that there is not.
func pair(depth, size int, hw [2]int) [3]int {
	if hw != [2]int{} {
		return [3]int{depth, hw[0], hw[1]}
	}
	return [3]int{depth, size, size}
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

// geom returns what the options say of a geometry.
func (o convOpts) geom(op string, w *Tensor) backend.ConvGeom {
	g := backend.ConvGeom{Stride: o.stride, Pad: o.padding, Dilation: o.dilation, Groups: o.groups}
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
		failAt(op, w, "stride %s, padding %s, dilation %s and groups %d may not be negative",
			sizes(o.dims, g.Stride), sizes(o.dims, g.Pad), sizes(o.dims, g.Dilation), g.Groups)
	}
	// Sums and products of these must stay far from what an int holds.
	if most > maxStep {
		failAt(op, w, "stride %s, padding %s, dilation %s and groups %d may not be larger than %d",
			sizes(o.dims, g.Stride), sizes(o.dims, g.Pad), sizes(o.dims, g.Dilation), g.Groups, maxStep)
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
	return convolve("Conv2d", x, w, b, opts.each())
}

// convolve is Conv2d over one to three dimensions.
func convolve(op string, x, w, b *Tensor, opts convOpts) *Tensor {
	autocast(op, &x, &w, &b)
	x, opts = opts.keeps(op, x, w)
	shape, g := convGeom(op, x, w, b, opts)
	out := result(op, x.DType(), shape, x, w, b)
	x.be().Conv(out.array(), x.array(), w.array(), backend.Array{}, b.array(), g)
	return recordConv(op, out, x, w, b, opts.dims, g.K, func(dx, dy, w *Tensor) {
		dx.be().ConvInputGrad(dx.array(), dy.array(), w.array(), g)
	}, func(dw, dy, x *Tensor) {
		dw.be().ConvWeightGrad(dw.array(), dy.array(), x.array(), g)
	})
}

// keeps returns the input and the options of a convolution whose padding keeps the size: with padding on both sides, which half of
// it or, of an odd number, less than half is, and with the rest behind the input already.
func (o convOpts) keeps(op string, x, w *Tensor) (*Tensor, convOpts) {
	if !o.same {
		return x, o
	}
	g := o.geom(op, w)
	if g.Stride != [3]int{1, 1, 1} || g.Pad != [3]int{} {
		failAt(op, w, "stride %s and padding %s do not go with Same, which keeps the size: want stride 1 and no padding", sizes(o.dims, g.Stride), sizes(o.dims, g.Pad))
	}
	o.same = false
	n := len(x.Shape())
	if len(w.Shape()) != o.dims+2 || n != o.dims+1 && n != o.dims+2 {
		return x, o // which are refused
	}
	from, shape := x.shape, slices.Clone(x.shape)
	for d, taps := range last(o.dims, w.shape) {
		reach := max(0, mul(g.Dilation[d], taps-1))
		o.padding[d] = reach / 2
		if reach%2 != 0 {
			shape[n-3+d]++
		}
	}
	if shape.Equal(from) {
		return x, o
	}
	out := x.inCorner(op, shape)
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.corner(op, from)} }), o
}

// convGeom checks a convolution's arguments and returns the result's shape.
func convGeom(op string, x, w, b *Tensor, opts convOpts) (Shape, backend.ConvGeom) {
	dims := opts.dims
	if len(w.Shape()) != dims+2 {
		failAt(op, w, "the weight is %v, want %d dimensions: output channels, input channels of a group, %s", w.shape, dims+2, axes[dims])
	}
	g := opts.geom(op, w)
	g.N = wantConv(op, x, w, b, dims, w.shape[0], g.Groups)
	if opts.outputs != [3]int{} {
		failAt(op, w, "output padding is an option of ConvTranspose%dd only", dims)
	}
	g.C, g.K = x.shape[len(x.shape)-dims-1], w.shape[0]
	g.In, g.Kernel = last(dims, x.shape), last(dims, w.shape)
	if takes := mul(w.shape[1], g.Groups); g.C != takes {
		failAt(op, w, "input %v has %d channels, weight %v%s takes %d", x.shape, g.C, w.shape, inGroups(g.Groups), takes)
	}
	var padded, reach [3]int
	fits := true
	for d := range 3 {
		padded[d], reach[d] = g.In[d]+2*g.Pad[d], mul(g.Dilation[d], g.Kernel[d]-1)+1
		fits = fits && padded[d] >= reach[d] && g.Kernel[d] >= 1
		g.Out[d] = (padded[d]-reach[d])/g.Stride[d] + 1
	}
	if !fits {
		failAt(op, w, "input %v is %s with its padding, smaller than the kernel's %s of the weight %v, want it as large at least",
			x.shape, sizes(dims, padded), sizes(dims, reach), w.shape)
	}
	return convShape(x, dims, g.N, g.K, g.Out), g
}

// Conv2dBatchNorm returns BatchNorm2d(Conv2d(x, w, b, conv), runningMean,
// runningVar, normW, normB, norm), up to rounding. With running statistics, and
// where no gradient is recorded, it does so in one pass: the normalization is a
// factor and a summand of each channel, which the convolution applies to its
// sums. Otherwise it calls the two operations. (torch.nn.utils.fusion.fuse_conv_bn_eval)
func Conv2dBatchNorm(x, w, b, runningMean, runningVar, normW, normB *Tensor, conv ConvOpts, norm BatchNormOpts) *Tensor {
	const op = "Conv2dBatchNorm"
	eps := norm.eps(op, normW, norm.Training || runningMean == nil)
	fits := !norm.Training && runningMean != nil && runningVar != nil && len(x.Shape()) == 4 && w != nil
	for _, p := range []*Tensor{runningMean, runningVar, normW, normB} {
		fits = fits && (p == nil || len(w.shape) > 0 && p.shape.Equal(w.shape[:1]) && (p.DType() == x.DType() || p.DType() == Float32 && x.AutocastType() != Float32))
	}
	if !fits || autograd.Records(op, x, w, b, normW, normB) {
		y := Conv2d(x, w, b, conv)
		z := BatchNorm2d(y, runningMean, runningVar, normW, normB, norm)
		if z.IsNoGrad() {
			y.Release()
		}
		return z
	}
	bias := b
	autocast(op, &x, &w, &b)
	x, opts := conv.each().keeps(op, x, w)
	shape, g := convGeom("Conv2d", x, w, b, opts)
	g.ReLU = norm.ReLU
	out := result(op, x.DType(), shape, x, w, b, runningMean, runningVar, normW, normB)
	be, channels := x.be(), Shape{g.K}
	// Factor and summand are computed in Float32 beside x of half width.
	t := wideType(runningVar.DType())
	mean, variance, normWide, normBias := runningMean.wide(), runningVar.wide(), normW.wide(), normB.wide()
	scale, shift := alloc(op, x.storage.device, t, channels), alloc(op, x.storage.device, t, channels)
	defer scale.Release()
	defer shift.Release()
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
	be.Conv(out.array(), x.array(), w.array(), scale.array(), shift.array(), g)
	return autograd.RecordNothing(autograd.Named(op), out, x, w, b, normW, normB)
}

// ConvTranspose2d is the transposed convolution of x [N C H W] (or one image
// [C H W]) with the kernels w [C K/groups R S], plus the bias b [K], which may be
// nil: the gradient of Conv2d as an operation, which spreads each input over the
// places that a kernel covers. The result is [N K P Q] with P = (H-1)·stride -
// 2·padding + dilation·(R-1) + 1 + output padding, and Q likewise.
// (torch.nn.functional.conv_transpose2d)
func ConvTranspose2d(x, w, b *Tensor, opts ConvOpts) *Tensor {
	return convolveTransposed("ConvTranspose2d", x, w, b, opts.each())
}

// convolveTransposed is ConvTranspose2d over one to three dimensions.
func convolveTransposed(op string, x, w, b *Tensor, opts convOpts) *Tensor {
	autocast(op, &x, &w, &b)
	dims := opts.dims
	if len(w.Shape()) != dims+2 {
		failAt(op, w, "the weight is %v, want %d dimensions: input channels, output channels of a group, %s", w.shape, dims+2, axes[dims])
	}
	if opts.same {
		failAt(op, w, "Same is an option of Conv%dd only; padding and output padding set the size of a transposed convolution", dims)
	}
	// The geometry is that of the convolution whose gradient this is: its input is the result here.
	g := opts.geom(op, w)
	channels := mul(w.shape[1], g.Groups)
	g.N = wantConv(op, x, w, b, dims, channels, g.Groups)
	g.K, g.C = x.shape[len(x.shape)-dims-1], channels
	g.Out, g.Kernel = last(dims, x.shape), last(dims, w.shape)
	if g.K != w.shape[0] {
		failAt(op, w, "input %v has %d channels, weight %v takes %d", x.shape, g.K, w.shape, w.shape[0])
	}
	more, fits := opts.outputs, true
	for d, n := range more {
		if n < 0 || n >= max(g.Stride[d], g.Dilation[d]) {
			failAt(op, w, "output padding %s must be smaller than the stride %s or the dilation %s, and not negative",
				sizes(dims, more), sizes(dims, g.Stride), sizes(dims, g.Dilation))
		}
		g.In[d] = mul(g.Out[d]-1, g.Stride[d]) - 2*g.Pad[d] + mul(g.Dilation[d], g.Kernel[d]-1) + 1 + n
		fits = fits && g.In[d] >= 1 && g.Kernel[d] >= 1
	}
	if !fits {
		failAt(op, w, "input %v and weight %v give a result of %s, want %s at least", x.shape, w.shape, sizes(dims, g.In), sizes(dims, [3]int{1, 1, 1}))
	}

	shape := convShape(x, dims, g.N, channels, g.In)
	var out *Tensor
	if b == nil {
		out = result(op, x.DType(), shape, x, w)
		x.be().ConvInputGrad(out.array(), x.array(), w.array(), g)
	} else { // in two operations, which numbers of half width do not round between
		in, weight, bias := x.wide(), w.wide(x), b.wide(x)
		sums := result(op, in.DType(), shape, x, w, b)
		x.be().ConvInputGrad(sums.array(), in.array(), weight.array(), g)
		overwriteWith(sums, backend.Add, bias.alias(perChannel(channels, dims)))
		if out = sums.cast(x.DType()); out != sums {
			sums.Release()
		}
		x.releaseCopy(in)
		w.releaseCopy(weight)
		b.releaseCopy(bias)
	}
	return recordConv(op, out, x, w, b, dims, channels, func(dx, dy, w *Tensor) {
		dx.be().Conv(dx.array(), dy.array(), w.array(), backend.Array{}, backend.Array{}, g)
	}, func(dw, dy, x *Tensor) {
		dw.be().ConvWeightGrad(dw.array(), x.array(), dy.array(), g)
	})
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

// recordConv records a convolution, given what computes the gradients of input
// and weight.
func recordConv(op string, out, x, w, b *Tensor, dims, channels int, inputGrad func(dx, dy, w *Tensor), weightGrad func(dw, dy, x *Tensor)) *Tensor {
	in, weight := x.bare(), w.bare()
	needX, needW, needB := x.RequiresGrad(), w.RequiresGrad(), b != nil && b.RequiresGrad()
	var saved []*Tensor
	if needX {
		saved = append(saved, w)
	}
	if needW {
		saved = append(saved, x)
	}
	return autograd.Record(autograd.Named(op), out, []*Tensor{x, w, b}, func(g *Tensor) []*Tensor {
		var dx, dw, db *Tensor
		if needX {
			dx = like(op, in, g)
			inputGrad(dx, g, weight)
		}
		if needW {
			dw = like(op, weight, g)
			weightGrad(dw, g, in)
		}
		switch {
		case !needB:
		case len(g.shape) == dims+2 && g.isBalanced(): // behind a BatchNorm2d in training the bias has no effect
			db = result(op, g.DType(), Shape{channels}, g)
			db.be().Fill(db.array(), 0)
		default:
			db = sumTo(g, perChannel(channels, dims)).alias(Shape{channels})
		}
		return []*Tensor{dx, dw, db}
	}, saved...)
}
