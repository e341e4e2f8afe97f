package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/trainer/plots"
)

// predict loads a model, prints the label and the prediction of the test pictures
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
	if known := model.Classifier.Weight.Size(0); known != len(opts.classes) {
		return fmt.Errorf("%s knows %d classes, the dataset has %d", opts.predict, known, len(opts.classes))
	}
	if opts.to >= testSet.Len() {
		return fmt.Errorf("-to %d: there are %d test pictures, want %d or less", opts.to, testSet.Len(), testSet.Len()-1)
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
				Picture:    toPILImage(images.Select(0, i)),
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
	path := filepath.Join(opts.out, "predictions.png")
	if err := plots.SavePNG(path, plots.Grid(pictures, plots.GridOpts{})); err != nil {
		return err
	}
	fmt.Fprintln(opts.stdout, "pictures:", path)
	return show(opts, path)
}
