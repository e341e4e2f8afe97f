package cpu

import (
	"unsafe"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// Write copies raw elements into dst.
func (be *Backend) Write(dst backend.Array, src []byte) { copyParallel(raw(dst), src) }

// Read copies raw elements out of src.
func (be *Backend) Read(dst []byte, src backend.Array) { copyParallel(dst, raw(src)) }

// copyParallel is copy on all cores, for what is larger than a cache.
func copyParallel(dst, src []byte) {
	if n := min(len(dst), len(src)); n <= 1<<20 {
		copy(dst, src)
		return
	}
	parallel(min(len(dst), len(src)), 1<<20, func(lo, hi int) { copy(dst[lo:hi], src[lo:hi]) })
}

// Copy copies src to dst and converts the type.
func (be *Backend) Copy(dst, src backend.Array) {
	if dst.DType() == src.DType() {
		copyParallel(raw(dst), raw(src))
		return
	}
	switch {
	case dst.DType() == backend.Float32 && src.DType().IsHalf():
		widen(data[float32](dst), src)
		return
	case dst.DType().IsHalf() && src.DType() == backend.Float32:
		narrow(dst, data[float32](src))
		return
	case someHalf(dst, src):
		dst, src := dst, src
		be.half(func() { be.Copy(dst, src) }, writes(&dst), reads(&src))
		return
	}
	switch dst.DType() {
	case backend.Float32:
		convertTo[float32](dst, src)
	case backend.Float64:
		convertTo[float64](dst, src)
	case backend.Int64:
		convertTo[int64](dst, src)
	case backend.Uint8:
		switch src.DType() {
		case backend.Float32:
			convertToUint8[float32](dst, src)
		case backend.Float64:
			convertToUint8[float64](dst, src)
		default:
			convertTo[uint8](dst, src)
		}
	case backend.Bool:
		be.Unary(dst, src, backend.Not, backend.UnaryParams{})
		be.Unary(dst, dst, backend.Not, backend.UnaryParams{})
	}
}

func convertTo[D kernels.Number](dst, src backend.Array) {
	switch src.DType() {
	case backend.Float32:
		convert(data[D](dst), data[float32](src))
	case backend.Float64:
		convert(data[D](dst), data[float64](src))
	case backend.Int64:
		convert(data[D](dst), data[int64](src))
	case backend.Uint8, backend.Bool:
		convert(data[D](dst), data[uint8](src))
	}
}

func convert[D, S kernels.Number](dst []D, src []S) {
	parallel(len(dst), grain, func(lo, hi int) {
		d, s := dst[lo:hi], src[lo:hi]
		for i, v := range s[:len(d)] {
			d[i] = D(v)
		}
	})
}

// convertToUint8 goes through int64, so that a float outside 0 … 255 wraps on
// every machine as C's cast does on most.
func convertToUint8[S kernels.Float](dst, src backend.Array) {
	d, s := data[uint8](dst), data[S](src)
	parallel(len(d), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			d[i] = uint8(int64(s[i]))
		}
	})
}

// Fill sets all elements to v.
func (be *Backend) Fill(dst backend.Array, v float64) {
	if someHalf(dst) {
		dst := dst
		be.half(func() { be.Fill(dst, v) }, writes(&dst))
		return
	}
	switch dst.DType() {
	case backend.Float32:
		fill(data[float32](dst), float32(v))
	case backend.Float64:
		fill(data[float64](dst), v)
	case backend.Int64:
		fill(data[int64](dst), int64(v))
	case backend.Uint8:
		fill(data[uint8](dst), uint8(int64(v)))
	case backend.Bool:
		fill(data[bool](dst), v != 0)
	}
}

func fill[T any](dst []T, v T) {
	if len(dst) <= fewElements {
		for i := range dst {
			dst[i] = v
		}
		return
	}
	parallel(len(dst), 4*grain, func(lo, hi int) {
		for i := range dst[lo:hi] {
			dst[lo+i] = v
		}
	})
}

// Arange sets element i to start + i·step.
func (be *Backend) Arange(dst backend.Array, start, step float64) {
	if someHalf(dst) {
		dst := dst
		be.half(func() { be.Arange(dst, start, step) }, writes(&dst))
		return
	}
	switch dst.DType() {
	case backend.Float32:
		arange(data[float32](dst), start, step)
	case backend.Float64:
		arange(data[float64](dst), start, step)
	case backend.Int64:
		arange(data[int64](dst), int64(start), int64(step))
	case backend.Uint8:
		arange(data[uint8](dst), int64(start), int64(step))
	}
}

func arange[T kernels.Number, S int64 | float64](dst []T, start, step S) {
	parallel(len(dst), grain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dst[i] = T(start + S(i)*step)
		}
	})
}

// Strided copies the view g of src into dst.
func (be *Backend) Strided(dst, src backend.Array, g backend.StridedGeom) {
	switch dst.DType().Size() {
	case 1:
		read(data[uint8](dst), data[uint8](src), g)
	case 2:
		read(data[uint16](dst), data[uint16](src), g)
	case 4:
		read(data[uint32](dst), data[uint32](src), g)
	case 8:
		read(data[uint64](dst), data[uint64](src), g)
	}
}

func read[T uint8 | uint16 | uint32 | uint64](dst, src []T, g backend.StridedGeom) {
	switch n := size(g.Shape); {
	case n == 0:
	case n <= fewElements:
		lay(dst, src, g.Offset, g.Shape, g.Strides)
	default:
		move(dst, src, 0, g.Offset, g.Shape, contiguous(g.Shape), g.Strides)
	}
}

// StridedWrite copies src into the view g of dst.
func (be *Backend) StridedWrite(dst, src backend.Array, g backend.StridedGeom) {
	switch dst.DType().Size() {
	case 1:
		write(data[uint8](dst), data[uint8](src), g)
	case 2:
		write(data[uint16](dst), data[uint16](src), g)
	case 4:
		write(data[uint32](dst), data[uint32](src), g)
	case 8:
		write(data[uint64](dst), data[uint64](src), g)
	}
}

func write[T uint8 | uint16 | uint32 | uint64](dst, src []T, g backend.StridedGeom) {
	switch n := size(g.Shape); {
	case n == 0:
	case n <= fewElements:
		layBack(dst, src, g.Offset, g.Shape, g.Strides)
	default:
		move(dst, src, g.Offset, 0, g.Shape, g.Strides, contiguous(g.Shape))
	}
}

// contiguous returns the strides of a row-major array.
func contiguous(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// collapse drops dimensions of size 1 and joins neighbours that all arrays cross
// as one, so that the last dimension is as long as can be. There is always one
// dimension left. It returns false where there is no element at all.
func collapse(shape []int, strides ...[]int) (outShape []int, outStrides [][]int, ok bool) {
	outShape = make([]int, 0, len(shape)+1)
	outStrides = make([][]int, len(strides))
	all := make([]int, len(strides)*(len(shape)+1))
	for k := range strides {
		at := k * (len(shape) + 1)
		outStrides[k] = all[at : at : at+len(shape)+1]
	}
	for i, n := range shape {
		if n == 0 {
			return nil, nil, false
		}
		if n == 1 {
			continue
		}
		last := len(outShape) - 1
		join := last >= 0
		for k, s := range strides {
			join = join && outStrides[k][last] == s[i]*n
		}
		if join {
			outShape[last] *= n
			for k, s := range strides {
				outStrides[k][last] = s[i]
			}
			continue
		}
		outShape = append(outShape, n)
		for k, s := range strides {
			outStrides[k] = append(outStrides[k], s[i])
		}
	}
	if len(outShape) == 0 {
		outShape = append(outShape, 1)
		for k := range outStrides {
			outStrides[k] = append(outStrides[k], 1)
		}
	}
	return outShape, outStrides, true
}

// walk visits the elements lo … hi-1 of a collapsed shape (counted row-major) in
// runs along the last dimension: f gets the number of the run's first element,
// its length, and where it begins in each of at most four arrays.
func walk(shape []int, strides [][]int, lo, hi int, f func(at, n int, off [4]int)) {
	last := len(shape) - 1
	index := make([]int, len(shape))
	var off [4]int
	for d, rest := last, lo; d >= 0; d-- {
		index[d] = rest % shape[d]
		rest /= shape[d]
		for k := range strides {
			off[k] += index[d] * strides[k][d]
		}
	}
	for at := lo; at < hi; {
		n := min(shape[last]-index[last], hi-at)
		f(at, n, off)
		at += n
		index[last] += n
		for k := range strides {
			off[k] += n * strides[k][last]
		}
		for d := last; d > 0 && index[d] == shape[d]; d-- {
			index[d] = 0
			index[d-1]++
			for k := range strides {
				off[k] += strides[k][d-1] - shape[d]*strides[k][d]
			}
		}
	}
}

func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// move copies a view of src to a view of dst.
func move[T uint8 | uint16 | uint32 | uint64](dst, src []T, dstOff, srcOff int, shape, dstStrides, srcStrides []int) {
	shape, strides, ok := collapse(shape, dstStrides, srcStrides)
	if !ok {
		return
	}
	last := len(shape) - 1
	if d := nearest(strides[0]); d >= 0 {
		for _, s := range [][]int{shape, strides[0], strides[1]} {
			s[d], s[last] = s[last], s[d]
		}
	}
	if r := nearest(strides[1]); r >= 0 && r != last && strides[1][last] != 0 {
		turnAll(dst, src, dstOff, srcOff, shape, strides, r, last)
		return
	}
	n, ds, ss := shape[last], strides[0][last], strides[1][last]
	run := func(n int, d, s int) {
		switch {
		case ds == 1 && ss == 1:
			copy(dst[d:d+n], src[s:s+n])
		case ds == 1 && ss == 0:
			repeat(dst[d:d+n], src[s])
		default:
			for range n {
				dst[d] = src[s]
				d += ds
				s += ss
			}
		}
	}
	if last == 0 || n >= grain {
		parallel(size(shape), grain, func(lo, hi int) {
			walk(shape, strides, lo, hi, func(_, n int, off [4]int) { run(n, off[0]+dstOff, off[1]+srcOff) })
		})
		return
	}
	// Runs of the last dimension but one.
	outer := [][]int{strides[0][:last], strides[1][:last]}
	dr, sr := strides[0][last-1], strides[1][last-1]
	parallel(size(shape[:last]), max(1, grain/n), func(lo, hi int) {
		walk(shape[:last], outer, lo, hi, func(_, rows int, off [4]int) {
			d, s := off[0]+dstOff, off[1]+srcOff
			switch {
			case ds != 1 || ss != 1:
				for range rows {
					run(n, d, s)
					d += dr
					s += sr
				}
			case n == 8:
				for range rows {
					*(*[8]T)(dst[d:]) = *(*[8]T)(src[s:])
					d += dr
					s += sr
				}
			case n == 16:
				for range rows {
					*(*[16]T)(dst[d:]) = *(*[16]T)(src[s:])
					d += dr
					s += sr
				}
			case n == 32 && unsafe.Sizeof(dst[0]) <= 4:
				for range rows {
					*(*[32]T)(dst[d:]) = *(*[32]T)(src[s:])
					d += dr
					s += sr
				}
			case n < 8:
				for range rows {
					for i := range n {
						dst[d+i] = src[s+i]
					}
					d += dr
					s += sr
				}
			default:
				for range rows {
					copy(dst[d:][:n], src[s:][:n])
					d += dr
					s += sr
				}
			}
		})
	})
}

// repeat fills dst with v.
func repeat[T any](dst []T, v T) {
	if len(dst) >= 32 {
		block := [16]T{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}
		for ; len(dst) >= 16; dst = dst[16:] {
			*(*[16]T)(dst) = block
		}
	}
	for i := range dst {
		dst[i] = v
	}
}

func abs(n int) int { return max(n, -n) }

// nearest returns the dimension along which elements lie closest together, or -1 if none lies apart from another.
func nearest(strides []int) int {
	last := -1
	for d, s := range strides {
		if s != 0 && (last < 0 || abs(s) <= abs(strides[last])) {
			last = d
		}
	}
	return last
}

// turnAll copies where the elements of src lie closest together along dimension r, those of dst along dimension c.
func turnAll[T uint8 | uint16 | uint32 | uint64](dst, src []T, dstOff, srcOff int, shape []int, strides [][]int, r, c int) {
	rows, cols := shape[r], shape[c]
	dr, dc, sr, sc := strides[0][r], strides[0][c], strides[1][r], strides[1][c]
	// A unit has so many rows and columns; those are two dimensions more.
	height, width := min(rows, turnSide), cols
	if rows > turnSide/4 {
		width = min(cols, turnUnit/turnSide)
	} else {
		width = min(cols, turnUnit/rows/turnSide*turnSide)
	}
	if cols <= turnSide/4 {
		height = min(rows, turnUnit/cols/turnSide*turnSide)
	}
	var rest []int
	restStrides := [][]int{nil, nil}
	add := func(n, d, s int) {
		rest, restStrides[0], restStrides[1] = append(rest, n), append(restStrides[0], d), append(restStrides[1], s)
	}
	for d, n := range shape {
		if d != r && d != c {
			add(n, strides[0][d], strides[1][d])
		}
	}
	down, across := kernels.Ceil(rows, height), kernels.Ceil(cols, width)
	add(down, dr*height, sr*height)
	add(across, dc*width, sc*width)
	parallel(size(rest), max(1, grain/(height*width)), func(lo, hi int) {
		t := newTurner[T](dr, dc, sr, sc)
		walk(rest, restStrides, lo, hi, func(at, n int, off [4]int) {
			for u := at; u < at+n; u++ {
				d, s := off[0]+dstOff+(u-at)*dc*width, off[1]+srcOff+(u-at)*sc*width
				t.turn(dst, src, d, s, min(height, rows-u/across%down*height), min(width, cols-u%across*width))
			}
		})
	})
}
