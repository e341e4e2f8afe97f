//go:build cuda && linux

package cuda

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
)

// The methods of this file have no kernel yet: their arguments are fetched, the
// CPU's backend computes, and the results are sent back. That is right and slow.

// host is a computation on the CPU's backend.
type host struct {
	be   *Backend
	cpu  *cpu.Backend
	outs [][2]backend.Array // on the device, on the host
}

// onHost runs f and sends back what it wrote.
func (be *Backend) onHost(f func(h *host, c *cpu.Backend)) {
	h := &host{be: be, cpu: cpu.New()}
	f(h, h.cpu)
	for _, o := range h.outs {
		b := make([]byte, o[0].Len*o[0].DType().Size())
		h.cpu.Read(b, o[1])
		be.Write(o[0], b)
	}
}

// in fetches an argument.
func (h *host) in(a backend.Array) backend.Array {
	if a.None() {
		return a
	}
	b := make([]byte, a.Len*a.DType().Size())
	h.be.Read(b, a)
	c := backend.Array{Buffer: h.cpu.NewBuffer(a.DType(), a.Len), Len: a.Len}
	h.cpu.Write(c, b)
	return c
}

// out fetches an argument that f writes; what it does not write stays.
func (h *host) out(a backend.Array) backend.Array {
	c := h.in(a)
	if !a.None() {
		h.outs = append(h.outs, [2]backend.Array{a, c})
	}
	return c
}

// Sort: see backend.Backend. A stable sort of few long columns takes many passes of
// a kernel of its own, for what training hardly ever asks for.
func (be *Backend) Sort(values, indices, x backend.Array, descending bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Sort(h.out(values), h.out(indices), h.in(x), descending, g) })
}

// Nonzero: see backend.Backend. The caller waits for the number anyway.
func (be *Backend) Nonzero(dst, x backend.Array) (r int) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.Nonzero(h.out(dst), h.in(x)) })
	return r
}

// MatMul: see backend.Backend.
func (be *Backend) MatMul(dst, a, b backend.Array, g backend.MatMulGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.MatMul(h.out(dst), h.in(a), h.in(b), g) })
}

// Conv2d: see backend.Backend.
func (be *Backend) Conv2d(dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Conv2d(h.out(dst), h.in(x), h.in(w), h.in(scale), h.in(bias), g) })
}

// Conv2dInputGrad: see backend.Backend.
func (be *Backend) Conv2dInputGrad(dx, dy, w backend.Array, g backend.ConvGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Conv2dInputGrad(h.out(dx), h.in(dy), h.in(w), g) })
}

// Conv2dWeightGrad: see backend.Backend.
func (be *Backend) Conv2dWeightGrad(dw, dy, x backend.Array, g backend.ConvGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Conv2dWeightGrad(h.out(dw), h.in(dy), h.in(x), g) })
}

// MaxPool2d: see backend.Backend.
func (be *Backend) MaxPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.MaxPool2d(h.out(dst), h.in(x), g) })
}

// MaxPool2dGrad: see backend.Backend.
func (be *Backend) MaxPool2dGrad(dx, dy, x, y backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.MaxPool2dGrad(h.out(dx), h.in(dy), h.in(x), h.in(y), g) })
}

// AvgPool2d: see backend.Backend.
func (be *Backend) AvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.AvgPool2d(h.out(dst), h.in(x), g) })
}

// AvgPool2dGrad: see backend.Backend.
func (be *Backend) AvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.AvgPool2dGrad(h.out(dx), h.in(dy), g) })
}

// AdaptiveAvgPool2d: see backend.Backend.
func (be *Backend) AdaptiveAvgPool2d(dst, x backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.AdaptiveAvgPool2d(h.out(dst), h.in(x), g) })
}

// AdaptiveAvgPool2dGrad: see backend.Backend.
func (be *Backend) AdaptiveAvgPool2dGrad(dx, dy backend.Array, g backend.PoolGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.AdaptiveAvgPool2dGrad(h.out(dx), h.in(dy), g) })
}

// BatchNorm: see backend.Backend.
func (be *Backend) BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b backend.Array, g backend.BatchNormGeom) {
	be.onHost(func(h *host, c *cpu.Backend) {
		c.BatchNorm(h.out(dst), h.out(mean), h.out(invstd), h.out(runningMean), h.out(runningVar), h.in(x), h.in(w), h.in(b), g)
	})
}

// BatchNormGrad: see backend.Backend.
func (be *Backend) BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	be.onHost(func(h *host, c *cpu.Backend) {
		c.BatchNormGrad(h.out(dx), h.out(dw), h.out(db), h.in(dy), h.in(x), h.in(y), h.in(w), h.in(mean), h.in(invstd), g)
	})
}

// Softmax: see backend.Backend.
func (be *Backend) Softmax(dst, x backend.Array, log bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Softmax(h.out(dst), h.in(x), log, g) })
}

// SoftmaxGrad: see backend.Backend.
func (be *Backend) SoftmaxGrad(dx, dy, y backend.Array, log bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.SoftmaxGrad(h.out(dx), h.in(dy), h.in(y), log, g) })
}
