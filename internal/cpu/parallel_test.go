package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestParallel calls parallel from several goroutines, inside of itself, and with
// the number of processors changing: each piece is done once.
func TestParallel(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 5, 3} {
		runtime.GOMAXPROCS(procs)
		var wg sync.WaitGroup
		for caller := range 4 {
			wg.Go(func() {
				for n := range 50 {
					const inner = 7
					done := make([]atomic.Int32, n*inner)
					parallel(n, 1+caller, func(lo, hi int) {
						if hi-lo > 1+caller || lo%(1+caller) != 0 {
							t.Errorf("%d places in pieces of %d: got %d to %d", n, 1+caller, lo, hi)
						}
						for i := lo; i < hi; i++ {
							parallel(inner, 2, func(lo, hi int) {
								for j := lo; j < hi; j++ {
									done[i*inner+j].Add(1)
								}
							})
						}
					})
					for i := range done {
						if got := done[i].Load(); got != 1 {
							t.Errorf("%d processors, caller %d: place %d of %d was done %d times, want once", procs, caller, i, len(done), got)
						}
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestParallelPanics: a panic reaches the caller, and the next call is none the
// worse.
func TestParallelPanics(t *testing.T) {
	for i := range 20 {
		func() {
			defer func() {
				if got := recover(); got != "stop" {
					t.Errorf("piece %d panics: recovered %v, want stop", i, got)
				}
			}()
			parallel(20, 1, func(lo, hi int) {
				if lo == i {
					panic("stop")
				}
			})
		}()
		var sum atomic.Int64
		parallel(20, 1, func(lo, hi int) { sum.Add(int64(lo)) })
		if got := sum.Load(); got != 190 {
			t.Errorf("after a panic the pieces add up to %d, want 190", got)
		}
	}
}

// TestHelpersLeave: who finds no work does not look out for it for long.
func TestHelpersLeave(t *testing.T) {
	for range 100 {
		parallel(64, 1, func(lo, hi int) {})
	}
	for deadline := time.Now().Add(10 * time.Second); idle.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d helpers still look out for work after ten seconds, want 0", idle.Load())
		}
	}
}
