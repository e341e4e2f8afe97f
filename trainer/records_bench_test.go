package trainer

import (
	"testing"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer/tensorboard"
)

// What each record of an epoch costs with VGG16.
func BenchmarkRecords(b *testing.B) {
	cfg := models.Cfg{64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"}
	model := models.NewVGG(cfg, 10)
	set := datasets.NewShapes(datasets.ShapesOpts{})
	r := &Run{Config: &Config{Model: model, Dir: b.TempDir()}}
	for i := range 100 {
		r.History = append(r.History, Metrics{Epoch: i + 1, TrainLoss: 1, TestLoss: 2, TestAccuracy: 0.5, TrainAccuracy: 0.5})
	}
	loader := &datasets.DataLoader{Dataset: set, BatchSize: 100}
	collect := func() *tested {
		t := newTested(set.Classes(), nil)
		for images, labels := range loader.All() {
			if err := t.add(images, labels, tensor.Randn(labels.Len(), 10)); err != nil {
				b.Fatal(err)
			}
			if t.n >= 2000 {
				break
			}
		}
		return t
	}
	b.Run("collect 2000", func(b *testing.B) {
		for b.Loop() {
			collect()
		}
	})
	b.Run("loader 2000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, labels := range loader.All() {
				if n += labels.Len(); n >= 2000 {
					break
				}
			}
		}
	})
	seen := collect()
	var d *drawing
	b.Run("draw", func(b *testing.B) {
		for b.Loop() {
			var err error
			if d, err = seen.draw(model); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if err := d.save(r.Dir, r.History); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("curves", func(b *testing.B) {
		for b.Loop() {
			if err := Curves().Epoch(r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	w, err := tensorboard.NewWriter(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	b.Run("tensorboard images", func(b *testing.B) {
		for b.Loop() {
			for _, i := range d.images {
				if err := w.AddImage(i.name, i.Image, 1); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("tensorboard epoch", func(b *testing.B) {
		for b.Loop() {
			if err := TensorBoardTo(w).Epoch(r, &r.History[0]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("checkpoint", func(b *testing.B) {
		for b.Loop() {
			if err := (&Snapshot{Model: model}).Save(r.Dir+"/x.safetensors", Position{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
