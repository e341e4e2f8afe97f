package datasets_test

import (
	"errors"
	"fmt"

	"github.com/wick-ml/wick/datasets"
)

// Data sets that are published on the web are read from a folder; Download fetches what is not
// there.
func ExampleNewMNIST() {
	for _, open := range []func() error{
		func() error { _, err := datasets.NewMNIST("nowhere", datasets.MNISTOpts{Train: true}); return err },
		func() error { _, err := datasets.NewFashionMNIST("nowhere", datasets.FashionMNISTOpts{}); return err },
		func() error { _, err := datasets.NewKMNIST("nowhere", datasets.KMNISTOpts{}); return err },
		func() error { _, err := datasets.NewCIFAR100("nowhere", datasets.CIFAR100Opts{}); return err },
	} {
		fmt.Println(errors.Is(open(), datasets.ErrNotDownloaded))
	}
	// Output:
	// true
	// true
	// true
	// true
}
