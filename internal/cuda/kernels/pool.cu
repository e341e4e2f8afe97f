// Pooling. No gradient adds to memory that another thread adds to: each element of
// the input gathers from the windows that it lies in, in their order.
#include "common.cuh"

// PoolGeom is how planes of h×w are pooled into p×q; Go's poolGeom has the same fields.
struct PoolGeom {
	i64 h, w, p, q, kernelH, kernelW, strideH, strideW, padH, padW, dilationH, dilationW, excludePad, divisor;
};

// place splits the number of an element among planes of h×w.
struct Place { i64 plane, row, column; };
__device__ inline Place place(i64 i, i64 h, i64 w) {
	i64 line = quotient(i, w), plane = quotient(line, h);
	Place r = {plane, line - plane * h, i - line * w};
	return r;
}

#define MAX_POOL(t, T) \
	extern "C" __global__ void max_pool_##t(T *dst, const T *x, PoolGeom g, i64 n) { \
		EACH(i, n) { \
			Place at = place(i, g.p, g.q); \
			const T *plane = x + at.plane * g.h * g.w; \
			As<T>::type best = -__int_as_float(0x7f800000); \
			for (i64 r = 0; r < g.kernelH; r++) { \
				i64 row = at.row * g.strideH - g.padH + r * g.dilationH; \
				if (row < 0 || row >= g.h) continue; \
				for (i64 s = 0; s < g.kernelW; s++) { \
					i64 column = at.column * g.strideW - g.padW + s * g.dilationW; \
					if (column < 0 || column >= g.w) continue; \
					As<T>::type v = widen(plane[row * g.w + column]); \
					if (v > best || v != v) best = v; \
				} \
			} \
			dst[i] = narrow<T>(best); \
		} \
	} \
	/* The place in its plane of each window's first maximum, of its last NaN if that has won, or -1. */ \
	extern "C" __global__ void max_pool_places_##t(i64 *places, const T *x, const T *y, PoolGeom g, i64 n) { \
		EACH(i, n) { \
			Place at = place(i, g.p, g.q); \
			const T *plane = x + at.plane * g.h * g.w; \
			As<T>::type best = widen(y[i]); \
			i64 found = -1; \
			bool looking = true; \
			for (i64 r = 0; r < g.kernelH && looking; r++) { \
				i64 row = at.row * g.strideH - g.padH + r * g.dilationH; \
				if (row < 0 || row >= g.h) continue; \
				for (i64 s = 0; s < g.kernelW && looking; s++) { \
					i64 column = at.column * g.strideW - g.padW + s * g.dilationW; \
					if (column < 0 || column >= g.w) continue; \
					As<T>::type v = widen(plane[row * g.w + column]); \
					looking = v != best; \
					if (v != v || !looking) found = row * g.w + column; \
				} \
			} \
			places[i] = found; \
		} \
	} \
	extern "C" __global__ void max_pool_grad_##t(T *dx, const T *dy, const i64 *places, PoolGeom g, i64 n) { \
		EACH(i, n) { \
			Place at = place(i, g.h, g.w); \
			i64 first = at.plane * g.p * g.q, me = at.row * g.w + at.column; \
			As<T>::type sum = 0; \
			for (i64 r = g.kernelH - 1; r >= 0; r--) { \
				i64 up = at.row + g.padH - r * g.dilationH; \
				if (up < 0) continue; \
				i64 p = quotient(up, g.strideH); \
				if (p >= g.p || p * g.strideH != up) continue; \
				for (i64 s = g.kernelW - 1; s >= 0; s--) { \
					i64 left = at.column + g.padW - s * g.dilationW; \
					if (left < 0) continue; \
					i64 q = quotient(left, g.strideW); \
					if (q >= g.q || q * g.strideW != left) continue; \
					i64 window = first + p * g.q + q; \
					if (places[window] == me) sum += widen(dy[window]); \
				} \
			} \
			dx[i] = narrow<T>(sum); \
		} \
	}
FOR_FLOATS(MAX_POOL)

// A Span is where windows of one dimension lie in the input, and what counts of them.
struct Span { i64 lo, hi, n; };
struct Fixed { // average pooling
	__device__ static Span span(i64 i, i64 size, i64, i64 kernel, i64 stride, i64 pad, const PoolGeom &g) {
		i64 lo = i * stride - pad, hi = lo + kernel < size + pad ? lo + kernel : size + pad, n = hi - lo;
		lo = lo < 0 ? 0 : lo > size ? size : lo;
		hi = hi > size ? size : hi;
		hi = hi < lo ? lo : hi;
		if (g.excludePad) n = hi - lo;
		if (g.divisor) n = 1;
		Span s = {lo, hi, n < 1 ? 1 : n};
		return s;
	}
	__device__ static i64 divisor(const PoolGeom &g) { return g.divisor ? g.divisor : 1; }
	// windows are those that element i may lie in.
	__device__ static i64 first(i64 i, i64, i64, i64 kernel, i64 stride, i64 pad) {
		i64 from = i + pad - kernel + 1;
		return from <= 0 ? 0 : quotient(from + stride - 1, stride);
	}
	__device__ static i64 end(i64 i, i64, i64 count, i64, i64 stride, i64 pad) {
		i64 end = quotient(i + pad, stride) + 1;
		return end < count ? end : count;
	}
};
struct Adaptive { // windows from floor(i·size/count) to ceil((i+1)·size/count)
	__device__ static Span span(i64 i, i64 size, i64 count, i64, i64, i64, const PoolGeom &) {
		i64 lo = quotient(i * size, count), hi = quotient((i + 1) * size + count - 1, count);
		Span s = {lo, hi, hi - lo < 1 ? 1 : hi - lo};
		return s;
	}
	__device__ static i64 divisor(const PoolGeom &) { return 1; }
	__device__ static i64 first(i64 i, i64 size, i64 count, i64, i64, i64) { return quotient(i * count, size); }
	__device__ static i64 end(i64 i, i64 size, i64 count, i64, i64, i64) {
		i64 end = quotient((i + 1) * count + size - 1, size);
		return end < count ? end : count;
	}
};

template <class Kind, class T> __device__ inline void average(T *dst, const T *x, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place at = place(i, g.p, g.q);
		Span h = Kind::span(at.row, g.h, g.p, g.kernelH, g.strideH, g.padH, g), w = Kind::span(at.column, g.w, g.q, g.kernelW, g.strideW, g.padW, g);
		const T *plane = x + at.plane * g.h * g.w;
		double sum = 0;
		for (i64 r = h.lo; r < h.hi; r++)
			for (i64 s = w.lo; s < w.hi; s++) sum += widen(plane[r * g.w + s]);
		dst[i] = narrow<T>((typename As<T>::type)(sum / (double)(h.n * w.n * Kind::divisor(g))));
	}
}
template <class Kind, class T> __device__ inline void average_grad(T *dx, const T *dy, const PoolGeom &g, i64 n) {
	typedef typename As<T>::type A;
	EACH(i, n) {
		Place at = place(i, g.h, g.w);
		const T *plane = dy + at.plane * g.p * g.q;
		A sum = 0;
		i64 q0 = Kind::first(at.column, g.w, g.q, g.kernelW, g.strideW, g.padW), q1 = Kind::end(at.column, g.w, g.q, g.kernelW, g.strideW, g.padW);
		i64 p1 = Kind::end(at.row, g.h, g.p, g.kernelH, g.strideH, g.padH);
		for (i64 p = Kind::first(at.row, g.h, g.p, g.kernelH, g.strideH, g.padH); p < p1; p++) {
			Span h = Kind::span(p, g.h, g.p, g.kernelH, g.strideH, g.padH, g);
			if (at.row < h.lo || at.row >= h.hi) continue;
			for (i64 q = q0; q < q1; q++) {
				Span w = Kind::span(q, g.w, g.q, g.kernelW, g.strideW, g.padW, g);
				if (at.column >= w.lo && at.column < w.hi) sum += widen(plane[p * g.q + q]) / (A)(h.n * w.n * Kind::divisor(g));
			}
		}
		dx[i] = narrow<T>(sum);
	}
}

#define AVG_POOL(t, T) \
	extern "C" __global__ void avg_pool_##t(T *dst, const T *x, PoolGeom g, i64 n) { average<Fixed, T>(dst, x, g, n); } \
	extern "C" __global__ void avg_pool_grad_##t(T *dx, const T *dy, PoolGeom g, i64 n) { average_grad<Fixed, T>(dx, dy, g, n); } \
	extern "C" __global__ void adaptive_avg_pool_##t(T *dst, const T *x, PoolGeom g, i64 n) { average<Adaptive, T>(dst, x, g, n); } \
	extern "C" __global__ void adaptive_avg_pool_grad_##t(T *dx, const T *dy, PoolGeom g, i64 n) { average_grad<Adaptive, T>(dx, dy, g, n); }
FOR_FLOATS(AVG_POOL)
