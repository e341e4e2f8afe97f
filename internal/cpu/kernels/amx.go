package kernels

import "unsafe"

// AMX is what convolutions on tiles are made of. Places and steps are in bytes.
type AMX struct {
	Parts [3]AMXParts // for numbers of one part, two and three
	// PairRows writes rows of pairs of an element of a and one of b, pitch pairs apart in dst.
	PairRows func(dst []uint32, a, b []uint16, rows, width, pitch int)
	// PairTurn transposes squares of 16×16 pairs: row i is 16 words at src+srcAt[i] and 16 words second farther, of which order makes
	// pairs; column j goes to dst+dstAt[j].
	PairTurn func(dst []uint32, dstAt *[16]int, src []uint16, srcAt *[16]int, second int, order *[32]uint16, count, dstStep, srcStep int)
	// Turn is PairTurn for rows that are pairs.
	Turn func(dst []uint32, dstAt *[16]int, src []uint32, srcAt *[16]int, count, dstStep, srcStep int)
	// TurnTo is turn for sums, with 16 factors and 16 summands for the columns of each square.
	TurnTo func(dst Floats, dstAt *[16]int, src []float32, srcAt *[16]int, affine []float32, relu bool, count, dstStep, srcStep int)
	// RowsTo writes rows of sums, pitch apart, one behind the other.
	RowsTo func(dst Floats, src []float32, rows, width, pitch int, factor, summand float32, relu bool)
	// Gather writes, for rows SrcRow apart and 64 in dst, and for neighbouring taps, dstTap apart in dst, 32 words that are lane apart.
	Gather func(dst, src []uint16, lane, taps, rows, srcRow, dstTap int)
}

// AMXParts is what multiplies numbers of so many parts.
type AMXParts struct {
	Work int // products of tiles in a step of 32×32 sums, by four
	// Sums computes blocks of 32×32 sums in c.
	Sums func(blocks []AMXBlock, steps []AMXStep, a, b []uint16, c []float32, g *AMXGeom)
	// SplitRows splits rows of k numbers, ld apart, into tiles of rows; SplitPairs k rows of lanes numbers, by pairs of rows.
	SplitRows  func(dst []uint16, src []float32, ld, rows, k int)
	SplitPairs func(dst []uint16, src []float32, ld, lanes, k int)
}

// AMXBlock is a block of sums: where it and its factors begin, and the steps of its sum. Assembly knows the order of the fields.
type AMXBlock struct{ A, B, C, First, Steps int }

// AMXStep is where the 32 rows of one factor and the 32 columns of the other lie.
type AMXStep struct{ A, B int }

// AMXGeom is the distances from a row of a tile to the next, and whether sums are added to.
type AMXGeom struct{ StrideA, StrideB, StrideC, Add int }

const AMXSide = 32 // rows and columns of a block of sums, and the depth of a tile

const AMXTileBytes = 2 * AMXSide * AMXSide

// WordsOf returns the memory of pairs as words.
func WordsOf(s []uint32) []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s)) }

// PairsOf returns the memory of words as pairs.
func PairsOf(s []uint16) []uint32 { return unsafe.Slice((*uint32)(unsafe.Pointer(&s[0])), len(s)/2) }

var (
	// AMXPairOrder makes pairs of two runs of 16 words.
	AMXPairOrder = func() (order [32]uint16) {
		for i := range 16 {
			order[2*i], order[2*i+1] = uint16(i), uint16(16+i)
		}
		return order
	}()
	// AMXPairOrder4 makes pairs of neighbouring runs of four words.
	AMXPairOrder4 = func() (order [32]uint16) {
		for i := range 16 {
			at := i/4*8 + i%4
			order[2*i], order[2*i+1] = uint16(at), uint16(at+4)
		}
		return order
	}()
)
