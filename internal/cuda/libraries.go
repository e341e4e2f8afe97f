//go:build cuda && linux

package cuda

/*
#include <cuda.h>
#include <cudnn.h>

typedef struct cublasContext *cublasHandle_t;
int cublasCreate_v2(cublasHandle_t *);
int cublasSetStream_v2(cublasHandle_t, CUstream);
int cublasSetMathMode(cublasHandle_t, int);
const char *cublasGetStatusString(int);

static int wick_blas_open(void **handle, CUstream s) {
	cublasHandle_t h;
	int r = cublasCreate_v2(&h);
	if (!r) r = cublasSetStream_v2(h, s);
	// Sums of products of half precision stay float32: CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION.
	if (!r) r = cublasSetMathMode(h, 16);
	*handle = h;
	return r;
}
static int wick_dnn_stream(void *handle, CUstream s) { return (int)cudnnSetStream((cudnnHandle_t)handle, (cudaStream_t)s); }
static const char *wick_dnn_error(int status) { return cudnnGetErrorString((cudnnStatus_t)status); }
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"unsafe"

	"gorgonia.org/cu"
	cudnn "gorgonia.org/cu/dnn"

	"github.com/wick-ml/wick/internal/cuda/dl"
)

// libraries are cuDNN and cuBLAS on a device's stream. A handle serves one call at a
// time, hence the lock.
type libraries struct {
	sync.Mutex
	dnn          *cudnn.Context
	blas         unsafe.Pointer
	blasReady    bool // it has its workspace
	convolutions map[convolutionKey]*convolution

	identity, relu *cudnn.Activation
}

// libraryError names a call of cuDNN or cuBLAS and what it returned.
type libraryError struct{ call, status string }

func (e *libraryError) Error() string { return e.call + ": " + e.status }

// DeviceFailed makes it a backend.DeviceError.
func (e *libraryError) DeviceFailed() {}

// checkDNN panics with what a call of cuDNN returned.
func checkDNN(call string, status C.int) {
	if status != 0 {
		panic(&libraryError{call, C.GoString(C.wick_dnn_error(status))})
	}
}

// checkBLAS panics with what a call of cuBLAS returned.
func checkBLAS(call string, status C.int) {
	if status != 0 {
		panic(&libraryError{call, C.GoString(C.cublasGetStatusString(status))})
	}
}

// openLibraries readies cuDNN and cuBLAS.
func openLibraries(d *device) (l *libraries, err error) {
	if _, dnn, blas := dl.Missing(); dnn != "" {
		return nil, fmt.Errorf("cuDNN is missing, or is none of version 9 or 8 (%s); install cuDNN 9 for CUDA 13 or 12 and see that LD_LIBRARY_PATH names its folder", dnn)
	} else if blas != "" {
		return nil, fmt.Errorf("cuBLAS is missing, or is none of version 13 or 12 (%s); install the CUDA toolkit's cuBLAS 13 or 12 and see that LD_LIBRARY_PATH names its folder", blas)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(d.context); err != nil {
		return nil, fmt.Errorf("cuCtxSetCurrent: %w", err)
	}
	defer func() { // cudnn.NewContext panics with what cuDNN says
		if p := recover(); p != nil {
			err = fmt.Errorf("cuDNN or cuBLAS does not start: %v", p)
		}
	}()
	l = &libraries{dnn: cudnn.NewContext(), convolutions: map[convolutionKey]*convolution{}}
	for _, a := range []struct {
		to   **cudnn.Activation
		mode cudnn.ActivationMode
	}{{&l.identity, cudnn.Identity}, {&l.relu, cudnn.ReLU}} {
		if *a.to, err = cudnn.NewActivation(a.mode, cudnn.PropagateNan, 0); err != nil {
			return nil, fmt.Errorf("cudnnSetActivationDescriptor: %w", err)
		}
	}
	checkDNN("cudnnSetStream", C.wick_dnn_stream(handle(l.dnn), d.s()))
	checkBLAS("cublasCreate", C.wick_blas_open(&l.blas, d.s()))
	return l, nil
}

// handle returns the C handle that dnn keeps as the first field of its structs.
func handle[T cudnn.Context | cudnn.TensorDescriptor | cudnn.Filter | cudnn.Convolution | cudnn.Activation](p *T) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(p))
}

// cInt is a size as the libraries take it.
func cInt(n int) C.int {
	if n > math.MaxInt32 {
		panic(fmt.Errorf("a dimension of %d is more than cuDNN and cuBLAS take, %d at most", n, math.MaxInt32))
	}
	return C.int(n)
}
