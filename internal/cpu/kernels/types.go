package kernels

// Float is the element types that carry gradients.
type Float interface{ ~float32 | ~float64 }

// Number is the element types that arithmetic works on.
type Number interface {
	~float32 | ~float64 | ~int64 | ~uint8
}
