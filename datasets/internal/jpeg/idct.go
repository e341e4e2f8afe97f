package jpeg

import "encoding/binary"

// The constants are of 13 fractional bits; the first pass leaves two in its
// results.
const (
	c0298 = 2446
	c0390 = 3196
	c0541 = 4433
	c0765 = 6270
	c0899 = 7373
	c1175 = 9633
	c1501 = 12299
	c1847 = 15137
	c1961 = 16069
	c2053 = 16819
	c2562 = 20995
	c3072 = 25172
)

// idct writes the samples of a block: the inverse cosine transform of Loeffler,
// Ligtenberg and Moschytz, "Practical Fast 1-D DCT Algorithms with 11
// Multiplications", 1989, in the whole numbers of libjpeg's jidctint, columns
// first. set says which coefficients may not be 0.
func idct(dst []byte, stride int, in *[64]int32, set uint64) {
	if set == 1 {
		v := clip((in[0]<<2+1<<4)>>5 + 128)
		word := uint64(v) * 0x0101010101010101
		for y := range 8 {
			binary.LittleEndian.PutUint64(dst[y*stride:], word)
		}
		return
	}
	// Two columns, and then two rows, are one number: the second stands 32 bits
	// above the first, which may be negative and then borrows from it. Sums and
	// products with constants act on both.
	var ws [64]int32
	for x := 0; x < 8; x += 2 {
		if set&(0x0303030303030300<<x) == 0 {
			v, w := in[x]<<2, in[x+1]<<2
			for y := 0; y < 64; y += 8 {
				ws[y+x], ws[y+x+1] = v, w
			}
			continue
		}
		i0 := int64(in[0+x]) + int64(in[1+x])<<32
		i1 := int64(in[8+x]) + int64(in[9+x])<<32
		i2 := int64(in[16+x]) + int64(in[17+x])<<32
		i3 := int64(in[24+x]) + int64(in[25+x])<<32
		i4 := int64(in[32+x]) + int64(in[33+x])<<32
		i5 := int64(in[40+x]) + int64(in[41+x])<<32
		i6 := int64(in[48+x]) + int64(in[49+x])<<32
		i7 := int64(in[56+x]) + int64(in[57+x])<<32
		z0 := (i2 + i6) * c0541
		t2, t3 := z0-i6*c1847, z0+i2*c0765
		t0, t1 := (i0+i4)<<13, (i0-i4)<<13
		e0, e3 := t0+t3+(1<<10)*both, t0-t3+(1<<10)*both
		e1, e2 := t1+t2+(1<<10)*both, t1-t2+(1<<10)*both
		z5 := (i7 + i3 + i5 + i1) * c1175
		z1, z2 := (i7+i1)*c0899, (i5+i3)*c2562
		z3, z4 := z5-(i7+i3)*c1961, z5-(i5+i1)*c0390
		o0, o1 := i7*c0298-z1+z3, i5*c2053-z2+z4
		o2, o3 := i3*c3072-z2+z3, i1*c1501-z1+z4
		ws[0+x], ws[1+x] = low(e0+o3)>>11, high(e0+o3)>>11
		ws[56+x], ws[57+x] = low(e0-o3)>>11, high(e0-o3)>>11
		ws[8+x], ws[9+x] = low(e1+o2)>>11, high(e1+o2)>>11
		ws[48+x], ws[49+x] = low(e1-o2)>>11, high(e1-o2)>>11
		ws[16+x], ws[17+x] = low(e2+o1)>>11, high(e2+o1)>>11
		ws[40+x], ws[41+x] = low(e2-o1)>>11, high(e2-o1)>>11
		ws[24+x], ws[25+x] = low(e3+o0)>>11, high(e3+o0)>>11
		ws[32+x], ws[33+x] = low(e3-o0)>>11, high(e3-o0)>>11
	}
	for y := 0; y < 8; y += 2 {
		w := (*[16]int32)(ws[8*y:])
		p, q := (*[8]byte)(dst[y*stride:]), (*[8]byte)(dst[(y+1)*stride:])
		i0 := int64(w[0]) + int64(w[8])<<32
		i1 := int64(w[1]) + int64(w[9])<<32
		i2 := int64(w[2]) + int64(w[10])<<32
		i3 := int64(w[3]) + int64(w[11])<<32
		i4 := int64(w[4]) + int64(w[12])<<32
		i5 := int64(w[5]) + int64(w[13])<<32
		i6 := int64(w[6]) + int64(w[14])<<32
		i7 := int64(w[7]) + int64(w[15])<<32
		z0 := (i2 + i6) * c0541
		t2, t3 := z0-i6*c1847, z0+i2*c0765
		t0, t1 := (i0+i4)<<13, (i0-i4)<<13
		e0, e3 := t0+t3+(1<<17+128<<18)*both, t0-t3+(1<<17+128<<18)*both
		e1, e2 := t1+t2+(1<<17+128<<18)*both, t1-t2+(1<<17+128<<18)*both
		z5 := (i7 + i3 + i5 + i1) * c1175
		z1, z2 := (i7+i1)*c0899, (i5+i3)*c2562
		z3, z4 := z5-(i7+i3)*c1961, z5-(i5+i1)*c0390
		o0, o1 := i7*c0298-z1+z3, i5*c2053-z2+z4
		o2, o3 := i3*c3072-z2+z3, i1*c1501-z1+z4
		p[0], q[0] = clip(low(e0+o3)>>18), clip(high(e0+o3)>>18)
		p[7], q[7] = clip(low(e0-o3)>>18), clip(high(e0-o3)>>18)
		p[1], q[1] = clip(low(e1+o2)>>18), clip(high(e1+o2)>>18)
		p[6], q[6] = clip(low(e1-o2)>>18), clip(high(e1-o2)>>18)
		p[2], q[2] = clip(low(e2+o1)>>18), clip(high(e2+o1)>>18)
		p[5], q[5] = clip(low(e2-o1)>>18), clip(high(e2-o1)>>18)
		p[3], q[3] = clip(low(e3+o0)>>18), clip(high(e3+o0)>>18)
		p[4], q[4] = clip(low(e3-o0)>>18), clip(high(e3-o0)>>18)
	}
}

// both is 1 twice.
const both = 1<<32 | 1

func low(v int64) int32  { return int32(v) }
func high(v int64) int32 { return int32((v + 1<<31) >> 32) }

func clip(v int32) byte {
	if uint32(v) > 255 {
		return byte(^v >> 31)
	}
	return byte(v)
}

// exact is the sum of coefficients, without their signs, up to which idct16 and
// idct are the same: no number on the way has more than 16 bits.
const exact = 5900

// idct16 is idct with the overflows of libjpeg-turbo's jidctint for x86, which
// has 16 bits for the coefficients and their sums, and keeps what is between the
// passes within those. Only damaged data comes so far.
func idct16(dst []byte, stride int, in *[64]int32, set uint64) {
	var ws [64]int32
	if set>>8 == 0 {
		for i := range ws {
			ws[i] = int32(int16(in[i&7] << 2))
		}
	} else {
		for x := range 8 {
			var v [8]int32
			for y := range v {
				v[y] = in[8*y+x]
			}
			for y, v := range butterfly(v) {
				ws[8*y+x] = min(max((v+1<<10)>>11, -1<<15), 1<<15-1)
			}
		}
	}
	for y := range 8 {
		for x, v := range butterfly([8]int32(ws[8*y:])) {
			dst[y*stride+x] = clip((v+1<<17)>>18 + 128)
		}
	}
}

// butterfly is the transform along one axis, with 13 more fractional bits.
func butterfly(v [8]int32) [8]int32 {
	for i := range v {
		v[i] = int32(int16(v[i]))
	}
	a, b := int32(int16(v[0]+v[4]))<<13, int32(int16(v[0]-v[4]))<<13
	c, d := v[2]*c0541+v[6]*(c0541-c1847), v[2]*(c0541+c0765)+v[6]*c0541
	z3, z4 := int32(int16(v[3]+v[7])), int32(int16(v[1]+v[5]))
	z3, z4 = z3*(c1175-c1961)+z4*c1175, z3*c1175+z4*(c1175-c0390)
	o0, o3 := v[7]*(c0298-c0899)-v[1]*c0899+z3, v[1]*(c1501-c0899)-v[7]*c0899+z4
	o1, o2 := v[5]*(c2053-c2562)-v[3]*c2562+z4, v[3]*(c3072-c2562)-v[5]*c2562+z3
	return [8]int32{a + d + o3, b + c + o2, b - c + o1, a - d + o0, a - d - o0, b - c - o1, b + c - o2, a + d - o3}
}
