package datasets

import (
	"context"
)

var fashionMNIST = idx{
	name: "Fashion-MNIST", folder: "FashionMNIST/raw",
	urls: []string{"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"},
	sums: map[string]string{ // MD5
		"train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
		"train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
		"t10k-images-idx3-ubyte":  "bef4ecab320f06d8554ea6380940ec79",
		"t10k-labels-idx1-ubyte":  "bb300cfdad3c16e7a12a480ee83cd310",
	},
	classes: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
}

// FashionMNIST is the Fashion-MNIST data set: 28×28 gray images of ten kinds of clothing, 60,000
// for training and 10,000 for testing (Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image
// Dataset for Benchmarking Machine Learning Algorithms", 2017). It is a [Images], held in memory as bytes.
type FashionMNIST struct {
	*Images
	note string
}

// FashionMNISTOpts are the options of MNIST.
type FashionMNISTOpts = MNISTOpts

// NewFashionMNIST reads Fashion-MNIST from the folder root/FashionMNIST/raw, where torchvision has it too: the files
// that are published, or those unpacked. With Download it fetches those that are not there, and
// refuses one whose MD5 sum is not the published one. (torchvision.datasets.FashionMNIST)
func NewFashionMNIST(root string, opts FashionMNISTOpts) (*FashionMNIST, error) {
	return NewFashionMNISTContext(context.Background(), root, opts)
}

// NewFashionMNISTContext is NewFashionMNIST with a context that ends waiting and downloading.
func NewFashionMNISTContext(ctx context.Context, root string, opts FashionMNISTOpts) (*FashionMNIST, error) {
	p, note, err := fashionMNIST.open(ctx, root, MNISTOpts(opts))
	if err != nil {
		return nil, err
	}
	return &FashionMNIST{p, note}, nil
}

// Note says in a sentence how the files differ from those that were published.
func (m *FashionMNIST) Note() string { return m.note }
