package tensor

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
	"github.com/wick-ml/wick/internal/cuda"
)

// Device is where tensors live and are computed with. There is one *Device for
// each place, so devices are compared with ==.
type Device struct {
	name      string
	backend   backend.Backend
	precision Precision

	algorithms backend.Algorithms
	recorder   atomic.Pointer[recorder] // of a step that is rehearsed or captured
}

// CPU is the machine's processors and memory. New tensors are made there.
var CPU = &Device{name: "cpu", backend: cpu.New()}

// String returns "cpu", or "cuda:0".
func (d *Device) String() string { return d.name }

// wantOpen panics unless d is a device.
func (d *Device) wantOpen(op string) {
	if d == nil || d.backend == nil {
		fail(op, "the device is nil or an empty Device; tensor.CPU and what CUDA returns are devices")
	}
}

// Precision says how exactly a device multiplies matrices and convolves float32
// tensors.
type Precision uint8

// The precisions. Highest, the default, is as exact as sums of float32 products.
// High allows a relative error (L2) of 5e-6 on the CPU, measured on a 3×3
// convolution with 256 channels, and TF32 on a GPU. Medium rounds factors to
// bfloat16. A device that gains nothing by it computes more exactly than asked.
const (
	Highest = Precision(backend.Highest)
	High    = Precision(backend.High)
	Medium  = Precision(backend.Medium)
)

// SetFloat32Precision sets the precision of products of float32 tensors on the
// device. It is to be called before work starts: no operation may run meanwhile.
// (torch.set_float32_matmul_precision)
func (d *Device) SetFloat32Precision(p Precision) {
	d.wantOpen("SetFloat32Precision")
	if p > Medium {
		fail("SetFloat32Precision", "got %d, want Highest, High or Medium", p)
	}
	d.backend.SetPrecision(backend.Precision(p))
	d.precision = p
}

// Float32Precision returns the precision of products of float32 tensors.
func (d *Device) Float32Precision() Precision {
	d.wantOpen("Float32Precision")
	return d.precision
}

// SetDeterministic says whether convolutions may only use algorithms that give the
// same bits each time. The default is false, as PyTorch's: on a GPU the gradients of
// a convolution may then differ in their last bits from run to run. The CPU always
// gives the same bits. It is to be called before work starts: no operation may run
// meanwhile. (torch.backends.cudnn.deterministic)
func (d *Device) SetDeterministic(on bool) {
	d.wantOpen("SetDeterministic")
	d.algorithms.Deterministic = on
	d.backend.SetAlgorithms(d.algorithms)
}

// SetBenchmark says whether a GPU measures the algorithms that it has for a
// convolution when it first sees one of a size, and takes the fastest from then on,
// instead of the one that is expected to be. The default is false. It pays where
// sizes repeat, and the choice, and so the last bits, may differ from run to run.
// The CPU measures nothing. It is to be called before work starts: no operation may
// run meanwhile. (torch.backends.cudnn.benchmark)
func (d *Device) SetBenchmark(on bool) {
	d.wantOpen("SetBenchmark")
	d.algorithms.Benchmark = on
	d.backend.SetAlgorithms(d.algorithms)
}

// gpus are the GPUs that have been opened.
var gpus struct {
	sync.Mutex
	opened map[int]*Device
}

// deviceNamed returns the device of that name, which is open.
func deviceNamed(name string) *Device {
	gpus.Lock()
	defer gpus.Unlock()
	for _, d := range gpus.opened {
		if d.name == name {
			return d
		}
	}
	return CPU
}

// CUDA returns the GPU with the given number, counted from 0. It is an error if
// there is none that this program can use; programs are built with the tag cuda
// to have one (docs/cuda.md). What a GPU computes has not been tried on a real one
// yet. (torch.device)
func CUDA(index int) (*Device, error) {
	gpus.Lock()
	defer gpus.Unlock()
	if d, ok := gpus.opened[index]; ok {
		return d, nil
	}
	name := fmt.Sprintf("cuda:%d", index)
	be, err := cuda.Open(index)
	if err != nil {
		return nil, fmt.Errorf("tensor: %s: %w", name, err)
	}
	if gpus.opened == nil {
		gpus.opened = map[int]*Device{}
	}
	d := &Device{name: name, backend: be}
	gpus.opened[index] = d
	return d, nil
}

// BestDevice returns the first GPU if there is one that this program can use,
// otherwise the CPU.
func BestDevice() *Device {
	if d, err := CUDA(0); err == nil {
		return d
	}
	return CPU
}

// CPUCapability names the kernels that the CPU computes with: "generic" (Go
// loops), "avx2", "avx512" or "amx", or on arm64 "neon", the best that the processor
// has. "neon" was tested by emulation and has not been measured yet. The environment variable
// WICK_CPU chooses another one when the program starts.
// (torch.backends.cpu.get_cpu_capability)
func CPUCapability() string { return cpu.Level() }

// MemoryStats is the memory that tensors take on a device, in bytes. On the CPU tensors
// of 32 bytes and less are not counted.
type MemoryStats struct {
	Live   int64 // in use by tensors now
	Peak   int64 // the most that was in use at once
	Cached int64 // kept for reuse, not in use
	Taken  int64 // allocated so far; it stands still while all requests are served from what is cached
}

// MemoryStats returns how much memory tensors use on the device (torch.cuda.memory_stats).
func (d *Device) MemoryStats() MemoryStats {
	d.wantOpen("MemoryStats")
	return MemoryStats(d.backend.MemoryStats())
}

// ResetPeakMemory sets the peak of the device's statistics to what is live now
// (torch.cuda.reset_peak_memory_stats).
func (d *Device) ResetPeakMemory() {
	d.wantOpen("ResetPeakMemory")
	d.backend.ResetPeak()
}
