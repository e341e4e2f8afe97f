package plots

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/tensor"
)

var white = color.RGBA{0xff, 0xff, 0xff, 0xff}

func plain(w, h int, c color.RGBA) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func rgba(img image.Image, x, y int) color.RGBA {
	return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA)
}

func TestGrid(t *testing.T) {
	teal := color.RGBA{0, 0x80, 0x80, 0xff}
	long := strings.Repeat("a very long name ", 20)
	cells := []Prediction{
		{plain(32, 32, teal), "#0", "cat", "cat", 0.9},
		{plain(32, 32, teal), "#1", "cat", "dog", 0.8},
		{plain(28, 28, teal), "#2", "", "dog", 0.8}, // label not known
		{plain(300, 100, teal), long, long, long + "x", math.NaN()},
		{nil, "", "cat", "cat", 1},
		{plain(40, 1000, teal), "tall", "cat", "cat", 1},
		{plain(7, 5, teal), "", "cat", "CAT", 0},
	}
	for _, opts := range []GridOpts{{}, {Title: "Images"}, {Columns: 3, Side: 200, Title: long}, {Columns: 100}, {Side: 1, Columns: -1}} {
		t.Run(fmt.Sprintf("%.9s %d columns of %d", opts.Title, opts.Columns, opts.Side), func(t *testing.T) {
			img := Grid(cells, opts)
			o, top := opts.defaults(len(cells))
			for i, c := range cells {
				at := o.cellAt(i, top)
				if !at.Inset(-frame).In(img.Bounds()) {
					t.Fatalf("image %d at %v is not on the sheet %v", i, at, img.Bounds())
				}
				mid := rgba(img, at.Min.X+at.Dx()/2, at.Min.Y+at.Dy()/2)
				if want := teal; c.Image != nil && mid != want {
					t.Errorf("image %d: got %v in its middle, want %v", i, mid, want)
				}
				want := white
				if c.Wrong() {
					want = orange
				}
				if got := rgba(img, at.Min.X-frame, at.Max.Y+frame-1); got != want {
					t.Errorf("image %d, wrong %v: got a corner %v, want %v", i, c.Wrong(), got, want)
				}
				if got := rgba(img, at.Min.X-1, at.Min.Y+40); c.Wrong() && got != orange || !c.Wrong() && got == orange {
					t.Errorf("image %d, wrong %v: got a frame %v", i, c.Wrong(), got)
				}
				if got := rgba(img, at.Max.X-10, at.Min.Y+10); (got == white) != c.Wrong() {
					t.Errorf("image %d, wrong %v: got %v where the cross is", i, c.Wrong(), got)
				}
				// The caption is below the image and nowhere else.
				below := image.Rect(at.Min.X, at.Max.Y+frame, at.Max.X, at.Max.Y+frame+caption)
				if dark := darkest(img, below); dark > 0x80 {
					t.Errorf("image %d has no caption", i)
				}
				gutter := image.Rect(at.Max.X+frame, at.Min.Y, at.Max.X+frame+gridMargin-1, at.Max.Y+frame+caption)
				if dark := darkest(img, gutter); dark < 0xff {
					t.Errorf("image %d: something runs over its right edge", i)
				}
			}
		})
	}

	empty := Grid(nil, GridOpts{Title: "Mistakes"})
	if empty.Bounds().Dx() < 200 || darkest(empty, empty.Bounds()) > 0x80 {
		t.Errorf("without images: got a sheet of %v, want one that says so", empty.Bounds())
	}
}

func darkest(img image.Image, r image.Rectangle) uint8 {
	least := uint8(0xff)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c := rgba(img, x, y)
			least = min(least, max(c.R, c.G, c.B))
		}
	}
	return least
}

// The pixels of a small image stay squares.
func TestGridKeepsPixels(t *testing.T) {
	small := image.NewRGBA(image.Rect(5, 7, 37, 39)) // bounds need not begin at zero
	for y := range 32 {
		for x := range 32 {
			small.SetRGBA(5+x, 7+y, color.RGBA{uint8(8 * x), uint8(8 * y), 77, 0xff})
		}
	}
	o, top := GridOpts{}.defaults(1)
	at := o.cellAt(0, top)
	img := Grid([]Prediction{{Image: small, Predicted: "x"}}, GridOpts{})
	for y := range 128 {
		for x := range 128 {
			if got, want := rgba(img, at.Min.X+x, at.Min.Y+y), small.RGBAAt(5+x/4, 7+y/4); got != want {
				t.Fatalf("pixel %d, %d: got %v, want %v", x, y, got, want)
			}
		}
	}
}

func TestMistakes(t *testing.T) {
	labels := []int{0, 1, 2, 3, 4, 5}
	predictions := []int{0, 2, 2, 1, 0, 0}
	confidences := []float64{1, 0.5, 0.9, 0.7, 0.6, 0.7}
	for n, want := range map[int][]int{0: {}, 1: {3}, 3: {3, 5, 4}, 10: {3, 5, 4, 1}, -1: {}} {
		if got := Mistakes(labels, predictions, confidences, n); !slices.Equal(got, want) {
			t.Errorf("%d mistakes: got %v, want %v", n, got, want)
		}
	}
}

func TestPictures(t *testing.T) {
	x := tensor.From([]float32{0, 1, 0.5, 2, 0.25, float32(math.NaN()), -1, 1, 1, 1, 0, 0}, 2, 3, 1, 2)
	got, err := ToImages(x, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]color.RGBA{{{0, 128, 64, 255}, {255, 255, 0, 255}}, {{0, 255, 0, 255}, {255, 255, 0, 255}}}
	for i := range want {
		for x, w := range want[i] {
			if g := rgba(got[i], x, 0); g != w {
				t.Errorf("image %d, pixel %d: got %v, want %v", i, x, g, w)
			}
		}
	}
	grey, err := ToImages(tensor.From([]float64{-1, 0, 1, 0.5}, 1, 2, 2), []float64{0.5}, []float64{0.5})
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range []uint8{0, 128, 255, 191} {
		if g := rgba(grey[0], i%2, i/2); g != (color.RGBA{w, w, w, 255}) {
			t.Errorf("normalized pixel %d: got %v, want %d", i, g, w)
		}
	}
	for _, tt := range []struct {
		x         *tensor.Tensor
		mean, std []float64
		want      string
	}{
		{tensor.Zeros(2, 4, 3, 3), nil, nil, "[2 4 3 3]"},
		{tensor.Zeros(3, 3), nil, nil, "[3 3]"},
		{tensor.Zeros(3, 2, 2), []float64{1}, []float64{1, 1, 1}, "1 and 3 values"},
	} {
		if _, err := ToImages(tt.x, tt.mean, tt.std); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want an error with %q", tt.x.Shape(), err, tt.want)
		}
	}
}

func TestConfusion(t *testing.T) {
	m := NewConfusion([]string{"cat", "<dog>", "none"})
	if err := m.Add([]int{0, 0, 0, 1, 1}, []int{0, 0, 1, 1, 0}); err != nil {
		t.Fatal(err)
	}
	for range 7 {
		if err := m.Add([]int{0}, []int{0}); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range [][2][]int{{{0, 3}, {0, 0}}, {{0, 0}, {0, -1}}, {{0}, nil}} {
		if err := m.Add(bad[0], bad[1]); err == nil {
			t.Errorf("Add(%v): got no error, want one", bad)
		}
	}
	if m.Total() != 12 || m.Counts[0][0] != 9 || m.Counts[0][1] != 1 || m.Counts[1][0] != 1 {
		t.Errorf("got %v, want 12 counts, none from a failed Add", m.Counts)
	}
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"recall 0", m.Recall(0), 0.9}, {"recall 1", m.Recall(1), 0.5}, {"recall 2", m.Recall(2), math.NaN()},
		{"precision 0", m.Precision(0), 0.9}, {"precision 2", m.Precision(2), math.NaN()}, {"accuracy", m.Accuracy(), 10.0 / 12},
	} {
		if math.Abs(tt.got-tt.want) > 1e-15 || math.IsNaN(tt.got) != math.IsNaN(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	f := m.Figure()
	wantTexts(t, f, "Confusion matrix", "83.3 % of 12 right; darker: a larger share of the row", "cat", "<dog>", "none", "9", "1", "90.0 %", "50.0 %", "–", "recall", "prediction", "label")
	if got := count(f.Image(), shade(0.9)); got < 1000 {
		t.Errorf("got %d pixels of the shade of 0.9, want most of a cell", got)
	}
	wantTexts(t, NewConfusion(nil).Figure(), "no images")
	wantTexts(t, NewConfusion([]string{"a"}).Figure(), "no images", "–")

	for _, n := range []int{1, 2, 12, 13, 31, 101, 1000} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("class %d %s", i, strings.Repeat("long ", i%9))
		}
		m := NewConfusion(names)
		for i := range n {
			m.Counts[i][i] = 1234567
		}
		f := m.Figure()
		img := f.Image()
		if b := img.Bounds(); b.Dx() != f.width || b.Dx() > 2400 || b.Dy() > 2400 {
			t.Errorf("%d classes: got an image of %v, want one of %d by %d", n, b, f.width, f.height)
		}
		if got := slices.Contains(texts(t, f.SVG()), "1234567"); got != (n <= 30) {
			t.Errorf("%d classes: got counts %v, want %v", n, got, n <= 30)
		}
		if got := count(img, shade(1)); got < 1000 {
			t.Errorf("%d classes: got %d dark pixels, want a diagonal", n, got)
		}
	}
}

func TestFilters(t *testing.T) {
	w := tensor.Zeros(2, 3, 3, 3)
	values := w.Floats()
	values[0], values[9], values[18] = 2, -2, 1 // the first filter's upper left corner
	img, err := Filters(tensor.From(values, 2, 3, 3, 3), "")
	if err != nil {
		t.Fatal(err)
	}
	grey := color.RGBA{128, 128, 128, 255}
	for _, tt := range []struct {
		x, y int
		want color.RGBA
	}{
		{gridMargin, 62, color.RGBA{255, 0, 191, 255}}, {gridMargin + 20, 62, grey}, {gridMargin + 54, 62, grey}, {gridMargin + 50, 62, white},
	} {
		if got := rgba(img, tt.x, tt.y); got != tt.want {
			t.Errorf("pixel %d, %d: got %v, want %v", tt.x, tt.y, got, tt.want)
		}
	}
	for _, shape := range [][]int{{64, 3, 3, 3}, {1, 1, 1, 1}, {96, 3, 11, 11}, {7, 1, 100, 3}} {
		img, err := Filters(tensor.Ones(shape...), "Filters of features.0")
		if err != nil || img.Bounds().Dx() > 1200 || count(img, white) == img.Bounds().Dx()*img.Bounds().Dy() {
			t.Errorf("%v: got %v, %v, want an image at most 1200 wide", shape, img.Bounds(), err)
		}
	}
	values[30] = float32(math.Inf(1))
	for _, tt := range []struct {
		w    *tensor.Tensor
		want string
	}{
		{tensor.Zeros(4, 16, 3, 3), "[4 16 3 3]"},
		{tensor.Zeros(10, 3), "[10 3]"},
		{tensor.From(values, 2, 3, 3, 3), "filter 1"},
	} {
		if _, err := Filters(tt.w, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want an error with %q", tt.w.Shape(), err, tt.want)
		}
	}
}
