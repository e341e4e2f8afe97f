package tensorboard

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/tensor"
)

// read runs testdata/read.py with the interpreter that WICK_PYTHON names, which
// has tensorboard 2.21.0, and decodes what it prints.
func read(t *testing.T, out any, args ...string) {
	t.Helper()
	python := os.Getenv("WICK_PYTHON")
	if python == "" {
		t.Skip("WICK_PYTHON names no Python interpreter with tensorboard, whose own reader this test runs")
	}
	cmd := exec.Command(python, append([]string{"-B", "testdata/read.py"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("read.py %q: %v\n%s", args, err, stderr.Bytes())
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("read.py %q: %v in %.200q", args, err, b)
	}
}

// fill writes one record of each kind, or a few.
func fill(t *testing.T, w *Writer) {
	t.Helper()
	for step := range 3 {
		check(t, w.AddScalar("loss/train", 1/float64(step+1), step))
	}
	check(t,
		w.AddImage("pred", picture(color.NRGBA{255, 128, 0, 255}), 4),
		w.AddHistogram("weight", tensor.From([]float32{-1, 0, 0.5, 0.5, 2, float32(math.Inf(1))}, 6), 1),
		w.AddText("note", "# größer", 2),
		w.AddGraph(testModel()),
		w.AddHParams([]byte(hparamsJSON), map[string]float64{"accuracy": 0.75}, 5),
		w.AddScalar("bad \xff tag", 1, 0),
		w.AddScalar("loss/train", 0.125, 300),
	)
}

// The real EventAccumulator finds everything.
func TestRealReader(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(dir)
	check(t, err)
	defer w.Close()
	fill(t, w) // not closed: what is read is what a killed program leaves

	type histo struct {
		Step               int
		Min, Max, Num, Sum float64
		Counts             []float64
	}
	var got struct {
		Scalars map[string][][2]float64
		Images  map[string][]struct {
			Step, Width, Height int
			PNG                 string
		}
		Histograms map[string][]histo
		Texts      map[string][][2]any
		Graph      [][]any
		HParams    struct {
			Values  map[string]any
			Status  int
			Metrics []string
		}
	}
	read(t, &got, "all", dir)
	diff := func(what string, want, got any) {
		t.Helper()
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
	diff("scalars", map[string][][2]float64{
		"loss/train":     {{0, 1}, {1, 0.5}, {2, float64(float32(1.0 / 3))}, {300, 0.125}},
		"accuracy":       {{5, 0.75}},
		"bad \uFFFD tag": {{0, 1}},
	}, got.Scalars)
	diff("histograms", map[string][]histo{"weight": {{1, -1, 2, 5, 2, []float64{1, 1, 2, 1}}}}, got.Histograms)
	diff("texts", map[string][][2]any{"note/text_summary": {{2.0, "# größer"}}}, got.Texts)
	diff("hyperparameters", map[string]any{"lr": 0.05, "cfg": `[64,"M"]`, "augment": true, "optimizer.name": "SGD", "optimizer.nesterov": false}, got.HParams.Values)
	diff("metrics", []string{"accuracy"}, got.HParams.Metrics)
	diff("status", 1, got.HParams.Status)
	if len(got.Graph) != 8 {
		t.Fatalf("graph: got %d nodes, want 8", len(got.Graph))
	}
	diff("a node", []any{"Sequential/Conv2d[0]", "Conv2d", []any{"input"},
		map[string]any{"settings": "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))", "weight": "[4 3 3 3]", "bias": "[4]"}}, got.Graph[1])
	if p := got.Images["pred"]; len(p) != 1 || p[0].Step != 4 || p[0].Width != 3 || p[0].Height != 2 {
		t.Fatalf("images: got %v, want one at step 4 of 3×2", got.Images)
	}
	b, err := hex.DecodeString(got.Images["pred"][0].PNG)
	check(t, err)
	m, err := png.Decode(bytes.NewReader(b))
	check(t, err)
	diff("pixel", color.Color(color.RGBA{255, 128, 0, 255}), m.At(2, 1))
}

// Of a file cut at any byte, and of one that grows by one byte at a time, the real
// loader reads the whole records.
func TestRealReaderCut(t *testing.T) {
	dir := t.TempDir()
	w, err := NewWriter(dir)
	check(t, err)
	fill(t, w)
	check(t, w.Close())
	b, err := os.ReadFile(w.Path())
	check(t, err)
	want := make([]int, len(b)+1) // whole records up to each byte
	for at, n := 0, 0; at < len(b); n++ {
		size := 16 + int(binary.LittleEndian.Uint64(b[at:]))
		for i := at; i < at+size; i++ {
			want[i] = n
		}
		at += size
		want[at] = n + 1
	}
	for _, how := range []string{"cut", "grow"} {
		var got []int
		read(t, &got, how, w.Path())
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: records by byte (-want +got):\n%s", how, d)
		}
		t.Logf("%s: %d bytes, %d records", how, len(b), want[len(b)])
	}
}

// A run that goes on in a new file after a stop takes the place of the steps that
// the old one wrote beyond the checkpoint.
func TestRealReaderPurge(t *testing.T) {
	dir := t.TempDir()
	for i, o := range []Opts{{}, {PurgeStep: 3}} {
		// Files are read in the order of their names.
		w, err := newWriter(filepath.Join(dir, "events.out.tfevents."+string(rune('1'+i))), o, fixed(t, o).now)
		check(t, err)
		for step := o.PurgeStep; step < 5; step++ {
			check(t, w.AddScalar("loss", float64(10*i+step), step))
		}
		check(t, w.Close())
	}
	var got struct{ Scalars map[string][][2]float64 }
	read(t, &got, "all", dir)
	want := map[string][][2]float64{"loss": {{0, 0}, {1, 1}, {2, 2}, {3, 13}, {4, 14}}}
	if d := cmp.Diff(want, got.Scalars); d != "" {
		t.Errorf("scalars (-want +got):\n%s", d)
	}
}

// TensorBoard's table of hyperparameters has a line for each run of a folder.
func TestRealReaderHParams(t *testing.T) {
	dir := t.TempDir()
	for name, config := range map[string]string{"a": `{"lr": 0.1, "nesterov": true}`, "b": `{"lr": 0.01, "nesterov": false}`} {
		w, err := NewWriter(filepath.Join(dir, name))
		check(t, err)
		check(t, w.AddScalar("accuracy", 0.25, 1), w.AddHParams([]byte(config), map[string]float64{"accuracy": 0.5}, 2), w.Close())
	}
	type group struct {
		HParams  map[string]any
		Metrics  map[string][2]float64
		Sessions []string
	}
	var got []group
	read(t, &got, "hparams", dir)
	byRun := map[string]group{}
	for _, g := range got {
		if len(g.Sessions) == 1 {
			byRun[g.Sessions[0]] = g
		}
	}
	accuracy := map[string][2]float64{"accuracy": {2, 0.5}}
	want := map[string]group{
		"a": {map[string]any{"lr": 0.1, "nesterov": true}, accuracy, []string{"a"}},
		"b": {map[string]any{"lr": 0.01, "nesterov": false}, accuracy, []string{"b"}},
	}
	if d := cmp.Diff(want, byRun); d != "" {
		t.Errorf("sessions (-want +got):\n%s", d)
	}
}
