// Functions of two arrays, and the choice between two.
#include "common.cuh"

// The operations, numbered as backend.BinaryOp.
enum BinaryOp {
	B_ADD, B_SUB, B_MUL, B_DIV, B_POW, B_MAXIMUM, B_MINIMUM, B_REMAINDER, B_FMOD, B_ATAN2,
	B_EQ, B_NE, B_LT, B_LE, B_GT, B_GE, B_AND, B_OR, B_XOR
};

// rare is the operations that are not plain arithmetic. It is not inlined, since kernels of several types share it and
// drivers translate all kernels when a program starts.
template <class A> __device__ __noinline__ A rare(int op, A a, A b) {
	switch (op) {
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
	__device__ static I of(int op, I a, I b) {
		switch (op) {
		case B_ADD: return (I)((U)a + (U)b);
		case B_SUB: return (I)((U)a - (U)b);
		case B_MUL: return (I)((U)a * (U)b);
		case B_DIV: return divide(a, b, false);
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

template <class A> __device__ inline bool compare(int op, A a, A b) {
	switch (op) {
	case B_EQ: return a == b;
	case B_LT: return a < b;
	case B_LE: return a <= b;
	case B_GT: return a > b;
	case B_GE: return a >= b;
	case B_AND: return a != 0 && b != 0;
	case B_OR: return a != 0 || b != 0;
	default: return a != b; // of Bool arrays xor is that too
	}
}

// SELECT runs a loop by itself for each operation that memory bounds, and one for the rest.
#define SELECT(op, RUN) \
	switch (op) { \
	case B_ADD: RUN(B_ADD); break; \
	case B_SUB: RUN(B_SUB); break; \
	case B_MUL: RUN(B_MUL); break; \
	case B_DIV: RUN(B_DIV); break; \
	default: RUN((int)op); \
	}
#define SAME(op) EACH(i, n) dst[i] = narrow<T>(Arithmetic<A>::of(op, widen(a[i]), widen(b[i])))
#define VIEWED(op) \
	EACH(i, n) { \
		i64 at[2]; \
		offsets<2>(v, i, at); \
		dst[i] = narrow<T>(Arithmetic<A>::of(op, widen(a[at[0]]), widen(b[at[1]]))); \
	}
#define SCALAR(op) EACH(i, n) dst[i] = narrow<T>(swapped ? Arithmetic<A>::of(op, s, widen(a[i])) : Arithmetic<A>::of(op, widen(a[i]), s))

// scalar converts the number of BinaryScalar to the type of arithmetic.
template <class A> __device__ inline A scalar(double s) { return (A)s; }
template <> __device__ inline u8 scalar<u8>(double s) { return (u8)(i64)s; }

#define BINARY(t, Type) \
	extern "C" __global__ void binary_##t(Type *dst, const Type *a, const Type *b, i64 op, i64 n) { \
		typedef Type T; \
		typedef As<T>::type A; \
		SELECT(op, SAME) \
	} \
	extern "C" __global__ void binary_view_##t(Type *dst, const Type *a, const Type *b, i64 op, View v, i64 n) { \
		typedef Type T; \
		typedef As<T>::type A; \
		SELECT(op, VIEWED) \
	} \
	extern "C" __global__ void binary_scalar_##t(Type *dst, const Type *a, double number, i64 swapped, i64 op, i64 n) { \
		typedef Type T; \
		typedef As<T>::type A; \
		A s = scalar<A>(number); \
		SELECT(op, SCALAR) \
	} \
	extern "C" __global__ void compare_##t(b8 *dst, const Type *a, const Type *b, i64 op, i64 n) { \
		EACH(i, n) dst[i] = narrow<b8>(compare((int)op, widen(a[i]), widen(b[i]))); \
	} \
	extern "C" __global__ void compare_view_##t(b8 *dst, const Type *a, const Type *b, i64 op, View v, i64 n) { \
		EACH(i, n) { \
			i64 at[2]; \
			offsets<2>(v, i, at); \
			dst[i] = narrow<b8>(compare((int)op, widen(a[at[0]]), widen(b[at[1]]))); \
		} \
	} \
	extern "C" __global__ void compare_scalar_##t(b8 *dst, const Type *a, double number, i64 swapped, i64 op, i64 n) { \
		typedef As<Type>::type A; \
		A s = scalar<A>(number); \
		EACH(i, n) dst[i] = narrow<b8>(swapped ? compare((int)op, s, (A)widen(a[i])) : compare((int)op, (A)widen(a[i]), s)); \
	}
FOR_ALL(BINARY)

#define WHERE(bytes, T) \
	extern "C" __global__ void where_##bytes(T *dst, const u8 *cond, const T *a, const T *b, i64 n) { \
		EACH(i, n) dst[i] = cond[i] ? a[i] : b[i]; \
	} \
	extern "C" __global__ void where_view_##bytes(T *dst, const u8 *cond, const T *a, const T *b, View v, i64 n) { \
		EACH(i, n) { \
			i64 at[3]; \
			offsets<3>(v, i, at); \
			dst[i] = cond[at[0]] ? a[at[1]] : b[at[2]]; \
		} \
	}
WHERE(1, unsigned char)
WHERE(2, unsigned short)
WHERE(4, unsigned)
WHERE(8, unsigned long long)
