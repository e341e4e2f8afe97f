package datasets

import (
	"context"

	"github.com/wick-ml/wick/datasets/transforms"
)

var mnist = idx{
	name: "MNIST", folder: "MNIST/raw",
	urls: []string{"https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"},
	sums: map[string]string{ // MD5
		"train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
		"train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
		"t10k-images-idx3-ubyte":  "9fb629c4189551a2d022fa330f9573f3",
		"t10k-labels-idx1-ubyte":  "ec29112dd5afa0611ce80d1b7f02629c",
	},
	classes: []string{"0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"},
}

// MNIST is the MNIST data set: 28×28 gray images of handwritten digits, 60,000 for
// training and 10,000 for testing (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning
// applied to document recognition", 1998). It is a [Images], held in memory as bytes.
type MNIST struct {
	*Images
	note string
}

// MNISTOpts says which part of MNIST is wanted, and how. The zero value reads the test
// images from files that are already there.
type MNISTOpts struct {
	Train     bool                 // the training images rather than the test images
	Download  bool                 // fetch the files that are not there
	Transform transforms.Transform // of each image; nil means transforms.ToTensor()

	URL      string                  // of the folder with the files; "" means where torchvision finds them
	Progress func(done, total int64) // is told the bytes of each download; total is -1 where the server does not say
}

// NewMNIST reads MNIST from the folder root/MNIST/raw, where torchvision has it too: the files
// that are published, or those unpacked. With Download it fetches those that are not there, and
// refuses one whose MD5 sum is not the published one. (torchvision.datasets.MNIST)
func NewMNIST(root string, opts MNISTOpts) (*MNIST, error) {
	return NewMNISTContext(context.Background(), root, opts)
}

// NewMNISTContext is NewMNIST with a context that ends waiting and downloading.
func NewMNISTContext(ctx context.Context, root string, opts MNISTOpts) (*MNIST, error) {
	p, note, err := mnist.open(ctx, root, MNISTOpts(opts))
	if err != nil {
		return nil, err
	}
	return &MNIST{p, note}, nil
}

// Note says in a sentence how the files differ from those that were published.
func (m *MNIST) Note() string { return m.note }
