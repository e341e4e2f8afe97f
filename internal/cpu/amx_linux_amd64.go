//go:build !noasm

package cpu

// The level amx: products of float32 numbers with the matrix tiles of Intel's AMX. A tile holds 16 rows of 64 bytes,
// and an instruction, TDPBF16PS, adds the product of 16×32 by 32×16 bfloat16 numbers to 16×16 float32 sums. Tiles are
// configured and released in each call, since goroutines change threads, and signals that come between find nothing to save.
//
// TDPBF16PS took 6 ns, 16 cycles, on a quiet Emerald Rapids machine, and 12 to 21 ns while the core's other thread was busy, which
// hardly slows FMA. A call's configuration and release of the tiles took 130 ns.

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/cpu"

	"github.com/wick-ml/wick/internal/backend"
)

//go:generate go run -C gen . -part amx -out ../amx_amd64.s -stubs ../amx_stubs_amd64.go -pkg cpu

// assemblyAMX lists the level amx if processor and operating system allow it. Linux lets a process use tiles that asks for it, and
// refuses where it does not save their registers (XCR0).
func assemblyAMX() []level {
	const (
		archReqXcompPerm = 0x1023
		tileData         = 18 // the part of a processor's state
	)
	x := &cpu.X86
	if !x.HasAMXTile || !x.HasAMXBF16 || !x.HasAVX512BF16 || !x.HasAVX512BW || !x.HasAVX512F {
		return nil
	}
	if _, _, err := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, archReqXcompPerm, tileData, 0); err != 0 {
		return nil
	}
	return []level{levelAMX}
}

// levelAMX takes three parts where the highest precision is asked for, two for high and one for medium. Convolutions multiply with FMA
// but at medium: with six products of parts for Winograd's algorithms, a step of VGG16 in float32 lasted 560 to 680 ms, against 390
// to 470 ms at the level avx512, and direct convolutions took a tenth longer. At medium there is no algorithm of Winograd's, since the
// transforms would take more time than they save, and their error is spared.
var levelAMX = level{name: "amx", gemm: [3]*kernel[float32]{
	backend.Highest: newTiles(3, tilesplit3, tilegemm32x32x3, tilegemm16x32x3),
	backend.High:    newTiles(2, tilesplit2, tilegemm32x32x2, tilegemm16x32x2),
	backend.Medium:  newTiles(1, tilesplit1, tilegemm32x32x1, tilegemm16x32x1),
}, conv: [3]*kernel[float32]{backend.Highest: &kernel512, backend.High: &kernel512}, vector: &vector512, taps: taps512, half: &half512, tiles: &tileOpsAMX}

// newTiles returns a kernel for numbers of count parts.
func newTiles(count int, split func(dst *uint16, src *float32, lanes, k int), tall, low func(groups int, a, b *uint16, c *float32, add bool)) *kernel[float32] {
	const depth = 32
	kn := kernel512
	kn.heights = []int{32, 16}
	kn.run, kn.runTo = nil, nil
	p := &parts[float32]{count: count, depth: depth}
	kn.parts = p
	p.splitB = func(dst []uint16, src []float32, lanes, k int) {
		split(&dst[:p.size(lanes, k)][0], &src[:lanes*k][0], lanes, k)
	}
	p.splitA = func(dst []uint16, src []float32, lanes, k int) {
		p.splitB(dst, src, lanes, k)
		tileturn(&dst[0], lanes, ceil(k, depth)*p.count)
	}
	p.run = func(height, k int, a, b []uint16, c []float32, add bool) {
		run := tall
		if height == 16 {
			run = low
		}
		run(ceil(k, depth), &a[:p.size(height, k)][0], &b[:p.size(kn.width, k)][0], &c[:height*kn.width][0], add)
	}
	return &kn
}

//go:generate go run -C gen . -part tileconv -out ../tileconv_amd64.s -stubs ../tileconv_stubs_amd64.go -pkg cpu

var tileOpsAMX = tileOps{
	sums: func(blocks []tileBlock, steps []tileStep, a, b []uint16, c []float32, g *tileGeom) {
		tilesums(&blocks[0].a, len(blocks), &steps[0].a, &a[0], &b[0], &c[0], &g.strideA)
	},
	pairRows: func(dst []uint32, a, b []uint16, rows, width, pitch int) {
		pairrows(&dst[0], &a[0], &b[0], rows, width, pitch)
	},
	pairTurn: func(dst []uint32, dstAt *[16]int, src []uint16, srcAt *[16]int, second int, order *[32]uint16, count, dstStep, srcStep int) {
		pairturn(&dst[0], &dstAt[0], &src[0], &srcAt[0], second, &order[0], count, dstStep, srcStep)
	},
	turn: func(dst []uint32, dstAt *[16]int, src []uint32, srcAt *[16]int, count, dstStep, srcStep int) {
		turn16(&dst[0], &dstAt[0], &src[0], &srcAt[0], count, dstStep, srcStep)
	},
	turnTo: func(dst floats, dstAt *[16]int, src []float32, srcAt *[16]int, affine []float32, relu bool, count, dstStep, srcStep int) {
		if dst.half != nil {
			turnhalf((*byte)(unsafe.Pointer(&dst.half[0])), &dstAt[0], &src[0], &srcAt[0], &affine[0], relu, count, dstStep, srcStep)
		} else {
			turnwide((*byte)(unsafe.Pointer(&dst.wide[0])), &dstAt[0], &src[0], &srcAt[0], &affine[0], relu, count, dstStep, srcStep)
		}
	},
	rowsTo: func(dst floats, src []float32, rows, width, pitch int, factor, summand float32, relu bool) {
		if dst.half != nil {
			rowshalf((*byte)(unsafe.Pointer(&dst.half[0])), &src[0], rows, width, pitch, factor, summand, relu)
		} else {
			rowswide((*byte)(unsafe.Pointer(&dst.wide[0])), &src[0], rows, width, pitch, factor, summand, relu)
		}
	},
	gather: func(dst, src []uint16, lane, taps, rows, srcRow, dstTap int) {
		gathertaps(&dst[0], &src[0], lane, taps, rows, srcRow, dstTap)
	},
}
