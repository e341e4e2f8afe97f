package jpeg

import (
	"fmt"
	"math/bits"
)

// ones multiply the coefficients that are kept until all scans are read.
var ones = func() (t [64]int32) {
	for i := range t {
		t[i] = 1
	}
	return
}()

// maxScans bounds the time that a small file can take: a scan of a few bytes goes
// through the whole image. As many are the most that cjpeg writes.
const maxScans = 100

// several decodes an image of several scans: it keeps the coefficients until the
// last.
func (d *Decoder) several() error {
	for i := range d.comps {
		c := &d.comps[i]
		c.coefs = grown(d.keep[i], 64*c.columns*c.rows)
		d.keep[i] = c.coefs
		clear(c.coefs)
		for k := range c.bits {
			c.bits[k] = -1
		}
	}
	for {
		if d.scans++; d.scans > maxScans {
			return fmt.Errorf("JPEG of more than %d scans", maxScans)
		}
		err := d.begin()
		if err == nil {
			err = d.layer()
		}
		if err == nil {
			err = d.doubt()
		}
		if err != nil {
			return err
		}
		marker, err := d.segments()
		if err != nil {
			return err
		}
		if marker == eoi {
			break
		}
	}
	if d.scans == 1 {
		for i := range d.comps {
			for k := range d.comps[i].before {
				d.comps[i].before[k] = -1
			}
		}
	}
	smooths := d.smooths()
	for i := range d.comps {
		c := &d.comps[i]
		for y := c.y0; y < min(c.y1, up(c.height, 8)); y++ {
			for x := c.x0; x < min(c.x1, up(c.width, 8)); x++ {
				b := *c.kept(x, y)
				if smooths {
					d.smooth(c, x, y, &b)
				}
				set, size := uint64(1), int64(0)
				for k, v := range b {
					if v != 0 {
						p := int32(v) * c.quant[k]
						d.coef[k] = p
						size += abs(p)
						set |= 1 << k
					}
				}
				d.samples(c, x, y, set, size)
			}
		}
	}
	return nil
}

func (c *component) kept(x, y int) *[64]int16 {
	return (*[64]int16)(c.coefs[64*(y*c.columns+x):])
}

// layer reads a scan into the coefficients.
func (d *Decoder) layer() error {
	if d.progressive {
		if err := d.steps(); err != nil {
			return err
		}
	}
	columns, rows := up(d.Width, 8*d.hmax), up(d.Height, 8*d.vmax)
	alone := len(d.scan) == 1
	if c := d.scan[0]; alone {
		columns, rows = up(c.width, 8), up(c.height, 8)
	}
	for y := range rows {
		for x := range columns {
			if !d.short {
				if d.good = y; alone {
					d.good = y / d.scan[0].v
				}
			}
			if err := d.mcu(); err != nil {
				return err
			}
			if d.short {
				if d.every == 0 {
					return nil
				}
				continue
			}
			for _, c := range d.scan {
				if alone {
					d.add(c, c.kept(x, y))
					continue
				}
				for v := range c.v {
					for h := range c.h {
						d.add(c, c.kept(x*c.h+h, y*c.v+v))
					}
				}
			}
			d.short = d.n < d.past
		}
	}
	return nil
}

// steps checks that a progressive scan is one, and notes what it tells.
func (d *Decoder) steps() error {
	if d.from == 0 && d.to != 0 || d.from > 0 && (d.from > d.to || d.to > 63 || len(d.scan) > 1) || d.high > 0 && d.low != d.high-1 || d.low > 13 {
		return fmt.Errorf("progressive JPEG with a scan of %d components for the coefficients %d to %d and the bits %d to %d, which there is not", len(d.scan), d.from, d.to, d.high, d.low)
	}
	for _, c := range d.scan {
		for k := min(d.from, 1); k < lowest; k++ {
			c.before[k] = 0
			if d.scans > 1 {
				c.before[k] = c.bits[k]
			}
			if k >= d.from && k <= d.to {
				c.bits[k] = int8(d.low)
			}
		}
	}
	return nil
}

// add decodes what a scan has for a block.
func (d *Decoder) add(c *component, b *[64]int16) {
	switch {
	case !d.progressive:
		set, _ := d.block(c)
		for ; set != 0; set &= set - 1 {
			z := bits.TrailingZeros64(set)
			b[z] = int16(d.coef[z])
		}
		d.coef = [64]int32{}
	case d.from == 0 && d.high == 0:
		if size := int(d.symbol(c.dc)); size > 0 {
			c.last += extend(d.take(size), size)
		}
		b[0] = int16(c.last << d.low)
	case d.from == 0:
		b[0] |= int16(d.take(1) << d.low)
	case d.high == 0:
		d.first(c.ac, b)
	default:
		d.refine(c.ac, b)
	}
}

// symbol reads a code's value. It leaves at least 15 bits.
func (d *Decoder) symbol(h *huffman) byte {
	if d.n < 32 {
		d.acc, d.n = d.fill(d.acc, d.n)
	}
	v, bits := h.next(d.acc)
	d.acc <<= bits
	d.n -= bits
	return v
}

// take reads 1 to 15 bits.
func (d *Decoder) take(bits int) int32 {
	if d.n < 16 {
		d.acc, d.n = d.fill(d.acc, d.n)
	}
	v := int32(d.acc >> (64 - bits))
	d.acc <<= bits
	d.n -= bits
	return v
}

// first reads the upper bits of a block's coefficients.
func (d *Decoder) first(h *huffman, b *[64]int16) {
	if d.run > 0 {
		d.run--
		return
	}
	for k := d.from; k <= d.to; k++ {
		v := d.symbol(h)
		run, size := int(v>>4), int(v&15)
		switch {
		case size > 0:
			k += run
			b[zigzag[k&127]] = int16(extend(d.take(size), size) << d.low)
		case run == 15:
			k += 15
		default:
			d.run = d.blocks(run) - 1
			return
		}
	}
}

// blocks reads for how many blocks, this one first, there is nothing more.
func (d *Decoder) blocks(size int) int {
	n := 1 << size
	if size > 0 {
		n += int(d.take(size))
	}
	return n
}

// refine reads a further bit of a block's coefficients, and those that begin with
// it.
func (d *Decoder) refine(h *huffman, b *[64]int16) {
	plus, minus := int16(1)<<d.low, int16(-1)<<d.low
	// correct reads whether the coefficient, which is not 0, has the bit.
	correct := func(p *int16) {
		if d.take(1) != 0 && *p&plus == 0 {
			if *p >= 0 {
				*p += plus
			} else {
				*p += minus
			}
		}
	}
	k := d.from
	if d.run == 0 {
		for ; k <= d.to; k++ {
			v := d.symbol(h)
			run, value := int(v>>4), int16(0)
			if v&15 != 0 {
				value = minus
				if d.take(1) != 0 {
					value = plus
				}
			} else if run != 15 {
				d.run = d.blocks(run)
				break
			}
			for {
				if p := &b[zigzag[k&127]]; *p != 0 {
					correct(p)
				} else if run--; run < 0 {
					break
				}
				if k++; k > d.to {
					break
				}
			}
			if value != 0 {
				b[zigzag[k&127]] = value
			}
		}
	}
	if d.run > 0 {
		for ; k <= d.to; k++ {
			if p := &b[zigzag[k&127]]; *p != 0 {
				correct(p)
			}
		}
		d.run--
	}
}
