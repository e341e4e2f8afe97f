package datasets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// several is a data set of n examples of inputs and targets tensors, of several types:
// each is its example's index, its own place and a random number.
type several struct {
	n, inputs, targets int
	get                func(i int, e *Example) error // what a test changes
}

func (d several) Len() int { return d.n }

func (d several) Example(i int, r *rand.Rand) (Example, error) {
	one := func(k int) *tensor.Tensor {
		switch k % 4 {
		case 0:
			return tensor.From([]float64{float64(i), float64(k), r.Float64()})
		case 1:
			return tensor.From([]int64{int64(i), r.Int64N(1 << 40)})
		case 2:
			return tensor.From([]bool{i%2 == 0, r.IntN(2) == 0, true}).Reshape(3, 1)
		}
		return tensor.From([]float32{r.Float32()}).Reshape()
	}
	var e Example
	for k := range d.inputs {
		e.Inputs = append(e.Inputs, one(k))
	}
	for k := range d.targets {
		e.Targets = append(e.Targets, one(k+1))
	}
	if d.get != nil {
		return e, d.get(i, &e)
	}
	return e, nil
}

// contents is what a batch holds.
type contents struct {
	Examples        int
	Inputs, Targets []string
}

func seen(b *Batch) contents {
	c := contents{Examples: b.Len()}
	for _, x := range b.Inputs {
		c.Inputs = append(c.Inputs, fmt.Sprintf("%s %v %x", x.DType(), x.Shape(), x.Detach().Raw()))
	}
	for _, x := range b.Targets {
		c.Targets = append(c.Targets, fmt.Sprintf("%s %v %x", x.DType(), x.Shape(), x.Detach().Raw()))
	}
	return c
}

// batchesOf collects what an epoch of Batches yields.
func batchesOf(t *testing.T, l *DataLoader) (all []contents) {
	t.Helper()
	for b := range l.Batches() {
		all = append(all, seen(b))
	}
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Of pairs, Batches yields what All does: the same bits in the same order, whatever
// makes them.
func TestBatchesAreAll(t *testing.T) {
	augment := transforms.Compose(transforms.RandomHorizontalFlip(0.5), transforms.ToTensor())
	slow := transforms.Compose(transforms.ToTensor(), transforms.RandomHorizontalFlip(0.5))
	shapes := Slice(NewShapes(ShapesOpts{Transform: augment}), 0, 50)
	x := tensor.Arange(0, 33, 1).View(11, 3)
	rows, err := NewTensors(x, x.ToDType(tensor.Int64))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		l    *DataLoader
	}{
		{"in order", &DataLoader{Dataset: numbers{n: 10}, BatchSize: 4}},
		{"shuffled, several workers", &DataLoader{Dataset: numbers{n: 50}, BatchSize: 8, Shuffle: true, Workers: 5, Prefetch: 7}},
		{"drop last", &DataLoader{Dataset: numbers{n: 10}, BatchSize: 4, DropLast: true}},
		{"sampler", &DataLoader{Dataset: numbers{n: 10}, BatchSize: 4, Sampler: fixed{7, 7, 1, 0, 9}}},
		{"images in one pass", &DataLoader{Dataset: shapes, BatchSize: 16, Shuffle: true, Workers: 2}},
		{"images one by one", &DataLoader{Dataset: Slice(NewShapes(ShapesOpts{Transform: slow}), 0, 20), BatchSize: 6, Shuffle: true}},
		{"Concat", &DataLoader{Dataset: Concat{numbers{n: 3}, Slice(numbers{n: 9}, 2, 6)}, BatchSize: 3, Shuffle: true}},
		{"Tensors", &DataLoader{Dataset: rows, BatchSize: 4, Shuffle: true}},
		{"Collate", &DataLoader{Dataset: numbers{n: 10}, BatchSize: 4, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) {
			return tensor.Cat(0, xs...), tensor.Stack(0, ys...), nil
		}}},
		{"a MultiDataset of pairs", &DataLoader{Dataset: Multi(several{n: 9, inputs: 1, targets: 1}), BatchSize: 4, Shuffle: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := tt.l
			l.Seed = 11
			l.SetPosition(3, 1)
			var want []contents
			for x, y := range l.All() {
				want = append(want, seen(&Batch{Inputs: []*tensor.Tensor{x}, Targets: []*tensor.Tensor{y}}))
			}
			if err := l.Err(); err != nil {
				t.Fatal(err)
			}
			l.SetPosition(3, 1)
			got := batchesOf(t, l)
			if len(got) != l.Len()-1 {
				t.Errorf("got %d batches, want %d", len(got), l.Len()-1)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(contents{}, "Examples")); diff != "" {
				t.Errorf("(-All +Batches):\n%s", diff)
			}
			if l.Epoch() != 4 {
				t.Errorf("the next epoch is %d, want 4", l.Epoch())
			}
		})
	}
}

// Examples of any number of tensors, of any type, come in batches along a new first
// dimension; neither workers nor wrappers change a bit.
func TestBatchesOfSeveral(t *testing.T) {
	for _, tt := range []struct{ inputs, targets int }{{1, 0}, {2, 1}, {3, 4}, {4, 0}, {1, 1}} {
		t.Run(counts(make([]*tensor.Tensor, tt.inputs), make([]*tensor.Tensor, tt.targets)), func(t *testing.T) {
			set := several{n: 10, inputs: tt.inputs, targets: tt.targets}
			l := &DataLoader{Dataset: Multi(set), BatchSize: 4, Shuffle: true, Seed: 3}
			l.SetEpoch(5)
			want := batchesOf(t, l)
			if n := []int{want[0].Examples, want[1].Examples, want[2].Examples}; !slices.Equal(n, []int{4, 4, 2}) {
				t.Errorf("got batches of %v, want 4, 4 and 2", n)
			}
			if len(want[0].Inputs) != tt.inputs || len(want[0].Targets) != tt.targets {
				t.Errorf("got %d inputs and %d targets", len(want[0].Inputs), len(want[0].Targets))
			}
			// By hand: the rows that the examples say.
			n := 0
			l.SetEpoch(5)
			for b := range l.Batches() {
				for k := range b.Len() {
					i := int(b.Inputs[0].Select(0, k).Float64s()[0])
					for j, x := range slices.Concat(b.Inputs, b.Targets) {
						at := j
						if j >= tt.inputs {
							at = j - tt.inputs + 1
						}
						row := x.Select(0, k)
						switch at % 4 {
						case 0:
							if v := row.Float64s(); v[0] != float64(i) || v[1] != float64(at) {
								t.Errorf("example %d, tensor %d: got %v", i, j, v)
							}
						case 1:
							if v := row.Ints(); v[0] != int64(i) {
								t.Errorf("example %d, tensor %d: got %v", i, j, v)
							}
						case 2:
							if v := row.Bools(); v[0] != (i%2 == 0) || !row.Shape().Equal(tensor.Shape{3, 1}) {
								t.Errorf("example %d, tensor %d: got %v %v", i, j, row.Shape(), v)
							}
						}
					}
					n++
				}
			}
			if n != 10 {
				t.Errorf("got %d examples, want 10", n)
			}
			for _, other := range []struct {
				name string
				l    *DataLoader
			}{
				{"5 workers", &DataLoader{Dataset: Multi(set), Workers: 5, Prefetch: 9}},
				{"Slice", &DataLoader{Dataset: Slice(Multi(set), 0, 10)}},
				{"Concat of one", &DataLoader{Dataset: Concat{Multi(set)}, Workers: 2}},
				{"Multi of a Subset", &DataLoader{Dataset: Multi(Slice(Multi(set), 0, 10))}},
				{"to the CPU", &DataLoader{Dataset: Multi(set), Device: tensor.CPU}},
				{"a CollateBatch that stacks", &DataLoader{Dataset: Multi(set), CollateBatch: func(examples []Example) (*Batch, error) {
					b, _, err := stack(examples, make([]int, len(examples)))
					return b, err
				}}},
			} {
				other.l.BatchSize, other.l.Shuffle, other.l.Seed = 4, true, 3
				other.l.SetEpoch(5)
				if diff := cmp.Diff(want, batchesOf(t, other.l)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", other.name, diff)
				}
			}
		})
	}
}

// RandomSplit and Concat deal with examples of several tensors as with pairs.
func TestBatchesSplit(t *testing.T) {
	parts, err := RandomSplit(Multi(several{n: 10, inputs: 2, targets: 1}), []int{7, 3}, 5)
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, set := range []Dataset{Concat{parts[1], parts[0]}, parts[0], parts[1]} {
		l := &DataLoader{Dataset: set, BatchSize: 3}
		for b := range l.Batches() {
			for k := range b.Len() {
				all = append(all, int(b.Inputs[1].Select(0, k).Ints()[0]))
			}
		}
		if err := l.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(slices.Concat(parts[1].Indices, parts[0].Indices, parts[0].Indices, parts[1].Indices), all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A batch's tensors, and what is made of any of them, go when the body ends, however
// it does; what was made ahead goes too.
func TestBatchesScope(t *testing.T) {
	before := runtime.NumGoroutine()
	l := &DataLoader{Dataset: Multi(several{n: 40, inputs: 2, targets: 2}), BatchSize: 4, Workers: 3}
	var last []*tensor.Tensor
	note := func(b *Batch) {
		last = append(slices.Concat(b.Inputs, b.Targets), b.Inputs[1].AddScalar(1), b.Targets[1].Not(), b.NoGrad().Inputs[0].MulScalar(2))
	}
	wantGone := func(how string) {
		t.Helper()
		for i, x := range last {
			wantReleased(t, fmt.Sprint(how, " ", i), x)
		}
		wantGoroutines(t, before)
	}
	var kept *tensor.Tensor
	for b := range l.Batches() {
		for i, x := range last {
			wantReleased(t, fmt.Sprint("next batch ", i), x)
		}
		note(b)
		kept = b.Inputs[0].AddScalar(1).Keep()
	}
	wantGone("end")
	if got := kept.Float64s()[0]; got != 37 {
		t.Errorf("a kept tensor: got %v, want 37", got)
	}
	for b := range l.Batches() {
		note(b)
		break
	}
	wantGone("break")
	func() {
		defer func() {
			if v := recover(); v != "body" {
				t.Errorf("recovered %v, want the body's panic", v)
			}
		}()
		for b := range l.Batches() {
			note(b)
			panic("body")
		}
	}()
	wantGone("panic")
	done := make(chan bool)
	go func() {
		defer close(done)
		for b := range l.Batches() {
			note(b)
			runtime.Goexit()
		}
	}()
	<-done
	wantGone("Goexit")
	if err := l.Err(); err != nil {
		t.Errorf("after Goexit: got %v", err)
	}
}

// A loop over Batches that starts inside an epoch makes what is left of it.
func TestBatchesSetPosition(t *testing.T) {
	var made atomic.Int64
	set := several{n: 10, inputs: 2, get: func(int, *Example) error { made.Add(1); return nil }}
	l := &DataLoader{Dataset: Multi(set), BatchSize: 3, Shuffle: true, Seed: 5, Workers: 2}
	l.SetEpoch(2)
	want := batchesOf(t, l)
	made.Store(0)
	l.SetPosition(2, 3)
	if diff := cmp.Diff(want[3:], batchesOf(t, l)); diff != "" || made.Load() != 1 {
		t.Errorf("%d examples were made, want 1 (-want +got):\n%s", made.Load(), diff)
	}
	for _, skip := range []int{-1, 5} {
		l.SetPosition(2, skip)
		for range l.Batches() {
			t.Errorf("behind %d batches: got a batch", skip)
		}
		if err := l.Err(); err == nil || !strings.Contains(err.Error(), "of an epoch of 4 batches") {
			t.Errorf("behind %d batches: got error %v", skip, err)
		}
	}
}

func TestBatchesErrors(t *testing.T) {
	bad := errors.New("bad file")
	at := func(n int, f func(e *Example) error) Dataset {
		return Multi(several{n: 10, inputs: 2, targets: 1, get: func(i int, e *Example) error {
			if i == n {
				return f(e)
			}
			return nil
		}})
	}
	two := Multi(several{n: 10, inputs: 2, targets: 1})
	collate := func(b *Batch, err error) *DataLoader {
		return &DataLoader{Dataset: two, CollateBatch: func([]Example) (*Batch, error) { return b, err }}
	}
	one := []*tensor.Tensor{tensor.Zeros(2)}
	var misuse *tensor.Error
	for _, tt := range []struct {
		name    string
		l       *DataLoader
		batches int
		want    string
	}{
		{"no data set", &DataLoader{Dataset: Multi(nil)}, 0, "datasets: the loader has no Dataset"},
		{"an error", &DataLoader{Dataset: at(5, func(*Example) error { return bad })}, 2, "datasets: example 5: bad file"},
		{"a panic", &DataLoader{Dataset: at(5, func(*Example) error { panic("oh") })}, 2, "datasets: example 5: panic at "},
		{"a file", &DataLoader{Dataset: Slice(Multi(filedSeveral{several{n: 4, inputs: 1, get: func(int, *Example) error { return bad }}}), 2, 3)}, 0, "datasets: example 0 (dir/2.txt): bad file"},
		{"no input", &DataLoader{Dataset: at(4, func(e *Example) error { e.Inputs = nil; return nil })}, 2, "datasets: example 4: the example has no input, want at least one"},
		{"a nil input", &DataLoader{Dataset: at(4, func(e *Example) error { e.Inputs[1] = nil; return nil })}, 2, "datasets: example 4: the example has nil as input 1, want a tensor"},
		{"a nil target", &DataLoader{Dataset: at(4, func(e *Example) error { e.Targets[0] = nil; return nil })}, 2, "datasets: example 4: the example has nil as target 0, want a tensor"},
		{"fewer inputs", &DataLoader{Dataset: at(3, func(e *Example) error { e.Inputs = e.Inputs[:1]; return nil })}, 1,
			"datasets: example 3: 1 input and 1 target where example 2 is of 2 inputs and 1 target, want as many in a batch; a CollateBatch makes batches of others"},
		{"no target", &DataLoader{Dataset: at(3, func(e *Example) error { e.Targets = nil; return nil })}, 1, "datasets: example 3: 2 inputs and 0 targets where example 2 is of 2 inputs and 1 target"},
		{"another shape", &DataLoader{Dataset: at(3, func(e *Example) error { e.Inputs[1] = tensor.Zeros(3).ToDType(tensor.Int64); return nil })}, 1,
			"datasets: example 3: its input 1: int64 [3] where example 2 is int64 [2], want one type and shape in a batch"},
		{"another type", &DataLoader{Dataset: at(3, func(e *Example) error { e.Targets[0] = tensor.Zeros(2); return nil })}, 1, "datasets: example 3: its target 0: float32 [2] where example 2 is int64 [2]"},
		{"All of two inputs", &DataLoader{Dataset: two}, -1, "datasets: All yields one input and one target, and a batch is of 2 inputs and 1 target; want Batches, which yields any number"},
		{"Collate of two inputs", &DataLoader{Dataset: two, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) { return xs[0], ys[0], nil }}, 0,
			"datasets: making a batch: the example is of 2 inputs and 1 target, want one of each; Batches and Example take any number"},
		{"both", &DataLoader{Dataset: two, Collate: func(xs, ys []*tensor.Tensor) (x, y *tensor.Tensor, err error) { return xs[0], ys[0], nil },
			CollateBatch: func([]Example) (*Batch, error) { return nil, nil }}, 0, "datasets: the loader has both Collate and CollateBatch, want one of them"},
		{"collate: an error", collate(nil, bad), 0, "datasets: making a batch: bad file"},
		{"collate: nil", collate(nil, nil), 0, "datasets: making a batch: CollateBatch returned nil, want a batch"},
		{"collate: no input", collate(&Batch{Targets: one}, nil), 0, "datasets: making a batch: CollateBatch returned no input, want at least one"},
		{"collate: a nil input", collate(&Batch{Inputs: []*tensor.Tensor{nil}}, nil), 0, "datasets: making a batch: CollateBatch returned nil as input 0, want a tensor"},
		{"collate: a panic", &DataLoader{Dataset: two, CollateBatch: func(e []Example) (*Batch, error) { return nil, e[7].panics() }}, 0, "datasets: making a batch: panic at "},
		{"collate: what does not fit", &DataLoader{Dataset: two, CollateBatch: func(e []Example) (*Batch, error) {
			return &Batch{Inputs: []*tensor.Tensor{PadSequence([]*tensor.Tensor{e[0].Inputs[0], e[0].Inputs[1]}, 0)}}, nil
		}}, 0, "datasets: making a batch: tensor: PadSequence: sequence 1 is int64 [2] and sequence 0 float64 [3], want one type"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.l.BatchSize, tt.l.Workers = 2, 2
			n := 0
			if tt.batches < 0 {
				n = -1
				for range tt.l.All() {
					n++
				}
			} else {
				for range tt.l.Batches() {
					n++
				}
			}
			if err := tt.l.Err(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v\nwant %s", err, tt.want)
			} else if strings.Contains(tt.name, "does not fit") && !errors.As(err, &misuse) {
				t.Errorf("got the error %T, want a *tensor.Error in it", err)
			}
			if n != tt.batches {
				t.Errorf("got %d batches, want %d", n, tt.batches)
			}
		})
	}
	if _, _, err := two.Get(0, rand.New(rand.NewPCG(0, 0))); err == nil || !strings.Contains(err.Error(), "the example is of 2 inputs and 1 target, want one of each") {
		t.Errorf("Get: got error %v", err)
	}
}

func (e Example) panics() error { return nil }

// filedSeveral is several whose examples lie in files.
type filedSeveral struct{ several }

func (filedSeveral) Path(i int) string { return fmt.Sprintf("dir/%d.txt", i) }

// A CollateBatch may give the same tensor twice, views of one memory, and other
// numbers of tensors than the examples have; all of it is released once, at the end.
func TestCollateBatch(t *testing.T) {
	var all []*tensor.Tensor
	set := several{n: 7, inputs: 1, targets: 1}
	l := &DataLoader{Dataset: Multi(set), BatchSize: 3, Workers: 2, CollateBatch: func(examples []Example) (*Batch, error) {
		x := tensor.Zeros(len(examples), 2)
		for i, e := range examples {
			x.Select(0, i).CopyFrom(e.Inputs[0].Narrow(0, 0, 2))
		}
		return &Batch{Inputs: []*tensor.Tensor{x, x.Narrow(0, 0, 1), tensor.Full(float64(len(examples)))}, Targets: []*tensor.Tensor{x}}, nil
	}}
	n := 0
	for b := range l.Batches() {
		if b.Inputs[0].Size(0) != b.Len() || b.Inputs[2].Item() != float64(b.Len()) || !b.Inputs[0].SharesMemory(b.Targets[0]) {
			t.Errorf("got %d examples and %v", b.Len(), b.Inputs[0].Shape())
		}
		n += b.Len()
		all = append(all, b.Inputs...)
	}
	if n != 7 || l.Err() != nil {
		t.Errorf("got %d examples, error %v", n, l.Err())
	}
	for _, x := range all {
		wantReleased(t, "collated", x)
	}
	for range l.Batches() {
		break // what is ahead is released, once
	}
	if l.Err() != nil {
		t.Error(l.Err())
	}
}

func TestBatchMarks(t *testing.T) {
	b := &Batch{Inputs: []*tensor.Tensor{tensor.Zeros(3, 2), tensor.From([]int64{1, 2, 3})}, Targets: []*tensor.Tensor{tensor.From([]bool{true, false, true})}}
	if b.Len() != 3 || (&Batch{}).Len() != 1 {
		t.Errorf("Len: got %d and %d, want 3 and 1", b.Len(), (&Batch{}).Len())
	}
	marked := b.NoGrad().Autocast(tensor.BFloat16)
	for i, x := range slices.Concat(marked.Inputs, marked.Targets) {
		if !x.IsNoGrad() || x.AutocastType() != tensor.BFloat16 {
			t.Errorf("tensor %d: no-grad %t, autocast %s", i, x.IsNoGrad(), x.AutocastType())
		}
	}
	if b.Inputs[0].IsNoGrad() || b.Autocast(tensor.Float32) != b {
		t.Error("the batch itself was marked")
	}
	there := b.To(tensor.CPU)
	if !there.Inputs[1].SharesMemory(b.Inputs[1]) || there.Targets[0].DType() != tensor.Bool {
		t.Error("To the device that it is on has copied")
	}
	if err := tensor.Try(func() { b.Autocast(tensor.Int64) }); err == nil || !strings.Contains(err.Error(), "got int64, want bfloat16 or float16") {
		t.Errorf("Autocast(Int64): got error %v", err)
	}
}

// relabelled has a Get of its own over a data set of the library, which is then what
// batches are made of, though it embeds one whose examples are made in one pass.
type relabelled struct{ *Subset }

func (d relabelled) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	x, _, err = d.Subset.Get(i, r)
	return x, tensor.Full(77).ToDType(tensor.Int64), err
}

func TestEmbeddedDatasetsGet(t *testing.T) {
	l := &DataLoader{Dataset: relabelled{Slice(NewShapes(ShapesOpts{}), 0, 4)}, BatchSize: 2}
	for _, y := range l.All() {
		if got := y.Ints(); !slices.Equal(got, []int64{77, 77}) {
			t.Errorf("All: got the labels %v, want those of the type's own Get", got)
		}
	}
	for b := range l.Batches() {
		if got := b.Targets[0].Ints(); !slices.Equal(got, []int64{77, 77}) {
			t.Errorf("Batches: got the labels %v, want those of the type's own Get", got)
		}
	}
	if l.Err() != nil {
		t.Error(l.Err())
	}
}

func TestNewMultiTensors(t *testing.T) {
	x := tensor.Arange(0, 6, 1).View(3, 2)
	ids, mask := tensor.From([]int64{5, 6, 7}), tensor.From([]bool{true, false, true})
	set, err := NewMultiTensors([]*tensor.Tensor{x, ids}, []*tensor.Tensor{mask})
	if err != nil {
		t.Fatal(err)
	}
	l := &DataLoader{Dataset: set, BatchSize: 2}
	var got []string
	for b := range l.Batches() {
		got = append(got, fmt.Sprint(b.Inputs[0].Floats(), b.Inputs[1].Ints(), b.Targets[0].Bools()))
	}
	if diff := cmp.Diff([]string{"[0 1 2 3] [5 6] [true false]", "[4 5] [7] [true]"}, got); diff != "" || l.Err() != nil {
		t.Errorf("error %v (-want +got):\n%s", l.Err(), diff)
	}
	for _, tt := range []struct {
		name            string
		inputs, targets []*tensor.Tensor
		want            string
	}{
		{"none", nil, []*tensor.Tensor{x}, "datasets: Tensors: got no input, want at least one"},
		{"nil", []*tensor.Tensor{x}, []*tensor.Tensor{ids, nil}, "datasets: Tensors: got nil as target 1, want a tensor"},
		{"sizes", []*tensor.Tensor{x}, []*tensor.Tensor{tensor.Zeros(4)}, "datasets: tensors of [[3 2] [4]], want the same first size"},
		{"a scalar", []*tensor.Tensor{tensor.Full(1)}, nil, "datasets: tensors of [[]], want the same first size"},
	} {
		if _, err := NewMultiTensors(tt.inputs, tt.targets); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got error %v\nwant %s", tt.name, err, tt.want)
		}
	}
	if only, err := NewMultiTensors([]*tensor.Tensor{x}, nil); err != nil || only.Len() != 3 {
		t.Errorf("no target: got error %v", err)
	}
}

func TestPadSequence(t *testing.T) {
	from := func(v ...float32) *tensor.Tensor { return tensor.From(v) }
	for _, tt := range []struct {
		name string
		got  func() *tensor.Tensor
		want string // shape and values
	}{
		{"vectors", func() *tensor.Tensor { return PadSequence([]*tensor.Tensor{from(1, 2, 3), from(4), from(5, 6)}, -1) }, "[3 3] [1 2 3 4 -1 -1 5 6 -1]"},
		{"integers", func() *tensor.Tensor {
			return PadSequence([]*tensor.Tensor{tensor.From([]int64{1}), tensor.From([]int64{2, 3})}, -100)
		}, "[2 2] [1 -100 2 3]"},
		{"rows", func() *tensor.Tensor {
			return PadSequence([]*tensor.Tensor{from(1, 2).View(1, 2), from(3, 4, 5, 6).View(2, 2)}, 0)
		}, "[2 2 2] [1 2 0 0 3 4 5 6]"},
		{"one", func() *tensor.Tensor { return PadSequence([]*tensor.Tensor{from(1, 2)}, 0) }, "[1 2] [1 2]"},
		{"an empty one", func() *tensor.Tensor { return PadSequence([]*tensor.Tensor{tensor.Zeros(0), from(1)}, 9) }, "[2 1] [9 1]"},
		{"all empty", func() *tensor.Tensor { return PadSequence([]*tensor.Tensor{tensor.Zeros(0), tensor.Zeros(0)}, 9) }, "[2 0] []"},
	} {
		x := tt.got()
		if got := fmt.Sprint(x.Shape(), x.Float64s()); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		name string
		xs   []*tensor.Tensor
		want string
	}{
		{"none", nil, "tensor: PadSequence: got no sequence, want at least one"},
		{"nil", []*tensor.Tensor{from(1), nil}, "tensor: PadSequence: sequence 1 is nil or a scalar, want [L …]"},
		{"a scalar", []*tensor.Tensor{tensor.Full(1)}, "tensor: PadSequence: sequence 0 is nil or a scalar, want [L …]"},
		{"widths", []*tensor.Tensor{tensor.Zeros(1, 2), tensor.Zeros(1, 3)}, "tensor: PadSequence: sequence 1 is float32 [1 3] and sequence 0 float32 [1 2], want one type and shape but for the first size"},
	} {
		if err := tensor.Try(func() { PadSequence(tt.xs, 0) }); err == nil || err.Error() != tt.want {
			t.Errorf("%s: got error %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

// sentences is a data set of token numbers of different lengths, with a tag for each.
type sentences [][]int64

func (s sentences) Len() int { return len(s) }

func (s sentences) Get(i int, _ *rand.Rand) (x, y *tensor.Tensor, err error) {
	return tensor.From(s[i]), tensor.From(s[i]).RemainderScalar(2), nil
}

func ExampleCollateBatch() {
	pad := func(examples []Example) (*Batch, error) {
		var tokens, tags []*tensor.Tensor
		var lengths []int64
		for _, e := range examples {
			tokens, tags = append(tokens, e.Inputs[0]), append(tags, e.Targets[0])
			lengths = append(lengths, int64(e.Inputs[0].Size(0)))
		}
		return &Batch{
			Inputs:  []*tensor.Tensor{PadSequence(tokens, 0), tensor.From(lengths)},
			Targets: []*tensor.Tensor{PadSequence(tags, -100)}, // which CrossEntropyLoss ignores
		}, nil
	}
	set := sentences{{4, 7, 1}, {9}, {3, 8}}
	loader := &DataLoader{Dataset: set, BatchSize: 2, CollateBatch: pad}
	for b := range loader.Batches() {
		fmt.Println(b.Inputs[0].Shape(), b.Inputs[1].Ints(), b.Targets[0].Ints())
	}
	if err := loader.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [2 3] [3 1] [0 1 1 1 -100 -100]
	// [1 2] [2] [1 0]
}

// Two images, of one class or not.
type twins struct{ images, labels *tensor.Tensor }

func (d twins) Len() int { return d.images.Size(0) }

func (d twins) Example(i int, r *rand.Rand) (Example, error) {
	j := r.IntN(d.Len()) // another one each epoch
	return Example{
		Inputs:  []*tensor.Tensor{d.images.Select(0, i), d.images.Select(0, j)},
		Targets: []*tensor.Tensor{d.labels.Select(0, i).Eq(d.labels.Select(0, j))},
	}, nil
}

func ExampleMulti() {
	set := twins{tensor.Zeros(10, 3, 8, 8), tensor.From([]int64{0, 1, 2, 0, 1, 2, 0, 1, 2, 0})}
	loader := &DataLoader{Dataset: Multi(set), BatchSize: 4, Shuffle: true}
	for b := range loader.Batches() {
		fmt.Println(b.Len(), b.Inputs[0].Shape(), b.Inputs[1].Shape(), b.Targets[0].DType(), b.Targets[0].Shape())
	}
	if err := loader.Err(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4 [4 3 8 8] [4 3 8 8] bool [4]
	// 4 [4 3 8 8] [4 3 8 8] bool [4]
	// 2 [2 3 8 8] [2 3 8 8] bool [2]
}

func ExampleNewMultiTensors() {
	users, films, stars := tensor.From([]int64{0, 1, 1}), tensor.From([]int64{5, 5, 9}), tensor.From([]float32{3, 4, 1})
	set, err := NewMultiTensors([]*tensor.Tensor{users, films}, []*tensor.Tensor{stars})
	if err != nil {
		fmt.Println(err)
		return
	}
	loader := &DataLoader{Dataset: set, BatchSize: 2}
	for b := range loader.Batches() {
		fmt.Println(b.Inputs[0].Ints(), b.Inputs[1].Ints(), b.Targets[0].Floats())
	}
	// Output:
	// [0 1] [5 5] [3 4]
	// [1] [9] [1]
}
