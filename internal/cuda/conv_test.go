//go:build cuda && linux

package cuda

import (
	"slices"
	"strings"
	"testing"

	cudnn "gorgonia.org/cu/dnn"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/backend/backendtest"
	"github.com/wick-ml/wick/internal/cuda/sim"
)

// Descriptors need no GPU: with WICK_GPU=1 and cuDNN in LD_LIBRARY_PATH this test
// asks NVIDIA's library, which is the one that matters.
func TestConvolutionDescriptors(t *testing.T) {
	g := backend.ConvGeom{N: 2, C: 8, In: [3]int{1, 13, 10}, K: 6, Kernel: [3]int{1, 2, 5}, Out: [3]int{1, 10, 5}, Stride: [3]int{1, 1, 3}, Pad: [3]int{0, 0, 4}, Dilation: [3]int{1, 3, 1}, Groups: 2}
	want := []int{2, 6, 10, 5}
	for _, dtype := range []backend.DType{backend.Float32, backend.Float64, backend.BFloat16, backend.Float16} {
		for _, k := range []convolutionKey{{}, {exact: true}, {last: true}, {exact: true, last: true}} {
			k.g, k.dtype = g, dtype
			c, err := newConvolution(k)
			if err != nil {
				t.Fatalf("%+v: %v", k, err)
			}
			if c.conv.GroupCount() != 2 {
				t.Errorf("%+v: got %d groups, want 2", k, c.conv.GroupCount())
			}
			got, err := c.conv.CalcForwardOutputShape(c.x, c.w, 2)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%+v: got a result of %v, %v, want %v", k, got, err, want)
			}
			// Strides of the images, channels, rows and columns of the input.
			wantStrides := []int{1040, 130, 10, 1}
			if k.last {
				wantStrides = []int{1040, 1, 80, 8}
			}
			if got := strides(c.x); !slices.Equal(got, wantStrides) {
				t.Errorf("%+v: got strides %d, want %v", k, got, wantStrides)
			}

			k.g.In, k.g.Out, k.g.Kernel, k.g.Stride, k.g.Dilation = [3]int{4, 13, 10}, [3]int{2, 10, 5}, [3]int{2, 2, 5}, [3]int{2, 1, 3}, [3]int{1, 3, 1}
			if c, err = newConvolution(k); err != nil {
				t.Fatalf("%+v: %v", k, err)
			}
			wantStrides = []int{4160, 520, 130, 10, 1}
			if k.last {
				wantStrides = []int{4160, 1, 1040, 80, 8}
			}
			if got := strides(c.x); !slices.Equal(got, wantStrides) {
				t.Errorf("%+v: got strides %d, want %v", k, got, wantStrides)
			}
		}
	}
}

// TestActivationDescriptors makes what a convolution's bias and ReLU need; see
// TestConvolutionDescriptors.
func TestActivationDescriptors(t *testing.T) {
	for _, mode := range []cudnn.ActivationMode{cudnn.Identity, cudnn.ReLU} {
		a, err := cudnn.NewActivation(mode, cudnn.PropagateNan, 0)
		if err != nil || a.Mode() != mode || handle(a) == nil {
			t.Errorf("mode %d: got %v, %v", mode, a, err)
		}
	}
}

// TestAlgorithms looks which algorithms are taken of those that the simulated cuDNN
// proposes: first one that is not deterministic and is slow, then one that is both.
func TestAlgorithms(t *testing.T) {
	if !sim.Again(t, "WICK_SIM_SLOW=20") {
		return
	}
	be := open(t)
	g := backend.ConvGeom{N: 1, C: 2, In: [3]int{1, 5, 5}, K: 3, Kernel: [3]int{1, 3, 3}, Out: [3]int{1, 3, 3}, Stride: [3]int{1, 1, 1}, Dilation: [3]int{1, 1, 1}, Groups: 1}
	of := func(n int) backend.Array { return backend.Array{Buffer: be.NewBuffer(backend.Float32, n), Len: n} }
	x, w, y := of(50), of(54), of(27)
	run := map[pass]func(){
		forward:    func() { be.Conv(y, x, w, backend.Array{}, backend.Array{}, g) },
		inputGrad:  func() { be.ConvInputGrad(x, y, w, g) },
		weightGrad: func() { be.ConvWeightGrad(w, y, x, g) },
	}
	for _, row := range []struct {
		a    backend.Algorithms
		want map[pass]int // numbers of cudnnConvolutionFwdAlgo_t, BwdDataAlgo_t and BwdFilterAlgo_t
	}{
		{backend.Algorithms{}, map[pass]int{forward: 3, inputGrad: 0, weightGrad: 0}},
		{backend.Algorithms{Deterministic: true}, map[pass]int{forward: 1, inputGrad: 1, weightGrad: 1}},
		{backend.Algorithms{Benchmark: true}, map[pass]int{forward: 1, inputGrad: 1, weightGrad: 1}},
		{backend.Algorithms{Deterministic: true, Benchmark: true}, map[pass]int{forward: 1, inputGrad: 1, weightGrad: 1}},
	} {
		be.SetAlgorithms(row.a)
		before := len(be.convolutions)
		for p, f := range run {
			f()
			f() // is found in the cache
			c := be.convolutions[convolutionKey{g: g, dtype: backend.Float32, pass: p, exact: true, Algorithms: row.a}]
			if c == nil || int(c.algorithm) != row.want[p] {
				t.Errorf("%+v, pass %d: got %+v, want algorithm %d", row.a, p, c, row.want[p])
			}
		}
		if got := len(be.convolutions) - before; got != 3 {
			t.Errorf("%+v: got %d convolutions more in the cache, want 3", row.a, got)
		}
	}
	for _, a := range []backend.Array{x, w, y} {
		be.Free(a.Buffer)
	}
	if s := be.MemoryStats(); s.Live != 0 {
		t.Errorf("measuring keeps %d bytes", s.Live)
	}
}

// TestDeclined sees that a convolution gets its result where cuDNN declines what it
// proposed: by another algorithm, and row-major where it takes nothing channels last.
func TestDeclined(t *testing.T) {
	for _, how := range []string{"1", "2"} {
		t.Run(how, func(t *testing.T) {
			if !sim.Again(t, "WICK_SIM_DECLINE="+how) {
				return
			}
			be := open(t)
			be.SetPrecision(backend.High)
			for _, row := range backendtest.Rows(1e-3) {
				if strings.HasPrefix(row.Method, "Conv") {
					t.Run(row.Method, func(t *testing.T) { row.Test(t, be) })
				}
			}
			for k, c := range be.convolutions {
				if c.chosen && !c.none && (how == "1" && int(c.algorithm) != 1 || how == "2" && k.last) {
					t.Errorf("%+v: got algorithm %d", k, c.algorithm)
				}
			}
		})
	}
}
