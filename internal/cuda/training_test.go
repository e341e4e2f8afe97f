//go:build cuda && linux

package cuda_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/internal/cuda"
	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

// These tests train whole models on a device: on a GPU the tutorial's, on the
// simulated driver one that is small enough for it.

func device(t *testing.T) (*tensor.Device, *cuda.Backend) {
	t.Helper()
	d, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	be, err := cuda.Open(0) // another one, to ask the driver
	if err != nil {
		t.Fatal(err)
	}
	return d, be.(*cuda.Backend)
}

// tiny is a VGG for 32×32 images, which takes the simulated driver a tenth of a
// second a step.
var tiny = models.Cfg{4, "M", 4, "M", 4, "M", 4, "M", 4, "M"}

// run is a training run as in the tutorial.
type run struct {
	model     *models.VGG
	optimizer optim.Optimizer
	loader    *datasets.DataLoader
}

func newRun(cfg models.Cfg, d *tensor.Device, pictures, batch int) *run {
	tensor.ManualSeed(7)
	m := models.NewVGG(cfg, 10)
	m.Dropout.P = 0.2
	layers.To(m, d)
	set := datasets.NewShapes(datasets.ShapesOpts{Transform: transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())})
	return &run{m, optim.NewAdam(layers.Parameters(m), 0.001),
		&datasets.DataLoader{Dataset: datasets.Slice(set, 0, pictures), BatchSize: batch, Shuffle: true, Seed: 7, Workers: 2, Device: d}}
}

// train makes so many steps and calls after behind each.
func (r *run) train(t *testing.T, steps int, after func(step int, loss float64)) {
	t.Helper()
	for done := 0; done < steps; {
		for images, labels := range r.loader.All() {
			r.optimizer.ZeroGrad()
			loss := layers.CrossEntropyLoss{}.Forward(r.model.Forward(images), labels)
			loss.Backward()
			r.optimizer.Step()
			done++
			after(done, loss.Item())
			if done == steps {
				break
			}
		}
		if err := r.loader.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// hash is one of all weights and buffers.
func hash(m layers.Module) string {
	h := fnv.New64a()
	for key, x := range layers.StateDict(m) {
		fmt.Fprintf(h, "%s %v\n", key, x.Shape())
		h.Write(x.Raw())
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// resident is the memory of the host that the process has.
func resident(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(b)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// collect has the garbage collector take what is left, and returns the bytes that
// are live then.
func collect(d *tensor.Device) (live int64) {
	live = -1
	for now := d.MemoryStats().Live; now != live; now = d.MemoryStats().Live {
		live = now
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	return live
}

// A long run needs no more memory than a short one: neither of the device, nor of
// the host. WICK_GPU_STEPS is its length.
func TestTrainingMemoryStaysFlat(t *testing.T) {
	d, be := device(t)
	steps := 10_000
	if sim.Simulated() {
		steps = 30
	}
	if s := os.Getenv("WICK_GPU_STEPS"); s != "" {
		var err error
		if steps, err = strconv.Atoi(s); err != nil || steps < 10 {
			t.Fatalf("WICK_GPU_STEPS is %q, want 10 or more", s)
		}
	}
	r := newRun(tiny, d, 90, 8)
	finite := func(step int, loss float64) {
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			t.Fatalf("step %d: the loss is %v", step, loss)
		}
	}
	warm := max(steps/5, 12) // a whole epoch at least, whose last batch is smaller
	r.train(t, warm, finite)
	live, taken, used, host := collect(d), d.MemoryStats().Taken, be.Used(), resident(t)
	start := time.Now()
	r.train(t, steps, finite)
	took := time.Since(start)
	liveAfter, takenAfter, usedAfter, hostAfter := collect(d), d.MemoryStats().Taken, be.Used(), resident(t)
	runtime.KeepAlive(r)
	t.Logf("%d steps of %v: tensors hold %d bytes, before %d; the pool took %d more, the device has %d less free, the process grew by %d",
		steps, took/time.Duration(steps), liveAfter, live, takenAfter-taken, usedAfter-used, hostAfter-host)
	if liveAfter > live {
		t.Errorf("%d bytes of tensors are live after %d steps, want the %d of before", liveAfter, steps, live)
	}
	// The batches that happen to be made ahead at once are a few more or fewer.
	const batches = 8 * 8 * (4*3*32*32 + 8)
	if grown := takenAfter - taken; grown > batches {
		t.Errorf("the pool took %d bytes more in %d steps, want %d at most", grown, steps, batches)
	}
	if grown := usedAfter - used; grown > 4<<20+batches {
		t.Errorf("the device has %d bytes less free after %d steps, want 4 MiB at most", grown, steps)
	}
	if grown := hostAfter - host; grown > 32<<20 {
		t.Errorf("the process grew by %d bytes in %d steps, want 32 MiB at most", grown, steps)
	}
}

// A seed gives the same losses and weights twice, bit for bit, where the device is
// told to be deterministic.
func TestTrainingRepeats(t *testing.T) {
	d, _ := device(t)
	cfg, steps, batch := models.VGGCfg("VGG16"), 20, 64
	if sim.Simulated() {
		cfg, steps, batch = tiny, 6, 8
	}
	deterministic(d, true)
	defer deterministic(d, false)
	var losses [2][]float64
	var weights [2]string
	for i := range losses {
		r := newRun(cfg, d, steps*batch/2, batch)
		r.train(t, steps, func(_ int, loss float64) { losses[i] = append(losses[i], loss) })
		weights[i] = hash(r.model)
	}
	if weights[0] != weights[1] || !slices.Equal(losses[0], losses[1]) {
		t.Errorf("got the losses\n%v and\n%v, and weights with the hashes %s and %s, want the same", losses[0], losses[1], weights[0], weights[1])
	}
}

// deterministic tells the device to give the same bits each time.
func deterministic(*tensor.Device, bool) {}

// The device's losses are the CPU's: the first to seven digits, the next ones as far
// as Adam, which makes much of the last bits, lets them be.
func TestLossesAreTheCPUs(t *testing.T) {
	d, _ := device(t)
	cfg, steps, batch := models.VGGCfg("VGG16"), 8, 64
	if sim.Simulated() {
		cfg, batch = tiny, 16
	}
	losses := func(d *tensor.Device) (l []float64) {
		r := newRun(cfg, d, steps*batch, batch)
		r.model.Dropout.P = 0
		r.train(t, steps, func(_ int, loss float64) { l = append(l, loss) })
		return l
	}
	want, got := losses(tensor.CPU), losses(d)
	t.Logf("CPU    %.5f", want)
	t.Logf("device %.5f", got)
	for i := range want {
		within := 0.05
		switch i {
		case 0:
			within = 1e-5
		case 1, 2:
			within = 0.01
		}
		if !(math.Abs(got[i]-want[i]) <= within*want[i]) {
			t.Errorf("step %d: the loss is %v, want the CPU's %v within %g of it", i+1, got[i], want[i], within)
		}
	}
}

// Where the card's memory is full, the operation says so, and afterwards all is as
// before.
func TestFullCard(t *testing.T) {
	if sim.Simulated() && !sim.Again(t, "WICK_SIM_MEMORY=120000000") {
		return
	}
	d, be := device(t)
	r := newRun(tiny, d, 16, 8)
	r.train(t, 2, func(int, float64) {})
	before := collect(d)
	n := int(be.Total() / 40 / 4)
	large := []*tensor.Tensor{tensor.Ones(n).To(d)}
	var err error
	for err == nil && len(large) < 100 {
		err = tensor.Try(func() { large = append(large, large[0].MulScalar(2)) })
	}
	var e *tensor.Error
	if !errors.Is(err, tensor.ErrOutOfMemory) || !errors.As(err, &e) || e.Op != "MulScalar" {
		t.Fatalf("%d tensors of a fortieth of the card: got %v, want an *Error of MulScalar that wraps ErrOutOfMemory", len(large), err)
	}
	t.Log(err)
	for _, part := range []string{fmt.Sprintf("out of memory for [%d] of float32 on cuda:0", n), "tensors hold ", "MiB at once so far"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got %q, want %q in it", err, part)
		}
	}
	if len(large) < 20 {
		t.Errorf("the card took %d tensors of a fortieth of it, want 20 at least", len(large))
	}
	if got := large[len(large)-1].Select(0, n-1).Item(); got != 2 {
		t.Errorf("the last element of the last tensor is %v, want 2", got)
	}
	for _, x := range large {
		friends.Release(x)
	}
	r.train(t, 2, func(step int, loss float64) {
		if math.IsNaN(loss) {
			t.Errorf("step %d afterwards: the loss is NaN", step)
		}
	})
	if after := collect(d); after > before {
		t.Errorf("%d bytes are live afterwards, want the %d before", after, before)
	}
}
