// Command cifar10 is the CIFAR-10 tutorial as a program: a VGG made from a list
// of widths, trained and tested epoch by epoch, with progress, curves, images,
// TensorBoard and Weights & Biases files, checkpoints and a report.
//
//	go run ./examples/cifar10 -dataset shapes -epochs 2   # images drawn in code, no download
//	go run ./examples/cifar10 -download                   # CIFAR-10 into ./data, then 100 epochs
//	go run ./examples/cifar10 -resume logs/NAME           # go on with a run that was stopped
//	go run ./examples/cifar10 -sweep FILE.json -jobs 2    # many runs, compared
//	go run ./examples/cifar10 -predict logs/NAME/best.safetensors -from 0 -to 9
//	go run ./examples/cifar10 -predict logs/NAME/best.safetensors cat.jpg   # an image of one's own
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
	"github.com/wick-ml/wick/trainer"
)

// train trains and tests a model as the options say.
func train(ctx context.Context, opts options) error {
	tensor.ManualSeed(opts.seed)
	trainSet, testSet, err := loadData(ctx, &opts)
	if err != nil {
		return err
	}
	if err := makeOut(opts); err != nil {
		return err
	}
	fmt.Fprintf(opts.stdout, "%d training and %d test images, %d classes, on %v\n", trainSet.Len(), testSet.Len(), len(opts.classes), opts.device)
	trainLoader := &datasets.DataLoader{Dataset: trainSet, BatchSize: opts.batch, Shuffle: true, Seed: opts.seed, Workers: opts.workers, Device: opts.device}
	testLoader := &datasets.DataLoader{Dataset: testSet, BatchSize: opts.batch, Workers: opts.workers, Device: opts.device}

	model := models.NewVGG(opts.cfg, len(opts.classes))
	model.Dropout.P = opts.dropout
	layers.To(model, opts.device)
	optimizer := optim.NewAdam(layers.Parameters(model), opts.lr)
	optimizer.WeightDecay = opts.weightDecay
	scheduler := sched.NewMultiStepLR(optimizer, opts.milestones, opts.gamma)
	scheduler.StepTo(1) // epochs count from 1
	if opts.summary {
		fmt.Fprint(opts.stdout, layers.Summary(model, tensor.Zeros(opts.batch, 3, opts.size, opts.size).To(opts.device)))
		return nil
	}
	in := ", run in " + opts.out
	if opts.dryRun || opts.findLR {
		in = "" // it leaves no run
	}
	fmt.Fprintf(opts.stdout, "%s: %d parameters%s\n", opts.model, layers.NumParameters(model), in)

	progress := trainer.NewProgress(opts.stdout)
	defer progress.Close()
	config := trainer.Config{
		Model:      model,
		Optimizer:  optimizer,
		Scheduler:  scheduler,
		Loss:       layers.CrossEntropyLoss{},
		Train:      trainLoader,
		Test:       testLoader,
		Epochs:     opts.epochs,
		Accumulate: opts.accumulate,
		Autocast:   opts.autocast,
		Capture:    opts.capture,
		DryRun:     opts.dryRun,
		Dir:        opts.out,
		Resume:     opts.resume != "",
		NewRates:   opts.newRates,
		Monitor:    "test_accuracy",
		Mode:       sched.Max,
		SaveSteps:  opts.saveSteps,
		SaveEvery:  opts.saveEvery,
		Settings:   opts.settings,
		Defaults:   opts.defaults,
		Progress:   progress,
		Callbacks:  callbacks(opts, model),
	}
	if opts.findLR {
		return findLR(ctx, opts, config)
	}
	result, err := trainer.Fit(ctx, config)
	if err != nil {
		return err
	}
	return finish(opts, result)
}

func main() {
	ctx, stop := context.WithCancel(context.Background())
	onHangup(stop)
	signals := make(chan os.Signal, 2) // signal.NotifyContext would lose the second of two that come at once
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
			stop()
		case <-ctx.Done():
		}
		signal.Stop(signals) // a second signal ends the program at once,
		if len(signals) > 0 {
			os.Exit(130) // as one does that has come already
		}
	}()
	os.Exit(program(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// program does what the command line says and returns the exit code. What goes
// wrong is one sentence on stderr.
func program(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseFlags(args, stdout, stderr)
	if err == nil {
		// What does not fit (a wrong shape, say) panics inside the library; Try
		// makes an error of it.
		if wrong := tensor.Try(func() {
			switch {
			case opts.sweep != "":
				err = runSweep(ctx, opts)
			case len(opts.pictures) > 0:
				err = predictFiles(opts)
			case opts.predict != "":
				err = predict(ctx, opts)
			default:
				err = train(ctx, opts)
			}
		}); wrong != nil {
			err = wrong
		}
	}
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "cifar10: interrupted")
		return 130
	}
	fmt.Fprintln(stderr, "cifar10:", err)
	if errors.As(err, new(interrupted)) {
		return 130
	}
	return 1
}
