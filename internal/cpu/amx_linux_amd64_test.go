//go:build !noasm

package cpu

import (
	endian "encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/wick-ml/wick/internal/backend"
)

func needsBF16(t *testing.T) {
	if !cpu.X86.HasAVX512BF16 || !cpu.X86.HasAVX512BW {
		t.Skip("this processor or operating system has no AVX512_BF16")
	}
}

// TestAMX tests what multiplies with tiles: on a processor that has them, otherwise in a child under the emulator.
func TestAMX(t *testing.T) {
	needsBF16(t)
	if len(assemblyAMX()) == 0 && os.Getenv(emulated) == "" {
		underEmulator(t, "TestAMX", 3*time.Minute)
		return
	}
	t.Run("signals", testSignals)
	t.Run("kernels", testTileKernels)
	t.Run("accuracy", testTileAccuracy)
	chosen := current
	defer func() { current = chosen }()
	current = levelAMX
	t.Run("algorithm", testTileAlgorithm)
	t.Run("products", testTileMatMul)
	t.Run("empty sums", testEmptySums)
	t.Run("convolutions", testTileConvolutions)
	t.Run("sums", testTileSums)
	t.Run("direct convolutions", func(t *testing.T) { testTileConv(t, tileConvSmall) })
	t.Run("not finite", testTileConvKeepsNaN)
	t.Run("cores", func(t *testing.T) { testTileConvCores(t, tileConvSmall) })
}

// testSignals states that an emulator keeps no signal that it has no use for.
func testSignals(t *testing.T) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGILL)
	defer signal.Stop(got)
	if err := syscall.Kill(os.Getpid(), syscall.SIGILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(10 * time.Second):
		t.Error("a signal that was sent to this process did not arrive within 10 s")
	}
}

// TestTileSplit compares the splitting of panels, which needs no tiles, with the plain one.
func TestTileSplit(t *testing.T) {
	needsBF16(t)
	r := rand.New(rand.NewPCG(21, 22))
	fsrc, fdst := newFence(t, 256*32), newFence(t, 3*256*16)
	for _, kn := range levelAMX.gemm {
		p := kn.parts
		plain := splitPlainly(p.count, p.depth)
		for _, lanes := range kn.heights {
			for k := 1; k <= 256; k += 1 + k/68*37 {
				for offset := range 4 {
					src := randomize(r, fsrc.last(k*lanes, offset))
					for i, v := range []uint32{0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x80000000, 0x7f7fffff, 0xff800000, 0x7fc00001} {
						src[(i*37+k)%len(src)] = math.Float32frombits(v)
					}
					size := p.size(lanes, k)
					want := make([]uint16, size)
					plain(want, src, lanes, k)
					for i, split := range []func(dst []uint16, src []float32, lanes, k int){p.splitB, p.splitA} {
						if i == 1 {
							want = turned(want, lanes)
						}
						dst := randomize(r, fdst.last(size/2, offset))
						before := slices.Clone(fdst[:len(fdst)-offset-size/2])
						split(halves(dst), src, lanes, k)
						if !slices.Equal(halves(dst), want) {
							t.Fatalf("%d parts, %d rows of %d, offset %d, a %t:\ngot  %x\nwant %x", p.count, k, lanes, offset, i == 1, halves(dst), want)
						}
						if len(before) > 0 && !slices.Equal(halves(before), halves(fdst[:len(before)])) {
							t.Fatalf("%d parts, %d rows of %d, offset %d: wrote before the panel", p.count, k, lanes, offset)
						}
					}
				}
			}
		}
	}
}

// turned returns a panel laid by splitPlainly with squares of 16 pairs of rows by 16 numbers transposed.
func turned(panel []uint16, lanes int) []uint16 {
	dst := make([]uint16, len(panel))
	for part := 0; part < len(panel); part += 32 * lanes {
		for i := range 16 { // pairs of rows
			for l := range lanes {
				from, to := part+2*(i*lanes+l), part+2*(l%16*lanes+l/16*16+i)
				dst[to], dst[to+1] = panel[from], panel[from+1]
			}
		}
	}
	return dst
}

// tileModel is what a kernel is to compute, bit by bit, by the emulator's product of tiles.
func tileModel(p *parts[float32], height, k int, a, b []uint16, c []float32, add bool) {
	// load copies 16 rows of 64 bytes.
	load := func(panel []uint16, lanes, at int) (t tileData) {
		for i := range 16 {
			for j, v := range panel[at+2*lanes*i:][:32] {
				endian.LittleEndian.PutUint16(t[64*i+2*j:], v)
			}
		}
		return t
	}
	order := [][][2]int{{{0, 0}}, {{1, 0}, {0, 0}, {0, 1}}, {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}}}[p.count-1]
	for i := 0; i < height; i += 16 {
		for j := 0; j < 32; j += 16 {
			var sum tileData
			for e := range 256 {
				if add {
					endian.LittleEndian.PutUint32(sum[4*e:], math.Float32bits(c[(i+e/16)*32+j+e%16]))
				}
			}
			for g := range ceil(k, 32) {
				for _, o := range order {
					x := load(a, height, (g*p.count+o[0])*32*height+2*i)
					y := load(b, 32, (g*p.count+o[1])*32*32+2*j)
					dotTiles(&sum, &x, &y, 16, 16, 16)
				}
			}
			for e := range 256 {
				c[(i+e/16)*32+j+e%16] = math.Float32frombits(endian.LittleEndian.Uint32(sum[4*e:]))
			}
		}
	}
}

func testTileKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	fa, fb, fc := newFence(t, 3*288*16), newFence(t, 3*288*16), newFence(t, 32*32+8)
	same := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) || x != x && y != y }
	for _, kn := range levelAMX.gemm {
		p := kn.parts
		plain := plainParts(p.count, p.depth, kn.width)
		for _, h := range kn.heights {
			for k := 1; k <= 256; k += 1 + k/68*94 {
				offset := k % 4
				a, b := halves(fa.last(p.size(h, k)/2, offset)), halves(fb.last(p.size(kn.width, k)/2, offset))
				x, y := randomize(r, make([]float32, h*k)), randomize(r, make([]float32, kn.width*k))
				if k%8 == 0 { // an infinity and what is not a number, in row 1 and in column 2
					x[1], y[2] = float32(math.Inf(1)), float32(math.NaN())
				}
				if k%8 == 1 { // small numbers, whose products are flushed to zero
					for i := range x {
						x[i] *= 0x1p-80
					}
					for i := range y {
						y[i] *= 0x1p-46
					}
				}
				pa := make([]uint16, len(a))
				p.splitA(a, x, h, k)
				plain.splitA(pa, x, h, k)
				p.splitB(b, y, kn.width, k)
				for _, add := range []bool{false, true} {
					before := slices.Clone(randomize(r, fc))
					c := fc.last(h*kn.width, offset)
					want, model := slices.Clone(c), slices.Clone(c)
					plain.run(h, k, pa, b, want, add)
					tileModel(p, h, k, a, b, model, add)
					p.run(h, k, a, b, c, add)
					for i, v := range c {
						near := math.Abs(float64(v-want[i])) <= 1e-5 || v == want[i] || v != v && want[i] != want[i]
						if !same(v, model[i]) || !near {
							t.Fatalf("%d parts, %d×%d, k %d, add %t: element (%d, %d): got %v, want %v and about %v", p.count, h, kn.width, k, add, i/kn.width, i%kn.width, v, model[i], want[i])
						}
					}
					end := len(fc) - offset
					if !slices.Equal(fc[:end-len(c)], before[:end-len(c)]) || !slices.Equal(fc[end:], before[end:]) {
						t.Fatalf("%d parts, %d×%d, k %d: wrote outside of the result", p.count, h, kn.width, k)
					}
				}
			}
		}
	}
}

// testTileAccuracy states the relative errors of 1, 3 and 6 products of parts, for factors like a convolution's: weights, and
// what comes from a ReLU.
func testTileAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	for _, depth := range []int{64, 2304} {
		const h, w = 32, 32
		x, y := make([]float32, h*depth), make([]float32, w*depth)
		for i := range x {
			x[i], y[i] = float32(r.NormFloat64()), float32(max(0, r.NormFloat64()))
		}
		want, plain := make([]float64, h*w), make([]float32, h*w)
		for i := range want {
			for l := range depth {
				v, u := x[l*h+i/w], y[l*w+i%w]
				want[i] += float64(v) * float64(u)
				plain[i] += v * u
			}
		}
		bounds := [3]float64{distance(plain, want), 5e-6, 3e-3}
		for i, kn := range levelAMX.gemm {
			p, got := kn.parts, make([]float32, h*w)
			for k0 := 0; k0 < depth; k0 += tileDepth {
				k := min(tileDepth, depth-k0)
				a, b := make([]uint16, p.size(h, k)), make([]uint16, p.size(w, k))
				p.splitA(a, x[k0*h:], h, k)
				p.splitB(b, y[k0*w:], w, k)
				p.run(h, k, a, b, got, k0 > 0)
			}
			d := distance(got, want)
			t.Logf("%d parts, depth %d: relative error %.2g, of a float32 loop %.2g", p.count, depth, d, distance(plain, want))
			if !(d <= bounds[i]) {
				t.Errorf("%d parts, depth %d: got a relative error of %.2g, want %.2g at most", p.count, depth, d, bounds[i])
			}
		}
	}
}

// testTileMatMul multiplies matrices of odd sizes at each precision.
func testTileMatMul(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	be := New()
	array := func(n int) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
		randomize(r, data[float32](a))
		return a
	}
	for _, s := range [][3]int{{1, 1, 1}, {33, 47, 65}, {70, 129, 263}, {20, 17, 1100}} {
		m, n, k := s[0], s[1], s[2]
		g := backend.MatMulGeom{Batch: 1, M: m, N: n, K: k}
		a, b, c := array(m*k), array(k*n), array(m*n)
		want := make([]float64, m*n)
		for i := range want {
			for l := range k {
				want[i] += float64(data[float32](a)[i/n*k+l]) * float64(data[float32](b)[l*n+i%n])
			}
		}
		for precision, bound := range []float64{1e-6, 5e-6, 1e-2} {
			be.SetPrecision(backend.Precision(precision))
			be.MatMul(c, a, b, g)
			if d := distance(data[float32](c), want); !(d <= bound) {
				t.Errorf("%v, %s precision: got a relative error of %.2g, want %g at most", s, precisionNames[precision], d, bound)
			}
		}
	}
}

// testTileAlgorithm states the level's rule: Winograd's algorithms multiply with FMA, and there are none at medium precision.
func testTileAlgorithm(t *testing.T) {
	vgg := backend.ConvGeom{N: 64, C: 64, H: 32, W: 32, K: 64, PadH: 1, PadW: 1}
	first, narrow := vgg, vgg
	first.C, narrow.C = 3, 5
	for _, row := range []struct {
		g    backend.ConvGeom
		want [3]string
	}{
		{vgg, [3]string{"winograd 2x4", "winograd 4x4", "tiles"}},
		{first, [3]string{"planes", "planes", "planes"}},
		{narrow, [3]string{"direct", "direct", "direct bf16"}},
	} {
		for precision, want := range row.want {
			if got := New().at(backend.Precision(precision)).algorithm(threeByThree(row.g), forward); got != want {
				t.Errorf("%+v, %s precision: got %q, want %q", row.g, precisionNames[precision], got, want)
			}
		}
	}
}

func testTileConvolutions(t *testing.T) {
	for i, g := range []backend.ConvGeom{
		{N: 16, C: 32, H: 8, W: 8, K: 48, PadH: 1, PadW: 1},
		{N: 16, C: 40, H: 2, W: 2, K: 32, PadH: 1, PadW: 1},
		{N: 2, C: 5, H: 12, W: 12, K: 20, PadH: 1, PadW: 1},
	} {
		p := newPasses(g, uint64(i))
		for precision, bound := range []float64{1e-6, 5e-6, 1e-2} {
			p.be.SetPrecision(backend.Precision(precision))
			for j, name := range passNames {
				got, want := p.chosen(pass(j)), p.plain(pass(j))
				d := distance(got, want)
				what := fmt.Sprintf("%d to %d channels, %d×%d, %s, %s precision, %s", g.C, g.K, g.H, g.W, name, precisionNames[precision], p.be.algorithm(p.g, pass(j)))
				t.Logf("%s: relative error %.2g", what, d)
				if !(d <= bound) {
					t.Errorf("%s: got a relative error of %.2g, want %g at most", what, d, bound)
				}
			}
		}
	}
}

// chosen runs a pass by the algorithm that is chosen for it.
func (p *passes) chosen(pass pass) []float32 {
	array := func(s []float32) backend.Array {
		a := backend.Array{Buffer: p.be.NewBuffer(backend.Float32, len(s)), Len: len(s)}
		copy(data[float32](a), s)
		return a
	}
	dst := array(make([]float32, p.elements[pass]))
	switch pass {
	case forward:
		p.be.Conv2d(dst, array(p.x), array(p.w), backend.Array{}, array(p.bias), p.g)
	case inputGrad:
		p.be.Conv2dInputGrad(dst, array(p.y), array(p.w), p.g)
	case weightGrad:
		p.be.Conv2dWeightGrad(dst, array(p.y), array(p.x), p.g)
	}
	return data[float32](dst)
}
