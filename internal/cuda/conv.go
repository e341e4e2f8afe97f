//go:build cuda && linux

package cuda

/*
#include <cuda.h>
#include <cudnn.h>

// What gorgonia.org/cu/dnn lacks: the choice of an algorithm, workspaces, and
// convolutions of bfloat16. The passes are numbered as in conv.go.
struct wick_algorithm { int algo, math, deterministic; size_t memory; };
#define PROPOSE(get, perf, ...) { \
	perf p[16]; \
	int got = 0, r = (int)get((cudnnHandle_t)h, __VA_ARGS__, 16, &got, p); \
	if (r) return r; \
	for (int i = 0; i < got; i++) \
		if (p[i].status == CUDNN_STATUS_SUCCESS) \
			all[(*n)++] = (struct wick_algorithm){(int)p[i].algo, (int)p[i].mathType, p[i].determinism == CUDNN_DETERMINISTIC, p[i].memory}; \
	return 0; \
}
static int wick_conv_propose(CUcontext context, void *h, int pass, void *x_, void *w_, void *c_, void *y_, struct wick_algorithm *all, int *n) {
	cudnnTensorDescriptor_t x = x_, y = y_;
	cudnnFilterDescriptor_t w = w_;
	cudnnConvolutionDescriptor_t c = c_;
	if (cuCtxSetCurrent(context)) return (int)CUDNN_STATUS_EXECUTION_FAILED;
	if (pass == 0) PROPOSE(cudnnGetConvolutionForwardAlgorithm_v7, cudnnConvolutionFwdAlgoPerf_t, x, w, c, y)
	if (pass == 1) PROPOSE(cudnnGetConvolutionBackwardDataAlgorithm_v7, cudnnConvolutionBwdDataAlgoPerf_t, w, y, c, x)
	PROPOSE(cudnnGetConvolutionBackwardFilterAlgorithm_v7, cudnnConvolutionBwdFilterAlgoPerf_t, x, y, c, w)
}
static int wick_conv_math(void *c, int math) { return (int)cudnnSetConvolutionMathType((cudnnConvolutionDescriptor_t)c, (cudnnMathType_t)math); }
static int wick_conv_workspace(CUcontext context, void *h_, int pass, void *x_, void *w_, void *c_, void *y_, int algo, size_t *n) {
	cudnnHandle_t h = h_;
	cudnnTensorDescriptor_t x = x_, y = y_;
	cudnnFilterDescriptor_t w = w_;
	cudnnConvolutionDescriptor_t c = c_;
	if (cuCtxSetCurrent(context)) return (int)CUDNN_STATUS_EXECUTION_FAILED;
	if (pass == 0) return (int)cudnnGetConvolutionForwardWorkspaceSize(h, x, w, c, y, (cudnnConvolutionFwdAlgo_t)algo, n);
	if (pass == 1) return (int)cudnnGetConvolutionBackwardDataWorkspaceSize(h, w, y, c, x, (cudnnConvolutionBwdDataAlgo_t)algo, n);
	return (int)cudnnGetConvolutionBackwardFilterWorkspaceSize(h, x, y, c, w, (cudnnConvolutionBwdFilterAlgo_t)algo, n);
}
static int wick_conv(CUcontext context, void *h_, int pass, int wide, void *x_, CUdeviceptr x, void *w_, CUdeviceptr w, void *c_, void *y_, CUdeviceptr y, int algo, CUdeviceptr space, size_t n) {
	cudnnHandle_t h = h_;
	double one = 1, zero = 0;
	float oneF = 1, zeroF = 0;
	void *alpha = wide ? (void *)&one : (void *)&oneF, *beta = wide ? (void *)&zero : (void *)&zeroF;
	if (cuCtxSetCurrent(context)) return (int)CUDNN_STATUS_EXECUTION_FAILED;
	if (pass == 0) return (int)cudnnConvolutionForward(h, alpha, x_, (void *)x, w_, (void *)w, c_, (cudnnConvolutionFwdAlgo_t)algo, (void *)space, n, beta, y_, (void *)y);
	if (pass == 1) return (int)cudnnConvolutionBackwardData(h, alpha, w_, (void *)w, y_, (void *)y, c_, (cudnnConvolutionBwdDataAlgo_t)algo, (void *)space, n, beta, x_, (void *)x);
	return (int)cudnnConvolutionBackwardFilter(h, alpha, x_, (void *)x, y_, (void *)y, c_, (cudnnConvolutionBwdFilterAlgo_t)algo, (void *)space, n, beta, w_, (void *)w);
}

// What a pass takes in milliseconds, the median of three after one that is not counted.
static int wick_conv_measure(CUcontext context, CUstream stream, void *h, int pass, int wide, void *x_, CUdeviceptr x, void *w_, CUdeviceptr w, void *c_, void *y_, CUdeviceptr y, int algo,
	CUdeviceptr space, size_t n, float *took) {
	CUevent from = 0, to = 0;
	float ms[3] = {0};
	int r = wick_conv(context, h, pass, wide, x_, x, w_, w, c_, y_, y, algo, space, n);
	if (!r && (cuEventCreate(&from, 0) || cuEventCreate(&to, 0))) r = (int)CUDNN_STATUS_EXECUTION_FAILED;
	for (int i = 0; i < 3 && !r; i++) {
		if (cuEventRecord(from, stream)) r = (int)CUDNN_STATUS_EXECUTION_FAILED;
		if (!r) r = wick_conv(context, h, pass, wide, x_, x, w_, w, c_, y_, y, algo, space, n);
		if (!r && (cuEventRecord(to, stream) || cuEventSynchronize(to) || cuEventElapsedTime(&ms[i], from, to))) r = (int)CUDNN_STATUS_EXECUTION_FAILED;
	}
	if (from) cuEventDestroy(from);
	if (to) cuEventDestroy(to);
	float most = ms[0] > ms[1] ? ms[0] : ms[1], least = ms[0] > ms[1] ? ms[1] : ms[0];
	*took = ms[2] > most ? most : ms[2] < least ? least : ms[2];
	return r;
}
static int wick_capturing(CUcontext context, CUstream s) {
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	return !cuCtxSetCurrent(context) && !cuStreamIsCapturing(s, &status) && status != CU_STREAM_CAPTURE_STATUS_NONE;
}
*/
import "C"

import (
	"fmt"
	"math"
	"slices"

	cudnn "gorgonia.org/cu/dnn"

	"github.com/wick-ml/wick/internal/backend"
)

// pass is one of a convolution's products.
type pass int

const (
	forward pass = iota
	inputGrad
	weightGrad
)

// workspaceLimit is how much memory an algorithm may take for itself.
const workspaceLimit = 512 << 20

// bfloat16 is CUDNN_DATA_BFLOAT16, which dnn has no name for.
const bfloat16 cudnn.DataType = 9

// convolutionKey is what an algorithm is chosen by.
type convolutionKey struct {
	g     backend.ConvGeom
	dtype backend.DType
	pass  pass
	exact bool // float32 products without TF32
	backend.Algorithms
}

// convolution is how cuDNN does a pass. It keeps the descriptors, so that no
// finalizer destroys one while cuDNN uses it.
type convolution struct {
	x, y      *cudnn.TensorDescriptor
	w         *cudnn.Filter
	conv      *cudnn.Convolution
	algorithm C.int
	workspace C.size_t
}

// convolutionOf returns how to do a pass: by the first algorithm of cuDNN's heuristic
// that fits, or, where algorithms are measured, the fastest on the arrays, of which
// the result is overwritten. The libraries are locked.
func (be *Backend) convolutionOf(k convolutionKey, x, w, y pointer) *convolution {
	if c, ok := be.convolutions[k]; ok {
		return c
	}
	if k.Benchmark && C.wick_capturing(be.c(), be.s()) != 0 {
		// Nothing can be measured now, and what is captured was rehearsed before.
		k.Benchmark = false
		return be.convolutionOf(k, x, w, y)
	}
	c, err := newConvolution(k)
	if err != nil {
		panic(fmt.Errorf("cuDNN takes no convolution %+v of %s: %w", k.g, k.dtype, err))
	}
	candidates := be.candidates(k, c)
	if len(candidates) == 0 {
		panic(fmt.Errorf("cuDNN proposes no algorithm for a convolution %+v of %s that needs at most %d MiB; deterministic %t", k.g, k.dtype, workspaceLimit>>20, k.Deterministic))
	}
	best := candidates[0]
	if k.Benchmark && len(candidates) > 1 {
		best = be.fastest(k, c, candidates, x, w, y)
	}
	be.choose(k, c, best)
	checkDNN("cudnnGetConvolutionWorkspaceSize", C.wick_conv_workspace(be.c(), handle(be.dnn), C.int(k.pass), handle(c.x), handle(c.w), handle(c.conv), handle(c.y), c.algorithm, &c.workspace))
	be.convolutions[k] = c
	return c
}

// candidates are the algorithms that cuDNN's heuristic proposes and a pass may take,
// the best first.
func (be *Backend) candidates(k convolutionKey, c *convolution) []C.struct_wick_algorithm {
	all, n := make([]C.struct_wick_algorithm, 16), C.int(0)
	checkDNN("cudnnGetConvolutionAlgorithm_v7", C.wick_conv_propose(be.c(), handle(be.dnn), C.int(k.pass), handle(c.x), handle(c.w), handle(c.conv), handle(c.y), &all[0], &n))
	return slices.DeleteFunc(all[:n], func(a C.struct_wick_algorithm) bool {
		return a.memory > workspaceLimit || k.Deterministic && a.deterministic == 0
	})
}

// choose makes an algorithm the one of a convolution.
func (be *Backend) choose(k convolutionKey, c *convolution, a C.struct_wick_algorithm) {
	c.algorithm, c.workspace = a.algo, a.memory
	if !k.exact { // where it is, the math stays FMA
		checkDNN("cudnnSetConvolutionMathType", C.wick_conv_math(handle(c.conv), a.math))
	}
}

// fastest measures algorithms. Those that fail, or find no room for their workspace,
// are out.
func (be *Backend) fastest(k convolutionKey, c *convolution, candidates []C.struct_wick_algorithm, x, w, y pointer) C.struct_wick_algorithm {
	best, least := candidates[0], C.float(math.Inf(1))
	for _, a := range candidates {
		be.choose(k, c, a)
		space, ok := pointer(0), true
		if a.memory > 0 {
			if space, ok = be.tryGet(int(a.memory)); !ok {
				continue
			}
		}
		var took C.float
		r := C.wick_conv_measure(be.c(), be.s(), handle(be.dnn), C.int(k.pass), wide(k.dtype), handle(c.x), C.CUdeviceptr(x), handle(c.w), C.CUdeviceptr(w), handle(c.conv),
			handle(c.y), C.CUdeviceptr(y), c.algorithm, C.CUdeviceptr(space), c.workspace, &took)
		if a.memory > 0 {
			be.pool.Put(space, int(a.memory))
		}
		if r == 0 && took < least {
			best, least = a, took
		}
	}
	return best
}

// tryGet is the pool's Get, but returns false where there is no room.
func (be *Backend) tryGet(n int) (p pointer, ok bool) {
	defer func() {
		switch e := recover().(type) {
		case nil, *backend.MemoryError:
		default:
			panic(e)
		}
	}()
	return be.pool.Get(n), true
}

// wide says that numbers of a type are scaled by float64 numbers.
func wide(t backend.DType) C.int {
	if t == backend.Float64 {
		return 1
	}
	return 0
}

// newConvolution makes the descriptors.
func newConvolution(k convolutionKey) (c *convolution, err error) {
	g := k.g
	dtype := [...]cudnn.DataType{backend.Float32: cudnn.Float, backend.Float64: cudnn.Double, backend.Float16: cudnn.Half, backend.BFloat16: bfloat16}[k.dtype]
	sum, product := cudnn.Float, cudnn.DefaultMath // which takes TF32 for float32
	switch {
	case k.dtype == backend.Float64:
		sum = cudnn.Double
	case k.dtype != backend.Float32:
		product = cudnn.TensorOpMath
	case k.exact:
		product = cudnn.FmaMath
	}
	c = &convolution{}
	if c.x, err = cudnn.NewTensorDescriptor(cudnn.NCHW, dtype, []int{g.N, g.C, g.H, g.W}, nil); err != nil {
		return nil, err
	}
	if c.y, err = cudnn.NewTensorDescriptor(cudnn.NCHW, dtype, []int{g.N, g.K, g.P, g.Q}, nil); err != nil {
		return nil, err
	}
	if c.w, err = cudnn.NewFilter(dtype, cudnn.NCHW, []int{g.K, g.C / g.Groups, g.R, g.S}); err != nil {
		return nil, err
	}
	c.conv, err = cudnn.NewConvolution(product, g.Groups, []int{g.PadH, g.PadW}, []int{g.StrideH, g.StrideW}, []int{g.DilationH, g.DilationW}, cudnn.CrossCorrelation, sum)
	return c, err
}

// exact reports whether float32 products are to be exact.
func (be *Backend) exact() bool { return be.precision == backend.Highest }

// convolve does a pass, which overwrites one of the arrays, without TF32 if exact. Those that do not begin
// at a multiple of 16 bytes, as tensor cores need it, go through a copy.
func (be *Backend) convolve(p pass, x, w, y backend.Array, exact bool, g backend.ConvGeom) {
	result := [...]backend.Array{forward: y, inputGrad: x, weightGrad: w}[p]
	bytes := func(a backend.Array) int { return a.Len * a.DType().Size() }
	if result.Len == 0 {
		return
	}
	if x.Len == 0 || w.Len == 0 || y.Len == 0 {
		be.set(address(result), 0, bytes(result))
		return
	}
	if part := covered(g); part != g {
		be.convolveCovered(p, x, w, y, exact, g, part)
		return
	}
	be.computes()
	from := be.lend()
	aligned := func(a backend.Array) pointer {
		at := address(a)
		if at%16 == 0 {
			return at
		}
		copied := from.Get(bytes(a))
		if a != result {
			be.copy(copied, at, bytes(a))
		}
		return copied
	}
	xAt, wAt, yAt := aligned(x), aligned(w), aligned(y)
	defer func() {
		for _, c := range []struct {
			a  backend.Array
			at pointer
		}{{x, xAt}, {w, wAt}, {y, yAt}} {
			if c.at != address(c.a) {
				from.Put(c.at, bytes(c.a))
			}
		}
	}()
	g.ReLU = false
	be.libraries.Lock()
	defer be.libraries.Unlock()
	c := be.convolutionOf(convolutionKey{g, x.DType(), p, exact && x.DType() == backend.Float32, be.algorithms}, xAt, wAt, yAt)
	space := pointer(0)
	if c.workspace > 0 {
		space = from.Get(int(c.workspace))
		defer from.Put(space, int(c.workspace))
	}
	checkDNN("cudnnConvolution", C.wick_conv(be.c(), handle(be.dnn), C.int(p), wide(x.DType()), handle(c.x), C.CUdeviceptr(xAt), handle(c.w), C.CUdeviceptr(wAt), handle(c.conv),
		handle(c.y), C.CUdeviceptr(yAt), c.algorithm, C.CUdeviceptr(space), c.workspace))
	if to := [...]pointer{forward: yAt, inputGrad: xAt, weightGrad: wAt}[p]; to != address(result) {
		be.copy(address(result), to, bytes(result))
	}
}

// Conv2d convolves with cuDNN; a kernel does what comes after.
func (be *Backend) Conv2d(dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	if scale.None() && bias.None() && !g.ReLU {
		be.convolve(forward, x, w, dst, be.exact(), g)
		return
	}
	// The result is rounded once, so that of half width is computed in float32; TF32 holds its factors exactly.
	var t temporaries
	defer be.release(&t)
	y := dst
	exact := be.exact()
	if dst.DType().IsHalf() {
		exact = false
		x, w = be.widened(&t, x), be.widened(&t, w)
		y = be.temporary(&t, backend.Float32, dst.Len)
	}
	be.convolve(forward, x, w, y, exact, g)
	var p params
	param(&p, address(dst))
	param(&p, address(y))
	param(&p, address(be.widened(&t, scale)))
	param(&p, address(be.widened(&t, bias)))
	param(&p, int64(g.P*g.Q))
	param(&p, int64(g.K))
	param(&p, flag(g.ReLU))
	be.each("conv_after_"+suffix(dst.DType()), dst.Len, &p)
}

// Conv2dInputGrad computes the gradient of the input.
func (be *Backend) Conv2dInputGrad(dx, dy, w backend.Array, g backend.ConvGeom) {
	be.convolve(inputGrad, dx, w, dy, be.exact(), g)
}

// Conv2dWeightGrad computes the gradient of the weight.
func (be *Backend) Conv2dWeightGrad(dw, dy, x backend.Array, g backend.ConvGeom) {
	be.convolve(weightGrad, x, dw, dy, be.exact(), g)
}
