// Products of matrices of whole numbers, which cuBLAS has none of. What overflows
// wraps, as in Go.
#include "common.cuh"

// matmul adds up along K what lies depthA and depthB apart; rows of a lie rowA apart, columns of b colB.
#define MATMUL(t, T) \
	extern "C" __global__ void matmul_##t(T *c, const T *a, const T *b, i64 M, i64 N, i64 K, i64 strideA, i64 strideB, i64 rowA, i64 depthA, i64 depthB, i64 colB, i64 accumulate, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, N), i = quotient(row, M); \
			const T *p = a + i * strideA + (row - i * M) * rowA, *q = b + i * strideB + (e - row * N) * colB; \
			T sum = accumulate ? c[e] : (T)0; \
			for (i64 k = 0; k < K; k++) sum = (T)(sum + p[k * depthA] * q[k * depthB]); \
			c[e] = sum; \
		} \
	}
MATMUL(i64, i64)
MATMUL(u8, u8)
