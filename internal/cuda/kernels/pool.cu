// Pooling. No gradient adds to memory that another thread adds to: each element of
// the input gathers from the windows that it lies in, in their order. Arrays with
// channels last are pooled by packs of channels; row-major ones are the same with one
// channel and more images.
#include "common.cuh"

// PoolGeom is how images of a depth, rows and columns, each of so many packs of channels, are pooled; Go's poolGeom has the same fields.
struct PoolGeom {
	Div channels, in[3], out[3], stride[3];
	int kernel[3], pad[3], dilation[3], excludePad;
	i64 divisor;
};

// A Place is where a pack lies among images of a size: depth, row and column.
struct Place {
	i64 image, channel;
	int at[3];
};
__device__ inline Place place(i64 i, const Div (&size)[3], const Div &channels) {
	i64 pixel = quotient(i, channels), line = quotient(pixel, size[2]), sheet = quotient(line, size[1]), image = quotient(sheet, size[0]);
	Place r = {image, i - pixel * channels.d, {(int)(sheet - image * size[0].d), (int)(line - sheet * size[1].d), (int)(pixel - line * size[2].d)}};
	return r;
}
// at is the number of a pack.
__device__ inline i64 at(const Place &p, int depth, int row, int column, const Div (&size)[3], const Div &channels) {
	return (((p.image * size[0].d + depth) * size[1].d + row) * size[2].d + column) * channels.d + p.channel;
}

// EACH_OF_WINDOW runs its body for the elements z, y, x of a window that lie in the input; number counts those of the kernel.
#define EACH_OF_WINDOW(out, z, y, x, number) \
	for (int t_ = 0; t_ < g.kernel[0]; t_++) \
		if (int z = (out).at[0] * (int)g.stride[0].d - g.pad[0] + t_ * g.dilation[0]; z >= 0 && z < g.in[0].d) \
			for (int r_ = 0; r_ < g.kernel[1]; r_++) \
				if (int y = (out).at[1] * (int)g.stride[1].d - g.pad[1] + r_ * g.dilation[1]; y >= 0 && y < g.in[1].d) \
					for (int s_ = 0; s_ < g.kernel[2]; s_++) \
						if (int x = (out).at[2] * (int)g.stride[2].d - g.pad[2] + s_ * g.dilation[2], number = (t_ * g.kernel[1] + r_) * g.kernel[2] + s_; x >= 0 && x < g.in[2].d)

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
		Place out = place(i, g.out, g.channels);
		A best[V];
		for (int k = 0; k < V; k++) best[k] = Lowest<A>::of();
		EACH_OF_WINDOW(out, depth, row, column, number) {
			(void)number;
			Pack<T, V> p = load<V>(x, V * at(out, depth, row, column, g.in, g.channels));
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
	EACH_OF_WINDOW(out, depth, row, column, number) {
		Pack<T, V> p = load<V>(x, V * at(out, depth, row, column, g.in, g.channels));
		for (int k = 0; k < V; k++) {
			A v = widen(p.v[k]);
			if (looking[k] && (v != v || v == best[k])) found[k] = number;
			looking[k] = looking[k] && v != best[k];
		}
	}
}
template <class T> __device__ inline void max_pool_indices(i64 *indices, const T *x, const T *y, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place out = place(i, g.out, g.channels);
		int found[1];
		find<T, 1>(found, i, out, x, y, g);
		int line = found[0] / g.kernel[2], tap[3] = {line / g.kernel[1], line % g.kernel[1], found[0] % g.kernel[2]};
		i64 index = 0;
		for (int d = 0; d < 3; d++) index = index * g.in[d].d + out.at[d] * g.stride[d].d - g.pad[d] + (i64)tap[d] * g.dilation[d];
		indices[i] = found[0] < 0 ? -1 : index;
	}
}
template <class T, int V> __device__ inline void max_pool_places(int *places, const T *x, const T *y, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		int found[V];
		find<T, V>(found, i, place(i, g.out, g.channels), x, y, g);
		enum { RUN = V < 4 ? V : 4 };
		for (int k = 0; k < V; k += RUN) {
			Pack<int, RUN> p;
			for (int j = 0; j < RUN; j++) p.v[j] = found[k + j];
			store(places, V * i + k, p);
		}
	}
}
// window is which window of dimension d reads an element of the input by the kernel's element r, or -1.
__device__ inline int window(const Place &in, int d, int r, const PoolGeom &g) {
	int from = in.at[d] + g.pad[d] - r * g.dilation[d];
	if (from < 0) return -1;
	int w = (int)quotient(from, g.stride[d]);
	return w < g.out[d].d && w * (int)g.stride[d].d == from ? w : -1;
}
template <class T, int V> __device__ inline void max_pool_grad(T *dx, const T *dy, const int *places, const PoolGeom &g, i64 n) {
	typedef typename As<T>::type A;
	EACH(i, n) {
		Place in = place(i, g.in, g.channels);
		A sum[V];
		for (int k = 0; k < V; k++) sum[k] = 0;
		for (int t = g.kernel[0] - 1; t >= 0; t--) {
			int o = window(in, 0, t, g);
			if (o < 0) continue;
			for (int r = g.kernel[1] - 1; r >= 0; r--) {
				int p = window(in, 1, r, g);
				if (p < 0) continue;
				for (int s = g.kernel[2] - 1; s >= 0; s--) {
					int q = window(in, 2, s, g);
					if (q < 0) continue;
					i64 from = V * at(in, o, p, q, g.out, g.channels);
					Pack<T, V> d = load<V>(dy, from);
					enum { RUN = V < 4 ? V : 4 };
					for (int k = 0; k < V; k += RUN) {
						Pack<int, RUN> at = load<RUN>(places, from + k);
						for (int j = 0; j < RUN; j++)
							if (at.v[j] == (t * g.kernel[1] + r) * g.kernel[2] + s) sum[k + j] += widen(d.v[k + j]);
					}
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
		Place out = place(i, g.out, g.channels);
		int found[V];
		find<T, V>(found, i, out, x, y, g);
		Pack<T, V> d = load<V>(dy, V * i);
		EACH_OF_WINDOW(out, depth, row, column, number) {
			Pack<T, V> to;
			for (int k = 0; k < V; k++) to.v[k] = found[k] == number ? d.v[k] : narrow<T>(0.0f);
			store(dx, V * at(out, depth, row, column, g.in, g.channels), to);
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
	__device__ static Span span(int i, int d, const PoolGeom &g) {
		int size = (int)g.in[d].d, lo = i * (int)g.stride[d].d - g.pad[d], hi = lo + g.kernel[d] < size + g.pad[d] ? lo + g.kernel[d] : size + g.pad[d], n = hi - lo;
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
	__device__ static int first(int i, int d, const PoolGeom &g) {
		int from = i + g.pad[d] - g.kernel[d] + 1;
		return from <= 0 ? 0 : (int)quotient(from + g.stride[d].d - 1, g.stride[d]);
	}
	__device__ static int end(int i, int d, const PoolGeom &g) {
		int end = (int)quotient(i + g.pad[d], g.stride[d]) + 1;
		return end < g.out[d].d ? end : (int)g.out[d].d;
	}
};
struct Adaptive { // windows from floor(i·size/count) to ceil((i+1)·size/count)
	__device__ static Span span(int i, int d, const PoolGeom &g) {
		const Div &size = g.in[d], &count = g.out[d];
		int lo = (int)quotient(i * size.d, count), hi = (int)quotient((i + 1) * size.d + count.d - 1, count);
		Span s = {lo, hi, hi - lo < 1 ? 1 : hi - lo};
		return s;
	}
	__device__ static i64 divisor(const PoolGeom &) { return 1; }
	__device__ static int first(int i, int d, const PoolGeom &g) { return (int)quotient(i * g.out[d].d, g.in[d]); }
	__device__ static int end(int i, int d, const PoolGeom &g) {
		int end = (int)quotient((i + 1) * g.out[d].d + g.in[d].d - 1, g.in[d]);
		return end < g.out[d].d ? end : (int)g.out[d].d;
	}
};

template <class Kind, class T, int V> __device__ inline void average(T *dst, const T *x, const PoolGeom &g, i64 n) {
	EACH(i, n) {
		Place out = place(i, g.out, g.channels);
		Span d = Kind::span(out.at[0], 0, g), h = Kind::span(out.at[1], 1, g), w = Kind::span(out.at[2], 2, g);
		double sum[V], count = (double)((i64)d.n * h.n * w.n * Kind::divisor(g));
		for (int k = 0; k < V; k++) sum[k] = 0;
		for (int t = d.lo; t < d.hi; t++)
			for (int r = h.lo; r < h.hi; r++)
				for (int s = w.lo; s < w.hi; s++) {
					Pack<T, V> p = load<V>(x, V * at(out, t, r, s, g.in, g.channels));
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
		Place in = place(i, g.in, g.channels);
		A sum[V];
		for (int k = 0; k < V; k++) sum[k] = 0;
		int o1 = Kind::end(in.at[0], 0, g), p0 = Kind::first(in.at[1], 1, g), p1 = Kind::end(in.at[1], 1, g);
		int q0 = Kind::first(in.at[2], 2, g), q1 = Kind::end(in.at[2], 2, g);
		for (int o = Kind::first(in.at[0], 0, g); o < o1; o++) {
			Span t = Kind::span(o, 0, g);
			if (in.at[0] < t.lo || in.at[0] >= t.hi) continue;
			for (int p = p0; p < p1; p++) {
				Span h = Kind::span(p, 1, g);
				if (in.at[1] < h.lo || in.at[1] >= h.hi) continue;
				for (int q = q0; q < q1; q++) {
					Span w = Kind::span(q, 2, g);
					if (in.at[2] < w.lo || in.at[2] >= w.hi) continue;
					Pack<T, V> d = load<V>(dy, V * at(in, o, p, q, g.out, g.channels));
					A share = 1 / (A)((i64)t.n * h.n * w.n * Kind::divisor(g));
					for (int k = 0; k < V; k++) sum[k] += widen(d.v[k]) * share;
				}
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
