// Batch normalization. First each channel's sums are taken, by several blocks, whose part sums lie one
// behind the other; then a thread for each channel makes the numbers of it from
// them; then all elements are computed. So all multiprocessors have work for any
// number of channels, and the order of sums does not change.
#include "common.cuh"

// sum_block adds up two numbers of all threads of a block of 256, in a fixed order.
__device__ inline void sum_block(double a, double b, double *to) {
	__shared__ double sums[2 * 256];
	sums[threadIdx.x] = a;
	sums[256 + threadIdx.x] = b;
	__syncthreads();
	for (int half = 128; half; half /= 2) {
		if (threadIdx.x < half) {
			sums[threadIdx.x] += sums[threadIdx.x + half];
			sums[256 + threadIdx.x] += sums[256 + threadIdx.x + half];
		}
		__syncthreads();
	}
	if (threadIdx.x == 0) {
		to[0] = sums[0];
		to[1] = sums[256];
	}
}

// PART runs its body for the elements of channel blockIdx.x that are the block's
// part: its at is where one lies.
#define PART(at, count, channels, inner) \
	i64 share = ((count) + gridDim.y - 1) / gridDim.y, from = share * blockIdx.y, to = from + share < (count) ? from + share : (count); \
	for (i64 i_ = from + threadIdx.x, at; i_ < to && (at = (quotient(i_, inner) * ((channels) - 1) + blockIdx.x) * (inner) + i_, true); i_ += blockDim.x)

// Sums about the channel's first element, which is near enough to the mean that float64 loses nothing.
template <class T> __device__ inline void norm_sums(double *parts, const T *x, i64 count, i64 channels, i64 inner) {
	double near = widen(x[blockIdx.x * inner]), sum = 0, squares = 0;
	PART(at, count, channels, inner) {
		double d = widen(x[at]) - near;
		sum += d;
		squares += d * d;
	}
	sum_block(sum, squares, parts + 2 * (blockIdx.x * (i64)gridDim.y + blockIdx.y));
}
template <class T> __device__ inline void norm_grad_sums(double *parts, const T *dy, const T *x, const T *y, const typename As<T>::type *mean, i64 count, i64 channels, i64 inner) {
	double m = mean[blockIdx.x], sum = 0, dot = 0;
	PART(at, count, channels, inner) {
		double d = widen(dy[at]);
		if (y && !(widen(y[at]) > 0)) d = 0;
		sum += d;
		dot += d * (widen(x[at]) - m);
	}
	sum_block(sum, dot, parts + 2 * (blockIdx.x * (i64)gridDim.y + blockIdx.y));
}
__device__ inline void add_parts(const double *parts, i64 c, i64 split, double &a, double &b) {
	a = b = 0;
	for (i64 s = 0; s < split; s++) {
		a += parts[2 * (c * split + s)];
		b += parts[2 * (c * split + s) + 1];
	}
}

// What each channel's elements are computed with: (x - mean)·scale + shift, and
// (dy - mean - (x - channel's mean)·slope)·scale.
#define NORM(t, T) \
	extern "C" __global__ void norm_sums_##t(double *parts, const T *x, i64 count, i64 channels, i64 inner) { norm_sums<T>(parts, x, count, channels, inner); } \
	extern "C" __global__ void norm_grad_sums_##t(double *parts, const T *dy, const T *x, const T *y, const As<T>::type *mean, i64 count, i64 channels, i64 inner) { norm_grad_sums<T>(parts, dy, x, y, mean, count, channels, inner); } \
	extern "C" __global__ void norm_numbers_##t(As<T>::type *scale, As<T>::type *shift, As<T>::type *mean, As<T>::type *invstd, As<T>::type *runningMean, As<T>::type *runningVar, \
		const As<T>::type *w, const As<T>::type *b, const double *parts, i64 split, const T *x, i64 count, i64 inner, double eps, double momentum, i64 training, i64 n) { \
		typedef As<T>::type A; \
		EACH(c, n) { \
			double m = 0, v = 0; \
			if (!training) { \
				m = runningMean[c]; \
				v = runningVar[c]; \
			} else if (count) { /* an empty batch leaves the running statistics as they are */ \
				double sum, squares; \
				add_parts(parts, c, split, sum, squares); \
				double d = sum / (double)count; \
				m = widen(x[c * inner]) + d; \
				v = squares / (double)count - d * d; \
				if (v < 0) v = 0; \
				if (runningMean) { \
					runningMean[c] = (A)((1 - momentum) * runningMean[c] + momentum * m); \
					runningVar[c] = (A)((1 - momentum) * runningVar[c] + momentum * v * (double)count / (double)(count - 1)); \
				} \
			} \
			double s = 1 / sqrt(v + eps), add = b ? b[c] : 0; \
			mean[c] = (A)m; \
			invstd[c] = (A)s; \
			if (w) s *= w[c]; \
			scale[c] = (A)s; \
			shift[c] = (A)(add + ((double)mean[c] - m) * s); /* and what rounding the mean would shift */ \
		} \
	} \
	extern "C" __global__ void norm_##t(T *dst, const T *x, const As<T>::type *mean, const As<T>::type *scale, const As<T>::type *shift, i64 channels, i64 inner, i64 relu, i64 n) { \
		EACH(i, n) { \
			i64 c = quotient(i, inner); \
			c -= quotient(c, channels) * channels; \
			As<T>::type v = (widen(x[i]) - mean[c]) * scale[c] + shift[c]; \
			dst[i] = narrow<T>(relu && v < 0 ? (As<T>::type)0 : v); \
		} \
	} \
	extern "C" __global__ void norm_grad_numbers_##t(As<T>::type *scale, As<T>::type *mean, As<T>::type *slope, As<T>::type *dw, As<T>::type *db, const As<T>::type *w, const As<T>::type *invstd, \
		const double *parts, i64 split, i64 count, i64 training, i64 n) { \
		typedef As<T>::type A; \
		EACH(c, n) { \
			double s = invstd[c], sum = 0, dot = 0; \
			if (split) add_parts(parts, c, split, sum, dot); \
			if (dw) dw[c] = (A)(dot * s); \
			if (db) db[c] = (A)sum; \
			mean[c] = training ? (A)(sum / (double)count) : 0; \
			slope[c] = training ? (A)(dot * s * s / (double)count) : 0; \
			scale[c] = (A)(w ? s * w[c] : s); \
		} \
	} \
	extern "C" __global__ void norm_grad_##t(T *dx, const T *dy, const T *x, const T *y, const As<T>::type *xMean, const As<T>::type *mean, const As<T>::type *slope, const As<T>::type *scale, \
		i64 channels, i64 inner, i64 n) { \
		EACH(i, n) { \
			i64 c = quotient(i, inner); \
			c -= quotient(c, channels) * channels; \
			As<T>::type d = widen(dy[i]), m = xMean[c]; \
			if (y && !(widen(y[i]) > 0)) d = 0; \
			dx[i] = narrow<T>((d - mean[c] - (widen(x[i]) - m) * slope[c]) * scale[c]); \
		} \
	}
FOR_FLOATS(NORM)
