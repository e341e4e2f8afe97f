// Package pil decodes images to the pixels of PIL's
// Image.open(file).convert("RGB"): the first image of an animation on its
// canvas, colours under transparency as they are stored, and nothing turned
// upright but TIFF, as PIL does. JPEG is package jpeg's.
//
// A file that PIL refuses is an error here too; so are the rarer kinds of TIFF,
// each with a sentence. There are no other pixels than PIL's.
package pil

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"unicode/utf8"
)

// format is a kind of file, known by its first bytes.
type format struct {
	name   string
	is     func(data []byte) bool
	decode func(data []byte, fits func(w, h int) error) (image.Image, error)
}

var formats = []format{
	{"PNG", starts("\x89PNG\r\n\x1a\n"), decodePNG},
	{"GIF", starts("GIF87a", "GIF89a"), decodeGIF},
	{"WebP", isWebP, decodeWebP},
	{"BMP", starts("BM"), decodeBMP},
	{"TIFF", starts("II\x2a\x00", "MM\x00\x2a", "II\x2b\x00", "MM\x00\x2b"), decodeTIFF},
	{"PNM", isPNM, decodePNM},
}

func starts(with ...string) func(data []byte) bool {
	return func(data []byte) bool {
		for _, w := range with {
			if bytes.HasPrefix(data, []byte(w)) {
				return true
			}
		}
		return false
	}
}

var errCut = errors.New("the file is cut off")

// Decode reads the image that is in data, which it does not keep. fits is told
// the image's size before memory is taken for it, and its error is Decode's.
// The image is an *image.Gray or an opaque *image.NRGBA, at (0, 0).
func Decode(data []byte, fits func(w, h int) error) (image.Image, error) {
	for _, f := range formats {
		if f.is(data) {
			im, err := f.decode(data, fits)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			return im, nil
		}
	}
	return nil, unknown(data)
}

// unknown says what a file is that is no image.
func unknown(data []byte) error {
	start := data[:min(len(data), 16)]
	for len(start) > 12 && !utf8.Valid(start) {
		start = start[:len(start)-1] // perhaps in the middle of a letter
	}
	switch lower := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 256)])); {
	case len(data) == 0:
		return errors.New("the file is empty")
	case bytes.HasPrefix(lower, []byte("<!doctype html")), bytes.HasPrefix(lower, []byte("<html")):
		return errors.New("a web page and no image")
	}
	return fmt.Errorf("no image of a known format (PNG, JPEG, GIF, WebP, BMP, TIFF, PPM), it begins with %q", start)
}

// newRGB returns a black image.
func newRGB(w, h int) *image.NRGBA {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	opaque(im.Pix)
	return im
}

// opaque sets the alpha of all pixels.
func opaque(pix []byte) {
	for i := 3; i < len(pix); i += 4 {
		pix[i] = 255
	}
}

// palette is up to 256 colours; those that a file does not give are black.
type palette [256][3]byte

// image returns the colours of indices.
func (p *palette) picture(index []byte, w, h int) *image.NRGBA {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i, v := range index[:w*h] {
		c, to := &p[v], im.Pix[4*i:][:4]
		to[0], to[1], to[2], to[3] = c[0], c[1], c[2], 255
	}
	return im
}
