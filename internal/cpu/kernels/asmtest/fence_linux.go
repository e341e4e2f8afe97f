package asmtest

import (
	"syscall"
	"testing"
	"unsafe"
)

// Fence is memory between two pages that may not be touched.
type Fence []float32

// NewFence returns room for at least n elements, which goes when the test ends.
func NewFence(t *testing.T, n int) Fence {
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	for _, guard := range [][]byte{m[:page], m[page+size:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&m[page])), size/4)
}

// First returns n elements right behind the first of the forbidden pages, offset elements away.
func (f Fence) First(n, offset int) []float32 { return f[offset : offset+n : offset+n] }

// Last returns n elements right before the second of the forbidden pages, offset elements away.
func (f Fence) Last(n, offset int) []float32 {
	return f[len(f)-offset-n : len(f)-offset : len(f)-offset]
}

// Halves returns the memory as elements of half the size.
func (f Fence) Halves() []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&f[0])), 2*len(f)) }
