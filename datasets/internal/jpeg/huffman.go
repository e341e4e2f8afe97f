package jpeg

import (
	"encoding/binary"
	"fmt"
)

// peek is how many bits the tables look at at once.
const peek = 10

// spec is a table as it stands in the file.
type spec struct {
	given  bool
	built  bool // whether the decoder's table is made of it
	counts [16]byte
	values [256]byte
}

type huffman struct {
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

// huffmans reads tables.
func (d *Decoder) huffmans(seg []byte) error {
	for len(seg) > 0 {
		if len(seg) < 17 || seg[0]&15 > 3 || seg[0]>>4 > 1 {
			return fmt.Errorf("JPEG with a Huffman table (DHT) that begins with %#x in %d bytes, want the number 0 to 3 of a table for DC, or 0x10 to 0x13 for AC, and at least 17 bytes", seg[0], len(seg))
		}
		s := &d.specs[seg[0]>>4][seg[0]&15]
		n := 0
		for _, c := range seg[1:17] {
			n += int(c)
		}
		if n > 256 || len(seg) < 17+n {
			return fmt.Errorf("JPEG with a Huffman table (DHT) of %d codes in %d bytes, want at most 256, in as many bytes", n, len(seg)-17)
		}
		*s = spec{given: true}
		copy(s.counts[:], seg[1:17])
		copy(s.values[:], seg[17:17+n])
		seg = seg[17+n:]
	}
	return nil
}

// table returns the table of a class, 0 for DC and 1 for AC.
func (d *Decoder) table(class, number int) (*huffman, error) {
	if number > 3 || !d.specs[class][number].given {
		return nil, fmt.Errorf("JPEG with a scan that uses the Huffman table %d (%s), which it does not define", number, [...]string{"DC", "AC"}[class])
	}
	s, h := &d.specs[class][number], &d.huff[class][number]
	if s.built {
		return h, nil
	}
	*h = huffman{values: s.values}
	code, k := 0, 0
	for bits := 1; bits <= 16; bits++ {
		h.index[bits] = int32(k - code)
		count := int(s.counts[bits-1])
		// No code may be all ones.
		if count > 0 && code+count >= 1<<bits {
			return nil, fmt.Errorf("JPEG with a Huffman table that has more codes of %d bits than there are", bits)
		}
		for range count {
			v := h.values[k]
			size := int(v & 15)
			if class == 0 && v > 15 {
				return nil, fmt.Errorf("JPEG with a Huffman table for DC whose numbers have %d bits, want at most 15", v)
			}
			if bits <= peek {
				first := code << (peek - bits)
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
		h.limit[bits] = int32(code)
		code <<= 1
	}
	s.built = true
	return h, nil
}

// extend gives size bits their sign: those that begin with 0 are negative.
func extend(v int32, size int) int32 {
	if v < 1<<(size-1) {
		return v - 1<<size + 1
	}
	return v
}

// zigzag is where each coefficient belongs. A run in damaged data may lead
// beyond the last, which then is the one.
var zigzag = [128]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
}

// block decodes the coefficients of a block of a sequential scan and multiplies
// them out. Bit i of set is on if coef[i] may not be 0, and size is at least the
// sum of what they are without their signs.
//
// Nothing in the data is an error: a code that is none stands for 0, as in
// libjpeg.
func (d *Decoder) block(c *component) (set uint64, size int64) {
	acc, n := d.acc, d.n
	if n < 32 {
		acc, n = d.fill(acc, n)
	}
	v, bits := c.dc.next(acc)
	acc <<= bits
	n -= bits
	if v > 0 {
		more := int(v & 15)
		c.last += extend(int32(acc>>(64-more)), more)
		acc <<= more
		n -= more
	}
	scale, ac := c.scale, c.ac
	p := int32(int16(c.last)) * scale[0]
	d.coef[0] = p
	size = abs(p)
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
			acc <<= bits
			n -= bits
			more := int(v & 15)
			if more == 0 {
				if v != 0xf0 {
					break
				}
				k += 15
				continue
			}
			k += int(v >> 4)
			value = extend(int32(acc>>(64-more)), more)
			acc <<= more
			n -= more
		}
		z := zigzag[k&127] & 63
		p := value * scale[z]
		d.coef[z] = p
		size += abs(p)
		set |= 1 << z
	}
	d.acc, d.n = acc, n
	return set, size
}

func abs(v int32) int64 {
	sign := int64(v) >> 63
	return (int64(v) ^ sign) - sign
}

// next returns the value of the code that the bits begin with, and its length.
// Bits that begin with no code are 17, of the value 0.
func (h *huffman) next(acc uint64) (v byte, bits int) {
	if e := h.code[acc>>(64-peek)]; e != 0 {
		return byte(e >> 8), int(e & 255)
	}
	return h.long(acc)
}

func (h *huffman) long(acc uint64) (v byte, bits int) {
	for bits := peek + 1; bits <= 16; bits++ {
		if code := int32(acc >> (64 - bits)); code < h.limit[bits] {
			return h.values[byte(code+h.index[bits])], bits
		}
	}
	return 0, 17
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
		case d.stuffed():
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

// stuffed says whether the 0xff at the place of reading is data. There may be
// several before the byte that decides; before a 0 they count once, but not in
// all of libjpeg's code.
func (d *Decoder) stuffed() bool {
	first := d.at
	for d.at+1 < len(d.data) && d.data[d.at+1] == 0xff {
		d.at++
	}
	if d.at+1 >= len(d.data) || d.data[d.at+1] != 0 {
		return false
	}
	d.unclear = d.unclear || d.at > first
	return true
}

// standard are the tables that the files of cameras leave out which write films
// as images (Motion JPEG): those of the standard's section K.3, as a segment.
const standard = "" +
	"\x00\x00\x01\x05\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b" +
	"\x01\x00\x03\x01\x01\x01\x01\x01\x01\x01\x01\x01\x00\x00\x00\x00\x00" +
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b" +
	"\x10\x00\x02\x01\x03\x03\x02\x04\x03\x05\x05\x04\x04\x00\x00\x01\x7d" +
	"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08" +
	"\x23\x42\xb1\xc1\x15\x52\xd1\xf0\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28" +
	"\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58\x59" +
	"\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89" +
	"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6" +
	"\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2" +
	"\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa" +
	"\x11\x00\x02\x01\x02\x04\x04\x03\x04\x07\x05\x04\x04\x00\x01\x02\x77" +
	"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91" +
	"\xa1\xb1\xc1\x09\x23\x33\x52\xf0\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26" +
	"\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49\x4a\x53\x54\x55\x56\x57\x58" +
	"\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87" +
	"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4" +
	"\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda" +
	"\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa"

var standards = func() [2][4]spec {
	var d Decoder
	if err := d.huffmans([]byte(standard)); err != nil {
		panic(err)
	}
	return d.specs
}()
