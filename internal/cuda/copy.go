//go:build cuda && linux

package cuda

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
)

var (
	conversions  = newConversions()
	read, write  = forSizes("strided_", 16), forSizes("strided_write_", 16)
	fill, arange = typed("fill_", allTypes), typed("arange_", allTypes)
)

// newConversions returns the copies from each type to each other one.
func newConversions() (k [backend.Float16 + 1]kernels) {
	for _, from := range allTypes {
		for _, to := range allTypes {
			if from != to {
				k[from][to] = single("copy_" + suffix(from) + "_" + suffix(to))
			}
		}
	}
	return k
}

// Write copies raw elements into dst.
func (be *Backend) Write(dst backend.Array, src []byte) {
	defer keep(dst)
	be.upload(address(dst), src)
}

// Copy copies src to dst and converts the type.
func (be *Backend) Copy(dst, src backend.Array) {
	defer keep(dst, src)
	to, from, done := be.places(dst, src)
	defer done()
	if dst.DType() == src.DType() {
		be.copy(to, from[0], dst.Len*dst.DType().Size())
		return
	}
	be.convert(to, from[0], dst.DType(), src.DType(), dst.Len)
}

// convert copies n elements into another type.
func (be *Backend) convert(dst, src pointer, to, from backend.DType, n int) {
	var p params
	param(&p, dst)
	param(&p, src)
	be.packed(conversions[from][to], n, min(packs(to.Size()), packs(from.Size())), &p)
}

// Strided copies a view of src.
func (be *Backend) Strided(dst, src backend.Array, g backend.StridedGeom) {
	defer keep(dst, src)
	be.strided(&read, dst, src, src, g)
}

// StridedWrite copies src into a view of dst.
func (be *Backend) StridedWrite(dst, src backend.Array, g backend.StridedGeom) {
	defer keep(dst, src)
	be.strided(&write, dst, src, dst, g)
}

// strided launches a copy whose view is on one of the arrays.
func (be *Backend) strided(k *sized, dst, src, viewed backend.Array, g backend.StridedGeom) {
	n := count(g.Shape)
	if n == 0 {
		return
	}
	v, ok := newView(g.Shape, g.Strides)
	if !ok {
		first, second, dim := halves(g.Shape)
		behind := g
		g.Shape, behind.Shape = first, second
		behind.Offset += first[dim] * g.Strides[dim]
		be.strided(k, dst, src, viewed, g)
		if viewed == src {
			dst.Offset += count(first)
		} else {
			src.Offset += count(first)
		}
		be.strided(k, dst, src, viewed, behind)
		return
	}
	size := dst.DType().Size()
	to, from := address(dst), reading(src)
	if viewed == src {
		from += pointer(g.Offset * size)
	} else {
		to += pointer(g.Offset * size)
	}
	// Elements that lie together are moved as words of up to 16 bytes.
	for size < 16 && v.dims > 0 && v.strides[0][0] == 1 && v.whole(0, 2, to|from, size) {
		size *= 2
		n /= 2
		v.divide(0, v.shape[0]/2)
		for d := 1; d < int(v.dims); d++ {
			v.strides[0][d] /= 2
		}
	}
	var p params
	param(&p, to)
	param(&p, from)
	param(&p, v)
	be.each(k[size], n, &p)
}

// Fill sets all elements.
func (be *Backend) Fill(dst backend.Array, v float64) {
	defer keep(dst)
	if v == 0 && !math.Signbit(v) {
		be.set(address(dst), 0, dst.Len*dst.DType().Size())
		return
	}
	var p params
	param(&p, address(dst))
	param(&p, v)
	be.packed(fill[dst.DType()], dst.Len, packs(dst.DType().Size()), &p)
}

// Arange sets element i to start + i·step.
func (be *Backend) Arange(dst backend.Array, start, step float64) {
	defer keep(dst)
	var p params
	param(&p, address(dst))
	param(&p, start)
	param(&p, step)
	be.each(arange[dst.DType()], dst.Len, &p)
}
