package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

func isWebP(data []byte) bool {
	return len(data) >= 16 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// decodeWebP reads a still image, or the first one of an animation on its
// canvas. golang.org/x/image/vp8 and vp8l decode what is in the file's chunks;
// x/image/webp takes no animations, and gives YCbCr that says neither that it is
// of limited range nor how it is to be scaled up.
func decodeWebP(data []byte, fits func(w, h int) error) (image.Image, error) {
	size := int64(binary.LittleEndian.Uint32(data[4:]))
	if size > int64(len(data)-8) {
		return nil, errCut
	}
	chunks := riff(data[12 : 8+max(size, 4)])
	kind, body, ok := chunks.next()
	if !ok {
		return nil, errCut
	}
	if kind != "VP8X" {
		return picture(webpFrame(kind, body, fits))
	}
	if len(body) < 10 {
		return nil, errCut
	}
	animated := body[0]&2 != 0
	w, h := 1+uint24(body[4:]), 1+uint24(body[7:])
	if err := fits(w, h); err != nil {
		return nil, err
	}
	// PIL wants all of the chunks to be there, those behind the image too.
	for rest := chunks; len(rest) > 0; {
		if _, _, ok := rest.next(); !ok {
			return nil, errCut
		}
	}
	started := false
	for {
		kind, body, ok := chunks.next()
		switch {
		case !ok:
			return nil, errors.New("no image in the file")
		case kind == "ANIM":
			started = true
		case animated && (kind == "VP8 " || kind == "VP8L"):
			return nil, errors.New("an image outside of the animation's frames")
		case kind == "VP8 ", kind == "VP8L": // how clear its pixels are (ALPH) does not matter
			return picture(webpFrame(kind, body, func(fw, fh int) error {
				if fw != w || fh != h {
					return fmt.Errorf("an image of %d×%d on a canvas of %d×%d", fw, fh, w, h)
				}
				return nil
			}))
		case kind == "ANMF":
			if !started || !animated || len(body) < 16 {
				return nil, errors.New("a frame that is not part of an animation")
			}
			return webpOnCanvas(body, w, h, fits)
		}
	}
}

// webpOnCanvas decodes an animation's frame. What it leaves free is black: the
// background that the file names is for others to look at.
func webpOnCanvas(body []byte, w, h int, fits func(w, h int) error) (image.Image, error) {
	x, y := 2*uint24(body), 2*uint24(body[3:])
	chunks := riff(body[16:])
	kind, body, ok := chunks.next()
	if kind == "ALPH" {
		kind, body, ok = chunks.next()
	}
	if !ok {
		return nil, errors.New("a frame without an image")
	}
	im, err := webpFrame(kind, body, func(fw, fh int) error {
		if fw > w-x || fh > h-y {
			return fmt.Errorf("a frame of %d×%d at (%d, %d) on a canvas of %d×%d", fw, fh, x, y, w, h)
		}
		return fits(fw, fh)
	})
	if err != nil {
		return nil, err
	}
	if im.Rect == image.Rect(0, 0, w, h) {
		return im, nil
	}
	out := newRGB(w, h)
	for row := range im.Rect.Dy() {
		copy(out.Pix[out.PixOffset(x, y+row):], im.Pix[row*im.Stride:][:im.Stride])
	}
	return out, nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// riff is the chunks of a file that are still to be read.
type riff []byte

// next returns a chunk. ok is false at the end, and where a chunk is cut off.
func (r *riff) next() (kind string, body []byte, ok bool) {
	if len(*r) < 8 {
		return "", nil, false
	}
	kind = string((*r)[:4])
	n := int64(binary.LittleEndian.Uint32((*r)[4:]))
	if n > int64(len(*r)-8) {
		return "", nil, false
	}
	body = (*r)[8 : 8+n]
	*r = (*r)[min(8+n+n&1, int64(len(*r))):]
	return kind, body, true
}

// image keeps a nil image nil.
func picture(im *image.NRGBA, err error) (image.Image, error) {
	if err != nil {
		return nil, err
	}
	return im, nil
}

// webpFrame decodes a chunk of pixels.
func webpFrame(kind string, body []byte, fits func(w, h int) error) (*image.NRGBA, error) {
	switch kind {
	case "VP8L":
		c, err := vp8l.DecodeConfig(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if err := fits(c.Width, c.Height); err != nil {
			return nil, err
		}
		im, err := vp8l.Decode(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		out := im.(*image.NRGBA)
		opaque(out.Pix)
		return out, nil
	case "VP8 ":
		d := vp8.NewDecoder()
		d.Init(bytes.NewReader(body), len(body))
		head, err := d.DecodeFrameHeader()
		if err != nil {
			return nil, err
		}
		if !head.KeyFrame || !head.ShowFrame {
			return nil, errors.New("a frame that is no image of its own")
		}
		if int(head.FirstPartitionLen) > len(body) {
			return nil, errCut
		}
		if err := fits(head.Width, head.Height); err != nil {
			return nil, err
		}
		// A block of 16×16 pixels takes more than a bit.
		if (head.Width+15)/16*((head.Height+15)/16) > 8*len(body) {
			return nil, errCut
		}
		im, err := d.DecodeFrame()
		if err != nil {
			return nil, err
		}
		return rgbOfVP8(im), nil
	}
	return nil, fmt.Errorf("a chunk %q where an image belongs", kind)
}

// rgbOfVP8 scales the colours up and converts them as libwebp does by default
// ("fancy upsampling"): a pixel's colour is 9, 3, 3 and 1 parts of the four
// nearest, rounded in two steps.
func rgbOfVP8(im *image.YCbCr) *image.NRGBA {
	w, h := im.Rect.Dx(), im.Rect.Dy()
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	half := (w + 1) / 2
	for y := range h {
		// The nearer row of colours, and the one on the other side.
		near := y / 2
		far := min(max(near-1+y%2*2, 0), (h+1)/2-1)
		luma := im.Y[y*im.YStride:][:w]
		nu, nv := im.Cb[near*im.CStride:][:half], im.Cr[near*im.CStride:][:half]
		fu, fv := im.Cb[far*im.CStride:][:half], im.Cr[far*im.CStride:][:half]
		dst := out.Pix[y*out.Stride:][:4*w]
		side := func(x, c int) {
			vp8Pixel(dst[4*x:], luma[x], (3*int(nu[c])+int(fu[c])+2)>>2, (3*int(nv[c])+int(fv[c])+2)>>2)
		}
		side(0, 0)
		for c := 1; c < half; c++ {
			// Between the colours c-1 and c lie two pixels.
			u0, u1 := between(int(nu[c-1]), int(nu[c]), int(fu[c-1]), int(fu[c]))
			v0, v1 := between(int(nv[c-1]), int(nv[c]), int(fv[c-1]), int(fv[c]))
			vp8Pixel(dst[8*c-4:], luma[2*c-1], u0, v0)
			if 2*c < w {
				vp8Pixel(dst[8*c:], luma[2*c], u1, v1)
			}
		}
		if w%2 == 0 {
			side(w-1, half-1)
		}
	}
	return out
}

// between returns the colours of two pixels between a and b, which lie nearer
// than the pixels on their other sides, fa and fb.
func between(a, b, fa, fb int) (first, second int) {
	sum := a + b + fa + fb + 8
	return (a + (sum+2*(b+fa))>>3) >> 1, (b + (sum+2*(a+fb))>>3) >> 1
}

// vp8Pixel converts from YCbCr of limited range, with libwebp's 14 bits.
func vp8Pixel(dst []byte, luma byte, u, v int) {
	y := int(luma) * 19077 >> 8
	dst = dst[:4]
	dst[0] = clip6(y + v*26149>>8 - 14234)
	dst[1] = clip6(y - u*6419>>8 - v*13320>>8 + 8708)
	dst[2] = clip6(y + u*33050>>8 - 17685)
	dst[3] = 255
}

func clip6(v int) byte { return byte(min(max(v>>6, 0), 255)) }
