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

// A convolution with a bias for each channel, and what comes after it, in one pass.
static int wick_conv_bias(CUcontext context, void *h, int wide, void *x_, CUdeviceptr x, void *w_, CUdeviceptr w, void *c_, void *b_, CUdeviceptr b, void *activation, void *y_, CUdeviceptr y,
	int algo, CUdeviceptr space, size_t n) {
	double one = 1, zero = 0;
	float oneF = 1, zeroF = 0;
	void *alpha = wide ? (void *)&one : (void *)&oneF, *none = wide ? (void *)&zero : (void *)&zeroF;
	if (cuCtxSetCurrent(context)) return (int)CUDNN_STATUS_EXECUTION_FAILED;
	return (int)cudnnConvolutionBiasActivationForward((cudnnHandle_t)h, alpha, x_, (void *)x, w_, (void *)w, c_, (cudnnConvolutionFwdAlgo_t)algo, (void *)space, n, none, y_, (void *)y,
		b_, (void *)b, activation, y_, (void *)y);
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
static int wick_dnn_strides(void *x, int dims, int *got, int *strides) {
	cudnnDataType_t type;
	int size[8];
	return (int)cudnnGetTensorNdDescriptor((cudnnTensorDescriptor_t)x, dims, &type, got, size, strides);
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
	last  bool // channels last
	backend.Algorithms
}

// convolution is how cuDNN does a pass. It keeps the descriptors, so that no
// finalizer destroys one while cuDNN uses it.
type convolution struct {
	x, y      *cudnn.TensorDescriptor
	w         *cudnn.Filter
	conv      *cudnn.Convolution
	bias      *cudnn.TensorDescriptor
	chosen    bool // or there is no algorithm
	none      bool
	others    []C.struct_wick_algorithm // that may be taken where the chosen one fails after all
	apart     bool                      // cuDNN adds no bias in the same pass
	algorithm C.int
	workspace C.size_t
}

// channelsLast is the rule which convolutions work channels last: all of half precision,
// since cuDNN's kernels for tensor cores take nothing else and it transposes other
// arrays before and after each convolution, and those of float32 numbers with TF32,
// if the channels are whole runs of 16 bytes. A first layer's few channels (three of
// an image) are no reason against it: its result, which is larger, would have to be
// converted instead. Convolutions in groups are among them if they are of half precision,
// where PyTorch does the same. Exact products of float32 and float64 numbers use no
// tensor cores.
func channelsLast(t backend.DType, exact bool, g backend.ConvGeom) bool {
	switch {
	case t.IsHalf():
		return true
	case t == backend.Float32 && !exact:
		return g.Groups == 1 && g.K%4 == 0 && (g.C%4 == 0 || g.C < 4)
	}
	return false
}

// convolutionOf returns how to do a pass: by the first algorithm of cuDNN's heuristic
// that fits, or, where algorithms are measured, the fastest on the arrays, of which
// the result is overwritten. The libraries are locked.
func (be *Backend) convolutionOf(k convolutionKey, x, w, y pointer) *convolution {
	c := be.described(k)
	if c.none {
		panic(fmt.Errorf("cuDNN proposes no algorithm for a convolution %+v of %s that needs at most %d MiB; deterministic %t", k.g, k.dtype, workspaceLimit>>20, k.Deterministic))
	}
	if c.chosen {
		return c
	}
	if k.Benchmark && C.wick_capturing(be.c(), be.s()) != 0 {
		// Nothing can be measured now, and what is captured was rehearsed before.
		k.Benchmark = false
		return be.convolutionOf(k, x, w, y)
	}
	candidates := be.candidates(k, c)
	best := candidates[0]
	if k.Benchmark && len(candidates) > 1 {
		best = be.fastest(k, c, candidates, x, w, y)
	}
	be.choose(k, c, best)
	c.others = slices.DeleteFunc(candidates, func(a C.struct_wick_algorithm) bool { return a == best })
	checkDNN("cudnnGetConvolutionWorkspaceSize", C.wick_conv_workspace(be.c(), handle(be.dnn), C.int(k.pass), handle(c.x), handle(c.w), handle(c.conv), handle(c.y), c.algorithm, &c.workspace))
	c.chosen = true
	return c
}

// another chooses the next algorithm, since cuDNN does not do after all what it
// proposed, and returns false if there is none.
func (be *Backend) another(k convolutionKey, c *convolution) bool {
	if len(c.others) == 0 {
		return false
	}
	be.choose(k, c, c.others[0])
	c.others = c.others[1:]
	return true
}

// described returns a convolution, whose algorithm need not be chosen yet.
func (be *Backend) described(k convolutionKey) *convolution {
	if c, ok := be.convolutions[k]; ok {
		return c
	}
	c, err := newConvolution(k)
	if err != nil && !k.last {
		panic(fmt.Errorf("cuDNN takes no convolution %+v of %s: %w", k.g, k.dtype, err))
	}
	if err != nil {
		c = &convolution{none: true}
	} else {
		c.none = len(be.candidates(k, c)) == 0
	}
	be.convolutions[k] = c
	return c
}

// candidates are the algorithms that cuDNN's heuristic proposes and a pass may take,
// the best first.
func (be *Backend) candidates(k convolutionKey, c *convolution) []C.struct_wick_algorithm {
	all, n := make([]C.struct_wick_algorithm, 16), C.int(0)
	r := C.wick_conv_propose(be.c(), handle(be.dnn), C.int(k.pass), handle(c.x), handle(c.w), handle(c.conv), handle(c.y), &all[0], &n)
	if r != 0 && k.last {
		return nil // it may take the arrays row-major
	}
	checkDNN("cudnnGetConvolutionAlgorithm_v7", r)
	return slices.DeleteFunc(all[:n], func(a C.struct_wick_algorithm) bool {
		return a.memory > workspaceLimit || k.Deterministic && a.deterministic == 0 || k.exact && slices.Contains(inexact[k.pass], int(a.algo))
	})
}

// inexact are the algorithms whose transforms lose digits of float32 numbers: those by
// FFT and by Winograd's larger tiles. (cudnnConvolutionFwdAlgo_t 4, 5 and 7,
// cudnnConvolutionBwdDataAlgo_t 2, 3 and 5, cudnnConvolutionBwdFilterAlgo_t 2, 5 and 6)
var inexact = [...][]int{forward: {4, 5, 7}, inputGrad: {2, 3, 5}, weightGrad: {2, 5, 6}}

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

// newConvolution makes the descriptors: of four dimensions if it can be, else of five.
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
	dims := 3
	if _, flat := g.Flat(); flat {
		dims = 2
	}
	of := func(n, c int, size [3]int) []int { return append([]int{n, c}, size[3-dims:]...) }
	format := cudnn.NCHW
	if k.last {
		format = cudnn.NHWC
	}
	for _, d := range []struct {
		to    **cudnn.TensorDescriptor
		shape []int
	}{{&c.x, of(g.N, g.C, g.In)}, {&c.y, of(g.N, g.K, g.Out)}, {&c.bias, of(1, g.K, [3]int{1, 1, 1})}} {
		if *d.to, err = cudnn.NewTensorDescriptor(format, dtype, d.shape, nil); err != nil {
			return nil, err
		}
	}
	if c.w, err = cudnn.NewFilter(dtype, format, of(g.K, g.C/g.Groups, g.Kernel)); err != nil {
		return nil, err
	}
	c.conv, err = cudnn.NewConvolution(product, g.Groups, g.Pad[3-dims:], g.Stride[3-dims:], g.Dilation[3-dims:], cudnn.CrossCorrelation, sum)
	return c, err
}

// exact reports whether float32 products are to be exact.
func (be *Backend) exact() bool { return be.precision == backend.Highest }

// convolve does a pass, which overwrites one of the arrays, without TF32 if exact. It
// adds the bias, which may be absent, and takes ReLU if g says so, where cuDNN does it
// in the same pass: after reports that it is left to do.
func (be *Backend) convolve(p pass, x, w, y, bias backend.Array, exact bool, g backend.ConvGeom) (after bool) {
	g, _ = g.Flat() // which has more algorithms
	result := [...]backend.Array{forward: y, inputGrad: x, weightGrad: w}[p]
	after = !bias.None() || g.ReLU
	if result.Len == 0 {
		return false
	}
	if x.Len == 0 || w.Len == 0 || y.Len == 0 {
		be.set(address(result), 0, result.Len*result.DType().Size())
		return after
	}
	if part := covered(g); part != g {
		part.ReLU = false
		be.convolveCovered(p, x, w, y, exact, g, part)
		return after
	}
	be.computes()
	k := convolutionKey{g: g, dtype: x.DType(), pass: p, exact: exact && x.DType() == backend.Float32, Algorithms: be.algorithms}
	k.g.ReLU = false
	k.last = be.layouts == everywhere || be.layouts == byRule && channelsLast(k.dtype, k.exact, k.g)
	be.libraries.Lock()
	defer be.libraries.Unlock()
	if k.last && !be.described(k).none {
		if after, ok := be.convolveAs(k, x, w, y, result, bias, g.ReLU); ok {
			return after
		}
		be.described(k).none = true // cuDNN does nothing of what it proposed
	}
	k.last = false
	after, _ = be.convolveAs(k, x, w, y, result, bias, g.ReLU)
	return after
}

// convolveAs does a pass in the layout that k says; see convolve. It returns false
// where cuDNN does not do it channels last. The libraries are locked.
func (be *Backend) convolveAs(k convolutionKey, x, w, y, result, bias backend.Array, relu bool) (after, ok bool) {
	after = !bias.None() || relu
	from, g := be.lend(), k.g
	var t temporaries
	defer be.release(&t)
	var in, weight, out layout
	if k.last {
		in, weight, out = layout{g.N, g.C, volume(g.In)}, layout{g.K, g.C / g.Groups, volume(g.Kernel)}, layout{g.N, g.K, volume(g.Out)}
	}
	var places [3]pointer
	done := func() {}
	for i, a := range []struct {
		backend.Array
		layout
	}{{x, in}, {w, weight}, {y, out}} {
		switch {
		case a.Array != result:
			places[i] = be.factor(&t, a.Array, a.layout)
		case k.pass == weightGrad && k.last && !weight.plain(): // the optimizer wants it row-major
			places[i] = address(be.temporary(&t, w.DType(), w.Len))
			done = func() { be.toRows(address(w), places[1], w.DType(), weight) }
		case k.last:
			places[i], done = be.writeAs(&t, result, a.layout)
		default:
			places[i] = address(result)
		}
		if places[i]%16 != 0 { // a window, which tensor cores do not take
			copied, size := address(be.temporary(&t, result.DType(), result.Len)), result.Len*result.DType().Size()
			places[i], done = copied, func() { be.copy(address(result), copied, size) }
		}
	}
	c := be.convolutionOf(k, places[0], places[1], places[2])
	for {
		space := pointer(0)
		if c.workspace > 0 {
			space = from.Get(int(c.workspace))
		}
		size := c.workspace
		var r C.int
		fused := false
		if !bias.None() && bias.DType() == y.DType() && c.algorithm == implicitPrecomputedGEMM && !c.apart {
			activation := be.identity
			if relu {
				activation = be.relu
			}
			r = C.wick_conv_bias(be.c(), handle(be.dnn), wide(k.dtype), handle(c.x), C.CUdeviceptr(places[0]), handle(c.w), C.CUdeviceptr(places[1]), handle(c.conv),
				handle(c.bias), C.CUdeviceptr(be.factor(&t, bias, layout{})), handle(activation), handle(c.y), C.CUdeviceptr(places[2]), c.algorithm, C.CUdeviceptr(space), size)
			fused = r == 0
			c.apart = !fused
		}
		if !fused {
			r = C.wick_conv(be.c(), handle(be.dnn), C.int(k.pass), wide(k.dtype), handle(c.x), C.CUdeviceptr(places[0]), handle(c.w), C.CUdeviceptr(places[1]), handle(c.conv),
				handle(c.y), C.CUdeviceptr(places[2]), c.algorithm, C.CUdeviceptr(space), size)
		}
		if space != 0 {
			from.Put(space, int(size))
		}
		if r == 0 {
			done()
			return after && !fused, true
		}
		if !be.another(k, c) {
			if k.last {
				return after, false
			}
			checkDNN("cudnnConvolution", r)
		}
	}
}

// implicitPrecomputedGEMM is CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM, the
// only algorithm that adds a bias without ReLU.
const implicitPrecomputedGEMM = 1

// factor is where an array that a convolution reads lies in a layout, at a multiple of
// 16 bytes, as tensor cores need it.
func (be *Backend) factor(t *temporaries, a backend.Array, l layout) pointer {
	p := be.readAs(t, a, l)
	if p%16 == 0 {
		return p
	}
	copied := address(be.temporary(t, a.DType(), a.Len))
	be.copy(copied, p, a.Len*a.DType().Size())
	return copied
}

// Conv convolves with cuDNN, which adds the bias and takes ReLU where it can; else
// a kernel does what comes after. Results of half precision are rounded before and after
// that, as PyTorch does, but not before a scale: they are then computed in float32,
// with TF32, which holds their factors exactly.
func (be *Backend) Conv(dst, x, w, scale, bias backend.Array, g backend.ConvGeom) {
	defer keep(dst, x, w, scale, bias)
	if scale.None() {
		if after := be.convolve(forward, x, w, dst, bias, be.exact(), g); after && dst.Len > 0 {
			be.after(dst, scale, bias, g)
		}
		return
	}
	if dst.Len == 0 {
		return
	}
	plain := g
	plain.ReLU = false
	if !dst.DType().IsHalf() {
		be.convolve(forward, x, w, dst, backend.Array{}, be.exact(), plain)
		be.after(dst, scale, bias, g)
		return
	}
	var t temporaries
	defer be.release(&t)
	y := be.temporary(&t, backend.Float32, dst.Len)
	be.convolve(forward, be.widened(&t, x), be.widened(&t, w), y, backend.Array{}, false, plain)
	be.after(y, scale, bias, g)
	be.Copy(dst, y)
}

// after multiplies the channels of a convolution's result by scale, adds bias, and
// takes ReLU.
func (be *Backend) after(y, scale, bias backend.Array, g backend.ConvGeom) {
	var t temporaries
	defer be.release(&t)
	o := be.over(y.DType(), layout{g.N, g.K, volume(g.Out)}, written(y) != layout{})
	var p params
	param(&p, o.write(y))
	param(&p, o.numbers(be.widened(&t, scale)))
	param(&p, o.numbers(be.widened(&t, bias)))
	param(&p, flag(g.ReLU))
	o.launch("conv_after_", &p)
}

// ConvInputGrad computes the gradient of the input.
func (be *Backend) ConvInputGrad(dx, dy, w backend.Array, g backend.ConvGeom) {
	defer keep(dx, dy, w)
	be.convolve(inputGrad, dx, w, dy, backend.Array{}, be.exact(), g)
}

// ConvWeightGrad computes the gradient of the weight.
func (be *Backend) ConvWeightGrad(dw, dy, x backend.Array, g backend.ConvGeom) {
	defer keep(dw, dy, x)
	be.convolve(weightGrad, x, dw, dy, backend.Array{}, be.exact(), g)
}

// volume returns the number of elements of a size.
func volume(size [3]int) int { return size[0] * size[1] * size[2] }

// strides returns how far the entries of each dimension lie apart in what a
// descriptor describes.
func strides(d *cudnn.TensorDescriptor) []int {
	var n C.int
	var s [8]C.int
	checkDNN("cudnnGetTensorNdDescriptor", C.wick_dnn_strides(handle(d), C.int(len(s)), &n, &s[0]))
	all := make([]int, n)
	for i := range all {
		all[i] = int(s[i])
	}
	return all
}

func init() { goesOver("conv_after_") }
