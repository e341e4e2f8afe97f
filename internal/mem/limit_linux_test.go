package mem

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSystemLimits(t *testing.T) {
	const gib = 1 << 30
	meminfo := "MemTotal:        8388608 kB\nMemFree:         1 kB\nSwapTotal:       2097152 kB\nCommitLimit:     6291456 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no group", map[string]string{"proc/self/cgroup": "0::/\n"}, 10 * gib},
		{"version 2, no swap", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.swap.max": "0\n"}, gib},
		{"version 2, a group above", map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "2147483648\n", "sys/fs/cgroup/a/memory.swap.max": "max\n"}, 4 * gib},
		{"version 2, the container's own names", map[string]string{"proc/self/cgroup": "0::/kube/pod\n", "sys/fs/cgroup/memory.max": "1073741824\n", "sys/fs/cgroup/memory.swap.max": "0"}, gib},
		{"version 1", map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "3221225472\n", "sys/fs/cgroup/memory/x/memory.memsw.limit_in_bytes": "4294967296\n"}, 4 * gib},
		{"version 1 without a limit", map[string]string{"proc/self/cgroup": "4:cpu,memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 10 * gib},
		{"no overcommitment", map[string]string{"proc/sys/vm/overcommit_memory": "2\n"}, 6 * gib},
		{"nonsense", map[string]string{"proc/self/cgroup": "4\n:::\n0::..\n", "sys/fs/cgroup/memory.max": "?"}, 10 * gib},
	} {
		root := t.TempDir()
		c.files["proc/meminfo"] = meminfo
		for name, content := range c.files {
			name = filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		got := int64(math.MaxInt64)
		for _, l := range systemLimits(root) {
			got = min(got, l)
		}
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestUsersLimits(t *testing.T) {
	for _, resource := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		var old unix.Rlimit
		if err := unix.Getrlimit(resource, &old); err != nil {
			t.Fatal(err)
		}
		const some = 1 << 42 // far from what the test needs
		if old.Cur < some {
			if !slices.Contains(limits(), int64(old.Cur)) {
				t.Errorf("limits() = %d, want the user's %d among them", limits(), old.Cur)
			}
			continue
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: some, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		got := limits()
		if err := unix.Setrlimit(resource, &old); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(got, some) {
			t.Errorf("limits() = %d, want the user's %d among them", got, int64(some))
		}
	}
}

func TestLimitIsThatOfAMachine(t *testing.T) {
	if got := Limit(); got < 1<<26 || got > 1<<46 {
		t.Errorf("Limit() = %d bytes, want a machine's memory", got)
	}
}
