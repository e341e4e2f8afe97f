package cpu

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// passes are the three products of a convolution, by Winograd's algorithm whether it pays or not, and
// by the plain sum in float64.
type passes struct {
	be       *Backend
	g        convGeom
	x, w, y  []float32 // y is the gradient
	bias     []float32
	scale    []float32 // if there is one, ReLU follows
	elements [3]int    // of the results
}

// threeByThree fills in what the geometries of these tests have in common.
func threeByThree(g convGeom) convGeom {
	g.R, g.S, g.StrideH, g.StrideW, g.DilationH, g.DilationW = 3, 3, 1, 1, 1, 1
	g.Groups = max(g.Groups, 1)
	g.P, g.Q = g.H+2*g.PadH-2, g.W+2*g.PadW-2
	return g
}

func newPasses(g convGeom, seed uint64) *passes {
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
func (p *passes) winograd(t *testing.T, pass pass) []float32 {
	t.Helper()
	whole := make([]float32, p.elements[pass]+64)
	for i := range whole {
		whole[i] = float32(math.NaN())
	}
	dst := whole[:p.elements[pass]:p.elements[pass]]
	p.run(t, pass, kernels.Floats{Wide: dst}, func(s []float32) kernels.Floats { return kernels.Floats{Wide: s} })
	for i, v := range whole[len(dst):] {
		if v == v {
			t.Fatalf("%+v, %s: wrote %d elements behind the end", p.g, passNames[pass], i)
		}
	}
	return dst
}

// winogradBF16 is winograd with bfloat16 numbers for the factors, which lose nothing by it, and for the result.
func (p *passes) winogradBF16(t *testing.T, pass pass) []uint16 {
	t.Helper()
	const nan = 0x7fff // which no sum gives
	whole := slices.Repeat([]uint16{nan}, p.elements[pass]+64)
	dst := whole[:p.elements[pass]:p.elements[pass]]
	p.run(t, pass, kernels.Floats{Half: dst}, func(s []float32) kernels.Floats { return kernels.Floats{Half: narrowed(s)} })
	for i, v := range whole[len(dst):] {
		if v != nan {
			t.Fatalf("%+v, %s: wrote %d elements behind the end", p.g, passNames[pass], i)
		}
	}
	return dst
}

// run runs a pass on factors that lie where from says.
func (p *passes) run(t *testing.T, pass pass, dst kernels.Floats, from func(s []float32) kernels.Floats) {
	t.Helper()
	schemes := p.be.schemesFor(p.g)
	if len(schemes) == 0 {
		t.Fatalf("%+v: no algorithm", p.g)
	}
	wi := p.be.newWinograd(schemes[0], p.g, pass)
	wi.weight = from(p.w)
	switch pass {
	case forward:
		wi.scale, wi.relu = from(p.scale), p.scale != nil
		wi.convolve(dst, from(p.x), from(p.bias))
	case inputGrad:
		wi.convolve(dst, from(p.y), kernels.Floats{})
	case weightGrad:
		newGradPlan(wi, from(p.y), from(p.x)).compute(dst)
	}
}

// narrowed returns the numbers as bfloat16.
func narrowed(s []float32) []uint16 {
	half := make([]uint16, len(s))
	kernels.PlainHalf.NarrowBF16(half, s)
	return half
}

// plain runs a pass by the plain sum in float64.
func (p *passes) plain(pass pass) []float64 {
	array := func(s []float32) backend.Array {
		a := backend.Array{Buffer: p.be.NewBuffer(backend.Float64, len(s)), Len: len(s)}
		for i, d := 0, data[float64](a); i < len(s); i++ {
			d[i] = float64(s[i])
		}
		return a
	}
	dst := array(make([]float32, p.elements[pass]))
	switch pass {
	case forward:
		p.be.conv(dst, array(p.x), array(p.w), backend.Array{}, array(p.bias), p.g)
	case inputGrad:
		p.be.convInputGrad(dst, array(p.y), array(p.w), p.g)
	case weightGrad:
		p.be.convWeightGrad(dst, array(p.y), array(p.x), p.g)
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

var winogradShapes = []convGeom{
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
		for j, name := range passNames {
			if got := distance(p.winograd(t, pass(j)), winogradWant()[i][j]); !(got <= bound) {
				t.Errorf("%+v, precision %d: %s: got a relative error of %.2g, want %g at most", p.g, precision, name, got, bound)
			}
		}
	}
}

func TestWinograd(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for p := range precisionNames {
			testWinograd(t, backend.Precision(p), []float64{1e-6, 5e-6, 1e-2}[p])
		}
	})
}

// testWinogradOfBFloat16 compares the passes of bfloat16 numbers with those of the same numbers in float32, whose results are
// rounded: the bits are the same.
func testWinogradOfBFloat16(t *testing.T, precision backend.Precision) {
	t.Helper()
	for i, g := range winogradShapes {
		p := newPasses(g, uint64(i))
		p.be.SetPrecision(precision)
		if i%2 == 1 {
			p.scale = slices.Clone(p.w[:p.g.K])
		}
		for _, s := range [][]float32{p.x, p.w, p.y, p.bias, p.scale} {
			kernels.PlainHalf.WidenBF16(s, narrowed(s))
		}
		for j, name := range passNames {
			got, want := p.winogradBF16(t, pass(j)), narrowed(p.winograd(t, pass(j)))
			if !slices.Equal(got, want) {
				t.Errorf("%+v, precision %d: %s of bfloat16 numbers differs from that of float32 numbers", p.g, precision, name)
			}
		}
	}
}

func TestWinogradOfBFloat16(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for p := range precisionNames {
			testWinogradOfBFloat16(t, backend.Precision(p))
		}
	})
}

// Convolutions of bfloat16 arrays, some of VGG16's among them, give the bits of those of float32 arrays at the precision that
// serves them, rounded. Those of factors of different types do too.
func TestConvolutionOfBFloat16(t *testing.T) {
	for _, g := range []convGeom{
		{N: 8, C: 64, H: 32, W: 32, K: 64, PadH: 1, PadW: 1},
		{N: 16, C: 128, H: 8, W: 8, K: 256, PadH: 1, PadW: 1},
		{N: 16, C: 256, H: 4, W: 4, K: 256, PadH: 1, PadW: 1},
		{N: 64, C: 256, H: 2, W: 2, K: 256, PadH: 1, PadW: 1},
		{N: 18, C: 70, H: 9, W: 7, K: 75, PadH: 1, PadW: 1},
		{N: 5, C: 3, H: 9, W: 7, K: 30, PadH: 1, PadW: 1},
		{N: 5, C: 16, H: 1, W: 1, K: 30, PadH: 1, PadW: 1},
		{N: 3, C: 12, H: 9, W: 7, K: 12, PadH: 1, PadW: 1, Groups: 12},
	} {
		p := newPasses(g, 5)
		g := p.g
		scale := slices.Clone(p.w[:g.K])
		g.ReLU = true
		array := func(half bool, s []float32) backend.Array {
			dtype := backend.Float32
			if half {
				dtype = backend.BFloat16
			}
			a := backend.Array{Buffer: p.be.NewBuffer(dtype, len(s)), Len: len(s)}
			floatsOf(a).Store(0, s)
			return a
		}
		for _, s := range [][]float32{p.x, p.w, p.y, p.bias, scale} {
			kernels.PlainHalf.WidenBF16(s, narrowed(s))
		}
		call := func(be *Backend, j pass, half, second bool) backend.Array {
			dst := array(half, make([]float32, p.elements[j]))
			switch j {
			case forward:
				be.conv(dst, array(half, p.x), array(second, p.w), array(half, scale), array(half, p.bias), g)
			case inputGrad:
				be.convInputGrad(dst, array(half, p.y), array(second, p.w), g)
			case weightGrad:
				be.convWeightGrad(dst, array(half, p.y), array(second, p.x), g)
			}
			return dst
		}
		for j, name := range passNames {
			for _, second := range []bool{true, false} {
				none := array(true, nil)
				other := array(second, nil)
				wide := p.be.convProductsOf(g, pass(j), none.DType(), other.DType())
				if wide == nil {
					t.Fatalf("%+v, %s: convProductsOf found no array of half precision", g, name)
				}
				got, want := data[uint16](call(p.be, pass(j), true, second)), narrowed(data[float32](call(wide, pass(j), false, false)))
				if !slices.Equal(got, want) {
					t.Errorf("%+v, %s (%s), both bfloat16: %t: differs from that of float32 numbers", g, name, wide.algorithm(g, pass(j)), second)
				}
			}
		}
	}
}

// The bounds of the precisions hold with something to spare for 256 channels and for 256 tiles, whether the inputs come from a
// ReLU or, as gradients, do not.
func TestWinogradError(t *testing.T) {
	for _, g := range []convGeom{
		{N: 1, C: 256, H: 8, W: 8, K: 256, PadH: 1, PadW: 1},
		{N: 4, C: 256, H: 2, W: 2, K: 256, PadH: 1, PadW: 1},
		{N: 32, C: 20, H: 8, W: 8, K: 16, PadH: 1, PadW: 1},
	} {
		p := newPasses(g, 1)
		for i, name := range passNames {
			want := p.plain(pass(i))
			for precision := range precisionNames {
				bound := []float64{7e-7, 2e-6, 9e-3}[precision]
				p.be.SetPrecision(backend.Precision(precision))
				got := distance(p.winograd(t, pass(i)), want)
				t.Logf("%d channels, %d×%d pixels: %s, %s precision: relative error %.2g", g.C, g.H, g.W, name, precisionNames[precision], got)
				if !(got <= bound) {
					t.Errorf("%+v: %s, %s precision: got a relative error of %.2g, want %g at most", p.g, name, precisionNames[precision], got, bound)
				}
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
	for p := range precisionNames {
		t.Run(precisionNames[p], func(t *testing.T) { testWinogradKeepsNaN(t, backend.Precision(p)) })
	}
}

func testWinogradKeepsNaN(t *testing.T, precision backend.Precision) {
	for _, g := range []convGeom{
		{N: 2, C: 3, H: 7, W: 10, K: 3, PadH: 1, PadW: 1},
		{N: 2, C: 3, H: 2, W: 2, K: 3, PadH: 1, PadW: 1},
	} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for at := range g.H * g.W {
				p := newPasses(g, 3)
				p.be.SetPrecision(precision)
				before := [3][]float32{p.winograd(t, 0), p.winograd(t, 1), p.winograd(t, 2)}
				i := (p.g.C+1)*g.H*g.W + at // the second image's second channel
				p.x[i], p.y[i] = float32(bad), float32(bad)
				var wanted [3][]bool // the results that depend on it
				for k, n := range p.elements {
					wanted[k] = make([]bool, n)
				}
				p.eachProduct(func(y, x, w int) {
					wanted[0][y] = wanted[0][y] || x == i
					wanted[1][x] = wanted[1][x] || y == i
					wanted[2][w] = wanted[2][w] || x == i || y == i
				})
				for k := range before {
					for j, v := range p.winograd(t, pass(k)) {
						finite := !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
						switch {
						case finite && wanted[k][j]:
							t.Fatalf("%+v: %v at %d: %s: element %d: got %v", p.g, bad, at, passNames[k], j, v)
						case finite && v != before[k][j]:
							t.Fatalf("%+v: %v at %d: %s: element %d: got %v, without it %v", p.g, bad, at, passNames[k], j, v, before[k][j])
						case !finite && k < 2 && j < p.elements[k]/2:
							t.Fatalf("%+v: %v at %d: %s: element %d of the other image: got %v", p.g, bad, at, passNames[k], j, v)
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
			for j, name := range passNames {
				got := p.winograd(t, pass(j))
				if want[j] == nil {
					want[j] = got
				}
				if !slices.Equal(got, want[j]) {
					t.Errorf("%+v: %s on %d cores differs from that on one", p.g, name, cores)
				}
			}
		}
	}
}

// TestAlgorithm states which algorithm serves the convolutions of VGG16, and where there is no other than the plain sum.
func TestAlgorithm(t *testing.T) { eachLevel(t, testAlgorithm) }

func testAlgorithm(t *testing.T) {
	of := func(kn *kernels.Gemm[float32]) string { // what follows the name of an algorithm that multiplies with kn
		if kn.SplitGemm == nil {
			return ""
		}
		return " bf16"
	}
	vgg := func(c, k, h int) convGeom {
		return convGeom{N: 64, C: c, H: h, W: h, K: k, PadH: 1, PadW: 1}
	}
	for _, row := range []struct {
		name string
		g    convGeom
		want [3]string // of the passes with the highest precision
		high string    // instead of "winograd 2x4", if that is not its own
	}{
		{"3 to 64 channels, 32×32", vgg(3, 64, 32), [3]string{"product", "few inputs", "product"}, ""},
		{"64 to 64 channels, 32×32", vgg(64, 64, 32), [3]string{"winograd 2x4", "winograd 2x4", "winograd 2x4"}, "winograd 4x4"},
		{"64 to 128 channels, 16×16", vgg(64, 128, 16), [3]string{"winograd 2x4", "winograd 2x4", "winograd 2x4"}, "winograd 4x4"},
		{"256 to 256 channels, 8×8", vgg(256, 256, 8), [3]string{"winograd 2x4", "winograd 2x4", "winograd 2x4"}, "winograd 4x4"},
		{"512 to 512 channels, 4×4", vgg(512, 512, 4), [3]string{"winograd 2x4", "winograd 2x4", "winograd 2x4"}, "winograd 4x4"},
		{"512 to 512 channels, 2×2", vgg(512, 512, 2), [3]string{"winograd pair", "winograd pair", "winograd pair"}, ""},
		{"maps of two rows", convGeom{N: 64, C: 64, H: 2, W: 16, K: 64, PadH: 1, PadW: 1}, [3]string{"winograd 2x4", "winograd 2x4", "winograd 2x4"}, ""},
		{"one image", convGeom{N: 1, C: 64, H: 32, W: 32, K: 64, PadH: 1, PadW: 1}, [3]string{"product", "product", "winograd 2x4"}, "winograd 4x4"},
		{"one pixel", convGeom{N: 64, C: 64, H: 1, W: 1, K: 64, PadH: 1, PadW: 1}, [3]string{"product", "product", "product"}, ""},
		{"a channel for each group", convGeom{N: 64, C: 64, H: 8, W: 8, K: 64, PadH: 1, PadW: 1, Groups: 64}, [3]string{"depthwise", "few inputs", "depthwise"}, ""},
	} {
		g := threeByThree(row.g)
		for precision := range precisionNames {
			be := New().at(backend.Precision(precision))
			kn := kernelOf[float32](backend.Precision(precision))
			for i, want := range row.want {
				switch {
				case be.tileConvOf(g, pass(i)) != nil:
					want = "amx"
				case kernels.Current.Taps.Three != nil && planesServe(g):
					want = "planes"
				case want == "depthwise" || want == "few inputs":
				case want == "product":
					want += of(kn)
				case precision > 0 && row.high != "" && kn.SplitGemm == nil:
					want = row.high
				default:
					want += of(kn)
				}
				if got := be.algorithm(g, pass(i)); got != want {
					t.Errorf("%s, %s, %s precision: got %q, want %q", row.name, passNames[i], precisionNames[precision], got, want)
				}
			}
		}
	}
	for _, change := range []func(g *convGeom){
		func(g *convGeom) { g.R = 1 },
		func(g *convGeom) { g.S = 5 },
		func(g *convGeom) { g.StrideH = 2 },
		func(g *convGeom) { g.DilationW = 2 },
		func(g *convGeom) { g.PadH = 3 },
		func(g *convGeom) { g.N = 0 },
	} {
		g := threeByThree(vgg(16, 16, 8))
		change(&g)
		for i, name := range passNames {
			if got, want := New().algorithm(g, pass(i)), "product"+of(kernelOf[float32](backend.Highest)); got != want {
				t.Errorf("%+v, %s: got %q, want %q", g, name, got, want)
			}
		}
	}
}
