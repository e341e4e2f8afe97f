// Batch normalization. First each channel's sums are taken, by several blocks, whose
// part sums lie one behind the other; then a warp for each channel makes the numbers of
// it from them; then all elements are computed. So all multiprocessors have work for
// any number of channels, and the order of sums does not change. Sums are taken in
// float32 over a few elements at a time, and from there on in float64.
#include "common.cuh"

#define AT_A_TIME 16 // elements

// What is summed over a channel's elements: they and their squares, less the channel's
// first element, which is near enough to the mean that nothing is lost; or the
// gradients and their products with the elements, less the mean.
template <class T, int V, int C> struct Moments {
	typedef typename As<T>::type A;
	const T *x;
	A near[C];
	__device__ Moments(i64 c, i64 stride, const T *x) : x(x) {
		for (int k = 0; k < C; k++) near[k] = widen(x[(c + k) * stride]);
	}
	// at reads what add adds, so that several reads may be under way.
	enum { AHEAD = 4 };
	struct Read { Pack<T, V> x; };
	__device__ Read at(i64 i) const { return {load<V>(x, i)}; }
	__device__ void add(const Read &r, A (&a)[C], A (&b)[C]) const {
		for (int k = 0; k < V; k++) {
			int c = C == 1 ? 0 : k;
			A d = widen(r.x.v[k]) - near[c];
			a[c] += d;
			b[c] += d * d;
		}
	}
};
template <class T, int V, int C> struct Products {
	typedef typename As<T>::type A;
	const T *dy, *x, *y;
	A mean[C];
	__device__ Products(i64 c, i64, const T *dy, const T *x, const T *y, const A *mean_) : dy(dy), x(x), y(y) {
		numbers<C>(mean, mean_, c);
	}
	enum { AHEAD = 2 };
	struct Read { Pack<T, V> dy, x, y; };
	__device__ Read at(i64 i) const {
		Pack<T, V> g = load<V>(dy, i);
		return {g, load<V>(x, i), y ? load<V>(y, i) : g};
	}
	__device__ void add(const Read &r, A (&a)[C], A (&b)[C]) const {
		for (int k = 0; k < V; k++) {
			int c = C == 1 ? 0 : k;
			A d = y && !(widen(r.y.v[k]) > 0) ? (A)0 : (A)widen(r.dy.v[k]);
			a[c] += d;
			b[c] += d * (widen(r.x.v[k]) - mean[c]);
		}
	}
};

// A Tally holds the sums of C channels.
template <class A, int C> struct Tally {
	A a[C], b[C];
	double sum[C], dot[C];
	int pending;
	__device__ Tally() : pending(0) {
		for (int k = 0; k < C; k++) {
			a[k] = b[k] = 0;
			sum[k] = dot[k] = 0;
		}
	}
	__device__ void flush() {
		for (int k = 0; k < C; k++) {
			sum[k] += a[k];
			dot[k] += b[k];
			a[k] = b[k] = 0;
		}
		pending = 0;
	}
	__device__ void added(int n) {
		if ((pending += n) >= AT_A_TIME) flush();
	}
};

// Channel blockIdx.x of row-major arrays, part blockIdx.y of it. pixels counts the packs of an image.
template <class K, class T, int V> __device__ inline void sums_rows(const K &kind, double *parts, i64 images, i64 channels, Div pixels) {
	__shared__ double sums[2 * 256];
	i64 count = images * pixels.d, share = (count + gridDim.y - 1) / gridDim.y, from = share * blockIdx.y, to = from + share < count ? from + share : count;
	Tally<typename As<T>::type, 1> t;
	for (i64 i = from + threadIdx.x; i < to; i += 256) {
		i64 image = quotient(i, pixels);
		kind.add(kind.at((image * (channels - 1) + blockIdx.x) * pixels.d * V + i * V), t.a, t.b);
		t.added(V);
	}
	t.flush();
	sums[threadIdx.x] = t.sum[0];
	sums[256 + threadIdx.x] = t.dot[0];
	__syncthreads();
	for (int half = 128; half; half /= 2) {
		if (threadIdx.x < half) {
			sums[threadIdx.x] += sums[threadIdx.x + half];
			sums[256 + threadIdx.x] += sums[256 + threadIdx.x + half];
		}
		__syncthreads();
	}
	if (threadIdx.x == 0) {
		double *at = parts + 2 * (blockIdx.x * (i64)gridDim.y + blockIdx.y);
		at[0] = sums[0];
		at[1] = sums[256];
	}
}

// The same channels last: part blockIdx.x of the pixels, of the channels of block row blockIdx.y.
template <class K, class T, int V> __device__ inline void sums_last(const K &kind, const Lane &me, double *parts, i64 channels, i64 pixels) {
	__shared__ double sums[2 * 256 * V];
	i64 share = (pixels + gridDim.x - 1) / gridDim.x, from = share * blockIdx.x, to = from + share < pixels ? from + share : pixels;
	if (me.on) {
		Tally<typename As<T>::type, V> t;
		i64 p = from + me.line;
		for (; p + (K::AHEAD - 1) * me.lines < to; p += K::AHEAD * me.lines) {
			typename K::Read r[K::AHEAD];
#pragma unroll
			for (int j = 0; j < K::AHEAD; j++) r[j] = kind.at((p + j * me.lines) * channels + me.channel);
#pragma unroll
			for (int j = 0; j < K::AHEAD; j++) {
				kind.add(r[j], t.a, t.b);
				t.added(1);
			}
		}
		for (; p < to; p += me.lines) {
			kind.add(kind.at(p * channels + me.channel), t.a, t.b);
			t.added(1);
		}
		t.flush();
		for (int k = 0; k < V; k++) {
			sums[threadIdx.x * V + k] = t.sum[k];
			sums[256 * V + threadIdx.x * V + k] = t.dot[k];
		}
	}
	__syncthreads();
	i64 first = blockIdx.y * (i64)(256 * V);
	int width = (int)(channels - first < 256 * V ? channels - first : 256 * V); // channels of this block
	int across = (int)(channels / V < 256 ? channels / V : 256) * V;
	for (int c = threadIdx.x; c < width; c += 256) {
		double sum = 0, dot = 0;
		for (int l = 0; l < me.lines; l++) {
			sum += sums[l * across + c];
			dot += sums[256 * V + l * across + c];
		}
		double *at = parts + 2 * ((first + c) * gridDim.x + blockIdx.x);
		at[0] = sum;
		at[1] = dot;
	}
}

// add_parts adds up a channel's parts, by all threads of a warp; each gets the sums.
__device__ inline void add_parts(const double *parts, i64 c, i64 split, double &a, double &b) {
	a = b = 0;
	for (i64 s = threadIdx.x % 32; s < split; s += 32) {
		a += parts[2 * (c * split + s)];
		b += parts[2 * (c * split + s) + 1];
	}
	for (int d = 16; d; d /= 2) {
		a += __shfl_xor_sync(~0u, a, d);
		b += __shfl_xor_sync(~0u, b, d);
	}
}
#define EACH_WARP(c, n) for (i64 c = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32; c < (n); c += (i64)blockDim.x * gridDim.x / 32)

// What each channel's elements are computed with: (x - mean)·scale + shift, and
// (dy - mean - (x - channel's mean)·slope)·scale.
#define NUMBERS(t, T) \
	extern "C" __global__ void norm_numbers_##t(As<T>::type *scale, As<T>::type *shift, As<T>::type *mean, As<T>::type *invstd, As<T>::type *runningMean, As<T>::type *runningVar, \
		const As<T>::type *w, const As<T>::type *b, const double *parts, i64 split, const T *x, i64 count, i64 stride, double eps, double momentum, i64 training, i64 n) { \
		typedef As<T>::type A; \
		EACH_WARP(c, n) { \
			double m = 0, v = 0, sum = 0, squares = 0; \
			if (split) add_parts(parts, c, split, sum, squares); \
			if (threadIdx.x % 32) continue; \
			if (!training) { \
				m = runningMean[c]; \
				v = runningVar[c]; \
			} else if (count) { /* an empty batch leaves the running statistics as they are */ \
				double d = sum / (double)count; \
				m = widen(x[c * stride]) + d; \
				v = squares / (double)count - d * d; \
				if (v < 0) v = 0; \
				if (runningMean) { \
					runningMean[c] = (A)((1 - momentum) * runningMean[c] + momentum * m); \
					runningVar[c] = (A)((1 - momentum) * runningVar[c] + momentum * v * (double)count / (double)(count - 1)); \
				} \
			} \
			double s = 1 / sqrt(v + eps), add = b ? b[c] : 0; \
			mean[c] = (A)m; \
			invstd[c] = (A)s; \
			if (w) s *= w[c]; \
			scale[c] = (A)s; \
			shift[c] = (A)(add + ((double)mean[c] - m) * s); /* and what rounding the mean would shift */ \
		} \
	} \
	extern "C" __global__ void norm_grad_numbers_##t(As<T>::type *scale, As<T>::type *mean, As<T>::type *slope, As<T>::type *dw, As<T>::type *db, const As<T>::type *w, const As<T>::type *invstd, \
		const double *parts, i64 split, i64 count, i64 training, i64 n) { \
		typedef As<T>::type A; \
		EACH_WARP(c, n) { \
			double s = invstd[c], sum = 0, dot = 0; \
			if (split) add_parts(parts, c, split, sum, dot); \
			if (threadIdx.x % 32) continue; \
			if (dw) dw[c] = (A)(dot * s); \
			if (db) db[c] = (A)sum; \
			mean[c] = training ? (A)(sum / (double)count) : 0; \
			slope[c] = training ? (A)(dot * s * s / (double)count) : 0; \
			scale[c] = (A)(w ? s * w[c] : s); \
		} \
	}
FOR_FLOATS(NUMBERS)

template <class T, int V, int C> struct Normalized {
	typedef typename As<T>::type A;
	T *dst;
	const T *x;
	A mean[C], scale[C], shift[C];
	bool relu;
	__device__ Normalized(i64 c, T *dst, const T *x, const A *mean_, const A *scale_, const A *shift_, i64 relu) : dst(dst), x(x), relu(relu != 0) {
		numbers<C>(mean, mean_, c);
		numbers<C>(scale, scale_, c);
		numbers<C>(shift, shift_, c);
	}
	__device__ void at(i64 i) const {
		Pack<T, V> p = load<V>(x, i);
		for (int k = 0; k < V; k++) {
			int c = C == 1 ? 0 : k;
			A v = (widen(p.v[k]) - mean[c]) * scale[c] + shift[c];
			p.v[k] = narrow<T>(relu && v < 0 ? (A)0 : v);
		}
		store(dst, i, p);
	}
};
template <class T, int V, int C> struct NormalizedGrad {
	typedef typename As<T>::type A;
	T *dx;
	const T *dy, *x, *y;
	A xMean[C], mean[C], slope[C], scale[C];
	__device__ NormalizedGrad(i64 c, T *dx, const T *dy, const T *x, const T *y, const A *xMean_, const A *mean_, const A *slope_, const A *scale_) : dx(dx), dy(dy), x(x), y(y) {
		numbers<C>(xMean, xMean_, c);
		numbers<C>(mean, mean_, c);
		numbers<C>(slope, slope_, c);
		numbers<C>(scale, scale_, c);
	}
	__device__ void at(i64 i) const {
		Pack<T, V> g = load<V>(dy, i), p = load<V>(x, i), r = y ? load<V>(y, i) : g;
		for (int k = 0; k < V; k++) {
			int c = C == 1 ? 0 : k;
			A d = y && !(widen(r.v[k]) > 0) ? (A)0 : (A)widen(g.v[k]);
			r.v[k] = narrow<T>((d - mean[c] - (widen(p.v[k]) - xMean[c]) * slope[c]) * scale[c]);
		}
		store(dx, i, r);
	}
};

#define NORM_OF(name, t, Type, V) \
	extern "C" __global__ void norm_sums_rows_##name##t(double *parts, const Type *x, i64 images, i64 channels, Div pixels) { \
		Moments<Type, V, 1> kind(blockIdx.x, pixels.d * V, x); \
		sums_rows<Moments<Type, V, 1>, Type, V>(kind, parts, images, channels, pixels); \
	} \
	extern "C" __global__ void norm_sums_last_##name##t(double *parts, const Type *x, i64 channels, i64 pixels) { \
		Lane me = lane<V>(channels); \
		Moments<Type, V, V> kind(me.on ? me.channel : 0, 1, x); \
		sums_last<Moments<Type, V, V>, Type, V>(kind, me, parts, channels, pixels); \
	} \
	extern "C" __global__ void norm_grad_sums_rows_##name##t(double *parts, const Type *dy, const Type *x, const Type *y, const As<Type>::type *mean, i64 images, i64 channels, Div pixels) { \
		Products<Type, V, 1> kind(blockIdx.x, 0, dy, x, y, mean); \
		sums_rows<Products<Type, V, 1>, Type, V>(kind, parts, images, channels, pixels); \
	} \
	extern "C" __global__ void norm_grad_sums_last_##name##t(double *parts, const Type *dy, const Type *x, const Type *y, const As<Type>::type *mean, i64 channels, i64 pixels) { \
		Lane me = lane<V>(channels); \
		Products<Type, V, V> kind(me.on ? me.channel : 0, 0, dy, x, y, mean); \
		sums_last<Products<Type, V, V>, Type, V>(kind, me, parts, channels, pixels); \
	} \
	extern "C" __global__ void norm_rows_##name##t(Type *dst, const Type *x, const As<Type>::type *mean, const As<Type>::type *scale, const As<Type>::type *shift, i64 relu, Div pixels, Div channels, i64 n) { \
		typedef Type T; \
		OVER_ROWS(Normalized, V, pixels, channels, n, dst, x, mean, scale, shift, relu) \
	} \
	extern "C" __global__ void norm_last_##name##t(Type *dst, const Type *x, const As<Type>::type *mean, const As<Type>::type *scale, const As<Type>::type *shift, i64 relu, i64 channels, i64 pixels) { \
		typedef Type T; \
		OVER_LAST(Normalized, V, channels, pixels, dst, x, mean, scale, shift, relu) \
	} \
	extern "C" __global__ void norm_grad_rows_##name##t(Type *dx, const Type *dy, const Type *x, const Type *y, const As<Type>::type *xMean, const As<Type>::type *mean, const As<Type>::type *slope, \
		const As<Type>::type *scale, Div pixels, Div channels, i64 n) { \
		typedef Type T; \
		OVER_ROWS(NormalizedGrad, V, pixels, channels, n, dx, dy, x, y, xMean, mean, slope, scale) \
	} \
	extern "C" __global__ void norm_grad_last_##name##t(Type *dx, const Type *dy, const Type *x, const Type *y, const As<Type>::type *xMean, const As<Type>::type *mean, const As<Type>::type *slope, \
		const As<Type>::type *scale, i64 channels, i64 pixels) { \
		typedef Type T; \
		OVER_LAST(NormalizedGrad, V, channels, pixels, dx, dy, x, y, xMean, mean, slope, scale) \
	}
#define NORM(t, T) NORM_OF(, t, T, 1)
#define NORM_WIDE(t, T, V) NORM_OF(wide_, t, T, V)
FOR_FLOATS(NORM)
FOR_WIDE(NORM_WIDE)
