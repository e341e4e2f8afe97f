//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// temporaries are the buffers of a method that only it uses.
type temporaries []backend.Buffer

func (be *Backend) release(t *temporaries) {
	for _, b := range *t {
		be.Free(b)
	}
}

// temporary returns an array that lives until release.
func (be *Backend) temporary(t *temporaries, dtype backend.DType, n int) backend.Array {
	b := be.NewBuffer(dtype, n)
	*t = append(*t, b)
	return backend.Array{Buffer: b, Len: n}
}

// widened returns an array's elements in float32 if they are of half precision.
func (be *Backend) widened(t *temporaries, a backend.Array) backend.Array {
	if a.None() || !a.DType().IsHalf() {
		return a
	}
	w := be.temporary(t, backend.Float32, a.Len)
	be.Copy(w, a)
	return w
}
