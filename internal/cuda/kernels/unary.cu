// Functions of one array.
#include "common.cuh"

// The operations, numbered as backend.UnaryOp.
enum UnaryOp {
	U_NEG, U_ABS, U_SIGN, U_SQUARE, U_SQRT, U_RSQRT, U_RECIPROCAL, U_EXP, U_EXPM1, U_LOG, U_LOG1P, U_LOG2, U_LOG10,
	U_SIN, U_COS, U_TAN, U_ASIN, U_ACOS, U_ATAN, U_SINH, U_COSH, U_TANH, U_ERF, U_SIGMOID, U_LOG_SIGMOID,
	U_FLOOR, U_CEIL, U_ROUND, U_TRUNC, U_CLAMP, U_RELU, U_LEAKY_RELU, U_GELU, U_GELU_TANH, U_SILU, U_ELU,
	U_HARDSWISH, U_HARDSIGMOID, U_SOFTPLUS, U_IS_NAN, U_IS_INF, U_IS_FINITE, U_NOT
};

template <class A> __device__ inline A sign_of(A x) { return x > 0 ? (A)1 : x < 0 ? (A)-1 : (A)0; }
template <class A> __device__ inline A sigmoid(A x) { return 1 / (1 + exp(-x)); }
template <class A> __device__ inline A normal_cdf(A x) { return (A)0.5 * erfc(-x * (A)0.70710678118654752440); }
#define GELU_SCALE 0.79788456080286535588 // √(2/π)
#define GELU_CUBIC 0.044715

template <class A> __device__ inline A unary_of(int op, A x, A p0, A p1) {
	switch (op) {
	case U_NEG: return -x;
	case U_ABS: return fabs(x);
	case U_SIGN: return sign_of(x);
	case U_SQUARE: return x * x;
	case U_SQRT: return sqrt(x);
	case U_RSQRT: return 1 / sqrt(x);
	case U_RECIPROCAL: return 1 / x;
	case U_EXP: return exp(x);
	case U_EXPM1: return expm1(x);
	case U_LOG: return log(x);
	case U_LOG1P: return log1p(x);
	case U_LOG2: return log2(x);
	case U_LOG10: return log10(x);
	case U_SIN: return sin(x);
	case U_COS: return cos(x);
	case U_TAN: return tan(x);
	case U_ASIN: return asin(x);
	case U_ACOS: return acos(x);
	case U_ATAN: return atan(x);
	case U_SINH: return sinh(x);
	case U_COSH: return cosh(x);
	case U_TANH: return tanh(x);
	case U_ERF: return erf(x);
	case U_SIGMOID: return sigmoid(x);
	case U_LOG_SIGMOID: return smaller(x, (A)0) - log1p(exp(-fabs(x)));
	case U_FLOOR: return floor(x);
	case U_CEIL: return ceil(x);
	case U_ROUND: return rint(x);
	case U_TRUNC: return trunc(x);
	case U_CLAMP: return smaller(larger(x, p0), p1);
	case U_RELU: return larger(x, (A)0);
	case U_LEAKY_RELU: return larger(x, (A)0) + p0 * smaller(x, (A)0);
	case U_GELU: return x * normal_cdf(x);
	case U_GELU_TANH: return (A)0.5 * x * (1 + tanh((A)GELU_SCALE * (x + (A)GELU_CUBIC * x * x * x)));
	case U_SILU: return x * sigmoid(x);
	case U_ELU: return x > 0 ? x : p0 * expm1(x);
	case U_HARDSWISH: return x * smaller(larger(x + 3, (A)0), (A)6) / 6;
	case U_HARDSIGMOID: return smaller(larger(x + 3, (A)0), (A)6) / 6;
	default: return x * p0 > p1 ? x : (A)log1p(exp(x * p0)) / p0; // softplus
	}
}

// unary_grad_of is the gradient where dy came back; v is the function's input or its result, as UnaryOp.GradUses says.
template <class A> __device__ inline A unary_grad_of(int op, A dy, A v, A p0, A p1) {
	switch (op) {
	case U_NEG: return -dy;
	case U_ABS: return dy * sign_of(v);
	case U_SQUARE: return dy * 2 * v;
	case U_SQRT: return dy * ((A)0.5 / v);
	case U_RSQRT: return dy * ((A)-0.5 * v * v * v);
	case U_RECIPROCAL: return dy * (-v * v);
	case U_EXP: return dy * v;
	case U_EXPM1: return dy * (v + 1);
	case U_LOG: return dy * (1 / v);
	case U_LOG1P: return dy * (1 / (v + 1));
	case U_LOG2: return dy * (1 / (v * (A)0.69314718055994530942));
	case U_LOG10: return dy * (1 / (v * (A)2.30258509299404568402));
	case U_SIN: return dy * cos(v);
	case U_COS: return dy * -sin(v);
	case U_TAN: return dy * (1 + v * v);
	case U_ASIN: return dy * (1 / sqrt(1 - v * v));
	case U_ACOS: return dy * (-1 / sqrt(1 - v * v));
	case U_ATAN: return dy * (1 / (v * v + 1));
	case U_SINH: return dy * cosh(v);
	case U_COSH: return dy * sinh(v);
	case U_TANH: return dy * (1 - v * v);
	case U_ERF: return dy * ((A)1.12837916709551257390 * exp(-v * v));
	case U_SIGMOID: return dy * (1 - v) * v;
	case U_LOG_SIGMOID: return dy * -expm1(v);
	case U_CLAMP: return v == v && v != p0 && v != p1 ? dy : (A)0; // a selection, not a product with 0: dy may be infinite
	case U_RELU: return v != 0 ? dy : (A)0; // NaN passes it
	case U_LEAKY_RELU: return v > 0 ? dy : dy * p0;
	case U_GELU: return dy * (normal_cdf(v) + v * exp((A)-0.5 * v * v) * (A)0.39894228040143267794);
	case U_GELU_TANH: {
		A t = tanh((A)GELU_SCALE * (v + (A)GELU_CUBIC * v * v * v));
		return dy * ((A)0.5 * (1 + t) + (A)0.5 * v * (1 - t * t) * (A)GELU_SCALE * (1 + (A)(3 * GELU_CUBIC) * v * v));
	}
	case U_SILU: {
		A s = sigmoid(v);
		return dy * (s * (1 + v * (1 - s)));
	}
	case U_ELU: return v > 0 ? dy : dy * (p0 * exp(v)); // NaN of NaN, as below
	case U_HARDSWISH: return v <= -3 ? dy * 0 : v >= 3 ? dy : dy * (v / 3 + (A)0.5);
	case U_HARDSIGMOID: return v > -3 && v < 3 ? dy / 6 : (A)0;
	case U_SOFTPLUS: return v * p0 > p1 ? dy : dy * sigmoid(v * p0);
	default: return 0; // sign and the roundings are flat
	}
}

// The functions that networks have most of have kernels of their own; the others share one, which is told which. That does not
// inline them, since it needs them for each element of a pack.
template <class A> __device__ __noinline__ A any_unary(int op, A x, A p0, A p1) { return unary_of<A>(op, x, p0, p1); }
template <class A> __device__ __noinline__ A any_unary_grad(int op, A dy, A v, A p0, A p1) { return unary_grad_of<A>(op, dy, v, p0, p1); }
#define UNARY(name, t, T, FUNCTION, op) \
	extern "C" __global__ void name##_##t(T *dst, const T *x, i64 code, double p0, double p1, i64 n) { \
		typedef As<T>::type A; \
		const int N = Packs<T>::count; \
		each_pack<N>(n, aligned<N>(dst, x), [&](auto w, i64 i) { \
			auto v = load<decltype(w)::count>(x, i); \
			EACH_OF(k, w) v.v[k] = narrow<T>(FUNCTION<A>(op, widen(v.v[k]), (A)p0, (A)p1)); \
			store(dst, i, v); \
		}); \
	}
#define UNARY_GRAD(name, t, T, FUNCTION, op) \
	extern "C" __global__ void name##_##t(T *dx, const T *dy, const T *v, i64 code, double p0, double p1, i64 n) { \
		typedef As<T>::type A; \
		const int N = Packs<T>::count; \
		each_pack<N>(n, aligned<N>(dx, dy, v), [&](auto w, i64 i) { \
			auto d = load<decltype(w)::count>(dy, i), from = d; \
			if (v) from = load<decltype(w)::count>(v, i); \
			EACH_OF(k, w) d.v[k] = narrow<T>(FUNCTION<A>(op, widen(d.v[k]), v ? (A)widen(from.v[k]) : (A)0, (A)p0, (A)p1)); \
			store(dx, i, d); \
		}); \
	}
#define UNARY_FLOAT(t, T) \
	UNARY(unary, t, T, any_unary, (int)code) UNARY(relu, t, T, unary_of, U_RELU) UNARY(leaky_relu, t, T, unary_of, U_LEAKY_RELU) UNARY(exp, t, T, unary_of, U_EXP) \
	UNARY(tanh, t, T, unary_of, U_TANH) UNARY(sigmoid, t, T, unary_of, U_SIGMOID) UNARY(gelu, t, T, unary_of, U_GELU) UNARY(gelu_tanh, t, T, unary_of, U_GELU_TANH) \
	UNARY(silu, t, T, unary_of, U_SILU) \
	UNARY_GRAD(unary_grad, t, T, any_unary_grad, (int)code) UNARY_GRAD(relu_grad, t, T, unary_grad_of, U_RELU) UNARY_GRAD(leaky_relu_grad, t, T, unary_grad_of, U_LEAKY_RELU) \
	UNARY_GRAD(tanh_grad, t, T, unary_grad_of, U_TANH) UNARY_GRAD(sigmoid_grad, t, T, unary_grad_of, U_SIGMOID) UNARY_GRAD(gelu_grad, t, T, unary_grad_of, U_GELU) \
	UNARY_GRAD(gelu_tanh_grad, t, T, unary_grad_of, U_GELU_TANH) UNARY_GRAD(silu_grad, t, T, unary_grad_of, U_SILU)
FOR_FLOATS(UNARY_FLOAT)

// Of integers; lo and hi are Clamp's bounds.
template <class T> __device__ inline T unary_int(int op, T x, T lo, T hi) {
	switch (op) {
	case U_NEG: return (T)(0 - (unsigned long long)x);
	case U_ABS: return x < 0 ? (T)(0 - (unsigned long long)x) : x;
	case U_SIGN: return sign_of(x);
	case U_SQUARE: return (T)((unsigned long long)x * (unsigned long long)x);
	case U_CLAMP: return smaller(larger(x, lo), hi);
	case U_RELU: return larger(x, (T)0);
	case U_LEAKY_RELU: return (T)(larger(x, (T)0) + lo * smaller(x, (T)0));
	default: return x; // the roundings
	}
}
#define UNARY_INT(t, T) \
	extern "C" __global__ void unary_##t(T *dst, const T *x, i64 op, i64 lo, i64 hi, i64 n) { \
		const int N = Packs<T>::count; \
		each_pack<N>(n, aligned<N>(dst, x), [&](auto w, i64 i) { \
			auto v = load<decltype(w)::count>(x, i); \
			EACH_OF(k, w) v.v[k] = narrow<T>(unary_int<As<T>::type>((int)op, widen(v.v[k]), (As<T>::type)lo, (As<T>::type)hi)); \
			store(dst, i, v); \
		}); \
	}
UNARY_INT(i64, i64)
UNARY_INT(u8, u8)

#define IS(t, T) \
	extern "C" __global__ void is_##t(b8 *dst, const T *x, i64 op, i64 n) { \
		const int N = Packs<T>::count; \
		each_pack<N>(n, aligned<N>(dst, x), [&](auto w, i64 i) { \
			auto from = load<decltype(w)::count>(x, i); \
			PACK(b8, w) r; \
			EACH_OF(k, w) { \
				As<T>::type v = widen(from.v[k]); \
				/* v-v is NaN for NaN and ±Inf, 0 for all others */ \
				r.v[k] = narrow<b8>(op == U_IS_NAN ? v != v : op == U_IS_INF ? v == v && v - v != 0 : op == U_IS_FINITE ? v - v == 0 : v == 0); \
			} \
			store(dst, i, r); \
		}); \
	}
FOR_ALL(IS)
