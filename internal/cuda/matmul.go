//go:build cuda && linux

package cuda

/*
#include <cuda.h>

typedef struct cublasContext *cublasHandle_t;
int cublasSetWorkspace_v2(cublasHandle_t, void *, size_t);
int cublasGemmStridedBatchedEx(cublasHandle_t, int opA, int opB, int m, int n, int k, const void *alpha, const void *A, int typeA, int lda, long long strideA,
	const void *B, int typeB, int ldb, long long strideB, const void *beta, void *C, int typeC, int ldc, long long strideC, int count, int compute, int algorithm);

// All arrays have one type, and compute is of its kind: 70 is float64's.
static int wick_gemm(CUcontext context, void *handle, int opA, int opB, int m, int n, int k, CUdeviceptr a, int lda, long long strideA, CUdeviceptr b, int ldb, long long strideB,
	int accumulate, CUdeviceptr c, long long strideC, int type, int count, int compute) {
	double alpha = 1, beta = accumulate;
	float alphaF = 1, betaF = (float)accumulate;
	int wide = compute == 70;
	int r = (int)cuCtxSetCurrent(context);
	if (r) return 13; // execution failed
	return cublasGemmStridedBatchedEx((cublasHandle_t)handle, opA, opB, m, n, k, wide ? (void *)&alpha : (void *)&alphaF, (void *)a, type, lda, strideA, (void *)b, type, ldb, strideB,
		wide ? (void *)&beta : (void *)&betaF, (void *)c, type, m, strideC, count, compute, -1);
}
static int wick_blas_workspace(CUcontext context, void *handle, CUdeviceptr p, size_t n) {
	if (cuCtxSetCurrent(context)) return 13;
	return cublasSetWorkspace_v2((cublasHandle_t)handle, (void *)p, n);
}
*/
import "C"

import "github.com/wick-ml/wick/internal/backend"

// Numbers of cublas_api.h and library_types.h, which are not needed for more.
const (
	computeFloat32 = 68 // CUBLAS_COMPUTE_32F
	computeFloat64 = 70 // CUBLAS_COMPUTE_64F
	computeTF32    = 77 // CUBLAS_COMPUTE_32F_FAST_TF32
)

// cudaType is cuBLAS's number of a type of elements (cudaDataType).
func cudaType(t backend.DType) C.int {
	return [...]C.int{backend.Float32: 0, backend.Float64: 1, backend.Float16: 2, backend.BFloat16: 14}[t]
}

// blasSpace gives cuBLAS a workspace of its own before the first product: with one of
// a fixed size it takes the same algorithms each time, and allocates nothing while a
// step is captured. The sizes are those that its documentation recommends. The
// libraries are locked.
func (be *Backend) blasSpace() {
	if be.blasReady {
		return
	}
	n := 4 << 20
	if be.major >= 9 {
		n = 32 << 20
	}
	checkBLAS("cublasSetWorkspace", C.wick_blas_workspace(be.c(), be.blas, C.CUdeviceptr(be.take(n)), C.size_t(n)))
	be.blasReady = true
}

var matmul = typed("matmul_", []backend.DType{backend.Int64, backend.Uint8})

// wholeProducts multiplies matrices of whole numbers.
func (be *Backend) wholeProducts(dst, a, b backend.Array, g backend.MatMulGeom) {
	rowA, depthA, depthB, colB := g.LDA, 1, g.LDB, 1
	if g.TransA {
		rowA, depthA = 1, g.LDA
	}
	if g.TransB {
		depthB, colB = 1, g.LDB
	}
	from, with, to, size := reading(a), reading(b), address(dst), dst.DType().Size()
	n := g.Batch[1] * g.M * g.N
	for i := range g.Batch[0] {
		var p params
		param(&p, to+pointer(i*n*size))
		param(&p, from+pointer(i*g.StrideA[0]*size))
		param(&p, with+pointer(i*g.StrideB[0]*size))
		for _, v := range []int{g.M, g.N, g.K, g.StrideA[1], g.StrideB[1], rowA, depthA, depthB, colB} {
			param(&p, int64(v))
		}
		param(&p, flag(g.Accumulate))
		be.each(matmul[dst.DType()], n, &p)
	}
}

// mostMatrices is how many matrices cuBLAS takes in one call on every device.
const mostMatrices = 65535

// MatMul multiplies matrices with cuBLAS. That takes matrices by columns, in which
// a row-major matrix is its own transpose: dstᵀ = op(b)ᵀ · op(a)ᵀ.
func (be *Backend) MatMul(dst, a, b backend.Array, g backend.MatMulGeom) {
	defer keep(dst, a, b)
	g = g.Normal()
	if dst.Len == 0 {
		return
	}
	t := dst.DType()
	if !t.IsFloat() {
		be.wholeProducts(dst, a, b, g)
		return
	}
	if g.K == 0 {
		if !g.Accumulate {
			be.set(address(dst), 0, dst.Len*t.Size())
		}
		return
	}
	opA, opB := C.int(0), C.int(0)
	if g.TransA {
		opA = 1
	}
	if g.TransB {
		opB = 1
	}
	compute := computeFloat32
	switch {
	case t == backend.Float64:
		compute = computeFloat64
	case t == backend.Float32 && be.precision != backend.Highest:
		compute = computeTF32
	}
	accumulate := C.int(0)
	if g.Accumulate {
		accumulate = 1
	}
	be.computes()
	be.libraries.Lock()
	defer be.libraries.Unlock()
	from, with, to := reading(a), reading(b), address(dst)
	be.blasSpace()
	// One call takes the matrices of one level of the batch, the one that has more.
	one, each, strideC := 1, 0, [2]int{g.Batch[1] * g.M * g.N, g.M * g.N}
	if g.Batch[0] < g.Batch[1] {
		one, each = 0, 1
	}
	for j := range g.Batch[one] {
		for i := 0; i < g.Batch[each]; i += mostMatrices {
			at := func(p pointer, stride [2]int) C.CUdeviceptr {
				return C.CUdeviceptr(p + pointer((j*stride[one]+i*stride[each])*t.Size()))
			}
			checkBLAS("cublasGemmStridedBatchedEx", C.wick_gemm(be.c(), be.blas, opB, opA, cInt(g.N), cInt(g.M), cInt(g.K),
				at(with, g.StrideB), cInt(g.LDB), C.longlong(g.StrideB[each]), at(from, g.StrideA), cInt(g.LDA), C.longlong(g.StrideA[each]),
				accumulate, at(to, strideC), C.longlong(strideC[each]), cudaType(t), C.int(min(mostMatrices, g.Batch[each]-i)), C.int(compute)))
		}
	}
}
