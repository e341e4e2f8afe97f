package cpu

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
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
			g := backend.MatMulGeom{Batch: [2]int{1, 1}, M: s[0], N: s[1], K: s[2]}
			c, x, y := filled(be, g.M*g.N), filled(be, g.M*g.K), filled(be, g.K*g.N)
			for b.Loop() {
				be.MatMul(c, x, y, g)
			}
			gflops(b, g.M*g.N*g.K)
		})
	}
}

var precisionNames = []string{"highest", "high", "medium"}

// BenchmarkConv runs the convolutions of VGG16 for 64 images of 32×32 pixels with each precision.
func BenchmarkConv(b *testing.B) {
	for p, name := range precisionNames {
		b.Run(name, func(b *testing.B) { benchmarkConv(b, backend.Precision(p), backend.Float32) })
	}
	b.Run("bfloat16", func(b *testing.B) { benchmarkConv(b, backend.Highest, backend.BFloat16) })
}

func benchmarkConv(b *testing.B, p backend.Precision, dtype backend.DType) {
	be := New().at(p)
	filled := func(n int) backend.Array {
		a := backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
		floatsOf(a).Store(0, data[float32](filled(be, n)))
		return a
	}
	for _, l := range [][3]int{ // channels in and out, size of the map
		{3, 64, 32}, {64, 64, 32}, {64, 128, 16}, {128, 128, 16}, {128, 256, 8}, {256, 256, 8},
		{256, 512, 4}, {512, 512, 4}, {512, 512, 2},
	} {
		g := convGeom{N: 64, C: l[0], H: l[2], W: l[2], K: l[1], R: 3, S: 3, P: l[2], Q: l[2],
			StrideH: 1, StrideW: 1, PadH: 1, PadW: 1, DilationH: 1, DilationW: 1, Groups: 1}
		x, w, y := filled(g.N*g.C*g.H*g.W), filled(g.K*g.C*9), filled(g.N*g.K*g.P*g.Q)
		bias := filled(g.K)
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { be.conv(y, x, w, backend.Array{}, bias, g) }},
			{"inputgrad", func() { be.convInputGrad(x, y, w, g) }},
			{"weightgrad", func() { be.convWeightGrad(w, y, x, g) }},
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

// TestProductIsTheSameOnAnyNumberOfCores takes shapes whose tiles and pieces of
// k are shared out.
func TestProductIsTheSameOnAnyNumberOfCores(t *testing.T) {
	be := New()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, s := range [][3]int{{40, 50, 9000}, {300, 700, 100}, {65, 33, 512}} {
		g := backend.MatMulGeom{Batch: [2]int{1, 1}, M: s[0], N: s[1], K: s[2]}
		if p := newPlan(1, g.M, g.N, g.K, kernelOf[float32](backend.Highest).Width); p.tilesM*p.tilesN*p.pieces < 2 {
			t.Fatalf("%v: one unit of work, want several", s)
		}
		c, x, y := filled(be, g.M*g.N), filled(be, g.M*g.K), filled(be, g.K*g.N)
		for i, d := 0, data[float32](x); i < len(d); i++ {
			d[i] = 1 / float32(i+1)
		}
		var want []float32
		for _, cores := range []int{1, 2, 5} {
			runtime.GOMAXPROCS(cores)
			be.MatMul(c, x, y, g)
			got := slices.Clone(data[float32](c))
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v: the result on %d cores differs from that on one", s, cores)
			}
		}
	}
}

// TestProductsOfViews states that matrices that lie apart give the bits of packed ones.
func TestProductsOfViews(t *testing.T) { eachLevel(t, testProductsOfViews) }

func testProductsOfViews(t *testing.T) {
	be := New()
	const b, h = 2, 3
	for _, dtype := range []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16, backend.Int64, backend.Uint8} {
		numbers := func(n int) backend.Array {
			a := backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
			from := filled(be, n)
			for i, d := 0, data[float32](from); i < n; i++ {
				d[i] *= 1 + 1/float32(i%101+1)
			}
			be.Copy(a, from)
			return a
		}
		for p, name := range precisionNames {
			be.SetPrecision(backend.Precision(p))
			for _, s := range [][3]int{{2, 3, 4}, {33, 47, 64}, {70, 1, 33}, {1, 2, 2000}, {5, 40, 1100}} {
				for bits := range 4 {
					packed := backend.MatMulGeom{Batch: [2]int{b, h}, M: s[0], N: s[1], K: s[2], TransA: bits&1 != 0, TransB: bits&2 != 0}
					view := packed.Normal()
					x, y := factors(view)
					// One array holds a third more than each operand, as where one layer makes queries, keys and values.
					lie := func(f *factor) (view, copied backend.Array, strides [2]int) {
						ld := 3 * h * f.cols
						all := numbers(b * f.rows * ld)
						all.Offset, all.Len = f.cols, all.Len-f.cols
						n := b * h * f.rows * f.cols
						copied = backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
						be.Strided(copied, all, backend.StridedGeom{Shape: []int{b, h, f.rows, f.cols}, Strides: []int{f.rows * ld, f.cols, ld, 1}})
						f.ld = ld
						return all, copied, [2]int{f.rows * ld, f.cols}
					}
					viewX, copyX, stridesX := lie(&x)
					viewY, copyY, stridesY := lie(&y)
					view.Batch, view.LDA, view.StrideA, view.LDB, view.StrideB = packed.Batch, x.ld, stridesX, y.ld, stridesY
					packed.StrideA, packed.StrideB = [2]int{h * x.rows * x.cols, x.rows * x.cols}, [2]int{h * y.rows * y.cols, y.rows * y.cols}
					n := b * h * s[0] * s[1]
					got, want := numbers(n), numbers(n)
					be.MatMul(want, copyX, copyY, packed)
					be.MatMul(got, viewX, viewY, view)
					if !bytes.Equal(raw(got), raw(want)) {
						t.Errorf("%v, %+v, %s precision: products of views differ from those of copies", dtype, view, name)
					}
				}
			}
		}
	}
}

// TestEmptySums states that a product over no depth is zeros, which are written, or added.
func TestEmptySums(t *testing.T) { eachLevel(t, testEmptySums) }

func testEmptySums(t *testing.T) {
	be := New()
	for p, name := range precisionNames {
		be.SetPrecision(backend.Precision(p))
		for _, s := range [][2]int{{1, 1}, {33, 47}, {64, 96}, {300, 700}} {
			for _, add := range []bool{false, true} {
				m, n, before, want := s[0], s[1], float32(7), float32(0)
				if add {
					want = before
				}
				// What an earlier product left in the workspace is no sum.
				x, y, z := filled(be, m*20), filled(be, 20*n), filled(be, m*n)
				be.MatMul(z, x, y, backend.MatMulGeom{Batch: [2]int{1, 1}, M: m, N: n, K: 20, Accumulate: true})
				c := slices.Repeat([]float32{before}, m*n)
				product(be, 1, m, n, 0, func(int) (operand[float32], operand[float32], sink[float32]) {
					return &matrix[float32]{}, &matrix[float32]{}, &matrixSink[float32]{data: c, ld: n, add: add}
				})
				for i, v := range c {
					if v != want {
						t.Fatalf("%d×%d, %s precision, add %t: element %d: got %v, want %v", m, n, name, add, i, v, want)
					}
				}
			}
		}
		// A convolution's gradients over no images and over no output channels.
		g := threeByThree(convGeom{C: 20, H: 9, W: 9, K: 30, PadH: 1, PadW: 1})
		g.StrideH, g.P = 2, 5
		dw, none := filled(be, g.K*g.C*9), filled(be, 0)
		be.convWeightGrad(dw, none, none, g)
		g.N, g.K = 3, 0
		dx := filled(be, g.N*g.C*g.H*g.W)
		be.convInputGrad(dx, none, none, g)
		for _, a := range []backend.Array{dw, dx} {
			for i, v := range data[float32](a) {
				if v != 0 {
					t.Fatalf("gradient over nothing, %s precision: element %d: got %v, want 0", name, i, v)
				}
			}
		}
	}
}

// TestPlan checks that tiles and pieces cover the product and fit the memory of
// a unit of work.
func TestPlan(t *testing.T) {
	sizes := []int{1, 7, 14, 31, 64, 255, 256, 257, 512, 513, 1000, 4608, 65536}
	for _, width := range []int{8, 16, 32} {
		for _, m := range sizes {
			for _, n := range sizes {
				for _, k := range append(sizes, 0) {
					for _, count := range []int{1, 5, 64} {
						p := newPlan(count, m, n, k, width)
						switch {
						case p.rows > tileRows, p.cols > tileCols, p.cols%width != 0,
							p.rows*p.tilesM < m, p.rows*(p.tilesM-1) >= m,
							p.cols*p.tilesN < n, p.cols*(p.tilesN-1) >= n,
							p.depth*p.pieces < k, p.pieces > 1 && p.depth*(p.pieces-1) >= k,
							p.pieces > 1 && count*m*n*p.pieces > maxSums:
							t.Fatalf("%d products of %d×%d by %d×%d: %+v", count, m, k, k, n, p)
						}
					}
				}
			}
		}
	}
}

func TestSplit(t *testing.T) {
	for _, heights := range [][]int{{14, 8}, {6}, {4}} {
		kn := kernels.Gemm[float32]{Heights: heights}
		for m := 1; m <= tileRows; m++ {
			rows := 0
			for _, h := range kn.Split(nil, m) {
				rows += h
			}
			if rows < m || rows >= m+heights[0] || rows > tileRows+16 {
				t.Errorf("%d rows in panels of %v: got %d rows", m, heights, rows)
			}
		}
	}
	kn := kernels.Gemm[float32]{Heights: []int{14, 8}}
	for m, want := range map[int][]int{64: {14, 14, 14, 14, 8}, 16: {8, 8}, 3: {8}, 9: {14}, 44: {14, 14, 8, 8}} {
		if got := kn.Split(nil, m); !slices.Equal(got, want) {
			t.Errorf("%d rows: got panels %v, want %v", m, got, want)
		}
	}
}

// BenchmarkKernel runs the micro-kernels on panels in the first cache.
func BenchmarkKernel(b *testing.B) {
	for p := range precisionNames {
		kn := kernelOf[float32](backend.Precision(p))
		for _, h := range kn.Heights {
			b.Run(fmt.Sprint(precisionNames[p], "/", h, "x", kn.Width), func(b *testing.B) {
				const k = kernels.GemmDepth
				x, y, c := make([]float32, 3*k*h), make([]float32, 3*k*kn.Width), make([]float32, h*kn.Width)
				for b.Loop() {
					if kn.SplitGemm != nil {
						kn.SplitGemm.Run(h, k, kernels.Halves(x), kernels.Halves(y), c, true)
					} else {
						kn.Run(h, k, x, y, c, true)
					}
				}
				gflops(b, h*kn.Width*k)
			})
			if kn.SplitGemm == nil {
				continue
			}
			b.Run(fmt.Sprint(precisionNames[p], "/split", h), func(b *testing.B) {
				const k = kernels.GemmDepth
				x, y := make([]float32, k*h), make([]float32, 3*k*h)
				for b.Loop() {
					kn.SplitGemm.SplitA(kernels.Halves(y), x, h, k)
				}
				b.SetBytes(k * int64(h) * 4)
			})
		}
	}
}
