package kernels

import (
	"math"
	"unsafe"
)

// Vector is the loops that pass over memory once, in assembly for float32 where
// the machine has it. Elementwise ones give the same bits at every level and on every machine:
// conversions to the type that a product has already keep the compiler from fusing it with a sum,
// which it does for arm64. Sums are in float64 and differ in the order of additions, and in what is fused.
type Vector[T Float] struct {
	Loops[T, T]

	Sum, SumSquares func(x []T) float64
	RowSums         func(dst []float64, x []T, n int) // sum of each of len(dst) rows of n elements
	AddWide         func(dst []float64, x []T)        // adds each element of x to its own of dst
	Sub, Mul, Div   func(dst, a, b []T)
	Sqrt            func(dst, x []T)

	Max    func(x []T) T                     // NaN if one is NaN
	Exp    func(dst, x []T, shift T) float64 // computes dst = exp(x-shift) and returns the sum
	SumExp func(x []T, shift T) float64      // returns exp's sum
	// ExpScaled computes dst = exp(x-shift)·scale.
	ExpScaled func(dst, x []T, shift, scale T)
	// SoftmaxGrad computes dx = (dy-dot)·y, LogSoftmaxGrad dx = dy - exp(y)·sum.
	SoftmaxGrad, LogSoftmaxGrad func(dx, dy, y []T, dotOrSum T)

	Adam func(w, g, m, v, largest []T, p *AdamNumbers[T]) // largest may be nil
	SGD  func(w, g, m []T, p *SGDNumbers[T])

	// MaxPool3x3 takes the maxima of q windows of the rows a, b and c of w elements, and of those two rows further on, for
	// 1 and more rows of windows; window q begins at column 2q-1. It reports whether there is a NaN, and what it wrote is
	// of no use then. Where there is no assembly it is nil, as MaxPoolGrad3x3 is.
	MaxPool3x3 func(dst, a, b, c []T, rows, w, q int) (nan bool)
	// MaxPoolGrad3x3 gives dy to the first element of each window that is y: it adds to da, and writes db and dc. It
	// reports whether one of y is NaN, and what it wrote is of no use then.
	MaxPoolGrad3x3 func(da, db, dc, a, b, c, dy, y []T, rows, w, q int) (nan bool)
}

// Loops are those that bfloat16 arrays may have too: numbers lie in memory as S, to which results are rounded once,
// and are computed with as T.
type Loops[S any, T Float] struct {
	// SumsAbout returns Σ (x-near) and Σ (x-near)².
	SumsAbout func(x []S, r Rows, near float64) (sum, squares float64)
	// SumAndDot returns Σ dy and Σ dy·(x-mean), where y, if there is one, is not 0.
	SumAndDot func(dy, x, y []S, r Rows, mean float64) (sum, dot float64)
	// Normalize computes dst = (x-mean)·scale + shift, and its maximum with 0 if relu.
	Normalize func(dst, x []S, r Rows, mean, scale, shift T, relu bool)
	// NormalizeGrad computes dx = (dy - dyMean - (x-mean)·slope)·scale, with 0 for dy where y, if there is one, is 0.
	NormalizeGrad func(dx, dy, x, y []S, r Rows, mean, dyMean, slope, scale T)

	ReLU     func(dst, x []S)
	ReLUGrad func(dx, dy, y []S) // passes dy where y is not 0 (or NaN)
	Add      func(dst, a, b []S)

	// MaxPool2x2 takes the maxima of q windows in each of so many pairs of rows of w elements.
	MaxPool2x2 func(dst, x []S, rows, w, q int)
	// MaxPoolGrad2x2 writes the elements of dx that are in windows.
	MaxPoolGrad2x2 func(dx, dy, x, y []S, rows, w, q int)
}

// Rows are count rows of n elements of each array, stride elements apart.
type Rows struct{ Count, Stride, N int }

// Longest is the number of elements that a kernel is called for at once: Go
// cannot interrupt it.
const Longest = 32 << 10

// VectorOf returns the loops for T.
func VectorOf[T Float]() *Vector[T] {
	var v any = Current.Vector
	if v, ok := v.(*Vector[T]); ok {
		return v
	}
	if v = Current.vector64; Current.vector64 == nil {
		v = &PlainVector64
	}
	return v.(*Vector[T])
}

var (
	plainVector32 = plainVector[float32]()
	PlainVector64 = plainVector[float64]()
)

// plainVector is the loops in Go.
func plainVector[T Float]() Vector[T] {
	return Vector[T]{
		Loops: Loops[T, T]{
			SumsAbout: plainSumsAbout[T], SumAndDot: plainSumAndDot[T], Normalize: plainNormalize[T], NormalizeGrad: plainNormalizeGrad[T],
			ReLU: plainReLU[T], ReLUGrad: plainReLUGrad[T], Add: plainAdd[T],
			MaxPool2x2: plainMaxPool2x2[T], MaxPoolGrad2x2: plainMaxPoolGrad2x2[T],
		},
		Sum:        func(x []T) float64 { return SumRow(0.0, x) },
		SumSquares: func(x []T) float64 { return SquareRow(0.0, x) },
		RowSums:    plainRowSums[T],
		AddWide:    SumColumns[T, float64],
		Sub:        plainSub[T], Mul: plainMul[T], Div: plainDiv[T], Sqrt: plainSqrt[T],
		Max: func(x []T) T { return MaxRow(T(math.Inf(-1)), x) },
		Exp: plainExp[T], SumExp: plainSumExp[T], ExpScaled: plainExpScaled[T],
		SoftmaxGrad: plainSoftmaxGrad[T], LogSoftmaxGrad: plainLogSoftmaxGrad[T],
		Adam: plainAdam[T], SGD: plainSGD[T],
	}
}

func plainSumsAbout[T Float](x []T, r Rows, near float64) (sum, squares float64) {
	var s0, s1, s2, s3, q0, q1, q2, q3 float64
	for k := range r.Count {
		x := x[k*r.Stride:][:r.N]
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

func plainSumAndDot[T Float](dy, x, y []T, r Rows, mean float64) (sum, dot float64) {
	var s0, s1, s2, s3, d0, d1, d2, d3 float64
	for k := range r.Count {
		at := k * r.Stride
		dy, x := dy[at:][:r.N], x[at:][:r.N]
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

func plainNormalize[T Float](dst, x []T, r Rows, mean, scale, shift T, relu bool) {
	for k := range r.Count {
		dst, x := dst[k*r.Stride:][:r.N], x[k*r.Stride:][:r.N]
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

func plainNormalizeGrad[T Float](dx, dy, x, y []T, r Rows, mean, dyMean, slope, scale T) {
	for k := range r.Count {
		at := k * r.Stride
		dx, dy, x := dx[at:][:r.N], dy[at:][:r.N], x[at:][:r.N]
		if y != nil {
			plainReLUGrad(dx, dy, y[at:][:r.N])
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

func plainRowSums[T Float](dst []float64, x []T, n int) {
	for i := range dst {
		dst[i] = SumRow(0.0, x[i*n:][:n])
	}
}

func plainReLU[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = max(v, 0)
	}
}

func plainReLUGrad[T Float](dx, dy, y []T) {
	// On the bits of the numbers the compiler selects without a jump, which nobody could predict.
	var t T
	if unsafe.Sizeof(t) == 4 {
		reluGradBits(BitsOf[uint32](dx), BitsOf[uint32](dy), BitsOf[uint32](y))
	} else {
		reluGradBits(BitsOf[uint64](dx), BitsOf[uint64](dy), BitsOf[uint64](y))
	}
}

func BitsOf[U uint32 | uint64, T Float](s []T) []U {
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

func plainAdd[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

func plainSub[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

func plainMul[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

func plainDiv[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] / b[i]
	}
}

func plainSqrt[T Float](dst, x []T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = sqrt(v)
	}
}

// Exp returns e to the power of x. That of float32 is within one unit of the
// last place; assembly rounds at each of its steps as it does, so that the bits
// are the same. (The polynomial is that of Cephes' expf.)
func Exp[T Float](x T) T {
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

func plainExp[T Float](dst, x []T, shift T) (sum float64) {
	x = x[:len(dst)]
	for i, v := range x {
		e := Exp(v - shift)
		dst[i] = e
		sum += float64(e)
	}
	return sum
}

func plainSumExp[T Float](x []T, shift T) (sum float64) {
	for _, v := range x {
		sum += float64(Exp(v - shift))
	}
	return sum
}

func plainExpScaled[T Float](dst, x []T, shift, scale T) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = Exp(v-shift) * scale
	}
}

func plainSoftmaxGrad[T Float](dx, dy, y []T, dot T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = (dy[i] - dot) * y[i]
	}
}

func plainLogSoftmaxGrad[T Float](dx, dy, y []T, sum T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] - T(Exp(y[i])*sum)
	}
}

// AdamNumbers are what a step of Adam multiplies with. Assembly knows the order
// of the fields.
type AdamNumbers[T Float] struct {
	Sign, Decay, Shrink, Size, Scale, Eps, Beta2, New1, New2 T
}

func plainAdam[T Float](w, g, m, v, largest []T, p *AdamNumbers[T]) {
	n := *p // a copy, whose fields the compiler keeps in registers
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for k := range w {
		d := n.Sign * g[k]
		if n.Decay != 0 {
			d += T(n.Decay * w[k])
		}
		first := lerp(m[k], d, n.New1)
		second := T(v[k]*n.Beta2) + T(n.New2*d*d)
		m[k] = first
		v[k] = second
		if largest != nil {
			second = max(second, largest[k])
			largest[k] = second
		}
		w[k] = T(n.Shrink*w[k]) - n.Size*first/(T(sqrt(second)*n.Scale)+n.Eps)
	}
}

// SGDNumbers are what a step of SGD multiplies with. Assembly knows the order of
// the fields.
type SGDNumbers[T Float] struct {
	Sign, Decay, LR, Mu, Keep T
	Nesterov                  bool
}

func plainSGD[T Float](w, g, m []T, p *SGDNumbers[T]) {
	n := *p
	g, m = g[:len(w)], m[:len(w)]
	for k := range w {
		d := n.Sign * g[k]
		if n.Decay != 0 {
			d += T(n.Decay * w[k])
		}
		b := T(n.Mu*m[k]) + T(n.Keep*d)
		m[k] = b
		if n.Nesterov {
			b = d + T(n.Mu*b)
		}
		w[k] -= T(n.LR * b)
	}
}

func plainMaxPool2x2[T Float](dst, x []T, rows, w, q int) {
	for p := range rows {
		out := dst[p*q:][:q]
		a, b := Pairs(x[2*p*w:], q), Pairs(x[(2*p+1)*w:], q)
		a, b = a[:len(out)], b[:len(out)]
		for i := range out {
			out[i] = max(a[i][0], a[i][1], b[i][0], b[i][1])
		}
	}
}

// plainMaxPoolGrad2x2 finds the maximum's place without branches: in a random
// input every one of them would be mispredicted.
func plainMaxPoolGrad2x2[T Float](dx, dy, x, y []T, rows, w, q int) {
	for p := range rows {
		top, bottom := 2*p*w, (2*p+1)*w
		a, b := Pairs(x[top:], q), Pairs(x[bottom:], q)
		da, db := Pairs(dx[top:], q), Pairs(dx[bottom:], q)
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

// Pairs looks at 2n elements as n pairs, so that loops over them need no bounds
// checks.
func Pairs[T Float](s []T, n int) [][2]T {
	if n == 0 {
		return nil
	}
	s = s[:2*n]
	return unsafe.Slice((*[2]T)(unsafe.Pointer(&s[0])), n)
}

func lastNaN[T Float](s [4]T) int {
	last := 0
	for i, v := range s {
		if v != v {
			last = i
		}
	}
	return last
}
