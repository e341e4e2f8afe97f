// The part of libcudnn.so.9 that package cuda calls, in plain loops. What it
// proposes as algorithms begins with one that package cuda may not take, since it
// needs a workspace beyond all limits. Then comes one that is not deterministic,
// whose results really differ in their last bits every second time, one that is not
// supported, and one that is deterministic. With WICK_SIM_SLOW the one that is not
// takes that many milliseconds more. With WICK_SIM_DECLINE=1 it is refused when it is
// called, though it was proposed; with 2 all are that lie channels last.
#include "library.h"
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cudnn.h>
#include <thread>
#define API extern "C" __attribute__((visibility("default"))) cudnnStatus_t
#define NEED(condition) \
	if (!(condition)) return CUDNN_STATUS_BAD_PARAM;

struct cudnnContext { void *stream; };
// A size of four dimensions has one plane of depth: images, channels, depth, rows, columns.
struct cudnnTensorStruct {
	bool ready;
	cudnnTensorFormat_t format;
	cudnnDataType_t type;
	int dims, size[5];
};
struct cudnnFilterStruct {
	bool ready;
	cudnnTensorFormat_t format;
	cudnnDataType_t type;
	int dims, size[5];
};
struct cudnnActivationStruct {
	bool ready;
	cudnnActivationMode_t mode;
	cudnnNanPropagation_t nan;
};
struct cudnnConvolutionStruct {
	bool ready;
	int dims, pad[3], stride[3], dilation[3], groups; // of the depth, rows and columns
	cudnnMathType_t math;
	cudnnDataType_t type;
};

// WICK_SIM_DNN is the version, WICK_SIM_DNN_CUDA the CUDA it was built for.
extern "C" __attribute__((visibility("default"))) size_t cudnnGetVersion(void) { return (size_t)setting("WICK_SIM_DNN", CUDNN_VERSION); }
extern "C" __attribute__((visibility("default"))) size_t cudnnGetCudartVersion(void) { return (size_t)setting("WICK_SIM_DNN_CUDA", 12090); }
API cudnnCreate(cudnnHandle_t *h) {
	*h = new cudnnContext{nullptr};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnDestroy(cudnnHandle_t h) {
	delete h;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetStream(cudnnHandle_t h, cudaStream_t s) {
	h->stream = s;
	return CUDNN_STATUS_SUCCESS;
}
extern "C" __attribute__((visibility("default"))) const char *cudnnGetErrorString(cudnnStatus_t s) {
	switch (s) {
	case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
	case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
	default: return "CUDNN_STATUS_NOT_SUPPORTED";
	}
}

template <class D> static cudnnStatus_t set(D *d, cudnnTensorFormat_t f, cudnnDataType_t t, int dims, const int *size) {
	NEED(dims == 4 || dims == 5);
	int64_t n = 1;
	for (int i = 0; i < dims; i++) {
		NEED(size[i] > 0);
		n *= size[i];
		NEED(n < 1ll << 31);
	}
	if ((f != CUDNN_TENSOR_NCHW && f != CUDNN_TENSOR_NHWC) || (t > CUDNN_DATA_HALF && t != CUDNN_DATA_BFLOAT16)) return CUDNN_STATUS_NOT_SUPPORTED;
	*d = {true, f, t, dims, {size[0], size[1], dims == 5 ? size[2] : 1, size[dims - 2], size[dims - 1]}};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *d) {
	*d = new cudnnTensorStruct{};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t d) {
	delete d;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t d, cudnnTensorFormat_t f, cudnnDataType_t t, int n, int c, int h, int w) {
	int size[] = {n, c, h, w};
	return set(d, f, t, 4, size);
}
API cudnnSetTensorNdDescriptorEx(cudnnTensorDescriptor_t d, cudnnTensorFormat_t f, cudnnDataType_t t, int dims, const int *size) { return set(d, f, t, dims, size); }
API cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t d, int room, cudnnDataType_t *t, int *dims, int *size, int *strides) {
	NEED(d->ready && room >= d->dims);
	*t = d->type;
	*dims = d->dims;
	size[0] = d->size[0], size[1] = d->size[1];
	for (int i = 2; i < d->dims; i++) size[i] = d->size[5 - d->dims + i];
	int step = d->format == CUDNN_TENSOR_NHWC ? size[1] : 1;
	for (int i = d->dims - 1; i >= 2; i--) strides[i] = step, step *= size[i];
	strides[1] = d->format == CUDNN_TENSOR_NHWC ? 1 : step;
	strides[0] = d->format == CUDNN_TENSOR_NHWC ? step : step * size[1];
	return CUDNN_STATUS_SUCCESS;
}
API cudnnCreateActivationDescriptor(cudnnActivationDescriptor_t *d) {
	*d = new cudnnActivationStruct{};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnDestroyActivationDescriptor(cudnnActivationDescriptor_t d) {
	delete d;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetActivationDescriptor(cudnnActivationDescriptor_t d, cudnnActivationMode_t mode, cudnnNanPropagation_t nan, double) {
	NEED(mode == CUDNN_ACTIVATION_IDENTITY || mode == CUDNN_ACTIVATION_RELU);
	*d = {true, mode, nan};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *d) {
	*d = new cudnnFilterStruct{};
	return CUDNN_STATUS_SUCCESS;
}
API cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t d) {
	delete d;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t t, cudnnTensorFormat_t f, int k, int c, int h, int w) {
	int size[] = {k, c, h, w};
	return set(d, f, t, 4, size);
}
API cudnnSetFilterNdDescriptor(cudnnFilterDescriptor_t d, cudnnDataType_t t, cudnnTensorFormat_t f, int dims, const int *size) { return set(d, f, t, dims, size); }
API cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *d) {
	*d = new cudnnConvolutionStruct{};
	(*d)->groups = 1;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t d) {
	delete d;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t m) {
	NEED(m >= CUDNN_DEFAULT_MATH && m <= CUDNN_FMA_MATH);
	d->math = m;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnGetConvolutionMathType(cudnnConvolutionDescriptor_t d, cudnnMathType_t *m) {
	*m = d->math;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetConvolutionGroupCount(cudnnConvolutionDescriptor_t d, int groups) {
	NEED(groups > 0);
	d->groups = groups;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetConvolutionNdDescriptor(cudnnConvolutionDescriptor_t d, int dims, const int *pad, const int *stride, const int *dilation, cudnnConvolutionMode_t mode, cudnnDataType_t t) {
	NEED(dims == 2 || dims == 3);
	cudnnConvolutionStruct c = {true, dims + 2, {0, 0, 0}, {1, 1, 1}, {1, 1, 1}, d->groups, d->math, t};
	for (int i = 0; i < dims; i++) {
		NEED(pad[i] >= 0 && stride[i] > 0 && dilation[i] > 0);
		c.pad[3 - dims + i] = pad[i], c.stride[3 - dims + i] = stride[i], c.dilation[3 - dims + i] = dilation[i];
	}
	if (mode != CUDNN_CROSS_CORRELATION || (t != CUDNN_DATA_FLOAT && t != CUDNN_DATA_DOUBLE)) return CUDNN_STATUS_NOT_SUPPORTED;
	*d = c;
	return CUDNN_STATUS_SUCCESS;
}
API cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t d, int padH, int padW, int strideH, int strideW, int dilationH, int dilationW, cudnnConvolutionMode_t mode, cudnnDataType_t t) {
	int pad[] = {padH, padW}, stride[] = {strideH, strideW}, dilation[] = {dilationH, dilationW};
	return cudnnSetConvolutionNdDescriptor(d, 2, pad, stride, dilation, mode, t);
}

API cudnnGetConvolution2dForwardOutputDim(cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, int *n, int *k, int *p, int *q) {
	NEED(c->ready && x->ready && w->ready);
	*n = x->size[0];
	*k = w->size[0];
	NEED(c->dims == 4);
	*p = (x->size[3] + 2 * c->pad[1] - c->dilation[1] * (w->size[3] - 1) - 1) / c->stride[1] + 1;
	*q = (x->size[4] + 2 * c->pad[2] - c->dilation[2] * (w->size[4] - 1) - 1) / c->stride[2] + 1;
	return CUDNN_STATUS_SUCCESS;
}

// fits looks whether the descriptors belong together.
static cudnnStatus_t fits(cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t y) {
	NEED(x->ready && w->ready && c->ready && y->ready);
	NEED(x->type == w->type && x->type == y->type);
	NEED(x->dims == w->dims && x->dims == y->dims && x->dims == c->dims);
	if (x->format != w->format || x->format != y->format) return CUDNN_STATUS_NOT_SUPPORTED;
	if (x->format == CUDNN_TENSOR_NHWC && x->type == CUDNN_DATA_DOUBLE) return CUDNN_STATUS_NOT_SUPPORTED;
	if ((x->type == CUDNN_DATA_DOUBLE) != (c->type == CUDNN_DATA_DOUBLE)) return CUDNN_STATUS_NOT_SUPPORTED;
	NEED(x->size[0] == y->size[0] && x->size[1] == w->size[1] * c->groups && w->size[0] == y->size[1] && w->size[0] % c->groups == 0);
	for (int i = 0; i < 3; i++) {
		int reach = c->dilation[i] * (w->size[2 + i] - 1) + 1, room = x->size[2 + i] + 2 * c->pad[i] - reach;
		NEED(room >= 0 && y->size[2 + i] == room / c->stride[i] + 1);
	}
	return CUDNN_STATUS_SUCCESS;
}

static const size_t workspace = 1000; // of the algorithms that package cuda may take
template <class Perf, class Algo> static cudnnStatus_t propose(cudnnMathType_t math, Algo wild, Algo fit, int room, int *n, Perf *p) {
	NEED(room >= 1);
	Perf all[] = {
		{fit, CUDNN_STATUS_SUCCESS, 1, (size_t)1 << 40, CUDNN_DETERMINISTIC, math, {}},
		{wild, CUDNN_STATUS_SUCCESS, 2, workspace, CUDNN_NON_DETERMINISTIC, math, {}},
		{wild, CUDNN_STATUS_NOT_SUPPORTED, 3, 0, CUDNN_DETERMINISTIC, math, {}},
		{fit, CUDNN_STATUS_SUCCESS, 4, workspace, CUDNN_DETERMINISTIC, math, {}},
	};
	for (*n = 0; *n < room && *n < 4; ++*n) p[*n] = all[*n];
	return CUDNN_STATUS_SUCCESS;
}
API cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t y, int room, int *n, cudnnConvolutionFwdAlgoPerf_t *p) {
	cudnnStatus_t s = fits(x, w, c, y);
	return s ? s : propose(c->math, CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, room, n, p);
}
API cudnnGetConvolutionBackwardDataAlgorithm_v7(cudnnHandle_t, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t x, int room, int *n, cudnnConvolutionBwdDataAlgoPerf_t *p) {
	cudnnStatus_t s = fits(x, w, c, y);
	return s ? s : propose(c->math, CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, room, n, p);
}
API cudnnGetConvolutionBackwardFilterAlgorithm_v7(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t c, cudnnFilterDescriptor_t w, int room, int *n, cudnnConvolutionBwdFilterAlgoPerf_t *p) {
	cudnnStatus_t s = fits(x, w, c, y);
	return s ? s : propose(c->math, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1, room, n, p);
}
API cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t, size_t *n) {
	*n = workspace;
	return fits(x, w, c, y);
}
API cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t c, cudnnTensorDescriptor_t x, cudnnConvolutionBwdDataAlgo_t, size_t *n) {
	*n = workspace;
	return fits(x, w, c, y);
}
API cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t y, cudnnConvolutionDescriptor_t c, cudnnFilterDescriptor_t w, cudnnConvolutionBwdFilterAlgo_t, size_t *n) {
	*n = workspace;
	return fits(x, w, c, y);
}

static Type typeOf(cudnnDataType_t t) {
	return t == CUDNN_DATA_DOUBLE ? Type::f64 : t == CUDNN_DATA_HALF ? Type::f16 : t == CUDNN_DATA_BFLOAT16 ? Type::bf16 : Type::f32;
}
// whole looks whether an array is there and lies as tensor cores need it.
static bool whole(const void *p, cudnnDataType_t t, const int (&size)[5]) {
	return (uintptr_t)p % 16 == 0 && wick_sim_inside(p, bytes(typeOf(t)) * (size_t)size[0] * (size_t)size[1] * (size_t)size[2] * (size_t)size[3] * (size_t)size[4]);
}

// place is where an element lies.
template <class D> static size_t place(const D &d, int n, int c, int z, int h, int w) {
	const int(&s)[5] = d.size;
	if (d.format == CUDNN_TENSOR_NHWC) return ((((size_t)n * s[2] + z) * s[3] + h) * s[4] + w) * s[1] + c;
	return ((((size_t)n * s[1] + c) * s[2] + z) * s[3] + h) * s[4] + w;
}

// A pass sums products of two of the three arrays into the third.
enum Pass { forward, input, weight };
static cudnnStatus_t convolve(cudnnHandle_t h, Pass pass, const void *alpha, const void *beta, cudnnTensorDescriptor_t X, const void *x, cudnnFilterDescriptor_t W, const void *w,
	cudnnConvolutionDescriptor_t C, cudnnTensorDescriptor_t Y, const void *y, bool deterministic, const void *space, size_t room,
	cudnnTensorDescriptor_t B = nullptr, const void *b = nullptr, bool relu = false) {
	cudnnStatus_t s = fits(X, W, C, Y);
	if (s) return s;
	NEED(whole(x, X->type, X->size) && whole(w, W->type, W->size) && whole(y, Y->type, Y->size));
	NEED(room >= workspace && wick_sim_inside(space, room));
	const char *decline = getenv("WICK_SIM_DECLINE");
	if (decline && (atoi(decline) == 1 ? !deterministic : X->format == CUDNN_TENSOR_NHWC)) return CUDNN_STATUS_NOT_SUPPORTED;
	Type type = typeOf(X->type);
	double al = number(alpha, type == Type::f64), be = number(beta, type == Type::f64);
	static std::atomic<unsigned> wild; // calls of algorithms that are not deterministic
	if (!deterministic && wild++ % 2) al *= type == Type::f64 ? 1 + 0x1p-50 : 1 + 0x1p-22;
	auto X_ = *X, Y_ = *Y;
	auto W_ = *W;
	auto C_ = *C; // descriptors may be destroyed once the call returns
	const char *slow = getenv("WICK_SIM_SLOW");
	int rest = slow && !deterministic ? atoi(slow) : 0;
	std::function<void()> run = [=] {
		if (rest) std::this_thread::sleep_for(std::chrono::milliseconds(rest));
		const int(&xs)[5] = X_.size, (&ws)[5] = W_.size, (&ys)[5] = Y_.size;
		const int *out = pass == forward ? ys : pass == input ? xs : ws;
		void *to = (void *)(pass == forward ? y : pass == input ? x : w);
		size_t n = (size_t)out[0] * out[1] * out[2] * out[3] * out[4];
		double *sum = new double[n]();
		int perIn = ws[1], perOut = ws[0] / C_.groups;
		for (int i = 0; i < ys[0]; i++)
			for (int k = 0; k < ys[1]; k++)
				for (int c = 0; c < perIn; c++)
					for (int rows = 0; rows < ws[2] * ys[2] * ws[3]; rows++) {
						int t = rows / (ys[2] * ws[3]), m = rows / ws[3] % ys[2], r = rows % ws[3];
						int depth = m * C_.stride[0] - C_.pad[0] + t * C_.dilation[0];
						if (depth < 0 || depth >= xs[2]) continue;
						for (int q = 0; q < ws[4]; q++)
							for (int p = 0; p < ys[3]; p++) {
								int row = p * C_.stride[1] - C_.pad[1] + r * C_.dilation[1];
								if (row < 0 || row >= xs[3]) continue;
								size_t wt = place(W_, k, c, t, r, q);
								for (int o = 0; o < ys[4]; o++) {
									int column = o * C_.stride[2] - C_.pad[2] + q * C_.dilation[2];
									if (column < 0 || column >= xs[4]) continue;
									size_t xt = place(X_, i, k / perOut * perIn + c, depth, row, column);
									size_t yt = place(Y_, i, k, m, p, o);
									if (pass == forward) sum[yt] += load(type, x, xt) * load(type, w, wt);
									if (pass == input) sum[xt] += load(type, y, yt) * load(type, w, wt);
									if (pass == weight) sum[wt] += load(type, y, yt) * load(type, x, xt);
								}
							}
					}
		if (b) // of a forward pass
			for (int i = 0; i < ys[0]; i++)
				for (int k = 0; k < ys[1]; k++)
					for (int p = 0; p < ys[2] * ys[3] * ys[4]; p++) {
						double &v = sum[place(Y_, i, k, p / (ys[3] * ys[4]), p / ys[4] % ys[3], p % ys[4])];
						v += load(type, b, (size_t)k);
						if (relu && v < 0) v = 0;
					}
		for (size_t i = 0; i < n; i++) store(type, to, i, al * sum[i] + (be ? be * load(type, to, i) : 0));
		delete[] sum;
	};
	wick_sim_put(h->stream, &run);
	return CUDNN_STATUS_SUCCESS;
}
API cudnnConvolutionForward(cudnnHandle_t h, const void *alpha, cudnnTensorDescriptor_t X, const void *x, cudnnFilterDescriptor_t W, const void *w, cudnnConvolutionDescriptor_t C,
	cudnnConvolutionFwdAlgo_t a, void *space, size_t room, const void *beta, cudnnTensorDescriptor_t Y, void *y) {
	return convolve(h, forward, alpha, beta, X, x, W, w, C, Y, y, a != CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, space, room);
}
API cudnnConvolutionBiasActivationForward(cudnnHandle_t h, const void *alpha, cudnnTensorDescriptor_t X, const void *x, cudnnFilterDescriptor_t W, const void *w, cudnnConvolutionDescriptor_t C,
	cudnnConvolutionFwdAlgo_t a, void *space, size_t room, const void *other, cudnnTensorDescriptor_t Z, const void *z, cudnnTensorDescriptor_t B, const void *b, cudnnActivationDescriptor_t activation,
	cudnnTensorDescriptor_t Y, void *y) {
	NEED(activation->ready && Z->ready && B->ready && z && number(other, X->type == CUDNN_DATA_DOUBLE) == 0);
	NEED(B->type == Y->type && B->size[0] == 1 && B->size[1] == Y->size[1] && B->dims == Y->dims && B->size[2] == 1 && B->size[3] == 1 && B->size[4] == 1 && whole(b, B->type, B->size));
	if (activation->mode == CUDNN_ACTIVATION_IDENTITY && a != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM) return CUDNN_STATUS_NOT_SUPPORTED;
	if (C->groups > 1) return CUDNN_STATUS_NOT_SUPPORTED; // so that both ways are tried
	double zero = 0;
	return convolve(h, forward, alpha, &zero, X, x, W, w, C, Y, y, a != CUDNN_CONVOLUTION_FWD_ALGO_DIRECT, space, room, B, b, activation->mode == CUDNN_ACTIVATION_RELU);
}
API cudnnConvolutionBackwardData(cudnnHandle_t h, const void *alpha, cudnnFilterDescriptor_t W, const void *w, cudnnTensorDescriptor_t Y, const void *y, cudnnConvolutionDescriptor_t C,
	cudnnConvolutionBwdDataAlgo_t a, void *space, size_t room, const void *beta, cudnnTensorDescriptor_t X, void *x) {
	return convolve(h, input, alpha, beta, X, x, W, w, C, Y, y, a != CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, space, room);
}
API cudnnConvolutionBackwardFilter(cudnnHandle_t h, const void *alpha, cudnnTensorDescriptor_t X, const void *x, cudnnTensorDescriptor_t Y, const void *y, cudnnConvolutionDescriptor_t C,
	cudnnConvolutionBwdFilterAlgo_t a, void *space, size_t room, const void *beta, cudnnFilterDescriptor_t W, void *w) {
	return convolve(h, weight, alpha, beta, X, x, W, w, C, Y, y, a != CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0, space, room);
}
