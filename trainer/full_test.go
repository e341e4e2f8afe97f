package trainer

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/logfile/logfiletest"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/trainer/wandb"
)

// watched is a run with all records.
func watched(t *testing.T, dir string, limit func(r *Run)) Config {
	c := settings[1].config(t)
	c.Dir = dir
	c.Callbacks = append(c.Callbacks, Curves(), Predictions([]string{"a", "b", "c", "d"}), LogSteps(1), TensorBoard(), WandB(wandb.Opts{}),
		Callback{Name: "limit", Epoch: func(r *Run, _ *Metrics) error {
			limit(r)
			return nil
		}})
	return c
}

// at is how far the checkpoint in a folder is.
func at(t *testing.T, dir string) Position {
	t.Helper()
	c := settings[1].config(t)
	others := map[string]Stateful{}
	for _, cb := range c.Callbacks {
		if cb.State != nil {
			others[cb.Name] = cb.State
		}
	}
	p, err := (&Snapshot{Model: c.Model, Optimizer: c.Optimizer, Scheduler: c.Scheduler, Train: c.Train, Test: c.Test, Others: others}).Load(filepath.Join(dir, lastFile))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outcome is that of a run, in a process of its own, in which no file may grow beyond so many
// bytes from the end of an epoch on, which takes the place of a full disk.
type outcome struct {
	Epoch    int
	Err      string
	Warnings []string
}

func init() {
	for name, limit := range map[string]struct {
		epoch int
		bytes uint64
	}{"records full": {1, 16_000}, "checkpoint full": {2, 5_000}} { // checkpoints have 12 KB
		children[name] = func(dir string) error {
			t := &testing.T{}
			c := watched(t, dir, func(r *Run) {
				if r.Epoch == limit.epoch {
					logfiletest.LimitFiles(t, limit.bytes)
				}
			})
			r, err := Fit(context.Background(), c)
			out := outcome{Epoch: r.Epoch}
			if err != nil {
				out.Err = err.Error()
			}
			for _, w := range r.Warnings {
				out.Warnings = append(out.Warnings, w.Error())
			}
			return json.NewEncoder(os.Stdout).Encode(out)
		}
	}
}

func runFull(t *testing.T, name, dir string) outcome {
	t.Helper()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skipf("%s has no limit on the size of a file to set", runtime.GOOS)
	}
	cmd, out := child(t, name, dir)
	var r outcome
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return r
}

// Where there is no room for records, the run goes on and says so.
func TestRecordsFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := runFull(t, "records full", dir)
	if r.Err != "" || r.Epoch != epochs {
		t.Fatalf("got epoch %d, error %q, want all %d", r.Epoch, r.Err, epochs)
	}
	for _, want := range []string{"tensorboard: write " + filepath.Join(dir, "events"), "wandb: write " + filepath.Join(dir, "wandb"), "cannot write " + filepath.Join(dir, "predictions.png")} {
		if !slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.Contains(s, want) && !strings.Contains(s, "\n") }) {
			t.Errorf("got the warnings %q, want one that says %q", r.Warnings, want)
		}
	}
	if len(r.Warnings) > 10 {
		t.Errorf("got %d warnings, want each once: %q", len(r.Warnings), r.Warnings)
	}
	if got := at(t, dir); got.Epoch != epochs {
		t.Errorf("the checkpoint is of epoch %d, want %d", got.Epoch, epochs)
	}
	for _, name := range ls(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			t.Errorf("%s is left", name)
		}
	}
}

// Where there is no room for a checkpoint, the run ends; the one before stays, and
// with room the run goes on from there.
func TestCheckpointFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	r := runFull(t, "checkpoint full", dir)
	if !strings.Contains(r.Err, filepath.Join(dir, lastFile)+" is still the checkpoint before, whole") || strings.Contains(r.Err, "\n") {
		t.Fatalf("got error %q, want one sentence about the checkpoint", r.Err)
	}
	if got := at(t, dir); got.Epoch != 1 || r.Epoch != 2 {
		t.Errorf("the checkpoint is of epoch %d and the run came to %d, want 1 and 2", got.Epoch, r.Epoch)
	}
	d := watched(t, dir, func(*Run) {})
	d.Resume = true
	if r, err := Fit(t.Context(), d); err != nil || r.Epoch != epochs || len(r.Warnings) > 0 {
		t.Fatalf("with room: got epoch %d, error %v, warnings %v", r.Epoch, err, r.Warnings)
	}
	whole := settings[1].config(t)
	if _, err := Fit(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	a, b := bits(whole), bits(d)
	for path := range layers.NamedParameters(whole.Model) {
		if a[path] != b[path] {
			t.Errorf("%s differs from that of a run that had room", path)
		}
	}
}

// Records that could not be written are there, whole, when they can be.
func TestMetricsRecover(t *testing.T) {
	c := settings[0].config(t)
	c.Dir = t.TempDir()
	csv := filepath.Join(c.Dir, csvFile)
	move := func(from, to string) error { return errors.Join(os.Rename(from, to), os.MkdirAll(from, 0o777)) }
	c.Callbacks = []Callback{{Epoch: func(r *Run, m *Metrics) error {
		switch m.Epoch {
		case 2:
			return move(csv, csv+".away") // a folder in its place
		case 3:
			return os.Remove(csv)
		}
		return nil
	}}}
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), csv) {
		t.Fatalf("got error %v, warnings %v, want one that names %s", err, r.Warnings, csv)
	}
	b, err := os.ReadFile(csv)
	if lines := strings.Count(string(b), "\n"); err != nil || lines != 1+epochs {
		t.Errorf("metrics.csv has %d lines (%v), want %d", lines, err, 1+epochs)
	}
	if h, err := ReadMetrics(c.Dir); err != nil || len(h) != epochs {
		t.Errorf("metrics.jsonl has %d epochs (%v), want %d", len(h), err, epochs)
	}
}
