package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/wick-ml/wick/internal/jsonfloat"

	"github.com/wick-ml/wick/datasets"
	"github.com/wick-ml/wick/internal/atomicfile"
	"github.com/wick-ml/wick/internal/tensorfile"
	"github.com/wick-ml/wick/layers"
	"github.com/wick-ml/wick/optim"
	"github.com/wick-ml/wick/sched"
	"github.com/wick-ml/wick/tensor"
)

// Snapshot is the parts of a run that make up its state. Save writes them to a
// checkpoint, Load brings them back into the same parts, made again by the program
// as it makes them at every start; the run then goes on bit for bit as if it had
// never stopped. All fields but Model may be nil.
//
//	snapshot := &trainer.Snapshot{Model: model, Optimizer: optimizer, Scheduler: scheduler, Train: trainLoader}
//	err := snapshot.Save("last.safetensors", trainer.Position{Epoch: 3, Batch: 120})
//	…
//	at, err := snapshot.Load("last.safetensors")
//	for epoch := at.Epoch; epoch < 100; epoch++ {
//		for images, labels := range trainLoader.All() { // goes on behind batch 120
//
// A checkpoint is a file as [layers.Save] writes it, with more in it:
// layers.Load gives the model back, for predictions. The tensors that are not the
// model's have names that begin with "wick.checkpoint/".
type Snapshot struct {
	Model     layers.Module
	Optimizer optim.Optimizer // all of package optim; others need its State and LoadState
	Scheduler Scheduler
	Scaler    *optim.GradScaler    // of mixed precision in Float16
	Train     *datasets.DataLoader // Load sets its position
	Test      *datasets.DataLoader // Load sets its epoch

	// Generators are sources of random numbers beside the default generator and
	// those of layers.Dropout, which are saved in any case.
	Generators map[string]*tensor.Generator
	// Others are whatever else has a state, such as callbacks, by names of one's own.
	Others map[string]Stateful
}

// Scheduler is any scheduler of package sched, ReduceLROnPlateau too.
type Scheduler interface {
	State() sched.State
	LoadState(state sched.State) error
}

// Stateful has a state that a checkpoint keeps: JSON, and tensors by name, which
// may be nil. LoadState copies from what it is given.
type Stateful interface {
	State() (state json.RawMessage, tensors iter.Seq2[string, *tensor.Tensor])
	LoadState(state json.RawMessage, tensors map[string]*tensor.Tensor) error
}

// Position is how far a run has come, and with what result.
type Position struct {
	Epoch int `json:"epoch"` // epochs that are over; the number of the one that is under way, from 0 on
	Batch int `json:"batch"` // batches of the epoch under way that are over
	Step  int `json:"step"`  // steps of the optimizer since the start of the run

	// Skipped is how many of the steps were left out, with Autocast in Float16, because
	// gradients were not finite.
	Skipped int `json:"skipped,omitempty"`

	Running   Sums      `json:"running"`        // of the epoch under way
	History   []Metrics `json:"history"`        // of the epochs that are over
	Best      *float64  `json:"best,omitempty"` // the best value of the metric that is watched; nil before there is one
	BestEpoch int       `json:"best_epoch"`     // the epoch that it is of, from 1 on
}

// Sums are what an epoch's metrics come from.
type Sums struct {
	Loss    jsonfloat.Float `json:"loss"`    // sum of the losses, each as often as it weighs
	Weight  float64         `json:"weight"`  // what they weigh together: without weights their number; ignored labels weigh nothing
	Correct int             `json:"correct"` // labels that were predicted
	Labeled int             `json:"labeled"` // labels that count, where they are classes
	Total   int             `json:"total"`   // examples
	Seconds float64         `json:"seconds"`
	LR      float64         `json:"lr"` // of the last step

	Own map[string][]jsonfloat.Float `json:"own,omitempty"` // sums of Metrics, by their names
}

// saves is what an optimizer can do that a checkpoint keeps.
type saves interface {
	State() (optim.State, iter.Seq2[string, *tensor.Tensor])
	LoadState(state optim.State, tensors iter.Seq2[string, *tensor.Tensor]) error
}

var _ = []saves{&optim.SGD{}, &optim.Adam{}, &optim.RMSprop{}, &optim.Adagrad{}}

// header is what a checkpoint holds beside tensors.
type header struct {
	Model      modelID                    `json:"model"`
	Train      *DataInfo                  `json:"train,omitempty"`
	Test       *DataInfo                  `json:"test,omitempty"`
	TestEpoch  int                        `json:"test_epoch"`
	Optimizer  *optim.State               `json:"optimizer,omitempty"`
	Scheduler  *sched.State               `json:"scheduler,omitempty"`
	Scaler     *optim.GradScalerState     `json:"scaler,omitempty"`
	Generators map[string]generatorState  `json:"generators"`
	Others     map[string]json.RawMessage `json:"others"`
	Position   Position                   `json:"position"`
}

// modelID says what a model is: its registered name and config, or, where it has
// none, its type.
type modelID struct {
	Name   string `json:"name"`
	Config string `json:"config,omitempty"`
}

func (m modelID) String() string { return strings.TrimSpace(m.Name + " " + m.Config) }

// DataInfo says which examples a loader gives, in which order.
type DataInfo struct {
	Length   int      `json:"length"`
	Classes  []string `json:"classes,omitempty"`
	Batch    int      `json:"batch_size"`
	Shuffle  bool     `json:"shuffle"`
	DropLast bool     `json:"drop_last"`
	Seed     uint64   `json:"seed"`
	Sum      string   `json:"sum"` // checksum of the labels of some examples and of their images' shapes
}

type generatorState struct {
	Seed   uint64 `json:"seed"`
	Offset uint64 `json:"offset"`
}

const (
	checkpointKey = tensorfile.Prefix + "checkpoint" // JSON of a header
	optimizerName = tensorfile.Beside + "optimizer/"
	othersName    = tensorfile.Beside + "others/"
	defaultRandom = "default"  // names of generators: the default one,
	dropoutRandom = "dropout/" // one of a layer,
	namedRandom   = "named/"   // one of Snapshot.Generators
)

// Save writes a checkpoint to path, atomically: after a failure, a crash or a
// kill path is the old file or the whole new one. Nothing else may change the
// parts meanwhile. Call it between two steps; gradients are not kept.
func (s *Snapshot) Save(path string, at Position) error {
	wrap := func(err error) error { return fmt.Errorf("trainer: saving %s: %w", path, err) }
	h := header{Position: at, Generators: map[string]generatorState{}, Others: map[string]json.RawMessage{}}
	metadata := map[string]string{}
	var registered bool
	h.Model, registered = describeModel(s.Model)
	if registered {
		metadata[tensorfile.ModelKey], metadata[tensorfile.ConfigKey] = h.Model.Name, h.Model.Config
	}
	var err error
	if h.Train, err = describeData(s.Train); err != nil {
		return wrap(err)
	}
	if h.Test, err = describeData(s.Test); err != nil {
		return wrap(err)
	}
	if s.Test != nil {
		h.TestEpoch = s.Test.Epoch()
	}
	for name, g := range s.generators() {
		var state generatorState
		state.Seed, state.Offset = g.State()
		h.Generators[name] = state
	}
	var optimizerTensors iter.Seq2[string, *tensor.Tensor]
	if s.Optimizer != nil {
		o, ok := s.Optimizer.(saves)
		if !ok {
			return wrap(fmt.Errorf("the optimizer (%T) has no State and LoadState as those of package optim have", s.Optimizer))
		}
		state, tensors := o.State()
		h.Optimizer, optimizerTensors = &state, tensors
	}
	if s.Scheduler != nil {
		state := s.Scheduler.State()
		h.Scheduler = &state
	}
	if s.Scaler != nil {
		h.Scaler = new(s.Scaler.State())
	}
	others := map[string]iter.Seq2[string, *tensor.Tensor]{}
	for name, o := range s.Others {
		h.Others[name], others[name] = o.State()
	}
	b, err := json.Marshal(h)
	if err != nil {
		return wrap(err)
	}
	metadata[checkpointKey] = string(b)

	err = tensorfile.Write(path, metadata, func(yield func(string, *tensor.Tensor) bool) {
		going := true
		all := func(prefix string, tensors iter.Seq2[string, *tensor.Tensor]) {
			if tensors == nil || !going {
				return
			}
			for name, t := range tensors {
				if going = yield(prefix+name, t); !going {
					return
				}
			}
		}
		all("", layers.StateDict(s.Model))
		all(optimizerName, optimizerTensors)
		for _, name := range slices.Sorted(maps.Keys(others)) {
			all(othersName+name+"/", others[name])
		}
	})
	if err != nil {
		return wrap(err)
	}
	return nil
}

// Load brings a checkpoint back into the parts and returns how far the run was.
// The next loop over Train goes on there. A checkpoint of another model, data set,
// optimizer or scheduler is an error that says what it is of and what was given;
// then, and with a damaged file, nothing has changed unless it was a part's own
// LoadState that failed.
func (s *Snapshot) Load(path string) (Position, error) {
	fail := func(format string, args ...any) (Position, error) {
		return Position{}, fmt.Errorf("trainer: %s: %w", path, fmt.Errorf(format, args...))
	}
	f, err := tensorfile.Open(path) // its errors name the file
	if err != nil {
		return Position{}, damaged{fmt.Errorf("trainer: loading the checkpoint: %w", err)}
	}
	defer f.Close()
	text, ok := f.Metadata[checkpointKey]
	if !ok {
		_, err := fail("it is no checkpoint, but a file of tensors without a run's state")
		return Position{}, damaged{err}
	}
	var h header
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		_, err := fail("the checkpoint's %s is not what this version of Wick writes: %w", checkpointKey, err)
		return Position{}, damaged{err}
	}
	if r := &h.Position.Running; r.Weight == 0 && r.Loss != 0 { // older ones weighed examples
		r.Weight = float64(r.Total)
	}
	entries, err := f.Tensors()
	if err != nil {
		return Position{}, damaged{fmt.Errorf("trainer: loading the checkpoint: %w", err)}
	}
	var model, optimizer []tensorfile.Entry
	others := map[string]map[string]*tensor.Tensor{}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name, optimizerName); ok {
			optimizer = append(optimizer, tensorfile.Entry{Name: name, Tensor: e.Tensor})
		} else if name, ok := strings.CutPrefix(e.Name, othersName); ok {
			owner, name, _ := strings.Cut(name, "/")
			if others[owner] == nil {
				others[owner] = map[string]*tensor.Tensor{}
			}
			others[owner][name] = e.Tensor
		} else {
			model = append(model, e)
		}
	}

	// First all that can be told without changing anything.
	if id, _ := describeModel(s.Model); id != h.Model {
		return fail("it is a checkpoint of the model %v, and this run's model is %v; resume with the same one", h.Model, id)
	}
	types := map[string]tensor.DType{}
	for _, e := range model {
		types[e.Name] = e.Tensor.DType()
	}
	for name, t := range layers.StateDict(s.Model) {
		if d, ok := types[name]; ok && d != t.DType() {
			return fail("its %s is %s, and the model's is %s; resume with a model of the same type", name, d, t.DType())
		}
	}
	generators := map[string]*tensor.Generator{}
	for name, g := range s.generators() {
		generators[name] = g
	}
	if got, want := slices.Sorted(maps.Keys(generators)), slices.Sorted(maps.Keys(h.Generators)); !slices.Equal(got, want) {
		return fail("it holds the random states %q, and this run has %q; resume with the same ones", want, got)
	}
	for _, d := range []struct {
		name   string
		loader *datasets.DataLoader
		want   *DataInfo
	}{{"training", s.Train, h.Train}, {"test", s.Test, h.Test}} {
		id, err := describeData(d.loader, h.Generators[defaultRandom].Seed)
		if err != nil {
			return fail("%w", err)
		}
		if difference := id.differs(d.want); difference != "" {
			return fail("it is a checkpoint of other %s data: %s", d.name, difference)
		}
	}
	if s.Train != nil && h.Position.Batch > s.Train.Len() {
		return fail("it stands behind batch %d of an epoch, which has %d here", h.Position.Batch, s.Train.Len())
	}
	o, _ := s.Optimizer.(saves)
	if (o != nil) != (h.Optimizer != nil) {
		return fail("it holds %s, and this run has %s", orNone(h.Optimizer != nil, "an optimizer's state"), orNone(o != nil, "an optimizer that can take one"))
	}
	if (s.Scheduler != nil) != (h.Scheduler != nil) {
		return fail("it holds %s, and this run has %s", orNone(h.Scheduler != nil, "a scheduler's state"), orNone(s.Scheduler != nil, "a scheduler"))
	}
	if (s.Scaler != nil) != (h.Scaler != nil) {
		return fail("it holds %s, and this run has %s; resume with the same Autocast", orNone(h.Scaler != nil, "the state of a GradScaler"), orNone(s.Scaler != nil, "a GradScaler"))
	}
	if got, want := slices.Sorted(maps.Keys(s.Others)), slices.Sorted(maps.Keys(h.Others)); !slices.Equal(got, want) {
		return fail("it holds the states of %q, and this run has %q; resume with the same callbacks", want, got)
	}

	if _, err := layers.LoadStateDict(s.Model, each(model)); err != nil {
		return fail("%w", err)
	}
	if o != nil {
		if err := o.LoadState(*h.Optimizer, each(optimizer)); err != nil {
			return fail("%w", err)
		}
	}
	if s.Scheduler != nil {
		// It may set a momentum as well as the rates; these end up as they were.
		if err := s.Scheduler.LoadState(*h.Scheduler); err != nil {
			return fail("%w", err)
		}
	}
	if s.Scaler != nil {
		if err := s.Scaler.LoadState(*h.Scaler); err != nil {
			return fail("%w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Others)) {
		if err := s.Others[name].LoadState(h.Others[name], others[name]); err != nil {
			return fail("the state of %s: %w", name, err)
		}
	}
	for name, g := range generators {
		g.SetState(h.Generators[name].Seed, h.Generators[name].Offset)
	}
	if s.Train != nil {
		s.Train.SetPosition(h.Position.Epoch, h.Position.Batch)
	}
	if s.Test != nil {
		s.Test.SetEpoch(h.TestEpoch)
	}
	return h.Position, nil
}

// ExtractModel writes the model of a checkpoint to a file of its own, without the
// optimizer and the rest of the run's state: what [layers.Save] writes of a model, for
// predictions. In a checkpoint of a run with EMA's Callback that is the average, as it
// was tested.
//
//	err := trainer.ExtractModel("logs/first/best.safetensors", "model.safetensors")
//	…
//	model, err := layers.Load[*models.VGG]("model.safetensors")
func ExtractModel(checkpoint, path string) error {
	f, err := tensorfile.Open(checkpoint) // its errors name the file
	if err != nil {
		return fmt.Errorf("trainer: extracting the model: %w", err)
	}
	defer f.Close()
	entries, err := f.Tensors()
	if err != nil {
		return fmt.Errorf("trainer: extracting the model: %w", err)
	}
	metadata := map[string]string{}
	for _, key := range []string{tensorfile.ModelKey, tensorfile.ConfigKey} {
		if v, ok := f.Metadata[key]; ok {
			metadata[key] = v
		}
	}
	average := map[string]*tensor.Tensor{}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name, othersName+emaName+"/"); ok {
			average[name] = e.Tensor
		}
	}
	err = tensorfile.Write(path, metadata, func(yield func(string, *tensor.Tensor) bool) {
		for _, e := range entries {
			t := e.Tensor
			if strings.HasPrefix(e.Name, tensorfile.Beside) {
				continue
			}
			if a := average[e.Name]; a != nil {
				t = a
			}
			if !yield(e.Name, t) {
				return
			}
		}
	})
	if err != nil {
		return fmt.Errorf("trainer: extracting the model of %s: %w", checkpoint, err)
	}
	return nil
}

// damaged is the error of a file that no parts could be loaded from.
type damaged struct{ error }

func (d damaged) Unwrap() error { return d.error }

func orNone(there bool, what string) string {
	if there {
		return what
	}
	return "none"
}

func each(entries []tensorfile.Entry) iter.Seq2[string, *tensor.Tensor] {
	return func(yield func(string, *tensor.Tensor) bool) {
		for _, e := range entries {
			if !yield(e.Name, e.Tensor) {
				return
			}
		}
	}
}

// generators yields all sources of random numbers of a run.
func (s *Snapshot) generators() iter.Seq2[string, *tensor.Generator] {
	return func(yield func(string, *tensor.Generator) bool) {
		if !yield(defaultRandom, tensor.DefaultGenerator()) {
			return
		}
		for path, m := range layers.Modules(s.Model) {
			if d, ok := m.(*layers.Dropout); ok && d.Generator != nil && !yield(dropoutRandom+path, d.Generator) {
				return
			}
		}
		for name, g := range s.Generators {
			if !yield(namedRandom+name, g) {
				return
			}
		}
	}
}

// describeModel says what a model is, and whether layers.Load can make it.
func describeModel(m layers.Module) (id modelID, registered bool) {
	name, config, err := layers.Describe(m)
	if err != nil {
		return modelID{Name: fmt.Sprintf("%T", m)}, false
	}
	return modelID{Name: name, Config: string(config)}, true
}

// describeData says which examples a loader gives. A loader whose Seed is 0 takes
// the default generator's: defaultSeed, where it is not the one that is set now.
func describeData(l *datasets.DataLoader, defaultSeed ...uint64) (*DataInfo, error) {
	if l == nil {
		return nil, nil
	}
	if l.Dataset == nil {
		return nil, errors.New("the loader has no Dataset")
	}
	id := &DataInfo{Length: l.Dataset.Len(), Batch: l.BatchSize, Shuffle: l.Shuffle, DropLast: l.DropLast, Seed: l.Seed}
	if id.Seed == 0 {
		id.Seed, _ = tensor.DefaultGenerator().State()
		if len(defaultSeed) > 0 {
			id.Seed = defaultSeed[0]
		}
	}
	if c, ok := l.Dataset.(interface{ Classes() []string }); ok {
		id.Classes = c.Classes()
	}
	// Labels rather than images: these may differ in a last bit from machine to
	// machine.
	const some = 16
	sum, set := crc32.NewIEEE(), datasets.AsMulti(l.Dataset)
	for k := range min(some, id.Length) {
		i := k * id.Length / min(some, id.Length)
		e, err := set.Example(i, rand.New(rand.NewPCG(0, uint64(i))))
		if err == nil && slices.Contains(slices.Concat(e.Inputs, e.Targets), nil) {
			err = errors.New("one of its tensors is nil")
		}
		if err != nil {
			return nil, fmt.Errorf("example %d of the data set: %w", i, err)
		}
		fmt.Fprint(sum, i)
		for _, x := range slices.Concat(e.Inputs, e.Targets) {
			fmt.Fprint(sum, " ", x.DType(), " ", x.Shape())
		}
		fmt.Fprintln(sum)
		for _, y := range e.Targets {
			sum.Write(y.Detach().Raw())
		}
	}
	id.Sum = fmt.Sprintf("%08x", sum.Sum32())
	return id, nil
}

// differs says how a loader differs from that of a checkpoint, or "".
func (id *DataInfo) differs(want *DataInfo) string {
	switch {
	case id == nil && want == nil:
		return ""
	case id == nil:
		return fmt.Sprintf("there were %d examples, and here is no loader", want.Length)
	case want == nil:
		return fmt.Sprintf("there was no loader, and here is one of %d examples", id.Length)
	case id.Length != want.Length:
		return fmt.Sprintf("%d examples, and here are %d", want.Length, id.Length)
	case !slices.Equal(id.Classes, want.Classes):
		return fmt.Sprintf("the classes %.60q (%d), and here are %.60q (%d)", want.Classes, len(want.Classes), id.Classes, len(id.Classes))
	case id.Sum != want.Sum:
		return "the same number of examples, but other labels or other shapes"
	case id.Batch != want.Batch:
		return fmt.Sprintf("batches of %d, and here of %d", want.Batch, id.Batch)
	case id.Shuffle != want.Shuffle || id.DropLast != want.DropLast:
		return fmt.Sprintf("Shuffle %t and DropLast %t, and here %t and %t", want.Shuffle, want.DropLast, id.Shuffle, id.DropLast)
	case id.Seed != want.Seed:
		return fmt.Sprintf("the seed %d, and here is %d", want.Seed, id.Seed)
	}
	return ""
}

// The checkpoints in a run's folder.
const (
	lastFile = "last.safetensors"
	bestFile = "best.safetensors"
)

var epochFile = regexp.MustCompile(`^epoch-(\d+)\.safetensors$`)

func epochPath(dir string, epoch int) string {
	return filepath.Join(dir, fmt.Sprintf("epoch-%04d.safetensors", epoch))
}

// removeLeftovers removes from a run's folder what writes that were killed have left
// there: temporary files of checkpoints, records and images, hidden ones whose names
// end in 16 hexadecimal digits and ".tmp". Fit does so when it starts. Nothing else may
// write there meanwhile: see [Lock].
func removeLeftovers(dir string) error {
	if err := atomicfile.Clean(dir); err != nil {
		return fmt.Errorf("trainer: removing from the run's folder %s what a killed write has left: %w", dir, err)
	}
	return nil
}

// saveAll writes one checkpoint under several names, in this order, so that the
// last is there only when all are. It is written once; the others are links to
// the same bytes, which no save changes, as each makes a new file.
func (s *Snapshot) saveAll(at Position, paths ...string) error {
	if err := s.Save(paths[0], at); err != nil {
		return err
	}
	for _, path := range paths[1:] {
		if err := atomicfile.Link(paths[0], path); err != nil { // a file system without links
			if err := s.Save(path, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// prune removes the oldest of the checkpoints of single epochs but for keep.
func prune(dir string, keep int) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var epochs []int
	names := map[int]string{}
	for _, e := range list {
		if m := epochFile.FindStringSubmatch(e.Name()); m != nil {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				continue // no epoch of ours
			}
			epochs = append(epochs, n)
			names[n] = e.Name()
		}
	}
	slices.Sort(epochs)
	for _, n := range epochs[:max(len(epochs)-keep, 0)] {
		if err := os.Remove(filepath.Join(dir, names[n])); err != nil {
			return err
		}
	}
	return nil
}
