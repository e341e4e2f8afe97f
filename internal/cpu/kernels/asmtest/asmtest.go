// Package asmtest is what tests of assembly need: memory between forbidden pages, awkward
// numbers, and an emulator of Intel AMX.
package asmtest

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Randomize fills s with numbers from -1 to 1.
func Randomize(r *rand.Rand, s []float32) []float32 {
	for i := range s {
		s[i] = 2*r.Float32() - 1
	}
	return s
}

// Odd sprinkles numbers that arithmetic treats in ways of their own.
func Odd(r *rand.Rand, s []float32) []float32 {
	for i := range Randomize(r, s) {
		if k := r.IntN(40); k < 5 {
			s[i] = []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}[k]
		}
	}
	return s
}

// Zeros sets about half of the elements to 0.
func Zeros(r *rand.Rand, s []float32) []float32 {
	for i := range s {
		if r.IntN(2) == 0 {
			s[i] = 0
		}
	}
	return s
}

// SameFloats says where got is not want; a NaN is a NaN.
func SameFloats(got, want []float32) error {
	for i := range want {
		if got[i] != want[i] && (got[i] == got[i] || want[i] == want[i]) {
			return fmt.Errorf("element %d: got %v, want %v", i, got[i], want[i])
		}
	}
	return nil
}

// BFloat16 rounds to the nearest bfloat16 number, to the even one of two. A NaN stays a NaN.
func BFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// FromBFloat16 returns the number whose first half b is.
func FromBFloat16(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// SplitPlainly is the reference of splitA and splitB for panels whose groups hold one part
// after the other, each by pairs of rows: element (2·i, l) is followed by (2·i+1, l).
func SplitPlainly(count, depth int) func(dst []uint16, src []float32, lanes, k int) {
	return func(dst []uint16, src []float32, lanes, k int) {
		for i := range (k + depth - 1) / depth * depth {
			for l := range lanes {
				var v float32
				if i < k {
					v = src[i*lanes+l]
				}
				for part := range count {
					b := BFloat16(v)
					v -= FromBFloat16(b)
					dst[i/depth*depth*lanes*count+(part*depth+i%depth/2*2)*lanes+2*l+i%2] = b
				}
			}
		}
	}
}

// PlainRun returns the reference of a micro-kernel that multiplies panels by SplitPlainly, rounded to one number each.
func PlainRun(width int) func(height, k int, a, b []uint16, c []float32, add bool) {
	return func(height, k int, a, b []uint16, c []float32, add bool) {
		// rows are k rows of lanes elements.
		rows := func(panel []uint16, lanes int) []float32 {
			s := make([]float32, 0, k*lanes)
			for i := range k {
				pairs := panel[i/2*2*lanes:]
				for l := range lanes {
					s = append(s, FromBFloat16(pairs[2*l+i%2]))
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
	}
}
