//go:build cuda && linux

package cuda

import (
	"math"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu"
	"github.com/wick-ml/wick/internal/expr"
)

// TestManyParameters compares steps for parameters of very unequal lengths, which
// take several launches, with the CPU's: of Adam's kernel, and of a rule.
func TestManyParameters(t *testing.T) {
	be, ref := open(t), cpu.New()
	rule := backend.Rule{Kernel: backend.AdamKernel, Numbers: []float64{1, 0.1, 1, 0.1, 1.1, 1e-8, 0.99, 0.1, 0.01}}
	var f expr.Formula
	w, g, m, v := f.Load(0), f.Load(1), f.Load(2), f.Load(3)
	f.Store(0, w.Sub(g.Mul(v).Sqrt()))
	f.Store(1, m.Add(g.MulScalar(0.5)).Exp())
	f.Store(2, v.Maximum(m))
	for i, rule := range []backend.Rule{rule, rule, {Expr: f.Expr, Numbers: f.Numbers}, {Expr: f.Expr, Numbers: f.Numbers}} {
		dtype := []backend.DType{backend.Float32, backend.Float64}[i%2]
		run := func(be backend.Backend) (all []float64) {
			var lists [4][]backend.Array
			for i := range 2*atOnce + 8 {
				n := []int{0, 1, 7, 64, perShare, perShare + 1, 9001}[i%7]
				for k := range lists {
					// Every third one begins where no pack can.
					a := backend.Array{Buffer: be.NewBuffer(dtype, n+1), Offset: min(1, i%3), Len: n}
					be.Random(a, backend.Random{Kind: backend.Uniform, A: 0, B: 1, Seed: uint64(10*i + k)})
					lists[k] = append(lists[k], a)
				}
			}
			be.Map([][]backend.Array{lists[0], lists[2], lists[3]}, lists[:], rule)
			for _, list := range lists {
				for _, a := range list { // which are many: the simulated driver has a bound
					defer be.Free(a.Buffer)
					wide := backend.Array{Buffer: be.NewBuffer(backend.Float64, a.Len), Len: a.Len}
					be.Copy(wide, a)
					got := make([]float64, a.Len)
					be.Read(bytesOf(got), wide)
					be.Free(wide.Buffer)
					all = append(all, got...)
				}
			}
			return all
		}
		want, got := run(ref), run(be)
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-5 {
				t.Fatalf("%s: element %d of all is %v, want %v", dtype, i, got[i], want[i])
			}
		}
	}
}

func TestUnscale(t *testing.T) {
	be := open(t)
	for _, infinite := range []bool{false, true} {
		found := backend.Array{Buffer: be.NewBuffer(backend.Bool, 1), Len: 1}
		be.Fill(found, 0)
		var xs []backend.Array
		for i := range atOnce + 5 {
			n := []int{0, 3, 64, perShare + 5}[i%4]
			x := backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n}
			defer be.Free(x.Buffer)
			be.Fill(x, 8)
			xs = append(xs, x)
		}
		if infinite {
			last := xs[len(xs)-2] // of perShare+5 elements
			last.Offset, last.Len = last.Len-1, 1
			be.Fill(last, math.Inf(1))
		}
		be.Unscale(xs, found, 0.25)
		flag := make([]bool, 1)
		be.Read(bytesOf(flag), found)
		if flag[0] != infinite {
			t.Errorf("found is %v, want %v", flag[0], infinite)
		}
		for _, x := range xs {
			got := make([]float32, x.Len)
			be.Read(bytesOf(got), x)
			for i, v := range got {
				if v != 2 && !(infinite && i == perShare+4) {
					t.Fatalf("element %d of %d is %v, want 2", i, len(got), v)
				}
			}
		}
	}
}
