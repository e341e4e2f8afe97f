// Sorting. Elements become keys, unsigned numbers in the same order, with their
// positions behind them, so that no two are equal and any sort of them is stable.
// Each finds by counting how many come before it, first in its run, then in the
// runs that are merged with its own.
#include "common.cuh"

typedef unsigned long long u64;

// key orders as numbers do: NaN is the largest, and -0 equals 0.
__device__ inline unsigned key(float x) {
	unsigned b = x == 0 ? 0 : __float_as_uint(x);
	return x != x ? ~0u : b >> 31 ? ~b : b | 1u << 31;
}
__device__ inline u64 key(double x) {
	u64 b = x == 0 ? 0 : (u64)__double_as_longlong(x);
	return x != x ? ~0ull : b >> 63 ? ~b : b | 1ull << 63;
}
__device__ inline u64 key(i64 x) { return (u64)x ^ 1ull << 63; }
__device__ inline unsigned key(u8 x) { return x; }

// A Short is for keys of 32 bits and columns of less than 2^32 elements, a Wide for all others.
struct Short {
	u64 v;
	__device__ static Short of(unsigned key, i64 at, i64 descending) { return {(u64)(descending ? ~key : key) << 32 | (u64)at}; }
	__device__ bool less(Short o) const { return v < o.v; }
	__device__ i64 at() const { return (i64)(v & 0xffffffff); }
};
struct alignas(16) Wide {
	u64 v;
	i64 position;
	__device__ static Wide of(u64 key, i64 at, i64 descending) { return {descending ? ~key : key, at}; }
	__device__ bool less(Wide o) const { return v < o.v || v == o.v && position < o.position; }
	__device__ i64 at() const { return position; }
};

// sort_runs sorts runs of so many elements of each column. It writes them to dst, column by column; or, where a run is a
// whole column, the elements to values and their positions to indices, if these are not 0.
#define SORT_RUNS(kind, P, t, T) \
	extern "C" __global__ void sort_runs_##kind##_##t(P *dst, T *values, i64 *indices, const T *x, i64 descending, i64 run, i64 N, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 column = quotient(e, N), i = e - column * N, o = quotient(column, inner), first = i - i % run, to = first; \
			i64 at = o * N * inner + (column - o * inner), last = first + run < N ? first + run : N; \
			const T *from = x + at; \
			P own = P::of(key(widen(from[i * inner])), i, descending); \
			for (i64 j = first; j < last; j++) to += P::of(key(widen(from[j * inner])), j, descending).less(own); \
			if (!values) { \
				dst[column * N + to] = own; \
				continue; \
			} \
			values[at + to * inner] = from[i * inner]; \
			indices[at + to * inner] = i; \
		} \
	}
#define SORT_WIDE(t, T) SORT_RUNS(wide, Wide, t, T)
FOR_ALL(SORT_WIDE)
SORT_RUNS(short, Short, f32, float)
SORT_RUNS(short, Short, bf16, bf16)
SORT_RUNS(short, Short, f16, f16)
SORT_RUNS(short, Short, u8, u8)
SORT_RUNS(short, Short, b8, b8)

// sort_merge makes one run of each so many neighbouring ones of a column.
#define SORT_MERGE(kind, P) \
	extern "C" __global__ void sort_merge_##kind(P *dst, const P *src, i64 run, i64 ways, i64 N, i64 n) { \
		EACH(e, n) { \
			i64 column = quotient(e, N), i = e - column * N, wide = run * ways; \
			i64 start = quotient(i, wide) * wide, end = start + wide < N ? start + wide : N, to = start; \
			const P *from = src + column * N; \
			P own = from[i]; \
			for (i64 first = start; first < end; first += run) { \
				i64 lo = first, hi = first + run < end ? first + run : end; \
				if (i >= lo && i < hi) lo = i; \
				else while (lo < hi) { \
					i64 middle = lo + (hi - lo) / 2; \
					if (from[middle].less(own)) lo = middle + 1; \
					else hi = middle; \
				} \
				to += lo - first; \
			} \
			dst[column * N + to] = own; \
		} \
	}
SORT_MERGE(short, Short)
SORT_MERGE(wide, Wide)

// sort_finish fetches the elements in the order of what was sorted.
#define SORT_FINISH(kind, P, bytes, T) \
	extern "C" __global__ void sort_finish_##kind##_##bytes(T *values, i64 *indices, const T *x, const P *sorted, i64 N, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, N), i = row - o * N, at = o * N * inner + (e - row * inner); \
			i64 from = sorted[(o * inner + (e - row * inner)) * N + i].at(); \
			values[e] = x[at + from * inner]; \
			indices[e] = from; \
		} \
	}
#define SORT_FINISHES(kind, P) \
	SORT_FINISH(kind, P, 1, unsigned char) SORT_FINISH(kind, P, 2, unsigned short) SORT_FINISH(kind, P, 4, unsigned) SORT_FINISH(kind, P, 8, u64)
SORT_FINISHES(short, Short)
SORT_FINISHES(wide, Wide)
