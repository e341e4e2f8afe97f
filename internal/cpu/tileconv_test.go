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

// tileConvShapes are convolutions on tiles: maps that lie row by row and image by image, groups, dilation, odd sizes, padding on no side.
var tileConvShapes = []convGeom{
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

// tileConvSmall are convolutions with few products, for the emulator.
var tileConvSmall = []convGeom{
	{N: 3, C: 16, H: 6, W: 8, K: 48, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 18, C: 48, H: 2, W: 2, K: 16, R: 3, S: 3, PadH: 1, PadW: 1},
	{N: 18, C: 16, H: 4, W: 4, K: 32, R: 3, S: 3, PadH: 1, PadW: 1},
}

func filledGeom(g convGeom) convGeom {
	g.Groups, g.DilationH, g.DilationW = max(g.Groups, 1), max(g.DilationH, 1), max(g.DilationW, 1)
	g.StrideH, g.StrideW = 1, 1
	g.P, g.Q = g.H+2*g.PadH-(g.R-1)*g.DilationH, g.W+2*g.PadW-(g.S-1)*g.DilationW
	return g
}

// testTileConv compares all passes with float64's on the same factors.
func testTileConv(t *testing.T, shapes []convGeom) {
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
				h := kernels.ToBFloat16(float32(r.NormFloat64()))
				data[uint16](half)[i], data[float32](wide)[i], data[float64](double)[i] = h, kernels.FromBFloat16(h), float64(kernels.FromBFloat16(h))
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
					runTileConv(tc, pass(p), kernels.Floats{Wide: whole[:n:n]}, x[0], w[0], dy[0], scale[0], bias[0])
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
					runTileConv(tc, pass(p), kernels.Floats{Half: whole[:n:n]}, x[1], w[1], dy[1], scale[1], bias[1])
					for i, v := range whole[n:] {
						if v != 0x7fff {
							t.Fatalf("%+v, %s: wrote %d elements behind the end", g, name, i)
						}
					}
					for i := range got {
						got[i] = float64(kernels.FromBFloat16(whole[i]))
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

func runTileConv(tc *tileConv, p pass, dst kernels.Floats, x, w, dy, scale, bias backend.Array) {
	switch p {
	case forward:
		tc.convolve(dst, floatsOf(x), floatsOf(w), floatsOf(scale), floatsOf(bias))
	case inputGrad:
		tc.convolve(dst, floatsOf(dy), floatsOf(w), kernels.Floats{}, kernels.Floats{})
	case weightGrad:
		tc.gradOfWeight(dst, floatsOf(dy), floatsOf(x))
	}
}

func TestTileConv(t *testing.T) {
	if kernels.Current.AMX == nil {
		t.Skip("this level has no matrix tiles; TestAMX runs some of these convolutions under an emulator")
	}
	testTileConv(t, tileConvShapes)
	testTileConvCores(t, tileConvShapes)
}

// testTileConvCores states that convolutions have the same bits on any number of cores.
func testTileConvCores(t *testing.T, shapes []convGeom) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i, g := range shapes {
		g := filledGeom(g)
		r := rand.New(rand.NewPCG(65, uint64(i)))
		be := New()
		be.SetPrecision(backend.Medium)
		array := func(n int) backend.Array {
			a := backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
			for i := range n {
				data[float32](a)[i] = 2*r.Float32() - 1
			}
			return a
		}
		x, w, dy := array(g.N*g.C*g.H*g.W), array(g.K*g.C/g.Groups*g.R*g.S), array(g.N*g.K*g.P*g.Q)
		for p, name := range passNames {
			tc := be.tileConvOf(g, pass(p))
			if tc == nil {
				continue
			}
			var want []float32
			for _, cores := range []int{1, 2, 3, 5} {
				runtime.GOMAXPROCS(cores)
				got := make([]float32, []int{dy.Len, x.Len, w.Len}[p])
				c := *tc
				runTileConv(&c, pass(p), kernels.Floats{Wide: got}, x, w, dy, backend.Array{}, backend.Array{})
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v, %s: the result on %d cores differs from that on one", g, name, cores)
				}
			}
		}
	}
}

// TestTileConvOf states which convolutions go to tiles, where there are such.
func TestTileConvOf(t *testing.T) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	kernels.Current.AMX = &kernels.AMX{}
	served := convGeom{N: 2, C: 32, H: 8, W: 8, K: 48, R: 3, S: 3, PadH: 1, PadW: 1}
	none := [3]bool{}
	for name, row := range map[string]struct {
		change func(g *convGeom)
		want   [3]bool // of each pass
	}{
		"as it is":                     {func(g *convGeom) {}, [3]bool{true, true, true}},
		"one tap":                      {func(g *convGeom) { g.R, g.S, g.PadH, g.PadW = 1, 1, 0, 0 }, [3]bool{true, true, true}},
		"groups of 16 channels":        {func(g *convGeom) { g.C, g.K, g.Groups = 48, 48, 3 }, [3]bool{true, true, true}},
		"groups of 8 channels":         {func(g *convGeom) { g.C, g.K, g.Groups = 24, 24, 3 }, none},
		"24 channels":                  {func(g *convGeom) { g.C = 24 }, none},
		"3 channels":                   {func(g *convGeom) { g.C = 3 }, none},
		"an odd width":                 {func(g *convGeom) { g.W = 9 }, [3]bool{true, true, false}},
		"maps of 15 pixels":            {func(g *convGeom) { g.H, g.W = 3, 10 }, [3]bool{true, true, false}},
		"padding that is all outside":  {func(g *convGeom) { g.PadH = 3 }, none},
		"stride 2":                     {func(g *convGeom) { g.StrideW = 2 }, none},
		"no images":                    {func(g *convGeom) { g.N = 0 }, none},
		"no output channels":           {func(g *convGeom) { g.K = 0 }, none},
		"many images of small maps":    {func(g *convGeom) { g.N, g.H, g.W = 64, 2, 2 }, [3]bool{true, true, true}},
		"an odd number of small maps":  {func(g *convGeom) { g.N, g.H, g.W = 63, 2, 2 }, [3]bool{true, true, false}},
		"dilation":                     {func(g *convGeom) { g.DilationW, g.PadW = 2, 2 }, [3]bool{true, true, true}},
		"a kernel larger than the map": {func(g *convGeom) { g.H, g.R, g.PadH = 2, 5, 2 }, [3]bool{true, true, false}},
	} {
		g := served
		row.change(&g)
		stride := g.StrideW
		g = filledGeom(g)
		if stride > 0 {
			g.StrideW = stride
		}
		for p, name2 := range passNames {
			if got := New().at(backend.Medium).tileConvOf(g, pass(p)) != nil; got != row.want[p] {
				t.Errorf("%s, %s: got %t, want %t", name, name2, got, row.want[p])
			}
			if New().at(backend.High).tileConvOf(g, pass(p)) != nil {
				t.Errorf("%s, %s: for tiles at high precision", name, name2)
			}
		}
	}
	be := New().at(backend.Medium)
	g := filledGeom(served)
	for dtype, want := range map[backend.DType]bool{backend.Float32: true, backend.BFloat16: true, backend.Float16: false, backend.Float64: false} {
		a := backend.Array{Buffer: be.NewBuffer(dtype, 1), Len: 1}
		if got := be.choose(g, forward, typesOf(a, a, a, a, backend.Array{})).name() == "amx"; got != want {
			t.Errorf("%s: got %t, want %t", dtype, got, want)
		}
	}
	if got := be.algorithm(g, forward); got != "amx" {
		t.Errorf("algorithm: got %q, want amx", got)
	}
	kernels.Current.AMX = nil
	if be.tileConvOf(g, forward) != nil {
		t.Error("for tiles where there are none")
	}
}

// testTileConvKeepsNaN states that every result that depends on what is not finite is not finite.
func testTileConvKeepsNaN(t *testing.T) {
	for _, g := range []convGeom{
		{N: 2, C: 16, H: 6, W: 6, K: 16, R: 3, S: 3, PadH: 1, PadW: 1},
		{N: 18, C: 16, H: 2, W: 2, K: 16, R: 3, S: 3, PadH: 1, PadW: 1},
	} {
		g := filledGeom(g)
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for at := 0; at < g.H*g.W; at += 1 + g.H*g.W/5 {
				p := newPasses(g, uint64(at))
				p.be.SetPrecision(backend.Medium)
				i := (g.C+3)*g.H*g.W + at // the second image's fourth channel
				p.x[i], p.y[i] = float32(bad), float32(bad)
				var depends [3][]bool
				for k, n := range p.elements {
					depends[k] = make([]bool, n)
				}
				p.eachProduct(func(y, x, w int) {
					depends[0][y] = depends[0][y] || x == i
					depends[1][x] = depends[1][x] || y == i
					depends[2][w] = depends[2][w] || x == i || y == i
				})
				x, w, dy := p.be.arrayOf(p.x), p.be.arrayOf(p.w), p.be.arrayOf(p.y)
				for k, name := range passNames {
					got := make([]float32, p.elements[k])
					runTileConv(p.be.tileConvOf(g, pass(k)), pass(k), kernels.Floats{Wide: got}, x, w, dy, backend.Array{}, backend.Array{})
					for j, v := range got {
						if depends[k][j] && v-v == 0 {
							t.Fatalf("%+v, %s, %v at pixel %d: element %d: got %v, which is finite", g, name, bad, at, j, v)
						}
					}
				}
			}
		}
	}
}

func (be *Backend) arrayOf(s []float32) backend.Array {
	a := backend.Array{Buffer: be.NewBuffer(backend.Float32, len(s)), Len: len(s)}
	copy(data[float32](a), s)
	return a
}
