// Package transforms changes images on their way from a data set to a model,
// with the names and the random distributions of torchvision.transforms.
//
// A chain begins with an image and ends with a tensor:
//
//	transforms.Compose(
//		transforms.RandomCrop(32, 4),
//		transforms.RandomHorizontalFlip(0.5),
//		transforms.ToTensor(),
//		transforms.Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26}),
//	)
//
// Images are image.Image; those of one channel (*image.Gray) stay so, all
// others are treated as opaque RGB, as torchvision's loaders do. An image that a
// transform takes or makes has at most 178,956,970 pixels, as PIL's. A transform
// leaves its argument as it is and returns a new image or tensor. What does
// not fit panics with a *tensor.Error; the data loader turns that into its Err.
//
// Randomness comes from the *rand.Rand that Apply is given, and from nowhere
// else, so that a data loader's batches do not depend on its number of workers.
// With a nil *rand.Rand, the package-level source of math/rand/v2 is used.
package transforms

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

// Sample is an image, first as an Image and after ToTensor as a Tensor. One of
// the two is nil.
type Sample struct {
	Image  image.Image
	Tensor *tensor.Tensor // [channels height width]
}

// Transform changes a sample. Implementations must be usable by several
// goroutines at once, each with its own r.
type Transform interface {
	Apply(s Sample, r *rand.Rand) Sample
}

// Compose returns the transforms one after the other as one.
// (torchvision.transforms.Compose)
func Compose(ts ...Transform) Transform {
	for i, t := range ts {
		if t == nil {
			fail("Compose", fmt.Errorf("transform %d of %d is nil, want a Transform", i, len(ts)))
		}
	}
	return compose{slices.Clone(ts)}
}

type compose struct{ list []Transform }

func (c compose) Apply(s Sample, r *rand.Rand) Sample {
	for _, t := range c.list {
		s = t.Apply(s, r)
	}
	return s
}

// Lambda makes a function a transform. (torchvision.transforms.Lambda)
func Lambda(f func(s Sample, r *rand.Rand) Sample) Transform {
	if f == nil {
		fail("Lambda", fmt.Errorf("the function is nil, want one"))
	}
	return lambda(f)
}

type lambda func(s Sample, r *rand.Rand) Sample

func (f lambda) Apply(s Sample, r *rand.Rand) Sample { return f(s, r) }

// maxPixels is how many pixels a transform's image may have: as many as PIL
// reads.
const maxPixels = 2 * 89478485

// wantSize refuses h×w pixels that are none or too many.
func wantSize(op string, h, w int) {
	if h < 1 || w < 1 || h > maxPixels/w {
		fail(op, fmt.Errorf("an image of %d×%d pixels (height × width), want at least 1×1 and at most %d in all", h, w, maxPixels))
	}
}

// fail panics with a *tensor.Error.
func fail(op string, err error) {
	panic(&tensor.Error{Op: op, Err: err})
}

func float(r *rand.Rand) float64 {
	if r == nil {
		return rand.Float64()
	}
	return r.Float64()
}

func intN(r *rand.Rand, n int) int {
	if r == nil {
		return rand.IntN(n)
	}
	return r.IntN(n)
}

func uniform(r *rand.Rand, lo, hi float64) float64 { return lo + (hi-lo)*float(r) }

// wantImage returns the sample's image as a raster.
func wantImage(op string, s Sample) raster {
	if s.Image == nil {
		if s.Tensor != nil {
			fail(op, fmt.Errorf("the sample is a tensor already, want an image: put %s before ToTensor", op))
		}
		fail(op, fmt.Errorf("the sample is empty, want an image"))
	}
	if b := s.Image.Bounds(); !b.Empty() {
		wantSize(op, b.Dy(), b.Dx())
	}
	return rasterOf(s.Image)
}

// wantTensor returns the sample's tensor and its sizes.
func wantTensor(op string, s Sample) (x *tensor.Tensor, c, h, w int) {
	if s.Tensor == nil {
		if s.Image != nil {
			fail(op, fmt.Errorf("the sample is an image, want a tensor: put %s behind ToTensor", op))
		}
		fail(op, fmt.Errorf("the sample is empty, want a tensor"))
	}
	sh := s.Tensor.Shape()
	if len(sh) != 3 {
		fail(op, fmt.Errorf("the tensor is %v, want [channels height width]", sh))
	}
	return s.Tensor, sh[0], sh[1], sh[2]
}

// raster is an image as bytes without gaps: n = 1 byte a pixel (gray) or n = 4
// (red, green, blue, and an alpha that is always 255).
type raster struct {
	pix     []byte
	w, h, n int
}

func newRaster(w, h, n int) raster { return raster{make([]byte, w*h*n), w, h, n} }

// rasterOf returns the image's bytes, without a copy where they lie in this
// layout already; they may not be changed.
func rasterOf(im image.Image) raster {
	b := im.Bounds()
	w, h := b.Dx(), b.Dy()
	switch im := im.(type) {
	case *image.Gray:
		if im.Stride == w {
			return raster{im.Pix[:w*h], w, h, 1}
		}
		r := newRaster(w, h, 1)
		for y := range h {
			copy(r.pix[y*w:(y+1)*w], im.Pix[y*im.Stride:])
		}
		return r
	case *image.Gray16:
		r := newRaster(w, h, 1)
		for y := range h {
			for x := range w {
				r.pix[y*w+x] = im.Pix[y*im.Stride+2*x]
			}
		}
		return r
	case *image.NRGBA:
		if im.Stride == 4*w && opaque(im.Pix[:4*w*h]) {
			return raster{im.Pix[:w*h*4], w, h, 4}
		}
		r := newRaster(w, h, 4)
		for y := range h {
			row := r.pix[y*w*4 : (y+1)*w*4]
			copy(row, im.Pix[y*im.Stride:])
			for x := range w {
				row[4*x+3] = 255
			}
		}
		return r
	}
	if o, ok := im.(interface{ Opaque() bool }); ok && o.Opaque() {
		switch im.(type) {
		case *image.Paletted, *image.NRGBA64, *image.CMYK:
		default:
			// Opaque colours are the same with and without premultiplied alpha.
			dst := image.NewRGBA(image.Rect(0, 0, w, h))
			draw.Draw(dst, dst.Rect, im, b.Min, draw.Src)
			return raster{dst.Pix, w, h, 4}
		}
	}
	r := newRaster(w, h, 4)
	switch im := im.(type) {
	case *image.Paletted:
		var colours [256][4]byte
		for i, c := range im.Palette[:min(len(im.Palette), 256)] {
			colours[i] = straight(c)
		}
		for y := range h {
			for x, v := range im.Pix[y*im.Stride:][:w] {
				copy(r.pix[(y*w+x)*4:], colours[v][:])
			}
		}
	case *image.NRGBA64:
		for y := range h {
			from, to := im.Pix[y*im.Stride:], r.pix[4*y*w:][:4*w]
			for i := range to {
				if to[i] = from[2*i]; i%4 == 3 {
					to[i] = 255
				}
			}
		}
	default:
		for y := range h {
			for x := range w {
				c := straight(im.At(b.Min.X+x, b.Min.Y+y))
				copy(r.pix[(y*w+x)*4:], c[:])
			}
		}
	}
	return r
}

// straight returns a colour without its transparency. Where that stands beside the
// colour, there is one even under what is wholly clear.
func straight(c color.Color) [4]byte {
	switch c := c.(type) {
	case color.NRGBA:
		return [4]byte{c.R, c.G, c.B, 255}
	case color.NRGBA64:
		return [4]byte{byte(c.R >> 8), byte(c.G >> 8), byte(c.B >> 8), 255}
	case color.NYCbCrA:
		r, g, b := color.YCbCrToRGB(c.Y, c.Cb, c.Cr)
		return [4]byte{r, g, b, 255}
	case color.CMYK: // as PIL rounds
		white := 255 - int(c.K)
		paper := func(ink byte) byte {
			v := int(ink)*white + 128
			return byte(max(white-(v>>8+v)>>8, 0))
		}
		return [4]byte{paper(c.C), paper(c.M), paper(c.Y), 255}
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [4]byte{n.R, n.G, n.B, 255}
}

// opaque says whether all pixels are, faster than the image's method.
func opaque(pix []byte) bool {
	all := ^uint64(0)
	for ; len(pix) >= 8; pix = pix[8:] {
		all &= binary.LittleEndian.Uint64(pix)
	}
	for ; len(pix) >= 4; pix = pix[4:] {
		all &= uint64(binary.LittleEndian.Uint32(pix)) | 0xff000000<<32
	}
	return all&0xff000000ff000000 == 0xff000000ff000000
}

// sample returns the raster as an image.
func (r raster) sample() Sample {
	rect := image.Rect(0, 0, r.w, r.h)
	if r.n == 1 {
		return Sample{Image: &image.Gray{Pix: r.pix, Stride: r.w, Rect: rect}}
	}
	return Sample{Image: &image.NRGBA{Pix: r.pix, Stride: 4 * r.w, Rect: rect}}
}
