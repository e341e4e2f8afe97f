// Operations with an index array. What is out of range is entered into the record of faults, and its element is 0.
#include "common.cuh"

// check_index only checks, where an operation has nothing to compute.
extern "C" __global__ void check_index(Fault *fault, unsigned long long call, i64 size, const i64 *index, i64 n) {
	EACH(i, n) in_range(fault, call, i, index[i], size);
}

// Elements are only moved, so their size is all that matters. e runs over outer × M × inner.
#define GATHER(bytes, T) \
	extern "C" __global__ void gather_##bytes(Fault *fault, unsigned long long call, i64 N, T *dst, const T *x, const i64 *index, i64 M, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, M), at = index[e]; \
			dst[e] = in_range(fault, call, e, at, N) ? x[(o * N + at) * inner + (e - row * inner)] : (T)0; \
		} \
	} \
	extern "C" __global__ void index_select_##bytes(Fault *fault, unsigned long long call, i64 N, T *dst, const T *x, const i64 *index, i64 M, i64 inner, i64 n) { \
		EACH(e, n) { \
			i64 row = quotient(e, inner), o = quotient(row, M), m = row - o * M, at = index[m]; \
			dst[e] = in_range(fault, call, m, at, N) ? x[(o * N + at) * inner + (e - row * inner)] : (T)0; \
		} \
	}
GATHER(1, unsigned char)
GATHER(2, unsigned short)
GATHER(4, unsigned)
GATHER(8, unsigned long long)

// link finds for each entry m of an index along outer × M × inner the next one that is equal, and whether one before is:
// links[e] is twice the distance to the next (0 if there is none), plus 1 if e is the first; 0 for an index that is not in [0, N).
extern "C" __global__ void link_index(Fault *fault, unsigned long long call, i64 N, i64 *links, const i64 *index, i64 M, i64 inner, i64 n) {
	EACH(e, n) {
		if (!in_range(fault, call, e, index[e], N)) {
			links[e] = 0;
			continue;
		}
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
