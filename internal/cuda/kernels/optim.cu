// Steps of optimizers. One launch serves many parameters: a block has some
// thousand elements of one of them, so that the lengths may be as unequal as they
// like.
#include "common.cuh"

// Parameters are what a launch goes through; Go's parameters has the same fields. With
// an optimizer's numbers they fill the 4096 bytes that a launch takes. Lists that an optimizer does without hold null. Blocks
// first[i] to first[i+1]-1 have parameter i.
#define MOST 72
#define SHARE 4096 // elements of a block
struct Parameters {
	void *lists[5][MOST]; // parameters, gradients, states
	i64 lengths[MOST];
	unsigned first[MOST], count, blocks;
};

// each_share runs its function for the elements that are this block's share.
template <class T, class F> __device__ __forceinline__ void each_share(const Parameters &all, F f) {
	const int N = Packs<T>::count;
	int i = 0;
	for (int end = (int)all.count; end - i > 1;) {
		int middle = (i + end) / 2;
		if (all.first[middle] <= blockIdx.x) i = middle;
		else end = middle;
	}
	i64 from = (i64)(blockIdx.x - all.first[i]) * SHARE, to = all.lengths[i];
	if (to > from + SHARE) to = from + SHARE;
	T *a = (T *)all.lists[0][i], *b = (T *)all.lists[1][i], *c = (T *)all.lists[2][i], *d = (T *)all.lists[3][i], *e = (T *)all.lists[4][i];
	i64 packed = aligned<N>(a, b, c, d, e) ? from + (to - from) / N * N : from;
#pragma unroll 1
	for (i64 k = from + threadIdx.x * N; k < packed; k += blockDim.x * N) f(Width<N>(), k, a, b, c, d, e);
#pragma unroll 1
	for (i64 k = packed + threadIdx.x; k < to; k += blockDim.x) f(Width<1>(), k, a, b, c, d, e);
}

// lerp goes the part t of the way from a to b, exactly to b where t is 1.
template <class A> __device__ inline A lerp_of(A a, A b, A t) { return t < (A)0.5 ? a + t * (b - a) : b - (b - a) * (1 - t); }

// The numbers have the type of arithmetic and lie in Go's order. In a graph, which is launched with the parameters that it
// was captured with, they are where now points.
template <class A> struct SGDNumbers { A sign, decay, lr, mu, keep; i64 nesterov; };
template <class A> struct AdamNumbers { A sign, decay, shrink, size, scale, eps, beta2, new1, new2; };

template <class T, class A> __device__ inline A gradient_of(A sign, A decay, T g, A w) {
	A d = sign * widen(g);
	return decay != 0 ? d + decay * w : d;
}

// STEP writes a kernel. Its body is for a pack of elements from i on of the arrays w, g and of three states, which are null where
// the optimizer does without; TAKE reads from one, GIVE changes it.
#define STEP(name, t, T, Numbers, ...) \
	extern "C" __global__ void name##_##t(Parameters all, Numbers<As<T>::type> p, const Numbers<As<T>::type> *now) { \
		typedef As<T>::type A; \
		if (now) p = *now; \
		each_share<T>(all, [&](auto n, i64 i, T *w, T *g, T *s0, T *s1, T *s2) { \
			PACK(T, n) x = TAKE(w), d = TAKE(g); \
			__VA_ARGS__ \
			GIVE(w, x); \
		}); \
	}
#define TAKE(from) load<decltype(n)::count>(from, i)
#define GIVE(to, pack) store(to, i, pack)

#define OPTIM(t, T) \
	STEP(sgd, t, T, SGDNumbers, { \
		PACK(T, n) m = TAKE(s0); \
		EACH_OF(k, n) { \
			A from = widen(x.v[k]), b = gradient_of<T, A>(p.sign, p.decay, d.v[k], from); \
			A step = p.mu * widen(m.v[k]) + p.keep * b; \
			m.v[k] = narrow<T>(step); \
			if (p.nesterov) step = b + p.mu * step; \
			x.v[k] = narrow<T>(from - p.lr * step); \
		} \
		GIVE(s0, m); \
	}) \
	STEP(adam, t, T, AdamNumbers, { \
		PACK(T, n) m = TAKE(s0), v = TAKE(s1), most = v; \
		if (s2) most = TAKE(s2); \
		EACH_OF(k, n) { \
			A from = widen(x.v[k]), b = gradient_of<T, A>(p.sign, p.decay, d.v[k], from); \
			A first = lerp_of<A>(widen(m.v[k]), b, p.new1), second = widen(v.v[k]) * p.beta2 + p.new2 * b * b; \
			m.v[k] = narrow<T>(first); \
			v.v[k] = narrow<T>(second); \
			if (s2) { \
				second = larger<A>(second, widen(most.v[k])); \
				most.v[k] = narrow<T>(second); \
			} \
			x.v[k] = narrow<T>(p.shrink * from - p.size * first / ((A)sqrt(second) * p.scale + p.eps)); \
		} \
		GIVE(s0, m); \
		GIVE(s1, v); \
		if (s2) GIVE(s2, most); \
	})
FOR_FLOATS(OPTIM)

// Gradients are scaled as parameters are changed. What is not finite is no number times 0; all threads that find something write
// the same.
#define UNSCALE(t, T) \
	extern "C" __global__ void unscale_##t(Parameters all, b8 *found, As<T>::type factor) { \
		typedef As<T>::type A; \
		bool bad = false; \
		each_share<T>(all, [&](auto n, i64 i, T *g, T *, T *, T *, T *) { \
			PACK(T, n) x = TAKE(g); \
			EACH_OF(k, n) { \
				A v = widen(x.v[k]); \
				bad = bad || v * 0 != 0; \
				x.v[k] = narrow<T>(v * factor); \
			} \
			GIVE(g, x); \
		}); \
		if (bad) found->v = 1; \
	}
FOR_FLOATS(UNSCALE)
