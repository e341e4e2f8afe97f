package cpu

import "github.com/wick-ml/wick/internal/backend"

// checkIndex returns an error for the first index that is not in [0, size).
func checkIndex(index []int64, size int) error {
	for i, v := range index {
		if uint64(v) >= uint64(size) { // a negative one is large, too
			return &backend.IndexError{Position: i, Index: v, Size: size}
		}
	}
	return nil
}

// Gather computes dst[o,m,i] = x[o,index[o,m,i],i].
func (be *Backend) Gather(dst, x, index backend.Array, g backend.IndexGeom, _ backend.IndexUse) error {
	at := data[int64](index)
	if err := checkIndex(at, g.N); err != nil {
		return err
	}
	// Elements are only moved, so their size is all that matters.
	switch x.DType().Size() {
	case 1:
		gather(data[uint8](dst), data[uint8](x), at, g)
	case 2:
		gather(data[uint16](dst), data[uint16](x), at, g)
	case 4:
		gather(data[uint32](dst), data[uint32](x), at, g)
	default:
		gather(data[uint64](dst), data[uint64](x), at, g)
	}
	return nil
}

func gather[T any](dst, x []T, index []int64, g backend.IndexGeom) {
	parallel(g.Outer*g.M, grain/max(1, g.Inner), func(lo, hi int) {
		for row := lo; row < hi; row++ {
			from := row / g.M * g.N * g.Inner
			at := index[row*g.Inner:][:g.Inner]
			to := dst[row*g.Inner:][:g.Inner]
			for i, n := range at {
				to[i] = x[from+int(n)*g.Inner+i]
			}
		}
	})
}

// IndexSelect computes dst[o,m,i] = x[o,index[m],i].
func (be *Backend) IndexSelect(dst, x, index backend.Array, g backend.IndexGeom, _ backend.IndexUse) error {
	at := data[int64](index)
	if err := checkIndex(at, g.N); err != nil {
		return err
	}
	switch x.DType().Size() {
	case 1:
		indexSelect(data[uint8](dst), data[uint8](x), at, g)
	case 2:
		indexSelect(data[uint16](dst), data[uint16](x), at, g)
	case 4:
		indexSelect(data[uint32](dst), data[uint32](x), at, g)
	default:
		indexSelect(data[uint64](dst), data[uint64](x), at, g)
	}
	return nil
}

func indexSelect[T any](dst, x []T, index []int64, g backend.IndexGeom) {
	if len(dst) == 0 {
		return
	}
	parallel(g.Outer*g.M, grain/g.Inner, func(lo, hi int) {
		for row := lo; row < hi; row++ {
			from := (row/g.M*g.N + int(index[row%g.M])) * g.Inner
			copy(dst[row*g.Inner:][:g.Inner], x[from:])
		}
	})
}

// ScatterAdd computes dst[o,index[o,m,i],i] += src[o,m,i], in the order of m.
func (be *Backend) ScatterAdd(dst, index, src backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	var err error
	if be.half(func() { err = be.ScatterAdd(dst, index, src, g, use) }, updates(&dst), reads(&src)) {
		return err
	}
	at := data[int64](index)
	if err := checkIndex(at, g.N); err != nil {
		return err
	}
	switch src.DType() {
	case backend.Float32:
		scatterAdd(data[float32](dst), at, data[float32](src), g)
	case backend.Float64:
		scatterAdd(data[float64](dst), at, data[float64](src), g)
	case backend.Int64:
		scatterAdd(data[int64](dst), at, data[int64](src), g)
	default:
		scatterAdd(data[uint8](dst), at, data[uint8](src), g)
	}
	return nil
}

func scatterAdd[T number](dst []T, index []int64, src []T, g backend.IndexGeom) {
	if len(src) == 0 {
		return
	}
	eachColumns(backend.DimGeom{Outer: g.Outer, N: g.M, Inner: g.Inner}, func(o, lo, hi int) {
		to := dst[o*g.N*g.Inner:]
		for m := range g.M {
			off := (o*g.M + m) * g.Inner
			at, from := index[off+lo:off+hi], src[off+lo:off+hi]
			for i, n := range at {
				to[int(n)*g.Inner+lo+i] += from[i]
			}
		}
	})
}

// IndexAdd computes dst[o,index[m],i] += src[o,m,i], in the order of m.
func (be *Backend) IndexAdd(dst, index, src backend.Array, g backend.IndexGeom, use backend.IndexUse) error {
	var err error
	if be.half(func() { err = be.IndexAdd(dst, index, src, g, use) }, updates(&dst), reads(&src)) {
		return err
	}
	at := data[int64](index)
	if err := checkIndex(at, g.N); err != nil {
		return err
	}
	switch src.DType() {
	case backend.Float32:
		indexAdd(data[float32](dst), at, data[float32](src), g)
	case backend.Float64:
		indexAdd(data[float64](dst), at, data[float64](src), g)
	case backend.Int64:
		indexAdd(data[int64](dst), at, data[int64](src), g)
	default:
		indexAdd(data[uint8](dst), at, data[uint8](src), g)
	}
	return nil
}

func indexAdd[T number](dst []T, index []int64, src []T, g backend.IndexGeom) {
	if len(src) == 0 {
		return
	}
	eachColumns(backend.DimGeom{Outer: g.Outer, N: g.M, Inner: g.Inner}, func(o, lo, hi int) {
		for m, n := range index {
			from := src[(o*g.M+m)*g.Inner:][lo:hi]
			to := dst[(o*g.N+int(n))*g.Inner:][lo:hi]
			for i, v := range from {
				to[i] += v
			}
		}
	})
}
