// What comes after a convolution: y·scale + bias of each channel, and ReLU. Either
// may be absent. Results of half width come from float32, and are rounded here.
#include "common.cuh"

#define CONV_AFTER(t, T) \
	extern "C" __global__ void conv_after_##t(T *dst, const As<T>::type *y, const As<T>::type *scale, const As<T>::type *bias, i64 inner, i64 channels, i64 relu, i64 n) { \
		EACH(i, n) { \
			i64 c = quotient(i, inner); \
			c -= quotient(c, channels) * channels; \
			As<T>::type v = y[i]; \
			if (scale) v *= scale[c]; \
			if (bias) v += bias[c]; \
			dst[i] = narrow<T>(relu && v < 0 ? (As<T>::type)0 : v); \
		} \
	}
FOR_FLOATS(CONV_AFTER)
