package cpu

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// eachLevel runs test at each level that this machine has.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	for _, l := range kernels.Levels {
		kernels.Current = l
		t.Run(l.Name, test)
	}
}

// normals is an array of n normal numbers.
func normals[T kernels.Float](be *Backend, r *rand.Rand, n int) backend.Array {
	d := backend.Float64
	if _, ok := any(T(0)).(float32); ok {
		d = backend.Float32
	}
	a := backend.Array{Buffer: be.NewBuffer(d, n), Len: n}
	for i := range data[T](a) {
		data[T](a)[i] = T(r.NormFloat64())
	}
	return a
}

func depthwiseGeom(n, c, h, w, k, r, s, stride, strideW, pad, padW, dilation int) convGeom {
	g := convGeom{N: n, C: c, H: h, W: w, K: c * k, R: r, S: s, StrideH: stride, StrideW: strideW, PadH: pad, PadW: padW,
		DilationH: dilation, DilationW: dilation, Groups: c}
	g.P = (h+2*pad-dilation*(r-1)-1)/stride + 1
	g.Q = (w+2*padW-dilation*(s-1)-1)/strideW + 1
	return g
}

var depthwiseGeoms = []convGeom{
	depthwiseGeom(2, 3, 28, 28, 1, 3, 3, 1, 1, 1, 1, 1),
	depthwiseGeom(2, 3, 28, 27, 1, 3, 3, 2, 2, 1, 1, 1),
	depthwiseGeom(3, 2, 17, 40, 2, 3, 3, 1, 1, 1, 1, 1),
	depthwiseGeom(1, 4, 17, 41, 3, 3, 3, 2, 2, 1, 1, 1),
	depthwiseGeom(2, 2, 7, 7, 1, 5, 5, 1, 1, 2, 2, 1),
	depthwiseGeom(2, 2, 15, 14, 1, 5, 5, 2, 2, 2, 2, 1),
	depthwiseGeom(2, 2, 9, 70, 1, 7, 1, 1, 1, 3, 0, 1),
	depthwiseGeom(2, 2, 9, 35, 1, 1, 7, 1, 2, 0, 3, 1),
	depthwiseGeom(2, 3, 13, 19, 1, 3, 3, 1, 1, 2, 2, 2),
	depthwiseGeom(2, 3, 13, 19, 1, 3, 3, 2, 3, 2, 4, 2),
	depthwiseGeom(2, 3, 12, 12, 1, 2, 2, 3, 4, 0, 0, 1), // windows apart from each other
	depthwiseGeom(1, 2, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1),
	depthwiseGeom(1, 2, 2, 3, 1, 3, 3, 2, 2, 4, 5, 1), // windows in the padding alone
	depthwiseGeom(1, 1, 9, 9, 4, 3, 3, 1, 1, 0, 0, 1),
	depthwiseGeom(1, 1, 600, 130, 1, 3, 3, 1, 1, 1, 1, 1), // in bands
}

func TestDepthwise(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		testDepthwise[float32](t, 4e-6) // of sums of up to 78000 products, both in float32
		testDepthwise[float64](t, 1e-14)
	})
}

func testDepthwise[T kernels.Float](t *testing.T, tolerance float64) {
	be, r := New(), rand.New(rand.NewPCG(13, 14))
	near := func(g convGeom, what string, got, want []T) {
		t.Helper()
		var d, size float64
		for i := range want {
			d += math.Pow(float64(got[i]-want[i]), 2)
			size += math.Pow(float64(want[i]), 2)
		}
		if d = math.Sqrt(d / max(size, 1e-30)); !(d <= tolerance) {
			t.Errorf("%s of %+v in %T: got a relative distance of %.2g from the matrix product's, want at most %.2g", what, g, got, d, tolerance)
		}
	}
	for _, g := range depthwiseGeoms {
		if !depthwise(g) {
			t.Fatalf("%+v is not depthwise", g)
		}
		x, w := normals[T](be, r, g.N*g.C*g.H*g.W), normals[T](be, r, g.K*g.R*g.S)
		got, want := normals[T](be, r, g.N*g.K*g.P*g.Q), normals[T](be, r, g.N*g.K*g.P*g.Q)
		for _, relu := range []bool{false, true} {
			var scale, bias backend.Array
			g.ReLU = relu
			if relu {
				scale, bias = normals[T](be, r, g.K), normals[T](be, r, g.K)
			}
			be.conv(got, x, w, scale, bias, g)
			conv2d[T](be, want, x, w, scale, bias, g)
			near(g, "convolution", data[T](got), data[T](want))
		}
		dy := normals[T](be, r, g.N*g.K*g.P*g.Q)
		got, want = normals[T](be, r, x.Len), normals[T](be, r, x.Len)
		be.convInputGrad(got, dy, w, g)
		conv2dInputGrad[T](be, want, dy, w, g)
		near(g, "input gradient", data[T](got), data[T](want))
		got, want = normals[T](be, r, w.Len), normals[T](be, r, w.Len)
		be.convWeightGrad(got, dy, x, g)
		conv2dWeightGrad[T](be, want, dy, x, g)
		near(g, "weight gradient", data[T](got), data[T](want))
	}
}

// TestDepthwiseKeepsNaN compares which results are no numbers with the general path's by plain products: an infinity whose parts
// are multiplied is NaN.
func TestDepthwiseKeepsNaN(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		be, r := New(), rand.New(rand.NewPCG(15, 16))
		for _, g := range depthwiseGeoms[:5] {
			for _, bad := range []float64{math.NaN(), math.Inf(1)} {
				x, w, dy := normals[float32](be, r, g.N*g.C*g.H*g.W), normals[float32](be, r, g.K*g.R*g.S), normals[float32](be, r, g.N*g.K*g.P*g.Q)
				data[float32](x)[x.Len-1], data[float32](dy)[g.Q/2] = float32(bad), float32(bad)
				same := func(what string, n int, direct, general func(dst backend.Array)) {
					t.Helper()
					got, want := normals[float32](be, r, n), normals[float32](be, r, n)
					direct(got)
					gemm, gemmBF16 := kernels.Current.Gemm, kernels.Current.GemmBF16
					kernels.Current.Gemm, kernels.Current.GemmBF16 = kernels.Generic.Gemm, nil
					general(want)
					kernels.Current.Gemm, kernels.Current.GemmBF16 = gemm, gemmBF16
					for i, v := range data[float32](want) {
						v, w := float64(data[float32](got)[i]), float64(v)
						if math.IsNaN(v) != math.IsNaN(w) || math.IsInf(v, 1) != math.IsInf(w, 1) || math.IsInf(v, -1) != math.IsInf(w, -1) {
							t.Fatalf("%s of %+v with a %v: element %d: got %v, want %v", what, g, bad, i, v, w)
						}
					}
				}
				none := backend.Array{}
				same("convolution", dy.Len, func(y backend.Array) { be.conv(y, x, w, none, none, g) },
					func(y backend.Array) { conv2d[float32](be, y, x, w, none, none, g) })
				same("input gradient", x.Len, func(dx backend.Array) { be.convInputGrad(dx, dy, w, g) },
					func(dx backend.Array) { conv2dInputGrad[float32](be, dx, dy, w, g) })
				same("weight gradient", w.Len, func(dw backend.Array) { be.convWeightGrad(dw, dy, x, g) },
					func(dw backend.Array) { conv2dWeightGrad[float32](be, dw, dy, x, g) })
			}
		}
	})
}

func TestDepthwiseIsTheSameOnAnyNumberOfCores(t *testing.T) {
	testSameOnAnyNumberOfCores(t, depthwiseGeom(5, 8, 28, 28, 2, 3, 3, 2, 2, 1, 1, 1))
}

// TestDirectIsTheSameOnAnyNumberOfCores takes planes that some levels convolve where they lie.
func TestDirectIsTheSameOnAnyNumberOfCores(t *testing.T) {
	testSameOnAnyNumberOfCores(t, depthwiseGeom(21, 8, 28, 28, 2, 3, 3, 1, 1, 1, 1, 1))
}

func testSameOnAnyNumberOfCores(t *testing.T, g convGeom) {
	t.Helper()
	be, r := New(), rand.New(rand.NewPCG(17, 18))
	x, w, dy := normals[float32](be, r, g.N*g.C*g.H*g.W), normals[float32](be, r, g.K*g.R*g.S), normals[float32](be, r, g.N*g.K*g.P*g.Q)
	dst := [3]backend.Array{normals[float32](be, r, dy.Len), normals[float32](be, r, x.Len), normals[float32](be, r, w.Len)}
	var want [3][]float32
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, n := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(n)
		be.conv(dst[0], x, w, backend.Array{}, backend.Array{}, g)
		be.convInputGrad(dst[1], dy, w, g)
		be.convWeightGrad(dst[2], dy, x, g)
		for i, d := range dst {
			if n == 1 {
				want[i] = slices.Clone(data[float32](d))
			} else if !slices.Equal(data[float32](d), want[i]) {
				t.Errorf("pass %d: got other bits with %d cores than with one", i, n)
			}
		}
	}
}

// TestMaxPoolOfStagedPlanes compares with the loops over windows, bit for bit but for the signs of zeros.
func TestMaxPoolOfStagedPlanes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		testMaxPool[float32](t)
		testMaxPool[float64](t)
	})
}

func testMaxPool[T kernels.Float](t *testing.T) {
	be, r := New(), rand.New(rand.NewPCG(19, 20))
	special := []T{T(math.NaN()), T(math.Inf(-1)), T(math.Inf(1))}
	for _, size := range [][2]int{{1, 1}, {7, 9}, {28, 28}, {16, 67}, {33, 32}} {
		for _, k := range [][2]int{{3, 3}, {2, 2}, {1, 5}, {4, 2}} {
			for stride := 1; stride <= 3; stride++ {
				for _, dilation := range []int{1, 2} {
					for pad := range 2 {
						g := poolGeom{Planes: 4, H: size[0], W: size[1], KernelH: k[0], KernelW: k[1], StrideH: stride, StrideW: stride,
							PadH: pad * (k[0] / 2), PadW: pad * (k[1] / 2), DilationH: dilation, DilationW: dilation}
						// One more than fits, as ceil mode has it, and at least one.
						g.P = max(1, (g.H+2*g.PadH-dilation*(k[0]-1)-1+stride-1)/stride+1)
						g.Q = max(1, (g.W+2*g.PadW-dilation*(k[1]-1)-1+stride-1)/stride+1)
						x, y, dy, dx := make([]T, 4*g.H*g.W), make([]T, 4*g.P*g.Q), make([]T, 4*g.P*g.Q), make([]T, 4*g.H*g.W)
						for i := range x {
							x[i] = T(r.IntN(5)) // ties
							if p := i / (g.H * g.W); p > 0 && r.IntN(10) == 0 {
								x[i] = special[p-1]
							}
						}
						for i := range dy {
							dy[i] = T(r.NormFloat64())
						}
						wantY, wantDX := make([]T, len(y)), make([]T, len(x))
						maxPool(be, y, x, g.deep())
						maxPoolGrad(be, dx, dy, x, y, g.deep())
						for i := range g.Planes {
							maxPoolPlane(plane(wantY, i, g.P*g.Q), plane(x, i, g.H*g.W), g.deep(), T(math.Inf(-1)))
							maxPoolGradPlane(plane(wantDX, i, g.H*g.W), plane(dy, i, g.P*g.Q), plane(x, i, g.H*g.W), plane(y, i, g.P*g.Q), g.deep())
						}
						for i, v := range wantY {
							if y[i] != v && (y[i] == y[i] || v == v) {
								t.Fatalf("maximum %d of %+v: got %v, want %v", i, g, y[i], v)
							}
						}
						for i, v := range wantDX {
							if dx[i] != v {
								t.Fatalf("gradient %d of %+v: got %v, want %v", i, g, dx[i], v)
							}
						}
					}
				}
			}
		}
	}
}
