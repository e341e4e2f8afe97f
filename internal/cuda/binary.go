//go:build cuda && linux

package cuda

import (
	"strconv"

	"github.com/wick-ml/wick/internal/backend"
)

// Binary computes dst = op(a, b). Integers divided by 0 give -1 (255 of Uint8), since
// a kernel cannot panic as the CPU's backend does.
func (be *Backend) Binary(dst, a, b backend.Array, op backend.BinaryOp, g backend.BinaryGeom) {
	if be.alike(func() { be.Binary(dst, a, b, op, g) }, writes(&dst), reads(&a), reads(&b)) {
		return
	}
	name := "binary_"
	if op.IsComparison() {
		name = "compare_"
	}
	be.broadcast(name, suffix(a.DType()), dst, []backend.Array{a, b}, [][]int{g.A, g.B}, g.Shape, func(p *params) { param(p, int64(op)) })
}

// broadcast launches a kernel of dst and sources, and of what more adds. Without a
// shape all have the same length; otherwise the kernel is that for views. A view of
// too many dimensions is cut along the first.
func (be *Backend) broadcast(name, suffix string, dst backend.Array, sources []backend.Array, strides [][]int, shape []int, more func(p *params)) {
	n := dst.Len
	var v view
	if shape != nil {
		n = count(shape)
		var ok bool
		if v, ok = newView(shape, strides...); !ok {
			inner := make([][]int, len(strides))
			for k, s := range strides {
				inner[k] = s[1:]
			}
			part := dst
			part.Len = n / shape[0]
			for range shape[0] {
				be.broadcast(name, suffix, part, sources, inner, shape[1:], more)
				part.Offset += part.Len
				sources = append([]backend.Array(nil), sources...)
				for k := range sources {
					sources[k].Offset += strides[k][0]
				}
			}
			return
		}
		name += "view_"
	}
	if n == 0 {
		return
	}
	var p params
	if shape == nil {
		done := be.elementwise(&p, dst, sources...)
		defer done()
	} else {
		param(&p, address(dst))
		for _, s := range sources {
			param(&p, reading(s))
		}
	}
	if more != nil {
		more(&p)
	}
	if shape != nil {
		param(&p, v)
	}
	be.each(name+suffix, n, &p)
}

// BinaryScalar computes dst = op(a, s), or op(s, a) if swapped.
func (be *Backend) BinaryScalar(dst, a backend.Array, s float64, swapped bool, op backend.BinaryOp) {
	if op == backend.Pow && s == 2 && !swapped {
		be.Binary(dst, a, a, backend.Mul, backend.BinaryGeom{})
		return
	}
	name := "binary_scalar_"
	if op.IsComparison() {
		name = "compare_scalar_"
	}
	var p params
	done := be.elementwise(&p, dst, a)
	defer done()
	param(&p, s)
	param(&p, flag(swapped))
	param(&p, int64(op))
	be.each(name+suffix(a.DType()), a.Len, &p)
}

// flag is a Boolean parameter of a kernel.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Where computes dst = cond ? a : b.
func (be *Backend) Where(dst, cond, a, b backend.Array, g backend.WhereGeom) {
	if be.alike(func() { be.Where(dst, cond, a, b, g) }, writes(&dst), reads(&a), reads(&b)) {
		return
	}
	be.broadcast("where_", strconv.Itoa(dst.DType().Size()), dst, []backend.Array{cond, a, b}, [][]int{g.Cond, g.A, g.B}, g.Shape, nil)
}
