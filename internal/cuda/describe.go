//go:build cuda && linux

package cuda

/*
#include <cuda.h>
#include <cudnn.h>

int cublasGetProperty(int, int *);

static CUresult wick_count(int *n) {
#undef cuInit // the wrapper header's hides its result
	CUresult r = cuInit(0);
	return r ? r : cuDeviceGetCount(n);
}
typedef struct {
	char name[256];
	int capability[2];
	size_t free, total;
} wick_gpu;
// Only an open context knows how many bytes are free.
static CUresult wick_describe(int i, wick_gpu *g) {
	CUdevice d;
	CUcontext c;
	CUresult r = cuDeviceGet(&d, i);
	if (!r) r = cuDeviceGetName(g->name, sizeof g->name, d);
	if (!r) r = cuDeviceGetAttribute(&g->capability[0], CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, d);
	if (!r) r = cuDeviceGetAttribute(&g->capability[1], CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, d);
	if (!r) r = cuDeviceTotalMem(&g->total, d);
	if (!r) r = cuDevicePrimaryCtxRetain(&c, d);
	if (r) return r;
	r = cuCtxSetCurrent(c);
	if (!r) r = cuMemGetInfo(&g->free, &g->total);
	cuCtxSetCurrent(0);
	cuDevicePrimaryCtxRelease(d);
	return r;
}
*/
import "C"

import (
	"fmt"
	"runtime"

	"github.com/wick-ml/wick/internal/cuda/dl"
)

// Describe looks at the driver, the libraries and the devices. It changes nothing.
func Describe() *Report {
	r := &Report{HeaderCUDA: C.CUDA_VERSION, HeaderDNN: C.CUDNN_VERSION}
	r.Driver.Path, r.DNN.Path, r.BLAS.Path = dl.Paths()
	r.Driver.Missing, r.DNN.Missing, r.BLAS.Missing = dl.Missing()
	if r.DNN.Missing == "" {
		r.DNN.Version, r.DNN.CUDA = int(C.cudnnGetVersion()), int(C.cudnnGetCudartVersion())
	}
	if r.BLAS.Missing == "" {
		var v [3]C.int
		for i := range v {
			if C.cublasGetProperty(C.int(i), &v[i]) != 0 {
				v = [3]C.int{}
				break
			}
		}
		r.BLAS.Version, r.BLAS.CUDA = int(v[0]*10000+v[1]*100+v[2]), int(v[0]*1000+v[1]*10)
	}
	if r.Driver.Missing != "" {
		return r
	}
	var version, n C.int
	if C.cuDriverGetVersion(&version) == C.CUDA_SUCCESS {
		r.Driver.Version, r.Driver.CUDA = int(version), int(version)
	}
	if e := C.wick_count(&n); e != C.CUDA_SUCCESS {
		r.Fault, r.Code = &driverError{"cuInit", e}, int(e)
		return r
	}
	runtime.LockOSThread() // the context is current on a thread
	defer runtime.UnlockOSThread()
	for i := range n {
		var c C.wick_gpu
		e := C.wick_describe(i, &c)
		g := GPU{Name: C.GoString(&c.name[0]), Capability: [2]int{int(c.capability[0]), int(c.capability[1])}, Free: int64(c.free), Total: int64(c.total)}
		if e != C.CUDA_SUCCESS {
			g.Fault = &driverError{fmt.Sprintf("device %d", i), e}
		}
		r.GPUs = append(r.GPUs, g)
	}
	return r
}
