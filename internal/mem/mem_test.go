package mem

import (
	"slices"
	"testing"
)

func TestPoolReusesExactSizes(t *testing.T) {
	p := NewHeap()
	a := p.Get(100)
	first := &a[0]
	p.Put(a, 100)
	if b := p.Get(96); &b[0] == first {
		t.Error("a block of 100 bytes served a request for 96")
	}
	if b := p.Get(100); &b[0] != first {
		t.Error("a block given back was not reused for the same size")
	}
	if got, want := p.Stats(), (Stats{Live: 196, Peak: 196, Taken: 196}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

func TestPoolDropsSizesUnusedForAHundredSteps(t *testing.T) {
	p := NewHeap()
	p.Put(p.Get(8), 8)
	for range Keep {
		p.EndStep()
		p.Put(p.Get(16), 16)
	}
	if got := p.Stats().Cached; got != 24 {
		t.Errorf("after %d steps %d bytes are cached, want 24", Keep, got)
	}
	for range Keep {
		p.EndStep()
		p.Put(p.Get(16), 16)
	}
	if got := p.Stats().Cached; got != 16 {
		t.Errorf("after %d steps %d bytes are cached, want 16", 2*Keep, got)
	}
}

func TestPoolEmptyBlock(t *testing.T) {
	p := NewHeap()
	p.Put(p.Get(0), 0)
	if got := len(p.Get(0)); got != 0 {
		t.Errorf("Get(0) has %d bytes", got)
	}
}

func TestPoolPeak(t *testing.T) {
	p := NewHeap()
	a, b := p.Get(10), p.Get(20)
	p.Put(a, 10)
	if got := p.Stats().Peak; got != 30 {
		t.Errorf("peak %d, want 30", got)
	}
	p.ResetPeak()
	if got := p.Stats().Peak; got != 20 {
		t.Errorf("peak after reset %d, want 20", got)
	}
	p.Put(b, 20)
}

// A pool that is emptied tells its memory's owner of each block, and one whose
// owner has no more counts nothing.
func TestPoolOfAnotherMemory(t *testing.T) {
	var dropped []int
	left := 2
	p := Pool[int]{
		New: func(n int) int {
			if left == 0 {
				panic("no more")
			}
			left--
			return n
		},
		Drop: func(b int) { dropped = append(dropped, b) },
	}
	a, b := p.Get(8), p.Get(16)
	p.Put(a, 8)
	func() {
		defer func() { recover() }()
		p.Get(32)
		t.Error("Get(32) returned, want New's panic")
	}()
	if got, want := p.Stats(), (Stats{Live: 16, Peak: 24, Cached: 8, Taken: 24}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	p.Put(b, 16)
	p.Empty()
	slices.Sort(dropped)
	if want := []int{8, 16}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %v, want %v", dropped, want)
	}
	if got := p.Stats().Cached; got != 0 {
		t.Errorf("%d bytes are cached after Empty, want 0", got)
	}
}
