package trainer_test

import (
	"context"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
	"github.com/wick-ml/wick/trainer/tensorboard"
	"github.com/wick-ml/wick/trainer/wandb"
)

// A run with all that a person looks at leaves all of it in its folder, and
// comes to the same weights as one without.
func TestEverythingToLookAt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	train := datasets.NewShapes(datasets.ShapesOpts{Train: true})
	test := datasets.NewShapes(datasets.ShapesOpts{})
	fit := func(dir string, callbacks ...trainer.Callback) (*models.VGG, trainer.Result, *datasets.DataLoader) {
		t.Helper()
		tensor.ManualSeed(1)
		model := models.NewVGG(models.Cfg{4, "M", 8, "M", 8, "M", 8, "M", 8, "M"}, 10)
		testLoader := &datasets.DataLoader{Dataset: datasets.Slice(test, 0, 60), BatchSize: 20}
		result, err := trainer.Fit(context.Background(), trainer.Config{
			Model:     model,
			Optimizer: optim.NewAdam(layers.Parameters(model), 0.01),
			Loss:      layers.CrossEntropyLoss{},
			Train:     &datasets.DataLoader{Dataset: datasets.Slice(train, 0, 120), BatchSize: 20, Shuffle: true},
			Test:      testLoader,
			Epochs:    2, Dir: dir, Callbacks: callbacks, Settings: map[string]string{"lr": "0.01"},
		})
		if err != nil {
			t.Fatal(err)
		}
		return model, result, testLoader
	}

	w, err := tensorboard.NewWriter(filepath.Join(dir, "tensorboard"))
	if err != nil {
		t.Fatal(err)
	}
	offline, err := wandb.Init(dir, wandb.Opts{Project: "shapes"})
	if err != nil {
		t.Fatal(err)
	}
	model, result, testLoader := fit(dir, trainer.TensorBoard(w), trainer.WandB(offline), trainer.Curves())
	if err := trainer.Report(dir, model, testLoader, test.Classes(), result.History); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{w.Close(), offline.Finish(0)} {
		if err != nil {
			t.Fatal(err)
		}
	}

	for _, name := range []string{"loss.png", "accuracy.png", "confusion.png", "predictions.png", "mistakes.png", "filters.png"} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 100 {
			t.Errorf("%s: %v, or too small", name, err)
		}
		f.Close()
	}
	for name, words := range map[string][]string{
		"loss.svg":     {"<svg", "</svg>"},
		"accuracy.svg": {"<svg"},
		"report.html":  {"<!DOCTYPE html>", "circle", "VGG", "0.01", "data:image/png;base64,", "<svg"},
		"metrics.csv":  {"train_loss"},
		"config.json":  {`"TensorBoard"`, `"WandB"`, `"Curves"`},
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range words {
			if !strings.Contains(strings.ToLower(string(b)), strings.ToLower(word)) {
				t.Errorf("%s does not contain %q", name, word)
			}
		}
	}
	for _, file := range []string{w.Path(), filepath.Join(offline.Dir(), "run-"+offline.ID()+".wandb")} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"loss/train", "accuracy/test"} {
			if !strings.Contains(string(b), word) {
				t.Errorf("%s does not contain %q", file, word)
			}
		}
	}
	events, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"weights/features.0.weight", "gradients/classifier.bias", "Sequential[features]"} {
		if !strings.Contains(string(events), word) {
			t.Errorf("the events do not contain %q", word)
		}
	}

	plain, _, _ := fit("")
	same := map[string]*tensor.Tensor{}
	for key, x := range layers.StateDict(plain) {
		same[key] = x
	}
	for key, x := range layers.StateDict(model) {
		if tensor.CountEqual(x, same[key]) != x.Len() {
			t.Errorf("%s differs from that of a run without records", key)
		}
	}
}

func TestCurvesWantAFolder(t *testing.T) {
	set := datasets.NewShapes(datasets.ShapesOpts{})
	model := layers.NewSequential(layers.Flatten{}, layers.NewLinear(3*32*32, 10))
	_, err := trainer.Fit(context.Background(), trainer.Config{
		Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0.01), Loss: layers.CrossEntropyLoss{},
		Train: &datasets.DataLoader{Dataset: datasets.Slice(set, 0, 20), BatchSize: 10}, Epochs: 1,
		Callbacks: []trainer.Callback{trainer.Curves()},
	})
	if err == nil || !strings.Contains(err.Error(), "want Config.Dir") {
		t.Errorf("got %v, want a sentence about Config.Dir", err)
	}
}
