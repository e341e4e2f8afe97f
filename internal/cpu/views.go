package cpu

import (
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Elementwise methods read views where they lie. Where the last dimension is long and its elements are neighbours, its runs are what
// kernels get. Elsewhere tiles of the result are made from rows that are laid side by side, which stay in the first cache: of an operand
// that is transposed its cache lines are read as a whole, and of short runs many go into one call.

const (
	longRun   = 32      // elements that are worth a call of a kernel
	tileWide  = 256     // elements of a tile's row at most where an operand is transposed, so that the rows make cache lines of it
	tileLarge = 1 << 12 // elements of a tile at most
)

// tiling is how a result is cut into tiles of rows along dimension r and columns along the last.
type tiling struct {
	shape   []int
	strides [][]int // of the operands, and of the result
	r       int
	rows    int  // of a tile, and its columns
	cols    int  //
	turned  bool // an operand is transposed
	flat    bool // a tile's rows follow each other in the result, and are so short that they go into one call
}

// newTiling returns the tiling of a collapsed shape.
func newTiling(shape []int, strides [][]int) (t tiling) {
	strides = append(strides[:len(strides):len(strides)], contiguous(shape))
	if len(shape) == 1 {
		shape = []int{1, shape[0]}
		for k, s := range strides {
			strides[k] = []int{0, s[0]}
		}
	}
	last := len(shape) - 1
	t = tiling{shape: shape, strides: strides, r: last - 1}
	n := shape[last]
	t.cols = min(n, tileLarge)
	for _, s := range strides[:len(strides)-1] {
		if d := nearest(s); d >= 0 && d != last && s[last] != 0 {
			t.r, t.cols, t.turned = d, min(n, tileWide), true
			break
		}
	}
	t.rows = min(shape[t.r], tileLarge/t.cols)
	t.flat = t.r == last-1 && n < longRun
	return t
}

// pays reports whether tiles are better than runs of the last dimension.
func (t *tiling) pays() bool {
	n := t.shape[len(t.shape)-1]
	return t.turned || n < tileWide && n < size(t.shape)
}

// each calls what start returns for all tiles: with the first element of the result, the tile's rows and columns, and where it begins
// in each operand. Start is called for each of the goroutines' pieces, with room for a tile of
// each operand and of the result.
func (t *tiling) each(be *Backend, start func(room []uint64) func(at, rows, cols int, off [4]int)) {
	last := len(t.shape) - 1
	down, across := kernels.Ceil(t.shape[t.r], t.rows), kernels.Ceil(t.shape[last], t.cols)
	var rest []int
	strides := make([][]int, len(t.strides))
	add := func(n, d, times int) {
		rest = append(rest, n)
		for k := range strides {
			strides[k] = append(strides[k], t.strides[k][d]*times)
		}
	}
	for d, n := range t.shape {
		if d != t.r && d != last {
			add(n, d, 1)
		}
	}
	add(down, t.r, t.rows)
	add(across, last, t.cols)
	parallel(size(rest), max(1, grain/(t.rows*t.cols)), func(lo, hi int) {
		scratch(be, len(strides)*t.rows*t.cols, func(room []uint64) {
			f := start(room)
			walk(rest, strides, lo, hi, func(at, n int, off [4]int) {
				for u := at; u < at+n; u++ {
					f(off[len(strides)-1], min(t.rows, t.shape[t.r]-u/across%down*t.rows), min(t.cols, t.shape[last]-u%across*t.cols), off)
					for k := range strides {
						off[k] += strides[k][len(rest)-1]
					}
				}
			})
		})
	})
}

// source is an operand whose tiles are read.
type source[T any] struct {
	x      []T
	rs, cs int // elements from one row of a tile to the next, and from one column to the next
	flat   bool
	block  []T // a tile, whose rows follow each other, or nil where they are read where they lie
	turner *turner[T]
	off, n int
}

func newSource[T any](t *tiling, room []uint64, x []T, k int) *source[T] {
	s := &source[T]{x: x, rs: t.strides[k][t.r], cs: t.strides[k][len(t.shape)-1], flat: t.flat}
	if s.cs == 1 && (!t.flat || s.rs == t.cols) {
		return s
	}
	s.block = tileOf[T](t, room, k)
	if s.cs != 0 && s.cs != 1 {
		s.turner = newTurner[T](t.cols, 1, s.rs, s.cs)
	}
	return s
}

// tileOf returns room for tile k.
func tileOf[T any](t *tiling, room []uint64, k int) []T {
	n := t.rows * t.cols
	return unsafe.Slice((*T)(unsafe.Pointer(&room[k*n])), n)
}

// load reads a tile from element off on.
func (s *source[T]) load(off, rows, cols int) {
	s.off, s.n = off, rows*cols
	switch {
	case s.block == nil:
	case s.turner != nil:
		s.turner.dr = cols
		s.turner.turn(s.block, s.x, 0, off, rows, cols)
	case s.cs == 0:
		for i := range rows {
			repeat(s.block[i*cols:][:cols], s.x[off+i*s.rs])
		}
	default:
		for i := range rows {
			from, to := off+i*s.rs, i*cols
			for j := range cols {
				s.block[to+j] = s.x[from+j]
			}
		}
	}
}

// all returns the elements of a tile that is flat.
func (s *source[T]) all() []T {
	if s.block != nil {
		return s.block[:s.n]
	}
	return s.x[s.off:][:s.n]
}

// row returns row i of a tile.
func (s *source[T]) row(i, cols int) []T {
	if s.block != nil {
		return s.block[i*cols:][:cols]
	}
	return s.x[s.off+i*s.rs:][:cols]
}

// wideSource is a source of numbers of half precision, or of Float32, that gives Float32.
type wideSource struct {
	*source[float32]
	half  *source[uint16] // or nil
	dtype backend.DType
}

func newWideSource(t *tiling, room []uint64, a backend.Array, k int) wideSource {
	if !a.DType().IsHalf() {
		return wideSource{source: newSource(t, room, data[float32](a), k)}
	}
	w := wideSource{&source[float32]{block: tileOf[float32](t, room, k)}, newSource(t, room, data[uint16](a), k), a.DType()}
	if w.half.block != nil { // behind the wide ones
		w.half.block = tileOf[uint16](t, room[t.rows*t.cols/2:], k)
	}
	return w
}

func (w wideSource) load(off, rows, cols int) {
	if w.half == nil {
		w.source.load(off, rows, cols)
		return
	}
	w.half.load(off, rows, cols)
	w.n = rows * cols
	if w.half.block != nil {
		widenAs(w.dtype, w.block[:w.n], w.half.block[:w.n])
		return
	}
	for i := range rows {
		widenAs(w.dtype, w.block[i*cols:][:cols], w.half.row(i, cols))
	}
}

// number returns one of the elements.
func (w wideSource) number(at int) float32 {
	var v [1]float32
	if w.half == nil {
		return w.x[at]
	}
	widenAs(w.dtype, v[:], w.half.x[at:][:1])
	return v[0]
}

// compact returns the elements of a view and their strides there: a's beginning, or a copy if that holds much more. A dimension with
// stride 0 stays one.
func (be *Backend) compact(a backend.Array, shape, strides []int) (_ backend.Array, _ []int, free func()) {
	own, packed := make([]int, len(shape)), make([]int, len(shape))
	n := 1
	a.Len = 1
	for d := len(shape) - 1; d >= 0; d-- {
		if own[d] = shape[d]; strides[d] == 0 {
			own[d] = 1
			continue
		}
		a.Len += (own[d] - 1) * strides[d]
		packed[d] = n
		n *= own[d]
	}
	if a.Len <= n+n/8 {
		return a, strides, func() {}
	}
	b := backend.Array{Buffer: be.NewBuffer(a.DType(), n), Len: n}
	be.Strided(b, a, backend.StridedGeom{Shape: own, Strides: strides})
	return b, packed, func() { be.Free(b.Buffer) }
}
