//go:build cuda && linux

package cuda

/*
#include <cuda.h>
#include <stdlib.h>

// Loads the module of one kernel. Another thread's work, or this one's, may be recorded into a graph meanwhile, which
// loading does not disturb if the driver is told so.
static CUresult wick_load(CUcontext c, const char *image, const char *name, CUmodule *module, CUfunction *f) {
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	CUresult r = cuCtxSetCurrent(c);
	if (!r) r = cuThreadExchangeStreamCaptureMode(&mode);
	if (r) return r;
	r = cuModuleLoadData(module, image);
	if (!r) r = cuModuleGetFunction(f, *module, name);
	cuThreadExchangeStreamCaptureMode(&mode);
	return r;
}
*/
import "C"

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/wick-ml/wick/internal/backend"
)

//go:generate python3 kernels/ptx.py

// compressed is all kernels as PTX of CUDA 12.0, which later drivers take too, each a
// module of its own: a line that begins with kernelLine and ends with the kernel's
// name, and the module behind it. Functions that the rules of Map call stand among them;
// they are no modules.
//
//go:embed kernels.ptx.gz
var compressed []byte

const kernelLine = "// kernel "

// image returns the modules by the kernels' names.
var image = sync.OnceValues(func() (map[string]string, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("the kernels in this program are damaged: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("the kernels in this program are damaged: %w", err)
	}
	modules := map[string]string{}
	for _, part := range strings.Split(string(text), "\n"+kernelLine)[1:] {
		name, module, _ := strings.Cut(part, "\n")
		modules[name] = module
	}
	return modules, nil
})

// names are the kernels that methods ask for.
var names []string

// single returns a kernel of which there is one.
func single(name string) string {
	names = append(names, name)
	return name
}

// kernels are the names of a kernel for each type of elements.
type kernels [backend.Float16 + 1]string

var (
	floatTypes = []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16}
	allTypes   = append([]backend.DType{backend.Int64, backend.Uint8, backend.Bool}, floatTypes...)
)

// typed returns the kernels of a name for some types.
func typed(prefix string, types []backend.DType) (k kernels) {
	for _, t := range types {
		k[t] = single(prefix + suffix(t))
	}
	return k
}

// sized are the names of a kernel for each number of bytes that an element has.
type sized [17]string

func forSizes(prefix string, more ...int) (k sized) {
	for _, n := range append([]int{1, 2, 4, 8}, more...) {
		k[n] = single(prefix + strconv.Itoa(n))
	}
	return k
}

// kernelError says that a driver does not take a kernel.
type kernelError struct {
	name   string
	driver C.int // version
	err    *driverError
}

func (e *kernelError) Error() string {
	return fmt.Sprintf("the driver of CUDA %d.%d refuses the kernel %s, which is PTX of CUDA 12.0 (%v); install a newer driver, or use a GPU of compute capability 7.0 or later",
		e.driver/1000, e.driver%1000/10, e.name, e.err)
}

func (e *kernelError) Unwrap() error { return e.err }

// functions are the kernels that a device has translated so far, by name. It is never changed: a new one takes its place.
type functions = map[string]cu.Function

// function returns the kernel of a name. The driver translates it when it is asked
// for it first, which takes some hundredths of a second, and keeps the translation in
// a file for other programs.
func (be *Backend) function(name string) cu.Function {
	if f, ok := (*be.functions.Load())[name]; ok {
		return f
	}
	f, err := be.load(strings.Clone(name)) // so that names that callers put together stay on their stacks
	if err != nil {
		panic(err)
	}
	return f
}

// load loads a kernel's module.
func (be *Backend) load(name string) (cu.Function, error) {
	return be.translate(name, name, func() (string, error) {
		modules, err := image()
		if err != nil {
			return "", err
		}
		text, ok := modules[name]
		if !ok {
			return "", fmt.Errorf("there is no kernel %s in this program", name)
		}
		return text, nil
	})
}

// translate returns the kernel of a name in the module that text gives, which the device
// keeps under a key.
func (be *Backend) translate(key, name string, text func() (string, error)) (f cu.Function, err error) {
	if f, ok := (*be.functions.Load())[key]; ok {
		return f, nil
	}
	be.loading.Lock()
	defer be.loading.Unlock()
	before := *be.functions.Load()
	if f, ok := before[key]; ok {
		return f, nil
	}
	module, err := text()
	if err != nil {
		return f, err
	}
	ctext, cname := C.CString(module), C.CString(name)
	defer C.free(unsafe.Pointer(ctext))
	defer C.free(unsafe.Pointer(cname))
	var m C.CUmodule
	if r := C.wick_load(be.c(), ctext, cname, &m, (*C.CUfunction)(unsafe.Pointer(&f))); r != C.CUDA_SUCCESS {
		e := &kernelError{name: name, err: &driverError{"cuModuleLoadData", r}}
		C.cuDriverGetVersion(&e.driver)
		return f, e
	}
	after := maps.Clone(before)
	after[key] = f
	be.functions.Store(&after)
	return f, nil
}
