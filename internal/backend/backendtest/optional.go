package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// optional are the methods of interfaces that only some backends have.
var optional = map[string]bool{}

// IsOptional reports whether a row is for a method of an interface that only some
// backends have.
func IsOptional(method string) bool { return optional[method] }

// optionalRow returns a row for the interface I, whose method it names. Test compares
// it with what package tensor composes where a backend has none.
func optionalRow[I any](method, contract string, test func(t *testing.T, be backend.Backend, fused I)) Row {
	optional[method] = true
	return Row{method, contract, func(t *testing.T, be backend.Backend) {
		fused, ok := be.(I)
		if !ok {
			t.Skipf("%T has no %s; package tensor composes it of other methods", be, method)
		}
		test(t, be, fused)
	}}
}

func init() {
	rows = append(rows,
		optionalRow("AffineRowNorm", "is RowNorm followed by Mul and Add, to the bit", testAffineRowNorm),
	)
}

func testAffineRowNorm(t *testing.T, be backend.Backend, fused backend.AffineRowNorm) {
	for _, s := range append(rowNormSizes, struct{ rows, n int }{2, 40_001}) {
		for _, dtype := range []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16} {
			wide := dtype
			if dtype.IsHalf() {
				wide = backend.Float32
			}
			array := func(t backend.DType, n int) backend.Array {
				a := backend.Array{Buffer: be.NewBuffer(t, n+3), Offset: 3, Len: n}
				be.Fill(a, 77)
				return a
			}
			numbers := func(t backend.DType, seed uint64, n int) backend.Array {
				a := array(t, n)
				be.Copy(a, floats[float64](be, random(seed, n)))
				return a
			}
			x := numbers(dtype, 1, s.rows*s.n)
			for bits := range 8 {
				var w, b, y backend.Array
				if bits&1 != 0 {
					w = numbers(wide, 2, s.n)
				}
				if bits&2 != 0 {
					b = numbers(wide, 3, s.n)
				}
				if bits&4 != 0 {
					y = array(wide, x.Len)
				}
				dst, mean, invstd := array(dtype, x.Len), array(wide, s.rows), array(wide, s.rows)
				fused.AffineRowNorm(dst, y, mean, invstd, x, w, b, s.rows, s.n, 1e-3)

				wantY, wantMean, wantInvstd := array(wide, x.Len), array(wide, s.rows), array(wide, s.rows)
				be.RowNorm(wantY, wantMean, wantInvstd, x, s.rows, s.n, 1e-3)
				out := array(wide, x.Len)
				be.Copy(out, wantY)
				each := backend.BinaryGeom{Shape: []int{s.rows, s.n}, A: []int{s.n, 1}, B: []int{0, 1}}
				if !w.None() {
					be.Binary(out, out, w, backend.Mul, each)
				}
				if !b.None() {
					be.Binary(out, out, b, backend.Add, each)
				}
				want := array(dtype, x.Len)
				be.Copy(want, out)
				what := fmt.Sprintf("%d rows of %d of %v, weight %t, bias %t", s.rows, s.n, dtype, !w.None(), !b.None())
				sameBits(t, be, what, dst, want)
				sameBits(t, be, what+": mean", mean, wantMean)
				sameBits(t, be, what+": invstd", invstd, wantInvstd)
				if !y.None() {
					sameBits(t, be, what+": normalized rows", y, wantY)
				}
			}
		}
	}
	nan := put(be, []float32{1, float32(math.NaN()), 3, 1, 2, 3})
	dst, mean, invstd := empty[float32](be, 6), empty[float32](be, 2), empty[float32](be, 2)
	one := put(be, []float32{1, 1, 1})
	fused.AffineRowNorm(dst, backend.Array{}, mean, invstd, nan, one, one, 2, 3, 0)
	got := get[float32](be, dst)
	for i, v := range got {
		if (v != v) != (i < 3) {
			t.Errorf("a row with a NaN and one without: got %v", got)
			break
		}
	}
}

// sameBits fails unless two arrays of one type hold the same bits.
func sameBits(t *testing.T, be backend.Backend, what string, a, b backend.Array) {
	t.Helper()
	read := func(a backend.Array) []byte {
		s := make([]byte, a.Len*a.DType().Size())
		be.Read(s, a)
		return s
	}
	if !slices.Equal(read(a), read(b)) {
		t.Fatalf("%s: the bits differ", what)
	}
}
