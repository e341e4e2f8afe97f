package trainer

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func TestFindLR(t *testing.T) {
	for i, s := range settings {
		c := s.config(t)
		if i == 0 { // an optimizer that has something to lose
			c.Epochs = 1
			if _, err := Fit(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		c.Train.BatchSize = 19 // less noise
		before := bits(c)
		seed, offset := tensor.DefaultGenerator().State()
		epoch := c.Train.Epoch()
		dir := filepath.Join(t.TempDir(), "new")
		points, lr, err := FindLR(t.Context(), c, FindLROpts{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"lr-finder.png", "lr-finder.svg"}, ls(t, dir)); diff != "" {
			t.Errorf("%s: files (-want +got):\n%s", s.name, diff)
		}
		if diff := cmp.Diff(before, bits(c)); diff != "" {
			t.Errorf("%s: the run has changed: %.300s", s.name, diff)
		}
		if a, b := tensor.DefaultGenerator().State(); a != seed || b != offset || c.Train.Epoch() != epoch {
			t.Errorf("%s: the random numbers or the loader have moved", s.name)
		}
		if len(points) < 50 || len(points) > 100 || points[0].LR != 1e-7 || lr < 1e-5 || lr > 5 {
			t.Errorf("%s: got %d points from %v on and the rate %v, want 50 to 100 from 1e-07 on, and one from 1e-5 to 5", s.name, len(points), points[0], lr)
		}
		for i := range points[1:] {
			if ratio := points[i+1].LR / points[i].LR; math.Abs(ratio-math.Pow(1e8, 1.0/99)) > 1e-9 {
				t.Fatalf("%s: rate %d is %v times the one before", s.name, i+1, ratio)
			}
		}
	}

	c := settings[0].config(t)
	o := c.Optimizer.(*optim.SGD)
	o.Groups = optim.Groups{{Params: o.Groups[0].Params[:2], LR: 1}, {Params: o.Groups[0].Params[2:], LR: 0.5}}
	if _, _, err := FindLR(t.Context(), c, FindLROpts{Steps: 3}); err != nil || o.Groups[0].LR != 1 || o.Groups[1].LR != 0.5 {
		t.Errorf("groups: got rates %v, error %v, want what they were", o.LRs(), err)
	}
	for _, opts := range []FindLROpts{{From: 1, To: 0.1}, {From: -1}, {To: math.Inf(1)}, {Steps: 1}} {
		if _, _, err := FindLR(t.Context(), c, opts); err == nil || !strings.Contains(err.Error(), "want rates above 0 that rise") {
			t.Errorf("%+v: got error %v", opts, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if points, _, err := FindLR(t.Context(), c, FindLROpts{Steps: 3, Dir: file}); err == nil || !strings.Contains(err.Error(), file) || len(points) != 3 {
		t.Errorf("a file for a folder: got %d points, error %v, want 3 and one that names the file", len(points), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if points, _, err := FindLR(ctx, c, FindLROpts{}); err != context.Canceled || len(points) > 1 {
		t.Errorf("cancelled: got %d points, error %v", len(points), err)
	}
}

func TestSteepest(t *testing.T) {
	var points []LRPoint
	for i := range 60 {
		x := float64(i) / 10
		points = append(points, LRPoint{LR: math.Pow(10, x), Loss: 1 / (1 + math.Exp(4*(x-3)))}) // falls fastest at 10³
	}
	if got := steepest(points); math.Abs(got-1000) > 1e-6 {
		t.Errorf("got %v, want 1000", got)
	}
	if got := steepest(points[:12]); got != 0 {
		t.Errorf("few points: got %v, want 0", got)
	}
}
