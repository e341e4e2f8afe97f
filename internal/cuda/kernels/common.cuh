// What all kernels share. The files of this folder are compiled by NVRTC, each
// behind this one, and by a C++ compiler for the simulated driver.
#pragma once

typedef long long i64;
typedef unsigned char u8;
struct b8 { u8 v; };    // a Bool
struct bf16 { unsigned short v; };
struct f16 { unsigned short v; };

// The type that arithmetic is done in, and conversions. Narrowing rounds to nearest even.
template <class T> struct As { typedef T type; };
template <> struct As<bf16> { typedef float type; };
template <> struct As<f16> { typedef float type; };
template <> struct As<b8> { typedef u8 type; };

__device__ inline float widen(bf16 x) { return __uint_as_float((unsigned)x.v << 16); }
__device__ inline float widen(f16 x) {
#ifdef __CUDA_ARCH__
	float r;
	asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.v));
	return r;
#else
	unsigned sign = (unsigned)(x.v & 0x8000) << 16, rest = x.v & 0x7fff;
	if (rest >= 0x7c00) return __uint_as_float(sign | 0x7f800000 | (rest & 0x3ff) << 13);
	if (rest < 0x400) return __uint_as_float(sign | __float_as_uint((float)rest * 5.9604644775390625e-8f)); // subnormal: units of 2^-24
	return __uint_as_float(sign | (rest + (112 << 10)) << 13);
#endif
}
__device__ inline u8 widen(b8 x) { return x.v; }
template <class T> __device__ inline T widen(T x) { return x; }

template <class T> struct Narrow {
	template <class F> __device__ static T from(F x) { return (T)x; }
};
template <> struct Narrow<u8> { // through 64 bits, as Go's own: a GPU, and arm64, make 0 of a negative number otherwise
	template <class F> __device__ static u8 from(F x) { return (u8)(i64)x; }
};
template <> struct Narrow<b8> {
	template <class F> __device__ static b8 from(F x) { b8 r; r.v = x != 0; return r; }
};
template <> struct Narrow<bf16> {
	template <class F> __device__ static bf16 from(F y) {
		float x = (float)y;
		unsigned u = __float_as_uint(x);
		bf16 r;
		if (x != x) r.v = (unsigned short)(u >> 16 | 0x40);
		else r.v = (unsigned short)((u + 0x7fff + (u >> 16 & 1)) >> 16);
		return r;
	}
};
template <> struct Narrow<f16> {
	template <class F> __device__ static f16 from(F y) {
		float x = (float)y;
		f16 r;
#ifdef __CUDA_ARCH__
		asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.v) : "f"(x));
#else
		unsigned u = __float_as_uint(x), sign = u >> 16 & 0x8000, rest = u & 0x7fffffff;
		if (rest > 0x7f800000) r.v = (unsigned short)(sign | 0x7e00 | (rest >> 13 & 0x3ff));
		else if (rest >= 0x477ff000) r.v = (unsigned short)(sign | 0x7c00); // rounds beyond 65504
		else if (rest < 0x38800000) { // subnormal: add a number whose last bit is 2^-24
			float t = __uint_as_float(rest) + 0.5f;
			r.v = (unsigned short)(sign | (__float_as_uint(t) - 0x3f000000));
		} else r.v = (unsigned short)(sign | (rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13);
#endif
		return r;
	}
};
template <class T, class F> __device__ inline T narrow(F x) { return Narrow<T>::from(x); }

// EACH runs its body for i from 0 to n-1, shared among all threads.
#define EACH(i, n) for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < (n); i += (i64)blockDim.x * gridDim.x)

// A Pack is N neighbouring elements. It is moved by accesses of up to 16 bytes, so it has to begin at a multiple of its size,
// or of 16.
template <class T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack { T v[N]; };
template <int N, class T> __device__ inline Pack<T, N> load(const T *p, i64 i) { return *(const Pack<T, N> *)(p + i); }
template <int N, class T> __device__ inline void store(T *p, i64 i, const Pack<T, N> &v) { *(Pack<T, N> *)(p + i) = v; }

// Packs<T> is how many elements a thread takes at once of arrays whose largest have the size of T; Go's packs says the same.
template <class T> struct Packs { static const int count = sizeof(T) == 1 ? 8 : 16 / sizeof(T); };

// aligned tells whether packs may be taken from where the pointers point.
template <int N, class... T> __device__ inline bool aligned(const T *...p) { return (((unsigned long long)p % alignof(Pack<T, N>) == 0) && ...); }

// each_pack shares n elements among all threads: f(Width<N>, i) is called for the packs that begin at i, and f(Width<1>, i) for
// the elements behind the last whole pack, for all if whole says that packs cannot be taken.
template <int N> struct Width { static const int count = N; };
template <int N, class F> __device__ inline void each_pack(i64 n, bool whole, F f) {
	i64 thread = blockIdx.x * (i64)blockDim.x + threadIdx.x, all = (i64)blockDim.x * gridDim.x, packed = whole ? n / N * N : 0;
#pragma unroll 1
	for (i64 i = thread * N; i < packed; i += all * N) f(Width<N>(), i);
#pragma unroll 1
	for (i64 i = packed + thread; i < n; i += all) f(Width<1>(), i);
}
// EACH_OF runs its body for the elements k of a pack of a function that each_pack calls with w.
#define EACH_OF(k, w) _Pragma("unroll") for (int k = 0; k < decltype(w)::count; k++)
#define PACK(T, w) Pack<T, decltype(w)::count>

// Fault is the record of the first bad index since the host looked last; Go's fault has the same fields. call is 0 while
// there is none.
struct Fault {
	unsigned long long lock, call;
	i64 position, index, size;
};

// bad_index enters an index into the record: of the first call to find one, the lowest position. All of a grid's threads
// may come here, so those that have nothing better to say leave before they ask for the lock.
__device__ __noinline__ inline void bad_index(Fault *fault, unsigned long long call, i64 position, i64 index, i64 size) {
	volatile Fault *f = fault;
	for (bool done = false; !done;) {
		unsigned long long first = f->call;
		__threadfence();
		if (first != 0 && (first != call || f->position <= position)) return;
		if (atomicCAS(&fault->lock, 0ull, 1ull) != 0) continue;
		if (f->call == 0 || f->call == call && f->position > position) {
			f->position = position;
			f->index = index;
			f->size = size;
			__threadfence();
			f->call = call;
		}
		__threadfence();
		atomicExch(&fault->lock, 0ull);
		done = true;
	}
}

// in_range says whether an index is in [0, size), and enters it into the record if it is not.
__device__ inline bool in_range(Fault *fault, unsigned long long call, i64 position, i64 index, i64 size) {
	if ((unsigned long long)index < (unsigned long long)size) return true; // a negative one is large
	bad_index(fault, call, position, index, size);
	return false;
}

// quotient is a/b of numbers that are not negative; division in 64 bits is slow.
__device__ inline i64 quotient(i64 a, i64 b) { return (a | b) >> 32 ? a / b : (i64)((unsigned)a / (unsigned)b); }

// Div is a divisor that a program divides by often: q = (n·m/2^32 + n)/2^s for n below 2^31 (T. Granlund, P. Montgomery:
// Division by Invariant Integers using Multiplication, 1994). Go's divisor has the same fields.
struct Div {
	i64 d;
	unsigned m, s;
};
__device__ inline i64 quotient(i64 n, const Div &v) { return (n | v.d) >> 31 ? n / v.d : (i64)((__umulhi((unsigned)n, v.m) + (unsigned)n) >> v.s); }

// View is a shape of less than 2^31 elements and the strides of up to three arrays over it, the innermost dimension first; Go's
// view has the same fields. x/shape[d] is (x + the upper half of x·factor[d]) >> shift[d], from Granlund and Montgomery,
// "Division by Invariant Integers using Multiplication" (PLDI 1994).
struct View {
	unsigned dims, shape[8], factor[8], shift[8];
	i64 strides[3][8];
};

// offsets finds where element i of the shape lies in the arrays.
template <int ARRAYS> __device__ inline void offsets(const View &v, i64 i, i64 (&at)[ARRAYS]) {
	for (int k = 0; k < ARRAYS; k++) at[k] = 0;
	unsigned x = (unsigned)i;
#pragma unroll
	for (int d = 0; d < 8; d++) {
		if (d == v.dims) break;
		unsigned q = (x + __umulhi(x, v.factor[d])) >> v.shift[d], r = x - q * v.shape[d];
		for (int k = 0; k < ARRAYS; k++) at[k] += r * v.strides[k][d];
		x = q;
	}
}

// viewed is a pack of array k of a view whose innermost dimension is made of whole packs: neighbours, or one element for all.
template <int N, class T> __device__ inline Pack<T, N> viewed(const T *p, i64 at, const View &v, int k) {
	Pack<T, N> r;
#pragma unroll
	for (int j = 0; j < N; j++) r.v[j] = p[at];
	return N == 1 || v.strides[k][0] == 0 ? r : load<N>(p, at);
}

// FOR_FLOATS and FOR_ALL write a kernel for each type: K(suffix, type).
#define FOR_FLOATS(K) K(f32, float) K(f64, double) K(bf16, bf16) K(f16, f16)
#define FOR_WIDE(K) K(f32, float, 4) K(bf16, bf16, 8) K(f16, f16, 8) // with the elements of a Pack
#define FOR_ALL(K) FOR_FLOATS(K) K(i64, i64) K(u8, u8) K(b8, b8)

// The larger and the smaller number; NaN wins.
template <class A> __device__ inline A larger(A a, A b) { return a != a || a > b ? a : b; }
template <class A> __device__ inline A smaller(A a, A b) { return a != a || a < b ? a : b; }

// Arrays of images × channels × pixels lie row-major or channels last. What depends on the channel alone is found
// once for a Pack of one channel, or once for a thread that stays with its channels.
struct Lane { // of a block of 256 threads: so many pixels at once, each with a run of threads along the channels
	i64 channel;
	int line, lines;
	bool on;
};
template <int V> __device__ inline Lane lane(i64 channels) {
	int across = (int)(channels / V < 256 ? channels / V : 256), me = threadIdx.x;
	Lane r;
	r.lines = 256 / across;
	r.line = me / across;
	r.channel = (blockIdx.y * 256 + me - r.line * across) * (i64)V;
	r.on = r.line < r.lines && r.channel < channels;
	return r;
}

// numbers reads what belongs to C channels from c on.
template <int C, class A> __device__ inline void numbers(A (&to)[C], const A *from, i64 c) {
	if constexpr (C % 4) {
		for (int k = 0; k < C; k++) to[k] = from[c + k];
	} else {
		for (int k = 0; k < C; k += 4) {
			Pack<A, 4> p = load<4>(from, c + k);
			for (int j = 0; j < 4; j++) to[k + j] = p.v[j];
		}
	}
}

// OVER_ROWS and OVER_LAST run KIND for all elements: made from the numbers of channel c it changes what lies at a
// place. The latter's threads keep their channels.
#define OVER_ROWS(KIND, V, pixels, channels, n, ...) \
	EACH(i_, n) { \
		i64 c_ = quotient(i_, pixels); \
		c_ -= quotient(c_, channels) * (channels).d; \
		KIND<T, V, 1> k_(c_, __VA_ARGS__); \
		k_.at(i_ * V); \
	}
#define OVER_LAST(KIND, V, channels, pixels, ...) \
	Lane me_ = lane<V>(channels); \
	if (me_.on) { \
		KIND<T, V, V> k_(me_.channel, __VA_ARGS__); \
		for (i64 p_ = blockIdx.x * (i64)me_.lines + me_.line; p_ < (pixels); p_ += (i64)gridDim.x * me_.lines) k_.at(p_ * (channels) + me_.channel); \
	}
