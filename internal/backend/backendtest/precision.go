package backendtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// testSetPrecision runs products that are large enough for the kernels of each
// precision, and small ones with odd sizes.
func testSetPrecision(t *testing.T, be backend.Backend, high float64) {
	defer be.SetPrecision(backend.Highest)
	precisions := []struct {
		name  string
		p     backend.Precision
		bound float64
	}{{"highest", backend.Highest, 1e-6}, {"high", backend.High, high}, {"medium", backend.Medium, 1e-2}}
	convs := []convCase{
		{"256 channels", backend.ConvGeom{N: 2, C: 256, In: [3]int{1, 8, 8}, K: 64, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"256 channels, 16x16 maps", backend.ConvGeom{N: 1, C: 256, In: [3]int{1, 16, 16}, K: 32, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"many images", backend.ConvGeom{N: 35, C: 40, In: [3]int{1, 5, 6}, K: 33, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"2x2 maps", backend.ConvGeom{N: 70, C: 64, In: [3]int{1, 2, 2}, K: 47, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"groups", backend.ConvGeom{N: 17, C: 68, In: [3]int{1, 8, 8}, K: 70, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}, Groups: 2}},
		{"stride 2", backend.ConvGeom{N: 3, C: 35, In: [3]int{1, 13, 12}, K: 31, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}, Stride: [3]int{1, 2, 2}}},
		{"1x1", backend.ConvGeom{N: 3, C: 67, In: [3]int{1, 7, 7}, K: 65, Kernel: [3]int{1, 1, 1}}},
	}
	finish(convs)
	products := []backend.MatMulGeom{
		{Batch: [2]int{1, 1}, M: 64, N: 96, K: 512}, {Batch: [2]int{1, 3}, M: 33, N: 47, K: 65, TransA: true}, {Batch: [2]int{1, 2}, M: 17, N: 100, K: 131, TransB: true},
		{Batch: [2]int{1, 1}, M: 1, N: 70, K: 300}, {Batch: [2]int{1, 1}, M: 60, N: 61, K: 62, TransA: true, TransB: true},
	}
	for _, p := range precisions {
		be.SetPrecision(p.p)
		within := func(t *testing.T, what string, a backend.Array, want []float64) {
			t.Helper()
			var off, all float64
			for i, v := range get[float32](be, a) {
				off += (float64(v) - want[i]) * (float64(v) - want[i])
				all += want[i] * want[i]
			}
			if e := math.Sqrt(off / all); !(e <= p.bound) {
				t.Errorf("%s: got a relative error of %.2g, want %g at most", what, e, p.bound)
			}
		}
		for _, c := range convs {
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				nx, nw, ny := convSizes(c.g)
				x, w, dy := random(1, nx), random(2, nw), random(3, ny)
				y, dx, dw := make([]float64, ny), make([]float64, nx), make([]float64, nw)
				eachTap(c.g, func(iy, ix, iw int) {
					y[iy] += x[ix] * w[iw]
					dx[ix] += dy[iy] * w[iw]
					dw[iw] += dy[iy] * x[ix]
				})
				ax, aw, ady := floats[float32](be, x), floats[float32](be, w), floats[float32](be, dy)
				ay, adx, adw := empty[float32](be, ny), empty[float32](be, nx), empty[float32](be, nw)
				be.Conv(ay, ax, aw, backend.Array{}, backend.Array{}, c.g)
				be.ConvInputGrad(adx, ady, aw, c.g)
				be.ConvWeightGrad(adw, ady, ax, c.g)
				within(t, "the result", ay, y)
				within(t, "the gradient of the input", adx, dx)
				within(t, "the gradient of the weight", adw, dw)
			})
		}
		for _, g := range products {
			t.Run(fmt.Sprintf("%s/%+v", p.name, g), func(t *testing.T) {
				g.StrideA[1], g.StrideB[1] = g.M*g.K, g.K*g.N
				a, b := factorsOf(g, 0, random)
				c := make([]float64, g.Batch[1]*g.M*g.N)
				plainMatMul(c, a, b, g)
				got := empty[float32](be, len(c))
				be.MatMul(got, floats[float32](be, a), floats[float32](be, b), g)
				within(t, "the product", got, c)
			})
		}
	}
}
