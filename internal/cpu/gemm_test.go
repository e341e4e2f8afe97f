package cpu

import (
	"fmt"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// gflops reports work (multiplications) as GFLOP/s.
func gflops(b *testing.B, work int) {
	b.ReportMetric(2*float64(work)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

func filled(be *Backend, n int) backend.Array {
	a := backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
	for i, d := 0, data[float32](a); i < n; i++ {
		d[i] = float32(i%17) - 8
	}
	return a
}

func BenchmarkGEMM(b *testing.B) {
	be := New()
	for _, s := range [][3]int{{1024, 1024, 1024}, {64, 10, 512}, {64, 512, 512}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			g := backend.MatMulGeom{Batch: 1, M: s[0], N: s[1], K: s[2]}
			c, x, y := filled(be, g.M*g.N), filled(be, g.M*g.K), filled(be, g.K*g.N)
			for b.Loop() {
				be.MatMul(c, x, y, g)
			}
			gflops(b, g.M*g.N*g.K)
		})
	}
}

// BenchmarkConv runs the convolutions of VGG16 for 64 images of 32×32 pixels.
func BenchmarkConv(b *testing.B) {
	be := New()
	for _, l := range [][3]int{ // channels in and out, size of the map
		{3, 64, 32}, {64, 64, 32}, {64, 128, 16}, {128, 128, 16}, {128, 256, 8}, {256, 256, 8},
		{256, 512, 4}, {512, 512, 4}, {512, 512, 2},
	} {
		g := backend.ConvGeom{N: 64, C: l[0], H: l[2], W: l[2], K: l[1], R: 3, S: 3, P: l[2], Q: l[2],
			StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1}
		x, w, y := filled(be, g.N*g.C*g.H*g.W), filled(be, g.K*g.C*9), filled(be, g.N*g.K*g.P*g.Q)
		bias := filled(be, g.K)
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { be.Conv2d(y, x, w, bias, g) }},
			{"inputgrad", func() { be.Conv2dInputGrad(x, y, w, g) }},
			{"weightgrad", func() { be.Conv2dWeightGrad(w, y, x, g) }},
		} {
			b.Run(fmt.Sprintf("%d-%d-%d/%s", l[0], l[1], l[2], pass.name), func(b *testing.B) {
				for b.Loop() {
					pass.run()
				}
				gflops(b, g.N*g.K*g.P*g.Q*g.C*9)
			})
		}
	}
}

// BenchmarkKernel runs the micro-kernels on panels in the first cache.
func BenchmarkKernel(b *testing.B) {
	kn := kernelOf[float32]()
	for _, h := range kn.heights {
		b.Run(fmt.Sprint(h, "x", kn.width), func(b *testing.B) {
			const k = tileDepth
			x, y, c := make([]float32, k*h), make([]float32, k*kn.width), make([]float32, h*kn.width)
			for b.Loop() {
				kn.run(h, k, x, y, c, true)
			}
			gflops(b, h*kn.width*k)
		})
	}
}
