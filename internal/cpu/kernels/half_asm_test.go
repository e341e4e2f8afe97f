//go:build linux && !noasm && (amd64 || arm64)

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// briefPlaces are pieces of memory right behind and right before a page that may not be touched, offset elements away.
var briefPlaces = []func(s []uint16, n, offset int) []uint16{
	func(s []uint16, n, offset int) []uint16 { return s[offset : offset+n : offset+n] },
	func(s []uint16, n, offset int) []uint16 {
		return s[len(s)-offset-n : len(s)-offset : len(s)-offset]
	},
}

// Ways to fill memory with numbers of bfloat16: of the size of 1; any patterns, many of which are close to 0, huge or NaN;
// about half of them zeros.
var briefFills = []func(r *rand.Rand, s []uint16){
	func(r *rand.Rand, s []uint16) {
		for i := range s {
			s[i] = ToBFloat16(2*r.Float32() - 1)
		}
	},
	func(r *rand.Rand, s []uint16) {
		for i := range s {
			s[i] = uint16(r.Uint32())
			if r.IntN(8) == 0 {
				s[i] = []uint16{0, 0x8000, 1, 0x8001, 0x7f80, 0xff80, 0x7f81, 0xffc1, 0x7f7f}[r.IntN(9)]
			}
		}
	},
	func(r *rand.Rand, s []uint16) {
		for i := range s {
			s[i] = ToBFloat16(float32(r.IntN(2)) * (2*r.Float32() - 1))
		}
	},
}

// briefCase is memory for arrays of bfloat16, and a copy of it for the loops over float32.
type briefCase struct {
	fences [4][]uint16
	copies [4][]uint16
}

func newBriefCase(t *testing.T) *briefCase {
	var c briefCase
	for i := range c.fences {
		c.fences[i] = asmtest.NewFence(t, 1024).Halves()
		c.copies[i] = make([]uint16, len(c.fences[i]))
	}
	return &c
}

// compare fills arrays of the given lengths, calls loop with them, which writes the first, and wide with what is in them,
// as float32; the first must then hold the bits of wide's result, rounded, and all else what was there.
func (c *briefCase) compare(r *rand.Rand, fill func(r *rand.Rand, s []uint16), place func(s []uint16, n, offset int) []uint16, offset int,
	loop func(a [4][]uint16), wide func(a [4][]float32), lengths ...int) error {
	var a [4][]uint16
	var f [4][]float32
	for i, n := range lengths {
		a[i] = place(c.fences[i], n, (offset+i)%5)
		fill(r, a[i])
		copy(c.copies[i], c.fences[i])
		f[i] = make([]float32, n)
		PlainHalf.WidenBF16(f[i], a[i])
	}
	loop(a)
	wide(f)
	PlainHalf.NarrowBF16(place(c.copies[0], lengths[0], offset%5), f[0])
	for i := range lengths {
		for j, want := range c.copies[i] {
			if got := c.fences[i][j]; got != want {
				return fmt.Errorf("array %d with what surrounds it, element %d: got %#04x, want %#04x", i, j, got, want)
			}
		}
	}
	return nil
}

// eachBrief runs test with the loops over bfloat16 of each level that has such, and those over float32 of that level.
func eachBrief(t *testing.T, test func(t *testing.T, kn *Loops[uint16, float32], wide *Vector[float32])) {
	for _, l := range assemblyOf(t) {
		t.Run(l.Name, func(t *testing.T) {
			if l.Half.LoopsBF16 == nil {
				t.Skip("this level widens arrays of bfloat16")
			}
			test(t, l.Half.LoopsBF16, l.Vector)
		})
	}
}

// TestBF16Elementwise asks for the bits that float32 gives, rounded.
func TestBF16Elementwise(t *testing.T) {
	eachBrief(t, func(t *testing.T, kn *Loops[uint16, float32], wide *Vector[float32]) {
		r, c := rand.New(rand.NewPCG(1, 2)), newBriefCase(t)
		for _, row := range []struct {
			name   string
			arrays int
			loop   func(a [4][]uint16)
			wide   func(a [4][]float32)
		}{
			{"add", 3, func(a [4][]uint16) { kn.Add(a[0], a[1], a[2]) }, func(a [4][]float32) { wide.Add(a[0], a[1], a[2]) }},
			{"add in place", 2, func(a [4][]uint16) { kn.Add(a[0], a[0], a[1]) }, func(a [4][]float32) { wide.Add(a[0], a[0], a[1]) }},
			{"relu", 2, func(a [4][]uint16) { kn.ReLU(a[0], a[1]) }, func(a [4][]float32) { wide.ReLU(a[0], a[1]) }},
			{"relu in place", 1, func(a [4][]uint16) { kn.ReLU(a[0], a[0]) }, func(a [4][]float32) { wide.ReLU(a[0], a[0]) }},
			{"reluGrad", 3, func(a [4][]uint16) { kn.ReLUGrad(a[0], a[1], a[2]) }, func(a [4][]float32) { wide.ReLUGrad(a[0], a[1], a[2]) }},
			{"reluGrad in place", 2, func(a [4][]uint16) { kn.ReLUGrad(a[0], a[0], a[1]) }, func(a [4][]float32) { wide.ReLUGrad(a[0], a[0], a[1]) }},
		} {
			for n := range 68 {
				for offset := range 5 {
					for i, fill := range briefFills {
						for _, place := range briefPlaces {
							lengths := slices.Repeat([]int{n}, row.arrays)
							if err := c.compare(r, fill, place, offset, row.loop, row.wide, lengths...); err != nil {
								t.Fatalf("%s, %d elements, offset %d, numbers of kind %d: %v", row.name, n, offset, i, err)
							}
						}
					}
				}
			}
		}
	})
}

// TestBF16Norm asks for the bits that float32 gives: of sums as they are, of arrays rounded.
func TestBF16Norm(t *testing.T) {
	const mean, dyMean, slope, scale, shift = 0.125, -0.25, 0.75, 1.5, -0.5
	eachBrief(t, func(t *testing.T, kn *Loops[uint16, float32], wide *Vector[float32]) {
		r, c := rand.New(rand.NewPCG(3, 4)), newBriefCase(t)
		eachShape(func(g Rows, size int) {
			for kind, fill := range briefFills {
				for _, place := range briefPlaces {
					for _, relu := range []bool{false, true} {
						var got, want [4]float64
						if err := c.compare(r, fill, place, size%4,
							func(a [4][]uint16) {
								clear(a[0]) // what lies between rows stays
								if !relu {
									a[3] = nil
								}
								got[0], got[1] = kn.SumsAbout(a[1], g, mean)
								got[2], got[3] = kn.SumAndDot(a[2], a[1], a[3], g, mean)
								kn.NormalizeGrad(a[0], a[2], a[1], a[3], g, mean, dyMean, slope, scale)
							},
							func(a [4][]float32) {
								clear(a[0])
								if !relu {
									a[3] = nil
								}
								want[0], want[1] = wide.SumsAbout(a[1], g, mean)
								want[2], want[3] = wide.SumAndDot(a[2], a[1], a[3], g, mean)
								wide.NormalizeGrad(a[0], a[2], a[1], a[3], g, mean, dyMean, slope, scale)
							}, size, size, size, size); err != nil {
							t.Fatalf("normalizeGrad of %+v, ReLU %t, numbers of kind %d: %v", g, relu, kind, err)
						}
						for i := range want {
							if got[i] != want[i] && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
								t.Fatalf("%s of %+v, ReLU %t, numbers of kind %d: got %v, want %v", []string{"sum", "squares", "sum", "dot"}[i], g, relu, kind, got[i], want[i])
							}
						}
						if err := c.compare(r, fill, place, size%4,
							func(a [4][]uint16) {
								clear(a[0])
								kn.Normalize(a[0], a[1], g, mean, scale, shift, relu)
							},
							func(a [4][]float32) {
								clear(a[0])
								wide.Normalize(a[0], a[1], g, mean, scale, shift, relu)
							}, size, size); err != nil {
							t.Fatalf("normalize of %+v, ReLU %t, numbers of kind %d: %v", g, relu, kind, err)
						}
					}
				}
			}
		})
	})
}

// TestBF16Pool asks for the bits that float32 gives.
func TestBF16Pool(t *testing.T) {
	eachBrief(t, func(t *testing.T, kn *Loops[uint16, float32], wide *Vector[float32]) {
		r, c := rand.New(rand.NewPCG(5, 6)), newBriefCase(t)
		for q := range 35 {
			for w := 2 * q; w < 2*q+2; w++ {
				for rows := range 4 {
					for kind, fill := range briefFills {
						for _, place := range briefPlaces {
							if err := c.compare(r, fill, place, q%5,
								func(a [4][]uint16) { kn.MaxPool2x2(a[0], a[1], rows, w, q) },
								func(a [4][]float32) { wide.MaxPool2x2(a[0], a[1], rows, w, q) }, rows*q, 2*rows*w); err != nil {
								t.Fatalf("maxima of %d windows in %d rows of %d, numbers of kind %d: %v", q, rows, w, kind, err)
							}
							// The last array gets the maxima.
							if err := c.compare(r, fill, place, q%5,
								func(a [4][]uint16) {
									clear(a[0]) // what lies in no window stays
									kn.MaxPool2x2(a[3], a[1], rows, w, q)
									kn.MaxPoolGrad2x2(a[0], a[2], a[1], a[3], rows, w, q)
									copy(c.copies[3], c.fences[3])
								},
								func(a [4][]float32) {
									clear(a[0])
									wide.MaxPool2x2(a[3], a[1], rows, w, q)
									wide.MaxPoolGrad2x2(a[0], a[2], a[1], a[3], rows, w, q)
								}, 2*rows*w, 2*rows*w, rows*q, rows*q); err != nil {
								t.Fatalf("gradients of %d windows in %d rows of %d, numbers of kind %d: %v", q, rows, w, kind, err)
							}
						}
					}
				}
			}
		}
	})
}
