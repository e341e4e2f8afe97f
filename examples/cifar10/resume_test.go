package main

import (
	"bytes"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/trainer"
)

// weights reads all that a checkpoint's model consists of.
func weights(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	model, err := layers.Load[*models.VGG](path)
	must(t, err)
	out := map[string][]float32{}
	for key, x := range layers.StateDict(model) {
		out[key] = x.Floats()
	}
	return out
}

// history reads a run's metrics without its times.
func history(t *testing.T, dir string) []trainer.Metrics {
	t.Helper()
	h, err := trainer.ReadMetrics(dir)
	must(t, err)
	for i := range h {
		h[i].TrainSeconds, h[i].TestSeconds, h[i].ImagesPerSec = 0, 0, 0
	}
	return h
}

// settings of runs with everything that has a state: shuffling, flips, dropout,
// BatchNorm, Adam with weight decay, a milestone, an average of the weights.
var eventful = []string{"-dataset", "folder", "-data", "images", "-model", smallCfg, "-batch", "2", "-epochs", "3", "-milestones", "2", "-gamma", "0.1",
	"-dropout", "0.3", "-weight-decay", "0.01", "-ema", "0.9", "-clip", "1", "-patience", "9", "-seed", "3"}

// A run that is stopped after every single step and gone on with from its
// checkpoint comes to the same bits as one that never was. It goes on with
// -resume alone: the settings are in the run's folder.
func TestResume(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFolder(t, "images")
	run := func(args ...string) {
		t.Helper()
		var stderr bytes.Buffer
		if code := program(t.Context(), args, io.Discard, &stderr); code != 0 || stderr.Len() > 0 {
			t.Fatalf("%q: got exit code %d and %q, want 0 and nothing", args, code, &stderr)
		}
	}
	run(append(eventful, "-out", "whole")...)
	run(append(eventful, "-out", "steps", "-time-limit", "1ns")...)
	const steps = 9 // three epochs of three batches
	for range steps - 1 {
		run("-resume", "steps")
	}
	run("-resume", "steps", "-time-limit", "0") // the last test
	compareRuns(t, "whole", "steps")
	c, err := trainer.ReadRunConfig("steps")
	must(t, err)
	if len(c.Resumed) != steps || c.Finished.IsZero() || c.Stopped != "" {
		t.Errorf("config.json: resumed %d times, finished %v, stopped %q, want %d times and the end reached", len(c.Resumed), c.Finished, c.Stopped, steps)
	}
}

// What a resumed run is given again holds from there on, and is noted; a run that is over
// says so.
func TestResumeSettings(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFolder(t, "images")
	run := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		if code := program(t.Context(), args, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Fatalf("%q: got exit code %d and %q, want 0 and nothing", args, code, &stderr)
		}
		return stdout.String()
	}
	few := append(slices.Clone(eventful), "-patience", "0", "-milestones", "2,100", "-gamma", "0.5", "-lr", "0.01", "-epochs", "2", "-out", "run")
	run(few...)
	for i, step := range []struct {
		args    []string
		want    []float64 // the rates of all epochs
		changed string
	}{
		{[]string{"-lr", "0.02", "-epochs", "3"}, []float64{0.01, 0.005, 0.01}, "with epochs 3 in place of 2, with lr 0.02 in place of 0.01, with the rates [0.01] in place of [0.005]"},
		{[]string{"-epochs", "4"}, []float64{0.01, 0.005, 0.01, 0.01}, "with epochs 4 in place of 3"},
		{[]string{"-epochs", "5", "-gamma", "0.1"}, []float64{0.01, 0.005, 0.01, 0.01, 0.002}, "with epochs 5 in place of 4, with gamma 0.1 in place of 0.5, with the rates [0.002] in place of [0.01]"},
		{[]string{"-epochs", "6", "-milestones", "2,6"}, []float64{0.01, 0.005, 0.01, 0.01, 0.002, 0.0002}, "with epochs 6 in place of 5, with milestones 2,6 in place of 2,100, with the rates [0.00020000000000000004] in place of [0.002]"},
		{[]string{"-epochs", "7"}, []float64{0.01, 0.005, 0.01, 0.01, 0.002, 0.0002, 0.0002}, "with epochs 7 in place of 6"},
	} {
		out := run(append([]string{"-resume", "run"}, step.args...)...)
		if !strings.Contains(out, "run goes on "+step.changed+"\n") {
			t.Errorf("%q: the output has no %q:\n%s", step.args, step.changed, out)
		}
		c, err := trainer.ReadRunConfig("run")
		must(t, err)
		if len(c.Resumed) != i+1 || c.Resumed[i].Changed != step.changed {
			t.Errorf("%q: config.json says %+v, want %q", step.args, c.Resumed, step.changed)
		}
		for k, m := range history(t, "run") {
			if math.Abs(m.LR-step.want[k]) > 1e-9 {
				t.Errorf("%q: epoch %d: got the rate %v, want %v", step.args, k+1, m.LR, step.want[k])
			}
		}
	}
	if out := run("-resume", "run"); !strings.Contains(out, "run is finished: 7 of 7 epochs are over; with more Epochs it goes on\n") {
		t.Errorf("a finished run: got %q", out)
	}
	// Without its settings it goes on with those of the command line.
	must(t, os.Remove("run/config.json"))
	few[len(few)-3] = "8"
	if out := run(append(few[:len(few)-2], "-resume", "run", "-gamma", "0.1", "-lr", "0.02")...); !strings.Contains(out, "note: run has no config.json") || len(history(t, "run")) != 8 {
		t.Errorf("without config.json: %d epochs, and\n%s", len(history(t, "run")), out)
	}
	must(t, os.WriteFile("run/config.json", []byte("{"), 0o666))
	var stderr bytes.Buffer
	if code := program(t.Context(), []string{"-resume", "run"}, io.Discard, &stderr); code != 1 || !strings.Contains(stderr.String(), filepath.Join("run", "config.json")+" is damaged") || !strings.Contains(stderr.String(), "remove it, and give") {
		t.Errorf("a damaged config.json: got exit code %d and %q", code, &stderr)
	}
}

func compareRuns(t *testing.T, want, got string) {
	t.Helper()
	if diff := cmp.Diff(history(t, want), history(t, got)); diff != "" {
		t.Errorf("metrics (-%s +%s):\n%s", want, got, diff)
	}
	for _, name := range []string{"last.safetensors", "best.safetensors"} {
		a, b := weights(t, filepath.Join(want, name)), weights(t, filepath.Join(got, name))
		if !maps.EqualFunc(a, b, func(x, y []float32) bool { return cmp.Equal(x, y) }) {
			t.Errorf("%s: the two runs came to different weights", name)
		}
	}
}

// The first signal makes the program save a checkpoint and say how to go on; a
// second one ends it at once.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("processes cannot be sent signals on Windows")
	}
	// What this process ignores, as SIGHUP under nohup, the program would ignore too;
	// what it catches the program begins with as usual.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	t.Chdir(t.TempDir())
	writeFolder(t, "images")
	start := func(args ...string) (*exec.Cmd, *bytes.Buffer) {
		exe, err := os.Executable()
		must(t, err)
		cmd := exec.Command(exe, args...)
		cmd.Env = append(os.Environ(), "WICK_TEST_PROGRAM=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		must(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill() })
		return cmd, &stderr
	}
	wait := func(cmd *exec.Cmd) int {
		cmd.Wait()
		return cmd.ProcessState.ExitCode()
	}
	// Long enough to be in the middle of something whenever the signal comes.
	long := append(eventful, "-epochs", "100000", "-patience", "0")
	for _, sent := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		dir := "run-" + sent.String()
		cmd, stderr := start(append(long, "-out", dir)...)
		waitFor(t, filepath.Join(dir, "best.safetensors"))
		must(t, cmd.Process.Signal(sent))
		if sent == syscall.SIGHUP { // of a terminal that is closed there come several
			_ = cmd.Process.Signal(sent)
		}
		if code, want := wait(cmd), "cifar10: interrupted; -resume "+dir+" goes on from here\n"; code != 130 || stderr.String() != want {
			t.Fatalf("%v: got exit code %d and %q, want 130 and %q", sent, code, stderr, want)
		}
		epochs := len(history(t, dir))
		var stdout bytes.Buffer
		if code := program(t.Context(), []string{"-resume", dir, "-time-limit", "1ns"}, &stdout, stderr); code != 0 || !strings.Contains(stdout.String(), "resuming "+dir) {
			t.Errorf("%v: resuming: got exit code %d and %q", sent, code, &stdout)
		}
		if got := len(history(t, dir)); got < epochs || epochs == 0 {
			t.Errorf("%v: %d epochs after resuming, %d before", sent, got, epochs)
		}
	}

	// Stopped while it writes checkpoints and tests, the program is in no hurry
	// after the first signal; a second one does not wait. (The signals may both
	// come before the step is over, or the run may have ended by itself.)
	for _, pause := range []time.Duration{0, 100 * time.Millisecond} {
		dir := "slow-" + pause.String()
		cmd, _ := start(append(long, "-dataset", "shapes", "-model", "VGG16", "-batch", "2000", "-out", dir)...)
		waitFor(t, filepath.Join(dir, "config.json"))
		time.Sleep(100 * time.Millisecond)
		must(t, cmd.Process.Signal(syscall.SIGINT)) // two of one kind may come as one
		time.Sleep(pause)
		at := time.Now()
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		if code := wait(cmd); code != -1 && code != 130 || time.Since(at) > 5*time.Second {
			t.Errorf("a second signal after %v: the program ended after %v with exit code %d, want at once", pause, time.Since(at), code)
		}
	}
}

// waitFor waits until a file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Fatalf("%s did not appear", path)
}
