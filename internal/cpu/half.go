package cpu

import (
	"slices"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// BFloat16 and Float16 are types of storage: a method that gets such arrays
// widens them to float32, computes, and rounds what it wrote to nearest even. The
// numbers are those that float32 arithmetic on the same inputs gives, rounded once.
// Winograd's algorithm and the kernels of loops read and write bfloat16 numbers themselves.

// widen converts an array of half precision to float32.
func widen(dst []float32, src backend.Array) {
	s := data[uint16](src)
	parallel(src.Len, grain, func(lo, hi int) { widenAs(src.DType(), dst[lo:hi], s[lo:hi]) })
}

func widenAs(t backend.DType, dst []float32, src []uint16) {
	if t == backend.BFloat16 {
		kernels.Current.Half.WidenBF16(dst, src)
	} else {
		kernels.Current.Half.WidenF16(dst, src)
	}
}

// narrow converts float32 to an array of half precision.
func narrow(dst backend.Array, src []float32) {
	d := data[uint16](dst) // here, since it is the first to touch the array's memory
	parallel(dst.Len, grain, func(lo, hi int) { narrowAs(dst.DType(), d[lo:hi], src[lo:hi]) })
}

func narrowAs(t backend.DType, dst []uint16, src []float32) {
	if t == backend.BFloat16 {
		kernels.Current.Half.NarrowBF16(dst, src)
	} else {
		kernels.Current.Half.NarrowF16(dst, src)
	}
}

// LoopsBF16 returns the loops for arrays of bfloat16, or nil if there are none or one
// of the arrays has another type.
func loopsBF16(arrays ...backend.Array) *kernels.Loops[uint16, float32] {
	for _, a := range arrays {
		if !a.None() && a.DType() != backend.BFloat16 {
			return nil
		}
	}
	return kernels.Current.Half.LoopsBF16
}

// someHalf reports whether one of the arrays has half precision.
func someHalf(arrays ...backend.Array) bool {
	for _, a := range arrays {
		if !a.None() && a.DType().IsHalf() {
			return true
		}
	}
	return false
}

// argument is an array of a method, and whether the method reads and writes it.
type argument struct {
	a           *backend.Array
	read, write bool
}

func reads(a *backend.Array) argument   { return argument{a, true, false} }
func writes(a *backend.Array) argument  { return argument{a, false, true} }
func updates(a *backend.Array) argument { return argument{a, true, true} }

// half serves a method with arrays of half precision: it puts float32 arrays in their
// place, calls f, which is the method once more, and rounds what that wrote. It
// returns false, and does nothing, if there are no such arrays.
func (be *Backend) half(f func(), args ...argument) bool {
	some := false
	for _, x := range args {
		some = some || !x.a.None() && x.a.DType().IsHalf()
	}
	if !some {
		return false
	}
	originals := make([]backend.Array, len(args))
	for i, x := range args {
		originals[i] = *x.a
		if x.a.None() || !x.a.DType().IsHalf() {
			continue
		}
		wide := backend.Array{Buffer: be.NewBuffer(backend.Float32, x.a.Len), Len: x.a.Len}
		defer be.Free(wide.Buffer)
		if x.read {
			widen(data[float32](wide), *x.a)
		}
		*x.a = wide
	}
	f()
	for i, x := range args {
		if a := originals[i]; x.write && !a.None() && a.DType().IsHalf() {
			narrow(a, data[float32](*x.a))
		}
	}
	return true
}

// widened calls f as half does, or as it is if there are no such arrays.
func (be *Backend) widened(f func(), args ...argument) {
	if !be.half(f, args...) {
		f()
	}
}

// touch gives arrays their memory, which must not happen in several goroutines at
// once.
func touch(args []argument) {
	for _, x := range args {
		if !x.a.None() {
			raw(*x.a)
		}
	}
}

// pieces serves a method whose arrays can be cut into count equal pieces, as half
// does, some at a time, so that what is widened stays in a cache: f is called with
// n pieces of each.
func (be *Backend) pieces(count int, f func(a []backend.Array, n int), args ...argument) bool {
	some, longest := false, 1
	for _, x := range args {
		if !x.a.None() {
			some = some || x.a.DType().IsHalf()
			longest = max(longest, x.a.Len/max(count, 1))
		}
	}
	if !some {
		return false
	}
	touch(args)
	parallel(count, max(1, grain/longest), func(lo, hi int) {
		some := make([]argument, len(args))
		a := make([]backend.Array, len(args))
		for i, x := range args {
			a[i] = *x.a
			if !x.a.None() {
				size := x.a.Len / count
				a[i].Offset, a[i].Len = x.a.Offset+lo*size, (hi-lo)*size
			}
			some[i] = argument{&a[i], x.read, x.write}
		}
		be.half(func() { f(a, hi-lo) }, some...)
	})
	return true
}

// channels serves a batch normalization, as half does, for a few channels at a
// time, so that what is widened stays in a cache between the two passes over it:
// f is called with so many channels of the N×C×Inner arrays and of the parameters.
func (be *Backend) channels(g backend.BatchNormGeom, f func(a, p []backend.Array, g backend.BatchNormGeom), arrays []argument, params ...argument) bool {
	some := false
	for _, x := range slices.Concat(arrays, params) {
		some = some || !x.a.None() && x.a.DType().IsHalf()
	}
	if !some {
		return false
	}
	touch(arrays)
	touch(params)
	const row = 256 // elements of an image's part that are worth a conversion of their own
	each := min(max(1, row/max(g.Inner, 1)), max(g.C, 1))
	parallel(g.C, each, func(lo, hi int) {
		part := g
		part.C = hi - lo
		n := part.C * g.Inner
		a, p := make([]backend.Array, len(arrays)), make([]backend.Array, len(params))
		var args []argument
		for i, x := range params {
			if p[i] = *x.a; !p[i].None() {
				p[i].Offset, p[i].Len = p[i].Offset+lo, part.C
			}
			args = append(args, argument{&p[i], x.read, x.write})
		}
		for i, x := range arrays {
			if x.a.None() {
				continue
			}
			a[i] = backend.Array{Buffer: be.NewBuffer(backend.Float32, g.N*n), Len: g.N * n}
			defer be.Free(a[i].Buffer)
			wide := data[float32](a[i])
			for image := 0; x.read && image < g.N; image++ {
				at := (image*g.C + lo) * g.Inner
				if x.a.DType() == backend.Float32 {
					copy(wide[image*n:(image+1)*n], data[float32](*x.a)[at:])
				} else {
					widenAs(x.a.DType(), wide[image*n:(image+1)*n], data[uint16](*x.a)[at:at+n])
				}
			}
		}
		// The parameters may be of half precision too.
		be.widened(func() { f(a, p, part) }, args...)
		for i, x := range arrays {
			if x.a.None() || !x.write {
				continue
			}
			wide := data[float32](a[i])
			for image := range g.N {
				at := (image*g.C + lo) * g.Inner
				if x.a.DType() == backend.Float32 {
					copy(data[float32](*x.a)[at:], wide[image*n:(image+1)*n])
				} else {
					narrowAs(x.a.DType(), data[uint16](*x.a)[at:at+n], wide[image*n:(image+1)*n])
				}
			}
		}
	})
	return true
}

// planes returns the geometry of so many planes.
func planes(g backend.PoolGeom, n int) backend.PoolGeom {
	g.Planes = n
	return g
}

// halfList is half for a list of arrays that a method changes. f is called with another
// list in the place of this one.
func (be *Backend) halfList(f func(list []backend.Array), list []backend.Array) bool {
	list = slices.Clone(list)
	args := make([]argument, len(list))
	for i := range list {
		args[i] = updates(&list[i])
	}
	return be.half(func() { f(list) }, args...)
}

// floatsOf returns the elements of an array of float32 or bfloat16 numbers.
func floatsOf(a backend.Array) kernels.Floats {
	if !a.None() && a.DType() == backend.BFloat16 {
		return kernels.Floats{Half: data[uint16](a)}
	}
	return kernels.Floats{Wide: data[float32](a)}
}

// productsOf is the backend that multiplies arrays of which some have half precision,
// or nil if none has. At Medium factors are bfloat16: those that are lose nothing,
// others would.
func (be *Backend) productsOf(a, b backend.DType) *Backend {
	switch {
	case a == backend.BFloat16 && b == backend.BFloat16:
		return be.at(backend.Medium)
	case a.IsHalf() || b.IsHalf():
		return be.at(backend.Highest)
	}
	return nil
}
