package models_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// small is a VGG for 32×32 images that takes a few milliseconds a step.
var small = models.Cfg{8, "M", 16, "M", 16, "M", 16, "M", 16, "M"}

// shapes draws the images once for all tests.
var shapes = sync.OnceValue(func() *datasets.Shapes {
	return datasets.NewShapes(datasets.ShapesOpts{
		Transform: transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor()),
	})
})

// firstShapes returns the first n images.
func firstShapes(n int) datasets.Dataset { return datasets.Slice(shapes(), 0, n) }

// run is a training run: a model, what it learns from, and how.
type run struct {
	model     *models.VGG
	optimizer optim.Optimizer
	loader    *datasets.DataLoader
}

func newRun(cfg models.Cfg, pictures, batch, workers int) *run {
	tensor.ManualSeed(7)
	m := models.NewVGG(cfg, 10)
	m.Dropout.P = 0.2
	return &run{m, optim.NewAdam(layers.Parameters(m), 0.001),
		&datasets.DataLoader{Dataset: firstShapes(pictures), BatchSize: batch, Shuffle: true, Seed: 7, Workers: workers}}
}

// step is the tutorial's loop body; it returns the loss.
func (r *run) step(images, labels *tensor.Tensor) float64 {
	r.optimizer.ZeroGrad()
	output := r.model.Forward(images)
	loss := layers.CrossEntropyLoss{}.Forward(output, labels)
	loss.Backward()
	r.optimizer.Step()
	return loss.Item()
}

// epoch trains for an epoch and calls after behind each step, still in its body.
func (r *run) epoch(t *testing.T, after func(loss float64)) {
	t.Helper()
	layers.Train(r.model)
	for images, labels := range r.loader.All() {
		after(r.step(images, labels))
	}
	if err := r.loader.Err(); err != nil {
		t.Fatal(err)
	}
}

// hash returns a hash of all weights and buffers.
func hash(m layers.Module) string {
	h := fnv.New64a()
	for key, x := range layers.StateDict(m) {
		fmt.Fprintf(h, "%s %v\n", key, x.Shape())
		h.Write(x.Raw())
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// A seed gives the same losses and weights, bit for bit, with any number of
// workers on any number of processors: BatchNorm, dropout, flips, Adam.
func TestSameBitsEverywhere(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(procs)
	type bits struct {
		Losses  []uint64
		Weights string
	}
	var want bits
	for _, p := range []int{1, 2, 3} {
		for _, workers := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(p)
			r := newRun(small, 100, 16, workers)
			var got bits
			for range 2 {
				r.epoch(t, func(loss float64) { got.Losses = append(got.Losses, math.Float64bits(loss)) })
			}
			got.Weights = hash(r.model)
			if want.Losses == nil {
				if last := math.Float64frombits(got.Losses[len(got.Losses)-1]); len(got.Losses) != 14 || !(last > 0 && last < 10) {
					t.Fatalf("got %d losses, the last of them %v, want 14 numbers", len(got.Losses), last)
				}
				want = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%d workers on %d processors (-want +got):\n%s", workers, p, diff)
			}
		}
	}
	other := newRun(small, 100, 16, 1)
	other.loader.Seed = 8
	other.epoch(t, func(float64) {})
	if got := hash(other.model); got == want.Weights {
		t.Error("another seed gave the same weights")
	}
}

// From the third step on nothing is allocated for tensors; nor for the last batch
// of an epoch, which is short, from the third epoch on. On one processor and
// without batches made ahead that holds to the byte. Otherwise the batches that
// happen to be there at once, and the workspaces of matrix products that happen
// to run at once, come to their bound in their own time.
func TestTrainingTakesNoNewMemory(t *testing.T) {
	for _, c := range []struct {
		name          string
		cfg           models.Cfg
		batch, n      int
		epochs, steps int
		procs         int
	}{
		{"small, to the byte", small, 16, 152, 5, 10, 1},
		{"small, all processors", small, 16, 152, 10, 10, 0},
		{"VGG11, to the byte", models.VGGCfg("VGG11"), 8, 28, 3, 4, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.procs == 1 && len(c.cfg) > len(small) {
				t.Skip("a large model; -short leaves it out")
			}
			r := newRun(c.cfg, c.n, c.batch, 2)
			spare := int64(0)
			if c.procs > 0 {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.procs))
				r.loader.Workers, r.loader.Prefetch = 1, 1
			} else {
				const example, workspace = 4*3*32*32 + 8, 2 << 20
				r.loader.Prefetch = 4
				spare = int64(5*c.batch*example + c.n%c.batch*example + runtime.GOMAXPROCS(0)*workspace)
			}
			var taken int64
			for epoch := range c.epochs {
				step := 0
				r.epoch(t, func(float64) {
					step++
					now := tensor.CPU.MemoryStats().Taken
					if !(epoch == 0 && step <= 2 || epoch < 2 && step == c.steps) {
						if spare -= now - taken; spare < 0 {
							t.Errorf("epoch %d, step %d took %d bytes of new memory, %d more than it may", epoch+1, step, now-taken, -spare)
							spare = 0
						}
					}
					taken = now
				})
				if step != c.steps {
					t.Fatalf("got %d steps, want %d", step, c.steps)
				}
			}
		})
	}
}

// collect has the garbage collector take what earlier tests have left and
// returns the bytes that are live then.
func collect() (live int64) {
	live = -1
	for now := tensor.CPU.MemoryStats().Live; now != live; now = tensor.CPU.MemoryStats().Live {
		live = now
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	return live
}

// resident returns the memory that the process has from the system.
func resident(t *testing.T) (n int64, what string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		if fields := bytes.Fields(b); len(fields) > 1 {
			pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return pages * int64(os.Getpagesize()), "resident memory"
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys), "memory from the system"
}

// A long run needs no more memory than a short one.
func TestMemoryStaysFlat(t *testing.T) {
	steps := 1000
	if testing.Short() {
		t.Log("-short: 200 steps instead of 1000")
		steps = 200
	}
	r := newRun(models.Cfg{4, "M", 4, "M", 4, "M", 4, "M", 4, "M"}, 90, 8, 2)
	done, before, live := 0, int64(0), int64(0)
	for done < steps {
		r.epoch(t, func(float64) { done++ })
		if before == 0 && done >= steps/5 {
			live = collect()
			before, _ = resident(t)
		}
	}
	collect()
	after, what := resident(t)
	if got := after - before; got > 8<<20 {
		t.Errorf("the %s grew by %d bytes from step %d to %d, want less than 8 MB", what, got, steps/5, done)
	}
	if got := tensor.CPU.MemoryStats().Live; got > live {
		t.Errorf("%d bytes of tensors are live after %d steps, want no more than the %d before", got, done, live)
	}
}

// In evaluation the peak above the weights is the two largest activations, the
// batches that are in use and made ahead, and a fixed scratch.
func TestEvaluationMemoryOfALoop(t *testing.T) {
	const n, ahead = 16, 4
	model := models.NewVGG(models.VGGCfg("VGG11"), 10)
	layers.Eval(model)
	loader := &datasets.DataLoader{Dataset: firstShapes(4 * n), BatchSize: n, Workers: 2, Prefetch: ahead}
	loop := func() (peak int64) {
		before := collect()
		tensor.CPU.ResetPeakMemory()
		correct := 0
		for images, labels := range autograd.NoGrad(loader.All()) {
			_, prediction := model.Forward(images).Max(1)
			correct += tensor.CountEqual(prediction, labels)
		}
		if err := loader.Err(); err != nil {
			t.Fatal(err)
		}
		if live := tensor.CPU.MemoryStats().Live; live != before {
			t.Errorf("%d bytes are live after the loop, want 0", live-before)
		}
		return tensor.CPU.MemoryStats().Peak - before
	}
	loop() // makes what is kept for good
	const scratch = 24 << 20
	if got, want := loop(), int64(2*4*n*64*32*32+(ahead+1)*n*(4*3*32*32+8)+scratch); got > want {
		t.Errorf("the peak is %d bytes above the weights, want %d or less", got, want)
	}
}

// However the loop body ends, nothing of its step stays and no goroutine runs on.
func TestLeavingTheLoop(t *testing.T) {
	r := newRun(small, 160, 16, 3)
	r.epoch(t, func(float64) {}) // makes gradients and Adam's state
	for _, c := range []struct {
		name  string
		body  func()
		leave bool
	}{
		{name: "break", leave: true},
		{name: "panic", body: func() { panic("the body's own") }},
		{name: "wrong shapes", body: func() { tensor.Ones(2).Add(tensor.Ones(3)) }},
		{name: "Goexit", body: runtime.Goexit},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := collect()
			goroutines := runtime.NumGoroutine()
			done := make(chan any)
			go func() {
				var reason any = "Goexit"
				defer func() {
					if p := recover(); p != nil {
						reason = p
					}
					done <- reason
				}()
				step := 0
				for images, labels := range r.loader.All() {
					output := r.model.Forward(images)
					loss := layers.CrossEntropyLoss{}.Forward(output, labels)
					if step++; step < 3 {
						continue // nor does a step that never went back leave anything
					}
					if c.leave {
						break
					}
					loss.Backward()
					c.body()
				}
				reason = "end"
			}()
			got := fmt.Sprint(<-done)
			want := map[string]string{
				"break": "end", "panic": "the body's own", "Goexit": "Goexit",
				"wrong shapes": "tensor: Add: shapes [2] and [3] do not broadcast: 2 and 3 differ in the last dimension, want equal sizes or 1",
			}[c.name]
			if got != want {
				t.Errorf("the loop ended with %q, want %q", got, want)
			}
			if live := tensor.CPU.MemoryStats().Live; live > before+64 { // Ones(2) and Ones(3) are in no scope
				t.Errorf("%d bytes are still live, want 0", live-before)
			}
			for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d goroutines run, want %d", runtime.NumGoroutine(), goroutines)
				}
			}
		})
	}
	// The loader and the model are as good as before.
	seen := 0
	r.epoch(t, func(loss float64) {
		if seen++; math.IsNaN(loss) {
			t.Error("the loss is NaN")
		}
	})
	if seen != 10 {
		t.Errorf("got %d steps after all that, want 10", seen)
	}
}

// Shapes is hard enough that a linear model stays under 60 %, and easy enough
// that a small convolutional one passes 95 % in two epochs.
func TestShapesWantConvolutions(t *testing.T) {
	if testing.Short() {
		t.Skip("trains two models on all of Shapes; -short leaves it out")
	}
	transform := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	train := &datasets.DataLoader{Dataset: datasets.NewShapes(datasets.ShapesOpts{Train: true, Transform: transform}), BatchSize: 64, Shuffle: true, Seed: 1}
	test := &datasets.DataLoader{Dataset: datasets.NewShapes(datasets.ShapesOpts{}), BatchSize: 100}
	accuracy := func(m layers.Layer, epochs int) float64 {
		t.Helper()
		optimizer := optim.NewAdam(layers.Parameters(m), 0.001)
		layers.Train(m)
		for range epochs {
			for images, labels := range train.All() {
				optimizer.ZeroGrad()
				layers.CrossEntropyLoss{}.Forward(m.Forward(images), labels).Backward()
				optimizer.Step()
			}
		}
		layers.Eval(m)
		correct, total := 0, 0
		for images, labels := range autograd.NoGrad(test.All()) {
			_, prediction := m.Forward(images).Max(1)
			correct += tensor.CountEqual(prediction, labels)
			total += labels.Len()
		}
		for _, l := range []*datasets.DataLoader{train, test} {
			if err := l.Err(); err != nil {
				t.Fatal(err)
			}
		}
		return float64(correct) / float64(total)
	}
	tensor.ManualSeed(1)
	linear := accuracy(layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10)), 10)
	if linear > 0.60 || linear < 0.15 {
		t.Errorf("a linear model reaches %.1f %%, want more than guessing and less than 60 %%", 100*linear)
	}
	conv := accuracy(models.NewVGG(models.Cfg{16, "M", 32, "M", 64, "M", 64, "M", 64, "M"}, 10), 2)
	if conv < 0.95 {
		t.Errorf("a small convolutional model reaches %.1f %%, want 95 %% or more", 100*conv)
	}
	t.Logf("test accuracy: linear after ten epochs %.1f %%, convolutional after two %.1f %%", 100*linear, 100*conv)
}
