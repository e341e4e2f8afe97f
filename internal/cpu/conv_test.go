package cpu

import (
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

// BenchmarkConvOther runs convolutions that Winograd's algorithms do not serve.
func BenchmarkConvOther(b *testing.B) {
	be := New()
	for _, l := range []struct {
		name string
		g    backend.ConvGeom
	}{
		{"1x1", backend.ConvGeom{N: 32, C: 256, K: 256, H: 14, W: 14, R: 1, S: 1, StrideH: 1, Groups: 1}},
		{"3x3stride2", backend.ConvGeom{N: 32, C: 64, K: 128, H: 28, W: 28, R: 3, S: 3, StrideH: 2, PadH: 1, Groups: 1}},
		{"7x7stride2", backend.ConvGeom{N: 8, C: 3, K: 64, H: 112, W: 112, R: 7, S: 7, StrideH: 2, PadH: 3, Groups: 1}},
		{"grouped", backend.ConvGeom{N: 32, C: 128, K: 128, H: 14, W: 14, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 32}},
		{"depthwise", backend.ConvGeom{N: 32, C: 128, K: 128, H: 28, W: 28, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 128}},
		{"3to64", backend.ConvGeom{N: 64, C: 3, K: 64, H: 32, W: 32, R: 3, S: 3, StrideH: 1, PadH: 1, Groups: 1}},
	} {
		g := l.g
		g.StrideW, g.PadW, g.DilationH, g.DilationW = g.StrideH, g.PadH, 1, 1
		g.P, g.Q = (g.H+2*g.PadH-g.R)/g.StrideH+1, (g.W+2*g.PadW-g.S)/g.StrideW+1
		x, w, y := filled(be, g.N*g.C*g.H*g.W), filled(be, g.K*(g.C/g.Groups)*g.R*g.S), filled(be, g.N*g.K*g.P*g.Q)
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { be.Conv2d(y, x, w, backend.Array{}, backend.Array{}, g) }},
			{"input", func() { be.Conv2dInputGrad(x, y, w, g) }},
			{"weight", func() { be.Conv2dWeightGrad(w, y, x, g) }},
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
