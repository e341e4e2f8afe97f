package cpu

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

// bfloat16 rounds to the nearest bfloat16 number, to the even one of two. A NaN stays a NaN.
func bfloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func fromBfloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// splitPlainly is the reference of splitA and splitB for panels whose groups hold one part
// after the other, each by pairs of rows: element (2·i, l) is followed by (2·i+1, l).
func splitPlainly(count, depth int) func(dst []uint16, src []float32, lanes, k int) {
	return func(dst []uint16, src []float32, lanes, k int) {
		for i := range ceil(k, depth) * depth {
			for l := range lanes {
				var v float32
				if i < k {
					v = src[i*lanes+l]
				}
				for part := range count {
					b := bfloat16(v)
					v -= fromBfloat16(b)
					dst[i/depth*depth*lanes*count+(part*depth+i%depth/2*2)*lanes+2*l+i%2] = b
				}
			}
		}
	}
}

// plainParts is the reference of run, for panels by splitPlainly.
func plainParts(count, depth, width int) *parts[float32] {
	split := splitPlainly(count, depth)
	return &parts[float32]{count: count, depth: depth, splitA: split, splitB: split,
		run: func(height, k int, a, b []uint16, c []float32, add bool) {
			// rows are part p of a panel, k rows of lanes elements.
			rows := func(panel []uint16, lanes, p int) []float32 {
				s := make([]float32, 0, k*lanes)
				for i := range k {
					pairs := panel[i/depth*depth*lanes*count+(p*depth+i%depth/2*2)*lanes:]
					for l := range lanes {
						s = append(s, fromBfloat16(pairs[2*l+i%2]))
					}
				}
				return s
			}
			sums := make([]float32, height*width)
			for significance := count - 1; significance >= 0; significance-- {
				for p := range significance + 1 {
					x, y := rows(a, height, p), rows(b, width, significance-p)
					for l := range k {
						for i, v := range x[l*height:][:height] {
							for j, w := range y[l*width:][:width] {
								sums[i*width+j] += v * w
							}
						}
					}
				}
			}
			for i, sum := range sums {
				if add {
					sum += c[i]
				}
				c[i] = sum
			}
		}}
}

// TestPartsPrecision runs the conformance suite's test of the precisions, and Winograd's algorithms at medium, with
// plain micro-kernels for split numbers.
func TestPartsPrecision(t *testing.T) {
	chosen := current
	defer func() { current = chosen }()
	for p := range current.gemm {
		kn := plain32
		kn.run = nil
		kn.parts = plainParts(3-p, []int{32, 2, 16}[p], kn.width)
		current.gemm[p] = &kn
	}
	current.conv = [3]*kernel[float32]{backend.Highest: &plain32, backend.High: &plain32, backend.Medium: current.gemm[backend.Medium]}
	for _, row := range backendtest.Rows(5e-6) {
		if row.Method == "SetPrecision" {
			row.Test(t, New())
		}
	}
	testWinograd(t, backend.Medium, 1e-2)
}
