package cpu

// Products of float32 numbers with instructions that multiply bfloat16 numbers
// and add in float32. A number is split into parts: its rounding to bfloat16, the
// rounding of what that leaves over, and so on, each with 8 bits more (Henry, Tang
// and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
// Higher-Precision Computations", ARITH 2019). Of the products of parts those
// count whose indices add up to less than the number of parts, since the others
// are below its precision: 1 of one part each, 3 of two, 6 of three.
//
// Panels are packed in float32 first, then each is split once and multiplied many
// times. With several parts an infinity arrives as NaN.

//go:generate go run -C gen . -part parts -out ../parts_amd64.s -stubs ../parts_stubs_amd64.go -pkg cpu

// parts is a micro-kernel for split numbers and what goes with it.
type parts[T float] struct {
	count int // parts of a number
	depth int // rows are split in groups of so many, an even number that divides 32, the last filled up with zeros
	// splitA and splitB split a panel of k > 0 rows of lanes elements. Its groups lie one behind the other, each of
	// size(lanes, depth) numbers; how they lie in a group is the kernel's affair.
	splitA, splitB func(dst []uint16, src []T, lanes, k int)
	// run computes c = aᵀ·b, or adds it, for k rows (k > 0) of a panel of a of the given height. Rows that fill up the last group are
	// there. Of the products of parts the smallest are added first, since adding them to sums of large ones would round each time;
	// where a group's products are summed before they are added, in each group.
	run func(height, k int, a, b []uint16, c []T, add bool)
}

// size is the room of a panel of k rows. Its rows from i on, where i is a multiple of depth, begin at size(lanes, i).
func (p *parts[T]) size(lanes, k int) int { return ceil(k, p.depth) * p.depth * lanes * p.count }
