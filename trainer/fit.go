package trainer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// Loss is what is to become small: all losses of package layers. Its Forward
// returns a scalar, the mean over the batch. What else an epoch's mean has to know of
// it, such as labels that do not count, a [Weigher] says.
type Loss interface {
	Forward(output, target *tensor.Tensor) *tensor.Tensor
}

// Config says what Fit is to do. Model, Optimizer, Loss, Train and Epochs are
// needed; the rest may be left zero. Where a model takes or makes several tensors, or
// a loss is of something else than its output and a target, Module and Forward stand
// in place of Model and Loss.
type Config struct {
	Model     layers.Layer
	Module    layers.Module // a model that is no Layer; callbacks find either here
	Optimizer optim.Optimizer
	Scheduler Scheduler // steps at the end of each epoch; ReduceLROnPlateau takes the Monitor metric
	Loss      Loss
	Train     *datasets.DataLoader
	Test      *datasets.DataLoader // gone through after each epoch
	Epochs    int

	// Forward computes a batch's loss, in training and testing, in place of Loss: from any
	// number of inputs and targets, through any layers, with as many terms as there are.
	//
	//	Forward: func(b *datasets.Batch) trainer.Pass {
	//		first, second := net.Embed(b.Inputs[0]), net.Embed(b.Inputs[1])
	//		return trainer.Pass{Loss: contrastive(first, second, b.Targets[0])}
	//	}
	Forward func(b *datasets.Batch) Pass
	Metrics []Metric // what else an epoch's records tell, beside loss and accuracy

	SchedulerEachStep bool // the scheduler steps after each step of the optimizer (OneCycleLR)
	Accumulate        int  // batches whose gradients make one step, as the mean of them; 0 means 1
	DryRun            bool // one step, one test batch, no files: to see that all fits

	// Autocast is the type of mixed precision, tensor.BFloat16 or tensor.Float16, in
	// training and testing; the zero value is none. See tensor.Autocast. With Float16
	// the loss is scaled by an optim.GradScaler, which is the Run's Scaler and part of
	// checkpoints: Gradients of callbacks sees the gradients as they are, and a step with
	// gradients that are not finite is left out. It counts as a step, for schedulers and
	// callbacks too, and in Position.Skipped.
	Autocast tensor.DType

	// Capture computes each training step as one CUDA graph (tensor.Capture), which
	// spares a GPU the wait for the program between its many small operations. That
	// takes a step in whose middle the program has nothing to do: no callback with Batch
	// or Gradients, such as NaNStop and clipping, no Accumulate, no Autocast in Float16,
	// no Forward, and Metrics in the test only.
	// Those that look on between steps stay: Curves, Predictions, LogSteps, TensorBoard,
	// WandB, EMA, EarlyStopping, TimeLimit. Where it cannot be done, as on the CPU, the
	// run goes on as without it, and one line of the log says why.
	Capture bool

	// Dir is the run's folder: config.json, metrics.csv, metrics.jsonl and the
	// checkpoints last.safetensors and best.safetensors. "" means no files. One
	// run at a time may have it.
	Dir       string
	Resume    bool       // go on with the run in Dir; from the start, if it has no checkpoint or is not there yet
	NewRates  bool       // with Resume: learning rates as Optimizer and Scheduler, made again, have them there, not as the checkpoint says
	Monitor   string     // the metric that tells the best; "" means test_loss, or train_loss without Test
	Mode      sched.Mode // sched.Min, the default, or sched.Max for accuracies; of Metrics their own Mode holds
	SaveSteps int        // last.safetensors every so many steps too; 0 means at the end of epochs only
	SaveEvery int        // keep a checkpoint of its own every so many epochs (epoch-0010.safetensors); 0 means none
	Keep      int        // so many of these, the last ones; 0 means 3

	Settings   map[string]string            // the program's settings, such as its flags, for config.json
	Defaults   map[string]string            // what Settings are unless somebody says otherwise; the report shows those that differ first
	Progress   *Progress                    // nil shows nothing
	Callbacks  []Callback                   // in the order in which they are called
	Generators map[string]*tensor.Generator // for checkpoints; see Snapshot
}

// Result is what Fit came to.
type Result struct {
	Position         // where the run stands, with its metrics
	Stopped  string  // why it ended before its last epoch: "interrupted", or a callback's reason
	Warnings []error // what went wrong and did not end the run, such as records that found no room
}

// interrupted is the Result's Stopped of a run whose context was cancelled.
const interrupted = "interrupted"

// Fit trains a model: epoch by epoch through Train, then through Test.
//
// When ctx is cancelled, Fit finishes the step, writes a checkpoint and returns
// without an error; Result.Stopped is "interrupted". With Resume it goes on from
// there, or from any other checkpoint in last.safetensors, bit for bit as if it had
// never stopped: that takes the same program, the same model, optimizer, scheduler,
// data and callbacks, made again. Another model, optimizer, scheduler or other data
// are errors, as the checkpoint does not fit them. The optimizer's options (its
// momentum, its weight decay) are what the program says and not, as in PyTorch, what
// the file says: who changes them for the rest of a run means it. That they differ
// is a warning, and noted in config.json; rates come from the checkpoint, unless
// NewRates says otherwise. A run whose Epochs are all over stays as it is, and a line
// of the log says so.
//
// One run at a time may have a folder; another one is an error. What callbacks of
// this package cannot record, on a full disk for example, is one of the Result's
// Warnings and a line above the progress line, and the run goes on; a checkpoint
// that cannot be written ends it, and the one before stays.
//
// What cannot be done is an error: data that cannot be read, a folder that cannot
// be written, a checkpoint of another model. What panics meanwhile (the model with a
// shape that does not fit, the loss, a callback) is an error too, a [*PanicError], and
// ends the run as any other: the last checkpoint stays.
func Fit(ctx context.Context, config Config) (result Result, err error) {
	f := &fit{Run: Run{Config: &config}}
	if ctx == nil {
		return Result{}, errors.New("trainer: the context is nil, want context.Background() for one that is not cancelled")
	}
	if err := guarded(f.during, f.check); err != nil {
		return Result{}, err
	}
	f.training.begin(&f.Running, f.tallies(false))
	if f.Progress != nil {
		defer f.Progress.Close()
	}
	if f.Dir != "" {
		// Deferred before the callbacks' ends, which may write there.
		defer func() {
			if f.unlock != nil {
				f.unlock()
			}
		}()
		if err := guarded(f.during, f.open); err != nil {
			return Result{Position: f.Position}, err
		}
		if f.finished {
			return Result{Position: f.Position, Warnings: f.warnings}, nil
		}
	}
	// Deferred, so that a goroutine's end passes them too.
	f.Err = errGone
	defer func() {
		f.doing, f.training.measuring, f.testing.measuring = "the end of the run", "", ""
		// Loggers last: what others draw at the end goes to them.
		for _, logger := range []bool{false, true} {
			for _, c := range f.Callbacks {
				if c.End == nil || logger != (c.Scalars != nil || c.Image != nil) {
					continue
				}
				failed := guarded(f.during, func() error { c.End(&f.Run); return nil })
				if f.Err == nil {
					f.Err, err = failed, failed
				} else {
					f.Warn(failed)
				}
			}
		}
		result.Warnings = f.warnings
	}()
	f.Err = guarded(f.during, func() error { return f.run(ctx) })
	if failed := guarded(f.during, func() error { f.training.read(); return nil }); f.Err == nil {
		f.Err = failed
	}
	if f.Epoch >= f.Epochs {
		f.stop = "" // whatever wanted to stop it, it was over
	}
	if f.Err == nil && f.Dir != "" && f.stop != interrupted {
		f.Warn(finishConfig(f.Dir, f.stop))
	}
	return Result{Position: f.Position, Stopped: f.stop}, f.Err
}

// during says what the run is doing, for errors.
func (f *fit) during() string {
	if f.doing == "" {
		return "before the first step"
	}
	doing := f.doing
	if f.doing == "train" || f.doing == "test" {
		what := map[string]string{"train": "", "test": "the test of "}[f.doing]
		doing = fmt.Sprintf("%sepoch %d, batch %d", what, f.Epoch+1, f.at+1)
	}
	if metric := f.training.measuring + f.testing.measuring; metric != "" {
		doing += fmt.Sprintf(", the metric %q", metric)
	}
	return doing
}

// fit is a run of Fit.
type fit struct {
	Run
	snapshot *Snapshot
	unlock   func()    // lets others into the folder
	captured *captured // the training step, where it is a captured one
	records  *Records
	doing    string // "train", "test" or a text, for errors
	at       int    // batches of the phase that are over
	finished bool   // the run was over before, and there is nothing to do
	better   bool   // the epoch that is over is the best so far
	saved    bool   // last.safetensors is where the run stands
}

func (f *fit) check() error {
	c := f.Config
	for _, missing := range []struct {
		name string
		is   bool
	}{{"Model", c.module() == nil}, {"Optimizer", c.Optimizer == nil}, {"Loss", c.Loss == nil && c.Forward == nil && c.Module == nil}, {"Train", c.Train == nil}} {
		if missing.is {
			return fmt.Errorf("trainer: the Config has no %s", missing.name)
		}
	}
	if err := c.errTwice(); err != nil {
		return err
	}
	c.Module = c.module()
	if err := checkMetrics(c.Metrics); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		is   bool
		use  func()
	}{
		{"Model", true, func() { layers.NumParameters(c.Module) }}, {"Optimizer", true, func() { c.Optimizer.LRs() }},
		{"Scheduler", c.Scheduler != nil, func() { c.Scheduler.State() }}, {"Train", true, func() { c.Train.Len() }}, {"Test", c.Test != nil, func() { c.Test.Len() }},
	} {
		if err := unmade(part.use); part.is && err != nil {
			return fmt.Errorf("trainer: the Config's %s cannot be used (%w): it or a part of it is nil; want one that was made", part.name, err)
		}
	}
	for name, g := range c.Generators {
		if g == nil {
			return fmt.Errorf("trainer: Generators[%q] is nil, want a generator", name)
		}
	}
	for _, l := range []struct {
		name   string
		loader *datasets.DataLoader
	}{{"Train", c.Train}, {"Test", c.Test}} {
		if err := checkLoader(l.name, l.loader); err != nil {
			return err
		}
	}
	if c.Mode != sched.Min && c.Mode != sched.Max {
		return fmt.Errorf("trainer: Mode is %d, want sched.Min or sched.Max", c.Mode)
	}
	if c.DryRun {
		c.Epochs, c.Dir, c.Resume = 1, "", false
	}
	for _, n := range []struct {
		name         string
		value, least int
	}{{"Epochs", c.Epochs, 1}, {"Accumulate", c.Accumulate, 0}, {"SaveSteps", c.SaveSteps, 0}, {"SaveEvery", c.SaveEvery, 0}, {"Keep", c.Keep, 0}} {
		if n.value < n.least {
			return fmt.Errorf("trainer: %s is %d, want %d or more", n.name, n.value, n.least)
		}
	}
	if c.Autocast != tensor.Float32 && !c.Autocast.IsHalf() {
		return fmt.Errorf("trainer: Autocast is %s, want bfloat16 or float16, or float32 for none", c.Autocast)
	}
	if c.Autocast == tensor.Float16 {
		if _, ok := c.Optimizer.(interface{ Parameters() []*tensor.Tensor }); !ok {
			return fmt.Errorf("trainer: Autocast is float16 and the optimizer (%T) has no Parameters, whose gradients are scaled; want one of package optim, or bfloat16", c.Optimizer)
		}
		f.Scaler = optim.NewGradScaler()
	}
	if c.Resume && c.Dir == "" {
		return errors.New("trainer: Resume without Dir, the folder of the run to go on with")
	}
	c.Accumulate = max(c.Accumulate, 1)
	if c.Keep == 0 {
		c.Keep = 3
	}
	if c.Monitor == "" {
		c.Monitor = "test_loss"
		if c.Test == nil {
			c.Monitor = "train_loss"
		}
	}
	if own := c.own(c.Monitor); own != nil && c.Mode == sched.Min {
		c.Mode = own.Mode // which need not be said twice
	}
	if err := c.checkWatched("Monitor", c.Monitor, c.Mode); err != nil {
		return err
	}
	_, stepper := c.Scheduler.(interface{ Step() })
	_, plateau := c.Scheduler.(*sched.ReduceLROnPlateau)
	switch {
	case c.Scheduler != nil && !stepper && !plateau:
		return fmt.Errorf("trainer: the Scheduler (%T) has no Step, want one of package sched", c.Scheduler)
	case plateau && c.SchedulerEachStep:
		return errors.New("trainer: SchedulerEachStep with ReduceLROnPlateau, which takes an epoch's metric")
	}
	f.snapshot = &Snapshot{Model: c.Module, Optimizer: c.Optimizer, Scheduler: c.Scheduler, Scaler: f.Scaler, Train: c.Train, Test: c.Test,
		Generators: c.Generators, Others: map[string]Stateful{}}
	for i, cb := range c.Callbacks {
		if cb.State == nil {
			continue
		}
		if _, twice := f.snapshot.Others[cb.Name]; twice || cb.Name == "" {
			return fmt.Errorf("trainer: callback %d has a State and the name %q, want one that no other has", i, cb.Name)
		}
		f.snapshot.Others[cb.Name] = cb.State
	}
	return nil
}

// unmade returns the error of Go's that a nil pointer in an interface comes to.
func unmade(use func()) (err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case runtime.Error:
			err = e
		default:
			panic(e)
		}
	}()
	use()
	return nil
}

// checkLoader is an error for a loader without batches.
func checkLoader(name string, l *datasets.DataLoader) error {
	switch {
	case l == nil || l.BatchSize < 1 || l.Dataset != nil && l.Len() > 0:
		return nil // a batch size that cannot be is told by the loader
	case l.Dataset == nil:
		return fmt.Errorf("trainer: %s has no Dataset", name)
	case l.DropLast && l.Sampler == nil && l.Dataset.Len() > 0:
		return fmt.Errorf("trainer: %s has no batch: DropLast leaves out its only one, of %d examples where BatchSize is %d", name, l.Dataset.Len(), l.BatchSize)
	}
	what := fmt.Sprintf("its data set has %d examples", l.Dataset.Len())
	if l.Sampler != nil {
		what = fmt.Sprintf("its Sampler names %d examples", l.Sampler.Len())
	}
	return fmt.Errorf("trainer: %s has no batch: %s", name, what)
}

// open makes the run's folder, or brings back the run that is in it.
func (f *fit) open() error {
	if stat, err := os.Stat(f.Dir); err == nil && !stat.IsDir() {
		what := "the run's folder"
		if f.Resume {
			what = "no run to resume"
		}
		return fmt.Errorf("trainer: %s: %s is not a folder", what, f.Dir)
	}
	if err := os.MkdirAll(f.Dir, 0o777); err != nil {
		return fmt.Errorf("trainer: the run's folder: %w", err)
	}
	var err error
	if f.unlock, err = Lock(f.Dir); err != nil {
		return err
	}
	last := f.path(lastFile)
	_, err = os.Lstat(last)
	there := err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("trainer: the run's folder: %w", err)
	case there && !f.Resume:
		return fmt.Errorf("trainer: %s holds a run already; resume it, or give another folder", f.Dir)
	}
	if err := removeLeftovers(f.Dir); err != nil {
		return err
	}
	var resumed *Resume
	switch {
	case f.Resume && there:
		if resumed, err = f.resume(last); err != nil || f.finished {
			return err
		}
	case f.Resume:
		if others, _ := filepath.Glob(filepath.Join(globbed(f.Dir), "*.safetensors")); len(others) > 0 {
			return fmt.Errorf("trainer: %s has no %s to go on from; copy the checkpoint that you want, such as %s, to that name", f.Dir, lastFile, others[0])
		}
		f.Log(fmt.Sprintf("%s has no checkpoint yet: starting from the beginning", f.Dir))
	default:
		if err := noRecords(f.Dir); err != nil {
			return err
		}
	}
	if resumed == nil {
		if err := noConfig(f.Dir); err != nil {
			return err
		}
	}
	// First what says how to repeat the run: without it there is none.
	if err := writeConfig(f.Config, resumed); err != nil {
		return err
	}
	f.records, err = OpenRecords(f.Dir, f.History, true, ownColumns(f.Metrics)...)
	return err
}

// resume brings back the run in the folder.
func (f *fit) resume(last string) (*Resume, error) {
	changed, err := changes(f.Config) // before the checkpoint's rates are set
	if err != nil {
		return nil, fmt.Errorf("%w; remove it, and the run goes on from its checkpoint, with a new one", err)
	}
	settings := changedSettings(f.Config)
	watched := f.Monitor
	if old, err := ReadRunConfig(f.Dir); err == nil && old.Monitor != "" {
		watched = old.Monitor
	}
	rates := f.Optimizer.LRs()
	var schedule sched.State
	if f.Scheduler != nil {
		schedule = f.Scheduler.State()
	}
	if f.Position, err = f.snapshot.Load(last); err != nil {
		if errors.As(err, new(damaged)) {
			err = fmt.Errorf("%w; to go on from another checkpoint, such as %s, copy it to that name; to begin again, give another folder", err, bestFile)
		}
		return nil, err
	}
	if f.Epoch >= f.Epochs {
		f.Log(fmt.Sprintf("%s is finished: %d of %d epochs are over; with more Epochs it goes on", f.Dir, f.Epoch, f.Epochs))
		if old, err := ReadRunConfig(f.Dir); err == nil && !old.Finished.IsZero() {
			f.finished = true
			return nil, nil
		}
	} else {
		f.Log(fmt.Sprintf("resuming %s at epoch %d, batch %d", f.Dir, f.Epoch+1, f.Batch))
	}
	if watched != f.Monitor && f.Best != nil { // of something else
		f.Best, f.BestEpoch = nil, 0
		f.Log(fmt.Sprintf("%s watches %s from here on: the best is looked for again", f.Dir, f.Monitor))
	}
	if f.NewRates {
		was := fmt.Sprint(f.Optimizer.LRs())
		if err := f.newRates(rates, schedule); err != nil {
			return nil, err
		}
		if is := fmt.Sprint(f.Optimizer.LRs()); is != was {
			settings = listed(settings, fmt.Sprintf("with the rates %s in place of %s", is, was))
		}
	}
	if !f.NewRates && f.Epoch < f.Epochs && ratesDiffer(f.Dir, rates) {
		f.Log(fmt.Sprintf("%s goes on with the checkpoint's rates, %v; the program's are not those that it was started with, and NewRates takes them", f.Dir, f.Optimizer.LRs()))
	}
	if changed != "" {
		f.Warn(fmt.Errorf("trainer: %s goes on %s", f.Dir, changed))
	}
	if settings != "" {
		f.Log(fmt.Sprintf("%s goes on %s", f.Dir, settings))
	}
	// The first save of a run may have been killed behind its first name.
	if _, err := os.Lstat(f.path(bestFile)); errors.Is(err, fs.ErrNotExist) && f.BestEpoch > 0 && f.BestEpoch == f.Epoch && f.Batch == 0 {
		f.Warn(atomicfile.Link(last, f.path(bestFile)))
	}
	return &Resume{Time: time.Now(), Command: os.Args, Epoch: f.Epoch, Batch: f.Batch, Changed: listed(changed, settings)}, nil
}

func listed(a, b string) string {
	if a != "" && b != "" {
		return a + ", " + b
	}
	return a + b
}

// newRates sets the rates that the program's schedule has where the run stands.
// Rates and schedule are what the program made.
func (f *fit) newRates(rates []float64, schedule sched.State) error {
	if s, ok := f.Scheduler.(sched.Scheduler); ok {
		at := s.State().Epoch
		if err := s.LoadState(schedule); err != nil {
			return fmt.Errorf("trainer: NewRates: %w", err)
		}
		s.StepTo(at)
		return nil
	}
	f.Optimizer.SetLRs(rates)
	return nil
}

func (f *fit) path(name string) string { return filepath.Join(f.Dir, name) }

// over reports whether the run is to end after what it has just done.
func (f *fit) over(ctx context.Context) bool {
	if ctx.Err() != nil {
		f.Stop(interrupted)
	}
	return f.stop != ""
}

func (f *fit) run(ctx context.Context) error {
	if err := f.checkSchedule(); err != nil {
		return err
	}
	for _, c := range f.Callbacks {
		if c.Start != nil {
			if err := c.Start(&f.Run); err != nil {
				return err
			}
		}
	}
	f.capture()
	defer func() {
		if f.captured != nil {
			f.captured.Close()
		}
	}()
	for f.Epoch < f.Epochs {
		if f.over(ctx) {
			return f.save()
		}
		if err := f.train(ctx); err != nil {
			return err
		}
		if f.over(ctx) {
			return f.save()
		}
		m, done, err := f.test(ctx)
		if err != nil {
			return err
		}
		if !done { // the test is made again when the run is resumed
			return f.save()
		}
		if err := f.endEpoch(m); err != nil {
			return err
		}
		if f.DryRun {
			return nil
		}
	}
	return nil
}

// train goes through what is left of an epoch's training data.
func (f *fit) train(ctx context.Context) error {
	f.doing = "train"
	layers.Train(f.Module)
	start, before := time.Now(), f.Running.Seconds
	batches := f.Train.Len()
	inWindow := 0 // batches of the step under way that are over
	var failed error
	f.Train.SetPosition(f.Epoch, f.Batch)
	f.training.resumed(f.Batch)
	for b := range f.Train.Batches() {
		b = b.Autocast(f.Autocast)
		f.look(b, nil)
		f.at = f.Batch
		if f.unit = ""; len(b.Inputs) > 1 || f.Images.Dim() != 4 {
			f.unit = "samples"
		}
		f.training.ready(f.Images.Device())
		if f.captured != nil {
			f.runCaptured(b)
			failed = f.stepped()
		} else {
			if inWindow == 0 {
				f.window = min(f.Accumulate, batches-f.Batch)
				f.Optimizer.ZeroGrad()
			}
			if failed = f.batch(b); failed != nil {
				return failed
			}
			if inWindow++; inWindow < f.window {
				continue
			}
			inWindow = 0
			failed = f.step()
		}
		if f.Batch == batches || failed == nil && f.over(ctx) {
			f.training.read() // what is shown last, and how long it took, is exact
		}
		f.Running.Seconds = before + time.Since(start).Seconds()
		f.show("train", f.Batch, batches, &f.training)
		if failed == nil && f.SaveSteps > 0 && f.Step%f.SaveSteps == 0 && f.Dir != "" && f.Batch < batches {
			failed = f.save()
		}
		if failed != nil || f.over(ctx) || f.DryRun {
			break
		}
	}
	if failed != nil {
		return failed
	}
	err := f.Train.Err()
	if err != nil && inWindow == 0 && f.Step > 0 && f.Dir != "" && !f.saved && f.save() == nil {
		err = fmt.Errorf("%w; the run up to there is in %s", err, f.path(lastFile))
	}
	return err
}

// batch computes a batch's gradients and calls those who want to know.
func (f *fit) batch(b *datasets.Batch) error {
	done := f.begin()
	p := f.backward(b)
	f.look(b, p)
	f.gathered(&f.training, b.Len())
	f.training.measure(b, p)
	f.Batch++
	for _, d := range done {
		if err := d(); err != nil {
			return err
		}
	}
	return nil
}

// backward computes a batch's gradients and gathers what it came to.
func (f *fit) backward(b *datasets.Batch) *Pass {
	p := f.forward(b)
	f.shared(p.Loss).Backward()
	f.complete(b, p)
	f.training.gather(p)
	return p
}

// begin tells the callbacks that a batch begins, and returns those to call when it
// is over.
func (f *fit) begin() (done []func() error) {
	for _, c := range f.Callbacks {
		if c.Batch != nil {
			if d := c.Batch(&f.Run); d != nil {
				done = append(done, d)
			}
		}
	}
	return done
}

// shared returns a batch's loss as its part of the step under way, scaled where
// losses are.
func (r *Run) shared(loss *tensor.Tensor) *tensor.Tensor {
	if r.window > 1 {
		loss = loss.DivScalar(float64(r.window))
	}
	if r.Scaler != nil {
		loss = r.Scaler.Scale(loss)
	}
	return loss
}

// step is one of the optimizer's, with what goes before and after it.
func (f *fit) step() error {
	if f.Scaler != nil {
		f.Scaler.Unscale(f.Optimizer)
	}
	for _, c := range f.Callbacks {
		if c.Gradients != nil {
			if err := c.Gradients(&f.Run); err != nil {
				return err
			}
		}
	}
	f.noteRates()
	if f.Scaler == nil {
		f.Optimizer.Step()
	} else {
		if !f.Scaler.Step(f.Optimizer) {
			f.Skipped++
		}
		f.Scaler.Update()
	}
	return f.stepped()
}

// noteRates notes the learning rates of a step that is about to be made.
func (f *fit) noteRates() {
	if f.rates = append(f.rates[:0], f.Optimizer.LRs()...); len(f.rates) > 0 {
		f.Running.LR = f.rates[0]
	}
}

// stepped is what comes after a step.
func (f *fit) stepped() error {
	f.Step++
	f.saved = false
	if s, ok := f.Scheduler.(interface{ Step() }); ok && f.SchedulerEachStep {
		s.Step()
	}
	for _, c := range f.Callbacks {
		if c.Step != nil {
			if err := c.Step(&f.Run); err != nil {
				return err
			}
		}
	}
	return nil
}

// test goes through the test data and returns the epoch's metrics; done is false
// if the context was cancelled before the end.
func (f *fit) test(ctx context.Context) (m Metrics, done bool, err error) {
	m = Metrics{Epoch: f.Epoch + 1, Step: f.Step, LR: f.Running.LR, TrainSeconds: f.Running.Seconds, Skipped: f.Skipped}
	if f.Scaler != nil {
		m.Scale = f.Scaler.CurrentScale()
	}
	f.training.read()
	m.TrainLoss, m.TrainAccuracy = f.Running.means()
	f.training.put(&m, trainName)
	if f.Running.Seconds > 0 {
		m.ImagesPerSec = float64(f.Running.Total) / f.Running.Seconds
	}
	var sums Sums
	f.testing.begin(&sums, f.tallies(true))
	if f.Test == nil {
		m.TestLoss, m.TestAccuracy = sums.means()
		f.testing.put(&m, testName)
		return m, true, nil
	}
	for _, c := range f.Callbacks {
		if c.Test != nil {
			if done := c.Test(&f.Run); done != nil {
				defer done()
			}
		}
	}
	f.doing, f.at = "test", 0
	layers.Eval(f.Module)
	start := time.Now()
	batches, batch := f.Test.Len(), 0
	f.Test.SetEpoch(f.Epoch)
	for b := range f.Test.Batches() {
		b = b.NoGrad().Autocast(f.Autocast)
		f.at = batch
		p := f.forward(b)
		f.complete(b, p)
		f.look(b, p)
		f.testing.ready(f.Images.Device())
		f.testing.gather(p)
		f.gathered(&f.testing, b.Len())
		f.testing.measure(b, p)
		if batch++; batch == batches {
			f.testing.read()
		}
		sums.Seconds = time.Since(start).Seconds()
		f.show("test", batch, batches, &f.testing)
		for _, c := range f.Callbacks {
			if c.TestBatch != nil {
				if err := c.TestBatch(&f.Run); err != nil {
					return m, false, err
				}
			}
		}
		if f.DryRun {
			break
		}
		if batch < batches && f.over(ctx) {
			return m, false, nil
		}
	}
	f.testing.read()
	m.TestLoss, m.TestAccuracy = sums.means()
	f.testing.put(&m, testName)
	m.TestSeconds = sums.Seconds
	return m, true, f.Test.Err()
}

// endEpoch notes an epoch's metrics, in the run and in its folder.
func (f *fit) endEpoch(m Metrics) error {
	f.doing = fmt.Sprintf("the end of epoch %d", f.Epoch+1)
	watched, _ := m.Value(f.Monitor)
	switch own := f.own(f.Monitor); {
	case math.IsNaN(watched) && own != nil:
		f.Warn(fmt.Errorf("trainer: Monitor is %s, which is NaN in epoch %d, so that this is not the best", f.Monitor, m.Epoch))
	case math.IsNaN(watched) && strings.HasSuffix(f.Monitor, "_accuracy"):
		f.Warn(fmt.Errorf("trainer: Monitor is %s, which was not measured: no label was a class that counts, so no epoch is the best", f.Monitor))
	}
	if f.better = better(f.Mode, watched, f.Best, 0); f.better {
		f.Best, f.BestEpoch = &watched, m.Epoch
	}
	switch s := f.Scheduler.(type) {
	case *sched.ReduceLROnPlateau:
		s.Step(watched)
	case interface{ Step() }:
		if !f.SchedulerEachStep {
			s.Step()
		}
	}
	f.History = append(f.History, m)
	f.Epoch, f.Batch, f.Running = f.Epoch+1, 0, Sums{}
	f.training.begin(&f.Running, f.tallies(false))
	f.saved = false
	for _, c := range f.Callbacks {
		if c.Epoch != nil {
			if err := c.Epoch(&f.Run, &m); err != nil {
				return err
			}
		}
	}
	if f.Dir == "" {
		return nil
	}
	// The records first: where they are ahead of the checkpoint, resuming takes
	// them back, and nothing is missing. Where they find no room they are written
	// again, whole, after the next epoch.
	var err error
	if f.records == nil {
		f.records, err = OpenRecords(f.Dir, f.History, true, ownColumns(f.Metrics)...)
	} else if err = f.records.Append(m); err != nil {
		f.records = nil
	}
	f.Warn(err)
	var paths []string
	if f.SaveEvery > 0 && f.Epoch%f.SaveEvery == 0 {
		paths = append(paths, epochPath(f.Dir, f.Epoch))
	}
	if f.better {
		paths = append(paths, f.path(bestFile))
	}
	// The last one comes last, so that it is there when all are; the first time it
	// comes first, since a run without it is none to resume.
	last := f.path(lastFile)
	if _, err := os.Lstat(last); errors.Is(err, fs.ErrNotExist) {
		paths = append([]string{last}, paths...)
	} else {
		paths = append(paths, last)
	}
	if err := f.saveTo(paths...); err != nil {
		return err
	}
	if f.SaveEvery > 0 {
		if err := prune(f.Dir, f.Keep); err != nil {
			return fmt.Errorf("trainer: removing old checkpoints: %w", err)
		}
	}
	return nil
}

// save writes last.safetensors, if there is a folder.
func (f *fit) save() error {
	if f.Dir == "" || f.saved {
		return nil
	}
	return f.saveTo(f.path(lastFile))
}

func (f *fit) saveTo(paths ...string) error {
	f.training.read()
	err := f.snapshot.saveAll(f.Position, paths...)
	f.saved = err == nil
	if err != nil {
		if _, there := os.Stat(f.path(lastFile)); there == nil {
			return fmt.Errorf("%w; %s is still the checkpoint before, whole", err, f.path(lastFile))
		}
	}
	return err
}

// show draws the progress line.
func (f *fit) show(phase string, batch, batches int, m *meter) {
	if f.Progress == nil {
		return
	}
	s := m.sums
	status := Status{Phase: phase, Epoch: f.Epoch + 1, Epochs: f.Epochs, Batch: batch, Batches: batches, Step: f.Step, LR: f.Running.LR}
	if s.Seconds > 0 {
		status.ImagesPerSec = float64(s.Total) / s.Seconds
	}
	status.Unit = f.unit
	// What is left: this phase, this epoch's test, and the other epochs, each as
	// long as was last seen.
	var train, test float64
	if phase == "train" {
		train = s.Seconds / float64(batch) * float64(batches)
		if n := len(f.History); n > 0 {
			test = f.History[n-1].TestSeconds
		}
	} else {
		train = f.Running.Seconds
		test = s.Seconds / float64(batch) * float64(batches)
	}
	left := float64(f.Epochs-f.Epoch)*(train+test) - s.Seconds
	if phase == "test" {
		left -= train
	}
	status.ETA = time.Duration(max(left, 0) * float64(time.Second))
	read := func(s *Status) {
		m.read()
		loss, accuracy := m.sums.means()
		s.Loss, s.Accuracy, s.Metrics = float64(loss), float64(accuracy), m.shown()
	}
	if !m.ahead && len(m.own) == 0 {
		read(&status)
		read = nil
	}
	f.Progress.show(status, read)
}
