package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
)

// labeled is a dataset whose classes have names.
type labeled interface {
	datasets.Dataset
	Classes() []string
}

// loadData opens the training and test images that the options name and notes
// their classes in opts.
func loadData(ctx context.Context, opts *options) (trainSet, testSet datasets.Dataset, err error) {
	augment := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	plain := transforms.Compose(transforms.ToTensor())
	var train, test labeled
	switch opts.dataset {
	case "cifar10":
		train, err = openCIFAR10(ctx, *opts, true, augment)
		if err == nil {
			test, err = openCIFAR10(ctx, *opts, false, plain)
		}
	case "shapes":
		train = datasets.NewShapes(datasets.ShapesOpts{Train: true, Transform: augment})
		test = datasets.NewShapes(datasets.ShapesOpts{Transform: plain})
	case "folder":
		train, err = openFolder(*opts, "train", augment)
		if err == nil {
			test, err = openFolder(*opts, "test", plain)
		}
		if err == nil && !slices.Equal(train.Classes(), test.Classes()) {
			err = fmt.Errorf("%s has the classes %q for training and %q for testing, want the same", opts.data, train.Classes(), test.Classes())
		}
	}
	if err != nil {
		return nil, nil, err
	}
	opts.classes = train.Classes()
	return first(train, opts.limit), first(test, opts.limit), nil
}

func openCIFAR10(ctx context.Context, opts options, train bool, t transforms.Transform) (labeled, error) {
	set, err := datasets.NewCIFAR10Context(ctx, opts.data, datasets.CIFAR10Opts{Train: train, Download: opts.download, Transform: t, Progress: progress(opts.stderr)})
	if errors.Is(err, datasets.ErrNotDownloaded) {
		return nil, fmt.Errorf("no CIFAR-10 in %s: -download fetches it, -dataset shapes needs none", opts.data)
	}
	if err != nil {
		return nil, err
	}
	if note := set.Note(); note != "" && train {
		fmt.Fprintln(opts.stdout, "note:", note)
	}
	return set, nil
}

func openFolder(opts options, part string, t transforms.Transform) (labeled, error) {
	set, err := datasets.NewImageFolder(filepath.Join(opts.data, part), datasets.ImageFolderOpts{Transform: fit(opts.size, t)})
	if err != nil {
		return nil, err
	}
	if note := set.Note(); note != "" {
		fmt.Fprintf(opts.stdout, "note: %s: %s\n", filepath.Join(opts.data, part), note)
	}
	return set, nil
}

// fit makes a square of an image of any size: the shorter side becomes size
// pixels, the middle stays.
func fit(size int, t transforms.Transform) transforms.Transform {
	return transforms.Compose(transforms.Resize(size), transforms.CenterCrop(size), t)
}

// first returns the first n examples of a dataset, or all if n is 0.
func first(d datasets.Dataset, n int) datasets.Dataset {
	if n == 0 || n >= d.Len() {
		return d
	}
	return datasets.Slice(d, 0, n)
}

// progress reports a download on stderr, every ten percent.
func progress(stderr io.Writer) func(done, total int64) {
	last := int64(-1)
	return func(done, total int64) {
		if total <= 0 {
			return
		}
		if tenth := done * 10 / total; tenth != last {
			last = tenth
			fmt.Fprintf(stderr, "download: %d of %d MB\n", done>>20, total>>20)
		}
	}
}
