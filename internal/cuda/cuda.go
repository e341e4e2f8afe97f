//go:build cuda && linux

package cuda

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/mem"
)

// Backend implements backend.Backend on one GPU.
type Backend struct {
	*device
	*libraries
	pool       *mem.Pool[pointer]
	precision  backend.Precision
	algorithms backend.Algorithms
	epoch      atomic.Uint64 // see forms
	transposed atomic.Int64  // conversions between row-major and channels last so far, which tests count
	layouts    layouts       // which tests set
	faults     faults
	uploads    uploads

	loading   sync.Mutex // of kernels
	functions atomic.Pointer[functions]
}

// Open returns a backend on the GPU of an index. It is an error if there is none
// that this program can use.
func Open(index int) (backend.Backend, error) {
	d, err := openDevice(index)
	if err != nil {
		return nil, err
	}
	l, err := openLibraries(d)
	if err != nil {
		return nil, err
	}
	be := &Backend{device: d, libraries: l}
	be.epoch.Store(1)
	be.functions.Store(&functions{})
	if _, err := be.load(fill[backend.Uint8]); err != nil { // a driver that refuses it refuses all
		return nil, err
	}
	be.pool = &mem.Pool[pointer]{New: be.take, Drop: d.free}
	be.openUploads()
	be.openFaults()
	return be, nil
}

// take makes a block of the device's memory. Where there is no room, it gives back
// what is cached, what the garbage collector finds too, and tries again.
func (be *Backend) take(n int) pointer {
	if n == 0 {
		return 0
	}
	for try := range 4 {
		if p, ok := be.alloc(n); ok {
			return p
		}
		if r := be.recorder.Load(); r != nil && r.graph != nil {
			if r == be.recording() {
				break // a step that is captured cannot wait
			}
			for be.recorder.Load() == r {
				time.Sleep(time.Millisecond)
			}
		}
		if try > 0 {
			runtime.GC()
			time.Sleep(10 * time.Millisecond) // cleanups run in goroutines of their own, some time after
		}
		blocks := be.uploads.takeLost()
		be.wait() // for what still uses them
		be.uploads.put(blocks)
		be.uploads.pool.Empty()
		be.pool.Empty()
	}
	free, total := be.memory()
	panic(&backend.MemoryError{Bytes: int64(n), Stats: be.MemoryStats(), Free: free, Total: total})
}

// buffer is the device's backend.Buffer.
type buffer struct {
	be      *Backend
	pool    backing
	dtype   backend.DType
	n       int
	memory  pointer // row-major
	cleanup runtime.Cleanup
	graphs  []*graph // that use the buffer and did not make it
	forms
}

func (b *buffer) DType() backend.DType { return b.dtype }
func (b *buffer) Len() int             { return b.n }

func (b *buffer) bytes() int { return b.n * b.dtype.Size() }

// lost is a block whose buffer the garbage collector took.
type lost struct {
	pool backing
	region
}

// found gives a lost block back to the pool, not to the driver, which no finalizer
// may call. All work is in one stream, so whoever gets it next uses it later; only
// copies of uploads are not.
func found(l lost) {
	if u, ok := l.pool.(*uploads); ok {
		u.lose(l.region)
	} else {
		l.pool.Put(l.p, l.bytes)
	}
}

// keep holds the operands of a method until it has put its work into the stream:
// every method that is given arrays begins with defer keep(…). Nothing else does, since
// of an operand whose tensor the program has forgotten only an address is left, and the
// garbage collector may run before the launch, if only because memory for the result
// was short.
func keep(operands ...backend.Array) {
	for _, a := range operands {
		runtime.KeepAlive(a.Buffer)
	}
}

// NewBuffer returns a buffer of n elements. It takes its memory at once, so that
// the operation that needs it is the one that hears of it when there is no room.
func (be *Backend) NewBuffer(t backend.DType, n int) backend.Buffer {
	return be.newBuffer(be.lend(), t, n)
}

func (be *Backend) newBuffer(from backing, t backend.DType, n int) *buffer {
	b := &buffer{be: be, pool: from, dtype: t, n: n}
	if n > 0 {
		b.memory = b.pool.Get(b.bytes())
		b.cleanup = runtime.AddCleanup(b, found, lost{b.pool, region{b.memory, b.bytes()}})
	}
	return b
}

// Free gives the buffer's memory back to the pool.
func (be *Backend) Free(b backend.Buffer) { b.(*buffer).giveBack() }

// MemoryStats tells what all buffers hold. The peak is the sum of the two pools',
// which need not have been at once.
func (be *Backend) MemoryStats() backend.MemoryStats {
	s, u := be.pool.Stats(), be.uploads.pool.Stats()
	return backend.MemoryStats{Live: s.Live + u.Live, Peak: s.Peak + u.Peak, Cached: s.Cached + u.Cached, Taken: s.Taken + u.Taken}
}

// ResetPeak sets the peak to what is live now.
func (be *Backend) ResetPeak() {
	be.pool.ResetPeak()
	be.uploads.pool.ResetPeak()
}

// EndStep lets the pools drop sizes that are no longer asked for.
func (be *Backend) EndStep() {
	be.pool.EndStep()
	be.uploads.pool.EndStep()
}

// SetPrecision says how exactly to multiply float32 numbers: TF32 from High on.
func (be *Backend) SetPrecision(p backend.Precision) { be.precision = p }

// SetAlgorithms says which algorithms of cuDNN to take.
func (be *Backend) SetAlgorithms(a backend.Algorithms) { be.algorithms = a }

// scratch lends n bytes of the device's memory to f.
func (be *Backend) scratch(n int, f func(p pointer)) {
	from := be.lend()
	p := from.Get(n)
	defer from.Put(p, n)
	f(p)
}

// A kernel that works element by element runs in blocks of threads threads, and in
// so many blocks that each multiprocessor has several; each thread takes every so
// many-th element.
const (
	threads       = 256
	blocksPerUnit = 8
)

// each launches a kernel over n elements. Its last parameter is n.
func (be *Backend) each(name string, n int, p *params) { be.packed(name, n, 1, p) }

// packed launches a kernel over n elements of which each thread takes several at
// once. Its last parameter is n.
func (be *Backend) packed(name string, n int, pack int64, p *params) {
	if n == 0 {
		return
	}
	param(p, int64(n))
	perBlock := threads * int(pack)
	blocks := min((n+perBlock-1)/perBlock, blocksPerUnit*be.units)
	be.launch(be.function(name), [3]int{blocks, 1, 1}, threads, 0, p)
}

// suffix is how kernels for a type of elements are named.
func suffix(t backend.DType) string {
	return [...]string{backend.Float32: "f32", backend.Float64: "f64", backend.Int64: "i64", backend.Uint8: "u8", backend.Bool: "b8",
		backend.BFloat16: "bf16", backend.Float16: "f16"}[t]
}

func bytesOf[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
