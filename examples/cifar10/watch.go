package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"

	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
	"github.com/wick-ml/wick/trainer/plots"
	"github.com/wick-ml/wick/trainer/wandb"
)

// callbacks are what makes a run one to watch, and what the options ask for
// besides.
func callbacks(opts options, model layers.Module) []trainer.Callback {
	stop := trainer.NaNStop()
	if opts.capture && opts.device != tensor.CPU && opts.clip == 0 && opts.accumulate == 1 && opts.autocast != tensor.Float16 {
		stop = stopAfterEpoch() // what looks into steps would keep them from being captured
	}
	c := []trainer.Callback{stop, trainer.Curves(), trainer.Predictions(opts.classes), trainer.LogSteps(10)}
	if opts.tensorBoard {
		c = append(c, trainer.TensorBoard())
	}
	if opts.wandb {
		c = append(c, trainer.WandB(wandb.Opts{Project: "wick-" + opts.dataset}))
	}
	if opts.clip > 0 {
		c = append(c, trainer.ClipGradNorm(opts.clip))
	}
	if opts.ema > 0 {
		c = append(c, trainer.NewEMA(model, opts.ema).Callback())
	}
	if opts.patience > 0 {
		c = append(c, trainer.EarlyStopping("test_loss", sched.Min, opts.patience, 0))
	}
	if opts.timeLimit > 0 {
		c = append(c, trainer.TimeLimit(opts.timeLimit))
	}
	return c
}

// stopAfterEpoch ends a run after an epoch whose loss is not finite.
func stopAfterEpoch() trainer.Callback {
	return trainer.Callback{Name: "nan_stop", Epoch: func(_ *trainer.Run, m *trainer.Metrics) error {
		if finite(float64(m.TrainLoss)) {
			return nil
		}
		return fmt.Errorf("epoch %d: the training loss is %v; -resume with -capture=false says where it begins: %w", m.Epoch, m.TrainLoss, trainer.ErrNotFinite)
	}}
}

// finish says what a run came to.
func finish(opts options, result trainer.Result) error {
	out := opts.stdout
	if opts.dryRun {
		fmt.Fprintln(out, "dry run: one step and one test batch went through")
		return nil
	}
	if result.Stopped == "interrupted" {
		return interrupted{opts.out}
	}
	if result.Stopped != "" {
		fmt.Fprintf(out, "stopped: %s; -resume %s goes on from here\n", result.Stopped, opts.out)
	}
	if len(result.History) == 0 {
		return nil
	}
	if result.Best != nil {
		fmt.Fprintf(out, "best: %.2f %% of the test images right, after epoch %d: %s\n", 100**result.Best, result.BestEpoch, filepath.Join(opts.out, "best.safetensors"))
	}
	if opts.tensorBoard {
		fmt.Fprintf(out, "TensorBoard: tensorboard --logdir=%s\n", filepath.Dir(opts.out))
	}
	if opts.wandb {
		fmt.Fprintf(out, "W&B: wandb sync %s\n", filepath.Join(opts.out, "wandb", "offline-run-*"))
	}
	report := filepath.Join(opts.out, "report.html")
	fmt.Fprintln(out, "report:", report)
	return show(opts, report)
}

// show opens a file where that is asked for and there is a desktop. Without one,
// the path that was printed has to do.
func show(opts options, path string) error {
	if !opts.show {
		return nil
	}
	_, err := plots.Show(path)
	return err
}

// findLR looks for a good learning rate instead of training and draws what it saw.
func findLR(ctx context.Context, opts options, config trainer.Config) error {
	points, suggestion, err := trainer.FindLR(ctx, config, trainer.FindLROpts{Dir: opts.out})
	if err != nil {
		return err
	}
	if suggestion > 0 {
		fmt.Fprintf(opts.stdout, "suggested: -lr %.2g\n", suggestion)
	} else {
		fmt.Fprintf(opts.stdout, "no suggestion: over %d steps the loss never fell\n", len(points))
	}
	path := filepath.Join(opts.out, "lr-finder.png")
	fmt.Fprintln(opts.stdout, "image:", path)
	return show(opts, path)
}

// interrupted is the error of a run that a signal stopped.
type interrupted struct{ dir string }

func (e interrupted) Error() string {
	return fmt.Sprintf("interrupted; -resume %s goes on from here", e.dir)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
