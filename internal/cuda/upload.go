//go:build cuda && linux

package cuda

/*
#cgo noescape wick_send
#cgo nocallback wick_send
#cgo noescape wick_order
#cgo nocallback wick_order
#cgo noescape wick_passed
#cgo nocallback wick_passed
#cgo noescape wick_await
#cgo nocallback wick_await
#include <cuda.h>

static CUresult wick_event(CUcontext c, CUevent *e) {
	CUresult r = cuCtxSetCurrent(c);
	// Who waits for one does not spin.
	return r ? r : cuEventCreate(e, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC);
}
static CUresult wick_stream(CUcontext c, CUstream *s) {
	CUresult r = cuCtxSetCurrent(c);
	return r ? r : cuStreamCreate(s, CU_STREAM_NON_BLOCKING);
}
// wick_order makes what comes later in the stream then wait for what is in first now.
static CUresult wick_order(CUcontext c, CUstream first, CUevent e, CUstream then) {
	CUresult r = cuCtxSetCurrent(c);
	if (!r) r = cuEventRecord(e, first);
	return r ? r : cuStreamWaitEvent(then, e, 0);
}
// wick_send copies from pinned memory in the stream s; e is passed when that is done, and what comes later in the stream
// then, if there is one, waits for it.
static CUresult wick_send(CUcontext c, CUdeviceptr to, const void *from, size_t n, CUstream s, CUevent e, CUstream then) {
	CUresult r = cuCtxSetCurrent(c);
	if (!r) r = cuMemcpyHtoDAsync(to, from, n, s);
	if (!r) r = cuEventRecord(e, s);
	return r || !then ? r : cuStreamWaitEvent(then, e, 0);
}
static CUresult wick_passed(CUcontext c, CUevent e) {
	CUresult r = cuCtxSetCurrent(c);
	return r ? r : cuEventQuery(e);
}
static CUresult wick_await(CUcontext c, CUevent e) {
	CUresult r = cuCtxSetCurrent(c);
	return r ? r : cuEventSynchronize(e);
}
*/
import "C"

import (
	"sync"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/mem"
)

// What goes to the device passes through blocks of pinned memory, which the device
// reads by itself: the caller fills one and goes on. There are as many as copies
// are under way, up to a bound, and they stay until the process ends.
const (
	stageBytes = 4 << 20
	mostStages = 16
	// What is smaller the driver takes at once, in the stream of all work.
	fromUpload = 64 << 10
)

// uploads is what copies run with beside other work. Its lock is held for reading
// by whoever puts something into the copies' stream or makes the streams wait for
// each other; who captures the work of a step takes it for writing.
//
// Two rules order the streams. Work waits for all copies that came before it, since
// it may use what they bring. Copies wait for all work that came before a block of
// their pool was freed, since they may overwrite it.
type uploads struct {
	sync.RWMutex
	be     *Backend
	stream C.CUstream
	freed  C.CUevent
	pool   *mem.Pool[pointer]

	ring struct {
		sync.Mutex
		sync.Cond
		idle       []*stage // in the order of their copies
		made, most int
	}
	lost struct { // may not be handed out yet: nobody has made copies wait for the work that used it
		sync.Mutex
		blocks []region
	}
}

// stage is a block of pinned memory, and the event that follows the last copy from it.
type stage struct {
	memory []byte
	event  C.CUevent
}

// region is a block of the device's memory.
type region struct {
	p     pointer
	bytes int
}

// openUploads makes the copies' stream.
func (be *Backend) openUploads() {
	u := &be.uploads
	check("cuStreamCreate", C.wick_stream(be.c(), &u.stream))
	check("cuEventCreate", C.wick_event(be.c(), &u.freed))
	u.be = be
	u.pool = &mem.Pool[pointer]{New: be.take, Drop: be.free}
	u.ring.L = &u.ring.Mutex
	u.ring.most = mostStages
}

// Upload returns a new buffer with the elements in src, which may be changed when it
// returns. The copy runs beside what the device computes.
func (be *Backend) Upload(t backend.DType, src []byte) backend.Buffer {
	be.cannotCapture("takes numbers from the host's memory")
	u := &be.uploads
	u.RLock()
	defer u.RUnlock()
	n := len(src) / t.Size()
	if len(src) < fromUpload {
		b := be.NewBuffer(t, n)
		be.Write(backend.Array{Buffer: b, Len: n}, src)
		return b
	}
	if blocks := u.takeLost(); blocks != nil {
		check("cuStreamWaitEvent", be.order())
		u.put(blocks)
	}
	b := be.newBuffer(u, t, n)
	for at := 0; at < len(src); {
		s := u.acquire(be.device)
		m := copy(s.memory, src[at:])
		var then C.CUstream
		if at+m == len(src) {
			then = be.s()
		}
		check("cuMemcpyHtoDAsync", C.wick_send(be.c(), C.CUdeviceptr(b.memory)+C.CUdeviceptr(at), unsafe.Pointer(&s.memory[0]), C.size_t(m), u.stream, s.event, then))
		u.release(s)
		at += m
	}
	return b
}

// order makes later copies wait for the work that is in the stream now.
func (be *Backend) order() C.CUresult {
	return C.wick_order(be.c(), be.s(), be.uploads.freed, be.uploads.stream)
}

// Get returns a block of n bytes.
func (u *uploads) Get(n int) pointer { return u.pool.Get(n) }

// Put gives a block back. Where the stream is captured, or the device lost, the next
// Upload does it.
func (u *uploads) Put(p pointer, n int) {
	if u.TryRLock() {
		defer u.RUnlock()
		if u.be.order() == C.CUDA_SUCCESS {
			u.pool.Put(p, n)
			return
		}
	}
	u.lose(region{p, n})
}

// lose notes a block that may not be handed out yet. It makes no call of the driver.
func (u *uploads) lose(b region) {
	u.lost.Lock()
	u.lost.blocks = append(u.lost.blocks, b)
	u.lost.Unlock()
}

// takeLost returns the blocks of lose.
func (u *uploads) takeLost() []region {
	u.lost.Lock()
	defer u.lost.Unlock()
	found := u.lost.blocks
	u.lost.blocks = nil
	return found
}

// put gives blocks back to the pool.
func (u *uploads) put(blocks []region) {
	for _, b := range blocks {
		u.pool.Put(b.p, b.bytes)
	}
}

// acquire returns a stage that no copy reads: the oldest if its copy is done, else
// another, else the oldest after a wait.
func (u *uploads) acquire(d *device) *stage {
	r := &u.ring
	r.Lock()
	for {
		if len(r.idle) > 0 {
			s := r.idle[0]
			code := C.CUresult(C.wick_passed(d.c(), s.event))
			if code == C.CUDA_SUCCESS || code != C.CUDA_ERROR_NOT_READY || r.made >= r.most {
				r.idle = r.idle[1:]
				r.Unlock()
				if code == C.CUDA_ERROR_NOT_READY {
					code = C.wick_await(d.c(), s.event)
				}
				check("cuEventSynchronize", code)
				return s
			}
		}
		if r.made < r.most {
			if s := newStage(d, r.made == 0); s != nil {
				r.made++
				r.Unlock()
				return s
			}
			r.most = r.made // the machine gives no more
			continue
		}
		r.Wait() // all are being filled
	}
}

// newStage makes a stage, or returns nil where the machine has no memory to pin,
// unless there has to be one.
func newStage(d *device, needed bool) *stage {
	s := new(stage)
	p, code := d.tryPinned(stageBytes)
	if code != C.CUDA_SUCCESS && !needed {
		return nil
	}
	check("cuMemHostAlloc", code)
	check("cuEventCreate", C.wick_event(d.c(), &s.event))
	s.memory = unsafe.Slice((*byte)(p), stageBytes)
	return s
}

// release gives a stage back whose copy is in the stream.
func (u *uploads) release(s *stage) {
	u.ring.Lock()
	u.ring.idle = append(u.ring.idle, s)
	u.ring.Unlock()
	u.ring.Signal()
}
