//go:build linux && !noasm

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// TestThreeKernels compares the kernels of direct convolutions with loops over
// pixels, right behind and before pages that may not be touched.
func TestThreeKernels(t *testing.T) {
	kn := Taps512
	if !slices.ContainsFunc(assembly(), func(l Level) bool { return l.Taps == kn }) {
		t.Skip("this processor or operating system has no AVX-512")
	}
	r := rand.New(rand.NewPCG(23, 24))
	fsrc, fdst := asmtest.NewFence(t, 2048), asmtest.NewFence(t, 2048)
	for w := 1; w < 68; w++ {
		for _, h := range []int{3, 4, 5, 8} {
			for pad := -1; pad <= 3; pad++ {
				p, q, offset := h+2*pad-2, w+2*pad-2, w%4
				if p < 3 || q < 1 {
					continue
				}
				place := [2]func(f asmtest.Fence, n, offset int) []float32{asmtest.Fence.First, asmtest.Fence.Last}[h%2]
				src, weights := asmtest.Randomize(r, place(fsrc, h*w, offset)), asmtest.Randomize(r, make([]float32, 9))
				dst := place(fdst, p*q, offset)
				before := slices.Clone(asmtest.Randomize(r, fdst))
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
				for _, s := range Strips(h, w, p, q, pad, pad, 0) {
					var some [9]float32
					kn.ThreeDots(&some, dst[s.Col:], src, &s)
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
					for _, s := range Strips(h, w, p, q, pad, pad, add) {
						kn.Three(dst[s.Col:], src, weights, &s)
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
