//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// argument is an array of a method, absent or not, and what the method does with
// it.
type argument struct {
	a           *backend.Array
	read, write bool
}

func reads(a *backend.Array) argument   { return argument{a, true, false} }
func writes(a *backend.Array) argument  { return argument{a, false, true} }
func updates(a *backend.Array) argument { return argument{a, true, true} }

// differ reports whether the floating-point arrays that are there have different
// types.
func differ(arrays ...backend.Array) bool {
	none := backend.DType(255)
	first := none
	for _, a := range arrays {
		if a.None() {
			continue
		}
		if t := a.DType(); t.IsFloat() {
			if first == none {
				first = t
			}
			if t != first {
				return true
			}
		}
	}
	return false
}

// alike serves a method whose floating-point arrays have different types, for
// which there are no kernels: it puts float32 arrays in the place of those of half
// width, calls f, which is the method once more, and rounds what that wrote. It
// returns false, and does nothing, if all have one type. Methods that are called often
// ask differ first, since what f refers to goes to the heap.
func (be *Backend) alike(f func(), args ...argument) bool {
	present := make([]backend.Array, len(args))
	for i, x := range args {
		present[i] = *x.a
	}
	if !differ(present...) {
		return false
	}
	for _, x := range args {
		if x.a.None() || !x.a.DType().IsHalf() {
			continue
		}
		wide := backend.Array{Buffer: be.NewBuffer(backend.Float32, x.a.Len), Len: x.a.Len}
		defer be.Free(wide.Buffer)
		if x.read {
			be.Copy(wide, *x.a)
		}
		*x.a = wide
	}
	f()
	for i, x := range args {
		if a := present[i]; x.write && !a.None() && a.DType().IsHalf() {
			be.Copy(a, *x.a)
		}
	}
	return true
}
