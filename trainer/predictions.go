package trainer

import (
	"cmp"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/plots"
)

// pace keeps drawing below a fiftieth of the time: where epochs take less than a
// few seconds, not every one of them is drawn. The first is, and the last.
type pace struct {
	next time.Time
	left bool // something has not been drawn
}

// draw calls f if it is time, or if it has to be.
func (p *pace) draw(must bool, f func() error) error {
	start := time.Now()
	if p.left = !must && start.Before(p.next); p.left {
		return nil
	}
	err := f()
	p.next = time.Now().Add(50 * time.Since(start))
	return err
}

// Curves draws the curves of loss and accuracy: loss.png, loss.svg, accuracy.png
// and accuracy.svg in the run's folder; without the accuracy where labels are no
// classes. Of each of the Config's Metrics it draws metric-f1.png and metric-f1.svg, with
// what is no letter or digit of its name as "_". It does so after each epoch; where epochs
// take less than a few seconds after some of them, and at the end.
func Curves() Callback {
	var p pace
	draw := func(r *Run, must bool) {
		r.Warn(p.draw(must, func() error {
			epochs := PlotEpochs(r.History, r.Metrics...)
			type figure struct {
				name string
				*plots.Figure
			}
			all := []figure{{"loss", plots.Loss(epochs)}, {"accuracy", plots.Accuracy(epochs)}}
			for _, name := range plots.MetricNames(epochs) {
				all = append(all, figure{"metric-" + fileName(name), plots.OfMetric(epochs, name)})
			}
			for _, f := range all {
				if f.name == "accuracy" && !slices.ContainsFunc(epochs, hasAccuracy) {
					continue // labels are no classes
				}
				for _, ext := range []string{".png", ".svg"} {
					if err := f.Save(filepath.Join(r.Dir, f.name+ext)); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
	return Callback{
		Name:  "Curves",
		Start: func(r *Run) error { return wantDir(r, "Curves") },
		Epoch: func(r *Run, _ *Metrics) error {
			if !r.DryRun {
				draw(r, false)
			}
			return nil
		},
		End: func(r *Run) {
			if p.left {
				draw(r, true)
			}
		},
	}
}

func hasAccuracy(e plots.Epoch) bool {
	return !math.IsNaN(e.TrainAccuracy) || !math.IsNaN(e.TestAccuracy)
}

// wantDir is the error of a callback that writes files in a run without a folder.
func wantDir(r *Run, name string) error {
	if r.Dir == "" && !r.DryRun {
		return fmt.Errorf("trainer: %s: the run has no folder, want Config.Dir", name)
	}
	return nil
}

// PlotEpochs returns a history, of a Result or from ReadMetrics, as package plots draws
// it. metrics say in which order those of one's own come, and which way is better;
// others come behind them.
func PlotEpochs(history []Metrics, metrics ...Metric) []plots.Epoch {
	all := slices.Clone(metrics)
	for _, column := range ownOf(history) {
		_, name, _ := strings.Cut(column, "_")
		if !slices.ContainsFunc(all, func(m Metric) bool { return m.Name == name }) {
			all = append(all, Metric{Name: name})
		}
	}
	value := func(m *Metrics, column string) float64 {
		if v, ok := m.Own[column]; ok {
			return float64(v)
		}
		return math.NaN()
	}
	out := make([]plots.Epoch, len(history))
	for i, m := range history {
		out[i] = plots.Epoch{
			Epoch: m.Epoch, LR: m.LR, Seconds: m.TrainSeconds + m.TestSeconds,
			TrainLoss: float64(m.TrainLoss), TrainAccuracy: float64(m.TrainAccuracy),
			TestLoss: float64(m.TestLoss), TestAccuracy: float64(m.TestAccuracy),
		}
		for _, own := range all {
			out[i].Metrics = append(out[i].Metrics, plots.Metric{
				Name: own.Name, Max: own.Mode == sched.Max, Train: value(&m, trainName(own.Name)), Test: value(&m, testName(own.Name)),
			})
		}
	}
	return out
}

// PredictionsOpts are the options of Predictions and Report.
type PredictionsOpts struct {
	Mean, Std []float64 // one value a channel, as given to transforms.Normalize; nil if it was not used
}

// Predictions shows what a model makes of the test images. While they are tested
// anyway it keeps some of them and counts the rest; after the epoch it writes to
// the run's folder predictions.png (the first test images), mistakes.png (the
// most confident ones), confusion.png, filters.png (of the first convolution, if
// it sees colours or grays), and report.html, a page with all that can be seen of
// the run. Loggers such as TensorBoard and WandB get the images too, under the
// names predictions, mistakes, confusion, filters.
//
// The test data are images [N, 1 or 3, H, W] with the numbers of classes as
// labels [N], the model's output is [N, classes]. Where epochs take less than a
// few seconds it draws after some of them, and at the end.
func Predictions(classes []string, opts ...PredictionsOpts) Callback {
	var p pace
	var seen, next *tested
	draw := func(r *Run, must bool) {
		r.Warn(p.draw(must, func() error {
			drawn, err := seen.draw(r.Module)
			if err != nil {
				return err
			}
			for _, d := range drawn.images {
				r.AddImage(d.name, d.Image)
			}
			return drawn.save(r.Dir, r.History, r.Metrics...)
		}))
	}
	return Callback{
		Name: "Predictions",
		Start: func(r *Run) error {
			if r.Test == nil {
				return errors.New("trainer: Predictions: the run has no Test data, whose images it shows")
			}
			if err := wantDir(r, "Predictions"); err != nil {
				return err
			}
			return checkPredictions(r.Test.Dataset, classes, opts)
		},
		Test: func(*Run) (done func()) {
			next = newTested(classes, opts)
			return nil
		},
		TestBatch: func(r *Run) error {
			if next != nil {
				if err := next.add(r.Images, r.Labels, r.Output, r.pass.Terms.Counted); err != nil {
					r.Warn(fmt.Errorf("trainer: Predictions: %w", err))
					next = nil
				}
			}
			return nil
		},
		Epoch: func(r *Run, _ *Metrics) error {
			if next != nil && !r.DryRun {
				seen, next = next, nil
				draw(r, false)
			}
			return nil
		},
		End: func(r *Run) {
			if p.left {
				draw(r, true)
			}
		},
	}
}

// checkPredictions says what does not fit before hours have gone into training.
func checkPredictions(set datasets.Dataset, classes []string, opts []PredictionsOpts) error {
	if c, ok := set.(interface{ Classes() []string }); ok && len(c.Classes()) != len(classes) {
		return fmt.Errorf("trainer: Predictions: got the names of %d classes, and the test data have %d", len(classes), len(c.Classes()))
	}
	if set.Len() == 0 {
		return nil
	}
	e, err := datasets.AsMulti(set).Example(0, rand.New(rand.NewPCG(0, 0)))
	if err != nil {
		return fmt.Errorf("trainer: Predictions: example 0 of the test data: %w", err)
	}
	if len(e.Inputs) == 0 {
		return errors.New("trainer: Predictions: example 0 of the test data has no input")
	}
	if _, err := newTested(classes, opts).picture(e.Inputs[0]); err != nil {
		return fmt.Errorf("trainer: Predictions: %w", err)
	}
	return nil
}

// Report predicts all test images and writes what Predictions writes, for a model
// that was loaded or trained elsewhere. It puts the model in evaluation mode.
func Report(dir string, model layers.Layer, test *datasets.DataLoader, classes []string, history []Metrics, opts ...PredictionsOpts) error {
	if test == nil || test.Dataset == nil {
		return errors.New("trainer: Report: there are no test data")
	}
	layers.Eval(model)
	// In the data set's order, so that a prediction's place is the image's.
	loader := &datasets.DataLoader{Dataset: test.Dataset, BatchSize: test.BatchSize, Workers: test.Workers, Device: test.Device, Collate: test.Collate, CollateBatch: test.CollateBatch}
	t := newTested(classes, opts)
	for images, labels := range autograd.NoGrad(loader.All()) {
		output := model.Forward(images)
		var counted *tensor.Tensor
		if labels.DType() == tensor.Int64 {
			counted = layers.CrossEntropyLoss{}.Terms(output, labels).Counted
		}
		if err := t.add(images, labels, output, counted); err != nil {
			return fmt.Errorf("trainer: Report: %w", err)
		}
	}
	if err := loader.Err(); err != nil {
		return err
	}
	drawn, err := t.draw(model)
	if err != nil {
		return err
	}
	return drawn.save(dir, history)
}

// reportPictures is the number of test images, and of mistakes, that are shown;
// mostClasses is the number of classes of which each has a test image there, where
// there are more classes than images.
const reportPictures, mostClasses = 20, 100

// tested is what is kept of a test: the count of all predictions, the first
// images of each class and the most confident mistakes.
type tested struct {
	PredictionsOpts
	confusion      *plots.Confusion
	first, further []sample // of each class as many as its share; of all examples besides
	taken          []int    // images of each class in first
	mistakes       []plots.Prediction
	n              int
}

// sample is an example that may be shown.
type sample struct {
	at int
	plots.Prediction
}

// shown is the number of test images that are shown.
func (t *tested) shown() int {
	return max(reportPictures, min(len(t.confusion.Classes), mostClasses))
}

// share is the number of test images of a class that are surely shown. Of very
// many classes every n-th has one.
func (t *tested) share(class int) int {
	classes := len(t.confusion.Classes)
	if n := t.shown() / classes; n > 0 {
		return n
	}
	return (class+1)*t.shown()/classes - class*t.shown()/classes
}

// samples are the images that are shown, in the data's order.
func (t *tested) samples() []plots.Prediction {
	all := append(t.first[:len(t.first):len(t.first)], t.further[:min(len(t.further), t.shown()-len(t.first))]...)
	slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(a.at, b.at) })
	var out []plots.Prediction
	for _, s := range all {
		out = append(out, s.Prediction)
	}
	return out
}

func newTested(classes []string, opts []PredictionsOpts) *tested {
	t := &tested{confusion: plots.NewConfusion(classes), taken: make([]int, len(classes))}
	if len(opts) > 0 {
		t.PredictionsOpts = opts[0]
	}
	return t
}

// add takes a batch, of which the counted examples have a label; nil means all.
func (t *tested) add(images, labels, output, counted *tensor.Tensor) error {
	if output == nil || labels == nil {
		return errors.New("the pass has no Scores and Labels, want those of the classes")
	}
	if output.Dim() != 2 || labels.Dim() != 1 || labels.DType() != tensor.Int64 {
		return fmt.Errorf("the model's output is %v and the labels are %s %v, want [N, classes] and int64 [N]", output.Shape(), labels.DType(), labels.Shape())
	}
	top, at := output.Detach().Softmax(1).Max(1)
	confidences := top.Float64s()
	truth, predictions := make([]int, len(confidences)), make([]int, len(confidences))
	for i, label := range labels.Ints() {
		truth[i] = int(label)
	}
	for i, p := range at.Ints() {
		predictions[i] = int(p)
	}
	has := slices.Repeat([]bool{true}, len(confidences))
	if counted != nil && counted.Shape().Equal(labels.Shape()) {
		has = counted.Bools()
	}
	var known, guessed []int
	for i := range truth {
		if has[i] {
			known, guessed = append(known, truth[i]), append(guessed, predictions[i])
		}
	}
	if err := t.confusion.Add(known, guessed); err != nil {
		return err
	}
	for i, confidence := range confidences {
		if !has[i] {
			continue
		}
		place := len(t.mistakes)
		for place > 0 && confidence > t.mistakes[place-1].Confidence {
			place--
		}
		mistake := truth[i] != predictions[i] && place < reportPictures
		isFirst := t.taken[truth[i]] < t.share(truth[i])
		isFurther := !isFirst && len(t.further) < t.shown()
		if !isFirst && !isFurther && !mistake {
			continue
		}
		picture, err := t.picture(images.Detach().Select(0, i))
		if err != nil {
			return err
		}
		shown := plots.Prediction{
			Image: picture, Name: fmt.Sprintf("#%d", t.n+i), Confidence: confidence,
			Label: t.confusion.Classes[truth[i]], Predicted: t.confusion.Classes[predictions[i]],
		}
		switch {
		case isFirst:
			t.taken[truth[i]]++
			t.first = append(t.first, sample{t.n + i, shown})
		case isFurther:
			t.further = append(t.further, sample{t.n + i, shown})
		}
		if mistake {
			t.mistakes = slices.Insert(t.mistakes, place, shown)
			t.mistakes = t.mistakes[:min(len(t.mistakes), reportPictures)]
		}
	}
	t.n += len(confidences)
	return nil
}

// image is an example as an image.
func (t *tested) picture(x *tensor.Tensor) (image.Image, error) {
	if x.Dim() != 3 {
		return nil, fmt.Errorf("an example is %v, want an image [1 or 3, H, W]", x.Shape())
	}
	pictures, err := plots.ToImages(x, t.Mean, t.Std)
	if err != nil {
		return nil, err
	}
	return pictures[0], nil
}

// drawing is a test as images.
type drawing struct {
	*tested
	images  []namedImage
	filters image.Image // nil if there are none to see
}

type namedImage struct {
	name string
	image.Image
}

func (t *tested) draw(model layers.Module) (*drawing, error) {
	d := &drawing{tested: t, images: []namedImage{
		{"predictions", plots.Grid(t.samples(), plots.GridOpts{Title: "Test images"})},
		{"mistakes", plots.Grid(t.mistakes, plots.GridOpts{Title: "Most confident mistakes"})},
		{"confusion", t.confusion.Figure().Image()},
	}}
	if w := firstFilters(model); w != nil {
		var err error
		if d.filters, err = plots.Filters(w, "Filters of the first convolution"); err != nil {
			return nil, err
		}
		d.images = append(d.images, namedImage{"filters", d.filters})
	}
	return d, nil
}

// save writes the images and the report.
func (d *drawing) save(dir string, history []Metrics, metrics ...Metric) error {
	for _, i := range d.images {
		if err := plots.SavePNG(filepath.Join(dir, i.name+".png"), i.Image); err != nil {
			return err
		}
	}
	report := plots.Report{
		Title: filepath.Base(dir), Epochs: PlotEpochs(history, metrics...), Confusion: d.confusion, Samples: d.samples(), Mistakes: d.mistakes,
		Filters: d.filters, Settings: reportSettings(dir),
	}
	return report.Save(filepath.Join(dir, "report.html"))
}

// firstFilters returns the weight of a model's first convolution if its filters
// can be seen as images, otherwise nil.
func firstFilters(model layers.Module) *tensor.Tensor {
	for _, m := range layers.Modules(model) {
		if c, ok := m.(*layers.Conv2d); ok {
			if channels := c.Weight.Size(1); channels == 1 || channels == 3 {
				return c.Weight.Detach()
			}
			return nil
		}
	}
	return nil
}

// reportSettings is what a run's config.json says that a person wants to know;
// nothing if there is none.
func reportSettings(dir string) []plots.Setting {
	c, err := ReadRunConfig(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return []plots.Setting{{Name: "config.json", Value: err.Error()}}
	}
	model := fmt.Sprintf("%s, %d parameters", c.Model, c.Parameters)
	if m := c.Settings["model"]; m != "" && m != c.Model {
		model = m + " (" + model + ")"
	}
	out := []plots.Setting{
		{Name: "started", Value: c.Started.Format("2006-01-02 15:04:05")},
		{Name: "model", Value: model},
		{Name: "device", Value: c.Device},
		{Name: "seed", Value: fmt.Sprint(c.Seed)},
		{Name: "system", Value: fmt.Sprintf("%s, %d processors", c.System, c.CPUs)},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		if name == "model" || name == "device" || name == "seed" {
			continue // told above
		}
		value := c.Settings[name]
		byDefault, ok := c.Defaults[name]
		out = append(out, plots.Setting{Name: name, Value: value, Default: ok && value == byDefault})
	}
	return out
}
