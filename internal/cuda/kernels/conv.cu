// What comes after a convolution where cuDNN does not do it: y·scale + bias of each
// channel, and ReLU. Either may be absent.
#include "common.cuh"

// After changes V elements, which are of C channels: of one, or of one each.
template <class T, int V, int C> struct After {
	typedef typename As<T>::type A;
	T *y;
	A scale[C], bias[C];
	bool scales, biases, relu;
	__device__ After(i64 c, T *y, const A *scale_, const A *bias_, i64 relu) : y(y), scales(scale_ != 0), biases(bias_ != 0), relu(relu != 0) {
		if (scales) numbers<C>(scale, scale_, c);
		if (biases) numbers<C>(bias, bias_, c);
	}
	__device__ void at(i64 i) const {
		Pack<T, V> p = load<V>(y, i);
		for (int k = 0; k < V; k++) {
			A v = widen(p.v[k]);
			if (scales) v *= scale[C == 1 ? 0 : k];
			if (biases) v += bias[C == 1 ? 0 : k];
			p.v[k] = narrow<T>(relu && v < 0 ? (A)0 : v);
		}
		store(y, i, p);
	}
};

#define CONV_AFTER_OF(name, t, Type, V) \
	extern "C" __global__ void conv_after_rows_##name##t(Type *y, const As<Type>::type *scale, const As<Type>::type *bias, i64 relu, Div pixels, Div channels, i64 n) { \
		typedef Type T; \
		OVER_ROWS(After, V, pixels, channels, n, y, scale, bias, relu) \
	} \
	extern "C" __global__ void conv_after_last_##name##t(Type *y, const As<Type>::type *scale, const As<Type>::type *bias, i64 relu, i64 channels, i64 pixels) { \
		typedef Type T; \
		OVER_LAST(After, V, channels, pixels, y, scale, bias, relu) \
	}
#define CONV_AFTER(t, T) CONV_AFTER_OF(, t, T, 1)
#define CONV_AFTER_WIDE(t, T, V) CONV_AFTER_OF(wide_, t, T, V)
FOR_FLOATS(CONV_AFTER)
FOR_WIDE(CONV_AFTER_WIDE)
