package datasets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/wick-ml/wick/internal/friend"
	"github.com/wick-ml/wick/tensor"
)

// friends is what package tensor has for this one.
var friends = friend.Of[*tensor.Tensor]()

// Batch is a batch of examples of any number of tensors, as [DataLoader.Batches]
// yields it: what a model is given, and what is to be learned of it, of which there
// may be nothing. The examples lie along the first dimension, unless a Collate of
// one's own puts them elsewhere.
type Batch struct {
	Inputs, Targets []*tensor.Tensor

	examples int // that the loader made it of; 0: made by hand
}

// Len returns the number of examples. Of a batch that was made by hand that is the
// first size of its first input.
func (b *Batch) Len() int {
	switch {
	case b.examples > 0:
		return b.examples
	case len(b.Inputs) == 0 || b.Inputs[0] == nil || b.Inputs[0].Dim() == 0:
		return 1
	}
	return b.Inputs[0].Size(0)
}

// NoGrad returns the batch with all tensors marked no-grad, so that nothing made
// from them is recorded: what autograd.NoGrad does for pairs.
//
//	for b := range loader.Batches() {
//		output := model.Forward(b.NoGrad().Inputs...)
func (b *Batch) NoGrad() *Batch { return b.each((*tensor.Tensor).NoGrad) }

// Autocast returns the batch with all tensors marked for mixed precision in t,
// BFloat16 or Float16: what tensor.Autocast does for pairs. Float32 leaves the batch
// as it is. See [tensor.Tensor.Autocast].
func (b *Batch) Autocast(t tensor.DType) *Batch {
	if t == tensor.Float32 {
		return b
	}
	return b.each(func(x *tensor.Tensor) *tensor.Tensor { return x.Autocast(t) })
}

// To returns the batch on a device. What is there already is not copied.
func (b *Batch) To(d *tensor.Device) *Batch {
	return b.each(func(x *tensor.Tensor) *tensor.Tensor { return x.To(d) })
}

func (b *Batch) each(f func(x *tensor.Tensor) *tensor.Tensor) *Batch {
	all := func(xs []*tensor.Tensor) []*tensor.Tensor {
		if xs == nil {
			return nil
		}
		out := make([]*tensor.Tensor, len(xs))
		for i, x := range xs {
			out[i] = f(x)
		}
		return out
	}
	return &Batch{all(b.Inputs), all(b.Targets), b.examples}
}

// pair returns the tensors of a batch that has one of each.
func (b *Batch) pair() (x, y *tensor.Tensor, err error) {
	if len(b.Inputs) != 1 || len(b.Targets) != 1 {
		return nil, nil, fmt.Errorf("datasets: All yields one input and one target, and a batch is of %s; want Batches, which yields any number",
			counts(b.Inputs, b.Targets))
	}
	return b.Inputs[0], b.Targets[0], nil
}

// counts writes "2 inputs and 1 target".
func counts(inputs, targets []*tensor.Tensor) string {
	of := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	return of(len(inputs), "input") + " and " + of(len(targets), "target")
}

// check says what a batch, or an example, lacks.
func check(what string, inputs, targets []*tensor.Tensor) error {
	if len(inputs) == 0 {
		return fmt.Errorf("%s no input, want at least one", what)
	}
	if i := slices.Index(inputs, nil); i >= 0 {
		return fmt.Errorf("%s nil as input %d, want a tensor", what, i)
	}
	if i := slices.Index(targets, nil); i >= 0 {
		return fmt.Errorf("%s nil as target %d, want a tensor", what, i)
	}
	return nil
}

// release gives the memory of a batch back.
func (b *Batch) release() {
	if b == nil {
		return
	}
	var done []*tensor.Tensor // the same tensor may stand in several places
	for _, x := range slices.Concat(b.Inputs, b.Targets) {
		if x != nil && !slices.Contains(done, x) {
			friends.Release(x)
			done = append(done, x)
		}
	}
}

// upload moves a batch to a device and gives the memory of what was elsewhere back.
func (b *Batch) upload(d *tensor.Device) *Batch {
	elsewhere := func(x *tensor.Tensor) bool { return x.Device() != d }
	if !slices.ContainsFunc(b.Inputs, elsewhere) && !slices.ContainsFunc(b.Targets, elsewhere) {
		return b
	}
	there, done := map[*tensor.Tensor]*tensor.Tensor{}, []*tensor.Tensor{}
	up := b.each(func(x *tensor.Tensor) *tensor.Tensor {
		if x.Device() == d {
			return x
		}
		if there[x] == nil {
			there[x] = x.To(d)
			done = append(done, x)
		}
		return there[x]
	})
	for _, x := range done { // now, as they may be views of one memory
		friends.Release(x)
	}
	return up
}

// Example is an example of any number of tensors: what a model is given, and what is
// to be learned of it, of which there may be nothing.
type Example struct{ Inputs, Targets []*tensor.Tensor }

// MultiDataset is a list of examples of any number of tensors; [Multi] makes of it
// what a DataLoader takes.
type MultiDataset interface {
	Len() int
	// Example returns example i: one input at least, and of both as many as all other
	// examples have. What it does at random it draws from r. A loader with several
	// workers calls it from several goroutines at once.
	Example(i int, r *rand.Rand) (Example, error)
}

// Multi returns d as a Dataset, for a DataLoader whose Batches are ranged over, and
// for Subset, Concat, Slice and RandomSplit.
//
//	loader := &datasets.DataLoader{Dataset: datasets.Multi(pairs), BatchSize: 64}
//	for b := range loader.Batches() {
//		loss := distance(model.Forward(b.Inputs[0]), model.Forward(b.Inputs[1]), b.Targets[0])
//
// Its Get, and so the loader's All, takes examples of one input and one target only.
func Multi(d MultiDataset) Dataset {
	switch d := d.(type) {
	case nil:
		return nil
	case *Tensors:
		return d
	case *Subset:
		return d
	case Concat:
		return d
	}
	return multi{d}
}

type multi struct{ MultiDataset }

// Get returns example i if it is of one input and one target.
func (m multi) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	return pairOf(m.Example(i, r))
}

// Path returns the file of example i, if it lies in one.
func (m multi) Path(i int) string {
	if p, ok := m.MultiDataset.(pathed); ok {
		return p.Path(i)
	}
	return ""
}

// pairOf returns an example of one input and one target.
func pairOf(e Example, err error) (x, y *tensor.Tensor, _ error) {
	if err != nil {
		return nil, nil, err
	}
	if len(e.Inputs) != 1 || len(e.Targets) != 1 {
		return nil, nil, fmt.Errorf("datasets: the example is of %s, want one of each; Batches and Example take any number", counts(e.Inputs, e.Targets))
	}
	return e.Inputs[0], e.Targets[0], nil
}

// AsMulti returns d as a MultiDataset, which a DataLoader takes it for: what [Multi],
// NewMultiTensors, Subset and Concat have made is one, and of any other the examples
// are what Get returns, an input and a target.
func AsMulti(d Dataset) MultiDataset {
	// By type: what embeds a Subset and has a Get of its own means that one.
	switch d := d.(type) {
	case nil:
		return nil
	case multi:
		return d.MultiDataset
	case *Tensors:
		return d
	case *Subset:
		return d
	case Concat:
		return d
	}
	return single{d}
}

type single struct{ Dataset }

func (s single) Example(i int, r *rand.Rand) (Example, error) {
	x, y, err := s.Get(i, r)
	if err != nil {
		return Example{}, err
	}
	if x == nil || y == nil {
		return Example{}, errors.New("Get returned no tensor, want two")
	}
	return Example{[]*tensor.Tensor{x}, []*tensor.Tensor{y}}, nil
}

// CollateBatch makes a batch of any number of tensors of examples, such as padded
// sequences and their lengths. Tensors of the batch are released when the loop body
// that gets them ends, so they are new ones. (torch.utils.data.DataLoader,
// collate_fn)
type CollateBatch func(examples []Example) (*Batch, error)

// stack is the Collate that there is without one: each input and each target along a
// new first dimension. index says which example each is, for errors.
func stack(examples []Example, index []int) (b *Batch, which int, err error) {
	first := examples[0]
	for k, e := range examples {
		if len(e.Inputs) != len(first.Inputs) || len(e.Targets) != len(first.Targets) {
			return nil, index[k], fmt.Errorf("%s where example %d is of %s, want as many in a batch; a CollateBatch makes batches of others",
				counts(e.Inputs, e.Targets), index[0], counts(first.Inputs, first.Targets))
		}
		for j, x := range e.Inputs {
			if err := same(x, first.Inputs[j], index[0]); err != nil {
				if len(e.Inputs) > 1 {
					err = fmt.Errorf("its input %d: %w", j, err)
				}
				return nil, index[k], err
			}
		}
		for j, y := range e.Targets {
			if err := same(y, first.Targets[j], index[0]); err != nil {
				name := "its label"
				if len(e.Inputs) > 1 || len(e.Targets) > 1 {
					name = fmt.Sprintf("its target %d", j)
				}
				return nil, index[k], fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	join := func(n int, of func(e Example) []*tensor.Tensor) []*tensor.Tensor {
		out := make([]*tensor.Tensor, n)
		for j := range out {
			xs := make([]*tensor.Tensor, len(examples))
			for k, e := range examples {
				xs[k] = of(e)[j]
			}
			out[j] = tensor.Stack(0, xs...)
		}
		return out
	}
	return &Batch{
		Inputs:  join(len(first.Inputs), func(e Example) []*tensor.Tensor { return e.Inputs }),
		Targets: join(len(first.Targets), func(e Example) []*tensor.Tensor { return e.Targets }),
	}, -1, nil
}

// PadSequence returns sequences of different lengths, [L …] each, as one tensor [N
// longest …] in which what is missing is value. For a [CollateBatch].
// (torch.nn.utils.rnn.pad_sequence with batch_first=True)
func PadSequence(xs []*tensor.Tensor, value float64) *tensor.Tensor {
	wrong := func(format string, args ...any) {
		panic(&tensor.Error{Op: "PadSequence", Err: fmt.Errorf(format, args...)})
	}
	if len(xs) == 0 {
		wrong("got no sequence, want at least one")
	}
	longest := 0
	for i, x := range xs {
		if x == nil || x.Dim() == 0 {
			wrong("sequence %d is nil or a scalar, want [L …]", i)
		}
		if x.DType() != xs[0].DType() || !x.Shape()[1:].Equal(xs[0].Shape()[1:]) {
			wrong("sequence %d is %s %v and sequence 0 %s %v, want one type and shape but for the first size", i, x.DType(), x.Shape(), xs[0].DType(), xs[0].Shape())
		}
		longest = max(longest, x.Size(0))
	}
	padded := make([]*tensor.Tensor, len(xs))
	for i, x := range xs {
		padded[i] = x
		if missing := longest - x.Size(0); missing > 0 {
			rest := tensor.Full(value, append([]int{missing}, x.Shape()[1:]...)...).ToDType(x.DType()).To(x.Device())
			padded[i] = tensor.Cat(0, x, rest)
		}
	}
	return tensor.Stack(0, padded...)
}

// ours is an error of this package within another one of it.
type ours struct{ error }

func (e ours) Error() string { return strings.TrimPrefix(e.error.Error(), "datasets: ") }
func (e ours) Unwrap() error { return e.error }
