package mem

import "testing"

func TestPoolReusesExactSizes(t *testing.T) {
	var p Pool
	a := p.Get(100)
	first := &a[0]
	p.Put(a)
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
	var p Pool
	p.Put(p.Get(8))
	for range Keep {
		p.EndStep()
		p.Put(p.Get(16))
	}
	if got := p.Stats().Cached; got != 24 {
		t.Errorf("after %d steps %d bytes are cached, want 24", Keep, got)
	}
	for range Keep {
		p.EndStep()
		p.Put(p.Get(16))
	}
	if got := p.Stats().Cached; got != 16 {
		t.Errorf("after %d steps %d bytes are cached, want 16", 2*Keep, got)
	}
}

func TestPoolEmptyBlock(t *testing.T) {
	var p Pool
	p.Put(p.Get(0))
	if got := len(p.Get(0)); got != 0 {
		t.Errorf("Get(0) has %d bytes", got)
	}
}

func TestPoolPeak(t *testing.T) {
	var p Pool
	a, b := p.Get(10), p.Get(20)
	p.Put(a)
	if got := p.Stats().Peak; got != 30 {
		t.Errorf("peak %d, want 30", got)
	}
	p.ResetPeak()
	if got := p.Stats().Peak; got != 20 {
		t.Errorf("peak after reset %d, want 20", got)
	}
	p.Put(b)
}
