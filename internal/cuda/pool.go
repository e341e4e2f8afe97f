//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// Pooling has kernels of its own: cuDNN has no dilation, no ceil mode and no
// divisor, gives the gradient of equal elements to whichever it likes, and may let
// go of NaN.

// poolGeom is a backend.PoolGeom as kernels take it (struct PoolGeom in
// kernels/pool.cu).
type poolGeom struct {
	h, w, p, q, kernelH, kernelW, strideH, strideW, padH, padW, dilationH, dilationW, excludePad, divisor int64
}

func newPoolGeom(g backend.PoolGeom) poolGeom {
	n := func(n int) int64 { return int64(n) }
	return poolGeom{n(g.H), n(g.W), n(g.P), n(g.Q), n(g.KernelH), n(g.KernelW), n(g.StrideH), n(g.StrideW), n(g.PadH), n(g.PadW),
		n(max(1, g.DilationH)), n(max(1, g.DilationW)), flag(g.ExcludePad), n(g.Divisor)}
}

// pooled launches a kernel over the elements of dst.
func (be *Backend) pooled(name string, dst, x backend.Array, g backend.PoolGeom) {
	var p params
	param(&p, address(dst))
	param(&p, address(x))
	param(&p, newPoolGeom(g))
	be.each(name+suffix(dst.DType()), dst.Len, &p)
}

// MaxPool2d takes the maximum of each window.
func (be *Backend) MaxPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.pooled("max_pool_", dst, x, g)
}

// MaxPool2dGrad gives dy to the first maximum of each window; of several NaN the
// last gets it, as in PyTorch.
func (be *Backend) MaxPool2dGrad(dx, dy, x, y backend.Array, g backend.PoolGeom) {
	var t temporaries
	defer be.release(&t)
	places := be.temporary(&t, backend.Int64, y.Len)
	var p params
	param(&p, address(places))
	param(&p, address(x))
	param(&p, address(y))
	param(&p, newPoolGeom(g))
	be.each("max_pool_places_"+suffix(x.DType()), y.Len, &p)
	p = params{}
	param(&p, address(dx))
	param(&p, address(dy))
	param(&p, address(places))
	param(&p, newPoolGeom(g))
	be.each("max_pool_grad_"+suffix(x.DType()), dx.Len, &p)
}

// AvgPool2d takes the mean of each window.
func (be *Backend) AvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.pooled("avg_pool_", dst, x, g)
}

// AvgPool2dGrad is AvgPool2d's gradient.
func (be *Backend) AvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	be.pooled("avg_pool_grad_", dx, dy, g)
}

// AdaptiveAvgPool2d takes means of windows that share the input evenly.
func (be *Backend) AdaptiveAvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.pooled("adaptive_avg_pool_", dst, x, g)
}

// AdaptiveAvgPool2dGrad is AdaptiveAvgPool2d's gradient.
func (be *Backend) AdaptiveAvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	be.pooled("adaptive_avg_pool_grad_", dx, dy, g)
}

func init() {
	for _, k := range []string{"max_pool_", "max_pool_places_", "max_pool_grad_", "avg_pool_", "avg_pool_grad_", "adaptive_avg_pool_", "adaptive_avg_pool_grad_"} {
		typed(k, floatTypes)
	}
}
