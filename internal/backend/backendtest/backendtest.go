// Package backendtest is the conformance suite of backend.Backend: a row for
// each method, with the sentence of the contract that it holds the backend to.
// A backend's own test calls Run; TestEveryMethodHasARow in internal/cpu sees to
// it that no method is without a row.
//
// Expected values are computed here, by the plainest loops in float64, or stand
// in the row itself.
package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// Row is a test of one method.
type Row struct {
	Method   string // of backend.Backend
	Contract string // what the row holds the backend to
	Test     func(t *testing.T, be backend.Backend)
}

// rows is filled by the files of this package, one a family of methods.
var rows []Row

// Rows returns all rows. high is the relative error (L2) that the precision High
// allows on the backend's device: 5e-6 on the CPU, 1e-3 where it is TF32.
func Rows(high float64) []Row {
	return append(slices.Clone(rows), Row{"SetPrecision", "products of float32 numbers stay within the precision's error", func(t *testing.T, be backend.Backend) {
		testSetPrecision(t, be, high)
	}})
}

// Run runs all rows on a backend.
func Run(t *testing.T, be backend.Backend, high float64) {
	for _, r := range Rows(high) {
		t.Run(r.Method+"/"+r.Contract, func(t *testing.T) { r.Test(t, be) })
	}
}

// elem is the Go types of elements.
type elem interface {
	float32 | float64 | int64 | uint8 | bool
}

func dtypeOf[T elem]() backend.DType {
	var z T
	switch any(z).(type) {
	case float32:
		return backend.Float32
	case float64:
		return backend.Float64
	case int64:
		return backend.Int64
	case uint8:
		return backend.Uint8
	}
	return backend.Bool
}

func bytesOf[T elem](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

// put makes an array of the backend that holds s. It lies at an offset in its
// buffer, as a window does.
func put[T elem](be backend.Backend, s []T) backend.Array {
	a := empty[T](be, len(s))
	be.Write(a, bytesOf(s))
	return a
}

// empty makes an array of n elements, filled with a value that a method which
// forgets to write shows.
func empty[T elem](be backend.Backend, n int) backend.Array {
	const offset = 3
	b := be.NewBuffer(dtypeOf[T](), n+offset)
	be.Fill(backend.Array{Buffer: b, Len: n + offset}, 77)
	return backend.Array{Buffer: b, Offset: offset, Len: n}
}

// get reads an array.
func get[T elem](be backend.Backend, a backend.Array) []T {
	s := make([]T, a.Len)
	be.Read(bytesOf(s), a)
	return s
}

// floats makes an array of type T (float32 or float64) that holds s.
func floats[T float32 | float64](be backend.Backend, s []float64) backend.Array {
	v := make([]T, len(s))
	for i, x := range s {
		v[i] = T(x)
	}
	return put(be, v)
}

// random returns n numbers in [-1, 1) that float32 holds exactly.
func random(seed uint64, n int) []float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	s := make([]float64, n)
	for i := range s {
		s[i] = float64(float32(2*r.Float64() - 1))
	}
	return s
}

// wantFloats fails unless the array (float32 or float64) holds want, within tol
// relative to the largest element wanted.
func wantFloats(t *testing.T, be backend.Backend, what string, a backend.Array, want []float64, tol float64) {
	t.Helper()
	var got []float64
	if a.DType() == backend.Float32 {
		for _, v := range get[float32](be, a) {
			got = append(got, float64(v))
		}
	} else {
		got = get[float64](be, a)
	}
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, want %d", what, len(got), len(want))
	}
	scale := 1e-30
	for _, w := range want {
		if !math.IsInf(w, 0) && !math.IsNaN(w) {
			scale = max(scale, math.Abs(w))
		}
	}
	for i, w := range want {
		same := got[i] == w || math.IsNaN(w) && math.IsNaN(got[i])
		if !same && !(math.Abs(got[i]-w) <= tol*scale) {
			t.Fatalf("%s: element %d: got %v, want %v (tolerance %g of %g)", what, i, got[i], w, tol, scale)
		}
	}
}

// wantExact fails unless the array holds exactly want.
func wantExact[T elem](t *testing.T, be backend.Backend, what string, a backend.Array, want []T) {
	t.Helper()
	got := get[T](be, a)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s:\ngot  %v\nwant %v", what, got, want)
	}
}

// tolerance is how far float32 and float64 results may be from the reference.
func tolerance[T float32 | float64]() float64 {
	if dtypeOf[T]() == backend.Float32 {
		return 2e-5
	}
	return 1e-12
}
