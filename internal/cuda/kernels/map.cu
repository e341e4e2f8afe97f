// Functions that the rules of Map call, which Go writes as PTX (map.go). They are the numbers of arithmetic's type.
#include "common.cuh"

#define RULES(t, A) \
	extern "C" __device__ __attribute__((used)) A map_exp_##t(A x) { return exp(x); } \
	extern "C" __device__ __attribute__((used)) A map_expm1_##t(A x) { return expm1(x); } \
	extern "C" __device__ __attribute__((used)) A map_log_##t(A x) { return log(x); } \
	extern "C" __device__ __attribute__((used)) A map_log1p_##t(A x) { return log1p(x); } \
	extern "C" __device__ __attribute__((used)) A map_tanh_##t(A x) { return tanh(x); } \
	extern "C" __device__ __attribute__((used)) A map_sigmoid_##t(A x) { return 1 / (1 + exp(-x)); }
RULES(f32, float)
RULES(f64, double)
