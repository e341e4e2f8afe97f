//go:build !noasm

package cpu

import (
	"golang.org/x/sys/cpu"
)

// assembly lists the levels that processor and operating system allow, best last.
func assembly() (levels []level) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C {
		levels = append(levels, level{name: "avx2", gemm: &kernel256, vector: &vector256, vector64: &vector64x256, taps: taps256, half: &half256})
		if cpu.X86.HasAVX512F {
			l := level{name: "avx512", gemm: &kernel512, vector: &vector512, vector64: &vector64x512, taps: taps512, half: &half512}
			if cpu.X86.HasAVX512BF16 && cpu.X86.HasAVX512BW {
				l.gemmBF16 = &kernelBF16
			}
			levels = append(levels, l)
			if l.tiles = tilesAMX(); l.tiles != nil {
				l.name = "amx"
				levels = append(levels, l)
			}
		}
	}
	return levels
}

var kernel512 = kernel[float32]{
	heights: []int{14, 8},
	width:   32,
	run: func(height, k int, a, b, c []float32, add bool) {
		if height == 14 {
			sgemm14x32(k, &a[0], &b[0], &c[0], add)
		} else {
			sgemm8x32(k, &a[0], &b[0], &c[0], add)
		}
	},
	runTo: func(height, k int, a, b, c []float32, add bool, dst []float32, ld int) {
		if height == 14 {
			sgemm14x32to(k, &a[0], &b[0], &c[0], add, &dst[0], ld)
		} else {
			sgemm8x32to(k, &a[0], &b[0], &c[0], add, &dst[0], ld)
		}
	},
	transpose: transposeAVX,
	copy:      copyAVX,
	stage:     stageAVX,
	spread: func(dst, src []float32, rows, dstRow, srcRow int, runs []run) {
		if rows > 0 && len(runs) > 0 {
			spread8(&dst[0], &src[0], rows, dstRow, srcRow, &runs[0].dst, len(runs))
		}
	},
	tiles: tilesAVX(16, &transforms512),
}

// kernelBF16 multiplies pairs of bfloat16 numbers, which lie in the panels as float32 numbers do.
var kernelBF16 = func() kernel[float32] {
	kn := kernel512
	kn.run, kn.runTo = nil, nil
	kn.parts = &parts[float32]{depth: 2, splitA: splitBF16, splitB: splitBF16,
		run: func(height, k int, a, b []uint16, c []float32, add bool) {
			if height == 14 {
				bfgemm14x32((k+1)/2, &a[0], &b[0], &c[0], add)
			} else {
				bfgemm8x32((k+1)/2, &a[0], &b[0], &c[0], add)
			}
		}}
	return kn
}()

func splitBF16(dst []uint16, src []float32, lanes, k int) { bfpairs(&dst[0], &src[0], lanes, k) }

var kernel256 = kernel[float32]{
	heights:   []int{6},
	width:     16,
	run:       func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) },
	transpose: transposeAVX,
	copy:      copyAVX,
	stage:     stageAVX,
	spread:    plainSpread[float32],
	tiles:     tilesAVX(8, &transforms256),
}

func transposeAVX(dst []float32, width int, src []float32, lanes *[8]int, blocks []int) {
	if len(blocks) > 0 {
		transpose8x8(&dst[0], width, &src[0], lanes, &blocks[0], len(blocks))
	}
}

func copyAVX(dst []float32, width int, src []float32, offsets []int, pieces []piece) {
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
	if width >= far && width != rowsDepth {
		to = 4 * width * 2
	}
	copy8(&dst[0], width, &src[0], &offsets[0], len(offsets), &pieces[0].dst, len(pieces)/2, from, to)
}

func stageAVX(dst, src []float32, g *stageGeom) {
	switch {
	case g.images <= 0 || g.rows <= 0 || g.blocks <= 0:
	case g.odd != 0:
		stage8by2(&dst[0], &src[0], &g.images)
	default:
		stage8(&dst[0], &src[0], &g.images)
	}
}
