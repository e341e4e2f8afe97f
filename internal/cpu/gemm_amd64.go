//go:build !noasm

package cpu

import "golang.org/x/sys/cpu"

// assembly lists the levels that processor and operating system allow, best last.
func assembly() (levels []level) {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		levels = append(levels, level{"avx2", &kernel256, &vector256, taps256})
		if cpu.X86.HasAVX512F {
			levels = append(levels, level{"avx512", &kernel512, &vector512, taps512})
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
	transpose: transposeAsm,
	copy:      copyAsm,
	stage:     stageAsm,
	tiles:     tilesAsm(16, &transforms512),
}

var kernel256 = kernel[float32]{
	heights:   []int{6},
	width:     16,
	run:       func(_, k int, a, b, c []float32, add bool) { sgemm6x16(k, &a[0], &b[0], &c[0], add) },
	transpose: transposeAsm,
	copy:      copyAsm,
	stage:     stageAsm,
	tiles:     tilesAsm(8, &transforms256),
}
