package transforms

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Resize scales a picture so that its shorter side has size pixels and its
// proportions stay. It filters as it shrinks (antialias) with the triangle
// filter, and gives the bits that PIL's bilinear resize gives.
// (torchvision.transforms.Resize(int))
func Resize(size int) Transform {
	if size < 1 {
		fail("Resize", fmt.Errorf("size %d, want at least 1", size))
	}
	return resize{size, 0}
}

// ResizeHW scales a picture to the given height and width, filtering as Resize
// does. (torchvision.transforms.Resize([h, w]))
func ResizeHW(height, width int) Transform {
	if height < 1 || width < 1 {
		fail("ResizeHW", fmt.Errorf("size %d×%d, want at least 1×1", height, width))
	}
	return resize{height, width}
}

// resize is a Resize if w is 0.
type resize struct{ h, w int }

func (t resize) Apply(s Sample, _ *rand.Rand) Sample {
	src := wantImage("Resize", s)
	if src.w == 0 || src.h == 0 {
		fail("Resize", fmt.Errorf("the picture has %d×%d pixels, want at least one", src.h, src.w))
	}
	h, w := t.h, t.w
	if w == 0 {
		// Whole numbers, so that no rounding differs from PIL's int(size·long/short).
		if src.w <= src.h {
			h, w = t.h*src.h/src.w, t.h
		} else {
			h, w = t.h, t.h*src.w/src.h
		}
	}
	if w == src.w && h == src.h {
		return s
	}
	return resample(src, w, h).sample()
}

// The weights are fixed-point numbers with this many bits behind the point: 8
// bits of pixel and 2 of headroom leave 22 of 32.
const weightBits = 32 - 8 - 2

// taps are the weights that make each new position from old ones.
type taps struct {
	first  []int   // old position of the first weight
	weight []int32 // size a new position; those beyond what it needs are 0
	count  []int
	size   int
}

// triangle returns the weights that scale n positions to m: a triangle of one
// old pixel's half width around each new centre, widened by the factor that the
// picture shrinks by, cut off at the borders and normalized.
func triangle(n, m int) taps {
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	t := taps{size: int(math.Ceil(wide))*2 + 1}
	t.first, t.count, t.weight = make([]int, m), make([]int, m), make([]int32, m*t.size)
	k := make([]float64, t.size)
	for i := range m {
		center := (float64(i) + 0.5) * scale
		lo := max(int(center-wide+0.5), 0)
		hi := min(int(center+wide+0.5), n)
		sum := 0.0
		for x := lo; x < hi; x++ {
			w := max(0, 1-math.Abs((float64(x)-center+0.5)*(1/wide)))
			k[x-lo] = w
			sum += w
		}
		t.first[i], t.count[i] = lo, hi-lo
		for x := range hi - lo {
			t.weight[i*t.size+x] = int32(0.5 + k[x]/sum*(1<<weightBits))
		}
	}
	return t
}

func clip8(v int32) byte {
	v >>= weightBits
	return byte(min(max(v, 0), 255))
}

// resample scales along one axis and then along the other, rounding to bytes in
// between. The order shows in the last bit; it is Pillow 13's, found by trying
// all sizes: columns first where that takes away many rows.
func resample(src raster, w, h int) raster {
	if h < src.h && src.h-h > 2*(src.w-w) {
		return resampleRows(resampleColumns(src, h), w)
	}
	return resampleColumns(resampleRows(src, w), h)
}

const half = 1 << (weightBits - 1) // rounds to the nearest

// resampleRows makes all rows w pixels wide.
func resampleRows(src raster, w int) raster {
	if w == src.w {
		return src
	}
	n := src.n
	t := triangle(src.w, w)
	dst := newRaster(w, src.h, n)
	for y := range src.h {
		row := src.pix[y*src.w*n : (y+1)*src.w*n]
		out := dst.pix[y*w*n : (y+1)*w*n]
		for x := range w {
			ks := t.weight[x*t.size:][:t.count[x]]
			p := row[t.first[x]*n:]
			if n == 1 {
				sum := int32(half)
				for i, k := range ks {
					sum += int32(p[i]) * k
				}
				out[x] = clip8(sum)
				continue
			}
			r, g, b := int32(half), int32(half), int32(half)
			for i, k := range ks {
				q := p[4*i : 4*i+3]
				r += int32(q[0]) * k
				g += int32(q[1]) * k
				b += int32(q[2]) * k
			}
			copy(out[4*x:4*x+4], []byte{clip8(r), clip8(g), clip8(b), 255})
		}
	}
	return dst
}

// resampleColumns makes all columns h pixels high.
func resampleColumns(src raster, h int) raster {
	if h == src.h {
		return src
	}
	size := src.w * src.n
	t := triangle(src.h, h)
	dst := newRaster(src.w, h, src.n)
	sums := make([]int32, size)
	for y := range h {
		for i := range sums {
			sums[i] = half
		}
		for j, k := range t.weight[y*t.size:][:t.count[y]] {
			for i, p := range src.pix[(t.first[y]+j)*size:][:size] {
				sums[i] += int32(p) * k
			}
		}
		out := dst.pix[y*size : (y+1)*size]
		for i, s := range sums {
			out[i] = clip8(s)
		}
		if src.n == 4 {
			for i := 3; i < size; i += 4 {
				out[i] = 255
			}
		}
	}
	return dst
}
