package tensor

import (
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
)

// PoolOpts are the options of [MaxPool2d] and [AvgPool2d]. A field that ends in
// HW gives height and width their own numbers; it counts where it is not zero.
type PoolOpts struct {
	Kernel, Stride, Padding, Dilation         int    // zeros: stride as the kernel, dilation 1
	KernelHW, StrideHW, PaddingHW, DilationHW [2]int // padding is at most half the kernel; dilation is for MaxPool2d only
	CeilMode                                  bool   // round the size of the result up: the last window may reach past the padded input
	ExcludePad                                bool   // do not count padding in the mean (count_include_pad=False); AvgPool2d only
	Divisor                                   int    // divide sums by this, 0: by the window's size; AvgPool2d only
}

// MaxPool2d takes the maximum of each window of the planes of x, [N C H W] or
// [C H W], of floating-point or whole numbers. Padding never wins, NaN does; the
// gradient goes to the first of equal ones. (torch.nn.functional.max_pool2d)
func MaxPool2d(x *Tensor, opts PoolOpts) *Tensor {
	out, _ := x.maxPool("MaxPool2d", opts.each())
	return out
}

// MaxPool2dWithIndices is MaxPool2d that also tells where in its plane each
// maximum is: an Int64 tensor of the result's shape, with row·W + column.
// (torch.nn.functional.max_pool2d with return_indices=True)
func MaxPool2dWithIndices(x *Tensor, opts PoolOpts) (values, indices *Tensor) {
	const op = "MaxPool2dWithIndices"
	values, g := x.maxPool(op, opts.each())
	indices = result(op, Int64, values.shape, x)
	x.be().MaxPoolIndices(indices.array(), x.array(), values.array(), g)
	return values, autograd.RecordNothing(autograd.Named(op), indices, x)
}

// maxPool is MaxPool2d over one to three dimensions.
func (x *Tensor) maxPool(op string, opts poolOpts) (*Tensor, backend.PoolGeom) {
	if opts.excludePad || opts.divisor != 0 {
		fail(op, "ExcludePad and Divisor are options of AvgPool%dd, want neither", opts.dims)
	}
	if x.DType() == Bool {
		fail(op, "the operand is bool, want a number type; ToDType converts")
	}
	shape, g := x.poolGeom(op, opts)
	out := result(op, x.DType(), shape, x)
	x.be().MaxPool(out.array(), x.array(), g)
	in, y := x.bare(), out.bare()
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := like(op, in, dy)
		in.be().MaxPoolGrad(dx.array(), dy.array(), in.array(), y.array(), g)
		return []*Tensor{dx}
	}, in, y), g
}

// AvgPool2d takes the mean of each window of the planes of x, [N C H W] or
// [C H W]. Padding counts as zeros unless opts.ExcludePad is set. Of Int64 numbers
// the mean is cut to a whole number; sums to 2⁵³ are exact.
// (torch.nn.functional.avg_pool2d)
func AvgPool2d(x *Tensor, opts PoolOpts) *Tensor {
	return x.avgPool("AvgPool2d", opts.each())
}

// avgPool is AvgPool2d over one to three dimensions.
func (x *Tensor) avgPool(op string, opts poolOpts) *Tensor {
	if x.DType() == Int64 {
		return x.ToDType(Float64).avgPool(op, opts).ToDType(Int64)
	}
	if max(opts.dilation[0], opts.dilation[1], opts.dilation[2]) > 1 {
		fail(op, "Dilation is an option of MaxPool%dd, want none", opts.dims)
	}
	x.wantFloat(op)
	shape, g := x.poolGeom(op, opts)
	out := result(op, x.DType(), shape, x)
	x.be().AvgPool(out.array(), x.array(), g)
	from := x.shape
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := result(op, dy.DType(), from, dy)
		dy.be().AvgPoolGrad(dx.array(), dy.array(), g)
		return []*Tensor{dx}
	})
}

// AdaptiveAvgPool2d divides the planes of x, [N C H W] or [C H W], into h × w
// windows that share them as evenly as possible, and takes the mean of each. The
// size -1 leaves an axis as it is. (torch.nn.functional.adaptive_avg_pool2d, where
// it is None)
func AdaptiveAvgPool2d(x *Tensor, h, w int) *Tensor {
	return x.adaptiveAvgPool("AdaptiveAvgPool2d", 2, [3]int{1, h, w})
}

// adaptiveAvgPool is AdaptiveAvgPool2d over one to three dimensions.
func (x *Tensor) adaptiveAvgPool(op string, dims int, size [3]int) *Tensor {
	x.wantFloat(op)
	x.wantPlanes(op, dims, dims)
	if min(size[0], size[1], size[2]) < -1 {
		fail(op, "the size %s of the result is negative, want 0 or more, or -1 for an axis as it is", sizes(dims, size))
	}
	n := len(x.shape) - dims
	g := backend.PoolGeom{Planes: x.shape[:n].Len(), In: last(dims, x.shape), Out: size}
	for d, size := range g.Out {
		if size == -1 {
			g.Out[d] = g.In[d]
		}
	}
	out := result(op, x.DType(), append(x.shape[:n:n], g.Out[3-dims:]...), x)
	x.be().AdaptiveAvgPool(out.array(), x.array(), g)
	from := x.shape
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := result(op, dy.DType(), from, dy)
		dy.be().AdaptiveAvgPoolGrad(dx.array(), dy.array(), g)
		return []*Tensor{dx}
	})
}

// poolOpts is PoolOpts for one to three dimensions: the last so many of each three
// numbers count.
type poolOpts struct {
	dims                              int
	kernel, stride, padding, dilation [3]int
	ceil, excludePad                  bool
	divisor                           int
}

// each returns the options for the height and the width.
func (o PoolOpts) each() poolOpts {
	return poolOpts{
		dims: 2, kernel: pair(1, o.Kernel, o.KernelHW), stride: pair(1, o.Stride, o.StrideHW), padding: pair(0, o.Padding, o.PaddingHW),
		dilation: pair(1, o.Dilation, o.DilationHW), ceil: o.CeilMode, excludePad: o.ExcludePad, divisor: o.Divisor,
	}
}

// wantPlanes panics unless x is a batch of images, or one image, of so many
// dimensions, and the last dimensions, so many, are not empty.
func (x *Tensor) wantPlanes(op string, dims, full int) {
	n := len(x.shape)
	letters := [...]string{1: "L", 2: "H W", 3: "D H W"}[dims]
	if n != dims+1 && n != dims+2 {
		fail(op, "the input is %v, want [N C %s] or [C %s]", x.shape, letters, letters)
	}
	if slices.Contains(x.shape[n-full:], 0) {
		names := strings.Fields(letters)
		if full > dims {
			names = append([]string{"C"}, names...)
		}
		text := names[len(names)-1]
		if len(names) > 1 {
			text = strings.Join(names[:len(names)-1], ", ") + " and " + text
		}
		fail(op, "the input is %v, want %s of 1 or more", x.shape, text)
	}
}

// poolGeom checks the options of pooling and returns the geometry and the shape
// of the result.
func (x *Tensor) poolGeom(op string, o poolOpts) (Shape, backend.PoolGeom) {
	x.wantPlanes(op, o.dims, o.dims+1)
	n := len(x.shape) - o.dims
	g := backend.PoolGeom{
		Planes: x.shape[:n].Len(), In: last(o.dims, x.shape), Out: [3]int{1, 1, 1}, Kernel: o.kernel, Stride: o.stride, Pad: o.padding, Dilation: o.dilation,
		ExcludePad: o.excludePad, Divisor: o.divisor,
	}
	for d, along := range [...]string{"depth", "height", "width"} {
		if d < 3-o.dims {
			continue
		}
		kernel, stride, pad, dilation := g.Kernel[d], &g.Stride[d], g.Pad[d], &g.Dilation[d]
		if *stride == 0 {
			*stride = kernel
		}
		if *dilation == 0 {
			*dilation = 1
		}
		if kernel < 1 || *stride < 1 || *dilation < 1 {
			fail(op, "along the %s the kernel is %d, the stride %d, the dilation %d, want 1 or more", along, kernel, *stride, *dilation)
		}
		if max(kernel, *stride, *dilation) > maxStep {
			fail(op, "along the %s the kernel is %d, the stride %d, the dilation %d, want %d or less", along, kernel, *stride, *dilation, maxStep)
		}
		reach := mul(*dilation, kernel-1) + 1
		if pad < 0 || pad > kernel/2 {
			fail(op, "the padding along the %s is %d for a kernel of %d, want 0 to %d", along, pad, kernel, kernel/2)
		}
		space := g.In[d] + 2*pad - reach
		if o.ceil {
			space += *stride - 1
		}
		if space < 0 {
			fail(op, "a window that reaches over %d elements along the %s does not fit the input %v with padding %d", reach, along, x.shape, pad)
		}
		g.Out[d] = space / *stride + 1
		if o.ceil && (g.Out[d]-1)**stride >= g.In[d]+pad {
			g.Out[d]-- // the last window would begin in the padding behind the input
		}
	}
	return append(x.shape[:n:n], g.Out[3-o.dims:]...), g
}
