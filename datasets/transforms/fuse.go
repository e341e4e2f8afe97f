package transforms

import "math/rand/v2"

// Fused is a chain of built-in transforms from bytes to numbers, done in one
// pass. It is for data sets that hold their pictures as bytes, plane by plane;
// its results and its draws of random numbers are those of the chain.
type Fused struct {
	c, h, w    int // of the pictures
	outH, outW int
	steps      []Transform     // flips and crops
	value      [][256]float32  // of each byte, for each channel
	erasings   []randomErasing // of what the steps made
}

// Fuse returns the chain t as one pass over pictures of the given sizes. ok is
// false if t is anything but flips and crops, then ToTensor, then perhaps
// Normalize and RandomErasing. A nil t means ToTensor.
func Fuse(t Transform, channels, height, width int) (f *Fused, ok bool) {
	if t == nil {
		t = toTensor{}
	}
	f = &Fused{c: channels, h: height, w: width, outH: height, outW: width}
	if channels != 1 && channels != 3 || !f.add(t) || f.value == nil {
		return nil, false
	}
	return f, true
}

func (f *Fused) add(t Transform) bool {
	switch t := t.(type) {
	case compose:
		for _, t := range t.list {
			if !f.add(t) {
				return false
			}
		}
		return true
	case flip:
		f.steps = append(f.steps, t)
	case randomCrop:
		if f.outH+2*t.padding < t.size || f.outW+2*t.padding < t.size {
			return false // the chain itself says what does not fit
		}
		f.outH, f.outW = t.size, t.size
		f.steps = append(f.steps, t)
	case centerCrop:
		f.outH, f.outW = t.size, t.size
		f.steps = append(f.steps, t)
	case toTensor:
		if f.value == nil {
			f.value = make([][256]float32, f.c)
			for k := range f.value {
				f.value[k] = unit
			}
		}
		return true
	case normalize:
		if f.value == nil || f.erasings != nil || len(t.mean) != 1 && len(t.mean) != f.c {
			return false
		}
		for k := range f.value {
			m, d := float32(t.mean[k%len(t.mean)]), float32(t.std[k%len(t.std)])
			for i, v := range f.value[k] {
				f.value[k][i] = (v - m) / d
			}
		}
		return true
	case randomErasing:
		f.erasings = append(f.erasings, t)
		return f.value != nil
	default:
		return false
	}
	return f.value == nil // pictures are moved before they become numbers
}

// Shape returns the sizes of what Run makes.
func (f *Fused) Shape() (channels, height, width int) { return f.c, f.outH, f.outW }

// Run applies the chain to the picture src, channels·height·width bytes plane by
// plane, and writes the numbers to dst.
func (f *Fused) Run(dst []float32, src []byte, r *rand.Rand) {
	// at is the window on the picture that all steps together amount to;
	// [top, bottom) and [left, right) are the pixels that no crop has lost.
	at := window{h: f.h, w: f.w, dy: 1, dx: 1}
	top, bottom, left, right := 0, f.h, 0, f.w
	for _, t := range f.steps {
		var win window
		switch t := t.(type) {
		case flip:
			if float(r) >= t.p {
				continue
			}
			if t.horizontal {
				at.x0, at.dx = at.x0+at.dx*(at.w-1), -at.dx
			} else {
				at.y0, at.dy = at.y0+at.dy*(at.h-1), -at.dy
			}
			continue
		case randomCrop:
			win = t.draw(at.h, at.w, r)
		case centerCrop:
			win = t.window(at.h, at.w)
		}
		at = window{h: win.h, w: win.w, dy: at.dy, dx: at.dx, y0: at.y0 + at.dy*win.y0, x0: at.x0 + at.dx*win.x0}
		top, bottom = keep(top, bottom, at.y0, at.dy, at.h)
		left, right = keep(left, right, at.x0, at.dx, at.w)
	}
	ylo, yhi := span(at.h, at.y0, at.dy, top, bottom)
	xlo, xhi := span(at.w, at.x0, at.dx, left, right)
	for k := range f.c {
		value := &f.value[k]
		plane := src[k*f.h*f.w : (k+1)*f.h*f.w]
		out := dst[k*at.h*at.w : (k+1)*at.h*at.w]
		fill(out[:ylo*at.w], value[0])
		for y := ylo; y < yhi; y++ {
			row := out[y*at.w : (y+1)*at.w]
			fill(row[:xlo], value[0])
			if xlo < xhi {
				from := plane[(at.y0+at.dy*y)*f.w:][:f.w]
				if at.dx > 0 {
					look(row[xlo:xhi], from[at.x0+xlo:], value)
				} else {
					lookBack(row[xlo:xhi], from[:at.x0-xlo+1], value)
				}
			}
			fill(row[xhi:], value[0])
		}
		fill(out[yhi*at.w:], value[0])
	}
	for _, e := range f.erasings {
		if float(r) >= e.p {
			continue
		}
		if top, left, h, w := e.draw(at.h, at.w, r); h > 0 && w > 0 {
			erase(e.opts, dst, f.c, at.h, at.w, top, left, h, w, r)
		}
	}
}

// keep narrows the old positions [lo, hi) to those that n new ones from at on
// fall on.
func keep(lo, hi, at, step, n int) (int, int) {
	if step < 0 {
		at -= n - 1
	}
	return max(lo, at), min(hi, at+n)
}

func fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

func look(dst []float32, src []byte, value *[256]float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = value[src[i]]
	}
}

// lookBack reads src from its end.
func lookBack(dst []float32, src []byte, value *[256]float32) {
	src = src[len(src)-len(dst):]
	for i := range dst {
		dst[i] = value[src[len(dst)-1-i]]
	}
}
