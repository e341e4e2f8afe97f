// Functions of two arrays, and the choice between two.
#include "common.cuh"

// The operations, numbered as backend.BinaryOp.
enum BinaryOp {
	B_ADD, B_SUB, B_MUL, B_DIV, B_DIV_TRUNC, B_DIV_FLOOR, B_POW, B_MAXIMUM, B_MINIMUM, B_REMAINDER, B_FMOD, B_ATAN2,
	B_EQ, B_NE, B_LT, B_LE, B_GT, B_GE, B_AND, B_OR, B_XOR
};

// rare is the operations that are not plain arithmetic. It is not inlined, since a kernel needs it for each element of a pack.
template <class A> __device__ __noinline__ A rare(int op, A a, A b) {
	switch (op) {
	case B_DIV_TRUNC: return trunc(a / b);
	case B_DIV_FLOOR: { // without the error of the quotient a/b
		if (b == 0) return a / b;
		A m = fmod(a, b), q = (a - m) / b;
		if (m != 0 && (m < 0) != (b < 0)) q -= 1;
		if (q == 0) return copysign((A)0, a / b);
		A down = floor(q);
		return q - down > (A)0.5 ? down + 1 : down;
	}
	case B_POW: return pow(a, b);
	case B_REMAINDER: {
		A m = fmod(a, b);
		return m != 0 && (m < 0) != (b < 0) ? m + b : m;
	}
	case B_FMOD: return fmod(a, b);
	default: return atan2(a, b);
	}
}

// Arithmetic of floats, and of integers, which wrap around. A divisor of 0 gives -1 (of Uint8 255): a kernel cannot panic.
template <class A> struct Arithmetic {
	__device__ static A of(int op, A a, A b) {
		switch (op) {
		case B_ADD: return a + b;
		case B_SUB: return a - b;
		case B_MUL: return a * b;
		case B_DIV: return a / b;
		case B_MAXIMUM: return larger(a, b);
		case B_MINIMUM: return smaller(a, b);
		default: return rare(op, a, b);
		}
	}
};
template <class I> struct Whole {
	typedef unsigned long long U;
	__device__ static I divide(I a, I b, bool rest) {
		if (b == 0) return (I)-1;
		if (b + 1 == 0) return rest ? (I)0 : (I)(0 - (U)a); // -1, by which the smallest number cannot be divided
		return rest ? a % b : a / b;
	}
	__device__ __noinline__ static I of(int op, I a, I b) {
		switch (op) {
		case B_ADD: return (I)((U)a + (U)b);
		case B_SUB: return (I)((U)a - (U)b);
		case B_MUL: return (I)((U)a * (U)b);
		case B_DIV:
		case B_DIV_TRUNC: return divide(a, b, false);
		case B_DIV_FLOOR: {
			I m = divide(a, b, true), q = divide(a, b, false);
			return b != 0 && m != 0 && (m < 0) != (b < 0) ? (I)(q - 1) : q;
		}
		case B_POW: {
			if (b < 0) return a == 1 ? (I)1 : a + 1 == 0 ? (I)(b % 2 == 0 ? 1 : -1) : (I)0;
			U p = 1, f = (U)a;
			for (; b > 0; b = (I)(b >> 1)) {
				if (b & 1) p *= f;
				f *= f;
			}
			return (I)p;
		}
		case B_MAXIMUM: return larger(a, b);
		case B_MINIMUM: return smaller(a, b);
		case B_REMAINDER: {
			I m = divide(a, b, true);
			return b != 0 && m != 0 && (m < 0) != (b < 0) ? (I)(m + b) : m;
		}
		default: return divide(a, b, true); // fmod
		}
	}
};
template <> struct Arithmetic<i64> : Whole<i64> {};
template <> struct Arithmetic<u8> : Whole<u8> {};

// The second operand is an array, or a number where b is null; swapped puts it first. The number has the type of arithmetic.
template <class A> __device__ inline A scalar(double s) { return (A)s; }
template <> __device__ inline u8 scalar<u8>(double s) { return (u8)(i64)s; }
template <class T, class F> __device__ inline void binary_flat(const T *a, const T *b, double number, bool swapped, i64 n, bool whole, F f) {
	typedef typename As<T>::type A;
	const A s = scalar<A>(number);
	each_pack<Packs<T>::count>(n, whole && aligned<Packs<T>::count>(a, b), [&](auto w, i64 i) {
		auto first = load<decltype(w)::count>(a, i), second = first;
		if (b) second = load<decltype(w)::count>(b, i);
		PACK(A, w) x, y;
		EACH_OF(k, w) {
			A p = widen(first.v[k]), q = b ? (A)widen(second.v[k]) : s;
			x.v[k] = swapped ? q : p;
			y.v[k] = swapped ? p : q;
		}
		f(w, i, x, y);
	});
}
template <class T, class F> __device__ inline void binary_viewed(const T *a, const T *b, const View &v, bool whole, i64 n, F f) {
	typedef typename As<T>::type A;
	each_pack<Packs<T>::count>(n, whole, [&](auto w, i64 i) {
		i64 at[2];
		offsets<2>(v, i, at);
		auto first = viewed<decltype(w)::count>(a, at[0], v, 0), second = viewed<decltype(w)::count>(b, at[1], v, 1);
		PACK(A, w) x, y;
		EACH_OF(k, w) {
			x.v[k] = widen(first.v[k]);
			y.v[k] = widen(second.v[k]);
		}
		f(w, i, x, y);
	});
}

// Each operation that memory bounds has kernels of its own; the others share one, which is told which.
#define BINARY_BODY(t, T, op) [&](auto w, i64 i, auto &x, auto &y) { \
		PACK(T, w) r; \
		EACH_OF(k, w) r.v[k] = narrow<T>(Arithmetic<As<T>::type>::of(op, x.v[k], y.v[k])); \
		store(dst, i, r); \
	}
#define BINARY(name, t, T, op) \
	extern "C" __global__ void name##_##t(T *dst, const T *a, const T *b, double number, i64 swapped, i64 code, i64 n) { \
		binary_flat(a, b, number, swapped, n, aligned<Packs<T>::count>(dst), BINARY_BODY(t, T, op)); \
	} \
	extern "C" __global__ void name##_view_##t(T *dst, const T *a, const T *b, i64 code, View v, i64 whole, i64 n) { \
		binary_viewed(a, b, v, whole, n, BINARY_BODY(t, T, op)); \
	}
#define BINARY_FLOAT(t, T) BINARY(add, t, T, B_ADD) BINARY(sub, t, T, B_SUB) BINARY(mul, t, T, B_MUL) BINARY(div, t, T, B_DIV) BINARY(binary, t, T, (int)code)
FOR_FLOATS(BINARY_FLOAT)
BINARY(binary, i64, i64, (int)code)
BINARY(binary, u8, u8, (int)code)

// A comparison's code says when it is true: 1 if a < b, 2 if a == b, 4 if a > b, 8 if one of them is NaN. Of Bool arrays all
// functions are one; bit 2a+b of the code is its value.
template <class A> __device__ inline bool compare(int code, A a, A b) { return (code & (a < b ? 1 : a == b ? 2 : a > b ? 4 : 8)) != 0; }
template <class T> struct Compare {
	template <class A> __device__ static bool of(int code, A a, A b) { return compare(code, a, b); }
};
template <> struct Compare<b8> {
	__device__ static bool of(int code, u8 a, u8 b) { return (code >> ((a ? 2 : 0) + (b ? 1 : 0)) & 1) != 0; }
};
#define COMPARE_BODY(T) [&](auto w, i64 i, auto &x, auto &y) { \
		PACK(b8, w) r; \
		EACH_OF(k, w) r.v[k] = narrow<b8>(Compare<T>::of((int)code, x.v[k], y.v[k])); \
		store(dst, i, r); \
	}
#define COMPARE(t, T) \
	extern "C" __global__ void compare_##t(b8 *dst, const T *a, const T *b, double number, i64 swapped, i64 code, i64 n) { \
		binary_flat(a, b, number, swapped, n, aligned<Packs<T>::count>(dst), COMPARE_BODY(T)); \
	} \
	extern "C" __global__ void compare_view_##t(b8 *dst, const T *a, const T *b, i64 code, View v, i64 whole, i64 n) { \
		binary_viewed(a, b, v, whole, n, COMPARE_BODY(T)); \
	}
FOR_ALL(COMPARE)

#define WHERE(bytes, T) \
	extern "C" __global__ void where_##bytes(T *dst, const u8 *cond, const T *a, const T *b, i64 n) { \
		const int N = Packs<T>::count; \
		each_pack<N>(n, aligned<N>(dst, cond, a, b), [&](auto w, i64 i) { \
			auto c = load<decltype(w)::count>(cond, i); \
			auto x = load<decltype(w)::count>(a, i), y = load<decltype(w)::count>(b, i); \
			EACH_OF(k, w) x.v[k] = c.v[k] ? x.v[k] : y.v[k]; \
			store(dst, i, x); \
		}); \
	} \
	extern "C" __global__ void where_view_##bytes(T *dst, const u8 *cond, const T *a, const T *b, View v, i64 whole, i64 n) { \
		each_pack<Packs<T>::count>(n, whole, [&](auto w, i64 i) { \
			i64 at[3]; \
			offsets<3>(v, i, at); \
			auto c = viewed<decltype(w)::count>(cond, at[0], v, 0); \
			auto x = viewed<decltype(w)::count>(a, at[1], v, 1), y = viewed<decltype(w)::count>(b, at[2], v, 2); \
			EACH_OF(k, w) x.v[k] = c.v[k] ? x.v[k] : y.v[k]; \
			store(dst, i, x); \
		}); \
	}
WHERE(1, unsigned char)
WHERE(2, unsigned short)
WHERE(4, unsigned)
WHERE(8, unsigned long long)
