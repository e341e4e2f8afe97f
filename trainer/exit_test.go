package trainer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	pw "github.com/wick-ml/wick/internal/protowire"
	"github.com/wick-ml/wick/trainer/wandb"
)

// However a run ends, W&B is told how.
func TestWandBExit(t *testing.T) {
	for _, tt := range []struct {
		name string
		step func(r *Run, cancel func()) error // in step 5
		want int64
	}{
		{"whole", func(*Run, func()) error { return nil }, 0},
		{"stopped", func(r *Run, _ func()) error { r.Stop("enough"); return nil }, 0},
		{"interrupted", func(_ *Run, cancel func()) error { cancel(); return nil }, 255},
		{"failed", func(*Run, func()) error { return errors.New("the disk is gone") }, 1},
		{"panicked", func(*Run, func()) error { panic("oh") }, 1},
	} {
		c := settings[0].config(t)
		c.Dir, c.Epochs = t.TempDir(), 1
		ctx, cancel := context.WithCancel(t.Context())
		var ended error
		c.Callbacks = []Callback{WandB(wandb.Opts{ID: "x"}), {
			Step: func(r *Run) error {
				if r.Step == 5 {
					return tt.step(r, cancel)
				}
				return nil
			},
			End: func(r *Run) { ended = r.Err },
		}}
		func() {
			defer func() { recover() }() // what End sees is looked at below
			_, err := Fit(ctx, c)
			if err != ended {
				t.Errorf("%s: End sees the error %v, want %v", tt.name, ended, err)
			}
		}()
		cancel()
		if (ended != nil) != (tt.want == 1) {
			t.Errorf("%s: End sees the error %v", tt.name, ended)
		}
		files, err := filepath.Glob(filepath.Join(c.Dir, "wandb", "*", "run-x.wandb"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		b, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		// The record of the exit, but for the seconds that it took.
		const exit = 18
		code := pw.Int(nil, 1, tt.want)
		record := pw.Bytes(nil, exit, append(code, 2<<3, 0))
		if !bytes.Contains(b, record[:len(record)-1]) {
			t.Errorf("%s: the file does not say that the run ended with %d", tt.name, tt.want)
		}
	}
}
