//go:build !noasm

package kernels

import (
	"golang.org/x/sys/cpu"
)

// assembly lists the levels that processor and operating system allow, best last.
func assembly() (levels []Level) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C {
		levels = append(levels, Level{Name: "avx2", Gemm: &kernel256, Vector: &vector256, vector64: &vector64x256, Taps: taps256, Half: &half256})
		if cpu.X86.HasAVX512F {
			l := Level{Name: "avx512", Gemm: &Kernel512, Vector: &Vector512, vector64: &vector64x512, Taps: Taps512, Half: &Half512}
			if cpu.X86.HasAVX512BF16 && cpu.X86.HasAVX512BW {
				l.GemmBF16 = &KernelBF16
			}
			levels = append(levels, l)
			if l.AMX = DetectAMX(); l.AMX != nil {
				l.Name = "amx"
				levels = append(levels, l)
			}
		}
	}
	return levels
}

var Kernel512 = Gemm[float32]{
	Heights: []int{14, 8},
	Width:   32,
	Run: func(height, k int, a, b, c []float32, add bool) {
		if height == 14 {
			sgemm14x32(k, &a[0], &b[0], &c[0], add)
		} else {
			sgemm8x32(k, &a[0], &b[0], &c[0], add)
		}
	},
	RunTo: func(height, k int, a, b, c []float32, add bool, dst []float32, ld int) {
		if height == 14 {
			sgemm14x32to(k, &a[0], &b[0], &c[0], add, &dst[0], ld)
		} else {
			sgemm8x32to(k, &a[0], &b[0], &c[0], add, &dst[0], ld)
		}
	},
	Transpose: transposeAVX,
	Copy:      copyAVX,
	Stage:     stageAVX,
	Spread: func(dst, src []float32, rows, dstRow, srcRow int, runs []Run) {
		if rows > 0 && len(runs) > 0 {
			spread8(&dst[0], &src[0], rows, dstRow, srcRow, &runs[0].Dst, len(runs))
		}
	},
	Winograd: tilesAVX(16, &transforms512),
}

// KernelBF16 multiplies pairs of bfloat16 numbers, which lie in the panels as float32 numbers do.
var KernelBF16 = func() Gemm[float32] {
	kn := Kernel512
	kn.Run, kn.RunTo = nil, nil
	kn.SplitGemm = &SplitGemm[float32]{Depth: 2, SplitA: splitBF16, SplitB: splitBF16,
		Run: func(height, k int, a, b []uint16, c []float32, add bool) {
			if height == 14 {
				bfgemm14x32((k+1)/2, &a[0], &b[0], &c[0], add)
			} else {
				bfgemm8x32((k+1)/2, &a[0], &b[0], &c[0], add)
			}
		}}
	return kn
}()

func splitBF16(dst []uint16, src []float32, lanes, k int) { bfpairs(&dst[0], &src[0], lanes, k) }

var kernel256 = Gemm[float32]{
	Heights:   []int{6},
	Width:     16,
	Run:       func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) },
	Transpose: transposeAVX,
	Copy:      copyAVX,
	Stage:     stageAVX,
	Spread:    PlainSpread[float32],
	Winograd:  tilesAVX(8, &transforms256),
}

func transposeAVX(dst []float32, width int, src []float32, lanes *[8]int, blocks []int) {
	if len(blocks) > 0 {
		transpose8x8(&dst[0], width, &src[0], lanes, &blocks[0], len(blocks))
	}
}

func copyAVX(dst []float32, width int, src []float32, offsets []int, pieces []Piece) {
	if len(pieces) == 0 || len(offsets) == 0 {
		return
	}
	// Rows that are far apart lie in memory, where the processor does not guess which comes next.
	const far = 64
	from, to := 0, 0
	if len(offsets) > 1 {
		if step := offsets[1] - offsets[0]; step >= far {
			from = 4 * step * 4
		}
	}
	if width >= far && width != GemmRowDepth {
		to = 4 * width * 2
	}
	copy8(&dst[0], width, &src[0], &offsets[0], len(offsets), &pieces[0].Dst, len(pieces)/2, from, to)
}

func stageAVX(dst, src []float32, g *StageGeom) {
	switch {
	case g.Images <= 0 || g.Rows <= 0 || g.Blocks <= 0:
	case g.Odd != 0:
		stage8by2(&dst[0], &src[0], &g.Images)
	default:
		stage8(&dst[0], &src[0], &g.Images)
	}
}
