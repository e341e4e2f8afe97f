package tensor

import "github.com/wick-ml/wick/internal/backend"

// Unscale multiplies tensors, in place, by factor, and reports whether all their
// elements were finite before. Tensors of one type on a device take one call of the
// backend, and each device is waited for once. It is what optim.GradScaler does its
// work with. Nothing is recorded. (torch._amp_foreach_non_finite_check_and_unscale_)
func Unscale(xs []*Tensor, factor float64) (finite bool) {
	const op = "Unscale"
	for i, x := range xs {
		if x == nil {
			fail(op, "tensor %d is nil", i)
		}
		x.wantWritable(op)
		x.wantFloat(op)
	}
	var flags []*Tensor // one a device
next:
	for _, same := range kinds(xs) {
		arrays := make([]backend.Array, len(same))
		for k, i := range same {
			arrays[k] = xs[i].array()
			xs[i].wrote()
		}
		first := xs[same[0]]
		for _, found := range flags {
			if found.storage.device == first.storage.device {
				first.be().Unscale(arrays, found.array(), factor)
				continue next
			}
		}
		found := alloc(op, first.storage.device, Bool, Shape{1}).Zero()
		flags = append(flags, found)
		first.be().Unscale(arrays, found.array(), factor)
	}
	finite = true
	for _, found := range flags {
		finite = finite && !found.Bools()[0]
		found.Release()
	}
	return finite
}
