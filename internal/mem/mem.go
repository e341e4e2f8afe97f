// Package mem keeps memory for reuse. A training step asks for the same sizes
// again and again, so blocks are kept by exact size, and sizes that nobody has
// asked for in a hundred steps are dropped.
package mem

import (
	"sync"
	"unsafe"
)

// Keep is the number of steps for which an unused size stays in a pool.
const Keep = 100

// Pool hands out blocks of memory on the Go heap. The zero Pool is ready to
// use, by several goroutines too.
type Pool struct {
	mu      sync.Mutex
	classes map[int]*class
	step    int
	stats   Stats
}

type class struct {
	free [][]byte
	used int // the step in which a block of this size was last asked for
}

// Stats are the bytes that a pool has handed out and holds.
type Stats struct {
	Live   int64 // handed out now
	Peak   int64 // the most that was handed out at once
	Cached int64 // given back and kept
	Taken  int64 // allocated so far
}

// Get returns a block of n bytes, aligned to 8 bytes at least. Its contents are
// undefined.
func (p *Pool) Get(n int) []byte {
	p.mu.Lock()
	if p.classes == nil {
		p.classes = map[int]*class{}
	}
	c := p.classes[n]
	if c == nil {
		c = &class{}
		p.classes[n] = c
	}
	c.used = p.step
	p.stats.Live += int64(n)
	p.stats.Peak = max(p.stats.Peak, p.stats.Live)
	var b []byte
	if last := len(c.free) - 1; last >= 0 {
		b = c.free[last]
		c.free[last] = nil
		c.free = c.free[:last]
		p.stats.Cached -= int64(n)
	} else {
		p.stats.Taken += int64(n)
	}
	p.mu.Unlock()
	if b == nil && n > 0 {
		words := make([]uint64, (n+7)/8)
		b = unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
	}
	return b
}

// Put gives a block back that Get handed out.
func (p *Pool) Put(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Live -= int64(len(b))
	p.stats.Cached += int64(len(b))
	c := p.classes[len(b)]
	c.free = append(c.free, b)
}

// Lost takes a block of n bytes off the books that the garbage collector has
// taken.
func (p *Pool) Lost(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Live -= int64(n)
}

// EndStep ends a step: sizes that nobody asked for in the last hundred steps are
// dropped.
func (p *Pool) EndStep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step++
	if p.step%Keep != 0 {
		return
	}
	for n, c := range p.classes {
		if p.step-c.used > Keep {
			p.stats.Cached -= int64(n) * int64(len(c.free))
			c.free = nil
		}
	}
}

// Stats returns what the pool has handed out and holds.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// ResetPeak sets the peak to what is handed out now.
func (p *Pool) ResetPeak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Peak = p.stats.Live
}
