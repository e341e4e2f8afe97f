package cpu

import (
	"math"
	"sort"

	"github.com/wick-ml/wick/internal/backend"
)

// The steps go over memory once: each element of a parameter, its gradient and
// its state is read once and written once, which is what their speed hangs on.
// Numbers are rounded to the parameters' type where PyTorch rounds them.

// SGD makes one step for all parameters.
func (be *Backend) SGD(params, grads, momentum []backend.Array, p backend.SGDParams) {
	if be.halfLists(func(l [][]backend.Array) { be.SGD(l[0], l[1], l[2], p) }, params, grads, momentum) {
		return
	}
	if isFloat32(params) {
		sgd(elements[float32](params), elements[float32](grads), elements[float32](momentum), p)
	} else {
		sgd(elements[float64](params), elements[float64](grads), elements[float64](momentum), p)
	}
}

func sgd[T float](params, grads, momentum [][]T, p backend.SGDParams) {
	lr, mu, decay, sign := T(p.LR), T(p.Momentum), T(p.WeightDecay), direction[T](p.Maximize)
	kn := vectorOf[T]()
	numbers := &sgdNumbers[T]{sign: sign, decay: decay, lr: lr, mu: mu, keep: T(1 - p.Dampening), nesterov: p.Nesterov}
	overAll(params, func(i, lo, hi int) {
		w := params[i][lo:hi]
		g := grads[i][lo:hi][:len(w)]
		if p.Momentum == 0 {
			for k := range w {
				d := sign * g[k]
				if decay != 0 {
					d += decay * w[k]
				}
				w[k] -= lr * d
			}
			return
		}
		m := momentum[i][lo:hi][:len(w)]
		if !p.First {
			kn.sgd(w, g, m, numbers)
			return
		}
		for k := range w {
			d := sign * g[k]
			if decay != 0 {
				d += decay * w[k]
			}
			m[k] = d
			if p.Nesterov {
				d += mu * d
			}
			w[k] -= lr * d
		}
	})
}

// Adam makes one step.
func (be *Backend) Adam(params, grads, m, v, maxV []backend.Array, p backend.AdamParams) {
	if be.halfLists(func(l [][]backend.Array) { be.Adam(l[0], l[1], l[2], l[3], l[4], p) }, params, grads, m, v, maxV) {
		return
	}
	if isFloat32(params) {
		adam(elements[float32](params), elements[float32](grads), elements[float32](m), elements[float32](v), elements[float32](maxV), p)
	} else {
		adam(elements[float64](params), elements[float64](grads), elements[float64](m), elements[float64](v), elements[float64](maxV), p)
	}
}

func adam[T float](params, grads, m, v, maxV [][]T, p backend.AdamParams) {
	correction1 := 1 - math.Pow(p.Beta1, float64(p.Step))
	correction2 := math.Sqrt(1 - math.Pow(p.Beta2, float64(p.Step)))
	numbers := &adamNumbers[T]{
		sign: direction[T](p.Maximize), decay: T(p.WeightDecay), shrink: 1,
		size: T(p.LR / correction1), scale: T(1 / correction2), eps: T(p.Eps),
		beta2: T(p.Beta2), new1: T(1 - p.Beta1), new2: T(1 - p.Beta2),
	}
	if p.Decoupled {
		numbers.shrink, numbers.decay = T(1-p.LR*p.WeightDecay), 0
	}
	kn := vectorOf[T]()
	overAll(params, func(i, lo, hi int) {
		var largest []T
		if len(maxV) > 0 {
			largest = maxV[i][lo:hi]
		}
		kn.adam(params[i][lo:hi], grads[i][lo:hi], m[i][lo:hi], v[i][lo:hi], largest, numbers)
	})
}

// RMSprop makes one step.
func (be *Backend) RMSprop(params, grads, square, mean, momentum []backend.Array, p backend.RMSpropParams) {
	if be.halfLists(func(l [][]backend.Array) { be.RMSprop(l[0], l[1], l[2], l[3], l[4], p) }, params, grads, square, mean, momentum) {
		return
	}
	if isFloat32(params) {
		rmsprop(elements[float32](params), elements[float32](grads), elements[float32](square), elements[float32](mean), elements[float32](momentum), p)
	} else {
		rmsprop(elements[float64](params), elements[float64](grads), elements[float64](square), elements[float64](mean), elements[float64](momentum), p)
	}
}

func rmsprop[T float](params, grads, square, mean, momentum [][]T, p backend.RMSpropParams) {
	lr, alpha, fresh, eps, decay, mu := T(p.LR), T(p.Alpha), T(1-p.Alpha), T(p.Eps), T(p.WeightDecay), T(p.Momentum)
	sign := direction[T](p.Maximize)
	overAll(params, func(i, lo, hi int) {
		w := params[i][lo:hi]
		g := grads[i][lo:hi][:len(w)]
		s := square[i][lo:hi][:len(w)]
		var c, m []T
		if p.Centered {
			c = mean[i][lo:hi][:len(w)]
		}
		if p.Momentum != 0 {
			m = momentum[i][lo:hi][:len(w)]
		}
		for k := range w {
			d := sign * g[k]
			if decay != 0 {
				d += decay * w[k]
			}
			size := s[k]*alpha + fresh*d*d
			s[k] = size
			if c != nil {
				center := lerp(c[k], d, fresh)
				c[k] = center
				size -= center * center
			}
			d /= sqrt(size) + eps
			if m != nil {
				d += mu * m[k]
				m[k] = d
			}
			w[k] -= lr * d
		}
	})
}

// Adagrad makes one step.
func (be *Backend) Adagrad(params, grads, sum []backend.Array, p backend.AdagradParams) {
	if be.halfLists(func(l [][]backend.Array) { be.Adagrad(l[0], l[1], l[2], p) }, params, grads, sum) {
		return
	}
	if isFloat32(params) {
		adagrad(elements[float32](params), elements[float32](grads), elements[float32](sum), p)
	} else {
		adagrad(elements[float64](params), elements[float64](grads), elements[float64](sum), p)
	}
}

func adagrad[T float](params, grads, sum [][]T, p backend.AdagradParams) {
	lr := T(p.LR / (1 + float64(p.Step-1)*p.LRDecay))
	eps, decay, sign := T(p.Eps), T(p.WeightDecay), direction[T](p.Maximize)
	overAll(params, func(i, lo, hi int) {
		w := params[i][lo:hi]
		g := grads[i][lo:hi][:len(w)]
		s := sum[i][lo:hi][:len(w)]
		for k := range w {
			d := sign * g[k]
			if decay != 0 {
				d += decay * w[k]
			}
			total := s[k] + d*d
			s[k] = total
			w[k] -= lr * d / (sqrt(total) + eps)
		}
	})
}

func isFloat32(params []backend.Array) bool {
	return len(params) > 0 && params[0].DType() == backend.Float32
}

// elements returns the elements of each array.
func elements[T float](arrays []backend.Array) [][]T {
	s := make([][]T, len(arrays))
	for i, a := range arrays {
		s[i] = data[T](a)
	}
	return s
}

// overAll calls f for pieces [lo, hi) of arrays[i], over all arrays in one
// parallel loop, as if they lay behind one another: many small ones cost no more
// than a large one.
func overAll[T float](arrays [][]T, f func(i, lo, hi int)) {
	ends := make([]int, len(arrays))
	n := 0
	for i, a := range arrays {
		n += len(a)
		ends[i] = n
	}
	parallel(n, grain, func(lo, hi int) {
		for i := sort.SearchInts(ends, lo+1); lo < hi; i++ {
			start := ends[i] - len(arrays[i])
			if end := min(hi, ends[i]); lo < end {
				f(i, lo-start, end-start)
				lo = end
			}
		}
	})
}

// direction returns what gradients are multiplied by.
func direction[T float](maximize bool) T {
	if maximize {
		return -1
	}
	return 1
}

// lerp goes the part t of the way from a to b, exactly to b where t is 1.
func lerp[T float](a, b, t T) T {
	if t < 0.5 {
		return a + T(t*(b-a))
	}
	return b - T((b-a)*(1-t))
}

// sqrt is one instruction for either type.
func sqrt[T float](x T) T { return T(math.Sqrt(float64(x))) }
