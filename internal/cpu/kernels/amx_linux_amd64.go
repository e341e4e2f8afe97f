//go:build !noasm

package kernels

// The level amx is avx512 with the matrix tiles of Intel's AMX. A tile holds 16 rows of 64 bytes, and an instruction, TDPBF16PS, adds
// the product of 16×32 by 32×16 bfloat16 numbers to 16×16 float32 sums. Tiles are configured and released in each call, since
// goroutines change threads, and signals that come between find nothing to save.
//
// TDPBF16PS took 6 ns, 16 cycles, on a quiet Emerald Rapids machine, where loads of tiles went on beside it, and 12 to 26 ns with its
// loads while the core's other thread was busy, which hardly slows FMA. A call's configuration and release of the tiles took 130 ns.
// Convolutions of float32 numbers at the highest precision multiply with FMA here too: with six products of parts for Winograd's
// algorithms, a step of VGG16 lasted 560 to 680 ms, against 390 to 470 ms.

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// DetectAMX returns the tiles if processor and operating system allow them, or nil. Linux lets a process use them that asks for it, and
// refuses where it does not save their registers (XCR0).
func DetectAMX() *AMX {
	const (
		archReqXcompPerm = 0x1023
		tileData         = 18 // the part of a processor's state
	)
	x := &cpu.X86
	if !x.HasAMXTile || !x.HasAMXBF16 || !x.HasAVX512BF16 || !x.HasAVX512BW || !x.HasAVX512VL {
		return nil
	}
	if _, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, tileData, 0); err != 0 {
		return nil
	}
	return &AMXAssembly
}

var AMXAssembly = AMX{
	Parts: [3]AMXParts{
		newTileParts(1, tilesums1, splitrows1, splitpairs1),
		newTileParts(3, tilesums2, splitrows2, splitpairs2),
		newTileParts(6, tilesums3, splitrows3, splitpairs3),
	},
	PairRows: func(dst []uint32, a, b []uint16, rows, width, pitch int) {
		pairrows(&dst[0], &a[0], &b[0], rows, width, pitch)
	},
	PairTurn: func(dst []uint32, dstAt *[16]int, src []uint16, srcAt *[16]int, second int, order *[32]uint16, count, dstStep, srcStep int) {
		pairturn(&dst[0], &dstAt[0], &src[0], &srcAt[0], second, &order[0], count, dstStep, srcStep)
	},
	Turn: func(dst []uint32, dstAt *[16]int, src []uint32, srcAt *[16]int, count, dstStep, srcStep int) {
		turn16(&dst[0], &dstAt[0], &src[0], &srcAt[0], count, dstStep, srcStep)
	},
	TurnTo: func(dst Floats, dstAt *[16]int, src []float32, srcAt *[16]int, affine []float32, relu bool, count, dstStep, srcStep int) {
		if dst.Half != nil {
			turnhalf((*byte)(unsafe.Pointer(&dst.Half[0])), &dstAt[0], &src[0], &srcAt[0], &affine[0], relu, count, dstStep, srcStep)
		} else {
			turnwide((*byte)(unsafe.Pointer(&dst.Wide[0])), &dstAt[0], &src[0], &srcAt[0], &affine[0], relu, count, dstStep, srcStep)
		}
	},
	RowsTo: func(dst Floats, src []float32, rows, width, pitch int, factor, summand float32, relu bool) {
		if dst.Half != nil {
			rowshalf((*byte)(unsafe.Pointer(&dst.Half[0])), &src[0], rows, width, pitch, factor, summand, relu)
		} else {
			rowswide((*byte)(unsafe.Pointer(&dst.Wide[0])), &src[0], rows, width, pitch, factor, summand, relu)
		}
	},
	Gather: func(dst, src []uint16, lane, taps, rows, srcRow, dstTap int) {
		gathertaps(&dst[0], &src[0], lane, taps, rows, srcRow, dstTap)
	},
}

func newTileParts(work int, sums func(blocks *int, n int, steps *int, a, b *uint16, c *float32, geom *int), splitRows, splitPairs func(dst *uint16, src *float32, ld, n, k int)) AMXParts {
	return AMXParts{
		Work: work,
		Sums: func(blocks []AMXBlock, steps []AMXStep, a, b []uint16, c []float32, g *AMXGeom) {
			sums(&blocks[0].A, len(blocks), &steps[0].A, &a[0], &b[0], &c[0], &g.StrideA)
		},
		SplitRows:  func(dst []uint16, src []float32, ld, rows, k int) { splitRows(&dst[0], &src[0], ld, rows, k) },
		SplitPairs: func(dst []uint16, src []float32, ld, lanes, k int) { splitPairs(&dst[0], &src[0], ld, lanes, k) },
	}
}
