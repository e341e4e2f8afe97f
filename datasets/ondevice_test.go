package datasets

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// deviceSets are data sets whose batches a GPU finishes, and the name of each
// that it does not begins with "not".
func deviceSets(t testing.TB) map[string]Dataset {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	pictures := func(n, c, h, w int, tr transforms.Transform) Dataset {
		pixels, labels := make([]byte, n*c*h*w), make([]uint8, n)
		for i := range pixels {
			pixels[i] = byte(r.UintN(256))
		}
		for i := range labels {
			labels[i] = uint8(r.UintN(4))
		}
		p, err := NewImages(pixels, c, h, w, labels, []string{"a", "b", "c", "d"}, tr)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var (
		compose    = transforms.Compose
		flip       = transforms.RandomHorizontalFlip(0.5)
		flipped    = transforms.RandomHorizontalFlip(1)
		upset      = transforms.RandomVerticalFlip(0.5)
		crop       = transforms.RandomCrop(9, 3)
		middle     = transforms.CenterCrop(13)
		toTensor   = transforms.ToTensor()
		normalize  = transforms.Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26})
		normalize1 = transforms.Normalize([]float64{0.5}, []float64{0.3})
		erase      = transforms.RandomErasing(0.5, transforms.ErasingOpts{})
	)
	sets := map[string]Dataset{"nothing": pictures(11, 3, 8, 12, nil)}
	// All ways to choose of the flips, one crop and Normalize, in both orders.
	for _, c := range []int{1, 3} {
		for k := range 3 * 2 * 2 * 2 * 2 {
			on := func(bit int) bool { return k>>bit&1 == 1 }
			var list []transforms.Transform
			if on(0) {
				list = append(list, flip)
			}
			if on(1) {
				list = append(list, upset)
			}
			if k>>4 > 0 {
				list = append(list, []transforms.Transform{crop, middle}[k>>4-1])
			}
			if on(2) {
				slices.Reverse(list)
			}
			list = append(list, toTensor)
			if on(3) {
				list = append(list, []transforms.Transform{normalize1, nil, normalize}[c-1])
			}
			sets[fmt.Sprintf("%d channels, choice %d", c, k)] = pictures(11, c, 10, 11, compose(list...))
		}
	}
	shapes := NewShapes(ShapesOpts{Transform: compose(transforms.RandomCrop(32, 4), flip, toTensor, normalize)})
	sets["shapes"] = Slice(shapes, 100, 150)
	sets["two normalizations"] = pictures(11, 3, 8, 8, compose(flip, toTensor, normalize, normalize1))
	sets["three flips"] = pictures(11, 3, 8, 8, compose(flip, upset, flipped, crop, flip, toTensor))
	sets["subsets of one"] = Concat{Slice(shapes, 0, 7), &Subset{shapes, []int{3, 1999, 0}}}
	sets["two alike"] = Concat{pictures(6, 3, 8, 8, toTensor), pictures(5, 3, 8, 8, compose(flip, toTensor))}

	dir := t.TempDir()
	for i := range 7 {
		im := image.NewNRGBA(image.Rect(0, 0, 9+4*i, 20-i))
		for y := range im.Rect.Max.Y {
			for x := range im.Rect.Max.X {
				im.SetNRGBA(x, y, color.NRGBA{byte(31 * x), byte(17 * y), byte(r.UintN(256)), 255})
			}
		}
		var w bytes.Buffer
		if err := png.Encode(&w, im); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, filepath.Join(dir, []string{"a", "b"}[i%2]), map[string][]byte{fmt.Sprintf("%d.png", i): w.Bytes()})
	}
	folder := func(tr transforms.Transform) Dataset {
		f, err := NewImageFolder(dir, ImageFolderOpts{Transform: tr})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	sets["folder"] = folder(compose(transforms.Resize(12), flip, transforms.RandomCrop(11, 2), upset, toTensor, normalize))
	sets["folder, two crops"] = folder(compose(transforms.Resize(12), transforms.RandomCrop(8, 1), transforms.CenterCrop(10), toTensor))
	sets["folder and images"] = Concat{folder(compose(transforms.ResizeHW(8, 8), toTensor)), pictures(5, 3, 8, 8, compose(upset, toTensor))}

	sets["not two crops"] = pictures(11, 3, 10, 11, compose(crop, flip, middle, toTensor))
	sets["not erasing"] = pictures(11, 3, 10, 11, compose(flip, toTensor, erase))
	sets["not of two sizes"] = Concat{pictures(6, 3, 9, 9, toTensor), pictures(5, 3, 12, 12, compose(crop, toTensor))}
	sets["not of two normalizations"] = Concat{pictures(6, 3, 9, 9, toTensor), pictures(5, 3, 9, 9, compose(toTensor, normalize))}
	sets["not a known transform"] = pictures(11, 3, 10, 11, compose(transforms.Grayscale(3), flip, toTensor))
	return sets
}

// made is a batch.
type made struct {
	shape  tensor.Shape
	x      []float32
	labels []int64
}

func (b made) equal(c made) bool {
	return b.shape.Equal(c.shape) && slices.Equal(b.x, c.x) && slices.Equal(b.labels, c.labels)
}

// What a device makes of bytes is what the workers make, bit for bit. The CPU
// stands in for the device here.
func TestLoaderOnDevice(t *testing.T) {
	for name, set := range deviceSets(t) {
		t.Run(name, func(t *testing.T) {
			_, l := fuse(set)
			if got, want := l.values != nil, !strings.HasPrefix(name, "not "); got != want {
				t.Fatalf("a device makes the numbers: %v, want %v", got, want)
			}
			if l.values == nil {
				return
			}
			for _, workers := range []int{1, 3} {
				loader := DataLoader{Dataset: set, BatchSize: 4, Shuffle: true, Seed: 7, Workers: workers}
				for epoch := range 2 {
					var runs [2][]made
					for k := range runs {
						p, err := loader.plan(epoch)
						if err != nil {
							t.Fatal(err)
						}
						if k == 1 {
							p.values = table(l.values)
						}
						err = p.run(0, func(x, y *tensor.Tensor) bool {
							runs[k] = append(runs[k], made{x.Shape(), x.Floats(), y.Ints()})
							return true
						})
						if err != nil {
							t.Fatal(err)
						}
					}
					if len(runs[0]) != loader.Len() || !slices.EqualFunc(runs[0], runs[1], made.equal) {
						t.Errorf("%d workers, epoch %d: the batches differ", workers, epoch)
					}
				}
			}
		})
	}
}

// An example that fails is named, and ends the loop, on this way too.
func TestLoaderOnDeviceErrors(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "a"), map[string][]byte{"bad.png": []byte("no image")})
	f, err := NewImageFolder(dir, ImageFolderOpts{Transform: transforms.Compose(transforms.ResizeHW(4, 4), transforms.ToTensor())})
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&DataLoader{Dataset: f, BatchSize: 1}).plan(0)
	if err != nil {
		t.Fatal(err)
	}
	p.values = table(p.layout.values)
	err = p.run(0, func(x, y *tensor.Tensor) bool { t.Error("got a batch"); return true })
	if err == nil || !strings.Contains(err.Error(), "example 0: "+f.Path(0)) {
		t.Errorf("got %v, want the example and its file", err)
	}
	// A table of other channels makes the operation itself fail.
	p, err = (&DataLoader{Dataset: NewShapes(ShapesOpts{}), BatchSize: 8}).plan(0)
	if err != nil {
		t.Fatal(err)
	}
	p.values = tensor.Zeros(1, 256)
	err = p.run(0, func(x, y *tensor.Tensor) bool { t.Error("got a batch"); return true })
	var e *tensor.Error
	if !errors.As(err, &e) || e.Op != "CropMirrorNormalize" {
		t.Errorf("got %v, want the operation's error", err)
	}
}

// BenchmarkBatch is what a worker does for a batch of 64 images, which a device
// finishes or not.
func BenchmarkBatch(b *testing.B) {
	tr := transforms.Compose(transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(0.5), transforms.ToTensor(),
		transforms.Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26}))
	l := &DataLoader{Dataset: NewShapes(ShapesOpts{Train: true, Transform: tr}), BatchSize: 64, Shuffle: true}
	for _, name := range []string{"numbers", "bytes"} {
		b.Run(name, func(b *testing.B) {
			p, err := l.plan(0)
			if err != nil {
				b.Fatal(err)
			}
			if name == "bytes" {
				p.values = table(p.layout.values)
			}
			source := rand.NewPCG(0, 0)
			w := &worker{plan: p, source: source, r: rand.New(source)}
			for n := 0; b.Loop(); n++ {
				w.batch(n % (p.batches - 1)).release()
			}
		})
	}
}
