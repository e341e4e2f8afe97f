package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// grain is the number of elements of cheap elementwise work that is worth a
// goroutine.
const grain = 16 << 10

// parallel calls f for all of [0, n) in pieces of grain (the last may be
// shorter), on all cores. The pieces do not depend on the number of cores, so
// that sums kept for each piece are the same everywhere. A panic in f is handed
// to the caller.
func parallel(n, grain int, f func(lo, hi int)) {
	grain = max(grain, 1)
	pieces := (n + grain - 1) / grain
	workers := min(runtime.GOMAXPROCS(0), pieces)
	if workers <= 1 {
		for lo := 0; lo < n; lo += grain {
			f(lo, min(lo+grain, n))
		}
		return
	}
	// Each worker goes through a range of its own, which keeps what it reads and
	// writes in its core's caches from one call to the next, and then helps the
	// others.
	type counter struct {
		atomic.Int64
		_ [56]byte // a cache line of its own
	}
	var (
		next  = make([]counter, workers)
		left  atomic.Int64 // workers that are not done
		wg    sync.WaitGroup
		once  sync.Once
		cause any
	)
	work := func(first int) {
		defer func() {
			if r := recover(); r != nil {
				once.Do(func() { cause = r })
			}
			left.Add(-1)
			wg.Done()
		}()
		for w := range workers {
			w = (first + w) % workers
			from, end := w*pieces/workers, (w+1)*pieces/workers
			for {
				i := from + int(next[w].Add(1)) - 1
				if i >= end {
					break
				}
				f(i*grain, min((i+1)*grain, n))
			}
		}
	}
	left.Store(int64(workers))
	wg.Add(workers)
	for w := 1; w < workers; w++ {
		start(func() { work(w) })
	}
	work(0)
	if !poll(func() bool { return left.Load() == 0 }) {
		wg.Wait()
	}
	if cause != nil {
		panic(cause)
	}
}

// patience is how long who has nothing to do looks out for work before it sleeps.
// To wake a processor that sleeps takes as long (about 100 µs where the machine is
// a virtual one), and many operations take only a few times that.
const patience = 100 * time.Microsecond

// Helpers are goroutines that run what start is given, and look out for more when
// they are done.
var (
	jobs = make(chan func(), 64)
	idle atomic.Int64 // helpers that look out and that no job is meant for
)

// start runs f in another goroutine.
func start(f func()) {
	if claim() {
		jobs <- f
	} else {
		go help(f)
	}
}

// claim takes one off the idle helpers, if there is one.
func claim() bool {
	for {
		n := idle.Load()
		if n == 0 {
			return false
		}
		if idle.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// help runs f and then what comes before its patience ends.
func help(f func()) {
	for f != nil {
		f()
		f = nil
		idle.Add(1)
		take := func() bool {
			select {
			case f = <-jobs:
				return true
			default:
				return false
			}
		}
		// Who cannot claim itself has been claimed, and its job is on the way.
		for !poll(take) && !claim() {
		}
	}
}

// poll calls ready until it is true, or patience ends; it lets other goroutines
// run meanwhile.
func poll(ready func() bool) bool {
	for begin := time.Now(); ; runtime.Gosched() {
		for range 16 {
			if ready() {
				return true
			}
		}
		if time.Since(begin) > patience {
			return false
		}
	}
}
