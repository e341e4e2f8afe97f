package trainer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// Metric is a number of one's own that an epoch comes to, beside loss and accuracy: in
// training, where the model is changing meanwhile, and in the test. It is made of sums
// over batches, whose tensors may have any size, so that a perplexity, an F1 of all
// classes or an intersection over union are what they would be of one batch that holds
// everything. [Mean] makes one that is a mean.
//
//	trainer.Metric{
//		Name: "f1", Mode: sched.Max,
//		Sums: func(b *datasets.Batch, p *trainer.Pass) *tensor.Tensor {
//			predicted, truth := p.Scores.GtScalar(0), b.Targets[0]
//			right := predicted.And(truth).Sum()
//			return tensor.Stack(0, right, predicted.Sum(), truth.Sum())
//		},
//		Value: func(s []float64) float64 { return 2 * s[0] / (s[1] + s[2]) },
//	}
//
// Its numbers stand in the records, the progress line, the curves and the loggers;
// Monitor and EarlyStopping know it by the names train_f1 and test_f1. A checkpoint
// keeps the sums, so that a run that is resumed in the middle of an epoch comes to the
// same numbers.
type Metric struct {
	Name string     // printable, and not "loss", "accuracy" or "seconds", which Fit has itself
	Mode sched.Mode // sched.Min, the default, if the best is the least; sched.Max

	TrainOnly, TestOnly bool // measured in training, in the test; neither means in both

	// Sums returns what a batch adds to the sums, in any shape, the same for each batch.
	// Nothing in it is recorded. On a GPU it waits for none unless Sums itself reads a
	// value.
	Sums func(b *datasets.Batch, p *Pass) *tensor.Tensor
	// Value makes the epoch's number of the sums of its batches; nil means the first
	// divided by the second. NaN means that there is none.
	Value func(sums []float64) float64
}

// Mean returns the metric that is the mean of a batch's value, a scalar, over the
// batches, each with its weight, a scalar too; where that is nil, each example weighs
// the same. A batch that weighs nothing adds nothing, whatever its value.
//
//	trainer.Mean("kl", sched.Min, func(_ *datasets.Batch, p *trainer.Pass) (value, weight *tensor.Tensor) {
//		return p.Outputs[1], nil
//	})
func Mean(name string, mode sched.Mode, batch func(b *datasets.Batch, p *Pass) (value, weight *tensor.Tensor)) Metric {
	m := Metric{Name: name, Mode: mode}
	if batch == nil {
		return m // Fit says that there are no Sums
	}
	m.Sums = func(b *datasets.Batch, p *Pass) *tensor.Tensor {
		value, weight := batch(b, p)
		if value == nil || value.Len() != 1 || weight != nil && weight.Len() != 1 {
			panic(&tensor.Error{Op: "Mean", Err: fmt.Errorf("the value of a batch is %s and its weight %s, want scalars", shapeOf(value), shapeOf(weight))})
		}
		value = value.Reshape().ToDType(tensor.Float64)
		if weight == nil {
			n := float64(b.Len())
			return tensor.Stack(0, value.MulScalar(n), tensor.Full(n).ToDType(tensor.Float64).To(value.Device()))
		}
		weight = weight.Reshape().ToDType(tensor.Float64).To(value.Device())
		return tensor.Stack(0, value.Mul(weight).MaskedFill(weight.EqScalar(0), 0), weight)
	}
	return m
}

func shapeOf(x *tensor.Tensor) string {
	if x == nil {
		return "nil"
	}
	return fmt.Sprint(x.Shape())
}

func trainName(metric string) string { return "train_" + metric }
func testName(metric string) string  { return "test_" + metric }

// names are those of a metric's columns.
func (m *Metric) names() (names []string) {
	if !m.TestOnly {
		names = append(names, trainName(m.Name))
	}
	if !m.TrainOnly {
		names = append(names, testName(m.Name))
	}
	return names
}

// ownColumns are the names of the columns of metrics.
func ownColumns(metrics []Metric) (names []string) {
	for i := range metrics {
		names = append(names, metrics[i].names()...)
	}
	return names
}

// metricNames are the names of a Config's metrics, for config.json.
func metricNames(metrics []Metric) (names []string) {
	for _, m := range metrics {
		names = append(names, m.Name)
	}
	return names
}

// fileName is a metric's name as a part of a file's.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.@+=", r) {
			return r
		}
		return '_'
	}, name)
}

// checkMetrics says which metric cannot be.
func checkMetrics(metrics []Metric) error {
	for i, m := range metrics {
		called := func(format string, args ...any) error {
			return fmt.Errorf("trainer: Metrics[%d] is called %.60q, %s", i, m.Name, fmt.Sprintf(format, args...))
		}
		name := func(own string) bool { return strings.EqualFold(own, m.Name) }
		switch {
		case m.Name == "":
			return fmt.Errorf("trainer: Metrics[%d] has no Name", i)
		case !utf8.ValidString(m.Name) || strings.ContainsFunc(m.Name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(m.Name) != m.Name:
			return called("want printable characters in one line, without space around them")
		case slices.ContainsFunc([]string{"loss", "accuracy", "seconds"}, name):
			return called("which Fit has itself; want another name than loss, accuracy and seconds")
		case m.Sums == nil:
			return called("and has no Sums")
		case m.Mode != sched.Min && m.Mode != sched.Max:
			return called("and its Mode is %d, want sched.Min or sched.Max", m.Mode)
		case m.TrainOnly && m.TestOnly:
			return called("and is both TrainOnly and TestOnly, want one of them, or neither for both")
		}
		for j, other := range metrics[:i] {
			if strings.EqualFold(fileName(m.Name), fileName(other.Name)) {
				return called("and Metrics[%d] %q, want names that differ in letters or digits", j, other.Name)
			}
		}
	}
	return nil
}

// own finds the metric of a column of the records.
func (c *Config) own(column string) *Metric {
	for i := range c.Metrics {
		if slices.Contains(c.Metrics[i].names(), column) {
			return &c.Metrics[i]
		}
	}
	return nil
}

// tally is a metric that is being measured.
type tally struct {
	*Metric
	device *tensor.Tensor // the sums, in Float64, where they are made on a GPU
	void   bool           // the epoch's first batches were not measured
}

// measure adds a batch to the metrics.
func (m *meter) measure(b *datasets.Batch, p *Pass) {
	if len(m.own) == 0 {
		return
	}
	if m.sums.Own == nil {
		m.sums.Own = map[string][]jsonfloat.Float{}
	}
	b, p = b.NoGrad(), p.noGrad()
	for i := range m.own {
		t := &m.own[i]
		if t.void {
			continue
		}
		m.measuring = t.Name
		m.sums.Own[t.Name] = t.add(m.sums.Own[t.Name], b, p)
		m.ahead = m.ahead || t.device != nil
		m.measuring = ""
	}
}

// noGrad is a pass of which nothing is recorded.
func (p *Pass) noGrad() *Pass {
	q := *p
	q.Loss, q.Outputs = p.Loss.NoGrad(), nil
	for _, x := range p.Outputs {
		q.Outputs = append(q.Outputs, x.NoGrad())
	}
	if p.Scores != nil {
		q.Scores, q.Labels = p.Scores.NoGrad(), p.Labels.NoGrad()
	}
	return &q
}

// add adds a batch to the sums, of which nil are none.
func (t *tally) add(sums []jsonfloat.Float, b *datasets.Batch, p *Pass) []jsonfloat.Float {
	wrong := func(format string, args ...any) {
		panic(&tensor.Error{Op: "Metric", Err: fmt.Errorf(format, args...)})
	}
	v := t.Sums(b, p)
	switch {
	case v == nil || v.Len() == 0:
		wrong("Sums returned %s, want one number or more", shapeOf(v))
	case sums != nil && v.Len() != len(sums):
		wrong("Sums returned %d numbers, and %d for the batches before, want as many for each", v.Len(), len(sums))
	case t.Value == nil && v.Len() != 2:
		wrong("Sums returned %d numbers, and there is no Value, want two numbers, of which the first is divided by the second", v.Len())
	}
	if sums == nil {
		sums = make([]jsonfloat.Float, v.Len())
	}
	v = v.Detach().Reshape(-1).ToDType(tensor.Float64)
	if v.Device() == tensor.CPU && t.device == nil {
		for i, x := range v.Float64s() {
			sums[i] += jsonfloat.Float(x)
		}
		return sums
	}
	if t.device == nil {
		before := make([]float64, len(sums))
		for i, s := range sums {
			before[i] = float64(s)
		}
		t.device = tensor.From(before).To(v.Device())
	}
	t.device.AddInPlace(v.To(t.device.Device()))
	return sums
}

// readOwn waits for what was measured on a GPU.
func (m *meter) readOwn() {
	for i := range m.own {
		if t := &m.own[i]; t.device != nil {
			for k, v := range t.device.Float64s() {
				m.sums.Own[t.Name][k] = jsonfloat.Float(v)
			}
		}
	}
}

// value returns what a metric has come to, NaN where nothing was measured.
func (m *meter) value(t *tally) float64 {
	sums := m.sums.Own[t.Name]
	if sums == nil || t.void {
		return math.NaN()
	}
	s := make([]float64, len(sums))
	for i, v := range sums {
		s[i] = float64(v)
	}
	if t.Value == nil {
		return s[0] / s[1]
	}
	m.measuring = t.Name
	v := t.Value(s)
	m.measuring = ""
	return v
}

// put notes in an epoch's metrics what its own have come to.
func (m *meter) put(in *Metrics, column func(metric string) string) {
	for i := range m.own {
		if in.Own == nil {
			in.Own = map[string]jsonfloat.Float{}
		}
		in.Own[column(m.own[i].Name)] = jsonfloat.Float(m.value(&m.own[i]))
	}
}

// shown are the metrics for the progress line.
func (m *meter) shown() (all []NamedValue) {
	for i := range m.own {
		all = append(all, NamedValue{m.own[i].Name, m.value(&m.own[i])})
	}
	return all
}

// tallies are the metrics that are measured in training, or in the test.
func (c *Config) tallies(test bool) (all []tally) {
	for i := range c.Metrics {
		if m := &c.Metrics[i]; test && !m.TrainOnly || !test && !m.TestOnly {
			all = append(all, tally{Metric: m})
		}
	}
	return all
}

// checkWatched says whether a metric can be watched, and with a run of this data.
func (c *Config) checkWatched(what, name string, mode sched.Mode) error {
	if own := c.own(name); own != nil && own.Mode != mode {
		return fmt.Errorf("trainer: %s is %q with %s, and the metric's Mode is %s; want one of the two", what, name, modeName(mode), modeName(own.Mode))
	}
	all := append(slices.Clone(watchable), ownColumns(c.Metrics)...)
	if !slices.Contains(all, name) {
		return fmt.Errorf("trainer: %s is %q, want one of %s", what, name, strings.Join(all, ", "))
	}
	if c.Test == nil && strings.HasPrefix(name, "test_") {
		trained := slices.DeleteFunc(all, func(n string) bool { return strings.HasPrefix(n, "test_") })
		return fmt.Errorf("trainer: %s is %q, and the run has no Test data; want %s", what, name, orList(trained))
	}
	return nil
}

func modeName(m sched.Mode) string {
	if m == sched.Max {
		return "sched.Max"
	}
	return "sched.Min"
}

// orList writes "a, b or c".
func orList(all []string) string {
	last := len(all) - 1
	if last < 1 {
		return strings.Join(all, "")
	}
	return strings.Join(all[:last], ", ") + " or " + all[last]
}

// errTwice is the error of a Config that says one thing in two ways.
func (c *Config) errTwice() error {
	switch {
	case c.Model != nil && c.Module != nil:
		return errors.New("trainer: the Config has both Model and Module, want one of them: Model if it takes one tensor and gives one, else Module")
	case c.Loss != nil && c.Forward != nil:
		return errors.New("trainer: the Config has both Loss and Forward, want one of them: Forward computes the loss itself")
	case c.Module != nil && c.Forward == nil:
		return fmt.Errorf("trainer: the Config has a Module (%T) and no Forward, which says what is made of a batch with it; want that, or a Model and a Loss", c.Module)
	}
	return nil
}
