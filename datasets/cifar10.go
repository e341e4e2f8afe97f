package datasets

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wick-ml/wick/datasets/internal/pickle"
	"github.com/wick-ml/wick/datasets/transforms"
)

const (
	cifarSide  = 32
	cifarBytes = 3 * cifarSide * cifarSide // an image: 1024 red, 1024 green, 1024 blue bytes

	cifarURL     = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
	cifarMD5     = "c58f30108f718f92721af3b95e74349a"
	cifarArchive = "cifar-10-python.tar.gz"
	cifarPy      = "cifar-10-batches-py"
	cifarBin     = "cifar-10-batches-bin"

	maxBatchFile = 1 << 30 // longer files are not read
)

// ErrNotDownloaded is wrapped by the error of a data set that is not there while
// nobody asked for a download (CIFAR10Opts.Download).
var ErrNotDownloaded = errors.New("CIFAR10Opts.Download fetches it, and was not set")

// cifarSums are the published files' MD5 sums.
var cifarSums = map[string]string{
	"data_batch_1": "c99cafc152244af753f735de768cd75f",
	"data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
	"data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
	"data_batch_4": "634d18415352ddfa80567beed471001a",
	"data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
	"test_batch":   "40351d587109b95175f43aff81a1287e",
}

var cifarClasses = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

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
	f := &fetch{
		url: cifarURL, path: filepath.Join(root, cifarArchive), md5: cifarMD5, limit: 1 << 29, progress: opts.Progress,
		tries: 5, pause: time.Second, stall: time.Minute,
	}
	if opts.URL != "" {
		f.url = opts.URL
	}
	d, err := openCIFAR(ctx, root, opts, f)
	if err != nil {
		return nil, err
	}
	p, err := NewImages(d.pixels, 3, cifarSide, cifarSide, d.labels, d.classes, opts.Transform)
	if err != nil {
		return nil, err
	}
	return &CIFAR10{p, d.note}, nil
}

// Note says in a sentence how the files differ from those that were published,
// and that an archive was damaged and fetched again, or is empty.
func (c *CIFAR10) Note() string { return c.note }

// cifarData is what the files of one part hold.
type cifarData struct {
	pixels  []byte // cifarBytes an image
	labels  []uint8
	classes []string
	note    string
}

func openCIFAR(ctx context.Context, root string, opts CIFAR10Opts, f *fetch) (*cifarData, error) {
	if d, err := loadCIFAR(root, opts.Train); !errors.Is(err, errNoCIFAR) {
		return d, advised(err)
	}
	if _, err := wantArchive(root, opts, f); err != nil {
		return nil, err
	}
	var unlock func()
	for tries := 0; unlock == nil; tries++ {
		// Where we waited for somebody in vain, the folder went with them.
		gone := func(err error) bool {
			return (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)) && ctx.Err() == nil && tries < 100
		}
		undo, err := makeDir(root)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("datasets: the folder %s cannot be made: %w", root, err)
		}
		defer undo()
		unlock, err = lock(ctx, filepath.Join(root, ".cifar-10.lock"))
		switch {
		case err == nil, gone(err):
		case ctx.Err() != nil:
			return nil, fmt.Errorf("datasets: waiting for another program that unpacks CIFAR-10 in %s: %w", root, err)
		default:
			return nil, fmt.Errorf("datasets: nothing can be written in %s, where CIFAR-10 is to be unpacked: %w", root, unnamed(err))
		}
	}
	defer unlock() // runs before undo
	// While we waited, somebody may have done the work.
	if d, err := loadCIFAR(root, opts.Train); !errors.Is(err, errNoCIFAR) {
		return d, advised(err)
	}
	archive, err := wantArchive(root, opts, f)
	if err != nil {
		return nil, err
	}
	var damage error
	if archive {
		d, err := unpackCIFAR(ctx, root, f.path, opts.Train)
		if err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrPermission) {
			return d, err
		}
		if sum, err2 := md5File(f.path); err2 != nil || sum == f.md5 {
			return nil, err // the archive is what it should be
		}
		if damage = err; !opts.Download {
			return nil, fmt.Errorf("%w; remove that file, or have it fetched again with CIFAR10Opts.Download", damage)
		}
	}
	if err := f.run(ctx); err != nil {
		if damage != nil {
			err = fmt.Errorf("%w; and fetching it again: %w", damage, ours{err})
		}
		return nil, err
	}
	d, err := unpackCIFAR(ctx, root, f.path, opts.Train)
	if err == nil && damage != nil {
		d.note = strings.TrimPrefix(d.note+"; ", "; ") + fmt.Sprintf("the archive that was there was damaged and was fetched again: %v", ours{damage})
	}
	return d, err
}

// wantArchive says whether the archive is there, and refuses to go on where there
// is no way to one.
func wantArchive(root string, opts CIFAR10Opts, f *fetch) (bool, error) {
	info, err := os.Stat(f.path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return false, fmt.Errorf("datasets: %s is no regular file, want the archive or nothing there", f.path)
	case err == nil:
		return true, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("datasets: %s cannot be read: %w", root, unnamed(err))
	case !opts.Download:
		return false, fmt.Errorf("datasets: no CIFAR-10 in %s, which has neither %s nor %s nor %s: %w",
			root, cifarPy, cifarBin, cifarArchive, ErrNotDownloaded)
	}
	return false, nil
}

// batchError is a file of the data set that is not what it should be.
type batchError struct {
	path string
	err  error
}

func (e *batchError) Error() string { return fmt.Sprintf("datasets: %s: %v", e.path, e.err) }
func (e *batchError) Unwrap() error { return e.err }

// advised adds to the error of a broken file what to do.
func advised(err error) error {
	if e, ok := errors.AsType[*batchError](err); ok {
		return fmt.Errorf("%w; remove its folder, %s, to have it unpacked or downloaded again", err, filepath.Dir(e.path))
	}
	return err
}

// unpackCIFAR unpacks the archive beside itself. The folder appears under its
// name only when it is whole and its images have been read.
func unpackCIFAR(ctx context.Context, root, archive string, train bool) (*cifarData, error) {
	// Whoever made this folder was killed: we hold the lock.
	tmp := filepath.Join(root, ".cifar-10.unpacking")
	if err := os.RemoveAll(tmp); err != nil {
		return nil, err
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := unpack(ctx, archive, tmp); err != nil {
		return nil, err
	}
	d, err := loadCIFAR(tmp, train)
	if errors.Is(err, errNoCIFAR) {
		return nil, fmt.Errorf("datasets: %s: holds no folder %s", archive, cifarPy)
	}
	if err != nil {
		return nil, fmt.Errorf("datasets: %s: %w", archive, ours{err})
	}
	if err := os.Rename(filepath.Join(tmp, cifarPy), filepath.Join(root, cifarPy)); err != nil {
		return nil, err
	}
	d.note = strings.ReplaceAll(d.note, tmp, root)
	return d, nil
}

// errNoCIFAR says that a folder has neither layout.
var errNoCIFAR = errors.New("no CIFAR-10")

// loadCIFAR reads one part from the folder of root that holds it unpacked.
func loadCIFAR(root string, train bool) (*cifarData, error) {
	names := []string{"test_batch"}
	if train {
		names = []string{"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"}
	}
	d := &cifarData{classes: cifarClasses}
	for _, layout := range []struct {
		dir, ext, meta string
		read           func(d *cifarData, file []byte) error
	}{{cifarPy, "", "batches.meta", (*cifarData).readPy}, {cifarBin, ".bin", "batches.meta.txt", (*cifarData).readBin}} {
		dir := filepath.Join(root, layout.dir)
		_, err := os.Stat(dir)
		if err == nil {
			return d, d.load(dir, names, layout.ext, layout.meta, layout.read)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("datasets: %s cannot be read: %w", root, unnamed(err))
		}
	}
	return nil, errNoCIFAR
}

func (d *cifarData) load(dir string, names []string, ext, meta string, read func(d *cifarData, file []byte) error) error {
	var differ []string
	for _, name := range names {
		path := filepath.Join(dir, name+ext)
		file, err := readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return &batchError{path, errors.New("the file is missing")}
		}
		if err != nil {
			return fmt.Errorf("datasets: %w", err)
		}
		if sum := md5.Sum(file); hex.EncodeToString(sum[:]) != cifarSums[name] {
			differ = append(differ, name+ext)
		}
		if d.pixels == nil {
			d.pixels = make([]byte, 0, len(names)*(len(file)/cifarBytes)*cifarBytes)
		}
		if err := read(d, file); err != nil {
			return &batchError{path, err}
		}
	}
	path := filepath.Join(dir, meta)
	file, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist): // the names are known
	case err != nil:
		return fmt.Errorf("datasets: %w", err)
	default:
		if d.classes, err = cifarNames(file, ext); err != nil {
			return &batchError{path, err}
		}
	}
	switch {
	case ext != "":
		d.note = fmt.Sprintf("%d images from %s, a layout whose files have no published sums to compare with", len(d.labels), dir)
	case len(differ) > 0:
		d.note = fmt.Sprintf("%d images from %s, where the MD5 sums of %s are not those of the published files", len(d.labels), dir, strings.Join(differ, ", "))
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: no regular file", path)
	}
	if fi.Size() > maxBatchFile {
		return nil, fmt.Errorf("%s: %d bytes, want at most %d", path, fi.Size(), maxBatchFile)
	}
	return os.ReadFile(path)
}

// readPy reads a batch of the Python layout: a dict with "data", an array of
// [n, 3072], and "labels", a list of n numbers.
func (d *cifarData) readPy(file []byte) error {
	v, err := pickle.Read(file)
	if err != nil {
		return err
	}
	batch, ok := v.(*pickle.Dict)
	if !ok {
		return fmt.Errorf("a pickled %s, want a dict", pickle.Name(v))
	}
	data, ok := batch.Get("data").(*pickle.Array)
	if !ok || len(data.Shape) != 2 || data.Shape[1] != cifarBytes {
		got := pickle.Name(batch.Get("data"))
		if ok {
			got = fmt.Sprintf("an array of shape %v", data.Shape)
		}
		return fmt.Errorf(`"data" is %s, want a uint8 array of shape [n %d]`, got, cifarBytes)
	}
	labels, ok := batch.Get("labels").(*pickle.List)
	if !ok {
		return fmt.Errorf(`"labels" is %s, want a list`, pickle.Name(batch.Get("labels")))
	}
	if len(labels.Items) != data.Shape[0] {
		return fmt.Errorf("%d labels for %d images", len(labels.Items), data.Shape[0])
	}
	for i, v := range labels.Items {
		n, ok := v.(pickle.Int)
		if !ok {
			return fmt.Errorf("record %d: label is %s, want an int", i, pickle.Name(v))
		}
		if n < 0 || n > 9 {
			return fmt.Errorf("record %d: label %d, want 0 to 9", i, n)
		}
		d.labels = append(d.labels, uint8(n))
	}
	d.pixels = append(d.pixels, data.Data...)
	return nil
}

// readBin reads a batch of the binary layout: a label byte and 3072 pixel
// bytes a record.
func (d *cifarData) readBin(file []byte) error {
	const record = 1 + cifarBytes
	if n := len(file) / record; len(file)%record != 0 {
		return fmt.Errorf("record %d at offset %d has %d bytes, want %d", n, n*record, len(file)-n*record, record)
	}
	for at := 0; at < len(file); at += record {
		if file[at] > 9 {
			return fmt.Errorf("record %d at offset %d: label %d, want 0 to 9", at/record, at, file[at])
		}
		d.labels = append(d.labels, file[at])
		d.pixels = append(d.pixels, file[at+1:at+record]...)
	}
	return nil
}

// cifarNames reads the class names of either layout.
func cifarNames(file []byte, ext string) ([]string, error) {
	var names []string
	if ext != "" {
		for line := range bytes.Lines(file) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				names = append(names, string(line))
			}
		}
	} else {
		v, err := pickle.Read(file)
		if err != nil {
			return nil, err
		}
		meta, ok := v.(*pickle.Dict)
		if !ok {
			return nil, fmt.Errorf("a pickled %s, want a dict", pickle.Name(v))
		}
		list, ok := meta.Get("label_names").(*pickle.List)
		if !ok {
			return nil, fmt.Errorf(`"label_names" is %s, want a list`, pickle.Name(meta.Get("label_names")))
		}
		for i, v := range list.Items {
			s, ok := pickle.String(v)
			if !ok {
				return nil, fmt.Errorf("class name %d is %s, want a string", i, pickle.Name(v))
			}
			names = append(names, s)
		}
	}
	if len(names) != len(cifarClasses) {
		return nil, fmt.Errorf("%d class names, want %d", len(names), len(cifarClasses))
	}
	return names, nil
}
