package tensor

import (
	"slices"

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
	out, _ := x.maxPool2d("MaxPool2d", opts)
	return out
}

// MaxPool2dWithIndices is MaxPool2d that also tells where in its plane each
// maximum is: an Int64 tensor of the result's shape, with row·W + column.
// (torch.nn.functional.max_pool2d with return_indices=True)
func MaxPool2dWithIndices(x *Tensor, opts PoolOpts) (values, indices *Tensor) {
	const op = "MaxPool2dWithIndices"
	values, g := x.maxPool2d(op, opts)
	indices = result(op, Int64, values.shape, x)
	x.be().MaxPool2dIndices(indices.array(), x.array(), values.array(), g)
	return values, autograd.RecordNothing(autograd.Named(op), indices, x)
}

func (x *Tensor) maxPool2d(op string, opts PoolOpts) (*Tensor, backend.PoolGeom) {
	if opts.ExcludePad || opts.Divisor != 0 {
		fail(op, "ExcludePad and Divisor are options of AvgPool2d, want neither")
	}
	if x.DType() == Bool {
		fail(op, "the operand is bool, want a number type; ToDType converts")
	}
	shape, g := x.poolGeom(op, opts)
	out := result(op, x.DType(), shape, x)
	x.be().MaxPool2d(out.array(), x.array(), g)
	in, y := x.bare(), out.bare()
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := like(op, in, dy)
		in.be().MaxPool2dGrad(dx.array(), dy.array(), in.array(), y.array(), g)
		return []*Tensor{dx}
	}, in, y), g
}

// AvgPool2d takes the mean of each window of the planes of x, [N C H W] or
// [C H W]. Padding counts as zeros unless opts.ExcludePad is set. Of Int64 numbers
// the mean is cut to a whole number; sums to 2⁵³ are exact.
// (torch.nn.functional.avg_pool2d)
func AvgPool2d(x *Tensor, opts PoolOpts) *Tensor {
	const op = "AvgPool2d"
	if x.DType() == Int64 {
		return AvgPool2d(x.ToDType(Float64), opts).ToDType(Int64)
	}
	if opts.Dilation > 1 || opts.DilationHW != [2]int{} {
		fail(op, "Dilation is an option of MaxPool2d, want none")
	}
	x.wantFloat(op)
	shape, g := x.poolGeom(op, opts)
	out := result(op, x.DType(), shape, x)
	x.be().AvgPool2d(out.array(), x.array(), g)
	from := x.shape
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := result(op, dy.DType(), from, dy)
		dy.be().AvgPool2dGrad(dx.array(), dy.array(), g)
		return []*Tensor{dx}
	})
}

// AdaptiveAvgPool2d divides the planes of x, [N C H W] or [C H W], into h × w
// windows that share them as evenly as possible, and takes the mean of each. The
// size -1 leaves an axis as it is. (torch.nn.functional.adaptive_avg_pool2d, where
// it is None)
func AdaptiveAvgPool2d(x *Tensor, h, w int) *Tensor {
	const op = "AdaptiveAvgPool2d"
	x.wantFloat(op)
	x.wantPlanes(op, 2)
	if h < -1 || w < -1 {
		fail(op, "the size %d × %d of the result is negative, want 0 or more, or -1 for an axis as it is", h, w)
	}
	n := len(x.shape)
	if h == -1 {
		h = x.shape[n-2]
	}
	if w == -1 {
		w = x.shape[n-1]
	}
	shape := append(x.shape[:n-2:n-2], h, w)
	g := backend.PoolGeom{Planes: x.shape[:n-2].Len(), H: x.shape[n-2], W: x.shape[n-1], P: h, Q: w}
	out := result(op, x.DType(), shape, x)
	x.be().AdaptiveAvgPool2d(out.array(), x.array(), g)
	from := x.shape
	return autograd.Record(autograd.Named(op), out, []*Tensor{x}, func(dy *Tensor) []*Tensor {
		dx := result(op, dy.DType(), from, dy)
		dy.be().AdaptiveAvgPool2dGrad(dx.array(), dy.array(), g)
		return []*Tensor{dx}
	})
}

// wantPlanes panics unless x is a batch of images, or one image, whose last
// dimensions, so many, are not empty.
func (x *Tensor) wantPlanes(op string, last int) {
	n := len(x.shape)
	if n != 3 && n != 4 {
		fail(op, "the input is %v, want [N C H W] or [C H W]", x.shape)
	}
	if slices.Contains(x.shape[n-last:], 0) {
		fail(op, "the input is %v, want %s of 1 or more", x.shape, map[int]string{2: "H and W", 3: "C, H and W"}[last])
	}
}

// poolGeom checks the options of pooling and returns the geometry and the shape
// of the result.
func (x *Tensor) poolGeom(op string, o PoolOpts) (Shape, backend.PoolGeom) {
	x.wantPlanes(op, 3)
	choose := func(both int, each [2]int) [2]int {
		if each != [2]int{} {
			return each
		}
		return [2]int{both, both}
	}
	n := len(x.shape)
	kernel, stride := choose(o.Kernel, o.KernelHW), choose(o.Stride, o.StrideHW)
	pad, dilation := choose(o.Padding, o.PaddingHW), choose(o.Dilation, o.DilationHW)
	shape := append(x.shape[:n-2:n-2], 0, 0)
	for i, along := range []string{"height", "width"} {
		if stride[i] == 0 {
			stride[i] = kernel[i]
		}
		if dilation[i] == 0 {
			dilation[i] = 1
		}
		if kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1 {
			fail(op, "along the %s the kernel is %d, the stride %d, the dilation %d, want 1 or more", along, kernel[i], stride[i], dilation[i])
		}
		if max(kernel[i], stride[i], dilation[i]) > maxStep {
			fail(op, "along the %s the kernel is %d, the stride %d, the dilation %d, want %d or less", along, kernel[i], stride[i], dilation[i], maxStep)
		}
		reach := mul(dilation[i], kernel[i]-1) + 1
		if pad[i] < 0 || pad[i] > kernel[i]/2 {
			fail(op, "the padding along the %s is %d for a kernel of %d, want 0 to %d", along, pad[i], kernel[i], kernel[i]/2)
		}
		size := x.shape[n-2+i]
		space := size + 2*pad[i] - reach
		if o.CeilMode {
			space += stride[i] - 1
		}
		if space < 0 {
			fail(op, "a window that reaches over %d elements along the %s does not fit the input %v with padding %d", reach, along, x.shape, pad[i])
		}
		out := space/stride[i] + 1
		if o.CeilMode && (out-1)*stride[i] >= size+pad[i] {
			out-- // the last window would begin in the padding behind the input
		}
		shape[n-2+i] = out
	}
	return shape, backend.PoolGeom{
		Planes: x.shape[:n-2].Len(), H: x.shape[n-2], W: x.shape[n-1], P: shape[n-2], Q: shape[n-1],
		KernelH: kernel[0], KernelW: kernel[1], StrideH: stride[0], StrideW: stride[1], PadH: pad[0], PadW: pad[1],
		DilationH: dilation[0], DilationW: dilation[1], ExcludePad: o.ExcludePad, Divisor: o.Divisor,
	}
}
