package backend

import (
	"fmt"
	"math"
)

// DType is the type of a tensor's elements. The zero value is Float32.
type DType uint8

// The element types. BFloat16 and Float16 store half as many bits; methods compute
// in float32 and round what they write.
const (
	Float32 DType = iota
	Float64
	Int64
	Uint8
	Bool
	BFloat16
	Float16
)

var dtypes = [...]struct {
	name string
	size int
}{
	Float32: {"float32", 4}, Float64: {"float64", 8}, Int64: {"int64", 8}, Uint8: {"uint8", 1},
	Bool: {"bool", 1}, BFloat16: {"bfloat16", 2}, Float16: {"float16", 2},
}

// String returns PyTorch's name of the type without its module: "float32".
func (t DType) String() string {
	if t.IsValid() {
		return dtypes[t].name
	}
	return fmt.Sprintf("DType(%d)", uint8(t))
}

// IsValid reports whether t is one of the types.
func (t DType) IsValid() bool { return int(t) < len(dtypes) }

// Size returns the bytes that one element takes, 0 for what is no type.
func (t DType) Size() int {
	if !t.IsValid() {
		return 0
	}
	return dtypes[t].size
}

// IsHalf reports whether the type is BFloat16 or Float16.
func (t DType) IsHalf() bool { return t == BFloat16 || t == Float16 }

// IsFloat reports whether the type is a floating-point one, which is what can
// carry a gradient.
func (t DType) IsFloat() bool {
	return t == Float32 || t == Float64 || t == BFloat16 || t == Float16
}

// Round returns v as an array of the type, a floating-point one, holds it: BFloat16
// and Float16 round what float32 makes of it, to nearest even.
func (t DType) Round(v float64) float64 {
	switch t {
	case Float32:
		return float64(float32(v))
	case BFloat16:
		return roundTo(float64(float32(v)), 8, -133, 0x1.fep127)
	case Float16:
		return roundTo(float64(float32(v)), 11, -24, 65504)
	}
	return v
}

// roundTo rounds v to so many bits, the last of them 2^least or more. What is nearer
// to the number after most becomes infinite.
func roundTo(v float64, bits, least int, most float64) float64 {
	if v == 0 || v != v || math.IsInf(v, 0) {
		return v
	}
	_, exponent := math.Frexp(v)
	unit := math.Ldexp(1, max(exponent-bits, least))
	r := math.RoundToEven(v/unit) * unit
	if math.Abs(r) > most {
		return math.Copysign(math.Inf(1), v)
	}
	return r
}
