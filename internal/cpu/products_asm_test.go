//go:build linux && !noasm && (amd64 || arm64)

package cpu

import (
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/backend/backendtest"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// TestProductsOfAllKernels runs the rows of the conformance suite that multiply
// matrices with the kernels that this machine would not choose.
func TestProductsOfAllKernels(t *testing.T) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	rows := func(t *testing.T, kn *kernels.Gemm[float32]) {
		kernels.Current.Gemm, kernels.Current.GemmBF16 = kn, nil
		be := New()
		for _, row := range backendtest.Rows(5e-6) {
			if row.Method == "MatMul" || strings.HasPrefix(row.Method, "Conv") {
				t.Run(row.Method, func(t *testing.T) { row.Test(t, be) })
			}
		}
	}
	for _, l := range kernels.Levels {
		t.Run(l.Name, func(t *testing.T) { rows(t, l.Gemm) })
	}
}
