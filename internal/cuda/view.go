//go:build cuda && linux

package cuda

// mostDims is the number of dimensions that kernels take, after neighbouring ones
// that lie alike have been put together.
const mostDims = 8

// view is a shape and up to three arrays' strides over it, as kernels take them
// (struct View in kernels/common.cuh).
type view struct {
	dims    int64
	shape   [mostDims]int64
	strides [3][mostDims]int64
}

// newView puts neighbouring dimensions together where all arrays allow it. It
// returns false if more than mostDims are left.
func newView(shape []int, strides ...[]int) (v view, ok bool) {
	for i, n := range shape {
		if n == 1 {
			continue
		}
		last := v.dims - 1
		joins := last >= 0
		for k, s := range strides {
			joins = joins && v.strides[k][last] == int64(n*s[i])
		}
		if !joins {
			if v.dims == mostDims {
				return v, false
			}
			last = v.dims
			v.dims++
			v.shape[last] = 1
		}
		v.shape[last] *= int64(n)
		for k, s := range strides {
			v.strides[k][last] = int64(s[i])
		}
	}
	return v, true
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
