package kernels

import "unsafe"

// WinogradScheme is one of Winograd's algorithms. Its tiles read InH×InW inputs, have
// OutH×OutW outputs, and h×w products.
type WinogradScheme struct {
	id                         int // among all schemes
	Name                       string
	OutH, OutW, InH, InW, H, W int
	Skip                       int // the first input of a tile that is read, of those under the taps
	maps                       *[5]linear
}

// The maps of a scheme.
const (
	InputMap = iota
	WeightMap
	OutputMap
	OutputGradMap
	WeightGradMap
)

// linear is a linear map of tiles: rows·x·columnsᵀ.
type linear struct{ rows, columns [][]float32 }

var (
	Winograd2x4  = WinogradScheme{Name: "2x4", OutH: 2, OutW: 4, InH: 4, InW: 6, H: 4, W: 6, maps: newMaps(&filter2, &filter4)}
	WinogradPair = WinogradScheme{id: 1, Name: "pair", OutH: 2, OutW: 2, InH: 2, InW: 2, H: 3, W: 3, Skip: 1, maps: newMaps(&filterPair, &filterPair)}
	Winograd4x4  = WinogradScheme{id: 2, Name: "4x4", OutH: 4, OutW: 4, InH: 6, InW: 6, H: 6, W: 6, maps: newMaps(&filter4, &filter4)}
)

// filter is the matrices Bᵀ, G and Aᵀ of one dimension.
type filter struct{ input, weight, output [][]float32 }

var (
	// Four outputs, with the points 0, 1, -1, 1/2, -2 and ∞.
	filter4 = filter{
		input: [][]float32{
			{1, -1.5, -2, 1.5, 1, 0},
			{0, -1, .5, 2.5, 1, 0},
			{0, -1, 2.5, -.5, -1, 0},
			{0, 1, .5, -1, -.5, 0},
			{0, .5, -1, -.5, 1, 0},
			{0, 1, -1.5, -2, 1.5, 1},
		},
		weight: [][]float32{
			{1, 0, 0},
			{1. / 3, 1. / 3, 1. / 3},
			{1. / 3, -1. / 3, 1. / 3},
			{32. / 15, 16. / 15, 8. / 15},
			{1. / 15, -2. / 15, 4. / 15},
			{0, 0, 1},
		},
		output: [][]float32{
			{1, 1, 1, 1, 1, 0},
			{0, 1, -1, .5, -2, 0},
			{0, 1, 1, .25, 4, 0},
			{0, 1, -1, .125, -8, 1},
		},
	}
	// Two outputs, with the points 0, 1, -1 and ∞.
	filter2 = filter{
		input:  [][]float32{{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, -1, 0, 1}},
		weight: [][]float32{{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}},
		output: [][]float32{{1, 1, 1, 0}, {0, 1, -1, 1}},
	}
	// Two outputs of two inputs with a zero on each side.
	filterPair = filter{
		input:  [][]float32{{1, 0}, {1, 1}, {0, 1}},
		weight: [][]float32{{1, -1, 0}, {0, 1, 0}, {0, -1, 1}},
		output: [][]float32{{0, 1, 1}, {1, 1, 0}},
	}
)

func newMaps(h, w *filter) *[5]linear {
	return &[5]linear{
		InputMap:      {h.input, w.input},
		WeightMap:     {h.weight, w.weight},
		OutputMap:     {h.output, w.output},
		OutputGradMap: {transposed(h.output), transposed(w.output)},
		WeightGradMap: {transposed(h.weight), transposed(w.weight)},
	}
}

func transposed(m [][]float32) [][]float32 {
	t := make([][]float32, len(m[0]))
	for i := range t {
		for _, row := range m {
			t[i] = append(t[i], row[i])
		}
	}
	return t
}

// tileKernels is what Winograd's algorithms need besides a micro-kernel, for
// vectors of lanes elements.
type tileKernels struct {
	Lanes int
	// Transform applies a map to tiles of vectors. tiles has for each the place of the first result in dst, the others being strideH
	// and strideW apart, and the places of the vectors in src.
	Transform func(s *WinogradScheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int)
	// Transpose is kernel.transpose, and scatter its opposite: dst[lanes[l]+blocks[b]+i] = src[(8·b+i)·width + l] + plus.
	// touch, if there is such, has blocks of eight elements that will be read or written soon fetched into the first cache:
	// src[lanes[l]+blocks[b]+i].
	Transpose func(dst []float32, width int, src Floats, lanes *[8]int, blocks []int)
	Touch     func(src Floats, lanes *[8]int, blocks []int)
	Scatter   func(dst Floats, lanes *[8]int, blocks []int, src []float32, width int, plus float32)
}

var plainTiles = tileKernels{Lanes: 8, Transform: plainTransform, Transpose: plainGather, Scatter: plainScatter}

func plainTransform(s *WinogradScheme, m int, dst []float32, strideH, strideW int, src []float32, tiles []int) {
	type vector = [8]float32
	rows, columns := s.maps[m].rows, s.maps[m].columns
	inW := len(columns[0])
	record := 1 + len(rows[0])*inW
	for ; len(tiles) > 0; tiles = tiles[record:] {
		for i, row := range rows {
			var column [6]vector
			for j := range inW {
				for r, factor := range row {
					if factor == 0 {
						continue
					}
					for l, v := range (*vector)(src[tiles[1+r*inW+j]:]) {
						column[j][l] += factor * v
					}
				}
			}
			for j, row := range columns {
				var sum vector
				for c, factor := range row {
					if factor == 0 {
						continue
					}
					for l := range sum {
						sum[l] += factor * column[c][l]
					}
				}
				*(*vector)(dst[tiles[0]+i*strideH+j*strideW:]) = sum
			}
		}
	}
}

func plainGather(dst []float32, width int, src Floats, lanes *[8]int, blocks []int) {
	if src.Half == nil {
		PlainTranspose(dst, width, src.Wide, lanes, blocks)
		return
	}
	for b, block := range blocks {
		for i := range 8 {
			to := (*[8]float32)(dst[(8*b+i)*width:])
			for l, lane := range lanes {
				to[l] = FromBFloat16(src.Half[lane+block+i])
			}
		}
	}
}

func plainScatter(dst Floats, lanes *[8]int, blocks []int, src []float32, width int, plus float32) {
	for b, block := range blocks {
		for l, lane := range lanes {
			for i := range 8 {
				dst.Set(lane+block+i, src[(8*b+i)*width+l]+plus)
			}
		}
	}
}

func Ceil(a, b int) int { return (a + b - 1) / b }

// Halves returns the memory of elements as parts.
func Halves(s []float32) []uint16 { return unsafe.Slice((*uint16)(unsafe.Pointer(&s[0])), 2*len(s)) }
