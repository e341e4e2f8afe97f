package cpu

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestLevelNamed(t *testing.T) {
	for _, l := range levels {
		got, err := levelNamed(l.name)
		if err != nil || got.name != l.name || got.gemm != l.gemm || got.gemmBF16 != l.gemmBF16 {
			t.Errorf("levelNamed(%q): got %q and %v, want that level", l.name, got.name, err)
		}
	}
	best := levels[len(levels)-1]
	if got, err := levelNamed(""); err != nil || got.name != best.name {
		t.Errorf("no name: got %q and %v, want the best level, %q", got.name, err, best.name)
	}
	if levels[0].name != "generic" {
		t.Errorf("the first level is %q, want generic", levels[0].name)
	}
}

// TestLevelOfTheEnvironment starts this test's program again.
func TestLevelOfTheEnvironment(t *testing.T) {
	if os.Getenv("WICK_CPU_SHOW") != "" {
		os.Stdout.WriteString("level " + current.name + "\n")
		os.Exit(0)
	}
	start := func(level string) (string, error) {
		c := exec.Command(os.Args[0], "-test.run=^TestLevelOfTheEnvironment$")
		c.Env = append(os.Environ(), "WICK_CPU_SHOW=1", "WICK_CPU="+level)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, l := range levels {
		if out, err := start(l.name); err != nil || out != "level "+l.name+"\n" {
			t.Errorf("WICK_CPU=%s: got %q and %v, want that level", l.name, out, err)
		}
	}
	out, err := start("sse9")
	want := `wick: the environment variable WICK_CPU is "sse9"; this machine and this build of Wick have generic`
	if err == nil || !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("WICK_CPU=sse9: got %q and %v, want an error and one line that begins with %q", out, err, want)
	}
}
