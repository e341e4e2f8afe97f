package trainer

import (
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/tensorboard"
	"github.com/wick-ml/wick/trainer/wandb"
)

// What each record of an epoch costs with the tutorial's VGG16, whose epoch of
// CIFAR-10 takes about five minutes on two cores.
func BenchmarkRecords(b *testing.B) {
	check := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	cfg := models.Cfg{64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"}
	model := models.NewVGG(cfg, 10)
	set := datasets.NewShapes(datasets.ShapesOpts{})
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 100}
	optimizer := optim.NewAdam(layers.Parameters(model), 0.001)
	for images, labels := range (&datasets.DataLoader{Dataset: set, BatchSize: 4}).All() {
		layers.CrossEntropyLoss{}.Forward(model.Forward(images), labels).Backward()
		optimizer.Step()
		break
	}
	r := &Run{Config: &Config{Model: model, Dir: b.TempDir()}}
	for i := range 100 {
		r.History = append(r.History, Metrics{Epoch: i + 1, Step: 782 * (i + 1), TrainLoss: 1, TestLoss: 2, TestAccuracy: 0.5, TrainAccuracy: 0.5})
	}
	measure := func(name string, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}

	var batches [][3]*tensor.Tensor
	for images, labels := range loader.All() {
		batches = append(batches, [3]*tensor.Tensor{images.Keep(), labels.Keep(), tensor.Randn(labels.Len(), 10)})
		if len(batches) == 20 {
			break
		}
	}
	var seen *tested
	measure("2000 test images seen", func() {
		seen = newTested(set.Classes(), nil)
		for _, x := range batches {
			check(seen.add(x[0], x[1], x[2], nil))
		}
	})
	var d *drawing
	measure("images drawn", func() {
		var err error
		d, err = seen.draw(model)
		check(err)
	})
	measure("images and report written", func() { check(d.save(r.Dir, r.History)) })
	measure("curves", func() { check(Curves().Epoch(r, nil)) })
	w, err := tensorboard.NewWriter(b.TempDir())
	check(err)
	defer w.Close()
	offline, err := wandb.Init(b.TempDir())
	check(err)
	defer offline.Finish(0)
	for name, c := range map[string]Callback{"TensorBoard": TensorBoardTo(w), "WandB": WandBTo(offline)} {
		measure(name+" images", func() {
			r.Position.Step++
			for _, i := range d.images {
				c.Image(r, i.name, i.Image)
			}
		})
		measure(name+" epoch", func() {
			check(c.Epoch(r, &Metrics{Step: r.Position.Step}))
		})
		measure(name+" step", func() {
			r.Position.Step++
			c.Scalars(r, map[string]float64{"step/loss": 1, "step/lr": 0.001})
		})
	}
	records, err := OpenRecords(r.Dir, nil, false)
	check(err)
	measure("metrics", func() { check(records.Append(r.History[0])) })
	measure("checkpoint", func() {
		check((&Snapshot{Model: model, Optimizer: optimizer}).Save(r.Dir+"/x.safetensors", Position{}))
	})
	if len(r.warnings) > 0 {
		b.Error(r.warnings)
	}
}
