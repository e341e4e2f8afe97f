package trainer

import (
	"encoding/json"
	"fmt"
	"image"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// Callback is functions that Fit calls at points of a run; nil ones are left out.
// Callbacks are called in the order in which they stand in the Config. An error
// ends the run, without another checkpoint: the last one stays.
type Callback struct {
	Name string // in config.json and, for what has a State, in checkpoints

	Start     func(r *Run) error               // before the first step, after a checkpoint was loaded
	Batch     func(r *Run) (done func() error) // before a training batch's forward pass, and done after its Backward; nil is allowed
	Gradients func(r *Run) error               // after Backward, before the optimizer's step
	Step      func(r *Run) error               // after the optimizer's step
	Test      func(r *Run) (done func())       // before the test of an epoch, and done after it; nil is allowed
	TestBatch func(r *Run) error               // after each batch of the test
	Epoch     func(r *Run, m *Metrics) error   // after an epoch and its test, before its checkpoint
	End       func(r *Run)                     // at the end, however it came

	// For loggers: what Run.AddScalars and Run.AddImage are given.
	Scalars func(r *Run, values map[string]float64)
	Image   func(r *Run, name string, img image.Image)

	State Stateful // what checkpoints keep of it, or nil
}

// Run is a run under way, for callbacks.
type Run struct {
	*Config  // not to be changed
	Position // where it stands; Loss and Correct of its Running are up to date in what Sums returns

	// The last batch and what the model made of it, for Batch (whose Output is nil
	// before the forward pass), Gradients, Step and TestBatch; their memory goes back
	// when the batch is over. There is no Output of a captured step. Of a run with
	// Forward these are the first of each, and the Scores and Labels where there are any.
	Images, Labels, Output *tensor.Tensor

	// All tensors of the last batch, of which there may be no Targets, and the Outputs of
	// its pass.
	Inputs, Targets, Outputs []*tensor.Tensor

	// Scaler scales the losses of a run with Autocast in Float16; otherwise it is nil.
	Scaler *optim.GradScaler

	Err error // for End: what ended the run; nil if it came to its end or was stopped

	training, testing meter
	batch             *datasets.Batch
	pass              *Pass          // of the batch; nil before it is made, and of a captured step
	loss              float64        // of the last batch, where somebody has asked
	unread            *tensor.Tensor // the same on the device, where nobody has
	rates             []float64      // that the last step was made with, one a group of parameters

	unit     string // of what examples are, where they are no images
	window   int    // batches that make the step under way
	stop     string
	warnings []error
}

// Loss returns the loss of the last batch, in training or testing. On a GPU it waits
// until the batch is computed, as Sums does: what looks at every step costs speed.
func (r *Run) Loss() float64 {
	if r.unread != nil {
		r.loss, r.unread = r.unread.Item(), nil
	}
	return r.loss
}

// Sums returns what the training batches of the epoch under way have come to so far.
func (r *Run) Sums() Sums {
	r.training.read()
	return r.Running
}

// Stop ends the run after this step, with a checkpoint. The reason is put in the
// Result.
func (r *Run) Stop(reason string) {
	if r.stop == "" {
		r.stop = reason
	}
}

// Log writes a line above the progress line, if there is one.
func (r *Run) Log(line string) {
	if r.Progress != nil {
		fmt.Fprintln(r.Progress, line)
	}
}

// Warn notes an error that is no reason to end the run, such as a full disk for a
// mere image: a line above the progress line, and one of the Result's Warnings.
// What was noted before is not noted again; nil is nothing.
func (r *Run) Warn(err error) {
	if err == nil || slices.ContainsFunc(r.warnings, func(e error) bool { return e.Error() == err.Error() }) {
		return
	}
	r.warnings = append(r.warnings, err)
	r.Log("warning: " + err.Error())
}

// AddScalars gives numbers of the step to the run's loggers, TensorBoard and WandB
// for example. A slash in a name ("loss/train") makes a section there.
func (r *Run) AddScalars(values map[string]float64) {
	for _, c := range r.Callbacks {
		if c.Scalars != nil {
			c.Scalars(r, values)
		}
	}
}

// AddImage gives an image to the run's loggers, as AddScalars does numbers.
func (r *Run) AddImage(name string, img image.Image) {
	for _, c := range r.Callbacks {
		if c.Image != nil {
			c.Image(r, name, img)
		}
	}
}

// better reports whether a metric is better than the best so far. NaN and
// infinities never are.
func better(mode sched.Mode, v float64, best *float64, delta float64) bool {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return false
	case best == nil:
		return true
	case mode == sched.Max:
		return v > *best+delta
	}
	return v < *best-delta
}

// EarlyStopping stops a run when a metric ("test_loss", or one of the Config's Metrics,
// "test_f1") has not become better by more than delta for so many epochs.
func EarlyStopping(metric string, mode sched.Mode, patience int, delta float64) Callback {
	s := &earlyStopping{Metric: metric}
	check := func(r *Run) {
		if s.Bad >= patience {
			r.Stop(fmt.Sprintf("%s has not become better for %d epochs", metric, s.Bad))
		}
	}
	return Callback{
		Name: "early_stopping",
		Start: func(r *Run) error {
			if patience < 1 {
				return fmt.Errorf("trainer: EarlyStopping with a patience of %d, want 1 or more", patience)
			}
			if !finite(delta) {
				return fmt.Errorf("trainer: EarlyStopping with a delta of %v, want a finite number", delta)
			}
			if mode != sched.Min && mode != sched.Max {
				return fmt.Errorf("trainer: EarlyStopping with the mode %d, want sched.Min or sched.Max", mode)
			}
			if err := r.checkWatched("EarlyStopping's metric", metric, mode); err != nil {
				return err
			}
			check(r)
			return nil
		},
		Epoch: func(r *Run, m *Metrics) error {
			v, _ := m.Value(metric)
			if better(mode, v, s.Best, delta) {
				s.Best, s.Bad = &v, 0
			} else {
				s.Bad++
			}
			check(r)
			return nil
		},
		State: s,
	}
}

// earlyStopping is what EarlyStopping has seen.
type earlyStopping struct {
	Best   *float64 `json:"best"`
	Bad    int      `json:"bad"` // epochs since then
	Metric string   `json:"metric,omitempty"`
}

func (s *earlyStopping) State() (json.RawMessage, iter.Seq2[string, *tensor.Tensor]) {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("trainer: EarlyStopping: %v", err)) // not reached: Best is finite
	}
	return b, nil
}

func (s *earlyStopping) LoadState(state json.RawMessage, _ map[string]*tensor.Tensor) error {
	metric := s.Metric
	*s = earlyStopping{}
	err := json.Unmarshal(state, s)
	if s.Metric != "" && s.Metric != metric { // of another metric
		*s = earlyStopping{}
	}
	s.Metric = metric
	return err
}

// ClipGradNorm clips the gradients before each step, as optim.ClipGradNorm does.
func ClipGradNorm(maxNorm float64) Callback {
	return Callback{Name: "clip_grad_norm", Gradients: func(r *Run) error {
		optim.ClipGradNorm(layers.Parameters(r.Module), maxNorm)
		return nil
	}}
}

// ClipGradValue clamps the gradients before each step, as optim.ClipGradValue does.
func ClipGradValue(limit float64) Callback {
	return Callback{Name: "clip_grad_value", Gradients: func(r *Run) error {
		optim.ClipGradValue(layers.Parameters(r.Module), limit)
		return nil
	}}
}

// TimeLimit stops a run, with a checkpoint, at the first step that ends after d
// since its start or since it was resumed.
func TimeLimit(d time.Duration) Callback {
	var start time.Time
	return Callback{
		Name:  "time_limit",
		Start: func(*Run) error { start = time.Now(); return nil },
		Step: func(r *Run) error {
			if time.Since(start) >= d {
				r.Stop(fmt.Sprintf("the time limit of %v is reached", d))
			}
			return nil
		},
	}
}

// EMA is an exponential moving average of a model's weights: after each step
// average += (1-Decay)·(weights - average). Buffers (running means) are the
// model's own. (torch.optim.swa_utils.AveragedModel with get_ema_multi_avg_fn)
type EMA struct {
	Decay float64

	model   layers.Module
	names   []string
	weights []*tensor.Tensor
	average []*tensor.Tensor
}

// NewEMA returns an average that starts from the model's weights as they are.
func NewEMA(model layers.Module, decay float64) *EMA {
	if !(decay >= 0 && decay <= 1) {
		panic(&tensor.Error{Op: "NewEMA", Err: fmt.Errorf("got the decay %v, want 0 to 1", decay)})
	}
	e := &EMA{Decay: decay, model: model}
	for name, p := range layers.NamedParameters(model) {
		e.names = append(e.names, name)
		e.weights = append(e.weights, p)
		e.average = append(e.average, p.Detach().Clone())
	}
	return e
}

// Update takes the weights into the average; call it after each step.
func (e *EMA) Update() {
	for i, a := range e.average {
		a.LerpInPlace(e.weights[i].Detach(), 1-e.Decay)
	}
}

// Swap exchanges the model's weights and the average, and back when it is called
// again: in between the model predicts, and is saved, with the average.
func (e *EMA) Swap() {
	for i, a := range e.average {
		w := e.weights[i]
		was := w.Detach().Clone()
		w.CopyFrom(a)
		a.CopyFrom(was)
	}
}

const emaName = "ema"

// Callback updates the average after each step and tests with it. The best
// checkpoint is then the one whose average tested best; its weights are the
// model's, with the average beside them, which [ExtractModel] makes a model's file of.
func (e *EMA) Callback() Callback {
	return Callback{
		Name:  emaName,
		Step:  func(*Run) error { e.Update(); return nil },
		Test:  func(*Run) (done func()) { e.Swap(); return e.Swap },
		State: e,
	}
}

// State returns the average, for a checkpoint.
func (e *EMA) State() (json.RawMessage, iter.Seq2[string, *tensor.Tensor]) {
	return json.RawMessage("{}"), func(yield func(string, *tensor.Tensor) bool) {
		for i, name := range e.names {
			if !yield(name, e.average[i]) {
				return
			}
		}
	}
}

// LoadState copies an average that State returned.
func (e *EMA) LoadState(_ json.RawMessage, tensors map[string]*tensor.Tensor) error {
	if len(tensors) != len(e.names) {
		return fmt.Errorf("an average of %d parameters, want %d", len(tensors), len(e.names))
	}
	for i, name := range e.names {
		t := tensors[name]
		if t == nil {
			return fmt.Errorf("no average of %s", name)
		}
		if !t.Shape().Equal(e.average[i].Shape()) {
			return fmt.Errorf("the average of %s has the shape %v, want %v", name, t.Shape(), e.average[i].Shape())
		}
	}
	for i, name := range e.names {
		e.average[i].CopyFrom(tensors[name])
	}
	return nil
}
