package datasets

import (
	"fmt"
	"image"
	"math/rand/v2"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// Images is a data set of labelled images of one size that are held in
// memory, as bytes. Where the transforms are flips and crops, ToTensor,
// Normalize and RandomErasing, a DataLoader makes its batches from them in one
// pass; with one crop at most and no RandomErasing, a DataLoader for a GPU sends
// the bytes there and has the pass done by it.
type Images struct {
	pixels    []byte
	c, h, w   int
	labels    []uint8
	classes   []string
	transform transforms.Transform
	fast      *transforms.Fused // nil where transform does more than that
}

// NewImages returns the data set of images whose bytes lie one after the
// other in pixels, each as its planes (one of gray, or red, green, blue), each
// plane row by row. labels are indices into classes. A nil transform means
// transforms.ToTensor(). The slices are used, not copied.
func NewImages(pixels []byte, channels, height, width int, labels []uint8, classes []string, transform transforms.Transform) (*Images, error) {
	if channels != 1 && channels != 3 || height < 1 || width < 1 {
		return nil, fmt.Errorf("datasets: images of %d×%d×%d (channels × height × width), want 1 or 3 channels and at least 1×1", channels, height, width)
	}
	if height > len(pixels)/channels/width && len(labels) > 0 || len(pixels) != len(labels)*channels*height*width {
		return nil, fmt.Errorf("datasets: %d bytes for %d images of %d×%d×%d, want %g", len(pixels), len(labels), channels, height, width,
			float64(len(labels))*float64(channels)*float64(height)*float64(width))
	}
	for i, l := range labels {
		if int(l) >= len(classes) {
			return nil, fmt.Errorf("datasets: image %d has the label %d, want 0 to %d", i, l, len(classes)-1)
		}
	}
	p := &Images{pixels: pixels, c: channels, h: height, w: width, labels: labels, classes: classes, transform: transform}
	if f, ok := transforms.Fuse(transform, channels, height, width); ok {
		p.fast = f
	}
	return p, nil
}

// Len returns the number of images.
func (p *Images) Len() int { return len(p.labels) }

// Classes returns the names of the classes, in the order of the labels. The
// caller may not change it.
func (p *Images) Classes() []string { return p.classes }

// Label returns the label of image i.
func (p *Images) Label(i int) int {
	mustIndex("Images.Label", i, p.Len())
	return int(p.labels[i])
}

// Image returns image i as it is stored, before the transform.
func (p *Images) Image(i int) image.Image {
	mustIndex("Images.Image", i, p.Len())
	size := p.h * p.w
	src := p.pixels[i*p.c*size : (i+1)*p.c*size]
	rect := image.Rect(0, 0, p.w, p.h)
	if p.c == 1 {
		im := image.NewGray(rect)
		copy(im.Pix, src)
		return im
	}
	im := image.NewNRGBA(rect)
	r, g, b := src[:size], src[size:2*size], src[2*size:]
	for k := range size {
		q := im.Pix[4*k : 4*k+4]
		q[0], q[1], q[2], q[3] = r[k], g[k], b[k], 255
	}
	return im
}

// Get returns image i after the transform, with the default one as Float32 [c
// h w] from 0 to 1, and its label as an Int64 scalar.
func (p *Images) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if err := wantIndex(i, p.Len()); err != nil {
		return nil, nil, err
	}
	if fill, l := p.fuse(); fill != nil {
		return example(fill, l.shape, i, r)
	}
	x, err = apply(p.transform, transforms.Sample{Image: p.Image(i)}, r)
	return x, scalar(int64(p.labels[i])), err
}

func (p *Images) fuse() (fillFunc, layout) {
	if p.fast == nil {
		return nil, layout{}
	}
	size := p.c * p.h * p.w
	return func(s slot, i int, r *rand.Rand) (int64, error) {
		picture := p.pixels[i*size : (i+1)*size]
		if s.numbers != nil {
			p.fast.Run(s.numbers, picture, r)
		} else {
			copy(s.bytes, picture)
			p.fast.Move(s.move, r)
		}
		return int64(p.labels[i]), nil
	}, layoutOf(p.fast)
}

func scalar(v int64) *tensor.Tensor { return tensor.From([]int64{v}).Reshape() }
