package jpeg

import "encoding/binary"

// peek is how many bits the tables look at at once.
const peek = 10

type huffman struct {
	ok     bool
	values [256]byte
	// code says for the next bits which code begins them: its length, and its
	// value above that. 0 is a longer code.
	code [1 << peek]uint16
	// whole says the same together with the bits that follow the code: how many
	// bits there are in all, from bit 8 on the zeros before the coefficient, and
	// from bit 16 on the coefficient. 0 means that they are not all in sight.
	whole [1 << peek]int32
	limit [17]int32 // first number of as many bits that is no code
	index [17]int32 // of a code's value, less the code
}

// huffmans reads tables and makes what block looks up.
func (d *Decoder) huffmans(seg []byte) bool {
	for len(seg) > 0 {
		if len(seg) < 17 || seg[0]&15 > 3 || seg[0]>>4 > 1 {
			return false
		}
		class := seg[0] >> 4
		h := &d.huff[class][seg[0]&15]
		counts := seg[1:17]
		n := 0
		for _, c := range counts {
			n += int(c)
		}
		if n > 256 || len(seg) < 17+n {
			return false
		}
		*h = huffman{ok: true}
		copy(h.values[:], seg[17:17+n])
		code, k := 0, 0
		for bits := 1; bits <= 16; bits++ {
			h.index[bits] = int32(k - code)
			for range counts[bits-1] {
				v := h.values[k]
				size := int(v & 15)
				if class == 0 && v > 11 || class == 1 && (size > 10 || size == 0 && v != 0 && v != 0xf0) {
					return false
				}
				if bits <= peek {
					first := code << (peek - bits)
					if first+1<<(peek-bits) > 1<<peek {
						return false
					}
					for i := range 1 << (peek - bits) {
						h.code[first+i] = uint16(v)<<8 | uint16(bits)
						if rest := peek - bits - size; rest >= 0 && size > 0 && class == 1 {
							h.whole[first+i] = extend(int32(i>>rest), size)<<16 | int32(v>>4)<<8 | int32(bits+size)
						}
					}
				}
				code++
				k++
			}
			if code > 1<<bits {
				return false
			}
			h.limit[bits] = int32(code)
			code <<= 1
		}
		seg = seg[17+n:]
	}
	return true
}

// extend gives size bits their sign: those that begin with 0 are negative.
func extend(v int32, size int) int32 {
	if v < 1<<(size-1) {
		return v - 1<<size + 1
	}
	return v
}

// zigzag is where each coefficient belongs; a run may lead beyond the last.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// block decodes the coefficients of a block and multiplies them out. Bit i of
// set is on if coef[i] may not be 0.
func (d *Decoder) block(c *component) (set uint64, ok bool) {
	acc, n := d.acc, d.n
	if n < 32 {
		acc, n = d.fill(acc, n)
	}
	v, bits := c.dc.next(acc)
	if bits == 0 {
		return 0, false
	}
	acc <<= bits
	n -= bits
	if v > 0 {
		size := int(v)
		c.last += extend(int32(acc>>(64-size)), size)
		acc <<= size
		n -= size
	}
	quant, ac := c.quant, c.ac
	d.coef[0] = c.last * quant[0]
	set = 1
	for k := 1; k < 64; k++ {
		if n < 32 {
			// As fill does, where the next eight bytes hold no 0xff.
			if d.at+8 <= len(d.data) {
				w := binary.BigEndian.Uint64(d.data[d.at:])
				if (^w-0x0101010101010101)&w&0x8080808080808080 == 0 {
					acc |= w >> n
					d.at += (63 - n) >> 3
					n |= 56
				} else {
					acc, n = d.fill(acc, n)
				}
			} else {
				acc, n = d.fill(acc, n)
			}
		}
		var value int32
		if e := ac.whole[acc>>(64-peek)]; e != 0 {
			acc <<= e & 31
			n -= int(e & 31)
			k += int(e >> 8 & 15)
			value = e >> 16
		} else {
			v, bits := ac.next(acc)
			if bits == 0 {
				return 0, false
			}
			acc <<= bits
			n -= bits
			size := int(v & 15)
			if size == 0 {
				if v == 0 {
					break
				}
				k += 15
				continue
			}
			k += int(v >> 4)
			value = extend(int32(acc>>(64-size)), size)
			acc <<= size
			n -= size
		}
		if k > 63 {
			return 0, false
		}
		z := zigzag[k&63] & 63
		d.coef[z] = value * quant[k&63]
		set |= 1 << z
	}
	d.acc, d.n = acc, n
	return set, true
}

// next returns the value of the code that the bits begin with, and its length,
// which is 0 where they begin with no code.
func (h *huffman) next(acc uint64) (v byte, bits int) {
	if e := h.code[acc>>(64-peek)]; e != 0 {
		return byte(e >> 8), int(e & 255)
	}
	for bits := peek + 1; bits <= 16; bits++ {
		if code := int32(acc >> (64 - bits)); code < h.limit[bits] {
			if k := code + h.index[bits]; k >= 0 && k < 256 {
				return h.values[k], bits
			}
			return 0, 0
		}
	}
	return 0, 0
}

// fill adds bits until there are more than 56. A 0xff in the data is followed by
// a 0 that does not count; what else follows it is a marker, which ends the bits:
// zeros come behind.
func (d *Decoder) fill(acc uint64, n int) (uint64, int) {
	for n <= 56 {
		b := byte(0)
		switch {
		case d.at < len(d.data) && d.data[d.at] != 0xff:
			b = d.data[d.at]
			d.at++
		case d.at+1 < len(d.data) && d.data[d.at+1] == 0:
			b = 0xff
			d.at += 2
		default:
			d.past += 8
		}
		acc |= uint64(b) << (56 - n)
		n += 8
	}
	return acc, n
}
