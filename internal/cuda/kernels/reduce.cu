// Reductions. Elements are gathered in 8 bytes, double for floats and 64 bits for
// integers, in several pieces for each result where there are few results; another
// launch puts the pieces together. The order is the same always.
#include "common.cuh"

// The operations, numbered as backend.ReduceOp.
enum ReduceOp { R_SUM, R_SUM_SQUARES, R_PROD, R_MAX, R_MIN, R_ANY, R_ALL };

template <class T> struct Gathered { typedef i64 type; };
template <> struct Gathered<float> { typedef double type; };
template <> struct Gathered<double> { typedef double type; };
template <> struct Gathered<bf16> { typedef double type; };
template <> struct Gathered<f16> { typedef double type; };

// What comes out of no elements: the type's smallest number for the maximum.
template <class T> struct Limits {
	__device__ static double lowest() { return -__longlong_as_double(0x7ff0000000000000LL); }
	__device__ static double highest() { return __longlong_as_double(0x7ff0000000000000LL); }
};
template <> struct Limits<i64> {
	__device__ static i64 lowest() { return -0x7fffffffffffffffLL - 1; }
	__device__ static i64 highest() { return 0x7fffffffffffffffLL; }
};
template <> struct Limits<u8> {
	__device__ static i64 lowest() { return 0; }
	__device__ static i64 highest() { return 255; }
};
template <> struct Limits<b8> : Limits<u8> {};

template <class T> __device__ inline typename Gathered<T>::type reduce_start(int op) {
	switch (op) {
	case R_PROD: case R_ALL: return 1;
	case R_MAX: return Limits<T>::lowest();
	case R_MIN: return Limits<T>::highest();
	default: return 0;
	}
}
template <class A> __device__ inline A reduce_add(int op, A acc, A v) {
	switch (op) {
	case R_SUM: return acc + v;
	case R_PROD: return acc * v;
	case R_MAX: return larger(acc, v);
	case R_MIN: return smaller(acc, v);
	case R_ANY: return acc != 0 || v != 0 ? 1 : 0;
	default: return acc != 0 && v != 0 ? 1 : 0;
	}
}

// lanes_reduce puts together what lanes threads have, a power of 2 up to 32, or 256, which is a block.
template <class A> __device__ inline A lanes_reduce(int op, A a, int lanes) {
	__shared__ A parts[8];
	for (int d = lanes < 32 ? lanes / 2 : 16; d; d /= 2) a = reduce_add<A>(op, a, __shfl_xor_sync(0xffffffffu, a, d));
	if (lanes == 256) {
		if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = a;
		__syncthreads();
		a = parts[0];
		for (int k = 1; k < 8; k++) a = reduce_add<A>(op, a, parts[k]);
		__syncthreads();
	}
	return a;
}

// Place finds element j of what is reduced: j itself in rows, otherwise where the view says.
struct RowPlace {
	__device__ i64 operator()(i64 j) const { return j; }
};
struct ViewPlace {
	const View &v;
	__device__ i64 operator()(i64 j) const {
		i64 at = 0;
		unsigned x = (unsigned)j;
#pragma unroll 1
		for (unsigned d = 0; d < v.dims; d++) {
			unsigned q = (x + __umulhi(x, v.factor[d])) >> v.shift[d];
			at += (x - q * v.shape[d]) * v.strides[0][d];
			x = q;
		}
		return at;
	}
};

// gather reduces a lane's share of the elements j with from ≤ j < to, several at once.
template <class T, class Place, class Add> __device__ __forceinline__ void gather(const T *x, i64 from, i64 to, int lane, int lanes, bool whole, Place place, Add add) {
	const int N = Packs<T>::count;
	i64 packed = whole ? from + (to - from) / N * N : from, j = from + lane * N, step = lanes * N;
#pragma unroll 1
	for (; j + step < packed; j += 2 * step) {
		auto p = load<N>(x, place(j)), q = load<N>(x, place(j + step));
#pragma unroll
		for (int k = 0; k < N; k++) add(p.v[k]);
#pragma unroll
		for (int k = 0; k < N; k++) add(q.v[k]);
	}
	if (j < packed) {
		auto p = load<N>(x, place(j));
#pragma unroll
		for (int k = 0; k < N; k++) add(p.v[k]);
	}
	j = packed + lane;
	step = lanes;
#pragma unroll 1
	for (; j + 3 * step < to; j += 4 * step) {
		T a = x[place(j)], b = x[place(j + step)], c = x[place(j + 2 * step)], d = x[place(j + 3 * step)];
		add(a);
		add(b);
		add(c);
		add(d);
	}
#pragma unroll 1
	for (; j < to; j += step) add(x[place(j)]);
}

// The types of results, numbered as backend.DType.
enum DType { T_F32, T_F64, T_I64, T_U8, T_B8, T_BF16, T_F16 };
template <class A> __device__ inline void store_as(void *to, i64 i, A a, i64 type) {
	switch (type) {
	case T_F32: ((float *)to)[i] = narrow<float>(a); break;
	case T_F64: ((double *)to)[i] = narrow<double>(a); break;
	case T_I64: ((i64 *)to)[i] = narrow<i64>(a); break;
	case T_U8: ((u8 *)to)[i] = (u8)(i64)a; break;
	case T_B8: ((b8 *)to)[i] = narrow<b8>(a); break;
	case T_BF16: ((bf16 *)to)[i] = narrow<bf16>(a); break;
	default: ((f16 *)to)[i] = narrow<f16>(a);
	}
}

// Geometry is how a reduction goes; Go's reduction has the same fields. Element j of result r lies where kept says of r and
// reduced of j, or of rows, which lie one behind the other, at r·count + j. Piece p of a result is the elements from p·share on;
// out[r·pieces + p] is what comes of it. Neighbouring groups of lanes take neighbouring results.
struct Geometry {
	View kept, reduced;
	i64 count, results, pieces, share, lanes, rows, whole, type;
};
template <class T, class Add> __device__ __forceinline__ void reduce(void *out, const T *x, int op, const Geometry &g, Add add) {
	typedef typename Gathered<T>::type A;
	int lanes = (int)g.lanes, lane = (int)threadIdx.x & (lanes - 1);
	i64 mine = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / (unsigned)lanes, step = (i64)gridDim.x * (blockDim.x / (unsigned)lanes), n = g.results * g.pieces;
	for (i64 first = 0; first < n; first += step) { // as often for all threads, since they wait for each other
		i64 i = first + mine, p = quotient(i, g.results), r = i - p * g.results;
		A a = reduce_start<T>(op);
		if (i < n) {
			i64 begin = p * g.share, end = begin + g.share < g.count ? begin + g.share : g.count;
			auto take = [&](T v) { a = add(a, (A)widen(v)); };
			if (g.rows) {
				const T *from = x + r * g.count;
				gather(from, begin, end, lane, lanes, aligned<Packs<T>::count>(from), RowPlace(), take);
			} else {
				gather(x + ViewPlace{g.kept}(r), begin, end, lane, lanes, g.whole != 0, ViewPlace{g.reduced}, take);
			}
		}
		a = lanes_reduce<A>(op, a, lanes);
		if (i < n && lane == 0) store_as(out, r * g.pieces + p, a, g.type);
	}
}
// Sums, which most reductions are, have a kernel of their own.
#define REDUCE(t, T) \
	extern "C" __global__ void reduce_sum_##t(void *out, const T *x, i64 op, Geometry g) { \
		typedef Gathered<T>::type A; \
		reduce<T>(out, x, R_SUM, g, [op](A a, A v) { return a + (op == R_SUM ? v : v * v); }); \
	} \
	extern "C" __global__ void reduce_##t(void *out, const T *x, i64 op, Geometry g) { \
		typedef Gathered<T>::type A; \
		reduce<T>(out, x, (int)op, g, [op](A a, A v) { return reduce_add<A>((int)op, a, v); }); \
	}
FOR_ALL(REDUCE)

__device__ inline bool comes_first(double v, i64 at, double best, i64 best_at, bool smallest) {
	if (v == best || (v != v && best != best)) return at < best_at;
	if (best != best) return false;
	return v != v || (smallest ? v < best : v > best);
}
__device__ inline bool comes_first(i64 v, i64 at, i64 best, i64 best_at, bool smallest) {
	return v == best ? at < best_at : smallest ? v < best : v > best;
}

// reduce_index finds the first extreme among count candidates of each of outer × inner columns: candidate j is j itself, or
// among[j·columns + c]. Piece p takes the candidates p, p+pieces, …
#define REDUCE_INDEX(t, T) \
	extern "C" __global__ void reduce_index_##t(i64 *to, const i64 *among, T *values, const T *x, i64 smallest, i64 N, i64 inner, i64 columns, i64 count, i64 pieces, i64 n) { \
		typedef Gathered<T>::type A; \
		EACH(i, n) { \
			i64 p = quotient(i, columns), c = i - p * columns, o = quotient(c, inner); \
			const T *from = x + o * N * inner + (c - o * inner); \
			i64 best_at = among ? among[p * columns + c] : p; \
			A best = (A)widen(from[best_at * inner]); \
			for (i64 j = p + pieces; j < count; j += pieces) { \
				i64 at = among ? among[j * columns + c] : j; \
				A v = (A)widen(from[at * inner]); \
				if (comes_first(v, at, best, best_at, smallest != 0)) { \
					best = v; \
					best_at = at; \
				} \
			} \
			to[i] = best_at; \
			if (values) values[i] = from[best_at * inner]; \
		} \
	}
FOR_ALL(REDUCE_INDEX)

#define CUMSUM(t, T, D) \
	extern "C" __global__ void cumsum_##t(D *dst, const T *x, i64 reverse, i64 N, i64 inner, i64 n) { \
		EACH(c, n) { \
			i64 o = quotient(c, inner), at = o * N * inner + (c - o * inner), step = inner; \
			if (reverse) { \
				at += (N - 1) * inner; \
				step = -inner; \
			} \
			Gathered<T>::type sum = 0; \
			for (i64 k = 0; k < N; k++, at += step) { \
				sum += widen(x[at]); \
				dst[at] = narrow<D>(sum); \
			} \
		} \
	}
#define CUMSUM_FLOAT(t, T) CUMSUM(t, T, T)
FOR_FLOATS(CUMSUM_FLOAT)
CUMSUM(i64, i64, i64)
CUMSUM(u8, u8, i64)
CUMSUM(b8, b8, i64)
