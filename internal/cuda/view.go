//go:build cuda && linux

package cuda

import (
	"math"
	"math/bits"
	"slices"
)

// mostDims is the number of dimensions that kernels take, after neighbouring ones
// that lie alike have been put together.
const mostDims = 8

// mostElements is how many elements a kernel goes through with a view, whose
// numbers have 32 bits. It is a variable for a test.
var mostElements = math.MaxInt32

// view is a shape and up to three arrays' strides over it, the innermost dimension
// first, as kernels take them (struct View in kernels/common.cuh). A number of a
// dimension is found by a multiplication and a shift in the place of a division.
type view struct {
	dims                 uint32
	shape, factor, shift [mostDims]uint32
	strides              [3][mostDims]int64
}

// newView puts neighbouring dimensions together where all arrays allow it. It
// returns false if more than mostDims or mostElements are left; halves makes two of
// it then.
func newView(shape []int, strides ...[]int) (v view, ok bool) {
	total := 1
	for i := len(shape) - 1; i >= 0; i-- {
		n := shape[i]
		if n == 1 {
			continue
		}
		if total *= n; total > mostElements {
			return v, false
		}
		last := int(v.dims) - 1
		joins := last >= 0
		for k, s := range strides {
			joins = joins && int64(s[i]) == v.strides[k][last]*int64(v.shape[last])
		}
		if joins {
			v.shape[last] *= uint32(n)
			continue
		}
		if v.dims == mostDims {
			return v, false
		}
		v.shape[v.dims] = uint32(n)
		for k, s := range strides {
			v.strides[k][v.dims] = int64(s[i])
		}
		v.dims++
	}
	for d, n := range v.shape[:v.dims] {
		v.divide(d, n)
	}
	return v, true
}

// divide gives dimension d the size n, and what divides by it.
func (v *view) divide(d int, n uint32) {
	if n == 0 {
		return
	}
	shift := bits.Len32(n - 1)
	v.shape[d], v.shift[d] = n, uint32(shift)
	v.factor[d] = uint32((uint64(1)<<shift-uint64(n))<<32/uint64(n) + 1)
}

// halves cuts a shape in two along its first dimension that is more than 1, and
// returns the shape of both parts, and that dimension.
func halves(shape []int) (first, second []int, dim int) {
	for shape[dim] == 1 {
		dim++
	}
	first, second = slices.Clone(shape), slices.Clone(shape)
	first[dim] /= 2
	second[dim] -= first[dim]
	return first, second, dim
}

// packs is how many elements of size bytes a thread takes at once (Packs in
// kernels/common.cuh).
func packs(size int) int64 { return int64(min(16/size, 8)) }

// whole reports whether the innermost dimension of a view is made of packs of n
// elements, which lie together in array k or are one and the same, and whose first
// one begins at a multiple of the bytes of a pack.
func (v *view) whole(k int, n int64, at pointer, size int) bool {
	if v.dims == 0 || int64(v.shape[0])%n != 0 || v.strides[k][0] != 0 && v.strides[k][0] != 1 {
		return false
	}
	if v.strides[k][0] == 0 {
		return true
	}
	inner := v.strides[k][0]
	v.strides[k][0] = 0
	together := v.multiple(k, n)
	v.strides[k][0] = inner
	return together && at%pointer(min(16, int(n)*size)) == 0
}

// multiple reports whether all strides of array k are multiples of n.
func (v *view) multiple(k int, n int64) bool {
	for _, s := range v.strides[k][:v.dims] {
		if s%n != 0 {
			return false
		}
	}
	return true
}

// contiguous returns the row-major strides of a shape.
func contiguous(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(s) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

func count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
