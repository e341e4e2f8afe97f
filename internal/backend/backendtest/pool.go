package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	rows = append(rows,
		Row{"MaxPool", "takes the maximum of each window", testMaxPool},
		Row{"MaxPool", "NaN wins", testMaxPoolNaN},
		Row{"MaxPool", "takes whole numbers", testMaxPoolWhole},
		Row{"MaxPoolIndices", "tells where the first maximum of each window is, or a NaN that has won", testMaxPoolIndices},
		Row{"MaxPoolGrad", "goes to the first maximum of each window", testMaxPoolGrad},
		Row{"MaxPoolGrad", "goes to a NaN where one has won", testMaxPoolGradNaN},
		Row{"AvgPool", "takes the mean of each window", testAvgPool},
		Row{"AvgPoolGrad", "gives dy to the elements of each window in equal parts", testAvgPoolGrad},
		Row{"AdaptiveAvgPool", "takes means of windows from floor(p·H/P) to ceil((p+1)·H/P) along each dimension", testAdaptiveAvgPool},
		Row{"AdaptiveAvgPoolGrad", "gives dy to the elements of each window in equal parts", testAdaptiveAvgPoolGrad},
		Row{"AvgPool", "the number of threads does not matter", testPoolThreads},
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
	for d := range 3 {
		g.Out[d] = size(g.In[d], g.Kernel[d], g.Stride[d], g.Pad[d], max(g.Dilation[d], 1))
	}
	return g
}

// square is poolGeom with the same numbers along both dimensions.
func square(planes, h, w, kernel, stride, pad, dilation int, ceil bool) backend.PoolGeom {
	return poolGeom(backend.PoolGeom{Planes: planes, In: [3]int{1, h, w}, Kernel: [3]int{1, kernel, kernel}, Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad}, Dilation: [3]int{1, dilation, dilation}}, ceil)
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
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{1, 10, 7}, Kernel: [3]int{1, 4, 1}, Stride: [3]int{1, 2, 3}, Pad: [3]int{0, 2, 0}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 2, In: [3]int{1, 5, 12}, Kernel: [3]int{1, 2, 3}, Stride: [3]int{1, 1, 2}, Pad: [3]int{0, 0, 1}, Dilation: [3]int{1, 3, 2}}, true),
	// Over one dimension.
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{1, 1, 31}, Kernel: [3]int{1, 1, 3}, Stride: [3]int{1, 1, 2}, Pad: [3]int{0, 0, 1}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{1, 1, 30}, Kernel: [3]int{1, 1, 4}, Stride: [3]int{1, 1, 3}, Pad: [3]int{0, 0, 2}, Dilation: [3]int{1, 1, 2}}, true),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{1, 1, 32}, Kernel: [3]int{1, 1, 2}, Stride: [3]int{1, 1, 2}, Dilation: [3]int{1, 1, 1}}, false),
	// Over three.
	cube(3, 4, 5, 7, 1, 1, 0, 1, false),
	cube(3, 4, 5, 7, 1, 2, 0, 1, false),
	cube(5, 4, 8, 6, 2, 2, 0, 1, false),
	cube(2, 5, 7, 9, 2, 2, 0, 1, true),
	cube(2, 6, 9, 8, 3, 2, 1, 1, false),
	cube(2, 6, 9, 8, 3, 1, 1, 1, true),
	cube(2, 5, 9, 8, 2, 3, 1, 1, true),
	cube(2, 8, 7, 9, 3, 2, 1, 2, false),
	cube(0, 4, 4, 4, 2, 2, 0, 1, false),
	cube(20, 9, 17, 15, 3, 2, 1, 1, false),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{4, 6, 8}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 2, 2}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{4, 6, 8}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}, Dilation: [3]int{3, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{5, 6, 8}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{2, 2, 2}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 3, In: [3]int{7, 4, 5}, Kernel: [3]int{3, 1, 1}, Stride: [3]int{2, 1, 1}, Pad: [3]int{1, 0, 0}, Dilation: [3]int{2, 1, 1}}, true),
	poolGeom(backend.PoolGeom{Planes: 2, In: [3]int{6, 7, 8}, Kernel: [3]int{2, 3, 4}, Stride: [3]int{3, 1, 2}, Pad: [3]int{1, 0, 2}, Dilation: [3]int{3, 2, 1}}, true),
}

// cube is poolGeom with the same numbers along all three dimensions.
func cube(planes, d, h, w, kernel, stride, pad, dilation int, ceil bool) backend.PoolGeom {
	all := func(n int) [3]int { return [3]int{n, n, n} }
	return poolGeom(backend.PoolGeom{
		Planes: planes, In: [3]int{d, h, w}, Kernel: all(kernel), Stride: all(stride), Pad: all(pad), Dilation: all(dilation),
	}, ceil)
}

// eachWindow calls f for each element of the result with the positions in x
// of the elements of its window that lie inside the input.
func eachWindow(g backend.PoolGeom, f func(out int, at []int)) {
	for i := range g.Planes {
		each(g.Out, func(o int, p [3]int) {
			var at []int
			each(g.Kernel, func(_ int, r [3]int) {
				place := i
				for d := range 3 {
					x := p[d]*g.Stride[d] - g.Pad[d] + r[d]*max(g.Dilation[d], 1)
					if x < 0 || x >= g.In[d] {
						return
					}
					place = place*g.In[d] + x
				}
				at = append(at, place)
			})
			f(i*volume(g.Out)+o, at)
		})
	}
}

// maxPoolSlowly returns the maxima and the position in x of each.
func maxPoolSlowly(x []float64, g backend.PoolGeom) (y []float64, index []int) {
	y, index = make([]float64, g.Planes*volume(g.Out)), make([]int, g.Planes*volume(g.Out))
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

func testMaxPool(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := random(3, g.Planes*volume(g.In))
		want, _ := maxPoolSlowly(x, g)
		dst := empty[float32](be, len(want))
		be.MaxPool(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, 0)
		dst = empty[float64](be, len(want))
		be.MaxPool(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, 0)
	}
}

func testMaxPoolWhole(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := random(3, g.Planes*volume(g.In))
		large, bytes := make([]int64, len(x)), make([]uint8, len(x))
		for i, v := range x {
			large[i] = int64(1000*v)<<32 - 1<<40 // float64 would do for these, and not for what lies between them
			bytes[i] = uint8(int64(100 * v))
		}
		testMaxPoolOf(t, be, large, g)
		testMaxPoolOf(t, be, bytes, g)
	}
	x := []int64{1<<62 + 1, 1<<62 + 2, 1<<62 + 3, 1 << 62}
	testMaxPoolOf(t, be, x, square(1, 2, 2, 2, 2, 0, 1, false))
	testMaxPoolOf(t, be, []int64{math.MinInt64, -1, -2, math.MinInt64}, square(1, 2, 2, 2, 1, 1, 1, false))
}

func testMaxPoolOf[T int64 | uint8](t *testing.T, be backend.Backend, x []T, g backend.PoolGeom) {
	t.Helper()
	want, index := make([]T, g.Planes*volume(g.Out)), make([]int64, g.Planes*volume(g.Out))
	eachWindow(g, func(out int, at []int) {
		best := at[0]
		for _, i := range at {
			if x[i] > x[best] {
				best = i
			}
		}
		want[out], index[out] = x[best], int64(best%volume(g.In))
	})
	what := fmt.Sprintf("%v %+v", dtypeOf[T](), g)
	in, dst, indices := put(be, x), empty[T](be, len(want)), empty[int64](be, len(want))
	be.MaxPool(dst, in, g)
	wantExact(t, be, what, dst, want)
	be.MaxPoolIndices(indices, in, dst, g)
	wantExact(t, be, what+" indices", indices, index)
}

func testMaxPoolIndices(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		n := g.Planes * volume(g.In)
		for _, x := range [][]float64{random(3, n), coarse(3, n), withNaNs(n)} {
			testMaxPoolIndicesOf[float32](t, be, x, g)
			testMaxPoolIndicesOf[float64](t, be, x, g)
		}
	}
	g := square(1, 4, 4, 2, 1, 1, 5, false) // its window has no element of the input
	y, at := put(be, []float32{float32(math.Inf(-1))}), empty[int64](be, 1)
	be.MaxPoolIndices(at, floats[float32](be, random(3, 16)), y, g)
	wantExact(t, be, "a window without elements", at, []int64{-1})
}

func testMaxPoolIndicesOf[T float32 | float64](t *testing.T, be backend.Backend, x []float64, g backend.PoolGeom) {
	t.Helper()
	for i, v := range x {
		x[i] = float64(T(v))
	}
	y, index := maxPoolSlowly(x, g)
	want := make([]int64, len(index))
	for i, at := range index {
		want[i] = int64(at % volume(g.In))
	}
	in, dst, at := floats[T](be, x), empty[T](be, len(y)), empty[int64](be, len(y))
	be.MaxPool(dst, in, g)
	be.MaxPoolIndices(at, in, dst, g)
	wantExact(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), at, want)
}

// widePoolGeoms are kernels much larger than the input, which lies in their padding.
var widePoolGeoms = []backend.PoolGeom{
	square(2, 3, 4, 64, 1, 32, 1, false),
	cube(1, 2, 3, 2, 16, 1, 8, 1, false),
	poolGeom(backend.PoolGeom{Planes: 1, In: [3]int{2, 2, 3}, Kernel: [3]int{1 << 12, 2, 1}, Stride: [3]int{1, 1, 1}, Pad: [3]int{1 << 11, 1, 0}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 1, In: [3]int{1, 2, 3}, Kernel: [3]int{1, 1 << 12, 2}, Stride: [3]int{1, 1, 1}, Pad: [3]int{0, 1 << 11, 1}, Dilation: [3]int{1, 1, 1}}, false),
	poolGeom(backend.PoolGeom{Planes: 1, In: [3]int{1, 3, 2}, Kernel: [3]int{1, 2, 1 << 14}, Stride: [3]int{1, 1, 1 << 20}, Pad: [3]int{0, 1, 1 << 13}, Dilation: [3]int{1, 1, 1}}, true),
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

func testMaxPoolNaN(t *testing.T, be backend.Backend) {
	for _, g := range maxPoolGeoms {
		x := withNaNs(g.Planes * volume(g.In))
		want, _ := maxPoolSlowly(x, g)
		dst := empty[float32](be, len(want))
		be.MaxPool(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("%+v", g), dst, want, 0)
	}
}

func testMaxPoolGrad(t *testing.T, be backend.Backend) {
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		x := coarse(3, g.Planes*volume(g.In))
		testMaxPoolGradOf[float32](t, be, x, g)
		testMaxPoolGradOf[float64](t, be, x, g)
	}
}

func testMaxPoolGradNaN(t *testing.T, be backend.Backend) {
	for _, g := range maxPoolGeoms {
		testMaxPoolGradOf[float32](t, be, withNaNs(g.Planes*volume(g.In)), g)
	}
}

func testMaxPoolGradOf[T float32 | float64](t *testing.T, be backend.Backend, x []float64, g backend.PoolGeom) {
	y, index := maxPoolSlowly(x, g)
	dy := random(4, len(y))
	want := make([]float64, len(x))
	for i, at := range index {
		want[at] += dy[i]
	}
	dx := empty[T](be, len(x))
	be.MaxPoolGrad(dx, floats[T](be, dy), floats[T](be, x), floats[T](be, y), g)
	wantFloats(t, be, fmt.Sprintf("%v %+v", dtypeOf[T](), g), dx, want, tolerance[T]())
}

// avgPoolGeoms returns the geometries of max pooling that average pooling has
// too, with each way to divide.
func avgPoolGeoms() []backend.PoolGeom {
	var all []backend.PoolGeom
	for _, g := range append(maxPoolGeoms, widePoolGeoms...) {
		if max(g.Dilation[0], g.Dilation[1], g.Dilation[2]) > 1 {
			continue
		}
		g.Dilation = [3]int{}
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
	switch {
	case g.Divisor != 0:
		return float64(g.Divisor)
	case g.ExcludePad:
		return float64(inside)
	}
	n := 1
	out %= volume(g.Out)
	for d, p := range [3]int{out / (g.Out[1] * g.Out[2]), out / g.Out[2] % g.Out[1], out % g.Out[2]} {
		n *= min(p*g.Stride[d]+g.Kernel[d], g.In[d]+2*g.Pad[d]) - p*g.Stride[d]
	}
	return float64(n)
}

func testAvgPool(t *testing.T, be backend.Backend) {
	for _, g := range avgPoolGeoms() {
		x := random(3, g.Planes*volume(g.In))
		want := make([]float64, g.Planes*volume(g.Out))
		eachWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[out] += x[i]
			}
			want[out] /= avgDivisor(g, out, len(at))
		})
		dst := empty[float32](be, len(want))
		be.AvgPool(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, tolerance[float32]())
		dst = empty[float64](be, len(want))
		be.AvgPool(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, tolerance[float64]())
	}
}

func testAvgPoolGrad(t *testing.T, be backend.Backend) {
	for _, g := range avgPoolGeoms() {
		dy := random(3, g.Planes*volume(g.Out))
		want := make([]float64, g.Planes*volume(g.In))
		eachWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[i] += dy[out] / avgDivisor(g, out, len(at))
			}
		})
		dx := empty[float32](be, len(want))
		be.AvgPoolGrad(dx, floats[float32](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dx, want, tolerance[float32]())
		dx = empty[float64](be, len(want))
		be.AvgPoolGrad(dx, floats[float64](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dx, want, tolerance[float64]())
	}
}

var adaptiveGeoms = []backend.PoolGeom{
	{Planes: 1, In: [3]int{1, 1, 1}, Out: [3]int{1, 1, 1}},
	{Planes: 3, In: [3]int{1, 7, 7}, Out: [3]int{1, 1, 1}},
	{Planes: 3, In: [3]int{1, 7, 5}, Out: [3]int{1, 7, 5}},
	{Planes: 2, In: [3]int{1, 10, 7}, Out: [3]int{1, 3, 4}},
	{Planes: 2, In: [3]int{1, 2, 3}, Out: [3]int{1, 7, 7}},
	{Planes: 2, In: [3]int{1, 8, 8}, Out: [3]int{1, 4, 2}},
	{Planes: 0, In: [3]int{1, 8, 8}, Out: [3]int{1, 4, 2}},
	{Planes: 2, In: [3]int{1, 8, 8}, Out: [3]int{1, 0, 2}},
	{Planes: 50, In: [3]int{1, 32, 31}, Out: [3]int{1, 7, 6}},
	{Planes: 3, In: [3]int{1, 1, 29}, Out: [3]int{1, 1, 6}},
	{Planes: 3, In: [3]int{4, 5, 6}, Out: [3]int{4, 2, 3}},
	{Planes: 3, In: [3]int{4, 5, 6}, Out: [3]int{4, 5, 6}},
	{Planes: 3, In: [3]int{5, 7, 6}, Out: [3]int{3, 2, 4}},
	{Planes: 3, In: [3]int{5, 7, 6}, Out: [3]int{1, 1, 1}},
	{Planes: 2, In: [3]int{2, 3, 2}, Out: [3]int{5, 4, 3}},
	{Planes: 2, In: [3]int{2, 3, 2}, Out: [3]int{0, 4, 3}},
	{Planes: 20, In: [3]int{9, 12, 11}, Out: [3]int{4, 7, 6}},
}

// eachAdaptiveWindow calls f for each element of the result with the positions
// in x of the elements of its window.
func eachAdaptiveWindow(g backend.PoolGeom, f func(out int, at []int)) {
	floor := func(p, n, count int) int { return int(math.Floor(float64(p) * float64(n) / float64(count))) }
	ceil := func(p, n, count int) int { return int(math.Ceil(float64(p) * float64(n) / float64(count))) }
	for i := range g.Planes {
		each(g.Out, func(o int, p [3]int) {
			var from, size [3]int
			for d := range 3 {
				from[d] = floor(p[d], g.In[d], g.Out[d])
				size[d] = ceil(p[d]+1, g.In[d], g.Out[d]) - from[d]
			}
			var at []int
			each(size, func(_ int, r [3]int) {
				at = append(at, ((i*g.In[0]+from[0]+r[0])*g.In[1]+from[1]+r[1])*g.In[2]+from[2]+r[2])
			})
			f(i*volume(g.Out)+o, at)
		})
	}
}

func testAdaptiveAvgPool(t *testing.T, be backend.Backend) {
	for _, g := range adaptiveGeoms {
		x := random(3, g.Planes*volume(g.In))
		want := make([]float64, g.Planes*volume(g.Out))
		eachAdaptiveWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[out] += x[i] / float64(len(at))
			}
		})
		dst := empty[float32](be, len(want))
		be.AdaptiveAvgPool(dst, floats[float32](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dst, want, tolerance[float32]())
		dst = empty[float64](be, len(want))
		be.AdaptiveAvgPool(dst, floats[float64](be, x), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dst, want, tolerance[float64]())
	}
}

func testAdaptiveAvgPoolGrad(t *testing.T, be backend.Backend) {
	for _, g := range adaptiveGeoms {
		dy := random(3, g.Planes*volume(g.Out))
		want := make([]float64, g.Planes*volume(g.In))
		eachAdaptiveWindow(g, func(out int, at []int) {
			for _, i := range at {
				want[i] += dy[out] / float64(len(at))
			}
		})
		dx := empty[float32](be, len(want))
		be.AdaptiveAvgPoolGrad(dx, floats[float32](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float32 %+v", g), dx, want, tolerance[float32]())
		dx = empty[float64](be, len(want))
		be.AdaptiveAvgPoolGrad(dx, floats[float64](be, dy), g)
		wantFloats(t, be, fmt.Sprintf("float64 %+v", g), dx, want, tolerance[float64]())
	}
}

func testPoolThreads(t *testing.T, be backend.Backend) {
	g := square(40, 33, 31, 3, 2, 1, 0, false)
	x := floats[float32](be, random(6, g.Planes*volume(g.In)))
	sameOnAnyThreads(t, func() []float32 {
		y, dx := empty[float32](be, g.Planes*volume(g.Out)), empty[float32](be, x.Len)
		be.AvgPool(y, x, g)
		be.AvgPoolGrad(dx, y, g)
		return append(get[float32](be, y), get[float32](be, dx)...)
	})
}
