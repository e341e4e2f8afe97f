//go:build !wasm

package sim

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Alone runs a test again, on the simulated driver in a process of its own, and
// returns true there: for packages most of whose tests are to run without a GPU. The
// test ends where it returns false. With WICK_GPU=1 the test runs where it is, on the
// machine's own driver.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("WICK_GPU") != "" || Simulated() {
		return true
	}
	dir, err := Build()
	if err != nil {
		t.Errorf("the simulated driver cannot be built (with WICK_GPU=1 the test runs on a GPU): %v", err)
		return false
	}
	args := append(self(), "-test.v", "-test.count=1", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), Env(dir)...)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")) {
		t.Errorf("on the simulated driver: %v\n%s", err, out)
	}
	return false
}
