//go:build cuda && linux

package cuda

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// Kernels that use an index check it, since the host would have to wait for an
// answer before it goes on. What is wrong they write into a record in the device's
// memory, which stays where it is, so that it works from a CUDA graph too; it comes
// to the host with whatever is read next.

// fault is the record (struct Fault in kernels/common.cuh).
type fault struct {
	lock, call            uint64 // call is 0 while nothing is wrong
	position, index, size int64
}

// answer is where a Read's answer goes, in pinned memory: the record, and the
// elements if they are few.
type answer struct {
	fault fault
	few   [4 << 10]byte
}

// A call has a number: useBits bits for the use, the rest counts calls, so that
// kernels tell calls of one use apart.
const useBits = 16

// faults is the record and what calls' numbers mean.
type faults struct {
	record pointer

	mu      sync.Mutex
	calls   uint64
	numbers map[string]uint64 // of uses, by their keys
	uses    []backend.IndexUse
	answers []*answer // that nobody uses
}

// openFaults makes the record.
func (be *Backend) openFaults() {
	f := &be.faults
	f.record = be.take(int(unsafe.Sizeof(fault{})))
	be.set(f.record, 0, int(unsafe.Sizeof(fault{})))
	f.numbers, f.uses = map[string]uint64{}, make([]backend.IndexUse, 1) // 0 is none
}

// indexed returns the first parameters of a kernel that uses an index into size
// entries: the record, the call's number and size.
func (be *Backend) indexed(use backend.IndexUse, size int) (p params) {
	f := &be.faults
	key := use.Key()
	f.mu.Lock()
	number, ok := f.numbers[key]
	if !ok && len(f.uses) < 1<<useBits { // after so many the rest have no name
		number = uint64(len(f.uses))
		f.numbers[key] = number
		f.uses = append(f.uses, use)
	}
	f.calls++
	call := f.calls<<useBits | number
	f.mu.Unlock()
	param(&p, f.record)
	param(&p, call)
	param(&p, int64(size))
	return p
}

// Read copies elements out of src, once they are computed. It panics with the error
// of the first bad index that any call before it met.
func (be *Backend) Read(dst []byte, src backend.Array) {
	defer keep(src)
	if len(dst) == 0 {
		return
	}
	be.computes()
	be.cannotCapture("waits for the device")
	f := &be.faults
	a := f.answer(be.device)
	to := unsafe.Pointer(&dst[0])
	if len(dst) <= len(a.few) {
		to = unsafe.Pointer(&a.few)
	}
	be.download(to, reading(src), len(dst), unsafe.Pointer(&a.fault), f.record, int(unsafe.Sizeof(fault{})))
	if len(dst) <= len(a.few) {
		copy(dst, a.few[:])
	}
	told := a.fault
	f.mu.Lock()
	f.answers = append(f.answers, a)
	f.mu.Unlock()
	if told.call != 0 {
		be.set(f.record, 0, int(unsafe.Sizeof(fault{})))
		panic(f.error(told))
	}
}

// answer returns one that nobody uses.
func (f *faults) answer(d *device) *answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := len(f.answers) - 1; last >= 0 {
		a := f.answers[last]
		f.answers = f.answers[:last]
		return a
	}
	return (*answer)(d.pinned(int(unsafe.Sizeof(answer{}))))
}

// error returns what a record says.
func (f *faults) error(told fault) error {
	e := &backend.IndexError{Position: int(told.position), Index: told.index, Size: int(told.size)}
	f.mu.Lock()
	use := f.uses[told.call&(1<<useBits-1)]
	f.mu.Unlock()
	if use == nil {
		return fmt.Errorf("an operation before this one was given a bad index: %w", e)
	}
	return use.BadIndex(e)
}
