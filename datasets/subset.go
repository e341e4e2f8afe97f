package datasets

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/wick-ml/wick/tensor"
)

// Subset is the examples of a data set at some indices, in their order.
// (torch.utils.data.Subset)
type Subset struct {
	Dataset Dataset
	Indices []int
}

// Slice returns examples from to to-1 of a data set, as a slice expression does:
// Slice(d, 0, 500) is the first 500. It panics if there are not so many.
// (Subset(d, range(from, to)))
func Slice(d Dataset, from, to int) *Subset {
	n, err := 0, wantEnd(d, 0)
	if err == nil {
		n, err = lengthOf(d)
	}
	if err == nil && (from < 0 || to < from || to > n) {
		err = fmt.Errorf("examples %d to %d of a data set of %d", from, to-1, n)
	}
	if err != nil {
		panic(&tensor.Error{Op: "Slice", Err: err})
	}
	indices := make([]int, to-from)
	for i := range indices {
		indices[i] = from + i
	}
	return &Subset{Dataset: d, Indices: indices}
}

// Len returns the number of indices.
func (s *Subset) Len() int { return len(s.Indices) }

// Get returns the example at index Indices[i] of the data set.
func (s *Subset) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if err := s.has(i); err != nil {
		return nil, nil, err
	}
	return s.Dataset.Get(s.Indices[i], r)
}

// Example is Get for examples of any number of tensors.
func (s *Subset) Example(i int, r *rand.Rand) (Example, error) {
	if err := s.has(i); err != nil {
		return Example{}, err
	}
	return AsMulti(s.Dataset).Example(s.Indices[i], r)
}

// has is an error if there is no example i.
func (s *Subset) has(i int) error {
	if err := wantIndex(i, s.Len()); err != nil {
		return err
	}
	n, err := lengthOf(s.Dataset)
	if err != nil {
		return fmt.Errorf("datasets: Subset: %w", err)
	}
	if k := s.Indices[i]; k < 0 || k >= n {
		return fmt.Errorf("datasets: Subset: index %d is %d, want 0 to %d", i, k, n-1)
	}
	return nil
}

// Path returns the file of example i, if it lies in one.
func (s *Subset) Path(i int) string {
	mustIndex("Subset.Path", i, s.Len())
	return fileOf(s.Dataset, s.Indices[i])
}

func (s *Subset) fuse() (fillFunc, layout) {
	fill, l := fuse(s.Dataset)
	if fill == nil {
		return nil, l
	}
	n, err := lengthOf(s.Dataset)
	if err != nil {
		return nil, l // Get says so
	}
	for _, i := range s.Indices {
		if wantIndex(i, n) != nil {
			return nil, l // Get says so
		}
	}
	return func(to slot, i int, r *rand.Rand) (int64, error) { return fill(to, s.Indices[i], r) }, l
}

// RandomSplit deals the examples of a data set out at random to subsets of the
// given lengths, which add up to its length. The same seed gives the same
// subsets. (torch.utils.data.random_split)
func RandomSplit(d Dataset, lengths []int, seed uint64) ([]*Subset, error) {
	total, err := 0, wantEnd(d, 0)
	if err == nil {
		total, err = lengthOf(d)
	}
	if err != nil {
		return nil, fmt.Errorf("datasets: RandomSplit: %w", err)
	}
	sum := 0
	for _, n := range lengths {
		if n < 0 {
			return nil, fmt.Errorf("datasets: a split into lengths %v, want none below 0", lengths)
		}
		if n > math.MaxInt-sum {
			return nil, fmt.Errorf("datasets: a split into lengths %v, which add up to more than an int holds, want %d, the length of the data set", lengths, total)
		}
		sum += n
	}
	if sum != total {
		return nil, fmt.Errorf("datasets: a split into lengths %v, which add up to %d, want %d, the length of the data set", lengths, sum, total)
	}
	order := rand.New(rand.NewPCG(mix(seed), 0)).Perm(total)
	var parts []*Subset
	for _, n := range lengths {
		parts = append(parts, &Subset{d, order[:n:n]})
		order = order[n:]
	}
	return parts, nil
}

// Concat is several data sets one behind the other.
// (torch.utils.data.ConcatDataset)
//
//	both := datasets.Concat{first, second}
type Concat []Dataset

// Len returns the sum of the lengths. It panics with a *tensor.Error where a data
// set is nil or its length cannot be.
func (c Concat) Len() int {
	n := 0
	for i, d := range c {
		l, err := lengthOf(d)
		if err == nil && l > maxExamples-n {
			err = fmt.Errorf("more than %d examples up to here", maxExamples)
		}
		if err != nil {
			panic(&tensor.Error{Op: "Concat", Err: fmt.Errorf("at %d of %d: %w", i, len(c), err)})
		}
		n += l
	}
	return n
}

// find returns the data set that has example i, and the index there.
func (c Concat) find(i int) (Dataset, int) {
	for _, d := range c {
		n := d.Len()
		if i < n {
			return d, i
		}
		i -= n
	}
	return nil, 0
}

// Get returns example i, counted through all the data sets.
func (c Concat) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if err := wantIndex(i, c.Len()); err != nil {
		return nil, nil, err
	}
	d, i := c.find(i)
	return d.Get(i, r)
}

// Example is Get for examples of any number of tensors.
func (c Concat) Example(i int, r *rand.Rand) (Example, error) {
	if err := wantIndex(i, c.Len()); err != nil {
		return Example{}, err
	}
	d, i := c.find(i)
	return AsMulti(d).Example(i, r)
}

// Path returns the file of example i, if it lies in one.
func (c Concat) Path(i int) string {
	mustIndex("Concat.Path", i, c.Len())
	d, i := c.find(i)
	return fileOf(d, i)
}

func (c Concat) fuse() (fillFunc, layout) {
	var all layout
	var fills []fillFunc
	var ends []int
	end := 0
	for k, d := range c {
		fill, l := fuse(d)
		if fill == nil || k > 0 && l.shape != all.shape {
			return nil, all
		}
		if k == 0 {
			all = l
		} else if l.held != all.held || !slices.Equal(l.values, all.values) {
			all.values = nil
		}
		end += d.Len()
		fills, ends = append(fills, fill), append(ends, end)
	}
	if len(fills) == 0 {
		return nil, all
	}
	return func(s slot, i int, r *rand.Rand) (int64, error) {
		start := 0
		for k, end := range ends {
			if i < end {
				return fills[k](s, i-start, r)
			}
			start = end
		}
		panic(wantIndex(i, end))
	}, all
}

func fileOf(d Dataset, i int) string {
	if p, ok := d.(pathed); ok {
		return p.Path(i)
	}
	return ""
}

func fuse(d Dataset) (fillFunc, layout) {
	// By type: what embeds one of these and has a Get of its own means that one.
	switch d.(type) {
	case *Images, *CIFAR10, *Shapes, *ImageFolder, *Subset, Concat:
		return d.(fused).fuse()
	}
	return nil, layout{}
}

// Tensors is the data set whose example i is row i of some tensors.
// (torch.utils.data.TensorDataset)
type Tensors struct{ inputs, targets []*tensor.Tensor }

// NewTensors returns the data set of the rows of x and y, which have as many.
func NewTensors(x, y *tensor.Tensor) (*Tensors, error) {
	if x == nil || y == nil {
		return nil, errors.New("datasets: Tensors: a tensor is nil, want two")
	}
	if x.Dim() == 0 || y.Dim() == 0 || x.Size(0) != y.Size(0) {
		return nil, fmt.Errorf("datasets: tensors of %v and %v, want the same first size", x.Shape(), y.Shape())
	}
	return &Tensors{[]*tensor.Tensor{x}, []*tensor.Tensor{y}}, nil
}

// NewMultiTensors returns the data set of the rows of any number of tensors, all of
// which have as many: one input at least, and no target where there is nothing to be
// told, as for an autoencoder. For Batches of a DataLoader.
// (torch.utils.data.TensorDataset)
func NewMultiTensors(inputs, targets []*tensor.Tensor) (*Tensors, error) {
	if err := check("datasets: Tensors: got", inputs, targets); err != nil {
		return nil, err
	}
	var shapes []tensor.Shape
	for _, x := range slices.Concat(inputs, targets) {
		shapes = append(shapes, x.Shape())
	}
	for _, s := range shapes {
		if len(s) == 0 || len(shapes[0]) == 0 || s[0] != shapes[0][0] {
			return nil, fmt.Errorf("datasets: tensors of %v, want the same first size", shapes)
		}
	}
	return &Tensors{slices.Clone(inputs), slices.Clone(targets)}, nil
}

// Len returns the first size.
func (t *Tensors) Len() int {
	if len(t.inputs) == 0 {
		return 0 // not made by NewTensors
	}
	return t.inputs[0].Size(0)
}

// Get returns row i of both tensors, where there is one input and one target.
func (t *Tensors) Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	return pairOf(t.Example(i, r))
}

// Example returns row i of all tensors.
func (t *Tensors) Example(i int, _ *rand.Rand) (Example, error) {
	if err := wantIndex(i, t.Len()); err != nil {
		return Example{}, err
	}
	rows := func(xs []*tensor.Tensor) []*tensor.Tensor {
		out := make([]*tensor.Tensor, len(xs))
		for k, x := range xs {
			out[k] = x.Detach().Select(0, i)
		}
		return out
	}
	return Example{rows(t.inputs), rows(t.targets)}, nil
}
