package kernels

import "math"

// lerp goes the part t of the way from a to b, exactly to b where t is 1.
func lerp[T Float](a, b, t T) T {
	if t < 0.5 {
		return a + T(t*(b-a))
	}
	return b - T((b-a)*(1-t))
}

// sqrt is one instruction for either type.
func sqrt[T Float](x T) T { return T(math.Sqrt(float64(x))) }
