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

// Pool hands out blocks of memory. It may be used by several goroutines.
type Pool[B any] struct {
	New  func(n int) B // makes a block of n bytes; where it panics, nothing is handed out
	Drop func(b B)     // is told of blocks that are dropped; may be nil

	mu      sync.Mutex
	classes map[int]*class[B]
	step    int
	stats   Stats
}

type class[B any] struct {
	free []B
	used int // the step in which a block of this size was last asked for
}

// NewHeap returns a pool of memory on the Go heap, aligned to 8 bytes at least.
func NewHeap() *Pool[[]byte] {
	return &Pool[[]byte]{New: func(n int) []byte {
		if n == 0 {
			return nil
		}
		words := make([]uint64, (n+7)/8)
		return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
	}}
}

// Stats are the bytes that a pool has handed out and holds.
type Stats struct {
	Live   int64 // handed out now
	Peak   int64 // the most that was handed out at once
	Cached int64 // given back and kept
	Taken  int64 // allocated so far
}

// Get returns a block of n bytes. Its contents are undefined.
func (p *Pool[B]) Get(n int) B {
	p.mu.Lock()
	if p.classes == nil {
		p.classes = map[int]*class[B]{}
	}
	c := p.classes[n]
	if c == nil {
		c = &class[B]{}
		p.classes[n] = c
	}
	c.used = p.step
	if last := len(c.free) - 1; last >= 0 {
		var none B
		b := c.free[last]
		c.free[last] = none
		c.free = c.free[:last]
		p.stats.Cached -= int64(n)
		p.handOut(n)
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	b := p.New(n)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Taken += int64(n)
	p.handOut(n)
	return b
}

// handOut puts n bytes on the books. The lock is held.
func (p *Pool[B]) handOut(n int) {
	p.stats.Live += int64(n)
	p.stats.Peak = max(p.stats.Peak, p.stats.Live)
}

// Put gives a block of n bytes back that Get handed out.
func (p *Pool[B]) Put(b B, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Live -= int64(n)
	p.stats.Cached += int64(n)
	c := p.classes[n]
	c.free = append(c.free, b)
}

// Empty drops all blocks that are kept.
func (p *Pool[B]) Empty() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, c := range p.classes {
		p.drop(n, c)
	}
}

// drop drops the blocks of a size. The lock is held.
func (p *Pool[B]) drop(n int, c *class[B]) {
	p.stats.Cached -= int64(n) * int64(len(c.free))
	if p.Drop != nil {
		for _, b := range c.free {
			p.Drop(b)
		}
	}
	c.free = nil
}

// Lost takes a block of n bytes off the books that the garbage collector has
// taken.
func (p *Pool[B]) Lost(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Live -= int64(n)
}

// EndStep ends a step: sizes that nobody asked for in the last hundred steps are
// dropped.
func (p *Pool[B]) EndStep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step++
	if p.step%Keep != 0 {
		return
	}
	for n, c := range p.classes {
		if p.step-c.used > Keep {
			p.drop(n, c)
		}
	}
}

// Stats returns what the pool has handed out and holds.
func (p *Pool[B]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// ResetPeak sets the peak to what is handed out now.
func (p *Pool[B]) ResetPeak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Peak = p.stats.Live
}
