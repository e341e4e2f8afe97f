package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/trainer/tensorboard"
	"github.com/wick-ml/wick/trainer/wandb"
)

// scalars are an epoch's numbers by the names that TensorBoard and W&B show
// them under; what was not measured is left out.
func (m *Metrics) scalars() map[string]float64 {
	out := map[string]float64{"lr": m.LR, "images_per_sec": m.ImagesPerSec, "epoch": float64(m.Epoch)}
	if m.Scale != 0 {
		out["scale"], out["skipped_steps"] = m.Scale, float64(m.Skipped)
	}
	for name, v := range map[string]float64{
		"loss/train": float64(m.TrainLoss), "loss/test": float64(m.TestLoss),
		"accuracy/train": float64(m.TrainAccuracy), "accuracy/test": float64(m.TestAccuracy),
	} {
		if v == v { // not NaN
			out[name] = v
		}
	}
	for name, v := range m.Own {
		if v == v {
			phase, metric, _ := strings.Cut(name, "_")
			out[metric+"/"+phase] = float64(v)
		}
	}
	return out
}

// scalars are an epoch's numbers, with a rate that is called what examples are.
func (r *Run) scalars(m *Metrics) map[string]float64 {
	out := m.scalars()
	if r.unit != "" {
		delete(out, "images_per_sec")
		out[r.unit+"_per_sec"] = m.ImagesPerSec
	}
	return out
}

// TensorBoard writes to the run's folder what TensorBoard shows: each epoch's
// numbers, with histograms of the weights and of the gradients of the epoch's last
// step; what Run.AddScalars and Run.AddImage are given; at the start the model's
// graph, its summary and the settings as text; at the end the settings
// (Config.Settings, or what config.json says where there are none) and the best
// metric as hyperparameters, which compare runs. What goes wrong is a warning.
//
// A run that is resumed writes a further file; TensorBoard leaves out steps that
// were made twice if it is started with --load_fast=false. A writer of one's own,
// for other things, may write to the same folder.
func TensorBoard() Callback {
	return tensorBoard(nil)
}

// TensorBoardTo is TensorBoard with a writer that the program has opened, and
// closes.
func TensorBoardTo(w *tensorboard.Writer) Callback { return tensorBoard(w) }

func tensorBoard(given *tensorboard.Writer) Callback {
	w := given
	add := func(r *Run, err error) bool {
		r.Warn(err)
		return err == nil
	}
	return Callback{
		Name: "TensorBoard",
		Start: func(r *Run) error {
			if given == nil {
				if err := wantDir(r, "TensorBoard"); err != nil || r.DryRun {
					return err
				}
				var opts tensorboard.Opts
				if r.Resume {
					opts.PurgeStep = r.Position.Step + 1
				}
				var err error
				if w, err = tensorboard.NewWriter(r.Dir, opts); err != nil {
					r.Warn(fmt.Errorf("trainer: TensorBoard gets nothing of this run: %w", err))
					w = nil
					return nil
				}
			}
			if r.Position.Step > 0 {
				return nil // what follows is there from the run's start
			}
			settings, _, err := hyperparameters(r)
			r.Warn(err)
			var table strings.Builder
			table.WriteString("| setting | value |\n|---|---|\n")
			for _, name := range slices.Sorted(maps.Keys(settings)) {
				var value string
				if json.Unmarshal(settings[name], &value) != nil {
					value = string(settings[name]) // a number
				}
				fmt.Fprintf(&table, "| %s | %s |\n", cell(name), cell(value))
			}
			_ = add(r, w.AddGraph(r.Module)) &&
				add(r, w.AddText("model", indented(layers.Summary(r.Module)), 0)) &&
				add(r, w.AddText("settings", table.String(), 0))
			return nil
		},
		Epoch: func(r *Run, m *Metrics) error {
			if w == nil {
				return nil
			}
			scalars := r.scalars(m)
			if r.Best != nil {
				scalars["best/"+r.Monitor] = *r.Best
			}
			for _, name := range slices.Sorted(maps.Keys(scalars)) {
				if !add(r, w.AddScalar(name, scalars[name], m.Step)) {
					return nil
				}
			}
			for path, p := range layers.NamedParameters(r.Module) {
				if !add(r, w.AddHistogram("weights/"+path, p, m.Step)) {
					return nil
				}
				if g := p.Grad(); g != nil && !add(r, w.AddHistogram("gradients/"+path, g, m.Step)) {
					return nil
				}
			}
			return nil
		},
		Scalars: func(r *Run, values map[string]float64) {
			if w == nil {
				return
			}
			for _, name := range slices.Sorted(maps.Keys(values)) {
				if !add(r, w.AddScalar(name, values[name], r.Position.Step)) {
					return
				}
			}
		},
		Image: func(r *Run, name string, img image.Image) {
			if w != nil {
				add(r, w.AddImage(name, img, r.Position.Step))
			}
		},
		End: func(r *Run) {
			if w == nil {
				return
			}
			if r.Err == nil && r.stop != interrupted && r.Best != nil {
				all, own, err := hyperparameters(r)
				if len(own) == 0 {
					own = all
				}
				var b []byte
				if err == nil {
					b, err = json.Marshal(own)
				}
				if err == nil {
					err = w.AddHParams(b, map[string]float64{"best/" + r.Monitor: *r.Best}, r.Position.Step)
				}
				r.Warn(err)
			}
			if given == nil {
				r.Warn(w.Close())
				w = nil
			}
		},
	}
}

// WandB writes the run for Weights & Biases into the folder wandb in the run's
// folder, for `wandb sync` to upload: each epoch's numbers, the best metric in the
// summary, what Run.AddScalars and Run.AddImage are given, and how the run ended (0;
// 1 after an error; 255 where it was interrupted). Where opts have no Config it is
// that of config.json, with Config.Settings beside; where they have no Name it is
// the folder's. What goes wrong is a warning.
//
// A run that is resumed goes on in the same file, with each step once, so that
// `wandb sync` uploads one run.
func WandB(opts wandb.Opts) Callback {
	return wandB(nil, func(r *Run) (*wandb.Run, error) {
		if r.Resume {
			// Names begin with the time, so that the last is the newest.
			id := opts.ID
			if id == "" {
				id = "*"
			}
			if runs, _ := filepath.Glob(filepath.Join(globbed(r.Dir), "wandb", "offline-run-*-"+id)); len(runs) > 0 {
				run, err := wandb.Resume(runs[len(runs)-1], r.Position.Step)
				if err == nil {
					return run, nil
				}
				r.Warn(fmt.Errorf("trainer: what W&B gets of this run begins at step %d, in a new file: %w", r.Position.Step, err))
			}
		}
		opts := opts
		if opts.Name == "" {
			opts.Name = filepath.Base(r.Dir)
		}
		if opts.Config == nil {
			settings, _, err := hyperparameters(r)
			var c RunConfig
			if err == nil {
				c, err = ReadRunConfig(r.Dir)
			}
			if err == nil {
				settings["config.json"], err = json.Marshal(c)
			}
			if err == nil {
				opts.Config, err = json.Marshal(settings)
			}
			r.Warn(err)
		}
		return wandb.Init(r.Dir, opts)
	})
}

// WandBTo is WandB with a run that the program has begun, and finishes.
func WandBTo(run *wandb.Run) Callback { return wandB(run, nil) }

func wandB(run *wandb.Run, open func(r *Run) (*wandb.Run, error)) Callback {
	return Callback{
		Name: "WandB",
		Start: func(r *Run) error {
			if open == nil {
				return nil
			}
			if err := wantDir(r, "WandB"); err != nil || r.DryRun {
				return err
			}
			var err error
			if run, err = open(r); err == nil {
				return nil
			}
			run = nil
			if !errors.As(err, new(*fs.PathError)) { // opts that cannot be
				return fmt.Errorf("trainer: %w", err)
			}
			r.Warn(fmt.Errorf("trainer: W&B gets nothing of this run: %w", err))
			return nil
		},
		Epoch: func(r *Run, m *Metrics) error {
			if run == nil {
				return nil
			}
			r.Warn(run.Log(r.scalars(m), m.Step))
			if r.Best != nil {
				r.Warn(run.SetSummary(map[string]float64{"best/" + r.Monitor: *r.Best, "best/epoch": float64(r.BestEpoch)}))
			}
			return nil
		},
		Scalars: func(r *Run, values map[string]float64) {
			if run != nil {
				r.Warn(run.Log(values, r.Position.Step))
			}
		},
		Image: func(r *Run, name string, img image.Image) {
			if run != nil {
				r.Warn(run.LogImage(name, img, r.Position.Step))
			}
		},
		End: func(r *Run) {
			if run == nil || open == nil {
				return
			}
			code := 0
			switch {
			case r.Err != nil:
				code = 1
			case r.stop == interrupted:
				code = 255 // as wandb has it after Ctrl-C
			}
			r.Warn(run.Finish(code))
			run = nil
		},
	}
}

// LogSteps gives the loggers, after every so many steps, the loss of the step's
// last batch and the learning rate that it was made with: step/loss and step/lr, or
// step/lr/0, step/lr/1, … where there are several groups of parameters. With
// Autocast in Float16 there are also step/scale, what the next step's loss is
// multiplied by, and step/skipped, how many steps were left out so far.
func LogSteps(every int) Callback {
	return Callback{
		Name: "LogSteps",
		Start: func(*Run) error {
			if every < 1 {
				return fmt.Errorf("trainer: LogSteps every %d steps, want 1 or more", every)
			}
			return nil
		},
		Step: func(r *Run) error {
			if r.Position.Step%every != 0 {
				return nil
			}
			values := map[string]float64{}
			if loss := r.Loss(); finite(loss) || !r.nothingCounts() {
				values["step/loss"] = loss
			}
			if r.Scaler != nil {
				values["step/scale"], values["step/skipped"] = r.Scaler.CurrentScale(), float64(r.Skipped)
			}
			for i, lr := range r.rates { // the scheduler may have changed them since
				name := "step/lr"
				if len(r.rates) > 1 {
					name = fmt.Sprint("step/lr/", i)
				}
				values[name] = lr
			}
			r.AddScalars(values)
			return nil
		},
	}
}

// hyperparameters are what tells a run from others, as JSON: the program's own
// settings; and all, with what config.json says beside them.
func hyperparameters(r *Run) (all, own map[string]json.RawMessage, err error) {
	var c RunConfig
	if r.Dir != "" {
		c, err = ReadRunConfig(r.Dir)
	} else {
		c, err = NewRunConfig(r.Config)
	}
	if err != nil {
		return nil, nil, err
	}
	var optimizer struct {
		Type string
		LRs  []float64
	}
	_ = json.Unmarshal(c.Optimizer, &optimizer) // of an odd one a text, and then these stay empty
	text := func(s string) json.RawMessage {
		b, err := json.Marshal(s)
		if err != nil {
			panic(fmt.Sprintf("trainer: %v", err)) // not reached: any string can be written
		}
		return b
	}
	all, own = map[string]json.RawMessage{
		"model": text(c.Model), "parameters": json.RawMessage(strconv.Itoa(c.Parameters)), "loss": text(c.Loss),
		"optimizer": text(optimizer.Type), "epochs": json.RawMessage(strconv.Itoa(c.Epochs)), "seed": json.RawMessage(strconv.FormatUint(c.Seed, 10)),
	}, map[string]json.RawMessage{}
	if len(optimizer.LRs) > 0 {
		all["lr"] = json.RawMessage(strconv.FormatFloat(optimizer.LRs[0], 'g', -1, 64))
	}
	if c.Train != nil {
		all["batch_size"] = json.RawMessage(strconv.Itoa(c.Train.Batch))
	}
	for name, value := range c.Settings {
		own[name] = text(value)
		if _, err := strconv.ParseFloat(value, 64); (err == nil || value == "true" || value == "false") && json.Valid([]byte(value)) {
			own[name] = json.RawMessage(value)
		}
	}
	maps.Copy(all, own)
	return all, own, nil
}

// cell keeps a text in one cell of a table in Markdown.
func cell(s string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "\r", " ").Replace(s)
}

// indented is a text as a block of code in Markdown.
func indented(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ") + "\n"
}

// globbed is a path for filepath.Glob that stands for itself.
func globbed(path string) string {
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(path)
}
