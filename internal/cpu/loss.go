package cpu

import (
	"math"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// CrossEntropy computes the cross-entropy of class indices with softmax(x) along
// N: log Σ exp(x-largest) - (x-largest) at the label.
func (be *Backend) CrossEntropy(loss, largest, sum, x, labels backend.Array, g backend.DimGeom, use backend.IndexUse) error {
	if someHalf(loss, largest, sum, x) {
		var err error
		loss, largest, sum, x := loss, largest, sum, x
		be.half(func() { err = be.CrossEntropy(loss, largest, sum, x, labels, g, use) }, writes(&loss), writes(&largest), writes(&sum), reads(&x))
		return err
	}
	at := data[int64](labels)
	if err := checkIndex(at, g.N); err != nil {
		return err
	}
	if x.DType() == backend.Float32 {
		crossEntropy(be, data[float32](loss), data[float32](largest), data[float32](sum), data[float32](x), at, g)
	} else {
		crossEntropy(be, data[float64](loss), data[float64](largest), data[float64](sum), data[float64](x), at, g)
	}
	return nil
}

func crossEntropy[T kernels.Float](be *Backend, loss, largest, sum, x []T, labels []int64, g backend.DimGeom) {
	if len(loss) == 0 {
		return
	}
	if g.Inner == 1 {
		kn := kernels.VectorOf[T]()
		parallel(g.Outer, grain/g.N, func(lo, hi int) {
			for o := lo; o < hi; o++ {
				row := x[o*g.N:][:g.N]
				l := kn.Max(row)
				s := kn.SumExp(row, l)
				largest[o], sum[o] = l, T(s)
				loss[o] = T(math.Log(s) - (float64(row[labels[o]]) - float64(l)))
			}
		})
		return
	}
	scratch(be, g.Outer*g.Inner, func(sums []float64) {
		eachColumns(g, func(o, lo, hi int) {
			first, end := o*g.Inner+lo, o*g.Inner+hi
			l, s := largest[first:end], sums[first:end]
			row := func(k int) []T { return x[(o*g.N+k)*g.Inner+lo:][:len(l)] }
			for i := range l {
				l[i], s[i] = T(math.Inf(-1)), 0
			}
			for k := range g.N {
				for i, v := range row(k) {
					l[i] = max(l[i], v)
				}
			}
			for k := range g.N {
				for i, v := range row(k) {
					s[i] += float64(kernels.Exp(v - l[i]))
				}
			}
			for i, label := range labels[first:end] {
				sum[first+i] = T(s[i])
				loss[first+i] = T(math.Log(s[i]) - (float64(row(int(label))[i]) - float64(l[i])))
			}
		})
	})
}

// CrossEntropyGrad computes the gradient of x, share·(softmax(x) - 1 at the
// label), from what CrossEntropy left.
func (be *Backend) CrossEntropyGrad(dx, share, x, labels, largest, sum backend.Array, g backend.DimGeom) {
	if someHalf(dx, share, x, largest, sum) {
		dx, share, x, largest, sum := dx, share, x, largest, sum
		be.half(func() { be.CrossEntropyGrad(dx, share, x, labels, largest, sum, g) }, writes(&dx), reads(&share), reads(&x), reads(&largest), reads(&sum))
		return
	}
	at := data[int64](labels)
	if x.DType() == backend.Float32 {
		crossEntropyGrad(be, data[float32](dx), data[float32](share), data[float32](x), at, data[float32](largest), data[float32](sum), g)
	} else {
		crossEntropyGrad(be, data[float64](dx), data[float64](share), data[float64](x), at, data[float64](largest), data[float64](sum), g)
	}
}

func crossEntropyGrad[T kernels.Float](be *Backend, dx, share, x []T, labels []int64, largest, sum []T, g backend.DimGeom) {
	if len(dx) == 0 {
		return
	}
	if g.Inner == 1 {
		kn := kernels.VectorOf[T]()
		parallel(g.Outer, grain/g.N, func(lo, hi int) {
			for o := lo; o < hi; o++ {
				row := dx[o*g.N:][:g.N]
				kn.ExpScaled(row, x[o*g.N:], largest[o], share[o]/sum[o])
				row[labels[o]] -= share[o]
			}
		})
		return
	}
	scratch(be, g.Outer*g.Inner, func(scales []T) {
		eachColumns(g, func(o, lo, hi int) {
			first, end := o*g.Inner+lo, o*g.Inner+hi
			l, scale := largest[first:end], scales[first:end]
			for i := range scale {
				scale[i] = share[first+i] / sum[first+i]
			}
			for k := range g.N {
				at := (o*g.N+k)*g.Inner + lo
				from, to := x[at:][:len(l)], dx[at:][:len(l)]
				for i, v := range from {
					to[i] = kernels.Exp(v-l[i]) * scale[i]
				}
			}
			for i, label := range labels[first:end] {
				dx[(o*g.N+int(label))*g.Inner+lo+i] -= share[first+i]
			}
		})
	})
}
