// The positions of what is not 0: blocks count, one block adds up, blocks write.
#include "common.cuh"

const int nonzero_each = 16; // elements of a thread, one behind the other

// sum_before returns the sum of the values of the block's threads before this one, and the sum of all.
__device__ inline i64 sum_before(i64 v, i64 *total) {
	__shared__ i64 sums[1024];
	int me = threadIdx.x;
	i64 sum = v;
	sums[me] = sum;
	__syncthreads();
	for (int d = 1; d < (int)blockDim.x; d *= 2) {
		i64 before = me >= d ? sums[me - d] : 0;
		__syncthreads();
		sum += before;
		sums[me] = sum;
		__syncthreads();
	}
	*total = sums[blockDim.x - 1];
	__syncthreads(); // the next call writes
	return sum - v;
}

// sum_counts makes of each count the sum of those before it, and of the last, behind them, the sum of all. It runs in one block.
extern "C" __global__ void sum_counts(i64 *counts, i64 n) {
	i64 done = 0;
	for (i64 first = 0; first < n; first += blockDim.x) {
		i64 i = first + threadIdx.x, total;
		i64 before = sum_before(i < n ? counts[i] : 0, &total);
		if (i < n) counts[i] = done + before;
		done += total;
	}
	if (threadIdx.x == 0) counts[n] = done;
}

#define NONZERO(t, T) \
	extern "C" __global__ void count_nonzero_##t(i64 *counts, const T *x, i64 n) { \
		i64 first = (blockIdx.x * (i64)blockDim.x + threadIdx.x) * nonzero_each, mine = 0, total; \
		for (i64 i = first; i < first + nonzero_each && i < n; i++) mine += widen(x[i]) != 0; \
		sum_before(mine, &total); \
		if (threadIdx.x == 0) counts[blockIdx.x] = total; \
	} \
	extern "C" __global__ void write_nonzero_##t(i64 *dst, const T *x, const i64 *counts, i64 n) { \
		i64 first = (blockIdx.x * (i64)blockDim.x + threadIdx.x) * nonzero_each, mine = 0, total; \
		for (i64 i = first; i < first + nonzero_each && i < n; i++) mine += widen(x[i]) != 0; \
		i64 to = counts[blockIdx.x] + sum_before(mine, &total); \
		for (i64 i = first; i < first + nonzero_each && i < n; i++) \
			if (widen(x[i]) != 0) dst[to++] = i; \
	}
FOR_ALL(NONZERO)
