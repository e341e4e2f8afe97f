package cpu

import (
	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

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
	if someHalf(dst, src) {
		var err error
		dst, src := dst, src
		be.half(func() { err = be.ScatterAdd(dst, index, src, g, use) }, updates(&dst), reads(&src))
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

// manyAdded is the number of Float32 summands from which on an element's sum is kept
// in Float64: a running number of Float32 would drift.
const manyAdded = 4096

// crowded returns a number for each of n places that manyAdded or more of what places
// yields fall on, and -1 for the others, and how many there are; nil if there are none.
func crowded(n int, places func(yield func(place int))) (slots []int32, count int) {
	slots = make([]int32, n)
	places(func(place int) {
		if slots[place] < manyAdded {
			if slots[place]++; slots[place] == manyAdded {
				count++
			}
		}
	})
	if count == 0 {
		return nil, 0
	}
	next := int32(0)
	for i, k := range slots {
		if slots[i] = -1; k == manyAdded {
			slots[i] = next
			next++
		}
	}
	return slots, count
}

func scatterAdd[T kernels.Number](dst []T, index []int64, src []T, g backend.IndexGeom) {
	if len(src) == 0 {
		return
	}
	_, single := any(dst).([]float32)
	eachColumns(backend.DimGeom{Outer: g.Outer, N: g.M, Inner: g.Inner}, func(o, lo, hi int) {
		to := dst[o*g.N*g.Inner:]
		if single && g.M >= manyAdded {
			width := hi - lo
			slots, count := crowded(g.N*width, func(yield func(int)) {
				for m := range g.M {
					for i, n := range index[(o*g.M+m)*g.Inner:][lo:hi] {
						yield(int(n)*width + i)
					}
				}
			})
			if slots != nil {
				sums := make([]float64, count)
				for m := range g.M {
					off := (o*g.M + m) * g.Inner
					at, from := index[off+lo:off+hi], src[off+lo:off+hi]
					for i, n := range at {
						if slot := slots[int(n)*width+i]; slot >= 0 {
							sums[slot] += float64(from[i])
						} else {
							to[int(n)*g.Inner+lo+i] += from[i]
						}
					}
				}
				for place, slot := range slots {
					if slot >= 0 {
						v := &to[place/width*g.Inner+lo+place%width]
						*v = T(float64(*v) + sums[slot])
					}
				}
				return
			}
		}
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
	if someHalf(dst, src) {
		var err error
		dst, src := dst, src
		be.half(func() { err = be.IndexAdd(dst, index, src, g, use) }, updates(&dst), reads(&src))
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

func indexAdd[T kernels.Number](dst []T, index []int64, src []T, g backend.IndexGeom) {
	if len(src) == 0 {
		return
	}
	var slots []int32
	var count int
	if _, single := any(dst).([]float32); single && g.M >= manyAdded {
		slots, count = crowded(g.N, func(yield func(int)) {
			for _, n := range index {
				yield(int(n))
			}
		})
	}
	eachColumns(backend.DimGeom{Outer: g.Outer, N: g.M, Inner: g.Inner}, func(o, lo, hi int) {
		width := hi - lo
		sums := make([]float64, count*width)
		for m, n := range index {
			from := src[(o*g.M+m)*g.Inner:][lo:hi]
			if slots != nil && slots[n] >= 0 {
				sum := sums[int(slots[n])*width:][:width]
				for i, v := range from {
					sum[i] += float64(v)
				}
				continue
			}
			to := dst[(o*g.N+int(n))*g.Inner:][lo:hi]
			for i, v := range from {
				to[i] += v
			}
		}
		for n, slot := range slots {
			if slot < 0 {
				continue
			}
			to := dst[(o*g.N+n)*g.Inner:][lo:hi]
			for i, sum := range sums[int(slot)*width:][:width] {
				to[i] = T(float64(to[i]) + sum)
			}
		}
	})
}
