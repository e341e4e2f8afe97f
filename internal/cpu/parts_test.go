package cpu

import (
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels"
	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

// plainParts is the reference of run, for panels by SplitPlainly.
func plainParts(depth, width int) *kernels.SplitGemm[float32] {
	split := asmtest.SplitPlainly(1, depth)
	return &kernels.SplitGemm[float32]{Depth: depth, SplitA: split, SplitB: split, Run: asmtest.PlainRun(width)}
}

// TestPartsPrecision runs the conformance suite's test of the precisions, and Winograd's algorithms at medium, with a
// plain micro-kernel for rounded numbers.
func TestPartsPrecision(t *testing.T) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	kn := kernels.Plain32
	kn.Run = nil
	kn.SplitGemm = plainParts(16, kn.Width)
	kernels.Current.GemmBF16, kernels.Current.AMX = &kn, nil
	for _, row := range backendtest.Rows(5e-6) {
		if row.Method == "SetPrecision" {
			row.Test(t, New())
		}
	}
	testWinograd(t, backend.Medium, 1e-2)
}
