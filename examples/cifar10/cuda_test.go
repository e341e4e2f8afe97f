//go:build cuda && linux

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/trainer"
)

// The program trains on a GPU with all that is for one.
func TestCUDA(t *testing.T) {
	if !sim.Alone(t) {
		return
	}
	for _, flags := range [][]string{
		{"-capture", "-deterministic", "-benchmark", "-autocast", "bfloat16"},
		{"-autocast", "float16", "-clip", "1"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		var stdout, stderr bytes.Buffer
		args := append([]string{"-dataset", "shapes", "-limit", "32", "-batch", "8", "-epochs", "2", "-model", smallCfg, "-device", "cuda", "-out", dir}, flags...)
		if code := program(t.Context(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("%v: exit code %d, want 0: %s", flags, code, &stderr)
		}
		if out := stdout.String(); !strings.Contains(out, "on cuda:0") || strings.Contains(out, "operation by operation") || strings.Contains(out, "warning") {
			t.Errorf("%v: got %q, want a run on cuda:0 without a warning, its steps captured where they are to be", flags, out)
		}
		m, err := trainer.ReadMetrics(dir)
		if err != nil || len(m) != 2 || m[1].Step != 8 || !finite(float64(m[1].TrainLoss)) {
			t.Errorf("%v: metrics.jsonl: got %+v (%v), want 2 epochs of 4 steps", flags, m, err)
		}
	}
}
