//go:build cuda && linux

package tensor_test

import (
	"os"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

// BenchmarkCUDAHost measures what the host does for an operation on the GPU, with
// its work put in the stream and its memory taken from the pool and given back.
//
//	WICK_SIM_NULL=1 go test -tags cuda -run '^$' -bench CUDAHost ./tensor
func BenchmarkCUDAHost(b *testing.B) {
	if os.Getenv("WICK_SIM_NULL") == "" && os.Getenv("WICK_GPU") == "" {
		b.Skip("the simulated driver computes; WICK_SIM_NULL=1 makes it drop all work")
	}
	d := gpu(b)
	x, y := tensor.Ones(8, 16, 8, 8).To(d), tensor.Ones(8, 16, 8, 8).To(d)
	row := tensor.Ones(16, 1, 1).To(d)
	w := tensor.Ones(16, 16, 3, 3).To(d)
	for _, row := range []struct {
		name string
		f    func(x *tensor.Tensor)
	}{
		{"Add", func(x *tensor.Tensor) { x.Add(y) }},
		{"AddBroadcast", func(x *tensor.Tensor) { x.Add(row) }},
		{"MulScalar", func(x *tensor.Tensor) { x.MulScalar(2) }},
		{"ReLU", func(x *tensor.Tensor) { x.ReLU() }},
		{"Conv2d", func(x *tensor.Tensor) { tensor.Conv2d(x, w, nil, tensor.ConvOpts{Padding: 1}) }},
	} {
		for _, tape := range []bool{false, true} {
			name := row.name
			if tape {
				name += "/recorded"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; i < b.N; {
					s := tensor.NewScope()
					x := x.Clone().In(s)
					if tape {
						x.SetRequiresGrad(true)
					}
					for n := min(i+100, b.N); i < n; i++ {
						row.f(x)
					}
					s.Close()
				}
			})
		}
	}
}
