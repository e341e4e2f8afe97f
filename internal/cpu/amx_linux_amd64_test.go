//go:build !noasm

package cpu

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/cpu/kernels"
	"github.com/wick-ml/wick/internal/cpu/kernels/asmtest"

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
	if kernels.DetectAMX() == nil && os.Getenv(asmtest.AMXEmulated) == "" {
		asmtest.RunAMX(t, "TestAMX", 3*time.Minute)
		return
	}
	t.Run("signals", testSignals)
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	kernels.Current = kernels.Level{Name: "amx", Gemm: &kernels.Kernel512, GemmBF16: &kernels.KernelBF16, Vector: &kernels.Vector512, Taps: kernels.Taps512, Half: &kernels.Half512, AMX: &kernels.AMXAssembly}
	t.Run("algorithm", testTileAlgorithm)
	t.Run("products", testTileMatMul)
	t.Run("empty sums", testEmptySums)
	t.Run("convolutions", testTileConvolutions)
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

func TestTilesMultiply(t *testing.T) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	kernels.Current.AMX = &kernels.AMXAssembly
	for _, row := range []struct {
		m, n, k int
		want    [3]bool // at each precision
	}{
		{1024, 1024, 1024, [3]bool{true, true, true}},
		{1024, 512, 512, [3]bool{false, false, true}},
		{256, 256, 256, [3]bool{}},
		{31, 1 << 13, 1 << 13, [3]bool{}},
		{1 << 13, 1 << 13, 31, [3]bool{}},
		{64, 1 << 12, 1 << 12, [3]bool{true, true, true}},
	} {
		for precision, want := range row.want {
			if got := New().at(backend.Precision(precision)).tilesMultiply(backend.MatMulGeom{Batch: [2]int{1, 1}, M: row.m, N: row.n, K: row.k}); got != want {
				t.Errorf("%+v, %s precision: got %t", row, precisionNames[precision], got)
			}
		}
	}
	kernels.Current.AMX = nil
	if New().tilesMultiply(backend.MatMulGeom{Batch: [2]int{1, 1}, M: 1024, N: 1024, K: 1024}) {
		t.Error("on tiles where there are none")
	}
}

// testTileMatMul multiplies matrices of odd sizes at each precision, as they lie, transposed, several, and added to what there is. At the
// highest the error is at most that of a plain loop in float32.
func testTileMatMul(t *testing.T) {
	r := rand.New(rand.NewPCG(27, 28))
	for i, g := range []backend.MatMulGeom{
		{Batch: [2]int{1, 1}, M: 1, N: 1, K: 1},
		{Batch: [2]int{1, 1}, M: 33, N: 17, K: 65},
		{Batch: [2]int{1, 1}, M: 130, N: 161, K: 263},
		{Batch: [2]int{1, 1}, M: 32, N: 50, K: 3000, TransA: true},
		{Batch: [2]int{1, 1}, M: 160, N: 96, K: 300, TransB: true},
		{Batch: [2]int{1, 1}, M: 129, N: 128, K: 270, TransA: true, TransB: true, Accumulate: true},
		{Batch: [2]int{1, 2}, M: 96, N: 160, K: 288, Accumulate: true},
		{Batch: [2]int{1, 2}, M: 100, N: 150, K: 290, TransB: true},
		{Batch: [2]int{2, 2}, M: 97, N: 40, K: 65, LDA: 2 * 65, LDB: 41},
		{Batch: [2]int{2, 1}, M: 70, N: 33, K: 64, LDA: 75, LDB: 81, TransA: true, TransB: true},
	} {
		g.StrideA, g.StrideB = [2]int{g.M * g.K, g.M * g.K}, [2]int{g.K * g.N, g.K * g.N}
		switch i {
		case 7:
			g.StrideB = [2]int{}
		case 8: // what attention multiplies
			g.StrideA, g.StrideB = [2]int{2 * g.M * g.K, g.K}, [2]int{0, 41 * g.K}
		case 9:
			g.StrideA, g.StrideB = [2]int{75 * g.K, 0}, [2]int{81 * g.N, 0}
		}
		g = g.Normal()
		batch := g.Batch[0] * g.Batch[1]
		be := New()
		array := func(n int) backend.Array { return be.arrayOf(asmtest.Randomize(r, make([]float32, n))) }
		room := func(ld, rows, cols int, stride [2]int, transposed bool) int {
			if transposed {
				rows, cols = cols, rows
			}
			return (g.Batch[0]-1)*stride[0] + (g.Batch[1]-1)*stride[1] + (rows-1)*ld + cols
		}
		a, b, before := array(room(g.LDA, g.M, g.K, g.StrideA, g.TransA)), array(room(g.LDB, g.K, g.N, g.StrideB, g.TransB)), array(batch*g.M*g.N)
		want, plain := make([]float64, before.Len), make([]float32, before.Len)
		for e := range want {
			n, row, col := e/(g.M*g.N), e/g.N%g.M, e%g.N
			if g.Accumulate {
				want[e], plain[e] = float64(data[float32](before)[e]), data[float32](before)[e]
			}
			fromA, fromB := offsets(&g, n)
			for l := range g.K {
				at, bt := row*g.LDA+l, l*g.LDB+col
				if g.TransA {
					at = l*g.LDA + row
				}
				if g.TransB {
					bt = col*g.LDB + l
				}
				v, w := data[float32](a)[fromA+at], data[float32](b)[fromB+bt]
				want[e] += float64(v) * float64(w)
				plain[e] += v * w
			}
		}
		for precision, bound := range []float64{max(distance(plain, want), 1e-7), 5e-6, 1e-2} {
			be.SetPrecision(backend.Precision(precision))
			c := be.arrayOf(data[float32](before))
			be.tileMatMul(data[float32](c), data[float32](a), data[float32](b), &g)
			if d := distance(data[float32](c), want); !(d <= bound) {
				t.Errorf("%+v, %s precision: got a relative error of %.2g, want %.2g at most", g, precisionNames[precision], d, bound)
			}
		}
	}
}

// testTileAlgorithm states the level's rule: Winograd's algorithms multiply with FMA, and there are none at medium precision.
func testTileAlgorithm(t *testing.T) {
	vgg := convGeom{N: 64, C: 64, H: 32, W: 32, K: 64, PadH: 1, PadW: 1}
	first, narrow := vgg, vgg
	first.C, narrow.C = 3, 5
	for _, row := range []struct {
		g    convGeom
		want [3]string
	}{
		{vgg, [3]string{"winograd 2x4", "winograd 4x4", "amx"}},
		{first, [3]string{"planes", "planes", "planes"}},
		{narrow, [3]string{"product", "product", "product bf16"}},
	} {
		for precision, want := range row.want {
			if got := New().at(backend.Precision(precision)).algorithm(threeByThree(row.g), forward); got != want {
				t.Errorf("%+v, %s precision: got %q, want %q", row.g, precisionNames[precision], got, want)
			}
		}
	}
}

func testTileConvolutions(t *testing.T) {
	for i, g := range []convGeom{
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
		p.be.conv(dst, array(p.x), array(p.w), backend.Array{}, array(p.bias), p.g)
	case inputGrad:
		p.be.convInputGrad(dst, array(p.y), array(p.w), p.g)
	case weightGrad:
		p.be.convWeightGrad(dst, array(p.y), array(p.x), p.g)
	}
	return data[float32](dst)
}
