package tensor

import "github.com/wick-ml/wick/internal/backend"

// DType is the type of a tensor's elements: Float32, Float64, Int64, Uint8, Bool,
// BFloat16 or Float16. The last two take half the memory of Float32: operations
// compute in Float32 and round what they store.
type DType uint8

// The element types. Float32 is the default, as in PyTorch.
const (
	Float32  = DType(backend.Float32)
	Float64  = DType(backend.Float64)
	Int64    = DType(backend.Int64)
	Uint8    = DType(backend.Uint8)
	Bool     = DType(backend.Bool)
	BFloat16 = DType(backend.BFloat16)
	Float16  = DType(backend.Float16)
)

// String returns PyTorch's name of the type without its module: "float32".
func (t DType) String() string { return backend.DType(t).String() }

// IsValid reports whether t is one of the types.
func (t DType) IsValid() bool { return backend.DType(t).IsValid() }

// Size returns the bytes that one element takes, 0 for what is no type.
// (torch.dtype.itemsize)
func (t DType) Size() int { return backend.DType(t).Size() }

// IsHalf reports whether the type is BFloat16 or Float16.
func (t DType) IsHalf() bool { return backend.DType(t).IsHalf() }

// IsFloat reports whether the type is a floating-point one, which is what can
// carry a gradient. (torch.dtype.is_floating_point)
func (t DType) IsFloat() bool { return backend.DType(t).IsFloat() }

// Round returns v as a tensor of the type, a floating-point one, holds it: Float32,
// BFloat16 and Float16 round to nearest, halves to even.
func (t DType) Round(v float64) float64 { return backend.DType(t).Round(v) }
