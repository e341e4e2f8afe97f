package tensor

import (
	"slices"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/ops"
)

// PoolOpts are the options of pooling functions and layers. A zero field means PyTorch's
// default. The fields that end in HW have a size for the height and one for the width;
// where they are not zero they override the single number.
type PoolOpts struct {
	Kernel, Stride int  // arguments of layers; stride 0 means the kernel's size
	Padding        int  // on each side, at most half the kernel
	Dilation       int  // MaxPool2d only: distance between a window's elements; 0 means 1
	CeilMode       bool // round the size of the result up: the last window may reach past the padded input
	ExcludePad     bool // AvgPool2d only: do not count padding in the mean (count_include_pad=False)
	Divisor        int  // AvgPool2d only: divide sums by this; 0 means the window's size (divisor_override)

	KernelHW, StrideHW, PaddingHW, DilationHW [2]int
}

// MaxPool2d takes the maximum of each window of the planes of x, [N C H W] or
// [C H W], of floating-point or whole numbers. Padding never wins, NaN does; the
// gradient goes to the first of equal ones. (torch.nn.functional.max_pool2d)
func MaxPool2d(x *Tensor, opts PoolOpts) *Tensor {
	return x.maxPool("MaxPool2d", opts.each())
}

// MaxPool2dWithIndices is MaxPool2d that also tells where in its plane each
// maximum is: an Int64 tensor of the result's shape, with row·W + column.
// (torch.nn.functional.max_pool2d with return_indices=True)
func MaxPool2dWithIndices(x *Tensor, opts PoolOpts) (values, indices *Tensor) {
	const name = "MaxPool2dWithIndices"
	values = x.maxPool(name, opts.each())
	return values, maxPoolIndices(name, opts.each(), x, values)
}

// maxPool is MaxPool2d over one to three dimensions.
func (x *Tensor) maxPool(name string, o ops.Pool) *Tensor {
	if o.ExcludePad || o.Divisor != 0 {
		fail(name, "ExcludePad and Divisor are options of AvgPool%dd, want neither", o.Dims)
	}
	if x.DType() == Bool {
		fail(name, "the operand is bool, want a number type; ToDType converts")
	}
	shape, g := x.poolGeom(name, o)
	x = x.Contiguous()
	out := result(name, x.DType(), shape, x)
	x.be().MaxPool(out.array(), x.array(), g)
	if !tracked(name, out, x) {
		return out
	}
	xs, ys := x.saved(), out.bare()
	return autograd.Record(ops.MaxPool{Pool: o}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{maxPoolGrad(name, o, g, with(g, xs), with(g, ys))}
	}, x, ys)
}

// maxPoolIndices finds where the maxima y of x are.
func maxPoolIndices(name string, o ops.Pool, x, y *Tensor) *Tensor {
	_, g := x.poolGeom(name, o)
	out := result(name, Int64, y.shape, x, y)
	x.be().MaxPoolIndices(out.array(), x.array(), y.array(), g)
	if !tracked(name, out, x, y) {
		return out
	}
	return autograd.RecordNothing(ops.MaxPoolIndices{Pool: o}, out, x, y)
}

// maxPoolGrad is the gradient of x, whose maxima are y. It moves with neither, as long as the maxima are where they are.
func maxPoolGrad(name string, o ops.Pool, dy, x, y *Tensor) *Tensor {
	_, g := x.poolGeom(name, o)
	out := like(name, x, dy)
	x.be().MaxPoolGrad(out.array(), dy.array(), x.array(), y.array(), g)
	if !tracked(name, out, dy, x, y) {
		return out
	}
	xs, ys := x.saved(), y.saved()
	return autograd.Record(ops.MaxPoolGrad{Pool: o}, out, []*Tensor{dy, x, y}, func(dx *Tensor) []*Tensor {
		x, y := with(dx, xs), with(dx, ys)
		n := len(x.shape) - o.Dims
		rows := x.shape[:n].Len()
		at := maxPoolIndices(name, o, x, y)
		values := dx.Reshape(rows, g.In[0]*g.In[1]*g.In[2]).Gather(1, at.ClampMin(0).Reshape(rows, g.Out[0]*g.Out[1]*g.Out[2]))
		// A window without elements has no maximum.
		return []*Tensor{values.Reshape(y.shape...).MaskedFill(at.LtScalar(0), 0), nil, nil}
	}, x, y)
}

// AvgPool2d takes the mean of each window of the planes of x, [N C H W] or
// [C H W]. Padding counts as zeros unless opts.ExcludePad is set. Of Int64 numbers
// the mean is cut to a whole number; sums to 2⁵³ are exact.
// (torch.nn.functional.avg_pool2d)
func AvgPool2d(x *Tensor, opts PoolOpts) *Tensor {
	return x.avgPool("AvgPool2d", opts.each())
}

// avgPool is AvgPool2d over one to three dimensions.
func (x *Tensor) avgPool(name string, o ops.Pool) *Tensor {
	if x.DType() == Int64 {
		return x.ToDType(Float64).avgPool(name, o).ToDType(Int64)
	}
	if max(o.Dilation[0], o.Dilation[1], o.Dilation[2]) > 1 {
		fail(name, "Dilation is an option of MaxPool%dd, want none", o.Dims)
	}
	x.wantFloat(name)
	shape, g := x.poolGeom(name, o)
	out := result(name, x.DType(), shape, x)
	x.be().AvgPool(out.array(), x.array(), g)
	if !tracked(name, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(ops.AvgPool{Pool: o}, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.avgPoolGrad(name, o, from)}
	})
}

// avgPoolGrad spreads g over the windows of an input of a shape.
func (g *Tensor) avgPoolGrad(name string, o ops.Pool, shape Shape) *Tensor {
	_, geom := shape.poolGeom(name, o)
	out := result(name, g.DType(), shape, g)
	g.be().AvgPoolGrad(out.array(), g.array(), geom)
	if !tracked(name, out, g) {
		return out
	}
	return autograd.Record(ops.AvgPoolGrad{Pool: o, In: geom.In}, out, []*Tensor{g}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.avgPool(name, o)}
	})
}

// AdaptiveAvgPool2d divides the planes of x, [N C H W] or [C H W], into h × w
// windows that share them as evenly as possible, and takes the mean of each. The
// size -1 leaves an axis as it is. (torch.nn.functional.adaptive_avg_pool2d, where
// it is None)
func AdaptiveAvgPool2d(x *Tensor, h, w int) *Tensor {
	return x.adaptiveAvgPool("AdaptiveAvgPool2d", ops.AdaptiveAvgPool{Dims: 2, Out: [3]int{1, h, w}})
}

// adaptiveAvgPool is AdaptiveAvgPool2d over one to three dimensions.
func (x *Tensor) adaptiveAvgPool(name string, o ops.AdaptiveAvgPool) *Tensor {
	x.wantFloat(name)
	x.shape.wantPlanes(name, o.Dims, o.Dims)
	if min(o.Out[0], o.Out[1], o.Out[2]) < -1 {
		fail(name, "the size %s of the result is negative, want 0 or more, or -1 for an axis as it is", sizes(o.Dims, o.Out))
	}
	g := adaptiveGeom(o.Dims, x.shape, o.Out)
	for d, size := range g.Out {
		if size == -1 {
			g.Out[d] = g.In[d]
		}
	}
	n := len(x.shape) - o.Dims
	out := result(name, x.DType(), append(x.shape[:n:n], g.Out[3-o.Dims:]...), x)
	x.be().AdaptiveAvgPool(out.array(), x.array(), g)
	if !tracked(name, out, x) {
		return out
	}
	from := x.shape
	return autograd.Record(o, out, []*Tensor{x}, func(g *Tensor) []*Tensor {
		return []*Tensor{g.adaptiveAvgPoolGrad(name, o.Dims, from)}
	})
}

// adaptiveAvgPoolGrad spreads g over the windows of an input of a shape.
func (g *Tensor) adaptiveAvgPoolGrad(name string, dims int, shape Shape) *Tensor {
	geom := adaptiveGeom(dims, shape, last(dims, g.shape))
	out := result(name, g.DType(), shape, g)
	g.be().AdaptiveAvgPoolGrad(out.array(), g.array(), geom)
	if !tracked(name, out, g) {
		return out
	}
	return autograd.Record(ops.AdaptiveAvgPoolGrad{Dims: dims, In: geom.In}, out, []*Tensor{g}, func(dx *Tensor) []*Tensor {
		return []*Tensor{dx.adaptiveAvgPool(name, ops.AdaptiveAvgPool{Dims: dims, Out: geom.Out})}
	})
}

func adaptiveGeom(dims int, shape Shape, out [3]int) backend.PoolGeom {
	return backend.PoolGeom{Planes: shape[:len(shape)-dims].Len(), In: last(dims, shape), Out: out}
}

// each returns the options for the height and the width.
func (o PoolOpts) each() ops.Pool {
	return ops.Pool{
		Dims: 2, Kernel: deep(1, o.Kernel, o.KernelHW), Stride: deep(1, o.Stride, o.StrideHW), Padding: deep(0, o.Padding, o.PaddingHW),
		Dilation: deep(1, o.Dilation, o.DilationHW), Ceil: o.CeilMode, ExcludePad: o.ExcludePad, Divisor: o.Divisor,
	}
}

// wantPlanes panics unless s is the shape of a batch of images, or of one image, of
// so many dimensions, and the last dimensions, so many, are not empty.
func (s Shape) wantPlanes(op string, dims, full int) {
	n := len(s)
	letters := [...]string{1: "L", 2: "H W", 3: "D H W"}[dims]
	if n != dims+1 && n != dims+2 {
		fail(op, "the input is %v, want [N C %s] or [C %s]", s, letters, letters)
	}
	if slices.Contains(s[n-full:], 0) {
		names := strings.Fields(letters)
		if full > dims {
			names = append([]string{"C"}, names...)
		}
		text := names[len(names)-1]
		if len(names) > 1 {
			text = strings.Join(names[:len(names)-1], ", ") + " and " + text
		}
		fail(op, "the input is %v, want %s of 1 or more", s, text)
	}
}

func (x *Tensor) poolGeom(op string, o ops.Pool) (Shape, backend.PoolGeom) {
	return x.shape.poolGeom(op, o)
}

// poolGeom checks the attributes of pooling and returns the shape of the result and
// the geometry.
func (s Shape) poolGeom(op string, o ops.Pool) (Shape, backend.PoolGeom) {
	s.wantPlanes(op, o.Dims, o.Dims+1)
	n := len(s) - o.Dims
	g := backend.PoolGeom{
		Planes: s[:n].Len(), In: last(o.Dims, s), Out: [3]int{1, 1, 1}, Kernel: o.Kernel, Stride: o.Stride, Pad: o.Padding, Dilation: o.Dilation,
		ExcludePad: o.ExcludePad, Divisor: o.Divisor,
	}
	for d, along := range [...]string{"depth", "height", "width"} {
		if d < 3-o.Dims {
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
		if o.Ceil {
			space += *stride - 1
		}
		if space < 0 {
			fail(op, "a window that reaches over %d elements along the %s does not fit the input %v with padding %d", reach, along, s, pad)
		}
		g.Out[d] = space / *stride + 1
		if o.Ceil && (g.Out[d]-1)**stride >= g.In[d]+pad {
			g.Out[d]-- // the last window would begin in the padding behind the input
		}
	}
	return append(s[:n:n], g.Out[3-o.Dims:]...), g
}
