package plots

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Confusion counts which class was taken for which.
type Confusion struct {
	Classes []string
	Counts  [][]int // [label][prediction]
}

// NewConfusion returns a matrix of zeros.
func NewConfusion(classes []string) *Confusion {
	m := &Confusion{Classes: classes, Counts: make([][]int, len(classes))}
	for i := range m.Counts {
		m.Counts[i] = make([]int, len(classes))
	}
	return m
}

// Add counts images: the label and the prediction of each, as numbers of
// classes. If one is out of range, none is counted.
func (m *Confusion) Add(labels, predictions []int) error {
	if len(labels) != len(predictions) {
		return fmt.Errorf("there are %d labels and %d predictions, want as many", len(labels), len(predictions))
	}
	for i, label := range labels {
		if n := len(m.Classes); label < 0 || label >= n || predictions[i] < 0 || predictions[i] >= n {
			return fmt.Errorf("image %d has label %d and prediction %d, want 0 to %d", i, label, predictions[i], n-1)
		}
	}
	for i, label := range labels {
		m.Counts[label][predictions[i]]++
	}
	return nil
}

// Recall is the share of a class's images that were recognized, NaN if there
// were none.
func (m *Confusion) Recall(class int) float64 {
	return float64(m.Counts[class][class]) / float64(m.row(class))
}

// Precision is the share of the images taken for a class that were of it, NaN if
// there were none.
func (m *Confusion) Precision(class int) float64 {
	taken := 0
	for _, row := range m.Counts {
		taken += row[class]
	}
	return float64(m.Counts[class][class]) / float64(taken)
}

// Accuracy is the share of all images that were recognized, NaN if there were
// none.
func (m *Confusion) Accuracy() float64 {
	good := 0
	for i := range m.Counts {
		good += m.Counts[i][i]
	}
	return float64(good) / float64(m.Total())
}

// Total is the number of images.
func (m *Confusion) Total() int {
	n := 0
	for i := range m.Counts {
		n += m.row(i)
	}
	return n
}

func (m *Confusion) row(class int) int {
	n := 0
	for _, c := range m.Counts[class] {
		n += c
	}
	return n
}

func share(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

// shade is a blue that is darker the larger a share is. The square root makes rare
// mistakes visible.
func shade(v float64) color.RGBA {
	t := math.Sqrt(v)
	mix := func(from, to float64) uint8 { return uint8(from + t*(to-from) + 0.5) }
	return color.RGBA{mix(0xff, 0x08), mix(0xff, 0x3c), mix(0xff, 0x7a), 0xff}
}

// Figure draws the matrix: a row a label, a column a prediction, the recall of
// each class at the right. With more than 30 classes the counts are left out, and
// with more than 100 all names but every few.
func (m *Confusion) Figure() *Figure {
	f := m.figure(56)
	if len(m.Classes) <= 12 {
		f.compact = func() *Figure { return m.figure(34) }
	}
	return f
}

// figure draws the matrix with cells of that size if it has 12 classes or fewer.
func (m *Confusion) figure(few float64) *Figure {
	n := len(m.Classes)
	cell := 900 / float64(max(1, n))
	switch {
	case n <= 12:
		cell = few
	case n <= 30:
		cell = 42
	case n <= 100:
		cell = 16
	case n > 450:
		cell = 2
	}
	size := min(14, cell*0.8)
	every := 1
	if size < 10 {
		size = 10
		every = int(math.Ceil(12 / cell))
	}
	name := sans(size, ink)
	measure := func(s string) float64 { return width(name, s) }
	longest := 40.0
	for _, c := range m.Classes {
		longest = max(longest, min(150, measure(clean(c))))
	}
	flat := longest <= cell-6
	const left, top, recall = 44, 84, 84
	x0, y0, span := left+longest+8, float64(top), cell*float64(n)
	below := 30.0
	slant := math.Pi / 4
	if n > 30 {
		slant = math.Pi / 2
	}
	if !flat {
		below = longest*math.Sin(slant) + 24
	}
	below += 26
	f := &Figure{title: "Confusion matrix", width: max(400, int(x0+span+recall)), height: int(y0 + span + below)}
	f.draw = func(p pen) {
		p.text(f.title, 16, 28, leftOf, bold(18, ink))
		if m.Total() == 0 {
			p.text("no images", 16, 54, leftOf, sans(13, pale))
		} else {
			p.text(fmt.Sprintf("%s of %d right; darker: a larger share of the row", share(m.Accuracy()), m.Total()), 16, 52, leftOf, sans(13, pale))
		}
		if n == 0 {
			return
		}
		p.text("recall", x0+span+10, y0-12, leftOf, bold(min(14, size+1), ink))
		for i, row := range m.Counts {
			y := y0 + cell*float64(i)
			all := float64(max(1, m.row(i)))
			if i%every == 0 {
				p.text(fit(m.Classes[i], longest, measure), x0-8, y+cell/2, rightTo, name)
				p.text(share(m.Recall(i)), x0+span+10, y+cell/2, leftOf, name)
			}
			for j, count := range row {
				if count == 0 {
					continue
				}
				part := float64(count) / all
				p.rect(x0+cell*float64(j), y, cell, cell, shade(part))
				if n <= 30 {
					number := sans(min(14, cell/3), ink)
					if part > 0.3 {
						number.Color = color.White
					}
					if i == j {
						number = bold(min(14, cell/3), number.Color)
					}
					if w := width(number, fmt.Sprint(count)); w > cell-4 {
						number.Font.Size *= vg.Length((cell - 4) / w)
					}
					p.text(fmt.Sprint(count), x0+cell*(float64(j)+0.5), y+cell/2, middle, number)
				}
			}
		}
		lines := draw.LineStyle{Color: faint, Width: px(1)}
		for i := 0; i <= n; i++ {
			if i > 0 && i < n && cell < 10 {
				continue
			}
			d := cell * float64(i)
			a, b := p.point(x0+d, y0), p.point(x0+d, y0+span)
			p.c.StrokeLine2(lines, a.X, a.Y, b.X, b.Y)
			a, b = p.point(x0, y0+d), p.point(x0+span, y0+d)
			p.c.StrokeLine2(lines, a.X, a.Y, b.X, b.Y)
		}
		for j, c := range m.Classes {
			x := x0 + cell*(float64(j)+0.5)
			switch {
			case j%every != 0:
			case flat:
				p.text(c, x, y0+span+16, middle, name)
			default:
				slanted := name
				slanted.Rotation = slant
				p.text(fit(c, longest, measure), x+size/3*math.Cos(slant), y0+span+8, rightTo, slanted)
			}
		}
		p.text("prediction", x0+span/2, y0+span+below-14, middle, bold(14, ink))
		upright := bold(14, ink)
		upright.Rotation = math.Pi / 2
		p.text("label", 22, y0+span/2, middle, upright)
	}
	return f
}
