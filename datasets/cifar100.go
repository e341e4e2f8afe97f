package datasets

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"

	"github.com/wick-ml/wick/datasets/transforms"
)

const (
	cifar100URL = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
	cifar100MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
)

var cifar100 = cifar{
	name: "CIFAR-100", py: "cifar-100-python", bin: "cifar-100-binary",
	train: []string{"train"}, test: []string{"test"},
	sums: map[string]string{ // MD5
		"train": "16019d7e3df5f24257cddd939b257f8d",
		"test":  "f0ef6b0ae62326f3e7ffdfab6717acfc",
	},
	meta: [2]string{"meta", "fine_label_names.txt"}, keys: [2]string{"fine_labels", "fine_label_names"}, skip: 1,
	classes: strings.Fields("apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly " +
		"camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup " +
		"dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower " +
		"leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid " +
		"otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray " +
		"road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar " +
		"sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle " +
		"wardrobe whale willow_tree wolf woman worm"),
}

// CIFAR100 is the CIFAR-100 data set: 32×32 colour images of a hundred classes,
// 50,000 for training and 10,000 for testing (Krizhevsky, "Learning Multiple
// Layers of Features from Tiny Images", 2009). It is a [Images], held in
// memory as bytes.
type CIFAR100 struct {
	*Images
	note string
}

// CIFAR100Opts says which part of CIFAR-100 is wanted, and how. The zero value
// reads the test images from files that are already there.
type CIFAR100Opts struct {
	Train     bool                 // the training images rather than the test images
	Download  bool                 // fetch the archive where root has no copy
	Transform transforms.Transform // of each image; nil means transforms.ToTensor()

	URL      string                  // of the archive; "" means the address that the authors publish it at
	Progress func(done, total int64) // is told the bytes of the download; total is -1 where the server does not say
}

// NewCIFAR100 reads CIFAR-100 from the folder root. It looks, in this order, for
// root/cifar-100-python, root/cifar-100-binary and
// root/cifar-100-python.tar.gz, which it unpacks; with Download it fetches that
// archive where none of them is there, and where the archive cannot be unpacked
// and has another MD5 sum than the published one: cut off, or a web page in its
// place. PyTorch's torchvision uses the same places.
//
// A download that was interrupted is resumed; one whose MD5 sum is not the
// published archive's is refused and deleted. Several programs may call this at
// once: one downloads, the others wait. Copies that were there before may be
// any that have the layout, even with fewer images a file; [CIFAR100.Note]
// says how they differ from what was published.
func NewCIFAR100(root string, opts CIFAR100Opts) (*CIFAR100, error) {
	return NewCIFAR100Context(context.Background(), root, opts)
}

// NewCIFAR100Context is NewCIFAR100 with a context that ends waiting,
// downloading and unpacking.
func NewCIFAR100Context(ctx context.Context, root string, opts CIFAR100Opts) (*CIFAR100, error) {
	p, note, err := cifar100.open(ctx, root, "CIFAR100Opts", opts.Train, opts.Download, opts.Transform,
		newFetch(cmp.Or(opts.URL, cifar100URL), filepath.Join(root, "cifar-100-python.tar.gz"), cifar100MD5, opts.Progress))
	if err != nil {
		return nil, err
	}
	return &CIFAR100{p, note}, nil
}

// Note says in a sentence how the files differ from those that were published,
// and that an archive was damaged and fetched again, or is empty.
func (c *CIFAR100) Note() string { return c.note }
