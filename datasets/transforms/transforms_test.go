package transforms

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

type stored struct {
	H, W, C int
	Pix     []byte
}

// image returns the image.
func (s stored) image() image.Image {
	r := newRaster(s.W, s.H, map[int]int{1: 1, 3: 4}[s.C])
	for i := range s.W * s.H {
		copy(r.pix[i*r.n:], s.Pix[i*s.C:(i+1)*s.C])
		if r.n == 4 {
			r.pix[4*i+3] = 255
		}
	}
	return r.sample().Image
}

// store is image's inverse.
func store(im image.Image) stored {
	r := rasterOf(im)
	s := stored{H: r.h, W: r.w, C: min(r.n, 3)}
	for i := range r.w * r.h {
		s.Pix = append(s.Pix, r.pix[i*r.n:][:s.C]...)
	}
	return s
}

type reference struct {
	Inputs map[string]stored
	Cases  []struct {
		Op    string
		Args  []float64
		Input string
		Want  stored
	}
	Normalize []byte
}

func torchvision(t testing.TB) reference {
	b, err := os.ReadFile("testdata/torchvision.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref reference
	if err := json.Unmarshal(b, &ref); err != nil {
		t.Fatal(err)
	}
	return ref
}

// onRaster makes one of ColorJitter's steps a transform.
func onRaster(f func(raster, float64) raster, v float64) Transform {
	return Lambda(func(s Sample, _ *rand.Rand) Sample { return f(rasterOf(s.Image), v).sample() })
}

// Images must come out bit for bit as PIL makes them.
func TestTorchvision(t *testing.T) {
	ref := torchvision(t)
	for _, c := range ref.Cases {
		t.Run(fmt.Sprint(c.Op, c.Args, c.Input), func(t *testing.T) {
			var tr Transform
			switch c.Op {
			case "Resize":
				tr = Resize(int(c.Args[0]))
			case "ResizeHW":
				tr = ResizeHW(int(c.Args[0]), int(c.Args[1]))
			case "CenterCrop":
				tr = CenterCrop(int(c.Args[0]))
			case "HorizontalFlip":
				tr = RandomHorizontalFlip(1)
			case "VerticalFlip":
				tr = RandomVerticalFlip(1)
			case "Grayscale":
				tr = Grayscale(int(c.Args[0]))
			case "Brightness":
				tr = onRaster(adjustBrightness, c.Args[0])
			case "Contrast":
				tr = onRaster(adjustContrast, c.Args[0])
			case "Saturation":
				tr = onRaster(adjustSaturation, c.Args[0])
			case "Hue":
				tr = onRaster(adjustHue, c.Args[0])
			default:
				t.Fatalf("unknown transform %s", c.Op)
			}
			in := ref.Inputs[c.Input]
			im := in.image()
			got := store(tr.Apply(Sample{Image: im}, nil).Image)
			if got.H != c.Want.H || got.W != c.Want.W || got.C != c.Want.C {
				t.Fatalf("got %d×%d×%d, want %d×%d×%d", got.H, got.W, got.C, c.Want.H, c.Want.W, c.Want.C)
			}
			wrong, worst := 0, 0
			for i, v := range got.Pix {
				if d := int(v) - int(c.Want.Pix[i]); d != 0 {
					wrong++
					worst = max(worst, d, -d)
				}
			}
			if wrong > 0 {
				t.Errorf("%d of %d bytes differ, by up to %d", wrong, len(got.Pix), worst)
			}
			if !bytes.Equal(store(im).Pix, in.Pix) {
				t.Error("the transform changed its argument")
			}
		})
	}
}

// A ratio far from 1 erases nothing, since no such rectangle fits, as in
// torchvision.
func TestRandomErasingFarRatios(t *testing.T) {
	for _, ratio := range [][2]float64{{1e-300, 1e-300}, {1e300, 1e300}, {5e-324, 5e-324}, {math.MaxFloat64, math.MaxFloat64}} {
		x := RandomErasing(1, ErasingOpts{Ratio: ratio, Value: 7}).Apply(Sample{Tensor: tensor.Ones(3, 8, 8)}, rand.New(rand.NewPCG(1, 2))).Tensor
		if got := x.Sum().Item(); got != 192 {
			t.Errorf("ratio %v: the sum is %v, want 192", ratio, got)
		}
	}
}

// Transforms of tensors keep the type and its numbers.
func TestTensorTypes(t *testing.T) {
	whole := tensor.From([]int64{1<<60 + 1, 2, 3, 4}, 1, 2, 2)
	if got := RandomHorizontalFlip(1).Apply(Sample{Tensor: whole}, nil).Tensor.Ints(); !slices.Equal(got, []int64{2, 1<<60 + 1, 4, 3}) {
		t.Errorf("int64: got %v", got)
	}
	double := tensor.From([]float64{1e-300, 2, 3, 0.1}, 1, 2, 2)
	if got := CenterCrop(1).Apply(Sample{Tensor: double}, nil).Tensor; got.DType() != tensor.Float64 || got.Item() != 1e-300 {
		t.Errorf("float64: got %v", got)
	}
	for _, dt := range []tensor.DType{tensor.Float16, tensor.BFloat16, tensor.Bool} {
		x := tensor.From([]float32{0, 1, 0, 1}, 1, 2, 2).ToDType(dt)
		if got := RandomVerticalFlip(1).Apply(Sample{Tensor: x}, nil).Tensor; got.DType() != dt || !slices.Equal(got.ToDType(tensor.Float32).Floats(), []float32{0, 1, 0, 1}) {
			t.Errorf("%s: got %v", dt, got)
		}
		if !dt.IsFloat() {
			continue
		}
		n := Normalize([]float64{0.5}, []float64{0.25}).Apply(Sample{Tensor: x}, nil).Tensor
		if n.DType() != dt || !slices.Equal(n.Floats(), []float32{-2, 2, -2, 2}) {
			t.Errorf("Normalize of %s: got %v", dt, n)
		}
		if e := RandomErasing(1, ErasingOpts{}).Apply(Sample{Tensor: x}, nil).Tensor; e.DType() != dt {
			t.Errorf("RandomErasing of %s: got %s", dt, e.DType())
		}
	}
}

// Colours stay under transparency, where they stand in the image.
func TestToTensorClearColours(t *testing.T) {
	rect := image.Rect(1, 1, 2, 2)
	deep := image.NewNRGBA64(rect)
	deep.SetNRGBA64(1, 1, color.NRGBA64{51400, 25700, 12850, 0})
	nearly := image.NewNRGBA64(rect)
	nearly.SetNRGBA64(1, 1, color.NRGBA64{51400, 25700, 12850, 256})
	flat := image.NewNRGBA(rect)
	flat.SetNRGBA(1, 1, color.NRGBA{200, 100, 50, 0})
	table := image.NewPaletted(rect, color.Palette{color.NRGBA{200, 100, 50, 0}})
	deepTable := image.NewPaletted(rect, color.Palette{color.NRGBA64{51400, 25700, 12850, 0}})
	video := image.NewNYCbCrA(rect, image.YCbCrSubsampleRatio444)
	video.Y[0], video.Cb[0], video.Cr[0] = color.RGBToYCbCr(200, 100, 50)
	ink := image.NewCMYK(rect)
	ink.SetCMYK(1, 1, color.CMYK{95, 130, 194, 217}) // PIL makes (24, 19, 9) of it
	for name, c := range map[string]struct {
		im   image.Image
		want [3]float64
	}{
		"NRGBA64": {deep, [3]float64{200, 100, 50}}, "NRGBA64, nearly clear": {nearly, [3]float64{200, 100, 50}}, "NRGBA": {flat, [3]float64{200, 100, 50}},
		"palette": {table, [3]float64{200, 100, 50}}, "palette of 16 bits": {deepTable, [3]float64{200, 100, 50}},
		"NYCbCrA": {video, [3]float64{200, 100, 50}}, "CMYK": {ink, [3]float64{24, 19, 9}},
		"another type": {struct{ image.Image }{deep}, [3]float64{200, 100, 50}},
	} {
		x := ToTensor().Apply(Sample{Image: c.im}, nil).Tensor
		for k, want := range c.want {
			if got := float64(x.Floats()[k]) * 255; math.Abs(got-want) > 0.01 && !(name == "NYCbCrA" && math.Abs(got-want) < 1.01) {
				t.Errorf("%s: channel %d is %v, want %v", name, k, got, want)
			}
		}
	}
}

func TestNormalizeTorchvision(t *testing.T) {
	ref := torchvision(t)
	tr := Compose(ToTensor(), Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26}))
	x := tr.Apply(Sample{Image: ref.Inputs["rgb"].image()}, nil).Tensor
	if want := (tensor.Shape{3, 23, 17}); !x.Shape().Equal(want) {
		t.Fatalf("got %v, want %v", x.Shape(), want)
	}
	for i, got := range x.Floats() {
		want := math.Float32frombits(binary.LittleEndian.Uint32(ref.Normalize[4*i:]))
		if got != want {
			t.Fatalf("element %d: got %v, want %v", i, got, want)
		}
	}
}

// Every kind of image gives the same numbers.
func TestToTensorImages(t *testing.T) {
	const w, h = 5, 4
	rect := image.Rect(2, 3, 2+w, 3+h) // not at the origin
	nrgba, rgba, gray, gray16 := image.NewNRGBA(rect), image.NewRGBA(rect), image.NewGray(rect), image.NewGray16(rect)
	nrgba64 := image.NewNRGBA64(rect)
	pal := image.NewPaletted(rect, color.Palette{color.NRGBA{10, 20, 30, 255}, color.NRGBA{40, 50, 60, 255}})
	halfPal := image.NewPaletted(rect, color.Palette{color.NRGBA{10, 20, 30, 255}, color.NRGBA{255, 0, 0, 128}})
	for y := 3; y < 3+h; y++ {
		for x := 2; x < 2+w; x++ {
			c := color.NRGBA{uint8(10 * x), uint8(20 * y), uint8(x * y), 255}
			nrgba.SetNRGBA(x, y, c)
			nrgba64.Set(x, y, c)
			rgba.Set(x, y, c)
			gray.SetGray(x, y, color.Gray{uint8(x * 10)})
			gray16.SetGray16(x, y, color.Gray16{uint16(x*10)<<8 | 0xff})
			pal.SetColorIndex(x, y, uint8(x&1))
			halfPal.SetColorIndex(x, y, uint8(x&1))
		}
	}
	sub := image.NewNRGBA(image.Rect(0, 0, 20, 20))
	for y := range h {
		for x := range w {
			sub.SetNRGBA(7+x, 8+y, nrgba.NRGBAAt(2+x, 3+y))
		}
	}
	clear := image.NewNRGBA(rect)
	copy(clear.Pix, nrgba.Pix)
	clear.Pix[3] = 7
	for _, tt := range []struct {
		name string
		im   image.Image
		want func(c, y, x int) int
	}{
		{"nrgba", nrgba, nil}, {"nrgba64", nrgba64, nil}, {"rgba", rgba, nil},
		{"part of an image", sub.SubImage(image.Rect(7, 8, 7+w, 8+h)), nil},
		{"alpha is dropped", clear, nil},
		{"gray", gray, func(c, y, x int) int { return 10 * (x + 2) }},
		{"gray16", gray16, func(c, y, x int) int { return 10 * (x + 2) }},
		{"palette", pal, func(c, y, x int) int { return 10*(c+1) + 30*(x&1) }},
		{"half clear palette", halfPal, func(c, y, x int) int {
			return []int{10*(c+1) + 0, []int{255, 0, 0}[c]}[x&1]
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == nil {
				want = func(c, y, x int) int { return []int{10 * (x + 2), 20 * (y + 3), (x + 2) * (y + 3)}[c] }
			}
			x := ToTensor().Apply(Sample{Image: tt.im}, nil).Tensor
			c := x.Size(0)
			for i, got := range x.Floats() {
				if v := float32(want(i/(w*h), i/w%h, i%w)) / 255; got != v || c != 3 && tt.want == nil {
					t.Fatalf("element %d of %v: got %v, want %v", i, x.Shape(), got*255, v*255)
				}
			}
		})
	}
}

func TestToPILImage(t *testing.T) {
	all := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range all.Pix {
		all.Pix[i] = byte(i)
	}
	toPILImage := ToPILImage()
	back := toPILImage(ToTensor().Apply(Sample{Image: all}, nil).Tensor)
	if g, ok := back.(*image.Gray); !ok || !bytes.Equal(g.Pix, all.Pix) {
		t.Errorf("all bytes through ToTensor and back: got %v", back)
	}
	in := torchvision(t).Inputs["rgb"]
	x := ToTensor().Apply(Sample{Image: in.image()}, nil)
	if got := store(Compose(toPILImage).Apply(x, nil).Image); !bytes.Equal(got.Pix, in.Pix) {
		t.Error("an RGB image through ToTensor and back differs")
	}
	if got := toPILImage(x.Tensor.ToDType(tensor.Float64)).At(3, 2); got != in.image().At(3, 2) {
		t.Errorf("float64: got %v, want %v", got, in.image().At(3, 2))
	}
	im := toPILImage(tensor.From([]float64{-1, 0.5, 2, math.NaN()}, 2, 2)).(*image.Gray)
	if want := []byte{0, 127, 255, 0}; !bytes.Equal(im.Pix, want) {
		t.Errorf("numbers outside 0 to 1: got %v, want %v", im.Pix, want)
	}
	rgba := toPILImage(tensor.From([]uint8{1, 2, 3, 4}, 4, 1, 1))
	if got, want := rgba.At(0, 0), (color.NRGBA{1, 2, 3, 4}); got != want {
		t.Errorf("four channels: got %v, want %v", got, want)
	}
}

// count returns how often f is true in n draws.
func count(n int, f func(r *rand.Rand) bool) int {
	r := rand.New(rand.NewPCG(1, 2))
	k := 0
	for range n {
		if f(r) {
			k++
		}
	}
	return k
}

func near(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if sd := math.Sqrt(float64(n) * p * (1 - p)); math.Abs(float64(got)-float64(n)*p) > 5*sd+1e-9 {
		t.Errorf("%s: got %d of %d, want a part of %v", what, got, n, p)
	}
}

func TestRandomFlip(t *testing.T) {
	im := stored{1, 2, 1, []byte{1, 2}}.image()
	for _, p := range []float64{0, 0.3, 0.5, 1} {
		got := count(2000, func(r *rand.Rand) bool {
			return store(RandomHorizontalFlip(p).Apply(Sample{Image: im}, r).Image).Pix[0] == 2
		})
		near(t, fmt.Sprint("flips with p = ", p), got, 2000, p)
	}
}

func TestRandomCrop(t *testing.T) {
	// An image of 4×4 with numbers from 1, padding 1: nine crops of 4×4, of
	// which the middle one is the image itself.
	in := stored{H: 4, W: 4, C: 1}
	for i := range 16 {
		in.Pix = append(in.Pix, byte(i+1))
	}
	seen := map[string]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 9000 {
		out := store(RandomCrop(4, 1).Apply(Sample{Image: in.image()}, r).Image)
		seen[string(out.Pix)]++
	}
	if len(seen) != 9 {
		t.Fatalf("got %d different crops, want 9", len(seen))
	}
	for crop, n := range seen {
		near(t, fmt.Sprintf("crop %v", []byte(crop)), n, 9000, 1.0/9)
	}
	if seen["\x00\x00\x00\x00\x00\x01\x02\x03\x00\x05\x06\x07\x00\x09\x0a\x0b"] == 0 {
		t.Error("the crop at the top left corner is missing")
	}
}

// Tensors are moved as images are.
func TestGeometryOfTensors(t *testing.T) {
	im := torchvision(t).Inputs["rgb"].image()
	for _, tt := range []struct {
		name string
		tr   Transform
	}{
		{"horizontal flip", RandomHorizontalFlip(1)},
		{"vertical flip", RandomVerticalFlip(1)},
		{"crop", RandomCrop(15, 4)},
		{"large crop", RandomCrop(25, 4)},
		{"center crop", CenterCrop(20)},
	} {
		for seed := range uint64(5) {
			a := Compose(tt.tr, ToTensor()).Apply(Sample{Image: im}, rand.New(rand.NewPCG(seed, 0))).Tensor
			x := ToTensor().Apply(Sample{Image: im}, nil)
			b := tt.tr.Apply(x, rand.New(rand.NewPCG(seed, 0))).Tensor
			if !a.Shape().Equal(b.Shape()) || !slices.Equal(a.Floats(), b.Floats()) {
				t.Errorf("%s, seed %d: a tensor is not moved as the image is", tt.name, seed)
			}
			u := tt.tr.Apply(Sample{Tensor: x.Tensor.MulScalar(255).ToDType(tensor.Uint8)}, rand.New(rand.NewPCG(seed, 0))).Tensor
			if u.DType() != tensor.Uint8 || !a.Shape().Equal(u.Shape()) {
				t.Errorf("%s: uint8 gives %s %v", tt.name, u.DType(), u.Shape())
			}
		}
	}
}

func TestColorJitter(t *testing.T) {
	// A gray pixel of 100: brightness alone multiplies it by 0.5 to 1.5, evenly.
	im := stored{1, 1, 1, []byte{100}}.image()
	low := count(4000, func(r *rand.Rand) bool {
		v := store(ColorJitter(0.5, 0, 0, 0).Apply(Sample{Image: im}, r).Image).Pix[0]
		if v < 50 || v > 150 {
			t.Fatalf("got %d, want 50 to 150", v)
		}
		return v < 75
	})
	near(t, "factors below 0.75", low, 4000, 0.25)

	in := torchvision(t).Inputs["rgb"]
	same := ColorJitter(0, 0, 0, 0).Apply(Sample{Image: in.image()}, nil)
	if !bytes.Equal(store(same.Image).Pix, in.Pix) {
		t.Error("a jitter of nothing changes the image")
	}
	a := store(ColorJitter(0.4, 0.4, 0.4, 0.1).Apply(Sample{Image: in.image()}, rand.New(rand.NewPCG(1, 0))).Image)
	b := store(ColorJitter(0.4, 0.4, 0.4, 0.1).Apply(Sample{Image: in.image()}, rand.New(rand.NewPCG(1, 0))).Image)
	if !bytes.Equal(a.Pix, b.Pix) || bytes.Equal(a.Pix, in.Pix) {
		t.Error("want the same changes from the same seed")
	}
}

func TestRandomErasing(t *testing.T) {
	x := tensor.Ones(3, 32, 40)
	erased := 0
	areas := 0.0
	n := count(2000, func(r *rand.Rand) bool {
		out := RandomErasing(0.7, ErasingOpts{Value: 5}).Apply(Sample{Tensor: x}, r).Tensor.Floats()
		fives := 0
		for i, v := range out {
			if v != 1 && v != 5 {
				t.Fatalf("got %v, want 1 or 5", v)
			}
			if v != out[i%(32*40)] {
				t.Fatal("the channels are erased differently")
			}
			if v == 5 {
				fives++
			}
		}
		if fives == 0 {
			return false
		}
		erased++
		area := float64(fives) / float64(len(out))
		areas += area
		if area < 0.01 || area > 0.36 {
			t.Errorf("erased %v of the area, want 0.02 to 0.33", area)
		}
		return true
	})
	near(t, "erasings", n, 2000, 0.7)
	if mean := areas / float64(erased); math.Abs(mean-0.175) > 0.01 {
		t.Errorf("mean area %v, want about 0.175", mean)
	}
	noise := RandomErasing(1, ErasingOpts{Random: true}).Apply(Sample{Tensor: tensor.Ones(1, 16, 16)}, rand.New(rand.NewPCG(3, 0))).Tensor.Floats()
	values := map[float32]bool{}
	for _, v := range noise {
		values[v] = true
	}
	if len(values) < 5 {
		t.Errorf("got %d different values, want noise", len(values))
	}
	if slices.ContainsFunc(x.Floats(), func(v float32) bool { return v != 1 }) {
		t.Error("the argument was changed")
	}
}

func TestErrors(t *testing.T) {
	im := Sample{Image: image.NewGray(image.Rect(0, 0, 8, 6))}
	x := Sample{Tensor: tensor.Ones(3, 8, 8)}
	for _, tt := range []struct {
		name string
		f    func()
		want string
	}{
		{"probability", func() { RandomHorizontalFlip(1.5) }, "probability of 1.5"},
		{"crop too large", func() { RandomCrop(9, 1).Apply(im, nil) }, "crop of 9×9 from an image of 6×8"},
		{"normalize an image", func() { Normalize([]float64{0}, []float64{1}).Apply(im, nil) }, "put Normalize behind ToTensor"},
		{"resize a tensor", func() { Resize(3).Apply(x, nil) }, "put Resize before ToTensor"},
		{"channels", func() { Normalize([]float64{0, 0}, []float64{1, 1}).Apply(x, nil) }, "2 means for a tensor of 3 channels"},
		{"std", func() { Normalize([]float64{0}, []float64{0}) }, "standard deviation 0 at channel 0, want finite numbers, and the deviation not 0"},
		{"std NaN", func() { Normalize([]float64{0, 0}, []float64{1, math.NaN()}) }, "standard deviation NaN at channel 1"},
		{"mean Inf", func() { Normalize([]float64{math.Inf(-1)}, []float64{1}) }, "mean -Inf"},
		{"std 0 in float32", func() { Normalize([]float64{0}, []float64{1e-60}).Apply(x, nil) }, "1e-60 at channel 0 is 0 in float32"},
		{"normalize whole numbers", func() {
			Normalize([]float64{0}, []float64{1}).Apply(Sample{Tensor: x.Tensor.ToDType(tensor.Int64)}, nil)
		}, "the tensor is int64, want float32, float64, float16 or bfloat16"},
		{"probability NaN", func() { RandomErasing(math.NaN(), ErasingOpts{}) }, "probability of NaN"},
		{"probability below 0", func() { RandomVerticalFlip(-0.1) }, "probability of -0.1"},
		{"huge center crop", func() { CenterCrop(math.MaxInt32) }, "CenterCrop: an image of 2147483647×2147483647"},
		{"largest center crop", func() { CenterCrop(math.MaxInt) }, "want at least 1×1 and at most 178956970 in all"},
		{"center crop of 0", func() { CenterCrop(0) }, "CenterCrop: an image of 0×0"},
		{"negative center crop", func() { CenterCrop(-1) }, "CenterCrop: an image of -1×-1"},
		{"huge crop", func() { RandomCrop(math.MaxInt, 0) }, "RandomCrop: an image of"},
		{"crop of 0", func() { RandomCrop(0, 1) }, "RandomCrop: an image of 0×0"},
		{"huge padding", func() { RandomCrop(3, math.MaxInt) }, "want 0 to 178956970"},
		{"negative padding", func() { RandomCrop(3, -1) }, "padding -1, want 0 to 178956970"},
		{"huge resize", func() { Resize(math.MaxInt32) }, "Resize: an image of 2147483647×2147483647"},
		{"resize to 0", func() { Resize(0) }, "Resize: an image of 0×0"},
		{"huge resize of a thin image", func() { Resize(5000).Apply(Sample{Image: image.NewGray(image.Rect(0, 0, 1000, 1))}, nil) }, "Resize: an image of 5000×5000000 pixels"},
		{"resize to too much", func() { ResizeHW(1<<20, 1<<20) }, "ResizeHW: an image of 1048576×1048576"},
		{"resize to a product of 0", func() { ResizeHW(math.MaxInt/2+1, 2) }, "ResizeHW: an image of"},
		{"resize to nothing", func() { ResizeHW(3, -1) }, "ResizeHW: an image of 3×-1"},
		{"no end", func() { ToTensor().Apply(Sample{Image: image.NewUniform(color.Black)}, nil) }, "ToTensor: an image of 2000000000×2000000000"},
		{"erasing NaN", func() { RandomErasing(1, ErasingOpts{Scale: [2]float64{math.NaN(), 1}}) }, "scale [NaN 1]"},
		{"erasing backwards", func() { RandomErasing(1, ErasingOpts{Scale: [2]float64{0.5, 0.1}}) }, "scale [0.5 0.1], want two numbers from 0 to 1 in order"},
		{"erasing ratio backwards", func() { RandomErasing(1, ErasingOpts{Ratio: [2]float64{3, 0.3}}) }, "ratio [3 0.3], want two positive numbers in order"},
		{"erasing ratio below 0", func() { RandomErasing(1, ErasingOpts{Ratio: [2]float64{-1, 1}}) }, "ratio [-1 1]"},
		{"erasing ratio NaN", func() { RandomErasing(1, ErasingOpts{Ratio: [2]float64{1, math.NaN()}}) }, "ratio [1 NaN]"},
		{"erasing ratio Inf", func() { RandomErasing(1, ErasingOpts{Ratio: [2]float64{1, math.Inf(1)}}) }, "ratio [1 +Inf]"},
		{"erase whole numbers", func() { RandomErasing(1, ErasingOpts{}).Apply(Sample{Tensor: x.Tensor.ToDType(tensor.Uint8)}, nil) }, "the tensor is uint8, want float32, float64, float16 or bfloat16"},
		{"jitter NaN", func() { ColorJitter(0, math.NaN(), 0, 0) }, "contrast NaN"},
		{"jitter Inf", func() { ColorJitter(math.Inf(1), 0, 0, 0) }, "brightness +Inf"},
		{"jitter below 0", func() { ColorJitter(0, 0, -1, 0) }, "saturation -1"},
		{"hue NaN", func() { ColorJitter(0, 0, 0, math.NaN()) }, "hue NaN"},
		{"nil in a chain", func() { Compose(ToTensor(), nil) }, "Compose: transform 1 of 2 is nil"},
		{"nil function", func() { Lambda(nil) }, "Lambda: the function is nil"},
		{"nil tensor", func() { ToPILImage()(nil) }, "the tensor is nil"},
		{"lengths", func() { Normalize([]float64{0}, nil) }, "1 means and 0 standard deviations"},
		{"empty sample", func() { ToTensor().Apply(Sample{}, nil) }, "the sample is empty"},
		{"not an image", func() { ToPILImage()(tensor.Ones(2, 3, 3)) }, "want [height width]"},
		{"hue", func() { ColorJitter(0, 0, 0, 0.6) }, "the hue at most 0.5"},
		{"gray channels", func() { Grayscale(2) }, "2 channels, want 1 or 3"},
		{"erasing", func() { RandomErasing(1, ErasingOpts{Scale: [2]float64{0.5, 2}}) }, "scale [0.5 2]"},
		{"batch", func() { RandomErasing(1, ErasingOpts{}).Apply(Sample{Tensor: tensor.Ones(2, 3, 4, 4)}, nil) }, "want [channels height width]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tensor.Try(tt.f)
			var e *tensor.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a *tensor.Error with %q", err, tt.want)
			}
		})
	}
}

// The one pass gives what the chain gives, bit for bit, from the same random
// numbers.
func TestFuse(t *testing.T) {
	norm := Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26})
	flips := []Transform{RandomHorizontalFlip(0.5), RandomVerticalFlip(0.5)}
	for _, tt := range []struct {
		name string
		tr   Transform
		c    int
	}{
		{"nil", nil, 3},
		{"tutorial", Compose(flips[0], ToTensor()), 3},
		{"usual", Compose(RandomCrop(13, 4), flips[0], ToTensor(), norm), 3},
		{"gray", Compose(flips[0], RandomCrop(13, 4), ToTensor(), Normalize([]float64{0.5}, []float64{0.5})), 1},
		{"crop of a crop", Compose(flips[0], RandomCrop(7, 3), flips[1], RandomCrop(9, 4), flips[0], ToTensor(), norm), 3},
		{"center", Compose(flips[1], CenterCrop(20), flips[0], RandomCrop(6, 0), Compose(flips[0], ToTensor()), norm), 3},
		{"mostly padding", Compose(CenterCrop(1), RandomCrop(9, 9), flips[0], RandomCrop(5, 0), ToTensor(), norm), 3},
		{"erasing", Compose(flips[0], ToTensor(), norm, RandomErasing(0.7, ErasingOpts{Value: 3}), RandomErasing(0.5, ErasingOpts{Random: true})), 3},
		{"normalized twice", Compose(ToTensor(), norm, norm, ToTensor()), 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const h, w = 11, 14
			r := rand.New(rand.NewPCG(5, 6))
			src := make([]byte, tt.c*h*w)
			for i := range src {
				src[i] = byte(r.UintN(256))
			}
			in := stored{H: h, W: w, C: tt.c}
			for i := range h * w {
				for k := range tt.c {
					in.Pix = append(in.Pix, src[k*h*w+i])
				}
			}
			f, ok := Fuse(tt.tr, tt.c, h, w)
			if !ok {
				t.Fatal("not fused")
			}
			c, oh, ow := f.Shape()
			chain := tt.tr
			if chain == nil {
				chain = ToTensor()
			}
			for seed := range uint64(200) {
				a, b := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 0))
				got := make([]float32, c*oh*ow)
				for i := range got {
					got[i] = -77
				}
				f.Run(got, src, a)
				want := chain.Apply(Sample{Image: in.image()}, b).Tensor
				if !want.Shape().Equal(tensor.Shape{c, oh, ow}) {
					t.Fatalf("got shape %v, want %v", []int{c, oh, ow}, want.Shape())
				}
				if !slices.Equal(got, want.Floats()) {
					t.Fatalf("seed %d: the numbers differ", seed)
				}
				if a.Uint64() != b.Uint64() {
					t.Fatal("the random numbers drawn differ in number")
				}
			}
		})
	}
	for _, tr := range []Transform{
		Compose(Resize(8), ToTensor()), Compose(RandomHorizontalFlip(0.5)), Compose(ToTensor(), RandomHorizontalFlip(0.5)),
		Compose(RandomCrop(99, 1), ToTensor()), Compose(ToTensor(), RandomErasing(1, ErasingOpts{}), norm), RandomErasing(1, ErasingOpts{}), Compose(norm, ToTensor()), Lambda(ToTensor().Apply),
		Compose(ToTensor(), Normalize([]float64{0, 0}, []float64{1, 1})),
	} {
		if _, ok := Fuse(tr, 3, 11, 14); ok {
			t.Errorf("%#v was fused", tr)
		}
	}
}

// Images of any size, of which only what is needed is decoded, come out as the
// chain makes them, from the same random numbers.
func TestFuseImages(t *testing.T) {
	norm := Normalize([]float64{0.49, 0.48, 0.45}, []float64{0.25, 0.24, 0.26})
	flips := []Transform{RandomHorizontalFlip(0.5), RandomVerticalFlip(0.5)}
	for _, tt := range []struct {
		name string
		tr   Transform
	}{
		{"evaluation", Compose(Resize(16), CenterCrop(14), ToTensor(), norm)},
		{"training", Compose(Resize(18), RandomCrop(14, 0), flips[0], ToTensor(), norm, RandomErasing(0.5, ErasingOpts{}))},
		{"both sizes", Compose(ResizeHW(9, 23), flips[1], flips[0], ToTensor())},
		{"padding", Compose(Resize(5), RandomCrop(9, 6), flips[0], CenterCrop(20), flips[1], ToTensor(), norm)},
		{"without Resize", Compose(CenterCrop(12), flips[0], RandomCrop(8, 0), ToTensor())},
		{"nothing seen", Compose(CenterCrop(1), RandomCrop(1, 3), ToTensor(), norm)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, ok := FuseImages(tt.tr)
			if !ok {
				t.Fatal("not fused")
			}
			c, h, w := f.Shape()
			r := rand.New(rand.NewPCG(7, 8))
			for seed := range uint64(300) {
				src := newRaster(1+r.IntN(70), 1+r.IntN(70), []int{1, 4}[r.IntN(2)])
				for i := range src.pix {
					src.pix[i] = byte(r.UintN(256)) | byte(i%src.n/3*255)
				}
				p := Picture{W: src.w, H: src.h, Part: func(need image.Rectangle) (image.Image, image.Point, error) {
					whole := image.Rect(0, 0, src.w, src.h)
					if need.Empty() || !need.In(whole) {
						t.Fatalf("the part %v of an image of %v", need, whole)
					}
					if src.n == 1 {
						im := src.sample().Image.(*image.Gray)
						return im.SubImage(need), need.Min, nil
					}
					im := src.sample().Image.(*image.NRGBA)
					if seed%3 == 0 {
						return im, image.Point{}, nil
					}
					return im.SubImage(need), need.Min, nil
				}}
				a, b := rand.New(rand.NewPCG(seed, 0)), rand.New(rand.NewPCG(seed, 0))
				got := make([]float32, c*h*w)
				for i := range got {
					got[i] = -77
				}
				if err := f.RunImage(got, p, a); err != nil {
					t.Fatal(err)
				}
				colour := src
				if src.n == 1 {
					colour = newRaster(src.w, src.h, 4)
					for i, v := range src.pix {
						copy(colour.pix[4*i:], []byte{v, v, v, 255})
					}
				}
				want := tt.tr.Apply(colour.sample(), b).Tensor
				if !want.Shape().Equal(tensor.Shape{c, h, w}) || !slices.Equal(got, want.Floats()) {
					t.Fatalf("seed %d, %d×%d: the numbers differ", seed, src.h, src.w)
				}
				if a.Uint64() != b.Uint64() {
					t.Fatal("the random numbers drawn differ in number")
				}
			}
		})
	}
	for _, tr := range []Transform{
		nil, ToTensor(), Compose(Resize(8), ToTensor()), Compose(Resize(8), CenterCrop(8)), Compose(CenterCrop(9), Resize(8), CenterCrop(8), ToTensor()),
		Compose(Resize(8), Resize(9), CenterCrop(8), ToTensor()), Compose(Resize(8), CenterCrop(8), ToTensor(), Grayscale(1)), Compose(ColorJitter(1, 0, 0, 0), CenterCrop(8), ToTensor()),
	} {
		if _, ok := FuseImages(tr); ok {
			t.Errorf("%#v was fused", tr)
		}
	}
	f, _ := FuseImages(Compose(RandomCrop(9, 1), ToTensor()))
	err := tensor.Try(func() { t.Error(f.RunImage(make([]float32, 243), Picture{W: 8, H: 6}, nil)) })
	if err == nil || !strings.Contains(err.Error(), "crop of 9×9 from an image of 6×8") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkFused(b *testing.B) {
	f, _ := Fuse(Compose(RandomHorizontalFlip(0.5), ToTensor()), 3, 32, 32)
	src, dst := make([]byte, 3072), make([]float32, 3072)
	r := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		f.Run(dst, src, r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
}

func ExampleCompose() {
	augment := Compose(RandomCrop(32, 4), RandomHorizontalFlip(0.5), ToTensor())
	picture := image.NewNRGBA(image.Rect(0, 0, 32, 32))
	s := augment.Apply(Sample{Image: picture}, rand.New(rand.NewPCG(1, 2)))
	fmt.Println(s.Tensor.Shape(), s.Tensor.DType())
	// Output: [3 32 32] float32
}

func ExampleToPILImage() {
	toPILImage := ToPILImage()
	img := toPILImage(tensor.From([]float32{0, 0.5, 1, 0}, 1, 2, 2))
	fmt.Println(img.Bounds(), img.At(0, 1))
	// Output: (0,0)-(2,2) {255}
}
