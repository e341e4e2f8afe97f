package tensor

import (
	"math"
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// mapStep changes lists of tensors by a rule, all in one call: it is what the
// optimizers of package optim do their work with. lists[0] is the parameters and
// lists[1] their gradients; the others are as long, and hold what belongs to a
// parameter, in its shape, type and device. All parameters have one type and device,
// and no tensor stands twice. The rule loads from lists, and its destination k is
// lists[written[k]], never the gradients. Nothing is recorded.
//
// In a step that [Capture] makes a graph of, the rule's numbers are what the Run that
// captures uses. Later ones call r.Renew for theirs, once each, after r.Fits has said
// that the step would be made with the same tensors.
func mapStep(op string, lists [][]*Tensor, written []int, r backend.Rule) {
	params := lists[0]
	if len(params) == 0 {
		return
	}
	for i, list := range lists {
		if len(list) != len(params) {
			fail(op, "got %d parameters and a list of %d tensors, want as many", len(params), len(list))
		}
		for j, x := range list {
			p := params[j]
			if x == nil {
				fail(op, "tensor %d is nil", j)
			}
			if i != 1 {
				x.wantWritable(op)
			} else {
				x.check(op)
			}
			x.wantFloat(op)
			if !x.shape.Equal(p.shape) || x.DType() != p.DType() || x.storage.device != p.storage.device {
				fail(op, "got %s on %s for %s on %s, want one shape, type and device",
					x.describe(), x.storage.device, p.describe(), p.storage.device)
			}
			if first := params[0]; p.DType() != first.DType() || p.storage.device != first.storage.device {
				fail(op, "got %s on %s beside %s on %s, want one type and device",
					p.describe(), p.storage.device, first.describe(), first.storage.device)
			}
		}
	}
	wantApart(op, lists)
	src, dst := make([][]backend.Array, len(lists)), make([][]backend.Array, len(written))
	var copies []*Tensor // of views with strides, list by list
	for i, list := range lists {
		src[i] = make([]backend.Array, len(list))
		for j, x := range list {
			if x.strides != nil {
				y := x.dense()
				copies, x = append(copies, y), y
			}
			src[i][j] = x.array()
		}
	}
	for k, i := range written {
		dst[k] = src[i]
	}
	params[0].be().Map(dst, src, r)
	for i, list := range lists {
		for _, x := range list {
			changed := slices.Contains(written, i)
			if x.strides != nil {
				if changed {
					x.be().StridedWrite(x.window(), copies[0].array(), x.geom())
				}
				copies[0].release()
				copies = copies[1:]
			}
			if changed {
				x.wrote()
			}
		}
	}
}

// wantApart panics if a tensor that a step writes shares memory with another one,
// since all are changed side by side. Gradients are read only, and one that overlaps
// what is written is replaced by a copy, unless it is its own parameter.
func wantApart(op string, lists [][]*Tensor) {
	type place struct{ list, i int }
	count := make(map[*storage]int, len(lists)*len(lists[0]))
	for _, list := range lists {
		for _, x := range list {
			count[x.storage]++
		}
	}
	var some []place // that share a storage
	for l, list := range lists {
		for i, x := range list {
			if count[x.storage] > 1 {
				some = append(some, place{l, i})
			}
		}
	}
	for n, a := range some {
		for _, b := range some[:n] {
			a, b := a, b
			if b.list == 1 {
				a, b = b, a
			}
			x, y := lists[a.list][a.i], lists[b.list][b.i]
			switch {
			case b.list == 1 || !x.overlaps(y):
			case a.list != 1:
				fail(op, "%s and %s, which it changes, share memory, want each its own", x.describe(), y.describe())
			case b.list != 0 || b.i != a.i || x.offset != y.offset || !slices.Equal(x.strides, y.strides):
				lists[1] = slices.Clone(lists[1])
				lists[1][a.i] = x.bare().Clone()
			}
		}
	}
}

// kinds returns the positions of the tensors of each device and type.
func kinds(xs []*Tensor) (positions [][]int) {
next:
	for i, x := range xs {
		for k, same := range positions {
			y := xs[same[0]]
			if x.storage.device == y.storage.device && x.DType() == y.DType() {
				positions[k] = append(same, i)
				continue next
			}
		}
		positions = append(positions, []int{i})
	}
	return positions
}

// clipNorm scales tensors, in place, so that the norm of all their elements
// together is at most maxNorm, and returns what the norm was. It waits until that
// is computed. If the norm is an infinity or NaN, so are elements of the result.
// (torch.nn.utils.clip_grad_norm_)
func clipNorm(xs []*Tensor, maxNorm float64) float64 {
	const op = "ClipNorm"
	wantClip(op, xs, maxNorm)
	squares := 0.0
	for _, same := range kinds(xs) {
		// All sums come into one tensor, so that they are waited for once.
		first := xs[same[0]]
		sums := alloc(op, first.storage.device, wideType(first.DType()), Shape{len(same)})
		for k, i := range same {
			x, dst := xs[i].dense(), sums.array()
			dst.Offset, dst.Len = k, 1
			x.be().Reduce(dst, x.array(), backend.ReduceSumSquares, backend.ReduceGeom{Shape: []int{x.Len()}, Reduce: []bool{true}})
			xs[i].releaseCopy(x)
		}
		for _, s := range sums.Float64s() {
			squares += s
		}
		sums.release()
	}
	norm := math.Sqrt(squares)
	if scale := maxNorm / (norm + 1e-6); !(scale >= 1) {
		for _, x := range xs {
			x.rewrite(func(x *Tensor) { x.be().BinaryScalar(x.array(), x.array(), scale, false, backend.Mul) })
			x.wrote()
		}
	}
	return norm
}

// clipValue clamps the elements of tensors, in place, to [-limit, limit].
// (torch.nn.utils.clip_grad_value_)
func clipValue(xs []*Tensor, limit float64) {
	const op = "ClipValue"
	wantClip(op, xs, limit)
	for _, x := range xs {
		x.rewrite(func(x *Tensor) {
			x.be().Unary(x.array(), x.array(), backend.Clamp, backend.UnaryParams{P0: -limit, P1: limit})
		})
		x.wrote()
	}
}

func wantClip(op string, xs []*Tensor, limit float64) {
	if !(limit >= 0) {
		fail(op, "the limit is %v, want 0 or more", limit)
	}
	for i, x := range xs {
		if x == nil {
			fail(op, "tensor %d is nil", i)
		}
		x.wantWritable(op)
		x.wantFloat(op)
	}
}
