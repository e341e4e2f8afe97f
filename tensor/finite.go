package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// notFinite returns the positions of the tensors that hold an infinity or NaN; of
// integer tensors none does. It reads each tensor once, and waits once for all of
// a type on a device.
func notFinite(xs []*Tensor) []int {
	const op = "NotFinite"
	var bad []int
	var floats []*Tensor
	var at []int // their positions in xs
	for i, x := range xs {
		if x == nil {
			fail(op, "tensor %d is nil", i)
		}
		x.check(op)
		if x.DType().IsFloat() {
			floats, at = append(floats, x), append(at, i)
		}
	}
	for _, same := range kinds(floats) {
		first := floats[same[0]]
		sums := alloc(op, first.storage.device, wideType(first.DType()), Shape{len(same)})
		for k, i := range same {
			x, dst := floats[i].dense(), sums.array()
			dst.Offset, dst.Len = k, 1
			x.be().Reduce(dst, x.array(), backend.ReduceSum, backend.ReduceGeom{Shape: []int{x.Len()}, Reduce: []bool{true}})
			floats[i].releaseCopy(x)
		}
		for k, sum := range sums.Float64s() {
			// A sum with an infinity or NaN in it is never finite; one without may
			// have overflowed.
			if math.IsNaN(sum) || math.IsInf(sum, 0) {
				finite := floats[same[k]].bare().IsFinite().All()
				if !finite.Bools()[0] {
					bad = append(bad, at[same[k]])
				}
			}
		}
		sums.release()
	}
	slices.Sort(bad)
	return bad
}
