package datasets

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// idxFile is a file of bytes with the given sizes, and gz packs it.
func idxFile(sizes []int, elements []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0x800|uint32(len(sizes)))
	for _, s := range sizes {
		b = binary.BigEndian.AppendUint32(b, uint32(s))
	}
	return append(b, elements...)
}

func gz(t testing.TB, content []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// idxFiles are two test images of 2×3 pixels and three of 1×1 for training, packed.
func idxFiles(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"t10k-images-idx3-ubyte.gz":  gz(t, idxFile([]int{2, 2, 3}, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})),
		"t10k-labels-idx1-ubyte.gz":  gz(t, idxFile([]int{2}, []byte{9, 0})),
		"train-images-idx3-ubyte.gz": gz(t, idxFile([]int{3, 1, 1}, []byte{0, 128, 255})),
		"train-labels-idx1-ubyte.gz": gz(t, idxFile([]int{3}, []byte{1, 2, 3})),
	}
}

// TestMNIST reads the files packed and unpacked, as each of the data sets in this format.
func TestMNIST(t *testing.T) {
	for name, open := range map[string]func(root string, train bool) (*Images, string, error){
		"MNIST": func(root string, train bool) (*Images, string, error) {
			m, err := NewMNIST(root, MNISTOpts{Train: train})
			if err != nil {
				return nil, "", err
			}
			return m.Images, m.Note(), nil
		},
		"FashionMNIST": func(root string, train bool) (*Images, string, error) {
			m, err := NewFashionMNIST(root, FashionMNISTOpts{Train: train})
			if err != nil {
				return nil, "", err
			}
			return m.Images, m.Note(), nil
		},
		"KMNIST": func(root string, train bool) (*Images, string, error) {
			m, err := NewKMNIST(root, KMNISTOpts{Train: train})
			if err != nil {
				return nil, "", err
			}
			return m.Images, m.Note(), nil
		},
	} {
		for _, packed := range []bool{true, false} {
			root := t.TempDir()
			files := map[string][]byte{}
			for n, b := range idxFiles(t) {
				if !packed {
					var err error
					if b, err = gunzip(b); err != nil {
						t.Fatal(err)
					}
					n = strings.TrimSuffix(n, ".gz")
				}
				files[n] = b
			}
			writeFiles(t, filepath.Join(root, name, "raw"), files)
			p, note, err := open(root, false)
			if err != nil {
				t.Fatal(err)
			}
			x, y, err := p.Get(1, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := x.MulScalar(255).Floats(); p.Len() != 2 || !slices.Equal(x.Shape(), []int{1, 2, 3}) || got[0] != 7 || got[5] != 12 || y.Item() != 0 || p.Label(0) != 9 {
				t.Errorf("%s: got %d images, the second %v of shape %v with label %v", name, p.Len(), got, x.Shape(), y.Item())
			}
			if len(p.Classes()) != 10 || !strings.Contains(note, "2 images from ") {
				t.Errorf("%s: got the classes %q and the note %q", name, p.Classes(), note)
			}
			if p, _, err := open(root, true); err != nil || p.Len() != 3 {
				t.Errorf("%s for training: got %v, want three images", name, err)
			}
		}
	}
}

// TestMNISTRefuses names the file and what is wrong with it.
func TestMNISTRefuses(t *testing.T) {
	const images, labels = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
	one := idxFile([]int{1}, []byte{1})
	for name, c := range map[string]struct {
		file    string
		content []byte
		want    string
	}{
		"empty":                  {images + ".gz", nil, "not a gzip file"},
		"a web page":             {images + ".gz", []byte("<!DOCTYPE html><html>"), "not a gzip file"},
		"cut off":                {images + ".gz", idxFiles(t)[images+".gz"][:20], "EOF; remove it"},
		"a short header":         {images, []byte{0, 0, 8, 3}, "4 bytes, want a header of 16"},
		"another type":           {images, idxFile([]int{1, 1, 1, 1}, make([]byte, 9)), "begins with 0x00000804, want 0x00000803"},
		"labels for images":      {images, idxFile([]int{8}, make([]byte, 8)), "begins with 0x00000801"},
		"too few pixels":         {images, idxFile([]int{2, 2, 3}, make([]byte, 11)), "11 bytes behind the header at offset 16, want 12 for the sizes [2 2 3]"},
		"too many pixels":        {images, idxFile([]int{2, 2, 3}, make([]byte, 13)), "13 bytes behind the header"},
		"sizes that lie":         {images, idxFile([]int{1<<32 - 1, 1<<32 - 1, 1<<32 - 1}, make([]byte, 8)), "more than the file's 24 bytes"},
		"no pixels in an image":  {images, idxFile([]int{2, 0, 3}, nil), "at least 1×1"},
		"other labels":           {labels, one, "1 labels for 2 images"},
		"a label of no class":    {labels, idxFile([]int{2}, []byte{3, 10}), "the byte at offset 9 is the label 10, want 0 to 9"},
		"a folder for the file":  {labels, nil, "no regular file"},
		"missing and not wanted": {"", nil, "MNISTOpts.Download fetches it"},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, "MNIST", "raw")
		files := idxFiles(t)
		if strings.HasSuffix(c.file, ".gz") || c.file == "" {
			delete(files, labels+".gz")
			files[labels] = idxFile([]int{2}, []byte{9, 0})
		}
		switch {
		case c.file == "":
			delete(files, images+".gz")
		case c.want == "no regular file":
			if err := os.MkdirAll(filepath.Join(dir, c.file), 0o755); err != nil {
				t.Fatal(err)
			}
		default:
			files[c.file] = c.content
		}
		writeFiles(t, dir, files)
		_, err := NewMNIST(root, MNISTOpts{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want %q and the path", name, err, c.want)
		}
		if c.file == "" && !errors.Is(err, ErrNotDownloaded) {
			t.Errorf("%s: got %v, want ErrNotDownloaded", name, err)
		}
	}
}

// TestMNISTDownload takes each file from the first address that has what was published.
func TestMNISTDownload(t *testing.T) {
	files := idxFiles(t)
	bad := httptest.NewServer(http.NotFoundHandler())
	defer bad.Close()
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, ok := files[strings.TrimPrefix(r.URL.Path, "/mnist/")]; ok {
			w.Write(b)
			return
		}
		http.NotFound(w, r)
	}))
	defer good.Close()
	x := mnist
	x.urls, x.sums = []string{bad.URL + "/", good.URL + "/mnist/"}, map[string]string{}
	for name, b := range files {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		sum, err := md5File(path)
		if err != nil {
			t.Fatal(err)
		}
		x.sums[strings.TrimSuffix(name, ".gz")] = sum
	}
	root := filepath.Join(t.TempDir(), "new")
	p, note, err := x.open(t.Context(), root, MNISTOpts{Download: true})
	if err != nil || p.Len() != 2 || note != "" {
		t.Fatalf("got %v and the note %q, want two images and none", err, note)
	}
	wantDir(t, filepath.Join(root, "MNIST", "raw"), "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

	x.urls = []string{bad.URL + "/", bad.URL + "/other/"}
	if _, _, err := x.open(t.Context(), t.TempDir(), MNISTOpts{Download: true}); err == nil || strings.Count(err.Error(), "404 Not Found") != 2 {
		t.Errorf("got %v, want what both addresses answered", err)
	}
	x.sums["t10k-images-idx3-ubyte"] = strings.Repeat("0", 32)
	root = filepath.Join(t.TempDir(), "new")
	if _, _, err := x.open(t.Context(), root, MNISTOpts{Download: true, URL: good.URL + "/mnist"}); err == nil || !strings.Contains(err.Error(), "it was deleted") {
		t.Errorf("got %v, want the other sum refused", err)
	}
	if exists(root) {
		t.Error("a refused download leaves its folder")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewMNISTContext(ctx, t.TempDir(), MNISTOpts{Download: true, URL: good.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// TestCIFAR100 reads both layouts, whose labels lie elsewhere than CIFAR-10's.
func TestCIFAR100(t *testing.T) {
	record := append([]byte{3, 99}, testPixels(6, 0)...)
	root := t.TempDir()
	writeFiles(t, filepath.Join(root, "cifar-100-binary"), map[string][]byte{"test.bin": append(slices.Clone(record), record...)})
	c, err := NewCIFAR100(root, CIFAR100Opts{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Len() != 2 || c.Label(1) != 99 || c.Classes()[99] != "worm" || !bytes.Equal(c.pixels[cifarBytes:], testPixels(6, 0)) || !strings.Contains(c.Note(), "2 images from ") {
		t.Errorf("got %d images, the second of %q, and the note %q", c.Len(), c.Classes()[c.Label(1)], c.Note())
	}
	record[1] = 100
	writeFiles(t, filepath.Join(root, "cifar-100-binary"), map[string][]byte{"test.bin": record})
	if _, err := NewCIFAR100(root, CIFAR100Opts{}); err == nil || !strings.Contains(err.Error(), "record 0 at offset 1: label 100, want 0 to 99") {
		t.Errorf("got %v, want the label refused", err)
	}
	if _, err := NewCIFAR100(t.TempDir(), CIFAR100Opts{}); !errors.Is(err, ErrNotDownloaded) || !strings.Contains(err.Error(), "no CIFAR-100 in ") || !strings.Contains(err.Error(), "CIFAR100Opts.Download") {
		t.Errorf("got %v, want ErrNotDownloaded", err)
	}
	// The Python layout: CIFAR-10's test file with the other keys, whose labels are 0 to 9.
	batch := bytes.Replace(testBatch(6, 3), []byte("U\x06labels"), []byte("U\x0bfine_labels"), 1)
	root = t.TempDir()
	writeFiles(t, root, map[string][]byte{"cifar-100-python.tar.gz": targz(t, entry("cifar-100-python/test", batch))})
	if c, err = NewCIFAR100(root, CIFAR100Opts{}); err != nil || c.Len() != 3 || c.Label(0) != int(testLabel(6, 0)) {
		t.Errorf("got %v, want three images", err)
	}
}
