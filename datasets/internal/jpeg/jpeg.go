// Package jpeg decodes the usual kind of JPEG to the pixels that libjpeg-turbo
// makes with its defaults, which are those of PIL: baseline, 8 bits, gray or
// YCbCr in one scan, with the colours at full size or halved along either axis.
// Whatever is not of that kind, or is not whole, it leaves to image/jpeg, whose
// pixels differ in the last bits and, where colours are halved, along edges.
package jpeg

import (
	"encoding/binary"
	"image"
	"slices"
)

// Decoder decodes pictures one after the other in the same memory.
type Decoder struct {
	Width, Height int

	data  []byte
	at    int // next byte of data
	comps []component
	hmax  int // luma samples along each axis for one of colour
	vmax  int
	quant [4][64]int32 // in zigzag order, 0 where there is no table
	huff  [2][4]huffman
	every int // MCUs between restarts, 0 without

	acc  uint64 // the next bits, from the top on
	n    int    // bits in acc
	past int    // those of them that lie behind the end of the data

	coef [64]int32 // of a block, zero between two
	line []uint32  // colours of a row: blue in the low half, red in the high
	sums []uint32
	gray image.Gray
	rgb  image.NRGBA
}

type component struct {
	id, h, v int
	quant    *[64]int32
	dc, ac   *huffman
	last     int32 // DC coefficient of the block before
	width    int   // in samples
	height   int
	stride   int
	pix      []byte
	x0, x1   int // blocks that are wanted
	y0, y1   int
}

// Open reads the header of a JPEG. It is false where the picture is for
// image/jpeg. data may not change until the picture is decoded.
func (d *Decoder) Open(data []byte) bool {
	d.data, d.at = data, 2
	d.comps, d.every = d.comps[:0], 0
	d.quant = [4][64]int32{}
	for i := range d.huff {
		for j := range d.huff[i] {
			d.huff[i][j].ok = false
		}
	}
	if len(data) < 4 || data[0] != 0xff || data[1] != 0xd8 {
		return false
	}
	jfif, adobe := false, -1
	for {
		marker, ok := d.marker()
		if !ok || d.at+2 > len(data) {
			return false
		}
		n := int(binary.BigEndian.Uint16(data[d.at:]))
		if n < 2 || d.at+n > len(data) {
			return false
		}
		seg := data[d.at+2 : d.at+n]
		d.at += n
		switch {
		case marker == 0xc0:
			ok = d.frame(seg)
		case marker == 0xc4:
			ok = d.huffmans(seg)
		case marker == 0xdb:
			ok = d.quants(seg)
		case marker == 0xdd:
			ok = len(seg) == 2
			if ok {
				d.every = int(binary.BigEndian.Uint16(seg))
			}
		case marker == 0xe0:
			jfif = jfif || len(seg) >= 5 && string(seg[:5]) == "JFIF\x00"
		case marker == 0xee:
			if len(seg) >= 12 && string(seg[:5]) == "Adobe" {
				adobe = int(seg[11])
			}
		case marker > 0xe0 && marker <= 0xef || marker == 0xfe:
		case marker == 0xda:
			if !d.scan(seg) {
				return false
			}
			c := d.comps
			return len(c) == 1 || adobe == 1 || adobe < 0 && (jfif || c[0].id == 1 && c[1].id == 2 && c[2].id == 3)
		default:
			return false
		}
		if !ok {
			return false
		}
	}
}

// marker reads a marker and the bytes that may fill the place before it.
func (d *Decoder) marker() (byte, bool) {
	if d.at >= len(d.data) || d.data[d.at] != 0xff {
		return 0, false
	}
	for d.at < len(d.data) && d.data[d.at] == 0xff {
		d.at++
	}
	if d.at == len(d.data) {
		return 0, false
	}
	d.at++
	return d.data[d.at-1], true
}

func (d *Decoder) quants(seg []byte) bool {
	for len(seg) > 0 {
		if len(seg) < 65 || seg[0] > 3 {
			return false // more than 8 bits, or cut off
		}
		for i, v := range seg[1:65] {
			d.quant[seg[0]][i] = int32(v)
			if v == 0 {
				return false
			}
		}
		seg = seg[65:]
	}
	return true
}

func (d *Decoder) frame(seg []byte) bool {
	if len(d.comps) > 0 || len(seg) < 6 || seg[0] != 8 {
		return false
	}
	d.Height, d.Width = int(binary.BigEndian.Uint16(seg[1:])), int(binary.BigEndian.Uint16(seg[3:]))
	n := int(seg[5])
	if d.Height == 0 || d.Width == 0 || n != 1 && n != 3 || len(seg) != 6+3*n {
		return false
	}
	d.comps = slices.Grow(d.comps, 3)[:n]
	for i := range d.comps {
		s := seg[6+3*i:]
		c := &d.comps[i]
		c.id, c.h, c.v = int(s[0]), int(s[1]>>4), int(s[1]&15)
		switch {
		case n == 1:
			c.h, c.v = 1, 1 // a scan of one component has its blocks in rows
		case i == 0 && (c.h < 1 || c.h > 2 || c.v < 1 || c.v > 2), i > 0 && (c.h != 1 || c.v != 1), s[2] > 3:
			return false
		}
		if s[2] > 3 {
			return false
		}
		c.quant = &d.quant[s[2]]
	}
	d.hmax, d.vmax = d.comps[0].h, d.comps[0].v
	return n == 1 || d.comps[0].id != d.comps[1].id && d.comps[0].id != d.comps[2].id && d.comps[1].id != d.comps[2].id
}

func (d *Decoder) scan(seg []byte) bool {
	n := len(d.comps)
	if n == 0 || len(seg) != 4+2*n || int(seg[0]) != n || seg[1+2*n] != 0 || seg[2+2*n] != 63 || seg[3+2*n] != 0 {
		return false
	}
	for i := range d.comps {
		c := &d.comps[i]
		dc, ac := seg[2+2*i]>>4, seg[2+2*i]&15
		if int(seg[1+2*i]) != c.id || dc > 3 || ac > 3 {
			return false
		}
		c.dc, c.ac = &d.huff[0][dc], &d.huff[1][ac]
		if !c.dc.ok || !c.ac.ok || c.quant[0] == 0 {
			return false
		}
	}
	return true
}

// Decode returns the pixels of a part of the picture, an *image.Gray or an
// *image.NRGBA with these bounds. They are the decoder's until the next Open.
// All of the data is read, whatever the part; ok is false where image/jpeg is to
// judge it. A picture can be decoded once.
func (d *Decoder) Decode(part image.Rectangle) (im image.Image, ok bool) {
	part = part.Intersect(image.Rect(0, 0, d.Width, d.Height))
	if part.Empty() {
		return nil, false
	}
	columns, rows := up(d.Width, 8*d.hmax), up(d.Height, 8*d.vmax)
	for i := range d.comps {
		c := &d.comps[i]
		sx, sy := d.hmax/c.h, d.vmax/c.v
		c.width, c.height = up(d.Width, sx), up(d.Height, sy)
		c.stride = columns * c.h * 8
		c.pix = grown(c.pix, c.stride*rows*c.v*8)
		c.x0, c.x1 = max(part.Min.X/sx-1, 0)/8, up(up(part.Max.X, sx)+1, 8)
		c.y0, c.y1 = max(part.Min.Y/sy-1, 0)/8, up(up(part.Max.Y, sy)+1, 8)
	}
	if !d.blocks(columns, rows) {
		return nil, false
	}
	w, h := part.Dx(), part.Dy()
	if len(d.comps) == 1 {
		c := &d.comps[0]
		d.gray = image.Gray{Pix: c.pix[part.Min.Y*c.stride+part.Min.X:], Stride: c.stride, Rect: part}
		return &d.gray, true
	}
	d.rgb = image.NRGBA{Pix: grown(d.rgb.Pix, 4*w*h), Stride: 4 * w, Rect: part}
	c0, c1 := part.Min.X/d.hmax, up(part.Max.X, d.hmax)
	d.line = grown(d.line, (c1-c0)*d.hmax)
	d.sums = grown(d.sums, c1-c0+2)
	luma := &d.comps[0]
	for y := range h {
		d.colours(part.Min.Y+y, c0, c1)
		convert(d.rgb.Pix[4*w*y:4*w*(y+1)], luma.pix[(part.Min.Y+y)*luma.stride+part.Min.X:], d.line[part.Min.X-c0*d.hmax:])
	}
	return &d.rgb, true
}

func up(n, by int) int { return (n + by - 1) / by }

func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// blocks decodes the data into the components' planes.
func (d *Decoder) blocks(columns, rows int) bool {
	d.restart()
	number := 0
	for my := range rows {
		for mx := range columns {
			if d.every > 0 && number > 0 && number%d.every == 0 {
				if m, ok := d.end(); !ok || m != 0xd0+byte((number/d.every-1)&7) {
					return false
				}
				d.restart()
			}
			number++
			for i := range d.comps {
				c := &d.comps[i]
				for v := range c.v {
					for h := range c.h {
						set, ok := d.block(c)
						if !ok {
							return false
						}
						bx, by := mx*c.h+h, my*c.v+v
						if bx >= c.x0 && bx < c.x1 && by >= c.y0 && by < c.y1 {
							idct(c.pix[by*8*c.stride+bx*8:], c.stride, &d.coef, set)
						}
						if set&^1 != 0 {
							d.coef = [64]int32{}
						}
					}
				}
			}
		}
	}
	m, ok := d.end()
	return ok && m == 0xd9
}

func (d *Decoder) restart() {
	d.acc, d.n, d.past = 0, 0, 0
	for i := range d.comps {
		d.comps[i].last = 0
	}
}

// end reads the marker behind the bits. All bits must have been there, and no
// whole byte may be left over.
func (d *Decoder) end() (byte, bool) {
	if left := d.n - d.past; left < 0 || left >= 8 {
		return 0, false
	}
	return d.marker()
}

// colours fills the line with the colours of row y for the samples [c0, c1) of
// the colour planes, enlarged as libjpeg-turbo's h2v2_fancy_upsample and its
// sisters do: three parts of the nearer sample and one of the farther along each
// axis, with the rounding up and down by turns.
func (d *Decoder) colours(y, c0, c1 int) {
	blue, red := &d.comps[1], &d.comps[2]
	fancy := d.hmax == 1 || blue.width > 2
	row := y / d.vmax
	other := row
	if d.vmax == 2 && fancy {
		other = min(max(row-1+y%2*2, 0), blue.height-1)
	}
	lo, hi := max(c0-1, 0), min(c1+1, blue.width)
	near := d.sums[lo-c0+1 : hi-c0+1]
	b0, r0 := blue.pix[row*blue.stride+lo:], red.pix[row*red.stride+lo:]
	b0, r0 = b0[:len(near)], r0[:len(near)]
	const one = 1<<16 | 1
	switch {
	case d.vmax == 1 || !fancy:
		for i := range near {
			near[i] = uint32(b0[i]) | uint32(r0[i])<<16
		}
	default:
		b1, r1 := blue.pix[other*blue.stride+lo:], red.pix[other*red.stride+lo:]
		b1, r1 = b1[:len(near)], r1[:len(near)]
		for i := range near {
			near[i] = 3*(uint32(b0[i])|uint32(r0[i])<<16) + uint32(b1[i]) + uint32(r1[i])<<16
		}
	}
	if d.hmax == 1 {
		s := d.sums[1:]
		line := d.line[:c1-c0]
		if d.vmax == 1 {
			copy(line, s)
			return
		}
		bias := uint32(one) << (y % 2)
		for i := range line {
			line[i] = (s[i] + bias) >> 2 & (255 * one)
		}
		return
	}
	if lo == c0 {
		d.sums[0] = d.sums[1]
	}
	if hi == c1 {
		d.sums[c1-c0+1] = d.sums[c1-c0]
	}
	first, second, shift := uint32(one), uint32(2*one), 2
	switch {
	case !fancy:
		for i, s := range d.sums[1 : c1-c0+1] {
			d.line[2*i], d.line[2*i+1] = s, s
		}
		return
	case d.vmax == 2:
		first, second, shift = 8*one, 7*one, 4
	}
	before, at := d.sums[0], d.sums[1]
	line := d.line[:2*(c1-c0)]
	for i, after := range d.sums[2 : c1-c0+2] {
		three := 3 * at
		line[2*i] = (three + before + first) >> shift & (255 * one)
		line[2*i+1] = (three + after + second) >> shift & (255 * one)
		before, at = at, after
	}
}

// convert makes RGB of a row, with the 16-bit fractions of libjpeg's jdcolor.
func convert(dst []byte, luma []byte, colour []uint32) {
	n := len(dst) / 4
	luma, colour = luma[:n], colour[:n]
	for i, c := range colour {
		y := int32(luma[i])<<16 + 1<<15
		b, r := int32(c&0xffff)-128, int32(c>>16)-128
		red := clamped[uint32(y+91881*r)>>16&1023]
		green := clamped[uint32(y-22554*b-46802*r)>>16&1023]
		blue := clamped[uint32(y+116130*b)>>16&1023]
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(red)|uint32(green)<<8|uint32(blue)<<16|0xff000000)
	}
}

// clamped is the byte nearest to each number of ten bits with a sign.
var clamped = func() (t [1024]byte) {
	for v := -512; v < 512; v++ {
		t[v&1023] = byte(min(max(v, 0), 255))
	}
	return
}()
