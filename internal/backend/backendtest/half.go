package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// A type of half precision is one of storage: a method computes what it would of the
// same numbers in float32, and rounds what it writes once.

// halfCall calls one method with arrays that make gives for the numbers: mixed
// are those that may be float32 beside others of half precision. It returns what the
// method wrote.
type halfCall struct {
	method string
	call   func(be backend.Backend, half, mixed func(seed uint64, n int) backend.Array) []backend.Array
}

func init() {
	for _, c := range halfCalls() {
		rows = append(rows, Row{c.method, "arrays of half precision get the float32 result, rounded", func(t *testing.T, be backend.Backend) { testHalf(t, be, c) }})
	}
	rows = append(rows, Row{"Copy", "types of half precision round to nearest even", testHalfCopy})
}

func testHalf(t *testing.T, be backend.Backend, c halfCall) {
	for _, typ := range []backend.DType{backend.BFloat16, backend.Float16} {
		for _, mix := range []backend.DType{backend.Float32, typ} {
			t.Run(fmt.Sprintf("%s beside %s", typ, mix), func(t *testing.T) {
				// All numbers are whole eighths up to 2, which each type holds.
				of := func(typ backend.DType) func(seed uint64, n int) backend.Array {
					return func(seed uint64, n int) backend.Array {
						s := random(seed, n)
						for i := range s {
							s[i] = math.Round(16*s[i])/8 + 0.125
						}
						wide := floats[float32](be, s)
						a := backend.Array{Buffer: be.NewBuffer(typ, n+5), Offset: 5, Len: n}
						be.Copy(a, wide)
						return a
					}
				}
				float32s := of(backend.Float32)
				want := c.call(be, float32s, float32s)
				got := c.call(be, of(typ), of(mix))
				for i, a := range got {
					if a.None() || !a.DType().IsFloat() {
						continue
					}
					wide := empty[float32](be, a.Len)
					be.Copy(wide, a)
					var scale float64
					w := get[float32](be, want[i])
					for _, v := range w {
						if v := math.Abs(float64(v)); !math.IsInf(v, 0) {
							scale = max(scale, v)
						}
					}
					eps := map[backend.DType]float64{backend.BFloat16: 0x1p-8, backend.Float16: 0x1p-11, backend.Float32: 0x1p-20}[a.DType()]
					for j, g := range get[float32](be, wide) {
						v := float64(w[j])
						// Sums in another order, of factors that round by themselves, move by a little of the largest.
						if off := math.Abs(float64(g) - v); !(off <= 1.01*eps*math.Abs(v)+0.02*eps*scale) && !(math.IsNaN(v) && g != g) && float64(g) != v {
							t.Fatalf("result %d, element %d: got %v, want %v rounded to %s", i, j, g, v, a.DType())
						}
					}
				}
			})
		}
	}
}

// halfCalls has each method with floating-point arrays once.
func halfCalls() []halfCall {
	type maker = func(seed uint64, n int) backend.Array
	none := backend.Array{}
	norm := backend.BatchNormGeom{N: 3, C: 4, Inner: 35, Eps: 1e-3, Momentum: 0.1, Training: true, ReLU: true}
	dim := backend.DimGeom{Outer: 3, N: 5, Inner: 4}
	index := func(be backend.Backend, n, limit int) backend.Array {
		s := make([]int64, n)
		for i := range s {
			s[i] = int64(i * 3 % limit)
		}
		return put(be, s)
	}
	return append(slices.Concat(halfWindows(
		backend.ConvGeom{N: 3, C: 20, In: [3]int{1, 6, 7}, K: 18, Kernel: [3]int{1, 3, 3}, Out: [3]int{1, 6, 7}, Stride: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}, Dilation: [3]int{1, 1, 1}, Groups: 1},
		backend.PoolGeom{Planes: 6, In: [3]int{1, 8, 6}, Out: [3]int{1, 4, 3}, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 2, 2}, Dilation: [3]int{1, 1, 1}},
	), halfWindows(
		backend.ConvGeom{N: 2, C: 8, In: [3]int{5, 4, 5}, K: 6, Kernel: [3]int{3, 3, 2}, Out: [3]int{3, 4, 2}, Stride: [3]int{2, 1, 2}, Pad: [3]int{1, 1, 0}, Dilation: [3]int{1, 1, 1}, Groups: 2},
		backend.PoolGeom{Planes: 6, In: [3]int{4, 6, 5}, Out: [3]int{2, 3, 2}, Kernel: [3]int{2, 2, 3}, Stride: [3]int{2, 2, 2}, Dilation: [3]int{1, 1, 1}},
	)), []halfCall{
		{"Unary", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 67)
			y := like(be, x, 67)
			be.Unary(y, x, backend.SiLU, backend.UnaryParams{})
			be.Unary(x, x, backend.Tanh, backend.UnaryParams{}) // in place
			return one(x, y)
		}},
		{"UnaryGrad", func(be backend.Backend, half, _ maker) []backend.Array {
			dy, y := half(1, 67), half(2, 67)
			dx := like(be, dy, 67)
			be.UnaryGrad(dx, dy, none, y, backend.Sigmoid, backend.UnaryParams{})
			return one(dx)
		}},
		{"Binary", func(be backend.Backend, half, mixed maker) []backend.Array {
			a, b := half(1, 60), half(2, 5)
			c, less := like(be, a, 60), empty[bool](be, 60)
			g := backend.BinaryGeom{Shape: []int{12, 5}, A: []int{5, 1}, B: []int{0, 1}}
			be.Binary(c, a, b, backend.Mul, g)
			be.Binary(less, a, b, backend.Lt, g)
			be.Binary(a, a, half(3, 60), backend.Add, backend.BinaryGeom{})
			return one(a, c, less)
		}},
		{"BinaryScalar", func(be backend.Backend, half, _ maker) []backend.Array {
			a := half(1, 67)
			be.BinaryScalar(a, a, 0.3, true, backend.Sub)
			return one(a)
		}},
		{"Where", func(be backend.Backend, half, _ maker) []backend.Array {
			a, b := half(1, 40), half(2, 40)
			cond, c := empty[bool](be, 40), like(be, a, 40)
			be.Binary(cond, a, b, backend.Lt, backend.BinaryGeom{})
			s := []int{40}
			be.Where(c, cond, a, b, backend.WhereGeom{Shape: s, Cond: []int{1}, A: []int{1}, B: []int{1}})
			return one(c)
		}},
		{"Reduce", func(be backend.Backend, half, mixed maker) []backend.Array {
			x := half(1, 3000)
			s, m := like(be, mixed(2, 3), 3), like(be, mixed(2, 3), 1000)
			be.Reduce(s, x, backend.ReduceSum, backend.ReduceGeom{Shape: []int{3, 1000}, Reduce: []bool{false, true}})
			be.Reduce(m, x, backend.ReduceMax, backend.ReduceGeom{Shape: []int{3, 1000}, Reduce: []bool{true, false}})
			return one(s, m)
		}},
		{"ReduceIndex", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			v := like(be, x, 12)
			be.ReduceIndex(v, empty[int64](be, 12), x, false, dim)
			return one(v)
		}},
		{"Cumsum", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			be.Cumsum(x, half(1, 60), false, dim)
			return one(x)
		}},
		{"Sort", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			v := like(be, x, 60)
			be.Sort(v, empty[int64](be, 60), x, true, dim)
			return one(v)
		}},
		{"Gather", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			y := like(be, x, 24)
			if err := be.Gather(y, x, index(be, 24, 5), backend.IndexGeom{Outer: 3, N: 5, M: 2, Inner: 4}, user{}); err != nil {
				panic(err)
			}
			return one(y)
		}},
		{"ScatterAdd", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			if err := be.ScatterAdd(x, index(be, 24, 5), half(2, 24), backend.IndexGeom{Outer: 3, N: 5, M: 2, Inner: 4}, user{}); err != nil {
				panic(err)
			}
			return one(x)
		}},
		{"IndexSelect", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			y := like(be, x, 24)
			if err := be.IndexSelect(y, x, index(be, 2, 5), backend.IndexGeom{Outer: 3, N: 5, M: 2, Inner: 4}, user{}); err != nil {
				panic(err)
			}
			return one(y)
		}},
		{"IndexAdd", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			if err := be.IndexAdd(x, index(be, 2, 5), half(2, 24), backend.IndexGeom{Outer: 3, N: 5, M: 2, Inner: 4}, user{}); err != nil {
				panic(err)
			}
			return one(x)
		}},
		{"Strided", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			y := like(be, x, 60)
			be.Strided(y, x, backend.StridedGeom{Shape: []int{5, 12}, Strides: []int{1, 5}})
			return one(y)
		}},
		{"StridedWrite", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			be.StridedWrite(x, half(2, 20), backend.StridedGeom{Shape: []int{4, 5}, Strides: []int{1, 12}, Offset: 3})
			return one(x)
		}},
		{"Arange", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			be.Arange(x, -3, 0.5)
			return one(x)
		}},
		{"Random", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 61)
			be.Random(x, backend.Random{Kind: backend.Normal, A: 1, B: 2, Seed: 3, Offset: 4})
			return one(x)
		}},
		{"MatMul", func(be backend.Backend, half, _ maker) []backend.Array {
			c := half(1, 40*50)
			be.MatMul(c, half(2, 40*70), half(3, 70*50), backend.MatMulGeom{Batch: [2]int{1, 1}, M: 40, N: 50, K: 70, TransA: true, Accumulate: true})
			return one(c)
		}},
		{"BatchNorm", func(be backend.Backend, half, mixed maker) []backend.Array {
			x, m, v, w, b := half(1, 420), mixed(2, 4), mixed(3, 4), mixed(4, 4), mixed(5, 4)
			y, mean, invstd := like(be, x, 420), like(be, m, 4), like(be, m, 4)
			be.BatchNorm(y, mean, invstd, m, v, x, w, b, norm)
			return one(y, mean, invstd, m, v)
		}},
		{"BatchNormGrad", func(be backend.Backend, half, mixed maker) []backend.Array {
			x, y, dy, w, mean, invstd := half(1, 420), half(2, 420), half(3, 420), mixed(4, 4), mixed(5, 4), mixed(6, 4)
			dx, dw, db := like(be, x, 420), like(be, w, 4), like(be, w, 4)
			be.BatchNormGrad(dx, dw, db, dy, x, y, w, mean, invstd, norm)
			return one(dx, dw, db)
		}},
		{"RowNorm", func(be backend.Backend, half, mixed maker) []backend.Array {
			x := half(1, 400)
			y, mean, invstd := like(be, x, 400), like(be, mixed(2, 1), 4), like(be, mixed(2, 1), 4)
			be.RowNorm(y, mean, invstd, x, 4, 100, 1e-3)
			return one(y, mean, invstd)
		}},
		{"RowNormGrad", func(be backend.Backend, half, mixed maker) []backend.Array {
			dy := half(1, 400)
			dx := like(be, dy, 400)
			be.RowNormGrad(dx, dy, half(2, 400), mixed(3, 4), 4, 100)
			return one(dx)
		}},
		{"Softmax", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, 60)
			y, dx := like(be, x, 60), like(be, x, 60)
			be.Softmax(y, x, true, dim)
			be.SoftmaxGrad(dx, half(2, 60), half(3, 60), true, dim)
			return one(y, dx)
		}},
		{"CrossEntropy", func(be backend.Backend, half, mixed maker) []backend.Array {
			x, labels := half(1, 60), index(be, 12, 5)
			loss, largest, sum, dx := like(be, x, 12), empty[float32](be, 12), empty[float32](be, 12), like(be, x, 60)
			if err := be.CrossEntropy(loss, largest, sum, x, labels, dim, user{}); err != nil {
				panic(err)
			}
			be.CrossEntropyGrad(dx, half(3, 12), x, labels, largest, sum, dim)
			return one(loss, dx)
		}},
		{"Map", func(be backend.Backend, half, mixed maker) []backend.Array {
			w, m, v := half(1, 40), mixed(2, 40), half(3, 40)
			be.Unary(v, v, backend.Abs, backend.UnaryParams{})
			rule := adamRule(adamOptions{lr: 0.1, beta1: 0.9, beta2: 0.99, eps: 1e-3}, 2)
			rule.Kernel = backend.NoKernel
			be.Map(singles(one(w, m, v)), singles(one(w, half(4, 40), m, v)), rule)
			return one(w, m, v)
		}},
		{"Unscale", func(be backend.Backend, half, _ maker) []backend.Array {
			a, b, found := half(1, 40), half(2, 7), put(be, []bool{false})
			be.Unscale(one(a, b), found, 0.375)
			return one(a, b)
		}},
	}...)
}

func one(a ...backend.Array) []backend.Array { return a }

// like makes an array of a's type.
func like(be backend.Backend, a backend.Array, n int) backend.Array {
	b := backend.Array{Buffer: be.NewBuffer(a.DType(), n), Len: n}
	be.Fill(b, 77)
	return b
}

// halfWindows has each method of convolution and pooling once.
func halfWindows(conv backend.ConvGeom, pool backend.PoolGeom) []halfCall {
	type maker = func(seed uint64, n int) backend.Array
	nx, nw, ny := convSizes(conv)
	in, out := pool.Planes*volume(pool.In), pool.Planes*volume(pool.Out)
	return []halfCall{
		{"Conv", func(be backend.Backend, half, mixed maker) []backend.Array {
			x := half(1, nx)
			y := like(be, x, ny)
			be.Conv(y, x, half(2, nw), mixed(3, conv.K), mixed(4, conv.K), conv)
			return one(y)
		}},
		{"ConvInputGrad", func(be backend.Backend, half, _ maker) []backend.Array {
			dy := half(1, ny)
			dx := like(be, dy, nx)
			be.ConvInputGrad(dx, dy, half(2, nw), conv)
			return one(dx)
		}},
		{"ConvWeightGrad", func(be backend.Backend, half, _ maker) []backend.Array {
			dy := half(1, ny)
			dw := like(be, dy, nw)
			be.ConvWeightGrad(dw, dy, half(2, nx), conv)
			return one(dw)
		}},
		{"MaxPool", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, in)
			y, dx := like(be, x, out), like(be, x, in)
			be.MaxPool(y, x, pool)
			be.MaxPoolGrad(dx, half(2, out), x, y, pool)
			return one(y, dx)
		}},
		{"MaxPoolIndices", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, in)
			y, at := like(be, x, out), empty[int64](be, out)
			be.MaxPool(y, x, pool)
			be.MaxPoolIndices(at, x, y, pool)
			return one(at)
		}},
		{"AvgPool", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, in)
			y, dx := like(be, x, out), like(be, x, in)
			be.AvgPool(y, x, pool)
			be.AvgPoolGrad(dx, half(2, out), pool)
			return one(y, dx)
		}},
		{"AdaptiveAvgPool", func(be backend.Backend, half, _ maker) []backend.Array {
			x := half(1, in)
			y, dx := like(be, x, out), like(be, x, in)
			be.AdaptiveAvgPool(y, x, pool)
			be.AdaptiveAvgPoolGrad(dx, half(2, out), pool)
			return one(y, dx)
		}},
	}
}

// testHalfCopy converts from and to every type.
func testHalfCopy(t *testing.T, be backend.Backend) {
	inf := math.Inf(1)
	from := []float64{0, 1, -2.5, 1 + 0x1p-8, 1 + 3*0x1p-8, 1 + 0x1p-11, 1 + 3*0x1p-11, 65504, 65519, 65520, 1e6, 0x1p-24, 0x1p-25, 3e38, 3.4e38, inf, -inf, math.NaN()}
	want := map[backend.DType][]float64{
		backend.BFloat16: {0, 1, -2.5, 1, 1 + 0x1p-6, 1, 1, 65536, 65536, 65536, 999424, 0x1p-24, 0x1p-25, 0x1.c4p127, inf, inf, -inf, math.NaN()},
		backend.Float16:  {0, 1, -2.5, 1 + 0x1p-8, 1 + 3*0x1p-8, 1, 1 + 0x1p-9, 65504, 65504, inf, inf, 0x1p-24, 0, inf, inf, inf, -inf, math.NaN()},
	}
	for typ, want := range want {
		for _, src := range []backend.Array{floats[float32](be, from), floats[float64](be, from)} {
			a := backend.Array{Buffer: be.NewBuffer(typ, len(from)), Len: len(from)}
			be.Copy(a, src)
			wide := empty[float64](be, len(from))
			be.Copy(wide, a)
			wantFloats(t, be, fmt.Sprintf("%s from %s", typ, src.DType()), wide, want, 1e-8)
		}
		whole := put(be, []int64{0, 1, -3, 300})
		a := backend.Array{Buffer: be.NewBuffer(typ, 4), Len: 4}
		be.Copy(a, whole)
		ints, bools := empty[int64](be, 4), empty[bool](be, 4)
		be.Copy(ints, a)
		be.Copy(bools, a)
		wantExact(t, be, typ.String(), ints, []int64{0, 1, -3, 300})
		wantExact(t, be, typ.String(), bools, []bool{false, true, true, true})
		n := be.Nonzero(ints, a)
		if n != 3 {
			t.Errorf("%s: got %d elements that are not 0, want 3", typ, n)
		}
	}
}
