package mem

import (
	"math"

	"golang.org/x/sys/unix"
)

// limits lists what bounds the program's memory. The system makes swap space as it needs it.
func limits() []int64 {
	var all []int64
	if n, err := unix.SysctlUint64("hw.memsize"); err == nil && n < math.MaxInt64/4 {
		all = append(all, 4*int64(n))
	}
	for _, resource := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var r unix.Rlimit
		if unix.Getrlimit(resource, &r) == nil && r.Cur <= math.MaxInt64 {
			all = append(all, int64(r.Cur))
		}
	}
	return all
}
