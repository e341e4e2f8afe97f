package datasets

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// idx is a data set in MNIST's format: for each part a file of images and one of labels, each
// compressed alone.
type idx struct {
	name, folder string            // "MNIST", "MNIST/raw"
	urls         []string          // of folders that have the files; the first that answers serves
	sums         map[string]string // of NAME.gz, by NAME
	classes      []string
}

// open reads one part, and fetches what is missing of it where that is wanted.
func (x *idx) open(ctx context.Context, root string, opts MNISTOpts) (*Images, string, error) {
	part := "t10k"
	if opts.Train {
		part = "train"
	}
	dir := filepath.Join(root, filepath.FromSlash(x.folder))
	names := []string{part + "-images-idx3-ubyte", part + "-labels-idx1-ubyte"}
	if err := x.bring(ctx, dir, names, opts); err != nil {
		return nil, "", err
	}
	images, path, err := x.read(dir, names[0])
	if err != nil {
		return nil, "", err
	}
	sizes, pixels, err := idxArray(images, 3)
	if err != nil {
		return nil, "", fmt.Errorf("datasets: %s: %w", path, err)
	}
	file, path, err := x.read(dir, names[1])
	if err != nil {
		return nil, "", err
	}
	count, labels, err := idxArray(file, 1)
	if err != nil {
		return nil, "", fmt.Errorf("datasets: %s: %w", path, err)
	}
	if count[0] != sizes[0] {
		return nil, "", fmt.Errorf("datasets: %s: %d labels for %d images", path, count[0], sizes[0])
	}
	for i, l := range labels {
		if int(l) >= len(x.classes) {
			return nil, "", fmt.Errorf("datasets: %s: the byte at offset %d is the label %d, want 0 to %d", path, len(file)-len(labels)+i, l, len(x.classes)-1)
		}
	}
	p, err := NewImages(pixels, 1, sizes[1], sizes[2], labels, x.classes, opts.Transform)
	if err != nil {
		return nil, "", fmt.Errorf("%w (%s)", err, filepath.Join(dir, names[0]))
	}
	return p, x.note(dir, names, sizes[0]), nil
}

// bring sees to it that the files are there, unpacked or not.
func (x *idx) bring(ctx context.Context, dir string, names []string, opts MNISTOpts) error {
	missing := func() (list []string) {
		for _, name := range names {
			if !isThere(filepath.Join(dir, name)) && !isThere(filepath.Join(dir, name+".gz")) {
				list = append(list, name+".gz")
			}
		}
		return list
	}
	if list := missing(); len(list) == 0 {
		return nil
	} else if !opts.Download {
		return fmt.Errorf("datasets: no %s in %s, which lacks %s: %w; %sOpts.Download fetches it", x.name, dir, strings.Join(list, " and "), ErrNotDownloaded, strings.Split(x.folder, "/")[0])
	}
	unlock, err := lockFolder(ctx, dir, "idx", x.name)
	if err != nil {
		return err
	}
	defer unlock()
	for _, name := range missing() { // others may have brought some meanwhile
		if err := x.fetch(ctx, dir, name, opts); err != nil {
			return err
		}
	}
	return nil
}

// fetch brings a file from the first address that has it. Its error is that of all of them.
func (x *idx) fetch(ctx context.Context, dir, name string, opts MNISTOpts) error {
	urls := x.urls
	if opts.URL != "" {
		urls = []string{strings.TrimSuffix(opts.URL, "/") + "/"}
	}
	var errs []error
	for _, url := range urls {
		err := newFetch(url+name, filepath.Join(dir, name), x.sums[strings.TrimSuffix(name, ".gz")], opts.Progress).run(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// read returns the content of a file, unpacked, and the path that it was read from.
func (x *idx) read(dir, name string) (content []byte, path string, err error) {
	path = filepath.Join(dir, name)
	packed := !isThere(path)
	if packed {
		path += ".gz"
	}
	content, err = readFile(path)
	if err == nil && packed {
		if content, err = gunzip(content); err != nil {
			err = fmt.Errorf("%s: %w; remove it to have it fetched again with Download", path, err)
		}
	}
	if err != nil {
		return nil, path, fmt.Errorf("datasets: %w", err)
	}
	return content, path, nil
}

// gunzip unpacks a file of maxUnpacked bytes at most.
func gunzip(packed []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("not a gzip file: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(zr, maxUnpacked+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxUnpacked {
		return nil, tooLong(nil)
	}
	return content, nil
}

// idxArray reads an array of bytes of so many dimensions: two zeros, the type 8, the number of
// dimensions, the sizes as big-endian words, and the elements.
func idxArray(file []byte, dims int) (sizes []int, elements []byte, err error) {
	header := 4 + 4*dims
	if len(file) < header {
		return nil, nil, fmt.Errorf("%d bytes, want a header of %d", len(file), header)
	}
	if magic := binary.BigEndian.Uint32(file); magic != 0x800|uint32(dims) {
		return nil, nil, fmt.Errorf("begins with %#08x, want %#08x: bytes of %d dimensions", magic, 0x800|dims, dims)
	}
	n := uint64(1)
	for i := range dims {
		size := binary.BigEndian.Uint32(file[4+4*i:])
		sizes = append(sizes, int(size))
		if n *= uint64(size); n > maxUnpacked {
			return nil, nil, fmt.Errorf("the header at offset 4 has the sizes %v, more than the file's %d bytes", sizes, len(file))
		}
	}
	if elements = file[header:]; uint64(len(elements)) != n {
		return nil, nil, fmt.Errorf("%d bytes behind the header at offset %d, want %d for the sizes %v", len(elements), header, n, sizes)
	}
	return sizes, elements, nil
}

// note says which files are not those that were published.
func (x *idx) note(dir string, names []string, n int) string {
	var differ []string
	for _, name := range names {
		if isThere(filepath.Join(dir, name)) {
			differ = append(differ, name)
		} else if sum, err := md5File(filepath.Join(dir, name+".gz")); err != nil || sum != x.sums[name] {
			differ = append(differ, name+".gz")
		}
	}
	if len(differ) == 0 {
		return ""
	}
	return fmt.Sprintf("%d images from %s, where %s cannot be told to be as published: no MD5 sum, or another", n, dir, strings.Join(differ, " and "))
}
