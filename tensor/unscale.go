package tensor

import (
	"slices"

	"github.com/wick-ml/wick/internal/backend"
)

// unscale multiplies tensors, in place, by factor, and reports whether all their
// elements were finite before. Tensors of one type on a device take one call of the
// backend, and each device is waited for once. It is what optim.GradScaler does its
// work with. Nothing is recorded. (torch._amp_foreach_non_finite_check_and_unscale_)
func unscale(xs []*Tensor, factor float64) (finite bool) {
	const op = "Unscale"
	for i, x := range xs {
		if x == nil {
			fail(op, "tensor %d is nil", i)
		}
		x.wantWritable(op)
		x.wantFloat(op)
	}
	var flags []*Tensor // one a device
	for _, same := range kinds(xs) {
		arrays, rows := make([]backend.Array, len(same)), make([]*Tensor, len(same))
		for k, i := range same {
			rows[k] = xs[i].dense()
			arrays[k] = rows[k].array()
		}
		first := xs[same[0]]
		at := slices.IndexFunc(flags, func(found *Tensor) bool { return found.storage.device == first.storage.device })
		if at < 0 {
			at, flags = len(flags), append(flags, alloc(op, first.storage.device, Bool, Shape{1}).Zero())
		}
		first.be().Unscale(arrays, flags[at].array(), factor)
		for k, i := range same {
			if x := xs[i]; x.strides != nil {
				x.be().StridedWrite(x.window(), arrays[k], x.geom())
				rows[k].release()
			}
			xs[i].wrote()
		}
	}
	finite = true
	for _, found := range flags {
		finite = finite && !found.Bools()[0]
		found.release()
	}
	return finite
}
