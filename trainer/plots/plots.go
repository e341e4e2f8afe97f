// Package plots draws what a person wants to see of a training run: curves of loss
// and accuracy, the comparison of several runs, test images with their
// predictions, the confusion matrix, the filters of the first layer, and a page,
// report.html, with all of them.
//
// It takes plain values and knows nothing of how they came about, so that a loop
// written by hand can use it:
//
//	epochs = append(epochs, plots.Epoch{Epoch: epoch, TrainLoss: …, TestLoss: …})
//	err := plots.Loss(epochs).Save("logs/run/loss.svg")
//
// Line drawings are a [Figure], which becomes PNG or SVG; what is made of images
// ([Grid], [Filters]) is an image.Image, which [SavePNG] writes. A file is there
// whole or as it was before, so that a viewer that reloads it never sees half a
// image.
//
// Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people
// with any kind of colour vision can tell apart; what matters is told by shape or
// words too.
package plots

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/wick-ml/wick/internal/atomicfile"
)

var (
	ink    = color.RGBA{0x22, 0x22, 0x22, 0xff}
	pale   = color.RGBA{0x66, 0x66, 0x66, 0xff} // of what is said in passing
	faint  = color.RGBA{0xe2, 0xe2, 0xe2, 0xff} // of grid lines
	blue   = color.RGBA{0x00, 0x72, 0xb2, 0xff}
	orange = color.RGBA{0xd5, 0x5e, 0x00, 0xff} // Okabe and Ito's vermillion
	rust   = color.RGBA{0xb0, 0x48, 0x00, 0xff} // the same, dark enough for text on white

	palette = []color.RGBA{
		blue, orange,
		{0x00, 0x9e, 0x73, 0xff}, // green
		{0xcc, 0x79, 0xa7, 0xff}, // pink
		{0xe6, 0x9f, 0x00, 0xff}, // yellow orange
		{0x56, 0xb4, 0xe9, 0xff}, // sky blue
		{0x00, 0x00, 0x00, 0xff},
	}
)

// Figure is a line drawing. Its methods may be called from several goroutines.
type Figure struct {
	title         string
	width, height int // in pixels
	draw          func(p pen)
	compact       func() *Figure // lays the same out in less room, with the same letters; nil: it has one size
}

// Title returns the figure's heading.
func (f *Figure) Title() string { return f.title }

// Image draws the figure, at 96 dots an inch.
func (f *Figure) Image() image.Image {
	c := vgimg.NewWith(vgimg.UseWH(px(float64(f.width)), px(float64(f.height))), vgimg.UseDPI(96))
	f.draw(newPen(c, f))
	return c.Image()
}

// SVG returns the figure as an SVG document, which may also stand inside HTML.
// Text stays text.
func (f *Figure) SVG() []byte {
	c := vgsvg.New(px(float64(f.width)), px(float64(f.height)))
	f.draw(newPen(c, f))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	// The canvas begins with an XML declaration, which must not stand inside HTML,
	// and its svg element has neither a name for screen readers nor a fall-back for
	// machines without the font.
	_, body, _ := bytes.Cut(b.Bytes(), []byte("<svg"))
	_, body, _ = bytes.Cut(body, []byte(">"))
	var name bytes.Buffer
	xml.EscapeText(&name, []byte(clean(f.title)))
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="%d" height="%d" viewBox="0 0 %g %g" role="img" aria-label="%s">`,
		f.width, f.height, px(float64(f.width)).Points(), px(float64(f.height)).Points(), name.Bytes())
	body = bytes.ReplaceAll(body, []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
	return append([]byte(head), body...)
}

// Save writes the figure to a file whose name ends in .png or .svg.
func (f *Figure) Save(path string) error {
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".png":
		return SavePNG(path, f.Image())
	case ".svg":
		return save(path, func(w io.Writer) error {
			_, err := w.Write(append([]byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), f.SVG()...))
			return err
		})
	default:
		return fmt.Errorf("cannot draw %s: the name ends in %q, want .png or .svg", path, ext)
	}
}

// SavePNG writes an image to a file in PNG format.
func SavePNG(path string, img image.Image) error {
	return save(path, func(w io.Writer) error { return encodePNG(w, img) })
}

func encodePNG(w io.Writer, img image.Image) error {
	// Drawings are mostly white, so the fast setting costs little room.
	return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, img)
}

func save(path string, write func(w io.Writer) error) error {
	if err := atomicfile.Write(path, write); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// px is a length of n pixels at 96 dots an inch.
func px(n float64) vg.Length { return vg.Length(n) * vg.Inch / 96 }

// pen draws in pixels from the upper left corner.
type pen struct {
	c      draw.Canvas
	height float64
}

func newPen(c vg.CanvasSizer, f *Figure) pen {
	p := pen{draw.New(c), float64(f.height)}
	p.rect(0, 0, float64(f.width), float64(f.height), color.White)
	return p
}

func (p pen) point(x, y float64) vg.Point { return vg.Point{X: px(x), Y: px(p.height - y)} }

func (p pen) rect(x, y, w, h float64, fill color.Color) {
	p.c.FillPolygon(fill, []vg.Point{p.point(x, y), p.point(x+w, y), p.point(x+w, y+h), p.point(x, y+h)})
}

// at is how a text stands to the point that it is given.
type at struct {
	x draw.XAlignment
	y draw.YAlignment
}

var (
	leftOf  = at{draw.XLeft, draw.YCenter}
	middle  = at{draw.XCenter, draw.YCenter}
	rightTo = at{draw.XRight, draw.YCenter}
)

func (p pen) text(s string, x, y float64, a at, style text.Style) {
	style.XAlign, style.YAlign = a.x, a.y
	p.c.FillText(style, p.point(x, y), clean(s))
}

// sans is a style of text whose letters are size pixels high, ascent to descent.
func sans(size float64, c color.Color) text.Style {
	return text.Style{
		Color:   c,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: px(size)},
		Handler: plot.DefaultTextHandler,
	}
}

func bold(size float64, c color.Color) text.Style {
	s := sans(size, c)
	s.Font.Weight = xfont.WeightBold
	return s
}

// width is that of a text in pixels.
func width(style text.Style, s string) float64 {
	return float64(style.Width(s) / px(1))
}

// fit shortens a text to a width by taking out its middle: names of runs and
// classes differ at either end.
func fit(s string, width float64, measure func(string) float64) string {
	s = clean(s)
	if measure(s) <= width {
		return s
	}
	r := []rune(s)
	for keep := len(r) - 1; keep > 1; keep-- {
		if t := string(r[:keep-keep/2]) + "…" + string(r[len(r)-keep/2:]); measure(t) <= width {
			return t
		}
	}
	return "…"
}

// clean makes one line of printable text, which XML can hold, of any string.
func clean(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF:
			return '\uFFFD'
		}
		return r
	}, s)
}
