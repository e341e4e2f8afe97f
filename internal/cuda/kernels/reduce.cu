// Reductions. Elements are gathered in 8 bytes, double for floats and 64 bits for
// integers, in several pieces for each result where there are few results; the
// pieces are put together in a fixed order.
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
	case R_SUM_SQUARES: return acc + v * v;
	case R_PROD: return acc * v;
	case R_MAX: return larger(acc, v);
	case R_MIN: return smaller(acc, v);
	case R_ANY: return acc != 0 || v != 0 ? 1 : 0;
	default: return acc != 0 && v != 0 ? 1 : 0;
	}
}

// Element j of result r lies where reduced says of j and kept of r. Piece p of it takes the elements p, p+pieces, …; it is
// acc[p·results + r]. Neighbouring threads take neighbouring pieces where the run is reduced, neighbouring results otherwise.
#define REDUCE(t, T) \
	extern "C" __global__ void reduce_##t(Gathered<T>::type *acc, const T *x, i64 op, View kept, View reduced, i64 count, i64 pieces, i64 results, i64 run, i64 n) { \
		typedef Gathered<T>::type A; \
		EACH(i, n) { \
			i64 q = quotient(i, run ? pieces : results), rest = i - q * (run ? pieces : results), r = run ? q : rest, p = run ? rest : q; \
			i64 at[1]; \
			offsets<1>(kept, r, at); \
			const T *from = x + at[0]; \
			A a = reduce_start<T>((int)op); \
			for (i64 j = p; j < count; j += pieces) { \
				if (reduced.dims == 1) at[0] = j * reduced.strides[0][0]; \
				else offsets<1>(reduced, j, at); \
				a = reduce_add<A>((int)op, a, (A)widen(from[at[0]])); \
			} \
			acc[p * results + r] = a; \
		} \
	}
FOR_ALL(REDUCE)

// merge puts each so many pieces together.
#define MERGE(t, A) \
	extern "C" __global__ void merge_##t(A *to, const A *acc, i64 op, i64 pieces, i64 group, i64 results, i64 n) { \
		EACH(i, n) { \
			i64 p = quotient(i, results) * group, r = i - quotient(i, results) * results; \
			A a = acc[p * results + r]; \
			for (i64 k = p + 1; k < p + group && k < pieces; k++) a = reduce_add<A>(op == R_SUM_SQUARES ? R_SUM : (int)op, a, acc[k * results + r]); \
			to[i] = a; \
		} \
	}
MERGE(f64, double)
MERGE(i64, i64)

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
