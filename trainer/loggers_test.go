package trainer_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
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
	model, result, testLoader := fit(dir, trainer.TensorBoardTo(w), trainer.WandBTo(offline), trainer.LogSteps(2), trainer.Curves())
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

// Predictions, which looks on while Fit tests, and Report, which predicts all once
// more, come to the same files.
func TestPicturesAreTheReport(t *testing.T) {
	dir, second := t.TempDir(), t.TempDir()
	test := datasets.NewShapes(datasets.ShapesOpts{}) // its last images serve as training data
	model := models.NewVGG(models.Cfg{4, "M", 8, "M", 8, "M", 8, "M", 8, "M"}, 10)
	var shown []string
	config := trainer.Config{
		Model:     model,
		Optimizer: optim.NewAdam(layers.Parameters(model), 0.01),
		Loss:      layers.CrossEntropyLoss{},
		Train:     &datasets.DataLoader{Dataset: datasets.Slice(test, 1880, 2000), BatchSize: 20, Shuffle: true},
		Test:      &datasets.DataLoader{Dataset: datasets.Slice(test, 0, 110), BatchSize: 20},
		Epochs:    3, Dir: dir,
		Callbacks: []trainer.Callback{
			trainer.Predictions(test.Classes()),
			{Image: func(r *trainer.Run, name string, img image.Image) {
				shown = append(shown, fmt.Sprint(name, " ", r.Position.Step))
			}},
		},
	}
	result, err := trainer.Fit(context.Background(), config)
	if err != nil || len(result.Warnings) > 0 {
		t.Fatal(err, result.Warnings)
	}
	// Epochs this short are drawn first and last.
	want := []string{"predictions 6", "mistakes 6", "confusion 6", "filters 6", "predictions 18", "mistakes 18", "confusion 18", "filters 18"}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("what loggers were given (-want +got):\n%s", diff)
	}
	if err := trainer.Report(second, model, config.Test, test.Classes(), result.History); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"predictions.png", "mistakes.png", "confusion.png", "filters.png"} {
		a, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s of Predictions and of Report differ", name)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "report.html")); err != nil || !strings.Contains(string(b), "VGG") {
		t.Errorf("report.html: %v, or without the run's model", err)
	}
}

func TestPicturesRefuse(t *testing.T) {
	set := datasets.NewShapes(datasets.ShapesOpts{})
	flat, err := datasets.NewTensors(tensor.Zeros(4, 8), tensor.From([]int{0, 1, 0, 1}, 4))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		test    datasets.Dataset
		classes []string
		opts    trainer.PredictionsOpts
		want    string
	}{
		{"no test data", nil, set.Classes(), trainer.PredictionsOpts{}, "the run has no Test data"},
		{"other classes", set, []string{"a", "b"}, trainer.PredictionsOpts{}, "got the names of 2 classes, and the test data have 10"},
		{"no images", flat, []string{"a", "b"}, trainer.PredictionsOpts{}, "an example is [8], want an image [1 or 3, H, W]"},
		{"mean of one channel", set, set.Classes(), trainer.PredictionsOpts{Mean: []float64{0.5}, Std: []float64{1, 1, 1}}, "mean and std have 1 and 3 values"},
	} {
		model := layers.NewLinear(8, 2)
		config := trainer.Config{
			Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0.01), Loss: layers.CrossEntropyLoss{},
			Train: &datasets.DataLoader{Dataset: flat, BatchSize: 2}, Epochs: 1, Dir: t.TempDir(),
			Callbacks: []trainer.Callback{trainer.Predictions(tt.classes, tt.opts)},
		}
		if tt.test != nil {
			config.Test = &datasets.DataLoader{Dataset: tt.test, BatchSize: 2}
		}
		if _, err := trainer.Fit(context.Background(), config); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A run that loses steps behind its checkpoint and is gone on with has each step
// once in W&B's file; TensorBoard's next file says from where on it holds.
func TestLoggersResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run [1]") // of characters that patterns mean something by
	set := datasets.NewShapes(datasets.ShapesOpts{})
	fit := func(stopAt int, resume bool) trainer.Result {
		t.Helper()
		tensor.ManualSeed(1)
		model := models.NewVGG(models.Cfg{4, "M", 4, "M", 4, "M", 4, "M", 4, "M"}, 10)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		result, err := trainer.Fit(ctx, trainer.Config{
			Model: model, Optimizer: optim.NewAdam(layers.Parameters(model), 0.01), Loss: layers.CrossEntropyLoss{},
			Train:  &datasets.DataLoader{Dataset: datasets.Slice(set, 0, 50), BatchSize: 10, Shuffle: true},
			Test:   &datasets.DataLoader{Dataset: datasets.Slice(set, 50, 60), BatchSize: 10},
			Epochs: 2, Dir: dir, Resume: resume, Settings: map[string]string{"lr": "0.01", "note": "a|b", "flag": "true", "odd": "007"},
			Callbacks: []trainer.Callback{
				trainer.LogSteps(1), trainer.Predictions(set.Classes()), trainer.TensorBoard(), trainer.WandB(wandb.Opts{Project: "shapes"}),
				{Step: func(r *trainer.Run) error {
					if r.Position.Step == stopAt {
						cancel()
					}
					return nil
				}},
			},
		})
		if err != nil || len(result.Warnings) > 0 {
			t.Fatal(err, result.Warnings)
		}
		return result
	}
	last := filepath.Join(dir, "last.safetensors")
	fit(4, false)
	old, err := os.ReadFile(last)
	if err != nil {
		t.Fatal(err)
	}
	fit(8, true)
	if err := os.WriteFile(last, old, 0o666); err != nil { // as if it had been killed before it could save
		t.Fatal(err)
	}
	result := fit(0, true)
	if result.Step != 10 || result.Epoch != 2 {
		t.Fatalf("got step %d, epoch %d, want 10 and 2", result.Step, result.Epoch)
	}

	list := func(parts ...string) (names []string) {
		t.Helper()
		entries, err := os.ReadDir(filepath.Join(append([]string{dir}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	read := func(parts ...string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(append([]string{dir}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	runs := list("wandb")
	if len(runs) != 1 {
		t.Fatalf("got the W&B folders %q, want one", runs)
	}
	id := runs[0][strings.LastIndex(runs[0], "-")+1:]
	rows := read("wandb", runs[0], "run-"+id+".wandb")
	// Once in the history and once in the summary.
	if got := strings.Count(rows, "step/loss"); got != 2*10 {
		t.Errorf("W&B's file has %d times step/loss, want 20", got)
	}
	for _, word := range []string{`{"_type":"image-file"`, "best/test_loss", "best/epoch", "run [1]", "batch_size", `"007"`, "config.json"} {
		if !strings.Contains(rows, word) {
			t.Errorf("W&B's file does not contain %q", word)
		}
	}
	var events string
	files := 0
	for _, name := range list() {
		if strings.HasPrefix(name, "events.out.tfevents.") {
			events += read(name)
			files++
		}
	}
	if files != 3 {
		t.Errorf("got %d event files, want 3", files)
	}
	for word, want := range map[string]int{
		"_hparams_/session_start_info": 1, "model/text_summary": 1, "settings/text_summary": 1, "| note | a\\|b |": 1, "| lr | 0.01 |": 1,
		"best/test_loss": 2, "step/lr": 4 + 4 + 6, "Sequential[features]": 1, "accuracy/test": 3,
	} {
		if got := strings.Count(events, word); (got > 0) != (want > 0) || strings.HasPrefix(word, "step") && got != want {
			t.Errorf("the events contain %q %d times, want %d", word, got, want)
		}
	}
}

func TestLogSteps(t *testing.T) {
	var got []string
	set, err := datasets.NewTensors(tensor.Randn(12, 4), tensor.RandInt(0, 3, 12))
	if err != nil {
		t.Fatal(err)
	}
	model := layers.NewLinear(4, 3)
	optimizer := optim.NewSGD(layers.Parameters(model), 1)
	optimizer.Groups = optim.Groups{{Params: optimizer.Groups[0].Params[:1], LR: 1}, {Params: optimizer.Groups[0].Params[1:], LR: 0.5}}
	config := trainer.Config{
		Model: model, Optimizer: optimizer, Loss: layers.CrossEntropyLoss{}, Epochs: 2,
		Scheduler: sched.NewExponentialLR(optimizer, 0.5), SchedulerEachStep: true,
		Train: &datasets.DataLoader{Dataset: set, BatchSize: 4},
		Callbacks: []trainer.Callback{trainer.LogSteps(2), {Scalars: func(r *trainer.Run, values map[string]float64) {
			if values["step/loss"] != r.Loss() {
				t.Errorf("step %d: got the loss %v, want %v", r.Position.Step, values["step/loss"], r.Loss())
			}
			got = append(got, fmt.Sprint(r.Position.Step, values["step/lr/0"], values["step/lr/1"], len(values)))
		}}},
	}
	if _, err := trainer.Fit(context.Background(), config); err != nil {
		t.Fatal(err)
	}
	// The rates that the steps were made with.
	if diff := cmp.Diff([]string{"2 0.5 0.25 3", "4 0.125 0.0625 3", "6 0.03125 0.015625 3"}, got); diff != "" {
		t.Errorf("step, rates, values (-want +got):\n%s", diff)
	}
	config.Callbacks = []trainer.Callback{trainer.LogSteps(0)}
	if _, err := trainer.Fit(context.Background(), config); err == nil || !strings.Contains(err.Error(), "LogSteps every 0 steps, want 1 or more") {
		t.Errorf("every 0 steps: got error %v", err)
	}
}

// A dry run writes nothing, and nothing of it is in a callback's way.
func TestDryRunOfRecords(t *testing.T) {
	set := datasets.NewShapes(datasets.ShapesOpts{})
	model := models.NewVGG(models.Cfg{4, "M", 4, "M", 4, "M", 4, "M", 4, "M"}, 10)
	dir := t.TempDir()
	result, err := trainer.Fit(context.Background(), trainer.Config{
		Model: model, Optimizer: optim.NewSGD(layers.Parameters(model), 0.01), Loss: layers.CrossEntropyLoss{},
		Train: &datasets.DataLoader{Dataset: set, BatchSize: 10}, Test: &datasets.DataLoader{Dataset: set, BatchSize: 10},
		Epochs: 3, Dir: dir, DryRun: true,
		Callbacks: []trainer.Callback{trainer.Curves(), trainer.Predictions(set.Classes()), trainer.TensorBoard(), trainer.WandB(wandb.Opts{}), trainer.LogSteps(1)},
	})
	if files, _ := os.ReadDir(dir); err != nil || len(files) > 0 || len(result.Warnings) > 0 {
		t.Errorf("got error %v, warnings %v, %d files, want none", err, result.Warnings, len(files))
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
