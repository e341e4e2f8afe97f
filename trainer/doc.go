// Package trainer is what a person expects of a training run: a loop with
// progress, records in a folder, checkpoints that a run goes on from as if it had
// never stopped, and callbacks.
//
//	result, err := trainer.Fit(ctx, trainer.Config{
//		Model:     model,
//		Optimizer: optimizer,
//		Scheduler: scheduler,
//		Loss:      layers.CrossEntropyLoss{},
//		Train:     trainLoader,
//		Test:      testLoader,
//		Epochs:    100,
//		Dir:       "logs/first",
//		Progress:  trainer.NewProgress(os.Stderr),
//		Callbacks: []trainer.Callback{trainer.Curves(), trainer.Predictions(classes), trainer.TensorBoard()},
//	})
//
// A model of several inputs, a loss of several terms and numbers of one's own take a
// function in place of Loss, and the rest stays as it is:
//
//	Module: net,
//	Forward: func(b *datasets.Batch) trainer.Pass {
//		x, mean, variance := net.Forward(b.Inputs[0])
//		return trainer.Pass{Loss: reconstruction(x, b.Inputs[0]).Add(divergence(mean, variance)), Outputs: …}
//	},
//	Metrics: []trainer.Metric{trainer.Mean("divergence", sched.Min, …)},
//	Monitor: "test_divergence",
//
// Fit does what a loop written by hand does, in the same order, so that both come
// to the same bits. Its parts serve such a loop too: [Snapshot] saves and loads a
// run, [Progress] draws the line, [Records] keeps metrics.csv and metrics.jsonl,
// [RunConfig] is config.json, [EMA] averages weights, [FindLR] looks for a learning
// rate.
//
// No other package of the library imports this one.
package trainer
