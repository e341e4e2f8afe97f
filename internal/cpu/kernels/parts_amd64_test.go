//go:build linux && !noasm

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

	"golang.org/x/sys/cpu"
)

// eachParts runs test with each kernel for split numbers that this machine can run. They lay their panels as splitPlainly does.
func eachParts(t *testing.T, test func(t *testing.T, kn *Gemm[float32])) {
	t.Run("AVX512_BF16", func(t *testing.T) {
		if !cpu.X86.HasAVX512BF16 || !cpu.X86.HasAVX512BW {
			t.Skip("this processor or operating system has no AVX512_BF16")
		}
		test(t, &KernelBF16)
	})
}

func TestSplit16(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	eachParts(t, func(t *testing.T, kn *Gemm[float32]) {
		plain := asmtest.SplitPlainly(1, kn.SplitGemm.Depth)
		fsrc, fdst := asmtest.NewFence(t, 70*32), asmtest.NewFence(t, 70*32)
		for _, lanes := range append([]int{kn.Width}, kn.Heights...) {
			for k := 1; k < 68; k++ {
				for offset := range 4 {
					src := asmtest.Randomize(r, fsrc.Last(k*lanes, offset))
					// Roundings to even, up and down, what overflows and what is not a number.
					for i, v := range []uint32{0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x80000000, 0x7f7fffff, 0xff800000, 0x7fc00001} {
						src[(i*37+k)%len(src)] = math.Float32frombits(v)
					}
					size := kn.SplitGemm.Size(lanes, k) / 2
					dst := asmtest.Randomize(r, fdst.Last(size, offset))
					want := slices.Clone(dst)
					before := slices.Clone(fdst[:len(fdst)-offset-size])
					plain(Halves(want), src, lanes, k)
					kn.SplitGemm.SplitA(Halves(dst), src, lanes, k)
					if !slices.Equal(Halves(dst), Halves(want)) {
						t.Fatalf("%d rows of %d, offset %d:\ngot  %x\nwant %x", k, lanes, offset, Halves(dst), Halves(want))
					}
					if len(before) > 0 && !slices.Equal(Halves(before), Halves(fdst[:len(before)])) {
						t.Fatalf("%d rows of %d, offset %d: wrote before the panel", k, lanes, offset)
					}
				}
			}
		}
	})
}

func TestPartsKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	eachParts(t, func(t *testing.T, kn *Gemm[float32]) {
		p := kn.SplitGemm
		split, run := asmtest.SplitPlainly(1, p.Depth), asmtest.PlainRun(kn.Width)
		fa, fb, fc := asmtest.NewFence(t, 70*16), asmtest.NewFence(t, 70*32), asmtest.NewFence(t, 16*32+8)
		for _, h := range kn.Heights {
			for k := 1; k < 68; k++ {
				for offset := range 4 {
					a, b := Halves(fa.Last(p.Size(h, k)/2, offset)), Halves(fb.Last(p.Size(kn.Width, k)/2, offset))
					split(a, asmtest.Randomize(r, make([]float32, h*k)), h, k)
					split(b, asmtest.Randomize(r, make([]float32, kn.Width*k)), kn.Width, k)
					if k%8 == 0 { // infinities and what is not a number, in row 1 and in column 2
						a[2], b[4] = 0x7f80, 0x7fc0
					}
					for _, add := range []bool{false, true} {
						before := slices.Clone(asmtest.Randomize(r, fc))
						c := fc.Last(h*kn.Width, offset)
						want := slices.Clone(c)
						run(h, k, a, b, want, add)
						p.Run(h, k, a, b, c, add)
						for i, v := range c {
							same := v == want[i] || v != v && want[i] != want[i]
							if !same && !(math.Abs(float64(v-want[i])) <= 1e-5) {
								t.Fatalf("%d×%d, k %d, offset %d, add %t: element (%d, %d): got %v, want %v", h, kn.Width, k, offset, add, i/kn.Width, i%kn.Width, v, want[i])
							}
						}
						end := len(fc) - offset
						if !slices.Equal(fc[:end-len(c)], before[:end-len(c)]) || !slices.Equal(fc[end:], before[end:]) {
							t.Fatalf("%d×%d, k %d, offset %d: wrote outside of the result", h, kn.Width, k, offset)
						}
					}
				}
			}
		}
	})
}
