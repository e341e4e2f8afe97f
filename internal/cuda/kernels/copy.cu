// Copies, conversions, fills and views.
#include "common.cuh"

// Bytes do not care for types: views move words of 1, 2, 4, 8 or 16 bytes.
#define STRIDED(bytes, T) \
	extern "C" __global__ void strided_##bytes(T *dst, const T *src, View v, i64 n) { \
		each_pack<1>(n, true, [&](auto, i64 i) { \
			i64 at[1]; \
			offsets<1>(v, i, at); \
			dst[i] = src[at[0]]; \
		}); \
	} \
	extern "C" __global__ void strided_write_##bytes(T *dst, const T *src, View v, i64 n) { \
		each_pack<1>(n, true, [&](auto, i64 i) { \
			i64 at[1]; \
			offsets<1>(v, i, at); \
			dst[at[0]] = src[i]; \
		}); \
	}
STRIDED(1, unsigned char)
STRIDED(2, unsigned short)
STRIDED(4, unsigned)
STRIDED(8, unsigned long long)
typedef Pack<unsigned, 4> Quad;
STRIDED(16, Quad)

// A number from memory as a C cast sees it on the way to To: integers through 64 bits, as the CPU's backend does.
template <class To, class From> __device__ inline void convert(To *dst, const From *src, i64 n) {
	const int N = Packs<To>::count < Packs<From>::count ? Packs<To>::count : Packs<From>::count;
	each_pack<N>(n, aligned<N>(dst, src), [&](auto w, i64 i) {
		auto x = load<decltype(w)::count>(src, i);
		PACK(To, w) r;
		EACH_OF(k, w) r.v[k] = narrow<To>(widen(x.v[k]));
		store(dst, i, r);
	});
}
#define COPY(to, To, from, From) \
	extern "C" __global__ void copy_##from##_##to(To *dst, const From *src, i64 n) { convert<To, From>(dst, src, n); }
COPY(f32, float, f64, double) COPY(f32, float, bf16, bf16) COPY(f32, float, f16, f16) COPY(f32, float, i64, i64) COPY(f32, float, u8, u8) COPY(f32, float, b8, b8)
COPY(f64, double, f32, float) COPY(f64, double, bf16, bf16) COPY(f64, double, f16, f16) COPY(f64, double, i64, i64) COPY(f64, double, u8, u8) COPY(f64, double, b8, b8)
COPY(bf16, bf16, f32, float) COPY(bf16, bf16, f64, double) COPY(bf16, bf16, f16, f16) COPY(bf16, bf16, i64, i64) COPY(bf16, bf16, u8, u8) COPY(bf16, bf16, b8, b8)
COPY(f16, f16, f32, float) COPY(f16, f16, f64, double) COPY(f16, f16, bf16, bf16) COPY(f16, f16, i64, i64) COPY(f16, f16, u8, u8) COPY(f16, f16, b8, b8)
COPY(i64, i64, f32, float) COPY(i64, i64, f64, double) COPY(i64, i64, bf16, bf16) COPY(i64, i64, f16, f16) COPY(i64, i64, u8, u8) COPY(i64, i64, b8, b8)
COPY(u8, u8, f32, float) COPY(u8, u8, f64, double) COPY(u8, u8, bf16, bf16) COPY(u8, u8, f16, f16) COPY(u8, u8, i64, i64) COPY(u8, u8, b8, b8)
COPY(b8, b8, f32, float) COPY(b8, b8, f64, double) COPY(b8, b8, bf16, bf16) COPY(b8, b8, f16, f16) COPY(b8, b8, i64, i64) COPY(b8, b8, u8, u8)

#define FILL(t, T) \
	extern "C" __global__ void fill_##t(T *dst, double v, i64 n) { \
		T x = narrow<T>(v); \
		each_pack<Packs<T>::count>(n, aligned<Packs<T>::count>(dst), [&](auto w, i64 i) { \
			PACK(T, w) r; \
			EACH_OF(k, w) r.v[k] = x; \
			store(dst, i, r); \
		}); \
	} \
	extern "C" __global__ void arange_##t(T *dst, double start, double step, i64 n) { \
		EACH(i, n) dst[i] = narrow<T>(start + (double)i * step); \
	}
FOR_ALL(FILL)
