package kernels

// Products of float32 numbers with instructions that multiply bfloat16 numbers
// and add in float32. A number is split into parts: its rounding to bfloat16, the
// rounding of what that leaves over, and so on, each with 8 bits more (Henry, Tang
// and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
// Higher-Precision Computations", ARITH 2019). Of the products of parts those
// count whose indices add up to less than the number of parts, since the others
// are below its precision: 1 of one part each, 3 of two, 6 of three. With several
// parts an infinity arrives as NaN. Matrix tiles take as many as the precision
// asks for, see tilematmul.go; micro-kernels take one, at medium.
//
// Panels are packed in float32 first, then each is rounded once and multiplied many
// times.

// SplitGemm is a micro-kernel for numbers that are rounded to bfloat16 and what goes with it.
type SplitGemm[T Float] struct {
	Depth int // rows are rounded in groups of so many, an even number, the last filled up with zeros
	// SplitA and SplitB round a panel of k > 0 rows of lanes elements. Its groups lie one behind the other, each of
	// size(lanes, depth) numbers; how they lie in a group is the kernel's affair.
	SplitA, SplitB func(dst []uint16, src []T, lanes, k int)
	// Run computes c = aᵀ·b, or adds it, for k rows (k > 0) of a panel of a of the given height. Rows that fill up the last group are
	// there.
	Run func(height, k int, a, b []uint16, c []T, add bool)
}

// Size is the room of a panel of k rows. Its rows from i on, where i is a multiple of depth, begin at size(lanes, i).
func (p *SplitGemm[T]) Size(lanes, k int) int { return Ceil(k, p.Depth) * p.Depth * lanes }
