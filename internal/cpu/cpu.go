// Package cpu computes on the machine's processors. It has the methods of
// backend.Backend, an operation a file; the loops that they spend their time in, in Go and
// in assembly, are package kernels, one floor down.
//
//	cpu, half, views      the backend and its buffers; half precision; operands with strides
//	parallel              work shared among the cores, the same pieces whatever their number
//	copy, turn            copies, conversions and transpositions
//	unary, binary, map    elementwise operations; rules of expr for whole optimizers
//	reduce, softmax, sort, index, loss, norm, random, unscale, augment
//	                      the operations of these names
//	gemm, matmul          the blocked matrix product and what calls it; tilematmul on AMX
//	conv                  convolutions, and which algorithm serves one:
//	  winograd            3×3 taps, stride 1, enough channels
//	  direct, depthwise   few channels; a channel a group
//	  tileconv            AMX
//	  depth               three dimensions, made of two
//	pool, taps            pooling, and the planes that it and small convolutions stage
package cpu

import (
	"math"
	"runtime"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
	"github.com/wick-ml/wick/internal/mem"
)

// Backend implements backend.Backend. All its buffers share one pool.
type Backend struct {
	pool      *mem.Pool[[]byte]
	precision backend.Precision
}

// New returns a backend with an empty pool.
func New() *Backend { return &Backend{pool: mem.NewHeap()} }

// SetPrecision says how exactly to multiply float32 numbers.
func (be *Backend) SetPrecision(p backend.Precision) { be.precision = p }

// SetAlgorithms changes nothing: all algorithms are deterministic, and each is chosen by a fixed rule.
func (be *Backend) SetAlgorithms(backend.Algorithms) {}

// at returns the backend with another precision; it shares the pool.
func (be *Backend) at(p backend.Precision) *Backend { return &Backend{be.pool, p} }

var _ backend.Backend = (*Backend)(nil)

// buffer is the CPU's backend.Buffer: it gets memory from the pool when it is
// first looked at.
type buffer struct {
	pool    *mem.Pool[[]byte]
	dtype   backend.DType
	n       int
	mem     []byte
	cleanup runtime.Cleanup
	few     [4]uint64 // the memory of a buffer that is so small; the pool does not know of it
}

func (b *buffer) DType() backend.DType { return b.dtype }
func (b *buffer) Len() int             { return b.n }

func (b *buffer) bytes() []byte {
	if b.mem == nil && b.n > 0 {
		if size := b.n * b.dtype.Size(); size <= int(unsafe.Sizeof(b.few)) {
			b.mem = unsafe.Slice((*byte)(unsafe.Pointer(&b.few)), size)
			return b.mem
		}
		b.mem = b.pool.Get(b.n * b.dtype.Size())
		// What nobody frees, the garbage collector takes; the pool only has to know.
		b.cleanup = runtime.AddCleanup(b, func(lost lost) { lost.pool.Lost(lost.n) }, lost{b.pool, len(b.mem)})
	}
	return b.mem
}

type lost struct {
	pool *mem.Pool[[]byte]
	n    int
}

// roomFor panics with a *backend.MemoryError if n elements of a size in bytes are more than the program can have at all. What
// does not fit only beside the rest, Go finds out.
func (be *Backend) roomFor(n, size int) {
	if n <= 1<<20 {
		return
	}
	total := mem.Limit()
	if int64(n) <= total/int64(size) {
		return
	}
	e := &backend.MemoryError{Bytes: math.MaxInt64, Stats: be.MemoryStats(), Total: total}
	if int64(n) < math.MaxInt64/int64(size) {
		e.Bytes = int64(n) * int64(size)
	}
	e.Free = max(0, total-e.Stats.Live)
	panic(e)
}

// NewBuffer returns a handle for n elements. It panics with a *backend.MemoryError if the program cannot have as much.
func (be *Backend) NewBuffer(t backend.DType, n int) backend.Buffer {
	be.roomFor(n, t.Size())
	return &buffer{pool: be.pool, dtype: t, n: n}
}

// Upload returns a new buffer with the elements in src.
func (be *Backend) Upload(t backend.DType, src []byte) backend.Buffer {
	b := be.NewBuffer(t, len(src)/t.Size())
	be.Write(backend.Array{Buffer: b, Len: b.Len()}, src)
	return b
}

// Free gives the buffer's memory back.
func (be *Backend) Free(b backend.Buffer) {
	buf := b.(*buffer)
	if len(buf.mem) > 0 && &buf.mem[0] != (*byte)(unsafe.Pointer(&buf.few)) {
		buf.cleanup.Stop()
		be.pool.Put(buf.mem, len(buf.mem))
	}
	buf.mem = nil
}

// MemoryStats tells what all buffers hold.
func (be *Backend) MemoryStats() backend.MemoryStats { return backend.MemoryStats(be.pool.Stats()) }

// ResetPeak sets the peak to what is live now.
func (be *Backend) ResetPeak() { be.pool.ResetPeak() }

// EndStep lets the pool drop sizes that are no longer asked for.
func (be *Backend) EndStep() { be.pool.EndStep() }

// data returns an array's elements as a slice of their Go type. An absent array
// gives nil.
func data[T any](a backend.Array) []T {
	if a.None() || a.Len == 0 {
		return nil
	}
	b := a.Buffer.(*buffer).bytes()
	var zero T
	size := int(unsafe.Sizeof(zero))
	b = b[a.Offset*size : (a.Offset+a.Len)*size]
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), a.Len)
}

// Bytes returns an array's elements in memory, for packages that copy them. They
// stay where they are until the buffer is freed.
func Bytes(a backend.Array) []byte { return raw(a) }

// raw returns an array's bytes.
func raw(a backend.Array) []byte {
	if a.Len == 0 {
		return nil
	}
	size := a.DType().Size()
	return a.Buffer.(*buffer).bytes()[a.Offset*size : (a.Offset+a.Len)*size]
}

// scratch lends a buffer of n elements from the pool to f.
func scratch[T any](be *Backend, n int, f func(s []T)) {
	if n == 0 {
		f(nil)
		return
	}
	var t *T // not a T, which may be large
	be.roomFor(n, int(unsafe.Sizeof(*t)))
	b := be.pool.Get(n * int(unsafe.Sizeof(*t)))
	defer be.pool.Put(b, len(b))
	f(unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n))
}

// Level names the kernels in use: "generic", "avx2", "avx512", "amx" or "neon".
func Level() string { return kernels.Current.Name }
