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

func (h *host) insOf(a []backend.Array) []backend.Array  { return each(a, h.in) }
func (h *host) outsOf(a []backend.Array) []backend.Array { return each(a, h.out) }

func each(a []backend.Array, f func(backend.Array) backend.Array) []backend.Array {
	var c []backend.Array
	for _, x := range a {
		c = append(c, f(x))
	}
	return c
}

// Random: see backend.Backend.
func (be *Backend) Random(dst backend.Array, r backend.Random) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Random(h.out(dst), r) })
}

// Reduce: see backend.Backend.
func (be *Backend) Reduce(dst, x backend.Array, op backend.ReduceOp, g backend.ReduceGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Reduce(h.out(dst), h.in(x), op, g) })
}

// ReduceIndex: see backend.Backend.
func (be *Backend) ReduceIndex(values, indices, x backend.Array, min bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.ReduceIndex(h.out(values), h.out(indices), h.in(x), min, g) })
}

// Cumsum: see backend.Backend.
func (be *Backend) Cumsum(dst, x backend.Array, reverse bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Cumsum(h.out(dst), h.in(x), reverse, g) })
}

// Sort: see backend.Backend.
func (be *Backend) Sort(values, indices, x backend.Array, descending bool, g backend.DimGeom) {
	be.onHost(func(h *host, c *cpu.Backend) { c.Sort(h.out(values), h.out(indices), h.in(x), descending, g) })
}

// Nonzero: see backend.Backend.
func (be *Backend) Nonzero(dst, x backend.Array) (r int) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.Nonzero(h.out(dst), h.in(x)) })
	return r
}

// Gather: see backend.Backend.
func (be *Backend) Gather(dst, x, index backend.Array, g backend.IndexGeom) (r error) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.Gather(h.out(dst), h.in(x), h.in(index), g) })
	return r
}

// ScatterAdd: see backend.Backend.
func (be *Backend) ScatterAdd(dst, index, src backend.Array, g backend.IndexGeom) (r error) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.ScatterAdd(h.out(dst), h.in(index), h.in(src), g) })
	return r
}

// IndexSelect: see backend.Backend.
func (be *Backend) IndexSelect(dst, x, index backend.Array, g backend.IndexGeom) (r error) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.IndexSelect(h.out(dst), h.in(x), h.in(index), g) })
	return r
}

// IndexAdd: see backend.Backend.
func (be *Backend) IndexAdd(dst, index, src backend.Array, g backend.IndexGeom) (r error) {
	be.onHost(func(h *host, c *cpu.Backend) { r = c.IndexAdd(h.out(dst), h.in(index), h.in(src), g) })
	return r
}
