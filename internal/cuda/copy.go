//go:build cuda && linux

package cuda

import (
	"strconv"

	"github.com/wick-ml/wick/internal/backend"
)

// Write copies raw elements into dst.
func (be *Backend) Write(dst backend.Array, src []byte) { be.upload(address(dst), src) }

// Copy copies src to dst and converts the type.
func (be *Backend) Copy(dst, src backend.Array) {
	var p params
	to, from, done := be.places(dst, src)
	defer done()
	if dst.DType() == src.DType() {
		be.copy(to, from[0], dst.Len*dst.DType().Size())
		return
	}
	param(&p, to)
	param(&p, from[0])
	be.each("copy_"+suffix(src.DType())+"_"+suffix(dst.DType()), dst.Len, &p)
}

// Strided copies a view of src.
func (be *Backend) Strided(dst, src backend.Array, g backend.StridedGeom) {
	be.strided("strided_", dst, src, src, g)
}

// StridedWrite copies src into a view of dst.
func (be *Backend) StridedWrite(dst, src backend.Array, g backend.StridedGeom) {
	be.strided("strided_write_", dst, src, dst, g)
}

// strided launches a copy whose view is on one of the arrays.
func (be *Backend) strided(name string, dst, src, viewed backend.Array, g backend.StridedGeom) {
	n := count(g.Shape)
	if n == 0 {
		return
	}
	v, ok := newView(g.Shape, g.Strides)
	if !ok {
		be.eachSlice(g, func(g backend.StridedGeom, at int) {
			part := backend.Array{Offset: at, Len: count(g.Shape)}
			if viewed == src {
				part.Buffer, part.Offset = dst.Buffer, part.Offset+dst.Offset
				be.strided(name, part, src, src, g)
			} else {
				part.Buffer, part.Offset = src.Buffer, part.Offset+src.Offset
				be.strided(name, dst, part, dst, g)
			}
		})
		return
	}
	size := dst.DType().Size()
	to, from := address(dst), reading(src)
	if viewed == src {
		from += pointer(g.Offset * size)
	} else {
		to += pointer(g.Offset * size)
	}
	var p params
	param(&p, to)
	param(&p, from)
	param(&p, v)
	be.each(name+strconv.Itoa(size), n, &p)
}

// eachSlice cuts a view of too many dimensions along the first one; at is where a
// slice begins among the view's elements.
func (be *Backend) eachSlice(g backend.StridedGeom, f func(g backend.StridedGeom, at int)) {
	inner := count(g.Shape[1:])
	for i := range g.Shape[0] {
		f(backend.StridedGeom{Shape: g.Shape[1:], Strides: g.Strides[1:], Offset: g.Offset + i*g.Strides[0]}, i*inner)
	}
}

// Fill sets all elements.
func (be *Backend) Fill(dst backend.Array, v float64) {
	var p params
	param(&p, address(dst))
	param(&p, v)
	be.each("fill_"+suffix(dst.DType()), dst.Len, &p)
}

// Arange sets element i to start + i·step.
func (be *Backend) Arange(dst backend.Array, start, step float64) {
	var p params
	param(&p, address(dst))
	param(&p, start)
	param(&p, step)
	be.each("arange_"+suffix(dst.DType()), dst.Len, &p)
}
