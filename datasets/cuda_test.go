//go:build cuda && linux

package datasets

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/internal/cuda/sim"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
)

func TestMain(m *testing.M) { sim.Main(m) }

// Batches of any number of tensors go to the GPU whole, tensors that share memory and
// the same one twice too, and leave nothing there.
func TestBatchesOnGPU(t *testing.T) {
	gpu, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	time.Sleep(time.Millisecond)
	before := gpu.MemoryStats().Live
	views := func(examples []Example) (*Batch, error) {
		b, _, err := stack(examples, make([]int, len(examples)))
		x := b.Inputs[0]
		return &Batch{Inputs: []*tensor.Tensor{x, x.Narrow(0, 0, 1), x}, Targets: []*tensor.Tensor{b.Inputs[1], x}}, err
	}
	for _, collate := range []CollateBatch{nil, views} {
		on := func(d *tensor.Device) *DataLoader {
			return &DataLoader{Dataset: Multi(several{n: 11, inputs: 3, targets: 2}), BatchSize: 4, Shuffle: true, Seed: 7, Workers: 2, Device: d, CollateBatch: collate}
		}
		want := batchesOf(t, on(nil))
		l := on(gpu)
		var got []contents
		for b := range l.Batches() {
			for _, x := range slices.Concat(b.Inputs, b.Targets) {
				if x.Device() != gpu {
					t.Errorf("a tensor is on %v, want %v", x.Device(), gpu)
				}
			}
			got = append(got, seen(b.To(tensor.CPU)))
		}
		if diff := cmp.Diff(want, got); diff != "" || l.Err() != nil {
			t.Errorf("error %v (-CPU +GPU):\n%s", l.Err(), diff)
		}
		for range l.Batches() {
			break
		}
	}
	if got := gpu.MemoryStats().Live; got != before {
		t.Errorf("%d bytes are live on the GPU, want the %d of before", got, before)
	}
}

// A loader for a GPU yields the CPU's batches, bit for bit, and leaves nothing
// there, whether the loop goes to its end or not.
func TestLoaderOnGPU(t *testing.T) {
	gpu, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, set := range deviceSets(t) {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			time.Sleep(time.Millisecond) // what other tests have left goes now, and not in the loop
			before := gpu.MemoryStats().Live
			for _, workers := range []int{1, 3} {
				cpu := &DataLoader{Dataset: set, BatchSize: 4, Shuffle: true, Seed: 7, Workers: workers}
				other := &DataLoader{Dataset: set, BatchSize: 4, Shuffle: true, Seed: 7, Workers: workers, Device: gpu}
				for epoch := range 2 {
					var want []made
					for x, y := range cpu.All() {
						want = append(want, made{x.Shape(), x.Floats(), y.Ints()})
					}
					for x, y := range other.All() {
						if x.Device() != gpu || y.Device() != gpu || x.DType() != tensor.Float32 {
							t.Fatalf("got %v on %v and labels on %v, want float32 on %v", x.DType(), x.Device(), y.Device(), gpu)
						}
						if got := (made{x.Shape(), x.Floats(), y.Ints()}); !got.equal(want[0]) {
							t.Fatalf("%d workers, epoch %d: the batches differ", workers, epoch)
						}
						want = want[1:]
					}
					if cpu.Err() != nil || other.Err() != nil || len(want) != 0 {
						t.Fatalf("%d batches are missing: %v, %v", len(want), cpu.Err(), other.Err())
					}
				}
				for range other.All() {
					break
				}
			}
			if got := gpu.MemoryStats().Live; got != before {
				t.Errorf("%d bytes are live on the GPU, want the %d of before", got, before)
			}
		})
	}
}

// No room for a batch is the loader's error, which says so.
func TestLoaderOnFullGPU(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_MEMORY=300000") {
		return
	}
	gpu, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	l := &DataLoader{Dataset: NewShapes(ShapesOpts{}), BatchSize: 32, Device: gpu, Prefetch: 1}
	for range l.All() {
		t.Error("got a batch")
	}
	if err := l.Err(); !errors.Is(err, tensor.ErrOutOfMemory) || !strings.Contains(err.Error(), "CropMirrorNormalize: out of memory for [32 3 32 32] of float32") {
		t.Errorf("got %v, want that there is no room for the batch", err)
	}
	l.BatchSize = 2
	n := 0
	for x := range l.All() {
		n += x.Size(0)
	}
	if l.Err() != nil || n != 2000 {
		t.Errorf("got %d examples and %v, want all 2000", n, l.Err())
	}
}

// A captured step takes the loader's batches, which workers send while it is
// captured and the loop finishes in between.
func TestLoaderFeedsCapturedStep(t *testing.T) {
	gpu, err := tensor.CUDA(0)
	if err != nil {
		t.Fatal(err)
	}
	set := Slice(NewShapes(ShapesOpts{Transform: transforms.Compose(transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())}), 0, 40)
	train := func(capture bool) (losses []float64) {
		tensor.ManualSeed(1)
		model := layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10))
		layers.To(model, gpu)
		o := optim.NewSGD(layers.Parameters(model), 0.01)
		step := func(x, y *tensor.Tensor) *tensor.Tensor {
			o.ZeroGrad()
			loss := layers.CrossEntropyLoss{}.Forward(model.Forward(x), y)
			loss.Backward()
			o.Step()
			return loss
		}
		if capture {
			c := tensor.Capture(gpu, step)
			defer c.Close()
			defer func() {
				if c.Err() != nil {
					t.Error(c.Err())
				}
			}()
			step = c.Run
		}
		l := &DataLoader{Dataset: set, BatchSize: 8, Shuffle: true, Seed: 3, Workers: 2, Device: gpu}
		for range 3 {
			for x, y := range l.All() {
				losses = append(losses, step(x, y).Item())
			}
			if l.Err() != nil {
				t.Fatal(l.Err())
			}
		}
		return losses
	}
	want, got := train(false), train(true)
	if len(want) != 15 || !(want[14] < want[0]) || !slices.Equal(got, want) {
		t.Errorf("captured, the losses are\n%v, want\n%v", got, want)
	}
}
