package trainer

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"
)

var sampleHistory = []Metrics{
	{Epoch: 1, Step: 10, LR: 0.1, TrainLoss: 2.302585092994046, TrainAccuracy: 0.1, TestLoss: 1.0 / 3, TestAccuracy: 0.25, TrainSeconds: 12.5, TestSeconds: 1, ImagesPerSec: 4000},
	{Epoch: 2, Step: 20, LR: 1e-05, TrainLoss: jsonfloat.Float(math.Inf(1)), TrainAccuracy: jsonfloat.Float(math.NaN()), TestLoss: jsonfloat.Float(math.NaN()), TestAccuracy: 1},
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRecords(dir, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range sampleHistory {
		if err := r.Append(m); err != nil {
			t.Fatal(err)
		}
	}
	csvPath, jsonPath := filepath.Join(dir, csvFile), filepath.Join(dir, jsonlFile)
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	wantCSV := "epoch,step,lr,train_loss,train_accuracy,test_loss,test_accuracy,train_seconds,test_seconds,images_per_sec\n" +
		"1,10,0.1,2.302585092994046,0.1,0.3333333333333333,0.25,12.5,1,4000\n" +
		"2,20,1e-05,+Inf,,,1,0,0,0\n"
	wantJSON := `{"epoch":1,"step":10,"lr":0.1,"train_loss":2.302585092994046,"train_accuracy":0.1,"test_loss":0.3333333333333333,"test_accuracy":0.25,"train_seconds":12.5,"test_seconds":1,"images_per_sec":4000}` + "\n" +
		`{"epoch":2,"step":20,"lr":1e-05,"train_loss":"+Inf","train_accuracy":null,"test_loss":null,"test_accuracy":1,"train_seconds":0,"test_seconds":0,"images_per_sec":0}` + "\n"
	if diff := cmp.Diff(wantCSV, read(csvPath)); diff != "" {
		t.Errorf("metrics.csv (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(wantJSON, read(jsonPath)); diff != "" {
		t.Errorf("metrics.jsonl (-want +got):\n%s", diff)
	}

	// ReadMetrics gets them back, without a line that was cut.
	if err := appendTo(jsonPath, []byte(`{"epoch":3,"st`)); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMetrics(dir)
	if diff := cmp.Diff(sampleHistory, got, cmp.Comparer(func(a, b jsonfloat.Float) bool { return a == b || a != a && b != b })); err != nil || diff != "" {
		t.Errorf("ReadMetrics: %v (-want +got):\n%s", err, diff)
	}
	if err := os.WriteFile(jsonPath, []byte(wantJSON), 0o666); err != nil {
		t.Fatal(err)
	}

	// Any reader of the formats gets the same numbers.
	rows, err := csv.NewReader(strings.NewReader(read(csvPath))).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("got %d rows, error %v", len(rows), err)
	}
	for i, line := range strings.Split(strings.TrimSpace(read(jsonPath)), "\n") {
		var object map[string]*json.RawMessage
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		for k, name := range rows[0] {
			want, _ := sampleHistory[i].Value(name)
			text := ""
			if object[name] != nil {
				text = strings.Trim(string(*object[name]), `"`)
			}
			if text != rows[i+1][k] {
				t.Errorf("epoch %d, %s: %q in the one, %q in the other", i+1, name, text, rows[i+1][k])
			}
			if got, err := strconv.ParseFloat(text, 64); math.IsNaN(want) != (text == "") || err == nil && got != want {
				t.Errorf("epoch %d, %s: got %v, want %v", i+1, name, text, want)
			}
		}
	}

	// Resuming after the first epoch takes back what is behind it and what was cut.
	if err := os.WriteFile(csvPath, []byte(wantCSV[:len(wantCSV)-7]), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err = OpenRecords(dir, sampleHistory[:1], true)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(csvPath); got != strings.Join(strings.SplitAfter(wantCSV, "\n")[:2], "") {
		t.Errorf("resumed: metrics.csv is %q", got)
	}
	if err := r.Append(sampleHistory[1]); err != nil {
		t.Fatal(err)
	}
	if read(csvPath) != wantCSV || read(jsonPath) != wantJSON {
		t.Errorf("resumed and appended: got %q and %q", read(csvPath), read(jsonPath))
	}

	if _, err := OpenRecords(dir, nil, false); err == nil || !strings.Contains(err.Error(), csvPath+" is there already") {
		t.Errorf("a second run in the folder: got error %v, want one that names the file", err)
	}
	if _, err := OpenRecords(filepath.Join(dir, "absent"), nil, false); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("no folder: got error %v, want one that names it", err)
	}
}

func TestRunConfig(t *testing.T) {
	c := settings[0].config(t)
	c.Dir, c.Epochs = t.TempDir(), 1
	c.Settings = map[string]string{"lr": "0.05", "dataset": "images"}
	c.Callbacks = []Callback{ClipGradNorm(1)}
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRunConfig(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Seed != 3 || got.Epochs != 1 || got.Model != "Sequential" || got.Parameters != 380 || got.DType != "float32" || got.Device != "cpu" ||
		got.Loss != "layers.CrossEntropyLoss" || got.Monitor != "test_accuracy" || got.Accumulate != 1 || got.Workers != 2 {
		t.Errorf("got %+v", got)
	}
	if got.System != runtime.GOOS+"/"+runtime.GOARCH || got.Versions["go"] != runtime.Version() || len(got.Command) == 0 || got.Started.IsZero() {
		t.Errorf("the system: got %q, %q, %q, %v", got.System, got.Versions, got.Command, got.Started)
	}
	if diff := cmp.Diff(c.Settings, got.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"clip_grad_norm"}, got.Callbacks); diff != "" {
		t.Errorf("callbacks (-want +got):\n%s", diff)
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(got.Optimizer, &o); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprintf("%s %s %s %s %s", o["type"], o["lrs"], o["Momentum"], o["WeightDecay"], o["Nesterov"]); strings.Join(strings.Fields(s), "") != `"SGD"[0.05]0.90.001true` {
		t.Errorf("the optimizer: got %s", s)
	}
	if got.Scheduler == nil || got.Scheduler.Scheduler != "MultiStepLR" || got.Scheduler.LRs[0] != 0.05 {
		t.Errorf("the scheduler: got %+v", got.Scheduler)
	}
	if got.Train == nil || got.Train.Length != examples || got.Train.Batch != batchSize || !got.Train.Shuffle || got.Train.Seed != 3 || got.Test.Seed != 9 {
		t.Errorf("the data: got %+v and %+v", got.Train, got.Test)
	}

	if err := os.WriteFile(filepath.Join(c.Dir, configFile), []byte(`{"started"`), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRunConfig(c.Dir); err == nil || !strings.Contains(err.Error(), filepath.Join(c.Dir, configFile)+" is damaged") {
		t.Errorf("damaged: got error %v, want one that names the file", err)
	}
}

// A run without classes has no accuracy, nowhere.
func TestRegression(t *testing.T) {
	c := regression(t)
	c.Dir = t.TempDir()
	var names []string
	c.Callbacks = []Callback{Curves(), {Epoch: func(r *Run, m *Metrics) error {
		for name := range r.scalars(m) {
			names = append(names, name)
		}
		return nil
	}}}
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) > 0 {
		t.Fatalf("got error %v, warnings %v", err, r.Warnings)
	}
	for _, name := range append(names, ls(t, c.Dir)...) {
		if strings.Contains(name, "accuracy") {
			t.Errorf("there is %s", name)
		}
	}
	if !slices.Contains(ls(t, c.Dir), "loss.png") || !slices.Contains(names, "loss/test") || !slices.Contains(names, "samples_per_sec") || slices.Contains(names, "images_per_sec") {
		t.Errorf("there are %q and %q, want the loss", ls(t, c.Dir), names)
	}
	if m := r.History[1]; !math.IsNaN(float64(m.TrainAccuracy)) || !math.IsNaN(float64(m.TestAccuracy)) || !(m.TestLoss > 0) {
		t.Errorf("got %+v", m)
	}
	// What watches an accuracy says so.
	d := regression(t)
	d.Monitor = "test_accuracy"
	if r, err := Fit(t.Context(), d); err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), "Monitor is test_accuracy, which was not measured") {
		t.Errorf("Monitor: got error %v, warnings %v", err, r.Warnings)
	}
}
