package trainer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// constant is a metric that comes to v.
func constant(name string, v float64) Metric {
	return Metric{Name: name, Sums: func(*datasets.Batch, *Pass) *tensor.Tensor { return tensor.Full(1) }, Value: func([]float64) float64 { return v }}
}

func TestMetricErrors(t *testing.T) {
	ok := func(*datasets.Batch, *Pass) *tensor.Tensor { return tensor.Ones(2) }
	one := func(m Metric) func(c *Config) { return func(c *Config) { c.Metrics = []Metric{m} } }
	sums := func(x *tensor.Tensor) func(c *Config) {
		return one(Metric{Name: "x", Sums: func(*datasets.Batch, *Pass) *tensor.Tensor { return x }, Value: func(s []float64) float64 { return s[0] }})
	}
	n := 0
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no name", one(Metric{Sums: ok}), "trainer: Metrics[0] has no Name"},
		{"a line's end", one(Metric{Name: "a\nb", Sums: ok}), `trainer: Metrics[0] is called "a\nb", want printable characters in one line, without space around them`},
		{"a tab", one(Metric{Name: "a\tb", Sums: ok}), `Metrics[0] is called "a\tb", want printable`},
		{"space around", one(Metric{Name: " a", Sums: ok}), `Metrics[0] is called " a", want printable`},
		{"no UTF-8", one(Metric{Name: "a\xff", Sums: ok}), `Metrics[0] is called "a\xff", want printable`},
		{"loss", one(Metric{Name: "loss", Sums: ok}), `Metrics[0] is called "loss", which Fit has itself; want another name than loss, accuracy and seconds`},
		{"Accuracy", one(Metric{Name: "Accuracy", Sums: ok}), `Metrics[0] is called "Accuracy", which Fit has itself`},
		{"seconds", one(Metric{Name: "seconds", Sums: ok}), `Metrics[0] is called "seconds", which Fit has itself`},
		{"twice", func(c *Config) { c.Metrics = []Metric{{Name: "f1", Sums: ok}, {Name: "F1", Sums: ok}} }, `Metrics[1] is called "F1", and Metrics[0] "f1", want names that differ in letters or digits`},
		{"one file", func(c *Config) { c.Metrics = []Metric{{Name: "a/b", Sums: ok}, {Name: "a:b", Sums: ok}} }, `Metrics[1] is called "a:b", and Metrics[0] "a/b", want names`},
		{"no Sums", one(Metric{Name: "f1"}), `Metrics[0] is called "f1", and has no Sums`},
		{"a Mean of nothing", one(Mean("f1", sched.Min, nil)), `Metrics[0] is called "f1", and has no Sums`},
		{"a Mode", one(Metric{Name: "f1", Sums: ok, Mode: 7}), `Metrics[0] is called "f1", and its Mode is 7, want sched.Min or sched.Max`},
		{"both alone", one(Metric{Name: "f1", Sums: ok, TrainOnly: true, TestOnly: true}), "is both TrainOnly and TestOnly"},
		{"Monitor", func(c *Config) {
			c.Monitor, c.Mode = "test_f2", sched.Min
			c.Metrics = []Metric{{Name: "f1", Sums: ok}}
		},
			`Monitor is "test_f2", want one of train_loss, train_accuracy, test_loss, test_accuracy, train_f1, test_f1`},
		{"Monitor of the training", func(c *Config) {
			c.Monitor, c.Mode = "test_f1", sched.Min
			c.Metrics = []Metric{{Name: "f1", Sums: ok, TrainOnly: true}}
		},
			`Monitor is "test_f1", want one of train_loss, train_accuracy, test_loss, test_accuracy, train_f1`},
		{"Monitor without Test", func(c *Config) {
			c.Monitor, c.Test = "test_f1", nil
			c.Metrics = []Metric{{Name: "f1", Mode: sched.Max, Sums: ok}}
		},
			`Monitor is "test_f1", and the run has no Test data; want train_loss, train_accuracy or train_f1`},
		{"two Modes", func(c *Config) {
			c.Monitor, c.Mode = "test_f1", sched.Max
			c.Metrics = []Metric{{Name: "f1", Sums: ok}}
		},
			`Monitor is "test_f1" with sched.Max, and the metric's Mode is sched.Min; want one of the two`},
		{"EarlyStopping's Mode", func(c *Config) {
			c.Metrics = []Metric{{Name: "f1", Mode: sched.Max, Sums: ok}}
			c.Callbacks = []Callback{EarlyStopping("test_f1", sched.Min, 1, 0)}
		}, `EarlyStopping's metric is "test_f1" with sched.Min, and the metric's Mode is sched.Max`},
		{"EarlyStopping's name", func(c *Config) { c.Callbacks = []Callback{EarlyStopping("f1", sched.Min, 1, 0)} }, `EarlyStopping's metric is "f1", want one of train_loss`},

		{"nil", sums(nil), `epoch 1, batch 1, the metric "x": tensor: Metric: Sums returned nil, want one number or more`},
		{"no number", sums(tensor.Zeros(0)), `the metric "x": tensor: Metric: Sums returned [0], want one number or more`},
		{"sizes that differ", one(Metric{Name: "x", Value: func(s []float64) float64 { return s[0] }, Sums: func(*datasets.Batch, *Pass) *tensor.Tensor { n++; return tensor.Ones(n) }}),
			`epoch 1, batch 2, the metric "x": tensor: Metric: Sums returned 2 numbers, and 1 for the batches before, want as many for each`},
		{"three and no Value", one(Metric{Name: "x", Sums: func(*datasets.Batch, *Pass) *tensor.Tensor { return tensor.Ones(3) }}),
			`the metric "x": tensor: Metric: Sums returned 3 numbers, and there is no Value, want two numbers, of which the first is divided by the second`},
		{"a mean that is no scalar", one(Mean("x", sched.Min, func(*datasets.Batch, *Pass) (value, weight *tensor.Tensor) { return tensor.Ones(2), nil })),
			"tensor: Mean: the value of a batch is [2] and its weight nil, want scalars"},
		{"a mean of nil", one(Mean("x", sched.Min, func(*datasets.Batch, *Pass) (value, weight *tensor.Tensor) { return nil, nil })), "the value of a batch is nil"},
		{"a panic in Sums", one(Metric{Name: "x", Sums: func(*datasets.Batch, *Pass) *tensor.Tensor { panic("oh") }}), `trainer: epoch 1, batch 1, the metric "x": panic at `},
		{"an index that there is not", one(Metric{Name: "x", Sums: func(b *datasets.Batch, _ *Pass) *tensor.Tensor { return b.Inputs[1] }}), "index out of range [1] with length 1"},
		{"a shape that does not fit", one(Metric{Name: "x", Sums: func(b *datasets.Batch, p *Pass) *tensor.Tensor { return p.Scores.Add(b.Inputs[0]) }}), `, the metric "x": at `},
		{"a panic in Value", one(Metric{Name: "x", Sums: ok, Value: func(s []float64) float64 { return s[7] }}), `batch 10, the metric "x": panic at `},
		{"a panic in the test", one(Metric{Name: "x", TestOnly: true, Sums: func(b *datasets.Batch, _ *Pass) *tensor.Tensor { return b.Inputs[1] }}), `trainer: the test of epoch 1, batch 1, the metric "x": panic at `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := settings[0].config(t)
			ended := ""
			tt.change(&c)
			c.Callbacks = append(c.Callbacks, Callback{End: func(r *Run) { ended = fmt.Sprint(r.Err) }})
			_, err := Fit(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v\nwant %s", err, tt.want)
			}
			if strings.Contains(tt.want, "batch") {
				if !errors.As(err, new(*PanicError)) || ended != err.Error() {
					t.Errorf("got a %T, want a *PanicError; the run's Err was %s", err, ended)
				}
			}
			if (strings.Contains(tt.want, "tensor: ") || tt.name == "a shape that does not fit") && !errors.As(err, new(*tensor.Error)) {
				t.Errorf("there is no *tensor.Error in %v", err)
			}
		})
	}
}

func TestForwardErrors(t *testing.T) {
	scalar := tensor.Full(1)
	linear := layers.NewLinear(192, 4)
	forward := func(p Pass) func(c *Config) {
		return func(c *Config) {
			c.Loss = nil
			c.Forward = func(b *datasets.Batch) Pass {
				if p.Loss == scalar {
					p.Loss = linear.Forward(b.Inputs[0].Flatten(1)).Mean()
				}
				return p
			}
		}
	}
	several := func(c *Config) {
		c.Train = &datasets.DataLoader{Dataset: datasets.Multi(withMeans{pictures(t, 8, 1)}), BatchSize: 4}
	}
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   string
	}{
		{"no Loss", forward(Pass{}), "trainer: epoch 1, batch 1: tensor: Fit: the Config's Forward returned a Pass without a Loss, want a scalar"},
		{"no scalar", forward(Pass{Loss: tensor.Ones(3)}), "the Config's Forward returned the Loss [3], want a scalar; Mean or Sum makes one"},
		{"a loss of nothing", forward(Pass{Loss: tensor.Ones(1)}), "Backward"},
		{"a nil output", forward(Pass{Loss: scalar, Outputs: []*tensor.Tensor{scalar, nil}}), "the Config's Forward returned nil as output 1 of 2, want a tensor"},
		{"Scores alone", forward(Pass{Loss: scalar, Scores: scalar}), "the Config's Forward returned one of Scores and Labels, want both, or neither where there are no classes"},
		{"classes last", forward(Pass{Loss: scalar, Scores: tensor.Zeros(4, 5, 2), Labels: tensor.Zeros(4, 5).ToDType(tensor.Int64)}),
			"returned the Scores [4 5 2] and the Labels int64 [4 5], want scores [N classes …] of two classes or more and labels int64 [N …]"},
		{"labels of another type", forward(Pass{Loss: scalar, Scores: tensor.Zeros(4, 2), Labels: tensor.Zeros(4)}), "and the Labels float32 [4], want scores"},
		{"one class", forward(Pass{Loss: scalar, Scores: tensor.Zeros(4, 1), Labels: tensor.Zeros(4).ToDType(tensor.Int64)}), "the Scores [4 1] and the Labels int64 [4], want scores"},
		{"Labels alone", forward(Pass{Loss: scalar, Labels: scalar}), "returned one of Scores and Labels"},
		{"Model and Module", func(c *Config) { c.Module = linear }, "trainer: the Config has both Model and Module, want one of them"},
		{"Loss and Forward", func(c *Config) { c.Forward = func(*datasets.Batch) Pass { return Pass{} } }, "trainer: the Config has both Loss and Forward, want one of them"},
		{"Module without Forward", func(c *Config) { c.Model, c.Module, c.Loss = nil, &heads{}, nil }, "trainer: the Config has a Module (*trainer.heads) and no Forward, which says what is made of a batch with it"},
		{"Module and Loss", func(c *Config) { c.Model, c.Module = nil, linear }, "trainer: the Config has a Module (*layers.Linear) and no Forward"},
		{"several tensors without Forward", several, "trainer: epoch 1, batch 1: tensor: Fit: a batch has 2 inputs and 3 targets, and Model with Loss take one of each; want the Config's Forward, which takes any number"},
		{"an example without input", func(c *Config) {
			c.Train = &datasets.DataLoader{Dataset: datasets.Multi(empty{}), BatchSize: 4}
		}, "the example has no input"},
		{"a nil model", func(c *Config) { c.Model, c.Module, c.Loss = nil, (*layers.Linear)(nil), nil; forward(Pass{})(c) }, "the model (*layers.Linear) is nil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := settings[0].config(t)
			c.Scheduler = nil
			tt.change(&c)
			if _, err := Fit(t.Context(), c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v\nwant %s", err, tt.want)
			}
		})
	}
}

// empty is a data set without anything in its examples.
type empty struct{}

func (empty) Len() int                                          { return 8 }
func (empty) Example(int, *rand.Rand) (datasets.Example, error) { return datasets.Example{}, nil }

type heads struct{}

func (*heads) Parts() []layers.Part { return nil }

// A metric of a name that files have to quote is read as what it is, and whatever it
// comes to.
func TestMetricInRecords(t *testing.T) {
	dir := t.TempDir()
	c := small(t, dir, 3)
	epoch := 0
	values := []float64{1.0 / 3, math.NaN(), math.Inf(-1)}
	changing := constant(`top-5, "strict" <ä> 100 %/x`, 0)
	changing.Value = func([]float64) float64 { return values[min(epoch, 2)] }
	c.Metrics = []Metric{changing, constant("zero", 0)}
	c.Callbacks = []Callback{Curves(), {Epoch: func(*Run, *Metrics) error { epoch++; return nil }}}
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) > 0 {
		t.Fatal(err, r.Warnings)
	}
	f, err := os.Open(filepath.Join(dir, csvFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	n := len(columns)
	name := changing.Name
	if diff := cmp.Diff([][]string{
		{"train_" + name, "test_" + name, "train_zero", "test_zero"},
		{"0.3333333333333333", "0.3333333333333333", "0", "0"}, {"", "", "0", "0"}, {"-Inf", "-Inf", "0", "0"},
	}, [][]string{rows[0][n:], rows[1][n:], rows[2][n:], rows[3][n:]}); diff != "" {
		t.Errorf("metrics.csv (-want +got):\n%s", diff)
	}
	b, err := os.ReadFile(filepath.Join(dir, jsonlFile))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		if got, want := string(object["test_"+name]), []string{"0.3333333333333333", "null", `"-Inf"`}[i]; got != want {
			t.Errorf("epoch %d: metrics.jsonl has %s, want %s", i+1, got, want)
		}
	}
	history, err := ReadMetrics(dir)
	same := cmp.Comparer(func(a, b jsonfloat.Float) bool { return a == b || a != a && b != b })
	if diff := cmp.Diff(r.History, history, same); err != nil || diff != "" {
		t.Errorf("ReadMetrics: %v (-want +got):\n%s", err, diff)
	}
	for i, want := range values {
		if v, ok := history[i].Value("train_" + name); !ok || v != want && (v == v || want == want) {
			t.Errorf("Value: got %v, %t, want %v", v, ok, want)
		}
	}
	if _, ok := history[0].Value("train_f1"); ok {
		t.Error("Value: there is a metric that there is not")
	}
	want := []string{"metric-top-5___strict___ä__100___x.png", "metric-zero.png"}
	if got := slices.DeleteFunc(ls(t, dir), func(n string) bool { return !strings.HasPrefix(n, "metric-") || strings.HasSuffix(n, ".svg") }); !slices.Equal(got, want) {
		t.Errorf("got the files %q, want %q", got, want)
	}
	// A head alone is no run; another one's epoch is.
	other := t.TempDir()
	write(t, filepath.Join(other, csvFile), csvHead(ownColumns(c.Metrics)...))
	if _, err := OpenRecords(other, nil, false); err != nil {
		t.Errorf("a head with metrics: got error %v", err)
	}
	if _, err := OpenRecords(dir, nil, false, "train_zero"); err == nil || !strings.Contains(err.Error(), "is there already, from another run") {
		t.Errorf("another run's records: got error %v", err)
	}
	records, err := OpenRecords(other, nil, true, "test_f1")
	if err != nil {
		t.Fatal(err)
	}
	if err := records.Append(Metrics{Own: map[string]jsonfloat.Float{"test_f2": 1}}); err == nil || !strings.Contains(err.Error(), `have no column "test_f2", only ["test_f1"]; OpenRecords takes its name`) {
		t.Errorf("a metric without a column: got error %v", err)
	}
	if err := records.Append(Metrics{Own: map[string]jsonfloat.Float{"test_f1": 1}}); err != nil {
		t.Error(err)
	}
}

// A run may go on with other metrics: what was measured stays, what is new is measured
// from the next whole epoch on, and a line says so.
func TestMetricsChange(t *testing.T) {
	dir := t.TempDir()
	config := func(monitor string, epochs int, metrics ...Metric) Config {
		c := settings[0].config(t)
		c.Dir, c.Metrics, c.Epochs, c.Monitor, c.Mode = dir, metrics, epochs, monitor, sched.Min
		return c
	}
	count := func(name string) Metric { // of examples
		return Metric{Name: name, Sums: func(b *datasets.Batch, _ *Pass) *tensor.Tensor { return tensor.Full(float64(b.Len()), 1) }, Value: func(s []float64) float64 { return s[0] }}
	}
	c := config("test_old", 3, count("both"), count("old"))
	c.Callbacks = []Callback{{Step: func(r *Run) error {
		if r.Step == 14 {
			r.Stop("enough")
		}
		return nil
	}}}
	first, err := Fit(t.Context(), c)
	if err != nil || first.Batch != 4 || *first.Best != 10 {
		t.Fatalf("stopped behind batch %d with the best %v: %v", first.Batch, first.Best, err)
	}
	var log bytes.Buffer
	c = config("test_new", 3, count("new"), count("both"))
	c.Resume, c.Progress = true, NewProgress(&log)
	r, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	changed := `with the metrics ["new" "both"] in place of ["both" "old"], with Monitor test_new in place of test_old`
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), changed) {
		t.Errorf("got the warnings %v, want one with %s", r.Warnings, changed)
	}
	if !strings.Contains(log.String(), "watches test_new from here on: the best is looked for again") {
		t.Errorf("the log does not tell of the best:\n%s", log.String())
	}
	none := math.NaN()
	for i, want := range []map[string]float64{
		{"train_both": 38, "test_both": 10, "train_old": 38, "test_old": 10},
		{"train_both": 38, "test_both": 10, "train_new": none, "test_new": 10},
		{"train_both": 38, "test_both": 10, "train_new": 38, "test_new": 10},
	} {
		got := map[string]float64{}
		for name, v := range r.History[i].Own {
			got[name] = float64(v)
		}
		if diff := cmp.Diff(fmt.Sprint(want), fmt.Sprint(got)); diff != "" {
			t.Errorf("epoch %d (-want +got):\n%s", i+1, diff)
		}
	}
	if r.BestEpoch != 2 || *r.Best != 10 {
		t.Errorf("the best is %v in epoch %d, want 10 in epoch 2, the first of its metric", *r.Best, r.BestEpoch)
	}
	b, err := os.ReadFile(filepath.Join(dir, csvFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	tail := func(line string, n int) string {
		cells := strings.Split(line, ",")
		return strings.Join(cells[len(cells)-n:], ",")
	}
	for i, want := range []string{"train_new,test_new,train_both,test_both,test_old,train_old", ",,38,10,10,38", ",10,38,10,,", "38,10,38,10,,"} {
		if got := tail(lines[i], 6); got != want {
			t.Errorf("metrics.csv, line %d: got %s, want %s", i+1, got, want)
		}
	}
	config2, err := ReadRunConfig(dir)
	if err != nil || config2.Monitor != "test_new" || !slices.Equal(config2.Metrics, []string{"new", "both"}) {
		t.Errorf("config.json has the monitor %q and the metrics %q (%v)", config2.Monitor, config2.Metrics, err)
	}
	// Now it is as it was, and nothing is said.
	c = config("test_new", 4, count("new"), count("both"))
	c.Resume = true
	if r, err = Fit(t.Context(), c); err != nil || len(r.Warnings) > 0 || r.BestEpoch != 2 {
		t.Errorf("resumed once more: %v, warnings %v, the best is of epoch %d", err, r.Warnings, r.BestEpoch)
	}
	if h, err := ReadMetrics(dir); err != nil || len(h) != 4 || h[0].Own["train_old"] != 38 || h[3].Own["train_new"] != 38 {
		t.Errorf("ReadMetrics: %v, %+v", err, h)
	}
}

// EarlyStopping that goes on with another metric begins again.
func TestEarlyStoppingChange(t *testing.T) {
	old := EarlyStopping("test_loss", sched.Min, 3, 0).State.(*earlyStopping)
	old.Best, old.Bad = new(0.5), 2
	b, _ := old.State()
	for _, tt := range []struct {
		metric, state string
		bad           int
	}{
		{"test_loss", string(b), 2}, {"test_f1", string(b), 0},
		{"test_loss", `{"best":0.5,"bad":2}`, 2}, // before there was a metric in it
	} {
		s := EarlyStopping(tt.metric, sched.Min, 3, 0).State.(*earlyStopping)
		if err := s.LoadState(json.RawMessage(tt.state), nil); err != nil || s.Bad != tt.bad || (s.Best != nil) != (tt.bad > 0) || s.Metric != tt.metric {
			t.Errorf("%s from %s: got %+v, error %v", tt.metric, tt.state, s, err)
		}
	}
}

// A metric of one's own stops a run, tells the best checkpoint, and reaches the
// plateau; where it is NaN no epoch is the best, and one line says so.
func TestMetricWatched(t *testing.T) {
	c := settings[0].config(t)
	epoch := 0
	falling := []float64{3, 5, 4, math.NaN(), 2, 1, 0}
	m := constant("quality", 0)
	m.Mode, m.TestOnly = sched.Max, true
	m.Value = func([]float64) float64 { return falling[epoch] }
	c.Metrics, c.Monitor, c.Mode, c.Epochs, c.Dir = []Metric{m}, "test_quality", sched.Min, 7, t.TempDir()
	o := optim.NewSGD(layers.Parameters(c.Model), 0.1)
	s := sched.NewReduceLROnPlateau(o, sched.Max)
	s.Patience = 1
	c.Optimizer, c.Scheduler = o, s
	var log bytes.Buffer
	c.Progress = NewProgress(&log)
	c.Callbacks = []Callback{EarlyStopping("test_quality", sched.Max, 4, 0), {Epoch: func(*Run, *Metrics) error { epoch++; return nil }}}
	r, err := Fit(t.Context(), c)
	if err != nil || r.Epoch != 6 || r.Stopped != "test_quality has not become better for 4 epochs" {
		t.Fatalf("stopped %q after %d epochs: %v", r.Stopped, r.Epoch, err)
	}
	if r.BestEpoch != 2 || *r.Best != 5 {
		t.Errorf("the best is %v in epoch %d, want 5 in epoch 2", *r.Best, r.BestEpoch)
	}
	at, err := (&Snapshot{Model: c.Model, Optimizer: o, Scheduler: s, Train: c.Train, Test: c.Test, Others: map[string]Stateful{"early_stopping": c.Callbacks[0].State}}).Load(filepath.Join(c.Dir, bestFile))
	if err != nil || at.Epoch != 2 {
		t.Errorf("best.safetensors is of epoch %d: %v", at.Epoch, err)
	}
	if lrs := r.History[5].LR; math.Abs(lrs-0.01) > 1e-12 { // two epochs without improvement
		t.Errorf("the last rate is %v, want 0.01", lrs)
	}
	want := "trainer: Monitor is test_quality, which is NaN in epoch 4, so that this is not the best"
	if len(r.Warnings) != 1 || r.Warnings[0].Error() != want {
		t.Errorf("got the warnings %v, want %s", r.Warnings, want)
	}
	if v, ok := r.History[0].Own["train_quality"]; ok {
		t.Errorf("a metric of the test alone is %v in training", v)
	}
	if !strings.Contains(log.String(), "quality 5.0000") || strings.Contains(log.String(), "quality NaN") {
		t.Errorf("the log does not show it, or shows what there is not:\n%s", log.String())
	}
}

// TensorBoard, W&B and callbacks find metrics of one's own.
func TestMetricsEverywhere(t *testing.T) {
	c := small(t, t.TempDir(), 2)
	c.Metrics = []Metric{constant("f1", 0.25), {Name: "iou", TestOnly: true, Mode: sched.Max, Sums: constant("", 0).Sums, Value: func([]float64) float64 { return 0.75 }}}
	c.Monitor = "test_iou"
	var seen []map[string]float64
	c.Callbacks = append(c.Callbacks, Curves(), Predictions([]string{"a", "b", "c", "d"}), Callback{Epoch: func(r *Run, m *Metrics) error {
		seen = append(seen, r.scalars(m))
		return nil
	}})
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) > 0 {
		t.Fatal(err, r.Warnings)
	}
	for name, want := range map[string]float64{"f1/train": 0.25, "f1/test": 0.25, "iou/test": 0.75} {
		if got, ok := seen[0][name]; !ok || got != want {
			t.Errorf("loggers get %s %v, want %v, among %v", name, got, want, slices.Sorted(maps.Keys(seen[0])))
		}
	}
	if _, ok := seen[0]["iou/train"]; ok {
		t.Error("loggers get what was not measured")
	}
	files := map[string][]string{
		"events.*": {"f1/train", "f1/test", "iou/test", "best/test_iou"}, "wandb/*/run-*.wandb": {"f1/train", "iou/test", "best/test_iou"},
		"report.html": {"train f1", "test f1", "test iou", "0.75 in epoch 1", "least test f1", "best test iou"}, "metric-iou.svg": {"test (best 0.75, epoch 1)"}, "metric-f1.png": {"PNG"},
	}
	for pattern, words := range files {
		paths, err := filepath.Glob(filepath.Join(c.Dir, pattern))
		if err != nil || len(paths) != 1 {
			t.Fatalf("%s: got %q (%v), want one file", pattern, paths, err)
		}
		b, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !bytes.Contains(b, []byte(word)) {
				t.Errorf("%s does not contain %q", filepath.Base(paths[0]), word)
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(c.Dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("train iou")) {
		t.Error("the report has a column for what was not measured")
	}
}

// Metrics measure, and do nothing else: a run comes to the same bits without them. A
// mean's batch that weighs nothing adds nothing, a NaN neither.
func TestMetricsLookOn(t *testing.T) {
	c := settings[0].config(t)
	want, err := Fit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d := settings[0].config(t)
	batch := 0
	recorded := false
	d.Metrics = []Metric{
		Mean("some", sched.Min, func(_ *datasets.Batch, p *Pass) (value, weight *tensor.Tensor) {
			if batch++; batch%2 == 0 {
				return tensor.Full(math.NaN()), tensor.Full(0)
			}
			return tensor.Full(3), tensor.Full(2)
		}),
		{Name: "scores", Sums: func(b *datasets.Batch, p *Pass) *tensor.Tensor {
			x := p.Scores.Mul(layers.Parameters(d.Model)[0].Sum()).Add(p.Loss).Add(b.Inputs[0].Sum())
			recorded = recorded || x.RequiresGrad()
			return x.Sum().Reshape(1)
		}, Value: func(s []float64) float64 { s[0]++; return s[0] }},
	}
	got, err := Fit(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if recorded {
		t.Error("what metrics compute is recorded")
	}
	for i := range got.History {
		if v := got.History[i].Own["train_some"]; v != 3 {
			t.Errorf("epoch %d: a mean of 3s is %v", i+1, v)
		}
		got.History[i].Own = nil
	}
	if diff := cmp.Diff(want, got, timeless); diff != "" {
		t.Errorf("result (-without +with metrics):\n%s", diff)
	}
	if diff := cmp.Diff(bits(c), bits(d)); diff != "" {
		t.Errorf("weights and states differ: %.300s", diff)
	}
}

// A Config that says with Forward what Model and Loss say comes to the same bits, in
// all that there is.
func TestForwardIsModelAndLoss(t *testing.T) {
	for _, s := range settings {
		c := s.config(t)
		if c.Forward != nil {
			continue
		}
		want, err := Fit(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		d := s.config(t)
		loss := d.Loss.(layers.CrossEntropyLoss)
		d.Loss = nil
		d.Forward = func(b *datasets.Batch) Pass {
			output := d.Model.Forward(b.Inputs[0])
			return Pass{Loss: loss.Forward(output, b.Targets[0]), Terms: loss.Terms(output, b.Targets[0]), Scores: output, Labels: b.Targets[0]}
		}
		got, err := Fit(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, timeless); diff != "" {
			t.Errorf("%s: result (-Model and Loss +Forward):\n%s", s.name, diff)
		}
		if diff := cmp.Diff(bits(c), bits(d)); diff != "" {
			t.Errorf("%s: weights and states differ: %.300s", s.name, diff)
		}
	}
}

// Callbacks see all tensors of a batch, and of the pass once it is made; with no target
// at all too, in mixed precision, and in a dry run.
func TestForwardCallbacks(t *testing.T) {
	for _, autocast := range []tensor.DType{tensor.Float32, tensor.BFloat16, tensor.Float16} {
		x := tensor.Randn(8, 6)
		ids := tensor.From([]int64{0, 1, 2, 0, 1, 2, 0, 1})
		mask := tensor.From([]bool{true, false, true, true, true, false, true, true})
		set, err := datasets.NewMultiTensors([]*tensor.Tensor{x, ids, mask}, nil)
		if err != nil {
			t.Fatal(err)
		}
		net := layers.NewSequential(layers.NewLinear(6, 3), layers.NewLinear(3, 6))
		loader := &datasets.DataLoader{Dataset: set, BatchSize: 3}
		passes, tests := 0, 0
		c := Config{
			Model: net, Optimizer: optim.NewSGD(layers.Parameters(net), 0.1), Train: loader, Test: &datasets.DataLoader{Dataset: set, BatchSize: 8},
			Epochs: 2, Autocast: autocast, Accumulate: 2,
			Forward: func(b *datasets.Batch) Pass {
				again := net.Forward(b.Inputs[0].Mul(b.Inputs[2].Unsqueeze(1)))
				return Pass{Loss: layers.MSELoss{}.Forward(again, b.Inputs[0]), Outputs: []*tensor.Tensor{again, b.Inputs[1]}}
			},
			Metrics: []Metric{Mean("mse", sched.Min, func(_ *datasets.Batch, p *Pass) (value, weight *tensor.Tensor) { return p.Loss, nil })},
		}
		c.Callbacks = []Callback{NaNStop(), ClipGradValue(1), LogSteps(1), {
			Batch: func(r *Run) func() error {
				if len(r.Inputs) != 3 || len(r.Targets) != 0 || r.Outputs != nil || r.Images != r.Inputs[0] || r.Labels != nil || r.Output != nil || r.Module != layers.Module(net) {
					t.Errorf("before the pass: %d inputs, %d targets, outputs %v, labels %v", len(r.Inputs), len(r.Targets), r.Outputs, r.Labels)
				}
				return func() error {
					if len(r.Outputs) != 2 || r.Output != r.Outputs[0] || r.Labels != nil || r.Inputs[1].DType() != tensor.Int64 {
						t.Errorf("after the pass: %d outputs", len(r.Outputs))
					}
					passes++
					return nil
				}
			},
			TestBatch: func(r *Run) error {
				if len(r.Inputs) != 3 || len(r.Outputs) != 2 || r.Outputs[0].RequiresGrad() {
					t.Errorf("in the test: %d inputs, %d outputs", len(r.Inputs), len(r.Outputs))
				}
				tests++
				return nil
			},
		}}
		r, err := Fit(t.Context(), c)
		if err != nil || passes != 6 || tests != 2 || r.Step != 4 {
			t.Fatalf("%s: %d passes, %d tests, %d steps: %v", autocast, passes, tests, r.Step, err)
		}
		m := r.History[1]
		if v := float64(m.TrainAccuracy); v == v || m.Own["test_mse"] != m.TestLoss || m.Own["train_mse"] != m.TrainLoss {
			t.Errorf("%s: got %+v, want no accuracy, and the loss as the metric", autocast, m)
		}
		c.DryRun = true
		if r, err := Fit(t.Context(), c); err != nil || r.Step != 1 {
			t.Errorf("%s: a dry run: %d steps, %v", autocast, r.Step, err)
		}
	}
}

// NaNStop finds where it began in a model of several inputs.
func TestNaNStopForward(t *testing.T) {
	x := tensor.From([]float32{1, 2, 3, 4, 5, float32(math.Inf(1))}, 6, 1)
	set, err := datasets.NewMultiTensors([]*tensor.Tensor{tensor.Ones(6, 1), x}, []*tensor.Tensor{tensor.Ones(6, 1), tensor.Ones(6, 1)})
	if err != nil {
		t.Fatal(err)
	}
	net := layers.NewLinear(1, 1)
	_, err = Fit(t.Context(), Config{
		Model: net, Optimizer: optim.NewSGD(layers.Parameters(net), 0.01), Train: &datasets.DataLoader{Dataset: set, BatchSize: 2}, Epochs: 1, Callbacks: []Callback{NaNStop()},
		Forward: func(b *datasets.Batch) Pass {
			return Pass{Loss: net.Forward(b.Inputs[0]).Mul(b.Inputs[1]).Sub(b.Targets[1]).Mean()}
		},
	})
	want := []string{"epoch 1, batch 3: the loss is ", "it began in the forward pass, in Mul", ", the batch's input 1, holds 1 Inf among 2 values", "(the first in example 1 of the batch, counted from 0)"}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got error %v\nwant %q in it", err, w)
		}
	}
	if !errors.Is(err, ErrNotFinite) {
		t.Errorf("got error %v, want ErrNotFinite", err)
	}
}

// forwardSetting is the one of several tensors.
func forwardSetting() setting {
	return settings[slices.IndexFunc(settings, func(s setting) bool { return strings.HasPrefix(s.name, "Forward") })]
}

// Predictions shows the scores and labels of a Forward, whatever else there is.
func TestPicturesForward(t *testing.T) {
	c := forwardSetting().config(t)
	c.Dir, c.Epochs, c.Callbacks = t.TempDir(), 1, []Callback{Predictions([]string{"a", "b", "c", "d"})}
	r, err := Fit(t.Context(), c)
	if err != nil || len(r.Warnings) > 0 {
		t.Fatal(err, r.Warnings)
	}
	silent := forwardSetting().config(t) // without classes
	forward := silent.Forward
	silent.Forward = func(b *datasets.Batch) Pass { return Pass{Loss: forward(b).Loss} }
	silent.Dir, silent.Epochs, silent.Metrics, silent.Monitor, silent.Callbacks = t.TempDir(), 1, nil, "", []Callback{Predictions([]string{"a", "b", "c", "d"})}
	if r, err := Fit(t.Context(), silent); err != nil || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0].Error(), "Predictions: the pass has no Scores and Labels, want those of the classes") {
		t.Errorf("without scores: error %v, warnings %v", err, r.Warnings)
	}
	for _, name := range []string{"report.html", "confusion.png", "predictions.png"} {
		if _, err := os.Stat(filepath.Join(c.Dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// Data whose examples are of several tensors are told apart by a checkpoint.
func TestCheckpointOfSeveral(t *testing.T) {
	config := func(targets ...*tensor.Tensor) Config {
		net := layers.NewLinear(2, 1)
		set, err := datasets.NewMultiTensors([]*tensor.Tensor{tensor.Ones(4, 2)}, targets)
		if err != nil {
			t.Fatal(err)
		}
		return Config{Model: net, Optimizer: optim.NewSGD(layers.Parameters(net), 0.1), Train: &datasets.DataLoader{Dataset: set, BatchSize: 2}, Epochs: 1,
			Forward: func(b *datasets.Batch) Pass { return Pass{Loss: net.Forward(b.Inputs[0]).Mean()} }}
	}
	dir := t.TempDir()
	c := config(tensor.Zeros(4), tensor.Ones(4))
	c.Dir = dir
	if _, err := Fit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]Config{
		"other values": config(tensor.Zeros(4), tensor.Zeros(4)), "one less": config(tensor.Zeros(4)), "none": config(), "same": config(tensor.Zeros(4), tensor.Ones(4)),
	} {
		other.Dir, other.Resume, other.Epochs = dir, true, 1
		_, err := Fit(t.Context(), other)
		if name == "same" && err != nil || name != "same" && (err == nil || !strings.Contains(err.Error(), "other training data: the same number of examples, but other labels or other shapes")) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
