// Package jpeg decodes JPEGs to the pixels that libjpeg-turbo makes of them with
// its defaults, which are those of PIL's Image.open(f).convert("RGB"): sequential
// and progressive ones with Huffman codes, 8 bits, gray, YCbCr, RGB, CMYK or YCCK,
// in any number of scans and with any sampling that libjpeg takes. Damaged data
// decodes to libjpeg's pixels too, or is an error, as all is that libjpeg refuses.
// What decoding does not need (EXIF, profiles, thumbnails) is not looked at, so
// damage there is no error, though PIL may refuse it.
//
// Errors where PIL has pixels: arithmetic coding, lossless ones, more than 100
// scans, and files that end before a marker or have less data than their size
// takes.
package jpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"slices"
)

// Decoder decodes images one after the other in the same memory.
type Decoder struct {
	Width, Height int

	picture
	huff [2][4]huffman

	// Memory, of which nothing is read that the image did not write.
	pix  [4][]byte // of the components
	coef [64]int32 // of a block, zero between two
	keep [4][]int16
	line [4][]uint32
	wide [4][]byte
	sums []uint32
	gray image.Gray
	rgb  image.NRGBA
}

// image is what one file says. Open begins with an empty one.
type picture struct {
	data []byte
	at   int // next byte of data

	progressive bool
	jfif        bool
	adobe       int // the transform, -1 without
	colours     colours
	comps       []component
	memory      [4]component
	hmax        int // most samples of a component along each axis
	vmax        int
	quant       [4]quant
	specs       [2][4]spec
	every       int // MCUs between restarts, 0 without

	// Of the scan.
	scan      []*component
	scanned   [4]*component
	from, to  int // coefficients
	high, low int // bits
	togo      int // MCUs before the next restart
	restarts  int
	run       int // blocks for which a progressive scan has nothing
	scans     int
	good      int  // the last row of MCUs that has data
	short     bool // the data ended before what it is of did
	unclear   bool // the data has what libjpeg reads in two ways
	acc       uint64
	n         int // bits in acc, the next on top
	past      int // those of them that lie behind the end of the data
}

type quant struct {
	given  bool
	values [64]int32 // from left to right and down
}

// colours is how the components make colours.
type colours int

const (
	plain colours = iota // each is one: gray, RGB or CMYK
	ycc
	ycck
)

type component struct {
	id, h, v int
	table    int
	tables   [2]int // of Huffman codes, for DC and AC
	latched  bool   // whether quant holds the table
	quant    [64]int32
	scale    *[64]int32 // what block multiplies with
	dc, ac   *huffman
	last     int32        // DC coefficient of the block before
	bits     [lowest]int8 // of a progressive one: the lowest bit that is known of a coefficient, or -1
	before   [lowest]int8 // as they were before the last scan
	width    int          // in samples
	height   int
	columns  int // of blocks, with those behind the edge that fill an MCU
	rows     int
	stride   int
	pix      []byte
	coefs    []int16
	x0, x1   int // blocks that are wanted
	y0, y1   int
}

// Is says whether a file is a JPEG, by its first bytes.
func Is(data []byte) bool {
	return len(data) >= 3 && string(data[:3]) == "\xff\xd8\xff"
}

// Open reads the header of a JPEG. data may not change until the image is
// decoded.
func (d *Decoder) Open(data []byte) error {
	d.picture = picture{data: data, at: 2, adobe: -1}
	d.coef = [64]int32{}
	d.Width, d.Height = 0, 0
	if !Is(data) {
		return errors.New("no JPEG, which would begin with ff d8 ff")
	}
	for {
		marker, err := d.segments()
		if err != nil {
			return err
		}
		if marker == sos {
			break
		}
		// Tables alone may stand before the image, as a file of their own.
		if len(d.comps) > 0 || d.at+2 > len(data) || data[d.at] != 0xff || data[d.at+1] != 0xd8 {
			return errors.New("JPEG without a scan (SOS)")
		}
		d.at += 2
		d.jfif, d.adobe, d.every = false, -1, 0
	}
	return d.setup()
}

// setup makes what the frame says into what the decoder works with.
func (d *Decoder) setup() error {
	if d.Width > 65500 || d.Height > 65500 {
		return fmt.Errorf("JPEG of %d×%d pixels, want at most 65500 a side", d.Width, d.Height)
	}
	n := len(d.comps)
	d.hmax, d.vmax = 1, 1
	for i := range d.comps {
		c := &d.comps[i]
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("JPEG whose component %d has the sampling factors %d×%d, want 1 to 4", i, c.h, c.v)
		}
		if n == 1 {
			c.h, c.v = 1, 1 // a scan of one component has its blocks in rows
		}
		d.hmax, d.vmax = max(d.hmax, c.h), max(d.vmax, c.v)
	}
	columns, rows := up(d.Width, 8*d.hmax), up(d.Height, 8*d.vmax)
	blocks := 0
	for i := range d.comps {
		c := &d.comps[i]
		if d.hmax%c.h != 0 || d.vmax%c.v != 0 {
			return fmt.Errorf("JPEG whose component %d has the sampling factors %d×%d of %d×%d, want factors that divide those", i, c.h, c.v, d.hmax, d.vmax)
		}
		c.width, c.height = up(d.Width, d.hmax/c.h), up(d.Height, d.vmax/c.v)
		c.columns, c.rows = columns*c.h, rows*c.v
		c.stride = c.columns * 8
		blocks += up(c.width, 8) * up(c.height, 8)
	}
	// A block is a bit at least. So a small file cannot ask for much memory.
	if len(d.data) < blocks/8 {
		return fmt.Errorf("JPEG of %d×%d pixels in %d bytes: %w", d.Width, d.Height, len(d.data), errCut)
	}
	id := func(a, b, c int) bool { return d.comps[0].id == a && d.comps[1].id == b && d.comps[2].id == c }
	switch {
	case n == 3 && (d.jfif || d.adobe > 0 || d.adobe < 0 && !id('R', 'G', 'B')):
		d.colours = ycc
	case n == 4 && d.adobe > 0:
		d.colours = ycck
	}
	return nil
}

// Decode returns the pixels of a part of the image, an *image.Gray or an
// *image.NRGBA with these bounds. They are the decoder's until the next Open. All
// of the data is read, whatever the part. An image can be decoded once.
func (d *Decoder) Decode(part image.Rectangle) (image.Image, error) {
	part = part.Intersect(image.Rect(0, 0, d.Width, d.Height))
	if part.Empty() || len(d.scan) == 0 {
		return nil, fmt.Errorf("no pixels of a JPEG of %d×%d, or decoded before", d.Width, d.Height)
	}
	for i := range d.comps {
		c := &d.comps[i]
		sx, sy := d.hmax/c.h, d.vmax/c.v
		c.pix = grown(d.pix[i], c.stride*c.rows*8)
		d.pix[i] = c.pix
		c.x0, c.x1 = max(part.Min.X/sx-1, 0)/8, up(up(part.Max.X, sx)+1, 8)
		c.y0, c.y1 = max(part.Min.Y/sy-1, 0)/8, up(up(part.Max.Y, sy)+1, 8)
	}
	var err error
	if d.progressive || len(d.scan) < len(d.comps) {
		err = d.several()
	} else {
		err = d.single()
	}
	d.scan = nil
	if err != nil {
		return nil, err
	}
	w, h := part.Dx(), part.Dy()
	luma := &d.comps[0]
	if len(d.comps) == 1 {
		d.gray = image.Gray{Pix: luma.pix[part.Min.Y*luma.stride+part.Min.X:], Stride: luma.stride, Rect: part}
		return &d.gray, nil
	}
	d.rgb = image.NRGBA{Pix: grown(d.rgb.Pix, 4*w*h), Stride: 4 * w, Rect: part}
	blue, red := &d.comps[1], &d.comps[2]
	usual := d.colours == ycc && luma.h == d.hmax && luma.v == d.vmax && blue.h == red.h && blue.v == red.v
	for y := range h {
		dst, y := d.rgb.Pix[4*w*y:4*w*(y+1)], part.Min.Y+y
		if usual {
			convert(dst, luma.pix[y*luma.stride+part.Min.X:], d.enlarge(1, 2, y, part.Min.X, part.Max.X))
			continue
		}
		var rows [4][]byte
		for i := range d.comps {
			rows[i] = d.row(i, y, part.Min.X, part.Max.X)
		}
		d.mix(dst, rows)
	}
	return &d.rgb, nil
}

func up(n, by int) int { return (n + by - 1) / by }

func grown[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// single decodes the data of an image of one scan into the components' planes.
func (d *Decoder) single() error {
	if err := d.begin(); err != nil {
		return err
	}
	columns, rows := up(d.Width, 8*d.hmax), up(d.Height, 8*d.vmax)
	for my := range rows {
		for mx := range columns {
			if err := d.mcu(); err != nil {
				return err
			}
			for _, c := range d.scan {
				for v := range c.v {
					for h := range c.h {
						// Behind the end all is gray.
						set, size := uint64(1), int64(0)
						if !d.short {
							set, size = d.block(c)
						}
						d.samples(c, mx*c.h+h, my*c.v+v, set, size)
					}
				}
			}
			d.short = d.short || d.n < d.past
		}
	}
	if err := d.doubt(); err != nil {
		return err
	}
	// libjpeg reads ahead by eight bytes at most, and PIL refuses what ends there.
	left := len(d.data) - d.at + (d.n-d.past)/8
	if _, ok := d.marker(); !ok {
		if left <= 8 {
			return errCut
		}
		return nil
	}
	d.at -= 2
	// The pixels are complete, so the file may end here, but not go on otherwise.
	marker, err := d.segments()
	if errors.Is(err, errCut) {
		return nil
	}
	if marker == sos {
		return errors.New("JPEG with a second scan of what is complete")
	}
	return err
}

// samples makes the samples of the block in coef, if it is wanted, and clears it.
func (d *Decoder) samples(c *component, x, y int, set uint64, size int64) {
	if x >= c.x0 && x < c.x1 && y >= c.y0 && y < c.y1 {
		dst := c.pix[y*8*c.stride+x*8:]
		if size > exact {
			idct16(dst, c.stride, &d.coef, set)
		} else {
			idct(dst, c.stride, &d.coef, set)
		}
	}
	if set == 1 {
		d.coef[0] = 0
	} else {
		d.coef = [64]int32{}
	}
}

// row returns the samples [x0, x1) of row y of component i, enlarged.
func (d *Decoder) row(i, y, x0, x1 int) []byte {
	c := &d.comps[i]
	if c.h == d.hmax && c.v == d.vmax {
		return c.pix[y*c.stride+x0:][:x1-x0]
	}
	d.wide[i] = grown(d.wide[i], x1-x0)
	for x, s := range d.enlarge(i, i, y, x0, x1) {
		d.wide[i][x] = byte(s)
	}
	return d.wide[i]
}

// enlarge returns the samples [x0, x1) of row y of two components of the same
// size, a's in the low halves and b's in the high ones, enlarged as
// libjpeg-turbo's h2v2_fancy_upsample and its sisters do: three parts of the
// nearer sample and one of the farther along each axis that is halved, with the
// rounding up and down by turns. Samples at other distances are repeated.
func (d *Decoder) enlarge(a, b, y, x0, x1 int) []uint32 {
	blue, red := &d.comps[a], &d.comps[b]
	sx, sy := d.hmax/blue.h, d.vmax/blue.v
	c0, c1 := x0/sx, up(x1, sx)
	d.line[a] = grown(d.line[a], (c1-c0)*sx)
	line := d.line[a]
	out := line[x0-c0*sx:][:x1-x0]
	d.sums = grown(d.sums, c1-c0+2)
	fancy := sx <= 2 && sy <= 2 && (sx == 1 || blue.width > 2)
	row := y / sy
	lo, hi := max(c0-1, 0), min(c1+1, blue.width)
	near := d.sums[lo-c0+1 : hi-c0+1]
	b0, r0 := blue.pix[row*blue.stride+lo:], red.pix[row*red.stride+lo:]
	b0, r0 = b0[:len(near)], r0[:len(near)]
	const one = 1<<16 | 1
	if sy == 2 && fancy {
		other := min(max(row-1+y%2*2, 0), blue.height-1)
		b1, r1 := blue.pix[other*blue.stride+lo:], red.pix[other*red.stride+lo:]
		b1, r1 = b1[:len(near)], r1[:len(near)]
		for i := range near {
			near[i] = 3*(uint32(b0[i])|uint32(r0[i])<<16) + uint32(b1[i]) + uint32(r1[i])<<16
		}
	} else {
		for i := range near {
			near[i] = uint32(b0[i]) | uint32(r0[i])<<16
		}
	}
	s := d.sums[1 : c1-c0+1]
	switch {
	case !fancy:
		for i, s := range s {
			for k := range sx {
				line[sx*i+k] = s
			}
		}
		return out
	case sx == 1 && sy == 1:
		copy(line, s)
		return out
	case sx == 1:
		bias := uint32(one) << (y % 2)
		for i := range line {
			line[i] = (s[i] + bias) >> 2 & (255 * one)
		}
		return out
	}
	if lo == c0 {
		d.sums[0] = d.sums[1]
	}
	if hi == c1 {
		d.sums[c1-c0+1] = d.sums[c1-c0]
	}
	first, second, shift := uint32(one), uint32(2*one), 2
	if sy == 2 {
		first, second, shift = 8*one, 7*one, 4
	}
	before, at := d.sums[0], d.sums[1]
	line = line[:2*(c1-c0)]
	for i, after := range d.sums[2 : c1-c0+2] {
		three := 3 * at
		line[2*i] = (three + before + first) >> shift & (255 * one)
		line[2*i+1] = (three + after + second) >> shift & (255 * one)
		before, at = at, after
	}
	return out
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

// mix makes RGB of the components' rows.
func (d *Decoder) mix(dst []byte, r [4][]byte) {
	n := len(dst) / 4
	if d.colours == plain {
		for i := range n {
			dst[4*i], dst[4*i+1], dst[4*i+2], dst[4*i+3] = r[0][i], r[1][i], r[2][i], 255
		}
	} else {
		d.line[1] = grown(d.line[1], n)
		line := d.line[1]
		for i := range line {
			line[i] = uint32(r[1][i]) | uint32(r[2][i])<<16
		}
		convert(dst, r[0], line)
	}
	if len(d.comps) < 4 {
		return
	}
	// Files of four components hold ink the other way round, as Adobe's do: PIL
	// takes them so. What is left of black's light is what the other inks take of.
	for i := range n {
		p, k := dst[4*i:4*i+3], int(r[3][i])
		for j := range p {
			ink := int(p[j])
			if d.colours == plain {
				ink = 255 - ink
			}
			t := ink*k + 128
			p[j] = byte(max(k-(t>>8+t)>>8, 0))
		}
	}
}

// clamped is the byte nearest to each number of ten bits with a sign.
var clamped = func() (t [1024]byte) {
	for v := -512; v < 512; v++ {
		t[v&1023] = byte(min(max(v, 0), 255))
	}
	return
}()
