// What the simulated cuDNN and cuBLAS share: their work goes into the driver's
// streams, pointers have to lie inside allocations of the driver, and sums are
// taken in float64.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

extern "C" void wick_sim_put(void *stream, std::function<void()> *run);
extern "C" bool wick_sim_inside(const void *p, size_t n);

// setting reads a number from the environment.
inline int setting(const char *name, int otherwise) {
	const char *s = getenv(name);
	return s && *s ? atoi(s) : otherwise;
}

#ifdef __aarch64__
typedef __fp16 Half; // GCC 12 has no other name for it there
#else
typedef _Float16 Half;
#endif

enum class Type { f32, f64, f16, bf16 };
inline size_t bytes(Type t) { return t == Type::f64 ? 8 : t == Type::f32 ? 4 : 2; }

inline double load(Type t, const void *p, size_t i) {
	if (t == Type::f64) return ((const double *)p)[i];
	if (t == Type::f32) return ((const float *)p)[i];
	uint16_t v = ((const uint16_t *)p)[i];
	if (t == Type::f16) {
		Half h;
		memcpy(&h, &v, 2);
		return (double)(float)h;
	}
	uint32_t u = (uint32_t)v << 16;
	float f;
	memcpy(&f, &u, 4);
	return f;
}
inline void store(Type t, void *p, size_t i, double x) {
	if (t == Type::f64) {
		((double *)p)[i] = x;
		return;
	}
	float f = (float)x;
	if (t == Type::f32) {
		((float *)p)[i] = f;
		return;
	}
	uint16_t v;
	if (t == Type::f16) {
		Half h = (Half)f;
		memcpy(&v, &h, 2);
	} else {
		uint32_t u;
		memcpy(&u, &f, 4);
		v = (uint16_t)(f != f ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
	}
	((uint16_t *)p)[i] = v;
}
// tf32 is a factor as tensor cores take it in the worst case: the last 13 bits cut off.
inline double tf32(double x) {
	float f = (float)x;
	uint32_t u;
	memcpy(&u, &f, 4);
	u &= ~0x1fffu;
	memcpy(&f, &u, 4);
	return f;
}
// number reads alpha or beta.
inline double number(const void *p, bool wide) { return wide ? *(const double *)p : *(const float *)p; }
