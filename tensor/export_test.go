package tensor

import "github.com/wick-ml/wick/internal/ops"

// What tests of convolutions and pooling over one and three dimensions call, for which
// there are no functions yet.

func Convolve(x, w, b *Tensor, o ops.Conv, same bool) *Tensor {
	if o.Transposed {
		return convolveTransposed(o.Name(), x, w, b, o, same)
	}
	return convolve(o.Name(), x, w, b, o, same)
}

func MaxPool(x *Tensor, o ops.Pool) (values, indices *Tensor) {
	values = x.maxPool(ops.MaxPool{Pool: o}.Name(), o)
	return values, maxPoolIndices(ops.MaxPoolIndices{Pool: o}.Name(), o, x, values)
}

func AvgPool(x *Tensor, o ops.Pool) *Tensor { return x.avgPool(ops.AvgPool{Pool: o}.Name(), o) }

func AdaptiveAvgPool(x *Tensor, o ops.AdaptiveAvgPool) *Tensor { return x.adaptiveAvgPool(o.Name(), o) }
