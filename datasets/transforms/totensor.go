package transforms

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

// ToTensor makes an image a Float32 tensor [channels height width] of numbers
// from 0 to 1: one channel for a gray image, otherwise three. Transparency is
// dropped and the colours under it stay, as PIL's convert("RGB") does, which
// torchvision's loaders call before their ToTensor. Of 16 bits the upper 8 count.
// A sample that is a tensor already stays as it is.
// (torchvision.transforms.ToTensor)
func ToTensor() Transform { return toTensor{} }

type toTensor struct{}

func (toTensor) Apply(s Sample, _ *rand.Rand) Sample {
	if s.Tensor != nil {
		return s
	}
	src := wantImage("ToTensor", s)
	c := min(src.n, 3)
	size := src.w * src.h
	out := make([]float32, c*size)
	for k := range c {
		plane := out[k*size:][:size]
		for i := range plane {
			plane[i] = unit[src.pix[i*src.n+k]]
		}
	}
	return Sample{Tensor: tensor.From(out, c, src.h, src.w)}
}

// unit is v/255 for each byte.
var unit = func() (t [256]float32) {
	for v := range t {
		t[v] = float32(v) / 255
	}
	return
}()

// ImageFunc makes an image of a tensor [channels height width] or [height
// width], with 1, 3 or 4 channels: of a float type from 0 to 1, of Uint8 from 0
// to 255. It is a Transform too.
type ImageFunc func(x *tensor.Tensor) image.Image

// Apply makes the sample's tensor an image.
func (f ImageFunc) Apply(s Sample, _ *rand.Rand) Sample {
	if f == nil {
		fail("ToPILImage", fmt.Errorf("the function is nil, want one"))
	}
	if s.Tensor == nil {
		fail("ToPILImage", fmt.Errorf("the sample is no tensor"))
	}
	return Sample{Image: f(s.Tensor)}
}

// ToPILImage returns the function that makes an image of a tensor; it undoes
// ToTensor. The name is PyTorch's; what comes back is a Go image.Image, which
// package image/png writes. (torchvision.transforms.ToPILImage)
//
//	toPILImage := transforms.ToPILImage()
//	img := toPILImage(images.Select(0, 0))
func ToPILImage() ImageFunc { return toImage }

func toImage(x *tensor.Tensor) image.Image {
	const op = "ToPILImage"
	if x == nil {
		fail(op, fmt.Errorf("the tensor is nil"))
	}
	sh := x.Shape()
	c := 1
	if len(sh) == 3 {
		c = sh[0]
	}
	if len(sh) != 2 && len(sh) != 3 || c != 1 && c != 3 && c != 4 {
		fail(op, fmt.Errorf("the tensor is %v, want [height width] or [channels height width] with 1, 3 or 4 channels", sh))
	}
	h, w := sh[len(sh)-2], sh[len(sh)-1]
	var pix []byte
	switch {
	case x.DType() == tensor.Uint8:
		pix = x.Bytes()
	case x.DType().IsFloat():
		// The fraction is dropped, as PyTorch does; all bytes still survive
		// ToTensor and back. NaN becomes 0.
		pix = make([]byte, x.Len())
		for i, v := range x.Floats() {
			if v *= 255; v > 0 {
				pix[i] = byte(min(v, 255))
			}
		}
	default:
		fail(op, fmt.Errorf("the tensor is %s, want float32, float64, float16, bfloat16 or uint8", x.DType()))
	}
	rect := image.Rect(0, 0, w, h)
	if c == 1 {
		return &image.Gray{Pix: pix, Stride: w, Rect: rect}
	}
	im := image.NewNRGBA(rect)
	for i := range w * h {
		im.Pix[4*i+3] = 255
		for k := range c {
			im.Pix[4*i+k] = pix[k*w*h+i]
		}
	}
	return im
}

// Normalize takes the mean off each channel of a float tensor and divides by the
// standard deviation: one number a channel, or one for all.
// (torchvision.transforms.Normalize)
func Normalize(mean, std []float64) Transform {
	if len(mean) == 0 || len(mean) != len(std) {
		fail("Normalize", fmt.Errorf("%d means and %d standard deviations, want one of each a channel", len(mean), len(std)))
	}
	for i := range mean {
		if s := std[i]; s == 0 || math.IsNaN(s) || math.IsInf(s, 0) || math.IsNaN(mean[i]) || math.IsInf(mean[i], 0) {
			fail("Normalize", fmt.Errorf("mean %v and standard deviation %v at channel %d, want finite numbers, and the deviation not 0", mean[i], s, i))
		}
	}
	return normalize{slices.Clone(mean), slices.Clone(std)}
}

type normalize struct{ mean, std []float64 }

func (n normalize) wantChannels(c int) {
	if len(n.mean) != 1 && len(n.mean) != c {
		fail("Normalize", fmt.Errorf("%d means for a tensor of %d channels, want as many, or one for all", len(n.mean), c))
	}
}

func (n normalize) Apply(s Sample, _ *rand.Rand) Sample {
	x, c, h, w := wantTensor("Normalize", s)
	n.wantChannels(c)
	if !x.DType().IsFloat() {
		fail("Normalize", fmt.Errorf("the tensor is %s, want float32, float64, float16 or bfloat16", x.DType()))
	}
	if x.DType() == tensor.Float64 {
		return Sample{Tensor: tensor.From(normalized(n, x.Float64s(), c), c, h, w)}
	}
	if i := n.vanishes(); i >= 0 {
		fail("Normalize", fmt.Errorf("the standard deviation %v at channel %d is 0 in %s, want one that is not", n.std[i], i, x.DType()))
	}
	return Sample{Tensor: tensor.From(normalized(n, x.Floats(), c), c, h, w).ToDType(x.DType())}
}

// vanishes returns the first standard deviation that is too small for Float32, or
// -1.
func (n normalize) vanishes() int {
	return slices.IndexFunc(n.std, func(s float64) bool { return float32(s) == 0 })
}

func normalized[T float32 | float64](n normalize, v []T, c int) []T {
	size := len(v) / max(c, 1)
	for k := range c {
		m := T(n.mean[k%len(n.mean)])
		d := T(n.std[k%len(n.std)])
		for i := range v[k*size:][:size] {
			v[k*size+i] = (v[k*size+i] - m) / d
		}
	}
	return v
}

// ErasingOpts are the choices of RandomErasing; zero fields mean torchvision's
// defaults.
type ErasingOpts struct {
	Scale  [2]float64 // part of the area that is erased, from and to; default 0.02 to 0.33
	Ratio  [2]float64 // height over width, from and to; default 0.3 to 3.3
	Value  float64    // what is put there
	Random bool       // put normally distributed numbers there instead
}

// RandomErasing overwrites a rectangle of a float tensor with probability p
// (Zhong et al., "Random Erasing Data Augmentation", 2017).
// (torchvision.transforms.RandomErasing)
func RandomErasing(p float64, opts ErasingOpts) Transform {
	const op = "RandomErasing"
	if opts.Scale == [2]float64{} {
		opts.Scale = [2]float64{0.02, 0.33}
	}
	if opts.Ratio == [2]float64{} {
		opts.Ratio = [2]float64{0.3, 3.3}
	}
	if s := opts.Scale; !(s[0] >= 0 && s[0] <= s[1] && s[1] <= 1) {
		fail(op, fmt.Errorf("scale %v, want two numbers from 0 to 1 in order", s))
	}
	if r := opts.Ratio; !(r[0] > 0 && r[0] <= r[1] && r[1] <= math.MaxFloat64) {
		fail(op, fmt.Errorf("ratio %v, want two positive numbers in order", r))
	}
	return randomErasing{wantP(op, p), opts}
}

type randomErasing struct {
	p    float64
	opts ErasingOpts
}

func (e randomErasing) Apply(s Sample, r *rand.Rand) Sample {
	x, c, h, w := wantTensor("RandomErasing", s)
	if !x.DType().IsFloat() {
		fail("RandomErasing", fmt.Errorf("the tensor is %s, want float32, float64, float16 or bfloat16", x.DType()))
	}
	if float(r) >= e.p {
		return s
	}
	top, left, eh, ew := e.draw(h, w, r)
	if eh == 0 || ew == 0 {
		return s
	}
	if x.DType() == tensor.Float64 {
		v := x.Float64s()
		erase(e.opts, v, c, h, w, top, left, eh, ew, r)
		return Sample{Tensor: tensor.From(v, c, h, w)}
	}
	v := x.Floats()
	erase(e.opts, v, c, h, w, top, left, eh, ew, r)
	return Sample{Tensor: tensor.From(v, c, h, w).ToDType(x.DType())}
}

// erase overwrites a rectangle of each of the c planes of h×w in v.
func erase[T float32 | float64](opts ErasingOpts, v []T, c, h, w, top, left, eh, ew int, r *rand.Rand) {
	for k := range c {
		for y := top; y < top+eh; y++ {
			row := v[(k*h+y)*w+left:][:ew]
			for i := range row {
				row[i] = T(opts.Value)
				if opts.Random {
					row[i] = T(normal(r))
				}
			}
		}
	}
}

func normal(r *rand.Rand) float64 {
	if r == nil {
		return rand.NormFloat64()
	}
	return r.NormFloat64()
}

// draw chooses the rectangle. After ten that do not fit it gives up, and nothing
// is erased.
func (e randomErasing) draw(h, w int, r *rand.Rand) (top, left, eh, ew int) {
	for range 10 {
		area := float64(h*w) * uniform(r, e.opts.Scale[0], e.opts.Scale[1])
		ratio := math.Exp(uniform(r, math.Log(e.opts.Ratio[0]), math.Log(e.opts.Ratio[1])))
		high := math.RoundToEven(math.Sqrt(area * ratio))
		wide := math.RoundToEven(math.Sqrt(area / ratio))
		if high < float64(h) && wide < float64(w) { // before they are ints, which have an end
			eh, ew = int(high), int(wide)
			return intN(r, h-eh+1), intN(r, w-ew+1), eh, ew
		}
	}
	return 0, 0, 0, 0
}
