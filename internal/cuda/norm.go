//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// Batch normalization has kernels of its own: cuDNN's wants weights and a bias,
// which may be absent here, and float32 ones beside data of half width, has no
// gradient for running statistics, and leaves ReLU to a pass of its own.

// splits is by how many blocks each channel's sums are taken.
func (be *Backend) splits(channels, count int) int {
	return max(1, min(blocksPerUnit*be.units/max(1, channels), count/(4*threads)))
}

// sums launches a kernel that takes a channel's sums, whose first parameter is
// where they go.
func (be *Backend) sums(name string, t backend.DType, p *params, split, count, channels, inner int) {
	param(p, int64(count))
	param(p, int64(channels))
	param(p, int64(inner))
	be.launch(be.function(name+suffix(t)), [3]int{channels, split, 1}, threads, 0, p)
}

// wideType is the type of what belongs to a channel.
func wideType(t backend.DType) backend.DType {
	if t.IsHalf() {
		return backend.Float32
	}
	return t
}

// narrowed returns an array for a method to write into instead of one of half
// width, whose elements are then rounded; it begins with what the array holds.
func (be *Backend) narrowed(t *temporaries, a backend.Array) (wide backend.Array, round func()) {
	wide = be.widened(t, a)
	if wide == a {
		return a, func() {}
	}
	return wide, func() { be.Copy(a, wide) }
}

// BatchNorm normalizes each channel.
func (be *Backend) BatchNorm(dst, mean, invstd, runningMean, runningVar, x, w, b backend.Array, g backend.BatchNormGeom) {
	if g.C == 0 {
		return
	}
	var t temporaries
	defer be.release(&t)
	for _, a := range []*backend.Array{&mean, &invstd, &runningMean, &runningVar} {
		wide, round := be.narrowed(&t, *a)
		*a = wide
		defer round()
	}
	w, b = be.widened(&t, w), be.widened(&t, b)
	count, kind := g.N*g.Inner, wideType(x.DType())
	scale, shift := be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C)
	split, parts := 0, backend.Array{}
	if g.Training && count > 0 {
		split = be.splits(g.C, count)
		parts = be.temporary(&t, backend.Float64, 2*g.C*split)
		var p params
		param(&p, address(parts))
		param(&p, address(x))
		be.sums("norm_sums_", x.DType(), &p, split, count, g.C, g.Inner)
	}
	var p params
	for _, a := range []backend.Array{scale, shift, mean, invstd, runningMean, runningVar, w, b, parts} {
		param(&p, address(a))
	}
	param(&p, int64(split))
	param(&p, address(x))
	param(&p, int64(count))
	param(&p, int64(g.Inner))
	param(&p, g.Eps)
	param(&p, g.Momentum)
	param(&p, flag(g.Training))
	be.each("norm_numbers_"+suffix(x.DType()), g.C, &p)
	p = params{}
	for _, a := range []backend.Array{dst, x, mean, scale, shift} {
		param(&p, address(a))
	}
	param(&p, int64(g.C))
	param(&p, int64(g.Inner))
	param(&p, flag(g.ReLU))
	be.each("norm_"+suffix(x.DType()), dst.Len, &p)
}

// BatchNormGrad computes those of the gradients of x, w and b that are present.
func (be *Backend) BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	if g.C == 0 {
		return
	}
	if !g.ReLU {
		y = backend.Array{}
	}
	var t temporaries
	defer be.release(&t)
	for _, a := range []*backend.Array{&dw, &db} {
		wide, round := be.narrowed(&t, *a)
		*a = wide
		defer round()
	}
	w, mean, invstd = be.widened(&t, w), be.widened(&t, mean), be.widened(&t, invstd)
	count, kind := g.N*g.Inner, wideType(dy.DType())
	scale, dyMean, slope := be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C)
	split, parts := 0, backend.Array{}
	if count > 0 && (g.Training || !dw.None() || !db.None()) {
		split = be.splits(g.C, count)
		parts = be.temporary(&t, backend.Float64, 2*g.C*split)
		var p params
		for _, a := range []backend.Array{parts, dy, x, y, mean} {
			param(&p, address(a))
		}
		be.sums("norm_grad_sums_", dy.DType(), &p, split, count, g.C, g.Inner)
	}
	var p params
	for _, a := range []backend.Array{scale, dyMean, slope, dw, db, w, invstd, parts} {
		param(&p, address(a))
	}
	param(&p, int64(split))
	param(&p, int64(count))
	param(&p, flag(g.Training))
	be.each("norm_grad_numbers_"+suffix(dy.DType()), g.C, &p)
	if dx.None() {
		return
	}
	p = params{}
	for _, a := range []backend.Array{dx, dy, x, y, mean, dyMean, slope, scale} {
		param(&p, address(a))
	}
	param(&p, int64(g.C))
	param(&p, int64(g.Inner))
	be.each("norm_grad_"+suffix(dy.DType()), dx.Len, &p)
}

func init() {
	for _, k := range []string{"norm_sums_", "norm_grad_sums_", "norm_numbers_", "norm_", "norm_grad_numbers_", "norm_grad_"} {
		typed(k, floatTypes)
	}
}
