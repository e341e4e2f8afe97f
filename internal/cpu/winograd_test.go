package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// passes are the three products of a convolution, by Winograd's algorithm whether it pays or not, and
// by the plain sum in float64.
type passes struct {
	be       *Backend
	g        backend.ConvGeom
	x, w, y  []float32 // y is the gradient
	bias     []float32
	elements [3]int // of the results
}

// threeByThree fills in what the geometries of these tests have in common.
func threeByThree(g backend.ConvGeom) backend.ConvGeom {
	g.R, g.S, g.StrideH, g.StrideW, g.DilationH, g.DilationW = 3, 3, 1, 1, 1, 1
	g.Groups = max(g.Groups, 1)
	g.P, g.Q = g.H+2*g.PadH-2, g.W+2*g.PadW-2
	return g
}

func newPasses(g backend.ConvGeom, seed uint64) *passes {
	g = threeByThree(g)
	r := rand.New(rand.NewPCG(seed, 7))
	normal := func(n int, scale float64) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(r.NormFloat64() * scale)
		}
		return s
	}
	p := &passes{be: New(), g: g, x: normal(g.N*g.C*g.H*g.W, 1), w: normal(g.K*g.C/g.Groups*9, 1/math.Sqrt(float64(g.C))),
		y: normal(g.N*g.K*g.P*g.Q, 1), bias: normal(g.K, 1)}
	for i, v := range p.x { // what comes from a ReLU
		p.x[i] = max(v, 0)
	}
	p.elements = [3]int{len(p.y), len(p.x), len(p.w)}
	return p
}

var passNames = []string{"forward", "input gradient", "weight gradient"}

// winograd runs a pass. What it forgets to write is NaN, and so is what lies behind the result.
func (p *passes) winograd(t *testing.T, pass int) []float32 {
	t.Helper()
	wi := p.be.winogradFor(p.g)
	if wi == nil {
		t.Fatalf("%+v: no algorithm", p.g)
	}
	whole := make([]float32, p.elements[pass]+64)
	for i := range whole {
		whole[i] = float32(math.NaN())
	}
	dst := whole[:p.elements[pass]:p.elements[pass]]
	switch pass {
	case 0:
		wi.weight, wi.laneK, wi.laneC = p.w, wi.c*9, 9
		wi.convolve(dst, p.x, p.bias)
	case 1:
		wi.weight, wi.laneK, wi.laneC = p.w, 9, wi.c*9
		wi.turn()
		wi.convolve(dst, p.y, nil)
	case 2:
		wi.weightGrad(dst, p.y, p.x)
	}
	for i, v := range whole[len(dst):] {
		if v == v {
			t.Fatalf("%+v, %s: wrote %d elements behind the end", p.g, passNames[pass], i)
		}
	}
	return dst
}

// plain runs a pass by the plain sum in float64.
func (p *passes) plain(pass int) []float64 {
	array := func(s []float32) backend.Array {
		a := backend.Array{Buffer: p.be.NewBuffer(backend.Float64, len(s)), Len: len(s)}
		for i, d := 0, data[float64](a); i < len(s); i++ {
			d[i] = float64(s[i])
		}
		return a
	}
	dst := array(make([]float32, p.elements[pass]))
	switch pass {
	case 0:
		p.be.Conv2d(dst, array(p.x), array(p.w), backend.Array{}, array(p.bias), p.g)
	case 1:
		p.be.Conv2dInputGrad(dst, array(p.y), array(p.w), p.g)
	case 2:
		p.be.Conv2dWeightGrad(dst, array(p.y), array(p.x), p.g)
	}
	return data[float64](dst)
}

// distance returns |got-want| / |want|.
func distance(got []float32, want []float64) float64 {
	var d, w float64
	for i, v := range want {
		d += (float64(got[i]) - v) * (float64(got[i]) - v)
		w += v * v
	}
	return math.Sqrt(d / w)
}

var winogradShapes = []backend.ConvGeom{
	{N: 16, C: 16, H: 8, W: 8, K: 16, PadH: 1, PadW: 1},
	{N: 34, C: 33, H: 4, W: 4, K: 70, PadH: 1, PadW: 1},
	{N: 20, C: 70, H: 2, W: 2, K: 131, PadH: 1, PadW: 1}, // more weights than input
	{N: 5, C: 9, H: 2, W: 1, K: 15, PadH: 1, PadW: 1},
	{N: 3, C: 5, H: 1, W: 1, K: 4, PadH: 1, PadW: 1},
	{N: 3, C: 4, H: 2, W: 2, K: 4, PadH: 2, PadW: 2},
	{N: 2, C: 3, H: 2, W: 2, K: 4, PadH: 2, PadW: 1},
	{N: 17, C: 7, H: 7, W: 5, K: 3, PadH: 1, PadW: 1},
	{N: 9, C: 2, H: 9, W: 11, K: 5},
	{N: 33, C: 6, H: 3, W: 3, K: 8},
	{N: 7, C: 10, H: 6, W: 7, K: 8, PadH: 2, PadW: 1, Groups: 2},
	{N: 3, C: 4, H: 5, W: 9, K: 4, PadH: 0, PadW: 2, Groups: 4},
	{N: 2, C: 17, H: 32, W: 32, K: 20, PadH: 1, PadW: 1},
	{N: 1, C: 3, H: 40, W: 41, K: 3, PadH: 1, PadW: 1}, // rows cut into several units
	{N: 2, C: 2, H: 5, W: 70, K: 3, PadH: 2, PadW: 2},
	{N: 1, C: 1, H: 3, W: 200, K: 1, PadH: 1},
	{N: 130, C: 2, H: 4, W: 2, K: 150, PadH: 1, PadW: 1},
	{N: 1, C: 300, H: 3, W: 3, K: 140, PadH: 1, PadW: 1},
}

// winogradWant is what is wanted of all passes, computed once.
var winogradWant = sync.OnceValue(func() (want [][3][]float64) {
	for i, g := range winogradShapes {
		p := newPasses(g, uint64(i))
		want = append(want, [3][]float64{p.plain(0), p.plain(1), p.plain(2)})
	}
	return want
})

// testWinograd compares all passes with float64.
func testWinograd(t *testing.T, precision backend.Precision, bound float64) {
	t.Helper()
	for i, g := range winogradShapes {
		p := newPasses(g, uint64(i))
		p.be.SetPrecision(precision)
		for pass, name := range passNames {
			if got := distance(p.winograd(t, pass), winogradWant()[i][pass]); !(got <= bound) {
				t.Errorf("%+v, precision %d: %s: got a relative error of %.2g, want %g at most", p.g, precision, name, got, bound)
			}
		}
	}
}

func TestWinograd(t *testing.T) { testWinograd(t, backend.Highest, 1e-6) }

// The bound of float32's highest precision, 1e-6, holds with something to spare for 256 channels and for 256 tiles.
func TestWinogradError(t *testing.T) {
	for _, g := range []backend.ConvGeom{
		{N: 1, C: 256, H: 8, W: 8, K: 256, PadH: 1, PadW: 1},
		{N: 4, C: 256, H: 2, W: 2, K: 256, PadH: 1, PadW: 1},
		{N: 32, C: 20, H: 8, W: 8, K: 16, PadH: 1, PadW: 1},
	} {
		p := newPasses(g, 1)
		for pass, name := range passNames {
			got := distance(p.winograd(t, pass), p.plain(pass))
			t.Logf("%d channels, %d×%d pixels: %s: relative error %.2g", g.C, g.H, g.W, name, got)
			if !(got <= 7e-7) {
				t.Errorf("%+v: %s: got a relative error of %.2g, want 7e-7 at most", p.g, name, got)
			}
		}
	}
}

// eachProduct calls f for each product that the convolution of one group sums, with the places of its
// factors and of its sum. Padding has no products.
func (p *passes) eachProduct(f func(y, x, w int)) {
	g := p.g
	for y := range p.elements[0] {
		n, k, i, j := y/(g.K*g.P*g.Q), y/(g.P*g.Q)%g.K, y/g.Q%g.P, y%g.Q
		for w := range g.C * 9 {
			if r, s := i+w/3%3-g.PadH, j+w%3-g.PadW; r >= 0 && r < g.H && s >= 0 && s < g.W {
				f(y, ((n*g.C+w/9)*g.H+r)*g.W+s, k*g.C*9+w)
			}
		}
	}
}

// Every output that depends on a NaN or an infinity is not finite; outputs of other tiles are as they were.
func TestWinogradKeepsNaN(t *testing.T) {
	for _, g := range []backend.ConvGeom{
		{N: 2, C: 3, H: 7, W: 10, K: 3, PadH: 1, PadW: 1},
		{N: 2, C: 3, H: 2, W: 2, K: 3, PadH: 1, PadW: 1},
	} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for at := range g.H * g.W {
				p := newPasses(g, 3)
				before := [3][]float32{p.winograd(t, 0), p.winograd(t, 1), p.winograd(t, 2)}
				i := (p.g.C+1)*g.H*g.W + at // the second image's second channel
				p.x[i], p.y[i] = float32(bad), float32(bad)
				var wanted [3][]bool // the results that depend on it
				for pass, n := range p.elements {
					wanted[pass] = make([]bool, n)
				}
				p.eachProduct(func(y, x, w int) {
					wanted[0][y] = wanted[0][y] || x == i
					wanted[1][x] = wanted[1][x] || y == i
					wanted[2][w] = wanted[2][w] || x == i || y == i
				})
				for pass := range before {
					for j, v := range p.winograd(t, pass) {
						finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
						switch {
						case finite && wanted[pass][j]:
							t.Fatalf("%+v: %v at %d: %s: element %d: got %v", p.g, bad, at, passNames[pass], j, v)
						case finite && v != before[pass][j]:
							t.Fatalf("%+v: %v at %d: %s: element %d: got %v, without it %v", p.g, bad, at, passNames[pass], j, v, before[pass][j])
						case !finite && pass < 2 && j < p.elements[pass]/2:
							t.Fatalf("%+v: %v at %d: %s: element %d of the other image: got %v", p.g, bad, at, passNames[pass], j, v)
						}
					}
				}
			}
		}
	}
}

func TestWinogradIsTheSameOnAnyNumberOfCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i, g := range winogradShapes {
		p := newPasses(g, uint64(i))
		var want [3][]float32
		for _, cores := range []int{1, 2, 3, 7} {
			runtime.GOMAXPROCS(cores)
			for pass, name := range passNames {
				got := p.winograd(t, pass)
				if want[pass] == nil {
					want[pass] = got
				}
				if !slices.Equal(got, want[pass]) {
					t.Errorf("%+v: %s on %d cores differs from that on one", p.g, name, cores)
				}
			}
		}
	}
}

// TestWinogradPays states for which convolutions the algorithm is chosen.
func TestWinogradPays(t *testing.T) {
	vgg := func(c, k, h int) backend.ConvGeom {
		return backend.ConvGeom{N: 64, C: c, H: h, W: h, K: k, PadH: 1, PadW: 1}
	}
	for _, row := range []struct {
		name string
		g    backend.ConvGeom
		want string // of the three passes, those that it serves
	}{
		{"64 to 64 channels, 32×32", vgg(64, 64, 32), "[true true true]"},
		{"512 to 512 channels, 2×2", vgg(512, 512, 2), "[true true true]"},
		{"three channels", vgg(3, 64, 32), "[false false false]"},
		{"one image", backend.ConvGeom{N: 1, C: 64, H: 32, W: 32, K: 64, PadH: 1, PadW: 1}, "[false false true]"},
		{"one pixel", backend.ConvGeom{N: 64, C: 64, H: 1, W: 1, K: 64, PadH: 1, PadW: 1}, "[false false false]"},
	} {
		g := threeByThree(row.g)
		fwd, in := New().winogradFor(g), New().winogradFor(g)
		in.turn()
		if got := fmt.Sprint([]bool{fwd.pays(g.N), in.pays(g.N), fwd.pays(0)}); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
	for _, change := range []func(g *backend.ConvGeom){
		func(g *backend.ConvGeom) { g.R = 1 },
		func(g *backend.ConvGeom) { g.S = 5 },
		func(g *backend.ConvGeom) { g.StrideH = 2 },
		func(g *backend.ConvGeom) { g.DilationW = 2 },
		func(g *backend.ConvGeom) { g.PadH = 3 },
		func(g *backend.ConvGeom) { g.N = 0 },
	} {
		g := threeByThree(vgg(16, 16, 8))
		change(&g)
		if New().winogradFor(g) != nil {
			t.Errorf("%+v: got an algorithm, want none", g)
		}
	}
}
