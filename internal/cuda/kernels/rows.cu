// Reductions of rows by one warp each. The lanes' parts are put together in the
// same order always.
#include "common.cuh"

// EACH_ROW runs its body for the rows of each warp of 32 threads of a block; all lanes take part in all of it.
#define EACH_ROW(row, rows) for (i64 row = blockIdx.x * (i64)(blockDim.x / 32) + threadIdx.x / 32; row < (rows); row += (i64)(blockDim.x / 32) * gridDim.x)
#define EACH_LANE(k, n) for (i64 k = threadIdx.x % 32; k < (n); k += 32)

template <class A> __device__ inline A warp_sum(A v) {
	for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
	return v;
}
template <class A> __device__ inline A warp_largest(A v) {
	for (int d = 16; d > 0; d /= 2) v = larger(v, __shfl_xor_sync(0xffffffffu, v, d));
	return v;
}

#define ROWS(t, T) \
	extern "C" __global__ void cross_entropy_rows_##t(Fault *fault, unsigned long long call, i64 N, T *loss, T *largest, T *sum, const T *x, const i64 *labels, i64 n) { \
		typedef As<T>::type A; \
		EACH_ROW(r, n) { \
			const T *from = x + r * N; \
			A l = widen(from[0]); \
			EACH_LANE(k, N) l = larger<A>(l, widen(from[k])); \
			l = warp_largest(l); \
			double s = 0; \
			EACH_LANE(k, N) s += (A)exp(widen(from[k]) - l); \
			s = warp_sum(s); \
			if (threadIdx.x % 32 == 0) { \
				largest[r] = narrow<T>(l); \
				sum[r] = narrow<T>(s); \
				i64 at = labels[r]; \
				double score = in_range(fault, call, r, at, N) ? (double)widen(from[at]) : nan(""); \
				loss[r] = narrow<T>(log(s) - (score - (double)l)); \
			} \
		} \
	} \
	extern "C" __global__ void row_norm_##t(T *dst, T *mean, T *invstd, const T *x, i64 N, double eps, i64 n) { \
		typedef As<T>::type A; \
		EACH_ROW(r, n) { \
			const T *from = x + r * N; \
			T *to = dst + r * N; \
			double near = widen(from[0]), s = 0, q = 0; /* sums about an element of the row lose nothing to a large mean */ \
			EACH_LANE(k, N) { \
				double v = (double)widen(from[k]) - near; \
				s += v; \
				q += v * v; \
			} \
			s = warp_sum(s) / (double)N; \
			double var = warp_sum(q) / (double)N - s * s; \
			double m = near + s, scale = 1 / sqrt((var > 0 || var != var ? var : 0) + eps); \
			if (threadIdx.x % 32 == 0) { \
				mean[r] = narrow<T>(m); \
				invstd[r] = narrow<T>(scale); \
			} \
			EACH_LANE(k, N) to[k] = narrow<T>(((double)widen(from[k]) - m) * scale); \
		} \
	} \
	extern "C" __global__ void row_norm_grad_##t(T *dx, const T *dy, const T *y, const T *invstd, i64 N, i64 n) { \
		typedef As<T>::type A; \
		EACH_ROW(r, n) { \
			i64 at = r * N; \
			double s = 0, dot = 0; \
			EACH_LANE(k, N) { \
				double d = widen(dy[at + k]); \
				s += d; \
				dot += d * (double)widen(y[at + k]); \
			} \
			A m = (A)(warp_sum(s) / (double)N), p = (A)(warp_sum(dot) / (double)N), scale = widen(invstd[r]); \
			EACH_LANE(k, N) dx[at + k] = narrow<T>((widen(dy[at + k]) - m - widen(y[at + k]) * p) * scale); \
		} \
	}
FOR_FLOATS(ROWS)
