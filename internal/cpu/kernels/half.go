package kernels

import "math"

// Half convert between float32 and types of half precision. Both slices have
// one length. All levels give the same bits.
type Half struct {
	WidenBF16  func(dst []float32, src []uint16)
	NarrowBF16 func(dst []uint16, src []float32)
	WidenF16   func(dst []float32, src []uint16)
	NarrowF16  func(dst []uint16, src []float32)

	LoopsBF16 *Loops[uint16, float32] // or nil, where these arrays are widened
}

var PlainHalf = Half{
	WidenBF16: func(dst []float32, src []uint16) {
		src = src[:len(dst)]
		for i := range dst {
			dst[i] = FromBFloat16(src[i])
		}
	},
	NarrowBF16: func(dst []uint16, src []float32) {
		src = src[:len(dst)]
		for i := range dst {
			dst[i] = ToBFloat16(src[i])
		}
	},
	WidenF16: func(dst []float32, src []uint16) {
		src = src[:len(dst)]
		for i := range dst {
			dst[i] = FromFloat16(src[i])
		}
	},
	NarrowF16: func(dst []uint16, src []float32) {
		src = src[:len(dst)]
		for i := range dst {
			dst[i] = toFloat16(src[i])
		}
	},
}

// FromBFloat16 widens: a bfloat16 is the upper half of a float32.
func FromBFloat16(v uint16) float32 { return math.Float32frombits(uint32(v) << 16) }

// ToBFloat16 rounds to nearest even. NaN stays NaN, with its sign and its upper bits.
func ToBFloat16(v float32) uint16 {
	u := math.Float32bits(v)
	if v != v {
		return uint16(u>>16 | 0x40)
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// FromFloat16 widens IEEE 754's binary16.
func FromFloat16(v uint16) float32 {
	sign, rest := uint32(v&0x8000)<<16, uint32(v&0x7fff)
	switch {
	case rest > 0x7c00: // NaN becomes quiet, as by VCVTPH2PS
		return math.Float32frombits(sign | 0x7fc00000 | rest&0x3ff<<13)
	case rest == 0x7c00:
		return math.Float32frombits(sign | 0x7f800000)
	case rest < 0x400: // subnormal: units of 2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(rest)*0x1p-24))
	}
	return math.Float32frombits(sign | (rest+112<<10)<<13)
}

// toFloat16 rounds to nearest even; what is beyond 65504 becomes infinite.
func toFloat16(v float32) uint16 {
	u := math.Float32bits(v)
	sign, rest := u>>16&0x8000, u&0x7fffffff
	switch {
	case rest > 0x7f800000:
		return uint16(sign | 0x7e00 | rest>>13&0x3ff)
	case rest >= 0x477ff000:
		return uint16(sign | 0x7c00)
	case rest < 0x38800000: // subnormal: a number is added whose last bit is 2⁻²⁴
		return uint16(sign | math.Float32bits(math.Float32frombits(rest)+0.5) - 0x3f000000)
	}
	return uint16(sign | (rest-112<<23+0xfff+rest>>13&1)>>13)
}

// plainMaxPoolGrad2x2BF16 is for windows with NaN.
func plainMaxPoolGrad2x2BF16(dx, dy, x, y []uint16, rows, w, q int) {
	wide := func(s []uint16, n int) []float32 {
		f := make([]float32, n)
		PlainHalf.WidenBF16(f, s[:n])
		return f
	}
	n := 2 * rows * w
	to := wide(dx, n)
	plainMaxPoolGrad2x2(to, wide(dy, rows*q), wide(x, n), wide(y, rows*q), rows, w, q)
	PlainHalf.NarrowBF16(dx[:n], to)
}

// Floats is where float32 numbers lie, as they are or as bfloat16. The zero
// value is those of an absent array.
type Floats struct {
	Wide []float32
	Half []uint16 // instead of wide
}

func (f Floats) None() bool { return f.Len() == 0 }

func (f Floats) Len() int { return len(f.Wide) + len(f.Half) }

// Size returns the bytes of an element.
func (f Floats) Size() int {
	if f.Half != nil {
		return 2
	}
	return 4
}

// From returns the elements from i on.
func (f Floats) From(i int) Floats {
	if f.Half != nil {
		return Floats{Half: f.Half[i:]}
	}
	return Floats{Wide: f.Wide[i:]}
}

func (f Floats) At(i int) float32 {
	if f.Half != nil {
		return FromBFloat16(f.Half[i])
	}
	return f.Wide[i]
}

// Set writes element i, rounded to nearest even.
func (f Floats) Set(i int, v float32) {
	if f.Half != nil {
		f.Half[i] = ToBFloat16(v)
	} else {
		f.Wide[i] = v
	}
}

// Store writes the elements from i on, rounded to nearest even.
func (f Floats) Store(i int, src []float32) {
	if f.Half != nil {
		Current.Half.NarrowBF16(f.Half[i:i+len(src)], src)
	} else {
		copy(f.Wide[i:], src)
	}
}
