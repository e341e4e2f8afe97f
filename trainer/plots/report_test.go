package plots

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// page is what a report consists of.
type page struct {
	elements map[string]int
	cells    []string // texts of th, td, dd, h1, a, b, small, summary and SVG's text
	text     string
	sources  []string // of images
	links    []string
	wrong    int
}

// parse reads the page with the tolerant mode that encoding/xml has for HTML, and
// checks that every element is closed and that nothing is fetched or run.
func parse(t *testing.T, html []byte) page {
	t.Helper()
	p := page{elements: map[string]int{}}
	d := xml.NewDecoder(bytes.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page does not parse: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			open = append(open, token.Name.Local)
			p.elements[token.Name.Local]++
			text.Reset()
			for _, a := range token.Attr {
				name := strings.ToLower(a.Name.Local)
				switch {
				case name == "href" && token.Name.Local == "a":
					p.links = append(p.links, a.Value)
				case name == "src" || name == "href":
					p.sources = append(p.sources, a.Value)
				case strings.HasPrefix(name, "on"):
					t.Errorf("<%s> has the attribute %s=%q", token.Name.Local, name, a.Value)
				case name == "class" && a.Value == "wrong":
					p.wrong++
				}
			}
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Fatalf("</%s> closes %v", token.Name.Local, open)
			}
			open = open[:len(open)-1]
			if slices.Contains([]string{"th", "td", "dd", "h1", "a", "b", "small", "summary", "text", "title"}, token.Name.Local) {
				if text.Len() > 0 || token.Name.Local != "th" { // a heading that is a link has its text there
					p.cells = append(p.cells, text.String())
				}
			}
			text.Reset()
		case xml.CharData:
			text.Write(token)
			p.text += string(token)
		}
	}
	if len(open) != 0 {
		t.Errorf("the elements %v are not closed", open)
	}
	for _, name := range []string{"script", "iframe", "object", "link", "base", "form"} {
		if p.elements[name] != 0 {
			t.Errorf("got %d elements %s, want none", p.elements[name], name)
		}
	}
	for _, s := range p.sources {
		data, ok := strings.CutPrefix(s, "data:image/png;base64,")
		raw, err := base64.StdEncoding.DecodeString(data)
		if !ok || err != nil {
			t.Errorf("got the source %.60q, %v, want PNG data", s, err)
			continue
		}
		if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
			t.Errorf("the source %.60q: %v", s, err)
		}
	}
	return p
}

func TestReport(t *testing.T) {
	m := NewConfusion([]string{"cat", "dog"})
	if err := m.Add([]int{0, 0, 1}, []int{0, 1, 1}); err != nil {
		t.Fatal(err)
	}
	epochs := run(4)
	epochs[1].TrainLoss, epochs[2].TrainLoss, epochs[3].LR = math.NaN(), math.Inf(1), 0.0005
	teal := plain(32, 32, color.RGBA{0, 0x80, 0x80, 0xff})
	r := &Report{
		Title:     "20260102-030405-seed1",
		Settings:  []Setting{{"-clip", "0", true}, {"-lr", "0.001", false}, {"device", "cpu", false}},
		Epochs:    epochs,
		Table:     Table{[]string{"run", "state"}, []Row{{[]string{"lr=0.1", "finished"}, "lr=0.1/report.html", true}, {[]string{"lr=9", "failed"}, "", false}}},
		Figures:   []*Figure{LRFinder([]float64{0.1, 1}, []float64{2, 1}, nil, 0.3)},
		Confusion: m,
		Samples:   []Prediction{{teal, "#0", "cat", "cat", 0.987}, {teal, "#1", "cat", "dog", 0.6}, {nil, "", "", "dog", math.NaN()}},
		Mistakes:  []Prediction{{plain(600, 300, color.RGBA{1, 2, 3, 255}), "photo.jpg", "cat", "dog", 0.6}},
		Filters:   teal,
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := r.Save(path); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, html)
	for _, want := range []string{
		"20260102-030405-seed1", "-lr", "0.001", "device", "cpu", // settings
		"69.60 % in epoch 4", "0.5400 in epoch 4", "4", "10s", // facts
		"2.0000", "–", "+Inf", "10.00 %", "0.5400", "69.60 %", "5e-4", "2.5 s", // epochs
		"run", "state", "lr=0.1", "finished", "lr=9", "failed", // table
		"Loss", "Accuracy", "Learning rate", "Learning-rate finder", "suggested: 0.3", // curves
		"66.7 % of 3 right; darker: a larger share of the row", "50.0 %", "100.0 %", // matrix
		"cat 98.7\u00a0%", "✗ dog 60.0\u00a0%", "dog ", "photo.jpg", // images
	} {
		if !slices.Contains(p.cells, want) {
			t.Errorf("the page has no cell %q; it has %q", want, p.cells)
		}
	}
	for name, want := range map[string]int{"svg": 5, "figure": 4, "img": 5, "h1": 1, "h2": 7, "table": 4, "details": 1, "a": 1} {
		if p.elements[name] != want {
			t.Errorf("got %d elements %s, want %d", p.elements[name], name, want)
		}
	}
	if want := []string{"lr=0.1/report.html"}; !slices.Equal(p.links, want) {
		t.Errorf("got links to %q, want %q", p.links, want)
	}
	if n := strings.Count(string(html), `<tr class="best"`); n != 2 {
		t.Errorf("got %d rows that stand out, want the best epoch and the best run", n)
	}
	if own, byDefault := slices.Index(p.cells, "-lr"), slices.Index(p.cells, "-clip"); own > byDefault {
		t.Error("a setting as it is by default stands before one that is not")
	}
	if p.wrong != 2 {
		t.Errorf("%d images are marked wrong, want 2", p.wrong)
	}
	if !strings.Contains(p.text, "1 of 2 right") {
		t.Error("the page does not say how many of the images are right")
	}
	if !bytes.Contains(html, []byte(`content="default-src 'none'`)) {
		t.Error("the page has no content security policy")
	}
	if len(html) > 300_000 {
		t.Errorf("the page has %d bytes, want less than 300000", len(html))
	}
}

func TestReportOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := (&Report{Title: "empty"}).WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	if p := parse(t, b.Bytes()); p.elements["h2"] != 0 || !slices.Contains(p.cells, "empty") {
		t.Errorf("got %v, want the title alone", p.elements)
	}
}

func TestReportEscapes(t *testing.T) {
	for _, evil := range []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`' onmouseover='alert(1)`,
		`</title></style></svg><script>alert(1)</script>`,
		`&lt;b&gt; & &amp;`,
		`javascript:alert(1)`,
		`{{.Title}} ]]> <!-- -->`,
	} {
		m := NewConfusion([]string{evil, "dog"})
		m.Counts[0][1] = 1
		pictures := []Prediction{{plain(4, 4, white), evil, evil, evil + "x", 1}}
		r := &Report{
			Title: evil, Settings: []Setting{{evil, evil, false}}, Table: Table{[]string{evil}, []Row{{[]string{evil}, evil, false}}}, Epochs: run(2), Confusion: m, Samples: pictures, Mistakes: pictures,
			Figures: []*Figure{
				CompareBest([]Run{{evil, run(2)}}),
				Chart{Title: evil, X: evil, Y: evil, Mark: 1, MarkName: evil, Series: []Series{{Name: evil, X: []float64{0, 2}, Y: []float64{0, 1}}}}.Figure(),
			},
		}
		var b bytes.Buffer
		if err := r.WriteHTML(&b); err != nil {
			t.Fatal(err)
		}
		p := parse(t, b.Bytes())
		if p.elements["img"] != 2 || p.elements["title"] != 1 {
			t.Errorf("%s: got elements %v, want 2 img and 1 title", evil, p.elements)
		}
		for _, l := range p.links {
			if strings.HasPrefix(l, "javascript:") || strings.ContainsAny(l, "<>\"") {
				t.Errorf("%s: got the link %q", evil, l)
			}
		}
		n := 0
		for _, c := range p.cells {
			if c == evil {
				n++
			}
		}
		if n < 12 {
			t.Errorf("%s: %d texts are it, letter by letter, want 12 or more: %q", evil, n, p.cells)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestReportPassesErrorsOn(t *testing.T) {
	if err := (&Report{Title: "x"}).WriteHTML(full{}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("got %v, want no space left", err)
	}
}

// A run without classes has a report without accuracies.
func TestReportWithoutClasses(t *testing.T) {
	nan := math.NaN()
	var b strings.Builder
	r := Report{Title: "regression", Epochs: []Epoch{{Epoch: 1, TrainLoss: 2, TestLoss: 3, TrainAccuracy: nan, TestAccuracy: nan}, {Epoch: 2, TrainLoss: 1, TestLoss: 2, TrainAccuracy: nan, TestAccuracy: nan}}}
	if err := r.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	if s := strings.ToLower(b.String()); strings.Contains(s, "accuracy") || !strings.Contains(s, "test loss") {
		t.Errorf("got a report with accuracies, or without losses:\n%s", s)
	}
	b.Reset()
	r.Epochs[1].TestAccuracy = 0.5
	if err := r.WriteHTML(&b); err != nil || !strings.Contains(b.String(), "<th>test accuracy</th>") {
		t.Errorf("with one accuracy: got a report without (%v)", err)
	}
}
