package transforms

import (
	"encoding/binary"
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"
)

// Resize scales an image so that its shorter side has size pixels and its
// proportions stay. It filters as it shrinks (antialias) with the triangle
// filter, and gives the bits that PIL's bilinear resize gives.
// (torchvision.transforms.Resize(int))
func Resize(size int) Transform {
	wantSize("Resize", size, size)
	return resize{size, 0}
}

// ResizeHW scales an image to the given height and width, filtering as Resize
// does. (torchvision.transforms.Resize([h, w]))
func ResizeHW(height, width int) Transform {
	wantSize("ResizeHW", height, width)
	return resize{height, width}
}

// resize is a Resize if w is 0.
type resize struct{ h, w int }

func (t resize) Apply(s Sample, _ *rand.Rand) Sample {
	src := wantImage("Resize", s)
	if src.w == 0 || src.h == 0 {
		fail("Resize", fmt.Errorf("the image has %d×%d pixels, want at least one", src.h, src.w))
	}
	h, w := t.size(src.h, src.w)
	if w == src.w && h == src.h {
		return s
	}
	var z resampler
	z.plan(src.h, src.w, h, w, image.Rect(0, 0, w, h))
	return z.run(src, image.Point{}).sample()
}

// size returns the sizes that an image of h×w is scaled to.
func (t resize) size(h, w int) (newH, newW int) {
	switch {
	case t.w != 0:
		return t.h, t.w
	case w <= h: // whole numbers, so that no rounding differs from PIL's int(size·long/short)
		newH, newW = t.longer(h, w), t.h
	default:
		newH, newW = t.h, t.longer(w, h)
	}
	wantSize("Resize", newH, newW)
	return newH, newW
}

// longer is the new size of the longer side.
func (t resize) longer(long, short int) int {
	return int(min(int64(t.h)*int64(long)/int64(short), math.MaxInt32))
}

// The weights are fixed-point numbers with this many bits behind the point: 8
// bits of pixel and 2 of headroom leave 22 of 32.
const weightBits = 32 - 8 - 2

const (
	half   = 1 << (weightBits - 1) // rounds to the nearest
	halves = half<<32 | half
)

// taps are the weights that make each new position of a stretch from old ones.
type taps struct {
	lo, hi int      // the old positions that all of them take
	first  []int    // old position of the first weight, from lo on
	end    []int    // behind the last weight of each new position in weight
	weight []uint64 // none is below zero
	four   bool     // every position has four weights, some of them 0
	k      []float64
}

// triangle makes the weights that scale n positions to m, for the new positions
// [from, to): a triangle of one old pixel's half precision around each new centre,
// widened by the factor that the image shrinks by, cut off at the borders and
// normalized.
func (t *taps) triangle(n, m, from, to int) {
	scale := float64(n) / float64(m)
	wide := max(scale, 1)
	t.first, t.end, t.weight = t.first[:0], t.end[:0], t.weight[:0]
	// Where none needs more than four weights, as in shrinking to two thirds or
	// less, all get as many, so that their loops can be written out.
	t.four = n >= 4 && 2*wide+1 < 5
	for i := from; i < to; i++ {
		center := (float64(i) + 0.5) * scale
		lo := max(int(center-wide+0.5), 0)
		hi := min(int(center+wide+0.5), n)
		sum := 0.0
		t.k = t.k[:0]
		for x := lo; x < hi; x++ {
			w := max(0, 1-math.Abs((float64(x)-center+0.5)*(1/wide)))
			t.k = append(t.k, w)
			sum += w
		}
		first := lo
		if t.four {
			first = min(lo, n-4)
			hi = first + 4
			t.weight = append(t.weight, zeros[:lo-first]...)
		}
		for _, w := range t.k {
			t.weight = append(t.weight, uint64(0.5+w/sum*(1<<weightBits)))
		}
		if t.four {
			t.weight = append(t.weight, zeros[:4-(lo-first)-len(t.k)]...)
		}
		if i == from {
			t.lo = first
		}
		t.first, t.end, t.hi = append(t.first, first-t.lo), append(t.end, len(t.weight)), hi
	}
}

var zeros [4]uint64

// rows scales h rows of n bytes a pixel. src begins at the first row and at
// position lo.
func (t *taps) rows(dst, src []byte, stride, h, n int) {
	w := len(t.first)
	for y := range h {
		row := src[y*stride:]
		at := 0
		if n == 1 {
			out := dst[y*w:][:w]
			for x, first := range t.first {
				ks := t.weight[at:t.end[x]]
				at = t.end[x]
				sum := uint64(half)
				for i, p := range row[first:][:len(ks)] {
					sum += uint64(p) * ks[i]
				}
				out[x] = byte(min(sum>>weightBits, 255))
			}
			continue
		}
		out := dst[4*y*w:][:4*w]
		if t.four {
			for x, first := range t.first {
				ks := (*[4]uint64)(t.weight[4*x:])
				q := (*[16]byte)(row[4*first:])
				p0, p1 := uint64(binary.LittleEndian.Uint32(q[:])), uint64(binary.LittleEndian.Uint32(q[4:]))
				p2, p3 := uint64(binary.LittleEndian.Uint32(q[8:])), uint64(binary.LittleEndian.Uint32(q[12:]))
				binary.LittleEndian.PutUint32(out[4*x:], pixelOfFour(
					redBlue(p0)*ks[0]+redBlue(p1)*ks[1]+redBlue(p2)*ks[2]+redBlue(p3)*ks[3]+halves,
					green(p0)*ks[0]+green(p1)*ks[1]+green(p2)*ks[2]+green(p3)*ks[3]+half))
			}
			continue
		}
		for x, first := range t.first {
			ks := t.weight[at:t.end[x]]
			at = t.end[x]
			q := row[4*first:][:4*len(ks)]
			rb, g := uint64(halves), uint64(half)
			for _, k := range ks {
				p := uint64(binary.LittleEndian.Uint32(q))
				q = q[4:]
				rb += redBlue(p) * k
				g += green(p) * k
			}
			binary.LittleEndian.PutUint32(out[4*x:], pixel(rb, g))
		}
	}
}

// columns scales w columns of n bytes a pixel. src begins at the first column
// and at position lo.
func (t *taps) columns(dst, src []byte, stride, w, n int) {
	at := 0
	for y, first := range t.first {
		ks := t.weight[at:t.end[y]]
		at = t.end[y]
		rows := src[first*stride:]
		if n == 1 {
			out := dst[y*w:][:w]
			for x := range out {
				sum := uint64(half)
				for i, k := range ks {
					sum += uint64(rows[i*stride+x]) * k
				}
				out[x] = byte(min(sum>>weightBits, 255))
			}
			continue
		}
		out := dst[4*y*w:][:4*w]
		if t.four {
			k0, k1, k2, k3 := ks[0], ks[1], ks[2], ks[3]
			r0, r1, r2, r3 := rows[:len(out)], rows[stride:][:len(out)], rows[2*stride:][:len(out)], rows[3*stride:][:len(out)]
			for x := 0; x+4 <= len(out); x += 4 {
				p0, p1 := uint64(binary.LittleEndian.Uint32(r0[x:x+4])), uint64(binary.LittleEndian.Uint32(r1[x:x+4]))
				p2, p3 := uint64(binary.LittleEndian.Uint32(r2[x:x+4])), uint64(binary.LittleEndian.Uint32(r3[x:x+4]))
				binary.LittleEndian.PutUint32(out[x:x+4], pixelOfFour(
					redBlue(p0)*k0+redBlue(p1)*k1+redBlue(p2)*k2+redBlue(p3)*k3+halves,
					green(p0)*k0+green(p1)*k1+green(p2)*k2+green(p3)*k3+half))
			}
			continue
		}
		for x := 0; x < len(out); x += 4 {
			rb, g := uint64(halves), uint64(half)
			i := x
			for _, k := range ks {
				p := uint64(binary.LittleEndian.Uint32(rows[i:]))
				i += stride
				rb += redBlue(p) * k
				g += green(p) * k
			}
			binary.LittleEndian.PutUint32(out[x:], pixel(rb, g))
		}
	}
}

// redBlue is the red and the blue of a pixel, 32 bits apart, to be summed in one
// number.
func redBlue(p uint64) uint64 { return (p | p<<16) & 0xff000000ff }
func green(p uint64) uint64   { return p >> 8 & 255 }

// pixel rounds the sums of an opaque pixel. The weights of a pixel add up to 1
// but for their rounding, so that only thousands of them could pass 255.
func pixel(rb, g uint64) uint32 {
	r, b := min(rb<<32>>(32+weightBits), 255), min(rb>>(32+weightBits), 255)
	return uint32(r | min(g>>weightBits, 255)<<8 | b<<16 | 255<<24)
}

// pixelOfFour is pixel where nothing can pass 255.
func pixelOfFour(rb, g uint64) uint32 {
	rb = rb >> weightBits & 0xff000000ff
	return uint32(rb|rb>>16|g>>weightBits<<8) | 255<<24
}

// resampler scales an image along one axis and then along the other, rounding
// to bytes in between, as far as a part of the new image needs it.
type resampler struct {
	x, y         taps
	columnsFirst bool
	mid, out     []byte
}

// plan prepares to scale h×w pixels to newH×newW, of which view is wanted, and
// returns the part of the old image that this takes. The order of the axes
// shows in the last bit; it is Pillow 13's, found by trying all sizes: columns
// first where that takes away many rows.
func (z *resampler) plan(h, w, newH, newW int, view image.Rectangle) image.Rectangle {
	z.columnsFirst = newH < h && h-newH > 2*(w-newW)
	z.x.triangle(w, newW, view.Min.X, view.Max.X)
	z.y.triangle(h, newH, view.Min.Y, view.Max.Y)
	return image.Rect(z.x.lo, z.y.lo, z.x.hi, z.y.hi)
}

// run returns the view, in memory that the next run uses again. src is a part of
// the old image with its corner there.
func (z *resampler) run(src raster, corner image.Point) raster {
	n, stride := src.n, src.w*src.n
	from := src.pix[(z.y.lo-corner.Y)*stride+(z.x.lo-corner.X)*n:]
	w, h := len(z.x.first), len(z.y.first)
	z.out = slices.Grow(z.out[:0], w*h*n)[:w*h*n]
	if z.columnsFirst {
		wide := z.x.hi - z.x.lo
		z.mid = slices.Grow(z.mid[:0], wide*h*n)[:wide*h*n]
		z.y.columns(z.mid, from, stride, wide, n)
		z.x.rows(z.out, z.mid, wide*n, h, n)
	} else {
		high := z.y.hi - z.y.lo
		z.mid = slices.Grow(z.mid[:0], w*high*n)[:w*high*n]
		z.x.rows(z.mid, from, stride, high, n)
		z.y.columns(z.out, z.mid, w*n, w, n)
	}
	return raster{z.out, w, h, n}
}
