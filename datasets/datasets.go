// Package datasets holds data sets and the loader that makes batches of them.
//
//	set, err := datasets.NewCIFAR10("data", datasets.CIFAR10Opts{Train: true, Download: true})
//	loader := &datasets.DataLoader{Dataset: set, BatchSize: 64, Shuffle: true}
//	for images, labels := range loader.All() { // [64 3 32 32] and [64]
//		…
//	}
//	if err := loader.Err(); err != nil { … }
//
// Data sets: [CIFAR10], [ImageFolder] for images of one's own, [Shapes], which
// is drawn in code and needs no file, [Images] and [Tensors] for what is in
// memory; [Subset], [RandomSplit] and [Concat] make new ones from others. Any
// type with the two methods of [Dataset] is one.
package datasets

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/wick-ml/wick/datasets/transforms"
	"github.com/wick-ml/wick/tensor"
)

// Dataset is a list of examples.
type Dataset interface {
	Len() int
	// Get returns example i and what is to be learned of it, such as its class
	// as an Int64 scalar. What it does at random it draws from r. A loader with
	// several workers calls it from several goroutines at once.
	Get(i int, r *rand.Rand) (x, y *tensor.Tensor, err error)
}

// pathed is a data set whose examples lie in files.
type pathed interface{ Path(i int) string }

// fused is a data set that can write an example straight into a batch. fuse
// returns nil where its transforms do not allow that.
type fused interface {
	fuse() (fill fillFunc, l layout)
}

// fillFunc writes example i to its slot and returns its label.
type fillFunc func(s slot, i int, r *rand.Rand) (label int64, err error)

// slot is an example's place in a batch: that of its numbers, or of what a device
// makes the numbers of with CropMirrorNormalize.
type slot struct {
	numbers []float32
	bytes   []byte
	move    []int64
}

// layout says what a fillFunc writes.
type layout struct {
	shape  [3]int         // of the numbers
	held   [3]int         // of the bytes
	values [][256]float32 // what bytes become; nil where a device cannot make the numbers
}

// layoutOf is the layout of what f makes.
func layoutOf(f *transforms.Fused) (l layout) {
	l.shape[0], l.shape[1], l.shape[2] = f.Shape()
	if c, h, w, values, ok := f.OnDevice(); ok {
		l.held, l.values = [3]int{c, h, w}, values
	}
	return l
}

// example returns example i, made by fill.
func example(fill fillFunc, shape [3]int, i int, r *rand.Rand) (x, y *tensor.Tensor, err error) {
	if err := tensor.Try(func() { wantRoom(1, shape) }); err != nil {
		return nil, nil, err
	}
	out := make([]float32, shape[0]*shape[1]*shape[2])
	label, err := fill(slot{numbers: out}, i, r)
	if err != nil {
		return nil, nil, err
	}
	return tensor.From(out, shape[:]...), scalar(label), nil
}

// maxExamples is how many examples a data set may have: their order is held in
// memory.
const maxExamples = 1 << 30

// lengthOf returns a data set's length, if there can be one.
func lengthOf(d Dataset) (int, error) {
	if d == nil {
		return 0, errors.New("the data set is nil, want one")
	}
	n := d.Len()
	if n < 0 || n > maxExamples {
		return 0, fmt.Errorf("the data set (%T) has the length %d, want 0 to %d", d, n, maxExamples)
	}
	return n, nil
}

// wantEnd refuses a Subset or Concat that holds itself, however deep: Go would end
// the program for want of stack.
func wantEnd(d Dataset, depth int) error {
	if depth == 100 {
		return errors.New("the data set holds itself, or more than 100 others one in the other")
	}
	var inside []Dataset
	switch d := d.(type) {
	case *Subset:
		if d != nil {
			inside = []Dataset{d.Dataset}
		}
	case Concat:
		inside = d
	}
	for _, d := range inside {
		if err := wantEnd(d, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func wantIndex(i, n int) error {
	if i < 0 || i >= n {
		return fmt.Errorf("datasets: example %d of %d, want 0 to %d", i, n, n-1)
	}
	return nil
}

// wantRoom panics with tensor.ErrOutOfMemory where n examples do not fit into the
// memory there is, which package tensor knows. A slice of Go's would end the
// program.
func wantRoom(n int, shape [3]int) {
	if float64(n)*float64(shape[0])*float64(shape[1])*float64(shape[2]) > 1<<28 {
		friends.Release(tensor.Zeros(n, shape[0], shape[1], shape[2]))
	}
}

// mustIndex is wantIndex where there is no error to return.
func mustIndex(op string, i, n int) {
	if i < 0 || i >= n {
		panic(&tensor.Error{Op: op, Err: fmt.Errorf("example %d of %d, want 0 to %d", i, n, n-1)})
	}
}

// PanicError is a panic in a Dataset, a transform, a Sampler or a Collate that is
// no *tensor.Error: a mistake in the code. A DataLoader's Err wraps it.
type PanicError struct {
	Err   error  // what the code panicked with
	Where string // the line that did, as file:line
	Stack []byte // of its goroutine, as package runtime/debug prints it
}

// Error returns the line and what the code panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic at %s: %v", e.Where, e.Err) }

// Unwrap returns Err.
func (e *PanicError) Unwrap() error { return e.Err }

// catch returns what f panics with: what tensor.Try returns, or else a
// *PanicError.
func catch(f func()) (err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		p, ok := v.(*PanicError)
		if !ok {
			p = &PanicError{Where: panicked(), Stack: debug.Stack()}
			if p.Err, ok = v.(error); !ok {
				p.Err = fmt.Errorf("%v", v)
			}
		}
		defer func() {
			if recover() != nil {
				err = p
			}
		}()
		err = tensor.Try(func() { panic(v) })
	}()
	f()
	return nil
}

// panicked returns the line that panics, seen from a function that is deferred.
func panicked() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown line"
		}
	}
}

// try is tensor.Try, but what goes on is a *PanicError: whoever recovers it later
// can still say where it began.
func try(f func()) error {
	err := catch(f)
	if p, ok := err.(*PanicError); ok {
		panic(p)
	}
	return err
}

// apply runs t, nil meaning ToTensor, and makes what is still an image a
// tensor. What a transform panics with because something does not fit is an
// error here.
func apply(t transforms.Transform, s transforms.Sample, r *rand.Rand) (x *tensor.Tensor, err error) {
	err = try(func() {
		if t != nil {
			s = t.Apply(s, r)
		}
		x = transforms.ToTensor().Apply(s, r).Tensor
	})
	return x, err
}
