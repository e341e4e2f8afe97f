// Indices are checked before anything is written.
#include "common.cuh"

// check_index leaves the first position whose index is not in [0, size), if there is one before *first.
extern "C" __global__ void check_index(unsigned long long *first, const i64 *index, i64 size, i64 n) {
	EACH(i, n) if ((unsigned long long)index[i] >= (unsigned long long)size) atomicMin(first, (unsigned long long)i); // a negative one is large, too
}
