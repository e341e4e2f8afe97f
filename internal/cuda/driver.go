//go:build cuda && linux

package cuda

/*
#cgo noescape wick_launch
#cgo nocallback wick_launch
#cgo noescape wick_upload
#cgo nocallback wick_upload
#cgo noescape wick_download
#cgo nocallback wick_download
#include <cuda.h>
#include <stdint.h>

#define IN(context, call) { \
	CUresult r = cuCtxSetCurrent(context); \
	return r ? r : (call); \
}

// The parameters of a kernel lie in words one behind the other; at tells where each begins. The first lies elsewhere if first
// says so.
static CUresult wick_launch(CUcontext c, CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned block, unsigned shared, CUstream s, const void *first, const uint64_t *words, const int *at, int n) {
	void *p[32];
	CUresult r = cuCtxSetCurrent(c);
	if (r) return r;
	for (int i = 0; i < n; i++) p[i] = (void *)(words + at[i]);
	if (first) p[0] = (void *)first;
	return cuLaunchKernel(f, gx, gy, gz, block, 1, 1, shared, s, p, 0);
}
static CUresult wick_alloc(CUcontext c, CUdeviceptr *p, size_t n) IN(c, cuMemAlloc(p, n))
static CUresult wick_free(CUcontext c, CUdeviceptr p) IN(c, cuMemFree(p))
static CUresult wick_info(CUcontext c, size_t *free, size_t *total) IN(c, cuMemGetInfo(free, total))
static CUresult wick_upload(CUcontext c, CUdeviceptr to, const void *from, size_t n, CUstream s) IN(c, cuMemcpyHtoDAsync(to, from, n, s))
static CUresult wick_pinned(CUcontext c, void **p, size_t n) IN(c, cuMemHostAlloc(p, n, CU_MEMHOSTALLOC_PORTABLE))
// The record of faults comes with what is fetched, in one wait.
static CUresult wick_download(CUcontext c, void *to, CUdeviceptr from, size_t n, void *told, CUdeviceptr record, size_t bytes, CUstream s) {
	CUresult r = cuCtxSetCurrent(c);
	if (!r) r = cuMemcpyDtoHAsync(told, record, bytes, s);
	if (!r) r = cuMemcpyDtoHAsync(to, from, n, s);
	return r ? r : cuStreamSynchronize(s);
}
static CUresult wick_copy(CUcontext c, CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) IN(c, cuMemcpyDtoDAsync(to, from, n, s))
static CUresult wick_set(CUcontext c, CUdeviceptr to, unsigned char v, size_t n, CUstream s) IN(c, cuMemsetD8Async(to, v, n, s))
static CUresult wick_wait(CUcontext c, CUstream s) IN(c, cuStreamSynchronize(s))
static CUresult wick_init(void) { // not the one that cu calls, which hides its result
#undef cuInit
	return cuInit(0);
}
static const char *wick_error(CUresult e) {
	const char *s = 0;
	cuGetErrorName(e, &s);
	return s ? s : "unknown error";
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cuda/dl"
)

// pointer is an address in the device's memory.
type pointer = cu.DevicePtr

// driverError names a call of the driver and what it returned.
type driverError struct {
	call string
	code C.CUresult
}

func (e *driverError) Error() string {
	what := fmt.Sprintf("%s: %s", e.call, C.GoString(C.wick_error(e.code)))
	if e.code == C.CUDA_ERROR_ILLEGAL_ADDRESS || e.code == C.CUDA_ERROR_LAUNCH_FAILED || e.code == C.CUDA_ERROR_ECC_UNCORRECTABLE {
		what += "; the device is lost to this process, which has to be started again"
	}
	return what
}

// DeviceFailed makes it a backend.DeviceError.
func (e *driverError) DeviceFailed() {}

var _ backend.DeviceError = (*driverError)(nil)

// check panics with what a call returned: an operation cannot return an error.
// tensor.Try returns it.
func check(call string, code C.CUresult) {
	if code != C.CUDA_SUCCESS {
		panic(&driverError{call, code})
	}
}

// device is a GPU with its context and the stream that all work goes into.
type device struct {
	index   int
	name    string
	context cu.CUContext
	stream  cu.Stream
	units   int // multiprocessors
	major   int // of the compute capability

	recorder atomic.Pointer[recorder]
}

func (d *device) c() C.CUcontext { return *(*C.CUcontext)(unsafe.Pointer(&d.context)) }
func (d *device) s() C.CUstream  { return *(*C.CUstream)(unsafe.Pointer(&d.stream)) }

// openDevice readies the GPU of an index.
func openDevice(index int) (*device, error) {
	if missing, _, _ := dl.Missing(); missing != "" {
		return nil, fmt.Errorf("there is no NVIDIA driver (%s); install the driver of your GPU", missing)
	}
	if r := C.wick_init(); r == C.CUDA_ERROR_NO_DEVICE {
		return nil, fmt.Errorf("the driver finds no GPU (%s); nvidia-smi shows what it sees, and CUDA_VISIBLE_DEVICES may hide some", C.GoString(C.wick_error(r)))
	} else if r != C.CUDA_SUCCESS {
		return nil, fmt.Errorf("the driver does not start: %w", &driverError{"cuInit", r})
	}
	var version C.int
	if r := C.cuDriverGetVersion(&version); r != C.CUDA_SUCCESS {
		return nil, &driverError{"cuDriverGetVersion", r}
	}
	if version < 12000 {
		return nil, fmt.Errorf("the driver is of CUDA %d.%d, want 12.0 or later; install a newer driver", version/1000, version%1000/10)
	}
	n, err := cu.NumDevices()
	if err != nil {
		return nil, fmt.Errorf("cuDeviceGetCount: %w", err)
	}
	if index < 0 || index >= n {
		return nil, fmt.Errorf("there is no device %d; this machine has %d, counted from 0", index, n)
	}
	// What cu does itself needs the context on the thread that calls.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dev, err := cu.GetDevice(index)
	if err != nil {
		return nil, fmt.Errorf("cuDeviceGet: %w", err)
	}
	d := &device{index: index}
	if d.name, err = dev.Name(); err != nil {
		return nil, fmt.Errorf("cuDeviceGetName: %w", err)
	}
	if d.units, err = dev.Attribute(cu.MultiprocessorCount); err != nil {
		return nil, fmt.Errorf("cuDeviceGetAttribute: %w", err)
	}
	if d.major, err = dev.Attribute(cu.ComputeCapabilityMajor); err != nil {
		return nil, fmt.Errorf("cuDeviceGetAttribute: %w", err)
	}
	if d.context, err = dev.RetainPrimaryCtx(); err != nil {
		return nil, fmt.Errorf("cuDevicePrimaryCtxRetain: %w", err)
	}
	if err = cu.SetCurrentContext(d.context); err != nil {
		return nil, fmt.Errorf("cuCtxSetCurrent: %w", err)
	}
	if d.stream, err = cu.MakeStream(cu.NonBlocking); err != nil {
		return nil, fmt.Errorf("cuStreamCreate: %w", err)
	}
	return d, nil
}

// alloc returns n bytes of the device's memory, and false if there is no room.
func (d *device) alloc(n int) (p pointer, ok bool) {
	var c C.CUdeviceptr
	r := C.wick_alloc(d.c(), &c, C.size_t(n))
	if r == C.CUDA_ERROR_OUT_OF_MEMORY {
		return 0, false
	}
	check("cuMemAlloc", r)
	return pointer(c), true
}

// free gives memory back to the driver. The 0 of an empty block is none.
func (d *device) free(p pointer) {
	if p != 0 {
		check("cuMemFree", C.wick_free(d.c(), C.CUdeviceptr(p)))
	}
}

// memory returns the bytes that are free on the device, and all that it has.
func (d *device) memory() (free, total int64) {
	var f, t C.size_t
	check("cuMemGetInfo", C.wick_info(d.c(), &f, &t))
	return int64(f), int64(t)
}

// upload copies bytes to the device. They may be changed when it returns.
func (d *device) upload(to pointer, from []byte) {
	d.cannotCapture("takes numbers from the host's memory")
	d.send(to, from)
}

// send is upload for what is no part of a step.
func (d *device) send(to pointer, from []byte) {
	d.computes()
	if len(from) > 0 {
		check("cuMemcpyHtoDAsync", C.wick_upload(d.c(), C.CUdeviceptr(to), unsafe.Pointer(&from[0]), C.size_t(len(from)), d.s()))
	}
}

// pinned returns n bytes of the host's memory that the device reads and writes by
// itself. They are never given back.
func (d *device) pinned(n int) unsafe.Pointer {
	p, code := d.tryPinned(n)
	check("cuMemHostAlloc", code)
	return p
}

// tryPinned is pinned that returns what the driver said.
func (d *device) tryPinned(n int) (p unsafe.Pointer, code C.CUresult) {
	code = C.wick_pinned(d.c(), &p, C.size_t(n))
	return p, code
}

// download copies n bytes from the device, and the record into told, once what is
// in the stream is done.
func (d *device) download(to unsafe.Pointer, from pointer, n int, told unsafe.Pointer, record pointer, bytes int) {
	check("cuMemcpyDtoHAsync", C.wick_download(d.c(), to, C.CUdeviceptr(from), C.size_t(n), told, C.CUdeviceptr(record), C.size_t(bytes), d.s()))
}

// copy copies n bytes on the device.
func (d *device) copy(to, from pointer, n int) {
	if n > 0 {
		d.computes()
		check("cuMemcpyDtoDAsync", C.wick_copy(d.c(), C.CUdeviceptr(to), C.CUdeviceptr(from), C.size_t(n), d.s()))
	}
}

// set sets n bytes on the device.
func (d *device) set(to pointer, v byte, n int) {
	if n > 0 {
		d.computes()
		check("cuMemsetD8Async", C.wick_set(d.c(), C.CUdeviceptr(to), C.uchar(v), C.size_t(n), d.s()))
	}
}

// wait waits until all that is in the stream is done.
func (d *device) wait() { check("cuStreamSynchronize", C.wick_wait(d.c(), d.s())) }

// params are a kernel's parameters. Each takes whole words of eight bytes.
type params struct {
	first unsafe.Pointer // the first parameter, if it is too large for words
	words [96]uint64
	at    [32]C.int
	n     int // parameters
	end   int // words
}

// param adds a parameter of any fixed size: a number, a pointer or a struct.
func param[T any](p *params, v T) {
	p.at[p.n] = C.int(p.end)
	p.n++
	*(*T)(unsafe.Pointer(&p.words[p.end])) = v
	p.end += (int(unsafe.Sizeof(v)) + 7) / 8
}

// launch puts a kernel into the stream: grid blocks of threads threads.
func (d *device) launch(f cu.Function, grid [3]int, threads, shared int, p *params) {
	d.computes()
	check("cuLaunchKernel", C.wick_launch(d.c(), *(*C.CUfunction)(unsafe.Pointer(&f)), C.uint(grid[0]), C.uint(grid[1]), C.uint(grid[2]), C.uint(threads),
		C.uint(shared), d.s(), p.first, (*C.uint64_t)(unsafe.Pointer(&p.words[0])), &p.at[0], C.int(p.n)))
}
