package sim

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestChecks does what is wrong on purpose, each in a process of its own, and what is
// nearly the same and right.
func TestChecks(t *testing.T) {
	if os.Getenv("CGO_CPPFLAGS") == "" {
		t.Skip("CGO_CPPFLAGS does not say where CUDA's headers are")
	}
	dir, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "wrong")
	args := append(append(compiler(), "-std=c++17", "-O1", "-g"), strings.Fields(os.Getenv("CGO_CPPFLAGS"))...)
	if err := run(args[0], append(args[1:], "testdata/wrong.cc", "-o", program, "-L"+dir, "-l:libcuda.so.1")...); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{
		{"copy and kernel", "the kernel fill_u8 in stream 65 uses 4096 bytes that a copy from the host in stream 66 uses too, and no event orders them"},
		{"kernel and copy", "a copy from the host in stream 66 uses 4096 bytes that the kernel fill_u8 in stream 65 uses too, and no event orders them"},
		{"memset and copy", "a copy from the host in stream 66 uses 4096 bytes that a memset in stream 65 uses too, and no event orders them"},
		{"event recorded too early", "no event orders them"},
		{"event waited for elsewhere", "no event orders them"},
		{"wait for the other stream", "no event orders them"},
		{"graph and copy", "a copy from the host in stream 66 uses 4096 bytes that a graph in stream 65 uses too, and no event orders them"},
		{"ordered", ""},
		{"waits come in order", ""},
		{"pinned written early", "the host writes pinned memory before a copy from it is known to be done"},
		{"pinned written after another event", "the host writes pinned memory before a copy from it is known to be done"},
		{"pinned read early", "the host touches pinned memory before a copy to it is known to be done"},
		{"pinned in time", ""},
		{"kernel after free", "the kernel fill_u8 is given memory of 4096 bytes that was freed"},
		{"graph after free", "a graph is launched whose memory was given back"},
		{"kernel beyond its memory", "the kernel fill_u8 touches "},
		{"events", "there are 4096 events that nobody has destroyed"},
		{"streams", "there are 1024 streams that nobody has destroyed"},
		{"graphs", "there are 512 graphs that nobody has destroyed"},
		{"all destroyed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append(strings.Fields(os.Getenv("WICK_EXEC")), program, c.name)
			cmd := exec.Command(args[0], args[1:]...)
			cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "LD_LIBRARY_PATH=") }), Env(dir)...)
			out, err := cmd.CombinedOutput()
			switch {
			case c.want == "" && (err != nil || len(out) > 0):
				t.Errorf("got %v and %q, want the program to end well", err, out)
			case c.want != "" && (err == nil || !strings.HasPrefix(string(out), "simulated driver: ") || !strings.Contains(string(out), c.want) || strings.Count(string(out), "\n") != 1):
				t.Errorf("got %v and %q, want it to end with one line that says: %s", err, out, c.want)
			}
		})
	}
}
