//go:build linux && !noasm && (amd64 || arm64)

package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels"
	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// TestMaxPool3x3 compares the assembly with the Go loops for planes between pages
// that may not be touched.
func TestMaxPool3x3(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	test := func(t *testing.T, kn *kernels.Vector[float32]) {
		if kn.MaxPool3x3 == nil {
			t.Skip("this level has no kernels for these windows, which go through the taps")
		}
		fx, fdx, fy, fdy := asmtest.NewFence(t, 1024), asmtest.NewFence(t, 1024), asmtest.NewFence(t, 512), asmtest.NewFence(t, 512)
		before := make(asmtest.Fence, len(fdx))
		for w := 1; w <= 70; w++ {
			for h := 1; h <= 9; h++ {
				g := poolGeom{H: h, W: w, P: (h + 1) / 2, Q: (w + 1) / 2, KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1}
				if !pools3x3(g) {
					t.Fatalf("%+v is not for these kernels", g)
				}
				for i, fill := range []func(r *rand.Rand, s []float32) []float32{asmtest.Randomize, asmtest.Odd, asmtest.Zeros} {
					place := []func(f asmtest.Fence, n, offset int) []float32{asmtest.Fence.First, asmtest.Fence.Last}[(w+h+i)%2]
					offset := w % 4
					x := fill(r, asmtest.Randomize(r, place(fx, h*w, offset)))
					y, want := place(fy, g.P*g.Q, offset), make([]float32, g.P*g.Q)
					maxPool3x3Plane(kn, y, x, g)
					maxPoolPlane(want, x, g.deep(), float32(math.Inf(-1)))
					if err := asmtest.SameFloats(y, want); err != nil {
						t.Fatalf("maxima of a plane of %d×%d: %v", h, w, err)
					}
					dy := asmtest.Randomize(r, place(fdy, len(y), offset))
					copy(before, fdx)
					none, waste := make([]float32, w), make([]float32, w)
					setAll(none, float32(math.NaN()))
					maxPoolGrad3x3Plane(kn, place(fdx, h*w, offset), dy, x, y, none, waste, g)
					maxPoolGradPlane(place(before, h*w, offset), dy, x, y, g.deep())
					if err := asmtest.SameFloats(fdx, before); err != nil {
						t.Fatalf("gradients of a plane of %d×%d: %v", h, w, err)
					}
				}
			}
		}
	}
	for _, l := range kernels.Levels {
		t.Run(l.Name, func(t *testing.T) { test(t, l.Vector) })
	}
}
