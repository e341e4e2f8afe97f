package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// halfLevels are the conversions of all levels.
func halfLevels() map[string]*kernels.Half {
	m := map[string]*kernels.Half{}
	for _, l := range kernels.Levels {
		m[l.Name] = l.Half
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
			k.WidenBF16(wide, all)
			k.NarrowBF16(back, wide)
			check("bfloat16", 7, -133, 0x7f80)
			k.WidenF16(wide, all)
			k.NarrowF16(back, wide)
			check("float16", 10, -24, 0x7c00)
		})
	}
}

// TestHalfRounds compares with the nearest of the two neighbours, for numbers
// around all of them and for all lengths.
func TestHalfRounds(t *testing.T) {
	var numbers []float32
	for i := range 1 << 15 {
		for _, v := range []float32{kernels.FromBFloat16(uint16(i)), kernels.FromFloat16(uint16(i))} {
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
			}{{"bfloat16", k.NarrowBF16, kernels.FromBFloat16, 0x7f80}, {"float16", k.NarrowF16, kernels.FromFloat16, 0x7c00}} {
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
					src[i] = kernels.ToBFloat16(float32(i) + 0.5)
				}
				for i := range dst {
					dst[i] = -7
				}
				k.WidenBF16(dst[offset:offset+n], src[offset:])
				for i, v := range dst {
					want := float32(-7)
					if i >= offset && i < offset+n {
						want = kernels.FromBFloat16(src[i])
					}
					if v != want {
						t.Fatalf("%s: widenBF16 of %d: element %d: got %v, want %v", name, n, i, v, want)
					}
				}
				back := make([]uint16, n+offset+20)
				k.NarrowBF16(back[offset:offset+n], dst[offset:])
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

// TestBF16Unwidened compares the methods that work on bfloat16 arrays where they lie with what they do where all arrays are
// widened, bit for bit, each for sizes that its loops cut in different ways.
func TestBF16Unwidened(t *testing.T) {
	if kernels.Current.Half.LoopsBF16 == nil {
		t.Skipf("the level %s widens arrays of bfloat16", kernels.Current.Name)
	}
	be := New()
	seed := uint64(0)
	numbers := func(typ backend.DType, n int) backend.Array {
		seed++
		a := backend.Array{Buffer: be.NewBuffer(typ, n+3), Offset: 3, Len: n}
		be.Random(a, backend.Random{Kind: backend.Normal, A: 0.25, B: 1, Seed: seed})
		return a
	}
	brief := func(n int) backend.Array { return numbers(backend.BFloat16, n) }
	norm := func(g backend.BatchNormGeom, param backend.DType, present bool) func() []backend.Array {
		return func() []backend.Array {
			n := g.N * g.C * g.Inner
			each := func() backend.Array { return numbers(param, g.C) }
			dst, x, dy, dx := brief(n), brief(n), brief(n), brief(n)
			mean, invstd, runningMean, runningVar := each(), each(), each(), each()
			be.Unary(runningVar, runningVar, backend.Square, backend.UnaryParams{})
			var w, b, dw, db backend.Array
			if present {
				w, b, dw, db = each(), each(), each(), each()
			}
			be.BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b, g)
			y := dst
			if !g.ReLU {
				y = backend.Array{}
			}
			be.BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd, g)
			if present { // the gradients of w and b alone
				dw2, db2 := each(), each()
				be.BatchNormGrad(backend.Array{}, dw2, db2, dy, x, y, w, mean, invstd, g)
				return []backend.Array{dst, mean, invstd, runningMean, runningVar, dx, dw, db, dw2, db2}
			}
			return []backend.Array{dst, mean, invstd, runningMean, runningVar, dx}
		}
	}
	pool := func(planes, h, w int) func() []backend.Array {
		return func() []backend.Array {
			g := backend.PoolGeom{Planes: planes, In: [3]int{1, h, w}, Out: [3]int{1, h / 2, w / 2}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 2, 2}, Dilation: [3]int{1, 1, 1}}
			x, dx, y, dy := brief(planes*h*w), brief(planes*h*w), brief(planes*volume(g.Out)), brief(planes*volume(g.Out))
			if len(data[uint16](x)) > 8 {
				data[uint16](x)[1], data[uint16](x)[8] = 0x7fc1, 0xff80
			}
			be.MaxPool(y, x, g)
			be.MaxPoolGrad(dx, dy, x, y, g)
			return []backend.Array{y, dx}
		}
	}
	elements := func(n int) func() []backend.Array {
		return func() []backend.Array {
			x, y, dy, dx, sum := brief(n), brief(n), brief(n), brief(n), brief(n)
			be.Unary(y, x, backend.ReLU, backend.UnaryParams{})
			be.UnaryGrad(dx, dy, backend.Array{}, y, backend.ReLU, backend.UnaryParams{})
			be.Binary(sum, x, dy, backend.Add, backend.BinaryGeom{})
			be.Binary(x, x, dy, backend.Add, backend.BinaryGeom{})
			return []backend.Array{y, dx, sum, x}
		}
	}
	train := backend.BatchNormGeom{Training: true, ReLU: true, Eps: 1e-5, Momentum: 0.1}
	shape := func(g backend.BatchNormGeom, n, c, inner int) backend.BatchNormGeom {
		g.N, g.C, g.Inner = n, c, inner
		return g
	}
	noReLU, evaluate := train, train
	noReLU.ReLU, evaluate.Training = false, false
	for _, row := range []struct {
		name string
		call func() []backend.Array
	}{
		{"normalization", norm(shape(train, 5, 7, 33), backend.Float32, true)},
		{"normalization of many channels", norm(shape(train, 3, 513, 4), backend.Float32, true)},
		{"normalization of one element a channel", norm(shape(train, 2, 3, 1), backend.Float32, true)},
		{"normalization of long rows", norm(shape(train, 2, 2, kernels.Longest+77), backend.Float32, true)},
		{"normalization without ReLU", norm(shape(noReLU, 5, 7, 33), backend.Float32, true)},
		{"normalization without parameters", norm(shape(noReLU, 5, 7, 33), backend.Float32, false)},
		{"normalization in evaluation", norm(shape(evaluate, 5, 7, 33), backend.Float32, true)},
		{"normalization with parameters of half precision", norm(shape(train, 5, 7, 33), backend.BFloat16, true)},
		{"pooling of planes that join", pool(7, 34, 38)},
		{"pooling of odd planes", pool(3, 5, 9)},
		{"pooling of lines", pool(3, 1, 9)},
		{"pooling of columns", pool(3, 4, 1)},
		{"pooling of no planes", pool(0, 4, 4)},
		{"elements", elements(2*grain + 77)},
		{"no elements", elements(0)},
	} {
		seed = 0
		got := row.call()
		seed = 0
		var want []backend.Array
		withoutLoops(func() { want = row.call() })
		for i := range want {
			if g, w := raw(got[i]), raw(want[i]); !slices.Equal(g, w) {
				at := 0
				for g[at] == w[at] {
					at++
				}
				t.Errorf("%s, result %d: differs at byte %d of %d", row.name, i, at, len(w))
			}
		}
	}
}

// withoutLoops runs f where bfloat16 arrays are widened for everything.
func withoutLoops(f func()) {
	before := kernels.Current.Half
	defer func() { kernels.Current.Half = before }()
	widening := *before
	widening.LoopsBF16 = nil
	kernels.Current.Half = &widening
	f()
}

// BenchmarkBatchNormBF16 runs batch normalization with ReLU and its gradient on arrays of the sizes that VGG16 has for 64
// images of 32×32: where they lie, through scratch memory ("widened"), and in float32. As in a training step, the
// arrays of a call are in no cache: calls take turns with many of them.
func BenchmarkBatchNormBF16(b *testing.B) {
	const memory = 256 << 20
	be := New()
	numbers := func(t backend.DType, n int) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(t, n), Len: n}
		be.Random(a, backend.Random{Kind: backend.Uniform, A: -1, B: 1})
		return a
	}
	wide, brief := numbers(backend.Float32, memory/4), numbers(backend.BFloat16, memory/2)
	for _, size := range [][2]int{{64, 1024}, {128, 256}, {256, 64}, {512, 16}, {512, 4}} {
		g := backend.BatchNormGeom{N: 64, C: size[0], Inner: size[1], Training: true, ReLU: true, Eps: 1e-5, Momentum: 0.1}
		n := g.N * g.C * g.Inner
		each := func() backend.Array { return numbers(backend.Float32, g.C) }
		mean, invstd, runningMean, runningVar, w, shift, dw, db := each(), each(), each(), each(), each(), each(), each(), each()
		for _, v := range []struct {
			name string
			all  backend.Array
			run  func(f func())
		}{{"float32", wide, func(f func()) { f() }}, {"widened", brief, withoutLoops}, {"bfloat16", brief, func(f func()) { f() }}} {
			turn := 0
			next := func() backend.Array {
				a := v.all
				a.Offset, a.Len = turn*n, n
				turn = (turn + 1) % (v.all.Len / n)
				return a
			}
			for _, pass := range []struct {
				name string
				run  func()
			}{
				{"forward", func() { be.BatchNorm(next(), mean, invstd, runningMean, runningVar, next(), w, shift, g) }},
				{"gradient", func() { be.BatchNormGrad(next(), dw, db, next(), next(), next(), w, mean, invstd, g) }},
			} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/%s", pass.name, g.N, g.C, g.Inner, v.name), func(b *testing.B) {
					v.run(func() {
						for b.Loop() {
							pass.run()
						}
					})
				})
			}
		}
	}
}
