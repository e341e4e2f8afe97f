package trainer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// Metrics are what an epoch came to. NaN stands for what was not measured: the
// test's numbers without test data, accuracies where labels are no classes.
type Metrics struct {
	Epoch         int             `json:"epoch"`          // from 1 on
	Step          int             `json:"step"`           // of the optimizer, since the start of the run
	LR            float64         `json:"lr"`             // of the first group of parameters, at the epoch's last step
	TrainLoss     jsonfloat.Float `json:"train_loss"`     // mean over what the loss counts, as it weighs it, while the model was changing
	TrainAccuracy jsonfloat.Float `json:"train_accuracy"` // 0 to 1, of the labels that the loss counts
	TestLoss      jsonfloat.Float `json:"test_loss"`
	TestAccuracy  jsonfloat.Float `json:"test_accuracy"`
	TrainSeconds  float64         `json:"train_seconds"`
	TestSeconds   float64         `json:"test_seconds"`
	ImagesPerSec  float64         `json:"images_per_sec"` // of training; examples of any kind

	// Of a run with Autocast in Float16, in metrics.jsonl only:
	Scale   float64 `json:"scale,omitempty"`   // what losses are multiplied by, behind the epoch's last step
	Skipped int     `json:"skipped,omitempty"` // steps that were left out since the start of the run

	// The Config's Metrics by the names of their columns: "train_f1", "test_f1".
	Own map[string]jsonfloat.Float `json:"own,omitempty"`
}

// notMeasured stands for a number that was not measured.
var notMeasured = jsonfloat.Float(math.NaN())

// column is a number of Metrics by the name that the records give it.
type column struct {
	name string
	get  func(m *Metrics) float64
}

var columns = []column{
	{"epoch", func(m *Metrics) float64 { return float64(m.Epoch) }},
	{"step", func(m *Metrics) float64 { return float64(m.Step) }},
	{"lr", func(m *Metrics) float64 { return m.LR }},
	{"train_loss", func(m *Metrics) float64 { return float64(m.TrainLoss) }},
	{"train_accuracy", func(m *Metrics) float64 { return float64(m.TrainAccuracy) }},
	{"test_loss", func(m *Metrics) float64 { return float64(m.TestLoss) }},
	{"test_accuracy", func(m *Metrics) float64 { return float64(m.TestAccuracy) }},
	{"train_seconds", func(m *Metrics) float64 { return m.TrainSeconds }},
	{"test_seconds", func(m *Metrics) float64 { return m.TestSeconds }},
	{"images_per_sec", func(m *Metrics) float64 { return m.ImagesPerSec }},
}

// Value returns a number by its name in the records ("test_loss", "test_f1"); ok is false if
// there is none of this name.
func (m *Metrics) Value(name string) (v float64, ok bool) {
	for _, c := range columns {
		if c.name == name {
			return c.get(m), true
		}
	}
	own, ok := m.Own[name]
	return float64(own), ok
}

// watchable are the names of the metrics that tell how good a model is.
var watchable = []string{"train_loss", "train_accuracy", "test_loss", "test_accuracy"}

// Records are the two files of a run's metrics, one line an epoch: metrics.csv for
// spreadsheets and metrics.jsonl for programs. Numbers are written so that reading
// gives the same bits; what was not measured is an empty field, and null.
type Records struct {
	dir string
	own []string // the columns behind those that every run has
}

// OpenRecords makes the two files of a new run. If the run is resumed, it writes
// the records of the epochs that are over again, whatever the files held: a last
// line that was cut, epochs behind the checkpoint that the run goes on from.
// Otherwise files that hold an epoch, or anything else, are an error, and stay.
//
// own are the names of further columns, those of Metrics.Own; what the history has
// besides comes behind them.
func OpenRecords(dir string, history []Metrics, resumed bool, own ...string) (*Records, error) {
	r := &Records{dir, slices.Clone(own)}
	for _, name := range ownOf(history) {
		if !slices.Contains(r.own, name) {
			r.own = append(r.own, name)
		}
	}
	if !resumed {
		if err := noRecords(dir); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		name, head string
		line       func(m *Metrics, own []string) []byte
	}{{csvFile, csvHead(r.own...), csvLine}, {jsonlFile, "", jsonLine}} {
		err := atomicfile.Write(filepath.Join(dir, f.name), func(w io.Writer) error {
			b := []byte(f.head)
			for i := range history {
				b = append(b, f.line(&history[i], r.own)...)
			}
			_, err := w.Write(b)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("trainer: writing %s: %w", filepath.Join(dir, f.name), err)
		}
	}
	return r, nil
}

// noRecords is an error if there are records in a folder. A head without an epoch,
// which a run that came no further has left, is none.
func noRecords(dir string) error {
	for _, f := range []struct{ name, none string }{{csvFile, csvHead()}, {jsonlFile, ""}} {
		path, none := filepath.Join(dir, f.name), strings.TrimSuffix(f.none, "\n")
		f, err := os.Open(path)
		if err != nil {
			continue // what cannot be written either is told then
		}
		b, err := io.ReadAll(io.LimitReader(f, 1<<16))
		f.Close()
		line, rest, _ := strings.Cut(string(b), "\n")
		head := strings.HasPrefix(none, line) || none != "" && strings.HasPrefix(line, none+",") // with metrics of one's own
		if err == nil && (!head || rest != "") {
			return fmt.Errorf("trainer: %s is there already, from another run; resume it, or give another folder", path)
		}
	}
	return nil
}

// ownOf are the names of the metrics of one's own in a history, in their order of first
// appearance and the alphabet's.
func ownOf(history []Metrics) (names []string) {
	for _, m := range history {
		for _, name := range slices.Sorted(maps.Keys(m.Own)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// noConfig is an error if there is a config.json in a folder that no run has left.
func noConfig(dir string) error {
	c, err := ReadRunConfig(dir)
	path := filepath.Join(dir, configFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w; remove it, or give another folder", err)
	case c.Started.IsZero() && c.Model == "":
		return fmt.Errorf("trainer: %s is there already, and not a run's; give another folder", path)
	}
	return nil
}

const (
	csvFile    = "metrics.csv"
	jsonlFile  = "metrics.jsonl"
	configFile = "config.json"
)

// ReadMetrics reads a run's metrics.jsonl. A last line that was cut, by a full disk
// say, is left out.
func ReadMetrics(dir string) ([]Metrics, error) {
	path := filepath.Join(dir, jsonlFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("trainer: %w", err)
	}
	var history []Metrics
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		m := Metrics{TrainLoss: notMeasured, TrainAccuracy: notMeasured, TestLoss: notMeasured, TestAccuracy: notMeasured} // null leaves them
		if err := m.read(line); err != nil {
			return nil, fmt.Errorf("trainer: %s, line %d is damaged: %w; resuming the run writes the file again", path, len(history)+1, err)
		}
		history = append(history, m)
	}
	return history, nil
}

// read reads a line of metrics.jsonl, where metrics of one's own stand beside the others.
func (m *Metrics) read(line []byte) error {
	if err := json.Unmarshal(line, m); err != nil {
		return err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(line, &all); err != nil {
		return err
	}
	for name, value := range all {
		if !strings.HasPrefix(name, "train_") && !strings.HasPrefix(name, "test_") || slices.ContainsFunc(columns, func(c column) bool { return c.name == name }) {
			continue
		}
		v := notMeasured // null leaves it
		if err := json.Unmarshal(value, &v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if m.Own == nil {
			m.Own = map[string]jsonfloat.Float{}
		}
		m.Own[name] = v
	}
	return nil
}

// Append adds an epoch to both files and flushes them. Of m's Own it takes those that
// OpenRecords was told of; another is an error.
func (r *Records) Append(m Metrics) error {
	for _, name := range slices.Sorted(maps.Keys(m.Own)) {
		if !slices.Contains(r.own, name) {
			return fmt.Errorf("trainer: the records in %s have no column %q, only %q; OpenRecords takes its name", r.dir, name, r.own)
		}
	}
	if err := appendTo(filepath.Join(r.dir, csvFile), csvLine(&m, r.own)); err != nil {
		return err
	}
	return appendTo(filepath.Join(r.dir, jsonlFile), jsonLine(&m, r.own))
}

func appendTo(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("trainer: %w", err)
	}
	_, err = f.Write(line) // in one piece
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("trainer: appending to %s: %w", path, err)
	}
	return nil
}

func csvHead(own ...string) string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	for _, name := range own {
		if strings.ContainsAny(name, ",\"") {
			name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
		names = append(names, name)
	}
	return strings.Join(names, ",") + "\n"
}

// cells yields an epoch's numbers in the order of the columns.
func (m *Metrics) cells(own []string) iter.Seq2[string, float64] {
	return func(yield func(name string, v float64) bool) {
		for _, c := range columns {
			if !yield(c.name, c.get(m)) {
				return
			}
		}
		for _, name := range own {
			v, ok := m.Own[name]
			if !ok {
				v = notMeasured
			}
			if !yield(name, float64(v)) {
				return
			}
		}
	}
}

func csvLine(m *Metrics, own []string) []byte {
	var b []byte
	for _, v := range m.cells(own) {
		if !math.IsNaN(v) {
			b = strconv.AppendFloat(b, v, 'g', -1, 64)
		}
		b = append(b, ',')
	}
	b[len(b)-1] = '\n'
	return b
}

// jsonLine writes NaN as null and infinities, which JSON has not, as strings.
func jsonLine(m *Metrics, own []string) []byte {
	b := []byte("{")
	for name, v := range m.cells(own) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			panic(fmt.Sprintf("trainer: %v", err)) // not reached: any string can be written
		}
		b = append(append(b, key...), ':')
		switch {
		case math.IsNaN(v):
			b = append(b, "null"...)
		case math.IsInf(v, 0):
			b = append(b, fmt.Sprintf("%q", fmt.Sprint(v))...)
		default:
			b = strconv.AppendFloat(b, v, 'g', -1, 64)
		}
	}
	if m.Scale != 0 {
		b = append(b, `,"scale":`...)
		b = strconv.AppendFloat(b, m.Scale, 'g', -1, 64)
		b = append(b, `,"skipped":`...)
		b = strconv.AppendInt(b, int64(m.Skipped), 10)
	}
	return append(b, '}', '\n')
}

// RunConfig is config.json: everything needed to repeat a run.
type RunConfig struct {
	Started  time.Time         `json:"started"`
	Command  []string          `json:"command"`            // the program and its arguments
	Settings map[string]string `json:"settings,omitempty"` // the program's own, its flags, as they are now
	Defaults map[string]string `json:"defaults,omitempty"` // what settings are unless somebody says otherwise
	Seed     uint64            `json:"seed"`               // of the default generator
	Epochs   int               `json:"epochs"`

	Model      string          `json:"model"` // its registered name, or its type
	Config     json.RawMessage `json:"model_config,omitempty"`
	Parameters int             `json:"parameters"`
	DType      string          `json:"dtype"`
	Autocast   string          `json:"autocast,omitempty"` // the type of mixed precision
	Device     string          `json:"device"`
	Loss       string          `json:"loss"`
	Optimizer  json.RawMessage `json:"optimizer"`
	Scheduler  *sched.State    `json:"scheduler,omitempty"` // before the first step
	Train      *DataInfo       `json:"train,omitempty"`
	Test       *DataInfo       `json:"test,omitempty"`
	Workers    int             `json:"workers"`
	Accumulate int             `json:"accumulate"`
	Callbacks  []string        `json:"callbacks,omitempty"`
	Monitor    string          `json:"monitor"`
	Metrics    []string        `json:"metrics,omitempty"` // of the program's own

	Versions   map[string]string `json:"versions"` // of Go, of the program and of the modules in it
	System     string            `json:"system"`   // linux/amd64
	CPUs       int               `json:"cpus"`
	GOMAXPROCS int               `json:"gomaxprocs"`

	Resumed []Resume `json:"resumed,omitempty"`

	// When the run was over, and, if a callback stopped it before its last
	// epoch, why. Zero while it is not, and where it was interrupted.
	Finished time.Time `json:"finished,omitzero"`
	Stopped  string    `json:"stopped,omitempty"`
}

// Resume says when a run was gone on with, and from where.
type Resume struct {
	Time    time.Time `json:"time"`
	Command []string  `json:"command"`
	Epoch   int       `json:"epoch"` // epochs that were over
	Batch   int       `json:"batch"`
	Changed string    `json:"changed,omitempty"` // what was not as at the run's start
}

// changes says in which options a run that goes on differs from what config.json
// says of its start: "with momentum 0.8 in place of 0.9", or "". Rates are no
// options, as schedulers change them; the checkpoint has them.
func changes(c *Config) (string, error) {
	old, err := ReadRunConfig(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var out []string
	note := func(name, was, is string) {
		if was != is {
			out = append(out, fmt.Sprintf("with %s %s in place of %s", name, is, was))
		}
	}
	var was, is map[string]json.RawMessage
	if json.Unmarshal(old.Optimizer, &was) == nil && json.Unmarshal(describeOptimizer(c.Optimizer), &is) == nil && string(was["type"]) == string(is["type"]) {
		compact := func(b json.RawMessage) string { return strings.Join(strings.Fields(string(b)), "") }
		for _, name := range slices.Sorted(maps.Keys(is)) {
			if b, ok := was[name]; ok && name != "lrs" {
				note("the optimizer's "+name, compact(b), compact(is[name]))
			}
		}
	}
	note("Accumulate", strconv.Itoa(old.Accumulate), strconv.Itoa(max(c.Accumulate, 1)))
	note("the loss", old.Loss, c.lossName())
	note("the callbacks", fmt.Sprint(old.Callbacks), fmt.Sprint(callbackNames(c)))
	note("the metrics", fmt.Sprintf("%q", old.Metrics), fmt.Sprintf("%q", metricNames(c.Metrics)))
	if old.Monitor != "" {
		note("Monitor", old.Monitor, c.Monitor)
	}
	return strings.Join(out, ", "), nil
}

// ratesDiffer reports whether a program starts with other rates than config.json says
// that the run was started with.
func ratesDiffer(dir string, rates []float64) bool {
	old, err := ReadRunConfig(dir)
	var was struct {
		LRs []float64 `json:"lrs"`
	}
	return err == nil && json.Unmarshal(old.Optimizer, &was) == nil && len(was.LRs) > 0 && !slices.Equal(was.LRs, rates)
}

// changedSettings says which of the program's settings differ from those that
// config.json has: "with lr 0.01 in place of 0.1", or "".
func changedSettings(c *Config) string {
	old, err := ReadRunConfig(c.Dir)
	if err != nil || old.Settings == nil || c.Settings == nil {
		return ""
	}
	names := maps.Clone(old.Settings)
	maps.Copy(names, c.Settings)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := old.Settings[name]
		is, has := c.Settings[name]
		if was == is && had == has {
			continue
		}
		shown := func(value string, there bool) string {
			if value == "" || !there {
				return orNone(there, `""`)
			}
			return value
		}
		out = append(out, fmt.Sprintf("with %s %s in place of %s", name, shown(is, has), shown(was, had)))
	}
	return strings.Join(out, ", ")
}

func callbackNames(c *Config) []string {
	var names []string
	for _, cb := range c.Callbacks {
		if cb.Name != "" {
			names = append(names, cb.Name)
		}
	}
	return names
}

// ReadRunConfig reads a run's config.json.
func ReadRunConfig(dir string) (RunConfig, error) {
	var c RunConfig
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("trainer: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		if len(b) == 0 {
			err = errors.New("it is empty")
		}
		return c, fmt.Errorf("trainer: %s is damaged: %w", path, err)
	}
	return c, nil
}

// Write makes or replaces config.json in a run's folder.
func (c RunConfig) Write(dir string) error {
	path := filepath.Join(dir, configFile)
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("trainer: writing %s: %w", path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.Copy(w, bytes.NewReader(append(b, '\n')))
		return err
	})
	if err != nil {
		return fmt.Errorf("trainer: writing %s: %w", path, err)
	}
	return nil
}

// writeConfig writes config.json, or notes in it that the run goes on.
func writeConfig(c *Config, at *Resume) error {
	var resumed []Resume
	if at != nil {
		resumed = []Resume{*at}
		old, err := ReadRunConfig(c.Dir)
		if err == nil {
			old.Resumed = append(old.Resumed, resumed...)
			old.Epochs, old.Finished, old.Stopped = c.Epochs, time.Time{}, ""
			old.Monitor, old.Metrics = c.Monitor, metricNames(c.Metrics)
			if c.Settings != nil {
				old.Settings, old.Defaults = c.Settings, c.Defaults
			}
			return old.Write(c.Dir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r, err := NewRunConfig(c)
	if err != nil {
		return err
	}
	r.Resumed = resumed
	return r.Write(c.Dir)
}

// finishConfig notes in config.json that the run is over.
func finishConfig(dir, stopped string) error {
	c, err := ReadRunConfig(dir)
	if err != nil {
		return err
	}
	c.Finished, c.Stopped = time.Now(), stopped
	return c.Write(dir)
}

// NewRunConfig describes a run that is about to start. A loop written by hand
// fills in of a Config what Fit would need.
func NewRunConfig(c *Config) (RunConfig, error) {
	r := RunConfig{
		Started: time.Now(), Command: os.Args, Settings: c.Settings, Defaults: c.Defaults, Epochs: c.Epochs,
		Parameters: layers.NumParameters(c.module()), Loss: c.lossName(), Metrics: metricNames(c.Metrics), Optimizer: describeOptimizer(c.Optimizer),
		Workers: max(c.Train.Workers, 1), Accumulate: max(c.Accumulate, 1), Monitor: c.Monitor,
		Versions: versions(), System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
	r.Seed, _ = tensor.DefaultGenerator().State()
	id, registered := describeModel(c.module())
	r.Model = id.Name
	if registered && id.Config != "" {
		r.Config = json.RawMessage(id.Config)
	}
	if c.Autocast != tensor.Float32 {
		r.Autocast = c.Autocast.String()
	}
	for _, p := range layers.NamedParameters(c.module()) {
		r.DType, r.Device = p.DType().String(), p.Device().String()
		break
	}
	if c.Scheduler != nil {
		r.Scheduler = new(c.Scheduler.State())
	}
	r.Callbacks = callbackNames(c)
	var err error
	for _, d := range []struct {
		loader *datasets.DataLoader
		id     **DataInfo
	}{{c.Train, &r.Train}, {c.Test, &r.Test}} {
		if *d.id, err = describeData(d.loader); err != nil {
			return r, fmt.Errorf("trainer: %w", err)
		}
	}
	return r, nil
}

// describeOptimizer returns an optimizer's name, rates and settings as JSON.
func describeOptimizer(o optim.Optimizer) json.RawMessage {
	name, settings := strings.TrimPrefix(fmt.Sprintf("%T", o), "*optim."), []byte(nil)
	if c, ok := o.(optim.Configurer); ok {
		name, settings = c.Config()
	}
	d := map[string]json.RawMessage{}
	if len(settings) > 0 && json.Unmarshal(settings, &d) != nil { // an infinite option, say, with which Step panics
		return settings
	}
	var err [2]error
	d["type"], err[0] = json.Marshal(name)
	d["lrs"], err[1] = json.Marshal(o.LRs())
	b, last := json.Marshal(d)
	if e := errors.Join(err[0], err[1], last); e != nil {
		return json.RawMessage(strconv.Quote(e.Error()))
	}
	return b
}

// versions lists what the program is built of.
func versions() map[string]string {
	v := map[string]string{"go": runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Path != "" {
		v[info.Main.Path] = info.Main.Version
	}
	for _, d := range info.Deps {
		v[d.Path] = d.Version
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs.") || s.Key == "-tags" || s.Key == "GOAMD64" {
			v[s.Key] = s.Value
		}
	}
	return v
}
