// Copies, conversions, fills and views.
#include "common.cuh"

// Bytes do not care for types: views move words of 1, 2, 4 or 8 bytes.
#define STRIDED(bytes, T) \
	extern "C" __global__ void strided_##bytes(T *dst, const T *src, View v, i64 n) { \
		EACH(i, n) { \
			i64 at[1]; \
			offsets<1>(v, i, at); \
			dst[i] = src[at[0]]; \
		} \
	} \
	extern "C" __global__ void strided_write_##bytes(T *dst, const T *src, View v, i64 n) { \
		EACH(i, n) { \
			i64 at[1]; \
			offsets<1>(v, i, at); \
			dst[at[0]] = src[i]; \
		} \
	}
STRIDED(1, unsigned char)
STRIDED(2, unsigned short)
STRIDED(4, unsigned)
STRIDED(8, unsigned long long)

// A number from memory as a C cast sees it on the way to To: integers through 64 bits, as the CPU's backend does.
template <class To, class From> __device__ inline To convert(From x) { return narrow<To>(widen(x)); }

#define COPY(to, To, from, From) \
	extern "C" __global__ void copy_##from##_##to(To *dst, const From *src, i64 n) { \
		EACH(i, n) dst[i] = convert<To>(src[i]); \
	}
#define COPY_TO(to, To) \
	COPY(to, To, f32, float) COPY(to, To, f64, double) COPY(to, To, bf16, bf16) COPY(to, To, f16, f16) \
	COPY(to, To, i64, i64) COPY(to, To, u8, u8) COPY(to, To, b8, b8)
FOR_ALL(COPY_TO)

#define FILL(t, T) \
	extern "C" __global__ void fill_##t(T *dst, double v, i64 n) { \
		T x = narrow<T>(v); \
		EACH(i, n) dst[i] = x; \
	} \
	extern "C" __global__ void arange_##t(T *dst, double start, double step, i64 n) { \
		EACH(i, n) dst[i] = narrow<T>(start + (double)i * step); \
	}
FOR_ALL(FILL)
