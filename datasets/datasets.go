// Package datasets holds data sets and the loader that makes batches of them.
//
//	set, err := datasets.NewCIFAR10("data", datasets.CIFAR10Opts{Train: true, Download: true})
//	loader := &datasets.DataLoader{Dataset: set, BatchSize: 64, Shuffle: true}
//	for images, labels := range loader.All() { // [64 3 32 32] and [64]
//		…
//	}
//	if err := loader.Err(); err != nil { … }
//
// Data sets: [CIFAR10], [ImageFolder] for pictures of one's own, [Shapes], which
// is drawn in code and needs no file, [Pictures] and [Tensors] for what is in
// memory; [Subset], [RandomSplit] and [Concat] make new ones from others. Any
// type with the two methods of [Dataset] is one.
package datasets

import (
	"fmt"
	"math/rand/v2"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// Dataset is a list of examples.
type Dataset interface {
	Len() int
	// Get returns example i and what is to be learned of it, such as its class
	// as an Int64 scalar. What it does at random it draws from r. A loader with
	// several workers calls it from several goroutines at once.
	Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error)
}

// pathed is a data set whose examples lie in files.
type pathed interface{ Path(i int) string }

// fused is a data set that can write an example's numbers straight into a
// batch. fuse returns nil where its transforms do not allow that.
type fused interface {
	fuse() (fill fillFunc, shape [3]int)
}

// fillFunc writes the picture of example i and returns its label.
type fillFunc func(dst []float32, i int, r *rand.Rand) (label int64, err error)

func wantIndex(i, n int) error {
	if i < 0 || i >= n {
		return fmt.Errorf("datasets: example %d of %d, want 0 to %d", i, n, n-1)
	}
	return nil
}

// apply runs t, nil meaning ToTensor, and makes what is still a picture a
// tensor. What a transform panics with because something does not fit is an
// error here.
func apply(t transforms.Transform, s transforms.Sample, r *rand.Rand) (x *tensor.Tensor, err error) {
	err = tensor.Try(func() {
		if t != nil {
			s = t.Apply(s, r)
		}
		x = transforms.ToTensor().Apply(s, r).Tensor
	})
	return x, err
}
