package transforms

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
)

// Grayscale makes an image gray (ITU-R 601-2 luma, as PIL does), with one
// channel or with three equal ones. (torchvision.transforms.Grayscale)
func Grayscale(channels int) Transform {
	if channels != 1 && channels != 3 {
		fail("Grayscale", fmt.Errorf("%d channels, want 1 or 3", channels))
	}
	return grayscale{channels}
}

type grayscale struct{ channels int }

func (g grayscale) Apply(s Sample, _ *rand.Rand) Sample {
	src := wantImage("Grayscale", s)
	gray := luma(src)
	if g.channels == 1 {
		return Sample{Image: &image.Gray{Pix: gray, Stride: src.w, Rect: image.Rect(0, 0, src.w, src.h)}}
	}
	dst := newRaster(src.w, src.h, 4)
	for i, v := range gray {
		copy(dst.pix[4*i:4*i+4], []byte{v, v, v, 255})
	}
	return dst.sample()
}

// luma returns the brightness of each pixel.
func luma(src raster) []byte {
	out := make([]byte, src.w*src.h)
	if src.n == 1 {
		copy(out, src.pix)
		return out
	}
	for i := range out {
		p := src.pix[4*i : 4*i+3]
		out[i] = byte((uint32(p[0])*19595 + uint32(p[1])*38470 + uint32(p[2])*7471 + 1<<15) >> 16)
	}
	return out
}

// ColorJitter changes brightness, contrast, saturation and hue of an image, in
// random order. The first three are multiplied by factors drawn evenly from
// [max(0, 1-v), 1+v]; the hue is turned by a part of the circle drawn evenly
// from [-hue, hue], where hue is at most 0.5. 0 leaves a property alone. The
// arithmetic is PIL's. (torchvision.transforms.ColorJitter)
func ColorJitter(brightness, contrast, saturation, hue float64) Transform {
	const most = math.MaxFloat32 / 2
	if !(brightness >= 0 && contrast >= 0 && saturation >= 0 && hue >= 0 && hue <= 0.5 && max(brightness, contrast, saturation) < most) {
		fail("ColorJitter", fmt.Errorf("brightness %v, contrast %v, saturation %v, hue %v, want numbers from 0 on, and the hue at most 0.5",
			brightness, contrast, saturation, hue))
	}
	return colorJitter{[4]float64{brightness, contrast, saturation, hue}}
}

type colorJitter struct{ by [4]float64 }

func (c colorJitter) Apply(s Sample, r *rand.Rand) Sample {
	src := wantImage("ColorJitter", s)
	order := [4]int{0, 1, 2, 3}
	for i := 3; i > 0; i-- {
		j := intN(r, i+1)
		order[i], order[j] = order[j], order[i]
	}
	var factor [4]float64
	for i, v := range c.by {
		switch {
		case i == 3:
			factor[i] = uniform(r, -v, v)
		case v > 0:
			factor[i] = uniform(r, max(0, 1-v), 1+v)
		}
	}
	for _, i := range order {
		if c.by[i] > 0 {
			src = adjust[i](src, factor[i])
		}
	}
	return src.sample()
}

var adjust = [4]func(raster, float64) raster{adjustBrightness, adjustContrast, adjustSaturation, adjustHue}

// adjustBrightness moves all pixels away from black by a factor.
func adjustBrightness(src raster, f float64) raster {
	return blend(src, f, func(int) byte { return 0 })
}

// adjustContrast moves all pixels away from the mean brightness.
func adjustContrast(src raster, f float64) raster {
	sum := 0
	gray := luma(src)
	for _, v := range gray {
		sum += int(v)
	}
	mean := byte(float64(sum)/float64(max(len(gray), 1)) + 0.5)
	return blend(src, f, func(int) byte { return mean })
}

// adjustSaturation moves all pixels away from their gray.
func adjustSaturation(src raster, f float64) raster {
	if src.n == 1 {
		return src
	}
	gray := luma(src)
	return blend(src, f, func(i int) byte { return gray[i] })
}

// blend returns from + f·(src - from), cut off at 0 and 255, the fraction
// dropped.
func blend(src raster, f float64, from func(i int) byte) raster {
	dst := newRaster(src.w, src.h, src.n)
	a := float32(f)
	n := src.n
	for i := range src.w * src.h {
		b := from(i)
		for k := range min(n, 3) {
			v := float32(b) + a*float32(int(src.pix[n*i+k])-int(b))
			dst.pix[n*i+k] = byte(min(max(v, 0), 255))
		}
		if n == 4 {
			dst.pix[4*i+3] = 255
		}
	}
	return dst
}

// adjustHue turns the hue by a part of the circle.
func adjustHue(src raster, by float64) raster {
	if src.n == 1 {
		return src
	}
	dst := newRaster(src.w, src.h, 4)
	turn := uint8(int32(by * 255))
	for i := 0; i < len(src.pix); i += 4 {
		h, s, v := toHSV(src.pix[i], src.pix[i+1], src.pix[i+2])
		r, g, b := fromHSV(h+turn, s, v)
		copy(dst.pix[i:i+4], []byte{r, g, b, 255})
	}
	return dst
}

// toHSV and fromHSV are the formulas of Python's colorsys (Foley and van Dam)
// on bytes, with PIL's rounding.
func toHSV(r, g, b byte) (h, s, v byte) {
	hi, lo := max(r, g, b), min(r, g, b)
	if hi == lo {
		return 0, 0, hi
	}
	chroma := float32(hi) - float32(lo)
	rc, gc, bc := (float32(hi)-float32(r))/chroma, (float32(hi)-float32(g))/chroma, (float32(hi)-float32(b))/chroma
	var hue float32
	switch hi {
	case r:
		hue = bc - gc
	case g:
		hue = float32(2 + float64(rc) - float64(bc))
	default:
		hue = float32(4 + float64(gc) - float64(rc))
	}
	hue = float32(math.Mod(float64(hue)/6+1, 1))
	return byte(float64(hue) * 255), byte(float64(chroma/float32(hi)) * 255), hi
}

func fromHSV(h, s, v byte) (r, g, b byte) {
	if s == 0 {
		return v, v, v
	}
	sector := float32(float64(h) * 6 / 255)
	sat := float64(float32(float64(s) / 255))
	i := int(sector)
	f := float64(sector - float32(i))
	val := float64(v)
	p := byte(math.Round(val * (1 - sat)))
	q := byte(math.Round(val * (1 - float64(float32(sat*f)))))
	t := byte(math.Round(val * (1 - sat*(1-f))))
	switch i % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}
