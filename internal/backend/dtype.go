package backend

import "fmt"

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
	if int(t) < len(dtypes) {
		return dtypes[t].name
	}
	return fmt.Sprintf("DType(%d)", uint8(t))
}

// Size returns the bytes that one element takes.
func (t DType) Size() int { return dtypes[t].size }

// IsHalf reports whether the type is BFloat16 or Float16.
func (t DType) IsHalf() bool { return t == BFloat16 || t == Float16 }

// IsFloat reports whether the type is a floating-point one, which is what can
// carry a gradient.
func (t DType) IsFloat() bool {
	return t == Float32 || t == Float64 || t == BFloat16 || t == Float16
}
