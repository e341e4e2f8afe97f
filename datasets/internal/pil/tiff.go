package pil

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"
	"slices"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// The tags of a TIFF that matter for its pixels.
const (
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagOrientation  = 274
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagT4Options    = 292
	tagPredictor    = 317
	tagColorMap     = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagExtra        = 338
	tagFormat       = 339
)

var tagsRead = map[int]bool{
	tagWidth: true, tagHeight: true, tagBits: true, tagCompression: true, tagPhotometric: true, tagFillOrder: true, tagStripOffsets: true,
	tagOrientation: true, tagSamples: true, tagRowsPerStrip: true, tagStripCounts: true, tagPlanar: true, tagT4Options: true, tagPredictor: true,
	tagColorMap: true, tagTileWidth: true, tagTileHeight: true, tagTileOffsets: true, tagTileCounts: true, tagExtra: true, tagFormat: true,
}

// tiff is the first image of a file.
type tiff struct {
	data                     []byte
	order                    binary.ByteOrder
	tags                     map[int][]int
	w, h                     int
	photometric, compression int
	bits, samples            int // of a sample, of a pixel
	extra                    int // what the first sample beyond the colours is; -1 without
	planar, reversed         bool
}

// decodeTIFF reads the first image of a TIFF: black and white, gray, palettes,
// RGB and CMYK, with or without alpha, of up to 16 bits, in strips or tiles,
// packed by what the switch in unpack lists. golang.org/x/image/tiff reads fewer
// kinds, and takes some for others (planes, a second sample beside gray).
func decodeTIFF(data []byte, fits func(w, h int) error) (image.Image, error) {
	t := &tiff{data: data, order: binary.LittleEndian}
	if data[0] == 'M' {
		t.order = binary.BigEndian
		if data[3] == 43 {
			return nil, errors.New("a BigTIFF with its high bytes first, which PIL does not read either")
		}
	}
	if err := t.readTags(); err != nil {
		return nil, err
	}
	if err := t.read(fits); err != nil {
		return nil, err
	}
	return t.picture()
}

// readTags reads the tags that matter, as whole numbers.
func (t *tiff) readTags() error {
	if len(t.data) < 16 {
		return errCut
	}
	// A BigTIFF has numbers of 64 bits instead of 32, and in one case of 16.
	wide := t.data[2] == 43
	entrySize, inside := int64(12), int64(4)
	var at, n int64
	if wide {
		entrySize, inside = 20, 8
		at = t.number64(t.data[8:])
	} else {
		at = int64(t.order.Uint32(t.data[4:]))
	}
	switch {
	case at < 8 || at+8 > int64(len(t.data)):
		return errCut
	case wide:
		n = t.number64(t.data[at:])
		at += 8
	default:
		n = int64(t.order.Uint16(t.data[at:]))
		at += 2
	}
	if n > (int64(len(t.data))-at)/entrySize {
		return errCut
	}
	t.tags = map[int][]int{}
	left := int64(len(t.data)) // what all tags together may point to
	for ; n > 0; n-- {
		entry := t.data[at:][:entrySize]
		at += entrySize
		tag, kind, count := int(t.order.Uint16(entry)), t.order.Uint16(entry[2:]), int64(t.order.Uint32(entry[4:]))
		if wide {
			count = t.number64(entry[4:])
		}
		if !tagsRead[tag] {
			continue
		}
		size, ok := map[uint16]int64{1: 1, 3: 2, 4: 4, 16: 8}[kind]
		switch {
		case !ok:
			return fmt.Errorf("tag %d is of type %d, want 1, 3, 4 or 16 (whole numbers)", tag, kind)
		case t.tags[tag] != nil:
			return fmt.Errorf("tag %d stands there twice", tag)
		case count > int64(len(t.data)):
			return fmt.Errorf("tag %d: %w", tag, errCut)
		}
		value := entry[entrySize-inside:]
		if count*size > inside {
			from := int64(t.order.Uint32(value))
			if wide {
				from = t.number64(value)
			}
			if left -= count * size; left < 0 || from > int64(len(t.data))-count*size {
				return fmt.Errorf("tag %d: %w", tag, errCut)
			}
			value = t.data[from:]
		}
		numbers := make([]int, count)
		for i := range numbers {
			switch size {
			case 1:
				numbers[i] = int(value[i])
			case 2:
				numbers[i] = int(t.order.Uint16(value[2*i:]))
			case 4:
				numbers[i] = int(t.order.Uint32(value[4*i:]))
			default:
				numbers[i] = int(t.number64(value[8*i:]))
			}
		}
		t.tags[tag] = numbers
	}
	return nil
}

// number64 is a number of 64 bits, cut off at 2⁴⁸, which no file reaches.
func (t *tiff) number64(b []byte) int64 { return int64(min(t.order.Uint64(b), 1<<48)) }

// one returns a tag's only number.
func (t *tiff) one(tag, otherwise int) int {
	if v := t.tags[tag]; len(v) > 0 {
		return v[0]
	}
	return otherwise
}

// read finds out what kind of image it is, and refuses what it cannot read.
func (t *tiff) read(fits func(w, h int) error) error {
	t.w, t.h = t.one(tagWidth, 0), t.one(tagHeight, 0)
	if err := fits(t.w, t.h); err != nil {
		return err
	}
	t.compression, t.photometric = t.one(tagCompression, 1), t.one(tagPhotometric, 0)
	t.planar, t.reversed = t.one(tagPlanar, 1) == 2, t.one(tagFillOrder, 1) == 2
	t.samples = t.one(tagSamples, 1)
	extra := t.tags[tagExtra]
	colours := map[int]int{0: 1, 1: 1, 2: 3, 3: 1, 5: 4}[t.photometric]
	if colours == 0 {
		return fmt.Errorf("photometric interpretation %d, want 0 to 3 or 5 (gray, RGB, a palette, CMYK)", t.photometric)
	}
	each := t.tags[tagBits]
	if len(each) == 0 {
		each = []int{1}
	}
	t.bits = each[0]
	each = each[:max(1, min(len(each), t.samples))]
	if len(each) > 1 && len(each) < t.samples || slices.ContainsFunc(each, func(b int) bool { return b != t.bits }) {
		return fmt.Errorf("samples of %v bits, want as many for all %d", each, t.samples)
	}
	for _, f := range t.tags[tagFormat] {
		if f != 1 && !(f == 2 && t.bits == 8 && t.photometric == 1 && t.samples == 1) {
			return fmt.Errorf("sample format %d, want 1 (whole numbers from 0 on)", f)
		}
	}
	t.extra = -1
	if len(extra) > 0 {
		t.extra = extra[0]
	} else if t.samples == 4 && t.photometric == 2 {
		extra = []int{2}
	}
	big := t.order == binary.BigEndian
	ok := t.samples == colours+len(extra) && t.samples <= 6
	for i, x := range extra { // what is beside the first one does not matter
		ok = ok && (i == 0 && (x >= 0 && x <= 2 || x == 999 && t.bits == 8 && t.photometric == 2 && t.samples == 4) || x == 0)
	}
	switch t.photometric {
	case 0, 1:
		ok = ok && (len(extra) == 0 && (t.bits == 1 || t.bits == 2 || t.bits == 4 || t.bits == 8 || t.bits == 16 && !(big && t.photometric == 0)) ||
			len(extra) == 1 && t.bits == 8 && t.photometric == 1 && t.extra != 1)
	case 3:
		ok = ok && (len(extra) == 0 && (t.bits == 1 || t.bits == 2 || t.bits == 4 || t.bits == 8) || len(extra) == 1 && t.bits == 8 && t.extra != 1)
	case 2:
		ok = ok && (t.bits == 8 || t.bits == 16 && len(extra) <= 1)
	default:
		ok = ok && t.extra <= 0 && (t.bits == 8 || t.bits == 16 && len(extra) == 0)
	}
	if t.reversed {
		// Few kinds may have their bits the other way round.
		ok = ok && len(extra) == 0 && (t.bits <= 8 && t.photometric != 5 || t.photometric == 1 && !big) &&
			!(t.compression == 1 && (t.photometric == 0 && t.bits == 8 || t.photometric == 3 && t.bits < 8))
	}
	if t.planar && t.compression == 1 {
		// PIL does not turn the bits of planes round, and reads a single plane as
		// bytes, or bits, as they are.
		t.reversed = false
		ok = ok && (t.samples > 1 || t.photometric == 1 && (t.bits == 1 || t.bits == 8) || t.photometric == 3 && t.bits == 8)
	}
	if t.planar && t.extra == 0 && len(each) == 1 {
		ok = false // PIL takes the bits' number for that of what is beside the colours
	}
	if t.planar && t.samples > 1 {
		// Planes of 16 bits that are not compressed, PIL reads as planes of 8, and
		// what is beside the colours it takes for one of them or refuses.
		ok = ok && (t.samples == colours && (t.bits == 8 || t.compression != 1) ||
			t.samples == 4 && t.photometric == 2 && t.bits == 8 && (t.extra == 2 || t.extra >= 0 && t.compression != 1))
	}
	if !ok {
		return fmt.Errorf("photometric interpretation %d with %d samples of %d bits, %d of them extra (%v), in planes: %v; that is not read",
			t.photometric, t.samples, t.bits, len(extra), extra, t.planar)
	}
	if p := t.one(tagPredictor, 1); p != 1 && (p != 2 || t.bits < 8) && (t.compression == 5 || t.compression == 8 || t.compression == 32946) {
		return fmt.Errorf("predictor %d with %d bits, want none or 2", p, t.bits)
	}
	return nil
}

// image reads the strips or tiles.
func (t *tiff) picture() (image.Image, error) {
	tw, th := t.w, t.one(tagRowsPerStrip, t.h)
	if th < 0 || th > t.h {
		th = t.h // 2³²-1 means all of them
	}
	offsets, counts := t.tags[tagStripOffsets], t.tags[tagStripCounts]
	if len(offsets) == 0 {
		tw, th = t.one(tagTileWidth, 0), t.one(tagTileHeight, 0)
		offsets, counts = t.tags[tagTileOffsets], t.tags[tagTileCounts]
	}
	// A tile may be larger than its image, but not so that the image's size says
	// nothing of the memory.
	if tw < 1 || th < 1 || int64(tw) > 4*max(int64(t.w)*int64(t.h), 1<<20)/int64(th) {
		return nil, fmt.Errorf("tiles of %d×%d pixels for an image of %d×%d", tw, th, t.w, t.h)
	}
	across, downward := (t.w+tw-1)/tw, (t.h+th-1)/th
	planes, together := 1, t.samples
	if t.planar {
		planes, together = t.samples, 1
	}
	if len(offsets) != across*downward*planes {
		return nil, fmt.Errorf("%d strips or tiles, want %d", len(offsets), across*downward*planes)
	}
	if len(counts) < len(offsets) && t.compression != 1 {
		return nil, fmt.Errorf("%d sizes for %d strips or tiles", len(counts), len(offsets))
	}
	stride := int((int64(tw)*int64(together)*int64(t.bits) + 7) / 8)
	size := t.bits / 8 // bytes of a sample
	var bytesOf []byte // high bytes of the samples, or the only ones, pixel by pixel
	for i := range across * downward * planes {
		plane, place := i/(across*downward), i%(across*downward)
		x0, y0 := place%across*tw, place/across*th
		w, h := min(tw, t.w-x0), min(th, t.h-y0)
		count := len(t.data)
		if i < len(counts) && t.compression != 1 {
			count = counts[i]
		}
		block, err := t.unpack(offsets[i], count, tw, h, stride, together)
		if err != nil {
			return nil, err
		}
		if need := (h-1)*stride + (w*together*t.bits+7)/8; need > len(block) {
			return nil, errCut
		}
		if bytesOf == nil {
			bytesOf = make([]byte, t.w*t.h*t.samples)
		}
		for y := range h {
			from := block[y*stride:]
			to := bytesOf[((y0+y)*t.w+x0)*t.samples+plane:]
			for x := range w * together {
				var v byte
				switch {
				case size == 0:
					v = from[x*t.bits/8] >> (8 - t.bits - x*t.bits%8) & (1<<t.bits - 1)
				case size == 2 && t.photometric < 2:
					if v = 255; t.order.Uint16(from[2*x:]) < 255 {
						v = byte(t.order.Uint16(from[2*x:])) // cut off, as PIL does
					}
				case size == 2 && t.order == binary.LittleEndian:
					v = from[2*x+1]
				default:
					v = from[x*size]
				}
				if t.planar {
					to[x*t.samples] = v
				} else {
					to[x] = v
				}
			}
		}
	}
	return t.turned(t.colours(bytesOf)), nil
}

// unpack returns the bytes of a strip or tile of rows of stride bytes. It takes
// memory as there is data, up to what the rows need.
func (t *tiff) unpack(offset, count, w, rows, stride, together int) (out []byte, err error) {
	if offset < 0 || offset > len(t.data) || count < 0 {
		return nil, errCut
	}
	packed := t.data[offset:]
	packed = packed[:min(count, len(packed))]
	order := ccitt.MSB
	if t.reversed {
		order = ccitt.LSB
		if t.compression != 3 && t.compression != 4 {
			packed = slices.Clone(packed[:min(len(packed), rows*stride+rows*stride/8+1024)])
			for i, b := range packed {
				packed[i] = bits.Reverse8(b)
			}
		}
	}
	var r io.Reader = bytes.NewReader(packed)
	switch t.compression {
	case 1:
		return packed, nil
	case 3, 4:
		if t.bits != 1 || t.samples != 1 || t.one(tagT4Options, 0)&1 != 0 && t.compression == 3 {
			return nil, errors.New("fax compression in two dimensions of group 3 is not read")
		}
		mode := ccitt.Group3
		if t.compression == 4 {
			mode = ccitt.Group4
		}
		// The reader's 1 is white; libtiff's bits are 0 where it is.
		r = ccitt.NewReader(r, order, mode, w, rows, &ccitt.Options{Invert: true})
	case 5:
		if len(packed) > 1 && packed[0] == 0 && packed[1]&1 != 0 {
			return nil, errors.New("LZW of before 1992, with its bits in the other order, is not read")
		}
		z := lzw.NewReader(r, lzw.MSB, 8)
		defer z.Close()
		r = z
	case 8, 32946:
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		r = z
	case 32773:
		out = packBits(packed, rows*stride)
		return out, nil
	default:
		return nil, fmt.Errorf("compression %d, want none, 3 or 4 (fax), 5 (LZW), 8 (deflate) or 32773 (PackBits)", t.compression)
	}
	// Where the data ends with the rows, a byte more has its checksum looked at.
	need := rows * stride
	out, err = io.ReadAll(io.LimitReader(r, int64(need)+1))
	if err == nil && len(out) < need {
		err = errCut
	}
	if len(out) < need || err != nil && (t.compression == 8 || t.compression == 32946) {
		return nil, err
	}
	out = out[:need]
	if t.one(tagPredictor, 1) == 2 && (t.compression == 5 || t.compression == 8 || t.compression == 32946) {
		for y := range rows {
			row := out[y*stride:][:stride]
			if t.bits == 16 {
				for i := 2 * together; i+1 < len(row); i += 2 {
					t.order.PutUint16(row[i:], t.order.Uint16(row[i:])+t.order.Uint16(row[i-2*together:]))
				}
				continue
			}
			for i := together; i < len(row); i++ {
				row[i] += row[i-together]
			}
		}
	}
	return out, nil
}

// packBits unpacks runs up to n bytes.
func packBits(packed []byte, n int) (out []byte) {
	for len(packed) > 1 && len(out) < n {
		k := int(int8(packed[0]))
		packed = packed[1:]
		switch {
		case k >= 0:
			k = min(k+1, len(packed))
			out = append(out, packed[:k]...)
			packed = packed[k:]
		case k > -128:
			for range 1 - k {
				out = append(out, packed[0])
			}
			packed = packed[1:]
		}
	}
	return out[:min(n, len(out))]
}

// colours makes an image of samples of a byte.
func (t *tiff) colours(v []byte) image.Image {
	n := t.samples
	if t.photometric < 2 {
		im := image.NewGray(image.Rect(0, 0, t.w, t.h))
		spread := byte(1)
		if t.bits < 8 {
			spread = byte(255 / (1<<t.bits - 1))
		}
		for i := range im.Pix {
			im.Pix[i] = v[i*n] * spread
			if t.photometric == 0 && t.bits < 16 {
				im.Pix[i] = ^im.Pix[i]
			}
		}
		return im
	}
	if t.photometric == 3 {
		var p palette
		table := t.tags[tagColorMap]
		size := len(table) / 3
		for i := range min(size, 256) {
			p[i] = [3]byte{byte(table[i] >> 8), byte(table[size+i] >> 8), byte(table[2*size+i] >> 8)}
		}
		for i := 1; n > 1 && i < t.w*t.h; i++ {
			v[i] = v[i*n]
		}
		return p.picture(v, t.w, t.h)
	}
	im := newRGB(t.w, t.h)
	for i := range t.w * t.h {
		from, to := v[i*n:][:n], im.Pix[4*i:][:4]
		switch {
		case t.photometric == 5:
			white := 255 - int(from[3])
			for k := range 3 {
				s := int(from[k])*white + 128
				to[k] = byte(max(white-(s>>8+s)>>8, 0))
			}
		case t.extra == 1:
			for k := range 3 {
				if from[3] > 0 {
					to[k] = byte(min(int(from[k])*255/int(from[3]), 255))
				}
			}
		default:
			to[0], to[1], to[2] = from[0], from[1], from[2]
		}
	}
	return im
}

// turned returns the image upright.
func (t *tiff) turned(im image.Image) image.Image {
	o := t.one(tagOrientation, 1)
	if o < 2 || o > 8 {
		return im
	}
	w, h := t.w, t.h
	if o >= 5 {
		w, h = h, w
	}
	var from, to []byte
	var out image.Image
	n := 4
	if gray, ok := im.(*image.Gray); ok {
		dst := image.NewGray(image.Rect(0, 0, w, h))
		n, from, to, out = 1, gray.Pix, dst.Pix, dst
	} else {
		dst := image.NewNRGBA(image.Rect(0, 0, w, h))
		from, to, out = im.(*image.NRGBA).Pix, dst.Pix, dst
	}
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch o {
			case 2:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, w-1-x
			case 7:
				sx, sy = h-1-y, w-1-x
			case 8:
				sx, sy = h-1-y, x
			}
			copy(to[(y*w+x)*n:][:n], from[(sy*t.w+sx)*n:])
		}
	}
	return out
}
