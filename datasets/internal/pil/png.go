package pil

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"
)

// decodePNG has package image/png decode. Of 16 bits PIL takes the high byte,
// but cuts gray off at 255.
func decodePNG(data []byte, fits func(w, h int) error) (image.Image, error) {
	if len(data) < 33 || string(data[12:16]) != "IHDR" {
		return nil, errCut
	}
	w, h := int64(binary.BigEndian.Uint32(data[16:])), int64(binary.BigEndian.Uint32(data[20:]))
	if w > 1<<31-1 || h > 1<<31-1 {
		return nil, errors.New("a size above 2147483647")
	}
	if err := fits(int(w), int(h)); err != nil {
		return nil, err
	}
	depth, kind := int64(data[24]), data[25]
	// Deflate makes at most 1032 bytes of one: an image that cannot be there is
	// given no memory.
	if h*(1+w*depth*pngSamples[kind]/8) > 1032*idat(data) {
		return nil, errCut
	}
	if err := checkPNG(data); err != nil {
		return nil, err
	}
	im, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		if mended := mendPNG(data, int(w), int(h), int(depth)*int(pngSamples[kind])); mended != nil {
			im, err = png.Decode(bytes.NewReader(mended))
		}
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || err == png.FormatError("unexpected EOF") || err == png.FormatError("not enough pixel data") {
		err = errCut
	}
	if err != nil {
		return nil, err
	}
	switch im := im.(type) {
	case *image.NRGBA:
		opaque(im.Pix)
		return im, nil
	case *image.RGBA:
		return &image.NRGBA{Pix: im.Pix, Stride: im.Stride, Rect: im.Rect}, nil
	case *image.Gray16:
		gray := image.NewGray(im.Rect)
		for i := range gray.Pix {
			gray.Pix[i] = cutOff(im.Pix[2*i:])
		}
		return gray, nil
	case *image.NRGBA64:
		return highBytes(im.Pix, im.Rect, kind == 0), nil
	case *image.RGBA64:
		return highBytes(im.Pix, im.Rect, false), nil
	case *image.Paletted:
		var p palette
		for i, c := range im.Palette {
			switch c := c.(type) {
			case color.RGBA:
				p[i] = [3]byte{c.R, c.G, c.B}
			case color.NRGBA:
				p[i] = [3]byte{c.R, c.G, c.B}
			}
		}
		return p.picture(im.Pix, im.Rect.Dx(), im.Rect.Dy()), nil
	}
	return im, nil // *image.Gray
}

// pngLeast is the least size of chunks that PIL looks into.
var pngLeast = map[string]int64{"gAMA": 4, "cHRM": 32, "sRGB": 1, "pHYs": 9, "acTL": 8}

// checkPNG refuses the chunks beside the pixels that PIL refuses and package
// image/png passes over.
func checkPNG(data []byte) error {
	pixels, animated := false, false
	for rest := data[8:]; len(rest) >= 8; {
		n, kind := int64(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		word := true
		for _, c := range []byte(kind) {
			word = word && (c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z')
		}
		switch {
		case pixels && (!word || kind == "IEND" || kind == "fcTL" && animated):
			return nil // PIL looks no further
		case !word:
			return fmt.Errorf("a chunk %q", kind)
		case kind == "IDAT":
			pixels = true
			if n > int64(len(rest)-8) {
				return nil
			}
		case n > int64(len(rest)-8):
			return errCut
		case n < pngLeast[kind]:
			return fmt.Errorf("a chunk %q of %d bytes, want at least %d", kind, n, pngLeast[kind])
		case kind == "acTL":
			animated = binary.BigEndian.Uint32(rest[8:]) > 1
		case kind == "fcTL" && !pixels && (n < 26 || string(rest[12:20]) != string(data[16:24]) || string(rest[20:28]) != "\x00\x00\x00\x00\x00\x00\x00\x00"):
			return errors.New("a first frame that does not fill the image")
		}
		rest = rest[min(12+n, int64(len(rest))):]
	}
	return nil
}

// mendPNG makes a PNG that package image/png takes of one whose pixels are all
// there, though checksums or chunks behind the header are wrong: PIL does not look
// at them. It returns nil where there is more amiss.
func mendPNG(data []byte, w, h, bits int) []byte {
	out := slices.Clone(data[:8])
	add := func(kind string, body []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		at := len(out)
		out = append(append(out, kind...), body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[at:]))
	}
	var packed []byte
	for rest := data[8:]; len(rest) >= 8; {
		n, kind := int64(binary.BigEndian.Uint32(rest)), string(rest[4:8])
		if kind == "IDAT" {
			packed = append(packed, rest[8:min(8+n, int64(len(rest)))]...)
		} else if len(packed) > 0 {
			break
		}
		if 12+n > int64(len(rest)) {
			if kind != "IDAT" {
				return nil
			}
			break
		}
		body := rest[8 : 8+n]
		// Up to the pixels, PIL looks at checksums.
		if kind != "IDAT" && crc32.ChecksumIEEE(rest[4:8+n]) != binary.BigEndian.Uint32(rest[8+n:]) {
			return nil
		}
		// A palette or a key belongs to some kinds of colours only.
		if kind == "IHDR" && len(body) == 13 {
			body = slices.Clone(body)
			body[10], body[12] = 0, min(body[12], 1)
		}
		if colour := data[25]; kind == "IHDR" || kind == "PLTE" && colour == 3 || kind == "tRNS" && colour < 4 {
			add(kind, body)
		}
		rest = rest[12+n:]
	}
	need := 0
	if data[28] == 0 {
		need = h * (1 + (w*bits+7)/8)
	} else {
		for _, p := range adam7 {
			if pw, ph := (w-p[0]+p[2]-1)/p[2], (h-p[1]+p[3]-1)/p[3]; pw > 0 && ph > 0 {
				need += ph * (1 + (pw*bits+7)/8)
			}
		}
	}
	zr, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	// There may be more than the pixels, and the checksum behind them may be
	// missing, but not wrong.
	raw, err := io.ReadAll(io.LimitReader(zr, int64(need)+1))
	if len(raw) < need || len(raw) == need && err != nil && err != io.ErrUnexpectedEOF {
		return nil
	}
	raw = raw[:need]
	var z bytes.Buffer
	zw, _ := zlib.NewWriterLevel(&z, zlib.NoCompression) // the level is one that there is
	_, _ = zw.Write(raw)                                 // a buffer takes it
	_ = zw.Close()
	add("IDAT", z.Bytes())
	add("IEND", nil)
	return out
}

// adam7 is where the passes of an interlaced image begin, and their steps.
var adam7 = [7][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}

// pngSamples is how many samples a pixel has, for each colour type.
var pngSamples = [256]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

// idat returns how many bytes of compressed pixels there are.
func idat(data []byte) (n int64) {
	for at := int64(8); at+8 <= int64(len(data)); {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		if string(data[at+4:at+8]) == "IDAT" {
			n += min(size, int64(len(data))-at-8)
		}
		at += 12 + size
	}
	return n
}

// cutOff is a number of 16 bits cut off at 255.
func cutOff(b []byte) byte {
	if b[0] > 0 {
		return 255
	}
	return b[1]
}

// highBytes makes an image of pixels of four times 16 bits.
func highBytes(pix []byte, rect image.Rectangle, gray bool) *image.NRGBA {
	im := image.NewNRGBA(rect)
	for i := 0; i < len(im.Pix); i += 4 {
		from, to := pix[2*i:][:8], im.Pix[i:][:4]
		to[0], to[1], to[2], to[3] = from[0], from[2], from[4], 255
		if gray {
			v := cutOff(from)
			to[0], to[1], to[2] = v, v, v
		}
	}
	return im
}
