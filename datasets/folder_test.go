package datasets

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// onePixel is a PNG.
func onePixel(t testing.TB) []byte {
	var w bytes.Buffer
	im := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	im.SetNRGBA(0, 0, color.NRGBA{10, 20, 30, 255})
	if err := png.Encode(&w, im); err != nil {
		t.Fatal(err)
	}
	return w.Bytes()
}

// below returns the images of f with their labels, below dir.
func below(t testing.TB, dir string, f *ImageFolder) (names []string) {
	for i := range f.Len() {
		rel, err := filepath.Rel(dir, f.Path(i))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprint(f.Label(i), " ", filepath.ToSlash(rel)))
	}
	return names
}

// Which files are listed, in which order, and what is said of the others. The
// order is that of torchvision's make_dataset on the same folders.
func TestImageFolderLists(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	p := onePixel(t)
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{
		"z.png": p, "A.JPG": p, "b.tiff": p, "c.Tif": p, "d.bmp": p, "e.ppm": p, "f.pgm": p, "g.webp": p, "h.gif": p, "i.jpeg": p,
		"x.txt": {}, "y.TXT": {}, "noend": {}, "x.png.part": {}, ".DS_Store": {}, "._z.png": {}, "m.pbm": {},
	})
	writeFiles(t, filepath.Join(dir, "a", "m"), map[string][]byte{"1.png": p})
	writeFiles(t, filepath.Join(dir, "a", "m.png"), map[string][]byte{"2.png": p}) // a folder
	writeFiles(t, filepath.Join(dir, "a", "m", "sub"), map[string][]byte{"3.png": p})
	writeFiles(t, filepath.Join(dir, "a", ".ipynb_checkpoints"), map[string][]byte{"4.png": p})
	writeFiles(t, filepath.Join(dir, "b"), map[string][]byte{"5.png": p})
	writeFiles(t, filepath.Join(dir, ".git"), map[string][]byte{"6.png": p})
	writeFiles(t, elsewhere, map[string][]byte{"7.png": p})
	for _, l := range [][2]string{
		{elsewhere, "a/to-folder"}, {filepath.Join(elsewhere, "7.png"), "b/to-file.png"}, {"..", "a/m/sub/up"}, {".", "b/itself"}, {elsewhere, "c"},
		{"..", "a/to-classes"}, {dir, "b/to-classes"}, {filepath.Dir(dir), "b/above"}, {".", "d"},
		{"nowhere", "b/broken.png"}, {"nowhere", "b/broken.txt"},
	} {
		if err := os.Symlink(l[0], filepath.Join(dir, filepath.FromSlash(l[1]))); err != nil {
			t.Skip("the system makes no links: ", err)
		}
	}
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	// Folders are sorted by their whole path, in which "." is before "/".
	want := []string{
		"0 a/A.JPG", "0 a/b.tiff", "0 a/c.Tif", "0 a/d.bmp", "0 a/e.ppm", "0 a/f.pgm", "0 a/g.webp", "0 a/h.gif", "0 a/i.jpeg", "0 a/z.png",
		"0 a/m/1.png", "0 a/m.png/2.png", "0 a/m/sub/3.png", "0 a/to-folder/7.png", "1 b/5.png", "1 b/broken.png", "1 b/to-file.png", "2 c/7.png",
	}
	if diff := cmp.Diff(want, below(t, dir, f)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{".txt": 3, "": 1, ".part": 1, ".pbm": 1}, f.LeftOut()); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if _, err := f.Image(15); err == nil || err.Error() != fmt.Sprintf("datasets: %s: no such file or directory", f.Path(15)) {
		t.Errorf("a broken link: got %v", err)
	}
	if got, want := f.Note(), "18 images in 3 classes; 6 other files left out: 3 .txt, 1 without an ending, 1 .part, 1 .pbm"; got != want {
		t.Errorf("got the note\n%s, want\n%s", got, want)
	}
}

func TestImageFolderNoNote(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{"1.png": onePixel(t)})
	f, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Note() != "" || len(f.LeftOut()) != 0 {
		t.Errorf("got %q and %v, want nothing left out", f.Note(), f.LeftOut())
	}
}

// Two links in each of many folders to the next make more ways than can be gone.
func TestImageFolderManyLinks(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "set", "a"), map[string][]byte{"1.png": onePixel(t)})
	next := filepath.Join(dir, "set", "a")
	for i := range 30 {
		to := filepath.Join(dir, fmt.Sprint("hall", i))
		writeFiles(t, to, map[string][]byte{"1.png": onePixel(t)})
		for _, name := range []string{"left", "right"} {
			if err := os.Symlink(to, filepath.Join(next, name)); err != nil {
				t.Skip("the system makes no links: ", err)
			}
		}
		next = to
	}
	class := filepath.Join(dir, "set", "a")
	info, err := os.Stat(class)
	if err != nil {
		t.Fatal(err)
	}
	w := walk{left: 1 << 10}
	if err := w.folder(class, info); err == nil || !strings.Contains(err.Error(), "through very many folders") {
		t.Errorf("got %v", err)
	}
}

// Every class without an image is named.
func TestImageFolderEmptyClasses(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		writeFiles(t, filepath.Join(dir, fmt.Sprintf("c%02d", i)), map[string][]byte{"notes.txt": {}, ".hidden.png": onePixel(t)})
	}
	writeFiles(t, filepath.Join(dir, "c03"), map[string][]byte{"1.png": onePixel(t)})
	_, err := NewImageFolder(dir, ImageFolderOpts{})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "c00")+", ") || !strings.Contains(err.Error(), "and 3 more, want at least one a class") || strings.Contains(err.Error(), "c03") {
		t.Errorf("got %v", err)
	}
	if _, err := NewImageFolder(dir, ImageFolderOpts{MaxPixels: -1}); err == nil || !strings.Contains(err.Error(), "MaxPixels is -1") {
		t.Errorf("got %v", err)
	}
}

// A file's first bytes say what it is, and a folder's formats are all read.
func TestImageFolderFormats(t *testing.T) {
	dir := t.TempDir()
	im := image.NewNRGBA(image.Rect(0, 0, 2, 1))
	copy(im.Pix, []byte{1, 2, 3, 255, 4, 5, 6, 255})
	var b, f bytes.Buffer
	if err := bmp.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	if err := tiff.Encode(&f, im, nil); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{
		"1.bmp": b.Bytes(), "2.tif": f.Bytes(), "3.ppm": []byte("P6 2 1 255\n\x01\x02\x03\x04\x05\x06"), "4.jpg": b.Bytes(),
	})
	set, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{1. / 255, 4. / 255, 2. / 255, 5. / 255, 3. / 255, 6. / 255}
	for i := range set.Len() {
		x, _, err := set.Get(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !x.Shape().Equal(tensor.Shape{3, 1, 2}) || !slices.Equal(x.Floats(), want) {
			t.Errorf("%s: got %v, want %v", set.Path(i), x.Floats(), want)
		}
	}
}

// An image opened by itself has the three channels that a folder's transforms get.
func TestOpenImageGray(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"gray.pgm": []byte("P5 2 1 255\n\x01\x02")})
	im, err := OpenImage(filepath.Join(dir, "gray.pgm"))
	if err != nil {
		t.Fatal(err)
	}
	x := transforms.ToTensor().Apply(transforms.Sample{Image: im}, nil).Tensor
	if want := []float32{1. / 255, 2. / 255, 1. / 255, 2. / 255, 1. / 255, 2. / 255}; !x.Shape().Equal(tensor.Shape{3, 1, 2}) || !slices.Equal(x.Floats(), want) {
		t.Errorf("got %v %v, want 3 channels of %v", x.Shape(), x.Floats(), want)
	}
}

// The largest image is the one that PIL takes, in every format, and what is
// larger is refused before memory is taken for it.
func TestImageFolderMaxPixels(t *testing.T) {
	dir := t.TempDir()
	size := func(data []byte, at int, b ...byte) []byte {
		data = slices.Clone(data)
		copy(data[at:], b)
		return data
	}
	var p bytes.Buffer
	if err := png.Encode(&p, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	var m bytes.Buffer
	if err := bmp.Encode(&m, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{
		"1.png":  size(p.Bytes(), 16, 0, 0, 0x36, 0xb0, 0, 0, 0x32, 0xf3), // 14000 × 13043
		"2.bmp":  size(m.Bytes(), 18, 0xb0, 0x36, 0, 0, 0xf3, 0x32, 0, 0),
		"3.gif":  []byte("GIF89a\xb0\x36\xf3\x32\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"),
		"4.gif":  []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00,\x00\x00\x00\x00\xb0\x36\xf3\x32\x00\x02\x02D\x01\x00;"),
		"5.webp": size(webp2x1, 21, 0xaf, 0xb6, 0xbc, 0x0c), // 14000 × 13043
		"6.ppm":  []byte("P6 14000 13043 255\n"),
		"7.tif":  []byte("II*\x00\x08\x00\x00\x00\x02\x00\x00\x01\x03\x00\x01\x00\x00\x00\xb0\x36\x00\x00\x01\x01\x03\x00\x01\x00\x00\x00\xf3\x32\x00\x00"),
	})
	set, err := NewImageFolder(dir, ImageFolderOpts{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range set.Len() {
		if _, err := set.Image(i); err == nil || !strings.Contains(err.Error(), "an image of 14000×13043 pixels, want at least one and at most 178956970 in all") {
			t.Errorf("%s: got %v", set.Path(i), err)
		}
	}
	// Two rows of pixels less fit, and then the file turns out to be too short.
	larger, err := NewImageFolder(dir, ImageFolderOpts{MaxPixels: 1 << 28})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 3, 5, 6} { // a small image on a huge canvas (2) is read
		if _, err := larger.Image(i); err == nil || strings.Contains(err.Error(), "at most") {
			t.Errorf("%s: got %v, want that it is cut off", larger.Path(i), err)
		}
	}
}
