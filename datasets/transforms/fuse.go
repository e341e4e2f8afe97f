package transforms

import (
	"image"
	"math/rand/v2"
	"sync"
)

// Fused is a chain of built-in transforms from bytes to numbers, done in one
// pass. It is for data sets that hold their images as bytes, plane by plane,
// and for those that decode them; its results and its draws of random numbers
// are those of the chain.
type Fused struct {
	c, h, w    int // of the images; the sizes are 0 where they vary
	outH, outW int // likewise
	images     bool
	resize     *resize
	steps      []Transform     // flips and crops
	crops      int             // how many of the steps are crops
	value      [][256]float32  // of each byte, for each channel
	erasings   []randomErasing // of what the steps made
}

// Fuse returns the chain t as one pass over images of the given sizes. ok is
// false if t is anything but flips and crops, then ToTensor, then perhaps
// Normalize and RandomErasing. A nil t means ToTensor.
func Fuse(t Transform, channels, height, width int) (f *Fused, ok bool) {
	if t == nil {
		t = toTensor{}
	}
	f = &Fused{c: channels, h: height, w: width, outH: height, outW: width}
	if channels != 1 && channels != 3 || height < 1 || width < 1 || height > maxPixels/width || !f.add(t) || f.value == nil {
		return nil, false
	}
	return f, true
}

// FuseImages returns the chain t as one pass over images in colour, each of
// its own size. ok is false if t is anything but what Fuse takes, perhaps behind
// a Resize, or does not make all images of one size by a crop or ResizeHW.
func FuseImages(t Transform) (f *Fused, ok bool) {
	f = &Fused{c: 3, images: true}
	if t == nil || !f.add(t) || f.value == nil || f.outH == 0 {
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
	case resize:
		if !f.images || f.resize != nil || len(f.steps) > 0 {
			return false
		}
		f.resize = &t
		if t.w != 0 {
			f.outH, f.outW = t.h, t.w
		}
	case flip:
		f.steps = append(f.steps, t)
	case randomCrop:
		if f.outH > 0 && (f.outH+2*t.padding < t.size || f.outW+2*t.padding < t.size) {
			return false // the chain itself says what does not fit
		}
		f.outH, f.outW = t.size, t.size
		f.steps = append(f.steps, t)
		f.crops++
	case centerCrop:
		f.outH, f.outW = t.size, t.size
		f.steps = append(f.steps, t)
		f.crops++
	case toTensor:
		if f.value == nil {
			f.value = make([][256]float32, f.c)
			for k := range f.value {
				f.value[k] = unit
			}
		}
		return true
	case normalize:
		if f.value == nil || f.erasings != nil || len(t.mean) != 1 && len(t.mean) != f.c || t.vanishes() >= 0 {
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
	return f.value == nil // images are moved before they become numbers
}

// Shape returns the sizes of what Run makes.
func (f *Fused) Shape() (channels, height, width int) { return f.c, f.outH, f.outW }

// OnDevice returns what a device needs to do the chain's work with
// CropMirrorNormalize: the sizes of the images that it is sent, as
// bytes, and the numbers that these become. Images of one size are sent as they
// are, each with its Move; of others RunImageBytes makes what is sent. ok is false
// where a window and a table are not all that the chain does.
func (f *Fused) OnDevice() (channels, height, width int, values [][256]float32, ok bool) {
	if f.images {
		return f.c, f.outH, f.outW, f.value, f.erasings == nil
	}
	// What one crop has lost, a second one may see as padding.
	return f.c, f.h, f.w, f.value, f.erasings == nil && f.crops <= 1
}

// Move draws what Run draws, and writes to dst the row of
// CropMirrorNormalize's moves that does what Run does.
func (f *Fused) Move(dst []int64, r *rand.Rand) {
	at, _ := f.place(f.h, f.w, r)
	clear(dst)
	if at.dy < 0 {
		at.y0 -= at.h - 1
		dst[2] = 1
	}
	if at.dx < 0 {
		at.x0 -= at.w - 1
		dst[3] = 1
	}
	dst[0], dst[1] = int64(at.y0), int64(at.x0)
}

// Run applies the chain to the image src, channels·height·width bytes plane by
// plane, and writes the numbers to dst.
func (f *Fused) Run(dst []float32, src []byte, r *rand.Rand) {
	at, seen := f.place(f.h, f.w, r)
	for k := range f.c {
		value := &f.value[k]
		plane := src[k*f.h*f.w : (k+1)*f.h*f.w]
		out := dst[k*at.h*at.w : (k+1)*at.h*at.w]
		frame(out, at.w, seen, value[0])
		for y := seen.Min.Y; y < seen.Max.Y; y++ {
			row := out[y*at.w : (y+1)*at.w]
			from := plane[(at.y0+at.dy*y)*f.w:][:f.w]
			if at.dx > 0 {
				look(row[seen.Min.X:seen.Max.X], from[at.x0+seen.Min.X:], value)
			} else {
				lookBack(row[seen.Min.X:seen.Max.X], from[:at.x0-seen.Min.X+1], value)
			}
		}
	}
	f.erase(dst, r)
}

// Image is an image that is decoded when it is known which part is needed.
type Picture struct {
	W, H int // at least 1
	// Part returns a part of the image that has all of need, and where its
	// first pixel lies in the image.
	Part func(need image.Rectangle) (im image.Image, corner image.Point, err error)
}

// resamplers are for RunImage to use again.
var resamplers = sync.Pool{New: func() any { return new(resampler) }}

// RunImage applies the chain to an image and writes the numbers to dst. A gray
// image has three equal channels. It panics with a *tensor.Error where the
// image is too small for a crop; its error is Part's.
func (f *Fused) RunImage(dst []float32, p Picture, r *rand.Rand) error {
	if err := runImage(f, dst, f.value, p, r); err != nil {
		return err
	}
	f.erase(dst, r)
	return nil
}

// RunImageBytes is RunImage without its last step: it writes the bytes that become
// the numbers.
func (f *Fused) RunImageBytes(dst []byte, p Picture, r *rand.Rand) error {
	return runImage(f, dst, asTheyAre[:], p, r)
}

// asTheyAre leaves bytes what they are, in three channels.
var asTheyAre = func() (t [3][256]byte) {
	for k := range t {
		for v := range t[k] {
			t[k][v] = byte(v)
		}
	}
	return
}()

func runImage[T float32 | byte](f *Fused, dst []T, value [][256]T, p Picture, r *rand.Rand) error {
	h, w := p.H, p.W
	if f.resize != nil {
		h, w = f.resize.size(h, w)
	}
	at, seen := f.place(h, w, r)
	for k := range f.c {
		frame(dst[k*at.h*at.w:(k+1)*at.h*at.w], at.w, seen, value[k][0])
	}
	// view is what is seen, on the scaled image.
	view := image.Rect(at.x0+at.dx*seen.Min.X, at.y0+at.dy*seen.Min.Y, at.x0+at.dx*(seen.Max.X-1), at.y0+at.dy*(seen.Max.Y-1)) // in order, without its last row and column
	view.Max = view.Max.Add(image.Pt(1, 1))
	if seen.Empty() {
		seen = image.Rectangle{}
		view = image.Rect(0, 0, 1, 1) // what cannot be decoded is an error all the same
	}
	z := resamplers.Get().(*resampler)
	defer resamplers.Put(z)
	need, scaled := view, h != p.H || w != p.W
	if scaled {
		need = z.plan(p.H, p.W, h, w, view)
	}
	im, corner, err := p.Part(need)
	if err != nil {
		return err
	}
	src := rasterOf(im)
	if scaled {
		src, corner = z.run(src, corner), view.Min
	}
	g, b := min(1, src.n-1), min(2, src.n-1)
	size := at.h * at.w
	for y := seen.Min.Y; y < seen.Max.Y; y++ {
		from := src.pix[((at.y0+at.dy*y-corner.Y)*src.w+view.Min.X-corner.X)*src.n:]
		lo, hi := y*at.w+seen.Min.X, y*at.w+seen.Max.X
		lookRGB(dst[lo:hi], dst[size+lo:size+hi], dst[2*size+lo:2*size+hi], from, src.n, g, b, at.dx < 0, value)
	}
	return nil
}

// lookRGB looks up the pixels of a row of n bytes each, whose second and third
// colour lie at g and b. back is from the end of the row on.
func lookRGB[T float32 | byte](red, green, blue []T, src []byte, n, g, b int, back bool, value [][256]T) {
	v0, v1, v2 := &value[0], &value[1], &value[2]
	w := len(red)
	green, blue = green[:w], blue[:w]
	at, step := 0, n
	if back {
		at, step = (w-1)*n, -n
	}
	for i := range red {
		red[i], green[i], blue[i] = v0[src[at]], v1[src[at+g]], v2[src[at+b]]
		at += step
	}
}

// place draws the chain's flips and crops for an image of h×w. It returns the
// window that all of them together amount to, and the part of the new image
// that shows the old one: the rest is padding.
func (f *Fused) place(h, w int, r *rand.Rand) (at window, seen image.Rectangle) {
	// [top, bottom) and [left, right) are the pixels that no crop has lost.
	at = window{h: h, w: w, dy: 1, dx: 1}
	top, bottom, left, right := 0, h, 0, w
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
	seen.Min.Y, seen.Max.Y = span(at.h, at.y0, at.dy, top, bottom)
	seen.Min.X, seen.Max.X = span(at.w, at.x0, at.dx, left, right)
	return at, seen
}

// frame fills what is padding of rows of w.
func frame[T float32 | byte](out []T, w int, seen image.Rectangle, v T) {
	if seen.Empty() {
		fill(out, v)
		return
	}
	fill(out[:seen.Min.Y*w], v)
	for y := seen.Min.Y; y < seen.Max.Y; y++ {
		fill(out[y*w:][:seen.Min.X], v)
		fill(out[y*w:][seen.Max.X:w], v)
	}
	fill(out[seen.Max.Y*w:], v)
}

func (f *Fused) erase(dst []float32, r *rand.Rand) {
	for _, e := range f.erasings {
		if float(r) >= e.p {
			continue
		}
		if top, left, h, w := e.draw(f.outH, f.outW, r); h > 0 && w > 0 {
			erase(e.opts, dst, f.c, f.outH, f.outW, top, left, h, w, r)
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

func fill[T float32 | byte](dst []T, v T) {
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
