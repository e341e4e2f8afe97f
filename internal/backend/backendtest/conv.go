package backendtest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/wick-ml/wick/internal/backend"
)

func init() {
	both := func(f32, f64 func(t *testing.T, be backend.Backend, c convCase)) func(t *testing.T, be backend.Backend) {
		return func(t *testing.T, be backend.Backend) {
			for _, c := range convCases() {
				t.Run(c.name+"/float32", func(t *testing.T) { f32(t, be, c) })
				t.Run(c.name+"/float64", func(t *testing.T) { f64(t, be, c) })
			}
		}
	}
	rows = append(rows,
		Row{"Conv", "convolves for every stride, padding, dilation and number of groups, with and without scale, bias and ReLU", both(testConv[float32], testConv[float64])},
		Row{"ConvInputGrad", "gives each input the sum of what it sent through the weights", both(testConvInputGrad[float32], testConvInputGrad[float64])},
		Row{"Conv", "the number of threads does not matter", testConvThreads},
		Row{"SetAlgorithms", "deterministic convolutions give the same bits each time, measured or not", testSetAlgorithms},
		Row{"ConvWeightGrad", "gives each weight the sum over all pixels of all images", both(testConvWeightGrad[float32], testConvWeightGrad[float64])},
	)
}

type convCase struct {
	name string
	g    backend.ConvGeom
}

func convCases() []convCase {
	cases := []convCase{
		{"one element", backend.ConvGeom{N: 1, C: 1, In: [3]int{1, 1, 1}, K: 1, Kernel: [3]int{1, 1, 1}}},
		{"1x1", backend.ConvGeom{N: 2, C: 5, In: [3]int{1, 7, 6}, K: 9, Kernel: [3]int{1, 1, 1}}},
		{"1x1, planes that are no multiple of eight", backend.ConvGeom{N: 5, C: 9, In: [3]int{1, 5, 27}, K: 17, Kernel: [3]int{1, 1, 1}}},
		{"1x1, planes of whole eights, groups", backend.ConvGeom{N: 3, C: 10, In: [3]int{1, 16, 24}, K: 6, Kernel: [3]int{1, 1, 1}, Groups: 2}},
		{"1x1 stride 2", backend.ConvGeom{N: 2, C: 6, In: [3]int{1, 7, 8}, K: 4, Kernel: [3]int{1, 1, 1}, Stride: [3]int{1, 2, 2}}},
		{"1x1 pad 1", backend.ConvGeom{N: 1, C: 3, In: [3]int{1, 4, 5}, K: 4, Kernel: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1", backend.ConvGeom{N: 2, C: 5, In: [3]int{1, 9, 11}, K: 15, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, rows of 8", backend.ConvGeom{N: 3, C: 20, In: [3]int{1, 8, 8}, K: 33, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, rows of 32", backend.ConvGeom{N: 1, C: 3, In: [3]int{1, 32, 32}, K: 16, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, 4x4 maps", backend.ConvGeom{N: 21, C: 34, In: [3]int{1, 4, 4}, K: 30, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, 2x2 maps", backend.ConvGeom{N: 70, C: 40, In: [3]int{1, 2, 2}, K: 17, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, 4x4 maps of many images", backend.ConvGeom{N: 40, C: 6, In: [3]int{1, 4, 4}, K: 10, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}, Groups: 2}},
		{"3x3 stride 2, 5x4 maps of many images", backend.ConvGeom{N: 40, C: 4, In: [3]int{1, 5, 4}, K: 3, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}}},
		{"1x1 pad 1, 2x3 maps of many images", backend.ConvGeom{N: 33, C: 4, In: [3]int{1, 2, 3}, K: 3, Kernel: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 1, 1x1 maps", backend.ConvGeom{N: 40, C: 12, In: [3]int{1, 1, 1}, K: 10, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 0", backend.ConvGeom{N: 1, C: 4, In: [3]int{1, 6, 5}, K: 3, Kernel: [3]int{1, 3, 3}}},
		{"3x3 pad 2", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 5, 4}, K: 4, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 2, 2}}},
		{"3x3 pad 2, groups of 20 channels", backend.ConvGeom{N: 12, C: 40, In: [3]int{1, 5, 6}, K: 44, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 2, 2}, Groups: 2}},
		{"3x3 stride 2 pad 1", backend.ConvGeom{N: 2, C: 6, In: [3]int{1, 9, 10}, K: 7, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}}},
		{"3x3 stride 3, two columns left over", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 11, 11}, K: 4, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 3, 3}}},
		{"2x2 stride 3, pixels that nothing reads", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 10, 11}, K: 4, Kernel: [3]int{1, 2, 2}, Stride: [3]int{1, 3, 3}}},
		{"3x3 dilation 2", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 9, 8}, K: 4, Kernel: [3]int{1, 3, 3}, Dilation: [3]int{1, 2, 2}, Pad: [3]int{0, 2, 2}}},
		{"stride 2 dilation 2", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 12, 13}, K: 5, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Dilation: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}}},
		{"stride 2 dilation 3", backend.ConvGeom{N: 1, C: 2, In: [3]int{1, 12, 13}, K: 3, Kernel: [3]int{1, 3, 2}, Stride: [3]int{1, 2, 2}, Dilation: [3]int{1, 3, 3}, Pad: [3]int{0, 3, 2}}},
		{"all different by axis", backend.ConvGeom{N: 2, C: 4, In: [3]int{1, 13, 10}, K: 6, Kernel: [3]int{1, 2, 5}, Stride: [3]int{1, 1, 3}, Dilation: [3]int{1, 3, 1}, Pad: [3]int{0, 0, 4}, Groups: 2}},
		{"7x7 stride 2 pad 3", backend.ConvGeom{N: 1, C: 3, In: [3]int{1, 23, 30}, K: 8, Kernel: [3]int{1, 7, 7}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 3, 3}}},
		{"groups 2", backend.ConvGeom{N: 3, C: 6, In: [3]int{1, 7, 7}, K: 8, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}, Groups: 2}},
		{"3x3 pad 1, three channels, rows of 33", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 7, 33}, K: 5, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3 pad 2 and 0, groups of four, rows of 50", backend.ConvGeom{N: 18, C: 8, In: [3]int{1, 3, 50}, K: 12, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 2, 0}, Groups: 2}},
		{"3x3 pad 3, one channel", backend.ConvGeom{N: 2, C: 1, In: [3]int{1, 4, 13}, K: 9, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 3, 3}}},
		{"5x5 stride 2, three channels, a column left over", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 12, 34}, K: 20, Kernel: [3]int{1, 5, 5}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 2, 1}}},
		{"1x1, planes of 70 pixels that panels cross", backend.ConvGeom{N: 2, C: 70, In: [3]int{1, 7, 10}, K: 64, Kernel: [3]int{1, 1, 1}}},
		{"depthwise", backend.ConvGeom{N: 2, C: 10, In: [3]int{1, 8, 9}, K: 10, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}, Groups: 10}},
		{"depthwise, two each", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 8, 9}, K: 6, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 2}, Pad: [3]int{0, 1, 1}, Groups: 3}},
		{"kernel as large as the image", backend.ConvGeom{N: 3, C: 4, In: [3]int{1, 5, 6}, K: 5, Kernel: [3]int{1, 5, 6}}},
		{"more channels than are packed at a time", backend.ConvGeom{N: 2, C: 70, In: [3]int{1, 5, 5}, K: 40, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"images longer than a tile", backend.ConvGeom{N: 2, C: 2, In: [3]int{1, 31, 33}, K: 3, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"very long rows", backend.ConvGeom{N: 1, C: 2, In: [3]int{1, 2, 23000}, K: 2, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"rows of which two channels are too long for a tile", backend.ConvGeom{N: 1, C: 2, In: [3]int{1, 32, 5}, K: 33, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 0, 1000}, Dilation: [3]int{1, 3, 1000}}},
		{"one long row, groups of a channel and a half to a panel", backend.ConvGeom{N: 2, C: 64, In: [3]int{1, 34, 17}, K: 32, Kernel: [3]int{1, 7, 3}, Pad: [3]int{0, 0, 1000}, Dilation: [3]int{1, 3, 1000}, Groups: 32}},
		{"a tile of some channels but not of each panel's", backend.ConvGeom{N: 2, C: 8, In: [3]int{1, 97, 70}, K: 17, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 3, 0}, Pad: [3]int{0, 2, 2}, Dilation: [3]int{1, 2, 2}}},
		{"no images", backend.ConvGeom{N: 0, C: 3, In: [3]int{1, 4, 4}, K: 2, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"no columns", backend.ConvGeom{N: 1, C: 1, In: [3]int{1, 4, 0}, K: 1, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 2, 2}}},
		{"no rows, groups", backend.ConvGeom{N: 2, C: 4, In: [3]int{1, 0, 5}, K: 6, Kernel: [3]int{1, 3, 2}, Pad: [3]int{0, 2, 1}, Groups: 2}},
		{"no rows, depthwise", backend.ConvGeom{N: 2, C: 4, In: [3]int{1, 0, 0}, K: 8, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 2, 0}, Pad: [3]int{0, 3, 2}, Groups: 4}},
		{"no columns, 1x1 of many channels", backend.ConvGeom{N: 2, C: 32, In: [3]int{1, 4, 0}, K: 48, Kernel: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}}},
		{"no input channels", backend.ConvGeom{N: 2, C: 0, In: [3]int{1, 4, 4}, K: 3, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"no output channels", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 4, 4}, K: 0, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
	}
	// What lies far apart needs no room of that size, nor do numbers overflow.
	const far = 1 << 24
	for _, c := range [][2]int{{1, 1}, {3, 8}, {16, 16}} {
		some := func(name string, g backend.ConvGeom) {
			g.N, g.C, g.K = 2, c[0], c[1]
			cases = append(cases, convCase{fmt.Sprintf("%s, %d and %d channels", name, c[0], c[1]), g})
		}
		some("taps and a border far away", backend.ConvGeom{In: [3]int{1, 4, 4}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, far, far}, Dilation: [3]int{1, far, far}})
		some("taps 16384 apart", backend.ConvGeom{In: [3]int{1, 4, 5}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 16384, 16384}, Dilation: [3]int{1, 16384, 16384}})
		some("taps and strides far apart", backend.ConvGeom{In: [3]int{1, 4, 4}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, far, far}, Pad: [3]int{0, far, far}, Dilation: [3]int{1, far, far}})
		some("a far border and strides", backend.ConvGeom{In: [3]int{1, 3, 2}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, far, far - 1}, Pad: [3]int{0, far, far}})
		some("strides far apart, no border", backend.ConvGeom{In: [3]int{1, 4, 5}, Kernel: [3]int{1, 2, 3}, Stride: [3]int{1, far, far}})
		some("taps far apart in one direction", backend.ConvGeom{In: [3]int{1, 6, 5}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, far}, Dilation: [3]int{1, 0, far}, Stride: [3]int{1, 0, 2}})
		some("a border of 60", backend.ConvGeom{In: [3]int{1, 3, 4}, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 60, 60}})
	}
	for _, groups := range []int{3, 6} {
		cases = append(cases, convCase{fmt.Sprintf("taps far apart, %d groups", groups),
			backend.ConvGeom{N: 2, C: 6, In: [3]int{1, 5, 4}, K: 12, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, far, far}, Dilation: [3]int{1, far, far}, Groups: groups}})
	}
	finish(cases)
	return append(cases, deepCases()...)
}

// deepCases are convolutions over one dimension, and over three.
func deepCases() []convCase {
	cases := []convCase{
		{"1-d", backend.ConvGeom{N: 3, C: 5, In: [3]int{1, 1, 29}, K: 7, Kernel: [3]int{1, 1, 3}, Pad: [3]int{0, 0, 1}}},
		{"1-d, long, stride 3, dilation 2, groups", backend.ConvGeom{N: 2, C: 6, In: [3]int{1, 1, 500}, K: 9, Kernel: [3]int{1, 1, 7}, Stride: [3]int{1, 1, 3}, Pad: [3]int{0, 0, 4}, Dilation: [3]int{1, 1, 2}, Groups: 3}},
		{"1-d, depthwise", backend.ConvGeom{N: 2, C: 20, In: [3]int{1, 1, 41}, K: 20, Kernel: [3]int{1, 1, 5}, Pad: [3]int{0, 0, 2}, Groups: 20}},
		{"1-d, one tap", backend.ConvGeom{N: 2, C: 20, In: [3]int{1, 1, 41}, K: 17, Kernel: [3]int{1, 1, 1}}},
		{"1-d, as long as the input", backend.ConvGeom{N: 4, C: 3, In: [3]int{1, 1, 17}, K: 5, Kernel: [3]int{1, 1, 17}}},
		{"2-d with any stride of the depth", backend.ConvGeom{N: 2, C: 3, In: [3]int{1, 6, 7}, K: 4, Kernel: [3]int{1, 3, 3}, Stride: [3]int{3, 2, 1}, Pad: [3]int{0, 1, 1}, Dilation: [3]int{2, 1, 1}}},
		{"1x1x1", backend.ConvGeom{N: 2, C: 5, In: [3]int{3, 4, 5}, K: 6, Kernel: [3]int{1, 1, 1}}},
		{"1x1x1 stride 2", backend.ConvGeom{N: 2, C: 5, In: [3]int{3, 4, 5}, K: 6, Kernel: [3]int{1, 1, 1}, Stride: [3]int{2, 2, 2}}},
		{"1x1x1 pad 1", backend.ConvGeom{N: 2, C: 5, In: [3]int{3, 2, 4}, K: 6, Kernel: [3]int{1, 1, 1}, Pad: [3]int{1, 1, 1}}},
		{"1x1x5, along the rows of all planes", backend.ConvGeom{N: 2, C: 3, In: [3]int{4, 3, 9}, K: 5, Kernel: [3]int{1, 1, 5}, Stride: [3]int{1, 1, 2}, Pad: [3]int{0, 0, 2}}},
		{"3x1x1, along the depth", backend.ConvGeom{N: 2, C: 3, In: [3]int{7, 4, 5}, K: 5, Kernel: [3]int{3, 1, 1}, Stride: [3]int{2, 1, 1}, Pad: [3]int{1, 0, 0}, Dilation: [3]int{2, 1, 1}}},
		{"one row, one column", backend.ConvGeom{N: 2, C: 3, In: [3]int{7, 1, 1}, K: 5, Kernel: [3]int{3, 1, 1}, Stride: [3]int{2, 3, 2}, Pad: [3]int{1, 0, 0}}},
		{"planes of one row", backend.ConvGeom{N: 2, C: 3, In: [3]int{7, 1, 6}, K: 5, Kernel: [3]int{3, 1, 2}, Stride: [3]int{2, 3, 1}, Pad: [3]int{1, 0, 1}}},
		{"planes of one column, groups", backend.ConvGeom{N: 2, C: 4, In: [3]int{7, 6, 1}, K: 6, Kernel: [3]int{2, 3, 1}, Stride: [3]int{1, 2, 5}, Pad: [3]int{1, 1, 0}, Groups: 2}},
		{"1x3x3 of planes", backend.ConvGeom{N: 2, C: 20, In: [3]int{3, 8, 8}, K: 18, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}},
		{"3x3x3 pad 1", backend.ConvGeom{N: 2, C: 3, In: [3]int{4, 7, 6}, K: 5, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}}},
		{"3x3x3 pad 1, many channels", backend.ConvGeom{N: 2, C: 20, In: [3]int{3, 8, 8}, K: 24, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}}},
		{"3x3x3 stride 2 pad 1", backend.ConvGeom{N: 2, C: 4, In: [3]int{5, 8, 7}, K: 6, Kernel: [3]int{3, 3, 3}, Stride: [3]int{2, 2, 2}, Pad: [3]int{1, 1, 1}}},
		{"2x2x2 stride 3, voxels that nothing reads", backend.ConvGeom{N: 2, C: 3, In: [3]int{8, 7, 9}, K: 4, Kernel: [3]int{2, 2, 2}, Stride: [3]int{3, 3, 3}}},
		{"all different by axis, groups", backend.ConvGeom{N: 2, C: 4, In: [3]int{9, 6, 10}, K: 6, Kernel: [3]int{3, 2, 4}, Stride: [3]int{2, 1, 3}, Pad: [3]int{2, 0, 4}, Dilation: [3]int{3, 2, 1}, Groups: 2}},
		{"stride 3 dilation 2 of the depth", backend.ConvGeom{N: 2, C: 3, In: [3]int{13, 4, 4}, K: 4, Kernel: [3]int{4, 3, 3}, Stride: [3]int{3, 1, 1}, Pad: [3]int{3, 1, 1}, Dilation: [3]int{2, 1, 1}}},
		{"depthwise over three dimensions", backend.ConvGeom{N: 2, C: 6, In: [3]int{4, 6, 5}, K: 12, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}, Groups: 6}},
		{"3x3x3 pad 2, more taps than planes", backend.ConvGeom{N: 1, C: 2, In: [3]int{1, 4, 4}, K: 3, Kernel: [3]int{3, 3, 3}, Pad: [3]int{2, 2, 2}}},
		{"a depth of taps that read padding only", backend.ConvGeom{N: 2, C: 2, In: [3]int{2, 3, 3}, K: 3, Kernel: [3]int{5, 2, 2}, Stride: [3]int{4, 1, 1}, Pad: [3]int{5, 1, 1}, Dilation: [3]int{2, 1, 1}}},
		{"all depths in the padding", backend.ConvGeom{N: 1, C: 2, In: [3]int{2, 3, 3}, K: 3, Kernel: [3]int{2, 2, 2}, Stride: [3]int{9, 1, 1}, Pad: [3]int{4, 0, 0}, Dilation: [3]int{8, 1, 1}}},
		{"large planes", backend.ConvGeom{N: 2, C: 1, In: [3]int{11, 260, 280}, K: 1, Kernel: [3]int{3, 1, 2}, Pad: [3]int{1, 0, 0}}},
		{"kernel as large as the volume", backend.ConvGeom{N: 3, C: 4, In: [3]int{3, 4, 5}, K: 5, Kernel: [3]int{3, 4, 5}}},
		{"no images, three dimensions", backend.ConvGeom{N: 0, C: 3, In: [3]int{3, 4, 4}, K: 2, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}}},
		{"no depth", backend.ConvGeom{N: 2, C: 3, In: [3]int{0, 4, 4}, K: 2, Kernel: [3]int{3, 3, 3}, Pad: [3]int{2, 1, 1}}},
		{"no columns, three dimensions", backend.ConvGeom{N: 2, C: 3, In: [3]int{3, 4, 0}, K: 2, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 2}}},
		{"no output channels, three dimensions", backend.ConvGeom{N: 2, C: 3, In: [3]int{3, 4, 4}, K: 0, Kernel: [3]int{3, 3, 3}, Pad: [3]int{1, 1, 1}}},
	}
	const far = 1 << 24
	for _, c := range [][2]int{{1, 1}, {3, 8}, {16, 16}} {
		for _, g := range []backend.ConvGeom{
			{In: [3]int{4, 3, 4}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{far, far, far}, Dilation: [3]int{far, far, far}},
			{In: [3]int{4, 3, 4}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{far, 1, 1}, Dilation: [3]int{far, 1, 1}, Stride: [3]int{2, 1, 1}},
			{In: [3]int{4, 3, 4}, Kernel: [3]int{3, 2, 3}, Pad: [3]int{far, far, far}, Dilation: [3]int{far, far, far}, Stride: [3]int{far, far, far}},
			{In: [3]int{4, 3, 4}, Kernel: [3]int{2, 2, 2}, Stride: [3]int{far, far, far}},
			{In: [3]int{3, 3, 4}, Kernel: [3]int{3, 3, 3}, Pad: [3]int{20, 1, 1}},
			{In: [3]int{1, 1, 5}, Kernel: [3]int{1, 1, 3}, Pad: [3]int{0, 0, far}, Dilation: [3]int{1, 1, far}},
		} {
			g.N, g.C, g.K = 2, c[0], c[1]
			cases = append(cases, convCase{fmt.Sprintf("%v and %v far apart, %d and %d channels", g.Kernel, g.Stride, g.C, g.K), g})
		}
	}
	finish(cases)
	return cases
}

// finish fills in the defaults and the size of the output.
func finish(cases []convCase) {
	for i := range cases {
		g := &cases[i].g
		g.Groups = max(g.Groups, 1)
		for d := range 3 {
			g.Stride[d], g.Dilation[d] = max(g.Stride[d], 1), max(g.Dilation[d], 1)
			g.Out[d] = (g.In[d]+2*g.Pad[d]-g.Dilation[d]*(g.Kernel[d]-1)-1)/g.Stride[d] + 1
		}
	}
}

// volume returns the number of elements of a size.
func volume(size [3]int) int { return size[0] * size[1] * size[2] }

// each calls f for the elements of a size, in order, with the number of each.
func each(size [3]int, f func(i int, at [3]int)) {
	for i := range volume(size) {
		f(i, [3]int{i / (size[1] * size[2]), i / size[2] % size[1], i % size[2]})
	}
}

// eachTap calls f for each product that a convolution sums, with the places of
// its factors and of its sum.
func eachTap(g backend.ConvGeom, f func(y, x, w int)) {
	c, k := g.C/g.Groups, g.K/g.Groups
	in, out, taps := volume(g.In), volume(g.Out), volume(g.Kernel)
	each(g.Out, func(o int, p [3]int) {
		each(g.Kernel, func(t int, r [3]int) {
			at := 0
			for d := range 3 {
				i := p[d]*g.Stride[d] + r[d]*g.Dilation[d] - g.Pad[d]
				if i < 0 || i >= g.In[d] {
					return
				}
				at = at*g.In[d] + i
			}
			for n := range g.N {
				for ko := range g.K {
					for ci := range c {
						f((n*g.K+ko)*out+o, (n*g.C+ko/k*c+ci)*in+at, (ko*c+ci)*taps+t)
					}
				}
			}
		})
	})
}

func convSizes(g backend.ConvGeom) (x, w, y int) {
	return g.N * g.C * volume(g.In), g.K * (g.C / g.Groups) * volume(g.Kernel), g.N * g.K * volume(g.Out)
}

func testConv[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	x, w, bias := random(1, nx), random(2, nw), random(3, c.g.K)
	want := make([]float64, ny)
	eachTap(c.g, func(iy, ix, iw int) { want[iy] += x[ix] * w[iw] })
	y := empty[T](be, ny)
	be.Conv(y, floats[T](be, x), floats[T](be, w), backend.Array{}, backend.Array{}, c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), y, want, tolerance[T]())
	for i := range want {
		want[i] += bias[i/volume(c.g.Out)%c.g.K]
	}
	be.Conv(y, floats[T](be, x), floats[T](be, w), backend.Array{}, floats[T](be, bias), c.g)
	wantFloats(t, be, fmt.Sprintf("with bias %+v", c.g), y, want, tolerance[T]())
	scale := random(4, c.g.K)
	for i := range want {
		k := i / volume(c.g.Out) % c.g.K
		want[i] = max(0, (want[i]-bias[k])*scale[k]+bias[k])
	}
	c.g.ReLU = true
	be.Conv(y, floats[T](be, x), floats[T](be, w), floats[T](be, scale), floats[T](be, bias), c.g)
	wantFloats(t, be, fmt.Sprintf("with scale, bias and ReLU %+v", c.g), y, want, tolerance[T]())
}

func testConvInputGrad[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	dy, w := random(1, ny), random(2, nw)
	want := make([]float64, nx)
	eachTap(c.g, func(iy, ix, iw int) { want[ix] += dy[iy] * w[iw] })
	dx := empty[T](be, nx)
	be.ConvInputGrad(dx, floats[T](be, dy), floats[T](be, w), c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), dx, want, tolerance[T]())
}

func testConvWeightGrad[T float32 | float64](t *testing.T, be backend.Backend, c convCase) {
	nx, nw, ny := convSizes(c.g)
	dy, x := random(1, ny), random(2, nx)
	want := make([]float64, nw)
	eachTap(c.g, func(iy, ix, iw int) { want[iw] += dy[iy] * x[ix] })
	dw := empty[T](be, nw)
	be.ConvWeightGrad(dw, floats[T](be, dy), floats[T](be, x), c.g)
	wantFloats(t, be, fmt.Sprintf("%+v", c.g), dw, want, tolerance[T]())
}

func testConvThreads(t *testing.T, be backend.Backend) {
	defer be.SetAlgorithms(backend.Algorithms{})
	be.SetAlgorithms(backend.Algorithms{Deterministic: true})
	cases := []convCase{{"", backend.ConvGeom{N: 3, C: 6, In: [3]int{12, 60, 70}, K: 5, Kernel: [3]int{3, 1, 2}, Stride: [3]int{2, 1, 1}, Pad: [3]int{1, 0, 1}}}}
	finish(cases)
	g := cases[0].g
	nx, nw, ny := convSizes(g)
	x, w, dy := floats[float32](be, random(1, nx)), floats[float32](be, random(2, nw)), floats[float32](be, random(3, ny))
	sameOnAnyThreads(t, func() []float32 {
		y, dx, dw := empty[float32](be, ny), empty[float32](be, nx), empty[float32](be, nw)
		be.Conv(y, x, w, backend.Array{}, backend.Array{}, g)
		be.ConvInputGrad(dx, dy, w, g)
		be.ConvWeightGrad(dw, dy, x, g)
		return slices.Concat(get[float32](be, y), get[float32](be, dx), get[float32](be, dw))
	})
}

func testSetAlgorithms(t *testing.T, be backend.Backend) {
	defer be.SetAlgorithms(backend.Algorithms{})
	cases := []convCase{{"", backend.ConvGeom{N: 3, C: 16, In: [3]int{1, 7, 9}, K: 8, Kernel: [3]int{1, 3, 3}, Pad: [3]int{0, 1, 1}}}}
	finish(cases)
	g := cases[0].g
	nx, nw, ny := convSizes(g)
	x, w, dy := floats[float32](be, random(1, nx)), floats[float32](be, random(2, nw)), floats[float32](be, random(3, ny))
	run := func() []float32 {
		y, dx, dw := empty[float32](be, ny), empty[float32](be, nx), empty[float32](be, nw)
		be.Conv(y, x, w, backend.Array{}, backend.Array{}, g)
		be.ConvInputGrad(dx, dy, w, g)
		be.ConvWeightGrad(dw, dy, x, g)
		return slices.Concat(get[float32](be, y), get[float32](be, dx), get[float32](be, dw))
	}
	for _, benchmark := range []bool{false, true} {
		be.SetAlgorithms(backend.Algorithms{Deterministic: true, Benchmark: benchmark})
		want := run()
		for range 3 {
			if !slices.Equal(run(), want) {
				t.Errorf("measured %t: the same arguments gave other bits", benchmark)
			}
		}
	}
	be.SetAlgorithms(backend.Algorithms{})
	want := run()
	be.SetAlgorithms(backend.Algorithms{Benchmark: true})
	for i, v := range run() {
		if d := float64(v - want[i]); !(math.Abs(d) <= 1e-4) {
			t.Fatalf("element %d: got %v where algorithms are measured, want %v", i, v, want[i])
		}
	}
}
