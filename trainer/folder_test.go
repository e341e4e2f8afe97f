package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/logfile/logfiletest"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/wandb"
)

// small is a run of one step an epoch with all records, in a folder.
func small(t testing.TB, dir string, epochs int) Config {
	tensor.ManualSeed(2)
	m := layers.NewSequential(layers.Flatten{}, layers.NewLinear(192, 4))
	return Config{
		Model: m, Optimizer: optim.NewSGD(layers.Parameters(m), 0.01), Loss: layers.CrossEntropyLoss{}, Epochs: epochs, Dir: dir,
		Train:     &datasets.DataLoader{Dataset: pictures(t, 4, 1), BatchSize: 4},
		Test:      &datasets.DataLoader{Dataset: pictures(t, 4, 2), BatchSize: 4},
		Callbacks: []Callback{TensorBoard(), WandB(wandb.Opts{ID: "x"}), LogSteps(1)},
	}
}

// regression is a run without classes, and without a folder.
func regression(t testing.TB) Config {
	set, err := datasets.NewTensors(tensor.Randn(8, 5), tensor.Randn(8, 1))
	if err != nil {
		t.Fatal(err)
	}
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 4}
	m := layers.NewLinear(5, 1)
	return Config{Model: m, Optimizer: optim.NewSGD(layers.Parameters(m), 0.01), Loss: layers.MSELoss{}, Epochs: 2, Train: loader, Test: loader}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(content), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// What killed writes have left goes, whichever file they were of; what is not theirs
// stays.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"report.html", "predictions.png", "mistakes.png", "confusion.png", "filters.png", "loss.svg", "accuracy.png", "last.safetensors", "epoch-0010.safetensors", "config.json", "metrics.jsonl"} {
		write(t, filepath.Join(dir, "."+name+".0123456789abcdef.tmp"), "")
	}
	mine := []string{".mine.tmp", ".notes.txt.0123.tmp", "notes.0123456789abcdef.tmp", ".notes.0123456789abcdef.tmp.txt"}
	for _, name := range mine {
		write(t, filepath.Join(dir, name), "")
	}
	folder := ".folder.0123456789abcdef.tmp"
	if err := os.Mkdir(filepath.Join(dir, folder), 0o777); err != nil {
		t.Fatal(err)
	}
	c := settings[0].config(t)
	c.Dir, c.Epochs = dir, 1
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, name := range ls(t, dir) {
		if strings.Contains(name, "tmp") {
			left = append(left, name)
		}
	}
	want := append(mine, folder)
	slices.Sort(want)
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// A run that came nowhere leaves a folder in which one can begin, and that can be
// resumed.
func TestFolderOfNothing(t *testing.T) {
	config := func() string {
		c := small(t, t.TempDir(), 1)
		if _, err := Fit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(c.Dir, configFile))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}()
	for _, tt := range []struct {
		name  string
		files map[string]string
	}{
		{"no folder", nil},
		{"the config", map[string]string{configFile: config}},
		{"the heads of records", map[string]string{csvFile: csvHead(), jsonlFile: ""}},
		{"all", map[string]string{configFile: config, csvFile: csvHead(), jsonlFile: "", lockFile: ""}},
		{"cut", map[string]string{csvFile: csvHead()[:9], ".metrics.jsonl.0123456789abcdef.tmp": "", lockFile: ""}},
	} {
		for _, resume := range []bool{false, true} {
			c := small(t, filepath.Join(t.TempDir(), "a", "b"), 1)
			c.Resume = resume
			for name, content := range tt.files {
				write(t, filepath.Join(c.Dir, name), content)
			}
			if r, err := Fit(t.Context(), c); err != nil || r.Epoch != 1 || len(r.Warnings) > 0 {
				t.Errorf("%s, Resume %t: got epoch %d, error %v, warnings %v", tt.name, resume, r.Epoch, err, r.Warnings)
			}
		}
	}
}

// What is another's is not overwritten.
func TestFolderOfOthers(t *testing.T) {
	for name, content := range map[string]string{
		configFile: `{"editor": "vi"}`, csvFile: "a,b\n1,2\n", jsonlFile: "{}\n",
	} {
		for _, resume := range []bool{false, true} {
			if resume && name != configFile {
				continue // records are written again
			}
			c := small(t, t.TempDir(), 1)
			c.Resume = resume
			path := filepath.Join(c.Dir, name)
			write(t, path, content)
			if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "give another folder") {
				t.Errorf("%s, Resume %t: got error %v, want one that names it and says what to do", name, resume, err)
			}
			if b, err := os.ReadFile(path); err != nil || string(b) != content {
				t.Errorf("%s, Resume %t: it is %q now (%v)", name, resume, b, err)
			}
			if got := slices.DeleteFunc(ls(t, c.Dir), func(s string) bool { return s == lockFile }); len(got) != 1 {
				t.Errorf("%s, Resume %t: the folder holds %q", name, resume, got)
			}
		}
	}
}

// A file of a run that was cut anywhere, emptied or overwritten does not keep the run
// from being resumed, where the run can do without it; otherwise one sentence names it
// and says what to do.
func TestResumeDamaged(t *testing.T) {
	whole := t.TempDir()
	if _, err := Fit(t.Context(), small(t, whole, 1)); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := filepath.WalkDir(whole, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			name, failed := filepath.Rel(whole, path)
			names, err = append(names, name), failed
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		damages := [][]byte{nil, []byte("<html>garbage</html>\n"), bytes.Repeat([]byte{0}, len(b)), append(slices.Clone(b), "behind"...)}
		step := max(len(b)/12, 1)
		if testing.Short() {
			step = max(len(b)/4, 1)
		}
		for n := 0; n < len(b)-1; n += step {
			damages = append(damages, b[:n])
		}
		for k, damage := range damages {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name)
			write(t, path, string(damage))
			c := small(t, dir, 2)
			c.Resume = true
			r, err := Fit(t.Context(), c)
			kind := name
			if ext := filepath.Ext(name); ext == ".wandb" || strings.HasPrefix(name, "events") {
				kind = ext
			}
			tried[kind]++
			needed := name == lastFile || name == configFile
			switch {
			case needed && (err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n")):
				if k != 3 || name != lastFile || err != nil { // what is behind a checkpoint's tensors may be no damage
					t.Errorf("%s, damage %d (%d bytes): got error %v, want one sentence that names it", name, k, len(damage), err)
				}
			case needed && !strings.Contains(err.Error(), "remove it") && !strings.Contains(err.Error(), "copy it"):
				t.Errorf("%s, damage %d (%d bytes): got error %v, want it to say what to do", name, k, len(damage), err)
			case !needed && (err != nil || r.Epoch != 2):
				t.Errorf("%s, damage %d (%d bytes): got epoch %d, error %v", name, k, len(damage), r.Epoch, err)
			case !needed && len(r.Warnings) > 0 && (filepath.Ext(name) != ".wandb" || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), path)):
				t.Errorf("%s, damage %d (%d bytes): got the warnings %v", name, k, len(damage), r.Warnings)
			case !needed:
				if h, err := ReadMetrics(dir); err != nil || len(h) != 2 {
					t.Errorf("%s, damage %d (%d bytes): the records have %d epochs (%v), want 2", name, k, len(damage), len(h), err)
				}
			}
		}
	}
	t.Logf("damages: %v", tried)
	// Without it the run goes on.
	if err := os.Remove(filepath.Join(whole, configFile)); err != nil {
		t.Fatal(err)
	}
	c := small(t, whole, 2)
	c.Resume = true
	if r, err := Fit(t.Context(), c); err != nil || r.Epoch != 2 {
		t.Errorf("without config.json: got epoch %d, error %v", r.Epoch, err)
	}
}

func init() {
	// The child begins a run on a disk on which no file may grow beyond some size, and
	// goes on with it when there is room.
	children["no room"] = func(dir string) error {
		t := &testing.T{}
		for _, limit := range []uint64{0, 1, 10, 100, 200, 400, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000} {
			run := func(resume bool) (Result, error) {
				c := small(t, filepath.Join(dir, fmt.Sprint(limit)), 2)
				c.Resume = resume
				c.Callbacks = append(c.Callbacks, Curves(), Predictions([]string{"a", "b", "c", "d"}))
				return Fit(context.Background(), c)
			}
			restore := logfiletest.LimitFiles(t, limit)
			r, err := run(false)
			restore()
			if err != nil && (!strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "panic")) {
				return fmt.Errorf("limit %d: %w", limit, err)
			}
			fmt.Printf("limit %d: epoch %d, %d warnings, %v\n", limit, r.Epoch, len(r.Warnings), err)
			for _, path := range mustGlob(filepath.Join(dir, fmt.Sprint(limit), ".*.tmp")) {
				return fmt.Errorf("limit %d: %s is left", limit, path)
			}
			if r, err = run(true); err != nil || r.Epoch != 2 {
				return fmt.Errorf("limit %d: with room: epoch %d, warnings %v: %w", limit, r.Epoch, r.Warnings, err)
			}
		}
		return nil
	}
}

func mustGlob(pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		panic(err)
	}
	return paths
}

// Wherever a disk is full, a run's folder is one that can be gone on with.
func TestNoRoomAnywhere(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skipf("%s has no limit on the size of a file to set", runtime.GOOS)
	}
	cmd, out := child(t, "no room", t.TempDir())
	var said bytes.Buffer
	_, _ = said.ReadFrom(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, said.String())
	}
	t.Logf("%s", said.String())
}
