package cpu

import (
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

// plainParts is the reference of run, for panels by splitPlainly.
func plainParts(depth, width int) *parts[float32] {
	split := asmtest.SplitPlainly(1, depth)
	return &parts[float32]{depth: depth, splitA: split, splitB: split,
		run: func(height, k int, a, b []uint16, c []float32, add bool) {
			// rows are k rows of lanes elements.
			rows := func(panel []uint16, lanes int) []float32 {
				s := make([]float32, 0, k*lanes)
				for i := range k {
					pairs := panel[i/2*2*lanes:]
					for l := range lanes {
						s = append(s, asmtest.FromBFloat16(pairs[2*l+i%2]))
					}
				}
				return s
			}
			x, y := rows(a, height), rows(b, width)
			for i := range height {
				for j := range width {
					var sum float32
					for l := range k {
						sum += x[l*height+i] * y[l*width+j]
					}
					if add {
						sum += c[i*width+j]
					}
					c[i*width+j] = sum
				}
			}
		}}
}

// TestPartsPrecision runs the conformance suite's test of the precisions, and Winograd's algorithms at medium, with a
// plain micro-kernel for rounded numbers.
func TestPartsPrecision(t *testing.T) {
	chosen := current
	defer func() { current = chosen }()
	kn := plain32
	kn.run = nil
	kn.parts = plainParts(16, kn.width)
	current.gemmBF16, current.tiles = &kn, nil
	for _, row := range backendtest.Rows(5e-6) {
		if row.Method == "SetPrecision" {
			row.Test(t, New())
		}
	}
	testWinograd(t, backend.Medium, 1e-2)
}
