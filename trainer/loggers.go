package trainer

import (
	"image"
	"maps"
	"slices"

	"github.com/wick-ml/wick/layers"
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
		Image: func(r *Run, name string, img image.Image) { r.Warn(w.AddImage(name, img, r.Position.Step)) },
	}
}

// WandB logs each epoch's numbers to run. The program finishes it.
func WandB(run *wandb.Run) Callback {
	return Callback{
		Name:  "WandB",
		Epoch: func(r *Run, m *Metrics) error { return run.Log(m.scalars(), m.Step) },
		Image: func(r *Run, name string, img image.Image) { r.Warn(run.LogImage(name, img, r.Position.Step)) },
	}
}
