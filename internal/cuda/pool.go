//go:build cuda && linux

package cuda

import "github.com/wick-ml/wick/internal/backend"

// Pooling has kernels of its own: cuDNN has no dilation, no ceil mode and no
// divisor, gives the gradient of equal elements to whichever it likes, and may let
// go of NaN.

// poolGeom is a backend.PoolGeom as kernels take it (struct PoolGeom in
// kernels/pool.cu).
type poolGeom struct {
	channels              divisor
	in, out, stride       [3]divisor
	kernel, pad, dilation [3]int32
	excludePad            int32
	divisor               int64
}

// pooling is how a kernel pools: arrays of in's layout, which are the input and its
// gradient, into those of out's.
type pooling struct {
	*over
	in, out layout
	geom    poolGeom
}

// pooling works channels last if one of the arrays was written so.
func (be *Backend) pooling(g backend.PoolGeom, arrays ...backend.Array) *pooling {
	l := layout{n: g.Planes, c: 1}
	last := false
	for _, a := range arrays {
		if w := written(a); w.n*w.c == g.Planes && w.c > 0 {
			l, last = w, true
			break
		}
	}
	if be.layouts == everywhere && !last {
		l, last = layout{n: 1, c: g.Planes}, true
		if g.Planes%8 == 0 {
			l = layout{n: g.Planes / 8, c: 8}
		}
	}
	t := arrays[0].DType()
	k := &pooling{over: &over{be: be, dtype: t, layout: l, last: last, wide: last && t != backend.Float64 && l.c*t.Size()%16 == 0}, geom: newPoolGeom(g)}
	if last {
		k.in, k.out = layout{l.n, l.c, volume(g.In)}, layout{l.n, l.c, volume(g.Out)}
	}
	return k
}

// newPoolGeom is the geometry of planes or volumes that lie row-major.
func newPoolGeom(g backend.PoolGeom) poolGeom {
	p := poolGeom{channels: newDivisor(1), excludePad: int32(flag(g.ExcludePad)), divisor: int64(g.Divisor)}
	for d := range 3 {
		p.in[d], p.out[d], p.stride[d] = newDivisor(g.In[d]), newDivisor(g.Out[d]), newDivisor(g.Stride[d])
		p.kernel[d], p.pad[d], p.dilation[d] = int32(g.Kernel[d]), int32(g.Pad[d]), int32(max(1, g.Dilation[d]))
	}
	return p
}

func (k *pooling) read(a backend.Array, l layout) pointer {
	return k.at(k.be.readAs(&k.t, a, l))
}

func (k *pooling) write(a backend.Array, l layout) pointer {
	if !k.last {
		return k.at(address(a))
	}
	p, done := k.be.writeAs(&k.t, a, l)
	k.done = append(k.done, done)
	return k.at(p)
}

// launch launches a kernel for so many elements, which are taken by packs.
func (k *pooling) launch(name string, elements int, places ...pointer) {
	if k.wide {
		name += "wide_"
	}
	var p params
	for _, at := range places {
		param(&p, at)
	}
	k.geom.channels = newDivisor(k.c / k.run())
	param(&p, k.geom)
	k.be.each(name+suffix(k.dtype), elements/k.run(), &p)
}

// MaxPool takes the maximum of each window.
func (be *Backend) MaxPool(dst, x backend.Array, g backend.PoolGeom) {
	defer keep(dst, x)
	if x.DType().IsFloat() {
		be.pooled("max_pool_", dst, x, g)
		return
	}
	var p params
	param(&p, address(dst))
	param(&p, reading(x))
	param(&p, newPoolGeom(g))
	be.each("max_pool_"+suffix(x.DType()), dst.Len, &p)
}

// MaxPoolIndices writes where in its volume the first maximum of each window is;
// of several NaN the last counts, as in PyTorch. All arrays are row-major.
func (be *Backend) MaxPoolIndices(indices, x, y backend.Array, g backend.PoolGeom) {
	defer keep(indices, x, y)
	var p params
	param(&p, address(indices))
	param(&p, reading(x))
	param(&p, reading(y))
	param(&p, newPoolGeom(g))
	be.each("max_pool_indices_"+suffix(x.DType()), indices.Len, &p)
}

// pooled launches a kernel that makes the result from the input.
func (be *Backend) pooled(name string, dst, x backend.Array, g backend.PoolGeom) {
	k := be.pooling(g, x)
	defer k.close()
	from, to := k.read(x, k.in), k.write(dst, k.out)
	k.launch(name, dst.Len, to, from)
}

// pooledGrad launches a kernel that makes the input's gradient from the result's.
func (be *Backend) pooledGrad(name string, dx, dy backend.Array, g backend.PoolGeom) {
	k := be.pooling(g, dy)
	defer k.close()
	from, to := k.read(dy, k.out), k.write(dx, k.in)
	k.launch(name, dx.Len, to, from)
}

// MaxPoolGrad gives dy to the first maximum of each window; of several NaN the
// last gets it, as in PyTorch.
func (be *Backend) MaxPoolGrad(dx, dy, x, y backend.Array, g backend.PoolGeom) {
	defer keep(dx, dy, x, y)
	k := be.pooling(g, x, y, dy)
	defer k.close()
	fromX, fromY, fromDy, to := k.read(x, k.in), k.read(y, k.out), k.read(dy, k.out), k.write(dx, k.in)
	tiles := true
	for d := range 3 {
		tiles = tiles && g.Kernel[d] == g.Stride[d] && g.Dilation[d] <= 1 && g.Pad[d] == 0 && g.Out[d]*g.Kernel[d] == g.In[d]
	}
	if tiles {
		k.launch("max_pool_tiles_grad_", y.Len, to, fromDy, fromX, fromY)
		return
	}
	be.scratch(4*y.Len, func(places pointer) {
		k.launch("max_pool_places_", y.Len, places, fromX, fromY)
		k.launch("max_pool_grad_", dx.Len, to, fromDy, places)
	})
}

// AvgPool takes the mean of each window.
func (be *Backend) AvgPool(dst, x backend.Array, g backend.PoolGeom) {
	defer keep(dst, x)
	be.pooled("avg_pool_", dst, x, g)
}

// AvgPoolGrad is AvgPool's gradient.
func (be *Backend) AvgPoolGrad(dx, dy backend.Array, g backend.PoolGeom) {
	defer keep(dx, dy)
	be.pooledGrad("avg_pool_grad_", dx, dy, g)
}

// AdaptiveAvgPool takes means of windows that share the input evenly.
func (be *Backend) AdaptiveAvgPool(dst, x backend.Array, g backend.PoolGeom) {
	defer keep(dst, x)
	be.pooled("adaptive_avg_pool_", dst, x, g)
}

// AdaptiveAvgPoolGrad is AdaptiveAvgPool's gradient.
func (be *Backend) AdaptiveAvgPoolGrad(dx, dy backend.Array, g backend.PoolGeom) {
	defer keep(dx, dy)
	be.pooledGrad("adaptive_avg_pool_grad_", dx, dy, g)
}

func init() {
	for _, k := range []string{"max_pool_", "max_pool_places_", "max_pool_grad_", "max_pool_tiles_grad_", "avg_pool_", "avg_pool_grad_", "adaptive_avg_pool_", "adaptive_avg_pool_grad_"} {
		typed(k, floatTypes)
		typed(k+"wide_", wideTypes)
	}
	whole := []backend.DType{backend.Int64, backend.Uint8}
	typed("max_pool_", whole)
	typed("max_pool_indices_", append(whole, floatTypes...))
}
