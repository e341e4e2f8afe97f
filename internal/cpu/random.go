package cpu

import (
	"math"
	"math/bits"

	"github.com/wick-ml/wick/internal/backend"
)

// Random draws all elements. Normal numbers come in pairs (of the elements 2k
// and 2k+1) by Box and Muller's method.
func (be *Backend) Random(dst backend.Array, r backend.Random) {
	if someHalf(dst) {
		dst := dst
		be.half(func() { be.Random(dst, r) }, writes(&dst))
		return
	}
	switch dst.DType() {
	case backend.Float32:
		draw(data[float32](dst), r, func(v float64) float32 { return float32(v) })
	case backend.Float64:
		draw(data[float64](dst), r, func(v float64) float64 { return v })
	case backend.Int64:
		draw(data[int64](dst), r, func(v float64) int64 { return int64(v) })
	case backend.Uint8:
		draw(data[uint8](dst), r, func(v float64) uint8 { return uint8(int64(v)) })
	case backend.Bool:
		draw(data[bool](dst), r, func(v float64) bool { return v != 0 })
	}
}

// draw fills dst in pieces that begin at whole blocks (grain is a multiple of 4).
func draw[T any](dst []T, r backend.Random, from func(float64) T) {
	var zero T
	_, single := any(zero).(float32)
	below := math.Nextafter(r.B, r.A) // the largest that Uniform gives
	if single {
		below = float64(math.Nextafter32(float32(r.B), float32(r.A)))
	}
	zeroT, b := from(0), from(r.B)
	first := int64(r.A)
	span := uint64(int64(r.B) - first)
	parallel(len(dst), grain, func(lo, hi int) {
		var v [4]T
		for ; lo < hi; lo += 4 {
			counter := r.Offset + uint64(lo/4)
			w := philox(counter, 0, r.Seed)
			switch r.Kind {
			case backend.Uniform:
				if single {
					for i := range v {
						u := float64(w[i]>>8) * 0x1p-24
						v[i] = from(min(float64(float32(r.A+(r.B-r.A)*u)), below))
					}
					break
				}
				w2 := philox(counter, 1, r.Seed)
				for i := range v {
					v[i] = from(min(r.A+(r.B-r.A)*unit(w[i], w2[i]), below))
				}
			case backend.Normal:
				var w2 [4]uint32
				if !single {
					w2 = philox(counter, 1, r.Seed)
				}
				for i := 0; i < 4; i += 2 {
					// 1-u is in (0, 1], so that its logarithm is finite.
					radius := r.B * math.Sqrt(-2*math.Log(1-unit(w[i], w2[i])))
					sin, cos := math.Sincos(2 * math.Pi * unit(w[i+1], w2[i+1]))
					v[i] = from(r.A + radius*cos)
					v[i+1] = from(r.A + radius*sin)
				}
			case backend.Bernoulli:
				for i := range v {
					v[i] = zeroT
					if float64(w[i])*0x1p-32 < r.A {
						v[i] = b
					}
				}
			case backend.Integers:
				w2 := philox(counter, 1, r.Seed)
				for i := range v {
					hi, _ := bits.Mul64(uint64(w[i])<<32|uint64(w2[i]), span)
					v[i] = from(float64(first + int64(hi)))
				}
			}
			copy(dst[lo:min(lo+4, hi)], v[:])
		}
	})
}

// unit makes a number in [0, 1) of 53 bits.
func unit(hi, lo uint32) float64 {
	return float64((uint64(hi)<<32|uint64(lo))>>11) * 0x1p-53
}

// philox returns block (counter, upper) of Philox 4x32-10, from Salmon et al.,
// "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
func philox(counter, upper, seed uint64) [4]uint32 {
	const (
		m0, m1 = 0xD2511F53, 0xCD9E8D57
		w0, w1 = 0x9E3779B9, 0xBB67AE85
	)
	c0, c1, c2, c3 := uint32(counter), uint32(counter>>32), uint32(upper), uint32(upper>>32)
	k0, k1 := uint32(seed), uint32(seed>>32)
	for range 10 {
		p0, p1 := uint64(c0)*m0, uint64(c2)*m1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += w0
		k1 += w1
	}
	return [4]uint32{c0, c1, c2, c3}
}
