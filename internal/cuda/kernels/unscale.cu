// Unscaling of gradients. One launch serves several arrays: row y of the grid has
// the y-th of them.
#include "common.cuh"

// Scaled are what a launch goes through; Go's scaled has the same fields.
#define SCALED_AT_ONCE 48
struct Scaled {
	void *arrays[SCALED_AT_ONCE];
	i64 lengths[SCALED_AT_ONCE];
};

// What is not finite is no number times 0. All threads that find something write the same.
#define UNSCALE(t, T) \
	extern "C" __global__ void unscale_##t(Scaled all, b8 *found, As<T>::type factor) { \
		typedef As<T>::type A; \
		T *x = (T *)all.arrays[blockIdx.y]; \
		bool bad = false; \
		EACH(k, all.lengths[blockIdx.y]) { \
			A v = widen(x[k]); \
			bad = bad || v * 0 != 0; \
			x[k] = narrow<T>(v * factor); \
		} \
		if (bad) found->v = 1; \
	}
FOR_FLOATS(UNSCALE)
