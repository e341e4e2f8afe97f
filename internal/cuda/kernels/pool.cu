// Pooling. No gradient adds to memory that another thread adds to: each element of
// the input gathers from the windows that it lies in, in their order. Arrays with
// channels last are pooled by packs of channels; row-major ones are the same with one
// channel and more images.
#include "common.cuh"

// PoolGeom is how images of h×w pixels, each of so many packs of channels, are pooled into p×q; Go's poolGeom has the same fields.
struct PoolGeom {
	Div channels, h, w, p, q, strideH, strideW;
	int kernelH, kernelW, padH, padW, dilationH, dilationW, excludePad, pad_;
	i64 divisor;
};

// A Place is where a pack lies among images of h×w.
struct Place {
	i64 image, channel;
	int row, column;
};
__device__ inline Place place(i64 i, const Div &h, const Div &w, const Div &channels) {
	i64 pixel = quotient(i, channels), line = quotient(pixel, w), image = quotient(line, h);
	Place r = {image, i - pixel * channels.d, (int)(line - image * h.d), (int)(pixel - line * w.d)};
	return r;
}
// at is the number of a pack.
__device__ inline i64 at(const Place &p, int row, int column, const Div &h, const Div &w, const Div &channels) {
	return ((p.image * h.d + row) * w.d + column) * channels.d + p.channel;
}

// EACH_OF_WINDOW runs its body for the elements of window (row, column) that lie in the input; number counts those of the kernel.
#define EACH_OF_WINDOW(out, y, x, number) \
	for (int r_ = 0; r_ < g.kernelH; r_++) \
		if (int y = (out).row * (int)g.strideH.d - g.padH + r_ * g.dilationH; y >= 0 && y < g.h.d) \
			for (int s_ = 0; s_ < g.kernelW; s_++) \
				if (int x = (out).column * (int)g.strideW.d - g.padW + s_ * g.dilationW, number = r_ * g.kernelW + s_; x >= 0 && x < g.w.d)

// Lowest is what no element of a type is below.
template <class A> struct Lowest {
	__device__ static A of() { return -__int_as_float(0x7f800000); }
};
template <> struct Lowest<i64> {
	__device__ static i64 of() { return -9223372036854775807ll - 1; }
};
template <> struct Lowest<u8> {
	__device__ static u8 of() { return 0; }
};

template <class T, int V> __device__ inline void max_pool(T *dst, const T *x, const PoolGeom &g, i64 n) {
	typedef typename As<T>::type A;
	EACH(i, n) {
		Place out = place(i, g.p, g.q, g.channels);
		A best[V];
		for (int k = 0; k < V; k++) best[k] = Lowest<A>::of();
		EACH_OF_WINDOW(out, row, column, number) {
			(void)number;
			Pack<T, V> p = load<V>(x, V * at(out, row, column, g.h, g.w, g.channels));
			for (int k = 0; k < V; k++) {
				A v = widen(p.v[k]);
				if (v > best[k] || v != v) best[k] = v;
			}
		}
		Pack<T, V> r;
		for (int k = 0; k < V; k++) r.v[k] = narrow<T>(best[k]);
		store(dst, V * i, r);
	}
}

// find finds the number of a window's first maximum, or of its last NaN if that has won, or -1.
template <class T, int V> __device__ inline void find(int (&found)[V], i64 i, const Place &out, const T *x, const T *y, const PoolGeom &g) {
	typedef typename As<T>::type A;
	A best[V];
	bool looking[V];
	Pack<T, V> b = load<V>(y, V * i);
	for (int k = 0; k < V; k++) {
		best[k] = widen(b.v[k]);
		found[k] = -1;
		looking[k] = true;
	}
	EACH_OF_WINDOW(out, row, column, number) {
		Pack<T, V> p = load<V>(x, V * at(out, row, column, g.h, g.w, g.channels));
		for (int k = 0; k < V; k++) {
			A v = widen(p.v[k]);
			if (looking[k] && (v != v || v == best[k])) found[k] = number;
			looking[k] = looking[k] && v != best[k];
		}
	}
}
template <class T> __device__ inline void max_pool_indices(i64 *indices, const T *x, const T *y, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place out = place(i, g.p, g.q, g.channels);
		int found[1];
		find<T, 1>(found, i, out, x, y, g);
		int r = found[0] / g.kernelW, s = found[0] - r * g.kernelW;
		i64 row = out.row * g.strideH.d - g.padH + (i64)r * g.dilationH, column = out.column * g.strideW.d - g.padW + (i64)s * g.dilationW;
		indices[i] = found[0] < 0 ? -1 : row * g.w.d + column;
	}
}
template <class T, int V> __device__ inline void max_pool_places(int *places, const T *x, const T *y, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		int found[V];
		find<T, V>(found, i, place(i, g.p, g.q, g.channels), x, y, g);
		enum { RUN = V < 4 ? V : 4 };
		for (int k = 0; k < V; k += RUN) {
			Pack<int, RUN> p;
			for (int j = 0; j < RUN; j++) p.v[j] = found[k + j];
			store(places, V * i + k, p);
		}
	}
}
template <class T, int V> __device__ inline void max_pool_grad(T *dx, const T *dy, const int *places, const PoolGeom &g, i64 n) {
	typedef typename As<T>::type A;
	EACH(i, n) {
		Place in = place(i, g.h, g.w, g.channels);
		A sum[V];
		for (int k = 0; k < V; k++) sum[k] = 0;
		for (int r = g.kernelH - 1; r >= 0; r--) {
			int up = in.row + g.padH - r * g.dilationH;
			if (up < 0) continue;
			int p = (int)quotient(up, g.strideH);
			if (p >= g.p.d || p * (int)g.strideH.d != up) continue;
			for (int s = g.kernelW - 1; s >= 0; s--) {
				int left = in.column + g.padW - s * g.dilationW;
				if (left < 0) continue;
				int q = (int)quotient(left, g.strideW);
				if (q >= g.q.d || q * (int)g.strideW.d != left) continue;
				i64 window = V * at(in, p, q, g.p, g.q, g.channels);
				Pack<T, V> d = load<V>(dy, window);
				enum { RUN = V < 4 ? V : 4 };
				for (int k = 0; k < V; k += RUN) {
					Pack<int, RUN> at = load<RUN>(places, window + k);
					for (int j = 0; j < RUN; j++)
						if (at.v[j] == r * g.kernelW + s) sum[k + j] += widen(d.v[k + j]);
				}
			}
		}
		Pack<T, V> to;
		for (int k = 0; k < V; k++) to.v[k] = narrow<T>(sum[k]);
		store(dx, V * i, to);
	}
}
// Where windows lie side by side and cover the input, each element is of one window, and all is done at once.
template <class T, int V> __device__ inline void max_pool_tiles_grad(T *dx, const T *dy, const T *x, const T *y, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place out = place(i, g.p, g.q, g.channels);
		int found[V];
		find<T, V>(found, i, out, x, y, g);
		Pack<T, V> d = load<V>(dy, V * i);
		EACH_OF_WINDOW(out, row, column, number) {
			Pack<T, V> to;
			for (int k = 0; k < V; k++) to.v[k] = found[k] == number ? d.v[k] : narrow<T>(0.0f);
			store(dx, V * at(out, row, column, g.h, g.w, g.channels), to);
		}
	}
}

#define MAX_POOL_OF(name, t, T, V) \
	extern "C" __global__ void max_pool_##name##t(T *dst, const T *x, PoolGeom g, i64 n) { max_pool<T, V>(dst, x, g, n); } \
	extern "C" __global__ void max_pool_places_##name##t(int *places, const T *x, const T *y, PoolGeom g, i64 n) { max_pool_places<T, V>(places, x, y, g, n); } \
	extern "C" __global__ void max_pool_grad_##name##t(T *dx, const T *dy, const int *places, PoolGeom g, i64 n) { max_pool_grad<T, V>(dx, dy, places, g, n); } \
	extern "C" __global__ void max_pool_tiles_grad_##name##t(T *dx, const T *dy, const T *x, const T *y, PoolGeom g, i64 n) { max_pool_tiles_grad<T, V>(dx, dy, x, y, g, n); }
#define MAX_POOL(t, T) MAX_POOL_OF(, t, T, 1)
#define MAX_POOL_WIDE(t, T, V) MAX_POOL_OF(wide_, t, T, V)
FOR_FLOATS(MAX_POOL)
FOR_WIDE(MAX_POOL_WIDE)
#define MAX_POOL_WHOLE(t, T) extern "C" __global__ void max_pool_##t(T *dst, const T *x, PoolGeom g, i64 n) { max_pool<T, 1>(dst, x, g, n); }
MAX_POOL_WHOLE(i64, i64)
MAX_POOL_WHOLE(u8, u8)
#define MAX_POOL_INDICES(t, T) extern "C" __global__ void max_pool_indices_##t(i64 *indices, const T *x, const T *y, PoolGeom g, i64 n) { max_pool_indices<T>(indices, x, y, g, n); }
FOR_FLOATS(MAX_POOL_INDICES)
MAX_POOL_INDICES(i64, i64)
MAX_POOL_INDICES(u8, u8)

// A Span is where windows of one dimension lie in the input, and what counts of them.
struct Span { int lo, hi, n; };
struct Fixed { // average pooling
	__device__ static Span span(int i, const Div &size, const Div &, int kernel, const Div &stride, int pad, const PoolGeom &g) {
		int end = (int)size.d, lo = i * (int)stride.d - pad, hi = lo + kernel < end + pad ? lo + kernel : end + pad, n = hi - lo;
		lo = lo < 0 ? 0 : lo > end ? end : lo;
		hi = hi > end ? end : hi;
		hi = hi < lo ? lo : hi;
		if (g.excludePad) n = hi - lo;
		if (g.divisor) n = 1;
		Span s = {lo, hi, n < 1 ? 1 : n};
		return s;
	}
	__device__ static i64 divisor(const PoolGeom &g) { return g.divisor ? g.divisor : 1; }
	// windows are those that element i may lie in.
	__device__ static int first(int i, const Div &, const Div &, int kernel, const Div &stride, int pad) {
		int from = i + pad - kernel + 1;
		return from <= 0 ? 0 : (int)quotient(from + stride.d - 1, stride);
	}
	__device__ static int end(int i, const Div &, const Div &count, int, const Div &stride, int pad) {
		int end = (int)quotient(i + pad, stride) + 1;
		return end < count.d ? end : (int)count.d;
	}
};
struct Adaptive { // windows from floor(i·size/count) to ceil((i+1)·size/count)
	__device__ static Span span(int i, const Div &size, const Div &count, int, const Div &, int, const PoolGeom &) {
		int lo = (int)quotient(i * size.d, count), hi = (int)quotient((i + 1) * size.d + count.d - 1, count);
		Span s = {lo, hi, hi - lo < 1 ? 1 : hi - lo};
		return s;
	}
	__device__ static i64 divisor(const PoolGeom &) { return 1; }
	__device__ static int first(int i, const Div &size, const Div &count, int, const Div &, int) { return (int)quotient(i * count.d, size); }
	__device__ static int end(int i, const Div &size, const Div &count, int, const Div &, int) {
		int end = (int)quotient((i + 1) * count.d + size.d - 1, size);
		return end < count.d ? end : (int)count.d;
	}
};

template <class Kind, class T, int V> __device__ inline void average(T *dst, const T *x, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place out = place(i, g.p, g.q, g.channels);
		Span h = Kind::span(out.row, g.h, g.p, g.kernelH, g.strideH, g.padH, g), w = Kind::span(out.column, g.w, g.q, g.kernelW, g.strideW, g.padW, g);
		double sum[V], count = (double)((i64)h.n * w.n * Kind::divisor(g));
		for (int k = 0; k < V; k++) sum[k] = 0;
		for (int r = h.lo; r < h.hi; r++)
			for (int s = w.lo; s < w.hi; s++) {
				Pack<T, V> p = load<V>(x, V * at(out, r, s, g.h, g.w, g.channels));
				for (int k = 0; k < V; k++) sum[k] += widen(p.v[k]);
			}
		Pack<T, V> to;
		for (int k = 0; k < V; k++) to.v[k] = narrow<T>((typename As<T>::type)(sum[k] / count));
		store(dst, V * i, to);
	}
}
template <class Kind, class T, int V> __device__ inline void average_grad(T *dx, const T *dy, const PoolGeom &g, i64 n) {
	typedef typename As<T>::type A;
	EACH(i, n) {
		Place in = place(i, g.h, g.w, g.channels);
		A sum[V];
		for (int k = 0; k < V; k++) sum[k] = 0;
		int q0 = Kind::first(in.column, g.w, g.q, g.kernelW, g.strideW, g.padW), q1 = Kind::end(in.column, g.w, g.q, g.kernelW, g.strideW, g.padW);
		int p1 = Kind::end(in.row, g.h, g.p, g.kernelH, g.strideH, g.padH);
		for (int p = Kind::first(in.row, g.h, g.p, g.kernelH, g.strideH, g.padH); p < p1; p++) {
			Span h = Kind::span(p, g.h, g.p, g.kernelH, g.strideH, g.padH, g);
			if (in.row < h.lo || in.row >= h.hi) continue;
			for (int q = q0; q < q1; q++) {
				Span w = Kind::span(q, g.w, g.q, g.kernelW, g.strideW, g.padW, g);
				if (in.column < w.lo || in.column >= w.hi) continue;
				Pack<T, V> d = load<V>(dy, V * at(in, p, q, g.p, g.q, g.channels));
				A share = 1 / (A)((i64)h.n * w.n * Kind::divisor(g));
				for (int k = 0; k < V; k++) sum[k] += widen(d.v[k]) * share;
			}
		}
		Pack<T, V> to;
		for (int k = 0; k < V; k++) to.v[k] = narrow<T>(sum[k]);
		store(dx, V * i, to);
	}
}

#define AVG_POOL_OF(name, t, T, V) \
	extern "C" __global__ void avg_pool_##name##t(T *dst, const T *x, PoolGeom g, i64 n) { average<Fixed, T, V>(dst, x, g, n); } \
	extern "C" __global__ void avg_pool_grad_##name##t(T *dx, const T *dy, PoolGeom g, i64 n) { average_grad<Fixed, T, V>(dx, dy, g, n); } \
	extern "C" __global__ void adaptive_avg_pool_##name##t(T *dst, const T *x, PoolGeom g, i64 n) { average<Adaptive, T, V>(dst, x, g, n); } \
	extern "C" __global__ void adaptive_avg_pool_grad_##name##t(T *dx, const T *dy, PoolGeom g, i64 n) { average_grad<Adaptive, T, V>(dx, dy, g, n); }
#define AVG_POOL(t, T) AVG_POOL_OF(, t, T, 1)
#define AVG_POOL_WIDE(t, T, V) AVG_POOL_OF(wide_, t, T, V)
FOR_FLOATS(AVG_POOL)
FOR_WIDE(AVG_POOL_WIDE)
