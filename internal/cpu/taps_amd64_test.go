//go:build linux && !noasm

package cpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTapKernels compares the assembly with the Go loops, right behind and before
// pages that may not be touched.
func TestTapKernels(t *testing.T) {
	have := assembly()
	if len(have) == 0 {
		t.Skip("this processor or operating system has no AVX2 with FMA")
	}
	r := rand.New(rand.NewPCG(21, 22))
	for _, l := range have {
		t.Run(l.name, func(t *testing.T) {
			fsrc, fdst, fy := newFence(t, 8192), newFence(t, 1024), newFence(t, 1024)
			before := make(fence, len(fdst))
			for n := range 68 {
				for _, rows := range []int{0, 1, 3, 4, 9} {
					taps, offset := 1+n%11, n%4
					g := tapGeom{rows: rows, n: n, dstRow: n + n%3, srcRow: 2*n + 40}
					marks := make([]int32, taps)
					for i := range taps {
						g.offsets = append(g.offsets, r.IntN(n+20))
						marks[i] = int32(r.IntN(1000))
					}
					size := max(rows-1, 0)*g.srcRow + slices.Max(g.offsets) + n
					length := max(0, (rows-1)*g.dstRow+n)
					src := odd(r, fsrc.last(size+beyond, offset))
					y := randomize(r, fy.last(length, offset))
					for i := range y {
						y[i] = src[r.IntN(size)] // found sometimes
					}
					check := func(what string) {
						t.Helper()
						if err := sameFloats(fdst, before); err != nil {
							t.Fatalf("%s of %+v: %v", what, g, err)
						}
					}
					copy(before, fdst)
					l.taps.largest(fdst.last(length, offset), src, &g)
					plainTaps32.largest(before.last(length, offset), src, &g)
					check("largest")
					l.taps.split(fdst.last(n, offset), fy.first(n, offset), fsrc.first(2*n, 0), n)
					other := make([]float32, n)
					plainTaps32.split(before.last(n, offset), other, fsrc.first(2*n, 0), n)
					check("split")
					if err := sameFloats(fy.first(n, offset), other); err != nil {
						t.Fatalf("split of %d pairs: %v", n, err)
					}
					// split may have written over y.
					for i := range y {
						y[i] = src[r.IntN(size)]
					}
					got, want := make([]int32, length+1), make([]int32, length+1)
					gotNaN, wantNaN := l.taps.places(got, src, y, marks, &g), plainTaps32.places(want, src, y, marks, &g)
					if gotNaN != wantNaN || !slices.Equal(got, want) {
						t.Fatalf("places of %+v: got %v (NaN: %t), want %v (NaN: %t)", g, got, gotNaN, want, wantNaN)
					}

					randomize(r, src)
					randomize(r, y)
					weights := randomize(r, make([]float32, taps))
					l.taps.correlate(fdst.last(length, offset), src, weights, &g)
					plainTaps32.correlate(before.last(length, offset), src, weights, &g)
					for i, v := range before {
						if !(math.Abs(float64(fdst[i]-v)) <= 1e-5) && (fdst[i] == fdst[i] || v == v) && fdst[i] != v {
							t.Fatalf("correlate of %+v: element %d: got %v, want %v", g, i, fdst[i], v)
						}
					}
					copy(fdst, before)
					// dots read no further than the taps.
					src = randomize(r, fsrc.last(size, offset))
					sums, sums2 := make([]float64, taps), make([]float64, taps)
					l.taps.dots(sums, y, src, &g)
					plainTaps32.dots(sums2, y, src, &g)
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

// TestThreeKernels compares the kernels of direct convolutions with loops over
// pixels, right behind and before pages that may not be touched.
func TestThreeKernels(t *testing.T) {
	kn := taps512
	if !slices.ContainsFunc(assembly(), func(l level) bool { return l.taps == kn }) {
		t.Skip("this processor or operating system has no AVX-512")
	}
	r := rand.New(rand.NewPCG(23, 24))
	fsrc, fdst := newFence(t, 2048), newFence(t, 2048)
	for w := 1; w < 68; w++ {
		for _, h := range []int{3, 4, 5, 8} {
			for pad := -1; pad <= 3; pad++ {
				p, q, offset := h+2*pad-2, w+2*pad-2, w%4
				if p < 3 || q < 1 {
					continue
				}
				place := [2]func(f fence, n, offset int) []float32{fence.first, fence.last}[h%2]
				src, weights := randomize(r, place(fsrc, h*w, offset)), randomize(r, make([]float32, 9))
				dst := place(fdst, p*q, offset)
				before := slices.Clone(randomize(r, fdst))
				old := slices.Clone(dst)
				want, dots := make([]float64, p*q), make([]float64, 9)
				for i := range want {
					for tap := range 9 {
						if y, x := i/q-pad+tap/3, i%q-pad+tap%3; y >= 0 && y < h && x >= 0 && x < w {
							want[i] += float64(weights[tap]) * float64(src[y*w+x])
							dots[tap] += float64(old[i]) * float64(src[y*w+x])
						}
					}
				}
				var sums [9]float64
				for _, s := range strips(h, w, p, q, pad, pad, 0) {
					var some [9]float32
					kn.threeDots(&some, dst[s.col:], src, &s)
					for i, v := range some {
						sums[i] += float64(v)
					}
				}
				for i, v := range dots {
					if !(math.Abs(sums[i]-v) <= 1e-4) {
						t.Fatalf("dots of %d×%d and %d×%d pixels: tap %d: got %v, want %v", p, q, h, w, i, sums[i], v)
					}
				}
				for add := range 2 {
					for _, s := range strips(h, w, p, q, pad, pad, add) {
						kn.three(dst[s.col:], src, weights, &s)
					}
					for i, v := range want {
						v *= float64(1 + add)
						if !(math.Abs(float64(dst[i])-v) <= 1e-5) {
							t.Fatalf("%d×%d of %d×%d pixels, add %d: element %d: got %v, want %v", p, q, h, w, add, i, dst[i], v)
						}
					}
				}
				copy(dst, old)
				if !slices.Equal(fdst, before) {
					t.Fatalf("%d×%d of %d×%d pixels: wrote outside of the result", p, q, h, w)
				}
			}
		}
	}
}
