package trainer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
)

// With NewRates a run goes on with the rates that the program's optimizer and schedule
// have where it stands, whatever the checkpoint says, and config.json notes it.
func TestNewRates(t *testing.T) {
	sgd := func(c *Config, lr float64) *optim.SGD {
		o := optim.NewSGD(layers.Parameters(c.Model), lr)
		c.Optimizer = o
		return o
	}
	multi := func(lr float64, gamma float64, milestones ...int) func(c *Config) {
		return func(c *Config) { c.Scheduler = sched.NewMultiStepLR(sgd(c, lr), milestones, gamma) }
	}
	oneCycle := func(lr float64, steps int) func(c *Config) {
		return func(c *Config) {
			c.Scheduler, c.SchedulerEachStep = sched.NewOneCycleLR(sgd(c, 1), lr, steps, sched.OneCycleOpts{Linear: true}), true
		}
	}
	for _, tt := range []struct {
		name          string
		before, after func(c *Config)
		want          []float64 // the rates of the epochs' last steps, of which two come before
	}{
		{"the rate", func(c *Config) { sgd(c, 0.1) }, func(c *Config) { sgd(c, 0.01) }, []float64{0.1, 0.1, 0.01, 0.01}},
		{"the rate of a schedule", multi(0.1, 0.5, 1, 3), multi(0.2, 0.5, 1, 3), []float64{0.1, 0.05, 0.1, 0.05}},
		{"gamma", multi(0.1, 0.5, 1, 3), multi(0.1, 0.1, 1, 3), []float64{0.1, 0.05, 0.01, 0.001}},
		{"milestones to come", multi(0.1, 0.5, 3), multi(0.1, 0.5, 2), []float64{0.1, 0.1, 0.05, 0.05}},
		{"a milestone that was", multi(0.1, 0.5, 1), multi(0.1, 0.5, 3), []float64{0.1, 0.05, 0.1, 0.05}},
		{"a plateau's", func(c *Config) { c.Scheduler = sched.NewReduceLROnPlateau(sgd(c, 0.1), sched.Min) },
			func(c *Config) { c.Scheduler = sched.NewReduceLROnPlateau(sgd(c, 0.01), sched.Min) }, []float64{0.1, 0.1, 0.01, 0.01}},
		{"each step", oneCycle(1, 40), oneCycle(0.1, 40), []float64{0.8254545, 0.7142869, 0.0357145, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var log bytes.Buffer
			var last Result
			for _, part := range []struct {
				epochs int
				change func(c *Config)
			}{{2, tt.before}, {3, tt.after}, {4, tt.after}} {
				c := base(t)
				part.change(&c)
				c.Dir, c.Epochs, c.Resume, c.NewRates, c.Progress = dir, part.epochs, part.epochs > 2, part.epochs == 3, NewProgress(&log)
				c.Settings = map[string]string{"lr": fmt.Sprint(part.epochs > 2)}
				r, err := Fit(t.Context(), c)
				if err != nil || len(r.Warnings) > 0 {
					t.Fatalf("to epoch %d: %v, warnings %v", part.epochs, err, r.Warnings)
				}
				last = r
			}
			for i, m := range last.History {
				if d := m.LR - tt.want[i]; d > 1e-6 || d < -1e-6 {
					t.Errorf("epoch %d: got the rate %v, want %v", i+1, m.LR, tt.want[i])
				}
			}
			config, err := ReadRunConfig(dir)
			if err != nil || len(config.Resumed) != 2 || config.Settings["lr"] != "true" {
				t.Fatalf("config.json: %d resumptions, settings %v (%v)", len(config.Resumed), config.Settings, err)
			}
			changed := config.Resumed[0].Changed
			if !strings.HasPrefix(changed, "with lr true in place of false") || !strings.Contains(log.String(), " goes on "+changed) || config.Resumed[1].Changed != "" {
				t.Errorf("config.json says %q and then %q, the log says:\n%s", changed, config.Resumed[1].Changed, log.String())
			}
			if tt.name != "milestones to come" && !strings.Contains(changed, "with the rates [") {
				t.Errorf("config.json says %q, want the rates too", changed)
			}
		})
	}
}

// A run that is over is left as it is, and says so.
func TestResumeFinished(t *testing.T) {
	dir := t.TempDir()
	if _, err := Fit(t.Context(), small(t, dir, 2)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	names := fmt.Sprint(ls(t, dir))
	for _, epochs := range []int{1, 2} {
		c := small(t, dir, epochs)
		var log bytes.Buffer
		c.Resume, c.Progress = true, NewProgress(&log)
		r, err := Fit(t.Context(), c)
		if err != nil || r.Epoch != 2 || len(r.History) != 2 || r.Stopped != "" {
			t.Errorf("Epochs %d: got epoch %d, stopped %q, error %v", epochs, r.Epoch, r.Stopped, err)
		}
		if want := fmt.Sprintf("%s is finished: 2 of %d epochs are over; with more Epochs it goes on\n", dir, epochs); log.String() != want {
			t.Errorf("Epochs %d: the log says %q, want %q", epochs, log.String(), want)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil || !bytes.Equal(before, after) || fmt.Sprint(ls(t, dir)) != names {
		t.Errorf("the folder has changed (%v): %s, was %s", err, ls(t, dir), names)
	}
	c := small(t, dir, 3)
	c.Resume = true
	if r, err := Fit(t.Context(), c); err != nil || r.Epoch != 3 {
		t.Errorf("with more Epochs: got epoch %d, error %v", r.Epoch, err)
	}
}

// The model of a checkpoint alone is the file that layers.Save writes of it, or of its
// average.
func TestExtractModel(t *testing.T) {
	for _, s := range settings[:2] { // the second has an average
		c := s.config(t)
		c.Dir, c.Epochs = t.TempDir(), 1
		r, err := Fit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, cb := range c.Callbacks {
			if e, ok := cb.State.(*EMA); ok {
				e.Swap()
			}
		}
		want, got := filepath.Join(c.Dir, "want"), filepath.Join(c.Dir, "model.safetensors")
		if err := layers.Save(want, c.Model); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := ExtractModel(filepath.Join(c.Dir, bestFile), got); err != nil {
				t.Fatal(err)
			}
		}
		a, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(got); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: epoch %d: the extracted file (%d bytes, %v) is not the one that Save writes (%d bytes)", s.name, r.Epoch, len(b), err, len(a))
		}
		if _, err := layers.Load[layers.Layer](got); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if err := (&Snapshot{Model: c.Model}).Save(want, Position{}); err != nil { // in a file of the same name
			t.Fatal(err)
		}
		if err := ExtractModel(want, want); err != nil {
			t.Errorf("in place: %v", err)
		}
		if b, err := os.ReadFile(want); err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: in place: not the file that Save writes (%v)", s.name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "html.safetensors")
	write(t, path, "<html>")
	for _, from := range []string{path, filepath.Join(filepath.Dir(path), "absent")} {
		if err := ExtractModel(from, filepath.Join(filepath.Dir(path), "to")); err == nil || !strings.Contains(err.Error(), from) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want one that names %s", err, from)
		}
	}
	if got := ls(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("the folder holds %q", got)
	}
}
