//go:build cuda && linux

package cuda

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
)

// The methods of this file have no kernels: their arguments are fetched, the
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
