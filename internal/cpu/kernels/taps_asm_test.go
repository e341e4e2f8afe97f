//go:build linux && !noasm && (amd64 || arm64)

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// TestTapKernels compares the assembly with the Go loops, right behind and before
// pages that may not be touched.
func TestTapKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, l := range assemblyOf(t) {
		t.Run(l.Name, func(t *testing.T) {
			fsrc, fdst, fy := asmtest.NewFence(t, 8192), asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024)
			before := make(asmtest.Fence, len(fdst))
			for n := range 68 {
				for _, rows := range []int{0, 1, 3, 4, 9} {
					taps, offset := 1+n%11, n%4
					g := TapGeom{Rows: rows, N: n, DstRow: n + n%3, SrcRow: 2*n + 40}
					marks := make([]int32, taps)
					for i := range taps {
						g.Offsets = append(g.Offsets, r.IntN(n+20))
						marks[i] = int32(r.IntN(1000))
					}
					size := max(rows-1, 0)*g.SrcRow + slices.Max(g.Offsets) + n
					length := max(0, (rows-1)*g.DstRow+n)
					src := asmtest.Odd(r, fsrc.Last(size+TapsBeyond, offset))
					y := asmtest.Randomize(r, fy.Last(length, offset))
					for i := range y {
						y[i] = src[r.IntN(size)] // found sometimes
					}
					check := func(what string) {
						t.Helper()
						if err := asmtest.SameFloats(fdst, before); err != nil {
							t.Fatalf("%s of %+v: %v", what, g, err)
						}
					}
					copy(before, fdst)
					l.Taps.Largest(fdst.Last(length, offset), src, &g)
					plainTaps32.Largest(before.Last(length, offset), src, &g)
					check("largest")
					l.Taps.Split(fdst.Last(n, offset), fy.First(n, offset), fsrc.First(2*n, 0), n)
					other := make([]float32, n)
					plainTaps32.Split(before.Last(n, offset), other, fsrc.First(2*n, 0), n)
					check("split")
					if err := asmtest.SameFloats(fy.First(n, offset), other); err != nil {
						t.Fatalf("split of %d pairs: %v", n, err)
					}
					// split may have written over y.
					for i := range y {
						y[i] = src[r.IntN(size)]
					}
					got, want := make([]int32, length+1), make([]int32, length+1)
					gotNaN, wantNaN := l.Taps.Places(got, src, y, marks, &g), plainTaps32.Places(want, src, y, marks, &g)
					if gotNaN != wantNaN || !slices.Equal(got, want) {
						t.Fatalf("places of %+v: got %v (NaN: %t), want %v (NaN: %t)", g, got, gotNaN, want, wantNaN)
					}

					asmtest.Randomize(r, src)
					asmtest.Randomize(r, y)
					weights := asmtest.Randomize(r, make([]float32, taps))
					l.Taps.Correlate(fdst.Last(length, offset), src, weights, &g)
					plainTaps32.Correlate(before.Last(length, offset), src, weights, &g)
					for i, v := range before {
						if !(math.Abs(float64(fdst[i]-v)) <= 1e-5) && (fdst[i] == fdst[i] || v == v) && fdst[i] != v {
							t.Fatalf("correlate of %+v: element %d: got %v, want %v", g, i, fdst[i], v)
						}
					}
					copy(fdst, before)
					// dots read no further than the taps.
					src = asmtest.Randomize(r, fsrc.Last(size, offset))
					sums, sums2 := make([]float64, taps), make([]float64, taps)
					l.Taps.Dots(sums, y, src, &g)
					plainTaps32.Dots(sums2, y, src, &g)
					for i, v := range sums2 {
						if !(math.Abs(sums[i]-v) <= 1e-4) {
							t.Fatalf("dots of %+v: tap %d: got %v, want %v", g, i, sums[i], v)
						}
					}
				}
			}
		})
	}
}
