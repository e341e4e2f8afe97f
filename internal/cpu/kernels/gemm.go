package kernels

import "math"

const GemmDepth = 256

const GemmRowDepth = GemmDepth + 8 // length of a row of workspace.rows

// Gemm is a micro-kernel and what goes with it. Panels of a are heights[i]
// lanes wide, panels of b width lanes.
type Gemm[T Float] struct {
	Heights []int // falling
	Width   int
	// Run computes c = aᵀ·b, or adds it, for a panel of a of the given height. There is none if parts multiplies.
	Run func(height, k int, a, b, c []T, add bool)
	// RunTo, if there is such, is run, but writes the result to rows of dst that are ld elements apart.
	RunTo func(height, k int, a, b, c []T, add bool, dst []T, ld int)
	// Transpose packs blocks of eight elements of eight lanes: dst[(8·b+i)·width + l] = src[lanes[l]+blocks[b]+i].
	Transpose func(dst []T, width int, src []T, lanes *[8]int, blocks []int)
	// Copy packs rows, in pieces of eight elements from one to the next: dst[i·width + pieces[j].dst + 0…7] =
	// src[offsets[i] + pieces[j].src + 0…7]. The number of pieces is even.
	Copy func(dst []T, width int, src []T, offsets []int, pieces []Piece)
	// Stage copies rows of images, with zeros where they reach over an image's edges.
	Stage func(dst, src []T, g *StageGeom)
	// Spread copies runs of rows to every other column: dst[i·DstRow + runs[j].dst + 2·l] = src[i·SrcRow + runs[j].src + l].
	Spread func(dst, src []T, rows, dstRow, srcRow int, runs []Run)
	// Winograd is what Winograd's algorithms need.
	Winograd *tileKernels
	// SplitGemm, if there is such, multiplies panels that are split.
	SplitGemm *SplitGemm[T]
}

// StageGeom says how rows of images are staged: element i of a row is
// src[i+shift] where from <= i < to, else 0, for i < 8·blocks. If odd is not 0,
// element i is that for 2·i, and element i+odd that for 2·i+1. Assembly knows the
// order of the fields.
type StageGeom struct {
	Images, Rows       int
	DstImage, SrcImage int // from one image to the next
	DstRow, SrcRow     int // from one row to the next
	Blocks             int
	Shift, From, To    int
	Odd                int // from a row's even columns to its odd ones
}

var Plain32 = Gemm[float32]{Heights: []int{4}, Width: 8, Run: PlainRun[float32],
	Transpose: PlainTranspose[float32], Copy: PlainCopy[float32], Stage: PlainStage[float32],
	Spread: PlainSpread[float32], Winograd: &plainTiles}

// PlainRun is the micro-kernel in Go, of 4×8 elements, in pieces of 2×4 whose
// sums the compiler keeps in registers.
func PlainRun[T Float](_, k int, a, b, c []T, add bool) {
	const h, w = 4, 8
	for i := 0; i < h; i += 2 {
		for j := 0; j < w; j += 4 {
			var s00, s01, s02, s03, s10, s11, s12, s13 T
			for l := range k {
				a := (*[2]T)(a[l*h+i:])
				b := (*[4]T)(b[l*w+j:])
				s00 += a[0] * b[0]
				s01 += a[0] * b[1]
				s02 += a[0] * b[2]
				s03 += a[0] * b[3]
				s10 += a[1] * b[0]
				s11 += a[1] * b[1]
				s12 += a[1] * b[2]
				s13 += a[1] * b[3]
			}
			c0, c1 := (*[4]T)(c[i*w+j:]), (*[4]T)(c[(i+1)*w+j:])
			if add {
				c0[0] += s00
				c0[1] += s01
				c0[2] += s02
				c0[3] += s03
				c1[0] += s10
				c1[1] += s11
				c1[2] += s12
				c1[3] += s13
			} else {
				*c0 = [4]T{s00, s01, s02, s03}
				*c1 = [4]T{s10, s11, s12, s13}
			}
		}
	}
}

func PlainTranspose[T Float](dst []T, width int, src []T, lanes *[8]int, blocks []int) {
	for i, block := range blocks {
		for l := 7; l >= 0; l-- { // lanes behind the panel's width fall into the next row, which is written over
			at := 8*i*width + l
			for _, v := range (*[8]T)(src[lanes[l]+block:]) {
				dst[at] = v
				at += width
			}
		}
	}
}

func PlainCopy[T Float](dst []T, width int, src []T, offsets []int, pieces []Piece) {
	for i, offset := range offsets {
		to, from := dst[i*width:], src[offset:]
		for _, p := range pieces {
			*(*[8]T)(to[p.Dst:]) = *(*[8]T)(from[p.Src:])
		}
	}
}

func PlainStage[T Float](dst, src []T, g *StageGeom) {
	for n := range g.Images {
		for r := range g.Rows {
			row, at := dst[n*g.DstImage+r*g.DstRow:], n*g.SrcImage+r*g.SrcRow+g.Shift
			if g.Odd != 0 {
				for i := range 8 * g.Blocks {
					row[i], row[i+g.Odd] = 0, 0
				}
				for i := g.From; i < min(g.To, 16*g.Blocks); i++ {
					row[i/2+i%2*g.Odd] = src[at+i]
				}
				continue
			}
			row = row[:8*g.Blocks]
			from, to := min(g.From, len(row)), min(g.To, len(row))
			clear(row[:from])
			if from < to {
				copy(row[from:to], src[at+from:])
			}
			clear(row[max(from, to):])
		}
	}
}

func PlainSpread[T Float](dst, src []T, rows, dstRow, srcRow int, runs []Run) {
	for i := range rows {
		for _, r := range runs {
			to := dst[i*dstRow+r.Dst:]
			for l, v := range src[i*srcRow+r.Src:][:r.N] {
				to[2*l] = v
			}
		}
	}
}

// Split cuts m rows into panels of the kernel's heights: the fewest rows in
// all, then the fewest panels.
func (kn *Gemm[T]) Split(dst []int, m int) []int {
	tall, low := kn.Heights[0], kn.Heights[len(kn.Heights)-1]
	var nTall, nLow int
	for n, best := 0, math.MaxInt; n < tall && (n == 0 || low != tall); n++ {
		t := (max(m-n*low, 0) + tall - 1) / tall
		if rows := t*tall + n*low; rows < best {
			nTall, nLow, best = t, n, rows
		}
	}
	dst = dst[:0]
	for range nTall {
		dst = append(dst, tall)
	}
	for range nLow {
		dst = append(dst, low)
	}
	return dst
}

// Piece is eight elements, or less, that are copied from one place to another.
type Piece struct{ Dst, Src int }

// Run is n elements that are copied from one place to another.
type Run struct{ Dst, Src, N int }
