//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// Batch normalization has kernels of its own: cuDNN's wants weights and a bias,
// which may be absent here, and float32 ones beside data of half precision, has no
// gradient for running statistics, and leaves ReLU to a pass of its own.

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
	defer keep(dst, mean, invstd, runningMean, runningVar, x, w, b)
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
	o := be.over(x.DType(), layout{g.N, g.C, g.Inner}, be.layouts == everywhere || written(x) == layout{g.N, g.C, g.Inner})
	defer o.close()
	from, to := o.read(x), o.write(dst)
	scale, shift := be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C)
	o.numbers(mean) // for its place
	split, parts := 0, backend.Array{}
	if g.Training && count > 0 {
		split = o.sums("norm_sums_", func(split int) pointer {
			parts = be.temporary(&t, backend.Float64, 2*g.C*split)
			return address(parts)
		}, func(p *params) { param(p, from) })
	}
	var p params
	for _, a := range []backend.Array{scale, shift, mean, invstd, runningMean, runningVar, w, b, parts} {
		param(&p, address(a))
	}
	param(&p, int64(split))
	param(&p, from)
	param(&p, int64(count))
	param(&p, o.stride())
	param(&p, g.Eps)
	param(&p, g.Momentum)
	param(&p, flag(g.Training))
	be.eachWarp("norm_numbers_"+suffix(x.DType()), g.C, &p)
	p = params{}
	param(&p, to)
	param(&p, from)
	for _, a := range []backend.Array{mean, scale, shift} {
		param(&p, o.numbers(a))
	}
	param(&p, flag(g.ReLU))
	o.launch("norm_", &p)
}

// eachWarp launches a kernel with a warp for each of n channels.
func (be *Backend) eachWarp(name string, n int, p *params) {
	param(p, int64(n))
	be.launch(be.function(name), [3]int{min((32*n+threads-1)/threads, blocksPerUnit*be.units), 1, 1}, threads, 0, p)
}

// BatchNormGrad computes those of the gradients of x, w and b that are present.
func (be *Backend) BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd backend.Array, g backend.BatchNormGeom) {
	defer keep(dx, dw, db, dy, x, y, w, mean, invstd)
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
	l := layout{g.N, g.C, g.Inner}
	o := be.over(dy.DType(), l, be.layouts == everywhere || written(x) == l || written(dy) == l)
	defer o.close()
	fromDy, fromX, fromY, to := o.read(dy), o.read(x), o.read(y), o.write(dx)
	o.numbers(mean) // for its place
	scale, dyMean, slope := be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C), be.temporary(&t, kind, g.C)
	split, parts := 0, backend.Array{}
	if count > 0 && (g.Training || !dw.None() || !db.None()) {
		split = o.sums("norm_grad_sums_", func(split int) pointer {
			parts = be.temporary(&t, backend.Float64, 2*g.C*split)
			return address(parts)
		}, func(p *params) {
			param(p, fromDy)
			param(p, fromX)
			param(p, fromY)
			param(p, reading(mean))
		})
	}
	var p params
	for _, a := range []backend.Array{scale, dyMean, slope, dw, db, w, invstd, parts} {
		param(&p, address(a))
	}
	param(&p, int64(split))
	param(&p, int64(count))
	param(&p, flag(g.Training))
	be.eachWarp("norm_grad_numbers_"+suffix(dy.DType()), g.C, &p)
	if dx.None() {
		return
	}
	p = params{}
	for _, at := range []pointer{to, fromDy, fromX, fromY} {
		param(&p, at)
	}
	for _, a := range []backend.Array{mean, dyMean, slope, scale} {
		param(&p, o.numbers(a))
	}
	o.launch("norm_grad_", &p)
}

func init() {
	goesOver("norm_sums_", "norm_", "norm_grad_sums_", "norm_grad_")
	typed("norm_numbers_", floatTypes)
	typed("norm_grad_numbers_", floatTypes)
}
