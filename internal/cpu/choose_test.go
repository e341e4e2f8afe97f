package cpu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
	"github.com/wick-ml/wick/internal/cpu/kernels"
)

// algorithm names what computes a pass of a convolution of float32 numbers.
func (be *Backend) algorithm(g convGeom, p pass) string {
	return be.choose(g, p, convTypes{result: backend.Float32, a: backend.Float32, b: backend.Float32, floats: true}).name()
}

// TestChoose states what serves the convolutions of known networks: forward, the input's gradient and the weight's
// gradient, with the plain kernels and with those for AVX-512.
func TestChoose(t *testing.T) {
	chosen := kernels.Current
	defer func() { kernels.Current = chosen }()
	conv := func(n, c, k, side, kernel, stride, groups int) backend.ConvGeom {
		pad := kernel / 2
		if stride == kernel {
			pad = 0
		}
		out := (side+2*pad-kernel)/stride + 1
		return backend.ConvGeom{N: n, C: c, K: k, Groups: groups, In: [3]int{1, side, side}, Kernel: [3]int{1, kernel, kernel}, Out: [3]int{1, out, out},
			Stride: [3]int{1, stride, stride}, Pad: [3]int{0, pad, pad}, Dilation: [3]int{1, 1, 1}}
	}
	dilated := conv(64, 64, 64, 16, 3, 1, 1)
	dilated.Dilation, dilated.Pad = [3]int{1, 2, 2}, [3]int{0, 2, 2}
	deep := conv(4, 16, 16, 16, 3, 1, 1)
	deep.In[0], deep.Kernel[0], deep.Out[0], deep.Pad[0] = 8, 3, 8, 1
	for _, row := range []struct {
		name            string
		g               backend.ConvGeom
		t               backend.DType
		generic, avx512 string
	}{
		{"VGG16's first", conv(64, 3, 64, 32, 3, 1, 1), backend.Float32, "product, few inputs, product", "planes, planes, planes"},
		{"VGG16's second", conv(64, 64, 64, 32, 3, 1, 1), backend.Float32, "winograd 2x4, winograd 2x4, winograd 2x4", "winograd 2x4, winograd 2x4, winograd 2x4"},
		{"VGG16's last", conv(64, 512, 512, 2, 3, 1, 1), backend.Float32, "winograd pair, winograd pair, winograd pair", "winograd pair, winograd pair, winograd pair"},
		{"VGG16's second in float64", conv(64, 64, 64, 32, 3, 1, 1), backend.Float64, "product, product, product", "product, product, product"},
		{"VGG16's first in float16", conv(64, 3, 64, 32, 3, 1, 1), backend.Float16, "product, few inputs, product", "planes, planes, planes"},
		{"VGG16's second in bfloat16", conv(64, 64, 64, 32, 3, 1, 1), backend.BFloat16, "winograd 4x4, winograd 4x4, winograd 4x4", "winograd 4x4, winograd 4x4, winograd 4x4"},
		{"ResNet50's first", conv(8, 3, 64, 224, 7, 2, 1), backend.Float32, "product, product, product", "product, product, product"},
		{"ResNet50's 1×1", conv(8, 256, 64, 56, 1, 1, 1), backend.Float32, "product, product, product", "product, product, product"},
		{"ResNet50's 3×3 of stride 2", conv(8, 128, 128, 56, 3, 2, 1), backend.Float32, "product, product, product", "product, product, product"},
		{"ResNeXt's groups", conv(8, 128, 128, 28, 3, 1, 32), backend.Float32, "product, product, product", "planes, planes, planes"},
		{"MobileNetV2's depthwise", conv(8, 96, 96, 56, 3, 1, 96), backend.Float32, "depthwise, few inputs, depthwise", "planes, planes, planes"},
		{"MobileNetV2's depthwise of stride 2", conv(8, 96, 96, 56, 3, 2, 96), backend.Float32, "depthwise, few inputs, depthwise", "depthwise, few inputs, depthwise"},
		{"EfficientNet's 5×5", conv(8, 96, 96, 28, 5, 1, 96), backend.Float32, "depthwise, few inputs, depthwise", "depthwise, few inputs, depthwise"},
		{"ViT's patches", conv(8, 3, 768, 224, 16, 16, 1), backend.Float32, "product, product, product", "product, product, product"},
		{"a dilated one", dilated, backend.Float32, "product, product, product", "product, product, product"},
		{"over three dimensions", deep, backend.Float32, "depth by product, depth by product, depth by winograd 2x4", "depth by product, depth by product, depth by winograd 2x4"},
	} {
		for i, l := range kernels.Levels {
			want := row.generic
			switch {
			case l.Name == "avx512":
				want = row.avx512
			case i > 0:
				continue
			}
			kernels.Current = l
			var got []string
			for _, p := range []string{"forward", "inputGrad", "weightGrad"} {
				got = append(got, strings.TrimSuffix(New().ConvAlgorithm(row.g, p, row.t), " bf16"))
			}
			if got := strings.Join(got, ", "); got != want {
				t.Errorf("%s, %s: got %q, want %q", row.name, l.Name, got, want)
			}
		}
	}
	if got := fmt.Sprint(recovered(func() { New().ConvAlgorithm(deep, "backward", backend.Float32) })); got != "cpu: there is no pass backward, only forward, inputGrad and weightGrad" {
		t.Errorf("a pass that is not: got %q", got)
	}
}

func recovered(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}
