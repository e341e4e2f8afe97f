// Operations with an index array, which was checked before.
#include "common.cuh"

// check_index leaves the first position whose index is not in [0, size), if there is one before *first.
extern "C" __global__ void check_index(unsigned long long *first, const i64 *index, i64 size, i64 n) {
	EACH(i, n) if ((unsigned long long)index[i] >= (unsigned long long)size) atomicMin(first, (unsigned long long)i); // a negative one is large, too
}

// Elements are only moved, so their size is all that matters. e runs over outer × M × inner.
#define GATHER(bytes, T) \
	extern "C" __global__ void gather_##bytes(T *dst, const T *x, const i64 *index, i64 N, i64 M, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, M); \
			dst[e] = x[(o * N + index[e]) * inner + (e - row * inner)]; \
		} \
	} \
	extern "C" __global__ void index_select_##bytes(T *dst, const T *x, const i64 *index, i64 N, i64 M, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, M); \
			dst[e] = x[(o * N + index[row - o * M]) * inner + (e - row * inner)]; \
		} \
	}
GATHER(1, unsigned char)
GATHER(2, unsigned short)
GATHER(4, unsigned)
GATHER(8, unsigned long long)

// link finds for each entry m of an index along outer × M × inner the next one that is equal, and whether one before is:
// links[e] is twice the distance to the next (0 if there is none), plus 1 if e is the first.
extern "C" __global__ void link_index(i64 *links, const i64 *index, i64 M, i64 inner, i64 n) {
	EACH(e, n) {
		i64 m = quotient(e, inner), v = index[e], before = 1, after = 1;
		m -= quotient(m, M) * M;
		while (before <= m && index[e - before * inner] != v) before++;
		while (m + after < M && index[e + after * inner] != v) after++;
		links[e] = 2 * (m + after < M ? after : 0) + (before > m ? 1 : 0);
	}
}

// add_linked adds what goes into one element in the order of m: the thread of the first does it all. whole says that index
// has an entry for each element of src, not only for each m.
#define ADD_LINKED(t, T) \
	extern "C" __global__ void add_linked_##t(T *dst, const T *src, const i64 *index, const i64 *links, i64 whole, i64 N, i64 M, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, M), at = whole ? e : row - o * M, step = whole ? inner : 1; \
			i64 link = links[at]; \
			if (!(link & 1)) continue; \
			T *to = dst + (o * N + index[at]) * inner + (e - row * inner); \
			As<T>::type sum = widen(*to); \
			for (i64 from = e;; link = links[at]) { \
				sum += widen(src[from]); \
				i64 distance = link >> 1; \
				if (distance == 0) break; \
				from += distance * inner; \
				at += distance * step; \
			} \
			*to = narrow<T>(sum); \
		} \
	}
FOR_ALL(ADD_LINKED)
