package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"MaxPool2d", "takes the maximum of each window", testMaxPool2d},
		Row{"MaxPool2d", "NaN wins", testMaxPool2dNaN},
		Row{"MaxPool2d", "takes whole numbers", testMaxPool2dWhole},
		Row{"MaxPool2dIndices", "tells where the first maximum of each window is, or a NaN that has won", testMaxPool2dIndices},
		Row{"MaxPool2dGrad", "goes to the first maximum of each window", testMaxPool2dGrad},
		Row{"MaxPool2dGrad", "goes to a NaN where one has won", testMaxPool2dGradNaN},
		Row{"AvgPool2d", "takes the mean of each window", testAvgPool2d},
		Row{"AvgPool2dGrad", "gives dy to the elements of each window in equal parts", testAvgPool2dGrad},
		Row{"AdaptiveAvgPool2d", "takes means of windows from floor(p·H/P) to ceil((p+1)·H/P)", testAdaptiveAvgPool2d},
		Row{"AdaptiveAvgPool2dGrad", "gives dy to the elements of each window in equal parts", testAdaptiveAvgPool2dGrad},
		Row{"AvgPool2d", "the number of threads does not matter", testPoolThreads},
	)
}

// poolGeom fills in the size of the result, rounded down, or up if ceil.
func poolGeom(g backend.PoolGeom, ceil bool) backend.PoolGeom {
	size := func(n, kernel, stride, pad, dilation int) int {
		space := n + 2*pad - dilation*(kernel-1) - 1
		if ceil {
			space += stride - 1
		}
		out := space/stride + 1
		if ceil && (out-1)*stride >= n+pad {
			out-- // the last window would begin in the padding on the right
		}
		return out
	}
	g.P = size(g.H, g.KernelH, g.StrideH, g.PadH, max(g.DilationH, 1))
	g.Q = size(g.W, g.KernelW, g.StrideW, g.PadW, max(g.DilationW, 1))
	return g
}

// square is poolGeom with the same numbers along both dimensions.
func square(planes, h, w, kernel, stride, pad, dilation int, ceil bool) backend.PoolGeom {
	return poolGeom(backend.PoolGeom{
		Planes: planes, H: h, W: w, KernelH: kernel, KernelW: kernel, StrideH: stride, StrideW: stride,
		PadH: pad, PadW: pad, DilationH: dilation, DilationW: dilation,
	}, ceil)
}

var maxPoolGeoms = []backend.PoolGeom{
	square(1, 1, 1, 1, 1, 0, 1, false),
	square(3, 5, 7, 1, 1, 0, 1, false),
	square(3, 5, 7, 1, 2, 0, 1, false),
	square(5, 8, 6, 2, 2, 0, 1, false),
	square(2, 7, 9, 2, 2, 0, 1, false),
	square(2, 7, 9, 2, 2, 0, 1, true),
	square(2, 2, 2, 2, 2, 0, 1, false),
	square(2, 6, 6, 2, 2, 1, 1, false),
	square(2, 9, 8, 3, 2, 1, 1, false),
	square(2, 9, 8, 3, 2, 1, 1, true),
	square(2, 9, 8, 3, 1, 1, 1, false),
	square(2, 9, 8, 2, 3, 0, 1, true),
	square(1, 11, 13, 3, 2, 1, 2, false),
	square(1, 11, 13, 3, 3, 2, 2, true),
	square(0, 4, 4, 2, 2, 0, 1, false),
	square(40, 33, 31, 3, 2, 1, 1, false),
	poolGeom(backend.PoolGeom{Planes: 3, H: 10, W: 7, KernelH: 4, KernelW: 1, StrideH: 2, StrideW: 3, PadH: 2, DilationH: 1, DilationW: 1}, false),
	poolGeom(backend.PoolGeom{Planes: 2, H: 5, W: 12, KernelH: 2, KernelW: 3, StrideH: 1, StrideW: 2, PadW: 1, DilationH: 3, DilationW: 2}, true),
}

// eachWindow calls f for each element of the result with the positions in x
// of the elements of its window that lie inside the input.
func eachWindow(g backend.PoolGeom, f func(out int, at []int)) {
	for out := range g.Planes * g.P * g.Q {
		i, p, q := out/(g.P*g.Q), out/g.Q%g.P, out%g.Q
		var at []int
		for r := range g.KernelH {
			for s := range g.KernelW {
				h, w := p*g.StrideH-g.PadH+r*max(g.DilationH, 1), q*g.StrideW-g.PadW+s*max(g.DilationW, 1)
				if h >= 0 && h < g.H && w >= 0 && w < g.W {
					at = append(at, (i*g.H+h)*g.W+w)
				}
			}
		}
		f(out, at)
	}
}

// maxPoolSlowly returns the maxima and the position in x of each.
func maxPoolSlowly(x []float64, g backend.PoolGeom) (y []float64, index []int) {
	y, index = make([]float64, g.Planes*g.P*g.Q), make([]int, g.Planes*g.P*g.Q)
	eachWindow(g, func(out int, at []int) {
		y[out], index[out] = math.Inf(-1), at[0]
		for _, i := range at {
			if x[i] > y[out] || math.IsNaN(x[i]) {
				y[out], index[out] = x[i], i
			}
		}
	})
	return y, index
}

// coarse returns n numbers of which many are equal.
func coarse(seed uint64, n int) []float64 {
	x := random(seed, n)
	for i := range x {
		x[i] = math.Round(4 * x[i])
	}
	return x
}

func testMaxPool2d(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := random(3, g.Planes*g.H*g.W)
		want, _ := maxPoolSlowly(x, g)
		dst := empty[float32](be, len(want))
		be.MaxPool2d(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, 0)
		dst = empty[float64](be, len(want))
		be.MaxPool2d(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, 0)
	}
}

func testMaxPool2dWhole(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := random(3, g.Planes*g.H*g.W)
		large, bytes := make([]int64, len(x)), make([]uint8, len(x))
		for i, v := range x {
			large[i] = int64(1000*v)<<32 - 1<<40 // float64 would do for these, and not for what lies between them
			bytes[i] = uint8(int64(100 * v))
		}
		testMaxPool2dOf(t, be, large, g)
		testMaxPool2dOf(t, be, bytes, g)
	}
	x := []int64{1<<62 + 1, 1<<62 + 2, 1<<62 + 3, 1 << 62}
	testMaxPool2dOf(t, be, x, square(1, 2, 2, 2, 2, 0, 1, false))
	testMaxPool2dOf(t, be, []int64{math.MinInt64, -1, -2, math.MinInt64}, square(1, 2, 2, 2, 1, 1, 1, false))
}

func testMaxPool2dOf[T int64 | uint8](t *testing.T, be backend.Backend, x []T, g backend.PoolGeom) {
	t.Helper()
	want, index := make([]T, g.Planes*g.P*g.Q), make([]int64, g.Planes*g.P*g.Q)
	eachWindow(g, func(out int, at []int) {
		best := at[0]
		for _, i := range at {
			if x[i] > x[best] {
				best = i
			}
		}
		want[out], index[out] = x[best], int64(best%(g.H*g.W))
	})
	what := fmt.Sprintf("%v %+v", dtypeOf[T](), g)
	in, dst, indices := put(be, x), empty[T](be, len(want)), empty[int64](be, len(want))
	be.MaxPool2d(dst, in, g)
	wantExact(t, be, what, dst, want)
	be.MaxPool2dIndices(indices, in, dst, g)
	wantExact(t, be, what+" indices", indices, index)
}

func testMaxPool2dIndices(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		n := g.Planes * g.H * g.W
		for _, x := range [][]float64{random(3, n), coarse(3, n), withNaNs(n)} {
			testMaxPool2dIndicesOf[float32](t, be, x, g)
			testMaxPool2dIndicesOf[float64](t, be, x, g)
		}
	}
	g := square(1, 4, 4, 2, 1, 1, 5, false) // its window has no element of the input
	y, at := put(be, []float32{float32(math.Inf(-1))}), empty[int64](be, 1)
	be.MaxPool2dIndices(at, floats[float32](be, random(3, 16)), y, g)
	wantExact(t, be, "a window without elements", at, []int64{-1})
}

func testMaxPool2dIndicesOf[T float32 | float64](t *testing.T, be backend.Backend, x []float64, g backend.PoolGeom) {
	t.Helper()
	for i, v := range x {
		x[i] = float64(T(v))
	}
	y, index := maxPoolSlowly(x, g)
	want := make([]int64, len(index))
	for i, at := range index {
		want[i] = int64(at % (g.H * g.W))
	}
	in, dst, at := floats[T](be, x), empty[T](be, len(y)), empty[int64](be, len(y))
	be.MaxPool2d(dst, in, g)
	be.MaxPool2dIndices(at, in, dst, g)
	wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), at, want)
}

// widePoolGeoms are kernels much larger than the input, which lies in their padding.
var widePoolGeoms = []backend.PoolGeom{
	square(2, 3, 4, 64, 1, 32, 1, false),
	poolGeom(backend.PoolGeom{Planes: 1, H: 2, W: 3, KernelH: 1 << 12, KernelW: 2, StrideH: 1, StrideW: 1, PadH: 1 << 11, PadW: 1, DilationH: 1, DilationW: 1}, false),
	poolGeom(backend.PoolGeom{Planes: 1, H: 3, W: 2, KernelH: 2, KernelW: 1 << 14, StrideH: 1, StrideW: 1 << 20, PadH: 1, PadW: 1 << 13, DilationH: 1, DilationW: 1}, true),
}

// withNaNs returns n numbers, some of them NaN and some -Inf.
func withNaNs(n int) []float64 {
	x := random(5, n)
	for i := range x {
		switch {
		case i%11 == 3 || i%11 == 4:
			x[i] = math.NaN()
		case i%5 != 0:
			x[i] = math.Inf(-1)
		}
	}
	return x
}

func testMaxPool2dNaN(t *testing.T, be backend.Backend) {
	for _, g := range maxPoolGeoms {
		x := withNaNs(g.Planes * g.H * g.W)
		want, _ := maxPoolSlowly(x, g)
		dst := empty[float32](be, len(want))
		be.MaxPool2d(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("%+v", g), dst, want, 0)
	}
}

func testMaxPool2dGrad(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := coarse(3, g.Planes*g.H*g.W)
		testMaxPool2dGradOf[float32](t, be, x, g)
		testMaxPool2dGradOf[float64](t, be, x, g)
	}
}

func testMaxPool2dGradNaN(t *testing.T, be backend.Backend) {
	for _, g := range maxPoolGeoms {
		testMaxPool2dGradOf[float32](t, be, withNaNs(g.Planes*g.H*g.W), g)
	}
}

func testMaxPool2dGradOf[T float32 | float64](t *testing.T, be backend.Backend, x []float64, g backend.PoolGeom) {
	y, index := maxPoolSlowly(x, g)
	dy := random(4, len(y))
	want := make([]float64, len(x))
	for i, at := range index {
		want[at] += dy[i]
	}
	dx := empty[T](be, len(x))
	be.MaxPool2dGrad(dx, floats[T](be, dy), floats[T](be, x), floats[T](be, y), g)
	wantFloats(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dx, want, tolerance[T]())
}

// avgPoolGeoms returns the geometries of max pooling that average pooling has
// too, with each way to divide.
func avgPoolGeoms() []backend.PoolGeom {
	var all []backend.PoolGeom
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		if g.DilationH > 1 || g.DilationW > 1 {
			continue
		}
		g.DilationH, g.DilationW = 0, 0
		exclude, divisor := g, g
		exclude.ExcludePad = true
		divisor.Divisor = 3
		all = append(all, g, exclude, divisor)
	}
	return all
}

// avgDivisor is by what the sum of a window is divided: a window is counted as
// far as the padded input reaches.
func avgDivisor(g backend.PoolGeom, out, inside int) float64 {
	p, q := out/g.Q%g.P, out%g.Q
	switch {
	case g.Divisor != 0:
		return float64(g.Divisor)
	case g.ExcludePad:
		return float64(inside)
	}
	h, w := min(p*g.StrideH+g.KernelH, g.H+2*g.PadH)-p*g.StrideH, min(q*g.StrideW+g.KernelW, g.W+2*g.PadW)-q*g.StrideW
	return float64(h * w)
}

func testAvgPool2d(t *testing.T, be backend.Backend) {
	for _, g := range avgPoolGeoms() {
		x := random(3, g.Planes*g.H*g.W)
		want := make([]float64, g.Planes*g.P*g.Q)
		eachWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[out] += x[i]
			}
			want[out] /= avgDivisor(g, out, len(at))
		})
		dst := empty[float32](be, len(want))
		be.AvgPool2d(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, tolerance[float32]())
		dst = empty[float64](be, len(want))
		be.AvgPool2d(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, tolerance[float64]())
	}
}

func testAvgPool2dGrad(t *testing.T, be backend.Backend) {
	for _, g := range avgPoolGeoms() {
		dy := random(3, g.Planes*g.P*g.Q)
		want := make([]float64, g.Planes*g.H*g.W)
		eachWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[i] += dy[out] / avgDivisor(g, out, len(at))
			}
		})
		dx := empty[float32](be, len(want))
		be.AvgPool2dGrad(dx, floats[float32](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dx, want, tolerance[float32]())
		dx = empty[float64](be, len(want))
		be.AvgPool2dGrad(dx, floats[float64](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dx, want, tolerance[float64]())
	}
}

var adaptiveGeoms = []backend.PoolGeom{
	{Planes: 1, H: 1, W: 1, P: 1, Q: 1},
	{Planes: 3, H: 7, W: 7, P: 1, Q: 1},
	{Planes: 3, H: 7, W: 5, P: 7, Q: 5},
	{Planes: 2, H: 10, W: 7, P: 3, Q: 4},
	{Planes: 2, H: 2, W: 3, P: 7, Q: 7},
	{Planes: 2, H: 8, W: 8, P: 4, Q: 2},
	{Planes: 0, H: 8, W: 8, P: 4, Q: 2},
	{Planes: 2, H: 8, W: 8, P: 0, Q: 2},
	{Planes: 50, H: 32, W: 31, P: 7, Q: 6},
}

// eachAdaptiveWindow calls f for each element of the result with the positions
// in x of the elements of its window.
func eachAdaptiveWindow(g backend.PoolGeom, f func(out int, at []int)) {
	floor := func(p, n, count int) int { return int(math.Floor(float64(p) * float64(n) / float64(count))) }
	ceil := func(p, n, count int) int { return int(math.Ceil(float64(p) * float64(n) / float64(count))) }
	for out := range g.Planes * g.P * g.Q {
		i, p, q := out/(g.P*g.Q), out/g.Q%g.P, out%g.Q
		var at []int
		for h := floor(p, g.H, g.P); h < ceil(p+1, g.H, g.P); h++ {
			for w := floor(q, g.W, g.Q); w < ceil(q+1, g.W, g.Q); w++ {
				at = append(at, (i*g.H+h)*g.W+w)
			}
		}
		f(out, at)
	}
}

func testAdaptiveAvgPool2d(t *testing.T, be backend.Backend) {
	for _, g := range adaptiveGeoms {
		x := random(3, g.Planes*g.H*g.W)
		want := make([]float64, g.Planes*g.P*g.Q)
		eachAdaptiveWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[out] += x[i] / float64(len(at))
			}
		})
		dst := empty[float32](be, len(want))
		be.AdaptiveAvgPool2d(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, tolerance[float32]())
		dst = empty[float64](be, len(want))
		be.AdaptiveAvgPool2d(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, tolerance[float64]())
	}
}

func testAdaptiveAvgPool2dGrad(t *testing.T, be backend.Backend) {
	for _, g := range adaptiveGeoms {
		dy := random(3, g.Planes*g.P*g.Q)
		want := make([]float64, g.Planes*g.H*g.W)
		eachAdaptiveWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[i] += dy[out] / float64(len(at))
			}
		})
		dx := empty[float32](be, len(want))
		be.AdaptiveAvgPool2dGrad(dx, floats[float32](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dx, want, tolerance[float32]())
		dx = empty[float64](be, len(want))
		be.AdaptiveAvgPool2dGrad(dx, floats[float64](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dx, want, tolerance[float64]())
	}
}

func testPoolThreads(t *testing.T, be backend.Backend) {
	g := square(40, 33, 31, 3, 2, 1, 0, false)
	x := floats[float32](be, random(6, g.Planes*g.H*g.W))
	sameOnAnyThreads(t, func() []float32 {
		y, dx := empty[float32](be, g.Planes*g.P*g.Q), empty[float32](be, x.Len)
		be.AvgPool2d(y, x, g)
		be.AvgPool2dGrad(dx, y, g)
		return append(get[float32](be, y), get[float32](be, dx)...)
	})
}
