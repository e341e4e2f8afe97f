package kernels

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestLevelNamed(t *testing.T) {
	for _, l := range Levels {
		got, err := levelNamed(l.Name)
		if err != nil || got.Name != l.Name || got.Gemm != l.Gemm || got.GemmBF16 != l.GemmBF16 {
			t.Errorf("levelNamed(%q): got %q and %v, want that level", l.Name, got.Name, err)
		}
	}
	best := Levels[len(Levels)-1]
	if got, err := levelNamed(""); err != nil || got.Name != best.Name {
		t.Errorf("no name: got %q and %v, want the best level, %q", got.Name, err, best.Name)
	}
	if Levels[0].Name != "generic" {
		t.Errorf("the first level is %q, want generic", Levels[0].Name)
	}
}

// TestLevelOfTheEnvironment starts this test's program again.
func TestLevelOfTheEnvironment(t *testing.T) {
	if os.Getenv("WICK_CPU_SHOW") != "" {
		os.Stdout.WriteString("level " + Current.Name + "\n")
		os.Exit(0)
	}
	start := func(level string) (string, error) {
		c := exec.Command(os.Args[0], "-test.run=^TestLevelOfTheEnvironment$")
		c.Env = append(os.Environ(), "WICK_CPU_SHOW=1", "WICK_CPU="+level)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	for _, l := range Levels {
		if out, err := start(l.Name); err != nil || out != "level "+l.Name+"\n" {
			t.Errorf("WICK_CPU=%s: got %q and %v, want that level", l.Name, out, err)
		}
	}
	out, err := start("sse9")
	want := `wick: the environment variable WICK_CPU is "sse9"; this machine and this build of Wick have generic`
	if err == nil || !strings.HasPrefix(out, want) || strings.Count(out, "\n") != 1 {
		t.Errorf("WICK_CPU=sse9: got %q and %v, want an error and one line that begins with %q", out, err, want)
	}
}
