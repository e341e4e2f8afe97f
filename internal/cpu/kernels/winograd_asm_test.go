//go:build linux && !noasm && (amd64 || arm64)

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// TestTransforms compares the transforms of all schemes with the plain ones.
func TestTransforms(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		lanes := kn.Winograd.Lanes
		fsrc, fdst := asmtest.NewFence(t, 2000), asmtest.NewFence(t, 160*36*16)
		for _, s := range []*WinogradScheme{&Winograd2x4, &WinogradPair, &Winograd4x4} {
			for m, l := range s.maps {
				outH, outW := len(l.rows), len(l.columns)
				inputs := len(l.rows[0]) * len(l.columns[0])
				for n := range 68 {
					offset := n % 4
					src := asmtest.Randomize(r, fsrc.Last(1000, offset))
					strideW := lanes * (1 + n%3)
					strideH := strideW*outW + n%5
					tile := strideH * outH
					size := max(n, 1)*lanes*2 + tile
					if n < 3 {
						size = max(n-1, 0)*tile + strideH*(outH-1) + strideW*(outW-1) + lanes // no element is left over
					}
					var tiles []int
					for i := range n {
						if n < 3 {
							tiles = append(tiles, i*tile)
						} else {
							tiles = append(tiles, r.IntN(size-tile-lanes))
						}
						for range inputs {
							tiles = append(tiles, r.IntN(1000-lanes+1))
						}
					}
					if n > 0 {
						tiles[len(tiles)-1] = 1000 - lanes // the very last elements
						tiles[len(tiles)-inputs] = 0
					}
					dst := asmtest.Randomize(r, fdst.Last(size, offset))
					want := slices.Clone(dst)
					// One tile at a time, since tiles may write over each other.
					for i := 0; i < len(tiles); i += 1 + inputs {
						for half := 0; half < lanes; half += 8 {
							plainTransform(s, m, want[half:], strideH, strideW, src[half:], tiles[i:i+1+inputs])
						}
					}
					kn.Winograd.Transform(s, m, dst, strideH, strideW, src, tiles)
					bound := 1e-5
					if s == &Winograd4x4 { // whose results are up to eight times as large
						bound *= 8
					}
					for i, v := range dst {
						if !(math.Abs(float64(v-want[i])) <= bound) {
							t.Fatalf("map %d of %d×%d products, %d tiles: element %d: got %v, want %v", m, s.H, s.W, n, i, v, want[i])
						}
					}
				}
			}
		}
	})
}

func TestScatter(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 68*8*16), asmtest.NewFence(t, 8*(68*8+3))
		for n := range 68 {
			offset, width := n%4, []int{8, 9, 16}[n%3]
			src := asmtest.Randomize(r, fsrc.Last(max(0, 8*n-1)*width+8, offset))
			var lanes [8]int
			for i, l := range r.Perm(8) {
				lanes[i] = l * (8*n + 3)
			}
			blocks := r.Perm(n)
			for i := range blocks {
				blocks[i] *= 8
			}
			dst := asmtest.Randomize(r, fdst.Last(7*(8*n+3)+8*n, offset))
			want := slices.Clone(dst)
			plainScatter(Floats{Wide: want}, &lanes, blocks, src, width, float32(n))
			if kn.Winograd.Touch != nil {
				kn.Winograd.Touch(Floats{Wide: dst}, &lanes, blocks)
			}
			kn.Winograd.Scatter(Floats{Wide: dst}, &lanes, blocks, src, width, float32(n))
			if !slices.Equal(dst, want) {
				t.Fatalf("%d blocks of rows of %d:\ngot  %v\nwant %v", n, width, dst, want)
			}
		}
	})
}

// bfloat16s fills s with numbers of all kinds, NaN among them.
func bfloat16s(r *rand.Rand, s []uint16) []uint16 {
	for i := range s {
		s[i] = uint16(r.Uint32())
	}
	return s
}

func TestTransposeBF16(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := Halves(asmtest.NewFence(t, 2048)), asmtest.NewFence(t, 68*8*32)
		for n := range 68 {
			for _, width := range []int{6, 8, 14, 16, 32} {
				offset := (n + width) % 5
				src := bfloat16s(r, fsrc[len(fsrc)-offset-1000:len(fsrc)-offset])
				var lanes [8]int
				for i := range lanes {
					lanes[i] = r.IntN(93)
				}
				blocks := make([]int, n)
				for i := range blocks {
					blocks[i] = r.IntN(900)
				}
				if n > 0 {
					lanes[7], blocks[n-1] = 92, 900 // the very last elements
				}
				dst := asmtest.Randomize(r, fdst.Last(max(0, 8*n-1)*width+8, offset%4))
				want := slices.Clone(dst)
				plainGather(want, width, Floats{Half: src}, &lanes, blocks)
				if kn.Winograd.Touch != nil {
					kn.Winograd.Touch(Floats{Half: src}, &lanes, blocks)
				}
				kn.Winograd.Transpose(dst, width, Floats{Half: src}, &lanes, blocks)
				for i, v := range dst {
					if math.Float32bits(v) != math.Float32bits(want[i]) {
						t.Fatalf("%d blocks, rows of %d: element %d: got %v, want %v", n, width, i, v, want[i])
					}
				}
			}
		}
	})
}

func TestScatterBF16(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 68*8*16), Halves(asmtest.NewFence(t, 4*(68*8+4)))
		for n := range 68 {
			for offset := range 5 {
				width := []int{8, 9, 16}[n%3]
				src := asmtest.Randomize(r, fsrc.Last(max(0, 8*n-1)*width+8, offset%4))
				for i := range src { // numbers whose lower half is that of a tie, or anything, and some that are not finite
					upper := r.Uint32() << 16
					src[i] = math.Float32frombits(upper | []uint32{0x8000, 0x7fff, 0x8001, r.Uint32() & 0xffff}[r.IntN(4)])
				}
				var lanes [8]int
				for i, l := range r.Perm(8) {
					lanes[i] = l * (8*n + 3)
				}
				blocks := r.Perm(n)
				for i := range blocks {
					blocks[i] *= 8
				}
				dst := bfloat16s(r, fdst[len(fdst)-offset-7*(8*n+3)-8*n:len(fdst)-offset])
				want := slices.Clone(dst)
				plus := float32(n % 2)
				plainScatter(Floats{Half: want}, &lanes, blocks, src, width, plus)
				kn.Winograd.Scatter(Floats{Half: dst}, &lanes, blocks, src, width, plus)
				if !slices.Equal(dst, want) {
					t.Fatalf("%d blocks of rows of %d, offset %d:\ngot  %x\nwant %x", n, width, offset, dst, want)
				}
			}
		}
	})
}
