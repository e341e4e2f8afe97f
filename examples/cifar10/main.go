// Command cifar10 is the CIFAR-10 tutorial as a program: a VGG made from a list
// of widths, trained and tested epoch by epoch, saved after each.
//
//	go run ./examples/cifar10 -dataset shapes -epochs 2   # pictures drawn in code, no download
//	go run ./examples/cifar10 -download                   # CIFAR-10 into ./data, then 100 epochs
//	go run ./examples/cifar10 -predict logs/NAME/model.safetensors -from 0 -to 9
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/wick-ml/wick/autograd"
	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/models"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// run trains and tests a model as the options say.
func run(ctx context.Context, opts options) error {
	tensor.ManualSeed(opts.seed)
	trainSet, testSet, err := loadData(ctx, &opts)
	if err != nil {
		return err
	}
	if err := makeOut(opts.out); err != nil {
		return err
	}
	fmt.Fprintf(opts.stdout, "%d training and %d test pictures, %d classes, on %v\n", trainSet.Len(), testSet.Len(), len(opts.classes), opts.device)
	trainLoader := &datasets.DataLoader{Dataset: trainSet, BatchSize: opts.batch, Shuffle: true, Seed: opts.seed, Workers: opts.workers, Device: opts.device}
	testLoader := &datasets.DataLoader{Dataset: testSet, BatchSize: opts.batch, Workers: opts.workers, Device: opts.device}

	model := models.NewVGG(opts.cfg, len(opts.classes))
	model.Dropout.P = opts.dropout
	layers.To(model, opts.device)
	criterion := layers.CrossEntropyLoss{}
	optimizer := optim.NewAdam(layers.Parameters(model), opts.lr)
	optimizer.WeightDecay = opts.weightDecay
	scheduler := sched.NewMultiStepLR(optimizer, opts.milestones, opts.gamma)
	path := filepath.Join(opts.out, "model.safetensors")
	fmt.Fprintf(opts.stdout, "%s: %d parameters, saved to %s after each epoch\n", opts.model, layers.NumParameters(model), path)

	for epoch := 1; epoch <= opts.epochs; epoch++ {
		scheduler.StepTo(epoch)
		fmt.Fprintf(opts.stdout, "\n===> epoch: %d/%d\n", epoch, opts.epochs)
		trained, err := train(ctx, model, trainLoader, criterion, optimizer)
		if err != nil {
			return err
		}
		fmt.Fprintln(opts.stdout, "train:", trained)
		if err := layers.Save(path, model); err != nil {
			return err
		}
		tested, err := test(ctx, model, testLoader, criterion)
		if err != nil {
			return err
		}
		fmt.Fprintln(opts.stdout, "test: ", tested)
	}
	return nil
}

// train goes through the training pictures once and learns from them.
func train(ctx context.Context, model layers.Layer, loader *datasets.DataLoader, criterion layers.CrossEntropyLoss, optimizer optim.Optimizer) (result, error) {
	layers.Train(model)
	r := result{start: time.Now()}
	for images, labels := range loader.All() {
		optimizer.ZeroGrad()
		output := model.Forward(images)
		loss := criterion.Forward(output, labels)
		loss.Backward()
		optimizer.Step()
		r.add(loss, output, labels)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	return r.done(), loader.Err()
}

// test goes through the test pictures once.
func test(ctx context.Context, model layers.Layer, loader *datasets.DataLoader, criterion layers.CrossEntropyLoss) (result, error) {
	layers.Eval(model)
	r := result{start: time.Now()}
	for images, labels := range autograd.NoGrad(loader.All()) {
		output := model.Forward(images)
		loss := criterion.Forward(output, labels)
		r.add(loss, output, labels)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	return r.done(), loader.Err()
}

// result is what an epoch of training or testing comes to.
type result struct {
	start          time.Time
	loss           float64 // sum of the batches' mean losses, as in the tutorial
	batches        int
	correct, total int
	seconds        float64
}

func (r *result) add(loss, output, labels *tensor.Tensor) {
	_, prediction := output.Max(1)
	r.loss += loss.Item()
	r.batches++
	r.correct += tensor.CountEqual(prediction, labels)
	r.total += labels.Len()
}

func (r result) done() result {
	r.seconds = time.Since(r.start).Seconds()
	return r
}

func (r result) String() string {
	return fmt.Sprintf("loss %.4f (mean %.4f), accuracy %.2f %%, %.1f s, %.1f images/s",
		r.loss, r.loss/float64(r.batches), 100*float64(r.correct)/float64(r.total), r.seconds, float64(r.total)/r.seconds)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	go func() {
		<-ctx.Done()
		stop() // a second interrupt ends the program at once
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
			if opts.predict != "" {
				err = predict(ctx, opts)
			} else {
				err = run(ctx, opts)
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
	return 1
}
