package datasets

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/wick-ml/wick/datasets/internal/jpeg"
	"github.com/wick-ml/wick/datasets/internal/pil"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// ImageFolder is a data set of images in files, with a folder for each class:
// dir/cat/0001.png. (torchvision.datasets.ImageFolder)
type ImageFolder struct {
	classes []string
	paths   []string
	labels  []int
	leftOut map[string]int
	opts    ImageFolderOpts
	fast    *transforms.Fused // nil where the transform does more than that
}

// ImageFolderOpts are the choices of an ImageFolder.
type ImageFolderOpts struct {
	Transform transforms.Transform // of each image; nil means transforms.ToTensor()
	MaxPixels int                  // a larger image is an error, found before it is decoded; 0 means 178,956,970, above which PIL refuses too
}

// endings are those of the images' names, torchvision's and .gif.
var endings = []string{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"}

// NewImageFolder lists the images under dir, in the folders of the classes and
// the folders in those: regular files whose names end in .jpg, .jpeg, .png, .ppm,
// .bmp, .pgm, .tif, .tiff, .webp or .gif, in small letters or capitals. The
// classes are the folders' names, sorted, and every class must have an image.
// Links to files and folders are followed, but not to a folder that the link
// lies in. What is hidden (.DS_Store, .ipynb_checkpoints) is left out, and what
// else is left out [ImageFolder.LeftOut] counts.
//
// The order is torchvision's: the files of a folder by name, then those of the
// folders in it. Files are opened by Get, which takes the first image of an
// animation.
func NewImageFolder(dir string, opts ImageFolderOpts) (*ImageFolder, error) {
	if opts.MaxPixels < 0 {
		return nil, fmt.Errorf("datasets: MaxPixels is %d, want at least 1, or 0 for 178956970", opts.MaxPixels)
	}
	opts.MaxPixels = cmp.Or(opts.MaxPixels, maxPixels)
	f := &ImageFolder{opts: opts, leftOut: map[string]int{}}
	if fast, ok := transforms.FuseImages(opts.Transform); ok {
		f.fast = fast
	}
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	var empty []string
	above := foldersTo(dir)
	for _, e := range entries {
		class := filepath.Join(dir, e.Name())
		info, err := os.Stat(class)
		if err != nil || !info.IsDir() || hidden(e.Name()) || among(above, info) {
			continue
		}
		w := walk{left: 1 << 16, above: slices.Clone(above)}
		if err := w.folder(class, info); err != nil {
			return nil, fmt.Errorf("datasets: %w", err)
		}
		// By folder, as Python sorts what os.walk returns.
		slices.SortStableFunc(w.folders, func(a, b folder) int { return strings.Compare(a.path, b.path) })
		before := len(f.paths)
		for _, d := range w.folders {
			for _, name := range d.files {
				if ending := strings.ToLower(filepath.Ext(name)); slices.Contains(endings, ending) {
					f.paths = append(f.paths, filepath.Join(d.path, name))
					f.labels = append(f.labels, len(f.classes))
				} else {
					f.leftOut[ending]++
				}
			}
			if d.special > 0 {
				f.leftOut["/"] += d.special
			}
		}
		if len(f.paths) == before {
			empty = append(empty, class)
		}
		f.classes = append(f.classes, e.Name())
	}
	if len(f.classes) == 0 {
		return nil, fmt.Errorf("datasets: %s has no folder, want one for each class, with its images", dir)
	}
	if len(empty) > 0 {
		most := empty[:min(len(empty), 8)]
		more := ""
		if n := len(empty) - len(most); n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		return nil, fmt.Errorf("datasets: no image (%s) in %s%s, want at least one a class",
			strings.Join(endings, ", "), strings.Join(most, ", "), more)
	}
	return f, nil
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") }

// foldersTo returns dir and the folders that it lies in.
func foldersTo(dir string) (all []fs.FileInfo) {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for {
		if info, err := os.Stat(dir); err == nil {
			all = append(all, info)
		}
		up := filepath.Dir(dir)
		if up == dir {
			return all
		}
		dir = up
	}
}

func among(folders []fs.FileInfo, info fs.FileInfo) bool {
	return slices.ContainsFunc(folders, func(f fs.FileInfo) bool { return os.SameFile(f, info) })
}

// walk collects the folders of a class.
type walk struct {
	folders []folder
	above   []fs.FileInfo // the folders that the walk is in
	left    int           // folders behind links, of which there may be very many ways through a few
	links   int           // of above that are reached through a link
}

type folder struct {
	path    string
	files   []string
	special int // files that are no regular ones, which may have no end
}

func (w *walk) folder(path string, info fs.FileInfo) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	if w.links > 0 {
		if w.left--; w.left < 0 {
			return fmt.Errorf("%s: links to folders lead through very many folders, want at most 65536 in a class", path)
		}
	}
	at := len(w.folders)
	w.folders = append(w.folders, folder{path: path})
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		inside := filepath.Join(path, e.Name())
		link := e.Type()&fs.ModeSymlink != 0
		mode := e.Type()
		var info fs.FileInfo
		if link || e.IsDir() {
			switch info, err = os.Stat(inside); {
			case err == nil:
				mode = info.Mode()
			case link:
				mode = 0 // a file, which cannot be read
			default:
				return err
			}
		}
		switch {
		case mode.IsRegular():
			w.folders[at].files = append(w.folders[at].files, e.Name())
		case !mode.IsDir():
			w.folders[at].special++
		case among(w.above, info):
			// a link to a folder that it lies in
		default:
			if link {
				w.links++
			}
			err := w.folder(inside, info)
			if link {
				w.links--
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// LeftOut returns how many files in the folders of the classes were left out, by
// the ending of their names in small letters (".txt"; "" for names without), and
// under "/" how many are no regular files, such as pipes. What is hidden is not
// counted. [ImageFolder.Note] makes a sentence of it.
func (f *ImageFolder) LeftOut() map[string]int { return maps.Clone(f.leftOut) }

// Note says in a sentence how many files of which endings were left out, the most
// frequent ones first, or is empty where none was.
func (f *ImageFolder) Note() string {
	kinds := slices.SortedFunc(maps.Keys(f.leftOut), func(a, b string) int {
		return cmp.Or(cmp.Compare(f.leftOut[b], f.leftOut[a]), cmp.Compare(a, b))
	})
	if len(kinds) == 0 {
		return ""
	}
	total := 0
	var parts []string
	for _, k := range kinds {
		total += f.leftOut[k]
		switch k {
		case "":
			k = "without an ending"
		case "/":
			k = "that are no regular files"
		}
		parts = append(parts, fmt.Sprintf("%d %s", f.leftOut[kinds[len(parts)]], k))
	}
	if n := len(parts); n > 8 {
		parts = append(parts[:8], fmt.Sprintf("and %d other endings", n-8))
	}
	return fmt.Sprintf("%s in %s; %s left out: %s", counted(f.Len(), "image", "images"), counted(len(f.classes), "class", "classes"),
		counted(total, "other file", "other files"), strings.Join(parts, ", "))
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}

// Len returns the number of images.
func (f *ImageFolder) Len() int { return len(f.paths) }

// Classes returns the names of the classes, in the order of the labels. The
// caller may not change it.
func (f *ImageFolder) Classes() []string { return f.classes }

// Label returns the label of image i.
func (f *ImageFolder) Label(i int) int {
	mustIndex("ImageFolder.Label", i, f.Len())
	return f.labels[i]
}

// Path returns the file of image i.
func (f *ImageFolder) Path(i int) string {
	mustIndex("ImageFolder.Path", i, f.Len())
	return f.paths[i]
}

// Image reads image i, before the transform, as an *image.Gray or an opaque
// *image.NRGBA. Errors name the file.
//
// The pixels are those of PIL's convert("RGB"): colours under transparency as
// they are stored, gray of 16 bits cut off at 255. What kind of image a file
// holds is known by its first bytes, not its name. As in torchvision, the
// orientation that a camera has written down is not looked at; a TIFF's is.
// Damaged JPEGs have PIL's pixels or are an error. JPEGs that are lossless or have
// arithmetic coding, which PIL reads, are refused too.
func (f *ImageFolder) Image(i int) (image.Image, error) {
	if err := wantIndex(i, f.Len()); err != nil {
		return nil, err
	}
	rd := readers.Get().(*reader)
	defer rd.put()
	im, err := rd.whole(f.paths[i], f.opts.MaxPixels)
	if err != nil {
		return nil, &fileError{f.paths[i], err}
	}
	return im, nil
}

// OpenImage reads an image's file as [ImageFolder.Image] does, a gray one with three
// channels, as those of a folder are for their transforms. (PIL's
// Image.open(path).convert("RGB"))
func OpenImage(path string) (image.Image, error) {
	rd := readers.Get().(*reader)
	defer rd.put()
	im, err := rd.whole(path, maxPixels)
	if err != nil {
		return nil, &fileError{path, err}
	}
	return inColour(im), nil
}

// maxPixels is PIL's limit: it warns of an image with more than half as many, and
// refuses one with more.
const maxPixels = 2 * 89478485

// fileError is what is wrong with a file.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return fmt.Sprintf("datasets: %s: %v", e.path, e.err) }
func (e *fileError) Unwrap() error { return e.err }

// reader reads images one after the other in the same memory.
type reader struct {
	jpeg.Decoder
	file []byte
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// put gives the reader back, but not where it holds a lot of memory.
func (rd *reader) put() {
	if len(rd.file)+rd.Width*rd.Height <= 16<<20 {
		readers.Put(rd)
	}
}

// whole reads an image into memory of its own.
func (rd *reader) whole(path string, maxPixels int) (image.Image, error) {
	p, err := rd.open(path, maxPixels)
	if err != nil {
		return nil, err
	}
	im, _, err := p.Part(image.Rect(0, 0, p.W, p.H))
	if rd.Width == 0 {
		return im, err // no JPEG: it is nobody else's
	}
	switch part := im.(type) {
	case *image.NRGBA:
		own := *part
		own.Pix = slices.Clone(part.Pix)
		return &own, err
	case *image.Gray:
		own := *part
		own.Pix = slices.Clone(part.Pix)
		return &own, err
	}
	return im, err
}

// open reads a file, and decodes the image unless that can be done in parts.
func (rd *reader) open(path string, maxPixels int) (p transforms.Picture, err error) {
	rd.Width, rd.Height = 0, 0
	if err := rd.read(path); err != nil {
		return p, err
	}
	fits := func(w, h int) error { return wantPixels(w, h, maxPixels) }
	if jpeg.Is(rd.file) {
		if err := rd.Open(rd.file); err != nil {
			return p, err
		}
		if err := fits(rd.Width, rd.Height); err != nil {
			return p, err
		}
		return transforms.Picture{W: rd.Width, H: rd.Height, Part: func(need image.Rectangle) (image.Image, image.Point, error) {
			im, err := rd.Decode(need)
			return im, need.Min, err
		}}, nil
	}
	im, err := pil.Decode(rd.file, fits)
	if err != nil {
		return p, err
	}
	return held(im), nil
}

// held is an image that has been decoded.
func held(im image.Image) transforms.Picture {
	size := im.Bounds().Size()
	return transforms.Picture{W: size.X, H: size.Y, Part: func(image.Rectangle) (image.Image, image.Point, error) {
		return im, image.Point{}, nil
	}}
}

// maxPictureFile is the size of the largest file that is read, in bytes.
const maxPictureFile = 1<<31 - 1

// read reads a file, if it is one that ends. The errors do not name it.
func (rd *reader) read(path string) error {
	rd.file = rd.file[:0]
	// To open a pipe is to wait for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return unnamed(err)
	}
	switch size := info.Size(); {
	case info.IsDir():
		return errors.New("a folder, want an image")
	case !info.Mode().IsRegular():
		return errors.New("no regular file, want an image")
	case size > maxPictureFile:
		return fmt.Errorf("a file of %d bytes, want at most %d", size, maxPictureFile)
	}
	file, err := os.Open(path)
	if err != nil {
		return unnamed(err)
	}
	defer file.Close()
	rd.file = slices.Grow(rd.file, int(info.Size()))[:info.Size()]
	n, err := io.ReadFull(file, rd.file)
	rd.file = rd.file[:n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return unnamed(err)
	}
	return nil
}

// unnamed is an error without the file's name, for one that names it.
func unnamed(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func wantPixels(w, h, most int) error {
	if w < 1 || h < 1 || w > most/h {
		return fmt.Errorf("an image of %d×%d pixels, want at least one and at most %d in all", w, h, most)
	}
	return nil
}

// Get returns image i after the transform, with the default one as Float32 [3
// h w] from 0 to 1 (gray images too), and its label as an Int64 scalar.
func (f *ImageFolder) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if err := wantIndex(i, f.Len()); err != nil {
		return nil, nil, err
	}
	if fill, l := f.fuse(); fill != nil {
		return example(fill, l.shape, i, r)
	}
	im, err := f.Image(i)
	if err != nil {
		return nil, nil, err
	}
	x, err = apply(f.opts.Transform, transforms.Sample{Image: inColour(im)}, r)
	if err != nil {
		return nil, nil, &fileError{f.paths[i], err}
	}
	return x, scalar(int64(f.labels[i])), nil
}

func (f *ImageFolder) fuse() (fillFunc, layout) {
	if f.fast == nil {
		return nil, layout{}
	}
	return func(s slot, i int, r *rand.Rand) (int64, error) {
		rd := readers.Get().(*reader)
		defer rd.put()
		p, err := rd.open(f.paths[i], f.opts.MaxPixels)
		if err == nil {
			thrown := try(func() {
				if s.numbers != nil {
					err = f.fast.RunImage(s.numbers, p, r)
				} else {
					err = f.fast.RunImageBytes(s.bytes, p, r)
					clear(s.move) // it has been moved
				}
			})
			if thrown != nil {
				err = thrown
			}
		}
		if err != nil {
			return 0, &fileError{f.paths[i], err}
		}
		return int64(f.labels[i]), nil
	}, layoutOf(f.fast)
}

// inColour makes a gray image one of three channels, so that a folder's
// images have one shape.
func inColour(im image.Image) image.Image {
	switch im.(type) {
	case *image.Gray, *image.Gray16:
		dst := image.NewRGBA(im.Bounds())
		draw.Draw(dst, dst.Rect, im, dst.Rect.Min, draw.Src)
		return dst
	}
	return im
}
