// Softmax along N, its logarithm, and their gradients. Where the elements of a
// column are neighbours, a warp takes it, else a thread.
#include "common.cuh"

// A Lanes is the threads that share a column.
struct Alone {
	static const int count = 1;
	template <class A> __device__ static A add(A v) { return v; }
	template <class A> __device__ static A most(A v) { return v; }
};
struct Warp {
	static const int count = 32;
	template <class A> __device__ static A add(A v) {
		for (int d = 16; d; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
		return v;
	}
	template <class A> __device__ static A most(A v) {
		for (int d = 16; d; d /= 2) {
			A o = __shfl_xor_sync(0xffffffffu, v, d);
			if (o > v) v = o;
		}
		return v;
	}
};

// COLUMN runs its body for each column, with the place of its first element, the
// step to the next one, and the lane.
#define COLUMNS(outer, length, inner) \
	i64 step = (inner), lane = threadIdx.x % L::count; \
	for (i64 c = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / L::count; c < (outer) * (inner); c += (i64)blockDim.x * gridDim.x / L::count)
#define ALONG(k, length) for (i64 k = lane; k < (length); k += L::count)

template <class L, class T> __device__ inline void softmax(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) {
	typedef typename As<T>::type A;
	COLUMNS(outer, length, inner) {
		i64 o = quotient(c, inner), first = o * length * inner + c - o * inner;
		A largest = -__int_as_float(0x7f800000), sum = 0;
		ALONG(k, length) {
			A v = widen(x[first + k * step]);
			if (v > largest) largest = v;
		}
		largest = L::most(largest);
		ALONG(k, length) sum += (A)exp((A)(widen(x[first + k * step]) - largest));
		sum = L::add(sum);
		A shift = (A)log(sum);
		ALONG(k, length) {
			A v = (A)widen(x[first + k * step]) - largest;
			dst[first + k * step] = narrow<T>(log_ ? v - shift : (A)exp(v) / sum);
		}
	}
}
// y·(dy - Σ dy·y), and for the logarithm dy - exp(y)·Σ dy
template <class L, class T> __device__ inline void softmax_grad(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) {
	typedef typename As<T>::type A;
	COLUMNS(outer, length, inner) {
		i64 o = quotient(c, inner), first = o * length * inner + c - o * inner;
		double sum = 0;
		ALONG(k, length) {
			double d = widen(dy[first + k * step]);
			sum += log_ ? d : d * widen(y[first + k * step]);
		}
		A s = (A)L::add(sum);
		ALONG(k, length) {
			A d = widen(dy[first + k * step]), v = widen(y[first + k * step]);
			dx[first + k * step] = narrow<T>(log_ ? d - (A)exp(v) * s : v * (d - s));
		}
	}
}

#define SOFTMAX(t, T) \
	extern "C" __global__ void softmax_columns_##t(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) { softmax<Alone, T>(dst, x, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_rows_##t(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) { softmax<Warp, T>(dst, x, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_grad_columns_##t(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) { softmax_grad<Alone, T>(dx, dy, y, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_grad_rows_##t(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) { softmax_grad<Warp, T>(dx, dy, y, log_, outer, length, inner); }
FOR_FLOATS(SOFTMAX)
