//go:build cuda && linux

package cuda

import (
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// Descriptors need no GPU: with WICK_GPU=1 and cuDNN in LD_LIBRARY_PATH this test
// asks NVIDIA's library, which is the one that matters.
func TestConvolutionDescriptors(t *testing.T) {
	g := backend.ConvGeom{N: 2, C: 8, H: 13, W: 10, K: 6, R: 2, S: 5, P: 10, Q: 5, StrideH: 1, StrideW: 3, PadH: 0, PadW: 4, DilationH: 3, DilationW: 1, Groups: 2}
	want := []int{2, 6, 10, 5}
	for _, dtype := range []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16} {
		for _, exact := range []bool{true, false} {
			c, err := newConvolution(convolutionKey{g, dtype, forward, exact})
			if err != nil {
				t.Fatalf("%s, exact %v: %v", dtype, exact, err)
			}
			if c.conv.GroupCount() != 2 {
				t.Errorf("%s: got %d groups, want 2", dtype, c.conv.GroupCount())
			}
			got, err := c.conv.CalcForwardOutputShape(c.x, c.w, 2)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: got a result of %v, %v, want %v", dtype, got, err, want)
			}
		}
	}
}
