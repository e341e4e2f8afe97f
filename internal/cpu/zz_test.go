package cpu

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/wick-ml/wick/internal/backend"
)

func best(f func()) float64 {
	f()
	b := 1e9
	for s := time.Now(); time.Since(s) < 400*time.Millisecond; {
		t := time.Now()
		f()
		b = min(b, time.Since(t).Seconds())
	}
	return b
}

func TestZZ(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip("ZZ unset")
	}
	kn := kernelOf[float32]()
	for _, h := range kn.heights {
		for _, k := range []int{128, 192, 256, 384} {
			x, y, c := make([]float32, k*h), make([]float32, k*kn.width), make([]float32, h*kn.width)
			s := best(func() {
				for range 10 {
					kn.run(h, k, x, y, c, true)
				}
			})
			fmt.Printf("kernel %dx%d k=%d %.1f GF/s\n", h, kn.width, k, float64(20*h*kn.width*k)/s/1e9)
		}
	}
	be := New()
	g := backend.MatMulGeom{Batch: 1, M: 1024, N: 1024, K: 1024}
	c, x, y := filled(be, g.M*g.N), filled(be, g.M*g.K), filled(be, g.K*g.N)
	s := best(func() { be.MatMul(c, x, y, g) })
	fmt.Printf("gemm 1024 %.1f GF/s\n", 2*1.073741824/s)
	tot := 0.0
	for _, l := range [][4]int{ // channels in and out, size of the map
		{3, 64, 32, 1}, {64, 64, 32, 1}, {64, 128, 16, 1}, {128, 128, 16, 1}, {128, 256, 8, 1}, {256, 256, 8, 2},
		{256, 512, 4, 1}, {512, 512, 4, 2}, {512, 512, 2, 3},
	} {
		g := backend.ConvGeom{N: 64, C: l[0], H: l[2], W: l[2], K: l[1], R: 3, S: 3, P: l[2], Q: l[2],
			StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1}
		x, w, y := filled(be, g.N*g.C*g.H*g.W), filled(be, g.K*g.C*9), filled(be, g.N*g.K*g.P*g.Q)
		bias := filled(be, g.K)
		f := best(func() { be.Conv2d(y, x, w, bias, g) }) * 1e3
		d := best(func() { be.Conv2dInputGrad(x, y, w, g) }) * 1e3
		wg := best(func() { be.Conv2dWeightGrad(w, y, x, g) }) * 1e3
		m := float64(l[3])
		tot += m * (f + wg)
		if l[0] > 3 {
			tot += m * d
		}
		fl := 2 * float64(g.N*g.K*g.P*g.Q*g.C*9) / 1e6
		fmt.Printf("%d %d %d fwd %.0f dgrad %.0f wgrad %.0f GF/s ms %.2f %.2f %.2f\n", l[0], l[1], l[2], fl/f, fl/d, fl/wg, f, d, wg)
	}
	fmt.Printf("total %.1f ms\n", tot)
}
