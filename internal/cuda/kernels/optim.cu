// Steps of optimizers. One launch serves several parameters: row y of the grid has
// the y-th of them.
#include "common.cuh"

// Parameters are what a launch goes through; Go's parameters has the same fields.
// Lists that an optimizer does without hold null.
#define MOST 16
struct Parameters {
	void *lists[5][MOST]; // parameters, gradients, states
	i64 lengths[MOST];
};
#define LIST(T, k) ((T *)all.lists[k][blockIdx.y])
#define EACH_ELEMENT(k) EACH(k, all.lengths[blockIdx.y])

// lerp goes the part t of the way from a to b, exactly to b where t is 1.
template <class A> __device__ inline A lerp_of(A a, A b, A t) { return t < (A)0.5 ? a + t * (b - a) : b - (b - a) * (1 - t); }

// The numbers have the type of arithmetic and lie in Go's order. In a graph, which is launched with the parameters that it
// was captured with, they are where now points.
template <class A> struct SGDNumbers { A sign, decay, lr, mu, keep; i64 momentum, first, nesterov; };
template <class A> struct AdamNumbers { A sign, decay, shrink, size, scale, eps, beta2, new1, new2; };
template <class A> struct RMSpropNumbers { A sign, decay, lr, alpha, fresh, eps, mu; };
template <class A> struct AdagradNumbers { A sign, decay, lr, eps; };

template <class T, class A> __device__ inline A gradient_of(A sign, A decay, T g, A w) {
	A d = sign * widen(g);
	return decay != 0 ? d + decay * w : d;
}

#define OPTIM(t, T) \
	extern "C" __global__ void sgd_##t(Parameters all, SGDNumbers<As<T>::type> p, const SGDNumbers<As<T>::type> *now) { \
		if (now) p = *now; \
		typedef As<T>::type A; \
		T *w = LIST(T, 0), *g = LIST(T, 1), *m = LIST(T, 2); \
		EACH_ELEMENT(k) { \
			A x = widen(w[k]), d = gradient_of<T, A>(p.sign, p.decay, g[k], x), b = d; \
			if (p.momentum) { \
				if (!p.first) b = p.mu * widen(m[k]) + p.keep * d; \
				m[k] = narrow<T>(b); \
				if (p.nesterov) b = d + p.mu * b; \
			} \
			w[k] = narrow<T>(x - p.lr * b); \
		} \
	} \
	extern "C" __global__ void adam_##t(Parameters all, AdamNumbers<As<T>::type> p, const AdamNumbers<As<T>::type> *now) { \
		if (now) p = *now; \
		typedef As<T>::type A; \
		T *w = LIST(T, 0), *g = LIST(T, 1), *m = LIST(T, 2), *v = LIST(T, 3), *largest = LIST(T, 4); \
		EACH_ELEMENT(k) { \
			A x = widen(w[k]), d = gradient_of<T, A>(p.sign, p.decay, g[k], x); \
			A first = lerp_of<A>(widen(m[k]), d, p.new1), second = widen(v[k]) * p.beta2 + p.new2 * d * d; \
			m[k] = narrow<T>(first); \
			v[k] = narrow<T>(second); \
			if (largest) { \
				second = larger<A>(second, widen(largest[k])); \
				largest[k] = narrow<T>(second); \
			} \
			w[k] = narrow<T>(p.shrink * x - p.size * first / ((A)sqrt(second) * p.scale + p.eps)); \
		} \
	} \
	extern "C" __global__ void rmsprop_##t(Parameters all, RMSpropNumbers<As<T>::type> p, const RMSpropNumbers<As<T>::type> *now) { \
		if (now) p = *now; \
		typedef As<T>::type A; \
		T *w = LIST(T, 0), *g = LIST(T, 1), *s = LIST(T, 2), *c = LIST(T, 3), *m = LIST(T, 4); \
		EACH_ELEMENT(k) { \
			A x = widen(w[k]), d = gradient_of<T, A>(p.sign, p.decay, g[k], x); \
			A size = widen(s[k]) * p.alpha + p.fresh * d * d; \
			s[k] = narrow<T>(size); \
			if (c) { \
				A center = lerp_of<A>(widen(c[k]), d, p.fresh); \
				c[k] = narrow<T>(center); \
				size -= center * center; \
			} \
			d /= (A)sqrt(size) + p.eps; \
			if (m) { \
				d += p.mu * widen(m[k]); \
				m[k] = narrow<T>(d); \
			} \
			w[k] = narrow<T>(x - p.lr * d); \
		} \
	} \
	extern "C" __global__ void adagrad_##t(Parameters all, AdagradNumbers<As<T>::type> p, const AdagradNumbers<As<T>::type> *now) { \
		if (now) p = *now; \
		typedef As<T>::type A; \
		T *w = LIST(T, 0), *g = LIST(T, 1), *s = LIST(T, 2); \
		EACH_ELEMENT(k) { \
			A x = widen(w[k]), d = gradient_of<T, A>(p.sign, p.decay, g[k], x); \
			A total = widen(s[k]) + d * d; \
			s[k] = narrow<T>(total); \
			w[k] = narrow<T>(x - p.lr * d / ((A)sqrt(total) + p.eps)); \
		} \
	}
FOR_FLOATS(OPTIM)
