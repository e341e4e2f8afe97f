package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// tileConvShapes are convolutions on tiles: maps that lie row by row and image by image, groups, dilation, odd sizes, padding on no side.
var tileConvShapes = []backend.ConvGeom{
	{N: 2, C: 64, H: 32, W: 32, K: 64, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 3, C: 32, H: 16, W: 16, K: 48, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 64, C: 32, H: 8, W: 8, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 34, C: 48, H: 4, W: 4, K: 80, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 32, C: 160, H: 4, W: 4, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 64, C: 160, H: 2, W: 2, K: 96, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 20, C: 16, H: 4, W: 4, K: 16, R: 3, S: 3, PadH: 1, PadW: 1, Groups: 1},
	{N: 2, C: 160, H: 10, W: 6, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 1, C: 32, H: 7, W: 9, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 5, C: 32, H: 9, W: 12, K: 32, R: 3, S: 3, PadH: 0, PadW: 2},
	{N: 3, C: 32, H: 12, W: 14, K: 64, R: 1, S: 1},
	{N: 2, C: 48, H: 12, W: 18, K: 32, R: 5, S: 3, PadH: 2, PadW: 1},
	{N: 2, C: 64, H: 12, W: 18, K: 96, R: 3, S: 3, PadH: 2, PadW: 3, DilationH: 2, DilationW: 3, Groups: 2},
	{N: 32, C: 64, H: 4, W: 4, K: 64, R: 3, S: 3, PadH: 1, PadW: 1, Groups: 2},
	{N: 1, C: 64, H: 2, W: 2, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
}

func filledGeom(g backend.ConvGeom) backend.ConvGeom {
	g.Groups, g.DilationH, g.DilationW = max(g.Groups, 1), max(g.DilationH, 1), max(g.DilationW, 1)
	g.StrideH, g.StrideW = 1, 1
	g.P, g.Q = g.H+2*g.PadH-(g.R-1)*g.DilationH, g.W+2*g.PadW-(g.S-1)*g.DilationW
	return g
}

// testTileConv compares all passes with float64's on the same factors.
func testTileConv(t *testing.T, shapes []backend.ConvGeom) {
	if current.tiles == nil {
		t.Skip("this level has no matrix tiles")
	}
	for i, g := range shapes {
		g := filledGeom(g)
		r := rand.New(rand.NewPCG(31, uint64(i)))
		be := New()
		be.SetPrecision(backend.Medium)
		exact := func(n int) (wide, half, double backend.Array) {
			wide = backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
			half = backend.Array{Buffer: be.NewBuffer(backend.BFloat16, n), Len: n}
			double = backend.Array{Buffer: be.NewBuffer(backend.Float64, n), Len: n}
			for i := range n {
				h := toBFloat16(float32(r.NormFloat64()))
				data[uint16](half)[i], data[float32](wide)[i], data[float64](double)[i] = h, fromBFloat16(h), float64(fromBFloat16(h))
			}
			return wide, half, double
		}
		var x, w, dy, bias, scale [3]backend.Array
		x[0], x[1], x[2] = exact(g.N * g.C * g.H * g.W)
		w[0], w[1], w[2] = exact(g.K * g.C / g.Groups * g.R * g.S)
		dy[0], dy[1], dy[2] = exact(g.N * g.K * g.P * g.Q)
		bias[0], bias[1], bias[2] = exact(g.K)
		scale[0], scale[1], scale[2] = exact(g.K)
		for p, name := range passNames {
			of := [][3]backend.Array{dy, x, w}[p]
			want := backend.Array{Buffer: be.NewBuffer(backend.Float64, of[2].Len), Len: of[2].Len}
			gg := g
			gg.ReLU = i%2 == 0
			switch pass(p) {
			case forward:
				conv2d[float64](be, want, x[2], w[2], scale[2], bias[2], gg)
			case inputGrad:
				conv2dInputGrad[float64](be, want, dy[2], w[2], gg)
			case weightGrad:
				conv2dWeightGrad[float64](be, want, dy[2], x[2], gg)
			}
			for half, bound := range []float64{2e-6, 3e-3} {
				tc := be.tileConvOf(gg, pass(p))
				if tc == nil {
					if pass(p) != weightGrad {
						t.Errorf("%+v, %s: not for tiles", g, name)
					}
					continue
				}
				n := want.Len
				const behind = 64
				got := make([]float64, n)
				if half == 0 {
					whole := make([]float32, n+behind)
					for i := range whole {
						whole[i] = float32(math.NaN())
					}
					runTileConv(tc, pass(p), floats{wide: whole[:n:n]}, x[0], w[0], dy[0], scale[0], bias[0])
					for i, v := range whole[n:] {
						if v == v {
							t.Fatalf("%+v, %s: wrote %d elements behind the end", g, name, i)
						}
					}
					for i := range got {
						got[i] = float64(whole[i])
					}
				} else {
					whole := make([]uint16, n+behind)
					for i := range whole {
						whole[i] = 0x7fff
					}
					runTileConv(tc, pass(p), floats{half: whole[:n:n]}, x[1], w[1], dy[1], scale[1], bias[1])
					for i, v := range whole[n:] {
						if v != 0x7fff {
							t.Fatalf("%+v, %s: wrote %d elements behind the end", g, name, i)
						}
					}
					for i := range got {
						got[i] = float64(fromBFloat16(whole[i]))
					}
				}
				var d, s float64
				for i, v := range data[float64](want) {
					d += (got[i] - v) * (got[i] - v)
					s += v * v
				}
				if e := math.Sqrt(d / s); !(e <= bound) {
					t.Errorf("%+v, %s, half %d: relative error %.2g, want %g at most", g, name, half, e, bound)
					for i, v := range data[float64](want) {
						if !(math.Abs(got[i]-v) <= 1e-2*(1+math.Abs(v))) {
							t.Logf("element %d: got %v, want %v", i, got[i], v)
							break
						}
					}
				}
			}
		}
	}
}

func runTileConv(tc *tileConv, p pass, dst floats, x, w, dy, scale, bias backend.Array) {
	switch p {
	case forward:
		tc.convolve(dst, floatsOf(x), floatsOf(w), floatsOf(scale), floatsOf(bias))
	case inputGrad:
		tc.convolve(dst, floatsOf(dy), floatsOf(w), floats{}, floats{})
	case weightGrad:
		tc.weightGrad(dst, floatsOf(dy), floatsOf(x))
	}
}

func TestTileConv(t *testing.T) { testTileConv(t, tileConvShapes) }
