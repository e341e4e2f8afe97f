package cpu

import (
	"math"
	"unsafe"
)

//go:generate go run -C gen . -part vector -out ../vector_amd64.s -stubs ../vector_stubs_amd64.go -pkg cpu
//go:generate go run -C gen . -neon -part vector

// vector is the loops that pass over memory once, in assembly for float32 where
// the machine has it. Elementwise ones give the same bits at every level and on every machine:
// conversions to the type that a product has already keep the compiler from fusing it with a sum,
// which it does for arm64. Sums are in float64 and differ in the order of additions, and in what is fused.
type vector[T float] struct {
	loops[T, T]

	sum, sumSquares func(x []T) float64
	rowSums         func(dst []float64, x []T, n int) // sum of each of len(dst) rows of n elements
	addWide         func(dst []float64, x []T)        // adds each element of x to its own of dst
	sub, mul, div   func(dst, a, b []T)
	sqrt            func(dst, x []T)

	max    func(x []T) T                     // NaN if one is NaN
	exp    func(dst, x []T, shift T) float64 // computes dst = exp(x-shift) and returns the sum
	sumExp func(x []T, shift T) float64      // returns exp's sum
	// expScaled computes dst = exp(x-shift)·scale.
	expScaled func(dst, x []T, shift, scale T)
	// softmaxGrad computes dx = (dy-dot)·y, logSoftmaxGrad dx = dy - exp(y)·sum.
	softmaxGrad, logSoftmaxGrad func(dx, dy, y []T, dotOrSum T)

	adam func(w, g, m, v, largest []T, p *adamNumbers[T]) // largest may be nil
	sgd  func(w, g, m []T, p *sgdNumbers[T])

	// maxPool3x3 takes the maxima of q windows of the rows a, b and c of w elements, and of those two rows further on, for
	// 1 and more rows of windows; window q begins at column 2q-1. It reports whether there is a NaN, and what it wrote is
	// of no use then. Where there is no assembly it is nil, as maxPoolGrad3x3 is.
	maxPool3x3 func(dst, a, b, c []T, rows, w, q int) (nan bool)
	// maxPoolGrad3x3 gives dy to the first element of each window that is y: it adds to da, and writes db and dc. It
	// reports whether one of y is NaN, and what it wrote is of no use then.
	maxPoolGrad3x3 func(da, db, dc, a, b, c, dy, y []T, rows, w, q int) (nan bool)
}

// loops are those that bfloat16 arrays may have too: numbers lie in memory as S, to which results are rounded once,
// and are computed with as T.
type loops[S any, T float] struct {
	// sumsAbout returns Σ (x-near) and Σ (x-near)².
	sumsAbout func(x []S, r rows, near float64) (sum, squares float64)
	// sumAndDot returns Σ dy and Σ dy·(x-mean), where y, if there is one, is not 0.
	sumAndDot func(dy, x, y []S, r rows, mean float64) (sum, dot float64)
	// normalize computes dst = (x-mean)·scale + shift, and its maximum with 0 if relu.
	normalize func(dst, x []S, r rows, mean, scale, shift T, relu bool)
	// normalizeGrad computes dx = (dy - dyMean - (x-mean)·slope)·scale, with 0 for dy where y, if there is one, is 0.
	normalizeGrad func(dx, dy, x, y []S, r rows, mean, dyMean, slope, scale T)

	relu     func(dst, x []S)
	reluGrad func(dx, dy, y []S) // passes dy where y is not 0 (or NaN)
	add      func(dst, a, b []S)

	// maxPool2x2 takes the maxima of q windows in each of so many pairs of rows of w elements.
	maxPool2x2 func(dst, x []S, rows, w, q int)
	// maxPoolGrad2x2 writes the elements of dx that are in windows.
	maxPoolGrad2x2 func(dx, dy, x, y []S, rows, w, q int)
}

// rows are count rows of n elements of each array, stride elements apart.
type rows struct{ count, stride, n int }

// longest is the number of elements that a kernel is called for at once: Go
// cannot interrupt it.
const longest = 32 << 10

// vectorOf returns the loops for T.
func vectorOf[T float]() *vector[T] {
	var v any = current.vector
	if v, ok := v.(*vector[T]); ok {
		return v
	}
	if v = current.vector64; current.vector64 == nil {
		v = &plainVector64
	}
	return v.(*vector[T])
}

var (
	plainVector32 = plainVector[float32]()
	plainVector64 = plainVector[float64]()
)

// plainVector is the loops in Go.
func plainVector[T float]() vector[T] {
	return vector[T]{
		loops: loops[T, T]{
			sumsAbout: plainSumsAbout[T], sumAndDot: plainSumAndDot[T], normalize: plainNormalize[T], normalizeGrad: plainNormalizeGrad[T],
			relu: plainReLU[T], reluGrad: plainReLUGrad[T], add: plainAdd[T],
			maxPool2x2: plainMaxPool2x2[T], maxPoolGrad2x2: plainMaxPoolGrad2x2[T],
		},
		sum:        func(x []T) float64 { return sumRow(0.0, x) },
		sumSquares: func(x []T) float64 { return squareRow(0.0, x) },
		rowSums:    plainRowSums[T],
		addWide:    sumColumns[T, float64],
		sub:        plainSub[T], mul: plainMul[T], div: plainDiv[T], sqrt: plainSqrt[T],
		max: func(x []T) T { return maxRow(T(math.Inf(-1)), x) },
		exp: plainExp[T], sumExp: plainSumExp[T], expScaled: plainExpScaled[T],
		softmaxGrad: plainSoftmaxGrad[T], logSoftmaxGrad: plainLogSoftmaxGrad[T],
		adam: plainAdam[T], sgd: plainSGD[T],
	}
}

func plainSumsAbout[T float](x []T, r rows, near float64) (sum, squares float64) {
	var s0, s1, s2, s3, q0, q1, q2, q3 float64
	for k := range r.count {
		x := x[k*r.stride:][:r.n]
		i := 0
		for ; i+4 <= len(x); i += 4 {
			v := (*[4]T)(x[i:])
			v0, v1, v2, v3 := float64(v[0])-near, float64(v[1])-near, float64(v[2])-near, float64(v[3])-near
			s0 += v0
			s1 += v1
			s2 += v2
			s3 += v3
			q0 += v0 * v0
			q1 += v1 * v1
			q2 += v2 * v2
			q3 += v3 * v3
		}
		for _, v := range x[i:] {
			d := float64(v) - near
			s0 += d
			q0 += d * d
		}
	}
	return (s0 + s1) + (s2 + s3), (q0 + q1) + (q2 + q3)
}

func plainSumAndDot[T float](dy, x, y []T, r rows, mean float64) (sum, dot float64) {
	var s0, s1, s2, s3, d0, d1, d2, d3 float64
	for k := range r.count {
		at := k * r.stride
		dy, x := dy[at:][:r.n], x[at:][:r.n]
		i := 0
		for ; i+4 <= len(x); i += 4 {
			v, w := *(*[4]T)(dy[i:]), (*[4]T)(x[i:])
			if y != nil {
				for j, y := range (*[4]T)(y[at+i:]) {
					if y == 0 {
						v[j] = 0
					}
				}
			}
			v0, v1, v2, v3 := float64(v[0]), float64(v[1]), float64(v[2]), float64(v[3])
			s0 += v0
			s1 += v1
			s2 += v2
			s3 += v3
			d0 += v0 * (float64(w[0]) - mean)
			d1 += v1 * (float64(w[1]) - mean)
			d2 += v2 * (float64(w[2]) - mean)
			d3 += v3 * (float64(w[3]) - mean)
		}
		for ; i < len(x); i++ {
			v := float64(dy[i])
			if y != nil && y[at+i] == 0 {
				v = 0
			}
			s0 += v
			d0 += v * (float64(x[i]) - mean)
		}
	}
	return (s0 + s1) + (s2 + s3), (d0 + d1) + (d2 + d3)
}

func plainNormalize[T float](dst, x []T, r rows, mean, scale, shift T, relu bool) {
	for k := range r.count {
		dst, x := dst[k*r.stride:][:r.n], x[k*r.stride:][:r.n]
		i := 0
		for ; i+4 <= len(x); i += 4 {
			v, to := (*[4]T)(x[i:]), (*[4]T)(dst[i:])
			to[0] = T((v[0]-mean)*scale) + shift
			to[1] = T((v[1]-mean)*scale) + shift
			to[2] = T((v[2]-mean)*scale) + shift
			to[3] = T((v[3]-mean)*scale) + shift
		}
		for ; i < len(x); i++ {
			dst[i] = T((x[i]-mean)*scale) + shift
		}
		if relu {
			plainReLU(dst, dst)
		}
	}
}

func plainNormalizeGrad[T float](dx, dy, x, y []T, r rows, mean, dyMean, slope, scale T) {
	for k := range r.count {
		at := k * r.stride
		dx, dy, x := dx[at:][:r.n], dy[at:][:r.n], x[at:][:r.n]
		if y != nil {
			plainReLUGrad(dx, dy, y[at:][:r.n])
			dy = dx
		}
		i := 0
		for ; i+4 <= len(x); i += 4 {
			v, w, to := (*[4]T)(dy[i:]), (*[4]T)(x[i:]), (*[4]T)(dx[i:])
			to[0] = (v[0] - dyMean - T((w[0]-mean)*slope)) * scale
			to[1] = (v[1] - dyMean - T((w[1]-mean)*slope)) * scale
			to[2] = (v[2] - dyMean - T((w[2]-mean)*slope)) * scale
			to[3] = (v[3] - dyMean - T((w[3]-mean)*slope)) * scale
		}
		for ; i < len(x); i++ {
			dx[i] = (dy[i] - dyMean - T((x[i]-mean)*slope)) * scale
		}
	}
}

func plainRowSums[T float](dst []float64, x []T, n int) {
	for i := range dst {
		dst[i] = sumRow(0.0, x[i*n:][:n])
	}
}

func plainReLU[T float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = max(v, 0)
	}
}

func plainReLUGrad[T float](dx, dy, y []T) {
	// On the bits of the numbers the compiler selects without a jump, which nobody could predict.
	var t T
	if unsafe.Sizeof(t) == 4 {
		reluGradBits(bitsOf[uint32](dx), bitsOf[uint32](dy), bitsOf[uint32](y))
	} else {
		reluGradBits(bitsOf[uint64](dx), bitsOf[uint64](dy), bitsOf[uint64](y))
	}
}

func bitsOf[U uint32 | uint64, T float](s []T) []U {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*U)(unsafe.Pointer(&s[0])), len(s))
}

func reluGradBits[U uint32 | uint64](dx, dy, y []U) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		v := dy[i]
		if y[i]<<1 == 0 { // +0 or -0
			v = 0
		}
		dx[i] = v
	}
}

func plainAdd[T float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func plainSub[T float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func plainMul[T float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func plainDiv[T float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

func plainSqrt[T float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = sqrt(v)
	}
}

// exp returns e to the power of x. That of float32 is within one unit of the
// last place; assembly rounds at each of its steps as it does, so that the bits
// are the same. (The polynomial is that of Cephes' expf.)
func exp[T float](x T) T {
	if unsafe.Sizeof(x) == 8 {
		return T(math.Exp(float64(x)))
	}
	return T(exp32(float32(x)))
}

func exp32(x float32) float32 {
	const round = 12582912 // added, it leaves no bits behind the point
	x = max(min(x, 89), -104)
	t := float32(x*1.44269504088896341) + round
	n := t - round
	// The conversions keep the compiler from fusing products with sums.
	x -= float32(n * 0.693359375) // exact
	x -= float32(n * -2.12194440e-4)
	p := float32(1.9875691500e-4*x) + 1.3981999507e-3
	p = float32(p*x) + 8.3334519073e-3
	p = float32(p*x) + 4.1665795894e-2
	p = float32(p*x) + 1.6666665459e-1
	p = float32(p*x) + 5.0000001201e-1
	p = float32(float32(p*x)*x) + x + 1
	// Two powers of two, each a normal number, so that small results round once.
	const one = 127
	k := int32(math.Float32bits(t) - math.Float32bits(round))
	return p * math.Float32frombits(uint32(k>>1+one)<<23) * math.Float32frombits(uint32(k-k>>1+one)<<23)
}

func plainExp[T float](dst, x []T, shift T) (sum float64) {
	x = x[:len(dst)]
	for i, v := range x {
		e := exp(v - shift)
		dst[i] = e
		sum += float64(e)
	}
	return sum
}

func plainSumExp[T float](x []T, shift T) (sum float64) {
	for _, v := range x {
		sum += float64(exp(v - shift))
	}
	return sum
}

func plainExpScaled[T float](dst, x []T, shift, scale T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = exp(v-shift) * scale
	}
}

func plainSoftmaxGrad[T float](dx, dy, y []T, dot T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = (dy[i] - dot) * y[i]
	}
}

func plainLogSoftmaxGrad[T float](dx, dy, y []T, sum T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] - T(exp(y[i])*sum)
	}
}

// adamNumbers are what a step of Adam multiplies with. Assembly knows the order
// of the fields.
type adamNumbers[T float] struct {
	sign, decay, shrink, size, scale, eps, beta2, new1, new2 T
}

func plainAdam[T float](w, g, m, v, largest []T, p *adamNumbers[T]) {
	n := *p // a copy, whose fields the compiler keeps in registers
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for k := range w {
		d := n.sign * g[k]
		if n.decay != 0 {
			d += T(n.decay * w[k])
		}
		first := lerp(m[k], d, n.new1)
		second := T(v[k]*n.beta2) + T(n.new2*d*d)
		m[k] = first
		v[k] = second
		if largest != nil {
			second = max(second, largest[k])
			largest[k] = second
		}
		w[k] = T(n.shrink*w[k]) - n.size*first/(T(sqrt(second)*n.scale)+n.eps)
	}
}

// sgdNumbers are what a step of SGD multiplies with. Assembly knows the order of
// the fields.
type sgdNumbers[T float] struct {
	sign, decay, lr, mu, keep T
	nesterov                  bool
}

func plainSGD[T float](w, g, m []T, p *sgdNumbers[T]) {
	n := *p
	g, m = g[:len(w)], m[:len(w)]
	for k := range w {
		d := n.sign * g[k]
		if n.decay != 0 {
			d += T(n.decay * w[k])
		}
		b := T(n.mu*m[k]) + T(n.keep*d)
		m[k] = b
		if n.nesterov {
			b = d + T(n.mu*b)
		}
		w[k] -= T(n.lr * b)
	}
}

func plainMaxPool2x2[T float](dst, x []T, rows, w, q int) {
	for p := range rows {
		out := dst[p*q:][:q]
		a, b := pairs(x[2*p*w:], q), pairs(x[(2*p+1)*w:], q)
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = max(a[i][0], a[i][1], b[i][0], b[i][1])
		}
	}
}

// plainMaxPoolGrad2x2 finds the maximum's place without branches: in a random
// input every one of them would be mispredicted.
func plainMaxPoolGrad2x2[T float](dx, dy, x, y []T, rows, w, q int) {
	for p := range rows {
		top, bottom := 2*p*w, (2*p+1)*w
		a, b := pairs(x[top:], q), pairs(x[bottom:], q)
		da, db := pairs(dx[top:], q), pairs(dx[bottom:], q)
		m, d := y[p*q:][:len(a)], dy[p*q:][:len(a)]
		b, da, db = b[:len(a)], da[:len(a)], db[:len(a)]
		for i := range a {
			best := m[i]
			at := 3
			if b[i][0] == best {
				at = 2
			}
			if a[i][1] == best {
				at = 1
			}
			if a[i][0] == best {
				at = 0
			}
			if best != best {
				at = lastNaN([4]T{a[i][0], a[i][1], b[i][0], b[i][1]})
			}
			var tile [4]T
			tile[at&3] = d[i]
			da[i] = [2]T{tile[0], tile[1]}
			db[i] = [2]T{tile[2], tile[3]}
		}
	}
}

// pairs looks at 2n elements as n pairs, so that loops over them need no bounds
// checks.
func pairs[T float](s []T, n int) [][2]T {
	if n == 0 {
		return nil
	}
	s = s[:2*n]
	return unsafe.Slice((*[2]T)(unsafe.Pointer(&s[0])), n)
}

func lastNaN[T float](s [4]T) int {
	last := 0
	for i, v := range s {
		if v != v {
			last = i
		}
	}
	return last
}
