// Softmax along N, its logarithm, and their gradients. Where the elements of a
// column are neighbours, a warp takes it, else a thread.
#include "common.cuh"

// A Lanes is the threads that share a column.
struct Alone {
	static const int count = 1;
	template <class A> __device__ static A add(A v) { return v; }
	template <class A> __device__ static A most(A v) { return v; }
};
struct Warp {
	static const int count = 32;
	template <class A> __device__ static A add(A v) {
		for (int d = 16; d; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
		return v;
	}
	template <class A> __device__ static A most(A v) {
		for (int d = 16; d; d /= 2) {
			A o = __shfl_xor_sync(0xffffffffu, v, d);
			if (o > v) v = o;
		}
		return v;
	}
};

// COLUMN runs its body for each column, with the place of its first element, the
// step to the next one, and the lane.
#define COLUMNS(outer, length, inner) \
	i64 step = (inner), lane = threadIdx.x % L::count; \
	for (i64 c = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / L::count; c < (outer) * (inner); c += (i64)blockDim.x * gridDim.x / L::count)
// along calls f for the elements k of a column that are the lane's, in packs where whole says so, which only a warp may do.
template <class L, class T, class F> __device__ inline void along(i64 length, i64 lane, bool whole, F f) {
	const int N = L::count == 1 ? 1 : Packs<T>::count;
	i64 packed = whole ? length / N * N : 0;
	if (N > 1) {
#pragma unroll 1
		for (i64 k = lane * N; k < packed; k += L::count * N) f(Width<N>(), k);
	}
#pragma unroll 1
	for (i64 k = packed + lane; k < length; k += L::count) f(Width<1>(), k);
}
template <class L, class T> __device__ inline bool in_packs(const T *p, i64 step) { return L::count > 1 && step == 1 && aligned<Packs<T>::count>(p); }

template <class L, class T> __device__ inline void softmax(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) {
	typedef typename As<T>::type A;
	COLUMNS(outer, length, inner) {
		i64 o = quotient(c, inner), first = o * length * inner + c - o * inner;
		const T *from = x + first;
		T *to = dst + first;
		bool whole = in_packs<L>(from, step) && in_packs<L>(to, step);
		A largest = -__int_as_float(0x7f800000), sum = 0;
		along<L, T>(length, lane, whole, [&](auto w, i64 k) {
			auto v = load<decltype(w)::count>(from, k * step);
			EACH_OF(j, w) if ((A)widen(v.v[j]) > largest) largest = widen(v.v[j]);
		});
		largest = L::most(largest);
		along<L, T>(length, lane, whole, [&](auto w, i64 k) {
			auto v = load<decltype(w)::count>(from, k * step);
			EACH_OF(j, w) sum += (A)exp((A)(widen(v.v[j]) - largest));
		});
		sum = L::add(sum);
		A shift = (A)log(sum);
		along<L, T>(length, lane, whole, [&](auto w, i64 k) {
			auto v = load<decltype(w)::count>(from, k * step);
			EACH_OF(j, w) {
				A d = (A)widen(v.v[j]) - largest;
				v.v[j] = narrow<T>(log_ ? d - shift : (A)exp(d) / sum);
			}
			store(to, k * step, v);
		});
	}
}
// y·(dy - Σ dy·y), and for the logarithm dy - exp(y)·Σ dy
template <class L, class T> __device__ inline void softmax_grad(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) {
	typedef typename As<T>::type A;
	COLUMNS(outer, length, inner) {
		i64 o = quotient(c, inner), first = o * length * inner + c - o * inner;
		const T *grad = dy + first, *result = y + first;
		T *to = dx + first;
		bool whole = in_packs<L>(grad, step) && in_packs<L>(result, step) && in_packs<L>(to, step);
		double sum = 0;
		along<L, T>(length, lane, whole, [&](auto w, i64 k) {
			auto d = load<decltype(w)::count>(grad, k * step), v = load<decltype(w)::count>(result, k * step);
			EACH_OF(j, w) {
				double e = widen(d.v[j]);
				sum += log_ ? e : e * widen(v.v[j]);
			}
		});
		A s = (A)L::add(sum);
		along<L, T>(length, lane, whole, [&](auto w, i64 k) {
			auto d = load<decltype(w)::count>(grad, k * step), v = load<decltype(w)::count>(result, k * step);
			EACH_OF(j, w) {
				A e = widen(d.v[j]), r = widen(v.v[j]);
				d.v[j] = narrow<T>(log_ ? e - (A)exp(r) * s : r * (e - s));
			}
			store(to, k * step, d);
		});
	}
}

#define SOFTMAX(t, T) \
	extern "C" __global__ void softmax_columns_##t(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) { softmax<Alone, T>(dst, x, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_rows_##t(T *dst, const T *x, i64 log_, i64 outer, i64 length, i64 inner) { softmax<Warp, T>(dst, x, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_grad_columns_##t(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) { softmax_grad<Alone, T>(dx, dy, y, log_, outer, length, inner); } \
	extern "C" __global__ void softmax_grad_rows_##t(T *dx, const T *dy, const T *y, i64 log_, i64 outer, i64 length, i64 inner) { softmax_grad<Warp, T>(dx, dy, y, log_, outer, length, inner); }
FOR_FLOATS(SOFTMAX)
