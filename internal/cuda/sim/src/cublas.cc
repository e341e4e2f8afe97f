// The part of libcublas.so.13 that package cuda calls, in plain loops. It is not
// declared by a header here, since the headers of cuBLAS come with no less than
// the whole of it; the numbers are those of cublas_api.h.
#include "library.h"
#define API extern "C" __attribute__((visibility("default"))) int

enum { success = 0, invalid_value = 7, not_supported = 15 };
struct Handle {
	void *stream;
	char *space; // its own until it gets one
	size_t room;
};

// WICK_SIM_BLAS is the version, as in 120900.
API cublasGetProperty(int what, int *v) {
	int version = setting("WICK_SIM_BLAS", 120900);
	*v = what == 0 ? version / 10000 : what == 1 ? version / 100 % 100 : version % 100;
	return success;
}
API cublasCreate_v2(Handle **h) {
	*h = new Handle{};
	return success;
}
API cublasDestroy_v2(Handle *h) {
	delete h;
	return success;
}
API cublasSetStream_v2(Handle *h, void *stream) {
	*h = Handle{stream, nullptr, 0}; // which takes the workspace away
	return success;
}
API cublasSetWorkspace_v2(Handle *h, void *p, size_t n) {
	if (!wick_sim_inside(p, n)) return invalid_value;
	h->space = (char *)p;
	h->room = n;
	return success;
}
API cublasSetMathMode(Handle *, int mode) { return mode & ~19 ? invalid_value : success; }
extern "C" __attribute__((visibility("default"))) const char *cublasGetStatusString(int s) {
	return s == success ? "CUBLAS_STATUS_SUCCESS" : s == invalid_value ? "CUBLAS_STATUS_INVALID_VALUE" : "CUBLAS_STATUS_NOT_SUPPORTED";
}

static bool typeOf(int cuda, Type *t) {
	switch (cuda) {
	case 0: *t = Type::f32; return true;
	case 1: *t = Type::f64; return true;
	case 2: *t = Type::f16; return true;
	case 14: *t = Type::bf16; return true;
	}
	return false;
}
// inside looks whether count column-major matrices are there.
static bool inside(const void *p, Type t, int rows, int columns, int ld, long long stride, int count) {
	size_t last = (size_t)(stride * (count - 1)) + (size_t)ld * (size_t)(columns - 1) + (size_t)rows;
	return (uintptr_t)p % bytes(t) == 0 && wick_sim_inside(p, last * bytes(t));
}

API cublasGemmStridedBatchedEx(Handle *h, int opA, int opB, int m, int n, int k, const void *alpha, const void *A, int typeA, int lda, long long strideA,
	const void *B, int typeB, int ldb, long long strideB, const void *beta, void *C, int typeC, int ldc, long long strideC, int count, int compute, int) {
	Type a, b, c;
	if (!typeOf(typeA, &a) || !typeOf(typeB, &b) || !typeOf(typeC, &c) || a != b) return not_supported;
	bool wide = compute == 70;
	if (wide != (a == Type::f64) || wide != (c == Type::f64) || (!wide && compute != 68 && compute != 77)) return not_supported;
	if (compute == 77 && a != Type::f32) return not_supported;
	if (opA < 0 || opA > 1 || opB < 0 || opB > 1 || m < 1 || n < 1 || k < 1 || count < 1) return invalid_value;
	if (lda < (opA ? k : m) || ldb < (opB ? n : k) || ldc < m || (count > 1 && strideC < (long long)ldc * n)) return invalid_value;
	if (!inside(A, a, opA ? k : m, opA ? m : k, lda, strideA, count) || !inside(B, b, opB ? n : k, opB ? k : n, ldb, strideB, count) ||
		!inside(C, c, m, n, ldc, strideC, count))
		return invalid_value;
	double al = number(alpha, wide), be = number(beta, wide);
	if (!h->space) return not_supported; // the real one allocates, which no capture allows
	char *space = h->space, *end = space + h->room;
	wick_sim_inside(space, h->room);
	std::function<void()> run = [=] {
		*space = end[-1] = -1;
		for (int i = 0; i < count; i++)
			for (int y = 0; y < n; y++)
				for (int x = 0; x < m; x++) {
					double sum = 0;
					for (int z = 0; z < k; z++) {
						size_t at = (size_t)(i * strideA) + (opA ? (size_t)x * lda + z : (size_t)z * lda + x);
						size_t bt = (size_t)(i * strideB) + (opB ? (size_t)z * ldb + y : (size_t)y * ldb + z);
						double l = load(a, A, at), r = load(b, B, bt);
						sum += compute == 77 ? tf32(l) * tf32(r) : l * r;
					}
					size_t ct = (size_t)(i * strideC) + (size_t)y * ldc + x;
					store(c, C, ct, al * sum + (be ? be * load(c, C, ct) : 0));
				}
	};
	wick_sim_put(h->stream, &run);
	return success;
}
