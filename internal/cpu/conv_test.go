package cpu

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// BenchmarkConvOther runs convolutions that Winograd's algorithms do not serve.
func BenchmarkConvOther(b *testing.B) {
	be := New()
	for _, l := range []struct {
		name string
		g    convGeom
	}{
		{"1x1", convGeom{N: 32, C: 256, K: 256, H: 14, W: 14, R: 1, S: 1, StrideH: 1, Groups: 1}},
		{"3x3stride2", convGeom{N: 32, C: 64, K: 128, H: 28, W: 28, R: 3, S: 3, StrideH: 2, PadH: 1, Groups: 1}},
		{"7x7stride2", convGeom{N: 8, C: 3, K: 64, H: 112, W: 112, R: 7, S: 7, StrideH: 2, PadH: 3, Groups: 1}},
		{"grouped", convGeom{N: 32, C: 128, K: 128, H: 14, W: 14, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 32}},
		{"depthwise", convGeom{N: 32, C: 128, K: 128, H: 28, W: 28, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 128}},
		{"3to64", convGeom{N: 64, C: 3, K: 64, H: 32, W: 32, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 1}},
	} {
		g := l.g
		g.StrideW, g.PadW, g.DilationH, g.DilationW = g.StrideH, g.PadH, 1, 1
		g.P, g.Q = (g.H+2*g.PadH-g.R)/g.StrideH+1, (g.W+2*g.PadW-g.S)/g.StrideW+1
		x, w, y := filled(be, g.N*g.C*g.H*g.W), filled(be, g.K*(g.C/g.Groups)*g.R*g.S), filled(be, g.N*g.K*g.P*g.Q)
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { be.conv(y, x, w, backend.Array{}, backend.Array{}, g) }},
			{"input", func() { be.convInputGrad(x, y, w, g) }},
			{"weight", func() { be.convWeightGrad(w, y, x, g) }},
		} {
			b.Run(l.name+"/"+pass.name, func(b *testing.B) {
				for b.Loop() {
					pass.run()
				}
				gflops(b, g.N*g.K*g.P*g.Q*(g.C/g.Groups)*g.R*g.S)
			})
		}
	}
}

// TestTurnWeight compares the turning of weights, which goes eight by eight where it can, with a plain loop.
func TestTurnWeight(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, taps := range []int{2, 8, 9, 25} {
			for _, c := range []int{1, 7, 8, 19, 32} {
				var all, odd []int
				for p := range taps {
					all = append(all, p)
					if p%2 != 0 {
						odd = append(odd, p)
					}
				}
				for _, places := range [][]int{all, odd} {
					const k = 3
					weight := randomFloats(r, k*c*taps)
					got := randomFloats(r, k*c*len(places)+8)
					want := slices.Clone(got)
					for i := range k {
						for at, p := range places {
							for j := range c {
								want[(i*len(places)+at)*c+j] = weight[(i*c+j)*taps+p]
							}
						}
					}
					turnWeight(kernelOf[float32](backend.Highest), got[:len(got)-8], weight, k, c, taps, places)
					if !slices.Equal(got, want) {
						t.Fatalf("%d taps, %d of them, %d channels: got %v, want %v", taps, len(places), c, got, want)
					}
				}
			}
		}
	})
}

func randomFloats(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32()
	}
	return s
}
