package plots

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"

	"golang.org/x/image/draw"
	xfont "golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"

	"github.com/wick-ml/wick/tensor"
)

// Prediction is an image and what a model says of it.
type Prediction struct {
	Image      image.Image
	Name       string  // of the image: its number, its file; may be empty
	Label      string  // what it shows; empty: not known
	Predicted  string  // what the model says
	Confidence float64 // the probability the model gives it, 0 to 1; NaN: not known
}

// Wrong says whether the prediction differs from a known label.
func (p Prediction) Wrong() bool { return p.Label != "" && p.Label != p.Predicted }

// percent is the confidence as it is written.
func (p Prediction) percent() string {
	if !finite(p.Confidence) {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*p.Confidence)
}

// right describes how many are right, where labels are known.
func right(cells []Prediction) string {
	known, good := 0, 0
	for _, c := range cells {
		if c.Label != "" {
			known++
			if !c.Wrong() {
				good++
			}
		}
	}
	switch {
	case known == 0:
		return ""
	case good == 0:
		return "label, then prediction and confidence"
	}
	return fmt.Sprintf("label, then prediction and confidence; %d of %d right", good, known)
}

// GridOpts are the settings of [Grid]; a zero field stands for its default.
type GridOpts struct {
	Title   string
	Columns int // 5
	Side    int // of the square that each image is fitted into, 128 pixels; 96 at least
}

const (
	gridMargin = 14
	frame      = 4 // around an image
	caption    = 40
)

// cellAt is the square of the i-th image of a grid.
func (o GridOpts) cellAt(i, top int) image.Rectangle {
	x := gridMargin + frame + i%o.Columns*(o.Side+2*frame+gridMargin)
	y := top + frame + i/o.Columns*(o.Side+2*frame+caption+gridMargin)
	return image.Rect(x, y, x+o.Side, y+o.Side)
}

func (o GridOpts) defaults(n int) (_ GridOpts, top int) {
	if o.Columns < 1 {
		o.Columns = 5
	}
	o.Columns = max(1, min(o.Columns, n))
	if o.Side == 0 {
		o.Side = 128
	}
	o.Side = max(o.Side, 96)
	if o.Title != "" {
		return o, 58
	}
	return o, 32
}

// Grid draws images of any size in rows, each with its label, and the prediction
// and its confidence below. Wrong ones have a thick frame and a cross in the
// corner. Texts that are too long lose their middle.
func Grid(cells []Prediction, opts GridOpts) image.Image {
	o, top := opts.defaults(len(cells))
	rows := (len(cells) + o.Columns - 1) / o.Columns
	last := o.cellAt(max(0, rows-1)*o.Columns+o.Columns-1, top)
	sheet := image.NewRGBA(image.Rect(0, 0, max(320, last.Max.X+frame+gridMargin), last.Max.Y+frame+caption+gridMargin/2))
	if len(cells) == 0 {
		sheet = image.NewRGBA(image.Rect(0, 0, 320, top+32))
	}
	draw.Draw(sheet, sheet.Bounds(), image.White, image.Point{}, draw.Src)

	words := newWriter(sheet)
	defer words.close()
	room := sheet.Bounds().Dx() - 2*gridMargin
	if o.Title != "" {
		words.write(words.head, gridMargin, 27, room, o.Title, ink)
	}
	note := right(cells)
	if len(cells) == 0 {
		note = "no images"
	}
	words.write(words.small, gridMargin, top-12, room, note, pale)
	for i, c := range cells {
		at := o.cellAt(i, top)
		paste(sheet, at, c.Image)
		if c.Wrong() {
			border(sheet, at, frame, orange)
			cross(sheet, image.Rect(at.Max.X-20, at.Min.Y, at.Max.X, at.Min.Y+20))
		} else {
			border(sheet, at, 1, color.RGBA{0x99, 0x99, 0x99, 0xff})
		}
		line := at.Max.Y + frame + 14
		left := words.write(words.plain, at.Min.X, line, o.Side, c.Label, ink)
		if name := fit(c.Name, float64(left-8), words.measure(words.small)); name != "" && name != "…" {
			words.write(words.small, at.Max.X-int(words.measure(words.small)(name)+0.5), line, left, name, pale)
		}
		line += 17
		face, shade := words.plain, color.Color(ink)
		if c.Wrong() {
			face, shade = words.bold, rust
		}
		left = o.Side
		if s := c.percent(); s != "" {
			w := int(words.measure(face)(s) + 0.5)
			words.write(face, at.Max.X-w, line, w+1, s, shade)
			left -= w + 6
		}
		words.write(face, at.Min.X, line, left, c.Predicted, shade)
	}
	return sheet
}

// Mistakes returns the places of up to n predictions that differ from their
// labels, the most confident first. The slices have one element an image.
func Mistakes(labels, predictions []int, confidences []float64, n int) []int {
	var wrong []int
	for i, label := range labels {
		if predictions[i] != label {
			wrong = append(wrong, i)
		}
	}
	slices.SortStableFunc(wrong, func(i, j int) int { return cmp.Compare(confidences[j], confidences[i]) })
	return wrong[:min(max(0, n), len(wrong))]
}

// ToImages makes images of a batch [N C H W] (or of one, [C H W]) with one or
// three channels of values 0 to 1. If it was normalized, mean and std (one value a
// channel, as given to transforms.Normalize) bring it back; otherwise they are nil.
func ToImages(x *tensor.Tensor, mean, std []float64) ([]image.Image, error) {
	shape := x.Shape()
	if len(shape) == 3 {
		shape = append(tensor.Shape{1}, shape...)
	}
	if len(shape) != 4 || shape[1] != 1 && shape[1] != 3 {
		return nil, fmt.Errorf("the tensor of images is %v, want [N C H W] or [C H W] with 1 or 3 channels", x.Shape())
	}
	n, channels, h, w := shape[0], shape[1], shape[2], shape[3]
	for _, p := range [][]float64{mean, std} {
		if p != nil && len(p) != channels {
			return nil, fmt.Errorf("mean and std have %d and %d values, want one for each of the %d channels, or nil", len(mean), len(std), channels)
		}
	}
	values := x.Floats()
	out := make([]image.Image, n)
	for i := range out {
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		for p := range h * w {
			for c := range 3 {
				k := min(c, channels-1)
				v := float64(values[(i*channels+k)*h*w+p])
				if std != nil {
					v *= std[k]
				}
				if mean != nil {
					v += mean[k]
				}
				img.Pix[4*p+c] = level(v)
			}
			img.Pix[4*p+3] = 0xff
		}
		out[i] = img
	}
	return out, nil
}

// level is a byte of brightness for a value of 0 to 1; NaN is black.
func level(v float64) byte {
	if !(v > 0) {
		return 0
	}
	return byte(min(255*v+0.5, 255))
}

// paste fits an image into a square. Small ones grow by a whole factor, so that
// their pixels stay squares.
func paste(dst draw.Image, at image.Rectangle, img image.Image) {
	draw.Draw(dst, at, image.NewUniform(color.RGBA{0xf2, 0xf2, 0xf2, 0xff}), image.Point{}, draw.Src)
	if img == nil || img.Bounds().Empty() {
		return
	}
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	scale := float64(at.Dx()) / float64(max(w, h))
	scaler := draw.Scaler(draw.CatmullRom)
	if scale >= 3 {
		scale, scaler = math.Floor(scale), draw.NearestNeighbor
	}
	w, h = max(1, int(float64(w)*scale+0.5)), max(1, int(float64(h)*scale+0.5))
	x, y := at.Min.X+(at.Dx()-w)/2, at.Min.Y+(at.Dy()-h)/2
	scaler.Scale(dst, image.Rect(x, y, x+w, y+h), img, img.Bounds(), draw.Over, nil)
}

// border draws a frame of a width outside a rectangle.
func border(dst draw.Image, r image.Rectangle, width int, c color.Color) {
	o := r.Inset(-width)
	for _, side := range []image.Rectangle{
		{o.Min, image.Pt(o.Max.X, r.Min.Y)}, {image.Pt(o.Min.X, r.Max.Y), o.Max},
		{o.Min, image.Pt(r.Min.X, o.Max.Y)}, {image.Pt(r.Max.X, o.Min.Y), o.Max},
	} {
		draw.Draw(dst, side, image.NewUniform(c), image.Point{}, draw.Src)
	}
}

// cross draws a white cross on the colour of mistakes.
func cross(dst draw.Image, r image.Rectangle) {
	draw.Draw(dst, r, image.NewUniform(orange), image.Point{}, draw.Src)
	in := r.Inset(5)
	for y := in.Min.Y; y < in.Max.Y; y++ {
		for x := in.Min.X; x < in.Max.X; x++ {
			u, v := x-in.Min.X, y-in.Min.Y
			if d, e := u-v, u+v-(in.Dx()-1); max(d, -d) <= 1 || max(e, -e) <= 1 {
				dst.Set(x, y, color.White)
			}
		}
	}
}

// writer puts text on an image.
type writer struct {
	dst                      draw.Image
	head, plain, bold, small xfont.Face
}

func newWriter(dst draw.Image) *writer {
	face := func(s text.Style, size float64) xfont.Face {
		f := font.DefaultCache.Lookup(s.Font, s.Font.Size)
		out, err := opentype.NewFace(f.Face, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: xfont.HintingFull})
		if err != nil {
			panic(err) // the font is part of the program
		}
		return out
	}
	return &writer{dst, face(bold(18, ink), 18), face(sans(13, ink), 13), face(bold(13, ink), 13), face(sans(12, ink), 12)}
}

func (w *writer) close() {
	for _, f := range []xfont.Face{w.head, w.plain, w.bold, w.small} {
		f.Close()
	}
}

func (w *writer) measure(face xfont.Face) func(string) float64 {
	return func(s string) float64 { return float64(xfont.MeasureString(face, s)) / 64 }
}

// write puts one line at a base line, fitted into room pixels, and returns what is
// left of the room.
func (w *writer) write(face xfont.Face, x, y, room int, s string, c color.Color) (left int) {
	s = fit(s, float64(room), w.measure(face))
	d := xfont.Drawer{Dst: w.dst, Src: image.NewUniform(c), Face: face, Dot: fixed.P(x, y)}
	d.DrawString(s)
	return room - int(w.measure(face)(s)+0.5)
}
