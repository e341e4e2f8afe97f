// Random numbers.
#include "common.cuh"

// philox returns block (counter, upper) of Philox 4x32-10, from Salmon et al.,
// "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011).
__device__ inline void philox(unsigned (&out)[4], unsigned long long counter, unsigned upper, unsigned long long seed) {
	unsigned c0 = (unsigned)counter, c1 = (unsigned)(counter >> 32), c2 = upper, c3 = 0, k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
	for (int round = 0; round < 10; round++) {
		unsigned long long p0 = (unsigned long long)c0 * 0xD2511F53u, p1 = (unsigned long long)c2 * 0xCD9E8D57u;
		c0 = (unsigned)(p1 >> 32) ^ c1 ^ k0;
		c1 = (unsigned)p1;
		c2 = (unsigned)(p0 >> 32) ^ c3 ^ k1;
		c3 = (unsigned)p0;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

// unit makes a number in [0, 1) of 53 bits.
__device__ inline double unit(unsigned hi, unsigned lo) {
	return (double)(((unsigned long long)hi << 32 | lo) >> 11) * 1.1102230246251565e-16;
}

// normal is one of a pair by Box and Muller's method, from two numbers in [0, 1). 1-u is in (0, 1], its logarithm finite. It
// is not inlined, since kernels of all types share it.
__device__ __noinline__ double normal(double u, double turn, bool second) {
	double angle = 6.28318530717958647693 * turn;
	return sqrt(-2 * log(1 - u)) * (second ? sin(angle) : cos(angle));
}

// Drawn converts a number that was drawn; integers go through 64 bits.
template <class T> struct Drawn {
	__device__ static T from(double v) { return narrow<T>(v); }
};
template <> struct Drawn<u8> {
	__device__ static u8 from(double v) { return (u8)(i64)v; }
};
// Halves are float32 numbers, rounded.
template <> struct Drawn<bf16> {
	__device__ static bf16 from(double v) { return narrow<bf16>((float)v); }
};
template <> struct Drawn<f16> {
	__device__ static f16 from(double v) { return narrow<f16>((float)v); }
};

// The distributions, numbered as backend.RandomKind. single says that numbers have 24 bits; below is the largest that
// Uniform gives. In a graph seed and offset are where now points. A thread draws a block of four, n is the number of blocks.
enum RandomKind { D_UNIFORM, D_NORMAL, D_BERNOULLI, D_INTEGERS };
#define RANDOM(t, T) \
	extern "C" __global__ void random_##t(T *dst, i64 kind, double a, double b, unsigned long long seed, unsigned long long offset, i64 single, double below, const unsigned long long *now, i64 length, i64 n) { \
		if (now) { \
			seed = now[0]; \
			offset = now[1]; \
		} \
		EACH(block, n) { \
			unsigned w[4], w2[4] = {0, 0, 0, 0}; \
			unsigned long long counter = offset + (unsigned long long)block; \
			philox(w, counter, 0, seed); \
			if (kind == D_INTEGERS || (kind != D_BERNOULLI && !single)) philox(w2, counter, 1, seed); \
			Pack<T, 4> r; \
			_Pragma("unroll") for (int i = 0; i < 4; i++) { /* unrolled, so that w and w2 are registers */ \
				double v; \
				if (kind == D_UNIFORM) { \
					v = a + (b - a) * (single ? (double)(w[i] >> 8) * 5.9604644775390625e-8 : unit(w[i], w2[i])); \
					if (single) v = (double)(float)v; \
					v = smaller(v, below); \
				} else if (kind == D_NORMAL) { \
					const int k = i & ~1; \
					v = a + b * normal(unit(w[k], w2[k]), unit(w[k + 1], w2[k + 1]), i & 1); \
				} else if (kind == D_BERNOULLI) { \
					v = (double)w[i] * 2.3283064365386962891e-10 < a ? b : 0; \
				} else { \
					i64 first = (i64)a; \
					v = (double)(first + (i64)__umul64hi((unsigned long long)w[i] << 32 | w2[i], (unsigned long long)((i64)b - first))); \
				} \
				r.v[i] = Drawn<T>::from(v); \
			} \
			if (4 * block + 4 <= length && aligned<4>(dst)) store(dst, 4 * block, r); \
			else for (int i = 0; i < 4; i++) if (4 * block + i < length) dst[4 * block + i] = r.v[i]; \
		} \
	}
FOR_ALL(RANDOM)
