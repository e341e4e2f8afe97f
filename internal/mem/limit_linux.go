package mem

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limits lists what bounds the program's memory.
func limits() []int64 {
	all := systemLimits("/")
	for _, resource := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var r unix.Rlimit
		if unix.Getrlimit(resource, &r) == nil && r.Cur <= math.MaxInt64 {
			all = append(all, int64(r.Cur))
		}
	}
	return all
}

// systemLimits reads the memory of the machine, and what the control groups of the program may have of it, below root.
func systemLimits(root string) (all []int64) {
	read := func(name string) string {
		b, _ := os.ReadFile(path.Join(root, name)) // no file, no limit
		return strings.TrimSpace(string(b))
	}
	number := func(s string) (n int64, ok bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	sum := func(a, b int64) int64 {
		if a > math.MaxInt64-b {
			return math.MaxInt64
		}
		return a + b
	}
	info := map[string]int64{}
	for line := range strings.Lines(read("proc/meminfo")) {
		if f := strings.Fields(line); len(f) > 1 {
			kib, _ := number(f[1])
			info[f[0]] = kib << 10
		}
	}
	swap := info["SwapTotal:"]
	all = append(all, sum(info["MemTotal:"], swap))
	if read("proc/sys/vm/overcommit_memory") == "2" {
		all = append(all, info["CommitLimit:"])
	}
	// A group's limit holds for all groups below it. In a container the names may be those outside of it; then its own group is the
	// top one.
	for line := range strings.Lines(read("proc/self/cgroup")) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for at := path.Join("/", f[2]); ; at = path.Dir(at) {
			switch {
			case f[1] == "": // version 2
				if n, ok := number(read(path.Join("sys/fs/cgroup", at, "memory.max"))); ok {
					more, ok := number(read(path.Join("sys/fs/cgroup", at, "memory.swap.max")))
					if !ok {
						more = swap
					}
					all = append(all, sum(n, min(more, swap)))
				}
			case strings.Contains(","+f[1]+",", ",memory,"):
				if n, ok := number(read(path.Join("sys/fs/cgroup/memory", at, "memory.limit_in_bytes"))); ok {
					all = append(all, sum(n, swap))
				}
				if n, ok := number(read(path.Join("sys/fs/cgroup/memory", at, "memory.memsw.limit_in_bytes"))); ok {
					all = append(all, n)
				}
			}
			if at == "/" {
				break
			}
		}
	}
	return all
}
