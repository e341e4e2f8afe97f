package plots

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// run makes n epochs of a run that learns.
func run(n int) []Epoch {
	var epochs []Epoch
	for e := 1; e <= n; e++ {
		t := float64(e)
		epochs = append(epochs, Epoch{
			Epoch: e, TrainLoss: 2 / t, TrainAccuracy: 1 - 0.9/t,
			TestLoss: 2/t + 0.01*t, TestAccuracy: 0.9 - 0.8/t - 0.001*t, LR: 0.001, Seconds: 2.5,
		})
	}
	return epochs
}

// texts parses an SVG document and returns its pieces of text.
func texts(t *testing.T, svg []byte) []string {
	t.Helper()
	var out []string
	in := false
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("the SVG does not parse: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			in = token.Name.Local == "text"
		case xml.EndElement:
			in = false
		case xml.CharData:
			if in {
				out = append(out, string(token))
			}
		}
	}
}

func wantTexts(t *testing.T, f *Figure, want ...string) {
	t.Helper()
	got := texts(t, f.SVG())
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("the drawing says %q, want %q among it", got, w)
		}
	}
}

// count is the number of pixels of exactly one colour.
func count(img image.Image, c color.RGBA) int {
	n := 0
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if color.RGBAModel.Convert(img.At(x, y)) == c {
				n++
			}
		}
	}
	return n
}

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	f := Loss(run(10))
	path := filepath.Join(dir, "loss.png")
	for range 2 { // again over the old one, as each epoch does
		if err := f.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := readPNG(t, path).Bounds(), image.Rect(0, 0, 800, 480); got != want {
		t.Errorf("got an image of %v, want %v", got, want)
	}
	path = filepath.Join(dir, "loss.SVG")
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "<?xml") || !slices.Contains(texts(t, data), "Loss") {
		t.Errorf("got %.200s…, want an SVG document with the title Loss", data)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 2 {
		t.Errorf("the folder holds %v, want two files", entries)
	}

	for _, path := range []string{filepath.Join(dir, "none", "x.png"), filepath.Join(dir, "none", "x.svg"), filepath.Join(dir, "none", "x.html")} {
		err := f.Save(path)
		if filepath.Ext(path) == ".html" {
			err = (&Report{}).Save(path)
		}
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
			t.Errorf("into no folder: got %v, want one that names %s and is fs.ErrNotExist", err, path)
		}
	}
	if err := f.Save(filepath.Join(dir, "x.gif")); err == nil || !strings.Contains(err.Error(), "x.gif") || !strings.Contains(err.Error(), ".png or .svg") {
		t.Errorf("x.gif: got %v, want an error that names it, and .png or .svg", err)
	}
}

func TestCurves(t *testing.T) {
	tests := []struct {
		name   string
		figure *Figure
		want   []string // texts
		blue   int      // pixels at least
		orange int
	}{
		{"loss", Loss(run(20)), []string{"Loss", "epoch", "train", "test (least 0.2829, epoch 14)", "0.0", "2.0", "20"}, 400, 400},
		{"accuracy", Accuracy(run(20)), []string{"Accuracy", "train", "test (best 84.00 %, epoch 20)", "0 %", "100 %"}, 400, 400},
		{"one epoch", Loss(run(1)), []string{"1", "test (least 2.01, epoch 1)"}, 20, 20},
		{"none", Accuracy(nil), []string{"no values yet", "train", "test"}, 20, 20},
		{"200 epochs", Loss(run(200)), []string{"200", "100", "1"}, 400, 300},
		{"learning rate", LR(run(5)), []string{"Learning rate", "0.0010"}, 400, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantTexts(t, tt.figure, tt.want...)
			img := tt.figure.Image()
			if b, o := count(img, blue), count(img, orange); b < tt.blue || o < tt.orange {
				t.Errorf("got %d blue and %d orange pixels, want %d and %d or more", b, o, tt.blue, tt.orange)
			}
		})
	}
}

// What a run that goes wrong leaves must be drawn too.
func TestCurvesWithGaps(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, values := range map[string][]float64{
		"NaN":        {1, nan, 0.5, 0.4},
		"all NaN":    {nan, nan},
		"infinity":   {1, inf, -inf, 2},
		"blown up":   {1, 1e30, 2},
		"zero":       {0, 0, 0},
		"zero, huge": {0, 1e300},
		"negative":   {-1, -3},
		"denormal":   {5e-324, 1},
		"largest":    {-math.MaxFloat64 / 4, math.MaxFloat64 / 4},
		"same":       {0.1, 0.1},
		"nearly":     {1, 1 + 1e-16*3},
		"huge, near": {1e17, 1e17 + 16},
	} {
		t.Run(name, func(t *testing.T) {
			var epochs []Epoch
			for i, v := range values {
				epochs = append(epochs, Epoch{Epoch: i + 1, TrainLoss: v, TestLoss: nan, TrainAccuracy: v, TestAccuracy: nan, LR: v})
			}
			for _, f := range []*Figure{Loss(epochs), Accuracy(epochs), LR(epochs)} {
				svg := f.SVG()
				texts(t, svg)
				if s := string(svg); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
					t.Errorf("%s: the SVG has coordinates that are no numbers", f.Title())
				}
				if got, want := f.Image().Bounds().Dx(), 800; got != want {
					t.Errorf("%s: got a width of %d, want %d", f.Title(), got, want)
				}
			}
		})
	}
	// A lone point between two gaps is there, even without marks.
	c := Chart{Series: []Series{{Name: "a", X: []float64{0, 1, 2}, Y: []float64{nan, 1, nan}, NoMarks: true}}}
	one := count(c.Figure().Image(), blue)
	c.Series[0].Y[1] = nan
	if none := count(c.Figure().Image(), blue); one <= none {
		t.Errorf("got %d blue pixels with a point and %d without, want more", one, none)
	}
}

func TestLogarithmicLoss(t *testing.T) {
	epochs := run(3)
	epochs[0].TrainLoss = 5000
	wantTexts(t, Loss(epochs), "1000", "100", "10", "1")
}

// One epoch far above the others does not squash them, and all axes of losses
// start at 0 or are logarithmic.
func TestLossOutliers(t *testing.T) {
	for _, tt := range []struct {
		name        string
		train, test []float64
		top         float64 // of the axis, about
		log         bool
		legend      string // of training
	}{
		{"none", []float64{2.3, 1.9, 1.7, 1.6, 1.5, 1.4}, []float64{2, 1.9, 1.9, 1.8, 1.8, 1.8}, 2.3, false, "train"},
		{"close together", []float64{2.3, 2.29, 2.28, 2.28, 2.27}, []float64{2.3, 2.3, 2.29, 2.29, 2.28}, 2.3, false, "train"},
		{"first", []float64{40, 2.1, 1.9, 1.8, 1.7, 1.6}, []float64{2, 1.9, 1.9, 1.8, 1.8, 1.8}, 2.1, false, "train (off the scale: epoch 1: 40)"},
		{"first of both", []float64{4000, 2.1, 1.9, 1.8, 1.7, 1.6}, []float64{300, 1.9, 1.9, 1.8, 1.8, 1.8}, 2.1, false, "train (off the scale: epoch 1: 4000)"},
		{"in the middle", []float64{2.1, 1.9, 77, 1.8, 1.7, 1.6}, []float64{2, 2, 2, 1.9, 1.9, 1.9}, 2.1, false, "train (off the scale: epoch 3: 77)"},
		{"few epochs", []float64{40, 2, 1.9}, []float64{3, 2, 2}, 40, false, "train"},
		{"few epochs, far", []float64{400, 2, 1.9}, []float64{3, 2, 2}, 400, true, "train"},
		{"a long way down", []float64{2.3, 1, 0.4, 0.1, 0.05, 0.02}, []float64{2, 1, 0.5, 0.3, 0.2, 0.1}, 2.3, true, "train"},
		{"to nothing", []float64{2.3, 1, 0.4, 0.1, 0, 0}, []float64{2, 1, 0.5, 0.3, 0.2, 0.1}, 2.3, false, "train"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Chart{Zero: true, Series: []Series{{Name: "train", Y: tt.train}, {Name: "test", Y: tt.test}}}
			for i := range tt.train {
				for j := range c.Series {
					c.Series[j].X = append(c.Series[j].X, float64(i+1))
				}
			}
			c.cutOutliers()
			if got := c.Series[0].Name; got != tt.legend {
				t.Errorf("the legend says %q, want %q", got, tt.legend)
			}
			_, ys := c.ranges()
			if ys.hi < tt.top || ys.hi > 1.6*tt.top || c.LogY != tt.log {
				t.Errorf("the axis goes to %v, logarithmic %v, want about %v and %v", ys.hi, c.LogY, tt.top, tt.log)
			}
			if !c.LogY && ys.lo != 0 {
				t.Errorf("the axis starts at %v, want 0", ys.lo)
			}
		})
	}
}

func TestTicks(t *testing.T) {
	tests := []struct {
		axis axis
		n    int
		want string
	}{
		{axis{lo: 0, hi: 1}, 5, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{axis{lo: 0, hi: 1, percent: true}, 5, "0 % 20 % 40 % 60 % 80 % 100 %"},
		{axis{lo: 0.905, hi: 0.925, percent: true}, 5, "90.5 % 91.0 % 91.5 % 92.0 % 92.5 %"},
		{axis{lo: 0.99, hi: 3.01, whole: true}, 10, "1 2 3"},
		{axis{lo: 0, hi: 100, whole: true}, 10, "0 10 20 30 40 50 60 70 80 90 100"},
		{axis{lo: -0.3, hi: 0.3}, 6, "-0.3 -0.2 -0.1 0.0 0.1 0.2 0.3"},
		{axis{lo: 1e-5, hi: 1, log: true}, 10, "1e-5 1e-4 0.001 0.01 0.1 1"},
		{axis{lo: 1, hi: 100, log: true}, 10, "1 2 5 10 20 50 100"},
		{axis{lo: 1e-20, hi: 1e20, log: true}, 5, "1e-20 1e-12 1e-4 10000 1e12 1e20"},
	}
	for _, tt := range tests {
		var got []string
		for _, tick := range tt.axis.ticks(tt.n) {
			if tick.Label != "" {
				got = append(got, tick.Label)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.axis, s, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	long := "learning rate 0.001, " + strings.Repeat("a name of a run that says everything, ", 5) + "batch size 64"
	runs := []Run{{"<b>&\"lr\"</b>", run(5)}, {long, run(9)}, {"with \x00\x1b control\ncharacters \xff", run(3)}, {"empty", nil}}
	for _, f := range []*Figure{CompareLoss(runs), CompareAccuracy(runs), CompareTrainLoss(runs), CompareTrainAccuracy(runs), CompareBest(runs)} {
		wantTexts(t, f, "<b>&\"lr\"</b>", "with \uFFFD\uFFFD control characters \uFFFD", "empty")
		cut := slices.IndexFunc(texts(t, f.SVG()), func(s string) bool {
			return strings.HasPrefix(s, "learning rate") && strings.Contains(s, "…") && strings.HasSuffix(s, "size 64")
		})
		if cut < 0 {
			t.Errorf("%s: the long name is not shortened in its middle", f.Title())
		}
	}
	wantTexts(t, CompareBest(runs), "73.50 %", "epoch 5", "no test accuracy")
	wantTexts(t, CompareBest(nil), "no runs")

	// Many runs: the legend grows, the axes keep their room, all looks differ.
	var many []Run
	for i := range 21 {
		many = append(many, Run{fmt.Sprintf("the run with the number %d", i), run(3 + i)})
	}
	f := CompareLoss(many)
	if f.height <= 480+3*22 {
		t.Errorf("got a height of %d with 21 runs, want more than that of three lines of legend", f.height)
	}
	c := Chart{Series: make([]Series, 21)}
	looks := map[string]bool{}
	for i := range c.Series {
		l := c.look(i)
		looks[fmt.Sprint(l.color, l.dashes)] = true
	}
	if len(looks) != 21 {
		t.Errorf("21 series have %d different looks, want 21", len(looks))
	}
}

// Runs that blow up are cut off, so that the others can be seen.
func TestCompareBlownUp(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		name   string
		losses [][]float64
		off    []int   // runs that the legend calls off the scale
		top    float64 // of the axis, about
		log    bool
	}{
		{"none", [][]float64{{2.3, 1}, {2.2, 0.5}}, nil, 2.3, false},
		{"no run", nil, nil, 1, false},
		{"one run", [][]float64{{100, 1000, 1e6}}, nil, 1e6, true},
		{"one of two", [][]float64{{2.3, 1}, {100, 1e6}}, []int{1}, 2.3, false},
		{"one of five", [][]float64{{2.3, 1}, {2.2, 0.5}, {1e3, 1e30, nan}, {1.5, 0.3}, {2.1, 1.1}}, []int{2}, 2.3, false},
		{"in its middle", [][]float64{{2.3, 1}, {2.2, 1e6, nan}}, nil, 2.3, false},
		{"at its start", [][]float64{{2.3, 1}, {2.2, 1}, {45, 1.2}}, nil, 2.3, false},
		{"most of them", [][]float64{{2.3, 1}, {2.3, 1}, {1e3, 1e4}, {1e5, 1e4}, {1e6, 1e7}}, []int{2, 3, 4}, 2.3, false},
		{"some worse", [][]float64{{2.3, 0.4}, {2.3, 0.1}, {8, 5}}, nil, 8, true},
		{"not a number", [][]float64{{nan, nan}, {2.3, 1}, {inf, inf}}, nil, 2.3, false},
		{"the end of the range", [][]float64{{2, 1}, {math.MaxFloat64, -math.MaxFloat64}}, nil, 2, false},
		{"negative", [][]float64{{-3, -5}, {-1, -2}, {100, 1}}, nil, 100, false},
		{"nothing left", [][]float64{{0, 0}, {1e6, 1e6}}, nil, 1e6, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var runs []Run
			for i, losses := range tt.losses {
				r := Run{Name: fmt.Sprint("run ", i)}
				for e, v := range losses {
					r.Epochs = append(r.Epochs, Epoch{Epoch: e + 1, TestLoss: v, TrainLoss: v})
				}
				runs = append(runs, r)
			}
			c := compareLosses("Test loss", runs, testLoss)
			for i, s := range c.Series {
				if got, want := strings.HasSuffix(s.Name, " (off the scale)"), slices.Contains(tt.off, i); got != want {
					t.Errorf("run %d is %q, want it off the scale %v", i, s.Name, want)
				}
			}
			if _, ys := c.ranges(); ys.hi < tt.top || ys.hi > 2.5*tt.top || c.LogY != tt.log {
				t.Errorf("the axis goes to %v, logarithmic %v, want about %v and %v", ys.hi, c.LogY, tt.top, tt.log)
			}
			texts(t, CompareTrainLoss(runs).SVG())
		})
	}
}

// A metric is drawn as loss and accuracy are; what was measured in one of the phases only,
// in nothing or not at all, is left out.
func TestMetric(t *testing.T) {
	nan := math.NaN()
	var epochs []Epoch
	for e := range 4 {
		v := float64(e + 1)
		epochs = append(epochs, Epoch{Epoch: e + 1, Metrics: []Metric{
			{Name: "kl", Train: 4 / v, Test: 5 / v}, {Name: "<f1>", Train: nan, Test: v / 10, Max: true}, {Name: "none", Train: nan, Test: nan}, {Name: "own", Train: v, Test: nan},
		}})
	}
	if got := MetricNames(epochs); !slices.Equal(got, []string{"kl", "<f1>", "own"}) {
		t.Errorf("got the names %q", got)
	}
	wantTexts(t, OfMetric(epochs, "kl"), "kl", "train", "test (least 1.25, epoch 4)")
	wantTexts(t, OfMetric(epochs, "<f1>"), "<f1>", "test (best 0.4, epoch 4)")
	wantTexts(t, OfMetric(epochs, "own"), "own", "train")
	for _, name := range []string{"<f1>", "own", "absent", "none"} {
		got := texts(t, OfMetric(epochs, name).SVG())
		if slices.Contains(got, "train") == (name != "own") {
			t.Errorf("%s: the drawing says %q", name, got)
		}
	}
	runs := []Run{{"first", epochs}, {"second", epochs[:2]}, {"neither", run(2)}}
	wantTexts(t, CompareMetric(runs, "<f1>"), "Test <f1>", "first", "second")
	wantTexts(t, CompareMetric(runs, "own"), "Train own", "first", "second")

	var page bytes.Buffer
	if err := (&Report{Title: "run", Epochs: epochs}).WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<th>train kl</th><th>test kl</th><th>test &lt;f1&gt;</th><th>train own</th>", "<td>1.333</td><td>1.667</td><td>0.3</td><td>3</td>",
		"<dt>least test kl</dt><dd>1.25 in epoch 4</dd>", "<dt>best test &lt;f1&gt;</dt><dd>0.4 in epoch 4</dd>"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if strings.Contains(page.String(), "none") && strings.Contains(page.String(), "test none") {
		t.Error("the report has a column for what was never measured")
	}
}

func TestLRFinder(t *testing.T) {
	var rates, losses []float64
	for i := range 60 {
		rates = append(rates, math.Pow(10, -5+float64(i)/12))
		losses = append(losses, 2.3)
	}
	losses[40], losses[58], losses[59] = 1, 1e9, math.NaN()
	f := LRFinder(rates, losses, losses, 0.0125)
	wantTexts(t, f, "Learning-rate finder", "learning rate", "suggested: 0.0125", "smoothed", "1e-5", "0.01")
	if got := texts(t, f.SVG()); slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "e8") || strings.Contains(s, "00000") }) {
		t.Errorf("the axis reaches %q, want the explosion cut off", got)
	}
	if got := count(f.Image(), orange); got < 100 {
		t.Errorf("got %d pixels of the suggestion's line, want 100 or more", got)
	}
	for _, none := range []float64{0, math.NaN(), math.Inf(1)} {
		if got := count(LRFinder(rates, losses, nil, none).Image(), orange); got != 0 {
			t.Errorf("suggestion %v: got %d pixels of its line, want 0", none, got)
		}
	}
	wantTexts(t, LRFinder(nil, nil, nil, 0), "no values yet")
}

func TestFit(t *testing.T) {
	measure := func(s string) float64 { return float64(len([]rune(s))) }
	for _, tt := range []struct {
		in    string
		width float64
		want  string
	}{
		{"short", 5, "short"},
		{"a longer one", 7, "a l…one"},
		{"größere Wörter", 6, "grö…er"},
		{"abc", 2, "…"},
		{"abc", 0, "…"},
		{"", 0, ""},
		{"two\nlines", 20, "two lines"},
	} {
		if got := fit(tt.in, tt.width, measure); got != tt.want {
			t.Errorf("fit(%q, %v): got %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func TestConcurrent(t *testing.T) {
	f, want := Loss(run(5)), Loss(run(5)).SVG()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if !bytes.Equal(f.SVG(), want) {
				t.Error("drawn at the same time, the SVG differs")
			}
			if f.Image().Bounds().Empty() {
				t.Error("the image is empty")
			}
		})
	}
	all.Wait()
}

// Two learning rates, compared.
func ExampleCompareTrainLoss() {
	dir, err := os.MkdirTemp("", "plots")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	runs := []Run{
		{Name: "lr=0.001", Epochs: []Epoch{{Epoch: 1, TrainLoss: 2.1, TestLoss: 2, TrainAccuracy: 0.3, TestAccuracy: 0.35}, {Epoch: 2, TrainLoss: 1.5, TestLoss: 1.6, TrainAccuracy: 0.5, TestAccuracy: 0.48}}},
		{Name: "lr=0.1", Epochs: []Epoch{{Epoch: 1, TrainLoss: 250, TestLoss: 1e6, TrainAccuracy: 0.1, TestAccuracy: 0.1}}},
	}
	report := Report{
		Title:   "learning rates",
		Table:   Table{Head: []string{"run", "test accuracy"}, Rows: []Row{{Cells: []string{"lr=0.001", "48 %"}, Link: "lr=0.001/report.html", Best: true}, {Cells: []string{"lr=0.1", "10 %"}}}},
		Figures: []*Figure{CompareTrainLoss(runs), CompareTrainAccuracy(runs), CompareLoss(runs), CompareAccuracy(runs), CompareBest(runs)},
	}
	for _, f := range report.Figures {
		fmt.Println(f.Title())
	}
	if err := report.Save(filepath.Join(dir, "comparison.html")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Train loss
	// Train accuracy
	// Test loss
	// Test accuracy
	// Best test accuracy
}

// What an epoch's redrawing costs, files on disk included.
func BenchmarkRedraw(b *testing.B) {
	dir, epochs := b.TempDir(), run(100)
	for b.Loop() {
		for name, f := range map[string]*Figure{"loss": Loss(epochs), "accuracy": Accuracy(epochs)} {
			for _, ext := range []string{".png", ".svg"} {
				if err := f.Save(filepath.Join(dir, name+ext)); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "plots")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var epochs []Epoch
	for epoch := 1; epoch <= 3; epoch++ {
		// … train and test …
		epochs = append(epochs, Epoch{Epoch: epoch, TrainLoss: 1 / float64(epoch), TrainAccuracy: 0.8, TestLoss: 1.2 / float64(epoch), TestAccuracy: 0.7})
		for _, name := range []string{"loss.png", "loss.svg"} {
			if err := Loss(epochs).Save(filepath.Join(dir, name)); err != nil {
				fmt.Println(err)
			}
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		fmt.Println(filepath.Base(f))
	}
	// Output:
	// loss.png
	// loss.svg
}
