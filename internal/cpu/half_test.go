package cpu

import (
	"math"
	"testing"
)

// halfLevels are the conversions of all levels.
func halfLevels() map[string]*halfKernels {
	m := map[string]*halfKernels{}
	for _, l := range levels {
		m[l.name] = l.half
	}
	return m
}

// TestHalfWidens holds every conversion of all 65,536 patterns against
// arithmetic, and to come back as it was.
func TestHalfWidens(t *testing.T) {
	all := make([]uint16, 1<<16)
	for i := range all {
		all[i] = uint16(i)
	}
	for name, k := range halfLevels() {
		t.Run(name, func(t *testing.T) {
			wide, back := make([]float32, len(all)), make([]uint16, len(all))
			check := func(what string, bits int, least int, infinity uint16) {
				for i, got := range wide {
					sign, rest := 1.0, i&0x7fff
					if i&0x8000 != 0 {
						sign = -1
					}
					exponent, mantissa := rest>>bits, rest&(1<<bits-1)
					want := sign * math.Ldexp(float64(mantissa+1<<bits), max(exponent, 1)-1+least)
					if exponent == 0 {
						want = sign * math.Ldexp(float64(mantissa), least)
					}
					switch {
					case rest > int(infinity):
						want = math.NaN()
					case rest == int(infinity):
						want = math.Inf(int(sign))
					}
					if same := float64(got) == want && math.Signbit(float64(got)) == math.Signbit(want); !same && !(got != got && want != want) {
						t.Fatalf("%s: %#04x: got %v, want %v", what, i, got, want)
					}
					if want == want && back[i] != uint16(i) {
						t.Fatalf("%s: %#04x comes back as %#04x", what, i, back[i])
					}
					if want != want && back[i]&0x7fff <= infinity {
						t.Fatalf("%s: NaN %#04x comes back as %#04x, which is none", what, i, back[i])
					}
				}
			}
			k.widenBF16(wide, all)
			k.narrowBF16(back, wide)
			check("bfloat16", 7, -133, 0x7f80)
			k.widenF16(wide, all)
			k.narrowF16(back, wide)
			check("float16", 10, -24, 0x7c00)
		})
	}
}

// TestHalfRounds compares with the nearest of the two neighbours, for numbers
// around all of them and for all lengths.
func TestHalfRounds(t *testing.T) {
	var numbers []float32
	for i := range 1 << 15 {
		for _, v := range []float32{fromBFloat16(uint16(i)), fromFloat16(uint16(i))} {
			u := math.Float32bits(v)
			for _, d := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xfff, 0x1000, 0x1001, ^uint32(0)} {
				numbers = append(numbers, math.Float32frombits(u+d), -math.Float32frombits(u+d))
			}
		}
	}
	got := make([]uint16, len(numbers))
	for name, k := range halfLevels() {
		t.Run(name, func(t *testing.T) {
			for _, f := range []struct {
				name     string
				narrow   func(dst []uint16, src []float32)
				from     func(uint16) float32
				infinity uint16
			}{{"bfloat16", k.narrowBF16, fromBFloat16, 0x7f80}, {"float16", k.narrowF16, fromFloat16, 0x7c00}} {
				f.narrow(got, numbers)
				for i, v := range numbers {
					g := got[i]
					if v != v {
						if g&0x7fff <= f.infinity {
							t.Fatalf("%s: NaN becomes %#04x", f.name, g)
						}
						continue
					}
					if math.Signbit(float64(v)) != (g&0x8000 != 0) {
						t.Fatalf("%s: %v becomes %#04x, of another sign", f.name, v, g)
					}
					// value is that of a magnitude, infinity being the next number of the same step.
					value := func(m uint16) float64 {
						if m == f.infinity {
							return 2*float64(f.from(m-1)) - float64(f.from(m-2))
						}
						return float64(f.from(m))
					}
					m, a := g&0x7fff, math.Abs(float64(v))
					if m > f.infinity {
						t.Fatalf("%s: %v becomes NaN", f.name, v)
					}
					off := math.Abs(value(m) - a)
					if m == f.infinity && a > value(m) {
						off = 0
					}
					for _, n := range []uint16{m - 1, m + 1} {
						if n > f.infinity || m == 0 && n != 1 {
							continue
						}
						if o := math.Abs(value(n) - a); o < off || o == off && m&1 == 1 {
							t.Fatalf("%s: %v becomes %#04x (%v), want %#04x (%v)", f.name, v, g, value(m), n, value(n))
						}
					}
				}
			}
		})
	}
}

// TestHalfLengths runs every length up to 67 at odd offsets and looks that nothing
// else is touched.
func TestHalfLengths(t *testing.T) {
	for name, k := range halfLevels() {
		for n := range 68 {
			for offset := range 3 {
				src, dst := make([]uint16, n+offset), make([]float32, n+offset+20)
				for i := range src {
					src[i] = toBFloat16(float32(i) + 0.5)
				}
				for i := range dst {
					dst[i] = -7
				}
				k.widenBF16(dst[offset:offset+n], src[offset:])
				for i, v := range dst {
					want := float32(-7)
					if i >= offset && i < offset+n {
						want = fromBFloat16(src[i])
					}
					if v != want {
						t.Fatalf("%s: widenBF16 of %d: element %d: got %v, want %v", name, n, i, v, want)
					}
				}
				back := make([]uint16, n+offset+20)
				k.narrowBF16(back[offset:offset+n], dst[offset:])
				for i, v := range back {
					want := uint16(0)
					if i >= offset && i < offset+n {
						want = src[i]
					}
					if v != want {
						t.Fatalf("%s: narrowBF16 of %d: element %d: got %#x, want %#x", name, n, i, v, want)
					}
				}
			}
		}
	}
}
