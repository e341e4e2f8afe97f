//go:build cuda && linux

package cuda

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
)

// TestChannelsLast runs the rows of the methods that know channels last a second
// time, with arrays that lie so wherever they may.
func TestChannelsLast(t *testing.T) {
	be := open(t)
	defer emptied(be)
	be.layouts = everywhere
	for _, r := range backendtest.Rows(1) {
		if strings.HasPrefix(r.Method, "Conv") || strings.HasPrefix(r.Method, "BatchNorm") || strings.Contains(r.Method, "Pool") {
			t.Run(r.Method+"/"+r.Contract, func(t *testing.T) { r.Test(t, be) })
		}
	}
	if be.transposed.Load() == 0 {
		t.Error("nothing was converted")
	}
}

// whole array of float32 numbers, converted to a type.
func (be *Backend) arrayOf(dtype backend.DType, s []float32) backend.Array {
	wide := backend.Array{Buffer: be.NewBuffer(backend.Float32, len(s)), Len: len(s)}
	be.Write(wide, bytesOf(s))
	a := be.emptyArray(dtype, len(s))
	be.Copy(a, wide)
	be.Free(wide.Buffer)
	return a
}

func (be *Backend) emptyArray(dtype backend.DType, n int) backend.Array {
	return backend.Array{Buffer: be.NewBuffer(dtype, n), Len: n}
}

// numbers fetches an array as float32 numbers.
func (be *Backend) numbersOf(a backend.Array) []float32 {
	wide := be.emptyArray(backend.Float32, a.Len)
	be.Copy(wide, a)
	s := make([]float32, a.Len)
	be.Read(bytesOf(s), wide)
	return s
}

// eighths returns n numbers that every type of half precision holds.
func eighths(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 2))
	s := make([]float32, n)
	for i := range s {
		s[i] = float32(r.IntN(33)-16) / 8
	}
	return s
}

// lay makes an array channels last, without a row-major form, as if it had been
// written so.
func (be *Backend) lay(a backend.Array, l layout) {
	var t temporaries
	defer be.release(&t)
	copied := be.emptyArray(a.DType(), a.Len)
	be.copy(address(copied), reading(a), a.Len*a.DType().Size())
	p, done := be.writeAs(&t, a, l)
	be.toLast(p, address(copied), a.DType(), l)
	done()
	be.Free(copied.Buffer)
}

// TestTranspose converts there and back with every size of element and with tiles that
// are full, cut and few.
func TestTranspose(t *testing.T) {
	be := open(t)
	for _, l := range []layout{{1, 1, 1}, {2, 3, 5}, {3, 16, 16}, {2, 64, 64}, {2, 72, 200}, {1, 65, 67}, {2, 130, 9}, {1, 9, 130}, {3, 8, 300}, {2, 300, 8}, {4, 70, 9}, {3, 512, 9}, {2, 9, 264}, {2, 16, 257}, {5, 16, 1}, {2, 17, 40}, {0, 4, 4}} {
		n := l.n * l.c * l.inner
		for _, size := range []int{2, 4, 8} {
			b, want, got := make([]byte, n*size), make([]byte, n*size), make([]byte, n*size)
			for i := range b {
				b[i] = byte(i*7 + i/251)
			}
			for i := range n {
				image, c, p := i/(l.c*l.inner), i/l.inner%l.c, i%l.inner
				j := (image*l.inner+p)*l.c + c
				copy(want[j*size:(j+1)*size], b[i*size:(i+1)*size])
			}
			from, to, back := be.emptyArray(backend.Uint8, len(b)), be.emptyArray(backend.Uint8, len(b)), be.emptyArray(backend.Uint8, len(b))
			be.Write(from, b)
			be.transpose(address(to), address(from), size, l.n, l.c, l.inner)
			be.transpose(address(back), address(to), size, l.n, l.inner, l.c)
			be.Read(got, to)
			if !slices.Equal(got, want) {
				t.Errorf("%+v of %d bytes: converted wrongly", l, size)
			}
			be.Read(got, back)
			if !slices.Equal(got, b) {
				t.Errorf("%+v of %d bytes: converted back wrongly", l, size)
			}
		}
	}
}

func TestDivisor(t *testing.T) {
	for _, d := range []int{1, 2, 3, 5, 7, 10, 64, 641, 65537, 1<<31 - 1} {
		v := newDivisor(d)
		for _, n := range []int{0, 1, 2, d - 1, d, d + 1, 3*d - 1, 3 * d, 1<<31 - 2, 1<<31 - 1} {
			if n < 0 || n >= 1<<31 {
				continue
			}
			if got := (uint64(n)*uint64(v.m)>>32 + uint64(n)) >> v.s; int(got) != n/d {
				t.Errorf("%d/%d: got %d, want %d", n, d, got, n/d)
			}
		}
	}
}

// chain is a part of a network: two convolutions with all that may come between.
type chain struct {
	be                 *Backend
	dtype              backend.DType
	n, c, k, size      int
	conv               backend.ConvGeom
	second             backend.ConvGeom
	norm               backend.BatchNormGeom
	pool, mean, global backend.PoolGeom
}

func newChain(be *Backend, dtype backend.DType, c, k int) *chain {
	const n, size = 3, 8
	conv := backend.ConvGeom{N: n, C: c, In: [3]int{1, size, size}, K: k, Kernel: [3]int{1, 3, 3}, Out: [3]int{1, size, size}, Stride: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}, Dilation: [3]int{1, 1, 1}, Groups: 1}
	second := conv
	second.C, second.In, second.Out = k, [3]int{1, size / 2, size / 2}, [3]int{1, size / 2, size / 2}
	pool := func(size, to, kernel, stride, pad int) backend.PoolGeom {
		return backend.PoolGeom{Planes: n * k, In: [3]int{1, size, size}, Out: [3]int{1, to, to}, Kernel: [3]int{1, kernel, kernel}, Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad}, Dilation: [3]int{1, 1, 1}}
	}
	return &chain{be: be, dtype: dtype, n: n, c: c, k: k, size: size, conv: conv, second: second,
		norm: backend.BatchNormGeom{N: n, C: k, Inner: size * size, Eps: 1e-3, Momentum: 0.1, Training: true, ReLU: true},
		pool: pool(size, size/2, 2, 2, 0), mean: pool(size/2, size/2, 3, 1, 1), global: pool(size/2, 1, 0, 0, 0)}
}

// run computes all of the chain forward and back, and returns what came out. between is
// called when the first convolution is done and before the last result is.
func (c *chain) run(between func()) map[string]backend.Array {
	be, none := c.be, backend.Array{}
	pixels, half := c.n*c.size*c.size, c.n*c.size*c.size/4
	x, w, w2 := be.arrayOf(c.dtype, eighths(1, pixels*c.c)), be.arrayOf(c.dtype, eighths(2, c.k*c.c*9)), be.arrayOf(c.dtype, eighths(3, c.k*c.k*9))
	be.BinaryScalar(w, w, 0x1p-5, false, backend.Mul) // float16 has no room for much
	be.BinaryScalar(w2, w2, 0x1p-5, false, backend.Mul)
	bias := be.arrayOf(c.dtype, eighths(4, c.k))
	gamma, beta := be.arrayOf(backend.Float32, eighths(5, c.k)), be.arrayOf(backend.Float32, eighths(6, c.k))
	wide := func(n int) backend.Array { return be.emptyArray(backend.Float32, n) }
	of := func(n int) backend.Array { return be.emptyArray(c.dtype, n) }

	y := of(pixels * c.k)
	be.Conv(y, x, w, none, bias, c.conv)
	var t temporaries
	if channelsLast(c.dtype, be.exact(), c.second) && be.layouts == byRule {
		be.readAs(&t, w2, layout{c.k, c.k, 9}) // weights are converted once, not in between
	}
	between()
	norm, mean, invstd, runMean, runVar := of(y.Len), wide(c.k), wide(c.k), wide(c.k), wide(c.k)
	be.Fill(runMean, 0)
	be.Fill(runVar, 1)
	be.BatchNorm(norm, mean, invstd, runMean, runVar, y, gamma, beta, c.norm)
	silu := of(y.Len)
	be.Unary(silu, norm, backend.SiLU, backend.UnaryParams{})
	added := of(y.Len)
	be.Binary(added, silu, y, backend.Add, backend.BinaryGeom{})
	be.BinaryScalar(added, added, 0.5, false, backend.Mul)
	cast, back := wide(y.Len), of(y.Len)
	be.Copy(cast, added)
	be.Copy(back, cast)
	pooled, averaged := of(half*c.k), of(half*c.k)
	be.MaxPool(pooled, back, c.pool)
	be.AvgPool(averaged, pooled, c.mean)
	z, global := of(half*c.k), of(c.n*c.k)
	be.Conv(z, averaged, w2, none, none, c.second)
	be.AdaptiveAvgPool(global, z, c.global)

	dz, daveraged, dpooled, dadded := of(z.Len), of(z.Len), of(z.Len), of(y.Len)
	be.BinaryScalar(dz, z, 0.125, true, backend.Sub)
	be.ConvInputGrad(daveraged, dz, w2, c.second)
	be.AvgPoolGrad(dpooled, daveraged, c.mean)
	be.MaxPoolGrad(dadded, dpooled, back, pooled, c.pool)
	dsilu, dy, dgamma, dbeta := of(y.Len), of(y.Len), wide(c.k), wide(c.k)
	be.UnaryGrad(dsilu, dadded, norm, none, backend.SiLU, backend.UnaryParams{})
	be.BatchNormGrad(dy, dgamma, dbeta, dsilu, y, norm, gamma, mean, invstd, c.norm)
	be.Binary(dy, dy, dadded, backend.Add, backend.BinaryGeom{})
	db := of(c.k)
	be.Reduce(db, dy, backend.ReduceSum, backend.ReduceGeom{Shape: []int{c.n, c.k, c.size, c.size}, Reduce: []bool{true, false, true, true}})
	between()
	dw, dw2, dx := of(w.Len), of(w2.Len), of(x.Len)
	be.ConvWeightGrad(dw2, dz, averaged, c.second)
	be.ConvWeightGrad(dw, dy, x, c.conv)
	be.ConvInputGrad(dx, dy, w, c.conv)
	dglobal := of(z.Len)
	be.AdaptiveAvgPoolGrad(dglobal, global, c.global)
	be.release(&t)
	return map[string]backend.Array{"y": y, "norm": norm, "silu": silu, "added": added, "back": back, "pooled": pooled, "averaged": averaged, "z": z, "global": global,
		"dz": dz, "daveraged": daveraged, "dpooled": dpooled, "dadded": dadded, "dsilu": dsilu, "dy": dy, "dgamma": dgamma, "dbeta": dbeta, "db": db, "dw": dw, "dw2": dw2, "dx": dx, "dglobal": dglobal,
		"running mean": runMean, "running variance": runVar}
}

// TestChain runs a part of a network in types of half precision, and with TF32, where
// nothing may be converted between the convolutions, and compares with row-major
// arrays.
func TestChain(t *testing.T) {
	for _, row := range []struct {
		dtype     backend.DType
		precision backend.Precision
		c, k      int
		tolerance float64 // of the largest
	}{
		{backend.BFloat16, backend.Highest, 3, 16, 0x1p-8},
		{backend.Float16, backend.Highest, 16, 24, 0x1p-11},
		{backend.BFloat16, backend.Highest, 5, 9, 0x1p-8}, // by single elements
		{backend.Float32, backend.High, 3, 16, 1e-5},
		{backend.Float32, backend.High, 8, 12, 1e-5},
	} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			rows := open(t)
			rows.SetPrecision(row.precision)
			rows.layouts = nowhere
			want := newChain(rows, row.dtype, row.c, row.k).run(func() {})
			if n := rows.transposed.Load(); n != 0 {
				t.Errorf("row-major arrays were converted %d times", n)
			}
			be := open(t)
			be.SetPrecision(row.precision)
			var at []int64
			got := newChain(be, row.dtype, row.c, row.k).run(func() { at = append(at, be.transposed.Load()) })
			if at[0] == 0 || at[1] != at[0] {
				t.Errorf("%d conversions before the first convolution was done, %d between", at[0], at[1]-at[0])
			}
			for _, name := range []string{"y", "norm", "silu", "added", "back", "pooled", "averaged", "z", "dz", "daveraged", "dpooled", "dadded", "dsilu", "dy", "dx"} {
				if written(got[name]) == (layout{}) {
					t.Errorf("%s lies row-major", name)
				}
			}
			for name, a := range want {
				w, g := rows.numbersOf(a), be.numbersOf(got[name])
				largest := 0.0
				for _, v := range w {
					largest = max(largest, math.Abs(float64(v)))
				}
				for i := range w {
					if d := math.Abs(float64(g[i] - w[i])); !(d <= row.tolerance*largest) {
						t.Errorf("%s, element %d: got %v, want %v (within %g of %g)", name, i, g[i], w[i], row.tolerance, largest)
						break
					}
				}
			}
		})
	}
}

// TestWindows reads and writes windows of a buffer that lies channels last.
func TestWindows(t *testing.T) {
	be := open(t)
	l := layout{2, 3, 4}
	s := eighths(1, 24)
	a := be.arrayOf(backend.Float32, s)
	be.lay(a, l)
	if written(a) != l {
		t.Fatalf("the array lies as %+v, want %+v", written(a), l)
	}
	window := backend.Array{Buffer: a.Buffer, Offset: 5, Len: 7}
	if got := be.numbersOf(window); !slices.Equal(got, s[5:12]) {
		t.Errorf("a window: got %v, want %v", got, s[5:12])
	}
	view := be.emptyArray(backend.Float32, 6)
	be.Strided(view, a, backend.StridedGeom{Shape: []int{2, 3}, Strides: []int{12, 4}, Offset: 1})
	if got, want := be.numbersOf(view), []float32{s[1], s[5], s[9], s[13], s[17], s[21]}; !slices.Equal(got, want) {
		t.Errorf("a view: got %v, want %v", got, want)
	}
	// Both forms are valid, until the window is written.
	be.Fill(window, 7)
	for i := 5; i < 12; i++ {
		s[i] = 7
	}
	if got := be.numbersOf(a); !slices.Equal(got, s) {
		t.Errorf("after a window was written: got %v, want %v", got, s)
	}
	var temps temporaries
	p := be.readAs(&temps, a, l)
	got := make([]float32, 24)
	last := be.emptyArray(backend.Float32, 24)
	be.copy(address(last), p, 96)
	be.Read(bytesOf(got), last)
	if got[3*1+1] != s[5] || got[3*3+0] != s[3] {
		t.Errorf("the form with channels last is not the one of what was written: %v of %v", got, s)
	}
	// The same buffer as other images is copied, not laid another way: somebody may read it.
	other := layout{1, 6, 4}
	q := be.readAs(&temps, a, other)
	be.copy(address(last), q, 96)
	be.Read(bytesOf(got), last)
	if q == p || got[6*1+4] != s[4*4+1] || be.readAs(&temps, a, l) != p {
		t.Errorf("in another shape: got %v of %v", got, s)
	}
	be.release(&temps)
	before := be.MemoryStats().Live
	be.Free(a.Buffer)
	if got := before - be.MemoryStats().Live; got != 2*96 {
		t.Errorf("freeing gave back %d bytes, want both forms' 192", got)
	}
	be.Free(a.Buffer) // does nothing
	if got := before - be.MemoryStats().Live; got != 2*96 {
		t.Errorf("freeing twice gave back %d bytes, want 192", got)
	}
}

// TestSumsOfChannelsLast compares with the sums of row-major arrays, over all choices
// of dimensions.
func TestSumsOfChannelsLast(t *testing.T) {
	be := open(t)
	l, shape := layout{3, 4, 10}, []int{3, 4, 5, 2}
	rows, last := be.arrayOf(backend.Float32, eighths(1, 120)), be.arrayOf(backend.Float32, eighths(1, 120))
	for choice := range 16 {
		g, n := backend.ReduceGeom{Shape: shape}, 1
		for d := range shape {
			g.Reduce = append(g.Reduce, choice>>d&1 == 1)
			if !g.Reduce[d] {
				n *= shape[d]
			}
		}
		be.lay(last, l)
		before := be.transposed.Load()
		want, got := be.emptyArray(backend.Float32, n), be.emptyArray(backend.Float32, n)
		be.Reduce(want, rows, backend.ReduceSum, g)
		be.Reduce(got, last, backend.ReduceSum, g)
		if w, g := be.numbersOf(want), be.numbersOf(got); !slices.Equal(g, w) { // sums of eighths are exact
			t.Errorf("over %v: got %v, want %v", choice, g, w)
		}
		if bias := choice == 0b1101; bias && be.transposed.Load() != before {
			t.Errorf("the gradient of a bias was computed from a conversion")
		}
	}
}

// TestReadTogether reads one buffer from several goroutines, some row-major and some
// channels last.
func TestReadTogether(t *testing.T) {
	be := open(t)
	l := layout{4, 16, 25}
	s := eighths(1, 1600)
	for _, last := range []bool{false, true} {
		a := be.arrayOf(backend.BFloat16, s)
		if last {
			be.lay(a, l)
		}
		g := backend.PoolGeom{Planes: 64, In: [3]int{1, 5, 5}, Out: [3]int{1, 1, 1}}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if i%2 == 0 {
					if got := be.numbersOf(a); !slices.Equal(got, s) {
						t.Errorf("last %t: read %v, want %v", last, got, s)
					}
					return
				}
				var temps temporaries
				be.readAs(&temps, a, l)
				mean := be.emptyArray(backend.BFloat16, 64)
				be.AdaptiveAvgPool(mean, a, g)
				sum := float32(0)
				for _, v := range s[:25] {
					sum += v
				}
				if got := be.numbersOf(mean)[0]; math.Abs(float64(got-sum/25)) > 0.02 {
					t.Errorf("last %t: got a mean of %v, want %v", last, got, sum/25)
				}
				be.release(&temps)
			})
		}
		wg.Wait()
	}
}

// TestExactStaysRowMajor runs the same part with exact float32 numbers.
func TestExactStaysRowMajor(t *testing.T) {
	be := open(t)
	newChain(be, backend.Float32, 8, 12).run(func() {})
	if n := be.transposed.Load(); n != 0 {
		t.Errorf("exact float32 numbers were converted %d times", n)
	}
}

// TestRenew makes forms again that were made before a graph may have written what
// they were made from.
func TestRenew(t *testing.T) {
	be := open(t)
	l := layout{1, 2, 2}
	a := be.arrayOf(backend.Float32, []float32{1, 2, 3, 4})
	var temps temporaries
	p := be.readAs(&temps, a, l)
	be.copy(of(a).memory, address(be.arrayOf(backend.Float32, []float32{5, 6, 7, 8})), 16) // behind the backend's back
	be.renew()
	if q := be.readAs(&temps, a, l); q != p {
		t.Errorf("the form moved from %#x to %#x", p, q)
	}
	b := be.emptyArray(backend.Float32, 4)
	be.copy(address(b), p, 16)
	if got, want := be.numbersOf(b), []float32{5, 7, 6, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
