package datasets

import (
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
	"strings"

	_ "golang.org/x/image/webp"

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
func (f *ImageFolder) Image(i int) (image.Image, error) {
	if err := wantIndex(i, f.Len()); err != nil {
		return nil, err
	}
	im, err := readImage(f.paths[i], f.opts.MaxPixels)
	if err != nil {
		return nil, fmt.Errorf("datasets: %s: %w", f.paths[i], err)
	}
	return im, nil
}

func readImage(path string, maxPixels int) (image.Image, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// A small file may say that it is a huge picture: look before decoding.
	c, _, err := image.DecodeConfig(r)
	if err != nil {
		return nil, err
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return nil, fmt.Errorf("a picture of %d×%d pixels, want at least one and at most %d in all", c.Width, c.Height, maxPixels)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	im, _, err := image.Decode(r)
	return im, err
}

// Get returns picture i after the transform, with the default one as Float32 [3
// h w] from 0 to 1 (gray pictures too), and its label as an Int64 scalar.
func (f *ImageFolder) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
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
