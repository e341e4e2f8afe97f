package datasets

import (
	"context"
)

var kmnist = idx{
	name: "Kuzushiji-MNIST", folder: "KMNIST/raw",
	urls: []string{"http://codh.rois.ac.jp/kmnist/dataset/kmnist/"},
	sums: map[string]string{ // MD5
		"train-images-idx3-ubyte": "bdb82020997e1d708af4cf47b453dcf7",
		"train-labels-idx1-ubyte": "e144d726b3acfaa3e44228e80efcd344",
		"t10k-images-idx3-ubyte":  "5c965bf0a639b31b8f53240b1b52f4d7",
		"t10k-labels-idx1-ubyte":  "7320c461ea6c1c855c0b718fb2a4b134",
	},
	classes: []string{"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"},
}

// KMNIST is the Kuzushiji-MNIST data set: 28×28 gray images of ten Hiragana characters, 60,000
// for training and 10,000 for testing (Clanuwat et al., "Deep Learning for Classical Japanese
// Literature", 2018). It is a [Images], held in memory as bytes.
type KMNIST struct {
	*Images
	note string
}

// KMNISTOpts are the options of MNIST.
type KMNISTOpts = MNISTOpts

// NewKMNIST reads Kuzushiji-MNIST from the folder root/KMNIST/raw, where torchvision has it too: the files
// that are published, or those unpacked. With Download it fetches those that are not there, and
// refuses one whose MD5 sum is not the published one. (torchvision.datasets.KMNIST)
func NewKMNIST(root string, opts KMNISTOpts) (*KMNIST, error) {
	return NewKMNISTContext(context.Background(), root, opts)
}

// NewKMNISTContext is NewKMNIST with a context that ends waiting and downloading.
func NewKMNISTContext(ctx context.Context, root string, opts KMNISTOpts) (*KMNIST, error) {
	p, note, err := kmnist.open(ctx, root, MNISTOpts(opts))
	if err != nil {
		return nil, err
	}
	return &KMNIST{p, note}, nil
}

// Note says in a sentence how the files differ from those that were published.
func (m *KMNIST) Note() string { return m.note }
