package main

import (
	"runtime"
	"sync"
	"time"
)

// machinePeak is the best that the machine did while it was asked.
type machinePeak struct {
	GFlops float64 `json:"gflops"` // of multiply-adds in registers, all threads; 0 where no such loop was written
	GBytes float64 `json:"gbytes"` // bytes read and written by a copy of memory, all threads, GB/s
	// Of a GPU GFlops are those of a large product of float32 matrices with TF32, and
	// these of bfloat16.
	Half float64 `json:"gflops_bf16,omitempty"`
}

// peakMeter measures the peak, each time again, and remembers the best: other
// programs may have been at work the first time.
type peakMeter struct {
	best     machinePeak
	threads  int
	from, to [][]byte // one a thread
}

// newPeakMeter returns one for so many threads, with a copy of so many bytes, and
// measures often enough to meet the machine at rest.
func newPeakMeter(threads, bytes int) *peakMeter {
	m := &peakMeter{threads: threads, from: make([][]byte, threads), to: make([][]byte, threads)}
	for t := range threads {
		m.from[t], m.to[t] = make([]byte, max(bytes/threads, 1)), make([]byte, max(bytes/threads, 1))
		for i := range m.from[t] {
			m.from[t][i] = 1 // takes the pages from the system
		}
		copy(m.to[t], m.from[t])
	}
	for range 20 {
		m.measure()
	}
	return m
}

// measure takes less than a tenth of a second. A multiply-add is two operations.
func (m *peakMeter) measure() {
	seconds := together(m.threads, func(t int) { copy(m.to[t], m.from[t]) })
	m.best.GBytes = max(m.best.GBytes, 2*float64(len(m.from[0])*m.threads)/seconds/1e9)
	const calls, loops = 200, 10_000 // a call is short, since a goroutine cannot be interrupted in it
	adds := make([]int, m.threads)
	seconds = together(m.threads, func(t int) {
		for range calls {
			adds[t] += multiplyAdds(loops)
		}
	})
	total := 0
	for _, n := range adds {
		total += n
	}
	m.best.GFlops = max(m.best.GFlops, 2*float64(total)/seconds/1e9)
}

// together runs f on so many threads and returns the seconds until all are done.
func together(threads int, f func(t int)) float64 {
	before := runtime.GOMAXPROCS(threads)
	defer runtime.GOMAXPROCS(before)
	var wg sync.WaitGroup
	start := time.Now()
	for t := range threads {
		wg.Go(func() { f(t) })
	}
	wg.Wait()
	return time.Since(start).Seconds()
}
