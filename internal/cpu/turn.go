package cpu

import (
	little "encoding/binary"
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
)

// Copies that read along one dimension and write along another: a transposed matrix, an image whose channels come last.

const (
	turnSide = 64      // rows and columns of a square whose cache lines stay until all of them is used
	turnUnit = 1 << 14 // elements of a unit of work
)

// turner copies rows×cols elements, dst[i·dr + j·dc] = src[i·sr + j·sc].
type turner[T any] struct {
	dr, dc, sr, sc int
	// strip is for side rows and a multiple of side columns, where dc and sr are 1 and the others not negative. Where it is nil,
	// elements are copied one by one.
	strip func(dst []T, dr int, src []T, sc, cols int)
	side  int
}

func newTurner[T any](dr, dc, sr, sc int) *turner[T] {
	t := &turner[T]{dr: dr, dc: dc, sr: sr, sc: sc}
	if dc != 1 || sr != 1 || dr < 0 || sc < 0 {
		return t
	}
	switch unsafe.Sizeof(*new(T)) {
	case 1:
		t.side, t.strip = 8, func(dst []T, dr int, src []T, sc, cols int) {
			turnBytes(alike[uint8](dst), dr, alike[uint8](src), sc, cols)
		}
	case 2:
		t.side, t.strip = 4, func(dst []T, dr int, src []T, sc, cols int) {
			turnHalves(alike[uint16](dst), dr, alike[uint16](src), sc, cols)
		}
	case 4:
		// It is the matrix kernel's packing.
		transpose, lanes, blocks := kernelOf[float32](backend.Highest).Transpose, new([8]int), make([]int, 1)
		t.side, t.strip = 8, func(dst []T, dr int, src []T, sc, cols int) {
			for j := 0; j < cols; j += 8 {
				for k := range lanes {
					lanes[k] = (j + k) * sc
				}
				transpose(alike[float32](dst[j:]), dr, alike[float32](src), lanes, blocks)
			}
		}
	case 8:
		t.side, t.strip = 4, func(dst []T, dr int, src []T, sc, cols int) {
			turnLongs(alike[uint64](dst), dr, alike[uint64](src), sc, cols)
		}
	}
	return t
}

// alike looks at elements as others of their size.
func alike[U, T any](s []T) []U {
	return unsafe.Slice((*U)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// turn copies a part of any size from elements d and s on, square by square.
func (t *turner[T]) turn(dst, src []T, d, s, rows, cols int) {
	if t.strip != nil && (rows < t.side || cols < t.side) && rows > 0 && cols > 0 { // there is no square
		if rows <= cols {
			gatherRows(dst[d:], t.dr, src[s:], t.sc, rows, cols)
		} else {
			scatterCols(dst[d:], t.dr, src[s:], t.sc, rows, cols)
		}
		return
	}
	for i := 0; i < rows; i += turnSide {
		for j := 0; j < cols; j += turnSide {
			t.square(dst, src, d+i*t.dr+j*t.dc, s+i*t.sr+j*t.sc, min(turnSide, rows-i), min(turnSide, cols-j))
		}
	}
}

func (t *turner[T]) square(dst, src []T, d, s, rows, cols int) {
	if t.strip == nil {
		for i := range rows {
			d, s := d+i*t.dr, s+i*t.sr
			for range cols {
				dst[d] = src[s]
				d += t.dc
				s += t.sc
			}
		}
		return
	}
	dst, src = dst[d:], src[s:]
	wholeRows, wholeCols := rows/t.side*t.side, cols/t.side*t.side
	if wholeCols > 0 {
		for i := 0; i < wholeRows; i += t.side {
			t.strip(dst[i*t.dr:], t.dr, src[i:], t.sc, wholeCols)
		}
		if wholeRows < rows {
			gatherRows(dst[wholeRows*t.dr:], t.dr, src[wholeRows:], t.sc, rows-wholeRows, wholeCols)
		}
	}
	if wholeCols < cols {
		scatterCols(dst[wholeCols:], t.dr, src[wholeCols*t.sc:], t.sc, rows, cols-wholeCols)
	}
}

// gatherRows computes dst[i·dr + j] = src[j·sc + i] for few rows.
func gatherRows[T any](dst []T, dr int, src []T, sc, rows, cols int) {
	for ; rows >= 3; rows -= 3 {
		a, b, c := dst[:cols], dst[dr:][:cols], dst[2*dr:][:cols]
		at := 0
		for j := range a {
			v := (*[3]T)(src[at:])
			a[j], b[j], c[j] = v[0], v[1], v[2]
			at += sc
		}
		if rows > 3 {
			dst, src = dst[3*dr:], src[3:]
		}
	}
	for i := range rows {
		at := i
		for j := range dst[i*dr:][:cols] {
			dst[i*dr+j] = src[at]
			at += sc
		}
	}
}

// scatterCols computes dst[i·dr + j] = src[j·sc + i] for few columns.
func scatterCols[T any](dst []T, dr int, src []T, sc, rows, cols int) {
	for ; cols >= 3; cols -= 3 {
		a, b, c := src[:rows], src[sc:][:rows], src[2*sc:][:rows]
		at := 0
		for i, v := range a {
			*(*[3]T)(dst[at:]) = [3]T{v, b[i], c[i]}
			at += dr
		}
		if cols > 3 {
			dst, src = dst[3:], src[3*sc:]
		}
	}
	for j := range cols {
		at := j
		for _, v := range src[j*sc:][:rows] {
			dst[at] = v
			at += dr
		}
	}
}

// The strips go from square to square of as many rows as columns.

// swap exchanges what the mask picks of b with what lies so many bits further up in a.
func swap(a, b, mask uint64, bits int) (uint64, uint64) {
	x := (a>>bits ^ b) & mask
	return a ^ x<<bits, b ^ x
}

func turnBytes(dst []uint8, dr int, src []uint8, sc, cols int) {
	for j := 0; j < cols; j += 8 {
		load := func(k int) uint64 { return little.LittleEndian.Uint64(src[(j+k)*sc:]) }
		a, b, c, d, e, f, g, h := load(0), load(1), load(2), load(3), load(4), load(5), load(6), load(7)
		a, e = swap(a, e, 0x00000000ffffffff, 32)
		b, f = swap(b, f, 0x00000000ffffffff, 32)
		c, g = swap(c, g, 0x00000000ffffffff, 32)
		d, h = swap(d, h, 0x00000000ffffffff, 32)
		a, c = swap(a, c, 0x0000ffff0000ffff, 16)
		b, d = swap(b, d, 0x0000ffff0000ffff, 16)
		e, g = swap(e, g, 0x0000ffff0000ffff, 16)
		f, h = swap(f, h, 0x0000ffff0000ffff, 16)
		a, b = swap(a, b, 0x00ff00ff00ff00ff, 8)
		c, d = swap(c, d, 0x00ff00ff00ff00ff, 8)
		e, f = swap(e, f, 0x00ff00ff00ff00ff, 8)
		g, h = swap(g, h, 0x00ff00ff00ff00ff, 8)
		store := func(i int, v uint64) { little.LittleEndian.PutUint64(dst[i*dr+j:], v) }
		store(0, a)
		store(1, b)
		store(2, c)
		store(3, d)
		store(4, e)
		store(5, f)
		store(6, g)
		store(7, h)
	}
}

func turnHalves(dst []uint16, dr int, src []uint16, sc, cols int) {
	d0 := dst[:cols]
	d1, d2, d3 := dst[dr:][:len(d0)], dst[2*dr:][:len(d0)], dst[3*dr:][:len(d0)]
	for j, at := 0, 0; j <= len(d0)-4; j += 4 {
		load := func(at int) uint64 { return little.LittleEndian.Uint64(fourHalves(src[at:])) }
		a, b, c, d := load(at), load(at+sc), load(at+2*sc), load(at+3*sc)
		at += 4 * sc
		a, c = swap(a, c, 0x00000000ffffffff, 32)
		b, d = swap(b, d, 0x00000000ffffffff, 32)
		a, b = swap(a, b, 0x0000ffff0000ffff, 16)
		c, d = swap(c, d, 0x0000ffff0000ffff, 16)
		little.LittleEndian.PutUint64(fourHalves(d0[j:j+4]), a)
		little.LittleEndian.PutUint64(fourHalves(d1[j:j+4]), b)
		little.LittleEndian.PutUint64(fourHalves(d2[j:j+4]), c)
		little.LittleEndian.PutUint64(fourHalves(d3[j:j+4]), d)
	}
}

func fourHalves(s []uint16) []byte { return (*[8]byte)(unsafe.Pointer((*[4]uint16)(s)))[:] }

func turnLongs(dst []uint64, dr int, src []uint64, sc, cols int) {
	for j := 0; j < cols; j += 4 {
		a, b, c, d := (*[4]uint64)(src[j*sc:]), (*[4]uint64)(src[(j+1)*sc:]), (*[4]uint64)(src[(j+2)*sc:]), (*[4]uint64)(src[(j+3)*sc:])
		for i := range a {
			*(*[4]uint64)(dst[i*dr+j:]) = [4]uint64{a[i], b[i], c[i], d[i]}
		}
	}
}
