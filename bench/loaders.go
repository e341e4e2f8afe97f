package main

import (
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"runtime"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// makeCIFAR10 writes the files of CIFAR-10 in their binary layout, with n training
// images, a multiple of 5, and a fifth as many test images, all made up.
func makeCIFAR10(dir string, n int) error {
	const record = 1 + 3*32*32
	folder := filepath.Join(dir, "cifar-10-batches-bin")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	bytes := tensor.NewGenerator(1).RandInt(0, 256, (n+n/5)*record).ToDType(tensor.Uint8).Bytes()
	for at := 0; at < len(bytes); at += record {
		bytes[at] %= 10 // the label
	}
	part := len(bytes) / 6
	for i, name := range []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"} {
		if err := os.WriteFile(filepath.Join(folder, name+".bin"), bytes[i*part:(i+1)*part], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// openCIFAR10 reads what makeCIFAR10 wrote, flipped with probability flip.
func openCIFAR10(dir string, flip float64) (*datasets.CIFAR10, error) {
	return datasets.NewCIFAR10(dir, datasets.CIFAR10Opts{
		Train: true, Transform: transforms.Compose(transforms.RandomHorizontalFlip(flip), transforms.ToTensor()),
	})
}

// read is the work of reading an epoch on one core: shuffled is timed, and what
// is compared is the images of ordered, whose transform leaves nothing to chance.
func read(s spec, shuffled, ordered datasets.Dataset) *work {
	loader := &datasets.DataLoader{Dataset: shuffled, BatchSize: s.Args.Batch, Shuffle: true, Seed: 1}
	w := &work{spec: s, threads: 1, images: float64(shuffled.Len())}
	w.step = func(bool) []*tensor.Tensor {
		for range loader.All() {
		}
		if err := loader.Err(); err != nil {
			panic(err)
		}
		return nil
	}
	w.check = func() ([]*tensor.Tensor, error) {
		l := &datasets.DataLoader{Dataset: ordered, BatchSize: s.Args.Batch}
		var xs, ys []*tensor.Tensor
		for x, y := range l.All() {
			xs, ys = append(xs, x.Clone().Keep()), append(ys, y.Clone().Keep())
		}
		if err := l.Err(); err != nil {
			return nil, err
		}
		return []*tensor.Tensor{tensor.Cat(0, xs...), tensor.Cat(0, ys...)}, nil
	}
	return w
}

// cifar10 reads CIFAR-10 with flip and ToTensor, as the tutorial does.
func cifar10(s size) (*work, error) {
	if err := makeCIFAR10(s.dir, s.of(2000, 20)); err != nil {
		return nil, err
	}
	shuffled, err := openCIFAR10(s.dir, 0.5)
	if err != nil {
		return nil, err
	}
	ordered, err := openCIFAR10(s.dir, 1)
	if err != nil {
		return nil, err
	}
	return read(spec{Op: "cifar10", Args: args{Dir: s.dir, Batch: 64}}, shuffled, ordered), nil
}

// folder reads a folder of JPEGs with Resize, CenterCrop and ToTensor, as models
// for ImageNet are evaluated.
func folder(s size) (*work, error) {
	n, width, height, resize, crop := s.of(32, 2), s.of(500, 200), s.of(375, 150), s.of(256, 60), s.of(224, 50)
	root := filepath.Join(s.dir, "folder")
	for i := range n {
		if err := makeJPEG(filepath.Join(root, fmt.Sprintf("class%d", i%2), fmt.Sprintf("%03d.jpg", i)), width, height, i); err != nil {
			return nil, err
		}
	}
	set, err := datasets.NewImageFolder(root, datasets.ImageFolderOpts{
		Transform: transforms.Compose(transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor()),
	})
	if err != nil {
		return nil, err
	}
	w := read(spec{Op: "folder", Args: args{Dir: root, Batch: 16, Resize: resize, Crop: crop}}, set, set)
	// Decoders may differ in how they round and enlarge the colours.
	w.tolerance = 0.02
	return w, nil
}

// makeJPEG draws waves of colour, which have something of a photograph's smooth
// parts and edges.
func makeJPEG(path string, width, height, seed int) error {
	im := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			u, v, f := float64(x)/float64(width), float64(y)/float64(height), float64(seed%7+3)
			wave := func(a, b float64) uint8 { return uint8(127.5 + 110*math.Sin(a*u*f+b*v)*math.Cos(b*u-a*v*f)) }
			im.SetRGBA(x, y, color.RGBA{wave(3, 5), wave(7, 2), wave(2, 9), 255})
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := jpeg.Encode(f, im, &jpeg.Options{Quality: 90}); err != nil {
		return err
	}
	return f.Close()
}

// tutorial is an epoch of the tutorial's script: so many training images, flipped
// at random, with Adam and MultiStepLR, the model saved, and a fifth as many test
// images.
func tutorial(s size, pictures int) (*work, error) {
	pictures = (s.of(pictures, 10) + 4) / 5 * 5
	dir := s.data
	if dir == "" {
		dir = s.dir
		if err := makeCIFAR10(dir, pictures); err != nil {
			return nil, err
		}
	}
	open := func(train bool, transform ...transforms.Transform) (datasets.Dataset, error) {
		set, err := datasets.NewCIFAR10(dir, datasets.CIFAR10Opts{Train: train, Transform: transforms.Compose(append(transform, transforms.ToTensor())...)})
		if err != nil {
			return nil, err
		}
		n := pictures
		if !train {
			n /= 5
		}
		if n > set.Len() {
			return nil, fmt.Errorf("-epoch %d: %s has %d images, want %d", pictures, dir, set.Len(), n)
		}
		return datasets.Slice(set, 0, n), nil
	}
	flipped, err := open(true, transforms.RandomHorizontalFlip(0.5))
	if err != nil {
		return nil, err
	}
	ordered, err := open(true)
	if err != nil {
		return nil, err
	}
	test, err := open(false)
	if err != nil {
		return nil, err
	}
	cfg, m := vgg16(s)
	batch := s.of(64, 5)
	w := &work{
		spec:    spec{Op: "epoch", Args: args{Cfg: cfg, Train: true, Batch: batch, Dir: dir, Pictures: pictures}, Layouts: true},
		tensors: state(m), tolerance: 0.01,
		images: float64(pictures), flops: vggFlops(cfg, pictures, true) + vggFlops(cfg, pictures/5, false),
	}
	workers := 1 // as PyTorch's side, which has none
	if s.gpu() {
		workers = runtime.NumCPU() // as PyTorch's side
		w.tolerance = 0.05         // TF32, of which Adam makes much
		layers.To(m, s.device)
	}
	criterion := layers.CrossEntropyLoss{}
	optimizer := optim.NewAdam(layers.Parameters(m), 0.001)
	scheduler := sched.NewMultiStepLR(optimizer, []int{75, 150}, 0.5)
	// Both passes count what is right and add up the losses, as the tutorial's do.
	train := func(loader *datasets.DataLoader, most int) (losses []float32, err error) {
		layers.Train(m)
		correct := 0
		for images, labels := range loader.All() {
			optimizer.ZeroGrad()
			out := m.Forward(images)
			loss := criterion.Forward(out, labels)
			loss.Backward()
			optimizer.Step()
			losses = append(losses, float32(loss.Item()))
			_, prediction := out.Max(1)
			correct += tensor.CountEqual(prediction, labels)
			if len(losses) == most {
				break
			}
		}
		return losses, loader.Err()
	}
	evaluate := func(loader *datasets.DataLoader) error {
		layers.Eval(m)
		total, correct := 0.0, 0
		for images, labels := range autograd.NoGrad(loader.All()) {
			out := m.Forward(images)
			total += criterion.Forward(out, labels).Item()
			_, prediction := out.Max(1)
			correct += tensor.CountEqual(prediction, labels)
		}
		return loader.Err()
	}
	trainLoader := &datasets.DataLoader{Dataset: flipped, BatchSize: batch, Shuffle: true, Seed: 1, Workers: workers, Device: s.device}
	testLoader := &datasets.DataLoader{Dataset: test, BatchSize: batch, Workers: workers, Device: s.device}
	epochs := 0
	w.step = func(bool) []*tensor.Tensor {
		epochs++
		scheduler.StepTo(epochs)
		losses, err := train(trainLoader, -1)
		if err == nil {
			err = layers.Save(filepath.Join(s.dir, "model.safetensors"), m)
		}
		if err == nil {
			err = evaluate(testLoader)
		}
		if err != nil {
			panic(err)
		}
		return []*tensor.Tensor{tensor.From(losses)}
	}
	w.warm = func() {
		if _, err := train(trainLoader, 10); err != nil {
			panic(err)
		}
	}
	w.check = func() ([]*tensor.Tensor, error) {
		losses, err := train(&datasets.DataLoader{Dataset: ordered, BatchSize: batch, Device: s.device}, 2)
		return []*tensor.Tensor{tensor.From(losses)}, err
	}
	return w, nil
}
