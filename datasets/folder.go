package datasets

import (
	"bytes"
	"fmt"
	"image"
	"image/draw"
	_ "image/gif" // the formats that ImageFolder reads
	_ "image/jpeg"
	_ "image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	_ "golang.org/x/image/webp"

	"github.com/wick-ml/wick/datasets/internal/jpeg"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// ImageFolder is a data set of pictures in files, with a folder for each class:
// dir/cat/0001.png. (torchvision.datasets.ImageFolder)
type ImageFolder struct {
	classes []string
	paths   []string
	labels  []int
	opts    ImageFolderOpts
	fast    *transforms.Fused // nil where the transform does more than that
}

// ImageFolderOpts are the choices of an ImageFolder.
type ImageFolderOpts struct {
	Transform transforms.Transform // of each picture; nil means transforms.ToTensor()
	MaxPixels int                  // a larger picture is an error, found before it is decoded; 0 means 89,478,485, as in PIL
}

// NewImageFolder lists the pictures under dir: files that end in .png, .jpg,
// .jpeg, .gif or .webp, in the folders of the classes and the folders in those.
// The classes are the folders' names, sorted. Every class must have a picture.
// Files are opened by Get, which takes the first picture of an animation.
func NewImageFolder(dir string, opts ImageFolderOpts) (*ImageFolder, error) {
	if opts.MaxPixels == 0 {
		opts.MaxPixels = 89478485
	}
	f := &ImageFolder{opts: opts}
	if fast, ok := transforms.FuseImages(opts.Transform); ok {
		f.fast = fast
	}
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return nil, fmt.Errorf("datasets: %w", err)
	}
	for _, e := range entries {
		class := filepath.Join(dir, e.Name())
		if fi, err := os.Stat(class); err != nil || !fi.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		before := len(f.paths)
		// With the slash, a class that is a link to a folder is walked too.
		err := filepath.WalkDir(class+string(filepath.Separator), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && isPicture(path) {
				f.paths = append(f.paths, filepath.Clean(path))
				f.labels = append(f.labels, len(f.classes))
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("datasets: %w", err)
		}
		if len(f.paths) == before {
			return nil, fmt.Errorf("datasets: %s has no picture (.png, .jpg, .jpeg, .gif, .webp), want at least one a class", class)
		}
		f.classes = append(f.classes, e.Name())
	}
	if len(f.classes) == 0 {
		return nil, fmt.Errorf("datasets: %s has no folder, want one for each class, with its pictures", dir)
	}
	return f, nil
}

func isPicture(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp":
		return true
	}
	return false
}

// Len returns the number of pictures.
func (f *ImageFolder) Len() int { return len(f.paths) }

// Classes returns the names of the classes, in the order of the labels. The
// caller may not change it.
func (f *ImageFolder) Classes() []string { return f.classes }

// Label returns the label of picture i.
func (f *ImageFolder) Label(i int) int { return f.labels[i] }

// Path returns the file of picture i.
func (f *ImageFolder) Path(i int) string { return f.paths[i] }

// Image reads picture i, before the transform. Errors name the file.
//
// The pixels of a baseline JPEG are libjpeg-turbo's, and so PIL's; those of other
// JPEGs are package image/jpeg's, which differ a little. As in torchvision, the
// orientation that a camera has written down is not looked at.
func (f *ImageFolder) Image(i int) (image.Image, error) {
	if err := wantIndex(i, f.Len()); err != nil {
		return nil, err
	}
	rd := readers.Get().(*reader)
	defer rd.put()
	im, err := rd.whole(f.paths[i], f.opts.MaxPixels)
	if err != nil {
		return nil, fmt.Errorf("datasets: %s: %w", f.paths[i], err)
	}
	return im, nil
}

// reader reads pictures one after the other in the same memory.
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

// whole reads a picture into memory of its own.
func (rd *reader) whole(path string, maxPixels int) (image.Image, error) {
	p, err := rd.open(path, maxPixels)
	if err != nil {
		return nil, err
	}
	im, _, err := p.Part(image.Rect(0, 0, p.W, p.H))
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

// open reads a file, and decodes the picture unless that can be done in parts.
func (rd *reader) open(path string, maxPixels int) (p transforms.Picture, err error) {
	file, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer file.Close()
	var r io.ReadSeeker = file
	rd.Width, rd.Height, rd.file = 0, 0, rd.file[:0]
	// What is larger is not held in memory as a file too.
	if fi, err := file.Stat(); err == nil && fi.Mode().IsRegular() && fi.Size() <= 64<<20 {
		rd.file = slices.Grow(rd.file, int(fi.Size()))[:fi.Size()]
		n, err := io.ReadFull(file, rd.file)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return p, err
		}
		rd.file = rd.file[:n]
		r = bytes.NewReader(rd.file)
		if rd.Open(rd.file) {
			if err := wantPixels(rd.Width, rd.Height, maxPixels); err != nil {
				return p, err
			}
			return transforms.Picture{W: rd.Width, H: rd.Height, Part: func(need image.Rectangle) (image.Image, image.Point, error) {
				if im, ok := rd.Decode(need); ok {
					return im, need.Min, nil
				}
				im, _, err := image.Decode(bytes.NewReader(rd.file))
				return im, image.Point{}, err
			}}, nil
		}
	}
	// A small file may say that it is a huge picture: look before decoding.
	c, _, err := image.DecodeConfig(r)
	if err != nil {
		return p, err
	}
	if err := wantPixels(c.Width, c.Height, maxPixels); err != nil {
		return p, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return p, err
	}
	im, _, err := image.Decode(r)
	if err != nil {
		return p, err
	}
	size := im.Bounds().Size() // of a GIF's first picture, which may be smaller than all of it
	if err := wantPixels(size.X, size.Y, maxPixels); err != nil {
		return p, err
	}
	return transforms.Picture{W: size.X, H: size.Y, Part: func(image.Rectangle) (image.Image, image.Point, error) {
		return im, image.Point{}, nil
	}}, nil
}

func wantPixels(w, h, most int) error {
	if w < 1 || h < 1 || w > most/h {
		return fmt.Errorf("a picture of %d×%d pixels, want at least one and at most %d in all", w, h, most)
	}
	return nil
}

// Get returns picture i after the transform, with the default one as Float32 [3
// h w] from 0 to 1 (gray pictures too), and its label as an Int64 scalar.
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
		return nil, nil, fmt.Errorf("datasets: %s: %w", f.paths[i], err)
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
			thrown := tensor.Try(func() {
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
			return 0, fmt.Errorf("datasets: %s: %w", f.paths[i], err)
		}
		return int64(f.labels[i]), nil
	}, layoutOf(f.fast)
}

// inColour makes a gray picture one of three channels, so that a folder's
// pictures have one shape.
func inColour(im image.Image) image.Image {
	switch im.(type) {
	case *image.Gray, *image.Gray16:
		dst := image.NewRGBA(im.Bounds())
		draw.Draw(dst, dst.Rect, im, dst.Rect.Min, draw.Src)
		return dst
	}
	return im
}
