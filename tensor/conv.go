package tensor

import (
	"fmt"
	"slices"

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

// pair returns a size for height and width.
func pair(size int, hw [2]int) (h, w int) {
	if hw != [2]int{} {
		return hw[0], hw[1]
	}
	return size, size
}

// geom returns what the options say of a geometry.
func (o ConvOpts) geom(op string, w *Tensor) backend.ConvGeom {
	var g backend.ConvGeom
	g.StrideH, g.StrideW = pair(o.Stride, o.StrideHW)
	g.PadH, g.PadW = pair(o.Padding, o.PaddingHW)
	g.DilationH, g.DilationW = pair(o.Dilation, o.DilationHW)
	g.Groups = o.Groups
	for _, p := range []*int{&g.StrideH, &g.StrideW, &g.DilationH, &g.DilationW, &g.Groups} {
		if *p == 0 {
			*p = 1
		}
	}
	if g.StrideH < 0 || g.StrideW < 0 || g.PadH < 0 || g.PadW < 0 || g.DilationH < 0 || g.DilationW < 0 || g.Groups < 0 {
		failAt(op, w, "stride %d×%d, padding %d×%d, dilation %d×%d and groups %d may not be negative",
			g.StrideH, g.StrideW, g.PadH, g.PadW, g.DilationH, g.DilationW, g.Groups)
	}
	// Sums and products of these must stay far from what an int holds.
	if max(g.StrideH, g.StrideW, g.PadH, g.PadW, g.DilationH, g.DilationW, g.Groups) > maxStep {
		failAt(op, w, "stride %d×%d, padding %d×%d, dilation %d×%d and groups %d may not be larger than %d",
			g.StrideH, g.StrideW, g.PadH, g.PadW, g.DilationH, g.DilationW, g.Groups, maxStep)
	}
	return g
}

// maxStep bounds strides, paddings and the like.
const maxStep = 1 << 24

// wantConv checks what is the same for both kinds of convolution and returns the
// shape of the input with a batch dimension.
func wantConv(op string, x, w, b *Tensor, outputs, groups int) Shape {
	x.wantDType(op, w)
	x.wantFloat(op)
	if len(x.shape) != 3 && len(x.shape) != 4 {
		failAt(op, w, "input %v has %d dimensions, want 4: images, channels, height, width (or 3 for one image)", x.shape, len(x.shape))
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
	if len(x.shape) == 3 {
		return append(Shape{1}, x.shape...)
	}
	return x.shape
}

// Conv2d convolves images x [N C H W] (or one image [C H W]) with the kernels w
// [K C/groups R S] and adds the bias b [K], which may be nil. As everywhere in
// deep learning it is a cross-correlation: kernels are not flipped. The result is
// [N K P Q] with P = (H + 2·padding - dilation·(R-1) - 1)/stride + 1, rounded
// down, and Q likewise. (torch.nn.functional.conv2d)
func Conv2d(x, w, b *Tensor, opts ConvOpts) *Tensor {
	const op = "Conv2d"
	autocast(op, &x, &w, &b)
	x, opts = opts.same(op, x, w)
	shape, g := conv2dGeom(op, x, w, b, opts)
	out := result(op, x.DType(), shape, x, w, b)
	x.be().Conv2d(out.array(), x.array(), w.array(), backend.Array{}, b.array(), g)
	return recordConv(op, out, x, w, b, g.K, func(dx, dy, w *Tensor) {
		dx.be().Conv2dInputGrad(dx.array(), dy.array(), w.array(), g)
	}, func(dw, dy, x *Tensor) {
		dw.be().Conv2dWeightGrad(dw.array(), dy.array(), x.array(), g)
	})
}

// same returns the input and the options of a convolution whose padding keeps the size: with padding on both sides, which half of
// it or, of an odd number, less than half is, and with the rest behind the input already.
func (o ConvOpts) same(op string, x, w *Tensor) (*Tensor, ConvOpts) {
	if !o.Same {
		return x, o
	}
	g := o.geom(op, w)
	if g.StrideH != 1 || g.StrideW != 1 || g.PadH != 0 || g.PadW != 0 {
		failAt(op, w, "stride %d×%d and padding %d×%d do not go with Same, which keeps the size: want stride 1 and no padding", g.StrideH, g.StrideW, g.PadH, g.PadW)
	}
	o.Same = false
	n := len(x.Shape())
	if len(w.Shape()) != 4 || n != 3 && n != 4 {
		return x, o // which are refused
	}
	h, v := max(0, mul(g.DilationH, w.shape[2]-1)), max(0, mul(g.DilationW, w.shape[3]-1))
	o.PaddingHW = [2]int{h / 2, v / 2}
	if h%2 == 0 && v%2 == 0 {
		return x, o
	}
	from, shape := x.shape, slices.Clone(x.shape)
	shape[n-2] += h % 2
	shape[n-1] += v % 2
	out := x.inCorner(op, shape)
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(g *Tensor) []*Tensor { return []*Tensor{g.corner(op, from)} }), o
}

// conv2dGeom checks Conv2d's arguments and returns the result's shape.
func conv2dGeom(op string, x, w, b *Tensor, opts ConvOpts) (Shape, backend.ConvGeom) {
	if len(w.Shape()) != 4 {
		failAt(op, w, "the weight is %v, want 4 dimensions: output channels, input channels of a group, height, width", w.shape)
	}
	g := opts.geom(op, w)
	xs := wantConv(op, x, w, b, w.shape[0], g.Groups)
	if opts.OutputPadding != 0 || opts.OutputPaddingHW != [2]int{} {
		failAt(op, w, "output padding is an option of ConvTranspose2d only")
	}
	g.N, g.C, g.H, g.W = xs[0], xs[1], xs[2], xs[3]
	g.K, g.R, g.S = w.shape[0], w.shape[2], w.shape[3]
	if takes := mul(w.shape[1], g.Groups); g.C != takes {
		failAt(op, w, "input %v has %d channels, weight %v%s takes %d", x.shape, g.C, w.shape, inGroups(g.Groups), takes)
	}
	high, wide := mul(g.DilationH, g.R-1)+1, mul(g.DilationW, g.S-1)+1
	if g.H+2*g.PadH < high || g.W+2*g.PadW < wide || g.R < 1 || g.S < 1 {
		failAt(op, w, "input %v is %d×%d with its padding, smaller than the kernel's %d×%d of the weight %v, want it as large at least",
			x.shape, g.H+2*g.PadH, g.W+2*g.PadW, high, wide, w.shape)
	}
	g.P = (g.H+2*g.PadH-high)/g.StrideH + 1
	g.Q = (g.W+2*g.PadW-wide)/g.StrideW + 1
	return Shape{g.N, g.K, g.P, g.Q}[4-len(x.shape):], g
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
	x, conv = conv.same(op, x, w)
	shape, g := conv2dGeom("Conv2d", x, w, b, conv)
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
	be.Conv2d(out.array(), x.array(), w.array(), scale.array(), shift.array(), g)
	return autograd.RecordNothing(autograd.Named(op), out, x, w, b, normW, normB)
}

// ConvTranspose2d is the transposed convolution of x [N C H W] (or one image
// [C H W]) with the kernels w [C K/groups R S], plus the bias b [K], which may be
// nil: the gradient of Conv2d as an operation, which spreads each input over the
// places that a kernel covers. The result is [N K P Q] with P = (H-1)·stride -
// 2·padding + dilation·(R-1) + 1 + output padding, and Q likewise.
// (torch.nn.functional.conv_transpose2d)
func ConvTranspose2d(x, w, b *Tensor, opts ConvOpts) *Tensor {
	const op = "ConvTranspose2d"
	autocast(op, &x, &w, &b)
	if len(w.Shape()) != 4 {
		failAt(op, w, "the weight is %v, want 4 dimensions: input channels, output channels of a group, height, width", w.shape)
	}
	if opts.Same {
		failAt(op, w, "Same is an option of Conv2d only; padding and output padding set the size of a transposed convolution")
	}
	// The geometry is that of the convolution whose gradient this is: its input is the result here.
	g := opts.geom(op, w)
	channels := mul(w.shape[1], g.Groups)
	xs := wantConv(op, x, w, b, channels, g.Groups)
	g.N, g.K, g.P, g.Q = xs[0], xs[1], xs[2], xs[3]
	g.C, g.R, g.S = channels, w.shape[2], w.shape[3]
	if g.K != w.shape[0] {
		failAt(op, w, "input %v has %d channels, weight %v takes %d", x.shape, g.K, w.shape, w.shape[0])
	}
	moreH, moreW := pair(opts.OutputPadding, opts.OutputPaddingHW)
	if moreH < 0 || moreW < 0 || moreH >= max(g.StrideH, g.DilationH) || moreW >= max(g.StrideW, g.DilationW) {
		failAt(op, w, "output padding %d×%d must be smaller than the stride %d×%d or the dilation %d×%d, and not negative",
			moreH, moreW, g.StrideH, g.StrideW, g.DilationH, g.DilationW)
	}
	g.H = mul(g.P-1, g.StrideH) - 2*g.PadH + mul(g.DilationH, g.R-1) + 1 + moreH
	g.W = mul(g.Q-1, g.StrideW) - 2*g.PadW + mul(g.DilationW, g.S-1) + 1 + moreW
	if g.H < 1 || g.W < 1 || g.R < 1 || g.S < 1 {
		failAt(op, w, "input %v and weight %v give a result of %d×%d, want 1×1 at least", x.shape, w.shape, g.H, g.W)
	}

	shape := Shape{g.N, g.C, g.H, g.W}[4-len(x.shape):]
	var out *Tensor
	if b == nil {
		out = result(op, x.DType(), shape, x, w)
		x.be().Conv2dInputGrad(out.array(), x.array(), w.array(), g)
	} else { // in two operations, which numbers of half width do not round between
		in, weight, bias := x.wide(), w.wide(x), b.wide(x)
		sums := result(op, in.DType(), shape, x, w, b)
		x.be().Conv2dInputGrad(sums.array(), in.array(), weight.array(), g)
		overwriteWith(sums, backend.Add, bias.alias(Shape{channels, 1, 1}))
		if out = sums.cast(x.DType()); out != sums {
			sums.Release()
		}
		x.releaseCopy(in)
		w.releaseCopy(weight)
		b.releaseCopy(bias)
	}
	return recordConv(op, out, x, w, b, channels, func(dx, dy, w *Tensor) {
		dx.be().Conv2d(dx.array(), dy.array(), w.array(), backend.Array{}, backend.Array{}, g)
	}, func(dw, dy, x *Tensor) {
		dw.be().Conv2dWeightGrad(dw.array(), x.array(), dy.array(), g)
	})
}

func inGroups(groups int) string {
	if groups == 1 {
		return ""
	}
	return fmt.Sprintf(" in %d groups", groups)
}

// recordConv records a convolution, given what computes the gradients of input
// and weight.
func recordConv(op string, out, x, w, b *Tensor, channels int, inputGrad func(dx, dy, w *Tensor), weightGrad func(dw, dy, x *Tensor)) *Tensor {
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
		case len(g.shape) == 4 && g.isBalanced(): // behind a BatchNorm2d in training the bias has no effect
			db = result(op, g.DType(), Shape{channels}, g)
			db.be().Fill(db.array(), 0)
		default:
			db = sumTo(g, Shape{channels, 1, 1}).alias(Shape{channels})
		}
		return []*Tensor{dx, dw, db}
	}, saved...)
}
