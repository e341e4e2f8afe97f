// Cross-entropy of class indices, along the middle of outer × N × inner elements. The loss of a label out of range is NaN.
#include "common.cuh"

// One thread for each place along outer and inner; rows of many classes have a kernel in rows.cu.
#define CROSS_ENTROPY(t, T) \
	extern "C" __global__ void cross_entropy_##t(Fault *fault, unsigned long long call, i64 N, T *loss, T *largest, T *sum, const T *x, const i64 *labels, i64 inner, i64 n) { \
		typedef As<T>::type A; \
		EACH(c, n) { \
			i64 o = quotient(c, inner); \
			const T *from = x + o * N * inner + (c - o * inner); \
			A l = widen(from[0]); \
			for (i64 k = 1; k < N; k++) l = larger<A>(l, widen(from[k * inner])); \
			double s = 0; \
			for (i64 k = 0; k < N; k++) s += (A)exp(widen(from[k * inner]) - l); \
			largest[c] = narrow<T>(l); \
			sum[c] = narrow<T>(s); \
			i64 at = labels[c]; \
			double score = in_range(fault, call, c, at, N) ? (double)widen(from[at * inner]) : nan(""); \
			loss[c] = narrow<T>(log(s) - (score - (double)l)); \
		} \
	} \
	extern "C" __global__ void cross_entropy_grad_##t(T *dx, const T *share, const T *x, const i64 *labels, const T *largest, const T *sum, i64 N, i64 inner, i64 n) { \
		typedef As<T>::type A; \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, N), c = o * inner + (e - row * inner); \
			A s = widen(share[c]), d = (A)exp(widen(x[e]) - widen(largest[c])) * (s / widen(sum[c])); \
			dx[e] = narrow<T>(row - o * N == labels[c] ? d - s : d); \
		} \
	}
FOR_FLOATS(CROSS_ENTROPY)
