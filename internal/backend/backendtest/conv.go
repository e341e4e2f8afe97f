package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	both := func(f32, f64 func(t *testing.T, be backend.Backend, c convCase)) func(t *testing.T, be backend.Backend) {
		return func(t *testing.T, be backend.Backend) {
			for _, c := range convCases() {
				t.Run(c.name+"/float32", func(t *testing.T) { f32(t, be, c) })
				t.Run(c.name+"/float64", func(t *testing.T) { f64(t, be, c) })
			}
		}
	}
	rows = append(rows,
		Row{"Conv2d", "convolves for every stride, padding, dilation and number of groups, with and without scale, bias and ReLU", both(testConv2d[float32], testConv2d[float64])},
		Row{"Conv2dInputGrad", "gives each input the sum of what it sent through the weights", both(testConv2dInputGrad[float32], testConv2dInputGrad[float64])},
		Row{"SetAlgorithms", "deterministic convolutions give the same bits each time, measured or not", testSetAlgorithms},
		Row{"Conv2dWeightGrad", "gives each weight the sum over all pixels of all images", both(testConv2dWeightGrad[float32], testConv2dWeightGrad[float64])},
	)
}

type convCase struct {
	name string
	g    backend.ConvGeom
}

func convCases() []convCase {
	cases := []convCase{
		{"one element", backend.ConvGeom{N: 1, C: 1, H: 1, W: 1, K: 1, R: 1, S: 1}},
		{"1x1", backend.ConvGeom{N: 2, C: 5, H: 7, W: 6, K: 9, R: 1, S: 1}},
		{"1x1, planes that are no multiple of eight", backend.ConvGeom{N: 5, C: 9, H: 5, W: 27, K: 17, R: 1, S: 1}},
		{"1x1, planes of whole eights, groups", backend.ConvGeom{N: 3, C: 10, H: 16, W: 24, K: 6, R: 1, S: 1, Groups: 2}},
		{"1x1 stride 2", backend.ConvGeom{N: 2, C: 6, H: 7, W: 8, K: 4, R: 1, S: 1, StrideH: 2, StrideW: 2}},
		{"1x1 pad 1", backend.ConvGeom{N: 1, C: 3, H: 4, W: 5, K: 4, R: 1, S: 1, PadH: 1, PadW: 1}},
		{"3x3 pad 1", backend.ConvGeom{N: 2, C: 5, H: 9, W: 11, K: 15, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 1, rows of 8", backend.ConvGeom{N: 3, C: 20, H: 8, W: 8, K: 33, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 1, rows of 32", backend.ConvGeom{N: 1, C: 3, H: 32, W: 32, K: 16, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 1, 4x4 maps", backend.ConvGeom{N: 21, C: 34, H: 4, W: 4, K: 30, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 1, 2x2 maps", backend.ConvGeom{N: 70, C: 40, H: 2, W: 2, K: 17, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 1, 4x4 maps of many images", backend.ConvGeom{N: 40, C: 6, H: 4, W: 4, K: 10, R: 3, S: 3, PadH: 1, PadW: 1, Groups: 2}},
		{"3x3 stride 2, 5x4 maps of many images", backend.ConvGeom{N: 40, C: 4, H: 5, W: 4, K: 3, R: 3, S: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}},
		{"1x1 pad 1, 2x3 maps of many images", backend.ConvGeom{N: 33, C: 4, H: 2, W: 3, K: 3, R: 1, S: 1, PadH: 1, PadW: 1}},
		{"3x3 pad 1, 1x1 maps", backend.ConvGeom{N: 40, C: 12, H: 1, W: 1, K: 10, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 0", backend.ConvGeom{N: 1, C: 4, H: 6, W: 5, K: 3, R: 3, S: 3}},
		{"3x3 pad 2", backend.ConvGeom{N: 2, C: 3, H: 5, W: 4, K: 4, R: 3, S: 3, PadH: 2, PadW: 2}},
		{"3x3 pad 2, groups of 20 channels", backend.ConvGeom{N: 12, C: 40, H: 5, W: 6, K: 44, R: 3, S: 3, PadH: 2, PadW: 2, Groups: 2}},
		{"3x3 stride 2 pad 1", backend.ConvGeom{N: 2, C: 6, H: 9, W: 10, K: 7, R: 3, S: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1}},
		{"3x3 stride 3, two columns left over", backend.ConvGeom{N: 2, C: 3, H: 11, W: 11, K: 4, R: 3, S: 3, StrideH: 3, StrideW: 3}},
		{"2x2 stride 3, pixels that nothing reads", backend.ConvGeom{N: 2, C: 3, H: 10, W: 11, K: 4, R: 2, S: 2, StrideH: 3, StrideW: 3}},
		{"3x3 dilation 2", backend.ConvGeom{N: 2, C: 3, H: 9, W: 8, K: 4, R: 3, S: 3, DilationH: 2, DilationW: 2, PadH: 2, PadW: 2}},
		{"stride 2 dilation 2", backend.ConvGeom{N: 2, C: 3, H: 12, W: 13, K: 5, R: 3, S: 3, StrideH: 2, StrideW: 2, DilationH: 2, DilationW: 2, PadH: 1, PadW: 1}},
		{"stride 2 dilation 3", backend.ConvGeom{N: 1, C: 2, H: 12, W: 13, K: 3, R: 3, S: 2, StrideH: 2, StrideW: 2, DilationH: 3, DilationW: 3, PadH: 3, PadW: 2}},
		{"all different by axis", backend.ConvGeom{N: 2, C: 4, H: 13, W: 10, K: 6, R: 2, S: 5, StrideH: 1, StrideW: 3, DilationH: 3, DilationW: 1, PadH: 0, PadW: 4, Groups: 2}},
		{"7x7 stride 2 pad 3", backend.ConvGeom{N: 1, C: 3, H: 23, W: 30, K: 8, R: 7, S: 7, StrideH: 2, StrideW: 2, PadH: 3, PadW: 3}},
		{"groups 2", backend.ConvGeom{N: 3, C: 6, H: 7, W: 7, K: 8, R: 3, S: 3, PadH: 1, PadW: 1, Groups: 2}},
		{"3x3 pad 1, three channels, rows of 33", backend.ConvGeom{N: 2, C: 3, H: 7, W: 33, K: 5, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"3x3 pad 2 and 0, groups of four, rows of 50", backend.ConvGeom{N: 18, C: 8, H: 3, W: 50, K: 12, R: 3, S: 3, PadH: 2, PadW: 0, Groups: 2}},
		{"3x3 pad 3, one channel", backend.ConvGeom{N: 2, C: 1, H: 4, W: 13, K: 9, R: 3, S: 3, PadH: 3, PadW: 3}},
		{"5x5 stride 2, three channels, a column left over", backend.ConvGeom{N: 2, C: 3, H: 12, W: 34, K: 20, R: 5, S: 5, StrideH: 2, StrideW: 2, PadH: 2, PadW: 1}},
		{"1x1, planes of 70 pixels that panels cross", backend.ConvGeom{N: 2, C: 70, H: 7, W: 10, K: 64, R: 1, S: 1}},
		{"depthwise", backend.ConvGeom{N: 2, C: 10, H: 8, W: 9, K: 10, R: 3, S: 3, PadH: 1, PadW: 1, Groups: 10}},
		{"depthwise, two each", backend.ConvGeom{N: 2, C: 3, H: 8, W: 9, K: 6, R: 3, S: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1, Groups: 3}},
		{"kernel as large as the image", backend.ConvGeom{N: 3, C: 4, H: 5, W: 6, K: 5, R: 5, S: 6}},
		{"more channels than are packed at a time", backend.ConvGeom{N: 2, C: 70, H: 5, W: 5, K: 40, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"images longer than a tile", backend.ConvGeom{N: 2, C: 2, H: 31, W: 33, K: 3, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"very long rows", backend.ConvGeom{N: 1, C: 2, H: 2, W: 23000, K: 2, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"rows of which two channels are too long for a tile", backend.ConvGeom{N: 1, C: 2, H: 32, W: 5, K: 33, R: 3, S: 3, PadW: 1000, DilationH: 3, DilationW: 1000}},
		{"one long row, groups of a channel and a half to a panel", backend.ConvGeom{N: 2, C: 64, H: 34, W: 17, K: 32, R: 7, S: 3, PadW: 1000, DilationH: 3, DilationW: 1000, Groups: 32}},
		{"a tile of some channels but not of each panel's", backend.ConvGeom{N: 2, C: 8, H: 97, W: 70, K: 17, R: 3, S: 3, StrideH: 3, PadH: 2, PadW: 2, DilationH: 2, DilationW: 2}},
		{"no images", backend.ConvGeom{N: 0, C: 3, H: 4, W: 4, K: 2, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"no columns", backend.ConvGeom{N: 1, C: 1, H: 4, W: 0, K: 1, R: 3, S: 3, PadH: 2, PadW: 2}},
		{"no rows, groups", backend.ConvGeom{N: 2, C: 4, H: 0, W: 5, K: 6, R: 3, S: 2, PadH: 2, PadW: 1, Groups: 2}},
		{"no rows, depthwise", backend.ConvGeom{N: 2, C: 4, H: 0, W: 0, K: 8, R: 3, S: 3, StrideH: 2, PadH: 3, PadW: 2, Groups: 4}},
		{"no columns, 1x1 of many channels", backend.ConvGeom{N: 2, C: 32, H: 4, W: 0, K: 48, R: 1, S: 1, PadH: 1, PadW: 1}},
		{"no input channels", backend.ConvGeom{N: 2, C: 0, H: 4, W: 4, K: 3, R: 3, S: 3, PadH: 1, PadW: 1}},
		{"no output channels", backend.ConvGeom{N: 2, C: 3, H: 4, W: 4, K: 0, R: 3, S: 3, PadH: 1, PadW: 1}},
	}
	// What lies far apart needs no room of that size, nor do numbers overflow.
	const far = 1 << 24
	for _, c := range [][2]int{{1, 1}, {3, 8}, {16, 16}} {
		some := func(name string, g backend.ConvGeom) {
			g.N, g.C, g.K = 2, c[0], c[1]
			cases = append(cases, convCase{fmt.Sprintf("%s, %d and %d channels", name, c[0], c[1]), g})
		}
		some("taps and a border far away", backend.ConvGeom{H: 4, W: 4, R: 3, S: 3, PadH: far, PadW: far, DilationH: far, DilationW: far})
		some("taps 16384 apart", backend.ConvGeom{H: 4, W: 5, R: 3, S: 3, PadH: 16384, PadW: 16384, DilationH: 16384, DilationW: 16384})
		some("taps and strides far apart", backend.ConvGeom{H: 4, W: 4, R: 3, S: 3, StrideH: far, StrideW: far, PadH: far, PadW: far, DilationH: far, DilationW: far})
		some("a far border and strides", backend.ConvGeom{H: 3, W: 2, R: 3, S: 3, StrideH: far, StrideW: far - 1, PadH: far, PadW: far})
		some("strides far apart, no border", backend.ConvGeom{H: 4, W: 5, R: 2, S: 3, StrideH: far, StrideW: far})
		some("taps far apart in one direction", backend.ConvGeom{H: 6, W: 5, R: 3, S: 3, PadH: 1, PadW: far, DilationW: far, StrideW: 2})
		some("a border of 60", backend.ConvGeom{H: 3, W: 4, R: 3, S: 3, PadH: 60, PadW: 60})
	}
	for _, groups := range []int{3, 6} {
		cases = append(cases, convCase{fmt.Sprintf("taps far apart, %d groups", groups),
			backend.ConvGeom{N: 2, C: 6, H: 5, W: 4, K: 12, R: 3, S: 3, PadH: far, PadW: far, DilationH: far, DilationW: far, Groups: groups}})
	}
	finish(cases)
	return cases
}

// finish fills in the defaults and the size of the output.
func finish(cases []convCase) {
	for i := range cases {
		g := &cases[i].g
		g.StrideH, g.StrideW = max(g.StrideH, 1), max(g.StrideW, 1)
		g.DilationH, g.DilationW = max(g.DilationH, 1), max(g.DilationW, 1)
		g.Groups = max(g.Groups, 1)
		g.P = (g.H+2*g.PadH-g.DilationH*(g.R-1)-1)/g.StrideH + 1
		g.Q = (g.W+2*g.PadW-g.DilationW*(g.S-1)-1)/g.StrideW + 1
	}
}

// eachTap calls f for each product that a convolution sums, with the places of
// its factors and of its sum.
func eachTap(g backend.ConvGeom, f func(y, x, w int)) {
	c, k := g.C/g.Groups, g.K/g.Groups
	for n := range g.N {
		for ko := range g.K {
			for p := range g.P {
				for q := range g.Q {
					for ci := range c {
						for r := range g.R {
							for s := range g.S {
								h, w := p*g.StrideH+r*g.DilationH-g.PadH, q*g.StrideW+s*g.DilationW-g.PadW
								if h < 0 || h >= g.H || w < 0 || w >= g.W {
									continue
								}
								f(((n*g.K+ko)*g.P+p)*g.Q+q, ((n*g.C+ko/k*c+ci)*g.H+h)*g.W+w, ((ko*c+ci)*g.R+r)*g.S+s)
							}
						}
					}
				}
			}
		}
	}
}

func convSizes(g backend.ConvGeom) (x, w, y int) {
	return g.N * g.C * g.H * g.W, g.K * (g.C / g.Groups) * g.R * g.S, g.N * g.K * g.P * g.Q
}

func testConv2d[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	x, w, bias := random(1, nx), random(2, nw), random(3, c.g.K)
	want := make([]float64, ny)
	eachTap(c.g, func(iy, ix, iw int) { want[iy] += x[ix] * w[iw] })
	y := empty[T](be, ny)
	be.Conv2d(y, floats[T](be, x), floats[T](be, w), backend.Array{}, backend.Array{}, c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), y, want, tolerance[T]())
	for i := range want {
		want[i] += bias[i/(c.g.P*c.g.Q)%c.g.K]
	}
	be.Conv2d(y, floats[T](be, x), floats[T](be, w), backend.Array{}, floats[T](be, bias), c.g)
	wantFloats(t, be, fmt.Sprintf("with bias %+v", c.g), y, want, tolerance[T]())
	scale := random(4, c.g.K)
	for i := range want {
		k := i / (c.g.P * c.g.Q) % c.g.K
		want[i] = max(0, (want[i]-bias[k])*scale[k]+bias[k])
	}
	c.g.ReLU = true
	be.Conv2d(y, floats[T](be, x), floats[T](be, w), floats[T](be, scale), floats[T](be, bias), c.g)
	wantFloats(t, be, fmt.Sprintf("with scale, bias and ReLU %+v", c.g), y, want, tolerance[T]())
}

func testConv2dInputGrad[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	dy, w := random(1, ny), random(2, nw)
	want := make([]float64, nx)
	eachTap(c.g, func(iy, ix, iw int) { want[ix] += dy[iy] * w[iw] })
	dx := empty[T](be, nx)
	be.Conv2dInputGrad(dx, floats[T](be, dy), floats[T](be, w), c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), dx, want, tolerance[T]())
}

func testConv2dWeightGrad[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	dy, x := random(1, ny), random(2, nx)
	want := make([]float64, nw)
	eachTap(c.g, func(iy, ix, iw int) { want[iw] += dy[iy] * x[ix] })
	dw := empty[T](be, nw)
	be.Conv2dWeightGrad(dw, floats[T](be, dy), floats[T](be, x), c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), dw, want, tolerance[T]())
}

func testSetAlgorithms(t *testing.T, be backend.Backend) {
	defer be.SetAlgorithms(backend.Algorithms{})
	cases := []convCase{{"", backend.ConvGeom{N: 3, C: 16, H: 7, W: 9, K: 8, R: 3, S: 3, PadH: 1, PadW: 1}}}
	finish(cases)
	g := cases[0].g
	nx, nw, ny := convSizes(g)
	x, w, dy := floats[float32](be, random(1, nx)), floats[float32](be, random(2, nw)), floats[float32](be, random(3, ny))
	run := func() []float32 {
		y, dx, dw := empty[float32](be, ny), empty[float32](be, nx), empty[float32](be, nw)
		be.Conv2d(y, x, w, backend.Array{}, backend.Array{}, g)
		be.Conv2dInputGrad(dx, dy, w, g)
		be.Conv2dWeightGrad(dw, dy, x, g)
		return slices.Concat(get[float32](be, y), get[float32](be, dx), get[float32](be, dw))
	}
	for _, benchmark := range []bool{false, true} {
		be.SetAlgorithms(backend.Algorithms{Deterministic: true, Benchmark: benchmark})
		want := run()
		for range 3 {
			if !slices.Equal(run(), want) {
				t.Errorf("measured %t: the same arguments gave other bits", benchmark)
			}
		}
	}
	be.SetAlgorithms(backend.Algorithms{})
	want := run()
	be.SetAlgorithms(backend.Algorithms{Benchmark: true})
	for i, v := range run() {
		if d := float64(v - want[i]); !(math.Abs(d) <= 1e-4) {
			t.Fatalf("element %d: got %v where algorithms are measured, want %v", i, v, want[i])
		}
	}
}
