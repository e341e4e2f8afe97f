/* This header is found before the toolkit's own cuda.h. It includes that one and
 * gives back what CUDA 13 changed and gorgonia.org/cu v0.9.6 was written for.
 * Drivers export the functions of all earlier versions, so nothing is emulated. */
#ifndef WICK_COMPAT_CUDA_H
#define WICK_COMPAT_CUDA_H
#include_next <cuda.h>

#if CUDA_VERSION < 12000
#error "Wick needs the headers of CUDA 12 or 13"
#endif

#if CUDA_VERSION >= 13000
#undef cuCtxCreate
#define cuCtxCreate cuCtxCreate_v2
CUresult CUDAAPI cuCtxCreate_v2(CUcontext *context, unsigned int flags, CUdevice device);

#undef cuEventElapsedTime /* the signature of _v2 is the same, but it needs a driver of CUDA 12.8 */
CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);

#undef cuMemAdvise
CUresult CUDAAPI cuMemAdvise(CUdeviceptr start, size_t bytes, CUmem_advise advice, CUdevice device);

#undef cuMemPrefetchAsync
CUresult CUDAAPI cuMemPrefetchAsync(CUdeviceptr start, size_t bytes, CUdevice device, CUstream stream);

#undef cuGraphAddDependencies
CUresult CUDAAPI cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to, size_t count);

#undef cuGraphGetEdges
CUresult CUDAAPI cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count);
#endif

/* gorgonia.org/cu calls cuInit when it is imported and ends the program where that
 * fails (cu.go:18). Where there is no GPU the failure has to wait until somebody asks
 * for one. */
static inline CUresult wick_compat_init(unsigned int flags) {
	(void)cuInit(flags);
	return CUDA_SUCCESS;
}
#ifndef WICK_REAL_CUINIT
#define cuInit wick_compat_init
#endif
#endif
