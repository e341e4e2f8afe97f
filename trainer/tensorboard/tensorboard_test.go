package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
)

// fixed is a writer whose clock stands still.
func fixed(t *testing.T, o Opts) *Writer {
	t.Helper()
	w, err := newWriter(filepath.Join(t.TempDir(), "run", "events.out.tfevents.0"), o, func() time.Time { return time.UnixMilli(1700000000250) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// events reads the whole records of a file.
func events(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	var out [][]byte
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		if got, want := binary.LittleEndian.Uint32(b[8:]), masked(b[:8]); got != want {
			t.Fatalf("record %d: got checksum %x of the length, want %x", len(out), got, want)
		}
		event := b[12 : 12+n]
		if got, want := binary.LittleEndian.Uint32(b[12+n:]), masked(event); got != want {
			t.Fatalf("record %d: got checksum %x, want %x", len(out), got, want)
		}
		out = append(out, event)
		b = b[16+n:]
	}
	return out
}

// field returns the contents of a message's fields with a number; of those that
// are not bytes, the raw number.
func field(t *testing.T, message []byte, number uint64) [][]byte {
	t.Helper()
	var out [][]byte
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		message = message[n:]
		size := 0
		switch key & 7 {
		case 0:
			_, size = binary.Uvarint(message)
		case 1:
			size = 8
		case 2:
			v, n := binary.Uvarint(message)
			message, size = message[n:], int(v)
		case 5:
			size = 4
		default:
			t.Fatalf("got a field of kind %d", key&7)
		}
		if key>>3 == number {
			out = append(out, message[:size])
		}
		message = message[size:]
	}
	return out
}

// hparams are those of testdata/reference.py.
const hparamsJSON = `{"lr": 0.05, "cfg": [64, "M"], "augment": true, "resume": null,
	"optimizer": {"name": "SGD", "nesterov": false}}`

// The same calls that testdata/reference.py makes of the Python packages give the
// same bytes.
func TestReference(t *testing.T) {
	w := fixed(t, Opts{PurgeStep: 9})
	check(t,
		w.AddScalar("loss/train", 2.5, 0),
		w.AddScalar("loss/train", math.NaN(), 300),
		w.AddHistogram("weight", tensor.From([]float64{-3, -0.5, 0, 0, 0.125, 0.5, 0.5, 2.25}, 2, 4), 1),
		w.AddText("note", "*größer* than < before", 2),
		w.AddHParams([]byte(hparamsJSON), map[string]float64{"accuracy": 0.75}, 5),
	)
	got, want := events(t, w.Path()), events(t, "testdata/reference.tfevents")
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	for i := range got {
		if d := cmp.Diff(hex.Dump(want[i]), hex.Dump(got[i])); d != "" {
			t.Errorf("record %d (-want +got):\n%s", i, d)
		}
	}
}

func TestHistogramReference(t *testing.T) {
	type bin = [3]float64 // left, right, count
	var cases map[string]struct {
		Values             []float64
		Min, Max, Num, Sum float64
		SumSquares         float64 `json:"sum_squares"`
		Bins               []bin
	}
	b, err := os.ReadFile("testdata/histograms.json")
	check(t, err)
	check(t, json.Unmarshal(b, &cases))
	if len(cases) < 8 {
		t.Fatalf("got %d cases, want 8 or more", len(cases))
	}
	for name, c := range cases {
		h := count(c.Values)
		var got []bin
		for i, n := range h.counts {
			if n > 0 {
				got = append(got, bin{h.limits[i-1], h.limits[i], n})
			} else if i > 0 && h.counts[i-1] == 0 {
				t.Errorf("%s: bins %d and %d are both empty, want them merged", name, i-1, i)
			}
		}
		if d := cmp.Diff(c.Bins, got); d != "" {
			t.Errorf("%s: bins (-want +got):\n%s", name, d)
		}
		for _, v := range []struct {
			name      string
			got, want float64
		}{{"min", h.min, c.Min}, {"max", h.max, c.Max}, {"num", h.n, c.Num}, {"sum", h.sum, c.Sum}, {"sum of squares", h.sumSquares, c.SumSquares}} {
			if math.Abs(v.got-v.want) > 1e-12*math.Abs(v.want)+1e-12 {
				t.Errorf("%s: %s: got %v, want %v", name, v.name, v.got, v.want)
			}
		}
	}
}

// The fast way for float32 counts as the plain one does.
func TestHistogramFloat32(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	values := []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1e-12, -1e-12, 1e20, -1e20, 3e38, -3e38, nan, inf, -inf}
	for _, edge := range binning().edges { // and what is around them
		x := float32(edge)
		values = append(values, x, math.Nextafter32(x, inf), math.Nextafter32(x, -inf))
	}
	for range 200_000 { // of all sizes
		values = append(values, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()))
	}
	for _, n := range []int{1, 13, 1 << 16, 1<<16 + 1, len(values)} {
		in := values[:n]
		wide := make([]float64, n)
		for i, v := range in {
			wide[i] = float64(v)
		}
		got, want := count32(in), count(wide)
		if math.Abs(got.sum-want.sum) > 1e-9*want.sumSquares || math.Abs(got.sumSquares/want.sumSquares-1) > 1e-12 {
			t.Errorf("%d values: got sums %v and %v, want %v and %v", n, got.sum, got.sumSquares, want.sum, want.sumSquares)
		}
		got.sum, got.sumSquares = want.sum, want.sumSquares
		if d := cmp.Diff(want, got, cmp.AllowUnexported(histogram{})); d != "" {
			t.Errorf("%d values (-plain +fast):\n%.500s", n, d)
		}
	}
}

func BenchmarkHistogram(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 1<<21)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	b.SetBytes(int64(4 * len(values)))
	for b.Loop() {
		count32(values)
	}
}

func TestHistogramOddValues(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		name string
		in   []float64
		want histogram
	}{
		{"nothing finite", []float64{nan, inf, -inf}, histogram{limits: []float64{0}, counts: []float64{0}}},
		{"some not finite", []float64{nan, 0, inf}, histogram{n: 1, limits: []float64{0, 1e-12}, counts: []float64{0, 1}}},
	} {
		if d := cmp.Diff(c.want, count(c.in), cmp.AllowUnexported(histogram{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
	far := count([]float64{-1e300, 1e300})
	if got := far.counts; len(got) != 4 || got[1] != 1 || got[3] != 1 {
		t.Errorf("values beyond the limits: got counts %v, want 1 in the first and the last bin", got)
	}
	w := fixed(t, Opts{})
	check(t, w.AddHistogram("labels", tensor.From([]int64{1, 2, 2}, 3), 0))
	if err := w.AddHistogram("none", tensor.Zeros(0, 3), 0); err == nil || !strings.Contains(err.Error(), "[0 3]") {
		t.Errorf("a tensor without elements: got %v, want an error with its shape", err)
	}
	if got := len(events(t, w.Path())); got != 2 {
		t.Errorf("got %d records, want the version and one histogram", got)
	}
}

func picture(c color.Color) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(10, 20, 13, 22)) // does not start at 0
	for y := 20; y < 22; y++ {
		for x := 10; x < 13; x++ {
			m.Set(x, y, c)
		}
	}
	return m
}

func TestAddImage(t *testing.T) {
	for _, c := range []struct {
		name   string
		img    image.Image
		prefix string // height, width, color space
	}{
		{"RGB", picture(color.NRGBA{255, 128, 0, 255}), "080210031803"},
		{"RGBA", picture(color.NRGBA{255, 128, 0, 100}), "080210031804"},
		{"gray", image.NewGray(image.Rect(0, 0, 3, 2)), "080210031801"},
	} {
		w := fixed(t, Opts{})
		check(t, w.AddImage("pred", c.img, 7))
		value := field(t, field(t, events(t, w.Path())[1], eventSummary)[0], 1)[0]
		img := field(t, value, valueImage)[0]
		if got := hex.EncodeToString(img[:6]); got != c.prefix {
			t.Errorf("%s: got %s, want %s", c.name, got, c.prefix)
		}
		m, err := png.Decode(bytes.NewReader(field(t, img, 4)[0]))
		check(t, err)
		b := c.img.Bounds()
		if got, want := color.NRGBAModel.Convert(m.At(2, 1)), color.NRGBAModel.Convert(c.img.At(b.Min.X+2, b.Min.Y+1)); got != want {
			t.Errorf("%s: got pixel %v, want %v", c.name, got, want)
		}
	}
	w := fixed(t, Opts{})
	if err := w.AddImage("pred", image.NewGray(image.Rect(0, 0, 0, 2)), 0); err == nil || !strings.Contains(err.Error(), "pred") {
		t.Errorf("an image without pixels: got %v, want an error with the tag", err)
	}
}

// block is a model of one's own: the way of the data through it is not known.
type block struct {
	conv  *layers.Conv2d
	short *layers.Sequential
	scale *tensor.Tensor
}

func (b *block) Parts() []layers.Part {
	return []layers.Part{layers.Param("scale", b.scale), layers.Child("conv", b.conv), layers.Child("short", b.short)}
}

func (b *block) Forward(x *tensor.Tensor) *tensor.Tensor {
	return b.conv.Forward(x).Add(b.short.Forward(x)).Mul(b.scale)
}

func testModel() layers.Module {
	return layers.NewSequential(
		layers.NewConv2d(3, 4, 3, layers.ConvOpts{Padding: 1}),
		layers.ReLU{},
		layers.NewSequential(layers.Flatten{}),
		&block{layers.NewConv2d(4, 4, 1), layers.NewSequential(), tensor.Ones(1)},
		layers.NewLinear(4, 2),
	)
}

func TestAddGraph(t *testing.T) {
	w := fixed(t, Opts{})
	check(t, w.AddGraph(testModel()))
	var got []string
	for _, n := range field(t, field(t, events(t, w.Path())[1], eventGraphDef)[0], 1) {
		line := fmt.Sprintf("%s %s ← %s", field(t, n, 1)[0], field(t, n, 2)[0], bytes.Join(field(t, n, 3), []byte(", ")))
		for _, a := range field(t, n, 5) {
			line += fmt.Sprintf("; %s=%s", field(t, a, 1)[0], field(t, field(t, a, 2)[0], 2)[0])
		}
		got = append(got, line)
	}
	want := []string{
		"input IO Node ← ",
		"Sequential/Conv2d[0] Conv2d ← input; settings=Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)); weight=[4 3 3 3]; bias=[4]",
		"Sequential/ReLU[1] ReLU ← Sequential/Conv2d[0]; settings=ReLU()",
		"Sequential/Sequential[2]/Flatten[0] Flatten ← Sequential/ReLU[1]; settings=Flatten(start_dim=1, end_dim=-1)",
		"Sequential/block[3]/parameters Parameters ← ; scale=[1]",
		"Sequential/block[3]/Conv2d[conv] Conv2d ← ^Sequential/Sequential[2]/Flatten[0]; settings=Conv2d(4, 4, kernel_size=(1, 1), stride=(1, 1)); weight=[4 4 1 1]; bias=[4]",
		"Sequential/Linear[4] Linear ← ^Sequential/block[3]/Conv2d[conv]; settings=Linear(in_features=4, out_features=2, bias=True); weight=[2 4]; bias=[2]",
		"output IO Node ← Sequential/Linear[4]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
}

func TestAddHParamsErrors(t *testing.T) {
	w := fixed(t, Opts{})
	for _, c := range []struct{ in, want string }{
		{``, "JSON object"},
		{`[1]`, `[1]`},
		{`null`, "JSON object"},
		{`{"a": 1`, "JSON object"},
		{`{"a": {"b": 1e999}}`, "b: "},
	} {
		if err := w.AddHParams([]byte(c.in), nil, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.in, err, c.want)
		}
	}
	if got := len(events(t, w.Path())); got != 1 {
		t.Errorf("got %d records, want the version only", got)
	}
}

func TestErrors(t *testing.T) {
	occupied := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(occupied, nil, 0o666))
	if _, err := NewWriter(occupied); err == nil || !strings.Contains(err.Error(), occupied) {
		t.Errorf("a folder that is a file: got %v, want an error with its name", err)
	}
	if _, err := NewWriter(t.TempDir(), Opts{PurgeStep: -1}); err == nil {
		t.Error("PurgeStep -1: got no error")
	}
	w, err := NewWriter(filepath.Join(t.TempDir(), "logs", "run"))
	check(t, err)
	for name, err := range map[string]error{
		"AddScalar":    w.AddScalar("x", 1, -1),
		"AddImage":     w.AddImage("x", picture(color.Black), -1),
		"AddHistogram": w.AddHistogram("x", tensor.Ones(1), -1),
		"AddText":      w.AddText("x", "", -1),
		"AddHParams":   w.AddHParams([]byte("{}"), nil, -1),
	} {
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "step -1") {
			t.Errorf("%s with step -1: got %v, want an error that says both", name, err)
		}
	}
	check(t, w.Flush(), w.Close())
	for name, err := range map[string]error{"AddScalar": w.AddScalar("x", 1, 0), "Flush": w.Flush(), "Close": w.Close()} {
		if err == nil || !strings.Contains(err.Error(), w.Path()) {
			t.Errorf("%s after Close: got %v, want an error with the file's name", name, err)
		}
	}
}

// Two writers of one moment and folder have files of their own, and records from
// many goroutines stay whole.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	var writers []*Writer
	for range 2 {
		w, err := NewWriter(dir)
		check(t, err)
		defer w.Close()
		writers = append(writers, w)
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				if err := writers[g%2].AddScalar(strings.Repeat("x", g*10+i), float64(i), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, w := range writers {
		if got := len(events(t, w.Path())); got != 101 {
			t.Errorf("%s: got %d records, want 101", w.Path(), got)
		}
	}
}
