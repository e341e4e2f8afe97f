package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
)

// decodeGIF reads the first image of a GIF, on its canvas. What the image
// leaves free has the transparent entry's colour, or else that of entry 0: PIL
// does not look at the background that the file names.
func decodeGIF(data []byte, fits func(w, h int) error) (image.Image, error) {
	r := bytesReader{data: data}
	head := r.next(13)
	if head == nil {
		return nil, errCut
	}
	w, h := int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	colours, gray := gifPalette(&r, head[10])
	clear := byte(0)
	for {
		kind := r.next(1)
		switch {
		case kind == nil || kind[0] == ';':
			return nil, errors.New("no image in the file")
		case kind[0] == '!':
			label, block := r.next(1), r.block()
			switch {
			case label == nil:
				return nil, errCut
			case label[0] == 0xf9 && len(block) > 0 && (len(block) < 3 || block[0]&1 != 0 && len(block) < 4):
				return nil, errors.New("a transparent entry without its number")
			case label[0] == 0xf9 && len(block) > 0 && block[0]&1 != 0:
				clear = block[3]
			case label[0] == 0xfe && len(block) == 0:
				continue
			case label[0] == 0xff && bytes.HasPrefix(block, []byte("NETSCAPE2.0")):
				r.block()
			}
			// Also where the first block is empty, as PIL has it, but for a comment.
			for len(r.block()) > 0 {
			}
			continue
		case kind[0] != ',':
			continue // as PIL does
		}
		break
	}
	frame := r.next(9)
	if frame == nil {
		return nil, errCut
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint16(frame[i:])) }
	x0, y0, fw, fh := at(0), at(2), at(4), at(6)
	if fw == 0 || fh == 0 {
		return nil, errors.New("a first image without pixels")
	}
	w, h = max(w, x0+fw), max(h, y0+fh)
	if err := fits(w, h); err != nil {
		return nil, err
	}
	if frame[8]&0x80 != 0 {
		// A palette of one's own that is gray leaves PIL with that of the file.
		if own, ownGray := gifPalette(&r, frame[8]); !ownGray {
			colours, gray = own, false
		}
	}
	bits := r.next(1)
	if bits == nil {
		return nil, errCut
	}
	// A code is at least 3 bits and stands for less than 4096 pixels.
	if fw*fh/4096 > (len(data)-r.at)*8/3 {
		return nil, errCut
	}
	pixels, err := gifPixels(&r, int(bits[0]), fw*fh)
	if err != nil {
		return nil, err
	}
	index := make([]byte, w*h)
	if clear != 0 {
		for i := range index {
			index[i] = clear
		}
	}
	interlaced := frame[8]&0x40 != 0
	row := 0
	for y := range fh {
		to := y
		if interlaced {
			to = row
		}
		copy(index[(y0+to)*w+x0:], pixels[y*fw:][:fw])
		row = interlacedRow(row, fh)
	}
	if gray {
		return &image.Gray{Pix: index, Stride: w, Rect: image.Rect(0, 0, w, h)}, nil
	}
	return colours.picture(index, w, h), nil
}

// interlacedRow returns the row behind a row of h in an image that comes in four
// passes: every eighth row, those in between, then every fourth and second one.
func interlacedRow(row, h int) int {
	step, next := 8, 4
	switch {
	case row%8 == 4:
		next = 2
	case row%4 == 2:
		step, next = 4, 1
	case row%2 == 1:
		step, next = 2, h
	}
	if row += step; row < h {
		return row
	}
	for next >= h && next > 1 {
		next /= 2
	}
	return next
}

// gifPalette reads the palette that flags announce. gray is true where there is
// none, or where its entries are their own numbers.
func gifPalette(r *bytesReader, flags byte) (colours *palette, gray bool) {
	colours = new(palette)
	if flags&0x80 == 0 {
		return colours, true
	}
	gray = true
	n := 2 << (flags & 7)
	for i := range n {
		c := r.next(3)
		if c == nil {
			break // the file ends
		}
		colours[i] = [3]byte(c)
		gray = gray && int(c[0]) == i && c[1] == c[0] && c[2] == c[0]
	}
	return colours, gray
}

// gifPixels decodes n pixels of a GIF, as strictly as PIL, which goes on behind an
// empty block and uses no block that is cut off.
func gifPixels(r *bytesReader, bits, n int) ([]byte, error) {
	const table = 4096
	if bits > 12 {
		return nil, errors.New("codes of more than 12 bits")
	}
	broken := errors.New("the pixels are damaged")
	var data [table]byte
	var link [table]uint16
	var string [table]byte
	clear := 1 << bits
	end := clear + 1
	var next, size, last int
	var lastData byte
	fresh := true
	reset := func() { next, size, fresh = clear+2, bits+1, true }
	reset()
	out := make([]byte, 0, min(n, 64*(len(r.data)-r.at)))
	acc, have := uint32(0), 0
	var codes []byte
	for len(out) < n {
		for have < size {
			for len(codes) == 0 {
				if codes = r.block(); codes == nil {
					return nil, errCut
				}
			}
			acc |= uint32(codes[0]) << have
			codes = codes[1:]
			have += 8
		}
		c := int(acc & (1<<size - 1))
		acc >>= size
		have -= size
		switch {
		case c == clear:
			reset()
			continue
		case c == end:
			return nil, errors.New("the pixels end too early")
		case fresh:
			if c > clear {
				return nil, broken
			}
			last, lastData, fresh = c, byte(c), false
			out = append(out, lastData)
			continue
		case c > next:
			return nil, broken
		}
		code, free := c, table // string is filled from its end
		if c == next {
			free--
			string[free] = lastData
			c = last
		}
		for c >= clear {
			if free == 0 || c >= table {
				return nil, broken
			}
			free--
			string[free] = data[c]
			c = int(link[c])
		}
		lastData = byte(c)
		if next < table {
			data[next], link[next] = lastData, uint16(last)
			if next == 1<<size-1 && size < 12 {
				size++
			}
			next++
		}
		last = code
		out = append(append(out, lastData), string[free:]...)
	}
	return out[:n], nil
}

// bytesReader reads data piece by piece.
type bytesReader struct {
	data []byte
	at   int
}

// next returns the next n bytes, or nil where there are not so many.
func (r *bytesReader) next(n int) []byte {
	if n > len(r.data)-r.at {
		r.at = len(r.data)
		return nil
	}
	r.at += n
	return r.data[r.at-n : r.at]
}

// block returns a GIF's next block, which is empty at the end of a row of them.
func (r *bytesReader) block() []byte {
	n := r.next(1)
	if n == nil {
		return nil
	}
	return r.next(int(n[0]))
}
