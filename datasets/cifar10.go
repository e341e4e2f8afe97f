package datasets

import (
	"cmp"
	"context"
	"path/filepath"

	"github.com/wick-ml/wick/datasets/transforms"
)

const (
	cifar10URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
	cifar10MD5 = "c58f30108f718f92721af3b95e74349a"
)

var cifar10 = cifar{
	name: "CIFAR-10", py: "cifar-10-batches-py", bin: "cifar-10-batches-bin",
	train: []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"}, test: []string{"test_batch"},
	sums: map[string]string{ // MD5
		"data_batch_1": "c99cafc152244af753f735de768cd75f",
		"data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
		"data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
		"data_batch_4": "634d18415352ddfa80567beed471001a",
		"data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
		"test_batch":   "40351d587109b95175f43aff81a1287e",
	},
	meta: [2]string{"batches.meta", "batches.meta.txt"}, keys: [2]string{"labels", "label_names"},
	classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
}

// CIFAR10 is the CIFAR-10 data set: 32×32 colour images of ten classes,
// 50,000 for training and 10,000 for testing (Krizhevsky, "Learning Multiple
// Layers of Features from Tiny Images", 2009). It is a [Images], held in
// memory as bytes.
type CIFAR10 struct {
	*Images
	note string
}

// CIFAR10Opts says which part of CIFAR-10 is wanted, and how. The zero value
// reads the test images from files that are already there.
type CIFAR10Opts struct {
	Train     bool                 // the training images rather than the test images
	Download  bool                 // fetch the archive where root has no copy
	Transform transforms.Transform // of each image; nil means transforms.ToTensor()

	URL      string                  // of the archive; "" means the address that the authors publish it at
	Progress func(done, total int64) // is told the bytes of the download; total is -1 where the server does not say
}

// NewCIFAR10 reads CIFAR-10 from the folder root. It looks, in this order, for
// root/cifar-10-batches-py, root/cifar-10-batches-bin and
// root/cifar-10-python.tar.gz, which it unpacks; with Download it fetches that
// archive where none of them is there, and where the archive cannot be unpacked
// and has another MD5 sum than the published one: cut off, or a web page in its
// place. PyTorch's torchvision uses the same places.
//
// A download that was interrupted is resumed; one whose MD5 sum is not the
// published archive's is refused and deleted. Several programs may call this at
// once: one downloads, the others wait. Copies that were there before may be
// any that have the layout, even with fewer images a file; [CIFAR10.Note]
// says how they differ from what was published.
func NewCIFAR10(root string, opts CIFAR10Opts) (*CIFAR10, error) {
	return NewCIFAR10Context(context.Background(), root, opts)
}

// NewCIFAR10Context is NewCIFAR10 with a context that ends waiting,
// downloading and unpacking.
func NewCIFAR10Context(ctx context.Context, root string, opts CIFAR10Opts) (*CIFAR10, error) {
	p, note, err := cifar10.open(ctx, root, "CIFAR10Opts", opts.Train, opts.Download, opts.Transform,
		newFetch(cmp.Or(opts.URL, cifar10URL), filepath.Join(root, "cifar-10-python.tar.gz"), cifar10MD5, opts.Progress))
	if err != nil {
		return nil, err
	}
	return &CIFAR10{p, note}, nil
}

// Note says in a sentence how the files differ from those that were published,
// and that an archive was damaged and fetched again, or is empty.
func (c *CIFAR10) Note() string { return c.note }
