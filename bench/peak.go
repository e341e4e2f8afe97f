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
}

// measurePeak measures on so many threads for about half a second, with a copy
// of so many bytes. A multiply-add is two operations.
func measurePeak(threads, bytes int) machinePeak {
	var p machinePeak
	per := max(bytes/threads, 1)
	from, to := make([][]byte, threads), make([][]byte, threads)
	for t := range threads {
		from[t], to[t] = make([]byte, per), make([]byte, per)
		copy(to[t], from[t]) // takes the pages from the system
		from[t][0] = 1
	}
	for range 5 {
		seconds := together(threads, func(t int) { copy(to[t], from[t]) })
		p.GBytes = max(p.GBytes, 2*float64(per*threads)/seconds/1e9)
	}
	const calls, loops = 200, 10_000 // a call is short, since a goroutine cannot be interrupted in it
	if multiplyAdds(1) > 0 {
		for range 5 {
			var flops float64
			seconds := together(threads, func(t int) {
				sum := 0
				for range calls {
					sum += multiplyAdds(loops)
				}
				if t == 0 {
					flops = float64(2 * sum * threads)
				}
			})
			p.GFlops = max(p.GFlops, flops/seconds/1e9)
		}
	}
	return p
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
