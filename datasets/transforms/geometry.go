package transforms

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/wick-ml/wick/tensor"
)

// RandomHorizontalFlip mirrors left and right with probability p; takes images
// and tensors. (torchvision.transforms.RandomHorizontalFlip)
func RandomHorizontalFlip(p float64) Transform {
	return flip{"RandomHorizontalFlip", wantP("RandomHorizontalFlip", p), true}
}

// RandomVerticalFlip mirrors top and bottom with probability p; takes images
// and tensors. (torchvision.transforms.RandomVerticalFlip)
func RandomVerticalFlip(p float64) Transform {
	return flip{"RandomVerticalFlip", wantP("RandomVerticalFlip", p), false}
}

func wantP(op string, p float64) float64 {
	if !(p >= 0 && p <= 1) {
		fail(op, fmt.Errorf("a probability of %v, want 0 to 1", p))
	}
	return p
}

type flip struct {
	op         string
	p          float64
	horizontal bool
}

func (f flip) Apply(s Sample, r *rand.Rand) Sample {
	if float(r) >= f.p {
		return s
	}
	return move(f.op, s, func(h, w int) window {
		if f.horizontal {
			return window{h: h, w: w, dy: 1, dx: -1, x0: w - 1}
		}
		return window{h: h, w: w, dy: -1, dx: 1, y0: h - 1}
	})
}

// RandomCrop cuts a square of size×size from a random place of an image or
// tensor, after padding zeros were put around it on each side. The square may
// not be larger than what it is cut from. (torchvision.transforms.RandomCrop)
func RandomCrop(size, padding int) Transform {
	wantSize("RandomCrop", size, size)
	if padding < 0 || padding > maxPixels {
		fail("RandomCrop", fmt.Errorf("padding %d, want 0 to %d", padding, maxPixels))
	}
	return randomCrop{size, padding}
}

type randomCrop struct{ size, padding int }

func (c randomCrop) Apply(s Sample, r *rand.Rand) Sample {
	return move("RandomCrop", s, func(h, w int) window { return c.draw(h, w, r) })
}

func (c randomCrop) draw(h, w int, r *rand.Rand) window {
	y, x := h+2*c.padding-c.size, w+2*c.padding-c.size
	if y < 0 || x < 0 {
		fail("RandomCrop", fmt.Errorf("a crop of %d×%d from an image of %d×%d (height × width) with padding %d, want at most that", c.size, c.size, h, w, c.padding))
	}
	if y > 0 || x > 0 {
		y, x = intN(r, y+1), intN(r, x+1)
	}
	return window{h: c.size, w: c.size, dy: 1, dx: 1, y0: y - c.padding, x0: x - c.padding}
}

// CenterCrop cuts the square of size×size from the middle of an image or tensor,
// with zeros where that is smaller. (torchvision.transforms.CenterCrop)
func CenterCrop(size int) Transform {
	wantSize("CenterCrop", size, size)
	return centerCrop{size}
}

type centerCrop struct{ size int }

func (c centerCrop) Apply(s Sample, r *rand.Rand) Sample {
	return move("CenterCrop", s, c.window)
}

func (c centerCrop) window(h, w int) window {
	at := func(n int) int {
		if n < c.size {
			return -((c.size - n) / 2)
		}
		return int(math.RoundToEven(float64(n-c.size) / 2)) // as Python rounds
	}
	return window{h: c.size, w: c.size, dy: 1, dx: 1, y0: at(h), x0: at(w)}
}

// window says where the pixels of a new image of h×w come from: pixel (y, x)
// from (y0 + dy·y, x0 + dx·x), and 0 where the old image has no such pixel. dy
// and dx are 1 or -1.
type window struct {
	h, w   int
	dy, dx int
	y0, x0 int
}

// span returns the part [lo, hi) of n new positions that falls on the old
// positions [from, to).
func span(n, at, step, from, to int) (lo, hi int) {
	if step > 0 {
		lo, hi = from-at, to-at
	} else {
		lo, hi = at-to+1, at-from+1
	}
	lo, hi = min(max(lo, 0), n), min(hi, n)
	return lo, max(lo, hi)
}

// move makes a new image or tensor from windows on its planes.
func move(op string, s Sample, at func(h, w int) window) Sample {
	if s.Image == nil && s.Tensor != nil {
		x, c, h, w := wantTensor(op, s)
		win := at(h, w)
		switch dt := x.DType(); {
		case dt == tensor.Uint8:
			return Sample{Tensor: tensor.From(movePlanes(x.Bytes(), c, h, w, win), c, win.h, win.w)}
		case dt == tensor.Float64:
			return Sample{Tensor: tensor.From(movePlanes(x.Float64s(), c, h, w, win), c, win.h, win.w)}
		case !dt.IsFloat():
			return Sample{Tensor: tensor.From(movePlanes(x.Ints(), c, h, w, win), c, win.h, win.w).ToDType(dt)}
		}
		return Sample{Tensor: tensor.From(movePlanes(x.Floats(), c, h, w, win), c, win.h, win.w).ToDType(x.DType())}
	}
	src := wantImage(op, s)
	win := at(src.h, src.w)
	dst := newRaster(win.w, win.h, src.n)
	if src.n == 4 {
		for i := 3; i < len(dst.pix); i += 4 {
			dst.pix[i] = 255
		}
	}
	ylo, yhi := span(win.h, win.y0, win.dy, 0, src.h)
	xlo, xhi := span(win.w, win.x0, win.dx, 0, src.w)
	if xlo == xhi {
		return dst.sample() // all of it is beside the old image
	}
	for y := ylo; y < yhi; y++ {
		from := src.pix[(win.y0+win.dy*y)*src.w*src.n:]
		to := dst.pix[y*win.w*src.n:]
		if win.dx > 0 {
			copy(to[xlo*src.n:xhi*src.n], from[(win.x0+xlo)*src.n:])
			continue
		}
		for x := xlo; x < xhi; x++ {
			copy(to[x*src.n:(x+1)*src.n], from[(win.x0-x)*src.n:])
		}
	}
	return dst.sample()
}

func movePlanes[T any](src []T, c, h, w int, win window) []T {
	dst := make([]T, c*win.h*win.w)
	ylo, yhi := span(win.h, win.y0, win.dy, 0, h)
	xlo, xhi := span(win.w, win.x0, win.dx, 0, w)
	for i := range c {
		for y := ylo; y < yhi; y++ {
			from := src[(i*h+win.y0+win.dy*y)*w:][:w]
			to := dst[(i*win.h+y)*win.w:][:win.w]
			for x := xlo; x < xhi; x++ {
				to[x] = from[win.x0+win.dx*x]
			}
		}
	}
	return dst
}
