package cpu

import (
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

// plainParts is the reference of run, for panels by SplitPlainly.
func plainParts(depth, width int) *parts[float32] {
	split := asmtest.SplitPlainly(1, depth)
	return &parts[float32]{depth: depth, splitA: split, splitB: split, run: asmtest.PlainRun(width)}
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
