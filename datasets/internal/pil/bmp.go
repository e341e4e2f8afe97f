package pil

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
)

// What a BMP's pixels are compressed with.
const (
	bmpRaw = iota
	bmpRLE8
	bmpRLE4
	bmpBitfields
)

// bmpMasks are the layouts of colours that PIL takes: where their bytes lie for
// 24 and 32 bits, which of the two that there are for 16.
var bmpMasks = map[[5]uint32][3]int{ // bits and masks of red, green, blue and alpha
	{32, 0xff0000, 0xff00, 0xff, 0}:          {2, 1, 0},
	{32, 0xff000000, 0xff0000, 0xff00, 0}:    {3, 2, 1},
	{32, 0xff000000, 0xff00, 0xff, 0}:        {3, 1, 0},
	{32, 0xff000000, 0xff0000, 0xff00, 0xff}: {3, 2, 1},
	{32, 0xff, 0xff00, 0xff0000, 0xff000000}: {0, 1, 2},
	{32, 0xff0000, 0xff00, 0xff, 0xff000000}: {2, 1, 0},
	{32, 0xff000000, 0xff00, 0xff, 0xff0000}: {3, 1, 0},
	{32, 0, 0, 0, 0}:                         {2, 1, 0},
	{24, 0xff0000, 0xff00, 0xff, 0}:          {2, 1, 0},
	{16, 0xf800, 0x7e0, 0x1f, 0}:             {5, 6, 5},
	{16, 0x7c00, 0x3e0, 0x1f, 0}:             {5, 5, 5},
}

// decodeBMP reads a Windows or OS/2 bitmap. It is PIL's BmpImagePlugin in Go:
// golang.org/x/image/bmp has no 16 bits, run lengths and bit fields.
func decodeBMP(data []byte, fits func(w, h int) error) (image.Image, error) {
	if len(data) < 18 {
		return nil, errCut
	}
	le := binary.LittleEndian
	offset, size := int(le.Uint32(data[10:])), int(le.Uint32(data[14:]))
	switch size {
	case 12, 40, 52, 56, 64, 108, 124:
	default:
		return nil, fmt.Errorf("a header of %d bytes, which is of no known kind", size)
	}
	if len(data) < 14+size {
		return nil, errCut
	}
	head := data[18 : 14+size]
	at := 14 + size // where reading goes on
	var w, h, bits, pad, colours int
	var compression uint32
	down := false // the first row is the top one
	if size == 12 {
		w, h, bits, pad = int(le.Uint16(head)), int(le.Uint16(head[2:])), int(le.Uint16(head[6:])), 3
	} else {
		down = head[7] == 0xff
		w, h = int(le.Uint32(head)), int(le.Uint32(head[4:]))
		if down {
			h = int(-int32(le.Uint32(head[4:])))
		}
		bits, compression, colours, pad = int(le.Uint16(head[10:])), le.Uint32(head[12:]), int(le.Uint32(head[28:])), 4
	}
	if err := fits(w, h); err != nil {
		return nil, err
	}
	if bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32 {
		return nil, fmt.Errorf("%d bits a pixel, want 1, 4, 8, 16, 24 or 32", bits)
	}
	if colours == 0 {
		colours = 1 << min(bits, 30)
	}
	if bits <= 8 && offset == 14+size {
		offset += pad * min(colours, 1<<16) // a mistake that some writers make
	}
	place := [3]int{2, 1, 0}
	if bits == 16 {
		place = [3]int{5, 5, 5}
	}
	switch compression {
	case bmpRaw:
	case bmpBitfields:
		masks := [5]uint32{uint32(bits)}
		from := head[min(len(head), 36):]
		if size == 40 {
			from = data[at:]
			at += 12
			if len(from) < 12 {
				return nil, errCut
			}
		}
		for i := range 3 {
			masks[1+i] = le.Uint32(from[4*i:])
		}
		if bits == 32 && size >= 56 {
			masks[4] = le.Uint32(from[12:])
		}
		ok := false
		if place, ok = bmpMasks[masks]; !ok {
			return nil, fmt.Errorf("bit fields %x of %d bits, which PIL does not take either", masks[1:], bits)
		}
	case bmpRLE8, bmpRLE4:
		if bits > 8 {
			return nil, fmt.Errorf("run lengths with %d bits a pixel", bits)
		}
	default:
		return nil, fmt.Errorf("compression %d, want none, run lengths or bit fields", compression)
	}
	var p palette
	gray := bits <= 8
	depth := bits
	if bits <= 8 {
		if colours < 1 || colours > 1<<16 {
			return nil, fmt.Errorf("a palette of %d colours, want 1 to 65536", colours)
		}
		given := min(colours, (len(data)-at)/pad) // more than there are bytes for is no harm to PIL
		for i := range colours {
			want := byte(i)
			if colours == 2 {
				want = byte(-i)
			}
			if at+3 > len(data) {
				gray, at = false, len(data)
				break
			}
			c := [3]byte{data[at+2], data[at+1], data[at]}
			if i < min(given, 256) {
				p[i] = c
			}
			gray = gray && c == [3]byte{want, want, want}
			at = min(at+pad, len(data))
		}
		if given > 256 && !gray {
			return nil, fmt.Errorf("a palette of %d colours, want at most 256", colours)
		}
		// PIL takes a gray palette for no palette, and then reads a byte or a
		// bit a pixel, whatever the header says.
		if gray {
			depth = 8
			if colours <= 2 {
				depth = 1
			}
		}
	}
	if offset == 0 {
		offset = at
	}
	if offset < 0 || offset > len(data) {
		return nil, errCut
	}
	pixels := data[offset:]
	stride := int((int64(w)*int64(bits) + 31) >> 3 &^ 3)
	row := int((int64(w)*int64(depth) + 7) / 8)
	rle := compression == bmpRLE8 || compression == bmpRLE4
	if rle {
		var err error
		if pixels, err = bmpRuns(data, offset, w, h, compression == bmpRLE4); err != nil {
			return nil, err
		}
		stride, row = w, w
	}
	if stride < row {
		return nil, errors.New("rows that are shorter than their pixels")
	}
	if (h-1)*stride+row > len(pixels) {
		return nil, errCut
	}
	var out image.Image
	var to []byte
	if gray {
		im := image.NewGray(image.Rect(0, 0, w, h))
		out, to = im, im.Pix
	} else {
		im := newRGB(w, h)
		out, to = im, im.Pix
	}
	for y := range h {
		from := pixels[y*stride:][:row]
		line := y
		if !down {
			line = h - 1 - y
		}
		switch {
		case gray:
			dst := to[line*w:][:w]
			for x := range dst {
				switch {
				case rle && depth == 1: // what is not 0 is white
					if from[x] != 0 {
						dst[x] = 255
					}
				case depth == 1:
					dst[x] = -(from[x/8] >> (7 - x%8) & 1)
				default:
					dst[x] = from[x]
				}
			}
		case bits <= 8:
			dst := to[4*line*w:][:4*w]
			for x := range w {
				v := byte(0)
				if rle {
					v = from[x]
				} else {
					v = from[x*bits/8] >> (8 - bits - x*bits%8) & byte(1<<bits-1)
				}
				copy(dst[4*x:], p[v][:])
			}
		case bits == 16:
			dst := to[4*line*w:][:4*w]
			for x := range w {
				v, c := int(le.Uint16(from[2*x:])), dst[4*x:][:4]
				green := 1<<place[1] - 1
				c[2] = byte((v & 31) * 255 / 31)
				c[1] = byte((v >> 5 & green) * 255 / green)
				c[0] = byte((v >> (5 + place[1]) & 31) * 255 / 31)
			}
		default:
			dst := to[4*line*w:][:4*w]
			for x := range w {
				q, c := from[x*bits/8:][:bits/8], dst[4*x:][:4]
				c[0], c[1], c[2] = q[place[0]], q[place[1]], q[place[2]]
			}
		}
	}
	return out, nil
}

// bmpRuns decodes run lengths to a byte a pixel.
func bmpRuns(file []byte, at, w, h int, four bool) ([]byte, error) {
	n := w * h
	out := make([]byte, 0, min(n, 128*len(file)))
	x := 0
runs:
	for len(out) < n && at+2 <= len(file) {
		count, v := int(file[at]), file[at+1]
		at += 2
		if count > 0 {
			if count = min(count, w-x); count < 0 {
				count = 0
			}
			for i := range count {
				switch {
				case !four:
					out = append(out, v)
				case i%2 == 0:
					out = append(out, v>>4)
				default:
					out = append(out, v&15)
				}
			}
			x += count
			continue
		}
		switch v {
		case 0: // the end of a row
			for len(out)%w != 0 {
				out = append(out, 0)
			}
			x = 0
		case 1:
			break runs
		case 2: // some pixels are left out
			if at+2 > len(file) {
				break runs
			}
			skip := min(n-len(out), int(file[at])+int(file[at+1])*w)
			at += 2
			out = append(out, make([]byte, skip)...)
			x = len(out) % w
		default: // pixels that are no run
			count := min(n-len(out), int(v))
			size := count
			if four {
				size = (count + 1) / 2
			}
			part := file[at:min(at+size, len(file))]
			at += len(part)
			for i, b := range part {
				if !four {
					out = append(out, b)
					continue
				}
				out = append(out, b>>4)
				if 2*i+1 < count {
					out = append(out, b&15)
				}
			}
			if len(part) < size || len(out) == n {
				break runs
			}
			x += int(v)
			at += at % 2
		}
	}
	if len(out) < n {
		return nil, errCut
	}
	return out[:n], nil
}
