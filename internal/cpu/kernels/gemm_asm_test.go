//go:build linux && !noasm && (amd64 || arm64)

package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"
)

// eachKernel runs test with each assembly kernel that this machine can run.
func eachKernel(t *testing.T, test func(t *testing.T, kn *Gemm[float32])) {
	for _, l := range assemblyOf(t) {
		t.Run(l.Name, func(t *testing.T) { test(t, l.Gemm) })
	}
}

// assemblyOf returns the levels in assembly that this machine can run.
func assemblyOf(t *testing.T) []Level {
	have := assembly()
	if len(have) == 0 {
		t.Skip("this processor or operating system has no AVX2 with FMA")
	}
	return have
}

// TestMicroKernelsTo compares the kernels that write elsewhere with those that do not.
func TestMicroKernelsTo(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		if kn.RunTo == nil {
			t.Skip("this kernel writes nowhere else")
		}
		fa, fb, fc, fd := asmtest.NewFence(t, 70*16), asmtest.NewFence(t, 70*32), asmtest.NewFence(t, 16*32+8), asmtest.NewFence(t, 16*80)
		for _, h := range kn.Heights {
			for k := range 68 {
				for _, add := range []bool{false, true} {
					ld, offset := kn.Width+k%37, k%4
					a, b := asmtest.Randomize(r, fa.Last(max(k, 1)*h, offset)), asmtest.Randomize(r, fb.Last(max(k, 1)*kn.Width, offset))
					c, dst := asmtest.Randomize(r, fc.Last(h*kn.Width, offset)), fd.Last((h-1)*ld+kn.Width, offset)
					want := slices.Clone(asmtest.Randomize(r, fd))
					before := slices.Clone(c)
					kn.RunTo(h, k, a, b, c, add, dst, ld)
					if !slices.Equal(c, before) {
						t.Fatalf("%d×%d, k %d, add %t: wrote to c", h, kn.Width, k, add)
					}
					kn.Run(h, k, a, b, c, add)
					rows := asmtest.Fence(want).Last(len(dst), offset)
					for i := range h {
						copy(rows[i*ld:], c[i*kn.Width:(i+1)*kn.Width])
					}
					if !slices.Equal(fd, want) {
						t.Fatalf("%d×%d, k %d, rows %d apart, add %t:\ngot  %v\nwant %v", h, kn.Width, k, ld, add, fd, want)
					}
				}
			}
		}
	})
}

func TestMicroKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fa, fb, fc := asmtest.NewFence(t, 70*16), asmtest.NewFence(t, 70*32), asmtest.NewFence(t, 16*32+8)
		for _, h := range kn.Heights {
			for k := range 68 {
				for offset := range 4 {
					a, b, c := asmtest.Randomize(r, fa.Last(max(k, 1)*h, offset)), asmtest.Randomize(r, fb.Last(max(k, 1)*kn.Width, offset)), fc.Last(h*kn.Width, offset)
					for _, add := range []bool{false, true} {
						before := slices.Clone(asmtest.Randomize(r, fc))
						got := c
						kn.Run(h, k, a, b, got, add)
						for i := range h {
							for j := range kn.Width {
								at := i*kn.Width + j
								var want float64
								if add {
									want = float64(before[len(before)-offset-len(c)+at])
								}
								for l := range k {
									want += float64(a[l*h+i]) * float64(b[l*kn.Width+j])
								}
								if math.Abs(float64(got[at])-want) > 1e-5 {
									t.Fatalf("%d×%d, k %d, offset %d, add %t: element (%d, %d): got %v, want %v", h, kn.Width, k, offset, add, i, j, got[at], want)
								}
							}
						}
						outside := func(s []float32) [2][]float32 {
							return [2][]float32{s[:len(s)-offset-len(c)], s[len(s)-offset:]}
						}
						got2, want2 := outside(fc), outside(before)
						if !slices.Equal(got2[0], want2[0]) || !slices.Equal(got2[1], want2[1]) {
							t.Fatalf("%d×%d, k %d, offset %d: wrote outside of the result", h, kn.Width, k, offset)
						}
					}
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 4096), asmtest.NewFence(t, 16*8*32)
		for _, width := range []int{4, 6, 8, 14, 16, 32} {
			for blocks := range 9 {
				for offset := range 4 {
					src := asmtest.Randomize(r, fsrc.Last(1000, offset))
					n := max(0, 8*blocks-1)*width + 8
					at := make([]int, blocks)
					for i := range at {
						at[i] = r.IntN(900)
					}
					var lanes [8]int
					for i := range lanes {
						lanes[i] = r.IntN(93)
					}
					if blocks > 0 {
						lanes[7], at[blocks-1] = 92, 900 // the very last elements
					}
					want := slices.Clone(asmtest.Randomize(r, fdst.Last(n, offset)))
					PlainTranspose(want, width, src, &lanes, at)
					got := fdst.Last(n, offset)
					kn.Transpose(got, width, src, &lanes, at)
					if width >= 8 && !slices.Equal(got, want) {
						t.Fatalf("width %d, %d blocks, offset %d:\ngot  %v\nwant %v", width, blocks, offset, got, want)
					}
					for i := 0; i < len(got)-8; i++ { // narrow rows: all but what the last row writes too much
						if got[i] != want[i] {
							t.Fatalf("width %d, %d blocks, offset %d: element %d: got %v, want %v", width, blocks, offset, i, got[i], want[i])
						}
					}
				}
			}
		}
	})
}

func TestCopy(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 1000), asmtest.NewFence(t, 70*32+8)
		for rows := range 68 {
			for pairs := range 5 {
				offset := rows % 4
				src := asmtest.Randomize(r, fsrc.Last(500, offset))
				dst := asmtest.Randomize(r, fdst.Last(max(rows, 1)*32+8, offset))
				pieces := make([]Piece, 2*pairs)
				for i := range pieces {
					pieces[i] = Piece{Dst: 3 * i, Src: r.IntN(392)}
				}
				offsets := make([]int, rows)
				for i := range offsets {
					offsets[i] = r.IntN(101)
				}
				if rows > 0 && pairs > 0 {
					offsets[rows-1], pieces[0] = 100, Piece{Dst: 32, Src: 392} // the very last elements
				}
				want := slices.Clone(dst)
				PlainCopy(want, 32, src, offsets, pieces)
				kn.Copy(dst, 32, src, offsets, pieces)
				if !slices.Equal(dst, want) {
					t.Fatalf("%d rows of %d pieces:\ngot  %v\nwant %v", rows, 2*pairs, dst, want)
				}
			}
		}
	})
}

func TestStage(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 1000), asmtest.NewFence(t, 8000)
		for width := 1; width < 68; width++ {
			for shift := -9; shift <= 9; shift += 3 {
				for _, images := range []int{1, 3} {
					for columns := 1; columns <= 2; columns++ {
						const rows = 2
						row := (width + 5 + columns - 1) / columns
						if columns == 2 {
							row = (row + 7) / 8 * 8
						}
						g := StageGeom{Images: images, Rows: rows, DstImage: columns*rows*row + 7, SrcImage: rows * width, DstRow: columns * row,
							SrcRow: width, Blocks: (row + 7) / 8, Shift: shift, From: max(-shift, 0), To: min(width-shift, columns*row)}
						n := (images-1)*g.DstImage + (rows-1)*g.DstRow + 8*g.Blocks
						if columns == 2 {
							g.Odd = row
							n += row
						}
						for _, place := range []func(f asmtest.Fence, n, offset int) []float32{asmtest.Fence.First, asmtest.Fence.Last} {
							src, dst := asmtest.Randomize(r, place(fsrc, images*rows*width, width%4)), asmtest.Randomize(r, place(fdst, n, width%4))
							want := slices.Clone(dst)
							PlainStage(want, src, &g)
							kn.Stage(dst, src, &g)
							if !slices.Equal(dst, want) {
								t.Fatalf("%+v:\ngot  %v\nwant %v", g, dst, want)
							}
						}
					}
				}
			}
		}
	})
}

func TestSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	eachKernel(t, func(t *testing.T, kn *Gemm[float32]) {
		fsrc, fdst := asmtest.NewFence(t, 1000), asmtest.NewFence(t, 2000)
		for n := range 68 {
			for _, rows := range []int{0, 1, 3} {
				offset := n % 4
				runs := []Run{{Dst: 2*n + 3, Src: 0, N: n / 2}, {Dst: 1, Src: n, N: n}}
				if n == 0 {
					runs = nil
				}
				src := asmtest.Randomize(r, fsrc.Last(max(0, (rows-1)*(2*n+5)+2*n), offset))
				dst := fdst.Last(max(0, (rows-1)*(4*n+7)+2*n+3+max(0, n/2*2-1)), offset)
				asmtest.Randomize(r, fdst)
				want := slices.Clone(fdst)
				PlainSpread(asmtest.Fence(want).Last(len(dst), offset), src, rows, 4*n+7, 2*n+5, runs)
				kn.Spread(dst, src, rows, 4*n+7, 2*n+5, runs)
				if !slices.Equal(fdst, want) {
					t.Fatalf("%d rows of %d elements:\ngot  %v\nwant %v", rows, n, dst, want)
				}
			}
		}
	})
}
