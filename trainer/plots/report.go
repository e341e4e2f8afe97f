package plots

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/image/draw"
)

// Report is what the page about a run shows. What is empty is left out.
type Report struct {
	Title    string // of the page, such as the run's name
	Settings []Setting
	Epochs   []Epoch // their numbers and curves
	Table    Table   // what else there is to tell
	Figures  []*Figure
	// Confusion is that of the test images.
	Confusion *Confusion
	Samples   []Prediction // some test images
	Mistakes  []Prediction // the most confident ones, say
	Filters   image.Image  // as Filters draws them
}

// Setting is a line of the table of settings: a flag, a version, a device. Those
// that are as they are by default are shown last, folded away.
type Setting struct {
	Name, Value string
	Default     bool
}

// Table has a head and rows of cells.
type Table struct {
	Head []string
	Rows []Row
}

// Row is a line of a [Table].
type Row struct {
	Cells []string
	Link  string // an address, relative to the page, that the first cell leads to; may be empty
	Best  bool   // it stands out
}

//go:embed report.html
var reportHTML string

// Save writes the report as one HTML file that needs nothing else: the curves
// stand in it as SVG, the images as data, and a content security policy forbids
// the browser to fetch anything.
func (r *Report) Save(path string) error {
	return save(path, r.WriteHTML)
}

// WriteHTML writes the page. All texts are escaped.
func (r *Report) WriteHTML(w io.Writer) error {
	page := reportPage{Report: r}
	for _, row := range r.Table.Rows {
		if row.Best { // it may be far down
			for i := range min(3, len(row.Cells), len(r.Table.Head)) {
				name := r.Table.Head[i]
				if i == 0 {
					name = "best " + name
				}
				page.Facts = append(page.Facts, Setting{Name: name, Value: row.Cells[i]})
			}
		}
	}
	if n := len(r.Epochs); n > 0 {
		page.Facts = append(page.Facts, r.facts()...)
		last := r.Epochs[n-1]
		page.Rows = make([]reportRow, n)
		_, best := extreme(r.Epochs, testAccuracy, 1)
		for i, e := range r.Epochs {
			page.Rows[i] = reportRow{e.Epoch, cell("%.4f", e.TrainLoss, 1), cell("%.2f %%", e.TrainAccuracy, 100),
				cell("%.4f", e.TestLoss, 1), cell("%.2f %%", e.TestAccuracy, 100), nil, rate(e.LR), duration(e.Seconds), e.Epoch == best}
		}
		names := MetricNames(r.Epochs)
		for _, name := range names {
			for _, part := range []struct {
				name string
				of   func(Epoch) float64
			}{{"train ", trainMetric(name)}, {"test ", testMetric(name)}} {
				if !slices.ContainsFunc(r.Epochs, func(e Epoch) bool { return part.of(e) == part.of(e) }) {
					continue
				}
				page.Metrics = append(page.Metrics, part.name+name)
				for i, e := range r.Epochs {
					page.Rows[i].Metrics = append(page.Rows[i].Metrics, cell("%.4g", part.of(e), 1))
				}
			}
		}
		page.Curves = append(page.Curves, vector(Loss(r.Epochs)))
		page.Classes = slices.ContainsFunc(r.Epochs, func(e Epoch) bool { return e.TrainAccuracy == e.TrainAccuracy || e.TestAccuracy == e.TestAccuracy })
		if page.Classes {
			page.Curves = append(page.Curves, vector(Accuracy(r.Epochs)))
		}
		for _, name := range names {
			page.Curves = append(page.Curves, vector(OfMetric(r.Epochs, name)))
		}
		if last.LR != r.Epochs[0].LR {
			page.Curves = append(page.Curves, vector(LR(r.Epochs)))
		}
	}
	for _, f := range r.Figures {
		if f.compact == nil {
			page.Wide = append(page.Wide, vector(f))
		} else {
			page.Curves = append(page.Curves, vector(f))
		}
	}
	for _, s := range r.Settings {
		if s.Default {
			page.Defaults = append(page.Defaults, s)
		} else {
			page.Own = append(page.Own, s)
		}
	}
	var err error
	if r.Confusion != nil {
		if f := r.Confusion.Figure(); len(r.Confusion.Classes) <= 100 {
			page.Matrix = vector(f)
		} else if page.MatrixPNG, err = inline(f.Image()); err != nil { // too many parts for SVG
			return err
		}
	}
	if r.Filters != nil {
		if page.FiltersPNG, err = inline(r.Filters); err != nil {
			return err
		}
	}
	for _, group := range []struct {
		title string
		cells []Prediction
	}{{"Test images", r.Samples}, {"Mistakes", r.Mistakes}} {
		if len(group.cells) == 0 {
			continue
		}
		g := reportGroup{Title: group.title, Note: right(group.cells)}
		for _, c := range group.cells {
			data, err := inline(thumbnail(c.Image))
			if err != nil {
				return err
			}
			g.Cells = append(g.Cells, reportCell{c, strings.ReplaceAll(c.percent(), " ", "\u00a0"), data})
		}
		page.Groups = append(page.Groups, g)
	}
	// Parsed here and not at the start of the program, which may never want it.
	t, err := template.New("report").Parse(reportHTML)
	if err != nil {
		return err
	}
	return t.Execute(w, page)
}

type reportPage struct {
	*Report
	Facts                 []Setting
	Rows                  []reportRow
	Classes               bool     // there are accuracies
	Metrics               []string // the heads of further columns
	Curves, Wide          []template.HTML
	Own, Defaults         []Setting
	Matrix                template.HTML
	MatrixPNG, FiltersPNG template.URL
	Groups                []reportGroup
}

type reportRow struct {
	Epoch                                            int
	TrainLoss, TrainAccuracy, TestLoss, TestAccuracy string
	Metrics                                          []string
	Rate, Duration                                   string
	Best                                             bool
}

type reportGroup struct {
	Title, Note string
	Cells       []reportCell
}

type reportCell struct {
	Prediction
	Percent string
	Data    template.URL
}

// facts are the numbers at the head of the page.
func (r *Report) facts() []Setting {
	var facts []Setting
	if best, at := extreme(r.Epochs, testAccuracy, 1); at >= 0 {
		facts = append(facts, Setting{Name: "best test accuracy", Value: fmt.Sprintf("%.2f %% in epoch %d", 100*best, at)})
	}
	if least, at := extreme(r.Epochs, testLoss, -1); at >= 0 {
		facts = append(facts, Setting{Name: "least test loss", Value: fmt.Sprintf("%.4f in epoch %d", least, at)})
	}
	for _, name := range MetricNames(r.Epochs) {
		sign, word := -1.0, "least"
		if slices.ContainsFunc(r.Epochs, func(e Epoch) bool { return of(e, name).Max }) {
			sign, word = 1, "best"
		}
		if best, at := extreme(r.Epochs, testMetric(name), sign); at >= 0 {
			facts = append(facts, Setting{Name: word + " test " + name, Value: fmt.Sprintf("%.4g in epoch %d", best, at)})
		}
	}
	facts = append(facts, Setting{Name: "epochs", Value: fmt.Sprint(len(r.Epochs))})
	seconds := 0.0
	for _, e := range r.Epochs {
		if finite(e.Seconds) {
			seconds += e.Seconds
		}
	}
	if seconds > 0 {
		d := time.Duration(seconds * float64(time.Second))
		if d >= time.Minute {
			d = d.Round(time.Second)
		} else {
			d = d.Round(100 * time.Millisecond)
		}
		facts = append(facts, Setting{Name: "time", Value: d.String()})
	}
	return facts
}

// cell writes a value of the table: a dash for what was not measured, and what is
// not finite as it is.
func cell(format string, v, scale float64) string {
	switch {
	case v != v:
		return "–"
	case !finite(v):
		return fmt.Sprint(v)
	}
	return fmt.Sprintf(format, v*scale)
}

func rate(v float64) string {
	if v == 0 || !finite(v) {
		return "–"
	}
	return number(v)
}

func duration(seconds float64) string {
	if seconds == 0 {
		return "–"
	}
	return cell("%.1f s", seconds, 1)
}

// vector is a figure as part of the page, compact if it can be: two then stand side
// by side, and their letters can be read on a narrow screen. Figure.SVG escapes its
// texts.
func vector(f *Figure) template.HTML {
	if f.compact != nil {
		f = f.compact()
	}
	return template.HTML(f.SVG())
}

// inline is an image as an address that holds it.
func inline(img image.Image) (template.URL, error) {
	var b bytes.Buffer
	if err := encodePNG(&b, img); err != nil {
		return "", err
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// thumbnail keeps a report with photographs small: no side is longer than 256
// pixels. What is missing becomes one grey pixel.
func thumbnail(img image.Image) image.Image {
	if img == nil || img.Bounds().Empty() {
		grey := image.NewGray(image.Rect(0, 0, 1, 1))
		grey.Pix[0] = 0xf2
		return grey
	}
	const most = 256
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if max(w, h) <= most {
		return img
	}
	small := image.NewRGBA(image.Rect(0, 0, max(1, w*most/max(w, h)), max(1, h*most/max(w, h))))
	draw.CatmullRom.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	return small
}

// Small says whether the browser is to show the image's pixels as squares.
func (c reportCell) Small() bool {
	return c.Image != nil && max(c.Image.Bounds().Dx(), c.Image.Bounds().Dy()) < 64
}
