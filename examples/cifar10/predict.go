package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
	"github.com/wick-ml/wick/trainer/plots"
)

// predict loads a model, prints the label and the prediction of the test images
// opts.from to opts.to, and shows them in one PNG file.
func predict(ctx context.Context, opts options) error {
	model, err := layers.Load[*models.VGG](opts.predict)
	if err != nil {
		return err
	}
	layers.To(model, opts.device)
	layers.Eval(model)
	_, testSet, err := loadData(ctx, &opts)
	if err != nil {
		return err
	}
	if err := fits(opts, model); err != nil {
		return err
	}
	if known := model.Classifier.Weight.Size(0); known != len(opts.classes) {
		return fmt.Errorf("%s knows %d classes, the dataset has %d", opts.predict, known, len(opts.classes))
	}
	if opts.to >= testSet.Len() {
		return fmt.Errorf("-to %d: there are %d test images, want %d or less", opts.to, testSet.Len(), testSet.Len()-1)
	}
	if err := makeOut(opts); err != nil {
		return err
	}
	loader := &datasets.DataLoader{Dataset: datasets.Slice(testSet, opts.from, opts.to+1), BatchSize: opts.batch, Workers: opts.workers, Device: opts.device}

	toPILImage := transforms.ToPILImage()
	var pictures []plots.Prediction
	for images, labels := range autograd.NoGrad(loader.All()) {
		output := model.Forward(images)
		confidence, prediction := output.Softmax(1).Max(1)
		predicted, sure := prediction.Ints(), confidence.Float64s()
		for i, label := range labels.Ints() {
			p := plots.Prediction{
				Image:      toPILImage(images.Select(0, i)),
				Name:       fmt.Sprintf("#%d", opts.from+len(pictures)),
				Label:      opts.classes[label],
				Predicted:  opts.classes[predicted[i]],
				Confidence: sure[i],
			}
			mark := ""
			if p.Wrong() {
				mark = "  wrong"
			}
			fmt.Fprintf(opts.stdout, "%4d  label %-12s prediction %-12s %5.1f %%%s\n", opts.from+len(pictures), p.Label, p.Predicted, 100*p.Confidence, mark)
			pictures = append(pictures, p)
		}
	}
	if err := loader.Err(); err != nil {
		return err
	}
	return savePredictions(opts, pictures)
}

// predictFiles predicts images of one's own, and shows them in one PNG file. The
// classes' names are those of the run that the model lies in.
func predictFiles(opts options) error {
	model, err := layers.Load[*models.VGG](opts.predict)
	if err != nil {
		return err
	}
	layers.To(model, opts.device)
	layers.Eval(model)
	if err := fits(opts, model); err != nil {
		return err
	}
	classes, size := make([]string, model.Classifier.Weight.Size(0)), opts.size
	for i := range classes {
		classes[i] = fmt.Sprint("class ", i)
	}
	if run, err := trainer.ReadRunConfig(filepath.Dir(opts.predict)); err == nil {
		if len(run.Train.Classes) == len(classes) {
			classes = run.Train.Classes
		}
	}
	if err := makeOut(opts); err != nil {
		return err
	}
	fmt.Fprintf(opts.stdout, "%s: %d classes, images of %d×%d pixels\n", opts.predict, len(classes), size, size)
	toTensor := fit(size, transforms.ToTensor())
	var pictures []plots.Prediction
	for _, path := range opts.pictures {
		im, err := datasets.OpenImage(path)
		if err != nil {
			return err
		}
		x := toTensor.Apply(transforms.Sample{Image: im}, rand.New(rand.NewPCG(opts.seed, 0))).Tensor
		scope := tensor.NewScope()
		output := model.Forward(x.Unsqueeze(0).To(opts.device).In(scope).NoGrad())
		confidence, prediction := output.Softmax(1).TopK(min(3, len(classes)), 1, true)
		sure, predicted := confidence.Float64s(), prediction.Ints()
		scope.Close()
		var line strings.Builder
		for i, p := range predicted {
			fmt.Fprintf(&line, "  %-12s %5.1f %%", classes[p], 100*sure[i])
		}
		fmt.Fprintf(opts.stdout, "%s%s\n", path, line.String())
		pictures = append(pictures, plots.Prediction{Image: im, Name: filepath.Base(path), Predicted: classes[predicted[0]], Confidence: sure[0]})
	}
	return savePredictions(opts, pictures)
}

// fits says whether the model takes images of the size that the options say.
func fits(opts options, model *models.VGG) error {
	var c struct{ Cfg models.Cfg }
	_, config := model.Config()
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	if err := c.Cfg.Check(opts.size, opts.size); err != nil {
		return fmt.Errorf("%s: %w; -size says another size", opts.predict, err)
	}
	return nil
}

func savePredictions(opts options, pictures []plots.Prediction) error {
	path := filepath.Join(opts.out, "predictions.png")
	if err := plots.SavePNG(path, plots.Grid(pictures, plots.GridOpts{})); err != nil {
		return err
	}
	fmt.Fprintln(opts.stdout, "images:", path)
	return show(opts, path)
}
