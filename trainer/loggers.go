package trainer

import (
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/plots"
	"github.com/wick-ml/wick/trainer/tensorboard"
	"github.com/wick-ml/wick/trainer/wandb"
)

// scalars are an epoch's numbers by the names that TensorBoard and W&B show
// them under; what was not measured is left out.
func (m *Metrics) scalars() map[string]float64 {
	out := map[string]float64{"lr": m.LR, "images_per_sec": m.ImagesPerSec, "epoch": float64(m.Epoch)}
	for name, v := range map[string]float64{
		"loss/train": float64(m.TrainLoss), "loss/test": float64(m.TestLoss),
		"accuracy/train": float64(m.TrainAccuracy), "accuracy/test": float64(m.TestAccuracy),
	} {
		if v == v { // not NaN
			out[name] = v
		}
	}
	return out
}

// TensorBoard adds each epoch's numbers to w, with histograms of the weights and
// of the gradients of the epoch's last step, and the model's graph once. The
// program closes w.
func TensorBoard(w *tensorboard.Writer) Callback {
	return Callback{
		Name: "TensorBoard",
		Start: func(r *Run) error {
			if r.Position.Step > 0 {
				return nil // the graph is there from the run's start
			}
			return w.AddGraph(r.Model)
		},
		Epoch: func(r *Run, m *Metrics) error {
			scalars := m.scalars()
			for _, name := range slices.Sorted(maps.Keys(scalars)) {
				if err := w.AddScalar(name, scalars[name], m.Step); err != nil {
					return err
				}
			}
			for path, p := range layers.NamedParameters(r.Model) {
				if err := w.AddHistogram("weights/"+path, p, m.Step); err != nil {
					return err
				}
				if g := p.Grad(); g != nil {
					if err := w.AddHistogram("gradients/"+path, g, m.Step); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// WandB logs each epoch's numbers to run. The program finishes it.
func WandB(run *wandb.Run) Callback {
	return Callback{
		Name:  "WandB",
		Epoch: func(r *Run, m *Metrics) error { return run.Log(m.scalars(), m.Step) },
	}
}

// Curves draws the curves of loss and accuracy anew after each epoch: loss.png,
// loss.svg, accuracy.png and accuracy.svg in the run's folder.
func Curves() Callback {
	return Callback{
		Name: "Curves",
		Epoch: func(r *Run, _ *Metrics) error {
			if r.Dir == "" {
				return errors.New("trainer: Curves: the run has no folder, want Config.Dir")
			}
			epochs := plotEpochs(r.History)
			for name, figure := range map[string]*plots.Figure{"loss": plots.Loss(epochs), "accuracy": plots.Accuracy(epochs)} {
				for _, ext := range []string{".png", ".svg"} {
					if err := figure.Save(filepath.Join(r.Dir, name+ext)); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

// plotEpochs is a history as package plots takes it.
func plotEpochs(history []Metrics) []plots.Epoch {
	out := make([]plots.Epoch, len(history))
	for i, m := range history {
		out[i] = plots.Epoch{
			Epoch: m.Epoch, LR: m.LR, Seconds: m.TrainSeconds + m.TestSeconds,
			TrainLoss: float64(m.TrainLoss), TrainAccuracy: float64(m.TrainAccuracy),
			TestLoss: float64(m.TestLoss), TestAccuracy: float64(m.TestAccuracy),
		}
	}
	return out
}

// reportPictures is the number of test pictures, and of mistakes, in a report.
const reportPictures = 20

// Report predicts all test pictures and writes report.html to a run's folder,
// with all that can be seen of the run, and its pictures as files of their own:
// predictions.png, mistakes.png (the most confident ones), confusion.png,
// filters.png (of the first convolution, if it sees colours or grays). The test
// data are pictures [1 or 3, H, W] from 0 to 1 with classes as labels; the model
// is put in evaluation mode.
func Report(dir string, model layers.Layer, test *datasets.DataLoader, classes []string, history []Metrics) error {
	layers.Eval(model)
	// In the data set's order, so that a prediction's place is the picture's.
	loader := &datasets.DataLoader{Dataset: test.Dataset, BatchSize: test.BatchSize, Workers: test.Workers, Device: test.Device, Collate: test.Collate}
	var labels, predictions []int
	var confidences []float64
	for images, targets := range autograd.NoGrad(loader.All()) {
		confidence, prediction := model.Forward(images).Softmax(1).Max(1)
		for i, label := range targets.Ints() {
			labels = append(labels, int(label))
			predictions = append(predictions, int(prediction.Ints()[i]))
		}
		confidences = append(confidences, confidence.Float64s()...)
	}
	if err := loader.Err(); err != nil {
		return err
	}
	confusion := plots.NewConfusion(classes)
	if err := confusion.Add(labels, predictions); err != nil {
		return err
	}
	show := func(indices []int) ([]plots.Prediction, error) {
		out := make([]plots.Prediction, len(indices))
		for k, i := range indices {
			x, _, err := test.Dataset.Get(i, rand.New(rand.NewPCG(0, uint64(i))))
			if err != nil {
				return nil, err
			}
			pictures, err := plots.Pictures(x.Unsqueeze(0), nil, nil)
			if err != nil {
				return nil, err
			}
			out[k] = plots.Prediction{
				Picture: pictures[0], Name: fmt.Sprintf("#%d", i),
				Label: classes[labels[i]], Predicted: classes[predictions[i]], Confidence: confidences[i],
			}
		}
		return out, nil
	}
	first := make([]int, min(reportPictures, len(labels)))
	for i := range first {
		first[i] = i
	}
	samples, err := show(first)
	if err != nil {
		return err
	}
	mistakes, err := show(plots.Mistakes(labels, predictions, confidences, reportPictures))
	if err != nil {
		return err
	}

	epochs := plotEpochs(history)
	report := plots.Report{
		Title: filepath.Base(dir), Epochs: epochs, Confusion: confusion, Samples: samples, Mistakes: mistakes,
		Settings: reportSettings(dir),
	}
	if len(epochs) > 0 {
		report.Figures = []*plots.Figure{plots.LR(epochs)} // loss and accuracy are there from Epochs
	}
	files := map[string]image.Image{"confusion.png": confusion.Figure().Image(), "predictions.png": plots.Grid(samples, plots.GridOpts{})}
	if len(mistakes) > 0 {
		files["mistakes.png"] = plots.Grid(mistakes, plots.GridOpts{Title: "Most confident mistakes"})
	}
	if w := firstFilters(model); w != nil {
		if report.Filters, err = plots.Filters(w, "Filters of the first convolution"); err != nil {
			return err
		}
		files["filters.png"] = report.Filters
	}
	for name, img := range files {
		if err := plots.SavePNG(filepath.Join(dir, name), img); err != nil {
			return err
		}
	}
	return report.Save(filepath.Join(dir, "report.html"))
}

// firstFilters returns the weight of a model's first convolution if its filters
// can be seen as pictures, otherwise nil.
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
	out := []plots.Setting{
		{Name: "started", Value: c.Started.Format("2006-01-02 15:04:05")},
		{Name: "model", Value: fmt.Sprintf("%s, %d parameters", c.Model, c.Parameters)},
		{Name: "device", Value: c.Device},
		{Name: "seed", Value: fmt.Sprint(c.Seed)},
		{Name: "system", Value: fmt.Sprintf("%s, %d processors", c.System, c.CPUs)},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		out = append(out, plots.Setting{Name: name, Value: c.Settings[name]})
	}
	return out
}
