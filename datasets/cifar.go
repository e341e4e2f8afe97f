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

	"github.com/wick-ml/wick/datasets/internal/pickle"
	"github.com/wick-ml/wick/datasets/transforms"
)

// cifar is the two layouts that CIFAR-10 and CIFAR-100 are published in, as they differ.
type cifar struct {
	name        string            // "CIFAR-10"
	py, bin     string            // the layouts' folders
	train, test []string          // files, in the binary layout with .bin behind
	sums        map[string]string // of the files in the Python layout
	meta        [2]string         // the files with the classes' names
	keys        [2]string         // of the labels and of the classes' names in the Python layout
	skip        int               // bytes before a record's label in the binary layout
	classes     []string
}

const (
	cifarSide  = 32
	cifarBytes = 3 * cifarSide * cifarSide // an image: 1024 red, 1024 green, 1024 blue bytes

	maxBatchFile = 1 << 30 // longer files are not read
)

// published is the data set as it is published, of which one part is wanted.
func (c *cifar) published(opts string, train bool) *published {
	return &published{name: c.name, opts: opts, hidden: strings.ToLower(c.name), folders: []string{c.py, c.bin},
		load: func(root string) (*labelled, error) { return c.load(root, train) }}
}

// open opens the data set, from the archive at url if it is not there, and returns its images and a note.
func (c *cifar) open(ctx context.Context, root, opts string, train, download bool, transform transforms.Transform, f *fetch) (*Images, string, error) {
	d, err := c.published(opts, train).open(ctx, root, download, f)
	if err != nil {
		return nil, "", err
	}
	p, err := NewImages(d.pixels, 3, cifarSide, cifarSide, d.labels, d.classes, transform)
	if err != nil {
		return nil, "", err
	}
	return p, d.note, nil
}

// load reads one part from the folder of root that holds it unpacked.
func (c *cifar) load(root string, train bool) (*labelled, error) {
	names := c.test
	if train {
		names = c.train
	}
	d := &labelled{classes: c.classes}
	for _, layout := range []struct {
		dir, ext, meta string
		read           func(d *labelled, file []byte) error
	}{{c.py, "", c.meta[0], c.readPy}, {c.bin, ".bin", c.meta[1], c.readBin}} {
		dir := filepath.Join(root, layout.dir)
		_, err := os.Stat(dir)
		if err == nil {
			return d, c.loadFrom(d, dir, names, layout.ext, layout.meta, layout.read)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("datasets: %s cannot be read: %w", root, unnamed(err))
		}
	}
	return nil, errNotThere
}

func (c *cifar) loadFrom(d *labelled, dir string, names []string, ext, meta string, read func(d *labelled, file []byte) error) error {
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
		if sum := md5.Sum(file); hex.EncodeToString(sum[:]) != c.sums[name] {
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
		if d.classes, err = c.names(file, ext); err != nil {
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
// [n, 3072], and a list of n labels.
func (c *cifar) readPy(d *labelled, file []byte) error {
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
	key := c.keys[0]
	labels, ok := batch.Get(key).(*pickle.List)
	if !ok {
		return fmt.Errorf(`%q is %s, want a list`, key, pickle.Name(batch.Get(key)))
	}
	if len(labels.Items) != data.Shape[0] {
		return fmt.Errorf("%d labels for %d images", len(labels.Items), data.Shape[0])
	}
	for i, v := range labels.Items {
		n, ok := v.(pickle.Int)
		if !ok {
			return fmt.Errorf("record %d: label is %s, want an int", i, pickle.Name(v))
		}
		if n < 0 || int(n) >= len(c.classes) {
			return fmt.Errorf("record %d: label %d, want 0 to %d", i, n, len(c.classes)-1)
		}
		d.labels = append(d.labels, uint8(n))
	}
	d.pixels = append(d.pixels, data.Data...)
	return nil
}

// readBin reads a batch of the binary layout: a label byte, of CIFAR-100 behind the superclass's,
// and 3072 pixel bytes a record.
func (c *cifar) readBin(d *labelled, file []byte) error {
	record := c.skip + 1 + cifarBytes
	if n := len(file) / record; len(file)%record != 0 {
		return fmt.Errorf("record %d at offset %d has %d bytes, want %d", n, n*record, len(file)-n*record, record)
	}
	for at := 0; at < len(file); at += record {
		label := at + c.skip
		if int(file[label]) >= len(c.classes) {
			return fmt.Errorf("record %d at offset %d: label %d, want 0 to %d", at/record, label, file[label], len(c.classes)-1)
		}
		d.labels = append(d.labels, file[label])
		d.pixels = append(d.pixels, file[label+1:at+record]...)
	}
	return nil
}

// names reads the class names of either layout.
func (c *cifar) names(file []byte, ext string) ([]string, error) {
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
		key := c.keys[1]
		list, ok := meta.Get(key).(*pickle.List)
		if !ok {
			return nil, fmt.Errorf(`%q is %s, want a list`, key, pickle.Name(meta.Get(key)))
		}
		for i, v := range list.Items {
			s, ok := pickle.String(v)
			if !ok {
				return nil, fmt.Errorf("class name %d is %s, want a string", i, pickle.Name(v))
			}
			names = append(names, s)
		}
	}
	if len(names) != len(c.classes) {
		return nil, fmt.Errorf("%d class names, want %d", len(names), len(c.classes))
	}
	return names, nil
}
